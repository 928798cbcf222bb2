/* Observed entries: gathered in C order, then sorted by counting into the slices of each mode, which
 * keeps C order inside of them. */
#include "array/observed.h"

#include <math.h>
#include <string.h>

#include "array/walk.h"

/* Entries in C order: coordinates, values and weights. */
typedef struct list {
    int ndim;
    int64_t shape[LODE_MAX_NDIM];
    int64_t count;
    bool weighted;
    lode_array index, value, weight; /* count x ndim u32; count; count or no data */
} list;

static void free_list(list *l)
{
    LODE_FREE(&l->index, &l->value, &l->weight);
}

void lode_i_observed_free(lode_i_observed *x)
{
    for (int m = 0; m < x->ndim; m++)
        LODE_FREE(&x->mode[m].start, &x->mode[m].index, &x->mode[m].value, &x->mode[m].weight);
    *x = (lode_i_observed){ 0 };
}

static uint64_t list_bytes(lode_dtype dtype, int ndim, int64_t count, bool weighted)
{
    return lode_i_bytes(LODE_U32, count, ndim) + lode_i_bytes(dtype, count, weighted ? 2 : 1);
}

uint64_t lode_i_observed_bytes(lode_dtype dtype, int ndim, const int64_t *shape, int64_t count,
                               bool weighted)
{
    uint64_t bytes = 0;
    for (int m = 0; m < ndim; m++)
        bytes += list_bytes(dtype, ndim - 1, count, weighted) + lode_i_bytes(LODE_I64, shape[m], 1);
    return bytes + 1024 * (uint64_t)ndim;
}

uint64_t lode_i_observed_workspace(lode_dtype dtype, int ndim, const int64_t *shape, int64_t count,
                                   bool weighted)
{
    int64_t longest = 0;
    for (int m = 0; m < ndim; m++)
        longest = lode_i_max(longest, shape[m]);
    return list_bytes(dtype, ndim, count, weighted) + lode_i_bytes(LODE_I64, count, 2) +
           lode_i_bytes(LODE_I64, longest, 1) + 65536;
}

int64_t lode_i_observed_most(lode_value X)
{
    lode_dtype dtype;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM], size = 1;
    if (X.kind == LODE_SPARSE)
        return lode_sparse_nnz(X.as.sparse);
    if (!lode_i_value_shape(X, &dtype, &ndim, shape))
        return 0;
    for (int i = 0; i < ndim; i++)
        if (!lode_i_mul(size, shape[i], &size))
            return INT64_MAX / 64;
    return size;
}

void lode_i_observed_index(const lode_i_observed *x, int64_t e, int64_t *index)
{
    const int64_t *start = lode_i_at(&x->mode[0].start, 0);
    const uint32_t *other = lode_i_at(&x->mode[0].index, e * (x->ndim - 1));
    int64_t low = 0, high = x->shape[0] - 1; /* the last slice that starts at e or before */
    while (low < high) {
        const int64_t middle = low + (high - low + 1) / 2;
        if (start[middle] <= e)
            low = middle;
        else
            high = middle - 1;
    }
    index[0] = low;
    for (int m = 1; m < x->ndim; m++)
        index[m] = other[m - 1];
}

static void print_place(int ndim, const int64_t *index, char *text, size_t size)
{
    size_t at = 0;
    for (int m = 0; m < ndim && at < size; m++) {
        const int n = snprintf(text + at, size - at, "%s%" PRId64 "%s", m ? "," : "[", index[m],
                               m == ndim - 1 ? "]" : "");
        at += n > 0 ? (size_t)n : 0;
    }
}

/* ---- lists ---- */

static lode_status new_list(lode_ctx *ctx, lode_dtype dtype, int ndim, const int64_t *shape,
                            int64_t count, bool weighted, list *l)
{
    *l = (list){ .ndim = ndim, .count = count, .weighted = weighted };
    memcpy(l->shape, shape, (size_t)ndim * sizeof *shape);
    LODE_FORWARD(lode_i_matrix_new(ctx, LODE_U32, count, ndim, &l->index));
    LODE_FORWARD(lode_i_vector_new(ctx, dtype, count, &l->value));
    return weighted ? lode_i_vector_new(ctx, dtype, count, &l->weight) : LODE_OK;
}

static void set_value(lode_array *a, int64_t e, double v)
{
    if (a->dtype == LODE_F32)
        *(float *)lode_i_at(a, e) = (float)v;
    else
        *(double *)lode_i_at(a, e) = v;
}

