/* One pass over relations: blocks of slices that lie in cache, products of a block at once, then slice by
 * slice what its core becomes and what it adds to the sums. Blocks and tasks are cut by shape alone. */
#include "linalg/relations_core.h"

#include <math.h>
#include <string.h>

enum { COLUMNS = 16, VECTOR = 8, TASKS = 16, BLOCK_BYTES = 1 << 20 };
#define TINY 1e-300

#define REAL float
#define NAME(x) x##_f32
#include "linalg/relations_pass_kernel.inc"
#define REAL double
#define NAME(x) x##_f64
#include "linalg/relations_pass_kernel.inc"

typedef struct job {
    const lode_i_relations *x;
    lode_i_relations_pass *p;
    const lode_array *A; /* n x ld */
    double *R;
    lode_i_cores cores;
    int64_t k, wide, ld, block, task; /* slices of a block, of a task */
    double *cross, *square, *apart;   /* of each slice: <M, R>, <G R G, R>, |X - A R A'|^2 */
    double *cross0, *square0, *apart0;
    double *size, *size0;
    lode_array *above, *below; /* of each task */
    double *S;                 /* of each task, k x k */
} job;

static int64_t lanes_of(int64_t k)
{
    /* products of few columns are made for whole vectors, where the processor has wide ones */
    return k <= 64 && lode_i_has_avx512() ? lode_i_ceil_div(k, COLUMNS) * COLUMNS : k;
}

static int64_t block_of(lode_dtype dtype, int64_t n, int64_t m, bool dense)
{
    const double bytes = (double)n * (double)n * (double)lode_dtype_size(dtype);
    return dense ? lode_i_min(lode_i_max((int64_t)(BLOCK_BYTES / fmax(bytes, 1)), 1),
                              lode_i_max(m, 1))
                 : 1;
}

static int64_t task_of(int64_t m, int64_t block)
{
    return lode_i_ceil_div(lode_i_ceil_div(m, block), TASKS) * block;
}

uint64_t lode_i_relations_room(const lode_ctx *ctx, lode_dtype dtype, int64_t n, int64_t m,
                               int64_t k, bool dense, bool some)
{
    const int64_t ld = lode_i_ceil_div(k, COLUMNS) * COLUMNS, block = block_of(dtype, n, m, dense);
    const int64_t rows = block * n, tasks = lode_i_ceil_div(m, lode_i_max(task_of(m, block), 1));
    const uint64_t one = 6 * lode_i_bytes(dtype, rows, ld) +
                         2 * lode_i_bytes(LODE_F64, ld, 8 * ld) +
                         lode_i_narrow_room(dtype, rows, n, ld) +
                         (dense || some ? 2 * lode_i_bytes(dtype, rows, n) : 0) +
                         10 * lode_i_bytes(dtype, n, ld);
    return (uint64_t)lode_ctx_threads(ctx) * one +
           (uint64_t)(2 * tasks + 4) * lode_i_bytes(dtype, n, ld) +
           lode_i_bytes(LODE_F64, tasks + 8, k * k) + lode_i_bytes(LODE_F64, m, 10) + 32768;
}

void lode_i_relations_pass_free(lode_i_relations_pass *p)
{
    LODE_FREE(&p->above, &p->below, &p->S);
}

/* ---- kernels by type ---- */

static void core(const job *w, const lode_array *P, int64_t row, double *M, double *wide)
{
    const int64_t k = w->k, ld = w->ld;
    memset(wide, 0, (size_t)(ld * ld) * sizeof *wide);
    if (w->A->dtype == LODE_F32)
        core_f32(w->x->n, k, w->wide, ld, lode_i_at(w->A, 0), lode_i_at(P, row * ld), wide);
    else
        core_f64(w->x->n, k, w->wide, ld, lode_i_at(w->A, 0), lode_i_at(P, row * ld), wide);
    for (int64_t r = 0; r < k; r++)
        memcpy(M + r * k, wide + r * ld, (size_t)k * sizeof *M);
}

