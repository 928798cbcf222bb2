/* Canonical correlations of a reduced pair, as cosines of angles between the spans of its columns, and their
 * probabilities. */
#include <float.h>
#include <math.h>

#include "linalg/special.h"
#include "ops/matrix/cca.h"

void lode_i_cca_fit_free(lode_i_cca_fit *f)
{
    LODE_FREE(&f->W[0], &f->W[1], &f->Q, &f->values);
}

/* M D = U diag(s) V^T to the rank that the cutoff leaves, D = diag(unit); basis = U diag(s / root),
 * back = D V diag(1 / root), root = sqrt(s^2 + ridge). */
typedef struct side {
    lode_array basis, back;
    int64_t rank;
    double condition, ridge;
} side;

static void free_side(side *s)
{
    LODE_FREE(&s->basis, &s->back);
}

/* 1 over the length of each column, so that a unit does not decide about the rank; 0 for one that is rounding. */
static lode_status units(lode_ctx *ctx, const lode_array *M, bool keep, const lode_array *noise,
                         lode_array *unit)
{
    lode_status st = LODE_OK;
    const int64_t n = M->shape[1];
    const lode_array t = lode_i_transposed(M);
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &n, unit));
    LODE_TRY(lode_i_row_inner(ctx, &t, &t, unit));
    for (int64_t j = 0; j < n; j++) {
        const double length = sqrt(lode_i_get1(unit, j));
        const bool varies = !noise->data || length > lode_i_get1(noise, j);
        lode_i_set1(unit, j, !varies || !(length > 0) ? 0 : keep || !noise->data ? 1 : 1 / length);
    }
done:
    return st;
}

static lode_status whiten(lode_ctx *ctx, const lode_array *M, const lode_i_cca_task *task,
                          int which, side *out)
{
    lode_status st = LODE_OK;
    lode_array unit = { 0 }, A = { 0 }, U = { 0 }, s = { 0 }, V = { 0 }, part = { 0 }, up = { 0 },
               down = { 0 };
    double norm = 0;
    LODE_TRY(lode_i_norm_fro(ctx, M, &norm));
    out->ridge = task->ridge[which] * norm * norm / (double)task->cols[which];
    LODE_TRY(units(ctx, M, out->ridge > 0, &task->noise[which], &unit));
    LODE_TRY(lode_array_cast(ctx, M, LODE_F64, &A));
    LODE_TRY(lode_i_scale_cols(ctx, &A, &unit));
    LODE_TRY(lode_i_svd(ctx, &A, lode_i_min(A.shape[0], A.shape[1]), &U, &s, &V));
    const double top = s.shape[0] > 0 ? lode_i_get1(&s, 0) : 0;
    out->rank = 0;
    while (out->rank < s.shape[0] && lode_i_get1(&s, out->rank) > task->cutoff[which] * top)
        out->rank++;
    const int64_t r = out->rank;
    out->condition = r > 0 ? top / lode_i_get1(&s, r - 1) : 1;
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, r, &up));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, r, &down));
    for (int64_t i = 0; i < r; i++) {
        const double v = lode_i_get1(&s, i), root = hypot(v, sqrt(out->ridge));
        lode_i_set1(&up, i, v / root), lode_i_set1(&down, i, 1 / root);
    }
    part = lode_i_cols(&U, 0, r);
    LODE_TRY(lode_array_cast(ctx, &part, LODE_F64, &out->basis));
    LODE_TRY(lode_i_scale_cols(ctx, &out->basis, &up));
    lode_array_free(&part);
    part = lode_i_cols(&V, 0, r);
    LODE_TRY(lode_array_cast(ctx, &part, LODE_F64, &out->back));
    LODE_TRY(lode_i_scale_cols(ctx, &out->back, &down));
    LODE_TRY(lode_i_scale_rows(ctx, &out->back, &unit));
done:
    LODE_FREE(&unit, &A, &U, &s, &V, &part, &up, &down);
    return st;
}

