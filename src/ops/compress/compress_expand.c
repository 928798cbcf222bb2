/* Records back to blocks, and bundles of records back to arrays. Everything a record says is
 * checked: it may come from a damaged or hostile file. */
#include <math.h>
#include <string.h>

#include "ops/compress/compress.h"

typedef struct head {
    int64_t limit, kind, wide, folds, missing;
    double value;
    lode_array mask, above, below;
} head;

static void head_free(head *h)
{
    LODE_FREE(&h->mask, &h->above, &h->below);
}

static lode_status read_head(lode_ctx *ctx, lode_record *r, head *h)
{
    int64_t version = 0;
    LODE_FORWARD(lode_i_record_read_i64(ctx, r, 0, INT64_MAX, &version));
    if (version != RECORD_VERSION)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "compress: a record of version %" PRId64 "; this build reads %d",
                           version, (int)RECORD_VERSION);
    LODE_FORWARD(lode_i_record_read_i64(ctx, r, -INT64_MAX, INT64_MAX, &h->limit));
    LODE_FORWARD(lode_i_record_read_i64(ctx, r, RECORD_EXACT, RECORD_TRAIN, &h->kind));
    if (h->kind == RECORD_EXACT)
        return LODE_OK;
    LODE_FORWARD(lode_i_record_read_i64(ctx, r, 0, 1, &h->wide));
    LODE_FORWARD(lode_i_record_read_i64(ctx, r, 0, LONGEST_TILE, &h->folds));
    LODE_FORWARD(lode_i_record_read_i64(ctx, r, 0, RECORD_INFINITE, &h->missing));
    if (h->missing == 2)
        LODE_FORWARD(lode_i_record_read_f64(ctx, r, &h->value));
    if (h->missing)
        LODE_FORWARD(lode_i_record_read_bytes(ctx, r, &h->mask));
    if (h->missing != RECORD_INFINITE)
        return LODE_OK;
    LODE_FORWARD(lode_i_record_read_bytes(ctx, r, &h->above));
    return lode_i_record_read_bytes(ctx, r, &h->below);
}

static lode_status read_quantizer(lode_ctx *ctx, lode_record *r, lode_quantizer *z)
{
    *z = (lode_quantizer){ .zone = 0.5 };
    LODE_FORWARD(lode_i_record_read_f64(ctx, r, &z->step));
    for (int i = 0; i < 2; i++) {
        int64_t shift = 0;
        LODE_FORWARD(lode_i_record_read_i64(ctx, r, -(1 << 12), 1 << 12, &shift));
        z->shift[i] = ldexp((double)shift, -12);
    }
    return z->step > 0 ? LODE_OK
                       : lode_i_fail(ctx, LODE_EFORMAT, "compress: a record has step %g", z->step);
}

