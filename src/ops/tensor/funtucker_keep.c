/* The state of funtucker's sweeps as two arrays, for its checkpoint: what the modes' tables hold one after the
 * other, and what is small. */
#include "ops/tensor/funtucker.h"

enum { SCALARS = 3, OF_MODE = 4 }; /* noise and visits; lengthscale, amplitude and their reaches */

static int64_t large_size(const funtucker_fit *f)
{
    int64_t size = 0;
    for (int k = 0; k < f->m.d; k++)
        size += lode_array_size(&f->m.mean[k]) + lode_array_size(&f->mode[k].cov) +
                lode_array_size(&f->mode[k].precision) + lode_array_size(&f->mode[k].shift);
    return size;
}

/* a from the flat array at *at on, or back into it. */
static lode_status move(lode_ctx *ctx, lode_array *a, int64_t *at, bool in, lode_array *flat)
{
    lode_status st = LODE_OK;
    lode_array part = { 0 }, view = { 0 };
    const int64_t size = lode_array_size(a);
    LODE_TRY(lode_array_slice(ctx, flat, 0, *at, *at + size, 1, &part));
    LODE_TRY(lode_array_reshape(ctx, &part, a->ndim, a->shape, &view));
    LODE_TRY(in ? lode_array_copy_into(ctx, a, &view) : lode_array_copy_into(ctx, &view, a));
    *at += size;
done:
    LODE_FREE(&part, &view);
    return st;
}

static void number(double *x, int64_t *at, bool in, lode_array *flat)
{
    if (in)
        lode_i_set1(flat, (*at)++, *x);
    else
        *x = lode_i_get1(flat, (*at)++);
}

static lode_status move_all(lode_ctx *ctx, funtucker_fit *f, bool in, lode_array *large,
                            lode_array *small)
{
    int64_t at = 0, place = 0;
    double visits = (double)f->visits;
    for (int k = 0; k < f->m.d; k++) {
        funtucker_mode *y = &f->mode[k];
        lode_array *table[] = { &f->m.mean[k], &y->cov, &y->precision, &y->shift };
        double *of_mode[OF_MODE] = { &y->gp.lengthscale, &y->gp.amplitude, &y->reach[0],
                                     &y->reach[1] };
        for (int i = 0; i < 4; i++)
            LODE_FORWARD(move(ctx, table[i], &at, in, large));
        for (int i = 0; i < OF_MODE; i++)
            number(of_mode[i], &place, in, small);
    }
    number(&f->a, &place, in, small);
    number(&f->b, &place, in, small);
    number(&visits, &place, in, small);
    f->visits = (int64_t)visits;
    LODE_FORWARD(move(ctx, &f->m.core, &place, in, small));
    return move(ctx, &f->core_cov, &place, in, small);
}

lode_status lode_i_funtucker_keep(lode_ctx *ctx, funtucker_fit *f, lode_array *large,
                                  lode_array *small)
{
    const int64_t K = f->m.core.shape[0];
    if (!large->data)
        LODE_FORWARD(lode_i_vector_new(ctx, LODE_F64, large_size(f), large));
    if (!small->data)
        LODE_FORWARD(
            lode_i_vector_new(ctx, LODE_F64, SCALARS + OF_MODE * f->m.d + K * (K + 1), small));
    return move_all(ctx, f, true, large, small);
}

lode_status lode_i_funtucker_unkeep(lode_ctx *ctx, lode_array *large, lode_array *small,
                                    funtucker_fit *f)
{
    LODE_FORWARD(move_all(ctx, f, false, large, small));
    for (int k = 0; k < f->m.d; k++)
        lode_i_pack_moments(&f->m.mean[k], &f->mode[k].cov, &f->m.second[k]);
    return lode_i_pack_core(ctx, &f->core_cov, &f->m);
}
