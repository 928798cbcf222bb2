/* Whole files: an operation run on every member that it can make smaller, the rest kept as it is, and
 * the file back. A bundle given to the first input of an operation that takes arrays of any shape and has an inverse
 * (lode_call_input) is such a job: lode_call_run gives a bundle in which each member that was run is a bundle itself, with
 * its own options and certificate, and the names, dimensions and attributes of the file. */
#ifndef LODE_WHOLE_H
#define LODE_WHOLE_H

#include "lode/io.h"
#include "lode/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Whether a bundle may stand for the first input of the operation: it takes arrays of any shape, and its
 *  results give them back. */
LODE_API bool lode_op_takes_files(const lode_op *op);

/** Reads an address as what it stands for: a result with an inverse (a file, a member of one, a slice of
 *  either) as a source that decodes what is asked of it; with `whole`, a file of several values as a
 *  bundle of them, read when asked; anything else as lode_read_value does. Names, units and coordinates
 *  of a variable come as into->meta.attributes. */
LODE_API lode_status lode_open_value(lode_ctx *ctx, const char *spec, const lode_read_opts *o,
                                     bool whole, const char *name, lode_bundle *into);
/** Reads the result that an address names, "x.lode" or "model.lode:T", as a model for verbs, whole into
 *  memory (load) or with members as sources, as lode_query takes it; any other file as lode_read does. */
LODE_API lode_status lode_read_model(lode_ctx *ctx, const char *spec, const lode_read_opts *o,
                                     bool load, lode_bundle *model);

/** One member of a file as a table tells it. */
typedef struct lode_entry {
    const char *name;
    lode_kind kind;
    bool result; /* made by an operation; else kept as it is */
    lode_dtype dtype;
    int32_t ndim;
    int64_t shape[LODE_MAX_NDIM]; /* of a result: of what it stands for */
    char rule[64];                /* what was asked: "0.001:rel", "exact", or "as it is" */
    double bytes_in, bytes_out;   /* of its values, and of what is stored */
    lode_certificate certificate;
} lode_entry;
/** Member i of a file; LODE_ENOENT where there is none. */
LODE_API lode_status lode_entry_of(lode_ctx *ctx, const lode_bundle *file, int64_t i,
                                   lode_entry *e);
/** Whether any member is a result. */
LODE_API bool lode_holds_results(const lode_bundle *file);
/** lode_verify of one member. original: the file it came from as a bundle, or none; a member that was
 *  kept must then have the same bits there. Fails with LODE_EVERIFY and the member's name. */
LODE_API lode_status lode_verify_entry(lode_ctx *ctx, const lode_bundle *file, int64_t i,
                                       lode_value original, lode_certificate *found);
/** The file back: every member that is a result becomes a source that decodes when it is read. */
LODE_API lode_status lode_expand(lode_ctx *ctx, lode_bundle *file);

#ifdef __cplusplus
}
#endif
#endif
