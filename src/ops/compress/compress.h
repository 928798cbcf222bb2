/* Parts of compress: blocks, their working shapes, bases, coding one block and getting it back. */
#ifndef LODE_OPS_COMPRESS_H
#define LODE_OPS_COMPRESS_H

#include "code/code.h"
#include "linop/sthosvd.h"
#include "lode/compress.h"
#include "op/op.h"

#define DEFAULT_ERROR 1e-3
/* What a .lode file adds to its records: its header. A budget in bytes is of the file. */
enum { HEADER = 1400, MEMBER = 296, ADDED = 320 };

/* ---- blocks: rectangles of the array that are coded alone ---- */

/* An array that parts were added to is a row of segments along one axis, each with a grid of its
 * own. */
typedef struct grid {
    int ndim;
    /* side and parts: where it is one segment */
    int64_t shape[LODE_MAX_NDIM], side[LODE_MAX_NDIM], parts[LODE_MAX_NDIM];
    int64_t blocks; /* at least 1 */
    lode_dtype dtype;
    int64_t limit;
    int axis;
    /* a row each: axis, end along it, blocks up to there; empty: one. Borrowed of the model. */
    lode_array segments;
} grid;
/* A limit: as compress chooses. Small arrays, which are one block, and those of before it have 0. */
enum { COMPRESS_THICK = 1 };
/** Blocks of at most `limit` values (0: as many as there are, by slabs of large arrays;
 *  COMPRESS_THICK: the same, no thin slabs), a function of shape and type alone; below 0: of at most
 *  -limit values, with even sides. */
void compress_grid(lode_dtype dtype, int ndim, const int64_t *shape, int64_t limit, grid *g);
/** What options ask of it; with access chunk their block must be given: compress_settle. */
int64_t compress_asked(const lode_compress_opts *o);
lode_compress_opts compress_settle(const lode_compress_opts *o, lode_dtype dtype, int ndim,
                                   const int64_t *shape);
/** Adjacent blocks, about in the middle, on which the cost of small blocks is measured. */
typedef struct region {
    int64_t start[LODE_MAX_NDIM], stop[LODE_MAX_NDIM], blocks, values;
    double bytes, sumsq; /* of the records, and of the error */
} region;
region compress_region(const grid *g);
bool compress_within(const grid *g, const region *r, const int64_t *start);
/** Where block b begins and how long it is; the only way to know where blocks lie. */
void compress_block(const grid *g, int64_t b, int64_t *start, int64_t *count);
/** Longest side of any block along each axis. */
void compress_sides(const grid *g, int64_t *side);
/** Takes the table of segments, which must outlive the grid, and checks it against shape and
 *  type. */
lode_status compress_segments(lode_ctx *ctx, const lode_array *table, grid *g);

/* ---- frames: the shape a block is transformed in ---- */

enum { FOLDS_LONG = 1, LONGEST_TILE = 1024 };

/** Axes of length 1 left out, long ones folded in two and more (after repeating their last entry,
 *  where the length has no fitting divisor), or all that are longer in tiles of one length; complex
 *  values as a last axis of 2. */
typedef struct frame {
    lode_dtype stored, work;      /* type of the block; f32 or f64 */
    int ndim, plain;              /* of the block as it is; with the axis of complex pairs */
    int64_t shape[LODE_MAX_NDIM]; /* of the block as it is, and that axis */
    int64_t whole[LODE_MAX_NDIM]; /* the same, lengthened */
    int modes;
    int64_t mode[LODE_MAX_NDIM]; /* of what is transformed */
    int axis[LODE_MAX_NDIM];     /* of the block, that a mode comes from */
    bool place[LODE_MAX_NDIM];   /* a mode that counts tiles, which nothing transforms */
    int64_t folds;               /* FOLDS_LONG, or the length of tiles; 0: no axis folds */
    int64_t size;                /* values of the block, pairs counted twice */
} frame;
lode_status compress_frame(lode_ctx *ctx, lode_dtype stored, lode_dtype work, int ndim,
                           const int64_t *shape, int64_t folds, frame *f);
/** The block in its working type and plain shape (pairs as an axis), contiguous; own: its memory is
 *  new, else it may be the block's. */
lode_status compress_plain(lode_ctx *ctx, const frame *f, const lode_array *block, bool own,
                           lode_array *x);
/** Plain to modes, and back. */
lode_status compress_fold(lode_ctx *ctx, const frame *f, const lode_array *x, lode_array *w);
lode_status compress_unfold(lode_ctx *ctx, const frame *f, const lode_array *w, lode_array *x);
/** Plain to what is stored: rounded to the type, pairs joined. */
lode_status compress_store(lode_ctx *ctx, const frame *f, const lode_array *x, lode_array *block);

