/* The matrix that rank looks at, met by blocks: what is observed of it, its Gram matrix, all singular
 * values, and its observations on the leading axes in groups. */
#include <math.h>

#include "ops/matrix/rank.h"

#define BLOCK_VALUES (INT64_C(1) << 22)

int64_t lode_i_rank_block(int64_t m, int64_t n)
{
    const int64_t p = lode_i_min(m, n), N = lode_i_max(m, n);
    return lode_i_max(1, lode_i_min(N, BLOCK_VALUES / lode_i_max(p, 1)));
}

void lode_i_rank_matrix_free(rank_matrix *A)
{
    if (A->owned)
        lode_source_close(&A->X);
    lode_i_free(A->mean);
    lode_i_free(A->s);
    LODE_FREE(&A->held, &A->seen, &A->G, &A->axes, &A->groups);
    *A = (rank_matrix){ 0 };
}

/* ---- survey ---- */

/* Rows of one read, so that it holds as much as a block. */
static int64_t rows_at_once(const rank_matrix *A)
{
    return lode_i_max(1, lode_i_min(A->m, BLOCK_VALUES / lode_i_max(A->n, 1)));
}

static lode_status read_part(lode_ctx *ctx, const rank_matrix *A, int64_t r0, int64_t r1,
                             int64_t c0, int64_t c1, lode_array *block)
{
    lode_array raw = { 0 };
    const int64_t start[2] = { r0, c0 }, count[2] = { r1 - r0, c1 - c0 };
    lode_status st = lode_i_source_read(ctx, &A->X, start, count, A->dtype, &raw);
    if (st >= 0)
        lode_array_swap(block, &raw);
    lode_array_free(&raw);
    return st;
}

static lode_status fill(lode_ctx *ctx, const rank_matrix *A, int64_t c0, lode_array *block,
                        lode_array *seen)
{
    return lode_i_fill_gaps(ctx, block, &A->gaps, A->mean ? A->mean + c0 : NULL, A->scale, seen);
}

static lode_status check_survey(lode_ctx *ctx, const char *name, const lode_survey *s,
                                const rank_matrix *A)
{
    lode_status st = LODE_OK;
    LODE_REQUIRE(s->empty_row < 0, LODE_EDOMAIN,
                 "rank: row %" PRId64 " of %s has no observed value; leave it out", s->empty_row,
                 name);
    for (int64_t j = 0; j < A->n; j++) {
        LODE_REQUIRE(s->count[j] > 0, LODE_EDOMAIN,
                     "rank: column %" PRId64 " of %s has no observed value; leave it out", j, name);
        LODE_REQUIRE(isfinite(s->sum[j]), LODE_EDOMAIN,
                     "rank: the sum of column %" PRId64 " of %s leaves the range of f64; scale %s",
                     j, name, name);
    }
    LODE_REQUIRE(s->max > s->min, LODE_EDOMAIN,
                 "rank: every observed value of %s is %g; there is nothing to tell components from",
                 name, s->min);
done:
    return st;
}

/* The whole matrix in memory, filled. */
static lode_status hold(lode_ctx *ctx, rank_matrix *A)
{
    lode_status st = LODE_OK;
    lode_array whole = { 0 }, mask = { 0 }, block = { 0 }, seen = { 0 }, to = { 0 };
    const int64_t step = rows_at_once(A);
    const bool gaps = A->share < 1;
    LODE_TRY(lode_i_matrix_new(ctx, A->dtype, A->m, A->n, &whole));
    if (gaps)
        LODE_TRY(lode_i_matrix_new(ctx, A->dtype, A->m, A->n, &mask));
    for (int64_t r = 0; r < A->m; r += step) {
        const int64_t end = lode_i_min(r + step, A->m);
        LODE_TRY(lode_i_tick(ctx, r, A->m));
        LODE_TRY(read_part(ctx, A, r, end, 0, A->n, &block));
        LODE_TRY(fill(ctx, A, 0, &block, gaps ? &seen : NULL));
        for (int k = 0; k < (gaps ? 2 : 1); k++) {
            to = lode_i_rows(k ? &mask : &whole, r, end);
            LODE_TRY(lode_array_copy_into(ctx, k ? &seen : &block, &to));
            lode_array_free(&to);
        }
    }
    lode_array_swap(&A->held, &whole);
    lode_array_swap(&A->seen, &mask);
done:
    LODE_FREE(&whole, &mask, &block, &seen, &to);
    return st;
}

