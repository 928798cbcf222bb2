/* Snapshots by slabs of their values: every pass takes all snapshots at so many places at once, so that means,
 * inner products, bases and what they leave out are sums or stacks over blocks, which shape alone decides. */
#include <math.h>

#include "ops/dynamics/pod.h"

enum { LEAST_BLOCK = 256 };
#define BLOCK_VALUES (INT64_C(1) << 22)
#define SLAB_BYTES (UINT64_C(64) << 20)

static int64_t block_of(int64_t count, int64_t length)
{
    const int64_t fit = BLOCK_VALUES / lode_i_max(count, 1);
    return lode_i_max(1, lode_i_min(length, lode_i_max(LEAST_BLOCK, fit)));
}

lode_status lode_i_snapshots_open(lode_ctx *ctx, lode_value X, int axis, lode_i_snapshots *s)
{
    lode_status st = LODE_OK;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM] = { 0 };
    lode_dtype stored = LODE_F64;
    *s = (lode_i_snapshots){ .axis = axis, .scale = 1 };
    LODE_REQUIRE(lode_i_value_shape(X, &stored, &ndim, shape) && ndim == 2 &&
                     (X.kind == LODE_ARRAY || X.kind == LODE_SOURCE),
                 LODE_ESHAPE, "pod: snapshots are the rows or columns of a dense matrix");
    s->dtype = lode_i_arith(stored);
    s->wide = lode_i_is_complex(s->dtype) ? LODE_C128 : LODE_F64;
    s->count = shape[axis], s->length = shape[1 - axis];
    s->block = block_of(s->count, s->length), s->together = 1;
    if (X.kind == LODE_SOURCE) {
        LODE_TRY(lode_i_as_source(ctx, X, &s->s, &s->owned));
        s->from_source = true;
        uint64_t bytes = lode_ctx_memory(ctx) / 8;
        bytes = bytes < SLAB_BYTES ? bytes : SLAB_BYTES;
        const uint64_t each = lode_i_bytes(s->dtype, lode_i_max(1, s->count), s->block);
        s->together = lode_i_max(1, (int64_t)(bytes / each));
    } else if (lode_dtype_block(X.as.array->dtype) > 1) { /* packed along its rows */
        LODE_TRY(lode_array_cast(ctx, X.as.array, s->dtype, &s->a));
    } else {
        s->a = lode_array_ref(X.as.array);
    }
done:
    return st;
}

void lode_i_snapshots_free(lode_i_snapshots *s)
{
    if (s->from_source && s->owned)
        lode_source_close(&s->s);
    LODE_FREE(&s->a, &s->mean, &s->weights, &s->root, &s->M, &s->Ms, &s->MB);
    *s = (lode_i_snapshots){ 0 };
}

uint64_t lode_i_snapshots_room(const lode_ctx *ctx, const lode_matrix_info *X, int axis,
                               lode_kind M, int64_t nonzeros)
{
    const int64_t count = axis == 0 ? X->rows : X->cols, length = axis == 0 ? X->cols : X->rows;
    const lode_dtype wide = lode_i_is_complex(X->dtype) ? LODE_C128 : LODE_F64;
    const uint64_t block = lode_i_bytes(wide, count, block_of(count, length));
    uint64_t bytes = 5 * block + (UINT64_C(1) << 20) + 2 * lode_i_bytes(wide, length, 1) +
                     (uint64_t)lode_ctx_threads(ctx) * (UINT64_C(2) << 20);
    if (X->kind == LODE_SOURCE)
        bytes += lode_i_bytes(X->dtype, count, block_of(count, length)) + SLAB_BYTES;
    if (M != LODE_NONE) /* held as they are used, M B^H, and what the product copies */
        bytes += 4 * lode_i_bytes(wide, count, length);
    if (M == LODE_SPARSE)
        bytes += 4 * (uint64_t)nonzeros * 24 + 32 * (uint64_t)(length + 1);
    else if (M != LODE_NONE)
        bytes += 2 * lode_i_bytes(wide, length, length);
    return bytes;
}

