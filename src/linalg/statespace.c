/* Kalman filter and Rauch-Tung-Striebel smoother of stacked independent Gaussian processes, in square roots.
 *
 * The state at a point stacks (f, f', ..) of the r processes, S = r p values. With P- = R'R predicted and a site
 * (precision L, shift h), R S_f' = .. : I + E' L E = C C', E = H R', gives the filtered factor C^-1 R without
 * a difference of covariances. One orthogonal triangularization a step,
 *
 *     Q' [ (A S_f)'  S_f' ] = [ R+  Y' ]
 *        [ L_q'      0    ]   [ 0   Z' ]
 *
 * gives the predicted factor R+, the smoother's gain G = Y R+^-T and Z Z' = P_f - G P+ G', so the
 * smoothed covariance Z Z' + G P_s G' is a sum as well: nothing can turn negative.
 * Source: Rauch, Tung & Striebel, AIAA J. 3 (1965), doi:10.2514/3.3166; Park & Kailath, Int. J. Control 62
 * (1995), doi:10.1080/00207179508921557 (square-root smoothers). */
#include "linalg/statespace.h"

#include <math.h>
#include <string.h>

enum { CHECK = 1 << 12 }; /* steps between two looks at the cancel flag */

/* Sizes, views and what a walk over the points holds. A point has a site, or stands in the output, or both. */
typedef struct walk {
    const lode_i_gp *g;
    int64_t r, p, S, n; /* n: points */
    const double *t;    /* of sites */
    const double *at;   /* of other points, or NULL */
    const int64_t
        *site; /* of a point: its site, or -1 - (which of the others); NULL: point i is site i */
    const double *precision, *shift;
    double *m, *R, *C, *E, *X, *v; /* S, S x S, S x S, r x S twice, 2S x 2S, 4S + 2r */
    double *kept;                  /* a point: filtered mean, predicted mean of the next, G', Z' */
    double evidence, gain;
    int64_t steps;
} walk;

static int64_t kept_size(int64_t S)
{
    return 2 * S + 2 * S * S;
}

static double time_of(const walk *w, int64_t i)
{
    const int64_t s = w->site ? w->site[i] : i;
    return s >= 0 ? w->t[s] : w->at[-1 - s];
}

static void start(walk *w)
{
    static const double root[3][9] = { { 1 },
                                       { 1, 0, 0, 1 },
                                       { 1, 0, -1.0 / 3, 0, 0.57735026918962576451, 0, 0, 0,
                                         0.94280904158206336587 } }; /* R of R'R, amplitude 1 */
    const int64_t S = w->S, p = w->p;
    memset(w->m, 0, (size_t)S * sizeof *w->m);
    memset(w->R, 0, (size_t)(S * S) * sizeof *w->R);
    for (int64_t b = 0; b < S; b += p)
        for (int64_t i = 0; i < p; i++)
            for (int64_t j = 0; j < p; j++)
                w->R[(b + i) * S + b + j] = w->g->amplitude * root[p - 1][i * p + j];
    w->evidence = w->gain = 0;
}

/* A = C C' in place, lower; A is I and something positive semidefinite, so that pivots are 1 or more. */
static double factor(int64_t n, double *A)
{
    double logdet = 0;
    for (int64_t c = 0; c < n; c++) {
        const double *a = A + c * n;
        double d = a[c];
        for (int64_t k = 0; k < c; k++)
            d -= a[k] * a[k];
        d = sqrt(fmax(d, 1));
        A[c * n + c] = d;
        logdet += log(d);
        for (int64_t i = c + 1; i < n; i++) {
            double x = A[i * n + c];
            for (int64_t k = 0; k < c; k++)
                x -= A[i * n + k] * a[k];
            A[i * n + c] = x / d;
        }
    }
    return logdet;
}

