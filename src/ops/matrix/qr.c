/* qr: A[:, perm] ~ Q R with columns chosen as they are found to be far from those before, so that R
 * shows the rank: the decomposition ends where what is left is rounding, is within an error, or has
 * so many columns.
 *
 * Pivots come in blocks from a random sketch of what is left, brought down from block to block, so that
 * all work is in products with A, which may be sparse or a file; or, where A is small or tall with few
 * columns, one by one from its triangle, which costs one pass. Strong pivots are exchanged until R's
 * parts bound the singular values.
 *
 * Source: Martinsson, Quintana-Orti, Heavner & van de Geijn, SIAM J. Sci. Comput. 39 (2017),
 * doi:10.1137/16M1081270 (randomized pivots in blocks); Gu & Eisenstat, SIAM J. Sci. Comput. 17 (1996),
 * doi:10.1137/0917055 (strong exchanges, Algorithm 4 and Theorem 3.2); Businger & Golub, Numer. Math. 7
 * (1965). Departures: A is never changed (rows of R are products with Q, orthonormal by projection
 * twice), each block is put in order by exact lengths, and R is made anew after an exchange in place of
 * being updated. Claim tested: the strong bounds on singular values, where greedy pivots miss them. */
#include <math.h>

#include "ops/matrix/qr.h"

enum { FEW_COLUMNS = 512, FEW_ROWS = 256, SMALL = 1 << 20, BLOCK = 64 };

static const lode_param params[] = {
    { LODE_PARAM(lode_qr_opts, rank), .min = 1, .max = 1e9,
      .help = "columns of Q: R, or auto (from the error; without one the numerical rank)" },
    { LODE_PARAM(lode_qr_opts, error), .min = 0, .max = 1e300,
      .help = "error wanted in total: 1e-3 (relative Frobenius) or E:fro; the fewest pivots within "
              "it are taken" },
    { LODE_PARAM(lode_qr_opts, max_rank), .min = 1, .max = 1e9, .help = LODE_HELP_MAX_RANK },
    { LODE_PARAM(lode_qr_opts, pivoting), .def = LODE_QR_AUTO,
      .choices = "auto|sketch|greedy|strong|none",
      .help = "blocks of pivots from a sketch, one by one, exchanged until R bounds the singular "
              "values, or columns as they come" },
    { LODE_PARAM(lode_qr_opts, factor), .def = 2, .min = 1.01, .max = 1e6,
      .help = "strong: no exchange of pivots gains more volume than this" },
    { LODE_PARAM(lode_qr_opts, oversampling), .def = 8, .min = 0, .max = 4096,
      .help = "sketch: rows beyond the pivots of a block" },
    { 0 },
};
static const lode_port in[] = {
    { "A", "m,n", .kinds = LODE_DENSE | LODE_KIND_BIT(LODE_SPARSE), .types = LODE_NUMBERS,
      .help = "matrix to factor" },
    { 0 },
};
static const lode_port out[] = {
    { "Q", "m,k", .help = "orthonormal columns" },
    { "R", "k,n", .help = "upper trapezoidal, diagonal >= 0, unit of A" },
    { "perm", "n", .types = LODE_BIT(I64), .help = "column of A that each column of R stands for" },
    { 0 },
};

LODE_DEFAULTS(qr)

/* ---- what will be done ---- */

