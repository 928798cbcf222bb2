/* JSON: parsing strictly, building, reading back, writing the shortest text. */
#include "fixture.h"

#include <math.h>

#include "base/base.h"

static int setup(void **state)
{
    static lode_ctx ctx;
    *state = &ctx;
    return lode_ctx_init(&ctx, NULL);
}

static int teardown(void **state)
{
    lode_ctx *ctx = *state;
    const bool clean = lode_ctx_memory_used(ctx) == 0;
    lode_ctx_free(ctx);
    return clean ? 0 : -1;
}

static lode_json *parse(lode_ctx *ctx, const char *text)
{
    lode_json *j = NULL;
    assert_ok(ctx, lode_i_json_parse(ctx, text, strlen(text), &j));
    assert_non_null(j);
    return j;
}

static void values_are_read_by_kind(void **state)
{
    lode_ctx *ctx = *state;
    lode_json *j = parse(ctx,
                         "{\"z\": 1, \"a\": -2.5, \"t\": \"w\\u00e4rme\\n\", \"b\": true, \"l\": "
                         "[1, 2, [3]], \"n\": null,"
                         " \"nan\": \"nan\", \"inf\": \"-inf\", \"big\": 9223372036854775807}");
    int64_t i = 0;
    double x = 0;
    bool b = false;
    assert_int_equal(lode_i_json_count(j), 9);
    assert_true(lode_i_json_as_i64(lode_i_json_get(j, "z"), &i) && i == 1);
    assert_true(lode_i_json_as_i64(lode_i_json_get(j, "big"), &i) && i == INT64_MAX);
    assert_true(lode_i_json_as_f64(lode_i_json_get(j, "z"), &x) && x >= 1 && x <= 1);
    assert_true(lode_i_json_as_f64(lode_i_json_get(j, "a"), &x) && x >= -2.5 && x <= -2.5);
    assert_false(lode_i_json_as_i64(lode_i_json_get(j, "a"), &i));
    assert_string_equal(lode_i_json_as_text(lode_i_json_get(j, "t")), "w\xC3\xA4rme\n");
    assert_true(lode_i_json_as_bool(lode_i_json_get(j, "b"), &b) && b);
    assert_false(lode_i_json_as_bool(lode_i_json_get(j, "z"), &b));
    assert_true(lode_i_json_as_f64(lode_i_json_get(j, "nan"), &x) && isnan(x));
    assert_true(lode_i_json_as_f64(lode_i_json_get(j, "inf"), &x) && isinf(x) && x < 0);
    assert_false(lode_i_json_as_f64(lode_i_json_get(j, "t"), &x));
    lode_json *l = lode_i_json_get(j, "l");
    assert_int_equal(lode_i_json_count(l), 3);
    assert_true(lode_i_json_as_i64(lode_i_json_at(lode_i_json_at(l, 2), 0), &i) && i == 3);
    assert_null(lode_i_json_at(l, 3));
    assert_null(lode_i_json_at(l, -1));
    assert_int_equal(lode_i_json_count(lode_i_json_get(j, "n")), -1);

    const char *order[] = { "z", "a", "t", "b", "l", "n", "nan", "inf", "big" };
    const char *next = NULL;
    for (int k = 0; k < 9; k++) {
        lode_json *v = NULL, *w = NULL;
        next = lode_i_json_next(j, next, &w);
        assert_string_equal(lode_i_json_key(j, k, &v), order[k]);
        assert_string_equal(next, order[k]);
        assert_ptr_equal(v, lode_i_json_get(j, order[k]));
        assert_ptr_equal(v, w);
    }
    assert_null(lode_i_json_next(j, next, NULL));
    assert_null(lode_i_json_key(j, 9, NULL));
    assert_null(lode_i_json_key(j, -1, NULL));
    lode_i_json_free(j);
}

static void absent_is_harmless(void **state)
{
    (void)state;
    int64_t i = 5;
    double x = 5;
    bool b = true;
    assert_null(lode_i_json_get(NULL, "a"));
    assert_null(lode_i_json_at(NULL, 0));
    assert_null(lode_i_json_key(NULL, 0, NULL));
    assert_null(lode_i_json_next(NULL, NULL, NULL));
    assert_null(lode_i_json_as_text(NULL));
    assert_int_equal(lode_i_json_count(NULL), -1);
    assert_false(lode_i_json_as_i64(NULL, &i) || lode_i_json_as_f64(NULL, &x) ||
                 lode_i_json_as_bool(NULL, &b));
    assert_true(i == 5 && b);
    lode_i_json_free(NULL);
}

