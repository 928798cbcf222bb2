/* rank: how many components a matrix has, or each unfolding of a tensor, beyond noise.
 *
 * gavish-donoho     singular values above omega(beta) times their median (or lambda(beta) sqrt(N)
 *                   sigma, the noise given): the cut that loses least, in the worst case, of a
 *                   matrix seen in white noise.
 * parallel          Horn's parallel analysis: the largest value beyond 95 % of those of the data with
 *                   every column in a random order of its own (and random signs, where means are
 *                   not subtracted: they are structure then). Sequential: what passes is taken
 *                   out, the rest is shuffled again, so that strong components do not hide weak
 *                   ones behind their own variance.
 * cross-validation  Owen and Perry's bi-cross-validation: rows and columns fall into parts, the
 *                   block A of one part of each is predicted as B D_k^+ C from what shares no row
 *                   and column with it. Preferred to single entries kept back (Wold): those need a
 *                   completion of the whole matrix for every rank and fold, and their neighbours
 *                   give them away where noise is correlated along rows; a block needs one
 *                   decomposition of D for all ranks. Halves (a quarter of the entries) do about
 *                   best in theory and experiment (Perry 2009; Owen & Wang 2016).
 * mdl, aic          Wax and Kailath's description length of eigenvalues, the longer side being the
 *                   samples.
 * stability         the largest k for which the leading k axes of random halves of the observations
 *                   agree more than half way from chance to sameness, in their least cosine.
 *
 * Missing values are 0 (of the centred data) for cross-validation, whose predictions are divided by
 * the share observed, as in Chatterjee's estimator. As many components as it finds then fill the
 * gaps for the other criteria, which would take the components' own size there for noise: noise is
 * missing at the gaps alone, which leaves its law as it is, less by the share observed. (Filled by
 * components above a threshold on the same data, one of noise brings itself about.) Right where gaps
 * do not depend on values.
 *
 * Intervals: threshold, singular values moved by 1.645 standard errors (jackknife over 64 groups of
 * observations); parallel, down by as much, up to values beyond 5 % of shuffled data; cross-validation, ranks within one standard error of the least score,
 * of which the low end is the one-standard-error rule; mdl and aic, within 3 nats; stability, 5 % and
 * 95 % of the halves. The recommendation is the lower median of all but aic (rank_decide.c).
 *
 * Source: Gavish & Donoho, IEEE Trans. Inf. Theory 60 (2014), doi:10.1109/TIT.2014.2323359; Horn,
 * Psychometrika 30 (1965), doi:10.1007/BF02289447; Vitale et al., Chemometr. Intell. Lab. 164 (2017)
 * (taking out what was found, correction of the edge); Owen & Perry, Ann. Appl. Stat. 3 (2009),
 * doi:10.1214/08-AOAS227; Wax & Kailath, IEEE Trans. ASSP 33 (1985), doi:10.1109/TASSP.1985.1164557;
 * Chatterjee, Ann. Stat. 43 (2015), doi:10.1214/14-AOS1272. Departures: the 95 % quantile is the
 * prediction bound of a normal law from as few as 3 shuffles of a large matrix, whose edge hardly
 * varies; MDL for real data; axes are compared within the leading ones of all data. Claim tested:
 * the threshold's error in a known noise. */
#include <math.h>
#include <string.h>

#include "ops/matrix/rank.h"

