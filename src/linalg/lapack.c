/* The one file that calls LAPACK: workspace queries, type dispatch, narrowing of sizes. Everything
 * is column-major here, and every matrix is a reduced one. */
#include "linalg/blas.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

/* Fortran passes by reference and adds the lengths of character arguments at the end. Complex
 * values are pairs of reals, so void * serves them. */
#define BOTH(x, y, real)                                                                           \
    void x##gelqf_(const int *m, const int *n, void *a, const int *lda, void *tau, void *work,     \
                   const int *lwork, int *info);                                                   \
    void x##y##mlq_(const char *side, const char *trans, const int *m, const int *n, const int *k, \
                    const void *a, const int *lda, const void *tau, void *c, const int *ldc,       \
                    void *work, const int *lwork, int *info, size_t l1, size_t l2);                \
    void x##potrf_(const char *uplo, const int *n, void *a, const int *lda, int *info, size_t l1);
BOTH(s, or, float)
BOTH(d, or, double)
BOTH(c, un, float)
BOTH(z, un, double)
#undef BOTH
#define REAL_ONES(x, real)                                                                         \
    void x##gesdd_(const char *job, const int *m, const int *n, void *a, const int *lda, void *s,  \
                   void *u, const int *ldu, void *vt, const int *ldvt, void *work,                 \
                   const int *lwork, int *iwork, int *info, size_t l1);                            \
    void x##gesvd_(const char *ju, const char *jv, const int *m, const int *n, void *a,            \
                   const int *lda, void *s, void *u, const int *ldu, void *vt, const int *ldvt,    \
                   void *work, const int *lwork, int *info, size_t l1, size_t l2);                 \
    void x##syevd_(const char *job, const char *uplo, const int *n, void *a, const int *lda,       \
                   void *w, void *work, const int *lwork, int *iwork, const int *liwork,           \
                   int *info, size_t l1, size_t l2);                                               \
    void x##sytrd_(const char *uplo, const int *n, void *a, const int *lda, void *d, void *e,      \
                   void *tau, void *work, const int *lwork, int *info, size_t l1);                 \
    void x##stedc_(const char *job, const int *n, void *d, void *e, void *z, const int *ldz,       \
                   void *work, const int *lwork, int *iwork, const int *liwork, int *info,         \
                   size_t l1);                                                                     \
    void x##ormtr_(const char *side, const char *uplo, const char *trans, const int *m,            \
                   const int *n, const void *a, const int *lda, const void *tau, void *c,          \
                   const int *ldc, void *work, const int *lwork, int *info, size_t l1, size_t l2,  \
                   size_t l3);                                                                     \
    void x##syevr_(const char *job, const char *range, const char *uplo, const int *n, void *a,    \
                   const int *lda, const real *vl, const real *vu, const int *il, const int *iu,   \
                   const real *tol, int *m, void *w, void *z, const int *ldz, int *isuppz,         \
                   void *work, const int *lwork, int *iwork, const int *liwork, int *info,         \
                   size_t l1, size_t l2, size_t l3);                                               \
    void x##gelsy_(const int *m, const int *n, const int *nrhs, void *a, const int *lda, void *b,  \
                   const int *ldb, int *jpvt, const real *rcond, int *rank, void *work,            \
                   const int *lwork, int *info);
