/* Parts added to what is compressed: along one axis, each with blocks of its own, so that no record
 * that is there changes; and the sums that the certificate of the whole follows from. */
#include <math.h>
#include <string.h>

#include "lode/io.h"
#include "ops/compress/compress.h"

/* ---- sums ---- */

lode_status compress_totals_write(lode_ctx *ctx, const totals *t, lode_bundle *model)
{
    lode_status st = LODE_OK;
    lode_array sums = { 0 };
    const double value[TOTALS] = { t->count, t->sumsq, t->maxabs, t->norm2, t->low, t->high };
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, TOTALS, &sums));
    for (int i = 0; i < TOTALS; i++)
        lode_i_set1(&sums, i, value[i]);
    LODE_TRY(lode_bundle_add_array(ctx, model, "sums", &sums));
done:
    LODE_FREE(&sums);
    return st;
}

lode_status compress_totals_read(lode_ctx *ctx, const lode_bundle *model, totals *t)
{
    lode_status st = LODE_OK;
    const lode_value v = lode_bundle_get(model, "sums");
    const lode_array *given = NULL;
    lode_array sums = { 0 };
    double value[TOTALS];
    if (v.kind == LODE_SOURCE && v.as.source->ndim == 1 && v.as.source->shape[0] == TOTALS) {
        LODE_TRY(lode_i_source_load(ctx, v.as.source, &sums));
    } else {
        LODE_TRY(lode_bundle_array(ctx, model, "sums", &given));
        sums = lode_array_ref(given);
    }
    LODE_REQUIRE(sums.dtype == LODE_F64 && sums.ndim == 1 && sums.shape[0] == TOTALS, LODE_EFORMAT,
                 "compress: the sums are no vector of %d f64", (int)TOTALS);
    for (int i = 0; i < TOTALS; i++)
        value[i] = lode_i_get1(&sums, i);
    *t = (totals){ value[0], value[1], value[2], value[3], value[4], value[5] };
    LODE_REQUIRE(t->sumsq >= 0 && t->maxabs >= 0 && !(t->count < 0) && !(t->count > 0x1p62) &&
                     !(t->norm2 < 0),
                 LODE_EFORMAT,
                 "compress: the sums say %g entries, a squared error of %g, a largest one "
                 "of %g and a squared norm of %g",
                 t->count, t->sumsq, t->maxabs, t->norm2);
done:
    LODE_FREE(&sums);
    return st;
}

totals compress_totals_join(const totals *a, const totals *b)
{
    totals t = { .count = a->count + b->count,
                 .sumsq = a->sumsq + b->sumsq,
                 .maxabs = fmax(a->maxabs, b->maxabs),
                 .norm2 = a->norm2 + b->norm2 };
    const totals *only = a->count == 0 ? b : b->count == 0 ? a : NULL;
    t.low = only ? only->low : fmin(a->low, b->low);
    t.high = only ? only->high : fmax(a->high, b->high);
    return t;
}

/* ---- a model that is added to ---- */

typedef struct base {
    const lode_bundle *model;
    lode_compress_opts o;
    grid g;
    totals t;
    int axis;
    double values; /* pairs counted twice */
    double asked;  /* of those, in the first segment: what a size was asked for */
} base;

static double values_of(const grid *g, int64_t length, int axis)
{
    double n = lode_i_is_complex(g->dtype) ? 2 : 1;
    for (int k = 0; k < g->ndim; k++)
        n *= (double)(k == axis ? length : g->shape[k]);
    return n;
}

static lode_status open_base(lode_ctx *ctx, const lode_bundle *model, base *b)
{
    *b = (base){ .model = model, .o = lode_compress_defaults() };
    LODE_FORWARD(compress_open(ctx, model, &b->g));
    if (b->g.ndim == 0)
        return lode_i_fail(ctx, LODE_ESHAPE, "compress: a single value has no axis to add along");
    if (lode_bundle_get(model, "sums").kind == LODE_NONE)
        return lode_i_fail(
            ctx, LODE_EUNSUPPORTED,
            "compress: the file keeps no sums (lode %s wrote it), so the error of the "
            "whole could not be certified; compress the original again",
            model->meta.version);
    LODE_FORWARD(compress_totals_read(ctx, model, &b->t));
    LODE_FORWARD(lode_i_options_read(ctx, &lode_op_compress, model->meta.options, &b->o));
    const int64_t axis = b->o.axis < 0 ? b->o.axis + b->g.ndim : b->o.axis;
    if (axis < 0 || axis >= b->g.ndim || (b->g.segments.data && axis != b->g.axis))
        return lode_i_fail(
            ctx, LODE_EFORMAT,
            "compress: option axis is %" PRId64 ", which is not the axis of the file", b->o.axis);
    b->axis = (int)axis;
    b->values = values_of(&b->g, b->g.shape[axis], b->axis);
    b->asked = b->g.segments.data
                   ? values_of(&b->g, (int64_t)lode_i_get2(&b->g.segments, 0, 1), b->axis)
                   : b->values;
    return LODE_OK;
}

