/* Local bases from inner products. Squares drown what lies below the root of rounding, so that a basis takes
 * from a Gram matrix only directions well above it; what they leave of the snapshots is formed, and where
 * more is wanted its own Gram matrix gives the next ones: to rounding, without a factorization of the
 * snapshots. What is left at the end is measured on the values, by the bases as they are stored. */
#include <math.h>

#include "ops/dynamics/pod.h"

enum { STAGES = 5 };
static const double fall = 1e-10; /* of squares: what one Gram matrix is trusted for */

typedef struct cluster {
    lode_array members; /* i64 */
    double energy;      /* squares of its snapshots */
    double floor;       /* what is left below it is rounding */
    double allowed;     /* what may be left; < 0: not asked */
    int64_t have;       /* columns of its basis */
    bool done, enough;  /* nothing is to come; as far as squares tell, what is there is enough */
    lode_array V, root; /* directions of this stage, and roots of their squares */
} cluster;

typedef struct work {
    lode_i_snapshots *s;
    const lode_i_pod_wish *wish;
    cluster *c;
    int64_t k;
} work;

static lode_status gather(lode_ctx *ctx, const lode_array *G, const lode_array *members,
                          lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array rows = { 0 };
    LODE_TRY(lode_i_take(ctx, G, 0, members, &rows));
    LODE_TRY(lode_i_take(ctx, &rows, 1, members, out));
done:
    lode_array_free(&rows);
    return st;
}

static lode_status set_up(lode_ctx *ctx, const lode_array *G, const lode_array *labels, work *w)
{
    lode_status st = LODE_OK;
    void *clusters = NULL;
    const int64_t n = G->shape[0];
    const double eps = lode_i_epsilon(w->s->dtype);
    LODE_TRY(lode_i_calloc(ctx, (size_t)w->k * sizeof *w->c, &clusters));
    w->c = clusters;
    for (int64_t c = 0; c < w->k; c++) {
        cluster *const own = &w->c[c];
        int64_t size = 0;
        for (int64_t i = 0; i < n; i++)
            size += (int64_t)lode_i_get1(labels, i) == c;
        LODE_TRY(lode_i_vector_new(ctx, LODE_I64, size, &own->members));
        for (int64_t i = 0, at = 0; i < n; i++)
            if ((int64_t)lode_i_get1(labels, i) == c) {
                lode_i_set1(&own->members, at++, (double)i);
                own->energy += fmax(lode_i_get2(G, i, i), 0);
            }
        own->floor = 1024 * eps * eps * own->energy;
        own->allowed = w->wish->relative > 0 ? w->wish->relative * w->wish->relative * own->energy
                                             : -1;
    }
done:
    return st;
}

static void free_work(work *w)
{
    for (int64_t c = 0; w->c && c < w->k; c++)
        LODE_FREE(&w->c[c].members, &w->c[c].V, &w->c[c].root);
    lode_i_free(w->c);
}

