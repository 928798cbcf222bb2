/* The rank of rescal from an ensemble: fits to copies with noise, their columns clustered one to one; the
 * columns that the data have come back in every fit, others do not. */
#include <math.h>

#include "ops/tensor/rescal.h"

/* Least silhouette of columns that agree; and what a rank must take from the error of the one before. */
static const double agrees = 0.75, gains = 0.005;

void lode_i_rescal_ranks_free(rescal_ranks *r)
{
    LODE_FREE(&r->error, &r->least, &r->mean);
    *r = (rescal_ranks){ 0 };
}

int64_t lode_i_rescal_runs(const lode_rescal_opts *o)
{
    return o->ensemble.given ? o->ensemble.value : o->rank.count == 0 ? RESCAL_RUNS : 1;
}

bool lode_i_rescal_range(const lode_rescal_opts *o, int64_t n, int64_t *first, int64_t *last)
{
    *first = 1, *last = lode_i_min(RESCAL_MOST, n);
    if (o->rank.count == 1)
        *first = *last = o->rank.value[0];
    else if (o->rank_range.count == 2)
        *first = (int64_t)o->rank_range.value[0], *last = (int64_t)o->rank_range.value[1];
    const bool whole = o->rank_range.count == 0 || o->rank.count == 1 ||
                       (o->rank_range.count == 2 && (double)*first == o->rank_range.value[0] &&
                        (double)*last == o->rank_range.value[1]);
    return whole && *first >= 1 && *first <= *last && *last <= n;
}

/* ---- the fits of one rank ---- */

typedef struct members {
    const lode_rescal_opts *o;
    const rescal_data *d;
    int64_t k;
    lode_array stack; /* n x (runs k), f64 */
} members;

static lode_status fit_member(lode_ctx *ctx, int64_t q, void *data)
{
    lode_status st = LODE_OK;
    members *w = data;
    lode_i_relations copy = { 0 };
    rescal_fit f = { 0 };
    lode_array to = { 0 };
    const uint64_t start = (uint64_t)w->k << 32 | (uint64_t)(q + 1);
    LODE_TRY(lode_i_relations_perturb(ctx, &w->d->x, lode_i_stream(ctx, "rescal-noise", start),
                                      w->o->perturb, &copy));
    LODE_TRY(lode_i_rescal_fit_to(ctx, w->o, w->d, &copy, w->k, start, NULL, &f));
    to = lode_i_cols(&w->stack, q * w->k, (q + 1) * w->k);
    LODE_TRY(lode_array_copy_into(ctx, &f.A, &to));
done:
    lode_i_relations_free(&copy);
    lode_i_rescal_fit_free(&f);
    LODE_FREE(&to);
    return st;
}

/* Fits of small data side by side, of large data one after another with all workers in each: same bits. */
static lode_status fit_members(lode_ctx *ctx, members *w, int64_t runs)
{
    lode_status st = LODE_OK;
    if (w->d->x.n * w->d->x.n * w->d->x.m <= RESCAL_SMALL)
        return lode_i_parallel(ctx, runs, fit_member, w);
    for (int64_t q = 0; q < runs; q++) {
        LODE_TRY(lode_i_tick(ctx, q, runs));
        lode_i_nest(ctx);
        st = fit_member(ctx, q, w);
        lode_i_unnest(ctx);
        LODE_TRY(st);
    }
done:
    return st;
}

/* number: error, least and mean silhouette of rank k; centre: its columns, n x k in f64. */
static lode_status try_rank(lode_ctx *ctx, const lode_rescal_opts *o, const rescal_data *d,
                            int64_t k, lode_array *centre, double *number)
{
    lode_status st = LODE_OK;
    const int64_t runs = lode_i_broken(ctx, "rescalk") ? 1 : lode_i_rescal_runs(o);
    members w = { .o = o, .d = d, .k = k };
    lode_i_clusters c = { 0 };
    lode_array A = { 0 }, R = { 0 };
    bool found = false;
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 2, (const int64_t[]){ d->x.n, k }, centre));
    const lode_i_step step = { .site = "rescal rank",
                               .key = (uint64_t)k,
                               .number = number,
                               .count = 3,
                               .n = 1,
                               .array = { centre } };
    LODE_TRY(lode_i_restore(ctx, &step, &found));
    if (found)
        goto done;
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, d->x.n, runs * k, &w.stack));
    LODE_TRY(fit_members(ctx, &w, runs));
    LODE_TRY(lode_i_cluster_columns(ctx, &w.stack, runs, &c));
    lode_array_swap(centre, &c.centre);
    LODE_TRY(lode_array_cast(ctx, centre, d->x.dtype, &A));
    LODE_TRY(lode_i_rescal_cores(ctx, d, o->l2, &A, &R, &number[0]));
    number[0] = d->x.sumsq > 0 ? sqrt(number[0] / d->x.sumsq) : 0;
    number[1] = c.least, number[2] = c.mean;
    LODE_TRY(lode_i_keep(ctx, &step));
