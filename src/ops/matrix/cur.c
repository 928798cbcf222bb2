/* cur: A ~ F G H, one entry for decompositions by a range and a corange.
 *
 * Given F = A X and H = Y^H A, G solves the projector equation (F G Y^H is a projector onto F's columns,
 * X G H one along H's rows) and A = F G H where ranks allow: G = (Y^H A X)^+. X and Y that choose make it
 * CUR, random ones generalized Nystrom, bases QR, UTV and SVD. Where the error counts more than a pass,
 * G = F^+ A H^+ is the best between these factors.
 *
 * Source: Karpowicz, doi:10.48550/arXiv.2111.14385 (projector and reconstruction equations, from which QR,
 * UTV, SVD, generalized Nystrom and CUR); Nakatsukasa, doi:10.48550/arXiv.2009.11392 (oversampled Y, the
 * pseudoinverse cut at rounding); Sorensen & Embree, SIAM J. Sci. Comput. 38 (2016), doi:10.1137/140978430
 * (DEIM); Mahoney & Drineas, PNAS 106 (2009), doi:10.1073/pnas.0803205106 (leverage scores). Departures:
 * rows are chosen by pivots on the columns chosen; leverage scores draw without replacement; with an error
 * the rank is first that of a pivoted QR to half of it. Claim tested: exact at the rank, projectors, Nystrom
 * with selectors is CUR, Moore-Penrose conditions, errors near the tail with oversampling. */
#include <math.h>

#include "ops/matrix/cur.h"

static const lode_param params[] = {
    { LODE_PARAM(lode_cur_opts, rank), .min = 1, .max = 1e9,
      .help = "columns of F: R, or auto (from the error)" },
    { LODE_PARAM(lode_cur_opts, error), .min = 0, .max = 1e300,
      .help = "error wanted in total: 1e-3 (relative Frobenius) or E:fro" },
    { LODE_PARAM(lode_cur_opts, max_rank), .min = 1, .max = 1e9, .help = LODE_HELP_MAX_RANK },
    { LODE_PARAM(lode_cur_opts, range), .def = LODE_CUR_SELECT,
      .choices = "columns|sketch|qr|svd|fit",
      .help = "F: columns of A, random combinations, a basis of those, singular vectors, or what "
              "fits H best" },
    { LODE_PARAM(lode_cur_opts, corange), .def = LODE_CUR_SELECT,
      .choices = "rows|sketch|qr|svd|fit",
      .help = "H: rows of A, random combinations, a basis of those, singular vectors, or what fits "
              "F best" },
    { LODE_PARAM(lode_cur_opts, core), .def = LODE_CUR_AUTO,
      .choices = "auto|cross|best|interpolate",
      .help = "G: pseudoinverse of Y'AX, best between F and H, or A[rows, cols] between factors "
              "that interpolate; auto: cross with sketches" },
    { LODE_PARAM(lode_cur_opts, choice), .def = LODE_CUR_PIVOTS, .choices = "pivots|leverage|deim",
      .help = "columns and rows by pivoted QR of a sketch, at random by leverage, or DEIM points" },
    { LODE_PARAM(lode_cur_opts, oversampling), .min = 0, .max = 1e6,
      .help = "rows of H beyond the rank; auto: half the rank for a sketch, else none" },
    { LODE_PARAM(lode_cur_opts, power_iter), .def = 1, .min = 0, .max = 64,
      .help = LODE_HELP_POWER_ITER },
    { LODE_PARAM(lode_cur_opts, cutoff), .min = 0, .max = 1,
      .help =
          "singular values that a pseudoinverse leaves out, relative; auto: 16 eps sqrt(rank)" },
    { 0 },
};
static const lode_port in[] = {
    { "A", "m,n", .kinds = LODE_DENSE | LODE_KIND_BIT(LODE_SPARSE), .types = LODE_NUMBERS,
      .help = "matrix to factor" },
    { 0 },
};
static const lode_port out[] = {
    { "F", "m,k", .kinds = LODE_KIND_BIT(LODE_ARRAY) | LODE_KIND_BIT(LODE_SPARSE),
      .help = "range; sparse where it is columns of a sparse A" },
    { "G", "k,l", .help = "core" },
    { "H", "l,n", .kinds = LODE_KIND_BIT(LODE_ARRAY) | LODE_KIND_BIT(LODE_SPARSE),
      .help = "corange; sparse where it is rows of a sparse A" },
    { "cols", "k", .types = LODE_BIT(I64), .optional = true, .help = "columns chosen" },
    { "rows", "l", .types = LODE_BIT(I64), .optional = true, .help = "rows chosen" },
    { 0 },
};

