/* What a compressed array gives back, and the check of its certificate. Only blocks that a part
 * meets are decoded. */
#include <math.h>
#include <string.h>

#include "ops/compress/compress.h"

lode_status compress_record(lode_ctx *ctx, const lode_bundle *model, int64_t b,
                            const lode_array **coded)
{
    char name[32];
    snprintf(name, sizeof name, "coded.%" PRId64, b);
    return lode_bundle_array(ctx, model, name, coded);
}

/* An array as a reference, or read in where it is a source. */
static lode_status load(lode_ctx *ctx, const lode_bundle *model, lode_value v, const char *name,
                        lode_array *coded)
{
    const lode_array *a = NULL;
    if (v.kind == LODE_SOURCE && v.as.source->dtype == LODE_U8 && v.as.source->ndim == 1) {
        /* Records have checksums of their own: what damage takes of them is a block, and so named. */
        const bool recover = ctx->recover;
        ctx->recover = false;
        const lode_status st = lode_i_source_load(ctx, v.as.source, coded);
        ctx->recover = recover;
        return st;
    }
    LODE_FORWARD(lode_bundle_array(ctx, model, name, &a));
    *coded = lode_array_ref(a);
    return LODE_OK;
}

lode_status compress_load(lode_ctx *ctx, const lode_bundle *model, int64_t b, lode_array *coded)
{
    char name[32];
    snprintf(name, sizeof name, "coded.%" PRId64, b);
    lode_value v = lode_bundle_value(model, b); /* in order, but for tables before them */
    if (!lode_bundle_name(model, b) || strcmp(lode_bundle_name(model, b), name) != 0)
        v = lode_bundle_get(model, name);
    return load(ctx, model, v, name, coded);
}

/* Where no record tells the limit, the options do, if damage is to be passed over. */
static lode_status no_limit(lode_ctx *ctx, const lode_bundle *model, lode_status st, int64_t *limit)
{
    lode_compress_opts o = lode_compress_defaults();
    if (st != LODE_EFORMAT || model->count == 0)
        return st;
    if (!ctx->recover)
        return lode_i_fail(ctx, st,
                           "compress: no block can be read (%s); restore the file, or give "
                           "--recover (recover in C and Python) to see what is lost",
                           lode_message(ctx));
    LODE_FORWARD(lode_i_options_read(ctx, &lode_op_compress, model->meta.options, &o));
    o = compress_settle(&o, model->meta.dtype, model->meta.ndim, model->meta.shape);
    *limit = compress_asked(&o);
    return LODE_OK;
}

static void print_ranges(const grid *g, int64_t b, char *text, size_t size)
{
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM];
    size_t at = (size_t)snprintf(text, size, "[");
    compress_block(g, b, start, count);
    for (int k = 0; k < g->ndim && at + 48 < size; k++)
        at += (size_t)snprintf(text + at, size - at, "%s%" PRId64 ":%" PRId64, k ? "," : "",
                               start[k], start[k] + count[k]);
    snprintf(text + at, size - at, "]");
}

lode_status compress_read_block(lode_ctx *ctx, const lode_bundle *model, const grid *g, int64_t b,
                                lode_array *coded, lode_array *block)
{
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM];
    char ranges[200];
    lode_array record = { 0 };
    compress_block(g, b, start, count);
    lode_status st = compress_load(ctx, model, b, &record);
    lode_i_nest(ctx);
    if (st >= 0)
        st = compress_decode(ctx, &record, g->dtype, g->ndim, count, block);
    lode_i_unnest(ctx);
    if (coded && st >= 0)
        lode_array_swap(coded, &record);
    lode_array_free(&record);
    if (st != LODE_EFORMAT)
        return st;
    print_ranges(g, b, ranges, sizeof ranges);
    return lode_i_fail(ctx, st,
                       "compress: block %" PRId64 " of %" PRId64
                       ", %s, is damaged (%s); restore the "
                       "file, or give --recover (recover in C and Python) to read the rest",
                       b, g->blocks, ranges, lode_message(ctx));
}

/* Values that stand for a damaged block: NaN, the missing value where one was named, or 0. */
static lode_status lose_block(lode_ctx *ctx, const lode_bundle *model, const grid *g, int64_t b,
                              lode_array *there)
{
    lode_compress_opts o = lode_compress_defaults();
    const char class = lode_dtype_class(g->dtype);
    char ranges[200], instead[32] = "NaN";
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM];
    double value = NAN, share = 1;
    if (class != 'f' && class != 'c') {
        const lode_status known = lode_i_options_read(ctx, &lode_op_compress, model->meta.options,
                                                      &o);
        value = known >= 0 && o.missing.kind == LODE_MISSING_VALUE ? o.missing.value : 0;
        lode_i_print_f64(value, instead);
    }
    compress_block(g, b, start, count);
    for (int k = 0; k < g->ndim; k++)
        share *= g->shape[k] ? (double)count[k] / (double)g->shape[k] : 1;
    LODE_FORWARD(lode_i_fill(ctx, there, value));
    print_ranges(g, b, ranges, sizeof ranges);
    return lode_i_lost(ctx, share, instead, "%s (block %" PRId64 " of %" PRId64 ")", ranges, b,
                       g->blocks);
}