lode_status lode_i_rank_survey(lode_ctx *ctx, const lode_rank_opts *o, const char *name,
                               bool resident, rank_matrix *A)
{
    lode_status st = LODE_OK;
    lode_survey s = { 0 };
    lode_array block = { 0 };
    int e = 0;
    A->m = A->X.shape[0], A->n = A->X.shape[1];
    A->p = lode_i_min(A->m, A->n), A->N = lode_i_max(A->m, A->n);
    A->dtype = lode_i_arith(A->X.dtype);
    A->block = lode_i_rank_block(A->m, A->n);
    A->gaps = (lode_gaps){ o->missing.kind != LODE_MISSING_NONE,
                           o->missing.kind == LODE_MISSING_VALUE ? o->missing.value : NAN };
    LODE_TRY(lode_i_survey_start(ctx, A->n, &s));
    const int64_t step = rows_at_once(A);
    for (int64_t r = 0; r < A->m; r += step) {
        LODE_TRY(lode_i_tick(ctx, r, A->m));
        LODE_TRY(read_part(ctx, A, r, lode_i_min(r + step, A->m), 0, A->n, &block));
        LODE_TRY(lode_i_survey_push(ctx, &block, &A->gaps, name, &s));
    }
    LODE_TRY(check_survey(ctx, name, &s, A));
    frexp(s.maxabs, &e);
    A->scale = ldexp(1, -(e < -1000 ? -1000 : e > 1000 ? 1000 : e));
    A->share = (double)s.observed / ((double)A->m * (double)A->n);
    if (o->center) {
        LODE_TRY(LODE_NEW(ctx, A->n, &A->mean));
        for (int64_t j = 0; j < A->n; j++)
            A->mean[j] = s.sum[j] / (double)s.count[j];
    }
    LODE_FREE(&block);
    if (resident || A->share < 1)
        LODE_TRY(hold(ctx, A));
done:
    lode_i_survey_free(&s);
    LODE_FREE(&block);
    return st;
}

/* Entries start .. end of the longer side, all of the shorter. */
static lode_status take(lode_ctx *ctx, const rank_matrix *A, int64_t start, int64_t end,
                        lode_array *block)
{
    const bool wide = A->n > A->m;
    lode_array_free(block);
    if (A->held.data) {
        *block = wide ? lode_i_cols(&A->held, start, end) : lode_i_rows(&A->held, start, end);
        return LODE_OK;
    }
    if (wide)
        LODE_FORWARD(read_part(ctx, A, 0, A->m, start, end, block));
    else
        LODE_FORWARD(read_part(ctx, A, start, end, 0, A->n, block));
    return fill(ctx, A, wide ? start : 0, block, NULL);
}

/* ---- spectrum ---- */

static lode_status gram(lode_ctx *ctx, rank_matrix *A)
{
    lode_status st = LODE_OK;
    lode_array block = { 0 }, part = { 0 }, sum = { 0 };
    const int side = A->n > A->m ? 0 : 1;
    for (int64_t i = 0; i < A->N; i += A->block) {
        LODE_TRY(lode_i_tick(ctx, i, A->N));
        LODE_TRY(take(ctx, A, i, lode_i_min(i + A->block, A->N), &block));
        LODE_TRY(lode_i_mode_gram(ctx, &block, side, true, &part));
        if (sum.data)
            LODE_TRY(lode_i_axpy(ctx, 1, &part, &sum));
        else
            lode_array_swap(&sum, &part);
    }
    lode_array_swap(&A->G, &sum);
done:
    LODE_FREE(&block, &part, &sum);
    return st;
}

/* Values and leading vectors take LAPACK one thread each: at once. */
typedef struct eigen_job {
    const lode_array *G;
    int64_t vectors;
    lode_array w, few, V;
} eigen_job;

