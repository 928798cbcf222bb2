/* svd: against LAPACK's full decomposition, brute-force ranks, decompositions from scratch. */
#include <math.h>

#include "array/array.h"
#include "counted.h"
#include "linalg/linalg.h"
#include "lode/lode.h"
#include "op/op.h"

static const lode_dtype types[] = { LODE_F32, LODE_F64, LODE_C64, LODE_C128 };

static lode_array random_matrix(lode_dtype dtype, int64_t m, int64_t n, uint64_t site)
{
    lode_array a = { 0 };
    assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "test", site), dtype, m, n, &a));
    return a;
}

/* Columns of decreasing size times a random matrix: a decaying spectrum. */
static lode_array decaying(lode_dtype dtype, int64_t m, int64_t n, double ratio)
{
    lode_array L = random_matrix(dtype, m, lode_i_min(m, n), 1),
               R = random_matrix(dtype, lode_i_min(m, n), n, 2), s = { 0 }, A = { 0 };
    assert_ok(&ctx, lode_i_vector_new(&ctx, lode_i_real_of(dtype), lode_i_min(m, n), &s));
    for (int64_t i = 0; i < s.shape[0]; i++)
        lode_i_set1(&s, i, pow(ratio, (double)i));
    assert_ok(&ctx, lode_i_scale_cols(&ctx, &L, &s));
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &L, &R, &A));
    LODE_FREE(&L, &R, &s);
    return A;
}

typedef struct result {
    lode_array U, s, V;
    lode_certificate c;
} result;

static void free_result(result *r)
{
    LODE_FREE(&r->U, &r->s, &r->V);
}

static lode_status svd(lode_svd_opts o, lode_value A, result *r)
{
    return lode_svd(&ctx, &o, A, &r->U, &r->s, &r->V, &r->c);
}

static lode_svd_opts rank(int64_t k)
{
    lode_svd_opts o = lode_svd_defaults();
    o.rank = lode_rank(k);
    return o;
}

static lode_svd_opts by(lode_svd_method method, int64_t k)
{
    lode_svd_opts o = rank(k);
    o.method = method;
    return o;
}

static double diff(const lode_array *a, const lode_array *b)
{
    double off = 0;
    assert_ok(&ctx, lode_i_diff_fro(&ctx, a, b, &off));
    return off;
}

static double norm_of(const lode_array *a)
{
    double norm = 0;
    assert_ok(&ctx, lode_i_norm_fro(&ctx, a, &norm));
    return norm;
}

static double off_orthonormal(const lode_array *Q)
{
    lode_array G = { 0 }, eye = { 0 };
    assert_ok(&ctx, lode_i_gram(&ctx, LODE_H, Q, &G));
    assert_ok(&ctx, lode_i_eye(&ctx, Q->dtype, Q->shape[1], &eye));
    const double off = diff(&G, &eye);
    LODE_FREE(&G, &eye);
    return off;
}

/* ||A - U diag(s) V^H||_F from its definition. */
static double error_of(const lode_array *A, const result *r)
{
    lode_array E = { 0 }, Us = { 0 };
    assert_ok(&ctx, lode_array_cast(&ctx, A, A->dtype, &E));
    assert_ok(&ctx, lode_array_cast(&ctx, &r->U, A->dtype, &Us));
    assert_ok(&ctx, lode_i_scale_cols(&ctx, &Us, &r->s));
    assert_ok(&ctx, lode_i_gemm_into(&ctx, LODE_N, LODE_H, -1, &Us, &r->V, 1, &E));
    const double error = norm_of(&E);
    LODE_FREE(&E, &Us);
    return error;
}

static bool same_bytes(const lode_array *a, const lode_array *b)
{
    return a->dtype == b->dtype && lode_array_bytes(a) == lode_array_bytes(b) &&
           memcmp(a->data, b->data, lode_array_bytes(a)) == 0;
}

static void assert_same(const result *a, const result *b)
{
    assert_true(same_bytes(&a->U, &b->U) && same_bytes(&a->s, &b->s) && same_bytes(&a->V, &b->V));
}

static const lode_svd_method methods[] = { LODE_SVD_KRYLOV, LODE_SVD_GOLUB_KAHAN, LODE_SVD_FULL };

/* ---- the decomposition ---- */

