/* svd, update: against LAPACK's decomposition of what the model stands for with the data joined to it. */
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

/* Of low rank and noise. */
static lode_array low_rank(lode_dtype dtype, int64_t m, int64_t n, int64_t r, double noise)
{
    lode_array L = random_matrix(dtype, m, r, 1), R = random_matrix(dtype, r, n, 2), A = { 0 },
               E = random_matrix(dtype, m, n, 3);
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &L, &R, &A));
    assert_ok(&ctx, lode_i_axpy(&ctx, noise, &E, &A));
    LODE_FREE(&L, &R, &E);
    return A;
}

/* Zero but for about one entry in twelve. */
static lode_array thinned(lode_dtype dtype, int64_t m, int64_t n, uint64_t site)
{
    lode_array a = random_matrix(dtype, m, n, site), y = { 0 };
    const lode_stream s = lode_i_stream(&ctx, "holes", site);
    assert_ok(&ctx, lode_array_zeros(&ctx, dtype, 2, a.shape, &y));
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            if (lode_i_random_u64(s, (uint64_t)(i * n + j)) % 12 == 0) {
                lode_array row = lode_i_rows(&a, i, i + 1), to = lode_i_rows(&y, i, i + 1),
                           from1 = lode_i_cols(&row, j, j + 1), to1 = lode_i_cols(&to, j, j + 1);
                assert_ok(&ctx, lode_array_copy_into(&ctx, &from1, &to1));
                LODE_FREE(&row, &to, &from1, &to1);
            }
    LODE_FREE(&a);
    return y;
}

/* All entries of a matrix that are not zero, in coordinates. */
static lode_sparse as_sparse(const lode_array *a)
{
    lode_sparse s = { .layout = LODE_COO, .ndim = 2, .shape = { a->shape[0], a->shape[1] } };
    lode_array x = { 0 };
    int64_t nnz = 0;
    for (int fill = 0; fill < 2; fill++) {
        nnz = 0;
        for (int64_t i = 0; i < a->shape[0]; i++)
            for (int64_t j = 0; j < a->shape[1]; j++) {
                lode_array row = lode_i_rows(a, i, i + 1), entry = lode_i_cols(&row, j, j + 1);
                double norm = 0;
                assert_ok(&ctx, lode_i_norm_fro(&ctx, &entry, &norm));
                if (norm > 0 && fill) {
                    lode_i_set2(&s.indices, nnz, 0, (double)i);
                    lode_i_set2(&s.indices, nnz, 1, (double)j);
                    lode_array to = lode_i_rows(&x, nnz, nnz + 1);
                    assert_ok(&ctx, lode_array_copy_into(&ctx, &entry, &to));
                    lode_array_free(&to);
                }
                nnz += norm > 0;
                LODE_FREE(&row, &entry);
            }
        if (!fill) {
            assert_ok(&ctx,
                      lode_array_new(&ctx, LODE_I64, 2, (const int64_t[]){ nnz, 2 }, &s.indices));
            assert_ok(&ctx, lode_i_matrix_new(&ctx, a->dtype, nnz, 1, &x));
        }
    }
    assert_ok(&ctx, lode_array_reshape(&ctx, &x, 1, &nnz, &s.values));
    LODE_FREE(&x);
    return s;
}

static double norm_of(const lode_array *a)
{
    double norm = 0;
    assert_ok(&ctx, lode_i_norm_fro(&ctx, a, &norm));
    return norm;
}

static double diff(const lode_array *a, const lode_array *b)
{
    double off = 0;
    assert_ok(&ctx, lode_i_diff_fro(&ctx, a, b, &off));
    return off;
}

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

static lode_array member(const lode_bundle *b, const char *name)
{
    const lode_array *a = NULL;
    assert_ok(&ctx, lode_bundle_array(&ctx, b, name, &a));
    return lode_array_ref(a);
}

static lode_array stands_for(const lode_bundle *b)
{
    lode_array y = { 0 };
    assert_ok(&ctx, lode_invert(&ctx, b, lode_none(), NULL, &y));
    return y;
}

