/* The parts of adapter: what is in the files, decompositions of a layer, what is written. */
#ifndef LODE_OPS_ADAPTER_H
#define LODE_OPS_ADAPTER_H

#include "linop/linop.h"
#include "lode/adapt.h"
#include "op/op.h"

enum { LODE_I_ADAPTER_FILES = 32 };
#define LODE_I_ADAPTER_REPORT "adapter_report.csv"
#define LODE_I_ADAPTER_CONFIG "adapter_config.json"
#define LODE_I_ADAPTER_FACTORS "factors.json"
#define LODE_I_ADAPTER_PREFIX "base_model.model."

/* ---- what is in the files ---- */

typedef enum lode_i_fate_of {
    LODE_I_WEIGHT, /* a matrix, which the task is on */
    LODE_I_OTHER,  /* real numbers that are none, or are left out */
    LODE_I_KEPT    /* anything else */
} lode_i_fate_of;
/** A tensor of the base, in its order; of an adapter a pair of factors. */
typedef struct lode_i_layer {
    const char *name; /* borrowed: of the tensor; of a pair, that of A */
    char *module;     /* name without ".weight" */
    lode_i_fate_of fate;
    lode_value value, other; /* other: of the second checkpoint, or B */
    lode_dtype stored;
    int ndim;
    int64_t shape[LODE_MAX_NDIM];
    int64_t rows, cols; /* as a matrix; of a pair those of B A */
    int64_t rank;       /* of a pair */
    double scale;       /* of a pair: lora_alpha / r */
    bool swapped;       /* of a pair: an embedding's, whose difference is (B A)' */
} lode_i_layer;
typedef struct lode_i_layers {
    int64_t count;
    lode_i_layer *at;
} lode_i_layers;
typedef struct lode_i_adapter {
    const lode_adapter_opts *o;
    lode_bundle own; /* base where it is one array */
    const lode_bundle *base;
    const lode_bundle *more[LODE_I_ADAPTER_FILES];
    int files;
    const lode_bundle *calibration;
    lode_i_layers layers;
    lode_i_layers terms[LODE_I_ADAPTER_FILES + 1]; /* pairs of each adapter */
    int adapters;
    bool spill; /* results wait on disk */
} lode_i_adapter;
/** Layers of the task, checked against each other: what does not match is named. Freed with
 *  lode_i_adapter_close also on failure. */
lode_status lode_i_adapter_open(lode_ctx *ctx, const lode_adapter_opts *o, lode_value base,
                                const lode_bundle *more, const lode_bundle *calibration,
                                lode_i_adapter *a);
void lode_i_adapter_close(lode_i_adapter *a);
/** Pairs of factors in a file of an adapter, with their scales; empty where there are none. */
lode_status lode_i_adapter_pairs(lode_ctx *ctx, const lode_adapter_opts *o, const lode_bundle *file,
                                 lode_i_layers *pairs);
void lode_i_layers_free(lode_i_layers *l);
/** The layer of that module; NULL: none. */
const lode_i_layer *lode_i_layers_find(const lode_i_layers *l, const char *module);
/** Type that a layer is computed in, and that its factors are written in. */
lode_dtype lode_i_adapter_type(const lode_i_layer *l);
lode_dtype lode_i_adapter_store(const lode_adapter_opts *o, lode_dtype stored, bool whole);

/* ---- one layer ---- */

/** D = value as a matrix, or D += alpha value, read in slabs; norm (or NULL): of the value. */
lode_status lode_i_adapter_load(lode_ctx *ctx, const char *name, lode_value value, int64_t rows,
                                int64_t cols, lode_dtype dtype, lode_array *D, double *norm);
lode_status lode_i_adapter_add(lode_ctx *ctx, const char *name, double alpha, lode_value value,
                               lode_array *D, double *norm);
uint64_t lode_i_adapter_slab(lode_dtype dtype, int64_t rows, int64_t cols);

/** How much of a matrix is wanted: ranks up to `most`; tail >= 0: the smallest rank that leaves out no
 *  more (Frobenius), from 1 on. */
