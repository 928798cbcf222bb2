/* sense: a matrix of low rank from linear measurements y_i = <A_i, M>, by gradient descent on its factors, whose
 * rank may be over-estimated.
 *
 * l2: minimizes 1/2 |A(F G^T) - y|^2. With M = X X^T and more columns than the rank the excess dies out as
 * 1/t, so the loss as 1/t^2; with F G^T from small, imbalanced factors as exp(-alpha^2 t), since F^T F - G^T G
 * stays; asym-fast makes all directions of F as large as each other once, near the solution, and the rate no
 * longer depends on alpha (sense_fit.c). l1: minimizes sum |<A_i, X X^T> - y_i| by sub-gradients from a small
 * start, which finds M whatever the rank and under gross errors in fewer than half of y.
 *
 * Source: Xiong, Ding & Du 2024, doi:10.48550/arXiv.2310.01769 (sections 3 to 5); Ma & Fattahi 2023,
 * doi:10.48550/arXiv.2202.08788 (SubGM from a small spectral start). Departures: lengths
 * are relative, alpha to the root of M's norm as A*(y) shows it, steps to that norm; without --step of loss l2 a
 * step that raises the loss is halved; beta of the balance is the root of the product's largest singular value,
 * and it is made when the residual is below a tenth or hardly moves; the sub-gradient is divided by the size of
 * its expectation, not by its own norm, which noise alone would fill when the error is small; where the source
 * has a step proportional to the loss, which needs measurements without gross errors, or one that falls
 * geometrically (--decay), which needs a rate, the step here is proportional to the lower quartile of the
 * residuals; l1 takes F G^T too, where the source has X X^T alone. */
#include <math.h>
#include <string.h>

#include "ops/matrix/sense.h"

static const lode_param params[] = {
    { LODE_PARAM(lode_sense_opts, rank), .def_text = "auto", .min = 1, .max = 1e5,
      .help = "columns of the factors, an upper bound of the rank; auto: the shorter side" },
    { LODE_PARAM(lode_sense_opts, param), .def = LODE_SENSE_AUTO,
      .choices = "auto|sym|asym|asym-fast",
      .help =
          "X X' (positive semidefinite), F G', or F G' balanced once; auto: asym, sym for x' M x" },
    { LODE_PARAM(lode_sense_opts, loss), .def = LODE_SENSE_L2, .choices = "l2|l1",
      .help = "squares, or absolute values: some measurements are grossly wrong" },
    { LODE_PARAM(lode_sense_opts, form), .def = LODE_SENSE_AUTO_FORM,
      .choices = "auto|matrices|vectors",
      .help = "what A holds: matrices A_i, or vectors x_i of measurements x_i' M x_i" },
    { LODE_PARAM(lode_sense_opts, shape), .def_text = "", .min = 1, .max = 1e9,
      .help = "rows,columns of the matrix, where A is m x (rows columns)" },
    { LODE_PARAM(lode_sense_opts, vectors2),
      .help = "m x columns: vectors z_i of measurements x_i' M z_i" },
    { LODE_PARAM(lode_sense_opts, alpha), .min = 1e-12, .max = 1e3,
      .help =
          "size of the initial factors over the root of the matrix's norm; auto: 1e-4, l1 1e-6" },
    { LODE_PARAM(lode_sense_opts, step), .min = 1e-12, .max = 1e6,
      .help =
          "step over the norm of A*(y), of l1 over that of the matrix; auto: 0.25, of l2 halved "
          "where the loss rises" },
    { LODE_PARAM(lode_sense_opts, decay), .min = 0.01, .max = 1,
      .help = "loss l1: factor of the step in each iteration; auto: as small as the residuals" },
    { LODE_PARAM(lode_sense_opts, init), .def = LODE_SENSE_AUTO_INIT,
      .choices = "auto|random|spectral",
      .help = "start: random, or along the leading eigenvectors of A*(y); auto: by the loss" },
    { LODE_PARAM(lode_sense_opts, holdout), .def = 0.05, .min = 0, .max = 0.9,
      .help = "share of the measurements kept back to validate" },
    { LODE_PARAM(lode_sense_opts, tol), .def = 1e-4, .min = 0, .max = 1,
      .help = LODE_HELP_TOL ": relative change of the loss, over a plateau's length" },
    { LODE_PARAM(lode_sense_opts, max_iter), .def = 2000, .min = 1, .max = 1e6,
      .help = LODE_HELP_MAX_ITER },
    { 0 },
};
static const lode_port in[] = {
    { "A", "m,...", .kinds = LODE_ANY_MATRIX, .types = LODE_REAL_NUMBERS,
      .help = "measurements: m x rows x columns, m x (rows columns) with --shape, or vectors" },
    { "y", "m", .types = LODE_REALS | LODE_INTEGERS, .help = "what was measured" },
    { 0 },
};
static const lode_port out[] = {
    { "s", "k", .types = LODE_REALS, .help = "singular values of the matrix, unit of y over A" },
    { "factor.*", NULL, .types = LODE_REALS, .repeated = true,
      .help = "its left and right singular vectors" },
    { "trace", NULL, .help = "relative loss after each iteration, from 1; last: of the result" },
    { "held_trace", NULL, .optional = true, .help = "the same of the measurements kept back" },
    { "held", NULL, .types = LODE_INTEGERS, .optional = true, .help = "which these are" },
    { "y", "m", .types = LODE_REALS, .help = "the measurements, for verify" },
    { "form", NULL, .kinds = LODE_KIND_BIT(LODE_TEXT),
      .help = "what A held: matrices, vectors or pairs of them" },
    { "norm", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "Frobenius norm of the matrix" },
    { "fitted", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "measurements fitted" },
    { "residual", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR),
      .help = "relative residual of these: of the norm, for l1 median against median" },
    { "iterations", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "iterations made" },
    { "step", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "the last step" },
    { "balanced", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR),
      .help = "asym-fast: the iteration after which factors were balanced; 0: never" },
    { 0 },
};