/* The site of a point: R becomes the filtered factor (as rows), m the filtered mean. */
LODE_CLONES static void meet(walk *w, int64_t site)
{
    const int64_t r = w->r, p = w->p, S = w->S;
    const double *L = w->precision + site * r * r, *h = w->shift + site * r;
    double *restrict R = w->R, *restrict C = w->C, *restrict E = w->E, *restrict F = E + r * S;
    double *restrict g = w->v, *restrict b = w->v + S;
    for (int64_t i = 0; i < r; i++)
        for (int64_t c = 0; c < S; c++)
            E[i * S + c] = R[c * S + i * p];
    double known = 0;
    for (int64_t i = 0; i < r; i++) {
        double all = 0;
        double *restrict f = F + i * S;
        memset(f, 0, (size_t)S * sizeof *f);
        for (int64_t j = 0; j < r; j++) {
            const double l = L[i * r + j];
            const double *restrict e = E + j * S;
            all += l * w->m[j * p];
            for (int64_t c = 0; c < S; c++)
                f[c] += l * e[c];
        }
        known += w->m[i * p] * (h[i] - 0.5 * all);
        b[i] = h[i] - all;
    }
    memset(C, 0, (size_t)(S * S) * sizeof *C);
    for (int64_t i = 0; i < r; i++)
        for (int64_t c = 0; c < S; c++) {
            const double e = E[i * S + c];
            double *restrict row = C + c * S;
            const double *restrict f = F + i * S;
            for (int64_t d = 0; d < S; d++)
                row[d] += e * f[d];
        }
    for (int64_t c = 0; c < S; c++)
        C[c * S + c] += 1;
    const double logdet = factor(S, C);
    for (int64_t c = 0; c < S; c++) {
        double *restrict row = R + c * S;
        for (int64_t k = 0; k < c; k++) {
            const double x = C[c * S + k];
            const double *restrict above = R + k * S;
            for (int64_t a = 0; a < S; a++)
                row[a] -= x * above[a];
        }
        const double d = 1 / C[c * S + c];
        for (int64_t a = 0; a < S; a++)
            row[a] *= d;
    }
    double found = 0;
    for (int64_t c = 0; c < S; c++) {
        double x = 0;
        for (int64_t i = 0; i < r; i++)
            x += R[c * S + i * p] * b[i];
        g[c] = x;
        found += x * x;
    }
    for (int64_t c = 0; c < S; c++) {
        const double x = g[c];
        const double *restrict row = R + c * S;
        for (int64_t a = 0; a < S; a++)
            w->m[a] += x * row[a];
    }
    w->evidence += known + 0.5 * found - logdet;
}

/* Householder reflections that make the first S of `cols` columns of X (2S rows) upper triangular. Row
 * S + e of the noise takes part from the columns of its own process on. */
LODE_CLONES static void triangularize(int64_t S, int64_t p, int64_t cols, double *restrict X,
                                      double *restrict v, double *restrict y)
{
    for (int64_t j = 0; j < S; j++) {
        const int64_t last = S + (j / p + 1) * p;
        double most = 0, sum = 0;
        for (int64_t i = j; i < last; i++)
            most = fmax(most, fabs(X[i * cols + j]));
        if (!(most > 0))
            continue;
        for (int64_t i = j; i < last; i++) {
            v[i] = X[i * cols + j] / most;
            sum += v[i] * v[i];
        }
        const double size = v[j] > 0 ? sqrt(sum) : -sqrt(sum);
        v[j] += size;
        const double scale = 1 / (size * v[j]);
        memset(y + j, 0, (size_t)(cols - j) * sizeof *y);
        for (int64_t i = j; i < last; i++) {
            const double *restrict x = X + i * cols;
            for (int64_t c = j; c < cols; c++)
                y[c] += v[i] * x[c];
        }
        for (int64_t c = j; c < cols; c++)
            y[c] *= scale;
        for (int64_t i = j; i < last; i++) {
            double *restrict x = X + i * cols;
            for (int64_t c = j; c < cols; c++)
                x[c] -= v[i] * y[c];
        }
    }
}

