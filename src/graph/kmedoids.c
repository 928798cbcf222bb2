/* k-medoids by FasterPAM. A candidate x in place of medoid j changes the cost by
 *
 *     sum over points o:  min(d(o, x), distance of o to the nearest medoid but j) - d(o, its medoid),
 *
 * which for all j at once is a sum over points that come nearer to x (whatever j is), plus, for j alone, what
 * the points of j's part lose. So one run along row x of D prices all k exchanges; the best of them is
 * made at once where it lowers the cost, and the search ends when a whole pass has found none. */
#include "graph/kmedoids.h"

#include <math.h>

enum { TOGETHER = 16 }; /* starts that have memory at once */

typedef struct start {
    const double *D;
    int64_t n, k;
    int64_t *medoid, *near, *second; /* near, second: which medoid of a point */
    double *d_near, *d_second;       /* how far; infinite where there is one medoid */
    double *loss, *change;           /* of a medoid: what leaving it out costs; scratch */
    unsigned char *taken;            /* whether a point is a medoid */
    double cost;
    bool settled;
} start;

/* What sums of distances may differ by in rounding: the first of such ties is taken, so that points which are
 * the same but for rounding have the same medoids, and no exchange goes on for ever. */
static double tie(double cost)
{
    return 1e-10 * fabs(cost);
}

static double at(const start *s, int64_t i, int64_t j)
{
    return s->D[i * s->n + j];
}

/* The two nearest medoids of point o. A medoid is nearest to itself, whatever else lies at distance 0. */
static void look(start *s, int64_t o)
{
    s->d_near[o] = s->d_second[o] = INFINITY;
    s->near[o] = s->second[o] = -1;
    for (int64_t j = 0; j < s->k; j++) {
        const double d = at(s, s->medoid[j], o);
        if (d < s->d_near[o] || s->medoid[j] == o) {
            s->d_second[o] = s->d_near[o], s->second[o] = s->near[o];
            s->d_near[o] = d, s->near[o] = j;
        } else if (d < s->d_second[o]) {
            s->d_second[o] = d, s->second[o] = j;
        }
    }
}

static void settle(start *s)
{
    s->cost = 0;
    for (int64_t j = 0; j < s->k; j++)
        s->loss[j] = 0;
    for (int64_t o = 0; o < s->n; o++) {
        s->cost += s->d_near[o];
        s->loss[s->near[o]] += s->d_second[o] - s->d_near[o];
    }
}

/* Change of the cost if x came in for the medoid for which that is best. */
static double price(const start *s, int64_t x, int64_t *best)
{
    const double *const row = s->D + x * s->n;
    double *const change = s->change;
    double common = 0;
    for (int64_t j = 0; j < s->k; j++)
        change[j] = s->loss[j];
    for (int64_t o = 0; o < s->n; o++) {
        const double d = row[o];
        if (d < s->d_near[o]) {
            common += d - s->d_near[o];
            change[s->near[o]] += s->d_near[o] - s->d_second[o];
        } else if (d < s->d_second[o]) {
            change[s->near[o]] += d - s->d_second[o];
        }
    }
    *best = 0;
    for (int64_t j = 1; j < s->k; j++)
        if (change[j] < change[*best] - tie(s->cost))
            *best = j;
    return change[*best] + common;
}

static void exchange(start *s, int64_t j, int64_t x)
{
    s->taken[s->medoid[j]] = 0, s->taken[x] = 1;
    s->medoid[j] = x;
    const double *const row = s->D + x * s->n;
    for (int64_t o = 0; o < s->n; o++) {
        const double d = row[o];
        if (s->near[o] == j || s->second[o] == j || o == x) {
            look(s, o);
        } else if (d < s->d_near[o]) {
            s->d_second[o] = s->d_near[o], s->second[o] = s->near[o];
            s->d_near[o] = d, s->near[o] = j;
        } else if (d < s->d_second[o]) {
            s->d_second[o] = d, s->second[o] = j;
        }
    }
    settle(s);
}

