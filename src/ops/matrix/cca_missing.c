/* NIPALS where values are missing: every regression of the iteration is over what is observed. Source: Wold 1975; Geladi
 * & Kowalski 1986, doi:10.1016/0003-2670(86)80028-9; missing values as in Nelson, Taylor & MacGregor 1996. */
#include <math.h>

#include "linalg/masked.h"
#include "ops/matrix/cca.h"

/* A table: values about their means (NaN: missing), the same with 0 there, and 1 where observed. */
typedef struct table {
    lode_array gaps, filled, seen, zero;
} table;

static void free_table(table *t)
{
    LODE_FREE(&t->gaps, &t->filled, &t->seen, &t->zero);
}

static lode_status fill_again(lode_ctx *ctx, table *t)
{
    return lode_i_masked_centre(ctx, &t->gaps, &t->zero, &t->filled);
}

/* mean: of what is observed; factor: what columns are multiplied by. */
static lode_status open_table(lode_ctx *ctx, const lode_array *X, bool scale, table *t,
                              lode_array *mean, lode_array *factor)
{
    lode_status st = LODE_OK;
    lode_array count = { 0 }, flat = { 0 }, sums = { 0 };
    const int64_t n = X->shape[1];
    LODE_TRY(lode_i_masked_means(ctx, X, mean, &count));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &n, &t->zero));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &n, &sums));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, n, factor));
    LODE_TRY(lode_i_fill(ctx, factor, 1));
    LODE_TRY(lode_array_cast(ctx, X, LODE_F64, &t->gaps));
    LODE_TRY(lode_array_cast(ctx, X, LODE_F64, &flat));
    LODE_TRY(lode_i_scale(ctx, 0, &flat));
    LODE_TRY(lode_i_fill(ctx, factor, -1));
    LODE_TRY(lode_i_masked_centre(ctx, &flat, factor, &t->seen));
    LODE_TRY(lode_i_fill(ctx, factor, 1));
    LODE_TRY(lode_i_sub_row(ctx, &t->gaps, mean));
    LODE_TRY(fill_again(ctx, t));
    if (scale) {
        const lode_array turned = lode_i_transposed(&t->filled);
        LODE_TRY(lode_i_row_inner(ctx, &turned, &turned, &sums));
        for (int64_t j = 0; j < n; j++) {
            const double v = sqrt(lode_i_get1(&sums, j) / fmax(lode_i_get1(&count, j) - 1, 1));
            lode_i_set1(factor, j, v > 0 ? 1 / v : 1);
        }
        LODE_TRY(lode_i_scale_cols(ctx, &t->gaps, factor));
        LODE_TRY(fill_again(ctx, t));
    }
done:
    LODE_FREE(&count, &flat, &sums);
    return st;
}

static void squares(const lode_array *x, const lode_array *weight, lode_array *y, lode_array *z)
{
    for (int64_t i = 0; i < x->shape[0]; i++) {
        const double v = lode_i_get2(x, i, 0), w = weight ? lode_i_get1(weight, i) : 1;
        lode_i_set2(y, i, 0, w * v), lode_i_set2(z, i, 0, w * v * v);
    }
}

/* Slopes of columns (LODE_T) or rows (LODE_N) on x over what is observed; 0 where nothing of x is. */
static lode_status slopes(lode_ctx *ctx, const table *t, lode_trans side, const lode_array *x,
                          const lode_array *weight, lode_array *y)
{
    lode_status st = LODE_OK;
    lode_array v = { 0 }, vv = { 0 }, size = { 0 };
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, x->shape[0], 1, &v));
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, x->shape[0], 1, &vv));
    squares(x, side == LODE_T ? weight : NULL, &v, &vv);
    LODE_TRY(lode_i_gemm(ctx, side, LODE_N, &t->filled, &v, y));
    LODE_TRY(lode_i_gemm(ctx, side, LODE_N, &t->seen, &vv, &size));
    for (int64_t i = 0; i < y->shape[0]; i++) {
        const double s = lode_i_get2(&size, i, 0);
        lode_i_set2(y, i, 0, s > 0 ? lode_i_get2(y, i, 0) / s : 0);
    }