LODE_DEFAULTS(cur)

/* ---- what will be done ---- */

static lode_status check_factors(lode_ctx *ctx, const lode_cur_opts *o)
{
    lode_status st = LODE_OK;
    const bool products = o->range <= LODE_CUR_SKETCH && o->corange <= LODE_CUR_SKETCH;
    const bool chosen = o->range == LODE_CUR_SELECT && o->corange == LODE_CUR_SELECT;
    LODE_REQUIRE(o->range != LODE_CUR_FIT || o->corange != LODE_CUR_FIT, LODE_EUSAGE,
                 "cur: range and corange cannot both be fit, which follows from the other");
    LODE_REQUIRE(o->core != LODE_CUR_CROSS || products, LODE_EUSAGE,
                 "cur: core cross takes columns or a sketch as range and rows or a sketch as "
                 "corange");
    LODE_REQUIRE(o->core != LODE_CUR_INTERPOLATE || chosen, LODE_EUSAGE,
                 "cur: core interpolate takes range columns and corange rows");
    LODE_REQUIRE(o->choice == LODE_CUR_PIVOTS || o->corange != LODE_CUR_SELECT ||
                     !o->oversampling.given || o->oversampling.value == 0 ||
                     o->choice == LODE_CUR_LEVERAGE,
                 LODE_EUSAGE, "cur: DEIM gives one row for each column: no oversampling");
done:
    return st;
}

static lode_status check_request(lode_ctx *ctx, const lode_cur_opts *o, const lode_matrix_info *A)
{
    lode_status st = LODE_OK;
    const int64_t r = lode_i_min(A->rows, A->cols);
    const bool error = o->error.kind != LODE_ERROR_NONE;
    LODE_REQUIRE(o->rank.count <= 1, LODE_EPARAM, "cur: a matrix has one rank, not %d",
                 (int)o->rank.count);
    LODE_REQUIRE(!error || o->error.kind == LODE_ERROR_REL || o->error.kind == LODE_ERROR_FRO,
                 LODE_EPARAM,
                 "cur: the error is relative Frobenius (1e-3) or absolute Frobenius (1e-3:fro), "
                 "nothing pointwise");
    LODE_REQUIRE(error != (o->rank.count > 0), LODE_EUSAGE,
                 "cur: give %s the rank R or the error E; max_rank caps the rank that an error "
                 "leads to",
                 error ? "either" : "one of them,");
    LODE_REQUIRE(o->rank.count == 0 || o->rank.value[0] <= r, LODE_ESHAPE,
                 "cur: rank %" PRId64 " > min(m, n) = %" PRId64 " of A, which is %" PRId64
                 " x %" PRId64,
                 o->rank.value[0], r, A->rows, A->cols);
    LODE_TRY(check_factors(ctx, o));
done:
    return st;
}

static uint64_t output_bytes(const lode_cur_opts *o, const lode_matrix_info *A, int64_t k)
{
    const int64_t l = k + lode_i_cur_more(o, k, lode_i_min(A->rows, A->cols));
    /* sparse factors: at most A itself each */
    const uint64_t entry = lode_i_bytes(A->dtype, 1, 1) + 8;
    const uint64_t sparse = A->kind == LODE_SPARSE
                                ? 2 * (uint64_t)A->nonzeros * entry + 8 * (uint64_t)(A->rows + l)
                                : 0;
    return lode_i_bytes(A->dtype, A->rows + A->cols + k, l) + lode_i_bytes(LODE_I64, 2, l) +
           sparse + 8192;
}

static lode_pqr_opts search(const lode_cur_opts *o, int64_t most)
{
    lode_pqr_opts q = { .pivoting = LODE_I_PIVOT_SKETCH,
                        .most = most,
                        .block = lode_i_min(64, most),
                        .oversampling = 8,
                        .op = "cur" };
    if (o->error.kind == LODE_ERROR_REL)
        q.tail_rel = fmax(o->error.value / 2, 1e-300);
    else
        q.tail = fmax(o->error.value / 2, 1e-300);
    return q;
}

