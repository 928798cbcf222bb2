/* A .lode file with the checksum of its header set right. */
#ifndef LODE_FUZZ_HEADER_H
#define LODE_FUZZ_HEADER_H

#include "fuzz.h"

/* A copy, for free(). */
static inline uint8_t *fuzz_header(const uint8_t *data, size_t size)
{
    static const char opening[] = "{\"__metadata__\":{\"lode_checksum\":\"";
    const size_t at = 8 + sizeof opening - 1;
    uint64_t n = 0;
    uint8_t *copy = malloc(size + 1);
    FUZZ_CHECK(copy);
    memcpy(copy, data, size);
    for (int i = 7; i >= 0 && size >= 8; i--)
        n = n << 8 | data[i];
    if (size >= at + 16 && n <= size - 8 && n >= at + 8 &&
        memcmp(copy + 8, opening, sizeof opening - 1) == 0) {
        char digits[17];
        memset(copy + at, '0', 16);
        snprintf(digits, sizeof digits, "%016" PRIx64, lode_i_checksum(copy + 8, (size_t)n, n));
        memcpy(copy + at, digits, 16);
    }
    return copy;
}

#endif