lode_status lode_i_snapshots_rescale(lode_ctx *ctx, double norm, lode_i_snapshots *s, bool *again)
{
    int e = 0;
    *again = false;
    if (s->scale != 1 || !(norm > 0) || (norm < 0x1p400 && norm > 0x1p-400))
        return LODE_OK;
    frexp(norm, &e);
    s->scale = ldexp(1, e > 1000 ? -1000 : e < -1000 ? 1000 : -e);
    *again = true;
    s->center = s->mean.data && !s->given;
    return s->given ? lode_i_scale(ctx, s->scale, &s->mean) : LODE_OK;
}

/* ---- blocks ---- */

/* LODE_EDOMAIN with the entry's own index: view is X at [:, j0..], or [j0.., :]. */
static lode_status locate(lode_ctx *ctx, const lode_i_snapshots *s, const lode_array *view,
                          int64_t j0)
{
    lode_stats x;
    LODE_FORWARD(lode_i_stats(ctx, view, &x));
    const bool nan = x.first_nan >= 0 && (x.first_infinite < 0 || x.first_nan < x.first_infinite);
    const int64_t at = nan ? x.first_nan : x.first_infinite, n = lode_i_max(1, view->shape[1]);
    if (at < 0)
        return LODE_OK;
    return lode_i_fail(ctx, LODE_EDOMAIN,
                       "pod: X[%" PRId64 ",%" PRId64 "] is %s: every entry must be finite",
                       at / n + (s->axis == 1 ? j0 : 0), at % n + (s->axis == 0 ? j0 : 0),
                       nan ? "nan" : "infinite");
}

/* B[:, j0:j1] of what lies in memory from `first` on, wide, scaled, less the mean; a view of X where that is
 * what lies there. norm: NULL, or takes in the norm of X there, scaled. */
static lode_status take(lode_ctx *ctx, lode_i_snapshots *s, const lode_array *from, int64_t first,
                        int64_t j0, int64_t j1, double *norm, lode_array *B)
{
    lode_status st = LODE_OK;
    lode_array view = { 0 }, own = { 0 }, turned = { 0 }, mean = { 0 }, part = { 0 }, flat = { 0 };
    const bool centred = s->center || s->mean.data != NULL;
    view = s->axis == 0 ? lode_i_cols(from, j0 - first, j1 - first)
                        : lode_i_rows(from, j0 - first, j1 - first);
    const bool as_is = view.dtype == s->wide && view.strides[1] == 1 && s->scale == 1 && !centred;
    if (as_is)
        own = lode_array_ref(&view);
    else
        LODE_TRY(lode_array_cast(ctx, &view, s->wide, &own));
    if (s->scale != 1)
        LODE_TRY(lode_i_scale(ctx, s->scale, &own));
    if (norm) {
        double here = 0;
        LODE_TRY(lode_i_norm_fro(ctx, &own, &here));
        if (!isfinite(here))
            LODE_TRY(locate(ctx, s, &view, j0));
        LODE_REQUIRE(isfinite(here), LODE_EDOMAIN, "pod: the values of X leave the range of %s",
                     lode_dtype_name(s->wide));
        *norm = hypot(*norm, here);
    }
    if (s->axis == 0)
        turned = lode_array_ref(&own);
    else
        LODE_TRY(lode_array_permute(ctx, &own, (const int[]){ 1, 0 }, &turned));
    if (s->center) {
        LODE_TRY(lode_i_col_means(ctx, &turned, &mean));
        LODE_TRY(lode_array_slice(ctx, &s->mean, 0, j0, j1, 1, &part));
        LODE_TRY(lode_array_copy_into(ctx, &mean, &part));
    } else if (centred) {
        LODE_TRY(lode_array_slice(ctx, &s->mean, 0, j0, j1, 1, &mean));
    }
    if (centred)
        LODE_TRY(lode_i_sub_row(ctx, &turned, &mean));
    lode_array_swap(B, &turned);
done:
    LODE_FREE(&view, &own, &turned, &mean, &part, &flat);
    return st;
}