LODE_DEFAULTS(sense)

/* ---- plan ---- */

static lode_status check_options(lode_ctx *ctx, const lode_sense_opts *o,
                                 const lode_i_sense_sizes *s, int64_t k)
{
    const int64_t side = lode_i_min(s->n1, s->n2);
    if (o->rank.count > 1 || k > side)
        return lode_i_fail(ctx, LODE_EPARAM,
                           "sense: rank %" PRId64 " is above the shorter side of the %" PRId64
                           " x %" PRId64 " matrix, or several numbers",
                           k, s->n1, s->n2);
    if (o->param == LODE_SENSE_SYM && s->n1 != s->n2)
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "sense: the matrix is %" PRId64 " x %" PRId64
                           ", so it is not X X'; take --param asym",
                           s->n1, s->n2);
    if (o->param == LODE_SENSE_ASYM_FAST && o->loss == LODE_SENSE_L1)
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "sense: asym-fast is for loss l2; with l1 take --param sym or asym");
    if (o->decay.given && o->loss != LODE_SENSE_L1)
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "sense: decay is of loss l1; steps of l2 stay as they are");
    return LODE_OK;
}

static lode_status plan(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    const lode_sense_opts *o = lode_call_opts(c);
    lode_i_sense_sizes s;
    lode_value flat;
    lode_array array;
    lode_source source;
    LODE_FORWARD(lode_i_sense_sizes_of(ctx, o, c->in[0], &s));
    const int64_t k = o->rank.count > 0 ? o->rank.value[0] : lode_i_min(s.n1, s.n2);
    LODE_FORWARD(check_options(ctx, o, &s, k));
    const int64_t sides = s.n1 + s.n2, matrix = s.n1 * s.n2;
    const uint64_t all = lode_i_bytes(s.dtype, s.m, s.vectors ? s.n1 : matrix);
    p->number[0] = k;
    p->output = lode_i_bytes(s.dtype, sides + 1, k) + lode_i_bytes(LODE_F64, o->max_iter + 2, 2) +
                lode_i_bytes(LODE_F64, s.m, 2) + 16384;
    p->workspace = 24 * lode_i_bytes(s.dtype, sides + 64, k) + lode_i_bytes(LODE_F64, 16 * k, k) +
                   lode_i_bytes(LODE_F64, s.m, 14) + lode_i_bytes(LODE_F64, o->max_iter + 64, 6) +
                   (UINT64_C(3) << 20);
    if (o->init != LODE_SENSE_RANDOM) /* a decomposition of the matrix given back */
        p->workspace += 10 * lode_i_bytes(LODE_F64, sides, lode_i_max(s.n1, s.n2));
    if (s.vectors) {
        p->workspace += 2 * (all + lode_i_bytes(s.dtype, s.m, s.n2)) +
                        6 * lode_i_bytes(s.dtype, s.m,
                                         lode_i_max(k, o->init == LODE_SENSE_RANDOM ? k : s.n2));
        p->passes = 1;
        p->flops = 8 * (double)o->max_iter * (double)s.m * (double)sides * (double)k;
    } else {
        if (!lode_i_sense_flat(c->in[0], s.m, matrix, &array, &source, &flat))
            p->workspace += 2 * all; /* it is copied so that its entries lie evenly */
        p->workspace += lode_i_linop_workspace(ctx, flat, 1) + lode_i_linop_blocks(ctx, flat) +
                        8 * lode_i_bytes(s.dtype, matrix, 1);
        if (c->in[0].kind == LODE_SOURCE) { /* every iteration reads all of it */
            if (p->workspace + p->output + 2 * all <= lode_i_memory_left(ctx))
                p->resident = 2 * all;
            else
                p->slab = lode_i_linop_slab(ctx, &source);
        }
        p->passes = p->resident ? 1 : (double)o->max_iter;
        p->flops = (double)o->max_iter *
                   (4 * (double)s.m * (double)matrix + 6 * (double)matrix * (double)k);
    }
    snprintf(p->algorithm, sizeof p->algorithm, "%s on factors",
             o->loss == LODE_SENSE_L1 ? "sub-gradient descent" : "gradient descent");
    return LODE_OK;
}

