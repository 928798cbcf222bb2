/* Extremal eigenpairs of a Hermitian operator: block Krylov iteration with full reorthogonalization and thick
 * restart (krylov.c), where products are cheap in a Chebyshev polynomial of the operator.
 *
 * The polynomial is at most 1 on what is not wanted and grows outside, so that one step does what `degree` steps
 * do and is orthogonalized once. Its interval and degree come from Ritz values: the wanted end should
 * be GAIN = acosh p above the interval; they are chosen again where better Ritz values allow a higher
 * degree, and the next basis begins with random combinations of the leading Ritz vectors. An odd
 * degree keeps what lies beyond the far end of the interval, which is known by an estimate only,
 * from coming first. Whether pairs are right is measured with A itself.
 *
 * Sources: Wu, Simon 2000, doi:10.1137/S0895479898334605 (thick restart); Fang, Saad 2012,
 * doi:10.1137/110836535 (filtered Lanczos); Zhou, Li 2011, doi:10.1016/j.laa.2010.06.034 (bounds of the
 * spectrum from Lanczos). */
#include "linop/eigs.h"

#include <float.h>
#include <math.h>

#include "linop/krylov.h"

enum { DEGREE_LEAST = 4, DEGREE_MOST = 200, FILTERS = 8, CHEAP = 64 };
#define GAIN 5.0   /* acosh of the polynomial at the wanted end of the spectrum */
#define REACH 2.0  /* from there to the interval, in spreads of the wanted values */
#define HIGHER 1.5 /* a degree so many times the last one is worth a new basis */

typedef struct search {
    const lode_linop *A;
    lode_i_eigs_opts o;
    krylov k;
    lode_linop *M; /* what the basis is made with */
    char name[24]; /* of M in a checkpoint */
    int64_t degree, filters;
    double edge,
        half; /* of the filter: where its interval ends on the wanted side; half its length */
    double low, high; /* enclose the spectrum, by estimates from the first basis */
    double norm;      /* of A */
    int64_t products, steps, converged;
    double first,
        asked; /* estimates of the worst residual: the first one, and when it was last measured */
    lode_array values, vectors, residual;
} search;

void lode_i_eigs_sizes(lode_i_eigs_opts *o, int64_t n, int64_t nonzeros)
{
    o->cheap = (double)nonzeros < (double)CHEAP * (double)n;
    if (o->block <= 0)
        o->block = o->cheap ? 4 : 8;
    o->block = lode_i_max(1, lode_i_min(o->block, n));
    if (o->max_basis <= 0)
        o->max_basis = (o->cheap ? 2 : 4) * o->rank + 8 * o->block;
    lode_svds_opts s = { .rank = o->rank, .block = o->block, .max_basis = o->max_basis };
    lode_i_svds_sizes(&s, n, n, true);
    o->max_basis = s.max_basis;
    if (o->max_iter <= 0)
        o->max_iter = 1000;
}

uint64_t lode_i_eigs_memory(const lode_i_eigs_opts *o, int64_t n, lode_dtype dtype)
{
    const lode_dtype wide = lode_i_is_complex(dtype) ? LODE_C128 : LODE_F64;
    const lode_svds_opts s = {
        .rank = o->rank, .block = 2 * o->block, .max_basis = o->max_basis, .fused = true
    };
    /* the iteration, the recurrence of a filter, Ritz vectors with their products, checkpoints of blocks */
    return lode_i_krylov_workspace(&s, n, n, dtype) + 6 * lode_i_bytes(dtype, n, 3 * o->block) +
           6 * lode_i_bytes(dtype, n, o->rank) +
           12 * lode_i_bytes(wide, o->rank + 8, o->max_basis + 8) + (UINT64_C(2) << 20);
}

/* ---- small work ---- */

lode_status lode_i_hermitize(lode_ctx *ctx, lode_array *H)
{
    lode_status st = LODE_OK;
    lode_array copy = { 0 };
    LODE_TRY(lode_array_cast(ctx, H, H->dtype, &copy));
    LODE_TRY(lode_i_conj(ctx, &copy));
    const lode_array mirror = lode_i_transposed(&copy);
    LODE_TRY(lode_i_axpy(ctx, 1, &mirror, H));
    LODE_TRY(lode_i_scale(ctx, 0.5, H));
done:
    LODE_FREE(&copy);
    return st;
}