typedef struct lode_i_want {
    int64_t most;
    double tail;
    bool relative; /* tail is of the norm */
} lode_i_want;
lode_status lode_i_adapter_svd(lode_ctx *ctx, const lode_array *D, double norm,
                               const lode_i_want *w, lode_array *U, lode_array *s, lode_array *V);
uint64_t lode_i_adapter_svd_room(lode_ctx *ctx, lode_dtype dtype, int64_t rows, int64_t cols,
                                 int64_t most, bool open);
/** Rank from which two factors have more numbers than the matrix: mn / (m + n), rounded down. */
int64_t lode_i_break_even(int64_t rows, int64_t cols);

/* ---- ranks of all layers ---- */

typedef struct lode_i_spend {
    int64_t layers;
    const lode_array *s;  /* leading singular values of each */
    const double *square; /* of the norm of each */
    const double *weight; /* of its squares */
    const int64_t *rows, *cols;
    bool dense;    /* a layer may be kept as it is */
    int64_t least; /* rank of each, 0 or 1 */
    double params; /* to spend */
} lode_i_spend;
/** rank[i] of each layer, -1: as it is. LODE_EPARAM with the number that would do. */
lode_status lode_i_adapter_spend(lode_ctx *ctx, const lode_i_spend *s, int64_t *rank);

/* ---- what is written ---- */

enum { LODE_I_ENERGIES = 11 }; /* at ranks 1, 2, 4 .. 1024 */
/** A line of the report. NaN: not known. */
typedef struct lode_i_row {
    const char *tensor, *what;
    int64_t rows, cols, rank; /* rank -1: none */
    double base;              /* norm of the weight before */
    double norm;              /* of what is approximated */
    double kept;              /* of what stands for it, as written */
    double error;             /* Frobenius norm of the difference */
    double limit;             /* asked of the error; infinity: none */
    double seen, seen_error; /* norms of outputs on calibration: of the weight, of the difference */
    double numerical, effective, stable; /* ranks */
    double energy[LODE_I_ENERGIES];
} lode_i_row;
typedef struct lode_i_product {
    lode_bundle result;
    lode_text report;
    lode_json *ranks;   /* module: rank */
    int64_t largest;    /* rank */
    lode_json *saved;   /* modules written whole */
    double norm, error; /* of all layers together */
    int64_t layers;
    int64_t missed; /* layers with a larger error than was asked for */
    bool fan, dora; /* the adapter's weights are stored in x out; it has magnitudes */
    char note[128];
} lode_i_product;
lode_status lode_i_product_start(lode_ctx *ctx, lode_i_product *p);
void lode_i_product_free(lode_i_product *p);
lode_i_row lode_i_row_of(const lode_i_layer *l, const char *what);
lode_status lode_i_product_row(lode_ctx *ctx, lode_i_product *p, const lode_i_row *row);
/** A tensor of the result, taken over; on disk where results wait. name: parts joined. */
lode_status lode_i_product_add(lode_ctx *ctx, const lode_i_adapter *a, lode_i_product *p,
                               lode_array *t, const char *prefix, const char *module,
                               const char *suffix);
/** A member as it is. */
lode_status lode_i_product_keep(lode_ctx *ctx, const lode_i_adapter *a, lode_i_product *p,
                                const char *name, lode_value v);
/** B (out x r) and A (r x in) into a result, in the type of writing; left and right: what was written, in
 *  that of computing, right transposed. */
lode_status lode_i_product_pair(lode_ctx *ctx, const lode_i_adapter *a, lode_i_product *p,
                                const lode_i_layer *l, const lode_array *B, const lode_array *A,
                                bool adapter, lode_array *left, lode_array *right);
/** Configuration of an adapter, certificate, report. */
lode_status lode_i_product_finish(lode_ctx *ctx, const lode_i_adapter *a, lode_i_product *p,
                                  bool adapter, const char *quantity);
