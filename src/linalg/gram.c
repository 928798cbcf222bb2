/* Gram matrices: rank-k updates on the tiles of the diagonal, products on one triangle of the
 * others, then the mirror: half the flops of a product. */
#include "linalg/blas.h"

#include <string.h>

enum { K_STEP = 2048 }; /* columns that one BLAS call takes, and that packing copies */

typedef struct gram {
    lode_i_operand P;
    bool hermitian, flip; /* flip: what BLAS gives is conj(G) */
    lode_dtype dtype;     /* of the sums */
    char *g;
    int64_t n, tile, tiles; /* rows of a block, blocks */
    int64_t tasks;          /* of one part */
    int64_t count, step;    /* parts of the sum and their length in columns */
    size_t size;
} gram;

/* Up to 32 tasks of 2^23 flops, the sum cut first: G is small beside P where that matters. Parts
 * take as much memory as a quarter of P at most. Steps are whole runs of columns, or lie within
 * one. */
static void cut(gram *w)
{
    const int64_t n = w->n, k = w->P.cols;
    const double flops = (double)n * (double)n * (double)k * (lode_i_is_complex(w->dtype) ? 4 : 1);
    const int64_t want = (int64_t)(flops < 0x1p23 ? 1 : flops > 0x1p28 ? 32 : flops / 0x1p23);
    w->tiles = n <= 640 ? 1 : lode_i_ceil_div(n, 512);
    w->tile = lode_i_ceil_div(n, w->tiles);
    for (int64_t i = 0; i < w->tiles; i++)
        w->tasks += 1 + (w->tiles - i) / 2;
    const int64_t room = lode_i_max(k / (4 * n), 1);
    const int64_t count = lode_i_max(lode_i_min(lode_i_min(want / w->tasks, room), k / 256), 1);
    w->step = lode_i_ceil_div(k, count);
    if (w->P.kin < k && w->step > w->P.kin)
        w->step = lode_i_ceil_div(w->step, w->P.kin) * w->P.kin;
    w->count = lode_i_ceil_div(k, w->step);
}

/* Columns from k that one BLAS call takes: within a run when runs are long, else whole runs,
 * packed. */
static int64_t piece(const lode_i_operand *P, int64_t k, int64_t end)
{
    int64_t d = lode_i_min(K_STEP, end - k);
    if (P->kin >= P->cols)
        return d;
    const int64_t left = P->kin - k % P->kin;
    if (P->kin >= 64 || left < P->kin)
        return lode_i_min(d, left);
    return d >= P->kin ? d / P->kin * P->kin : d;
}

/* Whether a rank-k update takes the tile as it lies. */
static bool taken(const gram *w, const lode_i_operand *a)
{
    int64_t ld;
    return lode_i_operand_by_rows(a, &ld) ||
           (lode_i_operand_by_cols(a, &ld) && a->conj == w->hermitian);
}

/* A copy in the type of the sums, lying the way the tile does, so that copying runs along memory on
 * both sides. */
static lode_i_operand packed(const gram *w, const lode_i_operand *a, void *room)
{
    const bool by_cols = a->cs != 1 && a->rs == 1 && a->cols <= a->kin;
    if (!by_cols) {
        lode_i_operand_pack(a, w->dtype, room);
        return lode_i_operand_packed(room, w->dtype, a->rows, a->cols);
    }
    lode_i_operand turned = lode_i_operand_transposed(a);
    turned.conj = false;
    lode_i_operand_pack(&turned, w->dtype, room);
    turned = lode_i_operand_packed(room, w->dtype, a->cols, a->rows);
    turned = lode_i_operand_transposed(&turned);
    turned.conj = a->conj;
    return turned;
}

/* A block of the diagonal, or up to two blocks of the same rows to the right of it: BLAS is fastest
 * on wide tiles. */
