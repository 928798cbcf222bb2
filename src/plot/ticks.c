/* Ticks at round numbers (after P. Heckbert, "Nice numbers for graph labels", Graphics Gems 1990):
 * steps of 1, 2 or 5 times a power of ten, or whole decades on a logarithmic axis. Labels are
 * written from integers, so they do not depend on the locale and show no digits that the step does
 * not justify. */
#include "plot/figure.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static double power10(int e)
{
    return e < 0 ? 1 / pow(10, -e) : pow(10, e);
}

/* The round step that gives at most `target` intervals; its power of ten in *exponent. */
static double round_step(double span, int target, int *exponent, int *mantissa)
{
    const double raw = span / target;
    int e = (int)floor(log10(raw));
    double f = raw / power10(e);
    if (f >= 10) /* log10 may round up at a power of ten */
        f /= 10, e++;
    const int m = f <= 1.0000001 ? 1 : f <= 2.0000001 ? 2 : f <= 5.0000001 ? 5 : 10;
    *mantissa = m == 10 ? 1 : m;
    *exponent = m == 10 ? e + 1 : e;
    return *mantissa * power10(*exponent);
}

#define MINUS "\xE2\x88\x92"

/* value * 10^-decimals as text; decimals at most 17. */
static void print_fixed(int64_t value, int decimals, char text[24])
{
    char digits[24];
    int n = 0, used = 0;
    for (uint64_t v = value < 0 ? 0 - (uint64_t)value : (uint64_t)value; v > 0 || n <= decimals;
         v /= 10)
        digits[n++] = (char)('0' + v % 10);
    if (value < 0)
        used = snprintf(text, 24, "%s", MINUS);
    while (n > 0 && used < 22) {
        if (n == decimals)
            text[used++] = '.';
        text[used++] = digits[--n];
    }
    text[used] = 0;
}

static void print_exponent(int e, char sup[16])
{
    snprintf(sup, 16, "%s%d", e < 0 ? MINUS : "", e < 0 ? -e : e);
}

static void add_tick(lode_axis *a, double at, const char *text, const char *sup)
{
    if (a->count == LODE_TICKS)
        return;
    lode_tick *t = &a->tick[a->count++];
    t->at = at;
    snprintf(t->text, sizeof t->text, "%s", text);
    snprintf(t->sup, sizeof t->sup, "%s", sup);
}

static void linear(lode_axis *a, int target)
{
    int e, m;
    double step = round_step(a->hi - a->lo, target, &e, &m);
    if (a->integer && e < 0)
        e = 0, m = 1, step = 1;
    const double largest = fmax(fabs(a->lo), fabs(a->hi));
    const int top = (int)floor(log10(largest) + 1e-9);
    /* Very large or small numbers share a power of ten, written once. */
    a->exponent = top >= 6 || top < -3 ? top : 0;
    if (a->integer && top < 7)
        a->exponent = 0;
    int decimals = a->exponent - e;
    if (decimals < 0)
        decimals = 0;
    const double slack = 1e-9 * (a->hi - a->lo);
    const double first = ceil((a->lo - slack) / step);
    for (int i = 0; i < LODE_TICKS; i++) {
        const double k = first + i, at = k * step;
        if (at > a->hi + slack)
            break;
        /* k * m * 10^(e - exponent + decimals) is a whole number */
        const double whole = k * m * power10(e - a->exponent + decimals);
        char text[24];
        if (fabs(whole) < 9e15)
            print_fixed((int64_t)llround(whole), decimals > 17 ? 17 : decimals, text);
        else
            snprintf(text, sizeof text, "?");
        add_tick(a, fabs(at) < 1e-12 * step ? 0 : at, text, "");
    }
}

static void print_decade(int e, bool powers, char text[24], char sup[16])
{
    if (!powers) {
        print_fixed(e >= 0 ? (int64_t)llround(power10(e)) : 1, e >= 0 ? 0 : -e, text);
        sup[0] = 0;
        return;
    }
    snprintf(text, 24, "10");
    print_exponent(e, sup);
}