static lode_status check_request(lode_ctx *ctx, const lode_qr_opts *o, const lode_matrix_info *A)
{
    lode_status st = LODE_OK;
    const int64_t r = lode_i_min(A->rows, A->cols);
    const bool error = o->error.kind != LODE_ERROR_NONE;
    LODE_REQUIRE(o->rank.count <= 1, LODE_EPARAM, "qr: a matrix has one rank, not %d",
                 (int)o->rank.count);
    LODE_REQUIRE(!error || o->error.kind == LODE_ERROR_REL || o->error.kind == LODE_ERROR_FRO,
                 LODE_EPARAM,
                 "qr: the error is relative Frobenius (1e-3) or absolute Frobenius (1e-3:fro), "
                 "nothing pointwise");
    LODE_REQUIRE(!error || o->rank.count == 0, LODE_EUSAGE,
                 "qr: give the rank or the error, not both; max_rank caps the rank that an error "
                 "leads to");
    LODE_REQUIRE(!error || o->pivoting != LODE_QR_NONE, LODE_EUSAGE,
                 "qr: columns as they come (pivoting none) do not tell the rank for an error: give "
                 "the rank, or another pivoting");
    LODE_REQUIRE(o->rank.count == 0 || o->rank.value[0] <= r, LODE_ESHAPE,
                 "qr: rank %" PRId64 " > min(m, n) = %" PRId64 " of A, which is %" PRId64
                 " x %" PRId64,
                 o->rank.value[0], r, A->rows, A->cols);
done:
    return st;
}

static lode_i_pivoting choose(const lode_qr_opts *o, int64_t rows, int64_t cols, bool dense)
{
    switch (o->pivoting) {
    case LODE_QR_SKETCH: return LODE_I_PIVOT_SKETCH;
    case LODE_QR_GREEDY: return LODE_I_PIVOT_GREEDY;
    case LODE_QR_STRONG: return LODE_I_PIVOT_STRONG;
    case LODE_QR_NONE: return LODE_I_PIVOT_NONE;
    case LODE_QR_AUTO: break;
    }
    const bool tall = rows >= cols && cols <= FEW_COLUMNS;
    const bool wide = rows < cols && rows <= FEW_ROWS && cols <= SMALL / lode_i_max(rows, 1);
    return dense && (tall || wide) ? LODE_I_PIVOT_GREEDY : LODE_I_PIVOT_SKETCH;
}

lode_pqr_opts lode_i_qr_request(const lode_qr_opts *o, int64_t rows, int64_t cols, bool dense)
{
    lode_pqr_opts q = { .pivoting = choose(o, rows, cols, dense),
                        .most = lode_i_min(rows, cols),
                        .exactly = o->rank.count > 0 || o->pivoting == LODE_QR_NONE,
                        .factor = o->factor,
                        .oversampling = o->oversampling,
                        .op = "qr" };
    if (o->rank.count > 0)
        q.most = lode_i_min(q.most, o->rank.value[0]);
    if (o->max_rank.given)
        q.most = lode_i_min(q.most, o->max_rank.value);
    if (o->error.kind == LODE_ERROR_REL)
        q.tail_rel = fmax(o->error.value, 1e-300);
    if (o->error.kind == LODE_ERROR_FRO)
        q.tail = fmax(o->error.value, 1e-300);
    q.block = lode_i_min(BLOCK, q.most);
    return q;
}

static uint64_t output_bytes(lode_dtype t, int64_t m, int64_t n, int64_t k)
{
    return lode_i_bytes(t, m + n, k) + lode_i_bytes(LODE_I64, n, 1) + 4096;
}

static uint64_t needed(const lode_ctx *ctx, const lode_pqr_opts *q, lode_value given,
                       const lode_matrix_info *A)
{
    return lode_i_pqr_memory(ctx, q, given) + output_bytes(A->dtype, A->rows, A->cols, q->most);
}

static const char *const names[] = { "columns as they come", "greedy pivots", "strong pivots",
                                     "pivots from a sketch" };