/* ---- result ---- */

/* F G^T as its singular value decomposition, in the unit of y over A; the point becomes what is kept. */
static lode_status conclude(lode_ctx *ctx, lode_i_sense_fit *f, lode_i_kruskal *m)
{
    lode_status st = LODE_OK;
    lode_i_sense_point *p = &f->p;
    m->ndim = 2, m->k = f->k;
    LODE_TRY(lode_array_cast(ctx, &p->F, p->F.dtype, &m->factor[0]));
    LODE_TRY(lode_array_cast(ctx, p->G.data ? &p->G : &p->F, p->F.dtype, &m->factor[1]));
    LODE_TRY(lode_i_kruskal_orthogonalize(ctx, m));
    lode_i_sense_point_free(p);
    LODE_TRY(lode_array_cast(ctx, &m->factor[0], m->factor[0].dtype, &p->F));
    LODE_TRY(lode_i_scale_cols(ctx, &p->F, &m->scale));
    LODE_TRY(lode_array_cast(ctx, &m->factor[1], m->factor[1].dtype, &p->G));
    LODE_TRY(lode_i_sense_look(ctx, f->map, f->d, p));
    const double unit = f->d->scale > 0 ? f->d->scale / f->map->scale : 1;
    LODE_TRY(lode_i_scale(ctx, unit, &m->scale));
    LODE_REQUIRE(isfinite(lode_i_get1(&m->scale, 0)), LODE_EDOMAIN,
                 "sense: the matrix is about %g times what %s holds; scale A or y", unit,
                 lode_dtype_name(m->scale.dtype));
done:
    return st;
}

static lode_certificate certificate(const lode_i_sense_data *d, const lode_i_sense_score *fitted,
                                    const lode_i_sense_score *held)
{
    const bool back = d->at[1].shape[0] > 0;
    const lode_i_sense_score *s = back ? held : fitted;
    lode_certificate c = { .kind = back ? LODE_CERT_HELDOUT : LODE_CERT_MEASURED,
                           .norm = LODE_NORM_FRO,
                           .relative = true,
                           .needs_original = true,
                           .value = s->value,
                           .absolute = s->absolute,
                           .asked = NAN,
                           .low = s->low,
                           .high = s->high };
    snprintf(c.quantity, sizeof c.quantity, "%s%s",
             d->misfit.sign ? "median |y_i - <A_i, M>|" : "||y - A(M)||",
             back ? ", measurements kept back" : "");
    if (d->misfit.sign)
        snprintf(c.note, sizeof c.note, "median residual against the median of |y|");
    else if (back)
        snprintf(c.note, sizeof c.note, "%.3g over the measurements fitted", fitted->value);
    return c;
}

static lode_status give(lode_ctx *ctx, lode_i_sense_fit *f, const lode_array *y, lode_array *held,
                        lode_bundle *b)
{
    lode_status st = LODE_OK;
    lode_i_kruskal m = { 0 };
    lode_i_sense_score score[2];
    lode_array kept = { 0 };
    double norm = 0;
    LODE_TRY(conclude(ctx, f, &m));
    for (int i = 0; i < 2; i++)
        LODE_TRY(lode_i_sense_judge(ctx, f->d, &f->p.r, i, &score[i]));
    const int64_t steps = f->trace.shape[0], fitted = f->d->at[0].shape[0];
    lode_i_set1(&f->trace, steps - 1, f->p.fitted); /* as rounded to the result */
    LODE_TRY(lode_i_kruskal_norm(ctx, &m, &norm));
    LODE_TRY(lode_i_kruskal_give(ctx, &m, b));
    LODE_TRY(lode_bundle_add_array(ctx, b, "trace", &f->trace));
    if (held->shape[0] > 0) {
        lode_i_set1(&f->held_trace, steps - 1, f->p.held);
        LODE_TRY(lode_bundle_add_array(ctx, b, "held_trace", &f->held_trace));
        LODE_TRY(lode_bundle_add_array(ctx, b, "held", held));
    }
    LODE_TRY(lode_array_cast(ctx, y, LODE_F64, &kept));
    LODE_TRY(lode_bundle_add_array(ctx, b, "y", &kept));
    LODE_TRY(lode_bundle_add_text(ctx, b, "form",
                                  !f->map->size.vectors ? "matrices"
                                  : f->map->twins       ? "vectors"
                                                        : "pairs"));
    LODE_TRY(lode_bundle_add_f64(ctx, b, "norm", norm));
    LODE_TRY(lode_bundle_add_i64(ctx, b, "fitted", fitted));
    LODE_TRY(lode_bundle_add_f64(ctx, b, "residual", score[0].value));
    LODE_TRY(lode_bundle_add_i64(ctx, b, "iterations", steps - 1));
    LODE_TRY(lode_bundle_add_f64(ctx, b, "step", f->step));
    LODE_TRY(lode_bundle_add_i64(ctx, b, "balanced", (int64_t)f->switched));
    b->certificate = certificate(f->d, &score[0], &score[1]);
done:
    lode_i_kruskal_free(&m);
    LODE_FREE(&kept);
    return st;
}

