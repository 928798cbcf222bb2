/* What the two files of local prediction share: axes longer than 1, and the order of coding. */
#ifndef LODE_CODE_PREDICT_H
#define LODE_CODE_PREDICT_H

#include "code/code.h"

/* The symbol of a value that comes as it is: past all others, and small enough that magnitudes
 * keep their low bits in the coder's contexts. */
enum { ESCAPE = (1 << 22) - 1 };

typedef struct field {
    int ndim; /* at least 1 */
    int64_t size, shape[LODE_MAX_NDIM], stride[LODE_MAX_NDIM];
} field;
void predict_field(int ndim, const int64_t *shape, field *f);

/* Values that are coded together: odd multiples of the stride along the axes `odd`, even ones along
 * the others, all along axes apart. */
typedef struct lattice {
    int level;
    uint32_t odd;
    int64_t stride, first, size; /* first: of the symbols */
    int64_t start[LODE_MAX_NDIM], step[LODE_MAX_NDIM], count[LODE_MAX_NDIM];
    double weight[LODE_MAX_NDIM];
} lattice;
/** Goes to the next lattice (from { .level = -1 }: the first); false past the last. */
bool predict_next(const field *f, const lode_predictor *p, lattice *c);

/** Fills r->y from the symbols and escapes. */
lode_status predict_decode(lode_ctx *ctx, const lode_array *set, const lode_predictor *p,
                           lode_predicted *r);

int predict_levels(const field *f, const lode_predictor *p);
static inline int predict_axis(int k)
{
    return k < 8 ? k : 7;
}

#endif
