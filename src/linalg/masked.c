/* Least squares over observed entries. Rows are independent given the basis and columns given the
 * scores, so each side is threaded over the other; blocks of rows keep the posterior covariances
 * small. */
#include <math.h>
#include <string.h>

#include "linalg/masked.h"
#include "linalg/small.h"

enum { ROWS = 512, COLUMNS = 16, CHUNK = 16 };

/* A pivot smaller than its diagonal entry by this is rounding. */
#define VANISHING 1e-14

static const double *row_of(const lode_array *a, int64_t i)
{
    return (const double *)lode_i_at(a, i * a->shape[1]);
}

static bool observed(double x)
{
    return x == x;
}

lode_status lode_i_masked_from(lode_ctx *ctx, const lode_array *X, double value, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    LODE_TRY(lode_array_cast(ctx, X, LODE_F64, &y));
    double *x = lode_i_at(&y, 0);
    const int64_t size = lode_array_size(&y);
    for (int64_t i = 0; observed(value) && i < size; i++)
        if (x[i] >= value && x[i] <= value)
            x[i] = NAN;
    lode_array_swap(out, &y);
done:
    LODE_FREE(&y);
    return st;
}

/* ---- means ---- */

typedef struct means_job {
    const lode_array *X;
    double *mean, *count;
} means_job;

static lode_status means_task(lode_ctx *ctx, int64_t task, void *data)
{
    const means_job *job = data;
    const int64_t m = job->X->shape[0], n = job->X->shape[1];
    const int64_t first = task * COLUMNS, last = lode_i_min(n, first + COLUMNS);
    for (int64_t i = 0; i < m; i++) {
        const double *x = row_of(job->X, i);
        for (int64_t j = first; j < last; j++)
            if (observed(x[j])) {
                job->mean[j] += x[j];
                job->count[j] += 1;
            }
    }
    for (int64_t j = first; j < last; j++) {
        if (job->count[j] == 0)
            return lode_i_fail(ctx, LODE_EDOMAIN,
                               "column %" PRId64 " has no observed value; leave it out", j);
        job->mean[j] /= job->count[j];
        if (!isfinite(job->mean[j]))
            return lode_i_fail(
                ctx, LODE_EDOMAIN,
                "column %" PRId64 " holds an infinite value or overflows; mark it missing", j);
    }
    return LODE_OK;
}

lode_status lode_i_masked_means(lode_ctx *ctx, const lode_array *X, lode_array *mean,
                                lode_array *count)
{
    lode_status st = LODE_OK;
    lode_array sum = { 0 }, seen = { 0 };
    const int64_t n = X->shape[1];
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &n, &sum));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &n, &seen));
    means_job job = { X, lode_i_at(&sum, 0), lode_i_at(&seen, 0) };
    LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(n, COLUMNS), means_task, &job));
    lode_array_swap(mean, &sum);
    if (count)
        lode_array_swap(count, &seen);
done:
    LODE_FREE(&sum, &seen);
    return st;
}

typedef struct centre_job {
    const lode_array *X;
    const double *mean;
    lode_array *Y;
} centre_job;

static lode_status centre_task(lode_ctx *ctx, int64_t task, void *data)
{
    const centre_job *job = data;
    const int64_t m = job->X->shape[0], n = job->X->shape[1];
    (void)ctx;
    for (int64_t i = task * ROWS; i < lode_i_min(m, (task + 1) * ROWS); i++) {
        const double *x = row_of(job->X, i);
        double *y = lode_i_at(job->Y, i * n);
        for (int64_t j = 0; j < n; j++)
            y[j] = observed(x[j]) ? x[j] - job->mean[j] : 0;
    }
    return LODE_OK;
}

lode_status lode_i_masked_centre(lode_ctx *ctx, const lode_array *X, const lode_array *mean,
                                 lode_array *Y)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    LODE_TRY(lode_array_new(ctx, LODE_F64, 2, X->shape, &y));
    centre_job job = { X, lode_i_at(mean, 0), &y };
    LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(X->shape[0], ROWS), centre_task, &job));
    lode_array_swap(Y, &y);
