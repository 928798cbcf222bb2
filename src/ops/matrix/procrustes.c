/* procrustes: the rotation, shift and scale that take points nearest to others of the same rows, and several
 * configurations to their common mean.
 *
 * min |s X R + 1 t^T - Y| over R with orthonormal columns or rows: of the centred tables, M = X^T Y = U S V^T gives R = U V^T,
 * whose trace of R^T M is the sum of S, the most that any has; with determinant 1 the last direction is turned round where need be.
 * Several tables: each in turn goes to the sum of the others, and scales are of the leading eigenvector of the cosines between
 * tables, so that the sum of squares about the mean never rises.
 *
 * Source: Schonemann 1966, doi:10.1007/BF02289451 (rotation); Schonemann & Carroll 1970, doi:10.1007/BF02291266 (shift and scale); Kabsch
 * 1976, doi:10.1107/S0567739476001873 (determinant 1); Gower 1975, doi:10.1007/BF02291478, ten Berge 1977,
 * doi:10.1007/BF02294053 (several). Departures: tables of other widths are padded by zeros; a rank takes the leading directions of U and V
 * alone; of several the first keeps its orientation and place; tables are held in memory. Claim tested: no rotation is
 * nearer. */
#include <math.h>

#include "ops/matrix/procrustes.h"

static const lode_param params[] = {
    { LODE_PARAM(lode_procrustes_opts, rank), .def_text = "auto", .min = 1, .max = 1e5,
      .help = "of the rotation; auto: the smaller width" },
    { LODE_PARAM(lode_procrustes_opts, scaling), .def = 0,
      .help = "one factor for all values of a table besides" },
    { LODE_PARAM(lode_procrustes_opts, translation), .def = 1, .help = "shift tables too" },
    { LODE_PARAM(lode_procrustes_opts, reflection), .def = 1,
      .help = "false: rotations alone, of determinant 1" },
    { LODE_PARAM(lode_procrustes_opts, weights), .help = "weight of each row, >= 0" },
    { LODE_PARAM(lode_procrustes_opts, tol), .def = 1e-6, .min = 0, .max = 1,
      .help = "several: relative change of the sum of squares to stop at" },
    { LODE_PARAM(lode_procrustes_opts, max_iter), .def = 1000, .min = 1, .max = 1e6,
      .help = "several: " LODE_HELP_MAX_ITER },
    { 0 },
};
static const lode_port in[] = {
    { "X", "m,p,k|m,p", .types = LODE_REAL_NUMBERS,
      .help = "points, a row each; m x p x k: k configurations of them" },
    { "Y", "m,q", .types = LODE_REAL_NUMBERS, .optional = true, .follows = true,
      .help = "where they should be; not with several configurations" },
    { 0 },
};
static const lode_port out[] = {
    { "rotation", NULL, .help = "p x q, or k x p x p: aligned is scale X rotation + shift" },
    { "scale", NULL, .help = "of each configuration" },
    { "shift", NULL, .help = "q, or k x p" },
    { "aligned", NULL, .help = "points where they go, m x q, or m x p x k" },
    { "residuals", "m", .help = "distance of each row; several: root mean square" },
    { "consensus", NULL, .optional = true, .help = "several: the mean of those aligned" },
    { "trace", NULL, .optional = true,
      .help =
          "several: sum of squares about it, relative: 1 for nothing, then after each iteration" },
    { "cross", NULL, .optional = true, .help = "with Y: products of centred columns, p x q" },
    { "s", NULL, .optional = true, .help = "their singular values" },
    { "squares", NULL, .optional = true, .help = "sums of squares of X and Y, centred" },
    { "row_weights", "m", .optional = true, .help = "weights of rows, of mean 1" },
    { 0 },
};

LODE_DEFAULTS(procrustes)

typedef struct sizes {
    int64_t n, p, q, k, rank;
    bool several;
    lode_dtype dtype;
} sizes;

