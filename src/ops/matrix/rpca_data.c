/* The data of rpca: what was observed, scaled so that no product overflows; noise; and how near to the least of
 * the objective a result is. */
#include <math.h>

#include "linop/linop.h"
#include "ops/matrix/rpca.h"

enum { SAMPLED = 1 << 17 };
#define FAR 4                         /* deviations beyond which an entry is no noise */
#define NORMAL_MAD 1.4826022185056018 /* of a normal law, deviation over median absolute value */

void lode_i_rpca_data_free(lode_i_rpca_data *d)
{
    LODE_FREE(&d->X);
}

void lode_i_rpca_fit_free(lode_i_rpca_fit *f)
{
    LODE_FREE(&f->U, &f->s, &f->V, &f->left, &f->Y, &f->W, &f->trace);
    lode_i_shrink_free(&f->basis);
}

static lode_status hide(lode_ctx *ctx, const lode_missing *missing, const lode_array *mask,
                        lode_array *X)
{
    lode_status st = LODE_OK;
    lode_array seen = { 0 };
    const bool value = missing->kind == LODE_MISSING_VALUE;
    char want[96], have[96];
    if (mask) {
        lode_i_print_shape(mask->ndim, mask->shape, have, sizeof have);
        lode_i_print_shape(2, X->shape, want, sizeof want);
        LODE_REQUIRE(mask->ndim == 2 && mask->shape[0] == X->shape[0] &&
                         mask->shape[1] == X->shape[1],
                     LODE_ESHAPE, "rpca: the mask is %s, X is %s", have, want);
        LODE_TRY(lode_i_as(ctx, mask, X->dtype, &seen));
    }
    if (missing->kind == LODE_MISSING_NONE)
        LODE_TRY(lode_i_require_finite(ctx, X, "X"));
    if (mask || value)
        LODE_TRY(lode_i_robust_hide(ctx, mask ? &seen : NULL, value ? missing->value : NAN, X));
done:
    LODE_FREE(&seen);
    return st;
}

lode_status lode_i_rpca_read(lode_ctx *ctx, lode_value X, const lode_missing *missing,
                             const lode_array *mask, lode_i_rpca_data *d)
{
    lode_status st = LODE_OK;
    lode_array own = { 0 };
    lode_stats s;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM];
    char at[64];
    lode_i_value_shape(X, &d->dtype, &ndim, shape);
    d->dtype = lode_i_arith(d->dtype);
    LODE_TRY(lode_i_as_array(ctx, X, d->dtype, &own));
    LODE_TRY(lode_array_cast(ctx, &own, d->dtype, &d->X));
    LODE_FREE(&own);
    d->m = d->X.shape[0], d->n = d->X.shape[1];
    LODE_TRY(hide(ctx, missing, mask, &d->X));
    LODE_TRY(lode_i_stats(ctx, &d->X, &s));
    if (s.infinite > 0) {
        lode_i_print_index(2, d->X.shape, s.first_infinite, at, sizeof at);
        LODE_REQUIRE(false, LODE_EDOMAIN,
                     "rpca: X%s is infinite; give it as missing, by a mask or as NaN", at);
    }
    LODE_REQUIRE(s.count > 0, LODE_EDOMAIN, "rpca: no entry of X was observed");
    d->observed = s.count;
    d->share = (double)s.count / ((double)d->m * (double)d->n);
    if (s.maxabs > 0)
        frexp(s.maxabs, &d->exponent);
    if (d->exponent != 0) { /* in two steps: 2^1074 is no double */
        LODE_TRY(lode_i_scale(ctx, ldexp(1, -d->exponent / 2), &d->X));
        LODE_TRY(lode_i_scale(ctx, ldexp(1, -d->exponent + d->exponent / 2), &d->X));
        LODE_TRY(lode_i_stats(ctx, &d->X, &s));
    }
    d->most = s.maxabs, d->norm = sqrt(s.sumsq);
done:
    LODE_FREE(&own);
    return st;
}

