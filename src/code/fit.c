/* What the encoder learns before it codes: the marginal magnitudes along each axis, and the weights
 * by which they and the coded neighbours predict a magnitude. */
#include <math.h>

#include "code/fast.h"

typedef struct marginals {
    const code_grid *g;
    const int32_t *symbols;
    const int64_t *first;
    int64_t length;     /* of all axes together */
    uint64_t *sum;      /* one table a worker: integers, so that their total has no order */
    uint32_t *half;     /* two rows a worker: of a block, the low halves and the high ones */
    uint32_t *largest;  /* one a worker */
    uint32_t *negative; /* one a worker: 1 or 0 */
    int64_t *nonzeros;  /* one a block */
} marginals;

/* Adds the magnitudes of a row to those along it, in halves of 16 bits: a block's symbols are too few
 * to overflow. Returns their sum. */
LODE_CLONES static uint64_t add_row(const int32_t *restrict symbols, int64_t n,
                                    uint32_t *restrict low, uint32_t *restrict high,
                                    uint32_t *largest, uint32_t *negative, int64_t *nonzeros)
{
    uint32_t most = *largest, minus = 0, lows = 0, highs = 0, some = 0;
    for (int64_t i = 0; i < n; i++) {
        const uint32_t s = (uint32_t)symbols[i], sign = s >> 31;
        const uint32_t a = (s ^ (0 - sign)) + sign;
        most = a > most ? a : most;
        minus |= sign;
        some += a != 0;
        low[i] += a & 0xFFFF;
        high[i] += a >> 16;
        lows += a & 0xFFFF;
        highs += a >> 16;
    }
    *largest = most;
    *negative |= minus;
    *nonzeros += some;
    return ((uint64_t)highs << 16) + lows;
}

