/* probe: a weighted sum of arrays, for tests of the contract.
 * Source: none needed. Departures: none. */
#include <math.h>
#include <string.h>

#include "linop/linop.h"
#include "op/op.h"
#include "probe.h"

static const lode_param params[] = {
    { LODE_PARAM(lode_probe_opts, conjugate), .def = 0, .help = "conjugate the sum" },
    { LODE_PARAM(lode_probe_opts, repeat), .def = 1, .min = 0, .max = 9,
      .help = "times the sum counts" },
    { LODE_PARAM(lode_probe_opts, salt), .def = 7, .min = 0, .max = 1e18, .help = "recorded only" },
    { LODE_PARAM(lode_probe_opts, scale), .def = 1, .min = -10, .max = 10, .help = "factor" },
    { LODE_PARAM(lode_probe_opts, mode), .def = 0, .choices = "sum|mean",
      .help = "sum or mean of the terms" },
    { LODE_PARAM(lode_probe_opts, label), .def_text = "none", .help = "text kept with the result" },
    { LODE_PARAM(lode_probe_opts, file), .path = true, .help = "a path, recorded only" },
    { LODE_PARAM(lode_probe_opts, limit), .def_text = "auto", .min = 1, .max = 100,
      .help = "items used at most" },
    { LODE_PARAM(lode_probe_opts, shift), .def_text = "auto", .min = -1, .max = 1,
      .help = "recorded only" },
    { LODE_PARAM(lode_probe_opts, rank), .def_text = "auto", .min = 1, .max = 64,
      .help = LODE_HELP_RANK },
    { LODE_PARAM(lode_probe_opts, error), .def_text = "1e-3:rel", .help = LODE_HELP_ERROR },
    { LODE_PARAM(lode_probe_opts, budget), .def_text = "none", .help = LODE_HELP_BUDGET },
    { LODE_PARAM(lode_probe_opts, axes), .def_text = "all", .help = "axes, recorded only" },
    { LODE_PARAM(lode_probe_opts, points), .def_text = "1,2.5", .min = -1e6, .max = 1e6,
      .help = "numbers, recorded only" },
    { LODE_PARAM(lode_probe_opts, missing), .def_text = "none", .help = LODE_HELP_MISSING },
    { LODE_PARAM(lode_probe_opts, weights), .help = LODE_HELP_WEIGHTS },
    { 0 },
};
static const lode_port in[] = {
    { "A", "m,n", .kinds = LODE_KIND_BIT(LODE_ARRAY), .types = LODE_FLOATING,
      .help = "first term" },
    { "note", NULL, .kinds = LODE_KIND_BIT(LODE_TEXT), .help = "text carried through" },
    { "items", "m,n", .kinds = LODE_KIND_BIT(LODE_ARRAY), .types = LODE_FLOATING, .optional = true,
      .repeated = true, .help = "further terms" },
    { "B", "n,n", .kinds = LODE_KIND_BIT(LODE_CALLBACK), .optional = true,
      .help = "operator applied from the right" },
    { 0 },
};
static const lode_port out[] = {
    { "total", "m,n", .help = "the sum" },
    { "note", NULL, .kinds = LODE_KIND_BIT(LODE_TEXT), .help = "the text" },
    { "terms", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "terms added" },
    { 0 },
};

LODE_DEFAULTS(probe)

static lode_dtype widest(const lode_call *c)
{
    lode_dtype t = lode_call_matrix(c, 0).dtype;
    for (int64_t i = 0; c->in[2].kind == LODE_BUNDLE && i < c->in[2].as.bundle->count; i++) {
        const lode_array *a = lode_bundle_value(c->in[2].as.bundle, i).as.array;
        const lode_dtype u = lode_i_arith(a->dtype);
        const bool complex_result = lode_i_is_complex(t) || lode_i_is_complex(u);
        const bool single = lode_i_is_single(t) && lode_i_is_single(u);
        t = complex_result ? (single ? LODE_C64 : LODE_C128) : (single ? LODE_F32 : LODE_F64);
    }
    return t;
}

