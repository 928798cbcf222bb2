/* Locally optimal block preconditioned conjugate gradients: Rayleigh-Ritz in the span of the iterate X, the
 * preconditioned residuals W and the last directions P.
 *
 * The basis is orthonormal in the inner product of B at every step: W is projected against [X P] and made
 * orthonormal by Cholesky, or, where its Gram matrix is nearly singular, by its eigenvectors, small ones
 * dropped; twice. New X and P come from one unitary matrix of coordinates: P spans what the rows of X lose, taken
 * from the other Ritz vectors by a QR, so that P is orthogonal to X to rounding without another
 * product (Duersch et al., section 4). The basis [X W P] as it comes, with the Gram matrix factored
 * instead, breaks down when W and P get small beside X.
 *
 * Sources: Knyazev 2001, doi:10.1137/S1064827500366124; Duersch, Shao, Yang, Gu 2018,
 * doi:10.1137/17M1129830 (basis selection, orthogonalization). */
#include "iter/lobpcg.h"

#include <math.h>

#include "iter/iter.h"
#include "iter/lobpcg_basis.h"

void lode_i_lobpcg_sizes(lode_i_lobpcg_opts *o, int64_t n)
{
    if (o->block <= 0) /* guards: the convergence of the last wanted is that of the next unwanted */
        o->block = o->rank + lode_i_max(2, o->rank / 4);
    o->block = lode_i_min(lode_i_max(o->block, o->rank), n);
}

uint64_t lode_i_lobpcg_memory(const lode_i_lobpcg_opts *o, int64_t n, lode_dtype dtype,
                              bool general)
{
    const lode_dtype wide = lode_i_is_complex(dtype) ? LODE_C128 : LODE_F64;
    const uint64_t basis = lode_i_bytes(dtype, n, 3 * o->block);
    return (general ? 3 : 2) * basis * 2 + 8 * lode_i_bytes(dtype, n, o->block) +
           16 * lode_i_bytes(wide, 3 * o->block + 8, 3 * o->block + 8) +
           2 * lode_i_bytes(LODE_F64, o->max_iter + 64, 1) + (UINT64_C(2) << 20);
}

static void free_lobpcg(lobpcg *s)
{
    LODE_FREE(&s->S, &s->AS, &s->BS, &s->line);
}

static bool is_active(const lobpcg *s, int64_t i)
{
    return lode_i_get1(&s->line, s->m + i) > 0;
}

static double residual(const lobpcg *s, int64_t i)
{
    return lode_i_get1(&s->line, 2 * s->m + i);
}

static lode_status apply_b(lode_ctx *ctx, const lobpcg *s, const lode_array *W, lode_array *BW)
{
    return s->B ? s->B->apply(ctx, s->B, false, W, BW) : LODE_OK;
}

/* W, A W and B W behind the `at` first columns. */
static lode_status put(lode_ctx *ctx, lobpcg *s, int64_t at, const lode_array *W,
                       const lode_array *AW, const lode_array *BW)
{
    lode_status st = LODE_OK;
    const lode_array *from[3] = { W, AW, BW };
    lode_array *const to[3] = { &s->S, &s->AS, &s->BS };
    lode_array view = { 0 };
    for (int i = 0; i < (s->B ? 3 : 2); i++) {
        lode_array_free(&view);
        view = lode_i_lobpcg_columns(to[i], at, W->shape[1]);
        LODE_TRY(lode_array_copy_into(ctx, from[i], &view));
    }
done:
    LODE_FREE(&view);
    return st;
}

/* ---- Rayleigh-Ritz ---- */

/* Coordinates of the new P: from the Ritz vectors Z2 that are not the new X, the directions that the rows of the
 * active columns of X see. With X they are columns of one unitary matrix. */
