/* Iterations of rescal. Nonnegative: multiplicative updates of A and of the cores in turn. Unconstrained:
 * least squares for A from both of its places at once, then for the cores. A step that would raise the
 * objective is shortened until it does not. */
#include <math.h>

#include "linalg/slices.h"
#include "ops/tensor/rescal.h"

enum { PATIENCE = 2, START_STEPS = 10, CORE_STEPS = 4, SUBSPACE_STEPS = 8, NEAR = 100000 };
enum { SITE_START = 1 << 20, SITE_CORES = 1 << 21 };

void lode_i_rescal_fit_free(rescal_fit *f)
{
    LODE_FREE(&f->A, &f->R, &f->errors);
    *f = (rescal_fit){ 0 };
}

/* ---- where it starts ---- */

lode_status lode_i_rescal_random_cores(lode_ctx *ctx, const lode_i_relations *x, int64_t k,
                                       uint64_t start, lode_array *R)
{
    lode_status st = LODE_OK;
    lode_array flat = { 0 };
    const lode_stream s = lode_i_stream(ctx, "rescal", SITE_CORES + start);
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 3, (const int64_t[]){ x->m, k, k }, R));
    LODE_TRY(lode_i_rescal_flat(ctx, R, &flat));
    for (int64_t i = 0; i < x->m * k; i++)
        for (int64_t c = 0; c < k; c++)
            lode_i_set2(&flat, i, c, 0.1 + lode_i_random_uniform(s, (uint64_t)(i * k + c)));
done:
    LODE_FREE(&flat);
    return st;
}

static lode_status random_columns(lode_ctx *ctx, const lode_i_relations *x, int64_t k,
                                  uint64_t start, bool nonneg, lode_array *A)
{
    const lode_stream s = lode_i_stream(ctx, "rescal", SITE_START + start);
    if (!nonneg)
        return lode_i_randn(ctx, s, x->dtype, x->n, k, A);
    LODE_FORWARD(lode_i_matrix_new(ctx, x->dtype, x->n, k, A));
    for (int64_t i = 0; i < x->n; i++)
        for (int64_t c = 0; c < k; c++)
            lode_i_set2(A, i, c, 0.01 + lode_i_random_uniform(s, (uint64_t)(i * 65536 + c)));
    return LODE_OK;
}

/* Q becomes the sum over relations of (X_k + X_k') Q, orthonormal: a pass whose cores are I. */
static lode_status subspace_step(lode_ctx *ctx, const lode_i_relations *x, lode_array *Q)
{
    lode_status st = LODE_OK;
    lode_i_relations_pass p = { .rule = LODE_I_CORES_KEEP, .sums = true };
    lode_i_relations all = *x; /* borrowed: unknown values count as 0 here */
    lode_array I = { 0 }, flat = { 0 };
    const int64_t k = Q->shape[1];
    all.known = (lode_array){ 0 };
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 3, (const int64_t[]){ x->m, k, k }, &I));
    LODE_TRY(lode_i_rescal_flat(ctx, &I, &flat));
    for (int64_t i = 0; i < x->m * k; i++)
        lode_i_set2(&flat, i, i % k, 1);
    LODE_TRY(lode_i_relations_sweep(ctx, &all, Q, &I, &p));
    LODE_TRY(lode_i_orth(ctx, &p.above, NULL));
    lode_array_swap(Q, &p.above);
done:
    lode_i_relations_pass_free(&p);
    LODE_FREE(&I, &flat);
    return st;
}

/* The larger sign of each column, and a little everywhere: what is 0 stays 0 under multiplication. */
static void make_positive(lode_array *A)
{
    const double level = 0.01 / sqrt((double)A->shape[0]);
    for (int64_t c = 0; c < A->shape[1]; c++) {
        double plus = 0, minus = 0;
        for (int64_t i = 0; i < A->shape[0]; i++) {
            const double v = lode_i_get2(A, i, c);
            *(v > 0 ? &plus : &minus) += v * v;
        }
        for (int64_t i = 0; i < A->shape[0]; i++) {
            const double v = (plus >= minus ? 1 : -1) * lode_i_get2(A, i, c);
            lode_i_set2(A, i, c, fmax(v, level));
        }
    }
}

