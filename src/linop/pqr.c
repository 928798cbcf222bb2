/* QR with column pivoting.
 *
 * Sketch: G^H A, a few more rows than a block has columns, keeps the lengths of columns and of what is
 * left of them beside others well enough to choose pivots by: a block is chosen on it, put in its own
 * order by the exact lengths, made orthonormal against Q, and its rows of R brought out of A and of
 * the sketch (Martinsson, Quintana-Orti, Heavner & van de Geijn, SIAM J. Sci. Comput. 39 (2017);
 * Duersch & Gu, ibid.). Products do all of the work, A is never changed, so it may be sparse or a
 * file.
 *
 * Greedy: the triangle of a tall A (one pass) has columns of the same lengths and angles: its pivots
 * are A's. */
#include <math.h>

#include "linop/kinds.h"
#include "linop/pqr.h"

enum { CHUNK = 256 };

typedef struct pqr {
    const lode_linop *A; /* scaled */
    const lode_pqr_opts *o;
    int64_t m, n, p, sketch;
    lode_array Q, Z;   /* m x most, n x most: Z = A^H Q */
    lode_array G, S;   /* m x sketch, n x sketch: S = (A - Q Q^H A)^H G */
    lode_array order;  /* pivots so far, then nothing yet */
    bool *taken;       /* columns that are pivots */
    int64_t count;     /* pivots */
    double norm, tail; /* of A as used, wanted (negative: none) */
    double top, error; /* the longest column, error as measured (negative: not yet) */
    bool done, exhausted;
} pqr;

/* What rounding leaves of a column that lies in the span of others. */
static double floor_of(const lode_linop *A, double top)
{
    return 4 * lode_i_epsilon(A->dtype) * sqrt((double)lode_i_max(A->rows, A->cols)) * top;
}

/* ---- columns of A ---- */

static lode_status unit_vectors(lode_ctx *ctx, const lode_linop *A, const lode_array *index,
                                int64_t from, int64_t count, lode_array *E)
{
    lode_status st = LODE_OK;
    lode_array e = { 0 };
    LODE_TRY(lode_array_zeros(ctx, A->dtype, 2, (const int64_t[]){ A->cols, count }, &e));
    for (int64_t j = 0; j < count; j++)
        lode_i_set2(&e, (int64_t)lode_i_get1(index, from + j), j, 1);
    lode_array_swap(E, &e);
done:
    lode_array_free(&e);
    return st;
}

lode_status lode_i_linop_columns(lode_ctx *ctx, const lode_linop *A, const lode_array *index,
                                 lode_array *C)
{
    lode_status st = LODE_OK;
    const int64_t k = index->shape[0];
    lode_array E = { 0 }, y = { 0 }, to = { 0 }, c = { 0 };
    LODE_TRY(lode_i_matrix_new(ctx, A->dtype, A->rows, k, &c));
    for (int64_t j = 0; j < k; j += CHUNK) {
        const int64_t some = lode_i_min(CHUNK, k - j);
        LODE_TRY(lode_i_tick(ctx, j, k));
        LODE_TRY(unit_vectors(ctx, A, index, j, some, &E));
        LODE_TRY(A->apply(ctx, A, false, &E, &y));
        lode_array_free(&to);
        to = lode_i_cols(&c, j, j + some);
        LODE_TRY(lode_array_copy_into(ctx, &y, &to));
        LODE_FREE(&E, &y);
    }
    lode_array_swap(C, &c);
done:
    LODE_FREE(&E, &y, &to, &c);
    return st;
}

