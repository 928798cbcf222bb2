/* dmd: dynamic mode decomposition, snapshots in time as a sum of modes that each grow or decay and turn at one
 * frequency: x(t) ~ sum_j mode_j amplitude_j exp(rate_j t).
 *
 * exact: rates are the logarithms of the eigenvalues of the linear map that takes each snapshot to the next, least
 * squares in the coordinates of leading singular vectors. fb: noise biases that map towards decay, and the map back in
 * time as much the other way; the root of one after the inverse of the other has neither. optimized: exponentials fitted
 * to all snapshots at once, by variable projection and Levenberg-Marquardt, from where exact ends.
 *
 * Source: Tu, Rowley, Luchtenburg, Brunton & Kutz, J. Comput. Dyn. 1 (2014), doi:10.3934/jcd.2014.1.391 (exact); Dawson, Hemati,
 * Williams & Rowley, Exp. Fluids 57 (2016), doi:10.1007/s00348-016-2127-7 (fb); Askham & Kutz, SIAM J. Appl. Dyn. Syst. 17 (2018),
 * doi:10.1137/M1124176, Algorithm 3 (optimized, on projected snapshots); Jovanovic, Schmid & Nichols, Phys. Fluids 26 (2014),
 * doi:10.1063/1.4863670 (amplitudes over all snapshots); Gavish & Donoho 2014, doi:10.1109/TIT.2014.2323359 (rank). Departures:
 * the full derivative of the projection in complex rates, whose Gram matrix is r x r; eigenvalues that a step takes to
 * nothing are left out, as they have no rate. Claim tested: under noise optimized finds rates that exact misses. */
#include <math.h>

#include "ops/dynamics/dmd.h"

enum { DEFAULT_MOST = 100 };

static const lode_param params[] = {
    { LODE_PARAM(lode_dmd_opts, method), .def = LODE_DMD_EXACT, .choices = "exact|fb|optimized",
      .help = "map between snapshots, forward and backward maps, or exponentials fitted to all" },
    { LODE_PARAM(lode_dmd_opts, rank), .def_text = "auto", .min = 1, .max = 1e5,
      .help = "modes; auto: singular values above noise (Gavish and Donoho)" },
    { LODE_PARAM(lode_dmd_opts, max_rank), .min = 1, .max = 1e5,
      .help = "modes at most that --rank auto takes; auto: 100" },
    { LODE_PARAM(lode_dmd_opts, delays), .def = 1, .min = 1, .max = 1e6,
      .help =
          "snapshots in a row that are taken as one (Hankel), for few values or standing waves" },
    { LODE_PARAM(lode_dmd_opts, dt), .def = 1, .min = 1e-300, .max = 1e300,
      .help = "time between snapshots; rates and frequencies are over its unit" },
    { LODE_PARAM(lode_dmd_opts, times),
      .help = "optimized: time of each snapshot, ascending, in place of dt" },
    { LODE_PARAM(lode_dmd_opts, axis), .def = 0, .min = 0, .max = 1,
      .help = "axis of X that counts snapshots: 0, each is a row, or 1, a column" },
    { LODE_PARAM(lode_dmd_opts, amplitudes), .def = LODE_DMD_ALL, .choices = "all|first",
      .help = "exact, fb: least squares over all snapshots, or over the first" },
    { LODE_PARAM(lode_dmd_opts, tol), .def = 1e-9, .min = 0, .max = 1,
      .help = "optimized: relative change of the error to stop at, twice in a row" },
    { LODE_PARAM(lode_dmd_opts, max_iter), .def = 200, .min = 1, .max = 1e6,
      .help = "optimized: " LODE_HELP_MAX_ITER },
    { 0 },
};
static const lode_port in[] = {
    { "X", "m,n", .kinds = LODE_DENSE, .types = LODE_NUMBERS,
      .help = "snapshots in the order of time, a row each; with axis 1 a column each" },
    { 0 },
};
static const lode_port out[] = {
    { "modes", "values,modes", .help = "complex, columns of length 1, largest entry real" },
    { "eigenvalues", "modes", .help = "what a mode is multiplied by in dt" },
    { "rates", "modes", .help = "log(eigenvalues) / dt" },
    { "frequency", "modes", .help = "cycles over the unit of dt" },
    { "growth", "modes", .help = "real part of rates, below 0: decay" },
    { "amplitudes", "modes", .help = "at the first snapshot, unit of X, descending in size" },
    { "times", "snapshots", .help = "of the snapshots" },
    { "trace", "steps", .optional = true, .help = "optimized: relative error after each step" },
    { 0 },
};