done:
    LODE_FREE(&v, &vv, &size);
    return st;
}

static lode_status unit(lode_ctx *ctx, lode_array *x, double *length)
{
    LODE_FORWARD(lode_i_norm_fro(ctx, x, length));
    return lode_i_scale(ctx, *length > 0 ? 1 / *length : 0, x);
}

typedef struct component {
    lode_array w, t, c, u, p;
} component;

static void free_component(component *c)
{
    LODE_FREE(&c->w, &c->t, &c->c, &c->u, &c->p);
}

/* One component; change: of t in the last step. */
static lode_status iterate(lode_ctx *ctx, const lode_cca_opts *o, const table *X, const table *Y,
                           const lode_array *weight, component *c, double *change)
{
    lode_status st = LODE_OK;
    lode_array before = { 0 }, sums = { 0 }, column = { 0 };
    const int64_t q = Y->filled.shape[1];
    int64_t start = 0;
    double length = 0, off = 0;
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &q, &sums));
    const lode_array turned = lode_i_transposed(&Y->filled);
    LODE_TRY(lode_i_row_inner(ctx, &turned, &turned, &sums));
    for (int64_t j = 1; j < q; j++)
        if (lode_i_get1(&sums, j) > lode_i_get1(&sums, start))
            start = j;
    column = lode_i_cols(&Y->filled, start, start + 1);
    LODE_TRY(lode_array_cast(ctx, &column, LODE_F64, &c->u));
    *change = 1;
    for (int64_t i = 0; i<o->max_iter && * change> o->tol; i++) {
        LODE_TRY(lode_i_cancelled(ctx));
        LODE_TRY(slopes(ctx, X, LODE_T, &c->u, weight, &c->w));
        LODE_TRY(unit(ctx, &c->w, &length));
        LODE_TRY(slopes(ctx, X, LODE_N, &c->w, NULL, &c->t));
        LODE_TRY(slopes(ctx, Y, LODE_T, &c->t, weight, &c->c));
        LODE_TRY(unit(ctx, &c->c, &length));
        LODE_TRY(slopes(ctx, Y, LODE_N, &c->c, NULL, &c->u));
        LODE_TRY(lode_i_norm_fro(ctx, &c->t, &length));
        if (i > 0) {
            LODE_TRY(lode_i_diff_fro(ctx, &c->t, &before, &off));
            *change = length > 0 ? off / length : 0;
        }
        LODE_TRY(lode_array_cast(ctx, &c->t, LODE_F64, &before));
    }
done:
    LODE_FREE(&before, &sums, &column);
    return st;
}

/* w less its parts in the weights before, so that it is of the table itself: r = w - R (P^T w). */
static lode_status undeflate(lode_ctx *ctx, const lode_i_cca_model *m, int64_t a, lode_array *w)
{
    lode_status st = LODE_OK;
    lode_array P = lode_i_cols(&m->load[0], 0, a), R = lode_i_cols(&m->W[0], 0, a), x = { 0 };
    if (a > 0) {
        LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &P, w, &x));
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, &R, &x, 1, w));
    }
done:
    LODE_FREE(&P, &R, &x);
    return st;
}

static double product(const lode_array *x, const lode_array *y, const lode_array *weight)
{
    double sum = 0;
    for (int64_t i = 0; i < x->shape[0]; i++)
        sum += (weight ? lode_i_get1(weight, i) : 1) * lode_i_get2(x, i, 0) * lode_i_get2(y, i, 0);
    return sum;
}

/* Of the largest entry. */
static double first_sign(const lode_array *x)
{
    double most = 0;
    for (int64_t i = 0; i < x->shape[0]; i++)
        if (fabs(lode_i_get2(x, i, 0)) > fabs(most))
            most = lode_i_get2(x, i, 0);
    return most < 0 ? -1 : 1;
}

