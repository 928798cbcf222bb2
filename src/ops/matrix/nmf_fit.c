/* The iterations of nmf. With all entries: accelerated HALS, extrapolated. With some: coordinate descent
 * row by row over the observed entries. Multiplicative updates for the divergence, or on demand. */
#include <math.h>

#include "iter/iter.h"
#include "ops/matrix/nmf.h"

enum { MOST_SWEEPS = 12, ROW_STEPS = 4, PATIENCE = 2 };

void lode_i_nmf_free(lode_i_nmf_fit *f)
{
    LODE_FREE(&f->W, &f->H, &f->errors);
    *f = (lode_i_nmf_fit){ 0 };
}

double lode_i_nmf_penalty(const lode_list *l, int factor)
{
    return l->count == 0 ? 0 : l->value[l->count > 1 ? factor : 0];
}

bool lode_i_nmf_multiplies(const lode_nmf_opts *o)
{
    return o->loss == LODE_NMF_KL || o->method == LODE_NMF_MU;
}

static lode_status inner(lode_ctx *ctx, const lode_array *x, const lode_array *y, double *sum)
{
    lode_inner s;
    LODE_FORWARD(lode_i_inner(ctx, x, y, &s));
    *sum = s.re;
    return LODE_OK;
}

static double least_error(lode_dtype dtype)
{
    return 4 * sqrt(lode_i_epsilon(dtype));
}

/* What is the same for all ways: penalties, objective, errors reached. */
typedef struct run {
    const lode_nmf_opts *o;
    const lode_i_nmf_data *d;
    lode_i_nmf_fit *f;
    double objective, error; /* now; error: relative Frobenius */
} run;

static lode_status penalties(lode_ctx *ctx, const run *r, const lode_array *W, const lode_array *H,
                             double *sum)
{
    *sum = 0;
    for (int i = 0; i < 2; i++) {
        const double l1 = lode_i_nmf_penalty(&r->o->l1, i),
                     ridge = lode_i_nmf_penalty(&r->o->ridge, i);
        lode_inner s;
        if (!(l1 > 0) && !(ridge > 0))
            continue;
        LODE_FORWARD(lode_i_inner(ctx, i ? H : W, NULL, &s));
        *sum += l1 * s.re + ridge / 2 * s.sumsq;
    }
    return LODE_OK;
}

static double relative(const run *r, double sumsq)
{
    return r->d->sumsq > 0 ? sqrt(fmax(sumsq, 0) / r->d->sumsq) : 0;
}

/* The iteration's loop around one way's steps; state and errors are in it. */
typedef lode_status (*step_fn)(lode_ctx *ctx, run *r, void *way);
static lode_status iterate(lode_ctx *ctx, run *r, lode_i_iter *it, step_fn step, void *way)
{
    lode_status st = LODE_OK;
    lode_array line = { 0 };
    while (!it->done) {
        LODE_TRY(step(ctx, r, way));
        lode_i_set1(&r->f->errors, it->i + 1, r->error);
        LODE_TRY(lode_i_iter_step(ctx, it, r->objective));
    }
    r->f->steps = it->i, r->f->objective = it->objective;
    r->f->status = lode_i_iter_end(ctx, it, NULL);
    LODE_TRY(r->f->status);
    st = LODE_OK; /* the caveat is kept in the fit */
    LODE_TRY(lode_array_slice(ctx, &r->f->errors, 0, 0, it->i + 1, 1, &line));
    LODE_TRY(lode_array_cast(ctx, &line, LODE_F64, &r->f->errors));
done:
    LODE_FREE(&line);
    return st;
}

static lode_i_iter iteration(const run *r, const char *site, uint64_t key)
{
    return (lode_i_iter){ .op = "nmf",
                          .what = "objective",
                          .tol = r->o->tol,
                          .patience = PATIENCE,
                          .max_iter = r->o->max_iter,
                          .site = site,
                          .key = key };
}

/* ---- all entries: W and H in turn, from X H and X^T W ---- */

/* The pair (now.W, y.H) is the present one; y is where the next updates begin, a little beyond what
 * the last ones reached: y = max(0, now + beta (now - before)). */
typedef struct products {
    lode_array rows_w, rows_h;  /* [now; y] of W; [now; y; X^T y.W] of H: what a checkpoint keeps */
    lode_array W, yW, H, yH, Z; /* views of these */
    lode_array S;               /* y.W^T y.W */
    lode_array line;            /* beta, its bound, the objective; then the errors */
    lode_i_nonneg_rule rule[2];
} products;

