/* Systems of a few equations, in double, on the calling thread: k x k row-major, lower triangles. */
#ifndef LODE_SMALL_H
#define LODE_SMALL_H

#include <math.h>
#include <stdint.h>

/* A = L L^T in place; a pivot that vanishes against its own size by more than `least` is made infinite
 * with a zero column, so that the direction gets no weight. */
static inline void lode_i_small_factor(double *A, int64_t k, int64_t lda, double least)
{
    for (int64_t c = 0; c < k; c++) {
        double d = A[c * lda + c];
        const double size = d;
        for (int64_t p = 0; p < c; p++)
            d -= A[c * lda + p] * A[c * lda + p];
        const bool good = d > least * size;
        A[c * lda + c] = good ? sqrt(d) : INFINITY;
        for (int64_t r = c + 1; r < k; r++) {
            double v = A[r * lda + c];
            for (int64_t p = 0; p < c; p++)
                v -= A[r * lda + p] * A[c * lda + p];
            A[r * lda + c] = good ? v / A[c * lda + c] : 0;
        }
    }
}

/* b = L^-T L^-1 b */
static inline void lode_i_small_solve(const double *L, int64_t k, int64_t lda, double *b)
{
    for (int64_t r = 0; r < k; r++) {
        for (int64_t p = 0; p < r; p++)
            b[r] -= L[r * lda + p] * b[p];
        b[r] /= L[r * lda + r];
    }
    for (int64_t r = k - 1; r >= 0; r--) {
        for (int64_t p = r + 1; p < k; p++)
            b[r] -= L[p * lda + r] * b[p];
        b[r] /= L[r * lda + r];
    }
}

/* min 1/2 a'(G + ridge)a - b'a + l1 |a|_1 over a (>= 0), coordinate after coordinate, only G's lower triangle
 * read; never ends higher than it began. */
static inline void lode_i_small_descend(const double *G, int64_t k, int64_t lda, const double *b,
                                        double ridge, double l1, int nonneg, int steps, double *a)
{
    for (int step = 0; step < steps; step++)
        for (int64_t c = 0; c < k; c++) {
            const double g = G[c * lda + c] + ridge;
            double whole = b[c];
            for (int64_t p = 0; p < c; p++)
                whole -= G[c * lda + p] * a[p];
            for (int64_t p = c + 1; p < k; p++)
                whole -= G[p * lda + c] * a[p];
            const double shrunk = whole > l1 ? whole - l1 : whole < -l1 ? whole + l1 : 0;
            a[c] = g > 0 && !(nonneg && shrunk < 0) ? shrunk / g : 0;
        }
}

#endif
