/* svd: a decomposition that takes in rows, columns and changes of the matrix, batch after batch.
 *
 * With A ~ U S V^H and new rows E = C V^H + R Q^H, Q orthonormal beside V, the new matrix is
 * [U 0; 0 I] [S 0; C R] [V Q]^H: the small one in the middle is decomposed, F T G^H, and the leading k
 * kept, U from [U 0; 0 I] F, V from [V Q] G. New columns are rows of A^H. For A + D E^H both sides get
 * new directions, and the middle is [S 0; 0 0] + [C_D R_D]^H [C_E R_E]. Neither Q nor U F nor V G is
 * formed: U = P C and V likewise are kept as tall rows and small cores (linop/extended.h), so that
 * sparse data change few rows, and the rest is done on the cores.
 *
 * What a cut leaves out adds up: ||A_new - its model|| is at most what the model before was off by, on
 * the entries that it stood for, and the Frobenius norm of the singular values cut now, by the triangle
 * inequality; where directions were dropped as rounding, their norm too.
 *
 * Source: Deng, Li, Zhang & Xu 2024, doi:10.48550/arXiv.2401.09703 (ICLR 2024); Zha & Simon, SIAM J. Sci.
 * Comput. 21 (1999) 782, the same projection with bases formed. Departures: directions made
 * orthonormal by Cholesky QR twice in the paper's inner product, and formed where that cancels, in place
 * of modified Gram-Schmidt; the drift from orthonormality is known at each step, from the Gram matrix of
 * the tall rows, and the bases are formed anew when it, or the condition of a core, says so; arithmetic
 * in double whatever the model's type; files hold U and V formed, as of any svd. */
#include <math.h>
#include <string.h>

#include "ops/matrix/svd_stream.h"

lode_status lode_svd_stream_open(lode_ctx *ctx, const lode_bundle *model, lode_svd_basis basis,
                                 lode_svd_stream **stream)
{
    lode_status st = LODE_OK;
    lode_i_svd_factors f;
    lode_svd_stream *w = NULL;
    lode_i_begin(ctx, "svd");
    LODE_REQUIRE(strcmp(model->meta.op, "svd") == 0, LODE_EUSAGE,
                 "svd: a stream begins with a result of svd, not of '%s'", model->meta.op);
    LODE_TRY(lode_i_svd_read(ctx, model, &f));
    LODE_TRY(lode_i_calloc(ctx, sizeof *w, (void **)&w));
    LODE_TRY(lode_i_svd_options(ctx, model, &w->o));
    w->stored = f.U->dtype;
    w->dtype = lode_i_is_complex(f.U->dtype) ? LODE_C128 : LODE_F64;
    w->stream = lode_i_stream(ctx, "svd", 7);
    for (int i = 0; i < 2; i++) {
        const lode_array *X = i ? f.V : f.U;
        LODE_TRY(lode_i_require_finite(ctx, X, i ? "V" : "U"));
        w->side[i].plain = basis == LODE_SVD_PLAIN || lode_i_broken(ctx, "svd-update");
        LODE_TRY(lode_i_extended_start(ctx, X, w->dtype, &w->side[i]));
    }
    LODE_TRY(lode_i_require_finite(ctx, f.s, "s"));
    LODE_TRY(lode_array_cast(ctx, f.s, LODE_F64, &w->s));
    LODE_TRY(lode_i_svd_known(ctx, model, f.s, &w->lost, &w->norm));
    w->origin.meta.has_shape = true; /* so that it inherits names and units too */
    LODE_TRY(lode_i_inherit(ctx, model, "update", &w->origin));
    lode_svd_stream_close(stream);
    *stream = w, w = NULL;
done:
    lode_i_end(ctx);
    lode_svd_stream_close(&w);
    return st;
}

void lode_svd_stream_close(lode_svd_stream **stream)
{
    lode_svd_stream *w = *stream;
    if (!w)
        return;
    lode_i_extended_free(&w->side[0]);
    lode_i_extended_free(&w->side[1]);
    LODE_FREE(&w->s, &w->origin);
    lode_i_free(w);
    *stream = NULL;
}

