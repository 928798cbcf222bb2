/* Symbols through both coders on one thread: seconds of the fastest of several runs, and bytes. Arguments:
 * files of integers (.npy). One line each: name, symbols, then encode seconds, decode seconds, bytes of the
 * adaptive coder and of the fast one. */
#include <stdio.h>
#include <string.h>

#include "array/array.h"
#include "code/code.h"
#include "lode/lode.h"

typedef lode_status (*encoder)(lode_ctx *ctx, const lode_array *symbols, lode_array *out);

static lode_status measure(lode_ctx *ctx, const lode_array *q, encoder encode, double seconds[2],
                           int64_t *bytes)
{
    lode_status st = LODE_OK;
    lode_array coded = { 0 }, back = { 0 };
    LODE_TRY(lode_array_new(ctx, LODE_I32, q->ndim, q->shape, &back));
    seconds[0] = seconds[1] = 1e9;
    double spent = 0;
    for (int run = 0; run < 9 && (run < 2 || spent < 2); run++) {
        const double start = lode_i_seconds();
        LODE_TRY(encode(ctx, q, &coded));
        const double middle = lode_i_seconds();
        LODE_TRY(lode_i_decode(ctx, &coded, &back));
        const double end = lode_i_seconds();
        seconds[0] = middle - start < seconds[0] ? middle - start : seconds[0];
        seconds[1] = end - middle < seconds[1] ? end - middle : seconds[1];
        spent += end - start;
    }
    *bytes = coded.shape[0];
    LODE_REQUIRE(memcmp(back.data, q->data, lode_array_bytes(q)) == 0, LODE_EINTERNAL,
                 "other symbols came back");
done:
    LODE_FREE(&coded, &back);
    return st;
}

static lode_status bench(lode_ctx *ctx, const char *path)
{
    lode_status st = LODE_OK;
    lode_bundle b = { 0 };
    lode_array q = { 0 };
    const lode_array *x = NULL;
    double slow[2], fast[2];
    int64_t bytes[2];
    LODE_TRY(lode_read(ctx, path, NULL, &b));
    LODE_TRY(lode_bundle_array(ctx, &b, lode_bundle_name(&b, 0), &x));
    LODE_TRY(lode_array_cast(ctx, x, LODE_I32, &q));
    LODE_TRY(measure(ctx, &q, lode_i_encode, slow, &bytes[0]));
    LODE_TRY(measure(ctx, &q, lode_i_encode_fast, fast, &bytes[1]));
    printf("%s %" PRId64 " %.6f %.6f %" PRId64 " %.6f %.6f %" PRId64 "\n", path,
           lode_array_size(&q), slow[0], slow[1], bytes[0], fast[0], fast[1], bytes[1]);
done:
    lode_bundle_free(&b);
    LODE_FREE(&q);
    return st;
}

int main(int argc, char **argv)
{
    lode_ctx ctx;
    int failed = lode_ctx_init(&ctx, NULL) != LODE_OK;
    ctx.threads = 1;
    for (int i = 1; i < argc && !failed; i++)
        if (bench(&ctx, argv[i]) < 0) {
            fprintf(stderr, "%s\n", lode_message(&ctx));
            failed = 1;
        }
    lode_ctx_free(&ctx);
    return failed;
}
