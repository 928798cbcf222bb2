/* Tall-skinny QR: Householder on blocks of rows, then on their stacked triangles, four at a time,
 * up a tree whose shape follows from that of A; Q is formed by walking back down. A row-major block
 * is the transpose of what LAPACK reads, so its QR is LAPACK's LQ and nothing is transposed in
 * memory. Source: Demmel, Grigori, Hoemmen & Langou, SIAM J. Sci. Comput. 34 (2012),
 * doi:10.1137/080731992. */
#include "linalg/blas.h"

#include <string.h>

enum { ARITY = 4, LEVELS = 32 };

typedef struct level {
    int64_t nodes, rows; /* rows of every node but the last, which has `last` */
    int64_t last;
    char *a, *tau; /* reflectors, all rows one after the other; n scalars a node */
} level;

typedef struct tree {
    lode_i_operand A;
    lode_dtype dtype;
    int64_t n;
    size_t size;
    level at[LEVELS];
    int depth, now;
    char *top;   /* walking down: n x n blocks of the nodes of the level */
    char *below; /* where they go: the next level's blocks, or Q */
} tree;

static int64_t node_rows(const level *l, int64_t i)
{
    return i == l->nodes - 1 ? l->last : l->rows;
}

static int64_t all_rows(const level *l)
{
    return (l->nodes - 1) * l->rows + l->last;
}

static lode_status factor(lode_ctx *ctx, int64_t i, void *data)
{
    const tree *t = data;
    const level *l = &t->at[t->now];
    const int64_t n = t->n, m = node_rows(l, i);
    char *a = l->a + (size_t)(i * l->rows * n) * t->size;
    if (t->now == 0) {
        const lode_i_operand from = lode_i_operand_part(&t->A, i * l->rows, m, 0, n);
        lode_i_operand_pack(&from, t->dtype, a);
    } else { /* the triangles of the level below; what lies beside them is reflectors */
        const level *b = l - 1;
        for (int64_t c = 0; c < m / n; c++) {
            const char *child = b->a + (size_t)((i * ARITY + c) * b->rows * n) * t->size;
            memset(a + (size_t)(c * n * n) * t->size, 0, (size_t)(n * n) * t->size);
            for (int64_t r = 0; r < n; r++)
                memcpy(a + (size_t)((c * n + r) * n + r) * t->size,
                       child + (size_t)(r * n + r) * t->size, (size_t)(n - r) * t->size);
        }
    }
    return lode_i_lapack_gelqf(ctx, t->dtype, n, m, a, n, l->tau + (size_t)(i * n) * t->size);
}

/* The node's rows of Q times what the node above it gave. */
static lode_status spread(lode_ctx *ctx, int64_t i, void *data)
{
    const tree *t = data;
    const level *l = &t->at[t->now];
    const int64_t n = t->n, m = node_rows(l, i);
    char *to = t->below + (size_t)(i * l->rows * n) * t->size;
    memcpy(to, t->top + (size_t)(i * n * n) * t->size, (size_t)(n * n) * t->size);
    memset(to + (size_t)(n * n) * t->size, 0, (size_t)((m - n) * n) * t->size);
    return lode_i_lapack_unmlq(ctx, t->dtype, n, m, n, l->a + (size_t)(i * l->rows * n) * t->size,
                               n, l->tau + (size_t)(i * n) * t->size, to, n);
}

/* Leaves of at least 4 n rows, at most 32 of them unless A is very long: blocks of 4096 rows or 32
 * n then. */
static void plan(tree *t)
{
    const int64_t m = t->A.rows, n = t->n;
    int64_t rows = lode_i_max(lode_i_max(4 * n, 256), lode_i_min(m / 32, lode_i_max(32 * n, 4096)));
    int64_t count = m;
    do {
        level *l = &t->at[t->depth++];
        rows = lode_i_min(rows, count);
        l->nodes = lode_i_max(count / rows, 1);
        l->rows = rows;
        l->last = count - (l->nodes - 1) * rows;
        count = l->nodes * n;
        rows = ARITY * n;
    } while (t->at[t->depth - 1].nodes > 1 && t->depth < LEVELS);
}

#define REAL float
#define NAME(x) x##_f32
#include "linalg/positive_kernel.inc"
#define REAL double
#define NAME(x) x##_f64
#include "linalg/positive_kernel.inc"

lode_status lode_i_tsqr(lode_ctx *ctx, const lode_array *A, lode_array *Q, lode_array *R)
{
    lode_status st = LODE_OK;
    lode_array q = { 0 }, r = { 0 };
    const int64_t m = A->shape[0], n = A->shape[1], spare = lode_i_lapack_spare(A->dtype);
    void *top = NULL, *room = NULL, *a[LEVELS] = { 0 }, *tau[LEVELS] = { 0 };
    tree t = { .A = lode_i_operand_of(LODE_N, A),
               .dtype = A->dtype,
               .n = n,
               .size = lode_dtype_size(A->dtype) };
    plan(&t);
    for (t.now = 0; t.now < t.depth; t.now++) {
        level *l = &t.at[t.now];
        LODE_TRY(lode_i_new(ctx, (all_rows(l) + spare) * n, t.size, &a[t.now]));
        LODE_TRY(lode_i_new(ctx, l->nodes * n, t.size, &tau[t.now]));
        l->a = a[t.now], l->tau = tau[t.now];
        LODE_TRY(lode_i_parallel(ctx, l->nodes, factor, &t));
    }
    LODE_TRY(lode_array_zeros(ctx, A->dtype, 2, (const int64_t[]){ n, n }, &r));
    const char *root = t.at[t.depth - 1].a;
    for (int64_t i = 0; i < n; i++)
        memcpy((char *)r.data + (size_t)(i * n + i) * t.size, root + (size_t)(i * n + i) * t.size,
               (size_t)(n - i) * t.size);
    if (Q) {
        LODE_TRY(lode_i_lapack_matrix(ctx, A->dtype, m, n, &q));
        LODE_TRY(lode_i_calloc(ctx, (size_t)(n * n) * t.size, &top));
        /* the root's block is the identity, with the signs that make R's diagonal positive */
        if (lode_i_is_single(A->dtype))
            positive_f32(A->dtype == LODE_C64 ? 2 : 1, n, r.data, top);
        else
            positive_f64(A->dtype == LODE_C128 ? 2 : 1, n, r.data, top);
        t.top = top;
        for (t.now = t.depth - 1; t.now >= 0; t.now--) {
            const level *l = &t.at[t.now];
            room = NULL;
            if (t.now > 0)
                LODE_TRY(lode_i_new(ctx, (all_rows(l) + spare) * n, t.size, &room));
            t.below = t.now > 0 ? room : q.data;
            LODE_TRY(lode_i_parallel(ctx, l->nodes, spread, &t));
            lode_i_free(top);
            top = room, room = NULL;
            t.top = top;
        }
        lode_array_swap(Q, &q);
    } else if (lode_i_is_single(A->dtype)) {
        positive_f32(A->dtype == LODE_C64 ? 2 : 1, n, r.data, NULL);
    } else {
        positive_f64(A->dtype == LODE_C128 ? 2 : 1, n, r.data, NULL);
    }
    lode_array_swap(R, &r);
done:
    lode_i_free(top), lode_i_free(room);
    for (int i = 0; i < LEVELS; i++)
        lode_i_free(a[i]), lode_i_free(tau[i]);
    LODE_FREE(&q, &r);
    return st;
}
