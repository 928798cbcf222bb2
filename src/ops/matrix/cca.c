/* cca: two tables of the same rows: what of one goes with what of the other. Canonical correlations, and partial least
 * squares.
 *
 * cca: weights a, b with the largest correlation of X a and Y b, then those uncorrelated with them. Correlations are the
 * cosines of the angles between the column spaces: the singular values of Qx^T Qy, Q orthonormal bases of the centred
 * columns, so that no covariance is formed and inverted, which squares condition numbers. [X Y] is reduced to the R of
 * its QR in one pass by slabs (cca_reduce.c), bases come of the parts of R. pls: the largest covariances; SIMPLS takes
 * scores of X that are uncorrelated, and regresses Y on them.
 *
 * Source: Hotelling 1936, doi:10.1093/biomet/28.3-4.321; Bjorck & Golub 1973, doi:10.1090/S0025-5718-1973-0348991-3; Vinod
 * 1976, doi:10.1016/0304-4076(76)90010-5 (ridge); Bartlett 1941, doi:10.1093/biomet/32.1.29 (probabilities); de Jong 1993,
 * doi:10.1016/0169-7439(93)85002-X (SIMPLS); Geladi & Kowalski 1986, doi:10.1016/0003-2670(86)80028-9 (NIPALS). Departures: one QR of
 * both tables in place of one each; columns get length 1 before ranks are told; a Gram matrix is taken instead where the
 * condition number, squared, costs less than 1e-10; NIPALS of complete data takes singular vectors, which it iterates
 * for; cross-validation is over folds of the reduced tables, without a further pass. Claim tested: correlations are the
 * cosines to the condition number times rounding, which the covariance route misses by its square. */
#include <float.h>
#include <math.h>

#include "linalg/masked.h"
#include "ops/matrix/cca.h"

enum { DEFAULT_MOST = 20, DEFAULT_FOLDS = 5, RANK = 0, FOLDS = 1 };
#define GRAM_ERROR 1e-10

