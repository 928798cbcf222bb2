/* The choice of bases: each mode takes cosines, wavelets or a learned basis, whichever makes the
 * whole code shorter. Cosines, with wavelets where samples promise something of them, and learned
 * bases are tried, then one mode after the other is turned. */
#include <math.h>
#include <string.h>

#include "array/box.h"
#include "linop/tucker.h"
#include "ops/compress/compress.h"

/* A basis change must pay at least this. */
#define PAYS 0.995
/* Of a core, what is looked at alone. */
#define FEW 0.25
/* Modes are turned only where the pure choices are within this factor of each other. */
#define CLOSE 4.0
enum { TURNED = 1 << 22 }; /* and where it is cheap */

void choice_free(choice *c)
{
    for (int k = 0; k < LODE_MAX_NDIM; k++)
        basis_free(&c->b[k]);
    lode_i_free(c->store);
    LODE_FREE(&c->core);
    *c = (choice){ 0 };
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
    const int64_t n = m->w->shape[k];
    basis made = { .kind = kind, .length = n };
    if (kind == BASIS_LEARNED) {
        made.matrix = lode_array_ref(&m->U[k]);
        made.columns = made.matrix.shape[1];
    } else {
        LODE_FORWARD(basis_given(ctx, kind, m->w->dtype, n, n, &made));
    }
    basis_free(b);
    *b = made;
    return LODE_OK;
}

static lode_status slice_norms(lode_ctx *ctx, choice *c)
{
    lode_status st = LODE_OK;
    const int d = c->core.ndim;
    int64_t length = 0;
    for (int k = 0; k < d; k++)
        length += c->core.shape[k];
    LODE_TRY(LODE_NEW(ctx, lode_i_max(length, 1), &c->store));
    for (int k = 0; k < d; k++)
        c->energy[k] = k ? c->energy[k - 1] + c->core.shape[k - 1] : c->store;
    LODE_TRY(lode_i_slice_energies(ctx, &c->core, NULL, NULL, c->energy));
    for (int64_t i = 0; i < length; i++)
        c->store[i] = sqrt(c->store[i]);
done:
    return st;
}

/* The step at which coefficients and learned bases together come to the error: a few columns of
 * long modes bring in more than a small core does. */
static lode_status joint_step(lode_ctx *ctx, choice *c, double sumsq, bool compared,
                              lode_quantizer *z)
{
    double own = 0;
    LODE_FORWARD(compress_step_of(ctx, c, sumsq, z, &own, compared ? &c->bits : NULL));
    c->z = *z, c->own = own;
    for (int i = 0;; i++) {
        double noise = 0;
        for (int k = 0; k < c->core.ndim; k++)
            if (c->b[k].kind == BASIS_LEARNED && c->b[k].matrix.shape[1] < c->b[k].matrix.shape[0])
                LODE_FORWARD(basis_noise(ctx, &c->b[k].matrix, c->energy[k], z->step, &noise));
        c->step = z->step;
        if (own + noise <= 1.02 * sumsq || noise == 0 || i == 8) {
            c->outside += noise;
            return LODE_OK;
        }
        /* both fall about with its square */
        z->step *= fmax(0.1, sqrt(0.98 * sumsq / (own + noise)));
        LODE_FORWARD(lode_i_quantizer_fit(ctx, &c->core, z, &own, NULL));
    }
}

/* The part of the core that can be other than 0 at its step, as the norms of slices tell; left empty
 * where that is most of it. */
static lode_status leading_part(lode_ctx *ctx, const choice *c, lode_array *part)
{
    lode_status st = LODE_OK;
    lode_array view = lode_array_ref(&c->core), next = { 0 };
    double share = 1;
    for (int k = 0; k < c->core.ndim; k++) {
        int64_t end = 1;
        for (int64_t j = 1; j < c->core.shape[k]; j++)
            if (c->energy[k][j] > (1 - 1e-6) * COEFFICIENT_ZONE * c->step)
                end = j + 1;
        end = c->b[k].kind == BASIS_NONE ? c->core.shape[k] : lode_i_min(end, c->core.shape[k]);
        LODE_TRY(lode_array_slice(ctx, &view, k, 0, end, 1, &next));
        lode_array_swap(&view, &next);
        lode_array_free(&next);
        share *= (double)end / (double)lode_i_max(c->core.shape[k], 1);
    }
    if (share < FEW)
        LODE_TRY(lode_i_as(ctx, &view, view.dtype, part));
done:
    LODE_FREE(&view, &next);
    return st;
}

/* Bytes that the choice would take, about. A large core is used up, unless most of it is zero: it is
 * made again where the choice wins. */
