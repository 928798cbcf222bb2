/* pod: proper orthogonal decomposition of snapshots, piecewise: the snapshots are partitioned, and each part
 * has a basis of its own, so that fewer columns do where the solutions of a parametrized equation do not lie near
 * one linear space.
 *
 * The partition is one around k of the snapshots (medoids) that minimizes the sum of the sines of the
 * angles between the lines that snapshots and their medoids span, sin(u, v) = sqrt(1 - (u.v / |u||v|)^2): the error
 * of u projected on v, relative to |u|, so that k medoids are the best k one-dimensional spaces spanned by
 * snapshots. Scales and signs of the snapshots do not matter to it. In each part the leading singular vectors
 * are the basis. All angles, and the vectors, come from the inner products of the snapshots.
 *
 * Source: Daniel, Casenave, Akkari & Ryckelynck 2021, doi:10.48550/arXiv.2108.12291 (the partition); Sirovich, Q. Appl.
 * Math. 45 (1987) 561 (method of snapshots); Schubert & Rousseeuw 2021, doi:10.1016/j.is.2021.101804 (the search for
 * medoids). Departures: several starts, the greedy one and random ones, of which the best is kept; snapshots of
 * zeros, which the paper excludes, go to the first part; directions that squares drown are found from what the
 * basis leaves. Claim tested: less worst error than one basis and than parts by Euclidean distance; the partition
 * does not see scales and signs. */
#include <math.h>

#include "ops/dynamics/pod.h"

static const lode_param params[] = {
    { LODE_PARAM(lode_pod_opts, clusters), .def = 1, .min = 1, .max = 1e6,
      .help = "local bases; 1: one basis for all snapshots" },
    { LODE_PARAM(lode_pod_opts, partition), .def = LODE_POD_SINE, .choices = "sine|euclid|order",
      .help = "around medoids by angle or by distance, or consecutive snapshots in equal parts" },
    { LODE_PARAM(lode_pod_opts, rank), .min = 1, .max = 1e6,
      .help = "columns of each basis: R, or auto (from the error)" },
    { LODE_PARAM(lode_pod_opts, error), .min = 0, .max = 1,
      .help = "relative error wanted, of each cluster and so in total; without rank 1e-3" },
    { LODE_PARAM(lode_pod_opts, max_rank), .min = 1, .max = 1e6, .help = LODE_HELP_MAX_RANK },
    { LODE_PARAM(lode_pod_opts, axis), .def = 0, .min = 0, .max = 1,
      .help = "axis of X that counts snapshots: 0, each is a row, or 1, a column" },
    { LODE_PARAM(lode_pod_opts, center), .def = 0, .help = "subtract the mean snapshot first" },
    { LODE_PARAM(lode_pod_opts, weights),
      .help = "weight of each value of a snapshot in the inner product, >= 0 (quadrature)" },
    { LODE_PARAM(lode_pod_opts, restarts), .def = 5, .min = 1, .max = 10000,
      .help = "starts of the search for medoids: a greedy one, the others random" },
    { LODE_PARAM(lode_pod_opts, max_iter), .def = 100, .min = 1, .max = 1e6,
      .help = "passes of a search over the snapshots at most" },
    { 0 },
};
static const lode_port in[] = {
    { "X", "m,n", .kinds = LODE_DENSE, .types = LODE_NUMBERS,
      .help = "snapshots, a row each; with axis 1 a column each" },
    { "M", "v,v", .kinds = LODE_KIND_BIT(LODE_ARRAY) | LODE_KIND_BIT(LODE_SPARSE),
      .types = LODE_REAL_NUMBERS, .optional = true,
      .help = "mass matrix: the inner product is y' M x; symmetric positive definite" },
    { 0 },
};
static const lode_port out[] = {
    { "basis", "values,R", .help = "columns orthonormal within each cluster" },
    { "offsets", "clusters+1", .types = LODE_BIT(I64),
      .help = "first column of each cluster's basis, and R" },
    { "codes", "snapshots,R", .help = "coefficients, 0 but in the columns of the own cluster" },
    { "s", "R", .help = "singular values of each cluster, descending, unit of X" },
    { "medoids", "clusters", .types = LODE_BIT(I64), .help = "numbers of the medoids, ascending" },
    { "labels", "snapshots", .types = LODE_BIT(I64), .help = "cluster of each snapshot" },
    { "distance", "snapshots", .help = "from the medoid: sine of the angle, or length" },
    { "representatives", "clusters,values", .help = "the medoids, less the mean" },
    { "errors", "snapshots", .help = "relative projection error of each, in the inner product" },
    { "mean", "values", .optional = true, .help = "center: the mean snapshot" },
    { "weights", "values", .optional = true, .help = "weights, as given" },
    { "M", "values,values", .kinds = LODE_KIND_BIT(LODE_ARRAY) | LODE_KIND_BIT(LODE_SPARSE),
      .optional = true, .help = "mass matrix, as given" },
    { "cost", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "sum of the distances" },
    { "worst", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "largest of the errors" },
    { 0 },
};

