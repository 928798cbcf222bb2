/* compress: an array to an error or a size, certified on what comes back.
 * Source: Ballester-Ripoll, Lindstrom & Pajarola, IEEE TVCG 26 (2020),
 * doi:10.1109/TVCG.2019.2904063 (TTHRESH: coding the coefficients of a Tucker core); Ghadiri,
 * Fahrbach, Fu & Mirrokni, ICML 2023 (core shapes under a budget of numbers;
 * src/linop/coreshape.c). Departures: cosines compete with learned bases mode by mode; one uniform
 * step and adaptive contexts (src/code) instead of bit planes; bases made orthonormal after
 * decoding, so that their rounding costs no error; missing values; pointwise bounds; blocks with
 * local structure go by prediction from neighbours instead (src/code/predict.c), whichever is
 * shorter. Claim tested: the core shape's surrogate. */
#include <math.h>
#include <string.h>

#include "ops/compress/compress.h"

static const lode_param params[] = {
    { LODE_PARAM(lode_compress_opts, error), .min = 0, .max = 1e300,
      .help = LODE_HELP_ERROR "; 1e-3 where neither budget nor rank is given" },
    { LODE_PARAM(lode_compress_opts, budget), .min = 1e-6, .max = 1e18, .help = LODE_HELP_BUDGET },
    { LODE_PARAM(lode_compress_opts, rank), .min = 1, .max = 1e9,
      .help = LODE_HELP_RANK ", one a mode, of learned bases" },
    { LODE_PARAM(lode_compress_opts, method), .def = LODE_COMPRESS_AUTO,
      .choices = "auto|tucker|svd|dct|predict|lossless",
      .help =
          "the shortest of all; bases learned in every mode or the last, cosines; prediction from "
          "neighbours; or every bit kept" },
    { LODE_PARAM(lode_compress_opts, missing), .def_text = "nan",
      .help = LODE_HELP_MISSING_INF "; their places are kept" },
    { LODE_PARAM(lode_compress_opts, access), .def = LODE_COMPRESS_WHOLE, .choices = "whole|chunk",
      .help =
          "chunk: small blocks, so that a query decodes little, for more bytes; how many more is "
          "measured and said" },
    { LODE_PARAM(lode_compress_opts, block), .min = 1024, .max = 1e12,
      .help = "values coded alone; less takes less memory and gives larger files" },
    { LODE_PARAM(lode_compress_opts, effort), .def = 5, .min = 1, .max = 9,
      .help =
          "speed against size: 1 cosines alone, 2 and 3 the best of cosines, learned bases and "
          "prediction, from 4 on bases mode by mode, from 6 on the adaptive coder, 9 more tries" },
    { LODE_PARAM(lode_compress_opts, axis), .def = 0, .min = -LODE_MAX_NDIM,
      .max = LODE_MAX_NDIM - 1,
      .help = "axis that update and merge add along, such as time; below 0 from the last" },
    { 0 },
};
static const lode_port in[] = {
    { "X", "...", .types = LODE_NUMBERS & ~LODE_PACKED, .help = "array of any shape" }, { 0 }
};
static const lode_port out[] = { { "coded.*", "bytes", .types = LODE_BIT(U8), .repeated = true,
                                   .help = "one record a block" },
                                 { "sums", "6", .types = LODE_BIT(F64),
                                   .help = "of all observed entries: count, squared and largest "
                                           "error, squared norm, smallest and largest" },
                                 { "segments", "parts,3", .types = LODE_BIT(I64), .optional = true,
                                   .help = "where parts were added: axis, end along it, blocks" },
                                 { 0 } };

LODE_DEFAULTS(compress)

#define DEFAULT_ERROR 1e-3
/* What a .lode file adds to its records: its header. A budget in bytes is of the file. */
enum { HEADER = 1400, MEMBER = 296, ADDED = 320 };

/* ---- the plan ---- */

