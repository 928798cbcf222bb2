/* A prediction in a record: its rules, a stream of symbols for each large lattice and one for small
 * ones in a row, the values that no symbol gives. */
#include <string.h>

#include "code/predict.h"

/* Symbols that a lattice has at least, to be a stream of its own, in its own shape. */
enum { ALONE = 1 << 13 };

typedef struct part {
    int64_t first, size; /* of the symbols */
    int ndim;
    int64_t shape[LODE_MAX_NDIM];
} part;

/* The next stream after `s` (from { 0 }: the first), walking with c (from { .level = -1 }); false
 * past the last. */
static bool next_part(const field *f, const lode_predictor *p, lattice *c, bool *ended, part *s)
{
    const int64_t first = s->first + s->size;
    *s = (part){ .first = first };
    if (first >= f->size)
        return false;
    if (p->lorenzo) {
        *s = (part){ .size = f->size, .ndim = f->ndim };
        memcpy(s->shape, f->shape, sizeof s->shape);
        return true;
    }
    /* c stands at the lattice that begins at `first`, or before it */
    if (c->level < 0 && !*ended)
        *ended = !predict_next(f, p, c);
    while (!*ended && c->size < ALONE) {
        s->size += c->size;
        *ended = !predict_next(f, p, c);
    }
    if (s->size > 0) {
        s->ndim = 1, s->shape[0] = s->size;
        return true;
    }
    s->size = c->size, s->ndim = f->ndim;
    memcpy(s->shape, c->count, sizeof s->shape);
    *ended = !predict_next(f, p, c);
    return true;
}

static lode_array symbols_of(const lode_array *symbols, const part *s)
{
    return lode_array_wrap((int32_t *)lode_i_at(symbols, s->first), LODE_I32, s->ndim, s->shape);
}

lode_status lode_i_predict_estimate(lode_ctx *ctx, const lode_array *x, const lode_predictor *p,
                                    const lode_predicted *r, bool quick, double *bytes)
{
    lode_status st = LODE_OK;
    field f;
    lattice c = { .level = -1 };
    part s = { 0 };
    bool ended = false;
    predict_field(x->ndim, x->shape, &f);
    *bytes = (double)lode_array_bytes(&r->escapes);
    while (next_part(&f, p, &c, &ended, &s)) {
        double more = 0;
        const lode_array symbols = symbols_of(&r->symbols, &s);
        LODE_TRY(quick ? lode_i_encode_fast_estimate(ctx, &symbols, &more)
                       : lode_i_encode_estimate(ctx, &symbols, &more));
        *bytes += more;
    }
done:
    return st;
}

/* ---- rules ---- */

static lode_status write_rules(lode_ctx *ctx, const field *f, const lode_predictor *p,
                               lode_record *record)
{
    lode_status st = LODE_OK;
    LODE_TRY(lode_i_record_i64(ctx, record, f->ndim));
    for (int k = 0; k < f->ndim; k++)
        LODE_TRY(lode_i_record_i64(ctx, record, f->shape[k]));
    LODE_TRY(lode_i_record_i64(ctx, record, p->lorenzo));
    LODE_TRY(lode_i_record_f64(ctx, record, p->step));
    LODE_TRY(lode_i_record_i64(ctx, record, (int64_t)p->apart));
    if (p->lorenzo)
        goto done;
    LODE_TRY(lode_i_record_i64(ctx, record, p->finer));
    LODE_TRY(lode_i_record_i64(ctx, record, p->finest));
    const int levels = predict_levels(f, p);
    for (int l = 0; l < levels; l++)
        for (int k = 0; k < f->ndim && k < 8; k++)
            if (!(p->apart >> k & 1) && f->shape[k] > INT64_C(1) << l)
                LODE_TRY(lode_i_record_i64(ctx, record, (int64_t)p->rule[l][k] - 32));
done:
    return st;
}

