/* What each criterion says, and what is recommended, from the numbers of a report alone: run and
 * verify decide the same way.
 *
 * The recommendation is the lower median of threshold, parallel, cross-validation, mdl and
 * stability, those that were asked and apply. Each errs in its own direction: the threshold weighs
 * what a component adds to a reconstruction and leaves out weak ones, validation and MDL tend to too
 * few, shuffles of small or heavy-tailed data and thresholds of coloured noise to too many; the
 * middle one is wrong only where three of five are wrong the same way. aic is shown and not counted:
 * it takes in noise with a probability that does not fall with the size of the data. */
#include <math.h>

#include "ops/matrix/rank.h"

const char *const lode_i_rank_names[RANK_CRITERIA] = {
    "gavish-donoho", "parallel", "cross-validation", "mdl", "aic", "stability"
};
const char *const lode_i_rank_arrays[RANK_ARRAYS] = {
    "s",  "s_error",  "threshold", "noise", "floor",     "null",          "null_mean",
    "cv", "cv_error", "mdl",       "aic",   "stability", "stability_low", "stability_high"
};

double lode_i_rank_get(const rank_report *r, rank_array which, int64_t mode, int64_t i)
{
    const lode_array *a = &r->number[which];
    if (a->ndim == 1)
        return lode_i_get1(a, mode);
    return i < a->shape[1] ? lode_i_get2(a, mode, i) : NAN;
}

void lode_i_rank_set(rank_report *r, rank_array which, int64_t mode, int64_t i, double v)
{
    lode_array *a = &r->number[which];
    if (a->ndim == 1)
        lode_i_set1(a, mode, v);
    else if (i < a->shape[1])
        lode_i_set2(a, mode, i, v);
}

rank_choice lode_i_rank_choice(const rank_report *r, int64_t mode, rank_criterion c)
{
    int64_t at[3] = { mode, c, 0 }, v[3];
    for (; at[2] < 3; at[2]++)
        v[at[2]] = (int64_t)lode_array_get(&r->criteria, at);
    return (rank_choice){ v[0], v[1], v[2] };
}

/* Leading values above their bounds, each moved by so many of its standard errors. (Those of values
 * in the noise are too large, the jackknife does not hold at its edge: nothing is moved up to a bound
 * that lies there.) */
static int64_t leading(const rank_report *r, int64_t mode, rank_array bound, double errors)
{
    const double floor = lode_i_rank_get(r, RANK_FLOOR, mode, 0);
    int64_t k = 0;
    for (; k < r->candidates; k++) {
        const double s = lode_i_rank_get(r, RANK_S, mode, k);
        const double error = lode_i_rank_get(r, RANK_S_ERROR, mode, k);
        const double least = lode_i_rank_get(r, bound, mode, k);
        const double moved = isnan(error) ? s : s + errors * error;
        if (!(s > floor && moved > least))
            break;
    }
    return k;
}

static rank_choice by_threshold(const rank_report *r, int64_t mode)
{
    if (isnan(lode_i_rank_get(r, RANK_TAU, mode, 0)))
        return (rank_choice){ -1, -1, -1 };
    return (rank_choice){ leading(r, mode, RANK_TAU, 0), leading(r, mode, RANK_TAU, -1.645),
                          leading(r, mode, RANK_TAU, 1.645) };
}

/* High: values beyond 5 % of shuffled data, as far below their mean as the bound is above it. */
static rank_choice by_shuffles(const rank_report *r, int64_t mode)
{
    rank_choice c = { -1, -1, -1 };
    if (isnan(lode_i_rank_get(r, RANK_NULL, mode, 0)))
        return c;
    c.rank = c.high = leading(r, mode, RANK_NULL, 0);
    c.low = leading(r, mode, RANK_NULL, -1.645);
    for (; c.high < r->candidates; c.high++) {
        const double s = lode_i_rank_get(r, RANK_S, mode, c.high);
        const double low = 2 * lode_i_rank_get(r, RANK_NULL_MEAN, mode, c.high) -
                           lode_i_rank_get(r, RANK_NULL, mode, c.high);
        if (!(s > low && s > lode_i_rank_get(r, RANK_FLOOR, mode, 0)))
            break;
    }
    return c;
}

