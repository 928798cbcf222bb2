/* Questions to compressed arrays against brute force on what decoding gives, and their error bars
 * against the original: all shapes, types and kinds of blocks; what is decoded; what is refused. */
#include "fixture.h"

#include <math.h>

#include "array/array.h"
#include "lode/lode.h"
#include "ops/compress/compress.h"

typedef struct fix {
    lode_ctx ctx;
    lode_compress_opts o;
    lode_array x, y, other;
    lode_bundle m;
    uint64_t next;
} fix;

static int start(void **state)
{
    static fix f;
    f = (fix){ 0 };
    *state = &f;
    f.o = lode_compress_defaults();
    return lode_ctx_init(&f.ctx, NULL);
}

static int end(void **state)
{
    fix *f = *state;
    LODE_FREE(&f->x, &f->y, &f->other, &f->m);
    lode_ctx_free(&f->ctx);
    return 0;
}

static int64_t below(fix *f, int64_t n)
{
    const lode_stream s = lode_i_stream(&f->ctx, "ask", 7);
    return (int64_t)lode_i_random_below(s, f->next++, (uint64_t)n);
}

/* Waves and a little noise; NaN in a corner and here and there when missing. */
static void make_field(fix *f, lode_dtype dtype, int ndim, const int64_t *shape, double scale,
                       bool missing)
{
    lode_array a = { 0 };
    int64_t index[8] = { 0 };
    assert_ok(&f->ctx, lode_array_new(&f->ctx, LODE_F64, ndim, shape, &a));
    double *v = a.data;
    const lode_stream s = lode_i_stream(&f->ctx, "field", 1);
    for (int64_t i = 0; i < lode_array_size(&a); i++) {
        double wave = 0.3;
        for (int k = 0; k < ndim; k++)
            wave += sin(5.3 * (double)index[k] / (double)shape[k] + k);
        v[i] = scale * (wave + 0.02 * lode_i_random_normal(s, (uint64_t)i));
        if (missing && (i % 17 == 3 || index[0] < shape[0] / 3))
            v[i] = NAN;
        for (int k = ndim - 1; k >= 0 && ++index[k] == shape[k]; k--)
            index[k] = 0;
    }
    assert_ok(&f->ctx, lode_array_cast(&f->ctx, &a, dtype, &f->x));
    if (lode_i_is_complex(dtype)) { /* an imaginary part too */
        lode_array turned = { 0 };
        for (int64_t i = 0; i < lode_array_size(&a); i++)
            v[i] = 0.5 * v[i] + scale * cos(0.01 * (double)i);
        assert_ok(&f->ctx, lode_array_cast(&f->ctx, &a, lode_i_real_of(dtype), &turned));
        for (int64_t i = 0; i < lode_array_size(&a); i++) {
            if (dtype == LODE_C64)
                ((float *)f->x.data)[2 * i + 1] = ((float *)turned.data)[i];
            else
                ((double *)f->x.data)[2 * i + 1] = ((double *)turned.data)[i];
        }
        lode_array_free(&turned);
    }
    lode_array_free(&a);
}

static void shrink(fix *f)
{
    const lode_status st = lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &f->m, NULL);
    fixture_status(&f->ctx, st, LODE_OK, "compress", __FILE__, __LINE__);
    assert_ok(&f->ctx, lode_invert(&f->ctx, &f->m, lode_none(), NULL, &f->y));
}

/* Both parts of entry i in C order of an array, wide. */
static void entry(const lode_array *wide, int64_t i, double z[2])
{
    const double *v = wide->data;
    const bool complex = wide->dtype == LODE_C128;
    z[0] = v[complex ? 2 * i : i], z[1] = complex ? v[2 * i + 1] : 0;
}

typedef struct sums {
    double re, im, sumsq, other, dot[2];
    int64_t count, missing;
} sums;

