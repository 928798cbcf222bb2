/* Arrays: who owns the memory, and how views look at it. */
#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "array/walk.h"

/* For our own arrays the values follow the owner in one block; HEADER keeps them on 64 bytes. */
struct lode_owner {
    _Atomic int64_t count;
    void (*release)(void *); /* NULL: the values lie in this block */
    void *data;
};
#define HEADER 64
static_assert(sizeof(struct lode_owner) <= HEADER, "the owner fits before the values");

static void drop(struct lode_owner *owner)
{
    if (!owner || atomic_fetch_sub_explicit(&owner->count, 1, memory_order_acq_rel) != 1)
        return;
    if (owner->release)
        owner->release(owner->data);
    lode_i_free(owner);
}

static void row_major(lode_array *a)
{
    int64_t stride = 1;
    for (int i = a->ndim - 1; i >= 0; i--) {
        a->strides[i] = stride;
        stride *= lode_i_max(a->shape[i], 1);
    }
}

/* Bytes of a new array, or a sentence naming the shape. */
static lode_status measure(lode_ctx *ctx, lode_dtype dtype, int ndim, const int64_t *shape,
                           int64_t *bytes)
{
    char text[256];
    if ((unsigned)dtype >= (unsigned)LODE_DTYPE_COUNT)
        return lode_i_fail(ctx, LODE_ETYPE, "an array cannot have type %d: there is no such type",
                           (int)dtype);
    if (ndim < 0 || ndim > LODE_MAX_NDIM)
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "an array cannot have %d dimensions: 0 to %d are possible", ndim,
                           LODE_MAX_NDIM);
    lode_i_print_shape(ndim, shape, text, sizeof text);
    const int64_t block = lode_dtype_block(dtype);
    /* Lengths of 0 count as 1, so that strides of empty arrays cannot overflow either. */
    int64_t values = 1;
    bool fits = true;
    for (int i = 0; i < ndim; i++) {
        if (shape[i] < 0)
            return lode_i_fail(ctx, LODE_ESHAPE, "shape %s has a negative length on axis %d", text,
                               i);
        fits = fits && lode_i_mul(values, lode_i_max(shape[i], 1), &values);
    }
    if (!fits ||
        !lode_i_mul(lode_i_ceil_div(values, block), (int64_t)lode_dtype_size(dtype), bytes) ||
        *bytes > INT64_MAX - HEADER)
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "shape %s of %s is too large: its bytes do not fit in 63 bits", text,
                           lode_dtype_name(dtype));
    if (block > 1 && (ndim == 0 || shape[ndim - 1] % block))
        return lode_i_fail(
            ctx, LODE_ESHAPE,
            "shape %s does not fit type %s: the last axis must be a multiple of %d values", text,
            lode_dtype_name(dtype), (int)block);
    for (int i = 0; i < ndim; i++)
        if (shape[i] == 0)
            *bytes = 1; /* data stays non-NULL: an empty array differs from { 0 } */
    return LODE_OK;
}

static lode_status make(lode_ctx *ctx, lode_dtype dtype, int ndim, const int64_t *shape, bool zero,
                        lode_array *out)
{
    int64_t bytes = 0;
    LODE_FORWARD(measure(ctx, dtype, ndim, shape, &bytes));
    void *block = NULL;
    const size_t size = (size_t)bytes + HEADER;
    LODE_FORWARD(zero ? lode_i_calloc(ctx, size, &block) : lode_i_alloc(ctx, size, &block));
    struct lode_owner *owner = block;
    owner->release = NULL;
    owner->data = NULL;
    atomic_init(&owner->count, 1);
    lode_array a = { .data = (char *)block + HEADER, .owner = owner, .dtype = dtype, .ndim = ndim };
    for (int i = 0; i < ndim; i++)
        a.shape[i] = shape[i];
    row_major(&a);
    lode_array_swap(out, &a);
    lode_array_free(&a);
    return LODE_OK;
}

lode_status lode_array_new(lode_ctx *ctx, lode_dtype dtype, int ndim, const int64_t *shape,
                           lode_array *out)
{
    return make(ctx, dtype, ndim, shape, false, out);
}

lode_status lode_array_zeros(lode_ctx *ctx, lode_dtype dtype, int ndim, const int64_t *shape,
                             lode_array *out)
{
    return make(ctx, dtype, ndim, shape, true, out);
}

lode_array lode_array_wrap(void *data, lode_dtype dtype, int ndim, const int64_t *shape)
{
    lode_array a = { .data = data, .dtype = dtype, .ndim = ndim };
    if (!data || ndim < 0 || ndim > LODE_MAX_NDIM)
        return (lode_array){ 0 };
    for (int i = 0; i < ndim; i++)
        a.shape[i] = shape[i];
    row_major(&a);
    return a;
}

