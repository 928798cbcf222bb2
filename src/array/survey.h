/* What criteria of rank need of a matrix beside its values: what is observed of it, a block of rows
 * centred with its gaps filled, and the same values without their common structure. */
#ifndef LODE_ARRAY_SURVEY_H
#define LODE_ARRAY_SURVEY_H

#include "array/array.h"

/** What is known after some blocks of rows; start from { 0 } with the arrays of `cols` zeros. */
typedef struct lode_survey {
    double *sum;             /* of each column, observed values */
    int64_t *count;          /* how many these are */
    int64_t rows, cols;      /* rows seen so far */
    int64_t observed;        /* values */
    double min, max, maxabs; /* of them */
    int64_t empty_row;       /* the first row without any; -1: none. Set by lode_i_survey_start */
} lode_survey;
lode_status lode_i_survey_start(lode_ctx *ctx, int64_t cols, lode_survey *s);
void lode_i_survey_free(lode_survey *s);
/** Which values are not observed: none (NaN is then LODE_EDOMAIN, named), NaN, or those equal to
 *  `value`. Infinities are LODE_EDOMAIN always. */
typedef struct lode_gaps {
    bool allowed;
    double value; /* NaN: only NaN */
} lode_gaps;
/** The next rows, f32 or f64, contiguous. name: of the matrix, in messages. */
lode_status lode_i_survey_push(lode_ctx *ctx, const lode_array *block, const lode_gaps *gaps,
                               const char *name, lode_survey *s);
/** In place: (x - mean) scale where observed, 0 where not; mean NULL: 0. seen (NULL: not wanted),
 *  new, same type and shape: 1 where observed, else 0. */
lode_status lode_i_fill_gaps(lode_ctx *ctx, lode_array *block, const lode_gaps *gaps,
                             const double *mean, double scale, lode_array *seen);
/** In place, where seen is 0: entry (i, j) becomes row i of Y times row j of V; of the block's type, all
 *  contiguous. Without columns: 0. */
lode_status lode_i_fill_low_rank(lode_ctx *ctx, lode_array *block, const lode_array *seen,
                                 const lode_array *Y, const lode_array *V);
/** Y, f32, new: each column of A (f32 or f64, contiguous) in a random order of its own, with random
 *  signs where asked. */
lode_status lode_i_shuffle_columns(lode_ctx *ctx, lode_stream s, const lode_array *A, bool signs,
                                   lode_array *Y);

#endif
