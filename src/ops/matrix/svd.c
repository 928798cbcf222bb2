/* svd: singular value decomposition, truncated to a rank or to an error.
 *
 * Small matrices, and ranks that are a large share of min(m, n), are decomposed whole by LAPACK;
 * tall and wide ones with a side up to 512 through the Gram matrix of that side, in two passes.
 * Others by a block Krylov space of A^H A from a random block: after q steps it holds p(A^H A)
 * Omega for every polynomial p of degree below q, the best of which beats subspace iteration of the
 * same cost. Steps go on until the residuals say that every singular value is right.
 *
 * Source: Musco & Musco, NIPS 2015, doi:10.48550/arXiv.1504.05477 (Algorithm 2); Halko, Martinsson
 * & Tropp, SIAM Review
 * 53 (2011), doi:10.1137/090771806. Departures: blocks smaller than the rank, full
 * reorthogonalization in place of one QR of the whole Krylov matrix (which loses what lies below
 *                        eps^(1/q)), thick restart, and a stopping test in place of a
 * number of steps fixed in advance. Claim tested: Krylov steps beat subspace iteration at equal
 * products. */
#include <math.h>

#include "ops/matrix/svd.h"

enum { ALL_UP_TO = 2000, SMALL_SIDE = 512 };

static const lode_param params[] = {
    { LODE_PARAM(lode_svd_opts, rank), .min = 1, .max = 1e9,
      .help = "singular triplets to keep: R, or auto (from the error; without one all of them, up "
              "to 2000)" },
    { LODE_PARAM(lode_svd_opts, error), .min = 0, .max = 1e300,
      .help = "error wanted in total: 1e-3 (relative Frobenius) or E:fro; the smallest rank within "
              "it is taken" },
    { LODE_PARAM(lode_svd_opts, max_rank), .min = 1, .max = 1e9, .help = LODE_HELP_MAX_RANK },
    { LODE_PARAM(lode_svd_opts, method), .def = LODE_SVD_AUTO,
      .choices = "auto|krylov|golub-kahan|full|gram",
      .help = "block Krylov on A'A, Golub-Kahan on both sides, all triplets by LAPACK, or A'A of a "
              "tall A (AA' of a wide one)" },
    { LODE_PARAM(lode_svd_opts, oversampling), .min = 0, .max = 1e6,
      .help = "columns of a block beyond the rank; auto: smaller blocks and more steps" },
    { LODE_PARAM(lode_svd_opts, tol), .min = 1e-15, .max = 1,
      .help = LODE_HELP_TOL
      ": relative error of each singular value; auto: 1e-6, or 5e-5 in single precision" },
    { LODE_PARAM(lode_svd_opts, max_iter), .def = 1000, .min = 1, .max = 1e6,
      .help = "block steps at most" },
    { 0 },
};
static const lode_port in[] = { { "A", "m,n", .kinds = LODE_ANY_MATRIX, .types = LODE_NUMBERS,
                                  .help = "matrix to factor" },
                                { 0 } };
static const lode_port out[] = {
    { "U", "m,k", .help = "left singular vectors, orthonormal columns" },
    { "s", "k", .help = "singular values, descending, unit of A" },
    { "V", "n,k", .help = "right singular vectors, orthonormal columns" },
    { 0 },
};

LODE_DEFAULTS(svd)

/* ---- what will be done, from shape, type and options alone ---- */

typedef enum choice { RANK, METHOD, WIDTH, BASIS, HELD } choice; /* in plan->number */

