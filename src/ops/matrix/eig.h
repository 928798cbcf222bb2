/* Private to eig: its data, its ways and its verbs. */
#ifndef LODE_OPS_EIG_H
#define LODE_OPS_EIG_H

#include "iter/lobpcg.h"
#include "lode/matrix.h"
#include "op/op.h"

/* What a plan decides, in plan->number. */
enum { LODE_I_EIG_RANK, LODE_I_EIG_METHOD };

typedef struct lode_i_eig_data {
    int64_t n;
    lode_dtype dtype;
    lode_value A, B;    /* as given, or what is held of them */
    lode_array a, b;    /* in memory, of dtype */
    lode_sparse sa, sb; /* values of dtype */
    lode_linop *Aop, *Bop;
    double scale;       /* Aop and a are scale A: a power of 2 */
    double norm;        /* of scale A, from below */
    double least;       /* estimate from below of the smallest eigenvalue of B; 1 without */
    lode_array L;       /* of a dense B = L L^H */
    lode_array weights; /* that residuals are multiplied by, or empty */
} lode_i_eig_data;

typedef struct lode_i_eig_pairs {
    lode_array values; /* k, f64, of scale A */
    lode_array X;      /* n x k */
    lode_array dual;   /* B X, or empty */
    lode_array trace;  /* or empty */
    lode_array residual, radius;
} lode_i_eig_pairs;

static inline lode_i_eigs_end lode_i_eig_end(lode_eig_which which)
{
    static const lode_i_eigs_end end[] = { LODE_I_LARGEST, LODE_I_SMALLEST, LODE_I_MAGNITUDE,
                                           LODE_I_AROUND };
    return end[which];
}

/** Arithmetic type of a problem. */
lode_dtype lode_i_eig_dtype(lode_value A, lode_value B);
lode_i_eigs_opts lode_i_eig_krylov(const lode_eig_opts *o, int64_t n, int64_t k, lode_dtype dtype,
                                   int64_t nonzeros);
lode_i_lobpcg_opts lode_i_eig_lobpcg(const lode_eig_opts *o, int64_t n, int64_t k,
                                     lode_dtype dtype);
/** Reads, checks and scales. */
lode_status lode_i_eig_read(lode_ctx *ctx, const lode_eig_opts *o, lode_eig_method method,
                            lode_i_eig_data *d);
void lode_i_eig_free(lode_i_eig_data *d);
/** ||A|| from below, by powers of it on random vectors. */
lode_status lode_i_eig_norm(lode_ctx *ctx, const lode_linop *A, double *norm);
/** The k pairs. */
lode_status lode_i_eig_solve(lode_ctx *ctx, const lode_eig_opts *o, lode_eig_method method,
                             int64_t k, const lode_i_eig_data *d, lode_i_eig_pairs *p);
void lode_i_eig_pairs_free(lode_i_eig_pairs *p);
/** R = A X - D diag(values), D = B X or X: residual is ||r|| / (norm ||x||), radius how far an eigenvalue
 *  may be; least: of B. */
lode_status lode_i_eig_residuals(lode_ctx *ctx, const lode_linop *A, double norm, double least,
                                 lode_i_eig_pairs *p);

/** The radii that follow from residuals, in arithmetic of a type. */
lode_status lode_i_eig_radii(lode_ctx *ctx, lode_dtype dtype, double norm, double least,
                             lode_i_eig_pairs *p);

lode_status lode_i_eig_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                             lode_bundle *result);
lode_status lode_i_eig_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                              const lode_part *part, lode_array *out);
lode_status lode_i_eig_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                              lode_certificate *found);
lode_status lode_i_eig_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                            lode_figure *figure);

#endif
