/* The op contract: one descriptor an operation, from which defaults, checks, command line, help,
 * man page, completion, JSON description and Python signatures are made. */
#ifndef LODE_OP_H
#define LODE_OP_H

#include "lode/plot.h"
#include "lode/value.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- option types beyond bool, int64_t, uint64_t, double, enum, const char * ---- */

/** A number, or "auto": given is the tag. */
typedef struct lode_auto_i64 {
    bool given;
    int64_t value;
} lode_auto_i64;
typedef struct lode_auto_f64 {
    bool given;
    double value;
} lode_auto_f64;
/** R, R1,R2,.., or auto (count 0). One number serves every mode. */
typedef struct lode_rank_spec {
    int32_t count;
    int64_t value[LODE_MAX_NDIM];
} lode_rank_spec;
/** Error wanted: none; E or E:rel (relative Frobenius), :fro, :max, :maxrel (of the range), P:psnr
 *  (peak: the range of the input), P:psnr=PEAK. */
typedef enum lode_error_kind {
    LODE_ERROR_NONE,
    LODE_ERROR_REL,
    LODE_ERROR_FRO,
    LODE_ERROR_MAX,
    LODE_ERROR_MAXREL,
    LODE_ERROR_PSNR
} lode_error_kind;
typedef struct lode_error_spec {
    lode_error_kind kind;
    double value, peak;
} lode_error_spec;
/** Size wanted: none, bytes (4096, 10K, 4M, 1G), params=N, bits=B a value. */
typedef enum lode_budget_kind {
    LODE_BUDGET_NONE,
    LODE_BUDGET_BYTES,
    LODE_BUDGET_PARAMS,
    LODE_BUDGET_BITS
} lode_budget_kind;
typedef struct lode_budget_spec {
    lode_budget_kind kind;
    double value;
} lode_budget_spec;
/** Axes: all (count -1) or a list; negative counts from the last. */
typedef struct lode_axes {
    int32_t count;
    int32_t axis[LODE_MAX_NDIM];
} lode_axes;
/** A short list of numbers. */
typedef struct lode_list {
    int32_t count;
    double value[LODE_MAX_NDIM];
} lode_list;
/** What counts as missing: none, nan, a value, or inf: NaN and infinities, each kept as what it is. */
typedef enum lode_missing_kind {
    LODE_MISSING_NONE,
    LODE_MISSING_NAN,
    LODE_MISSING_VALUE,
    LODE_MISSING_INF
} lode_missing_kind;
typedef struct lode_missing {
    lode_missing_kind kind;
    double value;
} lode_missing;

LODE_API lode_error_spec lode_error_rel(double e);
LODE_API lode_error_spec lode_error_fro(double e);
LODE_API lode_error_spec lode_error_max(double e);
LODE_API lode_error_spec lode_error_maxrel(double e);
LODE_API lode_rank_spec lode_rank(int64_t r);

/* ---- the descriptor ---- */

typedef enum lode_param_kind {
    LODE_P_BOOL = 1,
    LODE_P_I64,
    LODE_P_U64,
    LODE_P_F64,
    LODE_P_ENUM,
    LODE_P_TEXT,
    LODE_P_AUTO_I64,
    LODE_P_AUTO_F64,
    LODE_P_RANK,
    LODE_P_ERROR,
    LODE_P_BUDGET,
    LODE_P_AXES,
    LODE_P_LIST,
    LODE_P_MISSING,
    LODE_P_ARRAY
} lode_param_kind;

/** One option: a row of the table that mirrors the options struct. */
typedef struct lode_param {
    const char *name; /* the field; --power-iter on the command line, power_iter elsewhere */
    lode_param_kind kind;
    size_t offset, size;
    double def;           /* default of bool, i64, u64, f64, enum (its number) */
    const char *def_text; /* default of every other kind, in its written form; NULL: none, auto */
    bool required;
    bool path;           /* a text that names a file */
    double min, max;     /* inclusive bounds of each number; both 0: unbounded */
    const char *choices; /* of an enum, in order: "auto|gram|qr" */
    const char *help;    /* one line, lower case, with the unit */
} lode_param;

