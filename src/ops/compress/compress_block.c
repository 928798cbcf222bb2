/* One block: missing entries filled, a basis for each mode, one step for all coefficients,
 * corrections where a pointwise bound asks for them; then it is decoded and measured, until the
 * goal is met. */
#include <math.h>
#include <string.h>

#include "ops/compress/compress.h"

enum { TRIES = 6, SMALL = 1 << 16 };
/* Bits a value, by the measure that comes with a step, up to which symbols are chosen by their bits:
 * of the block where time counts, else of what is coded. */
#define RATED_FAST 0.4
#define RATED_SLOW 3.0

void block_free(block_task *t)
{
    LODE_FREE(&t->x, &t->missing, &t->above, &t->below);
    *t = (block_task){ 0 };
}

lode_status compress_symbols(lode_ctx *ctx, const lode_compress_opts *o, const lode_array *q,
                             lode_array *stream)
{
    return o->effort <= EFFORT_FAST ? lode_i_encode_fast(ctx, q, stream)
                                    : lode_i_encode(ctx, q, stream);
}

lode_status compress_symbols_estimate(lode_ctx *ctx, const lode_compress_opts *o,
                                      const lode_array *q, double *bytes)
{
    return o->effort <= EFFORT_FAST ? lode_i_encode_fast_estimate(ctx, q, bytes)
                                    : lode_i_encode_estimate(ctx, q, bytes);
}

/* ---- what is written ---- */

typedef struct attempt {
    /* error besides that of the coefficients, as measured last; negative: not yet */
    double outside;
    double own;   /* error of the coefficients */
    double bound; /* pointwise, in working precision; 0: none */
    lode_quantizer z;
} attempt;

lode_status compress_head(lode_ctx *ctx, const block_task *t, int64_t kind, lode_record *r)
{
    lode_status st = LODE_OK;
    lode_array mask = { 0 };
    LODE_TRY(lode_i_record_i64(ctx, r, RECORD_VERSION));
    LODE_TRY(lode_i_record_i64(ctx, r, compress_asked(t->o)));
    LODE_TRY(lode_i_record_i64(ctx, r, kind));
    if (kind == RECORD_EXACT)
        goto done;
    LODE_TRY(lode_i_record_i64(ctx, r, t->f.work == LODE_F64));
    LODE_TRY(lode_i_record_i64(ctx, r, t->f.folds));
    LODE_TRY(lode_i_record_i64(ctx, r,
                               t->above.data     ? RECORD_INFINITE
                               : t->missing.data ? 1 + (t->o->missing.kind == LODE_MISSING_VALUE)
                                                 : 0));
    if (!t->missing.data)
        goto done;
    if (t->o->missing.kind == LODE_MISSING_VALUE)
        LODE_TRY(lode_i_record_f64(ctx, r, t->o->missing.value));
    LODE_TRY(lode_i_encode_mask(ctx, &t->missing, &mask));
    LODE_TRY(lode_i_record_bytes(ctx, r, &mask));
    for (int i = 0; i < 2 && t->above.data; i++) {
        LODE_TRY(lode_i_encode_mask(ctx, i ? &t->below : &t->above, &mask));
        LODE_TRY(lode_i_record_bytes(ctx, r, &mask));
    }
done:
    LODE_FREE(&mask);
    return st;
}

static lode_status write_coefficients(lode_ctx *ctx, const block_task *t, const choice *c,
                                      const lode_quantizer *z, const lode_array *q, lode_record *r)
{
    lode_status st = LODE_OK;
    lode_array stream = { 0 };
    LODE_TRY(lode_i_record_f64(ctx, r, z->step));
    for (int i = 0; i < 2; i++) /* multiples of 2^-12 */
        LODE_TRY(lode_i_record_i64(ctx, r, lrint(ldexp(z->shift[i], 12))));
    for (int k = 0; k < q->ndim; k++) {
        LODE_TRY(lode_i_record_i64(ctx, r, (int64_t)c->b[k].kind));
        LODE_TRY(lode_i_record_i64(ctx, r, q->shape[k]));
        if (c->b[k].kind == BASIS_LEARNED)
            LODE_TRY(lode_i_record_bytes(ctx, r, &c->b[k].coded));
    }
    LODE_TRY(compress_symbols(ctx, t->o, q, &stream));
    LODE_TRY(lode_i_record_bytes(ctx, r, &stream));
done:
    LODE_FREE(&stream);
    return st;
}

