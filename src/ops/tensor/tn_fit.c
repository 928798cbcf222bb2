/* Sweeps of tn over the cores of one structure, and what is recorded of them. */
#include <math.h>

#include "ops/tensor/tn.h"

enum { PATIENCE = 1 };
/* Below it, |X|^2 - 2 <X, Y> + |Y|^2 says too little: the residual itself is measured. */
#define CANCELS 1e-8

void lode_i_tn_fit_free(tn_fit *f)
{
    lode_i_net_free(&f->net);
    LODE_FREE(&f->trace, &f->curve, &f->edges);
    *f = (tn_fit){ 0 };
}

double lode_i_tn_relative(const tn_data *d, double sumsq)
{
    return d->sumsq > 0 ? sqrt(fmax(sumsq, 0) / d->sumsq) : 0;
}

/* Room for one more in a vector or in the rows of a matrix. */
static lode_status extend(lode_ctx *ctx, lode_dtype dtype, int64_t used, int64_t width,
                          lode_array *a)
{
    lode_status st = LODE_OK;
    lode_array longer = { 0 }, head = { 0 };
    if (a->data && used < a->shape[0])
        return LODE_OK;
    const int64_t room = lode_i_max(2 * used, 64);
    LODE_TRY(
        lode_array_zeros(ctx, dtype, width > 1 ? 2 : 1, (const int64_t[]){ room, width }, &longer));
    if (a->data) {
        head = lode_array_ref(&longer);
        head.shape[0] = used;
        LODE_TRY(lode_array_copy_into(ctx, a, &head));
    }
    lode_array_swap(a, &longer);
done:
    LODE_FREE(&longer, &head);
    return st;
}

static lode_status trace(lode_ctx *ctx, double error, tn_fit *f)
{
    LODE_FORWARD(extend(ctx, LODE_F64, f->sweeps, 1, &f->trace));
    lode_i_set1(&f->trace, f->sweeps++, error);
    return LODE_OK;
}

lode_status lode_i_tn_note(lode_ctx *ctx, const tn_data *d, int i, int j, double *held, tn_fit *f)
{
    double left, other;
    LODE_FORWARD(lode_i_tn_residual(ctx, d, &f->net, &left, &other));
    other = d->held_sumsq > 0 ? sqrt(other / d->held_sumsq) : (double)NAN;
    LODE_FORWARD(extend(ctx, LODE_F64, f->rows, 3, &f->curve));
    LODE_FORWARD(extend(ctx, LODE_I64, f->rows, 2, &f->edges));
    lode_i_set2(&f->curve, f->rows, 0, lode_i_net_params(&f->net));
    lode_i_set2(&f->curve, f->rows, 1, lode_i_tn_relative(d, left));
    lode_i_set2(&f->curve, f->rows, 2, other);
    lode_i_set2(&f->edges, f->rows, 0, i);
    lode_i_set2(&f->edges, f->rows, 1, j);
    f->rows++;
    if (held)
        *held = other;
    return LODE_OK;
}

/* One sweep, and what it leaves. */
static lode_status sweep(lode_ctx *ctx, const tn_data *d, const lode_i_net_env *e, lode_i_net *net,
                         double *left)
{
    if (d->some)
        return lode_i_net_sweep_some(ctx, net, &d->X, (UINT32_C(1) << net->nodes) - 1, left);
    LODE_FORWARD(lode_i_net_sweep(ctx, net, e, d->sumsq, left));
    return *left > CANCELS * d->sumsq ? LODE_OK : lode_i_tn_residual(ctx, d, net, left, NULL);
}

lode_status lode_i_tn_optimize(lode_ctx *ctx, const lode_tn_opts *o, const tn_data *d, double tol,
                               tn_fit *f)
{
    lode_status st = LODE_OK;
    lode_i_net_env e = { .open = (UINT32_C(1) << f->net.nodes) - 1 };
    lode_i_net before = { 0 };
    lode_i_iter it = { .op = "tn",
                       .what = "relative error",
                       .tol = tol,
                       .patience = PATIENCE,
                       .floor = 4 * lode_i_epsilon(d->dtype),
                       .max_iter = o->max_iter };
    double last = INFINITY;
    if (!d->some)
        LODE_TRY(lode_i_net_whole(ctx, &d->X, &e));
    if (f->sweeps == 0)
        LODE_TRY(trace(ctx, 1, f));
    LODE_TRY(lode_i_iter_begin(ctx, &it));
    while (!it.done) {
        double left;
        lode_i_net_free(&before);
        before = lode_i_net_ref(&f->net);
        LODE_TRY(sweep(ctx, d, &e, &f->net, &left));
        if (!(left <= last)) { /* rounding: as it was before */
            lode_i_net_swap(&f->net, &before);
            it.done = it.settled = true;
            break;
        }
        last = f->left = fmax(left, 0);
        const double error = lode_i_tn_relative(d, f->left);
        LODE_TRY(trace(ctx, error, f));
        it.enough = f->target > 0 && sqrt(f->left) <= f->target;
        LODE_TRY(lode_i_iter_step(ctx, &it, error));
    }
    f->settled = it.settled;
done:
    lode_i_iter_free(&it);
    lode_i_net_free(&before);
    lode_i_net_env_free(&e);
    return st;
}
