/* Products and factorizations: the only layer that calls BLAS and LAPACK. Same bits for any number
 * of threads: products are cut into tiles and long sums into chunks chosen from shape and type
 * alone, LAPACK sees only reduced matrices on one thread. Inputs may have any strides; outputs are
 * new and contiguous. Types: f32, f64, c64, c128, all operands alike. */
#ifndef LODE_LINALG_H
#define LODE_LINALG_H

#include "array/array.h"

typedef enum lode_trans { LODE_N, LODE_T, LODE_H } lode_trans;

/* ---- products: scratch at most a quarter of the operands, and a packed tile a worker (at most 50
 * MB) where strides do not suit BLAS ---- */

/** C = op(A) op(B), new. */
lode_status lode_i_gemm(lode_ctx *ctx, lode_trans ta, lode_trans tb, const lode_array *A,
                        const lode_array *B, lode_array *C);
/** C = alpha op(A) op(B) + beta C in place; C has unit stride on one axis. */
lode_status lode_i_gemm_into(lode_ctx *ctx, lode_trans ta, lode_trans tb, double alpha,
                             const lode_array *A, const lode_array *B, double beta, lode_array *C);
/** Whether lode_i_skinny takes A (real, unit stride along rows) with k columns on this machine. */
bool lode_i_skinny_fits(const lode_array *A, int64_t k);
/** W = A X (X NULL: W is given) and Z += A^T W (Z NULL: not wanted) for a few columns, without
 *  packing A and with one read of it from memory; on the calling thread. Several times as fast as
 *  two products of so few columns. */
void lode_i_skinny(const lode_array *A, const lode_array *X, lode_array *W, lode_array *Z);
/** G = A^H A (LODE_H, LODE_T for the plain transpose) or A A^H (LODE_N), Hermitian, both halves
 * filled. */
lode_status lode_i_gram(lode_ctx *ctx, lode_trans t, const lode_array *A, lode_array *G);
/** y = op(A) x for vectors. */
lode_status lode_i_gemv(lode_ctx *ctx, lode_trans t, const lode_array *A, const lode_array *x,
                        lode_array *y);
/** Y = op(A) X for sparse CSR A and dense X (k columns), threaded, fixed order. */
lode_status lode_i_spmm(lode_ctx *ctx, lode_trans t, const lode_sparse *A, const lode_array *X,
                        lode_array *Y);
/** Y = alpha A X + beta X + gamma Y in place for a square sparse CSR A, in one pass; Y contiguous, not
 *  read where gamma is 0. */
lode_status lode_i_spmm_into(lode_ctx *ctx, double alpha, const lode_sparse *A, const lode_array *X,
                             double beta, double gamma, lode_array *Y);
/** The transpose (LODE_T) or adjoint (LODE_H) of a CSR matrix as CSR. Products with A as LODE_T are
 * about as fast as with this as LODE_N (they add up to 8 partial results), so it is worth its
 * memory only for many products with few columns. */
lode_status lode_i_csr_transpose(lode_ctx *ctx, lode_trans t, const lode_sparse *A,
                                 lode_sparse *At);
/** Tensor times matrix: Y = X x_mode op(M), op(M) is r x n (M given n x r with LODE_T / LODE_H). */
lode_status lode_i_ttm(lode_ctx *ctx, const lode_array *X, int mode, lode_trans t,
                       const lode_array *M, lode_array *Y);
/** The same into a contiguous tensor of the right shape. */
lode_status lode_i_ttm_into(lode_ctx *ctx, const lode_array *X, int mode, lode_trans t,
                            const lode_array *M, lode_array *Y);
/** The same in place of X, which nothing else may hold: in its own memory where op(M) is square and X
 *  contiguous. Fresh memory costs about as much as a pass over it. */
lode_status lode_i_ttm_over(lode_ctx *ctx, lode_array *X, int mode, lode_trans t,
                            const lode_array *M);
/** Orthonormal cosines (type II) along a mode, for any length n: coefficient j of entries x is
 *  sqrt((2 - [j = 0]) / n) sum_i x_i cos(pi (i + 1/2) j / n); or back. X, f32 or f64, where it has
 *  fewer than n entries along the mode, stands for those and zeros; Y, given, of the same type and
 *  shape but along the mode, takes the leading ones that it has, and may be X. Both are contiguous.
 *  Some log2 n operations a value; an odd factor of n, where it is large, is as many more. */