static const lode_param params[] = {
    { LODE_PARAM(lode_cca_opts, method), .def = LODE_CCA_CANONICAL,
      .choices = "cca|pls|nipals|pls-svd",
      .help = "canonical correlations; regression by SIMPLS or PLS2; largest covariances" },
    { LODE_PARAM(lode_cca_opts, rank), .def_text = "auto", .min = 1, .max = 1e6,
      .help = "components; auto: as many as rows kept back speak for" },
    { LODE_PARAM(lode_cca_opts, max_rank), .min = 1, .max = 1e6,
      .help = "components at most that --rank auto tries; auto: 20" },
    { LODE_PARAM(lode_cca_opts, scale), .def = 0, .help = "give columns variance 1 first" },
    { LODE_PARAM(lode_cca_opts, ridge), .def_text = "0", .min = 0, .max = 1e12,
      .help = "cca: penalty over the mean variance of a column: of both, or of X,Y" },
    { LODE_PARAM(lode_cca_opts, weights), .help = "weight of each row, >= 0" },
    { LODE_PARAM(lode_cca_opts, holdout), .min = 0, .max = 0.5,
      .help = "share of the rows kept back at a time to validate: 0.2 is five folds; auto: 0.2 for "
              "--rank auto, else 0" },
    { LODE_PARAM(lode_cca_opts, missing), .def_text = "nan",
      .help = "pls, nipals: " LODE_HELP_MISSING },
    { LODE_PARAM(lode_cca_opts, tol), .def = 1e-8, .min = 1e-15, .max = 1,
      .help = "missing values: relative change of scores to stop at" },
    { LODE_PARAM(lode_cca_opts, max_iter), .def = 1000, .min = 1, .max = 1e6,
      .help = "missing values: " LODE_HELP_MAX_ITER " for a component" },
    { 0 },
};
static const lode_port in[] = {
    { "X", "m,p", .kinds = LODE_DENSE | LODE_KIND_BIT(LODE_SPARSE), .types = LODE_REAL_NUMBERS,
      .help = "one table, a row an observation" },
    { "Y", "m,q", .kinds = LODE_DENSE | LODE_KIND_BIT(LODE_SPARSE), .types = LODE_REAL_NUMBERS,
      .help = "the other, of the same rows" },
    { 0 },
};
static const lode_port out[] = {
    { "x_weights", "p,k", .help = "scores are (X - mean_x) x_weights" },
    { "y_weights", "q,k", .help = "the same of Y" },
    { "x_scores", "m,k", .help = "of variance 1, but for ridge and pls-svd" },
    { "y_scores", "m,k", .help = "the same of Y, but for pls and nipals" },
    { "x_loadings", "p,k", .help = "slopes of X's columns on x_scores" },
    { "y_loadings", "q,k", .help = "of Y's on y_scores; pls and nipals: on x_scores" },
    { "correlations", "k", .help = "of the scores" },
    { "values", NULL, .help = "all canonical correlations; or covariances" },
    { "p_values", NULL, .optional = true, .help = "cca: probability that there are no more" },
    { "coef", "p,q", .help = "Y is predicted by X coef + intercept" },
    { "intercept", "q", .help = "unit of Y" },
    { "mean_x", "p", .help = "column means" },
    { "mean_y", "q", .help = "column means" },
    { "held", NULL, .optional = true, .help = "correlations on rows kept back, mean over folds" },
    { "held_each", NULL, .optional = true, .help = "the same, a row a fold" },
    { "press", NULL, .optional = true,
      .help = "pls, nipals: squared error on rows kept back, of 0, 1, .. components; mean is 1" },
    { "press_each", NULL, .optional = true, .help = "sums of squares, a row a fold" },
    { "row_weights", "m", .optional = true, .help = "weights of rows, of mean 1" },
    { "condition", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR),
      .help = "of the columns, or of a regression's scores: what rounding is multiplied by" },
    { "rank_x", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .optional = true,
      .help = "cca: rank of X about its means" },
    { "rank_y", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .optional = true, .help = "of Y" },
    { "method", NULL, .kinds = LODE_KIND_BIT(LODE_TEXT), .help = "as in the option" },
    { "scaled", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "1: columns had variance 1" },
    { "ridge_x", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .optional = true,
      .help = "cca: as in the option" },
    { "ridge_y", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .optional = true, .help = "of Y" },
    { "missing", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .optional = true,
      .help = "values that were, where some were" },
    { 0 },
};

LODE_DEFAULTS(cca)

/* ---- plan ---- */

static bool regression(const lode_cca_opts *o)
{
    return o->method == LODE_CCA_PLS || o->method == LODE_CCA_NIPALS;
}

static lode_status decide(lode_ctx *ctx, const lode_cca_opts *o, int64_t n, int64_t p, int64_t q,
                          int64_t *most, int64_t *folds)
{
    lode_status st = LODE_OK;
    const bool automatic = o->rank.count == 0;
    LODE_REQUIRE(n >= 2 && p > 0 && q > 0, LODE_ESHAPE,
                 "cca: X is %" PRId64 " x %" PRId64 " and Y %" PRId64 " x %" PRId64
                 "; two rows are needed, and a column of each",
                 n, p, n, q);
    const int64_t side = regression(o) ? p : lode_i_min(p, q), limit = lode_i_min(side, n - 1);
    LODE_REQUIRE(o->rank.count <= 1 && (automatic || o->rank.value[0] <= limit), LODE_EPARAM,
                 "cca: rank %" PRId64 " is above %" PRId64 ", which tables of %" PRId64
                 " rows, %" PRId64 " and %" PRId64 " columns allow, or several numbers",
                 automatic ? limit + 1 : o->rank.value[0], limit, n, p, q);
    LODE_REQUIRE(o->ridge.count <= 2, LODE_EPARAM,
                 "cca: ridge takes one number, or one for X and one for Y, not %d",
                 (int)o->ridge.count);
    bool ridge = false;
    for (int k = 0; k < o->ridge.count; k++)
        ridge = ridge || o->ridge.value[k] > 0;
    LODE_REQUIRE(!ridge || o->method == LODE_CCA_CANONICAL, LODE_EUSAGE,
                 "cca: ridge goes with --method cca; components limit the others");
    const double share = o->holdout.given ? o->holdout.value : automatic ? 0.2 : 0;
    LODE_REQUIRE(!automatic || share > 0, LODE_EUSAGE,
                 "cca: --rank auto needs rows kept back; give a rank, or --holdout 0.2");
    *folds = 1;
    if (share > 0)
        *folds = (int64_t)fmin(fmax(floor(1 / share + 0.5), 2), LODE_I_CCA_FOLDS);
    *folds = lode_i_max(1, lode_i_min(*folds, n / 2));
    *most = !automatic          ? o->rank.value[0]
            : *folds == 1       ? 1
            : o->max_rank.given ? lode_i_min(limit, o->max_rank.value)
                                : lode_i_min(limit, DEFAULT_MOST);
done:
    return st;
}