done:
    LODE_FREE(&y);
    return st;
}

static void add_outer(double *restrict G, const double *restrict w, int64_t k)
{
    for (int64_t r = 0; r < k; r++)
        for (int64_t c = 0; c <= r; c++)
            G[r * k + c] += w[r] * w[c];
}

/* ---- rows given the basis ---- */

typedef struct rows_job {
    const lode_array *X;
    const double *W, *mean;
    const double *ridge; /* k values on the diagonal */
    const double *full;  /* factor of the system of a complete row */
    int64_t k, first;    /* rows of this block start at `first` */
    double noise;
    double *Z; /* whole, m x k */
    double *C; /* of the block: posterior covariances, ROWS x k x k, lower; NULL: not wanted */
    double *scratch; /* of each worker: k x k */
} rows_job;

static void system_of(const rows_job *job, const double *x, int64_t n, double *G)
{
    const int64_t k = job->k;
    memset(G, 0, (size_t)(k * k) * sizeof *G);
    for (int64_t c = 0; c < k; c++)
        G[c * k + c] = job->ridge[c];
    for (int64_t j = 0; j < n; j++)
        if (!x || observed(x[j]))
            add_outer(G, job->W + j * k, k);
    lode_i_small_factor(G, k, k, VANISHING);
}

/* C = noise * G^-1 from the factor, lower triangle. */
static void covariance(const double *L, int64_t k, double noise, double *C, double *column)
{
    for (int64_t c = 0; c < k; c++) {
        memset(column, 0, (size_t)k * sizeof *column);
        column[c] = noise;
        lode_i_small_solve(L, k, k, column);
        for (int64_t r = c; r < k; r++)
            C[r * k + c] = column[r];
    }
}

static lode_status rows_task(lode_ctx *ctx, int64_t task, void *data)
{
    const rows_job *job = data;
    const int64_t k = job->k, m = job->X->shape[0], n = job->X->shape[1];
    double *G = job->scratch + (int64_t)lode_i_worker(ctx) * (k * k + k), *column = G + k * k;
    const int64_t stop = lode_i_min(lode_i_min(m, job->first + ROWS),
                                    job->first + (task + 1) * CHUNK);
    for (int64_t i = job->first + task * CHUNK; i < stop; i++) {
        const double *x = row_of(job->X, i);
        double *z = job->Z + i * k;
        bool complete = true;
        memset(z, 0, (size_t)k * sizeof *z);
        for (int64_t j = 0; j < n; j++) {
            if (!observed(x[j])) {
                complete = false;
                continue;
            }
            const double d = x[j] - job->mean[j], *w = job->W + j * k;
            for (int64_t c = 0; c < k; c++)
                z[c] += d * w[c];
        }
        if (!complete)
            system_of(job, x, n, G);
        const double *L = complete ? job->full : G;
        lode_i_small_solve(L, k, k, z);
        if (job->C)
            covariance(L, k, job->noise, job->C + (i - job->first) * k * k, column);
    }
    return LODE_OK;
}

/* ---- columns given the scores ---- */

/* Sums of one column over observed rows, with t = (z, 1): T = sum t t^T + C (lower, k+1 square), b
 * = sum x t. */
typedef struct columns_job {
    const lode_array *X;
    const double *Z, *C;
    int64_t k, first, rows;
    double *sums;     /* of each column: (k+1)^2 + (k+1) + 2 values: T, b, sum x^2, count */
    double *W, *mean; /* solved */
} columns_job;

static int64_t sums_width(int64_t k)
{
    return (k + 1) * (k + 2) + 2;
}

static void add_entry(double *restrict sum, double x, const double *restrict z,
                      const double *restrict C, int64_t k)
{
    const int64_t q = k + 1;
    double *T = sum, *b = sum + q * q;
    for (int64_t r = 0; r < k; r++) {
        for (int64_t c = 0; c <= r; c++)
            T[r * q + c] += z[r] * z[c] + C[r * k + c];
        T[k * q + r] += z[r];
        b[r] += x * z[r];
    }
    T[k * q + k] += 1;
    b[k] += x;
    b[q] += x * x;
    b[q + 1] += 1;
}

