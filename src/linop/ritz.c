/* The projected problem of the block Krylov iteration: Ritz values, when to stop, the result. */
#include <math.h>

#include "linop/krylov.h"

/* ---- sizes ---- */

enum { LONGER = 4 }; /* A this much wider than high is turned */

static int64_t round_up(int64_t n, int64_t unit)
{
    return lode_i_ceil_div(n, unit) * unit;
}

void lode_i_svds_sizes(lode_svds_opts *o, int64_t rows, int64_t cols, bool cheap_products)
{
    const int64_t limit = lode_i_min(rows, cols);
    const bool tail = o->tail > 0 || o->tail_rel > 0;
    const int64_t k = lode_i_max(1, o->rank);
    /* Blocks smaller than the rank take more steps and fewer products in all (a Krylov space of
     * higher degree); products of fewer than 8 columns wait for memory. Where products are cheap
     * beside orthogonalization (sparse), the degree counts most. */
    if (o->block <= 0)
        o->block = tail             ? 32
                   : cheap_products ? 8
                                    : lode_i_min(128, round_up(lode_i_ceil_div(k, 2), 32));
    o->block = lode_i_max(1, lode_i_min(o->block, limit));
    if (o->max_basis <= 0) {
        const int64_t some = cheap_products ? 5 * k + 20 * o->block : 4 * k + 8 * o->block;
        o->max_basis = tail && o->rank >= limit ? limit : some;
    }
    o->max_basis = lode_i_max(o->max_basis, k + 4 * o->block);
    if (o->max_basis > limit - 2 * o->block) /* the whole space: no restart at all */
        o->max_basis = limit;
    if (o->first_basis <= 0)
        o->first_basis = tail ? 8 * o->block : o->max_basis;
    if (o->max_iter <= 0)
        o->max_iter = 1000;
}

bool lode_i_svds_turned(int64_t rows, int64_t cols)
{
    return cols / LONGER > rows;
}

uint64_t lode_i_krylov_workspace(const lode_svds_opts *o, int64_t rows, int64_t cols,
                                 lode_dtype dtype)
{
    const lode_dtype wide = lode_i_is_complex(dtype) ? LODE_C128 : LODE_F64;
    const bool turned = lode_i_svds_turned(rows, cols);
    const bool tail = o->tail > 0 || o->tail_rel > 0, keep = tail || o->two_sided;
    const int64_t cap = o->max_basis, b = o->block, k = lode_i_min(lode_i_max(o->rank, 1), cap);
    const int64_t m = turned ? cols : rows, n = turned ? rows : cols;
    const int64_t rotated = lode_i_min(cap, lode_i_max(cap / 2, k + b)); /* at a restart */
    uint64_t bytes = 2 * lode_i_bytes(dtype, n, cap); /* the basis, and with what it grows */
    if (keep)
        bytes += lode_i_bytes(dtype, m, cap) + lode_i_bytes(dtype, m, rotated);
    bytes += 8 * lode_i_bytes(wide, cap, cap); /* T, its decomposition with workspace */
    /* a step: X, Z and copies of them in QR; A X, which is made orthonormal on two sides */
    bytes += 6 * lode_i_bytes(dtype, n, b);
    if (!o->fused || turned || keep)
        bytes += (o->two_sided ? 5 : 2) * lode_i_bytes(dtype, m, b);
    return bytes;
}

/* ---- Ritz values ---- */

lode_status lode_i_krylov_solve(lode_ctx *ctx, krylov *k)
{
    lode_status st = LODE_OK;
    lode_array rows = { 0 }, t = { 0 }, end = { 0 }, f = { 0 }, column = { 0 };
    const int64_t P = k->done;
    rows = lode_i_rows(&k->T, 0, P);
    t = lode_i_cols(&rows, 0, P);
    if (k->two)
        LODE_TRY(lode_i_svd(ctx, &t, P, &k->X, &k->sigma, &k->Y));
    else
        LODE_TRY(lode_i_eigh(ctx, &t, P, &k->sigma, &k->Y));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, P, &k->rho));
    LODE_TRY(lode_i_fill(ctx, &k->rho, 0));
    if (!k->two && !k->hermitian)
        for (int64_t i = 0; i < P; i++)
            lode_i_set1(&k->sigma, i, sqrt(fmax(lode_i_get1(&k->sigma, i), 0)));
    /* A^H A q_i - s_i^2 q_i = Q_next R y, y the last rows of Y; two-sided A^H u - s v, with X */
    if (k->fresh > 0) {
        end = lode_i_rows(k->two ? &k->X : &k->Y, P - k->last, P);
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &k->R, &end, &f));
        for (int64_t i = 0; i < P; i++) {
            double norm = 0;
            lode_array_free(&column);
            column = lode_i_cols(&f, i, i + 1);
            LODE_TRY(lode_i_norm_fro(ctx, &column, &norm));
            lode_i_set1(&k->rho, i, norm);
        }
    }
