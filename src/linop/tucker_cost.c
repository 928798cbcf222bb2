/* What a decomposition will take, from the shape alone. */
#include "linop/tucker.h"

void lode_i_sthosvd_cost(lode_dtype dtype, int ndim, const int64_t *shape, const int64_t *rank,
                         const lode_sthosvd_opts *o, int workers, lode_sthosvd_cost *cost)
{
    const lode_dtype result = lode_i_arith(dtype),
                     work = lode_i_is_complex(result) ? LODE_C128 : LODE_F64;
    const double w = (double)lode_dtype_size(work), unit = (double)lode_dtype_size(result);
    double size = 1, core = 1, kept = 1, factors = 0, most = 0, longest = 0, tables = 1,
           largest = 0;
    int axis;
    *cost = (lode_sthosvd_cost){ 0 };
    lode_i_slab_cut(work, ndim, shape, &axis, &cost->slab);
    cost->slab_axis = axis;
    double left = 1; /* share of X after the modes so far, last axis first */
    for (int i = 0; i < ndim; i++)
        size *= (double)shape[i];
    for (int i = 0; i < ndim; i++) {
        const int k = ndim - 1 - i;
        const int64_t extra = o->oversampling ? o->oversampling : lode_i_max(8, rank[k] / 2);
        const double n = (double)shape[k], r = (double)rank[k],
                     s = (double)lode_i_min(shape[k], rank[k] + extra);
        core *= r, kept *= s, factors += n * r;
        tables = tables * (s + 1) < 0x1p18 ? tables * (s + 1) : 0x1p18;
        longest = n > longest ? n : longest;
        if (k != axis && n > 0)
            most = s / n > most ? s / n : most;
        if (n > 0) {
            cost->flops += size * left * ((n < 2048 ? n : 256) + 2 * s);
            left *= s / n;
        }
        largest = n * s > largest ? n * s : largest;
    }
    const double slab = shape[axis] ? size / (double)shape[axis] * (double)cost->slab : 0;
    const double stored = size * (ndim > 1 ? most : 1),
                 gram = longest < 2048 ? longest * longest : 0;
    /* before the slab axis is decomposed */
    const double last = kept * (ndim ? (double)shape[axis] : 1);
    const double fixed = w * ((2 + 4 * workers) * slab + 10 * gram + 6 * largest + 3 * kept +
                              factors) +
                         48 * tables + (tables * 256 < 0x1p23 ? tables * 256 : 0x1p23) + 65536;
    cost->workspace = (uint64_t)(fixed + 2 * w * stored);
    /* what is not stored between the modes is read again, up to the last */
    cost->least = (uint64_t)(fixed + 2 * w * last);
    /* longer than the others together: an SVD */
    if (ndim > 0 && (double)shape[axis] * (double)shape[axis] > last)
        cost->workspace += (uint64_t)(5 * w * (size < last ? size : last)),
            cost->least += (uint64_t)(5 * w * (size < last ? size : last));
    cost->output = (uint64_t)(unit * (core + factors));
    cost->passes = 3 + (double)(o->sweeps * ndim);
}