lode_status lode_i_cosines_into(lode_ctx *ctx, const lode_array *X, int mode, int64_t n,
                                bool forward, lode_array *Y);
/** The same along all modes from `first` on, the first of them first, n[k] entries of mode k: one pass over
 *  memory instead of several. Only where lode_i_slabs_fit says that slabs of these shapes do. */
lode_status lode_i_cosines_slabs(lode_ctx *ctx, const lode_array *X, int first, const int64_t *n,
                                 bool forward, lode_array *Y);
bool lode_i_slabs_fit(int ndim, const int64_t *x, const int64_t *y, int first);
/** Orthonormal wavelets of some vanishing moments, in the same way: coefficients, coarse ones first
 *  (forward), or back. Time linear in X. */
enum { LODE_WAVELETS_LEAST = 2, LODE_WAVELETS_MOST = 4 };
lode_status lode_i_wavelets_into(lode_ctx *ctx, const lode_array *X, int mode, int64_t n,
                                 bool forward, int moments, lode_array *Y);
/** Khatri-Rao product of real matrices of k columns each: rows are the entry-wise products of one row of
 *  each, the first matrix's row slowest. New, contiguous. */
lode_status lode_i_khatri_rao(lode_ctx *ctx, const lode_array *factor, int count, lode_array *out);
/** Y = X B and Z = X^T W, new, of a contiguous X (m x n) that is large and few columns k: with k a multiple of
 *  16 up to 64, where the processor has wide vectors, X is read once and not packed. */
lode_status lode_i_narrow(lode_ctx *ctx, const lode_array *X, const lode_array *B, lode_array *Y);
lode_status lode_i_narrow_adjoint(lode_ctx *ctx, const lode_array *X, const lode_array *W,
                                  lode_array *Z);
/** Bytes that the two take at most, outputs included. */
uint64_t lode_i_narrow_room(lode_dtype dtype, int64_t m, int64_t n, int64_t k);
/** Sum over one axis of a contiguous real T, whose last axis has k places, against the columns of A (n x k):
 *  Y[.., ..., r] = sum_j T[.., j, .., r] A[j, r], new, without that axis. */
lode_status lode_i_fold(lode_ctx *ctx, const lode_array *T, int mode, const lode_array *A,
                        lode_array *Y);
/** Gram matrix of the mode unfolding, n x n: sum over the other axes. f32 input may accumulate in
 * f64 (wide true); then G is f64 / c128. */
lode_status lode_i_mode_gram(lode_ctx *ctx, const lode_array *X, int mode, bool wide,
                             lode_array *G);
/** Z (f64 or c128, given, contiguous): the mode of X hashed to Z->shape[mode] buckets with random
 *  signs, so that the expectation of every other mode's Gram matrix is that of X, contiguous.
 *  sumsq: of |X|^2, not finite where a value is not. */
lode_status lode_i_sign_sums(lode_ctx *ctx, const lode_array *X, int mode, lode_stream s,
                             lode_array *Z, double *sumsq);

/** Dissimilarities of vectors whose inner products G (n x n, Hermitian) has: the sine of the angle
 *  between the lines they span, which scales and signs (phases) of the vectors leave as it is, or the length of
 *  their difference; D new, f64, exactly symmetric, what is rounding alone 0. A vector of length 0 is at
 *  sine 1 from all others. */
typedef enum lode_i_dissimilarity { LODE_I_SINE, LODE_I_EUCLID } lode_i_dissimilarity;
lode_status lode_i_gram_distances(lode_ctx *ctx, const lode_array *G, lode_i_dissimilarity kind,
                                  lode_array *D);
/** The same of one pair: squared lengths, and their inner product. */
double lode_i_dissimilarity_of(lode_i_dissimilarity kind, double gii, double gjj, double re,
                               double im);

/* ---- factorizations (thin) ---- */

/** A = Q R, m >= n: tall-skinny Householder tree over row blocks. R upper, real nonnegative
 * diagonal. */
lode_status lode_i_qr(lode_ctx *ctx, const lode_array *A, lode_array *Q, lode_array *R);
/** Only R. */
lode_status lode_i_qr_r(lode_ctx *ctx, const lode_array *A, lode_array *R);
/** Orthonormal basis of the columns in place; rank-deficient columns are replaced by random ones
 * made orthogonal, *rank (or NULL) says how many were independent. */
