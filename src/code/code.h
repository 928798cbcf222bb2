/* Coding: scalar quantizers and entropy coding of integer symbols. Entropy coding is integer
 * arithmetic only, from stored tables, so that streams decode to the same symbols everywhere. */
#ifndef LODE_CODE_H
#define LODE_CODE_H

#include "array/array.h"

/** Coded symbols: independent chunks, each with a checksum, the unit of threading and of damage. A
 *  stream is a vector of bytes (u8); decoders take streams from anywhere and answer damage with
 *  LODE_EFORMAT. Layout in docs/format.md. */

/** Codes a contiguous i32 array: magnitudes by adaptive context (marginals of each axis, which are
 *  stored, and neighbours already coded), rANS, in blocks of at most 2^16 symbols. out: new. */
lode_status lode_i_encode(lode_ctx *ctx, const lode_array *symbols, lode_array *out);
/** The same at some four times the speed both ways, for some percent more bytes:
 *  contexts from the marginals and earlier rows alone, distributions counted once for the whole. */
lode_status lode_i_encode_fast(lode_ctx *ctx, const lode_array *symbols, lode_array *out);
/** Fills a contiguous i32 array of the shape that was coded, either way. */
lode_status lode_i_decode(lode_ctx *ctx, const lode_array *coded, lode_array *symbols);
/** Bytes that lode_i_encode would give, from a sample of blocks where there are many. */
lode_status lode_i_encode_estimate(lode_ctx *ctx, const lode_array *symbols, double *bytes);
/** Bytes that lode_i_encode_fast would give, from its first pass: within a percent or 100 bytes. */
lode_status lode_i_encode_fast_estimate(lode_ctx *ctx, const lode_array *symbols, double *bytes);
/** Extent from the origin along each axis that holds all nonzero symbols. */
void lode_i_symbols_box(const lode_array *symbols, int64_t *box);
/** A set of positions (missing values): a contiguous bool array, coded as runs in flat order or as
 *  symbols, whichever is shorter. */
lode_status lode_i_encode_mask(lode_ctx *ctx, const lode_array *set, lode_array *out);
lode_status lode_i_decode_mask(lode_ctx *ctx, const lode_array *coded, lode_array *set);
/** Exact values of a contiguous array of any type: evenly spaced floats as whole numbers, others mapped
 *  to integers in their order, common low zero bits shifted out, differences along every axis (Lorenzo) where that pays, then the
 *  coder above. Bit patterns survive, those of NaN too. Never more than the raw bytes and 16. */
lode_status lode_i_encode_exact(lode_ctx *ctx, const lode_array *x, lode_array *out);
/** Decodes into a contiguous array of the same type and shape. */
lode_status lode_i_decode_exact(lode_ctx *ctx, const lode_array *coded, lode_array *x);

/** Values that are (first + k num) / den for whole k, rounded to their type. */
typedef struct lode_spacing {
    double first, num, den;
} lode_spacing;
/** Whether a sample of x (contiguous; NaN and infinities left out) is evenly spaced, coarser than its
 *  type tells apart: whole numbers, decimals, multiples of powers of 2. */
bool lode_i_spaced(const lode_array *x, lode_spacing *s);

/** Uniform quantizer with a dead zone: q = sign(x) floor(|x| / step + 1 - zone), zone in [0.5, 1);
 *  values back at sign(q) (|q| + shift) step, shift[0] where |q| = 1 and shift[1] beyond: the
 *  centroids. */
typedef struct lode_quantizer {
    double step, zone, shift[2];
} lode_quantizer;
/** Fits the shifts for the given step and zone. *sumsq (or NULL): squared error of what would come
 *  back;
 *  *bits (or NULL): sum of log2(1 + |x| / step), a measure of size to compare bases by. x:
 *  contiguous f32, f64. */
lode_status lode_i_quantizer_fit(lode_ctx *ctx, const lode_array *x, lode_quantizer *z,
                                 double *sumsq, double *bits);
