/* Eigenvalues and vectors of a general matrix: LAPACK's, the result checked; else, and where there is no
 * LAPACK, the QR algorithm in complex arithmetic (Golub & Van Loan, Matrix Computations, 4th ed. (2013),
 * sections 7.4 to 7.6): Householder reflections to Hessenberg form, rotations with Wilkinson's shift to a triangle,
 * vectors by substitution. Also exponentials in time, of which such values are rates. */
#include "linalg/blas.h"

#include <complex.h>
#include <math.h>
#include <string.h>

typedef double complex cplx;

/* C11's CMPLX, which not every compiler has. */
static cplx joined(double re, double im)
{
    const double parts[2] = { re, im };
    cplx z;
    memcpy(&z, parts, sizeof z);
    return z;
}

/* ---- the QR algorithm ---- */

typedef struct schur {
    cplx *h, *q; /* A = q h q^H, by rows */
    int64_t n;
} schur;

/* Rows i and k of m from column `from` on are rotated: [c s; -conj(s) c]. */
static void rotate_rows(cplx *m, int64_t n, int64_t i, int64_t k, int64_t from, double c, cplx s)
{
    for (int64_t j = from; j < n; j++) {
        const cplx a = m[i * n + j], b = m[k * n + j];
        m[i * n + j] = c * a + s * b;
        m[k * n + j] = c * b - conj(s) * a;
    }
}

/* Columns, by the adjoint; rows before `to`. */
static void rotate_columns(cplx *m, int64_t n, int64_t i, int64_t k, int64_t to, double c, cplx s)
{
    for (int64_t j = 0; j < to; j++) {
        const cplx a = m[j * n + i], b = m[j * n + k];
        m[j * n + i] = c * a + conj(s) * b;
        m[j * n + k] = c * b - s * a;
    }
}

/* c and s that make the second of (a, b) zero. */
static void rotation(cplx a, cplx b, double *c, cplx *s)
{
    const double size = hypot(cabs(a), cabs(b));
    *c = 1, *s = 0;
    if (!(size > 0))
        return;
    const cplx phase = cabs(a) > 0 ? a / cabs(a) : 1;
    *c = cabs(a) / size;
    *s = phase * conj(b) / size;
}

static void hessenberg(schur *w)
{
    const int64_t n = w->n;
    for (int64_t k = 0; k + 2 < n; k++)
        for (int64_t i = n - 1; i > k + 1; i--) { /* rotations, which need no scratch */
            double c;
            cplx s;
            rotation(w->h[(i - 1) * n + k], w->h[i * n + k], &c, &s);
            rotate_rows(w->h, n, i - 1, i, k, c, s);
            rotate_columns(w->h, n, i - 1, i, n, c, s);
            rotate_columns(w->q, n, i - 1, i, n, c, s);
            w->h[i * n + k] = 0;
        }
}

/* The eigenvalue of the last 2 x 2 block that is nearer to its last entry. */
static cplx shift(const schur *w, int64_t last)
{
    const int64_t n = w->n;
    const cplx a = w->h[(last - 1) * n + last - 1], b = w->h[(last - 1) * n + last],
               c = w->h[last * n + last - 1], d = w->h[last * n + last];
    const cplx half = (a - d) / 2, root = csqrt(half * half + b * c);
    const cplx x = (a + d) / 2 + root, y = (a + d) / 2 - root;
    return cabs(x - d) < cabs(y - d) ? x : y;
}