static uint64_t workspace(const lode_ctx *ctx, const lode_cur_opts *o, int64_t k, lode_value A,
                          const lode_matrix_info *info)
{
    uint64_t bytes = lode_i_cur_memory(ctx, o, k, A);
    if (info->kind == LODE_SPARSE)
        bytes += 2 * (uint64_t)info->nonzeros * (lode_i_bytes(info->dtype, 1, 1) + 8) +
                 8 * (uint64_t)(info->rows + info->cols);
    if (o->rank.count == 0) {
        const lode_pqr_opts q = search(o, k);
        const uint64_t finding = lode_i_pqr_memory(ctx, &q, A) +
                                 lode_i_bytes(info->dtype, info->rows + info->cols, k);
        bytes = bytes > finding ? bytes : finding;
    }
    return bytes;
}

static lode_status plan(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    static const char *const ranges[] = { "columns", "sketch", "basis", "singular vectors",
                                          "fitted range" };
    static const char *const coranges[] = { "rows", "sketch", "basis", "singular vectors",
                                            "fitted" };
    static const char *const cores[] = { "", "cross", "best", "interpolating" };
    const lode_cur_opts *o = lode_call_opts(c);
    const lode_matrix_info A = lode_call_matrix(c, 0);
    LODE_FORWARD(check_request(ctx, o, &A));
    int64_t k = o->rank.count > 0 ? o->rank.value[0] : lode_i_min(A.rows, A.cols);
    k = o->max_rank.given ? lode_i_min(k, o->max_rank.value) : k;
    const uint64_t left = lode_i_memory_left(ctx);
    if (o->rank.count == 0 && !o->max_rank.given) /* so many as fit, in whole blocks */
        while (k > 128 && workspace(ctx, o, k, c->in[0], &A) + output_bytes(o, &A, k) > left)
            k = (k / 2 + 63) / 64 * 64;
    p->number[0] = k;
    p->workspace = workspace(ctx, o, k, c->in[0], &A);
    p->output = output_bytes(o, &A, k);
    p->slab = A.kind == LODE_SOURCE ? lode_i_linop_slab(ctx, c->in[0].as.source) : 0;
    p->passes = 8 + 4 * (double)o->power_iter;
    const double work = lode_i_is_complex(A.dtype) ? 8 : 2;
    p->flops = work * ((double)A.nonzeros * (double)k * p->passes +
                       8 * (double)(A.rows + A.cols) * (double)k * (double)k);
    p->seconds = p->flops / fmax(lode_i_gemm_rate(ctx, A.dtype), 1);
    snprintf(p->algorithm, sizeof p->algorithm, "%s, %s core, %s", ranges[o->range],
             o->range == LODE_CUR_FIT || o->corange == LODE_CUR_FIT ? "no"
                                                                    : cores[lode_i_cur_core(o)],
             coranges[o->corange]);
    return LODE_OK;
}

/* ---- the model ---- */

/* F, G or H back in the unit of A, and within its type. */
static lode_status unscale(lode_ctx *ctx, lode_array *a, const char *name, double scale, int degree)
{
    lode_status st = LODE_OK;
    lode_stats s;
    const double factor = degree > 0 ? 1 / scale : degree < 0 ? scale : 1;
    const double limit = lode_i_is_single(a->dtype) ? 3.4028234e38 : 1.7976931e308;
    if (!(factor > 1 || factor < 1))
        return LODE_OK;
    LODE_TRY(lode_i_stats(ctx, a, &s));
    LODE_REQUIRE(factor < 1 || s.maxabs <= limit / factor, LODE_EDOMAIN,
                 "cur: the entries of %s leave the range of %s: scale A", name,
                 lode_dtype_name(a->dtype));
    LODE_TRY(lode_i_scale(ctx, factor, a));
done:
    return st;
}

static lode_status add_sparse(lode_ctx *ctx, const lode_sparse *A, int axis,
                              const lode_array *index, const char *name, lode_dtype dtype,
                              lode_bundle *b)
{
    lode_status st = LODE_OK;
    lode_sparse part = { 0 };
    lode_array values = { 0 };
    LODE_TRY(lode_i_take_csr(ctx, A, axis, index, &part));
    LODE_TRY(lode_i_as(ctx, &part.values, dtype, &values));
    lode_array_swap(&part.values, &values);
    LODE_TRY(lode_bundle_add_sparse(ctx, b, name, &part));
done:
    LODE_FREE(&part, &values);
    return st;
}