lode_svd_stream_info lode_svd_stream_state(const lode_svd_stream *w)
{
    return (lode_svd_stream_info){ .m = w->side[0].n,
                                   .n = w->side[1].n,
                                   .k = w->s.shape[0],
                                   .updates = w->updates,
                                   .renewals = w->side[0].renewals + w->side[1].renewals,
                                   .drift = fmax(w->side[0].drift, w->side[1].drift),
                                   .lost = w->lost,
                                   .norm = w->norm,
                                   .flops = w->flops + w->side[0].flops + w->side[1].flops };
}

lode_status lode_svd_stream_values(lode_ctx *ctx, const lode_svd_stream *w, lode_array *s)
{
    return lode_array_cast(ctx, &w->s, LODE_F64, s);
}

lode_status lode_svd_stream_result(lode_ctx *ctx, const lode_svd_stream *w, lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_bundle local = { 0 };
    lode_array U = { 0 }, s = { 0 }, V = { 0 };
    const lode_svd_stream_info now = lode_svd_stream_state(w);
    LODE_TRY(lode_i_extended_form(ctx, &w->side[0], w->stored, &U));
    LODE_TRY(lode_i_extended_form(ctx, &w->side[1], w->stored, &V));
    LODE_TRY(lode_array_cast(ctx, &w->s, lode_i_real_of(w->stored), &s));
    LODE_TRY(lode_i_canonical_signs(ctx, &U, &V));
    LODE_TRY(lode_bundle_add_array(ctx, &local, "U", &U));
    LODE_TRY(lode_bundle_add_array(ctx, &local, "s", &s));
    LODE_TRY(lode_bundle_add_array(ctx, &local, "V", &V));
    LODE_TRY(lode_bundle_add_i64(ctx, &local, "updates", now.updates));
    LODE_TRY(lode_bundle_add_f64(ctx, &local, "flops", now.flops));
    lode_i_svd_meta(&local, w->stored, now.m, now.n);
    local.certificate = lode_i_svd_bound(&w->o, w->lost, w->norm);
    LODE_TRY(lode_i_inherit(ctx, &w->origin, "update", &local));
    lode_bundle_swap(result, &local);
done:
    LODE_FREE(&local, &U, &s, &V);
    return st;
}

/* ---- what is in the middle ---- */

/* M and its parts: corner k x k in diagonals of s, the rest zero. */
static lode_status corner(lode_ctx *ctx, const lode_svd_stream *w, int64_t rows, int64_t cols,
                          lode_array *M)
{
    LODE_FORWARD(lode_array_zeros(ctx, w->dtype, 2, (const int64_t[]){ rows, cols }, M));
    for (int64_t i = 0; i < w->s.shape[0]; i++)
        lode_i_set2(M, i, i, lode_i_get1(&w->s, i));
    return LODE_OK;
}

static lode_status place(lode_ctx *ctx, const lode_array *x, int64_t row, int64_t col,
                         lode_array *M)
{
    lode_array rows = lode_i_rows(M, row, row + x->shape[0]),
               box = lode_i_cols(&rows, col, col + x->shape[1]);
    const lode_status st = lode_array_copy_into(ctx, x, &box);
    LODE_FREE(&rows, &box);
    return st;
}

/* [C R] */
static lode_status beside(lode_ctx *ctx, const lode_i_augment *a, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    LODE_TRY(lode_i_matrix_new(ctx, a->C.dtype, a->C.shape[0], a->C.shape[1] + a->R.shape[1], &y));
    LODE_TRY(place(ctx, &a->C, 0, 0, &y));
    LODE_TRY(place(ctx, &a->R, 0, a->C.shape[1], &y));
    lode_array_swap(out, &y);
done:
    LODE_FREE(&y);
    return st;
}

/* M = F diag(s) G^H, cut. */
typedef struct middle {
    lode_array F, s, G;
    double tail;
} middle;

static void middle_free(middle *c)
{
    LODE_FREE(&c->F, &c->s, &c->G);
}

static lode_status decompose(lode_ctx *ctx, lode_svd_stream *w, const lode_array *M, double norm,
                             middle *c)
{
    lode_status st = LODE_OK;
    lode_array F = { 0 }, s = { 0 }, G = { 0 }, cut = { 0 };
    const double a = (double)lode_i_max(M->shape[0], M->shape[1]),
                 b = (double)lode_i_min(M->shape[0], M->shape[1]);
    LODE_TRY(lode_i_tick(ctx, 1, 3));
    LODE_TRY(lode_i_svd_small(ctx, "middle", M, &F, &s, &G));
    LODE_TRY(lode_i_tick(ctx, 2, 3));
    w->flops += (lode_i_is_complex(M->dtype) ? 4 : 1) * (4 * a * b * b + 22 * b * b * b);
    const int64_t k = lode_i_svd_keep(&w->o, &s, w->lost, norm, &c->tail);
    c->F = lode_i_cols(&F, 0, k), c->G = lode_i_cols(&G, 0, k);
    LODE_TRY(lode_array_slice(ctx, &s, 0, 0, k, 1, &cut));
    LODE_TRY(lode_array_cast(ctx, &cut, LODE_F64, &c->s));
done:
    LODE_FREE(&F, &s, &G, &cut);
    return st;
}