static lode_status plan(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    (void)ctx;
    const lode_matrix_info A = lode_call_matrix(c, 0);
    p->number[0] = widest(c);
    p->output = lode_i_bytes(widest(c), A.rows, A.cols) + 4096;
    p->workspace = 3 * lode_i_bytes(LODE_C128, A.rows, A.cols) + 16384;
    p->passes = 1;
    snprintf(p->algorithm, sizeof p->algorithm, "plain sum");
    return LODE_OK;
}

/* total += A B^H through the callback: (B A^H)^H. */
static lode_status add_product(lode_ctx *ctx, const lode_array *A, lode_value B, lode_array *total)
{
    lode_status st = LODE_OK;
    lode_linop *op = NULL;
    lode_array X = { 0 }, Y = { 0 }, at = lode_i_transposed(A);
    LODE_TRY(lode_linop_from(ctx, B, &op));
    LODE_TRY(lode_array_cast(ctx, &at, op->dtype, &X));
    LODE_TRY(lode_i_conj(ctx, &X));
    LODE_TRY(lode_linop_apply(ctx, op, false, &X, &Y));
    LODE_TRY(lode_i_conj(ctx, &Y));
    at = lode_i_transposed(&Y);
    LODE_TRY(lode_array_cast(ctx, &at, total->dtype, &X));
    LODE_TRY(lode_i_axpy(ctx, 1, &X, total));
done:
    LODE_FREE(&X, &Y, &op);
    return st;
}

lode_status lode_probe(lode_ctx *ctx, const lode_probe_opts *o, lode_value A, lode_value note,
                       lode_value items, lode_value B, lode_array *total, lode_certificate *cert)
{
    lode_status st = LODE_OK;
    lode_plan p = { 0 };
    lode_array sum = { 0 }, term = { 0 }, w = { 0 };
    int64_t terms = 1;
    double norm = 0;

    LODE_ENTER(&lode_op_probe, o, &p, A, note, items, B);
    const lode_dtype dtype = (lode_dtype)p.number[0];
    LODE_TRY(lode_i_require_finite(ctx, A.as.array, "A"));
    LODE_TRY(lode_array_cast(ctx, A.as.array, dtype, &sum));
    for (int64_t i = 0; items.kind == LODE_BUNDLE && i < items.as.bundle->count; i++) {
        if (o->limit.given && i == o->limit.value)
            break;
        const lode_array *item = lode_bundle_value(items.as.bundle, i).as.array;
        LODE_TRY(lode_i_require_finite(ctx, item, "items"));
        LODE_TRY(lode_array_cast(ctx, item, dtype, &term));
        LODE_TRY(lode_i_axpy(ctx, 1, &term, &sum));
        LODE_TRY(lode_i_tick(ctx, i + 1, items.as.bundle->count));
        terms++;
    }
    if (B.kind == LODE_CALLBACK) {
        LODE_TRY(add_product(ctx, A.as.array, B, &sum));
        terms++;
    }
    LODE_TRY(lode_i_scale(
        ctx, o->scale * (double)o->repeat / (o->mode == LODE_PROBE_MEAN ? (double)terms : 1),
        &sum));
    if (o->conjugate)
        LODE_TRY(lode_i_conj(ctx, &sum));
    if (o->weights) {
        LODE_REQUIRE(o->weights->ndim == 1 && o->weights->shape[0] == sum.shape[1], LODE_ESHAPE,
                     "probe: weights must have %" PRId64 " values", sum.shape[1]);
        LODE_TRY(lode_array_cast(ctx, o->weights, lode_i_real_of(dtype), &w));
        LODE_TRY(lode_i_scale_cols(ctx, &sum, &w));
    }
    LODE_TRY(lode_i_norm_fro(ctx, &sum, &norm));
    if (cert)
        *cert = (lode_certificate){ .kind = LODE_CERT_INVARIANCE,
                                    .norm = LODE_NORM_FRO,
                                    .value = norm,
                                    .absolute = norm,
                                    .asked = NAN,
                                    .quantity = "||total||" };
    lode_array_swap(total, &sum);
done:
    LODE_FREE(&sum, &term, &w);
    LODE_LEAVE();
    return st;
}