static void every_method_gives_the_best_approximation(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = { { 150, 90 }, { 90, 150 } };
    for (int t = 0; t < 4; t++)
        for (int k = 0; k < 2; k++) {
            lode_array A = decaying(types[t], shapes[k][0], shapes[k][1], 0.85), U = { 0 },
                       s = { 0 }, V = { 0 };
            const double eps = lode_i_epsilon(types[t]), norm = norm_of(&A);
            assert_ok(&ctx, lode_i_svd(&ctx, &A, 90, &U, &s, &V));
            double best = 0;
            for (int64_t i = 89; i >= 8; i--)
                best = hypot(best, lode_i_get1(&s, i));
            for (int m = 0; m < 3; m++) {
                result r = { 0 };
                assert_ok(&ctx, svd(by(methods[m], 8), lode_from_array(&A), &r));
                for (int64_t i = 0; i < 8; i++)
                    assert_near(lode_i_get1(&r.s, i), lode_i_get1(&s, i),
                                (lode_i_is_single(types[t]) ? 5e-5 : 1e-6) * lode_i_get1(&s, i));
                const double error = error_of(&A, &r);
                /* Eckart-Young: no better */
                assert_le(error, best * (1 + (lode_i_is_single(types[t]) ? 1e-4 : 1e-6)));
                assert_le(best, error * (1 + 64 * eps));
                assert_near(r.c.absolute, error, 1e-4 * error);
                assert_near(r.c.value, error / norm, 1e-4 * error / norm);
                assert_int_equal(r.c.kind, LODE_CERT_MEASURED);
                assert_le(off_orthonormal(&r.U), 256 * eps);
                assert_le(off_orthonormal(&r.V), 256 * eps);
                free_result(&r);
            }
            LODE_FREE(&A, &U, &s, &V);
        }
}

static void signs_are_canonical(void **state)
{
    (void)state;
    lode_array A = decaying(LODE_F64, 60, 40, 0.8);
    for (int m = 0; m < 3; m++) {
        result r = { 0 };
        assert_ok(&ctx, svd(by(methods[m], 5), lode_from_array(&A), &r));
        for (int64_t j = 0; j < 5; j++) {
            double most = 0;
            for (int64_t i = 0; i < 60; i++)
                most = fabs(lode_i_get2(&r.U, i, j)) > fabs(most) ? lode_i_get2(&r.U, i, j) : most;
            assert_true(most > 0);
        }
        free_result(&r);
    }
    lode_array_free(&A);
}

/* ---- kinds of input ---- */

typedef struct matrix {
    const double *a;
    int64_t m, n;
    int stop;
} matrix;

static int multiply(void *data, bool adjoint, int64_t k, const void *x, int64_t ldx, void *y,
                    int64_t ldy)
{
    const matrix *M = data;
    const double *u = x;
    double *v = y;
    if (M->stop)
        return M->stop;
    for (int64_t i = 0; i < (adjoint ? M->n : M->m); i++)
        for (int64_t j = 0; j < k; j++) {
            double sum = 0;
            for (int64_t l = 0; l < (adjoint ? M->m : M->n); l++)
                sum += (adjoint ? M->a[l * M->n + i] : M->a[i * M->n + l]) * u[l * ldx + j];
            v[i * ldy + j] = sum;
        }
    return 0;
}

static void to_sparse(const lode_array *A, lode_sparse *s)
{
    const int64_t size = lode_array_size(A);
    *s = (lode_sparse){ .layout = LODE_COO, .ndim = 2, .shape = { A->shape[0], A->shape[1] } };
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_I64, size, 2, &s->indices));
    assert_ok(&ctx, lode_array_reshape(&ctx, A, 1, &size, &s->values));
    for (int64_t k = 0; k < size; k++) {
        int64_t *index = lode_i_at(&s->indices, 2 * k);
        index[0] = k / A->shape[1], index[1] = k % A->shape[1];
    }
}

static void every_kind_of_input_agrees(void **state)
{
    (void)state;
    lode_array A = decaying(LODE_F64, 140, 80, 0.8);
    lode_source source = { 0 };
    lode_sparse sparse;
    lode_linop *op = NULL;
    matrix M = { A.data, 140, 80, 0 };
    const lode_callback f = {
        .dtype = LODE_F64, .rows = 140, .cols = 80, .fn = multiply, .data = &M
    };
    to_sparse(&A, &sparse);
    assert_ok(&ctx, lode_i_source_from_array(&ctx, &A, &source));
    assert_ok(&ctx, lode_linop_from(&ctx, lode_from_array(&A), &op));
    const lode_value values[] = { lode_from_array(&A), lode_from_source(&source),
                                  lode_from_linop(op), lode_from_sparse(&sparse),
                                  lode_from_callback(&f) };
    for (int m = 0; m < 3; m++) {
        result first = { 0 };
        for (int i = 0; i < 5; i++) {
            result r = { 0 };
            lode_svd_opts o = by(methods[m], 6);
            o.tol = (lode_auto_f64){ true, 1e-13 };
            assert_ok(&ctx, svd(o, values[i], &r));
            if (i == 0) {
                first = r;
                continue;
            }
            if (i < 3)
                assert_same(&first, &r); /* the same blocks of rows: the same bits */
            assert_le(diff(&first.s, &r.s), 1e-12 * lode_i_get1(&r.s, 0));
            assert_le(diff(&first.U, &r.U), 1e-5);
            assert_le(diff(&first.V, &r.V), 1e-5);
            if (i == 4) { /* no entries: the certificate is a residual */
                assert_int_equal(r.c.norm, LODE_NORM_SPECTRAL);
                assert_le(r.c.value, 1e-5);
            } else {
                assert_near(r.c.value, first.c.value, 1e-9);
            }
            free_result(&r);
        }
        free_result(&first);
    }
    lode_sparse_free(&sparse);
    LODE_FREE(&A, &source, &op);
}

