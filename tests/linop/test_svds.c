/* Block Krylov singular triplets against spectra known by construction; range finder,
 * orthogonalization, certificate. */
#include <math.h>

#include "array/array.h"
#include "counted.h"
#include "linop/linop.h"
#include "lode/lode.h"

static lode_array orthonormal(lode_dtype dtype, int64_t m, int64_t k, uint64_t site)
{
    lode_array Q = { 0 };
    assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "test", site), dtype, m, k, &Q));
    assert_ok(&ctx, lode_i_orth(&ctx, &Q, NULL));
    return Q;
}

/* U diag(value(0), value(1), ..) V^H, m x n, with random U and V. */
static lode_array with_spectrum(lode_dtype dtype, int64_t m, int64_t n, double (*value)(int64_t))
{
    const int64_t r = lode_i_min(m, n);
    lode_array U = orthonormal(dtype, m, r, 1), V = orthonormal(dtype, n, r, 2), s = { 0 },
               A = { 0 };
    assert_ok(&ctx, lode_i_vector_new(&ctx, lode_i_real_of(dtype), r, &s));
    for (int64_t i = 0; i < r; i++)
        lode_i_set1(&s, i, value(i));
    assert_ok(&ctx, lode_i_scale_cols(&ctx, &U, &s));
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_H, &U, &V, &A));
    LODE_FREE(&U, &V, &s);
    return A;
}

static double harmonic(int64_t i)
{
    return 1 / (double)(i + 1);
}
static double graded(int64_t i)
{
    return pow(10, -0.4 * (double)i);
}
static double flat(int64_t i)
{
    return 1 - 0.002 * (double)i;
}
static double tied(int64_t i)
{
    return i < 40 ? 1 : 0.5;
}
static double tied_then_spread(int64_t i)
{
    return i < 40 ? 1 : 0.9 - 0.008 * (double)(i - 40);
}
static double of_rank_7(int64_t i)
{
    return i < 7 ? (double)(9 - i) : 0;
}
static double steps(int64_t i)
{
    return pow(0.8, (double)i);
}

typedef struct result {
    lode_array U, s, V;
    lode_svds_info info;
} result;

static void free_result(result *r)
{
    LODE_FREE(&r->U, &r->s, &r->V);
}

static lode_status run(const lode_array *A, lode_svds_opts o, result *r)
{
    lode_linop *op = NULL;
    o.op = "test";
    assert_ok(&ctx, lode_linop_from(&ctx, lode_from_array(A), &op));
    const lode_status st = lode_i_svds(&ctx, op, &o, &r->U, &r->s, &r->V, &r->info);
    lode_linop_free(&op);
    return st;
}

/* The three ways: one side, both sides, the Gram matrix. */
static lode_svds_opts way(int i, lode_svds_opts o)
{
    o.two_sided = i == 1, o.gram = i == 2;
    return o;
}

static double off_orthonormal(const lode_array *Q)
{
    lode_array G = { 0 }, eye = { 0 };
    double off = 0;
    assert_ok(&ctx, lode_i_gram(&ctx, LODE_H, Q, &G));
    assert_ok(&ctx, lode_i_eye(&ctx, Q->dtype, Q->shape[1], &eye));
    assert_ok(&ctx, lode_i_diff_fro(&ctx, &G, &eye, &off));
    LODE_FREE(&G, &eye);
    return off;
}

/* max_i ||A^H u_i - s_i v_i||, and ||A V - U diag(s)||_F. */
static void residuals(const lode_array *A, const result *r, double *left, double *right)
{
    lode_array Z = { 0 }, T = { 0 }, column = { 0 };
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_H, LODE_N, A, &r->U, &Z));
    assert_ok(&ctx, lode_array_cast(&ctx, &r->V, r->V.dtype, &T));
    assert_ok(&ctx, lode_i_scale_cols(&ctx, &T, &r->s));
    assert_ok(&ctx, lode_i_axpy(&ctx, -1, &T, &Z));
    *left = 0;
    for (int64_t i = 0; i < Z.shape[1]; i++) {
        double norm = 0;
        column = lode_i_cols(&Z, i, i + 1);
        assert_ok(&ctx, lode_i_norm_fro(&ctx, &column, &norm));
        *left = fmax(*left, norm);
        lode_array_free(&column);
    }
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, A, &r->V, &Z));
    assert_ok(&ctx, lode_array_cast(&ctx, &r->U, r->U.dtype, &T));
    assert_ok(&ctx, lode_i_scale_cols(&ctx, &T, &r->s));
    assert_ok(&ctx, lode_i_diff_fro(&ctx, &Z, &T, right));
    LODE_FREE(&Z, &T);
}

