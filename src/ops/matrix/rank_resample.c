/* What takes the matrix again and again: shuffled columns, held-out blocks, random halves. Loops over
 * small matrices run in parallel, over large ones one after the other with products in parallel:
 * decided by shape alone. */
#include <math.h>
#include <string.h>

#include "array/box.h"
#include "linalg/masked.h"
#include "ops/matrix/rank.h"

#define SMALL_VALUES (INT64_C(1) << 22)
enum { NARROW = 256, BATCH = RANK_BATCH };

bool lode_i_rank_small(int64_t m, int64_t n)
{
    return m * n <= SMALL_VALUES;
}

static bool small(const rank_matrix *A)
{
    return lode_i_rank_small(A->m, A->n);
}

/* A random order of 0..n-1. */
static void random_order(lode_stream s, int64_t n, int64_t *order)
{
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t k = (int64_t)lode_i_random_below(s, (uint64_t)i, (uint64_t)i + 1);
        const int64_t moved = order[k];
        order[k] = order[i], order[i] = moved;
    }
}

/* ---- shuffled columns ---- */

/* The largest singular value, to a thousandth of what it varies by. */
static lode_status top_value(lode_ctx *ctx, const lode_array *Y, double *top)
{
    lode_status st = LODE_OK;
    lode_array G = { 0 }, w = { 0 }, U = { 0 }, s = { 0 }, V = { 0 };
    lode_linop *op = NULL;
    const int64_t m = Y->shape[0], n = Y->shape[1];
    if (lode_i_min(m, n) <= NARROW) {
        LODE_TRY(lode_i_mode_gram(ctx, Y, n > m ? 0 : 1, true, &G));
        LODE_TRY(lode_i_eigh(ctx, &G, 1, &w, NULL));
        *top = sqrt(fmax(lode_i_get1(&w, 0), 0));
        goto done;
    }
    lode_svds_opts o = {
        .rank = 1, .tol = 1e-2, .max_iter = 60, .fused = true, .one_sided = true, .op = "rank"
    };
    LODE_TRY(lode_linop_from(ctx, lode_from_array(Y), &op));
    lode_i_svds_sizes(&o, m, n, false);
    const lode_status found = lode_i_svds(ctx, op, &o, &U, &s, &V, NULL);
    LODE_TRY(found < 0 ? found : LODE_OK); /* the best after 60 steps will do */
    *top = lode_i_get1(&s, 0);
done:
    LODE_FREE(&op, &G, &w, &U, &s, &V);
    return st;
}

typedef struct shuffle_job {
    const rank_matrix *A;
    uint64_t site;
    int64_t first;
    double *top;
} shuffle_job;

static lode_status shuffle_task(lode_ctx *ctx, int64_t task, void *data)
{
    lode_status st = LODE_OK;
    const shuffle_job *job = data;
    lode_array Y = { 0 };
    const int64_t at = job->first + task;
    const lode_stream s = lode_i_stream(ctx, "rank shuffle", job->site + (uint64_t)at);
    LODE_TRY(lode_i_shuffle_columns(ctx, s, &job->A->held, !job->A->mean, &Y));
    LODE_TRY(top_value(ctx, &Y, &job->top[at]));
done:
    lode_array_free(&Y);
    return st;
}

/* Mean of the largest values of shuffled matrices and the prediction bound of the next one. The edge
 * of noise varies by a share of itself that shape alone decides, so later rounds add to what the
 * earlier ones told of it. */
typedef struct null_law {
    double mean, sd, bound;
    double squares; /* of relative deviations, all rounds */
    int64_t freedom;
} null_law;

static null_law law_of(const null_law *earlier, const double *top, int64_t count, double factor)
{
    null_law law = { .squares = earlier->squares,
                     .freedom = earlier->freedom + lode_i_max(count - 1, 0) };
    for (int64_t i = 0; i < count; i++)
        law.mean += top[i] * factor / (double)count;
    for (int64_t i = 0; i < count && law.mean > 0; i++)
        law.squares += pow(top[i] * factor / law.mean - 1, 2);
    law.sd = law.freedom > 0 ? law.mean * sqrt(law.squares / (double)law.freedom) : 0;
    law.bound = law.mean + lode_i_rank_student(law.freedom) * law.sd *
                               sqrt(1 + 1 / (double)lode_i_max(count, 1));
    return law;
}