LODE_DEFAULTS(pod)

/* ---- plan ---- */

typedef struct sizes {
    int64_t N, n, K, most; /* snapshots, values, clusters, columns of a basis */
    bool known;            /* of ranks: they were asked for */
} sizes;

static lode_status read_sizes(lode_ctx *ctx, const lode_pod_opts *o, int64_t rows, int64_t cols,
                              sizes *z)
{
    lode_status st = LODE_OK;
    *z = (sizes){ .N = o->axis == 0 ? rows : cols,
                  .n = o->axis == 0 ? cols : rows,
                  .K = o->clusters };
    LODE_REQUIRE(rows > 0 && cols > 0, LODE_ESHAPE,
                 "pod: X is %" PRId64 " x %" PRId64 "; it needs a value", rows, cols);
    LODE_REQUIRE(o->clusters <= z->N, LODE_EPARAM,
                 "pod: %" PRId64 " clusters of %" PRId64
                 " snapshots; give at most that many (axis %d of X, %" PRId64 " x %" PRId64
                 ", counts snapshots)",
                 o->clusters, z->N, (int)o->axis, rows, cols);
    LODE_REQUIRE(o->rank.count <= 1, LODE_EPARAM, "pod: one rank serves every cluster, not %d",
                 (int)o->rank.count);
    LODE_REQUIRE(o->error.kind == LODE_ERROR_NONE || o->error.kind == LODE_ERROR_REL, LODE_EPARAM,
                 "pod: the error is relative Frobenius (1e-3), of each cluster");
    LODE_REQUIRE(o->error.kind == LODE_ERROR_NONE || o->rank.count == 0, LODE_EUSAGE,
                 "pod: give the rank or the error, not both; max_rank caps the ranks that an error "
                 "leads to");
    const int64_t side = lode_i_min(z->N, z->n);
    z->known = o->rank.count > 0;
    z->most = side;
    LODE_REQUIRE(!z->known || o->rank.value[0] <= side, LODE_ESHAPE,
                 "pod: rank %" PRId64 " is above min(snapshots, values) = %" PRId64
                 " of X, which is %" PRId64 " x %" PRId64,
                 o->rank.value[0], side, rows, cols);
    if (z->known)
        z->most = o->rank.value[0];
    else if (o->max_rank.given)
        z->most = lode_i_min(side, o->max_rank.value);
done:
    return st;
}

typedef struct request { /* what bytes follow from */
    const lode_pod_opts *o;
    lode_matrix_info X;
    sizes z;
    lode_kind M;
    int64_t nonzeros;
    uint64_t unpacked;
} request;

static uint64_t output_bytes(const request *q, int64_t R)
{
    const lode_dtype t = q->X.dtype;
    const int64_t N = q->z.N, n = q->z.n, K = q->z.K;
    uint64_t bytes = lode_i_bytes(t, n + N, R) + lode_i_bytes(t, K + 2, n) +
                     lode_i_bytes(LODE_F64, 4, N + K + R + 1) + 16384;
    if (q->M == LODE_ARRAY)
        bytes += lode_i_bytes(LODE_F64, n, n);
    if (q->M == LODE_SPARSE)
        bytes += 24 * (uint64_t)q->nonzeros + 8 * (uint64_t)(n + 1);
    return bytes;
}

static uint64_t workspace_bytes(const lode_ctx *ctx, const request *q, int64_t R)
{
    const lode_dtype wide = lode_i_is_complex(q->X.dtype) ? LODE_C128 : LODE_F64;
    const int64_t N = q->z.N, n = q->z.n;
    const lode_i_kmedoids_opts search = lode_i_pod_search(ctx, q->o);
    return lode_i_snapshots_room(ctx, &q->X, (int)q->o->axis, q->M, q->nonzeros) +
           9 * lode_i_bytes(wide, N, N) + 5 * lode_i_bytes(wide, n, R) +
           6 * lode_i_bytes(wide, N, R) + 6 * lode_i_bytes(wide, R, R) +
           2 * lode_i_bytes(wide, q->z.K, n) + 8 * lode_i_bytes(LODE_F64, N + R + q->z.K, 4) +
           lode_i_kmedoids_room(N, &search) + q->unpacked + (UINT64_C(1) << 20);
}

