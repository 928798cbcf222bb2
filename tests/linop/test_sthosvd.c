/* ST-HOSVD against naive loops, brute force over all ranks, singular values of the unfoldings, and
 * itself on other schedules. */
#include "linop/tensors.h"

#include <float.h>

#include "linop/tucker.h"

typedef struct fix {
    lode_ctx ctx;
    heap memory;
    lode_sthosvd_opts o;
    lode_sthosvd_info info;
    lode_array X, core, U[LODE_MAX_NDIM];
} fix;

static fix f;

static int setup(void **state)
{
    (void)state;
    memset(&f, 0, sizeof f);
    const lode_allocator a = heap_of(&f.memory);
    if (lode_ctx_init(&f.ctx, &a) < 0)
        return -1;
    f.ctx.threads = 2;
    return 0;
}

static void free_result(void)
{
    lode_array_free(&f.core);
    for (int k = 0; k < LODE_MAX_NDIM; k++)
        lode_array_free(&f.U[k]);
}

static int teardown(void **state)
{
    (void)state;
    free_result();
    lode_array_free(&f.X);
    lode_ctx_free(&f.ctx);
    if (f.memory.live)
        print_error("%" PRId64 " blocks leaked\n", (int64_t)f.memory.live);
    return f.memory.live ? -1 : 0;
}

static lode_status run(void)
{
    return lode_i_sthosvd(&f.ctx, lode_from_array(&f.X), &f.o, &f.core, f.U, &f.info);
}

static void take(lode_array a)
{
    lode_array_swap(&f.X, &a);
    lode_array_free(&a);
}

/* What must hold of every result; returns the relative error. */
static double checked(void)
{
    const double norm = tensor_norm(&f.X), eps = lode_i_epsilon(f.core.dtype),
                 error = naive_residual(&f.X, &f.core, f.U);
    for (int k = 0; k < f.X.ndim; k++)
        assert_le(off_orthonormal(&f.U[k]), 20 * eps * sqrt((double)f.X.shape[k]));
    assert_canonical(&f.core, f.U);
    assert_near(f.info.norm, norm, 1e-12 * norm);
    /* the certificate against the definition: 1e-6 of it, and rounding of the results */
    assert_near(f.info.error, error, 1e-6 * error + 20 * eps * norm);
    /* and never below it by more than f64 can tell */
    assert_le(error, (1 + 1e-6) * f.info.error + 20 * lode_i_epsilon(LODE_F64) * norm);
    return norm > 0 ? error / norm : error;
}

static int64_t core_size(void)
{
    return lode_array_size(&f.core);
}

/* ---- against the definition ---- */

static void error_is_met_and_measured(void **state)
{
    (void)state;
    static const int64_t shapes[][4] = { { 6, 7, 8, 0 },   { 17, 5, 9, 3 }, { 40, 30, 0, 0 },
                                         { 30, 40, 0, 0 }, { 12, 1, 9, 0 }, { 50, 3, 2, 0 },
                                         { 3, 2, 50, 0 },  { 64, 0, 0, 0 } };
    static const double errors[] = { 0.5, 1e-1, 1e-2, 1e-4 };
    static const lode_dtype types[] = { LODE_F32, LODE_F64, LODE_C64, LODE_C128 };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (size_t j = 0; j < 4; j++)
            for (size_t t = 0; t < 4; t++) {
                int d = 0;
                while (d < 4 && shapes[i][d])
                    d++;
                take(t % 2 ? tensor_smooth(&f.ctx, types[t], d, shapes[i], i)
                           : tensor_normal(&f.ctx, types[t], d, shapes[i], i));
                f.o.error = errors[j];
                assert_ok(&f.ctx, run());
                assert_le(checked(), errors[j]);
                assert_int_equal(f.core.dtype, types[t]);
                free_result();
            }
}

static void every_method_meets_the_error(void **state)
{
    (void)state;
    const int64_t shape[] = { 70, 80, 90 };
    take(tensor_smooth(&f.ctx, LODE_F64, 3, shape, 3));
    int64_t size[4];
    for (int m = LODE_STHOSVD_AUTO; m <= LODE_STHOSVD_RANDOM; m++) {
        f.o.method = (lode_sthosvd_method)m, f.o.error = 1e-3;
        assert_ok(&f.ctx, run());
        assert_le(checked(), 1e-3);
        size[m] = core_size();
        assert_int_equal(f.info.method,
                         m == LODE_STHOSVD_AUTO ? LODE_STHOSVD_GRAM : (lode_sthosvd_method)m);
        free_result();
    }
    for (int m = 1; m < 4; m++) /* bases differ where spectra are flat: a few percent of the core */
        assert_near((double)size[m], (double)size[LODE_STHOSVD_QR],
                    0.05 * (double)size[LODE_STHOSVD_QR]);
}

