/* A block as a tensor train. In singular form (core 0 holds the norm, row a of core k is a right
 * singular vector of bond k, of singular value s_a) an error of row a counts s_a times, so rows are
 * coded times their singular values, all cores with one step: about the same error for every
 * coefficient. Where a core is smooth along its mode it is coded as cosines. */
#include <math.h>
#include <string.h>

#include "linop/tt.h"
#include "ops/compress/compress.h"

enum { TRIES = 6, LOOKED = 1 << 13, SIDE = 512, LEAST_LEVEL = -32, MOST_LEVEL = 400 };
/* Of the squared error asked, for what the train leaves out; the rest is for its rounding. */
#define LEFT_OUT 0.25
/* Bytes that a value takes at least, about; and what a train must promise over the rival. */
#define BYTES 0.5

typedef struct train {
    int d;
    lode_array core[LODE_MAX_NDIM];
    double *sigma[LODE_MAX_NDIM]; /* of the rows of core k, k >= 1 */
    double values, lost;          /* in all cores; energy left out */
} train;

static void train_free(train *w)
{
    for (int k = 0; k < LODE_MAX_NDIM; k++) {
        lode_array_free(&w->core[k]);
        lode_i_free(w->sigma[k]);
    }
    *w = (train){ 0 };
}

static lode_status rows_of(lode_ctx *ctx, const lode_array *core, lode_array *M)
{
    return lode_array_reshape(
        ctx, core, 2, (const int64_t[]){ core->shape[0], core->shape[1] * core->shape[2] }, M);
}

/* ---- scales: powers of 2^(1/4) of the step, at or above the singular values ---- */

static int64_t level_of(double sigma, double step)
{
    const double ratio = sigma / step;
    return ratio > 0x1p-8 ? (int64_t)ceil(4 * log2(fmin(ratio, 0x1p60))) : LEAST_LEVEL;
}

/* Rows times, or over, 2^(level / 4) step. */
static lode_status scale_rows(lode_ctx *ctx, const int64_t *level, double step, bool inverse,
                              lode_array *core)
{
    lode_status st = LODE_OK;
    lode_array d = { 0 }, M = { 0 };
    LODE_TRY(lode_i_vector_new(ctx, core->dtype, core->shape[0], &d));
    for (int64_t a = 0; a < core->shape[0]; a++) {
        const double s = step * exp2((double)level[a] / 4);
        lode_i_set1(&d, a, inverse ? 1 / s : s);
    }
    LODE_TRY(rows_of(ctx, core, &M));
    LODE_TRY(lode_i_scale_rows(ctx, &M, &d));
done:
    LODE_FREE(&d, &M);
    return st;
}

/* ---- writing ---- */

static lode_status decompose(lode_ctx *ctx, const lode_array *w, double allowed, bool quick,
                             train *out)
{
    lode_status st = LODE_OK;
    train made = { .d = w->ndim };
    lode_ttsvd_info info;
    const lode_ttsvd_opts o = {
        .error = sqrt(allowed), .unit = LODE_UNIT_ONE, .op = "compress", .name = "X", .quick = quick
    };
    LODE_TRY(lode_i_tt_svd(ctx, lode_from_array(w), &o, made.core, &info));
    LODE_TRY(lode_i_tt_singular(ctx, made.d, made.core, made.sigma));
    for (int k = 0; k < made.d; k++)
        made.values += (double)lode_array_size(&made.core[k]);
    made.lost = info.error * info.error;
    train_free(out);
    *out = made;
    made = (train){ 0 };
done:
    train_free(&made);
    return st < 0 ? st : LODE_OK; /* what it misses is measured with the rest */
}

/* One core, its rows scaled, as it is or as cosines: whichever looks shorter. */
static lode_status write_core(lode_ctx *ctx, const block_task *t, const lode_array *core,
                              const int64_t *level, double step, lode_record *r)
{
    lode_status st = LODE_OK;
    lode_quantizer z = { .step = step, .zone = 0.5 };
    lode_array F = { 0 }, G = { 0 }, q = { 0 }, stream = { 0 };
    double plain = 0, turned = INFINITY;
    const int64_t n = core->shape[1];
    LODE_TRY(lode_array_cast(ctx, core, core->dtype, &F));
    if (level)
        LODE_TRY(scale_rows(ctx, level, step, false, &F));
    LODE_TRY(lode_i_quantizer_fit(ctx, &F, &z, NULL, &plain));
    if (n > 2 && n <= BASIS_LONGEST) {
        LODE_TRY(lode_array_new(ctx, F.dtype, F.ndim, F.shape, &G));
        LODE_TRY(lode_i_cosines_into(ctx, &F, 1, n, true, &G));
        LODE_TRY(lode_i_quantizer_fit(ctx, &G, &z, NULL, &turned));
    }
    const bool cosines = turned < plain;
    z.shift[0] = z.shift[1] = 0;
    LODE_TRY(lode_i_quantize(ctx, cosines ? &G : &F, &z, &q));
    LODE_TRY(compress_symbols(ctx, t->o, &q, &stream));
    LODE_TRY(lode_i_record_i64(ctx, r, cosines));
    LODE_TRY(lode_i_record_bytes(ctx, r, &stream));
done:
    LODE_FREE(&F, &G, &q, &stream);
    return st;
}

