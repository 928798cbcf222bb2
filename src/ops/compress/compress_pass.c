/* The passes of compress over its blocks: what is to be coded, the goal, block after block. */
#include <math.h>
#include <string.h>

#include "lode/io.h"
#include "ops/compress/compress.h"

#define READING 0.02 /* of the time, of the first pass */

static lode_status read_block(lode_ctx *ctx, job *j, int64_t b, lode_array *block)
{
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM];
    if (j->held.data) {
        *block = lode_array_ref(&j->held);
        return LODE_OK;
    }
    if (j->whole && j->g.blocks == 1)
        return lode_i_as(ctx, j->whole, j->whole->dtype, block);
    compress_block(&j->g, b, start, count);
    LODE_FORWARD(lode_i_source_read(ctx, &j->source, start, count, j->source.dtype, block));
    if (j->g.blocks > 1)
        return LODE_OK;
    j->held = lode_array_ref(block);
    return lode_hash(ctx, lode_from_array(block), j->hash);
}

/* Index in the whole array of a value of a block. */
static lode_status refuse(lode_ctx *ctx, const job *j, int64_t b, const frame *f, int64_t flat,
                          const char *what)
{
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM], at = 0, stride = 1;
    char index[256];
    if (lode_i_is_complex(f->stored))
        flat /= 2;
    compress_block(&j->g, b, start, count);
    for (int k = j->g.ndim - 1; k >= 0; k--) {
        at += (start[k] + flat % count[k]) * stride;
        flat /= count[k];
        stride *= j->g.shape[k];
    }
    lode_i_print_index(j->g.ndim, j->g.shape, at, index, sizeof index);
    return lode_i_fail(ctx, LODE_EDOMAIN, "compress: X%s is %s", index, what);
}

static double value_at(const lode_array *x, int64_t flat)
{
    int64_t index[LODE_MAX_NDIM];
    for (int k = x->ndim - 1; k >= 0; flat /= x->shape[k--])
        index[k] = flat % x->shape[k];
    return lode_array_get(x, index);
}

/* Infinities become NaN, their sets are kept. */
static lode_status hide_infinities(lode_ctx *ctx, block_task *t)
{
    int64_t count = 0;
    LODE_FORWARD(lode_i_missing_find(ctx, &t->x, false, INFINITY, &t->above, &count));
    LODE_FORWARD(lode_i_missing_find(ctx, &t->x, false, -INFINITY, &t->below, &count));
    LODE_FORWARD(lode_i_missing_put(ctx, &t->x, &t->above, NAN));
    LODE_FORWARD(lode_i_missing_put(ctx, &t->x, &t->below, NAN));
    return lode_i_stats(ctx, &t->x, &t->stats);
}

/* A block in working form, missing entries as NaN and their set. */
static lode_status open_block(lode_ctx *ctx, const job *j, int64_t b, const lode_array *block,
                              block_task *t)
{
    lode_status st = LODE_OK;
    lode_stats s;
    int64_t missing = 0;
    const lode_missing *m = &j->o->missing;
    const bool folds = !j->o->rank.count && j->o->budget.kind != LODE_BUDGET_PARAMS;
    LODE_TRY(compress_frame(ctx, block->dtype, j->work, block->ndim, block->shape, folds, &t->f));
    LODE_TRY(compress_plain(ctx, &t->f, block,
                            m->kind == LODE_MISSING_VALUE || m->kind == LODE_MISSING_INF, &t->x));
    if (m->kind == LODE_MISSING_VALUE) {
        LODE_TRY(lode_i_missing_find(ctx, &t->x, false, m->value, &t->missing, &missing));
        if (missing)
            LODE_TRY(lode_i_missing_put(ctx, &t->x, &t->missing, NAN));
    }
    LODE_TRY(lode_i_stats(ctx, &t->x, &s));
    if (s.infinite > 0 && m->kind == LODE_MISSING_INF) {
        LODE_TRY(hide_infinities(ctx, t));
        s = t->stats;
    }
    if (s.first_infinite >= 0)
        LODE_TRY(refuse(ctx, j, b, &t->f, s.first_infinite,
                        value_at(&t->x, s.first_infinite) > 0
                            ? "inf; --missing inf keeps infinities where they are, --method "
                              "lossless every bit"
                            : "-inf; --missing inf keeps infinities where they are, --method "
                              "lossless every bit"));
    const bool nan = m->kind == LODE_MISSING_NAN || m->kind == LODE_MISSING_INF;
    if (s.missing > missing && !nan)
        LODE_TRY(refuse(ctx, j, b, &t->f, s.first_nan,
                        "NaN, and missing values are not declared as NaN (--missing nan)"));
    if (nan && s.missing > 0)
        LODE_TRY(lode_i_missing_find(ctx, &t->x, true, 0, &t->missing, &missing));
    if (missing == 0)
        lode_array_free(&t->missing);
    t->stats = s;
done:
    return st;
}

