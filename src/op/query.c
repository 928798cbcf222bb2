/* Questions about the array that a result stands for: their written form, ranges made whole, what
 * the certificate says about an answer, and the way through invert for ops without one of their
 * own. */
#include <math.h>
#include <string.h>

#include "io/io.h"
#include "op/call.h"

void lode_answer_free(lode_answer *a)
{
    lode_array_free(&a->values);
    *a = (lode_answer){ 0 };
}

/* ---- the written form ---- */

static const char *const kind_names[] = { "values", "mean", "sum", "norm", "dot" };

static lode_status outside(lode_ctx *ctx, int axis, int64_t index, int64_t n)
{
    if (n == 0)
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "query: index %" PRId64 " on axis %d, which has no entries", index,
                           axis);
    return lode_i_fail(ctx, LODE_EUSAGE,
                       "query: index %" PRId64
                       " is outside axis %d, whose indices are 0 to %" PRId64 " (or -%" PRId64
                       " to -1, from the end)",
                       index, axis, n - 1, n);
}

/* An end of a range: 0 .. n, or from the end. */
static lode_status range_end(lode_ctx *ctx, int axis, int64_t n, int64_t *v)
{
    if (*v < -n || *v > n)
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "query: a range with end %" PRId64 " leaves axis %d, which has %" PRId64
                           " entries",
                           *v, axis, n);
    *v += *v < 0 ? n : 0;
    return LODE_OK;
}

static lode_status ranges(lode_ctx *ctx, const lode_i_slice *s, const char *text, int ndim,
                          const int64_t *shape, lode_question *q)
{
    const int gap = s->ellipsis < 0 ? s->ndim : s->ellipsis, hole = ndim - s->ndim;
    if (hole < 0)
        return lode_i_fail(ctx, LODE_EUSAGE, "query: '%s' names %d axes; the array has %d", text,
                           (int)s->ndim, ndim);
    q->ndim = ndim;
    for (int i = 0; i < ndim; i++) {
        const int64_t n = shape[i];
        q->start[i] = 0, q->count[i] = n, q->step[i] = 1;
        if (i >= gap && i < gap + hole)
            continue;
        const int k = i < gap ? i : i - hole;
        int64_t start = s->start[k], stop = n;
        if (s->dropped[k]) {
            if (start < -n || start >= n)
                return outside(ctx, i, start, n);
            q->start[i] = start < 0 ? start + n : start;
            q->count[i] = 1;
            q->dropped[i] = true;
            continue;
        }
        if (s->step[k] < 0)
            return lode_i_fail(ctx, LODE_EUSAGE,
                               "query: step %" PRId64 " on axis %d; steps are 1 or more",
                               s->step[k], i);
        start = s->has_start[k] ? start : 0;
        LODE_FORWARD(range_end(ctx, i, n, &start));
        if (s->has_stop[k]) {
            stop = s->stop[k];
            LODE_FORWARD(range_end(ctx, i, n, &stop));
        }
        q->start[i] = start;
        q->step[i] = s->step[k];
        q->count[i] = stop > start ? (stop - start - 1) / s->step[k] + 1 : 0;
    }
    return LODE_OK;
}

lode_status lode_question_parse(lode_ctx *ctx, const lode_bundle *model, const char *text,
                                lode_question *q)
{
    const lode_op *op = NULL;
    lode_i_slice slice;
    lode_question made = { .kind = LODE_QUERY_VALUES };
    const size_t n = strcspn(text, "["), size = strlen(text);
    LODE_FORWARD(lode_i_model_op(ctx, model, "query", &op));
    bool known = n == 0 && size > 0;
    for (int k = LODE_QUERY_MEAN; k <= LODE_QUERY_DOT; k++)
        if (strlen(kind_names[k]) == n && memcmp(kind_names[k], text, n) == 0)
            made.kind = (lode_query_kind)k, known = true;
    if (!known || (n < size && text[size - 1] != ']'))
        return lode_i_fail(
            ctx, LODE_EUSAGE,
            "query: '%s' is no question; ask [3,4,5], [0:10,:,::4], mean, mean[0:10], "
            "sum, norm or dot=FILE",
            text);
    if (n < size) {
        LODE_FORWARD(lode_i_slice_parse(ctx, text + n + 1, size - n - 2, &slice));
        LODE_FORWARD(ranges(ctx, &slice, text, model->meta.ndim, model->meta.shape, &made));
    }
    made.other = q->other;
    *q = made;
    return LODE_OK;
}

