/* One block by local prediction: its rules by trial on a sample, then the step that meets the goal.
 */
#include <math.h>
#include <string.h>

#include "ops/compress/compress.h"

/* A sample: up to BOXES boxes of BOX values, or all. */
enum { BOXES = 4, PLACES = 8, BOX = 1 << 16, TRIES = 10, AXES = 10 };
/* Dead zone where the squared error counts; where every entry's error counts there is none. */
#define ZONE 0.55
/* Other rules than the first two rarely save more than this. */
#define HOPE 1.6
/* But where neighbours along some axis have nothing in common, to be predicted without them. */
#define APART 1.6
/* Where all axes say something, one of them must be better by more than a sample may err. */
#define SURE 0.98
/* What one box says may be so far off. */
#define LOOK 1.7
/* Bits a value, below which the coders differ by more than some percent. */
#define LOW 2
/* Codes so short cannot be beaten by much. */
#define SHORT 600

typedef struct sample {
    int boxes;
    bool whole, quick; /* all of it; sizes by the fast coder */
    lode_array x[PLACES], set[PLACES];
    lode_probes *probes; /* of each */
    double scale;        /* values of all over values of these */
    double sumsq;        /* squared error that these may have */
} sample;

static void sample_free(sample *s)
{
    for (int b = 0; b < PLACES; b++)
        LODE_FREE(&s->x[b], &s->set[b]);
    lode_i_free(s->probes);
}

/* A contiguous copy of a box, or all as it is. */
static lode_status cut_box(lode_ctx *ctx, const lode_array *a, const int64_t *start,
                           const int64_t *count, lode_array *box)
{
    lode_status st = LODE_OK;
    lode_array view = { 0 };
    LODE_TRY(lode_i_strided(ctx, a, start, count, NULL, &view));
    LODE_TRY(lode_i_as(ctx, &view, view.dtype, box));
done:
    LODE_FREE(&view);
    return st;
}

void compress_spread(int ndim, const int64_t *shape, const int64_t *count, int b, int boxes,
                     int64_t *start)
{
    for (int k = 0; k < ndim; k++)
        start[k] = (shape[k] - count[k]) * ((b * (2 * k + 1) + k) % boxes) /
                   lode_i_max(boxes - 1, 1);
}

static lode_status probes_new(lode_ctx *ctx, sample *s)
{
    return lode_i_calloc(ctx, PLACES * sizeof *s->probes, (void **)&s->probes);
}

static lode_status take_sample(lode_ctx *ctx, const block_task *t, sample *s)
{
    lode_status st = LODE_OK;
    int64_t count[LODE_MAX_NDIM], start[LODE_MAX_NDIM], size = t->f.size;
    const lode_array *x = &t->x;
    LODE_TRY(probes_new(ctx, s));
    if (size <= 2 * BOXES * BOX) {
        s->boxes = 1, s->whole = true, s->scale = 1;
        s->x[0] = lode_array_ref(x);
        if (t->missing.data)
            s->set[0] = lode_array_ref(&t->missing);
        goto done;
    }
    memcpy(count, x->shape, sizeof count);
    while (size > BOX) { /* the longest axis is halved */
        int longest = 0;
        for (int k = 1; k < x->ndim; k++)
            longest = count[k] > count[longest] ? k : longest;
        size = size / count[longest] * ((count[longest] + 1) / 2);
        count[longest] = (count[longest] + 1) / 2;
    }
    s->scale = (double)t->f.size / (double)(BOXES * size);
    for (int b = 0; b < BOXES; b++) {
        compress_spread(x->ndim, x->shape, count, b, BOXES, start);
        s->boxes = b + 1;
        LODE_TRY(cut_box(ctx, x, start, count, &s->x[b]));
        if (t->missing.data)
            LODE_TRY(cut_box(ctx, &t->missing, start, count, &s->set[b]));
    }
done:
    return st;
}

