/* Verbs of pca: project, reconstruct, take in more rows, join fits of row blocks, check, draw. */
#include <math.h>

#include "linop/linop.h"
#include "lode/matrix.h"
#include "ops/matrix/pca.h"

/* A fitted model, borrowed from its bundle. */
typedef struct fitted {
    const lode_array *V, *mean, *s, *scores, *ratio;
    double total, noise;
    int64_t rows, n, k;
} fitted;

static lode_status read_model(lode_ctx *ctx, const lode_bundle *b, fitted *f)
{
    LODE_FORWARD(lode_bundle_array(ctx, b, "V", &f->V));
    LODE_FORWARD(lode_bundle_array(ctx, b, "mean", &f->mean));
    LODE_FORWARD(lode_bundle_array(ctx, b, "s", &f->s));
    LODE_FORWARD(lode_bundle_array(ctx, b, "scores", &f->scores));
    LODE_FORWARD(lode_bundle_array(ctx, b, "ratio", &f->ratio));
    LODE_FORWARD(lode_bundle_f64(ctx, b, "total", &f->total));
    LODE_FORWARD(lode_bundle_f64(ctx, b, "noise", &f->noise));
    LODE_FORWARD(lode_bundle_i64(ctx, b, "rows", &f->rows));
    const bool fits = f->V->ndim == 2 && f->mean->ndim == 1 && f->s->ndim == 1 &&
                      f->scores->ndim == 2 && f->mean->shape[0] == f->V->shape[0] &&
                      f->s->shape[0] == f->V->shape[1] && f->scores->shape[1] == f->V->shape[1] &&
                      f->scores->shape[0] == f->rows && f->ratio->ndim == 1 &&
                      f->ratio->shape[0] == f->s->shape[0];
    if (!fits)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "pca: the members of this model do not fit together; fit it again");
    f->n = f->V->shape[0], f->k = f->V->shape[1];
    return LODE_OK;
}

/* ---- apply ---- */

/* Scores of rows in f64; NaN entries are left out of the fit, with the model's prior on the
 * scores. */
static lode_status score_rows(lode_ctx *ctx, const fitted *f, const lode_array *x, lode_array *Z)
{
    lode_status st = LODE_OK;
    lode_stats stats;
    lode_array V = { 0 }, mean = { 0 }, ridge = { 0 }, centred = { 0 };
    LODE_TRY(lode_i_stats(ctx, x, &stats));
    if (stats.infinite > 0)
        LODE_TRY(lode_i_require_finite(ctx, x, "X"));
    LODE_TRY(lode_array_cast(ctx, f->V, LODE_F64, &V));
    LODE_TRY(lode_array_cast(ctx, f->mean, LODE_F64, &mean));
    if (stats.missing > 0) {
        LODE_TRY(lode_i_vector_new(ctx, LODE_F64, f->k, &ridge));
        for (int64_t c = 0; c < f->k; c++) { /* noise over the variance of the score */
            const double s = lode_i_get1(f->s, c),
                         variance = s * s / (double)lode_i_max(f->rows, 1);
            lode_i_set1(&ridge, c, variance > 0 ? f->noise / variance + 1e-300 : 1e300);
        }
        LODE_TRY(lode_i_masked_scores(ctx, x, &mean, &V, &ridge, Z));
        goto done;
    }
    LODE_TRY(lode_array_cast(ctx, x, LODE_F64, &centred));
    LODE_TRY(lode_i_sub_row(ctx, &centred, &mean));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &centred, &V, Z));
done:
    LODE_FREE(&V, &mean, &ridge, &centred);
    return st;
}

static lode_status read_rows(lode_ctx *ctx, const fitted *f, lode_value x, lode_array *rows)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 };
    if (x.kind == LODE_SPARSE)
        LODE_TRY(lode_sparse_to_dense(ctx, x.as.sparse, &a));
    else
        LODE_TRY(lode_i_as_array(ctx, x, LODE_F64, &a));
    if (a.ndim == 1 && a.shape[0] == f->n)
        LODE_TRY(lode_array_reshape(ctx, &a, 2, (const int64_t[]){ 1, f->n }, rows));
    else
        LODE_TRY(lode_array_cast(ctx, &a, LODE_F64, rows));
    LODE_REQUIRE(rows->ndim == 2 && rows->shape[1] == f->n, LODE_ESHAPE,
                 "pca: the new rows must have %" PRId64 " columns, as the data of the model", f->n);