/* The coefficients and bases of a record, then the field they stand for. */
static lode_status expand(lode_ctx *ctx, lode_record *r, const frame *f, lode_array *x)
{
    lode_status st = LODE_OK;
    basis b[LODE_MAX_NDIM] = { { 0 } };
    lode_array stream = { 0 }, more = { 0 }, q = { 0 }, y = { 0 }, w = { 0 }, e = { 0 };
    int64_t box[LODE_MAX_NDIM], kind = 0, corrected = 0;
    lode_quantizer z;
    double bound = 0;

    LODE_TRY(read_quantizer(ctx, r, &z));
    for (int k = 0; k < f->modes; k++) {
        LODE_TRY(lode_i_record_read_i64(ctx, r, 0, BASIS_KINDS - 1, &kind));
        LODE_TRY(lode_i_record_read_i64(ctx, r, kind == BASIS_NONE ? f->mode[k] : 1, f->mode[k],
                                        &box[k]));
        LODE_TRY(basis_admits(ctx, (basis_kind)kind, f->mode[k]));
        LODE_TRY(basis_given(ctx, (basis_kind)kind, f->work, f->mode[k], box[k], &b[k]));
        if (kind == BASIS_LEARNED) {
            LODE_TRY(lode_i_record_read_bytes(ctx, r, &stream));
            LODE_TRY(basis_read(ctx, &stream, f->work, f->mode[k], box[k], &b[k].matrix));
        }
    }
    LODE_TRY(lode_i_record_read_bytes(ctx, r, &stream));
    LODE_TRY(lode_i_record_read_i64(ctx, r, 0, 1, &corrected));
    if (corrected) { /* before the coefficients, as bytes: so there are never three arrays at once */
        LODE_TRY(lode_i_record_read_f64(ctx, r, &bound));
        LODE_TRY(lode_i_record_read_bytes(ctx, r, &more));
        LODE_TRY(lode_array_new(ctx, LODE_I32, f->plain, f->shape, &e));
        LODE_TRY(lode_i_decode(ctx, &more, &e));
        LODE_TRY(lode_i_correct_narrow(ctx, &e));
    }
    LODE_TRY(lode_array_new(ctx, LODE_I32, f->modes, box, &q));
    LODE_TRY(lode_i_decode(ctx, &stream, &q));
    LODE_TRY(lode_i_dequantize_over(ctx, &q, &z, f->work, &w));
    LODE_TRY(basis_multiply(ctx, b, false, &w, &w));
    LODE_TRY(compress_unfold(ctx, f, &w, &y));
    lode_array_free(&w);
    if (corrected)
        LODE_TRY(lode_i_correct_apply(ctx, &y, &e, bound));
    lode_array_swap(x, &y);
done:
    for (int k = 0; k < f->modes; k++)
        basis_free(&b[k]);
    LODE_FREE(&stream, &more, &q, &y, &w, &e);
    return st;
}

void expansion_free(expansion *e)
{
    for (int k = 0; k < LODE_MAX_NDIM; k++)
        basis_free(&e->b[k]);
    LODE_FREE(&e->core);
    e->lean = false;
}

lode_status compress_expansion(lode_ctx *ctx, const lode_array *coded, lode_dtype stored, int ndim,
                               const int64_t *shape, expansion *e)
{
    lode_status st = LODE_OK;
    lode_record r = { 0 };
    head h = { 0 };
    lode_array learned[LODE_MAX_NDIM] = { { 0 } }, stream = { 0 }, q = { 0 };
    int64_t box[LODE_MAX_NDIM], kind = 0, corrected = 0;
    lode_quantizer z;
    expansion made = { .lean = false };

    LODE_TRY(lode_i_record_open(ctx, coded, &r));
    LODE_TRY(read_head(ctx, &r, &h));
    made.hidden = h.missing == 2;
    made.exact = h.kind == RECORD_EXACT;
    if (made.exact) {
        LODE_TRY(lode_i_record_read_bytes(ctx, &r, &stream));
        made.hidden = r.size < r.bytes.shape[0];
        if (made.hidden)
            LODE_TRY(lode_i_record_read_f64(ctx, &r, &made.value));
    }
    if (h.kind != RECORD_TRANSFORM || h.missing)
        goto known;
    LODE_TRY(
        compress_frame(ctx, stored, h.wide ? LODE_F64 : LODE_F32, ndim, shape, h.folds, &made.f));
    LODE_TRY(read_quantizer(ctx, &r, &z));
    for (int k = 0; k < made.f.modes; k++) {
        const int64_t n = made.f.mode[k];
        LODE_TRY(lode_i_record_read_i64(ctx, &r, 0, BASIS_KINDS - 1, &kind));
        LODE_TRY(lode_i_record_read_i64(ctx, &r, kind == BASIS_NONE ? n : 1, n, &box[k]));
        LODE_TRY(basis_admits(ctx, (basis_kind)kind, n));
        made.b[k] = (basis){ .kind = (basis_kind)kind, .length = n, .columns = box[k] };
        if (kind == BASIS_LEARNED)
            LODE_TRY(lode_i_record_read_bytes(ctx, &r, &learned[k]));
    }
    LODE_TRY(lode_i_record_read_bytes(ctx, &r, &stream));
    LODE_TRY(lode_i_record_read_i64(ctx, &r, 0, 1, &corrected));
    if (corrected)
        goto known;
    for (int k = 0; k < made.f.modes; k++)
        if (made.b[k].kind == BASIS_LEARNED)
            LODE_TRY(basis_read(ctx, &learned[k], made.f.work, made.f.mode[k], box[k],
                                &made.b[k].matrix));
    LODE_TRY(lode_array_new(ctx, LODE_I32, made.f.modes, box, &q));
    LODE_TRY(lode_i_decode(ctx, &stream, &q));
    LODE_TRY(lode_i_dequantize(ctx, &q, &z, made.f.work, &made.core));
    made.lean = true;
known:
    expansion_free(e);
    *e = made;
    made = (expansion){ .lean = false };
done:
    expansion_free(&made);
    lode_i_record_free(&r);
    for (int k = 0; k < LODE_MAX_NDIM; k++)
        lode_array_free(&learned[k]);
    head_free(&h);
    LODE_FREE(&stream, &q);
    return st;
}