REAL_ONES(s, float)
REAL_ONES(d, double)
#undef REAL_ONES
#define COMPLEX_ONES(x, real)                                                                      \
    void x##gesdd_(const char *job, const int *m, const int *n, void *a, const int *lda, void *s,  \
                   void *u, const int *ldu, void *vt, const int *ldvt, void *work,                 \
                   const int *lwork, void *rwork, int *iwork, int *info, size_t l1);               \
    void x##gesvd_(const char *ju, const char *jv, const int *m, const int *n, void *a,            \
                   const int *lda, void *s, void *u, const int *ldu, void *vt, const int *ldvt,    \
                   void *work, const int *lwork, void *rwork, int *info, size_t l1, size_t l2);    \
    void x##heevd_(const char *job, const char *uplo, const int *n, void *a, const int *lda,       \
                   void *w, void *work, const int *lwork, void *rwork, const int *lrwork,          \
                   int *iwork, const int *liwork, int *info, size_t l1, size_t l2);                \
    void x##hetrd_(const char *uplo, const int *n, void *a, const int *lda, void *d, void *e,      \
                   void *tau, void *work, const int *lwork, int *info, size_t l1);                 \
    void x##stedc_(const char *job, const int *n, void *d, void *e, void *z, const int *ldz,       \
                   void *work, const int *lwork, void *rwork, const int *lrwork, int *iwork,       \
                   const int *liwork, int *info, size_t l1);                                       \
    void x##unmtr_(const char *side, const char *uplo, const char *trans, const int *m,            \
                   const int *n, const void *a, const int *lda, const void *tau, void *c,          \
                   const int *ldc, void *work, const int *lwork, int *info, size_t l1, size_t l2,  \
                   size_t l3);                                                                     \
    void x##heevr_(const char *job, const char *range, const char *uplo, const int *n, void *a,    \
                   const int *lda, const real *vl, const real *vu, const int *il, const int *iu,   \
                   const real *tol, int *m, void *w, void *z, const int *ldz, int *isuppz,         \
                   void *work, const int *lwork, void *rwork, const int *lrwork, int *iwork,       \
                   const int *liwork, int *info, size_t l1, size_t l2, size_t l3);                 \
    void x##gelsy_(const int *m, const int *n, const int *nrhs, void *a, const int *lda, void *b,  \
                   const int *ldb, int *jpvt, const real *rcond, int *rank, void *work,            \
                   const int *lwork, void *rwork, int *info);
COMPLEX_ONES(c, float)
COMPLEX_ONES(z, double)
#undef COMPLEX_ONES

void dgeev_(const char *jobvl, const char *jobvr, const int *n, void *a, const int *lda, void *wr,
            void *wi, void *vl, const int *ldvl, void *vr, const int *ldvr, void *work,
            const int *lwork, int *info, size_t l1, size_t l2);
void zgeev_(const char *jobvl, const char *jobvr, const int *n, void *a, const int *lda, void *w,
            void *vl, const int *ldvl, void *vr, const int *ldvr, void *work, const int *lwork,
            void *rwork, int *info, size_t l1, size_t l2);

static int narrow(int64_t n)
{
    assert(n >= 0 && n <= INT_MAX);
    return (int)n;
}

static lode_status check_sizes(lode_ctx *ctx, int64_t m, int64_t n)
{
    if (m > INT_MAX / 8 || n > INT_MAX / 8)
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "a reduced matrix of %" PRId64 " x %" PRId64 " is too large for LAPACK",
                           m, n);
    return LODE_OK;
}

/* What a workspace query left in the first value: LAPACK may round it down in f32, hence the
 * margin. */
static int64_t asked(lode_dtype t, const double *answer)
{
    double n;
    if (lode_i_is_single(t)) {
        float f;
        memcpy(&f, answer, sizeof f);
        n = (double)f;
    } else {
        n = *answer;
    }
    return (int64_t)(n * (1 + 0x1p-22)) + 8;
}

/* Scratch of one call: work in t, rwork real, iwork int. */
typedef struct scratch {
    void *work, *rwork;
    int *iwork;
    int lwork;
} scratch;

static lode_status scratch_new(lode_ctx *ctx, lode_dtype t, int64_t work, int64_t rwork,
                               int64_t iwork, scratch *s)
{
    LODE_FORWARD(check_sizes(ctx, work / 8, iwork / 8));
    s->lwork = (int)work;
    LODE_FORWARD(lode_i_new(ctx, work, lode_dtype_size(t), &s->work));
    LODE_FORWARD(
        lode_i_new(ctx, lode_i_max(rwork, 1), lode_dtype_size(lode_i_real_of(t)), &s->rwork));
    return lode_i_new(ctx, lode_i_max(iwork, 1), sizeof(int), (void **)&s->iwork);
}

