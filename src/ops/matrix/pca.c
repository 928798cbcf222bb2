/* pca: principal components, with missing values, of data larger than memory, updated and merged.
 *
 * Complete data: the SVD of X - 1 mean^T through an implicitly centred operator. Missing values:
 * maximum likelihood of probabilistic PCA over the observed entries, x_i = W z_i + mean + noise, by
 * expectation maximization; the result is then rotated to principal axes, so that scores are
 * orthogonal and V orthonormal in both cases.
 *
 * Source: Tipping & Bishop, J. R. Stat. Soc. B 61 (1999), doi:10.1111/1467-9868.00196
 * (probabilistic PCA); Ilin & Raiko, JMLR 11 (2010) 1957, section 4.1 (missing values); Ross, Lim,
 * Lin & Yang, IJCV 77 (2008), doi:10.1007/s11263-007-0075-7 (update with the mean). Departures:
 * parameters expanded after each sweep (Liu, Rubin & Wu 1998), which shortens the iteration and
 * leaves its fixed points. Claim tested: missing values do not bias the subspace. */
#include <math.h>

#include "linop/linop.h"
#include "lode/matrix.h"
#include "ops/matrix/pca.h"

static const lode_param params[] = {
    { LODE_PARAM(lode_pca_opts, rank), .def_text = "auto", .min = 1, .max = 1e6,
      .help = "components to keep; auto: 10, or all when there are fewer" },
    { LODE_PARAM(lode_pca_opts, center), .def = 1, .help = "subtract the column means first" },
    { LODE_PARAM(lode_pca_opts, missing), .def_text = "nan", .help = LODE_HELP_MISSING },
    { LODE_PARAM(lode_pca_opts, tol), .def = 1e-4, .min = 1e-12, .max = 1,
      .help = "missing values: stop when the noise variance changes less, relatively" },
    { LODE_PARAM(lode_pca_opts, max_iter), .def = 500, .min = 1, .max = 1e6,
      .help = LODE_HELP_MAX_ITER },
    { 0 },
};
static const lode_port in[] = {
    { "X", "m,n", .kinds = LODE_DENSE | LODE_KIND_BIT(LODE_SPARSE), .types = LODE_REAL_NUMBERS,
      .help = "data, a row an observation" },
    { 0 },
};
static const lode_port out[] = {
    { "V", "n,k", .help = "principal axes, orthonormal columns" },
    { "mean", "n", .help = "column means, unit of X" },
    { "s", "k", .help = "singular values of the centred data, descending" },
    { "scores", "m,k", .help = "coordinates of the rows on the axes, unit of X" },
    { "ratio", "k", .help = "share of the variance that each component explains" },
    { "total", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "sum of squares about the mean" },
    { "noise", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR),
      .help = "variance of a value that is left unexplained" },
    { "rows", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "observations seen" },
    { 0 },
};

LODE_DEFAULTS(pca)

static bool may_miss(const lode_pca_opts *o, lode_kind kind)
{
    return o->missing.kind != LODE_MISSING_NONE && (kind == LODE_ARRAY || kind == LODE_SOURCE);
}

static lode_svds_opts iteration(int64_t rows, int64_t cols, lode_kind kind, lode_dtype dtype,
                                int64_t k)
{
    const bool entries = kind == LODE_ARRAY || kind == LODE_SOURCE;
    /* values to 1e-10: axes are then right to about 1e-5, as their error is the root of the
     * values' */
    lode_svds_opts s = { .rank = k,
                         .tol = lode_i_is_single(dtype) ? 0 : 1e-10,
                         .fused = entries,
                         .centred = true,
                         .one_sided = true,
                         .op = "pca" };
    s.gram = entries && lode_i_svds_narrow(&s, rows, cols, dtype);
    lode_i_svds_sizes(&s, rows, cols, kind == LODE_SPARSE);
    return s;
}