#define LODE_PARAM_KIND(x)                                                                         \
    _Generic((x), bool: LODE_P_BOOL, int64_t: LODE_P_I64, uint64_t: LODE_P_U64, double: LODE_P_F64,    \
        const char *: LODE_P_TEXT, lode_auto_i64: LODE_P_AUTO_I64, lode_auto_f64: LODE_P_AUTO_F64,     \
        lode_rank_spec: LODE_P_RANK, lode_error_spec: LODE_P_ERROR, lode_budget_spec: LODE_P_BUDGET,   \
        lode_axes: LODE_P_AXES, lode_list: LODE_P_LIST, lode_missing: LODE_P_MISSING,                  \
        const lode_array *: LODE_P_ARRAY, unsigned int: LODE_P_ENUM, int: LODE_P_ENUM)
#define LODE_PARAM(T, field)                                                                       \
    .name = #field, .kind = LODE_PARAM_KIND(((T *)0)->field), .offset = offsetof(T, field),        \
    .size = sizeof(((T *)0)->field)

/** One input or output. shape: symbols by comma ("m,n"), numbers, "..." for any further axes; equal
 *  symbols bind to equal sizes, an i64 or one-number rank option of that name binds too. NULL
 *  shape: anything; "n,n,m|m,n,n": the first that fits. A repeated port ("factor.*" as an output) holds a bundle of items; a symbol
 *  that only its items have binds anew for each of them. */
typedef struct lode_port {
    const char *name, *shape;
    uint32_t kinds; /* 0: array (output), array and source (input) */
    uint32_t types; /* 0: any number */
    bool optional, repeated;
    bool nonneg; /* values below 0 are refused, by the op itself */
    /* optional, but words without a name that come after the others bind to it */
    bool follows;
    /* what is not its own adjoint, or not positive definite besides, is refused, by the op itself */
    bool hermitian, definite;
    const char *help;
} lode_port;

typedef enum lode_job {
    LODE_SHRINK,
    LODE_EXPLAIN,
    LODE_COMPLETE,
    LODE_COMPARE,
    LODE_PREDICT,
    LODE_SAMPLE,
    LODE_DIAGNOSE
} lode_job;
LODE_API const char *lode_job_name(lode_job job);

/** What a call will do, decided before it does it. run() consumes this very plan. Bytes are what
 *  the memory budget counts; the input itself counts where Lode reads it in. */
typedef struct lode_plan {
    char algorithm[64];
    double passes; /* over the input */
    double flops;
    double seconds;     /* expected, on all workers; 0: not estimated */
    uint64_t workspace; /* peak bytes beside inputs and outputs */
    uint64_t output;    /* bytes of the outputs, a bound where ranks follow from an error */
    uint64_t resident;  /* bytes of inputs held in memory */
    uint64_t scratch;   /* bytes of disk */
    int64_t slab;       /* rows (first axis) of an out-of-core read; 0: in memory */
    int64_t block;      /* columns of a block method */
    int64_t number[8];  /* the op's own decisions */
    bool refined;       /* ranks are known: workspace and output are what will be used */
    /* what a forecast adds: bytes of the result as a .lode file, and seconds, each from low to high;
     * equal: about that, within a fifth; 0: not predicted. And what it is from, or why there is
     * none. */
    double bytes_low, bytes_high, seconds_low, seconds_high;
    char basis[96];
} lode_plan;

#define LODE_MAX_PORTS 12
#define LODE_MAX_SYMBOLS 24

/** A request: an op, its options, its inputs by port. */
typedef struct lode_call {
    const struct lode_op *op;
    void *opts;                    /* the op's options struct */
    lode_value in[LODE_MAX_PORTS]; /* in port order; absent: kind LODE_NONE */
    int32_t symbols;               /* sizes bound by shapes and options */
    char symbol[LODE_MAX_SYMBOLS][16];
    int64_t size[LODE_MAX_SYMBOLS];
    lode_plan plan;
    bool planned;
    struct lode_call_store *store; /* private: what parsed options and loaded inputs live in */
} lode_call;

/** A hyper-rectangle of a result: ndim ranges; count -1: to the end of the axis. component: of a result that is
 *  a sum, the term by its name, one of the op's components; "": the sum. */
typedef struct lode_part {
    int32_t ndim; /* 0: everything */
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM];
    char component[16];
} lode_part;

/** What is asked of the array that a result stands for: of its entries start + i step, i < count,
 *  along each axis. */