/* Flat places of the question's entries. */
static int64_t places(const lode_array *a, const lode_question *q, int64_t *place)
{
    int64_t n = 1, j[8] = { 0 };
    for (int k = 0; k < a->ndim; k++)
        n *= q->count[k];
    for (int64_t i = 0; i < n; i++) {
        place[i] = 0;
        for (int k = 0; k < a->ndim; k++)
            place[i] = place[i] * a->shape[k] + q->start[k] + j[k] * q->step[k];
        for (int k = a->ndim - 1; k >= 0 && ++j[k] == q->count[k]; k--)
            j[k] = 0;
    }
    return n;
}

static sums add_up(const lode_array *wide, const lode_array *other, const int64_t *place, int64_t n)
{
    sums s = { 0 };
    for (int64_t i = 0; i < n; i++) {
        double z[2], w[2] = { 0 };
        entry(wide, place[i], z);
        if (other)
            entry(other, i, w);
        if (isnan(z[0]) || isnan(z[1])) {
            s.missing++;
            continue;
        }
        s.count++;
        s.re += z[0], s.im += z[1];
        s.sumsq += z[0] * z[0] + z[1] * z[1];
        s.other += w[0] * w[0] + w[1] * w[1];
        s.dot[0] += z[0] * w[0] + z[1] * w[1];
        s.dot[1] += z[1] * w[0] - z[0] * w[1];
    }
    return s;
}

static void random_ranges(fix *f, lode_question *q)
{
    q->ndim = f->x.ndim;
    const bool all = below(f, 4) == 0;
    for (int k = 0; k < q->ndim; k++) {
        const int64_t n = f->x.shape[k];
        const int64_t kind = all ? 0 : below(f, 4);
        q->start[k] = kind ? below(f, n) : 0;
        q->step[k] = kind == 3 ? 1 + below(f, 5) : 1;
        const int64_t most = (n - q->start[k] - 1) / q->step[k] + 1;
        q->count[k] = kind == 1 ? 1 : kind ? 1 + below(f, most) : n;
        q->dropped[k] = kind == 1 && below(f, 2);
    }
}

static void close_to(double a, double b, double by)
{
    if (!(fabs(a - b) <= by))
        fail_msg("%.17g is not within %.3g of %.17g", a, by, b);
}

static void check_values(fix *f, const lode_question *q, const lode_answer *a, const lode_array *x,
                         const lode_array *y, const int64_t *place, int64_t n, double unit)
{
    lode_array wide = { 0 };
    int kept = 0;
    assert_ok(&f->ctx, lode_array_cast(&f->ctx, &a->values, x->dtype, &wide));
    for (int k = 0; k < q->ndim; k++)
        if (!q->dropped[k])
            assert_int_equal(a->values.shape[kept++], q->count[k]);
    assert_int_equal(a->values.ndim, kept);
    assert_int_equal(a->values.dtype, f->x.dtype);
    for (int64_t i = 0; i < n; i++) {
        double got[2], was[2], back[2];
        entry(&wide, i, got), entry(x, place[i], was), entry(y, place[i], back);
        assert_int_equal(isnan(got[0]), isnan(back[0]));
        if (isnan(back[0]) || isnan(back[1]) || isnan(was[0]) || isnan(was[1]))
            continue;
        close_to(got[0], back[0], unit), close_to(got[1], back[1], unit);
        assert_le(hypot(got[0] - was[0], got[1] - was[1]), a->error);
    }
    lode_array_free(&wide);
}

