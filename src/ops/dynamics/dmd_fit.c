/* Fits of dmd: singular vectors of the snapshots, the map of their coordinates from one to the next, its
 * eigenvalues, modes and amplitudes. Rows of T are snapshots (or several, under delays), T ~ P diag(s) Q^H,
 * coordinates Z = T Q: z_(i+1) = z_i F with F = Z_1^+ Z_2, whose transpose is the map of columns. */
#include <math.h>

#include "linalg/threshold.h"
#include "ops/dynamics/dmd.h"

void lode_i_dmd_free(lode_i_dmd_fit *f)
{
    lode_i_free(f->rate), lode_i_free(f->amplitude);
    LODE_FREE(&f->modes, &f->trace);
    *f = (lode_i_dmd_fit){ 0 };
}

/* ---- ranks ---- */

/* Values above 2.858.. times their median (Gavish & Donoho), of those above rounding; at least one. */
static int64_t above_noise(const lode_array *s, int64_t rows, int64_t cols, int64_t numerical)
{
    const int64_t p = s->shape[0];
    const double beta = (double)lode_i_min(rows, cols) / (double)lode_i_max(rows, cols);
    const double median = p % 2 ? lode_i_get1(s, p / 2)
                                : (lode_i_get1(s, p / 2 - 1) + lode_i_get1(s, p / 2)) / 2;
    const double limit = lode_i_threshold_omega(beta) * median;
    int64_t r = 0;
    while (r < numerical && lode_i_get1(s, r) > limit)
        r++;
    return lode_i_max(r, lode_i_min(1, numerical));
}

/* T ~ P diag(s) Q^H at the rank asked, or found. */
static lode_status reduce(lode_ctx *ctx, const lode_dmd_opts *o, const lode_array *T, int64_t most,
                          lode_dtype dtype, lode_array *Q, int64_t *asked, double *rest2)
{
    lode_status st = LODE_OK;
    lode_array s = { 0 }, all = { 0 }, some = { 0 };
    const int64_t rows = T->shape[0], cols = T->shape[1], side = lode_i_min(rows, cols);
    LODE_TRY(lode_i_svd(ctx, T, side, NULL, &s, &all));
    const double top = side > 0 ? lode_i_get1(&s, 0) : 0;
    const double least = lode_i_epsilon(dtype) * (double)lode_i_max(rows, cols) * top;
    int64_t numerical = 0;
    while (numerical < side && lode_i_get1(&s, numerical) > least)
        numerical++;
    *asked = o->rank.count > 0 ? most : above_noise(&s, rows, cols, numerical);
    const int64_t r = lode_i_min(lode_i_min(*asked, most), numerical);
    *rest2 = 0;
    for (int64_t j = r; j < side; j++)
        *rest2 += lode_i_get1(&s, j) * lode_i_get1(&s, j);
    some = lode_i_cols(&all, 0, r);
    LODE_TRY(lode_array_cast(ctx, &some, all.dtype, Q));
done:
    LODE_FREE(&s, &all, &some);
    return st;
}

/* ---- the map ---- */

/* F = A^+ B */
lode_status lode_i_dmd_map(lode_ctx *ctx, const lode_array *A, const lode_array *B,
                           lode_array *plus, lode_array *F)
{
    LODE_FREE(plus, F);
    LODE_FORWARD(lode_i_pinv(ctx, A, 1e-14, plus, NULL));
    return lode_i_gemm(ctx, LODE_N, LODE_N, plus, B, F);
}

lode_status lode_i_dmd_transposed(lode_ctx *ctx, const lode_array *A, lode_array *out)
{
    const lode_array turned = lode_i_transposed(A);
    return lode_array_cast(ctx, &turned, A->dtype, out);
}