/* Factors orthonormal, A V = U diag(s) or, where the iteration was that of A^H, A^H U = V diag(s),
 * descending values: to rounding of products of m + n terms. */
static void check_factors(const lode_array *A, const result *r)
{
    const double eps = lode_i_epsilon(A->dtype),
                 room = 16 * eps * sqrt((double)(A->shape[0] + A->shape[1]));
    const int64_t k = r->s.shape[0];
    double left = 0, right = 0, top = k > 0 ? lode_i_get1(&r->s, 0) : 0;
    assert_le(off_orthonormal(&r->U), room * sqrt((double)k));
    assert_le(off_orthonormal(&r->V), room * sqrt((double)k));
    residuals(A, r, &left, &right);
    assert_le(fmin(left, right), room * top * sqrt((double)k));
    for (int64_t i = 0; i < k; i++)
        assert_true(lode_i_get1(&r->s, i) >= 0 &&
                    (i == 0 || lode_i_get1(&r->s, i) <= lode_i_get1(&r->s, i - 1)));
}

static void check_values(const result *r, double (*value)(int64_t), double tolerance, double floor)
{
    for (int64_t i = 0; i < r->s.shape[0]; i++)
        assert_near(lode_i_get1(&r->s, i), value(i), tolerance * value(i) + floor);
}

static const lode_dtype types[] = { LODE_F32, LODE_F64, LODE_C64, LODE_C128 };

static void values_are_right_to_tol_in_every_type_and_shape(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = { { 300, 120 }, { 120, 300 }, { 150, 150 }, { 1200, 90 } };
    for (int t = 0; t < 4; t++)
        for (int k = 0; k < 4; k++)
            for (int two = 0; two < 2; two++) {
                lode_array A = with_spectrum(types[t], shapes[k][0], shapes[k][1], harmonic);
                result r = { 0 };
                assert_ok(&ctx, run(&A, (lode_svds_opts){ .rank = 12, .two_sided = two != 0 }, &r));
                assert_int_equal(r.info.two_sided, two);
                check_values(&r, harmonic, lode_i_is_single(types[t]) ? 5e-5 : 1e-6, 0);
                check_factors(&A, &r);
                free_result(&r);
                lode_array_free(&A);
            }
}

static void a_tighter_tol_gives_more_digits(void **state)
{
    (void)state;
    lode_array A = with_spectrum(LODE_F64, 260, 200, harmonic);
    result r = { 0 }, loose = { 0 };
    double left = 0, right = 0;
    assert_ok(&ctx, run(&A, (lode_svds_opts){ .rank = 10, .tol = 1e-2 }, &loose));
    assert_ok(&ctx, run(&A, (lode_svds_opts){ .rank = 10, .tol = 1e-12 }, &r));
    check_values(&loose, harmonic, 1e-2, 0);
    check_values(&r, harmonic, 1e-12, 0);
    assert_true(r.info.products > loose.info.products);
    residuals(&A, &r, &left, &right);
    assert_le(left, 2 * r.info.residual + 1e-14); /* what info says is true (s_1 = 1) */
    residuals(&A, &loose, &left, &right);
    assert_le(left, 2 * loose.info.residual);
    assert_le(loose.info.residual, 10 * left); /* and no more than that */
    free_result(&r);
    free_result(&loose);
    lode_array_free(&A);
}

static void restarts_reach_what_one_long_run_does(void **state)
{
    (void)state;
    lode_array A = with_spectrum(LODE_F64, 500, 400, flat);
    for (int two = 0; two < 2; two++) {
        result r = { 0 };
        const lode_svds_opts o = {
            .rank = 6, .block = 4, .max_basis = 40, .tol = 1e-8, .two_sided = two != 0
        };
        assert_ok(&ctx, run(&A, o, &r));
        assert_true(r.info.steps * 4 > 80); /* more than one restart */
        check_values(&r, flat, 1e-8, 0);
        check_factors(&A, &r);
        free_result(&r);
    }
    lode_array_free(&A);
}