/** ||L R'||_F and ||B At' - L R'||_F, without forming the products. */
lode_status lode_i_product_norm(lode_ctx *ctx, const lode_array *L, const lode_array *R,
                                double *norm);
lode_status lode_i_product_distance(lode_ctx *ctx, const lode_array *B, const lode_array *At,
                                    const lode_array *left, const lode_array *right, double *norm);
/** Leading singular triplets of B At' and its norm, from QR of both; U and V NULL: values alone. */
lode_status lode_i_adapter_core(lode_ctx *ctx, const lode_array *B, const lode_array *At,
                                const lode_i_want *want, double *norm, lode_array *U, lode_array *s,
                                lode_array *V);
/** Factors of a pair as they are stored, B (out x r) and A (r x in). */
lode_status lode_i_adapter_pair_load(lode_ctx *ctx, const lode_i_layer *pair, lode_dtype dtype,
                                     lode_array *B, lode_array *A);

/* ---- the report read back ---- */

typedef struct lode_i_line {
    char tensor[512], what[24];
    int64_t rows, cols, rank;
    double base, norm, kept, error, seen, seen_error, numerical, effective, stable;
    double energy[LODE_I_ENERGIES];
} lode_i_line;
/** The line that begins at *at, which moves to the next; false at the end. LODE_EFORMAT. */
lode_status lode_i_line_next(lode_ctx *ctx, const char **at, lode_i_line *line, bool *found);
lode_status lode_i_lines_of(lode_ctx *ctx, const lode_bundle *model, const char **at);

/* ---- tasks ---- */

/** A matrix of every layer in turn, and what becomes of it: shared by extract, resize, factor and fit. */
typedef struct lode_i_deed {
    /** s (and U, V where wanted) of the layer as far as `want` goes; norm: of all of it; before: of the
     *  weight. A norm of 0: nothing to do. */
    lode_status (*spectrum)(lode_ctx *ctx, lode_i_adapter *a, const lode_i_layer *l,
                            const lode_i_want *want, double *norm, lode_array *s);
    lode_status (*finish)(lode_ctx *ctx, lode_i_adapter *a, const lode_i_layer *l,
                          const lode_i_want *want, lode_i_product *p);
    bool dense;   /* a layer may be kept as it is */
    bool weighed; /* squares relative to the layer's */
    int64_t least;
} lode_i_deed;
/** Ranks as the options say, from one pass over the spectra where they share a budget; then finish of
 *  each layer. want.most 0: no rank is left for it, -1: kept as it is. */
lode_status lode_i_adapter_each(lode_ctx *ctx, lode_i_adapter *a, const lode_i_deed *d,
                                double params, lode_i_product *p);
/** Rank that the options allow a layer; whole: kept as it is where factors pay no more. */
int64_t lode_i_adapter_most(const lode_adapter_opts *o, const lode_i_layer *l, bool whole);
/** Numbers that the budget leaves, where there is one; kept: written besides, of `bytes`. */
double lode_i_adapter_budget(const lode_adapter_opts *o, double values, double kept_bytes,
                             double kept, double width);
lode_status lode_i_adapter_extract(lode_ctx *ctx, lode_i_adapter *a, lode_i_product *p);
lode_status lode_i_adapter_factor(lode_ctx *ctx, lode_i_adapter *a, lode_i_product *p);
lode_status lode_i_adapter_resize(lode_ctx *ctx, lode_i_adapter *a, lode_i_product *p);
lode_status lode_i_adapter_merge(lode_ctx *ctx, lode_i_adapter *a, lode_i_product *p);
lode_status lode_i_adapter_fit(lode_ctx *ctx, lode_i_adapter *a, lode_i_product *p);
lode_status lode_i_adapter_report(lode_ctx *ctx, lode_i_adapter *a, lode_i_product *p);

lode_status lode_i_adapter_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                                  lode_certificate *found);
lode_status lode_i_adapter_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                                lode_figure *figure);
lode_status lode_i_adapter_tell(lode_ctx *ctx, const lode_bundle *model, lode_doc form,
                                char **text);

#endif