static lode_status columns_task(lode_ctx *ctx, int64_t task, void *data)
{
    const columns_job *job = data;
    const int64_t n = job->X->shape[1], k = job->k, last = lode_i_min(n, (task + 1) * COLUMNS);
    (void)ctx;
    for (int64_t i = 0; i < job->rows; i++) {
        const double *x = row_of(job->X, job->first + i);
        const double *z = job->Z + (job->first + i) * k, *C = job->C + i * k * k;
        for (int64_t j = task * COLUMNS; j < last; j++)
            if (observed(x[j]))
                add_entry(job->sums + j * sums_width(k), x[j], z, C, k);
    }
    return LODE_OK;
}

/* w, mean of a column from its sums; the sums are replaced by what is left: expected squared
 * residual, count. */
static lode_status solve_task(lode_ctx *ctx, int64_t task, void *data)
{
    const columns_job *job = data;
    const int64_t n = job->X->shape[1], k = job->k, q = k + 1;
    (void)ctx;
    for (int64_t j = task * COLUMNS; j < lode_i_min(n, (task + 1) * COLUMNS); j++) {
        double *T = job->sums + j * sums_width(k), *b = T + q * q, *w = job->W + j * k;
        const double squares = b[q], count = b[q + 1];
        double left = squares;
        lode_i_small_factor(T, q, q, VANISHING);
        /* residual = x'x - |L^-1 b|^2 for the least-squares solution of T w = b */
        for (int64_t r = 0; r < q; r++) {
            for (int64_t p = 0; p < r; p++)
                b[r] -= T[r * q + p] * b[p];
            b[r] /= T[r * q + r];
            left -= b[r] * b[r];
        }
        for (int64_t r = q - 1; r >= 0; r--) {
            for (int64_t p = r + 1; p < q; p++)
                b[r] -= T[p * q + r] * b[p];
            b[r] /= T[r * q + r];
        }
        memcpy(w, b, (size_t)k * sizeof *w);
        job->mean[j] = b[k];
        T[0] = fmax(left, 1e-15 * squares); /* below this the difference is rounding */
        T[1] = count;
    }
    return LODE_OK;
}

/* ---- sweep ---- */

uint64_t lode_i_ppca_workspace(int64_t m, int64_t n, int64_t k)
{
    return lode_i_bytes(LODE_F64, n, sums_width(k)) +
           lode_i_bytes(LODE_F64, lode_i_min(m, ROWS), k * k) +
           lode_i_bytes(LODE_F64, 64 + 4, k * k + k) + lode_i_bytes(LODE_F64, n + 64, k + 1) +
           65536;
}

/* W <- W L, Z <- Z L^-T with L L^T the posterior second moment about its mean, which moves into
 * `mean`. */
static void expand(lode_ppca *p, const double *moment, const double *centre, double *L)
{
    const int64_t n = p->W.shape[0], k = p->W.shape[1], m = p->Z.shape[0];
    double *W = lode_i_at(&p->W, 0), *Z = lode_i_at(&p->Z, 0), *mean = lode_i_at(&p->mean, 0);
    memcpy(L, moment, (size_t)(k * k) * sizeof *L);
    lode_i_small_factor(L, k, k, VANISHING);
    for (int64_t c = 0; c < k; c++)
        if (!isfinite(L[c * k + c]))
            return; /* a direction without scores: nothing to rescale by */
    for (int64_t j = 0; j < n; j++) {
        double *w = W + j * k;
        for (int64_t c = 0; c < k; c++)
            mean[j] += w[c] * centre[c];
        for (int64_t c = 0; c < k; c++) { /* column c of L uses rows r >= c only: in place */
            double v = 0;
            for (int64_t r = c; r < k; r++)
                v += w[r] * L[r * k + c];
            w[c] = v;
        }
    }
    for (int64_t i = 0; i < m; i++) {
        double *z = Z + i * k;
        for (int64_t r = 0; r < k; r++) {
            z[r] -= centre[r];
            for (int64_t c = 0; c < r; c++)
                z[r] -= L[r * k + c] * z[c];
            z[r] /= L[r * k + r];
        }
    }
}

