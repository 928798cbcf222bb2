/* Message passing of funtucker. Messages of the observations at one index are summed as they are made, so that
 * what is kept of them is a Gaussian factor an index (a site), whose product with the prior the smoother
 * turns into the posterior. */
#include <math.h>

#include "ops/tensor/funtucker.h"

#define SHAPE0 1e-3 /* of the prior of the noise precision, Gamma(shape, rate) */
#define RATE0 1e-3
#define FIRST_REACH 0.7 /* a factor of 2 */
#define LEAST_REACH 0.02
enum { PATIENCE = 2, SETTLE = 100 };

void lode_i_funtucker_free(funtucker_fit *f)
{
    lode_i_multilinear_free(&f->m);
    for (int k = 0; k < FUNTUCKER_MODES; k++)
        LODE_FREE(&f->mode[k].cov, &f->mode[k].precision, &f->mode[k].shift);
    LODE_FREE(&f->core_cov, &f->seconds, &f->firsts, &f->trace);
    *f = (funtucker_fit){ 0 };
}

/* ---- start ---- */

/* Functions to begin with: cosines of 0, 1, 2, .. half periods over the span of the indexes, or some of random
 * frequency and phase. */
static void begin_with(lode_ctx *ctx, const lode_funtucker_opts *o, const lode_array *grid, int k,
                       uint64_t start, lode_array *mean)
{
    const double pi = acos(-1.0);
    const int64_t g = grid->shape[0], r = mean->shape[1];
    const double low = lode_i_get1(grid, 0), span = lode_i_get1(grid, g - 1) - low;
    const bool random = o->init == LODE_FUNTUCKER_RANDOM || start > 0;
    const lode_stream s = lode_i_stream(ctx, "funtucker",
                                        16 + FUNTUCKER_MODES * start + (uint64_t)k);
    for (int64_t c = 0; c < r; c++) {
        const double speed = random ? 2 * pi * lode_i_random_normal(s, 2 * (uint64_t)c)
                                    : pi * (double)c;
        const double phase = random ? 2 * pi * lode_i_random_uniform(s, 2 * (uint64_t)c + 1) : 0;
        for (int64_t i = 0; i < g; i++) {
            const double x = span > 0 ? (lode_i_get1(grid, i) - low) / span : 0;
            lode_i_set2(mean, i, c, cos(speed * x + phase));
        }
    }
}

static lode_status begin(lode_ctx *ctx, const lode_funtucker_opts *o, const funtucker_data *d,
                         const int64_t *rank, uint64_t start, funtucker_fit *f)
{
    lode_status st = LODE_OK;
    f->m.d = d->d;
    f->a = f->b = 1; /* noise as large as the values */
    for (int k = 0; k < d->d; k++) {
        funtucker_mode *y = &f->mode[k];
        const lode_array *grid = &d->s.grid[k];
        const int64_t g = grid->shape[0], r = rank[k];
        const int64_t square[] = { g, r, r };
        y->span = lode_i_get1(grid, g - 1) - lode_i_get1(grid, 0);
        const int32_t n = o->lengthscale.count;
        y->gp = (lode_i_gp){ .kernel = (lode_i_matern)o->kernel,
                             .r = r,
                             .lengthscale = n > 0         ? o->lengthscale.value[n > 1 ? k : 0]
                                            : y->span > 0 ? 0.3 * y->span
                                                          : 1,
                             .amplitude = o->amplitude.given ? o->amplitude.value : 1,
                             .white = lode_i_broken(ctx, "funbat") };
        y->reach[0] = n > 0 || !(y->span > 0) ? 0 : FIRST_REACH;
        y->reach[1] = o->amplitude.given ? 0 : FIRST_REACH;
        f->m.r[k] = r;
        LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, g, r, &f->m.mean[k]));
        LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, g, r * (r + 1) / 2, &f->m.second[k]));
        LODE_TRY(lode_array_zeros(ctx, LODE_F64, 3, square, &y->cov));
        LODE_TRY(lode_array_zeros(ctx, LODE_F64, 3, square, &y->precision));
        LODE_TRY(lode_array_zeros(ctx, LODE_F64, 2, square, &y->shift));
        begin_with(ctx, o, grid, k, start, &f->m.mean[k]);
        lode_i_pack_moments(&f->m.mean[k], &y->cov, &f->m.second[k]);
    }
    LODE_TRY(lode_i_funtucker_sums(ctx, &d->s, f));
    LODE_TRY(lode_i_funtucker_core(ctx, f));
    lode_i_funtucker_noise(&d->s, f);
    LODE_TRY(lode_i_funtucker_core(ctx, f));
