/* Data of cp: dense as a matrix whose rows are the first half of the modes, sparse by its nonzeros, or
 * entries observed; products with all factors but one, by the dimension tree of Phan, Tichavsky and
 * Cichocki 2013: X against one half of the factors serves all modes of the other half. */
#include <math.h>

#include "ops/tensor/cp.h"

void lode_i_cp_close(cp_data *d)
{
    LODE_FREE(&d->X);
    lode_i_observed_free(&d->seen);
    lode_i_observed_free(&d->held);
    *d = (cp_data){ 0 };
}

bool lode_i_cp_partial(const lode_cp_opts *o, lode_kind kind)
{
    return o->mask || o->weights || o->holdout > 0 || o->missing.kind == LODE_MISSING_VALUE ||
           (kind == LODE_SPARSE && o->observed == LODE_CP_ENTRIES);
}

/* ---- opening ---- */

/* The two sides about as long as each other: what is kept of one half is smallest. */
static void cut(cp_data *d)
{
    double least = INFINITY;
    for (int s = 1; s < d->ndim; s++) {
        int64_t left = 1, right = 1;
        for (int m = 0; m < d->ndim; m++)
            *(m < s ? &left : &right) *= d->shape[m];
        /* rows of the right side's products are met once for each row of X: they should stay in cache */
        const double size = (double)left + 8 * (double)right;
        if (size < least)
            least = size, d->split = s, d->left = left, d->right = right;
    }
}

static lode_status refuse_negative(lode_ctx *ctx, const cp_data *d)
{
    lode_status st = LODE_OK;
    char place[256] = "";
    lode_array list = { 0 };
    const lode_array *values = d->kind == CP_DENSE ? &d->X : &d->seen.mode[0].value;
    const int64_t at = lode_i_first_negative(values), size = lode_array_size(values);
    int64_t index[LODE_MAX_NDIM], flat = at;
    if (at < 0)
        return LODE_OK;
    if (d->kind != CP_DENSE) {
        lode_i_observed_index(&d->seen, at, index);
        flat = 0;
        for (int m = 0; m < d->ndim; m++)
            flat = flat * d->shape[m] + index[m];
    }
    lode_i_print_index(d->ndim, d->shape, flat, place, sizeof place);
    LODE_TRY(lode_array_reshape(ctx, values, 1, &size, &list));
    LODE_REQUIRE(false, LODE_EDOMAIN,
                 "cp: X%s is %g, below 0; option nonneg takes values of 0 or more", place,
                 lode_i_get1(&list, at) * d->unit);
done:
    LODE_FREE(&list);
    return st;
}

/* Missing values are left to the caller: LODE_EDOMAIN, nothing held. */
static lode_status open_dense(lode_ctx *ctx, lode_value X, cp_data *d, bool *gaps)
{
    lode_status st = LODE_OK;
    lode_stats s;
    lode_array scaled = { 0 };
    LODE_TRY(lode_i_as_array(ctx, X, d->dtype, &d->X));
    LODE_TRY(lode_i_stats(ctx, &d->X, &s));
    *gaps = s.missing > 0;
    if (s.missing > 0 || s.infinite > 0)
        LODE_TRY(lode_i_require_finite(ctx, &d->X, "X"));
    const double far = d->dtype == LODE_F32 ? 1e12 : 1e100;
    d->sumsq = s.sumsq, d->unit = 1, d->count = lode_array_size(&d->X);
    if (s.maxabs > far || (s.maxabs > 0 && s.maxabs < 1 / far)) {
        double norm;
        LODE_TRY(lode_array_cast(ctx, &d->X, d->dtype, &scaled));
        d->unit = s.maxabs;
        LODE_TRY(lode_i_scale(ctx, 1 / d->unit, &scaled));
        lode_array_swap(&d->X, &scaled);
        LODE_TRY(lode_i_norm_fro(ctx, &d->X, &norm));
        d->sumsq = norm * norm;
    }
    cut(d);
done:
    LODE_FREE(&scaled);
    return st;
}

