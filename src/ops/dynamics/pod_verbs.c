/* Verbs of pod: clusters and coefficients of new snapshots, rebuild. */
#include <math.h>

#include "ops/dynamics/pod.h"

lode_status lode_i_pod_read(lode_ctx *ctx, const lode_bundle *b, lode_i_pod_model *m)
{
    lode_status st = LODE_OK;
    const struct {
        const char *name;
        const lode_array **to;
        int ndim;
    } member[] = { { "basis", &m->basis, 2 },       { "offsets", &m->offsets, 1 },
                   { "codes", &m->codes, 2 },       { "s", &m->s, 1 },
                   { "medoids", &m->medoids, 1 },   { "labels", &m->labels, 1 },
                   { "distance", &m->distance, 1 }, { "representatives", &m->picked, 2 },
                   { "errors", &m->errors, 1 } };
    *m = (lode_i_pod_model){ .K = 0 };
    bool fits = true;
    for (size_t i = 0; i < sizeof member / sizeof *member; i++) {
        LODE_TRY(lode_bundle_array(ctx, b, member[i].name, member[i].to));
        fits = fits && (*member[i].to)->ndim == member[i].ndim;
    }
    if (lode_bundle_get(b, "mean").kind == LODE_ARRAY)
        LODE_TRY(lode_bundle_array(ctx, b, "mean", &m->mean));
    if (lode_bundle_get(b, "weights").kind == LODE_ARRAY)
        LODE_TRY(lode_bundle_array(ctx, b, "weights", &m->weights));
    m->M = lode_bundle_get(b, "M");
    LODE_TRY(lode_i_options_of(ctx, &lode_op_pod, b, &m->o));
    const lode_dtype t = m->basis->dtype;
    if (fits) {
        m->n = m->basis->shape[0], m->R = m->basis->shape[1], m->N = m->codes->shape[0];
        m->K = m->medoids->shape[0];
        fits = m->K > 0 && m->codes->shape[1] == m->R && m->s->shape[0] == m->R &&
               m->offsets->shape[0] == m->K + 1 && m->labels->shape[0] == m->N &&
               m->distance->shape[0] == m->N && m->errors->shape[0] == m->N &&
               m->picked->shape[0] == m->K && m->picked->shape[1] == m->n && m->codes->dtype == t &&
               m->picked->dtype == t && lode_i_arith(t) == t &&
               (!m->mean || (m->mean->ndim == 1 && m->mean->shape[0] == m->n));
    }
    for (int64_t c = 0; fits && c <= m->K; c++) {
        const double at = lode_i_get1(m->offsets, c);
        fits = at >= (c > 0 ? lode_i_get1(m->offsets, c - 1) : 0) && at <= (double)m->R &&
               (c > 0 || at == 0) && (c < m->K || at == (double)m->R);
    }
    for (int64_t i = 0; fits && i < m->N; i++) {
        const double label = lode_i_get1(m->labels, i);
        fits = label >= 0 && label < (double)m->K;
    }
    for (int64_t c = 0; fits && c < m->K; c++) {
        const double at = lode_i_get1(m->medoids, c);
        fits = at >= 0 && at < (double)m->N;
    }
    LODE_REQUIRE(fits, LODE_EFORMAT,
                 "pod: the members of this result do not fit together; decompose again");
done:
    return st;
}

int64_t lode_i_pod_offset(const lode_i_pod_model *m, int64_t c)
{
    return (int64_t)lode_i_get1(m->offsets, c);
}

/* Snapshots x seen as the model sees them. */
lode_status lode_i_pod_open(lode_ctx *ctx, const lode_i_pod_model *m, lode_value x,
                            bool measure_mean, lode_i_snapshots *s)
{
    lode_status st = LODE_OK;
    LODE_TRY(lode_i_snapshots_open(ctx, x, (int)m->o.axis, s));
    LODE_REQUIRE(s->length == m->n, LODE_ESHAPE,
                 "pod: the snapshots have %" PRId64 " values, those of the model %" PRId64
                 " (axis %d of X counts snapshots)",
                 s->length, m->n, (int)m->o.axis);
    LODE_REQUIRE(lode_i_is_complex(m->basis->dtype) || !lode_i_is_complex(s->dtype), LODE_ETYPE,
                 "pod: the model is %s and the snapshots %s: convert them first",
                 lode_dtype_name(m->basis->dtype), lode_dtype_name(s->dtype));
    if (lode_i_is_complex(m->basis->dtype))
        s->wide = LODE_C128;
    if (m->mean && measure_mean) {
        s->center = true;
    } else if (m->mean) {
        LODE_TRY(lode_array_cast(ctx, m->mean, s->wide, &s->mean));
        s->given = true;
    }
    LODE_TRY(lode_i_snapshots_weigh(ctx, m->weights, m->M, s));
done:
    return st;
}

