/* Which modes of a large block are worth a learned basis, which takes long to find: told from sketches,
 * which are a small part of the work. */
#include <math.h>
#include <string.h>

#include "ops/compress/compress.h"

/* Of LARGE blocks learned bases are looked at only where sketches say that they save WORTH of what
 * they take. */
enum { BUCKETS = 32, LONGEST_LEARNED = 2048, FEW_ROWS = 1024 };
#define WORTH 0.5
/* What learned bases lose by contexts that say less, as a share of the code: columns of sketched and
 * of learned bases follow no smooth order. */
#define LOST 0.1

typedef struct look {
    const lode_array *w;
    double sumsq;
} look;

/* What is left of the tensor where `along` is hashed to `buckets` with random signs. */
static lode_status sketch(lode_ctx *ctx, const lode_array *w, int mode, int along, int64_t buckets,
                          lode_array *z)
{
    int64_t shape[LODE_MAX_NDIM];
    double sumsq;
    memcpy(shape, w->shape, sizeof shape);
    shape[along] = buckets;
    LODE_FORWARD(lode_array_new(ctx, LODE_F64, w->ndim, shape, z));
    return lode_i_sign_sums(ctx, w, along, lode_i_stream(ctx, "compress", (uint64_t)mode), z,
                            &sumsq);
}

/* Eigenvalues of a mode's Gram matrix, from a sketch. */
static lode_status sketched_spectrum(lode_ctx *ctx, const lode_array *w, int mode, int along,
                                     lode_array *values)
{
    lode_status st = LODE_OK;
    lode_array z = { 0 }, G = { 0 };
    LODE_TRY(sketch(ctx, w, mode, along, BUCKETS, &z));
    LODE_TRY(lode_i_mode_gram(ctx, &z, mode, false, &G));
    LODE_TRY(lode_i_eigh(ctx, &G, G.shape[0], values, NULL));
done:
    LODE_FREE(&z, &G);
    return st;
}

/* Bits that eigenvectors of a mode would save over its cosines, and take themselves, about. A slice
 * saves half the logarithm of its energies' ratio for each coefficient that is coded, as far as
 * they lie over the noise. */
static lode_status promise(lode_ctx *ctx, const look *m, const choice *c, double coded, int mode,
                           int along, double *saved, double *taken)
{
    lode_status st = LODE_OK;
    lode_array values = { 0 };
    const double n = (double)m->w->shape[mode], floor = m->sumsq / n;
    double octaves = 0, used = 0;
    *taken = 0;
    LODE_TRY(sketched_spectrum(ctx, m->w, mode, along, &values));
    for (int64_t j = 0; j < m->w->shape[mode]; j++) {
        const double e = pow(c->energy[mode][j], 2), v = lode_i_get1(&values, j);
        octaves += 0.5 * log2(fmax(e, floor) / fmax(v, floor));
        used += e > floor;
        if (v > floor)
            *taken += n * log2(1 + sqrt(v / n) / c->step);
    }
    *saved = octaves * coded / fmax(used, 1);
done:
    LODE_FREE(&values);
    return st;
}

/* Of a sketch of so few buckets that the rows of the mode's unfolding are few: their products with
 * each other. */
static lode_status sketched_rows(lode_ctx *ctx, const lode_array *w, int mode, int along,
                                 int64_t buckets, lode_array *G)
{
    lode_status st = LODE_OK;
    lode_array z = { 0 }, turned = { 0 }, rows = { 0 }, Z = { 0 };
    int axes[LODE_MAX_NDIM];
    LODE_TRY(sketch(ctx, w, mode, along, buckets, &z));
    for (int k = 0; k < w->ndim; k++)
        axes[k] = k == w->ndim - 1 ? mode : k + (k >= mode);
    LODE_TRY(lode_array_permute(ctx, &z, axes, &turned));
    LODE_TRY(lode_array_cast(ctx, &turned, LODE_F64, &rows));
    const int64_t n = w->shape[mode], flat[2] = { lode_array_size(&z) / n, n };
    LODE_TRY(lode_array_reshape(ctx, &rows, 2, flat, &Z));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_H, &Z, &Z, G));