static lode_status directions(lode_ctx *ctx, const lobpcg *s, const lode_array *Z, lode_array *C)
{
    lode_status st = LODE_OK;
    const int64_t q = Z->shape[0], rest = q - s->m;
    const int64_t count = lode_i_min(s->active, rest);
    lode_array Z2 = { 0 }, index = { 0 }, rows = { 0 }, turned = { 0 }, tall = { 0 }, Q = { 0 },
               R = { 0 }, cut = { 0 };
    Z2 = lode_i_cols(Z, s->m, q);
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, count, &index));
    for (int64_t i = 0, j = 0; i < s->m && j < count; i++)
        if (is_active(s, i))
            lode_i_set1(&index, j++, (double)i);
    LODE_TRY(lode_i_take(ctx, &Z2, 0, &index, &rows));
    LODE_TRY(lode_i_conj(ctx, &rows));
    turned = lode_i_transposed(&rows);
    LODE_TRY(lode_array_cast(ctx, &turned, s->wide, &tall));
    LODE_TRY(lode_i_qr(ctx, &tall, &Q, &R));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &Z2, &Q, C));
done:
    turned = (lode_array){ 0 };
    LODE_FREE(&Z2, &index, &rows, &tall, &Q, &R, &cut);
    return st;
}

/* [X P] of S, A S and B S from coordinates [Cx Cp]. */
static lode_status move_on(lode_ctx *ctx, lobpcg *s, const lode_array *Cx, const lode_array *Cp,
                           int64_t q)
{
    lode_status st = LODE_OK;
    lode_array *const basis[3] = { &s->S, &s->AS, &s->BS };
    const lode_array *const C[2] = { Cx, Cp };
    lode_array made = { 0 }, from = { 0 }, to = { 0 }, narrow = { 0 };
    for (int i = 0; i < (s->B ? 3 : 2); i++) {
        LODE_FREE(&made, &from);
        LODE_TRY(lode_i_matrix_new(ctx, s->dtype, s->n, basis[i]->shape[1], &made));
        from = lode_i_lobpcg_columns(basis[i], 0, q);
        for (int j = 0; j < 2; j++) {
            if (C[j]->shape[1] == 0)
                continue;
            lode_array_free(&to);
            to = lode_i_lobpcg_columns(&made, j ? s->m : 0, C[j]->shape[1]);
            LODE_TRY(lode_array_cast(ctx, C[j], s->dtype, &narrow));
            LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, 1, &from, &narrow, 0, &to));
        }
        lode_array_swap(basis[i], &made);
    }
    if (!s->B) {
        lode_array_free(&s->BS);
        s->BS = lode_array_ref(&s->S);
    }
    s->p = Cp->shape[1];
done:
    LODE_FREE(&made, &from, &to, &narrow);
    return st;
}

/* The basis as it comes: coordinates by the factor of its Gram matrix. */
static lode_status naive_pairs(lode_ctx *ctx, lobpcg *s, const lode_array *T, const lode_array *S,
                               const lode_array *BS, lode_array *w, lode_array *Z)
{
    lode_status st = LODE_OK;
    lode_array G = { 0 }, L = { 0 }, x = { 0 }, y = { 0 }, z = { 0 };
    double shift = 0;
    LODE_TRY(lode_i_lobpcg_gram(ctx, s, S, BS, &G));
    LODE_TRY(lode_i_cholesky(ctx, &G, &L, &shift));
    s->broke = shift > 0;
    if (s->broke)
        goto done;
    LODE_TRY(lode_i_solve_lower(ctx, LODE_N, &L, T, &x));
    LODE_TRY(lode_i_conj(ctx, &x));
    const lode_array turned = lode_i_transposed(&x);
    LODE_TRY(lode_i_solve_lower(ctx, LODE_N, &L, &turned, &y));
    LODE_TRY(lode_i_hermitize(ctx, &y));
    LODE_TRY(lode_i_eigh(ctx, &y, T->shape[0], w, &z));
    LODE_TRY(lode_i_solve_lower(ctx, LODE_H, &L, &z, Z));
done:
    LODE_FREE(&G, &L, &x, &y, &z);
    return st;
}

