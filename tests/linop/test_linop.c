/* Linear operators: products against naive sums, the same bits from arrays and sources,
 * composition, references. */
#include <math.h>

#include "array/array.h"
#include "counted.h"
#include "linalg/linalg.h"
#include "linop/linop.h"
#include "lode/lode.h"

static lode_array random_matrix(lode_dtype dtype, int64_t m, int64_t n, uint64_t site)
{
    lode_array a = { 0 };
    assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "test", site), dtype, m, n, &a));
    return a;
}

/* Every third entry of a, roughly, in coordinates. */
static lode_sparse sparse_of(const lode_array *a, lode_array *dense)
{
    lode_sparse s = { .layout = LODE_COO, .ndim = 2, .shape = { a->shape[0], a->shape[1] } };
    lode_array zero = { 0 };
    assert_ok(&ctx, lode_array_zeros(&ctx, a->dtype, 2, a->shape, dense));
    int64_t nnz = 0;
    for (int64_t k = 0; k < a->shape[0] * a->shape[1]; k++)
        nnz += k * 7 % 3 == k % 2;
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_I64, nnz, 2, &s.indices));
    assert_ok(&ctx, lode_i_vector_new(&ctx, a->dtype, nnz, &s.values));
    for (int64_t k = 0, p = 0; k < a->shape[0] * a->shape[1]; k++) {
        if (k * 7 % 3 != k % 2)
            continue;
        const int64_t i = k / a->shape[1], j = k % a->shape[1];
        int64_t *index = lode_i_at(&s.indices, 2 * p);
        index[0] = i, index[1] = j;
        const size_t size = lode_dtype_size(a->dtype);
        memcpy(lode_i_at(&s.values, p++), lode_i_at(a, k), size);
        memcpy(lode_i_at(dense, k), lode_i_at(a, k), size);
    }
    lode_array_free(&zero);
    return s;
}

/* y = A x by the definition, in long-hand complex arithmetic. */
static void naive(const lode_array *A, bool adjoint, const lode_array *X, lode_array *Y)
{
    lode_array a = { 0 }, x = { 0 };
    const int64_t m = A->shape[0], n = A->shape[1], rows = adjoint ? n : m, k = X->shape[1];
    assert_ok(&ctx, lode_array_cast(&ctx, A, LODE_C128, &a));
    assert_ok(&ctx, lode_array_cast(&ctx, X, LODE_C128, &x));
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_C128, rows, k, Y));
    const double *pa = a.data, *px = x.data;
    double *py = Y->data;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < k; j++) {
            double re = 0, im = 0;
            for (int64_t l = 0; l < (adjoint ? m : n); l++) {
                const double *u = pa + 2 * (adjoint ? l * n + i : i * n + l),
                             *v = px + 2 * (l * k + j);
                const double b = adjoint ? -u[1] : u[1];
                re += u[0] * v[0] - b * v[1], im += u[0] * v[1] + b * v[0];
            }
            py[2 * (i * k + j)] = re, py[2 * (i * k + j) + 1] = im;
        }
    lode_array_free(&a);
    lode_array_free(&x);
}

/* Both products of op against the naive ones of A: n eps |A| |x| bounds the rounding of n terms. */
static void check_products(const lode_linop *op, const lode_array *A)
{
    for (int adjoint = 0; adjoint < 2; adjoint++) {
        lode_array X = random_matrix(op->dtype, adjoint ? op->rows : op->cols, 5, 90), Y = { 0 },
                   want = { 0 }, wide = { 0 };
        double off = 0, scale = 0;
        assert_ok(&ctx, lode_linop_apply(&ctx, op, adjoint != 0, &X, &Y));
        naive(A, adjoint != 0, &X, &want);
        assert_ok(&ctx, lode_array_cast(&ctx, &Y, LODE_C128, &wide));
        assert_ok(&ctx, lode_i_diff_fro(&ctx, &wide, &want, &off));
        assert_ok(&ctx, lode_i_norm_fro(&ctx, &want, &scale));
        assert_le(off, 8 * lode_i_epsilon(op->dtype) * sqrt((double)(op->rows + op->cols)) *
                           (scale + 1));
        LODE_FREE(&X, &Y, &want, &wide);
    }
}

static const lode_dtype types[] = { LODE_F32, LODE_F64, LODE_C64, LODE_C128 };