static lode_status size_up(lode_ctx *ctx, const menu *m, choice *c)
{
    bool over = lode_array_size(&c->core) >= LARGE;
    lode_status st = LODE_OK;
    lode_array q = { 0 }, part = { 0 };
    const lode_quantizer z = { .step = c->step, .zone = COEFFICIENT_ZONE };
    int64_t box[LODE_MAX_NDIM];
    if (over && c->store)
        LODE_TRY(leading_part(ctx, c, &part));
    const bool leads = part.data != NULL;
    over = over && !leads;
    LODE_TRY(over ? lode_i_quantize_over(ctx, &c->core, &z, &q)
                  : lode_i_quantize(ctx, leads ? &part : &c->core, &z, &q));
    lode_array_free(&part);
    if (over)
        lode_array_free(&c->core);
    lode_i_symbols_box(&q, box);
    LODE_TRY(compress_symbols_estimate(ctx, m->t->o, &q, &c->bytes));
    for (int k = 0; k < m->w->ndim; k++)
        if (c->b[k].kind == BASIS_LEARNED && box[k] > 0)
            LODE_TRY(basis_price(ctx, &c->b[k].matrix, c->energy[k], box[k], c->step, &c->bytes));
done:
    LODE_FREE(&q, &part);
    return st;
}

static lode_status evaluate(lode_ctx *ctx, const menu *m, const basis_kind *kind, bool sized,
                            choice *c)
{
    lode_status st = LODE_OK;
    choice made = { 0 };
    lode_quantizer z;
    int learned = 0;
    for (int k = 0; k < m->w->ndim; k++) {
        LODE_TRY(basis_of(ctx, m, k, kind[k], &made.b[k]));
        learned += kind[k] == BASIS_LEARNED;
    }
    made.floor = made.outside = m->learnable ? m->outside * learned / m->learnable : 0;
    LODE_TRY(basis_multiply(ctx, made.b, true, m->w, &made.core));
    LODE_TRY(slice_norms(ctx, &made));
    LODE_TRY(joint_step(ctx, &made, fmax(m->sumsq - made.outside, 1e-6 * m->sumsq),
                        m->t->o->effort > EFFORT_COSINES, &z));
    if (sized)
        LODE_TRY(size_up(ctx, m, &made));
    choice_free(c);
    *c = made;
    made = (choice){ 0 };
done:
    choice_free(&made);
    return st;
}

void compress_cosines(const frame *f, basis_kind *kind)
{
    for (int k = 0; k < f->modes; k++)
        kind[k] = f->place[k] || f->mode[k] > BASIS_LONGEST ? BASIS_NONE : BASIS_DCT;
}

lode_status compress_price(lode_ctx *ctx, const block_task *t, const lode_array *w,
                           const basis_kind *kind, double sumsq, double *bytes)
{
    lode_status st = LODE_OK;
    const menu m = { .t = t, .w = w, .sumsq = sumsq };
    choice c = { 0 };
    LODE_TRY(evaluate(ctx, &m, kind, true, &c));
    *bytes = c.bytes;
done:
    choice_free(&c);
    return st;
}

lode_status compress_size(lode_ctx *ctx, const block_task *t, const lode_array *w, choice *c)
{
    const menu m = { .t = t, .w = w };
    return c->bytes > 0 ? LODE_OK : size_up(ctx, &m, c);
}

/* Ranks where the spectra meet a noise floor as high as the error asked: beyond them lies nothing
 * but noise, and the error that is left over can be met by a fine step on what lies before. False
 * where there is no such knee. */
static lode_status find_knee(lode_ctx *ctx, const menu *m, const lode_array *core,
                             lode_sthosvd_opts *o, bool *found)
{
    lode_status st = LODE_OK;
    choice c = { .core = lode_array_ref(core) };
    double small = 1, large = 1, sum = 0;
    LODE_TRY(slice_norms(ctx, &c));
    for (int k = 0; k < core->ndim; k++) {
        const double n = (double)m->w->shape[k], floor = 3 * m->sumsq / n;
        int64_t r = 0;
        for (int64_t j = 0; j < core->shape[k]; j++)
            r += c.energy[k][j] * c.energy[k][j] > floor;
        o->rank[k] = lode_i_max(r, 1);
        small *= (double)o->rank[k];
        large *= (double)core->shape[k];
        sum += n * (double)o->rank[k];
    }
    o->ranks = core->ndim;
    *found = small + sum < 0.1 * large;
done:
    choice_free(&c);
    return st;
}

