/* adapter: low-rank adapters and factors of trained models.
 *
 * extract: B A = [W1 - W0]_r, the truncated singular value decomposition of what training changed, which is
 * the best of its rank (Eckart & Young); B = U sqrt(S), A = sqrt(S) V'. resize: the same of a sum of
 * products, from QR of the tall factors and the decomposition of the small core, without forming the
 * product. factor: W ~ B A; with inputs X of a layer, B A = U U' W with U the leading eigenvectors of
 * the covariance W X X' W' of its outputs, which minimizes ||(W - B A) X||. fit: min ||Y - X (W0 + B
 * A)'|| over rank r is reduced-rank regression: with X = P diag(d) Z', (B A)' = Z diag(1/d) [P' (Y - X
 * W0')]_r. Ranks of all layers share one budget: adapter_spend.c. merge: W0 + scale B A; several
 * adapters by their sum, or trimmed, of the elected sign, and averaged (TIES).
 *
 * Source: Kaushal, Vaidhya & Rish 2023, doi:10.48550/arXiv.2309.14021 (LoRD: factor, its output
 * covariance, one-shot ranks); Lu 2024, doi:10.48550/arXiv.2408.05883 (approximation and adaptation);
 * Izenman 1975, doi:10.1016/0047-259X(75)90042-1 (reduced-rank regression); Yadav et al. 2023,
 * doi:10.48550/arXiv.2306.01708 (TIES). Departures: ranks of LoRD's layers come from one budget by squares
 * per number instead of a search over perplexities, which would need the model run; quantization of
 * factors is left to compress; of Lu's adapters the product alone, not its Hadamard and Kronecker forms.
 * Claims tested: calibrated factors lose less than plain ones,
 * break-even, the closed form. */
#include <math.h>
#include <string.h>

#include "ops/adapt/adapter.h"

static const lode_param params[] = {
    { .name = "do",
      .kind = LODE_P_ENUM,
      .offset = offsetof(lode_adapter_opts, task),
      .size = sizeof(lode_adapter_task),
      .def = LODE_ADAPTER_EXTRACT,
      .choices = "extract|factor|resize|merge|fit|report",
      .help = "difference of two checkpoints; thin factors of each weight; adapters to another "
              "rank, or into a checkpoint; to data; spectra" },
    { LODE_PARAM(lode_adapter_opts, rank), .min = 1, .max = 1e6,
      .help = "rank of every layer, where its sides allow; auto: from error or budget" },
    { LODE_PARAM(lode_adapter_opts, max_rank), .min = 1, .max = 1e6, .help = LODE_HELP_MAX_RANK },
    { LODE_PARAM(lode_adapter_opts, error), .def_text = "none",
      .help = "error of each layer, relative Frobenius (1e-2) or absolute (1e-2:fro); 0.1 where "
              "neither rank nor budget is given" },
    { LODE_PARAM(lode_adapter_opts, budget), .def_text = "none",
      .help = LODE_HELP_BUDGET ", of all layers together" },
    { LODE_PARAM(lode_adapter_opts, weighting), .def = LODE_ADAPTER_AUTO,
      .choices = "auto|none|frobenius|activations",
      .help =
          "what a budget makes small: squares of weights, relative errors of layers, or of their "
          "outputs" },
    { LODE_PARAM(lode_adapter_opts, include), .def_text = "*",
      .help = "tensors that are changed, patterns by comma" },
    { LODE_PARAM(lode_adapter_opts, exclude), .def_text = "",
      .help = "tensors that are left alone, patterns by comma" },
    { LODE_PARAM(lode_adapter_opts, dtype), .def_text = "auto",
      .help = "type written: f64, f32, f16, bf16; auto: as read, adapters f32 or f64" },
    { LODE_PARAM(lode_adapter_opts, keep_other), .def = 0,
      .help = "of extract: vectors that changed are written whole" },
    { LODE_PARAM(lode_adapter_opts, how), .def = LODE_ADAPTER_LINEAR, .choices = "linear|ties",
      .help = "several adapters merged: their sum; or trimmed, of one sign, averaged" },
    { LODE_PARAM(lode_adapter_opts, scales), .def_text = "",
      .help = "factor of each adapter; none: 1" },
    { LODE_PARAM(lode_adapter_opts, density), .def = 0.2, .min = 1e-6, .max = 1,
      .help = "of ties: share of entries kept, the largest" },
    { LODE_PARAM(lode_adapter_opts, alpha), .min = 0, .max = 1e6,
      .help = "lora_alpha of the adapters read; auto: what they say, else their rank" },
    { 0 },
};
static const lode_port in[] = {
    { "base", NULL, .kinds = LODE_DENSE | LODE_KIND_BIT(LODE_BUNDLE), .types = LODE_REALS,
      .help = "file of weights, or one; of resize an adapter" },
    { "more", NULL, .kinds = LODE_KIND_BIT(LODE_BUNDLE), .optional = true, .repeated = true,
      .follows = true,
      .help = "extract: the checkpoint after; merge, resize: adapters; fit: inputs, then outputs" },
    { "calibration", NULL, .kinds = LODE_KIND_BIT(LODE_BUNDLE), .optional = true,
      .help = "of factor: inputs of layers by module, or X'X as MODULE.cov" },
    { 0 },
};
static const lode_port out[] = {
    { LODE_I_ADAPTER_REPORT, NULL, .kinds = LODE_KIND_BIT(LODE_TEXT),
      .help = "a line a tensor: rank, norms, error" },
    { LODE_I_ADAPTER_CONFIG, NULL, .kinds = LODE_KIND_BIT(LODE_TEXT), .optional = true,
      .help = "of an adapter: ranks and scales, for PEFT" },
    { LODE_I_ADAPTER_FACTORS, NULL, .kinds = LODE_KIND_BIT(LODE_TEXT), .optional = true,
      .help = "of factor: rank and sides of each module" },
    { 0 },
};

