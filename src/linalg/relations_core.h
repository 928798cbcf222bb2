/* Cores of relations, k x k in f64: what a rule makes of one, given G = A'A and M = A' X_k A. */
#ifndef LODE_RELATIONS_CORE_H
#define LODE_RELATIONS_CORE_H

#include "linalg/relations.h"

typedef struct lode_i_cores {
    lode_i_core_rule rule;
    int64_t k;
    int steps;
    double l2;
    const double *G;     /* k x k */
    const double *Q, *g; /* for SOLVE: its eigenvectors (columns) and values */
    double cutoff;       /* values up to it count as 0 */
} lode_i_cores;
double lode_i_core_inner(int64_t count, const double *x, const double *y);
/** T = G R G, and Y = R G on the way. */
void lode_i_core_sandwich(int64_t k, const double *G, const double *R, double *Y, double *T);
/** R by the rule; T is G R G to begin with, Y and T are used up. */
void lode_i_core_renew(const lode_i_cores *w, const double *M, double *Y, double *T, double *R);
/** S += R G R' + R' G R; U is R G to begin with, U and T are used up. */
void lode_i_core_sums(const lode_i_cores *w, const double *R, double *U, double *T, double *S);

#endif
