/* Values back into the numbers that stand for them in a file: the other way of unpack.c. */
#include "io/io.h"

#include <math.h>

/* A number that stands for missing is no value's: the next one towards 0 is, from 0 that above it. */
static double off_fills(const lode_i_form *f, double q)
{
    for (int tries = 0; tries < 3; tries++)
        for (int k = 0; k < f->packing.fills; k++) {
            const double fill = f->packing.fill[k], to = q > 0 ? 0 : q < 0 ? -0.0 : 1;
            if (f->dtype == LODE_F32 && (float)q == (float)fill)
                q = (double)nextafterf((float)q, (float)to);
            else if (f->dtype == LODE_F64 && q == fill)
                q = nextafter(q, to);
            else if (f->dtype != LODE_F32 && f->dtype != LODE_F64 && q == fill)
                q += q > 0 ? -1 : 1;
        }
    return q;
}

/* Stored numbers as f64: what each value came from. */
static double stored_of(const lode_i_form *f, double v)
{
    const lode_i_packing *p = &f->packing;
    double q = v;
    if (isnan(v) && p->fills > 0)
        q = p->fill[0];
    else if (p->packed)
        q = (v - p->offset) / p->factor;
    if (lode_dtype_class(f->dtype) == 'i' || lode_dtype_class(f->dtype) == 'u')
        q = rint(q);
    if (f->nearest && !isnan(v))
        q = off_fills(f, q);
    return p->wrap > 0 && q >= p->wrap / 2 ? q - p->wrap : q;
}

lode_status lode_i_pack(lode_ctx *ctx, const lode_i_form *f, const void *values, int64_t count,
                        lode_array *stored)
{
    lode_status st = LODE_OK;
    lode_array wide = { 0 };
    const lode_array given = lode_array_wrap((void *)(uintptr_t)values, f->values, 1, &count);
    LODE_TRY(lode_array_cast(ctx, &given, LODE_F64, &wide));
    double *v = wide.data;
    for (int64_t i = 0; i < count; i++)
        v[i] = stored_of(f, v[i]);
    LODE_TRY(lode_array_cast(ctx, &wide, f->dtype, stored));
done:
    lode_array_free(&wide);
    return st;
}
