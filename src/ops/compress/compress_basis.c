/* Bases of the modes: cosines and wavelets, which cost nothing to store, and learned ones, of which each column
 * is stored as finely as its energy over the step asks. What comes back from the code is made
 * orthonormal again, so that the error of a block is that of its coefficients whatever the bases
 * lost. */
#include <math.h>
#include <string.h>

#include "ops/compress/compress.h"

/* A product with a share of the columns below 1 / FEW costs less than all cosines. */
enum { FEW = 8 };

void basis_free(basis *b)
{
    LODE_FREE(&b->matrix, &b->coded);
    *b = (basis){ 0 };
}

int basis_moments(basis_kind kind)
{
    return kind < BASIS_WAVELETS2 ? 0 : (int)(kind - BASIS_WAVELETS2) + LODE_WAVELETS_LEAST;
}

lode_status basis_admits(lode_ctx *ctx, basis_kind kind, int64_t n)
{
    const bool given = kind == BASIS_DCT || basis_moments(kind);
    return given && n > BASIS_LONGEST
               ? lode_i_fail(ctx, LODE_EFORMAT,
                             "compress: a record has cosines or wavelets of %" PRId64
                             " entries; there may be %d",
                             n, (int)BASIS_LONGEST)
               : LODE_OK;
}

/* Rows of cosines: entry (i, j) = sqrt((2 - [j = 0]) / n) cos(pi (i + 1/2) j / n). */
static lode_status dct_rows(lode_ctx *ctx, lode_dtype dtype, int64_t n, int64_t columns,
                            int64_t start, int64_t count, int64_t step, lode_array *matrix)
{
    lode_status st = LODE_OK;
    lode_array B = { 0 };
    double *cosine = NULL; /* cos(pi t / 2n) over a period */
    const double pi = 3.14159265358979323846;
    LODE_TRY(lode_i_matrix_new(ctx, dtype, count, columns, &B));
    LODE_TRY(LODE_NEW(ctx, 4 * n, &cosine));
    for (int64_t t = 0; t < 4 * n; t++)
        cosine[t] = cos(pi * (double)t / (double)(2 * n));
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < columns; j++)
            lode_i_set2(&B, i, j,
                        sqrt((j ? 2.0 : 1.0) / (double)n) *
                            cosine[(2 * (start + i * step) + 1) * j % (4 * n)]);
    lode_array_swap(matrix, &B);
done:
    lode_i_free(cosine);
    LODE_FREE(&B);
    return st;
}

/* Row i is what wavelets make of unit vector i. */
static lode_status wavelet_rows(lode_ctx *ctx, const basis *b, lode_dtype dtype, int64_t start,
                                int64_t count, int64_t step, lode_array *matrix)
{
    lode_status st = LODE_OK;
    lode_array R = { 0 }, part = { 0 };
    LODE_TRY(lode_array_zeros(ctx, dtype, 2, (const int64_t[]){ count, b->length }, &R));
    for (int64_t i = 0; i < count; i++)
        lode_i_set2(&R, i, start + i * step, 1);
    LODE_TRY(lode_i_wavelets_into(ctx, &R, 1, b->length, true, basis_moments(b->kind), &R));
    part = lode_i_cols(&R, 0, b->columns);
    LODE_TRY(lode_i_as(ctx, &part, dtype, matrix));
done:
    LODE_FREE(&R, &part);
    return st;
}

lode_status basis_rows(lode_ctx *ctx, const basis *b, lode_dtype dtype, int64_t start,
                       int64_t count, int64_t step, lode_array *matrix)
{
    return b->kind == BASIS_DCT
               ? dct_rows(ctx, dtype, b->length, b->columns, start, count, step, matrix)
               : wavelet_rows(ctx, b, dtype, start, count, step, matrix);
}