/* Many questions: what comes back agrees with decoding, and the bars hold of the original. */
static void ask(fix *f, int times)
{
    lode_ctx *ctx = &f->ctx;
    const bool complex = lode_i_is_complex(f->x.dtype);
    const lode_dtype wide = complex ? LODE_C128 : LODE_F64;
    lode_array x = { 0 }, y = { 0 }, o = { 0 };
    int64_t *place = malloc((size_t)lode_array_size(&f->x) * sizeof *place);
    assert_non_null(place);
    assert_ok(ctx, lode_array_cast(ctx, &f->x, wide, &x));
    assert_ok(ctx, lode_array_cast(ctx, &f->y, wide, &y));
    lode_stats all;
    assert_ok(ctx, lode_i_stats(ctx, &y, &all));
    const char class = lode_dtype_class(f->x.dtype);
    const bool half = f->x.dtype == LODE_F16 || f->x.dtype == LODE_BF16;
    for (int i = 0; i < times; i++) {
        lode_question q = { .kind = (lode_query_kind)(i % 5) };
        lode_answer a = { 0 };
        random_ranges(f, &q);
        int64_t shape[8];
        int kept = 0;
        const int64_t n = places(&x, &q, place);
        for (int k = 0; k < q.ndim; k++)
            if (!q.dropped[k])
                shape[kept++] = q.count[k];
        assert_ok(ctx, lode_i_randn(ctx, lode_i_stream(ctx, "other", (uint64_t)i), wide, n, 1, &o));
        assert_ok(ctx, lode_array_reshape(ctx, &o, kept, shape, &f->other));
        q.other = lode_from_array(&f->other);
        const sums was = add_up(&x, &o, place, n), back = add_up(&y, &o, place, n);
        const lode_status st = lode_query(ctx, &f->m, &q, &a);
        if (q.kind == LODE_QUERY_MEAN && was.count == 0) {
            assert_int_equal(st, LODE_EDOMAIN);
            continue;
        }
        fixture_status(ctx, st, LODE_OK, "query", __FILE__, __LINE__);
        /* decoding and asking round differently, by a few units of f32 or of a coarse type */
        const double eps = half ? 0x1p-6 : 1e-5, unit = strchr("iub", class) ? 1 : eps * all.maxabs;
        const double c = (double)fmax((double)was.count, 1);
        assert_int_equal(a.all_entries, lode_array_size(&f->x));
        assert_true(*a.meaning && a.all_blocks == f->m.count - 1);
        if (q.kind != LODE_QUERY_VALUES) {
            assert_int_equal(a.count, was.count);
            assert_int_equal(a.missing, was.missing);
        }
        switch (q.kind) {
        case LODE_QUERY_VALUES: check_values(f, &q, &a, &x, &y, place, n, unit); break;
        case LODE_QUERY_MEAN:
            close_to(a.re, back.re / c, 1e-5 * all.maxabs),
                close_to(a.im, back.im / c, 1e-5 * all.maxabs);
            assert_le(hypot(a.re - was.re / c, a.im - was.im / c), a.error);
            break;
        case LODE_QUERY_SUM:
            close_to(a.re, back.re, 1e-5 * c * all.maxabs);
            assert_le(hypot(a.re - was.re, a.im - was.im), a.error);
            break;
        case LODE_QUERY_NORM:
            close_to(a.re, sqrt(back.sumsq), 1e-5 * sqrt(c) * all.maxabs);
            assert_le(fabs(a.re - sqrt(was.sumsq)), a.error);
            break;
        case LODE_QUERY_DOT:
            close_to(a.other, sqrt(was.other), 1e-9 * sqrt(was.other));
            close_to(a.re, back.dot[0], 1e-5 * sqrt(c * was.other) * all.maxabs);
            close_to(a.im, back.dot[1], 1e-5 * sqrt(c * was.other) * all.maxabs);
            assert_le(hypot(a.re - was.dot[0], a.im - was.dot[1]), a.error);
            break;
        }
        lode_answer_free(&a);
    }
    free(place);
    LODE_FREE(&x, &y, &o);
}

static const struct {
    int ndim;
    int64_t shape[8];
} shapes[] = {
    { 1, { 1 } },        { 1, { 300 } },        { 1, { 5003 } },          { 2, { 40, 50 } },
    { 2, { 3, 2560 } },  { 2, { 4099, 2 } },    { 2, { 30, 1 } },         { 3, { 20, 21, 22 } },
    { 3, { 1, 17, 1 } }, { 4, { 7, 6, 5, 4 } }, { 5, { 3, 4, 5, 3, 2 } },
};