static double value_at(const lode_array *a, int64_t e)
{
    return a->dtype == LODE_F32 ? (double)*(const float *)lode_i_at(a, e)
                                : *(const double *)lode_i_at(a, e);
}

/* Puts entry e; refuses what cannot be fitted. */
static lode_status put(lode_ctx *ctx, list *l, int64_t e, const int64_t *index, double value,
                       double weight)
{
    char place[256] = "";
    uint32_t *to = lode_i_at(&l->index, e * l->ndim);
    for (int m = 0; m < l->ndim; m++)
        to[m] = (uint32_t)index[m];
    if (!isfinite(value) || !(weight >= 0 && weight < INFINITY)) {
        print_place(l->ndim, index, place, sizeof place);
        return lode_i_fail(ctx, LODE_EDOMAIN,
                           isfinite(value) ? "the weight at %s is %g; weights are finite and >= 0"
                                           : "X%s is %g, which cannot be fitted; mark it missing",
                           place, isfinite(value) ? weight : value);
    }
    set_value(&l->value, e, value);
    if (l->weighted)
        set_value(&l->weight, e, weight);
    return LODE_OK;
}

/* What counts as observed, asked by flat position. */
typedef struct given {
    const lode_missing *missing;
    lode_array mask, weights; /* f64, contiguous; no data: none */
} given;

static double weight_at(const given *g, int64_t flat)
{
    if (g->mask.data && !(*(const double *)lode_i_at(&g->mask, flat) != 0))
        return 0;
    return g->weights.data ? *(const double *)lode_i_at(&g->weights, flat) : 1;
}

static bool is_missing(const lode_missing *missing, double v)
{
    switch (missing->kind) {
    case LODE_MISSING_NAN: return v != v;
    case LODE_MISSING_INF: return !isfinite(v);
    case LODE_MISSING_VALUE:
        return missing->value != missing->value ? v != v
                                                : v >= missing->value && v <= missing->value;
    default: return false;
    }
}

static lode_status read_given(lode_ctx *ctx, const lode_array *a, const char *what, int ndim,
                              const int64_t *shape, lode_array *out)
{
    char has[256], needs[256];
    if (!a)
        return LODE_OK;
    bool same = a->ndim == ndim;
    for (int m = 0; same && m < ndim; m++)
        same = a->shape[m] == shape[m];
    if (!same) {
        lode_i_print_shape(a->ndim, a->shape, has, sizeof has);
        lode_i_print_shape(ndim, shape, needs, sizeof needs);
        return lode_i_fail(ctx, LODE_ESHAPE, "the %s is %s, X is %s; give one of the shape of X",
                           what, has, needs);
    }
    lode_stats stats;
    LODE_FORWARD(lode_i_as(ctx, a, LODE_F64, out));
    LODE_FORWARD(lode_i_stats(ctx, out, &stats));
    if (stats.missing > 0) {
        lode_i_print_index(ndim, shape, stats.first_nan, has, sizeof has);
        return lode_i_fail(ctx, LODE_EDOMAIN,
                           "the %s is nan at %s; say 0 for what was not observed", what, has);
    }
    return LODE_OK;
}

static void advance(int ndim, const int64_t *shape, int64_t *index)
{
    for (int m = ndim - 1; m >= 0 && ++index[m] == shape[m]; m--)
        index[m] = m > 0 ? 0 : index[m];
}

/* Dense: counted, then put, slab by slab. */
static lode_status list_dense(lode_ctx *ctx, lode_value X, const given *g, int ndim,
                              const int64_t *shape, lode_dtype dtype, list *l)
{
    lode_status st = LODE_OK;
    lode_source s = { 0 };
    bool owned = false;
    lode_array slab = { 0 };
    int64_t count = 0;
    LODE_TRY(lode_i_as_source(ctx, X, &s, &owned));
    const int64_t rows = shape[0], step = lode_i_source_slab(&s, 8 << 20);
    for (int pass = 0; pass < 2; pass++) {
        int64_t flat = 0, e = 0, index[LODE_MAX_NDIM] = { 0 };
        if (pass == 1)
            LODE_TRY(new_list(ctx, dtype, ndim, shape, count, g->weights.data != NULL, l));
        for (int64_t r = 0; r < rows; r += step) {
            LODE_TRY(lode_i_tick(ctx, pass * rows + r, 2 * rows));
            LODE_TRY(lode_i_source_rows(ctx, &s, r, lode_i_min(r + step, rows), LODE_F64, &slab));
            const double *x = lode_i_at(&slab, 0);
            const int64_t size = lode_array_size(&slab);
            for (int64_t i = 0; i < size; i++, flat++) {
                const double w = weight_at(g, flat);
                if (!is_missing(g->missing, x[i]) && !(w <= 0 && w >= 0)) {
                    if (pass == 1)
                        LODE_TRY(put(ctx, l, e, index, x[i], w));
                    e++;
                }
                if (pass == 1)
                    advance(ndim, shape, index);
            }
        }
        count = e;
    }
done:
    if (owned)
        LODE_FREE(&s);
    LODE_FREE(&slab);
    return st;
}

