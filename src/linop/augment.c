/* New directions beside a basis in extended form, orthonormal without being formed. */
#include <math.h>

#include "linop/extended.h"

/* A column of which less than this is left beside the basis and the others is formed: its square comes
 * from a difference, of which rounding then is 1e-14 at most. */
static const double LEFT = 0.1;
/* What is left of a formed column of length 1 below this is rounding. */
static const double ROUNDING = 1e-12;

typedef struct work {
    const lode_i_block *b;
    const lode_i_extended *x;
    int64_t k, p;
    /* s x (p + k): (b^H, c^H) of the columns of B less their part in X, all of B of length 1 */
    lode_array pairs;
    lode_array length; /* s, f64: what it was */
    lode_array Y,
        R; /* q x (p + k), s x q: what is orthonormal so far, in the order of the columns */
    double dropped;
} work;

/* Rows of A against rows of B (NULL: A) in the inner product of pairs: <b, b'> - <c, c'>. */
static lode_status products(lode_ctx *ctx, const work *w, const lode_array *A, const lode_array *B,
                            lode_array *G)
{
    lode_status st = LODE_OK;
    lode_array ab = lode_i_cols(A, 0, w->p), ac = lode_i_cols(A, w->p, w->p + w->k), bb = { 0 },
               bc = { 0 }, g = { 0 }, h = { 0 };
    if (B) {
        bb = lode_i_cols(B, 0, w->p), bc = lode_i_cols(B, w->p, w->p + w->k);
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_H, &ab, &bb, &g));
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_H, &ac, &bc, &h));
    } else {
        LODE_TRY(lode_i_gram(ctx, LODE_N, &ab, &g));
        LODE_TRY(lode_i_gram(ctx, LODE_N, &ac, &h));
    }
    LODE_TRY(lode_i_axpy(ctx, -1, &h, &g));
    lode_array_swap(G, &g);
done:
    LODE_FREE(&ab, &ac, &bb, &bc, &g, &h);
    return st;
}

/* C = B^H X and the pairs. */
static lode_status start(lode_ctx *ctx, work *w, lode_array *C)
{
    lode_status st = LODE_OK;
    const lode_i_block *b = w->b;
    lode_array used = lode_i_rows(&w->x->rows, 0, w->x->n), t = { 0 }, view = { 0 }, row = { 0 },
               unit = { 0 };
    LODE_TRY(b->csr.values.data ? lode_i_spmm(ctx, LODE_N, &b->csr, &used, &t)
                                : lode_i_gemm(ctx, LODE_N, LODE_N, &b->values, &used, &t));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &t, &w->x->core, C));
    LODE_TRY(lode_i_matrix_new(ctx, C->dtype, b->s, w->p + w->k, &w->pairs));
    view = lode_i_cols(&w->pairs, 0, w->p);
    LODE_TRY(lode_array_copy_into(ctx, &b->values, &view));
    lode_array_free(&view);
    view = lode_i_cols(&w->pairs, w->p, w->p + w->k);
    LODE_TRY(lode_array_copy_into(ctx, C, &view));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, b->s, &w->length));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, b->s, &unit));
    for (int64_t j = 0; j < b->s; j++) {
        double norm = 0;
        lode_array_free(&row);
        row = lode_i_rows(&b->values, j, j + 1);
        LODE_TRY(lode_i_norm_fro(ctx, &row, &norm));
        norm = norm > 1e-300 ? norm : 0; /* whose inverse is a number */
        lode_i_set1(&w->length, j, norm);
        lode_i_set1(&unit, j, norm > 0 ? 1 / norm : 0);
    }
    LODE_TRY(lode_i_scale_rows(ctx, &w->pairs, &unit));
done:
    LODE_FREE(&used, &t, &view, &row, &unit);
    return st;
}

/* Columns that stand on their own first in order, count of them. */
static lode_status choose(lode_ctx *ctx, const lode_array *G, lode_array *order, int64_t *count)
{
    lode_status st = LODE_OK;
    lode_array least = { 0 };
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, G->shape[0], &least));
    LODE_TRY(lode_i_fill(ctx, &least, LEFT * LEFT));
    LODE_TRY(lode_i_chol_aside(ctx, G, &least, order, count));
