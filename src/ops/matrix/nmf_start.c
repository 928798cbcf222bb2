/* Where nmf starts: leading singular vectors cut to their larger sign (Boutsidis & Gallopoulos 2008,
 * doi:10.1016/j.patcog.2007.09.010), random values, or factors that are given. */
#include <math.h>

#include "ops/matrix/nmf.h"

enum { SOLVE_SWEEPS = 20 };

static double part_norm(const lode_array *A, int64_t c, double sign)
{
    double sum = 0;
    for (int64_t i = 0; i < A->shape[0]; i++) {
        const double v = sign * lode_i_get2(A, i, c);
        sum += v > 0 ? v * v : 0;
    }
    return sqrt(sum);
}

static void put_part(const lode_array *from, int64_t c, double sign, double by, lode_array *to)
{
    for (int64_t i = 0; i < from->shape[0]; i++) {
        const double v = sign * lode_i_get2(from, i, c);
        lode_i_set2(to, i, c, v > 0 ? v * by : 0);
    }
}

/* s u v' ~ s |u+| |v+| (u+ / |u+|) (v+ / |v+|)', or the same of the negative parts where these weigh more. */
static void cut(const lode_array *U, const lode_array *s, const lode_array *V, lode_i_nmf_fit *f)
{
    for (int64_t c = 0; c < U->shape[1]; c++) {
        const double up = part_norm(U, c, 1), vp = part_norm(V, c, 1);
        const double un = part_norm(U, c, -1), vn = part_norm(V, c, -1);
        const double sign = up * vp >= un * vn ? 1 : -1;
        const double u = sign > 0 ? up : un, v = sign > 0 ? vp : vn;
        const double root = sqrt(lode_i_get1(s, c) * u * v);
        put_part(U, c, sign, u > 0 ? root / u : 0, &f->W);
        put_part(V, c, sign, v > 0 ? root / v : 0, &f->H);
    }
}

/* What is 0 stays 0 under multiplication: a little of the mean instead. */
static void lift(double level, lode_array *A)
{
    for (int64_t i = 0; i < A->shape[0]; i++)
        for (int64_t c = 0; c < A->shape[1]; c++)
            if (!(lode_i_get2(A, i, c) > level))
                lode_i_set2(A, i, c, level);
}

static double root_mean_square(const lode_i_nmf_data *d)
{
    return d->count > 0 ? sqrt(d->sumsq / (double)d->count) : 0;
}

static lode_status nndsvd(lode_ctx *ctx, const lode_i_nmf_data *d, int64_t k, bool positive,
                          lode_i_nmf_fit *f)
{
    lode_status st = LODE_OK;
    lode_array U = { 0 }, s = { 0 }, V = { 0 };
    lode_svds_opts o = { .rank = k, .tol = 1e-3, .op = "nmf" };
    lode_i_svds_sizes(&o, d->m, d->n, d->X.kind == LODE_SPARSE);
    LODE_TRY(lode_i_svds(ctx, d->A, &o, &U, &s, &V, NULL));
    cut(&U, &s, &V, f);
    if (positive) {
        const double level = sqrt(root_mean_square(d) / (double)k) / 100;
        lift(level, &f->W);
        lift(level, &f->H);
    }
    st = LODE_OK; /* singular vectors that did not settle are a start all the same */
done:
    LODE_FREE(&U, &s, &V);
    return st;
}

static void draw(lode_stream s, double size, lode_array *A)
{
    for (int64_t i = 0; i < A->shape[0]; i++)
        for (int64_t c = 0; c < A->shape[1]; c++)
            lode_i_set2(A, i, c,
                        size * (0.01 + lode_i_random_uniform(s, (uint64_t)(i * 65536 + c))));
}

static lode_status random_start(lode_ctx *ctx, const lode_i_nmf_data *d, int64_t k, int64_t trial,
                                lode_i_nmf_fit *f)
{
    const double size = sqrt(4 * root_mean_square(d) / (double)k);
    draw(lode_i_stream(ctx, "nmf", 16 + 2 * (uint64_t)trial), size > 0 ? size : 1, &f->W);
    draw(lode_i_stream(ctx, "nmf", 17 + 2 * (uint64_t)trial), size > 0 ? size : 1, &f->H);
    return LODE_OK;
}

static lode_status read_given(lode_ctx *ctx, const lode_array *a, const char *name, int64_t rows,
                              int64_t k, lode_array *out)
{
    lode_stats s;
    if (a->ndim != 2 || a->shape[0] != rows || a->shape[1] != k)
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "nmf: option %s must be %" PRId64 " x %" PRId64 " to start from", name,
                           rows, k);
    LODE_FORWARD(lode_i_stats(ctx, a, &s));
    if (s.min < 0 || s.missing > 0 || s.infinite > 0)
        return lode_i_fail(ctx, LODE_EDOMAIN,
                           "nmf: option %s has a negative value, NaN or infinity; a start is >= 0",
                           name);
    return lode_array_copy_into(ctx, a, out);
}

/* The factor that is not given, from the one that is, where products serve all entries. */
static lode_status solve_other(lode_ctx *ctx, const lode_nmf_opts *o, const lode_i_nmf_data *d,
                               bool codes, lode_i_nmf_fit *f)
{
    lode_status st = LODE_OK;
    lode_array P = { 0 }, G = { 0 };
    const lode_array *known = codes ? &f->H : &f->W;
    lode_array *wanted = codes ? &f->W : &f->H;
    const lode_i_nonneg_rule rule = { .l1 = lode_i_nmf_penalty(&o->l1, !codes),
                                      .ridge = lode_i_nmf_penalty(&o->ridge, !codes),
                                      .sweeps = SOLVE_SWEEPS,
                                      .enough = 1e-3 };
    LODE_TRY(d->A->apply(ctx, d->A, !codes, known, &P));
    LODE_TRY(lode_i_gram(ctx, LODE_T, known, &G));
    LODE_TRY(lode_i_fill(ctx, wanted, 0));
    LODE_TRY(lode_i_nonneg_rows(ctx, &P, &G, &rule, wanted));
done:
    LODE_FREE(&P, &G);
    return st;
}

lode_status lode_i_nmf_start(lode_ctx *ctx, const lode_nmf_opts *o, const lode_i_nmf_data *d,
                             int64_t k, int64_t trial, lode_i_nmf_fit *f)
{
    lode_status st = LODE_OK;
    const bool multiplies = lode_i_nmf_multiplies(o);
    const bool by_svd = o->init == LODE_NMF_NNDSVD ||
                        (o->init == LODE_NMF_START_AUTO && o->restarts == 1 && d->A &&
                         !(o->codes || o->basis));
    LODE_TRY(lode_array_zeros(ctx, d->dtype, 2, (const int64_t[]){ d->m, k }, &f->W));
    LODE_TRY(lode_array_zeros(ctx, d->dtype, 2, (const int64_t[]){ d->n, k }, &f->H));
    if (by_svd)
        LODE_TRY(nndsvd(ctx, d, k, multiplies, f));
    else
        LODE_TRY(random_start(ctx, d, k, trial, f));
    if (o->codes)
        LODE_TRY(read_given(ctx, o->codes, "codes", d->m, k, &f->W));
    if (o->basis)
        LODE_TRY(read_given(ctx, o->basis, "basis", d->n, k, &f->H));
    if (d->A && !multiplies && (o->codes != NULL) != (o->basis != NULL))
        LODE_TRY(solve_other(ctx, o, d, o->codes == NULL, f));
done:
    return st;
}