lode_status compress_open(lode_ctx *ctx, const lode_bundle *model, grid *g)
{
    const lode_meta *m = &model->meta;
    const lode_array *table = NULL;
    lode_array coded = { 0 };
    int64_t limit = 0;
    if (!m->has_shape || m->ndim < 0 || m->ndim > LODE_MAX_NDIM)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "compress: the result does not say what shape it stands for");
    int64_t size = 1;
    for (int k = 0; k < m->ndim; k++)
        if (m->shape[k] < 0 || !lode_i_mul(size, lode_i_max(m->shape[k], 1), &size))
            return lode_i_fail(ctx, LODE_EFORMAT,
                               "compress: axis %d of the result has %" PRId64 " values", k,
                               m->shape[k]);
    /* Any record tells the limit; that one is damaged is said, or not, where it is read. */
    lode_status told = LODE_EFORMAT;
    bool any = false;
    for (int64_t i = 0; i < model->count && told == LODE_EFORMAT; i++)
        if (strncmp(lode_bundle_name(model, i), "coded.", 6) == 0) {
            told = load(ctx, model, lode_bundle_value(model, i), lode_bundle_name(model, i),
                        &coded);
            if (told >= 0)
                told = compress_limit(ctx, &coded, &limit);
            lode_array_free(&coded);
            any = true;
        }
    if (!any)
        LODE_FORWARD(compress_load(ctx, model, 0, &coded)); /* says what there is */
    if (told < 0)
        LODE_FORWARD(no_limit(ctx, model, told, &limit));
    compress_grid(m->dtype, m->ndim, m->shape, limit, g);
    const bool parts = lode_bundle_get(model, "segments").kind != LODE_NONE;
    if (parts) {
        LODE_FORWARD(lode_bundle_array(ctx, model, "segments", &table));
        LODE_FORWARD(compress_segments(ctx, table, g));
    }
    const int64_t records = model->count - parts -
                            (lode_bundle_get(model, "sums").kind != LODE_NONE);
    if (g->blocks != records)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "compress: %" PRId64 " records, where this shape has %" PRId64 " blocks",
                           records, g->blocks);
    return LODE_OK;
}

/* Where block b and the part meet, in the block's and the part's own places; false: nowhere. */
static bool meet(const grid *g, int64_t b, const int64_t *start, const int64_t *count,
                 int64_t *from, int64_t *to, int64_t *n)
{
    int64_t first[LODE_MAX_NDIM], length[LODE_MAX_NDIM];
    bool some = true;
    compress_block(g, b, first, length);
    for (int k = 0; k < g->ndim; k++) {
        const int64_t low = lode_i_max(first[k], start[k]);
        const int64_t high = lode_i_min(first[k] + length[k], start[k] + count[k]);
        from[k] = low - first[k];
        to[k] = low - start[k];
        n[k] = high - low;
        some = some && n[k] > 0;
    }
    return some;
}

lode_status compress_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                            const lode_part *part, lode_array *out)
{
    lode_status st = LODE_OK;
    const lode_meta *m = &model->meta;
    grid g;
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM], from[LODE_MAX_NDIM], to[LODE_MAX_NDIM],
        n[LODE_MAX_NDIM];
    lode_array x = { 0 }, block = { 0 }, here = { 0 }, there = { 0 };

    LODE_REQUIRE(codes.kind == LODE_NONE, LODE_EUSAGE,
                 "compress: expanding takes no codes; the file holds them");
    LODE_TRY(compress_open(ctx, model, &g));
    LODE_TRY(lode_i_part_resolve(ctx, part, m->ndim, m->shape, start, count));
    LODE_TRY(lode_array_new(ctx, m->dtype, m->ndim, count, &x));
    for (int64_t b = 0; b < g.blocks; b++) {
        LODE_TRY(lode_i_tick(ctx, b, g.blocks));
        if (!meet(&g, b, start, count, from, to, n))
            continue;
        const lode_status read = compress_read_block(ctx, model, &g, b, NULL, &block);
        if (read == LODE_EFORMAT && ctx->recover) {
            LODE_TRY(lode_i_strided(ctx, &x, to, n, NULL, &there));
            LODE_TRY(lose_block(ctx, model, &g, b, &there));
            LODE_FREE(&there);
            continue;
        }
        LODE_TRY(read);
        if (lode_array_size(&block) == lode_array_size(&x) && g.blocks == 1) {
            lode_array_swap(&x, &block); /* all of it */
            break;
        }
        LODE_TRY(lode_i_strided(ctx, &block, from, n, NULL, &here));
        LODE_TRY(lode_i_strided(ctx, &x, to, n, NULL, &there));
        LODE_TRY(lode_array_copy_into(ctx, &here, &there));
        LODE_FREE(&block, &here, &there);
    }
    lode_array_swap(out, &x);
