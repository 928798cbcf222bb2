/* One block: missing entries filled, a basis for each mode, one step for all coefficients, corrections where a
 * pointwise bound asks for them; then it is decoded and measured, until the goal is met. */
#include <math.h>
#include <string.h>

#include "array/box.h"
#include "ops/compress/compress.h"

enum { TRIES = 6 };

void block_free(block_task *t)
{
    LODE_FREE(&t->x, &t->missing);
    *t = (block_task){ 0 };
}

/* ---- what is written ---- */

typedef struct attempt {
    double outside;     /* error besides that of the coefficients, as measured last; negative: not yet */
    double own;         /* error of the coefficients */
    double bound;       /* pointwise, in working precision; 0: none */
    lode_quantizer z;
} attempt;

static lode_status write_head(lode_ctx *ctx, const block_task *t, int64_t kind, lode_record *r)
{
    lode_status st = LODE_OK;
    lode_array mask = { 0 };
    LODE_TRY(lode_i_record_i64(ctx, r, RECORD_VERSION));
    LODE_TRY(lode_i_record_i64(ctx, r, t->o->block.given ? t->o->block.value : 0));
    LODE_TRY(lode_i_record_i64(ctx, r, kind));
    if (kind == RECORD_EXACT)
        goto done;
    LODE_TRY(lode_i_record_i64(ctx, r, t->f.work == LODE_F64));
    LODE_TRY(lode_i_record_i64(ctx, r, t->f.folds));
    LODE_TRY(lode_i_record_i64(ctx, r, t->missing.data ? 1 + (t->o->missing.kind == LODE_MISSING_VALUE) : 0));
    if (!t->missing.data)
        goto done;
    if (t->o->missing.kind == LODE_MISSING_VALUE)
        LODE_TRY(lode_i_record_f64(ctx, r, t->o->missing.value));
    LODE_TRY(lode_i_encode_mask(ctx, &t->missing, &mask));
    LODE_TRY(lode_i_record_bytes(ctx, r, &mask));
done:
    LODE_FREE(&mask);
    return st;
}

static lode_status write_coefficients(lode_ctx *ctx, const choice *c, const lode_quantizer *z, const lode_array *q,
                                      lode_record *r)
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
    LODE_TRY(lode_i_encode(ctx, q, &stream));
    LODE_TRY(lode_i_record_bytes(ctx, r, &stream));
done:
    LODE_FREE(&stream);
    return st;
}

/* ---- bases cut to what is used ---- */

/* Columns that some nonzero symbol needs; the learned bases coded, and the coefficients in what comes back of them. */
static lode_status trim(lode_ctx *ctx, const lode_array *w, double slack, choice *c)
{
    lode_status st = LODE_OK;
    const int d = w->ndim;
    double *store = NULL, *energy[LODE_MAX_NDIM];
    int64_t box[LODE_MAX_NDIM], length = 0;
    lode_array q = { 0 }, a = { 0 }, b = { 0 };
    lode_quantizer z = { .step = c->step * slack, .zone = 0.6 };
    bool learned = false;

    LODE_TRY(lode_i_quantizer_fit(ctx, &c->core, &z, NULL, NULL));
    LODE_TRY(lode_i_quantize(ctx, &c->core, &z, &q));
    lode_i_symbols_box(&q, box);
    lode_array_free(&q);
    for (int k = 0; k < d; k++) {
        box[k] = c->b[k].kind == BASIS_NONE ? w->shape[k] : lode_i_max(box[k], 1);
        length += c->core.shape[k];
        learned |= c->b[k].kind == BASIS_LEARNED;
    }
    LODE_TRY(LODE_NEW(ctx, length, &store));
    for (int k = 0; k < d; k++)
        energy[k] = k ? energy[k - 1] + c->core.shape[k - 1] : store;
    LODE_TRY(lode_i_slice_energies(ctx, &c->core, NULL, NULL, energy));
    for (int k = 0; k < d; k++) {
        basis *m = &c->b[k];
        if (m->kind == BASIS_LEARNED) {
            for (int64_t j = 0; j < box[k]; j++)
                energy[k][j] = sqrt(energy[k][j]);
            LODE_TRY(basis_learned(ctx, &m->matrix, energy[k], box[k], c->step, m));
        } else if (m->kind == BASIS_DCT) {
            LODE_TRY(basis_dct(ctx, w->dtype, w->shape[k], box[k], &m->matrix));
            m->columns = box[k];
        }
    }
    if (learned) {
        lode_array_free(&c->core);
        LODE_TRY(basis_multiply(ctx, c->b, true, w, &c->core));
        goto done;
    }
    for (int k = 0; k < d; k++) {
        LODE_TRY(lode_array_slice(ctx, &c->core, k, 0, box[k], 1, &a));
        lode_array_swap(&c->core, &a);
        lode_array_free(&a);
    }
    LODE_TRY(lode_i_as(ctx, &c->core, c->core.dtype, &b));
    lode_array_swap(&c->core, &b);
done:
    lode_i_free(store);
    LODE_FREE(&q, &a, &b);
    return st;
}

