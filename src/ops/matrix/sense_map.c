/* Measurements of sense as one linear map: matrices, rows of a dense, sparse or out-of-core array, or pairs of
 * vectors, whose matrices are never formed. */
#include <math.h>

#include "ops/matrix/sense.h"

/* ---- sizes ---- */

static lode_status given_shape(lode_ctx *ctx, const lode_sense_opts *o, int64_t shape[2])
{
    if (o->shape.count != 2)
        return lode_i_fail(ctx, LODE_EPARAM,
                           "sense: option shape holds %d numbers; give rows,columns of the matrix",
                           (int)o->shape.count);
    for (int i = 0; i < 2; i++) {
        const double v = o->shape.value[i];
        shape[i] = v >= 1 && v <= 1e9 ? (int64_t)v : 0;
        if (shape[i] < 1 || (double)shape[i] != v)
            return lode_i_fail(ctx, LODE_EPARAM,
                               "sense: option shape holds %g; give whole numbers from 1 on", v);
    }
    return LODE_OK;
}

static lode_status matrix_sizes(lode_ctx *ctx, const lode_sense_opts *o, int ndim,
                                const int64_t *shape, lode_i_sense_sizes *s)
{
    int64_t p = 1, want[2] = { 0 };
    for (int i = 1; i < ndim; i++)
        if (!lode_i_mul(p, shape[i], &p))
            p = INT64_MAX;
    if (o->shape.count > 0) {
        LODE_FORWARD(given_shape(ctx, o, want));
        int64_t product = 0;
        if (!lode_i_mul(want[0], want[1], &product) || product != p)
            return lode_i_fail(ctx, LODE_ESHAPE,
                               "sense: each measurement in A has %" PRId64
                               " values; a matrix of shape %" PRId64 " x %" PRId64 " has %" PRId64,
                               p, want[0], want[1], product);
        s->n1 = want[0], s->n2 = want[1];
        return LODE_OK;
    }
    if (ndim == 2)
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "sense: A is %" PRId64 " x %" PRId64
                           ": give --shape ROWS,COLUMNS where its rows are matrices, or --form "
                           "vectors where they are vectors x of measurements x' M x",
                           shape[0], shape[1]);
    s->n1 = shape[1], s->n2 = shape[1] > 0 ? p / shape[1] : 0;
    return LODE_OK;
}

lode_status lode_i_sense_sizes_of(lode_ctx *ctx, const lode_sense_opts *o, lode_value A,
                                  lode_i_sense_sizes *s)
{
    lode_dtype dtype = LODE_F64;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM] = { 0 };
    char text[256];
    *s = (lode_i_sense_sizes){ 0 };
    lode_i_value_shape(A, &dtype, &ndim, shape);
    lode_i_print_shape(ndim, shape, text, sizeof text);
    if (ndim < 2)
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "sense: A is %s; it must be m x rows x columns, or m x (rows columns)",
                           text);
    s->m = shape[0], s->dtype = lode_i_arith(dtype);
    s->vectors = o->form == LODE_SENSE_VECTORS || (o->form == LODE_SENSE_AUTO_FORM && o->vectors2);
    if (s->vectors) {
        if (ndim != 2 || o->shape.count > 0)
            return lode_i_fail(
                ctx, LODE_ESHAPE,
                "sense: A is %s%s; measurements x' M z take A as m x n, a vector x a "
                "row, and no --shape",
                text, o->shape.count > 0 ? " with --shape" : "");
        const lode_array *z = o->vectors2;
        if (z && (z->ndim != 2 || z->shape[0] != s->m)) {
            lode_i_print_shape(z->ndim, z->shape, text, sizeof text);
            return lode_i_fail(ctx, LODE_ESHAPE,
                               "sense: vectors2 is %s; it needs %" PRId64 " rows, as A has", text,
                               s->m);
        }
        s->n1 = shape[1], s->n2 = z ? z->shape[1] : shape[1];
    } else {
        if (o->vectors2)
            return lode_i_fail(ctx, LODE_EUSAGE,
                               "sense: vectors2 goes with --form vectors, not with matrices");
        LODE_FORWARD(matrix_sizes(ctx, o, ndim, shape, s));
    }
    if (s->m < 1 || s->n1 < 1 || s->n2 < 1)
        return lode_i_fail(ctx, LODE_ESHAPE, "sense: A is %s; it needs a measurement of a value",
                           text);
    return LODE_OK;
}