/* Z[:, from..] = A^H Q[:, from..to). */
static lode_status rows_of(lode_ctx *ctx, pqr *w, int64_t from, int64_t to)
{
    lode_status st = LODE_OK;
    lode_array q = { 0 }, z = { 0 }, at = { 0 };
    for (int64_t j = from; j < to; j += CHUNK) {
        const int64_t end = lode_i_min(j + CHUNK, to);
        LODE_FREE(&q, &at);
        LODE_TRY(lode_i_tick(ctx, j, to));
        q = lode_i_cols(&w->Q, j, end), at = lode_i_cols(&w->Z, j, end);
        LODE_TRY(w->A->apply(ctx, w->A, true, &q, &z));
        LODE_TRY(lode_array_copy_into(ctx, &z, &at));
        lode_array_free(&z);
    }
done:
    LODE_FREE(&q, &z, &at);
    return st;
}

static lode_status measure(lode_ctx *ctx, pqr *w)
{
    lode_array q = lode_i_cols(&w->Q, 0, w->count), z = lode_i_cols(&w->Z, 0, w->count);
    const lode_status st = w->A->norm(ctx, w->A, &q, &z, &w->error);
    LODE_FREE(&q, &z);
    return st;
}

/* ---- sketched pivots ---- */

static lode_status sketch(lode_ctx *ctx, pqr *w)
{
    w->sketch = w->o->block + w->o->oversampling;
    LODE_FORWARD(
        lode_i_randn(ctx, lode_i_stream(ctx, w->o->op, 1), w->A->dtype, w->m, w->sketch, &w->G));
    return w->A->apply(ctx, w->A, true, &w->G, &w->S);
}

/* Up to b columns, those that the sketch holds for the longest; where it sees no more, the next that
 * come if so many are to be had. */
static lode_status candidates(lode_ctx *ctx, pqr *w, int64_t b, lode_array *J)
{
    lode_status st = LODE_OK;
    lode_array order = { 0 }, lengths = { 0 }, j = { 0 };
    const int64_t k = lode_i_min(b, lode_i_min(w->sketch, w->n));
    int64_t found = 0, *list = NULL;
    LODE_TRY(lode_i_greedy_rows(ctx, &w->S, k, &order, &lengths));
    LODE_TRY(LODE_NEW(ctx, lode_i_max(1, b), &list));
    for (int64_t i = 0; i < k && lode_i_get2(&lengths, i, 0) > 0; i++) {
        const int64_t column = (int64_t)lode_i_get1(&order, i);
        if (!w->taken[column])
            list[found++] = column;
    }
    for (int64_t i = 0; w->o->exactly && i < w->n && found < b; i++) {
        bool listed = w->taken[i];
        for (int64_t l = 0; l < found && !listed; l++)
            listed = list[l] == i;
        if (!listed)
            list[found++] = i;
    }
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, found, &j));
    for (int64_t i = 0; i < found; i++)
        lode_i_set1(&j, i, (double)list[i]);
    lode_array_swap(J, &j);
done:
    lode_i_free(list);
    LODE_FREE(&order, &lengths, &j);
    return st;
}

/* Puts candidates in the order of their lengths beside Q, and drops those that are rounding. C: what
 * is left of them. */
static lode_status sort_out(lode_ctx *ctx, pqr *w, const lode_array *J, lode_array *C,
                            int64_t *kept)
{
    lode_status st = LODE_OK;
    lode_array q = { 0 }, c = { 0 }, T = { 0 }, turned = { 0 }, order = { 0 }, lengths = { 0 },
               first = { 0 }, sorted = { 0 };
    const int64_t b = J->shape[0];
    int64_t keep = b;
    if (w->count > 0) {
        q = lode_i_cols(&w->Q, 0, w->count);
        LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, &q, C, &c));
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, &q, &c, 1, C));
    }
    LODE_TRY(lode_i_qr_r(ctx, C, &T));
    turned = lode_i_transposed(&T);
    LODE_TRY(lode_i_greedy_rows(ctx, &turned, b, &order, &lengths));
    if (w->count == 0)
        w->top = lode_i_get2(&lengths, 0, 0);
    if (!w->o->exactly)
        for (keep = 0; keep < b && lode_i_get2(&lengths, keep, 0) > floor_of(w->A, w->top);)
            keep++;
    LODE_TRY(lode_array_slice(ctx, &order, 0, 0, keep, 1, &first));
    LODE_TRY(lode_i_take(ctx, C, 1, &first, &sorted));
    for (int64_t i = 0; i < keep; i++) {
        const int64_t column = (int64_t)lode_i_get1(J, (int64_t)lode_i_get1(&order, i));
        lode_i_set1(&w->order, w->count + i, (double)column);
        w->taken[column] = true;
    }
    lode_array_swap(C, &sorted);
    *kept = keep;
