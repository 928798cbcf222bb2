/* Which singular values of a matrix of low rank in white noise are worth keeping. */
#ifndef LODE_THRESHOLD_H
#define LODE_THRESHOLD_H

/** Optimal hard threshold over sqrt(N) sigma for a p x N matrix, beta = p / N <= 1 (Gavish & Donoho
 *  2014, eq. 11). */
double lode_i_threshold_lambda(double beta);
/** Median of the Marchenko-Pastur law of eigenvalues of noise of variance 1 (their section III.E). */
double lode_i_threshold_median(double beta);
/** lambda over the root of that median: the threshold over the median singular value (eq. 5). */
double lode_i_threshold_omega(double beta);

#endif
