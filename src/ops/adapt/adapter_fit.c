/* Task fit: the adapter of rank r that least squares give from inputs and outputs of a layer.
 *
 * min ||Y - X (W0 + B A)'||, E = Y - X W0'. With X = P diag(d) Z', E = P P'E + rest, and P'E and diag(d) Z' (B
 * A)' are all that meet: (B A)' = Z diag(1/d) [P'E]_r, reduced-rank regression. Directions that X lacks
 * stay as W0 has them. */
#include <math.h>
#include <string.h>

#include "ops/adapt/adapter.h"

/* The matrix of a module in a file, or the only one of a file that has one: N x n. */
static lode_status of_module(lode_ctx *ctx, const lode_bundle *file, const lode_i_layer *l,
                             const char *what, int64_t cols, lode_dtype dtype, lode_array *x)
{
    lode_status st = LODE_OK;
    lode_array whole = { 0 };
    lode_dtype stored = LODE_F32;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM], rows = 1;
    lode_value v = lode_bundle_get(file, l->module);
    if (v.kind == LODE_NONE)
        v = lode_bundle_get(file, l->name);
    if (v.kind == LODE_NONE && file->count == 1)
        v = lode_bundle_value(file, 0);
    if (v.kind == LODE_NONE) /* of other layers */
        goto done;
    LODE_REQUIRE(lode_i_value_shape(v, &stored, &ndim, shape) && ndim >= 1 &&
                     shape[ndim - 1] == cols && lode_dtype_class(stored) == 'f',
                 LODE_ESHAPE,
                 "adapter: %s of %s must be real with %" PRId64 " values in its last axis", what,
                 l->module, cols);
    for (int i = 0; i + 1 < ndim; i++)
        rows *= shape[i];
    LODE_TRY(lode_i_as_array(ctx, v, dtype, &whole));
    LODE_TRY(lode_i_require_finite(ctx, &whole, what));
    LODE_TRY(lode_array_reshape(ctx, &whole, 2, (const int64_t[]){ rows, cols }, x));
done:
    LODE_FREE(&whole);
    return st;
}

typedef struct problem {
    lode_array X, E, Z, d, T; /* T = P'E; Z in x k */
    double norm, seen;        /* of E, of T */
    double before;            /* of W0 */
} problem;

static void free_problem(problem *q)
{
    LODE_FREE(&q->X, &q->E, &q->Z, &q->d, &q->T);
}

/* X empty: no data of this layer. */
static lode_status open_problem(lode_ctx *ctx, const lode_i_adapter *a, const lode_i_layer *l,
                                problem *q)
{
    lode_status st = LODE_OK;
    lode_array W = { 0 }, P = { 0 }, some = { 0 };
    const lode_dtype dtype = lode_i_adapter_type(l);
    LODE_TRY(of_module(ctx, a->more[0], l, "X", l->cols, dtype, &q->X));
    if (!q->X.data)
        goto done;
    LODE_TRY(of_module(ctx, a->more[1], l, "Y", l->rows, dtype, &some));
    LODE_REQUIRE(some.data && some.shape[0] == q->X.shape[0], LODE_ESHAPE,
                 "adapter: X of %s has %" PRId64 " rows, Y %" PRId64, l->module, q->X.shape[0],
                 some.data ? some.shape[0] : 0);
    LODE_TRY(lode_array_cast(ctx, &some, dtype, &q->E));
    LODE_TRY(lode_i_adapter_load(ctx, l->name, l->value, l->rows, l->cols, dtype, &W, &q->before));
    LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_T, -1, &q->X, &W, 1, &q->E));
    LODE_FREE(&W);
    LODE_TRY(lode_i_norm_fro(ctx, &q->E, &q->norm));
    const int64_t side = lode_i_min(q->X.shape[0], q->X.shape[1]);
    LODE_TRY(lode_i_svd(ctx, &q->X, side, &P, &q->d, &q->Z));
    const double least = side > 0 ? lode_i_get1(&q->d, 0) * lode_i_epsilon(dtype) *
                                        (double)lode_i_max(q->X.shape[0], q->X.shape[1])
                                  : 0;
    for (int64_t i = 0; i < side; i++) { /* 1 / d, 0 where X says nothing */
        const double d = lode_i_get1(&q->d, i);
        lode_i_set1(&q->d, i, d > least ? 1 / d : 0);
        if (!(d > least)) {
            lode_array column = lode_i_cols(&P, i, i + 1);
            const lode_status filled = lode_i_fill(ctx, &column, 0);
            lode_array_free(&column);
            LODE_TRY(filled);
        }
    }
    LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &P, &q->E, &q->T));
    LODE_TRY(lode_i_norm_fro(ctx, &q->T, &q->seen));
done:
    LODE_FREE(&W, &P, &some);
    return st;
}

