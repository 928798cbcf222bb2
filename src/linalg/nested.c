/* Errors of all truncations of a product at once: what validation of a rank takes. Residuals are
 * formed, nothing cancels; a task takes rows and pieces of columns, sums join in order. */
#include "linalg/masked.h"

#include <string.h>

enum { ROWS = 32, PIECE = 512 };

typedef struct nested_job {
    const double *A, *W, *L, *R;
    int64_t m, n, K;
    double *sums; /* K + 1 of each task */
} nested_job;

/* d -= l r, and the sum of w d^2 in eight lanes. */
LODE_CLONES static double step(double *restrict d, const double *restrict r,
                               const double *restrict w, double l, int64_t n)
{
    double lane[8] = { 0 };
    int64_t j = 0;
    if (w) {
        for (; j + 8 <= n; j += 8)
            for (int64_t q = 0; q < 8; q++) {
                d[j + q] -= l * r[j + q];
                lane[q] += w[j + q] * d[j + q] * d[j + q];
            }
    } else {
        for (; j + 8 <= n; j += 8)
            for (int64_t q = 0; q < 8; q++) {
                d[j + q] -= l * r[j + q];
                lane[q] += d[j + q] * d[j + q];
            }
    }
    double sum = ((lane[0] + lane[4]) + (lane[1] + lane[5])) +
                 ((lane[2] + lane[6]) + (lane[3] + lane[7]));
    for (; j < n; j++) {
        d[j] -= l * r[j];
        sum += (w ? w[j] : 1) * d[j] * d[j];
    }
    return sum;
}

static lode_status nested_task(lode_ctx *ctx, int64_t task, void *data)
{
    (void)ctx;
    const nested_job *job = data;
    const int64_t n = job->n, K = job->K, end = lode_i_min((task + 1) * ROWS, job->m);
    double *sums = job->sums + task * (K + 1), d[PIECE];
    static const double zeros[PIECE] = { 0 };
    memset(sums, 0, (size_t)(K + 1) * sizeof *sums);
    for (int64_t j = 0; j < n; j += PIECE) {
        const int64_t some = lode_i_min(PIECE, n - j);
        for (int64_t i = task * ROWS; i < end; i++) {
            const double *w = job->W ? job->W + i * n + j : NULL;
            memcpy(d, job->A + i * n + j, (size_t)some * sizeof *d);
            sums[0] += step(d, zeros, w, 0, some);
            for (int64_t k = 0; k < K; k++)
                sums[k + 1] += step(d, job->R + k * n + j, w, job->L[i * K + k], some);
        }
    }
    return LODE_OK;
}

lode_status lode_i_nested_errors(lode_ctx *ctx, const lode_array *A, const lode_array *W,
                                 const lode_array *L, const lode_array *R, double *errors)
{
    lode_status st = LODE_OK;
    const int64_t tasks = lode_i_ceil_div(A->shape[0], ROWS), K = L->shape[1];
    nested_job job = { .A = lode_i_at(A, 0),
                       .W = W ? lode_i_at(W, 0) : NULL,
                       .L = lode_i_at(L, 0),
                       .R = lode_i_at(R, 0),
                       .m = A->shape[0],
                       .n = A->shape[1],
                       .K = K };
    LODE_TRY(LODE_NEW(ctx, lode_i_max(tasks, 1) * (K + 1), &job.sums));
    LODE_TRY(lode_i_parallel(ctx, tasks, nested_task, &job));
    memset(errors, 0, (size_t)(K + 1) * sizeof *errors);
    for (int64_t t = 0; t < tasks; t++)
        for (int64_t k = 0; k <= K; k++)
            errors[k] += job.sums[t * (K + 1) + k];
done:
    lode_i_free(job.sums);
    return st;
}
