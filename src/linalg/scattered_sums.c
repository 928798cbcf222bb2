/* Sums over scattered places of products of the modes' rows. Second moments are packed, so that a place costs
 * the product of r (r + 1) / 2 over the modes in place of the square of the core's size. */
#include <math.h>
#include <string.h>

#include "linalg/scattered.h"

enum { ROWS = 256, PLACES = 2048, PARTS = 64 };
#define PART_BYTES 6.7e7 /* of all partial sums of the core */

typedef struct job {
    const lode_i_scattered *s;
    const lode_i_multilinear *m;
    int k; /* the mode that is left out; -1: none */
    double tau, step;
    const double *core, *packed; /* with mode k last */
    double *precision, *shift;
    double *seconds, *firsts; /* of part i: one after the other */
    double *mean, *variance;
    int64_t per;        /* places or rows of a task */
    int64_t K, P, r, p; /* entries of core and packed core; of mode k */
} job;

static int64_t packed_of(int64_t r)
{
    return r * (r + 1) / 2;
}

int64_t lode_i_packed_size(int d, const int64_t *r)
{
    int64_t size = 1;
    for (int k = 0; k < d; k++)
        size *= packed_of(r[k]);
    return size;
}

void lode_i_pack_moments(const lode_array *mean, const lode_array *cov, lode_array *second)
{
    const int64_t g = mean->shape[0], r = mean->shape[1];
    const double *u = mean->data, *V = cov->data;
    double *to = second->data;
    for (int64_t i = 0; i < g; i++, u += r, V += r * r)
        for (int64_t a = 0; a < r; a++)
            for (int64_t b = 0; b <= a; b++)
                *to++ = V[a * r + b] + u[a] * u[b];
}

/* ---- the core ---- */

/* Where the pair (i, j) of entries of the core stands among the packed moments. */
static int64_t packed_at(int d, const int64_t *r, int64_t i, int64_t j)
{
    int64_t at = 0, unit = 1;
    for (int k = d - 1; k >= 0; k--) {
        const int64_t a = i % r[k], b = j % r[k];
        at += unit * (a > b ? packed_of(a) + b : packed_of(b) + a);
        unit *= packed_of(r[k]);
        i /= r[k], j /= r[k];
    }
    return at;
}

lode_status lode_i_pack_core(lode_ctx *ctx, const lode_array *cov, lode_i_multilinear *m)
{
    lode_status st = LODE_OK;
    lode_array T = { 0 };
    const int64_t size = lode_i_packed_size(m->d, m->r), K = m->core.shape[0];
    const double *w = m->core.data, *C = cov->data;
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &size, &T));
    double *t = T.data;
    for (int64_t i = 0; i < K; i++)
        for (int64_t j = 0; j < K; j++)
            t[packed_at(m->d, m->r, i, j)] += C[i * K + j] + w[i] * w[j];
    lode_array_swap(&m->packed, &T);
done:
    LODE_FREE(&T);
    return st;
}

lode_status lode_i_unpack_core(lode_ctx *ctx, int d, const int64_t *r, const lode_array *sums,
                               double scale, lode_array *A)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    int64_t K = 1;
    for (int k = 0; k < d; k++)
        K *= r[k];
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, K, K, &y));
    double *a = y.data;
    const double *s = sums->data;
    for (int64_t i = 0; i < K; i++)
        for (int64_t j = 0; j < K; j++)
            a[i * K + j] = scale * s[packed_at(d, r, i, j)] + (i == j ? 1 : 0);
    lode_array_swap(A, &y);
done:
    LODE_FREE(&y);
    return st;
}

/* ---- products of rows ---- */

/* y = x (n values) times z (count), z fastest. */
static inline int64_t times(int64_t n, const double *restrict x, int64_t count,
                            const double *restrict z, double *restrict y)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < count; j++)
            y[i * count + j] = x[i] * z[j];
    return n * count;
}

/* The product of the rows of modes other than `out` and `last` at place i, in w or v: which it is. */
static inline double *product(const job *b, bool seconds, int64_t i, int last, double *w, double *v,
                              int64_t *size)
{
    const lode_i_multilinear *m = b->m;
    *size = 1;
    w[0] = 1;
    for (int k = 0; k < m->d; k++) {
        if (k == b->k || k == last)
            continue;
        const int64_t count = seconds ? packed_of(m->r[k]) : m->r[k];
        const double *row = (const double *)(seconds ? m->second[k] : m->mean[k]).data +
                            ((const int64_t *)b->s->row[k].data)[i] * count;
        *size = times(*size, w, count, row, v);
        double *t = w;
        w = v, v = t;
    }
    return w;
}

/* to += scale A' w, A n x count. */
static inline void fold(int64_t n, const double *restrict A, int64_t count,
                        const double *restrict w, double scale, double *restrict to)
{
    for (int64_t i = 0; i < n; i++) {
        const double x = scale * w[i];
        for (int64_t j = 0; j < count; j++)
            to[j] += x * A[i * count + j];
    }
}