lode_status lode_i_orth(lode_ctx *ctx, lode_array *Q, int64_t *rank);
/** ||Q^H Q - I||_F, how far the columns are from orthonormal. */
lode_status lode_i_off_orthonormal(lode_ctx *ctx, const lode_array *Q, double *off);
/** A ~ U diag(s) V^H, the leading k (k = min(m,n) for all) of a full decomposition; QR first when
 * tall or wide; gesdd, then gesvd, then one-sided Jacobi, the residual checked. U, V may be NULL.
 */
lode_status lode_i_svd(lode_ctx *ctx, const lode_array *A, int64_t k, lode_array *U, lode_array *s,
                       lode_array *V);
/** Hermitian A = V diag(w) V^H, w descending; V may be NULL. k leading of them. */
lode_status lode_i_eigh(lode_ctx *ctx, const lode_array *A, int64_t k, lode_array *w,
                        lode_array *V);
/** A V = V diag(w) of a general square A (f64 or c128): w, V c128, columns of V of length 1 with their largest
 *  entry real and positive; values by size, then by angle from 0 up, of a pair the one above the axis
 *  first. A real: pairs are exactly conjugate. V may be ill conditioned where A has no full set of vectors. */
lode_status lode_i_eig(lode_ctx *ctx, const lode_array *A, lode_array *w, lode_array *V);
/** E[i, j] = tau_i^p exp(rate_j tau_i), tau_i = t_i - origin_j: c128, t f64 (m), rate c128 (r), origin f64
 *  (r) or NULL: 0. */
lode_status lode_i_exponentials(lode_ctx *ctx, const lode_array *t, const lode_array *rate,
                                const lode_array *origin, int power, lode_array *E);
/** A + shift I = L L^H; *shift (or NULL) reports what had to be added, 0 when none. */
lode_status lode_i_cholesky(lode_ctx *ctx, const lode_array *A, lode_array *L, double *shift);
/** Of vectors with the Gram matrix G (of moderate size): order, i64, has first the `count` whose squared
 *  distance from the span of those kept before is above least[j] (f64), then the others. */
lode_status lode_i_chol_aside(lode_ctx *ctx, const lode_array *G, const lode_array *least,
                              lode_array *order, int64_t *count);
/** X = L^{-1} B, or L^{-H} B (LODE_H); L lower triangular. */
lode_status lode_i_solve_lower(lode_ctx *ctx, lode_trans t, const lode_array *L,
                               const lode_array *B, lode_array *X);
/** Pivots of QR with column pivoting, the columns being the n rows of W (of moderate size): order, i64,
 *  has all n, the k pivots first, each the longest of what is left beside those before; lengths (k x
 *  2, f64): of each row of R its diagonal entry, and its norm. */
lode_status lode_i_greedy_rows(lode_ctx *ctx, const lode_array *W, int64_t k, lode_array *order,
                               lode_array *lengths);
/** Indices of discrete empirical interpolation (Chaturantabut & Sorensen 2010) of the k columns of V:
 *  each where the part of a column is largest that the ones before do not interpolate; i64, k. */
lode_status lode_i_deim(lode_ctx *ctx, const lode_array *V, lode_array *index);
/** Of X = R11^-1 R12 (k x n), the inverse of R11, and R22 with its columns as rows, all f64 or c128:
 *  which pivot i and column j to exchange for the largest gain of volume, and that gain. */
lode_status lode_i_best_exchange(lode_ctx *ctx, const lode_array *X, const lode_array *inverse,
                                 const lode_array *rest, int64_t *i, int64_t *j, double *rho);
/** The pseudoinverse of A, singular values up to cutoff s_1 left out; rank (or NULL): how many are in
 *  it. */
lode_status lode_i_pinv(lode_ctx *ctx, const lode_array *A, double cutoff, lode_array *P,
                        int64_t *rank);
/** Least squares min ||A x - b|| by QR with column pivoting; rank (or NULL) by eps * max(m,n). */
lode_status lode_i_lstsq(lode_ctx *ctx, const lode_array *A, const lode_array *B, lode_array *X,
                         int64_t *rank);

/** The BLAS in use, in its own words ("OpenBLAS 0.3.21 ... SkylakeX SINGLE_THREADED"); same_bits:
 * whether it runs one thread, so that the promise of section 6 of the design holds with it. */
const char *lode_i_blas_name(bool *same_bits);
/** Expected rate of products, flops a second on ctx's workers, measured once a process (2 ms). */
double lode_i_gemm_rate(lode_ctx *ctx, lode_dtype dtype);

#endif