/* The start where values are missing need not be exact. */
static lode_svds_opts rough_iteration(int64_t rows, int64_t cols, int64_t k)
{
    lode_svds_opts s = iteration(rows, cols, LODE_ARRAY, LODE_F64, k);
    s.tol = 1e-3;
    return s;
}

/* Bytes of the way through missing values, beside the outputs. */
static uint64_t missing_workspace(const lode_ctx *ctx, const lode_matrix_info *X, lode_value value,
                                  int64_t k)
{
    const int64_t side = lode_i_min(X->rows, X->cols);
    lode_svds_opts start = rough_iteration(X->rows, X->cols, k);
    start.two_sided = !start.gram; /* where squares drown */
    return 3 * lode_i_bytes(LODE_F64, X->rows, X->cols) +
           4 * lode_i_bytes(LODE_F64, X->rows + X->cols, k + 1) +
           lode_i_ppca_workspace(X->rows, X->cols, k) + 2 * lode_i_svds_memory(ctx, &start, value) +
           4 * lode_i_bytes(LODE_F64, side, 2 * k);
}

/* Bytes of the way through complete data, beside the outputs, which are copied at the end. */
static uint64_t memory(const lode_ctx *ctx, const lode_svds_opts *s, lode_value value,
                       const lode_matrix_info *X)
{
    const uint64_t fit = lode_i_svds_memory(ctx, s, value);
    const uint64_t copies = lode_i_bytes(X->dtype, X->rows + X->cols, s->rank + 1);
    /* centred, a sparse matrix stays sparse: factors with the means beside them */
    const uint64_t beside = value.kind == LODE_SPARSE ? 2 * copies : 0;
    return (fit > copies ? fit : copies) + beside + lode_i_bytes(X->dtype, 2, X->cols) + 65536;
}

static lode_status plan(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    const lode_pca_opts *o = lode_call_opts(c);
    const lode_matrix_info X = lode_call_matrix(c, 0);
    const int64_t side = lode_i_min(X.rows, X.cols);
    const int64_t k = o->rank.count > 0 ? o->rank.value[0] : lode_i_min(10, side);
    if (o->rank.count > 1 || k > side)
        return lode_i_fail(ctx, LODE_EPARAM,
                           "pca: rank %" PRId64 " is above min(m, n) = %" PRId64
                           " of X, or several numbers",
                           k, side);
    if (side == 0)
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "pca: X is %" PRId64 " x %" PRId64 "; it needs a value", X.rows, X.cols);
    const lode_svds_opts s = iteration(X.rows, X.cols, X.kind, X.dtype, k);
    p->number[0] = k;
    p->block = s.block;
    p->workspace = memory(ctx, &s, c->in[0], &X);
    p->output = lode_i_bytes(X.dtype, X.rows + X.cols + 2, k + 1) + 4096;
    p->slab = X.kind == LODE_SOURCE ? lode_i_linop_slab(ctx, c->in[0].as.source) : 0;
    p->resident = lode_i_svds_held(ctx, &s, c->in[0], p->workspace + p->output);
    p->passes = s.gram ? 3 : 8; /* the means are one */
    p->flops = s.gram ? 2 * (double)X.nonzeros * ((double)side / 2 + (double)k)
                      : 4 * p->passes * (double)X.nonzeros * (double)s.block;
    snprintf(p->algorithm, sizeof p->algorithm, "SVD of the centred operator%s",
             s.gram ? ", by its Gram matrix" : "");
    if (o->missing.kind == LODE_MISSING_VALUE && may_miss(o, X.kind)) {
        p->workspace += missing_workspace(ctx, &X, c->in[0], k);
        p->slab = 0, p->resident = 0;
        snprintf(p->algorithm, sizeof p->algorithm, "EM over observed values");
    }
    return LODE_OK;
}

void lode_i_pca_free(lode_pca_parts *p)
{
    LODE_FREE(&p->V, &p->mean, &p->s, &p->scores);
}