/* ---- opening ---- */

bool lode_i_sense_flat(lode_value A, int64_t m, int64_t p, lode_array *array, lode_source *source,
                       lode_value *flat)
{
    *flat = A;
    if (A.kind == LODE_SOURCE) {
        *source = *A.as.source;
        source->ndim = 2, source->shape[1] = p, source->chunk[1] = 0;
        *flat = lode_from_source(source);
        return true;
    }
    if (A.kind != LODE_ARRAY || A.as.array->ndim == 2)
        return true;
    const lode_array *a = A.as.array;
    bool even = true;
    for (int i = a->ndim - 1; i > 1; i--)
        even = even && (a->shape[i - 1] <= 1 || a->strides[i - 1] == a->shape[i] * a->strides[i]);
    *array = *a;
    array->owner = NULL, array->ndim = 2;
    array->shape[0] = m, array->shape[1] = p;
    array->strides[1] = a->strides[a->ndim - 1];
    *flat = lode_from_array(array);
    return even;
}

static lode_status open_matrices(lode_ctx *ctx, lode_value A, bool resident, lode_i_sense_map *map)
{
    lode_status st = LODE_OK;
    lode_array whole = { 0 };
    const lode_i_sense_sizes *s = &map->size;
    const int64_t shape[2] = { s->m, s->n1 * s->n2 };
    double norm = 0;
    if (A.kind == LODE_SOURCE && !resident) {
        LODE_TRY(lode_i_source_matrix(ctx, A.as.source, 1, &map->rows));
        LODE_TRY(lode_linop_from(ctx, lode_from_source(&map->rows), &map->A));
    } else if (A.kind == LODE_SOURCE || A.kind == LODE_ARRAY) {
        if (A.kind == LODE_SOURCE)
            LODE_TRY(lode_i_as_array(ctx, A, s->dtype, &whole));
        LODE_TRY(lode_array_reshape(ctx, A.kind == LODE_ARRAY ? A.as.array : &whole, 2, shape,
                                    &map->held));
        LODE_TRY(lode_linop_from(ctx, lode_from_array(&map->held), &map->A));
    } else {
        LODE_REQUIRE(A.kind != LODE_SPARSE || A.as.sparse->ndim == 2, LODE_ESHAPE,
                     "sense: a sparse A is m x (rows columns), with --shape ROWS,COLUMNS");
        LODE_TRY(lode_linop_from(ctx, A, &map->A));
    }
    st = lode_i_linop_norm(ctx, map->A, &norm);
    if (st == LODE_EDOMAIN && A.kind == LODE_ARRAY)
        LODE_TRY(lode_i_require_finite(ctx, A.as.array, "sense: A")); /* its own index */
    LODE_TRY(st);
    map->scale = norm / sqrt((double)s->n1 * (double)s->n2);
done:
    LODE_FREE(&whole);
    return st;
}

/* ||A||_F of A_i = x_i z_i' from the vectors, which are brought to entries of about 1 first. */
static lode_status open_vectors(lode_ctx *ctx, lode_value A, const lode_array *right,
                                lode_i_sense_map *map)
{
    lode_status st = LODE_OK;
    lode_array read = { 0 }, dots[2] = { { 0 } };
    double size[2] = { 0 }, norm = 0, sum = 0;
    const lode_i_sense_sizes *s = &map->size;
    lode_array *const side[2] = { &map->X, &map->Z };
    map->twins = !right;
    for (int i = 0; i < (right ? 2 : 1); i++) {
        LODE_FREE(&read);
        LODE_TRY(lode_i_as_array(ctx, i == 0 ? A : lode_from_array(right), s->dtype, &read));
        LODE_TRY(lode_i_require_finite(ctx, &read, i == 0 ? "sense: A" : "sense: vectors2"));
        LODE_TRY(lode_array_cast(ctx, &read, s->dtype, side[i]));
        LODE_TRY(lode_i_norm_fro(ctx, side[i], &norm));
        size[i] = norm / sqrt((double)lode_array_size(side[i]));
        if (size[i] > 0)
            LODE_TRY(lode_i_scale(ctx, 1 / size[i], side[i]));
        LODE_TRY(lode_i_row_dots(ctx, 1, side[i], side[i], &dots[i]));
    }
    if (map->twins)
        map->Z = lode_array_ref(&map->X), size[1] = size[0], dots[1] = lode_array_ref(&dots[0]);
    for (int64_t i = 0; i < s->m; i++)
        sum += lode_i_get2(&dots[0], i, 0) * lode_i_get2(&dots[1], i, 0);
    const double inner = sqrt(sum / ((double)s->n1 * (double)s->n2));
    if (inner >
        0) /* into the vectors, a root each: what is left of the scale belongs to the result */
        LODE_TRY(lode_i_scale(ctx, map->twins ? 1 / sqrt(inner) : 1 / inner, &map->X));
    map->scale = inner * size[0] * size[1];
done:
    LODE_FREE(&read, &dots[0], &dots[1]);
    return st;
}

