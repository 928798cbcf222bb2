/* Looks at an array before it is compressed: its sums, and boxes of it at three sizes, coded for
 * real. */
#include <math.h>
#include <string.h>

#include "ops/compress/compress_forecast.h"

/* Boxes hold an eighth of the array, at least TINY and at most MOST values; sums are of all up to
 * READ values, else of that many, SLAB at a time. */
enum { MOST = 1 << 21, READ = 1 << 26, SLAB = 1 << 17, SLAB_MOST = 1 << 21 };
/* Rules of prediction are found in boxes of so many values. */
enum { LOCAL = 1 << 14 };
/* Axes longer than FOLDED are cut by multiples of RUN, which fold well. */
enum { FOLDED = 2048, RUN = 256 };
/* Learned bases must save this share of the bytes; prediction may take as much more in boxes. */
#define PAYS 0.95
#define HOPE 1.35
/* Bytes of a record's head, which a whole block has but once. */
#define HEAD 50

/* What was read of the boxes of a look. */
typedef struct boxes {
    lode_array block[LOOK_BOXES];
    block_task t[LOOK_BOXES];
} boxes;

/* ---- where to look ---- */

/* Sides of a box of about so many values, in proportion to those of a block. */
static void box_sides(const sampler *s, double values, int64_t *count)
{
    const grid *g = &s->j.g;
    const double shrink = pow(values / s->block, 1.0 / (double)lode_i_max(s->axes, 1));
    double size = 1;
    for (int k = 0; k < g->ndim; k++) {
        int64_t side = (int64_t)llround((double)g->side[k] * shrink);
        if (g->side[k] > FOLDED && side > RUN) /* long axes fold: well where they can */
            side -= side % RUN;
        count[k] = lode_i_max(lode_i_min(g->side[k], 2), lode_i_min(side, g->side[k]));
        size *= (double)count[k];
    }
    while (size > 1.5 * values) {
        int longest = 0;
        for (int k = 1; k < g->ndim; k++)
            longest = count[k] > count[longest] ? k : longest;
        if (count[longest] < 2)
            break;
        size = size / (double)count[longest] * (double)((count[longest] + 1) / 2);
        count[longest] = (count[longest] + 1) / 2;
    }
}

static double volume(int ndim, const int64_t *count)
{
    double size = 1;
    for (int k = 0; k < ndim; k++)
        size *= (double)count[k];
    return size;
}

/* Boxes of the first size lie spread; those of the others in corners of theirs. Of one axis, one
 * long box, and shorter ones spread. */
static void place_looks(sampler *s)
{
    const grid *g = &s->j.g;
    const bool line = s->axes < 2;
    const double share = fmin(fmax(0.125, TINY / s->size), MOST / s->size);
    const double parts = line ? 4 : pow(2, s->axes > 3 ? 3 : s->axes); /* of the next size */
    const int number[LOOK_SIZES] = { line ? 1 : LOOK_PLACES, line ? LOOK_PLACES : LOOK_BOXES,
                                     line ? LOOK_PLACES : LOOK_BOXES };
    double values = fmin(s->block,
                         share * s->size / (number[0] + (number[1] + number[2] / parts) / parts));

    for (int i = 0; i < LOOK_SIZES; i++, values /= parts) {
        look *l = &s->look[i];
        const look *above = i ? &s->look[i - 1] : NULL;
        box_sides(s, values, l->count);
        for (int k = 0; above && k < g->ndim; k++)
            l->count[k] = lode_i_min(l->count[k], above->count[k]);
        l->shrink = pow(volume(g->ndim, l->count) / s->block, 1.0 / (double)lode_i_max(s->axes, 1));
        l->boxes = number[i];
        for (int b = 0; b < l->boxes; b++) {
            if (!above || line) {
                compress_spread(g->ndim, g->shape, l->count, b, l->boxes, l->start[b]);
                continue;
            }
            const int in = b * above->boxes / l->boxes; /* the same, or two in each */
            for (int k = 0, cut = 0; k < g->ndim; k++) {
                const int64_t room = above->count[k] - l->count[k];
                const int far = i == 1 ? b & 1 : b >> cut % 2 & 1;
                l->start[b][k] = above->start[in][k] + (far ? room : 0);
                cut += room > 0;
            }
        }
    }
}

/* ---- what is known of all ---- */