/* ---- bases cut to what is used ---- */

static bool learns(const choice *c, int ndim)
{
    bool any = false;
    for (int k = 0; k < ndim; k++)
        any = any || c->b[k].kind == BASIS_LEARNED;
    return any;
}

/* The columns that some nonzero symbol needs at this step; learned bases coded for it, and the
 * coefficients in what comes back of them. */
static lode_status cut(lode_ctx *ctx, const lode_array *w, const choice *c, double step,
                       choice *out)
{
    lode_status st = LODE_OK;
    choice made = { .step = step, .outside = c->outside, .floor = c->floor };
    const int d = w->ndim;
    int64_t box[LODE_MAX_NDIM];
    lode_array q = { 0 }, a = { 0 }, core = { 0 };
    /* the step may yet shrink a little */
    const lode_quantizer z = { .step = 0.9 * step, .zone = COEFFICIENT_ZONE };
    const bool learned = learns(c, d);

    if (learned) {
        if (c->core.data)
            core = lode_array_ref(&c->core);
        else
            LODE_TRY(basis_multiply(ctx, c->b, true, w, &core));
        LODE_TRY(lode_i_quantize(ctx, &core, &z, &q));
        lode_array_free(&core);
        lode_i_symbols_box(&q, box);
        lode_array_free(&q);
    }
    for (int k = 0; k < d && !learned; k++) /* no entry is larger than the norm of its slice */
        for (int64_t j = box[k] = 0; j < c->core.shape[k]; j++)
            if (c->energy[k][j] > (1 - 1e-6) * z.zone * z.step)
                box[k] = j + 1;
    for (int k = 0; k < d; k++) {
        const basis *from = &c->b[k];
        basis *to = &made.b[k];
        box[k] = from->kind == BASIS_NONE ? w->shape[k] : lode_i_max(box[k], 1);
        LODE_TRY(basis_given(ctx, from->kind, w->dtype, w->shape[k], box[k], to));
        if (from->kind == BASIS_LEARNED)
            LODE_TRY(basis_learned(ctx, &from->matrix, c->energy[k], box[k], step, to));
    }
    if (learned) {
        LODE_TRY(basis_multiply(ctx, made.b, true, w, &made.core));
    } else {
        made.core = lode_array_ref(&c->core);
        for (int k = 0; k < d; k++) {
            LODE_TRY(lode_array_slice(ctx, &made.core, k, 0, box[k], 1, &a));
            lode_array_swap(&made.core, &a);
            lode_array_free(&a);
        }
        LODE_TRY(lode_i_as(ctx, &made.core, made.core.dtype, &a));
        lode_array_swap(&made.core, &a);
    }
    choice_free(out);
    *out = made;
    made = (choice){ 0 };
done:
    choice_free(&made);
    LODE_FREE(&q, &a, &core);
    return st;
}

/* ---- decoding and measuring ---- */

lode_status compress_differ(lode_ctx *ctx, const block_task *t, const lode_array *y,
                            lode_diff *diff)
{
    const double bound = t->goal.bound;
    int64_t beyond = 0;
    LODE_FORWARD(lode_i_diff(ctx, &t->x, y, diff));
    if (!(bound > 0) || diff->maxabs < bound || diff->maxabs > bound)
        return LODE_OK;
    LODE_FORWARD(lode_i_diff_beyond(ctx, &t->x, y, bound, &beyond));
    if (beyond)
        diff->maxabs = nextafter(bound, INFINITY);
    return LODE_OK;
}

lode_status compress_measure(lode_ctx *ctx, const block_task *t, const lode_array *coded,
                             const lode_array *block, lode_diff *diff)
{
    lode_status st = LODE_OK;
    lode_array back = { 0 }, y = { 0 };
    LODE_TRY(compress_decode(ctx, coded, block->dtype, block->ndim, block->shape, &back));
    LODE_TRY(compress_plain(ctx, &t->f, &back, t->missing.data != NULL, &y));
    lode_array_free(&back);
    if (t->missing.data)
        LODE_TRY(lode_i_missing_put(ctx, &y, &t->missing, NAN));
    LODE_TRY(compress_differ(ctx, t, &y, diff));
done:
    LODE_FREE(&back, &y);
    return st;
}

