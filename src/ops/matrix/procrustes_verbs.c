/* Verbs of procrustes: new points moved, points moved back, the check, a picture. */
#include <math.h>

#include "ops/matrix/procrustes.h"

/* A result, borrowed from its bundle. */
typedef struct moved {
    const lode_array *R, *scale, *shift, *aligned, *residuals;
    const lode_array *consensus, *trace, *cross, *s, *squares, *weights; /* or NULL */
    int64_t n, p, q, k;
    bool several;
} moved;

static lode_status read_model(lode_ctx *ctx, const lode_bundle *b, moved *m)
{
    LODE_FORWARD(lode_bundle_array(ctx, b, "rotation", &m->R));
    LODE_FORWARD(lode_bundle_array(ctx, b, "scale", &m->scale));
    LODE_FORWARD(lode_bundle_array(ctx, b, "shift", &m->shift));
    LODE_FORWARD(lode_bundle_array(ctx, b, "aligned", &m->aligned));
    LODE_FORWARD(lode_bundle_array(ctx, b, "residuals", &m->residuals));
    LODE_FORWARD(lode_i_bundle_optional(ctx, b, "consensus", &m->consensus));
    LODE_FORWARD(lode_i_bundle_optional(ctx, b, "trace", &m->trace));
    LODE_FORWARD(lode_i_bundle_optional(ctx, b, "cross", &m->cross));
    LODE_FORWARD(lode_i_bundle_optional(ctx, b, "s", &m->s));
    LODE_FORWARD(lode_i_bundle_optional(ctx, b, "squares", &m->squares));
    LODE_FORWARD(lode_i_bundle_optional(ctx, b, "row_weights", &m->weights));
    m->several = m->R->ndim == 3;
    const int at = m->several;
    bool fits = m->R->ndim == 2 + at && m->aligned->ndim == 2 + at && m->shift->ndim == 1 + at &&
                m->scale->ndim == 1;
    if (fits) {
        m->n = m->aligned->shape[0], m->p = m->R->shape[at], m->q = m->R->shape[at + 1];
        m->k = m->several ? m->R->shape[0] : 1;
        fits = m->aligned->shape[1] == m->q && m->scale->shape[0] == m->k &&
               m->shift->shape[at] == m->q && (!m->weights || m->weights->shape[0] == m->n) &&
               m->residuals->ndim == 1 && m->residuals->shape[0] == m->n &&
               (m->several
                    ? m->p == m->q && m->aligned->shape[2] == m->k && m->shift->shape[0] == m->k &&
                          m->consensus && m->trace && m->consensus->ndim == 2 &&
                          m->consensus->shape[0] == m->n && m->consensus->shape[1] == m->p &&
                          m->trace->ndim == 1 && m->trace->shape[0] > 1
                    : m->cross && m->s && m->squares && m->cross->ndim == 2 &&
                          m->cross->shape[0] == m->p && m->cross->shape[1] == m->q &&
                          m->s->ndim == 1 && m->s->shape[0] == lode_i_min(m->p, m->q) &&
                          m->squares->ndim == 1 && m->squares->shape[0] == 2);
    }
    return fits ? LODE_OK
                : lode_i_fail(ctx, LODE_EFORMAT,
                              "procrustes: the members of this result do not fit together; make "
                              "it again");
}

/* Rotation and shift of table i, f64. */
static lode_status part_of(lode_ctx *ctx, const moved *m, int64_t i, lode_array *R,
                           lode_array *shift)
{
    lode_status st = LODE_OK;
    lode_array part = { 0 }, own = { 0 };
    if (!m->several) {
        LODE_TRY(lode_array_cast(ctx, m->R, LODE_F64, R));
        LODE_TRY(lode_array_cast(ctx, m->shift, LODE_F64, shift));
        goto done;
    }
    LODE_TRY(lode_array_slice(ctx, m->R, 0, i, i + 1, 1, &part));
    LODE_TRY(lode_array_cast(ctx, &part, LODE_F64, &own));
    LODE_TRY(lode_array_reshape(ctx, &own, 2, (const int64_t[]){ m->p, m->p }, R));
    LODE_FREE(&part, &own);
    part = lode_i_rows(m->shift, i, i + 1);
    LODE_TRY(lode_array_cast(ctx, &part, LODE_F64, &own));
    LODE_TRY(lode_array_reshape(ctx, &own, 1, &m->p, shift));
done:
    LODE_FREE(&part, &own);
    return st;
}