lode_status lode_i_cca_angles(lode_ctx *ctx, const lode_i_cca_task *t, const lode_i_cca_pair *p,
                              lode_i_cca_fit *f)
{
    lode_status st = LODE_OK;
    side s[2] = { { .rank = 0 }, { .rank = 0 } };
    lode_array C = { 0 }, rotation[2] = { { 0 } }, values = { 0 }, turn = { 0 };
    for (int k = 0; k < 2; k++) {
        LODE_TRY(whiten(ctx, &p->M[k], t, k, &s[k]));
        f->rank[k] = s[k].rank, f->ridge[k] = s[k].ridge;
    }
    f->condition = fmax(s[0].condition, s[1].condition);
    const int64_t all = lode_i_min(s[0].rank, s[1].rank), k = lode_i_min(all, t->most);
    LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &s[0].basis, &s[1].basis, &C));
    LODE_TRY(lode_i_svd(ctx, &C, all, &rotation[0], &values, &rotation[1]));
    for (int64_t i = 0; i < all; i++) /* a cosine */
        lode_i_set1(&values, i, fmin(lode_i_get1(&values, i), 1));
    for (int i = 0; i < 2; i++) {
        lode_array_free(&turn);
        turn = lode_i_cols(&rotation[i], 0, k);
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &s[i].back, &turn, &f->W[i]));
        LODE_TRY(lode_i_scale(ctx, sqrt(fmax(p->mass - 1, 1)), &f->W[i]));
    }
    lode_array_swap(&f->values, &values);
done:
    for (int i = 0; i < 2; i++) {
        free_side(&s[i]);
        lode_array_free(&rotation[i]);
    }
    LODE_FREE(&C, &values, &turn);
    return st;
}

/* The same without columns that are rounding. */
static lode_status still(lode_ctx *ctx, const lode_i_cca_task *t, const lode_i_cca_pair *p,
                         lode_i_cca_pair *out)
{
    lode_status st = LODE_OK;
    lode_array unit = { 0 };
    out->mass = p->mass;
    for (int k = 0; k < 2; k++) {
        LODE_TRY(units(ctx, &p->M[k], true, &t->noise[k], &unit));
        LODE_TRY(lode_array_cast(ctx, &p->M[k], LODE_F64, &out->M[k]));
        LODE_TRY(lode_i_scale_cols(ctx, &out->M[k], &unit));
    }
done:
    lode_array_free(&unit);
    return st;
}

lode_status lode_i_cca_fit_pair(lode_ctx *ctx, const lode_i_cca_task *t, const lode_i_cca_pair *p,
                                lode_i_cca_fit *f)
{
    lode_status st = LODE_OK;
    lode_i_cca_fit local = { .condition = 1 };
    lode_i_cca_pair clean = { .mass = 0 };
    LODE_TRY(still(ctx, t, p, &clean));
    LODE_TRY(t->method == LODE_CCA_CANONICAL ? lode_i_cca_angles(ctx, t, &clean, &local)
                                             : lode_i_cca_pls(ctx, t, &clean, &local));
    lode_i_cca_fit_free(f);
    *f = local, local = (lode_i_cca_fit){ 0 };
done:
    lode_i_cca_pair_free(&clean);
    lode_i_cca_fit_free(&local);
    return st;
}

/* Bartlett 1941: -(n - 1 - (p + q + 1) / 2) sum log(1 - r_j^2), j from i on, with (p - i) (q - i) degrees of
 * freedom. */
lode_status lode_i_cca_p_values(lode_ctx *ctx, const lode_array *values, int64_t n, int64_t p,
                                int64_t q, lode_array *P)
{
    const int64_t all = values->shape[0];
    const double times = (double)n - 1 - 0.5 * (double)(p + q + 1);
    double sum = 0;
    LODE_FORWARD(lode_i_vector_new(ctx, LODE_F64, all, P));
    for (int64_t i = all; i-- > 0;) {
        const double r = fmin(lode_i_get1(values, i), 1);
        sum -= log(fmax((1 - r) * (1 + r), DBL_MIN));
        lode_i_set1(
            P, i,
            times > 0 ? lode_i_chi_square_tail((double)(p - i) * (double)(q - i), times * sum) : 1);
    }
    return LODE_OK;
}