static void scratch_free(scratch *s)
{
    lode_i_free(s->work), lode_i_free(s->rwork), lode_i_free(s->iwork);
}

/* The same arguments for the four types. */
#define FOUR(t, name_s, name_d, name_c, name_z, ...)                                               \
    do {                                                                                           \
        const bool turn = lode_i_blas_enter();                                                     \
        if ((t) == LODE_F32)                                                                       \
            name_s(__VA_ARGS__);                                                                   \
        else if ((t) == LODE_F64)                                                                  \
            name_d(__VA_ARGS__);                                                                   \
        else if ((t) == LODE_C64)                                                                  \
            name_c(__VA_ARGS__);                                                                   \
        else                                                                                       \
            name_z(__VA_ARGS__);                                                                   \
        lode_i_blas_leave(turn);                                                                   \
    } while (0)

int lode_i_lapack_potrf(lode_dtype t, bool upper, int64_t n, void *a, int64_t lda)
{
    const int nn = narrow(n), ld = narrow(lode_i_max(lda, 1));
    int info = 0;
    FOUR(t, spotrf_, dpotrf_, cpotrf_, zpotrf_, upper ? "U" : "L", &nn, a, &ld, &info, 1);
    return info;
}

lode_status lode_i_lapack_gelqf(lode_ctx *ctx, lode_dtype t, int64_t m, int64_t n, void *a,
                                int64_t lda, void *tau)
{
    lode_status st = LODE_OK;
    scratch s = { 0 };
    LODE_TRY(check_sizes(ctx, m, n));
    const int mm = narrow(m), nn = narrow(n), ld = narrow(lode_i_max(lda, 1)), query = -1;
    int info = 0;
    double answer[2] = { 0 };
    FOUR(t, sgelqf_, dgelqf_, cgelqf_, zgelqf_, &mm, &nn, a, &ld, tau, answer, &query, &info);
    LODE_TRY(scratch_new(ctx, t, asked(t, answer), 0, 0, &s));
    FOUR(t, sgelqf_, dgelqf_, cgelqf_, zgelqf_, &mm, &nn, a, &ld, tau, s.work, &s.lwork, &info);
done:
    scratch_free(&s);
    return st;
}

lode_status lode_i_lapack_unmlq(lode_ctx *ctx, lode_dtype t, int64_t m, int64_t n, int64_t k,
                                const void *a, int64_t lda, const void *tau, void *c, int64_t ldc)
{
    lode_status st = LODE_OK;
    scratch s = { 0 };
    LODE_TRY(check_sizes(ctx, m, n));
    const int mm = narrow(m), nn = narrow(n), kk = narrow(k), query = -1;
    const int la = narrow(lode_i_max(lda, 1)), lc = narrow(lode_i_max(ldc, 1));
    int info = 0;
    double answer[2] = { 0 };
    FOUR(t, sormlq_, dormlq_, cunmlq_, zunmlq_, "R", "N", &mm, &nn, &kk, a, &la, tau, c, &lc,
         answer, &query, &info, 1, 1);
    LODE_TRY(scratch_new(ctx, t, asked(t, answer), 0, 0, &s));
    FOUR(t, sormlq_, dormlq_, cunmlq_, zunmlq_, "R", "N", &mm, &nn, &kk, a, &la, tau, c, &lc,
         s.work, &s.lwork, &info, 1, 1);
done:
    scratch_free(&s);
    return st;
}

#define SDD_REAL job, &m, &n, w->a, &m, w->s, w->u, &m, w->vt, &r, work, &lwork, s.iwork, info, 1
#define SDD_COMPLEX                                                                                \
    job, &m, &n, w->a, &m, w->s, w->u, &m, w->vt, &r, work, &lwork, s.rwork, s.iwork, info, 1
#define SVD_REAL job, job, &m, &n, w->a, &m, w->s, w->u, &m, w->vt, &r, work, &lwork, info, 1, 1
#define SVD_COMPLEX                                                                                \
    job, job, &m, &n, w->a, &m, w->s, w->u, &m, w->vt, &r, work, &lwork, s.rwork, info, 1, 1
