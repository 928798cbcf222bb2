/* Weights of the columns as they are given, and what is measured on the data: scores, loadings, the prediction, and how far
 * the weights are from the equations that they solve. */
#include <math.h>

#include "ops/matrix/cca.h"

void lode_i_cca_model_free(lode_i_cca_model *m)
{
    for (int k = 0; k < 2; k++)
        LODE_FREE(&m->W[k], &m->score[k], &m->load[k]);
    LODE_FREE(&m->coef, &m->intercept, &m->correlation);
}

/* x less its parts in the first a columns of B, which need not be orthonormal. */
static lode_status beside(lode_ctx *ctx, const lode_array *B, int64_t a, lode_array *x)
{
    lode_status st = LODE_OK;
    lode_array part = lode_i_cols(B, 0, a), Q = { 0 }, c = { 0 };
    if (a == 0)
        goto done;
    LODE_TRY(lode_array_cast(ctx, &part, LODE_F64, &Q));
    LODE_TRY(lode_i_orth(ctx, &Q, NULL));
    for (int i = 0; i < 2; i++) {
        LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &Q, x, &c));
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, &Q, &c, 1, x));
    }
done:
    LODE_FREE(&part, &Q, &c);
    return st;
}

/* What weight a of a regression is along: SIMPLS: X^T u beside the loadings before; PLS2: w = X^T u - P (T^T u),
 * then w - R (P^T w). */
static lode_status direction(lode_ctx *ctx, const lode_i_cca_equations *e, int64_t a, lode_array *z)
{
    lode_status st = LODE_OK;
    lode_array u = lode_i_cols(e->other, a, a + 1), P = lode_i_cols(e->load, 0, a),
               W = lode_i_cols(e->W, 0, a), c = { 0 }, tu = { 0 };
    LODE_TRY(lode_array_cast(ctx, &u, LODE_F64, z));
    if (e->method == LODE_CCA_PLS) {
        LODE_TRY(beside(ctx, e->load, a, z));
    } else if (a > 0) {
        LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, a, 1, &tu));
        for (int64_t b = 0; b < a; b++)
            lode_i_set2(&tu, b, 0, lode_i_get2(e->inner, b, a));
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, &P, &tu, 1, z));
        LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &P, z, &c));
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, &W, &c, 1, z));
    }
done:
    LODE_FREE(&u, &P, &W, &c, &tu);
    return st;
}

lode_status lode_i_cca_residual(lode_ctx *ctx, const lode_i_cca_equations *e, double *residual)
{
    lode_status st = LODE_OK;
    lode_array R = { 0 }, D = { 0 }, z = { 0 }, w = { 0 }, values = { 0 };
    const int64_t k = e->W->shape[1];
    double size = 0, own = 0, off = 0, sum = 0;
    *residual = 0;
    LODE_TRY(lode_i_norm_fro(ctx, e->other, &size));
    LODE_TRY(lode_array_slice(ctx, e->values, 0, 0, k, 1, &values));
    if (e->method == LODE_CCA_CANONICAL || e->method == LODE_CCA_PLS_SVD) {
        const bool canonical = e->method == LODE_CCA_CANONICAL;
        LODE_TRY(lode_array_cast(ctx, canonical ? e->own : e->W, LODE_F64, &D));
        if (canonical)
            LODE_TRY(lode_i_axpy(ctx, e->ridge, e->W, &D));
        else
            LODE_TRY(lode_i_scale(ctx, e->freedom, &D));
        LODE_TRY(lode_i_norm_fro(ctx, &D, &own));
        LODE_TRY(lode_i_scale_cols(ctx, &D, &values));
        LODE_TRY(lode_array_cast(ctx, e->other, LODE_F64, &R));
        LODE_TRY(lode_i_axpy(ctx, -1, &D, &R));
        LODE_TRY(lode_i_norm_fro(ctx, &R, &off));
        size = hypot(size, canonical ? own : 0);
        *residual = size > 0 ? off / size : 0;
        goto done;
    }
    for (int64_t a = 0; a < k; a++) {
        LODE_FREE(&w);
        w = lode_i_cols(e->W, a, a + 1);
        if (e->predicted) {
            const lode_array t = lode_i_cols(e->other, a, a + 1);
            lode_array_free(&z);
            z = t;
        } else {
            LODE_TRY(direction(ctx, e, a, &z));
        }
        double zw = 0, ww = 0, rest = 0;
        for (int64_t j = 0; j < w.shape[0]; j++) {
            zw += lode_i_get2(&z, j, 0) * lode_i_get2(&w, j, 0);
            ww += lode_i_get2(&w, j, 0) * lode_i_get2(&w, j, 0);
        }
        for (int64_t j = 0; j < w.shape[0] && ww > 0; j++)
            rest += pow(lode_i_get2(&z, j, 0) - zw / ww * lode_i_get2(&w, j, 0), 2);
        sum += rest;
    }
    *residual = size > 0 ? sqrt(sum) / size : 0;
done:
    LODE_FREE(&R, &D, &z, &w, &values);
    return st;
}

