/* The header's checksum is set right first: else nothing behind it would ever be reached. */
#include "header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const lode_read_opts o = { .format = "lode" };
    uint8_t *copy = fuzz_header(data, size);
    fuzz_read(copy, size, &o);
    free(copy);
    return 0;
}
