/* compress chooses by what the records measure: on fields of different structure it is as short as the
 * best of the fixed methods, each of which is much longer on some of them. */
#include "compressed.h"

#include <math.h>

enum { N = 24, FIELDS = 5 };
static const char *const field_names[FIELDS] = { "waves", "low rank", "steps", "noise", "wedges" };
static const lode_compress_method fixed[] = { LODE_COMPRESS_TUCKER, LODE_COMPRESS_SVD,
                                              LODE_COMPRESS_DCT, LODE_COMPRESS_PREDICT,
                                              LODE_COMPRESS_LOSSLESS };
enum { FIXED = (int)(sizeof fixed / sizeof *fixed) };

/* Long waves; a sum of products of rough vectors; plateaus with edges; noise in every bit of whole
 * numbers; planes that meet in kinks. */
static void make_field(fix *f, int which)
{
    lode_array a = { 0 };
    const lode_stream s = lode_i_stream(&f->ctx, "choice", (uint64_t)which);
    assert_ok(&f->ctx, lode_array_new(&f->ctx, LODE_F64, 3, (const int64_t[]){ N, N, N }, &a));
    double *v = a.data;
    for (int i = 0; i < N * N * N; i++) {
        const int x = i / (N * N), y = i / N % N, z = i % N;
        double sum = 0;
        switch (which) {
        case 0:
            for (int k = 1; k < 8; k++)
                sum += sin(0.021 * k * x + k) * cos(0.033 * k * y + 0.012 * k * z) / k;
            break;
        case 1:
            for (int k = 0; k < 3; k++)
                sum += lode_i_random_normal(s, (uint64_t)(k * 3 * N + x)) *
                       lode_i_random_normal(s, (uint64_t)(k * 3 * N + N + y)) *
                       lode_i_random_normal(s, (uint64_t)(k * 3 * N + 2 * N + z));
            break;
        case 2:
            sum = floor(0.17 * x + 2 * sin(0.2 * y)) +
                  (z > 8 + 0.3 * x + 4 * sin(0.7 * y) ? 5 : 0) +
                  0.05 * lode_i_random_normal(s, (uint64_t)i);
            break;
        case 3: sum = 32000 * (2 * lode_i_random_uniform(s, (uint64_t)i) - 1); break;
        default: sum = fabs(x - 9.3) + fabs(0.7 * y - 0.4 * z - 3.1) + fabs(z - 20.7); break;
        }
        v[i] = sum;
    }
    assert_ok(&f->ctx, lode_array_cast(&f->ctx, &a, which == 3 ? LODE_I16 : LODE_F32, &f->x));
    lode_array_free(&a);
}

static int64_t bytes_by(fix *f, lode_compress_method method, double e)
{
    f->o.method = method;
    f->o.error = method == LODE_COMPRESS_LOSSLESS ? (lode_error_spec){ .kind = LODE_ERROR_NONE }
                                                  : lode_error_rel(e);
    assert_ok(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &f->m, &f->c));
    if (method != LODE_COMPRESS_LOSSLESS)
        assert_le(f->c.value, e);
    return stored(&f->m);
}

/* A bound on every entry asks little more of low rank than an error of all does: entries of the bases are
 * large in places, where few numbers that are a bit finer save corrections everywhere. */
static void bounds_keep_low_rank_short(void **state)
{
    fix *f = *state;
    enum { SIDE = 60 };
    const lode_stream s = lode_i_stream(&f->ctx, "choice", 9);
    assert_ok(&f->ctx,
              lode_array_new(&f->ctx, LODE_F32, 3, (const int64_t[]){ SIDE, SIDE, SIDE }, &f->x));
    float *v = f->x.data;
    for (int i = 0; i < SIDE * SIDE * SIDE; i++) {
        const int at[] = { i / (SIDE * SIDE), SIDE + i / SIDE % SIDE, 2 * SIDE + i % SIDE };
        double sum = 1e-4 * lode_i_random_normal(s, (uint64_t)(5000 + i));
        for (int k = 0; k < 4; k++) {
            double term = 1;
            for (int m = 0; m < 3; m++)
                term *= lode_i_random_normal(s, (uint64_t)(k * 3 * SIDE + at[m]));
            sum += term;
        }
        v[i] = (float)sum;
    }
    f->o.error = (lode_error_spec){ .kind = LODE_ERROR_MAXREL, .value = 3e-3 };
    assert_ok(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &f->m, &f->c));
    assert_le(f->c.value, 3e-3);
    assert_le((double)stored(&f->m), 4000);
}

static void the_choice_is_as_short_as_the_best(void **state)
{
    fix *f = *state;
    double longest[FIXED] = { 0 };
    for (int which = 0; which < FIELDS; which++) {
        const double e = which == 2 ? 1e-2 : which == 3 ? 1e-6 : 1e-4;
        make_field(f, which);
        const double mine = (double)bytes_by(f, LODE_COMPRESS_AUTO, e);
        for (int k = 0; k < FIXED; k++) {
            const double other = (double)bytes_by(f, fixed[k], e);
            if (mine > 1.01 * other)
                fail_msg("%s: %.0f bytes, %.0f by method %d", field_names[which], mine, other,
                         (int)fixed[k]);
            longest[k] = fmax(longest[k], other / mine);
        }
    }
    for (int k = 0; k < FIXED; k++)
        assert_le(1.5, longest[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_choice_is_as_short_as_the_best, start, end),
        cmocka_unit_test_setup_teardown(bounds_keep_low_rank_short, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
