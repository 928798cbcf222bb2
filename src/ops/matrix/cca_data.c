/* Two tables of the same rows: read, centred, and reduced by orthogonal transformations to a few rows (or, with
 * more columns than rows, a few columns) that have all their inner products, fold by fold. */
#include <math.h>

#include "ops/matrix/cca.h"

enum { RUNS = 20, SUM_ROWS = 4096 };

bool lode_i_cca_tall(int64_t n, int64_t p, int64_t q)
{
    return n > p + q;
}

/* ---- reading ---- */

static lode_status read_weights(lode_ctx *ctx, const lode_cca_opts *o, lode_i_cca_data *d)
{
    lode_status st = LODE_OK;
    d->mass = (double)d->n, d->counted = d->n;
    if (!o->weights)
        goto done;
    const lode_array *w = o->weights;
    LODE_REQUIRE(w->ndim == 1 && w->shape[0] == d->n && lode_dtype_class(w->dtype) != 'c',
                 LODE_ESHAPE, "cca: weights must be %" PRId64 " real numbers, one for each row",
                 d->n);
    LODE_TRY(lode_array_cast(ctx, w, LODE_F64, &d->weight));
    double most = 0, sum = 0;
    d->counted = 0;
    for (int64_t i = 0; i < d->n; i++) {
        const double v = lode_i_get1(&d->weight, i);
        LODE_REQUIRE(v >= 0 && isfinite(v), LODE_EDOMAIN,
                     "cca: weights[%" PRId64 "] is %g; weights are finite and >= 0", i, v);
        most = fmax(most, v), d->counted += v > 0;
    }
    LODE_REQUIRE(d->counted >= 2, LODE_EDOMAIN,
                 "cca: %" PRId64 " of the weights are above 0; at least 2 rows must count",
                 d->counted);
    LODE_TRY(lode_i_scale(ctx, 1 / most, &d->weight));
    for (int64_t i = 0; i < d->n; i++)
        sum += lode_i_get1(&d->weight, i);
    LODE_TRY(lode_i_scale(ctx, (double)d->counted / sum, &d->weight));
    LODE_TRY(lode_array_cast(ctx, &d->weight, LODE_F64, &d->root));
    for (int64_t i = 0; i < d->n; i++)
        lode_i_set1(&d->root, i, sqrt(lode_i_get1(&d->weight, i)));
    d->mass = (double)d->counted;
done:
    return st;
}

/* Rows fall into runs, so that a file is read in stretches, which are dealt out to folds at random. */
static lode_status deal(lode_ctx *ctx, lode_i_cca_data *d)
{
    lode_status st = LODE_OK;
    const int64_t runs = lode_i_min(d->n, (int64_t)RUNS * d->folds);
    const lode_stream s = lode_i_stream(ctx, "cca", 1);
    int64_t *fold = NULL;
    if (d->folds == 1)
        return LODE_OK;
    LODE_TRY(LODE_NEW(ctx, runs, &fold));
    for (int64_t r = 0; r < runs; r++) {
        int64_t before = 0;
        const uint64_t own = lode_i_random_u64(s, (uint64_t)r);
        for (int64_t i = 0; i < runs; i++) {
            const uint64_t other = lode_i_random_u64(s, (uint64_t)i);
            before += other < own || (other == own && i < r);
        }
        fold[r] = before % d->folds;
    }
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, d->n, &d->fold));
    for (int64_t r = 0; r < runs; r++) { /* row i is of run floor(i runs / n) */
        const int64_t from = lode_i_ceil_div(r * d->n, runs);
        const int64_t to = lode_i_ceil_div((r + 1) * d->n, runs);
        for (int64_t i = from; i < to; i++)
            lode_i_set1(&d->fold, i, (double)fold[r]);
    }
done:
    lode_i_free(fold);
    return st;
}

static int fold_of(const lode_i_cca_data *d, int64_t i)
{
    return d->fold.data ? (int)lode_i_get1(&d->fold, i) : 0;
}

static double weight_of(const lode_i_cca_data *d, int64_t i)
{
    return d->weight.data ? lode_i_get1(&d->weight, i) : 1;
}