static void damage_is_named_with_its_place(void **state)
{
    lode_ctx *ctx = *state;
    const char *bad[] = { "",
                          " ",
                          "{",
                          "[1,]",
                          "{\"a\":1,\"a\":2}",
                          "nul",
                          "01",
                          "[1] 2",
                          "\"\\u0000\"",
                          "\"\x80\"",
                          "NaN",
                          "1e999",
                          "99999999999999999999",
                          "{\"a\" 1}",
                          "'a'",
                          "[\"\\x\"]",
                          "\"\n\"" };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        lode_json *j = NULL;
        const lode_status st = lode_i_json_parse(ctx, bad[k], strlen(bad[k]), &j);
        if (st != LODE_EFORMAT)
            fail_msg("%s gives %s", bad[k], lode_status_name(st));
        assert_null(j);
        assert_says(ctx, "JSON");
    }
    lode_json *j = NULL;
    assert_status(ctx, lode_i_json_parse(ctx, "{\n\"a\": }", 8, &j), LODE_EFORMAT);
    assert_says(ctx, "line 2");
    assert_status(ctx, lode_i_json_parse(ctx, "12]", 1 + 2, &j), LODE_EFORMAT);
    assert_ok(ctx, lode_i_json_parse(ctx, "12]", 2, &j)); /* the size ends it, not a zero */
    lode_i_json_free(j);
}

static void depth_and_memory_are_bounded(void **state)
{
    lode_ctx *ctx = *state;
    char deep[400];
    lode_json *j = NULL;
    for (int depth = 63; depth <= 65; depth++) {
        memset(deep, '[', (size_t)depth);
        memset(deep + depth, ']', (size_t)depth);
        const lode_status st = lode_i_json_parse(ctx, deep, 2 * (size_t)depth, &j);
        assert_int_equal(st, depth <= 64 ? LODE_OK : LODE_EFORMAT);
        lode_i_json_free(j);
        j = NULL;
    }
    for (int i = 0; i < 99; i++) /* brackets beside one another do not nest */
        memcpy(deep + 1 + 3 * i, i % 2 ? "[]," : "{},", 3);
    deep[0] = '[', deep[297] = ']';
    assert_ok(ctx, lode_i_json_parse(ctx, deep, 298, &j));
    assert_int_equal(lode_i_json_count(j), 99);
    lode_i_json_free(j);
    j = NULL;
    memset(deep, '[', 100);
    deep[0] = deep[99] = '"'; /* brackets in a text do not nest */
    assert_ok(ctx, lode_i_json_parse(ctx, deep, 100, &j));
    lode_i_json_free(j);
    j = NULL;
    const uint64_t before = lode_ctx_memory(ctx);
    lode_ctx_set_memory(ctx, 1000);
    assert_status(ctx, lode_i_json_parse(ctx, "[{},{},{}]", 10, &j), LODE_EBUDGET);
    assert_null(j);
    assert_status(ctx, lode_i_json_parse(ctx, "[0,0,0,0,0,0,0,0,0,0,0,0]", 25, &j), LODE_EBUDGET);
    assert_ok(ctx, lode_i_json_parse(ctx, "[0,0]", 5, &j));
    lode_i_json_free(j);
    lode_ctx_set_memory(ctx, before);
}

static lode_json *build(lode_ctx *ctx)
{
    lode_json *j = lode_i_json_object(), *l = lode_i_json_array();
    assert_ok(ctx, lode_i_json_push(ctx, l, lode_i_json_i64(INT64_MIN)));
    assert_ok(ctx, lode_i_json_push(ctx, l, lode_i_json_f64(0.1)));
    assert_ok(ctx, lode_i_json_push(ctx, l, lode_i_json_f64(3)));
    assert_ok(ctx, lode_i_json_push(ctx, l, lode_i_json_f64(NAN)));
    assert_ok(ctx, lode_i_json_push(ctx, l, lode_i_json_f64(-INFINITY)));
    assert_ok(ctx, lode_i_json_push(ctx, l, lode_i_json_f64(1e300)));
    assert_ok(ctx, lode_i_json_set(ctx, j, "z", l));
    assert_ok(ctx, lode_i_json_set(ctx, j, "a", lode_i_json_bool(false)));
    assert_ok(ctx, lode_i_json_set(ctx, j, "empty", lode_i_json_object()));
    assert_ok(ctx,
              lode_i_json_set(ctx, j, "text", lode_i_json_text("q\"b\\n\nt\tc\x01 /\xE2\x82\xAC")));
    assert_ok(ctx,
              lode_i_json_set(ctx, j, "bad \xFF", lode_i_json_text("x\xFF\xC0\x80y\xED\xA0\x80")));
    return j;
}

