/* Operators over entries: an array, or a source read by slabs of rows.
 *
 * Both cut A into the same blocks of rows, from its shape alone: each block of A X is one product,
 * and A^H X sums the products of blocks g, g + G, g + 2 G, .. for each of G groups in that order,
 * then joins the groups in a tree. So an array and a file, any slab and any number of threads give
 * the same bits. Blocks are converted, and centred, as they are used. */
#include <math.h>
#include <string.h>

#include "linop/kinds.h"
#include "linop/misfit.h"

enum { GROUPS = 16, LEAST_PARALLEL = 4, BLOCK_LEAST = 32, BLOCK_MOST = 512 };
#define BLOCK_VALUES (INT64_C(1) << 21)
#define GROUP_VALUES (INT64_C(1) << 18)
#define SLAB_BYTES (UINT64_C(64) << 20)

typedef lode_i_dense dense;

int64_t lode_i_linop_block(int64_t rows, int64_t cols)
{
    const int64_t fit = BLOCK_VALUES / lode_i_max(cols, 1);
    const int64_t block = lode_i_max(BLOCK_LEAST, lode_i_min(BLOCK_MOST, fit));
    return lode_i_max(1, lode_i_min(block, rows));
}

static int64_t groups(int64_t rows, int64_t cols)
{
    const int64_t blocks = lode_i_ceil_div(rows, lode_i_linop_block(rows, cols));
    const int64_t most = lode_i_max(1, lode_i_min(GROUPS, GROUP_VALUES / lode_i_max(cols, 1)));
    return lode_i_max(1, lode_i_min(blocks, most));
}

/* As they are used, and as read where that is another type. */
static uint64_t slab_bytes(lode_dtype dtype, int64_t rows, int64_t cols)
{
    const lode_dtype used = lode_i_arith(dtype);
    return lode_i_bytes(used, rows, cols) + (used == dtype ? 0 : lode_i_bytes(dtype, rows, cols));
}

int64_t lode_i_linop_slab(const lode_ctx *ctx, const lode_source *s)
{
    const int64_t rows = s->shape[0], cols = s->ndim > 1 ? s->shape[1] : 1;
    const int64_t block = lode_i_linop_block(rows, cols);
    const uint64_t row = slab_bytes(s->dtype, 1, cols);
    uint64_t bytes = lode_ctx_memory(ctx) / 8;
    bytes = bytes < SLAB_BYTES ? bytes : SLAB_BYTES;
    const int64_t fit = row > 0 ? (int64_t)(bytes / row) : rows;
    return lode_i_min(rows, lode_i_max(1, fit / block) * block);
}

uint64_t lode_i_linop_blocks(const lode_ctx *ctx, lode_value A)
{
    lode_dtype dtype = LODE_F64;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM] = { 0 };
    const bool entries = A.kind == LODE_ARRAY || A.kind == LODE_SOURCE;
    if (!entries || !lode_i_value_shape(A, &dtype, &ndim, shape) || ndim != 2)
        return 0;
    const int64_t m = shape[0], n = shape[1];
    const uint64_t tasks = (uint64_t)lode_i_min(groups(m, n), lode_ctx_threads(ctx));
    return tasks * lode_i_bytes(lode_i_arith(dtype), lode_i_linop_block(m, n), n);
}