/* Eigenvalues and vectors of the map of columns; plus: of the first coordinates. */
static lode_status eigen(lode_ctx *ctx, const lode_dmd_opts *o, const lode_array *Z1,
                         const lode_array *Z2, lode_array *plus, lode_array *w, lode_array *W)
{
    lode_status st = LODE_OK;
    lode_array F = { 0 }, back = { 0 }, other = { 0 }, both = { 0 }, A = { 0 }, y = { 0 },
               ok = { 0 }, roots = { 0 };
    LODE_TRY(lode_i_dmd_map(ctx, Z1, Z2, plus, &F));
    if (o->method != LODE_DMD_FB) {
        LODE_TRY(lode_i_dmd_transposed(ctx, &F, &A));
        LODE_TRY(lode_i_eig(ctx, &A, w, W));
        goto done;
    }
    /* the square of the map: forward after the inverse of backward; of its roots the one that the
     * forward map is nearer to, where it acts on the vector */
    LODE_TRY(lode_i_dmd_map(ctx, Z2, Z1, &other, &back));
    LODE_TRY(lode_i_pinv(ctx, &back, 1e-14, &other, NULL));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &other, &F, &both));
    LODE_TRY(lode_i_dmd_transposed(ctx, &both, &A));
    LODE_TRY(lode_i_eig(ctx, &A, w, W));
    LODE_FREE(&A);
    LODE_TRY(lode_i_dmd_transposed(ctx, &F, &A));
    LODE_TRY(lode_i_dmd_times(ctx, LODE_N, &A, W, &y));
    LODE_TRY(lode_array_reshape(ctx, w, 2, (const int64_t[]){ w->shape[0], 1 }, &ok));
    for (int64_t j = 0; j < w->shape[0]; j++) {
        lode_i_cplx along = 0;
        for (int64_t i = 0; i < W->shape[0]; i++)
            along += conj(lode_i_zget(W, i, j)) * lode_i_zget(&y, i, j);
        const lode_i_cplx root = csqrt(lode_i_zget(&ok, j, 0));
        lode_i_zset(&ok, j, 0, cabs(root - along) <= cabs(root + along) ? root : -root);
    }
    const int64_t count = ok.shape[0];
    LODE_TRY(lode_array_reshape(ctx, &ok, 1, &count, &roots));
    lode_array_swap(w, &roots);
done:
    LODE_FREE(&F, &back, &other, &both, &A, &y, &ok, &roots);
    return st;
}

/* ---- modes and amplitudes ---- */

/* Columns of Phi (n d x r) of length 1 in their first n rows, the largest entry real; by[j]: what column j was. */
static lode_status normalize(lode_ctx *ctx, lode_array *Phi, int64_t n, lode_i_cplx *by)
{
    lode_status st = LODE_OK;
    lode_array first = lode_i_rows(Phi, 0, n), own = { 0 }, column = { 0 }, turned = { 0 },
               d = { 0 };
    lode_i_cplx *scale = NULL;
    const int64_t r = Phi->shape[1];
    LODE_TRY(lode_array_cast(ctx, &first, LODE_C128, &own));
    LODE_TRY(lode_i_canonical_signs(ctx, &own, NULL));
    LODE_TRY(LODE_NEW(ctx, lode_i_max(r, 1), &scale));
    for (int64_t j = 0; j < r; j++) {
        double norm = 0;
        lode_inner s = { 0 };
        LODE_FREE(&column, &turned);
        column = lode_i_cols(&first, j, j + 1);
        turned = lode_i_cols(&own, j, j + 1);
        LODE_TRY(lode_i_norm_fro(ctx, &column, &norm));
        LODE_TRY(lode_i_inner(ctx, &column, &turned, &s)); /* |column|^2 times the phase */
        by[j] = norm > 0 ? lode_i_z(s.re, s.im) / norm : 0;
        scale[j] = norm > 0 ? 1 / by[j] : 1;
    }
    LODE_TRY(lode_i_dmd_vector(ctx, scale, r, &d));
    LODE_TRY(lode_i_scale_cols(ctx, Phi, &d));
done:
    lode_i_free(scale);
    LODE_FREE(&first, &own, &column, &turned, &d);
    return st;
}