static lode_status survey(lode_ctx *ctx, job *j)
{
    lode_status st = LODE_OK;
    lode_array block = { 0 };
    block_task t = { 0 };
    lode_i_stage(ctx, "reading", 0, READING);
    for (int64_t b = 0; b < j->g.blocks; b++) {
        LODE_TRY(lode_i_tick(ctx, b, j->g.blocks));
        LODE_TRY(read_block(ctx, j, b, &block));
        LODE_TRY(open_block(ctx, j, b, &block, &t));
        const lode_stats s = t.stats;
        j->norm2 += s.sumsq;
        if (s.count) {
            j->low = j->count ? fmin(j->low, s.min) : s.min;
            j->high = j->count ? fmax(j->high, s.max) : s.max;
        }
        j->maxabs = fmax(j->maxabs, s.maxabs);
        j->count += s.count;
        j->values += lode_array_size(&t.x);
        if (j->g.blocks == 1) {
            j->known = t;
            t = (block_task){ 0 };
        }
        block_free(&t);
        lode_array_free(&block);
    }
    if (j->before && j->before->count > 0) { /* errors relative to the range mean the whole's */
        j->low = j->count ? fmin(j->low, j->before->low) : j->before->low;
        j->high = j->count ? fmax(j->high, j->before->high) : j->before->high;
    }
    j->range = j->high - j->low;
done:
    block_free(&t);
    LODE_FREE(&block);
    return st;
}

/* Numbers that ranks of 1 take. */
static int64_t least_params(const grid *g)
{
    int64_t least = 1 + (lode_i_is_complex(g->dtype) ? 2 : 0);
    for (int k = 0; k < g->ndim; k++)
        least += g->side[k] > 1 ? g->side[k] : 0;
    return least * g->blocks;
}

static lode_error_spec error_of(const lode_compress_opts *o)
{
    return o->error.kind == LODE_ERROR_NONE && o->budget.kind == LODE_BUDGET_NONE && !o->rank.count
               ? lode_error_rel(DEFAULT_ERROR)
               : o->error;
}

/* The error asked as a squared sum or a pointwise bound, and none of a size. */
goal compress_goal(const lode_compress_opts *o, double norm2, double range, double count)
{
    const lode_error_spec e = error_of(o);
    goal g = { .sumsq = INFINITY, .rank = o->rank };
    if (lode_i_error_is_pointwise(&e)) {
        g.bound = e.kind == LODE_ERROR_MAXREL ? e.value * range : e.value;
        if (!(g.bound > 0)) /* of a constant: every bit */
            g.sumsq = 0;
    } else if (e.kind != LODE_ERROR_NONE) {
        const double fro = lode_i_error_target_fro(&e, sqrt(norm2), range, (int64_t)count);
        g.sumsq = fro * fro;
    }
    return g;
}