uint64_t lode_i_linop_workspace(const lode_ctx *ctx, lode_value A, int64_t k)
{
    lode_dtype dtype = LODE_F64;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM] = { 0 };
    if (!lode_i_value_shape(A, &dtype, &ndim, shape) || ndim != 2)
        return 0;
    const lode_dtype t = lode_i_arith(dtype);
    const int64_t m = shape[0], n = shape[1], block = lode_i_linop_block(m, n);
    const uint64_t fixed = UINT64_C(1) << 20; /* handles, tiles of small products */
    switch (A.kind) {
    case LODE_ARRAY:
    case LODE_SOURCE: {
        const uint64_t tasks = (uint64_t)lode_i_min(groups(m, n), lode_ctx_threads(ctx));
        const int64_t count = groups(m, n);
        uint64_t bytes = fixed + lode_i_bytes(t, (count + 1) * n, k) +
                         lode_i_bytes(t, count * block, k) + 3 * tasks * lode_i_bytes(t, block, k);
        if (A.kind == LODE_ARRAY && (dtype != t || A.as.array->strides[1] != 1))
            bytes += lode_i_linop_blocks(ctx, A); /* blocks are converted */
        if (A.kind == LODE_SOURCE) {
            bytes += slab_bytes(dtype, lode_i_linop_slab(ctx, A.as.source), n);
        }
        return bytes;
    }
    case LODE_SPARSE: { /* CSR and its transpose, values converted */
        const uint64_t nnz = (uint64_t)lode_sparse_nnz(A.as.sparse);
        const uint64_t entry = 8 + lode_i_bytes(t, 1, 1);
        return fixed + 4 * nnz * entry + 16 * ((uint64_t)m + (uint64_t)n + 2) +
               lode_i_bytes(t, lode_i_max(m, n), k);
    }
    default: return fixed + lode_i_bytes(t, m, k) + lode_i_bytes(t, n, k);
    }
}

/* ---- one pass over the blocks ---- */

typedef struct sweep {
    const dense *d;
    const lode_array *X;         /* n x k: W_b = A_b X; NULL: not wanted */
    lode_array *W;               /* m x k: written, or read where X is NULL; NULL: */
    lode_array *own;             /* (G block) x k: room for W_b, which is not kept */
    lode_array *Z;               /* (G n) x k: Z_g += A_b^H W_b; NULL: not wanted */
    const lode_array *L, *R;     /* norms of A_b - L_b R^H where given */
    const lode_i_misfit *misfit; /* W = A X - y, Z its weights on their way back; NULL: as above */
    double *norms;               /* one a block, or NULL */
    lode_array slab;             /* rows [first, last) of A */
    int64_t first, last, block, groups;
    bool skinny; /* blocks are multiplied on one thread each, A read once */
} sweep;

/* Rows [i0, i1) of what is in memory, as they are used. */
static lode_status take_block(lode_ctx *ctx, const sweep *w, int64_t i0, int64_t i1,
                              lode_array *block)
{
    lode_status st = LODE_OK;
    const dense *d = w->d;
    lode_array view = lode_i_rows(&w->slab, i0 - w->first, i1 - w->first), own = { 0 };
    const bool direct = view.dtype == d->base.dtype && view.strides[1] == 1 && !d->mean.data;
    if (direct) {
        lode_array_swap(block, &view);
    } else {
        LODE_TRY(lode_array_cast(ctx, &view, d->base.dtype, &own));
        if (d->mean.data)
            LODE_TRY(lode_i_sub_row(ctx, &own, &d->mean));
        lode_array_swap(block, &own);
    }
done:
    LODE_FREE(&view, &own);
    return st;
}

/* A product is not finite: names the entry of A that made it so. Finite entries may still overflow;
 * the caller sees that in the product and scales. */
lode_status lode_i_dense_locate(lode_ctx *ctx, const lode_array *part, int64_t i0, int64_t j0)
{
    lode_status st = LODE_OK;
    lode_stats s;
    LODE_TRY(lode_i_stats(ctx, part, &s));
    const bool nan = s.first_nan >= 0 && (s.first_infinite < 0 || s.first_nan < s.first_infinite);
    const int64_t at = nan ? s.first_nan : s.first_infinite, n = part->shape[1];
    LODE_REQUIRE(at < 0, LODE_EDOMAIN,
                 "A[%" PRId64 ",%" PRId64 "] is %s: every entry must be finite", i0 + at / n,
                 j0 + at % n, nan ? "nan" : "infinite");
done:
    return st;
}

static lode_status locate(lode_ctx *ctx, const sweep *w, int64_t i0, int64_t i1)
{
    lode_array view = lode_i_rows(&w->slab, i0 - w->first, i1 - w->first);
    const lode_status st = lode_i_dense_locate(ctx, &view, i0, 0);
    lode_array_free(&view);
    return st;
}