LODE_DEFAULTS(adapter)

/* ---- plan ---- */

static lode_status check_options(lode_ctx *ctx, const lode_adapter_opts *o)
{
    lode_status st = LODE_OK;
    lode_dtype dtype = LODE_F32;
    const int asked = (o->rank.count > 0) + (o->error.kind != LODE_ERROR_NONE) +
                      (o->budget.kind != LODE_BUDGET_NONE);
    LODE_REQUIRE(asked <= 1, LODE_EUSAGE, "adapter: give one of rank, error and budget");
    LODE_REQUIRE(o->rank.count <= 1, LODE_EPARAM,
                 "adapter: one rank serves all layers, not %d; --include picks layers",
                 (int)o->rank.count);
    LODE_REQUIRE(o->error.kind == LODE_ERROR_NONE || o->error.kind == LODE_ERROR_REL ||
                     o->error.kind == LODE_ERROR_FRO,
                 LODE_EPARAM,
                 "adapter: the error is Frobenius, relative (1e-2) or absolute "
                 "(1e-2:fro), nothing pointwise");
    LODE_REQUIRE(!o->dtype || strcmp(o->dtype, "auto") == 0 ||
                     (lode_dtype_parse(o->dtype, &dtype) && lode_dtype_class(dtype) == 'f'),
                 LODE_EPARAM, "adapter: dtype is '%s'; give f64, f32, f16, bf16 or auto", o->dtype);
done:
    return st;
}

/* Bytes of the largest matrix in a file as f64, and its sides; 0: no file. */
static uint64_t largest(const lode_bundle *file, int64_t *rows, int64_t *cols)
{
    uint64_t most = 0;
    *rows = *cols = 0;
    for (int64_t i = 0; file && i < file->count; i++) {
        lode_dtype dtype = LODE_F32;
        int ndim = 0;
        int64_t shape[LODE_MAX_NDIM], n = 1;
        if (!lode_i_value_shape(lode_bundle_value(file, i), &dtype, &ndim, shape) || ndim < 1)
            continue;
        for (int k = 0; k + 1 < ndim; k++)
            n *= shape[k];
        const uint64_t bytes = lode_i_bytes(LODE_F64, n, shape[ndim - 1]);
        if (bytes > most)
            most = bytes, *rows = n, *cols = shape[ndim - 1];
    }
    return most;
}