static lode_status plan(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    const lode_compress_opts *o = lode_call_opts(c);
    const lode_dense_info X = lode_call_dense(c, 0);
    grid g;
    int64_t values = 1;
    const lode_compress_opts own = compress_settle(o, X.ndim, X.shape);
    compress_grid(X.stored, X.ndim, X.shape, compress_asked(&own), &g);
    for (int k = 0; k < X.ndim; k++)
        values *= lode_i_max(g.side[k], 1);
    const uint64_t stored = lode_i_bytes(X.stored, X.size, 1);
    const bool fine = (o->error.kind == LODE_ERROR_REL && o->error.value < 3.2e-6) ||
                      (o->error.kind == LODE_ERROR_MAXREL && o->error.value < 1e-5);
    const uint64_t block = (uint64_t)values * (fine ? 8 : lode_dtype_size(X.dtype));
    /* the block, its coefficients, symbols, a product under way, what comes back, the best code so
     * far */
    p->workspace = 8 * block + (UINT64_C(8) << 20);
    if (o->access == LODE_COMPRESS_CHUNK) /* and the region on which the cost is measured */
        p->workspace += 8 * block / (uint64_t)lode_i_max(values, 1) *
                        (uint64_t)compress_region(&g).values;
    const uint64_t left = lode_i_memory_left(ctx);
    const uint64_t most = stored + HEADER + (uint64_t)g.blocks * MEMBER;
    /* Most arrays shrink much more; where the largest result would not fit, what fits is the
     * bound. */
    p->output = p->workspace + most <= left ? most
                : p->workspace < left       ? left - p->workspace
                                            : stored / 64;
    p->passes = g.blocks > 1 ? 2 : 1;
    p->slab = g.ndim ? g.side[0] : 0;
    p->flops = 60.0 * (double)X.size * 100;
    p->seconds = 8e-8 * (double)X.size / lode_ctx_threads(ctx) * 4;
    static const char *const names[] = { "best basis a mode", "learned bases", "learned last basis",
                                         "cosines",           "prediction",    "exact" };
    const bool quick = o->method == LODE_COMPRESS_AUTO && o->effort <= EFFORT_COSINES;
    const lode_compress_method method = quick ? LODE_COMPRESS_DCT : o->method;
    snprintf(p->algorithm, sizeof p->algorithm, "%s, %" PRId64 " block%s%s", names[method],
             g.blocks, g.blocks > 1 ? "s" : "",
             o->access == LODE_COMPRESS_CHUNK ? " for local access" : "");
    return LODE_OK;
}

