/* Verbs of rank: checking a report, drawing it, telling it in words. */
#include <math.h>
#include <string.h>

#include "ops/matrix/rank.h"

/* ---- reading ---- */

static lode_status take_array(lode_ctx *ctx, const lode_bundle *model, const char *name,
                              lode_dtype dtype, int ndim, const int64_t *shape, lode_array *out)
{
    lode_status st = LODE_OK;
    const lode_array *a = NULL;
    LODE_TRY(lode_bundle_array(ctx, model, name, &a));
    bool fits = a->ndim == ndim && a->dtype == dtype;
    for (int k = 0; fits && k < ndim; k++)
        fits = a->shape[k] == shape[k];
    LODE_REQUIRE(fits, LODE_EFORMAT,
                 "rank: %s of this result does not fit the rest; make the result again", name);
    LODE_TRY(lode_array_cast(ctx, a, dtype, out));
done:
    return st;
}

lode_status lode_i_rank_read(lode_ctx *ctx, const lode_bundle *model, rank_report *r)
{
    lode_status st = LODE_OK;
    const lode_array *rank = NULL, *s = NULL, *null = NULL;
    LODE_TRY(lode_bundle_array(ctx, model, "rank", &rank));
    LODE_TRY(lode_bundle_array(ctx, model, "s", &s));
    LODE_TRY(lode_bundle_array(ctx, model, "null", &null));
    LODE_REQUIRE(rank->ndim == 1 && s->ndim == 2 && null->ndim == 2 && rank->shape[0] > 0 &&
                     null->shape[1] > 0 && s->shape[1] > null->shape[1],
                 LODE_EFORMAT, "rank: the arrays of this result are too short; make it again");
    const int64_t d = r->modes = rank->shape[0], p = r->values = s->shape[1];
    const int64_t K = r->candidates = null->shape[1];
    for (int i = 0; i < RANK_ARRAYS; i++) {
        const bool one = i == RANK_TAU || i == RANK_NOISE || i == RANK_FLOOR;
        const bool from_zero = i == RANK_CV || i == RANK_CV_ERROR || i == RANK_MDLS ||
                               i == RANK_AICS;
        const int64_t shape[2] = { d, i == RANK_S ? p : K + from_zero };
        LODE_TRY(take_array(ctx, model, lode_i_rank_arrays[i], LODE_F64, one ? 1 : 2, shape,
                            &r->number[i]));
    }
    LODE_TRY(take_array(ctx, model, "rank", LODE_I64, 1, &d, &r->rank));
    LODE_TRY(take_array(ctx, model, "axes", LODE_I64, 1, &d, &r->axes));
    LODE_TRY(take_array(ctx, model, "sides", LODE_I64, 2, (const int64_t[]){ d, 2 }, &r->sides));
    LODE_TRY(take_array(ctx, model, "criteria", LODE_I64, 3,
                        (const int64_t[]){ d, RANK_CRITERIA, 3 }, &r->criteria));
done:
    return st;
}

static int64_t side(const rank_report *r, int64_t mode, int which)
{
    return (int64_t)lode_array_get(&r->sides, (const int64_t[]){ mode, which });
}

static int64_t recommended(const rank_report *r, int64_t mode)
{
    return (int64_t)lode_i_get1(&r->rank, mode);
}

/* ---- verify ---- */

static bool near(double a, double b, double size)
{
    return (isnan(a) && isnan(b)) || fabs(a - b) <= 1e-6 * size;
}