/* Ranges that a caller in C gave: whole, and within the array. */
static lode_status resolve(lode_ctx *ctx, const lode_meta *m, lode_question *q)
{
    if (q->ndim != 0 && q->ndim != m->ndim)
        return lode_i_fail(ctx, LODE_EUSAGE, "query: ranges of %d axes; the array has %d",
                           (int)q->ndim, (int)m->ndim);
    const bool all = q->ndim == 0;
    q->ndim = m->ndim;
    for (int k = 0; k < m->ndim; k++) {
        const int64_t n = m->shape[k];
        if (all)
            q->start[k] = 0, q->count[k] = n, q->step[k] = 1, q->dropped[k] = false;
        if (q->step[k] < 0)
            return lode_i_fail(ctx, LODE_EUSAGE,
                               "query: step %" PRId64 " on axis %d; steps are 1 or more",
                               q->step[k], k);
        q->step[k] = lode_i_max(q->step[k], 1);
        if (q->start[k] < -n || q->start[k] > n || (q->start[k] == n && q->count[k] > 0))
            return outside(ctx, k, q->start[k], n);
        q->start[k] += q->start[k] < 0 ? n : 0;
        const int64_t most = lode_i_ceil_div(n - q->start[k], q->step[k]);
        if (q->count[k] > most)
            return outside(ctx, k, q->start[k] + most * q->step[k], n);
        if (q->count[k] < 0)
            q->count[k] = most;
        if (q->dropped[k] && q->count[k] != 1)
            return lode_i_fail(ctx, LODE_EUSAGE,
                               "query: axis %d is to be left out and has %" PRId64
                               " entries in the range, not 1",
                               k, q->count[k]);
        if (q->count[k] == 1)
            q->step[k] = 1;
    }
    return LODE_OK;
}

static int kept_axes(const lode_question *q, int64_t *shape)
{
    int n = 0;
    for (int k = 0; k < q->ndim; k++)
        if (!q->dropped[k])
            shape[n++] = q->count[k];
    return n;
}

static lode_status check_other(lode_ctx *ctx, const lode_question *q)
{
    lode_dtype dtype;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM], want[LODE_MAX_NDIM];
    char has[256], wants[256];
    if (q->kind != LODE_QUERY_DOT)
        return LODE_OK;
    if ((q->other.kind != LODE_ARRAY && q->other.kind != LODE_SOURCE) ||
        !lode_i_value_shape(q->other, &dtype, &ndim, shape))
        return lode_i_fail(ctx, LODE_ETYPE, "query: dot takes a dense array, not %s",
                           lode_kind_name(q->other.kind));
    const int n = kept_axes(q, want);
    if (ndim == n && memcmp(shape, want, (size_t)n * sizeof *want) == 0)
        return LODE_OK;
    lode_i_print_shape(ndim, shape, has, sizeof has);
    lode_i_print_shape(n, want, wants, sizeof wants);
    return lode_i_fail(ctx, LODE_ESHAPE, "query: dot with an array of %s; what is asked is %s", has,
                       wants);
}

/* ---- parts ---- */

/* The other array where a part lies, with the axes that the question drops. */
static lode_status read_other(lode_ctx *ctx, const lode_question *q, const int64_t *from,
                              const int64_t *count, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_source s = { 0 };
    lode_array a = { 0 };
    bool owned = false;
    int64_t start[LODE_MAX_NDIM], n[LODE_MAX_NDIM];
    int kept = 0;
    LODE_TRY(lode_i_as_source(ctx, q->other, &s, &owned));
    for (int k = 0; k < q->ndim; k++)
        if (!q->dropped[k])
            start[kept] = from[k], n[kept++] = count[k];
    LODE_TRY(lode_i_source_read(ctx, &s, start, n, s.dtype, &a));
    LODE_TRY(lode_array_reshape(ctx, &a, q->ndim, count, out));
done:
    if (owned)
        LODE_FREE(&s);
    LODE_FREE(&a);
    return st;
}