static lode_status read_rules(lode_ctx *ctx, lode_record *record, const field *f, lode_predictor *p)
{
    lode_status st = LODE_OK;
    int64_t v = 0;
    *p = (lode_predictor){ 0 };
    /* small lattices would not tell one shape from another */
    LODE_TRY(lode_i_record_read_i64(ctx, record, f->ndim, f->ndim, &v));
    for (int k = 0; k < f->ndim; k++)
        LODE_TRY(lode_i_record_read_i64(ctx, record, f->shape[k], f->shape[k], &v));
    LODE_TRY(lode_i_record_read_i64(ctx, record, 0, 1, &v));
    p->lorenzo = v != 0;
    LODE_TRY(lode_i_record_read_f64(ctx, record, &p->step));
    LODE_REQUIRE(p->step > 0, LODE_EFORMAT, "a predicted record has step %g", p->step);
    LODE_TRY(lode_i_record_read_i64(ctx, record, 0, UINT32_MAX, &v));
    p->apart = (uint32_t)v;
    if (p->lorenzo)
        goto done;
    LODE_TRY(lode_i_record_read_i64(ctx, record, 0, 1024, &v));
    p->finer = (int)v;
    LODE_TRY(lode_i_record_read_i64(ctx, record, 0, 1024, &v));
    p->finest = (int)v;
    const int levels = predict_levels(f, p);
    LODE_REQUIRE(levels <= LODE_PREDICT_LEVELS, LODE_EFORMAT, "a predicted record has %d levels",
                 levels);
    for (int l = 0; l < levels; l++)
        for (int k = 0; k < f->ndim && k < 8; k++)
            if (!(p->apart >> k & 1) && f->shape[k] > INT64_C(1) << l) {
                LODE_TRY(lode_i_record_read_i64(ctx, record, -32, -1, &v));
                p->rule[l][k] = (uint8_t)(v + 32);
            }
done:
    return st;
}

/* ---- whole ---- */

lode_status lode_i_predict_write(lode_ctx *ctx, const lode_array *x, const lode_predictor *p,
                                 const lode_predicted *r, lode_record *record)
{
    lode_status st = LODE_OK;
    lode_array stream = { 0 };
    field f;
    lattice c = { .level = -1 };
    part s = { 0 };
    bool ended = false;
    predict_field(x->ndim, x->shape, &f);
    LODE_TRY(write_rules(ctx, &f, p, record));
    while (next_part(&f, p, &c, &ended, &s)) {
        const lode_array symbols = symbols_of(&r->symbols, &s);
        LODE_TRY(lode_i_encode(ctx, &symbols, &stream));
        LODE_TRY(lode_i_record_bytes(ctx, record, &stream));
    }
    if (lode_array_size(&r->escapes) > 0) {
        LODE_TRY(lode_i_encode_exact(ctx, &r->escapes, &stream));
        LODE_TRY(lode_i_record_bytes(ctx, record, &stream));
    }
done:
    LODE_FREE(&stream);
    return st;
}

lode_status lode_i_predict_read(lode_ctx *ctx, lode_record *record, const lode_array *set,
                                lode_predictor *p, lode_array *y)
{
    lode_status st = LODE_OK;
    lode_predicted r = { .y = lode_array_ref(y) };
    lode_array stream = { 0 };
    field f;
    lattice c = { .level = -1 };
    part s = { 0 };
    bool ended = false;
    int64_t escapes = 0;
    predict_field(y->ndim, y->shape, &f);
    LODE_TRY(read_rules(ctx, record, &f, p));
    LODE_TRY(lode_i_vector_new(ctx, LODE_I32, f.size, &r.symbols));
    while (next_part(&f, p, &c, &ended, &s)) {
        lode_array symbols = symbols_of(&r.symbols, &s);
        LODE_TRY(lode_i_record_read_bytes(ctx, record, &stream));
        LODE_TRY(lode_i_decode(ctx, &stream, &symbols));
        const int32_t *q = symbols.data;
        for (int64_t i = 0; i < s.size; i++)
            escapes += q[i] == ESCAPE;
    }
    LODE_TRY(lode_i_vector_new(ctx, y->dtype, escapes, &r.escapes));
    if (escapes) {
        LODE_TRY(lode_i_record_read_bytes(ctx, record, &stream));
        LODE_TRY(lode_i_decode_exact(ctx, &stream, &r.escapes));
    }
    LODE_TRY(predict_decode(ctx, set, p, &r));
done:
    LODE_FREE(&stream);
    lode_i_predicted_free(&r);
    return st;
}

lode_status lode_i_predict_skip(lode_ctx *ctx, lode_record *record, int ndim, const int64_t *shape,
                                lode_predictor *p, int64_t *bytes)
{
    lode_status st = LODE_OK;
    field f;
    predict_field(ndim, shape, &f);
    LODE_TRY(read_rules(ctx, record, &f, p));
    /* all that is left of the record: nothing stands after the streams */
    *bytes = record->bytes.shape[0] - record->size;
done:
    return st;
}
