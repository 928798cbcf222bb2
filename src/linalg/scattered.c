/* Reading scattered places: distinct indexes of every mode, and which places have which. */
#include "linalg/scattered.h"

#include <stdlib.h>

typedef struct place {
    double at;
    int64_t i;
} place;

static int by_index(const void *a, const void *b)
{
    const place *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->i < y->i ? -1 : x->i > y->i;
}

void lode_i_scattered_free(lode_i_scattered *s)
{
    LODE_FREE(&s->value);
    for (int k = 0; k < LODE_I_SCATTERED_MODES; k++)
        LODE_FREE(&s->grid[k], &s->row[k], &s->first[k], &s->order[k]);
    *s = (lode_i_scattered){ 0 };
}

void lode_i_multilinear_free(lode_i_multilinear *m)
{
    for (int k = 0; k < LODE_I_SCATTERED_MODES; k++)
        LODE_FREE(&m->mean[k], &m->second[k]);
    LODE_FREE(&m->core, &m->packed);
    *m = (lode_i_multilinear){ 0 };
}

/* p: n places in the order of their indexes. */
static lode_status distinct(lode_ctx *ctx, const place *p, int k, lode_i_scattered *s)
{
    lode_status st = LODE_OK;
    int64_t count = 0;
    for (int64_t i = 0; i < s->n; i++)
        count += i == 0 || p[i].at > p[i - 1].at;
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, count, &s->grid[k]));
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, s->n, &s->row[k]));
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, count + 1, &s->first[k]));
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, s->n, &s->order[k]));
    double *grid = s->grid[k].data;
    int64_t *row = s->row[k].data, *first = s->first[k].data, *order = s->order[k].data, j = -1;
    for (int64_t i = 0; i < s->n; i++) {
        if (i == 0 || p[i].at > p[i - 1].at) {
            first[++j] = i;
            grid[j] = p[i].at;
        }
        order[i] = p[i].i;
        row[p[i].i] = j;
    }
    first[count] = s->n;
done:
    return st;
}

lode_status lode_i_scattered_from(lode_ctx *ctx, const lode_array *table, int d, bool valued,
                                  double offset, double scale, const lode_array *take,
                                  lode_i_scattered *out)
{
    lode_status st = LODE_OK;
    lode_i_scattered s = { .d = d, .n = take ? take->shape[0] : table->shape[0] };
    const int64_t columns = table->shape[1], *rows = take ? take->data : NULL;
    const double *x = table->data;
    place *p = NULL;
    lode_sum sum = { 0 };
    LODE_TRY(LODE_NEW(ctx, lode_i_max(s.n, 1), &p));
    for (int k = 0; k < d; k++) {
        LODE_TRY(lode_i_cancelled(ctx));
        for (int64_t i = 0; i < s.n; i++)
            p[i] = (place){ x[(rows ? rows[i] : i) * columns + k], i };
        qsort(p, (size_t)s.n, sizeof *p, by_index);
        LODE_TRY(distinct(ctx, p, k, &s));
    }
    if (valued) {
        LODE_TRY(lode_i_vector_new(ctx, LODE_F64, s.n, &s.value));
        double *y = s.value.data;
        for (int64_t i = 0; i < s.n; i++) {
            y[i] = (x[(rows ? rows[i] : i) * columns + d] - offset) / scale;
            const double square = y[i] * y[i];
            lode_i_sum_push(&sum, &square, 1);
        }
        s.sumsq = lode_i_sum_total(&sum);
    }
    lode_i_scattered_free(out);
    *out = s, s = (lode_i_scattered){ 0 };
done:
    lode_i_free(p);
    lode_i_scattered_free(&s);
    return st;
}

uint64_t lode_i_scattered_bytes(int d, int64_t n)
{
    return lode_i_bytes(LODE_F64, n + 2, 4 * d + 1) + lode_i_bytes(LODE_F64, n + 1, 2);
}
