/* Growing text, numbers in and out the same under any locale, and the distance between words. */
#include "base/base.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- growing text ---- */

static lode_status reserve(lode_ctx *ctx, lode_text *t, size_t more)
{
    if (more > (size_t)INT64_MAX / 4 - t->size)
        return lode_i_fail(ctx, LODE_ENOMEM, "a text of more than %zu bytes is too long", t->size);
    const size_t need = t->size + more + 1;
    if (need <= t->capacity)
        return LODE_OK;
    const size_t room = need < 128 ? 256 : 2 * need;
    void *p = t->text;
    LODE_FORWARD(lode_i_realloc(ctx, room, &p));
    t->text = p;
    t->capacity = room;
    return LODE_OK;
}

lode_status lode_i_text_bytes(lode_ctx *ctx, lode_text *t, const char *bytes, size_t count)
{
    LODE_FORWARD(reserve(ctx, t, count));
    if (count > 0)
        memcpy(t->text + t->size, bytes, count);
    t->size += count;
    t->text[t->size] = '\0';
    return LODE_OK;
}

lode_status lode_i_text_add(lode_ctx *ctx, lode_text *t, const char *format, ...)
{
    char shorter[256];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(shorter, sizeof shorter, format, arguments);
    va_end(arguments);
    if (length < 0)
        return lode_i_fail(ctx, LODE_EINTERNAL, "a text could not be formatted");
    if ((size_t)length < sizeof shorter)
        return lode_i_text_bytes(ctx, t, shorter, (size_t)length);
    LODE_FORWARD(reserve(ctx, t, (size_t)length));
    va_start(arguments, format);
    vsnprintf(t->text + t->size, (size_t)length + 1, format, arguments);
    va_end(arguments);
    t->size += (size_t)length;
    return LODE_OK;
}

void lode_i_text_free(lode_text *t)
{
    lode_i_free(t->text);
    *t = (lode_text){ 0 };
}

/* ---- numbers: characters are compared by value, so that no locale and no sign of char matters
 * ---- */

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same_word(const char *a, const char *b)
{
    while (*a && lower(*a) == lower(*b))
        a++, b++;
    return lower(*a) == lower(*b);
}

bool lode_i_parse_u64(const char *text, uint64_t *value)
{
    const char *p = text + (*text == '+');
    uint64_t v = 0;
    if (!digit(*p))
        return false;
    for (; digit(*p); p++) {
        const uint64_t d = (uint64_t)(*p - '0');
        if (v > (UINT64_MAX - d) / 10)
            return false;
        v = v * 10 + d;
    }
    if (*p)
        return false;
    *value = v;
    return true;
}

bool lode_i_parse_i64(const char *text, int64_t *value)
{
    const bool minus = *text == '-';
    uint64_t v = 0;
    if ((minus && text[1] == '+') || !lode_i_parse_u64(text + minus, &v))
        return false;
    if (v > (uint64_t)INT64_MAX + minus)
        return false;
    *value = !minus ? (int64_t)v : v == 0 ? 0 : -(int64_t)(v - 1) - 1;
    return true;
}

/* What the C library puts between 0 and 5 in this thread's locale. */
static size_t decimal_point(char point[8])
{
    char half[16];
    const int n = snprintf(half, sizeof half, "%.1f", 0.5);
    if (n < 3 || n > 9)
        return 0;
    const size_t size = (size_t)n - 2;
    memcpy(point, half + 1, size);
    return size;
}

/* A decimal number by the C library, which rounds correctly but reads the locale's point. */
static bool convert(const char *text, const char *dot, double *value)
{
    char point[8], copy[1100];
    const size_t size = strlen(text);
    const size_t n = dot ? decimal_point(point) : 0;
    if (dot && n == 0)
        return false;
    char *place = size + n < sizeof copy ? copy : malloc(size + n + 1);
    if (!place)
        return false;
    const size_t before = dot ? (size_t)(dot - text) : size;
    memcpy(place, text, before);
    if (dot) {
        memcpy(place + before, point, n);
        memcpy(place + before + n, dot + 1, size - before);
    } else {
        place[size] = '\0';
    }
    char *end = NULL;
    const double v = strtod(place, &end);
    const bool whole = *end == '\0';
    if (place != copy)
        free(place);
    if (!whole || isinf(v))
        return false;
    *value = v;
    return true;
}

static bool parse_word(const char *p, bool minus, double *value)
{
    if (same_word(p, "nan"))
        *value = NAN;
    else if (same_word(p, "inf") || same_word(p, "infinity"))
        *value = minus ? -INFINITY : INFINITY;
    else
        return false;
    return true;
}