lode_status lode_i_column_norms(lode_ctx *ctx, const lode_array *A, lode_array *norm)
{
    lode_status st = LODE_OK;
    lode_array turned = { 0 }, column = { 0 }, made = { 0 };
    const lode_array view = lode_i_transposed(A);
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, A->shape[1], &made));
    LODE_TRY(
        lode_array_cast(ctx, &view, A->dtype, &turned)); /* columns as they lie are slow to read */
    for (int64_t j = 0; j < A->shape[1]; j++) {
        double v = 0;
        lode_array_free(&column);
        column = lode_i_rows(&turned, j, j + 1);
        LODE_TRY(lode_i_norm_fro(ctx, &column, &v));
        lode_i_set1(&made, j, v);
    }
    lode_array_swap(norm, &made);
done:
    LODE_FREE(&turned, &column, &made);
    return st;
}

lode_status lode_i_end_order(lode_ctx *ctx, const lode_array *w, lode_i_eigs_end end, double sigma,
                             int64_t k, lode_array *index)
{
    lode_status st = LODE_OK;
    lode_array order = { 0 };
    const int64_t n = w->shape[0];
    int64_t a = 0, b = n - 1; /* of the values not taken */
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, k, &order));
    if (end == LODE_I_AROUND) { /* outwards from sigma */
        b = 0;
        while (b < n && lode_i_get1(w, b) >= sigma)
            b++;
        a = b - 1;
    }
    for (int64_t i = 0; i < k; i++) {
        bool front = end == LODE_I_LARGEST;
        if (end == LODE_I_MAGNITUDE)
            front = fabs(lode_i_get1(w, a)) >= fabs(lode_i_get1(w, b));
        if (end == LODE_I_AROUND) {
            front = b >= n || (a >= 0 && lode_i_get1(w, a) - sigma <= sigma - lode_i_get1(w, b));
            lode_i_set1(&order, i, (double)(front ? a-- : b++));
            continue;
        }
        lode_i_set1(&order, i, (double)(front ? a++ : b--));
    }
    lode_array_swap(index, &order);
done:
    LODE_FREE(&order);
    return st;
}

lode_status lode_i_ritz_pairs(lode_ctx *ctx, lode_i_eigs_end end, lode_array *X, lode_array *AX,
                              lode_array *values, lode_array *residual)
{
    lode_status st = LODE_OK;
    const lode_dtype dtype = X->dtype, wide = lode_i_is_complex(dtype) ? LODE_C128 : LODE_F64;
    const int64_t k = X->shape[1];
    lode_array h = { 0 }, H = { 0 }, w = { 0 }, C = { 0 }, order = { 0 }, y = { 0 }, c = { 0 },
               r = { 0 }, v = { 0 };
    LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, X, AX, &h));
    LODE_TRY(lode_array_cast(ctx, &h, wide, &H));
    LODE_TRY(lode_i_hermitize(ctx, &H));
    LODE_TRY(lode_i_eigh(ctx, &H, k, &w, &C));
    LODE_TRY(lode_i_end_order(ctx, &w, end, 0, k, &order));
    LODE_TRY(lode_i_take(ctx, &C, 1, &order, &y));
    LODE_TRY(lode_array_cast(ctx, &y, dtype, &c));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, k, &v));
    for (int64_t i = 0; i < k; i++)
        lode_i_set1(&v, i, lode_i_get1(&w, (int64_t)lode_i_get1(&order, i)));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, X, &c, &y));
    lode_array_swap(X, &y);
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, AX, &c, &y));
    lode_array_swap(AX, &y);
    LODE_TRY(lode_array_cast(ctx, X, dtype, &r));
    LODE_TRY(lode_i_scale_cols(ctx, &r, &v));
    LODE_TRY(lode_i_scale(ctx, -1, &r));
    LODE_TRY(lode_i_axpy(ctx, 1, AX, &r));
    LODE_TRY(lode_i_column_norms(ctx, &r, residual));
    lode_array_swap(values, &v);
done:
    LODE_FREE(&h, &H, &w, &C, &order, &y, &c, &r, &v);
    return st;
}

/* ---- the operator of a basis ---- */

/* So that what is wanted is largest. */
static double oriented(const search *s, double value)
{
    return s->o.end == LODE_I_SMALLEST    ? -value
           : s->o.end == LODE_I_MAGNITUDE ? fabs(value)
                                          : value;
}

/* The other end. */
static double base(const search *s)
{
    return s->o.end == LODE_I_SMALLEST ? -s->high : s->o.end == LODE_I_MAGNITUDE ? 0 : s->low;
}

