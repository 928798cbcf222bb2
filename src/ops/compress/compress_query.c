/* Questions about a compressed array. A block that is a transform and nothing else answers from its
 * coefficients: entries and slices multiply them by the rows of each basis that are asked for,
 * means and sums by the sum of those rows, and the norm of a whole block is theirs, as the bases are
 * orthonormal. Other blocks (predicted, exact, corrected, with missing entries) are decoded. An inner
 * product takes the values: projecting the other array costs the same products. */
#include <math.h>
#include <string.h>

#include "ops/compress/compress.h"

/* Values that come from another order of sums than decoding takes are off by a few units in the last
 * place of what is added up: of the root mean square, or of themselves. */
#define UNITS 64
/* Whole numbers may then round the other way. Below this error the block is decoded instead. */
#define COARSE 8

typedef struct asking {
    const lode_bundle *model;
    const lode_question *q;
    lode_answer *a;
    lode_tally t;
    lode_array out;
    double slack; /* of any value, by rounding */
} asking;

/* What is asked of a block: ranges in its own places, and where they begin in the question's. */
typedef struct asked {
    int64_t from[LODE_MAX_NDIM], n[LODE_MAX_NDIM], step[LODE_MAX_NDIM], to[LODE_MAX_NDIM];
} asked;

static bool meet(const lode_question *q, const int64_t *first, const int64_t *length, asked *s)
{
    for (int k = 0; k < q->ndim; k++) {
        const int64_t step = q->step[k], before = lode_i_max(first[k] - q->start[k], 0),
                      after = lode_i_max(first[k] + length[k] - q->start[k], 0);
        const int64_t low = lode_i_ceil_div(before, step);
        const int64_t high = lode_i_min(lode_i_ceil_div(after, step), q->count[k]);
        if (high <= low)
            return false;
        s->to[k] = low;
        s->n[k] = high - low;
        s->from[k] = q->start[k] + low * step - first[k];
        s->step[k] = s->n[k] > 1 ? step : 1;
    }
    return true;
}

/* ---- rows of bases ---- */

/* Some indices of a mode. */
typedef struct span {
    int64_t start, count, step;
} span;

static lode_status rows_of(lode_ctx *ctx, const expansion *e, int mode, span s, lode_dtype dtype,
                           lode_array *rows)
{
    lode_status st = LODE_OK;
    const basis *b = &e->b[mode];
    lode_array view = { 0 };
    if (!b->matrix.data)
        return basis_rows(ctx, b, dtype, s.start, s.count, s.step, rows);
    LODE_TRY(lode_array_slice(ctx, &b->matrix, 0, s.start, s.start + (s.count - 1) * s.step + 1,
                              s.step, &view));
    LODE_TRY(lode_i_as(ctx, &view, dtype, rows));
done:
    LODE_FREE(&view);
    return st;
}

enum { PIECE = 256 };

/* Their sum, 1 x columns, added up in f64. */
static lode_status sum_of_rows(lode_ctx *ctx, const expansion *e, int mode, span s, lode_array *sum)
{
    lode_status st = LODE_OK;
    const int64_t columns = e->b[mode].columns;
    lode_array ones = { 0 }, rows = { 0 }, part = { 0 }, total = { 0 };
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 2, (const int64_t[]){ 1, columns }, &total));
    for (int64_t i = 0; i < s.count; i += PIECE) {
        const span now = { s.start + i * s.step, lode_i_min(PIECE, s.count - i), s.step };
        if (e->b[mode].kind == BASIS_NONE) {
            LODE_TRY(lode_array_slice(ctx, &total, 1, now.start,
                                      now.start + (now.count - 1) * now.step + 1, now.step, &part));
            LODE_TRY(lode_i_fill(ctx, &part, 1));
            continue;
        }
        LODE_TRY(rows_of(ctx, e, mode, now, LODE_F64, &rows));
        LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, 1, now.count, &ones));
        LODE_TRY(lode_i_fill(ctx, &ones, 1));
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &ones, &rows, &part));
        LODE_TRY(lode_i_axpy(ctx, 1, &part, &total));
    }
    LODE_TRY(lode_i_as(ctx, &total, e->f.work, sum));
done:
    LODE_FREE(&ones, &rows, &part, &total);
    return st;
}

/* ---- axes and the modes they are folded into ---- */

/* The modes of an axis: count of them from the first on. */
static int modes_of(const frame *f, int axis, int *first)
{
    int count = 0;
    for (int m = 0; m < f->modes && f->shape[axis] > 1; m++)
        if (f->axis[m] == axis) {
            *first = count++ ? *first : m;
        }
    return count;
}