/* [A; B] (axis 0) or [A B] */
static lode_array joined(const lode_array *a, const lode_array *b, int axis)
{
    lode_array y = { 0 };
    const int64_t m = a->shape[0], n = a->shape[1];
    assert_ok(&ctx, lode_i_matrix_new(&ctx, a->dtype, m + (axis ? 0 : b->shape[0]),
                                      n + (axis ? b->shape[1] : 0), &y));
    lode_array one = axis ? lode_i_cols(&y, 0, n) : lode_i_rows(&y, 0, m),
               two = axis ? lode_i_cols(&y, n, y.shape[1]) : lode_i_rows(&y, m, y.shape[0]);
    assert_ok(&ctx, lode_array_copy_into(&ctx, a, &one));
    assert_ok(&ctx, lode_array_copy_into(&ctx, b, &two));
    LODE_FREE(&one, &two);
    return y;
}

static lode_array changed(const lode_array *A, const lode_array *D, const lode_array *E)
{
    lode_array y = { 0 };
    assert_ok(&ctx, lode_array_cast(&ctx, A, A->dtype, &y));
    assert_ok(&ctx, lode_i_gemm_into(&ctx, LODE_N, LODE_H, 1, D, E, 1, &y));
    return y;
}

static double off_orthonormal(const lode_array *Q)
{
    double off = 0;
    assert_ok(&ctx, lode_i_off_orthonormal(&ctx, Q, &off));
    return off;
}

/* The model is the best rank-k approximation of `whole` up to rounding, by LAPACK's. */
static void assert_best(const lode_bundle *b, const lode_array *whole, int64_t k, double eps)
{
    lode_array wide = { 0 }, U = { 0 }, s = { 0 }, V = { 0 }, got = member(b, "s"),
               u = member(b, "U"), v = member(b, "V"), back = stands_for(b);
    assert_ok(&ctx,
              lode_i_svd(&ctx, whole, lode_i_min(whole->shape[0], whole->shape[1]), &U, &s, &V));
    assert_int_equal(got.shape[0], k);
    double tail = 0, kept = norm_of(whole);
    for (int64_t i = 0; i < s.shape[0]; i++) {
        if (i < k)
            assert_near(lode_i_get1(&got, i), lode_i_get1(&s, i), eps * lode_i_get1(&s, 0));
        else
            tail = hypot(tail, lode_i_get1(&s, i));
    }
    assert_near(diff(&back, whole), tail, eps * kept);
    assert_le(off_orthonormal(&u), eps);
    assert_le(off_orthonormal(&v), eps);
    LODE_FREE(&wide, &U, &s, &V, &got, &u, &v, &back);
}

typedef enum what { ROWS, COLS, CHANGE, KINDS } what;

/* One batch after another, sparse or dense, each against LAPACK. */
static void batches_give_the_rayleigh_ritz_projection(void **state)
{
    (void)state;
    for (int t = 0; t < 4; t++)
        for (int sparse = 0; sparse < 2; sparse++) {
            lode_array A = low_rank(types[t], 60, 45, 8, 0.05), whole = { 0 };
            lode_bundle b = { 0 }, next = { 0 };
            lode_certificate found;
            const double eps = 2000 * lode_i_epsilon(types[t]);
            fit(&A, "rank", "7", &b);
            for (int step = 0; step < 9; step++) {
                lode_array model = stands_for(&b), D = { 0 }, E = { 0 };
                const int64_t m = model.shape[0], n = model.shape[1];
                const what w = (what)(step % KINDS);
                if (w == ROWS)
                    E = thinned(types[t], 3, n, 10 + (uint64_t)step), whole = joined(&model, &E, 0);
                else if (w == COLS)
                    E = thinned(types[t], m, 2, 10 + (uint64_t)step), whole = joined(&model, &E, 1);
                else {
                    D = thinned(types[t], m, 2, 10 + (uint64_t)step);
                    E = thinned(types[t], n, 2, 30 + (uint64_t)step);
                    whole = changed(&model, &D, &E);
                }
                lode_sparse sd = { 0 }, se = as_sparse(&E);
                if (D.data)
                    sd = as_sparse(&D);
                const lode_value d = sparse ? lode_from_sparse(&sd) : lode_from_array(&D),
                                 e = sparse ? lode_from_sparse(&se) : lode_from_array(&E);
                const lode_input in[] = { { w == ROWS   ? NULL
                                            : w == COLS ? "cols"
                                                        : "E",
                                            e },
                                          { "D", d } };
                assert_ok(&ctx, lode_update_with(&ctx, &b, in, w == CHANGE ? 2 : 1, &next));
                assert_best(&next, &whole, 7, eps);
                assert_int_equal(next.certificate.kind, LODE_CERT_BOUND);
                /* of all that came in */
                lode_array all = w == CHANGE ? changed(&A, &D, &E) : joined(&A, &E, w == COLS),
                           back = stands_for(&next);
                lode_array_swap(&A, &all);
                assert_le(diff(&A, &back), next.certificate.absolute * (1 + eps));
                assert_le(next.certificate.absolute,
                          next.certificate.value * norm_of(&A) * (1 + eps));
                assert_ok(&ctx, lode_verify(&ctx, &next, lode_from_array(&A), &found));
                lode_bundle_swap(&b, &next);
                LODE_FREE(&model, &D, &E, &whole, &all, &back, &sd, &se, &next);
            }
            int64_t updates = 0;
            assert_ok(&ctx, lode_bundle_i64(&ctx, &b, "updates", &updates));
            assert_int_equal(updates, 9);
            LODE_FREE(&A, &b);
        }
}