static lode_status plan(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    const lode_cca_opts *o = lode_call_opts(c);
    const lode_matrix_info X = lode_call_matrix(c, 0), Y = lode_call_matrix(c, 1);
    const int64_t n = X.rows, all = X.cols + Y.cols;
    LODE_FORWARD(decide(ctx, o, n, X.cols, Y.cols, &p->number[RANK], &p->number[FOLDS]));
    const int64_t k = p->number[RANK], folds = p->number[FOLDS];
    const bool tall = lode_i_cca_tall(n, X.cols, Y.cols);
    const int64_t a = tall ? X.cols : lode_i_min(n, X.cols);
    const int64_t b = tall ? Y.cols : lode_i_min(n, Y.cols), rows = tall ? all : n;
    const uint64_t sparse = 32 * (uint64_t)((X.kind == LODE_SPARSE ? X.nonzeros : 0) +
                                            (Y.kind == LODE_SPARSE ? Y.nonzeros : 0) + 2 * n);
    const uint64_t slab = UINT64_C(16) * (uint64_t)lode_i_min(n * all, (INT64_C(64) << 20) / 8);
    p->workspace = lode_i_cca_reduce_memory(ctx, n, X.cols, Y.cols, (int)folds) + slab + sparse +
                   12 * lode_i_bytes(LODE_F64, rows + a, a) +
                   12 * lode_i_bytes(LODE_F64, rows + b, b) + 4 * lode_i_bytes(LODE_F64, a, b) +
                   12 * lode_i_bytes(LODE_F64, n + all, k + 1) +
                   2 * lode_i_bytes(LODE_F64, X.cols, Y.cols) +
                   lode_i_bytes(LODE_F64, 16 * (all + k), 2 * k + 4) + (UINT64_C(1) << 20);
    p->output = lode_i_bytes(LODE_F64, 2 * n + 2 * all, k) +
                lode_i_bytes(LODE_F64, X.cols + 2, Y.cols) +
                lode_i_bytes(LODE_F64, 2 * all + n + 2 * (folds + 1) * (k + 1), 1) + 16384;
    p->passes = tall ? 4 : 5;
    p->flops = (double)n * (double)all * (double)lode_i_min(n, all) +
               8 * (double)n * (double)all * (double)k;
    p->seconds = p->flops / fmax(lode_i_gemm_rate(ctx, LODE_F64), 1);
    static const char *const names[] = { "canonical correlations", "SIMPLS", "PLS2", "PLS-SVD" };
    snprintf(p->algorithm, sizeof p->algorithm, "%s of %s", names[o->method],
             tall ? "the reduced tables" : "rows");
    return LODE_OK;
}

/* ---- fit ---- */

static lode_status task_of(lode_ctx *ctx, const lode_cca_opts *o, const lode_i_cca_data *d,
                           int64_t most, lode_i_cca_task *t)
{
    *t = (lode_i_cca_task){ .method = o->method, .most = most };
    const bool tall = lode_i_cca_tall(d->n, d->cols[0], d->cols[1]);
    for (int k = 0; k < 2; k++) {
        t->ridge[k] = o->ridge.count == 0 ? 0 : o->ridge.value[o->ridge.count == 2 ? k : 0];
        t->cols[k] = d->cols[k];
        t->cutoff[k] = 8 * d->epsilon * (double)lode_i_max(lode_i_min(d->cols[k], d->n), 4);
        if (!tall && d->cols[k] > d->n)
            continue;
        LODE_FORWARD(lode_i_vector_new(ctx, LODE_F64, d->cols[k], &t->noise[k]));
        for (int64_t j = 0; j < d->cols[k]; j++) {
            const int64_t at = k ? d->cols[0] + j : j;
            lode_i_set1(&t->noise[k], j,
                        8 * DBL_EPSILON * sqrt(d->mass) *
                            fabs(lode_i_get1(&d->mean, at) * lode_i_get1(&d->factor, at)));
        }
    }
    return LODE_OK;
}