done:
    LODE_FREE(&least);
    return st;
}

/* Cholesky QR twice of these rows of pairs: Y, and L with pairs = L Y. good: both factorizations went
 * through as they are. */
static lode_status cholesky_twice(lode_ctx *ctx, const work *w, const lode_array *pairs,
                                  lode_array *Y, lode_array *L, bool *good)
{
    lode_status st = LODE_OK;
    lode_array G = { 0 }, l = { 0 }, y = { 0 }, eye = { 0 }, next = { 0 };
    double shift = 0, off = 0;
    *good = false;
    for (int pass = 0; pass < 2; pass++) {
        LODE_TRY(products(ctx, w, pass ? &y : pairs, NULL, &G));
        if (pass) {
            LODE_TRY(lode_i_eye(ctx, G.dtype, G.shape[0], &eye));
            LODE_TRY(lode_i_diff_fro(ctx, &G, &eye, &off));
            if (!(off <= 1e-3)) /* its square, what the second pass leaves, is then no more */
                goto done;
        }
        LODE_TRY(lode_i_cholesky(ctx, &G, &l, &shift));
        if (shift > 0)
            goto done;
        LODE_TRY(lode_i_solve_lower(ctx, LODE_N, &l, pass ? &y : pairs, &next));
        lode_array_swap(&y, &next);
        if (pass) {
            LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, L, &l, &next));
            lode_array_swap(L, &next);
        } else {
            lode_array_swap(L, &l);
        }
    }
    lode_array_swap(Y, &y);
    *good = true;
done:
    LODE_FREE(&G, &l, &y, &eye, &next);
    return st;
}

/* ---- columns that are formed ---- */

typedef struct formed {
    lode_array pairs;  /* f x (p + k) */
    lode_array R;      /* f x q: on what was orthonormal before them */
    lode_array C;      /* f x k: what the first projection on X left there */
    lode_array D;      /* n x f */
    lode_array length; /* f: of the columns as given */
} formed;

static void formed_free(formed *f)
{
    LODE_FREE(&f->pairs, &f->R, &f->C, &f->D, &f->length);
}

/* D = b at its places - X c */
static lode_status form(lode_ctx *ctx, const work *w, formed *f)
{
    lode_status st = LODE_OK;
    lode_array b = lode_i_cols(&f->pairs, 0, w->p), c = lode_i_cols(&f->pairs, w->p, w->p + w->k),
               used = lode_i_rows(&w->x->rows, 0, w->x->n), t = { 0 }, bh = { 0 }, view = { 0 };
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_H, &w->x->core, &c, &t));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &used, &t, &f->D));
    LODE_TRY(lode_i_scale(ctx, -1, &f->D));
    view = lode_i_transposed(&b);
    LODE_TRY(lode_array_cast(ctx, &view, b.dtype, &bh));
    LODE_TRY(lode_i_conj(ctx, &bh));
    LODE_TRY(w->b->index.data ? lode_i_add_rows(ctx, &bh, &w->b->index, &f->D)
                              : lode_i_axpy(ctx, 1, &bh, &f->D));
done:
    LODE_FREE(&b, &c, &used, &t, &bh, &view);
    return st;
}

/* D^H less its parts in X and Q: t = D^H X, u = D^H Q of what is formed; the pairs follow. */
static lode_status project(lode_ctx *ctx, const work *w, formed *f)
{
    lode_status st = LODE_OK;
    lode_array used = lode_i_rows(&w->x->rows, 0, w->x->n), t = { 0 }, u = { 0 }, at = { 0 },
               yb = lode_i_cols(&w->Y, 0, w->p), yc = lode_i_cols(&w->Y, w->p, w->p + w->k),
               c = lode_i_cols(&f->pairs, w->p, w->p + w->k);
    LODE_TRY(form(ctx, w, f));
    LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, &f->D, &used, &at));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &at, &w->x->core, &t));
    if (w->Y.shape[0] > 0) {
        LODE_FREE(&at);
        if (w->b->index.data)
            LODE_TRY(lode_i_take(ctx, &f->D, 0, &w->b->index, &at));
        else
            at = lode_array_ref(&f->D);
        LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_H, &at, &yb, &u));
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_H, -1, &t, &yc, 1, &u));
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, &u, &w->Y, 1, &f->pairs));
        LODE_TRY(lode_i_axpy(ctx, 1, &u, &f->R));
    }
    LODE_TRY(lode_i_axpy(ctx, 1, &t, &c));
    LODE_TRY(lode_i_axpy(ctx, 1, &t, &f->C));
