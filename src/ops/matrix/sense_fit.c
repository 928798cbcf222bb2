/* The descent of sense, in the unit in which M has a norm of about 1.
 *
 * l2: F -= eta D G, G -= eta D^T F with D = A*(A(F G^T) - y), or X -= eta sym(D) X. eta is fixed; where it was
 * not given, a step that raises the loss is taken back and eta halved. asym-fast: once, where the product is
 * near, F = A S B^T becomes beta A and G becomes G B S / beta: the product stays and all directions of F are as
 * large as each other, so that the share of G in those beyond the rank decays at the rate eta beta^2 and not
 * eta alpha^2.
 * l1: D = A*(sign(A(X X^T) - y)), over the size of its expectation, which is the error over its norm; eta is
 * proportional to that norm as the lower quartile of the residuals shows it, so that the error falls as under l2
 * though measurements are grossly wrong, or falls geometrically where --decay is given. */
#include <math.h>

#include "ops/matrix/sense.h"

/* The product is near when its residual is below NEAR, or below FAR and hardly moves: noise. */
#define NEAR 0.1
#define FAR 0.9
#define HARDLY 1e-3
enum { HALVINGS = 50 };
/* Of the sub-gradient: once the residuals are below BEGUN of what they were, a step that has brought no new
 * least of them for half a plateau is halved, then every STILL iterations, and below LEAST of the first it has
 * settled. */
#define BEGUN 0.5
#define LEAST 1e-4
enum { STILL = 20 };
/* Numbers that go on from one iteration to the next. */
enum { STATE_STEP, STATE_FIRST, STATE_SWITCHED, STATE_BEST, STATE_SINCE, STATE_HELD };

void lode_i_sense_fit_free(lode_i_sense_fit *f)
{
    lode_i_sense_point_free(&f->p);
    LODE_FREE(&f->trace, &f->held_trace);
}

static lode_status balance(lode_ctx *ctx, lode_i_sense_point *p)
{
    lode_status st = LODE_OK;
    lode_array U = { 0 }, s = { 0 }, V = { 0 }, G = { 0 }, most = { 0 };
    LODE_TRY(lode_i_svd(ctx, &p->F, p->F.shape[1], &U, &s, &V));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &p->G, &V, &G));
    LODE_TRY(lode_i_scale_cols(ctx, &G, &s));
    LODE_TRY(lode_i_svd(ctx, &G, 1, NULL, &most, NULL));
    const double beta = sqrt(lode_i_get1(&most, 0));
    if (!(beta > 0))
        goto done;
    LODE_TRY(lode_i_scale(ctx, beta, &U));
    LODE_TRY(lode_i_scale(ctx, 1 / beta, &G));
    lode_array_swap(&p->F, &U);
    lode_array_swap(&p->G, &G);
done:
    LODE_FREE(&U, &s, &V, &G, &most);
    return st;
}

/* q's factors: p's less eta times the gradient. */
static lode_status move(lode_ctx *ctx, const lode_i_sense_point *p, double eta,
                        const lode_array *dF, const lode_array *dG, lode_i_sense_point *q)
{
    LODE_FORWARD(lode_array_cast(ctx, &p->F, p->F.dtype, &q->F));
    LODE_FORWARD(lode_i_axpy(ctx, -eta, dF, &q->F));
    if (!p->G.data)
        return LODE_OK;
    LODE_FORWARD(lode_array_cast(ctx, &p->G, p->G.dtype, &q->G));
    return lode_i_axpy(ctx, -eta, dG, &q->G);
}

static bool rose(const lode_i_sense_point *before, const lode_i_sense_point *after)
{
    const double rounding = 16 * lode_i_epsilon(before->F.dtype);
    return !(after->fitted <= before->fitted * (1 + 1e-9) + rounding);
}

/* One iteration from f->p; *eta is halved until the loss does not rise, where it may be. */
static lode_status advance(lode_ctx *ctx, lode_i_sense_fit *f, bool adapt, double *eta)
{
    lode_status st = LODE_OK;
    lode_array dF = { 0 }, dG = { 0 };
    lode_i_sense_point q = { 0 };
    LODE_TRY(lode_i_sense_gradient(ctx, f->map, &f->p, &dF, f->p.G.data ? &dG : NULL));
    for (int i = 0; i <= HALVINGS; i++) {
        LODE_TRY(lode_i_cancelled(ctx));
        LODE_TRY(move(ctx, &f->p, *eta, &dF, &dG, &q));
        LODE_TRY(lode_i_sense_look(ctx, f->map, f->d, &q));
        if (!adapt || !rose(&f->p, &q))
            break;
        if (i == HALVINGS) /* rounding: stay */
            goto done;
        *eta /= 2;
    }
    const lode_i_sense_point before = f->p;
    f->p = q, q = before;
done:
    lode_i_sense_point_free(&q);
    LODE_FREE(&dF, &dG);
    return st;
}

static bool near_enough(const lode_i_iter *it)
{
    return it->i > 1 && (it->objective <= NEAR ||
                         (it->objective < FAR && it->change >= 0 && it->change < HARDLY));
}