void lode_i_tally_add(lode_tally *t, const lode_inner *part)
{
    lode_i_sum_push(&t->re, &part->re, 1);
    lode_i_sum_push(&t->im, &part->im, 1);
    lode_i_sum_push(&t->sumsq, &part->sumsq, 1);
    lode_i_sum_push(&t->other, &part->other, 1);
    t->count += part->count;
    t->missing += part->missing;
    t->infinite += part->infinite;
}

lode_status lode_i_tally(lode_ctx *ctx, const lode_question *q, const lode_array *part,
                         const int64_t *from, lode_tally *t)
{
    lode_status st = LODE_OK;
    const bool dot = q->kind == LODE_QUERY_DOT;
    lode_array other = { 0 };
    lode_inner s;
    if (dot)
        LODE_TRY(read_other(ctx, q, from, part->shape, &other));
    LODE_TRY(lode_i_inner(ctx, part, dot ? &other : NULL, &s));
    lode_i_tally_add(t, &s);
done:
    LODE_FREE(&other);
    return st;
}

lode_status lode_i_tally_answer(lode_ctx *ctx, const lode_question *q, const lode_tally *t,
                                lode_answer *a)
{
    const double n = (double)t->count, sumsq = lode_i_sum_total(&t->sumsq);
    const double tiny = 0x1p-42; /* of sums: 2^11 additions in a lane, and what joins them */
    const char *name = kind_names[q->kind];
    if (t->infinite > 0)
        return lode_i_fail(ctx, LODE_EDOMAIN,
                           "query: %s over %" PRId64 " infinite entries; ask for a range without "
                           "them",
                           name, t->infinite);
    if (t->count == 0 && q->kind == LODE_QUERY_MEAN)
        return lode_i_fail(ctx, LODE_EDOMAIN,
                           t->missing ? "query: the mean of %" PRId64 " entries, all missing"
                                      : "query: the mean of %" PRId64 " entries",
                           t->missing);
    a->re = lode_i_sum_total(&t->re), a->im = lode_i_sum_total(&t->im);
    a->count = t->count, a->missing = t->missing;
    a->other = sqrt(lode_i_sum_total(&t->other));
    switch (q->kind) {
    case LODE_QUERY_MEAN:
        a->re /= n, a->im /= n;
        a->error += tiny * sqrt(sumsq / n);
        break;
    case LODE_QUERY_SUM: a->error += tiny * sqrt(sumsq * n); break;
    case LODE_QUERY_DOT: a->error += tiny * sqrt(sumsq) * a->other; break;
    default: a->re = sqrt(sumsq), a->im = 0; a->error += tiny * a->re;
    }
    return LODE_OK;
}

/* ---- through invert ---- */

enum { SLAB = 1 << 22, NEAR = 8 };

/* How many of the question's entries on the first axis go into one slab: no more entries between
 * them than these need, unless they lie close. */
static int64_t slab_rows(const lode_question *q)
{
    double row = 1;
    for (int k = 1; k < q->ndim; k++)
        row *= (double)((lode_i_max(q->count[k], 1) - 1) * q->step[k] + 1);
    if (q->ndim == 0 || q->step[0] > NEAR)
        return 1;
    const int64_t rows = lode_i_max(1, (int64_t)(SLAB / row));
    return lode_i_max(1, lode_i_min(q->count[0], (rows - 1) / q->step[0] + 1));
}