/* Zhou, Li, Wright, Candes & Ma 2010, section IV: so that noise alone gives L = 0. */
double lode_i_rpca_nu(const lode_i_rpca_data *d, double sigma)
{
    return sqrt(2 * (double)lode_i_max(d->m, d->n) * d->share) * sigma;
}

void lode_i_rpca_noise(lode_i_rpca_fit *f, double sigma)
{
    f->sigma = sigma;
    f->nu = lode_i_rpca_nu(f->d, sigma);
}

lode_status lode_i_rpca_left(lode_ctx *ctx, lode_i_rpca_fit *f)
{
    LODE_FORWARD(lode_array_cast(ctx, &f->U, f->U.dtype, &f->left));
    return lode_i_scale_cols(ctx, &f->left, &f->s);
}

lode_status lode_i_rpca_deviation(lode_ctx *ctx, lode_i_rpca_fit *f, double *sigma)
{
    lode_status st = LODE_OK;
    const lode_i_rpca_data *d = f->d;
    const int64_t size = d->m * d->n, most = lode_i_min(size, SAMPLED);
    const lode_i_robust x = { &d->X, &f->left, &f->V };
    lode_array flat = { 0 }, some = { 0 }, head = { 0 };
    int64_t count = 0;
    LODE_TRY(lode_i_robust_rest(ctx, &x, &f->W));
    LODE_TRY(lode_array_reshape(ctx, &f->W, 1, &size, &flat));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, most, &some));
    for (int64_t i = 0; i < most; i++) { /* spread evenly */
        const double v = lode_i_get1(&flat, (int64_t)((double)i / (double)most * (double)size));
        if (v == v)
            lode_i_set1(&some, count++, v);
    }
    LODE_TRY(lode_array_slice(ctx, &some, 0, 0, count, 1, &head));
    *sigma = 0;
    for (int round = 0; round < 3 && count > 0;
         round++) { /* the median of those that are no outliers */
        int64_t off = 0;
        for (int64_t i = 0; i<count && * sigma> 0; i++)
            off += fabs(lode_i_get1(&head, i)) > FAR * *sigma;
        LODE_TRY(lode_i_quantile_abs(ctx, &head, 0.5 * (1 - (double)off / (double)count), sigma));
        *sigma *= NORMAL_MAD;
    }
done:
    LODE_FREE(&flat, &some, &head);
    return st;
}

/* With |Y|_max <= lambda and |Y|_2 <= 1, <X, Y> - nu/2 |Y|^2 is at most the least of the objective; a Y beyond
 * the second bound is divided by its norm. */
lode_status lode_i_rpca_certify(lode_ctx *ctx, const lode_i_rpca_data *d,
                                const lode_i_robust_rule *rule, const lode_array *s,
                                const lode_array *Y, double pursued, lode_i_rpca_optimum *found)
{
    lode_status st = LODE_OK;
    lode_linop *A = NULL;
    lode_array U = { 0 }, top = { 0 }, V = { 0 };
    lode_i_robust_sums inner;
    lode_svds_info info;
    double norm = 0;
    found->objective = pursued;
    for (int64_t i = 0; i < s->shape[0]; i++)
        found->objective += lode_i_get1(s, i);
    if (!Y)
        goto done;
    const lode_svds_opts o = { .rank = 1,
                               .tol = 4 * lode_i_epsilon(d->dtype) + 1e-9,
                               .op = "rpca" };
    LODE_TRY(lode_linop_from(ctx, lode_from_array(Y), &A));
    LODE_TRY(lode_i_svds(ctx, A, &o, &U, &top, &V, &info));
    LODE_TRY(lode_i_norm_fro(ctx, Y, &norm));
    found->bound = top.shape[0] > 0 ? lode_i_get1(&top, 0) * (1 + o.tol) : 0;
    LODE_TRY(lode_i_robust_inner(ctx, &d->X, Y, &inner));
    const double c = fmax(found->bound, 1);
    const double dual = inner.a / c - rule->nu / 2 * (norm / c) * (norm / c);
    found->gap = found->objective > 0 ? (found->objective - dual) / found->objective : 0;
done:
    LODE_FREE(&A, &U, &top, &V);
    return st < 0 ? st : LODE_OK;
}