static void bits_do_not_depend_on_schedule(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = { { 2100, 80 }, { 80, 2100 }, { 300, 250 } };
    for (int t = 0; t < 2; t++)
        for (int k = 0; k < 3; k++) {
            lode_array A = random_matrix(types[t], shapes[k][0], shapes[k][1], 3);
            lode_source source = { 0 };
            result r[5] = { { .c = { 0 } } };
            assert_ok(&ctx, lode_i_source_from_array(&ctx, &A, &source));
            for (int i = 0; i < 5; i++) {
                lode_svd_opts o = by(LODE_SVD_KRYLOV, 5);
                o.tol = (lode_auto_f64){ true, 1e-2 };
                ctx.threads = i < 3 ? i + 1 : 2;
                lode_ctx_set_memory(&ctx, i == 4 ? UINT64_C(3) << 23 : UINT64_C(1) << 30);
                assert_ok(&ctx,
                          svd(o, i < 3 ? lode_from_array(&A) : lode_from_source(&source), &r[i]));
                assert_same(&r[0], &r[i]);
            }
            for (int i = 0; i < 5; i++)
                free_result(&r[i]);
            LODE_FREE(&A, &source);
        }
}

/* ---- the rank ---- */

static void the_error_leads_to_the_smallest_rank(void **state)
{
    (void)state;
    static const double errors[] = { 2, 0.5, 0.03, 1e-3, 1e-5 };
    for (int t = 0; t < 4; t++)
        for (int m = 0; m < 3; m++)
            for (int e = 0; e < 5; e++) {
                if (errors[e] < 1e3 * lode_i_epsilon(types[t]))
                    continue;
                lode_array A = decaying(types[t], 90, 60, 0.75), s = { 0 };
                result r = { 0 };
                const double norm = norm_of(&A);
                assert_ok(&ctx, lode_i_svd(&ctx, &A, 60, NULL, &s, NULL));
                int64_t want = 60;
                for (double tail = 0; want > 1;
                     want--) { /* brute force, the last rank tried that still fits */
                    tail = hypot(tail, lode_i_get1(&s, want - 1));
                    if (tail > errors[e] * norm)
                        break;
                }
                lode_svd_opts o = lode_svd_defaults();
                o.method = methods[m];
                o.error = e % 2 ? lode_error_fro(errors[e] * norm) : lode_error_rel(errors[e]);
                assert_ok(&ctx, svd(o, lode_from_array(&A), &r));
                assert_int_equal(r.s.shape[0], want);
                assert_le(error_of(&A, &r), errors[e] * norm * (1 + 1e-5));
                assert_le(r.c.value, r.c.asked * (1 + 1e-5));
                assert_non_null(strstr(r.c.note, "smallest"));
                free_result(&r);
                if (want > 2) { /* the cap comes after, and is said */
                    o.max_rank = (lode_auto_i64){ true, want - 1 };
                    assert_status(&ctx, svd(o, lode_from_array(&A), &r), LODE_MISSED);
                    assert_says(&ctx, "max_rank");
                    assert_int_equal(r.s.shape[0], want - 1);
                    assert_true(r.c.value > r.c.asked);
                    assert_non_null(strstr(r.c.note, "max_rank"));
                    free_result(&r);
                }
                LODE_FREE(&A, &s);
            }
}

static void without_rank_or_error_all_triplets(void **state)
{
    (void)state;
    lode_array A = random_matrix(LODE_F64, 30, 20, 4);
    result r = { 0 };
    assert_ok(&ctx, svd(lode_svd_defaults(), lode_from_array(&A), &r));
    assert_int_equal(r.s.shape[0], 20);
    assert_le(error_of(&A, &r), 1e-13 * norm_of(&A));
    assert_le(r.c.value, 1e-13);
    free_result(&r);
    lode_array_free(&A);
}

/* ---- sizes and sorts of values ---- */