done:
    LODE_FREE(&rows, &t, &end, &f, &column);
    return st;
}

/* ||A - A Q Q^H||_F^2: by the difference of norms, or measured on the entries where that
 * cancels. */
static lode_status outside(lode_ctx *ctx, krylov *k, double sum, double target, double *rest)
{
    lode_status st = LODE_OK;
    lode_array L = { 0 }, R = { 0 }, t = { 0 }, square = { 0 }, narrow = { 0 };
    const double norm = k->norm, blur = 64 * lode_i_epsilon(k->A->dtype) * norm * norm;
    double measured = 0;
    *rest = fmax(norm * norm - sum, 0);
    if (k->fresh == 0) { /* the basis is the whole space */
        *rest = 0;
    } else if (*rest < 16 * blur && target * target < 16 * blur) {
        if (*rest > 4 * target * target + 4 * blur) /* not there yet, either way */
            return LODE_OK;
        L = lode_i_krylov_basis(k, &k->W), R = lode_i_krylov_basis(k, &k->Q);
        if (k->two) {
            t = lode_i_rows(&k->T, 0, k->done);
            square = lode_i_cols(&t, 0, k->done);
            LODE_TRY(lode_array_cast(ctx, &square, k->A->dtype, &narrow));
            LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &L, &narrow, &square));
            lode_array_swap(&L, &square);
        }
        measured = -1;
        if (k->A->norm && k->keep)
            LODE_TRY(k->A->norm(ctx, k->A, &L, &R, &measured));
        *rest = measured >= 0 ? measured * measured : fmax(*rest, blur);
    }
done:
    LODE_FREE(&L, &R, &t, &square, &narrow);
    return st;
}

/* The smallest rank whose tail is small enough; -1: more than the basis has. */
static lode_status tail_rank(lode_ctx *ctx, krylov *k, int64_t *rank)
{
    double sum = 0, rest = 0;
    const double target = k->o.tail_rel > 0 ? k->o.tail_rel * k->norm
                                            : k->o.tail * (k->scale > 0 ? k->scale : 1);
    for (int64_t i = k->done - 1; i >= 0; i--)
        sum += lode_i_get1(&k->sigma, i) * lode_i_get1(&k->sigma, i);
    *rank = -1;
    if (k->norm < 0)
        return LODE_OK;
    LODE_FORWARD(outside(ctx, k, sum, target, &rest));
    if (rest > target * target)
        return LODE_OK;
    int64_t i = k->done;
    for (; i > 1; i--) {
        const double s = lode_i_get1(&k->sigma, i - 1);
        if (rest + s * s > target * target)
            break;
        rest += s * s;
    }
    *rank = i;
    return LODE_OK;
}

/* Error of Ritz value i, as a bound estimated from its residual: linear, or quadratic over the gap
 * to what is left out (Mathias 1998). */
static double value_error(const krylov *k, int64_t i, int64_t wanted, double rho)
{
    const double s = lode_i_get1(&k->sigma, i);
    const double next = wanted < k->done ? lode_i_get1(&k->sigma, wanted) : s;
    return s > next ? fmin(rho, rho * rho / (s - next)) : rho;
}

lode_status lode_i_krylov_enough(lode_ctx *ctx, krylov *k, int64_t *wanted, bool *enough,
                                 bool *floor)
{
    const double eps = lode_i_epsilon(k->A->dtype), tol = k->o.tol > 0  ? k->o.tol
                                                          : eps > 1e-10 ? 5e-5
                                                                        : 1e-6;
    const double top = k->done > 0 ? lode_i_get1(&k->sigma, 0) : 0;
    int64_t rank = k->o.rank;
    *enough = *floor = false;
    if (k->o.tail > 0 || k->o.tail_rel > 0) {
        LODE_FORWARD(tail_rank(ctx, k, &rank));
        rank = rank < 0 ? k->o.rank : lode_i_min(rank, k->o.rank);
    }
    *wanted = lode_i_min(rank, k->done);
    k->converged = 0;
    k->o.tol = tol;
    bool drowned = false;
    for (int64_t i = 0; i < *wanted; i++) {
        const double s = lode_i_get1(&k->sigma, i);
        double rho = lode_i_get1(&k->rho, i);
        if (!k->two) { /* residual of A^H A, which rounding keeps above eps s_1^2 */
            const double least = k->fresh > 0 || s < 64 * sqrt(eps) * top ? 2 * eps * top * top : 0;
            drowned = drowned || (rho < least && s < top / 2 &&
                                  value_error(k, i, *wanted, least / s) > tol * s);
            drowned = drowned || s * s < 16 * eps * top * top;
            rho = s > 0 ? fmax(rho, least) / s : 0;
        }
        lode_i_set1(&k->rho, i, rho);
        k->converged += value_error(k, i, *wanted, rho) <= tol * s + (k->two ? 8 * eps * top : 0);
    }
    *enough = k->converged == *wanted && *wanted == rank;
    *floor = !*enough && drowned && top > 0 && k->done > *wanted / 2;
    return LODE_OK;
}