static lode_svd_stream *opened(const lode_bundle *b, lode_svd_basis basis)
{
    lode_svd_stream *s = NULL;
    assert_ok(&ctx, lode_svd_stream_open(&ctx, b, basis, &s));
    return s;
}

static lode_status rows_into(lode_svd_stream *s, const lode_array *E)
{
    const lode_sparse e = as_sparse(E);
    const lode_status st = lode_svd_stream_update(&ctx, s,
                                                  &(lode_input){ "rows", lode_from_sparse(&e) }, 1);
    lode_sparse held = e;
    lode_sparse_free(&held);
    return st;
}

/* Ten times as many rows as at first: bases are formed anew now and then, and stay orthonormal. */
static void many_batches_drift_no_more_than_formed_bases(void **state)
{
    (void)state;
    lode_array A = thinned(LODE_F64, 60, 150, 1), s[2] = { { 0 } };
    lode_bundle b = { 0 }, last = { 0 };
    lode_certificate found;
    fit(&A, "rank", "10", &b);
    lode_svd_stream *w[2] = { opened(&b, LODE_SVD_EXTENDED), opened(&b, LODE_SVD_PLAIN) };
    for (uint64_t step = 0; step < 135; step++) {
        lode_array E = thinned(LODE_F64, 4, 150, 50 + step), all = joined(&A, &E, 0);
        for (int i = 0; i < 2; i++)
            assert_ok(&ctx, rows_into(w[i], &E));
        lode_array_swap(&A, &all);
        LODE_FREE(&E, &all);
    }
    const lode_svd_stream_info now = lode_svd_stream_state(w[0]),
                               plain = lode_svd_stream_state(w[1]);
    assert_true(now.m == 600 && now.n == 150 && now.k == 10 && now.updates == 135);
    assert_true(now.renewals > 0 && now.renewals < 135);
    for (int i = 0; i < 2; i++)
        assert_ok(&ctx, lode_svd_stream_values(&ctx, w[i], &s[i]));
    assert_le(diff(&s[0], &s[1]), 1e-12 * lode_i_get1(&s[0], 0));
    assert_near(now.lost, plain.lost, 1e-10 * now.norm);
    assert_near(now.norm, norm_of(&A), 1e-12 * now.norm);
    assert_ok(&ctx, lode_svd_stream_result(&ctx, w[0], &last));
    lode_array U = member(&last, "U"), V = member(&last, "V");
    /* what the Gram matrices of the tall rows say is so */
    assert_le(now.drift, 16 * 0x1p-52 * sqrt(664) * sqrt(10));
    assert_near(fmax(off_orthonormal(&U), off_orthonormal(&V)), now.drift, 1e-13);
    assert_ok(&ctx, lode_verify(&ctx, &last, lode_from_array(&A), &found));
    assert_string_equal(lode_made_by(&last), "update");
    for (int i = 0; i < 2; i++)
        lode_svd_stream_close(&w[i]);
    LODE_FREE(&A, &s[0], &s[1], &b, &last, &U, &V);
}

/* Rows that lie in the span of the basis, or nearly, or in that of others, or are of other sizes: the
 * difference that gives their length cancels. */
