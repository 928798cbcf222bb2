/* Thin QR of tall matrices. First Cholesky QR (Q = A R^-1 with R^H R = A^H A), repeated until Q is
 * orthonormal: all its work is in products over row blocks. What that cannot do (numerically
 * dependent columns, entries whose squares overflow) goes to the Householder tree of tsqr.c, which
 * always succeeds. Whether Q is orthonormal enough is measured, so the choice depends on the values
 * alone. Sources: Yamamoto, Nakatsukasa, Yanagisawa & Fukaya, ETNA 44 (2015) (two passes); Fukaya,
 * Kannan, Nakatsukasa, Yamamoto & Yanagisawa, SIAM J. Sci. Comput. 42 (2020) (the shift that widens
 * it to condition 1/eps). */
#include "linalg/blas.h"

#include <math.h>
#include <string.h>

enum { PASSES = 4 };

typedef struct cholqr {
    lode_i_operand rows; /* A */
    lode_dtype dtype;
    int64_t m, n, block, blocks, group, groups;
    size_t size;
    char *q;                          /* m x n, or NULL: only R is wanted */
    lode_i_rows_solver solve[PASSES]; /* by the R of each pass so far; all of them when q is NULL,
                                         and rows come from A */
    int passes;
    bool last;   /* the next solve is the last one: no Gram matrix after it */
    char *parts; /* Gram matrices of the groups, or NULL */
} cholqr;

/* Rows of one group: solve with the newest R (or with all of them), then add to the group's Gram
 * matrix. */
static lode_status pass_group(lode_ctx *ctx, int64_t g, void *data)
{
    lode_status st = LODE_OK;
    void *room = NULL;
    const cholqr *w = data;
    const int64_t width = w->solve[0].block + (w->q ? 0 : w->n),
                  b1 = lode_i_min((g + 1) * w->group, w->blocks);
    double beta = 0;
    LODE_TRY(lode_i_new(ctx, w->block * width, w->size, &room));
    for (int64_t b = g * w->group; b < b1; b++, beta = 1) {
        const int64_t r0 = b * w->block, m = lode_i_min(w->block, w->m - r0);
        char *q = w->q ? w->q + (size_t)(r0 * w->n) * w->size
                       : (char *)room + (size_t)(w->block * w->solve[0].block) * w->size;
        if (!w->q || w->passes == 1) {
            const lode_i_operand from = lode_i_operand_part(&w->rows, r0, m, 0, w->n);
            lode_i_operand_pack(&from, w->dtype, q);
        }
        for (int p = w->q ? w->passes - 1 : 0; p < w->passes; p++)
            lode_i_rows_solve(&w->solve[p], m, q, room);
        if (!w->last && w->parts) {
            lode_i_operand p = lode_i_operand_packed(q, w->dtype, m, w->n);
            p = lode_i_operand_transposed(&p);
            p.conj = lode_i_is_complex(w->dtype);
            lode_i_blas_rank_k(&p, true, beta, w->parts + (size_t)(g * w->n * w->n) * w->size,
                               w->n);
        }
        LODE_TRY(lode_i_cancelled(ctx));
    }
done:
    lode_i_free(room);
    return st;
}

/* A Gram matrix made into R, R^H R = G + shift, zeros below. Columns are scaled first, since
 * Cholesky's success should not depend on their units. False: not positive definite, or not finite.
 * off: ||G - I||_F. */
typedef struct triangle_job {
    lode_dtype dtype;
    int64_t n;
    void *r;
    const void *g;
    double *scale;
} triangle_job;
#define REAL float
#define NAME(x) x##_f32
#define WIDTH 1
#include "linalg/chol_kernel.inc"
#define REAL double
#define NAME(x) x##_f64
#define WIDTH 1
#include "linalg/chol_kernel.inc"
#define REAL float
#define NAME(x) x##_c64
#define WIDTH 2
#include "linalg/chol_kernel.inc"
#define REAL double
#define NAME(x) x##_c128
#define WIDTH 2
#include "linalg/chol_kernel.inc"