done:
    LODE_FREE(&a);
    return st;
}

lode_status lode_i_pca_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                             lode_bundle *result)
{
    lode_status st = LODE_OK;
    fitted f;
    lode_array rows = { 0 }, Z = { 0 }, codes = { 0 };
    LODE_TRY(read_model(ctx, model, &f));
    LODE_TRY(read_rows(ctx, &f, x, &rows));
    LODE_TRY(score_rows(ctx, &f, &rows, &Z));
    LODE_TRY(lode_array_cast(ctx, &Z, f.V->dtype, &codes));
    LODE_TRY(lode_bundle_add_array(ctx, result, "codes", &codes));
done:
    LODE_FREE(&rows, &Z, &codes);
    return st;
}

/* ---- invert ---- */

lode_status lode_i_pca_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                              const lode_part *part, lode_array *result)
{
    lode_status st = LODE_OK;
    fitted f;
    lode_array given = { 0 }, Z = { 0 }, V = { 0 }, flat = { 0 }, mean = { 0 }, y = { 0 };
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM];
    LODE_TRY(read_model(ctx, model, &f));
    if (codes.kind == LODE_NONE)
        given = lode_array_ref(f.scores);
    else
        LODE_TRY(lode_i_as_array(ctx, codes, f.V->dtype, &given));
    LODE_REQUIRE(given.ndim == 2 && given.shape[1] == f.k, LODE_ESHAPE,
                 "pca: codes must have %" PRId64 " columns", f.k);
    LODE_TRY(
        lode_i_part_resolve(ctx, part, 2, (const int64_t[]){ given.shape[0], f.n }, start, count));
    Z = lode_i_rows(&given, start[0], start[0] + count[0]);
    V = lode_i_rows(f.V, start[1], start[1] + count[1]);
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_T, &Z, &V, &y));
    LODE_TRY(lode_array_slice(ctx, f.mean, 0, start[1], start[1] + count[1], 1, &flat));
    LODE_TRY(lode_array_cast(ctx, &flat, y.dtype, &mean));
    LODE_TRY(lode_i_scale(ctx, -1, &mean));
    LODE_TRY(lode_i_sub_row(ctx, &y, &mean));
    lode_array_swap(result, &y);
done:
    LODE_FREE(&given, &Z, &V, &flat, &mean, &y);
    return st;
}

/* ---- update and merge ---- */

/* What one block of rows brings: centred rows, or the same Gram matrix as diag(s) V^T. */
typedef struct block {
    lode_array core; /* p x n, f64 */
    lode_array mean; /* n, f64 */
    int64_t rows;
    double residual, norm, entries;
} block;

static void free_block(block *b)
{
    LODE_FREE(&b->core, &b->mean);
}

static lode_status block_of_model(lode_ctx *ctx, const lode_bundle *bundle, const fitted *f,
                                  block *b)
{
    lode_status st = LODE_OK;
    lode_array V = { 0 }, s = { 0 }, t = { 0 };
    double mean_norm = 0;
    LODE_TRY(lode_array_cast(ctx, f->V, LODE_F64, &V));
    LODE_TRY(lode_array_cast(ctx, f->s, LODE_F64, &s));
    LODE_TRY(lode_i_scale_cols(ctx, &V, &s));
    t = lode_i_transposed(&V);
    LODE_TRY(lode_array_cast(ctx, &t, LODE_F64, &b->core));
    LODE_TRY(lode_array_cast(ctx, f->mean, LODE_F64, &b->mean));
    b->rows = f->rows;
    b->residual = bundle->certificate.absolute;
    LODE_TRY(lode_i_norm_fro(ctx, &b->mean, &mean_norm));
    b->norm = bundle->certificate.value > 0
                  ? b->residual / bundle->certificate.value
                  : sqrt(f->total + (double)f->rows * mean_norm * mean_norm);
    b->entries = (double)f->rows * (double)f->n;
done:
    LODE_FREE(&V, &s, &t);
    return st;
}