lode_status lode_i_lapack_svd(lode_ctx *ctx, const lode_i_svd_work *w, bool simple, int *info)
{
    lode_status st = LODE_OK;
    scratch s = { 0 };
    const int64_t small = lode_i_min(w->m, w->n), big = lode_i_max(w->m, w->n);
    LODE_TRY(check_sizes(ctx, big, small));
    const int m = narrow(w->m), n = narrow(w->n), r = narrow(small);
    const char *job = w->vectors ? "S" : "N";
    const int64_t square = small * small; /* what gesdd's documents ask for */
    const int64_t all = lode_i_max(5 * square + 7 * small, 2 * big * small + 2 * square + small);
    const int64_t rwork = !lode_i_is_complex(w->dtype) ? 0
                          : simple                     ? 5 * small
                          : w->vectors                 ? all
                                                       : 7 * small;
    double answer[2] = { 0 };
    void *work = answer;
    int lwork = -1;
    for (int pass = 0; pass < 2; pass++) {
        const bool turn = lode_i_blas_enter();
        *info = 0;
        switch (w->dtype) {
        case LODE_F32:
            if (simple)
                sgesvd_(SVD_REAL);
            else
                sgesdd_(SDD_REAL);
            break;
        case LODE_F64:
            if (simple)
                dgesvd_(SVD_REAL);
            else
                dgesdd_(SDD_REAL);
            break;
        case LODE_C64:
            if (simple)
                cgesvd_(SVD_COMPLEX);
            else
                cgesdd_(SDD_COMPLEX);
            break;
        default:
            if (simple)
                zgesvd_(SVD_COMPLEX);
            else
                zgesdd_(SDD_COMPLEX);
        }
        lode_i_blas_leave(turn);
        if (pass == 0) {
            LODE_TRY(scratch_new(ctx, w->dtype, asked(w->dtype, answer), rwork, 8 * small, &s));
            work = s.work, lwork = s.lwork;
        }
    }
done:
    scratch_free(&s);
    return st;
}

#define EVD_REAL job, "U", &n, e->a, &n, e->w, work, &lwork, iwork, &liwork, info, 1, 1
#define EVD_COMPLEX                                                                                \
    job, "U", &n, e->a, &n, e->w, work, &lwork, rwork, &lrwork, iwork, &liwork, info, 1, 1
#define EVR_HEAD(zero)                                                                             \
    job, "I", "U", &n, e->a, &n, &zero, &zero, &il, &iu, &zero, &found, e->w, e->z, &n, support,   \
        work, &lwork
#define EVR_TAIL iwork, &liwork, info, 1, 1, 1
lode_status lode_i_lapack_eigh(lode_ctx *ctx, const lode_i_eig_work *e, int *info)
{
    lode_status st = LODE_OK;
    scratch s = { 0 };
    int *support = NULL;
    LODE_TRY(check_sizes(ctx, e->n, e->n));
    const int n = narrow(e->n), il = narrow(e->il), iu = narrow(e->iu);
    const char *job = e->vectors ? "V" : "N";
    const float zero_s = 0;
    const double zero_d = 0;
    double answer[2] = { 0 }, real_answer[2] = { 0 };
    void *work = answer, *rwork = real_answer;
    int int_answer = 0, *iwork = &int_answer, lwork = -1, lrwork = -1, liwork = -1, found = 0;
    LODE_TRY(LODE_NEW(ctx, 2 * e->n + 2, &support));
    for (int pass = 0; pass < 2; pass++) {
        const bool turn = lode_i_blas_enter();
        *info = 0;
        switch (e->dtype) {
        case LODE_F32:
            if (e->range)
                ssyevr_(EVR_HEAD(zero_s), EVR_TAIL);
            else
                ssyevd_(EVD_REAL);
            break;
        case LODE_F64:
            if (e->range)
                dsyevr_(EVR_HEAD(zero_d), EVR_TAIL);
            else
                dsyevd_(EVD_REAL);
            break;
        case LODE_C64:
            if (e->range)
                cheevr_(EVR_HEAD(zero_s), rwork, &lrwork, EVR_TAIL);
            else
                cheevd_(EVD_COMPLEX);
            break;
        default:
            if (e->range)
                zheevr_(EVR_HEAD(zero_d), rwork, &lrwork, EVR_TAIL);
            else
                zheevd_(EVD_COMPLEX);
        }
        lode_i_blas_leave(turn);
        if (pass == 0) {
            const int64_t reals = asked(lode_i_real_of(e->dtype), real_answer);
            LODE_TRY(
                scratch_new(ctx, e->dtype, asked(e->dtype, answer), reals, int_answer + 8, &s));
            work = s.work, rwork = s.rwork, iwork = s.iwork;
            lwork = s.lwork, lrwork = (int)lode_i_max(reals, 1), liwork = int_answer + 8;
        }
    }
done:
    lode_i_free(support);
    scratch_free(&s);
    return st;
}

