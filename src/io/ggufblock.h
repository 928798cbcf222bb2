/* Blocks of quantized values as GGUF files hold them. */
#ifndef LODE_IO_GGUFBLOCK_H
#define LODE_IO_GGUFBLOCK_H

#include "io/io.h"

enum { LODE_I_GGUF_BLOCK = 256 }; /* values of the largest block */

typedef struct lode_i_gguf_type {
    uint32_t code;
    const char *name;
    lode_dtype dtype; /* of its values, where they are plain; else F32 */
    int values;       /* of a block; 1: plain */
    int bytes;
    void (*decode)(const uint8_t *block, float *values); /* NULL: plain */
} lode_i_gguf_type;
/** NULL: none that is known. */
const lode_i_gguf_type *lode_i_gguf_find(uint32_t code);
/** Its name, known or not. */
const char *lode_i_gguf_name(uint32_t code);

#endif
