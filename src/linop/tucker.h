/* What the Tucker files of linop share: a tensor read by slabs, mode by mode bases, the choice of
 * ranks. Of ops, compress uses the bases. */
#ifndef LODE_LINOP_TUCKER_H
#define LODE_LINOP_TUCKER_H

#include "linop/sthosvd.h"

/* ---- a tensor by slabs: the cut follows from shape and type alone, in memory or from a source
 * ---- */

typedef struct lode_i_slabs {
    const lode_array *array;   /* borrowed; NULL: the source is read */
    const lode_source *source; /* borrowed */
    lode_array loaded;         /* of a source that can be read only once */
    lode_dtype work;           /* f64 or c128 once opened: what slabs come as */
    double scale;              /* a power of two that each value is multiplied by */
    int ndim, axis;            /* cut along `axis`, `rows` at a time */
    int64_t shape[LODE_MAX_NDIM], rows, count, size;
    const char *name;
    /* in whose indices a value that is not finite is named; 0: in its own. The same C order. */
    int named;
    const int64_t *names;
    /* Bases already found that are not in the values yet: each slab is multiplied by them, in this
     * order. */
    int pending;
    int mode[LODE_MAX_NDIM];
    const lode_array *U[LODE_MAX_NDIM];
    double passes; /* over the values */
    bool kept;     /* passes are steps of the checkpoint, where there is one */
} lode_i_slabs;

/** What the first look at the values finds. */
typedef struct lode_i_seen {
    bool extremes; /* wanted: min and max */
    double min, max;
    double sumsq, largest; /* of |x|^2; the largest norm of a slab */
    int64_t slabs;
} lode_i_seen;

/** Axis and rows of the cut: a thirty-second of the tensor, between 256 KiB and 4 MiB where rows
 *  allow it, up to 16 MiB where a mode is long. */
void lode_i_slab_cut(lode_dtype work, int ndim, const int64_t *shape, int *axis, int64_t *rows);
/** Borrows X. name: in messages. */
lode_status lode_i_slabs_open(lode_ctx *ctx, lode_value X, const char *name, lode_i_slabs *s);
/** The same cut over a stored tensor whose slab axis is whole; borrowed. */
void lode_i_slabs_over(const lode_i_slabs *cut, const lode_array *stored, lode_i_slabs *s);
void lode_i_slabs_close(lode_i_slabs *s);
/** Shape with the pending bases multiplied in. */
void lode_i_slabs_shape(const lode_i_slabs *s, int64_t *shape);
/** Slab i, contiguous, pending bases multiplied in. seen, or NULL: takes in what was read, and NaN
 *  or infinity is
 *  LODE_EDOMAIN naming the index. */
lode_status lode_i_slab(lode_ctx *ctx, lode_i_slabs *s, int64_t i, lode_i_seen *seen,
                        lode_array *slab);

/** Slab i as it lies, in type `dtype`, scaled. */
lode_status lode_i_slab_fetch(lode_ctx *ctx, lode_i_slabs *s, int64_t i, lode_dtype dtype,
                              lode_array *slab);
/** Takes slab i into `seen`. sumsq: of |x|^2, where that is known and within range, else 0. */
lode_status lode_i_slab_look(lode_ctx *ctx, const lode_i_slabs *s, int64_t i,
                             const lode_array *slab, double sumsq, lode_i_seen *seen);
void lode_i_seen_join(lode_i_seen *seen, const lode_i_seen *more);
/** How many slabs to work on at once, `each` bytes apiece: several for each thread where the tensor
 *  is in memory and there is room, else 1. Results do not depend on it. */
int64_t lode_i_slabs_together(lode_ctx *ctx, const lode_i_slabs *s, double each);

/** A pass as a step of the checkpoint: what it does, with which numbers, on which bases (NULL: none). */
enum { LODE_I_PASS_NUMBERS = 6 };
typedef struct lode_i_pass_name {
    const char *what;
    int64_t number[LODE_I_PASS_NUMBERS];
    const lode_array *const *U;
    double *at; /* how far a pass has come that is kept in the middle; NULL: whole */
} lode_i_pass_name;
lode_status lode_i_pass_restore(lode_ctx *ctx, lode_i_slabs *s, const lode_i_pass_name *name,
                                lode_i_seen *seen, lode_array *const *out, int n, bool *found);
