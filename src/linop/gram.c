/* The Gram matrix of the shorter side of an array or a source, or its triangular factor, in double
 * precision and in one pass: squares of single precision lose nothing then.
 *
 * The longer side is cut into blocks by shape alone; block b adds to sum b mod G, in order, and the
 * G sums are joined in a tree: same bits for any threads, slab and place. */
#include <math.h>

#include "linop/kinds.h"

enum { GROUPS = 8, BLOCK_LEAST = 256, BLOCK_MOST = 4096 };
#define BLOCK_VALUES                                                                               \
    (INT64_C(1) << 20) /* enough that adding up Gram matrices is little beside them */
#define SLAB_BYTES (UINT64_C(64) << 20)

typedef struct reduction {
    const lode_i_dense *d;
    lode_i_gram_form form;
    double scale;
    bool wide; /* A is: blocks are of its columns */
    lode_dtype dtype;
    int64_t order, length, block, groups;
    lode_array slab; /* rows, or columns, [first, last) of A */
    int64_t first, last;
    lode_array mean;  /* in the type of the sums */
    lode_array whole; /* A converted, where columns cannot be taken from it as it is stored */
    lode_array *sum;  /* one a group; empty: nothing yet */
} reduction;

/* B_b = the block as used, scaled, centred, in the type of the sums (wide: of columns, as they lie),
 * or its Gram matrix. */
static lode_status take(lode_ctx *ctx, const reduction *w, int64_t b, lode_array *block)
{
    lode_status st = LODE_OK;
    const int64_t x0 = b * w->block, x1 = lode_i_min(x0 + w->block, w->length);
    const int64_t from = x0 - w->first, to = x1 - w->first;
    double norm = 0;
    lode_array view = w->wide ? lode_i_cols(&w->slab, from, to) : lode_i_rows(&w->slab, from, to);
    lode_array own = { 0 }, mean = { 0 }, part = { 0 };
    LODE_TRY(lode_array_cast(ctx, &view, w->dtype, &own));
    if (w->mean.data) {
        if (w->wide)
            LODE_TRY(lode_array_slice(ctx, &w->mean, 0, x0, x1, 1, &mean));
        LODE_TRY(lode_i_sub_row(ctx, &own, w->wide ? &mean : &w->mean));
    }
    if (w->scale > 1 || w->scale < 1)
        LODE_TRY(lode_i_scale(ctx, w->scale, &own));
    if (w->form == LODE_I_GRAM) { /* which shows all that is not finite, too */
        LODE_TRY(lode_i_gram(ctx, w->wide ? LODE_N : LODE_H, &own, &part));
        lode_array_swap(&own, &part);
    }
    LODE_TRY(lode_i_norm_fro(ctx, &own, &norm));
    if (!isfinite(norm))
        LODE_TRY(lode_i_dense_locate(ctx, &view, w->wide ? 0 : x0, w->wide ? x0 : 0));
    lode_array_swap(block, &own);
done:
    LODE_FREE(&view, &own, &mean, &part);
    return st;
}

/* R of [upper; lower], into upper. */
static lode_status stack(lode_ctx *ctx, const lode_array *lower, lode_array *upper)
{
    lode_status st = LODE_OK;
    lode_array both = { 0 }, top = { 0 }, rest = { 0 };
    const int64_t n = upper->shape[1], k = upper->shape[0];
    LODE_TRY(lode_i_matrix_new(ctx, upper->dtype, k + lower->shape[0], n, &both));
    top = lode_i_rows(&both, 0, k), rest = lode_i_rows(&both, k, both.shape[0]);
    LODE_TRY(lode_array_copy_into(ctx, upper, &top));
    LODE_TRY(lode_array_copy_into(ctx, lower, &rest));
    LODE_TRY(lode_i_qr_r(ctx, &both, upper));
done:
    LODE_FREE(&both, &top, &rest);
    return st;
}

static lode_status add(lode_ctx *ctx, const reduction *w, const lode_array *part, lode_array *sum)
{
    return w->form == LODE_I_TRIANGLE ? stack(ctx, part, sum) : lode_i_axpy(ctx, 1, part, sum);
}

static lode_status do_block(lode_ctx *ctx, const reduction *w, int64_t b, lode_array *sum)
{
    lode_status st = LODE_OK;
    lode_array B = { 0 }, part = { 0 };
    const int64_t square[2] = { w->order, w->order };
    LODE_TRY(take(ctx, w, b, &B));
    if (w->form == LODE_I_TRIANGLE && w->wide) { /* the block of A^H */
        const lode_array turned = lode_i_transposed(&B);
        LODE_TRY(lode_array_cast(ctx, &turned, w->dtype, &part));
        LODE_TRY(lode_i_conj(ctx, &part));
    } else {
        lode_array_swap(&part, &B);
    }
    if (!sum->data)
        LODE_TRY(lode_array_zeros(ctx, w->dtype, 2, square, sum));
    LODE_TRY(add(ctx, w, &part, sum));
done:
    LODE_FREE(&B, &part);
    return st;
}

static lode_status do_group(lode_ctx *ctx, int64_t g, void *data)
{
    const reduction *w = data;
    const int64_t begin = w->first / w->block, end = lode_i_ceil_div(w->last, w->block);
    for (int64_t b = begin + (g - begin % w->groups + w->groups) % w->groups; b < end;
         b += w->groups) {
        LODE_FORWARD(do_block(ctx, w, b, &w->sum[g]));
        LODE_FORWARD(lode_i_cancelled(ctx));
    }
    return LODE_OK;
}