/* Component a into the model; both tables are deflated by it. false: nothing is left. */
static lode_status take_in(lode_ctx *ctx, table *X, table *Y, const lode_array *weight,
                           double freedom, int64_t a, component *c, lode_i_cca_model *m,
                           lode_array *values, bool *any)
{
    lode_status st = LODE_OK;
    lode_array slope = { 0 };
    const double tt = product(&c->t, &c->t, weight), uu = product(&c->u, &c->u, weight);
    const double tu = product(&c->t, &c->u, weight), size = sqrt(tt / freedom);
    *any = tt > 0 && uu > 0;
    if (!*any)
        goto done;
    lode_i_set1(&m->correlation, a, tu / sqrt(tt) / sqrt(uu));
    lode_i_set1(values, a, tu / size / freedom);
    LODE_TRY(undeflate(ctx, m, a, &c->w));
    const double sign = first_sign(&c->w);
    LODE_TRY(lode_i_scale(ctx, sign / size, &c->w));
    LODE_TRY(lode_i_scale(ctx, sign / size, &c->t));
    LODE_TRY(lode_i_scale(ctx, sign, &c->c));
    LODE_TRY(lode_i_scale(ctx, sign, &c->u));
    LODE_TRY(slopes(ctx, X, LODE_T, &c->t, weight, &c->p));
    LODE_TRY(slopes(ctx, Y, LODE_T, &c->t, weight, &slope));
    LODE_TRY(lode_i_cca_put(ctx, &c->w, a, &m->W[0]));
    LODE_TRY(lode_i_cca_put(ctx, &c->c, a, &m->W[1]));
    LODE_TRY(lode_i_cca_put(ctx, &c->t, a, &m->score[0]));
    LODE_TRY(lode_i_cca_put(ctx, &c->u, a, &m->score[1]));
    LODE_TRY(lode_i_cca_put(ctx, &c->p, a, &m->load[0]));
    LODE_TRY(lode_i_cca_put(ctx, &slope, a, &m->load[1]));
    LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_T, -1, &c->t, &c->p, 1, &X->gaps));
    LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_T, -1, &c->t, &slope, 1, &Y->gaps));
    LODE_TRY(fill_again(ctx, X));
    LODE_TRY(fill_again(ctx, Y));
done:
    lode_array_free(&slope);
    return st;
}

lode_status lode_i_cca_nipals(lode_ctx *ctx, const lode_cca_opts *o, const lode_array *X,
                              const lode_array *Y, int64_t most, lode_i_cca_data *d,
                              lode_i_cca_model *m, lode_array *values, double *change)
{
    lode_status st = LODE_OK;
    table x = { .gaps = { 0 } }, y = { .gaps = { 0 } };
    component c = { .w = { 0 } };
    lode_array mean[2] = { { 0 } }, factor[2] = { { 0 } }, to = { 0 };
    const int64_t n = X->shape[0], cols[2] = { X->shape[1], Y->shape[1] };
    const lode_array *weight = d->weight.data ? &d->weight : NULL;
    const int64_t all = cols[0] + cols[1];
    int64_t a = 0;
    bool any = true;
    *change = 0;
    LODE_TRY(open_table(ctx, X, o->scale, &x, &mean[0], &factor[0]));
    LODE_TRY(open_table(ctx, Y, o->scale, &y, &mean[1], &factor[1]));
    LODE_FREE(&d->mean, &d->factor);
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, all, &d->mean));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, all, &d->factor));
    for (int64_t j = 0; j < all; j++) {
        const int k = j >= cols[0];
        lode_i_set1(&d->mean, j, lode_i_get1(&mean[k], j - k * cols[0]));
        lode_i_set1(&d->factor, j, lode_i_get1(&factor[k], j - k * cols[0]));
    }
    for (int k = 0; k < 2; k++) {
        LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, cols[k], most, &m->W[k]));
        LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, cols[k], most, &m->load[k]));
        LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, n, most, &m->score[k]));
    }
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, most, &m->correlation));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, most, values));
    for (; a < most; a++) {
        double off = 0;
        LODE_TRY(lode_i_tick(ctx, a, most));
        LODE_TRY(iterate(ctx, o, &x, &y, weight, &c, &off));
        LODE_TRY(take_in(ctx, &x, &y, weight, fmax(d->mass - 1, 1), a, &c, m, values, &any));
        if (!any)
            break;
        *change = fmax(*change, off);
    }
    for (int k = 0; k < 2 && a < most; k++) { /* fewer components than were asked for */
        lode_array *const cut[] = { &m->W[k], &m->load[k], &m->score[k] };
        for (int i = 0; i < 3; i++) {
            to = lode_i_cols(cut[i], 0, a);
            lode_array own = { 0 };
            const lode_status one = lode_array_cast(ctx, &to, LODE_F64, &own);
            lode_array_swap(cut[i], &own);
            LODE_FREE(&to, &own);
            LODE_TRY(one);
        }
    }
    if (a < most) {
        lode_array *const cut[] = { &m->correlation, values };
        for (int i = 0; i < 2; i++) {
            LODE_TRY(lode_array_slice(ctx, cut[i], 0, 0, a, 1, &to));
            LODE_TRY(lode_array_cast(ctx, &to, LODE_F64, cut[i]));
        }
    }
    LODE_TRY(lode_i_cca_predict(ctx, d, &m->load[1], m));
    if (*change > o->tol) {
        lode_i_fail(ctx, LODE_NOCONV,
                    "cca: after %" PRId64 " steps a component still changes by %g; raise "
                    "--max-iter or --tol",
                    o->max_iter, *change);
        st = LODE_NOCONV;
    }
