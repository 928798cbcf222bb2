/* sense: planted matrices from Gaussian measurements, in every form and kind; one step against the gradient by
 * hand; rates of the three parameterizations; gross errors; certificates that hold and break; bad input. */
#include <math.h>

#include "array/array.h"
#include "counted.h"
#include "linalg/linalg.h"
#include "lode/lode.h"

static double noise(uint64_t site, int64_t i)
{
    const lode_ctx key = { .seed = 8 };
    return lode_i_random_normal(lode_i_stream(&key, "sense-test", site), (uint64_t)i);
}

static lode_array normal(uint64_t site, int ndim, const int64_t *shape)
{
    lode_array a = { 0 };
    assert_ok(&ctx, lode_array_new(&ctx, LODE_F64, ndim, shape, &a));
    for (int64_t i = 0, n = lode_array_size(&a); i < n; i++)
        ((double *)a.data)[i] = noise(site, i);
    return a;
}

/* A matrix of rank r and norm about 1, measurements of it. */
typedef struct planted {
    lode_array M, A, y;
    int64_t m, n1, n2;
} planted;

static planted plant(int64_t m, int64_t n1, int64_t n2, int64_t r, bool psd)
{
    planted p = { .m = m, .n1 = n1, .n2 = n2 };
    lode_array U = normal(1, 2, (const int64_t[]){ n1, r }),
               V = normal(psd ? 1 : 2, 2, (const int64_t[]){ n2, r });
    p.A = normal(3, 3, (const int64_t[]){ m, n1, n2 });
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_T, &U, &V, &p.M));
    assert_ok(&ctx, lode_i_scale(&ctx, 1 / sqrt((double)(n1 * n2 * r)), &p.M));
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F64, 1, &m, &p.y));
    for (int64_t i = 0; i < m; i++)
        for (int64_t e = 0; e < n1 * n2; e++)
            ((double *)p.y.data)[i] += ((double *)p.A.data)[i * n1 * n2 + e] *
                                       ((double *)p.M.data)[e];
    lode_array_free(&U);
    lode_array_free(&V);
    return p;
}

static void uproot(planted *p)
{
    lode_array_free(&p->M);
    lode_array_free(&p->A);
    lode_array_free(&p->y);
}

static double error_of(lode_bundle *b, const lode_array *M)
{
    lode_array X = { 0 };
    double off = 0, norm = 0;
    snprintf(b->meta.op, sizeof b->meta.op, "sense");
    assert_ok(&ctx, lode_invert(&ctx, b, lode_none(), NULL, &X));
    assert_ok(&ctx, lode_i_diff_fro(&ctx, M, &X, &off));
    assert_ok(&ctx, lode_i_norm_fro(&ctx, M, &norm));
    lode_array_free(&X);
    return off / norm;
}

static const lode_array *member(const lode_bundle *b, const char *name)
{
    const lode_array *a = NULL;
    assert_ok(&ctx, lode_bundle_array(&ctx, b, name, &a));
    return a;
}

static double trace_at(const lode_bundle *b, int64_t i)
{
    return lode_i_get1(member(b, "trace"), i);
}

static void planted_matrices_come_back(void **state)
{
    (void)state;
    for (int param = LODE_SENSE_AUTO; param <= LODE_SENSE_ASYM_FAST; param++) {
        planted p = plant(400, 14, param == LODE_SENSE_SYM ? 14 : 11, 2, param == LODE_SENSE_SYM);
        lode_sense_opts o = lode_sense_defaults();
        lode_bundle b = { 0 };
        o.rank = lode_rank(2), o.param = (lode_sense_param)param;
        assert_ok(&ctx, lode_sense(&ctx, &o, lode_from_array(&p.A), lode_from_array(&p.y), &b));
        assert_le(error_of(&b, &p.M), 1e-12);
        assert_le(b.certificate.value, 1e-12);
        assert_int_equal(b.certificate.kind, LODE_CERT_HELDOUT);
        assert_le(b.certificate.low, b.certificate.value);
        assert_le(b.certificate.value, b.certificate.high);
        lode_bundle_free(&b);
        uproot(&p);
    }
}

