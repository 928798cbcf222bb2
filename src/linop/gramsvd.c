/* Singular triplets of a tall or wide A from the Gram matrix of its shorter side: one pass for it,
 * one for the vectors of the longer side. Where the values wanted lie so low that its squares drown
 * them, one more pass takes a triangular factor, which squares nothing.
 *
 * A V = U diag(s) is recomputed from A and its own SVD taken, so that values are wrong only by the
 * square of the error of the space that V spans. */
#include <math.h>

#include "linop/krylov.h"

enum { NARROW = 512, NARROW_SINGLE = 256, LONGER = 4 };

/* Sums are in double precision, so that in single a block iteration for a few columns of a tall A
 * costs less from 256 on; but it cannot tell a rank, and of a wide A it needs more memory. */
bool lode_i_svds_narrow(const lode_svds_opts *o, int64_t rows, int64_t cols, lode_dtype dtype)
{
    const int64_t side = lode_i_min(rows, cols);
    const bool few = o->tail <= 0 && o->tail_rel <= 0 && 4 * o->rank < side && rows > cols;
    return side > 0 && side <= (lode_i_is_single(dtype) && few ? NARROW_SINGLE : NARROW) &&
           lode_i_max(rows, cols) / LONGER >= side;
}

typedef struct narrow {
    const lode_linop *A;
    const lode_svds_opts *o;
    double scale, norm;  /* of scale A */
    lode_array sigma, Y; /* values and vectors of the shorter side, as many as are known */
    double blur;         /* error of sigma^2 */
} narrow;

/* Stages by their work, in operations of products in single precision. */
typedef enum part { SQUARES, TRIANGLE, EIGEN, LONGER_SIDE, PARTS } part;

static lode_status stage(lode_ctx *ctx, const narrow *w, part at)
{
    const double n = (double)lode_i_min(w->A->rows, w->A->cols),
                 m = (double)lode_i_max(w->A->rows, w->A->cols), k = fmin(n, (double)w->o->rank);
    const double work[PARTS] = { 5 * m * n * n, 10 * m * n * n, 20 * n * n * n,
                                 k * m * (5 * n + 750) };
    double rest = 0;
    for (int i = at == SQUARES ? EIGEN : (int)at + 1; i < PARTS; i++)
        rest += work[i];
    lode_i_work(ctx, "", work[at], rest);
    return lode_i_tick(ctx, 0, 1);
}

/* G = A^H A, or its like for the shorter side, of A scaled into range where needed. */
static lode_status gram(lode_ctx *ctx, narrow *w, lode_array *G)
{
    lode_status st = LODE_OK;
    w->scale = 1;
    for (int attempt = 0; attempt < 2; attempt++) {
        double trace = 0, norm = 0;
        LODE_TRY(w->A->gram(ctx, w->A, LODE_I_GRAM, w->scale, G));
        for (int64_t i = 0; i < G->shape[0]; i++)
            trace += lode_i_get2(G, i, i);
        w->norm = sqrt(fmax(trace, 0));
        if (attempt == 1 || (w->norm < 0x1p400 && w->norm > 0x1p-400))
            break;
        LODE_TRY(lode_i_linop_norm(ctx, w->A, &norm));
        LODE_REQUIRE(isfinite(norm), LODE_EDOMAIN, "products with A leave the range of %s: scale A",
                     lode_dtype_name(w->A->dtype));
        if (!(norm > 0))
            break;
        int e = 0;
        frexp(norm, &e);
        w->scale = ldexp(1, e > 1000 ? -1000 : e < -1000 ? 1000 : -e);
    }
done:
    return st;
}

static lode_status by_squares(lode_ctx *ctx, narrow *w, int64_t count)
{
    lode_status st = LODE_OK;
    lode_array G = { 0 };
    LODE_TRY(gram(ctx, w, &G));
    LODE_TRY(stage(ctx, w, EIGEN));
    LODE_TRY(lode_i_eigh(ctx, &G, count, &w->sigma, &w->Y));
    for (int64_t i = 0; i < count; i++)
        lode_i_set1(&w->sigma, i, sqrt(fmax(lode_i_get1(&w->sigma, i), 0)));
    const double top = count > 0 ? lode_i_get1(&w->sigma, 0) : 0;
    w->blur = 64 * 0x1p-52 * top * top;
done:
    lode_array_free(&G);
    return st;
}

