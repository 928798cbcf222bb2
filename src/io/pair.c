/* Formats of two files beside each other, one with the header and one with the values. */
#include "io/io.h"

#include <string.h>

lode_status lode_i_beside(lode_ctx *ctx, const char *path, const char *suffix, char **name)
{
    lode_status st = LODE_OK;
    lode_text t = { 0 };
    size_t n = strlen(path);
    n -= lode_i_has_suffix(path, ".gz") ? 3 : 0;
    while (n > 0 && path[n - 1] != '.' && path[n - 1] != '/')
        n--;
    LODE_REQUIRE(n > 1 && path[n - 1] == '.', LODE_EUSAGE,
                 "%s needs a second file, %s, beside it: name the pair by its path", path, suffix);
    LODE_TRY(lode_i_text_add(ctx, &t, "%.*s%s", (int)(n - 1), path, suffix));
    LODE_TRY(lode_i_strdup(ctx, t.text, name));
done:
    lode_i_text_free(&t);
    return st;
}

lode_status lode_i_open_beside(lode_ctx *ctx, const char *path, const char *suffix,
                               lode_infile **in)
{
    lode_status st = LODE_OK;
    char *name = NULL, gz[16];
    lode_infile *packed = NULL;
    LODE_TRY(lode_i_beside(ctx, path, suffix, &name));
    if (!lode_i_path_exists(name)) {
        char *plain = name;
        name = NULL;
        snprintf(gz, sizeof gz, "%s.gz", suffix);
        st = lode_i_beside(ctx, path, gz, &name);
        const bool there = st >= 0 && lode_i_path_exists(name);
        if (st >= 0 && !there)
            st = lode_i_fail(ctx, LODE_ENOENT, "%s belongs together with %s, which is not there",
                             path, plain);
        lode_i_free(plain);
        LODE_TRY(st);
        LODE_TRY(lode_i_infile_open(ctx, name, &packed));
        LODE_TRY(
            lode_i_unwrap(ctx, packed, LODE_I_GZIP, 0, lode_i_infile_size(packed), UINT64_MAX, in));
    } else {
        LODE_TRY(lode_i_infile_open(ctx, name, in));
    }
done:
    lode_i_infile_close(packed);
    lode_i_free(name);
    return st;
}