static void absolute_and_psnr_targets(void **state)
{
    (void)state;
    const int64_t shape[] = { 20, 21, 22 };
    take(tensor_smooth(&f.ctx, LODE_F64, 3, shape, 4));
    double low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < lode_array_size(&f.X); i++) {
        low = fmin(low, creal(tensor_get(&f.X, i)));
        high = fmax(high, creal(tensor_get(&f.X, i)));
    }
    f.o.error = 0.37, f.o.unit = LODE_UNIT_ONE;
    assert_ok(&f.ctx, run());
    checked();
    assert_le(f.info.error, 0.37);
    assert_le(0.1, f.info.error);
    free_result();
    f.o.error = pow(10, -40 / 20.0) * sqrt(20 * 21 * 22), f.o.unit = LODE_UNIT_RANGE; /* 40 dB */
    assert_ok(&f.ctx, run());
    checked();
    assert_near(f.info.min, low, 0);
    assert_near(f.info.max, high, 0);
    assert_le(20 * log10((high - low) / (f.info.error / sqrt(20 * 21 * 22))) * -1, -40);
}

/* ---- the choice of ranks ---- */

/* Core of the HOSVD from LAPACK's singular vectors of the unfoldings; the smallest leading part by
 * trying them all. */
typedef struct brute {
    double core, params;
} brute;
static brute brute_force(double error)
{
    lode_array core = lode_array_ref(&f.X), y = { 0 }, A = { 0 }, V = { 0 }, s = { 0 };
    const int64_t *n = f.X.shape;
    for (int k = 0; k < 3; k++) {
        assert_ok(&f.ctx, lode_i_unfold(&f.ctx, &f.X, k, &A));
        assert_ok(&f.ctx, lode_i_svd(&f.ctx, &A, n[k], NULL, &s, &V)); /* real: X_(k) = V S U^T */
        assert_ok(&f.ctx, lode_i_ttm(&f.ctx, &core, k, LODE_T, &V, &y));
        lode_array_swap(&core, &y);
    }
    const double norm = tensor_norm(&f.X);
    brute best = { INFINITY, INFINITY };
    for (int64_t a = 1; a <= n[0]; a++)
        for (int64_t b = 1; b <= n[1]; b++)
            for (int64_t c = 1; c <= n[2]; c++) {
                long double outside = 0;
                for (int64_t i = 0; i < lode_array_size(&core); i++) {
                    const int64_t x = i / (n[1] * n[2]), z = i / n[2] % n[1], w = i % n[2];
                    if (x >= a || z >= b || w >= c)
                        outside += (long double)pow(creal(tensor_get(&core, i)), 2);
                }
                if (sqrtl(outside) > error * norm)
                    continue;
                best.core = fmin(best.core, (double)(a * b * c));
                best.params = fmin(best.params,
                                   (double)(a * b * c + a * n[0] + b * n[1] + c * n[2]));
            }
    LODE_FREE(&core, &y, &A, &V, &s);
    return best;
}

/* Entries of the core, and of core and factors together: at most a tenth over the best of all rank
 * triples. */
static void ranks_are_near_the_smallest_of_all(void **state)
{
    (void)state;
    static const int64_t shape[] = { 6, 7, 8 };
    static const double errors[] = { 0.6, 0.3, 0.1, 0.03, 3e-3 };
    for (uint64_t seed = 0; seed < 6; seed++)
        for (int e = 0; e < 5; e++) {
            take(seed % 3 == 0   ? tensor_normal(&f.ctx, LODE_F64, 3, shape, seed)
                 : seed % 3 == 1 ? tensor_planted(&f.ctx, LODE_F64, 3, shape,
                                                  (const int64_t[]){ 2, 3, 4 }, 0.1, seed)
                                 : tensor_smooth(&f.ctx, LODE_F64, 3, shape, seed));
            f.o.error = errors[e];
            assert_ok(&f.ctx, run());
            assert_le(checked(), errors[e]);
            const brute best = brute_force(errors[e]);
            double params = (double)core_size();
            for (int k = 0; k < 3; k++)
                params += (double)(f.core.shape[k] * shape[k]);
            assert_le(core_size(), 1.1 * best.core);
            assert_le(params, 1.1 * best.params);
            free_result();
        }
}

/* The whole budget: with noise as large as the error asked, the planted ranks. A share of eps^2 / 3
 * for each mode finds none below the dimensions. */
