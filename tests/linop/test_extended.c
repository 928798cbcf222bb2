/* Bases in extended form, against the same with everything formed: [X Q] G, [X F1; F2], (I - X X^H) B; and
 * the pieces below them. */
#include <math.h>

#include "counted.h"
#include "linop/extended.h"

static const lode_dtype types[] = { LODE_F64, LODE_C128 };

static lode_array random_matrix(lode_dtype dtype, int64_t m, int64_t n, uint64_t site)
{
    lode_array a = { 0 };
    assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "test", site), dtype, m, n, &a));
    return a;
}

static double diff(const lode_array *a, const lode_array *b)
{
    double off = 0;
    assert_ok(&ctx, lode_i_diff_fro(&ctx, a, b, &off));
    return off;
}

static lode_array product(lode_trans ta, lode_trans tb, const lode_array *a, const lode_array *b)
{
    lode_array c = { 0 };
    assert_ok(&ctx, lode_i_gemm(&ctx, ta, tb, a, b, &c));
    return c;
}

static lode_array orthonormal(lode_dtype dtype, int64_t m, int64_t n, uint64_t site)
{
    lode_array a = random_matrix(dtype, m, n, site);
    assert_ok(&ctx, lode_i_orth(&ctx, &a, NULL));
    return a;
}

/* B^H with s rows, entries in every seventh column; compressed. */
static lode_sparse compressed(lode_dtype dtype, int64_t s, int64_t n, uint64_t site)
{
    lode_sparse c = { .layout = LODE_COO, .ndim = 2, .shape = { s, n } }, out = { 0 };
    const int64_t row = (n + 6) / 7, nnz = s * row;
    lode_array x = random_matrix(dtype, nnz, 1, site);
    assert_ok(&ctx, lode_array_new(&ctx, LODE_I64, 2, (const int64_t[]){ nnz, 2 }, &c.indices));
    for (int64_t i = 0; i < nnz; i++) {
        lode_i_set2(&c.indices, i, 0, (double)(i / row));
        lode_i_set2(&c.indices, i, 1, (double)(i % row * 7));
    }
    assert_ok(&ctx, lode_array_reshape(&ctx, &x, 1, &nnz, &c.values));
    assert_ok(&ctx, lode_sparse_to_csr(&ctx, &c, &out));
    LODE_FREE(&x, &c);
    return out;
}

static lode_array formed(const lode_i_extended *x)
{
    lode_array X = { 0 };
    assert_ok(&ctx, lode_i_extended_form(&ctx, x, x->core.dtype, &X));
    return X;
}

/* Q of an augmentation, n x q, from its pairs. */
static lode_array directions(const lode_i_extended *x, const lode_i_block *b,
                             const lode_i_augment *a)
{
    const int64_t p = b->values.shape[1], k = lode_i_extended_rank(x);
    lode_array bq = lode_i_cols(&a->pairs, 0, p), cq = lode_i_cols(&a->pairs, p, p + k),
               X = formed(x), bh = { 0 }, view = lode_i_transposed(&bq),
               Q = product(LODE_N, LODE_H, &X, &cq);
    assert_ok(&ctx, lode_i_scale(&ctx, -1, &Q));
    assert_ok(&ctx, lode_array_cast(&ctx, &view, bq.dtype, &bh));
    assert_ok(&ctx, lode_i_conj(&ctx, &bh));
    assert_ok(&ctx, b->index.data ? lode_i_add_rows(&ctx, &bh, &b->index, &Q)
                                  : lode_i_axpy(&ctx, 1, &bh, &Q));
    LODE_FREE(&bq, &cq, &X, &bh, &view);
    return Q;
}

static lode_array beside(const lode_array *a, const lode_array *b)
{
    lode_array y = { 0 };
    const int64_t n = a->shape[1];
    assert_ok(&ctx, lode_i_matrix_new(&ctx, a->dtype, a->shape[0], n + b->shape[1], &y));
    lode_array one = lode_i_cols(&y, 0, n), two = lode_i_cols(&y, n, y.shape[1]);
    assert_ok(&ctx, lode_array_copy_into(&ctx, a, &one));
    assert_ok(&ctx, lode_array_copy_into(&ctx, b, &two));
    LODE_FREE(&one, &two);
    return y;
}

