/* Linear operators and the iterations over them: range finders, block Krylov SVD and
 * eigenvalues. */
#ifndef LODE_LINOP_INTERNAL_H
#define LODE_LINOP_INTERNAL_H

#include "linalg/linalg.h"
#include "lode/linop.h"

/** What stands for A^H A: itself, or the upper triangle R with R^H R = A^H A, which squares
 *  nothing. */
typedef enum lode_i_gram_form { LODE_I_GRAM, LODE_I_TRIANGLE } lode_i_gram_form;

struct lode_i_misfit;
struct lode_linop {
    int64_t rows, cols;
    lode_dtype dtype; /* arithmetic type */
    /** Y = A X or A^H X, Y new. */
    lode_status (*apply)(lode_ctx *ctx, const struct lode_linop *op, bool adjoint,
                         const lode_array *X, lode_array *Y);
    /** Y = alpha A X + beta X + gamma Y for a square A, in place; gamma 0: Y is not read. NULL: no such
     *  way. */
    lode_status (*recur)(lode_ctx *ctx, const struct lode_linop *op, double alpha,
                         const lode_array *X, double beta, double gamma, lode_array *Y);
    /** W = A X (NULL: not wanted) and Z = A^H A X in one pass over A, both new, and ||A||_F when
     *  norm is not NULL; NULL: no such way. */
    lode_status (*normal)(lode_ctx *ctx, const struct lode_linop *op, const lode_array *X,
                          lode_array *W, lode_array *Z, double *norm);
    /** G = B^H B, new, f64 or c128, B = scale A, or its adjoint where A is wide: of order
     *  min(m, n), in one pass over A; NULL: no such way. */
    lode_status (*gram)(lode_ctx *ctx, const struct lode_linop *op, lode_i_gram_form form,
                        double scale, lode_array *G);
    /** ||A||_F, or ||A - L R^H||_F when L is not NULL; NULL: entries are not known. */
    lode_status (*norm)(lode_ctx *ctx, const struct lode_linop *op, const lode_array *L,
                        const lode_array *R, double *norm);
    /** r = A x - y and z = A^H w(r) in one pass over A, both new (linop/misfit.h); NULL: no such way. */
    lode_status (*misfit)(lode_ctx *ctx, const struct lode_linop *op, const lode_array *x,
                          const struct lode_i_misfit *f, lode_array *r, lode_array *z);
    void (*free)(struct lode_linop *op); /* frees what op holds, not op itself */
    const char *kind;      /* "dense", "sparse", "source", "callback", "centred", ... */
    int64_t nonzeros;      /* entries touched by one product with one vector */
    _Atomic int64_t count; /* references */
};
/** Another reference to the same operator. */
lode_linop *lode_i_linop_ref(const lode_linop *op);
/** Under a checkpoint, the operator by which its products are steps of it, in its place; name: what it is
 *  to the call. */
lode_status lode_i_linop_kept(lode_ctx *ctx, const char *name, lode_linop **op);
/** alpha A, without forming it. */
lode_status lode_i_linop_times(lode_ctx *ctx, const lode_linop *A, double alpha, lode_linop **op);
/** W = A X (NULL: not wanted) and Z = A^H A X: one pass over A where the operator can, else two. */
lode_status lode_i_linop_normal(lode_ctx *ctx, const lode_linop *op, const lode_array *X,
                                lode_array *W, lode_array *Z, double *norm);
/** Y = alpha A X + beta X + gamma Y in place, A square; gamma 0: Y is not read. */
lode_status lode_i_linop_recur(lode_ctx *ctx, const lode_linop *op, double alpha,
                               const lode_array *X, double beta, double gamma, lode_array *Y);
/** T_degree((A - centre) / half) of a square A, T the Chebyshev polynomial, without forming it. */
lode_status lode_i_linop_chebyshev(lode_ctx *ctx, const lode_linop *A, int64_t degree,
                                   double centre, double half, lode_linop **op);
/** ||A||_F where the operator can tell cheaply (dense, sparse, source: one pass), else negative.
 *  Scaled: 1e300 and denormals survive. */
lode_status lode_i_linop_norm(lode_ctx *ctx, const lode_linop *op, double *norm);
/** Rows that a source operator reads at once: fixed by shape, type and the memory budget. Its
 *  products take blocks of lode_i_linop_block rows, fixed by shape alone, as those of an array do:
 *  same bits. */
int64_t lode_i_linop_slab(const lode_ctx *ctx, const lode_source *s);
int64_t lode_i_linop_block(int64_t rows, int64_t cols);
/** Bytes that products with k columns take beside A, X and Y, slab buffers included. */
uint64_t lode_i_linop_workspace(const lode_ctx *ctx, lode_value A, int64_t k);
/** One block of A for every thread: what centring takes beside products, and measuring a residual. */
uint64_t lode_i_linop_blocks(const lode_ctx *ctx, lode_value A);
/** The same as lode_i_linop_workspace of op->gram, for an array or a source. */
uint64_t lode_i_linop_gram_workspace(const lode_ctx *ctx, lode_value A);
/** A^H without forming it: products alone. */
lode_status lode_i_linop_adjoint(lode_ctx *ctx, const lode_linop *A, lode_linop **op);