static int64_t stride_of(const frame *f, int mode, int last)
{
    int64_t stride = 1;
    for (int m = mode + 1; m <= last; m++)
        stride *= f->mode[m];
    return stride;
}

/* What must be expanded for a range of each axis, and where the range lies in that. */
typedef struct cover {
    span mode[LODE_MAX_NDIM];
    int64_t shape[LODE_MAX_NDIM], from[LODE_MAX_NDIM], n[LODE_MAX_NDIM], step[LODE_MAX_NDIM];
} cover;

static void cover_axis(const frame *f, int axis, int64_t from, int64_t n, int64_t step, cover *c)
{
    int first = 0;
    const int modes = modes_of(f, axis, &first), end = first + modes - 1;
    const int64_t last = from + (n - 1) * step;
    c->shape[axis] = c->n[axis] = n; /* of the range; the cover's follows where it is larger */
    c->from[axis] = 0, c->step[axis] = 1;
    if (modes == 1)
        c->mode[first] = (span){ from, n, step };
    if (modes < 2)
        return;
    /* digits on which the first and last index agree, then a run of the next, then all of the rest */
    int64_t base = 0;
    bool same = true;
    c->shape[axis] = 1;
    for (int m = first; m <= end; m++) {
        const int64_t stride = stride_of(f, m, end);
        const int64_t low = from / stride % f->mode[m], high = last / stride % f->mode[m];
        c->mode[m] = same ? (span){ low, high - low + 1, 1 } : (span){ 0, f->mode[m], 1 };
        base += same ? low * stride : 0;
        same = same && low == high;
        c->shape[axis] *= c->mode[m].count;
    }
    c->from[axis] = from - base, c->step[axis] = step;
}

/* The values asked for, in working precision and the block's plain form. */
static lode_status values_plain(lode_ctx *ctx, const expansion *e, const asked *s, lode_array *x,
                                int64_t *expanded)
{
    lode_status st = LODE_OK;
    const frame *f = &e->f;
    cover c;
    basis b[LODE_MAX_NDIM] = { { 0 } };
    lode_array core = { 0 }, y = { 0 }, z = { 0 };
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM], step[LODE_MAX_NDIM];
    for (int m = 0; m < f->modes; m++)
        c.mode[m] = (span){ 0, f->mode[m], 1 };
    for (int k = 0; k < f->plain; k++) {
        const bool pair = k == f->ndim; /* of complex values */
        cover_axis(f, k, pair ? 0 : s->from[k], pair ? 2 : s->n[k], pair ? 1 : s->step[k], &c);
    }
    for (int m = 0; m < f->modes; m++) {
        const bool whole = e->b[m].kind != BASIS_NONE;
        start[m] = whole ? 0 : c.mode[m].start, step[m] = whole ? 1 : c.mode[m].step;
        count[m] = whole ? e->b[m].columns : c.mode[m].count;
        b[m].kind = e->b[m].kind;
        if (whole)
            LODE_TRY(rows_of(ctx, e, m, c.mode[m], f->work, &b[m].matrix));
    }
    LODE_TRY(lode_i_strided(ctx, &e->core, start, count, step, &core));
    LODE_TRY(basis_multiply(ctx, b, false, &core, &y));
    *expanded = lode_array_size(&y);
    LODE_TRY(lode_array_reshape(ctx, &y, f->plain, c.shape, &z));
    LODE_TRY(lode_i_strided(ctx, &z, c.from, c.n, c.step, &y));
    LODE_TRY(lode_i_as(ctx, &y, f->work, x));
done:
    for (int m = 0; m < f->modes; m++)
        basis_free(&b[m]);
    LODE_FREE(&core, &y, &z);
    return st;
}

/* ---- values of a block ---- */

static double unit_of(const expansion *e)
{
    return UNITS * lode_i_epsilon(e->f.work);
}

/* Root mean square of the block. */
static lode_status spread(lode_ctx *ctx, const expansion *e, double *rms)
{
    double n = 1;
    for (int m = 0; m < e->f.modes; m++)
        n *= (double)e->f.mode[m];
    LODE_FORWARD(lode_i_norm_fro(ctx, &e->core, rms));
    *rms /= sqrt(n);
    return LODE_OK;
}

