/* Verbs of dmd: values at other times, rebuild, check, draw. */
#include <math.h>

#include "ops/dynamics/dmd.h"

typedef struct model {
    const lode_array *modes, *eigenvalues, *rates, *frequency, *growth, *amplitudes, *times;
    const lode_array *trace; /* NULL: none */
    int64_t n, r, m;
    bool real;
    lode_dtype dtype; /* of what the result stands for */
    lode_dmd_opts o;
} model;

static lode_status read_model(lode_ctx *ctx, const lode_bundle *b, model *m)
{
    lode_status st = LODE_OK;
    const struct {
        const char *name;
        const lode_array **to;
        int ndim;
    } member[] = { { "modes", &m->modes, 2 },   { "eigenvalues", &m->eigenvalues, 1 },
                   { "rates", &m->rates, 1 },   { "frequency", &m->frequency, 1 },
                   { "growth", &m->growth, 1 }, { "amplitudes", &m->amplitudes, 1 },
                   { "times", &m->times, 1 } };
    bool fits = true;
    *m = (model){ .n = 0 };
    for (size_t i = 0; i < sizeof member / sizeof *member; i++) {
        LODE_TRY(lode_bundle_array(ctx, b, member[i].name, member[i].to));
        fits = fits && (*member[i].to)->ndim == member[i].ndim;
    }
    if (lode_bundle_get(b, "trace").kind == LODE_ARRAY)
        LODE_TRY(lode_bundle_array(ctx, b, "trace", &m->trace));
    LODE_TRY(lode_i_options_of(ctx, &lode_op_dmd, b, &m->o));
    if (fits) {
        m->n = m->modes->shape[0], m->r = m->modes->shape[1], m->m = m->times->shape[0];
        fits = m->m > 0 && lode_i_is_complex(m->modes->dtype) && m->rates->dtype == LODE_C128 &&
               m->amplitudes->dtype == LODE_C128 && m->eigenvalues->dtype == LODE_C128 &&
               (!m->trace || (m->trace->ndim == 1 && m->trace->shape[0] >= 2));
        for (int k = 1; fits && k < 6; k++)
            fits = (*member[k].to)->shape[0] == m->r;
    }
    m->dtype = b->meta.has_shape ? b->meta.dtype : LODE_F64;
    m->real = !lode_i_is_complex(m->dtype);
    LODE_REQUIRE(fits, LODE_EFORMAT,
                 "dmd: the members of this result do not fit together; decompose again");
done:
    return st;
}

/* Snapshots at `times`, values [from, to) of each, in the type and the orientation of X. */
static lode_status values_at(lode_ctx *ctx, const model *m, const lode_array *times, int64_t from,
                             int64_t to, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array part = lode_i_rows(m->modes, from, to), y = { 0 }, z = { 0 };
    LODE_TRY(lode_i_dmd_expand(ctx, times, lode_i_get1(m->times, 0), m->rates, m->amplitudes, &part,
                               m->real, &y));
    if (m->o.axis == 1) {
        const lode_array turned = lode_i_transposed(&y);
        LODE_TRY(lode_array_cast(ctx, &turned, m->dtype, &z));
    } else {
        LODE_TRY(lode_array_cast(ctx, &y, m->dtype, &z));
    }
    lode_array_swap(out, &z);
done:
    LODE_FREE(&part, &y, &z);
    return st;
}

lode_status lode_i_dmd_apply(lode_ctx *ctx, const lode_bundle *bundle, lode_value x,
                             lode_bundle *result)
{
    lode_status st = LODE_OK;
    model m;
    lode_array given = { 0 }, flat = { 0 }, y = { 0 };
    LODE_TRY(read_model(ctx, bundle, &m));
    LODE_REQUIRE(x.kind == LODE_ARRAY || x.kind == LODE_SOURCE, LODE_ETYPE,
                 "dmd: a result applies to times, a dense vector of them");
    LODE_TRY(lode_i_as_array(ctx, x, LODE_F64, &given));
    LODE_REQUIRE(given.ndim <= 1 ||
                     lode_array_size(&given) == lode_i_max(given.shape[0], given.shape[1]),
                 LODE_ESHAPE, "dmd: a result applies to times, a vector of them, not a matrix");
    LODE_TRY(lode_i_require_finite(ctx, &given, "the times"));
    const int64_t count = lode_array_size(&given);
    LODE_TRY(lode_array_reshape(ctx, &given, 1, &count, &flat));
    LODE_TRY(lode_i_tick(ctx, 0, 1));
    LODE_TRY(values_at(ctx, &m, &flat, 0, m.n, &y));
    LODE_TRY(lode_bundle_add_array(ctx, result, "forecast", &y));
done:
    LODE_FREE(&given, &flat, &y);
    return st;
}