static void products_of_every_kind_and_type(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = { { 7, 5 },    { 5, 7 },    { 1, 1 },
                                         { 1300, 9 }, { 9, 1300 }, { 3, 1 } };
    for (int t = 0; t < 4; t++)
        for (int k = 0; k < 6; k++) {
            lode_array A = random_matrix(types[t], shapes[k][0], shapes[k][1], 1), dense = { 0 };
            lode_linop *op = NULL;
            assert_ok(&ctx, lode_linop_from(&ctx, lode_from_array(&A), &op));
            check_products(op, &A);
            lode_linop_free(&op);
            lode_sparse s = sparse_of(&A, &dense);
            assert_ok(&ctx, lode_linop_from(&ctx, lode_from_sparse(&s), &op));
            lode_sparse_free(&s); /* the operator holds what it needs */
            check_products(op, &dense);
            LODE_FREE(&op, &A, &dense);
        }
}

static void stored_types_are_converted_as_they_are_used(void **state)
{
    (void)state;
    static const lode_dtype stored[] = { LODE_F16, LODE_BF16, LODE_I8, LODE_U16,
                                         LODE_I64, LODE_BOOL, LODE_Q8 };
    for (int t = 0; t < 7; t++) {
        lode_array wide = random_matrix(LODE_F64, 40, 64, 2), A = { 0 }, same = { 0 };
        lode_linop *op = NULL;
        assert_ok(&ctx, lode_i_scale(&ctx, 20, &wide));
        assert_ok(&ctx, lode_array_cast(&ctx, &wide, stored[t], &A));
        assert_ok(&ctx, lode_array_cast(&ctx, &A, LODE_F64, &same));
        assert_ok(&ctx, lode_linop_from(&ctx, lode_from_array(&A), &op));
        assert_int_equal(op->dtype, lode_i_arith(stored[t]));
        check_products(op, &same);
        LODE_FREE(&op, &wide, &A, &same);
    }
}

static bool same_bytes(const lode_array *a, const lode_array *b)
{
    return lode_array_bytes(a) == lode_array_bytes(b) &&
           memcmp(a->data, b->data, lode_array_bytes(a)) == 0;
}

static void bits_do_not_depend_on_where_A_lies_or_on_threads(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = { { 9000, 40 }, { 700, 700 }, { 40, 3000 }, { 5, 3 } };
    for (int t = 0; t < 2; t++)
        for (int k = 0; k < 4; k++) {
            const int64_t m = shapes[k][0], n = shapes[k][1];
            lode_array A = random_matrix(types[t], m, n, 3), X = random_matrix(types[t], n, 6, 4);
            lode_array W[4] = { { 0 } }, Z[4] = { { 0 } }, Y = { 0 }, turned = { 0 }, back = { 0 };
            lode_source s = { 0 };
            double norm = 0, want = 0;
            assert_ok(&ctx, lode_i_source_from_array(&ctx, &A, &s));
            lode_array view = lode_i_transposed(&A); /* the same values, columns first in memory */
            assert_ok(&ctx, lode_array_cast(&ctx, &view, view.dtype, &turned));
            LODE_FREE(&view);
            back = lode_i_transposed(&turned);
            for (int i = 0; i < 4; i++) {
                lode_linop *op = NULL;
                lode_ctx_set_memory(&ctx, i == 2 ? 1 << 24 : 1 << 30); /* a smaller slab */
                ctx.threads = i == 3 ? 3 : i;
                const lode_value v = i == 0   ? lode_from_array(&A)
                                     : i == 3 ? lode_from_array(&back)
                                              : lode_from_source(&s);
                assert_ok(&ctx, lode_linop_from(&ctx, v, &op));
                assert_ok(&ctx, lode_i_linop_normal(&ctx, op, &X, &W[i], &Z[i], &norm));
                if (i > 0)
                    assert_true(same_bytes(&W[0], &W[i]) && same_bytes(&Z[0], &Z[i]));
                assert_ok(&ctx, lode_i_norm_fro(&ctx, &A, &want));
                assert_near(norm, want, 1e-12 * want);
                if (i == 0) { /* one pass or two: the same products */
                    assert_ok(&ctx, lode_linop_apply(&ctx, op, true, &W[0], &Y));
                    assert_true(same_bytes(&Y, &Z[0]));
                }
                lode_linop_free(&op);
            }
            for (int i = 0; i < 4; i++)
                LODE_FREE(&W[i], &Z[i]);
            LODE_FREE(&A, &X, &Y, &back, &turned, &s);
        }
}