lode_status lode_i_snapshots_pass(lode_ctx *ctx, lode_i_snapshots *s, const lode_i_snapshots_job *p)
{
    lode_status st = LODE_OK;
    lode_array slab = { 0 }, B = { 0 };
    const int64_t step = s->from_source ? s->block * s->together : s->length;
    if (s->center) {
        lode_array_free(&s->mean);
        LODE_TRY(lode_array_zeros(ctx, s->wide, 1, &s->length, &s->mean));
    }
    for (int64_t first = 0; first < s->length; first += step) {
        const int64_t last = lode_i_min(first + step, s->length);
        if (s->from_source) {
            const int64_t start[2] = { s->axis == 0 ? 0 : first, s->axis == 0 ? first : 0 };
            const int64_t count[2] = { s->axis == 0 ? s->count : last - first,
                                       s->axis == 0 ? last - first : s->count };
            lode_array_free(&slab);
            LODE_TRY(lode_i_source_read(ctx, &s->s, start, count, s->dtype, &slab));
        }
        for (int64_t j0 = first; j0 < last; j0 += s->block) {
            const int64_t j1 = lode_i_min(j0 + s->block, last);
            LODE_TRY(lode_i_tick(ctx, j0, s->length));
            lode_array_free(&B);
            LODE_TRY(take(ctx, s, s->from_source ? &slab : &s->a, s->from_source ? first : 0, j0,
                          j1, p->norm, &B));
            LODE_TRY(p->block(ctx, s, j0, j1, &B, p->data));
        }
    }
    s->center = false; /* the mean is known */
done:
    LODE_FREE(&slab, &B);
    return st;
}

/* ---- squares ---- */

/* (A + A^H) / 2 */
static lode_status symmetrize(lode_ctx *ctx, lode_array *A)
{
    lode_status st = LODE_OK;
    lode_array turned = lode_i_transposed(A), other = { 0 };
    LODE_TRY(lode_array_cast(ctx, &turned, A->dtype, &other));
    LODE_TRY(lode_i_conj(ctx, &other));
    LODE_TRY(lode_i_axpy(ctx, 1, &other, A));
    LODE_TRY(lode_i_scale(ctx, 0.5, A));
done:
    lode_array_free(&other);
    return st;
}

/* G += E M E^H over a block; scaled by roots of weights in place where there are. F: M E^H there. */
static lode_status add_gram(lode_ctx *ctx, const lode_i_snapshots *s, int64_t j0, int64_t j1,
                            lode_array *E, const lode_array *F, lode_array *G)
{
    lode_status st = LODE_OK;
    lode_array root = { 0 }, part = { 0 };
    if (F) {
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, 1, E, F, 1, G));
        goto done;
    }
    if (s->root.data) {
        LODE_TRY(lode_array_slice(ctx, &s->root, 0, j0, j1, 1, &root));
        LODE_TRY(lode_i_scale_cols(ctx, E, &root));
    }
    LODE_TRY(lode_i_gram(ctx, LODE_N, E, &part));
    LODE_TRY(lode_i_axpy(ctx, 1, &part, G));
done:
    LODE_FREE(&root, &part);
    return st;
}

/* ---- passes ---- */

static lode_status gram_block(lode_ctx *ctx, lode_i_snapshots *s, int64_t j0, int64_t j1,
                              const lode_array *B, void *data)
{
    lode_status st = LODE_OK;
    lode_array own = { 0 }, F = { 0 };
    if (lode_i_snapshots_by_matrix(s))
        F = lode_i_rows(&s->MB, j0, j1);
    if (s->root.data)
        LODE_TRY(lode_array_cast(ctx, B, s->wide, &own));
    else
        own = lode_array_ref(B);
    LODE_TRY(add_gram(ctx, s, j0, j1, &own, lode_i_snapshots_by_matrix(s) ? &F : NULL, data));
done:
    LODE_FREE(&own, &F);
    return st;
}

static lode_status zeros(lode_ctx *ctx, lode_dtype dtype, int64_t rows, int64_t cols, lode_array *Y)
{
    const int64_t shape[2] = { rows, cols };
    lode_array_free(Y);
    return lode_array_zeros(ctx, dtype, 2, shape, Y);
}

lode_status lode_i_snapshots_gram(lode_ctx *ctx, lode_i_snapshots *s, lode_array *G, double *norm)
{
    *norm = 0;
    LODE_FORWARD(zeros(ctx, s->wide, s->count, s->count, G));
    LODE_FORWARD(lode_i_snapshots_pass(ctx, s, &(lode_i_snapshots_job){ gram_block, G, norm }));
    return lode_i_snapshots_by_matrix(s) ? symmetrize(ctx, G) : LODE_OK;
}

typedef struct factors {
    const lode_array *W;
    lode_array *Y;
} factors;

