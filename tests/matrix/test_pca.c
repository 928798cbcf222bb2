/* pca: against the full SVD of the centred matrix, the stationarity of the likelihood, and fits
 * from scratch. */
#include <math.h>

#include "array/array.h"
#include "counted.h"
#include "linalg/linalg.h"
#include "lode/lode.h"

/* m x n: k strong directions about a mean of size `offset`, plus noise. */
static lode_array data(int64_t m, int64_t n, int64_t k, double noise, double offset, uint64_t seed)
{
    lode_array A = { 0 }, B = { 0 }, X = { 0 }, E = { 0 };
    ctx.seed = seed;
    assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "data", 1), LODE_F64, m, k, &A));
    assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "data", 2), LODE_F64, k, n, &B));
    assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "data", 3), LODE_F64, m, n, &E));
    for (int64_t c = 0; c < k; c++)
        for (int64_t i = 0; i < m; i++)
            lode_i_set2(&A, i, c, lode_i_get2(&A, i, c) * (double)(k - c));
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &A, &B, &X));
    assert_ok(&ctx, lode_i_axpy(&ctx, noise, &E, &X));
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            lode_i_set2(&X, i, j, lode_i_get2(&X, i, j) + offset * (double)(j % 3));
    lode_array_free(&A);
    lode_array_free(&B);
    lode_array_free(&E);
    ctx.seed = 0;
    return X;
}

static void punch(lode_array *X, double share, uint64_t seed)
{
    lode_ctx key = { .seed = seed };
    const lode_stream s = lode_i_stream(&key, "holes", 0);
    for (int64_t i = 0; i < X->shape[0]; i++)
        for (int64_t j = 0; j < X->shape[1]; j++)
            if (lode_i_random_uniform(s, (uint64_t)(i * X->shape[1] + j)) < share)
                lode_i_set2(X, i, j, NAN);
}

static lode_bundle fit(const lode_array *X, int64_t rank)
{
    lode_pca_opts o = lode_pca_defaults();
    lode_bundle b = { 0 };
    o.rank = lode_rank(rank);
    assert_ok(&ctx, lode_pca(&ctx, &o, lode_from_array(X), &b));
    return b;
}

static const lode_array *member(const lode_bundle *b, const char *name)
{
    const lode_array *a = NULL;
    assert_ok(&ctx, lode_bundle_array(&ctx, b, name, &a));
    return a;
}

/* Largest sine of the angles between the spans of orthonormal A and B, which have as many
 * columns. */
static double angle(const lode_array *A, const lode_array *B)
{
    lode_array C = { 0 }, s = { 0 };
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_H, LODE_N, A, B, &C));
    assert_ok(&ctx, lode_i_svd(&ctx, &C, C.shape[0], NULL, &s, NULL));
    const double cosine = lode_i_get1(&s, C.shape[0] - 1);
    lode_array_free(&C);
    lode_array_free(&s);
    return sqrt(fmax(0, 1 - cosine * cosine));
}

static void complete_data_gives_the_svd_of_the_centred_matrix(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = { { 80, 30 }, { 30, 80 }, { 40, 40 } };
    for (int k = 0; k < 3; k++) {
        lode_array X = data(shapes[k][0], shapes[k][1], 4, 0.1, 100, 5), mean = { 0 }, C = { 0 },
                   s = { 0 }, V = { 0 };
        lode_bundle b = fit(&X, 4);
        assert_ok(&ctx, lode_i_col_means(&ctx, &X, &mean));
        assert_ok(&ctx, lode_array_cast(&ctx, &X, LODE_F64, &C));
        assert_ok(&ctx, lode_i_sub_row(&ctx, &C, &mean));
        assert_ok(&ctx, lode_i_svd(&ctx, &C, 4, NULL, &s, &V));
        for (int64_t c = 0; c < 4; c++) /* the iteration stops at 1e-7 */
            assert_near(lode_i_get1(member(&b, "s"), c), lode_i_get1(&s, c),
                        1e-6 * lode_i_get1(&s, 0));
        assert_le(angle(member(&b, "V"), &V), 1e-4);
        for (int64_t j = 0; j < X.shape[1]; j++)
            assert_near(lode_i_get1(member(&b, "mean"), j), lode_i_get1(&mean, j), 1e-11 * 200);
        lode_bundle_free(&b);
        lode_array_free(&X);
        lode_array_free(&mean);
        lode_array_free(&C);
        lode_array_free(&s);
        lode_array_free(&V);
    }
}