/* Weights of a side's columns: those of the reduced table, or M^T G with M^T the transpose of the table as it is
 * used, where its columns were turned: W = Q C and M = L Q^T give C = L^T G. */
static lode_status unfold(lode_ctx *ctx, const lode_i_cca_data *d, const lode_i_cca_task *t,
                          const lode_i_cca_reduced *r, const lode_array *C, int side, lode_array *W)
{
    lode_status st = LODE_OK;
    lode_i_beside b;
    lode_source s = { 0 };
    lode_linop *op = NULL;
    lode_array P = { 0 }, G = { 0 };
    if (!r->wide[side])
        return lode_array_cast(ctx, C, LODE_F64, W);
    const lode_array *L = &r->whole.M[side];
    const lode_array turned = lode_i_transposed(L);
    LODE_TRY(lode_i_pinv(ctx, &turned, t->cutoff[side], &P, NULL));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &P, C, &G));
    LODE_TRY(lode_i_cca_operator(ctx, d, side, true, &b, &s, &op));
    LODE_TRY(op->apply(ctx, op, true, &G, W));
done:
    lode_linop_free(&op);
    LODE_FREE(&s, &P, &G);
    return st;
}

/* B (A^T A)^-1 A^T ... for the k x k Gram matrix of scores: regressions on them. */
static lode_status over_scores(lode_ctx *ctx, const lode_array *products, const lode_array *inner,
                               lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array P = { 0 };
    LODE_TRY(lode_i_pinv(ctx, inner, 1e-14, &P, NULL));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, products, &P, out));
done:
    lode_array_free(&P);
    return st;
}

/* Products of the data with both scores: own[k] and other[k] are M_k^T w T_k and M_k^T w T_(1 - k). */
typedef struct products {
    lode_array own[2], other[2], inner[3]; /* T^T w T, U^T w U, T^T w U */
} products;

static void free_products(products *p)
{
    LODE_FREE(&p->own[0], &p->own[1], &p->other[0], &p->other[1], &p->inner[0], &p->inner[1],
              &p->inner[2]);
}

static lode_status multiply(lode_ctx *ctx, const lode_i_cca_data *d, lode_i_cca_model *m,
                            products *p)
{
    lode_status st = LODE_OK;
    lode_i_beside b;
    lode_source s = { 0 };
    lode_linop *op = NULL;
    lode_array both = { 0 }, to = { 0 }, Z = { 0 }, weighted[2] = { { 0 } };
    const int64_t k = m->W[0].shape[1];
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, d->n, 2 * k, &both));
    for (int i = 0; i < 2; i++) {
        lode_linop_free(&op);
        LODE_TRY(lode_i_cca_operator(ctx, d, i, false, &b, &s, &op));
        LODE_TRY(op->apply(ctx, op, false, &m->W[i], &m->score[i]));
        LODE_TRY(lode_array_cast(ctx, &m->score[i], LODE_F64, &weighted[i]));
        if (d->weight.data)
            LODE_TRY(lode_i_scale_rows(ctx, &weighted[i], &d->weight));
        lode_array_free(&to);
        to = lode_i_cols(&both, i * k, i * k + k);
        LODE_TRY(lode_array_copy_into(ctx, &weighted[i], &to));
    }
    for (int i = 0; i < 2; i++) {
        lode_linop_free(&op);
        LODE_TRY(lode_i_cca_operator(ctx, d, i, false, &b, &s, &op));
        LODE_TRY(op->apply(ctx, op, true, &both, &Z));
        for (int j = 0; j < 2; j++) {
            lode_array_free(&to);
            to = lode_i_cols(&Z, j * k, j * k + k);
            LODE_TRY(lode_array_cast(ctx, &to, LODE_F64, i == j ? &p->own[i] : &p->other[i]));
        }
        LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &m->score[i], &weighted[i], &p->inner[i]));
    }
    LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &m->score[0], &weighted[1], &p->inner[2]));
done:
    lode_linop_free(&op);
    LODE_FREE(&s, &both, &to, &Z, &weighted[0], &weighted[1]);
    return st;
}