static lode_status block(lode_ctx *ctx, int64_t at, void *data)
{
    lode_status st = LODE_OK;
    void *room = NULL;
    const gram *w = data;
    const int64_t part = at / w->tasks;
    int64_t i = 0, j = at % w->tasks;
    for (; j > (w->tiles - i) / 2; i++)
        j -= 1 + (w->tiles - i) / 2;
    const bool diagonal = j == 0;
    const int64_t i0 = i * w->tile, j0 = diagonal ? i0 : i0 + (2 * j - 1) * w->tile;
    const int64_t m = lode_i_min(w->tile, w->n - i0),
                  n = lode_i_min(diagonal ? m : 2 * w->tile, w->n - j0);
    const int64_t k0 = part * w->step, k1 = lode_i_min(k0 + w->step, w->P.cols);
    const int64_t depth = lode_i_min(lode_i_max(K_STEP, w->P.kin < 64 ? w->P.kin : 0), k1 - k0);
    char *c = w->g + (size_t)((part * w->n + i0) * w->n + j0) * w->size;
    double beta = 0;

    for (int64_t k = k0, d; k < k1; k += d, beta = 1) {
        d = piece(&w->P, k, k1);
        lode_i_operand a = lode_i_operand_part(&w->P, i0, m, k, d),
                       b = lode_i_operand_part(&w->P, j0, n, k, d);
        if (w->dtype != w->P.dtype || !taken(w, &a)) {
            if (!room)
                LODE_TRY(lode_i_new(ctx, (m + (diagonal ? 0 : n)) * depth, w->size, &room));
            a = packed(w, &a, room);
            if (!diagonal)
                b = packed(w, &b, (char *)room + (size_t)(m * depth) * w->size);
        }
        LODE_TRY(lode_i_cancelled(ctx));
        if (diagonal) {
            lode_i_blas_rank_k(&a, w->hermitian, beta, c, w->n);
            continue;
        }
        b = lode_i_operand_transposed(&b);
        b.conj = w->hermitian ? !b.conj : b.conj;
        lode_i_blas_gemm(1, &a, &b, beta, c, w->n);
    }
done:
    lode_i_free(room);
    return st;
}

#define REAL float
#define NAME(x) x##_f32
#define COMPLEX_NAME(x) x##_c64
#include "linalg/mirror_kernel.inc"
#define REAL double
#define NAME(x) x##_f64
#define COMPLEX_NAME(x) x##_c128
#include "linalg/mirror_kernel.inc"

enum { FINISH = 64 };

/* Joins the parts of the upper triangle of 64 rows. */
static lode_status join(lode_ctx *ctx, int64_t at, void *data)
{
    (void)ctx;
    const gram *w = data;
    const int64_t r1 = lode_i_min((at + 1) * FINISH, w->n);
    for (int64_t r = at * FINISH; r < r1; r++)
        lode_i_join(w->dtype, w->g + (size_t)(r * w->n + r) * w->size, w->count, w->n * w->n,
                    w->n - r);
    return LODE_OK;
}

/* Fills the lower triangle from the upper one of 64 rows, setting right which of the two is
 * conjugated. */
static lode_status mirror(lode_ctx *ctx, int64_t at, void *data)
{
    (void)ctx;
    const gram *w = data;
    const int64_t r0 = at * FINISH, r1 = lode_i_min(r0 + FINISH, w->n);
    const int upper = w->flip ? -1 : 1, lower = w->hermitian ? -upper : 1;
    switch (w->dtype) {
    case LODE_F32: mirror_f32((float *)(void *)w->g, w->n, r0, r1); break;
    case LODE_F64: mirror_f64((double *)(void *)w->g, w->n, r0, r1); break;
    case LODE_C64:
        mirror_c64((float *)(void *)w->g, w->n, r0, r1, (float)lower, (float)upper);
        break;
    default: mirror_c128((double *)(void *)w->g, w->n, r0, r1, lower, upper);
    }
    return LODE_OK;
}