static lode_status do_block(lode_ctx *ctx, const sweep *w, int64_t b, int64_t g)
{
    lode_status st = LODE_OK;
    lode_array A = { 0 }, rest = { 0 }, part = { 0 }, sum = { 0 };
    const int64_t n = w->d->base.cols, i0 = b * w->block,
                  i1 = lode_i_min(i0 + w->block, w->d->base.rows);
    double norm = 0;
    LODE_TRY(take_block(ctx, w, i0, i1, &A));
    if (w->norms) {
        if (w->L) {
            LODE_TRY(lode_array_cast(ctx, &A, A.dtype, &rest));
            part = lode_i_rows(w->L, i0, i1);
            LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_H, -1, &part, w->R, 1, &rest));
            lode_array_free(&part);
        }
        LODE_TRY(lode_i_norm_fro(ctx, w->L ? &rest : &A, &norm));
        if (!isfinite(norm))
            LODE_TRY(locate(ctx, w, i0, i1));
        w->norms[b] = norm;
    }
    if (w->W)
        part = lode_i_rows(w->W, i0, i1);
    else if (w->own)
        part = lode_i_rows(w->own, g * w->block, g * w->block + i1 - i0);
    if (w->Z)
        sum = lode_i_rows(w->Z, g * n, (g + 1) * n);
    if (w->misfit) {
        LODE_TRY(lode_i_misfit_block(ctx, w->misfit, &A, w->X, i0, &part, &sum));
        LODE_TRY(lode_i_norm_fro(ctx, &part, &norm));
        if (!isfinite(norm))
            LODE_TRY(locate(ctx, w, i0, i1));
        goto done;
    }
    const bool skinny = part.data && w->skinny && lode_i_skinny_fits(&A, part.shape[1]);
    if (skinny)
        lode_i_skinny(&A, w->X, &part, w->Z ? &sum : NULL);
    else if (w->X)
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, 1, &A, w->X, 0, &part));
    if (w->X) {
        LODE_TRY(lode_i_norm_fro(ctx, &part, &norm));
        if (!isfinite(norm))
            LODE_TRY(locate(ctx, w, i0, i1));
    }
    if (w->Z && !skinny)
        LODE_TRY(lode_i_gemm_into(ctx, LODE_H, LODE_N, 1, &A, &part, 1, &sum));
done:
    LODE_FREE(&A, &rest, &part, &sum);
    return st;
}

static lode_status do_group(lode_ctx *ctx, int64_t g, void *data)
{
    const sweep *w = data;
    const int64_t begin = w->first / w->block, end = lode_i_ceil_div(w->last, w->block);
    for (int64_t b = begin + (g - begin % w->groups + w->groups) % w->groups; b < end;
         b += w->groups) {
        LODE_FORWARD(do_block(ctx, w, b, g));
        LODE_FORWARD(lode_i_cancelled(ctx));
    }
    return LODE_OK;
}

static lode_status do_slab(lode_ctx *ctx, sweep *w)
{
    if (w->groups >= LEAST_PARALLEL)
        return lode_i_parallel(ctx, w->groups, do_group, w);
    const int64_t end = lode_i_ceil_div(w->last, w->block);
    for (int64_t b = w->first / w->block; b < end;
         b++) /* few or wide blocks: threads work inside the products */
        LODE_FORWARD(do_block(ctx, w, b, b % w->groups));
    return LODE_OK;
}

/* The middle of a pass over a file: its next row, norms of blocks, what it has come to. */
static lode_status middle_of(lode_ctx *ctx, const sweep *w, double **number, lode_i_step *step)
{
    const lode_linop *A = &w->d->base;
    const int64_t blocks = w->norms ? lode_i_ceil_div(A->rows, w->block) : 0,
                  columns = w->X   ? w->X->shape[1]
                            : w->W ? w->W->shape[1]
                                   : 0;
    *step = (lode_i_step){ .site = "rows", .count = (int)blocks + 1, .middle = true };
    step->key = lode_i_step_key(0, "", (const int64_t[]){ A->rows, A->cols, columns, w->L != NULL },
                                4);
    if (w->W && w->X)
        step->array[step->n++] = w->W;
    if (w->Z)
        step->array[step->n++] = w->Z;
    LODE_FORWARD(LODE_NEW(ctx, blocks + 1, number));
    step->number = *number;
    return LODE_OK;
}