/* Values down to 1e-12 of the first: squares drown, so both sides are orthogonalized, by itself. */
static void small_values_keep_their_digits(void **state)
{
    (void)state;
    for (int t = 0; t < 4; t++) {
        lode_array A = with_spectrum(types[t], 200, 120, graded);
        result r = { 0 };
        const int64_t rank = lode_i_is_single(types[t]) ? 12 : 30;
        const double eps = lode_i_epsilon(types[t]);
        assert_ok(&ctx, run(&A, (lode_svds_opts){ .rank = rank, .block = 8, .max_basis = 80 }, &r));
        assert_true(r.info.two_sided);
        check_values(&r, graded, lode_i_is_single(types[t]) ? 5e-5 : 1e-6, 16 * eps);
        check_factors(&A, &r);
        free_result(&r);
        lode_array_free(&A);
    }
}

/* The Gram matrix by itself where its squares suffice, a triangle after it where they do not: wide
 * or tall, of the spectrum's first values or all. */
static void the_gram_matrix_knows_when_its_squares_drown(void **state)
{
    (void)state;
    for (int t = 0; t < 4; t++)
        for (int wide = 0; wide < 2; wide++) {
            lode_array A = with_spectrum(types[t], wide ? 30 : 1300, wide ? 1300 : 30, graded);
            const bool single = lode_i_is_single(types[t]);
            static const int64_t ranks[] = { 1, 5, 12, 29 };
            for (int k = 0; k < 4; k++) {
                result r = { 0 };
                assert_ok(&ctx, run(&A, (lode_svds_opts){ .rank = ranks[k], .gram = true }, &r));
                assert_int_equal(r.s.shape[0], ranks[k]);
                check_values(&r, graded, single ? 5e-5 : 1e-6, 16 * lode_i_epsilon(types[t]));
                check_factors(&A, &r);
                if (k == 0 || (single && k == 1))
                    assert_int_equal(r.info.steps, 1);
                if (k == 3 && !single) /* 6e-12 of the first */
                    assert_int_equal(r.info.steps, 2);
                free_result(&r);
            }
            lode_array_free(&A);
        }
}

/* Told to stay on one side, it says that values drown, and leaves the outputs. */
static void one_side_says_what_drowns(void **state)
{
    (void)state;
    lode_array A = with_spectrum(LODE_F64, 200, 120, graded), wide = lode_i_transposed(&A);
    for (int turned = 0; turned < 2; turned++) {
        result r = { 0 };
        const lode_svds_opts o = { .rank = 30, .block = 8, .max_basis = 80, .one_sided = true };
        assert_ok(&ctx, run(turned ? &wide : &A, o, &r));
        assert_true(r.info.drowned && !r.U.data && !r.s.data && !r.V.data);
    }
    lode_array_free(&A);
}

/* Far wider than high: the iteration is that of A^H, and signs are still those of U. */
static void a_wide_matrix_is_turned(void **state)
{
    (void)state;
    for (int t = 0; t < 4; t++) {
        lode_array A = with_spectrum(types[t], 90, 700, harmonic), V = { 0 };
        result r = { 0 };
        assert_true(lode_i_svds_turned(90, 700) && !lode_i_svds_turned(700, 90));
        assert_ok(&ctx, run(&A, (lode_svds_opts){ .rank = 6 }, &r));
        check_values(&r, harmonic, lode_i_is_single(types[t]) ? 5e-5 : 1e-6, 0);
        check_factors(&A, &r);
        assert_ok(&ctx, lode_array_cast(&ctx, &r.U, types[t], &V));
        assert_ok(&ctx, lode_i_canonical_signs(&ctx, &V, NULL));
        double off = 0;
        assert_ok(&ctx, lode_i_diff_fro(&ctx, &V, &r.U, &off));
        assert_le(off, 16 * lode_i_epsilon(types[t]));
        free_result(&r);
        LODE_FREE(&A, &V);
    }
}

