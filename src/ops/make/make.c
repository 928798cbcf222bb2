/* make: generated data with known structure.
 * Source: definitions. Random orthogonal factors are the Q of Gaussian matrices (Stewart, SIAM J.
 * Numer. Anal. 17 (1980), doi:10.1137/0717034). Departures: none. */
#include <math.h>
#include <string.h>

#include "linalg/linalg.h"
#include "lode/make.h"
#include "op/op.h"
#include "ops/make/make.h"

static const lode_param params[] = {
    { LODE_PARAM(lode_make_opts, shape), .def_text = "100,100", .min = 0, .max = 1e12,
      .help = "sizes of the axes" },
    { LODE_PARAM(lode_make_opts, rank), .def_text = "10", .min = 1, .max = 1e6,
      .help = "rank of the structure (lowrank, outliers, spectrum, parts, relations, "
              "observations): R or "
              "R1,R2,.." },
    { LODE_PARAM(lode_make_opts, decay), .def = 1, .min = 0, .max = 100,
      .help = "singular values of spectrum fall as i^-decay" },
    { LODE_PARAM(lode_make_opts, noise), .def = 0, .min = 0, .max = 1e6,
      .help = "standard deviation of white noise added" },
    { LODE_PARAM(lode_make_opts, missing), .def = 0, .min = 0, .max = 1,
      .help = "share of values made NaN" },
    { LODE_PARAM(lode_make_opts, density), .def = 0.01, .min = 1e-9, .max = 1,
      .help = "share of values that the sparse kind keeps, or that outliers spoil" },
    { LODE_PARAM(lode_make_opts, dtype), .def = 1, .choices = "f32|f64",
      .help = "type of the values" },
    { 0 },
};
static const lode_port in[] = {
    { "kind", NULL, .kinds = LODE_KIND_BIT(LODE_TEXT),
      .help = "normal, lowrank, outliers, spectrum, parts, relations, observations (of --rank "
              "smooth terms), "
              "bumps, "
              "sparse, symmetric, laplacian (of a grid of --shape) or complex" },
    { 0 },
};
static const lode_port out[] = {
    { "x", "...", .kinds = LODE_KIND_BIT(LODE_ARRAY) | LODE_KIND_BIT(LODE_SPARSE),
      .help = "the data" },
    { "errors", "m,n", .kinds = LODE_KIND_BIT(LODE_SPARSE), .optional = true,
      .help = "outliers: the gross errors in x, CSR" },
    { 0 },
};

LODE_DEFAULTS(make)

enum { BUMPS = 200 }; /* Gaussian bumps in the cube */
enum {
    SITE_VALUES,
    SITE_FACTOR,
    SITE_NOISE = 64,
    SITE_MISSING,
    SITE_BUMP,
    SITE_PLACE,
    SITE_COUNT,
    SITE_PART
};

typedef struct grid {
    int ndim;
    int64_t shape[LODE_MAX_NDIM];
    int64_t size;
    lode_dtype dtype;
} grid;

static lode_status read_grid(lode_ctx *ctx, const lode_make_opts *o, grid *g)
{
    *g = (grid){ .ndim = o->shape.count, .size = 1, .dtype = o->dtype == 0 ? LODE_F32 : LODE_F64 };
    for (int i = 0; i < g->ndim; i++) {
        g->shape[i] = (int64_t)o->shape.value[i];
        if ((double)g->shape[i] != o->shape.value[i] || !lode_i_mul(g->size, g->shape[i], &g->size))
            return lode_i_fail(ctx, LODE_ESHAPE,
                               "make: option shape holds %g; give whole numbers whose product fits",
                               o->shape.value[i]);
    }
    return LODE_OK;
}

static int64_t rank_of(const lode_make_opts *o, int axis, int64_t n)
{
    const int k = o->rank.count == 1 ? 0 : axis;
    const int64_t r = k < o->rank.count ? o->rank.value[k] : 10;
    return lode_i_min(r, n);
}