/* One medoid: the point of the least sum. */
static lode_status single(lode_ctx *ctx, start *s)
{
    double least = INFINITY;
    for (int64_t x = 0; x < s->n; x++) {
        double sum = 0;
        for (int64_t o = 0; o < s->n; o++)
            sum += at(s, x, o);
        if (least == INFINITY || sum < least - tie(least))
            least = sum, s->medoid[0] = x;
        if (x % 256 == 0)
            LODE_FORWARD(lode_i_cancelled(ctx));
    }
    for (int64_t o = 0; o < s->n; o++)
        look(s, o);
    s->cost = least, s->settled = true;
    return LODE_OK;
}

static lode_status improve(lode_ctx *ctx, start *s, int64_t passes)
{
    for (int64_t o = 0; o < s->n; o++)
        look(s, o);
    settle(s);
    int64_t since = 0; /* candidates looked at since the last exchange */
    for (int64_t pass = 0; pass < passes && !s->settled; pass++)
        for (int64_t x = 0; x < s->n && !s->settled; x++) {
            int64_t j = 0;
            if (!s->taken[x]) {
                if (price(s, x, &j) < -tie(s->cost)) {
                    exchange(s, j, x);
                    since = 0;
                }
            }
            s->settled = ++since >= s->n;
            if (x % 64 == 0)
                LODE_FORWARD(lode_i_cancelled(ctx));
        }
    return LODE_OK;
}

/* BUILD: each medoid the one that lowers the cost most. */
static lode_status build(lode_ctx *ctx, start *s)
{
    for (int64_t o = 0; o < s->n; o++)
        s->d_near[o] = INFINITY;
    for (int64_t j = 0; j < s->k; j++) {
        double least = INFINITY;
        for (int64_t x = 0; x < s->n; x++) {
            double sum = 0;
            if (s->taken[x])
                continue;
            for (int64_t o = 0; o < s->n; o++)
                sum += fmin(at(s, x, o), s->d_near[o]);
            if (least == INFINITY || sum < least - tie(least))
                least = sum, s->medoid[j] = x;
            if (x % 256 == 0)
                LODE_FORWARD(lode_i_cancelled(ctx));
        }
        s->taken[s->medoid[j]] = 1;
        for (int64_t o = 0; o < s->n; o++)
            s->d_near[o] = fmin(s->d_near[o], at(s, s->medoid[j], o));
    }
    return LODE_OK;
}

/* k distinct points, every set of them as likely (Floyd). */
static void draw(start *s, lode_stream stream, int64_t trial)
{
    for (int64_t j = 0; j < s->k; j++) {
        const int64_t top = s->n - s->k + j;
        int64_t x = (int64_t)lode_i_random_below(stream, (uint64_t)(trial * s->k + j),
                                                 (uint64_t)top + 1);
        x = s->taken[x] ? top : x;
        s->medoid[j] = x, s->taken[x] = 1;
    }
}

static lode_status start_new(lode_ctx *ctx, const lode_array *D, int64_t k, start *s)
{
    lode_status st = LODE_OK;
    const int64_t n = D->shape[0];
    *s = (start){ .D = D->data, .n = n, .k = k };
    void *taken = NULL;
    LODE_TRY(LODE_NEW(ctx, k, &s->medoid));
    LODE_TRY(LODE_NEW(ctx, n, &s->near));
    LODE_TRY(LODE_NEW(ctx, n, &s->second));
    LODE_TRY(LODE_NEW(ctx, n, &s->d_near));
    LODE_TRY(LODE_NEW(ctx, n, &s->d_second));
    LODE_TRY(LODE_NEW(ctx, k, &s->loss));
    LODE_TRY(LODE_NEW(ctx, k, &s->change));
    LODE_TRY(lode_i_calloc(ctx, (size_t)n, &taken));
    s->taken = taken;
done:
    return st;
}

