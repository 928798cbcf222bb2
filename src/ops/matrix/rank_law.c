/* Laws that the criteria of rank rest on: description lengths, Student's quantile. */
#include <math.h>

#include "ops/matrix/rank.h"

/* Minus the maximal log-likelihood up to a constant, N/2 (p - k) log of the arithmetic over the
 * geometric mean of what k leaves, and half the free numbers (k axes of p values less their
 * orthonormality, k + 1 variances) times log N, or 1 for AIC / 2. */
double lode_i_rank_length(const double *eigenvalue, int64_t p, int64_t N, int64_t k, bool aic)
{
    const double rest = (double)(p - k), samples = (double)N;
    double sum = 0, logs = 0;
    for (int64_t i = k; i < p; i++)
        sum += eigenvalue[i], logs += log(eigenvalue[i]);
    const double fit = rest > 0 ? samples / 2 * (rest * log(sum / rest) - logs) : 0;
    const double numbers = (double)k * (2 * (double)p - (double)k + 1) / 2 + 1;
    return fit + numbers * (aic ? 1 : log(samples) / 2);
}

double lode_i_rank_student(int64_t freedom)
{
    static const double few[] = { 6.31375, 2.91999, 2.35336, 2.13185, 2.01505 };
    const double z = 1.6448536, v = (double)freedom;
    if (freedom <= 5)
        return few[freedom < 1 ? 0 : freedom - 1];
    /* expansion of Cornish and Fisher in 1 / v, right to 4 digits from here on */
    return z + (pow(z, 3) + z) / (4 * v) + (5 * pow(z, 5) + 16 * pow(z, 3) + 3 * z) / (96 * v * v) +
           (3 * pow(z, 7) + 19 * pow(z, 5) + 17 * pow(z, 3) - 15 * z) / (384 * pow(v, 3));
}