/* n x r with orthonormal columns, uniformly distributed. */
static lode_status random_basis(lode_ctx *ctx, uint64_t site, int64_t n, int64_t r, lode_array *Q)
{
    LODE_FORWARD(lode_i_randn(ctx, lode_i_stream(ctx, "make", site), LODE_F64, n, r, Q));
    return lode_i_orth(ctx, Q, NULL);
}

/* Core of normal values times an orthonormal basis on every mode, scaled to unit variance. */
static lode_status make_lowrank(lode_ctx *ctx, const lode_make_opts *o, const grid *g,
                                lode_array *x)
{
    lode_status st = LODE_OK;
    lode_array flat = { 0 }, y = { 0 }, U = { 0 };
    int64_t r[LODE_MAX_NDIM], count = 1;
    double norm = 0;
    for (int i = 0; i < g->ndim; i++) {
        r[i] = rank_of(o, i, g->shape[i]);
        count *= r[i];
    }
    LODE_TRY(lode_i_randn(ctx, lode_i_stream(ctx, "make", SITE_VALUES), LODE_F64, 1, count, &flat));
    LODE_TRY(lode_array_reshape(ctx, &flat, g->ndim, r, x));
    for (int i = 0; i < g->ndim; i++) {
        LODE_TRY(random_basis(ctx, SITE_FACTOR + (uint64_t)i, g->shape[i], r[i], &U));
        LODE_TRY(lode_i_ttm(ctx, x, i, LODE_N, &U, &y));
        lode_array_swap(x, &y);
        LODE_TRY(lode_i_tick(ctx, i, g->ndim));
    }
    LODE_TRY(lode_i_norm_fro(ctx, x, &norm));
    if (norm > 0)
        LODE_TRY(lode_i_scale(ctx, sqrt((double)g->size) / norm, x));
done:
    LODE_FREE(&flat, &y, &U);
    return st;
}

/* U diag(i^-decay) V^T; a rank that was asked for cuts it. */
static lode_status make_spectrum(lode_ctx *ctx, const lode_make_opts *o, const grid *g,
                                 lode_array *x)
{
    lode_status st = LODE_OK;
    lode_array U = { 0 }, V = { 0 }, s = { 0 };
    LODE_REQUIRE(g->ndim == 2, LODE_ESHAPE, "make: spectrum gives matrices; shape has %d axes",
                 g->ndim);
    const int64_t n = lode_i_min(g->shape[0], g->shape[1]);
    const int64_t r = o->rank.count == 1 ? lode_i_min(o->rank.value[0], n) : n;
    LODE_TRY(random_basis(ctx, SITE_FACTOR, g->shape[0], r, &U));
    LODE_TRY(random_basis(ctx, SITE_FACTOR + 1, g->shape[1], r, &V));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, r, &s));
    for (int64_t i = 0; i < r; i++)
        lode_i_set1(&s, i, pow((double)(i + 1), -o->decay));
    LODE_TRY(lode_i_scale_cols(ctx, &U, &s));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_T, &U, &V, x));
done:
    LODE_FREE(&U, &V, &s);
    return st;
}

/* W H^T of sparse nonnegative factors, uniform in [0, 1) at half of their places. */
static lode_status make_parts(lode_ctx *ctx, const lode_make_opts *o, const grid *g, lode_array *x)
{
    lode_status st = LODE_OK;
    lode_array F[2] = { { 0 } };
    LODE_REQUIRE(g->ndim == 2, LODE_ESHAPE, "make: parts gives matrices; shape has %d axes",
                 g->ndim);
    const int64_t r = o->rank.count == 1 ? o->rank.value[0] : lode_i_min(g->shape[0], g->shape[1]);
    for (int f = 0; f < 2; f++) {
        const lode_stream s = lode_i_stream(ctx, "make", SITE_PART + (uint64_t)f);
        LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, g->shape[f], r, &F[f]));
        for (int64_t i = 0; i < g->shape[f]; i++) {
            LODE_TRY(lode_i_tick(ctx, i, g->shape[f]));
            for (int64_t c = 0; c < r; c++) {
                const double v = 2 * lode_i_random_uniform(s, (uint64_t)(i * r + c)) - 1;
                lode_i_set2(&F[f], i, c, v > 0 ? v : 0);
            }
        }
    }
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_T, &F[0], &F[1], x));
done:
    LODE_FREE(&F[0], &F[1]);
    return st;
}