static lode_status check_request(lode_ctx *ctx, const lode_svd_opts *o, lode_value given,
                                 const lode_matrix_info *A)
{
    lode_status st = LODE_OK;
    const int64_t r = lode_i_min(A->rows, A->cols);
    const bool error = o->error.kind != LODE_ERROR_NONE;
    const bool products = A->kind == LODE_CALLBACK ||
                          (A->kind == LODE_LINOP && !given.as.linop->norm);
    LODE_REQUIRE(o->rank.count <= 1, LODE_EPARAM, "svd: a matrix has one rank, not %d",
                 (int)o->rank.count);
    LODE_REQUIRE(!error || o->error.kind == LODE_ERROR_REL || o->error.kind == LODE_ERROR_FRO,
                 LODE_EPARAM,
                 "svd: the error is relative Frobenius (1e-3) or absolute Frobenius (1e-3:fro), "
                 "nothing pointwise");
    LODE_REQUIRE(
        !error || o->rank.count == 0, LODE_EUSAGE,
        "svd: give the rank or the error, not both; max_rank caps the rank that an error leads to");
    LODE_REQUIRE(!error || !products, LODE_EUSAGE,
                 "svd: A is known by products alone, which do not tell its norm, so no error can "
                 "be asked for: give the rank");
    LODE_REQUIRE(o->method != LODE_SVD_GRAM || A->kind == LODE_ARRAY || A->kind == LODE_SOURCE,
                 LODE_EUSAGE, "svd: method gram takes an array or a file of one, not %s",
                 lode_kind_name(A->kind));
    LODE_REQUIRE(o->rank.count == 0 || o->rank.value[0] <= r, LODE_ESHAPE,
                 "svd: rank %" PRId64 " > min(m, n) = %" PRId64 " of A, which is %" PRId64
                 " x %" PRId64,
                 o->rank.value[0], r, A->rows, A->cols);
    LODE_REQUIRE(o->rank.count > 0 || error || r <= ALL_UP_TO || o->max_rank.given, LODE_EUSAGE,
                 "svd: A is %" PRId64 " x %" PRId64 " and all %" PRId64
                 " triplets are seldom wanted: give rank R or error E (rank %" PRId64 " for all)",
                 A->rows, A->cols, r, r);
done:
    return st;
}

static lode_svds_opts request(const lode_svd_opts *o, int64_t k)
{
    lode_svds_opts s = { .rank = k, .max_iter = o->max_iter, .op = "svd" };
    s.tol = o->tol.given ? o->tol.value : 0;
    if (o->error.kind == LODE_ERROR_REL)
        s.tail_rel = fmax(o->error.value, 1e-300);
    if (o->error.kind == LODE_ERROR_FRO)
        s.tail = fmax(o->error.value, 1e-300);
    return s;
}

static lode_svd_method choose(const lode_svd_opts *o, const lode_matrix_info *A, int64_t k,
                              bool error)
{
    const int64_t r = lode_i_min(A->rows, A->cols), long_side = lode_i_max(A->rows, A->cols);
    const bool entries = A->kind == LODE_ARRAY || A->kind == LODE_SOURCE;
    const lode_svds_opts s = request(o, k);
    if (o->method != LODE_SVD_AUTO)
        return o->method;
    if (r <= 64 && long_side <= 4096)
        return LODE_SVD_FULL;
    if (entries && lode_i_svds_narrow(&s, A->rows, A->cols, A->dtype))
        return LODE_SVD_GRAM;
    if (error ? r <= SMALL_SIDE && entries : 4 * k >= r && r <= 4 * SMALL_SIDE)
        return LODE_SVD_FULL;
    /* below this the squares of singular values cannot be told from rounding */
    if (o->error.kind == LODE_ERROR_REL && o->error.value < 8 * sqrt(lode_i_epsilon(A->dtype)))
        return LODE_SVD_GOLUB_KAHAN;
    return LODE_SVD_KRYLOV;
}

static lode_svds_opts iteration(const lode_svd_opts *o, const lode_matrix_info *A, int64_t k,
                                lode_svd_method method)
{
    lode_svds_opts s = request(o, k);
    s.fused = A->kind == LODE_ARRAY || A->kind == LODE_SOURCE;
    s.two_sided = method == LODE_SVD_GOLUB_KAHAN, s.one_sided = method == LODE_SVD_KRYLOV;
    s.gram = method == LODE_SVD_GRAM;
    if (o->oversampling.given)
        s.block = k + o->oversampling.value;
    lode_i_svds_sizes(&s, A->rows, A->cols, A->nonzeros < A->rows * A->cols / 4);
    return s;
}

static uint64_t output_bytes(const lode_matrix_info *A, int64_t k)
{
    return lode_i_bytes(A->dtype, A->rows + A->cols + 1, k) + 4096;
}

/* The rank that an error leads to is not known yet. Where the largest would not fit, the plan is all
 * that is left: what turns out small enough then runs, the rest is refused when the rank is known. */
