/* compress by tensor trains: the error holds on what comes back, for every type and shape; chosen
 * where it is the shorter; parts, missing values, damage. */
#include "compressed.h"

#include <math.h>

#include "ops/compress/compress.h"

/* Products of pair factors g(i_k, i_k+1): bonds of rank `r`, modes without any order, full multilinear
 * rank. */
static void make_chain(fix *f, lode_dtype dtype, int ndim, const int64_t *shape, int r)
{
    lode_array a = { 0 };
    const lode_stream s = lode_i_stream(&f->ctx, "chain", 1);
    assert_ok(&f->ctx, lode_array_new(&f->ctx, LODE_F64, ndim, shape, &a));
    double *v = a.data;
    for (int64_t i = 0; i < lode_array_size(&a); i++) {
        int64_t index[8], rest = i;
        double product = 40;
        for (int k = ndim - 1; k >= 0; rest /= shape[k], k--)
            index[k] = rest % shape[k];
        for (int k = 0; k + 1 < ndim; k++) {
            double g = 0;
            for (int b = 0; b < r; b++)
                g += lode_i_random_normal(s, (uint64_t)(((k * 8 + b) * 2) * 64 + index[k])) *
                     lode_i_random_normal(s, (uint64_t)(((k * 8 + b) * 2 + 1) * 64 + index[k + 1]));
            product *= 1 + 0.4 * g;
        }
        v[i] = product;
    }
    assert_ok(&f->ctx, lode_array_cast(&f->ctx, &a, dtype, &f->x));
    lode_array_free(&a);
}

static int64_t kind_of(fix *f)
{
    const lode_array *coded;
    record_info info;
    assert_ok(&f->ctx, lode_bundle_array(&f->ctx, &f->m, "coded.0", &coded));
    assert_ok(&f->ctx, compress_info(&f->ctx, coded, f->x.dtype, f->x.ndim, f->x.shape, &info));
    return info.exact ? RECORD_EXACT : info.train ? RECORD_TRAIN : RECORD_TRANSFORM;
}

/* Compresses, expands, and gives the relative error over what is not NaN. */
static double shrink(fix *f)
{
    lode_certificate again;
    double off = 0, norm = 0;
    assert_ok(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &f->m, &f->c));
    assert_ok(&f->ctx, lode_invert(&f->ctx, &f->m, lode_none(), NULL, &f->y));
    assert_ok(&f->ctx, lode_verify(&f->ctx, &f->m, lode_from_array(&f->x), &again));
    assert_int_equal(f->x.dtype, f->y.dtype);
    for (int64_t i = 0; i < lode_array_size(&f->x); i++) {
        int64_t index[8], rest = i;
        for (int k = f->x.ndim - 1; k >= 0; rest /= f->x.shape[k], k--)
            index[k] = rest % f->x.shape[k];
        const double v = lode_array_get(&f->x, index), w = lode_array_get(&f->y, index);
        assert_int_equal(isnan(v), isnan(w));
        if (!isnan(v))
            off += (v - w) * (v - w), norm += v * v;
    }
    return sqrt(off / norm);
}

static const int64_t six[] = { 6, 5, 7, 6, 5, 6 };

static void errors_hold_for_every_type(void **state)
{
    fix *f = *state;
    static const lode_dtype types[] = { LODE_F32, LODE_F64, LODE_F16, LODE_I16, LODE_C64 };
    f->o.method = LODE_COMPRESS_TT;
    for (int t = 0; t < 5; t++)
        for (int64_t effort = 1; effort <= 9; effort += 4) {
            make_chain(f, types[t], 5, six, 2);
            f->o.effort = effort;
            f->o.error = lode_error_rel(t == 2 || t == 3 ? 2e-2 : 1e-3);
            assert_le(shrink(f), f->o.error.value);
            assert_near(f->c.value, f->c.asked, 0.5 * f->c.asked);
            if (t < 2)
                assert_int_equal(kind_of(f), RECORD_TRAIN);
            LODE_FREE(&f->x, &f->y, &f->m);
        }
}

static void shapes_of_any_kind(void **state)
{
    fix *f = *state;
    static const int64_t shapes[][5] = { { 50, 0 },      { 20, 30, 0 },     { 1, 12, 1, 13, 0 },
                                         { 3000, 4, 0 }, { 2, 2, 2, 2, 0 }, { 1, 0 } };
    static const int axes[] = { 1, 2, 4, 2, 4, 1 };
    f->o.method = LODE_COMPRESS_TT;
    for (int i = 0; i < 6; i++) {
        lode_array a = { 0 };
        assert_ok(&f->ctx, lode_array_new(&f->ctx, LODE_F64, axes[i], shapes[i], &a));
        for (int64_t k = 0; k < lode_array_size(&a); k++)
            ((double *)a.data)[k] = 1 + sin(0.3 * (double)k) + 0.2 * (double)(k % 7);
        lode_array_swap(&f->x, &a);
        assert_le(shrink(f), 1e-3);
        LODE_FREE(&f->x, &f->y, &f->m, &a);
    }
}