LODE_DEFAULTS(dmd)

typedef struct sizes {
    int64_t m, n, rows, most; /* snapshots, values, rows under delays, modes */
} sizes;

static lode_status read_sizes(lode_ctx *ctx, const lode_dmd_opts *o, int64_t rows, int64_t cols,
                              sizes *z)
{
    lode_status st = LODE_OK;
    int64_t N = 0;
    z->m = o->axis == 0 ? rows : cols, z->n = o->axis == 0 ? cols : rows;
    z->rows = z->m - o->delays + 1;
    LODE_REQUIRE(z->n > 0 && z->rows >= 2, LODE_ESHAPE,
                 "dmd: %" PRId64 " snapshots of %" PRId64 " values, but %" PRId64
                 " are needed (axis %d of X, %" PRId64 " x %" PRId64 ", counts them)",
                 z->m, z->n, o->delays + 1, (int)o->axis, rows, cols);
    LODE_REQUIRE(lode_i_mul(z->n, o->delays, &N), LODE_ESHAPE, "dmd: too many delays");
    LODE_REQUIRE(o->rank.count <= 1, LODE_EPARAM, "dmd: there is one rank, not %d",
                 (int)o->rank.count);
    LODE_REQUIRE(
        !o->times || o->method == LODE_DMD_OPTIMIZED, LODE_EUSAGE,
        "dmd: times of snapshots go with --method optimized; others take them at even steps "
        "dt");
    LODE_REQUIRE(!o->times || o->delays == 1, LODE_EUSAGE,
                 "dmd: delays need even steps: give dt in place of times");
    const int64_t side = lode_i_min(o->method == LODE_DMD_OPTIMIZED ? z->rows : z->rows - 1, N);
    z->most = o->rank.count > 0   ? o->rank.value[0]
              : o->max_rank.given ? lode_i_min(side, o->max_rank.value)
                                  : lode_i_min(side, DEFAULT_MOST);
    LODE_REQUIRE(z->most <= side, LODE_ESHAPE,
                 "dmd: rank %" PRId64 " is above the %" PRId64 " that %" PRId64
                 " snapshots of %" PRId64 " values with %" PRId64 " delays have",
                 z->most, side, z->m, z->n, o->delays);
done:
    return st;
}