static lode_status begin(lode_ctx *ctx, const lode_rescal_opts *o, const rescal_data *d,
                         const lode_i_relations *x, int64_t k, uint64_t start, rescal_fit *f)
{
    lode_status st = LODE_OK;
    const bool spectral = o->init == LODE_RESCAL_SVD ||
                          (o->init == LODE_RESCAL_START_AUTO && !d->nonneg && start == 0);
    LODE_TRY(random_columns(ctx, x, k, start, d->nonneg && !spectral, &f->A));
    if (spectral || !d->nonneg)
        LODE_TRY(lode_i_orth(ctx, &f->A, NULL));
    for (int i = 0; i < (spectral ? SUBSPACE_STEPS : 0); i++)
        LODE_TRY(subspace_step(ctx, x, &f->A));
    if (spectral && d->nonneg)
        make_positive(&f->A);
    LODE_TRY(lode_i_rescal_random_cores(ctx, x, k, start, &f->R));
done:
    return st;
}

/* ---- steps ---- */

typedef struct sweeps {
    const lode_rescal_opts *o;
    const rescal_data *d;
    const lode_i_relations *x;
    lode_i_relations_pass now; /* of (A, R): what the next step is made of */
    lode_array A, R, before;   /* before: A one step ago */
    lode_array line;           /* beta, its bound, the objective, direct, error; then the errors */
} sweeps;

static lode_i_core_rule core_rule(const sweeps *s)
{
    return s->d->nonneg ? LODE_I_CORES_MULTIPLY : LODE_I_CORES_SOLVE;
}

static lode_status penalty(lode_ctx *ctx, const sweeps *s, const lode_array *A, double *sum)
{
    lode_inner in;
    *sum = 0;
    if (!(s->o->l2 > 0))
        return LODE_OK;
    LODE_FORWARD(lode_i_inner(ctx, A, NULL, &in));
    *sum = s->o->l2 * in.sumsq;
    return LODE_OK;
}

/* Least squares for A, its other place being as it is; t of the way there, and beta of the last step more. */
static lode_status solve_columns(lode_ctx *ctx, const sweeps *s, double t, double beta,
                                 lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array full = { 0 }, part = { 0 };
    const int64_t k = s->A.shape[1];
    const lode_i_row_rule rule = { .ridge = s->o->l2, .steps = 1 };
    double *G = NULL;
    LODE_TRY(LODE_NEW(ctx, k * k, &G));
    for (int64_t e = 0; e < k * k; e++)
        G[e] = lode_i_get2(&s->now.S, e / k, e % k);
    LODE_TRY(lode_array_cast(ctx, &s->A, s->A.dtype, &full));
    LODE_TRY(lode_i_product_rows(ctx, G, &s->now.above, &rule, &full));
    LODE_TRY(lode_i_extrapolate(ctx, t - 1, false, &s->A, &full, &part));
    LODE_TRY(lode_i_axpy(ctx, beta, &s->A, &part));
    LODE_TRY(lode_i_axpy(ctx, -beta, &s->before, &part));
    lode_array_swap(out, &part);
done:
    lode_i_free(G);
    LODE_FREE(&full, &part);
    return st;
}

typedef struct attempt {
    lode_array A, R;
    lode_i_relations_pass pass;
    double objective; /* with the new cores */
    bool fell;
} attempt;

static void forget(attempt *a)
{
    lode_i_relations_pass_free(&a->pass);
    LODE_FREE(&a->A, &a->R);
}

/* One step of A, the cores after it. Kept where the objective does not rise: of the nonnegative updates
 * neither by A nor by the cores. */
