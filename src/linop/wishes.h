/* What may be wished of a decomposition with ranks: the terms that tucker and tt share. */
#ifndef LODE_LINOP_WISHES_H
#define LODE_LINOP_WISHES_H

/* What an error is a multiple of. */
typedef enum lode_rank_unit {
    LODE_UNIT_NORM, /* ||X||_F: relative */
    LODE_UNIT_ONE,  /* absolute */
    LODE_UNIT_RANGE /* max - min of X: a PSNR is 10^(-P/20) sqrt(count) of it */
} lode_rank_unit;
/* Which wish decided the ranks. */
typedef enum lode_rank_bound {
    LODE_BY_ERROR,
    LODE_BY_RANK,
    LODE_BY_BUDGET,
    LODE_BY_MAX_RANK
} lode_rank_bound;

#endif