/* Corrections that make the bound hold for what these coefficients give, which are used up. */
static lode_status write_corrections(lode_ctx *ctx, const block_task *t, const choice *c,
                                     const attempt *a, lode_array *q, lode_record *r)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 }, v = { 0 }, e = { 0 }, stream = { 0 };
    int64_t count = 0;
    LODE_TRY(lode_i_record_i64(ctx, r, a->bound > 0));
    if (!(a->bound > 0))
        goto done;
    LODE_TRY(lode_i_dequantize_over(ctx, q, &a->z, t->f.work, &v));
    LODE_TRY(basis_multiply(ctx, c->b, false, &v, &v));
    LODE_TRY(compress_unfold(ctx, &t->f, &v, &y));
    lode_array_free(&v);
    LODE_TRY(lode_i_correct_find(ctx, &t->x, &y, a->bound, &e, &count));
    LODE_TRY(compress_symbols(ctx, t->o, &e, &stream));
    LODE_TRY(lode_i_record_f64(ctx, r, a->bound));
    LODE_TRY(lode_i_record_bytes(ctx, r, &stream));
done:
    LODE_FREE(&y, &v, &e, &stream);
    return st;
}

/* Uses q up where there are corrections. */
static lode_status code_once(lode_ctx *ctx, const block_task *t, const choice *c, const attempt *a,
                             lode_array *q, lode_array *coded)
{
    lode_status st = LODE_OK;
    lode_record r = { 0 };
    LODE_TRY(compress_head(ctx, t, RECORD_TRANSFORM, &r));
    LODE_TRY(write_coefficients(ctx, t, c, &a->z, q, &r));
    LODE_TRY(write_corrections(ctx, t, c, a, q, &r));
    LODE_TRY(lode_i_record_end(ctx, &r, coded));
done:
    lode_i_record_free(&r);
    return st;
}

/* Whether choosing symbols by their bits saves enough to be worth its time: it does where most are
 * small. */
static bool rates(const block_task *t, const choice *c)
{
    const double size = (double)lode_array_size(&c->core);
    return t->o->effort > EFFORT_FAST      ? c->bits < RATED_SLOW * size
           : t->o->effort > EFFORT_COSINES ? c->bits < RATED_FAST * (double)t->f.size
                                           : false;
}

/* Symbols at a's quantizer, or by their bits where that is shorter, within the error `own`. over: the
 * core is used up. */
static lode_status choose_symbols(lode_ctx *ctx, const block_task *t, choice *c, double own,
                                  bool rated, bool over, attempt *a, lode_array *q)
{
    lode_status st = LODE_OK;
    lode_array chosen = { 0 };
    lode_quantizer z = a->z;
    double more = fmax(own - a->own, 0), bytes = 0, plain = INFINITY;
    if (rated)
        LODE_TRY(lode_i_quantize_rated(ctx, &c->core, &z, &more, &chosen));
    const bool small = lode_array_size(&c->core) <= SMALL;
    if (!chosen.data || small)
        LODE_TRY(over && !chosen.data ? lode_i_quantize_over(ctx, &c->core, &a->z, q)
                                      : lode_i_quantize(ctx, &c->core, &a->z, q));
    if (chosen.data && small) { /* what saves on average may not on few */
        LODE_TRY(compress_symbols_estimate(ctx, t->o, q, &plain));
        LODE_TRY(compress_symbols_estimate(ctx, t->o, &chosen, &bytes));
    }
    if (chosen.data && !(plain <= bytes)) {
        a->z = z, a->own += more;
        lode_array_swap(q, &chosen);
        if (over)
            lode_array_free(&c->core);
    }
done:
    LODE_FREE(&chosen);
    return st;
}

/* ---- goals ---- */