static lode_status write_train(lode_ctx *ctx, const block_task *t, const train *w, double step,
                               lode_array *coded)
{
    lode_status st = LODE_OK;
    lode_record r = { 0 };
    lode_array deltas = { 0 }, stream = { 0 };
    int64_t *level = NULL, count = 0, at = 0;
    for (int k = 1; k < w->d; k++)
        count += w->core[k].shape[0];
    LODE_TRY(LODE_NEW(ctx, lode_i_max(count, 1), &level));
    LODE_TRY(compress_head(ctx, t, RECORD_TRAIN, &r));
    LODE_TRY(lode_i_record_f64(ctx, &r, step));
    for (int k = 1; k < w->d; k++) {
        LODE_TRY(lode_i_record_i64(ctx, &r, w->core[k].shape[0]));
        for (int64_t a = 0; a < w->core[k].shape[0]; a++)
            level[at++] = level_of(w->sigma[k][a], step);
    }
    if (count) {
        LODE_TRY(lode_i_vector_new(ctx, LODE_I32, count, &deltas));
        for (int64_t i = 0; i < count; i++)
            lode_i_set1(&deltas, i, (double)(level[i] - (i ? level[i - 1] : 0)));
        LODE_TRY(lode_i_encode(ctx, &deltas, &stream));
        LODE_TRY(lode_i_record_bytes(ctx, &r, &stream));
    }
    at = 0;
    for (int k = 0; k < w->d; k++) {
        LODE_TRY(write_core(ctx, t, &w->core[k], k ? level + at : NULL, step, &r));
        at += k ? w->core[k].shape[0] : 0;
    }
    LODE_TRY(lode_i_record_end(ctx, &r, coded));
done:
    lode_i_record_free(&r);
    lode_i_free(level);
    LODE_FREE(&deltas, &stream);
    return st;
}

/* So many indices of modes from..to-1 at most, spread over each of them. */
static int64_t spread(const lode_array *w, int from, int to, int64_t *count, int64_t *step)
{
    int64_t side = SIDE;
    double all;
    do {
        all = 1;
        for (int k = from; k < to; k++)
            all *= (double)lode_i_min(side, w->shape[k]);
    } while (all > SIDE && --side > 1);
    for (int k = from; k < to; k++) {
        count[k] = all > SIDE ? 1 : lode_i_min(side, w->shape[k]);
        step[k] = w->shape[k] / count[k];
    }
    return all > SIDE ? 1 : (int64_t)all;
}

/* The rank that a bond has at least, about, where `share` of the energy may be left out: that of a part
 * of the rows and columns of its unfolding. */
static lode_status least_rank(lode_ctx *ctx, const lode_array *w, int bond, double share,
                              int64_t *rank)
{
    lode_status st = LODE_OK;
    lode_array view = { 0 }, some = { 0 }, M = { 0 }, s = { 0 };
    int64_t zero[LODE_MAX_NDIM] = { 0 }, count[LODE_MAX_NDIM], step[LODE_MAX_NDIM];
    const int64_t rows = spread(w, 0, bond, count, step),
                  columns = spread(w, bond, w->ndim, count, step);
    double all = 0, tail = 0;
    LODE_TRY(lode_i_strided(ctx, w, zero, count, step, &view));
    LODE_TRY(lode_array_cast(ctx, &view, w->dtype, &some));
    LODE_TRY(lode_array_reshape(ctx, &some, 2, (const int64_t[]){ rows, columns }, &M));
    LODE_TRY(lode_i_svd(ctx, &M, lode_i_min(rows, columns), NULL, &s, NULL));
    *rank = s.shape[0];
    for (int64_t i = 0; i < *rank; i++)
        all += pow(lode_i_get1(&s, i), 2);
    for (; *rank > 1; --*rank) {
        tail += pow(lode_i_get1(&s, *rank - 1), 2);
        if (tail > share * all)
            break;
    }
done:
    LODE_FREE(&view, &some, &M, &s);
    return st;
}

