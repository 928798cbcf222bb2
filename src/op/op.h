/* What op files use of the op layer: entry checks, plans, shared option texts, shared verbs. */
#ifndef LODE_OP_INTERNAL_H
#define LODE_OP_INTERNAL_H

#include "array/array.h"
#include "linop/wishes.h"
#include "lode/op.h"
#include "lode/whole.h"
#include "plot/plot.h"

/* The table of built-in operations, expanded from the registry list by src/ops/registry.c; ends
 * with NULL. */
extern const lode_op *const lode_i_builtin_ops[];

/* An options struct begins with `size_t size`, which the defaults fill and LODE_ENTER checks, so
 * that it may grow. Body of `lode_NAME_opts lode_NAME_defaults(void)`. */
#define LODE_DEFAULTS(name)                                                                        \
    lode_##name##_opts lode_##name##_defaults(void)                                                \
    {                                                                                              \
        lode_##name##_opts o;                                                                      \
        lode_op_defaults(&lode_op_##name, &o);                                                     \
        return o;                                                                                  \
    }

/* Builds and checks the call of a typed function, and finds its plan: the one handed down by the
 * generic call, else made now. `plan` is a local lode_plan; values follow in port order. Needs st,
 * ctx, done:. */
#define LODE_ENTER(op, opts, plan, ...)                                                            \
    do {                                                                                           \
        const lode_value lode_in_[] = { __VA_ARGS__ };                                             \
        lode_i_begin(ctx, (op)->name);                                                             \
        st = lode_i_enter(ctx, (op), (opts), lode_in_, (int)(sizeof lode_in_ / sizeof *lode_in_),  \
                          (plan));                                                                 \
        if (st < 0)                                                                                \
            goto done;                                                                             \
    } while (0)
/* The matching end, first thing after done:. */
#define LODE_LEAVE() lode_i_end(ctx)
lode_status lode_i_enter(lode_ctx *ctx, const lode_op *op, const void *opts, const lode_value *in,
                         int nin, lode_plan *plan);
/** Sizes are known now: records what will be used, where `lode plan` and the tests can see it. */
lode_status lode_i_refine(lode_ctx *ctx, const lode_op *op, lode_plan *plan);

/* Reading a call, in plan() and run(). */
static inline const void *lode_call_opts(const lode_call *c)
{
    return c->opts;
}
typedef struct lode_matrix_info {
    int64_t rows, cols;
    lode_dtype dtype;
    lode_kind kind;
    int64_t nonzeros;
} lode_matrix_info;
lode_matrix_info lode_call_matrix(const lode_call *c, int port); /* dtype: arithmetic type */
typedef struct lode_dense_info {
    int ndim;
    int64_t shape[LODE_MAX_NDIM];
    int64_t size;
    lode_dtype dtype, stored;
    lode_kind kind;
} lode_dense_info;
lode_dense_info lode_call_dense(const lode_call *c, int port);
/** Size bound to a symbol, -1 when unbound. */
int64_t lode_call_size(const lode_call *c, const char *symbol);
/** Adds members named by fixed output ports, in order, and points at them; fill and they are in. */
lode_status lode_bundle_reserve(lode_ctx *ctx, lode_bundle *b, const lode_port *out,
                                lode_array **y);

/* Writing and reading options (text options point at `text` itself): one parser and printer each,
 * shared by command, bindings and tests. */
lode_status lode_i_param_parse(lode_ctx *ctx, const lode_op *op, const lode_param *p,
                               const char *text, void *opts);
lode_status lode_i_param_print(lode_ctx *ctx, const lode_param *p, const void *opts,
                               lode_text *text);
lode_status lode_i_param_check(lode_ctx *ctx, const lode_op *op, const lode_param *p,
                               const void *opts);
/** Options as one JSON object of written forms, in table order; and back into opts, which start from
 *  the defaults. Options of kind array are not in it, those of kind text are left as they are. */
lode_status lode_i_options_json(lode_ctx *ctx, const lode_op *op, const void *opts, char **text);
lode_status lode_i_options_read(lode_ctx *ctx, const lode_op *op, const char *text, void *opts);
/** Those that a result was made with: the defaults where a typed function made it, which records none. */
lode_status lode_i_options_of(lode_ctx *ctx, const lode_op *op, const lode_bundle *model,
                              void *opts);
const lode_param *lode_i_param_find(const lode_op *op, const char *name);

/* The one meaning of shared options, said once. */
#define LODE_HELP_ERROR                                                                            \
    "error wanted in total: 1e-3 (relative Frobenius), E:fro, E:max, E:maxrel, P:psnr"
#define LODE_HELP_BUDGET "size wanted: bytes (64K, 2M), params=N or bits=B a value"
#define LODE_HELP_RANK "rank: R, R1,R2,.. or auto"
#define LODE_HELP_MAX_RANK "cap on every rank, applied after the error rule"
#define LODE_HELP_TOL "stopping tolerance of the iteration"
#define LODE_HELP_MAX_ITER "iterations at most"
#define LODE_HELP_OVERSAMPLING "extra random directions; auto chooses from the rank"
#define LODE_HELP_POWER_ITER "passes of subspace iteration, for slowly decaying spectra"
#define LODE_HELP_MISSING "what counts as missing: nan, none or a value"
#define LODE_HELP_MISSING_INF                                                                      \
    "what counts as missing: nan, inf (NaN and infinities), none or a value"
#define LODE_HELP_MASK "observed entries: nonzero means observed"
#define LODE_HELP_WEIGHTS "weight of each entry, >= 0"
#define LODE_HELP_HOLDOUT "share of observed entries kept back to validate"

/* Error specs in absolute Frobenius terms, given the norm, range and count of the input; +inf when
 * none. */
double lode_i_error_target_fro(const lode_error_spec *e, double norm_fro, double range,
                               int64_t count);
bool lode_i_error_is_pointwise(const lode_error_spec *e);

/** A result of a verb gets the model's provenance where it is a model itself, and the verb. */
/** Refuses option missing inf: no NOUN ("factor") of the op explains an infinity. */
lode_status lode_i_refuse_infinities(lode_ctx *ctx, const char *op, const lode_missing *missing,
                                     const char *noun);
/** Refuses tensors of fewer than 2 or more than `most` modes, and empty modes. */
lode_status lode_i_check_tensor(lode_ctx *ctx, const char *op, int ndim, const int64_t *shape,
                                int most);
lode_status lode_i_inherit(lode_ctx *ctx, const lode_bundle *model, const char *verb,
                           lode_bundle *result);
/* Parts of results, for invert: ranges made whole and checked against ndim and shape. */
lode_status lode_i_part_resolve(lode_ctx *ctx, const lode_part *part, int ndim,
                                const int64_t *shape, int64_t *start, int64_t *count);
/* Codes of rows, and what they stand for. */
/** Adds them to a result; one: of a row that was given alone, so with one axis. */
lode_status lode_i_give_codes(lode_ctx *ctx, bool one, lode_array *codes, lode_bundle *result);
/** left diag(scale) right^H, columns of which are named `each` in a sentence. */
typedef struct lode_i_coded {
    const lode_array *left, *scale, *right;
    const char *each;
} lode_i_coded;
/** codes right^H, or left diag(scale) right^H where none are given; or a part of it. */
lode_status lode_i_expand_codes(lode_ctx *ctx, const char *op, const lode_i_coded *c,
                                lode_value codes, const lode_part *part, lode_array *out);
/* Answers of one number: parts of the array, with gaps or not, come in any fixed order. */
typedef struct lode_tally {
    lode_sum re, im, sumsq, other;
    int64_t count, missing, infinite;
} lode_tally;
void lode_i_tally_add(lode_tally *t, const lode_inner *part);
/** Adds a part, which begins at `from` of the question's ranges; DOT reads the other array there. */
lode_status lode_i_tally(lode_ctx *ctx, const lode_question *q, const lode_array *part,
                         const int64_t *from, lode_tally *t);
/** All of the answer but what it took; error: what the sums may be off by. */
lode_status lode_i_tally_answer(lode_ctx *ctx, const lode_question *q, const lode_tally *t,
                                lode_answer *a);
/** A question's answer from the parts that invert gives; members of the model are in memory. */
lode_status lode_i_answer_by_invert(lode_ctx *ctx, const lode_op *op, const lode_bundle *model,
                                    const lode_question *q, lode_answer *a);
/** A dense value that waits in a scratch file, as a source of it. LODE_EBUDGET without ctx->scratch. */
lode_status lode_i_set_aside(lode_ctx *ctx, lode_value v, lode_source *out);
/** The same members, dense ones that are sources read in. */
lode_status lode_i_load_members(lode_ctx *ctx, const lode_bundle *model, lode_bundle *loaded);
/** Compares a dense original with what invert gives, slab by slab: the shared part of verify. */
lode_status lode_i_measure(lode_ctx *ctx, const lode_op *op, const lode_bundle *model,
                           lode_value original, lode_diff *diff);

/* ---- decompositions of a tensor with an error that is a sum of squares (squares.c) ---- */

/** What options of error and budget ask of X: an error (0: none), numbers at most (0: none). */
typedef struct lode_i_squares {
    double error;
    lode_rank_unit unit;
    int64_t params;
} lode_i_squares;
/** what: "a train", of which the sentence says that it bounds no single value (LODE_EUSAGE). ranks:
 *  they are given, so that no error is asked for where none is said; else it is 1e-3. */
lode_status lode_i_squares_asked(lode_ctx *ctx, const lode_op *op, const char *what,
                                 const lode_error_spec *e, const lode_budget_spec *b, bool ranks,
                                 const lode_dense_info *X, lode_i_squares *s);
/** Memory, passes and time of a plan while ranks are not known. Where the largest would not fit, the
 *  plan is all that is left: what is found to be small enough then runs, the rest is refused when the
 *  ranks are known. */
typedef struct lode_i_need {
    uint64_t workspace, output;
    double passes, flops;
} lode_i_need;
void lode_i_plan_ranks(lode_ctx *ctx, const lode_dense_info *X, const lode_i_need *full,
                       const lode_i_need *least, lode_plan *p);
lode_certificate lode_i_squares_certificate(double error, double norm, double target,
                                            const char *quantity);
/** The residual measured must not exceed what the certificate says: LODE_EVERIFY. */
lode_status lode_i_squares_verify(lode_ctx *ctx, const lode_op *op, const lode_certificate *said,
                                  double error, double norm, double slack, lode_certificate *found);
/** Adds NAME.0, NAME.1, .. */
lode_status lode_i_add_numbered(lode_ctx *ctx, const char *name, lode_array *a, int count,
                                lode_bundle *b);
/** The result of a run: these members too, standing for X. */
lode_status lode_i_give(lode_ctx *ctx, const lode_bundle *members, const lode_dense_info *X,
                        lode_bundle *result);
/** A new tensor, or slices, for a model of so many modes in dtype; shape: its own. */
lode_status lode_i_check_modes(lode_ctx *ctx, const lode_op *op, bool slices, lode_value x,
                               int modes, lode_dtype dtype, int64_t *shape);
/** Slices that go on with the model along mode 0, and how many. */
lode_status lode_i_check_slices(lode_ctx *ctx, const lode_op *op, lode_value x,
                                const lode_meta *meta, lode_dtype dtype, int64_t *rows);
/** Of X: what the model holds (held has its norm) and what it leaves out. */
lode_status lode_i_fitted_norm(lode_ctx *ctx, const lode_bundle *b, const lode_array *held,
                               double *norm);
/** b stands for what meta does and so many rows more. */
void lode_i_lengthen(const lode_meta *meta, int64_t rows, lode_bundle *b);
/** Of a stack: the errors of its parts add in squares, as their norms do. LODE_MISSED where it is no
 *  longer what was asked for. */
lode_status lode_i_stack_certificates(lode_ctx *ctx, const lode_op *op, const lode_certificate *a,
                                      double norm_a, double error_b, double norm_b,
                                      lode_certificate *c);
/** Of a factor, the rows that a question asks for along axis k, or their sum (1 x r, added up in f64). */
lode_status lode_i_question_rows(lode_ctx *ctx, const lode_array *U, const lode_question *q, int k,
                                 bool sums, lode_array *out);
/** A model whose entries, or sums of them, are cheaper to get than those that lie between. */
typedef struct lode_i_expansion {
    const void *model;
    /** The entries asked for, or the sum of them all. */
    lode_status (*expand)(lode_ctx *ctx, const void *model, const lode_question *q, bool sums,
                          lode_array *out);
    const lode_array *held;    /* its norm is that of all that the model stands for */
    uint64_t bytes, all_bytes; /* what that reads of it, and all of it */
} lode_i_expansion;
lode_status lode_i_answer_by_expanding(lode_ctx *ctx, const lode_op *op, const lode_bundle *model,
                                       const lode_i_expansion *e, const lode_question *q,
                                       lode_answer *a);

/* ---- models that are sums of outer products (linop/kruskal.h): verbs of cp, nmf, complete (kruskal.c) ---- */

/** codes: other rows in place of factor.0, which then has that many. */
lode_status lode_i_kruskal_invert(lode_ctx *ctx, const lode_op *op, const lode_bundle *model,
                                  lode_value codes, const lode_part *part, lode_array *out);
lode_status lode_i_kruskal_query(lode_ctx *ctx, const lode_op *op, const lode_bundle *model,
                                 const lode_question *q, lode_answer *a);
/** Scales, `trace` where the model has it, the first columns of every factor. title: "Completion". */
lode_status lode_i_kruskal_plot(lode_ctx *ctx, const lode_op *op, const lode_bundle *model,
                                const char *title, lode_figure *figure);
/** Factors in their normal form, of the norm that a member `norm` says, a trace that begins with 1 and ends
 *  at the certificate's value: what tampering breaks. */
lode_status lode_i_kruskal_verify(lode_ctx *ctx, const lode_op *op, const lode_bundle *model);

#endif