static void sizes_zero_and_one(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = {
        { 0, 3 }, { 3, 0 }, { 0, 0 }, { 1, 1 }, { 1, 7 }, { 7, 1 }
    };
    for (int k = 0; k < 6; k++)
        for (int m = 0; m < 3; m++) {
            const int64_t most = lode_i_min(shapes[k][0], shapes[k][1]);
            lode_array A = random_matrix(LODE_C128, shapes[k][0], shapes[k][1], 5);
            lode_svd_opts o = lode_svd_defaults();
            result r = { 0 };
            o.method = methods[m];
            assert_ok(&ctx, svd(o, lode_from_array(&A), &r));
            assert_int_equal(r.s.shape[0], most);
            assert_int_equal(r.U.shape[0], shapes[k][0]);
            assert_int_equal(r.V.shape[0], shapes[k][1]);
            if (most == 1)
                assert_near(lode_i_get1(&r.s, 0), norm_of(&A), 1e-15 * 8 * norm_of(&A));
            free_result(&r);
            lode_array_free(&A);
        }
}

static void rank_deficient_and_far_from_one(void **state)
{
    (void)state;
    static const double scales[2][5] = { { 1, 1e30, 1e-30, 1e36, 1e-40 },
                                         { 1, 1e300, 1e-300, 1e306, 1e-312 } };
    for (int t = 0; t < 2; t++)
        for (int m = 0; m < 3; m++)
            for (int i = 0; i < 5; i++) {
                lode_array L = random_matrix(types[t], 50, 4, 6),
                           R = random_matrix(types[t], 4, 30, 7), A = { 0 }, s = { 0 };
                result r = { 0 };
                assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &L, &R, &A));
                assert_ok(&ctx, lode_i_svd(&ctx, &A, 30, NULL, &s, NULL));
                for (int64_t k = 0; k < 1500; k++) {
                    if (types[t] == LODE_F32)
                        ((float *)A.data)[k] *= (float)scales[t][i];
                    else
                        ((double *)A.data)[k] *= scales[t][i];
                }
                assert_ok(&ctx, svd(by(methods[m], 7), lode_from_array(&A), &r));
                const double top = lode_i_get1(&s, 0), eps = lode_i_epsilon(types[t]);
                /* denormal entries have few digits: 2^-149 or 2^-1074 absolute */
                const double grain = (t ? 0x1p-1074 : 0x1p-149) / scales[t][i] * 64;
                for (int64_t k = 0; k < 7; k++)
                    assert_near(lode_i_get1(&r.s, k) / scales[t][i], k < 4 ? lode_i_get1(&s, k) : 0,
                                256 * eps * top + grain);
                assert_le(off_orthonormal(&r.U), 256 * eps);
                assert_le(off_orthonormal(&r.V), 256 * eps);
                free_result(&r);
                LODE_FREE(&L, &R, &A, &s);
            }
}

static void a_value_beyond_the_type_is_said(void **state)
{
    (void)state;
    lode_array A = { 0 };
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_F64, 40, 30, &A));
    for (int64_t k = 0; k < 1200; k++)
        ((double *)A.data)[k] = 1.7e308;
    for (int m = 0; m < 3; m++) {
        result r = { 0 };
        assert_status(&ctx, svd(by(methods[m], 2), lode_from_array(&A), &r), LODE_EDOMAIN);
        assert_null(r.s.data);
    }
    lode_array_free(&A);
}

static void every_stored_type_is_taken(void **state)
{
    (void)state;
    for (int d = 0; d < LODE_DTYPE_COUNT; d++)
        for (int m = 0; m < 3; m++) {
            lode_array wide = random_matrix(LODE_F64, 48, 64, 8), A = { 0 }, same = { 0 },
                       s = { 0 };
            result r = { 0 };
            assert_ok(&ctx, lode_i_scale(&ctx, 30, &wide));
            assert_ok(&ctx, lode_array_cast(&ctx, &wide, (lode_dtype)d, &A));
            assert_ok(&ctx, lode_array_cast(&ctx, &A,
                                            lode_i_is_complex((lode_dtype)d) ? LODE_C128 : LODE_F64,
                                            &same));
            assert_ok(&ctx, lode_i_svd(&ctx, &same, 48, NULL, &s, NULL));
            assert_ok(&ctx, svd(by(methods[m], 3), lode_from_array(&A), &r));
            assert_int_equal(r.U.dtype, lode_i_arith((lode_dtype)d));
            for (int64_t i = 0; i < 3; i++)
                assert_near(lode_i_get1(&r.s, i), lode_i_get1(&s, i), 1e-4 * lode_i_get1(&s, 0));
            free_result(&r);
            LODE_FREE(&wide, &A, &same, &s);
        }
}

/* ---- errors: each documented one, outputs unchanged ---- */