/* Whether a train is worth trying: of a box of entries spread over the block, whose ranks are at most
 * the block's. */
static lode_status promising(lode_ctx *ctx, const lode_array *w, double allowed, double norm2,
                             double rival, bool *any)
{
    lode_status st = LODE_OK;
    lode_array view = { 0 }, some = { 0 };
    train s = { 0 };
    int64_t zero[LODE_MAX_NDIM] = { 0 }, count[LODE_MAX_NDIM], step[LODE_MAX_NDIM], most = 1;
    double size = 1, own = 0, values = 0;
    int64_t rank[LODE_MAX_NDIM + 1] = { 1 };
    const double share = LEFT_OUT * allowed / norm2;
    *any = false;
    for (int k = 0; k < w->ndim; k++)
        most = lode_i_max(most, w->shape[k]);
    do { /* the largest side at which the box is small enough */
        size = 1;
        for (int k = 0; k < w->ndim; k++)
            size *= (double)lode_i_min(most, w->shape[k]);
    } while (size > LOOKED && --most > 1);
    if (most < 2 || size > LOOKED)
        goto done;
    for (int k = 0; k < w->ndim; k++) {
        count[k] = lode_i_min(most, w->shape[k]);
        step[k] = w->shape[k] / count[k];
    }
    LODE_TRY(lode_i_strided(ctx, w, zero, count, step, &view));
    LODE_TRY(lode_array_cast(ctx, &view, w->dtype, &some));
    LODE_TRY(lode_i_norm_fro(ctx, &some, &own));
    if (!(own > 0))
        goto done;
    LODE_TRY(decompose(ctx, &some, share * own * own, true, &s));
    for (int k = 0; k < w->ndim; k++) {
        rank[k + 1] = s.core[k].shape[2];
        values += (double)w->shape[k] * (double)rank[k] * (double)rank[k + 1];
    }
    *any = s.values < 0.5 * size && BYTES * values < rival;
    if (!*any || lode_array_size(w) < LARGE)
        goto done;
    /* the box bounds ranks by its short sides: a closer look, where a train is much work */
    values = 0;
    for (int k = 0; k < w->ndim; k++) {
        int64_t least = 1;
        if (k + 1 < w->ndim)
            LODE_TRY(least_rank(ctx, w, k + 1, share, &least));
        rank[k + 1] = lode_i_max(rank[k + 1], least);
        values += (double)w->shape[k] * (double)rank[k] * (double)rank[k + 1];
    }
    *any = BYTES * values < rival;
done:
    train_free(&s);
    LODE_FREE(&view, &some);
    return st;
}

lode_status compress_train(lode_ctx *ctx, const block_task *t, const lode_array *block,
                           const predict_rival *rival, lode_array *coded, lode_diff *diff,
                           bool *met)
{
    lode_status st = LODE_OK;
    lode_array filled = { 0 }, w = { 0 }, now = { 0 };
    train s = { 0 };
    const double sumsq = t->goal.sumsq;
    bool any = true;
    *met = false;
    if (t->missing.data) {
        LODE_TRY(lode_array_cast(ctx, &t->x, t->f.work, &filled));
        LODE_TRY(lode_i_missing_fill(ctx, &filled, &t->missing));
    } else {
        filled = lode_array_ref(&t->x);
    }
    LODE_TRY(compress_fold(ctx, &t->f, &filled, &w));
    lode_array_free(&filled);
    if (rival)
        LODE_TRY(promising(ctx, &w, sumsq, t->stats.sumsq, rival->bytes, &any));
    if (!any)
        goto done;
    LODE_TRY(decompose(ctx, &w, LEFT_OUT * sumsq, rival != NULL, &s));
    lode_array_free(&w);
    if (s.values > (double)t->f.size || (rival && BYTES * s.values > rival->bytes))
        goto done;
    double noise = sumsq - s.lost, best = rival ? rival->bytes : INFINITY;
    double step = sqrt(12 * fmax(noise, 0.1 * sumsq) / s.values);
    for (int i = 0; i < TRIES; i++) {
        lode_diff d = { 0 };
        const lode_status coding = write_train(ctx, t, &s, step, &now);
        if (coding == LODE_EDOMAIN)
            break; /* out of range: others do it */
        LODE_TRY(coding);
        LODE_TRY(compress_measure(ctx, t, &now, block, &d));
        const bool good = d.sumsq <= sumsq && d.mismatched == 0;
        if (good && (double)now.shape[0] < best) {
            lode_array_swap(coded, &now);
            *diff = d;
            best = (double)coded->shape[0];
            *met = true;
        }
        if (good && (sumsq - d.sumsq < 0.03 * sumsq || i >= 3))
            break;
        if (!good && *met)
            break;
        if (rival && (double)now.shape[0] > 1.5 * rival->bytes)
            break;
        noise = fmax(d.sumsq - s.lost, 1e-3 * sumsq);
        step *= fmin(4, fmax(0.1, sqrt((good ? 0.985 : 0.97) * (sumsq - s.lost) / noise)));
        if (!(step > 0))
            break;
    }
done:
    train_free(&s);
    LODE_FREE(&filled, &w, &now);
    return st;
}