/* ---- changes ---- */

/* A side that drifts from orthonormal: both formed by QR, X = Q_X R_X, and the small R_U S R_V^H decomposed
 * again. */
static lode_status renew(lode_ctx *ctx, lode_svd_stream *w)
{
    lode_status st = LODE_OK;
    lode_i_turned t[2] = { { .n = 0 } };
    lode_array r[2] = { { 0 } }, M = { 0 }, F = { 0 }, s = { 0 }, G = { 0 };
    bool due = false;
    for (int i = 0; i < 2; i++)
        due = due || w->side[i].drift > lode_i_extended_limit(w->side[i].n, w->s.shape[0]);
    if (!due)
        return LODE_OK;
    for (int i = 0; i < 2; i++)
        LODE_TRY(lode_i_extended_renew(ctx, &w->side[i], &r[i], &t[i]));
    LODE_TRY(lode_i_scale_cols(ctx, &r[0], &w->s));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_H, &r[0], &r[1], &M));
    LODE_TRY(lode_i_svd(ctx, &M, M.shape[0], &F, &s, &G));
    lode_array_swap(&t[0].core, &F);
    lode_array_swap(&t[1].core, &G);
    lode_array_swap(&w->s, &s);
    lode_i_extended_commit(ctx, &w->side[0], &t[0]);
    lode_i_extended_commit(ctx, &w->side[1], &t[1]);
done:
    for (int i = 0; i < 2; i++) {
        lode_i_turned_free(&t[i]);
        LODE_FREE(&r[i]);
    }
    LODE_FREE(&M, &F, &s, &G);
    return st;
}

static void commit(lode_ctx *ctx, lode_svd_stream *w, lode_i_turned t[2], middle *c, double dropped,
                   double norm)
{
    lode_i_extended_commit(ctx, &w->side[0], &t[0]);
    lode_i_extended_commit(ctx, &w->side[1], &t[1]);
    lode_array_swap(&w->s, &c->s);
    w->lost = w->lost < 0 ? -1 : w->lost + c->tail + dropped;
    w->norm = norm;
    w->updates++;
}

/* Rows as many as the other side is long, or nearly: no directions beside it, [S V^H; E] as it is. */
static lode_status append_many(lode_ctx *ctx, lode_svd_stream *w, int side, const lode_i_block *b,
                               double norm)
{
    lode_status st = LODE_OK;
    lode_i_extended *long_side = &w->side[side], *other = &w->side[1 - side];
    lode_i_turned t[2] = { { .n = 0 } };
    lode_array X = { 0 }, M = { 0 }, view = { 0 }, top = { 0 }, E = { 0 };
    middle c = { 0 };
    const int64_t k = w->s.shape[0];
    LODE_TRY(lode_i_extended_form(ctx, other, w->dtype, &X));
    LODE_TRY(lode_i_scale_cols(ctx, &X, &w->s));
    LODE_TRY(lode_i_conj(ctx, &X));
    view = lode_i_transposed(&X);
    LODE_TRY(lode_i_matrix_new(ctx, w->dtype, k + b->s, other->n, &M));
    LODE_TRY(place(ctx, &view, 0, 0, &M));
    if (b->csr.values.data)
        LODE_TRY(lode_sparse_to_dense(ctx, &b->csr, &E));
    LODE_TRY(place(ctx, b->csr.values.data ? &E : &b->values, k, 0, &M));
    LODE_TRY(decompose(ctx, w, &M, norm, &c));
    LODE_TRY(lode_i_extended_append(ctx, long_side, &c.F, &t[side]));
    LODE_TRY(lode_array_cast(ctx, &c.G, c.G.dtype, &top));
    LODE_TRY(lode_i_extended_replace(ctx, other, &top, &t[1 - side]));
    commit(ctx, w, t, &c, 0, norm);
done:
    lode_i_turned_free(&t[0]), lode_i_turned_free(&t[1]);
    middle_free(&c);
    LODE_FREE(&X, &M, &view, &top, &E);
    return st;
}

