/* compress: an array to an error or a size, certified on what comes back.
 * Source: Ballester-Ripoll, Lindstrom & Pajarola, IEEE TVCG 26 (2020),
 * doi:10.1109/TVCG.2019.2904063 (TTHRESH: coding the coefficients of a Tucker core); Ghadiri,
 * Fahrbach, Fu & Mirrokni, ICML 2023 (core shapes under a budget of numbers;
 * src/linop/coreshape.c). Departures: cosines, wavelets (src/linalg/wavelets.c) and
 * learned bases compete mode by mode; one uniform
 * step and adaptive contexts (src/code) instead of bit planes; bases made orthonormal after
 * decoding, so that their rounding costs no error; missing values; pointwise bounds; blocks with
 * local structure go by prediction from neighbours instead (src/code/predict.c), whichever is
 * shorter. Claim tested: the core shape's surrogate. */
#include <math.h>
#include <string.h>

#include "ops/compress/compress.h"

static const lode_param params[] = {
    { LODE_PARAM(lode_compress_opts, error), .min = 0, .max = 1e300,
      .help = LODE_HELP_ERROR "; 1e-3 where neither budget nor rank is given; of a whole file by "
                              "name: T=1e-3,*=1e-4:max,QC=exact" },
    { LODE_PARAM(lode_compress_opts, budget), .min = 1e-6, .max = 1e18, .help = LODE_HELP_BUDGET },
    { LODE_PARAM(lode_compress_opts, rank), .min = 1, .max = 1e9,
      .help = LODE_HELP_RANK ", one a mode, of learned bases" },
    { LODE_PARAM(lode_compress_opts, method), .def = LODE_COMPRESS_AUTO,
      .choices = "auto|tucker|svd|dct|predict|lossless|wavelet|tt",
      .help =
          "the shortest of all; bases learned in every mode or the last, cosines; prediction from "
          "neighbours; every bit kept; wavelets; or a tensor train" },
    { LODE_PARAM(lode_compress_opts, missing), .def_text = "nan",
      .help = LODE_HELP_MISSING_INF "; their places are kept" },
    { LODE_PARAM(lode_compress_opts, access), .def = LODE_COMPRESS_WHOLE, .choices = "whole|chunk",
      .help =
          "chunk: small blocks, so that a query decodes little, for more bytes; how many more is "
          "measured and said" },
    { LODE_PARAM(lode_compress_opts, block), .min = 1024, .max = 1e12,
      .help = "values coded alone; less takes less memory and gives larger files" },
    { LODE_PARAM(lode_compress_opts, effort), .def = 5, .min = 1, .max = 9,
      .help = "speed against size: 1 cosines alone, 2 and 3 the best of cosines, learned bases and "
              "prediction, from 4 on bases (wavelets too) mode by mode, from 6 on the adaptive "
              "coder, 9 more tries" },
    { LODE_PARAM(lode_compress_opts, axis), .def = 0, .min = -LODE_MAX_NDIM,
      .max = LODE_MAX_NDIM - 1,
      .help = "axis that update and merge add along, such as time; below 0 from the last" },
    { 0 },
};
static const lode_port in[] = {
    { "X", "...", .types = LODE_NUMBERS & ~LODE_PACKED,
      .help = "array of any shape; or a file of several, each compressed by itself" },
    { 0 }
};
static const lode_port out[] = { { "coded.*", "bytes", .types = LODE_BIT(U8), .repeated = true,
                                   .help = "one record a block" },
                                 { "sums", "6", .types = LODE_BIT(F64),
                                   .help = "of all observed entries: count, squared and largest "
                                           "error, squared norm, smallest and largest" },
                                 { "segments", "parts,3", .types = LODE_BIT(I64), .optional = true,
                                   .help = "where parts were added: axis, end along it, blocks" },
                                 { 0 } };

LODE_DEFAULTS(compress)

/* ---- the plan ---- */