done:
    return st;
}

/* ---- core and noise ---- */

lode_status lode_i_funtucker_sums(lode_ctx *ctx, const lode_i_scattered *s, funtucker_fit *f)
{
    LODE_FORWARD(lode_i_scattered_sums(ctx, s, &f->m, &f->seconds, &f->firsts));
    f->visits += s->n;
    return LODE_OK;
}

lode_status lode_i_funtucker_core(lode_ctx *ctx, funtucker_fit *f)
{
    lode_status st = LODE_OK;
    lode_array A = { 0 }, L = { 0 }, I = { 0 }, inverse = { 0 }, w = { 0 };
    const double tau = f->a / f->b;
    LODE_TRY(lode_i_unpack_core(ctx, f->m.d, f->m.r, &f->seconds, tau, &A));
    const int64_t K = A.shape[0];
    LODE_TRY(lode_i_cholesky(ctx, &A, &L, NULL));
    LODE_TRY(lode_i_eye(ctx, LODE_F64, K, &I));
    LODE_TRY(lode_i_solve_lower(ctx, LODE_N, &L, &I, &inverse));
    LODE_TRY(lode_i_gram(ctx, LODE_H, &inverse, &f->core_cov));
    LODE_TRY(lode_i_gemv(ctx, LODE_N, &f->core_cov, &f->firsts, &w));
    LODE_TRY(lode_i_scale(ctx, tau, &w));
    lode_array_swap(&f->m.core, &w);
    f->logdet = 0;
    for (int64_t i = 0; i < K; i++)
        f->logdet -= 2 * log(lode_i_get2(&L, i, i));
    LODE_TRY(lode_i_pack_core(ctx, &f->core_cov, &f->m));
done:
    LODE_FREE(&A, &L, &I, &inverse, &w);
    return st;
}

static double inner(const lode_array *a, const lode_array *b)
{
    double sum = 0;
    for (int64_t i = 0; i < a->shape[0]; i++)
        sum += lode_i_get1(a, i) * lode_i_get1(b, i);
    return sum;
}

/* E |y - f|^2 = |y|^2 - 2 sum y E f + sum E f^2, from the sums of the core. */
void lode_i_funtucker_noise(const lode_i_scattered *s, funtucker_fit *f)
{
    const double left = s->sumsq - 2 * inner(&f->m.core, &f->firsts) +
                        inner(&f->m.packed, &f->seconds);
    f->a = SHAPE0 + 0.5 * (double)s->n;
    f->b = RATE0 + 0.5 * fmax(left, 0);
}

lode_status lode_i_funtucker_settle(lode_ctx *ctx, const lode_i_scattered *s, funtucker_fit *f)
{
    for (int i = 0; i < SETTLE; i++) {
        const double before = f->b / f->a;
        lode_i_funtucker_noise(s, f);
        LODE_FORWARD(lode_i_funtucker_core(ctx, f));
        if (fabs(f->b / f->a - before) <= 1e-14 * before)
            break;
    }
    return LODE_OK;
}

/* ---- evidence ---- */

