/* Quantization by error and bits together: each magnitude is the nearest or one less, whichever has
 * the smaller sum of squared error, in squared steps, and of a price times the bits that it takes in
 * the fast coder's contexts, which are known row by row. For a class of contexts that is a threshold
 * for each magnitude, so that a row is decided by one table and comparisons; groups that a flag
 * could skip are then weighed as a whole. The step at which the error comes to what was asked is
 * found on a sample of blocks; when the whole is decided, the price takes up what the sample did not
 * tell. */
#include <math.h>
#include <stdlib.h>

#include "code/fast.h"
#include "code/quantize.h"

/* Squared steps a bit: errors of a fine step d are d^2 / 12 and fall by half for half a bit, so ln 2
 * / 6 = 0.1155; a little more where steps are coarse. */
#define PRICE 0.125
/* Bits that a nonzero among zeros makes those after it dearer, about. */
#define AFTER 1.0F
/* Where values are taken to come back while symbols are chosen. */
static const double shifts[2] = { 0, 0.03 };
/* Power of the step that the error goes with where most symbols are 0; 2 where steps are fine. */
#define SLOPE 1.15
/* Of the error asked: how far below it the search aims, and what is near enough. */
#define BELOW 0.002
#define ENOUGH 0.004
/* PART: symbols of a row at once, whole groups of them. The sample is one block in SHARE. */
enum { LANES = 8, PART = 512, SHARE = 8, FEWEST = 64, PASSES = 10, STAGES = 4, TRIES = 3 };

#define T float
#define NAME(x) x##_f32
#include "code/rated_kernel.inc"
#undef T
#undef NAME
#define T double
#define NAME(x) x##_f64
#include "code/rated_kernel.inc"

/* Sums over what was decided, as in the fit of the quantizer. */
typedef struct sums {
    double error, sum[2], count[2];
} sums;

typedef struct part {
    int64_t box[CODE_JOINED]; /* of the block: what holds all that plain rounding leaves */
    double rest;              /* energy outside of it */
    double plain;             /* squared error of plain rounding inside, in squared steps */
    double density;           /* share of nonzeros there */
    double weight;            /* what the block stands for in the sample */
    sums found;
} part;

typedef struct work {
    const lode_array *x;
    int32_t *q;
    code_grid grid;
    code_hints hints;
    code_weights weights;
    fast_tables *tables;
    fast_bench **bench; /* one a worker, made when first needed */
    part *part;
    part **block; /* those that hold something, in stages; behind them a sample */
    part **list;  /* those to be worked on */
    int64_t some, drawn;
    double rest, inside; /* energy outside of all boxes; plain error inside */
    lode_quantizer z;
    fast_rates rates;
} work;

/* ---- thresholds ---- */

/* What magnitude m takes in class c. */
static float rate_of(const fast_rates *r, uint32_t c, uint32_t m)
{
    const uint32_t k = code_token(m);
    return r->token[c][k] + (float)code_token_bits[k] +
           (m ? r->sign + (c < FAST_QUIET ? AFTER : 0) : 0);
}

void fast_thresholds(const double shift[2], float price, fast_rates *r)
{
    for (uint32_t c = 0; c < FAST_LEVELS; c++) {
        /* Where low bits go uncoded, tokens hardly tell neighbours apart. */
        const bool coarse = c / 4 + 1 > CODE_UNIT + 1;
        r->least[c][0] = -1;
        for (uint32_t m = 1; m < FAST_TOLD; m++) {
            const float up = (float)m + (float)shift[m > 1];
            const float down = m > 1 ? (float)m - 1 + (float)shift[m > 2] : 0;
            const bool alike = coarse || m == FAST_TOLD - 1;
            const float more = !alike   ? rate_of(r, c, m) - rate_of(r, c, m - 1)
                               : m == 1 ? r->sign
                                        : 0;
            r->least[c][m] = 0.5F * (up + down) + 0.5F * price * more / (up - down) - (float)m;
        }
    }
    r->price = price;
    r->shift[0] = (float)shift[0], r->shift[1] = (float)shift[1];
}