/* Least squares over all rows: (Phi^H Phi o V^H V) b = conj(diag of V^T conj(T) Phi), V_ij = exp(rate_j t_i) counted from the
 * end where it grows (Jovanovic, Schmid & Nichols 2014, section II.B). */
static lode_status amplitudes(lode_ctx *ctx, const lode_dmd_opts *o, const lode_i_dmd_data *d,
                              const lode_array *Phi, lode_i_dmd_fit *f)
{
    lode_status st = LODE_OK;
    const int64_t r = f->r, rows = d->T.shape[0];
    lode_array rate = { 0 }, origin = { 0 }, V = { 0 }, vv = { 0 }, pp = { 0 }, turned = { 0 },
               y = { 0 }, A = { 0 }, q = { 0 }, b = { 0 }, row = { 0 };
    const double t0 = lode_i_get1(&d->some, 0),
                 t1 = o->amplitudes == LODE_DMD_ALL ? lode_i_get1(&d->some, rows - 1) : t0;
    if (o->amplitudes == LODE_DMD_FIRST) {
        row = lode_i_rows(&d->T, 0, 1);
        LODE_TRY(lode_i_dmd_transposed(ctx, &row, &y));
        LODE_TRY(lode_array_cast(ctx, &y, LODE_C128, &q));
        LODE_TRY(lode_i_lstsq(ctx, Phi, &q, &b, NULL));
    } else {
        LODE_TRY(lode_i_dmd_vector(ctx, f->rate, r, &rate));
        LODE_TRY(lode_i_vector_new(ctx, LODE_F64, r, &origin));
        for (int64_t j = 0; j < r; j++)
            lode_i_set1(&origin, j, creal(f->rate[j]) > 0 ? t1 : t0);
        LODE_TRY(lode_i_exponentials(ctx, &d->some, &rate, &origin, 0, &V));
        LODE_TRY(lode_i_gram(ctx, LODE_H, &V, &vv));
        LODE_TRY(lode_i_gram(ctx, LODE_H, Phi, &pp));
        LODE_TRY(lode_array_cast(ctx, Phi, LODE_C128, &turned));
        LODE_TRY(lode_i_conj(ctx, &turned));
        LODE_TRY(lode_i_dmd_times(ctx, LODE_N, &d->T, &turned, &y));
        LODE_TRY(lode_i_matrix_new(ctx, LODE_C128, r, r, &A));
        LODE_TRY(lode_i_matrix_new(ctx, LODE_C128, r, 1, &q));
        for (int64_t i = 0; i < r; i++) {
            lode_i_cplx sum = 0;
            for (int64_t j = 0; j < r; j++)
                lode_i_zset(&A, i, j, lode_i_zget(&pp, i, j) * lode_i_zget(&vv, i, j));
            for (int64_t t = 0; t < rows; t++)
                sum += conj(lode_i_zget(&V, t, i)) * lode_i_zget(&y, t, i);
            lode_i_zset(&q, i, 0, sum);
        }
        LODE_TRY(lode_i_lstsq(ctx, &A, &q, &b, NULL));
    }
    for (int64_t j = 0; j < r; j++)
        f->amplitude[j] = lode_i_zget(&b, j, 0) *
                          cexp(f->rate[j] * (creal(f->rate[j]) > 0 ? t0 - t1 : 0));
done:
    LODE_FREE(&rate, &origin, &V, &vv, &pp, &turned, &y, &A, &q, &b, &row);
    return st;
}