static void transforms_answer_as_they_decode(void **state)
{
    fix *f = *state;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int k = 0; k < 4; k++) {
            make_field(f, k == 1 ? LODE_F64 : LODE_F32, shapes[s].ndim, shapes[s].shape, 3, false);
            f->o.error = lode_error_rel(k == 2 ? 1e-6 : 3e-2);
            f->o.method = k == 1   ? LODE_COMPRESS_TUCKER
                          : k == 3 ? LODE_COMPRESS_WAVELET
                                   : LODE_COMPRESS_DCT;
            shrink(f);
            ask(f, 40);
        }
}

static void long_vectors_fold(void **state)
{
    fix *f = *state;
    static const int64_t sizes[] = { 4096, 70001, 300000 };
    for (int i = 0; i < 3; i++) {
        make_field(f, LODE_F32, 1, &sizes[i], 3, false);
        f->o.error = lode_error_rel(3e-2);
        f->o.method = LODE_COMPRESS_DCT;
        shrink(f);
        ask(f, 10);
    }
}

static void every_type_answers(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 12, 13, 14 };
    for (int t = 0; t < LODE_DTYPE_COUNT; t++) {
        if (LODE_PACKED & (UINT32_C(1) << t))
            continue;
        make_field(f, (lode_dtype)t, 3, shape, t == LODE_BOOL ? 0.4 : 40, false);
        for (int k = 0; k < 2; k++) {
            f->o.method = k ? LODE_COMPRESS_AUTO : LODE_COMPRESS_DCT;
            f->o.error = k ? lode_error_max(3) : lode_error_rel(8e-2);
            f->o.rank = k ? (lode_rank_spec){ 0 } : lode_rank(6);
            if (!k)
                f->o.error = (lode_error_spec){ 0 };
            shrink(f);
            ask(f, 15);
        }
        f->o.rank = (lode_rank_spec){ 0 };
    }
}

static void missing_entries_are_left_out(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 12, 30, 20 };
    static const lode_dtype types[] = { LODE_F32, LODE_F64, LODE_F16, LODE_C64 };
    for (int t = 0; t < 4; t++)
        for (int k = 0; k < 2; k++) {
            make_field(f, types[t], 3, shape, 5, true);
            f->o.error = k ? lode_error_max(0.1) : lode_error_rel(2e-2);
            shrink(f);
            ask(f, 25);
        }
}

static void a_missing_value_is_left_out(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 20, 30 };
    make_field(f, LODE_I16, 2, shape, 90, false);
    int16_t *v = f->x.data;
    for (int i = 0; i < 600; i += 7)
        v[i] = -999;
    f->o.missing = (lode_missing){ LODE_MISSING_VALUE, -999 };
    lode_answer a = { 0 };
    for (int k = 0; k < 2; k++) { /* the second comes back exactly */
        f->o.error = lode_error_rel(k ? 1e-6 : 3e-2);
        shrink(f);
        double sum = 0;
        const lode_question q = { .kind = LODE_QUERY_MEAN };
        for (int i = 0; i < 600; i++)
            sum += i % 7 ? ((int16_t *)f->y.data)[i] : 0;
        assert_ok(&f->ctx, lode_query(&f->ctx, &f->m, &q, &a));
        assert_int_equal(a.missing, 86);
        close_to(a.re, sum / 514, 1e-9);
    }
    const lode_question one = { .ndim = 2, .start = { 0, 7 }, .count = { 1, 1 } };
    assert_ok(&f->ctx, lode_query(&f->ctx, &f->m, &one, &a));
    assert_int_equal(((int16_t *)a.values.data)[0], -999);
    lode_answer_free(&a);
}

static void all_kinds_of_blocks_answer(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 40, 30, 20 };
    static const lode_compress_method methods[] = { LODE_COMPRESS_PREDICT, LODE_COMPRESS_LOSSLESS,
                                                    LODE_COMPRESS_DCT, LODE_COMPRESS_AUTO };
    make_field(f, LODE_F32, 3, shape, 5, false);
    for (int k = 0; k < 4; k++) { /* the third is corrected to a bound */
        f->o.method = methods[k];
        f->o.error = k == 1 ? (lode_error_spec){ 0 } : lode_error_max(0.05);
        f->o.block = (lode_auto_i64){ k > 0, 2000 };
        shrink(f);
        assert_int_equal(f->m.count, k ? 15 : 2);
        ask(f, 30);
    }
}