/* New rows, complete: missing entries are filled by the model's reconstruction. */
static lode_status block_of_rows(lode_ctx *ctx, const fitted *f, const lode_array *rows, block *b)
{
    lode_status st = LODE_OK;
    lode_array Z = { 0 }, V = { 0 }, mean = { 0 }, filled = { 0 };
    lode_stats stats;
    LODE_TRY(lode_i_stats(ctx, rows, &stats));
    LODE_TRY(score_rows(ctx, f, rows, &Z));
    LODE_TRY(lode_array_cast(ctx, f->V, LODE_F64, &V));
    LODE_TRY(lode_array_cast(ctx, f->mean, LODE_F64, &mean));
    LODE_TRY(lode_i_masked_fill(ctx, rows, &mean, &V, &Z, &filled));
    LODE_TRY(lode_i_col_means(ctx, &filled, &b->mean));
    LODE_TRY(lode_i_norm_fro(ctx, &filled, &b->norm));
    LODE_TRY(lode_i_sub_row(ctx, &filled, &b->mean));
    lode_array_swap(&b->core, &filled);
    b->rows = rows->shape[0];
    b->entries = (double)stats.count;
done:
    LODE_FREE(&Z, &V, &mean, &filled);
    return st;
}

/* Mean and axes of two blocks together: the SVD of [a; b; sqrt(ma mb / (ma + mb)) (mean_a -
 * mean_b)^T] (Ross et al.
 * 2008, section 3.2). What falls beyond k is returned as `lost`. */
static lode_status join_blocks(lode_ctx *ctx, const block *a, const block *b, int64_t k,
                               lode_pca_parts *p, double *lost)
{
    lode_status st = LODE_OK;
    lode_array stack = { 0 }, to = { 0 }, shift = { 0 }, row = { 0 }, all = { 0 }, V = { 0 },
               head = { 0 };
    const int64_t n = a->mean.shape[0], pa = a->core.shape[0], pb = b->core.shape[0];
    const double ma = (double)a->rows, mb = (double)b->rows, m = ma + mb;
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, pa + pb + 1, n, &stack));
    to = lode_i_rows(&stack, 0, pa);
    LODE_TRY(lode_array_copy_into(ctx, &a->core, &to));
    LODE_FREE(&to);
    to = lode_i_rows(&stack, pa, pa + pb);
    LODE_TRY(lode_array_copy_into(ctx, &b->core, &to));
    LODE_FREE(&to);
    LODE_TRY(lode_array_cast(ctx, &a->mean, LODE_F64, &shift));
    LODE_TRY(lode_i_axpy(ctx, -1, &b->mean, &shift));
    LODE_TRY(lode_i_scale(ctx, m > 0 ? sqrt(ma * mb / m) : 0, &shift));
    LODE_TRY(lode_array_reshape(ctx, &shift, 2, (const int64_t[]){ 1, n }, &row));
    to = lode_i_rows(&stack, pa + pb, pa + pb + 1);
    LODE_TRY(lode_array_copy_into(ctx, &row, &to));
    const lode_i_step step = { .site = "stack", .n = 2, .array = { &all, &V } };
    bool found = false;
    LODE_TRY(lode_i_restore(ctx, &step, &found));
    if (!found) {
        LODE_TRY(lode_i_svd(ctx, &stack, lode_i_min(stack.shape[0], n), NULL, &all, &V));
        LODE_TRY(lode_i_keep(ctx, &step));
    }
    const int64_t keep = lode_i_min(k, all.shape[0]);
    double squares = 0;
    for (int64_t c = keep; c < all.shape[0]; c++)
        squares += lode_i_get1(&all, c) * lode_i_get1(&all, c);
    *lost = sqrt(squares);
    head = lode_i_cols(&V, 0, keep);
    LODE_TRY(lode_array_cast(ctx, &head, LODE_F64, &p->V));
    LODE_FREE(&head);
    LODE_TRY(lode_array_slice(ctx, &all, 0, 0, keep, 1, &head));
    LODE_TRY(lode_array_cast(ctx, &head, LODE_F64, &p->s));
    LODE_TRY(lode_array_cast(ctx, &a->mean, LODE_F64, &p->mean));
    LODE_TRY(lode_i_scale(ctx, m > 0 ? ma / m : 1, &p->mean));
    LODE_TRY(lode_i_axpy(ctx, m > 0 ? mb / m : 0, &b->mean, &p->mean));
done:
    LODE_FREE(&stack, &to, &shift, &row, &all, &V, &head);
    return st;
}

/* Scores of rows given as scores on other axes (V_old NULL: as rows) about another mean:
 * (Z V'^T + mean' - mean) V, into `to`. */