/* What calibration, or inputs and outputs, take beside a layer. */
static uint64_t room_of_data(lode_ctx *ctx, const lode_i_adapter *a)
{
    uint64_t room = 0;
    int64_t rows = 0, cols = 0;
    if (a->calibration) /* X, its triangle and W L */
        room += 4 * largest(a->calibration, &rows, &cols) + 6 * lode_i_bytes(LODE_F64, cols, cols);
    for (int f = 0; f < a->files && a->o->task == LODE_ADAPTER_FIT; f++) {
        room += 4 * largest(a->more[f], &rows, &cols);
        room += lode_i_adapter_svd_room(ctx, LODE_F64, rows, cols, lode_i_min(rows, cols), true);
    }
    return room;
}

/* The most that a layer takes while it is worked on. */
static uint64_t room_of(lode_ctx *ctx, const lode_i_adapter *a, const lode_i_layer *l)
{
    const lode_adapter_opts *o = a->o;
    const lode_dtype dtype = lode_i_adapter_type(l);
    const uint64_t mn = lode_i_bytes(dtype, l->rows, l->cols);
    const uint64_t slab = lode_i_adapter_slab(dtype, l->rows, l->cols) + (4 << 20);
    const int64_t side = lode_i_min(l->rows, l->cols);
    const bool open = o->rank.count == 0;
    if (l->fate != LODE_I_WEIGHT)
        return 2 * lode_i_bytes(LODE_F64, l->rows, l->cols) + slab;
    if (o->task == LODE_ADAPTER_MERGE) /* W, as stored and back, factors, differences */
        return mn * (uint64_t)(6 + (o->how == LODE_ADAPTER_TIES ? a->files + 1 : 0)) + slab;
    int64_t most = open ? side : lode_i_min(o->rank.value[0], side);
    if (o->task == LODE_ADAPTER_RESIZE) /* never formed: B, A, their QR, the core */
        most = side;
    const uint64_t core = lode_i_adapter_svd_room(ctx, dtype, l->rows, l->cols, lode_i_max(most, 1),
                                                  open);
    return mn + slab + core + 4 * lode_i_bytes(LODE_F64, l->rows + l->cols, lode_i_max(most, 1)) +
           4 * lode_i_bytes(LODE_F64, most, most) +
           (a->calibration ? 2 * mn + lode_i_bytes(LODE_F64, l->rows, l->cols) : 0);
}

static lode_status plan(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    lode_status st = LODE_OK;
    const lode_adapter_opts *o = lode_call_opts(c);
    lode_i_adapter a;
    uint64_t most = 0, output = 65536, waits = 0;
    LODE_FORWARD(check_options(ctx, o));
    LODE_TRY(lode_i_adapter_open(ctx, o, c->in[0],
                                 c->in[1].kind == LODE_BUNDLE ? c->in[1].as.bundle : NULL,
                                 c->in[2].kind == LODE_BUNDLE ? c->in[2].as.bundle : NULL, &a));
    for (int64_t i = 0; i < a.layers.count; i++) {
        const lode_i_layer *l = &a.layers.at[i];
        const uint64_t room = room_of(ctx, &a, l);
        const int64_t rank = lode_i_max(lode_i_adapter_most(o, l, false), 1);
        const bool whole = o->task == LODE_ADAPTER_FACTOR || o->task == LODE_ADAPTER_MERGE;
        const lode_dtype store = lode_i_adapter_store(o, l->stored, whole);
        uint64_t written = l->fate == LODE_I_WEIGHT ? lode_i_bytes(store, l->rows + l->cols, rank)
                                                    : 0;
        if (whole || (l->fate == LODE_I_OTHER && o->keep_other))
            written = lode_i_bytes(store, l->rows, l->cols) + written * !whole;
        most = room > most ? room : most;
        waits += written;
        output += o->task == LODE_ADAPTER_REPORT ? 1024 : 4096 + 4 * strlen(l->name);
        p->flops += 60.0 * (double)l->rows * (double)l->cols * (double)rank;
    }
    most += room_of_data(ctx, &a);
    /* large results wait on disk where there is a place */
    p->number[0] = ctx->scratch && most + waits > lode_i_memory_left(ctx) / 8;
    p->output = output + (p->number[0] ? 0 : waits);
    p->scratch = p->number[0] ? waits : 0;
    p->workspace = most + (uint64_t)a.layers.count * 1024 + (4 << 20);
    p->passes = o->budget.kind != LODE_BUDGET_NONE ? 2 : 1;
    p->seconds = p->flops / fmax(lode_i_gemm_rate(ctx, LODE_F32), 1);
    snprintf(p->algorithm, sizeof p->algorithm, "%" PRId64 " tensors one by one", a.layers.count);
done:
    lode_i_adapter_close(&a);
    return st;
}