static lode_status resume(lode_ctx *ctx, sweep *w)
{
    lode_status st = LODE_OK;
    lode_i_step step;
    double *number = NULL;
    bool found = w->d->kept && lode_i_checkpoint(ctx);
    w->first = 0;
    if (!found)
        return LODE_OK;
    LODE_TRY(middle_of(ctx, w, &number, &step));
    while (found) {
        LODE_TRY(lode_i_restore(ctx, &step, &found));
        w->first = found ? (int64_t)number[0] : w->first;
        for (int i = 1; found && i < step.count; i++)
            w->norms[i - 1] = number[i];
    }
done:
    lode_i_free(number);
    return st;
}

static lode_status keep_middle(lode_ctx *ctx, const sweep *w)
{
    lode_status st = LODE_OK;
    lode_i_step step;
    double *number = NULL, bytes = 0;
    if (!w->d->kept || w->last >= w->d->base.rows || !lode_i_checkpoint(ctx))
        return LODE_OK;
    LODE_TRY(middle_of(ctx, w, &number, &step));
    for (int i = 0; i < step.n; i++)
        bytes += (double)lode_array_bytes(step.array[i]);
    if (!lode_i_checkpoint_due(ctx, bytes))
        goto done;
    number[0] = (double)w->last;
    for (int i = 1; i < step.count; i++)
        number[i] = i <= w->last / w->block ? w->norms[i - 1] : 0;
    LODE_TRY(lode_i_keep(ctx, &step));
done:
    lode_i_free(number);
    return st;
}

static lode_status run_sweep(lode_ctx *ctx, sweep *w)
{
    lode_status st = LODE_OK;
    const dense *d = w->d;
    const int64_t m = d->base.rows;
    w->block = lode_i_linop_block(m, d->base.cols);
    w->groups = groups(m, d->base.cols);
    w->skinny = w->groups >= LEAST_PARALLEL;
    if (m == 0 || d->base.cols == 0)
        return LODE_OK;
    if (!d->from_source) {
        w->slab = lode_array_ref(&d->a);
        w->first = 0, w->last = m;
        LODE_TRY(do_slab(ctx, w));
    } else {
        const int64_t step = lode_i_linop_slab(ctx, &d->s);
        LODE_TRY(resume(ctx, w));
        for (; w->first < m; w->first = w->last) {
            w->last = lode_i_min(w->first + step, m);
            LODE_TRY(lode_i_tick(ctx, w->first, m));
            lode_array_free(&w->slab);
            LODE_TRY(lode_i_source_rows(ctx, &d->s, w->first, w->last, d->base.dtype, &w->slab));
            LODE_TRY(do_slab(ctx, w));
            LODE_TRY(keep_middle(ctx, w));
        }
    }
done:
    lode_array_free(&w->slab);
    return st;
}

/* ---- the operator's functions ---- */

static lode_status zeros(lode_ctx *ctx, lode_dtype dtype, int64_t rows, int64_t cols,
                         lode_array *out)
{
    const int64_t shape[2] = { rows, cols };
    return lode_array_zeros(ctx, dtype, 2, shape, out);
}

/* Sums the groups pairwise: the tree depends on their number alone. */
static lode_status join(lode_ctx *ctx, const sweep *w, lode_array *parts, lode_array *Z)
{
    lode_status st = LODE_OK;
    lode_array to = { 0 }, from = { 0 }, z = { 0 };
    const int64_t n = w->d->base.cols;
    for (int64_t gap = 1; gap < w->groups; gap *= 2)
        for (int64_t g = 0; g + gap < w->groups; g += 2 * gap) {
            LODE_FREE(&to, &from);
            to = lode_i_rows(parts, g * n, (g + 1) * n);
            from = lode_i_rows(parts, (g + gap) * n, (g + gap + 1) * n);
            LODE_TRY(lode_i_axpy(ctx, 1, &from, &to));
        }
    if (w->groups == 1) {
        lode_array_swap(Z, parts);
    } else {
        lode_array_free(&to);
        to = lode_i_rows(parts, 0, n);
        LODE_TRY(lode_array_cast(ctx, &to, to.dtype, &z));
        lode_array_swap(Z, &z);
    }
done:
    LODE_FREE(&to, &from, &z);
    return st;
}