static void directions_are_orthonormal_and_give_the_block(void **state)
{
    (void)state;
    for (int t = 0; t < 2; t++)
        for (int way = 0; way < 3; way++) { /* sparse, dense, sparse and mostly in the basis */
            lode_array X = orthonormal(types[t], 140, 5, 1), dense = { 0 }, back = { 0 };
            lode_sparse csr = compressed(types[t], 6, 140, 2);
            lode_i_extended x = { 0 };
            lode_i_block b = { 0 };
            lode_i_augment a = { 0 };
            if (way == 2) { /* the basis of unit vectors where the entries are */
                assert_ok(&ctx, lode_i_fill(&ctx, &X, 0));
                for (int64_t j = 0; j < 5; j++)
                    lode_i_set2(&X, 7 * j, j, 1);
                for (int64_t i = 0; i < 6; i++)
                    for (int64_t j = 5; j < 20; j++) {
                        lode_i_set1(&csr.values, i * 20 + j,
                                    1e-6 * lode_i_get1(&csr.values, i * 20 + j));
                    }
            }
            assert_ok(&ctx, lode_sparse_to_dense(&ctx, &csr, &dense));
            lode_array kept = { 0 };
            assert_ok(&ctx, lode_array_cast(&ctx, &dense, types[t], &kept));
            assert_ok(&ctx, lode_i_extended_start(&ctx, &X, types[t], &x));
            assert_ok(&ctx, lode_i_block_from(&ctx, way == 1 ? NULL : &csr,
                                              way == 1 ? &dense : NULL, &b));
            assert_int_equal(b.values.shape[1], way == 1 ? 140 : 20);
            assert_ok(&ctx, lode_i_extended_augment(&ctx, &x, &b, lode_i_stream(&ctx, "t", 1), &a));
            lode_array Q = directions(&x, &b, &a), both = beside(&X, &Q), cr = beside(&a.C, &a.R);
            double off = 0;
            assert_int_equal(Q.shape[1], 6);
            assert_ok(&ctx, lode_i_off_orthonormal(&ctx, &both, &off));
            assert_le(off, way == 2 ? 1e-9 : 1e-14);    /* 1e-16 of B, over the 1e-6 that is left */
            back = product(LODE_N, LODE_H, &cr, &both); /* B^H = C X^H + R Q^H */
            double norm = 0;
            assert_ok(&ctx, lode_i_norm_fro(&ctx, &kept, &norm));
            assert_le(diff(&back, &kept), 1e-14 * norm);
            assert_le(a.dropped, 1e-14 * norm);
            lode_i_augment_free(&a), lode_i_block_free(&b), lode_i_extended_free(&x);
            LODE_FREE(&X, &dense, &back, &csr, &kept, &Q, &both, &cr);
        }
}

/* Turned, lengthened and renewed, a basis is what it would be if it were formed each time. */
static void what_is_kept_follows_what_is_formed(void **state)
{
    (void)state;
    for (int t = 0; t < 2; t++) {
        lode_array X = orthonormal(types[t], 150, 6, 1), R = { 0 };
        lode_i_extended x = { 0 };
        assert_ok(&ctx, lode_i_extended_start(&ctx, &X, types[t], &x));
        for (uint64_t step = 0; step < 12; step++) {
            lode_sparse csr = compressed(types[t], 3, x.n, 10 + step);
            lode_i_block b = { 0 };
            lode_i_augment a = { 0 };
            lode_i_turned turned = { .n = 0 };
            assert_ok(&ctx, lode_i_block_from(&ctx, &csr, NULL, &b));
            assert_ok(&ctx, lode_i_extended_augment(&ctx, &x, &b, lode_i_stream(&ctx, "t", 1), &a));
            lode_array Q = directions(&x, &b, &a), both = beside(&X, &Q),
                       G = orthonormal(types[t], 9, step == 5 ? 7 : 6, 40 + step),
                       want = product(LODE_N, LODE_N, &both, &G);
            assert_ok(&ctx, lode_i_extended_turn(&ctx, &x, &b, &a, &G, &turned));
            lode_array still = formed(&x);
            assert_le(diff(&still, &X), 1e-12); /* made ready, not made */
            lode_i_extended_commit(&ctx, &x, &turned);
            lode_array_swap(&X, &want);
            LODE_FREE(&still);
            still = formed(&x);
            assert_le(diff(&still, &X), 1e-12);
            const int64_t k = lode_i_extended_rank(&x);
            lode_array F = orthonormal(types[t], k + 2, 6, 60 + step), f1 = lode_i_rows(&F, 0, k),
                       f2 = lode_i_rows(&F, k, k + 2), top = product(LODE_N, LODE_N, &X, &f1),
                       tt = { 0 };
            assert_ok(&ctx, lode_i_extended_append(&ctx, &x, &F, &turned));
            lode_i_extended_commit(&ctx, &x, &turned);
            assert_ok(&ctx, lode_i_matrix_new(&ctx, types[t], top.shape[0] + 2, 6, &tt));
            lode_array up = lode_i_rows(&tt, 0, top.shape[0]),
                       down = lode_i_rows(&tt, top.shape[0], top.shape[0] + 2);
            assert_ok(&ctx, lode_array_copy_into(&ctx, &top, &up));
            assert_ok(&ctx, lode_array_copy_into(&ctx, &f2, &down));
            lode_array_swap(&X, &tt);
            LODE_FREE(&still);
            still = formed(&x);
            assert_int_equal(still.shape[0], 152 + 2 * (int64_t)step);
            assert_le(diff(&still, &X), 1e-12);
            double off = 0;
            assert_ok(&ctx, lode_i_off_orthonormal(&ctx, &still, &off));
            assert_near(x.drift, off, 1e-13);
            lode_i_augment_free(&a), lode_i_block_free(&b), lode_i_turned_free(&turned);
            LODE_FREE(&csr, &Q, &both, &G, &want, &still, &F, &f1, &f2, &top, &tt, &up, &down);
        }
        assert_true(x.renewals > 0); /* the rank grew once, at least */
        lode_i_turned turned = { .n = 0 };
        assert_ok(&ctx, lode_i_extended_renew(&ctx, &x, &R, &turned));
        lode_i_extended_commit(&ctx, &x, &turned);
        lode_array Q = formed(&x), back = product(LODE_N, LODE_N, &Q, &R);
        assert_le(diff(&back, &X), 1e-12);
        lode_i_extended_free(&x);
        lode_i_turned_free(&turned);
        LODE_FREE(&X, &R, &Q, &back);
    }
}