bool lode_i_parse_f64(const char *text, double *value)
{
    static const double power[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
    const bool minus = *text == '-';
    const char *p = text + (*text == '-' || *text == '+'), *dot = NULL;
    uint64_t mantissa = 0;
    int digits = 0, exponent = 0;
    bool exact = true, any = false;
    for (; digit(*p) || (*p == '.' && !dot); p++) {
        if (*p == '.') {
            dot = p;
            continue;
        }
        any = true;
        if (digits < 18) {
            mantissa = mantissa * 10 + (uint64_t)(*p - '0');
            digits += mantissa > 0;
            exponent -= dot != NULL;
        } else {
            exact = false;
        }
    }
    if (!any)
        return !dot && parse_word(p, minus, value);
    if (*p == 'e' || *p == 'E') {
        p++;
        const bool down = *p == '-';
        p += *p == '-' || *p == '+';
        if (!digit(*p))
            return false;
        int e = 0;
        for (; digit(*p); p++)
            e = e < 100000 ? e * 10 + (*p - '0') : e;
        exponent += down ? -e : e;
    }
    if (*p)
        return false;
    /* Both factors are exact doubles, so one rounding gives the nearest double (Clinger 1990). */
    if (exact && mantissa <= UINT64_C(1) << 53 && exponent >= -22 && exponent <= 22) {
        const double m = (double)mantissa;
        const double v = exponent < 0 ? m / power[-exponent] : m * power[exponent];
        *value = minus ? -v : v;
        return true;
    }
    return convert(text, dot, value);
}

bool lode_i_parse_bytes(const char *text, double *value)
{
    static const char units[] = "KMGTPE";
    char number[64];
    size_t n = strlen(text);
    if (n == 0 || n >= sizeof number)
        return false;
    memcpy(number, text, n + 1);
    const bool b = lower(number[n - 1]) == 'b';
    n -= b;
    if (b && n > 0 && lower(number[n - 1]) == 'i' && --n > 0 && digit(number[n - 1]))
        return false; /* "4iB" */
    double scale = 1;
    if (n > 0 && !digit(number[n - 1]) && number[n - 1] != '.') {
        const char *unit = number[n - 1] ? strchr(units, lower(number[n - 1]) - 'a' + 'A') : NULL;
        if (!unit || !*unit)
            return false;
        for (const char *u = units; u <= unit; u++)
            scale *= 1024;
        n--;
    }
    number[n] = '\0';
    double v = 0;
    if (!lode_i_parse_f64(number, &v) || !isfinite(v) || v < 0 || !isfinite(v * scale))
        return false;
    *value = v * scale;
    return true;
}

void lode_i_print_f64(double value, char text[32])
{
    if (!isfinite(value)) {
        memcpy(text,
               isnan(value) ? "nan"
               : value > 0  ? "inf"
                            : "-inf",
               5 - (size_t)(isnan(value) || value > 0));
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, 32, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    /* What is no part of a number in the C locale is the point of another. */
    char *point = text + strspn(text, "+-0123456789.e");
    if (*point) {
        *point = '.';
        char *rest = point + 1 + strcspn(point + 1, "0123456789");
        memmove(point + 1, rest, strlen(rest) + 1);
    }
}

/* Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours cost 1
 * each. */
int lode_i_distance(const char *a, const char *b)
{
    enum { LONGEST = 128 };
    const size_t la = strlen(a), lb = strlen(b);
    if (la > LONGEST || lb > LONGEST)
        return (int)(la > lb ? (la < 1000000 ? la : 1000000) : (lb < 1000000 ? lb : 1000000));
    int rows[3][LONGEST + 1];
    int *two = rows[0], *one = rows[1], *now = rows[2];
    for (size_t j = 0; j <= lb; j++)
        now[j] = (int)j;
    for (size_t i = 1; i <= la; i++) {
        int *const spare = two;
        two = one, one = now, now = spare;
        now[0] = (int)i;
        for (size_t j = 1; j <= lb; j++) {
            const char x = lower(a[i - 1]), y = lower(b[j - 1]);
            int best = one[j - 1] + (x != y);
            best = one[j] + 1 < best ? one[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && x == lower(b[j - 2]) && lower(a[i - 2]) == y &&
                two[j - 2] + 1 < best)
                best = two[j - 2] + 1;
            now[j] = best;
        }
    }
    return now[lb];
}

bool lode_i_fits(const char *pattern, const char *name)
{
    const char *star = NULL, *from = NULL;
    while (*name) {
        if (*pattern == '*') {
            star = pattern++, from = name;
        } else if (*pattern == *name) {
            pattern++, name++;
        } else if (star) {
            pattern = star + 1, name = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}