/** Goes on in the middle of a pass that was kept there. */
lode_status lode_i_pass_resume(lode_ctx *ctx, lode_i_slabs *s, const lode_i_pass_name *part,
                               lode_i_seen *seen, lode_array *const *sum);
lode_status lode_i_pass_keep(lode_ctx *ctx, const lode_i_slabs *s, const lode_i_pass_name *name,
                             const lode_i_seen *seen, lode_array *const *out, int n);

/** sum += x, or sum = x where it is empty; x is used up. */
lode_status lode_i_slabs_add(lode_ctx *ctx, lode_array *x, lode_array *sum);

/* One pass each; `seen` as above. */
lode_status lode_i_slabs_look(lode_ctx *ctx, lode_i_slabs *s, lode_i_seen *seen);
/** Gram matrix of the unfolding of a mode: summed over slabs in double precision. */
lode_status lode_i_slabs_gram(lode_ctx *ctx, lode_i_slabs *s, int mode, lode_i_seen *seen,
                              lode_array *G);
/** Triangle R of the QR of the transposed unfolding: X_(mode)^T = Q R. */
lode_status lode_i_slabs_qr(lode_ctx *ctx, lode_i_slabs *s, int mode, lode_i_seen *seen,
                            lode_array *R);
/** Gram matrix of the mode after `along` (not the slab axis) was hashed to `buckets` with random
 *  signs: its expectation is the Gram matrix of X. Z, or NULL: X with `mode` itself hashed so, from
 *  which the Gram matrices of all other modes follow; then `mode` is not the slab axis either. */
lode_status lode_i_slabs_sketch(lode_ctx *ctx, lode_i_slabs *s, int mode, int along,
                                int64_t buckets, lode_stream stream, lode_i_seen *seen,
                                lode_array *Z, lode_array *G);
/** The same of one slab in `every`. */
lode_status lode_i_slabs_sample(lode_ctx *ctx, lode_i_slabs *s, int mode, int along,
                                int64_t buckets, int64_t every, lode_stream stream, lode_array *G);
/** Y = X_(mode) X_(mode)^H V: a step of subspace iteration. */
lode_status lode_i_slabs_power(lode_ctx *ctx, lode_i_slabs *s, int mode, const lode_array *V,
                               lode_i_seen *seen, lode_array *Y);
/** X x_k U[k]^H over the modes with U[k] not NULL. out: an array that nothing else holds is written
 *  to where it is large enough, which spares the system a fresh one. */
lode_status lode_i_slabs_project(lode_ctx *ctx, lode_i_slabs *s, const lode_array *const *U,
                                 lode_i_seen *seen, lode_array *out);

/** What may be lost, once the values have been seen. */
typedef struct lode_i_budget {
    double error; /* asked, in units of `unit`; 0: not */
    lode_rank_unit unit;
    bool counted;     /* ranks or a number of values were asked for: no error decides */
    lode_i_seen look; /* of the first pass */
    bool seen, again; /* it has been made; it must be made once more, scaled */
    /* ||X||^2 and the square of the error asked, of scaled values; allowed < 0: none */
    double norm2, allowed;
    double target; /* absolute error asked; NaN: none */
} lode_i_budget;
lode_i_budget lode_i_budget_of(double error, lode_rank_unit unit, bool counted);
/** From the look at the values of s: norm, scale, budget; or `again`. */
void lode_i_budget_settle(lode_i_budget *b, lode_i_slabs *s);
/** A pass of its own for that, where what follows depends on the norm or the range. */
lode_status lode_i_budget_look(lode_ctx *ctx, lode_i_budget *b, lode_i_slabs *s);
/** Relative error wanted, as far as it is known before the values are. */
double lode_i_budget_relative(const lode_i_budget *b);
/** Where rounding to the result's type took the error above the target: so much less for the next
 *  attempt. False where that would be more than half of the budget. */
bool lode_i_budget_tighten(lode_i_budget *b, double error, double scale);