static bool triangle(const triangle_job *w, double shift, double *off)
{
    switch (w->dtype) {
    case LODE_F32: return triangle_f32(w, (float)shift, off);
    case LODE_F64: return triangle_f64(w, shift, off);
    case LODE_C64: return triangle_c64(w, (float)shift, off);
    default: return triangle_c128(w, shift, off);
    }
}

/* *ok false: the tree must do it. R receives the product of the R of all passes. */
static lode_status cholesky_qr(lode_ctx *ctx, const lode_array *A, lode_array *Q, lode_array *R,
                               bool *ok)
{
    lode_status st = LODE_OK;
    const int64_t m = A->shape[0], n = A->shape[1];
    lode_array q = { 0 }, r[PASSES] = { { 0 } }, g = { 0 };
    void *parts = NULL;
    double *scale = NULL, off = INFINITY;
    cholqr w = { .rows = lode_i_operand_of(LODE_N, A),
                 .dtype = A->dtype,
                 .m = m,
                 .n = n,
                 .size = lode_dtype_size(A->dtype) };
    const double eps = lode_i_epsilon(A->dtype);
    const bool fused = m >= 8 * n; /* else the Gram matrices of the groups would outgrow A */
    *ok = false;

    w.block = lode_i_max(128, lode_i_min(2048, (1 << 18) / n / 32 * 32));
    w.blocks = lode_i_ceil_div(m, w.block);
    w.group = fused ? lode_i_ceil_div(w.blocks, lode_i_min(lode_i_min(w.blocks, 32), m / (4 * n)))
                    : 1;
    w.groups = lode_i_ceil_div(w.blocks, w.group);
    if (fused)
        LODE_TRY(lode_i_new(ctx, w.groups * n * n, w.size, &parts));
    w.parts = parts;
    if (Q || !fused) {
        LODE_TRY(lode_i_matrix_new(ctx, A->dtype, m, n, &q));
        w.q = q.data;
    }
    LODE_TRY(LODE_NEW(ctx, n, &scale));
    LODE_TRY(lode_i_gram(ctx, LODE_H, A, &g));
    while (!w.last) {
        if (w.passes == PASSES)
            goto done;
        lode_array *now = &r[w.passes];
        LODE_TRY(lode_i_matrix_new(ctx, A->dtype, n, n, now));
        const triangle_job t = { A->dtype, n, now->data, g.data, scale };
        /* the columns have unit length, so ||A||^2 <= n; the theory asks for 11 (m n + n (n + 1))
         * u, and sums in a tree need far less than its m */
        const double shift = 11 * eps * (double)n * ((double)n + 1 + sqrt((double)m));
        if (!triangle(&t, 0, &off) && (w.passes == 2 || !triangle(&t, shift, &off)))
            goto done;
        LODE_TRY(lode_i_rows_prepare(ctx, A->dtype, n, now->data, &w.solve[w.passes++]));
        w.last = off < 0.05; /* then this pass leaves Q orthonormal to rounding */
        if (!w.last || Q)
            LODE_TRY(lode_i_parallel(ctx, w.groups, pass_group, &w));
        if (w.last)
            break;
        if (fused) {
            LODE_TRY(lode_i_sum_parts(ctx, A->dtype, parts, w.groups, n * n));
            memcpy(g.data, parts, (size_t)(n * n) * w.size);
        } else {
            LODE_TRY(lode_i_gram(ctx, LODE_H, &q, &g));
        }
    }
    for (int p = 1; p < w.passes; p++) { /* R = R_p ... R_2 R_1 */
        const lode_i_tri t = { .dtype = A->dtype, .upper = true, .t = r[p].data, .ldt = n };
        lode_i_blas_trmm(&t, n, n, r[0].data, n);
    }
    if (Q)
        lode_array_swap(Q, &q);
    lode_array_swap(R, &r[0]);
    *ok = true;
done:
    lode_i_free(parts), lode_i_free(scale);
    LODE_FREE(&q, &g);
    for (int p = 0; p < PASSES; p++) {
        lode_i_rows_free(&w.solve[p]);
        lode_array_free(&r[p]);
    }
    return st;
}