static lode_status make_operator(lode_ctx *ctx, search *s)
{
    const bool both = s->o.end == LODE_I_MAGNITUDE, small = s->o.end == LODE_I_SMALLEST;
    lode_linop_free(&s->M);
    if (s->degree > 0) { /* the interval [base, edge] of what is oriented */
        const double from = both ? -s->edge : base(s), centre = (from + s->edge) / 2;
        s->half = (s->edge - from) / 2;
        LODE_FORWARD(lode_i_linop_chebyshev(ctx, s->A, s->degree, small ? -centre : centre,
                                            small ? -s->half : s->half, &s->M));
    } else if (small) {
        LODE_FORWARD(lode_i_linop_times(ctx, s->A, -1, &s->M));
    } else {
        s->M = lode_i_linop_ref(s->A);
    }
    snprintf(s->name, sizeof s->name, "basis %d", (int)s->filters);
    return lode_i_linop_kept(ctx, s->name, &s->M);
}

/* X: what the basis begins with, used up; without data: random directions. */
static lode_status begin(lode_ctx *ctx, search *s, lode_array *X)
{
    lode_status st = LODE_OK;
    krylov *k = &s->k;
    s->products += k->products * (s->degree > 0 ? s->degree : 1);
    lode_i_krylov_free(k);
    LODE_TRY(make_operator(ctx, s));
    *k = (krylov){ .A = s->M,
                   .hermitian = true,
                   .o = { .rank = s->o.rank,
                          .block = s->o.block,
                          .max_basis = s->o.max_basis,
                          .max_iter = s->o.max_iter,
                          .tol = s->o.tol,
                          .op = s->o.op },
                   .limit = s->A->rows,
                   .scale = 1,
                   .stream = lode_i_stream(ctx, s->o.op, (uint64_t)(2 * s->filters + 1)) };
    lode_i_svds_sizes(&k->o, s->A->rows, s->A->rows, s->o.cheap);
    k->cap = k->o.max_basis;
    s->first = s->asked = INFINITY;
    if (X->data)
        LODE_TRY(lode_i_krylov_start_with(ctx, k, X));
    else
        LODE_TRY(lode_i_krylov_start(ctx, k));
done:
    return st;
}

/* Residual that Ritz value i stands for: that of M over the slope of the polynomial there. */
static double estimate(const search *s, int64_t i)
{
    const double theta = lode_i_get1(&s->k.sigma, i), rho = lode_i_get1(&s->k.rho, i);
    if (s->degree == 0)
        return s->o.end == LODE_I_MAGNITUDE ? INFINITY : rho;
    if (!(theta > 1))
        return INFINITY;
    const double d = (double)s->degree, t = acosh(theta) / d;
    const double slope = t > 1e-9 ? d * sinh(d * t) / sinh(t) : d * d;
    return rho * s->half / slope;
}

/* The leading Ritz vectors, what A makes of them, and how far they are right. */
static lode_status measure(lode_ctx *ctx, search *s)
{
    lode_status st = LODE_OK;
    const int64_t k = lode_i_min(s->o.rank, s->k.done);
    lode_array Q = { 0 }, y = { 0 }, narrow = { 0 }, X = { 0 }, AX = { 0 };
    Q = lode_i_krylov_basis(&s->k, &s->k.Q);
    if (s->degree == 0 && s->o.end == LODE_I_MAGNITUDE) {
        lode_array order = { 0 };
        st = lode_i_end_order(ctx, &s->k.sigma, s->o.end, 0, k, &order);
        if (st >= 0)
            st = lode_i_take(ctx, &s->k.Y, 1, &order, &y);
        LODE_FREE(&order);
        LODE_TRY(st);
    } else {
        y = lode_i_cols(&s->k.Y, 0, k);
    }
    LODE_TRY(lode_array_cast(ctx, &y, s->A->dtype, &narrow));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &Q, &narrow, &X));
    LODE_TRY(s->A->apply(ctx, s->A, false, &X, &AX));
    s->products += k;
    LODE_TRY(lode_i_ritz_pairs(ctx, s->o.end, &X, &AX, &s->values, &s->residual));
    for (int64_t i = 0; i < k; i++)
        s->norm = fmax(s->norm, fabs(lode_i_get1(&s->values, i)));
    s->converged = 0;
    for (int64_t i = 0; i < k; i++)
        s->converged += lode_i_get1(&s->residual, i) <= s->o.tol * s->norm;
    lode_array_swap(&s->vectors, &X);