static void rows_that_add_little_lose_nothing(void **state)
{
    (void)state;
    static const double beyond[] = { 0, 1e-14, 1e-11, 1e-7, 1e-4, 1e-2, 0.3 };
    for (int t = 1; t < 4; t += 2)
        for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++) {
            lode_array A = low_rank(types[t], 80, 64, 6, 0), E = { 0 },
                       x = random_matrix(types[t], 9, 6, 7), sizes = { 0 };
            lode_bundle b = { 0 }, next = { 0 };
            fit(&A, "rank", "6", &b);
            lode_array model = stands_for(&b), V = member(&b, "V"),
                       off = thinned(types[t], 9, 64, 8);
            assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_H, &x, &V, &E));
            assert_ok(&ctx, lode_i_axpy(&ctx, beyond[i], &off, &E));
            /* a row twice, one that is the sum of two, one of zeros, one far smaller */
            lode_array r[9];
            for (int64_t j = 0; j < 9; j++)
                r[j] = lode_i_rows(&E, j, j + 1);
            assert_ok(&ctx, lode_array_copy_into(&ctx, &r[0], &r[3]));
            assert_ok(&ctx, lode_array_copy_into(&ctx, &r[1], &r[4]));
            assert_ok(&ctx, lode_i_axpy(&ctx, 1, &r[2], &r[4]));
            assert_ok(&ctx, lode_i_fill(&ctx, &r[5], 0));
            assert_ok(&ctx, lode_i_scale(&ctx, 1e-9, &r[6]));
            lode_array whole = joined(&model, &E, 0);
            const lode_sparse s = as_sparse(&E);
            assert_ok(&ctx, lode_update(&ctx, &b, lode_from_sparse(&s), &next));
            assert_best(&next, &whole, 6, 1e-12);
            lode_sparse held = s;
            for (int64_t j = 0; j < 9; j++)
                lode_array_free(&r[j]);
            LODE_FREE(&A, &E, &x, &sizes, &b, &next, &model, &V, &off, &whole, &held);
        }
}

static void ranks_follow_the_error_and_the_sides(void **state)
{
    (void)state;
    /* all triplets: as many as the shorter side has by then */
    lode_array A = random_matrix(LODE_F64, 5, 12, 1), E = random_matrix(LODE_F64, 3, 12, 2),
               whole = { 0 };
    lode_bundle b = { 0 }, next = { 0 };
    fit(&A, NULL, NULL, &b);
    assert_ok(&ctx, lode_update(&ctx, &b, lode_from_array(&E), &next));
    whole = joined(&A, &E, 0);
    assert_best(&next, &whole, 8, 1e-13);
    LODE_FREE(&b, &A, &E);
    /* more rows than columns at once, then a single one given as a vector */
    E = random_matrix(LODE_F64, 30, 12, 3);
    assert_ok(&ctx, lode_update(&ctx, &next, lode_from_array(&E), &b));
    A = joined(&whole, &E, 0);
    assert_best(&b, &A, 12, 1e-13);
    LODE_FREE(&E, &next, &whole);
    lode_array line = random_matrix(LODE_F64, 1, 12, 4), vector = { 0 };
    assert_ok(&ctx, lode_array_reshape(&ctx, &line, 1, (const int64_t[]){ 12 }, &vector));
    assert_ok(&ctx, lode_update(&ctx, &b, lode_from_array(&vector), &next));
    whole = joined(&A, &line, 0);
    assert_best(&next, &whole, 12, 1e-13);
    LODE_FREE(&A, &b, &next, &whole, &line, &vector);
    /* a change of a matrix of which all triplets are kept: no direction is beside the shorter side */
    A = random_matrix(LODE_F64, 12, 7, 1);
    lode_array D = random_matrix(LODE_F64, 12, 3, 2), F = random_matrix(LODE_F64, 7, 3, 3);
    fit(&A, NULL, NULL, &b);
    whole = changed(&A, &D, &F);
    const lode_input both[] = { { "D", lode_from_array(&D) }, { "E", lode_from_array(&F) } };
    assert_ok(&ctx, lode_update_with(&ctx, &b, both, 2, &next));
    assert_best(&next, &whole, 7, 1e-13);
    LODE_FREE(&A, &b, &next, &whole, &D, &F);
    /* an error: within it, at a rank that grows as the data ask for it */
    A = low_rank(LODE_F64, 50, 80, 3, 1e-4);
    fit(&A, "error", "0.01", &b);
    lode_array s = member(&b, "s");
    assert_int_equal(s.shape[0], 3);
    E = thinned(LODE_F64, 6, 80, 5);
    assert_ok(&ctx, lode_i_scale(&ctx, 5, &E));
    const lode_sparse e = as_sparse(&E);
    assert_ok(&ctx, lode_update(&ctx, &b, lode_from_sparse(&e), &next));
    lode_array more = member(&next, "s"), back = stands_for(&next);
    whole = joined(&A, &E, 0);
    assert_true(more.shape[0] > 3 && more.shape[0] <= 9);
    assert_le(diff(&whole, &back), next.certificate.absolute * (1 + 1e-12));
    assert_le(next.certificate.value, 0.01);
    lode_sparse held = e;
    LODE_FREE(&A, &E, &b, &next, &whole, &s, &more, &back, &held);
}