typedef struct lode_svds_opts {
    int64_t rank;      /* triplets wanted; with tail: at most */
    int64_t block;     /* 0: chosen */
    int64_t max_basis; /* columns of the Krylov basis before a restart; 0: chosen */
    int64_t max_iter;  /* block steps at most; 0: 1000 */
    /* relative error of each singular value, estimated from residuals; 0: 1e-6, single 5e-5 */
    double tol;
    double tail; /* Frobenius norm of what may be left out: the smallest rank that does; 0: off */
    double tail_rel; /* the same, relative to ||A||_F; 0: off */
    /* orthogonalize both sides: small singular values keep their digits, two passes a step */
    bool two_sided;
    int64_t first_basis; /* columns of memory to begin with; 0: chosen */
    /* for the workspace alone: A^H A X is had without A X, as of arrays and sources; A is less its
     * column means */
    bool fused, centred;
    /* not on to both sides where one side's rounding drowns what is wanted: info->drowned, and
     * outputs untouched */
    bool one_sided;
    /* from the Gram matrix of the shorter side instead: two passes over A, or three where what is
     * wanted drowns in its rounding; where A has op->gram */
    bool gram;
    const char *op; /* for the random stream */
} lode_svds_opts;
typedef struct lode_svds_info {
    int64_t products;  /* columns multiplied by A or A^H */
    int64_t steps;     /* block steps */
    int64_t converged; /* triplets that meet tol */
    double residual;   /* largest ||A^H u - s v||, over s_1 */
    double norm_fro;   /* ||A||_F; negative: not known */
    bool two_sided;    /* both sides were orthogonalized */
    bool drowned;      /* one_sided: what is wanted lies below the rounding of one side */
} lode_svds_info;
/** Leading triplets by block Krylov with thick restart and full reorthogonalization: of A^H A (Q
 *  alone is orthogonalized; one pass a step), or Golub-Kahan on both sides where two_sided, or
 *  where the wanted values reach below sqrt(eps) s_1. LODE_NOCONV keeps the best. Signs
 *  canonical. */
lode_status lode_i_svds(lode_ctx *ctx, const lode_linop *A, const lode_svds_opts *o, lode_array *U,
                        lode_array *s, lode_array *V, lode_svds_info *info);
/** Whether A is so wide that lode_i_svds works on A^H, whose basis is the shorter. */
bool lode_i_svds_turned(int64_t rows, int64_t cols);
/** Whether the Gram matrix is the way for what o asks of an array or a source: its shorter side is
 *  at most 512 and the other much longer. */
bool lode_i_svds_narrow(const lode_svds_opts *o, int64_t rows, int64_t cols, lode_dtype dtype);
/** The block and the basis that lode_i_svds will use. */
void lode_i_svds_sizes(lode_svds_opts *o, int64_t rows, int64_t cols, bool cheap_products);
/** Bytes that lode_i_svds and lode_i_svds_error take beside A and the results: on one side, unless
 *  o->two_sided. Sizes must have been chosen. */
uint64_t lode_i_svds_memory(const lode_ctx *ctx, const lode_svds_opts *o, lode_value A);
/** Bytes of a source that is better held in memory for what o asks, as the iteration reads all of it
 *  in every step: where it fits beside what else is planned. 0: not so. The bits are the same. */
uint64_t lode_i_svds_held(const lode_ctx *ctx, const lode_svds_opts *o, lode_value A,
                          uint64_t planned);
/** ||A - U diag(s) V^H||_F where A V = U diag(s) and V is orthonormal, so that its square is
 *  ||A||^2 - ||s||^2 (norm: ||A||_F); where this difference cancels, measured on the entries. */
lode_status lode_i_svds_error(lode_ctx *ctx, const lode_linop *A, double norm, const lode_array *U,
                              const lode_array *s, const lode_array *V, double *error);
/** The same measured on the entries in any case: one pass. A->norm must be there. */
lode_status lode_i_svds_measure(lode_ctx *ctx, const lode_linop *A, const lode_array *U,
                                const lode_array *s, const lode_array *V, double *error);
/** Orthonormal block against a basis: Z = B C + Q R, Q'Q = I, B'Q = 0; directions that Z lacks are
 *  random. Z is used up and becomes Q. C (K x b) and R (b x b) are new; B may have no columns.
 *  newest: columns at B's end in which most of Z's share of B lies; 0: not known. */
lode_status lode_i_orth_block(lode_ctx *ctx, const lode_array *B, int64_t newest, lode_array *Z,
                              lode_stream s, lode_array *C, lode_array *R);
/** Block randomized range finder: Q with orthonormal columns, l of them, after q passes of subspace
 *  iteration. */
lode_status lode_i_range(lode_ctx *ctx, const lode_linop *A, int64_t l, int64_t q, lode_stream s,
                         lode_array *Q);
/** Certificate of A ~ U diag(s) V^H (U or V may be given alone as a projector): spectral norm of
 *  the residual by fresh Gaussian probes, ||E|| <= 2 sqrt(2/pi) max_i ||E w_i|| but with
 *  probability 2^-probes (Halko, Martinsson, Tropp 2011, Lemma 4.1 with alpha = 2). Relative to s_1
 *  when s is given. */
lode_status lode_i_certify(lode_ctx *ctx, const lode_linop *A, const lode_array *U,
                           const lode_array *s, const lode_array *V, int probes,
                           lode_certificate *cert);

#endif
