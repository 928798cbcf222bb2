/* Cores of relations, matrices of k x k in f64 on the calling thread. */
#include "linalg/relations_core.h"

#include <math.h>
#include <string.h>

#define TINY 1e-300
#define SETTLED 1e-28 /* squares of a sweep's moves, beside those of the core */

double lode_i_core_inner(int64_t count, const double *x, const double *y)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += x[i] * y[i];
    return sum;
}

/* C = A B or A' B */
LODE_CLONES static void product(int64_t k, bool turned, const double *restrict A,
                                const double *restrict B, double *restrict C)
{
    for (int64_t i = 0; i < k; i++) {
        double *c = C + i * k;
        memset(c, 0, (size_t)k * sizeof *c);
        for (int64_t p = 0; p < k; p++) {
            const double a = turned ? A[p * k + i] : A[i * k + p];
            for (int64_t j = 0; j < k; j++)
                c[j] += a * B[p * k + j];
        }
    }
}

/* T = G R G; Y = R G on the way. G is symmetric. */
void lode_i_core_sandwich(int64_t k, const double *G, const double *R, double *Y, double *T)
{
    product(k, false, R, G, Y);
    product(k, false, G, Y, T);
}

static void multiply_core(const lode_i_cores *w, const double *M, double *Y, double *T, double *R)
{
    const int64_t kk = w->k * w->k;
    for (int s = 0; s < w->steps; s++) { /* T is that of R to begin with */
        if (s > 0)
            lode_i_core_sandwich(w->k, w->G, R, Y, T);
        for (int64_t e = 0; e < kk; e++) {
            const double d = T[e] + w->l2 * R[e];
            R[e] *= d > TINY ? fmax(M[e], 0) / d : 1;
        }
    }
}

/* Coordinates of min 1/2 <G R G, R> - <M, R> + l2/2 |R|^2 over R >= 0 in turn; Y = R G follows. */
static void descend_core(const lode_i_cores *w, const double *M, double *Y, double *R)
{
    const int64_t k = w->k;
    product(k, false, R, w->G, Y);
    for (int s = 0; s < w->steps; s++) {
        double moved = 0, size = 0;
        for (int64_t i = 0; i < k; i++)
            for (int64_t j = 0; j < k; j++) {
                const double h = w->G[i * k + i] * w->G[j * k + j] + w->l2;
                double slope = w->l2 * R[i * k + j] - M[i * k + j];
                for (int64_t p = 0; p < k; p++)
                    slope += w->G[i * k + p] * Y[p * k + j];
                const double next = h > 0 ? fmax(R[i * k + j] - slope / h, 0) : 0;
                const double d = next - R[i * k + j];
                R[i * k + j] = next;
                moved += d * d, size += next * next;
                for (int64_t q = 0; q < k; q++)
                    Y[i * k + q] += d * w->G[j * k + q];
            }
        if (!(moved > SETTLED * size))
            break;
    }
}

/* G R G + l2 R = M in the eigenvectors of G; directions that A has not get 0. */
static void solve_core(const lode_i_cores *w, const double *M, double *Y, double *T, double *R)
{
    const int64_t k = w->k;
    product(k, true, w->Q, M, Y);
    product(k, false, Y, w->Q, T);
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < k; j++) {
            const double h = w->g[i] * w->g[j];
            T[i * k + j] = w->g[i] > w->cutoff && w->g[j] > w->cutoff ? T[i * k + j] / (h + w->l2)
                                                                      : 0;
        }
    product(k, false, w->Q, T, Y);
    for (int64_t i = 0; i < k; i++) /* R = Y Q' */
        for (int64_t j = 0; j < k; j++) {
            double sum = 0;
            for (int64_t p = 0; p < k; p++)
                sum += Y[i * k + p] * w->Q[j * k + p];
            R[i * k + j] = sum;
        }
}

void lode_i_core_renew(const lode_i_cores *w, const double *M, double *Y, double *T, double *R)
{
    switch (w->rule) {
    case LODE_I_CORES_MULTIPLY: multiply_core(w, M, Y, T, R); break;
    case LODE_I_CORES_DESCEND: descend_core(w, M, Y, R); break;
    case LODE_I_CORES_SOLVE: solve_core(w, M, Y, T, R); break;
    default: break;
    }
}

/* S += R G R' + R' G R; U has R G. */
void lode_i_core_sums(const lode_i_cores *w, const double *R, double *U, double *T, double *S)
{
    const int64_t k = w->k;
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < k; j++)
            S[i * k + j] += lode_i_core_inner(k, U + i * k, R + j * k);
    product(k, true, R, w->G, T);
    product(k, false, T, R, U);
    for (int64_t e = 0; e < k * k; e++)
        S[e] += U[e];
}
