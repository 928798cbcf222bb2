/* Private to the tensor train files of linop. */
#ifndef LODE_LINOP_TT_RUN_H
#define LODE_LINOP_TT_RUN_H

#include "linop/tt.h"
#include "linop/tucker.h"

/** A core as the matrix r x (n r'), or (r n) x r'; a view. */
lode_status lode_i_tt_rows(lode_ctx *ctx, const lode_array *core, lode_array *M);
lode_status lode_i_tt_cols(lode_ctx *ctx, const lode_array *core, lode_array *M);
/** M as the core r x n x r', contiguous; M is used up. */
lode_status lode_i_tt_core(lode_ctx *ctx, lode_array *M, int64_t r, int64_t n, int64_t next,
                           lode_array *core);
/** A^T, contiguous and new. */
lode_status lode_i_tt_turned(lode_ctx *ctx, const lode_array *A, lode_array *out);
/** core = core M (M on its last axis), or M core (on its first). */
lode_status lode_i_tt_times(lode_ctx *ctx, lode_array *core, const lode_array *M);
lode_status lode_i_tt_before(lode_ctx *ctx, const lode_array *M, lode_array *core);
/** The train of the tensor with its modes in the other order, in place. */
lode_status lode_i_tt_mirror(lode_ctx *ctx, int d, lode_array *core);
void lode_i_tt_free(int d, lode_array *core);
void lode_i_tt_swap(int d, lode_array *a, lode_array *b);
/** References, or copies in another type. */
lode_status lode_i_tt_as(lode_ctx *ctx, int d, const lode_array *core, lode_dtype dtype,
                         lode_array *out);
/** LODE_ESHAPE unless these are cores of one train; shape as far as it is given. */
lode_status lode_i_tt_check(lode_ctx *ctx, int d, const lode_array *core, const int64_t *shape,
                            const char *name);

/** Splits M, r x (n[0] .. n[count-1] next), into cores: the rows of all but the first orthonormal,
 *  those of the first if M's are. M is used up. */
lode_status lode_i_tt_split(lode_ctx *ctx, lode_array *M, int count, const int64_t *n, int64_t next,
                            lode_array *core);
/** From centre 0 to centre d - 1, in place: columns are left singular vectors. Of each bond what is
 *  left of its tail at `noise` is dropped and added to lost. tail (new, one a bond) and most as in
 *  lode_i_bonds, or NULL; values: singular values, f64, or NULL. */
lode_status lode_i_tt_reveal(lode_ctx *ctx, int d, lode_array *core, double noise, double **tail,
                             int64_t *most, lode_array *values, double *lost);
/** The train of at most these ranks that truncated singular value decompositions give, from the last
 *  bond on, of one with centre d - 1; centre 0, canonical signs. lost: energy. tail (room for each
 *  bond's rank in `core`, and one more) and most: of what was cut; or NULL. */
lode_status lode_i_tt_cut(lode_ctx *ctx, int d, const lode_array *core, const int64_t *rank,
                          lode_array *out, double **tail, int64_t *most, double *lost);

/* ---- a tensor as a matrix by slabs ---- */

/** X as rows x cols: its first modes by the last `group` ones; or, mirrored, its first `group` modes
 *  by the others. The short side is never cut. */
typedef struct lode_i_ttmatrix {
    lode_i_slabs s; /* of 2 axes */
    lode_source whole, flat;
    lode_array view;
    bool owned, mirrored;
    int ndim, group;
    int64_t shape[LODE_MAX_NDIM];
} lode_i_ttmatrix;
lode_status lode_i_ttmatrix_open(lode_ctx *ctx, lode_value X, int group, bool mirrored,
                                 const char *name, lode_i_ttmatrix *m);
void lode_i_ttmatrix_close(lode_i_ttmatrix *m);
/** Cuts a stored matrix into slabs along the axis that is not `mode`. */
void lode_i_ttmatrix_cut(lode_i_slabs *s, int mode);
/** How many modes, of the last ones or, mirrored, of the first, the first bond joins. */
int lode_i_tt_group(int ndim, const int64_t *shape, bool *mirrored);

/* ---- ranks ---- */

/** What ranks are chosen from. */
typedef struct lode_i_bonds {
    int d;
    const int64_t *n;    /* d of them */
    const int64_t *most; /* ranks that are there: of bond k + 1 */
    double *const *tail; /* tail[k][r]: energy that bond k + 1 leaves beyond r, r = 0 .. most */
} lode_i_bonds;
double lode_i_tt_values(int d, const int64_t *n, const int64_t *rank);
/** Ranks of about the fewest values whose tails add up to at most `allowed`, none above cap; false
 *  where cap leaves more, and is the answer. */
lode_status lode_i_tt_plan(lode_ctx *ctx, const lode_i_bonds *b, const int64_t *cap, double allowed,
                           int64_t *rank, bool *met);
/** Ranks of about the least sum of tails within so many values, at least 1 each. */
lode_status lode_i_tt_within(lode_ctx *ctx, const lode_i_bonds *b, const int64_t *cap,
                             double values, int64_t *rank);
/** Lowers ranks as long as the tails add up to at most `allowed`, what saves most for its tail first. */
void lode_i_tt_lower(const lode_i_bonds *b, double allowed, int64_t *rank);

/** What a train is to be cut to. */
typedef struct lode_i_ttgoal {
    double allowed;            /* energy that may be lost; below 0: not asked */
    double norm2;              /* of the whole, for what is rounding */
    const int64_t *rank, *cap; /* of bond k + 1; rank NULL: not asked */
    double values;             /* at most; 0: not asked */
    bool quick;
} lode_i_ttgoal;
/** Cuts a train with centre 0, or any where `loose`, to the goal; it keeps its centre there, signs
 *  canonical. lost: energy; met: within the goal's; capped: a cap bound it. */
lode_status lode_i_tt_fit(lode_ctx *ctx, int d, lode_array *core, bool loose,
                          const lode_i_ttgoal *g, double *lost, bool *met);

#endif