/* A basis that has left orthonormality is told by its Gram matrix, though no product with it is made. */
static void drift_is_seen(void **state)
{
    (void)state;
    lode_array X = orthonormal(LODE_F64, 200, 4, 1), W = { 0 };
    lode_i_extended x = { 0 };
    lode_i_turned turned = { .n = 0 };
    assert_ok(&ctx, lode_i_extended_start(&ctx, &X, LODE_F64, &x));
    assert_le(x.drift, 1e-14);
    assert_ok(&ctx, lode_i_eye(&ctx, LODE_F64, 5, &W));
    lode_array F = lode_i_cols(&W, 0, 4);
    lode_i_set2(&W, 2, 2, 1 + 1e-9);
    assert_ok(&ctx, lode_i_extended_append(&ctx, &x, &F, &turned));
    lode_i_extended_commit(&ctx, &x, &turned);
    assert_near(x.drift, 2e-9, 1e-11);
    assert_true(x.drift > lode_i_extended_limit(x.n, 4));
    lode_i_extended_free(&x);
    LODE_FREE(&X, &W, &F);
}

static void vectors_are_set_aside(void **state)
{
    (void)state;
    for (int t = 0; t < 2; t++) {
        lode_array A = random_matrix(types[t], 12, 6, 3), G = { 0 }, least = { 0 }, order = { 0 },
                   r[6];
        int64_t count = 0;
        lode_array rows = { 0 }, view = lode_i_transposed(&A);
        assert_ok(&ctx, lode_array_cast(&ctx, &view, types[t], &rows));
        for (int64_t i = 0; i < 6; i++)
            r[i] = lode_i_rows(&rows, i, i + 1);
        assert_ok(&ctx,
                  lode_array_copy_into(&ctx, &r[0], &r[2])); /* 2 is 0, 4 is 1 + 3, 5 is zero */
        assert_ok(&ctx, lode_array_copy_into(&ctx, &r[1], &r[4]));
        assert_ok(&ctx, lode_i_axpy(&ctx, 1, &r[3], &r[4]));
        assert_ok(&ctx, lode_i_fill(&ctx, &r[5], 0));
        assert_ok(&ctx, lode_i_gram(&ctx, LODE_N, &rows, &G));
        assert_ok(&ctx, lode_i_conj(&ctx, &G)); /* of columns */
        assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F64, 6, &least));
        assert_ok(&ctx, lode_i_fill(&ctx, &least, 1e-10));
        assert_ok(&ctx, lode_i_chol_aside(&ctx, &G, &least, &order, &count));
        assert_int_equal(count, 3);
        static const int64_t want[] = { 0, 1, 3 };
        for (int64_t i = 0; i < 3; i++)
            assert_int_equal((int64_t)lode_i_get1(&order, i), want[i]);
        for (int64_t i = 0; i < 6; i++)
            lode_array_free(&r[i]);
        LODE_FREE(&A, &G, &least, &order, &rows, &view);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(directions_are_orthonormal_and_give_the_block, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_is_kept_follows_what_is_formed, setup, teardown),
        cmocka_unit_test_setup_teardown(drift_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(vectors_are_set_aside, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