static lode_status by_triangle(lode_ctx *ctx, narrow *w, int64_t count)
{
    lode_status st = LODE_OK;
    lode_array R = { 0 };
    LODE_TRY(w->A->gram(ctx, w->A, LODE_I_TRIANGLE, w->scale, &R));
    LODE_TRY(lode_i_svd(ctx, &R, count, NULL, &w->sigma, &w->Y));
    w->blur = 0;
done:
    lode_array_free(&R);
    return st;
}

/* The smallest rank within the error, and whether squares can tell. Values in sigma are all. */
static int64_t rank_within(const narrow *w, int64_t most, bool *sure)
{
    const lode_svds_opts *o = w->o;
    const double target = o->tail_rel > 0 ? o->tail_rel * w->norm : o->tail * w->scale;
    int64_t k = w->sigma.shape[0];
    double rest = 0;
    for (; k > 1; k--) {
        const double s = lode_i_get1(&w->sigma, k - 1);
        if (rest + s * s > target * target)
            break;
        rest += s * s;
    }
    *sure = target * target >= (double)w->sigma.shape[0] * w->blur;
    return lode_i_min(k, most);
}

/* Whether every value is within tol once A V is recomputed: its square is off by the error of G, or
 * by its square over the gap to what is left out, whichever is less. */
static bool values_hold(const narrow *w, int64_t k)
{
    const bool single = lode_i_is_single(w->A->dtype);
    const double tol = w->o->tol > 0 ? w->o->tol : single ? 5e-5 : 1e-6;
    const int64_t all = lode_i_min(w->A->rows, w->A->cols);
    const double top = k > 0 ? lode_i_get1(&w->sigma, 0) : 0;
    const double floor = single ? 8 * lode_i_epsilon(w->A->dtype) * top : 0;
    const double next = k < w->sigma.shape[0] ? lode_i_get1(&w->sigma, k) : 0;
    for (int64_t i = 0; i < k && k < all && w->blur > 0; i++) {
        const double s = lode_i_get1(&w->sigma, i), gap = s * s - next * next;
        const double error = gap > w->blur ? w->blur * w->blur / gap : w->blur;
        if (!(error <= 2 * s * (tol * s + floor)) && !(sqrt(error) <= floor))
            return false;
    }
    return true;
}

/* U diag(s) of the longer side, by the SVD of A V. */
static lode_status longer_side(lode_ctx *ctx, const narrow *w, const lode_linop *A, int64_t k,
                               lode_array *longer, lode_array *s, lode_array *shorter)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 }, v = { 0 }, x = { 0 }, q = { 0 }, r = { 0 }, p = { 0 }, g = { 0 };
    y = lode_i_cols(&w->Y, 0, k);
    LODE_TRY(lode_array_cast(ctx, &y, A->dtype, &v));
    LODE_TRY(A->apply(ctx, A, A->cols > A->rows, &v, &x));
    LODE_TRY(lode_i_qr(ctx, &x, &q, &r));
    lode_array_free(&x);
    LODE_TRY(lode_i_svd(ctx, &r, k, &p, s, &g));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &q, &p, longer));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &v, &g, shorter));
done:
    LODE_FREE(&y, &v, &x, &q, &r, &p, &g);
    return st;
}

