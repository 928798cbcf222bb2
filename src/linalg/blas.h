/* Private to linalg: how its files hand matrices to BLAS and LAPACK. blas.c is the one file that
 * calls CBLAS and lapack.c the one that calls LAPACK; both narrow sizes to int, which callers keep
 * below 2^31. */
#ifndef LODE_LINALG_BLAS_H
#define LODE_LINALG_BLAS_H

#include "linalg/linalg.h"

/** A matrix read as P(i,k), with op() already applied: element at p + i rs + (k mod kin) cs + (k
 * div kin) ks, conjugated when conj is set. kin is the length of the inner run of columns: the
 * whole width for a plain matrix, `right` for the mode unfolding of a left x n x right tensor. */
typedef struct lode_i_operand {
    const char *p;
    lode_dtype dtype;
    int64_t rows, cols, rs, cs, kin, ks;
    bool conj;
} lode_i_operand;

/** op(A) of a matrix, or of a vector seen as one column. */
lode_i_operand lode_i_operand_of(lode_trans t, const lode_array *A);
lode_i_operand lode_i_operand_transposed(
    const lode_i_operand *a); /* plain transpose; kin must be cols */
/** Rows [i, i + m), columns [k, k + n), which lie in one run or begin with one. */
lode_i_operand lode_i_operand_part(const lode_i_operand *a, int64_t i, int64_t m, int64_t k,
                                   int64_t n);
/** Whether BLAS takes it as it lies, row-major or column-major (as a transpose, conjugated or not),
 * and with which leading dimension. */
bool lode_i_operand_by_rows(const lode_i_operand *a, int64_t *ld);
bool lode_i_operand_by_cols(const lode_i_operand *a, int64_t *ld);
bool lode_i_operand_direct(const lode_i_operand *a);
/** Copies to contiguous row-major `to` of type `dtype` (its own, or f64 / c128 from f32 / c64),
 * conjugating when asked; runs of columns are followed. */
void lode_i_operand_pack(const lode_i_operand *a, lode_dtype dtype, void *to);
/** The packed copy as an operand. */
lode_i_operand lode_i_operand_packed(const void *p, lode_dtype dtype, int64_t rows, int64_t cols);
/** Part of a row-major matrix with leading dimension ld. */
lode_i_operand lode_i_operand_within(const void *p, lode_dtype dtype, int64_t rows, int64_t cols,
                                     int64_t ld);

/** Around every call of BLAS or LAPACK: makes the calls take turns with a BLAS that bears one
 * caller only. */
bool lode_i_blas_enter(void);
void lode_i_blas_leave(bool entered);
/** A product that makes BLAS allocate, with nothing around it. */
void lode_i_blas_probe(void);

/* ---- CBLAS on one thread; operands direct; c is row-major with leading dimension ldc ---- */

/** C = alpha A B + beta C. */
void lode_i_blas_gemm(double alpha, const lode_i_operand *a, const lode_i_operand *b, double beta,
                      void *c, int64_t ldc);
/** Upper triangle of C = A A^H + beta C (hermitian) or A A^T + beta C. A column-major complex A
 * must carry conj for the first and not for the second. */
void lode_i_blas_rank_k(const lode_i_operand *a, bool hermitian, double beta, void *c, int64_t ldc);
/** B = B op(T)^{-1} (right) or op(T)^{-1} B, T triangular, all row-major in place. */
typedef struct lode_i_tri {
    lode_dtype dtype;
    bool right, upper;
    lode_trans trans;
    const void *t;
    int64_t ldt;
} lode_i_tri;
void lode_i_blas_trsm(const lode_i_tri *t, int64_t m, int64_t n, void *b, int64_t ldb);
/** B = B op(T) (right) or op(T) B. */
void lode_i_blas_trmm(const lode_i_tri *t, int64_t m, int64_t n, void *b, int64_t ldb);

/* ---- LAPACK on one thread, column-major as LAPACK has it. They return info. Scratch comes from
 * ctx. ---- */

/** Rows that a complex matrix of LAPACK must have behind its last one (by rows, as it lies in memory):
 *  kernels of OpenBLAS, to 0.3.21 at least, read an entry past the end of a vector with a stride,
 *  which may be past the last page. Not so those of potrf, gelsy and the eigensolvers. */
int64_t lode_i_lapack_spare(lode_dtype t);
/** A matrix with them. */
lode_status lode_i_lapack_matrix(lode_ctx *ctx, lode_dtype t, int64_t rows, int64_t cols,
                                 lode_array *out);