static void a_noise_floor_at_the_budget_leaves_the_planted_ranks(void **state)
{
    (void)state;
    static const int64_t shape[] = { 120, 110, 100 }, rank[] = { 5, 4, 6 };
    take(tensor_planted(&f.ctx, LODE_F64, 3, shape, rank, 1e-3, 7));
    const double norm = tensor_norm(&f.X);
    for (int m = LODE_STHOSVD_GRAM; m <= LODE_STHOSVD_RANDOM; m += 2) {
        f.o.method = (lode_sthosvd_method)m;
        /* the noise's own sample may be larger by 4 deviations, 0.5% */
        f.o.error = 1e-3 * sqrt(120 * 110 * 100 * 1.005) / norm;
        assert_ok(&f.ctx, run());
        for (int k = 0; k < 3; k++)
            assert_int_equal(f.core.shape[k], rank[k]);
        assert_le(f.info.error, f.o.error * norm);
        free_result();
    }
    f.o.method = LODE_STHOSVD_AUTO; /* below the floor: met all the same, with large ranks */
    f.o.error *= 0.99;
    assert_ok(&f.ctx, run());
    assert_le(f.info.error, f.o.error * norm);
}

/* A table too large for one look is refined: at most 6% over the exhaustive answer, which zooming
 * may miss. */
static void zooming_finds_what_looking_at_all_finds(void **state)
{
    (void)state;
    static const int64_t shape[] = { 96, 80, 72 };
    const int64_t size = shape[0] * shape[1] * shape[2];
    take(tensor_normal(&f.ctx, LODE_F64, 3, shape, 11));
    int64_t order[96], cap[3], rank[3];
    double energy[3][96] = { { 0 } };
    for (int64_t i = 0; i < 96; i++)
        order[i] = i;
    double *total = calloc((size_t)size, sizeof *total), all = 0;
    for (int64_t i = 0; i < size; i++) {
        const int64_t at[3] = { i / (shape[1] * shape[2]), i / shape[2] % shape[1], i % shape[2] };
        const double v = creal(tensor_get(&f.X, i)) *
                         exp(-0.05 * (double)at[0] - 0.002 * (double)(at[1] * at[2]) -
                             0.03 * (double)at[1]);
        tensor_set(&f.X, i, v);
        for (int k = 0; k < 3; k++)
            energy[k][at[k]] += v * v;
        total[i] = v * v, all += v * v;
    }
    int64_t right = 1;
    for (int k = 2; k >= 0; k--) { /* prefix sums */
        for (int64_t i = 0; i < size; i++)
            if (i / right % shape[k] > 0)
                total[i] += total[i - right];
        right *= shape[k], cap[k] = shape[k];
    }
    for (double e = 0.3; e > 1e-3; e /= 4) {
        bool met;
        const lode_i_choice c = { .core = &f.X,
                                  .order = (const int64_t *const[]){ order, order, order },
                                  .energy = (double *const[]){ energy[0], energy[1], energy[2] },
                                  .allowed = e * e * all,
                                  .shape = shape,
                                  .cap = cap };
        assert_ok(&f.ctx, lode_i_choose_ranks(&f.ctx, &c, rank, &met));
        assert_true(met);
        double best = INFINITY;
        for (int64_t i = 0; i < size; i++)
            if (all - total[i] <= c.allowed)
                best = fmin(best, (double)((i / (shape[1] * shape[2]) + 1) *
                                           (i / shape[2] % shape[1] + 1) * (i % shape[2] + 1)));
        const int64_t at = ((rank[0] - 1) * shape[1] + rank[1] - 1) * shape[2] + rank[2] - 1;
        assert_le(all - total[at], c.allowed + 1e-12 * all);
        assert_le(rank[0] * rank[1] * rank[2], 1.06 * best);
    }
    free(total);
}

static void many_modes(void **state)
{
    (void)state;
    const int64_t shape[] = { 3, 4, 3, 2, 3, 4, 2, 3, 1, 2 },
                  rank[] = { 2, 2, 2, 1, 2, 2, 1, 2, 1, 1 };
    take(tensor_planted(&f.ctx, LODE_F64, 10, shape, rank, 1e-3, 5));
    f.o.error = 1e-2;
    assert_ok(&f.ctx, run());
    assert_le(checked(), 1e-2);
    assert_le(core_size(), 64 * 1.1);
}

/* ---- bounds of the literature ---- */

/* ||X - X_hat||^2 <= sum_k tail_k(r_k) <= d times the best error squared (Vannieuwenhoven et al.
 * 2012, Section 5); and no approximation of these ranks beats the largest single tail. */
