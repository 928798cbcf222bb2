/* What libhdf5 is let to see: its own code is fuzzed along with ours. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const lode_read_opts o = { .format = "hdf5" };
    fuzz_read(data, size, &o);
    return 0;
}
