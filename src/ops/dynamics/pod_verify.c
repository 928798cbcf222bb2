/* Checks a result of pod: by itself, and against the snapshots. */
#include <math.h>

#include "ops/dynamics/pod.h"

static lode_status check_alone(lode_ctx *ctx, const lode_i_pod_model *m, const lode_bundle *b)
{
    lode_status st = LODE_OK;
    lode_array rows = { 0 }, part = { 0 };
    const double slack = 64 * lode_i_epsilon(m->basis->dtype) * sqrt((double)(m->n + m->N + 64));
    double cost = 0, worst = 0, said_cost = 0, said_worst = 0, norm2 = 0, rest2 = 0;
    LODE_TRY(lode_i_require_finite(ctx, m->basis, "basis"));
    LODE_TRY(lode_i_require_finite(ctx, m->codes, "codes"));
    LODE_TRY(lode_bundle_f64(ctx, b, "cost", &said_cost));
    LODE_TRY(lode_bundle_f64(ctx, b, "worst", &said_worst));
    for (int64_t j = 0; j < m->R; j++) {
        double norm = 0;
        LODE_FREE(&part);
        part = lode_i_cols(m->codes, j, j + 1);
        LODE_TRY(lode_i_norm_fro(ctx, &part, &norm));
        LODE_REQUIRE(
            fabs(norm - lode_i_get1(m->s, j)) <= slack * lode_i_get1(m->s, 0) + 1e-6 * norm,
            LODE_EVERIFY, "pod: column %" PRId64 " of the codes has length %.9g, s says %.9g", j,
            norm, lode_i_get1(m->s, j));
    }
    for (int64_t i = 0; i < m->N; i++) {
        const int64_t c = (int64_t)lode_i_get1(m->labels, i);
        const int64_t end[] = { 0, lode_i_pod_offset(m, c), lode_i_pod_offset(m, c + 1), m->R };
        double norm[3] = { 0 };
        LODE_FREE(&rows);
        rows = lode_i_rows(m->codes, i, i + 1);
        for (int k = 0; k < 3; k++) {
            LODE_FREE(&part);
            part = lode_i_cols(&rows, end[k], end[k + 1]);
            LODE_TRY(lode_i_norm_fro(ctx, &part, &norm[k]));
        }
        const double own = norm[1];
        LODE_REQUIRE(!(norm[0] > 0) && !(norm[2] > 0), LODE_EVERIFY,
                     "pod: snapshot %" PRId64 " has coefficients beyond its own cluster", i);
        const double e = lode_i_get1(m->errors, i);
        LODE_REQUIRE(e >= 0 && e <= 1 + slack, LODE_EVERIFY,
                     "pod: the error of snapshot %" PRId64 " is %g", i, e);
        const double whole = e < 1 ? own * own / (1 - e * e) : own * own;
        norm2 += whole, rest2 += e * e * whole;
        cost += lode_i_get1(m->distance, i), worst = fmax(worst, e);
    }
    LODE_REQUIRE(fabs(cost - said_cost) <= 1e-9 * (cost + said_cost) &&
                     fabs(worst - said_worst) <= 1e-12,
                 LODE_EVERIFY,
                 "pod: distances add up to %.9g and errors go to %.9g, stored are %.9g and %.9g",
                 cost, worst, said_cost, said_worst);
    /* norms of snapshots from their coefficients and errors: of no use where nothing is left of one */
    if (worst < 0.999 && !m->weights && m->M.kind == LODE_NONE && !m->mean && norm2 > 0) {
        const double total = sqrt(rest2 / norm2);
        LODE_REQUIRE(fabs(total - b->certificate.value) <= 1e-3 * total + slack, LODE_EVERIFY,
                     "pod: the errors of the snapshots make up %.6g, the certificate says %.6g",
                     total, b->certificate.value);
    }
done:
    LODE_FREE(&rows, &part);
    return st;
}

/* Columns of each basis are orthonormal in the inner product. */
static lode_status check_bases(lode_ctx *ctx, const lode_i_pod_model *m, const lode_i_snapshots *s,
                               const lode_array *Phi)
{
    lode_status st = LODE_OK;
    lode_array S = { 0 }, rows = { 0 }, part = { 0 }, eye = { 0 };
    const double slack = 64 * lode_i_epsilon(m->basis->dtype) * sqrt((double)(m->n + 64));
    LODE_TRY(lode_i_snapshots_metric(ctx, s, Phi, &S));
    for (int64_t c = 0; c < m->K; c++) {
        const int64_t at = lode_i_pod_offset(m, c), r = lode_i_pod_offset(m, c + 1) - at;
        double off = 0;
        LODE_FREE(&rows, &part, &eye);
        rows = lode_i_rows(&S, at, at + r);
        part = lode_i_cols(&rows, at, at + r);
        LODE_TRY(lode_i_eye(ctx, S.dtype, r, &eye));
        if (r > 0)
            LODE_TRY(lode_i_diff_fro(ctx, &part, &eye, &off));
        LODE_REQUIRE(off <= slack * sqrt((double)r + 1), LODE_EVERIFY,
                     "pod: the basis of cluster %" PRId64
                     " is not orthonormal: ||basis' M basis - I|| = %.3g",
                     c, off);
    }
done:
    LODE_FREE(&S, &rows, &part, &eye);
    return st;
}