static lode_status plan(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    const lode_dmd_opts *o = lode_call_opts(c);
    const lode_matrix_info X = lode_call_matrix(c, 0);
    const lode_dense_info dense = lode_call_dense(c, 0);
    sizes z;
    LODE_FORWARD(read_sizes(ctx, o, X.rows, X.cols, &z));
    const lode_dtype wide = lode_i_is_complex(X.dtype) ? LODE_C128 : LODE_F64;
    const int64_t N = z.n * o->delays, side = lode_i_min(z.rows, N), r = z.most;
    p->number[0] = r;
    p->resident = X.kind == LODE_SOURCE ? lode_i_bytes(X.dtype, z.m, z.n) : 0;
    p->workspace = 3 * lode_i_bytes(wide, z.m, z.n) + 6 * lode_i_bytes(wide, z.rows, N) +
                   8 * lode_i_bytes(wide, side, side) + 6 * lode_i_bytes(LODE_C128, N, r) +
                   24 * lode_i_bytes(LODE_C128, z.rows, r) + 40 * lode_i_bytes(LODE_C128, r, r) +
                   4 * lode_i_bytes(LODE_F64, o->max_iter + 64, 1) +
                   (lode_dtype_block(dense.stored) > 1 ? lode_i_bytes(X.dtype, z.m, z.n) : 0) +
                   (uint64_t)lode_ctx_threads(ctx) * (UINT64_C(2) << 20) + (UINT64_C(1) << 20);
    p->output = lode_i_bytes(LODE_C128, z.n + 6, r) +
                lode_i_bytes(LODE_F64, z.m + o->max_iter + 4, 1) + 8192;
    p->passes = 1;
    p->flops = 6 * (double)z.rows * (double)N * (double)side;
    p->seconds = p->flops / fmax(lode_i_gemm_rate(ctx, wide), 1);
    static const char *const names[] = { "exact DMD", "forward-backward DMD",
                                         "optimized DMD, variable projection" };
    snprintf(p->algorithm, sizeof p->algorithm, "%s", names[o->method]);
    return LODE_OK;
}

/* ---- data ---- */

static void free_data(lode_i_dmd_data *d)
{
    LODE_FREE(&d->X, &d->T, &d->times, &d->some);
}

static lode_status read_times(lode_ctx *ctx, const lode_dmd_opts *o, const sizes *z,
                              lode_i_dmd_data *d)
{
    lode_status st = LODE_OK;
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, z->m, &d->times));
    LODE_REQUIRE(!o->times || (o->times->ndim == 1 && o->times->shape[0] == z->m &&
                               lode_dtype_class(o->times->dtype) != 'c'),
                 LODE_ESHAPE, "dmd: times must be %" PRId64 " numbers, one for each snapshot",
                 z->m);
    for (int64_t i = 0; i < z->m; i++) {
        const double t = o->times ? lode_i_get1(o->times, i) : (double)i * o->dt;
        LODE_REQUIRE(isfinite(t) && (i == 0 || t > lode_i_get1(&d->times, i - 1)), LODE_EPARAM,
                     "dmd: times[%" PRId64 "] is %g, which does not come after the one before it",
                     i, t);
        lode_i_set1(&d->times, i, t);
    }
    d->dt = (lode_i_get1(&d->times, z->m - 1) - lode_i_get1(&d->times, 0)) / (double)(z->m - 1);
    if (!o->times)
        d->dt = o->dt;
    LODE_TRY(lode_array_slice(ctx, &d->times, 0, 0, z->rows, 1, &d->some));
done:
    return st;
}

static lode_status read_data(lode_ctx *ctx, const lode_dmd_opts *o, lode_value X, sizes *z,
                             lode_i_dmd_data *d)
{
    lode_status st = LODE_OK;
    lode_array given = { 0 }, turned = { 0 };
    lode_dtype stored = LODE_F64;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM] = { 0 };
    lode_i_value_shape(X, &stored, &ndim, shape);
    LODE_TRY(read_sizes(ctx, o, shape[0], shape[1], z));
    LODE_TRY(read_times(ctx, o, z, d));
    d->dtype = lode_i_arith(stored);
    LODE_TRY(lode_i_as_array(ctx, X, d->dtype, &given));
    LODE_TRY(lode_i_require_finite(ctx, &given, "X"));
    if (o->axis == 0)
        turned = lode_array_ref(&given);
    else
        LODE_TRY(lode_array_permute(ctx, &given, (const int[]){ 1, 0 }, &turned));
    const lode_dtype wide = lode_i_is_complex(d->dtype) ? LODE_C128 : LODE_F64;
    LODE_TRY(lode_array_cast(ctx, &turned, wide, &d->X));
    LODE_TRY(lode_i_norm_fro(ctx, &d->X, &d->norm));
    d->scale = 1;
    if (d->norm > 0x1p300 || (d->norm > 0 && d->norm < 0x1p-300)) {
        int e = 0;
        frexp(d->norm, &e);
        d->scale = ldexp(1, e > 1000 ? -1000 : e < -1000 ? 1000 : -e);
        LODE_TRY(lode_i_scale(ctx, d->scale, &d->X));
        LODE_TRY(lode_i_norm_fro(ctx, &d->X, &d->norm));
    }
    /* row i holds snapshots i .. i + delays - 1: what lies there anyway */
    d->T = lode_array_ref(&d->X);
    d->T.shape[0] = z->rows, d->T.shape[1] = z->n * o->delays;
