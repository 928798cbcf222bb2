/* Matern covariances as stochastic differential equations, in closed form.
 *
 * f'' + 2 f' + f = w (3/2) and the like: with time in units of lengthscale / c the state z = (f, f', ..)
 * obeys dz = F z ds + e_p dw, F the companion matrix of (1 + x)^p. exp(F s) is e^-s times polynomials. The
 * noise on a step is q times the integral over u in [0, s] of a(u) a(u)', a = last column of exp(F u): sums of
 * g_n = integral of u^n e^-2u, each to its full relative precision however short the step is.
 * Source: Hartikainen & Sarkka, MLSP 2010, doi:10.1109/MLSP.2010.5589113; Sarkka & Solin, Applied Stochastic
 * Differential Equations (2019), ch. 12. */
#include <math.h>
#include <string.h>

#include "linalg/statespace.h"

enum { MOST_ORDER = 3, MOST_POWER = 4, TERMS = 2000 };

int64_t lode_i_gp_order(lode_i_matern kernel)
{
    return kernel == LODE_I_MATERN12 ? 1 : kernel == LODE_I_MATERN32 ? 2 : 3;
}

/* g_n, .., g_0: the highest by its series, all of whose terms are positive, the others from the one above:
 * g_(n-1) = (2 g_n + s^n e^-2s) / n. */
static void integrals(double s, int n, double *g)
{
    const double decay = exp(-2 * s);
    double power = 1, term = 1, sum = 0;
    for (int i = 0; i <= n; i++)
        power *= s;
    for (int k = 0; k < TERMS; k++) {
        term *= k == 0 ? 1.0 / (n + 1) : 2 * s / (n + 1 + k);
        sum += term;
        if (term <= 1e-17 * sum)
            break;
    }
    g[n] = power * decay * sum;
    for (int i = n; i > 0; i--) {
        power = pow(s, i);
        g[i - 1] = (2 * g[i] + power * decay) / i;
    }
}

/* Q = L L', lower, p x p in place; a pivot that is rounding gives a column of 0. */
static void factor(int64_t p, double *Q)
{
    for (int64_t c = 0; c < p; c++) {
        double d = Q[c * p + c];
        for (int64_t k = 0; k < c; k++)
            d -= Q[c * p + k] * Q[c * p + k];
        const double root = d > 0 ? sqrt(d) : 0;
        Q[c * p + c] = root;
        for (int64_t i = c + 1; i < p; i++) {
            double v = Q[i * p + c];
            for (int64_t k = 0; k < c; k++)
                v -= Q[i * p + k] * Q[c * p + k];
            Q[i * p + c] = root > 0 ? v / root : 0;
        }
        for (int64_t k = c + 1; k < p; k++)
            Q[c * p + k] = 0;
    }
}

/* Beyond, e^-s is below what is left of any product with it. */
#define LONG_STEP 300.0

void lode_i_matern_step(lode_i_matern kernel, double s, double *A, double *L)
{
    double g[MOST_POWER + 1];
    s = fmin(s, LONG_STEP);
    const double e = exp(-s), h = 0.5 * s * s;
    switch (kernel) {
    case LODE_I_MATERN12:
        A[0] = e;
        L[0] = sqrt(-expm1(-2 * s));
        break;
    case LODE_I_MATERN32: {
        const double a[] = { 1 + s, s, -s, 1 - s };
        for (int i = 0; i < 4; i++)
            A[i] = a[i] * e;
        integrals(s, 2, g);
        const double q[] = { g[2], 0, g[1] - g[2], g[0] - 2 * g[1] + g[2] };
        for (int i = 0; i < 4; i++)
            L[i] = 4 * q[i];
        factor(2, L);
        break;
    }
    default: {
        const double a[] = { 1 + s + h,     s + 2 * h,    h, -h, 1 + s - 2 * h, s - h, h - s,
                             2 * h - 3 * s, 1 - 2 * s + h };
        for (int i = 0; i < 9; i++)
            A[i] = a[i] * e;
        integrals(s, 4, g);
        const double q[] = { g[4] / 4,
                             0,
                             0,
                             g[3] / 2 - g[4] / 4,
                             g[2] - g[3] + g[4] / 4,
                             0,
                             g[2] / 2 - g[3] + g[4] / 4,
                             g[1] - 2.5 * g[2] + 1.5 * g[3] - g[4] / 4,
                             g[0] - 4 * g[1] + 5 * g[2] - 2 * g[3] + g[4] / 4 };
        for (int i = 0; i < 9; i++)
            L[i] = 16.0 / 3 * q[i];
        factor(3, L);
        break;
    }
    }
}