typedef enum lode_query_kind {
    LODE_QUERY_VALUES,
    LODE_QUERY_MEAN,
    LODE_QUERY_SUM,
    LODE_QUERY_NORM, /* root of the sum of squares */
    LODE_QUERY_DOT   /* sum of the entries times the conjugates of another array's */
} lode_query_kind;
typedef struct lode_question {
    lode_query_kind kind;
    int32_t ndim;                 /* 0: everything */
    int64_t start[LODE_MAX_NDIM]; /* below 0: from the end */
    int64_t count[LODE_MAX_NDIM]; /* -1: to the end of the axis */
    int64_t step[LODE_MAX_NDIM];  /* 1 or more; 0 counts as 1 */
    bool dropped[LODE_MAX_NDIM];  /* VALUES: a single index, whose axis the answer leaves out */
    lode_value other;             /* DOT: array or source of the shape that the ranges give */
} lode_question;
typedef struct lode_answer {
    lode_array values; /* of VALUES: as they come back, in the type of the result */
    double re, im;     /* of the others; im is 0 unless the array is complex */
    double other;      /* of DOT: norm of the other array over those entries */
    /* the original's is no farther off, for VALUES at any entry; NaN: nothing is proved */
    double error;
    char meaning[160];      /* what the error bar says, and how it is known */
    int64_t count, missing; /* entries that the answer is over, and those left out as missing */
    /* what it took: blocks (all_blocks 0: not in blocks), bytes of what is stored, entries of the
     * array that were computed */
    int64_t blocks, all_blocks;
    uint64_t bytes, all_bytes;
    int64_t entries, all_entries;
} lode_answer;
LODE_API void lode_answer_free(lode_answer *a);

/** Forms of a text: for people, as a page of two kinds, for machines. */
typedef enum lode_doc { LODE_DOC_HELP, LODE_DOC_MAN, LODE_DOC_MARKDOWN, LODE_DOC_JSON } lode_doc;

/** An input by the name of its port, or of the option that takes an array; NULL: the next port. */
typedef struct lode_input {
    const char *name;
    lode_value value;
} lode_input;

typedef struct lode_op {
    const char *name, *family, *brief; /* brief: one line, lower case */
    lode_job job;
    const char *doi;     /* of the main source; several by spaces */
    const char *example; /* one command that runs as written, on what `lode make` gives or data/ */
    const char *words;   /* further words that `lode find` should know */
    const lode_param *params; /* up to { 0 } */
    size_t opts_size;
    const lode_port *in, *out; /* up to { 0 } */
    /* the kind every result carries, or LODE_CERT_NONE and why in the notes */
    lode_cert_kind certificate;
    /* true: results may depend on threads or memory (say why in the file) */
    bool schedule_dependent;
    /* run, apply, update, merge and verify keep what they have done in ctx->checkpoint and go on from
     * it */
    bool checkpoint;
    lode_status (*plan)(lode_ctx *ctx, const lode_call *call, lode_plan *plan);
    /* Fills bytes_low .. basis of a plan that is made, from a sample of the inputs; called by `lode
     * plan` and lode_call_forecast only, so it may read, and take up to about a quarter of the run's
     * time; its memory is within the plan's. NULL: seconds are the plan's, no bytes. */
    lode_status (*forecast)(lode_ctx *ctx, const lode_call *call, lode_plan *plan);
    lode_status (*run)(lode_ctx *ctx, const lode_call *call, lode_bundle *result);
    /* Verbs on a fitted bundle; NULL: the op has none. */
    lode_status (*apply)(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                         lode_bundle *result);
    lode_status (*invert)(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                          const lode_part *part, lode_array *out);
    /* Terms that invert gives by themselves, "low|sparse"; NULL: none */
    const char *components;
    /* Sizes of the rectangles that invert decodes as a whole; NULL: any part costs its share. An op
     * that has it reads members that are sources as it needs them, in invert and verify too. */
    lode_status (*chunk)(lode_ctx *ctx, const lode_bundle *model, int64_t *chunk);
    /* Answers a question whose ranges are whole and checked, all of the answer but all_entries and
     * the meaning; error: what rounding may add to what the certificate says. Members of the model
     * may be sources. NULL: through invert. */
    lode_status (*query)(lode_ctx *ctx, const lode_bundle *model, const lode_question *q,
                         lode_answer *a);
    lode_status (*update)(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                          lode_bundle *result);
    /* The same with inputs by name, of which update_in says (ended by { 0 }) what they are; NULL: update
     * takes one input, without a name. */
    const lode_port *update_in;
    lode_status (*update_with)(lode_ctx *ctx, const lode_bundle *model, const lode_input *in,
                               int64_t count, lode_bundle *result);
    lode_status (*merge)(lode_ctx *ctx, const lode_bundle *a, const lode_bundle *b,
                         lode_bundle *result);
    /* Checks the certificate again; original may be none. Fails with LODE_EVERIFY. */
    lode_status (*verify)(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                          lode_certificate *found);
    lode_status (*plot)(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                        lode_figure *figure);
    /* What the result holds, in lines of words (LODE_DOC_HELP) or as a JSON object; members of the
     * model may be sources. */
    lode_status (*tell)(lode_ctx *ctx, const lode_bundle *model, lode_doc form, char **text);
} lode_op;

