/* Special functions of one number, on the calling thread. */
#ifndef LODE_SPECIAL_H
#define LODE_SPECIAL_H

/** Upper tail of the incomplete gamma function, Gamma(a, x) / Gamma(a): a > 0, x >= 0. */
double lode_i_gamma_tail(double a, double x);
/** Probability that a chi-square variable of so many degrees of freedom is above x. */
double lode_i_chi_square_tail(double freedom, double x);

#endif