static lode_status check_partition(lode_ctx *ctx, const lode_i_pod_model *m,
                                   const lode_i_snapshots *s, const lode_i_pod_crossing *c)
{
    lode_status st = LODE_OK;
    const bool euclid = m->o.partition == LODE_POD_EUCLID;
    double most = 0;
    for (int64_t i = 0; i < m->N; i++)
        most = fmax(most, lode_i_get1(&c->squares, i));
    const double eps = lode_i_epsilon(m->basis->dtype);
    const double slack = (1e-6 + 16 * eps) * (euclid ? sqrt(most) : 1);
    for (int64_t i = 0; i < m->N; i++) {
        const int64_t own = (int64_t)lode_i_get1(m->labels, i);
        const double unit = euclid ? s->scale : 1, d = lode_i_pod_away(ctx, m, c, i, own);
        const double said = unit * lode_i_get1(m->distance, i);
        LODE_REQUIRE(fabs(d - said) <= slack, LODE_EVERIFY,
                     "pod: snapshot %" PRId64 " is %.9g from its medoid, the result says %.9g", i,
                     d / unit, said / unit);
        for (int64_t k = 0; k < m->K && m->o.partition != LODE_POD_ORDER; k++)
            LODE_REQUIRE(lode_i_pod_away(ctx, m, c, i, k) >= d - slack, LODE_EVERIFY,
                         "pod: snapshot %" PRId64 " is nearer to medoid %" PRId64
                         " than to that of its cluster, %" PRId64,
                         i, k, own);
    }
    for (int64_t k = 0; k < m->K; k++) {
        const int64_t at = (int64_t)lode_i_get1(m->medoids, k);
        const double own = lode_i_get2(&c->own, k, k), x = lode_i_get1(&c->squares, at),
                     both = lode_i_get2(&c->P, at, k);
        LODE_REQUIRE(fabs(own - x) + fabs(both - x) <= 64 * eps * sqrt((double)m->n + 64) * most,
                     LODE_EVERIFY, "pod: representative %" PRId64 " is not snapshot %" PRId64, k,
                     at);
    }
done:
    return st;
}

lode_status lode_i_pod_verify(lode_ctx *ctx, const lode_bundle *bundle, lode_value original,
                              lode_certificate *found)
{
    lode_status st = LODE_OK;
    lode_i_pod_model m;
    lode_i_snapshots s = { 0 };
    lode_i_pod_crossing c = { 0 };
    lode_i_leftover e = { 0 };
    lode_array Phi = { 0 }, C = { 0 }, mean = { 0 }, errors = { 0 }, stored = { 0 };
    double off = 0, size = 0, norm = 0;
    LODE_TRY(lode_i_pod_read(ctx, bundle, &m));
    LODE_TRY(check_alone(ctx, &m, bundle));
    *found = bundle->certificate;
    if (original.kind == LODE_NONE) {
        snprintf(found->note, sizeof found->note,
                 "structure checked; give the original to measure the errors again");
        goto done;
    }
    LODE_TRY(lode_i_pod_open(ctx, &m, original, true, &s));
    LODE_REQUIRE(s.count == m.N, LODE_ESHAPE,
                 "pod: the original has %" PRId64 " snapshots, the result stands for %" PRId64,
                 s.count, m.N);
    LODE_TRY(lode_i_pod_cross(ctx, &m, &s, &c));
    if (m.mean) {
        LODE_TRY(lode_array_cast(ctx, m.mean, s.wide, &mean));
        LODE_TRY(lode_i_scale(ctx, s.scale, &mean));
        LODE_TRY(lode_i_diff_fro(ctx, &mean, &s.mean, &off));
        LODE_TRY(lode_i_norm_fro(ctx, &s.mean, &size));
        LODE_REQUIRE(off <= 16 * lode_i_epsilon(m.basis->dtype) * size, LODE_EVERIFY,
                     "pod: the mean is off by %.3g of its length", off / size);
    }
    LODE_TRY(check_partition(ctx, &m, &s, &c));
    LODE_TRY(lode_array_cast(ctx, m.basis, s.wide, &Phi));
    LODE_TRY(check_bases(ctx, &m, &s, &Phi));
    LODE_TRY(lode_array_cast(ctx, m.codes, s.wide, &C));
    LODE_TRY(lode_i_scale(ctx, s.scale, &C));
    LODE_TRY(lode_i_snapshots_leftover(ctx, &s, &C, &Phi, false, &e));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &m.N, &errors));
    lode_i_pod_relative(&e.squares, &c.squares, &errors);
    const double slack = 64 * lode_i_epsilon(m.basis->dtype) * sqrt((double)m.R + 16);
    for (int64_t i = 0; i < m.N; i++) {
        const double is = lode_i_get1(&errors, i), said = lode_i_get1(m.errors, i);
        LODE_REQUIRE(fabs(is - said) <= 1e-6 * said + slack, LODE_EVERIFY,
                     "pod: the error of snapshot %" PRId64 " is %.9g, the result says %.9g", i, is,
                     said);
    }
    LODE_TRY(lode_i_as_array(ctx, original, s.dtype, &stored));
    LODE_TRY(lode_i_norm_fro(ctx, &stored, &norm));
    found->absolute = sqrt(e.plain) / s.scale;
    found->value = norm > 0 ? found->absolute / norm : 0;
    LODE_REQUIRE(fabs(found->value - bundle->certificate.value) <=
                     1e-6 * bundle->certificate.value + slack,
                 LODE_EVERIFY, "pod: the relative error is %.9g, the certificate says %.9g",
                 found->value, bundle->certificate.value);
done:
    lode_i_snapshots_free(&s);
    lode_i_pod_crossing_free(&c);
    LODE_FREE(&e.squares, &e.G, &Phi, &C, &mean, &errors, &stored);
    return st;
}