static void free_products(products *p)
{
    LODE_FREE(&p->rows_w, &p->rows_h, &p->W, &p->yW, &p->H, &p->yH, &p->Z, &p->S, &p->line);
}

static void view(const run *r, products *p)
{
    const int64_t m = r->d->m, n = r->d->n;
    LODE_FREE(&p->W, &p->yW, &p->H, &p->yH, &p->Z);
    p->W = lode_i_rows(&p->rows_w, 0, m), p->yW = lode_i_rows(&p->rows_w, m, 2 * m);
    p->H = lode_i_rows(&p->rows_h, 0, n), p->yH = lode_i_rows(&p->rows_h, n, 2 * n);
    p->Z = lode_i_rows(&p->rows_h, 2 * n, 3 * n);
}

/* Z = X^T y.W and S. */
static lode_status multiply_codes(lode_ctx *ctx, const run *r, products *p)
{
    lode_status st = LODE_OK;
    lode_array Z = { 0 };
    LODE_TRY(r->d->A->apply(ctx, r->d->A, true, &p->yW, &Z));
    LODE_TRY(lode_array_copy_into(ctx, &Z, &p->Z));
    LODE_TRY(lode_i_gram(ctx, LODE_T, &p->yW, &p->S));
done:
    LODE_FREE(&Z);
    return st;
}

/* A sweep costs so much less than a product that several are worth it (Gillis & Glineur, section 3). */
static int sweeps(const lode_i_nmf_data *d, int64_t rows, int64_t k)
{
    const double entries = (double)lode_i_observed_most(d->X);
    const double ratio = 1 +
                         (entries + (double)((d->m + d->n - rows) * k)) / (double)(rows * k + rows);
    return (int)fmin(1 + ratio / 2, MOST_SWEEPS);
}

/* ||X - W H^T||^2 = ||X||^2 - 2 <W, P> + <W^T W, G>, P = X H, G = H^T H. */
static lode_status measure(lode_ctx *ctx, const run *r, const lode_array *W, const lode_array *H,
                           const lode_array *P, const lode_array *G, double *objective,
                           double *error)
{
    lode_status st = LODE_OK;
    lode_array S = { 0 };
    double cross, square, more;
    LODE_TRY(lode_i_gram(ctx, LODE_T, W, &S));
    LODE_TRY(inner(ctx, W, P, &cross));
    LODE_TRY(inner(ctx, &S, G, &square));
    LODE_TRY(penalties(ctx, r, W, H, &more));
    const double sumsq = fmax(r->d->sumsq - 2 * cross + square, 0);
    *objective = sqrt((sumsq + 2 * more) / (r->d->sumsq > 0 ? r->d->sumsq : 1));
    *error = relative(r, sumsq);
done:
    LODE_FREE(&S);
    return st;
}

static lode_status update(lode_ctx *ctx, const run *r, const lode_array *P, const lode_array *G,
                          const lode_i_nonneg_rule *rule, lode_array *W)
{
    lode_status st = LODE_OK;
    lode_array below = { 0 };
    if (!lode_i_nmf_multiplies(r->o))
        return lode_i_nonneg_rows(ctx, P, G, rule, W);
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, W, G, &below));
    const lode_i_nonneg_update u = {
        .above = P, .below = &below, .l1 = rule->l1, .ridge = rule->ridge
    };
    LODE_TRY(lode_i_nonneg_multiply(ctx, &u, W));
done:
    LODE_FREE(&below);
    return st;
}

/* One extrapolated attempt; kept only where the objective falls. */
static lode_status attempt(lode_ctx *ctx, run *r, products *p, double beta, bool *fell)
{
    lode_status st = LODE_OK;
    lode_array H = { 0 }, far = { 0 }, W = { 0 }, P = { 0 }, G = { 0 };
    double objective, error;
    LODE_TRY(lode_array_cast(ctx, &p->yH, p->yH.dtype, &H));
    LODE_TRY(update(ctx, r, &p->Z, &p->S, &p->rule[1], &H));
    LODE_TRY(lode_i_matrix_new(ctx, H.dtype, H.shape[0], H.shape[1], &far));
    LODE_TRY(lode_i_nonneg_beyond(ctx, beta, &p->H, &H, &far));
    LODE_TRY(r->d->A->apply(ctx, r->d->A, false, &far, &P));
    LODE_TRY(lode_i_gram(ctx, LODE_T, &far, &G));
    LODE_TRY(lode_array_cast(ctx, &p->yW, p->yW.dtype, &W));
    LODE_TRY(update(ctx, r, &P, &G, &p->rule[0], &W));
    LODE_TRY(measure(ctx, r, &W, &far, &P, &G, &objective, &error));
    *fell = objective <= r->objective;
    if (!*fell)
        goto done;
    r->objective = objective, r->error = error;
    LODE_TRY(lode_array_copy_into(ctx, &H, &p->H));
    LODE_TRY(lode_array_copy_into(ctx, &far, &p->yH));
    LODE_TRY(lode_i_nonneg_beyond(ctx, beta, &p->W, &W, &p->yW));
    LODE_TRY(lode_array_copy_into(ctx, &W, &p->W));
    LODE_TRY(multiply_codes(ctx, r, p));
done:
    LODE_FREE(&H, &far, &W, &P, &G);
    return st;
}