lode_status lode_i_sense_open(lode_ctx *ctx, lode_value A, const lode_i_sense_sizes *s,
                              const lode_array *right, bool resident, lode_i_sense_map *map)
{
    lode_status st = LODE_OK;
    map->size = *s;
    if (s->vectors)
        LODE_TRY(open_vectors(ctx, A, right, map));
    else
        LODE_TRY(open_matrices(ctx, A, resident, map));
    LODE_REQUIRE(map->scale > 0, LODE_EDOMAIN,
                 "sense: A holds zeros alone; it measures nothing of a matrix");
    LODE_REQUIRE(isfinite(map->scale), LODE_EDOMAIN,
                 "sense: the entries of A are too large for their products; scale them down");
done:
    return st;
}

void lode_i_sense_close(lode_i_sense_map *map)
{
    LODE_FREE(&map->A, &map->rows, &map->held, &map->X, &map->Z);
}

void lode_i_sense_point_free(lode_i_sense_point *p)
{
    LODE_FREE(&p->F, &p->G, &p->r, &p->D, &p->w, &p->P, &p->Q);
}

/* ---- there and back ---- */

static lode_status look_matrices(lode_ctx *ctx, const lode_i_sense_map *map,
                                 const lode_i_sense_data *d, const lode_array *G,
                                 lode_i_sense_point *p)
{
    lode_status st = LODE_OK;
    lode_array M = { 0 }, x = { 0 }, z = { 0 };
    const lode_i_sense_sizes *s = &map->size;
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_T, &p->F, G, &M));
    LODE_TRY(lode_i_scale(ctx, 1 / map->scale, &M));
    LODE_TRY(lode_array_reshape(ctx, &M, 2, (const int64_t[]){ s->n1 * s->n2, 1 }, &x));
    LODE_TRY(lode_i_linop_misfit(ctx, map->A, &x, &d->misfit, &p->r, &z));
    LODE_TRY(lode_i_scale(ctx, 1 / map->scale, &z));
    LODE_TRY(lode_array_reshape(ctx, &z, 2, (const int64_t[]){ s->n1, s->n2 }, &p->D));
done:
    LODE_FREE(&M, &x, &z);
    return st;
}

static lode_status look_vectors(lode_ctx *ctx, const lode_i_sense_map *map,
                                const lode_i_sense_data *d, const lode_array *G,
                                lode_i_sense_point *p)
{
    lode_status st = LODE_OK;
    lode_array r = { 0 }, w = { 0 }, P = { 0 }, Q = { 0 };
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &map->X, &p->F, &P));
    if (map->twins && G == &p->F)
        Q = lode_array_ref(&P);
    else
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &map->Z, G, &Q));
    LODE_TRY(lode_i_row_dots(ctx, 1, &P, &Q, &r));
    LODE_TRY(lode_i_matrix_new(ctx, map->size.dtype, map->size.m, 1, &w));
    lode_i_misfit_rows(&d->misfit, 0, &r, &w);
    lode_array_swap(&p->r, &r), lode_array_swap(&p->w, &w);
    lode_array_swap(&p->P, &P), lode_array_swap(&p->Q, &Q);
done:
    LODE_FREE(&r, &w, &P, &Q);
    return st;
}