/* The same, and the size asked as bytes or numbers. Of a part that is added: relative errors are to
 * its own norm or the range of the whole, so that the whole keeps them; an absolute one gets its
 * share of what is left; sizes are as many bytes or numbers a value as before. */
static lode_status set_goal(lode_ctx *ctx, job *j)
{
    const lode_compress_opts *o = j->o;
    const lode_error_spec e = error_of(o);
    goal *g = &j->goal;
    *g = compress_goal(o, j->norm2, j->range, (double)j->count);
    if (j->before && e.kind == LODE_ERROR_FRO)
        g->sumsq = fmax(g->sumsq - j->before->sumsq, 0) * (double)j->values /
                   fmax(1, (double)j->values + j->values_before);
    if (o->budget.kind != LODE_BUDGET_NONE && o->rank.count)
        return lode_i_fail(
            ctx, LODE_EUSAGE,
            "compress: options budget and rank both decide the ranks; give one of them");
    if (o->method == LODE_COMPRESS_PREDICT &&
        (o->rank.count || o->budget.kind == LODE_BUDGET_PARAMS))
        return lode_i_fail(
            ctx, LODE_EUSAGE,
            "compress: method predict has no bases; leave out rank and budget params");
    if (o->method == LODE_COMPRESS_TT &&
        (o->rank.count || o->budget.kind != LODE_BUDGET_NONE || lode_i_error_is_pointwise(&e)))
        return lode_i_fail(
            ctx, LODE_EUSAGE,
            "compress: method tt keeps to a sum of squares (E, E:fro, P:psnr); leave "
            "out rank, budget and pointwise errors");
    if (o->rank.count > 1 && o->rank.count != j->g.ndim)
        return lode_i_fail(ctx, LODE_ESHAPE, "compress: option rank has %d numbers for %d modes",
                           (int)o->rank.count, j->g.ndim);
    if (lode_i_error_is_pointwise(&e) && (o->rank.count || o->budget.kind == LODE_BUDGET_PARAMS))
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "compress: a pointwise error (:max, :maxrel) decides the ranks itself; "
                           "leave out rank and budget params");
    const double size = o->budget.value *
                        (j->before ? (double)j->values / fmax(1, j->values_asked) : 1);
    if (o->budget.kind == LODE_BUDGET_PARAMS)
        g->params = size < 0x1p62 ? (int64_t)size : INT64_C(1) << 62;
    if (o->budget.kind == LODE_BUDGET_PARAMS && j->before)
        g->params = lode_i_max(g->params, least_params(&j->g)); /* a thin part has no less */
    const double bytes = o->budget.kind == LODE_BUDGET_BYTES ? size
                         : o->budget.kind == LODE_BUDGET_BITS
                             ? o->budget.value * (double)j->values / 8
                             : 0;
    if (bytes > 0) {
        const int64_t beside = j->before ? j->g.blocks * ADDED : HEADER + j->g.blocks * MEMBER;
        const double records = bytes - (double)beside;
        if (records < 64)
            return lode_i_fail(
                ctx, LODE_EPARAM,
                j->before ? "compress: %.0f bytes, the budget's share of the new part, hold "
                            "no record; add more at once: it takes %" PRId64 " at least"
                          : "compress: a budget of %.0f bytes holds no file; its header "
                            "alone takes %" PRId64,
                bytes, beside + 64);
        g->bytes = records < 0x1p62 ? (int64_t)records : INT64_C(1) << 62;
    }
    return LODE_OK;
}

/* What is left of the whole's goal, shared out by size: so the step stays about the same in all
 * blocks. */
static goal share(const goal *left, int64_t values_left, const block_task *t)
{
    goal g = *left;
    const double part = (double)t->f.size / (double)lode_i_max(values_left, 1);
    g.sumsq *= part;
    if (g.bytes)
        g.bytes = lode_i_max(1, (int64_t)((double)g.bytes * part));
    if (g.params)
        g.params = (int64_t)((double)left->params * part);
    return g;
}