static lode_status run(lode_ctx *ctx, const lode_call *c, lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_array *total = NULL;
    const lode_bundle *items = c->in[2].kind == LODE_BUNDLE ? c->in[2].as.bundle : NULL;
    LODE_TRY(lode_bundle_reserve(ctx, result, (const lode_port[]){ out[0], { 0 } }, &total));
    LODE_TRY(lode_probe(ctx, lode_call_opts(c), c->in[0], c->in[1], c->in[2], c->in[3], total,
                        &result->certificate));
    lode_meta *m = &result->meta;
    m->has_shape = true, m->dtype = total->dtype, m->ndim = 2;
    m->shape[0] = total->shape[0], m->shape[1] = total->shape[1];
    LODE_TRY(lode_bundle_add_text(ctx, result, "note", c->in[1].as.text));
    LODE_TRY(lode_bundle_add_i64(ctx, result, "terms", 1 + (items ? items->count : 0)));
done:
    return st;
}

/* total * x, row by row. */
static lode_status apply(lode_ctx *ctx, const lode_bundle *model, lode_value x, lode_bundle *result)
{
    lode_status st = LODE_OK;
    const lode_array *total = NULL;
    lode_array X = { 0 }, y = { 0 };
    LODE_TRY(lode_bundle_array(ctx, model, "total", &total));
    LODE_TRY(lode_i_as_array(ctx, x, total->dtype, &X));
    LODE_REQUIRE(X.ndim == 2 && X.shape[0] == total->shape[1], LODE_ESHAPE,
                 "probe: apply needs a matrix of %" PRId64 " rows", total->shape[1]);
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, total, &X, &y));
    LODE_TRY(lode_bundle_add_array(ctx, result, "y", &y));
done:
    LODE_FREE(&X, &y);
    return st;
}

static lode_status invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                          const lode_part *part, lode_array *result)
{
    lode_status st = LODE_OK;
    const lode_array *total = NULL;
    lode_array rows = { 0 }, cut = { 0 }, y = { 0 };
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM];
    (void)codes;
    LODE_TRY(lode_bundle_array(ctx, model, "total", &total));
    LODE_REQUIRE(total->ndim == 2, LODE_EFORMAT, "probe: total has %d axes", total->ndim);
    LODE_TRY(lode_i_part_resolve(ctx, part, 2, total->shape, start, count));
    LODE_TRY(lode_array_slice(ctx, total, 0, start[0], start[0] + count[0], 1, &rows));
    LODE_TRY(lode_array_slice(ctx, &rows, 1, start[1], start[1] + count[1], 1, &cut));
    LODE_TRY(lode_array_cast(ctx, &cut, total->dtype, &y));
    lode_array_swap(result, &y);
done:
    LODE_FREE(&rows, &cut, &y);
    return st;
}

