/* Sweeps of cp: every factor in turn by least squares (nonnegative, or with a penalty: by coordinate descent
 * on the same Gram matrices), begun from a point beyond the last two where that was of use. No sweep that
 * raises the objective is kept. */
#include <math.h>
#include <string.h>

#include "ops/tensor/cp.h"

enum { STEPS = 3, PATIENCE = 2, SKETCH = 10 };

void lode_i_cp_fit_free(cp_fit *f)
{
    lode_i_kruskal_free(&f->model);
    LODE_FREE(&f->trace);
}

lode_i_row_rule lode_i_cp_rule(const lode_cp_opts *o)
{
    return (lode_i_row_rule){ .ridge = o->ridge, .l1 = o->l1, .nonneg = o->nonneg, .steps = STEPS };
}

lode_status lode_i_cp_gram(lode_ctx *ctx, const lode_array *A, double *G)
{
    lode_status st = LODE_OK;
    lode_array wide = { 0 }, g = { 0 };
    const int64_t k = A->shape[1];
    LODE_TRY(lode_i_as(ctx, A, LODE_F64, &wide));
    LODE_TRY(lode_i_gram(ctx, LODE_T, &wide, &g));
    for (int64_t e = 0; e < k * k; e++)
        G[e] = lode_i_get2(&g, e / k, e % k);
done:
    LODE_FREE(&wide, &g);
    return st;
}

typedef struct sweeps {
    const lode_cp_opts *o;
    const cp_data *d;
    lode_i_row_rule rule;
    int64_t k;
    lode_array *factor;     /* those being updated */
    double *gram[CP_MODES]; /* k x k */
    double *rest;           /* product of the others' */
    double left;            /* sum of squares of X - model after the last mode */
} sweeps;

static lode_status update(lode_ctx *ctx, void *state, int mode, const lode_array *Y)
{
    lode_status st = LODE_OK;
    sweeps *s = state;
    const int64_t kk = s->k * s->k;
    lode_inner in;
    for (int64_t e = 0; e < kk; e++) {
        s->rest[e] = 1;
        for (int m = 0; m < s->d->ndim; m++)
            s->rest[e] *= m == mode ? 1 : s->gram[m][e];
    }
    LODE_TRY(lode_i_product_rows(ctx, s->rest, Y, &s->rule, &s->factor[mode]));
    LODE_TRY(lode_i_cp_gram(ctx, &s->factor[mode], s->gram[mode]));
    if (mode == s->d->ndim - 1) {
        double model = 0;
        LODE_TRY(lode_i_inner(ctx, Y, &s->factor[mode], &in));
        for (int64_t e = 0; e < kk; e++)
            model += s->rest[e] * s->gram[mode][e];
        s->left = s->d->sumsq - 2 * in.re + model;
    }
done:
    return st;
}

/* ridge |A|^2 + 2 l1 |A|_1 over all factors: twice the penalty, as `left` is twice the misfit. */
static double penalty(const sweeps *s)
{
    double sum = 0;
    for (int m = 0; m < s->d->ndim && (s->o->ridge > 0 || s->o->l1 > 0); m++) {
        const lode_array *A = &s->factor[m];
        for (int64_t c = 0; c < s->k; c++)
            sum += s->o->ridge * s->gram[m][c * s->k + c];
        for (int64_t i = 0; i < A->shape[0] && s->o->l1 > 0; i++)
            for (int64_t c = 0; c < s->k; c++)
                sum += 2 * s->o->l1 * fabs(lode_i_get2(A, i, c));
    }
    return sum;
}

/* Where norms cancel, the residual itself. */
static lode_status settle(lode_ctx *ctx, sweeps *s)
{
    lode_i_kruskal m = { .ndim = s->d->ndim, .k = s->k };
    bool exact;
    if (s->d->kind != CP_DENSE || s->left > 1e4 * lode_i_epsilon(s->d->dtype) * s->d->sumsq)
        return LODE_OK;
    for (int i = 0; i < m.ndim; i++)
        m.factor[i] = s->factor[i];
    return lode_i_cp_residual(ctx, s->d, &m, &s->left, &exact);
}