static lode_status read_sizes(lode_ctx *ctx, const lode_procrustes_opts *o, lode_value X,
                              lode_value Y, sizes *z)
{
    lode_status st = LODE_OK;
    lode_dtype dtype = LODE_F64;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM] = { 0 };
    lode_i_value_shape(X, &dtype, &ndim, shape);
    *z = (sizes){ .n = shape[0], .p = shape[1], .dtype = lode_i_arith(dtype) };
    z->several = ndim == 3;
    z->k = z->several ? shape[2] : 1, z->q = z->p;
    LODE_REQUIRE(z->several == (Y.kind == LODE_NONE), LODE_EPARAM,
                 z->several
                     ? "procrustes: several configurations go to their mean, so that Y has "
                       "no place"
                     : "procrustes: X is a matrix; give Y, or stack configurations as m x p x k");
    if (Y.kind != LODE_NONE) {
        lode_i_value_shape(Y, &dtype, &ndim, shape);
        z->q = shape[1];
        if (!lode_i_is_single(lode_i_arith(dtype)))
            z->dtype = LODE_F64;
    }
    const int64_t side = lode_i_min(z->p, z->q);
    LODE_REQUIRE(z->n > 0 && side > 0 && z->k > 0, LODE_ESHAPE,
                 "procrustes: tables of %" PRId64 " rows, %" PRId64 " and %" PRId64
                 " columns, %" PRId64 " of them: there is nothing to align",
                 z->n, z->p, z->q, z->k);
    z->rank = o->rank.count > 0 ? o->rank.value[0] : side;
    LODE_REQUIRE(o->rank.count <= 1 && z->rank <= side, LODE_EPARAM,
                 "procrustes: rank %" PRId64 " is above the smaller width %" PRId64
                 ", or several numbers",
                 z->rank, side);
    LODE_REQUIRE(z->rank == side || !z->several, LODE_EUSAGE,
                 "procrustes: a rank goes with two tables; several are turned as they are");
    LODE_REQUIRE(o->reflection || (z->p == z->q && z->rank == side), LODE_EUSAGE,
                 "procrustes: rotations alone are of tables as wide as each other, without a rank");
done:
    return st;
}

static lode_status plan(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    const lode_procrustes_opts *o = lode_call_opts(c);
    sizes z;
    LODE_FORWARD(read_sizes(ctx, o, c->in[0], c->in[1], &z));
    const int64_t values = z.n * z.k;
    const uint64_t all = lode_i_bytes(LODE_F64, values, z.p) + lode_i_bytes(LODE_F64, z.n, z.q);
    p->workspace = 8 * all + 24 * lode_i_bytes(LODE_F64, z.p + z.q, z.p + z.q) +
                   4 * lode_i_bytes(LODE_F64, z.k * z.p, z.p) +
                   lode_i_bytes(LODE_F64, z.k, 4 * z.k + 64) +
                   lode_i_bytes(LODE_F64, o->max_iter + 64, 3) + lode_i_bytes(LODE_F64, z.n, 8) +
                   (uint64_t)lode_ctx_threads(ctx) * (UINT64_C(1) << 19) + (UINT64_C(1) << 20);
    p->output = all + lode_i_bytes(LODE_F64, z.k * z.p + z.p + z.q + 4, z.p + z.q) +
                lode_i_bytes(LODE_F64, 3 * z.n + o->max_iter + 2 * z.k + 8, 1) +
                lode_i_bytes(LODE_F64, z.n, z.p) + 16384;
    p->passes = 1;
    p->flops = 6 * (double)values * (double)z.p * (double)z.q * (z.several ? 20 : 1);
    snprintf(p->algorithm, sizeof p->algorithm, "%s",
             z.several ? "rotations in turn" : "polar factor of the products");
    return LODE_OK;
}

/* ---- result ---- */

static lode_status add(lode_ctx *ctx, lode_bundle *b, const char *name, lode_dtype dtype,
                       const lode_array *a)
{
    lode_status st = LODE_OK;
    lode_array own = { 0 };
    double norm = 0;
    LODE_TRY(lode_array_cast(ctx, a, dtype, &own));
    LODE_TRY(lode_i_norm_fro(ctx, &own, &norm));
    LODE_REQUIRE(isfinite(norm), LODE_EDOMAIN,
                 "procrustes: %s does not fit the range of %s; scale the tables", name,
                 lode_dtype_name(dtype));
    LODE_TRY(lode_bundle_add_array(ctx, b, name, &own));
done:
    lode_array_free(&own);
    return st;
}

static lode_status load(lode_ctx *ctx, lode_value v, const char *name, lode_array *table)
{
    LODE_FORWARD(lode_i_as_array(ctx, v, LODE_F64, table));
    return lode_i_require_finite(ctx, table, name);
}

static lode_certificate certificate(double value, const char *what)
{
    lode_certificate c = { .kind = LODE_CERT_GAP,
                           .norm = LODE_NORM_FRO,
                           .relative = true,
                           .needs_original = true,
                           .value = value,
                           .absolute = value,
                           .asked = NAN };
    snprintf(c.quantity, sizeof c.quantity, "%s", what);
    return c;
}

/* ---- two tables ---- */