/* Description lengths from the singular values again. */
static lode_status check_lengths(lode_ctx *ctx, const rank_report *r, int64_t mode)
{
    lode_status st = LODE_OK;
    double *eigenvalue = NULL;
    const int64_t p = lode_i_min(side(r, mode, 0), side(r, mode, 1));
    const int64_t N = lode_i_max(side(r, mode, 0), side(r, mode, 1));
    const double floor = lode_i_rank_get(r, RANK_FLOOR, mode, 0);
    LODE_REQUIRE(p <= r->values && p > 0, LODE_EVERIFY, "rank: sides do not fit the values");
    LODE_TRY(LODE_NEW(ctx, p, &eigenvalue));
    const double top = lode_i_rank_get(r, RANK_S, mode, 0);
    for (int64_t i = 0; i < p; i++) {
        const double s = lode_i_rank_get(r, RANK_S, mode, i);
        LODE_REQUIRE(s >= 0 && (i == 0 || s <= lode_i_rank_get(r, RANK_S, mode, i - 1)),
                     LODE_EVERIFY, "rank: singular value %" PRId64 " is out of order", i);
        eigenvalue[i] = pow(fmax(s, floor) / top, 2);
    }
    for (int aic = 0; aic < 2; aic++)
        for (int64_t k = 0; k <= lode_i_min(r->candidates, p - 1); k++) {
            const double said = lode_i_rank_get(r, aic ? RANK_AICS : RANK_MDLS, mode, k);
            const double found = lode_i_rank_length(eigenvalue, p, N, k, aic != 0);
            LODE_REQUIRE(isnan(said) || near(said, found, 1 + fabs(found)), LODE_EVERIFY,
                         "rank: %s of rank %" PRId64 " is %g, by the singular values %g",
                         aic ? "aic" : "mdl", k, said, found);
        }
done:
    lode_i_free(eigenvalue);
    return st;
}

static lode_status check_decisions(lode_ctx *ctx, const lode_bundle *model, const rank_report *r)
{
    for (int64_t mode = 0; mode < r->modes; mode++) {
        const bool told = !isnan(lode_i_rank_get(r, RANK_FLOOR, mode, 0));
        if (told)
            LODE_FORWARD(check_lengths(ctx, r, mode));
        for (int c = 0; c < RANK_CRITERIA; c++) {
            const rank_choice a = lode_i_rank_choice(r, mode, (rank_criterion)c);
            const rank_choice b = lode_i_rank_decide(r, mode, (rank_criterion)c);
            if (a.rank != b.rank || a.low != b.low || a.high != b.high)
                return lode_i_fail(ctx, LODE_EVERIFY,
                                   "rank: %s says %" PRId64 " (%" PRId64 "..%" PRId64
                                   "), its numbers say %" PRId64 " (%" PRId64 "..%" PRId64 ")",
                                   lode_i_rank_names[c], a.rank, a.low, a.high, b.rank, b.low,
                                   b.high);
        }
        const int64_t rank = lode_i_rank_recommend(r, mode);
        const int64_t want = rank < 0 ? side(r, mode, 1) : rank;
        if (recommended(r, mode) != want)
            return lode_i_fail(ctx, LODE_EVERIFY,
                               "rank: %" PRId64 " is recommended, the criteria give %" PRId64,
                               recommended(r, mode), want);
    }
    const lode_certificate c = lode_i_rank_certify(r), *said = &model->certificate;
    if (c.kind != said->kind || !near(c.value, said->value, fabs(c.value)) ||
        !near(c.low, said->low, c.high) || !near(c.high, said->high, c.high))
        return lode_i_fail(ctx, LODE_EVERIFY,
                           "rank: the certificate says %g, the held-out errors %g", said->value,
                           c.value);
    return LODE_OK;
}

static lode_status same_numbers(lode_ctx *ctx, const rank_report *a, const rank_report *b)
{
    for (int i = 0; i < RANK_ARRAYS; i++)
        for (int64_t mode = 0; mode < a->modes; mode++) {
            const int64_t n = a->number[i].ndim == 1 ? 1 : a->number[i].shape[1];
            for (int64_t j = 0; j < n; j++) {
                const double x = lode_i_rank_get(a, (rank_array)i, mode, j),
                             y = lode_i_rank_get(b, (rank_array)i, mode, j);
                if (!near(x, y, fmax(fabs(x), fabs(y))))
                    return lode_i_fail(ctx, LODE_EVERIFY,
                                       "rank: %s[%" PRId64 ",%" PRId64
                                       "] is %g, from the original %g",
                                       lode_i_rank_arrays[i], mode, j, x, y);
            }
        }
    return LODE_OK;
}