done:
    LODE_FREE(&x, &block, &here, &there);
    return st;
}

lode_status compress_chunk(lode_ctx *ctx, const lode_bundle *model, int64_t *chunk)
{
    grid g;
    LODE_FORWARD(compress_open(ctx, model, &g));
    compress_sides(&g, chunk);
    return LODE_OK;
}

/* ---- verify ---- */

/* The original against what is decoded, block by block, missing entries aside. */
static lode_status compare(lode_ctx *ctx, const lode_bundle *model, const grid *g,
                           const lode_source *s, lode_diff *sums, double *low, double *high)
{
    lode_status st = LODE_OK;
    const lode_meta *m = &model->meta;
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM];
    lode_array want = { 0 }, got = { 0 }, x = { 0 }, y = { 0 }, coded = { 0 };
    struct {
        lode_diff total;
        double low, high;
        int64_t next; /* block */
    } at = { .low = INFINITY, .high = -INFINITY };
    bool done = false;
    LODE_TRY(lode_i_restore_pass(ctx, "blocks compared", &at, sizeof at, &done));
    lode_diff *const total = &at.total;
    for (int64_t b = at.next; b < g->blocks; b++) {
        frame f;
        lode_diff d;
        LODE_TRY(lode_i_tick(ctx, b, g->blocks));
        compress_block(g, b, start, count);
        LODE_TRY(compress_read_block(ctx, model, g, b, &coded, &got));
        LODE_TRY(lode_i_source_read(ctx, s, start, count, m->dtype, &want));
        LODE_TRY(compress_frame(ctx, m->dtype, lode_i_real_of(lode_i_arith(m->dtype)), m->ndim,
                                count, false, &f));
        LODE_TRY(compress_plain(ctx, &f, &want, true, &x));
        LODE_TRY(compress_plain(ctx, &f, &got, true, &y));
        LODE_TRY(compress_hide(ctx, &coded, &x, &y));
        LODE_TRY(lode_i_diff(ctx, &x, &y, &d));
        total->sumsq += d.sumsq;
        total->ref_sumsq += d.ref_sumsq;
        total->maxabs = fmax(total->maxabs, d.maxabs);
        total->mismatched += d.mismatched;
        total->count += d.count;
        if (d.count)
            at.low = fmin(at.low, d.ref_min), at.high = fmax(at.high, d.ref_max);
        at.next = b + 1;
        LODE_TRY(lode_i_keep_pass(ctx, "blocks compared", &at, sizeof at, at.next == g->blocks));
        LODE_FREE(&want, &got, &x, &y, &coded);
    }
    *sums = *total, *low = at.low, *high = at.high;
done:
    LODE_FREE(&want, &got, &x, &y, &coded);
    return st;
}

/* What the file keeps of the original, against the original itself; NaN: not kept. */
static bool differs(double kept, double found)
{
    return fabs(kept - found) > 1e-9 * fabs(kept);
}

static lode_status check_totals(lode_ctx *ctx, const totals *t, const lode_diff *d, double low,
                                double high, double slack)
{
    static const char *const names[] = { "count of observed entries", "squared norm",
                                         "smallest value", "largest value" };
    const double kept[] = { t->count, t->norm2, t->low, t->high };
    const double found[] = { (double)d->count, d->ref_sumsq, low, high };
    for (int i = 0; i < (d->count ? 4 : 2); i++)
        if (differs(kept[i], found[i]))
            return lode_i_fail(ctx, LODE_EVERIFY,
                               "compress: the %s of the original is %.17g, the file says %.17g",
                               names[i], found[i], kept[i]);
    if (fabs(d->maxabs - t->maxabs) > 1e-6 * t->maxabs + slack)
        return lode_i_fail(ctx, LODE_EVERIFY,
                           "compress: the largest error is %.9g, the file says %.9g", d->maxabs,
                           t->maxabs);
    return LODE_OK;
}