lode_status lode_i_answer_by_invert(lode_ctx *ctx, const lode_op *op, const lode_bundle *model,
                                    const lode_question *q, lode_answer *a)
{
    lode_status st = LODE_OK;
    lode_array got = { 0 }, part = { 0 }, out = { 0 }, to = { 0 };
    lode_part cover = { .ndim = q->ndim };
    lode_tally t = { .count = 0 };
    int64_t zero[LODE_MAX_NDIM] = { 0 }, at[LODE_MAX_NDIM] = { 0 }, n[LODE_MAX_NDIM];
    int64_t asked = 1;
    memcpy(n, q->count, sizeof n);
    for (int k = 0; k < q->ndim; k++)
        asked *= lode_i_min(q->count[k], 1);
    const int64_t rows = q->ndim && asked ? q->count[0] : asked, slab = slab_rows(q);
    if (asked == 0 && q->kind == LODE_QUERY_VALUES)
        LODE_TRY(lode_array_new(ctx, model->meta.dtype, q->ndim, q->count, &out));
    for (int64_t r = 0; r < rows; r += slab) {
        int64_t size = 1;
        if (q->ndim)
            at[0] = r, n[0] = lode_i_min(slab, rows - r);
        for (int k = 0; k < q->ndim; k++) {
            cover.start[k] = q->start[k] + at[k] * q->step[k];
            cover.count[k] = (n[k] - 1) * q->step[k] + 1;
            size *= cover.count[k];
        }
        LODE_TRY(lode_i_tick(ctx, r, rows));
        LODE_TRY(op->invert(ctx, model, lode_none(), &cover, &got));
        LODE_REQUIRE(got.ndim == q->ndim, LODE_EFORMAT,
                     "query: the result gives %d axes and says %d", (int)got.ndim, (int)q->ndim);
        LODE_TRY(lode_i_strided(ctx, &got, zero, n, q->step, &part));
        a->entries += size;
        if (q->kind != LODE_QUERY_VALUES) {
            LODE_TRY(lode_i_tally(ctx, q, &part, at, &t));
        } else {
            if (!out.data)
                LODE_TRY(lode_array_new(ctx, got.dtype, q->ndim, q->count, &out));
            LODE_TRY(lode_i_strided(ctx, &out, at, n, NULL, &to));
            LODE_TRY(lode_array_copy_into(ctx, &part, &to));
        }
        LODE_FREE(&got, &part, &to);
    }
    if (q->kind != LODE_QUERY_VALUES)
        LODE_TRY(lode_i_tally_answer(ctx, q, &t, a));
    lode_array_swap(&a->values, &out);
    for (int64_t i = 0; i < model->count; i++) {
        const lode_value v = lode_bundle_value(model, i);
        a->all_bytes += v.kind == LODE_ARRAY ? lode_array_bytes(v.as.array) : 0;
    }
    a->bytes = a->all_bytes;
done:
    LODE_FREE(&got, &part, &out, &to);
    return st;
}

lode_status lode_i_load_members(lode_ctx *ctx, const lode_bundle *model, lode_bundle *loaded)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 };
    LODE_TRY(lode_bundle_ref(ctx, model, loaded));
    for (int64_t i = 0; i < model->count; i++) {
        const lode_value v = lode_bundle_value(model, i);
        if (v.kind != LODE_SOURCE)
            continue;
        LODE_TRY(lode_i_source_load(ctx, v.as.source, &a));
        LODE_TRY(lode_bundle_add_array(ctx, loaded, lode_bundle_name(model, i), &a));
    }
done:
    LODE_FREE(&a);
    return st;
}

/* ---- error bars ---- */

/* Bounds on the original less what comes back: the norm over all entries, at any entry, spectral. */
typedef struct bounds {
    double fro, max, spectral;
} bounds;

/* Of entries that were not there to be compared it says nothing. */
static bool over_observed(const lode_certificate *c)
{
    return strstr(c->quantity, "observed values") != NULL;
}

static bounds bounds_of(const lode_bundle *model)
{
    const lode_certificate *c = &model->certificate;
    const lode_meta *m = &model->meta;
    bounds b = { INFINITY, INFINITY, INFINITY };
    double n = 1;
    for (int k = 0; k < m->ndim; k++)
        n *= (double)m->shape[k];
    if (over_observed(c) ||
        (c->kind != LODE_CERT_MEASURED && c->kind != LODE_CERT_BOUND &&
         c->kind != LODE_CERT_PROBABILISTIC) ||
        !(c->absolute >= 0))
        return b;
    const bool exact = !(c->absolute > 0) && !(c->other > 0);
    if (c->norm == LODE_NORM_SPECTRAL) {
        b.spectral = c->absolute;
    } else {
        const bool fro = c->norm == LODE_NORM_FRO;
        const double other = c->other > 0 || exact ? c->other : INFINITY;
        b.fro = fro ? c->absolute : other;
        /* pointwise errors are those of real and imaginary parts */
        b.max = (fro ? other : c->absolute) * (lode_i_is_complex(m->dtype) ? sqrt(2) : 1);
        if (b.fro < b.max && isfinite(b.max)) /* its squares underflowed */
            b.fro = b.max * sqrt(n);
    }
    return b;
}

