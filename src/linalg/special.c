/* The incomplete gamma function: its series below a + 1, Lentz's continued fraction above.
 * DLMF 8.7.1 and 8.9.2. */
#include <math.h>

#include "linalg/special.h"

enum { TERMS = 100000 };

/* x^a e^-x / Gamma(a) */
static double front(double a, double x)
{
    return exp(a * log(x) - x - lgamma(a));
}

static double series(double a, double x)
{
    double term = 1 / a, sum = term;
    for (int k = 1; k < TERMS && term > sum * 1e-17; k++) {
        term *= x / (a + k);
        sum += term;
    }
    return sum * front(a, x);
}

static double fraction(double a, double x)
{
    double b = x + 1 - a, c = 1e300, d = 1 / b, h = d;
    for (int k = 1; k < TERMS; k++) {
        const double n = -(double)k * (k - a);
        b += 2;
        d = 1 / (n * d + b);
        c = b + n / c;
        h *= c * d;
        if (fabs(c * d - 1) < 1e-16)
            break;
    }
    return h * front(a, x);
}

double lode_i_gamma_tail(double a, double x)
{
    if (isnan(x) || !(a > 0))
        return NAN;
    if (!(x > 0))
        return 1;
    if (isinf(x))
        return 0;
    return x < a + 1 ? fmax(0, 1 - series(a, x)) : fraction(a, x);
}

double lode_i_chi_square_tail(double freedom, double x)
{
    return freedom > 0 ? lode_i_gamma_tail(freedom / 2, x / 2) : 1;
}