/* ---- complete data ---- */

/* Column means as X^T 1 / m, which serves dense, sparse and streamed data alike and meets every
 * value once. */
static lode_status column_means(lode_ctx *ctx, const lode_linop *A, lode_array *mean)
{
    lode_status st = LODE_OK;
    lode_array ones = { 0 }, sums = { 0 };
    LODE_TRY(lode_i_matrix_new(ctx, A->dtype, A->rows, 1, &ones));
    LODE_TRY(lode_i_fill(ctx, &ones, 1.0 / (double)A->rows));
    LODE_TRY(A->apply(ctx, A, true, &ones, &sums));
    LODE_TRY(lode_array_reshape(ctx, &sums, 1, &A->cols, mean));
done:
    LODE_FREE(&ones, &sums);
    return st;
}

/* A pass of its own, and so a step of the checkpoint. */
static lode_status kept_means(lode_ctx *ctx, const lode_linop *A, lode_array *mean)
{
    const lode_i_step step = { .site = "means", .n = 1, .array = { mean } };
    bool found = false;
    LODE_FORWARD(lode_i_restore(ctx, &step, &found));
    if (found)
        return LODE_OK;
    LODE_FORWARD(column_means(ctx, A, mean));
    return lode_i_keep(ctx, &step);
}

/* ||X||^2 = ||X - 1 mean^T||^2 + m ||mean||^2, as the columns of X - 1 mean^T sum to zero. */
static lode_status measure_complete(lode_ctx *ctx, const lode_linop *C, const lode_svds_info *info,
                                    lode_pca_parts *p)
{
    double mean = 0;
    LODE_FORWARD(lode_i_svds_error(ctx, C, info->norm_fro, &p->scores, &p->s, &p->V, &p->residual));
    LODE_FORWARD(lode_i_norm_fro(ctx, &p->mean, &mean));
    p->norm = hypot(info->norm_fro, sqrt((double)C->rows) * mean);
    return LODE_OK;
}

static lode_status fit_complete(lode_ctx *ctx, const lode_pca_opts *o, lode_value X,
                                const lode_matrix_info *shape, lode_plan *plan, lode_pca_parts *p)
{
    lode_status st = LODE_OK;
    lode_linop *A = NULL, *C = NULL;
    lode_svds_info info = { .norm_fro = -1 };
    lode_array held = { 0 };
    if (plan->resident > 0) {
        LODE_TRY(lode_i_as_array(ctx, X, shape->dtype, &held));
        X = lode_from_array(&held);
    }
    LODE_TRY(lode_linop_from(ctx, X, &A));
    lode_svds_opts s = iteration(A->rows, A->cols, X.kind, A->dtype, plan->number[0]);
    lode_i_stage(ctx, "means", 0, 0.1);
    LODE_TRY(kept_means(ctx, A, &p->mean));
    if (!o->center)
        LODE_TRY(lode_i_fill(ctx, &p->mean, 0));
    lode_i_stage(ctx, "components", 0.1, 0.9);
    LODE_TRY(lode_linop_centred(ctx, A, &p->mean, &C));
    LODE_TRY(lode_i_linop_kept(ctx, "centred", &C));
    LODE_TRY(lode_i_svds(ctx, C, &s, &p->scores, &p->s, &p->V, &info));
    if (info.drowned) { /* only both sides tell such small values: more memory than was planned */
        s.one_sided = false, s.two_sided = true;
        plan->workspace = memory(ctx, &s, X, shape);
        LODE_TRY(lode_i_refine(ctx, &lode_op_pca, plan));
        LODE_TRY(lode_i_svds(ctx, C, &s, &p->scores, &p->s, &p->V, &info));
    }
    lode_i_stage(ctx, "error", 0.9, 1);
    if (info.norm_fro < 0)
        LODE_TRY(lode_i_linop_norm(ctx, C, &info.norm_fro));
    LODE_TRY(measure_complete(ctx, C, &info, p));
    LODE_TRY(lode_i_scale_cols(ctx, &p->scores, &p->s));
    LODE_TRY(lode_i_canonical_signs(ctx, &p->V, &p->scores));
    p->entries = (double)A->rows * (double)A->cols;
done:
    LODE_FREE(&A, &C, &held);
    return st;
}

