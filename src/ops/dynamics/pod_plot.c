/* The picture of pod: singular values of each cluster, errors of the snapshots, silhouettes, and the
 * dissimilarities with the snapshots in the order of their clusters. */
#include <math.h>

#include "ops/dynamics/pod.h"

enum { MOST = 1200 }; /* snapshots of which all pairs are drawn */

static lode_status spectra(lode_ctx *ctx, const lode_i_pod_model *m, lode_figure *figure)
{
    lode_status st = LODE_OK;
    lode_panel *p = NULL;
    lode_array part = { 0 };
    LODE_TRY(lode_i_panel(ctx, figure, "singular values of each cluster", "column of the basis",
                          "singular value, unit of X", &p));
    lode_i_panel_log(p, false, true);
    for (int64_t c = 0; c < m->K; c++) {
        char label[32];
        const int64_t from = (int64_t)lode_i_get1(m->offsets, c),
                      to = (int64_t)lode_i_get1(m->offsets, c + 1);
        lode_array_free(&part);
        if (to == from)
            continue;
        LODE_TRY(lode_array_slice(ctx, m->s, 0, from, to, 1, &part));
        snprintf(label, sizeof label, "cluster %" PRId64, c);
        LODE_TRY(lode_i_panel_line(ctx, p, m->K > 1 && m->K <= 7 ? label : NULL, NULL, &part));
    }
done:
    lode_array_free(&part);
    return st;
}

static lode_status errors(lode_ctx *ctx, const lode_i_pod_model *m, lode_figure *figure)
{
    lode_status st = LODE_OK;
    lode_panel *p = NULL;
    lode_array number = { 0 }, groups = { 0 };
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, m->N, &number));
    for (int64_t i = 0; i < m->N; i++)
        lode_i_set1(&number, i, (double)i);
    LODE_TRY(lode_i_panel(ctx, figure, "projection error of each snapshot", "snapshot",
                          "relative error", &p));
    lode_i_panel_log(p, false, true);
    LODE_TRY(lode_i_panel_points(ctx, p, "cluster", &number, m->errors, m->labels));
done:
    LODE_FREE(&number, &groups);
    return st;
}

/* Dissimilarities of what the bases hold of the snapshots: <x_i, x_j> ~ codes_i S conj(codes_j), S the inner
 * products of the bases' columns, which without weights are known from the result. */
static lode_status pairs(lode_ctx *ctx, const lode_i_pod_model *m, bool euclid, lode_array *D)
{
    lode_status st = LODE_OK;
    lode_array S = { 0 }, A = { 0 }, G = { 0 }, turned = { 0 }, y = { 0 };
    LODE_TRY(lode_i_gram(ctx, LODE_H, m->basis, &S));
    turned = lode_i_transposed(&S); /* S^T: entries conj(<phi_b, phi_a>) in the order of codes */
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, m->codes, &turned, &A));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_H, &A, m->codes, &G));
    LODE_TRY(lode_i_gram_distances(ctx, &G, euclid ? LODE_I_EUCLID : LODE_I_SINE, D));
done:
    LODE_FREE(&S, &A, &G, &y);
    return st;
}

/* In the order of clusters, and within them of the distance from the medoid. */
static lode_status ordered(lode_ctx *ctx, const lode_i_pod_model *m, lode_array *order)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, m->N, &y));
    for (int64_t i = 0; i < m->N; i++) {
        int64_t at = i;
        for (; at > 0; at--) {
            const int64_t before = (int64_t)lode_i_get1(&y, at - 1);
            const double a = lode_i_get1(m->labels, before), b = lode_i_get1(m->labels, i);
            if (a < b ||
                (!(a > b) && lode_i_get1(m->distance, before) <= lode_i_get1(m->distance, i)))
                break;
            lode_i_set1(&y, at, (double)before);
        }
        lode_i_set1(&y, at, (double)i);
    }
    lode_array_swap(order, &y);
done:
    lode_array_free(&y);
    return st;
}

static lode_status pictures_of_pairs(lode_ctx *ctx, const lode_i_pod_model *m, bool euclid,
                                     lode_figure *figure)
{
    lode_status st = LODE_OK;
    lode_array D = { 0 }, order = { 0 }, rows = { 0 }, both = { 0 }, width = { 0 }, y = { 0 };
    lode_panel *p = NULL;
    LODE_TRY(pairs(ctx, m, euclid, &D));
    LODE_TRY(ordered(ctx, m, &order));
    LODE_TRY(lode_i_take(ctx, &D, 0, &order, &rows));
    LODE_TRY(lode_i_take(ctx, &rows, 1, &order, &both));
    LODE_TRY(lode_i_panel(
        ctx, figure, euclid ? "distances, by cluster (unit of X)" : "sines of angles, by cluster",
        "snapshot", "snapshot", &p));
    LODE_TRY(lode_i_panel_image(ctx, p, &both, 0, 0, false));
    if (m->K > 1) {
        double mean = 0;
        char title[96];
        LODE_TRY(lode_i_silhouette(ctx, &D, m->labels, m->K, &width));
        LODE_TRY(lode_i_take(ctx, &D, 0, &order, &rows));
        LODE_TRY(lode_i_vector_new(ctx, LODE_F64, m->N, &y));
        for (int64_t i = 0; i < m->N; i++) {
            const double w = lode_i_get1(&width, (int64_t)lode_i_get1(&order, i));
            mean += w / (double)m->N;
            lode_i_set1(&y, i, w);
        }
        snprintf(title, sizeof title, "silhouette of each snapshot, mean %.2f", mean);
        LODE_TRY(lode_i_panel(ctx, figure, title, "snapshot, by cluster", "silhouette", &p));
        LODE_TRY(lode_i_panel_line(ctx, p, NULL, NULL, &y));
    }
done:
    LODE_FREE(&D, &order, &rows, &both, &width, &y);
    return st;
}

lode_status lode_i_pod_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                            lode_figure *figure)
{
    lode_status st = LODE_OK;
    lode_i_pod_model m;
    char text[512];
    (void)original;
    LODE_TRY(lode_i_pod_read(ctx, model, &m));
    lode_certificate_print(&model->certificate, text, sizeof text);
    LODE_TRY(lode_figure_caption(ctx, figure, "Local bases of snapshots", text));
    LODE_TRY(spectra(ctx, &m, figure));
    LODE_TRY(errors(ctx, &m, figure));
    if (m.N <= MOST && m.codes->shape[1] > 0)
        LODE_TRY(pictures_of_pairs(ctx, &m, m.o.partition == LODE_POD_EUCLID, figure));
done:
    return st;
}