/* On to the next point: R and m become what is predicted there. keep: where G' and Z' go, or NULL. */
LODE_CLONES static void go(walk *w, double dt, double *keep)
{
    static const double unit[] = { 1, 1.7320508075688772935, 2.2360679774997896964 };
    const int64_t p = w->p, S = w->S, cols = keep ? 2 * S : S;
    double A[9] = { 0 }, L[9] = { 0 };
    double *restrict X = w->X, *restrict R = w->R;
    const double s = w->g->white ? INFINITY : unit[p - 1] * dt / w->g->lengthscale;
    lode_i_matern_step(w->g->kernel, s, A, L);
    memset(X, 0, (size_t)(2 * S * cols) * sizeof *X);
    for (int64_t c = 0; c < S; c++) {
        double *restrict x = X + c * cols;
        for (int64_t b = 0; b < S; b += p)
            for (int64_t a = 0; a < p; a++) {
                double sum = 0;
                for (int64_t q = 0; q < p; q++)
                    sum += A[a * p + q] * R[c * S + b + q];
                x[b + a] = sum;
            }
        if (keep)
            memcpy(x + S, R + c * S, (size_t)S * sizeof *x);
    }
    for (int64_t b = 0; b < S; b += p)
        for (int64_t a = 0; a < p; a++)
            for (int64_t q = a; q < p; q++)
                X[(S + b + a) * cols + b + q] = w->g->amplitude * L[q * p + a];
    triangularize(S, p, cols, X, w->v, w->v + 2 * S);
    for (int64_t c = 0; c < S; c++) {
        double *restrict row = R + c * S;
        for (int64_t a = 0; a < S; a++)
            row[a] = a < c ? 0 : X[c * cols + a];
    }
    double *restrict next = w->v;
    for (int64_t b = 0; b < S; b += p)
        for (int64_t a = 0; a < p; a++) {
            double sum = 0;
            for (int64_t q = 0; q < p; q++)
                sum += A[a * p + q] * w->m[b + q];
            next[b + a] = sum;
        }
    memcpy(w->m, next, (size_t)S * sizeof *next);
    if (!keep)
        return;
    memcpy(keep, w->m, (size_t)S * sizeof *keep);
    double *restrict G = keep + S; /* R G' = Y', upper triangular */
    for (int64_t c = S - 1; c >= 0; c--) {
        double *restrict row = G + c * S;
        memcpy(row, X + c * cols + S, (size_t)S * sizeof *row);
        for (int64_t k = c + 1; k < S; k++) {
            const double x = R[c * S + k];
            const double *restrict below = G + k * S;
            for (int64_t a = 0; a < S; a++)
                row[a] -= x * below[a];
        }
        const double d = R[c * S + c];
        const double inverse = d != 0 ? 1 / d : 0;
        for (int64_t a = 0; a < S; a++)
            row[a] *= inverse;
    }
    for (int64_t c = 0; c < S; c++)
        memcpy(G + (S + c) * S, X + (S + c) * cols + S, (size_t)S * sizeof *G);
}

static lode_status forward(lode_ctx *ctx, walk *w)
{
    const int64_t S = w->S, size = kept_size(S);
    start(w);
    for (int64_t i = 0; i < w->n; i++) {
        const int64_t site = w->site ? w->site[i] : i;
        if (i % CHECK == 0)
            LODE_FORWARD(lode_i_cancelled(ctx));
        if (site >= 0)
            meet(w, site);
        w->steps++;
        double *keep = w->kept ? w->kept + i * size : NULL;
        if (keep)
            memcpy(keep, w->m, (size_t)S * sizeof *keep);
        if (i + 1 < w->n)
            go(w, time_of(w, i + 1) - time_of(w, i), keep ? keep + S : NULL);
    }
    return LODE_OK;
}

