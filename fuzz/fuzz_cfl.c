#include "fuzz.h"

/* The input is the header; the values beside it are 48 zeros. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char folder[256], header[300], values[300];
    static const uint8_t zeros[48];
    lode_ctx ctx;
    lode_bundle b = { 0 };
    if (!*folder) {
        snprintf(folder, sizeof folder, "%s", fuzz_put(data, size));
        snprintf(header, sizeof header, "%s.x.hdr", folder);
        snprintf(values, sizeof values, "%s.x.cfl", folder);
    }
    FILE *f = fopen(values, "wb");
    FUZZ_CHECK(f && fwrite(zeros, 1, sizeof zeros, f) == sizeof zeros && fclose(f) == 0);
    f = fopen(header, "wb");
    FUZZ_CHECK(f && fwrite(data, 1, size, f) == size && fclose(f) == 0);
    FUZZ_CHECK(lode_ctx_init(&ctx, NULL) == LODE_OK);
    lode_ctx_set_memory(&ctx, 32 << 20);
    ctx.threads = 1;
    const lode_read_opts o = { .format = "cfl" };
    lode_read(&ctx, header, &o, &b);
    lode_bundle_free(&b);
    unlink(values);
    unlink(header);
    FUZZ_CHECK(lode_ctx_memory_used(&ctx) == 0);
    lode_ctx_free(&ctx);
    return 0;
}