static const char *const ways[] = { "medoids by sine, local bases",
                                    "medoids by distance, local bases",
                                    "consecutive parts, local bases" };

static lode_status plan(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    const lode_pod_opts *o = lode_call_opts(c);
    request q = { .o = o, .X = lode_call_matrix(c, 0), .M = c->in[1].kind };
    const lode_dense_info dense = lode_call_dense(c, 0);
    LODE_FORWARD(read_sizes(ctx, o, q.X.rows, q.X.cols, &q.z));
    if (o->weights && q.M != LODE_NONE)
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "pod: give weights or the matrix M, not both: weights are its diagonal");
    if (q.M == LODE_SPARSE)
        q.nonzeros = lode_sparse_nnz(c->in[1].as.sparse);
    if (lode_dtype_block(dense.stored) > 1)
        q.unpacked = lode_i_bytes(q.X.dtype, q.X.rows, q.X.cols);
    const int64_t most = lode_i_min(q.z.N, q.z.K * q.z.most), least = lode_i_min(most, q.z.K);
    const double N = (double)q.z.N, n = (double)q.z.n, work = lode_i_is_complex(q.X.dtype) ? 4 : 1;
    const lode_i_need full = { workspace_bytes(ctx, &q, most), output_bytes(&q, most), 4,
                               work * (N * N * n + 6 * N * n * (double)(q.z.known ? most : least) +
                                       10 * N * N * N / (double)(q.z.K * q.z.K)) };
    const lode_i_need some = { workspace_bytes(ctx, &q, least), output_bytes(&q, least), 4,
                               full.flops };
    lode_i_plan_ranks(ctx, &dense, &full, q.z.known ? &full : &some, p);
    p->slab = q.X.kind == LODE_SOURCE ? 1 : 0;
    p->number[0] = q.z.most;
    snprintf(p->algorithm, sizeof p->algorithm, "%s",
             o->clusters == 1 ? "one basis" : ways[o->partition]);
    return LODE_OK;
}

/* ---- result ---- */

static lode_status add(lode_ctx *ctx, lode_bundle *b, const char *name, lode_dtype dtype,
                       double factor, const lode_array *a)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 }, z = { 0 };
    LODE_TRY(lode_array_cast(ctx, a, a->dtype, &y));
    if (factor != 1)
        LODE_TRY(lode_i_scale(ctx, factor, &y));
    if (y.dtype != dtype) {
        LODE_TRY(lode_array_cast(ctx, &y, dtype, &z));
        lode_array_swap(&y, &z);
    }
    LODE_TRY(lode_bundle_add_array(ctx, b, name, &y));
done:
    LODE_FREE(&y, &z);
    return st;
}

static lode_status add_inner_product(lode_ctx *ctx, const lode_pod_opts *o, lode_value M,
                                     lode_bundle *b)
{
    lode_status st = LODE_OK;
    lode_sparse csr = { 0 };
    lode_array dense = { 0 };
    if (o->weights)
        LODE_TRY(add(ctx, b, "weights", LODE_F64, 1, o->weights));
    if (M.kind == LODE_SPARSE) {
        LODE_TRY(lode_sparse_to_csr(ctx, M.as.sparse, &csr));
        LODE_TRY(lode_bundle_add_sparse(ctx, b, "M", &csr));
    } else if (M.kind != LODE_NONE) {
        LODE_TRY(lode_i_as_array(ctx, M, LODE_F64, &dense));
        LODE_TRY(add(ctx, b, "M", LODE_F64, 1, &dense));
    }
done:
    LODE_FREE(&csr, &dense);
    return st;
}