/* Y (from row `to` on) = or += A (from row `from` on) R, or R'; pad: room for R in the type. */
static void times(const job *w, const lode_array *A, int64_t from, const double *R, bool turned,
                  bool add, lode_array *Y, int64_t to, void *pad)
{
    const int64_t n = w->x->n, k = w->k, ld = w->ld;
    if (A->dtype == LODE_F32) {
        pad_f32(k, ld, R, turned, pad);
        times_f32(n, k, w->wide, ld, lode_i_at(A, from * ld), pad, add, lode_i_at(Y, to * ld));
    } else {
        pad_f64(k, ld, R, turned, pad);
        times_f64(n, k, w->wide, ld, lode_i_at(A, from * ld), pad, add, lode_i_at(Y, to * ld));
    }
}

static void add_to(const lode_array *x, lode_array *y)
{
    if (x->dtype == LODE_F32)
        add_to_f32(lode_array_size(x), lode_i_at(x, 0), lode_i_at(y, 0));
    else
        add_to_f64(lode_array_size(x), lode_i_at(x, 0), lode_i_at(y, 0));
}

/* Slice `row / n` of a block of X against the same rows of Y. */
static double apart(const job *w, int64_t slice, lode_array *Y, int64_t row)
{
    const int64_t n = w->x->n, at = slice * n * n;
    const void *known = w->x->known.data ? lode_i_at(&w->x->known, at) : NULL;
    return Y->dtype == LODE_F32
               ? apart_f32(n * n, lode_i_at(&w->x->X, at), known, lode_i_at(Y, row * n))
               : apart_f64(n * n, lode_i_at(&w->x->X, at), known, lode_i_at(Y, row * n));
}

/* ---- a block of slices ---- */

typedef struct room {
    lode_array B, Y; /* A R of the block; A R A' */
    double *M, *T, *U, *wide;
    void *pad;
    double *store;
} room;

static void free_room(room *m)
{
    LODE_FREE(&m->B, &m->Y);
    lode_i_free(m->store);
}

static lode_status make_room(lode_ctx *ctx, const job *w, room *m)
{
    const int64_t kk = w->k * w->k, ll = w->ld * w->ld, rows = w->block * w->x->n;
    LODE_FORWARD(LODE_NEW(ctx, 3 * kk + 2 * ll, &m->store));
    m->M = m->store, m->T = m->M + kk, m->U = m->T + kk, m->wide = m->U + kk;
    m->pad = m->wide + ll;
    LODE_FORWARD(lode_array_zeros(ctx, w->A->dtype, 2, (const int64_t[]){ rows, w->ld }, &m->B));
    if (w->x->X.data && (w->p->direct || w->x->known.data))
        LODE_FORWARD(lode_i_matrix_new(ctx, w->A->dtype, rows, w->x->n, &m->Y));
    return LODE_OK;
}

/* Slices first .. first + count - 1 as a matrix of their rows: borrowed. */
static lode_array rows_of(const lode_i_relations *x, const lode_array *X, int64_t first,
                          int64_t count)
{
    lode_array y = *X;
    y.owner = NULL, y.ndim = 2;
    y.data = lode_i_at(X, first * x->n * x->n);
    y.shape[0] = count * x->n, y.shape[1] = x->n;
    y.strides[0] = x->n, y.strides[1] = 1;
    return y;
}

static lode_status forward(lode_ctx *ctx, const job *w, int64_t first, int64_t count, lode_array *P)
{
    if (!w->x->X.data)
        return lode_i_spmm(ctx, LODE_N, &w->x->slice[first], w->A, P);
    const lode_array X = rows_of(w->x, &w->x->X, first, count);
    return lode_i_narrow(ctx, &X, w->A, P);
}

/* to += sum of X_k' B_k */
static lode_status backward(lode_ctx *ctx, const job *w, const lode_array *X, int64_t first,
                            const lode_array *B, lode_array *to)
{
    lode_status st = LODE_OK;
    lode_array Z = { 0 };
    if (X)
        LODE_TRY(lode_i_narrow_adjoint(ctx, X, B, &Z));
    else
        LODE_TRY(lode_i_spmm(ctx, LODE_T, &w->x->slice[first], B, &Z));
    add_to(&Z, to);
done:
    LODE_FREE(&Z);
    return st;
}

