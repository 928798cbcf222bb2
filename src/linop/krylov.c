/* The basis of a block Krylov iteration: it grows by blocks made orthonormal against all of it, is cut back to
 * leading Ritz vectors when full (thick restart), and takes in random columns where eigenvalues are tied.
 * Singular triplets (svds.c) and Hermitian eigenpairs (eigs.c) are found in it.
 *
 * Sources: Golub, Luk, Overton 1981, doi:10.1145/355945.355946 (block Lanczos); Wu, Simon 2000,
 * doi:10.1137/S0895479898334605 (thick restart). */
#include "linop/krylov.h"

#include <math.h>

static lode_array part(const lode_array *a, int64_t r0, int64_t r1, int64_t c0, int64_t c1)
{
    lode_array rows = lode_i_rows(a, r0, r1), out = lode_i_cols(&rows, c0, c1);
    lode_array_free(&rows);
    return out;
}

static lode_status put(lode_ctx *ctx, const lode_array *from, lode_array *a, int64_t r0, int64_t c0)
{
    lode_array to = part(a, r0, r0 + from->shape[0], c0, c0 + from->shape[1]);
    const lode_status st = lode_array_copy_into(ctx, from, &to);
    lode_array_free(&to);
    return st;
}

lode_array lode_i_krylov_basis(const krylov *k, const lode_array *a)
{
    return lode_i_cols(a, 0, k->done);
}

/* Columns for `need` vectors in Q, in W where it is kept, and rows and columns for them in T. */
static lode_status make_room(lode_ctx *ctx, krylov *k, int64_t need)
{
    lode_status st = LODE_OK;
    lode_array q = { 0 }, w = { 0 }, t = { 0 };
    if (need <= k->room)
        return LODE_OK;
    const int64_t room = lode_i_min(k->cap,
                                    lode_i_max(lode_i_max(need, k->o.first_basis), 2 * k->room));
    const int64_t square[2] = { room, room };
    LODE_TRY(lode_array_zeros(ctx, lode_i_is_complex(k->A->dtype) ? LODE_C128 : LODE_F64, 2, square,
                              &t));
    if (k->room > 0)
        LODE_TRY(put(ctx, &k->T, &t, 0, 0));
    lode_array_swap(&k->T, &t);
    lode_array_free(&t);
    LODE_TRY(lode_i_matrix_new(ctx, k->A->dtype, k->A->cols, room, &q));
    if (k->room > 0)
        LODE_TRY(put(ctx, &k->Q, &q, 0, 0));
    lode_array_swap(&k->Q, &q);
    lode_array_free(&q);
    if (k->keep) {
        LODE_TRY(lode_i_matrix_new(ctx, k->A->dtype, k->A->rows, room, &w));
        if (k->room > 0)
            LODE_TRY(put(ctx, &k->W, &w, 0, 0));
        lode_array_swap(&k->W, &w);
    }
    k->room = room;
done:
    LODE_FREE(&q, &w, &t);
    return st;
}

/* ---- range of the numbers ---- */

/* Products with A (twice: with A^H A) far from 1 overflow or vanish when squared: false, and then A
 * is scaled by a power of 2. */
static lode_status in_range(lode_ctx *ctx, const lode_array *product, bool twice, bool *good)
{
    double norm = 0;
    LODE_FORWARD(lode_i_norm_fro(ctx, product, &norm));
    const bool single = lode_i_is_single(product->dtype);
    const double far = twice ? single ? 0x1p100 : 0x1p800 : single ? 0x1p50 : 0x1p400;
    *good = norm < far && norm > 1 / far; /* not NaN */
    return LODE_OK;
}

static lode_status choose_scale(lode_ctx *ctx, krylov *k, const lode_array *product)
{
    lode_status st = LODE_OK;
    double norm = 0;
    LODE_TRY(lode_i_linop_norm(ctx, k->A, &norm));
    if (norm < 0) /* entries unknown: what the product says */
        LODE_TRY(lode_i_norm_fro(ctx, product, &norm));
    LODE_REQUIRE(isfinite(norm), LODE_EDOMAIN, "products with A leave the range of %s: scale A",
                 lode_dtype_name(k->A->dtype));
    const int most = lode_i_is_single(k->A->dtype) ? 120 : 1000;
    int e = 0;
    frexp(norm, &e);
    e = e > most ? most : e < -most ? -most : e;
    k->scale = norm > 0 ? ldexp(1, -e) : 1; /* a zero matrix needs none */
    LODE_TRY(lode_i_linop_times(ctx, k->A, k->scale, &k->scaled));
    k->A = k->scaled;
done:
    return st;
}

/* ---- one step ---- */

