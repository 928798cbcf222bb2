/* What the quantizers share. */
#ifndef LODE_CODE_QUANTIZE_H
#define LODE_CODE_QUANTIZE_H

#include "code/code.h"

/** Shifts to the centroids, for magnitudes of 1 and beyond: count and sum of what lies over them, in
 *  steps. error: squared, in squared steps, without shifts; returns that with them. */
double code_centroids(double error, const double count[2], const double sum[2], double shift[2]);
lode_status code_too_large(lode_ctx *ctx, double step);

#endif