static lode_status plan(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    const lode_qr_opts *o = lode_call_opts(c);
    const lode_matrix_info A = lode_call_matrix(c, 0);
    LODE_FORWARD(check_request(ctx, o, &A));
    lode_pqr_opts q = lode_i_qr_request(o, A.rows, A.cols, A.kind != LODE_SPARSE);
    /* Where the rank is not given, so many columns as fit, in whole blocks so that the bits are those of
     * more memory; what needs more is refused when that is known. */
    const uint64_t left = lode_i_memory_left(ctx);
    if (!q.exactly && !o->max_rank.given)
        while (q.most > 2 * q.block && needed(ctx, &q, c->in[0], &A) > left)
            q.most = (q.most / 2 + q.block - 1) / q.block * q.block;
    const double m = (double)A.rows, n = (double)A.cols, k = (double)q.most,
                 work = lode_i_is_complex(A.dtype) ? 8 : 2, nnz = (double)A.nonzeros;
    p->number[0] = q.most;
    p->output = output_bytes(A.dtype, A.rows, A.cols, q.most);
    p->workspace = lode_i_pqr_memory(ctx, &q, c->in[0]);
    p->slab = A.kind == LODE_SOURCE ? lode_i_linop_slab(ctx, c->in[0].as.source) : 0;
    p->block = q.block;
    if (q.pivoting == LODE_I_PIVOT_SKETCH) {
        const double blocks = ceil(k / fmax(1, (double)q.block));
        p->passes = 3 + 2 * blocks;
        p->flops = work * (nnz * (2 * k + (double)(q.block + q.oversampling)) + 6 * m * k * k);
    } else {
        const double side = fmin(m, n);
        p->passes = q.pivoting == LODE_I_PIVOT_NONE ? 4 : 5;
        p->flops = work * (nnz * (2 * k + side) + 2 * m * k * k + side * side * n);
    }
    p->seconds = p->flops / fmax(lode_i_gemm_rate(ctx, A.dtype), 1);
    snprintf(p->algorithm, sizeof p->algorithm, "%s%s", names[q.pivoting],
             q.pivoting == LODE_I_PIVOT_SKETCH ? ", in blocks" : "");
    return LODE_OK;
}

/* ---- certificate ---- */

void lode_i_qr_say(const lode_qr_opts *o, const lode_pqr_info *info, int64_t k, int64_t n,
                   bool reached, lode_certificate *c)
{
    const double spread = sqrt(1 + info->factor * info->factor * (double)k * (double)(n - k));
    if (o->pivoting == LODE_QR_STRONG && isfinite(info->factor) && k < n)
        snprintf(c->note, sizeof c->note,
                 "%" PRId64 " pivots, factor %.3g: singular values of R11 are A's to within %.4g",
                 k, info->factor, spread);
    else if (!reached)
        snprintf(c->note, sizeof c->note, "max_rank %" PRId64 " reached before the error", k);
    else if (o->rank.count > 0 || o->pivoting == LODE_QR_NONE)
        snprintf(c->note, sizeof c->note, "%" PRId64 " columns as asked", k);
    else if (info->exhausted)
        snprintf(c->note, sizeof c->note, "numerical rank %" PRId64, k);
    else if (o->error.kind != LODE_ERROR_NONE)
        snprintf(c->note, sizeof c->note, "%" PRId64 " pivots, the fewest within the error", k);
    else
        snprintf(c->note, sizeof c->note, "%" PRId64 " pivots", k);
}

/* ---- the typed function ---- */