/* Y = B A' of the block. */
static lode_status expand(lode_ctx *ctx, const job *w, const lode_array *B, lode_array *Y)
{
    lode_array b = lode_i_cols(B, 0, w->k), a = lode_i_cols(w->A, 0, w->k);
    const lode_status st = lode_i_gemm_into(ctx, LODE_N, LODE_T, 1, &b, &a, 0, Y);
    LODE_FREE(&a, &b);
    return st;
}

/* Where only some values are known, what stands for the model is masked too. */
static lode_status some_block(lode_ctx *ctx, const job *w, room *m, int64_t first, int64_t count,
                              const lode_array *P, const lode_array *B, int64_t task)
{
    lode_status st = LODE_OK;
    const int64_t n = w->x->n, kk = w->k * w->k;
    lode_array Y = lode_i_rows(&m->Y, 0, count * n), O = { 0 }, b = lode_array_ref(B);
    for (int64_t i = 0; i < count; i++)
        times(w, w->A, 0, w->R + (first + i) * kk, false, false, &b, i * n, m->pad);
    LODE_TRY(expand(ctx, w, B, &Y));
    for (int64_t i = 0; i < count; i++)
        w->apart0[first + i] = apart(w, first + i, &Y, i * n);
    if (w->p->rule == LODE_I_CORES_MULTIPLY) {
        LODE_TRY(lode_i_narrow(ctx, &Y, w->A, &O));
        for (int64_t i = 0; i < count; i++) {
            double *R = w->R + (first + i) * kk;
            core(w, P, i * n, m->M, m->wide);
            core(w, &O, i * n, m->T, m->wide);
            for (int64_t e = 0; e < kk; e++) {
                const double d = m->T[e] + w->p->l2 * R[e];
                R[e] *= d > TINY ? fmax(m->M[e], 0) / d : 1;
            }
            times(w, w->A, 0, R, false, false, &b, i * n, m->pad);
        }
        LODE_FREE(&O);
        LODE_TRY(expand(ctx, w, B, &Y));
    }
    for (int64_t i = 0; i < count; i++)
        w->apart[first + i] = apart(w, first + i, &Y, i * n);
    if (!w->p->sums)
        goto done;
    LODE_TRY(lode_i_narrow(ctx, &Y, w->A, &O));
    for (int64_t i = 0; i < count; i++)
        times(w, &O, i * n, w->R + (first + i) * kk, true, true, &w->below[task], 0, m->pad);
    LODE_TRY(backward(ctx, w, &Y, first, B, &w->below[task]));
done:
    LODE_FREE(&Y, &O, &b);
    return st;
}

static lode_status all_block(lode_ctx *ctx, const job *w, room *m, int64_t first, int64_t count,
                             const lode_array *P, lode_array *B, int64_t task)
{
    lode_status st = LODE_OK;
    const int64_t n = w->x->n, kk = w->k * w->k;
    lode_array Y = { 0 };
    for (int64_t i = 0; i < count; i++) {
        double *R = w->R + (first + i) * kk;
        core(w, P, i * n, m->M, m->wide);
        lode_i_core_sandwich(w->k, w->cores.G, R, m->U, m->T);
        w->cross0[first + i] = lode_i_core_inner(kk, m->M, R),
                          w->square0[first + i] = lode_i_core_inner(kk, m->T, R);
        lode_i_core_renew(&w->cores, m->M, m->U, m->T, R);
        lode_i_core_sandwich(w->k, w->cores.G, R, m->U, m->T);
        w->cross[first + i] = lode_i_core_inner(kk, m->M, R),
                         w->square[first + i] = lode_i_core_inner(kk, m->T, R);
        if (w->p->sums)
            lode_i_core_sums(&w->cores, R, m->U, m->T, w->S + task * kk);
        if (w->p->sums || w->p->direct)
            times(w, w->A, 0, R, false, false, B, i * n, m->pad);
    }
    if (w->p->direct && w->x->X.data) {
        Y = lode_i_rows(&m->Y, 0, count * n);
        LODE_TRY(expand(ctx, w, B, &Y));
        for (int64_t i = 0; i < count; i++)
            w->apart[first + i] = apart(w, first + i, &Y, i * n);
    }
done:
    LODE_FREE(&Y);
    return st;
}

