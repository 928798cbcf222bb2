/* Relations X_k ~ A R_k A', k = 1 .. m, among the same n things: what an iteration over them needs of the
 * data, in one pass. Same bits for any number of threads. */
#ifndef LODE_RELATIONS_H
#define LODE_RELATIONS_H

#include "linalg/linalg.h"
#include "lode/op.h"

typedef struct lode_i_relations {
    int64_t n, m;
    lode_dtype dtype;   /* f32 or f64; sparse: f64 */
    lode_array X;       /* dense: m x n x n, contiguous; 0 where not known */
    lode_array known;   /* like X, 1 or 0; no data: all are */
    lode_sparse *slice; /* sparse: m CSR matrices; X has no data */
    double sumsq;       /* of the known values */
} lode_i_relations;
void lode_i_relations_free(lode_i_relations *x);
/** Of a COO array of three axes, in f64; axis: that of the relations. */
lode_status lode_i_relations_sparse(lode_ctx *ctx, const lode_sparse *X, int axis,
                                    lode_i_relations *out);
/** Of dense data: known is 1 where the mask (like X; NULL: everywhere) is not 0 and the value is not missing,
 *  and X becomes 0 elsewhere; count: how many are known. X must be its own. */
lode_status lode_i_relations_known(lode_ctx *ctx, lode_i_relations *x, const lode_missing *missing,
                                   const lode_array *mask, int64_t *count);
/** Fills sumsq. */
lode_status lode_i_relations_norm(lode_ctx *ctx, lode_i_relations *x);
/** Every value times 1 + delta u, u uniform in [-1, 1), of the stream; what is not stored again is shared. */
lode_status lode_i_relations_perturb(lode_ctx *ctx, const lode_i_relations *x, lode_stream s,
                                     double delta, lode_i_relations *out);

/** What becomes of the cores R_k: they stay; are multiplied (nonnegative, any number of times); descend
 *  coordinate by coordinate to the nonnegative minimum; or are set to the minimum. */
typedef enum lode_i_core_rule {
    LODE_I_CORES_KEEP,
    LODE_I_CORES_MULTIPLY,
    LODE_I_CORES_DESCEND,
    LODE_I_CORES_SOLVE
} lode_i_core_rule;

typedef struct lode_i_relations_pass {
    /* given */
    lode_i_core_rule rule;
    int steps;   /* of MULTIPLY and DESCEND */
    double l2;   /* penalty l2 |R_k|^2, where the misfit is |X_k - A R_k A'|^2 */
    bool direct; /* `after` from the residual itself, which nothing cancels in; dense alone */
    bool sums;   /* above, below, S are wanted */
    /* found: sums over k of squares, of the cores as they came and as they are left */
    double before, after;           /* |X_k - A R_k A'|^2 */
    double size_before, size_after; /* |R_k|^2 */
    /* of the cores as they are left; n x k in the type of the data, and k x k in f64 */
    lode_array above; /* sum X_k A R_k' + X_k' A R_k */
    lode_array below; /* the same of A R_k A', where known, in place of X_k */
    lode_array S;     /* sum R_k A'A R_k' + R_k' A'A R_k; none where only some values are known */
} lode_i_relations_pass;
void lode_i_relations_pass_free(lode_i_relations_pass *p);
/** One pass: A is n x k in the type of the data, R m x k x k in f64, contiguous, changed by the rule. Each
 *  slice is met twice (three times if direct, five where some values are not known) while it lies in cache:
 *  4 n^2 m k flops, or 4 nnz k. */
lode_status lode_i_relations_sweep(lode_ctx *ctx, const lode_i_relations *x, const lode_array *A,
                                   lode_array *R, lode_i_relations_pass *p);
/** Bytes that a pass takes beside x, A and R, its results included, and those of a perturbed copy. */
uint64_t lode_i_relations_room(const lode_ctx *ctx, lode_dtype dtype, int64_t n, int64_t m,
                               int64_t k, bool dense, bool some);
/** out = A (1 - t + t above / (below + l2 A)) (A / before)^beta, entry by entry; before NULL or beta 0: without. */
typedef struct lode_i_relations_step {
    const lode_array *above, *below, *before;
    double t, beta, l2;
} lode_i_relations_step;
void lode_i_relations_multiply(const lode_i_relations_step *s, const lode_array *A,
                               lode_array *out);
/** Y = A R_k A' (p x n_i x n_j) for rows A_i, A_j of A and cores R (p x k x k, f64), in the type of A: new. */
lode_status lode_i_relations_expand(lode_ctx *ctx, const lode_array *Ai, const lode_array *Aj,
                                    const lode_array *R, lode_array *Y);

#endif
