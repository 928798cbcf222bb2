/* What lode_tell says of compressed arrays: how blocks are coded, where the bytes go, what is damaged. */
#include "compressed.h"

#include <math.h>

static void make_field(fix *f, lode_dtype dtype, double noise, bool holes)
{
    lode_array a = { 0 };
    const lode_stream s = lode_i_stream(&f->ctx, "contents", 0);
    assert_ok(&f->ctx, lode_array_new(&f->ctx, LODE_F64, 3, (const int64_t[]){ 12, 20, 30 }, &a));
    double *v = a.data;
    for (int i = 0; i < 12 * 20 * 30; i++)
        v[i] = 100 * (sin(0.01 * i) + cos(0.2 * (i % 30))) +
               noise * lode_i_random_normal(s, (uint64_t)i);
    for (int i = 0; holes && i < 12 * 20 * 30; i += 7)
        v[i] = NAN;
    assert_ok(&f->ctx, lode_array_cast(&f->ctx, &a, dtype, &f->x));
    lode_array_free(&a);
}

static lode_json *told(fix *f)
{
    char *text = NULL;
    lode_json *j = NULL;
    assert_ok(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &f->m, &f->c));
    assert_ok(&f->ctx, lode_tell(&f->ctx, &f->m, LODE_DOC_JSON, &text));
    assert_ok(&f->ctx, lode_i_json_parse(&f->ctx, text, strlen(text), &j));
    lode_text_free(text);
    return j;
}

static int64_t number(const lode_json *j, const char *key)
{
    int64_t v = -1;
    assert_true(lode_i_json_as_i64(lode_i_json_get(j, key), &v));
    return v;
}

/* Every byte of every record is counted once, and every block. */
static void check_sums(const fix *f, const lode_json *j)
{
    static const char *const parts[] = { "values",      "bases", "missing",
                                         "corrections", "exact", "heads" };
    const lode_json *kinds = lode_i_json_get(j, "kinds"), *bytes = lode_i_json_get(j, "bytes");
    int64_t sum = 0, by_kind = 0, blocks = 0, heads = number(bytes, "heads");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        sum += number(bytes, parts[i]);
    for (int64_t i = 0; i < lode_i_json_count(kinds); i++) {
        by_kind += number(lode_i_json_at(kinds, i), "bytes");
        blocks += number(lode_i_json_at(kinds, i), "blocks");
    }
    assert_int_equal(sum, stored(&f->m) - 48); /* the sums are six numbers */
    assert_int_equal(by_kind, sum);
    assert_int_equal(blocks, f->m.count - 1);
    assert_int_equal(number(j, "blocks"), f->m.count - 1);
    assert_le(heads, 80.0 * (double)blocks);
}

static const char *kind_of(const lode_json *j, int64_t i)
{
    return lode_i_json_as_text(
        lode_i_json_get(lode_i_json_at(lode_i_json_get(j, "kinds"), i), "kind"));
}

static void methods_are_told_apart(void **state)
{
    fix *f = *state;
    static const struct {
        lode_compress_method method;
        const char *kind, *basis;
    } cases[] = { { LODE_COMPRESS_DCT, "transform", "cosines" },
                  { LODE_COMPRESS_TUCKER, "transform", "learned" },
                  { LODE_COMPRESS_WAVELET, "transform", "wavelets of" },
                  { LODE_COMPRESS_TT, "train", NULL },
                  { LODE_COMPRESS_PREDICT, NULL, NULL },
                  { LODE_COMPRESS_LOSSLESS, "exact", NULL } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int holes = 0; holes < 2; holes++) {
            make_field(f, LODE_F32, 1, holes);
            f->o.method = cases[i].method;
            f->o.error = lode_error_rel(1e-2);
            if (f->o.method == LODE_COMPRESS_LOSSLESS)
                f->o.error = (lode_error_spec){ .kind = LODE_ERROR_NONE };
            lode_json *j = told(f), *modes = lode_i_json_get(j, "modes");
            check_sums(f, j);
            assert_int_equal(lode_i_json_count(lode_i_json_get(j, "kinds")), 1);
            if (cases[i].kind)
                assert_string_equal(kind_of(j, 0), cases[i].kind);
            else
                assert_true(strcmp(kind_of(j, 0), "lorenzo") == 0 ||
                            strcmp(kind_of(j, 0), "interpolation") == 0);
            assert_int_equal(lode_i_json_count(modes), cases[i].basis ? 3 : 0);
            for (int64_t k = 0; k < lode_i_json_count(modes); k++) {
                const lode_json *m = lode_i_json_at(modes, k);
                static const int64_t shape[] = { 12, 20, 30 };
                assert_int_equal(number(m, "axis"), k);
                assert_int_equal(number(m, "length"), shape[k]);
                assert_int_equal(number(m, "blocks"), 1);
                const char *basis = lode_i_json_as_text(lode_i_json_get(m, "basis"));
                if (f->o.method == LODE_COMPRESS_WAVELET) /* and how many moments */
                    assert_memory_equal(basis, cases[i].basis, strlen(cases[i].basis));
                else
                    assert_string_equal(basis, cases[i].basis);
                assert_true(number(m, "fewest_columns") == number(m, "most_columns") &&
                            number(m, "most_columns") <= shape[k]);
            }
            const lode_json *bytes = lode_i_json_get(j, "bytes");
            assert_true((number(bytes, "bases") > 0) == (f->o.method == LODE_COMPRESS_TUCKER));
            assert_true((number(bytes, "exact") > 0) == (f->o.method == LODE_COMPRESS_LOSSLESS));
            assert_true((number(bytes, "missing") > 0) ==
                        (holes && f->o.method != LODE_COMPRESS_LOSSLESS));
            lode_i_json_free(j);
        }
}