lode_status lode_i_svds_by_gram(lode_ctx *ctx, const lode_linop *A, const lode_svds_opts *o,
                                lode_array *U, lode_array *s, lode_array *V, lode_svds_info *info)
{
    lode_status st = LODE_OK;
    lode_linop *scaled = NULL;
    lode_array longer = { 0 }, shorter = { 0 }, sigma = { 0 };
    narrow w = { .A = A, .o = o };
    const int64_t side = lode_i_min(A->rows, A->cols);
    const bool tail = o->tail > 0 || o->tail_rel > 0, wide = A->cols > A->rows;
    const int64_t count = tail ? side : lode_i_min(side, o->rank + 1);
    int64_t k = o->rank;
    bool sure = true;
    LODE_TRY(stage(ctx, &w, SQUARES));
    LODE_TRY(by_squares(ctx, &w, count));
    k = tail ? rank_within(&w, o->rank, &sure) : k;
    const bool twice = !sure || !values_hold(&w, k);
    if (twice) {
        LODE_TRY(stage(ctx, &w, TRIANGLE));
        LODE_TRY(by_triangle(ctx, &w, count));
        k = tail ? rank_within(&w, o->rank, &sure) : k;
    }
    LODE_TRY(stage(ctx, &w, LONGER_SIDE));
    if (w.scale > 1 || w.scale < 1)
        LODE_TRY(lode_i_linop_times(ctx, A, w.scale, &scaled));
    LODE_TRY(longer_side(ctx, &w, scaled ? scaled : A, k, &longer, &sigma, &shorter));
    const double top = k > 0 ? lode_i_get1(&sigma, 0) : 0,
                 least = k > 0 ? lode_i_get1(&sigma, k - 1) : 0;
    LODE_TRY(lode_i_svds_unscale(ctx, A->dtype, w.scale, &sigma));
    lode_array *const u = wide ? &shorter : &longer, *const v = wide ? &longer : &shorter;
    LODE_TRY(lode_i_canonical_signs(ctx, u, v));
    if (info)
        *info = (lode_svds_info){ .products = side * (twice ? 2 : 1) + k,
                                  .steps = twice ? 2 : 1,
                                  .converged = k,
                                  .residual = least > 0 ? w.blur / least / top : 0,
                                  .norm_fro = w.norm / w.scale };
    lode_array_swap(U, u), lode_array_swap(s, &sigma), lode_array_swap(V, v);
done:
    LODE_FREE(&longer, &shorter, &sigma, &w.sigma, &w.Y, &scaled);
    return st;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

uint64_t lode_i_svds_memory(const lode_ctx *ctx, const lode_svds_opts *o, lode_value A)
{
    lode_dtype dtype = LODE_F64;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM] = { 0 };
    if (!lode_i_value_shape(A, &dtype, &ndim, shape) || ndim != 2)
        return 0;
    dtype = lode_i_arith(dtype);
    const int64_t m = shape[0], n = shape[1], r = lode_i_min(m, n), k = lode_i_min(o->rank, r);
    const uint64_t more = o->centred ? lode_i_linop_blocks(ctx, A) : 0, one_mb = UINT64_C(1) << 20;
    const uint64_t pass = lode_i_linop_workspace(ctx, A, 0) + more;
    const uint64_t factors = lode_i_bytes(dtype, m + n, k);
    uint64_t most = pass + lode_i_linop_blocks(ctx, A) + factors; /* the error measured */
    if (o->gram) {
        const lode_dtype wide = lode_i_is_complex(dtype) ? LODE_C128 : LODE_F64;
        const uint64_t square = lode_i_bytes(wide, r, r);
        const uint64_t end = n > m ? lode_i_linop_workspace(ctx, A, k) + more : pass;
        most = larger(most, lode_i_linop_gram_workspace(ctx, A) + square);
        most = larger(most, 8 * square);
        most = larger(most, end + 2 * factors + square);
    } else {
        const uint64_t basis = lode_i_krylov_workspace(o, m, n, dtype);
        most = larger(most, basis + lode_i_linop_workspace(ctx, A, o->block) + more);
        most = larger(most, basis + larger(pass + factors, 2 * factors));
    }
    return one_mb + most;
}

uint64_t lode_i_svds_held(const lode_ctx *ctx, const lode_svds_opts *o, lode_value A,
                          uint64_t planned)
{
    if (A.kind != LODE_SOURCE || A.as.source->ndim != 2 || o->gram)
        return 0;
    const lode_source *s = A.as.source;
    const uint64_t bytes = lode_i_bytes(lode_i_arith(s->dtype), s->shape[0], s->shape[1]);
    const uint64_t left = lode_i_memory_left(ctx);
    return planned <= left && bytes <= left - planned ? bytes : 0;
}
