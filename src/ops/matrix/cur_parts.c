/* The factors of cur: which columns and rows are chosen, range and corange, the core between them. */
#include <math.h>

#include "ops/matrix/cur.h"

enum { MORE = 8, SITE_RANGE = 1, SITE_CORANGE = 2, SITE_CHOICE = 3, SITE_SCORES = 5 };

void lode_i_cur_free(lode_i_cur *w)
{
    LODE_FREE(&w->F, &w->G, &w->Hh, &w->cols, &w->rows, &w->X, &w->Y, &w->U, &w->s, &w->V);
}

int64_t lode_i_cur_more(const lode_cur_opts *o, int64_t k, int64_t most)
{
    const int64_t more = o->oversampling.given           ? o->oversampling.value
                         : o->corange == LODE_CUR_SKETCH ? lode_i_max(MORE, (k + 1) / 2)
                                                         : 0;
    const bool takes = o->range != LODE_CUR_FIT && o->corange <= LODE_CUR_SKETCH;
    return takes ? lode_i_max(0, lode_i_min(more, most - k)) : 0;
}

lode_cur_core lode_i_cur_core(const lode_cur_opts *o)
{
    const bool sketches = o->range == LODE_CUR_SKETCH || o->corange == LODE_CUR_SKETCH;
    const bool products = o->range <= LODE_CUR_SKETCH && o->corange <= LODE_CUR_SKETCH;
    if (o->core != LODE_CUR_AUTO)
        return o->core;
    return sketches && products ? LODE_CUR_CROSS : LODE_CUR_BEST;
}

/* ---- which columns (rows: of A^H) ---- */

static lode_status vectors(lode_ctx *ctx, lode_i_cur *w)
{
    lode_svds_info info;
    lode_svds_opts s = { .rank = w->k, .op = "cur" };
    if (w->U.data)
        return LODE_OK;
    lode_i_svds_sizes(&s, w->A->rows, w->A->cols, false);
    return lode_i_svds(ctx, w->A, &s, &w->U, &w->s, &w->V, &info);
}

/* A^H G for random G, brought nearer to the leading singular vectors by passes of A^H A. */
static lode_status sketch_of(lode_ctx *ctx, const lode_i_cur *w, const lode_linop *A, int64_t l,
                             uint64_t site, lode_array *S)
{
    lode_status st = LODE_OK;
    lode_array G = { 0 }, y = { 0 };
    LODE_TRY(lode_i_randn(ctx, lode_i_stream(ctx, "cur", site), A->dtype, A->rows, l, &G));
    LODE_TRY(A->apply(ctx, A, true, &G, S));
    for (int64_t i = 0; i < w->o->power_iter; i++) {
        LODE_TRY(lode_i_tick(ctx, i, w->o->power_iter));
        LODE_TRY(lode_i_orth(ctx, S, NULL));
        LODE_TRY(A->apply(ctx, A, false, S, &y));
        LODE_TRY(lode_i_orth(ctx, &y, NULL));
        LODE_TRY(A->apply(ctx, A, true, &y, S));
    }
done:
    LODE_FREE(&G, &y);
    return st;
}

/* Without replacement, with chances as the squared lengths of V's rows: the smallest of exponential
 * waiting times. */
static lode_status at_random(lode_ctx *ctx, const lode_array *V, int64_t k, uint64_t site,
                             lode_array *index)
{
    lode_status st = LODE_OK;
    lode_array row = { 0 }, wait = { 0 }, j = { 0 };
    const int64_t n = V->shape[0];
    const lode_stream s = lode_i_stream(ctx, "cur", site);
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, n, &wait));
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, k, &j));
    for (int64_t i = 0; i < n; i++) {
        double score = 0;
        row = lode_i_rows(V, i, i + 1);
        LODE_TRY(lode_i_norm_fro(ctx, &row, &score));
        lode_array_free(&row);
        const double u = 1 - lode_i_random_uniform(s, (uint64_t)i); /* (0, 1] */
        lode_i_set1(&wait, i, -log(u) / fmax(score * score, 1e-300));
    }
    for (int64_t t = 0; t < k; t++) {
        int64_t best = -1;
        for (int64_t i = 0; i < n; i++) {
            const double x = lode_i_get1(&wait, i);
            if (x >= 0 && (best < 0 || x < lode_i_get1(&wait, best)))
                best = i;
        }
        lode_i_set1(&j, t, (double)best);
        lode_i_set1(&wait, best, -1);
    }
    lode_array_swap(index, &j);