static void ranks_of(const menu *m, lode_sthosvd_opts *o)
{
    const lode_rank_spec *r = &m->t->goal.rank;
    o->ranks = m->w->ndim;
    for (int k = 0; k < m->w->ndim; k++)
        o->rank[k] = lode_i_min(r->value[r->count == 1 ? 0 : m->t->f.axis[k]], m->w->shape[k]);
}

/* Learned bases for all modes; and in `knee`, if there is one, those of its ranks. In modes longer
 * than all others together bases would only take up the data, so those are left out. */
static lode_status learn(lode_ctx *ctx, menu *m, menu *knee)
{
    lode_status st = LODE_OK;
    lode_array core = { 0 };
    lode_sthosvd_info info;
    const goal *g = &m->t->goal;
    const lode_stats *x = &m->t->stats;
    lode_sthosvd_opts o = { .op = "compress", .name = "X", .tol = 1e-4, .params = g->params };
    const bool given = g->rank.count > 0 || g->params > 0;
    const double size = (double)lode_array_size(m->w);
    bool bent = false;

    if (g->rank.count > 0)
        ranks_of(m, &o);
    if (!given)
        o.hosvd = true, o.unit = LODE_UNIT_ONE, o.error = 0.5 * sqrt(m->sumsq);
    o.single = x->sumsq > 1e-30 && x->maxabs < 1e15; /* squares of f32 keep within its range */
    LODE_TRY(lode_i_sthosvd(ctx, lode_from_array(m->w), &o, &core, m->U, &info));
    st = LODE_OK; /* a small miss of the generous core is made up by the step */
    m->outside = pow(info.error - info.rounding, 2); /* what comes back is measured in the end */
    for (int k = 0; k < m->w->ndim; k++) {
        const double n = (double)m->w->shape[k];
        if (!given && n * n > size)
            lode_array_free(&m->U[k]);
        m->learnable += m->U[k].data != NULL;
    }
    if (given || m->learnable < m->w->ndim)
        goto done;
    o = (lode_sthosvd_opts){ .op = "compress", .name = "X", .single = o.single };
    LODE_TRY(find_knee(ctx, m, &core, &o, &bent));
    if (!bent)
        goto done;
    LODE_TRY(lode_i_sthosvd(ctx, lode_from_array(m->w), &o, &core, knee->U, &info));
    st = LODE_OK;
    knee->outside = pow(info.error - info.rounding, 2);
    if (knee->outside < (1 - 1e-5) * m->sumsq)
        knee->learnable = m->w->ndim;
done:
    LODE_FREE(&core);
    return st;
}

/* The same for some modes alone, each from its Gram matrix. */
static lode_status learn_some(lode_ctx *ctx, menu *m, const bool *worth)
{
    lode_status st = LODE_OK;
    lode_array G = { 0 }, part = { 0 };
    lode_i_basis b = { 0 };
    const int d = m->w->ndim;
    for (int k = 0; k < d; k++) {
        if (!worth[k])
            continue;
        LODE_TRY(lode_i_mode_gram(ctx, m->w, k, true, &G));
        LODE_TRY(lode_i_basis_gram(ctx, &G, &b));
        const int64_t r = lode_i_basis_rank(&b, m->sumsq / (16 * d));
        part = lode_i_cols(&b.U, 0, r);
        LODE_TRY(lode_array_cast(ctx, &part, m->w->dtype, &m->U[k]));
        LODE_FREE(&part);
        m->outside += lode_i_basis_tail(&b, r);
        m->learnable++;
    }
done:
    LODE_FREE(&G, &part);
    lode_i_basis_free(&b);
    return st;
}

static void swap_choices(choice *a, choice *b)
{
    const choice swap = *b;
    *b = *a;
    *a = swap;
}

/* The shorter one to `best`. */
static bool prefer(choice *other, choice *best, double share)
{
    if (!(other->bytes < share * best->bytes))
        return false;
    swap_choices(other, best);
    return true;
}

/* Wavelets where samples promise that, if all of it then is shorter. */
static lode_status try_wavelets(lode_ctx *ctx, const menu *m, basis_kind *plain, choice *cosines)
{
    lode_status st = LODE_OK;
    choice other = { 0 };
    basis_kind kind[LODE_MAX_NDIM];
    const size_t size = (size_t)m->w->ndim * sizeof *kind;
    memcpy(kind, plain, size);
    LODE_TRY(compress_given(ctx, m->t, m->w, cosines->step, kind));
    if (memcmp(kind, plain, size) == 0)
        goto done;
    LODE_TRY(size_up(ctx, m, cosines));
    LODE_TRY(evaluate(ctx, m, kind, true, &other));
    if (prefer(&other, cosines, PAYS))
        memcpy(plain, kind, size);
done:
    choice_free(&other);
    return st;
}

