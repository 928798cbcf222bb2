/* Loops over arrays of one shape. */
#include "array/walk.h"

enum { CHUNK = 1 << 15 };

static int64_t magnitude(int64_t x)
{
    return x < 0 ? -x : x;
}

static void exchange(int64_t *a, int64_t *b)
{
    const int64_t t = *a;
    *a = *b;
    *b = t;
}

/* Largest steps of the first operand outermost; stable, so equal steps keep their order. */
static void sort_axes(lode_walk *w)
{
    for (int i = 1; i < w->ndim; i++)
        for (int j = i; j > 0 && magnitude(w->strides[0][j - 1]) < magnitude(w->strides[0][j]);
             j--) {
            exchange(&w->shape[j - 1], &w->shape[j]);
            for (int k = 0; k < w->operands; k++)
                exchange(&w->strides[k][j - 1], &w->strides[k][j]);
        }
}

static bool mergeable(const lode_walk *w, int outer, int inner)
{
    for (int k = 0; k < w->operands; k++)
        if (w->strides[k][outer] != w->strides[k][inner] * w->shape[inner])
            return false;
    return true;
}

void lode_i_walk_init(lode_walk *w, bool any_order, int operands, const lode_array *const *arrays)
{
    *w = (lode_walk){ .operands = operands, .size = lode_array_size(arrays[0]) };
    for (int k = 0; k < operands; k++) {
        w->array[k] = arrays[k];
        any_order = any_order && lode_dtype_block(arrays[k]->dtype) == 1;
    }
    if (w->size == 0)
        return;
    for (int i = 0; i < arrays[0]->ndim; i++) {
        if (arrays[0]->shape[i] == 1)
            continue;
        w->shape[w->ndim] = arrays[0]->shape[i];
        for (int k = 0; k < operands; k++)
            w->strides[k][w->ndim] = arrays[k]->strides[i];
        w->ndim++;
    }
    if (any_order)
        sort_axes(w);
    int last = 0;
    for (int i = 1; i < w->ndim; i++) {
        if (mergeable(w, last, i)) {
            w->shape[last] *= w->shape[i];
        } else {
            last++;
            w->shape[last] = w->shape[i];
        }
        for (int k = 0; k < operands; k++)
            w->strides[k][last] = w->strides[k][i];
    }
    if (w->ndim == 0) { /* one value */
        w->shape[0] = 1;
        for (int k = 0; k < operands; k++)
            w->strides[k][0] = 1;
    }
    w->ndim = last + 1;
}

void lode_i_walk_range(const lode_walk *w, int64_t from, int64_t to, lode_run_fn fn, void *data)
{
    int64_t index[LODE_MAX_NDIM], offset[LODE_WALK_OPERANDS] = { 0 };
    if (from >= to)
        return;
    const int inner = w->ndim - 1;
    int64_t rest = from;
    for (int i = inner; i >= 0; i--) {
        index[i] = rest % w->shape[i];
        rest /= w->shape[i];
        for (int k = 0; k < w->operands; k++)
            offset[k] += index[i] * w->strides[k][i];
    }
    lode_run run = { .flat = from };
    for (int k = 0; k < w->operands; k++)
        run.step[k] = w->strides[k][inner];
    while (run.flat < to) {
        run.count = lode_i_min(w->shape[inner] - index[inner], to - run.flat);
        for (int k = 0; k < w->operands; k++) {
            run.p[k] = lode_i_at(w->array[k], offset[k]);
            offset[k] += run.count * w->strides[k][inner];
        }
        fn(&run, data);
        run.flat += run.count;
        index[inner] += run.count;
        for (int i = inner; i > 0 && index[i] == w->shape[i]; i--) {
            index[i] = 0;
            index[i - 1]++;
            for (int k = 0; k < w->operands; k++)
                offset[k] += w->strides[k][i - 1] - w->shape[i] * w->strides[k][i];
        }
    }
}

typedef struct walk_job {
    const lode_walk *walk;
    lode_run_fn fn;
    void *data;
} walk_job;

static lode_status walk_chunk(lode_ctx *ctx, int64_t i, void *data)
{
    (void)ctx;
    const walk_job *job = data;
    lode_i_walk_range(job->walk, i * CHUNK, lode_i_min((i + 1) * CHUNK, job->walk->size), job->fn,
                      job->data);
    return LODE_OK;
}

lode_status lode_i_walk(lode_ctx *ctx, const lode_walk *w, lode_run_fn fn, void *data)
{
    walk_job job = { w, fn, data };
    return lode_i_parallel(ctx, lode_i_ceil_div(w->size, CHUNK), walk_chunk, &job);
}

lode_status lode_i_same_shape(lode_ctx *ctx, const lode_array *a, const lode_array *b,
                              const char *what)
{
    bool same = a->ndim == b->ndim && !a->data == !b->data;
    for (int i = 0; same && i < a->ndim; i++)
        same = a->shape[i] == b->shape[i];
    if (same)
        return LODE_OK;
    char x[128], y[128];
    lode_i_print_shape(a->ndim, a->shape, x, sizeof x);
    lode_i_print_shape(b->ndim, b->shape, y, sizeof y);
    return lode_i_fail(ctx, LODE_ESHAPE, "%s takes equal shapes, not %s and %s", what, x, y);
}

lode_array lode_i_spread(const lode_array *vector, int axis, const lode_array *like)
{
    lode_array v = *vector;
    v.owner = NULL;
    v.ndim = like->ndim;
    for (int i = 0; i < like->ndim; i++) {
        v.shape[i] = like->shape[i];
        v.strides[i] = i == axis ? vector->strides[0] : 0;
    }
    return v;
}

lode_status lode_i_require_writable(lode_ctx *ctx, const lode_array *a, const char *what)
{
    for (int i = 0; i < a->ndim; i++)
        if (a->strides[i] == 0 && a->shape[i] > 1)
            return lode_i_fail(ctx, LODE_EUSAGE,
                               "%s cannot write to an array repeated along axis %d; copy it first",
                               what, i);
    return LODE_OK;
}