/* The sum with x added: what both update and merge come to. */
static lode_status add_to(lode_ctx *ctx, const lode_bundle *model, const lode_array *x,
                          int64_t more, lode_bundle *result)
{
    lode_status st = LODE_OK;
    const lode_array *total = NULL;
    lode_array y = { 0 }, term = { 0 };
    int64_t terms = 0;
    double norm = 0;
    LODE_TRY(lode_bundle_array(ctx, model, "total", &total));
    LODE_TRY(lode_bundle_i64(ctx, model, "terms", &terms));
    LODE_REQUIRE(x->ndim == 2 && total->ndim == 2 && x->shape[0] == total->shape[0] &&
                     x->shape[1] == total->shape[1],
                 LODE_ESHAPE, "probe: the shape must be that of total");
    LODE_TRY(lode_array_cast(ctx, total, total->dtype, &y));
    LODE_TRY(lode_array_cast(ctx, x, total->dtype, &term));
    LODE_TRY(lode_i_axpy(ctx, 1, &term, &y));
    LODE_TRY(lode_i_norm_fro(ctx, &y, &norm));
    LODE_TRY(lode_bundle_add_array(ctx, result, "total", &y));
    LODE_TRY(lode_bundle_add_text(ctx, result, "note", lode_bundle_get(model, "note").as.text));
    LODE_TRY(lode_bundle_add_i64(ctx, result, "terms", terms + more));
    result->certificate = model->certificate;
    result->certificate.value = result->certificate.absolute = norm;
    result->meta.has_shape = true, result->meta.dtype = total->dtype, result->meta.ndim = 2;
    result->meta.shape[0] = total->shape[0], result->meta.shape[1] = total->shape[1];
done:
    LODE_FREE(&y, &term);
    return st;
}

static lode_status update(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                          lode_bundle *result)
{
    lode_status st = LODE_OK;
    const lode_array *total = NULL;
    lode_array X = { 0 };
    LODE_TRY(lode_bundle_array(ctx, model, "total", &total));
    LODE_TRY(lode_i_as_array(ctx, x, total->dtype, &X));
    LODE_TRY(add_to(ctx, model, &X, 1, result));
done:
    LODE_FREE(&X);
    return st;
}

static lode_status merge(lode_ctx *ctx, const lode_bundle *a, const lode_bundle *b,
                         lode_bundle *result)
{
    const lode_array *total = NULL;
    int64_t terms = 0;
    LODE_FORWARD(lode_bundle_array(ctx, b, "total", &total));
    LODE_FORWARD(lode_bundle_i64(ctx, b, "terms", &terms));
    return add_to(ctx, a, total, terms, result);
}

static lode_status verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                          lode_certificate *found)
{
    const lode_array *total = NULL;
    double norm = 0;
    (void)original;
    LODE_FORWARD(lode_bundle_array(ctx, model, "total", &total));
    LODE_FORWARD(lode_i_norm_fro(ctx, total, &norm));
    *found = model->certificate;
    found->value = found->absolute = norm;
    if (norm != model->certificate.value) /* the same sum in the same order */
        return lode_i_fail(ctx, LODE_EVERIFY, "probe: the norm is %g, the certificate says %g",
                           norm, model->certificate.value);
    return LODE_OK;
}

static lode_status plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                        lode_figure *figure)
{
    lode_panel *panel = NULL;
    const lode_array *total = NULL;
    (void)original;
    LODE_FORWARD(lode_bundle_array(ctx, model, "total", &total));
    LODE_FORWARD(lode_i_panel(ctx, figure, "total", "column", "row", &panel));
    return lode_i_panel_image(ctx, panel, total, 0, 0, true);
}

const lode_op lode_op_probe = {
    .name = "probe",
    .family = "test",
    .job = LODE_DIAGNOSE,
    .brief = "weighted sum of arrays",
    .example = "lode probe A.npy hello --scale 2 -o sum.lode",
    .words = "test",
    .params = params,
    .opts_size = sizeof(lode_probe_opts),
    .in = in,
    .out = out,
    .certificate = LODE_CERT_INVARIANCE,
    .plan = plan,
    .run = run,
    .apply = apply,
    .invert = invert,
    .update = update,
    .merge = merge,
    .verify = verify,
    .plot = plot,
};

const lode_op *const *probe_registry(void)
{
    static const lode_op *table[256];
    int n = 0;
    for (; lode_i_builtin_ops[n] && n < 254; n++)
        table[n] = lode_i_builtin_ops[n];
    table[n] = &lode_op_probe;
    return table;
}