done:
    LODE_FREE(&used, &t, &u, &at, &yb, &yc, &c);
    return st;
}

/* Of formed columns, numbers of those that are more than rounding and independent, ascending. */
static lode_status independent(lode_ctx *ctx, const formed *f, lode_array *index)
{
    lode_status st = LODE_OK;
    const int64_t n = f->D.shape[1];
    lode_array r = { 0 }, rh = { 0 }, view = { 0 }, order = { 0 }, lengths = { 0 }, y = { 0 };
    int64_t count = 0;
    bool *kept = NULL;
    LODE_TRY(LODE_NEW(ctx, lode_i_max(n, 1), &kept));
    for (int64_t j = 0; j < n; j++)
        kept[j] = false;
    LODE_TRY(lode_i_qr_r(ctx, &f->D, &r));
    LODE_TRY(lode_i_conj(ctx, &r));
    view = lode_i_transposed(&r);
    LODE_TRY(lode_array_cast(ctx, &view, r.dtype, &rh));
    LODE_TRY(lode_i_greedy_rows(ctx, &rh, n, &order, &lengths));
    for (int64_t i = 0; i < n; i++) {
        if (lode_i_get2(&lengths, i, 0) > ROUNDING)
            kept[(int64_t)lode_i_get1(&order, i)] = true, count++;
    }
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, count, &y));
    count = 0;
    for (int64_t j = 0; j < n; j++)
        if (kept[j])
            lode_i_set1(&y, count++, (double)j);
    lode_array_swap(index, &y);
done:
    lode_i_free(kept);
    LODE_FREE(&r, &rh, &view, &order, &lengths, &y);
    return st;
}

/* Two blocks one below the other, or beside each other where the second is shorter by columns. */
static lode_status stack(lode_ctx *ctx, const lode_array *a, const lode_array *b, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 }, view = { 0 };
    const int64_t m = a->shape[0], n = lode_i_max(a->shape[1], b->shape[1]);
    LODE_TRY(lode_array_zeros(ctx, a->dtype, 2, (const int64_t[]){ m + b->shape[0], n }, &y));
    for (int i = 0; i < 2; i++) {
        const lode_array *x = i ? b : a;
        lode_array rows = lode_i_rows(&y, i ? m : 0, i ? m + b->shape[0] : m);
        lode_array_free(&view);
        view = lode_i_cols(&rows, 0, x->shape[1]);
        lode_array_free(&rows);
        LODE_TRY(lode_array_copy_into(ctx, x, &view));
    }
    lode_array_swap(out, &y);
done:
    LODE_FREE(&y, &view);
    return st;
}

/* What formed columns add to the directions: pairs from D = Q R, that is R^-H (pairs); S, f x q2: on
 * these. */
static lode_status directions(lode_ctx *ctx, work *w, formed *f, lode_array *S)
{
    lode_status st = LODE_OK;
    lode_array index = { 0 }, kept = { 0 }, pairs = { 0 }, q = { 0 }, r = { 0 }, rh = { 0 },
               view = { 0 }, y = { 0 }, all = { 0 };
    double left = 0;
    LODE_TRY(independent(ctx, f, &index));
    LODE_TRY(lode_i_take(ctx, &f->D, 1, &index, &kept));
    LODE_TRY(lode_i_take(ctx, &f->pairs, 0, &index, &pairs));
    LODE_TRY(lode_i_qr(ctx, &kept, &q, &r));
    LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, &f->D, &q, S));
    view = lode_i_transposed(S);
    LODE_TRY(lode_array_cast(ctx, &view, S->dtype, &rh));
    LODE_TRY(lode_i_conj(ctx, &rh));
    LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, &q, &rh, 1, &f->D));
    LODE_TRY(lode_i_scale_cols(ctx, &f->D, &f->length));
    LODE_TRY(lode_i_norm_fro(ctx, &f->D, &left));
    w->dropped = hypot(w->dropped, left);
    LODE_FREE(&view, &rh);
    LODE_TRY(lode_i_conj(ctx, &r));
    view = lode_i_transposed(&r);
    LODE_TRY(lode_array_cast(ctx, &view, r.dtype, &rh));
    LODE_TRY(lode_i_solve_lower(ctx, LODE_N, &rh, &pairs, &y));
    LODE_TRY(stack(ctx, &w->Y, &y, &all));
    lode_array_swap(&w->Y, &all);
