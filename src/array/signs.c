/* Canonical signs: the largest entry of each column made positive real. */
#include "array/scalar.h"
#include "array/walk.h"

enum { TASKS = 64, PIECE = 128 };

typedef struct signs_job {
    const lode_array *u;
    int64_t task_rows;
    double *best; /* tasks x cols: largest |entry| */
    int64_t *row; /* where; -1: all zero */
} signs_job;

static void look(const double *z, bool complex, int64_t n, int64_t i, double *best, int64_t *row)
{
    for (int64_t j = 0; j < n; j++) {
        const double size = complex ? modulus(z[2 * j], z[2 * j + 1]) : fabs(z[j]);
        if (size > best[j])
            best[j] = size, row[j] = i;
    }
}

static lode_status find_largest(lode_ctx *ctx, int64_t task, void *data)
{
    (void)ctx;
    const signs_job *job = data;
    const lode_array *u = job->u;
    const bool complex = lode_i_is_complex(u->dtype);
    const int64_t cols = u->shape[1], from = task * job->task_rows;
    const int64_t to = lode_i_min(from + job->task_rows, u->shape[0]);
    double *best = job->best + task * cols;
    int64_t *row = job->row + task * cols;
    for (int64_t j = 0; j < cols; j++)
        best[j] = 0, row[j] = -1;
    for (int64_t i = from; i < to; i++)
        for (int64_t j = 0; j < cols; j += PIECE) {
            double z[2 * PIECE];
            const int64_t n = lode_i_min(PIECE, cols - j);
            lode_i_convert(u->dtype, lode_i_at(u, i * u->strides[0] + j * u->strides[1]),
                           u->strides[1], complex ? LODE_C128 : LODE_F64, z, 1, n);
            look(z, complex, n, i, best + j, row + j);
        }
    return LODE_OK;
}

/* Of equal entries the first task's, so the first row's, stays. */
static void join_tasks(const signs_job *job, int64_t tasks)
{
    const int64_t cols = job->u->shape[1];
    for (int64_t t = 1; t < tasks; t++)
        for (int64_t j = 0; j < cols; j++)
            if (job->best[t * cols + j] > job->best[j]) {
                job->best[j] = job->best[t * cols + j];
                job->row[j] = job->row[t * cols + j];
            }
}

/* conj(z)/|z| of each column's largest entry; true when one of them is not 1. */
static bool find_phases(const signs_job *job, double *phase)
{
    const lode_array *u = job->u;
    bool needed = false;
    for (int64_t j = 0; j < u->shape[1]; j++) {
        double z[2] = { 1, 0 };
        if (job->row[j] >= 0) {
            lode_i_convert(u->dtype, lode_i_at(u, job->row[j] * u->strides[0] + j * u->strides[1]),
                           1, LODE_C128, z, 1, 1);
            z[0] /= job->best[j], z[1] /= -job->best[j];
        }
        needed = needed || z[0] < 1 || z[1] < 0 || z[1] > 0;
        if (lode_i_is_complex(u->dtype))
            phase[2 * j] = z[0], phase[2 * j + 1] = z[1];
        else
            phase[j] = z[0];
    }
    return needed;
}

lode_status lode_i_canonical_signs(lode_ctx *ctx, lode_array *U, lode_array *V)
{
    lode_status st = LODE_OK;
    lode_array phase = { 0 };
    const bool complex = lode_i_is_complex(U->dtype);
    signs_job job = { .u = U };
    LODE_REQUIRE(U->ndim == 2 && (!V || V->ndim == 2), LODE_ESHAPE,
                 "canonical signs take matrices");
    LODE_REQUIRE(!V || V->shape[1] == U->shape[1], LODE_ESHAPE,
                 "canonical signs take as many columns in V (%" PRId64 ") as in U (%" PRId64 ")",
                 V->shape[1], U->shape[1]);
    const int64_t cols = U->shape[1];
    if (cols == 0 || U->shape[0] == 0)
        goto done;
    job.task_rows = lode_i_max(lode_i_ceil_div(1 << 16, cols), lode_i_ceil_div(U->shape[0], TASKS));
    const int64_t tasks = lode_i_ceil_div(U->shape[0], job.task_rows);
    LODE_TRY(LODE_NEW(ctx, tasks * cols, &job.best));
    LODE_TRY(LODE_NEW(ctx, tasks * cols, &job.row));
    LODE_TRY(lode_i_vector_new(ctx, complex ? LODE_C128 : LODE_F64, cols, &phase));
    LODE_TRY(lode_i_parallel(ctx, tasks, find_largest, &job));
    join_tasks(&job, tasks);
    if (!find_phases(&job, phase.data))
        goto done;
    if (V)
        LODE_TRY(lode_i_scale_cols(ctx, V, &phase));
    LODE_TRY(lode_i_scale_cols(ctx, U, &phase));
    for (int64_t j = 0; complex && j < cols;
         j++) /* exactly real, whatever the rounding of the product */
        if (job.row[j] >= 0)
            lode_i_convert(LODE_F64, &job.best[j], 1, U->dtype,
                           lode_i_at(U, job.row[j] * U->strides[0] + j * U->strides[1]), 1, 1);
done:
    lode_array_free(&phase);
    lode_i_free(job.best);
    lode_i_free(job.row);
    return st;
}
