/* Relations: data by slices, copies with noise, multiplicative steps, the model written out. */
#include "linalg/relations.h"

#include <math.h>
#include <string.h>

enum { STRETCH = 1 << 14 };
#define TINY 1e-300

#define REAL float
#define NAME(x) x##_f32
#include "linalg/relations_kernel.inc"
#define REAL double
#define NAME(x) x##_f64
#include "linalg/relations_kernel.inc"

void lode_i_relations_free(lode_i_relations *x)
{
    for (int64_t k = 0; x->slice && k < x->m; k++)
        LODE_FREE(&x->slice[k]);
    lode_i_free(x->slice);
    LODE_FREE(&x->X, &x->known);
    *x = (lode_i_relations){ 0 };
}

/* ---- sparse ---- */

/* Entry e of the slice that it belongs to, counted: start[k] is where slice k begins. */
static lode_status sort_slices(lode_ctx *ctx, const lode_array *index, const lode_array *value,
                               int axis, const lode_i_relations *x, int64_t *start,
                               lode_array *places, lode_array *values)
{
    const int64_t nnz = value->shape[0];
    const int row = axis == 0, col = axis == 2 ? 1 : 2;
    LODE_FORWARD(lode_i_matrix_new(ctx, LODE_I64, nnz, 2, places));
    LODE_FORWARD(lode_i_vector_new(ctx, LODE_F64, nnz, values));
    const int64_t *at = lode_i_at(index, 0);
    const double *v = lode_i_at(value, 0);
    int64_t *to = lode_i_at(places, 0);
    double *w = lode_i_at(values, 0);
    for (int64_t e = 0; e < nnz; e++)
        start[at[3 * e + axis] + 1]++;
    for (int64_t k = 0; k < x->m; k++)
        start[k + 1] += start[k];
    for (int64_t e = 0; e < nnz; e++) {
        const int64_t p = start[at[3 * e + axis]]++;
        to[2 * p] = at[3 * e + row], to[2 * p + 1] = at[3 * e + col], w[p] = v[e];
    }
    for (int64_t k = x->m; k > 0; k--)
        start[k] = start[k - 1];
    start[0] = 0;
    return LODE_OK;
}

lode_status lode_i_relations_sparse(lode_ctx *ctx, const lode_sparse *X, int axis,
                                    lode_i_relations *out)
{
    lode_status st = LODE_OK;
    lode_i_relations x = { .n = X->shape[axis == 0], .m = X->shape[axis], .dtype = LODE_F64 };
    lode_array index = { 0 }, value = { 0 }, places = { 0 }, values = { 0 };
    int64_t *start = NULL;
    LODE_TRY(lode_sparse_check(ctx, X));
    LODE_TRY(lode_i_as(ctx, &X->indices, LODE_I64, &index));
    LODE_TRY(lode_i_as(ctx, &X->values, LODE_F64, &value));
    LODE_TRY(LODE_NEW(ctx, x.m + 1, &start));
    LODE_TRY(LODE_NEW(ctx, lode_i_max(x.m, 1), &x.slice));
    memset(start, 0, (size_t)(x.m + 1) * sizeof *start);
    memset(x.slice, 0, (size_t)lode_i_max(x.m, 1) * sizeof *x.slice);
    LODE_TRY(sort_slices(ctx, &index, &value, axis, &x, start, &places, &values));
    for (int64_t k = 0; k < x.m; k++) {
        lode_sparse coo = { .layout = LODE_COO, .ndim = 2, .shape = { x.n, x.n } };
        coo.indices = lode_i_rows(&places, start[k], start[k + 1]);
        const lode_status cut = lode_array_slice(ctx, &values, 0, start[k], start[k + 1], 1,
                                                 &coo.values);
        const lode_status made = cut < 0 ? cut : lode_sparse_to_csr(ctx, &coo, &x.slice[k]);
        LODE_FREE(&coo);
        LODE_TRY(made);
    }
    *out = x;
    x = (lode_i_relations){ 0 };
done:
    lode_i_free(start);
    lode_i_relations_free(&x);
    LODE_FREE(&index, &value, &places, &values);
    return st;
}

/* ---- all values ---- */

lode_status lode_i_relations_known(lode_ctx *ctx, lode_i_relations *x, const lode_missing *missing,
                                   const lode_array *mask, int64_t *count)
{
    const int64_t size = lode_array_size(&x->X);
    LODE_FORWARD(lode_array_new(ctx, x->dtype, 3, x->X.shape, &x->known));
    const void *m = mask ? lode_i_at(mask, 0) : NULL;
    *count = x->dtype == LODE_F32
                 ? know_f32(missing, size, m, lode_i_at(&x->X, 0), lode_i_at(&x->known, 0))
                 : know_f64(missing, size, m, lode_i_at(&x->X, 0), lode_i_at(&x->known, 0));
    return LODE_OK;
}

