/* What ST-HOSVD still has to do, for progress: in operations of products in double precision, which
 * measured best as so many a product and so many a value that is read or written. Ranks that are not
 * known yet are guessed from those that are. */
#include <math.h>

#include "linop/sthosvd_run.h"

enum {
    READ = 220,
    WRITTEN = 300,
    HASHED = 80,
    CHOSEN = 370,
    GIVEN_BACK = 500,
    CORE = 130, /* a value of the core that every slab of a residual reads */
    EIGEN = 15, /* times n^3 */
    NARROW = 64 /* columns of a mode that truncates */
};

static double product(double size, double n, double columns)
{
    return 2 * size * columns + READ * size + WRITTEN * size * columns / n;
}

static double eigen(double n, double columns)
{
    return 4 * columns > n ? EIGEN * n * n * n : 16 * n * n * columns;
}

/* Columns that mode k gets: known, asked for, or as the modes before it. */
static double guess(const sthosvd *r, int upto, int k)
{
    const double n = (double)r->X.shape[k];
    if (r->rank[k])
        return fmin(n, (double)(r->rank[k] + lode_i_max(8, r->rank[k] / 2)));
    if (upto < 0)
        return fmin(n / 4 + 1, NARROW);
    const int last = r->order[upto];
    const double of = (double)r->X.shape[last], columns = (double)r->info.kept[last];
    return columns < 0.6 * of ? fmin(n, columns) : fmax(1, n * columns / of);
}

/* upto: the last in order whose columns are known. */
static double columns_of(const sthosvd *r, int upto, int i)
{
    const int k = r->order[i];
    return i <= upto ? (double)r->info.kept[k] : guess(r, upto, k);
}

double lode_i_sthosvd_basis_work(const sthosvd *r, int mode, double size)
{
    const double n = (double)r->X.shape[mode];
    if (r->precise)
        return 8 * size * n + 30 * n * n * n;
    return n > 2048 ? 3 * (4 * size * 2 * NARROW + READ * size)
                    : size * n + READ * size + eigen(n, guess(r, -1, mode));
}

double lode_i_sthosvd_sketch_work(const sthosvd *r, int mode)
{
    const double n = (double)r->X.shape[mode];
    return HASHED * (double)r->X.size + eigen(n, n);
}

double lode_i_sthosvd_product_work(const sthosvd *r, int mode, double size, int64_t columns)
{
    double pending = 0;
    for (int p = 0; p < r->X.pending; p++)
        pending += product((double)r->X.size, (double)r->X.shape[r->X.mode[p]],
                           (double)r->X.U[p]->shape[1]);
    return pending + product(size, (double)r->X.shape[mode], (double)columns);
}

double lode_i_sthosvd_renew_work(const sthosvd *r, int upto)
{
    const int i = r->d > 1 ? 1 : 0, k = r->order[i];
    return product((double)r->X.size, (double)r->X.shape[k], columns_of(r, upto, i));
}

/* Slab after slab is expanded from the core, the slab axis first. */
static double residual(const sthosvd *r, int upto)
{
    const int axis = r->X.axis;
    double core = 1, work = GIVEN_BACK * (double)r->X.size, size = (double)r->X.shape[axis];
    for (int i = 0; i < r->d; i++) {
        core *= columns_of(r, upto, i);
        size *= r->order[i] == axis ? 1 : columns_of(r, upto, i);
    }
    work += fmax(2 * core * (double)r->X.shape[axis], CORE * (double)r->X.count * core);
    for (int i = 0; i < r->d; i++) {
        const double n = (double)r->X.shape[r->order[i]];
        if (r->order[i] == axis)
            continue;
        work += 2 * size * n;
        size *= n / fmax(columns_of(r, upto, i), 1);
    }
    return work;
}

/* Whether the error will be measured on the residual: where it cancels in the difference of norms, or
 * nothing is cut. */
static bool measured(const sthosvd *r)
{
    const double relative = lode_i_budget_relative(&r->budget);
    return !lode_i_is_single(r->wide) && !(r->rank[0] > 0) &&
           (r->precise || r->uncut || relative < 1e-5);
}

double lode_i_sthosvd_rest(const sthosvd *r, int upto, int from, double size, bool sketched)
{
    double work = 0;
    for (int i = from; i < r->d; i++) {
        const int k = r->order[i];
        const double n = (double)r->X.shape[k], columns = columns_of(r, upto, i);
        work += (i > 0 ? size * n + READ * size : 0) + eigen(n, columns) +
                product(size, n, columns);
        size *= columns / n;
    }
    work += sketched ? lode_i_sthosvd_renew_work(r, upto) : 0;
    work += (double)r->o->sweeps * r->d * lode_i_sthosvd_renew_work(r, upto);
    return work + lode_i_sthosvd_end_work(r, upto, size);
}

double lode_i_sthosvd_end_work(const sthosvd *r, int upto, double core)
{
    return CHOSEN * core + (measured(r) ? residual(r, upto) : 0);
}

double lode_i_sthosvd_residual_work(const sthosvd *r)
{
    return residual(r, r->d - 1);
}

double lode_i_sthosvd_single_work(const sthosvd *r, bool slabs)
{
    const double size = (double)r->X.size;
    double work = 0;
    for (int k = 0; k < r->d; k++)
        work += (k == r->X.axis) == slabs ? 0 : size * (double)r->X.shape[k];
    return work + (slabs ? READ * size : 0);
}