static lode_status try_step(lode_ctx *ctx, const sweeps *s, double t, double beta, attempt *a)
{
    lode_status st = LODE_OK;
    const bool direct = lode_i_get1(&s->line, 3) > 0;
    const double last = lode_i_get1(&s->line, 2), eps = lode_i_epsilon(s->x->dtype);
    double more;
    forget(a);
    LODE_TRY(lode_array_cast(ctx, &s->R, LODE_F64, &a->R));
    if (s->d->nonneg) {
        const lode_i_relations_step step = { .above = &s->now.above,
                                             .below = &s->now.below,
                                             .before = &s->before,
                                             .t = t,
                                             .beta = beta,
                                             .l2 = s->o->l2 };
        LODE_TRY(lode_i_matrix_new(ctx, s->A.dtype, s->A.shape[0], s->A.shape[1], &a->A));
        lode_i_relations_multiply(&step, &s->A, &a->A);
    } else {
        LODE_TRY(solve_columns(ctx, s, t, beta, &a->A));
        if (!(s->o->l2 > 0))
            LODE_TRY(lode_i_rescal_orthonormalize(ctx, &a->A, &a->R));
    }
    a->pass = (lode_i_relations_pass){ .rule = core_rule(s),
                                       .steps = s->o->accelerate ? CORE_STEPS : 1,
                                       .l2 = s->o->l2,
                                       .direct = direct,
                                       .sums = true };
    LODE_TRY(lode_i_relations_sweep(ctx, s->x, &a->A, &a->R, &a->pass));
    LODE_TRY(penalty(ctx, s, &a->A, &more));
    const double before = a->pass.before + more + s->o->l2 * a->pass.size_before;
    a->objective = a->pass.after + more + s->o->l2 * a->pass.size_after;
    const double slack = direct || s->x->known.data ? 4 * eps * last : 0; /* of a residual */
    a->fell = a->objective <= last + slack && (direct || !s->d->nonneg || before <= last + slack);
done:
    return st;
}

static double relative(const sweeps *s, double sumsq)
{
    return s->x->sumsq > 0 ? sqrt(fmax(sumsq, 0) / s->x->sumsq) : 0;
}

/* What a step is made of, from A and R as they are, and by the residual where it is told so. */
static lode_status look_again(lode_ctx *ctx, sweeps *s)
{
    s->now.rule = LODE_I_CORES_KEEP;
    s->now.direct = lode_i_get1(&s->line, 3) > 0;
    return lode_i_relations_sweep(ctx, s->x, &s->A, &s->R, &s->now);
}

static lode_status keep(lode_ctx *ctx, sweeps *s, attempt *a)
{
    lode_array_swap(&s->before, &s->A);
    lode_array_swap(&s->A, &a->A);
    lode_array_swap(&s->R, &a->R);
    const lode_i_relations_pass now = s->now;
    s->now = a->pass, a->pass = now;
    double objective = a->objective;
    if (s->x->X.data && !s->x->known.data && !(lode_i_get1(&s->line, 3) > 0) &&
        s->now.after <= NEAR * lode_i_epsilon(s->x->dtype) * s->x->sumsq) {
        /* near 0 norms cancel: from here on the residual itself */
        objective -= s->now.after;
        lode_i_set1(&s->line, 3, 1);
        LODE_FORWARD(look_again(ctx, s));
        objective += s->now.after;
    }
    lode_i_set1(&s->line, 2, objective);
    lode_i_set1(&s->line, 4, relative(s, s->now.after));
    return LODE_OK;
}

/* Beyond the full step by what the last one did (Ang & Gillis 2019); where that fails, the full step; then
 * half of it, and so on: multiplied or solved for, it points down. */
static lode_status step(lode_ctx *ctx, sweeps *s, bool *stuck)
{
    static const double shrink = 1.5, grow = 1.1, bound_grows = 1.05, most = 3, least = 1e-3;
    lode_status st = LODE_OK;
    attempt a = { 0 };
    double beta = lode_i_get1(&s->line, 0), bound = lode_i_get1(&s->line, 1);
    *stuck = false;
    if (s->o->accelerate && beta > 0) {
        LODE_TRY(try_step(ctx, s, 1, beta, &a));
        if (a.fell)
            beta = fmin(bound, beta * grow), bound = fmin(most, bound * bound_grows);
        else
            bound = beta, beta /= shrink;
        lode_i_set1(&s->line, 0, beta), lode_i_set1(&s->line, 1, bound);
    }
    for (double t = 1; !a.fell && t > least; t /= 2)
        LODE_TRY(try_step(ctx, s, t, 0, &a));
    *stuck = !a.fell;
    if (a.fell)
        LODE_TRY(keep(ctx, s, &a));
done:
    forget(&a);
    return st;
}

