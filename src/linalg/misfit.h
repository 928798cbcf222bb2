/* What iterations over measurements y ~ A x need of each measurement: how far it is off, and the weight with
 * which its row goes back. Arrays contiguous, f32 or f64, all of one type. */
#ifndef LODE_MISFIT_H
#define LODE_MISFIT_H

#include "linalg/linalg.h"

/** Loss over measurements: half the squares, whose gradient weighs row i by what it is off, or the sum of
 *  absolute values, whose sub-gradient weighs it by the sign of that, 0 where it is 0. */
typedef struct lode_i_misfit {
    const lode_array *y;    /* m */
    const lode_array *keep; /* m: 1, or 0: kept back, its weight is 0 */
    bool sign;              /* absolute values */
} lode_i_misfit;
/** Rows i0 .. of A x in r become r - y, and w their weights; r and w hold one value a row. */
void lode_i_misfit_rows(const lode_i_misfit *f, int64_t i0, lode_array *r, lode_array *w);
/** Sums of |v_i|^power (1 or 2) over what is fitted and what is kept back, in f64, in a fixed order. */
void lode_i_misfit_sums(const lode_i_misfit *f, int power, const lode_array *v, double *fitted,
                        double *held);
/** d (m x 1, new): d_i = scale sum_c P_ic Q_ic. */
lode_status lode_i_row_dots(lode_ctx *ctx, double scale, const lode_array *P, const lode_array *Q,
                            lode_array *d);

#endif