/* A pass that ends in a sum over groups, which takes its time where the columns are many. */
static lode_status sweep_and_join(lode_ctx *ctx, sweep *w, int64_t k, lode_array *parts,
                                  lode_array *Z)
{
    const lode_linop *A = &w->d->base;
    const double products = (w->X ? 4 : 3) * (double)A->nonzeros * (double)k,
                 sums = 200.0 * (double)groups(A->rows, A->cols) * (double)A->cols * (double)k;
    lode_i_nest(ctx);
    lode_i_work(ctx, "", products, sums);
    lode_status st = run_sweep(ctx, w);
    lode_i_work(ctx, "", sums, 0);
    w->groups = groups(A->rows, A->cols);
    if (st >= 0)
        st = join(ctx, w, parts, Z);
    lode_i_unnest(ctx);
    return st;
}

static double join_norms(const double *norm, int64_t count)
{
    double most = 0, sum = 0;
    for (int64_t i = 0; i < count; i++)
        if (!(norm[i] <= most))
            most = norm[i];
    if (!(most > 0) || !isfinite(most))
        return most;
    for (int64_t i = 0; i < count; i++)
        sum += norm[i] / most * (norm[i] / most);
    return most * sqrt(sum);
}

static lode_status dense_normal(lode_ctx *ctx, const lode_linop *op, const lode_array *X,
                                lode_array *W, lode_array *Z, double *norm)
{
    lode_status st = LODE_OK;
    lode_array x = { 0 }, w = { 0 }, parts = { 0 };
    const int64_t block = lode_i_linop_block(op->rows, op->cols), k = X->shape[1];
    const int64_t blocks = lode_i_ceil_div(op->rows, block), count = groups(op->rows, op->cols);
    sweep p = { .d = (const dense *)op, .X = &x, .Z = &parts };
    *(W ? &p.W : &p.own) = &w;
    LODE_TRY(lode_i_as(ctx, X, op->dtype, &x));
    LODE_TRY(zeros(ctx, op->dtype, count * op->cols, k, &parts));
    LODE_TRY(zeros(ctx, op->dtype, W ? op->rows : count * block, k, &w));
    if (norm)
        LODE_TRY(LODE_NEW(ctx, lode_i_max(1, blocks), &p.norms));
    LODE_TRY(sweep_and_join(ctx, &p, k, &parts, Z));
    if (norm)
        *norm = op->cols > 0 ? join_norms(p.norms, blocks) : 0;
    if (W)
        lode_array_swap(W, &w);
done:
    lode_i_free(p.norms);
    LODE_FREE(&x, &w, &parts);
    return st;
}

static lode_status dense_misfit(lode_ctx *ctx, const lode_linop *op, const lode_array *x,
                                const lode_i_misfit *f, lode_array *r, lode_array *z)
{
    lode_status st = LODE_OK;
    lode_array w = { 0 }, parts = { 0 };
    sweep p = { .d = (const dense *)op, .X = x, .W = &w, .Z = &parts, .misfit = f };
    LODE_TRY(zeros(ctx, op->dtype, groups(op->rows, op->cols) * op->cols, 1, &parts));
    LODE_TRY(zeros(ctx, op->dtype, op->rows, 1, &w));
    LODE_TRY(sweep_and_join(ctx, &p, 1, &parts, z));
    lode_array_swap(r, &w);
done:
    LODE_FREE(&w, &parts);
    return st;
}