done:
    LODE_FREE(&Q, &y, &narrow, &X, &AX);
    return st;
}

/* ---- filters ---- */

/* Degree and interval by the values measured last; 0: plain steps do as well. */
static int64_t choose(const search *s, double *edge)
{
    const int64_t k = s->values.shape[0];
    const bool both = s->o.end == LODE_I_MAGNITUDE;
    const double top = oriented(s, lode_i_get1(&s->values, 0)),
                 last = oriented(s, lode_i_get1(&s->values, k - 1)), range = top - base(s);
    if (!(range > 0))
        return 0;
    const double least = range * GAIN * GAIN / (4.0 * DEGREE_MOST * DEGREE_MOST);
    double reach = fmax(REACH * (top - last), least);
    const bool wide = reach > 0.4 * range;
    if (both)
        reach = fmin(reach, 0.7 * range);
    else if (wide)
        return 0;
    const double half = both ? top - reach : (range - reach) / 2;
    int64_t degree = (int64_t)(GAIN / sqrt(2 * reach / half));
    *edge = top - reach;
    if (both)
        return !s->o.cheap ? 2 : lode_i_max(2, degree / 2 * 2);
    return !s->o.cheap || degree < DEGREE_LEAST ? 0 : lode_i_min(degree, DEGREE_MOST) | 1;
}

/* A new basis from the old one's leading vectors, where another filter is better. */
static lode_status filter_anew(lode_ctx *ctx, search *s, bool *anew)
{
    lode_status st = LODE_OK;
    double edge = 0;
    const int64_t degree = choose(s, &edge), k = s->values.shape[0];
    const bool inside = s->degree > 0 && oriented(s, lode_i_get1(&s->values, k - 1)) < s->edge;
    const bool higher = (double)degree > HIGHER * (double)s->degree;
    lode_array Q = { 0 }, y = { 0 }, G = { 0 }, mix = { 0 }, narrow = { 0 }, X = { 0 };
    *anew = s->filters < FILTERS && degree > 0 && (higher || inside);
    if (!*anew)
        return LODE_OK;
    const int64_t m = lode_i_min(s->k.done, 2 * s->o.rank + s->o.block);
    Q = lode_i_krylov_basis(&s->k, &s->k.Q), y = lode_i_cols(&s->k.Y, 0, m);
    LODE_TRY(lode_i_randn(ctx, lode_i_stream(ctx, s->o.op, (uint64_t)(2 * s->filters + 2)), y.dtype,
                          m, s->o.block, &G));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &y, &G, &mix));
    LODE_TRY(lode_array_cast(ctx, &mix, s->A->dtype, &narrow));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &Q, &narrow, &X));
    LODE_FREE(&Q, &y);
    /* products of this basis are counted with the degree that they were made with */
    s->products += s->k.products * (s->degree > 0 ? s->degree : 1);
    s->k.products = 0;
    s->degree = degree, s->edge = edge, s->filters++;
    LODE_TRY(begin(ctx, s, &X));
done:
    LODE_FREE(&Q, &y, &G, &mix, &narrow, &X);
    return st;
}

/* The spectrum lies within the Ritz values and their residuals, or nearly so. */
static void enclose(search *s)
{
    const krylov *k = &s->k;
    const int64_t P = k->done;
    const double sign = s->o.end == LODE_I_SMALLEST ? -1 : 1;
    double high = lode_i_get1(&k->sigma, 0) + lode_i_get1(&k->rho, 0),
           low = lode_i_get1(&k->sigma, P - 1) - lode_i_get1(&k->rho, P - 1);
    const double room = 0.01 * (high - low);
    high += room, low -= room;
    s->high = sign > 0 ? high : -low, s->low = sign > 0 ? low : -high;
    s->norm = fmax(fabs(lode_i_get1(&k->sigma, 0)), fabs(lode_i_get1(&k->sigma, P - 1)));
}

/* ---- the iteration ---- */

static double worst(const search *s)
{
    double most = 0;
    for (int64_t i = 0; i < lode_i_min(s->o.rank, s->k.done); i++)
        most = fmax(most, estimate(s, i));
    return s->k.done < s->o.rank ? INFINITY : most;
}

static lode_status tell(lode_ctx *ctx, search *s, double now)
{
    const double target = s->o.tol * s->norm;
    double share = (double)s->steps / (double)s->o.max_iter;
    if (!isfinite(s->first))
        s->first = now;
    if (isfinite(s->first) && s->first > target && target > 0)
        share = fmax(share, log(s->first / fmax(now, target)) / log(s->first / target));
    return lode_i_tick(ctx, (int64_t)(fmin(share, 1) * 1e6), 1000000);
}