/* The criteria that the result has, as the option names them. */
static void methods_of(const rank_report *r, char *text, size_t size)
{
    size_t n = 0;
    text[0] = 0;
    for (int c = 0; c < RANK_CRITERIA; c++) {
        bool has = false;
        for (int64_t mode = 0; mode < r->modes; mode++)
            has = has || lode_i_rank_choice(r, mode, (rank_criterion)c).rank >= 0;
        if (has && n < size)
            n += (size_t)snprintf(text + n, size - n, "%s%s", n ? "," : "", lode_i_rank_names[c]);
    }
    if (!n)
        snprintf(text, size, "all");
}

/* The same request of the original gives the same numbers. */
static lode_status again(lode_ctx *ctx, const lode_bundle *model, const rank_report *r,
                         lode_value original)
{
    lode_status st = LODE_OK;
    lode_rank_opts o = lode_rank_defaults();
    lode_bundle redone = { 0 };
    rank_report found = { 0 };
    char methods[128];
    const uint64_t seed = ctx->seed;
    LODE_TRY(lode_i_options_read(ctx, &lode_op_rank, model->meta.options, &o));
    methods_of(r, methods, sizeof methods);
    o.methods = methods;
    ctx->seed = model->meta.seed;
    LODE_TRY(lode_ranks(ctx, &o, original, &redone));
    LODE_TRY(lode_i_rank_read(ctx, &redone, &found));
    LODE_REQUIRE(found.modes == r->modes && found.values == r->values &&
                     found.candidates == r->candidates,
                 LODE_EVERIFY, "rank: the original has another shape than the result is of");
    for (int64_t i = 0; i < r->modes; i++)
        LODE_REQUIRE(side(&found, i, 0) == side(r, i, 0) && side(&found, i, 1) == side(r, i, 1),
                     LODE_EVERIFY, "rank: the original has another shape than the result is of");
    LODE_TRY(same_numbers(ctx, r, &found));
done:
    ctx->seed = seed;
    lode_i_rank_free(&found);
    LODE_FREE(&redone);
    return st;
}

lode_status lode_i_rank_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                               lode_certificate *found)
{
    lode_status st = LODE_OK;
    rank_report r = { 0 };
    LODE_TRY(lode_i_rank_read(ctx, model, &r));
    LODE_TRY(check_decisions(ctx, model, &r));
    *found = model->certificate;
    if (original.kind == LODE_NONE)
        snprintf(found->note, sizeof found->note,
                 "ranks follow from their numbers; give the original to find these again");
    else
        LODE_TRY(again(ctx, model, &r, original));
done:
    lode_i_rank_free(&r);
    return st;
}

/* ---- plot ---- */

/* How many of a mode's first n values there are. */
static int64_t known(const rank_report *r, rank_array which, int64_t mode, int64_t n)
{
    while (n > 0 && isnan(lode_i_rank_get(r, which, mode, n - 1)))
        n--;
    return n;
}

/* The first n values of one of a mode's arrays; a single number as a level. */
static lode_status draw(lode_ctx *ctx, lode_panel *p, const char *label, const rank_report *r,
                        rank_array which, int64_t mode, int64_t n, int from)
{
    lode_status st = LODE_OK;
    lode_array x = { 0 }, y = { 0 };
    const bool level = r->number[which].ndim == 1;
    n = level ? n : known(r, which, mode, n);
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, n, &x));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, n, &y));
    for (int64_t i = 0; i < n; i++) {
        lode_i_set1(&x, i, (double)(from + i));
        lode_i_set1(&y, i, lode_i_rank_get(r, which, mode, level ? 0 : i));
    }
    LODE_TRY(lode_i_panel_line(ctx, p, label, &x, &y));
