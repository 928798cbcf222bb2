/* Data of rescal: which axis counts relations, what is known, of what sign. */
#include <math.h>

#include "linalg/nonneg.h"
#include "ops/tensor/rescal.h"

void lode_i_rescal_close(rescal_data *d)
{
    lode_i_relations_free(&d->x);
    *d = (rescal_data){ 0 };
}

lode_status lode_i_rescal_axis(lode_ctx *ctx, const lode_rescal_opts *o, const int64_t *shape,
                               int *axis)
{
    static const int other[3][2] = { { 1, 2 }, { 0, 2 }, { 0, 1 } };
    *axis = -1;
    if (o->axis.given) {
        *axis = (int)o->axis.value;
    } else { /* the last one where all agree */
        for (int a = 0; a < 3; a++)
            *axis = shape[other[a][0]] == shape[other[a][1]] ? a : *axis;
        if (*axis < 0)
            return lode_i_fail(ctx, LODE_ESHAPE,
                               "rescal: X is %" PRId64 " x %" PRId64 " x %" PRId64
                               ", but relations are square: two of its sizes must agree",
                               shape[0], shape[1], shape[2]);
    }
    const int64_t rows = shape[other[*axis][0]], cols = shape[other[*axis][1]];
    if (rows != cols)
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "rescal: relations along axis %d of X are %" PRId64 " x %" PRId64
                           ", not square; name another --axis",
                           *axis, rows, cols);
    return LODE_OK;
}

/* Values as m x n x n. */
static lode_status turned(lode_ctx *ctx, const rescal_data *d, lode_dtype dtype,
                          const lode_array *a, lode_array *out)
{
    static const int order[3][3] = { { 0, 1, 2 }, { 1, 0, 2 }, { 2, 0, 1 } };
    lode_array view = { 0 };
    LODE_FORWARD(lode_array_permute(ctx, a, order[d->axis], &view));
    const lode_status st = lode_i_as(ctx, &view, dtype, out);
    LODE_FREE(&view);
    return st;
}

static lode_status refuse_missing(lode_ctx *ctx, const lode_rescal_opts *o, const rescal_data *d)
{
    if (!d->nonneg)
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "rescal: values are missing, which only the nonnegative updates leave "
                           "out; fill them, or take --nonneg true for data >= 0");
    return lode_i_refuse_infinities(ctx, "rescal", &o->missing, "factor");
}

/* Where values are missing or masked: x.known, and 0 in their place. */
static lode_status leave_out(lode_ctx *ctx, const lode_rescal_opts *o, rescal_data *d)
{
    lode_status st = LODE_OK;
    lode_array mask = { 0 }, own = { 0 };
    if (o->mask) {
        LODE_REQUIRE(o->mask->ndim == 3 && o->mask->shape[0] == d->shape[0] &&
                         o->mask->shape[1] == d->shape[1] && o->mask->shape[2] == d->shape[2],
                     LODE_ESHAPE,
                     "rescal: option mask must have the shape of X, %" PRId64 " x %" PRId64
                     " x %" PRId64,
                     d->shape[0], d->shape[1], d->shape[2]);
        LODE_TRY(turned(ctx, d, d->x.dtype, o->mask, &mask));
    }
    LODE_TRY(lode_array_cast(ctx, &d->x.X, d->x.dtype, &own));
    lode_array_swap(&d->x.X, &own);
    LODE_TRY(lode_i_relations_known(ctx, &d->x, &o->missing, o->mask ? &mask : NULL, &d->known));
    LODE_REQUIRE(d->known > 0, LODE_EDOMAIN, "rescal: no value of X is known");
done:
    LODE_FREE(&mask, &own);
    return st;
}

/* Far from 1, where squares would leave the type. */
static lode_status rescale(lode_ctx *ctx, rescal_data *d)
{
    lode_status st = LODE_OK;
    lode_stats s;
    lode_array own = { 0 };
    const double far = d->dtype == LODE_F32 ? 1e12 : 1e100;
    LODE_TRY(lode_i_stats(ctx, &d->x.X, &s));
    if (s.maxabs > 0 && (s.maxabs > far || s.maxabs < 1 / far)) {
        LODE_REQUIRE(isfinite(1 / s.maxabs), LODE_EDOMAIN,
                     "rescal: no value of X is larger than %g; scale X", s.maxabs);
        LODE_TRY(lode_array_cast(ctx, &d->x.X, d->dtype, &own));
        LODE_TRY(lode_i_scale(ctx, 1 / s.maxabs, &own));
        lode_array_swap(&d->x.X, &own);
        d->unit = s.maxabs;
    }
done:
    LODE_FREE(&own);
    return st;
}