lode_status compress_decode(lode_ctx *ctx, const lode_array *coded, lode_dtype stored, int ndim,
                            const int64_t *shape, lode_array *block)
{
    lode_status st = LODE_OK;
    lode_record r = { 0 };
    head h = { 0 };
    frame f;
    lode_array x = { 0 }, y = { 0 }, stream = { 0 }, set = { 0 };
    lode_predictor p;

    LODE_TRY(lode_i_record_open(ctx, coded, &r));
    LODE_TRY(read_head(ctx, &r, &h));
    if (h.kind == RECORD_EXACT) {
        LODE_TRY(lode_i_record_read_bytes(ctx, &r, &stream));
        LODE_TRY(lode_array_new(ctx, stored, ndim, shape, &y));
        LODE_TRY(lode_i_decode_exact(ctx, &stream, &y));
        lode_array_swap(block, &y);
        goto done;
    }
    LODE_TRY(compress_frame(ctx, stored, h.wide ? LODE_F64 : LODE_F32, ndim, shape, h.folds, &f));
    if (h.missing) {
        LODE_TRY(lode_array_new(ctx, LODE_BOOL, f.plain, f.shape, &set));
        LODE_TRY(lode_i_decode_mask(ctx, &h.mask, &set));
    }
    if (h.kind == RECORD_PREDICT) {
        LODE_TRY(lode_array_new(ctx, f.work, f.plain, f.shape, &x));
        LODE_TRY(lode_i_predict_read(ctx, &r, h.missing ? &set : NULL, &p, &x));
    } else if (h.kind == RECORD_TRAIN) {
        double step;
        int64_t bytes;
        LODE_TRY(compress_train_read(ctx, &r, &f, &y, &step, &bytes));
        LODE_TRY(compress_unfold(ctx, &f, &y, &x));
        lode_array_free(&y);
    } else {
        LODE_TRY(expand(ctx, &r, &f, &x));
    }
    if (h.missing)
        LODE_TRY(lode_i_missing_put(ctx, &x, &set, h.missing == 2 ? h.value : (double)NAN));
    for (int i = 0; i < 2 && h.missing == RECORD_INFINITE; i++) {
        LODE_TRY(lode_i_decode_mask(ctx, i ? &h.below : &h.above, &set));
        LODE_TRY(lode_i_missing_put(ctx, &x, &set, i ? -INFINITY : (double)INFINITY));
    }
    LODE_TRY(compress_store(ctx, &f, &x, &y));
    lode_array_swap(block, &y);
done:
    lode_i_record_free(&r);
    head_free(&h);
    LODE_FREE(&x, &y, &stream, &set);
    return st;
}

lode_status compress_limit(lode_ctx *ctx, const lode_array *coded, int64_t *limit)
{
    lode_status st = LODE_OK;
    lode_record r = { 0 };
    head h = { 0 };
    LODE_TRY(lode_i_record_open(ctx, coded, &r));
    LODE_TRY(read_head(ctx, &r, &h));
    *limit = h.limit;
done:
    lode_i_record_free(&r);
    head_free(&h);
    return st;
}

