/* A test-only operation that uses what the built-in ones do not: every option kind, optional,
 * repeated and text ports, complex data, a callback, update and merge. */
#ifndef LODE_TEST_PROBE_H
#define LODE_TEST_PROBE_H

#include "lode/lode.h"

typedef enum lode_probe_mode { LODE_PROBE_SUM, LODE_PROBE_MEAN } lode_probe_mode;
typedef struct lode_probe_opts {
    size_t size;
    bool conjugate;
    int64_t repeat;
    uint64_t salt;
    double scale;
    lode_probe_mode mode;
    const char *label;
    const char *file;
    lode_auto_i64 limit;
    lode_auto_f64 shift;
    lode_rank_spec rank;
    lode_error_spec error;
    lode_budget_spec budget;
    lode_axes axes;
    lode_list points;
    lode_missing missing;
    const lode_array *weights;
} lode_probe_opts;
lode_probe_opts lode_probe_defaults(void);
extern const lode_op lode_op_probe;

/** total = scale * w .* repeat * (A + sum of items + A B^H), w the weights; mean divides by the
 *  number of terms. B is the callback as a matrix, applied to A from the right. */
lode_status lode_probe(lode_ctx *ctx, const lode_probe_opts *o, lode_value A, lode_value note,
                       lode_value items, lode_value B, lode_array *total, lode_certificate *cert);

/** A registry with the probe after the built-in operations; valid for the process. */
const lode_op *const *probe_registry(void);

#endif