/* m and P at point i to its place in the output, or into the divergence. */
static void tell(walk *w, int64_t i, const double *m, const double *P, double *mean, double *cov)
{
    const int64_t r = w->r, p = w->p, S = w->S, site = w->site ? w->site[i] : i;
    const int64_t at = w->at ? -1 - site : site;
    if (!w->at) {
        const double *L = w->precision + site * r * r, *h = w->shift + site * r;
        for (int64_t a = 0; a < r; a++) {
            double sum = 0;
            for (int64_t b = 0; b < r; b++)
                sum += L[a * r + b] * (P[a * p * S + b * p] + m[a * p] * m[b * p]);
            w->gain += h[a] * m[a * p] - 0.5 * sum;
        }
    }
    if (at < 0)
        return;
    for (int64_t a = 0; a < r; a++) {
        mean[at * r + a] = m[a * p];
        for (int64_t b = 0; b < r; b++)
            cov[(at * r + a) * r + b] = 0.5 * (P[a * p * S + b * p] + P[b * p * S + a * p]);
    }
}

/* P = Z Z' + G P G', m = filtered + G (m - predicted); T: S x S. */
LODE_CLONES static void back(int64_t S, const double *restrict kept, double *restrict m,
                             double *restrict P, double *restrict T, double *restrict d)
{
    const double *restrict G = kept + 2 * S, *restrict Z = G + S * S;
    for (int64_t c = 0; c < S; c++)
        d[c] = m[c] - kept[S + c];
    memcpy(m, kept, (size_t)S * sizeof *m);
    memset(T, 0, (size_t)(S * S) * sizeof *T);
    for (int64_t c = 0; c < S; c++) {
        double *restrict row = T + c * S;
        for (int64_t a = 0; a < S; a++)
            m[a] += d[c] * G[c * S + a];
        for (int64_t k = 0; k < S; k++) {
            const double x = P[c * S + k];
            for (int64_t a = 0; a < S; a++)
                row[a] += x * G[k * S + a];
        }
    }
    memset(P, 0, (size_t)(S * S) * sizeof *P);
    for (int64_t c = 0; c < S; c++)
        for (int64_t a = 0; a < S; a++) {
            const double x = G[c * S + a], z = Z[c * S + a];
            double *restrict row = P + a * S;
            for (int64_t b = 0; b < S; b++)
                row[b] += x * T[c * S + b] + z * Z[c * S + b];
        }
}

static lode_status backward(lode_ctx *ctx, walk *w, double *mean, double *cov)
{
    const int64_t S = w->S, size = kept_size(S);
    double *P = w->C, *T = w->X, *m = w->v, *d = w->v + S;
    memcpy(m, w->m, (size_t)S * sizeof *m);
    memset(P, 0, (size_t)(S * S) * sizeof *P);
    for (int64_t c = 0; c < S; c++)
        for (int64_t a = 0; a < S; a++)
            for (int64_t b = 0; b < S; b++)
                P[a * S + b] += w->R[c * S + a] * w->R[c * S + b];
    for (int64_t i = w->n - 1; i >= 0; i--) {
        if (i % CHECK == 0)
            LODE_FORWARD(lode_i_cancelled(ctx));
        if (i < w->n - 1)
            back(S, w->kept + i * size, m, P, T, d);
        w->steps++;
        tell(w, i, m, P, mean, cov);
    }
    return LODE_OK;
}