/* ---- run ---- */

lode_status lode_adapter(lode_ctx *ctx, const lode_adapter_opts *o, lode_value base,
                         const lode_bundle *more, const lode_bundle *calibration,
                         lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_plan p = { 0 };
    lode_i_adapter a = { .o = o };
    lode_i_product product = { .ranks = NULL };
    LODE_ENTER(&lode_op_adapter, o, &p, base, more ? lode_from_bundle(more) : lode_none(),
               calibration ? lode_from_bundle(calibration) : lode_none());
    LODE_TRY(lode_i_adapter_open(ctx, o, base, more, calibration, &a));
    a.spill = p.number[0] != 0;
    LODE_TRY(lode_i_product_start(ctx, &product));
    switch (o->task) {
    case LODE_ADAPTER_FACTOR: LODE_TRY(lode_i_adapter_factor(ctx, &a, &product)); break;
    case LODE_ADAPTER_RESIZE: LODE_TRY(lode_i_adapter_resize(ctx, &a, &product)); break;
    case LODE_ADAPTER_MERGE: LODE_TRY(lode_i_adapter_merge(ctx, &a, &product)); break;
    case LODE_ADAPTER_FIT: LODE_TRY(lode_i_adapter_fit(ctx, &a, &product)); break;
    case LODE_ADAPTER_REPORT: LODE_TRY(lode_i_adapter_report(ctx, &a, &product)); break;
    default: LODE_TRY(lode_i_adapter_extract(ctx, &a, &product)); break;
    }
    lode_bundle_swap(result, &product.result);
done:
    lode_i_product_free(&product);
    lode_i_adapter_close(&a);
    LODE_LEAVE();
    return st;
}

static lode_status run(lode_ctx *ctx, const lode_call *c, lode_bundle *result)
{
    return lode_adapter(ctx, lode_call_opts(c), c->in[0],
                        c->in[1].kind == LODE_BUNDLE ? c->in[1].as.bundle : NULL,
                        c->in[2].kind == LODE_BUNDLE ? c->in[2].as.bundle : NULL, result);
}

const lode_op lode_op_adapter = {
    .name = "adapter",
    .family = "adapt",
    .job = LODE_SHRINK,
    .brief = "low-rank adapters and factors of trained models",
    .doi = "10.48550/arXiv.2309.14021 10.48550/arXiv.2408.05883",
    .example = "lode adapter A.npy --do factor --rank 4 -o factors.lode",
    .words = "LoRA adapter PEFT fine-tuning checkpoint safetensors difference merge TIES resize "
             "factorize linear layers LLM language model compression reduced rank regression",
    .params = params,
    .opts_size = sizeof(lode_adapter_opts),
    .in = in,
    .out = out,
    .certificate = LODE_CERT_MEASURED,
    .plan = plan,
    .run = run,
    .verify = lode_i_adapter_verify,
    .plot = lode_i_adapter_plot,
    .tell = lode_i_adapter_tell,
};