static void errors_leave_the_outputs(void **state)
{
    (void)state;
    lode_array A = random_matrix(LODE_F64, 120, 100, 9), bad = { 0 }, big = { 0 };
    result r = { 0 };
    matrix M = { A.data, 120, 100, 0 };
    const lode_callback f = {
        .dtype = LODE_F64, .rows = 120, .cols = 100, .fn = multiply, .data = &M
    };
    assert_ok(&ctx, svd(rank(3), lode_from_array(&A), &r));
    const void *const kept[] = { r.U.data, r.s.data, r.V.data };
    const lode_value a = lode_from_array(&A);
    lode_svd_opts o = lode_svd_defaults();
    assert_status(&ctx, svd(rank(101), a, &r), LODE_ESHAPE);
    assert_says(&ctx, "101");
    assert_status(&ctx, svd(rank(0), a, &r), LODE_EPARAM);
    o.rank.count = 2, o.rank.value[0] = o.rank.value[1] = 2;
    assert_status(&ctx, svd(o, a, &r), LODE_EPARAM);
    o = rank(3), o.error = lode_error_rel(1e-3);
    assert_status(&ctx, svd(o, a, &r), LODE_EUSAGE);
    o = lode_svd_defaults(), o.error = lode_error_max(1e-3);
    assert_status(&ctx, svd(o, a, &r), LODE_EPARAM);
    o.error = lode_error_rel(1e-3);
    assert_status(&ctx, svd(o, lode_from_callback(&f), &r), LODE_EUSAGE);
    M.stop = 1;
    assert_status(&ctx, svd(rank(3), lode_from_callback(&f), &r), LODE_ECANCEL);
    M.stop = LODE_EIO;
    assert_status(&ctx, svd(rank(3), lode_from_callback(&f), &r), LODE_EIO);
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_F32, 2001, 2001, &big));
    assert_status(&ctx, svd(lode_svd_defaults(), lode_from_array(&big), &r), LODE_EUSAGE);
    assert_says(&ctx, "rank");
    for (int m = 0; m < 3; m++) {
        assert_ok(&ctx, lode_array_cast(&ctx, &A, LODE_F64, &bad));
        lode_i_set2(&bad, 77, 31, m == 1 ? INFINITY : NAN);
        assert_status(&ctx, svd(by(methods[m], 3), lode_from_array(&bad), &r), LODE_EDOMAIN);
        assert_says(&ctx, "A[77,31]");
    }
    lode_ctx_set_memory(&ctx, lode_ctx_memory_used(&ctx) + 20000);
    assert_status(&ctx, svd(rank(3), a, &r), LODE_EBUDGET);
    assert_says(&ctx, "memory");
    assert_true(r.U.data == kept[0] && r.s.data == kept[1] && r.V.data == kept[2]);
    free_result(&r);
    LODE_FREE(&A, &bad, &big);
}

/* Each memory the plan asks for is enough, by every method, in memory and from a source. */
static void the_peak_is_within_the_plan(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = { { 500, 60 }, { 60, 500 }, { 90, 90 }, { 40, 30 } };
    for (int t = 0; t < 4; t += 3)
        for (int k = 0; k < 4; k++)
            for (int m = 0; m < 4; m++)
                for (int kind = 0; kind < (m == 3 ? 4 : 6); kind++) {
                    lode_array A = decaying(types[t], shapes[k][0], shapes[k][1], 0.9);
                    lode_source source = { 0 };
                    lode_sparse sparse = { 0 };
                    lode_call call = { 0 };
                    lode_bundle b = { 0 };
                    lode_value v = lode_from_array(&A);
                    if (kind >= 4) {
                        to_sparse(&A, &sparse);
                        v = lode_from_sparse(&sparse);
                    } else if (kind >= 2) {
                        assert_ok(&ctx, lode_i_source_from_array(&ctx, &A, &source));
                        v = lode_from_source(&source);
                    }
                    static const char *const names[] = { "krylov", "golub-kahan", "full", "gram" };
                    assert_ok(&ctx, lode_call_init(&ctx, &lode_op_svd, &call));
                    assert_ok(&ctx, lode_call_set(&ctx, &call, "method", names[m]));
                    assert_ok(&ctx, lode_call_set(&ctx, &call, kind % 2 ? "error" : "rank",
                                                  kind % 2 ? "0.02" : "7"));
                    assert_ok(&ctx, lode_call_input(&ctx, &call, NULL, v));
                    assert_ok(&ctx, lode_call_plan(&ctx, &call));
                    const uint64_t before = lode_ctx_memory_used(&ctx);
                    lode_ctx_memory_reset_peak(&ctx);
                    assert_ok(&ctx, lode_call_run(&ctx, &call, &b));
                    const uint64_t peak = lode_ctx_memory_peak(&ctx) - before;
                    assert_le(peak, call.plan.workspace + call.plan.output + call.plan.resident);
                    lode_call_free(&call);
                    lode_bundle_free(&b);
                    lode_sparse_free(&sparse);
                    LODE_FREE(&A, &source);
                }
}