/* Directions that a cluster takes from the squares of what is left of it. */
static lode_status choose(lode_ctx *ctx, const work *w, cluster *c, const lode_array *G)
{
    lode_status st = LODE_OK;
    lode_array part = { 0 }, lambda = { 0 }, V = { 0 }, some = { 0 };
    const int64_t size = c->members.shape[0];
    const int64_t most = lode_i_min(w->wish->rank, lode_i_min(size, w->s->length));
    int64_t take = 0;
    double left = 0;
    LODE_FREE(&c->V, &c->root);
    if (!c->done) {
        LODE_TRY(gather(ctx, G, &c->members, &part));
        LODE_TRY(lode_i_eigh(ctx, &part, size, &lambda, &V));
        for (int64_t j = 0; j < size; j++)
            left += fmax(lode_i_get1(&lambda, j), 0);
        const double top = size > 0 ? lode_i_get1(&lambda, 0) : 0;
        while (c->have + take < most && !(left <= c->allowed) && left > c->floor) {
            const double v = lode_i_get1(&lambda, take);
            if (!(v > fall * top))
                break;
            left -= v, take++;
        }
    }
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, take, &c->root));
    for (int64_t j = 0; j < take; j++)
        lode_i_set1(&c->root, j, sqrt(lode_i_get1(&lambda, j)));
    if (take > 0) {
        some = lode_i_cols(&V, 0, take);
        LODE_TRY(lode_array_cast(ctx, &some, V.dtype, &c->V));
    }
    LODE_REQUIRE(c->done || size == 0 ||
                     lode_i_get1(&lambda, size - 1) >= -1e-8 * lode_i_get1(&lambda, 0),
                 LODE_EDOMAIN,
                 "pod: M is not positive definite: inner products of snapshots have the eigenvalue "
                 "%.3g, and the largest is %.3g",
                 lode_i_get1(&lambda, size - 1), lode_i_get1(&lambda, 0));
    c->have += take;
    c->enough = left <= c->floor || (left <= c->allowed && c->allowed > fall * c->energy);
    c->done = c->done || take == 0 || c->have == most;
done:
    LODE_FREE(&part, &lambda, &V, &some);
    return st;
}

/* Puts the values of a cluster's V, columns scaled by their roots to the power given, into columns of W. */
static lode_status scatter(lode_ctx *ctx, const cluster *c, double power, bool conj, int64_t column,
                           lode_array *W)
{
    lode_status st = LODE_OK;
    lode_array own = { 0 }, d = { 0 }, from = { 0 }, to = { 0 }, row = { 0 };
    const int64_t take = c->root.shape[0];
    if (take == 0)
        return LODE_OK;
    LODE_TRY(lode_array_cast(ctx, &c->V, c->V.dtype, &own));
    LODE_TRY(lode_array_cast(ctx, &c->root, LODE_F64, &d));
    for (int64_t j = 0; j < take; j++)
        lode_i_set1(&d, j, pow(lode_i_get1(&d, j), power));
    LODE_TRY(lode_i_scale_cols(ctx, &own, &d));
    if (conj)
        LODE_TRY(lode_i_conj(ctx, &own));
    for (int64_t i = 0; i < c->members.shape[0]; i++) {
        const int64_t at = (int64_t)lode_i_get1(&c->members, i);
        LODE_FREE(&from, &to, &row);
        from = lode_i_rows(&own, i, i + 1);
        row = lode_i_rows(W, at, at + 1);
        to = lode_i_cols(&row, column, column + take);
        LODE_TRY(lode_array_copy_into(ctx, &from, &to));
    }
done:
    LODE_FREE(&own, &d, &from, &to, &row);
    return st;
}

/* to[:, at:] = from, or the other way for columns of a cluster. */
static lode_status put_columns(lode_ctx *ctx, const lode_array *from, int64_t at, lode_array *to)
{
    lode_array view = lode_i_cols(to, at, at + from->shape[1]);
    const lode_status st = lode_array_copy_into(ctx, from, &view);
    lode_array_free(&view);
    return st;
}

/* A[:, at:] = A[:, at:] T in place for the columns of one basis. */
static lode_status turn(lode_ctx *ctx, lode_array *A, int64_t at, const lode_array *T)
{
    lode_status st = LODE_OK;
    lode_array view = lode_i_cols(A, at, at + T->shape[0]), y = { 0 };
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &view, T, &y));
    LODE_TRY(lode_array_copy_into(ctx, &y, &view));
done:
    LODE_FREE(&view, &y);
    return st;
}

/* Phi = Phi L^-H, C = C conj(L) for each basis, L L^H = Phi^H M Phi, twice: orthonormal to rounding, as columns
 * are nearly so from the start. */