static lode_status eigen_task(lode_ctx *ctx, int64_t task, void *data)
{
    eigen_job *job = data;
    return task == 0 ? lode_i_eigh(ctx, job->G, job->G->shape[0], &job->w, NULL)
                     : lode_i_eigh(ctx, job->G, job->vectors, &job->few, &job->V);
}

static lode_status eigen(lode_ctx *ctx, rank_matrix *A, int64_t vectors)
{
    lode_status st = LODE_OK;
    eigen_job job = { .G = &A->G, .vectors = vectors };
    LODE_TRY(lode_i_parallel(ctx, 2, eigen_task, &job));
    for (int64_t i = 0; i < A->p; i++)
        A->s[i] = sqrt(fmax(lode_i_get1(&job.w, i), 0));
    A->floor = A->s[0] * 0x1p-23; /* root of 64 eps: the error of a Gram matrix's eigenvalues */
    lode_array_swap(&A->axes, &job.V);
done:
    LODE_FREE(&job.w, &job.few, &job.V);
    return st;
}

/* Where squares drown the small values: the triangular factor, which squares nothing. */
static lode_status by_triangle(lode_ctx *ctx, rank_matrix *A, int64_t vectors)
{
    lode_status st = LODE_OK;
    lode_array block = { 0 }, stack = { 0 }, to = { 0 }, R = { 0 }, s = { 0 };
    lode_array V = { 0 }, lead = { 0 };
    for (int64_t i = 0; i < A->N; i += A->block) {
        const int64_t end = lode_i_min(i + A->block, A->N), rows = end - i;
        const int64_t above = R.data ? R.shape[0] : 0;
        LODE_TRY(lode_i_tick(ctx, i, A->N));
        LODE_TRY(take(ctx, A, i, end, &block));
        const lode_array turned = lode_i_transposed(&block); /* borrowed */
        LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, above + rows, A->p, &stack));
        to = lode_i_rows(&stack, above, above + rows);
        LODE_TRY(lode_array_copy_into(ctx, A->n > A->m ? &turned : &block, &to));
        LODE_FREE(&to);
        if (above > 0) {
            to = lode_i_rows(&stack, 0, above);
            LODE_TRY(lode_array_copy_into(ctx, &R, &to));
            LODE_FREE(&to);
        }
        if (stack.shape[0] >= A->p)
            LODE_TRY(lode_i_qr_r(ctx, &stack, &R));
        else
            lode_array_swap(&R, &stack);
        LODE_FREE(&stack);
    }
    LODE_TRY(lode_i_svd(ctx, &R, A->p, NULL, &s, &V));
    for (int64_t i = 0; i < A->p; i++)
        A->s[i] = lode_i_get1(&s, i);
    A->floor = A->s[0] * 16 * 0x1p-52 * sqrt((double)A->N);
    lead = lode_i_cols(&V, 0, vectors);
    LODE_TRY(lode_array_cast(ctx, &lead, LODE_F64, &A->axes));
done:
    LODE_FREE(&block, &stack, &to, &R, &s, &V, &lead);
    return st;
}

/* The noise's deviation in an entry of the matrix as it is held, and the threshold. */
static void threshold(const lode_ctx *ctx, const lode_rank_opts *o, const rank_matrix *A,
                      double *sigma, double *tau)
{
    const double beta = (double)A->p / (double)A->N, root = sqrt((double)A->N);
    const int64_t middle = A->p / 2;
    const double median = A->p % 2 ? A->s[middle] : (A->s[middle] + A->s[middle - 1]) / 2;
    *sigma = o->noise.given ? o->noise.value * A->scale * sqrt(A->share)
                            : median / sqrt(lode_i_threshold_median(beta)) / root;
    *tau = lode_i_threshold_lambda(beta) * root * *sigma;
    if (lode_i_broken(ctx, "rank-threshold")) /* the edge of the noise in place of the optimum */
        *tau = (1 + sqrt(beta)) * root * *sigma;
}

/* Values above the threshold and above rounding. */
static int64_t values_above(const rank_matrix *A, int64_t K, double tau)
{
    int64_t k = 0;
    while (k < K && A->s[k] > fmax(tau, A->floor))
        k++;
    return k;
}

