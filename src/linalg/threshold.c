/* Gavish and Donoho's threshold, by the median of Marchenko and Pastur. */
#include "linalg/threshold.h"

#include <math.h>

double lode_i_threshold_lambda(double beta)
{
    return sqrt(2 * (beta + 1) + 8 * beta / (beta + 1 + sqrt(beta * beta + 14 * beta + 1)));
}

/* With t = 1 + beta - 2 sqrt(beta) cos u the law's density is (2 / pi) sin^2 u / t du, smooth on
 * [0, pi]; where beta = 1 it is (1 + cos u) / pi. */
static double density(double beta, double u)
{
    const double pi = acos(-1.0), root = sqrt(beta), half = sin(u / 2);
    const double t = (1 - root) * (1 - root) + 4 * root * half * half; /* without cancellation */
    return t > 0 ? 2 / pi * sin(u) * sin(u) / t : (1 + cos(u)) / pi;
}

static double mass_below(double beta, double u)
{
    enum { STEPS = 400 };
    const double h = u / STEPS;
    double sum = density(beta, 0) + density(beta, u);
    for (int i = 1; i < STEPS; i++)
        sum += (i % 2 ? 4 : 2) * density(beta, h * i);
    return sum * h / 3;
}

double lode_i_threshold_median(double beta)
{
    double low = 0, high = acos(-1.0);
    for (int i = 0; i < 60; i++) {
        const double middle = (low + high) / 2;
        if (mass_below(beta, middle) < 0.5)
            low = middle;
        else
            high = middle;
    }
    return 1 + beta - 2 * sqrt(beta) * cos((low + high) / 2);
}

double lode_i_threshold_omega(double beta)
{
    return lode_i_threshold_lambda(beta) / sqrt(lode_i_threshold_median(beta));
}