/** Runs of x that hold a magnitude of `least` or more, one after the other, and the sum of squares of
 *  the rest; *some is left empty where that were more than a share `most` of x. */
lode_status lode_i_quantizer_sieve(lode_ctx *ctx, const lode_array *x, double least, double most,
                                   lode_array *some, double *rest);
/** Such runs of x, one in `share`, from places spread at random, in their order; new. x has so many. */
lode_status lode_i_quantizer_sample(lode_ctx *ctx, const lode_array *x, lode_stream s,
                                    int64_t share, lode_array *some);
/** q: new i32 array; LODE_EDOMAIN where |q| would reach 2^30, or x is NaN. */
lode_status lode_i_quantize(lode_ctx *ctx, const lode_array *x, const lode_quantizer *z,
                            lode_array *q);
/** The same by error and bits together: magnitudes come one lower, or groups to zero, where the fast
 *  coder saves more than they are worth, with a step as much finer as keeps the error. z: a plain
 *  quantizer; then the one used. *more: squared error that may come on top of the plain one; then
 *  what did. Where there is nothing to choose, all stay as they are. */
lode_status lode_i_quantize_rated(lode_ctx *ctx, const lode_array *x, lode_quantizer *z,
                                  double *more, lode_array *q);
/** x: new, f32 or f64. */
lode_status lode_i_dequantize(lode_ctx *ctx, const lode_array *q, const lode_quantizer *z,
                              lode_dtype dtype, lode_array *x);
/** The same where x, or q, is used up: values of 4 bytes take each other's places. */
lode_status lode_i_quantize_over(lode_ctx *ctx, lode_array *x, const lode_quantizer *z,
                                 lode_array *q);
lode_status lode_i_dequantize_over(lode_ctx *ctx, lode_array *q, const lode_quantizer *z,
                                   lode_dtype dtype, lode_array *x);

/* ---- missing values; x: contiguous f32 or f64 ---- */

/** The set of NaN entries, or of those equal to value; new, bool. */
lode_status lode_i_missing_find(lode_ctx *ctx, const lode_array *x, bool nan, double value,
                                lode_array *set, int64_t *count);
/** Gives the entries of the set smooth values: means of ever coarser cells, interpolated, then
 *  relaxed. */
lode_status lode_i_missing_fill(lode_ctx *ctx, lode_array *x, const lode_array *set);
/** Writes one value into all of them. */
lode_status lode_i_missing_put(lode_ctx *ctx, lode_array *x, const lode_array *set, double value);

/* ---- corrections that make a pointwise bound hold; arrays alike, contiguous f32 or f64 ---- */

/** c = round((want - got) / (2 bound)) where |want - got| > bound, else 0: then |want - got - 2
 *  bound c| <= bound. c: new i32; *count of them nonzero. Entries where want is NaN get 0.
 *  LODE_EDOMAIN when c would not fit. got is used up: c may take its place. */
lode_status lode_i_correct_find(lode_ctx *ctx, const lode_array *want, lode_array *got,
                                double bound, lode_array *c, int64_t *count);
/** Corrections that all fit a byte, as nearly always, as bytes (i8); others stay as they are. */
lode_status lode_i_correct_narrow(lode_ctx *ctx, lode_array *c);
lode_status lode_i_correct_apply(lode_ctx *ctx, lode_array *x, const lode_array *c, double bound);

/* ---- records: numbers and streams in one vector of bytes ---- */

typedef struct lode_record {
    lode_array bytes; /* writing: grows */
    int64_t size;     /* writing: used; reading: where to read next */
} lode_record;
void lode_i_record_free(lode_record *r);
lode_status lode_i_record_i64(lode_ctx *ctx, lode_record *r, int64_t v);
lode_status lode_i_record_f64(lode_ctx *ctx, lode_record *r, double v);
lode_status lode_i_record_bytes(lode_ctx *ctx, lode_record *r, const lode_array *stream);
/** Closes the record with a checksum of its numbers and gives it away, exactly as long as
 *  needed. */
