/* What is done to sites, or told from them, without a walk over the points. */
#include <string.h>

#include "linalg/statespace.h"

void lode_i_gp_turn(const lode_array *turn, lode_array *precision, lode_array *shift, double *room)
{
    const int64_t n = shift->shape[0], r = shift->shape[1];
    const double *Q = turn->data;
    double *L = precision->data, *h = shift->data, *M = room, *g = room + r * r;
    for (int64_t j = 0; j < n; j++, L += r * r, h += r) {
        for (int64_t a = 0; a < r; a++) {
            g[a] = 0;
            for (int64_t c = 0; c < r; c++)
                g[a] += Q[c * r + a] * h[c];
            for (int64_t b = 0; b < r; b++) {
                M[a * r + b] = 0;
                for (int64_t c = 0; c < r; c++)
                    M[a * r + b] += L[a * r + c] * Q[c * r + b];
            }
        }
        memcpy(h, g, (size_t)r * sizeof *h);
        for (int64_t a = 0; a < r; a++)
            for (int64_t b = 0; b <= a; b++) {
                double sum = 0;
                for (int64_t c = 0; c < r; c++)
                    sum += Q[c * r + a] * M[c * r + b];
                L[a * r + b] = L[b * r + a] = sum;
            }
    }
}

void lode_i_gp_energy(const lode_i_gp_sites *sites, const lode_array *mean, const lode_array *cov,
                      lode_array *energy)
{
    const int64_t n = mean->shape[0], r = mean->shape[1];
    const double *L = sites->precision->data, *h = sites->shift->data, *m = mean->data,
                 *V = cov->data;
    double *S = energy->data;
    memset(S, 0, (size_t)(r * r) * sizeof *S);
    for (int64_t j = 0; j < n; j++, L += r * r, V += r * r, h += r, m += r)
        for (int64_t b = 0; b < r; b++) {
            double left = h[b];
            for (int64_t c = 0; c < r; c++)
                left -= L[b * r + c] * m[c];
            for (int64_t a = 0; a < r; a++) {
                double both = 0;
                for (int64_t c = 0; c < r; c++)
                    both += L[b * r + c] * V[c * r + a];
                S[a * r + b] += m[a] * left - both + (a == b ? 1 : 0);
            }
        }
    for (int64_t a = 0; a < r; a++)
        for (int64_t b = 0; b < a; b++)
            S[a * r + b] = S[b * r + a] = 0.5 * (S[a * r + b] + S[b * r + a]);
}