/* ---- bases ---- */

/* Longest mode that takes cosines or wavelets: matrices of them are square. */
enum { BASIS_LONGEST = 4096 };

/* Wavelets of so many vanishing moments. */
typedef enum basis_kind {
    BASIS_NONE,
    BASIS_DCT,
    BASIS_LEARNED,
    BASIS_WAVELETS2,
    BASIS_WAVELETS3,
    BASIS_WAVELETS4,
    BASIS_KINDS
} basis_kind;
typedef struct basis {
    basis_kind kind;
    int64_t length, columns; /* of the mode; in use */
    lode_array matrix;       /* n x columns, orthonormal; empty where a transform stands for it */
    lode_array coded;        /* LEARNED: the record of it */
} basis;
void basis_free(basis *b);
/** Vanishing moments; 0: these are no wavelets. */
int basis_moments(basis_kind kind);
/** LODE_EFORMAT where a mode of n entries may not have this kind. */
lode_status basis_admits(lode_ctx *ctx, basis_kind kind, int64_t n);
/** A kind that is not learned; a matrix only where few columns make it the faster way. */
lode_status basis_given(lode_ctx *ctx, basis_kind kind, lode_dtype dtype, int64_t n,
                        int64_t columns, basis *b);
/** Rows start, start + step, .. of cosines or wavelets. */
lode_status basis_rows(lode_ctx *ctx, const basis *b, lode_dtype dtype, int64_t start,
                       int64_t count, int64_t step, lode_array *matrix);
/** Codes the leading columns of U, each as fine as its energy over the step asks, and gives the
 *  basis that comes back from the code. energy: norms of the core's slices. */
lode_status basis_learned(lode_ctx *ctx, const lode_array *U, const double *energy, int64_t columns,
                          double step, basis *b);
/** Adds the bytes that this would take, about; and the error it would bring in, about, for all
 *  columns of U. */
lode_status basis_price(lode_ctx *ctx, const lode_array *U, const double *energy, int64_t columns,
                        double step, double *bytes);
lode_status basis_noise(lode_ctx *ctx, const lode_array *U, const double *energy, double step,
                        double *sumsq);
lode_status basis_read(lode_ctx *ctx, const lode_array *coded, lode_dtype dtype, int64_t n,
                       int64_t columns, lode_array *matrix);
/** Y = X x_k B_k^T for all modes (forward), or X x_k B_k. Y may be X, which nothing else may hold
 *  then. */
lode_status basis_multiply(lode_ctx *ctx, const basis *b, bool forward, const lode_array *X,
                           lode_array *Y);

/* ---- one block ---- */

/** What a block is to be coded to: a squared error (over the observed entries), a pointwise bound,
 *  a size in bytes, or ranks that learned bases may have; in that order of force. Unset: infinite,
 *  0, 0, 0. */
typedef struct goal {
    double sumsq, bound;
    int64_t bytes, params;
    lode_rank_spec rank;
} goal;

enum {
    RECORD_VERSION = 1,
    RECORD_EXACT = 0,
    RECORD_TRANSFORM = 1,
    RECORD_PREDICT = 2,
    RECORD_TRAIN = 3
};
/* Place of the limit among the numbers of a record. */
enum { RECORD_LIMIT = 1 };
/* What is missing in a record: also infinities, with their signs. */
enum { RECORD_INFINITE = 3 };

/* Efforts up to the first take cosines alone; from there on modes are turned one by one; up to the
 * third the fast coder; from the last on, every try that may pay. */
enum { EFFORT_COSINES = 1, EFFORT_TURNS = 4, EFFORT_FAST = 5, EFFORT_ALL = 9 };

/* Dead zone of coefficients: reconstruction at centroids shifts the best one only a little with the
 * density of nonzeros. */
#define COEFFICIENT_ZONE 0.6
/* From so many values on, cores are made again rather than kept, and learned bases looked at only
 * where sketches promise something of them. */
enum { LARGE = 1 << 21 };
/* Exact codes are tried wherever there are fewer bytes. */
enum { EXACT_BYTES = 1 << 18 };

/** A block on its way. */
typedef struct block_task {
    const lode_compress_opts *o;
    goal goal;
    frame f;
    lode_array x;            /* plain, NaN where missing */
    lode_array missing;      /* set; empty: none */
    lode_array above, below; /* those of them that are infinities; empty: none are */
    lode_stats stats;        /* of the observed entries */
    bool unrelated;          /* neighbours along some mode have nothing in common, as bases said */
} block_task;
void block_free(block_task *t);
/** Compares t->x with y; a largest error that rounds to the bound and is more counts as more. */
lode_status compress_differ(lode_ctx *ctx, const block_task *t, const lode_array *y,
                            lode_diff *diff);