/* Codes the sample at p->step; its squared error, and bytes (or NULL). */
static lode_status try_sample(lode_ctx *ctx, const sample *s, lode_predictor *p, double bound,
                              double *sumsq, double *bytes)
{
    lode_status st = LODE_OK;
    lode_predicted r = { 0 };
    *sumsq = 0;
    if (bytes)
        *bytes = 0;
    for (int b = 0; b < s->boxes; b++) {
        double more = 0;
        lode_diff d = { 0 };
        LODE_TRY(lode_i_predict_fit(ctx, &s->x[b], &s->probes[b], p));
        LODE_TRY(lode_i_predict(ctx, &s->x[b], s->set[b].data ? &s->set[b] : NULL, p, bound,
                                isfinite(bound) ? 0.5 : ZONE, &r));
        if (!isfinite(bound)) {
            LODE_TRY(lode_i_diff(ctx, &s->x[b], &r.y, &d));
            *sumsq += d.sumsq;
        }
        if (bytes) {
            const double n = (double)lode_array_size(&s->x[b]);
            LODE_TRY(lode_i_predict_estimate(ctx, &s->x[b], p, &r, s->quick, &more));
            if (s->quick && 8 * more < LOW * n)
                LODE_TRY(lode_i_predict_estimate(ctx, &s->x[b], p, &r, false, &more));
            *bytes += more;
        }
    }
done:
    lode_i_predicted_free(&r);
    return st;
}

/* Bytes that the whole would take with these rules, about; where the squared error counts, at the
 * step that gives it. */
static lode_status price(lode_ctx *ctx, const sample *s, lode_predictor *p, double bound,
                         double *bytes)
{
    double error = 0, octaves = 0;
    for (int i = 0; i < 4 && !isfinite(bound) && s->sumsq > 0; i++) {
        LODE_FORWARD(try_sample(ctx, s, p, bound, &error, NULL));
        octaves = error > 0 ? log2(error / s->sumsq) : -8;
        if (fabs(octaves) < 0.1)
            break;
        p->step *= exp2(-0.5 * fmax(-8, fmin(8, octaves)));
    }
    LODE_FORWARD(try_sample(ctx, s, p, bound, &error, bytes));
    *bytes *= s->scale;
    return LODE_OK;
}

/* Takes these rules for the best where they come under `share` of its bytes. */
static lode_status try_rules(lode_ctx *ctx, const sample *s, lode_predictor now, double bound,
                             double share, lode_predictor *best, double *bytes)
{
    double size = 0;
    LODE_FORWARD(price(ctx, s, &now, bound, &size));
    if (size < share * *bytes)
        *bytes = size, *best = now;
    return LODE_OK;
}

/* The rules of interpolation (0) and Lorenzo (1) that code shortest, about, from p[0].step on, as
 * long as they may come under `most` bytes. */
static lode_status choose(lode_ctx *ctx, const block_task *t, const sample *s, double bound,
                          double most, lode_predictor p[2], double bytes[2])
{
    lode_status st = LODE_OK;
    static const int finer[][2] = { { 0, 0 }, { 4, 16 }, { 8, 24 }, { 8, 56 }, { 16, 120 } };
    const double step = p[0].step, more = t->unrelated ? APART : 1;
    lode_predictor now = { .step = step, .finer = 2, .finest = 8 };
    int axes = 0;
    uint32_t pairs = 0;

    for (int k = 0; k < t->x.ndim; k++)
        axes += t->x.shape[k] != 1;
    if (lode_i_is_complex(t->f.stored))
        pairs = UINT32_C(1) << (axes - 1);
    for (int i = 0; i < 2; i++)
        p[i] = now, p[i].lorenzo = i, p[i].apart = pairs;
    if (!s->whole && isfinite(most)) { /* a first look at one of the boxes */
        sample one = *s;
        one.boxes = 1;
        one.scale *= s->boxes, one.sumsq /= s->boxes;
        for (int i = 0; i < 2; i++)
            LODE_TRY(price(ctx, &one, &p[i], bound, &bytes[i]));
        if (fmin(bytes[0], bytes[1]) > more * LOOK * most)
            goto done;
    }
    for (int i = 0; i < 2; i++)
        LODE_TRY(price(ctx, s, &p[i], bound, &bytes[i]));
    if (fmin(bytes[0], bytes[1]) > more * HOPE * most)
        goto done;
    for (int k = 0; k < axes && axes > 1 && axes <= 5; k++)
        for (int i = 0; i < 2; i++) {
            now.lorenzo = i, now.step = p[i].step; /* much the same for all rules */
            now.apart = pairs | UINT32_C(1) << k;
            if (now.apart == pairs || bytes[i] > HOPE * bytes[1 - i])
                continue;
            LODE_TRY(try_rules(ctx, s, now, bound, 1, &p[i], &bytes[i]));
        }
    /* nothing in common along any axis: what predictions say is noise of their own */
    now = (lode_predictor){ .lorenzo = true, .step = p[1].step };
    now.apart = (UINT32_C(1) << axes) - 1;
    LODE_TRY(try_rules(ctx, s, now, bound, 1, &p[1], &bytes[1]));
    if (axes > 1 && bytes[0] < HOPE * bytes[1]) {
        now = p[0];
        now.alone = true;
        LODE_TRY(try_rules(ctx, s, now, bound, SURE, &p[0], &bytes[0]));
    }
    for (size_t i = 0; i < sizeof finer / sizeof *finer && bytes[0] < HOPE * bytes[1]; i++) {
        if (i >= 3 && p[0].finest < finer[i - 1][1])
            break; /* it ends before */
        now = p[0];
        now.finer = finer[i][0], now.finest = finer[i][1];
        LODE_TRY(try_rules(ctx, s, now, bound, 1, &p[0], &bytes[0]));
    }
done:
    return st;
}