/* Codes with the bases of c at the squared error sumsq; *met: the error measured is within it. */
static lode_status code_to_error(lode_ctx *ctx, const block_task *t, const lode_array *w,
                                 const lode_array *block, double sumsq, choice *c,
                                 lode_array *coded, lode_diff *diff, bool *met)
{
    lode_status st = LODE_OK;
    attempt a = { .outside = c->outside };
    lode_array now = { 0 }, q = { 0 };
    choice m = { 0 };
    const double room = fmax(sumsq - c->floor, 1e-6 * sumsq); /* what the step can use */
    const bool all = t->o->effort >= EFFORT_ALL, first = t->o->effort <= EFFORT_COSINES;
    double step = c->step, margin = 0;

    /* Bases give the coefficients again where a second try needs them, so the first one may use
     * their memory up. */
    const bool plain = !learns(c, w->ndim), over = plain || lode_array_size(w) >= LARGE;
    *met = false;
    if (!c->core.data)
        LODE_TRY(basis_multiply(ctx, c->b, true, w, &c->core));
    const bool rated = rates(t, c);
    LODE_TRY(cut(ctx, w, c, step, &m));
    if (over)
        lode_array_free(&c->core);
    for (int i = 0; i < TRIES; i++) {
        lode_diff d = { 0 };
        const lode_quantizer before = a.z;
        if (!m.core.data)
            LODE_TRY(basis_multiply(ctx, m.b, true, w, &m.core));
        const double own = fmax(sumsq - margin * room - a.outside, 0.02 * room);
        if (plain && i == 0 && c->own <= own && c->own >= 0.98 * own) /* as it was chosen */
            a.z = c->z, a.own = c->own;
        else
            LODE_TRY(compress_step(ctx, &m.core, own, a.z.step > 0 ? a.z.step : step, &a.z, &a.own,
                                   NULL));
        if (*met && !rated && memcmp(&a.z, &before, sizeof before) == 0)
            break; /* the same code again */
        LODE_TRY(choose_symbols(ctx, t, &m, own, rated, over && w->data != m.core.data, &a, &q));
        LODE_TRY(code_once(ctx, t, &m, &a, &q, &now));
        lode_array_free(&q);
        LODE_TRY(compress_measure(ctx, t, &now, block, &d));
        const bool good = d.sumsq <= sumsq && d.mismatched == 0;
        if (good && (!*met || now.shape[0] < coded->shape[0])) {
            lode_array_swap(coded, &now);
            *diff = d;
            *met = true;
        }
        if (good && first)
            break;
        if (good && (sumsq - d.sumsq <= (all ? 0.004 : 0.03) * room || i >= 2 + 2 * all))
            break;
        if (!good && *met)
            break;
        /* What the error has beside that of the coefficients: bases, rounding to the type; less
         * than nothing where entries do not count (padding, missing). */
        a.outside = d.sumsq - a.own;
        const double noise = a.outside - c->floor;
        if (!good && !plain && noise > 0.6 * room && step > 1e-6 * c->step) { /* bases too coarse */
            const double finer = fmax(0.2, sqrt(0.3 * room / noise));
            step *= finer;
            LODE_TRY(cut(ctx, w, c, step, &m));
            a.outside = c->floor + noise * finer * finer;
        }
        margin = good ? 0.003 : margin + 0.01;
    }
done:
    choice_free(&m);
    LODE_FREE(&now, &q);
    return st;
}

double compress_bound(const block_task *t)
{
    const char class = lode_dtype_class(t->f.stored);
    return class == 'i' || class == 'u' || class == 'b' ? floor(t->goal.bound) + 0.499
                                                        : t->goal.bound;
}

/* With corrections for what passes the bound, the step is free: coarse steps need many corrections,
 * each of which costs its place and itself. The error is taken as Gaussian. */
static lode_status step_for_bound(lode_ctx *ctx, const block_task *t, const lode_array *core,
                                  double bound, lode_quantizer *best)
{
    static const double deviations[] = { 0.2, 0.24, 0.29, 0.35, 0.42, 0.5, 0.6 };
    const double n = (double)t->f.size;
    double least = INFINITY;
    for (size_t i = 0; i < sizeof deviations / sizeof *deviations; i++) {
        lode_quantizer z;
        double bits = 0;
        const double s = deviations[i], p = erfc(1 / (s * sqrt(2)));
        LODE_FORWARD(compress_step(ctx, core, n * pow(s * bound, 2), 0, &z, NULL, &bits));
        const double corrections = n * (-p * log2(p) - (1 - p) * log2(1 - p) + 1.2 * p);
        if (bits + corrections < least) {
            least = bits + corrections;
            *best = z;
        }
    }
    return LODE_OK;
}

