/* The uniform quantizer: one step for all values, a dead zone around 0, values back at the
 * centroids. */
#include <math.h>
#include <string.h>

#include "code/quantize.h"

/* PIECE: values a task; parts are joined in order */
enum { LANES = 8, RUN = 32 * LANES, PIECE = 1 << 15 };

typedef struct fit_part {
    double sumsq, bits; /* of |x|/step - |q|, in squared steps; in bits */
    double sum[2];      /* of |x|/step - |q| where |q| is 1, and where it is more */
    int64_t count[2];
} fit_part;

static inline int32_t word_f32(float v)
{
    int32_t w;
    memcpy(&w, &v, sizeof w);
    return w;
}

static inline int64_t word_f64(double v)
{
    int64_t w;
    memcpy(&w, &v, sizeof w);
    return w;
}

#define T float
#define WORD int32_t
#define BITS 23
#define NAME(x) x##_f32
#include "code/quantize_kernel.inc"
#undef T
#undef WORD
#undef BITS
#undef NAME
#define T double
#define WORD int64_t
#define BITS 52
#define NAME(x) x##_f64
#include "code/quantize_kernel.inc"

typedef struct work {
    const lode_array *x;
    const lode_quantizer *z;
    int64_t n;
    int32_t *q;
    bool bits; /* to be estimated */
    fit_part *part;
} work;

/* Values that go through a buffer at once, where results take the place of what they come from. */
enum { BUFFER = 2048 };

static lode_status fit_task(lode_ctx *ctx, int64_t i, void *data)
{
    const work *w = data;
    const int64_t n = lode_i_min(PIECE, w->n - i * PIECE);
    (void)ctx;
    if (w->x->dtype == LODE_F32)
        fit_f32((const float *)lode_i_at(w->x, i * PIECE), n, w->z, w->bits, &w->part[i]);
    else
        fit_f64((const double *)lode_i_at(w->x, i * PIECE), n, w->z, w->bits, &w->part[i]);
    return LODE_OK;
}

lode_status code_too_large(lode_ctx *ctx, double step)
{
    return lode_i_fail(ctx, LODE_EDOMAIN, "a value over 2^30 steps of %g cannot be quantized",
                       step);
}

static lode_status quantize_task(lode_ctx *ctx, int64_t i, void *data)
{
    const work *w = data;
    const int64_t n = lode_i_min(PIECE, w->n - i * PIECE);
    const void *x = lode_i_at(w->x, i * PIECE);
    int32_t *q = w->q + i * PIECE;
    const bool good = w->x->dtype == LODE_F32 ? quantize_f32(x, n, w->z, q)
                                              : quantize_f64(x, n, w->z, q);
    return good ? LODE_OK : code_too_large(ctx, w->z->step);
}

static lode_status dequantize_task(lode_ctx *ctx, int64_t i, void *data)
{
    const work *w = data;
    const int64_t n = lode_i_min(PIECE, w->n - i * PIECE);
    const int32_t *q = w->q + i * PIECE;
    void *x = lode_i_at(w->x, i * PIECE);
    (void)ctx;
    if (w->x->dtype == LODE_F32)
        dequantize_f32(q, n, w->z, x);
    else
        dequantize_f64(q, n, w->z, x);
    return LODE_OK;
}

static lode_status quantize_over_task(lode_ctx *ctx, int64_t i, void *data)
{
    const work *w = data;
    const int64_t end = lode_i_min((i + 1) * PIECE, w->n);
    float x[BUFFER];
    for (int64_t at = i * PIECE; at < end; at += BUFFER) {
        const int64_t n = lode_i_min(BUFFER, end - at);
        memcpy(x, w->q + at, (size_t)n * sizeof *x);
        if (!quantize_f32(x, n, w->z, w->q + at))
            return code_too_large(ctx, w->z->step);
    }
    return LODE_OK;
}

static lode_status dequantize_over_task(lode_ctx *ctx, int64_t i, void *data)
{
    const work *w = data;
    const int64_t end = lode_i_min((i + 1) * PIECE, w->n);
    float x[BUFFER];
    (void)ctx;
    for (int64_t at = i * PIECE; at < end; at += BUFFER) {
        const int64_t n = lode_i_min(BUFFER, end - at);
        dequantize_f32(w->q + at, n, w->z, x);
        memcpy(w->q + at, x, (size_t)n * sizeof *x);
    }
    return LODE_OK;
}

static lode_status accepted(lode_ctx *ctx, const lode_array *x, const lode_quantizer *z)
{
    if (x->dtype != LODE_F32 && x->dtype != LODE_F64)
        return lode_i_fail(ctx, LODE_ETYPE, "the quantizer takes f32 and f64, not %s",
                           lode_dtype_name(x->dtype));
    if (!lode_array_is_contiguous(x))
        return lode_i_fail(ctx, LODE_EINTERNAL, "the quantizer takes contiguous arrays");
    if (!(z->step > 0 && z->step <= 1e300 && z->zone >= 0.5 && z->zone < 1))
        return lode_i_fail(ctx, LODE_EPARAM, "a quantizer cannot have step %g and zone %g", z->step,
                           z->zone);
    return LODE_OK;
}