/* ---- reading ---- */

lode_status compress_train_read(lode_ctx *ctx, lode_record *r, const frame *f, lode_array *x,
                                double *step, int64_t *bytes)
{
    lode_status st = LODE_OK;
    lode_array core[LODE_MAX_NDIM] = { { 0 } }, stream = { 0 }, q = { 0 }, deltas = { 0 };
    int64_t rank[LODE_MAX_NDIM + 1] = { 1 }, full[LODE_MAX_NDIM], *level = NULL, count = 0, at = 0;
    const int d = f->modes;
    double values = 0, size = 1;
    lode_quantizer z = { .zone = 0.5 };
    LODE_TRY(lode_i_record_read_f64(ctx, r, &z.step));
    LODE_REQUIRE(z.step > 0, LODE_EFORMAT, "compress: a record has step %g", z.step);
    *step = z.step, *bytes = 0;
    lode_i_tt_full(d, f->mode, full);
    rank[d] = 1;
    for (int k = 1; k < d; k++) {
        LODE_TRY(lode_i_record_read_i64(ctx, r, 1, full[k - 1], &rank[k]));
        count += rank[k];
    }
    for (int k = 0; k < d; k++) {
        values += (double)rank[k] * (double)f->mode[k] * (double)rank[k + 1];
        size *= (double)f->mode[k];
    }
    LODE_REQUIRE(values <= size, LODE_EFORMAT,
                 "compress: a train of %g values for a block of %g: the record is damaged", values,
                 size);
    LODE_TRY(LODE_NEW(ctx, lode_i_max(count, 1), &level));
    if (count) {
        LODE_TRY(lode_i_record_read_bytes(ctx, r, &stream));
        LODE_TRY(lode_i_vector_new(ctx, LODE_I32, count, &deltas));
        LODE_TRY(lode_i_decode(ctx, &stream, &deltas));
        *bytes += stream.shape[0];
    }
    for (int64_t i = 0; i < count; i++) {
        level[i] = (i ? level[i - 1] : 0) + (int64_t)lode_i_get1(&deltas, i);
        LODE_REQUIRE(level[i] >= -MOST_LEVEL && level[i] <= MOST_LEVEL, LODE_EFORMAT,
                     "compress: a scale of level %" PRId64 ": the record is damaged", level[i]);
    }
    for (int k = 0; k < d; k++) {
        int64_t cosines = 0;
        const int64_t shape[] = { rank[k], f->mode[k], rank[k + 1] };
        LODE_TRY(lode_i_record_read_i64(ctx, r, 0, f->mode[k] <= BASIS_LONGEST, &cosines));
        LODE_TRY(lode_i_record_read_bytes(ctx, r, &stream));
        *bytes += stream.shape[0];
        if (!x)
            continue;
        LODE_TRY(lode_array_new(ctx, LODE_I32, 3, shape, &q));
        LODE_TRY(lode_i_decode(ctx, &stream, &q));
        LODE_TRY(lode_i_dequantize(ctx, &q, &z, f->work, &core[k]));
        if (k)
            LODE_TRY(scale_rows(ctx, level + at, z.step, true, &core[k]));
        at += k ? rank[k] : 0;
        if (cosines)
            LODE_TRY(lode_i_cosines_into(ctx, &core[k], 1, f->mode[k], false, &core[k]));
    }
    if (x)
        LODE_TRY(lode_i_tt_expand(ctx, d, core, NULL, NULL, NULL, x));
done:
    for (int k = 0; k < LODE_MAX_NDIM; k++)
        lode_array_free(&core[k]);
    lode_i_free(level);
    LODE_FREE(&stream, &q, &deltas);
    return st;
}