/* coef = diag(factor) W (Y on T)^T diag(1 / factor), intercept = mean_y - mean_x coef. */
lode_status lode_i_cca_predict(lode_ctx *ctx, const lode_i_cca_data *d, const lode_array *on,
                               lode_i_cca_model *m)
{
    lode_status st = LODE_OK;
    lode_array left = { 0 }, right = { 0 }, f = { 0 }, mean = { 0 }, row = { 0 }, y = { 0 };
    double size = 0, norm = 0;
    const int64_t p = d->cols[0], q = d->cols[1];
    LODE_TRY(lode_array_cast(ctx, &m->W[0], LODE_F64, &left));
    LODE_TRY(lode_array_slice(ctx, &d->factor, 0, 0, p, 1, &f));
    LODE_TRY(lode_i_scale_rows(ctx, &left, &f));
    LODE_TRY(lode_array_cast(ctx, on, LODE_F64, &right));
    lode_array_free(&f);
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, q, &f));
    for (int64_t j = 0; j < q; j++)
        lode_i_set1(&f, j, 1 / lode_i_get1(&d->factor, p + j));
    LODE_TRY(lode_i_scale_rows(ctx, &right, &f));
    LODE_TRY(lode_i_norm_fro(ctx, on, &size));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_T, &left, &right, &m->coef));
    LODE_TRY(lode_i_norm_fro(ctx, &m->coef, &norm));
    LODE_REQUIRE(isfinite(norm) && (norm > 1e-304 || !(size > 0)), LODE_EDOMAIN,
                 "cca: coefficients of Y on X do not fit the range of f64; scale X and Y");
    LODE_TRY(lode_array_slice(ctx, &d->mean, 0, 0, p, 1, &mean));
    LODE_TRY(lode_array_reshape(ctx, &mean, 2, (const int64_t[]){ 1, p }, &row));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &row, &m->coef, &y));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, q, &m->intercept));
    for (int64_t j = 0; j < q; j++)
        lode_i_set1(&m->intercept, j, lode_i_get1(&d->mean, p + j) - lode_i_get2(&y, 0, j));
done:
    LODE_FREE(&left, &right, &f, &mean, &row, &y);
    return st;
}

static lode_status correlate(lode_ctx *ctx, const products *p, lode_array *out)
{
    const int64_t k = p->inner[2].shape[0];
    LODE_FORWARD(lode_i_vector_new(ctx, LODE_F64, k, out));
    for (int64_t a = 0; a < k; a++) {
        const double tt = lode_i_get2(&p->inner[0], a, a), uu = lode_i_get2(&p->inner[1], a, a);
        const double tu = lode_i_get2(&p->inner[2], a, a);
        lode_i_set1(out, a, tt > 0 && uu > 0 ? tu / sqrt(tt) / sqrt(uu) : 0);
    }
    return LODE_OK;
}

lode_status lode_i_cca_measure(lode_ctx *ctx, const lode_i_cca_data *d, const lode_i_cca_task *t,
                               const lode_i_cca_reduced *r, lode_i_cca_fit *f, lode_i_cca_model *m)
{
    lode_status st = LODE_OK;
    products p = { 0 };
    lode_array on = { 0 }, turned = { 0 };
    const bool regression = t->method == LODE_CCA_PLS || t->method == LODE_CCA_NIPALS;
    for (int k = 0; k < 2; k++)
        LODE_TRY(unfold(ctx, d, t, r, &f->W[k], k, &m->W[k]));
    LODE_TRY(lode_i_canonical_signs(ctx, &m->W[0], &m->W[1]));
    LODE_TRY(multiply(ctx, d, m, &p));
    LODE_TRY(correlate(ctx, &p, &m->correlation));
    LODE_TRY(over_scores(ctx, &p.other[1], &p.inner[0], &on));
    LODE_TRY(over_scores(ctx, &p.own[0], &p.inner[0], &m->load[0]));
    LODE_TRY(regression ? lode_array_cast(ctx, &on, LODE_F64, &m->load[1])
                        : over_scores(ctx, &p.own[1], &p.inner[1], &m->load[1]));
    LODE_TRY(lode_i_cca_predict(ctx, d, &on, m));
    const lode_array t_inner = lode_i_transposed(&p.inner[2]);
    LODE_TRY(lode_array_cast(ctx, &t_inner, LODE_F64, &turned));
    for (int k = 0; k < 2; k++) {
        const lode_i_cca_equations e = { .method = t->method,
                                         .predicted = k == 1,
                                         .W = &m->W[k],
                                         .load = &m->load[k],
                                         .own = &p.own[k],
                                         .other = &p.other[k],
                                         .inner = k ? &turned : &p.inner[2],
                                         .values = &f->values,
                                         .ridge = f->ridge[k],
                                         .freedom = d->mass - 1 };
        LODE_TRY(lode_i_cca_residual(ctx, &e, &m->residual[k]));
    }
    /* sides whose weights have length 1: of the columns as they are given, but for --scale */
    for (int k = 0; k < 2; k++)
        if (t->method == LODE_CCA_PLS_SVD || (regression && k == 1)) {
            LODE_TRY(lode_i_scale(ctx, 1 / d->size[k], &m->W[k]));
            LODE_TRY(lode_i_scale(ctx, 1 / d->size[k], &m->score[k]));
            LODE_TRY(lode_i_scale(ctx, 1 / d->size[k], &f->values));
            LODE_TRY(lode_i_scale(ctx, regression ? 1 : d->size[k], &m->load[k]));
        }
done:
    free_products(&p);
    LODE_FREE(&on, &turned);
    return st;
}