done:
    lode_i_clusters_free(&c);
    LODE_FREE(&w.stack, &A, &R);
    return st;
}

/* ---- the choice ---- */

/* The largest rank whose columns agree and which takes more than a little from the error of the largest one
 * below it that agrees. */
int64_t lode_i_rescal_decide(const rescal_ranks *r, char *reason, size_t size)
{
    int64_t best = -1, most = 0;
    const long long first = r->first, last = r->first + r->count - 1;
    for (int64_t i = 0; i < r->count; i++) {
        const double error = lode_i_get1(&r->error, i), least = lode_i_get1(&r->least, i);
        most = least > lode_i_get1(&r->least, most) ? i : most;
        if (least >= agrees && (best < 0 || error < (1 - gains) * lode_i_get1(&r->error, best)))
            best = i;
    }
    if (best < 0) {
        snprintf(reason, size,
                 "of ranks %lld to %lld none has columns that agree between fits; this one's least "
                 "silhouette is the largest, %.2f, below %.2f",
                 first, last, lode_i_get1(&r->least, most), agrees);
        return r->first + most;
    }
    const int used = snprintf(reason, size,
                              "the largest of ranks %lld to %lld whose columns agree between fits "
                              "(least silhouette %.2f) and that lowers the error, to %.3g",
                              first, last, lode_i_get1(&r->least, best),
                              lode_i_get1(&r->error, best));
    if (used > 0 && (size_t)used < size && best + 1 < r->count)
        snprintf(reason + used, size - (size_t)used, "; at %lld %.2f and %.3g", first + best + 1,
                 lode_i_get1(&r->least, best + 1), lode_i_get1(&r->error, best + 1));
    return r->first + best;
}

static lode_status choose(lode_ctx *ctx, const lode_rescal_opts *o, const rescal_data *d,
                          rescal_ranks *r, lode_array *centre)
{
    lode_status st = LODE_OK;
    const int64_t n = r->count;
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &n, &r->error));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &n, &r->least));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &n, &r->mean));
    for (int64_t i = 0; i < n; i++) {
        double number[3] = { 0 };
        LODE_TRY(lode_i_tick(ctx, i, n));
        lode_i_nest(ctx);
        st = try_rank(ctx, o, d, r->first + i, &centre[i], number);
        lode_i_unnest(ctx);
        LODE_TRY(st);
        lode_i_set1(&r->error, i, number[0]);
        lode_i_set1(&r->least, i, number[1]);
        lode_i_set1(&r->mean, i, number[2]);
    }
    r->chosen = lode_i_rescal_decide(r, r->reason, sizeof r->reason);
done:
    return st;
}

lode_status lode_i_rescal_ensemble(lode_ctx *ctx, const lode_rescal_opts *o, const rescal_data *d,
                                   rescal_ranks *r, rescal_fit *f)
{
    lode_status st = LODE_OK;
    lode_array *centre = NULL;
    double sumsq;
    int64_t last;
    lode_i_rescal_range(o, d->x.n, &r->first, &last);
    r->count = last - r->first + 1;
    LODE_TRY(lode_i_calloc(ctx, (size_t)r->count * sizeof *centre, (void **)&centre));
    LODE_TRY(choose(ctx, o, d, r, centre));
    LODE_TRY(lode_array_cast(ctx, &centre[r->chosen - r->first], d->x.dtype, &f->A));
    LODE_TRY(lode_i_rescal_cores(ctx, d, o->l2, &f->A, &f->R, &sumsq));
    f->error = d->x.sumsq > 0 ? sqrt(sumsq / d->x.sumsq) : 0;
    f->settled = true;
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, 2, &f->errors));
    lode_i_set1(&f->errors, 0, 1);
    lode_i_set1(&f->errors, 1, f->error);
done:
    for (int64_t i = 0; centre && i < r->count; i++)
        LODE_FREE(&centre[i]);
    lode_i_free(centre);
    return st;
}