static lode_status one_block(lode_ctx *ctx, const job *w, room *m, int64_t first, int64_t count,
                             int64_t task)
{
    lode_status st = LODE_OK;
    const int64_t n = w->x->n, kk = w->k * w->k;
    lode_array P = { 0 }, B = lode_i_rows(&m->B, 0, count * n), X = { 0 };
    for (int64_t i = first; i < first + count; i++)
        w->size0[i] = lode_i_core_inner(kk, w->R + i * kk, w->R + i * kk);
    LODE_TRY(forward(ctx, w, first, count, &P));
    LODE_TRY(w->x->known.data ? some_block(ctx, w, m, first, count, &P, &B, task)
                              : all_block(ctx, w, m, first, count, &P, &B, task));
    for (int64_t i = first; i < first + count; i++)
        w->size[i] = lode_i_core_inner(kk, w->R + i * kk, w->R + i * kk);
    if (!w->p->sums)
        goto done;
    for (int64_t i = 0; i < count; i++)
        times(w, &P, i * n, w->R + (first + i) * kk, true, true, &w->above[task], 0, m->pad);
    if (w->x->X.data)
        X = rows_of(w->x, &w->x->X, first, count);
    LODE_TRY(backward(ctx, w, w->x->X.data ? &X : NULL, first, &B, &w->above[task]));
done:
    LODE_FREE(&P, &B);
    return st;
}

static lode_status slices_task(lode_ctx *ctx, int64_t t, void *data)
{
    lode_status st = LODE_OK;
    const job *w = data;
    const int64_t from = t * w->task, to = lode_i_min(from + w->task, w->x->m);
    room m = { 0 };
    LODE_TRY(make_room(ctx, w, &m));
    for (int64_t first = from; first < to; first += w->block) {
        LODE_TRY(lode_i_cancelled(ctx));
        LODE_TRY(one_block(ctx, w, &m, first, lode_i_min(w->block, to - first), t));
    }
done:
    free_room(&m);
    return st;
}

/* ---- the pass ---- */

static double total(int64_t m, const double *x)
{
    lode_sum sum = { 0 };
    lode_i_sum_push(&sum, x, m);
    return lode_i_sum_total(&sum);
}

/* Tasks' sums in their order; without the columns that only fill vectors. */
static lode_status join(lode_ctx *ctx, const job *w, lode_array *parts, int64_t tasks,
                        lode_array *out)
{
    for (int64_t t = 1; t < tasks; t++)
        add_to(&parts[t], &parts[0]);
    lode_array head = lode_i_cols(&parts[0], 0, w->k);
    const lode_status st = lode_array_cast(ctx, &head, head.dtype, out);
    LODE_FREE(&head);
    return st;
}

static lode_status gram_of(lode_ctx *ctx, job *w, const lode_array *A, double *G, double *Q,
                           double *g)
{
    lode_status st = LODE_OK;
    lode_array wide = { 0 }, gram = { 0 }, values = { 0 }, vectors = { 0 };
    LODE_TRY(lode_i_as(ctx, A, LODE_F64, &wide));
    LODE_TRY(lode_i_gram(ctx, LODE_T, &wide, &gram));
    memcpy(G, lode_i_at(&gram, 0), (size_t)(w->k * w->k) * sizeof *G);
    if (w->p->rule == LODE_I_CORES_SOLVE) {
        LODE_TRY(lode_i_eigh(ctx, &gram, w->k, &values, &vectors));
        memcpy(Q, lode_i_at(&vectors, 0), (size_t)(w->k * w->k) * sizeof *Q);
        memcpy(g, lode_i_at(&values, 0), (size_t)w->k * sizeof *g);
        w->cores.cutoff = 16 * (double)w->k * lode_i_epsilon(LODE_F64) * g[0];
    }
    w->cores.rule = w->p->rule, w->cores.k = w->k, w->cores.steps = w->p->steps;
    w->cores.l2 = w->p->l2, w->cores.G = G, w->cores.Q = Q, w->cores.g = g;
done:
    LODE_FREE(&wide, &gram, &values, &vectors);
    return st;
}