lode_status lode_i_gram_of(lode_ctx *ctx, const lode_i_operand *P, bool hermitian, lode_dtype dtype,
                           void *g)
{
    lode_status st = LODE_OK;
    void *parts = NULL;
    gram w = { .P = *P,
               .hermitian = hermitian && lode_i_is_complex(dtype),
               .dtype = dtype,
               .g = g,
               .n = P->rows,
               .size = lode_dtype_size(dtype) };
    if (w.n == 0)
        return LODE_OK;
    if (P->cols == 0) {
        memset(g, 0, (size_t)(w.n * w.n) * w.size);
        return LODE_OK;
    }
    cut(&w);
    if (w.hermitian) {
        /* BLAS takes P by rows as it is and by columns as a conjugate transpose; otherwise compute
         * conj(G). */
        const bool conj = P->cs != 1 && P->rs == 1 && P->cols <= P->kin;
        w.flip = conj != P->conj;
        w.P.conj = conj;
    }
    const int64_t blocks = lode_i_ceil_div(w.n, FINISH);
    if (w.count > 1) {
        LODE_TRY(lode_i_new(ctx, w.count * w.n * w.n, w.size, &parts));
        w.g = parts;
    }
    LODE_TRY(lode_i_parallel(ctx, w.tasks * w.count, block, &w));
    if (parts) {
        LODE_TRY(lode_i_parallel(ctx, blocks, join, &w));
        memcpy(g, parts, (size_t)(w.n * w.n) * w.size);
        w.g = g;
    }
    LODE_TRY(lode_i_parallel(ctx, blocks, mirror, &w));
done:
    lode_i_free(parts);
    return st;
}

lode_status lode_i_gram(lode_ctx *ctx, lode_trans t, const lode_array *A, lode_array *G)
{
    lode_status st = LODE_OK;
    lode_array g = { 0 };
    LODE_TRY(lode_i_check_matrix(ctx, "gram", "A", A));
    const lode_i_operand P = lode_i_operand_of(t, A);
    LODE_TRY(lode_i_matrix_new(ctx, A->dtype, P.rows, P.rows, &g));
    LODE_TRY(lode_i_gram_of(ctx, &P, t != LODE_T, A->dtype, g.data));
    lode_array_swap(G, &g);
done:
    lode_array_free(&g);
    return st;
}

lode_status lode_i_mode_gram(lode_ctx *ctx, const lode_array *X, int mode, bool wide, lode_array *G)
{
    lode_status st = LODE_OK;
    lode_array x = { 0 }, g = { 0 };
    LODE_REQUIRE(mode >= 0 && mode < X->ndim, LODE_EPARAM,
                 "mode_gram: mode %d of a tensor with %d dimensions", mode, (int)X->ndim);
    LODE_TRY(lode_i_as(ctx, X, X->dtype, &x));
    int64_t left, n, right;
    lode_i_split_mode(&x, mode, &left, &n, &right);
    /* The unfolding P(i, (l, r)) = X[l, i, r]: where one of left and right is 1, a plain matrix. */
    lode_i_operand P = { .p = x.data,
                         .dtype = x.dtype,
                         .rows = n,
                         .cols = left * right,
                         .rs = right,
                         .cs = 1,
                         .kin = lode_i_max(right, 1),
                         .ks = n * right };
    if (right == 1)
        P.cs = n, P.kin = lode_i_max(left, 1), P.ks = 0;
    const lode_dtype t = !wide || !lode_i_is_single(x.dtype) ? x.dtype
                         : lode_i_is_complex(x.dtype)        ? LODE_C128
                                                             : LODE_F64;
    LODE_TRY(lode_i_matrix_new(ctx, t, n, n, &g));
    LODE_TRY(lode_i_gram_of(ctx, &P, true, t, g.data));
    lode_array_swap(G, &g);
done:
    LODE_FREE(&x, &g);
    return st;
}