/* Where extrapolation went too far: a plain step from the present pair, from which it can only fall. */
static lode_status products_step(lode_ctx *ctx, run *r, void *way)
{
    static const double shrink = 1.5, grow = 1.1, bound_grows = 1.05;
    products *p = way;
    bool fell = false;
    const bool plain = lode_i_nmf_multiplies(r->o) || lode_i_broken(ctx, "nmf-extrapolated");
    double beta = lode_i_get1(&p->line, 0), bound = lode_i_get1(&p->line, 1);
    r->objective = lode_i_get1(&p->line, 2);
    LODE_FORWARD(attempt(ctx, r, p, plain ? 0 : beta, &fell));
    if (fell) {
        beta = fmin(bound, beta * grow);
        bound = fmin(1, bound * bound_grows);
    } else {
        bound = beta, beta /= shrink;
        LODE_FORWARD(lode_array_copy_into(ctx, &p->W, &p->yW));
        LODE_FORWARD(lode_array_copy_into(ctx, &p->yH, &p->H));
        LODE_FORWARD(multiply_codes(ctx, r, p));
        LODE_FORWARD(attempt(ctx, r, p, 0, &fell));
    }
    lode_i_set1(&p->line, 0, beta), lode_i_set1(&p->line, 1, bound);
    lode_i_set1(&p->line, 2, r->objective);
    return LODE_OK;
}

static lode_status prepare_products(lode_ctx *ctx, run *r, products *p)
{
    lode_status st = LODE_OK;
    lode_array P = { 0 }, G = { 0 };
    const lode_i_nmf_data *d = r->d;
    const int64_t k = r->f->W.shape[1];
    for (int i = 0; i < 2; i++)
        p->rule[i] = (lode_i_nonneg_rule){ .l1 = lode_i_nmf_penalty(&r->o->l1, i),
                                           .ridge = lode_i_nmf_penalty(&r->o->ridge, i),
                                           .sweeps = sweeps(d, i ? d->n : d->m, k),
                                           .enough = 0.1 };
    LODE_TRY(lode_i_matrix_new(ctx, d->dtype, 2 * d->m, k, &p->rows_w));
    LODE_TRY(lode_i_matrix_new(ctx, d->dtype, 3 * d->n, k, &p->rows_h));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, (const int64_t[]){ r->o->max_iter + 4 }, &p->line));
    view(r, p);
    LODE_TRY(lode_array_copy_into(ctx, &r->f->W, &p->W));
    LODE_TRY(lode_array_copy_into(ctx, &r->f->W, &p->yW));
    LODE_TRY(lode_array_copy_into(ctx, &r->f->H, &p->H));
    LODE_TRY(lode_array_copy_into(ctx, &r->f->H, &p->yH));
    LODE_TRY(multiply_codes(ctx, r, p));
    LODE_TRY(lode_i_gram(ctx, LODE_T, &p->H, &G));
    LODE_TRY(measure(ctx, r, &p->H, &p->W, &p->Z, &p->S, &r->objective, &r->error));
    if (r->o->l1.count == 0 && r->o->ridge.count == 0 && r->error > 1 && !r->o->codes &&
        !r->o->basis) {
        /* the best multiple of the start, lest a random one sets the scale of the first sweeps */
        double cross, square;
        LODE_TRY(inner(ctx, &p->H, &p->Z, &cross));
        LODE_TRY(inner(ctx, &p->S, &G, &square));
        const double by = square > 0 ? cross / square : 1;
        LODE_TRY(lode_i_scale(ctx, by, &p->H));
        LODE_TRY(lode_i_scale(ctx, by, &p->yH));
        LODE_TRY(measure(ctx, r, &p->H, &p->W, &p->Z, &p->S, &r->objective, &r->error));
    }
    lode_i_set1(&p->line, 0, 0.5), lode_i_set1(&p->line, 1, 1);
    lode_i_set1(&p->line, 2, r->objective);