lode_status basis_given(lode_ctx *ctx, basis_kind kind, lode_dtype dtype, int64_t n,
                        int64_t columns, basis *b)
{
    *b = (basis){ .kind = kind, .length = n, .columns = columns };
    return kind == BASIS_DCT && columns <= n / FEW ? basis_rows(ctx, b, dtype, 0, n, 1, &b->matrix)
                                                   : LODE_OK;
}

/* Cosines or wavelets along mode k of *y, forward, to as many as the basis has columns, or back; where
 * nothing else holds *y (own), in its place if it is as long. */
static lode_status turn_given(lode_ctx *ctx, const basis *b, int k, bool forward, bool own,
                              lode_array *y)
{
    lode_status st = LODE_OK;
    lode_array x = { 0 }, z = { 0 };
    int64_t shape[LODE_MAX_NDIM];
    memcpy(shape, y->shape, sizeof shape);
    shape[k] = forward ? b->columns : b->length;
    if (own && shape[k] == y->shape[k] && lode_array_is_contiguous(y)) {
        lode_array_swap(&x, y);
        z = lode_array_ref(&x);
    } else {
        LODE_TRY(lode_i_as(ctx, y, y->dtype, &x)); /* contiguous */
        LODE_TRY(lode_array_new(ctx, y->dtype, y->ndim, shape, &z));
    }
    if (b->kind == BASIS_DCT)
        LODE_TRY(lode_i_cosines_into(ctx, &x, k, b->length, forward, &z));
    else
        LODE_TRY(lode_i_wavelets_into(ctx, &x, k, b->length, forward, basis_moments(b->kind), &z));
    lode_array_swap(y, &z);
done:
    LODE_FREE(&x, &z);
    return st;
}

/* The first of the modes that cosines turn slab after slab, all up to the last; ndim: there are none. */
static int first_of_slabs(const basis *b, bool forward, const lode_array *X)
{
    int64_t shape[LODE_MAX_NDIM];
    int first = X->ndim;
    while (first > 1 && b[first - 1].kind == BASIS_DCT && !b[first - 1].matrix.data) {
        const int k = first - 1;
        shape[k] = forward ? b[k].columns : b[k].length;
        if (k < X->ndim - 1 && !lode_i_slabs_fit(X->ndim, X->shape, shape, k))
            break;
        first = k;
    }
    return X->ndim - first > 1 ? first : X->ndim;
}

static lode_status turn_slabs(lode_ctx *ctx, const basis *b, int first, bool forward, bool own,
                              lode_array *y)
{
    lode_status st = LODE_OK;
    lode_array x = { 0 }, z = { 0 };
    int64_t shape[LODE_MAX_NDIM], n[LODE_MAX_NDIM];
    bool alike = own && lode_array_is_contiguous(y);
    memcpy(shape, y->shape, sizeof shape);
    for (int k = first; k < y->ndim; k++) {
        n[k] = b[k].length;
        shape[k] = forward ? b[k].columns : b[k].length;
        alike = alike && shape[k] == y->shape[k];
    }
    LODE_TRY(lode_i_as(ctx, y, y->dtype, &x)); /* contiguous */
    if (alike) {
        lode_array_free(y);
        z = lode_array_ref(&x);
    } else {
        LODE_TRY(lode_array_new(ctx, y->dtype, y->ndim, shape, &z));
    }
    LODE_TRY(lode_i_cosines_slabs(ctx, &x, first, n, forward, &z));
    lode_array_swap(y, &z);
done:
    LODE_FREE(&x, &z);
    return st;
}