/* ---- the iteration ---- */

static lode_status prepare(lode_ctx *ctx, sweeps *s, rescal_fit *f, bool trace)
{
    lode_status st = LODE_OK;
    double more;
    lode_array_swap(&s->A, &f->A);
    lode_array_swap(&s->R, &f->R);
    LODE_TRY(lode_array_cast(ctx, &s->A, s->A.dtype, &s->before));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, (const int64_t[]){ trace ? s->o->max_iter + 7 : 7 },
                              &s->line));
    s->now = (lode_i_relations_pass){
        .rule = core_rule(s), .steps = START_STEPS, .l2 = s->o->l2, .sums = true
    };
    LODE_TRY(lode_i_relations_sweep(ctx, s->x, &s->A, &s->R, &s->now));
    LODE_TRY(penalty(ctx, s, &s->A, &more));
    lode_i_set1(&s->line, 0, 0.5), lode_i_set1(&s->line, 1, 1);
    lode_i_set1(&s->line, 2, s->now.after + more + s->o->l2 * s->now.size_after);
    lode_i_set1(&s->line, 4, relative(s, s->now.after));
    lode_i_set1(&s->line, 5, 1); /* the error of nothing */
    lode_i_set1(&s->line, 6, lode_i_get1(&s->line, 4));
done:
    return st;
}

static lode_status iterate(lode_ctx *ctx, sweeps *s, lode_i_iter *it, bool trace)
{
    lode_status st = LODE_OK;
    bool stuck = false;
    LODE_TRY(lode_i_iter_begin(ctx, it));
    if (it->i > 0) /* what a step is made of is not kept in a checkpoint */
        LODE_TRY(look_again(ctx, s));
    while (!it->done) {
        LODE_TRY(step(ctx, s, &stuck));
        if (stuck) {
            it->done = it->settled = true;
            break;
        }
        if (trace)
            lode_i_set1(&s->line, it->i + 7, lode_i_get1(&s->line, 4));
        LODE_TRY(lode_i_iter_step(ctx, it, relative(s, lode_i_get1(&s->line, 2))));
    }
done:
    return st;
}

lode_status lode_i_rescal_fit_to(lode_ctx *ctx, const lode_rescal_opts *o, const rescal_data *d,
                                 const lode_i_relations *x, int64_t k, uint64_t start,
                                 const char *site, rescal_fit *f)
{
    lode_status st = LODE_OK;
    sweeps s = { .o = o, .d = d, .x = x };
    rescal_fit made = { 0 };
    lode_array errors = { 0 };
    lode_i_iter it = { .op = "rescal",
                       .what = "relative error",
                       .tol = o->tol,
                       .patience = PATIENCE,
                       .floor = !x->X.data ? sqrt(8 * lode_i_epsilon(LODE_F64))
                                           : 4 * lode_i_epsilon(x->dtype),
                       .max_iter = o->max_iter,
                       .n = 4,
                       .state = { &s.A, &s.R, &s.before, &s.line },
                       .site = site,
                       .key = start };
    LODE_TRY(begin(ctx, o, d, x, k, start, &made));
    LODE_TRY(prepare(ctx, &s, &made, site != NULL));
    LODE_TRY(iterate(ctx, &s, &it, site != NULL));
    made.steps = it.i, made.settled = it.settled;
    made.objective = lode_i_get1(&s.line, 2), made.error = lode_i_get1(&s.line, 4);
    if (site) {
        LODE_TRY(lode_array_slice(ctx, &s.line, 0, 5, it.i + 7, 1, &errors));
        LODE_TRY(lode_array_cast(ctx, &errors, LODE_F64, &made.errors));
    }
    lode_array_swap(&made.A, &s.A);
    lode_array_swap(&made.R, &s.R);
    lode_i_rescal_fit_free(f);
    *f = made;
    made = (rescal_fit){ 0 };
done:
    lode_i_iter_free(&it);
    lode_i_relations_pass_free(&s.now);
    LODE_FREE(&s.A, &s.R, &s.before, &s.line, &errors);
    lode_i_rescal_fit_free(&made);
    return st;
}