/* A tenth of what bases and cosines take; and not where these take less. */
static void chosen_where_it_is_the_shorter(void **state)
{
    fix *f = *state;
    static const int64_t cube[] = { 24, 24, 24 };
    int64_t bytes[3];
    static const lode_compress_method methods[] = { LODE_COMPRESS_AUTO, LODE_COMPRESS_TUCKER,
                                                    LODE_COMPRESS_TT };
    make_chain(f, LODE_F32, 6, six, 3);
    for (int i = 0; i < 3; i++) {
        f->o.method = methods[i];
        assert_le(shrink(f), 1e-3);
        bytes[i] = stored(&f->m);
        assert_int_equal(kind_of(f), i == 1 ? RECORD_TRANSFORM : RECORD_TRAIN);
        LODE_FREE(&f->m);
    }
    assert_true(bytes[0] <= bytes[2] + 8 && 10 * bytes[0] < bytes[1]);
    LODE_FREE(&f->x);
    lode_array a = { 0 };
    assert_ok(&f->ctx, lode_array_new(&f->ctx, LODE_F32, 3, cube, &a));
    for (int64_t k = 0; k < lode_array_size(&a); k++)
        ((float *)a.data)[k] = (float)(cos(0.2 * (double)(k / 576)) * (double)(k % 24) +
                                       lode_i_random_normal(lode_i_stream(&f->ctx, "n", 1),
                                                            (uint64_t)k));
    lode_array_swap(&f->x, &a);
    f->o.method = LODE_COMPRESS_AUTO;
    assert_le(shrink(f), 1e-3);
    assert_true(kind_of(f) != RECORD_TRAIN);
}

static void missing_values_parts_and_questions(void **state)
{
    fix *f = *state;
    make_chain(f, LODE_F32, 5, six, 2);
    ((float *)f->x.data)[17] = NAN;
    f->o.method = LODE_COMPRESS_TT;
    f->o.missing.kind = LODE_MISSING_NAN;
    assert_le(shrink(f), 1e-3);
    lode_array part = { 0 };
    const lode_part p = { .ndim = 5, .start = { 2, 1, 0, 3, 2 }, .count = { 1, 2, -1, 1, 2 } };
    assert_ok(&f->ctx, lode_invert(&f->ctx, &f->m, lode_none(), &p, &part));
    for (int64_t i = 0; i < lode_array_size(&part); i++) {
        const int64_t at[] = { 2, 1 + i / 14, i / 2 % 7, 3, 2 + i % 2 },
                      in_part[] = { 0, i / 14, i / 2 % 7, 0, i % 2 };
        assert_true(lode_array_get(&part, in_part) == lode_array_get(&f->y, at));
    }
    lode_question q;
    lode_answer a = { 0 };
    double sum = 0;
    for (int64_t i = 0; i < lode_array_size(&f->y); i++)
        sum += i == 17 ? 0 : (double)((float *)f->y.data)[i];
    assert_ok(&f->ctx, lode_question_parse(&f->ctx, &f->m, "sum", &q));
    assert_ok(&f->ctx, lode_query(&f->ctx, &f->m, &q, &a));
    assert_near(a.re, sum, 1e-6 * fabs(sum) + 1e-3);
    lode_answer_free(&a);
    LODE_FREE(&part);
}

static void what_it_cannot_promise_is_refused(void **state)
{
    fix *f = *state;
    make_chain(f, LODE_F32, 3, six, 2);
    f->o.method = LODE_COMPRESS_TT;
    f->o.error = lode_error_max(0.1);
    assert_status(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &f->m, &f->c),
                  LODE_EUSAGE);
    assert_says(&f->ctx, "sum of squares");
    f->o.error = (lode_error_spec){ 0 };
    f->o.rank = lode_rank(3);
    assert_status(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &f->m, &f->c),
                  LODE_EUSAGE);
}

/* Every byte changed in turn: an error, or the same values. */
static void damage_is_noticed(void **state)
{
    fix *f = *state;
    const lode_array *coded;
    make_chain(f, LODE_F32, 4, six, 2);
    f->o.method = LODE_COMPRESS_TT;
    assert_le(shrink(f), 1e-3);
    assert_ok(&f->ctx, lode_bundle_array(&f->ctx, &f->m, "coded.0", &coded));
    uint8_t *bytes = coded->data;
    for (int64_t i = 0; i < coded->shape[0]; i++) {
        lode_array y = { 0 };
        bytes[i] ^= 0x24;
        const lode_status st = lode_invert(&f->ctx, &f->m, lode_none(), NULL, &y);
        bytes[i] ^= 0x24;
        assert_true(st == LODE_EFORMAT ||
                    (st == LODE_OK && memcmp(y.data, f->y.data, lode_array_bytes(&y)) == 0));
        lode_array_free(&y);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(errors_hold_for_every_type, start, end),
        cmocka_unit_test_setup_teardown(shapes_of_any_kind, start, end),
        cmocka_unit_test_setup_teardown(chosen_where_it_is_the_shorter, start, end),
        cmocka_unit_test_setup_teardown(missing_values_parts_and_questions, start, end),
        cmocka_unit_test_setup_teardown(what_it_cannot_promise_is_refused, start, end),
        cmocka_unit_test_setup_teardown(damage_is_noticed, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