/** a = L Q with m <= n: L in the lower triangle, reflectors in the rest. Seen by rows, that is a QR
 * factorization of the transpose, so row-major blocks need no copy. */
lode_status lode_i_lapack_gelqf(lode_ctx *ctx, lode_dtype t, int64_t m, int64_t n, void *a,
                                int64_t lda, void *tau);
/** c (m x n) = c Q, Q of order n from k rows of reflectors. */
lode_status lode_i_lapack_unmlq(lode_ctx *ctx, lode_dtype t, int64_t m, int64_t n, int64_t k,
                                const void *a, int64_t lda, const void *tau, void *c, int64_t ldc);
/** Cholesky; 0, or the order of the minor that is not positive. */
int lode_i_lapack_potrf(lode_dtype t, bool upper, int64_t n, void *a, int64_t lda);
/** Thin SVD: simple true: gesvd, else gesdd. a is destroyed, vt holds V^H. */
typedef struct lode_i_svd_work {
    lode_dtype dtype;
    int64_t m, n;
    void *a, *s, *u, *vt; /* column-major, leading dimensions m, m, min(m,n) */
    bool vectors;
} lode_i_svd_work;
lode_status lode_i_lapack_svd(lode_ctx *ctx, const lode_i_svd_work *w, bool simple, int *info);
/** Eigenvalues il..iu (1-based, ascending) of the upper triangle of a (destroyed), one by one with
 * syevr (range true) or all by divide and conquer (vectors left in a). */
typedef struct lode_i_eig_work {
    lode_dtype dtype;
    int64_t n, il, iu;
    void *a, *w, *z;
    bool vectors, range;
} lode_i_eig_work;
lode_status lode_i_lapack_eigh(lode_ctx *ctx, const lode_i_eig_work *e, int *info);
/** The same in three steps, for the last of which columns may be shared out: a, its upper triangle given,
 *  becomes reflectors and d, e, tau its tridiagonal form; d ascends and z holds the vectors of that form; columns
 *  [from, from + count) of z become those of a. d and e are real. */
typedef struct lode_i_tridiagonal {
    lode_dtype dtype;
    int64_t n;
    void *a, *d, *e, *tau, *z;
} lode_i_tridiagonal;
lode_status lode_i_lapack_tridiagonal(lode_ctx *ctx, const lode_i_tridiagonal *t);
lode_status lode_i_lapack_stedc(lode_ctx *ctx, const lode_i_tridiagonal *t, int *info);
lode_status lode_i_lapack_back(lode_ctx *ctx, const lode_i_tridiagonal *t, int64_t from,
                               int64_t count);
/** Eigenvalues and right eigenvectors of a general matrix, column-major a n x n destroyed: f64 (w and wi the
 *  parts of the values, vectors of a pair two columns of v) or c128. */
typedef struct lode_i_general_work {
    lode_dtype dtype;
    int64_t n;
    void *a, *w, *wi, *v;
} lode_i_general_work;
lode_status lode_i_lapack_eig(lode_ctx *ctx, const lode_i_general_work *e, int *info);
/** Minimum-norm least squares, column-major a m x n, b max(m,n) x nrhs. */
typedef struct lode_i_ls_work {
    lode_dtype dtype;
    int64_t m, n, nrhs;
    void *a, *b;
    double rcond;
} lode_i_ls_work;
lode_status lode_i_lapack_gelsy(lode_ctx *ctx, const lode_i_ls_work *l, int64_t *rank, int *info);

/* ---- shared by the files of this layer ---- */

/** X = B R^-1 for an upper triangle R (row-major n x n, kept by the caller) and any number of rows
 * at a time. */
typedef struct lode_i_rows_solver {
    lode_dtype dtype;
    int64_t n, block, blocks;
    const void *r;
    void *inverse;
    int *how;
} lode_i_rows_solver;
lode_status lode_i_rows_prepare(lode_ctx *ctx, lode_dtype t, int64_t n, const void *r,
                                lode_i_rows_solver *solver);
void lode_i_rows_free(lode_i_rows_solver *solver); /* an empty one is legal */
/** m contiguous rows in place; room: m x solver->block values. */
void lode_i_rows_solve(const lode_i_rows_solver *solver, int64_t m, void *rows, void *room);

