/* Local prediction with feedback. Source: Zhao, Di, Dmitriev, Tonellot, Chen & Cappello, ICDE 2021,
 * doi:10.1109/ICDE51399.2021.00145 (multilevel interpolation); Ibarria, Lindstrom, Rossignac &
 * Szymczak, Computer Graphics Forum 22 (2003) (Lorenzo). Departures: a value between others along
 * several axes takes the weighted mean of what they say, values with fewer such axes first, so that
 * those of one lattice need none of each other and are coded in parallel; lines or cubics by axis
 * and level. */
#include <math.h>
#include <string.h>

#include "code/predict.h"

/* SLAB: values that Lorenzo prediction codes alone, about; PIECE: values a task of a lattice */
enum { SEGMENT = 256, PROBES = 8192, SLAB = 1 << 20, PIECE = 1 << 15 };

typedef struct pass {
    const field *field;
    const lode_predictor *p;
    lattice lattice;
    const uint8_t *rule; /* of its level */
    const void *x;       /* coding: what is wanted; else y */
    void *y, *escape;    /* escape: decoding, where values that no symbol gives come from */
    const uint8_t *set;
    int32_t *symbols;
    double step, inverse, lift, bound;
    bool coding, gathering, wide, chain;
    int64_t rows, task_rows;
    int64_t *escapes; /* of each task: how many; decoding and gathering: where its first one is */
} pass;

#define T float
#define NAME(x) x##_f32
#include "code/predict_kernel.inc"
#undef T
#undef NAME
#define T double
#define NAME(x) x##_f64
#include "code/predict_kernel.inc"

/* ---- the order of coding ---- */

void predict_field(int ndim, const int64_t *shape, field *f)
{
    *f = (field){ .size = 1 };
    for (int k = 0; k < ndim; k++)
        if (shape[k] != 1)
            f->shape[f->ndim++] = shape[k];
    if (f->ndim == 0)
        f->shape[f->ndim++] = 1;
    for (int k = f->ndim - 1; k >= 0; k--) {
        f->stride[k] = f->size;
        f->size *= f->shape[k];
    }
}

static bool is_apart(const lode_predictor *p, int k)
{
    return p->apart >> k & 1;
}

int predict_levels(const field *f, const lode_predictor *p)
{
    int levels = 0;
    for (int k = 0; k < f->ndim; k++)
        while (!is_apart(p, k) && INT64_C(1) << levels < f->shape[k])
            levels++;
    return levels;
}

static int ones(uint32_t m)
{
    int n = 0;
    for (; m; m &= m - 1)
        n++;
    return n;
}

/* The lattice of this stride and these odd axes; false: it is empty. */
static bool lattice_of(const field *f, const lode_predictor *p, lattice *c)
{
    int64_t total = 0;
    c->size = 1;
    for (int k = 0; k < f->ndim; k++) {
        const bool odd = c->odd >> k & 1;
        c->start[k] = odd ? c->stride : 0;
        c->step[k] = is_apart(p, k) ? 1 : 2 * c->stride;
        c->count[k] = c->start[k] < f->shape[k] ? (f->shape[k] - c->start[k] - 1) / c->step[k] + 1
                                                : 0;
        c->size *= c->count[k];
        if (odd)
            total += p->rule[c->level][predict_axis(k)] >> 1;
    }
    const int axes = ones(c->odd);
    for (int k = 0; k < f->ndim; k++)
        if (c->odd >> k & 1)
            c->weight[k] = total ? (double)(p->rule[c->level][predict_axis(k)] >> 1) / (double)total
                                 : 1 / (double)axes;
    return c->size > 0;
}

bool predict_next(const field *f, const lode_predictor *p, lattice *c)
{
    const int levels = predict_levels(f, p);
    if (c->level < 0) { /* one value, and what lies apart from it */
        *c = (lattice){ .level = levels, .stride = INT64_C(1) << levels };
        for (int k = 0; k < f->ndim; k++)
            c->step[k] = 1, c->count[k] = is_apart(p, k) ? f->shape[k] : 1;
        c->size = 1;
        for (int k = 0; k < f->ndim; k++)
            c->size *= c->count[k];
        return true;
    }
    c->first += c->size;
    uint32_t odd = c->odd;
    int axes = ones(odd);
    for (int level = c->level; level >= 0;) {
        uint32_t can = 0;
        if (level < levels)
            for (int k = 0; k < f->ndim; k++)
                if (!is_apart(p, k) && f->shape[k] > INT64_C(1) << level)
                    can |= UINT32_C(1) << k;
        for (int n = axes ? axes : 1; n <= ones(can); n++, odd = 0)
            /* the next subset of the axes that can be odd, with n of them */
            while ((odd = (odd - can) & can) != 0)
                if (ones(odd) == n) {
                    c->level = level, c->odd = odd, c->stride = INT64_C(1) << level;
                    if (lattice_of(f, p, c))
                        return true;
                }
        level--, odd = 0, axes = 0;
    }
    return false;
}

