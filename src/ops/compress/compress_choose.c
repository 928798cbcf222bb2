/* The choice of bases: each mode takes cosines or a learned basis, whichever makes the whole code shorter. Both
 * pure choices are tried, then one mode after the other is turned. */
#include <math.h>
#include <string.h>

#include "array/box.h"
#include "ops/compress/compress.h"

/* Reconstruction at centroids shifts the best dead zone only a little with the density of nonzeros. */
#define ZONE 0.6
/* A basis change must pay at least this. */
#define PAYS 0.995
/* Modes are turned only where the pure choices are within this factor of each other. */
#define CLOSE 4.0

void choice_free(choice *c)
{
    for (int k = 0; k < LODE_MAX_NDIM; k++)
        basis_free(&c->b[k]);
    LODE_FREE(&c->core);
    *c = (choice){ 0 };
}

lode_status compress_step(lode_ctx *ctx, const lode_array *core, double sumsq, lode_quantizer *z, double *bits)
{
    lode_status st = LODE_OK;
    double norm, error = 0, low = 0, high = 0, low_error = 0, high_error = 0;
    const double n = (double)lode_array_size(core);
    lode_stats s;

    LODE_TRY(lode_i_stats(ctx, core, &s));
    norm = sqrt(s.sumsq);
    *z = (lode_quantizer){ .step = 4 * s.maxabs, .zone = ZONE };
    if (!(norm > 0) || sumsq >= norm * norm) { /* nothing needs coding */
        z->step = norm > 0 ? z->step : 1;
        LODE_TRY(lode_i_quantizer_fit(ctx, core, z, &error, bits));
        goto done;
    }
    /* Below this, symbols would pass 2^30: what can be reached is reached. */
    const double least = s.maxabs * 0x1p-29;
    double step = fmax(sqrt(12 * sumsq / n), least);
    for (int i = 0; i < 24; i++) {
        z->step = step;
        LODE_TRY(lode_i_quantizer_fit(ctx, core, z, &error, bits));
        LODE_TRY(lode_i_tick(ctx, i, 24));
        if (error <= sumsq && (error >= 0.985 * sumsq || step >= 4 * s.maxabs))
            break;
        if (error > sumsq)
            high = step, high_error = error;
        else
            low = step, low_error = error;
        if (error > sumsq && step <= least)
            break;
        if (low == 0) {
            step = fmax(least, step * fmax(0.1, 0.97 * sqrt(sumsq / error)));
        } else if (high == 0) {
            step *= fmin(8, 1.02 * sqrt(0.992 * sumsq / error));
        } else { /* regula falsi in logarithms, kept inside; towards the end plain halves */
            double share = log(0.992 * sumsq / low_error) / log(high_error / low_error);
            share = i > 12 || !(share > 0.05 && share < 0.95) ? 0.5 : share;
            step = low * pow(high / low, share);
            if (high / low < 1 + 1e-6) {
                z->step = low;
                LODE_TRY(lode_i_quantizer_fit(ctx, core, z, &error, bits));
                break;
            }
        }
    }
    if (error > sumsq && low > 0) {
        z->step = low;
        LODE_TRY(lode_i_quantizer_fit(ctx, core, z, &error, bits));
    }
done:
    return st;
}

/* What may be chosen for a block. */
typedef struct menu {
    const block_task *t;
    const lode_array *w;
    double sumsq;
    lode_array U[LODE_MAX_NDIM]; /* learned; empty: none */
    double outside;              /* energy they leave out together */
    int learnable;
} menu;

static lode_status basis_of(lode_ctx *ctx, const menu *m, int k, basis_kind kind, basis *b)
{
    basis made = { .kind = kind, .columns = m->w->shape[k] };
    if (kind == BASIS_LEARNED) {
        made.matrix = lode_array_ref(&m->U[k]);
        made.columns = made.matrix.shape[1];
    }
    if (kind == BASIS_DCT)
        LODE_FORWARD(basis_dct(ctx, m->w->dtype, made.columns, made.columns, &made.matrix));
    basis_free(b);
    *b = made;
    return LODE_OK;
}

/* Bytes that the learned bases take at this step, were they cut to the box of nonzero symbols. */
static lode_status price_bases(lode_ctx *ctx, const choice *c, const int64_t *box, double *bytes)
{
    lode_status st = LODE_OK;
    const int d = c->core.ndim;
    double *store = NULL, *energy[LODE_MAX_NDIM];
    int64_t length = 0;
    basis b = { 0 };
    for (int k = 0; k < d; k++)
        length += c->core.shape[k];
    LODE_TRY(LODE_NEW(ctx, lode_i_max(length, 1), &store));
    for (int k = 0; k < d; k++)
        energy[k] = k ? energy[k - 1] + c->core.shape[k - 1] : store;
    LODE_TRY(lode_i_slice_energies(ctx, &c->core, NULL, NULL, energy));
    for (int k = 0; k < d; k++) {
        if (c->b[k].kind != BASIS_LEARNED || box[k] == 0)
            continue;
        for (int64_t j = 0; j < box[k]; j++)
            energy[k][j] = sqrt(energy[k][j]);
        LODE_TRY(basis_learned(ctx, &c->b[k].matrix, energy[k], box[k], c->step, &b));
        *bytes += (double)b.coded.shape[0];
    }
done:
    lode_i_free(store);
    basis_free(&b);
    return st;
}

