/* What a decomposition will take, from the shape alone. */
#include "linop/tt_run.h"

#include <math.h>

void lode_i_tt_cost(lode_dtype dtype, int ndim, const int64_t *shape, const int64_t *rank,
                    const lode_ttsvd_opts *o, int workers, lode_ttsvd_cost *cost)
{
    const lode_dtype result = lode_i_arith(dtype),
                     work = lode_i_is_complex(result) ? LODE_C128 : LODE_F64;
    const double w = (double)lode_dtype_size(work), unit = (double)lode_dtype_size(result);
    double size = 1, joined = 1, stored = 0, sides = 0, values = 0, core = 0, spread = 0;
    bool mirrored = false;
    const int group = ndim > 0 ? lode_i_tt_group(ndim, shape, &mirrored) : 0;
    *cost = (lode_ttsvd_cost){ 0 };
    mirrored = mirrored && lode_dtype_block(dtype) == 1;
    for (int k = 0; k < ndim; k++)
        size *= (double)shape[k];
    /* modes as they are taken, from the last: n[k], the rank on their right */
    for (int i = ndim - 1; i >= 0; i--) {
        const int k = mirrored ? ndim - 1 - i : i;
        const double n = (double)shape[k],
                     right = i == ndim - 1 ? 1 : (double)rank[mirrored ? k - 1 : k],
                     before = i == 0 ? 1 : (double)rank[mirrored ? k : k - 1];
        joined *= n;
        const double rest = joined > 0 ? size / joined : 0,
                     cols = i >= ndim - group ? joined : n * right;
        const double side = fmin(cols, rest);
        values += before * n * right;
        core = fmax(core, before * n * right + before * before + right * right);
        if (i > ndim - group)
            continue;
        stored = fmax(stored, rest * before + (i < ndim - group ? fmin(rest, cols) * cols : 0));
        if (i > 0) {
            sides = fmax(sides, side <= 2048 || o->method == LODE_TTSVD_QR || o->error < 1e-6
                                    ? 10 * side * side
                                    : 0);
            spread = fmax(spread, 6 * (side <= 2048 ? cols : cols + rest) * before);
            cost->flops += rest * cols * (fmin(side, 2048) + 2 * before) + 10 * side * side * side;
        }
    }
    lode_i_slabs s = { .work = work, .ndim = 2, .size = 1, .shape = { 1, 1 } };
    for (int k = 0; k < ndim; k++)
        s.shape[k >= (mirrored ? group : ndim - group)] *= shape[k];
    lode_i_ttmatrix_cut(&s, mirrored ? 0 : 1);
    const double slab = (double)s.rows * (double)s.shape[s.axis == 0];
    cost->slab = (int64_t)fmin(slab, 0x1p62);
    const double first = (2 + 4 * workers) * slab + 2 * stored + sides + spread,
                 second = 2 * stored + 8 * values + 16 * core;
    cost->workspace = (uint64_t)(w * (fmax(first, second) + 2 * values) + 65536);
    cost->output = (uint64_t)(unit * values);
    cost->passes = 3;
}