lode_status lode_i_dmd_invert(lode_ctx *ctx, const lode_bundle *bundle, lode_value codes,
                              const lode_part *part, lode_array *out)
{
    lode_status st = LODE_OK;
    model m;
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM], shape[2];
    lode_array times = { 0 }, y = { 0 };
    LODE_TRY(read_model(ctx, bundle, &m));
    LODE_REQUIRE(
        codes.kind == LODE_NONE, LODE_EUSAGE,
        "dmd: a result is rebuilt at its own times; for others use 'lode apply MODEL TIMES'");
    const int axis = (int)m.o.axis;
    shape[axis] = m.m, shape[1 - axis] = m.n;
    LODE_TRY(lode_i_part_resolve(ctx, part, 2, shape, start, count));
    LODE_TRY(lode_array_slice(ctx, m.times, 0, start[axis], start[axis] + count[axis], 1, &times));
    LODE_TRY(values_at(ctx, &m, &times, start[1 - axis], start[1 - axis] + count[1 - axis], &y));
    lode_array_swap(out, &y);
done:
    LODE_FREE(&times, &y);
    return st;
}

/* ---- verify ---- */

static lode_i_cplx entry(const lode_array *v, int64_t j)
{
    lode_array row = *v; /* borrowed: as a matrix of one row */
    row.ndim = 2;
    row.shape[1] = v->shape[0], row.strides[1] = v->strides[0];
    row.shape[0] = 1, row.strides[0] = v->shape[0];
    return lode_i_zget(&row, 0, j);
}

static lode_status check_alone(lode_ctx *ctx, const model *m, const lode_bundle *b)
{
    lode_status st = LODE_OK;
    lode_array column = { 0 };
    const double turn = 2 * acos(-1.0), eps = lode_i_epsilon(m->dtype);
    const double last = lode_i_get1(m->times, m->m - 1), first = lode_i_get1(m->times, 0);
    const double dt = m->trace && m->m > 1 &&
                              !(fabs((last - first) / (double)(m->m - 1) - m->o.dt) <=
                                1e-9 * m->o.dt)
                          ? (last - first) / (double)(m->m - 1)
                          : m->o.dt;
    for (int64_t i = 1; i < m->m; i++)
        LODE_REQUIRE(lode_i_get1(m->times, i) > lode_i_get1(m->times, i - 1), LODE_EVERIFY,
                     "dmd: time %" PRId64 " does not come after the one before it", i);
    for (int64_t j = 0; j < m->r; j++) {
        const lode_i_cplx rate = entry(m->rates, j), value = entry(m->eigenvalues, j);
        double norm = 0;
        lode_array_free(&column);
        column = lode_i_cols(m->modes, j, j + 1);
        LODE_TRY(lode_i_norm_fro(ctx, &column, &norm));
        LODE_REQUIRE(fabs(norm - 1) <= 64 * eps * sqrt((double)m->n + 1), LODE_EVERIFY,
                     "dmd: mode %" PRId64 " has length %.9g, not 1", j, norm);
        LODE_REQUIRE(cabs(cexp(rate * dt) - value) <= 1e-9 * cabs(value), LODE_EVERIFY,
                     "dmd: eigenvalue %" PRId64 " is not exp(rate dt)", j);
        LODE_REQUIRE(
            fabs(lode_i_get1(m->frequency, j) * turn - cimag(rate)) <= 1e-12 * cabs(rate) &&
                fabs(lode_i_get1(m->growth, j) - creal(rate)) <= 1e-12 * cabs(rate),
            LODE_EVERIFY,
            "dmd: frequency and growth of mode %" PRId64 " are not the parts of its rate", j);
        if (j > 0)
            LODE_REQUIRE(cabs(entry(m->amplitudes, j)) <=
                             cabs(entry(m->amplitudes, j - 1)) * (1 + 1e-6),
                         LODE_EVERIFY, "dmd: amplitudes do not descend at mode %" PRId64, j);
    }
    for (int64_t i = 0; m->trace && i < m->trace->shape[0]; i++) {
        const double e = lode_i_get1(m->trace, i);
        LODE_REQUIRE(i == 0 ? e == 1 : i < 2 || e <= lode_i_get1(m->trace, i - 1) * (1 + 1e-9),
                     LODE_EVERIFY, "dmd: the trace goes up at step %" PRId64, i);
    }
    (void)b;
done:
    lode_array_free(&column);
    return st;
}