static bool triangle(schur *w)
{
    const int64_t n = w->n;
    int64_t last = n - 1;
    for (int64_t step = 0, since = 0; last > 0; step++, since++) {
        int64_t first = last;
        for (; first > 0; first--) {
            const double around = cabs(w->h[first * n + first]) +
                                  cabs(w->h[(first - 1) * n + first - 1]);
            if (cabs(w->h[first * n + first - 1]) <= 0x1p-52 * around) {
                w->h[first * n + first - 1] = 0;
                break;
            }
        }
        if (first == last) {
            last--, since = 0;
            continue;
        }
        if (step > 60 * n)
            return false;
        /* now and then another shift than the one that goes in a circle */
        const cplx mu = since % 12 == 11 ? w->h[last * n + last] + cabs(w->h[last * n + last - 1])
                                         : shift(w, last);
        for (int64_t i = first; i <= last; i++)
            w->h[i * n + i] -= mu;
        cplx before_s = 0;
        double before_c = 1;
        for (int64_t i = first; i < last; i++) {
            double c;
            cplx s;
            rotation(w->h[i * n + i], w->h[(i + 1) * n + i], &c, &s);
            rotate_rows(w->h, n, i, i + 1, i, c, s);
            if (i > first)
                rotate_columns(w->h, n, i - 1, i, i + 1, before_c, before_s);
            rotate_columns(w->q, n, i, i + 1, n, c, s);
            before_c = c, before_s = s;
        }
        rotate_columns(w->h, n, last - 1, last, last + 1, before_c, before_s);
        for (int64_t i = first; i <= last; i++)
            w->h[i * n + i] += mu;
    }
    return true;
}

/* Column k of v: the vector of the k-th value of the triangle, turned back. */
static void vector_of(const schur *w, int64_t k, double norm, cplx *x, cplx *v)
{
    const int64_t n = w->n;
    const cplx value = w->h[k * n + k];
    x[k] = 1;
    for (int64_t i = k - 1; i >= 0; i--) {
        cplx sum = w->h[i * n + k];
        for (int64_t j = i + 1; j < k; j++)
            sum += w->h[i * n + j] * x[j];
        const double least = norm > 0 ? 0x1p-52 * norm : 1;
        cplx gap = w->h[i * n + i] - value;
        if (cabs(gap) < least)
            gap = least;
        x[i] = -sum / gap;
        const double size = cabs(x[i]);
        if (size > 0x1p300)
            for (int64_t j = i; j <= k; j++)
                x[j] /= size;
    }
    for (int64_t i = 0; i < n; i++) {
        cplx sum = 0;
        for (int64_t j = 0; j <= k; j++)
            sum += w->q[i * n + j] * x[j];
        v[i * n + k] = sum;
    }
}

static lode_status by_rotations(lode_ctx *ctx, const lode_array *A, lode_array *w, lode_array *V)
{
    lode_status st = LODE_OK;
    lode_array h = { 0 }, q = { 0 };
    cplx *x = NULL;
    double norm = 0;
    const int64_t n = A->shape[0];
    LODE_TRY(lode_array_cast(ctx, A, LODE_C128, &h));
    LODE_TRY(lode_i_eye(ctx, LODE_C128, n, &q));
    LODE_TRY(lode_i_norm_fro(ctx, A, &norm));
    LODE_TRY(LODE_NEW(ctx, n, &x));
    schur s = { .h = h.data, .q = q.data, .n = n };
    hessenberg(&s);
    LODE_REQUIRE(triangle(&s), LODE_EINTERNAL,
                 "the QR algorithm did not find the eigenvalues of a matrix of order %" PRId64, n);
    LODE_TRY(lode_i_vector_new(ctx, LODE_C128, n, w));
    LODE_TRY(lode_i_matrix_new(ctx, LODE_C128, n, n, V));
    for (int64_t k = 0; k < n; k++) {
        ((cplx *)w->data)[k] = s.h[k * n + k];
        vector_of(&s, k, norm, x, V->data);
    }
done:
    lode_i_free(x);
    LODE_FREE(&h, &q);
    return st;
}

/* ---- LAPACK ---- */