lode_status lode_i_krylov_start_with(lode_ctx *ctx, krylov *k, lode_array *x)
{
    lode_status st = LODE_OK;
    lode_array c = { 0 }, r = { 0 }, none = { 0 };
    k->fresh = k->starts = x->shape[1];
    LODE_TRY(lode_i_matrix_new(ctx, k->A->dtype, k->A->cols, 0, &none));
    LODE_TRY(lode_i_orth_block(ctx, &none, 0, x, k->stream, &c, &r));
    LODE_TRY(make_room(ctx, k, k->fresh));
    LODE_TRY(put(ctx, x, &k->Q, 0, 0));
done:
    LODE_FREE(&c, &r, &none);
    return st;
}

/* The first block: random directions; of the row space where A is wide, whose null space is then no
 * burden. */
lode_status lode_i_krylov_start(lode_ctx *ctx, krylov *k)
{
    lode_status st = LODE_OK;
    lode_array x = { 0 }, y = { 0 };
    const lode_linop *A = k->A;
    const bool wide = A->cols > A->rows;
    bool good = true;
    k->fresh = k->starts = lode_i_min(k->o.block, k->limit);
    LODE_TRY(lode_i_randn(ctx, lode_i_stream(ctx, k->o.op, 0), A->dtype, wide ? A->rows : A->cols,
                          k->fresh, &x));
    if (wide) {
        LODE_TRY(A->apply(ctx, A, true, &x, &y));
        k->products += k->fresh;
        LODE_TRY(in_range(ctx, &y, false, &good));
        if (!good && k->scale == 0) {
            LODE_TRY(choose_scale(ctx, k, &y));
            LODE_TRY(k->A->apply(ctx, k->A, true, &x, &y));
        }
        lode_array_swap(&x, &y);
    }
    LODE_TRY(lode_i_krylov_start_with(ctx, k, &x));
done:
    LODE_FREE(&x, &y);
    return st;
}

/* T[0..done, done..done+fresh] = c, and its mirror image where T is Hermitian. */
static lode_status put_hermitian(lode_ctx *ctx, krylov *k, const lode_array *c)
{
    lode_status st = LODE_OK;
    lode_array wide = { 0 }, mirror = { 0 }, own = { 0 }, copy = { 0 };
    LODE_TRY(lode_array_cast(ctx, c, k->T.dtype, &wide));
    /* rounding makes the halves of the block on the diagonal unlike, in single precision by more than the
     * decomposition of T allows */
    own = lode_i_rows(&wide, k->done, k->done + c->shape[1]);
    LODE_TRY(lode_array_cast(ctx, &own, own.dtype, &copy));
    LODE_TRY(lode_i_conj(ctx, &copy));
    mirror = lode_i_transposed(&copy);
    LODE_TRY(lode_i_axpy(ctx, 1, &mirror, &own));
    LODE_TRY(lode_i_scale(ctx, 0.5, &own));
    LODE_TRY(put(ctx, &wide, &k->T, 0, k->done));
    LODE_TRY(lode_i_conj(ctx, &wide));
    mirror = lode_i_transposed(&wide);
    LODE_TRY(put(ctx, &mirror, &k->T, k->done, 0));
done:
    LODE_FREE(&wide, &own, &copy);
    return st;
}

/* W = A X and Z = A^H W (Hermitian: Z = A X alone); two-sided, W is made orthonormal against U first and its coefficients go
 * into T. */
static lode_status products(lode_ctx *ctx, krylov *k, const lode_array *X, lode_array *W,
                            lode_array *Z)
{
    lode_status st = LODE_OK;
    lode_array basis = { 0 }, c = { 0 }, r = { 0 };
    double *norm = isnan(k->norm) ? &k->norm : NULL;
    const bool fused = k->A->normal && !k->keep; /* then W is not asked for */
    bool good = true;
    if (k->hermitian) {
        k->products += X->shape[1];
        return k->A->apply(ctx, k->A, false, X, Z);
    }
    for (int attempt = 0; attempt < 2; attempt++) {
        if (!k->two) {
            LODE_TRY(lode_i_linop_normal(ctx, k->A, X, fused ? NULL : W, Z, norm));
        } else {
            if (norm)
                LODE_TRY(lode_i_linop_norm(ctx, k->A, norm));
            lode_i_work(ctx, "", 1, 1);
            lode_i_nest(ctx);
            const lode_status applied = k->A->apply(ctx, k->A, false, X, W);
            lode_i_unnest(ctx);
            LODE_TRY(applied);
        }
        if (k->scale == 0)
            LODE_TRY(in_range(ctx, fused ? Z : W, fused, &good));
        if (good)
            break;
        LODE_TRY(choose_scale(ctx, k, fused ? Z : W));
        good = true;
    }
    k->scale = k->scale == 0 ? 1 : k->scale;
    if (k->two) {
        basis = lode_i_krylov_basis(k, &k->W);
        LODE_TRY(lode_i_orth_block(ctx, &basis, k->last, W, k->stream, &c, &r));
        LODE_TRY(put(ctx, &c, &k->T, 0, k->done));
        LODE_TRY(put(ctx, &r, &k->T, k->done, k->done));
        lode_i_work(ctx, "", 1, 0);
        LODE_TRY(k->A->apply(ctx, k->A, true, W, Z));
    }
    k->products += 2 * X->shape[1];
done:
    LODE_FREE(&basis, &c, &r);
    return st;
}