/* The same measurements as rows, sparse rows, single precision and a source: the same matrix. */
static void kinds_of_measurements_agree(void **state)
{
    (void)state;
    planted p = plant(260, 10, 8, 2, false);
    lode_array rows = { 0 }, single = { 0 };
    assert_ok(&ctx, lode_array_reshape(&ctx, &p.A, 2, (const int64_t[]){ 260, 80 }, &rows));
    assert_ok(&ctx, lode_array_cast(&ctx, &p.A, LODE_F32, &single));
    lode_array indptr = { 0 }, indices = { 0 };
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_I64, 261, &indptr));
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_I64, 260 * 80, &indices));
    for (int64_t i = 0; i <= 260; i++)
        lode_i_set1(&indptr, i, (double)(80 * i));
    for (int64_t i = 0; i < 260 * 80; i++)
        lode_i_set1(&indices, i, (double)(i % 80));
    lode_array values = { 0 };
    assert_ok(&ctx, lode_array_reshape(&ctx, &p.A, 1, (const int64_t[]){ 260 * 80 }, &values));
    lode_sparse s = { .layout = LODE_CSR,
                      .ndim = 2,
                      .shape = { 260, 80 },
                      .indptr = indptr,
                      .indices = indices,
                      .values = values };
    lode_source source = { 0 };
    assert_ok(&ctx, lode_i_source_from_array(&ctx, &p.A, &source));
    const lode_value kinds[] = { lode_from_array(&p.A), lode_from_array(&rows),
                                 lode_from_sparse(&s), lode_from_array(&single),
                                 lode_from_source(&source) };
    for (int i = 0; i < 5; i++) {
        lode_sense_opts o = lode_sense_defaults();
        lode_bundle b = { 0 };
        o.rank = lode_rank(3), o.alpha = (lode_auto_f64){ true, 0.3 };
        if (i == 1 || i == 2)
            o.shape = (lode_list){ 2, { 10, 8 } };
        o.param = LODE_SENSE_ASYM_FAST;
        assert_ok(&ctx, lode_sense(&ctx, &o, kinds[i], lode_from_array(&p.y), &b));
        assert_le(error_of(&b, &p.M), i == 3 ? 1e-5 : 1e-11);
        lode_bundle_free(&b);
    }
    lode_source_close(&source);
    lode_sparse_free(&s);
    lode_array_free(&rows);
    lode_array_free(&single);
    uproot(&p);
}

/* x' M z from vectors alone is what the matrices x z' give. */
static void vectors_are_matrices_of_rank_one(void **state)
{
    (void)state;
    for (int pairs = 0; pairs < 2; pairs++) {
        planted p = plant(300, 9, 9, 2, !pairs);
        lode_array X = normal(5, 2, (const int64_t[]){ 300, 9 }),
                   Z = normal(6, 2, (const int64_t[]){ 300, 9 });
        for (int64_t i = 0; i < 300; i++) {
            double sum = 0;
            for (int64_t e = 0; e < 81; e++) {
                const double a = lode_i_get2(&X, i, e / 9) * lode_i_get2(pairs ? &Z : &X, i, e % 9);
                ((double *)p.A.data)[i * 81 + e] = a;
                sum += a * ((double *)p.M.data)[e];
            }
            lode_i_set1(&p.y, i, sum);
        }
        lode_sense_opts o = lode_sense_defaults();
        lode_bundle v = { 0 }, m = { 0 };
        o.rank = lode_rank(2), o.param = pairs ? LODE_SENSE_ASYM : LODE_SENSE_SYM, o.max_iter = 30;
        assert_status(&ctx, lode_sense(&ctx, &o, lode_from_array(&p.A), lode_from_array(&p.y), &m),
                      LODE_NOCONV);
        o.form = LODE_SENSE_VECTORS, o.vectors2 = pairs ? &Z : NULL;
        assert_status(&ctx, lode_sense(&ctx, &o, lode_from_array(&X), lode_from_array(&p.y), &v),
                      LODE_NOCONV);
        for (int64_t i = 0; i <= 30; i++)
            assert_near(trace_at(&v, i), trace_at(&m, i), 1e-9);
        lode_bundle_free(&v);
        o.max_iter = 3000;
        assert_ok(&ctx, lode_sense(&ctx, &o, lode_from_array(&X), lode_from_array(&p.y), &v));
        assert_le(error_of(&v, &p.M), 1e-10);
        lode_bundle_free(&v);
        lode_bundle_free(&m);
        lode_array_free(&X);
        lode_array_free(&Z);
        uproot(&p);
    }
}

