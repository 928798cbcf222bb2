/* What this build is made of. */
#include <string.h>

#include "linalg/linalg.h"
#include "lode/io.h"
#include "op/op.h"

void lode_build_info(char *text, size_t size)
{
    bool same_bits = false;
    const char *blas = lode_i_blas_name(&same_bits);
    size_t n = (size_t)snprintf(
        text, size, "blas       %s; same bits for any number of threads: %s\nformats   ", blas,
        same_bits ? "yes" : "not promised with this BLAS");
    const char *name;
    bool reads, writes;
    for (int i = 0; n < size && (name = lode_format_name(i, NULL, &reads, &writes)); i++)
        n += (size_t)snprintf(text + n, size - n, " %s%s", name,
                              reads && writes ? ""
                              : reads         ? " (read)"
                                              : " (absent)");
    if (n < size)
        snprintf(text + n, size - n, "\n");
}

size_t lode_sizeof(const char *name)
{
#define SIZE(T)                                                                                    \
    {                                                                                              \
#T, sizeof(T)                                                                              \
    }
    static const struct {
        const char *name;
        size_t size;
    } known[] = { SIZE(lode_ctx),    SIZE(lode_array),       SIZE(lode_sparse),
                  SIZE(lode_source), SIZE(lode_callback),    SIZE(lode_value),
                  SIZE(lode_scalar), SIZE(lode_certificate), SIZE(lode_meta),
                  SIZE(lode_bundle), SIZE(lode_call),        SIZE(lode_plan),
                  SIZE(lode_part),   SIZE(lode_progress),    SIZE(lode_question),
                  SIZE(lode_answer) };
#undef SIZE
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, name) == 0)
            return known[i].size;
    return 0;
}