static void many_blocks_are_summed_up(void **state)
{
    fix *f = *state;
    char *text = NULL;
    make_field(f, LODE_F32, 1, false);
    f->o.block = (lode_auto_i64){ true, 1200 };
    f->o.error = lode_error_max(3);
    f->o.method = LODE_COMPRESS_DCT;
    lode_json *j = told(f);
    check_sums(f, j);
    assert_true(number(j, "blocks") >= 6 && number(j, "damaged") == 0 && number(j, "parts") == 1);
    assert_true(number(lode_i_json_get(j, "bytes"), "corrections") > 0);
    lode_i_json_free(j);
    assert_ok(&f->ctx, lode_tell(&f->ctx, &f->m, LODE_DOC_HELP, &text));
    assert_non_null(strstr(text, "asked for   --error 3:max --method dct --block 1200\n"));
    assert_non_null(strstr(text, "blocks of at most"));
    assert_non_null(strstr(text, "blocks by coefficients of a basis for each axis"));
    assert_non_null(strstr(text, "corrections"));
    lode_text_free(text);
    /* one of them damaged */
    const lode_array *record = NULL;
    assert_ok(&f->ctx, lode_bundle_array(&f->ctx, &f->m, "coded.2", &record));
    ((uint8_t *)record->data)[record->shape[0] / 2] ^= 1;
    assert_ok(&f->ctx, lode_tell(&f->ctx, &f->m, LODE_DOC_HELP, &text));
    assert_non_null(strstr(text, "1 block is damaged"));
    lode_text_free(text);
}

static void complex_and_empty_arrays_have_contents(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 0, 3 };
    make_field(f, LODE_C64, 1, false);
    f->o.error = lode_error_rel(1e-2);
    f->o.method = LODE_COMPRESS_DCT;
    lode_json *j = told(f);
    check_sums(f, j);
    lode_i_json_free(j);
    f->o.method = LODE_COMPRESS_AUTO;
    assert_ok(&f->ctx, lode_array_new(&f->ctx, LODE_F32, 2, shape, &f->x));
    j = told(f);
    check_sums(f, j);
    lode_i_json_free(j);
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    heap h = { 0 };
    fix f = { .o = lode_compress_defaults() };
    const lode_allocator a = heap_of(&h);
    assert_int_equal(lode_ctx_init(&f.ctx, &a), LODE_OK);
    f.ctx.threads = 1;
    make_field(&f, LODE_F32, 1, true);
    assert_ok(&f.ctx, lode_compress(&f.ctx, &f.o, lode_from_array(&f.x), &f.m, NULL));
    for (lode_doc form = LODE_DOC_HELP; form <= LODE_DOC_JSON; form += LODE_DOC_JSON)
        for (int64_t n = 1;; n++) {
            char *text = NULL;
            const int64_t live = h.live;
            heap_fail(&h, n);
            const lode_status st = lode_tell(&f.ctx, &f.m, form, &text);
            const bool failed = heap_failed(&h);
            heap_fail(&h, 0);
            if (st == LODE_OK) {
                lode_text_free(text);
                assert_false(failed);
                break;
            }
            assert_int_equal(st, LODE_ENOMEM);
            assert_null(text);
            assert_int_equal(h.live, live);
        }
    LODE_FREE(&f.x, &f.m);
    lode_ctx_free(&f.ctx);
    assert_int_equal(h.live, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {
        TEST(methods_are_told_apart),
        TEST(many_blocks_are_summed_up),
        TEST(complex_and_empty_arrays_have_contents),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