/** Decodes and compares with t->x. */
lode_status compress_measure(lode_ctx *ctx, const block_task *t, const lode_array *coded,
                             const lode_array *block, lode_diff *diff);
/** The bound that values must keep before they are stored. Whole numbers are rounded on the way back:
 *  anything under a half more comes to the same. */
double compress_bound(const block_task *t);
/** Codes a block as a transform; *met: the goal is. */
lode_status compress_transform(lode_ctx *ctx, block_task *t, const lode_array *block,
                               lode_array *coded, lode_diff *diff, bool *met);
/** Codes a block as one record; diff compares t->x with what comes back from the record. */
lode_status compress_encode(lode_ctx *ctx, block_task *t, const lode_array *block,
                            lode_array *coded, lode_diff *diff);

/** What every record begins with. */
lode_status compress_head(lode_ctx *ctx, const block_task *t, int64_t kind, lode_record *r);

/** By local prediction; *met: the goal is met, in fewer bytes than the rival (or NULL) takes, with
 *  less error where bytes are the goal. Gives up early where a sample says that it will not be. */
typedef struct predict_rival {
    double bytes, sumsq;
} predict_rival;
lode_status compress_predict(lode_ctx *ctx, const block_task *t, const lode_array *block,
                             const predict_rival *rival, lode_array *coded, lode_diff *diff,
                             bool *met);

/** Where box b of `boxes` begins, spread over the array. */
void compress_spread(int ndim, const int64_t *shape, const int64_t *count, int b, int boxes,
                     int64_t *start);
/** Bytes that tasks (at most 8, of a type and rank, as large as samples) take together by
 *  prediction, about, at the first one's bound or all their squared errors; by rules p, whose step is
 *  a start, or by rules chosen, which may stop early where that is over `most`. */
lode_status compress_predict_price(lode_ctx *ctx, const block_task *tasks, int count, double most,
                                   lode_predictor *p, bool choosing, double *bytes);
/** As a tensor train, for a squared error; rival, or NULL: tried where a look says that fewer bytes may
 *  do, and *met only then. */
lode_status compress_train(lode_ctx *ctx, const block_task *t, const lode_array *block,
                           const predict_rival *rival, lode_array *coded, lode_diff *diff,
                           bool *met);
/** x, or NULL: the block in its modes; its step, and the bytes of its cores and their scales. */
lode_status compress_train_read(lode_ctx *ctx, lode_record *r, const frame *f, lode_array *x,
                                double *step, int64_t *bytes);

lode_status compress_exact(lode_ctx *ctx, const lode_compress_opts *o, const lode_array *block,
                           lode_array *coded);
/** The share of the bytes above which exact codes may be shorter: of evenly spaced values, once what is
 *  asked is closer than they are to each other, any. */
double compress_exact_share(const block_task *t);

/** Bases for the folded block w, chosen so that it codes shortest at the squared error sumsq, and
 *  what they give. */
typedef struct choice {
    basis b[LODE_MAX_NDIM];
    lode_array core;
    double *energy[LODE_MAX_NDIM]; /* norms of the core's slices */
    double *store;                 /* holds them */
    double step, bytes;            /* expected */
    /* without learned bases: the quantizer at that step, its error, and bits as it tells them */
    lode_quantizer z;
    double own, bits;
    /* squared error that the bases bring in, about; that of their ranks alone */
    double outside, floor;
} choice;
void choice_free(choice *c);
lode_status compress_choose(lode_ctx *ctx, const block_task *t, const lode_array *w, double sumsq,
                            choice *c);
/** Whether learned bases may pay for a large block (any), and in which modes; all: of all together, as
 *  none of them has to be left out. Told from sketches and the choice of cosines. */
typedef struct promises {
    bool any, all, mode[LODE_MAX_NDIM];
} promises;
lode_status compress_promises(lode_ctx *ctx, const block_task *t, const lode_array *w, double sumsq,
                              const choice *cosines, promises *p);
/** Cosines for every mode that can have them. */
void compress_cosines(const frame *f, basis_kind *kind);
/** Bytes that the folded w takes in these bases (none of them learned) at the squared error sumsq,
 *  about. */
lode_status compress_price(lode_ctx *ctx, const block_task *t, const lode_array *w,
                           const basis_kind *kind, double sumsq, double *bytes);
