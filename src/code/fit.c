/* What the encoder learns before it codes: the marginal magnitudes along each axis, and the weights
 * by which they and the coded neighbours predict a magnitude. */
#include <math.h>

#include "code/fast.h"

/* Columns that a task takes, about. */
enum { COLUMNS = 1 << 12 };

typedef struct marginals {
    const code_grid *g;
    const int32_t *symbols;
    const int64_t *first;
    int64_t length;        /* of all axes together */
    int64_t rows, group;   /* along the last axis; of a task */
    int64_t width, across; /* columns of a task, whole blocks; tasks side by side */
    int64_t *place;        /* of a block among all, by the index along each axis but the last */
    uint64_t *sum;         /* one table a worker: integers, so that their total has no order */
    uint32_t *half;        /* two rows a worker: of a task, the low halves and the high ones */
    uint32_t *largest;     /* one a worker: all magnitudes or'ed */
    uint32_t *negative;    /* one a worker: 1 or 0 */
    int64_t *nonzeros;     /* a row a worker, one a block */
} marginals;

/* Adds the magnitudes of a row to those along it, in halves of 16 bits: a task's symbols are too few
 * to overflow. Returns their sum. */
LODE_CLONES static uint64_t add_row(const int32_t *restrict symbols, int64_t n,
                                    uint32_t *restrict low, uint32_t *restrict high,
                                    uint32_t *largest, uint32_t *negative, int64_t *nonzeros)
{
    enum { RUN = 256 };
    uint32_t any = 0, minus = 0, zeros = 0, a[RUN];
    uint64_t sum = 0;
    for (int64_t from = 0; from < n; from += RUN) {
        const int64_t count = lode_i_min(RUN, n - from);
        uint32_t most = 0, lows = 0, highs = 0;
        for (int64_t i = 0; i < count; i++) {
            const uint32_t s = (uint32_t)symbols[from + i], sign = 0 - (s >> 31);
            a[i] = (s ^ sign) - sign;
            minus |= s;
            most |= a[i];
            zeros += a[i] == 0;
        }
        any |= most;
        for (int64_t i = 0; i < count; i++) {
            low[from + i] += a[i] & 0xFFFF;
            lows += a[i] & 0xFFFF;
        }
        for (int64_t i = 0; most >> 16 && i < count; i++) {
            high[from + i] += a[i] >> 16;
            highs += a[i] >> 16;
        }
        sum += ((uint64_t)highs << 16) + lows;
    }
    *largest |= any;
    *negative |= minus >> 31;
    *nonzeros += n - zeros;
    return sum;
}

/* Some rows, or a part of each, in the order of memory. */
static lode_status add_rows(lode_ctx *ctx, int64_t at, void *data)
{
    const marginals *m = data;
    const code_grid *g = m->g;
    const int last = g->ndim - 1, worker = lode_i_worker(ctx);
    const int64_t r0 = at / m->across * m->group, r1 = lode_i_min(m->rows, r0 + m->group),
                  c0 = at % m->across * m->width, c1 = lode_i_min(g->shape[last], c0 + m->width),
                  side = g->side[last];
    uint64_t *const sum = m->sum + worker * m->length, *const along = sum + m->first[last];
    uint32_t *const low = m->half + 2 * worker * m->width, *const high = low + m->width;
    int64_t *const nonzeros = m->nonzeros + worker * g->blocks, index[CODE_AXES] = { 0 };

    for (int64_t k = last - 1, r = r0; k >= 0; r /= g->shape[k--])
        index[k] = r % g->shape[k];
    for (int64_t r = r0; r < r1; r++) {
        const int32_t *const row = m->symbols + r * g->shape[last];
        int64_t block = c0 / side;
        uint64_t total = 0;
        for (int k = 0; k < last; k++)
            block += m->place[m->first[k] + index[k]];
        for (int64_t c = c0; c < c1; c += side, block++)
            total += add_row(row + c, lode_i_min(side, c1 - c), low + (c - c0), high + (c - c0),
                             &m->largest[worker], &m->negative[worker], &nonzeros[block]);
        for (int k = 0; k < last; k++)
            sum[m->first[k] + index[k]] += total;
        for (int k = last - 1; k >= 0 && ++index[k] == g->shape[k]; k--)
            index[k] = 0;
    }
    for (int64_t c = c0; c < c1; c++) {
        along[c] += ((uint64_t)high[c - c0] << 16) + low[c - c0];
        low[c - c0] = high[c - c0] = 0;
    }
    return LODE_OK;
}