done:
    LODE_FREE(&given, &turned);
    return st;
}

/* ---- result ---- */

static lode_status add(lode_ctx *ctx, lode_bundle *b, const char *name, lode_dtype dtype,
                       const lode_array *a)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    LODE_TRY(lode_array_cast(ctx, a, dtype, &y));
    LODE_TRY(lode_bundle_add_array(ctx, b, name, &y));
done:
    lode_array_free(&y);
    return st;
}

static lode_status pack(lode_ctx *ctx, const lode_dmd_opts *o, const lode_i_dmd_data *d,
                        const lode_i_dmd_fit *f, lode_bundle *b)
{
    lode_status st = LODE_OK;
    lode_array v = { 0 }, frequency = { 0 }, growth = { 0 };
    lode_i_cplx *z = NULL;
    const double turn = 2 * acos(-1.0);
    LODE_TRY(LODE_NEW(ctx, lode_i_max(f->r, 1), &z));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, f->r, &frequency));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, f->r, &growth));
    LODE_TRY(add(ctx, b, "modes", lode_i_is_single(d->dtype) ? LODE_C64 : LODE_C128, &f->modes));
    for (int64_t j = 0; j < f->r; j++)
        z[j] = cexp(f->rate[j] * d->dt);
    LODE_TRY(lode_i_dmd_vector(ctx, z, f->r, &v));
    LODE_TRY(add(ctx, b, "eigenvalues", LODE_C128, &v));
    LODE_TRY(lode_i_dmd_vector(ctx, f->rate, f->r, &v));
    LODE_TRY(add(ctx, b, "rates", LODE_C128, &v));
    for (int64_t j = 0; j < f->r; j++) {
        lode_i_set1(&frequency, j, cimag(f->rate[j]) / turn);
        lode_i_set1(&growth, j, creal(f->rate[j]));
        z[j] = f->amplitude[j] / d->scale;
    }
    LODE_TRY(lode_bundle_add_array(ctx, b, "frequency", &frequency));
    LODE_TRY(lode_bundle_add_array(ctx, b, "growth", &growth));
    LODE_TRY(lode_i_dmd_vector(ctx, z, f->r, &v));
    LODE_TRY(add(ctx, b, "amplitudes", LODE_C128, &v));
    LODE_TRY(add(ctx, b, "times", LODE_F64, &d->times));
    if (f->trace.data)
        LODE_TRY(add(ctx, b, "trace", LODE_F64, &f->trace));
    b->meta.has_shape = true, b->meta.dtype = d->dtype, b->meta.ndim = 2;
    b->meta.shape[o->axis] = d->X.shape[0], b->meta.shape[1 - o->axis] = d->X.shape[1];
done:
    lode_i_free(z);
    LODE_FREE(&v, &frequency, &growth);
    return st;
}