lode_status compress_hide(lode_ctx *ctx, const lode_array *coded, lode_array *x, lode_array *y)
{
    lode_status st = LODE_OK;
    lode_record r = { 0 };
    head h = { 0 };
    lode_array set = { 0 }, stream = { 0 };
    double value = 0;
    int64_t count = 0;
    LODE_TRY(lode_i_record_open(ctx, coded, &r));
    LODE_TRY(read_head(ctx, &r, &h));
    if (h.kind == RECORD_EXACT) { /* such values, where one was declared, are among the others */
        LODE_TRY(lode_i_record_read_bytes(ctx, &r, &stream));
        if (r.size == r.bytes.shape[0])
            goto done;
        LODE_TRY(lode_i_record_read_f64(ctx, &r, &value));
        LODE_TRY(lode_i_missing_find(ctx, y, false, value, &set, &count));
    } else if (h.missing == 2) {
        LODE_TRY(lode_array_new(ctx, LODE_BOOL, x->ndim, x->shape, &set));
        LODE_TRY(lode_i_decode_mask(ctx, &h.mask, &set));
    } else {
        goto done; /* none, or NaN already */
    }
    LODE_TRY(lode_i_missing_put(ctx, x, &set, NAN));
    LODE_TRY(lode_i_missing_put(ctx, y, &set, NAN));
done:
    lode_i_record_free(&r);
    head_free(&h);
    LODE_FREE(&set, &stream);
    return st;
}

lode_status compress_info(lode_ctx *ctx, const lode_array *coded, lode_dtype stored, int ndim,
                          const int64_t *shape, record_info *info)
{
    lode_status st = LODE_OK;
    lode_record r = { 0 };
    head h = { 0 };
    frame f;
    lode_quantizer z;
    lode_array stream = { 0 };
    int64_t kind = 0;

    *info = (record_info){ 0 };
    LODE_TRY(lode_i_record_open(ctx, coded, &r));
    LODE_TRY(read_head(ctx, &r, &h));
    info->exact = h.kind == RECORD_EXACT;
    if (info->exact)
        goto done;
    info->mask_bytes = h.missing ? h.mask.shape[0] : 0;
    if (h.missing == RECORD_INFINITE)
        info->mask_bytes += h.above.shape[0] + h.below.shape[0];
    LODE_TRY(compress_frame(ctx, stored, h.wide ? LODE_F64 : LODE_F32, ndim, shape, h.folds, &f));
    if (h.kind == RECORD_PREDICT) {
        lode_predictor p;
        LODE_TRY(lode_i_predict_skip(ctx, &r, f.plain, f.shape, &p, &info->core_bytes));
        info->predicted = true, info->lorenzo = p.lorenzo, info->step = p.step;
        goto done;
    }
    if (h.kind == RECORD_TRAIN) {
        info->train = true;
        LODE_TRY(compress_train_read(ctx, &r, &f, NULL, &info->step, &info->core_bytes));
        goto done;
    }
    LODE_TRY(read_quantizer(ctx, &r, &z));
    info->step = z.step;
    info->modes = f.modes;
    for (int k = 0; k < f.modes; k++) {
        LODE_TRY(lode_i_record_read_i64(ctx, &r, 0, BASIS_KINDS - 1, &kind));
        LODE_TRY(lode_i_record_read_i64(ctx, &r, 1, f.mode[k], &info->columns[k]));
        info->kind[k] = (basis_kind)kind;
        info->axis[k] = f.axis[k], info->length[k] = f.mode[k];
        if (kind != BASIS_LEARNED)
            continue;
        LODE_TRY(lode_i_record_read_bytes(ctx, &r, &stream));
        info->basis_bytes += stream.shape[0];
    }
    LODE_TRY(lode_i_record_read_bytes(ctx, &r, &stream));
    info->core_bytes = stream.shape[0];
    LODE_TRY(lode_i_record_read_i64(ctx, &r, 0, 1, &kind));
    if (kind) {
        LODE_TRY(lode_i_record_read_f64(ctx, &r, &z.step));
        LODE_TRY(lode_i_record_read_bytes(ctx, &r, &stream));
        info->correction_bytes = stream.shape[0];
    }
done:
    lode_i_record_free(&r);
    head_free(&h);
    LODE_FREE(&stream);
    return st;
}