static lode_status move_scores(lode_ctx *ctx, const lode_array *Z, const lode_array *V_old,
                               const lode_array *mean_old, const lode_pca_parts *p, lode_array *to)
{
    lode_status st = LODE_OK;
    lode_array R = { 0 }, V = { 0 }, z = { 0 }, y = { 0 }, shift = { 0 }, column = { 0 }, w = { 0 },
               flat = { 0 };
    const int64_t n = p->mean.shape[0], k = p->V.shape[1];
    if (V_old) {
        LODE_TRY(lode_array_cast(ctx, V_old, LODE_F64, &V));
        LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &V, &p->V, &R));
    }
    LODE_TRY(lode_array_cast(ctx, Z, LODE_F64, &z));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &z, V_old ? &R : &p->V, &y));
    LODE_TRY(lode_array_cast(ctx, &p->mean, LODE_F64, &shift));
    LODE_TRY(lode_array_cast(ctx, mean_old, LODE_F64, &flat));
    LODE_TRY(lode_i_axpy(ctx, -1, &flat, &shift)); /* mean - mean' */
    LODE_TRY(lode_array_reshape(ctx, &shift, 2, (const int64_t[]){ n, 1 }, &column));
    LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &p->V, &column, &w));
    LODE_FREE(&flat);
    LODE_TRY(lode_array_reshape(ctx, &w, 1, &k, &flat));
    LODE_TRY(lode_i_sub_row(ctx, &y, &flat));
    LODE_TRY(lode_array_copy_into(ctx, &y, to));
done:
    LODE_FREE(&R, &V, &z, &y, &shift, &column, &w, &flat);
    return st;
}

/* Signs, residual bound, members: the end of update and merge. The error of the old fits and what
 * the new rank leaves out add up by the triangle inequality. */
static lode_status finish(lode_ctx *ctx, lode_pca_parts *p, const block *a, const block *b,
                          double lost, lode_dtype dtype, lode_bundle *result)
{
    p->residual = hypot(a->residual, b->residual) + lost;
    p->norm = hypot(a->norm, b->norm);
    p->entries = a->entries + b->entries;
    p->bound = true;
    LODE_FORWARD(lode_i_canonical_signs(ctx, &p->V, &p->scores));
    return lode_i_pca_pack(ctx, p, dtype, result);
}

lode_status lode_i_pca_update(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                              lode_bundle *result)
{
    lode_status st = LODE_OK;
    fitted f;
    lode_array rows = { 0 }, to = { 0 };
    lode_pca_parts p = { 0 };
    block a = { 0 }, b = { 0 };
    double lost = 0;
    LODE_TRY(read_model(ctx, model, &f));
    LODE_TRY(read_rows(ctx, &f, x, &rows));
    LODE_TRY(block_of_model(ctx, model, &f, &a));
    LODE_TRY(block_of_rows(ctx, &f, &rows, &b));
    LODE_TRY(lode_i_tick(ctx, 1, 3));
    LODE_TRY(join_blocks(ctx, &a, &b, f.k, &p, &lost));
    LODE_TRY(lode_i_tick(ctx, 2, 3));
    const int64_t k = p.V.shape[1];
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, a.rows + b.rows, k, &p.scores));
    to = lode_i_rows(&p.scores, 0, a.rows);
    LODE_TRY(move_scores(ctx, f.scores, f.V, f.mean, &p, &to));
    LODE_FREE(&to);
    to = lode_i_rows(&p.scores, a.rows, a.rows + b.rows);
    LODE_TRY(move_scores(ctx, &b.core, NULL, &b.mean, &p, &to));
    LODE_TRY(finish(ctx, &p, &a, &b, lost, f.V->dtype, result));
done:
    free_block(&a);
    free_block(&b);
    lode_i_pca_free(&p);
    LODE_FREE(&rows, &to);
    return st;
}