/* One step of the descent by hand, from a start that is known: the spectral one. */
static void a_step_is_the_gradient(void **state)
{
    (void)state;
    planted p = plant(60, 6, 6, 1, true);
    lode_array C = { 0 }, w = { 0 }, V = { 0 };
    const double alpha = 0.4;
    double norm_a = 0, norm_y = 0;
    assert_ok(&ctx, lode_i_norm_fro(&ctx, &p.A, &norm_a));
    assert_ok(&ctx, lode_i_norm_fro(&ctx, &p.y, &norm_y));
    const double a = norm_a / 6; /* unit of the map; norm_y: of y */
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F64, 2, (const int64_t[]){ 6, 6 }, &C));
    for (int64_t i = 0; i < 60; i++)
        for (int64_t e = 0; e < 36; e++) {
            const double g = lode_i_get1(&p.y, i) / norm_y * ((double *)p.A.data)[i * 36 + e] / a;
            lode_i_set2(&C, e / 6, e % 6, lode_i_get2(&C, e / 6, e % 6) + g / 2);
            lode_i_set2(&C, e % 6, e / 6, lode_i_get2(&C, e % 6, e / 6) + g / 2);
        }
    assert_ok(&ctx, lode_i_eigh(&ctx, &C, 1, &w, &V));
    double x[6], off = 0;
    for (int64_t i = 0; i < 6; i++)
        x[i] = alpha * sqrt(lode_i_get1(&w, 0)) * lode_i_get2(&V, i, 0);
    lode_sense_opts o = lode_sense_defaults();
    lode_bundle b = { 0 };
    o.rank = lode_rank(1), o.param = LODE_SENSE_SYM, o.init = LODE_SENSE_SPECTRAL;
    o.alpha = (lode_auto_f64){ true, alpha }, o.step = (lode_auto_f64){ true, 1 };
    o.max_iter = 1, o.holdout = 0;
    assert_status(&ctx, lode_sense(&ctx, &o, lode_from_array(&p.A), lode_from_array(&p.y), &b),
                  LODE_NOCONV);
    double step = 0, D[36] = { 0 }, next[6];
    assert_ok(&ctx, lode_bundle_f64(&ctx, &b, "step", &step));
    for (int64_t i = 0; i < 60; i++) {
        double r = -lode_i_get1(&p.y, i) / norm_y;
        for (int64_t e = 0; e < 36; e++)
            r += ((double *)p.A.data)[i * 36 + e] / a * x[e / 6] * x[e % 6];
        for (int64_t e = 0; e < 36; e++) {
            D[e] += r * ((double *)p.A.data)[i * 36 + e] / a / 2;
            D[e % 6 * 6 + e / 6] += r * ((double *)p.A.data)[i * 36 + e] / a / 2;
        }
    }
    for (int64_t i = 0; i < 6; i++) {
        next[i] = x[i];
        for (int64_t j = 0; j < 6; j++)
            next[i] -= step * D[i * 6 + j] * x[j];
    }
    for (int64_t i = 0; i < 60; i++) {
        double r = -lode_i_get1(&p.y, i) / norm_y;
        for (int64_t e = 0; e < 36; e++)
            r += ((double *)p.A.data)[i * 36 + e] / a * next[e / 6] * next[e % 6];
        off += r * r;
    }
    assert_near(trace_at(&b, 1), sqrt(off), 1e-12);
    lode_bundle_free(&b);
    lode_array_free(&C);
    lode_array_free(&w);
    lode_array_free(&V);
    uproot(&p);
}

static lode_bundle traced(const planted *p, int64_t k, lode_sense_param param, double alpha,
                          int64_t steps)
{
    lode_sense_opts o = lode_sense_defaults();
    lode_bundle b = { 0 };
    o.rank = lode_rank(k), o.param = param, o.alpha = (lode_auto_f64){ true, alpha };
    o.tol = 0, o.max_iter = steps, o.holdout = 0;
    const lode_status st = lode_sense(&ctx, &o, lode_from_array(&p->A), lode_from_array(&p->y), &b);
    assert_true(st == LODE_NOCONV || st == LODE_OK);
    return b;
}

/* Xiong, Ding & Du: too many columns stall X X' at 1 / t in the residual; F G' does not, and balanced once its
 * rate is that of exact parameterization whatever alpha is. */