/* The error that the certificate states is the one that the sums come to. */
static lode_status check_certificate(lode_ctx *ctx, const lode_certificate *c, const totals *t)
{
    const double sum = c->norm == LODE_NORM_MAX ? t->maxabs : sqrt(t->sumsq);
    if (differs(sum, c->absolute))
        return lode_i_fail(ctx, LODE_EVERIFY,
                           "compress: the certificate says an error of %.9g, the sums kept %.9g",
                           c->absolute, sum);
    return LODE_OK;
}

lode_status compress_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                            lode_certificate *found)
{
    lode_status st = LODE_OK;
    const lode_certificate *c = &model->certificate;
    const lode_meta *m = &model->meta;
    grid g;
    lode_source s = { 0 };
    lode_array block = { 0 };
    lode_diff d = { 0 };
    bool owned = false;
    double low = 0, high = 0;
    totals t;

    LODE_TRY(compress_open(ctx, model, &g));
    *found = *c;
    const bool kept = lode_bundle_get(model, "sums").kind != LODE_NONE;
    if (original.kind == LODE_NONE) { /* checksums and structure: every block must decode */
        int64_t next = 0;
        bool done = false;
        LODE_TRY(lode_i_restore_pass(ctx, "blocks decoded", &next, sizeof next, &done));
        for (int64_t b = next; b < g.blocks; b++) {
            LODE_TRY(lode_i_tick(ctx, b, g.blocks));
            const lode_status decoded = compress_read_block(ctx, model, &g, b, NULL, &block);
            LODE_REQUIRE(decoded != LODE_EFORMAT, LODE_EVERIFY, "%s", lode_message(ctx));
            LODE_TRY(decoded);
            lode_array_free(&block);
            next = b + 1;
            LODE_TRY(lode_i_keep_pass(ctx, "blocks decoded", &next, sizeof next, next == g.blocks));
        }
    }
    if (kept) {
        LODE_TRY(compress_totals_read(ctx, model, &t));
        LODE_TRY(check_certificate(ctx, c, &t));
    }
    if (original.kind == LODE_NONE)
        goto done;
    LODE_TRY(lode_i_as_source(ctx, original, &s, &owned));
    LODE_REQUIRE(s.ndim == m->ndim && s.dtype == m->dtype &&
                     memcmp(s.shape, m->shape, (size_t)s.ndim * sizeof *s.shape) == 0,
                 LODE_ESHAPE,
                 "compress: the original is not of the type and shape that was compressed");
    LODE_TRY(compare(ctx, model, &g, &s, &d, &low, &high));
    LODE_REQUIRE(d.mismatched == 0, LODE_EVERIFY,
                 "compress: %" PRId64 " entries are missing in one of the two only", d.mismatched);
    found->absolute = c->norm == LODE_NORM_MAX ? d.maxabs : sqrt(d.sumsq);
    const double unit = !c->relative               ? 1
                        : c->norm == LODE_NORM_MAX ? high - low
                                                   : sqrt(d.ref_sumsq);
    found->value = unit > 0 ? found->absolute / unit : found->absolute > 0 ? INFINITY : 0;
    /* another machine's arithmetic may move the last bits of each value */
    const double last = 64 * lode_i_epsilon(lode_i_arith(m->dtype));
    const double size = d.count ? fmax(fabs(low), fabs(high)) : 0;
    const double slack = last * (c->relative ? 1 : size);
    LODE_REQUIRE(found->value <= c->value * (1 + 1e-6) + slack, LODE_EVERIFY,
                 "compress: the error is %.9g, the certificate says %.9g", found->value, c->value);
    const double other = c->norm == LODE_NORM_MAX ? sqrt(d.sumsq) : d.maxabs;
    const double largest = fmax(fabs(low), fabs(high));
    LODE_REQUIRE(!(c->other > 0) ||
                     other <= c->other * (1 + 1e-6) +
                                  64 * lode_i_epsilon(lode_i_arith(m->dtype)) *
                                      (c->norm == LODE_NORM_MAX ? sqrt(d.ref_sumsq) : largest),
                 LODE_EVERIFY, "compress: the %s error is %.9g, the certificate says %.9g",
                 lode_norm_name(c->norm == LODE_NORM_MAX ? LODE_NORM_FRO : LODE_NORM_MAX), other,
                 c->other);
    found->other = other;
    if (kept)
        LODE_TRY(check_totals(ctx, &t, &d, low, high, last * size));
    LODE_TRY(compress_same_input(ctx, model, &g, &s, found));
done:
    if (owned)
        LODE_FREE(&s);
    LODE_FREE(&block);
    return st;
}