/* ---- missing values ---- */

/* Start: the leading axes of the centred data with zeros where nothing is observed. */
static lode_status start_from_zeros(lode_ctx *ctx, const lode_array *X, int64_t k, lode_ppca *model,
                                    double *observed)
{
    lode_status st = LODE_OK;
    lode_array Y = { 0 }, U = { 0 }, s = { 0 }, count = { 0 };
    lode_linop *op = NULL;
    double norm = 0, explained = 0;
    const double rows = (double)X->shape[0];
    lode_svds_opts o = rough_iteration(X->shape[0], X->shape[1], k);
    o.one_sided = false;
    LODE_TRY(lode_i_masked_means(ctx, X, &model->mean, &count));
    LODE_TRY(lode_i_masked_centre(ctx, X, &model->mean, &Y));
    LODE_TRY(lode_linop_from(ctx, lode_from_array(&Y), &op));
    LODE_TRY(lode_i_svds(ctx, op, &o, &U, &s, &model->W, NULL));
    LODE_TRY(lode_i_norm_fro(ctx, &Y, &norm));
    *observed = 0;
    for (int64_t j = 0; j < X->shape[1]; j++)
        *observed += lode_i_get1(&count, j);
    for (int64_t c = 0; c < k; c++) {
        const double v = lode_i_get1(&s, c);
        explained += v * v;
        lode_i_set1(&s, c, v / sqrt(rows));
    }
    LODE_TRY(lode_i_scale_cols(ctx, &model->W, &s));
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, X->shape[0], k, &model->Z));
    LODE_TRY(lode_i_fill(ctx, &model->Z, 0));
    model->noise = fmax((norm * norm - explained) / *observed, 1e-6 * norm * norm / *observed);
    model->noise = model->noise > 0 ? model->noise : 1e-300;
done:
    LODE_FREE(&Y, &U, &s, &count, &op);
    return st;
}

/* Principal axes of 1 mean^T + Z W^T: W = Q R, Z R^T about its mean = P diag(s) O^T, V = Q O. */
static lode_status rotate(lode_ctx *ctx, const lode_ppca *model, bool center, lode_pca_parts *p)
{
    lode_status st = LODE_OK;
    lode_array Q = { 0 }, R = { 0 }, A = { 0 }, a = { 0 }, row = { 0 }, shift = { 0 }, O = { 0 },
               flat = { 0 };
    const int64_t k = model->W.shape[1], n = model->W.shape[0];
    LODE_TRY(lode_i_qr(ctx, &model->W, &Q, &R));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_T, &model->Z, &R, &A));
    LODE_TRY(lode_i_col_means(ctx, &A, &a));
    if (!center)
        LODE_TRY(lode_i_fill(ctx, &a, 0));
    LODE_TRY(lode_i_sub_row(ctx, &A, &a));
    LODE_TRY(lode_i_svd(ctx, &A, k, &p->scores, &p->s, &O));
    LODE_TRY(lode_i_scale_cols(ctx, &p->scores, &p->s));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &Q, &O, &p->V));
    LODE_TRY(lode_array_reshape(ctx, &a, 2, (const int64_t[]){ k, 1 }, &row));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &Q, &row, &shift));
    LODE_TRY(lode_array_reshape(ctx, &shift, 1, &n, &flat));
    LODE_TRY(lode_array_cast(ctx, &model->mean, LODE_F64, &p->mean));
    LODE_TRY(lode_i_axpy(ctx, 1, &flat, &p->mean));
    LODE_TRY(lode_i_canonical_signs(ctx, &p->V, &p->scores));