lode_status compress_look_sums(lode_ctx *ctx, sampler *s)
{
    lode_status st = LODE_OK;
    job *j = &s->j;
    const grid *g = &j->g;
    lode_array slab = { 0 };
    block_task t = { 0 };
    int64_t start[LODE_MAX_NDIM] = { 0 }, count[LODE_MAX_NDIM], rows = 1;
    double read = 0;
    const double began = lode_i_seconds();
    /* slabs: runs along one axis, those before it at one index */
    int along = 0;
    double row = s->size;
    for (along = 0; along < g->ndim; along++) {
        row /= (double)g->shape[along];
        if (row <= SLAB)
            break;
    }
    if (along == g->ndim)
        along = g->ndim > 0 ? g->ndim - 1 : 0, row = 1;
    rows = lode_i_max(1, (int64_t)(SLAB / row));
    if (g->ndim && row * (double)j->source.chunk[along] <= SLAB_MOST)
        rows = lode_i_max(rows, j->source.chunk[along]);
    rows = lode_i_min(rows, g->ndim ? g->shape[along] : 1);
    double slabs = 1;
    for (int k = 0; k < along; k++)
        slabs *= (double)g->shape[k];
    const int64_t runs = g->ndim ? lode_i_ceil_div(g->shape[along], rows) : 1;
    const int64_t all = (int64_t)slabs * runs;
    const int64_t step = lode_i_max(1, (int64_t)(s->size / READ));
    for (int64_t i = step / 2; i < all; i += step) {
        int64_t at = i / runs;
        for (int k = 0; k < g->ndim; k++)
            count[k] = k < along ? 1 : g->shape[k];
        for (int k = along - 1; k >= 0; at /= g->shape[k--])
            start[k] = at % g->shape[k];
        if (g->ndim) {
            start[along] = i % runs * rows;
            count[along] = lode_i_min(rows, g->shape[along] - start[along]);
        }
        LODE_TRY(lode_i_tick(ctx, i, all));
        LODE_TRY(lode_i_source_read(ctx, &j->source, start, count, j->source.dtype, &slab));
        LODE_TRY(compress_task(ctx, j, &slab, &t));
        const lode_stats v = t.stats;
        j->norm2 += v.sumsq;
        if (v.count) {
            j->low = j->count ? fmin(j->low, v.min) : v.min;
            j->high = j->count ? fmax(j->high, v.max) : v.max;
        }
        j->maxabs = fmax(j->maxabs, v.maxabs);
        j->count += v.count;
        read += (double)lode_array_size(&t.x);
        block_free(&t);
        lode_array_free(&slab);
    }
    j->values = (int64_t)(s->size * (lode_i_is_complex(g->dtype) ? 2 : 1));
    const double more = (double)j->values / fmax(read, 1);
    j->norm2 *= more;
    j->count = (int64_t)((double)j->count * more);
    j->range = j->high - j->low;
    s->sums_seconds = more * (lode_i_seconds() - began);
done:
    block_free(&t);
    LODE_FREE(&slab);
    return st;
}

/* ---- boxes ---- */

static lode_status read_box(lode_ctx *ctx, sampler *s, const int64_t *start, const int64_t *count,
                            lode_array *block, block_task *t)
{
    LODE_FORWARD(lode_i_source_read(ctx, &s->j.source, start, count, s->j.source.dtype, block));
    if (s->method == LODE_COMPRESS_LOSSLESS)
        return LODE_OK;
    LODE_FORWARD(compress_task(ctx, &s->j, block, t));
    t->o = &s->o;
    t->goal = (goal){ .sumsq = s->each * (double)t->stats.count, .bound = s->j.goal.bound };
    if (s->j.goal.bytes > 0 && !(t->goal.bound > 0) && !isfinite(t->goal.sumsq))
        t->goal.bytes = lode_i_max(
            256, (int64_t)((double)s->j.goal.bytes * volume(s->j.g.ndim, count) / s->size));
    return LODE_OK;
}