/* By a Gram matrix, unless that costs more than GRAM_ERROR; then by QR. */
static lode_status fit_all(lode_ctx *ctx, const lode_i_cca_data *d, const lode_i_cca_task *t,
                           lode_i_cca_reduced *r, lode_i_cca_fit *f)
{
    const bool covariances = lode_i_broken(ctx, "cca-angles");
    const bool tall = lode_i_cca_tall(d->n, d->cols[0], d->cols[1]);
    bool exact = true;
    lode_i_stage(ctx, "reducing", 0.1, 0.4);
    LODE_FORWARD(lode_i_cca_reduce(ctx, d, tall, r, &exact));
    if (exact || covariances)
        LODE_FORWARD(lode_i_cca_fit_pair(ctx, t, &r->whole, f));
    const double error = f->condition * f->condition * DBL_EPSILON *
                         sqrt((double)(d->cols[0] + d->cols[1]));
    if (!tall || covariances || (exact && error <= GRAM_ERROR))
        return LODE_OK;
    lode_i_stage(ctx, "reducing by QR", 0.4, 0.7);
    LODE_FORWARD(lode_i_cca_reduce(ctx, d, false, r, &exact));
    return lode_i_cca_fit_pair(ctx, t, &r->whole, f);
}

/* Fewer components, of those that a fit has. */
static lode_status cut(lode_ctx *ctx, lode_i_cca_fit *f, int64_t k)
{
    lode_status st = LODE_OK;
    lode_array part = { 0 }, own = { 0 };
    for (int i = 0; i < 2; i++) {
        lode_array_free(&part);
        part = lode_i_cols(&f->W[i], 0, lode_i_min(k, f->W[i].shape[1]));
        LODE_TRY(lode_array_cast(ctx, &part, LODE_F64, &own));
        lode_array_swap(&f->W[i], &own);
    }
done:
    LODE_FREE(&part, &own);
    return st;
}

static lode_status fit_missing(lode_ctx *ctx, const lode_cca_opts *o, lode_value X, lode_value Y,
                               int64_t k, lode_i_cca_data *d, lode_i_cca_model *m,
                               lode_array *values, double *change, int64_t *gaps)
{
    lode_status st = LODE_OK;
    lode_stats stats;
    lode_array given[2] = { { 0 } }, table[2] = { { 0 } };
    const lode_value v[2] = { X, Y };
    const double gap = o->missing.kind == LODE_MISSING_VALUE ? o->missing.value : NAN;
    LODE_REQUIRE(o->rank.count > 0 && !(o->holdout.given && o->holdout.value > 0), LODE_EUSAGE,
                 "cca: values are missing, so that rows cannot be kept back; give --rank");
    for (int i = 0; i < 2; i++) {
        LODE_TRY(lode_i_as_array(ctx, v[i], LODE_F64, &given[i]));
        LODE_TRY(lode_i_masked_from(ctx, &given[i], gap, &table[i]));
        lode_array_free(&given[i]);
        LODE_TRY(lode_i_stats(ctx, &table[i], &stats));
        *gaps += stats.missing;
    }
    lode_i_stage(ctx, "NIPALS over observed values", 0.05, 0.95);
    LODE_TRY(lode_i_cca_nipals(ctx, o, &table[0], &table[1], k, d, m, values, change));
done:
    LODE_FREE(&given[0], &given[1], &table[0], &table[1]);
    return st;
}

/* ---- result ---- */

static lode_certificate certificate(double value)
{
    lode_certificate c = { .kind = LODE_CERT_GAP,
                           .norm = LODE_NORM_FRO,
                           .relative = true,
                           .needs_original = true,
                           .value = value,
                           .absolute = value,
                           .asked = NAN };
    snprintf(c.quantity, sizeof c.quantity, "residual of the weights' equations");
    return c;
}