/* One block, the error first; a budget asked with it is a cap. */
static lode_status code_block(lode_ctx *ctx, block_task *t, const lode_array *block,
                              lode_array *coded, lode_diff *d)
{
    const goal wanted = t->goal;
    const bool capped = wanted.bytes > 0 && (wanted.bound > 0 || isfinite(wanted.sumsq));
    if (capped)
        t->goal.bytes = 0;
    LODE_FORWARD(compress_encode(ctx, t, block, coded, d));
    if (!capped || coded->shape[0] <= wanted.bytes)
        return LODE_OK;
    t->goal = (goal){ .sumsq = INFINITY, .bytes = wanted.bytes };
    return compress_encode(ctx, t, block, coded, d);
}

/* Takes down what a block of the region came to. */
static void note_block(job *j, int64_t b, const lode_array *coded, double sumsq)
{
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM];
    compress_block(&j->g, b, start, count);
    if (compress_within(&j->g, &j->region, start)) {
        j->region.bytes += (double)(coded->shape[0] + MEMBER);
        j->region.sumsq += sumsq;
    }
}

/* What is kept of a block that is coded: its error, and its shares of the size. */
enum { KEPT = 7, HALF = 30 };

/* Whether an earlier run has coded it; else the block is to be coded and kept. */
static lode_status restore_block(lode_ctx *ctx, lode_array *coded, lode_diff *d, int64_t *values,
                                 int64_t *params, bool *found)
{
    double kept[KEPT];
    const lode_i_step step = {
        .site = "block", .number = kept, .count = KEPT, .n = 1, .array = { coded }
    };
    LODE_FORWARD(lode_i_restore(ctx, &step, found));
    if (!*found)
        return LODE_OK;
    d->sumsq = kept[0], d->maxabs = kept[1];
    d->count = (int64_t)kept[2], d->mismatched = (int64_t)kept[3];
    *values = (int64_t)kept[4];
    *params = ((int64_t)kept[5] << HALF) + (int64_t)kept[6]; /* of more bits than a double has */
    return LODE_OK;
}

static lode_status keep_block(lode_ctx *ctx, lode_array *coded, const lode_diff *d, int64_t values,
                              int64_t params)
{
    double kept[KEPT] = { d->sumsq,
                          d->maxabs,
                          (double)d->count,
                          (double)d->mismatched,
                          (double)values,
                          (double)(params >> HALF),
                          (double)(params & ((INT64_C(1) << HALF) - 1)) };
    const lode_i_step step = {
        .site = "block", .number = kept, .count = KEPT, .n = 1, .array = { coded }
    };
    return lode_i_keep(ctx, &step);
}

static lode_status code_blocks(lode_ctx *ctx, job *j, lode_bundle *model, lode_diff *total)
{
    lode_status st = LODE_OK;
    lode_array block = { 0 }, coded = { 0 };
    block_task t = { 0 };
    goal left = j->goal;
    int64_t values_left = j->values;
    *total = (lode_diff){ 0 };
    lode_i_stage(ctx, "coding", READING, 1);
    for (int64_t b = 0; b < j->g.blocks; b++) {
        char name[32];
        lode_diff d = { 0 };
        LODE_TRY(lode_i_tick(ctx, b, j->g.blocks));
        int64_t values = 0, params = 0;
        bool found = false;
        LODE_TRY(restore_block(ctx, &coded, &d, &values, &params, &found));
        if (!found) {
            LODE_TRY(read_block(ctx, j, b, &block));
            if (j->known.f.work == j->work && j->known.x.data) {
                t = j->known;
                j->known = (block_task){ 0 };
            } else {
                block_free(&j->known);
                LODE_TRY(open_block(ctx, j, b, &block, &t));
            }
            t.o = j->o;
            t.goal = share(&left, values_left, &t);
            lode_i_nest(ctx);
            const bool paused = lode_i_checkpoint_pause(ctx, true);
            const lode_status coding = code_block(ctx, &t, &block, &coded, &d);
            lode_i_checkpoint_pause(ctx, paused);
            lode_i_unnest(ctx);
            LODE_TRY(coding);
            values = t.f.size, params = t.goal.params;
            LODE_TRY(keep_block(ctx, &coded, &d, values, params));
        }
        values_left -= values;
        left.sumsq = fmax(left.sumsq - d.sumsq, 0);
        if (left.bytes)
            left.bytes = lode_i_max(1, left.bytes - coded.shape[0]);
        if (left.params)
            left.params -= params;
        total->sumsq += d.sumsq;
        total->maxabs = fmax(total->maxabs, d.maxabs);
        total->count += d.count;
        total->mismatched += d.mismatched;
        note_block(j, b, &coded, d.sumsq);
        snprintf(name, sizeof name, "coded.%" PRId64, b);
        LODE_TRY(lode_bundle_add_array(ctx, model, name, &coded));
        block_free(&t);
        LODE_FREE(&block, &coded);
    }
done:
    block_free(&t);
    LODE_FREE(&block, &coded);
    return st;
}

