/* Conjugate gradients on the manifold of matrices of rank k (Vandereycken 2013): X = U diag(s) V^T; a tangent
 * is U M V^T + Up V^T + U Vp^T with Up, Vp orthogonal to U, V. The gradient is the residual, sparse,
 * projected to the tangent space; the step minimizes the error along the tangent exactly; the way back is
 * the singular value decomposition of a matrix of rank 2k, of which all but order 2k is known. */
#include <math.h>

#include "ops/matrix/complete.h"

typedef struct tangent {
    lode_array M, Up, Vp; /* k x k, m x k, n x k */
} tangent;

static void free_tangent(tangent *t)
{
    LODE_FREE(&t->M, &t->Up, &t->Vp);
}

static lode_status inner(lode_ctx *ctx, const tangent *a, const tangent *b, double *sum)
{
    const lode_array *x[] = { &a->M, &a->Up, &a->Vp }, *y[] = { &b->M, &b->Up, &b->Vp };
    *sum = 0;
    for (int i = 0; i < 3; i++) {
        lode_inner part;
        LODE_FORWARD(lode_i_inner(ctx, x[i], y[i], &part));
        *sum += part.re;
    }
    return LODE_OK;
}

/* P = A - Q (Q^T A) in place; coefficients (or NULL) take Q^T A. */
static lode_status project_out(lode_ctx *ctx, const lode_array *Q, lode_array *A,
                               lode_array *coefficients)
{
    lode_status st = LODE_OK;
    lode_array C = { 0 };
    LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, Q, A, &C));
    LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, Q, &C, 1, A));
    if (coefficients)
        lode_array_swap(coefficients, &C);
done:
    LODE_FREE(&C);
    return st;
}

/* Tangent at (U, V) of a matrix given by its products with V and, adjoint, with U. */
static lode_status to_tangent(lode_ctx *ctx, const lode_array *basis, lode_array *times_v,
                              lode_array *times_u, tangent *t)
{
    LODE_FORWARD(project_out(ctx, &basis[0], times_v, &t->M));
    LODE_FORWARD(project_out(ctx, &basis[1], times_u, NULL));
    lode_array_swap(&t->Up, times_v);
    lode_array_swap(&t->Vp, times_u);
    return LODE_OK;
}

/* Minus the gradient, and the error. */
static lode_status descent(lode_ctx *ctx, lode_i_completion *c, const lode_array *basis,
                           const lode_array *s, tangent *t, double *sumsq)
{
    lode_status st = LODE_OK;
    lode_array r = { 0 }, RV = { 0 }, RtU = { 0 };
    LODE_TRY(lode_i_observed_residual(ctx, c->x, 0, basis, s, &r, sumsq));
    LODE_TRY(lode_i_observed_mttkrp(ctx, c->x, 0, &r, basis, &RV));
    LODE_TRY(lode_i_observed_residual(ctx, c->x, 1, basis, s, &r, sumsq));
    LODE_TRY(lode_i_observed_mttkrp(ctx, c->x, 1, &r, basis, &RtU));
    LODE_TRY(to_tangent(ctx, basis, &RV, &RtU, t));
done:
    LODE_FREE(&r, &RV, &RtU);
    return st;
}

/* The tangent t at the old point, carried to the new one: projected there. */
static lode_status transport(lode_ctx *ctx, const lode_array *old, const lode_array *now,
                             tangent *t)
{
    lode_status st = LODE_OK;
    lode_array both[2] = { { 0 } }, C = { 0 }, times[2] = { { 0 } };
    /* t = (U M + Up) V^T + U Vp^T */
    for (int side = 0; side < 2; side++) {
        const lode_array *Q = &old[side], *P = &old[1 - side], *N = &now[1 - side];
        LODE_TRY(lode_array_cast(ctx, side == 0 ? &t->Up : &t->Vp, Q->dtype, &both[side]));
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, side == 0 ? LODE_N : LODE_T, 1, Q, &t->M, 1,
                                  &both[side]));
        LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, P, N, &C));
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &both[side], &C, &times[side]));
        LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, side == 0 ? &t->Vp : &t->Up, N, &C));
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, 1, Q, &C, 1, &times[side]));
    }
    LODE_TRY(to_tangent(ctx, now, &times[0], &times[1], t));
