/* How far measurements are off, and inner products row by row: one pass over vectors as long as the
 * measurements are many, beside which the products with A weigh. */
#include "linalg/misfit.h"

#include <math.h>

#define REAL float
#define NAME(x) x##_f32
#include "linalg/misfit_kernel.inc"
#define REAL double
#define NAME(x) x##_f64
#include "linalg/misfit_kernel.inc"

void lode_i_misfit_rows(const lode_i_misfit *f, int64_t i0, lode_array *r, lode_array *w)
{
    const int64_t n = lode_array_size(r);
    if (r->dtype == LODE_F32)
        misfit_f32(n, lode_i_at(f->y, i0), lode_i_at(f->keep, i0), f->sign, r->data, w->data);
    else
        misfit_f64(n, lode_i_at(f->y, i0), lode_i_at(f->keep, i0), f->sign, r->data, w->data);
}

void lode_i_misfit_sums(const lode_i_misfit *f, int power, const lode_array *v, double *fitted,
                        double *held)
{
    lode_sum sums[2] = { 0 };
    const int64_t n = lode_array_size(v);
    if (v->dtype == LODE_F32)
        powers_f32(n, power, v->data, f->keep->data, &sums[0], &sums[1]);
    else
        powers_f64(n, power, v->data, f->keep->data, &sums[0], &sums[1]);
    *fitted = lode_i_sum_total(&sums[0]), *held = lode_i_sum_total(&sums[1]);
}

enum { TASK_VALUES = 1 << 15 };
typedef struct job {
    const lode_array *P, *Q;
    lode_array *d;
    double scale;
    int64_t rows; /* of a task */
} job;

static lode_status dots(lode_ctx *ctx, int64_t i, void *data)
{
    (void)ctx;
    const job *j = data;
    const int64_t k = j->P->shape[1], i0 = i * j->rows,
                  rows = lode_i_min(j->rows, j->P->shape[0] - i0);
    const void *p = lode_i_at(j->P, i0 * k), *q = lode_i_at(j->Q, i0 * k);
    if (j->d->dtype == LODE_F32)
        dots_f32(rows, k, j->scale, p, q, lode_i_at(j->d, i0));
    else
        dots_f64(rows, k, j->scale, p, q, lode_i_at(j->d, i0));
    return LODE_OK;
}

lode_status lode_i_row_dots(lode_ctx *ctx, double scale, const lode_array *P, const lode_array *Q,
                            lode_array *d)
{
    lode_status st = LODE_OK;
    lode_array made = { 0 };
    job j = { .P = P, .Q = Q, .d = &made, .scale = scale };
    j.rows = lode_i_max(1, TASK_VALUES / lode_i_max(1, P->shape[1]));
    LODE_TRY(lode_i_matrix_new(ctx, P->dtype, P->shape[0], 1, &made));
    LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(P->shape[0], j.rows), dots, &j));
    lode_array_swap(d, &made);
done:
    LODE_FREE(&made);
    return st;
}