static void choose(const lode_sense_opts *o, lode_i_sense_fit *f)
{
    const lode_i_sense_map *map = f->map;
    f->param = o->param;
    if (f->param == LODE_SENSE_AUTO)
        f->param = map->size.vectors && map->twins ? LODE_SENSE_SYM : LODE_SENSE_ASYM;
    f->spectral = o->init == LODE_SENSE_SPECTRAL ||
                  (o->init == LODE_SENSE_AUTO_INIT && o->loss == LODE_SENSE_L1);
    f->alpha = o->alpha.given ? o->alpha.value : o->loss == LODE_SENSE_L1 ? 1e-6 : 1e-4;
}

lode_status lode_sense(lode_ctx *ctx, const lode_sense_opts *o, lode_value A, lode_value y,
                       lode_bundle *model)
{
    lode_status st = LODE_OK;
    lode_plan p = { 0 };
    lode_i_sense_sizes s;
    lode_i_sense_map map = { 0 };
    lode_i_sense_data d = { 0 };
    lode_i_sense_fit f = { .o = o, .map = &map, .d = &d };
    lode_array held = { 0 }, measured = { 0 };
    lode_bundle local = { 0 };

    LODE_ENTER(&lode_op_sense, o, &p, A, y);
    LODE_TRY(lode_i_sense_sizes_of(ctx, o, A, &s));
    lode_i_stage(ctx, "measurements", 0, 0.05);
    LODE_TRY(lode_i_as_array(ctx, y, LODE_F64, &measured));
    LODE_TRY(lode_i_sense_open(ctx, A, &s, o->vectors2, p.resident > 0, &map));
    LODE_TRY(lode_i_sense_hold(ctx, s.m, o->holdout, lode_i_stream(ctx, "sense", 1), &held));
    const lode_sense_loss loss = lode_i_broken(ctx, "subgm-recovery") ? LODE_SENSE_L2 : o->loss;
    LODE_TRY(lode_i_sense_data_of(ctx, &measured, s.dtype, &held, loss, &d));
    choose(o, &f);
    f.k = p.number[0];
    f.start = lode_i_stream(ctx, "sense", 0);
    f.broken_balance = lode_i_broken(ctx, "overparameterised-sensing");
    lode_i_stage(ctx, "descent", 0.05, 1);
    LODE_TRY(lode_i_sense_descend(ctx, &f));
    LODE_TRY(give(ctx, &f, &measured, &held, &local));
    lode_bundle_swap(model, &local);
done:
    lode_i_sense_fit_free(&f);
    lode_i_sense_data_free(&d);
    lode_i_sense_close(&map);
    LODE_FREE(&held, &measured, &local);
    LODE_LEAVE();
    return st;
}

static lode_status run(lode_ctx *ctx, const lode_call *c, lode_bundle *result)
{
    return lode_sense(ctx, lode_call_opts(c), c->in[0], c->in[1], result);
}

const lode_op lode_op_sense = {
    .name = "sense",
    .family = "matrix",
    .job = LODE_COMPLETE,
    .brief = "a low-rank matrix from linear measurements of it",
    .doi = "10.48550/arXiv.2310.01769 10.48550/arXiv.2202.08788",
    .example = "lode sense measurements.npy y.npy --rank 3 --tol 1e-3 -o matrix.lode",
    .words = "matrix sensing recovery linear measurements quadratic rank-one phase retrieval "
             "over-parameterized factorization gradient descent sub-gradient outliers robust l1",
    .params = params,
    .opts_size = sizeof(lode_sense_opts),
    .in = in,
    .out = out,
    .certificate = LODE_CERT_HELDOUT,
    .checkpoint = true,
    .plan = plan,
    .run = run,
    .apply = lode_i_sense_apply,
    .invert = lode_i_sense_invert,
    .query = lode_i_sense_query,
    .verify = lode_i_sense_verify,
    .plot = lode_i_sense_plot,
};