static void rates_are_those_of_the_theory(void **state)
{
    (void)state;
    planted p = plant(500, 12, 12, 2, true);
    lode_bundle b = traced(&p, 4, LODE_SENSE_SYM, 0.5, 4000);
    assert_near(log(trace_at(&b, 4000) / trace_at(&b, 1000)) / log(4), -1, 0.15);
    lode_bundle_free(&b);
    b = traced(&p, 2, LODE_SENSE_SYM, 0.1, 1000);
    assert_le(trace_at(&b, member(&b, "trace")->shape[0] - 1), 1e-13);
    lode_bundle_free(&b);
    for (int i = 0; i < 2; i++) {
        int64_t balanced = 0;
        b = traced(&p, 4, LODE_SENSE_ASYM_FAST, i ? 1e-4 : 0.3, 1000);
        assert_le(trace_at(&b, member(&b, "trace")->shape[0] - 1), 1e-13);
        assert_ok(&ctx, lode_bundle_i64(&ctx, &b, "balanced", &balanced));
        assert_in_range(balanced, 1, 500);
        lode_bundle_free(&b);
    }
    b = traced(&p, 4, LODE_SENSE_ASYM, 1e-4, 1000);
    assert_le(1e-8, trace_at(&b, 1000)); /* exp(-alpha^2 t) is 1 */
    lode_bundle_free(&b);
    uproot(&p);
}

static void the_loss_never_rises(void **state)
{
    (void)state;
    planted p = plant(90, 12, 10, 3, false);
    for (int param = LODE_SENSE_ASYM; param <= LODE_SENSE_ASYM_FAST; param++) {
        lode_bundle b = traced(&p, 10, (lode_sense_param)param, 0.5, 300);
        for (int64_t i = 2; i < member(&b, "trace")->shape[0]; i++)
            assert_le(trace_at(&b, i), trace_at(&b, i - 1) * (1 + 1e-9) + 1e-14);
        lode_bundle_free(&b);
    }
    uproot(&p);
}

/* Ma & Fattahi: a third of the measurements is grossly wrong; l1 finds the matrix at any rank, l2 does not. */
static void gross_errors_do_not_matter_to_l1(void **state)
{
    (void)state;
    planted p = plant(700, 10, 10, 2, true);
    for (int64_t i = 0; i < 700; i += 3)
        lode_i_set1(&p.y, i, 30 * noise(9, i));
    for (int64_t k = 2; k <= 10; k += 4) {
        lode_sense_opts o = lode_sense_defaults();
        lode_bundle b = { 0 };
        o.rank = lode_rank(k), o.loss = LODE_SENSE_L1, o.param = LODE_SENSE_SYM;
        const lode_status st = lode_sense(&ctx, &o, lode_from_array(&p.A), lode_from_array(&p.y),
                                          &b);
        assert_true(st == LODE_OK || st == LODE_NOCONV);
        assert_le(error_of(&b, &p.M), 1e-4);
        lode_bundle_free(&b);
        o.loss = LODE_SENSE_L2;
        assert_true(lode_sense(&ctx, &o, lode_from_array(&p.A), lode_from_array(&p.y), &b) >= 0);
        assert_le(1, error_of(&b, &p.M));
        lode_bundle_free(&b);
    }
    uproot(&p);
}

static void scales_do_not_matter(void **state)
{
    (void)state;
    static const double by[] = { 1e-150, 1e150 };
    planted p = plant(200, 8, 8, 1, true);
    for (int i = 0; i < 2; i++)
        for (int of_y = 0; of_y < 2; of_y++) {
            lode_sense_opts o = lode_sense_defaults();
            lode_bundle b = { 0 };
            lode_array A = { 0 }, y = { 0 }, M = { 0 };
            assert_ok(&ctx, lode_array_cast(&ctx, &p.A, LODE_F64, &A));
            assert_ok(&ctx, lode_array_cast(&ctx, &p.y, LODE_F64, &y));
            assert_ok(&ctx, lode_array_cast(&ctx, &p.M, LODE_F64, &M));
            assert_ok(&ctx, lode_i_scale(&ctx, by[i], of_y ? &y : &A));
            assert_ok(&ctx, lode_i_scale(&ctx, of_y ? by[i] : 1 / by[i], &M));
            o.rank = lode_rank(1);
            assert_ok(&ctx, lode_sense(&ctx, &o, lode_from_array(&A), lode_from_array(&y), &b));
            assert_le(error_of(&b, &M), 1e-11);
            lode_bundle_free(&b);
            lode_array_free(&A);
            lode_array_free(&y);
            lode_array_free(&M);
        }
    uproot(&p);
}

