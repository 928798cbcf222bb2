/* What is done with a Tucker decomposition: expanding, projecting onto its bases, measuring its
 * residual, its canonical form. */
#include "linop/tucker.h"

#include <math.h>
#include <string.h>

#include "array/box.h"

lode_status lode_i_tucker_expand(lode_ctx *ctx, const lode_array *core, const lode_array *factors,
                                 const int64_t *start, const int64_t *count, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array y = lode_array_ref(core), z = { 0 }, rows = { 0 };
    int64_t n[LODE_MAX_NDIM];
    int order[LODE_MAX_NDIM];
    for (int k = 0; k < core->ndim; k++)
        n[k] = count ? count[k] : factors[k].shape[0];
    lode_i_tucker_order(core->ndim, n, core->shape, true, order);
    for (int i = 0; i < core->ndim; i++) {
        const int k = order[i];
        const int64_t from = start ? start[k] : 0;
        LODE_TRY(lode_i_tick(ctx, i, core->ndim));
        rows = lode_i_rows(&factors[k], from, from + n[k]);
        LODE_TRY(lode_i_ttm(ctx, &y, k, LODE_N, &rows, &z));
        lode_array_swap(&y, &z);
        LODE_FREE(&z, &rows);
    }
    lode_array_swap(out, &y);
done:
    LODE_FREE(&y, &z, &rows);
    return st;
}

/* Factors in the working type; the caller frees `copies`. */
static lode_status widen(lode_ctx *ctx, int d, const lode_array *factors, lode_dtype work,
                         lode_array *copies)
{
    for (int k = 0; k < d; k++)
        LODE_FORWARD(lode_i_as(ctx, &factors[k], work, &copies[k]));
    return LODE_OK;
}

static lode_status fits(lode_ctx *ctx, const lode_i_slabs *s, const lode_array *factors)
{
    for (int k = 0; k < s->ndim; k++)
        if (factors[k].ndim != 2 || factors[k].shape[0] != s->shape[k])
            return lode_i_fail(ctx, LODE_ESHAPE,
                               "%s has %" PRId64 " values along mode %d, the factor there %" PRId64
                               " rows",
                               s->name, s->shape[k], k, factors[k].shape[0]);
    return LODE_OK;
}

lode_status lode_i_tucker_project(lode_ctx *ctx, lode_value X, const lode_array *factors,
                                  const char *name, lode_array *core, double *norm)
{
    lode_status st = LODE_OK;
    lode_i_slabs s = { 0 };
    lode_i_seen seen = { 0 };
    lode_array wide[LODE_MAX_NDIM] = { { 0 } }, y = { 0 }, z = { 0 };
    const lode_array *U[LODE_MAX_NDIM];
    int d = 0;
    LODE_TRY(lode_i_slabs_open(ctx, X, name, &s));
    d = s.ndim, s.kept = true;
    LODE_TRY(fits(ctx, &s, factors));
    LODE_TRY(widen(ctx, d, factors, s.work, wide));
    for (int k = 0; k < d; k++)
        U[k] = &wide[k];
    LODE_TRY(lode_i_slabs_project(ctx, &s, U, &seen, &y));
    LODE_TRY(lode_i_as(ctx, &y, factors[0].dtype, &z));
    if (norm)
        *norm = sqrt(seen.sumsq);
    lode_array_swap(core, &z);
done:
    for (int k = 0; k < d; k++)
        lode_array_free(&wide[k]);
    LODE_FREE(&y, &z);
    lode_i_slabs_close(&s);
    return st;
}

lode_status lode_i_tucker_residual(lode_ctx *ctx, lode_value X, const lode_array *core,
                                   const lode_array *factors, const char *name, double *error,
                                   double *norm)
{
    lode_status st = LODE_OK;
    lode_i_slabs s = { 0 };
    lode_i_seen seen = { 0 };
    struct {
        lode_diff_run differences;
        int64_t next; /* slab */
    } at = { .next = 0 };
    bool done = false;
    lode_array wide[LODE_MAX_NDIM] = { { 0 } }, slab = { 0 }, y = { 0 }, g = { 0 };
    int d = 0;
    LODE_TRY(lode_i_slabs_open(ctx, X, name, &s));
    d = s.ndim;
    LODE_TRY(fits(ctx, &s, factors));
    LODE_TRY(widen(ctx, d, factors, s.work, wide));
    LODE_TRY(lode_i_as(ctx, core, s.work, &g));
    LODE_TRY(lode_i_restore_pass(ctx, "residual", &at, sizeof at, &done));
    for (int64_t i = at.next; i < s.count; i++) {
        int64_t start[LODE_MAX_NDIM] = { 0 };
        LODE_TRY(lode_i_tick(ctx, i, s.count));
        LODE_TRY(lode_i_slab(ctx, &s, i, &seen, &slab));
        start[s.axis] = i * s.rows;
        LODE_TRY(lode_i_tucker_expand(ctx, &g, wide, start, slab.shape, &y));
        LODE_TRY(lode_i_diff_push(ctx, &at.differences, &slab, &y));
        at.next = i + 1;
        LODE_TRY(lode_i_keep_pass(ctx, "residual", &at, sizeof at, at.next == s.count));
    }
    *error = sqrt(lode_i_diff_result(&at.differences).sumsq);
    *norm = sqrt(lode_i_diff_result(&at.differences).ref_sumsq);
done:
    for (int k = 0; k < d; k++)
        lode_array_free(&wide[k]);
    LODE_FREE(&slab, &y, &g);
    lode_i_slabs_close(&s);
    return st;
}

