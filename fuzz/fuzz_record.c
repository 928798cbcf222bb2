/* Records of compress: a byte for the type, one for the number of axes, one for each length, then
 * a record without its checksum, which is set right: else nothing behind it would be reached. */
#include "fuzz.h"

#include "code/code.h"
#include "ops/compress/compress.h"

/* Answers do not break where decoding does not. */
static void ask(lode_ctx *ctx, const lode_array *coded, lode_dtype dtype, int ndim,
                const int64_t *shape)
{
    lode_bundle model = { .meta = { .has_shape = true, .dtype = dtype, .ndim = ndim } };
    lode_array record = lode_array_ref(coded);
    FUZZ_CHECK(lode_bundle_add_array(ctx, &model, "coded.0", &record) == LODE_OK);
    memcpy(model.meta.shape, shape, (size_t)ndim * sizeof *shape);
    for (int kind = 0; kind <= LODE_QUERY_NORM; kind++) {
        lode_question q = { .kind = (lode_query_kind)kind, .ndim = ndim };
        lode_answer a = { 0 };
        for (int k = 0; k < ndim; k++) {
            q.start[k] = shape[k] > 2, q.step[k] = kind ? 1 : 2;
            q.count[k] = lode_i_ceil_div(shape[k] - q.start[k], q.step[k]);
        }
        (void)compress_query(ctx, &model, &q, &a);
        lode_answer_free(&a);
    }
    lode_bundle_free(&model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const lode_dtype types[] = { LODE_F32, LODE_F64, LODE_I16, LODE_C64 };
    lode_ctx ctx;
    lode_record r = { 0 };
    lode_array coded = { 0 }, block = { 0 };
    record_info info;
    int64_t shape[4] = { 0 };
    if (size < 2 || size < 2 + (size_t)(data[1] & 3))
        return 0;
    const lode_dtype dtype = types[data[0] & 3];
    const int ndim = data[1] & 3;
    for (int k = 0; k < ndim; k++)
        shape[k] = data[2 + k] & 63;
    const int64_t n = (int64_t)size - 2 - ndim;
    FUZZ_CHECK(lode_ctx_init(&ctx, NULL) == LODE_OK);
    lode_ctx_set_memory(&ctx, 64 << 20);
    ctx.threads = 1;
    FUZZ_CHECK(lode_i_vector_new(&ctx, LODE_U8, n, &r.bytes) == LODE_OK);
    if (n)
        memcpy(r.bytes.data, data + 2 + ndim, (size_t)n);
    r.size = n;
    FUZZ_CHECK(lode_i_record_end(&ctx, &r, &coded) == LODE_OK);
    if (compress_decode(&ctx, &coded, dtype, ndim, shape, &block) == LODE_OK) {
        FUZZ_CHECK(block.dtype == dtype && block.ndim == ndim);
        FUZZ_CHECK(compress_info(&ctx, &coded, dtype, ndim, shape, &info) == LODE_OK);
    } else {
        (void)compress_info(&ctx, &coded, dtype, ndim, shape, &info);
    }
    ask(&ctx, &coded, dtype, ndim, shape);
    LODE_FREE(&coded, &block);
    lode_i_record_free(&r);
    lode_ctx_free(&ctx);
    return 0;
}