/* At this step; *digits: numbers that get a bit longer where it is halved. */
static lode_status code_bounded(lode_ctx *ctx, const block_task *t, const lode_array *w,
                                const lode_array *block, choice *c, double step, lode_array *coded,
                                lode_diff *diff, bool *met, double *digits)
{
    lode_status st = LODE_OK;
    attempt a = { .z = { .step = step, .zone = COEFFICIENT_ZONE } };
    lode_array now = { 0 }, q = { 0 };
    choice m = { 0 };
    const double bound = compress_bound(t);

    *met = false;
    *digits = 0;
    LODE_TRY(cut(ctx, w, c, step, &m));
    lode_array_free(
        &c->core); /* the cut one is all that is needed, and made again where it is used up */
    LODE_TRY(lode_i_quantizer_fit(ctx, &m.core, &a.z, NULL, NULL));
    *digits = (double)lode_array_size(&m.core);
    for (int k = 0; k < w->ndim; k++)
        *digits += (double)(m.b[k].kind == BASIS_LEARNED ? m.b[k].length * m.b[k].columns : 0);
    for (int i = 0; i < 4 && !*met; i++) {
        a.bound = bound * (1 - 1e-6 * pow(30, i)) - 2 * lode_i_epsilon(t->f.work) * t->stats.maxabs;
        if (!(a.bound > 0))
            break;
        if (!m.core.data)
            LODE_TRY(basis_multiply(ctx, m.b, true, w, &m.core));
        lode_status coding = m.core.data == w->data ? lode_i_quantize(ctx, &m.core, &a.z, &q)
                                                    : lode_i_quantize_over(ctx, &m.core, &a.z, &q);
        if (coding >= 0)
            coding = code_once(ctx, t, &m, &a, &q, &now);
        if (coding == LODE_EDOMAIN)
            break; /* out of range: exact values do it */
        LODE_TRY(coding);
        LODE_TRY(compress_measure(ctx, t, &now, block, diff));
        if (diff->maxabs <= t->goal.bound && diff->mismatched == 0) {
            lode_array_swap(coded, &now);
            *met = true;
        }
    }
done:
    choice_free(&m);
    LODE_FREE(&now, &q);
    return st;
}

/* Learned bases leave few numbers, whose errors gather where the entries of the bases are large: steps are
 * halved as long as that makes up for itself in corrections. */
static lode_status code_to_bound(lode_ctx *ctx, const block_task *t, const lode_array *w,
                                 const lode_array *block, choice *c, lode_array *coded,
                                 lode_diff *diff, bool *met)
{
    lode_status st = LODE_OK;
    lode_array now = { 0 };
    lode_quantizer z = { 0 };

    *met = false;
    LODE_TRY(step_for_bound(ctx, t, &c->core, compress_bound(t), &z));
    for (int i = 0; i < TRIES; i++, z.step /= 2) {
        record_info info;
        lode_diff d;
        bool good;
        double digits;
        LODE_TRY(code_bounded(ctx, t, w, block, c, z.step, &now, &d, &good, &digits));
        if (!good || (*met && now.shape[0] >= coded->shape[0]))
            break;
        lode_array_swap(coded, &now);
        *diff = d;
        *met = true;
        LODE_TRY(compress_info(ctx, coded, t->f.stored, block->ndim, block->shape, &info));
        if (!learns(c, w->ndim) || 8 * (double)info.correction_bytes < digits)
            break;
    }
done:
    LODE_FREE(&now);
    return st;
}

/* Bytes and squared error that the bases of c give at this step, about. */
static lode_status size_at(lode_ctx *ctx, const block_task *t, const choice *c, double step,
                           double *bytes, double *sumsq)
{
    lode_status st = LODE_OK;
    lode_quantizer z = { .step = step, .zone = COEFFICIENT_ZONE };
    lode_array q = { 0 };
    int64_t box[LODE_MAX_NDIM];
    LODE_TRY(lode_i_quantizer_fit(ctx, &c->core, &z, sumsq, NULL));
    LODE_TRY(lode_i_quantize(ctx, &c->core, &z, &q));
    lode_i_symbols_box(&q, box);
    LODE_TRY(compress_symbols_estimate(ctx, t->o, &q, bytes));
    for (int k = 0; k < c->core.ndim; k++)
        if (c->b[k].kind == BASIS_LEARNED && box[k] > 0) {
            LODE_TRY(basis_price(ctx, &c->b[k].matrix, c->energy[k], box[k], step, bytes));
            LODE_TRY(basis_noise(ctx, &c->b[k].matrix, c->energy[k], step, sumsq));
        }
    *sumsq += c->floor;
done:
    LODE_FREE(&q);
    return st;
}