/* Quarter octaves of x in the model's units. */
static double octaves4(double x)
{
    return 4 * log2(x) + 4 * CODE_UNIT;
}

/* nonzeros: one a block, zeros; counts them. */
static lode_status fit_hints(lode_ctx *ctx, const code_grid *g, const int32_t *symbols,
                             code_hints *hints, int64_t *nonzeros)
{
    lode_status st = LODE_OK;
    marginals m = {
        .g = g, .symbols = symbols, .first = hints->first, .length = code_hint_length(g), .rows = 1
    };
    const int workers = lode_ctx_threads(ctx), last = g->ndim - 1;
    double total = 0, size = 1;
    uint32_t largest = 0;

    for (int k = 0; k < g->ndim; k++)
        size *= (double)g->shape[k];
    LODE_TRY(lode_i_calloc(ctx, (size_t)(m.length * workers) * sizeof *m.sum, (void **)&m.sum));
    LODE_TRY(LODE_NEW(ctx, lode_i_max(m.length, 1), &m.place));
    for (int64_t k = last, place = 1; k >= 0; place *= g->parts[k--]) {
        m.rows *= k < last ? g->shape[k] : 1;
        for (int64_t i = 0; i < g->shape[k]; i++)
            m.place[hints->first[k] + i] = i / g->side[k] * place;
    }
    m.width = g->side[last] * lode_i_max(1, COLUMNS / g->side[last]);
    m.width = lode_i_min(m.width, g->parts[last] * g->side[last]);
    m.across = lode_i_ceil_div(g->shape[last], m.width);
    m.group = lode_i_max(1, CODE_CHUNK / m.width);
    LODE_TRY(
        lode_i_calloc(ctx, (size_t)(2 * m.width * workers) * sizeof *m.half, (void **)&m.half));
    LODE_TRY(lode_i_calloc(ctx, (size_t)((g->blocks + 1) * workers) * sizeof *m.nonzeros,
                           (void **)&m.nonzeros));
    LODE_TRY(lode_i_calloc(ctx, (size_t)workers * sizeof *m.largest, (void **)&m.largest));
    LODE_TRY(lode_i_calloc(ctx, (size_t)workers * sizeof *m.negative, (void **)&m.negative));
    LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(m.rows, m.group) * m.across, add_rows, &m));
    for (int w = 0; w < workers; w++) {
        for (int64_t b = 0; b < g->blocks; b++)
            nonzeros[b] += m.nonzeros[w * g->blocks + b];
        largest |= m.largest[w];
        hints->signs |= m.negative[w] != 0;
        for (int64_t i = 0; w > 0 && i < m.length; i++)
            m.sum[i] += m.sum[w * m.length + i];
    }
    for (int64_t i = 0; i < g->shape[0]; i++)
        total += (double)m.sum[hints->first[0] + i];
    if (hints->fast) /* most magnitudes within what contexts tell apart */
        hints->drop = total >= 64 * size ? (uint32_t)(ilogb(total / size) - 5) : 0;
    else
        hints->drop = largest >> 22 ? (uint32_t)(code_log2(largest) - 21) : 0;
    hints->base = total > 0 ? (int32_t)lrint(octaves4(ldexp(total / size, -(int)hints->drop))) : 0;
    hints->base = hints->base < -64 ? -64 : hints->base;
    /* Worth their bytes only where each level serves many symbols. */
    hints->present = g->ndim > 1 && total > 4 * (double)m.length;
    for (int k = 0; k < g->ndim && hints->present; k++)
        for (int64_t i = 0; i < g->shape[k]; i++) {
            const double mean = total / (double)g->shape[k];
            const double ratio = ((double)m.sum[hints->first[k] + i] + 0.25) / (mean + 0.25);
            const double level = 4 * log2(ratio);
            hints->level[hints->first[k] + i] = 2 * (int32_t)lrint(level / 2);
        }
done:
    lode_i_free(m.sum);
    lode_i_free(m.half);
    lode_i_free(m.largest);
    lode_i_free(m.negative);
    lode_i_free(m.nonzeros);
    lode_i_free(m.place);
    return st;
}

/* ---- weights: least squares relative to the expectation, all weights nonnegative ---- */

/* SHARE: samples of a task */
enum { SAMPLES = 1 << 16, FEWER = 1 << 14, SHARE = 1 << 12, BLOCKS = 24, FEW = 12 };

