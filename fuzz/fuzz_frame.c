/* The frame of a classic NetCDF file (src/io/frame.h), laid out and filled with the values of two
 * variables. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lode_ctx ctx;
    lode_bundle b = { 0 };
    lode_array v = { 0 }, x = { 0 }, frame = { 0 };
    const int64_t many = (int64_t)size, shape[] = { 2, 3 };
    if (size < 4)
        return 0;
    FUZZ_CHECK(lode_ctx_init(&ctx, NULL) == LODE_OK);
    lode_ctx_set_memory(&ctx, 32 << 20);
    ctx.threads = 1;
    const char *path = fuzz_put(data, 0);
    FUZZ_CHECK(lode_array_zeros(&ctx, LODE_F32, 2, shape, &v) == LODE_OK);
    FUZZ_CHECK(lode_array_zeros(&ctx, LODE_I16, 1, shape + 1, &x) == LODE_OK);
    FUZZ_CHECK(lode_array_new(&ctx, LODE_U8, 1, &many, &frame) == LODE_OK);
    memcpy(frame.data, data, size);
    FUZZ_CHECK(lode_bundle_add_array(&ctx, &b, "v", &v) == LODE_OK);
    FUZZ_CHECK(lode_bundle_add_array(&ctx, &b, "x", &x) == LODE_OK);
    FUZZ_CHECK(lode_bundle_add_array(&ctx, &b, LODE_I_FRAME, &frame) == LODE_OK);
    if (lode_write(&ctx, path, &b, &(lode_write_opts){ .format = "netcdf", .force = true }) < 0)
        FUZZ_CHECK(*lode_message(&ctx));
    lode_bundle_free(&b);
    FUZZ_CHECK(lode_ctx_memory_used(&ctx) == 0);
    lode_ctx_free(&ctx);
    return 0;
}