static void given_ranks_are_within_the_theorem(void **state)
{
    (void)state;
    static const int64_t shape[] = { 14, 12, 13 };
    for (uint64_t seed = 0; seed < 5; seed++) {
        take(tensor_normal(&f.ctx, LODE_F64, 3, shape, seed));
        f.o.ranks = 3;
        for (int k = 0; k < 3; k++)
            f.o.rank[k] = 2 + (int64_t)(seed * 3 + (uint64_t)k * 5) % 9;
        double sum = 0, least = 0;
        for (int k = 0; k < 3; k++) {
            lode_array A = { 0 }, s = { 0 };
            double tail = 0;
            assert_ok(&f.ctx, lode_i_unfold(&f.ctx, &f.X, k, &A));
            assert_ok(&f.ctx, lode_i_svd(&f.ctx, &A, shape[k], NULL, &s, NULL));
            for (int64_t i = f.o.rank[k]; i < shape[k]; i++)
                tail += pow(lode_i_get1(&s, i), 2);
            sum += tail, least = fmax(least, tail);
            LODE_FREE(&A, &s);
        }
        double last = INFINITY;
        for (int64_t sweeps = 0; sweeps < 8;
             sweeps = 2 * sweeps + 1) { /* HOOI never makes it worse */
            f.o.sweeps = sweeps;
            assert_ok(&f.ctx, run());
            const double error = checked() * f.info.norm;
            for (int k = 0; k < 3; k++)
                assert_int_equal(f.core.shape[k], f.o.rank[k]);
            assert_le(error * error, sum);
            assert_le(least, error * error);
            assert_le(error, last * (1 + 1e-12));
            assert_true(f.info.sweeps <= sweeps);
            last = error;
            free_result();
        }
    }
}

static void small_errors_go_through_qr(void **state)
{
    (void)state;
    static const int64_t shape[] = { 30, 25, 28 }, rank[] = { 4, 5, 3 };
    take(tensor_planted(&f.ctx, LODE_F64, 3, shape, rank, 1e-10, 9));
    f.o.error = 1e-9;
    assert_ok(&f.ctx, run());
    assert_int_equal(f.info.method, LODE_STHOSVD_QR);
    assert_true(f.info.residual);
    assert_le(checked(), 1e-9);
    for (int k = 0; k < 3; k++)
        assert_int_equal(f.core.shape[k], rank[k]);
    free_result();
    f.o.error = 0; /* nothing asked: all above rounding, the noise too */
    assert_ok(&f.ctx, run());
    assert_le(checked(), 1e-14);
}

/* Single precision in, the error met far below where Gram matrices in single precision stop (about
 * 3e-4). */
static void single_precision_meets_small_errors(void **state)
{
    (void)state;
    static const int64_t shape[] = { 60, 50, 40 };
    take(tensor_smooth(&f.ctx, LODE_F32, 3, shape, 2));
    for (double e = 1e-3; e > 1e-6; e /= 10) {
        f.o.error = e;
        assert_ok(&f.ctx, run());
        if (e < 5e-6) /* rounding core and factors is then more than a twentieth of it */
            assert_true(f.info.residual);
        assert_le(checked(), e);
        assert_true(core_size() < 60 * 50 * 40 / 4);
        free_result();
    }
}

/* Where hardly anything is truncated and the error leaves room, products are in single precision:
 * the error is met, what is stated is never below it, and above it by at most what rounding may
 * add; bases of f64 data are orthonormal to f64. Below that room they are not. */
static void single_products_state_their_rounding(void **state)
{
    (void)state;
    static const int64_t shape[] = { 128, 130, 127 };
    static const double errors[] = { 0.3, 5e-2, 2e-3, 2e-4 };
    for (int t = 0; t < 2; t++)
        for (int e = 0; e < 4; e++) {
            lode_array X = { 0 }, flat = { 0 }, U[3] = { { 0 } };
            double error = 0, norm = 0;
            const lode_stream s = lode_i_stream(&f.ctx, "test", (uint64_t)e);
            assert_ok(&f.ctx, lode_i_randn(&f.ctx, s, LODE_F64, 128 * 130, 127, &flat));
            if (e > 0) { /* a mean that most of the norm is in */
                lode_array row = lode_i_rows(&flat, 0, 8000);
                assert_ok(&f.ctx, lode_i_fill(&f.ctx, &row, 5));
                lode_array_free(&row);
            }
            assert_ok(&f.ctx, lode_array_reshape(&f.ctx, &flat, 3, shape, &X));
            assert_ok(&f.ctx, lode_array_cast(&f.ctx, &X, t ? LODE_F32 : LODE_F64, &flat));
            take(flat);
            f.o.error = errors[e];
            assert_ok(&f.ctx, run());
            assert_ok(&f.ctx, lode_i_tucker_residual(&f.ctx, lode_from_array(&f.X), &f.core, f.U,
                                                     "X", &error, &norm));
            assert_le(f.info.error, errors[e] * norm);
            assert_le(error, f.info.error + 1e-9 * norm);
            assert_le(f.info.error, error + f.info.rounding + 1e-9 * norm);
            assert_le(f.info.rounding, 0.12 * errors[e] * norm);
            if (e < 3) /* some 430 u, which single precision alone brings in */
                assert_le(2e-5 * norm, f.info.rounding);
            else
                assert_le(f.info.rounding, t ? 4e-6 * norm : 0);
            for (int k = 0; k < 3; k++)
                assert_le(off_orthonormal(&f.U[k]), 200 * lode_i_epsilon(f.core.dtype));
            /* the same bits from a source, slab by slab, and on more threads */
            lode_source source = { 0 };
            lode_array core_2 = { 0 };
            lode_sthosvd_info info;
            f.ctx.threads = 3;
            assert_ok(&f.ctx, lode_i_source_from_array(&f.ctx, &f.X, &source));
            assert_ok(&f.ctx,
                      lode_i_sthosvd(&f.ctx, lode_from_source(&source), &f.o, &core_2, U, &info));
            assert_int_equal(lode_array_bytes(&core_2), lode_array_bytes(&f.core));
            assert_memory_equal(core_2.data, f.core.data, (size_t)lode_array_bytes(&core_2));
            assert_true(info.error == f.info.error);
            f.ctx.threads = 1;
            LODE_FREE(&source);
            for (int k = 0; k < 3; k++)
                lode_array_free(&U[k]);
            LODE_FREE(&X, &core_2);
            free_result();
        }
}