static const lode_param params[] = {
    { LODE_PARAM(lode_rank_opts, max_rank), .min = 1, .max = 1e6,
      .help = "candidates; auto: 64, or one less than the shorter side" },
    { LODE_PARAM(lode_rank_opts, methods), .def_text = "all",
      .help = "all, or some of gavish-donoho, parallel, cross-validation, mdl, aic, stability, by "
              "comma" },
    { LODE_PARAM(lode_rank_opts, noise), .min = 0, .max = 1e300,
      .help = "standard deviation of the noise in an entry, for gavish-donoho; auto: from the "
              "median singular value" },
    { LODE_PARAM(lode_rank_opts, center), .def = 0,
      .help = "subtract the column means first, as pca does" },
    { LODE_PARAM(lode_rank_opts, missing), .def_text = "nan", .help = LODE_HELP_MISSING },
    { LODE_PARAM(lode_rank_opts, holdout), .def = 0.25, .min = 0.01, .max = 0.25,
      .help = LODE_HELP_HOLDOUT ": in blocks, of a part of the rows and of the columns" },
    { LODE_PARAM(lode_rank_opts, resamples), .min = 3, .max = 1e3,
      .help = "shuffles and random halves; auto: 20, down to 5 shuffles of a large matrix" },
    { LODE_PARAM(lode_rank_opts, axes), .def_text = "all",
      .help = "of a tensor, the modes whose ranks are asked for" },
    { 0 },
};
static const lode_port in[] = {
    { "X", "...", .kinds = LODE_DENSE, .types = LODE_REAL_NUMBERS,
      .help = "matrix, a row an observation, or tensor" },
    { 0 },
};
static const lode_port out[] = {
    { "rank", "d", .help = "recommended rank of each mode; of a matrix one" },
    { "criteria", "d,6,3",
      .help = "rank, low and high of gavish-donoho, parallel, cross-validation, mdl, aic, "
              "stability; -1: none" },
    { "s", "d,p", .help = "singular values, descending, unit of X" },
    { "s_error", "d,K", .help = "standard errors of the leading values, unit of X" },
    { "threshold", "d", .help = "optimal hard threshold, unit of X" },
    { "noise", "d", .help = "standard deviation of the noise in an entry, unit of X" },
    { "floor", "d", .help = "singular values below this are rounding, unit of X" },
    { "null", "d,K", .help = "what 95 % of shuffled data stay below, unit of X" },
    { "null_mean", "d,K", .help = "what shuffled data reach on the mean, unit of X" },
    { "cv", "d,K1", .help = "mean squared error of held-out entries over that of rank 0, by rank" },
    { "cv_error", "d,K1", .help = "its standard error" },
    { "mdl", "d,K1", .help = "description length, nats, by rank" },
    { "aic", "d,K1", .help = "half of Akaike's criterion, nats, by rank" },
    { "stability", "d,K", .help = "agreement of random halves: 0 chance, 1 the same axes" },
    { "stability_low", "d,K", .help = "its 5 % quantile" },
    { "stability_high", "d,K", .help = "its 95 % quantile" },
    { "sides", "d,2", .help = "rows and columns of the matrix or unfolding" },
    { "axes", "d", .help = "mode of the tensor; of a matrix 0" },
    { "advice", NULL, .kinds = LODE_KIND_BIT(LODE_TEXT), .help = "the recommendation and why" },
    { 0 },
};

LODE_DEFAULTS(rank)

/* ---- the request ---- */

static lode_status read_methods(lode_ctx *ctx, const char *text, rank_wishes *w)
{
    const char *at = text ? text : "all";
    for (bool more = true; more;) {
        const size_t n = strcspn(at, ",");
        bool known = n == 3 && strncmp(at, "all", n) == 0;
        for (int c = 0; c < RANK_CRITERIA && known; c++)
            w->asked[c] = true;
        for (int c = 0; c < RANK_CRITERIA && !known; c++)
            if (strlen(lode_i_rank_names[c]) == n && strncmp(at, lode_i_rank_names[c], n) == 0)
                w->asked[c] = known = true;
        if (!known)
            return lode_i_fail(ctx, LODE_EUSAGE,
                               "rank: no method '%.*s'; there are gavish-donoho, parallel, "
                               "cross-validation, mdl, aic, stability, or all",
                               (int)(n < 40 ? n : 40), at);
        more = at[n] == ',';
        at += n + more;
    }
    return LODE_OK;
}

/* Modes asked about: of a matrix it itself, once. */
static lode_status read_modes(lode_ctx *ctx, const lode_rank_opts *o, int ndim, int *mode,
                              int64_t *count)
{
    *count = 0;
    if (ndim == 2) {
        mode[(*count)++] = 1;
        return o->axes.count < 0
                   ? LODE_OK
                   : lode_i_fail(ctx, LODE_EPARAM,
                                 "rank: option axes is for tensors; a matrix has one rank");
    }
    for (int k = 0; k < ndim && o->axes.count < 0; k++)
        mode[(*count)++] = k;
    for (int i = 0; i < o->axes.count; i++) {
        const int k = o->axes.axis[i] < 0 ? o->axes.axis[i] + ndim : o->axes.axis[i];
        if (k < 0 || k >= ndim)
            return lode_i_fail(ctx, LODE_EPARAM, "rank: option axes names axis %d, X has %d",
                               (int)o->axes.axis[i], ndim);
        for (int64_t j = 0; j < *count; j++)
            if (mode[j] == k)
                return lode_i_fail(ctx, LODE_EPARAM, "rank: option axes names axis %d twice", k);
        mode[(*count)++] = k;
    }
    return *count > 0 ? LODE_OK
                      : lode_i_fail(ctx, LODE_EPARAM, "rank: option axes names no axis of X");
}

