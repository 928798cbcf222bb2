/* Values at scattered places, each place one row of a table for every mode; multilinear forms in these rows, and
 * the sums over places that fits of them take. All in f64. */
#ifndef LODE_SCATTERED_H
#define LODE_SCATTERED_H

#include "linalg/linalg.h"

enum { LODE_I_SCATTERED_MODES = 8 };

typedef struct lode_i_scattered {
    int d;
    int64_t n;        /* places */
    lode_array value; /* n; none: places alone */
    double sumsq;     /* of the values */
    /* of each mode: distinct indexes, ascending; of each place which of them (i64, n); places by that,
     * those of index j being order[first[j]] .. order[first[j + 1] - 1], in their own order (i64) */
    lode_array grid[LODE_I_SCATTERED_MODES], row[LODE_I_SCATTERED_MODES],
        first[LODE_I_SCATTERED_MODES], order[LODE_I_SCATTERED_MODES];
} lode_i_scattered;
void lode_i_scattered_free(lode_i_scattered *s);
/** Columns 0 .. d - 1 of a table (f64, contiguous, finite), of all rows or those of `take` (i64), and as values
 *  column d less `offset`, over `scale`, where `valued`. */
lode_status lode_i_scattered_from(lode_ctx *ctx, const lode_array *table, int d, bool valued,
                                  double offset, double scale, const lode_array *take,
                                  lode_i_scattered *s);
/** Bytes of one of so many places, and beside it while it is made. */
uint64_t lode_i_scattered_bytes(int d, int64_t n);

/** The rows of each mode's table as independent random vectors u: means (g x r) and second moments, packed:
 *  E u_i u_j, j <= i, g x r (r + 1) / 2. And the core, of r_0 x .. x r_(d-1) values w in row-major order: mean
 *  (flat), and second moments summed over the pairs that meet the same packed moments of u, so that
 *  E f^2 = sum of packed times the product of packed second moments. */
typedef struct lode_i_multilinear {
    int d;
    int64_t r[LODE_I_SCATTERED_MODES];
    lode_array mean[LODE_I_SCATTERED_MODES], second[LODE_I_SCATTERED_MODES];
    lode_array core, packed;
} lode_i_multilinear;
void lode_i_multilinear_free(lode_i_multilinear *m);
int64_t lode_i_packed_size(int d, const int64_t *r);
/** second, given, from mean and covariance (g x r x r). */
void lode_i_pack_moments(const lode_array *mean, const lode_array *cov, lode_array *second);
/** m->packed, new, from m->core and its covariance (K x K). */
lode_status lode_i_pack_core(lode_ctx *ctx, const lode_array *cov, lode_i_multilinear *m);
/** A[i, j] = scale sums[what the pair (i, j) of entries of the core meets] + (i = j): K x K, new. */
lode_status lode_i_unpack_core(lode_ctx *ctx, int d, const int64_t *r, const lode_array *sums,
                               double scale, lode_array *A);
/** Of every index of mode k, what the values at its places say of its row, all else as in m: precision (g x r x
 *  r) = tau sum E a a' and shift (g x r) = tau sum y E a, where f = a'u; both given, of which a share 1 - step
 *  of what is there stays. */
lode_status lode_i_scattered_messages(lode_ctx *ctx, const lode_i_scattered *s,
                                      const lode_i_multilinear *m, int k, double tau, double step,
                                      lode_array *precision, lode_array *shift);
/** The same of the core: sums over places of products of second moments (packed), and of y times products of
 *  means (K), new. */
lode_status lode_i_scattered_sums(lode_ctx *ctx, const lode_i_scattered *s,
                                  const lode_i_multilinear *m, lode_array *seconds,
                                  lode_array *firsts);
/** E f and the variance of f at every place, new. */
lode_status lode_i_scattered_values(lode_ctx *ctx, const lode_i_scattered *s,
                                    const lode_i_multilinear *m, lode_array *mean,
                                    lode_array *variance);
/** Bytes beside outputs that these take at most with so many workers. */
uint64_t lode_i_scattered_room(int d, const int64_t *r, int64_t n, int workers);

#endif
