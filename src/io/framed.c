/* What formats share that take files apart and put them together again (frame.h): whether stored values
 * come back from what they are read as, and values on their way into the file. */
#include <math.h>
#include <string.h>

#include "io/frame.h"

/* ---- taken apart ---- */

lode_i_form lode_i_form_of(lode_dtype stored, lode_dtype values, const lode_i_packing *p)
{
    const bool real = values == LODE_F32 || values == LODE_F64;
    return (lode_i_form){ .dtype = stored,
                          .values = values,
                          .packs = real && (p->packed || p->fills > 0 || stored != values),
                          .described = true,
                          .nearest = true,
                          .packing = *p };
}

void lode_i_form_framed(lode_i_form *form, const lode_i_framed *m)
{
    lode_i_packing *p = &form->packing;
    const int most = sizeof p->fill / sizeof *p->fill;
    if (!m->has_code)
        return;
    form->packs = true;
    for (int k = p->fills < most ? p->fills : most - 1; k > 0; k--)
        p->fill[k] = p->fill[k - 1];
    p->fill[0] = m->code + (m->code < 0 ? p->wrap : 0);
    p->fills += p->fills < most;
}

/* Stored numbers as a source. */
typedef struct kept {
    const lode_file *file;
    const lode_i_member *member;
    lode_i_stored_reader read;
} kept;

static lode_status read_stored(lode_ctx *ctx, const lode_source *s, const int64_t *start,
                               const int64_t *count, void *dst)
{
    const kept *of = s->data;
    return of->read(ctx, of->file, of->member, start, count, dst);
}

static lode_status try_box(lode_ctx *ctx, void *trial, const int64_t *start, const int64_t *count,
                           const void *stored)
{
    lode_status st = LODE_OK;
    lode_i_trial *t = trial;
    lode_array values = { 0 }, wide = { 0 }, back = { 0 };
    int64_t n = 1;
    (void)start;
    for (int k = 0; k < t->ndim; k++)
        n *= count[k];
    if (t->lost || n == 0)
        return LODE_OK;
    const size_t size = lode_dtype_size(t->form.dtype);
    const lode_array given = lode_array_wrap((void *)(uintptr_t)stored, t->form.dtype, 1, &n);
    LODE_TRY(lode_array_cast(ctx, &given, t->form.values, &values));
    lode_i_unpack(&t->form.packing, t->form.values, values.data, n);
    LODE_TRY(lode_array_cast(ctx, &given, LODE_F64, &wide));
    for (int64_t i = 0; i < n && !t->has_code; i++) {
        const double v = t->form.values == LODE_F32 ? (double)((const float *)values.data)[i]
                                                    : ((const double *)values.data)[i];
        t->has_code = isnan(v);
        t->code = ((const double *)wide.data)[i];
    }
    lode_i_form form = t->form;
    lode_i_form_framed(&form, &(lode_i_framed){ .has_code = t->has_code, .code = t->code });
    LODE_TRY(lode_i_pack(ctx, &form, values.data, n, &back));
    t->lost = memcmp(back.data, stored, (size_t)n * size) != 0;
done:
    LODE_FREE(&values, &wide, &back);
    return st;
}

lode_status lode_i_frame_try(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                             lode_i_stored_reader read, lode_i_trial *t)
{
    kept of = { f, m, read };
    lode_source s = { .dtype = t->form.dtype,
                      .ndim = t->ndim = m->ndim,
                      .rewindable = true,
                      .read = read_stored,
                      .data = &of };
    if (!t->form.packs)
        return LODE_OK;
    memcpy(s.shape, m->shape, sizeof s.shape);
    if (m->chunk)
        memcpy(s.chunk, m->chunk, (size_t)m->ndim * sizeof *s.chunk);
    LODE_FORWARD(lode_i_emit_boxes(ctx, lode_from_source(&s), t->form.dtype, try_box, t));
    if (t->lost)
        lode_i_log(ctx,
                   "%s: %s has several stored numbers for one value, as two for what is missing: "
                   "its own are kept too, and given back",
                   f->path, m->name);
    return LODE_OK;
}

/* ---- and put together ---- */

lode_status lode_i_frame_reopen(lode_ctx *ctx, const char *temporary, const char *format,
                                lode_file **f)
{
    const lode_status st = lode_file_open(ctx, temporary, &(lode_read_opts){ .format = format }, f);
    return st == LODE_EFORMAT ? LODE_OK : st;
}

bool lode_i_frame_fits(lode_ctx *ctx, lode_value v, const lode_i_member *m, bool longer)
{
    lode_dtype dtype = LODE_F64;
    int32_t ndim = 0;
    int64_t shape[LODE_MAX_NDIM];
    if (v.kind == LODE_SCALAR)
        dtype = v.as.scalar->dtype;
    else if (lode_i_dense_form(ctx, m->name, v, &dtype, &ndim, shape) < 0)
        return false;
    bool fits = m->kind == LODE_ARRAY && dtype == m->dtype && ndim == m->ndim;
    for (int k = 0; k < ndim && fits; k++)
        fits = shape[k] == m->shape[k] || (longer && shape[k] > m->shape[k]);
    return fits;
}

lode_status lode_i_frame_put(lode_ctx *ctx, lode_value v, lode_dtype dtype, lode_i_box_sink put,
                             void *data)
{
    const int64_t none[LODE_MAX_NDIM] = { 0 };
    if (v.kind != LODE_SCALAR)
        return lode_i_emit_boxes(ctx, v, dtype, put, data);
    const lode_scalar *s = v.as.scalar;
    return put(ctx, data, none, none, s->dtype == LODE_I64 ? (const void *)&s->i : &s->re);
}
