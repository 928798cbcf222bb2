/* Growing text, numbers in and out under any locale, distances between words. */
#include "fixture.h"

#include <locale.h>
#include <math.h>

#include "base/base.h"

static void text_grows_and_survives_failures(void **state)
{
    (void)state;
    heap h = { 0 };
    const lode_allocator a = heap_of(&h);
    lode_ctx ctx;
    assert_int_equal(lode_ctx_init(&ctx, &a), LODE_OK);
    char wide[1001];
    memset(wide, 'x', 1000);
    wide[1000] = '\0';
    for (int64_t n = 0;; n++) {
        lode_text t = { 0 };
        lode_status st = LODE_OK;
        size_t whole = 0;
        heap_fail(&h, n + 1);
        for (int i = 0; i < 20 && st == LODE_OK; i++) {
            whole = t.size;
            st = i % 3 == 2 ? lode_i_text_bytes(&ctx, &t, "\0b", 2)
                            : lode_i_text_add(&ctx, &t, i % 3 ? "%s %d" : "%.3s%d", wide, i);
        }
        assert_int_equal(st, heap_failed(&h) ? LODE_ENOMEM : LODE_OK);
        if (st < 0) { /* as it was */
            assert_int_equal(t.size, whole);
            lode_i_text_free(&t);
            continue;
        }
        assert_int_equal(t.size, 7 * 4 + 3 + 7 * 1002 + 4 + 6 * 2);
        assert_int_equal(t.text[t.size], '\0');
        assert_memory_equal(t.text, "xxx0xxx", 7);
        lode_i_text_free(&t);
        lode_i_text_free(&t);
        break;
    }
    lode_ctx_free(&ctx);
    assert_int_equal(h.live, 0);
}

static void integers(void **state)
{
    (void)state;
    int64_t i = 7;
    uint64_t u = 7;
    assert_true(lode_i_parse_i64("-9223372036854775808", &i) && i == INT64_MIN);
    assert_true(lode_i_parse_i64("9223372036854775807", &i) && i == INT64_MAX);
    assert_true(lode_i_parse_i64("+12", &i) && i == 12);
    assert_true(lode_i_parse_i64("-0", &i) && i == 0);
    assert_true(lode_i_parse_u64("18446744073709551615", &u) && u == UINT64_MAX);
    assert_true(lode_i_parse_u64("0007", &u) && u == 7);
    const char *bad[] = { "",
                          "-",
                          "+",
                          " 1",
                          "1 ",
                          "1.0",
                          "0x10",
                          "1e3",
                          "--1",
                          "-+1",
                          "+-1",
                          "9223372036854775808",
                          "-9223372036854775809",
                          "99999999999999999999",
                          "\xC2\xB2" };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
        assert_false(lode_i_parse_i64(bad[k], &i));
    assert_false(lode_i_parse_u64("-1", &u));
    assert_false(lode_i_parse_u64("18446744073709551616", &u));
    assert_true(i == 0 && u == 7); /* untouched by failures */
}

static void reals_are_read_whole_or_not_at_all(void **state)
{
    (void)state;
    const struct {
        const char *text;
        double value;
    } good[] = { { "0", 0 },
                 { "1", 1 },
                 { "-1.5", -1.5 },
                 { "+.5", 0.5 },
                 { "5.", 5 },
                 { "1e3", 1000 },
                 { "1E-3", 1e-3 },
                 { "1e+22", 1e22 },
                 { "1e23", 1e23 },
                 { "0.1", 0.1 },
                 { "4.9e-324", 4.9e-324 },
                 { "1e-400", 0 },
                 { "1.7976931348623157e308", 1.7976931348623157e308 },
                 { "9007199254740993", 9007199254740992 },
                 { "00000000000000000000000001", 1 },
                 { "0.00000000000000000000000000001", 1e-29 },
                 { "123456789012345678901234567890", 123456789012345678901234567890.0 },
                 { "2.2250738585072011e-308", 2.2250738585072011e-308 },
                 { "0e999999999999", 0 } };
    double v = 0;
    for (size_t k = 0; k < sizeof good / sizeof *good; k++) {
        if (!lode_i_parse_f64(good[k].text, &v))
            fail_msg("%s is not read", good[k].text);
        assert_near(v, good[k].value, 0);
    }
    assert_true(lode_i_parse_f64("-0", &v) && signbit(v));
    assert_true(lode_i_parse_f64("-0e-30", &v) && signbit(v));
    assert_true(lode_i_parse_f64("nan", &v) && isnan(v));
    assert_true(lode_i_parse_f64("-NaN", &v) && isnan(v));
    assert_true(lode_i_parse_f64("-Inf", &v) && v < 0 && isinf(v));
    assert_true(lode_i_parse_f64("INFINITY", &v) && v > 0 && isinf(v));
    const char *bad[] = { "",      ".",      "-",     "1,5",   "1.5 ",  " 1",     "1e",
                          "1e+",   "e5",     "1.2.3", "0x1p3", "1e999", "-1e999", "in",
                          "infin", "nan(1)", "1d3",   "1_000", ".e1",   "--1",    ".inf" };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        v = 42;
        if (lode_i_parse_f64(bad[k], &v))
            fail_msg("\"%s\" is read as %g", bad[k], v);
        assert_near(v, 42, 0);
    }
}

/* Every bit pattern must come back; and against the C library's own reading, digit strings of all
 * lengths. */