done:
    LODE_FREE(&index, &kept, &pairs, &q, &r, &rh, &view, &y, &all);
    return st;
}

/* The columns that order names from `first` on. C: theirs of B^H X, to which rounding of the first
 * projection is added. */
static lode_status the_others(lode_ctx *ctx, work *w, const lode_array *order, int64_t first,
                              lode_array *C)
{
    lode_status st = LODE_OK;
    formed f = { 0 };
    lode_array index = { 0 }, S = { 0 }, view = { 0 }, both = { 0 };
    const int64_t q = w->Y.shape[0], s = order->shape[0];
    LODE_TRY(lode_array_slice(ctx, order, 0, first, s, 1, &view));
    LODE_TRY(lode_array_cast(ctx, &view, LODE_I64, &index));
    LODE_TRY(lode_i_take(ctx, &w->pairs, 0, &index, &f.pairs));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, s - first, &f.length));
    for (int64_t i = 0; i < s - first; i++)
        lode_i_set1(&f.length, i, lode_i_get1(&w->length, (int64_t)lode_i_get1(&index, i)));
    LODE_TRY(lode_array_zeros(ctx, C->dtype, 2, (const int64_t[]){ s - first, w->k }, &f.C));
    if (q > 0) {
        LODE_TRY(products(ctx, w, &f.pairs, &w->Y, &f.R));
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, &f.R, &w->Y, 1, &f.pairs));
    } else {
        LODE_TRY(lode_i_matrix_new(ctx, C->dtype, s - first, 0, &f.R));
    }
    for (int pass = 0; pass < 2; pass++)
        LODE_TRY(project(ctx, w, &f));
    LODE_TRY(form(ctx, w, &f));
    LODE_TRY(directions(ctx, w, &f, &S));
    LODE_TRY(lode_i_scale_rows(ctx, &f.C, &f.length));
    LODE_TRY(lode_i_add_rows(ctx, &f.C, &index, C));
    /* [R 0; R_f S], rows in the order of the columns */
    const int64_t more = S.shape[1];
    LODE_TRY(lode_i_matrix_new(ctx, C->dtype, s - first, q + more, &both));
    lode_array_free(&view);
    view = lode_i_cols(&both, 0, q);
    LODE_TRY(lode_array_copy_into(ctx, &f.R, &view));
    lode_array_free(&view);
    view = lode_i_cols(&both, q, q + more);
    LODE_TRY(lode_array_copy_into(ctx, &S, &view));
    LODE_TRY(stack(ctx, &w->R, &both, &S));
    lode_array_swap(&w->R, &S);
done:
    formed_free(&f);
    LODE_FREE(&index, &S, &view, &both);
    return st;
}

/* Rows, which are in this order, in their own. */
static lode_status put_back(lode_ctx *ctx, const lode_array *order, lode_array *R)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    LODE_TRY(lode_array_zeros(ctx, R->dtype, 2, R->shape, &y));
    LODE_TRY(lode_i_add_rows(ctx, R, order, &y));
    lode_array_swap(R, &y);
done:
    LODE_FREE(&y);
    return st;
}