static int stop_at;
static int stop(void *data, const lode_progress *p)
{
    int *seen = data;
    assert_true(p->fraction >= 0 && p->fraction <= 1);
    return (*seen)++ == stop_at;
}

static void failing_allocations_and_cancels_leave_nothing(void **state)
{
    (void)state;
    lode_array A = decaying(LODE_F64, 90, 70, 0.8);
    for (int m = 0; m < 3; m++) {
        result up = { 0 };
        /* threads and caches are up now */
        assert_ok(&ctx, svd(by(methods[m], 6), lode_from_array(&A), &up));
        free_result(&up);
        for (int64_t n = 1, step = 1;; n += step) {
            result r = { 0 };
            const int64_t live = memory.live;
            heap_fail(&memory, n);
            const lode_status st = svd(by(methods[m], 6), lode_from_array(&A), &r);
            const bool failed = heap_failed(&memory);
            heap_fail(&memory, 0);
            assert_true(st >= 0 || (st == LODE_ENOMEM && !r.U.data && !r.s.data && !r.V.data));
            free_result(&r);
            assert_int_equal(memory.live, live);
            if (!failed)
                break;
            step = n < 60 ? 1 : 1 + n / 20;
        }
        lode_i_set_tick_always(&ctx, true);
        for (stop_at = 0;; stop_at++) {
            result r = { 0 };
            int seen = 0;
            ctx.progress = stop, ctx.progress_data = &seen;
            const lode_status st = svd(by(methods[m], 6), lode_from_array(&A), &r);
            ctx.progress = NULL;
            assert_true(st == (seen > stop_at ? LODE_ECANCEL : LODE_OK));
            assert_true((st == LODE_OK) == (r.U.data != NULL));
            free_result(&r);
            if (st == LODE_OK)
                break;
        }
        assert_true(stop_at >= 2);
    }
    lode_array_free(&A);
}

/* ---- verbs ---- */

static void fit(const lode_array *A, const char *option, const char *value, lode_bundle *b)
{
    lode_call call = { 0 };
    assert_ok(&ctx, lode_call_init(&ctx, &lode_op_svd, &call));
    if (option)
        assert_ok(&ctx, lode_call_set(&ctx, &call, option, value));
    assert_ok(&ctx, lode_call_input(&ctx, &call, "A", lode_from_array(A)));
    assert_ok(&ctx, lode_call_run(&ctx, &call, b));
    lode_call_free(&call);
}

static result of_bundle(const lode_bundle *b)
{
    const lode_array *U = NULL, *s = NULL, *V = NULL;
    assert_ok(&ctx, lode_bundle_array(&ctx, b, "U", &U));
    assert_ok(&ctx, lode_bundle_array(&ctx, b, "s", &s));
    assert_ok(&ctx, lode_bundle_array(&ctx, b, "V", &V));
    return (result){ lode_array_ref(U), lode_array_ref(s), lode_array_ref(V), b->certificate };
}

static void rows_are_projected_and_rebuilt(void **state)
{
    (void)state;
    for (int t = 0; t < 4; t++) {
        lode_array A = decaying(types[t], 40, 30, 0.7), want = { 0 }, back = { 0 }, piece = { 0 },
                   view = { 0 };
        lode_bundle b = { 0 }, codes = { 0 };
        const lode_array *c = NULL;
        const double eps = lode_i_epsilon(types[t]);
        fit(&A, "rank", "6", &b);
        result r = of_bundle(&b);
        assert_ok(&ctx, lode_apply(&ctx, &b, lode_from_array(&A), &codes));
        assert_ok(&ctx, lode_bundle_array(&ctx, &codes, "codes", &c));
        assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &A, &r.V, &want));
        assert_le(diff(c, &want), 64 * eps * norm_of(&A));
        assert_ok(&ctx, lode_invert(&ctx, &b, lode_none(), NULL, &back));
        assert_near(diff(&back, &A), error_of(&A, &r), 1e-3 * error_of(&A, &r));
        lode_array again = { 0 };
        /* A V V^H, the same matrix */
        assert_ok(&ctx, lode_invert(&ctx, &b, lode_from_array(c), NULL, &again));
        assert_le(diff(&back, &again), 256 * eps * norm_of(&A));
        const lode_part part = { .ndim = 2, .start = { 3, 5 }, .count = { 4, -1 } };
        assert_ok(&ctx, lode_invert(&ctx, &b, lode_none(), &part, &piece));
        assert_true(piece.shape[0] == 4 && piece.shape[1] == 25);
        view = lode_i_rows(&back, 3, 7);
        lode_array corner = lode_i_cols(&view, 5, 30);
        assert_le(diff(&piece, &corner), 64 * eps * norm_of(&A));
        LODE_FREE(&A, &want, &back, &piece, &view, &again, &corner, &b, &codes);
        free_result(&r);
    }
}