/* The squared error at which the code is expected to take so many bytes: bases chosen for an error,
 * the step that fits on them, bases for the error there. */
static lode_status error_for_bytes(lode_ctx *ctx, const block_task *t, const lode_array *w,
                                   double bytes, choice *c, double *sumsq)
{
    *sumsq = 1e-4 * t->stats.sumsq;
    for (int round = 0; round < 4; round++) {
        /* steps that do not fit, and that do */
        double size = 0, error = 0, fine = 0, coarse = INFINITY;
        LODE_FORWARD(compress_choose(ctx, t, w, *sumsq, c));
        double step = c->step;
        for (int i = 0; i < 10; i++) {
            LODE_FORWARD(size_at(ctx, t, c, step, &size, &error));
            if (fabs(size - bytes) < 0.01 * bytes ||
                (step > 2 * t->stats.maxabs * sqrt((double)t->f.size) && size < bytes))
                break;
            if (size > bytes)
                fine = fmax(fine, step);
            else
                coarse = fmin(coarse, step);
            step *= fmin(8, fmax(0.125, pow(size / bytes, 1.3)));
            if (!(step > fine && step < coarse))
                step = isfinite(coarse) ? sqrt(fmax(fine, 1e-3 * coarse) * coarse) : 4 * fine;
        }
        const double before = *sumsq;
        *sumsq = fmin(error, t->stats.sumsq);
        if (!(*sumsq > 1e-26 * t->stats.sumsq) || fabs(log(*sumsq / before)) < 0.2)
            break;
    }
    return LODE_OK;
}

static lode_status code_to_bytes(lode_ctx *ctx, const block_task *t, const lode_array *w,
                                 const lode_array *block, lode_array *coded, lode_diff *diff,
                                 bool *met)
{
    lode_status st = LODE_OK;
    const double most = (double)t->goal.bytes;
    choice c = { 0 };
    lode_array now = { 0 };
    double low = 0, high = t->stats.sumsq, sumsq = 0; /* errors that do not fit, and that do */

    *met = false;
    LODE_TRY(error_for_bytes(ctx, t, w, 0.99 * most, &c, &sumsq));
    for (int i = 0; i < 10 && sumsq > 1e-26 * t->stats.sumsq; i++) {
        lode_diff d;
        bool good = false;
        LODE_TRY(code_to_error(ctx, t, w, block, sumsq, &c, &now, &d, &good));
        const double size = good ? (double)now.shape[0] : 0;
        if (good && size <= most && (!*met || d.sumsq < diff->sumsq)) {
            lode_array_swap(coded, &now);
            *diff = d;
            *met = true;
        }
        if (!good && *met)
            break;
        if (good && size <= most && size > 0.98 * most)
            break;
        if (good && size <= most)
            high = fmin(high, sumsq);
        else
            low = fmax(low, sumsq);
        const double next = good ? sumsq * pow(size / (0.99 * most), 2.5) : 4 * sumsq;
        sumsq = next > low * 1.002 && next < high * 0.998 ? next
                                                          : sqrt(fmax(low, 1e-4 * high) * high);
        if (high < 1.01 * low)
            break;
        if (sumsq > 4 * t->stats.sumsq)
            break;
    }
done:
    choice_free(&c);
    LODE_FREE(&now);
    return st;
}

/* ---- the block ---- */

/* The error that the bases are chosen for; where a size is asked, a likely one. */
static double expected(const block_task *t)
{
    const goal *g = &t->goal;
    return g->bytes > 0   ? 1e-4 * t->stats.sumsq
           : g->bound > 0 ? 0.1 * g->bound * g->bound * (double)t->f.size
                          : g->sumsq;
}

/* Cuts the frame in tiles where that codes shorter than anything whole; where both had to be looked
 * at, c is what is best whole. */
