/* Several fits of nmf: which is best, how far they agree, and which rank they speak for.
 * Consensus: Brunet, Tamayo, Golub & Mesirov 2004, doi:10.1073/pnas.0308531101. */
#include <math.h>

#include "linalg/ensemble.h"
#include "ops/matrix/nmf.h"

/* ---- consensus ---- */

void lode_i_nmf_votes_free(lode_i_nmf_votes *v)
{
    lode_i_free(v->label);
    LODE_FREE(&v->together);
    *v = (lode_i_nmf_votes){ 0 };
}

lode_status lode_i_nmf_votes_new(lode_ctx *ctx, int64_t m, lode_i_nmf_votes *v)
{
    v->p = lode_i_min(m, LODE_I_NMF_SAMPLE), v->m = m, v->trials = 0;
    LODE_FORWARD(LODE_NEW(ctx, v->p, &v->label));
    return lode_array_zeros(ctx, LODE_F64, 2, (const int64_t[]){ v->p, v->p }, &v->together);
}

int64_t lode_i_nmf_sampled(const lode_i_nmf_votes *v, int64_t i)
{
    return (int64_t)((double)i * (double)v->m / (double)v->p);
}

/* A row belongs to the component that gives most of it. */
lode_status lode_i_nmf_vote(lode_ctx *ctx, const lode_i_nmf_fit *f, lode_i_nmf_votes *v)
{
    lode_status st = LODE_OK;
    const int64_t k = f->W.shape[1];
    double *length = NULL;
    LODE_TRY(LODE_NEW(ctx, k, &length));
    for (int64_t c = 0; c < k; c++)
        length[c] = lode_i_column_length(&f->H, c);
    for (int64_t i = 0; i < v->p; i++) {
        const int64_t row = lode_i_nmf_sampled(v, i);
        double most = -1;
        for (int64_t c = 0; c < k; c++) {
            const double share = lode_i_get2(&f->W, row, c) * length[c];
            if (share > most)
                most = share, v->label[i] = c;
        }
    }
    for (int64_t i = 0; i < v->p; i++)
        for (int64_t j = 0; j < v->p; j++)
            if (v->label[i] == v->label[j])
                lode_i_set2(&v->together, i, j, lode_i_get2(&v->together, i, j) + 1);
    v->trials++;
done:
    lode_i_free(length);
    return st;
}

/* Average linkage by chains of nearest neighbours; coph: the height at which two rows come together. */
typedef struct linkage {
    int64_t p;
    double *d, *coph;
    int64_t *size, *next, *last, *chain;
} linkage;

static int64_t nearest(const linkage *l, int64_t a, int64_t before)
{
    int64_t best = before;
    for (int64_t b = 0; b < l->p; b++)
        if (b != a && l->size[b] > 0 && (best < 0 || l->d[a * l->p + b] < l->d[a * l->p + best]))
            best = b;
    return best;
}

static void join(linkage *l, int64_t a, int64_t b)
{
    const int64_t p = l->p;
    const double height = l->d[a * p + b];
    for (int64_t i = a; i >= 0; i = l->next[i])
        for (int64_t j = b; j >= 0; j = l->next[j])
            l->coph[i * p + j] = l->coph[j * p + i] = height;
    for (int64_t c = 0; c < p; c++)
        if (c != a && c != b && l->size[c] > 0) {
            const double na = (double)l->size[a], nb = (double)l->size[b];
            l->d[a * p + c] = l->d[c * p + a] = (na * l->d[a * p + c] + nb * l->d[b * p + c]) /
                                                (na + nb);
        }
    l->next[l->last[a]] = b, l->last[a] = l->last[b];
    l->size[a] += l->size[b], l->size[b] = 0;
}

static void cluster(linkage *l)
{
    int64_t left = l->p, length = 0;
    while (left > 1) {
        if (length == 0) {
            l->chain[0] = 0;
            while (l->size[l->chain[0]] == 0)
                l->chain[0]++;
            length = 1;
        }
        const int64_t a = l->chain[length - 1];
        const int64_t before = length > 1 ? l->chain[length - 2] : -1;
        const int64_t b = nearest(l, a, before);
        if (b == before) {
            join(l, b, a);
            length -= 2, left--;
        } else {
            l->chain[length++] = b;
        }
    }
}

static double correlation(const double *x, const double *y, int64_t p)
{
    double n = 0, sx = 0, sy = 0, xx = 0, yy = 0, xy = 0;
    for (int64_t i = 0; i < p; i++)
        for (int64_t j = 0; j < i; j++) {
            n++, sx += x[i * p + j], sy += y[i * p + j];
        }
    for (int64_t i = 0; i < p; i++)
        for (int64_t j = 0; j < i; j++) {
            const double a = x[i * p + j] - sx / n, b = y[i * p + j] - sy / n;
            xx += a * a, yy += b * b, xy += a * b;
        }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : 1; /* all rows alike: nothing disagrees */
}