/* ---- the passes ---- */

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
    if (j->g.blocks == 1)
        j->held = lode_array_ref(block);
    return LODE_OK;
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
    LODE_TRY(compress_plain(ctx, &t->f, block, m->kind == LODE_MISSING_VALUE, &t->x));
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
    lode_i_stage(ctx, "reading", 0, 0.1);
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
static goal error_goal(const lode_compress_opts *o, double norm2, double range, double count)
{
    const lode_error_spec e = error_of(o);
    goal g = { .sumsq = INFINITY, .rank = o->rank };
    if (lode_i_error_is_pointwise(&e)) {
        g.bound = e.kind == LODE_ERROR_MAXREL ? e.value * range : e.value;
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
    *g = error_goal(o, j->norm2, j->range, (double)j->count);
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
    j->both = e.kind != LODE_ERROR_NONE && (g->bytes > 0 || g->params > 0 || o->rank.count);
    return LODE_OK;
}

/* What is left of the whole's goal, shared out by size: so the step stays about the same in all
 * blocks. */
static goal share(const job *j, const goal *left, int64_t values_left, const block_task *t)
{
    goal g = *left;
    const double part = (double)t->f.size / (double)lode_i_max(values_left, 1);
    g.sumsq *= part;
    if (g.bytes)
        g.bytes = lode_i_max(1, (int64_t)((double)g.bytes * part));
    if (g.params)
        g.params = (int64_t)((double)left->params * part);
    (void)j;
    return g;
}

/* One block, the error first; a budget asked with it is a cap. */
static lode_status code_block(lode_ctx *ctx, const job *j, block_task *t, const lode_array *block,
                              lode_array *coded, lode_diff *d)
{
    const goal wanted = t->goal;
    const bool capped = wanted.bytes > 0 && (wanted.bound > 0 || isfinite(wanted.sumsq));
    if (capped)
        t->goal.bytes = 0;
    LODE_FORWARD(compress_encode(ctx, t, block, coded, d));
    (void)j;
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

static lode_status code_blocks(lode_ctx *ctx, job *j, lode_bundle *model, lode_diff *total)
{
    lode_status st = LODE_OK;
    lode_array block = { 0 }, coded = { 0 };
    block_task t = { 0 };
    goal left = j->goal;
    int64_t values_left = j->values;
    *total = (lode_diff){ 0 };
    for (int64_t b = 0; b < j->g.blocks; b++) {
        char name[32];
        lode_diff d = { 0 };
        lode_i_stage(ctx, "coding", 0.1 + 0.9 * (double)b / (double)j->g.blocks,
                     0.1 + 0.9 * (double)(b + 1) / (double)j->g.blocks);
        LODE_TRY(read_block(ctx, j, b, &block));
        if (j->known.f.work == j->work && j->known.x.data) {
            t = j->known;
            j->known = (block_task){ 0 };
        } else {
            block_free(&j->known);
            LODE_TRY(open_block(ctx, j, b, &block, &t));
        }
        t.o = j->o;
        t.goal = share(j, &left, values_left, &t);
        LODE_TRY(code_block(ctx, j, &t, &block, &coded, &d));
        values_left -= t.f.size;
        left.sumsq = fmax(left.sumsq - d.sumsq, 0);
        if (left.bytes)
            left.bytes = lode_i_max(1, left.bytes - coded.shape[0]);
        if (left.params)
            left.params -= t.goal.params;
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
        LODE_TRY(lode_i_tick(ctx, b, j->g.blocks));
        LODE_TRY(read_block(ctx, j, b, &block));
        LODE_TRY(compress_exact(ctx, j->o, &block, &coded));
        note_block(j, b, &coded, 0);
        snprintf(name, sizeof name, "coded.%" PRId64, b);
        LODE_TRY(lode_bundle_add_array(ctx, model, name, &coded));
        lode_array_free(&block);
    }
done:
    LODE_FREE(&block, &coded);
    return st;
}

/* ---- the certificate ---- */

static void certify(const job *j, const lode_diff *d, lode_certificate *c)
{
    const lode_error_spec *e = &j->o->error;
    const bool pointwise = lode_i_error_is_pointwise(e), psnr = e->kind == LODE_ERROR_PSNR;
    *c = (lode_certificate){ .kind = LODE_CERT_MEASURED,
                             .norm = pointwise ? LODE_NORM_MAX : LODE_NORM_FRO,
                             .relative = e->kind != LODE_ERROR_FRO && e->kind != LODE_ERROR_MAX,
                             .needs_original = true,
                             .asked = NAN };
    c->absolute = pointwise ? d->maxabs : sqrt(d->sumsq);
    c->other = pointwise ? sqrt(d->sumsq) : d->maxabs;
    const double unit = pointwise ? j->range : sqrt(j->norm2);
    c->value = !c->relative      ? c->absolute
               : unit > 0        ? c->absolute / unit
               : c->absolute > 0 ? INFINITY
                                 : 0;
    if (e->kind != LODE_ERROR_NONE && !psnr)
        c->asked = e->value;
    else if (psnr)
        c->asked = unit > 0 ? lode_i_error_target_fro(e, sqrt(j->norm2), j->range, j->count) / unit
                            : 0;
    else if (j->o->budget.kind == LODE_BUDGET_NONE && !j->o->rank.count &&
             j->o->method != LODE_COMPRESS_LOSSLESS)
        c->asked = DEFAULT_ERROR;
    snprintf(c->quantity, sizeof c->quantity, "X - decoded, over %s entries",
             j->count < j->values ? "observed" : "all");
    const double peak = e->peak > 0 ? e->peak : j->range;
    if (psnr && d->sumsq > 0)
        snprintf(c->note, sizeof c->note, "PSNR %.2f dB",
                 20 * log10(peak / sqrt(d->sumsq / (double)lode_i_max(j->count, 1))));
    else
        snprintf(c->note, sizeof c->note, "%s%s",
                 d->sumsq > 0 ? "decoded and compared" : "every observed value came back exactly",
                 d->sumsq > 0 || j->o->method == LODE_COMPRESS_LOSSLESS || !(j->norm2 > 0) ||
                         e->kind == LODE_ERROR_NONE
                     ? ""
                     : ", which --method lossless promises");
}

/* Adds to the note which ranks were kept of the learned bases, where a budget of numbers or ranks
 * asked decided them. */
static lode_status tell_ranks(lode_ctx *ctx, const job *j, lode_bundle *model)
{
    lode_status st = LODE_OK;
    const lode_array *coded = NULL;
    record_info info;
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM];
    char *note = model->certificate.note, ranks[96] = "";
    const size_t size = sizeof model->certificate.note;

    if (j->o->budget.kind != LODE_BUDGET_PARAMS && !j->o->rank.count)
        goto done;
    compress_block(&j->g, 0, start, count);
    LODE_TRY(compress_record(ctx, model, 0, &coded));
    LODE_TRY(compress_info(ctx, coded, j->g.dtype, j->g.ndim, count, &info));
    for (int k = 0, at = 0; k < info.modes && at < 80; k++)
        at += snprintf(ranks + at, sizeof ranks - (size_t)at, "%s%" PRId64, k ? "," : "",
                       info.columns[k]);
    const size_t used = strlen(note);
    if (!info.exact && used < size)
        snprintf(note + used, size - used, "; ranks %s%s", ranks,
                 j->g.blocks > 1 ? " in the first block" : "");
done:
    return st;
}

/* Adds to the note what small blocks cost: the region's bytes against those of the region coded as
 * one block to the same error. */
static lode_status tell_access(lode_ctx *ctx, const job *j, lode_bundle *model)
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

static bool missed(const job *j, const lode_diff *d)
{
    return j->goal.bound > 0 ? d->maxabs > j->goal.bound
                             : isfinite(j->goal.sumsq) && d->sumsq > j->goal.sumsq * (1 + 1e-12);
}

static lode_status keep_shape(lode_ctx *ctx, const job *j, lode_bundle *model)
{
    lode_meta *m = &model->meta;
    char *options = NULL;
    LODE_FORWARD(lode_i_options_json(ctx, &lode_op_compress, j->o, &options));
    lode_i_free(m->options);
    m->options = options;
    m->has_shape = true;
    m->dtype = j->g.dtype;
    m->ndim = j->g.ndim;
    memcpy(m->shape, j->g.shape, sizeof m->shape);
    snprintf(m->op, sizeof m->op, "compress");
    snprintf(m->version, sizeof m->version, "%s", lode_version());
    return LODE_OK;
}

lode_status compress_finish(lode_ctx *ctx, const lode_compress_opts *o, const totals *t,
                            double values, const grid *g, lode_bundle *model)
{
    const bool measured = t->count >= 0; /* not where every bit is kept */
    const lode_diff d = { .sumsq = t->sumsq, .maxabs = t->maxabs };
    job j = { .o = o, .g = *g, .values = (int64_t)values };
    if (measured) {
        j.norm2 = t->norm2, j.low = t->low, j.high = t->high, j.count = (int64_t)t->count;
        j.range = j.high - j.low;
    } else {
        j.count = j.values;
    }
    j.goal = error_goal(o, j.norm2, j.range, (double)j.count);
    certify(&j, &d, &model->certificate);
    LODE_FORWARD(keep_shape(ctx, &j, model));
    LODE_FORWARD(tell_ranks(ctx, &j, model));
    LODE_FORWARD(compress_totals_write(ctx, t, model));
    if (!missed(&j, &d))
        return LODE_OK;
    return lode_i_fail(ctx, LODE_MISSED,
                       "compress: the error is %.3g, not the %.3g asked for: %s decided",
                       model->certificate.value, model->certificate.asked,
                       o->rank.count    ? "the rank"
                       : o->budget.kind ? "the budget"
                                        : "the type's precision");
}

/* Reconstructions in f32 are off by some 1e-7 of the norm, or of the largest value: errors near
 *                    that take f64. */
static bool wide(const job *j)
{
    return j->goal.bound > 0 ? j->goal.bound < 1e-5 * j->maxabs : j->goal.sumsq < 1e-11 * j->norm2;
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

lode_status compress_code(lode_ctx *ctx, job *j, lode_bundle *model, lode_diff *d)
{
    lode_status st = LODE_OK;
    const lode_compress_opts *o = j->o;
    const lode_dtype dtype = j->source.dtype;
    j->settled = compress_settle(o, j->source.ndim, j->source.shape);
    j->o = &j->settled;
    compress_grid(dtype, j->source.ndim, j->source.shape, compress_asked(j->o), &j->g);
    j->region = compress_region(&j->g);
    j->work = lode_i_real_of(lode_i_arith(dtype));
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
    LODE_TRY(set_goal(ctx, j));
    j->work = wide(j) ? LODE_F64 : j->work;
    if (j->maxabs > 0x1p53 && lode_dtype_size(dtype) == 8 && lode_dtype_class(dtype) != 'f')
        LODE_TRY(code_exactly(ctx, j, model)); /* whole numbers that f64 does not hold */
    else
        LODE_TRY(code_blocks(ctx, j, model, d));
    LODE_REQUIRE(d->mismatched == 0, LODE_EINTERNAL,
                 "compress: %" PRId64 " entries would come back missing", d->mismatched);
done:
    return st;
}

lode_status lode_compress(lode_ctx *ctx, const lode_compress_opts *o, lode_value X,
                          lode_bundle *model, lode_certificate *cert)
{
    lode_status st = LODE_OK;
    lode_plan p = { 0 };
    lode_bundle made = { 0 };
    lode_diff d = { 0 };
    lode_array loaded = { 0 };
    job j = { .o = o };
    bool owned = false;

    LODE_ENTER(&lode_op_compress, o, &p, X);
    LODE_TRY(lode_i_as_source(ctx, X, &j.source, &owned));
    if (!j.source.rewindable) { /* a stream is kept whole */
        LODE_TRY(lode_i_source_load(ctx, &j.source, &loaded));
        if (owned)
            LODE_FREE(&j.source);
        owned = true;
        j.source = (lode_source){ 0 }; /* the caller closes a borrowed one */
        LODE_TRY(lode_i_source_from_array(ctx, &loaded, &j.source));
    }
    j.whole = X.kind == LODE_ARRAY ? X.as.array : loaded.data ? &loaded : NULL;
    LODE_REQUIRE(j.source.ndim == 0 || (o->axis >= -j.source.ndim && o->axis < j.source.ndim),
                 LODE_EPARAM, "compress: option axis is %" PRId64 "; X has %d axes", o->axis,
                 j.source.ndim);
    LODE_TRY(compress_code(ctx, &j, &made, &d));
    const totals t = compress_totals(&j, &d);
    LODE_TRY(compress_finish(ctx, o, &t, (double)j.values, &j.g, &made));
    LODE_TRY(tell_access(ctx, &j, &made));
    p.output = 0;
    for (int64_t i = 0; i < made.count; i++)
        p.output += lode_array_bytes(lode_bundle_value(&made, i).as.array);
    LODE_TRY(lode_i_refine(ctx, &lode_op_compress, &p));
    if (cert)
        *cert = made.certificate;
    lode_bundle_swap(model, &made);
done:
    LODE_LEAVE();
    block_free(&j.known);
    if (owned)
        LODE_FREE(&j.source);
    LODE_FREE(&j.held, &loaded, &made);
    return st;
}

static lode_status run(lode_ctx *ctx, const lode_call *c, lode_bundle *result)
{
    return lode_compress(ctx, lode_call_opts(c), c->in[0], result, NULL);
}

const lode_op lode_op_compress = {
    .name = "compress",
    .family = "compress",
    .job = LODE_SHRINK,
    .brief = "compress an array to an error or a size, certified on what comes back",
    .doi = "10.1109/TVCG.2019.2904063",
    .example = "lode compress data/winds_u.npy --error 1e-2 -o winds.lode",
    .words = "lossy lossless array compression codec error bound rate distortion smaller files "
             "tthresh sz zfp nan interpolation lorenzo",
    .params = params,
    .opts_size = sizeof(lode_compress_opts),
    .in = in,
    .out = out,
    .certificate = LODE_CERT_MEASURED,
    .plan = plan,
    .run = run,
    .invert = compress_invert,
    .chunk = compress_chunk,
    .query = compress_query,
    .update = compress_update,
    .merge = compress_merge,
    .verify = compress_verify,
    .plot = compress_plot,
};