static void null_vectors_are_orthonormal(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = { { 90, 60 }, { 60, 90 } };
    for (int t = 0; t < 4; t++)
        for (int k = 0; k < 2; k++) {
            lode_array A = with_spectrum(types[t], shapes[k][0], shapes[k][1], of_rank_7),
                       zero = { 0 };
            result r = { 0 };
            assert_ok(&ctx, lode_array_zeros(&ctx, types[t], 2, shapes[k], &zero));
            for (int i = 0; i < 3; i += 2) {
                const lode_svds_opts o = { .rank = 15, .block = 4, .max_basis = 40 };
                free_result(&r);
                assert_ok(&ctx, run(&zero, way(i, o), &r));
                for (int64_t j = 0; j < 15; j++)
                    assert_true(lode_i_get1(&r.s, j) == 0);
                check_factors(&zero, &r);
                free_result(&r);
                assert_ok(&ctx, run(&A, way(i, o), &r));
                check_values(&r, of_rank_7, lode_i_is_single(types[t]) ? 5e-5 : 1e-6,
                             256 * lode_i_epsilon(types[t]));
                check_factors(&A, &r);
            }
            free_result(&r);
            LODE_FREE(&A, &zero);
        }
}

/* 40 equal values, blocks of 4: a block finds 4 of them at once, what follows must find the
 * others. */
static void more_equal_values_than_a_block_is_wide(void **state)
{
    (void)state;
    double (*const spectra[])(int64_t) = { tied, tied_then_spread };
    for (int k = 0; k < 2; k++) {
        lode_array A = with_spectrum(LODE_F64, 150, 140, spectra[k]);
        for (int two = 0; two < 2; two++) {
            result r = { 0 };
            assert_ok(
                &ctx,
                run(&A, (lode_svds_opts){ .rank = 20, .block = 4, .two_sided = two != 0 }, &r));
            check_values(&r, spectra[k], 1e-6, 0);
            check_factors(&A, &r);
            free_result(&r);
        }
        lode_array_free(&A);
    }
}

static void every_size_down_to_one(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = { { 1, 1 },  { 1, 9 },  { 9, 1 },  { 2, 2 },
                                         { 3, 40 }, { 40, 3 }, { 17, 16 } };
    for (int k = 0; k < 7; k++) {
        const int64_t r0 = lode_i_min(shapes[k][0], shapes[k][1]);
        for (int64_t rank = 0; rank <= r0; rank += lode_i_max(1, r0 / 3))
            for (int i = 0; i < 3; i++) {
                lode_array A = with_spectrum(LODE_F64, shapes[k][0], shapes[k][1], harmonic);
                result r = { 0 };
                assert_ok(&ctx, run(&A, way(i, (lode_svds_opts){ .rank = rank }), &r));
                assert_int_equal(r.s.shape[0], rank);
                check_values(&r, harmonic, 1e-6, 0);
                check_factors(&A, &r);
                free_result(&r);
                lode_array_free(&A);
            }
    }
}

static double huge(int64_t i)
{
    return 1e300 * harmonic(i);
}
static double tiny(int64_t i)
{
    return 1e-300 * harmonic(i);
}
static double large(int64_t i)
{
    return 1e30 * harmonic(i);
}
static double small(int64_t i)
{
    return 1e-30 * harmonic(i);
}

static void numbers_far_from_one_are_scaled(void **state)
{
    (void)state;
    double (*const wide[])(int64_t) = { huge, tiny }, (*const narrow[])(int64_t) = { large, small };
    for (int t = 0; t < 2; t++)
        for (int i = 0; i < 2; i++)
            for (int turned = 0; turned < 2; turned++)
                for (int how = 0; how < 3; how++) {
                    double (*const value)(int64_t) = t ? wide[i] : narrow[i];
                    lode_array A = with_spectrum(types[t], turned ? 80 : 120, turned ? 120 : 80,
                                                 value);
                    result r = { 0 };
                    assert_ok(&ctx, run(&A, way(how, (lode_svds_opts){ .rank = 6 }), &r));
                    check_values(&r, value, t ? 1e-6 : 5e-5, 0);
                    double norm = 0;
                    assert_ok(&ctx, lode_i_norm_fro(&ctx, &A, &norm));
                    assert_near(r.info.norm_fro, norm, 1e-5 * norm);
                    free_result(&r);
                    lode_array_free(&A);
                }
}

/* ---- rank from an error ---- */