static lode_status give(lode_ctx *ctx, lode_i_cur *w, lode_value A, double scale, lode_bundle *b)
{
    lode_status st = LODE_OK;
    lode_array H = { 0 }, turned = { 0 };
    const bool sparse = A.kind == LODE_SPARSE && w->core != LODE_CUR_INTERPOLATE;
    LODE_TRY(unscale(ctx, &w->F, "F", scale, w->degree[0]));
    LODE_TRY(unscale(ctx, &w->G, "G", scale, w->degree[1]));
    LODE_TRY(unscale(ctx, &w->Hh, "H", scale, w->degree[2]));
    if (sparse && w->cols.data)
        LODE_TRY(add_sparse(ctx, A.as.sparse, 1, &w->cols, "F", w->A->dtype, b));
    else
        LODE_TRY(lode_bundle_add_array(ctx, b, "F", &w->F));
    LODE_TRY(lode_bundle_add_array(ctx, b, "G", &w->G));
    if (sparse && w->rows.data) {
        LODE_TRY(add_sparse(ctx, A.as.sparse, 0, &w->rows, "H", w->A->dtype, b));
    } else {
        LODE_TRY(lode_i_conj(ctx, &w->Hh));
        turned = lode_i_transposed(&w->Hh);
        LODE_TRY(lode_array_cast(ctx, &turned, w->Hh.dtype, &H));
        LODE_TRY(lode_bundle_add_array(ctx, b, "H", &H));
    }
    if (w->cols.data)
        LODE_TRY(lode_bundle_add_array(ctx, b, "cols", &w->cols));
    if (w->rows.data)
        LODE_TRY(lode_bundle_add_array(ctx, b, "rows", &w->rows));
done:
    lode_array_free(&H);
    return st;
}

/* ||A - (F G) H||_F. */
static lode_status measure(lode_ctx *ctx, const lode_i_cur *w, double *error)
{
    lode_status st = LODE_OK;
    lode_array L = { 0 };
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &w->F, &w->G, &L));
    LODE_TRY(w->A->norm(ctx, w->A, &L, &w->Hh, error));
done:
    lode_array_free(&L);
    return st;
}

/* The rank that a pivoted QR takes to half of the error: what is left for the other side. */
static lode_status find_rank(lode_ctx *ctx, const lode_cur_opts *o, const lode_linop *A,
                             int64_t most, int64_t *k)
{
    lode_status st = LODE_OK;
    lode_array Q = { 0 }, R = { 0 }, order = { 0 };
    lode_pqr_info info = { 0 };
    const lode_pqr_opts q = search(o, most);
    LODE_TRY(lode_i_pqr(ctx, A, &q, &Q, &R, &order, &info));
    *k = lode_i_max(lode_i_min(1, most), Q.shape[1]);
done:
    LODE_FREE(&Q, &R, &order);
    return st;
}

static lode_status attempt(lode_ctx *ctx, const lode_cur_opts *o, const lode_linop *A,
                           const lode_linop *adjoint, int64_t k, lode_i_cur *w, double *error)
{
    lode_status st = LODE_OK;
    lode_i_cur_free(w);
    *w = (lode_i_cur){ .o = o, .A = A, .adjoint = adjoint, .k = k, .core = lode_i_cur_core(o) };
    w->l = k + lode_i_cur_more(o, k, lode_i_min(A->rows, A->cols));
    w->cutoff = o->cutoff.given ? o->cutoff.value
                                : 16 * lode_i_epsilon(A->dtype) * sqrt((double)lode_i_max(k, 1));
    LODE_TRY(lode_i_cur_factors(ctx, w));
    LODE_TRY(measure(ctx, w, error));
done:
    return st;
}

static void say(const lode_i_cur *w, lode_certificate *c)
{
    if (w->kept >= 0)
        snprintf(c->note, sizeof c->note,
                 "rank %" PRId64 "; pseudoinverses keep %" PRId64 " values, above %.1e of the "
                 "largest",
                 w->k, w->kept, w->cutoff);
    else
        snprintf(c->note, sizeof c->note, "rank %" PRId64, w->k);
}