/* dgeev's vectors of a pair: real and imaginary parts of the first in two columns. */
static void unpack(int64_t n, const double *wr, const double *wi, const double *v, cplx *w, cplx *V)
{
    for (int64_t k = 0; k < n; k++) {
        const bool first = wi[k] > 0 && k + 1 < n;
        w[k] = joined(wr[k], wi[k]);
        for (int64_t i = 0; i < n; i++)
            V[i * n + k] = first ? joined(v[k * n + i], v[(k + 1) * n + i]) : v[k * n + i];
        if (!first)
            continue;
        w[k + 1] = conj(w[k]);
        for (int64_t i = 0; i < n; i++)
            V[i * n + k + 1] = conj(V[i * n + k]);
        k++;
    }
}

static lode_status by_lapack(lode_ctx *ctx, const lode_array *A, lode_array *w, lode_array *V,
                             bool *good)
{
    lode_status st = LODE_OK;
    const int64_t n = A->shape[0];
    lode_array a = { 0 }, values = { 0 }, parts = { 0 }, v = { 0 };
    int info = 0;
    LODE_TRY(lode_i_copy_op(ctx, LODE_T, A, &a)); /* by columns, A */
    LODE_TRY(lode_i_vector_new(ctx, A->dtype, n, &values));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, n, &parts));
    LODE_TRY(lode_i_matrix_new(ctx, A->dtype, n, n, &v));
    const lode_i_general_work e = { A->dtype, n, a.data, values.data, parts.data, v.data };
    LODE_TRY(lode_i_lapack_eig(ctx, &e, &info));
    *good = info == 0;
    if (!*good)
        goto done;
    LODE_TRY(lode_i_vector_new(ctx, LODE_C128, n, w));
    LODE_TRY(lode_i_matrix_new(ctx, LODE_C128, n, n, V));
    if (A->dtype == LODE_F64) {
        unpack(n, values.data, parts.data, v.data, w->data, V->data);
    } else {
        memcpy(w->data, values.data, lode_array_bytes(w));
        const cplx *from = v.data;
        cplx *to = V->data;
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < n; k++)
                to[i * n + k] = from[k * n + i];
    }
done:
    LODE_FREE(&a, &values, &parts, &v);
    return st;
}

/* ---- order and check ---- */

/* By size, ties (in rounding) by angle: 0, then up and down in pairs. */
static bool before(cplx a, cplx b, double norm)
{
    const double slack = 1e-12 * norm;
    if (fabs(cabs(a) - cabs(b)) > slack)
        return cabs(a) > cabs(b);
    if (fabs(fabs(cimag(a)) - fabs(cimag(b))) > slack || fabs(creal(a) - creal(b)) > slack)
        return fabs(carg(a)) < fabs(carg(b));
    return cimag(a) > cimag(b);
}

static void canonical(int64_t n, cplx *w, cplx *v, double norm)
{
    for (int64_t k = 1; k < n; k++)
        for (int64_t j = k; j > 0 && before(w[j], w[j - 1], norm); j--) {
            const cplx t = w[j];
            w[j] = w[j - 1], w[j - 1] = t;
            for (int64_t i = 0; i < n; i++) {
                const cplx u = v[i * n + j];
                v[i * n + j] = v[i * n + j - 1], v[i * n + j - 1] = u;
            }
        }
    for (int64_t k = 0; k < n; k++) {
        double size = 0, most = 0;
        int64_t at = 0;
        for (int64_t i = 0; i < n; i++) {
            size = hypot(size, cabs(v[i * n + k]));
            if (cabs(v[i * n + k]) > most * (1 + 1e-9))
                most = cabs(v[i * n + k]), at = i;
        }
        if (!(size > 0))
            continue;
        const cplx turn = conj(v[at * n + k]) / cabs(v[at * n + k]) / size;
        for (int64_t i = 0; i < n; i++)
            v[i * n + k] *= turn;
    }
}