lode_status lode_array_adopt(lode_ctx *ctx, const lode_array *view, void (*release)(void *),
                             void *data_owner, lode_array *out)
{
    if (!release)
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "adopting memory takes a release function; use lode_array_wrap "
                           "for memory that outlives the array");
    void *block = NULL;
    LODE_FORWARD(lode_i_alloc(ctx, sizeof(struct lode_owner), &block));
    struct lode_owner *owner = block;
    owner->release = release;
    owner->data = data_owner;
    atomic_init(&owner->count, 1);
    lode_array a = *view;
    a.owner = owner;
    lode_array_swap(out, &a);
    lode_array_free(&a);
    return LODE_OK;
}

lode_array lode_array_ref(const lode_array *a)
{
    if (a->owner)
        atomic_fetch_add_explicit(&a->owner->count, 1, memory_order_relaxed);
    return *a;
}

void lode_array_free(lode_array *a)
{
    if (!a)
        return;
    drop(a->owner);
    *a = (lode_array){ 0 };
}

void lode_array_swap(lode_array *a, lode_array *b)
{
    const lode_array t = *a;
    *a = *b;
    *b = t;
}

int64_t lode_array_size(const lode_array *a)
{
    if (!a->data)
        return 0;
    int64_t n = 1;
    for (int i = 0; i < a->ndim; i++)
        n *= a->shape[i];
    return n;
}

size_t lode_array_bytes(const lode_array *a)
{
    return (size_t)(lode_array_size(a) / lode_dtype_block(a->dtype)) * lode_dtype_size(a->dtype);
}

bool lode_array_is_contiguous(const lode_array *a)
{
    int64_t stride = 1;
    for (int i = 0; i < a->ndim; i++)
        if (a->shape[i] == 0)
            return true;
    for (int i = a->ndim - 1; i >= 0; i--) {
        if (a->shape[i] != 1 && a->strides[i] != stride)
            return false;
        stride *= a->shape[i];
    }
    return true;
}

void lode_i_print_shape(int ndim, const int64_t *shape, char *text, size_t size)
{
    size_t at = 0;
    if (ndim == 0)
        (void)snprintf(text, size, "()");
    for (int i = 0; i < ndim && at < size; i++) {
        const int n = snprintf(text + at, size - at, i ? " x %" PRId64 : "%" PRId64, shape[i]);
        at += n > 0 ? (size_t)n : 0;
    }
}

void lode_i_print_index(int ndim, const int64_t *shape, int64_t flat, char *text, size_t size)
{
    int64_t index[LODE_MAX_NDIM] = { 0 };
    for (int i = ndim - 1; i >= 0; i--) {
        index[i] = shape[i] > 0 ? flat % shape[i] : 0;
        flat = shape[i] > 0 ? flat / shape[i] : 0;
    }
    size_t at = 0;
    for (int i = 0; i < ndim && at < size; i++) {
        const int n = snprintf(text + at, size - at, i ? ",%" PRId64 : "[%" PRId64, index[i]);
        at += n > 0 ? (size_t)n : 0;
    }
    if (at < size)
        (void)snprintf(text + at, size - at, ndim ? "]" : "[]");
}

/* ---- views ---- */

/* Commits a view of `a`; out may be `a` itself. */
static void commit_view(const lode_array *a, lode_array view, lode_array *out)
{
    view.owner = a->owner;
    lode_array held = lode_array_ref(&view);
    lode_array_swap(out, &held);
    lode_array_free(&held);
}

lode_status lode_i_slice_count(lode_ctx *ctx, int axis, int64_t n, int64_t start, int64_t stop,
                               int64_t step, int64_t *count)
{
    const int64_t low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n;
    if (step == 0)
        return lode_i_fail(ctx, LODE_EPARAM, "cannot slice axis %d by a step of 0", axis);
    if (start < low || start > high || stop < low || stop > high)
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "slice %" PRId64 ":%" PRId64 ":%" PRId64
                           " is outside axis %d, which has %" PRId64 " values",
                           start, stop, step, axis, n);
    const int64_t length = step > 0 ? stop - start : start - stop;
    const uint64_t stride = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    *count = length > 0 ? (int64_t)((uint64_t)(length - 1) / stride) + 1 : 0;
    return LODE_OK;
}

