/* svd: the verb update, and what may come in: rows, columns, a change of the matrix. */
#include <string.h>

#include "ops/matrix/svd_stream.h"

const lode_port lode_i_svd_update_in[] = {
    { "rows", "s,n", .optional = true, .kinds = LODE_DENSE | LODE_KIND_BIT(LODE_SPARSE),
      .help = "rows below A" },
    { "cols", "m,s", .optional = true, .kinds = LODE_DENSE | LODE_KIND_BIT(LODE_SPARSE),
      .help = "columns beside A" },
    { "D", "m,t", .optional = true, .kinds = LODE_DENSE | LODE_KIND_BIT(LODE_SPARSE),
      .help = "of a change of A by D E^H" },
    { "E", "n,t", .optional = true, .kinds = LODE_DENSE | LODE_KIND_BIT(LODE_SPARSE),
      .help = "of a change of A by D E^H" },
    { 0 },
};

static lode_status check_type(lode_ctx *ctx, const lode_svd_stream *w, const char *name,
                              lode_dtype dtype)
{
    if (lode_i_is_complex(dtype) && !lode_i_is_complex(w->dtype))
        return lode_i_fail(ctx, LODE_ETYPE,
                           "svd: the result is %s and %s are %s: convert them, or decompose again",
                           lode_dtype_name(w->stored), name, lode_dtype_name(dtype));
    return LODE_OK;
}

/* The matrix given as a block; adjoint: the block is its adjoint. */
static lode_status read_sparse(lode_ctx *ctx, const lode_svd_stream *w, const char *name,
                               const lode_sparse *s, bool adjoint, lode_i_block *b)
{
    lode_status st = LODE_OK;
    lode_sparse a = { 0 }, t = { 0 };
    lode_array values = { 0 };
    LODE_REQUIRE(s->ndim == 2, LODE_ESHAPE, "svd: %s have %d axes, not 2", name, (int)s->ndim);
    LODE_TRY(lode_sparse_check(ctx, s));
    LODE_TRY(check_type(ctx, w, name, s->values.dtype));
    LODE_TRY(lode_sparse_to_csr(ctx, s, &a));
    LODE_TRY(lode_i_as(ctx, &a.values, w->dtype, &values));
    lode_array_swap(&a.values, &values);
    if (adjoint) {
        LODE_TRY(lode_i_csr_transpose(ctx, LODE_H, &a, &t));
        LODE_TRY(lode_i_block_from(ctx, &t, NULL, b));
    } else {
        LODE_TRY(lode_i_block_from(ctx, &a, NULL, b));
    }
done:
    LODE_FREE(&a, &t, &values);
    return st;
}

static lode_status read_dense(lode_ctx *ctx, const lode_svd_stream *w, const char *name,
                              lode_value v, bool adjoint, lode_i_block *b)
{
    lode_status st = LODE_OK;
    lode_array x = { 0 }, y = { 0 };
    lode_dtype dtype = LODE_F64;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM];
    LODE_REQUIRE((v.kind == LODE_ARRAY || v.kind == LODE_SOURCE) &&
                     lode_i_value_shape(v, &dtype, &ndim, shape),
                 LODE_ETYPE, "svd: %s are an array, a file of one or sparse, not %s", name,
                 lode_kind_name(v.kind));
    LODE_REQUIRE(ndim == 1 || ndim == 2, LODE_ESHAPE, "svd: %s have %d axes, not 2", name, ndim);
    LODE_TRY(check_type(ctx, w, name, dtype));
    LODE_TRY(lode_i_as_array(ctx, v, w->dtype, &x));
    LODE_TRY(lode_i_require_finite(ctx, &x, name));
    if (ndim == 1) { /* one vector: a row, or a column */
        LODE_TRY(lode_array_reshape(ctx, &x, 2, (const int64_t[]){ 1, shape[0] }, &y));
        lode_array_swap(&x, &y);
        LODE_FREE(&y);
        if (adjoint)
            LODE_TRY(lode_array_cast(ctx, &x, w->dtype, &y));
    } else if (adjoint) {
        lode_array view = lode_i_transposed(&x);
        st = lode_array_cast(ctx, &view, w->dtype, &y);
        lode_array_free(&view);
        LODE_TRY(st);
    } else { /* block_from wants contiguous rows */
        LODE_TRY(lode_i_as(ctx, &x, w->dtype, &y));
    }
    if (adjoint)
        LODE_TRY(lode_i_conj(ctx, &y));
    LODE_TRY(lode_i_block_from(ctx, NULL, y.data ? &y : &x, b));
done:
    LODE_FREE(&x, &y);
    return st;
}

static lode_status read_block(lode_ctx *ctx, const lode_svd_stream *w, const char *name,
                              lode_value v, bool adjoint, lode_i_block *b)
{
    return v.kind == LODE_SPARSE ? read_sparse(ctx, w, name, v.as.sparse, adjoint, b)
                                 : read_dense(ctx, w, name, v, adjoint, b);
}