/* From the tokens counted in the benches. */
static void fit_rates(lode_ctx *ctx, work *w)
{
    uint64_t counts[FAST_EVENTS] = { 0 };
    double bits;
    fast_bench_counts(ctx, w->bench, counts);
    fast_frequencies(counts, w->tables->frequency, &bits);
    w->rates.sign = w->hints.signs;
    for (int e = 0; e < FAST_EVENTS; e++) {
        const double f = w->tables->frequency[e];
        /* what never came would take a little more than what came once */
        w->rates.token[e / CODE_TOKENS][e % CODE_TOKENS] = (float)(FAST_BITS - log2(fmax(f, 0.5)));
    }
}

/* ---- rows ---- */

static inline uint32_t magnitude_of(int32_t q)
{
    const uint32_t sign = (uint32_t)q >> 31;
    return ((uint32_t)q ^ (0 - sign)) + sign;
}

/* Whether a group that expects zeros is better skipped whole. */
static bool skips(const fast_rates *r, const uint16_t *level, uint32_t flag, int64_t n,
                  const int32_t *q, const float *left)
{
    float keep = r->price * (r->token[flag][1] - r->token[flag][0]), skip = 0;
    for (int64_t i = 0; i < n; i++) {
        const uint32_t k = magnitude_of(q[i]);
        const float d = left[i] - (k ? r->shift[k > 1] : 0), a = (float)k + left[i];
        keep += d * d + r->price * rate_of(r, level[i] & 0xff, k);
        skip += a * a;
    }
    return skip < keep;
}

static void weigh_groups(const fast_rates *r, const uint16_t *level, int64_t n, int32_t *q,
                         uint32_t *seen, float *left)
{
    for (int64_t from = 0; from < n; from += FAST_GROUP) {
        const int64_t count = lode_i_min(FAST_GROUP, n - from);
        uint32_t all = 0, any = 0;
        for (int64_t i = from; i < from + count; i++)
            all |= level[i], any |= (uint32_t)q[i];
        all &= 0xff;
        if (all >= FAST_QUIET || !any ||
            !skips(r, level + from, FAST_LEVELS + all, count, q + from, left + from))
            continue;
        for (int64_t i = from; i < from + count; i++) {
            left[i] += (float)magnitude_of(q[i]);
            q[i] = 0, seen[i] = 0;
        }
    }
}

/* left: room for whole LANES. */
LODE_CLONES static void add(const int32_t *restrict q, float *restrict left, int64_t n,
                            sums *restrict s)
{
    float error[LANES] = { 0 }, first[LANES] = { 0 }, later[LANES] = { 0 };
    float one[PART] = { 0 }, more[PART] = { 0 };
    int32_t ones = 0, mores = 0;
    for (int64_t i = 0; i < n; i++) {
        const int32_t k = q[i] < 0 ? -q[i] : q[i];
        one[i] = k == 1 ? left[i] : 0;
        more[i] = k > 1 ? left[i] : 0;
        ones += k == 1;
        mores += k > 1;
    }
    for (; n % LANES; n++)
        left[n] = one[n] = more[n] = 0;
    for (int64_t i = 0; i < n; i += LANES)
        for (int l = 0; l < LANES; l++)
            error[l] += left[i + l] * left[i + l];
    for (int64_t i = 0; i < n; i += LANES)
        for (int l = 0; l < LANES; l++)
            first[l] += one[i + l];
    for (int64_t i = 0; i < n; i += LANES)
        for (int l = 0; l < LANES; l++)
            later[l] += more[i + l];
    for (int l = 0; l < LANES; l++) {
        s->error += (double)error[l];
        s->sum[0] += (double)first[l], s->sum[1] += (double)later[l];
    }
    s->count[0] += ones, s->count[1] += mores;
}

/* ---- blocks ---- */