static void texts_are_shortest_ordered_and_escaped(void **state)
{
    lode_ctx *ctx = *state;
    lode_json *j = build(ctx);
    char *text = NULL;
    assert_ok(ctx, lode_i_json_print(ctx, j, 0, &text));
    assert_string_equal(
        text,
        "{\"z\":[-9223372036854775808,0.1,3.0,\"nan\",\"-inf\",1e+300],\"a\":false,\"empty\":{},"
        "\"text\":\"q\\\"b\\\\n\\nt\\tc\\u0001 /\xE2\x82\xAC\","
        "\"bad \xEF\xBF\xBD\":\"x\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDy\xEF\xBF\xBD\xEF\xBF\xBD"
        "\xEF\xBF\xBD\"}");
    for (int indent = 0; indent < 3; indent++) { /* reads back to the same text */
        char *first = NULL, *second = NULL;
        assert_ok(ctx, lode_i_json_print(ctx, j, indent, &first));
        lode_json *again = parse(ctx, first);
        assert_ok(ctx, lode_i_json_print(ctx, again, indent, &second));
        assert_string_equal(first, second);
        lode_i_json_free(again);
        lode_i_free(first);
        lode_i_free(second);
    }
    lode_i_free(text);
    text = NULL;
    lode_json *l = parse(ctx, "[1,{\"a\":[]}]");
    assert_ok(ctx, lode_i_json_print(ctx, l, 2, &text));
    assert_string_equal(text, "[\n  1,\n  {\n    \"a\": []\n  }\n]");
    lode_i_free(text);
    assert_ok(ctx, lode_i_json_print(ctx, l, 1, &text));
    assert_string_equal(text, "[\n 1,\n {\n  \"a\": []\n }\n]");
    lode_i_free(text);
    lode_i_json_free(l);
    lode_i_json_free(j);
}

static void bytes_that_are_no_utf8_are_replaced(void **state)
{
    (void)state;
#define R "\xEF\xBF\xBD"
    const char *pair[][2] = { { "\xE0\x80\x80", R R R },
                              { "\xE0\x9F\xBF", R R R },
                              { "\xF0\x8F\xBF\xBF", R R R R },
                              { "\xF4\x90\x80\x80", R R R R },
                              { "\xF5\x80\x80\x80", R R R R },
                              { "\xC1\xBF", R R },
                              { "\xE2\x82", R R },
                              { "\xE2\x28\xA1", R "(" R },
                              { "a\xFF", "a" R },
                              { "\xFF\xE0\xA0\x80", R "\xE0\xA0\x80" },
                              { "\xFF\xF0\x90\x80\x80", R "\xF0\x90\x80\x80" },
                              { "\xFF\xF4\x8F\xBF\xBF", R "\xF4\x8F\xBF\xBF" },
                              { "\xFF\xC2\x80", R "\xC2\x80" },
                              { "\xFF\xED\x9F\xBF", R "\xED\x9F\xBF" },
                              { "\xFF\x7F", R "\x7F" } };
#undef R
    for (size_t k = 0; k < sizeof pair / sizeof *pair; k++) {
        lode_json *j = lode_i_json_text(pair[k][0]);
        assert_string_equal(lode_i_json_as_text(j), pair[k][1]);
        lode_i_json_free(j);
    }
}

static void setters_take_over_also_on_failure(void **state)
{
    lode_ctx *ctx = *state;
    assert_status(ctx, lode_i_json_set(ctx, NULL, "a", lode_i_json_i64(1)), LODE_ENOMEM);
    assert_status(ctx, lode_i_json_push(ctx, NULL, lode_i_json_i64(1)), LODE_ENOMEM);
    lode_json *j = lode_i_json_object();
    assert_status(ctx, lode_i_json_set(ctx, j, "a", NULL), LODE_ENOMEM);
    assert_int_equal(lode_i_json_count(j), 0);
    assert_ok(ctx, lode_i_json_set(ctx, j, "a", lode_i_json_i64(1)));
    assert_ok(ctx, lode_i_json_set(ctx, j, "a", lode_i_json_i64(2))); /* replaced */
    assert_int_equal(lode_i_json_count(j), 1);
    lode_i_json_free(j);
    assert_null(lode_i_json_text(NULL));
}

static void writing_survives_each_failed_allocation(void **state)
{
    heap h = { 0 };
    const lode_allocator a = heap_of(&h);
    lode_ctx ctx;
    assert_int_equal(lode_ctx_init(&ctx, &a), LODE_OK);
    lode_json *j = build(*state);
    for (int64_t n = 1;; n++) {
        char *text = NULL;
        heap_fail(&h, n);
        const lode_status st = lode_i_json_print(&ctx, j, 4, &text);
        assert_int_equal(st, heap_failed(&h) ? LODE_ENOMEM : LODE_OK);
        assert_true((st == LODE_OK) == (text != NULL));
        lode_i_free(text);
        if (st == LODE_OK)
            break;
    }
    lode_i_json_free(j);
    lode_ctx_free(&ctx);
    assert_int_equal(h.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values_are_read_by_kind, setup, teardown),
        cmocka_unit_test(absent_is_harmless),
        cmocka_unit_test_setup_teardown(damage_is_named_with_its_place, setup, teardown),
        cmocka_unit_test_setup_teardown(depth_and_memory_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(texts_are_shortest_ordered_and_escaped, setup, teardown),
        cmocka_unit_test(bytes_that_are_no_utf8_are_replaced),
        cmocka_unit_test_setup_teardown(setters_take_over_also_on_failure, setup, teardown),
        cmocka_unit_test_setup_teardown(writing_survives_each_failed_allocation, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
