/* The form in which an array goes back into a NetCDF or HDF5 file: as its file had it, packed into few
 * bits or with a number for what is missing, but only where every value comes back as it was. */
#include "io/io.h"

#include <math.h>
#include <string.h>

/* Packs and unpacks; anything that does not come back as it was ends the pass. */
typedef struct trial {
    const lode_i_form *form;
    int ndim;
    bool misfit;
} trial;

static lode_status try_box(lode_ctx *ctx, void *data, const int64_t *start, const int64_t *count,
                           const void *values)
{
    lode_status st = LODE_OK;
    trial *t = data;
    const lode_i_form *f = t->form;
    lode_array stored = { 0 }, back = { 0 };
    int64_t n = 1;
    (void)start;
    for (int k = 0; k < t->ndim; k++)
        n *= count[k];
    LODE_TRY(lode_i_pack(ctx, f, values, n, &stored));
    LODE_TRY(lode_array_cast(ctx, &stored, f->values, &back));
    lode_i_unpack(&f->packing, f->values, back.data, n);
    for (int64_t i = 0; i < n && !t->misfit; i++) {
        const double a = f->values == LODE_F32 ? (double)((const float *)values)[i]
                                               : ((const double *)values)[i];
        const double b = f->values == LODE_F32 ? (double)((const float *)back.data)[i]
                                               : ((const double *)back.data)[i];
        t->misfit = !(a == b || (isnan(a) && isnan(b)));
    }
    st = t->misfit ? LODE_EDOMAIN : LODE_OK; /* seen by the caller only */
done:
    LODE_FREE(&stored, &back);
    return st;
}

/* Both formats have all numbers of a file that had them. */
static bool has_type(lode_dtype dtype)
{
    return strchr("iuf", lode_dtype_class(dtype)) != NULL;
}

lode_status lode_i_form_again(lode_ctx *ctx, const lode_json *variable, const lode_i_tensor *t,
                              lode_dtype own, lode_i_form *form)
{
    const char *word = lode_i_json_as_text(lode_i_json_get(variable, "stored"));
    const lode_i_attributes a = { lode_i_json_get(variable, "attributes"),
                                  lode_i_json_get(variable, "types") };
    lode_dtype unpacked = t->dtype;
    *form = (lode_i_form){ .dtype = own, .values = own, .described = true };
    lode_i_form as = *form;
    if (word && !lode_dtype_parse(word, &as.dtype))
        return LODE_OK; /* text */
    lode_i_packing_of(&a, as.dtype, &as.packing, &unpacked);
    const bool real = own == LODE_F32 || own == LODE_F64;
    if (!as.packing.packed && as.packing.fills == 0 && as.dtype == own)
        return LODE_OK;             /* nothing was unpacked */
    if (unpacked == own && !real) { /* the same bits without the sign */
        form->dtype = as.dtype;
        return LODE_OK;
    }
    form->described = false;
    bool nearest = false;
    lode_i_json_as_bool(lode_i_json_get(variable, "nearest"), &nearest);
    if (nearest && unpacked == own && real && as.packing.factor != 0 && has_type(as.dtype)) {
        *form = as;
        form->packs = form->described = form->nearest = true;
        if (as.packing.packed)
            lode_i_log(ctx, "%s: in steps of %g, as the file that it is from had it", t->name,
                       fabs(as.packing.factor));
        return LODE_OK;
    }
    const bool again = t->value.kind == LODE_ARRAY ||
                       (t->value.kind == LODE_SOURCE && t->value.as.source->rewindable);
    if (unpacked != own || !real || !again || !has_type(as.dtype) ||
        (as.packing.packed && as.packing.factor == 0))
        return LODE_OK;
    trial test = { .form = &as, .ndim = t->ndim };
    const lode_status st = lode_i_emit_boxes(ctx, t->value, own, try_box, &test);
    if (st < 0 && !test.misfit)
        return st;
    if (!test.misfit) {
        *form = as;
        form->packs = true;
        form->described = true;
    }
    return LODE_OK;
}