static lode_status spectrum(lode_ctx *ctx, lode_i_adapter *a, const lode_i_layer *l,
                            const lode_i_want *want, double *norm, lode_array *s)
{
    lode_status st = LODE_OK;
    problem q = { .norm = 0 };
    lode_array U = { 0 }, V = { 0 };
    LODE_TRY(open_problem(ctx, a, l, &q));
    *norm = q.norm;
    if (q.X.data && q.seen > 0)
        LODE_TRY(lode_i_adapter_svd(ctx, &q.T, q.seen, want, &U, s, &V));
    else
        *norm = 0;
done:
    free_problem(&q);
    LODE_FREE(&U, &V);
    return st;
}

/* B (out x r) and A' (in x r) from T = P'E. */
static lode_status solve(lode_ctx *ctx, problem *q, const lode_i_want *want, lode_array *B,
                         lode_array *At)
{
    lode_status st = LODE_OK;
    lode_array U = { 0 }, s = { 0 }, M = { 0 };
    lode_i_want own = *want;
    if (lode_i_broken(ctx, "low-rank-tales")) { /* the unrestricted solution, cut */
        LODE_TRY(lode_i_scale_rows(ctx, &q->T, &q->d));
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &q->Z, &q->T, &M));
        LODE_TRY(lode_i_adapter_svd(ctx, &M, q->seen, &own, At, &s, B));
        LODE_TRY(lode_i_scale_cols(ctx, At, &s));
        goto done;
    }
    if (own.tail >= 0) { /* what no rank reaches is left out already */
        const double tail = own.relative ? own.tail * q->norm : own.tail;
        own.tail = sqrt(fmax(tail * tail - (q->norm * q->norm - q->seen * q->seen), 0));
        own.relative = false;
    }
    LODE_TRY(lode_i_adapter_svd(ctx, &q->T, q->seen, &own, &U, &s, B));
    for (int64_t i = 0; i < s.shape[0]; i++)
        lode_i_set1(&s, i, sqrt(lode_i_get1(&s, i)));
    LODE_TRY(lode_i_scale_cols(ctx, B, &s));
    LODE_TRY(lode_i_scale_cols(ctx, &U, &s));
    LODE_TRY(lode_i_scale_rows(ctx, &U, &q->d));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &q->Z, &U, At));
done:
    LODE_FREE(&U, &s, &M);
    return st;
}

static lode_status finish(lode_ctx *ctx, lode_i_adapter *a, const lode_i_layer *l,
                          const lode_i_want *want, lode_i_product *p)
{
    lode_status st = LODE_OK;
    problem q = { .norm = 0 };
    lode_array B = { 0 }, At = { 0 }, left = { 0 }, right = { 0 }, XR = { 0 };
    lode_i_row row = lode_i_row_of(l, "adapter");
    if (l->fate != LODE_I_WEIGHT)
        return LODE_OK;
    LODE_TRY(open_problem(ctx, a, l, &q));
    if (!q.X.data)
        goto done;
    row.base = q.before, row.norm = q.norm, row.rank = 0, row.kept = 0, row.error = q.norm;
    if (want->most > 0 && q.seen > 0) {
        LODE_TRY(solve(ctx, &q, want, &B, &At));
        const lode_array A = lode_i_transposed(&At);
        row.rank = At.shape[1];
        LODE_TRY(lode_i_product_pair(ctx, a, p, l, &B, &A, true, &left, &right));
        LODE_TRY(lode_i_product_norm(ctx, &left, &right, &row.kept));
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &q.X, &right, &XR));
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_T, -1, &XR, &left, 1, &q.E));
        LODE_TRY(lode_i_norm_fro(ctx, &q.E, &row.error));
    }
    LODE_TRY(lode_i_product_row(ctx, p, &row));
done:
    free_problem(&q);
    LODE_FREE(&B, &At, &left, &right, &XR);
    return st;
}

lode_status lode_i_adapter_fit(lode_ctx *ctx, lode_i_adapter *a, lode_i_product *p)
{
    const lode_i_deed deed = { .spectrum = spectrum,
                               .finish = finish,
                               .weighed = a->o->weighting == LODE_ADAPTER_FROBENIUS };
    double values = 0, width = 4;
    for (int64_t i = 0; i < a->layers.count; i++) {
        const lode_i_layer *l = &a->layers.at[i];
        if (l->fate == LODE_I_WEIGHT) {
            values += (double)l->rows * (double)l->cols;
            width = (double)lode_dtype_size(lode_i_adapter_store(a->o, l->stored, false));
        }
    }
    const double params = lode_i_adapter_budget(a->o, values, 0, 0, width);
    LODE_FORWARD(lode_i_adapter_each(ctx, a, &deed, params, p));
    if (p->layers == 0)
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "adapter: no weight of the first file has inputs of its name in the "
                           "second; the first weight is %s",
                           a->layers.at[0].module);
    return lode_i_product_finish(ctx, a, p, true, "||Y - X (W0 + B A)'|| over ||Y - X W0'||");
}