/* log Gamma(x), x > 0, by Stirling's series from 15 on; C's own writes a global sign. */
static double log_gamma(double x)
{
    double below = 0;
    for (; x < 15; x++)
        below += log(x);
    const double i = 1 / x, ii = i * i;
    return (x - 0.5) * log(x) - x + 0.5 * log(2 * acos(-1.0)) +
           i * (1.0 / 12 - ii * (1.0 / 360 - ii * (1.0 / 1260 - ii * (1.0 / 1680 - ii / 1188)))) -
           below;
}

static double of_noise(double n, double a, double b)
{
    return SHAPE0 * log(RATE0) - log_gamma(SHAPE0) + log_gamma(a) - a * log(b) -
           0.5 * n * log(2 * acos(-1.0));
}

/* Where the noise is the best for all else, its part and the fit together are an integral in closed form;
 * less the divergences of core and functions from their priors. */
double lode_i_funtucker_evidence(const lode_i_scattered *s, const funtucker_fit *f)
{
    const int64_t K = f->m.core.shape[0];
    double trace = 0;
    for (int64_t i = 0; i < K; i++)
        trace += lode_i_get2(&f->core_cov, i, i);
    const double left = s->sumsq - 2 * inner(&f->m.core, &f->firsts) +
                        inner(&f->m.packed, &f->seconds);
    double evidence = of_noise((double)s->n, SHAPE0 + 0.5 * (double)s->n,
                               RATE0 + 0.5 * fmax(left, 0)) -
                      0.5 * (trace + inner(&f->m.core, &f->m.core) - (double)K - f->logdet);
    for (int k = 0; k < f->m.d; k++)
        evidence -= f->mode[k].divergence;
    return evidence;
}

double lode_i_funtucker_nothing(const lode_i_scattered *s)
{
    return of_noise((double)s->n, SHAPE0 + 0.5 * (double)s->n, RATE0 + 0.5 * s->sumsq);
}

/* ---- functions ---- */

static lode_i_gp_sites sites_of(const lode_array *grid, const funtucker_mode *y)
{
    return (lode_i_gp_sites){ grid, &y->precision, &y->shift };
}

lode_status lode_i_funtucker_smooth(lode_ctx *ctx, const lode_array *grid, int k, funtucker_fit *f)
{
    funtucker_mode *y = &f->mode[k];
    lode_i_gp_score score = { 0 };
    const lode_i_gp_sites sites = sites_of(grid, y);
    LODE_FORWARD(lode_i_gp_smooth(ctx, &y->gp, &sites, &f->m.mean[k], &y->cov, &score));
    y->divergence = score.divergence;
    f->visits += score.steps;
    lode_i_pack_moments(&f->m.mean[k], &y->cov, &f->m.second[k]);
    return LODE_OK;
}

typedef struct trial {
    const funtucker_mode *y;
    lode_i_gp_sites sites;
    double factor[3];
    bool amplitude;
    lode_i_gp_score score[3];
} trial;

static lode_i_gp changed(const trial *t, int64_t i)
{
    lode_i_gp g = t->y->gp;
    *(t->amplitude ? &g.amplitude : &g.lengthscale) *= t->factor[i];
    return g;
}

static lode_status try_one(lode_ctx *ctx, int64_t i, void *data)
{
    trial *t = data;
    const lode_i_gp g = changed(t, i);
    return lode_i_gp_evidence(ctx, &g, &t->sites, &t->score[i]);
}

/* With the sites as they are, the evidence of the functions alone says how a hyperparameter changes that of all:
 * one step of a search in its logarithm, that halves where neither side is better. */
static lode_status tune(lode_ctx *ctx, const lode_i_scattered *s, int k, bool amplitude,
                        funtucker_fit *f)
{
    funtucker_mode *y = &f->mode[k];
    double *reach = &y->reach[amplitude];
    if (*reach < LEAST_REACH)
        return LODE_OK;
    trial t = { .y = y,
                .sites = sites_of(&s->grid[k], y),
                .factor = { 1, exp(*reach), exp(-*reach) },
                .amplitude = amplitude };
    LODE_FORWARD(lode_i_parallel(ctx, 3, try_one, &t));
    int best = 0;
    for (int i = 0; i < 3; i++) {
        const lode_i_gp g = changed(&t, i);
        const double size = amplitude ? g.amplitude : g.lengthscale / y->span;
        f->visits += t.score[i].steps;
        if (t.score[i].evidence > t.score[best].evidence && size >= 1e-3 && size <= 1e3)
            best = i;
    }
    if (best == 0)
        *reach *= 0.5;
    y->gp = changed(&t, best);
    return LODE_OK;
}