lode_status lode_array_slice(lode_ctx *ctx, const lode_array *a, int axis, int64_t start,
                             int64_t stop, int64_t step, lode_array *out)
{
    if (axis < 0 || axis >= a->ndim)
        return lode_i_fail(ctx, LODE_ESHAPE, "cannot slice axis %d: the array has %d dimensions",
                           axis, (int)a->ndim);
    int64_t count = 0;
    LODE_FORWARD(lode_i_slice_count(ctx, axis, a->shape[axis], start, stop, step, &count));
    const int64_t block = lode_dtype_block(a->dtype);
    if (block > 1 && axis == a->ndim - 1 && (step != 1 || start % block || count % block))
        return lode_i_fail(
            ctx, LODE_ESHAPE,
            "type %s is cut along the last axis at multiples of %d values only, not %" PRId64
            ":%" PRId64 ":%" PRId64 "; cast it first",
            lode_dtype_name(a->dtype), (int)block, start, stop, step);
    lode_array view = *a;
    view.shape[axis] = count;
    if (count > 0) /* else the pointer stays: it could leave the block */
        view.data = lode_i_at(a, start * a->strides[axis]);
    if (count > 1)
        view.strides[axis] = a->strides[axis] * step;
    commit_view(a, view, out);
    return LODE_OK;
}

lode_status lode_array_permute(lode_ctx *ctx, const lode_array *a, const int *axes, lode_array *out)
{
    uint32_t seen = 0;
    lode_array view = *a;
    for (int i = 0; i < a->ndim; i++) {
        if (axes[i] < 0 || axes[i] >= a->ndim || (seen >> axes[i] & 1))
            return lode_i_fail(ctx, LODE_ESHAPE,
                               "axis %d at place %d is not part of a permutation of %d axes",
                               axes[i], i, (int)a->ndim);
        seen |= UINT32_C(1) << axes[i];
        view.shape[i] = a->shape[axes[i]];
        view.strides[i] = a->strides[axes[i]];
    }
    if (lode_dtype_block(a->dtype) > 1 && axes[a->ndim - 1] != a->ndim - 1)
        return lode_i_fail(ctx, LODE_ESHAPE, "type %s must keep its last axis last; cast it first",
                           lode_dtype_name(a->dtype));
    commit_view(a, view, out);
    return LODE_OK;
}

/* Strides of `shape` over the values of `a` in order, where a view can have them. Runs of old axes
 * that lie evenly in memory are matched with runs of new axes of the same number of values. */
static bool view_strides(const lode_array *a, int ndim, const int64_t *shape, int64_t *strides)
{
    int i = 0, j = 0; /* old and new axes done */
    while (j < ndim) {
        int64_t have = 1, want = shape[j];
        int i1 = i, j1 = j + 1;
        if (i < a->ndim)
            have = a->shape[i1++];
        while (have != want) {
            if (have < want) {
                if (i1 == a->ndim)
                    return false;
                have *= a->shape[i1++];
            } else {
                if (j1 == ndim)
                    return false;
                want *= shape[j1++];
            }
        }
        /* Old axes of length 1 that close a run stay in it: they have no say. */
        while (i1 < a->ndim && a->shape[i1] == 1)
            i1++;
        int64_t stride = 0, expected = 0;
        bool first = true;
        for (int k = i1 - 1; k >= i; k--) {
            if (a->shape[k] == 1)
                continue;
            if (first)
                stride = expected = a->strides[k];
            else if (a->strides[k] != expected)
                return false;
            first = false;
            expected *= a->shape[k];
        }
        if (first)
            stride = 1;
        for (int k = j1 - 1; k >= j; k--) {
            strides[k] = stride;
            stride *= shape[k];
        }
        i = i1, j = j1;
    }
    return true;
}

