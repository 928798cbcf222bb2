/* Cores and trains: shapes, products, sums (Oseledets 2011, section 4), expansion. */
#include "linop/tt_run.h"

#include <math.h>
#include <string.h>

/* ---- cores as matrices ---- */

lode_status lode_i_tt_rows(lode_ctx *ctx, const lode_array *core, lode_array *M)
{
    return lode_array_reshape(
        ctx, core, 2, (const int64_t[]){ core->shape[0], core->shape[1] * core->shape[2] }, M);
}

lode_status lode_i_tt_cols(lode_ctx *ctx, const lode_array *core, lode_array *M)
{
    return lode_array_reshape(
        ctx, core, 2, (const int64_t[]){ core->shape[0] * core->shape[1], core->shape[2] }, M);
}

lode_status lode_i_tt_core(lode_ctx *ctx, lode_array *M, int64_t r, int64_t n, int64_t next,
                           lode_array *core)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 }, c = { 0 };
    LODE_TRY(lode_i_as(ctx, M, M->dtype, &y));
    lode_array_free(M);
    LODE_TRY(lode_array_reshape(ctx, &y, 3, (const int64_t[]){ r, n, next }, &c));
    lode_array_swap(core, &c);
done:
    LODE_FREE(&y, &c);
    return st;
}

lode_status lode_i_tt_turned(lode_ctx *ctx, const lode_array *A, lode_array *out)
{
    const lode_array t = lode_i_transposed(A); /* borrowed */
    return lode_array_cast(ctx, &t, t.dtype, out);
}

lode_status lode_i_tt_times(lode_ctx *ctx, lode_array *core, const lode_array *M)
{
    lode_status st = LODE_OK;
    lode_array A = { 0 }, Y = { 0 };
    LODE_TRY(lode_i_tt_cols(ctx, core, &A));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &A, M, &Y));
    LODE_TRY(lode_i_tt_core(ctx, &Y, core->shape[0], core->shape[1], M->shape[1], core));
done:
    LODE_FREE(&A, &Y);
    return st;
}

lode_status lode_i_tt_before(lode_ctx *ctx, const lode_array *M, lode_array *core)
{
    lode_status st = LODE_OK;
    lode_array A = { 0 }, Y = { 0 };
    LODE_TRY(lode_i_tt_rows(ctx, core, &A));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, M, &A, &Y));
    LODE_TRY(lode_i_tt_core(ctx, &Y, M->shape[0], core->shape[1], core->shape[2], core));
done:
    LODE_FREE(&A, &Y);
    return st;
}

lode_status lode_i_tt_mirror(lode_ctx *ctx, int d, lode_array *core)
{
    lode_status st = LODE_OK;
    lode_array c[LODE_MAX_NDIM] = { { 0 } }, t = { 0 };
    for (int k = 0; k < d; k++) {
        LODE_TRY(lode_array_permute(ctx, &core[k], (const int[]){ 2, 1, 0 }, &t));
        LODE_TRY(lode_i_as(ctx, &t, t.dtype, &c[d - 1 - k]));
        lode_array_free(&t);
    }
    lode_i_tt_swap(d, core, c);
done:
    lode_i_tt_free(d, c);
    LODE_FREE(&t);
    return st;
}

void lode_i_tt_free(int d, lode_array *core)
{
    for (int k = 0; k < d; k++)
        lode_array_free(&core[k]);
}

void lode_i_tt_swap(int d, lode_array *a, lode_array *b)
{
    for (int k = 0; k < d; k++)
        lode_array_swap(&a[k], &b[k]);
}

lode_status lode_i_tt_as(lode_ctx *ctx, int d, const lode_array *core, lode_dtype dtype,
                         lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    for (int k = 0; k < d; k++) {
        LODE_TRY(lode_i_as(ctx, &core[k], dtype, &y));
        lode_array_swap(&out[k], &y);
        lode_array_free(&y);
    }
done:
    return st;
}