/** Tiles in which x (plain, nothing missing) codes shorter in cosines at the squared error sumsq than
 *  whole (length 0: none do), and to what, about; sure: by much. */
typedef struct tiling {
    int64_t length;
    double bytes;
    bool sure;
} tiling;
lode_status compress_tile(lode_ctx *ctx, const block_task *t, const lode_array *x, double sumsq,
                          tiling *found);
/** c->bytes, where that is not known yet; uses up a large core. */
lode_status compress_size(lode_ctx *ctx, const block_task *t, const lode_array *w, choice *c);
/** Turns modes to wavelets where samples of w say that it codes shorter so than with the kinds given
 *  (none of them learned) at that step; where some are wavelets already, only their moments. */
lode_status compress_given(lode_ctx *ctx, const block_task *t, const lode_array *w, double step,
                           basis_kind *kind);
/** Symbols of a block by the coder that the effort asks for, and how long that would be. */
lode_status compress_symbols(lode_ctx *ctx, const lode_compress_opts *o, const lode_array *q,
                             lode_array *stream);
lode_status compress_symbols_estimate(lode_ctx *ctx, const lode_compress_opts *o,
                                      const lode_array *q, double *bytes);
/** The step at which the squared error of the coefficients comes to sumsq (reached: what it is there),
 *  and the quantizer. guess: where to look first; 0: anywhere. */
lode_status compress_step(lode_ctx *ctx, const lode_array *core, double sumsq, double guess,
                          lode_quantizer *z, double *reached, double *bits);
/** The same of a choice's core, whose slices' norms are known. */
lode_status compress_step_of(lode_ctx *ctx, const choice *c, double sumsq, lode_quantizer *z,
                             double *reached, double *bits);

/** The block back from its record, in the type it was stored in. */
lode_status compress_decode(lode_ctx *ctx, const lode_array *coded, lode_dtype stored, int ndim,
                            const int64_t *shape, lode_array *block);
/** What compress_grid takes for a block of this record's grid, and hiding its missing entries: NaN
 *  in both. */
lode_status compress_limit(lode_ctx *ctx, const lode_array *coded, int64_t *limit);
lode_status compress_hide(lode_ctx *ctx, const lode_array *coded, lode_array *x, lode_array *y);
/** Coefficients and bases of a record that is a transform and nothing more: no corrections, no
 *  missing entries (lean; else only hidden is known). */
typedef struct expansion {
    bool lean;
    bool hidden; /* missing entries came as a value */
    bool exact;  /* then the entries that have this value are missing: */
    double value;
    frame f;
    basis b[LODE_MAX_NDIM]; /* matrices of learned ones only */
    lode_array core;
} expansion;
void expansion_free(expansion *e);
lode_status compress_expansion(lode_ctx *ctx, const lode_array *coded, lode_dtype stored, int ndim,
                               const int64_t *shape, expansion *e);
/** What is in a record, without decoding it. */
typedef struct record_info {
    bool exact, predicted, lorenzo, train;
    int modes;
    basis_kind kind[LODE_MAX_NDIM];
    int axis[LODE_MAX_NDIM]; /* of the block, that a mode comes from; ndim: complex pairs */
    int64_t length[LODE_MAX_NDIM], columns[LODE_MAX_NDIM]; /* of the mode, in use */
    int64_t core_bytes, basis_bytes, mask_bytes, correction_bytes;
    double step;
} record_info;
lode_status compress_info(lode_ctx *ctx, const lode_array *coded, lode_dtype stored, int ndim,
                          const int64_t *shape, record_info *info);

/** What all records of a model hold, counted without decoding them. */
typedef enum content_kind {
    CONTENT_TRANSFORM,
    CONTENT_INTERPOLATION,
    CONTENT_LORENZO,
    CONTENT_TRAIN,
    CONTENT_EXACT,
    CONTENT_KINDS
} content_kind;
typedef struct content_mode {
    int axis;
    int64_t length;                                                     /* of the longest block */
    int64_t blocks[BASIS_KINDS], least[BASIS_KINDS], most[BASIS_KINDS]; /* columns */
} content_mode;
typedef struct contents {
    int64_t blocks[CONTENT_KINDS], damaged;
    double bytes[CONTENT_KINDS], finest[CONTENT_KINDS], coarsest[CONTENT_KINDS]; /* steps */
    double values, bases, mask, corrections, heads; /* bytes; values: coefficients, residuals */
    int modes;
    content_mode mode[LODE_MAX_NDIM];
} contents;
lode_status compress_contents(lode_ctx *ctx, const lode_bundle *model, const grid *g, contents *c);
/** In words or as JSON. */
lode_status compress_tell(lode_ctx *ctx, const lode_bundle *model, lode_doc form, char **text);