done:
    LODE_FREE(&x, &y);
    return st;
}

/* A band of one standard error around the held-out errors. */
static lode_status draw_band(lode_ctx *ctx, lode_panel *p, const rank_report *r, int64_t mode,
                             int64_t n)
{
    lode_status st = LODE_OK;
    lode_array x = { 0 }, y = { 0 };
    n = known(r, RANK_CV_ERROR, mode, n);
    for (int sign = -1; sign <= 1; sign += 2) {
        LODE_TRY(lode_i_vector_new(ctx, LODE_F64, n, &x));
        LODE_TRY(lode_i_vector_new(ctx, LODE_F64, n, &y));
        for (int64_t i = 0; i < n; i++) {
            lode_i_set1(&x, i, (double)i);
            lode_i_set1(&y, i,
                        lode_i_rank_get(r, RANK_CV, mode, i) +
                            sign * lode_i_rank_get(r, RANK_CV_ERROR, mode, i));
        }
        LODE_TRY(lode_i_panel_line(
            ctx, p, sign < 0 ? "less one standard error" : "plus one standard error", &x, &y));
        LODE_FREE(&x, &y);
    }
done:
    LODE_FREE(&x, &y);
    return st;
}

/* Upright at the recommended rank. */
static lode_status draw_rank(lode_ctx *ctx, lode_panel *p, int64_t rank, double at, double low,
                             double high)
{
    lode_status st = LODE_OK;
    lode_array x = { 0 }, y = { 0 };
    char label[48];
    snprintf(label, sizeof label, "recommended: %" PRId64, rank);
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, 2, &x));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, 2, &y));
    for (int64_t i = 0; i < 2; i++)
        lode_i_set1(&x, i, at), lode_i_set1(&y, i, i ? high : low);
    LODE_TRY(lode_i_panel_line(ctx, p, label, &x, &y));
done:
    LODE_FREE(&x, &y);
    return st;
}

/* Least and largest of n values; false: none. */
static bool range(const rank_report *r, rank_array which, int64_t mode, int64_t n, double *low,
                  double *high)
{
    *low = INFINITY, *high = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        const double v = lode_i_rank_get(r, which, mode, i);
        *low = fmin(*low, v), *high = fmax(*high, v);
    }
    return *low <= *high;
}

static lode_status draw_mode(lode_ctx *ctx, const rank_report *r, int64_t mode, lode_figure *figure)
{
    lode_panel *p = NULL;
    char title[96], axis[24] = "";
    double low, high;
    const int64_t rank = recommended(r, mode), K = r->candidates;
    const int64_t n = lode_i_min(lode_i_min(side(r, mode, 0), side(r, mode, 1)),
                                 2 * known(r, RANK_S_ERROR, mode, K) + 10);
    if (isnan(lode_i_rank_get(r, RANK_FLOOR, mode, 0)))
        return LODE_OK; /* too short to tell */
    if (r->modes > 1)
        snprintf(axis, sizeof axis, ", axis %d", (int)lode_i_get1(&r->axes, mode));
    snprintf(title, sizeof title, "singular values%s", axis);
    LODE_FORWARD(lode_i_panel(ctx, figure, title, "index", "singular value", &p));
    range(r, RANK_S, mode, n, &low, &high);
    lode_i_panel_log(p, false, high > 0);
    LODE_FORWARD(draw(ctx, p, "of the data", r, RANK_S, mode, n, 1));
    if (range(r, RANK_TAU, mode, 1, &low, &high))
        LODE_FORWARD(draw(ctx, p, "optimal threshold", r, RANK_TAU, mode, n, 1));
    if (range(r, RANK_NULL, mode, K, &low, &high))
        LODE_FORWARD(draw(ctx, p, "95 % of shuffled data", r, RANK_NULL, mode, K, 1));
    range(r, RANK_S, mode, n, &low, &high);
    LODE_FORWARD(draw_rank(ctx, p, rank, (double)rank + 0.5, low, high));
    if (range(r, RANK_CV, mode, K + 1, &low, &high)) {
        snprintf(title, sizeof title, "error of held-out blocks%s", axis);
        LODE_FORWARD(
            lode_i_panel(ctx, figure, title, "rank", "mean square over that of rank 0", &p));
        lode_i_panel_log(p, false, low > 0 && low < 0.1);
        LODE_FORWARD(draw(ctx, p, "mean of the blocks", r, RANK_CV, mode, K + 1, 0));
        LODE_FORWARD(draw_band(ctx, p, r, mode, K + 1));
        LODE_FORWARD(draw_rank(ctx, p, rank, (double)rank, low, high));
    }
    if (range(r, RANK_STABLE, mode, K, &low, &high)) {
        snprintf(title, sizeof title, "stability of leading axes%s", axis);
        LODE_FORWARD(lode_i_panel(ctx, figure, title, "rank", "agreement above chance", &p));
        LODE_FORWARD(draw(ctx, p, "mean of the halves", r, RANK_STABLE, mode, K, 1));
        LODE_FORWARD(draw(ctx, p, "5 %", r, RANK_STABLE_LOW, mode, K, 1));
        LODE_FORWARD(draw(ctx, p, "95 %", r, RANK_STABLE_HIGH, mode, K, 1));
        LODE_FORWARD(draw_rank(ctx, p, rank, (double)rank, 0, 1));
    }
    return LODE_OK;
}