static void add_error(const lode_bundle *model, const lode_question *q, lode_answer *a)
{
    static const char *const says[] = { "no entry is off by more", "the mean is off by no more",
                                        "the sum is off by no more", "the norm is off by no more",
                                        "the inner product is off by no more" };
    const lode_certificate *c = &model->certificate;
    const bounds b = bounds_of(model);
    const double n = (double)a->count;
    int64_t least = INT64_MAX;
    for (int k = 0; k < q->ndim; k++)
        least = lode_i_min(least, q->count[k]);
    /* of the norm over the entries asked: ||E||_F, sqrt(n) max |E|; for sums over a rectangle of a
     * matrix |1' E 1| <= ||E|| sqrt(n); norms come to at most sqrt(min(rows, columns)) ||E|| */
    double fro = fmin(b.fro, b.max * sqrt(n)), error = 0;
    const bool rectangle = q->kind == LODE_QUERY_MEAN || q->kind == LODE_QUERY_SUM;
    if (q->ndim == 2)
        fro = fmin(fro, b.spectral * (rectangle ? 1 : sqrt((double)least)));
    switch (q->kind) {
    case LODE_QUERY_VALUES: error = fmin(fmin(b.fro, b.max), b.spectral); break;
    case LODE_QUERY_MEAN: error = fro / sqrt(fmax(n, 1)); break;
    case LODE_QUERY_SUM: error = n > 0 ? fro * sqrt(n) : 0; break;
    case LODE_QUERY_NORM: error = n > 0 ? fro : 0; break;
    case LODE_QUERY_DOT: error = a->other > 0 ? fro * a->other : 0; break;
    }
    if (!isfinite(error)) {
        a->error = NAN;
        snprintf(a->meaning, sizeof a->meaning, "no error bar: %s",
                 over_observed(c) ? "the certificate is over observed values alone"
                 : c->note[0]     ? c->note
                                  : "the certificate does not bound single entries");
        return;
    }
    a->error += error * (1 + 1e-9);
    char failure[48] = "";
    if (c->kind == LODE_CERT_PROBABILISTIC)
        snprintf(failure, sizeof failure, " but with probability %.0e", c->failure);
    snprintf(a->meaning, sizeof a->meaning, "%s%s; %s, %s", says[q->kind], failure,
             lode_cert_kind_name(c->kind), c->quantity);
}

lode_status lode_query(lode_ctx *ctx, const lode_bundle *model, const lode_question *asked,
                       lode_answer *answer)
{
    lode_status st = LODE_OK;
    const lode_op *op = NULL;
    lode_question q = *asked;
    lode_answer a = { .all_entries = 1 };
    lode_bundle loaded = { 0 };
    lode_array kept = { 0 };
    lode_inner s;
    int64_t shape[LODE_MAX_NDIM];
    LODE_FORWARD(lode_i_model_op(ctx, model, "query", &op));
    lode_i_begin(ctx, op->name);
    LODE_TRY(resolve(ctx, &model->meta, &q));
    LODE_TRY(check_other(ctx, &q));
    for (int k = 0; k < q.ndim; k++)
        LODE_REQUIRE(lode_i_mul(a.all_entries, model->meta.shape[k], &a.all_entries), LODE_EFORMAT,
                     "query: the shape of the result overflows");
    if (op->query) {
        LODE_TRY(op->query(ctx, model, &q, &a));
    } else {
        LODE_TRY(lode_i_load_members(ctx, model, &loaded));
        LODE_TRY(lode_i_answer_by_invert(ctx, op, &loaded, &q, &a));
    }
    if (q.kind == LODE_QUERY_VALUES) {
        LODE_TRY(lode_i_inner(ctx, &a.values, NULL, &s));
        a.count = s.count + s.infinite, a.missing = s.missing;
        const int n = kept_axes(&q, shape);
        LODE_TRY(lode_array_reshape(ctx, &a.values, n, shape, &kept));
        lode_array_swap(&a.values, &kept);
    }
    add_error(model, &q, &a);
    const lode_answer before = *answer;
    *answer = a;
    a = before;
done:
    lode_i_end(ctx);
    lode_answer_free(&a);
    LODE_FREE(&loaded, &kept);
    return st;
}