done:
    LODE_FREE(&both[0], &both[1], &C, &times[0], &times[1]);
    return st;
}

/* [a b], new. */
static lode_status beside(lode_ctx *ctx, const lode_array *a, const lode_array *b, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 }, left = { 0 }, right = { 0 };
    const int64_t k = a->shape[1];
    LODE_TRY(lode_i_matrix_new(ctx, a->dtype, a->shape[0], k + b->shape[1], &y));
    left = lode_i_cols(&y, 0, k), right = lode_i_cols(&y, k, k + b->shape[1]);
    LODE_TRY(lode_array_copy_into(ctx, a, &left));
    LODE_TRY(lode_array_copy_into(ctx, b, &right));
    lode_array_swap(out, &y);
done:
    LODE_FREE(&y, &left, &right);
    return st;
}

/* Sum of squares of the tangent's entries where X was observed: of factors [U M + Up, U], [V, Vp]. */
static lode_status observed_squares(lode_ctx *ctx, lode_i_completion *c, const lode_array *basis,
                                    const tangent *t, double *sumsq)
{
    lode_status st = LODE_OK;
    lode_array left = { 0 }, pair[2] = { { 0 } }, zeros = { 0 };
    lode_i_observed none = *c->x;
    LODE_TRY(lode_array_cast(ctx, &t->Up, c->x->dtype, &left));
    LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, 1, &basis[0], &t->M, 1, &left));
    LODE_TRY(beside(ctx, &left, &basis[0], &pair[0]));
    LODE_TRY(beside(ctx, &basis[1], &t->Vp, &pair[1]));
    LODE_TRY(lode_array_zeros(ctx, c->x->dtype, 1, &c->x->count, &zeros));
    none.mode[0].value = zeros;
    LODE_TRY(lode_i_observed_residual(ctx, &none, 0, pair, NULL, NULL, sumsq));
done:
    LODE_FREE(&left, &pair[0], &pair[1], &zeros);
    return st;
}

/* The point X + step t, cut to rank k: with Up = Qu Ru, Vp = Qv Rv it is
 * [U Qu] [diag(s) + step M, step Rv^T; step Ru, 0] [V Qv]^T. */
static lode_status retract(lode_ctx *ctx, const lode_array *basis, const lode_array *s,
                           const tangent *t, double step, lode_array *next, lode_array *values)
{
    lode_status st = LODE_OK;
    const int64_t k = s->shape[0];
    lode_array Q[2] = { { 0 } }, R[2] = { { 0 } }, K = { 0 }, W[2] = { { 0 } }, all = { 0 },
               both = { 0 };
    LODE_TRY(lode_i_qr(ctx, &t->Up, &Q[0], &R[0]));
    LODE_TRY(lode_i_qr(ctx, &t->Vp, &Q[1], &R[1]));
    LODE_TRY(lode_array_zeros(ctx, s->dtype, 2, (const int64_t[]){ 2 * k, 2 * k }, &K));
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < k; j++) {
            lode_i_set2(&K, i, j,
                        step * lode_i_get2(&t->M, i, j) + (i == j ? lode_i_get1(s, i) : 0));
            lode_i_set2(&K, k + i, j, step * lode_i_get2(&R[0], i, j));
            lode_i_set2(&K, i, k + j, step * lode_i_get2(&R[1], j, i));
        }
    LODE_TRY(lode_i_svd(ctx, &K, k, &W[0], &all, &W[1]));
    for (int m = 0; m < 2; m++) {
        LODE_TRY(beside(ctx, &basis[m], &Q[m], &both));
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &both, &W[m], &next[m]));
    }
    lode_array_swap(values, &all);
done:
    LODE_FREE(&Q[0], &Q[1], &R[0], &R[1], &K, &W[0], &W[1], &all, &both);
    return st;
}

/* direction = down + beta direction */
static lode_status combine(lode_ctx *ctx, const tangent *down, double beta, tangent *direction)
{
    const lode_array *from[] = { &down->M, &down->Up, &down->Vp };
    lode_array *to[] = { &direction->M, &direction->Up, &direction->Vp };
    for (int i = 0; i < 3; i++) {
        if (!to[i]->data || beta <= 0) {
            LODE_FORWARD(lode_array_cast(ctx, from[i], from[i]->dtype, to[i]));
            continue;
        }
        LODE_FORWARD(lode_i_scale(ctx, beta, to[i]));
        LODE_FORWARD(lode_i_axpy(ctx, 1, from[i], to[i]));
    }
    return LODE_OK;
}