/* Distances of rows. */
static lode_status distances(lode_ctx *ctx, const lode_array *A, const lode_array *B,
                             lode_array *length)
{
    lode_status st = LODE_OK;
    lode_array d = { 0 };
    LODE_TRY(lode_array_cast(ctx, A, LODE_F64, &d));
    LODE_TRY(lode_i_axpy(ctx, -1, B, &d));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &A->shape[0], length));
    LODE_TRY(lode_i_row_inner(ctx, &d, &d, length));
    for (int64_t i = 0; i < A->shape[0]; i++)
        lode_i_set1(length, i, sqrt(lode_i_get1(length, i)));
done:
    lode_array_free(&d);
    return st;
}

static lode_status pair(lode_ctx *ctx, const lode_procrustes_opts *o, const sizes *z, lode_value vx,
                        lode_value vy, const lode_array *weights, lode_bundle *b)
{
    lode_status st = LODE_OK;
    lode_i_shape x = { .norm = 0 }, y = { .norm = 0 };
    lode_array X = { 0 }, Y = { 0 }, M = { 0 }, R = { 0 }, s = { 0 }, turned = { 0 }, shift = { 0 },
               aligned = { 0 }, residuals = { 0 }, pair2 = { 0 }, one = { 0 };
    const lode_i_rotate rotate = { .rank = z->rank,
                                   .only = !o->reflection,
                                   .broken = lode_i_broken(ctx, "procrustes-optimal") };
    double best = 0, trace = 0, scale = 1;
    LODE_TRY(load(ctx, vx, "procrustes: X", &X));
    LODE_TRY(load(ctx, vy, "procrustes: Y", &Y));
    LODE_TRY(lode_i_shape_of(ctx, &X, weights, o->translation, &x));
    LODE_TRY(lode_i_shape_of(ctx, &Y, weights, o->translation, &y));
    LODE_REQUIRE(isfinite(x.norm * x.norm) && isfinite(y.norm * y.norm), LODE_EDOMAIN,
                 "procrustes: sums of squares exceed the range of f64; scale the tables");
    LODE_TRY(lode_i_tick(ctx, 1, 3));
    LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &x.rows, &y.rows, &M));
    LODE_TRY(lode_i_rotation(ctx, &rotate, &M, &R, &s, &best));
    LODE_TRY(lode_i_trace_product(ctx, &M, &R, &trace));
    if (o->scaling) {
        LODE_REQUIRE(x.norm * x.norm > 0, LODE_EDOMAIN,
                     "procrustes: X is one point, which no scale makes as large as Y");
        scale = trace / (x.norm * x.norm);
    }
    LODE_TRY(lode_i_tick(ctx, 2, 3));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &x.mean, &R, &turned));
    LODE_TRY(lode_i_axpy(ctx, -scale, &turned, &y.mean));
    LODE_TRY(lode_array_reshape(ctx, &y.mean, 1, &z->q, &shift));
    LODE_TRY(lode_i_shape_move(ctx, &X, scale, &R, &shift, &aligned));
    LODE_TRY(distances(ctx, &aligned, &Y, &residuals));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, 1, &one));
    lode_i_set1(&one, 0, scale);
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, 2, &pair2));
    lode_i_set1(&pair2, 0, x.norm * x.norm), lode_i_set1(&pair2, 1, y.norm * y.norm);
    LODE_TRY(add(ctx, b, "rotation", z->dtype, &R));
    LODE_TRY(add(ctx, b, "scale", LODE_F64, &one));
    LODE_TRY(add(ctx, b, "shift", z->dtype, &shift));
    LODE_TRY(add(ctx, b, "aligned", z->dtype, &aligned));
    LODE_TRY(add(ctx, b, "residuals", LODE_F64, &residuals));
    LODE_TRY(add(ctx, b, "cross", LODE_F64, &M));
    LODE_TRY(add(ctx, b, "s", LODE_F64, &s));
    LODE_TRY(add(ctx, b, "squares", LODE_F64, &pair2));
    b->certificate = certificate(best > 0 ? fabs(best - trace) / best : 0,
                                 "gap to the largest trace of R' X' Y");
    double norm = 0;
    LODE_TRY(lode_i_norm_fro(ctx, &residuals, &norm));
    snprintf(b->certificate.note, sizeof b->certificate.note,
             "root mean square distance %.4g, scale %.6g", norm / sqrt((double)z->n), scale);
done:
    lode_i_shape_free(&x);
    lode_i_shape_free(&y);
    LODE_FREE(&X, &Y, &M, &R, &s, &turned, &shift, &aligned, &residuals, &pair2, &one);
    return st;
}

/* ---- several ---- */