/* ---- registry ---- */

LODE_API int64_t lode_op_count(const lode_ctx *ctx);
LODE_API const lode_op *lode_op_at(const lode_ctx *ctx, int64_t i);
/** By name, or NULL; lode_op_suggest gives the nearest name (or NULL). */
LODE_API const lode_op *lode_op_find(const lode_ctx *ctx, const char *name);
LODE_API const char *lode_op_suggest(const lode_ctx *ctx, const char *name);
/** Ops ranked by how well their words match a question; returns how many were written. */
LODE_API int64_t lode_op_search(const lode_ctx *ctx, const char *words, const lode_op **found,
                                int64_t max);

/* ---- calls by name: what the command and the bindings use ---- */

/** Fills an options struct with the table's defaults. */
LODE_API void lode_op_defaults(const lode_op *op, void *opts);
LODE_API lode_status lode_call_init(lode_ctx *ctx, const lode_op *op, lode_call *call);
LODE_API void lode_call_free(lode_call *call);
/** Option by name (either spelling) in its written form. Unknown: LODE_EUSAGE with the nearest
 *  one. An error may be rules for the members of a file, "UWND=1e-3,t_*=1e-4:max,QC=exact". */
LODE_API lode_status lode_call_set(lode_ctx *ctx, lode_call *call, const char *name,
                                   const char *text);
LODE_API lode_status lode_call_set_array(lode_ctx *ctx, lode_call *call, const char *name,
                                         const lode_array *a);
/** Input by port name, or NULL for the next unbound port; repeated ports take several. Borrowed
 *  until the call is freed. A bundle for an array runs the op on its members: lode/whole.h. */
LODE_API lode_status lode_call_input(lode_ctx *ctx, lode_call *call, const char *port,
                                     lode_value value);
/** Names, units and coordinates of the first input (lode_meta.attributes), which a result that stands
 *  for it keeps; copied. NULL: none. */
LODE_API lode_status lode_call_attributes(lode_ctx *ctx, lode_call *call, const char *attributes);
/** Checks and plans; lode_call_run does so itself when it was not done. */
LODE_API lode_status lode_call_plan(lode_ctx *ctx, lode_call *call);
/** The same, and predicts size and time of the result, where the op can, from a sample of inputs
 *  that can be read again; results of a run stay the same. */
LODE_API lode_status lode_call_forecast(lode_ctx *ctx, lode_call *call);
/** The plan that was made, for bindings that do not know the layout of a call. */
LODE_API const lode_plan *lode_call_planned(const lode_call *call);
/** Runs and gives one bundle whose members are named as the ports; meta and certificate filled. */
LODE_API lode_status lode_call_run(lode_ctx *ctx, lode_call *call, lode_bundle *result);
/** Records in a result the hash of every input of the call that has one, so that it can be made again
 *  and checked; reads them once more. */
LODE_API lode_status lode_call_record(lode_ctx *ctx, const lode_call *call, lode_bundle *result);
/** lode_call_run and lode_call_record as one call, whose progress is told over both. */
LODE_API lode_status lode_call_make(lode_ctx *ctx, lode_call *call, lode_bundle *result);
/** The same for a result of "apply", "update" (model, x) or "merge" (models). */
LODE_API lode_status lode_verb_record(lode_ctx *ctx, const char *verb, const lode_value *inputs,
                                      int64_t count, lode_bundle *result);
/** The same of inputs of which some have names (lode_update_with): the model first. */
LODE_API lode_status lode_verb_record_named(lode_ctx *ctx, const char *verb,
                                            const lode_input *inputs, int64_t count,
                                            lode_bundle *result);

/** What made a result: "run" (its op), "apply", "update" or "merge". */
LODE_API const char *lode_made_by(const lode_bundle *made);
/** Makes a result again by its op, options and seed, from the inputs given in the order of the command
 *  that made it (of update and apply: model, x; of merge: the models), and compares hashes member by
 *  member; members of `made` may be sources. again: the new result. LODE_OK the same; LODE_DIFFERS not,
 *  and the sentence says what first; LODE_EUSAGE an input that is missing or another one than it was
 *  made from, by name. */