static lode_status open_entries(lode_ctx *ctx, const lode_cp_opts *o, lode_value X, cp_data *d)
{
    lode_status st = LODE_OK;
    lode_i_observed all = { 0 };
    const bool zeros = d->kind == CP_SPARSE; /* an entry that is missing would count as 0 */
    const lode_missing none = { .kind = LODE_MISSING_NONE };
    LODE_TRY(lode_i_observed_from(ctx, X, zeros ? &none : &o->missing, o->mask, o->weights,
                                  d->dtype, &d->seen));
    if (!zeros)
        LODE_TRY(lode_i_observed_require(ctx, &d->seen, "X"));
    if (o->holdout > 0) {
        LODE_TRY(lode_i_observed_split(ctx, &d->seen, o->holdout, lode_i_stream(ctx, "cp", 900),
                                       &all, &d->held));
        lode_i_observed_free(&d->seen);
        d->seen = all, all = (lode_i_observed){ 0 };
    }
    LODE_TRY(lode_i_observed_sumsq(ctx, &d->seen, &d->sumsq));
    LODE_REQUIRE(d->sumsq < (d->dtype == LODE_F32 ? 1e30 : 1e290), LODE_EDOMAIN,
                 "cp: the squares of X sum to %g; scale X", d->sumsq);
    d->unit = 1, d->count = d->seen.count;
done:
    lode_i_observed_free(&all);
    return st;
}

lode_status lode_i_cp_open(lode_ctx *ctx, const lode_cp_opts *o, lode_value X, cp_data *d)
{
    lode_status st = LODE_OK;
    cp_data x = { .kind = X.kind == LODE_SPARSE ? CP_SPARSE : CP_DENSE };
    bool gaps = false;
    lode_dtype stored;
    lode_array made = { 0 };
    if (o->affinity.given) {
        LODE_TRY(lode_i_cp_affinity(ctx, o, X, &made));
        X = lode_from_array(&made);
    }
    lode_i_value_shape(X, &stored, &x.ndim, x.shape);
    LODE_TRY(lode_i_check_tensor(ctx, "cp", x.ndim, x.shape, CP_MODES));
    LODE_TRY(lode_i_refuse_infinities(ctx, "cp", &o->missing, "factor"));
    x.dtype = lode_i_arith(stored);
    if (lode_i_cp_partial(o, X.kind))
        x.kind = CP_OBSERVED;
    if (x.kind == CP_DENSE) {
        const lode_status opened = open_dense(ctx, X, &x, &gaps);
        if (opened == LODE_EDOMAIN && gaps && o->missing.kind == LODE_MISSING_NAN) {
            LODE_FREE(&x.X);
            x.kind = CP_OBSERVED;
        } else {
            LODE_TRY(opened);
        }
    }
    if (x.kind != CP_DENSE)
        LODE_TRY(open_entries(ctx, o, X, &x));
    if (o->nonneg)
        LODE_TRY(refuse_negative(ctx, &x));
    lode_i_cp_close(d);
    *d = x;
    x = (cp_data){ 0 };
done:
    lode_i_cp_close(&x);
    LODE_FREE(&made);
    return st;
}

/* ---- the dimension tree ---- */

/* Columns beyond k are 0, so that rows are whole vectors. */
static lode_status pad(lode_ctx *ctx, const lode_array *A, int64_t ld, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 }, head = { 0 };
    LODE_TRY(lode_array_zeros(ctx, A->dtype, 2, (const int64_t[]){ A->shape[0], ld }, &y));
    head = lode_i_cols(&y, 0, A->shape[1]);
    LODE_TRY(lode_array_copy_into(ctx, A, &head));
    lode_array_swap(out, &y);
done:
    LODE_FREE(&y, &head);
    return st;
}

typedef struct tree {
    const cp_data *d;
    const lode_array *factor;
    lode_array padded[CP_MODES];
    int64_t k, ld;
    cp_update update;
    void *state;
} tree;