/** Fails unless the types are one arithmetic type; A is 2-d. */
lode_status lode_i_check_matrix(lode_ctx *ctx, const char *who, const char *name,
                                const lode_array *A);
/** Contiguous copy of op(A). */
lode_status lode_i_copy_op(lode_ctx *ctx, lode_trans t, const lode_array *A, lode_array *out);
/** Joins `count` parts of n values lying `gap` apart into the first, in a fixed pairwise tree. */
void lode_i_join(lode_dtype dtype, void *parts, int64_t count, int64_t gap, int64_t n);
/** c = alpha x + beta c on n values; c is not read when beta is 0, x not when it is NULL. */
void lode_i_blend(lode_dtype dtype, double alpha, const void *x, double beta, void *c, int64_t n);
/** Sums count partial results of `size` values each, lying one after the other, into the first, in
 * a fixed pairwise tree. */
lode_status lode_i_sum_parts(lode_ctx *ctx, lode_dtype dtype, void *parts, int64_t count,
                             int64_t size);
/** G = P P^H (hermitian) or P P^T with both halves, into row-major g of type `dtype` with leading
 * dimension n. */
lode_status lode_i_gram_of(lode_ctx *ctx, const lode_i_operand *P, bool hermitian, lode_dtype dtype,
                           void *g);
/** C (row-major, leading dimension ldc) = alpha A B + beta C, tiled. */
lode_status lode_i_gemm_of(lode_ctx *ctx, double alpha, const lode_i_operand *A,
                           const lode_i_operand *B, double beta, void *c, int64_t ldc);
/** C = A B for calls from within tasks: tiles as large as they may be. */
lode_status lode_i_gemm_whole(lode_ctx *ctx, const lode_i_operand *A, const lode_i_operand *B,
                              void *c, int64_t ldc);
/** Thin QR by a tree of Householder factorizations: always succeeds on finite input. Q may be NULL.
 */
lode_status lode_i_tsqr(lode_ctx *ctx, const lode_array *A, lode_array *Q, lode_array *R);
/** The methods for a reduced matrix, in the order they are tried. */
typedef enum lode_i_svd_route { LODE_I_GESDD, LODE_I_GESVD, LODE_I_JACOBI } lode_i_svd_route;
#ifdef LODE_CORE /* no LAPACK to try first */
#define LODE_I_SVD_FIRST LODE_I_JACOBI
#define LODE_I_EIG_FEW LODE_I_EIG_JACOBI
#define LODE_I_EIG_ALL LODE_I_EIG_JACOBI
#else
#define LODE_I_SVD_FIRST LODE_I_GESDD
#define LODE_I_EIG_FEW LODE_I_SYEVR
#define LODE_I_EIG_ALL LODE_I_SYEVD
#endif
/** All of the SVD of an m x n matrix, m >= n, finite and of moderate size, beginning with `first`.
 * U and V both, or both NULL. */
lode_status lode_i_svd_reduced(lode_ctx *ctx, lode_i_svd_route first, const lode_array *A,
                               lode_array *U, lode_array *s, lode_array *V);
lode_status lode_i_svd_jacobi(lode_ctx *ctx, const lode_array *A, lode_array *U, lode_array *s,
                              lode_array *V);
typedef enum lode_i_eig_route { LODE_I_SYEVR, LODE_I_SYEVD, LODE_I_EIG_JACOBI } lode_i_eig_route;
/** The k leading eigenvalues, beginning with a method. */
lode_status lode_i_eigh_routed(lode_ctx *ctx, lode_i_eig_route first, const lode_array *A,
                               int64_t k, lode_array *w, lode_array *V);
/** lode_i_eig of a matrix of moderate size; plain: without LAPACK. */
lode_status lode_i_eig_routed(lode_ctx *ctx, bool plain, const lode_array *A, lode_array *w,
                              lode_array *V);
/** Whether A = U diag(s) V^H (square or thin, all of it) with orthonormal U, V, by random probes.
 */
lode_status lode_i_check_factors(lode_ctx *ctx, const lode_array *A, const lode_array *U,
                                 const lode_array *s, const lode_array *V, bool *good);
/** LODE_EDOMAIN unless A (called `who`) is finite. When its largest entry is so far from 1 that
 * squares leave the type: copy = A / *factor; else *factor is 1 and copy untouched. */
lode_status lode_i_moderate(lode_ctx *ctx, const char *who, const lode_array *A, lode_array *copy,
                            double *factor);

#endif
