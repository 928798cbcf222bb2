/* A tensor as the matrix whose right (or, mirrored, left) singular vectors the first bond takes: its
 * long side is cut into slabs, in memory and from sources at the same places. */
#include "linop/tt_run.h"

#include <math.h>
#include <string.h>

enum { SLAB_LEAST = 1 << 18, SLAB_MOST = 1 << 22, SLABS = 32, JOINED = 64, GRAM_MODE = 2048 };

/* Modes are joined until their product is JOINED: bonds between short modes come later, from what is
 * left, and cost no pass. From the last mode on, unless the first is much the better. */
int lode_i_tt_group(int ndim, const int64_t *shape, bool *mirrored)
{
    double size = 1;
    int count = 1;
    for (int k = 0; k < ndim; k++)
        size *= (double)shape[k];
    const double last = (double)shape[ndim - 1], first = (double)shape[0];
    *mirrored = (last * last > size || last > GRAM_MODE) && first < last;
    double joined = *mirrored ? first : last;
    for (; count < ndim - 1 && joined < JOINED; count++) {
        const double next = (double)shape[*mirrored ? count : ndim - 1 - count];
        if (joined * next * joined * next > size)
            break;
        joined *= next;
    }
    return count;
}

void lode_i_ttmatrix_cut(lode_i_slabs *s, int mode)
{
    const double w = (double)lode_dtype_size(s->work), n = (double)lode_i_min(s->shape[mode], 2048),
                 row = w * (double)s->shape[mode], bytes = row * (double)s->shape[1 - mode],
                 wanted = fmin(fmax(bytes / SLABS, SLAB_LEAST), fmax(SLAB_MOST, 0.5 * n * n * w));
    const int64_t length = lode_i_max(s->shape[1 - mode], 1),
                  fit = row > 0 ? (int64_t)fmin(wanted / row, (double)length) : length;
    s->axis = 1 - mode;
    s->rows = lode_i_ceil_div(length, lode_i_ceil_div(length, lode_i_max(fit, 1)));
    s->count = s->size ? lode_i_ceil_div(length, s->rows) : 0;
}

lode_status lode_i_ttmatrix_open(lode_ctx *ctx, lode_value X, int group, bool mirrored,
                                 const char *name, lode_i_ttmatrix *m)
{
    lode_status st = LODE_OK;
    lode_dtype dtype;
    int64_t side[2] = { 1, 1 };
    *m = (lode_i_ttmatrix){ .mirrored = mirrored, .group = group };
    LODE_TRY(lode_i_value_shape(X, &dtype, &m->ndim, m->shape)
                 ? LODE_OK
                 : lode_i_fail(ctx, LODE_ETYPE, "%s is no dense array", name));
    const int lead = mirrored ? group : m->ndim - group;
    for (int k = 0; k < m->ndim; k++)
        side[k >= lead] *= m->shape[k];
    if (X.kind == LODE_SOURCE && !X.as.source->rewindable) {
        LODE_TRY(lode_i_source_load(ctx, X.as.source, &m->view));
        X = lode_from_array(&m->view);
    }
    if (X.kind == LODE_ARRAY && lode_array_is_contiguous(X.as.array)) {
        lode_array flat = { 0 };
        LODE_TRY(lode_array_reshape(ctx, X.as.array, 2, side, &flat));
        lode_array_swap(&m->view, &flat);
        lode_array_free(&flat);
        X = lode_from_array(&m->view);
    } else {
        LODE_TRY(lode_i_as_source(ctx, X, &m->whole, &m->owned));
        LODE_TRY(lode_i_source_matrix(ctx, &m->whole, lead, &m->flat));
        X = lode_from_source(&m->flat);
    }
    LODE_TRY(lode_i_slabs_open(ctx, X, name, &m->s));
    m->s.named = m->ndim, m->s.names = m->shape;
    lode_i_ttmatrix_cut(&m->s, mirrored ? 0 : 1);
done:
    return st;
}

void lode_i_ttmatrix_close(lode_i_ttmatrix *m)
{
    lode_i_slabs_close(&m->s);
    lode_source_close(&m->flat);
    if (m->owned)
        lode_source_close(&m->whole);
    lode_array_free(&m->view);
    *m = (lode_i_ttmatrix){ 0 };
}