static lode_status combine_block(lode_ctx *ctx, lode_i_snapshots *s, int64_t j0, int64_t j1,
                                 const lode_array *B, void *data)
{
    (void)s;
    const factors *f = data;
    lode_array part = lode_i_rows(f->Y, j0, j1);
    const lode_status st = lode_i_gemm_into(ctx, LODE_T, LODE_N, 1, B, f->W, 0, &part);
    lode_array_free(&part);
    return st;
}

lode_status lode_i_snapshots_combine(lode_ctx *ctx, lode_i_snapshots *s, const lode_array *W,
                                     lode_array *Y)
{
    factors f = { W, Y };
    LODE_FORWARD(zeros(ctx, s->wide, s->length, W->shape[1], Y));
    return lode_i_snapshots_pass(ctx, s, &(lode_i_snapshots_job){ combine_block, &f, NULL });
}

/* Snapshots by number, as rows. */
static lode_status pick_block(lode_ctx *ctx, lode_i_snapshots *s, int64_t j0, int64_t j1,
                              const lode_array *B, void *data)
{
    (void)s;
    lode_status st = LODE_OK;
    const factors *f = data;
    lode_array some = { 0 }, to = lode_i_cols(f->Y, j0, j1);
    LODE_TRY(lode_i_take(ctx, B, 0, f->W, &some));
    LODE_TRY(lode_array_copy_into(ctx, &some, &to));
done:
    LODE_FREE(&some, &to);
    return st;
}

lode_status lode_i_snapshots_pick(lode_ctx *ctx, lode_i_snapshots *s, const lode_array *index,
                                  lode_array *rows)
{
    lode_status st = LODE_OK;
    lode_i_snapshots few = *s; /* borrowed but for its snapshots */
    lode_array order = { 0 };
    const int64_t k = index->shape[0];
    few.a = (lode_array){ 0 };
    factors f = { index, rows };
    LODE_TRY(zeros(ctx, s->wide, k, s->length, rows));
    if (!s->from_source) { /* only those are looked at */
        LODE_TRY(lode_i_take(ctx, &s->a, s->axis, index, &few.a));
        LODE_TRY(lode_i_vector_new(ctx, LODE_I64, k, &order));
        for (int64_t i = 0; i < k; i++)
            lode_i_set1(&order, i, (double)i);
        few.count = k, f.W = &order;
    }
    LODE_TRY(lode_i_snapshots_pass(ctx, &few, &(lode_i_snapshots_job){ pick_block, &f, NULL }));
done:
    LODE_FREE(&few.a, &order);
    return st;
}

typedef struct projection {
    lode_array P; /* conj(M Phi) */
    lode_array *C, *squares;
} projection;

static lode_status add_squares(lode_ctx *ctx, const lode_i_snapshots *s, int64_t j0, int64_t j1,
                               const lode_array *E, const lode_array *F, lode_array *squares)
{
    lode_status st = LODE_OK;
    lode_array own = { 0 }, other = { 0 }, w = { 0 };
    LODE_TRY(lode_i_as(ctx, E, s->wide, &own));
    if (F) { /* sum_j e_ij F_ji = Re of row i of E with row i of F^H */
        const lode_array turned = lode_i_transposed(F);
        LODE_TRY(lode_array_cast(ctx, &turned, s->wide, &other));
        LODE_TRY(lode_i_conj(ctx, &other));
    } else if (s->weights.data) {
        LODE_TRY(lode_array_slice(ctx, &s->weights, 0, j0, j1, 1, &w));
        LODE_TRY(lode_array_cast(ctx, &own, s->wide, &other));
        LODE_TRY(lode_i_scale_cols(ctx, &other, &w));
    }
    LODE_TRY(lode_i_row_inner(ctx, &own, other.data ? &other : &own, squares));
done:
    LODE_FREE(&own, &other, &w);
    return st;
}

static lode_status project_block(lode_ctx *ctx, lode_i_snapshots *s, int64_t j0, int64_t j1,
                                 const lode_array *B, void *data)
{
    lode_status st = LODE_OK;
    const projection *p = data;
    lode_array part = lode_i_rows(&p->P, j0, j1), F = { 0 };
    LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, 1, B, &part, 1, p->C));
    if (lode_i_snapshots_by_matrix(s))
        F = lode_i_rows(&s->MB, j0, j1);
    if (p->squares)
        LODE_TRY(
            add_squares(ctx, s, j0, j1, B, lode_i_snapshots_by_matrix(s) ? &F : NULL, p->squares));