static lode_status sweep(lode_ctx *ctx, const lode_funtucker_opts *o, const lode_i_scattered *s,
                         int64_t i, funtucker_fit *f)
{
    if (i > 0)
        LODE_FORWARD(lode_i_funtucker_expand(ctx, s, f));
    for (int k = 0; k < s->d; k++) {
        funtucker_mode *y = &f->mode[k];
        LODE_FORWARD(lode_i_scattered_messages(ctx, s, &f->m, k, f->a / f->b, 1 - o->damping,
                                               &y->precision, &y->shift));
        f->visits += s->n;
        LODE_FORWARD(tune(ctx, s, k, y->reach[0] < LEAST_REACH || i % 2 > 0, f));
        LODE_FORWARD(lode_i_funtucker_smooth(ctx, &s->grid[k], k, f));
    }
    LODE_FORWARD(lode_i_funtucker_sums(ctx, s, f));
    LODE_FORWARD(lode_i_funtucker_core(ctx, f));
    lode_i_funtucker_noise(s, f);
    f->evidence = lode_i_funtucker_evidence(s, f);
    return LODE_OK;
}

/* ---- normal form ---- */

/* Functions of a mode turned so that the core's slices along it are orthogonal (in E W_(k) W_(k)'), in descending
 * order, their largest value above 0. Neither prior knows such turns, so the sites follow and all else is
 * found from them again. */
static lode_status canonical(lode_ctx *ctx, const lode_i_scattered *s, int k, funtucker_fit *f)
{
    lode_status st = LODE_OK;
    funtucker_mode *y = &f->mode[k];
    const int64_t r = f->m.r[k], g = s->grid[k].shape[0];
    double *room = NULL;
    lode_array C = { 0 }, w = { 0 }, U = { 0 }, u = { 0 }, sign = { 0 };
    LODE_TRY(LODE_NEW(ctx, r * (r + 1), &room));
    LODE_TRY(lode_i_funtucker_core_energy(ctx, f, k, &C));
    LODE_TRY(lode_i_eigh(ctx, &C, r, &w, &U));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &f->m.mean[k], &U, &u));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, r, &sign));
    for (int64_t c = 0; c < r; c++) {
        double most = 0;
        for (int64_t i = 0; i < g; i++) {
            const double v = lode_i_get2(&u, i, c);
            most = fabs(v) > fabs(most) ? v : most;
        }
        lode_i_set1(&sign, c, most < 0 ? -1 : 1);
    }
    LODE_TRY(lode_i_scale_cols(ctx, &U, &sign));
    lode_i_gp_turn(&U, &y->precision, &y->shift, room);
    LODE_TRY(lode_i_funtucker_smooth(ctx, &s->grid[k], k, f));
done:
    lode_i_free(room);
    LODE_FREE(&C, &w, &U, &u, &sign);
    return st;
}

/* ---- all of it ---- */

/* The trace in nats, of the objective exp(-evidence / n) that falls: its relative change is what a sweep gains an
 * observation. Begins with that of noise alone, ends with that of the result. */
static lode_status trace_of(lode_ctx *ctx, const lode_i_scattered *s, const lode_array *objective,
                            funtucker_fit *f)
{
    const int64_t steps = objective->shape[0];
    LODE_FORWARD(lode_i_vector_new(ctx, LODE_F64, steps + 1, &f->trace));
    lode_i_set1(&f->trace, 0, lode_i_funtucker_nothing(s));
    for (int64_t i = 0; i < steps; i++)
        lode_i_set1(&f->trace, i + 1, -(double)s->n * log(lode_i_get1(objective, i)));
    lode_i_set1(&f->trace, steps, f->evidence);
    return LODE_OK;
}