/* Second moment of the posterior over all rows so far, lower triangle, and its mean. */
static void add_moments(const rows_job *job, int64_t rows, double *moment, double *centre)
{
    const int64_t k = job->k;
    for (int64_t i = 0; i < rows; i++) {
        const double *z = job->Z + (job->first + i) * k, *C = job->C + i * k * k;
        add_outer(moment, z, k);
        for (int64_t r = 0; r < k; r++) {
            centre[r] += z[r];
            for (int64_t c = 0; c <= r; c++)
                moment[r * k + c] += C[r * k + c];
        }
    }
}

lode_status lode_i_ppca_sweep(lode_ctx *ctx, const lode_array *X, lode_ppca *p)
{
    lode_status st = LODE_OK;
    const int64_t m = X->shape[0], n = X->shape[1], k = p->W.shape[1];
    const int64_t workers = lode_ctx_threads(ctx), column_tasks = lode_i_ceil_div(n, COLUMNS);
    double *sums = NULL, *C = NULL, *scratch = NULL, *small = NULL;
    LODE_TRY(lode_i_calloc(ctx, (size_t)(n * sums_width(k)) * sizeof *sums, (void **)&sums));
    LODE_TRY(LODE_NEW(ctx, lode_i_min(m, ROWS) * k * k, &C));
    LODE_TRY(LODE_NEW(ctx, workers * (k * k + k), &scratch));
    LODE_TRY(lode_i_calloc(ctx, (size_t)(3 * k * k + 2 * k) * sizeof *small, (void **)&small));
    double *full = small, *moment = small + k * k, *L = small + 2 * k * k,
           *centre = small + 3 * k * k, *ridge = centre + k;
    for (int64_t c = 0; c < k; c++)
        ridge[c] = p->noise;
    rows_job rows = { X,
                      lode_i_at(&p->W, 0),
                      lode_i_at(&p->mean, 0),
                      ridge,
                      full,
                      k,
                      0,
                      p->noise,
                      lode_i_at(&p->Z, 0),
                      C,
                      scratch };
    columns_job columns = {
        X, lode_i_at(&p->Z, 0), C, k, 0, 0, sums, lode_i_at(&p->W, 0), lode_i_at(&p->mean, 0)
    };
    system_of(&rows, NULL, n, full);
    for (int64_t first = 0; first < m; first += ROWS) {
        const int64_t count = lode_i_min(ROWS, m - first);
        rows.first = columns.first = first;
        columns.rows = count;
        LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(count, CHUNK), rows_task, &rows));
        LODE_TRY(lode_i_parallel(ctx, column_tasks, columns_task, &columns));
        add_moments(&rows, count, moment, centre);
    }
    LODE_TRY(lode_i_parallel(ctx, column_tasks, solve_task, &columns));
    double left = 0, count = 0, squares = 0;
    for (int64_t j = 0; j < n; j++) {
        left += sums[j * sums_width(k)];
        count += sums[j * sums_width(k) + 1];
    }
    for (int64_t r = 0; r < k; r++)
        centre[r] /= (double)m;
    for (int64_t r = 0; r < k; r++)
        for (int64_t c = 0; c <= r; c++)
            moment[r * k + c] = moment[r * k + c] / (double)m - centre[r] * centre[c];
    expand(p, moment, centre, L);
    const double *W = lode_i_at(&p->W, 0);
    for (int64_t j = 0; j < n * k; j++)
        squares += W[j] * W[j];
    /* exact data would drive the noise to 0 and the systems to singular ones */
    p->noise = fmax(left / fmax(count, 1), 1e-20 * squares / (double)n);
    if (!(p->noise > 0))
        p->noise = 1e-300;
done:
    lode_i_free(sums);
    lode_i_free(C);
    lode_i_free(scratch);
    lode_i_free(small);
    return st;
}

