/* Dissimilarities of vectors from their inner products. */
#include <math.h>

#include "linalg/linalg.h"

/* What 1 - cos^2 and its like may be by rounding alone: distances below its root are 0. */
#define ROUNDING 0x1p-44

typedef struct pairs {
    const double *g; /* inner products, parts of complex ones side by side */
    double *d;
    int64_t n, parts;
    lode_i_dissimilarity kind;
} pairs;

static double sine(double gii, double gjj, double re, double im)
{
    const double sizes = sqrt(gii) * sqrt(gjj), c = sizes > 0 ? hypot(re, im) / sizes : 0;
    const double square = (1 - c) * (1 + c);
    return square > ROUNDING ? sqrt(square) : 0;
}

static double straight(double gii, double gjj, double re)
{
    const double square = gii + gjj - 2 * re;
    return square > ROUNDING * (gii + gjj) ? sqrt(square) : 0;
}

double lode_i_dissimilarity_of(lode_i_dissimilarity kind, double gii, double gjj, double re,
                               double im)
{
    return kind == LODE_I_SINE ? sine(gii, gjj, re, im) : straight(gii, gjj, re);
}

static lode_status do_row(lode_ctx *ctx, int64_t i, void *data)
{
    (void)ctx;
    const pairs *p = data;
    const double *row = p->g + i * p->n * p->parts, gii = row[i * p->parts];
    for (int64_t j = 0; j < p->n; j++) {
        const double gjj = p->g[(j * p->n + j) * p->parts], *const x = row + j * p->parts;
        p->d[i * p->n + j] = i == j ? 0
                                    : lode_i_dissimilarity_of(p->kind, gii, gjj, x[0],
                                                              p->parts == 2 ? x[1] : 0);
    }
    return LODE_OK;
}

lode_status lode_i_gram_distances(lode_ctx *ctx, const lode_array *G, lode_i_dissimilarity kind,
                                  lode_array *D)
{
    lode_status st = LODE_OK;
    lode_array g = { 0 }, d = { 0 };
    const bool complex = lode_i_is_complex(G->dtype);
    const int64_t n = G->shape[0];
    LODE_REQUIRE(G->ndim == 2 && G->shape[1] == n, LODE_ESHAPE, "distances take a square matrix");
    LODE_TRY(lode_i_as(ctx, G, complex ? LODE_C128 : LODE_F64, &g));
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, n, n, &d));
    pairs p = { .g = g.data, .d = d.data, .n = n, .parts = complex ? 2 : 1, .kind = kind };
    LODE_TRY(lode_i_parallel(ctx, n, do_row, &p));
    lode_array_swap(D, &d);
done:
    LODE_FREE(&g, &d);
    return st;
}
