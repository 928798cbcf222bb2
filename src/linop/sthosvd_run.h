/* A run of ST-HOSVD: what its parts share (sthosvd.c, sthosvd_whole.c,
 * sthosvd_core.c). */
#ifndef LODE_LINOP_STHOSVD_RUN_H
#define LODE_LINOP_STHOSVD_RUN_H
#include "linop/sthosvd.h"
#include "linop/tucker.h"

/* Rounding to the result's type that is more than this share of the error is measured with it. */
#define LODE_I_STHOSVD_ROUNDED 0.05

typedef struct sthosvd {
    const lode_sthosvd_opts *o;
    lode_i_slabs X;
    lode_i_budget budget;
    bool careful; /* generous bases stop at a noise floor */
    bool precise; /* triangles of QR instead of Gram matrices */
    bool single;  /* products in single precision, every basis whole */
    bool uncut;   /* no mode so far can lose a column within the error */
    bool told;    /* what is lost is the difference of the norms of X and core */
    double blur;  /* what its rounding may be off by, at most */
    int d, order[LODE_MAX_NDIM];
    lode_dtype result; /* type of core and factors */
    lode_dtype wide;   /* f64 or c128, f32 where it was asked for: the arithmetic, but for products
                          that are `single` */
    /* asked: 0 when not; the most that may be kept */
    int64_t rank[LODE_MAX_NDIM], cap[LODE_MAX_NDIM];
    double lost, held; /* energy outside the generous core; in the core */
    lode_sthosvd_method method;
    /* energy that `held` is a part of: of X, or of the core in whole bases */
    double whole;
    lode_array U[LODE_MAX_NDIM], core;
    lode_array V[LODE_MAX_NDIM]; /* U in the type of the products, or U */
    bool met;
    lode_sthosvd_info info;
} sthosvd;

/** What rounding a core of ranks `rank` and its bases to the result's type adds to the error, as a
 *  share of the core's norm, at most. */
double lode_i_sthosvd_rounding(const sthosvd *r, const int64_t *rank);
/** Cuts the generous core and its bases to what was asked for: ranks, error or numbers. Sets met,
 *  held and info.bound. */
lode_status lode_i_sthosvd_choose(lode_ctx *ctx, sthosvd *r);

/** Where a sample says that no mode truncates and the error leaves room for it (`single` then): whole
 *  bases and the core in them. Else nothing, but that X may have been seen. */
lode_status lode_i_sthosvd_whole(lode_ctx *ctx, sthosvd *r);
/* Work for progress (sthosvd_work.c): of one basis from `size` values, of a sketched one, of one product,
 * of a mode anew, of the residual; upto: the last mode in order whose columns are known. */
double lode_i_sthosvd_basis_work(const sthosvd *r, int mode, double size);
double lode_i_sthosvd_sketch_work(const sthosvd *r, int mode);
double lode_i_sthosvd_product_work(const sthosvd *r, int mode, double size, int64_t columns);
double lode_i_sthosvd_renew_work(const sthosvd *r, int upto);
double lode_i_sthosvd_residual_work(const sthosvd *r);
/** Bases and products from mode `from` on, of so many values, and all that comes behind them. */
double lode_i_sthosvd_rest(const sthosvd *r, int upto, int from, double size, bool sketched);
/** Products with whole bases in single precision: of the slabs, or of their axis. */
double lode_i_sthosvd_single_work(const sthosvd *r, bool slabs);
/** What comes when the core is there, with so many values. */
double lode_i_sthosvd_end_work(const sthosvd *r, int upto, double core);
lode_stream lode_i_sthosvd_stream(lode_ctx *ctx, const sthosvd *r, uint64_t site);

#endif