lode_status compress_choose(lode_ctx *ctx, const block_task *t, const lode_array *w, double sumsq,
                            choice *c)
{
    lode_status st = LODE_OK;
    menu m = { .t = t, .w = w, .sumsq = sumsq }, knee = m;
    choice other = { 0 };
    basis_kind plain[LODE_MAX_NDIM], learned[LODE_MAX_NDIM], best[LODE_MAX_NDIM];
    promises worth = { .all = true };
    const int d = w->ndim;
    const bool ranks = t->goal.rank.count > 0 || t->goal.params > 0;
    const bool quick = (t->o->effort <= EFFORT_COSINES || t->f.folds > FOLDS_LONG) &&
                       t->o->method == LODE_COMPRESS_AUTO;
    const lode_compress_method method = ranks   ? LODE_COMPRESS_TUCKER
                                        : quick ? LODE_COMPRESS_DCT
                                                : t->o->method;
    const bool learns = method != LODE_COMPRESS_DCT && method != LODE_COMPRESS_WAVELET;

    compress_cosines(&t->f, plain);
    for (int k = 0; k < d && method == LODE_COMPRESS_WAVELET; k++)
        plain[k] = plain[k] == BASIS_DCT ? BASIS_WAVELETS3 : plain[k];
    if (method == LODE_COMPRESS_AUTO || method == LODE_COMPRESS_WAVELET) {
        LODE_TRY(evaluate(ctx, &m, plain, false, c));
        if (t->o->effort >= EFFORT_TURNS)
            LODE_TRY(try_wavelets(ctx, &m, plain, c));
    }
    if (method == LODE_COMPRESS_AUTO) {
        LODE_TRY(compress_promises(ctx, t, w, sumsq, c, &worth));
        if (!worth.any)
            goto done;
        if (!(c->bytes > 0))
            LODE_TRY(size_up(ctx, &m, c));
    }
    if (learns)
        LODE_TRY(worth.all ? learn(ctx, &m, &knee) : learn_some(ctx, &m, worth.mode));
    if (ranks) /* the ranks decide the error; coding may add a little to it */
        m.sumsq = isfinite(sumsq) && sumsq > 1.05 * m.outside
                      ? sumsq
                      : 1.05 * m.outside + 1e-12 * t->stats.sumsq;
    for (int k = 0; k < d; k++) {
        const bool last = k == d - 1, can = m.U[k].data != NULL;
        learned[k] = can ? BASIS_LEARNED : plain[k];
        if (method == LODE_COMPRESS_SVD)
            learned[k] = last && can ? BASIS_LEARNED : BASIS_NONE;
    }
    if (!m.learnable) {
        if (!c->store)
            LODE_TRY(evaluate(ctx, &m, plain, false, c));
        goto done;
    }
    LODE_TRY(evaluate(ctx, &m, learned, true, &other));
    const bool all = t->o->effort >= EFFORT_ALL;
    const bool close = all || (other.bytes < CLOSE * c->bytes && c->bytes < CLOSE * other.bytes &&
                               t->o->effort >= EFFORT_TURNS);
    const bool cheap = all || lode_array_size(w) <= TURNED;
    const bool won = !c->store || other.bytes < c->bytes;
    if (won)
        swap_choices(&other, c);
    if (knee.learnable && method != LODE_COMPRESS_SVD) {
        LODE_TRY(evaluate(ctx, &knee, learned, true, &other));
        prefer(&other, c, 1);
    }
    if (method != LODE_COMPRESS_AUTO)
        goto done;
    memcpy(best, won ? learned : plain, sizeof best);
    /* a small core means products that shrink at once */
    for (int k = 0;
         k < d && close &&
         (cheap || (c->core.data && 16 * lode_array_size(&c->core) < lode_array_size(w)));
         k++) {
        if (!m.U[k].data)
            continue;
        best[k] = best[k] == BASIS_LEARNED ? plain[k] : BASIS_LEARNED;
        LODE_TRY(evaluate(ctx, &m, best, true, &other));
        if (!prefer(&other, c, all ? 1 : PAYS))
            best[k] = best[k] == BASIS_LEARNED ? plain[k] : BASIS_LEARNED;
    }
done:
    if (st == LODE_OK && !c->core.data)
        st = basis_multiply(ctx, c->b, true, w, &c->core);
    for (int k = 0; k < LODE_MAX_NDIM; k++)
        LODE_FREE(&m.U[k], &knee.U[k]);
    choice_free(&other);
    return st;
}