static void the_smallest_rank_within_the_error(void **state)
{
    (void)state;
    static const double errors[] = { 0.5, 0.1, 1e-2, 1e-4, 1e-6 };
    for (int t = 0; t < 4; t++) {
        lode_array A = with_spectrum(types[t], 160, 100, steps);
        for (int e = 0; e < (lode_i_is_single(types[t]) ? 3 : 5); e++)
            for (int how = 0; how < 4; how++) {
                const bool absolute = how % 2 != 0;
                result r = { 0 };
                double total = 0, tail = 0;
                int64_t want = 100;
                for (int64_t i = 99; i >= 0; i--)
                    total += steps(i) * steps(i);
                const double target = errors[e] * sqrt(total);
                for (; want > 1; want--) { /* brute force */
                    tail += steps(want - 1) * steps(want - 1);
                    if (sqrt(tail) > target)
                        break;
                }
                lode_svds_opts o = way(how >= 2 ? 2 : errors[e] < 1e-3,
                                       (lode_svds_opts){ .rank = 100 });
                *(absolute ? &o.tail : &o.tail_rel) = absolute ? target : errors[e];
                assert_ok(&ctx, run(&A, o, &r));
                assert_int_equal(r.s.shape[0], want);
                check_factors(&A, &r);
                free_result(&r);
                o.rank = 3; /* the cap comes after */
                assert_ok(&ctx, run(&A, o, &r));
                assert_int_equal(r.s.shape[0], lode_i_min(want, 3));
                check_values(&r, steps, 5e-5, 0);
                free_result(&r);
            }
        lode_array_free(&A);
    }
}

/* An error near rounding: the difference of norms cancels and the entries are measured. */
static void an_error_near_rounding(void **state)
{
    (void)state;
    lode_array A = with_spectrum(LODE_F64, 160, 100, graded);
    for (int e = 0; e < 4; e++) {
        const double error = e % 2 ? 1e-12 : 1e-9;
        result r = { 0 };
        int64_t want = 0;
        while (graded(want) / sqrt(1 - pow(10, -0.8)) > error * 1 / sqrt(1 - pow(10, -0.8)))
            want++; /* tail of a geometric series over its whole */
        assert_ok(&ctx,
                  run(&A, way(1 + e / 2, (lode_svds_opts){ .rank = 100, .tail_rel = error }), &r));
        assert_int_equal(r.s.shape[0], want);
        check_factors(&A, &r);
        free_result(&r);
    }
    lode_array_free(&A);
}

/* ---- not converged ---- */

static void too_few_steps_keep_the_best(void **state)
{
    (void)state;
    lode_array A = with_spectrum(LODE_F64, 400, 300, flat);
    result r = { 0 };
    assert_status(&ctx, run(&A, (lode_svds_opts){ .rank = 8, .max_iter = 2, .tol = 1e-10 }, &r),
                  LODE_NOCONV);
    assert_says(&ctx, "max_iter");
    assert_int_equal(r.s.shape[0], 8);
    check_factors(&A, &r);
    free_result(&r);
    lode_array_free(&A);
}

/* ---- orthogonalization ---- */

static void a_block_is_made_orthonormal_whatever_it_holds(void **state)
{
    (void)state;
    for (int t = 0; t < 4; t++)
        for (int kind = 0; kind < 6; kind++) {
            const int64_t n = 60, K = kind == 5 ? 56 : 20, b = 4;
            const double eps = lode_i_epsilon(types[t]);
            lode_array B = orthonormal(types[t], n, K, 3), Z = { 0 }, keep = { 0 }, C = { 0 },
                       R = { 0 }, x = { 0 }, from = { 0 };
            double off = 0;
            assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "test", 4), types[t], n, b, &Z));
            for (int64_t j = 0; j < b; j++) {
                x = lode_i_cols(&Z, j, j + 1);
                if (kind == 1) /* nothing */
                    assert_ok(&ctx, lode_i_fill(&ctx, &x, 0));
                from = lode_i_cols(&B, j, j + 1);
                if (kind == 2) /* in the basis already */
                    assert_ok(&ctx, lode_array_copy_into(&ctx, &from, &x));
                lode_array_free(&from);
                from = lode_i_cols(&Z, 0, 1);
                if (kind == 3 && j > 0) /* all alike */
                    assert_ok(&ctx, lode_array_copy_into(&ctx, &from, &x));
                if (kind == 4) /* of very different sizes */
                    assert_ok(&ctx, lode_i_scale(&ctx, pow(10, -4.0 * (double)j), &x));
                LODE_FREE(&x, &from);
            }
            assert_ok(&ctx, lode_array_cast(&ctx, &Z, types[t], &keep));
            assert_ok(&ctx, lode_i_orth_block(&ctx, &B, kind % 2 ? 0 : 6, &Z,
                                              lode_i_stream(&ctx, "test", 5), &C, &R));
            assert_le(off_orthonormal(&Z), 32 * eps);
            assert_ok(&ctx, lode_i_gemm(&ctx, LODE_H, LODE_N, &B, &Z, &x));
            assert_ok(&ctx, lode_i_norm_fro(&ctx, &x, &off));
            assert_le(off, 32 * eps);
            double size = 0; /* Z = B C + Q R */
            assert_ok(&ctx, lode_i_norm_fro(&ctx, &keep, &size));
            assert_ok(&ctx, lode_i_gemm_into(&ctx, LODE_N, LODE_N, -1, &B, &C, 1, &keep));
            assert_ok(&ctx, lode_i_gemm_into(&ctx, LODE_N, LODE_N, -1, &Z, &R, 1, &keep));
            assert_ok(&ctx, lode_i_norm_fro(&ctx, &keep, &off));
            assert_le(off, 32 * eps * size);
            LODE_FREE(&B, &Z, &keep, &C, &R, &x);
        }
}

