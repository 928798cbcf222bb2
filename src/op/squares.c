/* What decompositions of a tensor share whose error is a sum of squares, and whose parts along mode 0
 * have errors that add so. */
#include <math.h>
#include <string.h>

#include "linalg/linalg.h"
#include "op/op.h"

#define DEFAULT_ERROR 1e-3

lode_status lode_i_squares_asked(lode_ctx *ctx, const lode_op *op, const char *what,
                                 const lode_error_spec *e, const lode_budget_spec *b, bool ranks,
                                 const lode_dense_info *X, lode_i_squares *s)
{
    const double bytes = (double)lode_dtype_size(X->dtype), values = (double)X->size;
    const double budget = b->kind == LODE_BUDGET_BYTES    ? b->value / bytes
                          : b->kind == LODE_BUDGET_BITS   ? b->value * values / 8 / bytes
                          : b->kind == LODE_BUDGET_PARAMS ? b->value
                                                          : 0;
    *s = (lode_i_squares){ .unit = LODE_UNIT_NORM };
    if (b->kind != LODE_BUDGET_NONE)
        s->params = budget < 1 ? 1 : budget < 0x1p62 ? (int64_t)budget : INT64_C(1) << 62;
    switch (e->kind) {
    case LODE_ERROR_REL: s->error = e->value; break;
    case LODE_ERROR_FRO: s->error = e->value, s->unit = LODE_UNIT_ONE; break;
    case LODE_ERROR_PSNR: /* the range stands for the peak where none is named */
        s->error = pow(10, -e->value / 20) * sqrt(values) * (e->peak > 0 ? e->peak : 1);
        s->unit = e->peak > 0 ? LODE_UNIT_ONE : LODE_UNIT_RANGE;
        break;
    case LODE_ERROR_NONE: s->error = ranks || s->params ? 0 : DEFAULT_ERROR; break;
    default:
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "%s: option error asks for a bound on each value; %s bounds the sum of "
                           "squares: give E, E:fro or P:psnr, or use compress",
                           op->name, what);
    }
    return LODE_OK;
}

void lode_i_plan_ranks(lode_ctx *ctx, const lode_dense_info *X, const lode_i_need *full,
                       const lode_i_need *least, lode_plan *p)
{
    const uint64_t left = lode_i_memory_left(ctx);
    const bool fits = full->workspace + full->output <= left;
    p->output = fits ? full->output : least->output;
    p->workspace = fits                                       ? full->workspace
                   : least->workspace + least->output <= left ? left - least->output
                                                              : least->workspace;
    p->passes = full->passes;
    p->flops = full->flops;
    p->seconds = full->flops /
                 lode_i_gemm_rate(ctx, lode_i_is_complex(X->dtype) ? LODE_C128 : LODE_F64);
}

lode_certificate lode_i_squares_certificate(double error, double norm, double target,
                                            const char *quantity)
{
    lode_certificate c = {
        .kind = LODE_CERT_MEASURED, .norm = LODE_NORM_FRO, .relative = true, .needs_original = true
    };
    c.absolute = error;
    c.value = norm > 0 ? error / norm : 0;
    c.asked = norm > 0 ? target / norm : target;
    c.low = c.high = (double)NAN;
    snprintf(c.quantity, sizeof c.quantity, "%s", quantity);
    return c;
}

lode_status lode_i_squares_verify(lode_ctx *ctx, const lode_op *op, const lode_certificate *said,
                                  double error, double norm, double slack, lode_certificate *found)
{
    found->absolute = error;
    found->value = norm > 0 ? error / norm : error > 0 ? INFINITY : 0;
    if (found->value <= said->value * (1 + 1e-6) + slack)
        return LODE_OK;
    return lode_i_fail(ctx, LODE_EVERIFY,
                       "%s: the relative error is %.9g, the certificate says %.9g", op->name,
                       found->value, said->value);
}

/* ---- results ---- */

lode_status lode_i_add_numbered(lode_ctx *ctx, const char *name, lode_array *a, int count,
                                lode_bundle *b)
{
    char member[24];
    for (int k = 0; k < count; k++) {
        snprintf(member, sizeof member, "%s.%d", name, k);
        LODE_FORWARD(lode_bundle_add_array(ctx, b, member, &a[k]));
    }
    return LODE_OK;
}

lode_status lode_i_give(lode_ctx *ctx, const lode_bundle *members, const lode_dense_info *X,
                        lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 };
    for (int64_t k = 0; k < members->count; k++) {
        a = lode_array_ref(lode_bundle_value(members, k).as.array);
        LODE_TRY(lode_bundle_add_array(ctx, result, lode_bundle_name(members, k), &a));
    }
    result->meta.has_shape = true;
    result->meta.dtype = X->dtype;
    result->meta.ndim = X->ndim;
    memcpy(result->meta.shape, X->shape, sizeof X->shape);
done:
    LODE_FREE(&a);
    return st;
}

/* ---- more data ---- */

lode_status lode_i_check_modes(lode_ctx *ctx, const lode_op *op, bool slices, lode_value x,
                               int modes, lode_dtype dtype, int64_t *shape)
{
    lode_status st = LODE_OK;
    lode_dtype own;
    int ndim = 0;
    LODE_REQUIRE(lode_i_value_shape(x, &own, &ndim, shape) && ndim == modes, LODE_ESHAPE,
                 "%s: the new %s %d modes, the model %d", op->name,
                 slices ? "slices have" : "tensor has", ndim, modes);
    LODE_REQUIRE(!lode_i_is_complex(own) || lode_i_is_complex(dtype), LODE_ETYPE,
                 "%s: the new %s complex, the model real", op->name,
                 slices ? "slices are" : "tensor is");
done:
    return st;
}