static void the_certificate_is_the_error_of_the_reconstruction(void **state)
{
    (void)state;
    lode_array X = data(50, 20, 3, 0.5, 10, 6), Y = { 0 };
    lode_bundle b = fit(&X, 3);
    double error = 0, norm = 0;
    snprintf(b.meta.op, sizeof b.meta.op, "pca");
    assert_ok(&ctx, lode_invert(&ctx, &b, lode_none(), NULL, &Y));
    assert_ok(&ctx, lode_i_diff_fro(&ctx, &X, &Y, &error));
    assert_ok(&ctx, lode_i_norm_fro(&ctx, &X, &norm));
    assert_near(b.certificate.absolute, error, 1e-10 * norm);
    assert_near(b.certificate.value, error / norm, 1e-10);
    lode_bundle_free(&b);
    lode_array_free(&X);
    lode_array_free(&Y);
}

/* 30% missing: the subspace is that of the complete data up to noise; filling with means would tilt
 * it by far. */
static void missing_values_do_not_tilt_the_subspace(void **state)
{
    (void)state;
    lode_array X = data(300, 25, 3, 0.05, 20, 7);
    lode_bundle whole = fit(&X, 3);
    punch(&X, 0.3, 1);
    lode_bundle b = fit(&X, 3);
    /* noise 0.05 against the weakest direction of size about 1 with 300 rows: angle near 0.05
     * sqrt(25/300) / sqrt(0.7) */
    assert_le(angle(member(&whole, "V"), member(&b, "V")), 0.06);
    double noise = 0;
    assert_ok(&ctx, lode_bundle_f64(&ctx, &b, "noise", &noise));
    assert_near(sqrt(noise), 0.05, 0.01);
    lode_bundle_free(&whole);
    lode_bundle_free(&b);
    lode_array_free(&X);
}

static void exact_low_rank_data_is_completed(void **state)
{
    (void)state;
    lode_array X = data(120, 20, 2, 0, 5, 8), full = { 0 }, Y = { 0 };
    assert_ok(&ctx, lode_array_cast(&ctx, &X, LODE_F64, &full));
    punch(&X, 0.2, 2);
    lode_bundle b = fit(&X, 2);
    double error = 0, norm = 0;
    snprintf(b.meta.op, sizeof b.meta.op, "pca");
    assert_ok(&ctx, lode_invert(&ctx, &b, lode_none(), NULL, &Y));
    assert_ok(&ctx, lode_i_diff_fro(&ctx, &full, &Y, &error));
    assert_ok(&ctx, lode_i_norm_fro(&ctx, &full, &norm));
    assert_le(error / norm, 1e-3); /* where the sweeps stop on exact data */
    lode_bundle_free(&b);
    lode_array_free(&X);
    lode_array_free(&full);
    lode_array_free(&Y);
}

static void a_value_can_stand_for_missing(void **state)
{
    (void)state;
    lode_array X = data(60, 12, 2, 0.1, 3, 9), Y = { 0 };
    punch(&X, 0.2, 3);
    assert_ok(&ctx, lode_array_cast(&ctx, &X, LODE_F64, &Y));
    for (int64_t i = 0; i < 60; i++)
        for (int64_t j = 0; j < 12; j++)
            if (isnan(lode_i_get2(&Y, i, j)))
                lode_i_set2(&Y, i, j, -999);
    lode_bundle a = fit(&X, 2), b = { 0 };
    lode_pca_opts o = lode_pca_defaults();
    o.rank = lode_rank(2), o.missing = (lode_missing){ LODE_MISSING_VALUE, -999 };
    assert_ok(&ctx, lode_pca(&ctx, &o, lode_from_array(&Y), &b));
    assert_memory_equal(member(&a, "V")->data, member(&b, "V")->data, 12 * 2 * 8);
    lode_bundle_free(&a);
    lode_bundle_free(&b);
    lode_array_free(&X);
    lode_array_free(&Y);
}

/* Exact when nothing is truncated: rank of the data. */
static void update_and_merge_agree_with_a_fit_of_everything(void **state)
{
    (void)state;
    lode_array X = data(90, 16, 3, 0, 4, 10), head = lode_i_rows(&X, 0, 50),
               tail = lode_i_rows(&X, 50, 90);
    lode_bundle whole = fit(&X, 3), a = fit(&head, 3), b = fit(&tail, 3), updated = { 0 },
                merged = { 0 };
    snprintf(a.meta.op, sizeof a.meta.op, "pca");
    snprintf(b.meta.op, sizeof b.meta.op, "pca");
    assert_ok(&ctx, lode_update(&ctx, &a, lode_from_array(&tail), &updated));
    const lode_bundle *both[] = { &a, &b };
    assert_ok(&ctx, lode_merge(&ctx, both, 2, &merged));
    for (int way = 0; way < 2; way++) {
        const lode_bundle *got = way ? &merged : &updated;
        lode_array Y = { 0 };
        double error = 0;
        lode_certificate cert;
        assert_le(angle(member(&whole, "V"), member(got, "V")), 1e-5);
        for (int64_t c = 0; c < 3; c++)
            assert_near(lode_i_get1(member(got, "s"), c), lode_i_get1(member(&whole, "s"), c),
                        1e-6 * lode_i_get1(member(&whole, "s"), 0));
        assert_ok(&ctx, lode_invert(&ctx, got, lode_none(), NULL, &Y));
        assert_ok(&ctx, lode_i_diff_fro(&ctx, &X, &Y, &error));
        assert_le(error, got->certificate.absolute + 1e-6);
        assert_ok(&ctx, lode_verify(&ctx, got, lode_from_array(&X), &cert));
        lode_array_free(&Y);
    }
    lode_bundle_free(&whole);
    lode_bundle_free(&a);
    lode_bundle_free(&b);
    lode_bundle_free(&updated);
    lode_bundle_free(&merged);
    lode_array_free(&head);
    lode_array_free(&tail);
    lode_array_free(&X);
}