lode_status lode_i_funtucker_fit_to(lode_ctx *ctx, const lode_funtucker_opts *o,
                                    const funtucker_data *d, const int64_t *rank, uint64_t start,
                                    funtucker_fit *out)
{
    lode_status st = LODE_OK;
    funtucker_fit f = { 0 };
    lode_array objective = { 0 }, large = { 0 }, small = { 0 };
    const lode_i_scattered *s = &d->s;
    lode_i_iter it = { .op = "funtucker",
                       .what = "evidence",
                       .tol = o->tol,
                       .patience = PATIENCE,
                       .max_iter = o->max_iter };
    LODE_TRY(begin(ctx, o, d, rank, start, &f));
    if (ctx->checkpoint) {
        it.site = "funtucker", it.key = start + 1;
        it.state[it.n++] = &large, it.state[it.n++] = &small;
        LODE_TRY(lode_i_funtucker_keep(ctx, &f, &large, &small));
    }
    LODE_TRY(lode_i_iter_begin(ctx, &it));
    if (it.i > 0)
        LODE_TRY(lode_i_funtucker_unkeep(ctx, &large, &small, &f));
    while (!it.done) {
        LODE_TRY(sweep(ctx, o, s, it.i, &f));
        if (it.site)
            LODE_TRY(lode_i_funtucker_keep(ctx, &f, &large, &small));
        LODE_TRY(lode_i_iter_step(ctx, &it, exp(-f.evidence / (double)s->n)));
    }
    f.status = lode_i_iter_end(ctx, &it, &objective);
    if (f.status < 0) {
        st = f.status;
        goto done;
    }
    f.sweeps = it.i;
    for (int k = 0; k < s->d; k++)
        LODE_TRY(canonical(ctx, s, k, &f));
    LODE_TRY(lode_i_funtucker_sums(ctx, s, &f));
    LODE_TRY(lode_i_funtucker_core(ctx, &f));
    LODE_TRY(lode_i_funtucker_settle(ctx, s, &f));
    f.evidence = lode_i_funtucker_evidence(s, &f);
    LODE_TRY(trace_of(ctx, s, &objective, &f));
    lode_i_funtucker_free(out);
    *out = f, f = (funtucker_fit){ 0 };
done:
    lode_i_iter_free(&it);
    LODE_FREE(&objective, &large, &small);
    lode_i_funtucker_free(&f);
    return st;
}

/* ---- other places ---- */

lode_status lode_i_funtucker_at(lode_ctx *ctx, const lode_array *grid, const funtucker_fit *f,
                                const lode_i_scattered *places, lode_array *mean,
                                lode_array *variance)
{
    lode_status st = LODE_OK;
    lode_i_multilinear m = { .d = f->m.d };
    lode_array cov = { 0 };
    m.core = lode_array_ref(&f->m.core), m.packed = lode_array_ref(&f->m.packed);
    for (int k = 0; k < m.d; k++) {
        const int64_t r = m.r[k] = f->m.r[k];
        const lode_i_gp_sites sites = sites_of(&grid[k], &f->mode[k]);
        LODE_TRY(lode_i_tick(ctx, k, m.d));
        LODE_TRY(
            lode_i_gp_predict(ctx, &f->mode[k].gp, &sites, &places->grid[k], &m.mean[k], &cov));
        LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, places->grid[k].shape[0], r * (r + 1) / 2,
                                   &m.second[k]));
        lode_i_pack_moments(&m.mean[k], &cov, &m.second[k]);
    }
    LODE_TRY(lode_i_scattered_values(ctx, places, &m, mean, variance));
done:
    LODE_FREE(&cov);
    lode_i_multilinear_free(&m);
    return st;
}