static lode_status evaluate(lode_ctx *ctx, const menu *m, const basis_kind *kind, choice *c)
{
    lode_status st = LODE_OK;
    choice made = { 0 };
    lode_array q = { 0 };
    lode_quantizer z;
    int64_t box[LODE_MAX_NDIM];
    int learned = 0;
    for (int k = 0; k < m->w->ndim; k++) {
        LODE_TRY(basis_of(ctx, m, k, kind[k], &made.b[k]));
        learned += kind[k] == BASIS_LEARNED;
    }
    made.outside = m->learnable ? m->outside * learned / m->learnable : 0;
    LODE_TRY(basis_multiply(ctx, made.b, true, m->w, &made.core));
    LODE_TRY(compress_step(ctx, &made.core, fmax(m->sumsq - made.outside, 0.1 * m->sumsq), &z, NULL));
    made.step = z.step;
    LODE_TRY(lode_i_quantize(ctx, &made.core, &z, &q));
    lode_i_symbols_box(&q, box);
    LODE_TRY(lode_i_encode_estimate(ctx, &q, &made.bytes));
    LODE_TRY(price_bases(ctx, &made, box, &made.bytes));
    choice_free(c);
    *c = made;
    made = (choice){ 0 };
done:
    choice_free(&made);
    LODE_FREE(&q);
    return st;
}

/* Learned bases for all modes. In modes longer than all others together they would only move the data into the
 * basis, so those are left out. */
static lode_status learn(lode_ctx *ctx, menu *m)
{
    lode_status st = LODE_OK;
    lode_array core = { 0 };
    lode_sthosvd_info info;
    const goal *g = &m->t->goal;
    lode_sthosvd_opts o = { .op = "compress", .name = "X", .tol = 1e-4, .params = g->params };
    const bool given = g->rank.count > 0 || g->params > 0;
    if (g->rank.count == 1) {
        o.ranks = m->w->ndim;
        for (int k = 0; k < m->w->ndim; k++)
            o.rank[k] = lode_i_min(g->rank.value[0], m->w->shape[k]);
    } else if (g->rank.count > 1) {
        o.ranks = m->w->ndim;
        for (int k = 0; k < m->w->ndim; k++)
            o.rank[k] = lode_i_min(g->rank.value[m->t->f.axis[k]], m->w->shape[k]);
    }
    if (!given)
        o.hosvd = true, o.unit = LODE_STHOSVD_ONE, o.error = 0.5 * sqrt(m->sumsq);
    LODE_TRY(lode_i_sthosvd(ctx, lode_from_array(m->w), &o, &core, m->U, &info));
    if (st > 0)
        st = LODE_OK; /* a small miss of the generous core is made up by the step */
    m->outside = info.error * info.error;
    const double size = (double)lode_array_size(m->w);
    for (int k = 0; k < m->w->ndim; k++) {
        const double n = (double)m->w->shape[k];
        if (!given && n * n > size)
            lode_array_free(&m->U[k]);
        m->learnable += m->U[k].data != NULL;
    }
done:
    LODE_FREE(&core);
    return st;
}

lode_status compress_choose(lode_ctx *ctx, const block_task *t, const lode_array *w, double sumsq, choice *c)
{
    lode_status st = LODE_OK;
    menu m = { .t = t, .w = w, .sumsq = sumsq };
    choice other = { 0 };
    basis_kind cosines[LODE_MAX_NDIM], learned[LODE_MAX_NDIM], best[LODE_MAX_NDIM];
    const int d = w->ndim;
    const bool ranks = t->goal.rank.count > 0 || t->goal.params > 0;
    const lode_compress_method method = ranks ? LODE_COMPRESS_TUCKER : t->o->method;

    if (method != LODE_COMPRESS_DCT)
        LODE_TRY(learn(ctx, &m));
    if (ranks) /* the ranks decide the error; coding may add a little to it */
        m.sumsq = isfinite(sumsq) && sumsq > 1.05 * m.outside ? sumsq : 1.05 * m.outside + 1e-12 * t->norm2;
    for (int k = 0; k < d; k++) {
        const bool last = k == d - 1, can = m.U[k].data != NULL;
        cosines[k] = w->shape[k] <= BASIS_LONGEST ? BASIS_DCT : BASIS_NONE;
        learned[k] = can ? BASIS_LEARNED : cosines[k];
        if (method == LODE_COMPRESS_SVD)
            learned[k] = last && can ? BASIS_LEARNED : BASIS_NONE;
    }
    if (method == LODE_COMPRESS_DCT || !m.learnable) {
        LODE_TRY(evaluate(ctx, &m, cosines, c));
        goto done;
    }
    LODE_TRY(evaluate(ctx, &m, learned, c));
    if (method != LODE_COMPRESS_AUTO)
        goto done;
    LODE_TRY(evaluate(ctx, &m, cosines, &other));
    const bool close = other.bytes < CLOSE * c->bytes && c->bytes < CLOSE * other.bytes;
    memcpy(best, other.bytes < c->bytes ? cosines : learned, sizeof best);
    if (other.bytes < c->bytes) {
        const choice swap = *c;
        *c = other;
        other = swap;
    }
    for (int k = 0; k < d && close; k++) {
        if (!m.U[k].data)
            continue;
        best[k] = best[k] == BASIS_LEARNED ? cosines[k] : BASIS_LEARNED;
        LODE_TRY(evaluate(ctx, &m, best, &other));
        if (other.bytes < PAYS * c->bytes) {
            const choice swap = *c;
            *c = other;
            other = swap;
        } else {
            best[k] = best[k] == BASIS_LEARNED ? cosines[k] : BASIS_LEARNED;
        }
    }
done:
    c->outside = m.outside;
    for (int k = 0; k < LODE_MAX_NDIM; k++)
        lode_array_free(&m.U[k]);
    choice_free(&other);
    return st;
}