/* What the model says of other measurements is their inner product with the matrix. */
static void new_measurements_are_predicted(void **state)
{
    (void)state;
    planted p = plant(300, 9, 7, 2, false), q = plant(300, 9, 7, 2, false);
    lode_sense_opts o = lode_sense_defaults();
    lode_bundle b = { 0 }, made = { 0 };
    o.rank = lode_rank(2);
    assert_ok(&ctx, lode_sense(&ctx, &o, lode_from_array(&p.A), lode_from_array(&p.y), &b));
    snprintf(b.meta.op, sizeof b.meta.op, "sense");
    assert_ok(&ctx, lode_apply(&ctx, &b, lode_from_array(&q.A), &made));
    for (int64_t i = 0; i < 300; i++)
        assert_near(lode_i_get1(member(&made, "y"), i), lode_i_get1(&q.y, i), 1e-10);
    lode_bundle_free(&b);
    lode_bundle_free(&made);
    uproot(&p);
    uproot(&q);
}

static void degenerate_measurements(void **state)
{
    (void)state;
    planted p = plant(20, 4, 3, 1, false);
    lode_sense_opts o = lode_sense_defaults();
    lode_bundle b = { 0 };
    assert_ok(&ctx, lode_i_fill(&ctx, &p.y, 0));
    assert_ok(&ctx, lode_sense(&ctx, &o, lode_from_array(&p.A), lode_from_array(&p.y), &b));
    assert_near(lode_i_get1(member(&b, "s"), 0), 0, 0);
    lode_bundle_free(&b);
    o.loss = LODE_SENSE_L1;
    assert_ok(&ctx, lode_sense(&ctx, &o, lode_from_array(&p.A), lode_from_array(&p.y), &b));
    lode_bundle_free(&b);
    assert_ok(&ctx, lode_i_fill(&ctx, &p.A, 0));
    assert_status(&ctx, lode_sense(&ctx, &o, lode_from_array(&p.A), lode_from_array(&p.y), &b),
                  LODE_EDOMAIN);
    uproot(&p);
    p = plant(1, 1, 1, 1, true); /* one number */
    o = lode_sense_defaults();
    assert_ok(&ctx, lode_sense(&ctx, &o, lode_from_array(&p.A), lode_from_array(&p.y), &b));
    assert_le(error_of(&b, &p.M), 1e-12);
    assert_int_equal(b.certificate.kind, LODE_CERT_MEASURED);
    lode_bundle_free(&b);
    uproot(&p);
}

/* What the generic tests have no samples of: vectors, pairs of them, rows, gross errors. */
static void other_forms_keep_to_their_plans(void **state)
{
    (void)state;
    static const char *const ways[][3] = { { "form", "vectors", "l2" },
                                           { "form", "vectors", "l1" },
                                           { "form", "pairs", "l2" },
                                           { "form", "pairs", "l1" },
                                           { "shape", "8,5", "l1" } };
    lode_array X = normal(5, 2, (const int64_t[]){ 3000, 40 }),
               Z = normal(6, 2, (const int64_t[]){ 3000, 25 }),
               y = normal(7, 1, (const int64_t[]){ 3000 });
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        lode_call c;
        lode_bundle b = { 0 };
        const bool pairs = strcmp(ways[i][1], "pairs") == 0;
        assert_ok(&ctx, lode_call_init(&ctx, &lode_op_sense, &c));
        assert_ok(&ctx, lode_call_set(&ctx, &c, ways[i][0], pairs ? "vectors" : ways[i][1]));
        assert_ok(&ctx, lode_call_set(&ctx, &c, "loss", ways[i][2]));
        assert_ok(&ctx, lode_call_set(&ctx, &c, "max-iter", "20"));
        if (pairs)
            assert_ok(&ctx, lode_call_set_array(&ctx, &c, "vectors2", &Z));
        assert_ok(&ctx, lode_call_input(&ctx, &c, "A", lode_from_array(&X)));
        assert_ok(&ctx, lode_call_input(&ctx, &c, "y", lode_from_array(&y)));
        const uint64_t before = lode_ctx_memory_used(&ctx);
        lode_ctx_memory_reset_peak(&ctx);
        assert_true(lode_call_run(&ctx, &c, &b) >= 0);
        assert_le(lode_ctx_memory_peak(&ctx) - before,
                  c.plan.workspace + c.plan.output + c.plan.resident + 65536);
        lode_certificate found = { 0 };
        assert_ok(&ctx, lode_verify(&ctx, &b, lode_from_array(&X), &found));
        lode_call_free(&c);
        lode_bundle_free(&b);
    }
    lode_array_free(&X);
    lode_array_free(&Z);
    lode_array_free(&y);
}