static void say_how(const lode_i_cca_data *d, const lode_i_cca_task *t, const lode_i_cca_reduced *r,
                    const lode_i_cca_fit *f, lode_certificate *c)
{
    const int64_t ranks = f->rank[0] + f->rank[1];
    const char *how = r->by_gram ? "Gram matrix" : "QR";
    if (t->method == LODE_CCA_CANONICAL && ranks > d->counted - 1 &&
        !(f->ridge[0] + f->ridge[1] > 0))
        snprintf(c->note, sizeof c->note,
                 "ranks %" PRId64 " + %" PRId64 " of %" PRId64
                 " rows: correlations of 1 are there by counting alone; use --ridge",
                 f->rank[0], f->rank[1], d->counted);
    else if (t->method == LODE_CCA_CANONICAL)
        snprintf(c->note, sizeof c->note, "by %s; condition number %.3g", how, f->condition);
    else
        snprintf(c->note, sizeof c->note, "by %s", how);
}

/* Complete tables: all of the work. */
static lode_status fit_complete(lode_ctx *ctx, const lode_cca_opts *o, const lode_plan *p,
                                lode_i_cca_data *d, lode_bundle *b)
{
    lode_status st = LODE_OK;
    lode_i_cca_task t = { .most = p->number[RANK] };
    lode_i_cca_reduced r = { .folds = 0 };
    lode_i_cca_fit f = { .condition = 1 };
    lode_i_cca_held h = { .rank = t.most };
    lode_i_cca_model m = { .residual = { 0 } };
    lode_array p_values = { 0 };
    LODE_TRY(task_of(ctx, o, d, p->number[RANK], &t));
    LODE_TRY(fit_all(ctx, d, &t, &r, &f));
    lode_i_stage(ctx, "rows kept back", 0.7, 0.8);
    if (d->folds > 1)
        LODE_TRY(lode_i_cca_hold(ctx, &t, &r, &h));
    if (h.error.data) /* in the unit of Y, squared */
        LODE_TRY(lode_i_scale(ctx, 1 / d->size[1] / d->size[1], &h.error));
    LODE_TRY(cut(ctx, &f, o->rank.count > 0 ? t.most : h.rank));
    LODE_REQUIRE(f.W[0].shape[1] > 0, LODE_EDOMAIN,
                 "cca: nothing of X goes with anything of Y: a table does not vary");
    if (t.method == LODE_CCA_CANONICAL)
        LODE_TRY(lode_i_cca_p_values(ctx, &f.values, d->counted, f.rank[0], f.rank[1], &p_values));
    lode_i_stage(ctx, "scores", 0.8, 1);
    LODE_TRY(lode_i_cca_measure(ctx, d, &t, &r, &f, &m));
    if (t.method == LODE_CCA_PLS || t.method == LODE_CCA_NIPALS) {
        const int64_t k = f.W[0].shape[1];
        lode_array part = { 0 };
        LODE_TRY(lode_array_slice(ctx, &f.values, 0, 0, k, 1, &part));
        const lode_status one = lode_array_cast(ctx, &part, LODE_F64, &f.values);
        lode_array_free(&part);
        LODE_TRY(one);
    }
    LODE_TRY(lode_i_cca_give_model(ctx, d, &m, &f.values, &p_values, b));
    LODE_TRY(lode_i_cca_give_held(ctx, &h, b));
    LODE_TRY(lode_bundle_add_f64(ctx, b, "condition", f.condition));
    if (t.method == LODE_CCA_CANONICAL) {
        LODE_TRY(lode_bundle_add_i64(ctx, b, "rank_x", f.rank[0]));
        LODE_TRY(lode_bundle_add_i64(ctx, b, "rank_y", f.rank[1]));
    }
    b->certificate = certificate(fmax(m.residual[0], m.residual[1]));
    say_how(d, &t, &r, &f, &b->certificate);
done:
    lode_i_cca_reduced_free(&r);
    lode_i_cca_fit_free(&f);
    lode_i_cca_model_free(&m);
    LODE_FREE(&h.correlation, &h.error, &p_values, &t.noise[0], &t.noise[1]);
    return st;
}