/* ---- range finder and certificate ---- */

static double step_8(int64_t i)
{
    return i < 8 ? 1 : 0.1;
}

/* Halko, Martinsson, Tropp 2011, Theorem 10.5: E ||A - Q Q^H A||_F^2 <= (1 + k / (p - 1)) sum_{j >
 * k} s_j^2. */
static void mean_error_of_the_range_meets_theorem_10_5(void **state)
{
    (void)state;
    const int64_t k = 8, p = 6;
    lode_array A = with_spectrum(LODE_F64, 60, 40, step_8);
    lode_linop *op = NULL;
    double mean[2] = { 0 }, norm = 0;
    assert_ok(&ctx, lode_i_norm_fro(&ctx, &A, &norm));
    assert_ok(&ctx, lode_linop_from(&ctx, lode_from_array(&A), &op));
    for (ctx.seed = 0; ctx.seed < 40; ctx.seed++)
        for (int q = 0; q < 2; q++) {
            lode_array Q = { 0 }, W = { 0 };
            double kept = 0;
            assert_ok(&ctx, lode_i_range(&ctx, op, k + p, q, lode_i_stream(&ctx, "range", 0), &Q));
            assert_le(off_orthonormal(&Q), 1e-13);
            assert_ok(&ctx, lode_i_gemm(&ctx, LODE_H, LODE_N, &Q, &A, &W));
            assert_ok(&ctx, lode_i_norm_fro(&ctx, &W, &kept));
            mean[q] += (norm * norm - kept * kept) / 40;
            LODE_FREE(&Q, &W);
        }
    ctx.seed = 0;
    const double tail = 32 * 0.01;
    assert_le(mean[0], (1 + (double)k / (double)(p - 1)) * tail);
    assert_true(mean[1] < mean[0]); /* a pass of subspace iteration helps */
    LODE_FREE(&A, &op);
}

/* The bound holds on every seed here (it fails with probability 1e-6), for factors and for either
 * projector, and is no more than the Frobenius norm times sqrt of what the lemma gives away. */
static void the_certificate_bounds_the_spectral_error(void **state)
{
    (void)state;
    for (int t = 0; t < 4; t++) {
        lode_array A = with_spectrum(types[t], 70, 50, harmonic), E = { 0 }, s = { 0 };
        lode_linop *op = NULL;
        result r = { 0 };
        assert_ok(&ctx, run(&A, (lode_svds_opts){ .rank = 5 }, &r));
        assert_ok(&ctx, lode_linop_from(&ctx, lode_from_array(&A), &op));
        for (ctx.seed = 0; ctx.seed < 10; ctx.seed++)
            for (int form = 0; form < 3; form++) {
                lode_certificate c = { 0 };
                assert_ok(&ctx,
                          lode_i_certify(&ctx, op, form == 1 ? NULL : &r.U, form == 0 ? &r.s : NULL,
                                         form == 2 ? NULL : &r.V, 20, &c));
                assert_int_equal(c.kind, LODE_CERT_PROBABILISTIC);
                assert_true(c.failure > 0 && c.failure < 1e-6 * 1.1);
                assert_le(harmonic(5), c.absolute);
                /* far from the bound, near the Frobenius norm of the tail */
                assert_le(c.absolute, 10 * sqrt(1.0 / 5));
            }
        ctx.seed = 0;
        free_result(&r);
        LODE_FREE(&A, &E, &s, &op);
    }
}