done:
    LODE_FREE(&q, &c, &T, &order, &lengths, &first, &sorted);
    return st;
}

/* Rows of R for the new columns of Q, and both out of the sketch. */
static lode_status take_out(lode_ctx *ctx, pqr *w, int64_t from, int64_t to)
{
    lode_status st = LODE_OK;
    lode_array q = { 0 }, z = { 0 }, c = { 0 }, row = { 0 };
    LODE_TRY(rows_of(ctx, w, from, to));
    q = lode_i_cols(&w->Q, from, to), z = lode_i_cols(&w->Z, from, to);
    LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, &q, &w->G, &c));
    LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, &z, &c, 1, &w->S));
    for (int64_t i = from; i < to; i++) {
        const int64_t column = (int64_t)lode_i_get1(&w->order, i);
        lode_array_free(&row);
        row = lode_i_rows(&w->S, column, column + 1);
        LODE_TRY(lode_i_fill(ctx, &row, 0));
    }
done:
    LODE_FREE(&q, &z, &c, &row);
    return st;
}

static lode_status block(lode_ctx *ctx, pqr *w)
{
    lode_status st = LODE_OK;
    lode_array J = { 0 }, C = { 0 }, q = { 0 }, to = { 0 }, c = { 0 }, r = { 0 };
    const int64_t b = lode_i_min(w->o->block, w->o->most - w->count), before = w->count;
    int64_t kept = 0;
    double left = 0;
    LODE_TRY(candidates(ctx, w, b, &J));
    if (J.shape[0] > 0) {
        LODE_TRY(lode_i_linop_columns(ctx, w->A, &J, &C));
        LODE_TRY(sort_out(ctx, w, &J, &C, &kept));
    }
    w->exhausted = kept < b;
    if (kept > 0) {
        lode_stream s = lode_i_stream(ctx, w->o->op, 2);
        s.salt[1] += (uint32_t)before;
        q = lode_i_cols(&w->Q, 0, before), to = lode_i_cols(&w->Q, before, before + kept);
        LODE_TRY(lode_i_orth_block(ctx, &q, 0, &C, s, &c, &r));
        LODE_TRY(lode_array_copy_into(ctx, &C, &to));
        w->count += kept;
        LODE_TRY(take_out(ctx, w, before, w->count));
    }
    w->done = w->exhausted || w->count == w->o->most;
    if (!w->done && w->tail >= 0) { /* E ||G^H E||^2 = rows of the sketch times ||E||^2 */
        LODE_TRY(lode_i_norm_fro(ctx, &w->S, &left));
        if (left <= w->tail * sqrt((double)w->sketch)) {
            LODE_TRY(measure(ctx, w));
            w->done = w->error <= w->tail;
        }
    }
done:
    LODE_FREE(&J, &C, &q, &to, &c, &r);
    return st;
}

/* The fewest columns whose tail is within what is wanted: rows of R left out are orthogonal to each
 * other and to the rest. */
static lode_status cut(lode_ctx *ctx, pqr *w)
{
    lode_status st = LODE_OK;
    lode_array z = { 0 };
    if (w->error < 0)
        LODE_TRY(measure(ctx, w));
    while (w->tail >= 0 && w->count > 1) {
        double last = 0;
        lode_array_free(&z);
        z = lode_i_cols(&w->Z, w->count - 1, w->count);
        LODE_TRY(lode_i_norm_fro(ctx, &z, &last));
        if (hypot(w->error, last) > w->tail)
            break;
        w->error = hypot(w->error, last);
        w->count--;
        w->taken[(int64_t)lode_i_get1(&w->order, w->count)] = false;
        w->exhausted = false;
    }
done:
    lode_array_free(&z);
    return st;
}