static void certify(const lode_pod_opts *o, const lode_i_snapshots *s, const lode_i_pod_fit *f,
                    double norm, bool own_product, lode_certificate *c)
{
    double worst = 0;
    int64_t at = 0, least = INT64_MAX, most = 0;
    for (int64_t i = 0; i < f->errors.shape[0]; i++)
        if (lode_i_get1(&f->errors, i) > worst)
            worst = lode_i_get1(&f->errors, i), at = i;
    for (int64_t k = 0; k < f->clusters; k++) {
        const int64_t r = f->offset[k + 1] - f->offset[k];
        least = lode_i_min(least, r), most = lode_i_max(most, r);
    }
    *c = (lode_certificate){ .kind = LODE_CERT_MEASURED,
                             .norm = LODE_NORM_FRO,
                             .relative = true,
                             .needs_original = true,
                             .absolute = sqrt(f->plain2) / s->scale,
                             .value = norm > 0 ? sqrt(f->plain2) / norm : 0,
                             .asked = NAN };
    snprintf(c->quantity, sizeof c->quantity, "||X - mean - codes basis'||");
    if (o->rank.count == 0 && !own_product)
        c->asked = o->error.kind == LODE_ERROR_REL ? o->error.value : 1e-3;
    const int used = snprintf(c->note, sizeof c->note,
                              "worst snapshot %" PRId64 ": %.3g; ranks %" PRId64, at, worst, least);
    if (most > least && used > 0 && (size_t)used < sizeof c->note)
        snprintf(c->note + used, sizeof c->note - (size_t)used, "..%" PRId64, most);
    if (own_product) {
        const size_t end = strlen(c->note);
        snprintf(c->note + end, sizeof c->note - end, "; in the inner product's norm %.3g",
                 f->norm2 > 0 ? sqrt(f->rest2 / f->norm2) : 0);
    }
}

typedef struct sizing {
    request q;
    lode_plan *p;
} sizing;

static lode_status sized(lode_ctx *ctx, int64_t columns, void *data)
{
    const sizing *z = data;
    z->p->workspace = workspace_bytes(ctx, &z->q, columns);
    z->p->output = output_bytes(&z->q, columns);
    return lode_i_refine(ctx, &lode_op_pod, z->p);
}

static lode_status pack(lode_ctx *ctx, const lode_pod_opts *o, lode_i_snapshots *s,
                        const lode_i_pod_fit *f, const lode_i_kmedoids *m, const lode_array *picked,
                        lode_value M, lode_bundle *b)
{
    lode_status st = LODE_OK;
    lode_array offsets = { 0 };
    const lode_dtype t = s->dtype, real = lode_i_real_of(t);
    const double back = 1 / s->scale;
    double worst = 0;
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, f->clusters + 1, &offsets));
    for (int64_t c = 0; c <= f->clusters; c++)
        lode_i_set1(&offsets, c, (double)f->offset[c]);
    for (int64_t i = 0; i < s->count; i++)
        worst = fmax(worst, lode_i_get1(&f->errors, i));
    const double unit = o->partition == LODE_POD_EUCLID ? back : 1;
    LODE_TRY(add(ctx, b, "basis", t, 1, &f->Phi));
    LODE_TRY(lode_bundle_add_array(ctx, b, "offsets", &offsets));
    LODE_TRY(add(ctx, b, "codes", t, back, &f->C));
    LODE_TRY(add(ctx, b, "s", real, back, &f->s));
    LODE_TRY(add(ctx, b, "medoids", LODE_I64, 1, &m->medoids));
    LODE_TRY(add(ctx, b, "labels", LODE_I64, 1, &m->labels));
    LODE_TRY(add(ctx, b, "distance", LODE_F64, unit, &m->distance));
    LODE_TRY(add(ctx, b, "representatives", t, back, picked));
    LODE_TRY(add(ctx, b, "errors", LODE_F64, 1, &f->errors));
    if (s->mean.data)
        LODE_TRY(add(ctx, b, "mean", t, back, &s->mean));
    LODE_TRY(add_inner_product(ctx, o, M, b));
    LODE_TRY(lode_bundle_add_f64(ctx, b, "cost", unit * m->cost));
    LODE_TRY(lode_bundle_add_f64(ctx, b, "worst", worst));
    b->meta.has_shape = true, b->meta.dtype = t, b->meta.ndim = 2;
    b->meta.shape[o->axis] = s->count, b->meta.shape[1 - o->axis] = s->length;
done:
    lode_array_free(&offsets);
    return st;
}

