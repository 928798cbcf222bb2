/* Clusters of the columns that several fits found, with one-to-one matching, and their silhouettes. */
#include "linalg/ensemble.h"

#include <math.h>
#include <string.h>

enum { ROUNDS = 100 };

double lode_i_column_length(const lode_array *A, int64_t c)
{
    double sum = 0;
    for (int64_t i = 0; i < A->shape[0]; i++)
        sum += lode_i_get2(A, i, c) * lode_i_get2(A, i, c);
    return sqrt(sum);
}

lode_status lode_i_columns_agree(lode_ctx *ctx, const lode_array *A, const lode_array *B,
                                 double *mean)
{
    lode_status st = LODE_OK;
    lode_array C = { 0 };
    const int64_t k = A->shape[1];
    *mean = 0;
    LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, A, B, &C));
    for (int64_t r = 0; r < k; r++)
        for (int64_t c = 0; c < k; c++) {
            const double size = lode_i_column_length(A, r) * lode_i_column_length(B, c);
            lode_i_set2(&C, r, c, size > 0 ? lode_i_get2(&C, r, c) / size : 0);
        }
    for (int64_t t = 0; t < k; t++) {
        int64_t row = 0, col = 0;
        double most = -1;
        for (int64_t r = 0; r < k; r++)
            for (int64_t c = 0; c < k; c++)
                if (lode_i_get2(&C, r, c) > most)
                    most = lode_i_get2(&C, r, c), row = r, col = c;
        *mean += most / (double)k;
        for (int64_t i = 0; i < k; i++)
            lode_i_set2(&C, row, i, -2), lode_i_set2(&C, i, col, -2);
    }
done:
    LODE_FREE(&C);
    return st;
}

/* ---- assignment ---- */

/* What the search keeps; columns are counted from 1, and 0 is where a path begins. */
typedef struct search {
    int64_t k;
    const double *C;
    double *u, *v, *least; /* potentials of rows and columns; slack of each column */
    int64_t *row, *way;    /* row of each column; the column before it on the path */
    bool *used;
} search;

/* A path from row i to a column that is free, along which the assignment turns over. */
static void augment(search *s, int64_t i)
{
    const int64_t k = s->k;
    int64_t at = 0;
    s->row[0] = i;
    for (int64_t j = 0; j <= k; j++)
        s->least[j] = INFINITY, s->used[j] = false;
    do {
        const int64_t r = s->row[at];
        double delta = INFINITY;
        int64_t next = 0;
        s->used[at] = true;
        for (int64_t j = 1; j <= k; j++) {
            if (s->used[j])
                continue;
            const double slack = -s->C[(r - 1) * k + j - 1] - s->u[r] - s->v[j];
            if (slack < s->least[j])
                s->least[j] = slack, s->way[j] = at;
            if (next == 0 || s->least[j] < delta)
                delta = s->least[j], next = j;
        }
        for (int64_t j = 0; j <= k; j++)
            if (s->used[j])
                s->u[s->row[j]] += delta, s->v[j] -= delta;
            else
                s->least[j] -= delta;
        at = next;
    } while (s->row[at] != 0);
    while (at != 0) {
        const int64_t before = s->way[at];
        s->row[at] = s->row[before];
        at = before;
    }
}

lode_status lode_i_assign(lode_ctx *ctx, int64_t k, const double *C, int64_t *to)
{
    lode_status st = LODE_OK;
    search s = { .k = k, .C = C };
    const size_t reals = (size_t)(k + 1) * sizeof(double),
                 whole = (size_t)(k + 1) * sizeof(int64_t);
    LODE_TRY(lode_i_calloc(ctx, reals, (void **)&s.u));
    LODE_TRY(lode_i_calloc(ctx, reals, (void **)&s.v));
    LODE_TRY(lode_i_calloc(ctx, reals, (void **)&s.least));
    LODE_TRY(lode_i_calloc(ctx, whole, (void **)&s.row));
    LODE_TRY(lode_i_calloc(ctx, whole, (void **)&s.way));
    LODE_TRY(lode_i_calloc(ctx, (size_t)(k + 1) * sizeof(bool), (void **)&s.used));
    for (int64_t e = 0; e < k * k; e++)
        LODE_REQUIRE(isfinite(C[e]), LODE_EDOMAIN, "an assignment of values that are not finite");
    for (int64_t i = 1; i <= k; i++)
        augment(&s, i);
    for (int64_t j = 1; j <= k; j++)
        to[s.row[j] - 1] = j - 1;
done:
    lode_i_free(s.u);
    lode_i_free(s.v);
    lode_i_free(s.least);
    lode_i_free(s.row);
    lode_i_free(s.way);
    lode_i_free(s.used);
    return st;
}

/* ---- clusters ---- */

typedef struct work {
    int64_t n, k, runs;
    lode_array unit; /* columns of length 1: n x (runs k) */
    double *value;   /* runs */
    double *cosine;  /* k x k */
    int64_t *to;     /* k */
} work;

static void normalize(lode_array *A)
{
    for (int64_t c = 0; c < A->shape[1]; c++) {
        const double length = lode_i_column_length(A, c);
        for (int64_t i = 0; i < A->shape[0]; i++)
            lode_i_set2(A, i, c, length > 0 ? lode_i_get2(A, i, c) / length : 0);
    }
}