/* A R_k A' for every k, n x n x m: A uniform in [0, 1) at half of its places, R_k uniform. */
static lode_status make_relations(lode_ctx *ctx, const lode_make_opts *o, const grid *g,
                                  lode_array *x)
{
    lode_status st = LODE_OK;
    lode_array A = { 0 }, flat = { 0 }, core = { 0 }, one = { 0 };
    LODE_REQUIRE(g->ndim == 3 && g->shape[0] == g->shape[1], LODE_ESHAPE,
                 "make: relations are n x n x m; shape has %d axes%s", g->ndim,
                 g->ndim == 3 ? ", the first two of different sizes" : "");
    const int64_t n = g->shape[0], m = g->shape[2], r = rank_of(o, 0, n);
    const lode_stream s = lode_i_stream(ctx, "make", SITE_PART),
                      t = lode_i_stream(ctx, "make", SITE_PART + 1);
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, n, r, &A));
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, r * r, m, &flat));
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < r; c++) {
            const double v = 2 * lode_i_random_uniform(s, (uint64_t)(i * r + c)) - 1;
            lode_i_set2(&A, i, c, v > 0 ? v : 0);
        }
    for (int64_t i = 0; i < r * r; i++)
        for (int64_t k = 0; k < m; k++)
            lode_i_set2(&flat, i, k, lode_i_random_uniform(t, (uint64_t)(i * m + k)));
    LODE_TRY(lode_array_reshape(ctx, &flat, 3, (const int64_t[]){ r, r, m }, &core));
    LODE_TRY(lode_i_ttm(ctx, &core, 0, LODE_N, &A, &one));
    LODE_TRY(lode_i_ttm(ctx, &one, 1, LODE_N, &A, x));
done:
    LODE_FREE(&A, &flat, &core, &one);
    return st;
}

/* Bump b along one axis: exp(-(t - centre)^2 / (2 width^2)), t in the unit interval. */
static lode_status bump_profiles(lode_ctx *ctx, int axis, int64_t n, lode_array *E)
{
    const lode_stream s = lode_i_stream(ctx, "make", SITE_BUMP);
    LODE_FORWARD(lode_i_matrix_new(ctx, LODE_F64, n, BUMPS, E));
    for (int64_t b = 0; b < BUMPS; b++) {
        const double centre = lode_i_random_uniform(s, (uint64_t)(b * 64 + 2 + axis));
        const double width = 0.03 + 0.12 * lode_i_random_uniform(s, (uint64_t)(b * 64));
        for (int64_t i = 0; i < n; i++) {
            const double t = (((double)i + 0.5) / (double)n - centre) / width;
            lode_i_set2(E, i, b, exp(-0.5 * t * t));
        }
    }
    return LODE_OK;
}

/* A separable sum: the last two axes are a product of matrices, the others scale its inner
 * index. */