/* Members of each table: rotation, shift, points aligned; their mean and how far rows are from it. */
static lode_status move_all(lode_ctx *ctx, const sizes *z, const lode_array *X,
                            const lode_i_consensus *c, lode_bundle *b)
{
    lode_status st = LODE_OK;
    lode_array rotation = { 0 }, shift = { 0 }, aligned = { 0 }, mean = { 0 }, rms = { 0 },
               scale = { 0 }, table = { 0 }, line = { 0 }, own = { 0 }, at = { 0 }, to = { 0 };
    const int64_t cube[] = { z->k, z->p, z->p }, stack[] = { z->n, z->p, z->k };
    LODE_TRY(lode_array_new(ctx, LODE_F64, 3, cube, &rotation));
    LODE_TRY(lode_array_new(ctx, LODE_F64, 3, stack, &aligned));
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, z->k, z->p, &shift));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 2, stack, &mean));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, z->k, &scale));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &z->n, &rms));
    for (int64_t i = 0; i < z->k; i++) {
        LODE_TRY(lode_i_tick(ctx, i, z->k));
        lode_i_set1(&scale, i, c->scale[i]);
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &c->shape[i].mean, &c->R[i], &line));
        LODE_TRY(lode_i_scale(ctx, -c->scale[i], &line));
        LODE_TRY(lode_i_axpy(ctx, 1, &c->shape[0].mean, &line)); /* where the first one is */
        LODE_TRY(lode_array_reshape(ctx, &line, 1, &z->p, &own));
        LODE_TRY(lode_i_shape_take(ctx, X, i, &table));
        lode_array_free(&at);
        LODE_TRY(lode_i_shape_move(ctx, &table, c->scale[i], &c->R[i], &own, &at));
        LODE_TRY(lode_i_axpy(ctx, 1 / (double)z->k, &at, &mean));
        LODE_FREE(&to);
        to = lode_i_rows(&shift, i, i + 1);
        LODE_TRY(lode_array_copy_into(ctx, &line, &to));
        LODE_FREE(&to);
        LODE_TRY(lode_array_slice(ctx, &rotation, 0, i, i + 1, 1, &to));
        LODE_TRY(lode_array_reshape(ctx, &c->R[i], 3, (const int64_t[]){ 1, z->p, z->p }, &line));
        LODE_TRY(lode_array_copy_into(ctx, &line, &to));
        LODE_FREE(&to, &line);
        LODE_TRY(lode_array_slice(ctx, &aligned, 2, i, i + 1, 1, &to));
        LODE_TRY(lode_array_reshape(ctx, &at, 3, (const int64_t[]){ z->n, z->p, 1 }, &line));
        LODE_TRY(lode_array_copy_into(ctx, &line, &to));
        lode_array_free(&line);
    }
    for (int64_t i = 0; i < z->k; i++) {
        LODE_TRY(lode_i_shape_take(ctx, &aligned, i, &table));
        LODE_TRY(lode_i_axpy(ctx, -1, &mean, &table));
        LODE_TRY(lode_i_row_inner(ctx, &table, &table, &rms));
    }
    for (int64_t i = 0; i < z->n; i++)
        lode_i_set1(&rms, i, sqrt(lode_i_get1(&rms, i) / (double)z->k));
    LODE_TRY(add(ctx, b, "rotation", z->dtype, &rotation));
    LODE_TRY(add(ctx, b, "scale", LODE_F64, &scale));
    LODE_TRY(add(ctx, b, "shift", z->dtype, &shift));
    LODE_TRY(add(ctx, b, "aligned", z->dtype, &aligned));
    LODE_TRY(add(ctx, b, "residuals", LODE_F64, &rms));
    LODE_TRY(add(ctx, b, "consensus", z->dtype, &mean));
done:
    LODE_FREE(&rotation, &shift, &aligned, &mean, &rms, &scale, &table, &line, &own, &at, &to);
    return st;
}