lode_status lode_i_rank_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                             lode_figure *figure)
{
    lode_status st = LODE_OK;
    rank_report r = { 0 };
    char text[512] = "";
    (void)original;
    LODE_TRY(lode_i_rank_read(ctx, model, &r));
    if (r.modes == 1)
        lode_i_rank_advise(&r, 0, text, sizeof text);
    LODE_TRY(lode_figure_caption(ctx, figure, r.modes > 1 ? "Ranks" : "Rank", text));
    for (int64_t mode = 0; mode < r.modes; mode++)
        LODE_TRY(draw_mode(ctx, &r, mode, figure));
done:
    lode_i_rank_free(&r);
    return st;
}

/* ---- tell ---- */

static lode_status tell_words(lode_ctx *ctx, const rank_report *r, lode_text *t)
{
    for (int64_t mode = 0; mode < r->modes; mode++) {
        char text[512];
        lode_i_rank_advise(r, mode, text, sizeof text);
        if (r->modes > 1)
            LODE_FORWARD(
                lode_i_text_add(ctx, t, "axis %-2d     ", (int)lode_i_get1(&r->axes, mode)));
        else
            LODE_FORWARD(lode_i_text_add(ctx, t, "advice      "));
        LODE_FORWARD(lode_i_text_add(ctx, t, "%s\n", text));
        if (isnan(lode_i_rank_get(r, RANK_FLOOR, mode, 0)))
            continue;
        LODE_FORWARD(lode_i_text_add(ctx, t, "  %-18s %5s  %s\n", "criterion", "rank", "interval"));
        for (int c = 0; c < RANK_CRITERIA; c++) {
            const rank_choice v = lode_i_rank_choice(r, mode, (rank_criterion)c);
            if (v.rank < 0)
                continue;
            LODE_FORWARD(
                lode_i_text_add(ctx, t, "  %-18s %5" PRId64 "  %" PRId64 "..%" PRId64 "%s\n",
                                lode_i_rank_names[c], v.rank, v.low, v.high,
                                c == RANK_VALIDATION ? " (low: the one-standard-error rule)"
                                : c == RANK_AIC      ? " (not counted)"
                                                     : ""));
        }
        LODE_FORWARD(lode_i_text_add(ctx, t, "  noise %.4g an entry",
                                     lode_i_rank_get(r, RANK_NOISE, mode, 0)));
        const double tau = lode_i_rank_get(r, RANK_TAU, mode, 0);
        if (!isnan(tau))
            LODE_FORWARD(lode_i_text_add(ctx, t, ", threshold %.6g", tau));
        LODE_FORWARD(lode_i_text_add(ctx, t, "; %" PRId64 " x %" PRId64 "\n", side(r, mode, 0),
                                     side(r, mode, 1)));
    }
    return LODE_OK;
}