done:
    free_table(&x);
    free_table(&y);
    free_component(&c);
    LODE_FREE(&mean[0], &mean[1], &factor[0], &factor[1], &to);
    return st;
}

lode_status lode_i_cca_missing_off(lode_ctx *ctx, const lode_array *X, const lode_array *mean,
                                   bool scale, const lode_array *weight, const lode_array *score,
                                   const lode_array *load, double *off)
{
    lode_status st = LODE_OK;
    table x = { .gaps = { 0 } };
    lode_array own = { 0 }, factor = { 0 }, t = { 0 }, p = { 0 }, s = { 0 }, said = { 0 };
    double size = 0, apart = 0;
    LODE_TRY(open_table(ctx, X, scale, &x, &own, &factor));
    LODE_TRY(lode_i_norm_fro(ctx, &own, &size));
    LODE_TRY(lode_array_cast(ctx, mean, LODE_F64, &s));
    LODE_TRY(lode_i_diff_fro(ctx, &own, &s, &apart));
    *off = size > 0 ? apart / size : 0;
    for (int64_t j = 0; j < factor.shape[0]; j++)
        lode_i_set1(&factor, j, 1 / lode_i_get1(&factor, j));
    for (int64_t a = 0; a < score->shape[1]; a++) {
        LODE_FREE(&t, &s, &said);
        s = lode_i_cols(score, a, a + 1);
        LODE_TRY(lode_array_cast(ctx, &s, LODE_F64, &t));
        LODE_TRY(slopes(ctx, &x, LODE_T, &t, weight, &p));
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_T, -1, &t, &p, 1, &x.gaps));
        LODE_TRY(fill_again(ctx, &x));
        LODE_TRY(lode_i_scale_rows(ctx, &p, &factor));
        LODE_FREE(&s);
        s = lode_i_cols(load, a, a + 1);
        LODE_TRY(lode_array_cast(ctx, &s, LODE_F64, &said));
        LODE_TRY(lode_i_norm_fro(ctx, &said, &size));
        LODE_TRY(lode_i_diff_fro(ctx, &p, &said, &apart));
        *off = fmax(*off, size > 0 ? apart / size : apart);
    }
done:
    free_table(&x);
    LODE_FREE(&own, &factor, &t, &p, &s, &said);
    return st;
}

uint64_t lode_i_cca_nipals_memory(int64_t n, int64_t p, int64_t q, int64_t k)
{
    return 8 * lode_i_bytes(LODE_F64, n, p + q) + 8 * lode_i_bytes(LODE_F64, n + p + q + 8, k + 8) +
           2 * lode_i_bytes(LODE_F64, p, q);
}