/* ---- apply ---- */

/* A further configuration, to the consensus. */
static lode_status join(lode_ctx *ctx, const lode_bundle *model, const moved *m,
                        const lode_array *X, lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_procrustes_opts o;
    lode_bundle made = { 0 };
    static const char *const names[] = { "aligned", "rotation", "scale", "shift", "residuals" };
    LODE_TRY(lode_i_options_of(ctx, &lode_op_procrustes, model, &o));
    o.weights = m->weights;
    LODE_REQUIRE(X->shape[0] == m->n, LODE_ESHAPE,
                 "procrustes: a further configuration has the %" PRId64
                 " points of the others, not %" PRId64,
                 m->n, X->shape[0]);
    LODE_TRY(lode_procrustes(ctx, &o, lode_from_array(X), lode_from_array(m->consensus), &made));
    for (int i = 0; i < 5; i++) {
        const lode_array *a = NULL;
        lode_array own = { 0 };
        LODE_TRY(lode_bundle_array(ctx, &made, names[i], &a));
        own = lode_array_ref(a);
        const lode_status one = lode_bundle_add_array(ctx, result, names[i], &own);
        lode_array_free(&own);
        LODE_TRY(one);
    }
done:
    lode_bundle_free(&made);
    return st;
}

lode_status lode_i_procrustes_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                                    lode_bundle *result)
{
    lode_status st = LODE_OK;
    moved m;
    lode_array a = { 0 }, rows = { 0 }, R = { 0 }, shift = { 0 }, y = { 0 }, own = { 0 };
    LODE_TRY(read_model(ctx, model, &m));
    LODE_TRY(lode_i_as_array(ctx, x, LODE_F64, &a));
    const bool one = a.ndim == 1;
    if (one)
        LODE_TRY(lode_array_reshape(ctx, &a, 2, (const int64_t[]){ 1, a.shape[0] }, &rows));
    else
        rows = lode_array_ref(&a);
    LODE_REQUIRE(rows.ndim == 2 && rows.shape[1] == m.p, LODE_ESHAPE,
                 "procrustes: new points have %" PRId64 " coordinates, as those of X", m.p);
    LODE_TRY(lode_i_require_finite(ctx, &rows, "procrustes: X"));
    if (m.several) {
        LODE_TRY(join(ctx, model, &m, &rows, result));
        goto done;
    }
    LODE_TRY(part_of(ctx, &m, 0, &R, &shift));
    LODE_TRY(lode_i_shape_move(ctx, &rows, lode_i_get1(m.scale, 0), &R, &shift, &y));
    LODE_TRY(lode_array_cast(ctx, &y, m.R->dtype, &own));
    LODE_TRY(lode_i_give_codes(ctx, one, &own, result));
done:
    LODE_FREE(&a, &rows, &R, &shift, &y, &own);
    return st;
}

/* ---- invert ---- */

/* (points - shift) R^T / scale */
static lode_status back(lode_ctx *ctx, const moved *m, int64_t i, const lode_array *points,
                        lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array R = { 0 }, shift = { 0 }, x = { 0 };
    const double scale = lode_i_get1(m->scale, i);
    LODE_TRY(part_of(ctx, m, i, &R, &shift));
    LODE_TRY(lode_array_cast(ctx, points, LODE_F64, &x));
    LODE_TRY(lode_i_sub_row(ctx, &x, &shift));
    LODE_TRY(lode_i_scale(ctx, fabs(scale) > 0 ? 1 / scale : 0, &x));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_T, &x, &R, out));