static lode_status code_exactly(lode_ctx *ctx, job *j, lode_bundle *model)
{
    lode_status st = LODE_OK;
    lode_array block = { 0 }, coded = { 0 };
    for (int64_t b = 0; b < j->g.blocks; b++) {
        char name[32];
        lode_diff none = { 0 };
        int64_t values = 0, params = 0;
        bool found = false;
        LODE_TRY(lode_i_tick(ctx, b, j->g.blocks));
        LODE_TRY(restore_block(ctx, &coded, &none, &values, &params, &found));
        if (!found) {
            LODE_TRY(read_block(ctx, j, b, &block));
            LODE_TRY(compress_exact(ctx, j->o, &block, &coded));
            LODE_TRY(keep_block(ctx, &coded, &none, 0, 0));
        }
        note_block(j, b, &coded, 0);
        snprintf(name, sizeof name, "coded.%" PRId64, b);
        LODE_TRY(lode_bundle_add_array(ctx, model, name, &coded));
        lode_array_free(&block);
    }
done:
    LODE_FREE(&block, &coded);
    return st;
}
/* Reconstructions in f32 are off by some 1e-7 of the norm, or of the largest value: errors near
 * that take f64, and so do values near the ends of f32's range. */
static bool wide(const job *j)
{
    if (j->maxabs > 0x1p100 || j->maxabs < 0x1p-80)
        return true;
    return j->goal.bound > 0 ? j->goal.bound < 1e-5 * j->maxabs : j->goal.sumsq < 1e-11 * j->norm2;
}

/* Whether f64 holds neither the whole numbers nor the squares of the values. */
static bool beyond_f64(const job *j, lode_dtype dtype)
{
    const bool whole = dtype == LODE_I64 || dtype == LODE_U64;
    const bool asked = j->goal.bytes || j->goal.params || j->goal.rank.count;
    return (whole && j->maxabs > 0x1p53) ||
           (!asked && j->maxabs > 0 && !(j->maxabs > 0x1p-400 && j->maxabs < 0x1p400));
}

totals compress_totals(const job *j, const lode_diff *d)
{
    totals t = { .sumsq = d->sumsq, .maxabs = d->maxabs };
    const bool measured = j->o->method != LODE_COMPRESS_LOSSLESS;
    t.count = measured ? (double)j->count : NAN;
    t.norm2 = measured ? j->norm2 : NAN;
    t.low = measured ? j->low : NAN;
    t.high = measured ? j->high : NAN;
    return t;
}

void compress_lay(job *j)
{
    const lode_dtype dtype = j->source.dtype;
    /* a part that is added is cut as what is there */
    j->settled = j->before ? *j->o : compress_settle(j->o, dtype, j->source.ndim, j->source.shape);
    j->o = &j->settled;
    compress_grid(dtype, j->source.ndim, j->source.shape, compress_asked(j->o), &j->g);
    j->region = compress_region(&j->g);
    j->work = lode_i_real_of(lode_i_arith(dtype));
}