lode_status lode_i_nmf_cophenetic(lode_ctx *ctx, lode_i_nmf_votes *v, double *value)
{
    lode_status st = LODE_OK;
    linkage l = { .p = v->p };
    double *given = NULL;
    const int64_t p = v->p;
    LODE_TRY(LODE_NEW(ctx, p * p, &l.d));
    LODE_TRY(LODE_NEW(ctx, p * p, &l.coph));
    LODE_TRY(LODE_NEW(ctx, p * p, &given));
    LODE_TRY(LODE_NEW(ctx, p, &l.size));
    LODE_TRY(LODE_NEW(ctx, p, &l.next));
    LODE_TRY(LODE_NEW(ctx, p, &l.last));
    LODE_TRY(LODE_NEW(ctx, p + 1, &l.chain));
    LODE_TRY(lode_i_scale(ctx, 1 / (double)lode_i_max(v->trials, 1), &v->together));
    v->trials = 1;
    for (int64_t i = 0; i < p; i++) {
        l.size[i] = 1, l.next[i] = -1, l.last[i] = i;
        for (int64_t j = 0; j < p; j++)
            given[i * p + j] = l.d[i * p + j] = 1 - lode_i_get2(&v->together, i, j);
    }
    cluster(&l);
    *value = correlation(given, l.coph, p);
done:
    lode_i_free(l.d);
    lode_i_free(l.coph);
    lode_i_free(given);
    lode_i_free(l.size);
    lode_i_free(l.next);
    lode_i_free(l.last);
    lode_i_free(l.chain);
    return st;
}

/* ---- rank ---- */

/* One rank on every split: errors of what was held back, and how far the bases agree. */
static lode_status try_rank(lode_ctx *ctx, const lode_nmf_opts *o, const lode_i_nmf_data *d,
                            int64_t k, lode_i_nmf_ranks *r)
{
    lode_status st = LODE_OK;
    lode_i_nmf_fit f[LODE_I_NMF_SPLITS] = { 0 };
    double error[LODE_I_NMF_SPLITS], mean = 0, spread = 0, agree = 0, pairs = 0;
    for (int t = 0; t < LODE_I_NMF_SPLITS; t++) {
        lode_i_nmf_data part = { .X = d->X, .dtype = d->dtype, .m = d->m, .n = d->n };
        lode_array factor[2];
        double sumsq = 0, all = 0;
        st = lode_i_observed_split(ctx, &d->x, o->holdout > 0 ? o->holdout : 0.1,
                                   lode_i_stream(ctx, "nmf-splits", (uint64_t)t), &part.x,
                                   &part.back);
        if (st >= 0)
            st = lode_i_observed_sumsq(ctx, &part.x, &part.sumsq);
        part.count = part.x.count;
        if (st >= 0)
            st = lode_i_nmf_start(ctx, o, &part, k, t, &f[t]);
        if (st >= 0)
            st = lode_i_nmf_fit_from(ctx, o, &part, NULL, 0, &f[t]);
        factor[0] = f[t].W, factor[1] = f[t].H;
        if (st >= 0)
            st = lode_i_observed_residual(ctx, &part.back, 0, factor, NULL, NULL, &sumsq);
        if (st >= 0)
            st = lode_i_observed_sumsq(ctx, &part.back, &all);
        lode_i_observed_free(&part.x);
        lode_i_observed_free(&part.back);
        LODE_TRY(st);
        error[t] = all > 0 ? sqrt(sumsq / all) : 0;
        mean += error[t] / LODE_I_NMF_SPLITS;
    }
    for (int t = 0; t < LODE_I_NMF_SPLITS; t++) {
        spread += pow(error[t] - mean, 2) / (LODE_I_NMF_SPLITS - 1);
        for (int u = 0; u < t; u++, pairs++) {
            double one;
            LODE_TRY(lode_i_columns_agree(ctx, &f[t].H, &f[u].H, &one));
            agree += one;
        }
    }
    lode_i_set1(&r->cv, k - 1, mean);
    lode_i_set1(&r->cv_error, k - 1, sqrt(spread / LODE_I_NMF_SPLITS));
    lode_i_set1(&r->stability, k - 1, agree / pairs);
    st = LODE_OK; /* fits that did not settle count as they are */
done:
    for (int t = 0; t < LODE_I_NMF_SPLITS; t++)
        lode_i_nmf_free(&f[t]);
    return st;
}

/* The smallest rank whose error is within one standard error of the least; of those up to it, the largest
 * that is stable, where one is. */
static int64_t decide(const lode_i_nmf_ranks *r, int64_t most)
{
    static const double stable = 0.9;
    int64_t best = 0;
    for (int64_t k = 1; k < most; k++)
        if (lode_i_get1(&r->cv, k) < lode_i_get1(&r->cv, best))
            best = k;
    const double limit = lode_i_get1(&r->cv, best) + lode_i_get1(&r->cv_error, best);
    int64_t k = 0;
    while (lode_i_get1(&r->cv, k) > limit)
        k++;
    for (int64_t j = k; j > 0; j--)
        if (lode_i_get1(&r->stability, j) >= stable)
            return j + 1;
    return k + 1;
}

lode_status lode_i_nmf_choose(lode_ctx *ctx, const lode_nmf_opts *o, const lode_i_nmf_data *d,
                              int64_t most, lode_i_nmf_ranks *r, int64_t *rank)
{
    lode_status st = LODE_OK;
    lode_nmf_opts rough = *o;
    rough.init = LODE_NMF_RANDOM, rough.codes = rough.basis = NULL;
    rough.max_iter = lode_i_min(o->max_iter, 100);
    rough.tol = fmax(o->tol, 1e-4);
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &most, &r->cv));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &most, &r->cv_error));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &most, &r->stability));
    for (int64_t k = 1; k <= most; k++) {
        LODE_TRY(lode_i_tick(ctx, k - 1, most));
        lode_i_nest(ctx);
        st = try_rank(ctx, &rough, d, k, r);
        lode_i_unnest(ctx);
        LODE_TRY(st);
    }
    *rank = decide(r, most);
done:
    return st;
}