done:
    LODE_FREE(&R, &shift, &x);
    return st;
}

lode_status lode_i_procrustes_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                                     const lode_part *part, lode_array *result)
{
    lode_status st = LODE_OK;
    moved m;
    lode_array all = { 0 }, points = { 0 }, x = { 0 }, to = { 0 }, cube = { 0 }, view = { 0 };
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM];
    LODE_TRY(read_model(ctx, model, &m));
    const int ndim = m.several ? 3 : 2;
    LODE_REQUIRE(codes.kind == LODE_NONE || !m.several, LODE_EUSAGE,
                 "procrustes: points of several configurations go back without codes");
    if (codes.kind == LODE_NONE)
        points = lode_array_ref(m.aligned);
    else
        LODE_TRY(lode_i_as_array(ctx, codes, LODE_F64, &points));
    LODE_REQUIRE(points.ndim == ndim && points.shape[1] == m.q, LODE_ESHAPE,
                 "procrustes: points to take back have %" PRId64 " coordinates", m.q);
    const int64_t shape[3] = { points.shape[0], m.p, m.k };
    LODE_TRY(lode_array_new(ctx, m.R->dtype, ndim, shape, &all));
    for (int64_t i = 0; i < m.k; i++) {
        LODE_FREE(&to, &cube);
        LODE_TRY(lode_i_shape_take(ctx, &points, i, &x));
        LODE_TRY(back(ctx, &m, i, &x, &cube));
        if (!m.several) {
            LODE_TRY(lode_array_copy_into(ctx, &cube, &all));
            break;
        }
        LODE_TRY(lode_array_slice(ctx, &all, 2, i, i + 1, 1, &to));
        LODE_TRY(lode_array_reshape(ctx, &cube, 3, (const int64_t[]){ shape[0], m.p, 1 }, &view));
        LODE_TRY(lode_array_copy_into(ctx, &view, &to));
    }
    LODE_TRY(lode_i_part_resolve(ctx, part, ndim, shape, start, count));
    lode_array_free(&view);
    LODE_TRY(lode_i_strided(ctx, &all, start, count, NULL, &view));
    LODE_TRY(lode_array_cast(ctx, &view, m.R->dtype, &to));
    lode_array_swap(result, &to);
done:
    LODE_FREE(&all, &points, &x, &to, &cube, &view);
    return st;
}

/* ---- verify ---- */

static lode_status near(lode_ctx *ctx, const char *what, double said, double found, double slack)
{
    if (fabs(said - found) <= slack)
        return LODE_OK;
    return lode_i_fail(ctx, LODE_EVERIFY, "procrustes: %s is %.9g, it should be %.9g", what, said,
                       found);
}

static lode_status near_all(lode_ctx *ctx, const char *what, const lode_array *said,
                            const lode_array *found, double slack, double size)
{
    lode_status st = LODE_OK;
    lode_array own = { 0 };
    double off = 0, norm = 0;
    LODE_TRY(lode_array_cast(ctx, said, LODE_F64, &own));
    LODE_TRY(lode_i_diff_fro(ctx, &own, found, &off));
    LODE_TRY(lode_i_norm_fro(ctx, found, &norm));
    LODE_REQUIRE(off <= slack * (norm + size), LODE_EVERIFY,
                 "procrustes: %s is off by %.3g of %.3g", what, off, norm);
done:
    lode_array_free(&own);
    return st;
}

/* R R^T R = R: singular values are 0 or 1. */
static lode_status check_rotation(lode_ctx *ctx, const lode_array *R, double slack)
{
    lode_status st = LODE_OK;
    lode_array G = { 0 }, T = { 0 };
    LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, R, R, &G));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, R, &G, &T));
    LODE_TRY(near_all(ctx, "rotation, which has to leave lengths as they are,", R, &T, slack, 0));
done:
    LODE_FREE(&G, &T);
    return st;
}

