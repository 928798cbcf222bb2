/* What tests of linalg share: matrices in every layout, naive products in long double, sameness of
 * bits. */
#ifndef LODE_TESTS_LINALG_REFERENCE_H
#define LODE_TESTS_LINALG_REFERENCE_H

#include "fixture.h"

#include <complex.h>
#include <math.h>

#include "linalg/linalg.h"

typedef double complex entry;
typedef long double complex wide;

static const lode_dtype kinds[] = { LODE_F32, LODE_F64, LODE_C64, LODE_C128 };
enum { KINDS = 4 };

typedef enum layout { BY_ROWS, BY_COLS, PADDED, STEPPED, REVERSED, LAYOUTS } layout;

static inline entry get(const lode_array *a, int64_t i, int64_t j)
{
    const int64_t at = i * a->strides[0] + (a->ndim > 1 ? j * a->strides[1] : 0);
    switch (a->dtype) {
    case LODE_F32: return (entry)((const float *)a->data)[at];
    case LODE_F64: return ((const double *)a->data)[at];
    case LODE_C64: return (entry)((const float complex *)a->data)[at];
    default: return ((const entry *)a->data)[at];
    }
}

static inline void put(lode_array *a, int64_t i, int64_t j, entry v)
{
    const int64_t at = i * a->strides[0] + (a->ndim > 1 ? j * a->strides[1] : 0);
    switch (a->dtype) {
    case LODE_F32: ((float *)a->data)[at] = (float)creal(v); break;
    case LODE_F64: ((double *)a->data)[at] = creal(v); break;
    case LODE_C64: ((float complex *)a->data)[at] = (float complex)v; break;
    default: ((entry *)a->data)[at] = v;
    }
}

/* Uniform in (-1, 1), a function of its arguments alone. */
static inline double noise(uint64_t seed, int64_t i, int64_t j)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u + (uint64_t)i * 0xbf58476d1ce4e5b9u +
                 (uint64_t)j * 0x94d049bb133111ebu;
    for (int r = 0; r < 3; r++)
        x = (x ^ (x >> 31)) * 0xd6e8feb86659fd93u;
    return (double)(x >> 11) * 0x1p-52 - 1;
}

static inline entry noise_entry(uint64_t seed, int64_t i, int64_t j)
{
    return noise(seed, i, j) + I * noise(seed + 1000, i, j);
}

/* The same as an array of a's type holds it. */
static inline entry noise_at(const lode_array *a, uint64_t seed, int64_t i, int64_t j)
{
    const entry v = noise_entry(seed, i, j);
    const entry real = lode_i_is_complex(a->dtype) ? v : creal(v);
    return lode_i_is_single(a->dtype) ? (entry)(float complex)real : real;
}

/* An m x n matrix in a layout; values depend on (seed, i, j) only. */
static inline lode_array matrix(lode_ctx *ctx, lode_dtype t, int64_t m, int64_t n, layout how,
                                uint64_t seed)
{
    lode_array base = { 0 }, view = { 0 }, out = { 0 };
    if (how == BY_COLS) {
        assert_ok(ctx, lode_i_matrix_new(ctx, t, n, m, &base));
        assert_ok(ctx, lode_array_permute(ctx, &base, (const int[]){ 1, 0 }, &out));
    } else if (how == PADDED) {
        assert_ok(ctx, lode_i_matrix_new(ctx, t, m, n + 3, &base));
        assert_ok(ctx, lode_array_slice(ctx, &base, 1, 2, n + 2, 1, &out));
    } else if (how == STEPPED) {
        assert_ok(ctx, lode_i_matrix_new(ctx, t, 2 * m + 1, 3 * n + 1, &base));
        assert_ok(ctx, lode_array_slice(ctx, &base, 0, 1, 2 * m + 1, 2, &view));
        assert_ok(ctx, lode_array_slice(ctx, &view, 1, 1, 3 * n + 1, 3, &out));
    } else if (how == REVERSED && m > 0) {
        assert_ok(ctx, lode_i_matrix_new(ctx, t, m, n, &base));
        assert_ok(ctx, lode_array_slice(ctx, &base, 0, m - 1, -1, -1, &out));
    } else {
        assert_ok(ctx, lode_i_matrix_new(ctx, t, m, n, &out));
    }
    LODE_FREE(&base, &view);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            put(&out, i, j, noise_entry(seed, i, j));
    return out;
}

static inline entry op(lode_trans t, const lode_array *a, int64_t i, int64_t j)
{
    return t == LODE_N ? get(a, i, j) : t == LODE_T ? get(a, j, i) : conj(get(a, j, i));
}