static void both(const lode_i_cca_data *d, int which, lode_i_beside *b)
{
    static const char *const names[] = { "cca: X", "cca: Y" };
    *b = (lode_i_beside){ 0 };
    for (int k = 0; k < 2; k++)
        if (which == 2 || which == k) {
            b->part[b->parts] = d->v[k];
            b->name[b->parts++] = names[k];
        }
}

/* Means over all rows and over each fold, and a power of 2 by which values come near 1. */
static lode_status means(lode_ctx *ctx, lode_i_cca_data *d)
{
    lode_status st = LODE_OK;
    lode_i_beside b;
    lode_source s = { 0 };
    lode_linop *op = NULL;
    lode_array share = { 0 }, sums = { 0 }, t = { 0 };
    double maxabs[2] = { 0, 0 };
    const int64_t all = d->cols[0] + d->cols[1];
    both(d, 2, &b);
    b.finite = true, b.maxabs = maxabs;
    LODE_TRY(lode_i_source_beside(ctx, &b, &s));
    LODE_TRY(lode_linop_from(ctx, lode_from_source(&s), &op));
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, d->n, d->folds, &share));
    LODE_TRY(lode_i_fill(ctx, &share, 0));
    for (int64_t i = 0; i < d->n; i++)
        d->fold_mass[fold_of(d, i)] += weight_of(d, i);
    for (int64_t i = 0; i < d->n; i++) {
        const double mass = d->fold_mass[fold_of(d, i)];
        lode_i_set2(&share, i, fold_of(d, i), mass > 0 ? weight_of(d, i) / mass : 0);
    }
    LODE_TRY(op->apply(ctx, op, true, &share, &sums));
    t = lode_i_transposed(&sums);
    LODE_TRY(lode_array_cast(ctx, &t, LODE_F64, &d->fold_mean));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, all, &d->mean));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, all, &d->factor));
    for (int64_t j = 0; j < all; j++) {
        double mean = 0;
        for (int f = 0; f < d->folds; f++)
            mean += d->fold_mass[f] / d->mass * lode_i_get2(&d->fold_mean, f, j);
        lode_i_set1(&d->mean, j, mean);
        const double size = maxabs[j >= d->cols[0]];
        int e = 0;
        if (size > 0)
            frexp(size, &e);
        e = e < -1000 ? -1000 : e > 1000 ? 1000 : e;
        d->size[j >= d->cols[0]] = ldexp(1, -e);
        lode_i_set1(&d->factor, j, ldexp(1, -e));
    }
done:
    lode_linop_free(&op);
    LODE_FREE(&s, &share, &sums);
    return st;
}

/* Factors by which columns get variance 1; those that do not vary stay as they are. */
static lode_status standardize(lode_ctx *ctx, lode_i_cca_data *d, int which)
{
    lode_status st = LODE_OK;
    lode_i_beside b;
    lode_source s = { 0 };
    lode_linop *op = NULL;
    lode_array sums = { 0 }, slab = { 0 };
    const int64_t skip = which == 1 ? d->cols[0] : 0;
    const int64_t all = which == 2 ? d->cols[0] + d->cols[1] : d->cols[which];
    LODE_TRY(lode_i_cca_operator(ctx, d, which, true, &b, &s, &op));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &all, &sums));
    const int64_t step = lode_i_max(1, lode_i_min(SUM_ROWS, (INT64_C(1) << 21) / all));
    for (int64_t i = 0; i < d->n; i += step) {
        LODE_TRY(lode_i_tick(ctx, i, d->n));
        lode_array_free(&slab);
        LODE_TRY(lode_i_source_rows(ctx, &s, i, lode_i_min(i + step, d->n), LODE_F64, &slab));
        const lode_array t = lode_i_transposed(&slab);
        LODE_TRY(lode_i_row_inner(ctx, &t, &t, &sums));
    }
    for (int64_t j = 0; j < all; j++) {
        const double deviation = sqrt(lode_i_get1(&sums, j) / (d->mass - 1));
        const double size = fabs(lode_i_get1(&d->mean, skip + j) *
                                 lode_i_get1(&d->factor, skip + j));
        if (deviation > 4 * d->epsilon * size)
            lode_i_set1(&d->factor, skip + j, lode_i_get1(&d->factor, skip + j) / deviation);
    }
    d->size[0] = d->size[1] = 1;
done:
    lode_linop_free(&op);
    LODE_FREE(&s, &sums, &slab);
    return st;
}