/* ---- decoding and measuring ---- */

lode_status compress_measure(lode_ctx *ctx, const block_task *t, const lode_array *coded, const lode_array *block,
                             lode_diff *diff)
{
    lode_status st = LODE_OK;
    lode_array back = { 0 }, y = { 0 };
    LODE_TRY(compress_decode(ctx, coded, block->dtype, block->ndim, block->shape, &back));
    LODE_TRY(compress_plain(ctx, &t->f, &back, &y));
    lode_array_free(&back);
    if (t->missing.data)
        LODE_TRY(lode_i_missing_put(ctx, &y, &t->missing, NAN));
    LODE_TRY(lode_i_diff(ctx, &t->x, &y, diff));
done:
    LODE_FREE(&back, &y);
    return st;
}

/* Corrections that make the bound hold for what these coefficients give. */
static lode_status write_corrections(lode_ctx *ctx, const block_task *t, const choice *c, const attempt *a,
                                     const lode_array *q, lode_record *r)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 }, v = { 0 }, e = { 0 }, stream = { 0 };
    int64_t count = 0;
    LODE_TRY(lode_i_record_i64(ctx, r, a->bound > 0));
    if (!(a->bound > 0))
        goto done;
    LODE_TRY(lode_i_dequantize(ctx, q, &a->z, t->f.work, &y));
    LODE_TRY(basis_multiply(ctx, c->b, false, &y, &v));
    LODE_TRY(compress_unfold(ctx, &t->f, &v, &y));
    lode_array_free(&v);
    LODE_TRY(lode_i_correct_find(ctx, &t->x, &y, a->bound, &e, &count));
    LODE_TRY(lode_i_encode(ctx, &e, &stream));
    LODE_TRY(lode_i_record_f64(ctx, r, a->bound));
    LODE_TRY(lode_i_record_bytes(ctx, r, &stream));
done:
    LODE_FREE(&y, &v, &e, &stream);
    return st;
}

static lode_status code_once(lode_ctx *ctx, const block_task *t, const choice *c, const attempt *a, lode_array *coded)
{
    lode_status st = LODE_OK;
    lode_record r = { 0 };
    lode_array q = { 0 };
    LODE_TRY(lode_i_quantize(ctx, &c->core, &a->z, &q));
    LODE_TRY(write_head(ctx, t, RECORD_TRANSFORM, &r));
    LODE_TRY(write_coefficients(ctx, c, &a->z, &q, &r));
    LODE_TRY(write_corrections(ctx, t, c, a, &q, &r));
    LODE_TRY(lode_i_record_end(ctx, &r, coded));
done:
    lode_i_record_free(&r);
    LODE_FREE(&q);
    return st;
}

lode_status compress_exact(lode_ctx *ctx, const lode_compress_opts *o, const lode_array *block, lode_array *coded)
{
    lode_status st = LODE_OK;
    const block_task t = { .o = o };
    lode_record r = { 0 };
    lode_array stream = { 0 };
    LODE_TRY(lode_i_encode_exact(ctx, block, &stream));
    LODE_TRY(write_head(ctx, &t, RECORD_EXACT, &r));
    LODE_TRY(lode_i_record_bytes(ctx, &r, &stream));
    LODE_TRY(lode_i_record_end(ctx, &r, coded));
done:
    lode_i_record_free(&r);
    LODE_FREE(&stream);
    return st;
}

/* ---- goals ---- */