static void leave_open(const lode_ctx *ctx, const lode_svd_opts *o, lode_value given,
                       const lode_matrix_info *A, lode_plan *p)
{
    const uint64_t left = lode_i_memory_left(ctx), least = output_bytes(A, 1);
    const lode_svds_opts s = iteration(o, A, 1, (lode_svd_method)p->number[METHOD]);
    const uint64_t needed = lode_i_svds_memory(ctx, &s, given);
    if (p->workspace + p->output <= left)
        return;
    p->output = least;
    p->workspace = needed + least <= left ? left - least : needed;
}

static lode_status plan(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    const lode_svd_opts *o = lode_call_opts(c);
    const lode_matrix_info A = lode_call_matrix(c, 0);
    const int64_t r = lode_i_min(A.rows, A.cols);
    const bool error = o->error.kind != LODE_ERROR_NONE, complex_type = lode_i_is_complex(A.dtype);
    LODE_FORWARD(check_request(ctx, o, c->in[0], &A));
    int64_t k = o->rank.count > 0 ? o->rank.value[0] : r;
    k = o->max_rank.given ? lode_i_min(k, o->max_rank.value) : k;
    const lode_svd_method method = choose(o, &A, k, error);
    const bool source = A.kind == LODE_SOURCE, entries = source || A.kind == LODE_ARRAY;
    const uint64_t mn = lode_i_bytes(A.dtype, A.rows, A.cols), rr = lode_i_bytes(A.dtype, r, r);
    const double work = complex_type ? 8 : 2;
    p->number[RANK] = k, p->number[METHOD] = method;
    p->output = output_bytes(&A, k);
    if (method == LODE_SVD_FULL) {
        p->passes = 2; /* the second measures the error */
        p->flops = work *
                   (2 * (double)r * (double)r * (double)(A.rows + A.cols) + 10 * pow((double)r, 3));
        p->resident = source ? mn : 0;
        p->workspace = lode_i_linop_workspace(ctx, c->in[0], lode_i_max(k, 32)) + 2 * p->output +
                       5 * mn + 12 * rr + (entries ? 0 : mn) +
                       lode_i_bytes(A.dtype, A.rows + A.cols, r);
        snprintf(p->algorithm, sizeof p->algorithm, "all %" PRId64 " triplets by LAPACK%s", r,
                 k < r || error ? ", then cut" : "");
    } else {
        const lode_svds_opts s = iteration(o, &A, k, method);
        const double steps = error ? fmax(4, 3.0 * (double)k / (double)s.block)
                                   : 4 + 2.0 * (double)k / (double)s.block;
        p->block = s.block, p->number[WIDTH] = s.block, p->number[BASIS] = s.max_basis;
        p->slab = source ? lode_i_linop_slab(ctx, c->in[0].as.source) : 0;
        p->workspace = lode_i_svds_memory(ctx, &s, c->in[0]);
        if (error)
            leave_open(ctx, o, c->in[0], &A, p);
        p->resident = lode_i_svds_held(ctx, &s, c->in[0], p->workspace + p->output);
        p->number[HELD] = p->resident > 0;
        const bool once = method == LODE_SVD_KRYLOV && entries &&
                          !lode_i_svds_turned(A.rows, A.cols);
        p->passes = once ? steps + 1 : 2 * steps;
        p->flops = 2 * work * (double)A.nonzeros * (double)s.block * steps;
        if (method == LODE_SVD_GRAM) {
            p->passes = 2;
            p->flops = work * (double)A.nonzeros * ((double)r / 2 + (double)k);
            snprintf(p->algorithm, sizeof p->algorithm, "Gram matrix of the shorter side, %" PRId64,
                     r);
        } else {
            snprintf(p->algorithm, sizeof p->algorithm, "block %s, %" PRId64 " columns a step",
                     method == LODE_SVD_KRYLOV ? "Krylov" : "Golub-Kahan", s.block);
        }
    }
    p->seconds = p->flops / fmax(lode_i_gemm_rate(ctx, A.dtype), 1);
    return LODE_OK;
}

double lode_i_svd_target(const lode_svd_opts *o, double norm)
{
    return o->error.kind == LODE_ERROR_REL   ? o->error.value * norm
           : o->error.kind == LODE_ERROR_FRO ? o->error.value
                                             : -1;
}

int64_t lode_i_svd_tail_rank(const lode_array *s, double rest, double target)
{
    int64_t k = s->shape[0];
    double tail = rest;
    for (; k > 1; k--) {
        const double more = hypot(tail, lode_i_get1(s, k - 1));
        if (more > target)
            break;
        tail = more;
    }
    return k;
}