done:
    LODE_FREE(&Q, &R, &A, &a, &row, &shift, &O, &flat);
    return st;
}

static lode_status fit_missing(lode_ctx *ctx, const lode_pca_opts *o, lode_value value, int64_t k,
                               lode_pca_parts *p)
{
    lode_status st = LODE_OK;
    lode_array X = { 0 }, given = { 0 };
    lode_ppca model = { 0 };
    bool done_early = lode_i_broken(ctx, "pca-missing");
    LODE_TRY(lode_i_as_array(ctx, value, LODE_F64, &given));
    LODE_TRY(lode_i_masked_from(
        ctx, &given, o->missing.kind == LODE_MISSING_VALUE ? o->missing.value : NAN, &X));
    LODE_FREE(&given);
    LODE_REQUIRE(o->center, LODE_EPARAM, "pca: missing values need the means; leave --center on");
    lode_i_stage(ctx, "start", 0, 0.1);
    LODE_TRY(start_from_zeros(ctx, &X, k, &model, &p->entries));
    lode_i_stage(ctx, "sweeps over observed values", 0.1, 1);
    for (int64_t i = 0; i < o->max_iter && !done_early; i++) {
        const double before = model.noise;
        LODE_TRY(lode_i_tick(ctx, i, o->max_iter));
        LODE_TRY(lode_i_ppca_sweep(ctx, &X, &model));
        done_early = i > 2 && fabs(model.noise - before) <= o->tol * model.noise;
    }
    LODE_TRY(rotate(ctx, &model, o->center, p));
    LODE_TRY(lode_i_masked_residual(ctx, &X, &p->mean, &p->V, &p->scores, &p->residual, &p->norm));
    if (!done_early) {
        lode_i_fail(ctx, LODE_NOCONV,
                    "pca: %" PRId64
                    " sweeps did not settle the missing values to %g; raise --max-iter",
                    o->max_iter, o->tol);
        st = LODE_NOCONV;
    }
done:
    LODE_FREE(&X, &given, &model.W, &model.mean, &model.Z);
    return st;
}

/* ---- result ---- */

/* Members in port order, certificate and shape from the parts. */
lode_status lode_i_pca_pack(lode_ctx *ctx, lode_pca_parts *p, lode_dtype dtype, lode_bundle *model)
{
    lode_status st = LODE_OK;
    lode_array cast[4] = { { 0 } }, ratio = { 0 };
    const lode_array *from[] = { &p->V, &p->mean, &p->s, &p->scores };
    const int64_t k = p->s.shape[0], m = p->scores.shape[0], n = p->V.shape[0];
    double explained = 0;
    for (int64_t c = 0; c < k; c++)
        explained += lode_i_get1(&p->s, c) * lode_i_get1(&p->s, c);
    const double total = explained + p->residual * p->residual;
    const double free_values = p->entries - (double)(k * (m + n - k));
    LODE_TRY(lode_i_vector_new(ctx, dtype, k, &ratio));
    for (int64_t c = 0; c < k; c++)
        lode_i_set1(&ratio, c,
                    total > 0 ? lode_i_get1(&p->s, c) * lode_i_get1(&p->s, c) / total : 0);
    for (int i = 0; i < 4; i++) {
        LODE_TRY(lode_array_cast(ctx, from[i], dtype, &cast[i]));
        LODE_TRY(lode_bundle_add_array(ctx, model, out[i].name, &cast[i]));
    }
    LODE_TRY(lode_bundle_add_array(ctx, model, "ratio", &ratio));
    LODE_TRY(lode_bundle_add_f64(ctx, model, "total", total));
    LODE_TRY(
        lode_bundle_add_f64(ctx, model, "noise", p->residual * p->residual / fmax(free_values, 1)));
    LODE_TRY(lode_bundle_add_i64(ctx, model, "rows", m));
    model->meta.has_shape = true, model->meta.dtype = dtype, model->meta.ndim = 2;
    model->meta.shape[0] = m, model->meta.shape[1] = n;
    model->certificate = (lode_certificate){
        .kind = p->bound ? LODE_CERT_BOUND : LODE_CERT_MEASURED,
        .norm = LODE_NORM_FRO,
        .relative = true,
        .needs_original = true,
        .absolute = p->residual,
        .value = p->norm > 0 ? p->residual / p->norm : 0,
        .asked = NAN,
        .quantity = "||X - 1 mean' - scores V'||",
    };
    if (p->entries < (double)m * (double)n)
        snprintf(model->certificate.quantity, sizeof model->certificate.quantity,
                 "||X - 1 mean' - scores V'||, observed values");
done:
    for (int i = 0; i < 4; i++)
        LODE_FREE(&cast[i]);
    LODE_FREE(&ratio);
    return st;
}