static lode_status orthonormalize(lode_ctx *ctx, const work *w, lode_i_pod_fit *f)
{
    lode_status st = LODE_OK;
    lode_array S = { 0 }, rows = { 0 }, part = { 0 }, own = { 0 }, L = { 0 }, eye = { 0 },
               T = { 0 }, turned = { 0 };
    for (int round = 0; round < 3; round++) {
        double worst = 0;
        LODE_FREE(&S);
        LODE_TRY(lode_i_snapshots_metric(ctx, w->s, &f->Phi, &S));
        for (int64_t c = 0; c < w->k; c++) {
            const int64_t at = f->offset[c], r = f->offset[c + 1] - at;
            double off = 0;
            LODE_FREE(&rows, &part, &own, &L, &eye, &T);
            if (r == 0)
                continue;
            rows = lode_i_rows(&S, at, at + r);
            part = lode_i_cols(&rows, at, at + r);
            LODE_TRY(lode_array_cast(ctx, &part, w->s->wide, &own));
            LODE_TRY(lode_i_eye(ctx, w->s->wide, r, &eye));
            LODE_TRY(lode_i_diff_fro(ctx, &own, &eye, &off));
            worst = fmax(worst, off / sqrt((double)r));
            if (off <= 8 * 0x1p-52 * (double)r)
                continue;
            LODE_TRY(lode_i_cholesky(ctx, &own, &L, NULL));
            LODE_TRY(lode_i_solve_lower(ctx, LODE_N, &L, &eye, &T)); /* L^-1 */
            turned = lode_i_transposed(&T);
            lode_array_free(&own);
            LODE_TRY(lode_array_cast(ctx, &turned, w->s->wide, &own));
            LODE_TRY(lode_i_conj(ctx, &own));
            LODE_TRY(turn(ctx, &f->Phi, at, &own));
            LODE_TRY(lode_i_conj(ctx, &L));
            LODE_TRY(turn(ctx, &f->C, at, &L));
        }
        if (worst <= 1e-9) /* squares: the last round has made it rounding */
            break;
    }
done:
    LODE_FREE(&S, &rows, &part, &own, &L, &eye, &T);
    return st;
}

/* Each basis turned so that the squares of its coefficients are those of a singular value decomposition:
 * C_c = P diag(s) Q^H, Phi_c conj(Q); rounded to the type of X. */
static lode_status canonical(lode_ctx *ctx, const work *w, lode_i_pod_fit *f)
{
    lode_status st = LODE_OK;
    lode_array rows = { 0 }, own = { 0 }, s = { 0 }, Q = { 0 }, y = { 0 };
    LODE_FREE(&f->s);
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, f->C.shape[1], &f->s));
    for (int64_t c = 0; c < w->k; c++) {
        const int64_t at = f->offset[c], r = f->offset[c + 1] - at;
        LODE_FREE(&rows, &own, &s, &Q);
        if (r == 0)
            continue;
        LODE_TRY(lode_i_take(ctx, &f->C, 0, &w->c[c].members, &rows));
        own = lode_i_cols(&rows, at, at + r);
        LODE_TRY(lode_i_svd(ctx, &own, r, NULL, &s, &Q));
        LODE_TRY(turn(ctx, &f->C, at, &Q));
        LODE_TRY(lode_i_conj(ctx, &Q));
        LODE_TRY(turn(ctx, &f->Phi, at, &Q));
        for (int64_t j = 0; j < r; j++)
            lode_i_set1(&f->s, at + j, lode_i_get1(&s, j));
    }
    LODE_TRY(lode_i_conj(ctx, &f->C));
    LODE_TRY(lode_i_canonical_signs(ctx, &f->Phi, &f->C));
    LODE_TRY(lode_i_conj(ctx, &f->C));
    if (w->s->dtype != w->s->wide) {
        lode_array *const both[] = { &f->Phi, &f->C };
        for (int i = 0; i < 2; i++) {
            LODE_TRY(lode_array_cast(ctx, both[i], w->s->dtype, &y));
            LODE_FREE(both[i]);
            LODE_TRY(lode_array_cast(ctx, &y, w->s->wide, both[i]));
            LODE_FREE(&y);
        }
    }