void lode_i_svd_meta(lode_bundle *b, lode_dtype dtype, int64_t rows, int64_t cols)
{
    b->meta.has_shape = true;
    b->meta.dtype = dtype;
    b->meta.ndim = 2;
    b->meta.shape[0] = rows, b->meta.shape[1] = cols;
}

/* ---- all triplets ---- */

/* A itself as an array; an operator's entries are its products with unit vectors, on the shorter
 * side. */
static lode_status entries_of(lode_ctx *ctx, lode_value A, const lode_linop *op, lode_array *a)
{
    lode_status st = LODE_OK;
    lode_array eye = { 0 }, y = { 0 }, view = { 0 };
    if (A.kind == LODE_ARRAY || A.kind == LODE_SOURCE) {
        LODE_TRY(lode_i_as_array(ctx, A, op->dtype, a));
        LODE_TRY(lode_i_require_finite(ctx, a, "A"));
        goto done;
    }
    const bool wide = op->cols > op->rows;
    LODE_TRY(lode_i_eye(ctx, op->dtype, wide ? op->rows : op->cols, &eye));
    LODE_TRY(op->apply(ctx, op, wide, &eye, &y));
    if (wide) {
        LODE_TRY(lode_i_conj(ctx, &y));
        view = lode_i_transposed(&y);
        LODE_TRY(lode_array_cast(ctx, &view, op->dtype, a));
    } else {
        lode_array_swap(a, &y);
    }
done:
    LODE_FREE(&eye, &view, &y);
    return st;
}

static lode_status full(lode_ctx *ctx, const lode_svd_opts *o, lode_value A, const lode_linop *op,
                        int64_t most, lode_array *U, lode_array *s, lode_array *V)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 }, scaled = { 0 }, part = { 0 }, cut = { 0 };
    double norm = 0;
    const int64_t r = lode_i_min(op->rows, op->cols);
    const bool error = o->error.kind != LODE_ERROR_NONE;
    LODE_TRY(entries_of(ctx, A, op, &a));
    LODE_TRY(lode_i_tick(ctx, 1, 4));
    LODE_TRY(lode_i_norm_fro(ctx, &a, &norm));
    LODE_REQUIRE(isfinite(norm), LODE_EDOMAIN,
                 "svd: the norm of A exceeds the range of f64; scale A");
    const double scale = lode_i_safe_scale(op->dtype, norm);
    if (scale > 1 || scale < 1) {
        LODE_TRY(lode_array_cast(ctx, &a, a.dtype, &scaled));
        LODE_TRY(lode_i_scale(ctx, scale, &scaled));
        lode_array_swap(&a, &scaled);
        lode_array_free(&scaled);
    }
    LODE_TRY(lode_i_svd(ctx, &a, error ? r : most, U, s, V));
    LODE_TRY(lode_i_tick(ctx, 3, 4));
    lode_array_free(&a);
    if (error && r > 0) {
        const int64_t k = lode_i_min(
            most, lode_i_svd_tail_rank(s, 0, lode_i_svd_target(o, norm) * scale));
        for (int i = 0; i < 3; i++) {
            lode_array *x = i == 0 ? U : i == 1 ? s : V;
            LODE_TRY(lode_array_slice(ctx, x, x->ndim - 1, 0, k, 1, &part));
            LODE_TRY(lode_array_cast(ctx, &part, x->dtype, &cut));
            lode_array_swap(x, &cut);
            LODE_FREE(&part, &cut);
        }
    }
    if (scale > 1 || scale < 1) {
        const double top = r > 0 ? lode_i_get1(s, 0) : 0,
                     limit = lode_i_is_single(op->dtype) ? 3.4028234e38 : 1.7976931e308;
        LODE_REQUIRE(top <= limit * fmin(scale, 1), LODE_EDOMAIN,
                     "svd: the largest singular value exceeds the range of %s; scale A",
                     lode_dtype_name(op->dtype));
        LODE_TRY(lode_i_scale(ctx, 1 / scale, s));
    }
    LODE_TRY(lode_i_canonical_signs(ctx, U, V));
done:
    LODE_FREE(&a, &scaled, &part, &cut);
    return st;
}

/* ---- certificate ---- */