/* ---- goals ---- */

static lode_status code_at(lode_ctx *ctx, const block_task *t, lode_predictor *p, double bound,
                           lode_predicted *r)
{
    LODE_FORWARD(lode_i_predict_fit(ctx, &t->x, NULL, p));
    return lode_i_predict(ctx, &t->x, t->missing.data ? &t->missing : NULL, p, bound,
                          isfinite(bound) ? 0.5 : ZONE, r);
}

/* The error of what comes back, after rounding to the stored type. */
static lode_status landed(lode_ctx *ctx, const block_task *t, const lode_predicted *r,
                          lode_diff *diff)
{
    lode_status st = LODE_OK;
    lode_array block = { 0 }, y = { 0 };
    LODE_TRY(compress_store(ctx, &t->f, &r->y, &block));
    LODE_TRY(compress_plain(ctx, &t->f, &block, t->missing.data != NULL, &y));
    if (t->missing.data)
        LODE_TRY(lode_i_missing_put(ctx, &y, &t->missing, NAN));
    LODE_TRY(compress_differ(ctx, t, &y, diff));
done:
    LODE_FREE(&block, &y);
    return st;
}

static lode_status write(lode_ctx *ctx, const block_task *t, const lode_predictor *p,
                         const lode_predicted *r, lode_array *coded)
{
    lode_status st = LODE_OK;
    lode_record record = { 0 };
    LODE_TRY(compress_head(ctx, t, RECORD_PREDICT, &record));
    LODE_TRY(lode_i_predict_write(ctx, &t->x, p, r, &record));
    LODE_TRY(lode_i_record_end(ctx, &record, coded));
done:
    lode_i_record_free(&record);
    return st;
}

/* Steps that the working type bears, and no more axes than rules know. */
static bool usable(const block_task *t, double step)
{
    const double smallest = t->f.work == LODE_F64 ? 1e-300 : 1e-35;
    int axes = 0;
    for (int k = 0; k < t->x.ndim; k++)
        axes += t->x.shape[k] > 1;
    return step > smallest && step < 1 / smallest && axes <= AXES;
}

static lode_status code_to_bound(lode_ctx *ctx, const block_task *t, lode_predictor *p,
                                 lode_predicted *r, bool *met)
{
    for (int i = 0; i < 5 && !*met; i++) {
        lode_diff d;
        /* rounding to the stored type, or in measuring, may take it past the bound */
        const double bound = compress_bound(t) * (i ? 1 - 1e-6 * pow(30, i - 1) : 1) -
                             (i ? 2 * lode_i_epsilon(t->f.work) * t->stats.maxabs : 0);
        if (!(bound > 0))
            break;
        p->step = 2 * bound;
        LODE_FORWARD(code_at(ctx, t, p, bound, r));
        LODE_FORWARD(landed(ctx, t, r, &d));
        *met = d.maxabs <= t->goal.bound;
    }
    return LODE_OK;
}

/* The largest step that keeps the squared error, about. One try is held at a time: the best is made
 * again where a later one was worse. */