done:
    LODE_FREE(&rows, &own, &s, &Q, &y);
    return st;
}

/* Only a snapshot's own basis has coefficients. */
static lode_status mask(lode_ctx *ctx, const work *w, lode_i_pod_fit *f)
{
    lode_status st = LODE_OK;
    lode_array kept = { 0 }, from = { 0 }, to = { 0 }, row = { 0 };
    LODE_TRY(lode_array_zeros(ctx, f->C.dtype, 2, f->C.shape, &kept));
    for (int64_t c = 0; c < w->k; c++)
        for (int64_t i = 0; i < w->c[c].members.shape[0]; i++) {
            const int64_t at = (int64_t)lode_i_get1(&w->c[c].members, i);
            LODE_FREE(&from, &to, &row);
            row = lode_i_rows(&f->C, at, at + 1);
            from = lode_i_cols(&row, f->offset[c], f->offset[c + 1]);
            lode_array_free(&row);
            row = lode_i_rows(&kept, at, at + 1);
            to = lode_i_cols(&row, f->offset[c], f->offset[c + 1]);
            LODE_TRY(lode_array_copy_into(ctx, &from, &to));
        }
    lode_array_swap(&f->C, &kept);
done:
    LODE_FREE(&kept, &from, &to, &row);
    return st;
}

/* Columns of a stage beside those before, basis by basis. */
static lode_status extend(lode_ctx *ctx, const work *w, const int64_t *before, lode_i_pod_fit *f)
{
    lode_status st = LODE_OK;
    lode_array W = { 0 }, more = { 0 }, Phi = { 0 }, C = { 0 }, view = { 0 };
    int64_t fresh = 0, at = 0;
    const int64_t all = f->offset[w->k], count = w->s->count;
    for (int64_t c = 0; c < w->k; c++)
        fresh += w->c[c].root.shape[0];
    LODE_TRY(lode_array_zeros(ctx, w->s->wide, 2, (const int64_t[]){ count, fresh }, &W));
    for (int64_t c = 0; c < w->k; at += w->c[c].root.shape[0], c++)
        LODE_TRY(scatter(ctx, &w->c[c], -1, true, at, &W));
    LODE_TRY(lode_i_snapshots_combine(ctx, w->s, &W, &more));
    LODE_FREE(&W);
    LODE_TRY(lode_array_zeros(ctx, w->s->wide, 2, (const int64_t[]){ w->s->length, all }, &Phi));
    LODE_TRY(lode_array_zeros(ctx, w->s->wide, 2, (const int64_t[]){ count, all }, &C));
    at = 0;
    for (int64_t c = 0; c < w->k; c++) {
        const int64_t old = before[c + 1] - before[c], take = w->c[c].root.shape[0];
        lode_array_free(&view);
        if (old > 0) {
            view = lode_i_cols(&f->Phi, before[c], before[c + 1]);
            LODE_TRY(put_columns(ctx, &view, f->offset[c], &Phi));
        }
        lode_array_free(&view);
        view = lode_i_cols(&more, at, at + take);
        LODE_TRY(put_columns(ctx, &view, f->offset[c] + old, &Phi));
        if (before[w->k] == 0) /* else they are found by projection */
            LODE_TRY(scatter(ctx, &w->c[c], 1, false, f->offset[c], &C));
        at += take;
    }
    LODE_FREE(&more);
    lode_array_swap(&f->Phi, &Phi), lode_array_swap(&f->C, &C);
    LODE_FREE(&Phi, &C);
    LODE_TRY(orthonormalize(ctx, w, f));
done:
    LODE_FREE(&W, &more, &Phi, &C, &view);
    return st;
}