static lode_status by_sketch(lode_ctx *ctx, pqr *w)
{
    LODE_FORWARD(sketch(ctx, w));
    while (!w->done) {
        LODE_FORWARD(lode_i_tick(ctx, w->count, w->o->most));
        LODE_FORWARD(block(ctx, w));
    }
    return cut(ctx, w);
}

/* ---- pivots of the triangle ---- */

/* The columns of A, or of its triangle, as rows, conjugated or not: lengths and angles are the same. */
static lode_status columns_as_rows(lode_ctx *ctx, const pqr *w, const lode_linop *given,
                                   double scale, lode_array *W)
{
    lode_status st = LODE_OK;
    lode_array eye = { 0 }, T = { 0 }, turned = { 0 };
    if (given->gram && w->m >= w->n) {
        LODE_TRY(given->gram(ctx, given, LODE_I_TRIANGLE, scale, &T));
        turned = lode_i_transposed(&T);
        LODE_TRY(lode_array_cast(ctx, &turned, T.dtype, W));
    } else {
        LODE_TRY(lode_i_eye(ctx, w->A->dtype, w->m, &eye));
        LODE_TRY(w->A->apply(ctx, w->A, true, &eye, &T));
        LODE_TRY(lode_array_cast(ctx, &T, lode_i_is_complex(T.dtype) ? LODE_C128 : LODE_F64, W));
    }
done:
    LODE_FREE(&eye, &T);
    return st;
}

/* How many pivots: those that are no rounding, and of these the fewest within the error. */
static int64_t enough(pqr *w, const lode_array *lengths)
{
    int64_t k = 0;
    double left = 0;
    if (w->o->exactly)
        return w->o->most;
    w->top = lengths->shape[0] > 0 ? lode_i_get2(lengths, 0, 0) : 0;
    while (k < lengths->shape[0] && lode_i_get2(lengths, k, 0) > floor_of(w->A, w->top))
        k++;
    w->exhausted = k < w->p && k <= w->o->most;
    for (int64_t i = lengths->shape[0] - 1; i >= k; i--)
        left = hypot(left, lode_i_get2(lengths, i, 1));
    while (w->tail >= 0 && k > 1) {
        const double more = hypot(left, lode_i_get2(lengths, k - 1, 1));
        if (more > w->tail)
            break;
        left = more, k--, w->exhausted = false;
    }
    return lode_i_min(k, w->o->most);
}

static lode_status by_triangle(lode_ctx *ctx, pqr *w, const lode_linop *given, double scale,
                               lode_pqr_info *info)
{
    lode_status st = LODE_OK;
    lode_array W = { 0 }, order = { 0 }, lengths = { 0 };
    LODE_TRY(columns_as_rows(ctx, w, given, scale, &W));
    LODE_TRY(lode_i_tick(ctx, 1, 4));
    LODE_TRY(lode_i_greedy_rows(ctx, &W, w->o->exactly ? w->o->most : w->p, &order, &lengths));
    w->count = enough(w, &lengths);
    if (w->o->pivoting == LODE_I_PIVOT_STRONG)
        LODE_TRY(lode_i_strong(ctx, &W, w->count, w->o->factor, &order, info));
    for (int64_t i = 0; i < w->count; i++)
        lode_i_set1(&w->order, i, lode_i_get1(&order, i));
done:
    LODE_FREE(&W, &order, &lengths);
    return st;
}