lode_status basis_multiply(lode_ctx *ctx, const basis *b, bool forward, const lode_array *X,
                           lode_array *Y)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 }, z = { 0 };
    bool done[LODE_MAX_NDIM] = { false }, own = Y == X;
    if (own)
        lode_array_swap(&y, Y);
    else
        y = lode_array_ref(X);
    const int ndim = y.ndim, slabs = first_of_slabs(b, forward, &y);
    for (int pass = 0; pass < ndim; pass++) {
        int next = -1; /* the mode that shrinks most first, or grows most last */
        double best = 0, ratio = 1;
        for (int k = 0; k < ndim; k++) {
            if (done[k] || b[k].kind == BASIS_NONE)
                continue;
            const bool held = b[k].matrix.data != NULL;
            const double rows = (double)(held ? b[k].matrix.shape[0] : b[k].length),
                         columns = (double)(held ? b[k].matrix.shape[1] : b[k].columns);
            ratio = (k > slabs ? ratio : 1) * (forward ? columns / rows : rows / columns);
            if (k >= slabs && k < ndim - 1) /* all of these at once */
                continue;
            /* fresh memory is met slab by slab */
            if (next < 0 || ratio < best || (k >= slabs && forward && ratio <= best))
                next = k < slabs ? k : slabs, best = ratio;
        }
        if (next < 0)
            break;
        for (int k = next; k < (next == slabs ? ndim : next + 1); k++)
            done[k] = true;
        const lode_trans t = forward ? LODE_T : LODE_N;
        if (next == slabs) {
            LODE_TRY(turn_slabs(ctx, b, slabs, forward, own, &y));
        } else if (b[next].matrix.data == NULL) {
            LODE_TRY(turn_given(ctx, &b[next], next, forward, own, &y));
        } else if (own) {
            LODE_TRY(lode_i_ttm_over(ctx, &y, next, t, &b[next].matrix));
        } else {
            LODE_TRY(lode_i_ttm(ctx, &y, next, t, &b[next].matrix, &z));
            lode_array_swap(&y, &z);
            lode_array_free(&z);
        }
        own = true;
        LODE_TRY(lode_i_tick(ctx, pass + 1, ndim));
    }
    lode_array_swap(Y, &y);
done:
    LODE_FREE(&y, &z);
    return st;
}

/* ---- learned bases ---- */

/* Column scales are powers of 2^(1/4) of the step, at or above the column's energy. */
static double scale_of(double step, int64_t level)
{
    return step * exp2((double)level / 4);
}

static lode_status scale_columns(lode_ctx *ctx, const lode_array *levels, double step, bool inverse,
                                 lode_array *F)
{
    lode_status st = LODE_OK;
    lode_array d = { 0 };
    const lode_dtype real = F->dtype;
    LODE_TRY(lode_i_vector_new(ctx, real, F->shape[1], &d));
    for (int64_t j = 0; j < F->shape[1]; j++) {
        const double s = scale_of(step, (int64_t)lode_i_get1(levels, j));
        lode_i_set1(&d, j, inverse ? 1 / s : s);
    }
    LODE_TRY(lode_i_scale_cols(ctx, F, &d));
done:
    LODE_FREE(&d);
    return st;
}

/* Random directions replace columns that were lost altogether; they must not depend on the caller's
 * seed. */
static lode_status orthonormal(lode_ctx *ctx, lode_array *Q)
{
    const uint64_t seed = ctx->seed;
    ctx->seed = 0;
    const lode_status st = lode_i_orth(ctx, Q, NULL);
    ctx->seed = seed;
    return st;
}

static lode_status from_symbols(lode_ctx *ctx, const lode_array *q, const lode_array *levels,
                                double step, basis_kind kind, lode_dtype dtype, lode_array *matrix)
{
    lode_status st = LODE_OK;
    const lode_quantizer z = { .step = step, .zone = 0.5 };
    basis given[2] = { { .kind = BASIS_NONE } };
    lode_array U = { 0 };
    LODE_TRY(basis_given(ctx, kind, dtype, q->shape[0], q->shape[0], &given[0]));
    LODE_TRY(lode_i_dequantize(ctx, q, &z, dtype, &U));
    LODE_TRY(basis_multiply(ctx, given, false, &U, &U));
    LODE_TRY(scale_columns(ctx, levels, step, true, &U));
    LODE_TRY(orthonormal(ctx, &U));
    lode_array_swap(matrix, &U);
done:
    basis_free(&given[0]);
    LODE_FREE(&U);
    return st;
}