/* Entries in the order in which a sparse array has them. */
static lode_status list_sparse(lode_ctx *ctx, const lode_sparse *s, const given *g,
                               lode_dtype dtype, list *l)
{
    lode_status st = LODE_OK;
    const int64_t nnz = lode_sparse_nnz(s);
    lode_array values = { 0 }, indices = { 0 }, pointers = { 0 };
    int64_t e = 0, row = 0, index[LODE_MAX_NDIM] = { 0 };
    LODE_TRY(lode_i_as(ctx, &s->values, dtype, &values));
    LODE_TRY(lode_i_as(ctx, &s->indices, LODE_I64, &indices));
    if (s->layout == LODE_CSR)
        LODE_TRY(lode_i_as(ctx, &s->indptr, LODE_I64, &pointers));
    LODE_TRY(new_list(ctx, dtype, s->ndim, s->shape, nnz, g->weights.data != NULL, l));
    for (int64_t k = 0; k < nnz; k++) {
        if (k % 65536 == 0)
            LODE_TRY(lode_i_tick(ctx, k, nnz));
        if (s->layout == LODE_CSR) {
            while (*(const int64_t *)lode_i_at(&pointers, row + 1) <= k)
                row++;
            index[0] = row, index[1] = *(const int64_t *)lode_i_at(&indices, k);
        } else {
            memcpy(index, lode_i_at(&indices, k * s->ndim), (size_t)s->ndim * sizeof *index);
        }
        int64_t flat = 0;
        for (int m = 0; m < s->ndim; m++) {
            LODE_REQUIRE(index[m] >= 0 && index[m] < s->shape[m], LODE_EDOMAIN,
                         "entry %" PRId64 " of X has index %" PRId64
                         " on axis %d, which has %" PRId64 " places",
                         k, index[m], m, s->shape[m]);
            if (g->mask.data || g->weights.data)
                flat = flat * s->shape[m] + index[m];
        }
        const double w = weight_at(g, flat), v = value_at(&values, k);
        if (!is_missing(g->missing, v) && !(w <= 0 && w >= 0))
            LODE_TRY(put(ctx, l, e++, index, v, w));
    }
    l->count = e;
done:
    LODE_FREE(&values, &indices, &pointers);
    return st;
}

/* ---- order ---- */

/* order: the entries of `from` (NULL: all in their order), stably by their index of one mode. start: one
 * more than the mode has slices. */
static void count_sort(const list *l, int mode, const int64_t *from, int64_t *start, int64_t *order)
{
    const uint32_t *index = lode_i_at(&l->index, mode);
    const int64_t n = l->shape[mode];
    memset(start, 0, (size_t)(n + 1) * sizeof *start);
    for (int64_t e = 0; e < l->count; e++)
        start[index[e * l->ndim] + 1]++;
    for (int64_t i = 0; i < n; i++)
        start[i + 1] += start[i];
    for (int64_t e = 0; e < l->count; e++) {
        const int64_t k = from ? from[e] : e;
        order[start[index[k * l->ndim]]++] = k;
    }
    for (int64_t i = n; i > 0; i--) /* each start has become the next one */
        start[i] = start[i - 1];
    start[0] = 0;
}

static int compare(const list *l, int64_t a, int64_t b)
{
    const uint32_t *x = lode_i_at(&l->index, a * l->ndim), *y = lode_i_at(&l->index, b * l->ndim);
    for (int m = 0; m < l->ndim; m++)
        if (x[m] != y[m])
            return x[m] < y[m] ? -1 : 1;
    return 0;
}

