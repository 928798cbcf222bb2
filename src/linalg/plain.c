/* What the core build has in place of BLAS and LAPACK (blas.c, lapack.c, openblas.c): the same
 * interface in plain C, right and slow. Singular values and eigenvalues are left to Jacobi, which
 * needs neither. */
#include "linalg/blas.h"

#include <assert.h>
#include <complex.h>
#include <math.h>
#include <string.h>

#define VALUE float
#define REAL float
#define RE(x) (x)
#define IM(x) 0.0f
#define CONJ(x) (x)
#define NAME(x) x##_f32
#include "linalg/plain_kernel.inc"
#define VALUE double
#define REAL double
#define RE(x) (x)
#define IM(x) 0.0
#define CONJ(x) (x)
#define NAME(x) x##_f64
#include "linalg/plain_kernel.inc"
#define VALUE float complex
#define REAL float
#define RE(x) crealf(x)
#define IM(x) cimagf(x)
#define CONJ(x) conjf(x)
#define NAME(x) x##_c64
#include "linalg/plain_kernel.inc"
#define VALUE double complex
#define REAL double
#define RE(x) creal(x)
#define IM(x) cimag(x)
#define CONJ(x) conj(x)
#define NAME(x) x##_c128
#include "linalg/plain_kernel.inc"

/* The same arguments for the four types. */
#define FOUR(t, name, ...)                                                                         \
    do {                                                                                           \
        if ((t) == LODE_F32)                                                                       \
            name##_f32(__VA_ARGS__);                                                               \
        else if ((t) == LODE_F64)                                                                  \
            name##_f64(__VA_ARGS__);                                                               \
        else if ((t) == LODE_C64)                                                                  \
            name##_c64(__VA_ARGS__);                                                               \
        else                                                                                       \
            name##_c128(__VA_ARGS__);                                                              \
    } while (0)

const char *lode_i_blas_name(bool *same_bits)
{
    if (same_bits)
        *same_bits = true;
    return "none: plain C";
}

bool lode_i_blas_enter(void)
{
    return false;
}

void lode_i_blas_leave(bool entered)
{
    (void)entered;
}

/* Row i of C, wherever it begins. */
static void *row_of(void *c, lode_dtype t, int64_t i, int64_t ldc)
{
    return (char *)c + (size_t)(i * ldc) * lode_dtype_size(t);
}

void lode_i_blas_gemm(double alpha, const lode_i_operand *a, const lode_i_operand *b, double beta,
                      void *c, int64_t ldc)
{
    for (int64_t i = 0; i < a->rows; i++) {
        void *const row = row_of(c, a->dtype, i, ldc);
        FOUR(a->dtype, row, i, 0, alpha, a, b, beta, row);
    }
}

void lode_i_blas_rank_k(const lode_i_operand *a, bool hermitian, double beta, void *c, int64_t ldc)
{
    lode_i_operand b = lode_i_operand_transposed(a);
    if (hermitian && lode_i_is_complex(a->dtype))
        b.conj = !a->conj;
    for (int64_t i = 0; i < a->rows; i++)
        FOUR(a->dtype, row, i, i, 1, a, &b, beta, row_of(c, a->dtype, i, ldc));
}

void lode_i_blas_trsm(const lode_i_tri *t, int64_t m, int64_t n, void *b, int64_t ldb)
{
    FOUR(t->dtype, triangular, true, t, m, n, b, ldb);
}

void lode_i_blas_trmm(const lode_i_tri *t, int64_t m, int64_t n, void *b, int64_t ldb)
{
    FOUR(t->dtype, triangular, false, t, m, n, b, ldb);
}

/* ---- column-major as LAPACK has it: what is read here by rows is the transpose ---- */

int lode_i_lapack_potrf(lode_dtype t, bool upper, int64_t n, void *a, int64_t lda)
{
    const int64_t si = upper ? 1 : lda, sj = upper ? lda : 1; /* the lower one is U^T of A^T */
    switch (t) {
    case LODE_F32: return potrf_f32(n, a, si, sj);
    case LODE_F64: return potrf_f64(n, a, si, sj);
    case LODE_C64: return potrf_c64(n, a, si, sj);
    default: return potrf_c128(n, a, si, sj);
    }
}

lode_status lode_i_lapack_gelqf(lode_ctx *ctx, lode_dtype t, int64_t m, int64_t n, void *a,
                                int64_t lda, void *tau)
{
    FOUR(t, factor, m, n, a, lda, tau);
    return lode_i_cancelled(ctx);
}

lode_status lode_i_lapack_unmlq(lode_ctx *ctx, lode_dtype t, int64_t m, int64_t n, int64_t k,
                                const void *a, int64_t lda, const void *tau, void *c, int64_t ldc)
{
    FOUR(t, spread, m, n, k, a, lda, tau, c, ldc);
    return lode_i_cancelled(ctx);
}

lode_status lode_i_lapack_svd(lode_ctx *ctx, const lode_i_svd_work *w, bool simple, int *info)
{
    (void)ctx, (void)w, (void)simple;
    *info = 1;
    return LODE_OK;
}

lode_status lode_i_lapack_eigh(lode_ctx *ctx, const lode_i_eig_work *e, int *info)
{
    (void)ctx, (void)e;
    *info = 1;
    return LODE_OK;
}

lode_status lode_i_lapack_eig(lode_ctx *ctx, const lode_i_general_work *e, int *info)
{
    (void)ctx, (void)e;
    *info = 1;
    return LODE_OK;
}

/* By the SVD of what lies there by rows, a^T = U s V^H: x^T = b^T V s^+ U^H. */
lode_status lode_i_lapack_tridiagonal(lode_ctx *ctx, const lode_i_tridiagonal *t)
{
    (void)ctx, (void)t;
    return LODE_OK;
}

lode_status lode_i_lapack_stedc(lode_ctx *ctx, const lode_i_tridiagonal *t, int *info)
{
    (void)ctx, (void)t;
    *info = 1;
    return LODE_OK;
}

lode_status lode_i_lapack_back(lode_ctx *ctx, const lode_i_tridiagonal *t, int64_t from,
                               int64_t count)
{
    (void)ctx, (void)t, (void)from, (void)count;
    return LODE_OK;
}

lode_status lode_i_lapack_gelsy(lode_ctx *ctx, const lode_i_ls_work *l, int64_t *rank, int *info)
{
    lode_status st = LODE_OK;
    const int64_t n = l->n;
    lode_array U = { 0 }, s = { 0 }, V = { 0 }, y = { 0 }, x = { 0 };
    assert(l->m == n);
    const lode_array A = lode_array_wrap(l->a, l->dtype, 2, (const int64_t[]){ n, n });
    const lode_array b = lode_array_wrap(l->b, l->dtype, 2, (const int64_t[]){ l->nrhs, n });
    *rank = 0, *info = 0;
    LODE_TRY(lode_i_svd_jacobi(ctx, &A, &U, &s, &V));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &b, &V, &y));
    const double least = n > 0 ? l->rcond * lode_i_get1(&s, 0) : 0;
    for (int64_t i = 0; i < n; i++) {
        const double value = lode_i_get1(&s, i);
        const bool counts = value > least;
        *rank += counts;
        lode_i_set1(&s, i, counts ? 1 / value : 0);
    }
    LODE_TRY(lode_i_scale_cols(ctx, &y, &s));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_H, &y, &U, &x));
    if (lode_array_bytes(&x))
        memcpy(l->b, x.data, lode_array_bytes(&x));
done:
    LODE_FREE(&U, &s, &V, &y, &x);
    return st;
}
