/* How far a fit goes on rows that it has not seen, fold by fold, all from the reduced tables; and the rank that
 * speaks for. */
#include <math.h>

#include "ops/matrix/cca.h"

static void free_held(lode_i_cca_held *h)
{
    LODE_FREE(&h->correlation, &h->error);
}

/* Inner product and lengths of column a of two matrices of as many rows. */
static double cosine(const lode_array *T, const lode_array *U, int64_t a)
{
    double tu = 0, tt = 0, uu = 0;
    for (int64_t i = 0; i < T->shape[0]; i++) {
        const double t = lode_i_get2(T, i, a), u = lode_i_get2(U, i, a);
        tu += t * u, tt += t * t, uu += u * u;
    }
    return tt > 0 && uu > 0 ? tu / sqrt(tt) / sqrt(uu) : 0;
}

/* Squares of Y - prediction with 0, 1, .. components: within the fold, and of its mean. */
static lode_status press(lode_ctx *ctx, const lode_i_cca_pair *fold, const lode_i_cca_pair *rest,
                         const lode_i_cca_fit *f, const lode_array *T, int64_t number,
                         lode_i_cca_held *h)
{
    lode_status st = LODE_OK;
    lode_array E = { 0 }, e = { 0 }, x = { 0 }, t = { 0 }, q = { 0 }, ta = { 0 };
    const int64_t k = f->Q.shape[1], most = h->error.shape[1] - 1;
    double within = 0, mean = 0;
    LODE_TRY(lode_array_cast(ctx, &fold->M[1], LODE_F64, &E));
    LODE_TRY(lode_array_cast(ctx, &fold->mean[1], LODE_F64, &e));
    LODE_TRY(lode_i_axpy(ctx, -1, &rest->mean[1], &e));
    LODE_TRY(lode_array_cast(ctx, &fold->mean[0], LODE_F64, &x));
    LODE_TRY(lode_i_axpy(ctx, -1, &rest->mean[0], &x));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &x, &f->W[0], &t));
    for (int64_t a = 0; a <= most; a++) {
        if (a > 0 && a <= k) {
            LODE_FREE(&q, &ta);
            q = lode_i_cols(&f->Q, a - 1, a), ta = lode_i_cols(T, a - 1, a);
            LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_T, -1, &ta, &q, 1, &E));
            LODE_FREE(&ta);
            ta = lode_i_cols(&t, a - 1, a);
            LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_T, -1, &ta, &q, 1, &e));
        }
        LODE_TRY(lode_i_norm_fro(ctx, &E, &within));
        LODE_TRY(lode_i_norm_fro(ctx, &e, &mean));
        lode_i_set2(&h->error, number, a, within * within + fold->mass * mean * mean);
    }
done:
    LODE_FREE(&E, &e, &x, &t, &q, &ta);
    return st;
}

static lode_status one_fold(lode_ctx *ctx, const lode_i_cca_task *task, const lode_i_cca_reduced *r,
                            int number, lode_i_cca_held *h)
{
    lode_status st = LODE_OK;
    lode_i_cca_pair rest = { .mass = 0 };
    const lode_i_cca_pair *fold = &r->fold[number];
    lode_i_cca_fit f = { .condition = 1 };
    lode_array T = { 0 }, U = { 0 };
    LODE_TRY(lode_i_cca_merge(ctx, r, number, &rest));
    LODE_TRY(lode_i_cca_fit_pair(ctx, task, &rest, &f));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &fold->M[0], &f.W[0], &T));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &fold->M[1], &f.W[1], &U));
    for (int64_t a = 0; a < h->correlation.shape[1]; a++)
        lode_i_set2(&h->correlation, number, a, a < T.shape[1] ? cosine(&T, &U, a) : 0);
    if (h->error.data)
        LODE_TRY(press(ctx, fold, &rest, &f, &T, number, h));
done:
    lode_i_cca_pair_free(&rest);
    lode_i_cca_fit_free(&f);
    LODE_FREE(&T, &U);
    return st;
}

lode_status lode_i_cca_held_means(lode_ctx *ctx, const lode_array *each, bool sums, lode_array *out)
{
    const int64_t folds = each->shape[0], n = each->shape[1];
    LODE_FORWARD(lode_i_vector_new(ctx, LODE_F64, n, out));
    double first = 0;
    for (int64_t a = 0; a < n; a++) {
        double sum = 0;
        for (int64_t f = 0; f < folds; f++)
            sum += lode_i_get2(each, f, a);
        first = a == 0 ? sum : first;
        lode_i_set1(out, a, sums ? (first > 0 ? sum / first : 0) : sum / (double)folds);
    }
    return LODE_OK;
}

/* Components whose correlation on rows kept back is above 0 by 2 standard errors, up to the first that is not. */
static int64_t rank_of_correlations(const lode_array *each)
{
    const int64_t folds = each->shape[0], n = each->shape[1];
    int64_t rank = 0;
    for (; rank < n; rank++) {
        double mean = 0, square = 0;
        for (int64_t f = 0; f < folds; f++)
            mean += lode_i_get2(each, f, rank) / (double)folds;
        for (int64_t f = 0; f < folds; f++)
            square += pow(lode_i_get2(each, f, rank) - mean, 2);
        const double error = sqrt(square / (double)(folds - 1) / (double)folds);
        if (!(mean > 2 * error) || !(mean > 0))
            break;
    }
    return lode_i_max(rank, 1);
}

lode_status lode_i_cca_hold(lode_ctx *ctx, const lode_i_cca_task *t, const lode_i_cca_reduced *r,
                            lode_i_cca_held *h)
{
    lode_status st = LODE_OK;
    lode_i_cca_held local = { .rank = 1 };
    lode_array sums = { 0 };
    const bool errors = t->method == LODE_CCA_PLS || t->method == LODE_CCA_NIPALS;
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, r->folds, t->most, &local.correlation));
    if (errors)
        LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, r->folds, t->most + 1, &local.error));
    for (int f = 0; f < r->folds; f++) {
        LODE_TRY(lode_i_tick(ctx, f, r->folds));
        lode_i_nest(ctx);
        const lode_status one = one_fold(ctx, t, r, f, &local);
        lode_i_unnest(ctx);
        LODE_TRY(one);
    }
    if (errors) {
        LODE_TRY(lode_i_cca_held_means(ctx, &local.error, true, &sums));
        for (int64_t a = 2; a <= t->most; a++)
            if (lode_i_get1(&sums, a) < lode_i_get1(&sums, local.rank))
                local.rank = a;
    } else {
        local.rank = rank_of_correlations(&local.correlation);
    }
    free_held(h);
    *h = local, local = (lode_i_cca_held){ 0 };
done:
    free_held(&local);
    lode_array_free(&sums);
    return st;
}