LODE_API lode_status lode_rerun(lode_ctx *ctx, const lode_bundle *made, const lode_input *inputs,
                                int64_t count, lode_bundle *again);
/** The commands that made a result, its inputs by their names, and that make it again, a line each;
 *  for lode_text_free. file: the name of the result. NULL text: it was made by none. */
LODE_API lode_status lode_made_text(lode_ctx *ctx, const lode_bundle *made, const char *file,
                                    char **text);
/** Verbs on a bundle: the op is the one it records. */
LODE_API lode_status lode_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                                lode_bundle *result);
LODE_API lode_status lode_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                                 const lode_part *part, lode_array *out);
LODE_API lode_status lode_update(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                                 lode_bundle *result);
/** Update by inputs that have names, as the op's update_in gives them; one without a name is
 *  lode_update's. */
LODE_API lode_status lode_update_with(lode_ctx *ctx, const lode_bundle *model, const lode_input *in,
                                      int64_t count, lode_bundle *result);
LODE_API lode_status lode_merge(lode_ctx *ctx, const lode_bundle *const *models, int64_t count,
                                lode_bundle *result);
LODE_API lode_status lode_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                                 lode_certificate *found);
LODE_API lode_status lode_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                               lode_figure *figure);
/** Writes a result as a page of its own (.html): certificate, picture, which can be made larger, members,
 *  and how it was made. original: as for lode_plot. An existing file is LODE_EEXIST unless force. */
LODE_API lode_status lode_report(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                                 const char *path, bool force);
/** What a result holds, in words or as JSON (LODE_DOC_HELP, LODE_DOC_JSON), as its op tells it; *text
 *  is NULL where it tells nothing, else for lode_text_free. */
LODE_API lode_status lode_tell(lode_ctx *ctx, const lode_bundle *model, lode_doc form, char **text);
/** Answers from a result, decoding no more than it needs, with an error bar that follows from the
 *  certificate. Members of the model may be sources (lode_open). LODE_EUSAGE a range outside of the
 *  array (axis, index and what there is), the mean of nothing; LODE_ESHAPE another array that does
 *  not fit; LODE_EDOMAIN infinities in what is summed. */
LODE_API lode_status lode_query(lode_ctx *ctx, const lode_bundle *model, const lode_question *q,
                                lode_answer *a);
/** Reads a question: [3,4,5], [0:10,:,5], [::4,::4], mean, mean[0:10], sum, norm, dot. Indices below
 *  0 count from the end, as in NumPy; ranges must lie within the array. */
LODE_API lode_status lode_question_parse(lode_ctx *ctx, const lode_bundle *model, const char *text,
                                         lode_question *q);
struct lode_write_opts;
/** lode_write of members some of which are decoded as they are written (lode_invert_source, lode_expand):
 *  under ctx->checkpoint what is decoded is kept, as many bytes as are written, and a call that was
 *  stopped goes on from there. LODE_EUSAGE where it is asked for and no member is such. */
LODE_API lode_status lode_write_decoded(lode_ctx *ctx, const char *path, const lode_bundle *b,
                                        const struct lode_write_opts *o);
/** A source that decodes lazily what invert gives; holds a reference to the model's arrays. */
LODE_API lode_status lode_invert_source(lode_ctx *ctx, const lode_bundle *model, lode_source *out);

/* ---- descriptions, all from the table; *text is malloc'ed by the library, give it to
 * lode_text_free ---- */

LODE_API lode_status lode_op_describe(lode_ctx *ctx, const lode_op *op, lode_doc form, char **text);
/** The whole registry: JSON array of all descriptions; or completion for "bash", "zsh", "fish". */
LODE_API lode_status lode_registry_json(lode_ctx *ctx, char **text);
LODE_API lode_status lode_completion(lode_ctx *ctx, const char *shell, char **text);
/** JSON of a plan and of a certificate. */
LODE_API lode_status lode_plan_json(lode_ctx *ctx, const lode_plan *plan, char **text);
LODE_API lode_status lode_certificate_json(lode_ctx *ctx, const lode_certificate *c, char **text);
LODE_API void lode_text_free(char *text);
/** Lines about this build: BLAS and whether it keeps the same bits, formats, options. */
LODE_API void lode_build_info(char *text, size_t size);
/** sizeof a public struct by name ("lode_array"), for bindings to check their own layout; 0:
 *  unknown. */
LODE_API size_t lode_sizeof(const char *name);

#ifdef __cplusplus
}
#endif
#endif