lode_status lode_i_cca_open(lode_ctx *ctx, const lode_cca_opts *o, lode_value X, lode_value Y,
                            int folds, lode_i_cca_data *d)
{
    lode_status st = LODE_OK;
    const lode_value v[2] = { X, Y };
    d->folds = folds;
    for (int k = 0; k < 2; k++) {
        lode_dtype dtype = LODE_F64;
        int ndim = 0;
        int64_t shape[LODE_MAX_NDIM] = { 0 };
        lode_i_value_shape(v[k], &dtype, &ndim, shape);
        d->v[k] = v[k], d->n = shape[0], d->cols[k] = shape[1];
        d->epsilon = fmax(d->epsilon, lode_i_epsilon(lode_i_arith(dtype)));
        if (k == 0 || !lode_i_is_single(lode_i_arith(dtype)))
            d->dtype = lode_i_arith(dtype);
        if (v[k].kind == LODE_SPARSE) {
            LODE_TRY(lode_sparse_to_csr(ctx, v[k].as.sparse, &d->csr[k]));
            d->v[k] = lode_from_sparse(&d->csr[k]);
        }
    }
    LODE_TRY(read_weights(ctx, o, d));
    LODE_TRY(deal(ctx, d));
done:
    return st;
}

lode_status lode_i_cca_survey(lode_ctx *ctx, const lode_cca_opts *o, lode_i_cca_data *d)
{
    LODE_FORWARD(means(ctx, d));
    return o->scale ? standardize(ctx, d, 2) : LODE_OK;
}

void lode_i_cca_close(lode_i_cca_data *d)
{
    for (int k = 0; k < 2; k++)
        lode_sparse_free(&d->csr[k]);
    LODE_FREE(&d->weight, &d->root, &d->mean, &d->factor, &d->fold, &d->fold_mean);
}

lode_status lode_i_cca_operator(lode_ctx *ctx, const lode_i_cca_data *d, int which, bool weighted,
                                lode_i_beside *b, lode_source *s, lode_linop **op)
{
    both(d, which, b);
    b->shift = &d->mean, b->factor = &d->factor;
    b->skip = which == 1 ? d->cols[0] : 0;
    b->weight = weighted && d->root.data ? &d->root : NULL;
    LODE_FORWARD(lode_i_source_beside(ctx, b, s));
    return lode_linop_from(ctx, lode_from_source(s), op);
}

lode_status lode_i_cca_again(lode_ctx *ctx, const lode_i_cca_result *r, int side, lode_value v,
                             lode_i_cca_data *d)
{
    lode_status st = LODE_OK;
    lode_array to = { 0 };
    const int64_t all = r->p + r->q;
    *d = (lode_i_cca_data){ .v = { v, v },
                            .n = r->n,
                            .cols = { r->p, r->q },
                            .folds = 1,
                            .epsilon = lode_i_epsilon(r->W[0]->dtype),
                            .size = { 1, 1 },
                            .mass = (double)r->n };
    if (v.kind == LODE_SPARSE) {
        LODE_TRY(lode_sparse_to_csr(ctx, v.as.sparse, &d->csr[side]));
        d->v[side] = lode_from_sparse(&d->csr[side]);
    }
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, all, &d->mean));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, all, &d->factor));
    LODE_TRY(lode_i_fill(ctx, &d->factor, 1));
    for (int k = 0; k < 2; k++) {
        lode_array_free(&to);
        LODE_TRY(lode_array_slice(ctx, &d->mean, 0, k ? r->p : 0, k ? all : r->p, 1, &to));
        LODE_TRY(lode_array_copy_into(ctx, r->mean[k], &to));
    }
    if (r->weights) {
        LODE_TRY(lode_array_cast(ctx, r->weights, LODE_F64, &d->weight));
        LODE_TRY(lode_array_cast(ctx, r->weights, LODE_F64, &d->root));
        d->mass = 0;
        for (int64_t i = 0; i < r->n; i++) {
            d->mass += lode_i_get1(r->weights, i);
            lode_i_set1(&d->root, i, sqrt(fmax(lode_i_get1(r->weights, i), 0)));
        }
    }
    if (r->scaled)
        LODE_TRY(standardize(ctx, d, side));
done:
    lode_array_free(&to);
    return st;
}