/* Coordinate descent on the normal equations A w = b, w >= 0. */
static void descend(double A[CODE_FEATURES][CODE_FEATURES], const double *b, double *w)
{
    for (int sweep = 0; sweep < 200; sweep++)
        for (int k = 0; k < CODE_FEATURES; k++) {
            double r = b[k];
            for (int j = 0; j < CODE_FEATURES; j++)
                r -= j == k ? 0 : A[k][j] * w[j];
            w[k] = A[k][k] > 0 && r > 0 ? r / A[k][k] : 0;
        }
}

/* Normal equations of the samples, each weighed by what it is expected to be. */
typedef struct normal {
    float A[CODE_FEATURES][CODE_FEATURES], b[CODE_FEATURES];
} normal;

typedef struct gathering {
    const float *sample;
    int64_t n;
    float weight[CODE_FEATURES];
    normal part[SAMPLES / SHARE];
} gathering;

/* Whole rows of A, though half would do, are what vectorizes. */
LODE_CLONES static void gather(const float *sample, int64_t n, const float *weight, normal *to)
{
    normal sum = { .b = { 0 } };
    for (int64_t s = 0; s < n; s++) {
        const float *f = sample + s * (CODE_FEATURES + 1);
        float m = 8;
        for (int k = 0; k < CODE_FEATURES; k++)
            m += weight[k] * f[k];
        /* one giant moves little */
        const float scale = 1 / (m * m), most = 8 * m + 512;
        const float seen = f[CODE_FEATURES] < most ? f[CODE_FEATURES] : most;
        for (int i = 0; i < CODE_FEATURES; i++)
            sum.b[i] += scale * seen * f[i];
        for (int i = 0; i < CODE_FEATURES; i++) {
            const float share = scale * f[i];
            for (int j = 0; j < CODE_FEATURES; j++)
                sum.A[i][j] += share * f[j];
        }
    }
    *to = sum;
}

static lode_status gather_task(lode_ctx *ctx, int64_t i, void *data)
{
    gathering *g = data;
    (void)ctx;
    gather(g->sample + i * SHARE * (CODE_FEATURES + 1), lode_i_min(SHARE, g->n - i * SHARE),
           g->weight, &g->part[i]);
    return LODE_OK;
}

static lode_status solve(lode_ctx *ctx, const float *sample, int64_t n, double *weight)
{
    lode_status st = LODE_OK;
    const int64_t parts = lode_i_ceil_div(n, SHARE);
    gathering *g = NULL;
    LODE_TRY(LODE_NEW(ctx, 1, &g));
    g->sample = sample, g->n = n;
    for (int pass = 0; pass < 4; pass++) {
        double A[CODE_FEATURES][CODE_FEATURES] = { { 0 } }, b[CODE_FEATURES] = { 0 };
        for (int k = 0; k < CODE_FEATURES; k++)
            g->weight[k] = (float)weight[k];
        LODE_TRY(lode_i_parallel(ctx, parts, gather_task, g));
        for (int64_t p = 0; p < parts; p++)
            for (int i = 0; i < CODE_FEATURES; i++) {
                b[i] += (double)g->part[p].b[i];
                for (int j = 0; j < CODE_FEATURES; j++)
                    A[i][j] += (double)g->part[p].A[i][j];
            }
        descend(A, b, weight);
    }
done:
    lode_i_free(g);
    return st;
}

/* Every stride-th symbol of some blocks; the stride is odd so that it meets all columns. */
typedef struct sampling {
    const code_grid *g;
    const int32_t *symbols;
    const code_hints *hints;
    code_bench **bench;                                 /* one a worker, made when first needed */
    int64_t samples;                                    /* room for them */
    int64_t block[BLOCKS], step[BLOCKS], first[BLOCKS]; /* first: of the samples */
    float *sample;
} sampling;