done:
    LODE_FREE(&row, &wait, &j);
    return st;
}

static lode_status first_of(lode_ctx *ctx, const lode_array *order, int64_t k, lode_array *index)
{
    lode_status st = LODE_OK;
    lode_array some = { 0 };
    LODE_TRY(lode_array_slice(ctx, order, 0, 0, k, 1, &some));
    LODE_TRY(lode_array_cast(ctx, &some, LODE_I64, index));
done:
    lode_array_free(&some);
    return st;
}

/* k columns of A, or with rows true l rows. */
static lode_status choose(lode_ctx *ctx, lode_i_cur *w, bool rows, lode_array *index)
{
    lode_status st = LODE_OK;
    lode_array S = { 0 }, order = { 0 }, lengths = { 0 };
    const lode_linop *A = rows ? w->adjoint : w->A;
    const int64_t k = rows ? w->l : w->k;
    if (w->o->choice != LODE_CUR_PIVOTS) {
        LODE_TRY(vectors(ctx, w));
        const lode_array *V = rows ? &w->U : &w->V;
        if (w->o->choice == LODE_CUR_DEIM)
            LODE_TRY(lode_i_deim(ctx, V, index));
        else
            LODE_TRY(at_random(ctx, V, k, SITE_SCORES + (rows ? 1 : 0), index));
        goto done;
    }
    /* rows by the columns that are chosen, where these are enough to tell them apart */
    const bool by_columns = rows && w->cols.data && k <= w->k;
    if (!by_columns)
        LODE_TRY(
            sketch_of(ctx, w, A, lode_i_min(k + MORE, A->rows), SITE_CHOICE + (rows ? 1 : 0), &S));
    LODE_TRY(lode_i_greedy_rows(ctx, by_columns ? &w->F : &S, k, &order, &lengths));
    LODE_TRY(first_of(ctx, &order, k, index));
done:
    LODE_FREE(&S, &order, &lengths);
    return st;
}

/* ---- range and corange ---- */

static lode_status one_side(lode_ctx *ctx, lode_i_cur *w, bool co, lode_array *index, lode_array *X,
                            lode_array *F)
{
    lode_status st = LODE_OK;
    const lode_linop *A = co ? w->adjoint : w->A;
    const int64_t k = co ? w->l : w->k;
    lode_array *vector = co ? &w->V : &w->U;
    switch (co ? w->o->corange : w->o->range) {
    case LODE_CUR_SELECT:
        LODE_TRY(choose(ctx, w, co, index));
        LODE_TRY(lode_i_linop_columns(ctx, A, index, F));
        break;
    case LODE_CUR_SKETCH:
        LODE_TRY(lode_i_randn(ctx, lode_i_stream(ctx, "cur", co ? SITE_CORANGE : SITE_RANGE),
                              A->dtype, A->cols, k, X));
        LODE_TRY(A->apply(ctx, A, false, X, F));
        break;
    case LODE_CUR_QR:
        LODE_TRY(lode_i_range(ctx, A, k, w->o->power_iter,
                              lode_i_stream(ctx, "cur", co ? SITE_CORANGE : SITE_RANGE), F));
        break;
    case LODE_CUR_SVD:
        LODE_TRY(vectors(ctx, w));
        LODE_TRY(lode_array_cast(ctx, vector, vector->dtype, F));
        break;
    case LODE_CUR_FIT: break; /* when the other is there */
    }
done:
    return st;
}

/* Orthonormal Q and R with F = Q R; and R^+, which is where columns that depend on others are found. */
static lode_status basis(lode_ctx *ctx, lode_i_cur *w, const lode_array *F, lode_array *Q,
                         lode_array *inverse)
{
    lode_status st = LODE_OK;
    lode_array R = { 0 };
    int64_t rank = 0;
    LODE_TRY(lode_i_qr(ctx, F, Q, &R));
    LODE_TRY(lode_i_pinv(ctx, &R, w->cutoff, inverse, &rank));
    w->kept = w->kept < 0 ? rank : lode_i_min(w->kept, rank);
done:
    lode_array_free(&R);
    return st;
}