/* ---- a model made of two ---- */

/* limit: what the records are to say. */
static lode_status put_records(lode_ctx *ctx, const lode_bundle *from, const grid *g, int64_t limit,
                               int64_t first, lode_bundle *to)
{
    lode_status st = LODE_OK;
    lode_array coded = { 0 };
    for (int64_t i = 0; i < g->blocks; i++) {
        char name[32];
        const lode_array *record = NULL;
        LODE_TRY(compress_record(ctx, from, i, &record));
        if (g->limit == limit)
            coded = lode_array_ref(record);
        else
            LODE_TRY(lode_i_record_change(ctx, record, RECORD_LIMIT, limit, &coded));
        snprintf(name, sizeof name, "coded.%" PRId64, first + i);
        LODE_TRY(lode_bundle_add_array(ctx, to, name, &coded));
        LODE_TRY(lode_i_tick(ctx, i, g->blocks));
    }
done:
    LODE_FREE(&coded);
    return st;
}

static int64_t rows_of(const grid *g)
{
    return g->segments.data ? g->segments.shape[0] : 1;
}

/* Rows of a grid's own table, or the one it stands for, moved by what lies before. */
static void put_rows(const grid *g, int axis, int64_t row, int64_t end, int64_t blocks,
                     lode_array *table)
{
    for (int64_t s = 0; s < rows_of(g); s++) {
        const bool own = g->segments.data != NULL;
        const double last = own ? lode_i_get2(&g->segments, s, 1) : (double)g->shape[axis];
        const double count = own ? lode_i_get2(&g->segments, s, 2) : (double)g->blocks;
        lode_i_set2(table, row + s, 0, axis);
        lode_i_set2(table, row + s, 1, (double)end + last);
        lode_i_set2(table, row + s, 2, (double)blocks + count);
    }
}

/* The records of `b` and those of `more` on the grid g, in one model; t: sums of both. */
static lode_status join(lode_ctx *ctx, const base *b, const lode_bundle *more, const grid *g,
                        const totals *t, lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_bundle made = { 0 };
    lode_array table = { 0 };
    grid whole = b->g;
    int64_t shape[LODE_MAX_NDIM];
    const int64_t rows = rows_of(&b->g);

    LODE_REQUIRE(lode_i_add(b->g.shape[b->axis], g->shape[b->axis], &whole.shape[b->axis]) &&
                     values_of(&whole, whole.shape[b->axis], b->axis) < 0x1p62,
                 LODE_ESHAPE, "compress: axis %d would have more values than can be counted",
                 b->axis);
    LODE_TRY(lode_i_matrix_new(ctx, LODE_I64, rows + rows_of(g), 3, &table));
    put_rows(&b->g, b->axis, 0, 0, 0, &table);
    put_rows(g, b->axis, rows, b->g.shape[b->axis], b->g.blocks, &table);
    memcpy(shape, whole.shape, sizeof shape);
    const int64_t limit = b->g.limit ? b->g.limit : g->limit;
    compress_grid(b->g.dtype, b->g.ndim, shape, limit, &whole);
    LODE_TRY(compress_segments(ctx, &table, &whole));
    LODE_TRY(lode_bundle_add_array(ctx, &made, "segments", &table)); /* first: cut files need it */
    LODE_TRY(put_records(ctx, b->model, &b->g, limit, 0, &made));
    LODE_TRY(put_records(ctx, more, g, limit, b->g.blocks, &made));
    const double values = b->values + values_of(g, g->shape[b->axis], b->axis);
    LODE_TRY(compress_finish(ctx, &b->o, t, values, &whole, &made));
    made.meta.seed = b->model->meta.seed;
    made.meta.input_bytes = (uint64_t)(values / (lode_i_is_complex(whole.dtype) ? 2 : 1)) *
                            lode_dtype_size(whole.dtype);
    lode_bundle_swap(result, &made);
done:
    LODE_FREE(&table, &made);
    return st;
}