static lode_status check_pair(lode_ctx *ctx, const moved *m, const lode_procrustes_opts *o,
                              double claimed, double slack)
{
    lode_status st = LODE_OK;
    lode_array R = { 0 }, shift = { 0 }, M = { 0 }, best = { 0 }, s = { 0 }, aligned = { 0 },
               w = { 0 };
    lode_i_shape a = { .norm = 0 };
    double top = 0, trace = 0, sum = 0;
    LODE_TRY(part_of(ctx, m, 0, &R, &shift));
    LODE_TRY(check_rotation(ctx, &R, slack));
    LODE_TRY(lode_array_cast(ctx, m->cross, LODE_F64, &M));
    double length = 0;
    LODE_TRY(lode_i_norm_fro(ctx, &R, &length));
    const lode_i_rotate rotate = { .rank = (int64_t)(length * length + 0.5),
                                   .only = !o->reflection };
    LODE_TRY(lode_i_rotation(ctx, &rotate, &M, &best, &s, &top));
    LODE_TRY(near_all(ctx, "s", m->s, &s, 1e-9, 0));
    LODE_TRY(lode_i_trace_product(ctx, &M, &R, &trace));
    LODE_TRY(near(ctx, "the trace of R' X' Y", trace, top, (claimed * 1.01 + slack) * top));
    const double scale = lode_i_get1(m->scale, 0), xx = lode_i_get1(m->squares, 0);
    LODE_TRY(near(ctx, "scale", scale, o->scaling ? trace / xx : 1, slack * fabs(scale) + 1e-300));
    LODE_TRY(lode_array_cast(ctx, m->aligned, LODE_F64, &aligned));
    if (m->weights)
        LODE_TRY(lode_array_cast(ctx, m->weights, LODE_F64, &w));
    LODE_TRY(lode_i_shape_of(ctx, &aligned, m->weights ? &w : NULL, o->translation, &a));
    if (!o->translation) { /* then there is no shift, which the points would tell */
        LODE_TRY(lode_i_norm_fro(ctx, &shift, &length));
        LODE_TRY(near(ctx, "shift", length, 0, 0));
    }
    for (int64_t i = 0; i < m->n; i++)
        sum += (m->weights ? lode_i_get1(&w, i) : 1) * pow(lode_i_get1(m->residuals, i), 2);
    const double yy = lode_i_get1(m->squares, 1);
    LODE_TRY(near(ctx, "the sum of squared residuals", sum,
                  a.norm * a.norm + yy - 2 * scale * trace, slack * (a.norm * a.norm + yy + sum)));
done:
    lode_i_shape_free(&a);
    LODE_FREE(&R, &shift, &M, &best, &s, &aligned, &w);
    return st;
}