/* Iterations without change that end it: a plateau before the next direction shows lasts some logarithms of
 * the initial scale. */
static int plateau(const lode_i_sense_fit *f)
{
    return 50 + (int)(20 * log(1 + 1 / f->alpha));
}

/* Whether the sub-gradient's steps have come to nothing; off: the size of the residuals; first_time: iterations
 * without a new least of them before the step is halved first. */
static bool still(lode_array *state, double off, int first_time)
{
    const double step = lode_i_get1(state, STATE_STEP), first = lode_i_get1(state, STATE_FIRST);
    if (off < lode_i_get1(state, STATE_BEST)) {
        lode_i_set1(state, STATE_BEST, off);
        lode_i_set1(state, STATE_SINCE, 0);
        return off <= 0;
    }
    if (!(off < BEGUN))
        return false;
    lode_i_set1(state, STATE_SINCE, lode_i_get1(state, STATE_SINCE) + 1);
    if (lode_i_get1(state, STATE_SINCE) < (step < first ? STILL : first_time))
        return false;
    lode_i_set1(state, STATE_STEP, step / 2);
    lode_i_set1(state, STATE_SINCE, 0);
    return step / 2 < LEAST * first;
}

lode_status lode_i_sense_descend(lode_ctx *ctx, lode_i_sense_fit *f)
{
    lode_status st = LODE_OK;
    lode_array state = { 0 }, made = { 0 };
    const lode_sense_opts *o = f->o;
    const bool sign = f->d->misfit.sign, adapt = !sign && !o->step.given,
               hold = f->d->at[1].shape[0] > 0;
    const double unit = lode_i_sense_unit(f->d);
    double size = 0;
    lode_i_iter it = { .op = "sense",
                       .what = sign ? "absolute residual" : "residual",
                       .tol = o->tol,
                       .patience = 2 * plateau(f), /* weak directions take longer */
                       .floor = 8 * lode_i_epsilon(f->map->size.dtype),
                       .max_iter = o->max_iter + 1,
                       .site = "descent",
                       .key = (uint64_t)f->k };
    LODE_TRY(lode_i_sense_start(ctx, f, &size));
    const int64_t numbers = STATE_HELD + (hold ? o->max_iter + 2 : 0);
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &numbers, &state));
    const double first = o->step.given ? o->step.value : 0.25;
    lode_i_set1(&state, STATE_STEP, sign || !(size > 0) ? first : first / size);
    lode_i_set1(&state, STATE_FIRST, lode_i_get1(&state, STATE_STEP));
    lode_i_set1(&state, STATE_BEST, INFINITY);
    it.state[it.n++] = &state, it.state[it.n++] = &f->p.F;
    if (f->p.G.data)
        it.state[it.n++] = &f->p.G;
    LODE_TRY(lode_i_iter_begin(ctx, &it));
    LODE_TRY(lode_i_sense_look(ctx, f->map, f->d, &f->p));
    if (it.i == 0) { /* nothing, from which errors are relative */
        if (hold)
            lode_i_set1(&state, STATE_HELD, 1);
        LODE_TRY(lode_i_iter_step(ctx, &it, f->d->size[0] > 0 ? 1 : 0));
    }
    while (!it.done) {
        if (f->param == LODE_SENSE_ASYM_FAST && !f->broken_balance && near_enough(&it) &&
            !(lode_i_get1(&state, STATE_SWITCHED) > 0)) {
            lode_i_set1(&state, STATE_SWITCHED, (double)(it.i - 1));
            LODE_TRY(balance(ctx, &f->p));
            LODE_TRY(lode_i_sense_look(ctx, f->map, f->d, &f->p));
        }
        double off = 1;
        if (sign && o->decay.given) {
            off = pow(o->decay.value, (double)(it.i - 1));
        } else if (sign) {
            LODE_TRY(lode_i_sense_deviation(ctx, f->d, &f->p.r, &off));
            it.settled = still(&state, off, plateau(f) / 2);
            if (it.settled)
                break;
        }
        double eta = lode_i_get1(&state, STATE_STEP) * unit * off;
        LODE_TRY(advance(ctx, f, adapt, &eta));
        f->step = eta / unit;
        if (adapt)
            lode_i_set1(&state, STATE_STEP, eta / unit);
        if (hold)
            lode_i_set1(&state, STATE_HELD + it.i, f->p.held);
        LODE_TRY(lode_i_iter_step(ctx, &it, f->p.fitted));
    }
    f->switched = lode_i_get1(&state, STATE_SWITCHED);
    if (hold) {
        LODE_TRY(lode_array_slice(ctx, &state, 0, STATE_HELD, STATE_HELD + it.i, 1, &made));
        LODE_TRY(lode_array_cast(ctx, &made, LODE_F64, &f->held_trace));
    }
    LODE_TRY(lode_i_iter_end(ctx, &it, &f->trace));
done:
    lode_i_iter_free(&it);
    LODE_FREE(&state, &made);
    return st;
}