static lode_status make_bumps(lode_ctx *ctx, const grid *g, lode_array *x)
{
    lode_status st = LODE_OK;
    lode_array E[LODE_MAX_NDIM] = { { 0 } }, row = { 0 }, left = { 0 }, slices = { 0 },
               slice = { 0 }, cut = { 0 };
    const lode_stream s = lode_i_stream(ctx, "make", SITE_BUMP);
    LODE_REQUIRE(g->ndim >= 2, LODE_ESHAPE, "make: bumps needs two axes or more; shape has %d",
                 g->ndim);
    const int64_t m = g->shape[g->ndim - 2], n = g->shape[g->ndim - 1];
    int64_t outer = 1;
    for (int i = 0; i < g->ndim; i++)
        LODE_TRY(bump_profiles(ctx, i, g->shape[i], &E[i]));
    for (int i = 0; i + 2 < g->ndim; i++)
        outer *= g->shape[i];
    LODE_TRY(lode_array_new(ctx, LODE_F64, g->ndim, g->shape, x));
    LODE_TRY(lode_array_reshape(ctx, x, 3, (const int64_t[]){ outer, m, n }, &slices));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, BUMPS, &row));
    for (int64_t k = 0; k < outer; k++) {
        for (int64_t b = 0; b < BUMPS; b++) {
            double v = lode_i_random_normal(s, (uint64_t)(b * 64 + 1));
            for (int64_t i = g->ndim - 3, rest = k; i >= 0; rest /= g->shape[i], i--)
                v *= lode_i_get2(&E[i], rest % g->shape[i], b);
            lode_i_set1(&row, b, v);
        }
        LODE_TRY(lode_array_cast(ctx, &E[g->ndim - 2], LODE_F64, &left));
        LODE_TRY(lode_i_scale_cols(ctx, &left, &row));
        LODE_TRY(lode_array_slice(ctx, &slices, 0, k, k + 1, 1, &cut));
        LODE_TRY(lode_array_reshape(ctx, &cut, 2, (const int64_t[]){ m, n }, &slice));
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_T, 1, &left, &E[g->ndim - 1], 0, &slice));
        LODE_TRY(lode_i_tick(ctx, k, outer));
    }
done:
    for (int i = 0; i < g->ndim && i < LODE_MAX_NDIM; i++)
        LODE_FREE(&E[i]);
    LODE_FREE(&row, &left, &slices, &slice, &cut);
    return st;
}

static lode_status make_normal(lode_ctx *ctx, const grid *g, uint64_t site, lode_dtype dtype,
                               lode_array *x)
{
    lode_status st = LODE_OK;
    lode_array flat = { 0 };
    const int64_t last = g->ndim > 0 ? g->shape[g->ndim - 1] : 1;
    LODE_TRY(lode_i_randn(ctx, lode_i_stream(ctx, "make", site), dtype,
                          last > 0 ? g->size / last : 0, last, &flat));
    LODE_TRY(lode_array_reshape(ctx, &flat, g->ndim, g->shape, x));
done:
    LODE_FREE(&flat);
    return st;
}

/* Columns of one row of the sparse kind: distinct, ascending. The count is the expected one,
 * rounded at random. */
static int64_t row_columns(lode_ctx *ctx, int64_t row, int64_t n, double density, int64_t *column)
{
    const lode_stream place = lode_i_stream(ctx, "make", SITE_PLACE),
                      count = lode_i_stream(ctx, "make", SITE_COUNT);
    const double expected = density * (double)n;
    const int64_t want = lode_i_min(
        n, (int64_t)(expected + lode_i_random_uniform(count, (uint64_t)row)));
    int64_t found = 0;
    for (uint64_t draw = 0; found < want; draw++) {
        /* Dense rows are drawn in order with the right probability; sparse ones by rejection. */
        if (2 * want > n) {
            const double left = (double)(want - found) / (double)(n - (int64_t)draw);
            if (lode_i_random_uniform(place, ((uint64_t)row << 32) + draw) < left)
                column[found++] = (int64_t)draw;
            continue;
        }
        const int64_t j = (int64_t)lode_i_random_below(place, ((uint64_t)row << 32) + draw,
                                                       (uint64_t)n);
        int64_t lo = 0, hi = found;
        while (lo < hi) {
            const int64_t mid = (lo + hi) / 2;
            if (column[mid] < j)
                lo = mid + 1;
            else
                hi = mid;
        }
        if (lo < found && column[lo] == j)
            continue;
        memmove(column + lo + 1, column + lo, (size_t)(found - lo) * sizeof *column);
        column[lo] = j;
        found++;
    }
    return found;
}