/* A tensor's unfolding has the other axes as rows, the mode as columns. */
static void sides_of(int ndim, const int64_t *shape, int mode, int64_t side[2])
{
    side[0] = 1, side[1] = shape[mode];
    for (int k = 0; k < ndim; k++)
        side[0] *= k == mode ? 1 : shape[k];
}

static bool too_short(const int64_t side[2])
{
    return lode_i_min(side[0], side[1]) < RANK_LEAST_SIDE;
}

static rank_wishes wishes_of(const lode_rank_opts *o, int64_t candidates, const int64_t side[2])
{
    rank_wishes w = { .candidates = candidates, .capped = o->max_rank.given };
    const double values = (double)side[0] * (double)side[1];
    const int64_t few = values <= 0x1p20 ? 20 : values <= 0x1p22 ? 12 : values <= 0x1p24 ? 8 : 5;
    w.resamples = o->resamples.given ? o->resamples.value : 20;
    w.shuffles = o->resamples.given ? o->resamples.value : few;
    w.parts = lode_i_max(2, lode_i_min(10, (int64_t)(1 / sqrt(o->holdout) + 0.5)));
    return w;
}

static bool holds(const rank_wishes *w)
{
    return w->asked[RANK_PARALLEL] || w->asked[RANK_VALIDATION];
}

static lode_status check_sides(lode_ctx *ctx, const lode_dense_info *X, const int64_t side[2])
{
    char shape[256];
    lode_i_print_shape(X->ndim, X->shape, shape, sizeof shape);
    if (too_short(side) && (X->ndim == 2 || side[0] < RANK_LEAST_SIDE))
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "rank: X is %s; fewer than %d rows or columns leave nothing to tell "
                           "components from noise",
                           shape, (int)RANK_LEAST_SIDE);
    if (lode_i_min(side[0], side[1]) > RANK_MOST_SIDE)
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "rank: the shorter side of X (%s) is above %d, and the criteria take "
                           "all of its singular values; give a slice, as in X.npy[:,0:%d]",
                           shape, (int)RANK_MOST_SIDE, (int)RANK_MOST_SIDE);
    return LODE_OK;
}

/* Candidates: the cap, or RANK_CANDIDATES, and at most one less than the longest of the shorter
 * sides. */
static lode_status count_candidates(lode_ctx *ctx, const lode_rank_opts *o, int64_t most,
                                    int64_t *candidates)
{
    if (o->max_rank.given && o->max_rank.value > most)
        return lode_i_fail(ctx, LODE_EPARAM,
                           "rank: max_rank %" PRId64 " is above the shorter side, %" PRId64
                           ", of X",
                           o->max_rank.value, most);
    *candidates = lode_i_min(o->max_rank.given ? o->max_rank.value : RANK_CANDIDATES, most - 1);
    *candidates = lode_i_max(*candidates, 1);
    return LODE_OK;
}

/* ---- plan ---- */

typedef struct request {
    lode_dense_info X;
    int mode[LODE_MAX_NDIM];
    int64_t modes, candidates, values;
    rank_wishes w;
} request;