lode_status lode_i_sense_look(lode_ctx *ctx, const lode_i_sense_map *map,
                              const lode_i_sense_data *d, lode_i_sense_point *p)
{
    const lode_array *G = p->G.data ? &p->G : &p->F;
    double sum[2];
    if (map->size.vectors)
        LODE_FORWARD(look_vectors(ctx, map, d, G, p));
    else
        LODE_FORWARD(look_matrices(ctx, map, d, G, p));
    lode_i_misfit_sums(&d->misfit, d->misfit.sign ? 1 : 2, &p->r, &sum[0], &sum[1]);
    for (int i = 0; i < 2; i++) {
        const double off = d->misfit.sign ? sum[i] : sqrt(sum[i]);
        *(i == 0 ? &p->fitted : &p->held) = d->size[i] > 0 ? off / d->size[i] : off;
    }
    return LODE_OK;
}

/* X^T diag(w) Y */
static lode_status gather(lode_ctx *ctx, const lode_array *X, const lode_array *w,
                          const lode_array *Y, double alpha, double beta, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array weighed = { 0 }, flat = { 0 };
    LODE_TRY(lode_array_cast(ctx, Y, Y->dtype, &weighed));
    LODE_TRY(lode_array_reshape(ctx, w, 1, &w->shape[0], &flat));
    LODE_TRY(lode_i_scale_rows(ctx, &weighed, &flat));
    if (!out->data)
        LODE_TRY(lode_i_matrix_new(ctx, Y->dtype, X->shape[1], Y->shape[1], out));
    LODE_TRY(lode_i_gemm_into(ctx, LODE_T, LODE_N, alpha, X, &weighed, beta, out));
done:
    LODE_FREE(&weighed, &flat);
    return st;
}

static lode_status product(lode_ctx *ctx, lode_trans t, double alpha, const lode_array *D,
                           const lode_array *Y, double beta, lode_array *out)
{
    if (!out->data)
        LODE_FORWARD(
            lode_i_matrix_new(ctx, Y->dtype, D->shape[t == LODE_N ? 0 : 1], Y->shape[1], out));
    return lode_i_gemm_into(ctx, t, LODE_N, alpha, D, Y, beta, out);
}

lode_status lode_i_sense_times(lode_ctx *ctx, const lode_i_sense_map *map,
                               const lode_i_sense_point *p, bool adjoint, const lode_array *V,
                               lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array T = { 0 }, made = { 0 };
    if (map->size.vectors) {
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, adjoint ? &map->X : &map->Z, V, &T));
        LODE_TRY(gather(ctx, adjoint ? &map->Z : &map->X, &p->w, &T, 1, 0, &made));
    } else {
        LODE_TRY(product(ctx, adjoint ? LODE_T : LODE_N, 1, &p->D, V, 0, &made));
    }
    lode_array_swap(out, &made);
done:
    LODE_FREE(&T, &made);
    return st;
}

lode_status lode_i_sense_gradient(lode_ctx *ctx, const lode_i_sense_map *map,
                                  const lode_i_sense_point *p, lode_array *dF, lode_array *dG)
{
    lode_status st = LODE_OK;
    lode_array f = { 0 }, g = { 0 };
    const bool sym = p->G.ndim == 0;
    if (map->size.vectors) {
        LODE_TRY(gather(ctx, &map->X, &p->w, &p->Q, sym && !map->twins ? 0.5 : 1, 0, &f));
        if (!sym)
            LODE_TRY(gather(ctx, &map->Z, &p->w, &p->P, 1, 0, &g));
        else if (!map->twins)
            LODE_TRY(gather(ctx, &map->Z, &p->w, &p->P, 0.5, 1, &f));
    } else {
        LODE_TRY(product(ctx, LODE_N, sym ? 0.5 : 1, &p->D, sym ? &p->F : &p->G, 0, &f));
        if (sym)
            LODE_TRY(product(ctx, LODE_T, 0.5, &p->D, &p->F, 1, &f));
        else
            LODE_TRY(product(ctx, LODE_T, 1, &p->D, &p->F, 0, &g));
    }
    lode_array_swap(dF, &f);
    if (dG)
        lode_array_swap(dG, &g);
done:
    LODE_FREE(&f, &g);
    return st;
}

lode_status lode_i_sense_back(lode_ctx *ctx, const lode_i_sense_map *map,
                              const lode_i_sense_point *p, lode_array *D)
{
    lode_array d = { 0 };
    if (!map->size.vectors)
        return lode_array_cast(ctx, &p->D, p->D.dtype, D);
    const lode_status st = gather(ctx, &map->X, &p->w, &map->Z, 1, 0, &d);
    if (st >= 0)
        lode_array_swap(D, &d);
    lode_array_free(&d);
    return st;
}