/* Codes with the bases of c at the squared error sumsq; *met: the error measured is within it. */
static lode_status code_to_error(lode_ctx *ctx, const block_task *t, const lode_array *w, const lode_array *block,
                                 double sumsq, choice *c, lode_array *coded, lode_diff *diff, bool *met)
{
    lode_status st = LODE_OK;
    attempt a = { .outside = c->outside };
    lode_array now = { 0 };
    lode_diff d = { 0 };

    *met = false;
    LODE_TRY(trim(ctx, w, 0.9, c));
    double least = sumsq;
    for (int i = 0; i < TRIES; i++) {
        const double own = fmax(least - a.outside, 0.02 * sumsq);
        LODE_TRY(compress_step(ctx, &c->core, own, &a.z, NULL));
        LODE_TRY(lode_i_quantizer_fit(ctx, &c->core, &a.z, &a.own, NULL));
        LODE_TRY(code_once(ctx, t, c, &a, &now));
        LODE_TRY(compress_measure(ctx, t, &now, block, &d));
        const bool good = d.sumsq <= sumsq && d.mismatched == 0;
        if (good && (!*met || now.shape[0] < coded->shape[0])) {
            lode_array_swap(coded, &now);
            *diff = d;
            *met = true;
        }
        /* What the error has beside that of the coefficients: bases cut, padding (negative), rounding to the type. */
        const double beside = d.sumsq - a.own;
        if (good && (d.sumsq >= 0.96 * sumsq || i >= 2 || beside < 0))
            break;
        if (!good && i > 1)
            least *= 0.9;
        a.outside = beside > 0 ? beside * 1.001 : 0;
        if (!good && a.outside > sumsq)
            break; /* not to be had with these bases */
    }
done:
    LODE_FREE(&now);
    return st;
}

/* With corrections for what passes the bound, the step is free: coarse steps need many corrections, each of which
 * costs its place and itself. The error is taken as Gaussian. */
static lode_status step_for_bound(lode_ctx *ctx, const block_task *t, const lode_array *core, double bound,
                                  lode_quantizer *best)
{
    static const double deviations[] = { 0.2, 0.24, 0.29, 0.35, 0.42, 0.5, 0.6 };
    const double n = (double)t->f.size;
    double least = INFINITY;
    for (size_t i = 0; i < sizeof deviations / sizeof *deviations; i++) {
        lode_quantizer z;
        double bits = 0;
        const double s = deviations[i], p = erfc(1 / (s * sqrt(2)));
        LODE_FORWARD(compress_step(ctx, core, n * pow(s * bound, 2), &z, &bits));
        const double corrections = n * (-p * log2(p) - (1 - p) * log2(1 - p) + 1.2 * p);
        if (bits + corrections < least) {
            least = bits + corrections;
            *best = z;
        }
    }
    return LODE_OK;
}