static double median(int64_t count, double *x)
{
    for (int64_t i = 1; i < count; i++) { /* a few values: by insertion */
        const double v = x[i];
        int64_t j = i;
        for (; j > 0 && x[j - 1] > v; j--)
            x[j] = x[j - 1];
        x[j] = v;
    }
    return count % 2 ? x[count / 2] : (x[count / 2 - 1] + x[count / 2]) / 2;
}

static void centres(work *w, const int64_t *place, lode_array *centre)
{
    for (int64_t c = 0; c < w->k; c++)
        for (int64_t i = 0; i < w->n; i++) {
            for (int64_t q = 0; q < w->runs; q++)
                w->value[q] = lode_i_get2(&w->unit, i, q * w->k + place[q * w->k + c]);
            lode_i_set2(centre, i, c, median(w->runs, w->value));
        }
    normalize(centre);
}

/* Every fit's columns to the centres; *moved: some went elsewhere. */
static lode_status assign_runs(lode_ctx *ctx, work *w, const lode_array *centre, int64_t *place,
                               bool *moved)
{
    lode_status st = LODE_OK;
    lode_array C = { 0 };
    const int64_t k = w->k;
    LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, centre, &w->unit, &C));
    *moved = false;
    for (int64_t q = 0; q < w->runs; q++) {
        for (int64_t e = 0; e < k * k; e++)
            w->cosine[e] = lode_i_get2(&C, e / k, q * k + e % k);
        LODE_TRY(lode_i_assign(ctx, k, w->cosine, w->to));
        for (int64_t c = 0; c < k; c++) {
            *moved = *moved || place[q * k + c] != w->to[c];
            place[q * k + c] = w->to[c];
        }
    }
done:
    LODE_FREE(&C);
    return st;
}

/* s = (b - a) / max(a, b): a the mean distance to the own cluster's others, b to the nearest other one. */
static lode_status silhouettes(lode_ctx *ctx, const work *w, lode_i_clusters *out)
{
    lode_status st = LODE_OK;
    lode_array C = { 0 };
    const int64_t k = w->k, runs = w->runs;
    out->least = out->mean = 1;
    if (k == 1 || runs == 1)
        return LODE_OK;
    LODE_TRY(lode_i_gram(ctx, LODE_T, &w->unit, &C));
    out->mean = 0;
    for (int64_t c = 0; c < k; c++) {
        double cluster = 0;
        for (int64_t q = 0; q < runs; q++) {
            const int64_t at = q * k + out->place[q * k + c];
            double own = 0, other = INFINITY;
            for (int64_t d = 0; d < k; d++) {
                double sum = 0;
                for (int64_t p = 0; p < runs; p++)
                    sum += p == q && d == c
                               ? 0
                               : fmax(1 - lode_i_get2(&C, at, p * k + out->place[p * k + d]), 0);
                if (d == c)
                    own = sum / (double)(runs - 1);
                else
                    other = fmin(other, sum / (double)runs);
            }
            const double larger = fmax(own, other);
            cluster += larger > 0 ? (other - own) / larger : 0;
        }
        out->least = fmin(out->least, cluster / (double)runs);
        out->mean += cluster / (double)(runs * k);
    }
done:
    LODE_FREE(&C);
    return st;
}

void lode_i_clusters_free(lode_i_clusters *c)
{
    lode_i_free(c->place);
    LODE_FREE(&c->centre);
    *c = (lode_i_clusters){ 0 };
}

lode_status lode_i_cluster_columns(lode_ctx *ctx, const lode_array *columns, int64_t runs,
                                   lode_i_clusters *out)
{
    lode_status st = LODE_OK;
    work w = { .n = columns->shape[0], .k = columns->shape[1] / runs, .runs = runs };
    lode_i_clusters made = { 0 };
    bool moved = true;
    LODE_TRY(LODE_NEW(ctx, runs, &w.value));
    LODE_TRY(LODE_NEW(ctx, w.k * w.k, &w.cosine));
    LODE_TRY(LODE_NEW(ctx, w.k, &w.to));
    LODE_TRY(LODE_NEW(ctx, runs * w.k, &made.place));
    LODE_TRY(lode_array_cast(ctx, columns, LODE_F64, &w.unit));
    normalize(&w.unit);
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, w.n, w.k, &made.centre));
    for (int64_t i = 0; i < w.n; i++) /* the first fit is where centres begin */
        for (int64_t c = 0; c < w.k; c++)
            lode_i_set2(&made.centre, i, c, lode_i_get2(&w.unit, i, c));
    for (int64_t e = 0; e < runs * w.k; e++)
        made.place[e] = e % w.k;
    for (int round = 0; round < ROUNDS && moved; round++) {
        LODE_TRY(assign_runs(ctx, &w, &made.centre, made.place, &moved));
        moved = moved || round == 0;
        centres(&w, made.place, &made.centre);
    }
    LODE_TRY(silhouettes(ctx, &w, &made));
    lode_i_clusters_free(out);
    *out = made;
    made = (lode_i_clusters){ 0 };
done:
    lode_i_free(w.value);
    lode_i_free(w.cosine);
    lode_i_free(w.to);
    LODE_FREE(&w.unit);
    lode_i_clusters_free(&made);
    return st;
}
