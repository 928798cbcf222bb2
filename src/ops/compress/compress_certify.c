/* The certificate of compress, and what a model says of itself. */
#include <math.h>
#include <string.h>

#include "ops/compress/compress.h"

static void certify(const job *j, const lode_diff *d, lode_certificate *c)
{
    const lode_error_spec *e = &j->o->error;
    const bool pointwise = lode_i_error_is_pointwise(e), psnr = e->kind == LODE_ERROR_PSNR;
    *c = (lode_certificate){ .kind = LODE_CERT_MEASURED,
                             .norm = pointwise ? LODE_NORM_MAX : LODE_NORM_FRO,
                             .relative = e->kind != LODE_ERROR_FRO && e->kind != LODE_ERROR_MAX,
                             .needs_original = true,
                             .asked = NAN };
    c->absolute = pointwise ? d->maxabs : sqrt(d->sumsq);
    c->other = pointwise ? sqrt(d->sumsq) : d->maxabs;
    const double unit = pointwise ? j->range : sqrt(j->norm2);
    c->value = !c->relative      ? c->absolute
               : unit > 0        ? c->absolute / unit
               : c->absolute > 0 ? INFINITY
                                 : 0;
    if (e->kind != LODE_ERROR_NONE && !psnr)
        c->asked = e->value;
    else if (psnr)
        c->asked = unit > 0 ? lode_i_error_target_fro(e, sqrt(j->norm2), j->range, j->count) / unit
                            : 0;
    else if (j->o->budget.kind == LODE_BUDGET_NONE && !j->o->rank.count &&
             j->o->method != LODE_COMPRESS_LOSSLESS)
        c->asked = DEFAULT_ERROR;
    snprintf(c->quantity, sizeof c->quantity, "X - decoded, over %s entries",
             j->count < j->values ? "observed" : "all");
    const double peak = e->peak > 0 ? e->peak : j->range;
    if (psnr && d->sumsq > 0)
        snprintf(c->note, sizeof c->note, "PSNR %.2f dB",
                 20 * log10(peak / sqrt(d->sumsq / (double)lode_i_max(j->count, 1))));
    else
        snprintf(c->note, sizeof c->note, "%s%s",
                 d->sumsq > 0 ? "decoded and compared" : "every observed value came back exactly",
                 d->sumsq > 0 || j->o->method == LODE_COMPRESS_LOSSLESS || !(j->norm2 > 0) ||
                         e->kind == LODE_ERROR_NONE
                     ? ""
                     : ", which --method lossless promises");
}

/* Adds to the note which ranks were kept of the learned bases, where a budget of numbers or ranks
 * asked decided them. */
static lode_status tell_ranks(lode_ctx *ctx, const job *j, lode_bundle *model)
{
    lode_status st = LODE_OK;
    const lode_array *coded = NULL;
    record_info info;
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM];
    char *note = model->certificate.note, ranks[96] = "";
    const size_t size = sizeof model->certificate.note;

    if (j->o->budget.kind != LODE_BUDGET_PARAMS && !j->o->rank.count)
        goto done;
    compress_block(&j->g, 0, start, count);
    LODE_TRY(compress_record(ctx, model, 0, &coded));
    LODE_TRY(compress_info(ctx, coded, j->g.dtype, j->g.ndim, count, &info));
    for (int k = 0, at = 0; k < info.modes && at < 80; k++)
        at += snprintf(ranks + at, sizeof ranks - (size_t)at, "%s%" PRId64, k ? "," : "",
                       info.columns[k]);
    const size_t used = strlen(note);
    if (!info.exact && used < size)
        snprintf(note + used, size - used, "; ranks %s%s", ranks,
                 j->g.blocks > 1 ? " in the first block" : "");
done:
    return st;
}

static bool missed(const job *j, const lode_diff *d)
{
    return j->goal.bound > 0 ? d->maxabs > j->goal.bound
                             : isfinite(j->goal.sumsq) && d->sumsq > j->goal.sumsq * (1 + 1e-12);
}

static lode_status keep_shape(lode_ctx *ctx, const job *j, lode_bundle *model)
{
    lode_meta *m = &model->meta;
    char *options = NULL;
    LODE_FORWARD(lode_i_options_json(ctx, &lode_op_compress, j->o, &options));
    lode_i_free(m->options);
    m->options = options;
    m->has_shape = true;
    m->dtype = j->g.dtype;
    m->ndim = j->g.ndim;
    memcpy(m->shape, j->g.shape, sizeof m->shape);
    snprintf(m->op, sizeof m->op, "compress");
    snprintf(m->version, sizeof m->version, "%s", lode_version());
    return LODE_OK;
}

lode_status compress_finish(lode_ctx *ctx, const lode_compress_opts *o, const totals *t,
                            double values, const grid *g, lode_bundle *model)
{
    const bool measured = t->count >= 0; /* not where every bit is kept */
    const lode_diff d = { .sumsq = t->sumsq, .maxabs = t->maxabs };
    job j = { .o = o, .g = *g, .values = (int64_t)values };
    if (measured) {
        j.norm2 = t->norm2, j.low = t->low, j.high = t->high, j.count = (int64_t)t->count;
        j.range = j.high - j.low;
    } else {
        j.count = j.values;
    }
    j.goal = compress_goal(o, j.norm2, j.range, (double)j.count);
    certify(&j, &d, &model->certificate);
    LODE_FORWARD(keep_shape(ctx, &j, model));
    LODE_FORWARD(tell_ranks(ctx, &j, model));
    LODE_FORWARD(compress_totals_write(ctx, t, model));
    if (!missed(&j, &d))
        return LODE_OK;
    return lode_i_fail(ctx, LODE_MISSED,
                       "compress: the error is %.3g, not the %.3g asked for: %s decided",
                       model->certificate.value, model->certificate.asked,
                       o->rank.count    ? "the rank"
                       : o->budget.kind ? "the budget"
                                        : "the type's precision");
}