/* ---- schedule, failures ---- */

static bool same_bytes(const lode_array *a, const lode_array *b)
{
    return lode_array_bytes(a) == lode_array_bytes(b) &&
           memcmp(a->data, b->data, lode_array_bytes(a)) == 0;
}

static void bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    for (int t = 0; t < 4; t++) {
        lode_array A = with_spectrum(types[t % 2], 1100, 90, harmonic);
        result r[3] = { { { 0 }, { 0 }, { 0 }, { 0 } } };
        for (int i = 0; i < 3; i++) {
            ctx.threads = i + 1;
            assert_ok(&ctx, run(&A, (lode_svds_opts){ .rank = 9, .gram = t >= 2 }, &r[i]));
            assert_true(same_bytes(&r[0].U, &r[i].U) && same_bytes(&r[0].s, &r[i].s) &&
                        same_bytes(&r[0].V, &r[i].V));
        }
        for (int i = 0; i < 3; i++)
            free_result(&r[i]);
        lode_array_free(&A);
    }
}

static void each_failed_allocation_leaves_the_outputs(void **state)
{
    (void)state;
    lode_array A = with_spectrum(LODE_F64, 60, 40, graded);
    for (int i = 0; i < 4; i++) {
        const bool wide = i % 2 != 0;
        lode_array B = { 0 }, view = wide ? lode_i_transposed(&A) : lode_array_ref(&A);
        assert_ok(&ctx, lode_array_cast(&ctx, &view, LODE_F64, &B));
        lode_array_free(&view);
        const lode_svds_opts o = {
            .rank = 5,
            .block = 2,
            .max_basis = 14,
            .op = "test",
            .tail_rel = i < 2 ? 1e-2 : 1e-9,
            .gram = i >= 2 /* and a triangle */
        };
        lode_linop *op = NULL;
        assert_ok(&ctx, lode_linop_from(&ctx, lode_from_array(&B), &op));
        for (int64_t n = 1, step = 1;; n += step) {
            result r = { 0 };
            const int64_t live = memory.live;
            heap_fail(&memory, n);
            const lode_status st = lode_i_svds(&ctx, op, &o, &r.U, &r.s, &r.V, &r.info);
            const bool failed = heap_failed(&memory);
            heap_fail(&memory, 0);
            if (!failed) {
                assert_ok(&ctx, st);
                free_result(&r);
                break;
            }
            if (st < 0) {
                assert_int_equal(st, LODE_ENOMEM);
                assert_true(!r.U.data && !r.s.data && !r.V.data);
            }
            free_result(&r);
            assert_int_equal(memory.live, live);
            step = n < 100 ? 1 : 1 + n / 20;
        }
        LODE_FREE(&op, &B);
    }
    lode_array_free(&A);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values_are_right_to_tol_in_every_type_and_shape, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_tighter_tol_gives_more_digits, setup, teardown),
        cmocka_unit_test_setup_teardown(restarts_reach_what_one_long_run_does, setup, teardown),
        cmocka_unit_test_setup_teardown(small_values_keep_their_digits, setup, teardown),
        cmocka_unit_test_setup_teardown(the_gram_matrix_knows_when_its_squares_drown, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(one_side_says_what_drowns, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wide_matrix_is_turned, setup, teardown),
        cmocka_unit_test_setup_teardown(null_vectors_are_orthonormal, setup, teardown),
        cmocka_unit_test_setup_teardown(more_equal_values_than_a_block_is_wide, setup, teardown),
        cmocka_unit_test_setup_teardown(every_size_down_to_one, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers_far_from_one_are_scaled, setup, teardown),
        cmocka_unit_test_setup_teardown(the_smallest_rank_within_the_error, setup, teardown),
        cmocka_unit_test_setup_teardown(an_error_near_rounding, setup, teardown),
        cmocka_unit_test_setup_teardown(too_few_steps_keep_the_best, setup, teardown),
        cmocka_unit_test_setup_teardown(a_block_is_made_orthonormal_whatever_it_holds, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(mean_error_of_the_range_meets_theorem_10_5, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_certificate_bounds_the_spectral_error, setup, teardown),
        cmocka_unit_test_setup_teardown(bits_do_not_depend_on_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(each_failed_allocation_leaves_the_outputs, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