static lode_status sweep(lode_ctx *ctx, sweeps *s, lode_array *factor, double *objective)
{
    lode_status st = LODE_OK;
    const int n = s->d->ndim;
    s->factor = factor;
    if (s->d->kind == CP_OBSERVED) {
        for (int m = 0; m < n; m++)
            LODE_TRY(lode_i_observed_rows(ctx, &s->d->seen, m, factor, &s->rule,
                                          m == n - 1 ? &s->left : NULL, NULL));
        for (int m = 0; m < n; m++)
            LODE_TRY(lode_i_cp_gram(ctx, &factor[m], s->gram[m]));
    } else {
        for (int m = 1; m < n; m++)
            LODE_TRY(lode_i_cp_gram(ctx, &factor[m], s->gram[m]));
        LODE_TRY(lode_i_cp_visit(ctx, s->d, factor, update, s));
        LODE_TRY(settle(ctx, s));
    }
    s->left = fmax(s->left, 0);
    *objective = s->left + penalty(s);
done:
    return st;
}

/* The columns of a component to the same length in every factor: the same model, and the next point beyond
 * two of them means something. Lengths would change what l1 costs. */
static lode_status balance(lode_ctx *ctx, const sweeps *s, lode_array *factor)
{
    lode_status st = LODE_OK;
    lode_array by = { 0 };
    const int n = s->d->ndim;
    if (s->o->l1 > 0)
        return LODE_OK;
    for (int m = 0; m < n; m++) {
        LODE_TRY(lode_i_vector_new(ctx, factor[m].dtype, s->k, &by));
        for (int64_t c = 0; c < s->k; c++) {
            double mean = 0;
            for (int i = 0; i < n; i++)
                mean += log(s->gram[i][c * s->k + c]) / 2 / n;
            const double scale = exp(mean) / sqrt(s->gram[m][c * s->k + c]);
            lode_i_set1(&by, c, isfinite(scale) && scale > 0 ? scale : 1);
        }
        LODE_TRY(lode_i_scale_cols(ctx, &factor[m], &by));
        LODE_FREE(&by);
    }
done:
    LODE_FREE(&by);
    return st;
}

/* ---- where it starts ---- */

static lode_status random_factors(lode_ctx *ctx, const lode_cp_opts *o, const cp_data *d, int64_t k,
                                  uint64_t site, lode_array *factor)
{
    for (int m = 0; m < d->ndim; m++) {
        LODE_FORWARD(lode_i_randn(ctx, lode_i_stream(ctx, "cp", site * 64 + (uint64_t)m), d->dtype,
                                  d->shape[m], k, &factor[m]));
        for (int64_t i = 0; i < d->shape[m] && o->nonneg; i++)
            for (int64_t c = 0; c < k; c++)
                lode_i_set2(&factor[m], i, c, fabs(lode_i_get2(&factor[m], i, c)));
    }
    return LODE_OK;
}

/* Leading left singular vectors of each unfolding, by a sketch of it with products of random columns; what
 * lacks of k columns stays random. */
static lode_status leading_factors(lode_ctx *ctx, const lode_cp_opts *o, const cp_data *d,
                                   int64_t k, uint64_t site, lode_array *factor)
{
    lode_status st = LODE_OK;
    lode_array sketch[CP_MODES] = { { 0 } }, Y = { 0 }, U = { 0 }, s = { 0 }, V = { 0 };
    lode_cp_opts any = *o;
    any.nonneg = false;
    LODE_TRY(random_factors(ctx, o, d, k, site, factor));
    LODE_TRY(random_factors(ctx, &any, d, 2 * k + SKETCH, site + 500, sketch));
    for (int m = 0; m < d->ndim; m++) {
        const int64_t found = lode_i_min(k, d->shape[m]);
        LODE_TRY(lode_i_cp_products(ctx, d, m, sketch, &Y));
        LODE_TRY(lode_i_svd(ctx, &Y, found, &U, &s, &V));
        LODE_TRY(lode_i_canonical_signs(ctx, &U, NULL));
        for (int64_t c = 0; c < found; c++)
            for (int64_t i = 0; i < d->shape[m]; i++) {
                const double v = lode_i_get2(&U, i, c);
                lode_i_set2(&factor[m], i, c, o->nonneg ? fabs(v) : v);
            }
        LODE_FREE(&Y, &U, &s, &V);
    }
done:
    for (int m = 0; m < CP_MODES; m++)
        LODE_FREE(&sketch[m]);
    LODE_FREE(&Y, &U, &s, &V);
    return st;
}

/* ---- the iteration ---- */

/* How far beyond the last two points a sweep begins: more after each that served, less after one that did
 * not (Ang, Cohen, Hien & Gillis 2020). */
typedef struct momentum {
    double beta, most;
} momentum;