static lode_status cosines_of(lode_ctx *ctx, const block_task *t, lode_array *core)
{
    lode_status st = LODE_OK;
    lode_array filled = { 0 };
    basis b[LODE_MAX_NDIM] = { { 0 } };
    LODE_TRY(lode_array_cast(ctx, &t->x, t->f.work, &filled));
    if (t->missing.data)
        LODE_TRY(lode_i_missing_fill(ctx, &filled, &t->missing));
    LODE_TRY(compress_fold(ctx, &t->f, &filled, core));
    lode_array_free(&filled);
    for (int k = 0; k < core->ndim; k++) {
        const int64_t n = core->shape[k];
        const basis_kind kind = n > BASIS_LONGEST ? BASIS_NONE : BASIS_DCT;
        LODE_TRY(basis_given(ctx, kind, core->dtype, n, n, &b[k]));
    }
    LODE_TRY(basis_multiply(ctx, b, true, core, core));
done:
    for (int k = 0; k < LODE_MAX_NDIM; k++)
        basis_free(&b[k]);
    LODE_FREE(&filled);
    return st;
}

/* All coefficients have one step, so boxes with less in them take less of the error: as much as it
 * gives on their cosines. */
static lode_status share_error(lode_ctx *ctx, block_task *t, int count)
{
    lode_status st = LODE_OK;
    lode_array core[LOOK_BOXES] = { { 0 } }, all = { 0 }, flat = { 0 }, part = { 0 };
    lode_quantizer z;
    double error[LOOK_BOXES], sum = 0, wanted = 0;
    int64_t size = 0, at = 0;
    for (int b = 0; b < count; b++)
        wanted += t[b].goal.sumsq;
    if (!(wanted > 0) || !isfinite(wanted) || count < 2)
        goto done;
    for (int b = 0; b < count; b++) {
        LODE_TRY(cosines_of(ctx, &t[b], &core[b]));
        size += lode_array_size(&core[b]);
    }
    LODE_TRY(lode_array_new(ctx, core->dtype, 1, &size, &all));
    for (int b = 0; b < count; b++) {
        const int64_t n = lode_array_size(&core[b]);
        LODE_TRY(lode_array_reshape(ctx, &core[b], 1, &n, &flat));
        LODE_TRY(lode_array_slice(ctx, &all, 0, at, at + n, 1, &part));
        LODE_TRY(lode_array_copy_into(ctx, &flat, &part));
        LODE_FREE(&flat, &part);
        at += n;
    }
    LODE_TRY(compress_step(ctx, &all, wanted, 0, &z, NULL, NULL));
    for (int b = 0; b < count; b++) {
        lode_quantizer own = z;
        LODE_TRY(lode_i_quantizer_fit(ctx, &core[b], &own, &error[b], NULL));
        error[b] *= (double)t[b].stats.count / (double)t[b].f.size;
        sum += error[b];
    }
    for (int b = 0; b < count && sum > 0; b++)
        t[b].goal.sumsq = error[b] * fmax(wanted / sum, 1e-3);
done:
    for (int b = 0; b < count; b++)
        lode_array_free(&core[b]);
    LODE_FREE(&all, &flat, &part);
    return st;
}

/* Bytes of the sets of what is missing. */
static lode_status add_masks(lode_ctx *ctx, const block_task *t, double *bytes)
{
    lode_status st = LODE_OK;
    lode_record r = { 0 };
    lode_array coded = { 0 };
    if (!t->missing.data)
        goto done;
    LODE_TRY(compress_head(ctx, t, RECORD_PREDICT, &r));
    LODE_TRY(lode_i_record_end(ctx, &r, &coded));
    *bytes += (double)coded.shape[0];
done:
    lode_i_record_free(&r);
    LODE_FREE(&coded);
    return st;
}

static void boxes_free(boxes *x)
{
    for (int b = 0; b < LOOK_BOXES; b++) {
        block_free(&x->t[b]);
        LODE_FREE(&x->block[b]);
    }
}

static lode_status read_boxes(lode_ctx *ctx, sampler *s, const look *l, boxes *x)
{
    for (int b = 0; b < l->boxes; b++)
        LODE_FORWARD(read_box(ctx, s, l->start[b], l->count, &x->block[b], &x->t[b]));
    return LODE_OK;
}