/* ---- hashes ---- */

/* The hash of a row of parts, from that of what was there and that of the part. */
static void chain(char hash[72], const char *part)
{
    char both[160];
    lode_digest d;
    const int n = snprintf(both, sizeof both, "%s %s", hash, part);
    lode_i_digest(both, (size_t)n, UINT64_MAX - 2, &d);
    lode_i_digest_hex(&d, hash);
}

lode_status compress_same_input(lode_ctx *ctx, const lode_bundle *model, const grid *g,
                                const lode_source *original, lode_certificate *found)
{
    lode_status st = LODE_OK;
    int64_t start[LODE_MAX_NDIM] = { 0 }, stop[LODE_MAX_NDIM], step[LODE_MAX_NDIM];
    char whole[72] = "", part[72];
    lode_source s = { 0 };

    if (!model->meta.input_hash[0])
        goto done;
    for (int64_t i = 0; i < rows_of(g); i++) {
        for (int k = 0; k < g->ndim; k++)
            stop[k] = g->shape[k], step[k] = 1;
        if (g->segments.data)
            stop[g->axis] = (int64_t)lode_i_get2(&g->segments, i, 1);
        if (i)
            start[g->axis] = (int64_t)lode_i_get2(&g->segments, i - 1, 1);
        LODE_TRY(lode_i_source_slice(ctx, original, g->ndim, start, stop, step, NULL, &s));
        LODE_TRY(lode_hash(ctx, lode_from_source(&s), part));
        if (i)
            chain(whole, part);
        else
            memcpy(whole, part, sizeof whole);
    }
    snprintf(found->note, sizeof found->note, "%s",
             strcmp(whole, model->meta.input_hash) == 0
                 ? "the original has every bit of what was compressed, by its hash"
                 : "the original has other bits than what was compressed, by its hash");
done:
    LODE_FREE(&s);
    return st;
}

/* ---- update ---- */

static lode_status wrong_part(lode_ctx *ctx, const base *b, const lode_source *s)
{
    char have[256], want[256];
    lode_i_print_shape(s->ndim, s->shape, have, sizeof have);
    lode_i_print_shape(b->g.ndim, b->g.shape, want, sizeof want);
    if (s->dtype != b->g.dtype)
        return lode_i_fail(ctx, LODE_ETYPE,
                           "compress: the part has type %s, what is there %s; convert it first "
                           "(lode convert --dtype %s)",
                           lode_dtype_name(s->dtype), lode_dtype_name(b->g.dtype),
                           lode_dtype_name(b->g.dtype));
    if (s->ndim != b->g.ndim)
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "compress: the part is %s (%d axes), what is there %s (%d axes)", have,
                           s->ndim, want, b->g.ndim);
    for (int k = 0; k < s->ndim; k++)
        if (k != b->axis && s->shape[k] != b->g.shape[k])
            return lode_i_fail(
                ctx, LODE_ESHAPE,
                "compress: the part is %s, what is there %s: they add along axis %d, "
                "and axis %d must have %" PRId64 " values",
                have, want, b->axis, k, b->g.shape[k]);
    return LODE_OK;
}

/* The part as a source of the model's axes: a single step may come without its axis. */
static lode_status open_part(lode_ctx *ctx, const base *b, lode_value x, lode_source *s,
                             bool *owned)
{
    lode_status st = LODE_OK;
    lode_array loaded = { 0 }, step = { 0 };
    int64_t shape[LODE_MAX_NDIM];
    LODE_TRY(lode_i_as_source(ctx, x, s, owned));
    memcpy(shape, b->g.shape, sizeof shape);
    shape[b->axis] = 1;
    bool single = s->ndim == b->g.ndim - 1;
    for (int k = 0; k < s->ndim && single; k++)
        single = s->shape[k] == shape[k + (k >= b->axis)];
    if (single || !s->rewindable) {
        LODE_TRY(lode_i_source_load(ctx, s, &loaded));
        if (single)
            LODE_TRY(lode_array_reshape(ctx, &loaded, b->g.ndim, shape, &step));
        if (*owned)
            LODE_FREE(s);
        *owned = false;
        *s = (lode_source){ 0 };
        LODE_TRY(lode_i_source_from_array(ctx, single ? &step : &loaded, s));
        *owned = true;
    }
    LODE_TRY(wrong_part(ctx, b, s));
done:
    LODE_FREE(&loaded, &step);
    return st;
}

