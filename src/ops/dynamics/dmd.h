/* Private to dmd: snapshots, fits, verbs. */
#ifndef LODE_OPS_DMD_H
#define LODE_OPS_DMD_H

#include <complex.h>
#include <string.h>

#include "iter/iter.h"
#include "linalg/linalg.h"
#include "lode/dynamics.h"
#include "op/op.h"

typedef double complex lode_i_cplx;

/* C11's CMPLX, which not every compiler has: exact for infinities too. */
static inline lode_i_cplx lode_i_z(double re, double im)
{
    const double parts[2] = { re, im };
    lode_i_cplx z;
    memcpy(&z, parts, sizeof z);
    return z;
}

static inline lode_i_cplx lode_i_zget(const lode_array *a, int64_t i, int64_t j)
{
    double z[2];
    lode_i_get_complex(a, i, j, z);
    return lode_i_z(z[0], z[1]);
}

static inline void lode_i_zset(lode_array *a, int64_t i, int64_t j, lode_i_cplx v)
{
    const double z[2] = { creal(v), cimag(v) };
    lode_i_set_complex(a, i, j, z);
}

typedef struct lode_i_dmd_data {
    lode_array X;       /* m x n, f64 or c128, contiguous */
    lode_array T;       /* rows of `delays` snapshots each: a view of X */
    lode_array times;   /* m, f64 */
    lode_array some;    /* the first times, one for each row of T */
    double dt;          /* mean time between snapshots */
    lode_dtype dtype;   /* arithmetic type of what was given */
    double norm, scale; /* of X; a power of two that it was multiplied by */
} lode_i_dmd_data;

typedef struct lode_i_dmd_fit {
    int64_t r;
    lode_i_cplx *rate, *amplitude;
    lode_array modes; /* n x r, c128 */
    lode_array trace; /* of optimized */
    int64_t asked;    /* modes that were asked for, or found above noise */
} lode_i_dmd_fit;
void lode_i_dmd_free(lode_i_dmd_fit *f);
lode_status lode_i_dmd_solve(lode_ctx *ctx, const lode_dmd_opts *o, const lode_i_dmd_data *d,
                             int64_t most, lode_i_dmd_fit *f);
/** Rates of exponentials in `times` that fit the rows of Z (m x k, c128) best in least squares, from those given:
 *  variable projection, Levenberg-Marquardt. B: r x k, what they are multiplied by, at times[0]. rest2: squares
 *  of what Z leaves out; trace: relative errors of Z and that. */
lode_status lode_i_dmd_optimize(lode_ctx *ctx, const lode_dmd_opts *o, const lode_array *times,
                                const lode_array *Z, double rest2, lode_i_cplx *rate, int64_t r,
                                lode_array *B, lode_array *trace);

/** Of searches from several rates to begin with, the one that ends lowest: f->rate, f->trace, B. Z: coordinates, as
 *  they are, and as c128. */
lode_status lode_i_dmd_search(lode_ctx *ctx, const lode_dmd_opts *o, const lode_i_dmd_data *d,
                              const lode_array *Z, const lode_array *wide, double rest2,
                              lode_i_dmd_fit *f, lode_array *B);

/** F = A^+ B; plus: A^+. */
lode_status lode_i_dmd_map(lode_ctx *ctx, const lode_array *A, const lode_array *B,
                           lode_array *plus, lode_array *F);
lode_status lode_i_dmd_transposed(lode_ctx *ctx, const lode_array *A, lode_array *out);
/** Y = op(A) W, A f64 or c128 and W c128. */
lode_status lode_i_dmd_times(lode_ctx *ctx, lode_trans t, const lode_array *A, const lode_array *W,
                             lode_array *Y);
/** count x n: sum_j modes[:, j] amplitude_j exp(rate_j (t - t_0)) at each time; its real part, f64, where
 *  `real`. */
lode_status lode_i_dmd_expand(lode_ctx *ctx, const lode_array *t, double t0, const lode_array *rate,
                              const lode_array *amplitude, const lode_array *modes, bool real,
                              lode_array *Y);
lode_status lode_i_dmd_vector(lode_ctx *ctx, const lode_i_cplx *z, int64_t n, lode_array *v);

lode_status lode_i_dmd_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                             lode_bundle *result);
lode_status lode_i_dmd_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                              const lode_part *part, lode_array *out);
lode_status lode_i_dmd_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                              lode_certificate *found);
lode_status lode_i_dmd_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                            lode_figure *figure);

#endif