static void norms_and_residual_norms(void **state)
{
    (void)state;
    for (int t = 0; t < 4; t++) {
        lode_array A = random_matrix(types[t], 90, 70, 5), L = random_matrix(types[t], 90, 3, 6),
                   R = random_matrix(types[t], 70, 3, 7), dense = { 0 };
        lode_sparse s = sparse_of(&A, &dense);
        for (int kind = 0; kind < 3; kind++) {
            const lode_array *B = kind == 1 ? &dense : &A;
            lode_linop *op = NULL, *times = NULL;
            lode_array rest = { 0 };
            double norm = 0, want = 0;
            assert_ok(&ctx, lode_linop_from(
                                &ctx, kind == 1 ? lode_from_sparse(&s) : lode_from_array(&A), &op));
            if (kind == 2) {
                assert_ok(&ctx, lode_i_linop_times(&ctx, op, 0.25, &times));
                lode_linop_free(&op);
                op = times;
            }
            assert_ok(&ctx, lode_array_cast(&ctx, B, B->dtype, &rest));
            if (kind == 2)
                assert_ok(&ctx, lode_i_scale(&ctx, 0.25, &rest));
            assert_ok(&ctx, lode_i_linop_norm(&ctx, op, &norm));
            assert_ok(&ctx, lode_i_norm_fro(&ctx, &rest, &want));
            assert_near(norm, want, 64 * lode_i_epsilon(types[t]) * want);
            assert_ok(&ctx, lode_i_gemm_into(&ctx, LODE_N, LODE_H, -1, &L, &R, 1, &rest));
            assert_ok(&ctx, op->norm(&ctx, op, &L, &R, &norm));
            assert_ok(&ctx, lode_i_norm_fro(&ctx, &rest, &want));
            assert_near(norm, want, 1e3 * lode_i_epsilon(types[t]) * want);
            LODE_FREE(&op, &rest);
        }
        lode_sparse_free(&s);
        LODE_FREE(&A, &L, &R, &dense);
    }
}

/* A sparse matrix of rank 2 less its factors: the expansion cancels, the entries tell. */
static void a_sparse_residual_is_measured_where_it_cancels(void **state)
{
    (void)state;
    lode_array L = random_matrix(LODE_F64, 30, 2, 8), R = random_matrix(LODE_F64, 20, 2, 9),
               A = { 0 };
    lode_sparse s = { .layout = LODE_COO, .ndim = 2, .shape = { 30, 20 } };
    lode_linop *op = NULL;
    double norm = 0;
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_T, &L, &R, &A));
    lode_i_set2(&A, 4, 5, lode_i_get2(&A, 4, 5) + 1e-9);
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_I64, 600, 2, &s.indices));
    assert_ok(&ctx, lode_array_reshape(&ctx, &A, 1, (const int64_t[]){ 600 }, &s.values));
    for (int64_t k = 0; k < 600; k++) {
        int64_t *index = lode_i_at(&s.indices, 2 * k);
        index[0] = k / 20, index[1] = k % 20;
    }
    assert_ok(&ctx, lode_linop_from(&ctx, lode_from_sparse(&s), &op));
    assert_ok(&ctx, op->norm(&ctx, op, &L, &R, &norm));
    assert_near(norm, 1e-9, 1e-13);
    lode_sparse_free(&s);
    LODE_FREE(&L, &R, &A, &op);
}

/* ---- composition ---- */

