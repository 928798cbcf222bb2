/* The one file that calls CBLAS, and the one that narrows sizes for it. Callers cut products into
 * tiles, so every size here is far below 2^31; leading dimensions were checked by
 * lode_i_operand_direct. */
#include "linalg/blas.h"

#include <assert.h>
#include <complex.h>
#include <limits.h>
#include <string.h>

enum {
    ROW_MAJOR = 101,
    NO_TRANS = 111,
    TRANS = 112,
    CONJ_TRANS = 113,
    UPPER = 121,
    LOWER = 122,
    NON_UNIT = 131,
    LEFT = 141,
    RIGHT = 142
};

/* Declared here because a build may link any CBLAS by path, without its header. */
#define GEMM(x, real, value, pointer)                                                              \
    void cblas_##x##gemm(int order, int ta, int tb, int m, int n, int k, value alpha,              \
                         const pointer *a, int lda, const pointer *b, int ldb, value beta,         \
                         pointer *c, int ldc);                                                     \
    void cblas_##x##gemv(int order, int ta, int m, int n, value alpha, const pointer *a, int lda,  \
                         const pointer *x_, int incx, value beta, pointer *y, int incy);           \
    void cblas_##x##syrk(int order, int uplo, int ta, int n, int k, value alpha, const pointer *a, \
                         int lda, value beta, pointer *c, int ldc);                                \
    void cblas_##x##trsm(int order, int side, int uplo, int ta, int diag, int m, int n,            \
                         value alpha, const pointer *a, int lda, pointer *b, int ldb);             \
    void cblas_##x##trmm(int order, int side, int uplo, int ta, int diag, int m, int n,            \
                         value alpha, const pointer *a, int lda, pointer *b, int ldb);
GEMM(s, float, float, float)
GEMM(d, double, double, double)
GEMM(c, float, const void *, void)
GEMM(z, double, const void *, void)
#undef GEMM
void cblas_cherk(int order, int uplo, int ta, int n, int k, float alpha, const void *a, int lda,
                 float beta, void *c, int ldc);
void cblas_zherk(int order, int uplo, int ta, int n, int k, double alpha, const void *a, int lda,
                 double beta, void *c, int ldc);

static int narrow(int64_t n)
{
    assert(n >= 0 && n <= INT_MAX);
    return (int)n;
}

/* How BLAS sees an operand: its transpose flag and leading dimension. */
static int layout(const lode_i_operand *a, int *ld)
{
    int64_t wide;
    const bool by_rows = lode_i_operand_by_rows(a, &wide);
    const bool direct = by_rows || lode_i_operand_by_cols(a, &wide);
    assert(direct);
    (void)direct;
    *ld = narrow(wide);
    return by_rows ? NO_TRANS : a->conj ? CONJ_TRANS : TRANS;
}

/* y = alpha A x + beta y by gemv, whose memory traffic is that of A once. A's stored matrix is rows
 * x cols when it is not transposed. */
static void times_vector(double alpha, const lode_i_operand *a, const void *x, int64_t incx,
                         double beta, void *y, int64_t incy)
{
    int lda;
    const int t = layout(a, &lda);
    const int m = narrow(t == NO_TRANS ? a->rows : a->cols),
              n = narrow(t == NO_TRANS ? a->cols : a->rows);
    const int ix = narrow(incx), iy = narrow(incy);
    switch (a->dtype) {
    case LODE_F32:
        cblas_sgemv(ROW_MAJOR, t, m, n, (float)alpha, (const float *)(const void *)a->p, lda, x, ix,
                    (float)beta, y, iy);
        break;
    case LODE_F64:
        cblas_dgemv(ROW_MAJOR, t, m, n, alpha, (const double *)(const void *)a->p, lda, x, ix, beta,
                    y, iy);
        break;
    case LODE_C64: {
        const float complex one = (float)alpha, zero = (float)beta;
        cblas_cgemv(ROW_MAJOR, t, m, n, &one, a->p, lda, x, ix, &zero, y, iy);
        break;
    }
    default: {
        const double complex one = alpha, zero = beta;
        cblas_zgemv(ROW_MAJOR, t, m, n, &one, a->p, lda, x, ix, &zero, y, iy);
    }
    }
}

/* gemv reads vectors by a positive stride; a stride below 1 on one value is no stride at all. */
static bool vector_stride(int64_t count, int64_t stride, int64_t *inc)
{
    *inc = count <= 1 ? 1 : stride;
    return *inc >= 1 && *inc <= INT_MAX;
}