static void only_the_blocks_asked_are_decoded(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 40, 30, 20 };
    lode_answer a = { 0 };
    make_field(f, LODE_F32, 3, shape, 5, false);
    f->o.method = LODE_COMPRESS_DCT;
    f->o.block = (lode_auto_i64){ true, 2400 }; /* four rows */
    shrink(f);
    assert_int_equal(f->m.count, 11);
    lode_question q = { .ndim = 3, .start = { 9, 2, 3 }, .count = { 1, 1, 1 } };
    assert_ok(&f->ctx, lode_query(&f->ctx, &f->m, &q, &a));
    assert_int_equal(a.blocks, 1);
    assert_int_equal(a.bytes, lode_bundle_value(&f->m, 2).as.array->shape[0]);
    assert_int_equal(a.entries, 1);
    q = (lode_question){
        .ndim = 3, .start = { 0, 2, 3 }, .count = { 5, 1, 1 }, .step = { 9, 1, 1 }
    };
    assert_ok(&f->ctx, lode_query(&f->ctx, &f->m, &q, &a));
    assert_int_equal(a.blocks, 5);
    q.kind = LODE_QUERY_MEAN;
    assert_ok(&f->ctx, lode_query(&f->ctx, &f->m, &q, &a));
    assert_int_equal(a.entries, 0); /* no entry at all */
    q.count[1] = 0;
    q.kind = LODE_QUERY_SUM;
    assert_ok(&f->ctx, lode_query(&f->ctx, &f->m, &q, &a));
    assert_true(a.blocks == 0 && a.bytes == 0 && !(a.re > 0) && !(a.error > 0));
    lode_answer_free(&a);
}

static void chunks_give_local_access_at_a_stated_cost(void **state)
{
    fix *f = *state;
    lode_ctx *ctx = &f->ctx;
    const int64_t shape[] = { 90, 70, 50 };
    lode_answer a = { 0 };
    grid g;
    make_field(f, LODE_F32, 3, shape, 5, false);
    f->o.error = lode_error_rel(2e-2);
    f->o.effort = 1;
    shrink(f);
    const double whole = (double)lode_bundle_value(&f->m, 0).as.array->shape[0] + 296;
    assert_int_equal(f->m.count, 2);
    f->o.access = LODE_COMPRESS_CHUNK;
    f->o.block = (lode_auto_i64){ true, 30000 };
    shrink(f);
    assert_ok(ctx, compress_open(ctx, &f->m, &g));
    assert_int_equal(
        g.blocks, 12); /* 31 x 31 x 31 fits; 3 x 3 x 2 parts, of which one fewer along the middle */
    assert_true(g.side[0] == 30 && g.side[1] == 35 && g.side[2] == 25);
    ask(f, 20);
    double parts = 0, says = 0;
    for (int64_t b = 0; b < 12; b++)
        parts += (double)lode_bundle_value(&f->m, b).as.array->shape[0] + 296;
    const char *note = strstr(f->m.certificate.note, "access chunk takes ");
    assert_non_null(note);
    says = strtod(note + strlen("access chunk takes "), NULL);
    assert_non_null(strstr(note, "12 of 12 blocks"));
    /* the whole is coded to the error asked, the measurement to that of the blocks */
    assert_near(says, 100 * fabs(parts / whole - 1), 3 + 0.03 * says);
    const lode_question one = { .ndim = 3, .start = { 40, 30, 20 }, .count = { 1, 1, 1 } };
    assert_ok(ctx, lode_query(ctx, &f->m, &one, &a));
    assert_int_equal(a.blocks, 1);
    assert_le((double)a.bytes, 0.2 * (double)a.all_bytes);
    lode_answer_free(&a);
    /* the memory planned is what it takes */
    lode_call call;
    lode_bundle made = { 0 };
    assert_ok(ctx, lode_call_init(ctx, &lode_op_compress, &call));
    assert_ok(ctx, lode_call_input(ctx, &call, NULL, lode_from_array(&f->x)));
    assert_ok(ctx, lode_call_set(ctx, &call, "access", "chunk"));
    assert_ok(ctx, lode_call_set(ctx, &call, "effort", "1"));
    const uint64_t before = lode_ctx_memory_used(ctx);
    lode_ctx_memory_reset_peak(ctx);
    assert_ok(ctx, lode_call_run(ctx, &call, &made));
    assert_le(lode_ctx_memory_peak(ctx) - before,
              call.plan.workspace + call.plan.output + call.plan.resident + 65536);
    lode_bundle_free(&made);
    lode_call_free(&call);
}