static bool decide_block(const work *w, part *p, fast_bench *bench)
{
    int64_t start[CODE_AXES], count[CODE_AXES];
    const int64_t first = code_grid_block(&w->grid, p - w->part, start, count);
    const bool single = w->x->dtype == LODE_F32;
    const uint32_t drop = w->hints.drop;
    bool good = true;
    code_walk walk;

    p->found = (sums){ 0 };
    code_walk_begin(&w->grid, start, count, p->box, &w->hints, bench->padded, &walk);
    const int64_t n = walk.count[walk.ndim - 1];
    const int32_t most = fast_columns(&walk, bench->column);
    while (code_walk_next(&walk)) {
        const int64_t row = code_walk_flat(&walk, &w->grid, first);
        fast_row(&walk, most, &w->hints, &w->weights, w->tables->level, bench);
        for (int64_t from = 0; from < n; from += PART) {
            const int64_t m = lode_i_min(PART, n - from), at = row + from;
            const uint16_t *const level = bench->level + from;
            uint32_t *const seen = bench->padded + walk.at + from;
            float left[PART];
            good = good &&
                   (single ? choose_f32((const float *)w->x->data + at, m, (float)(1 / w->z.step),
                                        w->rates.least[0], level, drop, w->q + at, seen, left)
                           : choose_f64((const double *)w->x->data + at, m, 1 / w->z.step,
                                        w->rates.least[0], level, drop, w->q + at, seen, left));
            weigh_groups(&w->rates, level, m, w->q + at, seen, left);
            add(w->q + at, left, m, &p->found);
        }
    }
    return good;
}

static lode_status decide_task(lode_ctx *ctx, int64_t i, void *data)
{
    work *w = data;
    fast_bench *bench = NULL;
    LODE_FORWARD(fast_bench_mine(ctx, &w->grid, w->bench, &bench));
    if (!decide_block(w, w->list[i], bench))
        return code_too_large(ctx, w->z.step);
    return LODE_OK;
}

static double energy_of(const work *w, int64_t at, int64_t n)
{
    return w->x->dtype == LODE_F32 ? energy_f32((const float *)w->x->data + at, n)
                                   : energy_f64((const double *)w->x->data + at, n);
}

/* Plain rounding of one row; returns how far it goes that something is left of it, and adds up its
 * squared error and nonzeros. */
static int64_t round_row(const work *w, int64_t at, int64_t n, part *p)
{
    int64_t last = 0;
    float left[PART];
    for (int64_t from = 0; from < n; from += PART) {
        const int64_t m = lode_i_min(PART, n - from);
        int32_t *const q = w->q + at + from;
        const int64_t some = w->x->dtype == LODE_F32
                                 ? plain_f32((const float *)w->x->data + at + from, m, &w->z, q,
                                             left)
                                 : plain_f64((const double *)w->x->data + at + from, m, &w->z, q,
                                             left);
        p->plain += energy_f32(left, m);
        p->density += (double)some;
        for (int64_t i = m; some && last <= from && i > 0; i--)
            last = q[i - 1] ? from + i : last;
    }
    return last;
}

/* Plain rounding of a block: box, energy outside and error inside. */
static void survey_block(const work *w, int64_t b)
{
    int64_t start[CODE_AXES], count[CODE_AXES], index[CODE_AXES] = { 0 }, rows = 1;
    const code_grid *g = &w->grid;
    const int last = g->ndim - 1;
    const double unit = w->z.step * w->z.step;
    const int64_t first = code_grid_block(g, b, start, count);
    part *p = &w->part[b];

    for (int k = 0; k < last; k++)
        rows *= count[k];
    for (int turn = 0; turn < 2; turn++) { /* in the second, what lies outside of the box */
        int64_t at = first;
        for (int64_t r = 0; r < rows; r++) {
            int64_t inside = p->box[last];
            for (int k = 0; k < last; k++)
                inside = index[k] < p->box[k] ? inside : 0;
            if (turn == 0) {
                const int64_t n = round_row(w, at, count[last], p);
                for (int k = 0; k < last && n > 0; k++)
                    p->box[k] = lode_i_max(p->box[k], index[k] + 1);
                p->box[last] = lode_i_max(p->box[last], n);
            } else
                p->rest += energy_of(w, at + inside, count[last] - inside);
            for (int k = last - 1; k >= 0; k--) {
                at += g->stride[k];
                if (++index[k] < count[k])
                    break;
                at -= count[k] * g->stride[k];
                index[k] = 0;
            }
        }
        if (p->box[0] == 0) {
            p->rest = p->plain * unit;
            break;
        }
    }
    p->plain = fmax(p->plain - p->rest / unit, 0);
}