/* Whether any of the values rounds otherwise when it is moved by `by`. */
static lode_status near_tie(lode_ctx *ctx, const frame *f, const lode_array *x, double by,
                            bool *near)
{
    lode_status st = LODE_OK;
    lode_array moved = { 0 }, offset = { 0 }, up = { 0 }, down = { 0 };
    lode_diff d;
    LODE_TRY(lode_array_new(ctx, x->dtype, x->ndim, x->shape, &offset));
    LODE_TRY(lode_i_fill(ctx, &offset, by));
    LODE_TRY(lode_array_cast(ctx, x, x->dtype, &moved));
    LODE_TRY(lode_i_axpy(ctx, 1, &offset, &moved));
    LODE_TRY(compress_store(ctx, f, &moved, &up));
    LODE_TRY(lode_i_axpy(ctx, -2, &offset, &moved));
    LODE_TRY(compress_store(ctx, f, &moved, &down));
    LODE_TRY(lode_i_diff(ctx, &up, &down, &d));
    *near = d.maxabs > 0;
done:
    LODE_FREE(&moved, &offset, &up, &down);
    return st;
}

/* *done: the values came from the coefficients. */
static lode_status values_of(lode_ctx *ctx, asking *j, const expansion *e, const asked *s,
                             lode_array *part, bool *done_so)
{
    lode_status st = LODE_OK;
    const lode_certificate *c = &j->model->certificate;
    const lode_dtype stored = e->f.stored;
    const char class = lode_dtype_class(stored);
    const double pointwise = c->norm == LODE_NORM_MAX ? c->absolute : c->other;
    lode_array x = { 0 };
    lode_stats stats;
    double rms = 0;
    int64_t expanded = 0;
    bool near = false;
    *done_so = false;
    LODE_TRY(values_plain(ctx, e, s, &x, &expanded));
    LODE_TRY(lode_i_stats(ctx, &x, &stats));
    LODE_TRY(spread(ctx, e, &rms));
    double slack = unit_of(e) * (rms + stats.maxabs);
    if (class == 'i' || class == 'u' || class == 'b') {
        LODE_TRY(near_tie(ctx, &e->f, &x, slack, &near));
        slack = near ? 1 : 0;
    } else if (stored == LODE_F16 || stored == LODE_BF16) {
        slack += (stored == LODE_F16 ? 0x1p-10 : 0x1p-7) * stats.maxabs;
    }
    if (near && pointwise < COARSE)
        goto done;
    LODE_TRY(compress_store(ctx, &e->f, &x, part));
    j->slack = fmax(j->slack, slack);
    j->a->entries += expanded / (lode_i_is_complex(stored) ? 2 : 1);
    *done_so = true;
done:
    LODE_FREE(&x);
    return st;
}

/* ---- sums ---- */

/* A range of an axis as boxes of its modes. */
typedef struct boxes {
    int first, modes, count;
    span box[16][8];
} boxes;

/* Indices low .. high - 1 of the modes from m on, those before as in `head`. */
static void split(const frame *f, boxes *b, int m, int64_t low, int64_t high, span *head)
{
    const int end = b->first + b->modes - 1;
    const int64_t stride = stride_of(f, m, end);
    int64_t first = low / stride;
    const int64_t last = high / stride, before = low % stride, after = high % stride;
    span *const here = &head[m - b->first];
    if (first == last || before > 0) {
        *here = (span){ first, 1, 1 };
        split(f, b, m + 1, before, first == last ? after : stride, head);
        if (first++ == last)
            return;
    }
    if (first < last) {
        *here = (span){ first, last - first, 1 };
        for (int i = m + 1; i <= end; i++)
            head[i - b->first] = (span){ 0, f->mode[i], 1 };
        memcpy(b->box[b->count++], head, sizeof b->box[0]);
    }
    if (after > 0) {
        *here = (span){ last, 1, 1 };
        split(f, b, m + 1, 0, after, head);
    }
}

static lode_status add_box(lode_ctx *ctx, const expansion *e, const span *box, lode_inner *sums)
{
    lode_status st = LODE_OK;
    const frame *f = &e->f;
    basis b[LODE_MAX_NDIM] = { { 0 } };
    lode_array y = { 0 }, flat = { 0 };
    const bool pairs = lode_i_is_complex(f->stored);
    for (int m = 0; m < f->modes; m++) {
        b[m].kind = e->b[m].kind;
        if (pairs && m == f->modes - 1) { /* real and imaginary parts stay apart */
            if (b[m].kind != BASIS_NONE)
                LODE_TRY(rows_of(ctx, e, m, (span){ 0, 2, 1 }, f->work, &b[m].matrix));
            continue;
        }
        b[m].kind = BASIS_LEARNED;
        LODE_TRY(sum_of_rows(ctx, e, m, box[m], &b[m].matrix));
    }
    LODE_TRY(basis_multiply(ctx, b, false, &e->core, &y));
    LODE_TRY(lode_array_reshape(ctx, &y, 1, (const int64_t[]){ -1 }, &flat));
    sums->re += lode_i_get1(&flat, 0);
    sums->im += pairs ? lode_i_get1(&flat, 1) : 0;
done:
    for (int m = 0; m < f->modes; m++)
        basis_free(&b[m]);
    LODE_FREE(&y, &flat);
    return st;
}

