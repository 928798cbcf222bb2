/* The engine under the reductions: values reach a piece function in f64, in flat order, at most
 * 1024 at a time; blocks of LODE_SUM_BLOCK values are threaded and joined in order. */
#ifndef LODE_REDUCE_H
#define LODE_REDUCE_H

#include "array/walk.h"

/* What a block, or a stretch of one, came to. { 0 } is nothing yet. */
typedef struct lode_i_part {
    double a[8], b[8]; /* lanes of two sums */
    double most;       /* largest |value|; NaN when one is NaN */
    lode_stats stats;
    lode_diff diff;
} lode_i_part;

struct lode_reduction;
/** n values from position `at` of the whole on; complex ones are pairs. y is the second operand. */
typedef void (*lode_piece_fn)(const struct lode_reduction *r, lode_i_part *part, int64_t at,
                              int64_t n, const double *x, const double *y);

typedef struct lode_reduction {
    lode_piece_fn piece;
    /** The same for contiguous f32 values (pairs: c64), or NULL: saves the way through f64. False,
     *  and the part as it was, where these take that way all the same. */
    bool (*single)(const struct lode_reduction *r, lode_i_part *part, int64_t at, int64_t n,
                   const float *x, const float *y);
    bool complex;    /* pieces are pairs */
    double factor;   /* of scaled sums */
    int64_t seen;    /* values of the whole before this array */
    lode_sum *a, *b; /* NULL: not wanted */
    double *most;
    lode_stats *stats;
    lode_diff *diff;
} lode_reduction;

lode_status lode_i_reduce(lode_ctx *ctx, lode_reduction *r, int operands,
                          const lode_array *const *arrays);
void lode_i_stats_merge(lode_stats *into, const lode_stats *next); /* all but the sums */
void lode_i_diff_merge(lode_diff *into, const lode_diff *next);

static inline double lode_i_larger(double a, double b) /* NaN wins */
{
    return a != a ? a : b > a || b != b ? b : a;
}

/* Lane loops: sums of x, of x^2, of (factor x)^2, of (factor x - factor y)^2. */
void lode_i_lanes_sum(double *lane, int64_t at, int64_t n, const double *x);
void lode_i_lanes_sumsq(double *lane, int64_t at, int64_t n, const double *x);
void lode_i_lanes_sumsq_f32(double *lane, int64_t at, int64_t n, const float *x);
void lode_i_lanes_sum_f32(double *lane, int64_t at, int64_t n, const float *x);
void lode_i_lanes_diff_f32(double *lane, int64_t at, int64_t n, const float *x, const float *y);
void lode_i_lanes_scaled(double *lane, int64_t at, int64_t n, const double *x, double factor);
void lode_i_lanes_diff(double *lane, int64_t at, int64_t n, const double *x, const double *y,
                       double factor);

#endif
