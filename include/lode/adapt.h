/* Adaptation of trained models by matrices of low rank. */
#ifndef LODE_ADAPT_H
#define LODE_ADAPT_H

#include "lode/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- adapter ---- */

typedef enum lode_adapter_task {
    LODE_ADAPTER_EXTRACT, /* what two checkpoints differ by, as an adapter */
    LODE_ADAPTER_FACTOR,  /* each weight as a product of two thin ones */
    LODE_ADAPTER_RESIZE,  /* an adapter, or the sum of several, to another rank */
    LODE_ADAPTER_MERGE,   /* a checkpoint with adapters put into it */
    LODE_ADAPTER_FIT,     /* least squares adapter to inputs and outputs of layers */
    LODE_ADAPTER_REPORT   /* spectra of a checkpoint, of a difference or of an adapter */
} lode_adapter_task;
typedef enum lode_adapter_how {
    LODE_ADAPTER_LINEAR, /* sum of the scaled differences */
    LODE_ADAPTER_TIES    /* trimmed, of the elected sign, averaged */
} lode_adapter_how;
typedef enum lode_adapter_weighting {
    LODE_ADAPTER_AUTO,       /* activations where calibration is given, else none */
    LODE_ADAPTER_NONE,       /* squares of all weights count alike */
    LODE_ADAPTER_FROBENIUS,  /* every layer's relative error counts alike */
    LODE_ADAPTER_ACTIVATIONS /* errors of the layers' outputs, relative to them */
} lode_adapter_weighting;
typedef struct lode_adapter_opts {
    size_t size;
    lode_adapter_task task;
    lode_rank_spec rank;     /* of every layer, where its sides allow; auto: from error or budget */
    lode_auto_i64 max_rank;  /* of a layer */
    lode_error_spec error;   /* of each layer, :rel or :fro */
    lode_budget_spec budget; /* of the numbers written, all layers together */
    lode_adapter_weighting weighting;
    const char *include, *exclude; /* patterns of tensors' names, by comma */
    const char *dtype;             /* of what is written; "auto": as read, of factors and adapters
                                      f32 where that is more */
    bool keep_other;               /* of extract: vectors that changed are written too */
    lode_adapter_how how;          /* several adapters become one difference */
    lode_list scales;              /* of each adapter; none: 1 */
    double density;                /* of ties: share of entries kept */
    lode_auto_f64 alpha; /* lora_alpha of the adapters read; auto: as they say, else rank */
} lode_adapter_opts;
LODE_API lode_adapter_opts lode_adapter_defaults(void);
extern LODE_API const lode_op lode_op_adapter;

/** Low-rank adapters and factors of the weights of a model, tensor by tensor.
 *  base         in   a file's members (bundle; dense ones may be sources, read one at a time), or
 *                    one array. Weights are its floating-point members of 2 axes, or of 3 and
 *                    more, which are matrices of the first axis by all others. Of extract the
 *                    checkpoint before, of merge the checkpoint, of resize an adapter
 *  more         in   or NULL: bundle of bundles. extract, report: the checkpoint after; merge,
 *                    resize: adapters; fit: inputs X (N x in), then outputs Y (N x out), by module
 *  calibration  in   or NULL, of factor: by module X (N x in), or covariance X'X as MODULE.cov
 *  result       out  tensors. extract, fit, resize: base_model.model.MODULE.lora_A.weight (r x in),
 *                    .lora_B.weight (out x r), the difference is B A, and adapter_config.json.
 *                    factor: MODULE.0.weight (r x in), MODULE.1.weight (out x r) for W ~ W1 W0, all
 *                    else as it is, and factors.json. merge: the checkpoint. Always
 *                    adapter_report.csv, a line a tensor.
 *                    Certificate: Frobenius error of all layers together, relative to what they
 *                    approximate, measured on what is written; of report none.
 *  Returns LODE_OK; LODE_NOCONV a decomposition has not settled, LODE_MISSED break-even comes before
 *  the error asked (results valid); LODE_EUSAGE inputs that the task does not take or lacks, nothing
 *  to do; LODE_ESHAPE tensors that do not match, by name; LODE_EPARAM a budget that not even rank 1
 *  meets; LODE_EDOMAIN NaN or infinity, by name; LODE_ETYPE; LODE_ENOMEM; LODE_EBUDGET;
 *  LODE_ECANCEL.
 *  Cost a layer out x in: 4 out in r a step of the iteration, 5 to 10 steps; all singular values where
 *  the shorter side is up to 512 or four ranks. Holds one layer, or two, and the result; a result
 *  larger than an eighth of the memory left waits in ctx->scratch.
 *  Source: Kaushal, Vaidhya & Rish 2023, doi:10.48550/arXiv.2309.14021; Lu 2024,
 *  doi:10.48550/arXiv.2408.05883; Yadav et al. 2023, doi:10.48550/arXiv.2306.01708. */
LODE_API lode_status lode_adapter(lode_ctx *ctx, const lode_adapter_opts *o, lode_value base,
                                  const lode_bundle *more, const lode_bundle *calibration,
                                  lode_bundle *result);

#ifdef __cplusplus
}
#endif
#endif