static lode_status several(lode_ctx *ctx, const lode_procrustes_opts *o, const sizes *z,
                           lode_value v, const lode_array *weights, lode_bundle *b)
{
    lode_status st = LODE_OK;
    lode_i_consensus c = { .o = o, .count = 0, .rotate = { .only = !o->reflection } };
    lode_array X = { 0 }, table = { 0 }, trace = { 0 }, tail = { 0 };
    double value = 0;
    c.rotate.broken = lode_i_broken(ctx, "procrustes-optimal");
    LODE_TRY(load(ctx, v, "procrustes: X", &X));
    LODE_TRY(LODE_NEW(ctx, z->k, &c.shape));
    memset(c.shape, 0, (size_t)z->k * sizeof *c.shape);
    LODE_TRY(LODE_NEW(ctx, z->k, &c.R));
    memset(c.R, 0, (size_t)z->k * sizeof *c.R);
    LODE_TRY(LODE_NEW(ctx, z->k, &c.scale));
    c.count = z->k;
    for (int64_t i = 0; i < z->k; i++) {
        LODE_TRY(lode_i_shape_take(ctx, &X, i, &table));
        LODE_TRY(lode_i_shape_of(ctx, &table, weights, o->translation, &c.shape[i]));
        const double squares = c.shape[i].norm * c.shape[i].norm;
        LODE_REQUIRE(isfinite(squares * (double)(z->k * z->k)), LODE_EDOMAIN,
                     "procrustes: sums of squares exceed the range of f64; scale the tables");
        LODE_REQUIRE(squares > 0 || !o->scaling, LODE_EDOMAIN,
                     "procrustes: configuration %" PRId64
                     " is one point, which no scale makes as large as others",
                     i);
    }
    lode_i_stage(ctx, "rotations", 0.1, 0.9);
    LODE_TRY(lode_i_consensus_fit(ctx, &c));
    LODE_TRY(lode_i_consensus_objective(ctx, &c, &value));
    lode_i_stage(ctx, "result", 0.9, 1);
    LODE_TRY(move_all(ctx, z, &X, &c, b));
    const int64_t steps = c.trace.shape[0];
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, steps + 1, &trace));
    LODE_TRY(lode_array_slice(ctx, &trace, 0, 1, steps + 1, 1, &tail));
    LODE_TRY(lode_array_copy_into(ctx, &c.trace, &tail));
    lode_i_set1(&trace, 0, 1), lode_i_set1(&trace, steps, value);
    LODE_TRY(add(ctx, b, "trace", LODE_F64, &trace));
    b->certificate = certificate(c.gap, "gap of each rotation to the best");
    snprintf(b->certificate.note, sizeof b->certificate.note,
             "sum of squares about the mean %.6g of all", value);
done:
    lode_i_consensus_free(&c);
    LODE_FREE(&X, &table, &trace, &tail);
    return st;
}

lode_status lode_procrustes(lode_ctx *ctx, const lode_procrustes_opts *o, lode_value X,
                            lode_value Y, lode_bundle *model)
{
    lode_status st = LODE_OK;
    lode_plan p = { 0 };
    lode_bundle local = { 0 };
    lode_array weights = { 0 };
    sizes z;
    LODE_ENTER(&lode_op_procrustes, o, &p, X, Y);
    LODE_TRY(read_sizes(ctx, o, X, Y, &z));
    if (o->weights)
        LODE_TRY(lode_i_procrustes_weights(ctx, o->weights, z.n, &weights));
    const lode_array *w = weights.data ? &weights : NULL;
    LODE_TRY(z.several ? several(ctx, o, &z, X, w, &local) : pair(ctx, o, &z, X, Y, w, &local));
    if (w)
        LODE_TRY(add(ctx, &local, "row_weights", LODE_F64, w));
    local.meta.has_shape = true, local.meta.dtype = z.dtype;
    local.meta.ndim = z.several ? 3 : 2;
    local.meta.shape[0] = z.n, local.meta.shape[1] = z.p, local.meta.shape[2] = z.k;
    lode_bundle_swap(model, &local);
done:
    LODE_FREE(&local, &weights);
    LODE_LEAVE();
    return st;
}

static lode_status run(lode_ctx *ctx, const lode_call *c, lode_bundle *result)
{
    return lode_procrustes(ctx, lode_call_opts(c), c->in[0], c->in[1], result);
}

const lode_op lode_op_procrustes = {
    .name = "procrustes",
    .family = "matrix",
    .job = LODE_COMPARE,
    .brief = "the rotation, shift and scale that take points to others",
    .doi = "10.1007/BF02289451 10.1007/BF02291478",
    .example = "lode procrustes T.npy --tol 1e-2 -o aligned.lode",
    .words =
        "orthogonal procrustes rotation alignment superimpose register kabsch generalized gower "
        "shape configurations embeddings polar",
    .params = params,
    .opts_size = sizeof(lode_procrustes_opts),
    .in = in,
    .out = out,
    .certificate = LODE_CERT_GAP,
    .plan = plan,
    .run = run,
    .apply = lode_i_procrustes_apply,
    .invert = lode_i_procrustes_invert,
    .verify = lode_i_procrustes_verify,
    .plot = lode_i_procrustes_plot,
};