/* Levels at or above the columns' energies, and U with its columns times them. */
static lode_status scaled(lode_ctx *ctx, const lode_array *U, const double *energy, int64_t columns,
                          double step, lode_array *levels, lode_array *F)
{
    lode_status st = LODE_OK;
    lode_array view = { 0 };
    LODE_TRY(lode_i_vector_new(ctx, LODE_I32, columns, levels));
    for (int64_t j = 0; j < columns; j++) {
        const double ratio = energy[j] / step;
        lode_i_set1(levels, j, ratio > 0x1p-8 ? ceil(4 * log2(fmin(ratio, 0x1p60))) : -32);
    }
    view = lode_i_cols(U, 0, columns);
    LODE_TRY(lode_array_cast(ctx, &view, U->dtype, F)); /* a copy */
    LODE_TRY(scale_columns(ctx, levels, step, false, F));
done:
    LODE_FREE(&view);
    return st;
}

/* As they are, or as cosines or wavelets along the mode where the columns are smooth, or piecewise:
 * whatever looks shortest. */
static lode_status coded_columns(lode_ctx *ctx, const lode_array *F, double step, basis_kind *kind,
                                 lode_array *q, lode_array *stream)
{
    lode_status st = LODE_OK;
    lode_quantizer z = { .step = step, .zone = 0.5 };
    lode_array G = { 0 }, best = lode_array_ref(F);
    basis given[2] = { { .kind = BASIS_NONE } };
    double least = 0, bits = 0;
    const bool any = F->shape[0] <= BASIS_LONGEST;
    LODE_TRY(lode_i_quantizer_fit(ctx, F, &z, NULL, &least));
    *kind = BASIS_NONE;
    for (basis_kind k = BASIS_DCT; any && k < BASIS_KINDS; k++) {
        if (k == BASIS_LEARNED)
            continue;
        basis_free(&given[0]);
        LODE_TRY(basis_given(ctx, k, F->dtype, F->shape[0], F->shape[0], &given[0]));
        LODE_TRY(basis_multiply(ctx, given, true, F, &G));
        LODE_TRY(lode_i_quantizer_fit(ctx, &G, &z, NULL, &bits));
        if (bits < least) {
            least = bits, *kind = k;
            lode_array_swap(&best, &G);
        }
    }
    LODE_TRY(lode_i_quantize(ctx, &best, &z, q));
    LODE_TRY(lode_i_encode(ctx, q, stream));
done:
    basis_free(&given[0]);
    LODE_FREE(&G, &best);
    return st;
}

lode_status basis_price(lode_ctx *ctx, const lode_array *U, const double *energy, int64_t columns,
                        double step, double *bytes)
{
    lode_status st = LODE_OK;
    lode_array levels = { 0 }, F = { 0 }, q = { 0 }, stream = { 0 };
    basis_kind kind;
    LODE_TRY(scaled(ctx, U, energy, columns, step, &levels, &F));
    LODE_TRY(coded_columns(ctx, &F, step, &kind, &q, &stream));
    *bytes += (double)stream.shape[0] + 40 + 0.3 * (double)columns;
done:
    LODE_FREE(&levels, &F, &q, &stream);
    return st;
}

lode_status basis_noise(lode_ctx *ctx, const lode_array *U, const double *energy, double step,
                        double *sumsq)
{
    lode_status st = LODE_OK;
    lode_array levels = { 0 }, F = { 0 };
    lode_quantizer z = { .step = step, .zone = 0.5 };
    double error = 0;
    LODE_TRY(scaled(ctx, U, energy, U->shape[1], step, &levels, &F));
    LODE_TRY(lode_i_quantizer_fit(ctx, &F, &z, &error, NULL));
    /* what falls into the span of the columns does no harm once they are orthonormal again */
    *sumsq += error * (1 - (double)U->shape[1] / (double)U->shape[0]);
done:
    LODE_FREE(&levels, &F);
    return st;
}