lode_status lode_cca(lode_ctx *ctx, const lode_cca_opts *o, lode_value X, lode_value Y,
                     lode_bundle *model)
{
    lode_status st = LODE_OK;
    lode_plan p = { 0 };
    lode_i_cca_data d = { .folds = 1 };
    lode_i_cca_model m = { .residual = { 0 } };
    lode_array values = { 0 }, none = { 0 };
    lode_bundle local = { 0 };
    double change = 0;
    int64_t gaps = 0;
    LODE_ENTER(&lode_op_cca, o, &p, X, Y);
    LODE_TRY(lode_i_refuse_infinities(ctx, "cca", &o->missing, "score"));
    const bool dense = X.kind != LODE_SPARSE && Y.kind != LODE_SPARSE;
    const bool may_miss = dense && regression(o) && o->missing.kind != LODE_MISSING_NONE;
    LODE_TRY(lode_i_cca_open(ctx, o, X, Y, (int)p.number[FOLDS], &d));
    lode_i_stage(ctx, "means", 0, 0.1);
    lode_status looked = LODE_EDOMAIN;
    if (!may_miss || o->missing.kind != LODE_MISSING_VALUE)
        looked = lode_i_cca_survey(ctx, o, &d);
    if (looked == LODE_EDOMAIN && may_miss) {
        p.workspace += 2 * lode_i_bytes(LODE_F64, d.n, d.cols[0] + d.cols[1]) +
                       lode_i_cca_nipals_memory(d.n, d.cols[0], d.cols[1], p.number[RANK]);
        snprintf(p.algorithm, sizeof p.algorithm, "NIPALS over observed values");
        LODE_TRY(lode_i_refine(ctx, &lode_op_cca, &p));
        LODE_TRY(fit_missing(ctx, o, X, Y, p.number[RANK], &d, &m, &values, &change, &gaps));
        LODE_TRY(lode_i_cca_give_model(ctx, &d, &m, &values, &none, &local));
        LODE_TRY(lode_bundle_add_f64(ctx, &local, "condition", 1));
        LODE_TRY(lode_bundle_add_i64(ctx, &local, "missing", gaps));
        local.certificate = certificate(change);
        snprintf(local.certificate.quantity, sizeof local.certificate.quantity,
                 "change of scores in the last step");
        snprintf(local.certificate.note, sizeof local.certificate.note,
                 "NIPALS over observed values");
    } else {
        if (looked == LODE_EDOMAIN && dense && !regression(o)) {
            char said[256];
            snprintf(said, sizeof said, "%s", lode_message(ctx));
            looked = lode_i_fail(ctx, LODE_EDOMAIN,
                                 "%s; values that are missing go with --method pls or nipals",
                                 said);
        }
        LODE_TRY(looked);
        LODE_TRY(fit_complete(ctx, o, &p, &d, &local));
    }
    LODE_TRY(lode_i_cca_give_request(ctx, o, &local));
    lode_bundle_swap(model, &local);
done:
    lode_i_cca_close(&d);
    lode_i_cca_model_free(&m);
    LODE_FREE(&values, &local);
    LODE_LEAVE();
    return st;
}

static lode_status run(lode_ctx *ctx, const lode_call *c, lode_bundle *result)
{
    return lode_cca(ctx, lode_call_opts(c), c->in[0], c->in[1], result);
}

const lode_op lode_op_cca = {
    .name = "cca",
    .family = "matrix",
    .job = LODE_EXPLAIN,
    .brief = "canonical correlations and partial least squares of two tables",
    .doi =
        "10.1093/biomet/28.3-4.321 10.1090/S0025-5718-1973-0348991-3 10.1016/0169-7439(93)85002-X",
    .example = "lode cca U.npy W.npy --rank 3 -o cca.lode",
    .words = "canonical correlation analysis pls partial least squares regression simpls nipals "
             "multivariate principal angles two views covariance predict coefficients ridge",
    .params = params,
    .opts_size = sizeof(lode_cca_opts),
    .in = in,
    .out = out,
    .certificate = LODE_CERT_GAP,
    .plan = plan,
    .run = run,
    .apply = lode_i_cca_apply,
    .verify = lode_i_cca_verify,
    .plot = lode_i_cca_plot,
};