/* ---- passes over a lattice, or over slabs ---- */

static lode_status lattice_task(lode_ctx *ctx, int64_t task, void *data)
{
    const pass *w = data;
    const field *f = w->field;
    const lattice *c = &w->lattice;
    const int last = f->ndim - 1;
    const int64_t from = task * w->task_rows, to = lode_i_min(from + w->task_rows, w->rows);
    int64_t index[LODE_MAX_NDIM] = { 0 }, rest = from, escapes = w->escapes[task];
    (void)ctx;
    for (int k = last - 1; k >= 0; k--) {
        index[k] = rest % c->count[k];
        rest /= c->count[k];
    }
    for (int64_t r = from; r < to; r++) {
        int64_t at = c->start[last];
        int32_t *q = w->symbols + c->first + r * c->count[last];
        for (int k = 0; k < last; k++)
            at += (c->start[k] + index[k] * c->step[k]) * f->stride[k];
        if (w->gathering) {
            if (w->wide)
                gather_f64(w, at, c->step[last], c->count[last], q, &escapes);
            else
                gather_f32(w, at, c->step[last], c->count[last], q, &escapes);
        } else if (w->wide) {
            row_f64(w, at, index, q, &escapes);
        } else {
            row_f32(w, at, index, q, &escapes);
        }
        for (int k = last - 1; k >= 0 && ++index[k] == c->count[k]; k--)
            index[k] = 0;
    }
    w->escapes[task] = escapes;
    return LODE_OK;
}

static lode_status slab_task(lode_ctx *ctx, int64_t task, void *data)
{
    const pass *w = data;
    const field *f = w->field;
    const int last = f->ndim - 1;
    const int64_t n = f->shape[last];
    const int64_t from = task * w->task_rows, to = lode_i_min(from + w->task_rows, w->rows);
    int64_t index[LODE_MAX_NDIM] = { 0 }, rest = from, escapes = w->escapes[task];
    int64_t offset[256];
    int sign[256];
    for (int k = last - 1; k >= 0; k--) {
        index[k] = rest % f->shape[k];
        rest /= f->shape[k];
    }
    const int64_t first = last > 0 ? index[0] : 0; /* of this slab */
    for (int64_t r = from; r < to; r++) {
        int axis[8], axes = 0, terms = 0;
        if ((r - from) % 4096 == 0)
            LODE_FORWARD(lode_i_cancelled(ctx));
        for (int k = 0; k < last && axes < 8; k++)
            if (!is_apart(w->p, k) && index[k] > (k ? 0 : first))
                axis[axes++] = k;
        for (int m = 1; m < 1 << axes; m++) {
            sign[terms] = -1, offset[terms] = 0;
            for (int a = 0; a < axes; a++)
                if (m >> a & 1)
                    sign[terms] = -sign[terms], offset[terms] -= f->stride[axis[a]];
            terms++;
        }
        if (w->gathering && w->wide)
            gather_f64(w, r * n, 1, n, w->symbols + r * n, &escapes);
        else if (w->gathering)
            gather_f32(w, r * n, 1, n, w->symbols + r * n, &escapes);
        else if (w->wide)
            lorenzo_f64(w, r * n, n, terms, offset, sign, w->symbols + r * n, &escapes);
        else
            lorenzo_f32(w, r * n, n, terms, offset, sign, w->symbols + r * n, &escapes);
        for (int k = last - 1; k >= 0 && ++index[k] == f->shape[k]; k--)
            index[k] = 0;
    }
    w->escapes[task] = escapes;
    return LODE_OK;
}

static void set_tasks(pass *w)
{
    const field *f = w->field;
    const int last = f->ndim - 1;
    if (w->p->lorenzo) {
        const int64_t per = last > 0 ? f->stride[0] / f->shape[last] : 1; /* rows of an index */
        w->rows = f->size / lode_i_max(f->shape[last], 1);
        w->task_rows = lode_i_max(1, SLAB / lode_i_max(f->stride[0], 1)) * lode_i_max(per, 1);
        if (last == 0)
            w->task_rows = 1;
    } else {
        w->rows = w->lattice.size / w->lattice.count[last];
        w->task_rows = lode_i_max(1, PIECE / w->lattice.count[last]);
    }
}