static void start_free(start *s)
{
    lode_i_free(s->medoid), lode_i_free(s->near), lode_i_free(s->second);
    lode_i_free(s->d_near), lode_i_free(s->d_second);
    lode_i_free(s->loss), lode_i_free(s->change), lode_i_free(s->taken);
    *s = (start){ 0 };
}

typedef struct search {
    const lode_array *D;
    const lode_i_kmedoids_opts *o;
    int64_t k, first; /* of the starts that are under way */
    start one[TOGETHER];
} search;

static lode_status try_start(lode_ctx *ctx, int64_t i, void *data)
{
    search *w = data;
    start *s = &w->one[i];
    const int64_t trial = w->first + i;
    LODE_FORWARD(start_new(ctx, w->D, w->k, s));
    if (w->k == 1)
        return single(ctx, s);
    if (trial == 0)
        LODE_FORWARD(build(ctx, s));
    else
        draw(s, w->o->stream, trial);
    return improve(ctx, s, w->o->max_iter);
}

/* In ascending order of the medoids; a point goes to the first of those nearest. */
static lode_status give(lode_ctx *ctx, start *s, lode_i_kmedoids *m)
{
    lode_status st = LODE_OK;
    for (int64_t i = 1; i < s->k; i++)
        for (int64_t j = i; j > 0 && s->medoid[j - 1] > s->medoid[j]; j--) {
            const int64_t t = s->medoid[j];
            s->medoid[j] = s->medoid[j - 1], s->medoid[j - 1] = t;
        }
    LODE_TRY(lode_array_zeros(ctx, LODE_I64, 1, &s->k, &m->medoids));
    LODE_TRY(lode_array_zeros(ctx, LODE_I64, 1, &s->n, &m->labels));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &s->n, &m->distance));
    for (int64_t j = 0; j < s->k; j++)
        lode_i_set1(&m->medoids, j, (double)s->medoid[j]);
    for (int64_t o = 0; o < s->n; o++) {
        double least = INFINITY;
        int64_t label = 0;
        for (int64_t j = 0; j < s->k; j++) {
            const double d = at(s, s->medoid[j], o);
            if (lode_i_nearer(d, least) || s->medoid[j] == o)
                least = d, label = j;
        }
        lode_i_set1(&m->labels, o, (double)label);
        lode_i_set1(&m->distance, o, least);
        m->cost += least;
    }
done:
    return st;
}

void lode_i_kmedoids_free(lode_i_kmedoids *m)
{
    LODE_FREE(&m->medoids, &m->labels, &m->distance, &m->costs);
    *m = (lode_i_kmedoids){ 0 };
}

uint64_t lode_i_kmedoids_room(int64_t n, const lode_i_kmedoids_opts *o)
{
    const uint64_t each = 33 * (uint64_t)n + 24 * (uint64_t)o->k + 8 * 64;
    const uint64_t at_once = (uint64_t)lode_i_min(o->restarts, TOGETHER) + 1;
    return at_once * each + 16 * (uint64_t)n + 8 * (uint64_t)(o->k + o->restarts) + sizeof(search) +
           4096;
}

/* Starts from w->first on; the best so far is kept. */
static lode_status try_some(lode_ctx *ctx, search *w, int64_t count, start *best, lode_array *costs)
{
    lode_status st = LODE_OK;
    LODE_TRY(lode_i_parallel(ctx, count, try_start, w));
    for (int64_t i = 0; i < count; i++) {
        start *s = &w->one[i];
        lode_i_set1(costs, w->first + i, s->cost);
        if (best->medoid && !(s->cost < best->cost - tie(best->cost)))
            continue;
        const start t = *best;
        *best = *s, *s = t;
    }
done:
    for (int64_t i = 0; i < count; i++)
        start_free(&w->one[i]);
    return st;
}