lode_status lode_pca(lode_ctx *ctx, const lode_pca_opts *o, lode_value X, lode_bundle *model)
{
    lode_status st = LODE_OK;
    lode_plan p = { 0 };
    lode_pca_parts parts = { 0 };
    lode_bundle local = { 0 };
    lode_dtype dtype = LODE_F64;
    lode_matrix_info info = { .kind = X.kind };
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM];

    LODE_ENTER(&lode_op_pca, o, &p, X);
    LODE_TRY(lode_i_refuse_infinities(ctx, "pca", &o->missing, "component"));
    lode_i_value_shape(X, &dtype, &ndim, shape);
    info.rows = shape[0], info.cols = shape[1], info.dtype = lode_i_arith(dtype);
    lode_status fitted = LODE_EDOMAIN;
    if (o->missing.kind != LODE_MISSING_VALUE || !may_miss(o, X.kind))
        fitted = fit_complete(ctx, o, X, &info, &p, &parts);
    /* the first product met a value that is not finite */
    if (fitted == LODE_EDOMAIN && may_miss(o, X.kind)) {
        lode_i_pca_free(&parts);
        parts = (lode_pca_parts){ 0 };
        p.workspace += missing_workspace(ctx, &info, X, p.number[0]);
        p.slab = 0, p.resident = 0;
        snprintf(p.algorithm, sizeof p.algorithm, "EM over observed values");
        LODE_TRY(lode_i_refine(ctx, &lode_op_pca, &p));
        fitted = fit_missing(ctx, o, X, p.number[0], &parts);
    }
    LODE_TRY(fitted);
    LODE_TRY(lode_i_pca_pack(ctx, &parts, lode_i_arith(dtype), &local));
    lode_bundle_swap(model, &local);
done:
    lode_i_pca_free(&parts);
    LODE_FREE(&local);
    LODE_LEAVE();
    return st;
}

static lode_status run(lode_ctx *ctx, const lode_call *c, lode_bundle *result)
{
    return lode_pca(ctx, lode_call_opts(c), c->in[0], result);
}

const lode_op lode_op_pca = {
    .name = "pca",
    .family = "matrix",
    .job = LODE_EXPLAIN,
    .brief = "principal components, with missing values",
    .doi = "10.1111/1467-9868.00196 10.1007/s11263-007-0075-7",
    .example = "lode pca A.npy --rank 5 -o pca.lode",
    .words = "principal component analysis reduce dimension eof variance nan missing incremental "
             "streaming",
    .params = params,
    .opts_size = sizeof(lode_pca_opts),
    .in = in,
    .out = out,
    .certificate = LODE_CERT_MEASURED,
    .checkpoint = true,
    .plan = plan,
    .run = run,
    .apply = lode_i_pca_apply,
    .invert = lode_i_pca_invert,
    .update = lode_i_pca_update,
    .merge = lode_i_pca_merge,
    .verify = lode_i_pca_verify,
    .plot = lode_i_pca_plot,
};