/* One mode's slices from the order of their entries. */
static lode_status gather(lode_ctx *ctx, const list *l, int mode, const int64_t *start,
                          const int64_t *order, lode_i_slices *s)
{
    lode_status st = LODE_OK;
    const int64_t n = l->shape[mode];
    const int others = l->ndim - 1;
    const size_t size = lode_dtype_size(l->value.dtype);
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, n + 1, &s->start));
    LODE_TRY(lode_i_matrix_new(ctx, LODE_U32, l->count, others, &s->index));
    LODE_TRY(lode_i_vector_new(ctx, l->value.dtype, l->count, &s->value));
    if (l->weighted)
        LODE_TRY(lode_i_vector_new(ctx, l->value.dtype, l->count, &s->weight));
    memcpy(lode_i_at(&s->start, 0), start, (size_t)(n + 1) * sizeof *start);
    for (int64_t e = 0; e < l->count; e++) {
        const uint32_t *from = lode_i_at(&l->index, order[e] * l->ndim);
        uint32_t *to = lode_i_at(&s->index, e * others);
        for (int m = 0; m < l->ndim; m++)
            if (m != mode)
                *to++ = from[m];
        memcpy(lode_i_at(&s->value, e), lode_i_at(&l->value, order[e]), size);
        if (l->weighted)
            memcpy(lode_i_at(&s->weight, e), lode_i_at(&l->weight, order[e]), size);
    }
done:
    return st;
}

static lode_status arrange(lode_ctx *ctx, const list *l, lode_i_observed *out)
{
    lode_status st = LODE_OK;
    int64_t longest = 0, *start = NULL, *order = NULL, *next = NULL;
    char place[256] = "";
    lode_i_observed x = { .dtype = l->value.dtype, .ndim = l->ndim, .count = l->count };
    bool ascending = true;
    for (int m = 0; m < l->ndim; m++) {
        x.shape[m] = l->shape[m];
        longest = lode_i_max(longest, l->shape[m]);
    }
    LODE_TRY(LODE_NEW(ctx, longest + 1, &start));
    LODE_TRY(LODE_NEW(ctx, l->count, &order));
    LODE_TRY(LODE_NEW(ctx, l->count, &next));
    for (int64_t e = 0; e < l->count; e++)
        order[e] = e;
    for (int64_t e = 1; e < l->count && ascending; e++)
        ascending = compare(l, e - 1, e) < 0;
    for (int m = l->ndim - 1; m >= 0 && !ascending; m--) { /* the last sort is by mode 0 */
        count_sort(l, m, order, start, next);
        int64_t *const t = order;
        order = next, next = t;
    }
    for (int64_t e = 1; e < l->count && !ascending; e++)
        if (compare(l, order[e - 1], order[e]) == 0) {
            int64_t index[LODE_MAX_NDIM];
            const uint32_t *i = lode_i_at(&l->index, order[e] * l->ndim);
            for (int m = 0; m < l->ndim; m++)
                index[m] = i[m];
            print_place(l->ndim, index, place, sizeof place);
            LODE_REQUIRE(false, LODE_EDOMAIN,
                         "X%s is given twice, as entries %" PRId64 " and %" PRId64
                         "; add or drop duplicates first",
                         place, order[e - 1], order[e]);
        }
    for (int m = 0; m < l->ndim; m++) {
        LODE_TRY(lode_i_cancelled(ctx));
        count_sort(l, m, order, start, next);
        LODE_TRY(gather(ctx, l, m, start, next, &x.mode[m]));
    }
    lode_i_observed_free(out);
    *out = x;
    x = (lode_i_observed){ 0 };
done:
    lode_i_free(start);
    lode_i_free(order);
    lode_i_free(next);
    lode_i_observed_free(&x);
    return st;
}

lode_status lode_i_observed_from(lode_ctx *ctx, lode_value X, const lode_missing *missing,
                                 const lode_array *mask, const lode_array *weights,
                                 lode_dtype dtype, lode_i_observed *out)
{
    lode_status st = LODE_OK;
    lode_dtype stored;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM];
    list l = { 0 };
    given g = { .missing = missing };
    LODE_REQUIRE(lode_i_value_shape(X, &stored, &ndim, shape) && ndim >= 2, LODE_ESHAPE,
                 "X has %d axes; give a matrix or a tensor", ndim);
    for (int m = 0; m < ndim; m++)
        LODE_REQUIRE(shape[m] < INT64_C(1) << 32, LODE_ESHAPE,
                     "axis %d of X has %" PRId64 " places; observed entries take 2^32 at most", m,
                     shape[m]);
    LODE_TRY(read_given(ctx, mask, "mask", ndim, shape, &g.mask));
    LODE_TRY(read_given(ctx, weights, "array of weights", ndim, shape, &g.weights));
    if (X.kind == LODE_SPARSE)
        LODE_TRY(list_sparse(ctx, X.as.sparse, &g, dtype, &l));
    else
        LODE_TRY(list_dense(ctx, X, &g, ndim, shape, dtype, &l));
    LODE_FREE(&g.mask, &g.weights);
    LODE_TRY(arrange(ctx, &l, out));