static void gemm(double alpha, const lode_i_operand *a, const lode_i_operand *b, double beta,
                 void *c, int64_t ldc)
{
    int64_t inc;
    if (b->cols == 1 && !b->conj && vector_stride(b->rows, b->rs, &inc)) {
        times_vector(alpha, a, b->p, inc, beta, c, ldc);
        return;
    }
    const lode_i_operand bt = lode_i_operand_transposed(b);
    if (a->rows == 1 && !a->conj && lode_i_operand_direct(&bt) &&
        vector_stride(a->cols, a->cs, &inc)) {
        times_vector(alpha, &bt, a->p, inc, beta, c, 1);
        return;
    }
    int lda, ldb;
    const int ta = layout(a, &lda), tb = layout(b, &ldb);
    const int m = narrow(a->rows), n = narrow(b->cols), k = narrow(a->cols), ld = narrow(ldc);
    switch (a->dtype) {
    case LODE_F32:
        cblas_sgemm(ROW_MAJOR, ta, tb, m, n, k, (float)alpha, (const float *)(const void *)a->p,
                    lda, (const float *)(const void *)b->p, ldb, (float)beta, c, ld);
        break;
    case LODE_F64:
        cblas_dgemm(ROW_MAJOR, ta, tb, m, n, k, alpha, (const double *)(const void *)a->p, lda,
                    (const double *)(const void *)b->p, ldb, beta, c, ld);
        break;
    case LODE_C64: {
        const float complex ca = (float)alpha, cb = (float)beta;
        cblas_cgemm(ROW_MAJOR, ta, tb, m, n, k, &ca, a->p, lda, b->p, ldb, &cb, c, ld);
        break;
    }
    default: {
        const double complex ca = alpha, cb = beta;
        cblas_zgemm(ROW_MAJOR, ta, tb, m, n, k, &ca, a->p, lda, b->p, ldb, &cb, c, ld);
    }
    }
}

void lode_i_blas_gemm(double alpha, const lode_i_operand *a, const lode_i_operand *b, double beta,
                      void *c, int64_t ldc)
{
    const bool turn = lode_i_blas_enter();
    gemm(alpha, a, b, beta, c, ldc);
    lode_i_blas_leave(turn);
}

static void rank_k(const lode_i_operand *a, bool hermitian, double beta, void *c, int64_t ldc)
{
    int lda;
    const int t = layout(a, &lda), n = narrow(a->rows), k = narrow(a->cols), ld = narrow(ldc);
    switch (a->dtype) {
    case LODE_F32:
        cblas_ssyrk(ROW_MAJOR, UPPER, t, n, k, 1, (const float *)(const void *)a->p, lda,
                    (float)beta, c, ld);
        break;
    case LODE_F64:
        cblas_dsyrk(ROW_MAJOR, UPPER, t, n, k, 1, (const double *)(const void *)a->p, lda, beta, c,
                    ld);
        break;
    case LODE_C64: {
        const float complex one = 1, cb = (float)beta;
        if (hermitian)
            cblas_cherk(ROW_MAJOR, UPPER, t, n, k, 1, a->p, lda, (float)beta, c, ld);
        else
            cblas_csyrk(ROW_MAJOR, UPPER, t, n, k, &one, a->p, lda, &cb, c, ld);
        break;
    }
    default: {
        const double complex one = 1, cb = beta;
        if (hermitian)
            cblas_zherk(ROW_MAJOR, UPPER, t, n, k, 1, a->p, lda, beta, c, ld);
        else
            cblas_zsyrk(ROW_MAJOR, UPPER, t, n, k, &one, a->p, lda, &cb, c, ld);
    }
    }
}

void lode_i_blas_rank_k(const lode_i_operand *a, bool hermitian, double beta, void *c, int64_t ldc)
{
    const bool turn = lode_i_blas_enter();
    rank_k(a, hermitian, beta, c, ldc);
    lode_i_blas_leave(turn);
}

void lode_i_blas_probe(void)
{
    const double a[4] = { 0 };
    double c[4];
    const lode_i_operand p = lode_i_operand_packed(a, LODE_F64, 2, 2);
    rank_k(&p, false, 0, c, 2);
}

static int transposition(lode_trans t)
{
    return t == LODE_N ? NO_TRANS : t == LODE_T ? TRANS : CONJ_TRANS;
}

#define TRIANGULAR(name)                                                                           \
    void lode_i_blas_##name(const lode_i_tri *t, int64_t m, int64_t n, void *b, int64_t ldb)       \
    {                                                                                              \
        const int side = t->right ? RIGHT : LEFT, uplo = t->upper ? UPPER : LOWER;                 \
        const int tt = transposition(t->trans), ldt = narrow(t->ldt), ld = narrow(ldb);            \
        const int mm = narrow(m), nn = narrow(n);                                                  \
        const float complex one_c = 1;                                                             \
        const double complex one_z = 1;                                                            \
        const bool turn = lode_i_blas_enter();                                                     \
        if (t->dtype == LODE_F32)                                                                  \
            cblas_s##name(ROW_MAJOR, side, uplo, tt, NON_UNIT, mm, nn, 1, t->t, ldt, b, ld);       \
        else if (t->dtype == LODE_F64)                                                             \
            cblas_d##name(ROW_MAJOR, side, uplo, tt, NON_UNIT, mm, nn, 1, t->t, ldt, b, ld);       \
        else if (t->dtype == LODE_C64)                                                             \
            cblas_c##name(ROW_MAJOR, side, uplo, tt, NON_UNIT, mm, nn, &one_c, t->t, ldt, b, ld);  \
        else                                                                                       \
            cblas_z##name(ROW_MAJOR, side, uplo, tt, NON_UNIT, mm, nn, &one_z, t->t, ldt, b, ld);  \
        lode_i_blas_leave(turn);                                                                   \
    }
TRIANGULAR(trsm)
TRIANGULAR(trmm)