/* alpha op(A) op(B) + beta C0 at (i, j), and the sum of magnitudes that bounds its rounding. */
typedef struct naive {
    lode_trans ta, tb;
    const lode_array *A, *B;
} naive;

static inline entry product(const naive *p, int64_t i, int64_t j, double *size)
{
    const int64_t k = p->A->shape[p->ta == LODE_N ? 1 : 0];
    wide sum = 0;
    *size = 0;
    for (int64_t l = 0; l < k; l++) {
        const entry a = op(p->ta, p->A, i, l), b = op(p->tb, p->B, l, j);
        sum += (wide)a * (wide)b;
        *size += cabs(a) * cabs(b);
    }
    return (entry)sum;
}

/* Rounding of an inner product of length k: gamma_(k+2) = (k+2) u at worst, 4 times that for
 * complex values. */
static inline double rounding(lode_dtype t, int64_t k)
{
    return 4 * (double)(k + 2) * lode_i_epsilon(t);
}

static inline void assert_product(const lode_array *C, const naive *p)
{
    const int64_t k = p->A->shape[p->ta == LODE_N ? 1 : 0];
    for (int64_t i = 0; i < C->shape[0]; i++)
        for (int64_t j = 0; j < C->shape[1]; j++) {
            double size;
            const entry want = product(p, i, j, &size);
            assert_le(cabs(get(C, i, j) - want), rounding(C->dtype, k) * size);
        }
}

static inline void assert_shape(const lode_array *a, int64_t m, int64_t n)
{
    assert_int_equal(a->ndim, 2);
    assert_int_equal(a->shape[0], m);
    assert_int_equal(a->shape[1], n);
}

static inline void assert_same_bits(const lode_array *a, const lode_array *b)
{
    assert_int_equal(lode_array_bytes(a), lode_array_bytes(b));
    assert_true(lode_array_is_contiguous(a) && lode_array_is_contiguous(b));
    assert_true(lode_array_bytes(a) == 0 || memcmp(a->data, b->data, lode_array_bytes(a)) == 0);
}

/* Largest |Q^H Q - I|. */
static inline double not_orthonormal(const lode_array *Q)
{
    double worst = 0;
    for (int64_t i = 0; i < Q->shape[1]; i++)
        for (int64_t j = 0; j <= i; j++) {
            wide sum = 0;
            for (int64_t l = 0; l < Q->shape[0]; l++)
                sum += (wide)conj(get(Q, l, i)) * (wide)get(Q, l, j);
            const double off = cabs((entry)sum - (i == j));
            worst = off > worst || isnan(off) ? off : worst;
        }
    return worst;
}

static inline double fro(const lode_array *a)
{
    double sum = 0;
    for (int64_t i = 0; i < a->shape[0]; i++)
        for (int64_t j = 0; j < (a->ndim > 1 ? a->shape[1] : 1); j++)
            sum = hypot(sum, cabs(get(a, i, j)));
    return sum;
}

/* ||A - X diag(s) Y||_F, Y taken as op(t); s may be NULL. Scaled, so that 1e300 does not overflow.
 */
static inline double residual(const lode_array *A, const lode_array *X, const lode_array *s,
                              lode_trans t, const lode_array *Y)
{
    double sum = 0;
    for (int64_t i = 0; i < A->shape[0]; i++)
        for (int64_t j = 0; j < A->shape[1]; j++) {
            wide v = (wide)get(A, i, j);
            for (int64_t l = 0; l < X->shape[1]; l++)
                v -= (wide)get(X, i, l) * (wide)(s ? get(s, l, 0) : 1) * (wide)op(t, Y, l, j);
            sum = hypot(sum, cabs((entry)v));
        }
    return sum;
}

/* A context with a heap of its own. */
typedef struct world {
    heap h;
    lode_ctx ctx;
} world;

static inline int world_new(void **state)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    const lode_allocator a = heap_of(&w->h);
    if (lode_ctx_init(&w->ctx, &a) != LODE_OK)
        return -1;
    w->ctx.threads = 2;
    *state = w;
    return 0;
}

static inline int world_free(void **state)
{
    world *w = *state;
    lode_ctx_free(&w->ctx);
    const int64_t live = w->h.live;
    free(w);
    assert_int_equal(live, 0);
    return 0;
}

#define LINALG_TEST(f) cmocka_unit_test_setup_teardown(f, world_new, world_free)

#endif
