/* Tiles: chosen where the texture changes from place to place, and only there; every way back. */
#include "compressed.h"

#include <math.h>

#include "code/code.h"
#include "op/op.h"

/* Oscillation in a third along each axis, next to nothing elsewhere; or a wave over all of it. */
static void make_field(fix *f, int ndim, const int64_t *shape, bool patches)
{
    assert_ok(&f->ctx, lode_array_new(&f->ctx, LODE_F32, ndim, shape, &f->x));
    float *v = f->x.data;
    for (int64_t i = 0, size = lode_array_size(&f->x); i < size; i++) {
        bool inside = true;
        double phase = 0, slow = 0;
        int64_t at = i;
        for (int k = ndim - 1; k >= 0; at /= shape[k--]) {
            const int64_t j = at % shape[k];
            inside = inside && j >= shape[k] / 3 && j < 2 * shape[k] / 3;
            phase += (double)(j * (j % 7 + 3 + k)), slow += 0.05 * (double)((k + 1) * j);
        }
        v[i] = (float)(patches ? inside ? sin(phase) : 1e-3 * cos(slow) : cos(slow));
    }
}

/* What the only record says of how axes fold; -1: it is no transform. */
static int64_t folds(fix *f)
{
    int64_t number[5] = { 0 };
    lode_record r = { 0 };
    assert_ok(&f->ctx, lode_i_record_open(&f->ctx, lode_bundle_value(&f->m, 0).as.array, &r));
    for (int i = 0; i < 5; i++)
        assert_ok(&f->ctx, lode_i_record_read_i64(&f->ctx, &r, -INT64_MAX, INT64_MAX, &number[i]));
    lode_i_record_free(&r);
    return number[2] == 1 ? number[4] : -1;
}

static void shrink(fix *f)
{
    lode_certificate again;
    assert_ok(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &f->m, &f->c));
    assert_ok(&f->ctx, lode_invert(&f->ctx, &f->m, lode_none(), NULL, &f->y));
    assert_ok(&f->ctx, lode_verify(&f->ctx, &f->m, lode_from_array(&f->x), &again));
}

static double off(const fix *f)
{
    const float *x = f->x.data, *y = f->y.data;
    double error = 0, norm = 0;
    for (int64_t i = 0; i < lode_array_size(&f->x); i++) {
        error += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
        norm += (double)x[i] * (double)x[i];
    }
    return sqrt(error / norm);
}

/* Sides that tiles divide and that they do not, one axis shorter than a tile; shorter than whole
 * axes; and parts are the same as of all of it. */
static void patches_go_by_tiles(void **state)
{
    static const int64_t shapes[][3] = { { 192, 192, 1 }, { 189, 203, 3 }, { 61, 60, 50 } };
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        fix *f = *state;
        const int d = shapes[s][2] == 1 ? 2 : 3;
        lode_part part = { .ndim = d };
        lode_array some = { 0 };
        make_field(f, d, shapes[s], true);
        f->o.error = lode_error_rel(0.1);
        f->o.method = LODE_COMPRESS_DCT;
        shrink(f);
        const int64_t whole = stored(&f->m);
        f->o.method = LODE_COMPRESS_AUTO;
        LODE_FREE(&f->m, &f->y);
        shrink(f);
        assert_true(folds(f) > 1 || folds(f) == -1);
        assert_true((double)stored(&f->m) < 0.9 * (double)whole);
        assert_true(off(f) <= 0.1);
        for (int k = 0; k < d; k++)
            part.start[k] = shapes[s][k] / 3, part.count[k] = k == 2 ? 1 : 1 + k;
        assert_ok(&f->ctx, lode_invert(&f->ctx, &f->m, lode_none(), &part, &some));
        for (int64_t i = 0; i < lode_array_size(&some); i++) {
            int64_t at[3], index[3], left = i;
            for (int k = d - 1; k >= 0; left /= some.shape[k--])
                at[k] = left % some.shape[k], index[k] = at[k] + part.start[k];
            assert_true(fabs(lode_array_get(&some, at) - lode_array_get(&f->y, index)) < 1e-5);
        }
        LODE_FREE(&some, &f->m, &f->y, &f->x);
    }
}

static void waves_stay_whole(void **state)
{
    fix *f = *state;
    make_field(f, 3, (const int64_t[]){ 50, 60, 40 }, false);
    f->o.error = lode_error_rel(1e-3);
    shrink(f);
    assert_true(folds(f) <= 1);
}

/* A record may say any length: those beyond what is written are refused, and any that is written
 * comes back as some array or an error, never worse. */
static void lengths_are_checked(void **state)
{
    fix *f = *state;
    lode_array y = { 0 };
    make_field(f, 2, (const int64_t[]){ 192, 192 }, true);
    f->o.error = lode_error_rel(0.1);
    shrink(f);
    const lode_array *coded = lode_bundle_value(&f->m, 0).as.array;
    uint8_t *byte = coded->data;
    for (int64_t i = 0; i < lode_i_min(40, coded->shape[0]); i++)
        for (int bit = 0; bit < 8; bit++) {
            byte[i] ^= (uint8_t)(1 << bit);
            (void)lode_invert(&f->ctx, &f->m, lode_none(), NULL, &y);
            lode_array_free(&y);
            byte[i] ^= (uint8_t)(1 << bit);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(patches_go_by_tiles, start, end),
        cmocka_unit_test_setup_teardown(waves_stay_whole, start, end),
        cmocka_unit_test_setup_teardown(lengths_are_checked, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