static lode_status prepare(lode_ctx *ctx, const lode_i_gp *g, const lode_i_gp_sites *sites,
                           int64_t points, bool smooth, walk *w, double **room)
{
    const int64_t r = g->r, p = lode_i_gp_order(g->kernel), S = r * p;
    int64_t size = 0, all = 0;
    *w = (walk){ .g = g, .r = r, .p = p, .S = S, .n = points };
    w->t = sites->t->data, w->precision = sites->precision->data, w->shift = sites->shift->data;
    const int64_t own = S + 2 * S * S + 2 * r * S + 4 * S * S + 4 * S + 2 * r;
    if (!lode_i_mul(points, smooth ? kept_size(S) : 0, &size) || !lode_i_add(size, own, &all))
        return lode_i_fail(ctx, LODE_ESHAPE, "smoother: %" PRId64 " points of %" PRId64 " values",
                           points, S);
    LODE_FORWARD(LODE_NEW(ctx, all, room));
    double *at = *room;
    w->m = at, at += S;
    w->R = at, at += S * S;
    w->C = at, at += S * S;
    w->E = at, at += 2 * r * S;
    w->X = at, at += 4 * S * S;
    w->v = at, at += 4 * S + 2 * r;
    w->kept = smooth ? at : NULL;
    return LODE_OK;
}

lode_status lode_i_gp_smooth(lode_ctx *ctx, const lode_i_gp *g, const lode_i_gp_sites *sites,
                             lode_array *mean, lode_array *cov, lode_i_gp_score *score)
{
    lode_status st = LODE_OK;
    double *room = NULL;
    walk w;
    const int64_t n = sites->t->shape[0];
    LODE_TRY(prepare(ctx, g, sites, n, true, &w, &room));
    LODE_TRY(forward(ctx, &w));
    if (n > 0)
        LODE_TRY(backward(ctx, &w, mean->data, cov->data));
    score->evidence = w.evidence, score->divergence = w.gain - w.evidence;
    score->steps += w.steps;
done:
    lode_i_free(room);
    return st;
}

lode_status lode_i_gp_evidence(lode_ctx *ctx, const lode_i_gp *g, const lode_i_gp_sites *sites,
                               lode_i_gp_score *score)
{
    lode_status st = LODE_OK;
    double *room = NULL;
    walk w;
    LODE_TRY(prepare(ctx, g, sites, sites->t->shape[0], false, &w, &room));
    LODE_TRY(forward(ctx, &w));
    score->evidence = w.evidence;
    score->steps += w.steps;
done:
    lode_i_free(room);
    return st;
}

/* Sites and other points in one ascending order, a site before another point at the same place. */
static void merge(const walk *w, int64_t sites, int64_t others, int64_t *order)
{
    int64_t i = 0, j = 0;
    while (i < sites || j < others) {
        const bool site = j == others || (i < sites && w->t[i] <= w->at[j]);
        *order++ = site ? i : -1 - j;
        i += site, j += !site;
    }
}

lode_status lode_i_gp_predict(lode_ctx *ctx, const lode_i_gp *g, const lode_i_gp_sites *sites,
                              const lode_array *at, lode_array *mean, lode_array *cov)
{
    lode_status st = LODE_OK;
    double *room = NULL;
    int64_t *order = NULL;
    walk w;
    lode_array m = { 0 }, V = { 0 };
    const int64_t n = sites->t->shape[0], count = at->shape[0], r = g->r;
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, count, r, &m));
    LODE_TRY(lode_array_new(ctx, LODE_F64, 3, (const int64_t[]){ count, r, r }, &V));
    if (count > 0) {
        LODE_TRY(LODE_NEW(ctx, n + count, &order));
        LODE_TRY(prepare(ctx, g, sites, n + count, true, &w, &room));
        w.at = at->data;
        merge(&w, n, count, order);
        w.site = order;
        LODE_TRY(forward(ctx, &w));
        LODE_TRY(backward(ctx, &w, m.data, V.data));
    }
    lode_array_swap(mean, &m);
    lode_array_swap(cov, &V);
done:
    lode_i_free(room);
    lode_i_free(order);
    LODE_FREE(&m, &V);
    return st;
}

uint64_t lode_i_gp_room(const lode_i_gp *g, int64_t points)
{
    const int64_t S = g->r * lode_i_gp_order(g->kernel);
    return lode_i_bytes(LODE_F64, points + 8, kept_size(S) + 1) +
           lode_i_bytes(LODE_F64, 8 * S + 64, S + 8);
}