/* X against the factors of one side: the other side's modes and columns. */
static lode_status half(lode_ctx *ctx, const tree *t, bool rows, lode_array *out)
{
    lode_status st = LODE_OK;
    const cp_data *d = t->d;
    const int from = rows ? d->split : 0, to = rows ? d->ndim : d->split;
    lode_array M = { 0 }, K = { 0 }, flat = { 0 };
    int64_t shape[LODE_MAX_NDIM];
    int n = 0;
    LODE_TRY(lode_array_reshape(ctx, &d->X, 2, (const int64_t[]){ d->left, d->right }, &M));
    LODE_TRY(lode_i_khatri_rao(ctx, t->padded + from, to - from, &K));
    LODE_TRY(rows ? lode_i_narrow(ctx, &M, &K, &flat) : lode_i_narrow_adjoint(ctx, &M, &K, &flat));
    for (int m = 0; m < d->ndim; m++)
        if (m < from || m >= to)
            shape[n++] = d->shape[m];
    shape[n++] = t->ld;
    LODE_TRY(lode_array_reshape(ctx, &flat, n, shape, out));
done:
    LODE_FREE(&M, &K, &flat);
    return st;
}

/* T without the axes of the modes from .. to - 1, which begin at axis `at`. */
static lode_status without(lode_ctx *ctx, const tree *t, const lode_array *T, int at, int from,
                           int to, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array a = lode_array_ref(T), b = { 0 };
    for (int m = to - 1; m >= from; m--) {
        LODE_TRY(lode_i_fold(ctx, &a, at + m - from, &t->padded[m], &b));
        lode_array_swap(&a, &b);
        LODE_FREE(&b);
    }
    lode_array_swap(out, &a);
done:
    LODE_FREE(&a, &b);
    return st;
}

/* T has the axes of modes a .. b - 1 and the columns. */
static lode_status visit(lode_ctx *ctx, tree *t, const lode_array *T, int a, int b)
{
    lode_status st = LODE_OK;
    lode_array next = { 0 }, head = { 0 }, Y = { 0 };
    const int middle = (a + b) / 2;
    if (b - a == 1) {
        head = lode_i_cols(T, 0, t->k);
        LODE_TRY(lode_array_cast(ctx, &head, T->dtype, &Y));
        LODE_TRY(t->update(ctx, t->state, a, &Y));
        LODE_FREE(&t->padded[a]);
        LODE_TRY(pad(ctx, &t->factor[a], t->ld, &t->padded[a]));
        goto done;
    }
    LODE_TRY(without(ctx, t, T, middle - a, middle, b, &next));
    LODE_TRY(visit(ctx, t, &next, a, middle));
    LODE_FREE(&next);
    LODE_TRY(without(ctx, t, T, 0, a, middle, &next));
    LODE_TRY(visit(ctx, t, &next, middle, b));
done:
    LODE_FREE(&next, &head, &Y);
    return st;
}

static lode_status plant(lode_ctx *ctx, const cp_data *d, const lode_array *factor, tree *t)
{
    const int64_t k = factor[0].shape[1];
    *t = (tree){ .d = d, .factor = factor, .k = k };
    t->ld = k <= 64 ? lode_i_ceil_div(k, CP_LANES) * CP_LANES : k;
    for (int m = 0; m < d->ndim; m++)
        LODE_FORWARD(pad(ctx, &factor[m], t->ld, &t->padded[m]));
    return LODE_OK;
}

static void fell(tree *t)
{
    for (int m = 0; m < CP_MODES; m++)
        LODE_FREE(&t->padded[m]);
}

lode_status lode_i_cp_visit(lode_ctx *ctx, const cp_data *d, const lode_array *factor,
                            cp_update update, void *state)
{
    lode_status st = LODE_OK;
    lode_array T = { 0 };
    tree t = { 0 };
    if (d->kind != CP_DENSE) {
        for (int m = 0; m < d->ndim; m++) {
            LODE_TRY(lode_i_observed_mttkrp(ctx, &d->seen, m, NULL, factor, &T));
            LODE_TRY(update(ctx, state, m, &T));
            LODE_FREE(&T);
        }
        goto done;
    }
    LODE_TRY(plant(ctx, d, factor, &t));
    t.update = update, t.state = state;
    LODE_TRY(half(ctx, &t, true, &T));
    LODE_TRY(visit(ctx, &t, &T, 0, d->split));
    LODE_FREE(&T);
    LODE_TRY(half(ctx, &t, false, &T));
    LODE_TRY(visit(ctx, &t, &T, d->split, d->ndim));
done:
    fell(&t);
    LODE_FREE(&T);
    return st;
}