done:
    LODE_FREE(&P, &G);
    return st;
}

static lode_status by_products(lode_ctx *ctx, run *r, lode_i_iter *it)
{
    lode_status st = LODE_OK;
    products p = { 0 };
    LODE_TRY(prepare_products(ctx, r, &p));
    it->floor = least_error(r->d->dtype);
    it->n = 3, it->state[0] = &p.rows_w, it->state[1] = &p.rows_h, it->state[2] = &r->f->errors;
    lode_array *const errors = &r->f->errors;
    for (int i = 0; i < 3; i++) /* what a checkpoint keeps besides, at the end of the errors */
        lode_i_set1(errors, r->o->max_iter + 1 + i, lode_i_get1(&p.line, i));
    LODE_TRY(lode_i_iter_begin(ctx, it));
    view(r, &p);
    LODE_FREE(&p.line);
    LODE_TRY(lode_array_slice(ctx, errors, 0, r->o->max_iter + 1, r->o->max_iter + 4, 1, &p.line));
    if (it->i > 0)
        LODE_TRY(lode_i_gram(ctx, LODE_T, &p.yW, &p.S));
    LODE_TRY(iterate(ctx, r, it, products_step, &p));
    LODE_TRY(lode_array_copy_into(ctx, &p.W, &r->f->W));
    LODE_TRY(lode_array_copy_into(ctx, &p.yH, &r->f->H));
done:
    free_products(&p);
    return st;
}

/* ---- some entries: rows of one factor, then of the other ---- */

static lode_status rows_step(lode_ctx *ctx, run *r, void *way)
{
    lode_array factor[2] = { r->f->W, r->f->H }; /* borrowed */
    double sumsq = 0, more;
    (void)way;
    for (int i = 1; i >= 0; i--) {
        const lode_i_row_rule rule = { .l1 = lode_i_nmf_penalty(&r->o->l1, i),
                                       .ridge = lode_i_nmf_penalty(&r->o->ridge, i),
                                       .nonneg = true,
                                       .steps = ROW_STEPS };
        LODE_FORWARD(
            lode_i_observed_rows(ctx, &r->d->x, i, factor, &rule, i ? NULL : &sumsq, NULL));
    }
    LODE_FORWARD(penalties(ctx, r, &r->f->W, &r->f->H, &more));
    r->objective = sqrt((sumsq + 2 * more) / (r->d->sumsq > 0 ? r->d->sumsq : 1));
    r->error = relative(r, sumsq);
    return LODE_OK;
}

/* ---- the divergence ---- */

typedef struct divergence {
    lode_array ratio; /* x / fit, by columns */
    lode_array ones;  /* of the observed entries, where only some count */
    double value;
} divergence;

static lode_status column_sums(lode_ctx *ctx, const lode_array *A, lode_array *sums)
{
    lode_status st = LODE_OK;
    lode_array mean = { 0 };
    LODE_TRY(lode_i_col_means(ctx, A, &mean));
    LODE_TRY(lode_i_scale(ctx, (double)A->shape[0], &mean));
    LODE_TRY(lode_array_cast(ctx, &mean, A->dtype, sums));
done:
    LODE_FREE(&mean);
    return st;
}

/* Ratios x / fit in the order of a mode; where told, the divergence and the error. */
static lode_status ratios(lode_ctx *ctx, run *r, int mode, bool told, divergence *v)
{
    lode_status st = LODE_OK;
    const lode_array factor[2] = { r->f->W, r->f->H }; /* borrowed */
    const lode_i_slices *s = &r->d->x.mode[mode];
    const bool all = r->d->A != NULL;
    lode_array W = { 0 }, H = { 0 }, a = { 0 }, b = { 0 };
    double sumsq, cross, square, sum;
    LODE_TRY(lode_i_observed_residual(ctx, &r->d->x, mode, factor, NULL, &v->ratio, &sumsq));
    if (!told) {
        LODE_TRY(lode_i_nonneg_ratios(ctx, &s->value, &s->weight, !all, &v->ratio, NULL));
        goto done;
    }
    if (all) { /* of the entries that are 0 too: ||W H'||^2 + sum of x (x - 2 fit) */
        LODE_TRY(inner(ctx, &s->value, &v->ratio, &cross));
        LODE_TRY(lode_i_gram(ctx, LODE_T, &r->f->W, &W));
        LODE_TRY(lode_i_gram(ctx, LODE_T, &r->f->H, &H));
        LODE_TRY(inner(ctx, &W, &H, &square));
        sumsq = square - r->d->sumsq + 2 * cross;
    }
    LODE_TRY(lode_i_nonneg_ratios(ctx, &s->value, &s->weight, !all, &v->ratio, &v->value));
    if (all) {
        LODE_TRY(column_sums(ctx, &r->f->W, &a));
        LODE_TRY(column_sums(ctx, &r->f->H, &b));
        LODE_TRY(inner(ctx, &a, &b, &sum));
        v->value += sum;
    }
    r->error = relative(r, sumsq);
done:
    LODE_FREE(&W, &H, &a, &b);
    return st;
}