/* The idea turned off: subspace iteration, with no basis but the newest A^H A X = X T + Q_next
 * R. */
static lode_status only_newest(lode_ctx *ctx, krylov *k)
{
    lode_status st = LODE_OK;
    lode_array X = { 0 }, T = { 0 }, next = { 0 }, Z = { 0 };
    X = lode_i_cols(&k->Q, 0, k->done), T = part(&k->T, 0, k->done, 0, k->done);
    next = lode_i_cols(&k->Q, k->done, k->done + k->fresh);
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &X, &T, &Z));
    LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, 1, &next, &k->R, 1, &Z));
    LODE_TRY(lode_i_orth(ctx, &Z, NULL));
    LODE_TRY(put(ctx, &Z, &k->Q, 0, 0));
    k->done = 0;
done:
    LODE_FREE(&X, &T, &next, &Z);
    return st;
}

/* Multiplies the newest block and makes the next one, as wide as still fits the space. */
lode_status lode_i_krylov_step(lode_ctx *ctx, krylov *k)
{
    lode_status st = LODE_OK;
    lode_array X = { 0 }, W = { 0 }, Z = { 0 }, c = { 0 }, r = { 0 }, next = { 0 }, view = { 0 };
    if (k->done > 0 && !k->hermitian && lode_i_broken(ctx, "svd-block-krylov"))
        LODE_TRY(only_newest(ctx, k));
    const int64_t b = k->fresh, K = k->done + b;
    view = lode_i_cols(&k->Q, k->done, K);
    LODE_TRY(lode_array_cast(ctx, &view, view.dtype, &X));
    k->stream.salt[1] += 2;
    LODE_TRY(products(ctx, k, &X, &W, &Z));
    lode_array_free(&X);
    if (k->keep)
        LODE_TRY(put(ctx, &W, &k->W, 0, k->done));
    lode_array_free(&W);

    const int64_t width = lode_i_min(lode_i_min(b, k->o.block), k->limit - K);
    k->coupled = width == b;
    lode_array_free(&view);
    view = lode_i_cols(&k->Q, 0, K);
    /* With full reorthogonalization T is what the products say, whatever the recurrence. */
    if (!k->two && !k->coupled) {
        LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, &view, &Z, &c));
        LODE_TRY(put_hermitian(ctx, k, &c));
    }
    if (width > 0) {
        next = lode_i_cols(&Z, 0, width);
        LODE_TRY(lode_array_cast(ctx, &next, Z.dtype, &X));
        lode_array_swap(&next, &X);
        lode_array_free(&Z);
        LODE_TRY(lode_i_orth_block(ctx, &view, b + k->last, &next, k->stream, &c, &r));
        LODE_TRY(lode_array_cast(ctx, &r, k->T.dtype, &k->R));
        if (!k->two && k->coupled)
            LODE_TRY(put_hermitian(ctx, k, &c));
    }
    k->last = b, k->done = K, k->fresh = width;
    if (width > 0 && K + width > k->cap) {
        lode_array_swap(&k->pending, &next); /* a restart makes room */
    } else if (width > 0) {
        LODE_TRY(make_room(ctx, k, K + width));
        LODE_TRY(put(ctx, &next, &k->Q, 0, K));
    }
done:
    LODE_FREE(&X, &W, &Z, &c, &r, &next, &view);
    return st;
}

/* ---- thick restart ---- */

/* basis = (basis Y)[:, :p], in its place */
static lode_status rotate(lode_ctx *ctx, const krylov *k, const lode_array *Y, int64_t p,
                          lode_array *basis)
{
    lode_status st = LODE_OK;
    lode_array old = { 0 }, y = { 0 }, narrow = { 0 }, out = { 0 };
    old = lode_i_krylov_basis(k, basis);
    y = lode_i_cols(Y, 0, p);
    LODE_TRY(lode_array_cast(ctx, &y, basis->dtype, &narrow));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &old, &narrow, &out));
    LODE_TRY(put(ctx, &out, basis, 0, 0));
done:
    LODE_FREE(&old, &y, &narrow, &out);
    return st;
}