static lode_status ritz(lode_ctx *ctx, lobpcg *s, bool naive)
{
    lode_status st = LODE_OK;
    const int64_t q = s->m + s->p + s->w;
    lode_array S = { 0 }, AS = { 0 }, BS = { 0 }, T = { 0 }, w = { 0 }, Z = { 0 }, order = { 0 },
               Cx = { 0 }, Cp = { 0 }, sorted = { 0 }, rows = { 0 };
    S = lode_i_lobpcg_columns(&s->S, 0, q), AS = lode_i_lobpcg_columns(&s->AS, 0, q),
    BS = lode_i_lobpcg_columns(&s->BS, 0, q);
    LODE_TRY(lode_i_lobpcg_gram(ctx, s, &S, &AS, &T));
    if (naive)
        LODE_TRY(naive_pairs(ctx, s, &T, &S, &BS, &w, &Z));
    else
        LODE_TRY(lode_i_eigh(ctx, &T, q, &w, &Z));
    if (s->broke)
        goto done;
    LODE_TRY(lode_i_end_order(ctx, &w, s->o.end, 0, q, &order));
    LODE_TRY(lode_i_take(ctx, &Z, 1, &order, &sorted));
    for (int64_t i = 0; i < s->m; i++)
        lode_i_set1(&s->line, i, lode_i_get1(&w, (int64_t)lode_i_get1(&order, i)));
    Cx = lode_i_cols(&sorted, 0, s->m);
    if (naive) { /* what X gets from W and P */
        LODE_TRY(lode_array_cast(ctx, &Cx, s->wide, &Cp));
        rows = lode_i_rows(&Cp, 0, s->m);
        LODE_TRY(lode_i_fill(ctx, &rows, 0));
    } else if (s->w > 0 && q > s->m) {
        LODE_TRY(directions(ctx, s, &sorted, &Cp));
    } else {
        LODE_TRY(lode_i_matrix_new(ctx, s->wide, q, 0, &Cp));
    }
    if (naive && q == s->m) {
        LODE_FREE(&rows, &Cp);
        LODE_TRY(lode_i_matrix_new(ctx, s->wide, q, 0, &Cp));
    }
    LODE_FREE(&S, &AS, &BS);
    LODE_TRY(move_on(ctx, s, &Cx, &Cp, q));
    s->w = 0;
done:
    LODE_FREE(&S, &AS, &BS, &T, &w, &Z, &order, &Cx, &Cp, &sorted, &rows);
    return st;
}

/* ---- residuals ---- */

/* R = A X - B X diag(values); which columns are still to be improved. */
static lode_status residuals(lode_ctx *ctx, lobpcg *s, lode_array *R)
{
    lode_status st = LODE_OK;
    lode_array AX = { 0 }, BX = { 0 }, X = { 0 }, r = { 0 }, norm = { 0 }, size = { 0 }, w = { 0 };
    AX = lode_i_lobpcg_columns(&s->AS, 0, s->m), BX = lode_i_lobpcg_columns(&s->BS, 0, s->m),
    X = lode_i_lobpcg_columns(&s->S, 0, s->m);
    LODE_TRY(lode_array_cast(ctx, &BX, s->dtype, &r));
    LODE_TRY(lode_array_slice(ctx, &s->line, 0, 0, s->m, 1, &w));
    LODE_TRY(lode_i_scale_cols(ctx, &r, &w));
    LODE_TRY(lode_i_scale(ctx, -1, &r));
    LODE_TRY(lode_i_axpy(ctx, 1, &AX, &r));
    LODE_TRY(lode_i_column_norms(ctx, &r, &norm));
    LODE_TRY(lode_i_column_norms(ctx, &X, &size));
    s->active = 0;
    bool wanted = false;
    for (int64_t i = 0; i < s->m; i++) {
        const double length = s->o.norm * lode_i_get1(&size, i), v = lode_i_get1(&norm, i);
        const bool open = !(v <= s->o.tol * length);
        lode_i_set1(&s->line, 2 * s->m + i, length > 0 ? v / length : 0);
        lode_i_set1(&s->line, s->m + i, open);
        s->active += open;
        wanted = wanted || (open && i < s->o.rank);
    }
    if (!wanted)
        s->active = 0;
    lode_array_swap(R, &r);
done:
    LODE_FREE(&AX, &BX, &X, &r, &norm, &size, &w);
    return st;
}

static double worst(const lobpcg *s)
{
    double most = 0;
    for (int64_t i = 0; i < s->o.rank; i++)
        most = fmax(most, residual(s, i));
    return most;
}