done:
    LODE_FREE(&part, &F);
    return st;
}

lode_status lode_i_snapshots_project(lode_ctx *ctx, lode_i_snapshots *s, const lode_array *Phi,
                                     lode_array *C, lode_array *squares, double *norm)
{
    lode_status st = LODE_OK;
    projection p = { .C = C, .squares = squares };
    if (norm)
        *norm = 0;
    LODE_TRY(lode_i_snapshots_weighted(ctx, s, Phi, &p.P));
    LODE_TRY(lode_i_conj(ctx, &p.P));
    LODE_TRY(zeros(ctx, s->wide, s->count, Phi->shape[1], C));
    if (squares) {
        lode_array_free(squares);
        LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &s->count, squares));
    }
    LODE_TRY(lode_i_snapshots_pass(ctx, s, &(lode_i_snapshots_job){ project_block, &p, norm }));
done:
    lode_array_free(&p.P);
    return st;
}

typedef struct leaving {
    const lode_array *C, *Phi;
    lode_array MPhi, plain; /* plain: squares without weights */
    bool gram;
    lode_i_leftover *e;
} leaving;

static lode_status leftover_block(lode_ctx *ctx, lode_i_snapshots *s, int64_t j0, int64_t j1,
                                  const lode_array *B, void *data)
{
    lode_status st = LODE_OK;
    const leaving *l = data;
    lode_array E = { 0 }, F = { 0 }, part = lode_i_rows(l->Phi, j0, j1), rows = { 0 };
    lode_array plain = lode_array_ref(&l->plain);
    const bool weigh = lode_i_snapshots_by_matrix(s) || s->weights.data != NULL;
    LODE_TRY(lode_array_cast(ctx, B, s->wide, &E));
    LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_T, -1, l->C, &part, 1, &E));
    if (lode_i_snapshots_by_matrix(s)) { /* M E^H = M B^H - M conj(Phi) C^H */
        rows = lode_i_rows(&s->MB, j0, j1);
        LODE_TRY(lode_array_cast(ctx, &rows, s->wide, &F));
        LODE_FREE(&rows, &part);
        part = lode_i_rows(&l->MPhi, j0, j1);
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_H, -1, &part, l->C, 1, &F));
    }
    LODE_TRY(add_squares(ctx, s, j0, j1, &E, F.data ? &F : NULL, &l->e->squares));
    if (weigh)
        LODE_TRY(lode_i_row_inner(ctx, &E, &E, &plain));
    if (l->gram)
        LODE_TRY(add_gram(ctx, s, j0, j1, &E, F.data ? &F : NULL, &l->e->G));
done:
    LODE_FREE(&E, &F, &part, &rows, &plain);
    return st;
}

static double sum(const lode_array *v)
{
    double total = 0;
    for (int64_t i = 0; i < v->shape[0]; i++)
        total += lode_i_get1(v, i);
    return total;
}

lode_status lode_i_snapshots_leftover(lode_ctx *ctx, lode_i_snapshots *s, const lode_array *C,
                                      const lode_array *Phi, bool gram, lode_i_leftover *e)
{
    lode_status st = LODE_OK;
    leaving l = { .C = C, .Phi = Phi, .gram = gram, .e = e };
    LODE_FREE(&e->squares, &e->G);
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &s->count, &e->squares));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &s->count, &l.plain));
    if (gram)
        LODE_TRY(zeros(ctx, s->wide, s->count, s->count, &e->G));
    if (lode_i_snapshots_by_matrix(s)) {
        LODE_TRY(lode_i_snapshots_weighted(ctx, s, Phi, &l.MPhi));
        LODE_TRY(lode_i_conj(ctx, &l.MPhi));
    }
    LODE_TRY(lode_i_snapshots_pass(ctx, s, &(lode_i_snapshots_job){ leftover_block, &l, NULL }));
    if (gram && lode_i_snapshots_by_matrix(s))
        LODE_TRY(symmetrize(ctx, &e->G));
    e->plain = sum(lode_i_snapshots_by_matrix(s) || s->weights.data ? &l.plain : &e->squares);
done:
    LODE_FREE(&l.MPhi, &l.plain);
    return st;
}