/* Every column's residual. */
static lode_status check(lode_ctx *ctx, const lode_array *A, const lode_array *w,
                         const lode_array *V, double norm, bool *good)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 }, AV = { 0 }, VW = { 0 };
    double off = 0;
    LODE_TRY(lode_array_cast(ctx, A, LODE_C128, &a));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &a, V, &AV));
    LODE_TRY(lode_array_cast(ctx, V, LODE_C128, &VW));
    LODE_TRY(lode_i_scale_cols(ctx, &VW, w));
    LODE_TRY(lode_i_diff_fro(ctx, &AV, &VW, &off));
    *good = off <= 1e-13 * (100 + 10 * (double)A->shape[0]) * norm;
done:
    LODE_FREE(&a, &AV, &VW);
    return st;
}

lode_status lode_i_eig_routed(lode_ctx *ctx, bool plain, const lode_array *A, lode_array *w,
                              lode_array *V)
{
    lode_status st = LODE_OK;
    lode_array values = { 0 }, vectors = { 0 };
    bool good = false;
    double norm = 0;
    const int64_t n = A->shape[0];
    LODE_TRY(lode_i_norm_fro(ctx, A, &norm));
    for (int route = plain; route < 2 && !good; route++) {
        LODE_FREE(&values, &vectors);
        if (route == 0)
            LODE_TRY(by_lapack(ctx, A, &values, &vectors, &good));
        else
            LODE_TRY(by_rotations(ctx, A, &values, &vectors));
        if (route == 0 && !good)
            continue;
        canonical(n, values.data, vectors.data, norm);
        LODE_TRY(check(ctx, A, &values, &vectors, norm, &good));
    }
    LODE_REQUIRE(good, LODE_EINTERNAL,
                 "the eigenvalues of a matrix of order %" PRId64 " do not fit its vectors", n);
    lode_array_swap(w, &values), lode_array_swap(V, &vectors);
done:
    LODE_FREE(&values, &vectors);
    return st;
}

lode_status lode_i_eig(lode_ctx *ctx, const lode_array *A, lode_array *w, lode_array *V)
{
    lode_status st = LODE_OK;
    lode_array scaled = { 0 };
    double factor = 1;
    LODE_TRY(lode_i_check_matrix(ctx, "eig", "A", A));
    LODE_REQUIRE(A->shape[0] == A->shape[1] && (A->dtype == LODE_F64 || A->dtype == LODE_C128),
                 LODE_ESHAPE, "eig: A is %" PRId64 " x %" PRId64 " %s, not square of f64 or c128",
                 A->shape[0], A->shape[1], lode_dtype_name(A->dtype));
    if (A->shape[0] == 0) {
        LODE_FREE(w, V);
        LODE_TRY(lode_i_vector_new(ctx, LODE_C128, 0, w));
        LODE_TRY(lode_i_matrix_new(ctx, LODE_C128, 0, 0, V));
        goto done;
    }
    LODE_TRY(lode_i_moderate(ctx, "A", A, &scaled, &factor));
    LODE_TRY(lode_i_eig_routed(ctx, false, factor == 1 ? A : &scaled, w, V));
    if (factor != 1)
        LODE_TRY(lode_i_scale(ctx, factor, w));
done:
    lode_array_free(&scaled);
    return st;
}

/* ---- exponentials ---- */

lode_status lode_i_exponentials(lode_ctx *ctx, const lode_array *t, const lode_array *rate,
                                const lode_array *origin, int power, lode_array *E)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 }, rates = { 0 };
    const int64_t m = t->shape[0], r = rate->shape[0];
    LODE_TRY(lode_i_as(ctx, rate, LODE_C128, &rates));
    LODE_TRY(lode_i_matrix_new(ctx, LODE_C128, m, r, &y));
    const cplx *a = rates.data;
    cplx *to = y.data;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < r; j++) {
            const double tau = lode_i_get1(t, i) - (origin ? lode_i_get1(origin, j) : 0);
            cplx e = cexp(a[j] * tau);
            for (int k = 0; k < power; k++)
                e *= tau;
            to[i * r + j] = e;
        }
    lode_array_swap(E, &y);
done:
    LODE_FREE(&y, &rates);
    return st;
}