/* Largest amplitude first; of those that only rounding tells apart, the higher frequency. */
static lode_status sort(lode_ctx *ctx, lode_i_dmd_fit *f)
{
    lode_status st = LODE_OK;
    lode_array order = { 0 }, modes = { 0 };
    lode_i_cplx *copy = NULL;
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, f->r, &order));
    LODE_TRY(LODE_NEW(ctx, lode_i_max(2 * f->r, 1), &copy));
    for (int64_t i = 0; i < f->r; i++) {
        int64_t at = i;
        for (; at > 0; at--) {
            const int64_t other = (int64_t)lode_i_get1(&order, at - 1);
            const double a = cabs(f->amplitude[i]), b = cabs(f->amplitude[other]);
            const bool tie = fabs(a - b) <= 1e-7 * (a + b);
            if (tie ? !(cimag(f->rate[i]) > cimag(f->rate[other])) : a < b)
                break;
            lode_i_set1(&order, at, (double)other);
        }
        lode_i_set1(&order, at, (double)i);
        copy[i] = f->rate[i], copy[f->r + i] = f->amplitude[i];
    }
    for (int64_t i = 0; i < f->r; i++) {
        const int64_t from = (int64_t)lode_i_get1(&order, i);
        f->rate[i] = copy[from], f->amplitude[i] = copy[f->r + from];
    }
    LODE_TRY(lode_i_take(ctx, &f->modes, 1, &order, &modes));
    lode_array_swap(&f->modes, &modes);
done:
    lode_i_free(copy);
    LODE_FREE(&order, &modes);
    return st;
}

/* ---- fits ---- */

/* Eigenvalues that a step takes to nothing have no rate: such modes are left out. */
static lode_status take_rates(lode_ctx *ctx, const lode_array *w, double dt, lode_array *W,
                              lode_i_dmd_fit *f)
{
    lode_status st = LODE_OK;
    lode_array values = { 0 }, index = { 0 }, kept = { 0 };
    const int64_t all = w->shape[0];
    double most = 0;
    int64_t at = 0;
    LODE_TRY(lode_array_reshape(ctx, w, 2, (const int64_t[]){ all, 1 }, &values));
    for (int64_t j = 0; j < all; j++)
        most = fmax(most, cabs(lode_i_zget(&values, j, 0)));
    for (int64_t j = 0; j < all; j++)
        f->r += cabs(lode_i_zget(&values, j, 0)) > 1e-12 * most;
    LODE_TRY(LODE_NEW(ctx, lode_i_max(f->r, 1), &f->rate));
    LODE_TRY(LODE_NEW(ctx, lode_i_max(f->r, 1), &f->amplitude));
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, f->r, &index));
    for (int64_t j = 0; j < all; j++) {
        const lode_i_cplx v = lode_i_zget(&values, j, 0);
        if (cabs(v) > 1e-12 * most) {
            f->rate[at] = clog(v) / dt;
            lode_i_set1(&index, at++, (double)j);
        }
    }
    LODE_TRY(lode_i_take(ctx, W, 1, &index, &kept));
    lode_array_swap(W, &kept);
done:
    LODE_FREE(&values, &index, &kept);
    return st;
}

static lode_status optimized(lode_ctx *ctx, const lode_dmd_opts *o, const lode_i_dmd_data *d,
                             const lode_array *Z, const lode_array *Q, double rest2,
                             lode_i_dmd_fit *f, lode_array *Phi)
{
    lode_status st = LODE_OK;
    lode_array wide = { 0 }, B = { 0 }, turned = { 0 }, q = { 0 };
    lode_i_cplx *by = NULL;
    LODE_TRY(lode_array_cast(ctx, Z, LODE_C128, &wide));
    LODE_TRY(lode_i_dmd_search(ctx, o, d, Z, &wide, rest2, f, &B));
    LODE_TRY(lode_i_dmd_transposed(ctx, &B, &turned)); /* T ~ V B Q^H: modes conj(Q) B^T */
    LODE_TRY(lode_array_cast(ctx, Q, Q->dtype, &q));
    LODE_TRY(lode_i_conj(ctx, &q));
    LODE_TRY(lode_i_dmd_times(ctx, LODE_N, &q, &turned, Phi));
    LODE_TRY(LODE_NEW(ctx, lode_i_max(f->r, 1), &by));
    LODE_TRY(normalize(ctx, Phi, d->X.shape[1], by));
    for (int64_t j = 0; j < f->r; j++)
        f->amplitude[j] = by[j];
done:
    lode_i_free(by);
    LODE_FREE(&wide, &B, &turned, &q);
    return st;
}