static lode_status frobenius(lode_ctx *ctx, const lode_linop *A, double norm, bool direct,
                             const lode_array *U, const lode_array *s, const lode_array *V,
                             lode_certificate *c)
{
    if (direct)
        LODE_FORWARD(lode_i_svds_measure(ctx, A, U, s, V, &c->absolute));
    else
        LODE_FORWARD(lode_i_svds_error(ctx, A, norm, U, s, V, &c->absolute));
    c->norm = LODE_NORM_FRO;
    c->relative = true;
    c->value = norm > 0 ? c->absolute / norm : 0;
    snprintf(c->quantity, sizeof c->quantity, "||A - U diag(s) V^H||");
    return LODE_OK;
}

/* Where only products are known: the largest residual of a triplet, ||A^H u - s v|| over s_1. */
static lode_status residuals(lode_ctx *ctx, const lode_linop *A, const lode_array *U,
                             const lode_array *s, const lode_array *V, lode_certificate *c)
{
    lode_status st = LODE_OK;
    lode_array Z = { 0 }, Vs = { 0 }, column = { 0 };
    const double top = s->shape[0] > 0 ? lode_i_get1(s, 0) : 0;
    LODE_TRY(A->apply(ctx, A, true, U, &Z));
    LODE_TRY(lode_array_cast(ctx, V, V->dtype, &Vs));
    LODE_TRY(lode_i_scale_cols(ctx, &Vs, s));
    LODE_TRY(lode_i_axpy(ctx, -1, &Vs, &Z));
    for (int64_t i = 0; i < s->shape[0]; i++) {
        double norm = 0;
        lode_array_free(&column);
        column = lode_i_cols(&Z, i, i + 1);
        LODE_TRY(lode_i_norm_fro(ctx, &column, &norm));
        c->absolute = fmax(c->absolute, norm);
    }
    c->norm = LODE_NORM_SPECTRAL;
    c->relative = true;
    c->value = top > 0 ? c->absolute / top : 0;
    snprintf(c->quantity, sizeof c->quantity, "max ||A^H u - s v|| of a triplet");
done:
    LODE_FREE(&Z, &Vs, &column);
    return st;
}

static void say_rank(const lode_svd_opts *o, int64_t k, bool reached, lode_certificate *c)
{
    if (o->error.kind == LODE_ERROR_NONE)
        snprintf(c->note, sizeof c->note, "rank %" PRId64 " as asked", k);
    else if (reached)
        snprintf(c->note, sizeof c->note, "rank %" PRId64 ", the smallest within the error", k);
    else
        snprintf(c->note, sizeof c->note, "max_rank %" PRId64 " reached before the error", k);
}

/* ---- the typed function ---- */