static void centred_scaled_and_stacked(void **state)
{
    (void)state;
    for (int t = 0; t < 4; t++) {
        const int64_t m = 600, n = 8;
        lode_array A = random_matrix(types[t], m, n, 10), mean = random_matrix(types[t], n, 1, 11),
                   l = random_matrix(types[t], m, 1, 12), r = random_matrix(types[t], n, 1, 13),
                   one = { 0 }, flat = { 0 }, want = { 0 }, fl = { 0 }, fr = { 0 }, dense = { 0 },
                   ones = { 0 };
        lode_linop *op = NULL, *sp = NULL, *c = NULL;
        lode_sparse s = sparse_of(&A, &dense);
        assert_ok(&ctx, lode_linop_from(&ctx, lode_from_array(&A), &op));
        assert_ok(&ctx, lode_linop_from(&ctx, lode_from_sparse(&s), &sp));
        assert_ok(&ctx, lode_array_reshape(&ctx, &mean, 1, &n, &flat));
        assert_ok(&ctx, lode_array_reshape(&ctx, &l, 1, &m, &fl));
        assert_ok(&ctx, lode_array_reshape(&ctx, &r, 1, &n, &fr));
        assert_ok(&ctx, lode_i_matrix_new(&ctx, types[t], m, 1, &ones));
        assert_ok(&ctx, lode_i_fill(&ctx, &ones, 1));
        for (int kind = 0; kind < 2; kind++) {
            double norm = 0, expect = 0;
            assert_ok(&ctx, lode_linop_centred(&ctx, kind ? sp : op, &flat, &c));
            assert_ok(&ctx, lode_array_cast(&ctx, kind ? &dense : &A, types[t], &want));
            assert_ok(&ctx, lode_i_gemm_into(&ctx, LODE_N, LODE_T, -1, &ones, &mean, 1, &want));
            check_products(c, &want);
            assert_ok(&ctx, lode_i_linop_norm(&ctx, c, &norm));
            assert_ok(&ctx, lode_i_norm_fro(&ctx, &want, &expect));
            assert_near(norm, expect, 1e3 * lode_i_epsilon(types[t]) * expect);
            lode_linop_free(&c);
            assert_ok(&ctx, lode_linop_scaled(&ctx, kind ? sp : op, &fl, &fr, &c));
            assert_ok(&ctx, lode_array_cast(&ctx, kind ? &dense : &A, types[t], &want));
            assert_ok(&ctx, lode_i_scale_rows(&ctx, &want, &fl));
            assert_ok(&ctx, lode_i_scale_cols(&ctx, &want, &fr));
            check_products(c, &want);
            lode_linop_free(&c);
        }
        const lode_linop *parts[2] = { op, sp };
        for (int axis = 0; axis < 2; axis++) {
            double norm = 0, expect = 0;
            assert_ok(&ctx, lode_linop_stacked(&ctx, parts, 2, axis, &c));
            lode_array_free(&want);
            assert_ok(&ctx,
                      lode_i_matrix_new(&ctx, types[t], axis ? m : 2 * m, axis ? 2 * n : n, &want));
            one = axis ? lode_i_cols(&want, 0, n) : lode_i_rows(&want, 0, m);
            assert_ok(&ctx, lode_array_copy_into(&ctx, &A, &one));
            lode_array_free(&one);
            one = axis ? lode_i_cols(&want, n, 2 * n) : lode_i_rows(&want, m, 2 * m);
            assert_ok(&ctx, lode_array_copy_into(&ctx, &dense, &one));
            lode_array_free(&one);
            check_products(c, &want);
            assert_ok(&ctx, lode_i_linop_norm(&ctx, c, &norm));
            assert_ok(&ctx, lode_i_norm_fro(&ctx, &want, &expect));
            assert_near(norm, expect, 64 * lode_i_epsilon(types[t]) * expect);
            lode_linop_free(&c);
        }
        lode_sparse_free(&s);
        LODE_FREE(&A, &mean, &l, &r, &one, &flat, &want, &fl, &fr, &dense, &ones, &op, &sp, &c);
    }
}

/* Data far from the origin: centring each block keeps the digits that A X - 1 (m^T X) would
 * cancel. */
