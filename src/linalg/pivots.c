/* Greedy pivots: QR with column pivoting (Businger & Golub, Numer. Math. 7 (1965)), of which the
 * order and the rows' lengths are kept. Vectors are rows here, so that each lies in one piece, and
 * are reflected one by one on any thread: same bits for any number. Lengths are brought down from
 * step to step and measured anew where that has lost their digits (Drmac & Bujanovic, ACM Trans. Math.
 * Softw. 35 (2008)). */
#include "linalg/blas.h"

#include <math.h>
#include <string.h>

enum { PIECE = 1 << 15 }; /* values that are worth a task */

#define NAME(x) x##_real
#define WIDTH 1
#include "linalg/pivots_kernel.inc"
#define NAME(x) x##_complex
#define WIDTH 2
#include "linalg/pivots_kernel.inc"

typedef struct greedy {
    bool complex;
    int64_t n, p, at, group;    /* vectors, their length, the step, vectors of a task */
    double *w, *square, *known; /* rows of w; squared lengths left, and when last measured */
    double tau;
} greedy;

static double *row(const greedy *g, int64_t i)
{
    return g->w + (i * g->p + g->at) * (g->complex ? 2 : 1);
}

static double length2(const greedy *g, const double *x, int64_t n)
{
    double s[2] = { 0, 0 };
    (g->complex ? dot_complex : dot_real)(n, x, x, s);
    return s[0];
}

static lode_status step(lode_ctx *ctx, int64_t task, void *data)
{
    (void)ctx;
    const greedy *g = data;
    const int64_t from = g->at + 1 + task * g->group, to = lode_i_min(from + g->group, g->n);
    const int64_t left = g->p - g->at;
    const double *v = row(g, g->at);
    for (int64_t i = from; i < to; i++) {
        double *y = row(g, i);
        (g->complex ? reflect_complex : reflect_real)(left, v, g->tau, y);
        const double gone = g->complex ? y[0] * y[0] + y[1] * y[1] : y[0] * y[0];
        const double now = g->square[i] - gone;
        if (now > 1e-8 * g->known[i]) {
            g->square[i] = now;
        } else {
            g->square[i] = length2(g, y + (g->complex ? 2 : 1), left - 1);
            g->known[i] = g->square[i];
        }
    }
    return LODE_OK;
}

static void swap_rows(greedy *g, int64_t i, int64_t j)
{
    const int64_t width = g->p * (g->complex ? 2 : 1);
    double *x = g->w + i * width, *y = g->w + j * width;
    for (int64_t k = 0; k < width; k++) {
        const double t = x[k];
        x[k] = y[k], y[k] = t;
    }
    g->square[j] = g->square[i], g->known[j] = g->known[i];
}

static lode_status eliminate(lode_ctx *ctx, greedy *g, int64_t k, int64_t *order, double *lengths)
{
    const int64_t steps = lode_i_min(k, lode_i_min(g->n, g->p));
    for (g->at = 0; g->at < steps; g->at++) {
        int64_t best = g->at;
        for (int64_t i = g->at + 1; i < g->n; i++)
            if (g->square[i] > g->square[best])
                best = i;
        const int64_t left = g->n - g->at - 1, chosen = order[best];
        swap_rows(g, g->at, best);
        order[best] = order[g->at], order[g->at] = chosen;
        double *v = row(g, g->at);
        const double norm = sqrt(length2(g, v, g->p - g->at));
        g->tau = (g->complex ? reflector_complex : reflector_real)(g->p - g->at, v, norm);
        g->group = lode_i_max(1, PIECE / lode_i_max(g->p - g->at, 1));
        if (g->tau > 0)
            LODE_FORWARD(lode_i_parallel(ctx, lode_i_ceil_div(left, g->group), step, g));
        double sum = norm * norm;
        for (int64_t i = g->at + 1; i < g->n; i++) {
            const double *y = row(g, i);
            sum += g->complex ? y[0] * y[0] + y[1] * y[1] : y[0] * y[0];
        }
        lengths[2 * g->at] = norm, lengths[2 * g->at + 1] = sqrt(sum);
    }
    return LODE_OK;
}

lode_status lode_i_greedy_rows(lode_ctx *ctx, const lode_array *W, int64_t k, lode_array *order,
                               lode_array *lengths)
{
    lode_status st = LODE_OK;
    lode_array w = { 0 }, at = { 0 }, size = { 0 };
    greedy g = { .n = W->shape[0], .p = W->shape[1], .complex = lode_i_is_complex(W->dtype) };
    LODE_REQUIRE(W->ndim == 2 && k >= 0 && k <= lode_i_min(g.n, g.p), LODE_EINTERNAL,
                 "%" PRId64 " pivots of %" PRId64 " vectors of length %" PRId64, k, g.n, g.p);
    LODE_TRY(lode_array_cast(ctx, W, g.complex ? LODE_C128 : LODE_F64, &w));
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, g.n, &at));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 2, (const int64_t[]){ k, 2 }, &size));
    LODE_TRY(LODE_NEW(ctx, lode_i_max(1, 2 * g.n), &g.square));
    g.known = g.square + g.n;
    g.w = w.data;
    int64_t *o = at.data;
    for (int64_t i = 0; i < g.n; i++) {
        o[i] = i;
        g.square[i] = g.known[i] = length2(&g, row(&g, i), g.p);
    }
    LODE_TRY(eliminate(ctx, &g, k, o, size.data));
    lode_array_swap(order, &at);
    lode_array_swap(lengths, &size);
