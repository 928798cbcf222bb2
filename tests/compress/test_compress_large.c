/* Arrays that are cut in blocks: which, where thin slabs would be all that a rule by rows gives, and that
 * parts of one block go together with them; and that long modes of a large block learn bases. */
#include "compressed.h"

#include "ops/compress/compress.h"

typedef struct form {
    lode_dtype dtype;
    int ndim;
    int64_t shape[4], side[4]; /* sides by hand */
} form;

static double bytes_of(const form *f, const int64_t *sides)
{
    double bytes = (double)lode_dtype_size(f->dtype);
    for (int k = 0; k < f->ndim; k++)
        bytes *= (double)sides[k];
    return bytes;
}

/* bytes/48 held within 2^22 and 2^26, or 2^25 where the first axis is made thicker. */
static void blocks_are_no_thin_slabs(void **state)
{
    (void)state;
    static const form forms[] = {
        { LODE_F32,
          3,
          { 1250, 2000, 2000 },
          { 16, 250, 2000 } }, /* 16 rows: 256 MB; 2^25 / (16 x 8000) = 262 */
        { LODE_F32, 3, { 125, 2000, 2000 }, { 16, 250, 2000 } },
        { LODE_F32, 3, { 5000, 1000, 1000 }, { 16, 1000, 1000 } }, /* of 64 MB: as it was */
        { LODE_F64, 2, { 1000000, 100 }, { 20409, 100 } },         /* 800 MB / 48: 49 parts */
        { LODE_F32, 3, { 20, 4096, 4096 }, { 4, 410, 4096 } }, /* a row is 2^26 bytes: 4 of them */
        { LODE_F32, 2, { 4, 100000000 }, { 1, 7692308 } },     /* and here not one of 2^28 */
        { LODE_U8, 3, { 128, 1024, 1024 }, { 128, 1024, 1024 } }, /* 2^27 bytes: one block */
        { LODE_F64, 1, { 100000000 }, { 2040817 } },
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const form *f = &forms[i];
        grid g, before;
        int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM];
        double values = 0, all = 1;
        compress_grid(f->dtype, f->ndim, f->shape, COMPRESS_THICK, &g);
        compress_grid(f->dtype, f->ndim, f->shape, 0, &before);
        for (int k = 0; k < f->ndim; k++)
            assert_int_equal(g.side[k], f->side[k]);
        assert_le(bytes_of(f, g.side), g.blocks > 1 ? 0x1p26 : 0x1p27);
        assert_true(g.side[0] >= before.side[0] || f->ndim == 1);
        assert_true((g.blocks == 1) == (before.blocks == 1));
        for (int64_t b = 0; b < g.blocks; b++) {
            double own = 1;
            compress_block(&g, b, start, count);
            for (int k = 0; k < f->ndim; k++) {
                assert_true(start[k] >= 0 && count[k] > 0 && start[k] + count[k] <= f->shape[k]);
                own *= (double)count[k];
            }
            values += own;
        }
        for (int k = 0; k < f->ndim; k++)
            all *= (double)f->shape[k];
        assert_true(values >= all && values <= all); /* with places of a grid: each once */
    }
}

enum { ROWS = 17, SIDE = 1000 };

/* Zeros but for a few values, as the parts of one array. */
static void make_rows(fix *f, int64_t from, int64_t rows, lode_array *x)
{
    assert_ok(&f->ctx,
              lode_array_zeros(&f->ctx, LODE_F64, 3, (const int64_t[]){ rows, SIDE, SIDE }, x));
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = from + i; j < SIDE; j += 97)
            ((double *)x->data)[(i * SIDE + j) * SIDE + 7 * j % SIDE] = (double)(from + i) + 0.5;
}

/* Row `at` of the model is row `from` of the data, as far as a block or two go. */
static void same_row(fix *f, const lode_bundle *m, int64_t at, int64_t from)
{
    const lode_part part = { .ndim = 3, .start = { at, 480, 0 }, .count = { 1, 40, SIDE } };
    assert_ok(&f->ctx, lode_invert(&f->ctx, m, lode_none(), &part, &f->y));
    make_rows(f, from, 1, &f->x);
    assert_memory_equal(f->y.data, (const double *)f->x.data + 480 * SIDE, lode_array_bytes(&f->y));
}

/* Joined both ways; the small one says then as well how the whole is cut. */
static void large_and_small_go_together(void **state)
{
    fix *f = *state;
    lode_bundle large = { 0 }, small = { 0 };
    f->o.method = LODE_COMPRESS_LOSSLESS, f->o.effort = 1;
    make_rows(f, 0, 1, &f->x);
    assert_ok(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &small, NULL));
    make_rows(f, 1, ROWS, &f->x);
    assert_ok(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &large, NULL));
    assert_true(small.count == 2 && large.count > 3); /* sums beside the records */
    for (int order = 0; order < 2; order++) {
        const lode_bundle *const models[] = { order ? &large : &small, order ? &small : &large };
        assert_ok(&f->ctx, lode_merge(&f->ctx, models, 2, &f->m));
        assert_int_equal(f->m.count, large.count + small.count); /* sums once, and segments */
        for (int64_t b = 0; b < f->m.count - 2; b++) {
            int64_t limit = -1;
            const lode_array *record = NULL;
            assert_ok(&f->ctx, compress_record(&f->ctx, &f->m, b, &record));
            assert_ok(&f->ctx, compress_limit(&f->ctx, record, &limit));
            assert_int_equal(limit, COMPRESS_THICK);
        }
        same_row(f, &f->m, order ? ROWS : 0, 0);
        same_row(f, &f->m, order ? 0 : 1, 1);
        same_row(f, &f->m, order ? ROWS - 1 : ROWS, ROWS);
    }
    LODE_FREE(&large, &small);
}

enum { LONG = 1100, RANK = 3 };

/* Rough factors of rank 3 along two modes too long for a sketch to tell their spectrum: bases of them take
 * some 2 bytes an entry, and cosines see noise in all values. */
static void long_modes_of_low_rank_learn(void **state)
{
    fix *f = *state;
    const lode_stream s = lode_i_stream(&f->ctx, "long", 0);
    assert_ok(&f->ctx,
              lode_array_new(&f->ctx, LODE_F32, 3, (const int64_t[]){ 2, LONG, SIDE }, &f->x));
    float *x = f->x.data, left[RANK], right[RANK][SIDE];
    for (int r = 0; r < RANK; r++)
        for (int j = 0; j < SIDE; j++)
            right[r][j] = (float)lode_i_random_normal(s, (uint64_t)(r * SIDE + j));
    for (int i = 0; i < 2 * LONG; i++) {
        for (int r = 0; r < RANK; r++)
            left[r] = (float)lode_i_random_normal(s, (uint64_t)(RANK * (SIDE + i % LONG) + r));
        for (int j = 0; j < SIDE; j++)
            x[i * SIDE + j] = left[0] * right[0][j] + left[1] * right[1][j] + left[2] * right[2][j];
    }
    assert_true(lode_array_size(&f->x) >= LARGE);
    f->o.error = lode_error_rel(1e-2);
    assert_ok(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &f->m, &f->c));
    assert_le(f->c.value, 1e-2);
    assert_le((double)stored(&f->m), 2.0 * RANK * (LONG + SIDE) + 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_no_thin_slabs),
        cmocka_unit_test_setup_teardown(large_and_small_go_together, start, end),
        cmocka_unit_test_setup_teardown(long_modes_of_low_rank_learn, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
