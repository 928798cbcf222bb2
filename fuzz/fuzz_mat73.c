#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const lode_read_opts o = { .format = "mat73" };
    fuzz_read(data, size, &o);
    return 0;
}
