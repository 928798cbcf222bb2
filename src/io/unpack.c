/* Stored numbers into values by the CF conventions, which NetCDF and HDF5 files share: a factor and
 * an offset, numbers that mean missing, and numbers whose sign is not meant. */
#include "io/io.h"

#include <math.h>
#include <string.h>

/* One number of the attributes; false when there is none. type: f64 when nothing else is said. */
static bool number(const lode_i_attributes *a, const char *name, double *v, lode_dtype *type)
{
    const lode_json *j = lode_i_json_get(a->values, name);
    const char *word = lode_i_json_as_text(lode_i_json_get(a->types, name));
    *type = LODE_F64;
    if (word && !lode_dtype_parse(word, type))
        return false;
    return (word || !lode_i_json_as_text(j)) && lode_i_json_as_f64(j, v);
}

void lode_i_packing_of(const lode_i_attributes *a, lode_dtype stored, lode_i_packing *p,
                       lode_dtype *dtype)
{
    lode_dtype scale_type = LODE_F64, offset_type = LODE_F64, fill_type = LODE_F64;
    const bool scaled = number(a, "scale_factor", &p->factor, &scale_type);
    const bool shifted = number(a, "add_offset", &p->offset, &offset_type);
    const char *unsign = lode_i_json_as_text(lode_i_json_get(a->values, "_Unsigned"));
    double fill = 0;
    *dtype = stored;
    if (!scaled)
        p->factor = 1;
    if (!shifted)
        p->offset = 0;
    p->packed = (scaled || shifted) && strchr("iuf", lode_dtype_class(stored));
    if (unsign && strcmp(unsign, "true") == 0 && lode_dtype_class(stored) == 'i' &&
        stored != LODE_I64) {
        p->wrap = ldexp(1, 8 * (int)lode_dtype_size(stored));
        *dtype = stored == LODE_I8 ? LODE_U8 : stored == LODE_I16 ? LODE_U16 : LODE_U32;
    }
    if (p->packed) {
        /* The unpacked type is that of the attributes; 32 bits and more need f64. */
        const bool single = (!scaled || scale_type == LODE_F32) &&
                            (!shifted || offset_type == LODE_F32) &&
                            (lode_dtype_size(stored) <= 2 || stored == LODE_F32);
        *dtype = single ? LODE_F32 : LODE_F64;
    }
    if (*dtype != LODE_F32 && *dtype != LODE_F64)
        return;
    if (number(a, "_FillValue", &fill, &fill_type))
        p->fill[p->fills++] = fill;
    if (number(a, "missing_value", &fill, &fill_type))
        p->fill[p->fills++] = fill;
    for (int k = 0; k < p->fills; k++)
        p->fill[k] += p->fill[k] < 0 ? p->wrap : 0;
}

#define UNPACK(T)                                                                                  \
    for (int64_t i = 0; i < count; i++) {                                                          \
        T *const v = (T *)values + i;                                                              \
        bool missing = false;                                                                      \
        if (*v < 0)                                                                                \
            *v += (T)p->wrap;                                                                      \
        for (int k = 0; k < p->fills; k++)                                                         \
            missing = missing || *v == (T)p->fill[k];                                              \
        *v = missing ? (T)NAN : p->packed ? (T)((double)*v * p->factor + p->offset) : *v;          \
    }

void lode_i_unpack(const lode_i_packing *p, lode_dtype dtype, void *values, int64_t count)
{
    if (!p->packed && p->fills == 0)
        return;
    if (dtype == LODE_F32)
        UNPACK(float)
    else
        UNPACK(double)
}