done:
    free_list(&l);
    LODE_FREE(&g.mask, &g.weights);
    return st;
}

lode_status lode_i_observed_require(lode_ctx *ctx, const lode_i_observed *x, const char *name)
{
    static const char *const side[] = { "row", "column" };
    for (int m = 0; m < x->ndim; m++) {
        const int64_t *start = lode_i_at(&x->mode[m].start, 0);
        for (int64_t i = 0; i < x->shape[m]; i++)
            if (start[i] == start[i + 1])
                return x->ndim == 2
                           ? lode_i_fail(ctx, LODE_EDOMAIN,
                                         "%s %" PRId64 " of %s has no observed value; leave it out",
                                         side[m], i, name)
                           : lode_i_fail(ctx, LODE_EDOMAIN,
                                         "slice %" PRId64
                                         " of axis %d of %s has no observed value; leave it out",
                                         i, m, name);
    }
    return LODE_OK;
}

lode_status lode_i_observed_split(lode_ctx *ctx, const lode_i_observed *x, double share,
                                  lode_stream s, lode_i_observed *kept, lode_i_observed *held)
{
    lode_status st = LODE_OK;
    int64_t *left[LODE_MAX_NDIM] = { NULL }, index[LODE_MAX_NDIM], taken = 0;
    unsigned char *hold = NULL;
    list part[2] = { { 0 }, { 0 } };
    const lode_i_slices *first = &x->mode[0];
    const bool weighted = first->weight.data != NULL;
    LODE_TRY(LODE_NEW(ctx, x->count, &hold));
    for (int m = 0; m < x->ndim; m++) {
        const int64_t *start = lode_i_at(&x->mode[m].start, 0);
        LODE_TRY(LODE_NEW(ctx, x->shape[m], &left[m]));
        for (int64_t i = 0; i < x->shape[m]; i++)
            left[m][i] = start[i + 1] - start[i];
    }
    for (int64_t e = 0; e < x->count; e++) {
        hold[e] = lode_i_random_uniform(s, (uint64_t)e) < share;
        if (!hold[e])
            continue;
        lode_i_observed_index(x, e, index);
        for (int m = 0; m < x->ndim; m++)
            hold[e] = hold[e] && left[m][index[m]] > 1;
        for (int m = 0; m < x->ndim && hold[e]; m++)
            left[m][index[m]]--;
        taken += hold[e];
    }
    LODE_TRY(new_list(ctx, x->dtype, x->ndim, x->shape, x->count - taken, weighted, &part[0]));
    LODE_TRY(new_list(ctx, x->dtype, x->ndim, x->shape, taken, weighted, &part[1]));
    int64_t at[2] = { 0, 0 };
    for (int64_t e = 0; e < x->count; e++) {
        lode_i_observed_index(x, e, index);
        LODE_TRY(put(ctx, &part[hold[e]], at[hold[e]]++, index, value_at(&first->value, e),
                     weighted ? value_at(&first->weight, e) : 1));
    }
    LODE_TRY(arrange(ctx, &part[0], kept));
    free_list(&part[0]);
    part[0] = (list){ 0 };
    LODE_TRY(arrange(ctx, &part[1], held));
done:
    for (int m = 0; m < x->ndim; m++)
        lode_i_free(left[m]);
    lode_i_free(hold);
    free_list(&part[0]);
    free_list(&part[1]);
    return st;
}

lode_status lode_i_observed_sumsq(lode_ctx *ctx, const lode_i_observed *x, double *sumsq)
{
    enum { SQUARES = 512 };
    lode_sum sum = { 0 };
    double square[SQUARES];
    int64_t filled = 0;
    const lode_i_slices *first = &x->mode[0];
    for (int64_t e = 0; e < x->count; e++) {
        if (e % 65536 == 0)
            LODE_FORWARD(lode_i_cancelled(ctx));
        const double v = value_at(&first->value, e);
        square[filled++] = v * v * (first->weight.data ? value_at(&first->weight, e) : 1);
        if (filled == SQUARES || e + 1 == x->count) {
            lode_i_sum_push(&sum, square, filled);
            filled = 0;
        }
    }
    *sumsq = lode_i_sum_total(&sum);
    return LODE_OK;
}