lode_status lode_i_relations_norm(lode_ctx *ctx, lode_i_relations *x)
{
    lode_sum sum = { 0 };
    lode_inner in;
    x->sumsq = 0;
    if (x->X.data) {
        LODE_FORWARD(lode_i_inner(ctx, &x->X, NULL, &in));
        x->sumsq = in.sumsq;
        return LODE_OK;
    }
    for (int64_t k = 0; k < x->m; k++) {
        LODE_FORWARD(lode_i_inner(ctx, &x->slice[k].values, NULL, &in));
        lode_i_sum_push(&sum, &in.sumsq, 1);
    }
    x->sumsq = lode_i_sum_total(&sum);
    return LODE_OK;
}

typedef struct noise {
    lode_stream s;
    double delta;
    int64_t count;
    const lode_array *from;
    lode_array *to;
} noise;

static lode_status jitter_task(lode_ctx *ctx, int64_t t, void *data)
{
    (void)ctx;
    const noise *w = data;
    const int64_t from = t * STRETCH, to = lode_i_min(from + STRETCH, w->count);
    if (w->from->dtype == LODE_F32)
        jitter_f32(w->s, w->delta, from, to, lode_i_at(w->from, 0), lode_i_at(w->to, 0));
    else
        jitter_f64(w->s, w->delta, from, to, lode_i_at(w->from, 0), lode_i_at(w->to, 0));
    return LODE_OK;
}

static lode_status jitter(lode_ctx *ctx, lode_stream s, double delta, const lode_array *from,
                          lode_array *to)
{
    noise w = { .s = s, .delta = delta, .count = lode_array_size(from), .from = from, .to = to };
    LODE_FORWARD(lode_array_new(ctx, from->dtype, from->ndim, from->shape, to));
    return lode_i_parallel(ctx, lode_i_ceil_div(w.count, STRETCH), jitter_task, &w);
}

lode_status lode_i_relations_perturb(lode_ctx *ctx, const lode_i_relations *x, lode_stream s,
                                     double delta, lode_i_relations *out)
{
    lode_status st = LODE_OK;
    lode_i_relations y = { .n = x->n, .m = x->m, .dtype = x->dtype };
    y.known = lode_array_ref(&x->known);
    if (x->X.data) {
        LODE_TRY(jitter(ctx, s, delta, &x->X, &y.X));
    } else {
        LODE_TRY(LODE_NEW(ctx, lode_i_max(x->m, 1), &y.slice));
        memset(y.slice, 0, (size_t)lode_i_max(x->m, 1) * sizeof *y.slice);
        for (int64_t k = 0; k < x->m; k++) {
            const lode_sparse *from = &x->slice[k];
            lode_sparse *to = &y.slice[k];
            to->layout = from->layout, to->ndim = from->ndim;
            to->shape[0] = from->shape[0], to->shape[1] = from->shape[1];
            to->indptr = lode_array_ref(&from->indptr);
            to->indices = lode_array_ref(&from->indices);
            lode_stream own = s; /* entries of every slice count from 0 */
            own.salt[0] ^= (uint32_t)k, own.salt[1] ^= (uint32_t)((uint64_t)k >> 32);
            LODE_TRY(jitter(ctx, own, delta, &from->values, &to->values));
        }
    }
    LODE_TRY(lode_i_relations_norm(ctx, &y));
    lode_i_relations_free(out);
    *out = y;
    y = (lode_i_relations){ 0 };
done:
    lode_i_relations_free(&y);
    return st;
}

/* ---- factors ---- */

void lode_i_relations_multiply(const lode_i_relations_step *s, const lode_array *A, lode_array *out)
{
    if (A->dtype == LODE_F32)
        multiply_f32(s, lode_array_size(A), lode_i_at(A, 0), lode_i_at(out, 0));
    else
        multiply_f64(s, lode_array_size(A), lode_i_at(A, 0), lode_i_at(out, 0));
}

lode_status lode_i_relations_expand(lode_ctx *ctx, const lode_array *Ai, const lode_array *Aj,
                                    const lode_array *R, lode_array *Y)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 }, B = { 0 }, core = { 0 }, typed = { 0 }, flat = { 0 }, to = { 0 };
    const int64_t p = R->shape[0], k = R->shape[1], n = Ai->shape[0];
    LODE_TRY(lode_array_reshape(ctx, R, 2, (const int64_t[]){ p * k, k }, &flat));
    LODE_TRY(lode_array_new(ctx, Ai->dtype, 3, (const int64_t[]){ p, n, Aj->shape[0] }, &y));
    for (int64_t i = 0; i < p; i++) {
        LODE_TRY(lode_i_cancelled(ctx));
        core = lode_i_rows(&flat, i * k, (i + 1) * k);
        LODE_TRY(lode_array_cast(ctx, &core, Ai->dtype, &typed));
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, Ai, &typed, &B));
        to = y; /* borrowed: matrix i of it */
        to.owner = NULL, to.ndim = 2, to.data = lode_i_at(&y, i * y.strides[0]);
        to.shape[0] = n, to.shape[1] = Aj->shape[0];
        to.strides[0] = y.strides[1], to.strides[1] = y.strides[2];
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_T, 1, &B, Aj, 0, &to));
        LODE_FREE(&core, &typed, &B);
    }
    lode_array_swap(Y, &y);
done:
    LODE_FREE(&y, &B, &core, &typed, &flat);
    return st;
}