static lode_status add_block(lode_ctx *ctx, int64_t b, void *data)
{
    const marginals *m = data;
    const code_grid *g = m->g;
    const int last = g->ndim - 1;
    const int worker = lode_i_worker(ctx);
    uint64_t *sum = m->sum + worker * m->length;
    uint32_t *low = m->half + 2 * worker * g->side[last], *high = low + g->side[last];
    int64_t start[CODE_AXES], count[CODE_AXES], index[CODE_AXES] = { 0 }, rows = 1;
    int64_t flat = code_grid_block(g, b, start, count);
    uint64_t *along = sum + m->first[last] + start[last];

    for (int k = 0; k < last; k++)
        rows *= count[k];
    for (int64_t r = 0; r < rows; r++) {
        const uint64_t row = add_row(m->symbols + flat, count[last], low, high, &m->largest[worker],
                                     &m->negative[worker], &m->nonzeros[b]);
        for (int k = 0; k < last; k++)
            sum[m->first[k] + start[k] + index[k]] += row;
        for (int k = last - 1; k >= 0; k--) {
            flat += g->stride[k];
            if (++index[k] < count[k])
                break;
            flat -= count[k] * g->stride[k];
            index[k] = 0;
        }
    }
    for (int64_t i = 0; i < count[last]; i++) {
        along[i] += ((uint64_t)high[i] << 16) + low[i];
        low[i] = high[i] = 0;
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
    marginals m = { .g = g,
                    .symbols = symbols,
                    .first = hints->first,
                    .length = code_hint_length(g),
                    .nonzeros = nonzeros };
    const int workers = lode_ctx_threads(ctx);
    double total = 0, size = 1;
    uint32_t largest = 0;

    for (int k = 0; k < g->ndim; k++)
        size *= (double)g->shape[k];
    LODE_TRY(lode_i_calloc(ctx, (size_t)(m.length * workers) * sizeof *m.sum, (void **)&m.sum));
    LODE_TRY(lode_i_calloc(ctx, (size_t)(2 * g->side[g->ndim - 1] * workers) * sizeof *m.half,
                           (void **)&m.half));
    LODE_TRY(lode_i_calloc(ctx, (size_t)workers * sizeof *m.largest, (void **)&m.largest));
    LODE_TRY(lode_i_calloc(ctx, (size_t)workers * sizeof *m.negative, (void **)&m.negative));
    LODE_TRY(lode_i_parallel(ctx, g->blocks, add_block, &m));
    for (int w = 0; w < workers; w++) {
        largest = m.largest[w] > largest ? m.largest[w] : largest;
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

lode_status code_fit(lode_ctx *ctx, const code_grid *g, const int32_t *symbols, code_hints *hints,
                     code_weights *weights)
{
    lode_status st = LODE_OK;
    double weight[CODE_FEATURES] = { 0.3, 0.1, 0.1, 0.1, 0.02, 0.1, 0.02, 0.02 };
    code_bench *bench = NULL;
    float *sample = NULL;
    int64_t n = 0, blocks = 0, total = 0, passed = 0, *nonzeros = NULL;

    LODE_TRY(lode_i_calloc(ctx, (size_t)(g->blocks + 1) * sizeof *nonzeros, (void **)&nonzeros));
    LODE_TRY(fit_hints(ctx, g, symbols, hints, nonzeros));
    for (int64_t b = 0; b < g->blocks; b++)
        total += nonzeros[b], blocks += nonzeros[b] > 0;
    LODE_TRY(code_bench_new(ctx, g, &bench));
    const int64_t samples = hints->fast ? FEWER : SAMPLES;
    LODE_TRY(LODE_NEW(ctx, samples * (CODE_FEATURES + 1), &sample));
    const int64_t used = hints->fast ? lode_i_min(lode_i_ceil_div(blocks, 2), FEW)
                                     : lode_i_min(blocks, BLOCKS);
    for (int64_t b = 0, u = 0; b < g->blocks && n < samples; b++) {
        passed += nonzeros[b];
        if (passed * 2 * used <= (2 * u + 1) * total)
            continue;
        while (passed * 2 * used > (2 * u + 1) * total)
            u++;
        int64_t start[CODE_AXES], count[CODE_AXES], size = 1;
        const int64_t first = code_grid_block(g, b, start, count);
        code_walk w;
        for (int k = 0; k < g->ndim; k++)
            size *= count[k];
        /* Every stride-th symbol; the stride is odd so that it meets all columns. */
        const int64_t step = lode_i_max(1, size * used / samples) | 1;
        int64_t phase = 0;
        code_walk_begin(g, start, count, count, hints, bench->padded, &w);
        while (code_walk_row(&w, hints, NULL, bench)) {
            const int32_t *from = symbols + code_walk_flat(&w, g, first);
            uint32_t *seen = bench->padded + w.at;
            const int64_t row = w.count[w.ndim - 1];
            for (int64_t i = 0; i < row; i++) {
                const int32_t s = from[i];
                const uint32_t magnitude = s < 0 ? 0 - (uint32_t)s : (uint32_t)s;
                seen[i] = hints->fast ? fast_seen(magnitude, hints->drop)
                                      : code_seen(magnitude, hints->drop);
            }
            int64_t i = phase;
            for (; i < row && n < samples; i += step) {
                uint32_t f[CODE_FEATURES];
                float *to = sample + n++ * (CODE_FEATURES + 1);
                code_walk_features(&w, bench, i, f);
                if (hints->fast) /* those of the row itself come too late */
                    f[1] = f[2] = 0;
                for (int k = 0; k < CODE_FEATURES; k++)
                    to[k] = (float)f[k];
                to[CODE_FEATURES] = (float)seen[i];
            }
            phase = i < row ? 0 : i - row;
        }
    }
    LODE_TRY(solve(ctx, sample, n, weight));
    for (int k = 0; k < CODE_FEATURES; k++) {
        const double w = weight[k] * (1 << CODE_WEIGHT_BITS);
        const double most = hints->fast ? FAST_WEIGHT : 1023;
        weights->weight[k] = (uint32_t)lrint(fmin(w, most));
    }
done:
    code_bench_free(bench);
    lode_i_free(sample);
    lode_i_free(nonzeros);
    return st;
}