lode_status lode_i_svd_append(lode_ctx *ctx, lode_svd_stream *w, int side, const lode_i_block *b)
{
    lode_status st = LODE_OK;
    lode_i_extended *long_side = &w->side[side], *other = &w->side[1 - side];
    lode_i_turned t[2] = { { .n = 0 } };
    lode_i_augment a = { 0 };
    lode_array M = { 0 };
    middle c = { 0 };
    double more = 0;
    const int64_t k = w->s.shape[0];
    LODE_TRY(lode_i_norm_fro(ctx, &b->values, &more));
    const double norm = hypot(w->norm, more);
    LODE_TRY(lode_i_tick(ctx, 0, 3));
    if (b->s == 0)
        goto done;
    if (k + b->s >= other->n) {
        LODE_TRY(append_many(ctx, w, side, b, norm));
    } else {
        LODE_TRY(lode_i_extended_augment(ctx, other, b, w->stream, &a));
        LODE_TRY(corner(ctx, w, k + b->s, k + a.R.shape[1], &M));
        LODE_TRY(place(ctx, &a.C, k, 0, &M));
        LODE_TRY(place(ctx, &a.R, k, k, &M));
        LODE_TRY(decompose(ctx, w, &M, norm, &c));
        LODE_TRY(lode_i_extended_append(ctx, long_side, &c.F, &t[side]));
        LODE_TRY(lode_i_extended_turn(ctx, other, b, &a, &c.G, &t[1 - side]));
        commit(ctx, w, t, &c, a.dropped, norm);
    }
    LODE_TRY(renew(ctx, w));
done:
    lode_i_turned_free(&t[0]), lode_i_turned_free(&t[1]);
    lode_i_augment_free(&a);
    middle_free(&c);
    LODE_FREE(&M);
    return st;
}

lode_status lode_i_svd_change(lode_ctx *ctx, lode_svd_stream *w, const lode_i_block b[2])
{
    lode_status st = LODE_OK;
    lode_i_turned t[2] = { { .n = 0 } };
    lode_i_augment a[2] = { { .dropped = 0 } };
    lode_array cr[2] = { { 0 } }, M = { 0 }, by = { 0 };
    middle c = { 0 };
    double size[2] = { 0 }, kept = 0, change = 0;
    const int64_t k = w->s.shape[0];
    LODE_TRY(lode_i_tick(ctx, 0, 3));
    if (b[0].s == 0)
        goto done;
    for (int i = 0; i < 2; i++) {
        LODE_TRY(lode_i_norm_fro(ctx, &b[i].values, &size[i]));
        LODE_TRY(lode_i_extended_augment(ctx, &w->side[i], &b[i], w->stream, &a[i]));
        LODE_TRY(beside(ctx, &a[i], &cr[i]));
    }
    LODE_TRY(corner(ctx, w, k + a[0].R.shape[1], k + a[1].R.shape[1], &M));
    LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, &cr[0], &cr[1], &by));
    LODE_TRY(lode_i_norm_fro(ctx, &by, &change));
    LODE_TRY(lode_i_axpy(ctx, 1, &by, &M));
    /* ||A + D E^H|| at least, as what the model leaves out may cancel: by ||A||, or by the model */
    LODE_TRY(lode_i_norm_fro(ctx, &M, &kept));
    const double dropped = a[0].dropped * size[1] + a[1].dropped * size[0];
    const double norm = fmax(fmax(w->norm - change, kept - fmax(w->lost, 0)) - dropped, 0);
    LODE_TRY(decompose(ctx, w, &M, norm, &c));
    for (int i = 0; i < 2; i++)
        LODE_TRY(lode_i_extended_turn(ctx, &w->side[i], &b[i], &a[i], i ? &c.G : &c.F, &t[i]));
    commit(ctx, w, t, &c, dropped, norm);
    LODE_TRY(renew(ctx, w));
done:
    for (int i = 0; i < 2; i++) {
        lode_i_turned_free(&t[i]);
        lode_i_augment_free(&a[i]);
        LODE_FREE(&cr[i]);
    }
    middle_free(&c);
    LODE_FREE(&M, &by);
    return st;
}