static void sizes_zero_and_one(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = { { 1, 1 }, { 1, 9 }, { 9, 1 }, { 4, 4 } };
    for (int i = 0; i < 4; i++)
        for (int zero = 0; zero < 2; zero++)
            for (int axis = 0; axis < 2; axis++) {
                lode_array A = random_matrix(LODE_F64, shapes[i][0], shapes[i][1], 1),
                           whole = { 0 };
                lode_bundle b = { 0 }, next = { 0 };
                if (zero)
                    assert_ok(&ctx, lode_i_fill(&ctx, &A, 0));
                lode_array E = random_matrix(LODE_F64, axis ? shapes[i][0] : 1,
                                             axis ? 1 : shapes[i][1], 2),
                           none = random_matrix(LODE_F64, axis ? shapes[i][0] : 0,
                                                axis ? 0 : shapes[i][1], 2);
                fit(&A, NULL, NULL, &b);
                const char *name = axis ? "cols" : "rows";
                assert_ok(&ctx,
                          lode_update_with(&ctx, &b, &(lode_input){ name, lode_from_array(&none) },
                                           1, &next));
                assert_best(&next, &A, lode_i_min(shapes[i][0], shapes[i][1]), 1e-14);
                lode_bundle_free(&next);
                assert_ok(&ctx,
                          lode_update_with(&ctx, &b, &(lode_input){ name, lode_from_array(&E) }, 1,
                                           &next));
                whole = joined(&A, &E, axis);
                assert_best(&next, &whole, lode_i_min(whole.shape[0], whole.shape[1]), 1e-13);
                LODE_FREE(&A, &E, &none, &b, &next, &whole);
            }
}

static void bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    lode_array A = thinned(LODE_F64, 300, 200, 1), E = thinned(LODE_F64, 20, 200, 2);
    lode_bundle b = { 0 };
    char first[72], hex[72];
    fit(&A, "rank", "12", &b);
    for (int threads = 1; threads <= 3; threads++) {
        lode_bundle next = { 0 };
        ctx.threads = threads;
        assert_ok(&ctx, lode_update(&ctx, &b, lode_from_array(&E), &next));
        assert_ok(&ctx, lode_hash(&ctx, lode_from_bundle(&next), threads == 1 ? first : hex));
        if (threads > 1)
            assert_string_equal(first, hex);
        lode_bundle_free(&next);
    }
    LODE_FREE(&A, &E, &b);
}

static int64_t stop_at;
static int stop(void *seen, const lode_progress *p)
{
    (void)p;
    return ++*(int *)seen > stop_at;
}