static lode_status code_to_error(lode_ctx *ctx, const block_task *t, lode_predictor *p,
                                 lode_predicted *r, bool *met)
{
    lode_status st = LODE_OK;
    const double most = t->goal.sumsq;
    double good = 0, bad = INFINITY, last_step = 0, last_error = 0, slope = 2;
    lode_predictor q = *p;
    const double near = t->o->effort > EFFORT_FAST ? 0.99 : 0.97; /* each pass takes its time */
    bool held = false;
    for (int i = 0; i < TRIES; i++) {
        lode_diff d;
        LODE_TRY(lode_i_tick(ctx, i, TRIES));
        lode_i_predicted_free(r);
        LODE_TRY(code_at(ctx, t, &q, INFINITY, r));
        LODE_TRY(landed(ctx, t, r, &d));
        const double step = q.step;
        held = d.sumsq <= most && step > good;
        if (d.sumsq <= most) {
            if (held)
                *p = q;
            *met = true;
            good = fmax(good, step);
            if (d.sumsq > near * most || step > 8 * t->stats.maxabs)
                break;
        } else {
            bad = fmin(bad, step);
        }
        if (last_step > 0 && d.sumsq > 0 && last_error > 0 && step != last_step)
            slope = fmin(2.5, fmax(0.5, log(d.sumsq / last_error) / log(step / last_step)));
        last_step = step, last_error = d.sumsq;
        q.step = d.sumsq > 0 ? step * pow(0.996 * most / d.sumsq, 1 / slope) : 4 * step;
        q.step = fmin(q.step, 16 * step);
        if (!(q.step > good && q.step < bad))
            q.step = isfinite(bad) ? good > 0 ? sqrt(good * bad) : bad / 4 : 2 * good;
        if (bad < 1.002 * good)
            break;
    }
    if (*met && !held) {
        lode_i_predicted_free(r);
        LODE_TRY(code_at(ctx, t, p, INFINITY, r));
    }
done:
    return st;
}

/* The smallest step whose code fits. */
static lode_status code_to_bytes(lode_ctx *ctx, const block_task *t, lode_predictor *p,
                                 lode_array *coded, bool *met)
{
    lode_status st = LODE_OK;
    const double most = (double)t->goal.bytes;
    lode_predicted r = { 0 };
    lode_array now = { 0 };
    double fits = INFINITY, large = 0; /* steps */
    for (int i = 0; i < TRIES; i++) {
        LODE_TRY(lode_i_tick(ctx, i, TRIES));
        LODE_TRY(code_at(ctx, t, p, INFINITY, &r));
        LODE_TRY(write(ctx, t, p, &r, &now));
        const double step = p->step, size = (double)now.shape[0];
        if (size <= most) {
            if (step < fits)
                lode_array_swap(coded, &now);
            fits = fmin(fits, step);
            *met = true;
            if (size > 0.985 * most)
                break;
        } else {
            large = fmax(large, step);
            if (step > 8 * t->stats.maxabs)
                break; /* nothing shorter is left */
        }
        p->step = step * fmin(16, fmax(1.0 / 16, pow(size / (0.993 * most), 1.2)));
        if (!(p->step > large && p->step < fits))
            p->step = isfinite(fits) ? large > 0 ? sqrt(large * fits) : fits / 16 : 16 * large;
        if (fits < 1.001 * large)
            break;
    }
done:
    lode_i_predicted_free(&r);
    LODE_FREE(&now);
    return st;
}

/* With these rules; *met: as of compress_predict. */
static lode_status code_with(lode_ctx *ctx, const block_task *t, const lode_array *block,
                             const predict_rival *rival, lode_predictor *p, lode_array *coded,
                             lode_diff *diff, bool *met)
{
    lode_status st = LODE_OK;
    const goal *g = &t->goal;
    const bool pointwise = g->bound > 0 && !g->bytes;
    lode_predicted r = { 0 };
    lode_array made = { 0 };
    lode_diff d = { 0 };

    *met = false;
    if (g->bytes) {
        LODE_TRY(code_to_bytes(ctx, t, p, &made, met));
    } else {
        LODE_TRY(pointwise ? code_to_bound(ctx, t, p, &r, met) : code_to_error(ctx, t, p, &r, met));
        if (*met)
            LODE_TRY(write(ctx, t, p, &r, &made));
    }
    lode_i_predicted_free(&r);
    if (!*met)
        goto done;
    LODE_TRY(compress_measure(ctx, t, &made, block, &d));
    *met = d.mismatched == 0 && (pointwise  ? d.maxabs <= g->bound
                                 : g->bytes ? !rival || d.sumsq < rival->sumsq
                                            : d.sumsq <= g->sumsq);
    *met = *met && (g->bytes || !rival || (double)made.shape[0] < rival->bytes);
    if (*met) {
        lode_array_swap(coded, &made);
        *diff = d;
    }
done:
    lode_i_predicted_free(&r);
    LODE_FREE(&made);
    return st;
}