lode_status lode_i_dmd_verify(lode_ctx *ctx, const lode_bundle *bundle, lode_value original,
                              lode_certificate *found)
{
    lode_status st = LODE_OK;
    model m;
    lode_array X = { 0 }, Y = { 0 };
    double off = 0, norm = 0;
    const lode_part whole = { 0 };
    LODE_TRY(read_model(ctx, bundle, &m));
    LODE_TRY(check_alone(ctx, &m, bundle));
    *found = bundle->certificate;
    if (original.kind == LODE_NONE) {
        snprintf(found->note, sizeof found->note,
                 "structure checked; give the original to measure the error again");
        goto done;
    }
    LODE_TRY(lode_i_as_array(ctx, original, m.dtype, &X));
    LODE_TRY(lode_i_dmd_invert(ctx, bundle, lode_none(), &whole, &Y));
    LODE_REQUIRE(X.ndim == 2 && X.shape[0] == Y.shape[0] && X.shape[1] == Y.shape[1], LODE_ESHAPE,
                 "dmd: the result stands for %" PRId64 " x %" PRId64
                 ", the original has another shape",
                 Y.shape[0], Y.shape[1]);
    LODE_TRY(lode_i_tick(ctx, 0, 1));
    LODE_TRY(lode_i_norm_fro(ctx, &X, &norm));
    LODE_TRY(lode_i_diff_fro(ctx, &X, &Y, &off));
    found->absolute = off, found->value = norm > 0 ? off / norm : 0;
    const double slack = 64 * lode_i_epsilon(m.dtype) * ((double)m.r + 1);
    LODE_REQUIRE(fabs(found->value - bundle->certificate.value) <=
                     1e-6 * bundle->certificate.value + slack,
                 LODE_EVERIFY, "dmd: the relative error is %.9g, the certificate says %.9g",
                 found->value, bundle->certificate.value);
done:
    LODE_FREE(&X, &Y);
    return st;
}

/* ---- plot ---- */

lode_status lode_i_dmd_plot(lode_ctx *ctx, const lode_bundle *bundle, lode_value original,
                            lode_figure *figure)
{
    lode_status st = LODE_OK;
    enum { ARC = 181, FIRST = 4 };
    model m;
    lode_panel *p = NULL;
    lode_array x = { 0 }, y = { 0 }, re = { 0 }, im = { 0 }, size = { 0 }, mode = { 0 };
    char text[512];
    (void)original;
    LODE_TRY(read_model(ctx, bundle, &m));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, ARC, &x));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, ARC, &y));
    for (int64_t i = 0; i < ARC; i++) {
        const double a = 2 * acos(-1.0) * (double)i / (ARC - 1);
        lode_i_set1(&x, i, cos(a)), lode_i_set1(&y, i, sin(a));
    }
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, m.r, &re));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, m.r, &im));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, m.r, &size));
    for (int64_t j = 0; j < m.r; j++) {
        const lode_i_cplx v = entry(m.eigenvalues, j);
        lode_i_set1(&re, j, creal(v)), lode_i_set1(&im, j, cimag(v));
        lode_i_set1(&size, j, cabs(entry(m.amplitudes, j)));
    }
    lode_certificate_print(&bundle->certificate, text, sizeof text);
    LODE_TRY(lode_figure_caption(ctx, figure, "Dynamic modes", text));
    LODE_TRY(lode_i_panel(ctx, figure, "eigenvalues and the unit circle", "real part",
                          "imaginary part", &p));
    LODE_TRY(lode_i_panel_line(ctx, p, NULL, &x, &y));
    LODE_TRY(lode_i_panel_points(ctx, p, "eigenvalues", &re, &im, NULL));
    LODE_TRY(lode_i_panel(ctx, figure, "amplitude by frequency", "frequency, cycles a unit of time",
                          "amplitude, unit of X", &p));
    lode_i_panel_log(p, false, true);
    LODE_TRY(lode_i_panel_points(ctx, p, NULL, m.frequency, &size, NULL));
    if (m.n > 1) {
        LODE_TRY(lode_i_panel(ctx, figure, "first modes, real part", "value", "mode", &p));
        for (int64_t j = 0, drawn = 0; j < m.r && drawn < FIRST; j++) {
            char label[48];
            if (lode_i_get1(m.frequency, j) < 0 && m.real)
                continue; /* the pair of one that is drawn */
            const lode_array column = lode_i_column(m.modes, j);
            LODE_TRY(lode_array_cast(ctx, &column, LODE_F64, &mode));
            snprintf(label, sizeof label, "%.4g cycles", lode_i_get1(m.frequency, j));
            LODE_TRY(lode_i_panel_line(ctx, p, label, NULL, &mode));
            drawn++;
        }
    }
    if (m.trace) {
        LODE_TRY(
            lode_i_panel(ctx, figure, "fit of the exponentials", "step", "relative error", &p));
        lode_i_panel_log(p, false, true);
        LODE_TRY(lode_i_panel_line(ctx, p, NULL, NULL, m.trace));
    }
done:
    LODE_FREE(&x, &y, &re, &im, &size, &mode);
    return st;
}