/* The rank of the least score, and those around it within `slack`. */
static rank_choice by_least(const rank_report *r, int64_t mode, rank_array score, double slack)
{
    rank_choice c = { -1, -1, -1 };
    double best = INFINITY;
    for (int64_t k = 0; k <= r->candidates; k++)
        if (lode_i_rank_get(r, score, mode, k) < best)
            best = lode_i_rank_get(r, score, mode, k), c.rank = k;
    if (c.rank < 0)
        return c;
    if (score == RANK_CV)
        slack = lode_i_rank_get(r, RANK_CV_ERROR, mode, c.rank);
    c.low = c.high = c.rank;
    for (int64_t k = c.rank - 1; k >= 0 && lode_i_rank_get(r, score, mode, k) <= best + slack; k--)
        c.low = k;
    while (c.high < r->candidates && lode_i_rank_get(r, score, mode, c.high + 1) <= best + slack)
        c.high++;
    return c;
}

/* The largest rank whose axes agree at least half way from chance to sameness. */
static int64_t stable(const rank_report *r, int64_t mode, rank_array which)
{
    int64_t most = 0;
    for (int64_t k = 1; k <= r->candidates; k++)
        if (lode_i_rank_get(r, which, mode, k - 1) >= 0.5)
            most = k;
    return most;
}

rank_choice lode_i_rank_decide(const rank_report *r, int64_t mode, rank_criterion c)
{
    const rank_choice none = { -1, -1, -1 };
    switch (c) {
    case RANK_THRESHOLD: return by_threshold(r, mode);
    case RANK_PARALLEL: return by_shuffles(r, mode);
    case RANK_VALIDATION: return by_least(r, mode, RANK_CV, 0);
    case RANK_MDL: return by_least(r, mode, RANK_MDLS, 3); /* e^-3: a twentieth of the weight */
    case RANK_AIC: return by_least(r, mode, RANK_AICS, 3);
    case RANK_STABILITY:
        if (isnan(lode_i_rank_get(r, RANK_STABLE, mode, 0)))
            return none;
        return (rank_choice){ stable(r, mode, RANK_STABLE), stable(r, mode, RANK_STABLE_LOW),
                              stable(r, mode, RANK_STABLE_HIGH) };
    case RANK_CRITERIA: break;
    }
    return none;
}

int64_t lode_i_rank_recommend(const rank_report *r, int64_t mode)
{
    int64_t sorted[RANK_CRITERIA] = { 0 }, count = 0;
    for (int c = 0; c < RANK_CRITERIA; c++) {
        const int64_t k = lode_i_rank_choice(r, mode, (rank_criterion)c).rank;
        if (k < 0 || c == RANK_AIC)
            continue;
        int64_t j = count++;
        for (; j > 0 && sorted[j - 1] > k; j--)
            sorted[j] = sorted[j - 1];
        sorted[j] = k;
    }
    if (count == 0) /* aic alone, or nothing */
        return lode_i_rank_choice(r, mode, RANK_AIC).rank;
    return sorted[(count - 1) / 2];
}

/* Components of the recommended ones that halves do not tell apart, though they agree on more of them
 * together: their values are too near. Returns how many are from `first` on; 0: all are told apart. */
static int64_t mixed(const rank_report *r, int64_t mode, int64_t rank, int64_t *first)
{
    for (int64_t k = 1; k < rank; k++) {
        int64_t next = k;
        while (next < rank && lode_i_rank_get(r, RANK_STABLE, mode, next - 1) < 0.5)
            next++;
        if (next > k && lode_i_rank_get(r, RANK_STABLE, mode, next - 1) >= 0.5) {
            *first = k;
            return next - k + 1;
        }
        k = next;
    }
    return 0;
}

static size_t add_words(char *text, size_t size, size_t n, const char *words)
{
    return n < size ? n + (size_t)snprintf(text + n, size - n, "%s", words) : n;
}