static void the_bound_of_a_truncated_update_holds(void **state)
{
    (void)state;
    lode_array X = data(90, 16, 5, 0.3, 4, 11), head = lode_i_rows(&X, 0, 50),
               tail = lode_i_rows(&X, 50, 90), Y = { 0 };
    lode_bundle a = fit(&head, 2), updated = { 0 };
    double error = 0;
    snprintf(a.meta.op, sizeof a.meta.op, "pca");
    assert_ok(&ctx, lode_update(&ctx, &a, lode_from_array(&tail), &updated));
    assert_int_equal(updated.certificate.kind, LODE_CERT_BOUND);
    assert_ok(&ctx, lode_invert(&ctx, &updated, lode_none(), NULL, &Y));
    assert_ok(&ctx, lode_i_diff_fro(&ctx, &X, &Y, &error));
    assert_le(error, updated.certificate.absolute);
    lode_bundle_free(&a);
    lode_bundle_free(&updated);
    lode_array_free(&head);
    lode_array_free(&tail);
    lode_array_free(&X);
    lode_array_free(&Y);
}

static void new_rows_project_with_and_without_holes(void **state)
{
    (void)state;
    lode_array X = data(200, 20, 3, 0.01, 6, 12);
    lode_bundle model = fit(&X, 3), codes = { 0 }, holes = { 0 };
    snprintf(model.meta.op, sizeof model.meta.op, "pca");
    assert_ok(&ctx, lode_apply(&ctx, &model, lode_from_array(&X), &codes));
    const lode_array *Z = member(&codes, "codes"), *scores = member(&model, "scores");
    punch(&X, 0.3, 4);
    assert_ok(&ctx, lode_apply(&ctx, &model, lode_from_array(&X), &holes));
    const lode_array *H = member(&holes, "codes");
    for (int64_t i = 0; i < 200; i++)
        for (int64_t c = 0; c < 3; c++) {
            assert_near(lode_i_get2(Z, i, c), lode_i_get2(scores, i, c),
                        1e-5 * lode_i_get1(member(&model, "s"), 0));
            /* scores are of size 5 and more */
            assert_near(lode_i_get2(H, i, c), lode_i_get2(scores, i, c), 0.5);
        }
    lode_bundle_free(&model);
    lode_bundle_free(&codes);
    lode_bundle_free(&holes);
    lode_array_free(&X);
}

static void wrong_data_is_named(void **state)
{
    (void)state;
    lode_array X = data(10, 6, 2, 0.1, 1, 13);
    lode_bundle b = { 0 };
    lode_pca_opts o = lode_pca_defaults();
    o.rank = lode_rank(7);
    assert_status(&ctx, lode_pca(&ctx, &o, lode_from_array(&X), &b), LODE_EPARAM);
    assert_says(&ctx, "min(m, n) = 6");
    o.rank = lode_rank(2);
    for (int64_t i = 0; i < 10; i++)
        lode_i_set2(&X, i, 4, NAN);
    assert_status(&ctx, lode_pca(&ctx, &o, lode_from_array(&X), &b), LODE_EDOMAIN);
    assert_says(&ctx, "column 4");
    o.missing.kind = LODE_MISSING_NONE;
    assert_status(&ctx, lode_pca(&ctx, &o, lode_from_array(&X), &b), LODE_EDOMAIN);
    assert_says(&ctx, "[0,4]");
    assert_int_equal(b.count, 0);
    lode_array_free(&X);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(complete_data_gives_the_svd_of_the_centred_matrix),
        cmocka_unit_test(the_certificate_is_the_error_of_the_reconstruction),
        cmocka_unit_test(missing_values_do_not_tilt_the_subspace),
        cmocka_unit_test(exact_low_rank_data_is_completed),
        cmocka_unit_test(a_value_can_stand_for_missing),
        cmocka_unit_test(update_and_merge_agree_with_a_fit_of_everything),
        cmocka_unit_test(the_bound_of_a_truncated_update_holds),
        cmocka_unit_test(new_rows_project_with_and_without_holes),
        cmocka_unit_test(wrong_data_is_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