static lode_status cut_in_tiles(lode_ctx *ctx, block_task *t, const lode_array *x, choice *c)
{
    lode_status st = LODE_OK;
    frame f;
    tiling tiles = { 0 };
    lode_array w = { 0 };
    const goal *g = &t->goal;
    const bool may = t->f.folds && t->o->effort > EFFORT_COSINES &&
                     t->o->method == LODE_COMPRESS_AUTO;
    if (may)
        LODE_TRY(compress_tile(ctx, t, x, expected(t), &tiles));
    if (tiles.length == 0)
        goto done;
    if (!tiles.sure && !g->bytes && !(g->bound > 0)) {
        LODE_TRY(compress_fold(ctx, &t->f, x, &w));
        LODE_TRY(compress_choose(ctx, t, &w, g->sumsq, c));
        LODE_TRY(compress_size(ctx, t, &w, c));
        if (c->bytes <= tiles.bytes)
            goto done;
        choice_free(c);
    }
    LODE_TRY(compress_frame(ctx, t->f.stored, t->f.work, t->f.ndim, t->f.shape, tiles.length, &f));
    t->f = f;
done:
    lode_array_free(&w);
    return st;
}

/* Bases are chosen by what they cost at an error, which is not what a bound costs: where they are
 * learned, and corrections take most of the bytes or the bound is not met, cosines are tried
 * too. */
static lode_status bound_by_cosines(lode_ctx *ctx, const block_task *t, const lode_array *w,
                                    const lode_array *block, lode_array *coded, lode_diff *diff,
                                    bool *met)
{
    lode_status st = LODE_OK;
    lode_compress_opts o = *t->o;
    block_task plain = *t;
    choice c = { 0 };
    lode_array other = { 0 };
    lode_diff d = { 0 };
    bool good = false;
    if (*met) {
        record_info info;
        LODE_TRY(compress_info(ctx, coded, t->f.stored, block->ndim, block->shape, &info));
        if (2 * info.correction_bytes < coded->shape[0])
            goto done;
    }
    o.method = LODE_COMPRESS_DCT;
    plain.o = &o;
    LODE_TRY(compress_choose(ctx, &plain, w, expected(t), &c));
    LODE_TRY(code_to_bound(ctx, t, w, block, &c, &other, &d, &good));
    if (good && (!*met || other.shape[0] < coded->shape[0])) {
        lode_array_swap(coded, &other);
        *diff = d;
        *met = true;
    }
done:
    choice_free(&c);
    LODE_FREE(&other);
    return st;
}

lode_status compress_transform(lode_ctx *ctx, block_task *t, const lode_array *block,
                               lode_array *coded, lode_diff *diff, bool *met)
{
    lode_status st = LODE_OK;
    lode_array filled = { 0 }, w = { 0 };
    choice c = { 0 };
    const goal *g = &t->goal;

    if (t->missing.data) {
        LODE_TRY(lode_array_cast(ctx, &t->x, t->f.work, &filled));
        LODE_TRY(lode_i_missing_fill(ctx, &filled, &t->missing));
    } else {
        filled = lode_array_ref(&t->x);
    }
    LODE_TRY(cut_in_tiles(ctx, t, &filled, &c));
    LODE_TRY(compress_fold(ctx, &t->f, &filled, &w));
    lode_array_free(&filled);
    if (g->bytes > 0) {
        LODE_TRY(code_to_bytes(ctx, t, &w, block, coded, diff, met));
    } else if (g->bound > 0) {
        LODE_TRY(compress_choose(ctx, t, &w, expected(t), &c));
        LODE_TRY(code_to_bound(ctx, t, &w, block, &c, coded, diff, met));
        if (learns(&c, w.ndim) && t->o->method == LODE_COMPRESS_AUTO)
            LODE_TRY(bound_by_cosines(ctx, t, &w, block, coded, diff, met));
    } else {
        if (!c.store)
            LODE_TRY(compress_choose(ctx, t, &w, g->sumsq, &c));
        for (int k = 0; k < w.ndim; k++)
            t->unrelated = t->unrelated || (c.b[k].kind == BASIS_NONE && !t->f.place[k] &&
                                            w.shape[k] <= BASIS_LONGEST);
        const bool ranks = g->rank.count > 0 || g->params > 0;
        const double sumsq = !ranks ? g->sumsq
                                    : fmin(g->sumsq, 1.05 * c.floor + 1e-12 * t->stats.sumsq);
        LODE_TRY(code_to_error(ctx, t, &w, block, fmax(sumsq, ranks ? 1.0001 * c.floor : 0), &c,
                               coded, diff, met));
    }
done:
    choice_free(&c);
    LODE_FREE(&filled, &w);
    return st;
}