static lode_status make_sparse(lode_ctx *ctx, const lode_make_opts *o, const grid *g,
                               lode_sparse *result)
{
    lode_status st = LODE_OK;
    lode_sparse s = { .layout = LODE_CSR, .ndim = 2 };
    lode_array columns = { 0 }, values = { 0 }, cut = { 0 };
    int64_t *column = NULL, nnz = 0;
    LODE_REQUIRE(g->ndim == 2, LODE_ESHAPE, "make: sparse gives matrices; shape has %d axes",
                 g->ndim);
    const int64_t m = g->shape[0], n = g->shape[1];
    const double most = (double)m * (o->density * (double)n + 1);
    LODE_REQUIRE(most < 1e15, LODE_ESHAPE,
                 "make: the sparse matrix would hold %.3g values; lower the density", most);
    s.shape[0] = m, s.shape[1] = n;
    LODE_TRY(LODE_NEW(ctx, n, &column));
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, m + 1, &s.indptr));
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, (int64_t)most, &columns));
    lode_i_set1(&s.indptr, 0, 0);
    for (int64_t i = 0; i < m; i++) {
        const int64_t count = row_columns(ctx, i, n, o->density, column);
        for (int64_t k = 0; k < count; k++)
            lode_i_set1(&columns, nnz++, (double)column[k]);
        lode_i_set1(&s.indptr, i + 1, (double)nnz);
        if (i % 1024 == 0)
            LODE_TRY(lode_i_tick(ctx, i, m));
    }
    LODE_TRY(lode_array_slice(ctx, &columns, 0, 0, nnz, 1, &cut));
    LODE_TRY(lode_array_cast(ctx, &cut, LODE_I64, &s.indices));
    LODE_TRY(lode_i_randn(ctx, lode_i_stream(ctx, "make", SITE_VALUES), g->dtype, 1, nnz, &values));
    LODE_TRY(lode_array_reshape(ctx, &values, 1, &nnz, &s.values));
    const lode_sparse old = *result;
    *result = s, s = old;
done:
    lode_i_free(column);
    LODE_FREE(&s, &columns, &values, &cut);
    return st;
}

static lode_status make_symmetric(lode_ctx *ctx, const grid *g, lode_array *x)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    LODE_REQUIRE(g->ndim == 2 && g->shape[0] == g->shape[1], LODE_ESHAPE,
                 "make: symmetric gives square matrices; give --shape N,N");
    LODE_TRY(make_normal(ctx, g, SITE_VALUES, LODE_F64, &y));
    LODE_TRY(lode_array_cast(ctx, &y, LODE_F64, x));
    const lode_array turned = lode_i_transposed(&y);
    LODE_TRY(lode_i_axpy(ctx, 1, &turned, x));
    LODE_TRY(lode_i_scale(ctx, 0.5, x));
done:
    LODE_FREE(&y);
    return st;
}

static lode_status make_observations(lode_ctx *ctx, const lode_make_opts *o, const grid *g,
                                     lode_array *x)
{
    if (g->ndim != 2 || g->shape[1] < 2)
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "make: observations are rows of indexes and a value; give --shape N,D "
                           "with D of 2 or more");
    return lode_i_make_observations(ctx, g->shape, o->rank.count > 0 ? o->rank.value[0] : 10, x);
}

static lode_status add_noise(lode_ctx *ctx, const lode_make_opts *o, const grid *g, lode_array *x)
{
    lode_status st = LODE_OK;
    lode_array e = { 0 };
    if (o->noise > 0) {
        LODE_TRY(make_normal(ctx, g, SITE_NOISE, x->dtype, &e));
        LODE_TRY(lode_i_axpy(ctx, o->noise, &e, x));
    }
done:
    LODE_FREE(&e);
    return st;
}