void lode_i_pod_crossing_free(lode_i_pod_crossing *c)
{
    LODE_FREE(&c->P, &c->squares, &c->own, &c->reps);
}

lode_status lode_i_pod_cross(lode_ctx *ctx, const lode_i_pod_model *m, lode_i_snapshots *s,
                             lode_i_pod_crossing *c)
{
    lode_status st = LODE_OK;
    const lode_array turned = lode_i_transposed(m->picked);
    double norm = 0;
    bool again = true;
    for (int attempt = 0; attempt < 2 && again; attempt++) {
        LODE_FREE(&c->reps);
        LODE_TRY(lode_array_cast(ctx, &turned, s->wide, &c->reps));
        if (s->scale != 1)
            LODE_TRY(lode_i_scale(ctx, s->scale, &c->reps));
        LODE_TRY(lode_i_snapshots_project(ctx, s, &c->reps, &c->P, &c->squares, &norm));
        LODE_TRY(lode_i_snapshots_rescale(ctx, norm, s, &again));
    }
    LODE_TRY(lode_i_snapshots_metric(ctx, s, &c->reps, &c->own));
done:
    return st;
}

static double imaginary(lode_ctx *ctx, const lode_array *P, int64_t i, int64_t k);

double lode_i_pod_away(lode_ctx *ctx, const lode_i_pod_model *m, const lode_i_pod_crossing *c,
                       int64_t i, int64_t k)
{
    const bool euclid = m->o.partition == LODE_POD_EUCLID;
    const double square = lode_i_get1(&c->squares, i);
    if (!euclid && !(square > 0)) /* no direction */
        return 0;
    return lode_i_dissimilarity_of(euclid ? LODE_I_EUCLID : LODE_I_SINE, square,
                                   lode_i_get2(&c->own, k, k), lode_i_get2(&c->P, i, k),
                                   imaginary(ctx, &c->P, i, k));
}

static double imaginary(lode_ctx *ctx, const lode_array *P, int64_t i, int64_t k)
{
    if (!lode_i_is_complex(P->dtype))
        return 0;
    lode_array row = lode_i_rows(P, i, i + 1), at = lode_i_cols(&row, k, k + 1);
    lode_inner sum = { .im = 0 };
    if (lode_i_inner(ctx, &at, NULL, &sum) < 0)
        sum.im = NAN;
    LODE_FREE(&row, &at);
    return sum.im;
}

/* Coefficients in the columns of another cluster than a snapshot's own become 0. */
static lode_status only_own(lode_ctx *ctx, const lode_i_pod_model *m, const lode_array *labels,
                            lode_array *C)
{
    lode_status st = LODE_OK;
    lode_array row = { 0 }, part = { 0 };
    for (int64_t i = 0; i < C->shape[0]; i++) {
        const int64_t c = (int64_t)lode_i_get1(labels, i);
        const int64_t end[2][2] = { { 0, lode_i_pod_offset(m, c) },
                                    { lode_i_pod_offset(m, c + 1), m->R } };
        for (int k = 0; k < 2; k++) {
            LODE_FREE(&row, &part);
            row = lode_i_rows(C, i, i + 1);
            part = lode_i_cols(&row, end[k][0], end[k][1]);
            if (end[k][1] > end[k][0])
                LODE_TRY(lode_i_fill(ctx, &part, 0));
        }
    }
done:
    LODE_FREE(&row, &part);
    return st;
}

void lode_i_pod_relative(const lode_array *left, const lode_array *squares, lode_array *errors)
{
    for (int64_t i = 0; i < errors->shape[0]; i++) {
        const double n = lode_i_get1(squares, i), r = fmax(lode_i_get1(left, i), 0);
        lode_i_set1(errors, i, n > 0 ? sqrt(r / n) : 0);
    }
}

/* ---- apply ---- */