static lode_status code_box(lode_ctx *ctx, sampler *s, boxes *x, int b, lode_array *coded,
                            double *seconds, int *unmet)
{
    block_task *t = &x->t[b];
    const frame whole = t->f; /* the transform may cut it in tiles */
    bool met = false;
    lode_diff d;
    const double began = lode_i_seconds();
    t->o = &s->o;
    if (t->stats.sumsq > 0 && (t->goal.sumsq > 0 || t->goal.bound > 0) && t->f.size > 1) {
        const lode_status coding = compress_transform(ctx, t, &x->block[b], coded, &d, &met);
        t->f = whole;
        if (coding != LODE_EDOMAIN)
            LODE_FORWARD(coding);
    }
    if (!met)
        LODE_FORWARD(compress_exact(ctx, &s->o, &x->block[b], coded));
    *unmet += !met;
    *seconds += lode_i_seconds() - began;
    return LODE_OK;
}

/* Whether learned bases pay here: else boxes are coded with cosines alone, which is much less
 * work. */
static lode_status try_learning(lode_ctx *ctx, sampler *s, boxes *x)
{
    lode_status st = LODE_OK;
    lode_array coded = { 0 };
    double with = 0, without = 0;
    int unmet = 0;
    LODE_TRY(code_box(ctx, s, x, 0, &coded, &with, &unmet));
    const double all = (double)coded.shape[0];
    s->o.method = LODE_COMPRESS_DCT;
    LODE_TRY(code_box(ctx, s, x, 0, &coded, &without, &unmet));
    s->learning = fmax(1, with / fmax(without, 1e-9));
    s->learns = all < PAYS * (double)coded.shape[0];
    s->o.method = s->learns ? s->method : LODE_COMPRESS_DCT;
done:
    LODE_FREE(&coded);
    return st;
}

/* Sizes of what low rank leaves: a core, and bases. */
static lode_status note_ranks(lode_ctx *ctx, const block_task *t, const lode_array *coded, look *l)
{
    record_info info;
    double columns = 1;
    LODE_FORWARD(compress_info(ctx, coded, t->f.stored, t->f.ndim, t->f.shape, &info));
    if (info.exact)
        columns = 0;
    for (int k = 0; k < info.modes; k++)
        columns *= info.kind[k] == BASIS_LEARNED ? (double)info.columns[k] : 0;
    l->columns = l->columns < 0 || !(columns > 0) ? -1 : l->columns + columns / l->boxes;
    l->core += (double)(coded->shape[0] - info.basis_bytes) / l->boxes;
    l->bases += (double)info.basis_bytes / l->boxes;
    return LODE_OK;
}

/* Of bytes a value, from their squares in the boxes and all bytes. */
static double spread_of(double squares, double bytes, const look *l)
{
    const double mean = bytes / l->values;
    return sqrt(fmax(0, squares / l->boxes - mean * mean));
}

static lode_status transform_look(lode_ctx *ctx, sampler *s, look *l, boxes *x)
{
    lode_status st = LODE_OK;
    lode_array coded = { 0 };
    double squares = 0;
    for (int b = 0; b < l->boxes; b++)
        l->values += (double)lode_array_size(&x->block[b]);
    if (s->method == LODE_COMPRESS_PREDICT || s->method == LODE_COMPRESS_LOSSLESS) {
        l->bytes = INFINITY;
        goto done;
    }
    if (!(s->j.goal.bound > 0))
        LODE_TRY(share_error(ctx, x->t, l->boxes));
    if (l == s->look && s->method == LODE_COMPRESS_AUTO && s->o.effort > EFFORT_COSINES)
        LODE_TRY(try_learning(ctx, s, x));
    for (int b = 0; b < l->boxes; b++) {
        LODE_TRY(lode_i_tick(ctx, b, l->boxes));
        LODE_TRY(code_box(ctx, s, x, b, &coded, &l->seconds, &l->unmet));
        LODE_TRY(note_ranks(ctx, &x->t[b], &coded, l));
        const double size = fmax(1, (double)coded.shape[0] - HEAD),
                     n = (double)lode_array_size(&x->block[b]);
        l->bytes += size;
        squares += size / n * size / n;
    }
    l->spread = spread_of(squares, l->bytes, l);
done:
    LODE_FREE(&coded);
    return st;
}