lode_status lode_svd(lode_ctx *ctx, const lode_svd_opts *o, lode_value A, lode_array *U,
                     lode_array *s, lode_array *V, lode_certificate *cert)
{
    lode_status st = LODE_OK;
    lode_linop *op = NULL;
    lode_array u = { 0 }, sv = { 0 }, v = { 0 }, held = { 0 };
    lode_value given = A;
    lode_certificate c = { .kind = LODE_CERT_MEASURED, .needs_original = true, .asked = NAN };
    lode_svds_info info = { .norm_fro = -1 };
    lode_plan p = { 0 };

    LODE_ENTER(&lode_op_svd, o, &p, A);
    const int64_t most = p.number[RANK];
    const lode_svd_method method = (lode_svd_method)p.number[METHOD];
    const bool error = o->error.kind != LODE_ERROR_NONE;
    if (p.number[HELD]) {
        LODE_TRY(lode_i_as_array(ctx, A, lode_i_arith(A.as.source->dtype), &held));
        given = lode_from_array(&held);
    }
    LODE_TRY(lode_linop_from(ctx, given, &op)); /* one way to multiply, whatever A is */
    LODE_TRY(lode_i_linop_kept(ctx, "A", &op));
    const lode_matrix_info matrix = { .rows = op->rows,
                                      .cols = op->cols,
                                      .dtype = op->dtype,
                                      .kind = given.kind,
                                      .nonzeros = op->nonzeros };
    lode_i_stage(ctx, method == LODE_SVD_FULL ? "decomposition" : "block steps", 0, 0.97);
    if (method == LODE_SVD_FULL) {
        LODE_TRY(full(ctx, o, given, op, most, &u, &sv, &v));
    } else {
        lode_svds_opts it = iteration(o, &matrix, most, method);
        LODE_TRY(lode_i_svds(ctx, op, &it, &u, &sv, &v, &info));
        if (info.drowned) { /* what both sides take is known now: only where values are so small */
            it = iteration(o, &matrix, most, LODE_SVD_GOLUB_KAHAN);
            p.workspace = lode_i_svds_memory(ctx, &it, given);
            snprintf(p.algorithm, sizeof p.algorithm,
                     "block Golub-Kahan, %" PRId64 " columns a step", it.block);
            LODE_TRY(lode_i_refine(ctx, &lode_op_svd, &p));
            LODE_TRY(lode_i_svds(ctx, op, &it, &u, &sv, &v, &info));
        }
    }
    if (error && method == LODE_SVD_GRAM) {
        const lode_svds_opts it = iteration(o, &matrix, sv.shape[0], method);
        p.workspace = lode_i_svds_memory(ctx, &it, given),
        p.output = output_bytes(&matrix, it.rank);
        LODE_TRY(lode_i_refine(ctx, &lode_op_svd, &p));
    }
    lode_i_stage(ctx, "certificate", 0.97, 1);
    LODE_TRY(lode_i_tick(ctx, 0, 1));
    if (op->norm) {
        if (info.norm_fro < 0)
            LODE_TRY(lode_i_linop_norm(ctx, op, &info.norm_fro));
        LODE_TRY(frobenius(ctx, op, info.norm_fro, method == LODE_SVD_FULL, &u, &sv, &v, &c));
    } else {
        LODE_TRY(residuals(ctx, op, &u, &sv, &v, &c));
    }
    const double target = lode_i_svd_target(o, info.norm_fro);
    c.asked = error ? o->error.value : NAN;
    if (o->error.kind == LODE_ERROR_FRO)
        c.relative = false, c.value = c.absolute;
    const bool reached = !error || c.absolute <= target * (1 + 1e-6) || sv.shape[0] < most ||
                         most == lode_i_min(op->rows, op->cols);
    say_rank(o, sv.shape[0], reached, &c);
    if (!reached && st == LODE_OK)
        st = lode_i_fail(ctx, LODE_MISSED,
                         "svd: max_rank %" PRId64
                         " leaves a %s error of %.3g, not %.3g: raise max_rank",
                         most, c.relative ? "relative" : "Frobenius", c.value, o->error.value);
    p.output = lode_i_bytes(op->dtype, op->rows + op->cols + 1, sv.shape[0]) + 4096;
    lode_array_swap(U, &u), lode_array_swap(s, &sv), lode_array_swap(V, &v);
    if (cert)
        *cert = c;
done:
    LODE_LEAVE();
    LODE_FREE(&op, &u, &sv, &v, &held);
    return st;
}

static lode_status run(lode_ctx *ctx, const lode_call *c, lode_bundle *result)
{
    lode_array *y[3]; /* results enter the bundle under their port names */
    LODE_FORWARD(lode_bundle_reserve(ctx, result, out, y));
    const lode_status st = lode_svd(ctx, lode_call_opts(c), c->in[0], y[0], y[1], y[2],
                                    &result->certificate);
    if (st >= 0)
        lode_i_svd_meta(result, y[0]->dtype, y[0]->shape[0], y[2]->shape[0]);
    return st;
}

const lode_op lode_op_svd = {
    .name = "svd",
    .family = "matrix",
    .job = LODE_EXPLAIN,
    .brief = "singular value decomposition to a rank or an error",
    .doi = "10.48550/arXiv.1504.05477 10.1137/090771806 10.48550/arXiv.2401.09703",
    .example = "lode svd A.npy --rank 10 -o usv.lode",
    .words = "truncated randomized krylov lanczos golub kahan low rank factor sparse eigenvalues "
             "spectrum lsa streaming incremental online update",
    .params = params,
    .opts_size = sizeof(lode_svd_opts),
    .in = in,
    .out = out,
    .certificate = LODE_CERT_MEASURED,
    .checkpoint = true,
    .plan = plan,
    .run = run,
    .apply = lode_i_svd_apply,
    .invert = lode_i_svd_invert,
    .update = lode_i_svd_update,
    .update_in = lode_i_svd_update_in,
    .update_with = lode_i_svd_update_with,
    .merge = lode_i_svd_merge,
    .verify = lode_i_svd_verify,
    .plot = lode_i_svd_plot,
};