static void every_shape_and_type_is_cut_evenly(void **state)
{
    fix *f = *state;
    f->o.access = LODE_COMPRESS_CHUNK;
    f->o.block = (lode_auto_i64){ true, 1024 };
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        make_field(f, s % 3 ? LODE_F32 : LODE_I16, shapes[s].ndim, shapes[s].shape, 50, s % 4 == 2);
        f->o.error = lode_error_rel(5e-2);
        shrink(f);
        ask(f, 10);
    }
}

static void wrong_questions_are_refused(void **state)
{
    fix *f = *state;
    lode_ctx *ctx = &f->ctx;
    const int64_t shape[] = { 6, 5 };
    lode_question q = { .kind = LODE_QUERY_VALUES };
    lode_answer a = { 0 };
    static const struct {
        const char *text, *says;
    } wrong[] = {
        { "[6,0]", "index 6 is outside axis 0, whose indices are 0 to 5" },
        { "[0,-6]", "index -6 is outside axis 1, whose indices are 0 to 4" },
        { "mean[0:7]", "end 7 leaves axis 0, which has 6 entries" },
        { "[::-1]", "step -1 on axis 0" },
        { "[0,0,0]", "names 3 axes; the array has 2" },
        { "median", "no question" },
        { "", "no question" },
        { "mean[0:1", "no question" },
        { "[a]", "is none of" },
    };
    make_field(f, LODE_F64, 2, shape, 1, false);
    shrink(f);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_status(ctx, lode_question_parse(ctx, &f->m, wrong[i].text, &q), LODE_EUSAGE);
        assert_says(ctx, wrong[i].says);
    }
    assert_ok(ctx, lode_question_parse(ctx, &f->m, "[-1,...]", &q));
    assert_true(q.start[0] == 5 && q.dropped[0] && q.count[1] == 5 && !q.dropped[1]);
    assert_ok(ctx, lode_question_parse(ctx, &f->m, "sum[1:6:3,2:2]", &q));
    assert_true(q.kind == LODE_QUERY_SUM && q.count[0] == 2 && q.step[0] == 3 && q.count[1] == 0);
    assert_ok(ctx, lode_query(ctx, &f->m, &q, &a));
    q.kind = LODE_QUERY_MEAN;
    assert_status(ctx, lode_query(ctx, &f->m, &q, &a), LODE_EDOMAIN);
    q = (lode_question){ .ndim = 2, .start = { 0, 3 }, .count = { 1, 3 } };
    assert_status(ctx, lode_query(ctx, &f->m, &q, &a), LODE_EUSAGE);
    assert_says(ctx, "index 5 is outside axis 1");
    q = (lode_question){ .kind = LODE_QUERY_DOT, .other = lode_from_array(&f->x) };
    assert_ok(ctx, lode_query(ctx, &f->m, &q, &a));
    q = (lode_question){ .kind = LODE_QUERY_DOT, .ndim = 2, .count = { 2, 5 } };
    assert_status(ctx, lode_query(ctx, &f->m, &q, &a), LODE_ETYPE);
    q.other = lode_from_array(&f->x);
    assert_status(ctx, lode_query(ctx, &f->m, &q, &a), LODE_ESHAPE);
    assert_says(ctx, "what is asked is 2 x 5");
    lode_answer_free(&a);
}