lode_status lode_i_dmd_solve(lode_ctx *ctx, const lode_dmd_opts *o, const lode_i_dmd_data *d,
                             int64_t most, lode_i_dmd_fit *f)
{
    lode_status st = LODE_OK;
    lode_array T1 = { 0 }, T2 = { 0 }, Q = { 0 }, Z = { 0 }, Z1 = { 0 }, Z2 = { 0 }, plus = { 0 },
               w = { 0 }, W = { 0 }, Phi = { 0 }, L = { 0 }, first = { 0 }, wide = { 0 };
    lode_i_cplx *by = NULL;
    double rest2 = 0;
    const int64_t rows = d->T.shape[0];
    const bool opt = o->method == LODE_DMD_OPTIMIZED;
    T1 = lode_i_rows(&d->T, 0, rows - 1), T2 = lode_i_rows(&d->T, 1, rows);
    lode_i_work(ctx, "singular vectors", 10, opt ? 10 : 1);
    LODE_TRY(lode_i_tick(ctx, 0, 1));
    LODE_TRY(reduce(ctx, o, o->method == LODE_DMD_EXACT ? &T1 : &d->T, most, d->dtype, &Q,
                    &f->asked, &rest2));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &d->T, &Q, &Z));
    Z1 = lode_i_rows(&Z, 0, rows - 1), Z2 = lode_i_rows(&Z, 1, rows);
    lode_i_work(ctx, opt ? "exponentials" : "modes", 1, 1);
    LODE_TRY(lode_i_tick(ctx, 0, 1));
    LODE_TRY(eigen(ctx, o, &Z1, &Z2, &plus, &w, &W));
    LODE_TRY(take_rates(ctx, &w, d->dt, &W, f));
    if (opt) {
        LODE_TRY(optimized(ctx, o, d, &Z, &Q, rest2, f, &Phi));
    } else {
        if (o->method == LODE_DMD_FB) { /* projected modes: conj(Q) W */
            LODE_TRY(lode_array_cast(ctx, &Q, Q.dtype, &L));
            LODE_TRY(lode_i_conj(ctx, &L));
            LODE_TRY(lode_i_dmd_times(ctx, LODE_N, &L, &W, &Phi));
        } else { /* exact ones: T_2^T (Z_1^+)^T W */
            LODE_TRY(lode_i_dmd_times(ctx, LODE_T, &plus, &W, &L));
            LODE_TRY(lode_i_dmd_times(ctx, LODE_T, &T2, &L, &Phi));
        }
        LODE_TRY(LODE_NEW(ctx, lode_i_max(f->r, 1), &by));
        LODE_TRY(normalize(ctx, &Phi, d->X.shape[1], by));
        LODE_TRY(amplitudes(ctx, o, d, &Phi, f));
    }
    first = lode_i_rows(&Phi, 0, d->X.shape[1]);
    LODE_TRY(lode_array_cast(ctx, &first, LODE_C128, &f->modes));
    for (int64_t j = 0; j < f->r; j++)
        LODE_REQUIRE(
            isfinite(cabs(f->amplitude[j])), LODE_EDOMAIN,
            "dmd: the amplitude of a mode that grows by %.3g a step leaves the range of f64; "
            "ask for fewer modes",
            exp(creal(f->rate[j]) * d->dt));
    LODE_TRY(sort(ctx, f));
done:
    lode_i_free(by);
    LODE_FREE(&T1, &T2, &Q, &Z, &Z1, &Z2, &plus, &w, &W, &Phi, &L, &first, &wide);
    return st;
}