/* A X and B X afresh: what updates have added up to is not what is converged on. */
static lode_status afresh(lode_ctx *ctx, lobpcg *s)
{
    lode_status st = LODE_OK;
    lode_array X = { 0 }, own = { 0 }, AX = { 0 }, BX = { 0 };
    X = lode_i_lobpcg_columns(&s->S, 0, s->m);
    LODE_TRY(lode_array_cast(ctx, &X, s->dtype, &own));
    LODE_TRY(s->A->apply(ctx, s->A, false, &own, &AX));
    LODE_TRY(apply_b(ctx, s, &own, &BX));
    LODE_TRY(put(ctx, s, 0, &own, &AX, &BX));
done:
    LODE_FREE(&X, &own, &AX, &BX);
    return st;
}

/* ---- the iteration ---- */

/* The active residuals, preconditioned, as the next directions. */
static lode_status extend(lode_ctx *ctx, lobpcg *s, const lode_array *R)
{
    lode_status st = LODE_OK;
    lode_array index = { 0 }, W = { 0 }, AW = { 0 }, BW = { 0 };
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, s->active, &index));
    for (int64_t i = 0, j = 0; i < s->m; i++)
        if (is_active(s, i))
            lode_i_set1(&index, j++, (double)i);
    LODE_TRY(lode_i_take(ctx, R, 1, &index, &W));
    if (s->o.precond)
        LODE_TRY(lode_i_scale_rows(ctx, &W, s->o.precond));
    LODE_TRY(apply_b(ctx, s, &W, &BW));
    if (s->o.naive)
        LODE_TRY(lode_i_lobpcg_normalize(ctx, s, 0, &W, &BW));
    else
        LODE_TRY(lode_i_lobpcg_orthonormal(ctx, s, s->m + s->p, &W, &BW));
    s->w = W.shape[1];
    if (s->w > 0) {
        LODE_TRY(s->A->apply(ctx, s->A, false, &W, &AW));
        LODE_TRY(put(ctx, s, s->m + s->p, &W, &AW, &BW));
    }
done:
    LODE_FREE(&index, &W, &AW, &BW);
    return st;
}

static lode_status start(lode_ctx *ctx, lobpcg *s)
{
    lode_status st = LODE_OK;
    lode_array X = { 0 }, AX = { 0 }, BX = { 0 };
    for (int attempt = 0; attempt < 8 && X.ndim == 0; attempt++) {
        LODE_TRY(lode_i_randn(ctx, lode_i_stream(ctx, s->o.op, (uint64_t)(100 + attempt)), s->dtype,
                              s->n, s->m, &X));
        LODE_TRY(apply_b(ctx, s, &X, &BX));
        LODE_TRY(lode_i_lobpcg_orthonormal(ctx, s, 0, &X, &BX));
        if (X.shape[1] < s->m)
            LODE_FREE(&X, &BX);
    }
    LODE_REQUIRE(X.ndim > 0, LODE_EDOMAIN,
                 "B is not positive definite to rounding: %" PRId64
                 " random directions are dependent in its inner product",
                 s->m);
    LODE_TRY(s->A->apply(ctx, s->A, false, &X, &AX));
    LODE_TRY(put(ctx, s, 0, &X, &AX, &BX));
    LODE_TRY(ritz(ctx, s, false));
done:
    LODE_FREE(&X, &AX, &BX);
    return st;
}

static lode_status prepare(lode_ctx *ctx, lobpcg *s)
{
    const int64_t shape[2] = { s->n, 3 * s->m }, room = 3 * s->m + 1;
    LODE_FORWARD(lode_array_zeros(ctx, s->dtype, 2, shape, &s->S));
    LODE_FORWARD(lode_array_zeros(ctx, s->dtype, 2, shape, &s->AS));
    if (s->B)
        LODE_FORWARD(lode_array_zeros(ctx, s->dtype, 2, shape, &s->BS));
    else
        s->BS = lode_array_ref(&s->S);
    return lode_array_zeros(ctx, LODE_F64, 1, &room, &s->line);
}