static lode_status beyond(lode_ctx *ctx, const sweeps *s, double beta, const lode_array *before,
                          const lode_array *now, lode_array *out)
{
    for (int m = 0; m < s->d->ndim; m++)
        LODE_FORWARD(beta > 0
                         ? lode_i_extrapolate(ctx, beta, s->o->nonneg, &before[m], &now[m], &out[m])
                         : lode_array_cast(ctx, &now[m], now[m].dtype, &out[m]));
    return LODE_OK;
}

/* One sweep that does not end higher than `now`, or *stuck: rounding allows no other. */
static lode_status step(lode_ctx *ctx, sweeps *s, momentum *w, bool first, double last,
                        const lode_array *before, const lode_array *now, lode_array *next,
                        double *objective, bool *stuck)
{
    const bool breaks = lode_i_broken(ctx, "cp-als-exact");
    const double beta = first || !s->o->accelerate ? 0 : w->beta;
    LODE_FORWARD(beyond(ctx, s, breaks && !first ? 3 : beta, before, now, next));
    LODE_FORWARD(sweep(ctx, s, next, objective));
    *stuck = false;
    if (first || breaks)
        return LODE_OK;
    if (*objective <= last) {
        w->beta = fmin(w->most, 1.1 * w->beta), w->most = fmin(1.5, 1.02 * w->most);
        return LODE_OK;
    }
    if (beta > 0) {
        w->most = w->beta, w->beta /= 2;
        LODE_FORWARD(beyond(ctx, s, 0, before, now, next));
        LODE_FORWARD(sweep(ctx, s, next, objective));
    }
    *stuck = !(*objective <= last);
    return LODE_OK;
}

static double relative(const cp_data *d, double sumsq)
{
    return d->sumsq > 0 ? sqrt(fmax(sumsq, 0) / d->sumsq) : 0;
}

static lode_status iterate(lode_ctx *ctx, sweeps *s, lode_array *now, cp_fit *f)
{
    lode_status st = LODE_OK;
    lode_array before[CP_MODES] = { { 0 } }, next[CP_MODES] = { { 0 } }, errors = { 0 };
    momentum w = { 0.5, 1 };
    const lode_cp_opts *o = s->o;
    /* below it, norms of f32 or sparse data say nothing */
    const double floor = s->d->kind == CP_SPARSE ? sqrt(8 * lode_i_epsilon(s->d->dtype))
                                                 : 4 * lode_i_epsilon(s->d->dtype);
    lode_i_iter it = { .op = "cp",
                       .what = "relative error",
                       .tol = o->tol,
                       .patience = PATIENCE,
                       .floor = floor,
                       .max_iter = o->max_iter };
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, o->max_iter + 1, &errors));
    lode_i_set1(&errors, 0, 1);
    f->objective = s->d->sumsq;
    LODE_TRY(lode_i_iter_begin(ctx, &it));
    while (!it.done) {
        double objective = 0;
        bool stuck = false;
        LODE_TRY(step(ctx, s, &w, it.i == 0, f->objective, before, now, next, &objective, &stuck));
        if (stuck) {
            it.done = it.settled = true;
            break;
        }
        f->objective = objective;
        f->error = relative(s->d, s->left);
        LODE_TRY(balance(ctx, s, next));
        for (int m = 0; m < s->d->ndim; m++) {
            lode_array_swap(&before[m], &now[m]);
            lode_array_swap(&now[m], &next[m]);
        }
        lode_i_set1(&errors, it.i + 1, f->error);
        LODE_TRY(lode_i_iter_step(ctx, &it, relative(s->d, objective)));
    }
    LODE_TRY(lode_array_slice(ctx, &errors, 0, 0, it.i + 1, 1, &next[0]));
    LODE_TRY(lode_array_cast(ctx, &next[0], LODE_F64, &f->trace));
    f->settled = it.settled;
    LODE_TRY(lode_i_iter_end(ctx, &it, NULL));
done:
    for (int m = 0; m < CP_MODES; m++)
        LODE_FREE(&before[m], &next[m]);
    LODE_FREE(&errors);
    lode_i_iter_free(&it);
    return st;
}