/* Before decoding and gathering: where in the escapes each task begins; from -1 on, adds up. */
static void place_escapes(const pass *w, int64_t tasks, bool count, int64_t *total)
{
    const lattice *c = &w->lattice;
    const int64_t length = w->p->lorenzo ? w->field->shape[w->field->ndim - 1]
                                         : c->count[w->field->ndim - 1];
    for (int64_t t = 0; t < tasks; t++) {
        int64_t n = w->escapes[t];
        if (count) {
            const int64_t end = lode_i_min((t + 1) * w->task_rows, w->rows) * length;
            n = 0;
            for (int64_t i = t * w->task_rows * length; i < end; i++)
                n += w->symbols[c->first + i] == ESCAPE;
        }
        w->escapes[t] = *total;
        *total += n;
    }
}

static lode_status run_pass(lode_ctx *ctx, pass *w, int64_t *total)
{
    set_tasks(w);
    const int64_t tasks = lode_i_ceil_div(w->rows, w->task_rows);
    if (w->coding)
        memset(w->escapes, 0, (size_t)tasks * sizeof *w->escapes);
    else
        place_escapes(w, tasks, true, total);
    LODE_FORWARD(lode_i_parallel(ctx, tasks, w->p->lorenzo ? slab_task : lattice_task, w));
    for (int64_t t = 0; w->coding && t < tasks; t++)
        *total += w->escapes[t];
    return LODE_OK;
}

static void set_step(pass *w)
{
    double finer = 1;
    const double alpha = 1 + w->p->finer / 8.0, beta = 1 + w->p->finest / 8.0;
    for (int l = 0; l < w->lattice.level && finer < beta && !w->p->lorenzo; l++)
        finer *= alpha;
    w->step = w->p->step / (finer < beta ? finer : beta);
    w->inverse = 1 / w->step;
}

static lode_status run_passes(lode_ctx *ctx, pass *w, int64_t *total)
{
    const field *f = w->field;
    lode_status st = LODE_OK;
    *total = 0;
    w->lattice = (lattice){ .level = -1 };
    if (f->size == 0)
        goto done;
    LODE_TRY(LODE_NEW(ctx, f->size / PIECE * 2 + 3, &w->escapes));
    if (w->p->lorenzo) {
        w->lattice.level = 0;
        w->chain = !is_apart(w->p, f->ndim - 1);
        set_step(w);
        LODE_TRY(run_pass(ctx, w, total));
        goto done;
    }
    while (predict_next(f, w->p, &w->lattice)) {
        LODE_TRY(lode_i_tick(ctx, w->lattice.first, f->size));
        w->rule = w->p->rule[w->lattice.level < LODE_PREDICT_LEVELS ? w->lattice.level : 0];
        set_step(w);
        LODE_TRY(run_pass(ctx, w, total));
    }
done:
    lode_i_free(w->escapes);
    w->escapes = NULL;
    return st;
}

/* ---- coding and decoding ---- */

void lode_i_predicted_free(lode_predicted *r)
{
    LODE_FREE(&r->y, &r->symbols, &r->escapes);
}

static lode_status accepted(lode_ctx *ctx, const lode_array *x, const lode_array *set)
{
    return (x->dtype == LODE_F32 || x->dtype == LODE_F64) && lode_array_is_contiguous(x) &&
                   (!set || (set->dtype == LODE_BOOL && lode_array_is_contiguous(set) &&
                             lode_array_size(set) == lode_array_size(x)))
               ? LODE_OK
               : lode_i_fail(ctx, LODE_EINTERNAL,
                             "prediction takes contiguous arrays, f32 or f64, and a set alike");
}

lode_status lode_i_predict(lode_ctx *ctx, const lode_array *x, const lode_array *set,
                           const lode_predictor *p, double bound, double zone, lode_predicted *r)
{
    lode_status st = LODE_OK;
    lode_predicted made = { 0 };
    field f;
    int64_t escapes = 0;

    LODE_TRY(accepted(ctx, x, set));
    const bool wide = x->dtype == LODE_F64;
    LODE_REQUIRE(p->step > (wide ? 1e-300 : 1e-35) && p->step < (wide ? 1e300 : 1e35), LODE_EDOMAIN,
                 "prediction cannot work with a step of %g", p->step);
    predict_field(x->ndim, x->shape, &f);
    LODE_TRY(lode_array_new(ctx, x->dtype, x->ndim, x->shape, &made.y));
    LODE_TRY(lode_i_vector_new(ctx, LODE_I32, f.size, &made.symbols));
    pass w = { .field = &f, .p = p, .x = x->data, .y = made.y.data, .symbols = made.symbols.data };
    w.set = set ? set->data : NULL;
    w.wide = wide, w.coding = true, w.bound = bound, w.lift = 1 - zone;
    LODE_TRY(run_passes(ctx, &w, &escapes));
    LODE_TRY(lode_i_vector_new(ctx, x->dtype, escapes, &made.escapes));
    if (escapes) {
        w.coding = false, w.gathering = true, w.escape = made.escapes.data;
        LODE_TRY(run_passes(ctx, &w, &escapes));
    }
    lode_array_swap(&r->y, &made.y);
    lode_array_swap(&r->symbols, &made.symbols);
    lode_array_swap(&r->escapes, &made.escapes);
done:
    lode_i_predicted_free(&made);
    return st;
}