static lode_status append(lode_ctx *ctx, lode_svd_stream *w, bool cols, lode_value v)
{
    lode_status st = LODE_OK;
    lode_i_block b = { 0 };
    const int64_t m = w->side[0].n, n = w->side[1].n;
    LODE_TRY(read_block(ctx, w, cols ? "the new columns" : "the new rows", v, cols, &b));
    LODE_REQUIRE(cols || b.n == n, LODE_ESHAPE,
                 "svd: the new rows are %" PRId64 " x %" PRId64 " and the matrix %" PRId64
                 " x %" PRId64 ": they must have its %" PRId64 " columns",
                 b.s, b.n, m, n, n);
    LODE_REQUIRE(!cols || b.n == m, LODE_ESHAPE,
                 "svd: the new columns are %" PRId64 " x %" PRId64 " and the matrix %" PRId64
                 " x %" PRId64 ": they must have its %" PRId64 " rows",
                 b.n, b.s, m, n, m);
    LODE_TRY(lode_i_svd_append(ctx, w, cols, &b));
done:
    lode_i_block_free(&b);
    return st;
}

static lode_status change(lode_ctx *ctx, lode_svd_stream *w, lode_value D, lode_value E)
{
    lode_status st = LODE_OK;
    lode_i_block b[2] = { { 0 } };
    const int64_t m = w->side[0].n, n = w->side[1].n;
    LODE_TRY(read_block(ctx, w, "the columns of D", D, true, &b[0]));
    LODE_TRY(read_block(ctx, w, "the columns of E", E, true, &b[1]));
    LODE_REQUIRE(b[0].n == m && b[1].n == n && b[0].s == b[1].s, LODE_ESHAPE,
                 "svd: D is %" PRId64 " x %" PRId64 " and E %" PRId64 " x %" PRId64
                 "; a change D E^H of the %" PRId64 " x %" PRId64
                 " matrix takes as many rows as it has rows and columns, and columns alike",
                 b[0].n, b[0].s, b[1].n, b[1].s, m, n);
    /* directions formed in full are so many beside the basis; others that do not exist are dropped */
    const int64_t room = lode_i_min(m, n) - (w->side[0].plain ? w->s.shape[0] : 0);
    LODE_REQUIRE(b[0].s <= room, LODE_ESHAPE,
                 "svd: a change by %" PRId64 " columns and a matrix of %" PRId64 " x %" PRId64
                 " with %" PRId64 " triplets: decompose the changed matrix instead",
                 b[0].s, m, n, w->s.shape[0]);
    LODE_TRY(lode_i_svd_change(ctx, w, b));
done:
    lode_i_block_free(&b[0]), lode_i_block_free(&b[1]);
    return st;
}

lode_status lode_svd_stream_update(lode_ctx *ctx, lode_svd_stream *w, const lode_input *in,
                                   int64_t count)
{
    lode_status st = LODE_OK;
    static const char *const names[] = { "rows", "cols", "D", "E" };
    lode_value given[4] = { { .kind = LODE_NONE } };
    lode_i_begin(ctx, "svd");
    LODE_REQUIRE(count >= 1 && count <= 2, LODE_EUSAGE,
                 "svd: a batch is rows, columns, or D and E, not %" PRId64 " inputs", count);
    for (int64_t i = 0; i < count; i++) {
        int at = 0;
        while (in[i].name && at < 4 && strcmp(in[i].name, names[at]) != 0)
            at++;
        LODE_REQUIRE(at < 4, LODE_EUSAGE,
                     "svd: an update takes rows, cols, or D and E, not '%.40s'", in[i].name);
        LODE_REQUIRE(given[at].kind == LODE_NONE, LODE_EUSAGE, "svd: %s is given twice", names[at]);
        given[at] = in[i].value;
    }
    const bool d = given[2].kind != LODE_NONE, e = given[3].kind != LODE_NONE;
    LODE_REQUIRE(d == e && d == (count == 2), LODE_EUSAGE, "svd: %s",
                 d == e ? "rows, columns and changes are taken in one at a time"
                        : "a change D E^H is given as both, D and E");
    LODE_TRY(
        d ? change(ctx, w, given[2], given[3])
          : append(ctx, w, given[1].kind != LODE_NONE, given[given[1].kind != LODE_NONE ? 1 : 0]));
done:
    lode_i_end(ctx);
    return st;
}

lode_status lode_i_svd_update_with(lode_ctx *ctx, const lode_bundle *model, const lode_input *in,
                                   int64_t count, lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_svd_stream *w = NULL;
    int64_t before = 0;
    double flops = 0;
    LODE_TRY(lode_svd_stream_open(ctx, model, LODE_SVD_EXTENDED, &w));
    if (lode_bundle_get(model, "updates").kind == LODE_SCALAR) {
        LODE_TRY(lode_bundle_i64(ctx, model, "updates", &before));
        LODE_TRY(lode_bundle_f64(ctx, model, "flops", &flops));
    }
    w->updates = before, w->flops = flops;
    LODE_TRY(lode_svd_stream_update(ctx, w, in, count));
    LODE_TRY(lode_svd_stream_result(ctx, w, result));
done:
    lode_svd_stream_close(&w);
    return st;
}

lode_status lode_i_svd_update(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                              lode_bundle *result)
{
    return lode_i_svd_update_with(ctx, model, &(lode_input){ NULL, x }, 1, result);
}