double code_centroids(double error, const double count[2], const double sum[2], double shift[2])
{
    for (int k = 0; k < 2; k++) {
        /* a multiple of 2^-12, so that the stored quantizer is this one */
        shift[k] = count[k] > 0 ? ldexp(rint(ldexp(sum[k] / count[k], 12)), -12) : 0;
        error += shift[k] * (count[k] * shift[k] - 2 * sum[k]);
    }
    return fmax(error, 0);
}

lode_status lode_i_quantizer_fit(lode_ctx *ctx, const lode_array *x, lode_quantizer *z,
                                 double *sumsq, double *bits)
{
    lode_status st = LODE_OK;
    fit_part total = { 0 };
    work w = { .x = x, .z = z, .n = lode_array_size(x), .bits = bits };
    const int64_t pieces = lode_i_ceil_div(w.n, PIECE);

    LODE_TRY(accepted(ctx, x, z));
    LODE_TRY(lode_i_calloc(ctx, (size_t)(pieces + 1) * sizeof *w.part, (void **)&w.part));
    LODE_TRY(lode_i_parallel(ctx, pieces, fit_task, &w));
    for (int64_t i = 0; i < pieces; i++) {
        const fit_part *p = &w.part[i];
        total.sumsq += p->sumsq;
        total.bits += p->bits;
        for (int k = 0; k < 2; k++) {
            total.sum[k] += p->sum[k];
            total.count[k] += p->count[k];
        }
    }
    const double count[2] = { (double)total.count[0], (double)total.count[1] };
    const double error = code_centroids(total.sumsq, count, total.sum, z->shift);
    if (sumsq)
        *sumsq = error * z->step * z->step;
    if (bits)
        *bits = total.bits;
done:
    lode_i_free(w.part);
    return st;
}

/* ---- where a coarse quantizer finds anything ---- */

typedef struct sieve {
    const lode_array *x;
    double least;
    int64_t whole;  /* runs; what is behind them is always kept */
    bool *kept;     /* one a run */
    int64_t *place; /* one a piece: kept runs, then those before it */
    double *rest;   /* one a piece */
    char *to;
} sieve;

enum { PIECE_RUNS = PIECE / RUN };

static lode_status sieve_task(lode_ctx *ctx, int64_t i, void *data)
{
    const sieve *w = data;
    (void)ctx;
    for (int64_t r = i * PIECE_RUNS; r < lode_i_min((i + 1) * PIECE_RUNS, w->whole); r++) {
        const void *x = lode_i_at(w->x, r * RUN);
        const bool single = w->x->dtype == LODE_F32;
        w->kept[r] = (single ? (double)run_peak_f32(x) : run_peak_f64(x)) >= w->least;
        w->place[i] += w->kept[r];
        if (!w->kept[r])
            w->rest[i] += single ? run_sumsq_f32(x) : run_sumsq_f64(x);
    }
    return LODE_OK;
}

static lode_status gather_task(lode_ctx *ctx, int64_t i, void *data)
{
    const sieve *w = data;
    const size_t bytes = RUN * lode_dtype_size(w->x->dtype);
    char *to = w->to + (size_t)w->place[i] * bytes;
    (void)ctx;
    for (int64_t r = i * PIECE_RUNS; r < lode_i_min((i + 1) * PIECE_RUNS, w->whole); r++)
        if (w->kept[r]) {
            memcpy(to, lode_i_at(w->x, r * RUN), bytes);
            to += bytes;
        }
    return LODE_OK;
}

lode_status lode_i_quantizer_sieve(lode_ctx *ctx, const lode_array *x, double least, double most,
                                   lode_array *some, double *rest)
{
    lode_status st = LODE_OK;
    const int64_t n = lode_array_size(x), runs = n / RUN, behind = n - runs * RUN,
                  pieces = lode_i_ceil_div(runs, PIECE_RUNS);
    sieve w = { .x = x, .least = least, .whole = runs };
    lode_array made = { 0 };
    int64_t count = 0;
    LODE_TRY(accepted(ctx, x, &(lode_quantizer){ .step = 1, .zone = 0.5 }));
    LODE_TRY(lode_i_calloc(ctx, (size_t)(runs + 1) * sizeof *w.kept, (void **)&w.kept));
    LODE_TRY(lode_i_calloc(ctx, (size_t)(pieces + 1) * sizeof *w.place, (void **)&w.place));
    LODE_TRY(lode_i_calloc(ctx, (size_t)(pieces + 1) * sizeof *w.rest, (void **)&w.rest));
    LODE_TRY(lode_i_parallel(ctx, pieces, sieve_task, &w));
    *rest = 0;
    for (int64_t i = 0; i < pieces; i++) {
        const int64_t here = w.place[i];
        w.place[i] = count, count += here;
        *rest += w.rest[i];
    }
    lode_array_free(some);
    if ((double)(count * RUN + behind) > most * (double)n)
        goto done;
    LODE_TRY(lode_array_new(ctx, x->dtype, 1, (const int64_t[]){ count * RUN + behind }, &made));
    w.to = made.data;
    LODE_TRY(lode_i_parallel(ctx, pieces, gather_task, &w));
    if (behind)
        memcpy(lode_i_at(&made, count * RUN), lode_i_at(x, runs * RUN),
               (size_t)behind * lode_dtype_size(x->dtype));
    lode_array_swap(some, &made);
done:
    lode_i_free(w.kept), lode_i_free(w.place), lode_i_free(w.rest);
    LODE_FREE(&made);
    return st;
}