static void conclude(const job *w, lode_i_relations_pass *p)
{
    const int64_t m = w->x->m;
    p->size_before = total(m, w->size0), p->size_after = total(m, w->size);
    if (w->x->known.data) {
        p->before = total(m, w->apart0), p->after = total(m, w->apart);
        return;
    }
    p->before = w->x->sumsq - 2 * total(m, w->cross0) + total(m, w->square0);
    p->after = p->direct && w->x->X.data
                   ? total(m, w->apart)
                   : w->x->sumsq - 2 * total(m, w->cross) + total(m, w->square);
    p->before = fmax(p->before, 0), p->after = fmax(p->after, 0);
}

static lode_status give_sums(lode_ctx *ctx, const job *w, const lode_array *A, int64_t tasks)
{
    lode_status st = LODE_OK;
    lode_i_relations_pass *p = w->p;
    const int64_t kk = w->k * w->k;
    lode_array S = { 0 };
    LODE_TRY(join(ctx, w, w->above, tasks, &p->above));
    if (w->x->known.data) {
        LODE_TRY(join(ctx, w, w->below, tasks, &p->below));
        goto done;
    }
    for (int64_t t = 1; t < tasks; t++)
        for (int64_t e = 0; e < kk; e++)
            w->S[e] += w->S[t * kk + e];
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, w->k, w->k, &p->S));
    memcpy(lode_i_at(&p->S, 0), w->S, (size_t)kk * sizeof *w->S);
    LODE_TRY(lode_array_cast(ctx, &p->S, A->dtype, &S));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, A, &S, &p->below));
done:
    LODE_FREE(&S);
    return st;
}

lode_status lode_i_relations_sweep(lode_ctx *ctx, const lode_i_relations *x, const lode_array *A,
                                   lode_array *R, lode_i_relations_pass *p)
{
    lode_status st = LODE_OK;
    const int64_t k = A->shape[1], kk = k * k;
    job w = { .x = x, .p = p, .R = lode_i_at(R, 0), .k = k, .ld = lanes_of(k) };
    lode_array padded = { 0 }, head = { 0 }, part[2 * TASKS] = { { 0 } };
    double *store = NULL;
    w.wide = lode_i_min(lode_i_ceil_div(k, VECTOR) * VECTOR, w.ld);
    w.block = block_of(x->dtype, x->n, x->m, x->X.data != NULL);
    w.task = task_of(x->m, w.block);
    const int64_t tasks = lode_i_ceil_div(x->m, w.task), m = x->m;
    lode_i_relations_pass_free(p);
    LODE_TRY(LODE_NEW(ctx, 8 * m + (tasks + 2) * kk + k, &store));
    memset(store, 0, (size_t)(8 * m + (tasks + 2) * kk + k) * sizeof *store);
    w.cross = store, w.square = store + m, w.apart = store + 2 * m, w.cross0 = store + 3 * m;
    w.square0 = store + 4 * m, w.apart0 = store + 5 * m, w.size = store + 6 * m;
    w.size0 = store + 7 * m, w.S = store + 8 * m;
    double *const G = w.S + tasks * kk;
    LODE_TRY(gram_of(ctx, &w, A, G, G + kk, G + 2 * kk));
    LODE_TRY(lode_array_zeros(ctx, A->dtype, 2, (const int64_t[]){ x->n, w.ld }, &padded));
    head = lode_i_cols(&padded, 0, k);
    LODE_TRY(lode_array_copy_into(ctx, A, &head));
    w.A = &padded, w.above = part, w.below = part + TASKS;
    for (int64_t t = 0; t < 2 * TASKS && p->sums; t++)
        if (t % TASKS < tasks && (t < TASKS || x->known.data))
            LODE_TRY(lode_array_zeros(ctx, A->dtype, 2, (const int64_t[]){ x->n, w.ld }, &part[t]));
    LODE_TRY(tasks == 1 ? slices_task(ctx, 0, &w) : lode_i_parallel(ctx, tasks, slices_task, &w));
    conclude(&w, p);
    if (p->sums)
        LODE_TRY(give_sums(ctx, &w, A, tasks));
done:
    for (int t = 0; t < 2 * TASKS; t++)
        LODE_FREE(&part[t]);
    LODE_FREE(&padded, &head);
    lode_i_free(store);
    return st;
}