/* Threshold, noise, description lengths of the candidates; how many of these are looked at: where
 * none was given, twice what threshold and description length say. */
static lode_status judge(lode_ctx *ctx, const lode_rank_opts *o, const rank_wishes *w,
                         rank_matrix *A, rank_report *r, int64_t mode)
{
    lode_status st = LODE_OK;
    double *eigenvalue = NULL, sigma, tau;
    threshold(ctx, o, A, &sigma, &tau);
    LODE_TRY(LODE_NEW(ctx, A->p, &eigenvalue));
    for (int64_t i = 0; i < A->p; i++) {
        const double v = fmax(A->s[i], A->floor);
        eigenvalue[i] = v * v / (double)A->N;
        lode_i_rank_set(r, RANK_S, mode, i, A->s[i] / A->scale);
    }
    lode_i_rank_set(r, RANK_FLOOR, mode, 0, A->floor / A->scale);
    lode_i_rank_set(r, RANK_NOISE, mode, 0, sigma / A->scale / sqrt(A->share));
    if (w->asked[RANK_THRESHOLD])
        lode_i_rank_set(r, RANK_TAU, mode, 0, tau / A->scale);
    const int64_t K = lode_i_min(w->candidates, A->p - 1);
    const int64_t above = values_above(A, K, tau);
    int64_t shortest = 0;
    double best = INFINITY;
    for (int64_t k = 0; k <= K; k++) {
        const double length = lode_i_rank_length(eigenvalue, A->p, A->N, k, false);
        if (length < best)
            best = length, shortest = k;
        if (w->asked[RANK_MDL])
            lode_i_rank_set(r, RANK_MDLS, mode, k, length);
        if (w->asked[RANK_AIC])
            lode_i_rank_set(r, RANK_AICS, mode, k,
                            lode_i_rank_length(eigenvalue, A->p, A->N, k, true));
    }
    A->reach = w->capped ? K : lode_i_min(K, 2 * lode_i_max(above, shortest) + 10);
done:
    lode_i_free(eigenvalue);
    return st;
}

lode_status lode_i_rank_spectrum(lode_ctx *ctx, const lode_rank_opts *o, const rank_wishes *w,
                                 rank_matrix *A, rank_report *r, int64_t mode)
{
    lode_status st = LODE_OK;
    const int64_t vectors = lode_i_min(A->p, 2 * lode_i_min(w->candidates, A->p - 1) + 20);
    if (!A->s)
        LODE_TRY(LODE_NEW(ctx, A->p, &A->s));
    LODE_TRY(gram(ctx, A));
    LODE_TRY(eigen(ctx, A, vectors));
    LODE_FREE(&A->G);
    A->exact = A->s[A->p / 2] < 2 * A->floor;
    if (A->exact)
        LODE_TRY(by_triangle(ctx, A, vectors));
    LODE_REQUIRE(A->s[0] > 0, LODE_EDOMAIN,
                 "rank: every row of X is the same; less the column means nothing is left");
    LODE_TRY(judge(ctx, o, w, A, r, mode));
done:
    return st;
}

/* In turns with a step of subspace iteration for their axes: what is missing shrinks by about the
 * missing share in each. */
lode_status lode_i_rank_fill(lode_ctx *ctx, int64_t rank, rank_matrix *A)
{
    enum { TURNS = 40 };
    lode_status st = LODE_OK;
    lode_array lead = { 0 }, basis = { 0 }, other = { 0 };
    const bool wide = A->n > A->m;
    lead = lode_i_cols(&A->axes, 0, lode_i_min(rank, A->axes.shape[1]));
    LODE_TRY(lode_array_cast(ctx, &lead, A->dtype, &basis));
    for (int turn = 0; turn < TURNS; turn++) {
        LODE_TRY(lode_i_tick(ctx, turn, TURNS));
        LODE_TRY(lode_i_gemm(ctx, wide ? LODE_T : LODE_N, LODE_N, &A->held, &basis, &other));
        LODE_TRY(lode_i_fill_low_rank(ctx, &A->held, &A->seen, wide ? &basis : &other,
                                      wide ? &other : &basis));
        LODE_TRY(lode_i_gemm(ctx, wide ? LODE_N : LODE_T, LODE_N, &A->held, &other, &basis));
        LODE_TRY(lode_i_orth(ctx, &basis, NULL));
    }
done:
    LODE_FREE(&lead, &basis, &other);
    return st;
}

