/* Orthonormal wavelets along one mode, in place, for any length: filters of Daubechies with p
 * vanishing moments (the least asymmetric ones for p = 4) where they fit inside, and near both ends
 * rows that continue them as Cohen, Daubechies and Vial do (Appl. Comput. Harmon. Anal. 1, 1993,
 * doi:10.1006/acha.1993.1005): p more averages than would fit, so that all polynomials of degree
 * below p come through, and differences that such polynomials do not reach. Here those rows are
 * made on each level by Gram and Schmidt from what is left beside the filters (as Herley and
 * Vetterli, doi:10.1109/78.301845, make theirs), so that the transform is orthonormal on the
 * values themselves, without preconditioning, and no tables of them are needed. docs/format.md
 * says them row by row. */
#include <math.h>
#include <string.h>

#include "linalg/tiles.h"

/* MOST: moments; WINDOW: entries that a row at an end reaches; TOP: what is not halved further. */
enum { MOST = 4, TAPS = 2 * MOST, WINDOW = 3 * MOST - 1, TOP = 6 * MOST - 5, LEVELS = 64 };
enum { PIECE = 1 << 15, WIDE = 1024 };

static const double filters[MOST + 1][TAPS] = {
    [2] = { 0.4829629131445341433749, 0.8365163037378079055753, 0.2241438680420133810260,
            -0.1294095225512603811744 },
    [3] = { 0.3326705529500826159985, 0.8068915093110925764945, 0.4598775021184915700952,
            -0.1350110200102545886964, -0.0854412738820266616928, 0.0352262918857095366027 },
    [4] = { -0.0757657147895022132277, -0.0296355276460024917644, 0.4976186676327749899796,
            0.8037387518051320808788, 0.2978577956053060514029, -0.0992195435766335325852,
            -0.0126039672620313037539, 0.0322231006040514678716 },
};

/* One halving of m entries: `inner` places of the filters, from p on every other one; and at each
 * end a window with rows of its own, of which p are averages. */
typedef struct level {
    int64_t m, inner, averages;
    int rows[2], width[2];
    int64_t first[2]; /* of the window */
    double row[2][TAPS][WINDOW];
} level;

typedef struct wavelets {
    bool forward;
    int64_t n;
    int p, levels;
    double low[TAPS], high[TAPS];
    int64_t top;
    double end[TOP][TOP]; /* rows of what is left at last */
    lode_dtype dtype;
    level level[LEVELS];
} wavelets;

/* ---- rows at the ends ---- */

/* Takes out of v, which is 0 but on `count` places, what it has of the filters from place `at` on,
 * every other one to `last`, and of the rows before it; twice against rounding. What is left is 0
 * again but there. */
static void orthonormalize(const wavelets *w, int64_t at, int64_t last, int count, int before,
                           int stride, const double *rows, double *v)
{
    double whole[TAPS + TOP + TAPS] = { 0 }, *const middle = whole + TAPS, sumsq = 0;
    for (int pass = 0; pass < 2; pass++) {
        memcpy(middle, v, (size_t)count * sizeof *v);
        for (int64_t k = at; k <= last; k += 2)
            for (int f = 0; f < 2; f++) {
                const double *tap = f ? w->high : w->low;
                double inner = 0;
                for (int t = 0; t < 2 * w->p; t++)
                    inner += tap[t] * middle[k + t];
                for (int t = 0; t < 2 * w->p; t++)
                    middle[k + t] -= inner * tap[t];
            }
        memcpy(v, middle, (size_t)count * sizeof *v);
        memset(whole, 0, sizeof whole);
        for (int r = 0; r < before; r++) {
            double inner = 0;
            for (int i = 0; i < count; i++)
                inner += rows[r * stride + i] * v[i];
            for (int i = 0; i < count; i++)
                v[i] -= inner * rows[r * stride + i];
        }
    }
    for (int i = 0; i < count; i++)
        sumsq += v[i] * v[i];
    for (int i = 0; i < count; i++)
        v[i] /= sqrt(sumsq);
}

/* The rows of one end: powers, which are given as they look on this level from there, then unit
 * vectors from the end on. */
static void make_end(wavelets *w, level *l, int side, const double *power, int64_t stride)
{
    const int64_t from = l->first[side], last = w->p + 2 * (l->inner - 1);
    for (int r = 0; r < l->rows[side]; r++) {
        double *v = l->row[side][r];
        const int unit = r - w->p;
        memset(v, 0, sizeof l->row[side][r]);
        if (unit < 0)
            for (int i = 0; i < l->width[side]; i++)
                v[i] = power[r * stride + from + i];
        else
            v[side ? l->width[side] - 1 - unit : unit] = 1;
        orthonormalize(w, side ? last - from - 2 * (w->p - 2) : w->p,
                       side ? last - from : 3 * w->p - 4, l->width[side], r, WINDOW,
                       l->row[side][0], v);
    }
}