#define SET(object, key, value) LODE_FORWARD(lode_i_json_set(ctx, (object), (key), (value)))

static lode_status mode_json(lode_ctx *ctx, const rank_report *r, int64_t mode, lode_json *o)
{
    char text[512];
    lode_i_rank_advise(r, mode, text, sizeof text);
    SET(o, "axis", lode_i_json_i64((int64_t)lode_i_get1(&r->axes, mode)));
    SET(o, "rows", lode_i_json_i64(side(r, mode, 0)));
    SET(o, "columns", lode_i_json_i64(side(r, mode, 1)));
    SET(o, "rank", lode_i_json_i64(recommended(r, mode)));
    SET(o, "advice", lode_i_json_text(text));
    lode_json *criteria = lode_i_json_object();
    SET(o, "criteria", criteria);
    for (int c = 0; c < RANK_CRITERIA; c++) {
        const rank_choice v = lode_i_rank_choice(r, mode, (rank_criterion)c);
        if (v.rank < 0)
            continue;
        lode_json *one = lode_i_json_object();
        SET(criteria, lode_i_rank_names[c], one);
        SET(one, "rank", lode_i_json_i64(v.rank));
        SET(one, "low", lode_i_json_i64(v.low));
        SET(one, "high", lode_i_json_i64(v.high));
    }
    for (int i = 0; i < RANK_ARRAYS; i++) {
        const lode_array *a = &r->number[i];
        if (a->ndim == 1) {
            SET(o, lode_i_rank_arrays[i], lode_i_json_f64(lode_i_get1(a, mode)));
            continue;
        }
        int64_t n = a->shape[1];
        while (n > 0 && isnan(lode_i_get2(a, mode, n - 1)))
            n--;
        lode_json *list = lode_i_json_array();
        SET(o, lode_i_rank_arrays[i], list);
        for (int64_t j = 0; j < n; j++)
            LODE_FORWARD(lode_i_json_push(ctx, list, lode_i_json_f64(lode_i_get2(a, mode, j))));
    }
    return LODE_OK;
}

static lode_status tell_json(lode_ctx *ctx, const rank_report *r, char **text)
{
    lode_status st = LODE_OK;
    lode_json *o = lode_i_json_object(), *modes = lode_i_json_array();
    LODE_TRY(lode_i_json_set(ctx, o, "modes", modes));
    for (int64_t mode = 0; mode < r->modes; mode++) {
        lode_json *one = lode_i_json_object();
        LODE_TRY(lode_i_json_push(ctx, modes, one));
        LODE_TRY(mode_json(ctx, r, mode, one));
    }
    LODE_TRY(lode_i_json_print(ctx, o, 0, text));
done:
    lode_i_json_free(o);
    return st;
}

lode_status lode_i_rank_tell(lode_ctx *ctx, const lode_bundle *model, lode_doc form, char **text)
{
    lode_status st = LODE_OK;
    lode_bundle loaded = { 0 };
    rank_report r = { 0 };
    lode_text t = { 0 };
    LODE_TRY(lode_i_load_members(ctx, model, &loaded));
    LODE_TRY(lode_i_rank_read(ctx, &loaded, &r));
    if (form == LODE_DOC_JSON) {
        LODE_TRY(tell_json(ctx, &r, text));
    } else {
        LODE_TRY(tell_words(ctx, &r, &t));
        *text = t.text, t = (lode_text){ 0 };
    }
done:
    lode_i_text_free(&t);
    lode_i_rank_free(&r);
    LODE_FREE(&loaded);
    return st;
}