lode_status lode_i_cp_fit(lode_ctx *ctx, const lode_cp_opts *o, const cp_data *d, int64_t k,
                          uint64_t site, cp_fit *f)
{
    lode_status st = LODE_OK;
    cp_fit made = { .model = { .ndim = d->ndim, .k = k } };
    sweeps s = { .o = o, .d = d, .rule = lode_i_cp_rule(o), .k = k };
    double *store = NULL;
    LODE_TRY(LODE_NEW(ctx, (d->ndim + 1) * k * k, &store));
    for (int m = 0; m < d->ndim; m++)
        s.gram[m] = store + m * k * k;
    s.rest = store + d->ndim * k * k;
    LODE_TRY(o->init == LODE_CP_SVD && site == 0
                 ? leading_factors(ctx, o, d, k, site, made.model.factor)
                 : random_factors(ctx, o, d, k, site, made.model.factor));
    LODE_TRY(iterate(ctx, &s, made.model.factor, &made));
    made.status = st;
    lode_i_cp_fit_free(f);
    *f = made;
    made = (cp_fit){ 0 };
done:
    lode_i_free(store);
    lode_i_cp_fit_free(&made);
    return st;
}

/* ---- core consistency (Bro & Kiers 2003) ---- */

enum { BATCH = 64, CORE_MOST = 4096 };

/* P = A (A'A)^-1, so that P'A = I. */
static lode_status dual(lode_ctx *ctx, const lode_array *A, lode_array *P)
{
    lode_status st = LODE_OK;
    const lode_i_row_rule plain = { .steps = 1 };
    double *G = NULL;
    LODE_TRY(LODE_NEW(ctx, A->shape[1] * A->shape[1], &G));
    LODE_TRY(lode_i_cp_gram(ctx, A, G));
    LODE_TRY(lode_i_product_rows(ctx, G, A, &plain, P));
done:
    lode_i_free(G);
    return st;
}

/* Columns number `from` and on, of all ways to take one column of each mode but the first. */
static lode_status columns(lode_ctx *ctx, const lode_array *P, int ndim, int mode, int64_t from,
                           int64_t count, lode_array *out)
{
    const int64_t k = P->shape[1], n = P->shape[0];
    LODE_FORWARD(lode_i_matrix_new(ctx, P->dtype, n, count, out));
    for (int64_t c = 0; c < count; c++) {
        int64_t at = from + c;
        for (int m = ndim - 1; m > mode; m--)
            at /= k;
        for (int64_t i = 0; i < n; i++)
            lode_i_set2(out, i, c, lode_i_get2(P, i, at % k));
    }
    return LODE_OK;
}

/* Squares of G - I over the columns of one batch. */
static double off(const lode_array *core, int ndim, int64_t from)
{
    const int64_t k = core->shape[0];
    double sum = 0;
    for (int64_t c = 0; c < core->shape[1]; c++) {
        int64_t at = from + c;
        const int64_t last = at % k;
        bool same = true;
        for (int m = 1; m < ndim; m++, at /= k)
            same = same && at % k == last;
        for (int64_t r = 0; r < k; r++)
            sum += pow(lode_i_get2(core, r, c) - (same && r == last ? 1 : 0), 2);
    }
    return sum;
}

lode_status lode_i_cp_consistency(lode_ctx *ctx, const cp_data *d, const lode_array *factor,
                                  double *percent)
{
    lode_status st = LODE_OK;
    lode_array P[CP_MODES] = { { 0 } }, some[CP_MODES] = { { 0 } }, Y = { 0 }, core = { 0 };
    const int64_t k = factor[0].shape[1];
    int64_t all = 1;
    double sum = 0;
    *percent = (double)NAN;
    for (int m = 1; m < d->ndim && all <= CORE_MOST; m++)
        all *= k;
    if (d->kind == CP_OBSERVED || all > CORE_MOST)
        return LODE_OK;
    for (int m = 0; m < d->ndim; m++)
        LODE_TRY(dual(ctx, &factor[m], &P[m]));
    for (int64_t c = 0; c < all; c += BATCH) {
        const int64_t count = lode_i_min(BATCH, all - c);
        LODE_TRY(lode_i_matrix_new(ctx, d->dtype, d->shape[0], count, &some[0]));
        LODE_TRY(lode_i_fill(ctx, &some[0], 0));
        for (int m = 1; m < d->ndim; m++)
            LODE_TRY(columns(ctx, &P[m], d->ndim, m, c, count, &some[m]));
        LODE_TRY(lode_i_cp_products(ctx, d, 0, some, &Y));
        LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &P[0], &Y, &core));
        sum += off(&core, d->ndim, c);
        for (int m = 0; m < d->ndim; m++)
            LODE_FREE(&some[m]);
        LODE_FREE(&Y, &core);
    }
    *percent = 100 * (1 - sum / (double)k);
done:
    for (int m = 0; m < CP_MODES; m++)
        LODE_FREE(&P[m], &some[m]);
    LODE_FREE(&Y, &core);
    return st;
}