void lode_i_rank_advise(const rank_report *r, int64_t mode, char *text, size_t size)
{
    const int64_t rank = lode_i_rank_recommend(r, mode);
    int64_t asked = 0, same = 0, within = 0;
    char part[128];
    for (int c = 0; c < RANK_CRITERIA; c++) {
        const rank_choice v = lode_i_rank_choice(r, mode, (rank_criterion)c);
        if (v.rank < 0 || c == RANK_AIC)
            continue;
        asked++, same += v.rank == rank;
        within += v.rank != rank && v.low <= rank && rank <= v.high;
    }
    if (rank < 0) {
        snprintf(text, size, "too short to tell: fewer than %d indices, keep them all",
                 (int)RANK_LEAST_SIDE);
        return;
    }
    size_t n = (size_t)snprintf(text, size, "rank %" PRId64 "%s", rank,
                                rank == 0 ? ", indistinguishable from noise" : "");
    if (asked <= 1)
        n = add_words(text, size, n, ", by the one criterion that counts");
    else if (same == asked)
        n = add_words(text, size, n, ": all criteria agree");
    else {
        snprintf(part, sizeof part, ", the middle of %" PRId64 " criteria: %" PRId64 " say so",
                 asked, same);
        n = add_words(text, size, n, part);
        if (within > 0) {
            snprintf(part, sizeof part, ", %" PRId64 " %s it within their interval", within,
                     within > 1 ? "have" : "has");
            n = add_words(text, size, n, part);
        }
        for (int c = 0, first = 1; c < RANK_CRITERIA; c++) {
            const rank_choice v = lode_i_rank_choice(r, mode, (rank_criterion)c);
            if (v.rank < 0 || c == RANK_AIC || (v.low <= rank && rank <= v.high))
                continue;
            snprintf(part, sizeof part, "%s%s says %" PRId64, first ? "; " : ", ",
                     lode_i_rank_names[c], v.rank);
            n = add_words(text, size, n, part);
            first = 0;
        }
    }
    int64_t first = 0;
    const int64_t near = mixed(r, mode, rank, &first);
    if (near > 0) {
        snprintf(part, sizeof part,
                 "; components %" PRId64 " to %" PRId64 " are too near to be told apart", first,
                 first + near - 1);
        n = add_words(text, size, n, part);
    }
    const int64_t p = lode_i_min((int64_t)lode_array_get(&r->sides, (const int64_t[]){ mode, 0 }),
                                 (int64_t)lode_array_get(&r->sides, (const int64_t[]){ mode, 1 }));
    if (rank > 0 && rank == r->candidates && rank < p - 1)
        add_words(text, size, n, "; the cap is reached, raise --max-rank");
}

lode_certificate lode_i_rank_certify(const rank_report *r)
{
    lode_certificate c = { .kind = LODE_CERT_HELDOUT,
                           .norm = LODE_NORM_FRO,
                           .relative = true,
                           .needs_original = true,
                           .asked = NAN,
                           .value = -1 };
    snprintf(c.quantity, sizeof c.quantity, "||X - X_r|| over held-out entries, r recommended");
    for (int64_t mode = 0; mode < r->modes; mode++) {
        const int64_t rank = lode_i_rank_recommend(r, mode);
        const double mean = rank < 0 ? NAN : lode_i_rank_get(r, RANK_CV, mode, rank);
        const double error = rank < 0 ? NAN : lode_i_rank_get(r, RANK_CV_ERROR, mode, rank);
        if (!(sqrt(mean) > c.value))
            continue;
        c.value = sqrt(mean);
        c.low = sqrt(fmax(mean - 1.96 * error, 0)), c.high = sqrt(mean + 1.96 * error);
    }
    if (c.value < 0)
        return (lode_certificate){ .kind = LODE_CERT_NONE,
                                   .asked = NAN,
                                   .note = "cross-validation was not asked for, or has no value at "
                                           "this rank" };
    if (r->modes > 1)
        snprintf(c.note, sizeof c.note, "the largest of the modes");
    return c;
}