/* Modes too long for a Gram matrix go by power iteration; the slab axis by an SVD of what the
 * others leave. */
static void long_modes(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = { { 2060, 2100 }, { 2100, 30 }, { 30, 2100 } },
                         rank[] = { 6, 6 };
    for (int i = 0; i < 3; i++) {
        take(tensor_planted(&f.ctx, LODE_F32, 2, shapes[i], rank, 1e-3, 9));
        f.o = (lode_sthosvd_opts){ .error = 0.01 };
        assert_ok(&f.ctx, run());
        assert_int_equal(f.core.shape[0], 6);
        assert_int_equal(f.core.shape[1], 6);
        assert_le(f.info.error, 0.01 * f.info.norm);
        if (i)
            checked();
        free_result();
    }
}

/* ---- budgets and caps ---- */

static void budgets_and_caps_hold(void **state)
{
    (void)state;
    static const int64_t shape[] = { 30, 40, 20 };
    take(tensor_smooth(&f.ctx, LODE_F64, 3, shape, 6));
    double last = INFINITY;
    for (int64_t params = 200; params <= 6400; params *= 2) {
        f.o = (lode_sthosvd_opts){ .params = params };
        assert_ok(&f.ctx, run());
        const double error = checked();
        int64_t used = core_size();
        for (int k = 0; k < 3; k++)
            used += lode_array_size(&f.U[k]);
        assert_true(used <= params);
        assert_int_equal(f.info.bound, LODE_BY_BUDGET);
        assert_le(error, last);
        last = error;
        free_result();
    }
    assert_le(last, 1e-3);
    /* a cap on every mode leaves numbers that would have gone to one: they go to the others */
    f.o = (lode_sthosvd_opts){ .params = 800 };
    assert_ok(&f.ctx, run());
    const int64_t cap = lode_i_max(f.core.shape[0], lode_i_max(f.core.shape[1], f.core.shape[2])) -
                        1;
    free_result();
    f.o = (lode_sthosvd_opts){ .params = 800, .max_rank = cap };
    assert_ok(&f.ctx, run());
    int64_t spent = core_size(), more = 800;
    for (int k = 0; k < 3; k++) {
        spent += lode_array_size(&f.U[k]);
        assert_true(f.core.shape[k] <= cap);
        if (f.core.shape[k] < cap)
            more = lode_i_min(more, shape[k] + core_size() / f.core.shape[k]);
    }
    assert_true(spent <= 800 && spent + more > 800); /* no mode could have one more */
    free_result();
    f.o = (lode_sthosvd_opts){ .error = 1e-4, .max_rank = 3 };
    assert_status(&f.ctx, run(), LODE_MISSED);
    assert_says(&f.ctx, "max_rank");
    assert_int_equal(f.info.bound, LODE_BY_MAX_RANK);
    assert_true(checked() > 1e-4);
    for (int k = 0; k < 3; k++)
        assert_true(f.core.shape[k] <= 3);
    free_result();
    f.o = (lode_sthosvd_opts){ .error = 0.5, .max_rank = 30 };
    assert_ok(&f.ctx, run());
    assert_int_equal(f.info.bound, LODE_BY_ERROR);
}

