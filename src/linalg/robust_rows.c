/* Rows in the span of a basis that are off in few entries: least absolute values by weighted least squares,
 * row by row. A step never raises the sum of Huber's function at the present bend, and the bends shrink, so the
 * inliers of a row that the basis fits come to be fitted alone. */
#include <math.h>

#include "linalg/robust.h"
#include "linalg/small.h"

enum { HALVINGS = 40, STEPS = 2 };
#define ROUNDING 1e-6   /* of a row's largest value: what is off by less is none of its outliers */
#define NO_WEIGHT 1e-13 /* of a pivot, against its own size */

typedef struct job {
    const double *x, *v;
    double *z, *r, *rooms;
    int64_t n, k, room;
    double least, beyond;
} job;

static void weighted(const job *w, const double *x, const double *r, double bend, double *G,
                     double *b)
{
    const int64_t k = w->k;
    memset(G, 0, (size_t)(k * k) * sizeof *G);
    memset(b, 0, (size_t)k * sizeof *b);
    for (int64_t j = 0; j < w->n; j++) {
        if (x[j] != x[j])
            continue;
        const double *v = w->v + j * k, size = fabs(r[j]);
        const double weight = bend > 0 ? bend / fmax(size, bend) : 1;
        for (int64_t c = 0; c < k; c++) {
            const double s = weight * v[c];
            for (int64_t d = 0; d <= c; d++)
                G[c * k + d] += s * v[d];
            b[c] += s * x[j];
        }
    }
    lode_i_small_factor(G, k, k, NO_WEIGHT);
    lode_i_small_solve(G, k, k, b);
}

/* r = x - V z, its largest. */
static double rest(const job *w, const double *x, const double *z, double *r)
{
    double most = 0;
    for (int64_t j = 0; j < w->n; j++) {
        double s = x[j];
        for (int64_t c = 0; c < w->k; c++)
            s -= w->v[j * w->k + c] * z[c];
        r[j] = s;
        most = s == s ? fmax(most, fabs(s)) : most;
    }
    return most;
}

static lode_status row(lode_ctx *ctx, int64_t i, void *data)
{
    const job *w = data;
    const double *x = w->x + i * w->n;
    double *z = w->z + i * w->k, *r = w->r + i * w->n;
    double *G = w->rooms + lode_i_worker(ctx) * w->room;
    weighted(w, x, r, 0, G, z);
    const double most = rest(w, x, z, r);
    const double least = fmax(w->least, most * 0x1p-36);
    double bend = most / 2;
    for (int h = 0; h < HALVINGS && most > least; h++) {
        bend = fmax(bend, least);
        for (int s = 0; s < STEPS; s++) {
            weighted(w, x, r, bend, G, z);
            rest(w, x, z, r);
        }
        if (bend <= least)
            break;
        bend /= 2;
    }
    double size = 0;
    for (int64_t j = 0; j < w->n; j++)
        size = x[j] == x[j] ? fmax(size, fabs(x[j])) : size;
    const double beyond = fmax(w->beyond, ROUNDING * size);
    for (int64_t j = 0; j < w->n; j++)
        r[j] = fabs(r[j]) > beyond ? r[j] : 0; /* not observed: 0 */
    return LODE_OK;
}

lode_status lode_i_robust_rows(lode_ctx *ctx, const lode_array *X, const lode_array *V,
                               double least, double beyond, lode_array *Z, lode_array *R)
{
    lode_status st = LODE_OK;
    lode_array z = { 0 }, r = { 0 };
    const int64_t p = X->shape[0], k = V->shape[1];
    job w = { .n = X->shape[1], .k = k, .least = least, .beyond = beyond, .room = k * k + 8 };
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 2, (const int64_t[]){ p, k }, &z));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 2, (const int64_t[]){ p, w.n }, &r));
    LODE_TRY(LODE_NEW(ctx, lode_ctx_threads(ctx) * w.room, &w.rooms));
    w.x = lode_i_at(X, 0), w.v = lode_i_at(V, 0), w.z = lode_i_at(&z, 0), w.r = lode_i_at(&r, 0);
    LODE_TRY(lode_i_parallel(ctx, p, row, &w));
    lode_array_swap(Z, &z);
    lode_array_swap(R, &r);
done:
    lode_i_free(w.rooms);
    LODE_FREE(&z, &r);
    return st;
}