lode_status lode_i_krylov_restart(lode_ctx *ctx, krylov *k, int64_t wanted)
{
    lode_status st = LODE_OK;
    const int64_t most = k->cap - 2 * k->fresh;
    const int64_t p = lode_i_max(1, lode_i_min(most, lode_i_max(wanted + k->fresh, k->cap / 2)));
    LODE_TRY(rotate(ctx, k, &k->Y, p, &k->Q));
    if (k->keep)
        LODE_TRY(rotate(ctx, k, k->two ? &k->X : &k->Y, p, &k->W));
    LODE_TRY(lode_i_fill(ctx, &k->T, 0));
    for (int64_t i = 0; i < p; i++) {
        const double s = lode_i_get1(&k->sigma, i);
        lode_i_set2(&k->T, i, i, k->two || k->hermitian ? s : s * s);
    }
    LODE_TRY(put(ctx, &k->pending, &k->Q, 0, p));
    lode_array_free(&k->pending);
    k->done = p;
done:
    return st;
}

/* ---- ties ---- */

/* A block of b columns finds at most b vectors of an eigenvalue, however many there are, and its
 * residuals do not tell. So where as many values as blocks were started with are equal, to what the
 * tolerance can tell apart, fresh random columns join the next block. */
static int64_t most_equal(const krylov *k, int64_t wanted)
{
    const double width = 1 - sqrt(k->o.tol);
    const double size = fmax(fabs(lode_i_get1(&k->sigma, 0)),
                             fabs(lode_i_get1(&k->sigma, k->done - 1)));
    int64_t most = 0;
    for (int64_t i = 0, j = 0; i < wanted; i++) {
        const double least = lode_i_get1(&k->sigma, i);
        while (k->hermitian ? lode_i_get1(&k->sigma, j) > least + 4 * k->o.tol * size
                            : lode_i_get1(&k->sigma, j) * width > least)
            j++;
        most = lode_i_max(most, i - j + 1);
    }
    return most;
}

static lode_status widen(lode_ctx *ctx, krylov *k, int64_t more)
{
    lode_status st = LODE_OK;
    lode_array next = { 0 }, fresh = { 0 }, basis = { 0 }, held = { 0 }, c = { 0 }, r = { 0 };
    const int64_t n = k->A->cols, K = k->done, b = k->fresh;
    /* the basis and the next block, side by side, for the new columns to be orthogonal to */
    LODE_TRY(lode_i_matrix_new(ctx, k->A->dtype, n, K + b, &basis));
    held = lode_i_cols(&k->Q, 0, k->pending.data ? K : K + b);
    LODE_TRY(put(ctx, &held, &basis, 0, 0));
    if (k->pending.data)
        LODE_TRY(put(ctx, &k->pending, &basis, 0, K));
    k->stream.salt[1] += 2;
    LODE_TRY(lode_i_randn(ctx, k->stream, k->A->dtype, n, more, &fresh));
    LODE_TRY(lode_i_orth_block(ctx, &basis, 0, &fresh, k->stream, &c, &r));
    LODE_TRY(lode_i_matrix_new(ctx, k->A->dtype, n, b + more, &next));
    lode_array_free(&held);
    held = lode_i_cols(&basis, K, K + b);
    LODE_TRY(put(ctx, &held, &next, 0, 0));
    LODE_TRY(put(ctx, &fresh, &next, 0, b));
    if (k->pending.data || K + b + more > k->cap) {
        lode_array_swap(&k->pending, &next);
    } else {
        LODE_TRY(make_room(ctx, k, K + b + more));
        LODE_TRY(put(ctx, &next, &k->Q, 0, K));
    }
    k->fresh = k->o.block = b + more;
    k->starts += more;
done:
    LODE_FREE(&next, &fresh, &basis, &held, &c, &r);
    return st;
}

/* Whether columns were added: not where the space, or the memory planned, has no room for them. */
lode_status lode_i_krylov_widen(lode_ctx *ctx, krylov *k, int64_t wanted, bool *widened)
{
    int64_t room = lode_i_min(k->limit - k->done - k->fresh, (k->cap - wanted) / 3 - k->fresh);
    if (k->cap < k->limit) /* a block is cut short only where there are no restarts */
        room = lode_i_min(room, (k->limit - k->cap) / 2 - k->fresh);
    const int64_t more = lode_i_min(k->starts, room);
    *widened = k->fresh > 0 && more > 0 && most_equal(k, wanted) >= k->starts;
    return *widened ? widen(ctx, k, more) : LODE_OK;
}

void lode_i_krylov_free(krylov *k)
{
    LODE_FREE(&k->Q, &k->W, &k->T, &k->R, &k->X, &k->Y, &k->sigma, &k->rho, &k->pending);
    lode_linop_free(&k->scaled);
}