lode_status lode_i_cp_products(lode_ctx *ctx, const cp_data *d, int mode, const lode_array *factor,
                               lode_array *Y)
{
    lode_status st = LODE_OK;
    lode_array T = { 0 }, next = { 0 }, head = { 0 }, y = { 0 };
    tree t = { 0 };
    if (d->kind != CP_DENSE)
        return lode_i_observed_mttkrp(ctx, &d->seen, mode, NULL, factor, Y);
    const bool rows = mode < d->split;
    const int a = rows ? 0 : d->split, b = rows ? d->split : d->ndim;
    LODE_TRY(plant(ctx, d, factor, &t));
    LODE_TRY(half(ctx, &t, rows, &T));
    LODE_TRY(without(ctx, &t, &T, mode + 1 - a, mode + 1, b, &next));
    LODE_FREE(&T);
    LODE_TRY(without(ctx, &t, &next, 0, a, mode, &T));
    head = lode_i_cols(&T, 0, t.k);
    LODE_TRY(lode_array_cast(ctx, &head, T.dtype, &y));
    lode_array_swap(Y, &y);
done:
    fell(&t);
    LODE_FREE(&T, &next, &head, &y);
    return st;
}

/* ---- what is left ---- */

enum { SLAB = 1 << 19 };

static lode_status dense_residual(lode_ctx *ctx, const cp_data *d, const lode_i_kruskal *m,
                                  double *sumsq)
{
    lode_status st = LODE_OK;
    lode_array part = { 0 }, made = { 0 };
    lode_diff_run run = { 0 };
    int64_t start[LODE_MAX_NDIM] = { 0 }, count[LODE_MAX_NDIM];
    const int64_t row = lode_array_size(&d->X) / d->shape[0], step = lode_i_max(1, SLAB / row);
    for (int i = 0; i < d->ndim; i++)
        count[i] = d->shape[i];
    for (int64_t r = 0; r < d->shape[0]; r += step) {
        start[0] = r, count[0] = lode_i_min(step, d->shape[0] - r);
        LODE_TRY(lode_i_cancelled(ctx));
        LODE_TRY(lode_array_slice(ctx, &d->X, 0, r, r + count[0], 1, &part));
        LODE_TRY(lode_i_kruskal_expand(ctx, m, start, count, &made));
        LODE_TRY(lode_i_diff_push(ctx, &run, &part, &made));
        LODE_FREE(&part, &made);
    }
    *sumsq = lode_i_diff_result(&run).sumsq;
done:
    LODE_FREE(&part, &made);
    return st;
}

/* sum (x - y)^2 - y^2 over the nonzeros x is sum x (x - 2 y), and with all y^2: |X|^2 - 2 <X, Y> + |Y|^2. */
static lode_status sparse_residual(lode_ctx *ctx, const cp_data *d, const lode_i_kruskal *m,
                                   double *sumsq)
{
    lode_status st = LODE_OK;
    lode_array r = { 0 };
    lode_inner in;
    double norm, all;
    LODE_TRY(lode_i_observed_residual(ctx, &d->seen, 0, m->factor, m->scale.data ? &m->scale : NULL,
                                      &r, &all));
    LODE_TRY(lode_i_inner(ctx, &d->seen.mode[0].value, &r, &in));
    LODE_TRY(lode_i_kruskal_norm(ctx, m, &norm));
    *sumsq = fmax(norm * norm - in.sumsq + 2 * in.re, 0);
done:
    LODE_FREE(&r);
    return st;
}

lode_status lode_i_cp_residual(lode_ctx *ctx, const cp_data *d, const lode_i_kruskal *m,
                               double *sumsq, bool *exact)
{
    *exact = d->kind != CP_SPARSE;
    if (d->kind == CP_DENSE)
        return dense_residual(ctx, d, m, sumsq);
    if (d->kind == CP_SPARSE)
        return sparse_residual(ctx, d, m, sumsq);
    return lode_i_observed_residual(ctx, &d->seen, 0, m->factor, m->scale.data ? &m->scale : NULL,
                                    NULL, sumsq);
}