LODE_CLONES static void messages(const job *b, int64_t j0, int64_t j1, double *w, double *v,
                                 double *sum)
{
    const int64_t *first = b->s->first[b->k].data, *order = b->s->order[b->k].data;
    const double *y = b->s->value.data;
    const int64_t r = b->r, p = b->p;
    for (int64_t j = j0; j < j1; j++) {
        int64_t size = 0;
        memset(sum, 0, (size_t)(p + r) * sizeof *sum);
        for (int64_t e = first[j]; e < first[j + 1]; e++) {
            const double *x = product(b, true, order[e], -1, w, v, &size);
            fold(size, b->packed, p, x, 1, sum);
            x = product(b, false, order[e], -1, w, v, &size);
            fold(size, b->core, r, x, y[order[e]], sum + p);
        }
        double *L = b->precision + j * r * r, *h = b->shift + j * r;
        for (int64_t a = 0; a < r; a++) {
            h[a] = (1 - b->step) * h[a] + b->step * b->tau * sum[p + a];
            for (int64_t c = 0; c <= a; c++) {
                /* a packed moment off the diagonal stands for two entries */
                const double l = b->tau * sum[packed_of(a) + c] * (a == c ? 1 : 0.5);
                L[a * r + c] = L[c * r + a] = (1 - b->step) * L[a * r + c] + b->step * l;
            }
        }
    }
}

static lode_status messages_task(lode_ctx *ctx, int64_t i, void *data)
{
    lode_status st = LODE_OK;
    const job *b = data;
    double *room = NULL;
    const int64_t g = b->s->grid[b->k].shape[0], side = b->P;
    LODE_TRY(LODE_NEW(ctx, 2 * side + b->p + b->r, &room));
    messages(b, i * b->per, lode_i_min(g, (i + 1) * b->per), room, room + side, room + 2 * side);
done:
    lode_i_free(room);
    return st;
}

/* A flat tensor of sizes n with mode k last. */
static lode_status put_last(lode_ctx *ctx, const lode_array *flat, int d, const int64_t *n, int k,
                            lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array T = { 0 }, turned = { 0 };
    int axes[LODE_I_SCATTERED_MODES];
    for (int i = 0; i < d; i++)
        axes[i] = i == d - 1 ? k : i < k ? i : i + 1;
    LODE_TRY(lode_array_reshape(ctx, flat, d, n, &T));
    LODE_TRY(lode_array_permute(ctx, &T, axes, &turned));
    LODE_TRY(lode_array_cast(ctx, &turned, LODE_F64, out));
done:
    LODE_FREE(&T, &turned);
    return st;
}

static job job_of(const lode_i_scattered *s, const lode_i_multilinear *m, int k)
{
    job b = { .s = s, .m = m, .k = k, .K = 1, .P = lode_i_packed_size(m->d, m->r) };
    for (int i = 0; i < m->d; i++)
        b.K *= m->r[i];
    b.core = m->core.data, b.packed = m->packed.data;
    return b;
}

lode_status lode_i_scattered_messages(lode_ctx *ctx, const lode_i_scattered *s,
                                      const lode_i_multilinear *m, int k, double tau, double step,
                                      lode_array *precision, lode_array *shift)
{
    lode_status st = LODE_OK;
    lode_array core = { 0 }, packed = { 0 };
    int64_t n[LODE_I_SCATTERED_MODES];
    job b = job_of(s, m, k);
    for (int i = 0; i < m->d; i++)
        n[i] = packed_of(m->r[i]);
    LODE_TRY(put_last(ctx, &m->core, m->d, m->r, k, &core));
    LODE_TRY(put_last(ctx, &m->packed, m->d, n, k, &packed));
    b.core = core.data, b.packed = packed.data;
    b.r = m->r[k], b.p = n[k], b.tau = tau, b.step = step, b.per = ROWS;
    b.precision = precision->data, b.shift = shift->data;
    LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(s->grid[k].shape[0], ROWS), messages_task, &b));
done:
    LODE_FREE(&core, &packed);
    return st;
}

/* ---- all places ---- */

/* Row of the last mode at place i. */
static inline const double *last_row(const job *b, bool seconds, int64_t i, int64_t *count)
{
    const int k = b->m->d - 1;
    *count = seconds ? packed_of(b->m->r[k]) : b->m->r[k];
    return (const double *)(seconds ? b->m->second[k] : b->m->mean[k]).data +
           ((const int64_t *)b->s->row[k].data)[i] * *count;
}

LODE_CLONES static void sums(const job *b, int64_t i0, int64_t i1, double *restrict seconds,
                             double *restrict firsts, double *w, double *v)
{
    const double *y = b->s->value.data;
    for (int64_t i = i0; i < i1; i++)
        for (int second = 0; second < 2; second++) {
            int64_t size, count;
            const double *x = product(b, second > 0, i, b->m->d - 1, w, v, &size);
            const double *z = last_row(b, second > 0, i, &count);
            double *restrict to = second ? seconds : firsts;
            for (int64_t e = 0; e < size; e++) {
                const double f = second ? x[e] : y[i] * x[e];
                for (int64_t c = 0; c < count; c++)
                    to[e * count + c] += f * z[c];
            }
        }
}