static lode_status code_to_bound(lode_ctx *ctx, const block_task *t, const lode_array *w, const lode_array *block,
                                 choice *c, lode_array *coded, lode_diff *diff, bool *met)
{
    lode_status st = LODE_OK;
    attempt a = { 0 };
    lode_array now = { 0 };
    lode_stats s;
    const char class = lode_dtype_class(t->f.stored);
    const bool whole = class == 'i' || class == 'u' || class == 'b';

    *met = false;
    LODE_TRY(lode_i_stats(ctx, &t->x, &s));
    /* Whole numbers are rounded on the way back: anything under a half more comes to the same. */
    double bound = whole ? floor(t->goal.bound) + 0.499 : t->goal.bound;
    LODE_TRY(trim(ctx, w, 0.9, c));
    LODE_TRY(step_for_bound(ctx, t, &c->core, bound, &a.z));
    for (int i = 0; i < 4 && !*met; i++) {
        a.bound = bound * (1 - 1e-6 * pow(30, i)) - 2 * lode_i_epsilon(t->f.work) * s.maxabs;
        if (!(a.bound > 0))
            break;
        const lode_status coding = code_once(ctx, t, c, &a, &now);
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
    LODE_FREE(&now);
    return st;
}

/* The smallest error whose code fits into the bytes: by halves in the logarithm of the error, on the chosen bases,
 * which are chosen anew once the error is about known. */
static lode_status code_to_bytes(lode_ctx *ctx, const block_task *t, const lode_array *w, const lode_array *block,
                                 lode_array *coded, lode_diff *diff, bool *met)
{
    lode_status st = LODE_OK;
    const double most = (double)t->goal.bytes;
    choice c = { 0 };
    lode_array now = { 0 };
    lode_diff d;
    double low = 0, high = t->norm2, sumsq = 1e-4 * t->norm2; /* low does not fit, high does */
    bool good = false;

    *met = false;
    for (int i = 0; i < 12 && high > 1.02 * low; i++) {
        LODE_TRY(compress_choose(ctx, t, w, sumsq, &c));
        LODE_TRY(code_to_error(ctx, t, w, block, sumsq, &c, &now, &d, &good));
        const double size = good ? (double)now.shape[0] : INFINITY;
        if (good && size <= most && (!*met || d.sumsq < diff->sumsq)) {
            lode_array_swap(coded, &now);
            *diff = d;
            *met = true;
        }
        if (*met && size <= most && size > 0.985 * most)
            break;
        if (size <= most)
            high = fmin(high, sumsq);
        else
            low = fmax(low, sumsq);
        const double next = good ? sumsq * pow(size / most, size < most ? 2 : 3) : sumsq * 16;
        sumsq = next > low * 1.005 && next < high * 0.995 ? next : low > 0 ? sqrt(low * high) : high * 1e-4;
        if (!(sumsq > 1e-26 * t->norm2))
            break;
    }
done:
    choice_free(&c);
    LODE_FREE(&now);
    return st;
}

/* ---- the block ---- */

static lode_status transform(lode_ctx *ctx, block_task *t, const lode_array *block, lode_array *coded, lode_diff *diff,
                             bool *met)
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
    LODE_TRY(compress_fold(ctx, &t->f, &filled, &w));
    lode_array_free(&filled);
    if (g->bytes > 0) {
        LODE_TRY(code_to_bytes(ctx, t, &w, block, coded, diff, met));
    } else if (g->bound > 0) {
        LODE_TRY(compress_choose(ctx, t, &w, 0.1 * g->bound * g->bound * (double)t->f.size, &c));
        LODE_TRY(code_to_bound(ctx, t, &w, block, &c, coded, diff, met));
    } else {
        LODE_TRY(compress_choose(ctx, t, &w, g->sumsq, &c));
        const bool ranks = g->rank.count > 0 || g->params > 0;
        const double sumsq = !ranks ? g->sumsq : fmin(g->sumsq, 1.05 * c.outside + 1e-12 * t->norm2);
        LODE_TRY(code_to_error(ctx, t, &w, block, fmax(sumsq, 1.0001 * c.outside), &c, coded, diff, met));
    }
done:
    choice_free(&c);
    LODE_FREE(&filled, &w);
    return st;
}

lode_status compress_encode(lode_ctx *ctx, block_task *t, const lode_array *block, lode_array *coded, lode_diff *diff)
{
    lode_status st = LODE_OK;
    lode_array lossy = { 0 }, plain = { 0 };
    const goal *g = &t->goal;
    const double raw = (double)lode_array_bytes(block);
    bool met = false;

    const bool hopeless = t->o->method == LODE_COMPRESS_LOSSLESS || t->norm2 == 0 || t->f.size < 2 ||
                          (!(g->sumsq > 0) && !(g->bound > 0) && !g->bytes);
    if (!hopeless)
        LODE_TRY(transform(ctx, t, block, &lossy, diff, &met));
    /* Exact values where nothing else holds the goal, or where they are as short. */
    const bool tight = !met || (double)lossy.shape[0] > 0.4 * raw || raw < 1 << 18;
    if (tight && !(g->params > 0) && !(g->rank.count > 0 && met)) {
        LODE_TRY(compress_exact(ctx, t->o, block, &plain));
        const bool fits = !g->bytes || plain.shape[0] <= g->bytes;
        if (!met || (fits && (plain.shape[0] <= lossy.shape[0] || g->bytes > 0))) {
            lode_array_swap(&lossy, &plain);
            LODE_TRY(compress_measure(ctx, t, &lossy, block, diff));
        }
    }
    lode_array_swap(coded, &lossy);
done:
    LODE_FREE(&lossy, &plain);
    return st;
}
