/* Comparisons and certificates. */
#ifndef LODE_BOUNDS_H
#define LODE_BOUNDS_H

#include "lode/op.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lode_compare_opts {
    size_t size;
    double peak; /* of the PSNR; 0: the range of the first input */
} lode_compare_opts;
LODE_API lode_compare_opts lode_compare_defaults(void);
extern LODE_API const lode_op lode_op_compare;

/** What differs between two arrays; NaN in both agrees, NaN in one is a mismatch. */
typedef struct lode_comparison {
    double relative;  /* ||A - B||_F / ||A||_F over values finite in both; 0/0 is 0 */
    double absolute;  /* ||A - B||_F */
    double max;       /* largest |a - b|, unit of A */
    double max_range; /* max over (largest - smallest value of A) */
    double psnr;      /* dB; infinite when equal */
    int64_t compared, mismatched;
    int64_t at; /* flat index of max */
} lode_comparison;
/** Streams both inputs once, in slabs: any size, same bits in or out of core.
 *  Returns LODE_OK; LODE_ESHAPE shapes differ; LODE_ENOMEM; LODE_EBUDGET; LODE_ECANCEL. */
LODE_API lode_status lode_compare(lode_ctx *ctx, const lode_compare_opts *o, lode_value A,
                                  lode_value B, lode_comparison *result);

#ifdef __cplusplus
}
#endif
#endif