static void centring_does_not_cancel(void **state)
{
    (void)state;
    const int64_t m = 50, n = 4;
    lode_array A = random_matrix(LODE_F32, m, n, 14), X = random_matrix(LODE_F32, n, 2, 15),
               mean = { 0 }, Y = { 0 }, small = { 0 }, want = { 0 };
    lode_linop *op = NULL, *c = NULL;
    double off = 0, norm = 0;
    /* exact in f32 */
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            lode_i_set2(&A, i, j, 65536 + round(256 * lode_i_get2(&A, i, j)) / 256);
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F32, n, &mean));
    assert_ok(&ctx, lode_i_fill(&ctx, &mean, 65536));
    assert_ok(&ctx, lode_array_cast(&ctx, &A, LODE_F64, &small));
    for (int64_t k = 0; k < m * n; k++)
        ((double *)small.data)[k] -= 65536;
    naive(&small, false, &X, &want);
    assert_ok(&ctx, lode_linop_from(&ctx, lode_from_array(&A), &op));
    assert_ok(&ctx, lode_linop_centred(&ctx, op, &mean, &c));
    assert_ok(&ctx, lode_linop_apply(&ctx, c, false, &X, &Y));
    LODE_FREE(&small);
    assert_ok(&ctx, lode_array_cast(&ctx, &Y, LODE_C128, &small));
    assert_ok(&ctx, lode_i_diff_fro(&ctx, &small, &want, &off));
    assert_ok(&ctx, lode_i_norm_fro(&ctx, &want, &norm));
    assert_le(off, 16 * 0x1p-23 * norm); /* 4 n eps */
    LODE_FREE(&A, &X, &mean, &Y, &small, &want, &op, &c);
}

/* Of the shorter side, in f64 or c128; with the columns centred; the triangle's square. Array and
 * file, any threads: the same bits. */
static void gram_is_the_product(void **state)
{
    (void)state;
    static const lode_dtype wide[] = { LODE_F64, LODE_F64, LODE_C128, LODE_C128 };
    for (int t = 0; t < 4; t++)
        for (int shape = 0; shape < 4; shape++) {
            const int64_t m = shape % 2 ? 6 : 1100, n = shape % 2 ? 1100 : 6;
            lode_array A = random_matrix(types[t], m, n, 16),
                       mean = random_matrix(types[t], n, 1, 17);
            lode_array B = { 0 }, row = { 0 }, want = { 0 }, G[3] = { { 0 } }, R = { 0 },
                       square = { 0 };
            lode_ctx_set_memory(&ctx, 1 << 30);
            lode_source s = { 0 };
            assert_ok(&ctx, lode_array_reshape(&ctx, &mean, 1, &n, &row));
            assert_ok(&ctx, lode_array_cast(&ctx, &A, wide[t], &B));
            if (shape >= 2) {
                lode_array exact = { 0 };
                assert_ok(&ctx, lode_array_cast(&ctx, &row, wide[t], &exact));
                assert_ok(&ctx, lode_i_sub_row(&ctx, &B, &exact));
                LODE_FREE(&exact);
            }
            assert_ok(&ctx, lode_i_scale(&ctx, 0.25, &B));
            assert_ok(&ctx, m < n ? lode_i_gemm(&ctx, LODE_N, LODE_H, &B, &B, &want)
                                  : lode_i_gemm(&ctx, LODE_H, LODE_N, &B, &B, &want));
            assert_ok(&ctx, lode_i_source_from_array(&ctx, &A, &s));
            for (int i = 0; i < 3; i++) {
                lode_linop *op = NULL;
                double off = 0;
                ctx.threads = i + 1;
                assert_ok(&ctx, lode_linop_from(
                                    &ctx, i ? lode_from_source(&s) : lode_from_array(&A), &op));
                if (shape >= 2)
                    assert_ok(&ctx, lode_linop_centred(&ctx, op, &row, &op));
                if (i == 2) /* several slabs */
                    lode_ctx_set_memory(&ctx, lode_ctx_memory_used(&ctx) +
                                                  (lode_i_is_single(types[t]) ? 1 << 18 : 1 << 19));
                assert_ok(&ctx, op->gram(&ctx, op, LODE_I_GRAM, 0.25, &G[i]));
                lode_ctx_set_memory(&ctx, 1 << 30);
                assert_int_equal(G[i].dtype, wide[t]);
                assert_ok(&ctx, lode_i_diff_fro(&ctx, &G[i], &want, &off));
                assert_le(off, 1100 * 0x1p-52 * 1100);
                assert_true(same_bytes(&G[0], &G[i]));
                assert_ok(&ctx, op->gram(&ctx, op, LODE_I_TRIANGLE, 0.25, &R));
                assert_ok(&ctx, lode_i_gram(&ctx, LODE_H, &R, &square));
                assert_ok(&ctx, lode_i_diff_fro(&ctx, &square, &want, &off));
                assert_le(off, 1100 * 0x1p-52 * 1100);
                lode_linop_free(&op);
            }
            ctx.threads = 0;
            lode_ctx_set_memory(&ctx, 1 << 30);
            LODE_FREE(&A, &mean, &B, &row, &want, &G[0], &G[1], &G[2], &R, &square, &s);
        }
}

