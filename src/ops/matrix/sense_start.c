/* Where the descent of sense begins: small factors, random and imbalanced (Xiong, Ding & Du 2024), or along
 * the leading eigenvectors of what the measurements give back for M = 0 (Ma & Fattahi 2023, section 3). */
#include <math.h>

#include "ops/matrix/sense.h"

enum { POWER_STEPS = 30 };
#define ROOT_2_PI 0.7978845608028654 /* mean of |N(0, 1)| */

double lode_i_sense_unit(const lode_i_sense_data *d)
{
    const double m = (double)d->y.shape[0], kept = (double)d->at[0].shape[0];
    return d->misfit.sign ? sqrt(m) / (kept * ROOT_2_PI) : m / kept;
}

/* Largest singular value of D, from below, by power iteration. */
static lode_status largest(lode_ctx *ctx, const lode_i_sense_map *map, const lode_i_sense_point *p,
                           lode_stream s, double *size)
{
    lode_status st = LODE_OK;
    lode_array v = { 0 }, u = { 0 };
    LODE_TRY(lode_i_randn(ctx, s, map->size.dtype, map->size.n2, 1, &v));
    *size = 0;
    for (int i = 0; i < POWER_STEPS; i++) {
        double norm = 0;
        LODE_TRY(lode_i_norm_fro(ctx, &v, &norm));
        if (!(norm > 0))
            break;
        LODE_TRY(lode_i_scale(ctx, 1 / norm, &v));
        LODE_TRY(lode_i_sense_times(ctx, map, p, false, &v, &u));
        LODE_TRY(lode_i_norm_fro(ctx, &u, size));
        LODE_TRY(lode_i_sense_times(ctx, map, p, true, &u, &v));
    }
done:
    LODE_FREE(&v, &u);
    return st;
}

/* Columns times alpha sqrt(value), 0 where that is negative. */
static lode_status along(lode_ctx *ctx, double alpha, lode_array *values, lode_array *V)
{
    for (int64_t c = 0; c < values->shape[0]; c++)
        lode_i_set1(values, c, alpha * sqrt(fmax(lode_i_get1(values, c), 0)));
    return lode_i_scale_cols(ctx, V, values);
}

/* The best approximation of rank k of what is given back, positive semidefinite where the fit is, times
 * alpha^2 as a product. */
static lode_status spectral(lode_ctx *ctx, lode_i_sense_fit *f, const lode_i_sense_point *zero)
{
    lode_status st = LODE_OK;
    lode_array D = { 0 }, C = { 0 }, w = { 0 }, values = { 0 }, turned = { 0 };
    LODE_TRY(lode_i_sense_back(ctx, f->map, zero, &D));
    LODE_TRY(lode_i_scale(ctx, -lode_i_sense_unit(f->d), &D));
    if (f->param == LODE_SENSE_SYM) {
        turned = lode_i_transposed(&D);
        LODE_TRY(lode_array_cast(ctx, &D, D.dtype, &C));
        LODE_TRY(lode_i_axpy(ctx, 1, &turned, &C));
        LODE_TRY(lode_i_scale(ctx, 0.5, &C));
        LODE_TRY(lode_i_eigh(ctx, &C, f->k, &values, &f->p.F));
        LODE_TRY(along(ctx, f->alpha, &values, &f->p.F));
    } else {
        LODE_TRY(lode_i_svd(ctx, &D, f->k, &f->p.F, &values, &f->p.G));
        LODE_TRY(lode_array_cast(ctx, &values, values.dtype, &w));
        LODE_TRY(along(ctx, f->alpha, &values, &f->p.F));
        LODE_TRY(along(ctx, f->alpha, &w, &f->p.G));
    }
done:
    LODE_FREE(&D, &C, &w, &values);
    return st;
}

/* Entries N(0, alpha^2 / n): G a third of F, so that F^T F - G^T G, which gradient flow keeps, is about
 * alpha^2 I and no direction of F is lost. */
static lode_status gaussian(lode_ctx *ctx, lode_i_sense_fit *f, double size)
{
    lode_status st = LODE_OK;
    const lode_i_sense_sizes *s = &f->map->size;
    const double alpha = f->alpha * sqrt(size > 0 ? size : 1);
    lode_stream other = f->start;
    other.salt[1] += 0x9e3779b9u;
    LODE_TRY(lode_i_randn(ctx, f->start, s->dtype, s->n1, f->k, &f->p.F));
    LODE_TRY(lode_i_scale(ctx, alpha / sqrt((double)s->n1), &f->p.F));
    if (f->param == LODE_SENSE_SYM)
        goto done;
    if (f->broken_balance && s->n1 == s->n2) {
        LODE_TRY(lode_array_cast(ctx, &f->p.F, s->dtype, &f->p.G));
        goto done;
    }
    LODE_TRY(lode_i_randn(ctx, other, s->dtype, s->n2, f->k, &f->p.G));
    LODE_TRY(lode_i_scale(ctx, alpha / 3 / sqrt((double)s->n2), &f->p.G));
done:
    return st;
}

lode_status lode_i_sense_start(lode_ctx *ctx, lode_i_sense_fit *f, double *size)
{
    lode_status st = LODE_OK;
    lode_i_sense_point zero = { 0 };
    const lode_i_sense_sizes *s = &f->map->size;
    LODE_TRY(lode_array_zeros(ctx, s->dtype, 2, (const int64_t[]){ s->n1, 1 }, &zero.F));
    LODE_TRY(lode_array_zeros(ctx, s->dtype, 2, (const int64_t[]){ s->n2, 1 }, &zero.G));
    LODE_TRY(lode_i_sense_look(ctx, f->map, f->d, &zero));
    LODE_TRY(largest(ctx, f->map, &zero, f->start, size));
    *size *= lode_i_sense_unit(f->d);
    if (f->spectral)
        LODE_TRY(spectral(ctx, f, &zero));
    else
        LODE_TRY(gaussian(ctx, f, *size));
    if (!(f->d->scale > 0)) { /* y = 0: so is M */
        LODE_TRY(lode_i_scale(ctx, 0, &f->p.F));
        if (f->p.G.data)
            LODE_TRY(lode_i_scale(ctx, 0, &f->p.G));
    }
done:
    lode_i_sense_point_free(&zero);
    return st;
}