/* What is left of each cluster; whether it is enough. */
static void judge(const work *w, const lode_i_leftover *e, const lode_array *G, lode_i_pod_fit *f,
                  bool *more)
{
    f->norm2 = f->rest2 = 0, f->plain2 = e->plain, f->met = true, f->short_of = false,
    *more = false;
    for (int64_t c = 0; c < w->k; c++) {
        cluster *const own = &w->c[c];
        double left = 0;
        for (int64_t i = 0; i < own->members.shape[0]; i++) {
            const int64_t at = (int64_t)lode_i_get1(&own->members, i);
            const double r = fmax(lode_i_get1(&e->squares, at), 0), n = lode_i_get2(G, at, at);
            left += r;
            lode_i_set1(&f->errors, at, n > 0 ? sqrt(r / n) : 0);
        }
        f->norm2 += own->energy, f->rest2 += left;
        const bool enough = left <= own->allowed * (1 + 1e-9) || left <= own->floor;
        f->met = f->met &&
                 (own->allowed < 0 || left <= own->allowed * (1 + 1e-9) || !(own->energy > 0));
        own->done = own->done || enough;
        own->enough = false;
        f->short_of = f->short_of || (own->allowed < 0 && own->have < w->wish->rank);
        *more = *more || !own->done;
    }
}

/* Coefficients of the snapshots as they are, so that what is left is orthogonal to the bases. */
static lode_status project(lode_ctx *ctx, const work *w, lode_i_pod_fit *f)
{
    lode_status st = LODE_OK;
    LODE_TRY(lode_i_snapshots_project(ctx, w->s, &f->Phi, &f->C, NULL, NULL));
    LODE_TRY(mask(ctx, w, f));
done:
    return st;
}

lode_status lode_i_pod_bases(lode_ctx *ctx, lode_i_snapshots *s, const lode_array *G,
                             const lode_i_pod_wish *wish,
                             lode_status (*sized)(lode_ctx *ctx, int64_t columns, void *data),
                             void *data, lode_i_pod_fit *f)
{
    lode_status st = LODE_OK;
    work w = { .s = s, .wish = wish, .k = f->clusters };
    lode_i_leftover e = { 0 };
    int64_t *before = NULL;
    bool more = true;
    LODE_TRY(set_up(ctx, G, &f->labels, &w));
    LODE_TRY(LODE_NEW(ctx, w.k + 1, &before));
    LODE_TRY(LODE_NEW(ctx, w.k + 1, &f->offset));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &s->count, &f->errors));
    for (int64_t c = 0; c <= w.k; c++)
        f->offset[c] = 0;
    for (int stage = 0; stage < STAGES && more; stage++) {
        bool open = false; /* squares of what is left will be wanted */
        for (int64_t c = 0; c < w.k; c++) {
            before[c] = f->offset[c];
            LODE_TRY(choose(ctx, &w, &w.c[c], stage == 0 ? G : &e.G));
            open = open || !(w.c[c].done || w.c[c].enough);
        }
        before[w.k] = f->offset[w.k];
        for (int64_t c = 0; c < w.k; c++)
            f->offset[c + 1] = f->offset[c] + w.c[c].have;
        if (stage > 0 && f->offset[w.k] == before[w.k])
            break;
        LODE_TRY(sized(ctx, f->offset[w.k], data));
        LODE_TRY(extend(ctx, &w, before, f));
        if (stage > 0 || open)
            LODE_TRY(project(ctx, &w, f));
        LODE_TRY(canonical(ctx, &w, f));
        LODE_TRY(lode_i_snapshots_leftover(ctx, s, &f->C, &f->Phi, open, &e));
        judge(&w, &e, G, f, &more);
        if (more && !open) { /* squares had told too much */
            LODE_TRY(project(ctx, &w, f));
            LODE_TRY(lode_i_snapshots_leftover(ctx, s, &f->C, &f->Phi, true, &e));
        }
    }
done:
    free_work(&w);
    lode_i_free(before);
    LODE_FREE(&e.squares, &e.G);
    return st;
}

void lode_i_pod_fit_free(lode_i_pod_fit *f)
{
    lode_i_free(f->offset);
    LODE_FREE(&f->labels, &f->Phi, &f->C, &f->s, &f->errors);
    *f = (lode_i_pod_fit){ 0 };
}