lode_status basis_learned(lode_ctx *ctx, const lode_array *U, const double *energy, int64_t columns,
                          double step, basis *b)
{
    lode_status st = LODE_OK;
    lode_array F = { 0 }, levels = { 0 }, deltas = { 0 }, stream = { 0 }, q = { 0 },
               coded_levels = { 0 };
    lode_record r = { 0 };
    basis made = { .kind = BASIS_LEARNED, .length = U->shape[0], .columns = columns };
    basis_kind kind;

    LODE_TRY(scaled(ctx, U, energy, columns, step, &levels, &F));
    LODE_TRY(coded_columns(ctx, &F, step, &kind, &q, &stream));
    LODE_TRY(lode_i_vector_new(ctx, LODE_I32, columns, &deltas));
    for (int64_t j = 0; j < columns; j++)
        lode_i_set1(&deltas, j, lode_i_get1(&levels, j) - (j ? lode_i_get1(&levels, j - 1) : 0));
    LODE_TRY(lode_i_encode(ctx, &deltas, &coded_levels));
    LODE_TRY(lode_i_record_f64(ctx, &r, step));
    LODE_TRY(lode_i_record_i64(ctx, &r, (int64_t)kind));
    LODE_TRY(lode_i_record_bytes(ctx, &r, &coded_levels));
    LODE_TRY(lode_i_record_bytes(ctx, &r, &stream));
    LODE_TRY(lode_i_record_end(ctx, &r, &made.coded));
    LODE_TRY(from_symbols(ctx, &q, &levels, step, kind, U->dtype, &made.matrix));
    basis_free(b);
    *b = made;
    made = (basis){ 0 };
done:
    lode_i_record_free(&r);
    basis_free(&made);
    LODE_FREE(&F, &levels, &deltas, &stream, &q, &coded_levels);
    return st;
}

lode_status basis_read(lode_ctx *ctx, const lode_array *coded, lode_dtype dtype, int64_t n,
                       int64_t columns, lode_array *matrix)
{
    lode_status st = LODE_OK;
    lode_record r = { 0 };
    lode_array stream = { 0 }, levels = { 0 }, q = { 0 };
    double step = 0;
    int64_t kind = 0, level = 0;

    LODE_TRY(lode_i_record_open(ctx, coded, &r));
    LODE_TRY(lode_i_record_read_f64(ctx, &r, &step));
    LODE_TRY(lode_i_record_read_i64(ctx, &r, 0, BASIS_KINDS - 1, &kind));
    LODE_TRY(basis_admits(ctx, (basis_kind)kind, n));
    LODE_REQUIRE(step > 0 && kind != BASIS_LEARNED, LODE_EFORMAT,
                 "a coded basis has step %g and columns of kind %" PRId64, step, kind);
    LODE_TRY(lode_i_record_read_bytes(ctx, &r, &stream));
    LODE_TRY(lode_i_vector_new(ctx, LODE_I32, columns, &levels));
    LODE_TRY(lode_i_decode(ctx, &stream, &levels));
    for (int64_t j = 0; j < columns; j++) {
        level += (int64_t)lode_i_get1(&levels, j);
        LODE_REQUIRE(level >= -400 && level <= 400, LODE_EFORMAT,
                     "a coded basis has a column of scale 2^(%" PRId64 "/4)", level);
        lode_i_set1(&levels, j, (double)level);
    }
    LODE_TRY(lode_i_record_read_bytes(ctx, &r, &stream));
    LODE_TRY(lode_i_matrix_new(ctx, LODE_I32, n, columns, &q));
    LODE_TRY(lode_i_decode(ctx, &stream, &q));
    LODE_TRY(from_symbols(ctx, &q, &levels, step, (basis_kind)kind, dtype, matrix));
done:
    lode_i_record_free(&r);
    LODE_FREE(&stream, &levels, &q);
    return st;
}