lode_status compress_aim(lode_ctx *ctx, job *j)
{
    LODE_FORWARD(set_goal(ctx, j));
    j->work = wide(j) ? LODE_F64 : j->work;
    return LODE_OK;
}

lode_status compress_task(lode_ctx *ctx, const job *j, const lode_array *block, block_task *t)
{
    return open_block(ctx, j, 0, block, t);
}

lode_status compress_code(lode_ctx *ctx, job *j, lode_bundle *model, lode_diff *d)
{
    lode_status st = LODE_OK;
    const lode_compress_opts *o = j->o;
    const lode_dtype dtype = j->source.dtype;
    compress_lay(j);
    *d = (lode_diff){ 0 };
    if (o->method == LODE_COMPRESS_LOSSLESS) {
        LODE_REQUIRE(o->budget.kind == LODE_BUDGET_NONE && o->error.kind == LODE_ERROR_NONE &&
                         !o->rank.count,
                     LODE_EUSAGE,
                     "compress: method lossless has no error, budget or rank to choose");
        LODE_TRY(code_exactly(ctx, j, model));
        goto done;
    }
    LODE_TRY(survey(ctx, j));
    LODE_TRY(compress_aim(ctx, j));
    if (beyond_f64(j, dtype))
        LODE_TRY(code_exactly(ctx, j, model));
    else
        LODE_TRY(code_blocks(ctx, j, model, d));
    LODE_REQUIRE(d->mismatched == 0, LODE_EINTERNAL,
                 "compress: %" PRId64 " entries would come back missing", d->mismatched);
done:
    block_free(&j->known);
    LODE_FREE(&j->held);
    return st;
}
/* Adds to the note what small blocks cost: the region's bytes against those of the region coded as
 * one block to the same error. */
lode_status compress_tell_access(lode_ctx *ctx, const job *j, lode_bundle *model)
{
    lode_status st = LODE_OK;
    job one = { .o = j->o, .work = j->work };
    block_task t = { .o = j->o };
    lode_array block = { 0 }, coded = { 0 };
    lode_diff d;
    int64_t step[LODE_MAX_NDIM], shape[LODE_MAX_NDIM];
    char *note = model->certificate.note;
    const size_t used = strlen(note), room = sizeof model->certificate.note - used;

    if (j->o->access != LODE_COMPRESS_CHUNK || j->region.blocks < 2)
        goto done;
    for (int k = 0; k < j->g.ndim; k++)
        step[k] = 1, shape[k] = j->region.stop[k] - j->region.start[k];
    LODE_TRY(lode_i_source_slice(ctx, &j->source, j->g.ndim, j->region.start, j->region.stop, step,
                                 NULL, &one.source));
    compress_grid(j->source.dtype, j->g.ndim, shape, INT64_MAX, &one.g);
    LODE_TRY(read_block(ctx, &one, 0, &block));
    if (j->o->method == LODE_COMPRESS_LOSSLESS) {
        LODE_TRY(compress_exact(ctx, j->o, &block, &coded));
    } else {
        LODE_TRY(open_block(ctx, &one, 0, &block, &t));
        t.goal = (goal){ .sumsq = j->region.sumsq, .bound = j->goal.bound };
        LODE_TRY(compress_encode(ctx, &t, &block, &coded, &d));
    }
    const double more = j->region.bytes / (double)(coded.shape[0] + MEMBER) - 1;
    snprintf(note + used, room,
             "; access chunk takes %.1f %% %s bytes (%" PRId64 " of %" PRId64
             " blocks against one)",
             100 * fabs(more), more < 0 ? "fewer" : "more", j->region.blocks, j->g.blocks);
done:
    block_free(&t);
    LODE_FREE(&one.source, &one.held, &block, &coded);
    return st;
}
