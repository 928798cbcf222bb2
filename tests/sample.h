/* Random calls of any operation, made from its descriptor: inputs of the kinds, types and shapes it
 * declares, options as in its example. */
#ifndef LODE_TEST_SAMPLE_H
#define LODE_TEST_SAMPLE_H

#include "op/op.h"

typedef enum sample_shape {
    SAMPLE_NORMAL,
    SAMPLE_EMPTY,
    SAMPLE_ONE,
    SAMPLE_TALL,
    SAMPLE_WIDE,
    SAMPLE_SMALL /* 1 to 7 an axis: thousands of calls a minute */
} sample_shape;

typedef struct sample_spec {
    uint64_t seed;
    /* of every array input; one the op does not take becomes the first that it takes */
    lode_dtype dtype;
    sample_shape shape;
    bool strided; /* inputs are views with gaps and reversed axes */
    bool source;  /* dense inputs are given as sources */
    bool fuzz; /* options at random instead of the example's, and odd values in every other input */
} sample_spec;

typedef struct sample {
    lode_call call;
    lode_array array[LODE_MAX_PORTS * 3], base[LODE_MAX_PORTS * 3];
    lode_source source[LODE_MAX_PORTS * 3];
    int arrays;
    char text[LODE_MAX_PORTS][64];
} sample;

/** Whether the op takes arrays of this type at its first dense port (true when it has none). */
bool sample_takes(const lode_op *op, lode_dtype dtype);
/** Fails only on memory or, when fuzzing, on options that are refused. */
lode_status sample_make(lode_ctx *ctx, const lode_op *op, const sample_spec *spec, sample *s);
void sample_free(sample *s);
/** The first dense input, or NULL. */
const lode_array *sample_input(const sample *s);
/** Same names, kinds, types, shapes and bits; prints the first difference. */
bool sample_same(const lode_bundle *a, const lode_bundle *b);

#endif