lode_status lode_i_tt_check(lode_ctx *ctx, int d, const lode_array *core, const int64_t *shape,
                            const char *name)
{
    for (int k = 0; k < d; k++) {
        const lode_array *c = &core[k];
        if (c->ndim != 3 || c->dtype != core[0].dtype || (shape && c->shape[1] != shape[k]) ||
            c->shape[0] != (k ? core[k - 1].shape[2] : 1) || (k == d - 1 && c->shape[2] != 1))
            return lode_i_fail(ctx, LODE_ESHAPE, "%s: core %d does not fit its neighbours or modes",
                               name, k);
    }
    return LODE_OK;
}

/* ---- arithmetic ---- */

/* The block of `to` at these ranks. */
static lode_status place(lode_ctx *ctx, const lode_array *from, int64_t row, int64_t col,
                         lode_array *to)
{
    lode_status st = LODE_OK;
    lode_array part = { 0 };
    LODE_TRY(lode_i_strided(ctx, to, (const int64_t[]){ row, 0, col }, from->shape, NULL, &part));
    LODE_TRY(lode_array_copy_into(ctx, from, &part));
done:
    LODE_FREE(&part);
    return st;
}

static lode_status same_modes(lode_ctx *ctx, int d, const lode_array *a, const lode_array *b)
{
    for (int k = 0; k < d; k++)
        if (a[k].shape[1] != b[k].shape[1] || a[k].dtype != b[k].dtype)
            return lode_i_fail(ctx, LODE_ESHAPE,
                               "trains of %" PRId64 " and %" PRId64 " values along mode %d, in %s "
                               "and %s, do not go together",
                               a[k].shape[1], b[k].shape[1], k, lode_dtype_name(a[k].dtype),
                               lode_dtype_name(b[k].dtype));
    return LODE_OK;
}

lode_status lode_i_tt_add(lode_ctx *ctx, int d, const lode_array *a, const lode_array *b,
                          lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array c[LODE_MAX_NDIM] = { { 0 } };
    LODE_TRY(same_modes(ctx, d, a, b));
    for (int k = 0; k < d; k++) {
        const int64_t *r = a[k].shape, *s = b[k].shape,
                      shape[] = { k ? r[0] + s[0] : 1, r[1], k < d - 1 ? r[2] + s[2] : 1 };
        LODE_TRY(lode_array_zeros(ctx, a[k].dtype, 3, shape, &c[k]));
        LODE_TRY(place(ctx, &a[k], 0, 0, &c[k]));
        if (d > 1)
            LODE_TRY(place(ctx, &b[k], k ? r[0] : 0, k < d - 1 ? r[2] : 0, &c[k]));
        else
            LODE_TRY(lode_i_axpy(ctx, 1, &b[k], &c[k]));
    }
    lode_i_tt_swap(d, out, c);
done:
    lode_i_tt_free(d, c);
    return st;
}

/* The slice i of mode k as a column of all its entries. */
static lode_status slice_as(lode_ctx *ctx, const lode_array *core, int64_t i, int64_t rows,
                            int64_t cols, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array part = { 0 };
    LODE_TRY(lode_array_slice(ctx, core, 1, i, i + 1, 1, &part));
    LODE_TRY(lode_array_reshape(ctx, &part, 2, (const int64_t[]){ rows, cols }, out));
done:
    LODE_FREE(&part);
    return st;
}

/* C[i] = A[i] (x) B[i]: outer products of their entries, the axes then in order. */
static lode_status kronecker(lode_ctx *ctx, const lode_array *a, const lode_array *b, lode_array *c)
{
    lode_status st = LODE_OK;
    lode_array x = { 0 }, y = { 0 }, p = { 0 }, q = { 0 }, t = { 0 }, part = { 0 }, to = { 0 };
    const int64_t *r = a->shape, *s = b->shape;
    LODE_TRY(
        lode_array_new(ctx, a->dtype, 3, (const int64_t[]){ r[0] * s[0], r[1], r[2] * s[2] }, &t));
    for (int64_t i = 0; i < r[1]; i++) {
        LODE_TRY(lode_i_tick(ctx, i, r[1]));
        LODE_TRY(slice_as(ctx, a, i, r[0] * r[2], 1, &x));
        LODE_TRY(slice_as(ctx, b, i, 1, s[0] * s[2], &y));
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &x, &y, &p));
        LODE_TRY(lode_array_reshape(ctx, &p, 4, (const int64_t[]){ r[0], r[2], s[0], s[2] }, &q));
        LODE_TRY(lode_array_permute(ctx, &q, (const int[]){ 0, 2, 1, 3 }, &x));
        LODE_TRY(
            lode_array_reshape(ctx, &x, 3, (const int64_t[]){ r[0] * s[0], 1, r[2] * s[2] }, &y));
        LODE_TRY(lode_array_slice(ctx, &t, 1, i, i + 1, 1, &to));
        LODE_TRY(lode_array_copy_into(ctx, &y, &to));
        LODE_FREE(&x, &y, &p, &q, &part, &to);
    }
    lode_array_swap(c, &t);