static lode_status sums_task(lode_ctx *ctx, int64_t i, void *data)
{
    lode_status st = LODE_OK;
    const job *b = data;
    double *room = NULL;
    LODE_TRY(LODE_NEW(ctx, 2 * b->P, &room));
    sums(b, i * b->per, lode_i_min(b->s->n, (i + 1) * b->per), b->seconds + i * b->P,
         b->firsts + i * b->K, room, room + b->P);
done:
    lode_i_free(room);
    return st;
}

/* Of how many parts the sums over n places are made: by shape alone. */
static int64_t parts_of(int64_t n, int64_t P, int64_t *per)
{
    const double most = fmin(fmax(PART_BYTES / (16 * (double)P), 1), PARTS);
    *per = lode_i_max(PLACES, lode_i_ceil_div(n, (int64_t)most));
    return lode_i_ceil_div(n, *per);
}

static lode_status joined(lode_ctx *ctx, const double *part, int64_t parts, int64_t size,
                          lode_array *out)
{
    lode_array y = { 0 };
    LODE_FORWARD(lode_array_zeros(ctx, LODE_F64, 1, &size, &y));
    double *to = y.data;
    for (int64_t i = 0; i < parts; i++)
        for (int64_t e = 0; e < size; e++)
            to[e] += part[i * size + e];
    lode_array_swap(out, &y);
    lode_array_free(&y);
    return LODE_OK;
}

lode_status lode_i_scattered_sums(lode_ctx *ctx, const lode_i_scattered *s,
                                  const lode_i_multilinear *m, lode_array *seconds,
                                  lode_array *firsts)
{
    lode_status st = LODE_OK;
    void *room = NULL;
    job b = job_of(s, m, -1);
    const int64_t parts = parts_of(s->n, b.P, &b.per);
    LODE_TRY(lode_i_calloc(ctx, lode_i_bytes(LODE_F64, parts + 1, b.P + b.K), &room));
    b.seconds = room, b.firsts = b.seconds + parts * b.P;
    LODE_TRY(lode_i_parallel(ctx, parts, sums_task, &b));
    LODE_TRY(joined(ctx, b.seconds, parts, b.P, seconds));
    LODE_TRY(joined(ctx, b.firsts, parts, b.K, firsts));
done:
    lode_i_free(room);
    return st;
}

LODE_CLONES static void values(const job *b, int64_t i0, int64_t i1, double *w, double *v)
{
    for (int64_t i = i0; i < i1; i++) {
        double found[2] = { 0 };
        for (int second = 0; second < 2; second++) {
            int64_t size, count;
            const double *x = product(b, second > 0, i, b->m->d - 1, w, v, &size);
            const double *z = last_row(b, second > 0, i, &count);
            const double *restrict T = second ? b->packed : b->core;
            for (int64_t e = 0; e < size; e++) {
                double f = 0;
                for (int64_t c = 0; c < count; c++)
                    f += T[e * count + c] * z[c];
                found[second] += x[e] * f;
            }
        }
        b->mean[i] = found[0];
        b->variance[i] = fmax(found[1] - found[0] * found[0], 0);
    }
}

static lode_status values_task(lode_ctx *ctx, int64_t i, void *data)
{
    lode_status st = LODE_OK;
    const job *b = data;
    double *room = NULL;
    LODE_TRY(LODE_NEW(ctx, 2 * b->P, &room));
    values(b, i * b->per, lode_i_min(b->s->n, (i + 1) * b->per), room, room + b->P);
done:
    lode_i_free(room);
    return st;
}

lode_status lode_i_scattered_values(lode_ctx *ctx, const lode_i_scattered *s,
                                    const lode_i_multilinear *m, lode_array *mean,
                                    lode_array *variance)
{
    lode_status st = LODE_OK;
    lode_array f = { 0 }, V = { 0 };
    job b = job_of(s, m, -1);
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, s->n, &f));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, s->n, &V));
    b.mean = f.data, b.variance = V.data, b.per = PLACES;
    LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(s->n, PLACES), values_task, &b));
    lode_array_swap(mean, &f);
    lode_array_swap(variance, &V);
done:
    LODE_FREE(&f, &V);
    return st;
}

uint64_t lode_i_scattered_room(int d, const int64_t *r, int64_t n, int workers)
{
    const int64_t P = lode_i_packed_size(d, r);
    int64_t K = 1, per;
    for (int k = 0; k < d; k++)
        K *= r[k];
    const int64_t parts = parts_of(n, P, &per);
    return lode_i_bytes(LODE_F64, parts + 4, P + K + 16) +
           lode_i_bytes(LODE_F64, 3 * workers + 2, P + K + 64);
}