/* NaN, infinities, signs: of what counts, in the order of X. */
static lode_status check_values(lode_ctx *ctx, const lode_rescal_opts *o, const lode_array *a,
                                const lode_missing *missing, rescal_data *d)
{
    lode_stats s;
    LODE_FORWARD(lode_i_stats(ctx, a, &s));
    d->nonneg = o->nonneg == LODE_RESCAL_NONNEG || (o->nonneg == LODE_RESCAL_AUTO && !(s.min < 0));
    if (missing || d->x.known.data)
        LODE_FORWARD(refuse_missing(ctx, o, d));
    if (d->nonneg)
        return lode_i_require_nonneg(ctx, lode_from_array(a), missing, "rescal", NULL);
    return lode_i_require_finite(ctx, a, "X");
}

static lode_status open_dense(lode_ctx *ctx, const lode_rescal_opts *o, lode_value X,
                              lode_status (*gaps)(lode_ctx *ctx, void *state), void *state,
                              rescal_data *d)
{
    lode_status st = LODE_OK;
    static const int back[3][3] = { { 0, 1, 2 }, { 1, 0, 2 }, { 1, 2, 0 } };
    lode_stats s;
    lode_array a = { 0 }, view = { 0 };
    LODE_TRY(lode_i_as_array(ctx, X, d->dtype, &a));
    LODE_TRY(lode_i_stats(ctx, &a, &s));
    const bool some = o->mask || o->missing.kind == LODE_MISSING_VALUE ||
                      (s.missing > 0 && o->missing.kind == LODE_MISSING_NAN);
    if (!o->mask)
        LODE_TRY(check_values(ctx, o, &a, some ? &o->missing : NULL, d));
    if (some && gaps)
        LODE_TRY(gaps(ctx, state));
    LODE_TRY(turned(ctx, d, d->dtype, &a, &d->x.X));
    LODE_FREE(&a);
    d->known = lode_array_size(&d->x.X);
    if (some)
        LODE_TRY(leave_out(ctx, o, d));
    if (o->mask) {
        LODE_TRY(lode_array_permute(ctx, &d->x.X, back[d->axis], &view));
        LODE_TRY(check_values(ctx, o, &view, NULL, d));
    }
    LODE_TRY(rescale(ctx, d));
done:
    LODE_FREE(&a, &view);
    return st;
}

static lode_status open_sparse(lode_ctx *ctx, const lode_rescal_opts *o, const lode_sparse *X,
                               rescal_data *d)
{
    lode_status st = LODE_OK;
    lode_stats s;
    LODE_REQUIRE(!o->mask, LODE_EUSAGE,
                 "rescal: of a sparse X every value that it does not hold is 0, and option mask "
                 "is for a dense one");
    LODE_TRY(lode_i_relations_sparse(ctx, X, d->axis, &d->x));
    LODE_TRY(lode_i_stats(ctx, &X->values, &s));
    d->nonneg = o->nonneg == LODE_RESCAL_NONNEG || (o->nonneg == LODE_RESCAL_AUTO && !(s.min < 0));
    if (d->nonneg)
        LODE_TRY(lode_i_require_nonneg(ctx, lode_from_sparse(X), NULL, "rescal", NULL));
    d->known = d->shape[0] * d->shape[1] * d->shape[2];
done:
    return st;
}

lode_status lode_i_rescal_open(lode_ctx *ctx, const lode_rescal_opts *o, lode_value X,
                               lode_status (*gaps)(lode_ctx *ctx, void *state), void *state,
                               rescal_data *d)
{
    lode_status st = LODE_OK;
    rescal_data y = { .unit = 1 };
    int ndim = 0;
    lode_dtype stored;
    int64_t shape[LODE_MAX_NDIM];
    LODE_REQUIRE(lode_i_value_shape(X, &stored, &ndim, shape) && ndim == 3, LODE_ESHAPE,
                 "rescal: X has %d axes; it takes 3", ndim);
    for (int i = 0; i < 3; i++)
        y.shape[i] = shape[i];
    LODE_TRY(lode_i_rescal_axis(ctx, o, shape, &y.axis));
    y.dtype = X.kind == LODE_SPARSE ? LODE_F64 : lode_i_arith(stored);
    y.x.n = shape[y.axis == 0], y.x.m = shape[y.axis], y.x.dtype = y.dtype;
    LODE_REQUIRE(y.x.n > 0 && y.x.m > 0, LODE_ESHAPE,
                 "rescal: X is %" PRId64 " x %" PRId64 " x %" PRId64 "; it needs a value", shape[0],
                 shape[1], shape[2]);
    LODE_TRY(X.kind == LODE_SPARSE ? open_sparse(ctx, o, X.as.sparse, &y)
                                   : open_dense(ctx, o, X, gaps, state, &y));
    LODE_TRY(lode_i_relations_norm(ctx, &y.x));
    LODE_REQUIRE(y.x.sumsq < 1e290 && (y.x.sumsq <= 0 || y.x.sumsq > 1e-250), LODE_EDOMAIN,
                 "rescal: the squares of X sum to %g; scale X", y.x.sumsq);
    lode_i_rescal_close(d);
    *d = y;
    y = (rescal_data){ 0 };
done:
    lode_i_rescal_close(&y);
    return st;
}