static void new_rows_give_what_starting_over_gives(void **state)
{
    (void)state;
    for (int t = 0; t < 4; t++)
        for (int whole = 0; whole < 2; whole++) {
            lode_array A = decaying(types[t], 90, 30, 0.7), first = lode_i_rows(&A, 0, 60),
                       rest = lode_i_rows(&A, 60, 90);
            lode_bundle b = { 0 }, more = { 0 }, last = { 0 }, both = { 0 }, scratch = { 0 };
            const double eps = lode_i_epsilon(types[t]), norm = norm_of(&A);
            fit(&first, whole ? NULL : "rank", whole ? NULL : "12", &b);
            fit(&rest, whole ? NULL : "rank", whole ? NULL : "12", &last);
            fit(&A, whole ? NULL : "rank", whole ? NULL : "12", &scratch);
            assert_ok(&ctx, lode_update(&ctx, &b, lode_from_array(&rest), &more));
            assert_ok(&ctx, lode_merge(&ctx, (const lode_bundle *[]){ &b, &last }, 2, &both));
            result want = of_bundle(&scratch);
            for (int i = 0; i < 2; i++) {
                result r = of_bundle(i ? &both : &more);
                const double error = error_of(&A, &r), best = error_of(&A, &want);
                assert_int_equal(r.U.shape[0], 90);
                assert_int_equal(r.s.shape[0], whole ? 30 : 12);
                assert_le(off_orthonormal(&r.U), 256 * eps);
                assert_le(off_orthonormal(&r.V), 256 * eps);
                assert_int_equal(r.c.kind, LODE_CERT_BOUND);
                assert_le(error, r.c.absolute * (1 + 1e-3) + 64 * eps * norm); /* the bound holds */
                assert_le(error, 3 * best + 64 * eps * norm); /* cuts: 2 of them and the last */
                for (int64_t k = 0; k < 4; k++)
                    assert_near(lode_i_get1(&r.s, k), lode_i_get1(&want.s, k),
                                best + 256 * eps * norm);
                lode_certificate found = { 0 };
                assert_ok(&ctx, lode_verify(&ctx, i ? &both : &more, lode_from_array(&A), &found));
                free_result(&r);
            }
            free_result(&want);
            LODE_FREE(&A, &first, &rest, &b, &more, &last, &both, &scratch);
        }
}

static void an_error_asked_for_holds_after_updates(void **state)
{
    (void)state;
    lode_array A = decaying(LODE_F64, 120, 40, 0.75);
    lode_bundle b = { 0 }, next = { 0 };
    lode_array part = lode_i_rows(&A, 0, 60);
    fit(&part, "error", "0.01", &b);
    for (int64_t at = 60; at < 120; at += 20) {
        LODE_FREE(&part);
        part = lode_i_rows(&A, at, at + 20);
        assert_ok(&ctx, lode_update(&ctx, &b, lode_from_array(&part), &next));
        lode_bundle_swap(&b, &next);
        lode_bundle_free(&next);
    }
    result r = of_bundle(&b);
    assert_le(r.c.value, 0.03); /* parts of 0.01 add up by the triangle inequality */
    assert_le(error_of(&A, &r), r.c.absolute * (1 + 1e-9));
    assert_true(r.s.shape[0] < 40);
    free_result(&r);
    LODE_FREE(&A, &part, &b);
}