lode_status lode_i_pca_merge(lode_ctx *ctx, const lode_bundle *first, const lode_bundle *second,
                             lode_bundle *result)
{
    lode_status st = LODE_OK;
    fitted f, g;
    lode_array to = { 0 };
    lode_pca_parts p = { 0 };
    block a = { 0 }, b = { 0 };
    double lost = 0;
    LODE_TRY(read_model(ctx, first, &f));
    LODE_TRY(read_model(ctx, second, &g));
    LODE_REQUIRE(f.n == g.n, LODE_ESHAPE,
                 "pca: the models have %" PRId64 " and %" PRId64
                 " columns; merge fits of rows of one table",
                 f.n, g.n);
    LODE_TRY(block_of_model(ctx, first, &f, &a));
    LODE_TRY(block_of_model(ctx, second, &g, &b));
    LODE_TRY(join_blocks(ctx, &a, &b, lode_i_max(f.k, g.k), &p, &lost));
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, a.rows + b.rows, p.V.shape[1], &p.scores));
    to = lode_i_rows(&p.scores, 0, a.rows);
    LODE_TRY(move_scores(ctx, f.scores, f.V, f.mean, &p, &to));
    LODE_FREE(&to);
    to = lode_i_rows(&p.scores, a.rows, a.rows + b.rows);
    LODE_TRY(move_scores(ctx, g.scores, g.V, g.mean, &p, &to));
    LODE_TRY(finish(ctx, &p, &a, &b, lost, f.V->dtype, result));
done:
    free_block(&a);
    free_block(&b);
    lode_i_pca_free(&p);
    LODE_FREE(&to);
    return st;
}

/* ---- verify ---- */

/* V orthonormal, scores orthogonal to their norms, ratios those of s: what any tampering with them
 * breaks. */
static lode_status check_structure(lode_ctx *ctx, const fitted *f)
{
    lode_status st = LODE_OK;
    lode_array V = { 0 }, Z = { 0 }, G = { 0 };
    const double slack = 64 * lode_i_epsilon(f->V->dtype) * sqrt((double)(f->rows + f->n));
    LODE_TRY(lode_array_cast(ctx, f->V, LODE_F64, &V));
    LODE_TRY(lode_array_cast(ctx, f->scores, LODE_F64, &Z));
    LODE_TRY(lode_i_gram(ctx, LODE_H, &V, &G));
    for (int64_t r = 0; r < f->k; r++)
        for (int64_t c = 0; c <= r; c++)
            LODE_REQUIRE(fabs(lode_i_get2(&G, r, c) - (r == c)) <= slack, LODE_EVERIFY,
                         "pca: columns %" PRId64 " and %" PRId64 " of V are not orthonormal (%g)",
                         r, c, lode_i_get2(&G, r, c));
    LODE_TRY(lode_i_gram(ctx, LODE_H, &Z, &G));
    const double top = lode_i_get1(f->s, 0);
    for (int64_t c = 0; c < f->k; c++) {
        const double s = lode_i_get1(f->s, c);
        LODE_REQUIRE(fabs(sqrt(lode_i_get2(&G, c, c)) - s) <= slack * top, LODE_EVERIFY,
                     "pca: s[%" PRId64 "] is %g, the scores have norm %g", c, s,
                     sqrt(lode_i_get2(&G, c, c)));
        LODE_REQUIRE(c == 0 || s <= lode_i_get1(f->s, c - 1) * (1 + slack), LODE_EVERIFY,
                     "pca: s[%" PRId64 "] is above the one before it", c);
        LODE_REQUIRE(fabs(lode_i_get1(f->ratio, c) * f->total - s * s) <=
                         slack * (f->total + top * top),
                     LODE_EVERIFY, "pca: ratio[%" PRId64 "] does not fit s and total", c);
    }
done:
    LODE_FREE(&V, &Z, &G);
    return st;
}