lode_status lode_i_kmedoids_fit(lode_ctx *ctx, const lode_array *D, const lode_i_kmedoids_opts *o,
                                lode_i_kmedoids *m)
{
    lode_status st = LODE_OK;
    lode_i_kmedoids y = { 0 };
    search w = { .D = D, .o = o, .k = o->k };
    start best = { 0 };
    const int64_t n = D->ndim == 2 ? D->shape[0] : 0;
    const int64_t count = o->k == 1 || o->k == n ? 1 : o->restarts;
    LODE_REQUIRE(D->ndim == 2 && D->shape[1] == n && D->dtype == LODE_F64 &&
                     lode_array_is_contiguous(D),
                 LODE_EINTERNAL, "k-medoids take a contiguous square matrix of f64");
    LODE_REQUIRE(o->k >= 1 && o->k <= n, LODE_EPARAM,
                 "%s: %" PRId64 " clusters of %" PRId64 " points; give 1 to %" PRId64, o->op, o->k,
                 n, n);
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &count, &y.costs));
    for (; w.first < count; w.first += TOGETHER) {
        LODE_TRY(lode_i_tick(ctx, w.first, count));
        LODE_TRY(try_some(ctx, &w, lode_i_min(TOGETHER, count - w.first), &best, &y.costs));
    }
    if (!best.settled)
        st = lode_i_fail(ctx, LODE_NOCONV,
                         "%s: medoids still moved after %" PRId64
                         " passes over the points; raise max_iter",
                         o->op, o->max_iter);
    LODE_TRY(give(ctx, &best, &y));
    lode_i_kmedoids_free(m);
    *m = y;
    y = (lode_i_kmedoids){ 0 };
done:
    start_free(&best);
    lode_i_kmedoids_free(&y);
    return st;
}

/* ---- silhouettes ---- */

typedef struct widths {
    const double *D;
    const lode_array *labels;
    const double *size; /* of each part */
    int64_t n, k;
    lode_array *width;
} widths;

static lode_status width_of(lode_ctx *ctx, int64_t i, void *data)
{
    const widths *w = data;
    const int64_t own = (int64_t)lode_i_get1(w->labels, i);
    double *sum = NULL;
    void *zeros = NULL;
    LODE_FORWARD(lode_i_calloc(ctx, (size_t)w->k * sizeof *sum, &zeros));
    sum = zeros;
    for (int64_t j = 0; j < w->n; j++)
        sum[(int64_t)lode_i_get1(w->labels, j)] += w->D[i * w->n + j];
    const double a = w->size[own] > 1 ? sum[own] / (w->size[own] - 1) : 0;
    double b = INFINITY;
    for (int64_t c = 0; c < w->k; c++)
        if (c != own && w->size[c] > 0)
            b = fmin(b, sum[c] / w->size[c]);
    const double most = fmax(a, b);
    const bool told = w->size[own] > 1 && isfinite(b) && most > 0;
    lode_i_set1(w->width, i, told ? (b - a) / most : 0);
    lode_i_free(zeros);
    return LODE_OK;
}

lode_status lode_i_silhouette(lode_ctx *ctx, const lode_array *D, const lode_array *labels,
                              int64_t k, lode_array *width)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    void *size = NULL;
    const int64_t n = D->shape[0];
    LODE_TRY(lode_i_calloc(ctx, (size_t)lode_i_max(k, 1) * sizeof(double), &size));
    widths w = { .D = D->data, .labels = labels, .size = size, .n = n, .k = k, .width = &y };
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &n, &y));
    for (int64_t i = 0; i < n; i++)
        ((double *)size)[(int64_t)lode_i_get1(labels, i)] += 1;
    LODE_TRY(lode_i_parallel(ctx, n, width_of, &w));
    lode_array_swap(width, &y);
done:
    lode_i_free(size);
    lode_array_free(&y);
    return st;
}
