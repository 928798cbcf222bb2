/* Inner products over the entries that are there: what means, norms and inner products of arrays
 * with missing values take. */
#include <float.h>
#include <math.h>

#include "array/reduce.h"

enum { MOST = 1024 }; /* values of a piece */

static bool is_finite(const double *x, int parts)
{
    return fabs(x[0]) <= DBL_MAX && fabs(x[parts - 1]) <= DBL_MAX;
}

/* Copies the entries that are finite in both; the others become 0 in both, so that lanes do not
 * shift. */
static void keep_finite(const double *x, const double *y, int parts, int64_t n, double *a,
                        double *b, lode_stats *now)
{
    for (int64_t i = 0; i < n; i++) {
        const double *p = x + i * parts, *q = y ? y + i * parts : NULL;
        const bool used = is_finite(p, parts) && (!q || is_finite(q, parts));
        bool nan = false;
        for (int k = 0; k < parts; k++) {
            nan = nan || p[k] != p[k] || (q && q[k] != q[k]);
            a[i * parts + k] = used ? p[k] : 0;
            if (q)
                b[i * parts + k] = used ? q[k] : 0;
        }
        now->count += used;
        now->missing += nan;
        now->infinite += !used && !nan;
    }
}

LODE_CLONES static bool all_finite(const double *restrict x, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        count += fabs(x[i]) <= DBL_MAX ? 1 : 0;
    return count == n;
}

typedef struct pair {
    double a[2 * MOST], b[2 * MOST];
    const double *x, *y;
} pair;

static void sift(const lode_reduction *r, lode_i_part *p, int64_t n, const double *x,
                 const double *y, pair *s)
{
    const int parts = r->complex ? 2 : 1;
    lode_stats now = { .first_nan = -1, .first_infinite = -1 };
    s->x = x, s->y = y;
    if (all_finite(x, n * parts) && (!y || all_finite(y, n * parts))) {
        now.count = n;
    } else {
        keep_finite(x, y, parts, n, s->a, s->b, &now);
        s->x = s->a, s->y = y ? s->b : NULL;
    }
    p->stats.count += now.count;
    p->stats.missing += now.missing;
    p->stats.infinite += now.infinite;
}

/* x conj(y), or x: real and imaginary parts. */
static void products(const lode_reduction *r, lode_i_part *p, int64_t at, int64_t n,
                     const double *x, const double *y)
{
    pair s;
    double re[MOST], im[MOST];
    sift(r, p, n, x, y, &s);
    if (!r->complex) {
        for (int64_t i = 0; i < n; i++)
            re[i] = s.y ? s.x[i] * s.y[i] : s.x[i];
        lode_i_lanes_sum(p->a, at % LODE_SUM_BLOCK, n, re);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        const double a = s.x[2 * i], b = s.x[2 * i + 1];
        const double c = s.y ? s.y[2 * i] : 1, d = s.y ? -s.y[2 * i + 1] : 0;
        re[i] = a * c - b * d;
        im[i] = a * d + b * c;
    }
    lode_i_lanes_sum(p->a, at % LODE_SUM_BLOCK, n, re);
    lode_i_lanes_sum(p->b, at % LODE_SUM_BLOCK, n, im);
}

/* |x|^2 and |y|^2 */
static void squares(const lode_reduction *r, lode_i_part *p, int64_t at, int64_t n, const double *x,
                    const double *y)
{
    pair s;
    const int parts = r->complex ? 2 : 1;
    sift(r, p, n, x, y, &s);
    lode_i_lanes_sumsq(p->a, at % LODE_SUM_BLOCK * parts, n * parts, s.x);
    if (s.y)
        lode_i_lanes_sumsq(p->b, at % LODE_SUM_BLOCK * parts, n * parts, s.y);
}

lode_status lode_i_inner(lode_ctx *ctx, const lode_array *x, const lode_array *y, lode_inner *sums)
{
    const lode_array *both[] = { x, y };
    const int operands = y ? 2 : 1;
    lode_sum re = { .fill = 0 }, im = { .fill = 0 }, xx = { .fill = 0 }, yy = { .fill = 0 };
    lode_stats seen = { .count = 0 }, again = { .count = 0 };
    const bool complex = lode_i_is_complex(x->dtype) || (y && lode_i_is_complex(y->dtype));
    lode_reduction first = {
        .piece = products, .complex = complex, .a = &re, .b = &im, .stats = &seen
    };
    lode_reduction second = {
        .piece = squares, .complex = complex, .a = &xx, .b = &yy, .stats = &again
    };
    if (y)
        LODE_FORWARD(lode_i_same_shape(ctx, x, y, "an inner product"));
    LODE_FORWARD(lode_i_reduce(ctx, &first, operands, both));
    LODE_FORWARD(lode_i_reduce(ctx, &second, operands, both));
    *sums = (lode_inner){ .re = lode_i_sum_total(&re),
                          .im = lode_i_sum_total(&im),
                          .sumsq = lode_i_sum_total(&xx),
                          .other = lode_i_sum_total(&yy),
                          .count = seen.count,
                          .missing = seen.missing,
                          .infinite = seen.infinite };
    return LODE_OK;
}