/* By prediction at the rules found, and exactly. */
static lode_status local_look(lode_ctx *ctx, sampler *s, look *l, boxes *x)
{
    lode_status st = LODE_OK;
    lode_array coded = { 0 };
    double squares = 0;
    const double raw = l->values * (double)lode_dtype_size(s->j.g.dtype);
    double began = lode_i_seconds();
    l->predicted = INFINITY;
    if (isfinite(s->rules_rate)) {
        lode_predictor p = s->rules;
        for (int b = 0; b < l->boxes; b++) /* prediction has one step for all */
            x->t[b].goal.sumsq = s->each * (double)x->t[b].stats.count;
        LODE_TRY(compress_predict_price(ctx, x->t, l->boxes, INFINITY, &p, false, &l->predicted));
        for (int b = 0; b < l->boxes; b++)
            LODE_TRY(add_masks(ctx, &x->t[b], &l->predicted));
        l->predict_seconds = lode_i_seconds() - began;
    }
    began = lode_i_seconds();
    l->exact = INFINITY;
    l->share = 0;
    for (int b = 0; b < l->boxes && s->method != LODE_COMPRESS_LOSSLESS; b++)
        l->share = fmax(l->share, compress_exact_share(&x->t[b]));
    const double size = fmin(l->bytes, l->predicted);
    if (s->method == LODE_COMPRESS_LOSSLESS ||
        (s->method != LODE_COMPRESS_PREDICT &&
         (size > 0.75 * l->share * raw || s->j.goal.bytes > 0 || s->size < 1 << 18))) {
        l->exact = 0;
        for (int b = 0; b < l->boxes; b++) {
            LODE_TRY(compress_exact(ctx, &s->o, &x->block[b], &coded));
            l->exact += (double)coded.shape[0];
            squares += pow((double)coded.shape[0] / (double)lode_array_size(&x->block[b]), 2);
        }
        l->exact_spread = spread_of(squares, l->exact, l);
        l->exact_seconds = lode_i_seconds() - began;
    }
done:
    LODE_FREE(&coded);
    return st;
}

/* Rules of prediction from a small sample; INFINITY: they are far from being shorter than `most`
 * bytes a value. */
static lode_status find_rules(lode_ctx *ctx, sampler *s, double most)
{
    lode_status st = LODE_OK;
    look l = { .boxes = LOOK_PLACES };
    boxes *x = NULL;
    const bool tries = s->method == LODE_COMPRESS_PREDICT ||
                       (s->method == LODE_COMPRESS_AUTO && s->o.effort > EFFORT_COSINES);
    s->rules_rate = INFINITY;
    /* the stored type is too coarse for the bound */
    const bool hopeless = s->j.goal.bound > 0 && s->look[0].unmet == s->look[0].boxes;
    if (!tries || hopeless || s->j.goal.params > 0 || s->j.goal.rank.count > 0)
        goto done;
    LODE_TRY(lode_i_calloc(ctx, sizeof *x, (void **)&x));
    box_sides(s, fmin(LOCAL, s->look[0].values / LOOK_PLACES), l.count);
    for (int b = 0; b < LOOK_PLACES; b++)
        compress_spread(s->j.g.ndim, s->j.g.shape, l.count, b, LOOK_PLACES, l.start[b]);
    LODE_TRY(read_boxes(ctx, s, &l, x));
    l.values = LOOK_PLACES * volume(s->j.g.ndim, l.count);
    const double began = lode_i_seconds();
    double bytes = INFINITY;
    LODE_TRY(
        compress_predict_price(ctx, x->t, LOOK_PLACES, most * l.values, &s->rules, true, &bytes));
    s->rules_seconds = lode_i_seconds() - began;
    s->rules_values = l.values;
    if (bytes < HOPE * most * l.values)
        s->rules_rate = bytes / l.values;
done:
    if (x)
        boxes_free(x);
    lode_i_free(x);
    return st;
}

lode_status compress_look(lode_ctx *ctx, sampler *s)
{
    lode_status st = LODE_OK;
    boxes *x = NULL;
    LODE_TRY(lode_i_calloc(ctx, sizeof *x, (void **)&x));
    place_looks(s);
    for (int i = 0; i < LOOK_SIZES; i++) {
        look *l = &s->look[i];
        LODE_TRY(read_boxes(ctx, s, l, x));
        LODE_TRY(transform_look(ctx, s, l, x));
        if (i == 0)
            LODE_TRY(find_rules(ctx, s, l->bytes / l->values));
        if (i < 2)
            LODE_TRY(local_look(ctx, s, l, x));
        boxes_free(x);
    }
done:
    if (x)
        boxes_free(x);
    lode_i_free(x);
    return st;
}