lode_status lode_cur(lode_ctx *ctx, const lode_cur_opts *o, lode_value A, lode_bundle *model)
{
    lode_status st = LODE_OK;
    lode_linop *given = NULL, *scaled = NULL, *adjoint = NULL;
    lode_bundle b = { 0 };
    lode_i_cur w = { 0 };
    lode_plan p = { 0 };
    double norm = 0, used = 0, error = 0;
    lode_certificate c = { .kind = LODE_CERT_MEASURED,
                           .norm = LODE_NORM_FRO,
                           .needs_original = true,
                           .quantity = "||A - F G H||",
                           .asked = NAN };

    LODE_ENTER(&lode_op_cur, o, &p, A);
    const bool wanted = o->error.kind != LODE_ERROR_NONE;
    LODE_TRY(lode_linop_from(ctx, A, &given));
    LODE_TRY(lode_i_linop_kept(ctx, "A", &given));
    LODE_TRY(lode_i_linop_norm(ctx, given, &norm));
    const double scale = lode_i_safe_scale(given->dtype, norm);
    LODE_TRY(lode_i_linop_times(ctx, given, scale, &scaled));
    const lode_linop *op = scale > 1 || scale < 1 ? scaled : given;
    LODE_TRY(lode_i_linop_norm(ctx, op, &used));
    LODE_TRY(lode_i_linop_adjoint(ctx, op, &adjoint));
    const int64_t r = lode_i_min(op->rows, op->cols), most = p.number[0];
    int64_t k = most;
    lode_i_stage(ctx, "rank", 0, wanted ? 0.5 : 0);
    if (wanted)
        LODE_TRY(find_rank(ctx, o, given, most, &k));
    const double target = o->error.kind == LODE_ERROR_REL ? o->error.value * used
                                                          : o->error.value * scale;
    lode_i_stage(ctx, "factors", wanted ? 0.5 : 0, 1);
    LODE_TRY(attempt(ctx, o, op, adjoint, k, &w, &error));
    while (wanted && error > target && k < most) {
        k = lode_i_min(most, k + lode_i_max(2, k / 4));
        LODE_TRY(attempt(ctx, o, op, adjoint, k, &w, &error));
    }
    const bool reached = !wanted || error <= target * (1 + 1e-6) || k == r;
    LODE_REQUIRE(reached || k < most || o->max_rank.given, LODE_EBUDGET,
                 "cur: more than rank %" PRId64
                 " is needed, which does not fit in memory: give more memory or max_rank",
                 most);
    c.absolute = error / scale;
    c.relative = o->error.kind != LODE_ERROR_FRO;
    c.value = !c.relative ? c.absolute : used > 0 ? error / used : 0;
    c.asked = wanted ? o->error.value : NAN;
    say(&w, &c);
    if (!reached && st == LODE_OK)
        st = lode_i_fail(ctx, LODE_MISSED,
                         "cur: max_rank %" PRId64 " leaves a %s error of %.3g, not %.3g: raise "
                         "max_rank",
                         k, c.relative ? "relative" : "Frobenius", c.value, o->error.value);
    LODE_TRY(give(ctx, &w, A, scale, &b));
    b.meta.has_shape = true, b.meta.dtype = op->dtype, b.meta.ndim = 2;
    b.meta.shape[0] = op->rows, b.meta.shape[1] = op->cols;
    b.certificate = c;
    lode_bundle_swap(model, &b);
done:
    LODE_LEAVE();
    lode_i_cur_free(&w);
    LODE_FREE(&given, &scaled, &adjoint, &b);
    return st;
}

static lode_status run(lode_ctx *ctx, const lode_call *c, lode_bundle *result)
{
    return lode_cur(ctx, lode_call_opts(c), c->in[0], result);
}

const lode_op lode_op_cur = {
    .name = "cur",
    .family = "matrix",
    .job = LODE_EXPLAIN,
    .brief = "A ~ F G H from a range and a corange: CUR, Nystrom, interpolative, QR, UTV, SVD",
    .doi = "10.48550/arXiv.2111.14385 10.48550/arXiv.2009.11392",
    .example = "lode cur A.npy --rank 10 -o cur.lode",
    .words =
        "meta factorization column subset row selection skeleton interpolative decomposition id "
        "generalized nystrom leverage scores deim cross pseudoinverse utv",
    .params = params,
    .opts_size = sizeof(lode_cur_opts),
    .in = in,
    .out = out,
    .certificate = LODE_CERT_MEASURED,
    .checkpoint = true,
    .plan = plan,
    .run = run,
    .apply = lode_i_cur_apply,
    .invert = lode_i_cur_invert,
    .verify = lode_i_cur_verify,
    .plot = lode_i_cur_plot,
};