/* Q and R of the columns chosen. */
static lode_status finish(lode_ctx *ctx, pqr *w)
{
    lode_status st = LODE_OK;
    lode_array J = { 0 }, C = { 0 }, q = { 0 }, r = { 0 }, to = { 0 };
    LODE_TRY(lode_array_slice(ctx, &w->order, 0, 0, w->count, 1, &J));
    LODE_TRY(lode_i_linop_columns(ctx, w->A, &J, &C));
    LODE_TRY(lode_i_qr(ctx, &C, &q, &r));
    lode_array_free(&C);
    to = lode_i_cols(&w->Q, 0, w->count);
    LODE_TRY(lode_array_copy_into(ctx, &q, &to));
    lode_array_free(&q);
    for (int64_t i = 0; i < w->count; i++)
        w->taken[(int64_t)lode_i_get1(&w->order, i)] = true;
    LODE_TRY(rows_of(ctx, w, 0, w->count));
    LODE_TRY(measure(ctx, w));
done:
    LODE_FREE(&J, &C, &q, &r, &to);
    return st;
}

/* ---- the result ---- */

/* Below its diagonal R is zero and on it real: rounding left something there. */
static void clean(lode_array *R)
{
    for (int64_t i = 0; i < R->shape[0]; i++) {
        for (int64_t j = 0; j < i; j++)
            lode_i_set2(R, i, j, 0);
        lode_i_set2(R, i, i, fmax(lode_i_get2(R, i, i), 0));
    }
}

static lode_status give(lode_ctx *ctx, pqr *w, double scale, lode_array *Q, lode_array *R,
                        lode_array *order)
{
    lode_status st = LODE_OK;
    lode_array part = { 0 }, q = { 0 }, z = { 0 }, r = { 0 }, turned = { 0 };
    lode_stats s;
    int64_t at = w->count;
    for (int64_t j = 0; j < w->n; j++)
        if (!w->taken[j])
            lode_i_set1(&w->order, at++, (double)j);
    part = lode_i_cols(&w->Q, 0, w->count);
    LODE_TRY(lode_array_cast(ctx, &part, part.dtype, &q));
    LODE_FREE(&w->Q, &part);
    part = lode_i_cols(&w->Z, 0, w->count);
    LODE_TRY(lode_i_take(ctx, &part, 0, &w->order, &z));
    LODE_FREE(&w->Z, &part);
    LODE_TRY(lode_i_conj(ctx, &z));
    turned = lode_i_transposed(&z);
    LODE_TRY(lode_array_cast(ctx, &turned, z.dtype, &r));
    clean(&r);
    if (scale > 1 || scale < 1) {
        const double limit = lode_i_is_single(r.dtype) ? 3.4028234e38 : 1.7976931e308;
        LODE_TRY(lode_i_stats(ctx, &r, &s));
        LODE_REQUIRE(s.maxabs <= limit * fmin(scale, 1), LODE_EDOMAIN,
                     "the entries of R leave the range of %s: scale A", lode_dtype_name(r.dtype));
        LODE_TRY(lode_i_scale(ctx, 1 / scale, &r));
    }
    lode_array_swap(Q, &q), lode_array_swap(R, &r), lode_array_swap(order, &w->order);
done:
    LODE_FREE(&part, &q, &z, &r);
    return st;
}