/** The unfolding's transpose, others x n; a view where strides allow. */
lode_status lode_i_unfold(lode_ctx *ctx, const lode_array *T, int mode, lode_array *A);
/** The modes in the order in which products with n_k x r_k matrices cost least: from n to r, or
 *  back. */
void lode_i_tucker_order(int ndim, const int64_t *n, const int64_t *r, bool expand, int *order);

/* ---- bases ---- */

/** Leading left singular vectors of an unfolding and their energies (squared singular values). */
typedef struct lode_i_basis {
    lode_array U;   /* n x count, orthonormal columns */
    double *energy; /* count, descending, >= 0 */
    int64_t count;
    double rest; /* energy not in `energy` */
} lode_i_basis;
void lode_i_basis_free(lode_i_basis *b);
/** Sum of energy[r..] and rest. */
double lode_i_basis_tail(const lode_i_basis *b, int64_t r);
/** Smallest r >= 1 whose tail is at most `allowed`; count + 1 when there is none. */
int64_t lode_i_basis_rank(const lode_i_basis *b, double allowed);
/** Of a Gram matrix: all pairs; or, columns given, so many of the leading ones by subspace
 *  iteration. */
lode_status lode_i_basis_gram(lode_ctx *ctx, const lode_array *G, lode_i_basis *b);
lode_status lode_i_basis_leading(lode_ctx *ctx, const lode_array *G, int64_t columns, lode_stream s,
                                 lode_i_basis *b);
/** From R of lode_i_slabs_qr. */
lode_status lode_i_basis_qr(lode_ctx *ctx, const lode_array *R, lode_i_basis *b);
/** By SVD of the unfolding of T in memory: for a mode longer than all others together. */
lode_status lode_i_basis_svd(lode_ctx *ctx, const lode_array *T, int mode, lode_i_basis *b);
/** By block subspace iteration over slabs, for a mode too long for a Gram matrix: `columns` of
 *  them; start: columns to begin with, or NULL. total: energy of all. */
lode_status lode_i_basis_power(lode_ctx *ctx, lode_i_slabs *s, int mode, int64_t columns,
                               const lode_array *start, double total, lode_stream stream,
                               lode_i_basis *b);
/** U[:, 0:count], contiguous; columns that the basis lacks are made up, orthonormal. */
lode_status lode_i_basis_columns(lode_ctx *ctx, const lode_i_basis *b, int64_t count,
                                 lode_array *U);

/* ---- the choice of ranks ---- */

/** What a choice may use: the energies of the generous core in an order of falling slice energy. */
typedef struct lode_i_choice {
    const lode_array *core;
    const int64_t *const *order; /* order[k][i]: index of the slice with the i-th largest energy */
    double *const *energy;       /* in that order */
    double lost;                 /* energy outside the generous core */
    double allowed;              /* energy that may be outside the chosen one */
    const int64_t *shape;        /* of X: counts parameters */
    const int64_t *cap;          /* ranks at most */
} lode_i_choice;
/** Ranks of the leading sub-core with the fewest entries that leaves at most `allowed`; among those
 *  within
 *  5% of it, the one with the fewest parameters. met false: even `cap` leaves more, and is the
 *  answer. */
lode_status lode_i_choose_ranks(lode_ctx *ctx, const lode_i_choice *c, int64_t *rank, bool *met);

/** A core of fewer entries than `rank` gives, by truncating the generous core one mode after the
 *  other, if one is found that leaves out at most `allowed` of its energy: core and U are replaced.
 *  work: multiplications at most, about. */
lode_status lode_i_tucker_trim(lode_ctx *ctx, double allowed, const int64_t *cap,
                               const int64_t *rank, double work, lode_array *core, lode_array *U,
                               bool *trimmed);

/** order: indices sorted by falling energy, ties by their order so far. room: n more. */
void lode_i_tucker_sort(const double *energy, int64_t n, int64_t *order, int64_t *room);
/** Leaves count[k] slices index[k][..] of the core and columns of U, in canonical order and signs,
 *  the core converted to `dtype`; index is put into that order. held, or NULL: the energy left. */
lode_status lode_i_tucker_select(lode_ctx *ctx, lode_array *core, lode_array *U,
                                 int64_t *const *index, const int64_t *count, lode_dtype dtype,
                                 double *held);

#endif
