/* Looks at an array: boxes of it at three sizes, coded by each method. */
#ifndef LODE_OPS_COMPRESS_FORECAST_H
#define LODE_OPS_COMPRESS_FORECAST_H

#include "ops/compress/compress.h"

/* Arrays of no more values are coded whole. */
enum { TINY = 1 << 15 };
/* Boxes of the largest size, and of one size at most; sizes. */
enum { LOOK_PLACES = 4, LOOK_BOXES = 8, LOOK_SIZES = 3 };

/* Boxes of one size; what they come to together, by each method: INFINITY: not tried. */
typedef struct look {
    int boxes;
    int64_t start[LOOK_BOXES][LODE_MAX_NDIM], count[LODE_MAX_NDIM];
    double shrink; /* sides over those of a block, in the geometric mean of axes that are cut */
    double values;
    double bytes, predicted, exact; /* by a transform, by prediction */
    double spread, exact_spread; /* a value, among the boxes: standard deviation, of transforms */
    double share;                /* of the bytes, above which exact codes are tried */
    double seconds, predict_seconds, exact_seconds;
    /* of a transform with learned bases in all modes (else columns is below 0): product of ranks,
     * bytes of bases and of the rest, of one box in the mean */
    double columns, bases, core;
    int unmet; /* boxes whose goal no transform met */
} look;

typedef struct sampler {
    job j;
    lode_compress_opts o; /* of boxes */
    lode_compress_method method;
    int axes;                 /* that are long enough to be cut */
    double size, block, each; /* values of all and of a block; error of an observed value */
    double sums_seconds;      /* of a pass over all */
    lode_predictor rules;     /* of prediction, from a small sample */
    double rules_rate, rules_seconds, rules_values;
    double learning; /* time with all bases tried over that with cosines alone */
    bool learns;     /* and they pay */
    look look[LOOK_SIZES];
} sampler;

/** Counts, norm and range of j, of all of it or, where that is much, of slabs spread over it. */
lode_status compress_look_sums(lode_ctx *ctx, sampler *s);
/** Chooses the boxes, reads and codes them; s->size, block, each and axes are known. */
lode_status compress_look(lode_ctx *ctx, sampler *s);

#endif