done:
    lode_i_free(g.square);
    LODE_FREE(&w, &at, &size);
    return st;
}

/* ---- exchanges ---- */

lode_status lode_i_best_exchange(lode_ctx *ctx, const lode_array *X, const lode_array *inverse,
                                 const lode_array *rest, int64_t *i, int64_t *j, double *rho)
{
    lode_status st = LODE_OK;
    const int64_t k = X->shape[0], n = X->shape[1];
    const bool complex = lode_i_is_complex(X->dtype);
    const int width = complex ? 2 : 1;
    double *in = NULL, best = -1;
    LODE_REQUIRE((X->dtype == LODE_F64 || complex) && !lode_i_is_single(X->dtype) &&
                     rest->shape[0] == n && lode_array_is_contiguous(X) &&
                     lode_array_is_contiguous(inverse) && lode_array_is_contiguous(rest),
                 LODE_EINTERNAL, "exchanges are looked for in double precision");
    LODE_TRY(LODE_NEW(ctx, lode_i_max(1, k + n), &in));
    const greedy a = { .complex = complex };
    for (int64_t r = 0; r < k; r++)
        in[r] = length2(&a, (const double *)inverse->data + r * k * width, k);
    for (int64_t c = 0; c < n; c++)
        in[k + c] = length2(&a, (const double *)rest->data + c * rest->shape[1] * width,
                            rest->shape[1]);
    for (int64_t r = 0; r < k; r++)
        for (int64_t c = 0; c < n; c++) {
            const double *x = (const double *)X->data + (r * n + c) * width;
            const double gain = length2(&a, x, 1) + in[r] * in[k + c];
            if (gain > best)
                best = gain, *i = r, *j = c;
        }
    *rho = sqrt(best > 0 ? best : 0);
done:
    lode_i_free(in);
    return st;
}

/* ---- interpolation points ---- */

/* Elimination with partial pivoting, column by column: what interpolation at the points so far leaves of
 * the next column is what elimination leaves of it. */
lode_status lode_i_deim(lode_ctx *ctx, const lode_array *V, lode_array *index)
{
    lode_status st = LODE_OK;
    lode_array w = { 0 }, turned = { 0 }, at = { 0 };
    const int64_t n = V->shape[0], k = V->shape[1];
    const bool complex = lode_i_is_complex(V->dtype);
    const int width = complex ? 2 : 1;
    LODE_REQUIRE(k <= n, LODE_EINTERNAL, "%" PRId64 " points of %" PRId64, k, n);
    turned = lode_i_transposed(V);
    LODE_TRY(lode_array_cast(ctx, &turned, complex ? LODE_C128 : LODE_F64, &w));
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, k, &at));
    int64_t *point = at.data;
    double *rows = w.data;
    for (int64_t j = 0; j < k; j++) {
        double *v = rows + j * n * width, most = -1;
        for (int64_t i = 0; i < j; i++) { /* v -= u v[p] / u[p], which is 0 at p and stays so */
            const double *u = rows + i * n * width, *up = u + point[i] * width;
            const double *vp = v + point[i] * width,
                         square = complex ? up[0] * up[0] + up[1] * up[1] : up[0] * up[0];
            if (!(square > 0))
                continue;
            const double re = complex ? (vp[0] * up[0] + vp[1] * up[1]) / square : vp[0] / up[0],
                         im = complex ? (vp[1] * up[0] - vp[0] * up[1]) / square : 0;
            for (int64_t l = 0; l < n; l++) {
                const double ur = u[l * width], ui = complex ? u[l * width + 1] : 0;
                v[l * width] -= re * ur - im * ui;
                if (complex)
                    v[l * width + 1] -= re * ui + im * ur;
            }
            v[point[i] * width] = 0;
            if (complex)
                v[point[i] * width + 1] = 0;
        }
        for (int64_t l = 0; l < n; l++) {
            const double *x = v + l * width;
            const double size = complex ? x[0] * x[0] + x[1] * x[1] : fabs(x[0]);
            bool used = false;
            for (int64_t i = 0; i < j && !(size > 0); i++)
                used = used || point[i] == l;
            if (size > most && !used)
                most = size, point[j] = l;
        }
        LODE_TRY(lode_i_cancelled(ctx));
    }
    lode_array_swap(index, &at);
done:
    LODE_FREE(&w, &at);
    return st;
}