/* A stream goes on from a failed batch as if it had not been given. */
static void a_failed_batch_leaves_the_stream(void **state)
{
    (void)state;
    lode_array A = thinned(LODE_F64, 90, 70, 1), E = thinned(LODE_F64, 4, 70, 2), before = { 0 },
               after = { 0 }, D = thinned(LODE_F64, 90, 2, 3), F = thinned(LODE_F64, 70, 2, 4);
    lode_bundle b = { 0 }, want = { 0 }, got = { 0 };
    fit(&A, "rank", "6", &b);
    const lode_sparse e = as_sparse(&E);
    for (int change = 0; change < 2; change++) {
        const lode_input in[2] = { { change ? "D" : "rows",
                                     change ? lode_from_array(&D) : lode_from_sparse(&e) },
                                   { "E", lode_from_array(&F) } };
        lode_svd_stream *w = opened(&b, LODE_SVD_EXTENDED);
        assert_ok(&ctx, lode_svd_stream_update(&ctx, w, in, change + 1));
        assert_ok(&ctx, lode_svd_stream_result(&ctx, w, &want));
        lode_svd_stream_close(&w);
        w = opened(&b, LODE_SVD_EXTENDED);
        assert_ok(&ctx, lode_svd_stream_values(&ctx, w, &before));
        for (int64_t n = 1;; n++) { /* allocations */
            heap_fail(&memory, n);
            const lode_status st = lode_svd_stream_update(&ctx, w, in, change + 1);
            const bool failed = heap_failed(&memory);
            heap_fail(&memory, 0);
            if (!failed) {
                assert_ok(&ctx, st);
                break;
            }
            if (st >= 0) { /* after the change: it is whole */
                lode_svd_stream_close(&w);
                w = opened(&b, LODE_SVD_EXTENDED);
                continue;
            }
            assert_int_equal(st, LODE_ENOMEM);
            assert_int_equal(lode_svd_stream_state(w).updates, 0);
            assert_ok(&ctx, lode_svd_stream_values(&ctx, w, &after));
            assert_true(diff(&before, &after) <= 0);
        }
        assert_ok(&ctx, lode_svd_stream_result(&ctx, w, &got));
        lode_array u = member(&want, "U"), v = member(&got, "U");
        assert_true(diff(&u, &v) <= 0);
        LODE_FREE(&u, &v);
        lode_svd_stream_close(&w);
        w = opened(&b, LODE_SVD_EXTENDED);
        lode_i_set_tick_always(&ctx, true);
        for (stop_at = 0;; stop_at++) {
            int seen = 0;
            ctx.progress = stop, ctx.progress_data = &seen;
            const lode_status st = lode_svd_stream_update(&ctx, w, in, change + 1);
            ctx.progress = NULL;
            if (st == LODE_OK)
                break;
            assert_int_equal(st, LODE_ECANCEL);
        }
        assert_true(stop_at >= 1);
        lode_i_set_tick_always(&ctx, false);
        lode_bundle_free(&got);
        assert_ok(&ctx, lode_svd_stream_result(&ctx, w, &got));
        u = member(&want, "U"), v = member(&got, "U");
        assert_true(diff(&u, &v) <= 0);
        lode_svd_stream_close(&w);
        LODE_FREE(&u, &v, &want, &got);
    }
    lode_sparse held = e;
    LODE_FREE(&A, &E, &before, &after, &D, &F, &b, &held);
}