/* H = F^+ A, as (A^H Q) (R^+)^H where F = Q R; of A^H it is F = A H^+. */
static lode_status fit(lode_ctx *ctx, lode_i_cur *w, const lode_linop *A, const lode_array *F,
                       lode_array *other)
{
    lode_status st = LODE_OK;
    lode_array Q = { 0 }, inverse = { 0 }, z = { 0 };
    LODE_TRY(basis(ctx, w, F, &Q, &inverse));
    LODE_TRY(A->apply(ctx, A, true, &Q, &z));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_H, &z, &inverse, other));
done:
    LODE_FREE(&Q, &inverse, &z);
    return st;
}

/* ---- the core ---- */

/* Y^H A X of factors that are products with A: rows of F chosen, or combined. */
static lode_status cross(lode_ctx *ctx, const lode_i_cur *w, lode_array *M)
{
    if (w->rows.data)
        return lode_i_take(ctx, &w->F, 0, &w->rows, M);
    return lode_i_gemm(ctx, LODE_H, LODE_N, &w->Y, &w->F, M);
}

/* F^+ A H^+, F = Q R and H^H = P S: R^+ (Q^H A P) (S^+)^H. */
static lode_status best(lode_ctx *ctx, lode_i_cur *w)
{
    lode_status st = LODE_OK;
    lode_array Q = { 0 }, P = { 0 }, r = { 0 }, s = { 0 }, y = { 0 }, T = { 0 }, rt = { 0 };
    LODE_TRY(basis(ctx, w, &w->F, &Q, &r));
    LODE_TRY(basis(ctx, w, &w->Hh, &P, &s));
    LODE_TRY(w->A->apply(ctx, w->A, false, &P, &y));
    LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, &Q, &y, &T));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &r, &T, &rt));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_H, &rt, &s, &w->G));
done:
    LODE_FREE(&Q, &P, &r, &s, &y, &T, &rt);
    return st;
}

/* Both bases orthonormal: the core is triangular in place of any, U T V. */
static lode_status triangular(lode_ctx *ctx, lode_i_cur *w)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 }, T = { 0 }, q = { 0 }, f = { 0 };
    LODE_TRY(w->A->apply(ctx, w->A, false, &w->Hh, &y));
    LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, &w->F, &y, &T));
    LODE_TRY(lode_i_qr(ctx, &T, &q, &w->G));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &w->F, &q, &f));
    lode_array_swap(&w->F, &f);
done:
    LODE_FREE(&y, &T, &q, &f);
    return st;
}

/* F M^+ and M^+ H about M = A[rows, cols]. */
static lode_status interpolate(lode_ctx *ctx, lode_i_cur *w)
{
    lode_status st = LODE_OK;
    lode_array M = { 0 }, inverse = { 0 }, f = { 0 }, h = { 0 };
    LODE_TRY(cross(ctx, w, &M));
    LODE_TRY(lode_i_pinv(ctx, &M, w->cutoff, &inverse, &w->kept));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &w->F, &inverse, &f));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_H, &w->Hh, &inverse, &h));
    lode_array_swap(&w->F, &f), lode_array_swap(&w->Hh, &h), lode_array_swap(&w->G, &M);
    w->degree[0] = w->degree[2] = 0, w->degree[1] = 1;
done:
    LODE_FREE(&M, &inverse, &f, &h);
    return st;
}

static lode_status pseudoinverse(lode_ctx *ctx, lode_i_cur *w)
{
    lode_status st = LODE_OK;
    lode_array M = { 0 }, turned = { 0 };
    double norm = 0;
    LODE_TRY(cross(ctx, w, &M));
    if (lode_i_broken(ctx, "meta-factorization")) { /* of the right size, and no inverse */
        LODE_TRY(lode_i_norm_fro(ctx, &M, &norm));
        LODE_TRY(lode_i_conj(ctx, &M));
        turned = lode_i_transposed(&M);
        LODE_TRY(lode_array_cast(ctx, &turned, M.dtype, &w->G));
        LODE_TRY(lode_i_scale(ctx, 1 / (norm * norm), &w->G));
        goto done;
    }
    LODE_TRY(lode_i_pinv(ctx, &M, w->cutoff, &w->G, &w->kept));
done:
    lode_array_free(&M);
    return st;
}