/* The error of a sparse original, which stays so: 1 mean^T + scores V^T is [scores 1] [V mean]^T. */
static lode_status measure_sparse(lode_ctx *ctx, const fitted *f, const lode_sparse *x,
                                  lode_diff *d)
{
    lode_status st = LODE_OK;
    lode_linop *A = NULL;
    lode_array L = { 0 }, R = { 0 }, part = { 0 }, mean = { 0 };
    double error = 0, norm = 0;
    LODE_TRY(lode_linop_from(ctx, lode_from_sparse(x), &A));
    LODE_REQUIRE(A->rows == f->rows && A->cols == f->n, LODE_ESHAPE,
                 "pca: the original is %" PRId64 " x %" PRId64 ", the result stands for %" PRId64
                 " x %" PRId64,
                 A->rows, A->cols, f->rows, f->n);
    LODE_TRY(lode_i_matrix_new(ctx, A->dtype, f->rows, f->k + 1, &L));
    LODE_TRY(lode_i_matrix_new(ctx, A->dtype, f->n, f->k + 1, &R));
    LODE_TRY(lode_i_fill(ctx, &L, 1));
    LODE_TRY(lode_array_reshape(ctx, f->mean, 2, (const int64_t[]){ f->n, 1 }, &mean));
    const lode_array *const from[] = { f->scores, f->V, &mean };
    for (int i = 0; i < 3; i++) {
        lode_array_free(&part);
        part = lode_i_cols(i ? &R : &L, i == 2 ? f->k : 0, i == 2 ? f->k + 1 : f->k);
        LODE_TRY(lode_array_copy_into(ctx, from[i], &part));
    }
    LODE_TRY(A->norm(ctx, A, &L, &R, &error));
    LODE_TRY(lode_i_linop_norm(ctx, A, &norm));
    d->sumsq = error * error, d->ref_sumsq = norm * norm;
done:
    LODE_FREE(&A, &L, &R, &part, &mean);
    return st;
}

lode_status lode_i_pca_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                              lode_certificate *found)
{
    lode_status st = LODE_OK;
    fitted f;
    lode_diff d = { 0 };
    LODE_TRY(read_model(ctx, model, &f));
    if (f.k > 0)
        LODE_TRY(check_structure(ctx, &f));
    *found = model->certificate;
    if (original.kind == LODE_NONE) {
        snprintf(found->note, sizeof found->note,
                 "structure checked; give the original to measure the error again");
        goto done;
    }
    LODE_TRY(original.kind == LODE_SPARSE ? measure_sparse(ctx, &f, original.as.sparse, &d)
                                          : lode_i_measure(ctx, &lode_op_pca, model, original, &d));
    const double norm = sqrt(d.ref_sumsq), claimed = model->certificate.value;
    const double slack = 1e-3 * claimed + 16 * lode_i_epsilon(f.V->dtype) * sqrt((double)(f.k + 4));
    found->absolute = sqrt(d.sumsq);
    found->value = norm > 0 ? found->absolute / norm : 0;
    const bool holds = found->value <= claimed + slack &&
                       (model->certificate.kind == LODE_CERT_BOUND ||
                        found->value >= claimed - slack);
    LODE_REQUIRE(holds, LODE_EVERIFY, "pca: the relative error is %g, the certificate says %g",
                 found->value, claimed);
done:
    return st;
}

/* ---- plot ---- */

lode_status lode_i_pca_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                            lode_figure *figure)
{
    lode_status st = LODE_OK;
    fitted f;
    lode_array share = { 0 }, x = { 0 }, y = { 0 }, axis = { 0 };
    lode_panel *p = NULL;
    char text[512];
    (void)original;
    LODE_TRY(read_model(ctx, model, &f));
    lode_certificate_print(&model->certificate, text, sizeof text);
    LODE_TRY(lode_figure_caption(ctx, figure, "Principal components", text));
    LODE_TRY(lode_i_panel(ctx, figure, "variance explained", "component", "share (%)", &p));
    LODE_TRY(lode_array_cast(ctx, f.ratio, LODE_F64, &share));
    LODE_TRY(lode_i_scale(ctx, 100, &share));
    LODE_TRY(lode_i_panel_bars(ctx, p, NULL, &share));
    if (f.k >= 2) {
        LODE_TRY(lode_i_panel(ctx, figure, "scores", "component 1", "component 2", &p));
        LODE_TRY(lode_array_reshape(ctx, f.scores, 2, f.scores->shape, &axis));
        x = lode_i_cols(&axis, 0, 1), y = lode_i_cols(&axis, 1, 2);
        lode_array fx = { 0 }, fy = { 0 };
        st = lode_array_reshape(ctx, &x, 1, &f.rows, &fx);
        if (st >= 0)
            st = lode_array_reshape(ctx, &y, 1, &f.rows, &fy);
        if (st >= 0)
            st = lode_i_panel_points(ctx, p, NULL, &fx, &fy, NULL);
        LODE_FREE(&fx, &fy);
        LODE_TRY(st);
    }
    LODE_TRY(lode_i_panel(ctx, figure, "axes", "column", "loading", &p));
    LODE_TRY(lode_i_plot_components(ctx, p, f.V));
done:
    LODE_FREE(&share, &x, &y, &axis);
    return st;
}