done:
    LODE_FREE(&x, &y, &p, &q, &t, &part, &to);
    return st;
}

lode_status lode_i_tt_hadamard(lode_ctx *ctx, int d, const lode_array *a, const lode_array *b,
                               lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array c[LODE_MAX_NDIM] = { { 0 } };
    LODE_TRY(same_modes(ctx, d, a, b));
    for (int k = 0; k < d; k++)
        LODE_TRY(kronecker(ctx, &a[k], &b[k], &c[k]));
    lode_i_tt_swap(d, out, c);
done:
    lode_i_tt_free(d, c);
    return st;
}

lode_status lode_i_tt_scale(lode_ctx *ctx, int d, const lode_array *a, double alpha,
                            lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array c[LODE_MAX_NDIM] = { { 0 } };
    for (int k = 0; k < d; k++)
        LODE_TRY(lode_array_cast(ctx, &a[k], a[k].dtype, &c[k]));
    LODE_TRY(lode_i_scale(ctx, alpha, &c[0]));
    lode_i_tt_swap(d, out, c);
done:
    lode_i_tt_free(d, c);
    return st;
}

static lode_dtype wide_of(lode_dtype t)
{
    return lode_i_is_complex(t) ? LODE_C128 : LODE_F64;
}

/* W = the sum over modes so far of a conj(b), ranks of a by those of b. */
lode_status lode_i_tt_dot(lode_ctx *ctx, int d, const lode_array *a, const lode_array *b,
                          double *re, double *im)
{
    lode_status st = LODE_OK;
    lode_array W = { 0 }, A = { 0 }, B = { 0 }, M = { 0 }, T = { 0 }, V = { 0 };
    lode_inner sum;
    LODE_TRY(same_modes(ctx, d, a, b));
    LODE_TRY(lode_i_eye(ctx, wide_of(a[0].dtype), 1, &W));
    for (int k = 0; k < d; k++) {
        LODE_TRY(lode_i_tick(ctx, k, d));
        LODE_TRY(lode_i_as(ctx, &a[k], W.dtype, &A));
        LODE_TRY(lode_i_as(ctx, &b[k], W.dtype, &B));
        LODE_TRY(lode_i_tt_rows(ctx, &A, &M));
        LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &W, &M, &T));
        LODE_TRY(lode_array_reshape(ctx, &T, 2,
                                    (const int64_t[]){ T.shape[0] * A.shape[1], A.shape[2] }, &V));
        LODE_TRY(lode_i_tt_cols(ctx, &B, &M));
        LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, &V, &M, &W));
        LODE_TRY(lode_i_conj(ctx, &W));
    }
    LODE_TRY(lode_i_inner(ctx, &W, NULL, &sum));
    *re = sum.re, *im = sum.im;
done:
    LODE_FREE(&W, &A, &B, &M, &T, &V);
    return st;
}

lode_status lode_i_tt_norm(lode_ctx *ctx, int d, const lode_array *a, double *norm)
{
    lode_status st = LODE_OK;
    lode_array c[LODE_MAX_NDIM] = { { 0 } };
    LODE_TRY(lode_i_tt_as(ctx, d, a, wide_of(a[0].dtype), c));
    LODE_TRY(lode_i_tt_orthogonal(ctx, d, c, false));
    LODE_TRY(lode_i_norm_fro(ctx, &c[0], norm));
done:
    lode_i_tt_free(d, c);
    return st;
}