/* ---- errors ---- */

static int calls;
static int code;
static int turn(void *data, bool adjoint, int64_t k, const void *x, int64_t ldx, void *y,
                int64_t ldy)
{
    const double a = *(const double *)data;
    calls++;
    if (code)
        return code;
    for (int64_t j = 0; j < k; j++) { /* [0 -a; a 0], and its transpose */
        const double *u = (const double *)x + j, sign = adjoint ? -1 : 1;
        double *v = (double *)y + j;
        v[0] = -sign * a * u[ldx], v[ldy] = sign * a * u[0];
    }
    return 0;
}

static void callbacks_multiply_and_their_errors_end_the_call(void **state)
{
    (void)state;
    double a = 3;
    lode_callback f = { .dtype = LODE_F64, .rows = 2, .cols = 2, .fn = turn, .data = &a };
    lode_linop *op = NULL;
    lode_array A = { 0 }, X = random_matrix(LODE_F64, 2, 5, 17), Y = { 0 };
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_F64, 2, 2, &A));
    assert_ok(&ctx, lode_i_fill(&ctx, &A, 0));
    lode_i_set2(&A, 0, 1, -3), lode_i_set2(&A, 1, 0, 3);
    assert_ok(&ctx, lode_linop_from(&ctx, lode_from_callback(&f), &op));
    calls = code = 0;
    check_products(op, &A);
    assert_int_equal(calls, 2); /* one block, one call */
    code = 1;
    assert_status(&ctx, lode_linop_apply(&ctx, op, false, &X, &Y), LODE_ECANCEL);
    code = LODE_EIO;
    assert_status(&ctx, lode_linop_apply(&ctx, op, false, &X, &Y), LODE_EIO);
    assert_null(Y.data);
    code = 0, a = NAN;
    assert_status(&ctx, lode_linop_apply(&ctx, op, false, &X, &Y), LODE_EDOMAIN);
    lode_linop_free(&op);
    f.dtype = LODE_I32;
    assert_status(&ctx, lode_linop_from(&ctx, lode_from_callback(&f), &op), LODE_ETYPE);
    f = (lode_callback){ .dtype = LODE_F64, .rows = -1, .cols = 2, .fn = turn };
    assert_status(&ctx, lode_linop_from(&ctx, lode_from_callback(&f), &op), LODE_ESHAPE);
    f = (lode_callback){ .dtype = LODE_F64, .rows = 1, .cols = 2 };
    assert_status(&ctx, lode_linop_from(&ctx, lode_from_callback(&f), &op), LODE_EUSAGE);
    LODE_FREE(&A, &X, &Y);
}

static void an_entry_that_is_not_finite_is_named(void **state)
{
    (void)state;
    static const double bad[] = { NAN, INFINITY };
    for (int b = 0; b < 2; b++)
        for (int adjoint = 0; adjoint < 2; adjoint++) {
            lode_array A = random_matrix(LODE_F64, 2000, 30, 18),
                       X = random_matrix(LODE_F64, adjoint ? 2000 : 30, 2, 19), Y = { 0 };
            lode_linop *op = NULL;
            lode_i_set2(&A, 1717, 21, bad[b]);
            lode_i_set2(&A, 1717, 25, NAN);
            assert_ok(&ctx, lode_linop_from(&ctx, lode_from_array(&A), &op));
            assert_status(&ctx, lode_linop_apply(&ctx, op, adjoint != 0, &X, &Y), LODE_EDOMAIN);
            assert_says(&ctx, "A[1717,21]");
            assert_null(Y.data);
            LODE_FREE(&A, &X, &op);
        }
}