/* Whether no value is so near that further shuffles could tell. */
static bool clear(const rank_matrix *A, int64_t k, const null_law *law)
{
    for (int64_t i = k; i < A->reach; i++)
        if (fabs(A->s[i] - law->mean) <= 10 * law->sd)
            return false;
    return true;
}

/* Largest values of shuffled matrices: as many as asked for, fewer where two of them have already
 * reached value k, which is then not beyond 95 % of them, or where all values are far away. */
static lode_status shuffled(lode_ctx *ctx, const rank_wishes *w, const rank_matrix *A,
                            uint64_t round, int64_t k, double factor, null_law *law, double *top)
{
    shuffle_job job = { .A = A, .site = round << 32, .top = top };
    const null_law earlier = *law;
    const int64_t most = earlier.freedom > 0 ? lode_i_max(2, w->shuffles / 2) : w->shuffles;
    const int64_t batch = small(A) ? BATCH : 1;
    int64_t reached = 0;
    for (int64_t count = 0; count < most && reached < 2;) {
        const int64_t some = lode_i_min(batch, most - count);
        LODE_FORWARD(lode_i_tick(ctx, count, most));
        job.first = count;
        if (some > 1)
            LODE_FORWARD(lode_i_parallel(ctx, some, shuffle_task, &job));
        else
            LODE_FORWARD(shuffle_task(ctx, 0, &job));
        for (int64_t i = count; i < count + some; i++)
            reached += top[i] * factor >= A->s[k];
        count += some;
        *law = law_of(&earlier, top, count, factor);
        if (law->freedom >= 2 && clear(A, k, law))
            break;
    }
    return LODE_OK;
}

/* held less what it has on the axes first .. last. */
static lode_status deflate(lode_ctx *ctx, rank_matrix *A, int64_t first, int64_t last)
{
    lode_status st = LODE_OK;
    lode_array part = { 0 }, V = { 0 }, Y = { 0 };
    part = lode_i_cols(&A->axes, first, last);
    LODE_TRY(lode_array_cast(ctx, &part, A->dtype, &V));
    if (A->n > A->m) {
        LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &V, &A->held, &Y));
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, &V, &Y, 1, &A->held));
    } else {
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &A->held, &V, &Y));
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_T, -1, &Y, &V, 1, &A->held));
    }
done:
    LODE_FREE(&part, &V, &Y);
    return st;
}

/* What is left after k components has (m - k)(n - k) free values and an edge of noise at
 * sqrt(m - k) + sqrt(n - k); shuffled, its energy spreads over m n and the edge lies elsewhere. */
static double edge_factor(const rank_matrix *A, int64_t k)
{
    const double m = (double)A->m, n = (double)A->n, j = (double)k;
    return (sqrt(m - j) + sqrt(n - j)) / (sqrt(m) + sqrt(n)) / sqrt((1 - j / m) * (1 - j / n));
}

lode_status lode_i_rank_parallel(lode_ctx *ctx, const rank_wishes *w, rank_matrix *A,
                                 rank_report *r, int64_t mode)
{
    lode_status st = LODE_OK;
    double *top = NULL;
    null_law law = { 0 };
    LODE_TRY(LODE_NEW(ctx, w->shuffles + BATCH, &top));
    for (int64_t k = 0, before = 0, round = 0; k < A->reach; round++) {
        if (k > before)
            LODE_TRY(deflate(ctx, A, before, k));
        const double factor = edge_factor(A, k);
        LODE_TRY(shuffled(ctx, w, A, (uint64_t)(mode << 16 | round), k, factor, &law, top));
        for (int64_t i = k; i < A->reach; i++) {
            lode_i_rank_set(r, RANK_NULL, mode, i, law.bound / A->scale);
            lode_i_rank_set(r, RANK_NULL_MEAN, mode, i, law.mean / A->scale);
        }
        before = k;
        while (k < A->reach && A->s[k] > fmax(law.bound, A->floor))
            k++;
        if (k == before)
            break;
    }
done:
    lode_i_free(top);
    return st;
}