lode_status lode_qr(lode_ctx *ctx, const lode_qr_opts *o, lode_value A, lode_array *Q,
                    lode_array *R, lode_array *perm, lode_certificate *cert)
{
    lode_status st = LODE_OK;
    lode_linop *op = NULL;
    lode_array q = { 0 }, r = { 0 }, order = { 0 };
    lode_pqr_info info = { 0 };
    lode_plan p = { 0 };
    lode_certificate c = { .kind = LODE_CERT_MEASURED,
                           .norm = LODE_NORM_FRO,
                           .needs_original = true,
                           .quantity = "||A[:, perm] - Q R||",
                           .asked = NAN };

    LODE_ENTER(&lode_op_qr, o, &p, A);
    LODE_TRY(lode_linop_from(ctx, A, &op));
    LODE_TRY(lode_i_linop_kept(ctx, "A", &op));
    lode_pqr_opts request = lode_i_qr_request(o, op->rows, op->cols, A.kind != LODE_SPARSE);
    const bool all = request.most == p.number[0];
    request.most = p.number[0];
    if (lode_i_broken(ctx, "qr-strong") && request.pivoting == LODE_I_PIVOT_STRONG)
        request.pivoting = LODE_I_PIVOT_GREEDY; /* no exchanges */
    lode_i_stage(ctx, names[request.pivoting], 0, 1);
    LODE_TRY(lode_i_pqr(ctx, op, &request, &q, &r, &order, &info));
    const int64_t k = q.shape[1], most = lode_i_min(op->rows, op->cols);
    const bool error = o->error.kind != LODE_ERROR_NONE;
    const double target = o->error.kind == LODE_ERROR_REL ? o->error.value * info.norm
                                                          : o->error.value;
    const bool reached = !error || info.error <= target * (1 + 1e-6) || info.exhausted || k == most;
    LODE_REQUIRE(all || k < request.most || info.exhausted || (error && reached), LODE_EBUDGET,
                 "qr: more than %" PRId64
                 " columns are needed, which do not fit in memory: give more memory, a rank, or "
                 "max_rank",
                 request.most);
    c.absolute = info.error;
    c.relative = o->error.kind != LODE_ERROR_FRO;
    c.value = !c.relative ? c.absolute : info.norm > 0 ? c.absolute / info.norm : 0;
    c.asked = error ? o->error.value : NAN;
    lode_i_qr_say(o, &info, k, op->cols, reached, &c);
    if (!reached && st == LODE_OK)
        st = lode_i_fail(ctx, LODE_MISSED,
                         "qr: max_rank %" PRId64 " leaves a %s error of %.3g, not %.3g: raise "
                         "max_rank",
                         k, c.relative ? "relative" : "Frobenius", c.value, o->error.value);
    p.output = output_bytes(op->dtype, op->rows, op->cols, k);
    lode_array_swap(Q, &q), lode_array_swap(R, &r), lode_array_swap(perm, &order);
    if (cert)
        *cert = c;
done:
    LODE_LEAVE();
    LODE_FREE(&op, &q, &r, &order);
    return st;
}

static lode_status run(lode_ctx *ctx, const lode_call *c, lode_bundle *result)
{
    lode_array *y[3];
    LODE_FORWARD(lode_bundle_reserve(ctx, result, out, y));
    const lode_status st = lode_qr(ctx, lode_call_opts(c), c->in[0], y[0], y[1], y[2],
                                   &result->certificate);
    if (st >= 0) {
        result->meta.has_shape = true, result->meta.dtype = y[0]->dtype, result->meta.ndim = 2;
        result->meta.shape[0] = y[0]->shape[0], result->meta.shape[1] = y[1]->shape[1];
    }
    return st;
}

const lode_op lode_op_qr = {
    .name = "qr",
    .family = "matrix",
    .job = LODE_EXPLAIN,
    .brief = "QR with column pivoting, rank revealing, to a rank or an error",
    .doi = "10.1137/16M1081270 10.1137/0917055 10.1007/BF01436084",
    .example = "lode qr A.npy --rank 10 -o qr.lode",
    .words =
        "pivoted orthogonal triangular householder rrqr hqrrp tsqr orthonormal basis numerical "
        "rank column subset selection strong",
    .params = params,
    .opts_size = sizeof(lode_qr_opts),
    .in = in,
    .out = out,
    .certificate = LODE_CERT_MEASURED,
    .checkpoint = true,
    .plan = plan,
    .run = run,
    .apply = lode_i_qr_apply,
    .invert = lode_i_qr_invert,
    .update = lode_i_qr_update,
    .merge = lode_i_qr_merge,
    .verify = lode_i_qr_verify,
    .plot = lode_i_qr_plot,
};
