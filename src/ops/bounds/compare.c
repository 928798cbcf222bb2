/* compare: how far two arrays are apart, in one pass over both.
 * Source: definitions; sums of fixed blocks joined in a fixed tree (Higham, Accuracy and Stability
 * of Numerical Algorithms, 2002, section 4.2). Departures: none. */
#include <math.h>

#include "lode/bounds.h"
#include "op/op.h"

static const lode_param params[] = {
    { LODE_PARAM(lode_compare_opts, peak), .def = 0, .min = 0, .max = 1e308,
      .help = "peak of the PSNR, unit of A; 0: the range of A" },
    { 0 },
};
static const lode_port in[] = {
    { "A", "...", .types = LODE_NUMBERS, .help = "reference" },
    { "B", "...", .types = LODE_NUMBERS, .help = "what is compared with it, same shape" },
    { 0 },
};
static const lode_port out[] = {
    { "relative", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "relative Frobenius error" },
    { "absolute", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR),
      .help = "absolute Frobenius error, unit of A" },
    { "max", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR),
      .help = "largest absolute difference, unit of A" },
    { "max_range", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR),
      .help = "largest absolute difference over the range of A" },
    { "psnr", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "peak signal-to-noise ratio, dB" },
    { "compared", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "values finite in both" },
    { "mismatched", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR),
      .help = "values missing or infinite in one only" },
    { 0 },
};

LODE_DEFAULTS(compare)

/* Values a slab holds: schedule only, sums do not depend on it. */
enum { SLAB = 1 << 21 };

static lode_status plan(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    (void)ctx;
    const lode_dense_info A = lode_call_dense(c, 0), B = lode_call_dense(c, 1);
    const int64_t rows = A.ndim ? A.shape[0] : 1;
    const int64_t row = rows > 0 ? A.size / rows : 1;
    p->slab = lode_i_max(1, SLAB / lode_i_max(row, 1));
    p->passes = 1;
    p->workspace = lode_i_bytes(A.stored, lode_i_min(p->slab, rows), row) +
                   lode_i_bytes(B.stored, lode_i_min(p->slab, rows), row) + 65536;
    snprintf(p->algorithm, sizeof p->algorithm, "one pass");
    return LODE_OK;
}

static lode_status same_shape(lode_ctx *ctx, const lode_source *a, const lode_source *b)
{
    char x[256], y[256];
    bool same = a->ndim == b->ndim;
    for (int i = 0; same && i < a->ndim; i++)
        same = a->shape[i] == b->shape[i];
    if (same)
        return LODE_OK;
    lode_i_print_shape(a->ndim, a->shape, x, sizeof x);
    lode_i_print_shape(b->ndim, b->shape, y, sizeof y);
    return lode_i_fail(ctx, LODE_ESHAPE, "compare: A is %s, B is %s; give arrays of one shape", x,
                       y);
}

static lode_comparison conclude(const lode_diff *d, double peak)
{
    const double range = d->count > 0 ? d->ref_max - d->ref_min : 0;
    const double top = peak > 0 ? peak : range;
    const double mean = d->count > 0 ? d->sumsq / (double)d->count : 0;
    return (lode_comparison){
        .relative = d->sumsq > 0 ? sqrt(d->sumsq / d->ref_sumsq) : 0,
        .absolute = sqrt(d->sumsq),
        .max = d->maxabs,
        .max_range = d->maxabs > 0 ? d->maxabs / range : 0,
        .psnr = mean > 0 ? 20 * log10(top) - 10 * log10(mean) : INFINITY,
        .compared = d->count,
        .mismatched = d->mismatched,
        .at = d->at,
    };
}

lode_status lode_compare(lode_ctx *ctx, const lode_compare_opts *o, lode_value A, lode_value B,
                         lode_comparison *result)
{
    lode_status st = LODE_OK;
    lode_plan p = { 0 };
    lode_source a = { 0 }, b = { 0 };
    bool own_a = false, own_b = false;
    lode_array x = { 0 }, y = { 0 };
    struct {
        lode_diff_run run;
        int64_t row; /* the next */
    } at = { .row = 0 };
    bool done = false;

    LODE_ENTER(&lode_op_compare, o, &p, A, B);
    LODE_TRY(lode_i_as_source(ctx, A, &a, &own_a));
    LODE_TRY(lode_i_as_source(ctx, B, &b, &own_b));
    LODE_TRY(same_shape(ctx, &a, &b));
    int64_t start[LODE_MAX_NDIM] = { 0 }, count[LODE_MAX_NDIM] = { 0 };
    for (int i = 0; i < a.ndim; i++)
        count[i] = a.shape[i];
    const int64_t rows = a.ndim ? a.shape[0] : 1;
    LODE_TRY(lode_i_restore_pass(ctx, "slabs compared", &at, sizeof at, &done));
    for (int64_t r = at.row; r < rows; r += p.slab) {
        LODE_TRY(lode_i_tick(ctx, r, rows));
        start[0] = r, count[0] = lode_i_min(p.slab, rows - r);
        LODE_TRY(lode_i_source_read(ctx, &a, start, count, a.dtype, &x));
        LODE_TRY(lode_i_source_read(ctx, &b, start, count, b.dtype, &y));
        LODE_TRY(lode_i_diff_push(ctx, &at.run, &x, &y));
        at.row = r + count[0];
        LODE_TRY(lode_i_keep_pass(ctx, "slabs compared", &at, sizeof at, at.row == rows));
    }
    const lode_diff d = lode_i_diff_result(&at.run);
    *result = conclude(&d, o->peak);
done:
    if (own_a)
        LODE_FREE(&a);
    if (own_b)
        LODE_FREE(&b);
    LODE_FREE(&x, &y);
    LODE_LEAVE();
    return st;
}

static lode_status run(lode_ctx *ctx, const lode_call *c, lode_bundle *result)
{
    lode_comparison r;
    LODE_FORWARD(lode_compare(ctx, lode_call_opts(c), c->in[0], c->in[1], &r));
    const double value[] = { r.relative, r.absolute, r.max, r.max_range, r.psnr };
    for (int i = 0; i < 5; i++)
        LODE_FORWARD(lode_bundle_add_f64(ctx, result, out[i].name, value[i]));
    LODE_FORWARD(lode_bundle_add_i64(ctx, result, "compared", r.compared));
    LODE_FORWARD(lode_bundle_add_i64(ctx, result, "mismatched", r.mismatched));
    result->certificate = (lode_certificate){ .kind = LODE_CERT_MEASURED,
                                              .norm = LODE_NORM_FRO,
                                              .relative = true,
                                              .needs_original = true,
                                              .value = r.relative,
                                              .absolute = r.absolute,
                                              .asked = NAN,
                                              .quantity = "||A - B||" };
    if (r.mismatched > 0)
        snprintf(result->certificate.note, sizeof result->certificate.note,
                 "%" PRId64 " values are missing or infinite in one array only", r.mismatched);
    return LODE_OK;
}

const lode_op lode_op_compare = {
    .name = "compare",
    .family = "bounds",
    .job = LODE_DIAGNOSE,
    .brief = "error between two arrays: relative, largest, PSNR",
    .words = "difference distance rmse accuracy check equal",
    .example = "lode compare data/winds_u.npy data/winds_u.npy",
    .params = params,
    .opts_size = sizeof(lode_compare_opts),
    .in = in,
    .out = out,
    .certificate = LODE_CERT_MEASURED,
    .checkpoint = true,
    .plan = plan,
    .run = run,
};