/* ---- expansion ---- */

/* The bond at which the two halves meet so that their products, and writing them, cost least. */
static int meeting(int d, const lode_array *c)
{
    double left[LODE_MAX_NDIM + 1] = { 0 }, cost = 0, size = 1, least = INFINITY;
    int best = 1;
    for (int h = 1; h < d; h++) { /* the modes before h multiplied out: size x r */
        const double r = (double)c[h - 1].shape[0], n = (double)c[h - 1].shape[1],
                     next = (double)c[h - 1].shape[2];
        cost += h > 1 ? size * r * n * next : 0;
        size *= n;
        left[h] = cost + size * next;
    }
    const double all = size * (double)c[d - 1].shape[1];
    cost = 0, size = 1;
    for (int h = d - 1; h >= 1; h--) {
        const double r = (double)c[h].shape[0], n = (double)c[h].shape[1],
                     next = (double)c[h].shape[2];
        cost += h < d - 1 ? r * n * next * size : 0;
        size *= n;
        const double total = left[h] + cost + r * size + r * all;
        if (total < least)
            least = total, best = h;
    }
    return best;
}

/* Two halves, each from its end, then their product. */
static lode_status multiply_out(lode_ctx *ctx, int d, const lode_array *c, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array L = { 0 }, R = { 0 }, M = { 0 }, y = { 0 };
    const int h = d > 1 ? meeting(d, c) : 1;
    int64_t shape[LODE_MAX_NDIM];
    LODE_TRY(lode_i_tt_cols(ctx, &c[0], &L));
    for (int k = 1; k < h; k++) {
        LODE_TRY(lode_i_tick(ctx, k, d));
        LODE_TRY(lode_i_tt_rows(ctx, &c[k], &M));
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &L, &M, &y));
        LODE_TRY(lode_array_reshape(
            ctx, &y, 2, (const int64_t[]){ L.shape[0] * c[k].shape[1], c[k].shape[2] }, &L));
        LODE_FREE(&y, &M);
    }
    if (d > 1)
        LODE_TRY(lode_i_tt_rows(ctx, &c[d - 1], &R));
    for (int k = d - 2; k >= h; k--) {
        LODE_TRY(lode_i_tick(ctx, d - k, d));
        LODE_TRY(lode_i_tt_cols(ctx, &c[k], &M));
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &M, &R, &y));
        LODE_TRY(lode_array_reshape(
            ctx, &y, 2, (const int64_t[]){ c[k].shape[0], c[k].shape[1] * R.shape[1] }, &R));
        LODE_FREE(&y, &M);
    }
    if (d > 1) {
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &L, &R, &y));
        LODE_FREE(&L, &R);
    } else {
        lode_array_swap(&y, &L);
    }
    for (int k = 0; k < d; k++)
        shape[k] = c[k].shape[1];
    LODE_TRY(lode_array_reshape(ctx, &y, d, shape, &M));
    lode_array_swap(out, &M);
done:
    LODE_FREE(&L, &R, &M, &y);
    return st;
}

lode_status lode_i_tt_expand(lode_ctx *ctx, int d, const lode_array *core, const int64_t *start,
                             const int64_t *count, const int64_t *step, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array c[LODE_MAX_NDIM] = { { 0 } }, part = { 0 };
    int64_t shape[LODE_MAX_NDIM], size = 1;
    for (int k = 0; k < d; k++) {
        const int64_t from = start ? start[k] : 0, by = step ? step[k] : 1;
        shape[k] = count ? count[k] : core[k].shape[1];
        size *= shape[k];
        if (shape[k] == 0)
            continue;
        LODE_TRY(
            lode_array_slice(ctx, &core[k], 1, from, from + (shape[k] - 1) * by + 1, by, &part));
        LODE_TRY(lode_i_as(ctx, &part, part.dtype, &c[k]));
        lode_array_free(&part);
    }
    if (size == 0)
        LODE_TRY(lode_array_zeros(ctx, core[0].dtype, d, shape, out));
    else
        LODE_TRY(multiply_out(ctx, d, c, out));
done:
    lode_i_tt_free(d, c);
    LODE_FREE(&part);
    return st;
}