lode_status lode_array_reshape(lode_ctx *ctx, const lode_array *a, int ndim, const int64_t *shape,
                               lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array view = *a, copy = { 0 };
    char from[256], to[256];
    int64_t values = 1, bytes = 0;
    int inferred = -1;
    const int64_t size = lode_array_size(a);

    LODE_REQUIRE(ndim >= 0 && ndim <= LODE_MAX_NDIM, LODE_ESHAPE,
                 "cannot reshape to %d dimensions: 0 to %d are "
                 "possible",
                 ndim, LODE_MAX_NDIM);
    lode_i_print_shape(a->ndim, a->shape, from, sizeof from);
    lode_i_print_shape(ndim, shape, to, sizeof to);
    view.ndim = ndim;
    for (int i = 0; i < ndim; i++) {
        view.shape[i] = shape[i];
        if (shape[i] == -1 && inferred < 0) {
            inferred = i;
            continue;
        }
        LODE_REQUIRE(shape[i] >= 0, LODE_ESHAPE,
                     "cannot reshape to %s: axis %d is negative (one -1 is inferred)", to, i);
        LODE_REQUIRE(lode_i_mul(values, shape[i], &values), LODE_ESHAPE,
                     "cannot reshape to %s: it is too large", to);
    }
    if (inferred >= 0) {
        LODE_REQUIRE(values > 0 && size % values == 0, LODE_ESHAPE,
                     "cannot reshape %s to %s: no length on axis %d gives %" PRId64 " values", from,
                     to, inferred, size);
        view.shape[inferred] = size / values;
        values = size;
    }
    LODE_REQUIRE(values == size, LODE_ESHAPE,
                 "cannot reshape %s to %s: %" PRId64 " values are not %" PRId64, from, to, size,
                 values);
    /* packed types need their blocks whole */
    LODE_TRY(measure(ctx, a->dtype, ndim, view.shape, &bytes));
    if (size == 0 || lode_array_is_contiguous(a)) {
        row_major(&view);
        commit_view(a, view, out);
    } else if (view_strides(a, ndim, view.shape, view.strides) &&
               (lode_dtype_block(a->dtype) == 1 || view.strides[ndim - 1] == 1)) {
        commit_view(a, view, out);
    } else {
        LODE_TRY(lode_array_cast(ctx, a, a->dtype, &copy));
        view.data = copy.data;
        row_major(&view);
        commit_view(&copy, view, out);
    }
done:
    lode_array_free(&copy);
    return st;
}

static lode_array part(const lode_array *a, int axis, int64_t start, int64_t stop)
{
    assert(a->ndim == 2 && start >= 0 && start <= stop && stop <= a->shape[axis]);
    lode_array view = lode_array_ref(a);
    if (stop > start)
        view.data = lode_i_at(a, start * a->strides[axis]);
    view.shape[axis] = stop - start;
    return view;
}

lode_array lode_i_rows(const lode_array *a, int64_t start, int64_t stop)
{
    return part(a, 0, start, stop);
}

lode_array lode_i_cols(const lode_array *a, int64_t start, int64_t stop)
{
    assert(lode_dtype_block(a->dtype) == 1);
    return part(a, 1, start, stop);
}

lode_array lode_i_column(const lode_array *a, int64_t j)
{
    assert(a->ndim == 2 && lode_dtype_block(a->dtype) == 1 && j >= 0 && j < a->shape[1]);
    lode_array t = *a;
    t.owner = NULL;
    t.data = lode_i_at(a, j * a->strides[1]);
    t.ndim = 1;
    return t;
}

lode_array lode_i_transposed(const lode_array *a)
{
    assert(a->ndim == 2 && lode_dtype_block(a->dtype) == 1);
    lode_array t = *a;
    t.owner = NULL;
    t.shape[0] = a->shape[1], t.shape[1] = a->shape[0];
    t.strides[0] = a->strides[1], t.strides[1] = a->strides[0];
    return t;
}

void lode_i_split_mode(const lode_array *a, int mode, int64_t *left, int64_t *n, int64_t *right)
{
    assert(mode >= 0 && mode < a->ndim);
    *left = *right = 1;
    for (int i = 0; i < mode; i++)
        *left *= a->shape[i];
    *n = a->shape[mode];
    for (int i = mode + 1; i < a->ndim; i++)
        *right *= a->shape[i];
}

lode_status lode_i_matrix_new(lode_ctx *ctx, lode_dtype dtype, int64_t rows, int64_t cols,
                              lode_array *out)
{
    return lode_array_new(ctx, dtype, 2, (const int64_t[]){ rows, cols }, out);
}

lode_status lode_i_vector_new(lode_ctx *ctx, lode_dtype dtype, int64_t n, lode_array *out)
{
    return lode_array_new(ctx, dtype, 1, &n, out);
}

lode_status lode_i_strided(lode_ctx *ctx, const lode_array *a, const int64_t *start,
                           const int64_t *count, const int64_t *step, lode_array *view)
{
    lode_status st = LODE_OK;
    lode_array x = lode_array_ref(a), y = { 0 };
    for (int k = 0; k < a->ndim; k++) {
        const int64_t by = step ? step[k] : 1;
        const int64_t stop = count[k] ? start[k] + (count[k] - 1) * by + 1 : start[k];
        LODE_TRY(lode_array_slice(ctx, &x, k, start[k], stop, by, &y));
        lode_array_swap(&x, &y);
        lode_array_free(&y);
    }
    lode_array_swap(view, &x);
done:
    LODE_FREE(&x, &y);
    return st;
}