lode_status lode_i_masked_scores(lode_ctx *ctx, const lode_array *X, const lode_array *mean,
                                 const lode_array *V, const lode_array *ridge, lode_array *Z)
{
    lode_status st = LODE_OK;
    const int64_t m = X->shape[0], n = X->shape[1], k = V->shape[1];
    lode_array z = { 0 };
    double *scratch = NULL, *full = NULL;
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, m, k, &z));
    LODE_TRY(LODE_NEW(ctx, (int64_t)lode_ctx_threads(ctx) * (k * k + k), &scratch));
    LODE_TRY(LODE_NEW(ctx, k * k, &full));
    rows_job rows = { X,
                      lode_i_at(V, 0),
                      lode_i_at(mean, 0),
                      lode_i_at(ridge, 0),
                      full,
                      k,
                      0,
                      0,
                      lode_i_at(&z, 0),
                      NULL,
                      scratch };
    system_of(&rows, NULL, n, full);
    for (rows.first = 0; rows.first < m; rows.first += ROWS)
        LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(lode_i_min(ROWS, m - rows.first), CHUNK),
                                 rows_task, &rows));
    lode_array_swap(Z, &z);
done:
    lode_i_free(scratch);
    lode_i_free(full);
    LODE_FREE(&z);
    return st;
}

/* ---- filling and residual ---- */

lode_status lode_i_masked_fill(lode_ctx *ctx, const lode_array *X, const lode_array *mean,
                               const lode_array *V, const lode_array *Z, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array Y = { 0 };
    const int64_t m = X->shape[0], n = X->shape[1], k = V->shape[1];
    LODE_TRY(lode_array_cast(ctx, X, LODE_F64, &Y));
    const double *mu = lode_i_at(mean, 0), *v = lode_i_at(V, 0);
    for (int64_t i = 0; i < m; i++) {
        double *y = lode_i_at(&Y, i * n);
        const double *z = lode_i_at(Z, i * k);
        for (int64_t j = 0; j < n; j++) {
            if (observed(y[j]))
                continue;
            y[j] = mu[j];
            for (int64_t c = 0; c < k; c++)
                y[j] += v[j * k + c] * z[c];
        }
    }
    lode_array_swap(out, &Y);
done:
    LODE_FREE(&Y);
    return st;
}

typedef struct residual_job {
    const lode_array *X;
    const double *mean, *V, *Z;
    int64_t k;
    double *sums; /* of each block of rows: residual, norm */
} residual_job;

static lode_status residual_task(lode_ctx *ctx, int64_t task, void *data)
{
    const residual_job *job = data;
    const int64_t m = job->X->shape[0], n = job->X->shape[1], k = job->k;
    double left = 0, all = 0;
    (void)ctx;
    for (int64_t i = task * CHUNK; i < lode_i_min(m, (task + 1) * CHUNK); i++) {
        const double *x = row_of(job->X, i), *z = job->Z + i * k;
        for (int64_t j = 0; j < n; j++) {
            if (!observed(x[j]))
                continue;
            double d = x[j] - job->mean[j];
            for (int64_t c = 0; c < k; c++)
                d -= job->V[j * k + c] * z[c];
            left += d * d;
            all += x[j] * x[j];
        }
    }
    job->sums[2 * task] = left;
    job->sums[2 * task + 1] = all;
    return LODE_OK;
}

lode_status lode_i_masked_residual(lode_ctx *ctx, const lode_array *X, const lode_array *mean,
                                   const lode_array *V, const lode_array *Z, double *residual,
                                   double *norm)
{
    lode_status st = LODE_OK;
    const int64_t tasks = lode_i_ceil_div(X->shape[0], CHUNK);
    double *sums = NULL, left = 0, all = 0;
    LODE_TRY(LODE_NEW(ctx, 2 * tasks, &sums));
    residual_job job = {
        X, lode_i_at(mean, 0), lode_i_at(V, 0), lode_i_at(Z, 0), V->shape[1], sums
    };
    LODE_TRY(lode_i_parallel(ctx, tasks, residual_task, &job));
    for (int64_t t = 0; t < tasks; t++)
        left += sums[2 * t], all += sums[2 * t + 1];
    *residual = sqrt(left);
    *norm = sqrt(all);
done:
    lode_i_free(sums);
    return st;
}