lode_status lode_pod(lode_ctx *ctx, const lode_pod_opts *o, lode_value X, lode_value M,
                     lode_bundle *model)
{
    lode_status st = LODE_OK;
    lode_plan p = { 0 };
    lode_i_snapshots s = { 0 };
    lode_i_kmedoids m = { 0 };
    lode_i_pod_fit f = { 0 };
    lode_array G = { 0 }, picked = { 0 };
    lode_bundle local = { 0 };
    double norm = 0;
    bool again = false;

    LODE_ENTER(&lode_op_pod, o, &p, X, M);
    LODE_TRY(lode_i_snapshots_open(ctx, X, (int)o->axis, &s));
    s.center = o->center;
    const double N = (double)s.count, n = (double)s.length;
    lode_i_work(ctx, "inner products", N * n * N, 10 * N * n * (double)o->clusters + N * N * N);
    LODE_TRY(lode_i_snapshots_weigh(ctx, o->weights, M, &s));
    LODE_TRY(lode_i_snapshots_gram(ctx, &s, &G, &norm));
    LODE_TRY(lode_i_snapshots_rescale(ctx, norm, &s, &again));
    if (again)
        LODE_TRY(lode_i_snapshots_gram(ctx, &s, &G, &norm));
    for (int64_t i = 0; i < s.count; i++)
        LODE_REQUIRE(lode_i_get2(&G, i, i) >= 0, LODE_EDOMAIN,
                     "pod: M is not positive definite: snapshot %" PRId64
                     " has the squared length %.3g",
                     i, lode_i_get2(&G, i, i));
    lode_i_work(ctx, "medoids", N * N * N, 10 * N * n * (double)o->clusters);
    LODE_TRY(lode_i_pod_partition(ctx, o, &G, &m));
    f.labels = lode_array_ref(&m.labels), f.clusters = o->clusters;
    const bool ranked = o->rank.count > 0, asked = o->error.kind == LODE_ERROR_REL;
    const lode_i_pod_wish wish = { .rank = p.number[0],
                                   .relative = ranked  ? 0
                                               : asked ? fmax(o->error.value, 1e-300)
                                                       : 1e-3 };
    sizing z = { .p = &p,
                 .q = { .o = o,
                        .X = { .rows = o->axis == 0 ? s.count : s.length,
                               .cols = o->axis == 0 ? s.length : s.count,
                               .dtype = s.dtype,
                               .kind = X.kind },
                        .M = M.kind } };
    LODE_TRY(read_sizes(ctx, o, z.q.X.rows, z.q.X.cols, &z.q.z));
    z.q.nonzeros = M.kind == LODE_SPARSE ? lode_sparse_nnz(M.as.sparse) : 0;
    z.q.unpacked = X.kind == LODE_ARRAY && lode_dtype_block(X.as.array->dtype) > 1
                       ? lode_i_bytes(s.dtype, s.count, s.length)
                       : 0;
    lode_i_work(ctx, "bases", 10 * N * n * (double)o->clusters, 0);
    LODE_TRY(lode_i_pod_bases(ctx, &s, &G, &wish, sized, &z, &f));
    LODE_FREE(&G);
    LODE_TRY(lode_i_snapshots_pick(ctx, &s, &m.medoids, &picked));
    LODE_TRY(pack(ctx, o, &s, &f, &m, &picked, M, &local));
    certify(o, &s, &f, norm, M.kind != LODE_NONE || o->weights, &local.certificate);
    if (!f.met && st == LODE_OK)
        st = lode_i_fail(ctx, LODE_MISSED,
                         "pod: the error %.3g is not met in each cluster (%.3g in total): %s",
                         wish.relative, f.norm2 > 0 ? sqrt(f.rest2 / f.norm2) : 0,
                         o->max_rank.given ? "raise max_rank" : "it is below rounding");
    lode_bundle_swap(model, &local);
done:
    LODE_LEAVE();
    lode_i_snapshots_free(&s);
    lode_i_kmedoids_free(&m);
    lode_i_pod_fit_free(&f);
    LODE_FREE(&G, &picked, &local);
    return st;
}

static lode_status run(lode_ctx *ctx, const lode_call *c, lode_bundle *result)
{
    return lode_pod(ctx, lode_call_opts(c), c->in[0], c->in[1], result);
}

const lode_op lode_op_pod = {
    .name = "pod",
    .family = "dynamics",
    .job = LODE_EXPLAIN,
    .brief = "local bases of snapshots, partitioned by their directions",
    .doi = "10.48550/arXiv.2108.12291 10.1016/j.is.2021.101804",
    .example = "lode pod A.npy --clusters 3 --rank 4 -o pod.lode",
    .words =
        "proper orthogonal decomposition reduced order model reduced basis snapshots galerkin "
        "local bases dictionary k-medoids sine dissimilarity piecewise linear kolmogorov width "
        "mass matrix pde parametrized",
    .params = params,
    .opts_size = sizeof(lode_pod_opts),
    .in = in,
    .out = out,
    .certificate = LODE_CERT_MEASURED,
    .plan = plan,
    .run = run,
    .apply = lode_i_pod_apply,
    .invert = lode_i_pod_invert,
    .verify = lode_i_pod_verify,
    .plot = lode_i_pod_plot,
};
