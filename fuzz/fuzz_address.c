/* Slices: the first bytes are a shape, the rest the text between the brackets. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lode_ctx ctx;
    lode_i_slice slice;
    lode_i_range r[LODE_MAX_NDIM];
    int64_t shape[4];
    if (size < 5)
        return 0;
    FUZZ_CHECK(lode_ctx_init(&ctx, NULL) == LODE_OK);
    const int ndim = data[0] % 5;
    for (int k = 0; k < 4; k++)
        shape[k] = data[1 + k] == 255 ? INT64_MAX : data[1 + k];
    if (lode_i_slice_parse(&ctx, (const char *)data + 5, size - 5, &slice) == LODE_OK &&
        lode_i_slice_resolve(&ctx, &slice, ndim, shape, r) == LODE_OK)
        for (int k = 0; k < ndim; k++) {
            const int64_t low = r[k].step < 0 ? -1 : 0,
                          high = r[k].step < 0 ? shape[k] - 1 : shape[k];
            FUZZ_CHECK(r[k].step != 0);
            FUZZ_CHECK(r[k].start >= low && r[k].start <= high && r[k].stop >= low &&
                       r[k].stop <= high);
            FUZZ_CHECK(!r[k].dropped || r[k].stop == r[k].start + 1);
        }
    lode_ctx_free(&ctx);
    return 0;
}
