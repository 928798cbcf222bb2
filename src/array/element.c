/* Element-wise work in place: scaling, adding, centring, filling. */
#include "array/walk.h"

#define NAME(x) f32_##x
#define REAL float
#include "array/element_kernel.inc"
#define NAME(x) f64_##x
#define REAL double
#include "array/element_kernel.inc"

enum { PIECE = 512 };
typedef enum action { SCALE, CONJ, AXPY, MUL, SUB } action;

typedef struct element_job {
    action what;
    lode_dtype dtype, operand; /* of the array, of the second operand */
    double alpha;
} element_job;

/* One run of real values; the second operand is f64, for AXPY of the array's own type. */
static void real_run(const element_job *job, void *y, int64_t ys, const void *x, int64_t xs,
                     int64_t n)
{
    const bool single = lode_i_is_single(job->dtype);
    switch (job->what) {
    case SCALE:
    case CONJ: single ? f32_scale(y, ys, n, job->alpha) : f64_scale(y, ys, n, job->alpha); break;
    case AXPY:
        single ? f32_axpy(y, ys, x, xs, n, job->alpha) : f64_axpy(y, ys, x, xs, n, job->alpha);
        break;
    case MUL: single ? f32_mul(y, ys, x, xs, n) : f64_mul(y, ys, x, xs, n); break;
    case SUB: single ? f32_sub(y, ys, x, xs, n) : f64_sub(y, ys, x, xs, n); break;
    }
}

/* A complex run is its real and its imaginary parts, or both at once where they lie together. */
static void complex_run(const element_job *job, void *y, int64_t ys, const void *x, int64_t xs,
                        int64_t n)
{
    const size_t part = lode_dtype_size(job->dtype) / 2;
    char *im = (char *)y + part;
    if (job->what == CONJ) {
        real_run(job, im, 2 * ys, NULL, 0, n);
        return;
    }
    if (job->what == SCALE) {
        if (ys == 1) {
            real_run(job, y, 1, NULL, 0, 2 * n);
            return;
        }
        real_run(job, y, 2 * ys, NULL, 0, n);
        real_run(job, im, 2 * ys, NULL, 0, n);
        return;
    }
    const bool both = lode_i_is_complex(job->operand);
    if (job->what == MUL && both) {
        if (lode_i_is_single(job->dtype))
            f32_cmul(y, ys, x, xs, n);
        else
            f64_cmul(y, ys, x, xs, n);
        return;
    }
    if (both && ys == 1 && xs == 1) {
        real_run(job, y, 1, x, 1, 2 * n);
        return;
    }
    const size_t x_part = job->what == AXPY ? part : sizeof(double);
    real_run(job, y, 2 * ys, x, both ? 2 * xs : xs, n);
    if (both)
        real_run(job, im, 2 * ys, (const char *)x + x_part, 2 * xs, n);
    else if (job->what == MUL)
        real_run(job, im, 2 * ys, x, xs, n);
}

static void element_run(const lode_run *run, void *data)
{
    const element_job *job = data;
    if (lode_i_is_complex(job->dtype))
        complex_run(job, run->p[0], run->step[0], run->p[1], run->step[1], run->count);
    else
        real_run(job, run->p[0], run->step[0], run->p[1], run->step[1], run->count);
}

/* y += alpha x where x has another type: a piece at a time through y's. */
static void mixed_run(const lode_run *run, void *data)
{
    element_job job = *(const element_job *)data;
    double piece[2 * PIECE];
    const lode_dtype via = lode_i_is_complex(job.operand) ? job.dtype : lode_i_real_of(job.dtype);
    const int64_t x_block = lode_dtype_block(job.operand),
                  x_size = (int64_t)lode_dtype_size(job.operand);
    const int64_t y_size = (int64_t)lode_dtype_size(job.dtype);
    for (int64_t i = 0; i < run->count; i += PIECE) {
        const int64_t n = lode_i_min(PIECE, run->count - i);
        const char *x = (const char *)run->p[1] + i * run->step[1] / x_block * x_size;
        lode_i_convert(job.operand, x, run->step[1], via, piece, 1, n);
        element_job direct = job;
        direct.operand = via;
        char *y = (char *)run->p[0] + i * run->step[0] * y_size;
        if (lode_i_is_complex(job.dtype))
            complex_run(&direct, y, run->step[0], piece, 1, n);
        else
            real_run(&direct, y, run->step[0], piece, 1, n);
    }
}

static lode_status require_arith(lode_ctx *ctx, const lode_array *a, const char *what)
{
    if (a->dtype != LODE_F32 && a->dtype != LODE_F64 && !lode_i_is_complex(a->dtype))
        return lode_i_fail(ctx, LODE_ETYPE, "%s takes f32, f64, c64 or c128, not %s; cast it first",
                           what, lode_dtype_name(a->dtype));
    return lode_i_require_writable(ctx, a, what);
}

lode_status lode_i_scale(lode_ctx *ctx, double alpha, lode_array *a)
{
    LODE_FORWARD(require_arith(ctx, a, "scaling"));
    element_job job = { .what = SCALE, .dtype = a->dtype, .alpha = alpha };
    lode_walk w;
    lode_i_walk_init(&w, true, 1, (const lode_array *const[]){ a });
    return lode_i_walk(ctx, &w, element_run, &job);
}