/* ---- groups on the leading axes ---- */

/* W_g = Y_g^T Y_g of each group's observations Y = (block of A) V, added to what is there. */
static lode_status add_groups(lode_ctx *ctx, const rank_matrix *A, const lode_array *Y,
                              int64_t first, lode_array *groups)
{
    lode_status st = LODE_OK;
    lode_array part = { 0 }, G = { 0 }, to = { 0 }, flat = { 0 };
    const int64_t count = groups->shape[0], L = groups->shape[1], end = first + Y->shape[0];
    for (int64_t g = 0; g < count; g++) {
        const int64_t from = lode_i_max(first, A->N * g / count),
                      stop = lode_i_min(end, A->N * (g + 1) / count);
        if (from >= stop)
            continue;
        part = lode_i_rows(Y, from - first, stop - first);
        LODE_TRY(lode_i_gram(ctx, LODE_H, &part, &G));
        LODE_TRY(lode_array_slice(ctx, groups, 0, g, g + 1, 1, &to));
        LODE_TRY(lode_array_reshape(ctx, &G, 3, (const int64_t[]){ 1, L, L }, &flat));
        LODE_TRY(lode_i_axpy(ctx, 1, &flat, &to));
        LODE_FREE(&part, &G, &to, &flat);
    }
done:
    LODE_FREE(&part, &G, &to, &flat);
    return st;
}

/* Standard error of value i: lambda_i is the sum of its groups' shares v_i' W_g v_i to first order,
 * so that leaving one group out at a time needs no further eigenvalues. */
static void errors(const rank_matrix *A, rank_report *r, int64_t mode)
{
    const int64_t count = A->groups.shape[0];
    for (int64_t i = 0; i < lode_i_min(A->reach + 1, A->axes.shape[1]); i++) {
        double sum = 0, squares = 0;
        for (int64_t g = 0; g < count; g++)
            sum += lode_array_get(&A->groups, (const int64_t[]){ g, i, i });
        for (int64_t g = 0; g < count; g++) {
            const double d = lode_array_get(&A->groups, (const int64_t[]){ g, i, i }) -
                             sum / (double)count;
            squares += d * d;
        }
        const double of_square = sqrt(squares * (double)count / (double)(count - 1));
        if (A->s[i] > A->floor)
            lode_i_rank_set(r, RANK_S_ERROR, mode, i, of_square / (2 * A->s[i]) / A->scale);
    }
}

lode_status lode_i_rank_axes(lode_ctx *ctx, rank_matrix *A, rank_report *r, int64_t mode)
{
    lode_status st = LODE_OK;
    lode_array block = { 0 }, V = { 0 }, Y = { 0 }, wide = { 0 };
    const int64_t L = A->axes.shape[1], count = lode_i_min(RANK_GROUPS, A->N);
    LODE_TRY(lode_array_cast(ctx, &A->axes, A->dtype, &V));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 3, (const int64_t[]){ count, L, L }, &A->groups));
    for (int64_t i = 0; i < A->N; i += A->block) {
        LODE_TRY(lode_i_tick(ctx, i, A->N));
        LODE_TRY(take(ctx, A, i, lode_i_min(i + A->block, A->N), &block));
        LODE_TRY(lode_i_gemm(ctx, A->n > A->m ? LODE_T : LODE_N, LODE_N, &block, &V, &Y));
        LODE_TRY(lode_i_as(ctx, &Y, LODE_F64, &wide));
        LODE_TRY(add_groups(ctx, A, &wide, i, &A->groups));
        LODE_FREE(&wide);
    }
    errors(A, r, mode);
done:
    LODE_FREE(&block, &V, &Y, &wide);
    return st;
}