static lode_status augment_pairs(lode_ctx *ctx, lode_i_extended *x, const lode_i_block *b,
                                 lode_i_augment *a)
{
    lode_status st = LODE_OK;
    work w = { .b = b, .x = x, .k = x->core.shape[1], .p = b->values.shape[1] };
    lode_array G = { 0 }, order = { 0 }, index = { 0 }, view = { 0 }, kept = { 0 }, C = { 0 };
    int64_t count = 0;
    bool good = false;
    LODE_TRY(start(ctx, &w, &C));
    LODE_TRY(products(ctx, &w, &w.pairs, NULL, &G));
    LODE_TRY(choose(ctx, &G, &order, &count));
    for (int tries = 0; tries < 2 && !good; tries++, count = good ? count : 0) {
        LODE_FREE(&view, &w.Y, &w.R);
        LODE_TRY(lode_array_slice(ctx, &order, 0, 0, count, 1, &view));
        LODE_TRY(lode_array_cast(ctx, &view, LODE_I64, &index));
        LODE_TRY(lode_i_take(ctx, &w.pairs, 0, &index, &kept));
        LODE_TRY(cholesky_twice(ctx, &w, &kept, &w.Y, &w.R, &good));
    }
    const double p = (double)w.p, k = (double)w.k, s = (double)b->s, q = (double)count;
    const double K = (double)x->core.shape[0], f = s - q, n = (double)x->n;
    const double entries = b->csr.values.data ? (double)lode_sparse_nnz(&b->csr) : s * n;
    x->flops += (lode_i_is_complex(C.dtype) ? 8 : 2) *
                (entries * K + s * K * k + (p + k) * (0.5 * s * s + 2 * q * q) +
                 f * (5 * n * K + 2 * n * f));
    if (count < b->s)
        LODE_TRY(the_others(ctx, &w, &order, count, &C));
    LODE_TRY(put_back(ctx, &order, &w.R));
    LODE_TRY(lode_i_scale_rows(ctx, &w.R, &w.length));
    lode_array_swap(&a->C, &C);
    lode_array_swap(&a->R, &w.R);
    lode_array_swap(&a->pairs, &w.Y);
    a->dropped = w.dropped;
done:
    LODE_FREE(&w.pairs, &w.length, &w.Y, &w.R, &G, &order, &index, &view, &kept, &C);
    return st;
}

/* The same with all directions formed: Zha & Simon's QR of (I - X X^H) B. */
static lode_status augment_plain(lode_ctx *ctx, lode_i_extended *x, const lode_i_block *b,
                                 lode_stream stream, lode_i_augment *a)
{
    lode_status st = LODE_OK;
    lode_array used = lode_i_rows(&x->rows, 0, x->n), Z = { 0 }, bh = { 0 }, view = { 0 },
               C = { 0 }, R = { 0 };
    view = lode_i_transposed(&b->values);
    LODE_TRY(lode_array_cast(ctx, &view, used.dtype, &bh));
    LODE_TRY(lode_i_conj(ctx, &bh));
    if (b->index.data) {
        LODE_TRY(lode_array_zeros(ctx, used.dtype, 2, (const int64_t[]){ x->n, b->s }, &Z));
        LODE_TRY(lode_i_add_rows(ctx, &bh, &b->index, &Z));
    } else {
        lode_array_swap(&Z, &bh);
    }
    LODE_TRY(lode_i_orth_block(ctx, &used, 0, &Z, stream, &C, &R));
    const double n = (double)x->n, k = (double)used.shape[1], s = (double)b->s;
    x->flops += (lode_i_is_complex(Z.dtype) ? 8 : 2) * (2 * n * k * s + 2 * n * s * s);
    lode_array *const from[2] = { &C, &R }, *const to[2] = { &a->C, &a->R };
    for (int i = 0; i < 2; i++) {
        LODE_FREE(&view);
        view = lode_i_transposed(from[i]);
        LODE_TRY(lode_array_cast(ctx, &view, Z.dtype, to[i]));
        LODE_TRY(lode_i_conj(ctx, to[i]));
    }
    lode_array_swap(&a->Q, &Z);
done:
    LODE_FREE(&used, &Z, &bh, &view, &C, &R);
    return st;
}

lode_status lode_i_extended_augment(lode_ctx *ctx, lode_i_extended *x, const lode_i_block *b,
                                    lode_stream stream, lode_i_augment *a)
{
    lode_i_augment_free(a);
    return x->plain ? augment_plain(ctx, x, b, stream, a) : augment_pairs(ctx, x, b, a);
}