lode_status lode_i_conj(lode_ctx *ctx, lode_array *a)
{
    LODE_FORWARD(require_arith(ctx, a, "conjugating"));
    if (!lode_i_is_complex(a->dtype))
        return LODE_OK;
    element_job job = { .what = CONJ, .dtype = a->dtype, .alpha = -1 };
    lode_walk w;
    lode_i_walk_init(&w, true, 1, (const lode_array *const[]){ a });
    return lode_i_walk(ctx, &w, element_run, &job);
}

lode_status lode_i_axpy(lode_ctx *ctx, double alpha, const lode_array *x, lode_array *y)
{
    LODE_FORWARD(require_arith(ctx, y, "adding"));
    LODE_FORWARD(lode_i_same_shape(ctx, x, y, "adding"));
    if (lode_i_is_complex(x->dtype) && !lode_i_is_complex(y->dtype))
        return lode_i_fail(ctx, LODE_ETYPE, "cannot add %s values to an array of %s",
                           lode_dtype_name(x->dtype), lode_dtype_name(y->dtype));
    element_job job = { .what = AXPY, .dtype = y->dtype, .operand = x->dtype, .alpha = alpha };
    lode_walk w;
    lode_i_walk_init(&w, true, 2, (const lode_array *const[]){ y, x });
    return lode_i_walk(ctx, &w, x->dtype == y->dtype ? element_run : mixed_run, &job);
}

/* a op= vector spread along every axis but `axis`. */
static lode_status with_vector(lode_ctx *ctx, action what, const char *name, lode_array *a,
                               const lode_array *v, int axis)
{
    lode_status st = LODE_OK;
    lode_array wide = { 0 };
    LODE_TRY(require_arith(ctx, a, name));
    LODE_REQUIRE(a->ndim >= 1, LODE_ESHAPE, "%s takes an array of at least 1 dimension", name);
    LODE_REQUIRE(v->ndim == 1 && v->shape[0] == a->shape[axis], LODE_ESHAPE,
                 "%s takes a vector of %" PRId64 " values, one for each place on axis %d", name,
                 a->shape[axis], axis);
    LODE_REQUIRE(lode_i_is_complex(a->dtype) || !lode_i_is_complex(v->dtype), LODE_ETYPE,
                 "%s an array of %s takes a real vector, not %s", name, lode_dtype_name(a->dtype),
                 lode_dtype_name(v->dtype));
    LODE_TRY(lode_i_as(ctx, v, lode_i_is_complex(v->dtype) ? LODE_C128 : LODE_F64, &wide));
    const lode_array spread = lode_i_spread(&wide, axis, a);
    element_job job = { .what = what, .dtype = a->dtype, .operand = wide.dtype };
    lode_walk w;
    lode_i_walk_init(&w, true, 2, (const lode_array *const[]){ a, &spread });
    LODE_TRY(lode_i_walk(ctx, &w, element_run, &job));
done:
    lode_array_free(&wide);
    return st;
}

lode_status lode_i_scale_cols(lode_ctx *ctx, lode_array *a, const lode_array *d)
{
    return with_vector(ctx, MUL, "scaling columns", a, d, a->ndim - 1);
}

lode_status lode_i_scale_rows(lode_ctx *ctx, lode_array *a, const lode_array *d)
{
    return with_vector(ctx, MUL, "scaling rows", a, d, 0);
}

lode_status lode_i_sub_row(lode_ctx *ctx, lode_array *a, const lode_array *row)
{
    return with_vector(ctx, SUB, "subtracting a row", a, row, a->ndim - 1);
}

/* ---- filling ---- */

enum { PATTERN = 256 };
typedef struct fill_job {
    lode_dtype dtype;
    double pattern[2 * PATTERN]; /* PATTERN values of dtype */
} fill_job;

static void fill_run(const lode_run *run, void *data)
{
    const fill_job *job = data;
    const int64_t block = lode_dtype_block(job->dtype), size = (int64_t)lode_dtype_size(job->dtype);
    for (int64_t i = 0; i < run->count; i += PATTERN)
        lode_i_convert(job->dtype, job->pattern, 1, job->dtype,
                       (char *)run->p[0] + i * run->step[0] / block * size, run->step[0],
                       lode_i_min(PATTERN, run->count - i));
}

lode_status lode_i_fill(lode_ctx *ctx, lode_array *a, double v)
{
    LODE_FORWARD(lode_i_require_writable(ctx, a, "filling"));
    fill_job job = { .dtype = a->dtype };
    double values[PATTERN];
    for (int i = 0; i < PATTERN; i++)
        values[i] = v;
    lode_i_convert(LODE_F64, values, 1, a->dtype, job.pattern, 1, PATTERN);
    lode_walk w;
    lode_i_walk_init(&w, true, 1, (const lode_array *const[]){ a });
    return lode_i_walk(ctx, &w, fill_run, &job);
}

lode_status lode_i_eye(lode_ctx *ctx, lode_dtype dtype, int64_t n, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 };
    LODE_TRY(lode_array_zeros(ctx, dtype, 2, (const int64_t[]){ n, n }, &a));
    lode_array diagonal = a;
    diagonal.owner = NULL;
    diagonal.ndim = 1;
    diagonal.strides[0] = n + 1;
    LODE_REQUIRE(lode_dtype_block(dtype) == 1, LODE_ETYPE,
                 "an identity of type %s cannot be made; cast it", lode_dtype_name(dtype));
    LODE_TRY(lode_i_fill(ctx, &diagonal, 1));
    lode_array_swap(out, &a);
done:
    lode_array_free(&a);
    return st;
}