lode_status lode_i_pod_apply(lode_ctx *ctx, const lode_bundle *bundle, lode_value x,
                             lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_i_pod_model m;
    lode_i_snapshots s = { 0 };
    lode_i_pod_crossing c = { 0 };
    lode_i_leftover e = { 0 };
    lode_array one = { 0 }, labels = { 0 }, distance = { 0 }, C = { 0 }, Phi = { 0 },
               errors = { 0 }, y = { 0 };
    LODE_TRY(lode_i_pod_read(ctx, bundle, &m));
    if (x.kind == LODE_ARRAY && x.as.array->ndim == 1) {
        int64_t shape[2] = { 1, 1 };
        shape[1 - m.o.axis] = x.as.array->shape[0];
        LODE_TRY(lode_array_reshape(ctx, x.as.array, 2, shape, &one));
        x = lode_from_array(&one);
    }
    LODE_TRY(lode_i_pod_open(ctx, &m, x, false, &s));
    lode_i_work(ctx, "clusters", (double)m.K, 2 * (double)m.R);
    LODE_TRY(lode_i_pod_cross(ctx, &m, &s, &c));
    LODE_TRY(lode_array_zeros(ctx, LODE_I64, 1, &s.count, &labels));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &s.count, &distance));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &s.count, &errors));
    const double unit = m.o.partition == LODE_POD_EUCLID ? 1 / s.scale : 1;
    for (int64_t i = 0; i < s.count; i++) {
        double least = INFINITY;
        for (int64_t k = 0; k < m.K; k++) {
            const double d = lode_i_pod_away(ctx, &m, &c, i, k);
            if (lode_i_nearer(d, least))
                least = d, lode_i_set1(&labels, i, (double)k);
        }
        lode_i_set1(&distance, i, unit * least);
    }
    lode_i_work(ctx, "coefficients", (double)m.R, (double)m.R);
    LODE_TRY(lode_array_cast(ctx, m.basis, s.wide, &Phi));
    LODE_TRY(lode_i_snapshots_project(ctx, &s, &Phi, &C, NULL, NULL));
    LODE_TRY(only_own(ctx, &m, &labels, &C));
    lode_i_work(ctx, "errors", (double)m.R, 0);
    LODE_TRY(lode_i_snapshots_leftover(ctx, &s, &C, &Phi, false, &e));
    lode_i_pod_relative(&e.squares, &c.squares, &errors);
    if (s.scale != 1)
        LODE_TRY(lode_i_scale(ctx, 1 / s.scale, &C));
    LODE_TRY(lode_array_cast(ctx, &C, m.basis->dtype, &y));
    LODE_TRY(lode_bundle_add_array(ctx, result, "codes", &y));
    LODE_TRY(lode_bundle_add_array(ctx, result, "labels", &labels));
    LODE_TRY(lode_bundle_add_array(ctx, result, "distance", &distance));
    LODE_TRY(lode_bundle_add_array(ctx, result, "errors", &errors));
done:
    lode_i_snapshots_free(&s);
    lode_i_pod_crossing_free(&c);
    LODE_FREE(&e.squares, &e.G, &one, &labels, &distance, &C, &Phi, &errors, &y);
    return st;
}

/* ---- invert: codes basis^T + mean ---- */

lode_status lode_i_pod_invert(lode_ctx *ctx, const lode_bundle *bundle, lode_value codes,
                              const lode_part *part, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_i_pod_model m;
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM], shape[2];
    lode_array given = { 0 }, left = { 0 }, right = { 0 }, mean = { 0 }, turned = { 0 }, y = { 0 };
    LODE_TRY(lode_i_pod_read(ctx, bundle, &m));
    if (codes.kind == LODE_NONE)
        given = lode_array_ref(m.codes);
    else
        LODE_TRY(lode_i_as_array(ctx, codes, m.basis->dtype, &given));
    LODE_REQUIRE(given.ndim == 2 && given.shape[1] == m.R, LODE_ESHAPE,
                 "pod: codes have one column for each of the %" PRId64 " of the bases", m.R);
    const int axis = (int)m.o.axis;
    shape[axis] = given.shape[0], shape[1 - axis] = m.n;
    LODE_TRY(lode_i_part_resolve(ctx, part, 2, shape, start, count));
    left = lode_i_rows(&given, start[axis], start[axis] + count[axis]);
    right = lode_i_rows(m.basis, start[1 - axis], start[1 - axis] + count[1 - axis]);
    /* in both ways snapshots are rows while the mean is added */
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_T, &left, &right, &y));
    if (m.mean) {
        LODE_TRY(lode_array_slice(ctx, m.mean, 0, start[1 - axis],
                                  start[1 - axis] + count[1 - axis], 1, &mean));
        LODE_TRY(lode_array_cast(ctx, &mean, y.dtype, &turned));
        LODE_TRY(lode_i_scale(ctx, -1, &turned));
        LODE_TRY(lode_i_sub_row(ctx, &y, &turned));
        LODE_FREE(&turned);
    }
    if (axis == 1) {
        turned = lode_i_transposed(&y);
        LODE_TRY(lode_array_cast(ctx, &turned, y.dtype, out));
        turned = (lode_array){ 0 };
    } else {
        lode_array_swap(out, &y);
    }
done:
    LODE_FREE(&given, &left, &right, &mean, &y);
    if (turned.owner)
        LODE_FREE(&turned);
    return st;
}