/* Exponents that bring each column's largest entry into [1/2, 1); *needed when some column is so
 * far away that squares overflow or vanish. */
static lode_status column_scales(lode_ctx *ctx, const lode_array *A, lode_array *up,
                                 lode_array *down, bool *needed)
{
    lode_status st = LODE_OK;
    lode_array col = { 0 };
    const int64_t n = A->shape[1];
    const double far = lode_i_is_single(A->dtype) ? 0x1p40 : 0x1p400;
    const lode_dtype real = lode_i_real_of(A->dtype);
    *needed = false;
    LODE_TRY(lode_i_vector_new(ctx, real, n, up));
    LODE_TRY(lode_i_vector_new(ctx, real, n, down));
    for (int64_t j = 0; j < n; j++) {
        lode_stats s;
        col = lode_i_cols(A, j, j + 1);
        LODE_TRY(lode_i_stats(ctx, &col, &s));
        lode_array_free(&col);
        int e = 0;
        if (s.maxabs > 0)
            frexp(s.maxabs, &e);
        *needed = *needed || (s.maxabs > 0 && (s.maxabs > far || s.maxabs < 1 / far));
        /* 2^e and 2^-e must both be numbers of the type: denormals and the largest keep a factor of
         * 8 apart */
        const int most = lode_i_is_single(A->dtype) ? 125 : 1021;
        e = e > most ? most : e < -most ? -most : e;
        lode_i_set1(up, j, ldexp(1, -e));
        lode_i_set1(down, j, ldexp(1, e));
    }
done:
    lode_array_free(&col);
    return st;
}

static lode_status qr(lode_ctx *ctx, const lode_array *A, lode_array *Q, lode_array *R)
{
    lode_status st = LODE_OK;
    lode_array scaled = { 0 }, up = { 0 }, down = { 0 }, q = { 0 }, r = { 0 };
    const lode_array *from = A;
    bool ok = false, needed = false;
    LODE_TRY(lode_i_check_matrix(ctx, "qr", "A", A));
    const int64_t m = A->shape[0], n = A->shape[1];
    LODE_REQUIRE(m >= n, LODE_ESHAPE,
                 "qr: A is %" PRId64 " x %" PRId64 "; it must not be wide, factor its transpose", m,
                 n);
    if (n == 0) {
        LODE_TRY(lode_i_matrix_new(ctx, A->dtype, m, 0, &q));
        LODE_TRY(lode_i_matrix_new(ctx, A->dtype, 0, 0, &r));
    } else {
        LODE_TRY(cholesky_qr(ctx, A, Q ? &q : NULL, &r, &ok));
        if (!ok) {
            LODE_TRY(lode_i_require_finite(ctx, A, "A"));
            LODE_TRY(column_scales(ctx, A, &up, &down, &needed));
            if (needed) {
                LODE_TRY(lode_i_copy_op(ctx, LODE_N, A, &scaled));
                LODE_TRY(lode_i_scale_cols(ctx, &scaled, &up));
                from = &scaled;
                LODE_TRY(cholesky_qr(ctx, from, Q ? &q : NULL, &r, &ok));
            }
            if (!ok)
                LODE_TRY(lode_i_tsqr(ctx, from, Q ? &q : NULL, &r));
            if (needed)
                LODE_TRY(lode_i_scale_cols(ctx, &r, &down));
        }
    }
    if (Q)
        lode_array_swap(Q, &q);
    lode_array_swap(R, &r);
done:
    LODE_FREE(&scaled, &up, &down, &q, &r);
    return st;
}

lode_status lode_i_qr(lode_ctx *ctx, const lode_array *A, lode_array *Q, lode_array *R)
{
    return qr(ctx, A, Q, R);
}

lode_status lode_i_qr_r(lode_ctx *ctx, const lode_array *A, lode_array *R)
{
    return qr(ctx, A, NULL, R);
}