done:
    LODE_FREE(&z, &turned, &rows, &Z);
    return st;
}

/* Bits that a learned basis of a mode takes at least, about, where sketches have too few rows to tell
 * its spectrum: what they leave out beyond j directions is, on average, no more than what any basis of
 * j columns leaves out of the tensor, so that j columns are needed as long as that is over the error. */
static lode_status least_taken(lode_ctx *ctx, const look *m, double step, int mode, int along,
                               int64_t buckets, double *taken)
{
    lode_status st = LODE_OK;
    lode_array G = { 0 }, values = { 0 };
    const double n = (double)m->w->shape[mode];
    double left = 0;
    *taken = 0;
    LODE_TRY(sketched_rows(ctx, m->w, mode, along, buckets, &G));
    LODE_TRY(lode_i_eigh(ctx, &G, G.shape[0], &values, NULL));
    for (int64_t i = 0; i < values.shape[0]; i++)
        left += fmax(lode_i_get1(&values, i), 0);
    for (int64_t i = 0; i < values.shape[0] && left > m->sumsq; i++) {
        const double v = fmax(lode_i_get1(&values, i), 0);
        *taken += n * log2(1 + sqrt(v / n) / step);
        left -= v;
    }
done:
    LODE_FREE(&G, &values);
    return st;
}

/* Another axis to hash, the longest; -1: none. */
static int hashed(const lode_array *w, int mode)
{
    int along = -1;
    for (int j = 0; j < w->ndim; j++)
        if (j != mode && (along < 0 || w->shape[j] > w->shape[along]))
            along = j;
    return along;
}

/* Whether sketches cannot tell a mode's spectrum: it is long, or has few rows. */
static bool is_long(const lode_array *w, int mode, int along)
{
    const double n = (double)w->shape[mode], other = along < 0 ? 1 : (double)w->shape[along];
    return n > LONGEST_LEARNED || other < 2 * BUCKETS ||
           (double)lode_array_size(w) / (n * other) * BUCKETS < 4 * n;
}

static lode_status worth_learning(lode_ctx *ctx, const look *m, const choice *cosines, int mode,
                                  bool *worth)
{
    const lode_array *w = m->w;
    const double coded = cosines->bits, n = (double)w->shape[mode];
    const int along = hashed(w, mode);
    double saved = 0, taken = 0;
    *worth = true;
    if (along >= 0 && is_long(w, mode, along)) {
        const double rest = (double)lode_array_size(w) / (n * (double)w->shape[along]);
        const int64_t rows = lode_i_min(w->shape[along], (int64_t)(FEW_ROWS / rest));
        if (rows > 0)
            LODE_FORWARD(least_taken(ctx, m, cosines->step, mode, along, rows, &taken));
        *worth = !(taken > WORTH * coded);
        return LODE_OK;
    }
    if (along < 0)
        return LODE_OK;
    LODE_FORWARD(promise(ctx, m, cosines, coded, mode, along, &saved, &taken));
    *worth = saved > fmax(WORTH * taken, LOST * coded);
    return LODE_OK;
}

lode_status compress_promises(lode_ctx *ctx, const block_task *t, const lode_array *w, double sumsq,
                              const choice *cosines, promises *p)
{
    const look m = { .w = w, .sumsq = sumsq };
    const double size = (double)lode_array_size(w);
    bool seen[LODE_MAX_NDIM], apart = false; /* long modes may be left out: each is looked at */
    *p = (promises){ .any = size < LARGE || t->o->effort >= EFFORT_ALL, .all = true };
    if (p->any)
        return LODE_OK;
    for (int k = 0; k < w->ndim; k++) {
        const double n = (double)w->shape[k];
        seen[k] = n * n <= size; /* else its basis would take up the data */
        apart = apart || (seen[k] && is_long(w, k, hashed(w, k)));
    }
    for (int k = 0; k < w->ndim && (apart || !p->any); k++) {
        if (!seen[k])
            continue;
        LODE_FORWARD(worth_learning(ctx, &m, cosines, k, &p->mode[k]));
        p->any = p->any || p->mode[k];
        p->all = p->all && (p->mode[k] || !is_long(w, k, hashed(w, k)));
    }
    return LODE_OK;
}