static lode_status iterate(lode_ctx *ctx, lobpcg *s, lode_i_iter *it)
{
    lode_status st = LODE_OK;
    lode_array R = { 0 };
    if (it->i == 0)
        LODE_TRY(start(ctx, s));
    s->p = (int64_t)lode_i_get1(&s->line, 3 * s->m);
    if (!s->B) { /* restored, it may be another array than S */
        lode_array_free(&s->BS);
        s->BS = lode_array_ref(&s->S);
    }
    while (!it->done) {
        LODE_TRY(residuals(ctx, s, &R));
        if (s->active == 0) {
            LODE_TRY(afresh(ctx, s));
            LODE_TRY(residuals(ctx, s, &R));
        }
        it->enough = s->active == 0;
        if (!it->enough) {
            LODE_TRY(extend(ctx, s, &R));
            s->broke = s->w == 0;
            if (!s->broke)
                LODE_TRY(ritz(ctx, s, s->o.naive));
            it->enough = s->broke;
        }
        lode_i_set1(&s->line, 3 * s->m, (double)s->p);
        LODE_TRY(lode_i_iter_step(ctx, it, worst(s)));
    }
done:
    LODE_FREE(&R);
    return st;
}

/* How many of those wanted are right, measured with A and B themselves. */
static lode_status count(lode_ctx *ctx, lobpcg *s, int64_t *converged)
{
    lode_status st = LODE_OK;
    lode_array R = { 0 };
    LODE_TRY(afresh(ctx, s));
    LODE_TRY(residuals(ctx, s, &R));
    *converged = 0;
    for (int64_t i = 0; i < s->o.rank; i++)
        *converged += !is_active(s, i);
done:
    LODE_FREE(&R);
    return st;
}

lode_status lode_i_lobpcg(lode_ctx *ctx, const lode_linop *A, const lode_linop *B,
                          const lode_i_lobpcg_opts *o, lode_array *values, lode_array *vectors,
                          lode_array *trace, lode_i_lobpcg_info *info)
{
    lode_status st = LODE_OK;
    lobpcg s = { .A = A, .B = B, .o = *o, .dtype = A->dtype, .n = A->rows };
    lode_i_iter it = { .op = o->op,
                       .what = "residual",
                       .max_iter = o->max_iter,
                       .site = "lobpcg",
                       .patience = INT32_MAX };
    lode_array head = { 0 }, x = { 0 }, v = { 0 }, t = { 0 };
    int64_t converged = 0;
    lode_i_lobpcg_sizes(&s.o, s.n);
    s.wide = lode_i_is_complex(s.dtype) ? LODE_C128 : LODE_F64, s.m = s.o.block;
    s.o.tol = fmax(o->tol, 8 * lode_i_epsilon(s.dtype));
    LODE_TRY(prepare(ctx, &s));
    it.state[it.n++] = &s.S, it.state[it.n++] = &s.AS, it.state[it.n++] = &s.line;
    if (B)
        it.state[it.n++] = &s.BS;
    LODE_TRY(lode_i_iter_begin(ctx, &it));
    LODE_TRY(iterate(ctx, &s, &it));
    LODE_TRY(count(ctx, &s, &converged));
    if (trace)
        LODE_TRY(lode_array_slice(ctx, &it.trace, 0, 0, it.i, 1, &head));
    if (trace)
        LODE_TRY(lode_array_cast(ctx, &head, LODE_F64, &t));
    LODE_FREE(&head);
    head = lode_i_lobpcg_columns(&s.S, 0, o->rank);
    LODE_TRY(lode_array_cast(ctx, &head, s.dtype, &x));
    LODE_TRY(lode_array_slice(ctx, &s.line, 0, 0, o->rank, 1, &head));
    LODE_TRY(lode_array_cast(ctx, &head, LODE_F64, &v));
    if (converged < o->rank)
        st = lode_i_fail(ctx, LODE_NOCONV,
                         "%" PRId64 " of %" PRId64 " eigenpairs reached tolerance %.1e in %" PRId64
                         " iterations%s; the best are kept: allow more with max_iter, give a "
                         "preconditioner, or loosen tol",
                         converged, o->rank, s.o.tol, it.i,
                         s.broke ? ", where the basis broke down" : "");
    if (info)
        *info = (lode_i_lobpcg_info){ .iterations = it.i,
                                      .converged = converged,
                                      .broke = s.broke };
    lode_array_swap(values, &v), lode_array_swap(vectors, &x);
    if (trace)
        lode_array_swap(trace, &t);
done:
    lode_i_iter_free(&it);
    free_lobpcg(&s);
    LODE_FREE(&head, &x, &v, &t);
    return st;
}