static lode_status survey_task(lode_ctx *ctx, int64_t b, void *data)
{
    (void)ctx;
    survey_block(data, b);
    return LODE_OK;
}

static lode_status count_task(lode_ctx *ctx, int64_t i, void *data)
{
    work *w = data;
    fast_bench *bench = NULL;
    fast_scan found;
    LODE_FORWARD(fast_bench_mine(ctx, &w->grid, w->bench, &bench));
    fast_chunk_scan(&w->grid, w->list[i] - w->part, w->q, &w->hints, &w->weights, w->tables, bench,
                    &found);
    return LODE_OK;
}

/* ---- the whole ---- */

static lode_status begin(lode_ctx *ctx, work *w)
{
    const size_t workers = (size_t)lode_ctx_threads(ctx);
    code_grid_make(w->x->ndim, w->x->shape, &w->grid);
    w->hints.fast = true;
    const size_t blocks = (size_t)w->grid.blocks + 1;
    LODE_FORWARD(code_hint_new(ctx, &w->grid, &w->hints));
    LODE_FORWARD(lode_i_calloc(ctx, sizeof *w->tables, (void **)&w->tables));
    LODE_FORWARD(lode_i_calloc(ctx, workers * sizeof *w->bench, (void **)&w->bench));
    LODE_FORWARD(lode_i_calloc(ctx, blocks * sizeof *w->part, (void **)&w->part));
    return lode_i_calloc(ctx, 3 * blocks * sizeof *w->block, (void **)&w->block);
}

static void end(lode_ctx *ctx, work *w)
{
    fast_bench_free_all(ctx, w->bench);
    lode_i_free(w->hints.level);
    lode_i_free(w->tables);
    lode_i_free(w->part);
    lode_i_free(w->block);
}

static int by_density(const void *a, const void *b)
{
    const part *p = *(part *const *)a, *q = *(part *const *)b;
    return p->density < q->density ? -1 : p->density > q->density ? 1 : (p > q) - (p < q);
}

/* Blocks in order of their density: a sample of them is drawn in proportion to their
 * error, each standing for as much of it. */
static void draw(work *w, part **order)
{
    const int64_t most = w->some / SHARE;
    double passed = 0;
    int64_t met = 0;
    for (int64_t i = 0; i < w->some; i++) {
        part *const p = order[i];
        passed += p->plain;
        for (; met < most && passed * (double)most >= ((double)met + 0.5) * w->inside; met++) {
            if (p->weight == 0)
                w->block[w->some + w->drawn++] = p;
            p->weight += w->inside / ((double)most * p->plain);
        }
    }
}

/* Where stage k of them begins in the list: half the blocks, a quarter, and twice an eighth. */
static int64_t stage_at(const work *w, int k)
{
    static const int eighths[STAGES + 1] = { 0, 4, 6, 7, 8 };
    return eighths[k] * w->some / 8;
}