static void tampering_is_caught(void **state)
{
    (void)state;
    lode_array A = decaying(LODE_F64, 50, 40, 0.8), other = random_matrix(LODE_F64, 50, 40, 11);
    for (int what = 0; what < 7; what++)
        for (int with = 0; with < 2; with++) {
            lode_bundle b = { 0 };
            lode_certificate found = { 0 };
            fit(&A, "rank", "5", &b);
            result r = of_bundle(&b);
            const lode_value original = with ? lode_from_array(&A) : lode_none();
            assert_ok(&ctx, lode_verify(&ctx, &b, original, &found));
            if (with)
                assert_near(found.value, b.certificate.value, 1e-6);
            if (what == 0)
                lode_i_set2(&r.U, 3, 1, lode_i_get2(&r.U, 3, 1) + 1e-6);
            else if (what == 1)
                lode_i_set2(&r.V, 3, 1, lode_i_get2(&r.V, 3, 1) + 1e-6);
            else if (what == 2) /* out of order */
                lode_i_set1(&r.s, 2, lode_i_get1(&r.s, 0) * 1.01);
            else if (what == 3) /* in order: its norm no longer fits the error's */
                lode_i_set1(&r.s, 2, lode_i_get1(&r.s, 2) * 1.01);
            else if (what == 4)
                b.certificate.value *= 0.5, b.certificate.absolute *= 0.5;
            else if (what == 5)
                lode_i_set2(&r.U, 0, 0, NAN);
            /* columns turned together stay orthonormal: only the original tells */
            else if (what == 6) {
                for (int64_t i = 0; i < 50; i++)
                    lode_i_set2(&r.U, i, 0, -lode_i_get2(&r.U, i, 0));
            }
            if (what == 5)
                assert_int_equal(lode_verify(&ctx, &b, original, &found), LODE_EDOMAIN);
            else if (with || what < 4)
                assert_status(&ctx, lode_verify(&ctx, &b, original, &found), LODE_EVERIFY);
            free_result(&r);
            lode_bundle_free(&b);
        }
    lode_bundle b = { 0 };
    lode_certificate found = { 0 };
    fit(&A, "rank", "5", &b);
    assert_status(&ctx, lode_verify(&ctx, &b, lode_from_array(&other), &found), LODE_EVERIFY);
    lode_array small = lode_i_rows(&A, 0, 49);
    assert_status(&ctx, lode_verify(&ctx, &b, lode_from_array(&small), &found), LODE_ESHAPE);
    LODE_FREE(&A, &other, &small, &b);
}

static void what_does_not_fit_a_verb_is_said(void **state)
{
    (void)state;
    lode_array A = decaying(LODE_F64, 20, 10, 0.8), narrow = random_matrix(LODE_F64, 4, 9, 12),
               single = { 0 };
    lode_bundle b = { 0 }, c = { 0 }, out = { 0 };
    lode_array y = { 0 };
    fit(&A, "rank", "3", &b);
    assert_status(&ctx, lode_apply(&ctx, &b, lode_from_array(&narrow), &out), LODE_ESHAPE);
    assert_status(&ctx, lode_update(&ctx, &b, lode_from_array(&narrow), &out), LODE_ESHAPE);
    assert_status(&ctx, lode_invert(&ctx, &b, lode_from_array(&narrow), NULL, &y), LODE_ESHAPE);
    fit(&narrow, "rank", "3", &c);
    assert_status(&ctx, lode_merge(&ctx, (const lode_bundle *[]){ &b, &c }, 2, &out), LODE_ESHAPE);
    lode_bundle_free(&c);
    assert_ok(&ctx, lode_array_cast(&ctx, &A, LODE_F32, &single));
    fit(&single, "rank", "3", &c);
    assert_status(&ctx, lode_merge(&ctx, (const lode_bundle *[]){ &b, &c }, 2, &out), LODE_ETYPE);
    lode_array bad = random_matrix(LODE_F64, 2, 10, 13);
    lode_i_set2(&bad, 1, 4, NAN);
    assert_status(&ctx, lode_update(&ctx, &b, lode_from_array(&bad), &out), LODE_EDOMAIN);
    assert_status(&ctx, lode_apply(&ctx, &b, lode_from_array(&bad), &out), LODE_EDOMAIN);
    assert_int_equal(out.count, 0);
    assert_null(y.data);
    LODE_FREE(&A, &narrow, &single, &b, &c, &out, &y, &bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_method_gives_the_best_approximation, setup, teardown),
        cmocka_unit_test_setup_teardown(signs_are_canonical, setup, teardown),
        cmocka_unit_test_setup_teardown(every_kind_of_input_agrees, setup, teardown),
        cmocka_unit_test_setup_teardown(bits_do_not_depend_on_schedule, setup, teardown),
        cmocka_unit_test_setup_teardown(the_error_leads_to_the_smallest_rank, setup, teardown),
        cmocka_unit_test_setup_teardown(without_rank_or_error_all_triplets, setup, teardown),
        cmocka_unit_test_setup_teardown(sizes_zero_and_one, setup, teardown),
        cmocka_unit_test_setup_teardown(rank_deficient_and_far_from_one, setup, teardown),
        cmocka_unit_test_setup_teardown(a_value_beyond_the_type_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(every_stored_type_is_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_leave_the_outputs, setup, teardown),
        cmocka_unit_test_setup_teardown(the_peak_is_within_the_plan, setup, teardown),
        cmocka_unit_test_setup_teardown(failing_allocations_and_cancels_leave_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(rows_are_projected_and_rebuilt, setup, teardown),
        cmocka_unit_test_setup_teardown(new_rows_give_what_starting_over_gives, setup, teardown),
        cmocka_unit_test_setup_teardown(an_error_asked_for_holds_after_updates, setup, teardown),
        cmocka_unit_test_setup_teardown(tampering_is_caught, setup, teardown),
        cmocka_unit_test_setup_teardown(what_does_not_fit_a_verb_is_said, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