/* Both norms of the certificate are checked: a bar made smaller is caught. */
static void a_bar_made_smaller_is_caught(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 40, 50 };
    lode_certificate found;
    make_field(f, LODE_F32, 2, shape, 5, false);
    for (int k = 0; k < 2; k++) {
        f->o.error = k ? lode_error_max(0.1) : lode_error_rel(2e-2);
        shrink(f);
        double fro = 0, most = 0;
        for (int64_t i = 0; i < 2000; i++) {
            const double e = (double)((float *)f->x.data)[i] - (double)((float *)f->y.data)[i];
            fro += e * e, most = fmax(most, fabs(e));
        }
        assert_near(f->m.certificate.other, k ? sqrt(fro) : most, 1e-6 * most);
        assert_ok(&f->ctx, lode_verify(&f->ctx, &f->m, lode_from_array(&f->x), &found));
        f->m.certificate.other *= 0.9;
        assert_status(&f->ctx, lode_verify(&f->ctx, &f->m, lode_from_array(&f->x), &found),
                      LODE_EVERIFY);
    }
}

/* No axes, no entries. */
static void the_smallest_arrays_answer(void **state)
{
    fix *f = *state;
    lode_question q = { .kind = LODE_QUERY_VALUES };
    lode_answer a = { 0 };
    assert_ok(&f->ctx, lode_array_zeros(&f->ctx, LODE_F64, 0, NULL, &f->x));
    ((double *)f->x.data)[0] = 2.5;
    f->o.method = LODE_COMPRESS_LOSSLESS;
    shrink(f);
    assert_ok(&f->ctx, lode_question_parse(&f->ctx, &f->m, "[]", &q));
    assert_ok(&f->ctx, lode_query(&f->ctx, &f->m, &q, &a));
    assert_true(a.values.ndim == 0);
    close_to(((double *)a.values.data)[0], 2.5, 0);
    assert_ok(&f->ctx, lode_question_parse(&f->ctx, &f->m, "mean", &q));
    assert_ok(&f->ctx, lode_query(&f->ctx, &f->m, &q, &a));
    close_to(a.re, 2.5, 1e-12);
    assert_le(a.error, 1e-11);
    assert_ok(&f->ctx, lode_array_zeros(&f->ctx, LODE_F64, 2, (const int64_t[]){ 3, 0 }, &f->x));
    shrink(f);
    q = (lode_question){ .kind = LODE_QUERY_VALUES };
    assert_ok(&f->ctx, lode_query(&f->ctx, &f->m, &q, &a));
    assert_true(a.values.ndim == 2 && lode_array_size(&a.values) == 0);
    q.kind = LODE_QUERY_NORM;
    assert_ok(&f->ctx, lode_query(&f->ctx, &f->m, &q, &a));
    assert_true(!(a.re > 0) && !(a.error > 0));
    assert_status(&f->ctx, lode_question_parse(&f->ctx, &f->m, "[0,0]", &q), LODE_EUSAGE);
    assert_says(&f->ctx, "which has no entries");
    lode_answer_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(transforms_answer_as_they_decode, start, end),
        cmocka_unit_test_setup_teardown(long_vectors_fold, start, end),
        cmocka_unit_test_setup_teardown(every_type_answers, start, end),
        cmocka_unit_test_setup_teardown(missing_entries_are_left_out, start, end),
        cmocka_unit_test_setup_teardown(a_missing_value_is_left_out, start, end),
        cmocka_unit_test_setup_teardown(all_kinds_of_blocks_answer, start, end),
        cmocka_unit_test_setup_teardown(only_the_blocks_asked_are_decoded, start, end),
        cmocka_unit_test_setup_teardown(chunks_give_local_access_at_a_stated_cost, start, end),
        cmocka_unit_test_setup_teardown(every_shape_and_type_is_cut_evenly, start, end),
        cmocka_unit_test_setup_teardown(a_bar_made_smaller_is_caught, start, end),
        cmocka_unit_test_setup_teardown(the_smallest_arrays_answer, start, end),
        cmocka_unit_test_setup_teardown(wrong_questions_are_refused, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