/* Of observations to the values alone, which are the last column. */
static lode_status add_noise_to_values(lode_ctx *ctx, const lode_make_opts *o, const grid *g,
                                       lode_array *x)
{
    lode_array last = lode_i_cols(x, g->shape[1] - 1, g->shape[1]);
    const grid column = { .ndim = 2, .shape = { g->shape[0], 1 }, .size = g->shape[0] };
    const lode_status st = add_noise(ctx, o, &column, &last);
    lode_array_free(&last);
    return st;
}

static lode_status punch_holes(lode_ctx *ctx, const lode_make_opts *o, lode_array *x)
{
    lode_status st = LODE_OK;
    lode_array flat = { 0 };
    const lode_stream s = lode_i_stream(ctx, "make", SITE_MISSING);
    const int64_t size = lode_array_size(x);
    LODE_TRY(lode_array_reshape(ctx, x, 1, &size, &flat)); /* contiguous: a view */
    for (int64_t i = 0; o->missing > 0 && i < size; i++)
        if (lode_i_random_uniform(s, (uint64_t)i) < o->missing)
            lode_i_set1(&flat, i, NAN);
done:
    LODE_FREE(&flat);
    return st;
}

static lode_status plan(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    const lode_make_opts *o = lode_call_opts(c);
    grid g;
    LODE_FORWARD(read_grid(ctx, o, &g));
    int64_t sides = 0, big = 1;
    for (int i = 0; i < g.ndim; i++) {
        sides += g.shape[i];
        big = lode_i_max(big, g.shape[i]);
    }
    const char *kind = c->in[0].kind == LODE_TEXT ? c->in[0].as.text : "";
    if (strcmp(kind, "laplacian") == 0) { /* 2 d + 1 entries a row at most */
        p->output = 16 * (uint64_t)g.size * (uint64_t)(2 * g.ndim + 2) + 4096;
        p->workspace = UINT64_C(1) << 20;
        snprintf(p->algorithm, sizeof p->algorithm, "%s", kind);
        return LODE_OK;
    }
    const bool sparse = strcmp(kind, "sparse") == 0, errors = strcmp(kind, "outliers") == 0;
    const int64_t rank = o->rank.count > 0 ? lode_i_min(o->rank.value[0], big) : 0;
    int64_t width = lode_i_max(BUMPS, rank); /* of factors */
    if (strcmp(kind, "normal") == 0)
        width = 0;
    const uint64_t values = sparse ? (uint64_t)((double)g.size * o->density + (double)sides)
                                   : (uint64_t)g.size;
    p->output = (sparse ? 24 : errors ? 32 : 16) * values + 8 * (uint64_t)sides + 4096;
    p->workspace = (sparse ? 32 : 24) * values + 64 * (uint64_t)sides * (uint64_t)width +
                   (UINT64_C(1) << 24);
    snprintf(p->algorithm, sizeof p->algorithm, "%s", kind);
    return LODE_OK;
}