static lode_status plan(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    const lode_compress_opts *o = lode_call_opts(c);
    const lode_dense_info X = lode_call_dense(c, 0);
    grid g;
    int64_t values = 1;
    const lode_compress_opts own = compress_settle(o, X.stored, X.ndim, X.shape);
    compress_grid(X.stored, X.ndim, X.shape, compress_asked(&own), &g);
    for (int k = 0; k < X.ndim; k++)
        values *= lode_i_max(g.side[k], 1);
    const uint64_t stored = lode_i_bytes(X.stored, X.size, 1);
    const bool fine = (o->error.kind == LODE_ERROR_REL && o->error.value < 3.2e-6) ||
                      (o->error.kind == LODE_ERROR_MAXREL && o->error.value < 1e-5);
    const uint64_t block = (uint64_t)values * (fine ? 8 : lode_dtype_size(X.dtype));
    /* the block, its coefficients, symbols, a product under way, what comes back, the best code so
     * far */
    p->workspace = 8 * block + (UINT64_C(8) << 20);
    if (o->access == LODE_COMPRESS_CHUNK) /* and the region on which the cost is measured */
        p->workspace += 8 * block / (uint64_t)lode_i_max(values, 1) *
                        (uint64_t)compress_region(&g).values;
    const uint64_t left = lode_i_memory_left(ctx);
    const uint64_t most = stored + HEADER + (uint64_t)g.blocks * MEMBER;
    /* Most arrays shrink much more; where the largest result would not fit, what fits is the
     * bound. */
    p->output = p->workspace + most <= left ? most
                : p->workspace < left       ? left - p->workspace
                                            : stored / 64;
    p->passes = g.blocks > 1 ? 2 : 1;
    p->slab = g.ndim ? g.side[0] : 0;
    p->flops = 60.0 * (double)X.size * 100;
    /* cosines alone; what tries more takes some times as long: `forecast` measures it */
    const bool most_tried = o->effort > EFFORT_COSINES && o->method == LODE_COMPRESS_AUTO;
    p->seconds = (most_tried ? 8e-7 : 1e-7) * (double)X.size * (0.3 + 0.7 / lode_ctx_threads(ctx));
    static const char *const names[] = { "best basis a mode", "learned bases", "learned last basis",
                                         "cosines",           "prediction",    "exact",
                                         "wavelets",          "tensor train" };
    const bool quick = o->method == LODE_COMPRESS_AUTO && o->effort <= EFFORT_COSINES;
    const lode_compress_method method = quick ? LODE_COMPRESS_DCT : o->method;
    snprintf(p->algorithm, sizeof p->algorithm, "%s, %" PRId64 " block%s%s", names[method],
             g.blocks, g.blocks > 1 ? "s" : "",
             o->access == LODE_COMPRESS_CHUNK ? " for local access" : "");
    return LODE_OK;
}

lode_status lode_compress(lode_ctx *ctx, const lode_compress_opts *o, lode_value X,
                          lode_bundle *model, lode_certificate *cert)
{
    lode_status st = LODE_OK;
    lode_plan p = { 0 };
    lode_bundle made = { 0 };
    lode_diff d = { 0 };
    lode_array loaded = { 0 };
    job j = { .o = o };
    bool owned = false;

    LODE_ENTER(&lode_op_compress, o, &p, X);
    LODE_TRY(lode_i_as_source(ctx, X, &j.source, &owned));
    if (!j.source.rewindable) { /* a stream is kept whole */
        LODE_TRY(lode_i_source_load(ctx, &j.source, &loaded));
        if (owned)
            LODE_FREE(&j.source);
        owned = true;
        j.source = (lode_source){ 0 }; /* the caller closes a borrowed one */
        LODE_TRY(lode_i_source_from_array(ctx, &loaded, &j.source));
    }
    j.whole = X.kind == LODE_ARRAY ? X.as.array : loaded.data ? &loaded : NULL;
    LODE_REQUIRE(j.source.ndim == 0 || (o->axis >= -j.source.ndim && o->axis < j.source.ndim),
                 LODE_EPARAM, "compress: option axis is %" PRId64 "; X has %d axes", o->axis,
                 j.source.ndim);
    LODE_TRY(compress_code(ctx, &j, &made, &d));
    const totals t = compress_totals(&j, &d);
    LODE_TRY(compress_finish(ctx, o, &t, (double)j.values, &j.g, &made));
    LODE_TRY(compress_tell_access(ctx, &j, &made));
    memcpy(made.meta.input_hash, j.hash, sizeof made.meta.input_hash);
    p.output = 0;
    for (int64_t i = 0; i < made.count; i++)
        p.output += lode_array_bytes(lode_bundle_value(&made, i).as.array);
    LODE_TRY(lode_i_refine(ctx, &lode_op_compress, &p));
    if (cert)
        *cert = made.certificate;
    lode_bundle_swap(model, &made);
done:
    LODE_LEAVE();
    if (owned)
        LODE_FREE(&j.source);
    LODE_FREE(&loaded, &made);
    return st;
}

static lode_status run(lode_ctx *ctx, const lode_call *c, lode_bundle *result)
{
    return lode_compress(ctx, lode_call_opts(c), c->in[0], result, NULL);
}

const lode_op lode_op_compress = {
    .name = "compress",
    .family = "compress",
    .job = LODE_SHRINK,
    .brief = "compress an array to an error or a size, certified on what comes back",
    .doi = "10.1109/TVCG.2019.2904063",
    .example = "lode compress data/winds_u.npy --error 1e-2 -o winds.lode",
    .words = "lossy lossless array compression codec error bound rate distortion smaller files "
             "tthresh sz zfp nan interpolation lorenzo whole netcdf hdf5 file variables",
    .params = params,
    .opts_size = sizeof(lode_compress_opts),
    .in = in,
    .out = out,
    .certificate = LODE_CERT_MEASURED,
    .checkpoint = true,
    .plan = plan,
    .forecast = compress_forecast,
    .run = run,
    .invert = compress_invert,
    .chunk = compress_chunk,
    .query = compress_query,
    .update = compress_update,
    .merge = compress_merge,
    .verify = compress_verify,
    .plot = compress_plot,
    .tell = compress_tell,
};