lode_status lode_i_pqr(lode_ctx *ctx, const lode_linop *A, const lode_pqr_opts *o, lode_array *Q,
                       lode_array *R, lode_array *order, lode_pqr_info *info)
{
    lode_status st = LODE_OK;
    lode_linop *scaled = NULL;
    pqr w = { .o = o, .m = A->rows, .n = A->cols, .tail = -1, .error = -1 };
    double norm = 0;
    w.p = lode_i_min(w.m, w.n);
    LODE_TRY(lode_i_linop_norm(ctx, A, &norm));
    const double scale = lode_i_safe_scale(A->dtype, norm);
    LODE_TRY(lode_i_linop_times(ctx, A, scale, &scaled));
    w.A = scale > 1 || scale < 1 ? scaled : A;
    w.norm = norm * scale;
    if (!isfinite(norm)) /* finite entries: their squares alone are beyond the type */
        LODE_TRY(lode_i_linop_norm(ctx, w.A, &w.norm));
    if (o->tail > 0 || o->tail_rel > 0)
        w.tail = o->tail > 0 ? o->tail * scale : o->tail_rel * w.norm;
    LODE_TRY(lode_i_matrix_new(ctx, A->dtype, w.m, o->most, &w.Q));
    LODE_TRY(lode_i_matrix_new(ctx, A->dtype, w.n, o->most, &w.Z));
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, w.n, &w.order));
    LODE_TRY(lode_i_calloc(ctx, (size_t)lode_i_max(w.n, 1) * sizeof *w.taken, (void **)&w.taken));
    if (o->most == 0) {
        w.error = w.norm;
    } else if (o->pivoting == LODE_I_PIVOT_SKETCH) {
        LODE_TRY(by_sketch(ctx, &w));
    } else {
        w.count = o->most;
        for (int64_t i = 0; i < w.n; i++)
            lode_i_set1(&w.order, i, (double)i);
        if (o->pivoting != LODE_I_PIVOT_NONE)
            LODE_TRY(by_triangle(ctx, &w, A, scale, info));
        LODE_TRY(finish(ctx, &w));
    }
    LODE_TRY(give(ctx, &w, scale, Q, R, order));
    info->norm = w.norm / scale, info->error = w.error / scale, info->exhausted = w.exhausted;
done:
    lode_i_free(w.taken);
    LODE_FREE(&scaled, &w.Q, &w.Z, &w.G, &w.S, &w.order);
    return st;
}

uint64_t lode_i_pqr_memory(const lode_ctx *ctx, const lode_pqr_opts *o, lode_value A)
{
    lode_dtype dtype = LODE_F64;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM] = { 0 };
    if (!lode_i_value_shape(A, &dtype, &ndim, shape) || ndim != 2)
        return 0;
    const lode_dtype t = lode_i_arith(dtype), wide = lode_i_is_complex(t) ? LODE_C128 : LODE_F64;
    const int64_t m = shape[0], n = shape[1], k = o->most, p = lode_i_min(m, n);
    const int64_t c = lode_i_min(CHUNK, k), b = o->block, l = b + o->oversampling;
    /* Q, Z; a copy of either, and of R turned */
    uint64_t bytes = lode_i_bytes(t, m + n, k) + lode_i_bytes(t, lode_i_max(m, n), 2 * k);
    bytes += lode_i_linop_workspace(ctx, A, lode_i_max(c, l)) + lode_i_linop_blocks(ctx, A);
    bytes += lode_i_bytes(LODE_I64, 4 * n, 1) + lode_i_bytes(t, m + n, 2 * c); /* a chunk */
    if (o->pivoting == LODE_I_PIVOT_SKETCH)
        /* G and S, lengths from S; a block's columns, what is left of them, theirs in Q */
        bytes += lode_i_bytes(t, m + n, l) + lode_i_bytes(wide, n, l) + lode_i_bytes(t, 8 * m, b) +
                 lode_i_bytes(t, 6 * k, b) + lode_i_bytes(wide, 16 * b, l);
    else
        bytes += lode_i_bytes(t, 3 * m, k) + lode_i_bytes(wide, 8 * k, k);
    if (o->pivoting == LODE_I_PIVOT_GREEDY || o->pivoting == LODE_I_PIVOT_STRONG) {
        const bool triangle = m >= n && (A.kind == LODE_ARRAY || A.kind == LODE_SOURCE);
        bytes += lode_i_bytes(wide, 3 * p, n) + lode_i_bytes(wide, p, p);
        bytes += triangle ? lode_i_linop_gram_workspace(ctx, A) : lode_i_linop_workspace(ctx, A, m);
        if (o->pivoting == LODE_I_PIVOT_STRONG) /* both parts, R11^-1 R12, what is left */
            bytes += lode_i_bytes(wide, 6 * p, n) + lode_i_bytes(wide, 12 * k, k);
    }
    return bytes;
}