/* The mean, what rows are from it, and the objective, of the points as they are. */
static lode_status check_several(lode_ctx *ctx, const moved *m, const lode_procrustes_opts *o,
                                 double slack)
{
    lode_status st = LODE_OK;
    lode_array R = { 0 }, shift = { 0 }, mean = { 0 }, table = { 0 }, rms = { 0 }, w = { 0 };
    lode_i_shape a = { .norm = 0 }, c = { .norm = 0 };
    double squares = 0;
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 2, m->consensus->shape, &mean));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &m->n, &rms));
    if (m->weights)
        LODE_TRY(lode_array_cast(ctx, m->weights, LODE_F64, &w));
    const lode_array *weights = m->weights ? &w : NULL;
    for (int64_t i = 0; i < m->k; i++) {
        LODE_TRY(part_of(ctx, m, i, &R, &shift));
        LODE_TRY(check_rotation(ctx, &R, slack));
        LODE_TRY(lode_i_shape_take(ctx, m->aligned, i, &table));
        LODE_TRY(lode_i_axpy(ctx, 1 / (double)m->k, &table, &mean));
        lode_i_shape_free(&a);
        LODE_TRY(lode_i_shape_of(ctx, &table, weights, o->translation, &a));
        squares += a.norm * a.norm;
    }
    LODE_TRY(near_all(ctx, "consensus", m->consensus, &mean, slack, 0));
    for (int64_t i = 0; i < m->k; i++) {
        LODE_TRY(lode_i_shape_take(ctx, m->aligned, i, &table));
        LODE_TRY(lode_i_axpy(ctx, -1, &mean, &table));
        LODE_TRY(lode_i_row_inner(ctx, &table, &table, &rms));
    }
    const double size = sqrt(squares);
    for (int64_t i = 0; i < m->n; i++)
        LODE_TRY(near(ctx, "a residual", lode_i_get1(m->residuals, i),
                      sqrt(lode_i_get1(&rms, i) / (double)m->k), slack * size));
    LODE_TRY(lode_i_shape_of(ctx, &mean, weights, o->translation, &c));
    const double value = squares > 0 ? fmax(0, 1 - (double)m->k * c.norm / squares * c.norm) : 0;
    const int64_t last = m->trace->shape[0] - 1;
    LODE_TRY(near(ctx, "the last of trace", lode_i_get1(m->trace, last), value, slack));
    LODE_TRY(near(ctx, "the first of trace", lode_i_get1(m->trace, 0), 1, 1e-12));
    for (int64_t i = 1; i <= last; i++)
        LODE_REQUIRE(lode_i_get1(m->trace, i) <= lode_i_get1(m->trace, i - 1) + slack, LODE_EVERIFY,
                     "procrustes: trace rises at %" PRId64, i);
done:
    lode_i_shape_free(&a);
    lode_i_shape_free(&c);
    LODE_FREE(&R, &shift, &mean, &table, &rms, &w);
    return st;
}

/* Points are where rotation, scale and shift take the original; several: the gap once more. */
static lode_status check_original(lode_ctx *ctx, const moved *m, const lode_procrustes_opts *o,
                                  const lode_array *X, double claimed, double slack, double *gap)
{
    lode_status st = LODE_OK;
    lode_i_consensus c = { .o = o, .rotate = { .only = !o->reflection } };
    lode_array table = { 0 }, shift = { 0 }, at = { 0 }, said = { 0 }, w = { 0 };
    LODE_TRY(LODE_NEW(ctx, m->k, &c.shape));
    memset(c.shape, 0, (size_t)m->k * sizeof *c.shape);
    LODE_TRY(LODE_NEW(ctx, m->k, &c.R));
    memset(c.R, 0, (size_t)m->k * sizeof *c.R);
    LODE_TRY(LODE_NEW(ctx, m->k, &c.scale));
    c.count = m->k;
    if (m->weights)
        LODE_TRY(lode_array_cast(ctx, m->weights, LODE_F64, &w));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 2, (const int64_t[]){ m->n, m->q }, &c.sum));
    for (int64_t i = 0; i < m->k; i++) {
        LODE_TRY(lode_i_shape_take(ctx, X, i, &table));
        LODE_TRY(part_of(ctx, m, i, &c.R[i], &shift));
        c.scale[i] = lode_i_get1(m->scale, i);
        lode_array_free(&at);
        LODE_TRY(lode_i_shape_move(ctx, &table, c.scale[i], &c.R[i], &shift, &at));
        LODE_TRY(lode_i_shape_take(ctx, m->aligned, i, &said));
        double size = 0;
        LODE_TRY(lode_i_norm_fro(ctx, &table, &size));
        LODE_TRY(near_all(ctx, "what is aligned", &said, &at, slack, size * fabs(c.scale[i])));
        LODE_TRY(lode_i_shape_of(ctx, &table, m->weights ? &w : NULL, o->translation, &c.shape[i]));
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, c.scale[i], &c.shape[i].rows, &c.R[i], 1,
                                  &c.sum));
    }
    if (!m->several) {
        const double xx = c.shape[0].norm * c.shape[0].norm;
        LODE_TRY(near(ctx, "squares[0]", lode_i_get1(m->squares, 0), xx, 1e-9 * xx));
        goto done;
    }
    LODE_TRY(lode_i_consensus_gap(ctx, &c));
    *gap = c.gap;
    LODE_TRY(near(ctx, "the gap of the rotations", claimed, c.gap, 0.01 * claimed + slack));