/* What the stored modes leave of X. */
static lode_status certify(lode_ctx *ctx, const lode_i_dmd_data *d, const lode_i_dmd_fit *f,
                           lode_bundle *b)
{
    lode_status st = LODE_OK;
    lode_array rate = { 0 }, amplitude = { 0 }, Y = { 0 };
    const lode_array *modes = NULL;
    double off = 0;
    LODE_TRY(lode_bundle_array(ctx, b, "modes", &modes));
    LODE_TRY(lode_i_dmd_vector(ctx, f->rate, f->r, &rate));
    LODE_TRY(lode_i_dmd_vector(ctx, f->amplitude, f->r, &amplitude));
    LODE_TRY(lode_i_dmd_expand(ctx, &d->times, lode_i_get1(&d->times, 0), &rate, &amplitude, modes,
                               !lode_i_is_complex(d->dtype), &Y));
    LODE_TRY(lode_i_diff_fro(ctx, &d->X, &Y, &off));
    LODE_REQUIRE(isfinite(off), LODE_EDOMAIN,
                 "dmd: modes grow out of the range of f64; ask for fewer modes");
    b->certificate = (lode_certificate){
        .kind = LODE_CERT_MEASURED,
        .norm = LODE_NORM_FRO,
        .relative = true,
        .needs_original = true,
        .absolute = off / d->scale,
        .value = d->norm > 0 ? off / d->norm : 0,
        .asked = NAN,
        .quantity = "||X - modes diag(amplitudes) exp(rates t)||"
    };
    if (f->r < f->asked)
        snprintf(b->certificate.note, sizeof b->certificate.note,
                 "%" PRId64 " modes of %" PRId64
                 ": others are rounding, cut by max_rank, or end in a step",
                 f->r, f->asked);
    else
        snprintf(b->certificate.note, sizeof b->certificate.note, "%" PRId64 " modes", f->r);
done:
    LODE_FREE(&rate, &amplitude, &Y);
    return st;
}

lode_status lode_dmd(lode_ctx *ctx, const lode_dmd_opts *o, lode_value X, lode_bundle *model)
{
    lode_status st = LODE_OK;
    lode_plan p = { 0 };
    lode_i_dmd_data d = { 0 };
    lode_i_dmd_fit f = { 0 };
    lode_bundle local = { 0 };
    lode_dmd_opts used = { 0 };
    sizes z;

    LODE_ENTER(&lode_op_dmd, o, &p, X);
    LODE_TRY(read_data(ctx, o, X, &z, &d));
    used = *o;
    if (lode_i_broken(ctx, "dmd-optimized") && used.method == LODE_DMD_OPTIMIZED)
        used.method = LODE_DMD_EXACT; /* where it begins */
    LODE_TRY(lode_i_dmd_solve(ctx, &used, &d, p.number[0], &f));
    LODE_TRY(pack(ctx, o, &d, &f, &local));
    LODE_TRY(certify(ctx, &d, &f, &local));
    lode_bundle_swap(model, &local);
done:
    LODE_LEAVE();
    free_data(&d);
    lode_i_dmd_free(&f);
    LODE_FREE(&local);
    return st;
}

static lode_status run(lode_ctx *ctx, const lode_call *c, lode_bundle *result)
{
    return lode_dmd(ctx, lode_call_opts(c), c->in[0], result);
}

const lode_op lode_op_dmd = {
    .name = "dmd",
    .family = "dynamics",
    .job = LODE_EXPLAIN,
    .brief = "modes that grow, decay and turn in time, from snapshots",
    .doi = "10.3934/jcd.2014.1.391 10.1007/s00348-016-2127-7 10.1137/M1124176 10.1063/1.4863670",
    .example = "lode dmd A.npy --rank 4 -o dmd.lode",
    .words = "dynamic mode decomposition koopman eigenvalues frequency growth rate forecast "
             "exponentials hankel delay variable projection prony linear dynamics time series",
    .params = params,
    .opts_size = sizeof(lode_dmd_opts),
    .in = in,
    .out = out,
    .certificate = LODE_CERT_MEASURED,
    .plan = plan,
    .run = run,
    .apply = lode_i_dmd_apply,
    .invert = lode_i_dmd_invert,
    .verify = lode_i_dmd_verify,
    .plot = lode_i_dmd_plot,
};