static void what_does_not_fit_is_said(void **state)
{
    (void)state;
    lode_array A = random_matrix(LODE_F64, 6, 4, 20), X = random_matrix(LODE_F64, 6, 2, 21),
               Y = { 0 }, v = { 0 }, C = random_matrix(LODE_C128, 4, 2, 22), big = { 0 };
    lode_linop *op = NULL, *other = NULL, *stack = NULL;
    lode_scalar scalar = { .dtype = LODE_F64 };
    assert_status(&ctx, lode_linop_from(&ctx, lode_from_scalar(&scalar), &op), LODE_ETYPE);
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F64, 5, &v));
    assert_status(&ctx, lode_linop_from(&ctx, lode_from_array(&v), &op), LODE_ESHAPE);
    assert_ok(&ctx, lode_linop_from(&ctx, lode_from_array(&A), &op));
    assert_status(&ctx, lode_linop_apply(&ctx, op, false, &X, &Y), LODE_ESHAPE);
    assert_says(&ctx, "4 rows");
    assert_status(&ctx, lode_linop_apply(&ctx, op, false, &C, &Y), LODE_ETYPE);
    assert_status(&ctx, lode_linop_centred(&ctx, op, &v, &other), LODE_ESHAPE);
    assert_status(&ctx, lode_linop_scaled(&ctx, op, &v, NULL, &other), LODE_ESHAPE);
    assert_ok(&ctx, lode_linop_from(&ctx, lode_from_array(&X), &other));
    assert_status(&ctx, lode_linop_stacked(&ctx, (const lode_linop *[]){ op, other }, 2, 0, &stack),
                  LODE_ESHAPE);
    assert_status(&ctx, lode_linop_stacked(&ctx, (const lode_linop *[]){ op, other }, 2, 2, &stack),
                  LODE_EPARAM);
    assert_status(&ctx, lode_linop_stacked(&ctx, NULL, 0, 0, &stack), LODE_EUSAGE);
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_F64, 4, 1, &big));
    assert_ok(&ctx, lode_i_fill(&ctx, &big, 1.7e308));
    for (int64_t i = 0; i < 24; i++)
        ((double *)A.data)[i] = 1;
    assert_status(&ctx, lode_linop_apply(&ctx, op, false, &big, &Y), LODE_EDOMAIN);
    assert_says(&ctx, "range");
    LODE_FREE(&A, &X, &Y, &v, &C, &big, &op, &other, &stack);
}

static void references_keep_an_operator_alive(void **state)
{
    (void)state;
    lode_array A = random_matrix(LODE_F64, 6, 4, 23), keep = { 0 };
    lode_linop *op = NULL, *more = NULL, *again = NULL;
    int64_t rows = 0, cols = 0;
    lode_dtype dtype = LODE_F32;
    assert_ok(&ctx, lode_array_cast(&ctx, &A, LODE_F64, &keep));
    assert_ok(&ctx, lode_linop_from(&ctx, lode_from_array(&A), &op));
    lode_array_free(&A);
    more = lode_i_linop_ref(op);
    assert_ok(&ctx, lode_linop_from(&ctx, lode_from_linop(more), &again));
    assert_ptr_equal(again, op);
    lode_linop_free(&op);
    lode_linop_free(&again);
    lode_linop_size(more, &rows, &cols, &dtype);
    assert_true(rows == 6 && cols == 4 && dtype == LODE_F64);
    check_products(more, &keep);
    lode_linop_free(&more);
    assert_null(more);
    lode_linop_free(&more);
    lode_linop_free(NULL);
    lode_array_free(&keep);
}

static void empty_sides_are_legal(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = { { 0, 4 }, { 4, 0 }, { 0, 0 } };
    for (int i = 0; i < 3; i++) {
        lode_array A = { 0 };
        lode_linop *op = NULL;
        double norm = 1;
        assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F64, 2, shapes[i], &A));
        assert_ok(&ctx, lode_linop_from(&ctx, lode_from_array(&A), &op));
        check_products(op, &A);
        assert_ok(&ctx, lode_i_linop_norm(&ctx, op, &norm));
        assert_true(norm == 0);
        LODE_FREE(&A, &op);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(products_of_every_kind_and_type, setup, teardown),
        cmocka_unit_test_setup_teardown(stored_types_are_converted_as_they_are_used, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(bits_do_not_depend_on_where_A_lies_or_on_threads, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(norms_and_residual_norms, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sparse_residual_is_measured_where_it_cancels, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(centred_scaled_and_stacked, setup, teardown),
        cmocka_unit_test_setup_teardown(centring_does_not_cancel, setup, teardown),
        cmocka_unit_test_setup_teardown(gram_is_the_product, setup, teardown),
        cmocka_unit_test_setup_teardown(callbacks_multiply_and_their_errors_end_the_call, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_entry_that_is_not_finite_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(references_keep_an_operator_alive, setup, teardown),
        cmocka_unit_test_setup_teardown(empty_sides_are_legal, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