/* ---- the whole: passes over what is coded, and sums over all that was ---- */

/** What a certificate needs of all entries so far, kept in the file so that parts can be added. NaN:
 *  not measured, as where every bit is kept. */
typedef struct totals {
    double count, sumsq, maxabs; /* observed entries, pairs counted twice; of the error */
    double norm2, low, high;     /* of the observed entries: sum of squares, smallest, largest */
} totals;
enum { TOTALS = sizeof(totals) / sizeof(double) };
lode_status compress_totals_write(lode_ctx *ctx, const totals *t, lode_bundle *model);
/** LODE_ENOENT where the file has none. */
lode_status compress_totals_read(lode_ctx *ctx, const lode_bundle *model, totals *t);
/** Of both together. */
totals compress_totals_join(const totals *a, const totals *b);

typedef struct job {
    const lode_compress_opts *o;
    lode_compress_opts settled;
    lode_source source;
    const lode_array *whole; /* all of it, where it is in memory */
    grid g;
    lode_dtype work;
    lode_array held; /* the only block, kept between the passes; and what is known of it */
    char hash[72];   /* "": not known yet */
    block_task known;
    region region; /* access chunk: where its cost is measured */
    double norm2, range, low, high, maxabs;
    int64_t count, values; /* observed, all; pairs counted twice */
    goal goal;             /* of the whole */
    /* what is there already (NULL: nothing): sums, values, and those that a size was asked for */
    const totals *before;
    double values_before, values_asked;
} job;
/** Settles options, grid and working type of what j->source gives; then, once its sums are known,
 *  the goal; a block of it in working form, missing entries as NaN. */
void compress_lay(job *j);
lode_status compress_aim(lode_ctx *ctx, job *j);
lode_status compress_task(lode_ctx *ctx, const job *j, const lode_array *block, block_task *t);
/** Codes j->source as coded.0, ..; d: over all of it. */
lode_status compress_code(lode_ctx *ctx, job *j, lode_bundle *model, lode_diff *d);
totals compress_totals(const job *j, const lode_diff *d);
/** The error asked as a squared sum or a pointwise bound. */
goal compress_goal(const lode_compress_opts *o, double norm2, double range, double count);
/** Adds to the note what small blocks cost, measured on a region. */
lode_status compress_tell_access(lode_ctx *ctx, const job *j, lode_bundle *model);
/** Certificate, note, shape and sums of a model whose records are in: t of all of it, in `values`
 *  (pairs counted twice). LODE_MISSED where the error asked for is not held. */
lode_status compress_finish(lode_ctx *ctx, const lode_compress_opts *o, const totals *t,
                            double values, const grid *g, lode_bundle *model);

/** Size and time from a sample: src/ops/compress/compress_forecast.c. */
lode_status compress_forecast(lode_ctx *ctx, const lode_call *c, lode_plan *p);

/* ---- verbs ---- */

lode_status compress_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                            const lode_part *part, lode_array *out);
lode_status compress_query(lode_ctx *ctx, const lode_bundle *model, const lode_question *q,
                           lode_answer *a);
lode_status compress_chunk(lode_ctx *ctx, const lode_bundle *model, int64_t *chunk);
lode_status compress_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                            lode_certificate *found);
lode_status compress_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                          lode_figure *figure);
lode_status compress_update(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                            lode_bundle *result);
lode_status compress_merge(lode_ctx *ctx, const lode_bundle *a, const lode_bundle *b,
                           lode_bundle *result);
/** Adds to found->note whether the original has the hash that the model records, if it does. */
lode_status compress_same_input(lode_ctx *ctx, const lode_bundle *model, const grid *g,
                                const lode_source *original, lode_certificate *found);
/** Grid of a model, from its first record and its segments, which must outlive it; and the record
 *  of a block. */
lode_status compress_open(lode_ctx *ctx, const lode_bundle *model, grid *g);
lode_status compress_record(lode_ctx *ctx, const lode_bundle *model, int64_t b,
                            const lode_array **coded);
/** The record as a reference, or read in where it is a source. */
lode_status compress_load(lode_ctx *ctx, const lode_bundle *model, int64_t b, lode_array *coded);
/** Block b as it comes back, and its record (or NULL); a damaged one is named by what it covers. */
lode_status compress_read_block(lode_ctx *ctx, const lode_bundle *model, const grid *g, int64_t b,
                                lode_array *coded, lode_array *block);

#endif