static lode_status dense_apply(lode_ctx *ctx, const lode_linop *op, bool adjoint,
                               const lode_array *X, lode_array *Y)
{
    lode_status st = LODE_OK;
    lode_array x = { 0 }, w = { 0 }, parts = { 0 };
    sweep p = { .d = (const dense *)op };
    LODE_TRY(lode_i_as(ctx, X, op->dtype, &x));
    if (adjoint) {
        double norm = 0;
        lode_array_swap(&w, &x);
        p.W = &w, p.Z = &parts, p.groups = groups(op->rows, op->cols);
        LODE_TRY(zeros(ctx, op->dtype, p.groups * op->cols, X->shape[1], &parts));
        LODE_TRY(sweep_and_join(ctx, &p, X->shape[1], &parts, Y));
        LODE_TRY(lode_i_norm_fro(ctx, Y, &norm));
        if (!isfinite(norm)) /* one more pass, to name the entry */
            LODE_TRY(op->norm(ctx, op, NULL, NULL, &norm));
    } else {
        p.X = &x, p.W = &w;
        LODE_TRY(zeros(ctx, op->dtype, op->rows, X->shape[1], &w));
        LODE_TRY(run_sweep(ctx, &p));
        lode_array_swap(Y, &w);
    }
done:
    LODE_FREE(&x, &w, &parts);
    return st;
}

static lode_status dense_norm(lode_ctx *ctx, const lode_linop *op, const lode_array *L,
                              const lode_array *R, double *norm)
{
    lode_status st = LODE_OK;
    const int64_t blocks = lode_i_ceil_div(op->rows, lode_i_linop_block(op->rows, op->cols));
    sweep p = { .d = (const dense *)op, .L = L, .R = R };
    LODE_TRY(LODE_NEW(ctx, lode_i_max(1, blocks), &p.norms));
    LODE_TRY(run_sweep(ctx, &p));
    *norm = op->cols > 0 ? join_norms(p.norms, blocks) : 0;
done:
    lode_i_free(p.norms);
    return st;
}

/* ---- making them ---- */

void lode_i_dense_keep(lode_linop *op)
{
    if (op->apply == dense_apply)
        ((dense *)op)->kept = true;
}

static void dense_free(lode_linop *op)
{
    dense *d = (dense *)op;
    LODE_FREE(&d->a, &d->mean);
}

static lode_status dense_new(lode_ctx *ctx, const char *kind, const int64_t *shape,
                             lode_dtype dtype, lode_linop **op)
{
    lode_linop *l = NULL;
    LODE_FORWARD(lode_i_linop_new(ctx, sizeof(dense), kind, shape[0], shape[1], lode_i_arith(dtype),
                                  dense_free, &l));
    l->apply = dense_apply, l->normal = dense_normal, l->norm = dense_norm,
    l->gram = lode_i_dense_gram, l->misfit = dense_misfit;
    *op = l;
    return LODE_OK;
}

lode_status lode_i_linop_dense(lode_ctx *ctx, const lode_array *a, lode_linop **op)
{
    LODE_FORWARD(dense_new(ctx, "dense", a->shape, a->dtype, op));
    ((dense *)*op)->a = lode_array_ref(a);
    return LODE_OK;
}

lode_status lode_i_linop_source(lode_ctx *ctx, const lode_source *s, lode_linop **op)
{
    if (!s->rewindable)
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "the source can be read only once and its products take several passes: "
                           "copy it to a file");
    LODE_FORWARD(dense_new(ctx, "source", s->shape, s->dtype, op));
    dense *d = (dense *)*op;
    d->s = *s, d->from_source = true;
    d->s.close = NULL; /* borrowed: the caller closes it */
    return LODE_OK;
}

lode_status lode_i_linop_dense_centred(lode_ctx *ctx, const lode_linop *A, const lode_array *mean,
                                       lode_linop **op)
{
    lode_status st = LODE_OK;
    lode_linop *l = NULL;
    const dense *from = (const dense *)A;
    *op = NULL;
    if (A->apply != dense_apply || from->mean.data)
        return LODE_OK;
    const int64_t shape[2] = { A->rows, A->cols };
    LODE_TRY(dense_new(ctx, "centred", shape, A->dtype, &l));
    dense *d = (dense *)l;
    LODE_TRY(lode_i_as(ctx, mean, A->dtype, &d->mean));
    d->a = lode_array_ref(&from->a), d->s = from->s, d->from_source = from->from_source;
    *op = l, l = NULL;
done:
    lode_linop_free(&l);
    return st;
}