/* One step, and what follows from it. */
static lode_status advance(lode_ctx *ctx, search *s, bool *done)
{
    krylov *k = &s->k;
    const int64_t n = s->A->rows, rank = s->o.rank;
    lode_i_nest(ctx);
    const lode_status stepped = lode_i_krylov_step(ctx, k);
    lode_i_unnest(ctx);
    LODE_FORWARD(stepped);
    s->steps++;
    const bool full = k->fresh == 0, turn = k->pending.data != NULL;
    const int64_t first = lode_i_min(k->cap, lode_i_max(2 * rank, 8 * k->o.block));
    const bool look = s->filters == 0 && !isfinite(s->asked) && k->done >= first;
    if (!full && !turn && !look && (!k->coupled || (s->degree == 0 && s->steps % 4)))
        return LODE_OK;
    LODE_FORWARD(lode_i_krylov_solve(ctx, k));
    if (s->filters == 0)
        enclose(s);
    const double now = worst(s), target = s->o.tol * s->norm;
    bool good = now <= target && now <= 0.2 * s->asked;
    if (full || turn || look || good) {
        LODE_FORWARD(measure(ctx, s));
        s->asked = isfinite(now) ? now : s->asked;
        good = s->converged == rank && s->values.shape[0] == rank;
        bool more = false;
        if (good && !full)
            LODE_FORWARD(lode_i_krylov_widen(ctx, k, rank, &more));
        *done = full || (good && !more);
        if (*done)
            return LODE_OK;
        bool anew = false;
        if ((turn || look) && (n > 2 * k->cap || s->o.end == LODE_I_MAGNITUDE))
            LODE_FORWARD(filter_anew(ctx, s, &anew));
        if (look && !isfinite(s->asked))
            s->asked = DBL_MAX; /* looked */
        if (k->pending.data && !anew)
            LODE_FORWARD(lode_i_krylov_restart(ctx, k, rank));
    }
    return tell(ctx, s, now);
}

static void free_search(search *s)
{
    lode_i_krylov_free(&s->k);
    lode_linop_free(&s->M);
    LODE_FREE(&s->values, &s->vectors, &s->residual);
}

lode_status lode_i_eigs(lode_ctx *ctx, const lode_linop *A, const lode_i_eigs_opts *o,
                        lode_array *values, lode_array *vectors, lode_array *residual,
                        lode_i_eigs_info *info)
{
    lode_status st = LODE_OK;
    search s = { .A = A, .o = *o };
    lode_array none = { 0 };
    bool done = false;
    LODE_REQUIRE(A->rows == A->cols && o->rank >= 1 && o->rank <= A->rows, LODE_ESHAPE,
                 "%" PRId64 " eigenvalues of a matrix of %" PRId64 " x %" PRId64, o->rank, A->rows,
                 A->cols);
    lode_i_eigs_sizes(&s.o, A->rows, A->nonzeros);
    s.o.tol = fmax(s.o.tol, 8 * lode_i_epsilon(A->dtype));
    LODE_TRY(begin(ctx, &s, &none));
    while (!done && s.steps < s.o.max_iter)
        LODE_TRY(advance(ctx, &s, &done));
    if (!done) {
        LODE_TRY(lode_i_krylov_solve(ctx, &s.k));
        LODE_TRY(measure(ctx, &s));
    }
    if (s.converged < o->rank || s.values.shape[0] < o->rank)
        st = lode_i_fail(ctx, LODE_NOCONV,
                         "%" PRId64 " of %" PRId64 " eigenpairs reached tolerance %.1e in %" PRId64
                         " block steps; the best are kept: allow more with max_iter, or loosen tol",
                         s.converged, o->rank, s.o.tol, s.steps);
    LODE_TRY(lode_i_canonical_signs(ctx, &s.vectors, NULL));
    if (info)
        *info = (lode_i_eigs_info){ .products = s.products + s.k.products * lode_i_max(s.degree, 1),
                                    .steps = s.steps,
                                    .converged = s.converged,
                                    .degree = s.degree,
                                    .norm = s.norm };
    lode_array_swap(values, &s.values), lode_array_swap(vectors, &s.vectors);
    if (residual)
        lode_array_swap(residual, &s.residual);
done:
    free_search(&s);
    return st;
}
