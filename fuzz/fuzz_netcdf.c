/* Our own walk over classic headers, which decides what libnetcdf gets to see. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lode_ctx ctx;
    lode_infile *in = NULL;
    if (size < 4)
        return 0;
    FUZZ_CHECK(lode_ctx_init(&ctx, NULL) == LODE_OK);
    lode_ctx_set_memory(&ctx, 32 << 20);
    FUZZ_CHECK(lode_i_infile_open(&ctx, fuzz_put(data, size), &in) == LODE_OK);
    lode_i_nc_check_classic(&ctx, in, data[3] == 1 || data[3] == 2 ? data[3] : 5);
    lode_i_infile_close(in);
    FUZZ_CHECK(lode_ctx_memory_used(&ctx) == 0);
    lode_ctx_free(&ctx);
    return 0;
}
