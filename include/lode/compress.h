/* Compression. */
#ifndef LODE_COMPRESS_H
#define LODE_COMPRESS_H

#include "lode/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- compress ---- */

typedef enum lode_compress_method {
    /* the basis of each mode that codes shortest; exact values where those are no longer */
    LODE_COMPRESS_AUTO,
    LODE_COMPRESS_TUCKER,   /* learned basis in every mode */
    LODE_COMPRESS_SVD,      /* learned basis of the last mode only */
    LODE_COMPRESS_DCT,      /* cosines in every mode */
    LODE_COMPRESS_PREDICT,  /* from neighbours that came back already */
    LODE_COMPRESS_LOSSLESS, /* every bit kept */
    LODE_COMPRESS_WAVELET,  /* wavelets in every mode, or nothing */
    LODE_COMPRESS_TT        /* a tensor train */
} lode_compress_method;
typedef enum lode_compress_access {
    LODE_COMPRESS_WHOLE, /* the fewest bytes */
    LODE_COMPRESS_CHUNK  /* small blocks, so that a query decodes little, for more bytes */
} lode_compress_access;
typedef struct lode_compress_opts {
    size_t size;
    lode_error_spec error;   /* none: 1e-3 relative where neither budget nor rank is given */
    lode_budget_spec budget; /* bytes and bits: of what is stored; params: of core and factors */
    lode_rank_spec rank;     /* of learned bases */
    lode_compress_method method;
    lode_missing missing;
    lode_compress_access access;
    /* values that are coded alone; auto: all up to 128 MiB, else 4 to 64 MiB; with access chunk 2^16
     * to 2^18 */
    lode_auto_i64 block;
    /* 1 to 3: the fast coder; 1 cosines alone, 2 and 3 those, learned bases or prediction; 4 to 8:
     * modes may differ (cosines, wavelets, learned bases), the coder that adapts; 9: more tries. What is promised is the same for
     * all. */
    int64_t effort;
    int64_t axis; /* that lode_update and lode_merge add along; below 0: from the last */
} lode_compress_opts;
LODE_API lode_compress_opts lode_compress_defaults(void);
extern LODE_API const lode_op lode_op_compress;

/** Compresses a dense array to an error or a size: an orthogonal basis for each mode (cosines,
 *  wavelets or learned) and one step for all coefficients, or prediction of each value from neighbours that came
 *  back already, whichever is shorter; entropy coding with contexts; what comes back is measured
 *  before it is given out.
 *  ctx    in   one per thread                  o     in  start from lode_compress_defaults()
 *  X      in   any shape, any type but packed blocks: array or source (rewindable)
 *  model  out  coded.0, coded.1, ..: one vector of bytes a block; give it to lode_invert,
 *              lode_verify, lode_plot. sums and, where parts were added, segments: docs/format.md
 *  cert   out or NULL: error over the observed entries, measured on the decoded values
 *  Missing entries keep their places exactly, infinities (missing inf) their signs. Integers come back as integers.
 *  lode_update codes a further part along o->axis and leaves the records that are there as they are;
 *  the certificate is of the whole. A relative error holds for the part by itself, so for the whole
 *  (:maxrel and :psnr: with the range of the whole); of an absolute Frobenius error the part gets
 *  its share of what is left; a budget buys as many bytes or numbers a value as before. lode_merge
 *  joins files made with the same options. Cost: of coding the part.
 *  Returns LODE_OK; LODE_MISSED the error does not fit into the budget asked with it; LODE_EDOMAIN
 *  an infinity without missing inf (or NaN with missing none), named by index; LODE_EPARAM a budget too small for
 *  anything; LODE_EUSAGE options that contradict; LODE_ENOMEM; LODE_EBUDGET; LODE_ECANCEL. Passes
 *  over X: 2. Memory: about 6 blocks.
 *  Source: Ballester-Ripoll, Lindstrom, Pajarola 2020 (TTHRESH), doi:10.1109/TVCG.2019.2904063, for
 *  coding a Tucker core; budgets in numbers: Ghadiri, Fahrbach, Fu, Mirrokni 2023. See also
 *  lode_tucker. */
LODE_API lode_status lode_compress(lode_ctx *ctx, const lode_compress_opts *o, lode_value X,
                                   lode_bundle *model, lode_certificate *cert);

#ifdef __cplusplus
}
#endif
#endif