static void list_blocks(work *w)
{
    part **order = w->block;
    for (int64_t b = 0; b < w->grid.blocks; b++) {
        part *p = &w->part[b];
        w->rest += p->rest;
        if (!p->box[0])
            continue;
        for (int k = 0; k < w->grid.ndim; k++)
            p->density /= (double)p->box[k];
        w->inside += p->plain;
        order[w->some++] = p;
    }
    if (w->some <= FEWEST || !(w->inside > 0))
        return;
    qsort(order, (size_t)w->some, sizeof *order, by_density);
    draw(w, order);
    /* each stage takes of all densities: order is dealt out in turn */
    part **const sorted = order + 2 * w->some;
    int64_t at[STAGES];
    memcpy(sorted, order, (size_t)w->some * sizeof *order);
    for (int k = 0; k < STAGES; k++)
        at[k] = stage_at(w, k);
    for (int64_t i = 0; i < w->some; i++) {
        static const int turn[8] = { 0, 1, 0, 2, 0, 1, 0, 3 };
        int k = turn[i % 8];
        for (int tried = 0; at[k] == stage_at(w, k + 1) && tried < STAGES; tried++)
            k = (k + 1) % STAGES;
        order[at[k]++] = sorted[i];
    }
}

/* Decides these blocks; adds to s. */
static lode_status decide_list(lode_ctx *ctx, work *w, part **blocks, int64_t count, bool weighted,
                               double price, sums *s)
{
    w->list = blocks;
    fast_thresholds(shifts, (float)price, &w->rates);
    LODE_FORWARD(lode_i_parallel(ctx, count, decide_task, w));
    for (int64_t i = 0; i < count; i++) {
        const sums *p = &blocks[i]->found;
        const double weight = weighted ? blocks[i]->weight : 1;
        s->error += weight * p->error;
        for (int k = 0; k < 2; k++)
            s->sum[k] += weight * p->sum[k], s->count[k] += weight * p->count[k];
    }
    return LODE_OK;
}

/* Their squared error in squared steps, at the centroids. */
static double error_of(const sums *s, double shift[2])
{
    return code_centroids(s->error, s->count, s->sum, shift);
}

/* Looks for the step where the error comes to the aim: on the sample, or on all of few blocks. power:
 * of the price that the error goes with, about. */
static lode_status find_step(lode_ctx *ctx, work *w, double sumsq, double *power, double *reached,
                             bool *met)
{
    const bool all = w->drawn == 0;
    const double aim = (1 - BELOW) * sumsq;
    double step = w->z.step, error, low = 0, high = INFINITY, last = 0, last_error = 0,
           slope = SLOPE;
    *met = false;
    for (int i = 0; i < PASSES; i++) {
        sums s = { 0 };
        w->z.step = step;
        LODE_FORWARD(decide_list(ctx, w, all ? w->block : w->block + w->some,
                                 all ? w->some : w->drawn, !all, PRICE, &s));
        LODE_FORWARD(lode_i_tick(ctx, i, PASSES));
        *reached = error = w->rest + error_of(&s, w->z.shift) * step * step;
        if (i == 0)
            *power = fmin(0.5, 0.04 + 1.2 * fmax(0, error / sumsq - 1));
        *met = all ? error <= sumsq && (error >= (1 - ENOUGH) * sumsq || i == PASSES - 1)
                   : fabs(error - aim) <= 0.01 * sumsq || i == PASSES / 2;
        if (*met || !(error > 0))
            break;
        if (i > 0 && step != last) {
            slope = log(error / last_error) / log(step / last);
            slope = slope > 0.5 && slope < 2.5 ? slope : SLOPE;
        }
        last = step, last_error = error;
        low = error <= sumsq ? fmax(low, step) : low;
        high = error > sumsq ? fmin(high, step) : high;
        step *= fmin(1.5, fmax(0.67, pow(aim / error, 1 / slope)));
        if (!(step > low && step < high) || i > PASSES / 2) /* errors jump where few values are */
            step = low > 0 && high < INFINITY ? sqrt(low * high) : step;
        if (all && i == PASSES - 2) { /* what met it before will again */
            if (!(low > 0))           /* what lies outside of all boxes takes the error up */
                break;
            step = low;
        }
    }
    return LODE_OK;
}