static lode_status sample_block(lode_ctx *ctx, int64_t u, void *data)
{
    const sampling *w = data;
    const code_hints *hints = w->hints;
    code_bench **own = &w->bench[lode_i_worker(ctx)];
    int64_t start[CODE_AXES], count[CODE_AXES], n = w->first[u], phase = 0;
    code_walk walk;
    if (!*own)
        LODE_FORWARD(code_bench_new(ctx, w->g, own));
    code_bench *const bench = *own;
    const int64_t first = code_grid_block(w->g, w->block[u], start, count);
    code_walk_begin(w->g, start, count, count, hints, bench->padded, &walk);
    while (code_walk_row(&walk, hints, NULL, bench)) {
        const int32_t *from = w->symbols + code_walk_flat(&walk, w->g, first);
        uint32_t *seen = bench->padded + walk.at;
        const int64_t row = walk.count[walk.ndim - 1];
        for (int64_t i = 0; i < row; i++) {
            const int32_t s = from[i];
            const uint32_t magnitude = s < 0 ? 0 - (uint32_t)s : (uint32_t)s;
            seen[i] = hints->fast ? fast_seen(magnitude, hints->drop)
                                  : code_seen(magnitude, hints->drop);
        }
        int64_t i = phase;
        for (; i < row && n < w->samples; i += w->step[u]) {
            uint32_t f[CODE_FEATURES];
            float *to = w->sample + n++ * (CODE_FEATURES + 1);
            code_walk_features(&walk, bench, i, f);
            if (hints->fast) /* those of the row itself come too late */
                f[1] = f[2] = 0;
            for (int k = 0; k < CODE_FEATURES; k++)
                to[k] = (float)f[k];
            to[CODE_FEATURES] = (float)seen[i];
        }
        phase = i < row ? 0 : i - row;
    }
    return LODE_OK;
}

/* Blocks for the samples, about as many nonzero symbols apart; returns how many. */
static int64_t choose_blocks(const code_grid *g, bool fast, const int64_t *nonzeros, sampling *w,
                             int64_t *samples)
{
    int64_t blocks = 0, total = 0, passed = 0, count[CODE_AXES], start[CODE_AXES], chosen = 0;
    for (int64_t b = 0; b < g->blocks; b++)
        total += nonzeros[b], blocks += nonzeros[b] > 0;
    const int64_t used = fast ? lode_i_min(lode_i_ceil_div(blocks, 2), FEW)
                              : lode_i_min(blocks, BLOCKS);
    *samples = 0;
    for (int64_t b = 0, u = 0; b < g->blocks && *samples < w->samples; b++) {
        passed += nonzeros[b];
        if (passed * 2 * used <= (2 * u + 1) * total)
            continue;
        while (passed * 2 * used > (2 * u + 1) * total)
            u++;
        int64_t size = 1;
        (void)code_grid_block(g, b, start, count);
        for (int k = 0; k < g->ndim; k++)
            size *= count[k];
        w->block[chosen] = b;
        w->step[chosen] = lode_i_max(1, size * used / w->samples) | 1;
        w->first[chosen] = *samples;
        *samples = lode_i_min(w->samples, *samples + lode_i_ceil_div(size, w->step[chosen]));
        chosen++;
    }
    return chosen;
}

lode_status code_fit(lode_ctx *ctx, const code_grid *g, const int32_t *symbols, code_hints *hints,
                     code_weights *weights)
{
    lode_status st = LODE_OK;
    const size_t workers = (size_t)lode_ctx_threads(ctx);
    double weight[CODE_FEATURES] = { 0.3, 0.1, 0.1, 0.1, 0.02, 0.1, 0.02, 0.02 };
    sampling w = { .g = g, .symbols = symbols, .hints = hints };
    int64_t n = 0, *nonzeros = NULL;

    w.samples = hints->fast ? FEWER : SAMPLES;
    LODE_TRY(lode_i_calloc(ctx, (size_t)(g->blocks + 1) * sizeof *nonzeros, (void **)&nonzeros));
    LODE_TRY(fit_hints(ctx, g, symbols, hints, nonzeros));
    LODE_TRY(lode_i_calloc(ctx, workers * sizeof(code_bench *), (void **)&w.bench));
    const int64_t chosen = choose_blocks(g, hints->fast, nonzeros, &w, &n);
    LODE_TRY(LODE_NEW(ctx, lode_i_max(n, 1) * (CODE_FEATURES + 1), &w.sample));
    LODE_TRY(lode_i_parallel(ctx, chosen, sample_block, &w));
    LODE_TRY(solve(ctx, w.sample, n, weight));
    for (int k = 0; k < CODE_FEATURES; k++) {
        const double most = hints->fast ? FAST_WEIGHT : 1023;
        weights->weight[k] = (uint32_t)lrint(fmin(weight[k] * (1 << CODE_WEIGHT_BITS), most));
    }
done:
    for (size_t k = 0; w.bench && k < workers; k++)
        code_bench_free(w.bench[k]);
    lode_i_free((void *)w.bench);
    lode_i_free(w.sample);
    lode_i_free(nonzeros);
    return st;
}