lode_status lode_make(lode_ctx *ctx, const lode_make_opts *o, const char *kind, lode_array *x,
                      lode_sparse *sparse)
{
    lode_status st = LODE_OK;
    lode_plan p = { 0 };
    lode_array y = { 0 }, cast = { 0 };
    lode_sparse errors = { 0 };
    grid g;

    LODE_ENTER(&lode_op_make, o, &p, lode_from_text(kind));
    LODE_TRY(read_grid(ctx, o, &g));
    const bool complex_kind = strcmp(kind, "complex") == 0;
    if (strcmp(kind, "sparse") == 0) {
        LODE_TRY(make_sparse(ctx, o, &g, sparse));
        goto done;
    }
    if (strcmp(kind, "laplacian") == 0) {
        LODE_TRY(lode_i_make_laplacian(ctx, g.ndim, g.shape, g.dtype, sparse));
        goto done;
    }
    if (complex_kind)
        LODE_TRY(make_normal(ctx, &g, SITE_VALUES, g.dtype == LODE_F32 ? LODE_C64 : LODE_C128, &y));
    else if (strcmp(kind, "normal") == 0)
        LODE_TRY(make_normal(ctx, &g, SITE_VALUES, LODE_F64, &y));
    else if (strcmp(kind, "symmetric") == 0)
        LODE_TRY(make_symmetric(ctx, &g, &y));
    else if (strcmp(kind, "lowrank") == 0)
        LODE_TRY(make_lowrank(ctx, o, &g, &y));
    else if (strcmp(kind, "outliers") == 0) {
        LODE_REQUIRE(g.ndim == 2, LODE_ESHAPE, "make: outliers gives matrices; shape has %d axes",
                     g.ndim);
        LODE_TRY(make_lowrank(ctx, o, &g, &y));
        LODE_TRY(lode_i_make_outliers(ctx, o->density, &y, &errors));
    } else if (strcmp(kind, "spectrum") == 0)
        LODE_TRY(make_spectrum(ctx, o, &g, &y));
    else if (strcmp(kind, "parts") == 0)
        LODE_TRY(make_parts(ctx, o, &g, &y));
    else if (strcmp(kind, "relations") == 0)
        LODE_TRY(make_relations(ctx, o, &g, &y));
    else if (strcmp(kind, "observations") == 0)
        LODE_TRY(make_observations(ctx, o, &g, &y));
    else if (strcmp(kind, "bumps") == 0)
        LODE_TRY(make_bumps(ctx, &g, &y));
    else
        LODE_REQUIRE(false, LODE_EUSAGE, "make: no kind '%s'; there are %s", kind, in[0].help);
    if (strcmp(kind, "observations") == 0)
        LODE_TRY(add_noise_to_values(ctx, o, &g, &y));
    else
        LODE_TRY(add_noise(ctx, o, &g, &y));
    LODE_TRY(punch_holes(ctx, o, &y));
    if (!complex_kind && g.dtype == LODE_F32) {
        LODE_TRY(lode_array_cast(ctx, &y, LODE_F32, &cast));
        lode_array_swap(&y, &cast);
        if (errors.ndim > 0) {
            LODE_TRY(lode_array_cast(ctx, &errors.values, LODE_F32, &cast));
            lode_array_swap(&errors.values, &cast);
        }
    }
    if (errors.ndim > 0) {
        const lode_sparse old = *sparse;
        *sparse = errors, errors = old;
    }
    lode_array_swap(x, &y);
done:
    LODE_FREE(&y, &cast, &errors);
    LODE_LEAVE();
    return st;
}

static lode_status run(lode_ctx *ctx, const lode_call *c, lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_array x = { 0 };
    lode_sparse s = { 0 };
    LODE_TRY(lode_make(ctx, lode_call_opts(c), c->in[0].as.text, &x, &s));
    if (s.ndim == 0 || x.ndim > 0)
        LODE_TRY(lode_bundle_add_array(ctx, result, "x", &x));
    if (s.ndim > 0)
        LODE_TRY(lode_bundle_add_sparse(ctx, result, result->count > 0 ? "errors" : "x", &s));
    result->certificate = (lode_certificate){ .kind = LODE_CERT_NONE, .asked = NAN };
done:
    LODE_FREE(&x, &s);
    return st;
}

const lode_op lode_op_make = {
    .name = "make",
    .family = "make",
    .job = LODE_SAMPLE,
    .brief = "generated data with known structure",
    .words = "generate random synthetic test example normal lowrank sparse nonnegative noise",
    .example = "lode make lowrank --shape 40,50,60 --rank 5 -o lowrank.npy",
    .params = params,
    .opts_size = sizeof(lode_make_opts),
    .in = in,
    .out = out,
    .certificate = LODE_CERT_NONE,
    .plan = plan,
    .run = run,
};
