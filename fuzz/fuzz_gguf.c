#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const lode_read_opts o = { .format = "gguf" };
    fuzz_read(data, size, &o);
    return 0;
}