static void reals_round_trip_in_the_fewest_digits(void **state)
{
    (void)state;
    const lode_stream s = { { 1, 2 }, { 3, 4 } };
    char text[32], other[64];
    double v = 0;
    for (uint64_t i = 0; i < 40000; i++) {
        const uint64_t bits = lode_i_random_u64(s, i);
        double x;
        memcpy(&x, &bits, sizeof x);
        if (!isfinite(x))
            continue;
        lode_i_print_f64(x, text);
        assert_true(strlen(text) < 32 && lode_i_parse_f64(text, &v) &&
                    memcmp(&v, &x, sizeof x) == 0);
        const double y = floor(ldexp(x, -ilogb(x) + 30)) / pow(10, (double)(i % 12));
        const int digits = 1 + (int)(i % 25);
        snprintf(other, sizeof other, i % 2 ? "%.*e" : "%.*f", digits, y);
        assert_true(lode_i_parse_f64(other, &v));
        assert_near(v, strtod(other, NULL), 0);
    }
    const struct {
        double value;
        const char *text;
    } known[] = { { 0.1, "0.1" },      { 1e-8, "1e-08" },
                  { 0.001, "0.001" },  { 1.0 / 3, "0.3333333333333333" },
                  { 1e22, "1e+22" },   { 5e-324, "4.94065645841247e-324" },
                  { 100, "100" },      { -2.5, "-2.5" },
                  { -0.0, "-0" },      { NAN, "nan" },
                  { INFINITY, "inf" }, { -INFINITY, "-inf" } };
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        lode_i_print_f64(known[k].value, text);
        assert_string_equal(text, known[k].text);
    }
}

static void a_decimal_comma_changes_nothing(void **state)
{
    (void)state;
    const char *names[] = { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "ru_RU.UTF-8", "de_DE" };
    const char *found = NULL;
    for (size_t k = 0; k < 5 && !found; k++)
        found = setlocale(LC_ALL, names[k]);
    if (!found)
        skip(); /* no such locale is installed */
    char comma[8], text[32];
    double v = 0;
    snprintf(comma, sizeof comma, "%.1f", 0.5);
    lode_i_print_f64(0.1, text);
    const bool read = lode_i_parse_f64("0.12345678901234567890123", &v);
    const bool refused = !lode_i_parse_f64("0,5", &v);
    setlocale(LC_ALL, "C");
    if (strcmp(comma, "0.5") == 0)
        skip(); /* musl takes every name, and has a point in each */
    assert_string_equal(comma, "0,5");
    assert_string_equal(text, "0.1");
    assert_true(read && refused);
    assert_near(v, 0.12345678901234567890123, 0);
}

static void amounts_of_memory(void **state)
{
    (void)state;
    const struct {
        const char *text;
        double value;
    } good[] = { { "4096", 4096 },
                 { "10K", 10240 },
                 { "1.5G", 1610612736.0 },
                 { "2m", 2097152 },
                 { "1KiB", 1024 },
                 { "1kb", 1024 },
                 { "7B", 7 },
                 { "1e3", 1000 },
                 { "0", 0 },
                 { "1T", 1099511627776.0 },
                 { "1P", 1125899906842624.0 },
                 { ".5KiB", 512 },
                 { "1EiB", 1152921504606846976.0 } };
    double v = 0;
    for (size_t k = 0; k < sizeof good / sizeof *good; k++) {
        if (!lode_i_parse_bytes(good[k].text, &v))
            fail_msg("%s is not read", good[k].text);
        assert_near(v, good[k].value, 0);
    }
    const char *bad[] = { "",       "K",    "KiB",  "B",   "iB",  "-1",  "-1K",
                          "1X",     "1 K",  "10KK", "nan", "inf", "4iB", "1KiBs",
                          "1e308G", "infK", "K1",   "1Ki", "1iiB" };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
        if (lode_i_parse_bytes(bad[k], &v))
            fail_msg("\"%s\" is read as %g", bad[k], v);
}

static void distances_between_words(void **state)
{
    (void)state;
    const struct {
        const char *a, *b;
        int distance;
    } known[] = { { "", "", 0 },
                  { "svd", "", 3 },
                  { "svd", "SVD", 0 },
                  { "tucker", "tuckre", 1 },
                  { "kitten", "sitting", 3 },
                  { "rank", "rnak", 1 },
                  { "error", "eror", 1 },
                  { "abc", "cab", 2 },
                  { "ca", "abc", 3 },
                  { "max-rank", "max_rank", 1 } };
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        assert_int_equal(lode_i_distance(known[k].a, known[k].b), known[k].distance);
        assert_int_equal(lode_i_distance(known[k].b, known[k].a), known[k].distance);
    }
    char wide[300];
    memset(wide, 'a', 299);
    wide[299] = '\0';
    assert_int_equal(lode_i_distance(wide, "a"), 299);
    wide[128] = '\0';
    assert_int_equal(lode_i_distance(wide, "a"), 127);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_grows_and_survives_failures),
        cmocka_unit_test(integers),
        cmocka_unit_test(reals_are_read_whole_or_not_at_all),
        cmocka_unit_test(reals_round_trip_in_the_fewest_digits),
        cmocka_unit_test(a_decimal_comma_changes_nothing),
        cmocka_unit_test(amounts_of_memory),
        cmocka_unit_test(distances_between_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