/* Sum over what is asked from the coefficients; *fits false: an axis is folded and has a step. */
static lode_status sum_of(lode_ctx *ctx, asking *j, const expansion *e, const asked *s, bool *fits)
{
    lode_status st = LODE_OK;
    const frame *f = &e->f;
    boxes *b = NULL;
    span box[LODE_MAX_NDIM], head[8];
    int at[LODE_MAX_NDIM] = { 0 }, k = 0;
    lode_inner sums = { .count = 1 };
    double rms = 0;
    *fits = true;
    LODE_TRY(LODE_NEW(ctx, f->ndim + 1, &b));
    for (int m = 0; m < f->modes; m++)
        box[m] = (span){ 0, f->mode[m], 1 };
    for (k = 0; k < f->ndim; k++) {
        b[k] = (boxes){ .count = 0 };
        b[k].modes = modes_of(f, k, &b[k].first);
        sums.count *= s->n[k];
        if (b[k].modes == 1) {
            b[k].box[b[k].count++][0] = (span){ s->from[k], s->n[k], s->step[k] };
        } else if (b[k].modes > 1) {
            if (s->step[k] != 1) {
                *fits = false;
                goto done;
            }
            split(f, &b[k], b[k].first, s->from[k], s->from[k] + s->n[k], head);
        }
    }
    do {
        for (k = 0; k < f->ndim; k++)
            if (b[k].modes)
                memcpy(box + b[k].first, b[k].box[at[k]], (size_t)b[k].modes * sizeof *box);
        LODE_TRY(add_box(ctx, e, box, &sums));
        for (k = f->ndim - 1; k >= 0 && ++at[k] >= b[k].count; k--)
            at[k] = 0;
    } while (k >= 0);
    LODE_TRY(spread(ctx, e, &rms));
    j->slack = fmax(j->slack, unit_of(e) * (rms + hypot(sums.re, sums.im) / (double)sums.count));
    lode_i_tally_add(&j->t, &sums);
done:
    lode_i_free(b);
    return st;
}

/* The norm of a whole block that nothing was added to; *fits false: it is not that. */
static lode_status norm_of(lode_ctx *ctx, asking *j, const expansion *e, const asked *s, bool *fits)
{
    const frame *f = &e->f;
    double norm = 0, n = 1;
    lode_inner sums = { .count = 1 };
    *fits = true;
    for (int k = 0; k < f->plain; k++) {
        const bool pair = k == f->ndim;
        *fits = *fits && f->whole[k] == f->shape[k] && (pair || s->n[k] == f->shape[k]);
        n *= (double)f->shape[k];
        sums.count *= pair ? 1 : s->n[k];
    }
    if (!*fits)
        return LODE_OK;
    LODE_FORWARD(lode_i_norm_fro(ctx, &e->core, &norm));
    sums.sumsq = norm * norm;
    j->slack = fmax(j->slack, unit_of(e) * norm / sqrt(n));
    lode_i_tally_add(&j->t, &sums);
    return LODE_OK;
}

/* ---- blocks ---- */

/* What a record gives, missing entries as NaN where they are to be left out. */
static lode_status decode(lode_ctx *ctx, const asking *j, const expansion *e,
                          const lode_array *coded, const int64_t *shape, lode_array *block)
{
    lode_status st = LODE_OK;
    const lode_meta *m = &j->model->meta;
    lode_array x = { 0 }, y = { 0 }, set = { 0 };
    int64_t count = 0;
    frame f;
    LODE_TRY(compress_decode(ctx, coded, m->dtype, m->ndim, shape, &y));
    j->a->entries += lode_array_size(&y);
    if (e->hidden && j->q->kind != LODE_QUERY_VALUES) {
        LODE_TRY(compress_frame(ctx, m->dtype, lode_i_real_of(lode_i_arith(m->dtype)), m->ndim,
                                shape, false, &f));
        LODE_TRY(compress_plain(ctx, &f, &y, true, &x));
        if (e->exact) {
            LODE_TRY(lode_i_missing_find(ctx, &x, false, e->value, &set, &count));
            LODE_TRY(lode_i_missing_put(ctx, &x, &set, NAN));
        } else {
            LODE_TRY(compress_hide(ctx, coded, &x, &x));
        }
        f.stored = lode_i_arith(m->dtype);
        LODE_TRY(compress_store(ctx, &f, &x, &y));
    }
    lode_array_swap(block, &y);
done:
    LODE_FREE(&x, &y, &set);
    return st;
}