static void requests_that_cannot_be_met_are_named(void **state)
{
    (void)state;
    static const int64_t shape[] = { 4, 5, 6 };
    take(tensor_normal(&f.ctx, LODE_F64, 3, shape, 1));
    f.o = (lode_sthosvd_opts){ .ranks = 3, .rank = { 2, 6, 3 } };
    assert_status(&f.ctx, run(), LODE_ESHAPE);
    assert_says(&f.ctx, "mode 1");
    f.o = (lode_sthosvd_opts){ .ranks = 2, .rank = { 2, 3 } };
    assert_status(&f.ctx, run(), LODE_ESHAPE);
    f.o = (lode_sthosvd_opts){ .ranks = 1, .rank = { 0 } };
    assert_status(&f.ctx, run(), LODE_EPARAM);
    f.o = (lode_sthosvd_opts){ .params = 5 };
    assert_status(&f.ctx, run(), LODE_EPARAM);
    f.o = (lode_sthosvd_opts){ .error = 0.1, .name = "X" };
    tensor_set(&f.X, 3 * 30 + 2 * 6 + 5, NAN);
    tensor_set(&f.X, 3 * 30 + 3 * 6 + 5, INFINITY);
    assert_status(&f.ctx, run(), LODE_EDOMAIN);
    assert_says(&f.ctx, "X[3,2,5] is nan");
    assert_null(f.core.data);
}

/* ---- edges ---- */

static void zero_and_empty_tensors(void **state)
{
    (void)state;
    static const int64_t shapes[][3] = { { 4, 5, 6 }, { 4, 0, 6 }, { 0, 5, 6 }, { 4, 5, 0 } };
    for (int i = 0; i < 4; i++) {
        lode_array z = { 0 };
        assert_ok(&f.ctx, lode_array_zeros(&f.ctx, LODE_F32, 3, shapes[i], &z));
        take(z);
        f.o.error = 1e-3;
        assert_ok(&f.ctx, run());
        checked();
        assert_near(f.info.error, 0, 0);
        for (int k = 0; k < 3; k++) {
            assert_int_equal(f.core.shape[k], i ? 0 : 1);
            assert_int_equal(f.U[k].shape[0], shapes[i][k]);
        }
        free_result();
    }
}

static void ranks_beyond_what_the_tensor_has(void **state)
{
    (void)state;
    const int64_t shape[] = { 9 }, two[] = { 3, 40 };
    /* a vector has rank 1; 3 columns are asked */
    take(tensor_normal(&f.ctx, LODE_F64, 1, shape, 1));
    f.o = (lode_sthosvd_opts){ .ranks = 1, .rank = { 3 } };
    assert_ok(&f.ctx, run());
    assert_le(checked(), 1e-15);
    assert_int_equal(f.core.shape[0], 3);
    free_result();
    take(tensor_normal(&f.ctx, LODE_F64, 2, two, 2)); /* mode 1 of a 3 x 40 matrix has rank 3 */
    f.o = (lode_sthosvd_opts){ .ranks = 2, .rank = { 3, 7 } };
    assert_ok(&f.ctx, run());
    assert_le(checked(), 1e-14);
}

static void huge_and_tiny_values(void **state)
{
    (void)state;
    static const int64_t shape[] = { 9, 8, 7 };
    static const double scales[] = { 1e300, 1e-300, 1e-318 };
    int64_t reference = 0;
    take(tensor_smooth(&f.ctx, LODE_F64, 3, shape, 5));
    lode_array base = { 0 };
    lode_array_swap(&base, &f.X);
    for (int i = -1; i < 3; i++) {
        lode_array x = { 0 };
        assert_ok(&f.ctx, lode_array_cast(&f.ctx, &base, LODE_F64, &x));
        for (int64_t j = 0; j < lode_array_size(&x); j++)
            tensor_set(&x, j, tensor_get(&x, j) * (i < 0 ? 1 : scales[i]));
        take(x);
        f.o.error = 0.01;
        assert_ok(&f.ctx, run());
        assert_le(f.info.error, 0.01 * f.info.norm);
        assert_true(f.info.norm > 0 && f.info.norm <= DBL_MAX);
        if (i < 0)
            reference = core_size();
        else if (i < 2) /* denormals have lost digits, so other ranks may do there */
            assert_int_equal(core_size(), reference);
        free_result();
    }
    lode_array_free(&base);
}