/* ---- held-out blocks ---- */

typedef struct fold_job {
    const rank_matrix *A;
    int64_t parts, K, first;
    int64_t *row, *col; /* part of each row and column, of every repeat */
    double *error;      /* K + 1 of each fold */
} fold_job;

/* Indices whose part is (kept false) or is not `part`, ascending. */
static int64_t select_part(const int64_t *label, int64_t n, int64_t part, bool kept, int64_t *index)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        if ((label[i] == part) != kept)
            index[count++] = i;
    return count;
}

/* B D_k^+ C = (B V / s^2) (D V)' C for all k at once; V from the shorter side of D. */
static lode_status predict(lode_ctx *ctx, const lode_array *B, const lode_array *C,
                           const lode_array *D, int64_t K, double share, lode_array *L,
                           lode_array *R)
{
    lode_status st = LODE_OK;
    lode_array G = { 0 }, w = { 0 }, V = { 0 }, cast = { 0 }, other = { 0 }, left = { 0 },
               right = { 0 };
    const bool wide = D->shape[1] > D->shape[0];
    LODE_TRY(lode_i_mode_gram(ctx, D, wide ? 0 : 1, true, &G));
    LODE_TRY(lode_i_eigh(ctx, &G, K, &w, &V));
    const double top = fmax(lode_i_get1(&w, 0), 0);
    for (int64_t k = 0; k < K; k++) {
        const double square = lode_i_get1(&w, k);
        lode_i_set1(&w, k, square > 0x1p-46 * top ? 1 / (square * share) : 0);
    }
    LODE_TRY(lode_array_cast(ctx, &V, D->dtype, &cast));
    LODE_TRY(lode_i_gemm(ctx, wide ? LODE_T : LODE_N, LODE_N, D, &cast, &other));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, B, wide ? &other : &cast, &left));
    LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, wide ? &cast : &other, C, &right));
    LODE_TRY(lode_array_cast(ctx, &left, LODE_F64, L));
    LODE_TRY(lode_i_scale_cols(ctx, L, &w));
    LODE_TRY(lode_array_cast(ctx, &right, LODE_F64, R));
done:
    LODE_FREE(&G, &w, &V, &cast, &other, &left, &right);
    return st;
}

static lode_status fold_task(lode_ctx *ctx, int64_t task, void *data)
{
    lode_status st = LODE_OK;
    const fold_job *job = data;
    const rank_matrix *A = job->A;
    const int64_t at = job->first + task, each = job->parts * job->parts;
    const int64_t *row = job->row + at / each * A->m, *col = job->col + at / each * A->n;
    const int64_t part[2] = { at % each / job->parts, at % job->parts };
    lode_array block[4] = { { 0 } }, seen = { 0 }, L = { 0 }, R = { 0 };
    int64_t *rows = NULL, *cols = NULL;
    LODE_TRY(LODE_NEW(ctx, 2 * A->m, &rows));
    LODE_TRY(LODE_NEW(ctx, 2 * A->n, &cols));
    for (int b = 0; b < 4; b++) { /* A B; C D */
        int64_t *const i = rows + (b / 2 ? A->m : 0), *const j = cols + (b % 2 ? A->n : 0);
        const int64_t count[2] = { select_part(row, A->m, part[0], b / 2 != 0, i),
                                   select_part(col, A->n, part[1], b % 2 != 0, j) };
        const int64_t *const index[2] = { i, j };
        LODE_TRY(
            lode_i_pick(ctx, &A->held, index, count, NULL, b ? A->dtype : LODE_F64, &block[b]));
        if (b == 0 && A->seen.data)
            LODE_TRY(lode_i_pick(ctx, &A->seen, index, count, NULL, LODE_F64, &seen));
    }
    LODE_TRY(predict(ctx, &block[1], &block[2], &block[3], job->K, A->share, &L, &R));
    LODE_TRY(lode_i_nested_errors(ctx, &block[0], A->seen.data ? &seen : NULL, &L, &R,
                                  job->error + at * (job->K + 1)));
done:
    for (int b = 0; b < 4; b++)
        lode_array_free(&block[b]);
    LODE_FREE(&seen, &L, &R);
    lode_i_free(rows);
    lode_i_free(cols);
    return st;
}