lode_status lode_i_check_slices(lode_ctx *ctx, const lode_op *op, lode_value x,
                                const lode_meta *meta, lode_dtype dtype, int64_t *rows)
{
    int64_t shape[LODE_MAX_NDIM];
    LODE_FORWARD(lode_i_check_modes(ctx, op, true, x, meta->ndim, dtype, shape));
    for (int k = 1; k < meta->ndim; k++)
        if (shape[k] != meta->shape[k])
            return lode_i_fail(ctx, LODE_ESHAPE,
                               "%s: new slices have %" PRId64
                               " values along mode %d, the model %" PRId64,
                               op->name, shape[k], k, meta->shape[k]);
    *rows = shape[0];
    return LODE_OK;
}

lode_status lode_i_fitted_norm(lode_ctx *ctx, const lode_bundle *b, const lode_array *held,
                               double *norm)
{
    double kept;
    LODE_FORWARD(lode_i_norm_fro(ctx, held, &kept));
    *norm = hypot(kept, b->certificate.absolute);
    return LODE_OK;
}

void lode_i_lengthen(const lode_meta *meta, int64_t rows, lode_bundle *b)
{
    b->meta.has_shape = true;
    b->meta.dtype = meta->dtype;
    b->meta.ndim = meta->ndim;
    memcpy(b->meta.shape, meta->shape, sizeof b->meta.shape);
    b->meta.shape[0] += rows;
}

lode_status lode_i_stack_certificates(lode_ctx *ctx, const lode_op *op, const lode_certificate *a,
                                      double norm_a, double error_b, double norm_b,
                                      lode_certificate *c)
{
    *c = *a;
    c->absolute = hypot(a->absolute, error_b);
    const double norm = hypot(norm_a, norm_b);
    c->value = norm > 0 ? c->absolute / norm : 0;
    snprintf(c->note, sizeof c->note, "parts along mode 0, their errors added in squares");
    if (!(c->value > c->asked))
        return LODE_OK;
    return lode_i_fail(ctx, LODE_MISSED,
                       "%s: the relative error is now %.3g, not the %.3g asked for", op->name,
                       c->value, c->asked);
}

/* ---- questions ---- */

lode_status lode_i_question_rows(lode_ctx *ctx, const lode_array *U, const lode_question *q, int k,
                                 bool sums, lode_array *out)
{
    lode_status st = LODE_OK;
    const lode_dtype wide = lode_i_is_complex(U->dtype) ? LODE_C128 : LODE_F64;
    lode_array rows = { 0 }, ones = { 0 }, R = { 0 }, s = { 0 };
    LODE_TRY(lode_array_slice(ctx, U, 0, q->start[k],
                              q->start[k] + (q->count[k] - 1) * q->step[k] + 1, q->step[k], &rows));
    if (!sums) {
        lode_array_swap(out, &rows);
        goto done;
    }
    LODE_TRY(lode_i_matrix_new(ctx, wide, 1, rows.shape[0], &ones));
    LODE_TRY(lode_i_fill(ctx, &ones, 1));
    LODE_TRY(lode_i_as(ctx, &rows, wide, &R));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &ones, &R, &s));
    LODE_TRY(lode_i_as(ctx, &s, U->dtype, out));
done:
    LODE_FREE(&rows, &ones, &R, &s);
    return st;
}

/* Rounding in units in the last place of the root mean square and of what comes out. */
#define UNITS 64

lode_status lode_i_answer_by_expanding(lode_ctx *ctx, const lode_op *op, const lode_bundle *model,
                                       const lode_i_expansion *e, const lode_question *q,
                                       lode_answer *a)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    lode_tally t = { .count = 0 };
    lode_inner sums = { .count = 1 };
    lode_stats s;
    double norm = 0, all = 1, asked = 1;
    for (int k = 0; k < model->meta.ndim; k++)
        all *= (double)model->meta.shape[k], asked *= (double)q->count[k];
    const bool direct = q->kind == LODE_QUERY_NORM ? asked >= all : q->kind != LODE_QUERY_DOT;
    if (!direct || !(asked > 0))
        return lode_i_answer_by_invert(ctx, op, model, q, a);
    LODE_TRY(lode_i_norm_fro(ctx, e->held, &norm));
    const double unit = UNITS * lode_i_epsilon(e->held->dtype), rms = norm / sqrt(all);
    a->bytes = e->bytes, a->all_bytes = e->all_bytes;
    if (q->kind == LODE_QUERY_VALUES) {
        LODE_TRY(e->expand(ctx, e->model, q, false, &y));
        LODE_TRY(lode_i_stats(ctx, &y, &s));
        a->error = unit * (rms + s.maxabs);
        a->entries = lode_array_size(&y);
        lode_array_swap(&a->values, &y);
        goto done;
    }
    if (q->kind == LODE_QUERY_NORM) {
        sums.sumsq = norm * norm;
        a->error = unit * norm;
    } else {
        LODE_TRY(e->expand(ctx, e->model, q, true, &y));
        LODE_TRY(lode_i_inner(ctx, &y, NULL, &sums));
        a->error = unit * (q->kind == LODE_QUERY_SUM ? asked : 1) *
                   (rms + hypot(sums.re, sums.im) / asked);
        sums.sumsq = 0;
    }
    sums.count = (int64_t)asked;
    lode_i_tally_add(&t, &sums);
    LODE_TRY(lode_i_tally_answer(ctx, q, &t, a));
done:
    LODE_FREE(&y);
    return st;
}