lode_status lode_i_lapack_tridiagonal(lode_ctx *ctx, const lode_i_tridiagonal *t)
{
    lode_status st = LODE_OK;
    scratch s = { 0 };
    LODE_TRY(check_sizes(ctx, t->n, t->n));
    const int n = narrow(t->n), query = -1;
    int info = 0;
    double answer[2] = { 0 };
    FOUR(t->dtype, ssytrd_, dsytrd_, chetrd_, zhetrd_, "U", &n, t->a, &n, t->d, t->e, t->tau,
         answer, &query, &info, 1);
    LODE_TRY(scratch_new(ctx, t->dtype, asked(t->dtype, answer), 0, 0, &s));
    FOUR(t->dtype, ssytrd_, dsytrd_, chetrd_, zhetrd_, "U", &n, t->a, &n, t->d, t->e, t->tau,
         s.work, &s.lwork, &info, 1);
done:
    scratch_free(&s);
    return st;
}

#define EDC_HEAD "I", &n, t->d, t->e, t->z, &n, work, &lwork
#define EDC_TAIL iwork, &liwork, info, 1
lode_status lode_i_lapack_stedc(lode_ctx *ctx, const lode_i_tridiagonal *t, int *info)
{
    lode_status st = LODE_OK;
    scratch s = { 0 };
    LODE_TRY(check_sizes(ctx, t->n, t->n));
    const int n = narrow(t->n);
    double answer[2] = { 0 }, real_answer[2] = { 0 };
    void *work = answer, *rwork = real_answer;
    int int_answer = 0, *iwork = &int_answer, lwork = -1, lrwork = -1, liwork = -1;
    for (int pass = 0; pass < 2; pass++) {
        const bool turn = lode_i_blas_enter();
        *info = 0;
        switch (t->dtype) {
        case LODE_F32: sstedc_(EDC_HEAD, EDC_TAIL); break;
        case LODE_F64: dstedc_(EDC_HEAD, EDC_TAIL); break;
        case LODE_C64: cstedc_(EDC_HEAD, rwork, &lrwork, EDC_TAIL); break;
        default: zstedc_(EDC_HEAD, rwork, &lrwork, EDC_TAIL);
        }
        lode_i_blas_leave(turn);
        if (pass == 0) {
            const int64_t reals = asked(lode_i_real_of(t->dtype), real_answer);
            LODE_TRY(
                scratch_new(ctx, t->dtype, asked(t->dtype, answer), reals, int_answer + 8, &s));
            work = s.work, rwork = s.rwork, iwork = s.iwork;
            lwork = s.lwork, lrwork = (int)lode_i_max(reals, 1), liwork = int_answer + 8;
        }
    }
done:
    scratch_free(&s);
    return st;
}