static lode_status draw_parts(lode_ctx *ctx, int64_t mode, int64_t repeats, fold_job *job)
{
    lode_status st = LODE_OK;
    int64_t *order = NULL;
    const int64_t m = job->A->m, n = job->A->n;
    LODE_TRY(LODE_NEW(ctx, repeats * m, &job->row));
    LODE_TRY(LODE_NEW(ctx, repeats * n, &job->col));
    LODE_TRY(LODE_NEW(ctx, lode_i_max(m, n), &order));
    for (int64_t t = 0; t < 2 * repeats; t++) {
        const int64_t count = t % 2 ? n : m;
        int64_t *label = t % 2 ? job->col + t / 2 * n : job->row + t / 2 * m;
        random_order(lode_i_stream(ctx, "rank parts", (uint64_t)(mode << 32 | t)), count, order);
        for (int64_t i = 0; i < count; i++)
            label[order[i]] = i * job->parts / count;
    }
done:
    lode_i_free(order);
    return st;
}

lode_status lode_i_rank_validate(lode_ctx *ctx, const rank_wishes *w, const rank_matrix *A,
                                 rank_report *r, int64_t mode)
{
    lode_status st = LODE_OK;
    const int64_t parts = lode_i_min(w->parts, A->p / 2), each = parts * parts;
    const int64_t repeats = lode_i_max(1, w->shuffles / each), folds = repeats * each;
    const int64_t kept = A->p - lode_i_ceil_div(A->p, parts);
    fold_job job = { .A = A, .parts = parts, .K = lode_i_min(A->reach, kept - 1) };
    if (job.K < 1)
        return LODE_OK;
    LODE_TRY(draw_parts(ctx, mode, repeats, &job));
    LODE_TRY(
        lode_i_calloc(ctx, (size_t)(folds * (job.K + 1)) * sizeof(double), (void **)&job.error));
    for (int64_t t = 0; t < folds; t += small(A) ? BATCH : 1) {
        job.first = t;
        LODE_TRY(lode_i_tick(ctx, t, folds));
        if (small(A))
            LODE_TRY(lode_i_parallel(ctx, lode_i_min(BATCH, folds - t), fold_task, &job));
        else
            LODE_TRY(fold_task(ctx, 0, &job));
    }
    for (int64_t k = 0; k <= job.K; k++) {
        double mean = 0, squares = 0, used = 0;
        for (int pass = 0; pass < 2; pass++)
            for (int64_t t = 0; t < folds; t++) {
                const double *e = job.error + t * (job.K + 1);
                if (!(e[0] > 0))
                    continue;
                if (pass == 0)
                    mean += e[k] / e[0], used++;
                else
                    squares += pow(e[k] / e[0] - mean / used, 2);
            }
        if (used < 2)
            continue;
        lode_i_rank_set(r, RANK_CV, mode, k, mean / used);
        lode_i_rank_set(r, RANK_CV_ERROR, mode, k, sqrt(squares / (used - 1) / used));
    }
done:
    lode_i_free(job.row);
    lode_i_free(job.col);
    lode_i_free(job.error);
    return st;
}

/* ---- random halves ---- */

typedef struct half_job {
    const rank_matrix *A;
    int64_t K, mode;
    double *cosine; /* K of each split: squared, of the last angle of the leading k axes */
} half_job;