lode_status compress_predict(lode_ctx *ctx, const block_task *t, const lode_array *block,
                             const predict_rival *rival, lode_array *coded, lode_diff *diff,
                             bool *met)
{
    lode_status st = LODE_OK;
    const goal *g = &t->goal;
    sample s = { 0 };
    lode_predictor p[2] = { { .step = 0 }, { .step = 0 } };
    predict_rival best = { 0 };
    double bytes[2] = { 0 };
    const double n = (double)lode_i_max(t->stats.count, 1);

    *met = false;
    const double bound = g->bound > 0 && !g->bytes ? compress_bound(t) : INFINITY;
    const double sumsq = !g->bytes ? g->sumsq : rival ? rival->sumsq : 1e-5 * t->stats.sumsq;
    const double step = isfinite(bound) ? 2 * bound : sqrt(12 * fmin(sumsq, t->stats.sumsq) / n);
    /* where time counts less, looks may be wrong by a little more */
    const double wider = t->o->effort > EFFORT_FAST ? 1.03 : 1;
    const double most = !rival ? INFINITY : g->bytes ? (double)g->bytes : rival->bytes * wider;
    if (!usable(t, step) || most < SHORT)
        goto done;
    LODE_TRY(take_sample(ctx, t, &s));
    s.quick = t->o->effort < EFFORT_ALL;
    s.sumsq = isfinite(sumsq) ? fmin(sumsq, t->stats.sumsq) / s.scale : 0;
    p[0].step = step;
    LODE_TRY(choose(ctx, t, &s, bound, most, p, bytes));
    const double share = s.whole ? 1.05 : 1.15;
    sample_free(&s);
    s = (sample){ 0 };
    /* The likelier one first; the other where it may be shorter. */
    const int first = bytes[1] < bytes[0];
    for (int i = 0; i < 2; i++) {
        const int k = i ? 1 - first : first;
        bool better = false;
        if (bytes[k] > share * most || bytes[k] > 1.3 * bytes[first])
            continue;
        LODE_TRY(code_with(ctx, t, block, rival, &p[k], coded, diff, &better));
        if (!better)
            continue;
        *met = true;
        best = (predict_rival){ (double)coded->shape[0], diff->sumsq };
        rival = &best;
    }
done:
    sample_free(&s);
    return st;
}

lode_status compress_predict_price(lode_ctx *ctx, const block_task *tasks, int count, double most,
                                   lode_predictor *p, bool choosing, double *bytes)
{
    lode_status st = LODE_OK;
    sample s = { .boxes = count, .scale = 1, .quick = tasks->o->effort < EFFORT_ALL };
    lode_predictor two[2] = { { .step = 0 }, { .step = 0 } };
    double size[2] = { INFINITY, INFINITY }, n = 0, energy = 0;
    const double bound = tasks->goal.bound > 0 ? compress_bound(tasks) : INFINITY;
    LODE_TRY(probes_new(ctx, &s));
    for (int b = 0; b < count; b++) {
        s.x[b] = lode_array_ref(&tasks[b].x);
        if (tasks[b].missing.data)
            s.set[b] = lode_array_ref(&tasks[b].missing);
        s.sumsq += isfinite(bound) ? 0 : tasks[b].goal.sumsq;
        energy += tasks[b].stats.sumsq;
        n += (double)tasks[b].stats.count;
    }
    s.sumsq = fmin(s.sumsq, energy);
    two[0].step = isfinite(bound) ? 2 * bound : sqrt(12 * s.sumsq / fmax(n, 1));
    if (choosing && usable(tasks, two[0].step)) {
        LODE_TRY(choose(ctx, tasks, &s, bound, most, two, size));
        *p = two[size[1] < size[0]];
        size[0] = fmin(size[0], size[1]);
    } else if (!choosing) {
        LODE_TRY(price(ctx, &s, p, bound, &size[0]));
    }
    *bytes = size[0];
done:
    sample_free(&s);
    return st;
}