static lode_status multiply_factor(lode_ctx *ctx, run *r, int mode, divergence *v)
{
    lode_status st = LODE_OK;
    lode_array factor[2] = { r->f->W, r->f->H }; /* borrowed */
    lode_array above = { 0 }, below = { 0 };
    LODE_TRY(lode_i_observed_mttkrp(ctx, &r->d->x, mode, &v->ratio, factor, &above));
    if (r->d->A)
        LODE_TRY(column_sums(ctx, &factor[!mode], &below));
    else
        LODE_TRY(lode_i_observed_mttkrp(ctx, &r->d->x, mode, &v->ones, factor, &below));
    const lode_i_nonneg_update u = { .above = &above,
                                     .below = &below,
                                     .l1 = lode_i_nmf_penalty(&r->o->l1, mode),
                                     .ridge = lode_i_nmf_penalty(&r->o->ridge, mode),
                                     .entropic = true };
    LODE_TRY(lode_i_nonneg_multiply(ctx, &u, &factor[mode]));
done:
    LODE_FREE(&above, &below);
    return st;
}

static lode_status divergence_step(lode_ctx *ctx, run *r, void *way)
{
    divergence *v = way;
    double more;
    LODE_FORWARD(multiply_factor(ctx, r, 1, v));
    LODE_FORWARD(ratios(ctx, r, 0, false, v));
    LODE_FORWARD(multiply_factor(ctx, r, 0, v));
    LODE_FORWARD(ratios(ctx, r, 1, true, v));
    LODE_FORWARD(penalties(ctx, r, &r->f->W, &r->f->H, &more));
    r->objective = v->value + more;
    r->f->divergence = v->value;
    return LODE_OK;
}

static lode_status by_divergence(lode_ctx *ctx, run *r, lode_i_iter *it)
{
    lode_status st = LODE_OK;
    divergence v = { 0 };
    LODE_TRY(lode_i_vector_new(ctx, r->d->dtype, r->d->x.count, &v.ones));
    LODE_TRY(lode_i_fill(ctx, &v.ones, 1));
    it->floor = 1e-10 * sqrt(r->d->sumsq);
    LODE_TRY(lode_i_iter_begin(ctx, it));
    LODE_TRY(ratios(ctx, r, 1, true, &v));
    r->f->divergence = v.value;
    LODE_TRY(iterate(ctx, r, it, divergence_step, &v));
done:
    LODE_FREE(&v.ratio, &v.ones);
    return st;
}

lode_status lode_i_nmf_fit_from(lode_ctx *ctx, const lode_nmf_opts *o, const lode_i_nmf_data *d,
                                const char *site, uint64_t key, lode_i_nmf_fit *f)
{
    lode_status st = LODE_OK;
    run r = { .o = o, .d = d, .f = f, .error = 1, .objective = INFINITY };
    lode_i_iter it = iteration(&r, site, key);
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, (const int64_t[]){ o->max_iter + 4 }, &f->errors));
    lode_i_set1(&f->errors, 0, 1); /* the error of nothing */
    if (o->loss == LODE_NMF_FROBENIUS && d->A) {
        LODE_TRY(by_products(ctx, &r, &it));
        goto done;
    }
    it.n = 3, it.state[0] = &f->W, it.state[1] = &f->H, it.state[2] = &f->errors;
    if (o->loss == LODE_NMF_KL) {
        LODE_TRY(by_divergence(ctx, &r, &it));
    } else {
        it.floor = least_error(d->dtype);
        LODE_TRY(lode_i_iter_begin(ctx, &it));
        LODE_TRY(iterate(ctx, &r, &it, rows_step, NULL));
    }
done:
    lode_i_iter_free(&it);
    return st;
}