lode_status lode_i_lapack_back(lode_ctx *ctx, const lode_i_tridiagonal *t, int64_t from,
                               int64_t count)
{
    lode_status st = LODE_OK;
    scratch s = { 0 };
    const int n = narrow(t->n), k = narrow(count), query = -1;
    void *c = (char *)t->z + (size_t)(from * t->n) * lode_dtype_size(t->dtype);
    int info = 0;
    double answer[2] = { 0 };
    FOUR(t->dtype, sormtr_, dormtr_, cunmtr_, zunmtr_, "L", "U", "N", &n, &k, t->a, &n, t->tau, c,
         &n, answer, &query, &info, 1, 1, 1);
    LODE_TRY(scratch_new(ctx, t->dtype, asked(t->dtype, answer), 0, 0, &s));
    FOUR(t->dtype, sormtr_, dormtr_, cunmtr_, zunmtr_, "L", "U", "N", &n, &k, t->a, &n, t->tau, c,
         &n, s.work, &s.lwork, &info, 1, 1, 1);
done:
    scratch_free(&s);
    return st;
}

#define LSY_HEAD(rc) &m, &n, &k, l->a, &lda, l->b, &ldb, pivots, &rc, &found, work, &lwork
lode_status lode_i_lapack_gelsy(lode_ctx *ctx, const lode_i_ls_work *l, int64_t *rank, int *info)
{
    lode_status st = LODE_OK;
    scratch s = { 0 };
    int *pivots = NULL;
    LODE_TRY(check_sizes(ctx, lode_i_max(l->m, l->n), l->nrhs));
    const int m = narrow(l->m), n = narrow(l->n), k = narrow(l->nrhs),
              lda = narrow(lode_i_max(l->m, 1));
    const int ldb = narrow(lode_i_max(lode_i_max(l->m, l->n), 1));
    const float rcond_s = (float)l->rcond;
    const double rcond_d = l->rcond;
    double answer[2] = { 0 };
    void *work = answer;
    int lwork = -1, found = 0;
    LODE_TRY(lode_i_calloc(ctx, sizeof(int) * (size_t)lode_i_max(l->n, 1), (void **)&pivots));
    for (int pass = 0; pass < 2; pass++) {
        const bool turn = lode_i_blas_enter();
        *info = 0;
        if (l->dtype == LODE_F32)
            sgelsy_(LSY_HEAD(rcond_s), info);
        else if (l->dtype == LODE_F64)
            dgelsy_(LSY_HEAD(rcond_d), info);
        else if (l->dtype == LODE_C64)
            cgelsy_(LSY_HEAD(rcond_s), s.rwork, info);
        else
            zgelsy_(LSY_HEAD(rcond_d), s.rwork, info);
        lode_i_blas_leave(turn);
        if (pass == 0) {
            LODE_TRY(scratch_new(ctx, l->dtype, asked(l->dtype, answer), 2 * l->n, 0, &s));
            work = s.work, lwork = s.lwork;
        }
    }
    *rank = found;
done:
    lode_i_free(pivots);
    scratch_free(&s);
    return st;
}

lode_status lode_i_lapack_eig(lode_ctx *ctx, const lode_i_general_work *e, int *info)
{
    lode_status st = LODE_OK;
    scratch s = { 0 };
    LODE_TRY(check_sizes(ctx, e->n, e->n));
    const int n = narrow(e->n), one = 1;
    double answer[2] = { 0 }, real_answer[2] = { 0 }, none = 0;
    void *work = answer, *rwork = real_answer; /* both are written to by the query */
    int lwork = -1;
    for (int pass = 0; pass < 2; pass++) {
        const bool turn = lode_i_blas_enter();
        *info = 0;
        if (e->dtype == LODE_F64)
            dgeev_("N", "V", &n, e->a, &n, e->w, e->wi, &none, &one, e->v, &n, work, &lwork, info,
                   1, 1);
        else
            zgeev_("N", "V", &n, e->a, &n, e->w, &none, &one, e->v, &n, work, &lwork, rwork, info,
                   1, 1);
        lode_i_blas_leave(turn);
        if (pass == 0) {
            LODE_TRY(scratch_new(ctx, e->dtype, asked(e->dtype, answer), 2 * e->n, 0, &s));
            work = s.work, rwork = s.rwork, lwork = s.lwork;
        }
    }
done:
    scratch_free(&s);
    return st;
}