lode_status lode_i_record_end(lode_ctx *ctx, lode_record *r, lode_array *out);
/** Opens what lode_i_record_end gave (any vector of bytes: LODE_EFORMAT); holds a reference. */
lode_status lode_i_record_open(lode_ctx *ctx, const lode_array *bytes, lode_record *r);
lode_status lode_i_record_read_i64(lode_ctx *ctx, lode_record *r, int64_t least, int64_t most,
                                   int64_t *v);
lode_status lode_i_record_read_f64(lode_ctx *ctx, lode_record *r, double *v); /* finite */
/** The same record with another integer as number `field` of those that it begins with. */
lode_status lode_i_record_change(lode_ctx *ctx, const lode_array *bytes, int field, int64_t v,
                                 lode_array *out);
/* a view */
lode_status lode_i_record_read_bytes(lode_ctx *ctx, lode_record *r, lode_array *stream);

/* ---- local prediction with feedback; x: contiguous f32 or f64 ---- */

/* More levels than any length has bits. */
enum { LODE_PREDICT_LEVELS = 63 };

/** Every value is predicted from values that came back already, and the rest is quantized at once.
 *  Interpolation: from coarse to fine, values between those known, by lines or cubics along each
 *  axis, joined by weights; steps are finer on coarse levels, step / min((1 + finer / 8)^level, 1 +
 *  finest / 8), as errors there spread. Lorenzo: from the corner of the box whose other corners are
 *  known. Axes in the set `apart` are not predicted along. Both count axes longer than 1. */
typedef struct lode_predictor {
    double step; /* of the finest level */
    bool lorenzo;
    /* rules are to take the axis that says most, by itself as good as: across edges, what others say
     * is far off, if rarely */
    bool alone;
    int finer, finest;
    uint32_t apart;
    /* of a level and axis: its weight times 2, plus 1 for cubics; axes beyond 8 share the last */
    uint8_t rule[LODE_PREDICT_LEVELS][8];
} lode_predictor;
/** How far values lie from what their neighbours say, by lines and by cubics, of a level and axis. */
typedef struct lode_probes {
    bool known;
    double error[LODE_PREDICT_LEVELS][8][2];
} lode_probes;
/** Chooses the rules from a sample of x, NaN where missing, given the step. probes: of x, where it is fitted
 *  often: as they were left by the first time, none at first; or NULL. */
lode_status lode_i_predict_fit(lode_ctx *ctx, const lode_array *x, lode_probes *probes,
                               lode_predictor *p);
typedef struct lode_predicted {
    lode_array y, symbols, escapes;
} lode_predicted;
void lode_i_predicted_free(lode_predicted *r);
/** Codes x but the set (or NULL) within `bound` of it at every entry (INFINITY: none), dead zone
 *  `zone` in [0.5, 1). y: new, what will come back, something where missing; symbols: new i32,
 *  in the order of coding; escapes: new, values that no symbol gives. */
lode_status lode_i_predict(lode_ctx *ctx, const lode_array *x, const lode_array *set,
                           const lode_predictor *p, double bound, double zone, lode_predicted *r);
/** Bytes of the streams it takes, about; quick: by the fast coder. */
lode_status lode_i_predict_estimate(lode_ctx *ctx, const lode_array *x, const lode_predictor *p,
                                    const lode_predicted *r, bool quick, double *bytes);
lode_status lode_i_predict_write(lode_ctx *ctx, const lode_array *x, const lode_predictor *p,
                                 const lode_predicted *r, lode_record *record);
/** Fills y, contiguous, of the type and shape that was coded, with the same set (or NULL). */
lode_status lode_i_predict_read(lode_ctx *ctx, lode_record *record, const lode_array *set,
                                lode_predictor *p, lode_array *y);
/** Only goes past it: p, and the bytes of its streams. */
lode_status lode_i_predict_skip(lode_ctx *ctx, lode_record *record, int ndim, const int64_t *shape,
                                lode_predictor *p, int64_t *bytes);

#endif