static void what_does_not_fit_is_said(void **state)
{
    (void)state;
    lode_array A = low_rank(LODE_F64, 20, 10, 3, 0.1), X = random_matrix(LODE_F64, 20, 2, 5),
               wide = random_matrix(LODE_F64, 10, 11, 6), tall = random_matrix(LODE_F64, 20, 11, 7),
               c = random_matrix(LODE_C128, 2, 10, 8), row = random_matrix(LODE_F64, 2, 10, 9);
    lode_bundle b = { 0 }, other = { 0 }, out = { 0 };
    lode_svd_stream *w = NULL;
    fit(&A, "rank", "3", &b);
    const lode_value x = lode_from_array(&X), r = lode_from_array(&row);
    assert_status(&ctx, lode_update(&ctx, &b, x, &out), LODE_ESHAPE);
    assert_says(&ctx, "the new rows are 20 x 2 and the matrix 20 x 10");
    assert_status(&ctx, lode_update_with(&ctx, &b, &(lode_input){ "cols", r }, 1, &out),
                  LODE_ESHAPE);
    assert_says(&ctx, "the new columns are 2 x 10 and the matrix 20 x 10");
    assert_status(&ctx, lode_update_with(&ctx, &b, &(lode_input){ "columns", r }, 1, &out),
                  LODE_EUSAGE);
    assert_says(&ctx, "no input 'columns'; there are: rows, cols, D, E");
    assert_status(&ctx, lode_update_with(&ctx, &b, &(lode_input){ "D", x }, 1, &out), LODE_EUSAGE);
    assert_says(&ctx, "both, D and E");
    lode_input two[] = { { "D", x }, { "E", x } };
    assert_status(&ctx, lode_update_with(&ctx, &b, two, 2, &out), LODE_ESHAPE);
    assert_says(&ctx, "D is 20 x 2 and E 20 x 2; a change D E^H of the 20 x 10 matrix");
    two[0].value = lode_from_array(&tall), two[1].value = lode_from_array(&wide);
    assert_status(&ctx, lode_update_with(&ctx, &b, two, 2, &out), LODE_ESHAPE);
    assert_says(&ctx, "a change by 11 columns and a matrix of 20 x 10 with 3 triplets");
    two[0] = (lode_input){ "rows", r }, two[1] = (lode_input){ "cols", x };
    assert_status(&ctx, lode_update_with(&ctx, &b, two, 2, &out), LODE_EUSAGE);
    assert_says(&ctx, "one at a time");
    two[1] = (lode_input){ NULL, r };
    assert_status(&ctx, lode_update_with(&ctx, &b, two, 2, &out), LODE_EUSAGE);
    assert_says(&ctx, "rows is given twice");
    assert_status(&ctx, lode_update(&ctx, &b, lode_from_array(&c), &out), LODE_ETYPE);
    assert_status(&ctx, lode_update(&ctx, &b, lode_from_text("x"), &out), LODE_ETYPE);
    lode_i_set2(&row, 1, 4, INFINITY);
    assert_status(&ctx, lode_update(&ctx, &b, r, &out), LODE_EDOMAIN);
    assert_says(&ctx, "the new rows[1,4] is inf");
    lode_sparse s = as_sparse(&row);
    assert_status(&ctx, lode_update(&ctx, &b, lode_from_sparse(&s), &out), LODE_EDOMAIN);
    lode_pca_opts o = lode_pca_defaults();
    assert_ok(&ctx, lode_pca(&ctx, &o, lode_from_array(&A), &other));
    snprintf(other.meta.op, sizeof other.meta.op, "pca");
    assert_status(&ctx, lode_svd_stream_open(&ctx, &other, LODE_SVD_EXTENDED, &w), LODE_EUSAGE);
    assert_says(&ctx, "not of 'pca'");
    assert_status(&ctx, lode_update_with(&ctx, &other, &(lode_input){ "cols", x }, 1, &out),
                  LODE_EUSAGE);
    assert_null(w);
    assert_int_equal(out.count, 0);
    LODE_FREE(&A, &X, &wide, &tall, &c, &row, &b, &other, &out, &s);
}

/* What was given by name is recorded by name. */
static void an_update_is_made_again(void **state)
{
    (void)state;
    lode_array A = low_rank(LODE_F64, 30, 20, 4, 0.1), D = thinned(LODE_F64, 30, 2, 5),
               E = thinned(LODE_F64, 20, 2, 6);
    lode_bundle b = { 0 }, made = { 0 }, again = { 0 };
    char *text = NULL;
    fit(&A, "rank", "4", &b);
    const lode_input in[] = { { NULL, lode_from_bundle(&b) },
                              { "D", lode_from_array(&D) },
                              { "E", lode_from_array(&E) } };
    assert_ok(&ctx, lode_update_with(&ctx, &b, in + 1, 2, &made));
    assert_ok(&ctx, lode_verb_record_named(&ctx, "update", in, 3, &made));
    assert_ok(&ctx, lode_made_text(&ctx, &made, "m.lode", &text));
    assert_non_null(strstr(text, "lode update model D=D E=E -o m.lode"));
    lode_text_free(text);
    const lode_input plain[] = { in[0], { NULL, in[1].value }, { NULL, in[2].value } };
    assert_ok(&ctx, lode_rerun(&ctx, &made, in, 3, &again));
    assert_ok(&ctx, lode_rerun(&ctx, &made, plain, 3, &again));
    const lode_input swapped[] = { in[0], { NULL, in[2].value }, { NULL, in[1].value } };
    assert_status(&ctx, lode_rerun(&ctx, &made, swapped, 3, &again), LODE_EUSAGE);
    assert_says(&ctx, "input D is not the one");
    LODE_FREE(&A, &D, &E, &b, &made, &again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(batches_give_the_rayleigh_ritz_projection, setup, teardown),
        cmocka_unit_test_setup_teardown(many_batches_drift_no_more_than_formed_bases, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(rows_that_add_little_lose_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(ranks_follow_the_error_and_the_sides, setup, teardown),
        cmocka_unit_test_setup_teardown(sizes_zero_and_one, setup, teardown),
        cmocka_unit_test_setup_teardown(bits_do_not_depend_on_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_batch_leaves_the_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(an_update_is_made_again, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