static lode_status read_request(lode_ctx *ctx, const lode_rank_opts *o, const lode_dense_info *X,
                                request *q)
{
    int64_t side[2];
    *q = (request){ .X = *X };
    if (X->ndim < 2)
        return lode_i_fail(ctx, LODE_ESHAPE, "rank: X has %d axes; give a matrix or a tensor",
                           X->ndim);
    if (X->size == 0)
        return lode_i_fail(ctx, LODE_ESHAPE, "rank: X is empty");
    LODE_FORWARD(lode_i_refuse_infinities(ctx, "rank", &o->missing, "component"));
    LODE_FORWARD(read_modes(ctx, o, X->ndim, q->mode, &q->modes));
    for (int64_t i = 0; i < q->modes; i++) {
        sides_of(X->ndim, X->shape, q->mode[i], side);
        LODE_FORWARD(check_sides(ctx, X, side));
        q->values = lode_i_max(q->values, lode_i_min(side[0], side[1]));
    }
    LODE_FORWARD(count_candidates(ctx, o, q->values, &q->candidates));
    sides_of(X->ndim, X->shape, q->mode[0], side);
    q->w = wishes_of(o, q->candidates, side);
    return read_methods(ctx, o->methods, &q->w);
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Leading axes that groups are kept on. */
static int64_t axes_kept(const request *q, int64_t p)
{
    return lode_i_min(p, 2 * lode_i_min(q->candidates, p - 1) + 20);
}

/* Bytes of the shuffles or of the held-out blocks, whichever takes more, beside the matrix. */
static uint64_t need_resampled(const lode_ctx *ctx, const request *q, const int64_t side[2])
{
    const int64_t p = lode_i_min(side[0], side[1]), threads = lode_ctx_threads(ctx);
    const int64_t K = lode_i_min(q->candidates, p), both = side[0] + side[1];
    const uint64_t workers = (uint64_t)(lode_i_rank_small(side[0], side[1])
                                            ? lode_i_min(threads, RANK_BATCH)
                                            : 1);
    const uint64_t mn = lode_i_bytes(LODE_F64, side[0], side[1]);
    const uint64_t pp = lode_i_bytes(LODE_F64, p, p), factors = lode_i_bytes(LODE_F64, 3 * both, K);
    const lode_svds_opts top = { .rank = 1, .block = 64, .max_basis = 512, .op = "rank" };
    lode_array null = { .dtype = LODE_F32, .ndim = 2 };
    memcpy(null.shape, side, 2 * sizeof *side);
    null.strides[0] = side[1], null.strides[1] = 1;
    const uint64_t shuffle = mn / 2 + lode_i_svds_memory(ctx, &top, lode_from_array(&null)) +
                             2 * pp + (uint64_t)threads * lode_i_bytes(LODE_F32, 64, side[0]);
    /* blocks of all entries, a Gram matrix of a part of the shorter side and its vectors */
    const uint64_t fold = mn + 4 * pp + factors + lode_i_bytes(LODE_I64, 2, both);
    const uint64_t parts = lode_i_bytes(LODE_I64, (q->w.shuffles / 4 + 1) * 2, both);
    return workers * larger(shuffle, fold) + parts;
}

/* Bytes of what one matrix takes, beside the matrix where it is held. */
static uint64_t need(const lode_ctx *ctx, const request *q, const int64_t side[2])
{
    const int64_t p = lode_i_min(side[0], side[1]), N = lode_i_max(side[0], side[1]);
    const int64_t block = lode_i_rank_block(side[0], side[1]), threads = lode_ctx_threads(ctx);
    const int64_t L = axes_kept(q, p), reads = lode_i_max(block * p, side[1]);
    const uint64_t pp = lode_i_bytes(LODE_F64, p, p), LL = lode_i_bytes(LODE_F64, L, L);
    const uint64_t groups = (uint64_t)lode_i_min(N, RANK_GROUPS) * LL;
    const uint64_t blocks = 3 * lode_i_bytes(LODE_F64, reads, 1) +
                            lode_i_bytes(LODE_F64, block + 4 * p, L);
    /* the sum, a block's Gram matrix and its parts; LAPACK's copies, twice at once */
    const uint64_t spectrum = 7 * pp + (uint64_t)threads * lode_i_bytes(LODE_F64, 1024, p);
    const uint64_t halves = (uint64_t)lode_i_min(threads, RANK_BATCH) * 16 * LL;
    const uint64_t resampled = holds(&q->w) ? need_resampled(ctx, q, side) : 0;
    return groups + larger(blocks + larger(spectrum, halves), resampled) +
           lode_i_bytes(LODE_F64, 8, p + side[1]) +
           lode_i_bytes(LODE_F64, q->w.resamples + q->w.shuffles, q->candidates + 4) + 262144;
}

/* More than was planned, known once the values are: gaps are filled in memory, and where squares
 * drown the small values a QR of [R; block] follows. */
static lode_status need_more(lode_ctx *ctx, const rank_matrix *A, lode_plan *p)
{
    const int64_t L = A->axes.shape[1], block = A->block + A->p;
    if (A->share < 1) {
        /* held, gaps marked, of held-out blocks too, as many at once as run in parallel; folds may
         * not have been planned for */
        const int64_t workers = lode_i_rank_small(A->m, A->n) ? lode_ctx_threads(ctx) : 1;
        p->workspace += (2 + 3 * (uint64_t)lode_i_min(workers, RANK_BATCH)) *
                            lode_i_bytes(LODE_F64, A->m, A->n) +
                        lode_i_bytes(LODE_F64, 6 * (A->m + A->n), L);
        p->slab = 0;
    }
    if (A->exact)
        p->workspace += 4 * lode_i_bytes(LODE_F64, block, A->p) +
                        10 * lode_i_bytes(LODE_F64, A->p, A->p);
    return A->share < 1 || A->exact ? lode_i_refine(ctx, &lode_op_rank, p) : LODE_OK;
}

static lode_status plan(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    const lode_rank_opts *o = lode_call_opts(c);
    const lode_dense_info X = lode_call_dense(c, 0);
    request q;
    LODE_FORWARD(read_request(ctx, o, &X, &q));
    const uint64_t whole = lode_i_bytes(X.dtype, X.size, 1);
    for (int64_t i = 0; i < q.modes; i++) {
        int64_t side[2];
        sides_of(X.ndim, X.shape, q.mode[i], side);
        const double small = (double)lode_i_min(side[0], side[1]);
        p->workspace = larger(p->workspace, need(ctx, &q, side));
        p->flops += small * (double)X.size * (1 + (holds(&q.w) ? 3 : 0)) + 3 * pow(small, 3);
    }
    if (holds(&q.w))
        p->workspace += whole;
    /* a tensor also as it is and as an unfolding */
    if (X.ndim > 2)
        p->workspace += whole, p->resident = X.kind == LODE_SOURCE ? 2 * whole : whole;
    p->passes = holds(&q.w) ? 2 : 3;
    p->output = lode_i_bytes(LODE_F64, q.modes, q.values + 10 * (q.candidates + 1) + 32) + 8192;
    p->slab = X.kind == LODE_SOURCE && X.ndim == 2 && !holds(&q.w)
                  ? lode_i_rank_block(X.shape[0], X.shape[1])
                  : 0;
    snprintf(p->algorithm, sizeof p->algorithm, "%s",
             holds(&q.w) ? "spectrum, shuffles, held-out blocks" : "spectrum by blocks");
    p->seconds = p->flops / fmax(lode_i_gemm_rate(ctx, X.dtype), 1);
    return LODE_OK;
}

/* ---- run ---- */

void lode_i_rank_free(rank_report *r)
{
    for (int i = 0; i < RANK_ARRAYS; i++)
        lode_array_free(&r->number[i]);
    LODE_FREE(&r->rank, &r->criteria, &r->sides, &r->axes);
}

static lode_status start(lode_ctx *ctx, const request *q, rank_report *r)
{
    lode_status st = LODE_OK;
    const int64_t d = q->modes;
    r->modes = d, r->values = q->values, r->candidates = q->candidates;
    for (int i = 0; i < RANK_ARRAYS; i++) {
        const bool one = i == RANK_TAU || i == RANK_NOISE || i == RANK_FLOOR;
        const bool from_zero = i == RANK_CV || i == RANK_CV_ERROR || i == RANK_MDLS ||
                               i == RANK_AICS;
        const int64_t shape[2] = { d, i == RANK_S ? q->values : q->candidates + from_zero };
        LODE_TRY(lode_array_new(ctx, LODE_F64, one ? 1 : 2, shape, &r->number[i]));
        LODE_TRY(lode_i_fill(ctx, &r->number[i], NAN));
    }
    LODE_TRY(lode_array_zeros(ctx, LODE_I64, 1, &d, &r->rank));
    LODE_TRY(lode_array_zeros(ctx, LODE_I64, 1, &d, &r->axes));
    LODE_TRY(lode_array_zeros(ctx, LODE_I64, 2, (const int64_t[]){ d, 2 }, &r->sides));
    LODE_TRY(
        lode_array_zeros(ctx, LODE_I64, 3, (const int64_t[]){ d, RANK_CRITERIA, 3 }, &r->criteria));
done:
    return st;
}

/* Rows: the other axes in order; columns: the mode. */
static lode_status unfold(lode_ctx *ctx, const lode_array *X, int mode, lode_array *matrix)
{
    lode_status st = LODE_OK;
    lode_array turned = { 0 };
    int axes[LODE_MAX_NDIM], k = 0;
    for (int i = 0; i < X->ndim; i++)
        if (i != mode)
            axes[k++] = i;
    axes[k] = mode;
    LODE_TRY(lode_array_permute(ctx, X, axes, &turned));
    LODE_TRY(lode_array_reshape(ctx, &turned, 2, (const int64_t[]){ -1, X->shape[mode] }, matrix));
done:
    lode_array_free(&turned);
    return st;
}

static void decide(rank_report *r, int64_t mode)
{
    for (int c = 0; c < RANK_CRITERIA; c++) {
        const rank_choice v = lode_i_rank_decide(r, mode, (rank_criterion)c);
        const int64_t numbers[3] = { v.rank, v.low, v.high };
        lode_array row = r->criteria; /* borrowed */
        row.ndim = 1, row.shape[0] = lode_array_size(&r->criteria), row.strides[0] = 1;
        for (int i = 0; i < 3; i++)
            lode_i_set1(&row, (mode * RANK_CRITERIA + c) * 3 + i, (double)numbers[i]);
    }
}

/* Gaps filled by what cross-validation found, and the spectrum again. */
static lode_status fill_gaps(lode_ctx *ctx, const lode_rank_opts *o, const rank_wishes *w,
                             rank_matrix *A, rank_report *r, int64_t mode)
{
    const int64_t rank = lode_i_rank_decide(r, mode, RANK_VALIDATION).rank;
    for (int64_t k = 0; k <= r->candidates && !w->asked[RANK_VALIDATION]; k++) {
        lode_i_rank_set(r, RANK_CV, mode, k, NAN);
        lode_i_rank_set(r, RANK_CV_ERROR, mode, k, NAN);
    }
    if (rank <= 0)
        return LODE_OK;
    LODE_FORWARD(lode_i_rank_fill(ctx, rank, A));
    return lode_i_rank_spectrum(ctx, o, w, A, r, mode);
}

static lode_status one_matrix(lode_ctx *ctx, const lode_rank_opts *o, const rank_wishes *w,
                              const char *name, lode_plan *p, rank_matrix *A, rank_report *r,
                              int64_t mode)
{
    const double from = (double)mode / (double)r->modes, part = 1 / (double)r->modes;
    lode_i_stage(ctx, "survey", from, from + 0.1 * part);
    LODE_FORWARD(lode_i_rank_survey(ctx, o, name, holds(w), A));
    lode_i_stage(ctx, "singular values", from + 0.1 * part, from + 0.35 * part);
    LODE_FORWARD(lode_i_rank_spectrum(ctx, o, w, A, r, mode));
    lode_i_stage(ctx, "held-out blocks", from + 0.35 * part, from + 0.6 * part);
    if (w->asked[RANK_VALIDATION] || A->share < 1)
        LODE_FORWARD(lode_i_rank_validate(ctx, w, A, r, mode));
    if (A->share < 1)
        LODE_FORWARD(fill_gaps(ctx, o, w, A, r, mode));
    LODE_FORWARD(need_more(ctx, A, p));
    lode_i_stage(ctx, "stability", from + 0.6 * part, from + 0.75 * part);
    LODE_FORWARD(lode_i_rank_axes(ctx, A, r, mode));
    if (w->asked[RANK_STABILITY])
        LODE_FORWARD(lode_i_rank_stability(ctx, w, A, r, mode));
    lode_i_stage(ctx, "shuffles", from + 0.75 * part, from + part);
    if (w->asked[RANK_PARALLEL])
        LODE_FORWARD(lode_i_rank_parallel(ctx, w, A, r, mode));
    return LODE_OK;
}

static lode_status fill_bundle(lode_ctx *ctx, rank_report *r, lode_bundle *b)
{
    lode_status st = LODE_OK;
    lode_text advice = { 0 };
    b->certificate = lode_i_rank_certify(r);
    for (int64_t mode = 0; mode < r->modes; mode++) {
        char text[512];
        lode_i_rank_advise(r, mode, text, sizeof text);
        LODE_TRY(lode_i_text_add(ctx, &advice, "%s%s", mode ? "\n" : "", text));
    }
    LODE_TRY(lode_bundle_add_array(ctx, b, "rank", &r->rank));
    LODE_TRY(lode_bundle_add_array(ctx, b, "criteria", &r->criteria));
    for (int i = 0; i < RANK_ARRAYS; i++)
        LODE_TRY(lode_bundle_add_array(ctx, b, lode_i_rank_arrays[i], &r->number[i]));
    LODE_TRY(lode_bundle_add_array(ctx, b, "sides", &r->sides));
    LODE_TRY(lode_bundle_add_array(ctx, b, "axes", &r->axes));
    LODE_TRY(lode_bundle_add_text(ctx, b, "advice", advice.text));
done:
    lode_i_text_free(&advice);
    return st;
}

lode_status lode_ranks(lode_ctx *ctx, const lode_rank_opts *o, lode_value X, lode_bundle *model)
{
    lode_status st = LODE_OK;
    lode_plan p = { 0 };
    request q;
    rank_report r = { 0 };
    rank_matrix A = { 0 };
    lode_array whole = { 0 }, matrix = { 0 };
    lode_bundle local = { 0 };

    LODE_ENTER(&lode_op_rank, o, &p, X);
    const lode_call call = { .op = &lode_op_rank, .in = { X } };
    const lode_dense_info info = lode_call_dense(&call, 0);
    LODE_TRY(read_request(ctx, o, &info, &q));
    LODE_TRY(start(ctx, &q, &r));
    if (info.ndim > 2) {
        LODE_TRY(lode_i_as_array(ctx, X, info.dtype, &whole));
        if (o->missing.kind == LODE_MISSING_NONE)
            LODE_TRY(lode_i_require_finite(ctx, &whole, "X")); /* named by its own index */
    }
    for (int64_t i = 0; i < q.modes; i++) {
        int64_t side[2];
        sides_of(info.ndim, info.shape, q.mode[i], side);
        lode_i_set1(&r.axes, i, info.ndim > 2 ? q.mode[i] : 0);
        lode_i_set2(&r.sides, i, 0, (double)side[0]), lode_i_set2(&r.sides, i, 1, (double)side[1]);
        rank_wishes w = wishes_of(o, q.candidates, side);
        memcpy(w.asked, q.w.asked, sizeof w.asked);
        if (!too_short(side)) {
            lode_value value = X;
            char name[48] = "X";
            if (info.ndim > 2) {
                snprintf(name, sizeof name, "the unfolding of X along axis %d", q.mode[i]);
                LODE_TRY(unfold(ctx, &whole, q.mode[i], &matrix));
                value = lode_from_array(&matrix);
            }
            LODE_TRY(lode_i_as_source(ctx, value, &A.X, &A.owned));
            LODE_TRY(one_matrix(ctx, o, &w, name, &p, &A, &r, i));
            lode_i_rank_matrix_free(&A);
            LODE_FREE(&matrix);
        }
        decide(&r, i);
        const int64_t rank = lode_i_rank_recommend(&r, i);
        lode_i_set1(&r.rank, i, (double)(rank < 0 ? side[1] : rank));
    }
    LODE_TRY(fill_bundle(ctx, &r, &local));
    lode_bundle_swap(model, &local);
done:
    LODE_LEAVE();
    lode_i_rank_matrix_free(&A);
    lode_i_rank_free(&r);
    LODE_FREE(&whole, &matrix, &local);
    return st;
}

static lode_status run(lode_ctx *ctx, const lode_call *c, lode_bundle *result)
{
    return lode_ranks(ctx, lode_call_opts(c), c->in[0], result);
}

const lode_op lode_op_rank = {
    .name = "rank",
    .family = "matrix",
    .job = LODE_DIAGNOSE,
    .brief = "how many components a matrix or tensor has beyond noise",
    .doi = "10.1109/TIT.2014.2323359 10.1007/BF02289447 10.1214/08-AOAS227 "
           "10.1109/TASSP.1985.1164557",
    .example = "lode rank A.npy -o r.lode",
    .words = "number of components factors choose gavish donoho horn parallel analysis "
             "cross-validation mdl aic scree stability dimension noise threshold",
    .params = params,
    .opts_size = sizeof(lode_rank_opts),
    .in = in,
    .out = out,
    .certificate = LODE_CERT_HELDOUT,
    .plan = plan,
    .run = run,
    .verify = lode_i_rank_verify,
    .plot = lode_i_rank_plot,
    .tell = lode_i_rank_tell,
};