static void other_types_and_strides(void **state)
{
    (void)state;
    static const int64_t shape[] = { 12, 10, 64 };
    lode_array x = tensor_smooth(&f.ctx, LODE_F64, 3, shape, 8), y = { 0 }, z = { 0 };
    assert_ok(&f.ctx, lode_i_scale(&f.ctx, 100, &x));
    static const lode_dtype types[] = { LODE_I8, LODE_F16, LODE_Q8, LODE_I32 };
    for (int t = 0; t < 4; t++) {
        assert_ok(&f.ctx, lode_array_cast(&f.ctx, &x, types[t], &y));
        assert_ok(&f.ctx, lode_array_cast(&f.ctx, &y, lode_i_arith(types[t]), &z));
        f.o.error = 0.1;
        assert_ok(&f.ctx, lode_i_sthosvd(&f.ctx, lode_from_array(&y), &f.o, &f.core, f.U, &f.info));
        assert_int_equal(f.core.dtype, lode_i_arith(types[t]));
        take(lode_array_ref(&z));
        assert_le(checked(), 0.1);
        free_result();
    }
    /* strides in another order */
    assert_ok(&f.ctx, lode_array_permute(&f.ctx, &x, (const int[]){ 2, 0, 1 }, &y));
    assert_ok(&f.ctx, lode_array_cast(&f.ctx, &y, LODE_F64, &z));
    assert_ok(&f.ctx, lode_i_sthosvd(&f.ctx, lode_from_array(&y), &f.o, &f.core, f.U, &f.info));
    take(lode_array_ref(&z));
    assert_le(checked(), 0.1);
    LODE_FREE(&x, &y, &z);
}

/* ---- schedules ---- */

static void assert_same_bits(const lode_array *a, const lode_array *b)
{
    assert_int_equal(a->ndim, b->ndim);
    for (int k = 0; k < a->ndim; k++)
        assert_int_equal(a->shape[k], b->shape[k]);
    assert_memory_equal(a->data, b->data, lode_array_bytes(a));
}

/* Three slabs; threads, a source in place of memory, and a memory so small that nothing can be
 * stored before the slab axis. */
static void schedules_give_the_same_bits(void **state)
{
    (void)state;
    static const int64_t shape[] = { 40, 220, 230 }, rank[] = { 3, 4, 5 };
    lode_array core = { 0 }, U[3] = { { 0 } };
    take(tensor_planted(&f.ctx, LODE_F32, 3, shape, rank, 0.01, 3));
    f.o.error = 0.02;
    assert_ok(&f.ctx, run());
    lode_array_swap(&core, &f.core);
    for (int k = 0; k < 3; k++)
        lode_array_swap(&U[k], &f.U[k]);
    for (int way = 0; way < 4; way++) {
        lode_source s = { 0 };
        assert_ok(&f.ctx, lode_i_source_from_array(&f.ctx, &f.X, &s));
        f.ctx.threads = way == 0 ? 1 : way == 1 ? 3 : 2;
        const uint64_t before = lode_ctx_memory(&f.ctx);
        if (way == 3)
            lode_ctx_set_memory(&f.ctx, lode_ctx_memory_used(&f.ctx) + (UINT64_C(48) << 20));
        assert_ok(&f.ctx,
                  lode_i_sthosvd(&f.ctx, way >= 2 ? lode_from_source(&s) : lode_from_array(&f.X),
                                 &f.o, &f.core, f.U, &f.info));
        lode_ctx_set_memory(&f.ctx, before);
        assert_same_bits(&f.core, &core);
        for (int k = 0; k < 3; k++)
            assert_same_bits(&f.U[k], &U[k]);
        lode_source_close(&s);
        free_result();
    }
    for (int k = 0; k < 3; k++)
        lode_array_free(&U[k]);
    lode_array_free(&core);
}

static void each_failed_allocation_is_survived(void **state)
{
    (void)state;
    static const int64_t shape[] = { 6, 5, 7 };
    take(tensor_normal(&f.ctx, LODE_F32, 3, shape, 1));
    f.o = (lode_sthosvd_opts){ .error = 0.3, .sweeps = 1 };
    assert_ok(&f.ctx, run());
    free_result();
    int64_t step = 1;
    for (int64_t n = 1;; n += step) {
        const int64_t live = f.memory.live;
        heap_fail(&f.memory, n);
        const lode_status st = run();
        const bool failed = heap_failed(&f.memory);
        heap_fail(&f.memory, 0);
        if (!failed)
            break;
        if (st < 0) {
            assert_int_equal(st, LODE_ENOMEM);
            assert_null(f.core.data);
            assert_true(f.memory.live <= live);
        }
        free_result();
        step = 1 + n / 100;
    }
}

static int stop(void *data, const lode_progress *p)
{
    (void)p;
    return --*(int *)data == 0;
}

static void cancelling_leaves_nothing(void **state)
{
    (void)state;
    static const int64_t shape[] = { 6, 5, 7 };
    take(tensor_normal(&f.ctx, LODE_F64, 3, shape, 1));
    lode_i_set_tick_always(&f.ctx, true);
    f.o = (lode_sthosvd_opts){ .error = 0.3, .sweeps = 2 };
    f.ctx.progress = stop;
    for (int at = 1;; at++) {
        int left = at;
        f.ctx.progress_data = &left;
        lode_i_begin(&f.ctx, "test");
        const lode_status st = run();
        lode_i_end(&f.ctx);
        if (left > 0) {
            assert_true(st >= 0);
            assert_true(at > 5);
            break;
        }
        assert_int_equal(st, LODE_ECANCEL);
        assert_null(f.core.data);
    }
    f.ctx.progress = NULL;
}