lode_status compress_update(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                            lode_bundle *result)
{
    lode_status st = LODE_OK;
    const uint64_t seed = ctx->seed;
    base b;
    lode_diff d;
    lode_bundle more = { 0 }, made = { 0 };
    job j = { 0 };
    char hash[72];
    bool owned = false;

    ctx->seed = model->meta.seed; /* which the result records */
    LODE_TRY(open_base(ctx, model, &b));
    LODE_TRY(open_part(ctx, &b, x, &j.source, &owned));
    if (j.source.shape[b.axis] == 0) { /* nothing to add */
        LODE_TRY(lode_bundle_ref(ctx, model, result));
        goto done;
    }
    if (b.g.limit != 0) /* blocks as they are */
        b.o.block = (lode_auto_i64){ true, b.g.limit > 0 ? b.g.limit : -b.g.limit };
    j.o = &b.o, j.before = &b.t;
    j.values_before = b.values, j.values_asked = b.asked;
    LODE_TRY(compress_code(ctx, &j, &more, &d));
    const totals part = compress_totals(&j, &d), t = compress_totals_join(&b.t, &part);
    LODE_TRY(join(ctx, &b, &more, &j.g, &t, &made));
    if (model->meta.input_hash[0]) {
        LODE_TRY(lode_hash(ctx, lode_from_source(&j.source), hash));
        memcpy(made.meta.input_hash, model->meta.input_hash, sizeof made.meta.input_hash);
        chain(made.meta.input_hash, hash);
    }
    lode_bundle_swap(result, &made);
done:
    ctx->seed = seed;
    if (owned)
        LODE_FREE(&j.source);
    LODE_FREE(&j.held, &more, &made);
    return st;
}

/* Arrays of one block each are cut alike with no limit and with that of larger ones. */
static bool alike(const grid *a, const grid *b)
{
    const bool first = a->limit == 0 && a->blocks == rows_of(a) && b->limit == COMPRESS_THICK;
    const bool second = b->limit == 0 && b->blocks == rows_of(b) && a->limit == COMPRESS_THICK;
    return first || second;
}

lode_status compress_merge(lode_ctx *ctx, const lode_bundle *first, const lode_bundle *second,
                           lode_bundle *result)
{
    lode_status st = LODE_OK;
    base a, b;
    LODE_TRY(open_base(ctx, first, &a));
    LODE_TRY(open_base(ctx, second, &b));
    LODE_REQUIRE(strcmp(first->meta.options, second->meta.options) == 0, LODE_EUSAGE,
                 "compress: the files were made with other options (%s and %s); merge joins those "
                 "made with the same",
                 first->meta.options, second->meta.options);
    LODE_REQUIRE(a.g.limit == b.g.limit || alike(&a.g, &b.g), LODE_EUSAGE,
                 "compress: the files have blocks of other sizes (%" PRId64 " and %" PRId64
                 " values); merge joins those made with the same --block",
                 a.g.limit < 0 ? -a.g.limit : a.g.limit, b.g.limit < 0 ? -b.g.limit : b.g.limit);
    const lode_source s = { .dtype = b.g.dtype, .ndim = b.g.ndim };
    lode_source shaped = s;
    memcpy(shaped.shape, b.g.shape, sizeof shaped.shape);
    LODE_TRY(wrong_part(ctx, &a, &shaped));
    if (b.g.shape[b.axis] == 0) {
        LODE_TRY(lode_bundle_ref(ctx, first, result));
        goto done;
    }
    const totals t = compress_totals_join(&a.t, &b.t);
    LODE_TRY(join(ctx, &a, second, &b.g, &t, result));
    /* of a part that was itself added to, the hash is not that of the part */
    if (first->meta.input_hash[0] && second->meta.input_hash[0] && !b.g.segments.data) {
        memcpy(result->meta.input_hash, first->meta.input_hash, sizeof result->meta.input_hash);
        chain(result->meta.input_hash, second->meta.input_hash);
    }
done:
    return st;
}