static lode_status ask_block(lode_ctx *ctx, asking *j, const lode_array *coded,
                             const int64_t *shape, const asked *s)
{
    lode_status st = LODE_OK;
    const lode_meta *m = &j->model->meta;
    const lode_query_kind kind = j->q->kind;
    const bool additive = kind == LODE_QUERY_MEAN || kind == LODE_QUERY_SUM;
    /* Sums must be of what decoding gives: of rounded values where the type is coarse. */
    const bool fine = ((UINT32_C(1) << m->dtype) &
                       (LODE_BIT(F32) | LODE_BIT(F64) | LODE_COMPLEXES)) != 0;
    expansion e = { 0 };
    lode_array block = { 0 }, part = { 0 }, to = { 0 };
    bool answered = false, made = false;

    LODE_TRY(compress_expansion(ctx, coded, m->dtype, m->ndim, shape, &e));
    if (e.lean && fine && additive)
        LODE_TRY(sum_of(ctx, j, &e, s, &answered));
    if (e.lean && fine && kind == LODE_QUERY_NORM)
        LODE_TRY(norm_of(ctx, j, &e, s, &answered));
    if (answered)
        goto done;
    if (e.lean && (fine || kind == LODE_QUERY_VALUES))
        LODE_TRY(values_of(ctx, j, &e, s, &part, &made));
    if (!made) {
        expansion_free(&e); /* room */
        LODE_TRY(decode(ctx, j, &e, coded, shape, &block));
        LODE_TRY(lode_i_strided(ctx, &block, s->from, s->n, s->step, &part));
    }
    if (kind == LODE_QUERY_VALUES) {
        LODE_TRY(lode_i_strided(ctx, &j->out, s->to, s->n, NULL, &to));
        LODE_TRY(lode_array_copy_into(ctx, &part, &to));
    } else {
        LODE_TRY(lode_i_tally(ctx, j->q, &part, s->to, &j->t));
    }
done:
    expansion_free(&e);
    LODE_FREE(&block, &part, &to);
    return st;
}

lode_status compress_query(lode_ctx *ctx, const lode_bundle *model, const lode_question *q,
                           lode_answer *a)
{
    lode_status st = LODE_OK;
    const lode_meta *m = &model->meta;
    grid g;
    asking j = { .model = model, .q = q, .a = a };
    lode_array coded = { 0 };
    asked s;

    LODE_TRY(compress_open(ctx, model, &g));
    if (q->kind == LODE_QUERY_VALUES)
        LODE_TRY(lode_array_new(ctx, m->dtype, m->ndim, q->count, &j.out));
    for (int64_t i = 0; i < model->count; i++) {
        const lode_value v = lode_bundle_value(model, i);
        if (strncmp(lode_bundle_name(model, i), "coded.", 6) == 0)
            a->all_bytes += (uint64_t)(v.kind == LODE_SOURCE  ? v.as.source->shape[0]
                                       : v.kind == LODE_ARRAY ? v.as.array->shape[0]
                                                              : 0);
    }
    for (int64_t b = 0; b < g.blocks; b++) {
        int64_t first[LODE_MAX_NDIM], length[LODE_MAX_NDIM];
        LODE_TRY(lode_i_tick(ctx, b, g.blocks));
        compress_block(&g, b, first, length);
        if (!meet(q, first, length, &s))
            continue;
        LODE_TRY(compress_load(ctx, model, b, &coded));
        LODE_TRY(ask_block(ctx, &j, &coded, length, &s));
        a->blocks++;
        a->bytes += (uint64_t)coded.shape[0];
        lode_array_free(&coded);
    }
    a->all_blocks = g.blocks;
    if (q->kind != LODE_QUERY_VALUES)
        LODE_TRY(lode_i_tally_answer(ctx, q, &j.t, a));
    const double n = (double)a->count;
    const double weight = q->kind == LODE_QUERY_SUM    ? n
                          : q->kind == LODE_QUERY_NORM ? sqrt(n)
                          : q->kind == LODE_QUERY_DOT  ? sqrt(n) * a->other
                                                       : 1;
    a->error += weight * j.slack;
    lode_array_swap(&a->values, &j.out);
done:
    LODE_FREE(&j.out, &coded);
    return st;
}