lode_status predict_decode(lode_ctx *ctx, const lode_array *set, const lode_predictor *p,
                           lode_predicted *r)
{
    field f;
    int64_t escapes = 0;
    predict_field(r->y.ndim, r->y.shape, &f);
    pass w = { .field = &f, .p = p, .x = r->y.data, .y = r->y.data, .symbols = r->symbols.data };
    w.set = set ? set->data : NULL;
    w.wide = r->y.dtype == LODE_F64, w.escape = r->escapes.data;
    return run_passes(ctx, &w, &escapes);
}

/* ---- rules ---- */

typedef struct probing {
    const lode_array *x;
    const field *f;
    lode_probes *to;
} probing;

static lode_status probe_task(lode_ctx *ctx, int64_t at, void *data)
{
    const probing *w = data;
    const int64_t l = at / w->f->ndim, k = at % w->f->ndim;
    double *const error = w->to->error[l][k];
    (void)ctx;
    if (w->f->shape[k] <= INT64_C(1) << l)
        return LODE_OK;
    if (w->x->dtype == LODE_F32)
        probe_f32(w->x->data, w->f, (int)k, INT64_C(1) << l, &error[0], &error[1]);
    else
        probe_f64(w->x->data, w->f, (int)k, INT64_C(1) << l, &error[0], &error[1]);
    return LODE_OK;
}

lode_status lode_i_predict_fit(lode_ctx *ctx, const lode_array *x, lode_probes *probes,
                               lode_predictor *p)
{
    lode_status st = LODE_OK;
    field f;
    lode_probes *own = NULL;
    LODE_TRY(accepted(ctx, x, NULL));
    predict_field(x->ndim, x->shape, &f);
    memset(p->rule, 0, sizeof p->rule);
    const int levels = p->lorenzo ? 0 : predict_levels(&f, p);
    if (levels && !probes) {
        LODE_TRY(lode_i_calloc(ctx, sizeof *own, (void **)&own));
        probes = own;
    }
    if (levels && !probes->known) {
        const lode_predictor all = { .apart = 0 };
        field some = f; /* rules are of the first axes */
        some.ndim = f.ndim < 8 ? f.ndim : 8;
        probing w = { .x = x, .f = &some, .to = probes };
        LODE_TRY(
            lode_i_parallel(ctx, (int64_t)predict_levels(&some, &all) * some.ndim, probe_task, &w));
        probes->known = true;
    }
    /* what comes back is off by a step's uniform noise, of which cubics take 0.64, lines 0.5 */
    const double noise = p->step * p->step / 12;
    for (int l = 0; l < levels; l++) {
        double best = 0, value[LODE_MAX_NDIM] = { 0 };
        for (int k = 0; k < f.ndim && k < 8; k++) {
            if (is_apart(p, k) || f.shape[k] <= INT64_C(1) << l)
                continue;
            const double linear = probes->error[l][k][0], cubic = probes->error[l][k][1];
            /* Laplace: the square's mean is twice that of the mean size's square */
            const double a = 2 * linear * linear + 0.5 * noise;
            const double b = 2 * cubic * cubic + 0.64 * noise;
            const bool curved = b < a || !isfinite(linear);
            const double error = curved ? b : a;
            p->rule[l][k] = (uint8_t)curved;
            value[k] = isfinite(error) ? 1 / fmax(error, 1e-300) : 0;
            best = fmax(best, value[k]);
        }
        double next = 0; /* best but one */
        for (int k = 0; k < f.ndim && k < 8; k++)
            next = value[k] < best ? fmax(next, value[k]) : next;
        for (int k = 0; k < f.ndim && k < 8 && best > 0; k++) {
            const double share = !p->alone         ? 15 * value[k] / best
                                 : value[k] < next ? 0
                                 : value[k] < best ? 1
                                                   : 15;
            p->rule[l][k] |= (uint8_t)((int)(share + 0.5) << 1);
        }
    }
done:
    lode_i_free(own);
    return st;
}