/* order: indices by falling energy, ties by index. A merge sort: nearly sorted input is one
 * walk. */
void lode_i_tucker_sort(const double *energy, int64_t n, int64_t *order, int64_t *room)
{
    for (int64_t run = 1; run < n; run *= 2)
        for (int64_t a = 0; a + run < n; a += 2 * run) {
            const int64_t m = a + run, e = lode_i_min(a + 2 * run, n);
            if (!(energy[order[m]] > energy[order[m - 1]]))
                continue;
            int64_t i = a, j = m, t = 0;
            while (i < m || j < e)
                room[t++] = j == e || (i < m && !(energy[order[j]] > energy[order[i]]))
                                ? order[i++]
                                : order[j++];
            memcpy(order + a, room, (size_t)t * sizeof *order);
        }
}

/* Columns index[] of U, signs canonical; phase: what the core's slices must be multiplied by. */
static lode_status pick_columns(lode_ctx *ctx, const lode_array *U, const int64_t *rows,
                                const int64_t *index, int64_t count, lode_array *V,
                                lode_array *phase)
{
    lode_status st = LODE_OK;
    lode_array ones = { 0 };
    LODE_TRY(lode_i_pick(ctx, U, (const int64_t *const[]){ rows, index },
                         (const int64_t[]){ U->shape[0], count }, NULL, U->dtype, V));
    LODE_TRY(lode_i_matrix_new(ctx, U->dtype, 1, count, &ones));
    LODE_TRY(lode_i_fill(ctx, &ones, 1));
    if (V->shape[0] > 0)
        LODE_TRY(lode_i_canonical_signs(ctx, V, &ones));
    LODE_TRY(lode_i_conj(ctx, &ones));
    LODE_TRY(lode_array_reshape(ctx, &ones, 1, &count, phase));
done:
    LODE_FREE(&ones);
    return st;
}

lode_status lode_i_tucker_select(lode_ctx *ctx, lode_array *core, lode_array *U,
                                 int64_t *const *index, const int64_t *count, lode_dtype dtype,
                                 double *held)
{
    lode_status st = LODE_OK;
    const int d = core->ndim;
    lode_array V[LODE_MAX_NDIM] = { { 0 } }, phase[LODE_MAX_NDIM] = { { 0 } }, y = { 0 };
    const lode_array *phases[LODE_MAX_NDIM];
    double *store = NULL, *energy[LODE_MAX_NDIM];
    int64_t *order = NULL, length = 0, longest = 1;
    for (int k = 0; k < d; k++) {
        length += count[k];
        longest = lode_i_max(longest, lode_i_max(U[k].shape[0], count[k]));
    }
    LODE_TRY(LODE_NEW(ctx, lode_i_max(length, 1), &store));
    LODE_TRY(LODE_NEW(ctx, 3 * longest, &order));
    for (int k = 0; k < d; k++)
        energy[k] = k ? energy[k - 1] + count[k - 1] : store;
    LODE_TRY(lode_i_slice_energies(ctx, core, (const int64_t *const *)index, count, energy));
    for (int k = 0; k < d; k++) {
        int64_t *const place = order, *const room = order + longest;
        for (int64_t i = 0; i < count[k]; i++)
            place[i] = i;
        lode_i_tucker_sort(energy[k], count[k], place, room);
        for (int64_t i = 0; i < count[k]; i++)
            room[i] = index[k][place[i]];
        memcpy(index[k], room, (size_t)count[k] * sizeof *room);
        for (int64_t i = 0; i < U[k].shape[0]; i++)
            place[i] = i; /* all rows */
        LODE_TRY(pick_columns(ctx, &U[k], place, index[k], count[k], &V[k], &phase[k]));
        LODE_TRY(lode_i_as(ctx, &phase[k], core->dtype, &y));
        lode_array_swap(&phase[k], &y);
        lode_array_free(&y);
        phases[k] = &phase[k];
    }
    LODE_TRY(lode_i_pick(ctx, core, (const int64_t *const *)index, count, phases, dtype, &y));
    if (held) {
        *held = 0;
        for (int64_t i = 0; i < count[0]; i++)
            *held += energy[0][i];
    }
    lode_array_swap(core, &y);
    for (int k = 0; k < d; k++)
        lode_array_swap(&U[k], &V[k]);
done:
    for (int k = 0; k < d; k++)
        LODE_FREE(&V[k], &phase[k]);
    LODE_FREE(&y);
    lode_i_free(store), lode_i_free(order);
    return st;
}

lode_status lode_i_tucker_canonical(lode_ctx *ctx, lode_array *core, lode_array *factors)
{
    lode_status st = LODE_OK;
    int64_t *store = NULL, *index[LODE_MAX_NDIM], length = 0;
    for (int k = 0; k < core->ndim; k++)
        length += core->shape[k];
    LODE_TRY(LODE_NEW(ctx, lode_i_max(length, 1), &store));
    for (int k = 0; k < core->ndim; k++) {
        index[k] = k ? index[k - 1] + core->shape[k - 1] : store;
        for (int64_t i = 0; i < core->shape[k]; i++)
            index[k][i] = i;
    }
    LODE_TRY(lode_i_tucker_select(ctx, core, factors, index, core->shape, core->dtype, NULL));
done:
    lode_i_free(store);
    return st;
}