typedef struct picks {
    const lode_array *x;
    lode_stream stream;
    int64_t share, count;
    char *to;
} picks;

static lode_status pick_task(lode_ctx *ctx, int64_t i, void *data)
{
    const picks *w = data;
    const size_t bytes = RUN * lode_dtype_size(w->x->dtype);
    (void)ctx;
    for (int64_t r = i * PIECE_RUNS; r < lode_i_min((i + 1) * PIECE_RUNS, w->count); r++) {
        const uint64_t random = lode_i_random_u64(w->stream, (uint64_t)r);
        const int64_t from = r * w->share + (int64_t)(random % (uint64_t)w->share);
        memcpy(w->to + (size_t)r * bytes, lode_i_at(w->x, from * RUN), bytes);
    }
    return LODE_OK;
}

lode_status lode_i_quantizer_sample(lode_ctx *ctx, const lode_array *x, lode_stream s,
                                    int64_t share, lode_array *some)
{
    lode_status st = LODE_OK;
    lode_array made = { 0 };
    picks w = { .x = x, .stream = s, .share = share, .count = lode_array_size(x) / (RUN * share) };
    LODE_TRY(accepted(ctx, x, &(lode_quantizer){ .step = 1, .zone = 0.5 }));
    LODE_TRY(lode_i_vector_new(ctx, x->dtype, w.count * RUN, &made));
    w.to = made.data;
    LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(w.count, PIECE_RUNS), pick_task, &w));
    lode_array_swap(some, &made);
done:
    LODE_FREE(&made);
    return st;
}

lode_status lode_i_quantize(lode_ctx *ctx, const lode_array *x, const lode_quantizer *z,
                            lode_array *q)
{
    lode_status st = LODE_OK;
    lode_array made = { 0 };
    work w = { .x = x, .z = z, .n = lode_array_size(x) };
    LODE_TRY(accepted(ctx, x, z));
    LODE_TRY(lode_array_new(ctx, LODE_I32, x->ndim, x->shape, &made));
    w.q = made.data;
    LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(w.n, PIECE), quantize_task, &w));
    lode_array_swap(q, &made);
done:
    LODE_FREE(&made);
    return st;
}

lode_status lode_i_dequantize(lode_ctx *ctx, const lode_array *q, const lode_quantizer *z,
                              lode_dtype dtype, lode_array *x)
{
    lode_status st = LODE_OK;
    lode_array made = { 0 };
    work w = { .x = &made, .z = z, .n = lode_array_size(q), .q = q->data };
    LODE_TRY(lode_array_new(ctx, dtype, q->ndim, q->shape, &made));
    LODE_TRY(accepted(ctx, &made, z));
    LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(w.n, PIECE), dequantize_task, &w));
    lode_array_swap(x, &made);
done:
    LODE_FREE(&made);
    return st;
}

/* Hands the memory of `from` on under another type of the same size. */
static void relabel(lode_array *from, lode_dtype dtype, lode_array *to)
{
    lode_array made = *from;
    *from = (lode_array){ 0 };
    made.dtype = dtype;
    lode_array_free(to);
    *to = made;
}

lode_status lode_i_quantize_over(lode_ctx *ctx, lode_array *x, const lode_quantizer *z,
                                 lode_array *q)
{
    lode_status st = LODE_OK;
    lode_array given = { 0 };
    lode_array_swap(&given, x);
    work w = { .z = z, .n = lode_array_size(&given), .q = given.data };
    LODE_TRY(accepted(ctx, &given, z));
    if (given.dtype != LODE_F32) {
        LODE_TRY(lode_i_quantize(ctx, &given, z, q));
        goto done;
    }
    LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(w.n, PIECE), quantize_over_task, &w));
    relabel(&given, LODE_I32, q);
done:
    LODE_FREE(&given);
    return st;
}

lode_status lode_i_dequantize_over(lode_ctx *ctx, lode_array *q, const lode_quantizer *z,
                                   lode_dtype dtype, lode_array *x)
{
    lode_status st = LODE_OK;
    lode_array given = { 0 };
    lode_array_swap(&given, q);
    work w = { .z = z, .n = lode_array_size(&given), .q = given.data };
    if (dtype != LODE_F32 || !lode_array_is_contiguous(&given)) {
        LODE_TRY(lode_i_dequantize(ctx, &given, z, dtype, x));
        goto done;
    }
    LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(w.n, PIECE), dequantize_over_task, &w));
    relabel(&given, LODE_F32, x);
done:
    LODE_FREE(&given);
    return st;
}
