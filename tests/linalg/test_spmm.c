/* Sparse products against the same matrix made dense, and the transpose against itself. */
#include "linalg/blas.h"
#include "reference.h"

typedef struct pattern {
    int64_t rows, cols;
    double density;
    bool skewed; /* one full row and one full column */
} pattern;

/* The same matrix, sparse and dense. */
static lode_sparse sparse(lode_ctx *ctx, lode_dtype t, const pattern *p, lode_array *dense)
{
    lode_sparse s = { .layout = LODE_CSR, .ndim = 2, .shape = { p->rows, p->cols } };
    int64_t nnz = 0;
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1) {
            assert_ok(ctx, lode_i_vector_new(ctx, LODE_I64, p->rows + 1, &s.indptr));
            assert_ok(ctx, lode_i_vector_new(ctx, LODE_I64, nnz, &s.indices));
            assert_ok(ctx, lode_i_vector_new(ctx, t, nnz, &s.values));
            assert_ok(ctx,
                      lode_array_zeros(ctx, t, 2, (const int64_t[]){ p->rows, p->cols }, dense));
            ((int64_t *)s.indptr.data)[0] = 0;
        }
        nnz = 0;
        for (int64_t i = 0; i < p->rows; i++) {
            for (int64_t j = 0; j < p->cols; j++) {
                const bool in = fabs(noise(7, i, j)) < p->density ||
                                (p->skewed && (i == p->rows / 2 || j == p->cols / 2));
                if (in && pass == 1) {
                    ((int64_t *)s.indices.data)[nnz] = j;
                    put(&s.values, nnz, 0, noise_entry(8, i, j));
                    put(dense, i, j, noise_entry(8, i, j));
                }
                nnz += in;
            }
            if (pass == 1)
                ((int64_t *)s.indptr.data)[i + 1] = nnz;
        }
    }
    return s;
}

static const pattern patterns[] = { { 0, 5, 0.5, false },    { 5, 0, 0.5, false },
                                    { 1, 1, 1, false },      { 40, 30, 0, false },
                                    { 40, 30, 0.2, false },  { 30, 70, 0.05, true },
                                    { 300, 12, 0.6, true },  { 12, 600, 0.02, true },
                                    { 500, 100, 0.5, false } };
enum { PATTERNS = 9 };

static void every_type_transpose_and_width(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const lode_trans ts[] = { LODE_N, LODE_T, LODE_H };
    const int64_t widths[] = { 0, 1, 3, 8, 63 };
    for (int t = 0; t < KINDS; t++)
        for (int p = 0; p < PATTERNS - 1; p++) {
            lode_array D = { 0 };
            lode_sparse A = sparse(ctx, kinds[t], &patterns[p], &D);
            for (int tr = 0; tr < 3; tr++)
                for (int k = 0; k < 5; k++) {
                    lode_array Y = { 0 };
                    lode_array X = matrix(ctx, kinds[t], tr ? patterns[p].rows : patterns[p].cols,
                                          widths[k], (layout)(k % LAYOUTS), 3);
                    assert_ok(ctx, lode_i_spmm(ctx, ts[tr], &A, &X, &Y));
                    assert_shape(&Y, tr ? patterns[p].cols : patterns[p].rows, widths[k]);
                    assert_product(&Y, &(naive){ ts[tr], LODE_N, &D, &X });
                    LODE_FREE(&X, &Y);
                }
            LODE_FREE(&A, &D);
        }
}

static void transposes_are_exact_and_sorted(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    for (int t = 0; t < KINDS; t++)
        for (int p = 0; p < PATTERNS; p++)
            for (int h = 0; h < 2; h++) {
                lode_array D = { 0 }, T = { 0 };
                lode_sparse A = sparse(ctx, kinds[t], &patterns[p], &D), B = { 0 }, back = { 0 };
                assert_ok(ctx, lode_i_csr_transpose(ctx, h ? LODE_H : LODE_T, &A, &B));
                assert_ok(ctx, lode_sparse_check(ctx, &B));
                assert_ok(ctx, lode_sparse_to_dense(ctx, &B, &T));
                for (int64_t i = 0; i < patterns[p].rows; i++)
                    for (int64_t j = 0; j < patterns[p].cols; j++)
                        assert_true(get(&T, j, i) == (h ? conj(get(&D, i, j)) : get(&D, i, j)));
                assert_ok(ctx, lode_i_csr_transpose(ctx, h ? LODE_H : LODE_T, &B, &back));
                assert_same_bits(&A.values, &back.values);
                assert_same_bits(&A.indices, &back.indices);
                assert_same_bits(&A.indptr, &back.indptr);
                LODE_FREE(&A, &B, &back, &D, &T);
            }
}

static void same_bits_on_any_threads(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    for (int t = 0; t < KINDS; t++)
        for (int p = 5; p < PATTERNS; p++)
            for (int h = 0; h < 2; h++) {
                lode_array D = { 0 }, Y[3] = { { 0 } };
                lode_sparse A = sparse(ctx, kinds[t], &patterns[p], &D);
                lode_array X = matrix(ctx, kinds[t], h ? patterns[p].rows : patterns[p].cols, 11,
                                      BY_ROWS, 3);
                for (int i = 0; i < 3; i++) {
                    ctx->threads = i + 1;
                    assert_ok(ctx, lode_i_spmm(ctx, h ? LODE_H : LODE_N, &A, &X, &Y[i]));
                    assert_same_bits(&Y[0], &Y[i]);
                }
                LODE_FREE(&A, &D, &X, &Y[0], &Y[1], &Y[2]);
            }
}

static void wrong_input_is_told(void **state)
{
    world *w = *state;
    lode_ctx *ctx = &w->ctx;
    lode_array D = { 0 }, Y = { 0 }, X = matrix(ctx, LODE_F64, 100, 5, STEPPED, 1),
               S = matrix(ctx, LODE_F32, 100, 5, BY_ROWS, 1);
    lode_sparse A = sparse(ctx, LODE_F64, &patterns[8], &D), T = { 0 };
    assert_status(ctx, lode_i_spmm(ctx, LODE_T, &A, &X, &Y), LODE_ESHAPE);
    assert_status(ctx, lode_i_spmm(ctx, LODE_N, &A, &S, &Y), LODE_ETYPE);
    A.layout = LODE_COO;
    assert_status(ctx, lode_i_spmm(ctx, LODE_N, &A, &X, &Y), LODE_EUSAGE);
    A.layout = LODE_CSR;
    lode_array_free(&X);
    X = matrix(ctx, LODE_F64, 500, 5, STEPPED, 1);
    for (int which = 0; which < 2; which++)
        for (int n = 1;; n++) {
            heap_fail(&w->h, n);
            const lode_status st = which ? lode_i_csr_transpose(ctx, LODE_H, &A, &T)
                                         : lode_i_spmm(ctx, LODE_H, &A, &X, &Y);
            const bool failed = heap_failed(&w->h);
            heap_fail(&w->h, 0);
            if (!failed)
                break;
            assert_int_equal(st, LODE_ENOMEM);
            assert_true(which ? !T.values.data : !Y.data);
        }
    LODE_FREE(&A, &T, &D, &X, &S, &Y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINALG_TEST(every_type_transpose_and_width),
        LINALG_TEST(transposes_are_exact_and_sorted),
        LINALG_TEST(same_bits_on_any_threads),
        LINALG_TEST(wrong_input_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