static lode_status half_axes(lode_ctx *ctx, const half_job *job, const int64_t *order, int64_t from,
                             int64_t to, lode_array *V)
{
    lode_status st = LODE_OK;
    lode_array sum = { 0 }, one = { 0 }, flat = { 0 }, w = { 0 };
    const int64_t L = job->A->groups.shape[1];
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 2, (const int64_t[]){ L, L }, &sum));
    for (int64_t i = from; i < to; i++) {
        LODE_TRY(lode_array_slice(ctx, &job->A->groups, 0, order[i], order[i] + 1, 1, &one));
        LODE_TRY(lode_array_reshape(ctx, &one, 2, (const int64_t[]){ L, L }, &flat));
        LODE_TRY(lode_i_axpy(ctx, 1, &flat, &sum));
        LODE_FREE(&one, &flat);
    }
    LODE_TRY(lode_i_eigh(ctx, &sum, job->K, &w, V));
done:
    LODE_FREE(&sum, &one, &flat, &w);
    return st;
}

static lode_status half_task(lode_ctx *ctx, int64_t task, void *data)
{
    lode_status st = LODE_OK;
    const half_job *job = data;
    const int64_t count = job->A->groups.shape[0];
    int64_t order[RANK_GROUPS];
    lode_array V[2] = { { 0 } }, C = { 0 }, c = { 0 }, part = { 0 }, s = { 0 };
    random_order(lode_i_stream(ctx, "rank halves", (uint64_t)(job->mode << 32 | task)), count,
                 order);
    LODE_TRY(half_axes(ctx, job, order, 0, count / 2, &V[0]));
    LODE_TRY(half_axes(ctx, job, order, count / 2, count, &V[1]));
    LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &V[0], &V[1], &C));
    for (int64_t k = 1; k <= job->K; k++) {
        part = lode_i_rows(&C, 0, k);
        c = lode_i_cols(&part, 0, k);
        LODE_TRY(lode_i_svd(ctx, &c, k, NULL, &s, NULL));
        job->cosine[task * job->K + k - 1] = pow(lode_i_get1(&s, k - 1), 2);
        LODE_FREE(&part, &c);
    }
done:
    LODE_FREE(&V[0], &V[1], &C, &c, &part, &s);
    return st;
}

static void sort(double *x, int64_t n)
{
    for (int64_t i = 1; i < n; i++) {
        const double v = x[i];
        int64_t j = i;
        for (; j > 0 && x[j - 1] > v; j--)
            x[j] = x[j - 1];
        x[j] = v;
    }
}

lode_status lode_i_rank_stability(lode_ctx *ctx, const rank_wishes *w, const rank_matrix *A,
                                  rank_report *r, int64_t mode)
{
    lode_status st = LODE_OK;
    double *one = NULL;
    const int64_t L = A->groups.shape[1], splits = w->resamples;
    half_job job = { .A = A, .mode = mode };
    job.K = lode_i_min(A->reach, lode_i_min(L - 1, A->N / 2));
    if (job.K < 1)
        return LODE_OK;
    LODE_TRY(LODE_NEW(ctx, splits * job.K, &job.cosine));
    LODE_TRY(LODE_NEW(ctx, splits, &one));
    for (int64_t t = 0; t < splits; t += BATCH) {
        half_job some = job;
        some.mode = mode << 16 | t, some.cosine = job.cosine + t * job.K;
        LODE_TRY(lode_i_tick(ctx, t, splits));
        LODE_TRY(lode_i_parallel(ctx, lode_i_min(BATCH, splits - t), half_task, &some));
    }
    for (int64_t k = 1; k <= job.K; k++) {
        /* one direction each in the L - k + 1 dimensions that k - 1 leave would agree to this */
        const double chance = 1 / (double)(L - k + 1);
        double mean = 0;
        for (int64_t t = 0; t < splits; t++) {
            one[t] = fmax(0, (job.cosine[t * job.K + k - 1] - chance) / (1 - chance));
            mean += one[t] / (double)splits;
        }
        sort(one, splits);
        const int64_t tail = splits / 20;
        lode_i_rank_set(r, RANK_STABLE, mode, k - 1, mean);
        lode_i_rank_set(r, RANK_STABLE_LOW, mode, k - 1, one[tail]);
        lode_i_rank_set(r, RANK_STABLE_HIGH, mode, k - 1, one[splits - 1 - tail]);
    }
done:
    lode_i_free(job.cosine);
    lode_i_free(one);
    return st;
}