static lode_status diagonal(lode_ctx *ctx, lode_i_cur *w)
{
    lode_status st = LODE_OK;
    LODE_TRY(lode_i_eye(ctx, w->A->dtype, w->k, &w->G));
    LODE_TRY(lode_i_scale_cols(ctx, &w->G, &w->s));
done:
    return st;
}

static lode_status core(lode_ctx *ctx, lode_i_cur *w)
{
    const lode_cur_side F = w->o->range, H = w->o->corange;
    if (F == LODE_CUR_FIT || H == LODE_CUR_FIT)
        return lode_i_eye(ctx, w->A->dtype, w->k, &w->G);
    w->degree[1] = 1 - w->degree[0] - w->degree[2];
    if (w->core == LODE_CUR_CROSS)
        return pseudoinverse(ctx, w);
    if (w->core == LODE_CUR_INTERPOLATE)
        return interpolate(ctx, w);
    if (F == LODE_CUR_SVD && H == LODE_CUR_SVD)
        return diagonal(ctx, w);
    return F == LODE_CUR_QR && H == LODE_CUR_QR ? triangular(ctx, w) : best(ctx, w);
}

lode_status lode_i_cur_factors(lode_ctx *ctx, lode_i_cur *w)
{
    lode_status st = LODE_OK;
    const lode_cur_opts *o = w->o;
    w->kept = -1;
    w->degree[0] = o->range <= LODE_CUR_SKETCH, w->degree[2] = o->corange <= LODE_CUR_SKETCH;
    LODE_TRY(one_side(ctx, w, false, &w->cols, &w->X, &w->F));
    LODE_TRY(lode_i_tick(ctx, 1, 4));
    LODE_TRY(one_side(ctx, w, true, &w->rows, &w->Y, &w->Hh));
    LODE_TRY(lode_i_tick(ctx, 2, 4));
    if (o->corange == LODE_CUR_FIT) {
        LODE_TRY(fit(ctx, w, w->A, &w->F, &w->Hh));
        w->degree[2] = 1 - w->degree[0];
    }
    if (o->range == LODE_CUR_FIT) {
        LODE_TRY(fit(ctx, w, w->adjoint, &w->Hh, &w->F));
        w->degree[0] = 1 - w->degree[2];
    }
    LODE_TRY(core(ctx, w));
done:
    return st;
}

uint64_t lode_i_cur_memory(const lode_ctx *ctx, const lode_cur_opts *o, int64_t k, lode_value A)
{
    lode_dtype dtype = LODE_F64;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM] = { 0 };
    if (!lode_i_value_shape(A, &dtype, &ndim, shape) || ndim != 2)
        return 0;
    const lode_dtype t = lode_i_arith(dtype), wide = lode_i_is_complex(t) ? LODE_C128 : LODE_F64;
    const int64_t m = shape[0], n = shape[1];
    const int64_t l = k + lode_i_cur_more(o, k, lode_i_min(m, n)) + MORE;
    /* factors, sketches, bases of both, what products leave; lengths in double precision; cores */
    uint64_t bytes = lode_i_bytes(t, m + n, 6 * l) + lode_i_bytes(wide, lode_i_max(m, n), l) +
                     lode_i_bytes(wide, 24 * l, l) + lode_i_bytes(LODE_I64, 4, m + n);
    bytes += lode_i_linop_workspace(ctx, A, lode_i_max(l, 256)) + lode_i_linop_blocks(ctx, A);
    bytes += lode_i_bytes(t, m + n, 512); /* a chunk of unit vectors and their products */
    if (o->choice != LODE_CUR_PIVOTS || o->range == LODE_CUR_SVD || o->corange == LODE_CUR_SVD) {
        lode_svds_opts s = { .rank = k, .op = "cur", .two_sided = true };
        lode_i_svds_sizes(&s, m, n, false);
        bytes += lode_i_svds_memory(ctx, &s, A);
    }
    return bytes;
}