done:
    lode_i_consensus_free(&c);
    LODE_FREE(&table, &shift, &at, &said, &w);
    return st;
}

lode_status lode_i_procrustes_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                                     lode_certificate *found)
{
    lode_status st = LODE_OK;
    moved m;
    lode_procrustes_opts o;
    lode_array X = { 0 };
    LODE_TRY(read_model(ctx, model, &m));
    LODE_TRY(lode_i_options_of(ctx, &lode_op_procrustes, model, &o));
    const double slack = 64 * lode_i_epsilon(m.R->dtype) * sqrt((double)(m.n + m.p + m.q + m.k));
    const double claimed = model->certificate.value;
    *found = model->certificate;
    LODE_TRY(m.several ? check_several(ctx, &m, &o, slack)
                       : check_pair(ctx, &m, &o, claimed, slack));
    if (original.kind == LODE_NONE) {
        snprintf(found->note, sizeof found->note,
                 "members checked; give X to check where its points go");
        goto done;
    }
    LODE_TRY(lode_i_as_array(ctx, original, LODE_F64, &X));
    LODE_REQUIRE(X.ndim == (m.several ? 3 : 2) && X.shape[0] == m.n && X.shape[1] == m.p &&
                     (!m.several || X.shape[2] == m.k),
                 LODE_ESHAPE,
                 "procrustes: the original is X, %" PRId64 " points with %" PRId64 " coordinates",
                 m.n, m.p);
    LODE_TRY(check_original(ctx, &m, &o, &X, claimed, slack, &found->value));
    found->absolute = found->value;
done:
    lode_array_free(&X);
    return st;
}

/* ---- plot ---- */

lode_status lode_i_procrustes_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                                   lode_figure *figure)
{
    lode_status st = LODE_OK;
    moved m;
    lode_panel *p = NULL;
    lode_array table = { 0 };
    char text[512], label[32];
    (void)original;
    LODE_TRY(read_model(ctx, model, &m));
    lode_certificate_print(&model->certificate, text, sizeof text);
    LODE_TRY(lode_figure_caption(ctx, figure, "Aligned configurations", text));
    LODE_TRY(lode_i_panel(ctx, figure, "aligned points", "coordinate 1", "coordinate 2", &p));
    for (int64_t i = 0; i < lode_i_min(m.k, 6); i++) {
        snprintf(label, sizeof label, "configuration %" PRId64, i + 1);
        LODE_TRY(lode_i_shape_take(ctx, m.aligned, i, &table));
        const lode_array x = lode_i_column(&table, 0),
                         y = lode_i_column(&table, lode_i_min(1, table.shape[1] - 1));
        LODE_TRY(lode_i_panel_points(ctx, p, m.several ? label : NULL, &x, &y,
                                     m.several ? NULL : m.residuals));
    }
    LODE_TRY(lode_i_panel(ctx, figure, "residuals", "row", "distance", &p));
    LODE_TRY(lode_i_panel_line(ctx, p, NULL, NULL, m.residuals));
    if (m.several) {
        LODE_TRY(lode_i_panel(ctx, figure, "convergence", "iteration",
                              "sum of squares about the mean", &p));
        lode_i_panel_log(p, false, lode_i_get1(m.trace, m.trace->shape[0] - 1) > 0);
        LODE_TRY(lode_i_panel_line(ctx, p, NULL, NULL, m.trace));
    } else {
        LODE_TRY(lode_i_panel(ctx, figure, "singular values of X' Y", "index", "value", &p));
        lode_i_panel_log(p, false, lode_i_get1(m.s, 0) > 0);
        LODE_TRY(lode_i_panel_line(ctx, p, NULL, NULL, m.s));
    }
done:
    LODE_FREE(&table);
    return st;
}