/* Decades; where fewer than three are in range also 2 and 5, and within one the round numbers of a
 * plain axis. */
static void logarithmic(lode_axis *a, int target)
{
    const double span = a->hi - a->lo, slack = 1e-9;
    const int first = (int)ceil(a->lo - slack), last = (int)floor(a->hi + slack);
    const bool powers = floor(a->lo) < -4 || ceil(a->hi) > 5; /* one way of writing an axis */
    char text[24], sup[16];
    if (last - first >= 2) {
        int every = 1;
        while ((last - first) / every + 1 > target + 1)
            every++;
        /* count from 10^0, so that 1 carries a label where it is in range */
        for (int e = first; e <= last; e++) {
            if (e % every == 0) {
                print_decade(e, powers, text, sup);
                add_tick(a, e, text, sup);
            } else if (a->minors < LODE_MINORS) {
                a->minor[a->minors++] = e;
            }
        }
        if (every == 1 && span < 8)
            for (int e = first - 1; e <= last; e++)
                for (int k = 2; k < 10 && a->minors < LODE_MINORS; k++) {
                    const double at = e + log10(k);
                    if (at >= a->lo && at <= a->hi)
                        a->minor[a->minors++] = at;
                }
        if (a->count > 0)
            return;
        a->minors = 0;
    }
    if (span > 0.7) {
        for (int e = (int)floor(a->lo); e <= last; e++)
            for (int k = 1; k < 10; k++) {
                const double at = e + log10(k);
                if (at < a->lo - slack || at > a->hi + slack)
                    continue;
                if (k == 1 || k == 2 || k == 5) {
                    if (k == 1 || !powers) {
                        print_decade(e, powers, text, sup);
                        if (k > 1)
                            print_fixed(e >= 0 ? (int64_t)llround(k * power10(e)) : k,
                                        e >= 0 ? 0 : -e, text);
                    } else {
                        snprintf(text, sizeof text,
                                 "%d\xC2\xB7"
                                 "10",
                                 k);
                        print_exponent(e, sup);
                    }
                    add_tick(a, at, text, sup);
                } else if (a->minors < LODE_MINORS) {
                    a->minor[a->minors++] = at;
                }
            }
        return;
    }
    lode_axis plain = { .lo = pow(10, a->lo), .hi = pow(10, a->hi) };
    linear(&plain, target);
    a->exponent = plain.exponent;
    for (int i = 0; i < plain.count; i++)
        if (plain.tick[i].at > 0)
            add_tick(a, log10(plain.tick[i].at), plain.tick[i].text, "");
}

void lode_i_axis_ticks(lode_axis *a, int target)
{
    a->count = a->minors = a->exponent = 0;
    if (a->none)
        return;
    /* A range below what doubles resolve well is widened: a constant has a place, not a slope. */
    const double largest = fmax(fabs(a->lo), fabs(a->hi));
    if (!(a->hi - a->lo > 1e-12 * largest) || !(a->hi - a->lo > 1e-300)) {
        const double mid = a->lo + 0.5 * (a->hi - a->lo);
        const double half = a->log                                         ? 0.5
                            : mid == 0 || a->integer || fabs(mid) < 1e-299 ? 1
                                                                           : 0.1 * fabs(mid);
        a->lo = mid - half, a->hi = mid + half;
    }
    if (target < 1)
        target = 1;
    if (target > LODE_TICKS - 4)
        target = LODE_TICKS - 4;
    for (int more = 0; a->count < 2 && more < 3; more++) { /* one tick alone shows no scale */
        a->count = a->minors = 0;
        if (a->log)
            logarithmic(a, target + more);
        else
            linear(a, target + 2 * more);
        if (a->integer)
            break;
    }
}

double lode_i_tick_width(const lode_tick *t, double size)
{
    return lode_i_text_width(t->text, size, false) +
           (t->sup[0] ? lode_i_text_width(t->sup, 0.72 * size, false) : 0);
}