static void bad_input_is_named(void **state)
{
    (void)state;
    planted p = plant(30, 5, 4, 1, false);
    lode_array y = normal(4, 1, (const int64_t[]){ 29 }), rows = { 0 };
    lode_sense_opts o = lode_sense_defaults();
    lode_bundle b = { 0 };
    const lode_value A = lode_from_array(&p.A);
    assert_status(&ctx, lode_sense(&ctx, &o, A, lode_from_array(&y), &b), LODE_ESHAPE);
    assert_says(&ctx, "29");
    assert_says(&ctx, "30");
    o.rank = lode_rank(5);
    assert_status(&ctx, lode_sense(&ctx, &o, A, lode_from_array(&p.y), &b), LODE_EPARAM);
    assert_says(&ctx, "rank 5 is above the shorter side of the 5 x 4 matrix");
    o = lode_sense_defaults(), o.param = LODE_SENSE_SYM;
    assert_status(&ctx, lode_sense(&ctx, &o, A, lode_from_array(&p.y), &b), LODE_EUSAGE);
    assert_says(&ctx, "5 x 4");
    o = lode_sense_defaults(), o.shape = (lode_list){ 2, { 6, 4 } };
    assert_status(&ctx, lode_sense(&ctx, &o, A, lode_from_array(&p.y), &b), LODE_ESHAPE);
    assert_says(&ctx, "20 values");
    o = lode_sense_defaults();
    assert_ok(&ctx, lode_array_reshape(&ctx, &p.A, 2, (const int64_t[]){ 30, 20 }, &rows));
    assert_status(&ctx, lode_sense(&ctx, &o, lode_from_array(&rows), lode_from_array(&p.y), &b),
                  LODE_EUSAGE);
    assert_says(&ctx, "--shape");
    o.decay = (lode_auto_f64){ true, 0.9 };
    assert_status(&ctx, lode_sense(&ctx, &o, A, lode_from_array(&p.y), &b), LODE_EUSAGE);
    o = lode_sense_defaults();
    lode_i_set1(&p.y, 7, NAN);
    assert_status(&ctx, lode_sense(&ctx, &o, A, lode_from_array(&p.y), &b), LODE_EDOMAIN);
    assert_says(&ctx, "y[7] is nan");
    lode_i_set1(&p.y, 7, 0);
    ((double *)p.A.data)[3 * 20 + 2 * 4 + 1] = NAN;
    assert_status(&ctx, lode_sense(&ctx, &o, A, lode_from_array(&p.y), &b), LODE_EDOMAIN);
    assert_says(&ctx, "A[3,2,1] is nan");
    lode_array_free(&rows);
    lode_array_free(&y);
    uproot(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(planted_matrices_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(kinds_of_measurements_agree, setup, teardown),
        cmocka_unit_test_setup_teardown(vectors_are_matrices_of_rank_one, setup, teardown),
        cmocka_unit_test_setup_teardown(a_step_is_the_gradient, setup, teardown),
        cmocka_unit_test_setup_teardown(rates_are_those_of_the_theory, setup, teardown),
        cmocka_unit_test_setup_teardown(the_loss_never_rises, setup, teardown),
        cmocka_unit_test_setup_teardown(gross_errors_do_not_matter_to_l1, setup, teardown),
        cmocka_unit_test_setup_teardown(scales_do_not_matter, setup, teardown),
        cmocka_unit_test_setup_teardown(new_measurements_are_predicted, setup, teardown),
        cmocka_unit_test_setup_teardown(degenerate_measurements, setup, teardown),
        cmocka_unit_test_setup_teardown(other_forms_keep_to_their_plans, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_input_is_named, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