/* ---- what is done with a result ---- */

static void parts_projections_and_stacks(void **state)
{
    (void)state;
    static const int64_t shape[] = { 9, 10, 11 }, start[] = { 2, 0, 5 }, count[] = { 3, 10, 4 };
    take(tensor_smooth(&f.ctx, LODE_C128, 3, shape, 5));
    f.o.error = 0.05;
    assert_ok(&f.ctx, run());
    checked();
    entry *whole = naive_expand(&f.core, f.U);
    lode_array y = { 0 }, core = { 0 }, U[3] = { { 0 } }, X2 = { 0 }, core2 = { 0 },
               U2[3] = { { 0 } };
    assert_ok(&f.ctx, lode_i_tucker_expand(&f.ctx, &f.core, f.U, start, count, &y));
    for (int64_t i = 0; i < lode_array_size(&y); i++) {
        const int64_t a = i / (count[1] * count[2]) + start[0],
                      b = i / count[2] % count[1] + start[1], c = i % count[2] + start[2];
        assert_le(cabs(tensor_get(&y, i) - whole[(a * shape[1] + b) * shape[2] + c]), 1e-13);
    }
    assert_ok(&f.ctx, lode_i_tucker_project(&f.ctx, lode_from_array(&f.X), f.U, "X", &core, NULL));
    for (int64_t i = 0; i < lode_array_size(&core);
         i++) /* the core is the projection of X on the bases */
        assert_le(cabs(tensor_get(&core, i) - tensor_get(&f.core, i)), 1e-12 * f.info.norm);

    static const int64_t other[] = { 6, 10, 11 };
    X2 = tensor_smooth(&f.ctx, LODE_C128, 3, other, 6);
    assert_ok(&f.ctx, lode_i_sthosvd(&f.ctx, lode_from_array(&X2), &f.o, &core2, U2, NULL));
    entry *second = naive_expand(&core2, U2);
    assert_ok(&f.ctx, lode_i_tucker_stack(&f.ctx, &f.core, f.U, &core2, U2, &core, U));
    entry *stacked = naive_expand(&core, U);
    for (int64_t i = 0; i < 15 * 110; i++)
        assert_le(cabs(stacked[i] - (i < 9 * 110 ? whole[i] : second[i - 9 * 110])), 1e-12);
    assert_canonical(&core, U);
    for (int k = 0; k < 3; k++) {
        assert_le(off_orthonormal(&U[k]), 1e-13);
        LODE_FREE(&U[k], &U2[k]);
    }
    free(whole), free(second), free(stacked);
    LODE_FREE(&y, &core, &X2, &core2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(error_is_met_and_measured, setup, teardown),
        cmocka_unit_test_setup_teardown(every_method_meets_the_error, setup, teardown),
        cmocka_unit_test_setup_teardown(absolute_and_psnr_targets, setup, teardown),
        cmocka_unit_test_setup_teardown(ranks_are_near_the_smallest_of_all, setup, teardown),
        cmocka_unit_test_setup_teardown(a_noise_floor_at_the_budget_leaves_the_planted_ranks, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(zooming_finds_what_looking_at_all_finds, setup, teardown),
        cmocka_unit_test_setup_teardown(many_modes, setup, teardown),
        cmocka_unit_test_setup_teardown(given_ranks_are_within_the_theorem, setup, teardown),
        cmocka_unit_test_setup_teardown(small_errors_go_through_qr, setup, teardown),
        cmocka_unit_test_setup_teardown(single_precision_meets_small_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(single_products_state_their_rounding, setup, teardown),
        cmocka_unit_test_setup_teardown(long_modes, setup, teardown),
        cmocka_unit_test_setup_teardown(budgets_and_caps_hold, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_that_cannot_be_met_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(zero_and_empty_tensors, setup, teardown),
        cmocka_unit_test_setup_teardown(ranks_beyond_what_the_tensor_has, setup, teardown),
        cmocka_unit_test_setup_teardown(huge_and_tiny_values, setup, teardown),
        cmocka_unit_test_setup_teardown(other_types_and_strides, setup, teardown),
        cmocka_unit_test_setup_teardown(schedules_give_the_same_bits, setup, teardown),
        cmocka_unit_test_setup_teardown(each_failed_allocation_is_survived, setup, teardown),
        cmocka_unit_test_setup_teardown(cancelling_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(parts_projections_and_stacks, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