/* Start: leading directions, and the values that fit best between them. */
static lode_status begin(lode_ctx *ctx, lode_i_completion *c, lode_array *basis, lode_array *s)
{
    lode_status st = LODE_OK;
    lode_i_row_rule rule = { .ridge = c->ridge, .steps = 1 };
    lode_i_row_cost cost = { 0 };
    c->model.ndim = 2, c->model.k = c->k;
    LODE_TRY(lode_i_complete_spectral(ctx, c, &c->model.factor[0], &c->model.factor[1]));
    LODE_TRY(lode_i_observed_rows(ctx, c->x, 0, c->model.factor, &rule, NULL, &cost));
    LODE_TRY(lode_i_kruskal_orthogonalize(ctx, &c->model));
    lode_array_swap(&basis[0], &c->model.factor[0]);
    lode_array_swap(&basis[1], &c->model.factor[1]);
    lode_array_swap(s, &c->model.scale);
    c->flops += cost.flops;
done:
    return st;
}

lode_status lode_i_complete_riemannian(lode_ctx *ctx, lode_i_completion *c)
{
    lode_status st = LODE_OK;
    lode_array basis[2] = { { 0 } }, next[2] = { { 0 } }, s = { 0 }, values = { 0 };
    tangent down = { 0 }, now = { 0 }, direction = { 0 };
    double sumsq = 0, size = 0;
    lode_i_iter it = { .op = "complete",
                       .what = "error over observed entries",
                       .tol = c->o->tol,
                       .floor = 16 * lode_i_complete_floor(c), /* U, V are cut anew in every step */
                       .max_iter = c->o->max_iter + 1 };
    LODE_TRY(begin(ctx, c, basis, &s));
    LODE_TRY(lode_i_iter_begin(ctx, &it));
    LODE_TRY(lode_i_iter_step(ctx, &it, 1));
    LODE_TRY(descent(ctx, c, basis, &s, &down, &sumsq));
    LODE_TRY(inner(ctx, &down, &down, &size));
    LODE_TRY(combine(ctx, &down, 0, &direction));
    while (!it.done) {
        double slope = 0, curvature = 0, overlap = 0;
        LODE_TRY(inner(ctx, &down, &direction, &slope));
        if (!(slope > 0)) {
            LODE_TRY(combine(ctx, &down, 0, &direction));
            slope = size;
        }
        LODE_TRY(observed_squares(ctx, c, basis, &direction, &curvature));
        const double step = curvature > 0 ? slope / curvature : 0;
        LODE_TRY(retract(ctx, basis, &s, &direction, step, next, &values));
        LODE_TRY(transport(ctx, basis, next, &down));
        LODE_TRY(transport(ctx, basis, next, &direction));
        lode_array_swap(&s, &values);
        for (int m = 0; m < 2; m++)
            lode_array_swap(&basis[m], &next[m]);
        const double before = size;
        LODE_TRY(descent(ctx, c, basis, &s, &now, &sumsq));
        LODE_TRY(inner(ctx, &now, &now, &size));
        LODE_TRY(inner(ctx, &now, &down, &overlap));
        LODE_TRY(combine(ctx, &now, before > 0 ? (size - overlap) / before : 0, &direction));
        LODE_TRY(combine(ctx, &now, 0, &down));
        c->flops += 14 * (double)c->x->count * (double)c->k;
        LODE_TRY(lode_i_iter_step(ctx, &it, lode_i_complete_relative(c, sumsq)));
    }
    LODE_TRY(lode_i_iter_end(ctx, &it, &c->trace));
    LODE_TRY(lode_i_canonical_signs(ctx, &basis[0], &basis[1]));
    lode_array_swap(&c->model.factor[0], &basis[0]);
    lode_array_swap(&c->model.factor[1], &basis[1]);
    lode_array_swap(&c->model.scale, &s);
done:
    free_tangent(&down);
    free_tangent(&now);
    free_tangent(&direction);
    LODE_FREE(&basis[0], &basis[1], &next[0], &next[1], &s, &values);
    lode_i_iter_free(&it);
    return st;
}