/* What comes of the powers: their averages. */
static void carry(const wavelets *w, const level *l, double *power, int64_t stride, double *room)
{
    for (int d = 0; d < w->p; d++, power += stride) {
        for (int64_t r = 0; r < l->averages; r++) {
            const int64_t k = r - w->p;
            const bool inner = k >= 0 && k < l->inner;
            const int side = k >= 0;
            const double *row = inner ? w->low : l->row[side][side ? k - l->inner : r];
            const double *from = power + (inner ? w->p + 2 * k : l->first[side]);
            room[r] = 0;
            for (int i = 0; i < (inner ? 2 * w->p : l->width[side]); i++)
                room[r] += row[i] * from[i];
        }
        memcpy(power, room, (size_t)l->averages * sizeof *power);
    }
}

static lode_status prepare(lode_ctx *ctx, int p, int64_t n, wavelets *w)
{
    lode_status st = LODE_OK;
    double *power = NULL; /* seen from the first entry, from the last; room */
    w->n = n, w->p = p, w->levels = 0;
    for (int t = 0; t < TAPS; t++) {
        const double h = t < 2 * p ? filters[p][2 * p - 1 - t] : 0;
        w->low[t] = filters[p][t];
        w->high[t] = t % 2 ? -h : h;
    }
    LODE_TRY(LODE_NEW(ctx, (2 * p + 1) * n, &power));
    for (int d = 0; d < p; d++)
        for (int64_t i = 0; i < n; i++)
            power[d * n + i] = power[(p + d) * n + n - 1 - i] = pow((double)i, d);
    int64_t m = n;
    for (; m >= 6 * p - 4; m = w->level[w->levels++].averages) {
        level *l = &w->level[w->levels];
        l->m = m;
        l->inner = (m - 4 * p) / 2 + 1;
        l->averages = l->inner + 2 * p;
        l->first[0] = 0, l->first[1] = p + 2 * l->inner;
        l->width[0] = 3 * p - 2, l->width[1] = (int)(m - l->first[1]);
        for (int side = 0; side < 2; side++) {
            l->rows[side] = l->width[side] - (p - 1);
            make_end(w, l, side, power + side * p * n, n);
        }
        for (int side = 0; side < 2; side++)
            carry(w, l, power + side * p * n, n, power + 2 * p * n);
    }
    w->top = m;
    for (int r = 0; r < m; r++) {
        for (int64_t i = 0; i < m; i++)
            w->end[r][i] = r < p ? power[r * n + i] : r - p == i;
        orthonormalize(w, 0, -1, (int)m, r, TOP, w->end[0], w->end[r]);
    }
done:
    lode_i_free(power);
    return st;
}

/* ---- tiles ---- */

#define T float
#define NAME(x) x##_f32
#include "linalg/wavelets_kernel.inc"
#undef T
#undef NAME
#define T double
#define NAME(x) x##_f64
#include "linalg/wavelets_kernel.inc"
#undef T
#undef NAME

static lode_status turn(lode_ctx *ctx, const void *data, int64_t width, void *const *room)
{
    (void)ctx;
    const wavelets *w = data;
    (w->dtype == LODE_F32 ? tile_f32 : tile_f64)(w, width, room);
    return LODE_OK;
}

lode_status lode_i_wavelets_into(lode_ctx *ctx, const lode_array *X, int mode, int64_t n,
                                 bool forward, int moments, lode_array *Y)
{
    lode_status st = LODE_OK;
    wavelets *w = NULL;
    LODE_REQUIRE(moments >= LODE_WAVELETS_LEAST && moments <= LODE_WAVELETS_MOST, LODE_EINTERNAL,
                 "wavelets: %d moments", moments);
    LODE_TRY(LODE_NEW(ctx, 1, &w));
    w->forward = forward, w->dtype = X->dtype;
    LODE_TRY(prepare(ctx, moments, n, w));
    const lode_i_tiles t = { .n = n,
                             .width = lode_i_min(WIDE, PIECE / lode_i_max(n, 1)),
                             .rooms = 3,
                             .turn = turn,
                             .data = w };
    LODE_TRY(lode_i_tiles_into(ctx, "wavelets", X, mode, &t, Y));
done:
    lode_i_free(w);
    return st;
}