/* Decides everything at the step found, in stages: from each on, the price is what the error of those
 * before asks for. */
static lode_status decide_all(lode_ctx *ctx, work *w, double sumsq, double power, double *reached,
                              bool *met)
{
    const double unit = w->z.step * w->z.step, aim = ((1 - BELOW) * sumsq - w->rest) / unit;
    sums done[STAGES + 1] = { { 0 } };
    double price = PRICE, usual = 0, low = 0, high = INFINITY, shift[2];
    *met = false;
    for (int k = 0, tries = 0; k < STAGES; k++) {
        const int64_t from = stage_at(w, k), to = stage_at(w, k + 1);
        double plain = 0;
        done[k + 1] = done[k];
        LODE_FORWARD(decide_list(ctx, w, w->block + from, to - from, false, price, &done[k + 1]));
        LODE_FORWARD(lode_i_tick(ctx, k, STAGES));
        const double now = error_of(&done[k + 1], shift), own = now - error_of(&done[k], shift);
        *reached = w->rest + now * unit;
        *met = k == STAGES - 1 && *reached <= sumsq;
        if (k == STAGES - 1) { /* the last one again, until it is near enough */
            if ((*met && *reached >= (1 - 2 * BELOW) * sumsq) || tries++ == TRIES)
                break;
            low = *met ? fmax(low, price) : low;
            high = *met ? high : fmin(high, price);
            price *= fmin(1.6, fmax(0.4, pow(fmax((own + aim - now) / own, 0.1), 1 / power)));
            if (low > 0 && high < INFINITY)
                price = tries == TRIES ? low : sqrt(low * high);
            k--;
            continue;
        }
        /* what all until here would have had at PRICE, to what plain rounding has */
        usual += own / pow(price / PRICE, power);
        for (int64_t i = 0; i < to; i++)
            plain += w->block[i]->plain;
        const double rest = usual * (w->inside / plain - 1);
        price = PRICE * fmin(1.6, fmax(0.6, pow(fmax((aim - now) / rest, 0.1), 1 / power)));
    }
    error_of(&done[STAGES], w->z.shift);
    return LODE_OK;
}

lode_status lode_i_quantize_rated(lode_ctx *ctx, const lode_array *x, lode_quantizer *z,
                                  double *more, lode_array *q)
{
    lode_status st = LODE_OK;
    lode_array made = { 0 };
    work w = { .x = x, .z = *z };
    double power = 0, reached = 0;
    bool met = false;

    LODE_REQUIRE((x->dtype == LODE_F32 || x->dtype == LODE_F64) && lode_array_is_contiguous(x),
                 LODE_EINTERNAL, "the quantizer takes contiguous f32 and f64");
    LODE_TRY(lode_array_new(ctx, LODE_I32, x->ndim, x->shape, &made));
    w.q = made.data;
    LODE_TRY(begin(ctx, &w));
    LODE_TRY(lode_i_parallel(ctx, w.grid.blocks, survey_task, &w));
    list_blocks(&w);
    const double before = w.rest + w.inside * z->step * z->step, sumsq = before + *more;
    if (w.some == 0 || w.rest >= sumsq)
        goto done;
    LODE_TRY(code_fit(ctx, &w.grid, w.q, &w.hints, &w.weights));
    fast_levels(w.hints.drop, w.tables);
    w.list = w.drawn ? w.block + w.some : w.block;
    LODE_TRY(lode_i_parallel(ctx, w.drawn ? w.drawn : w.some, count_task, &w));
    fit_rates(ctx, &w);
    LODE_TRY(find_step(ctx, &w, sumsq, &power, &reached, &met));
    if (met && w.drawn)
        LODE_TRY(decide_all(ctx, &w, sumsq, power, &reached, &met));
    if (met) {
        *more = reached - before;
        *z = w.z;
        lode_array_swap(q, &made);
    }
done:
    end(ctx, &w);
    LODE_FREE(&made);
    return st;
}