/* ---- the result ---- */

lode_status lode_i_svds_unscale(lode_ctx *ctx, lode_dtype dtype, double scale, lode_array *s)
{
    lode_status st = LODE_OK;
    if (scale > 1 || scale < 1) {
        const double top = s->shape[0] > 0 ? lode_i_get1(s, 0) : 0;
        const double most = lode_i_is_single(dtype) ? 3.4028234e38 : 1.7976931e308;
        LODE_REQUIRE(top <= most * fmin(scale, 1), LODE_EDOMAIN,
                     "the largest singular value exceeds the range of %s: scale A",
                     lode_dtype_name(dtype));
        LODE_TRY(lode_i_scale(ctx, 1 / scale, s));
    }
done:
    return st;
}

lode_status lode_i_krylov_finish(lode_ctx *ctx, krylov *k, int64_t wanted, lode_array *U,
                                 lode_array *s, lode_array *V, lode_svds_info *info)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 }, narrow = { 0 }, basis = { 0 }, v = { 0 }, w = { 0 }, u = { 0 }, r = { 0 },
               p = { 0 }, g = { 0 }, sigma = { 0 };
    const lode_dtype dtype = k->A->dtype;
    y = lode_i_cols(&k->Y, 0, wanted);
    LODE_TRY(lode_array_cast(ctx, &y, dtype, &narrow));
    basis = lode_i_krylov_basis(k, &k->Q);
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &basis, &narrow, &v));
    if (k->two) {
        LODE_FREE(&y, &basis);
        y = lode_i_cols(&k->X, 0, wanted), basis = lode_i_krylov_basis(k, &k->W);
        LODE_TRY(lode_array_cast(ctx, &y, dtype, &narrow));
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &basis, &narrow, &u));
        lode_array_free(&y);
        LODE_TRY(lode_array_slice(ctx, &k->sigma, 0, 0, wanted, 1, &y));
        LODE_TRY(lode_array_cast(ctx, &y, lode_i_real_of(dtype), &sigma));
    } else { /* A V = U diag(s) afresh: values as right as V is, whatever squaring lost */
        lode_array_free(&basis);
        basis = k->keep ? lode_i_krylov_basis(k, &k->W) : lode_array_ref(&v);
        if (k->keep)
            LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &basis, &narrow, &w));
        else
            LODE_TRY(k->A->apply(ctx, k->A, false, &v, &w));
        k->products += k->keep ? 0 : wanted;
        LODE_TRY(lode_i_qr(ctx, &w, &u, &r));
        LODE_TRY(lode_i_svd(ctx, &r, wanted, &p, &sigma, &g));
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &u, &p, &w));
        lode_array_swap(&u, &w);
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &v, &g, &w));
        lode_array_swap(&v, &w);
    }
    const double top = wanted > 0 ? lode_i_get1(&sigma, 0) : 0;
    LODE_TRY(lode_i_svds_unscale(ctx, dtype, k->scaled ? k->scale : 1, &sigma));
    LODE_TRY(lode_i_canonical_signs(ctx, &u, &v));
    if (info) {
        *info = (lode_svds_info){ .products = k->products,
                                  .steps = k->steps,
                                  .converged = k->converged };
        for (int64_t i = 0; i < wanted; i++)
            info->residual = fmax(info->residual, top > 0 ? lode_i_get1(&k->rho, i) / top : 0);
        info->norm_fro = k->norm >= 0 ? k->norm / (k->scale > 0 ? k->scale : 1) : -1;
        info->two_sided = k->two;
    }
    lode_array_swap(U, &u), lode_array_swap(s, &sigma), lode_array_swap(V, &v);
done:
    LODE_FREE(&y, &narrow, &basis, &v, &w, &u, &r, &p, &g, &sigma);
    return st;
}

lode_status lode_i_krylov_none(lode_ctx *ctx, const lode_linop *A, lode_array *U, lode_array *s,
                               lode_array *V, lode_svds_info *info)
{
    lode_status st = LODE_OK;
    lode_array u = { 0 }, sigma = { 0 }, v = { 0 };
    double norm = 0;
    LODE_TRY(lode_i_matrix_new(ctx, A->dtype, A->rows, 0, &u));
    LODE_TRY(lode_i_vector_new(ctx, lode_i_real_of(A->dtype), 0, &sigma));
    LODE_TRY(lode_i_matrix_new(ctx, A->dtype, A->cols, 0, &v));
    LODE_TRY(lode_i_linop_norm(ctx, A, &norm));
    if (info)
        *info = (lode_svds_info){ .norm_fro = norm };
    lode_array_swap(U, &u), lode_array_swap(s, &sigma), lode_array_swap(V, &v);
done:
    LODE_FREE(&u, &sigma, &v);
    return st;
}