/* Rows or columns of A read at once. */
static int64_t slab(const lode_ctx *ctx, const lode_source *s, int64_t order, int64_t block)
{
    uint64_t bytes = lode_ctx_memory(ctx) / 8;
    bytes = bytes < SLAB_BYTES ? bytes : SLAB_BYTES;
    const uint64_t line = lode_i_bytes(lode_i_arith(s->dtype), 1, lode_i_max(order, 1));
    return lode_i_max(1, (int64_t)(bytes / line) / block) * block;
}

static lode_status read_slab(lode_ctx *ctx, reduction *w)
{
    const lode_source *s = &w->d->s;
    const int64_t start[2] = { w->wide ? 0 : w->first, w->wide ? w->first : 0 };
    const int64_t some = w->last - w->first;
    const int64_t count[2] = { w->wide ? w->order : some, w->wide ? some : w->order };
    lode_array_free(&w->slab);
    return lode_i_source_read(ctx, s, start, count, w->d->base.dtype, &w->slab);
}

static lode_status reduce(lode_ctx *ctx, reduction *w, lode_array *G)
{
    lode_status st = LODE_OK;
    const lode_i_dense *d = w->d;
    const int64_t square[2] = { w->order, w->order };
    void *sums = NULL;
    LODE_TRY(lode_i_calloc(ctx, (size_t)w->groups * sizeof *w->sum, &sums));
    w->sum = sums;
    const int64_t step = d->from_source ? slab(ctx, &d->s, w->order, w->block) : w->length;
    for (w->first = 0; w->first < w->length && w->order > 0; w->first = w->last) {
        w->last = lode_i_min(w->first + step, w->length);
        if (d->from_source)
            LODE_TRY(read_slab(ctx, w));
        else
            w->slab = lode_array_ref(w->whole.data ? &w->whole : &d->a);
        LODE_TRY(lode_i_parallel(ctx, w->groups, do_group, w));
    }
    for (int64_t gap = 1; gap < w->groups; gap *= 2)
        for (int64_t g = 0; g + gap < w->groups && w->order > 0; g += 2 * gap)
            LODE_TRY(add(ctx, w, &w->sum[g + gap], &w->sum[g]));
    if (w->order == 0 || w->length == 0)
        LODE_TRY(lode_array_zeros(ctx, w->dtype, 2, square, &w->sum[0]));
    lode_array_swap(G, &w->sum[0]);
done:
    for (int64_t g = 0; w->sum && g < w->groups; g++)
        lode_array_free(&w->sum[g]);
    lode_i_free(w->sum);
    lode_array_free(&w->slab);
    return st;
}

/* Blocks of the longer side, and how many sums they go to. */
static int64_t block_of(int64_t length, int64_t order)
{
    const int64_t fit = BLOCK_VALUES / lode_i_max(order, 1);
    return lode_i_max(1, lode_i_min(length, lode_i_max(BLOCK_LEAST, lode_i_min(BLOCK_MOST, fit))));
}

static int64_t groups(int64_t length, int64_t order)
{
    return lode_i_max(1, lode_i_min(GROUPS, lode_i_ceil_div(length, block_of(length, order))));
}

lode_status lode_i_dense_gram(lode_ctx *ctx, const lode_linop *op, lode_i_gram_form form,
                              double scale, lode_array *G)
{
    lode_status st = LODE_OK;
    const lode_i_dense *d = (const lode_i_dense *)op;
    const bool wide = op->cols > op->rows;
    const int64_t order = wide ? op->rows : op->cols, length = wide ? op->cols : op->rows;
    reduction w = { .d = d,
                    .form = form,
                    .scale = scale,
                    .wide = wide,
                    .dtype = lode_i_is_complex(op->dtype) ? LODE_C128 : LODE_F64,
                    .order = order,
                    .length = length,
                    .block = block_of(length, order),
                    .groups = groups(length, order) };
    if (d->mean.data)
        LODE_TRY(lode_array_cast(ctx, &d->mean, w.dtype, &w.mean));
    if (wide && !d->from_source && lode_dtype_block(d->a.dtype) > 1) /* packed along its rows */
        LODE_TRY(lode_array_cast(ctx, &d->a, op->dtype, &w.whole));
    LODE_TRY(reduce(ctx, &w, G));
done:
    LODE_FREE(&w.mean, &w.whole);
    return st;
}

uint64_t lode_i_linop_gram_workspace(const lode_ctx *ctx, lode_value A)
{
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM] = { 0 };
    lode_dtype dtype = LODE_F64;
    if (!lode_i_value_shape(A, &dtype, &ndim, shape) || ndim != 2)
        return 0;
    dtype = lode_i_arith(dtype);
    const int64_t rows = shape[0], cols = shape[1];
    const int64_t order = lode_i_min(rows, cols), length = lode_i_max(rows, cols);
    const int64_t block = block_of(length, order), sums = groups(length, order);
    const lode_dtype wide = lode_i_is_complex(dtype) ? LODE_C128 : LODE_F64;
    const uint64_t tasks = (uint64_t)lode_i_min(sums, lode_ctx_threads(ctx));
    const uint64_t square = lode_i_bytes(wide, order, order);
    uint64_t bytes = lode_i_bytes(wide, sums * order, order) + lode_i_bytes(wide, 1, cols);
    /* a block, its Gram matrix; or the block below a triangle, and what their QR takes */
    bytes += tasks * (2 * lode_i_bytes(wide, block, order) + 2 * square);
    if (A.kind == LODE_ARRAY && cols > rows && lode_dtype_block(A.as.array->dtype) > 1)
        bytes += lode_i_bytes(dtype, rows, cols);
    if (A.kind == LODE_SOURCE) {
        const int64_t lines = lode_i_min(length, slab(ctx, A.as.source, order, block));
        bytes += lode_i_bytes(dtype, lines, order);
        if (A.as.source->dtype != dtype)
            bytes += lode_i_bytes(A.as.source->dtype, lines, order);
    }
    return bytes;
}
