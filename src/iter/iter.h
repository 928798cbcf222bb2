/* Iterations: one object for when to stop, what was reached on the way, how far along it is, and going on
 * after a kill. An operation's loop is
 *
 *     LODE_TRY(lode_i_iter_begin(ctx, &it));
 *     while (!it.done) {
 *         ... one step, which leaves the state in it.state ...
 *         LODE_TRY(lode_i_iter_step(ctx, &it, objective));
 *     }
 *     LODE_TRY(lode_i_iter_end(ctx, &it, &trace));
 */
#ifndef LODE_ITER_H
#define LODE_ITER_H

#include "array/array.h"

enum { LODE_I_ITER_STATE = LODE_I_STEP_ARRAYS };
typedef struct lode_i_iter {
    /* given */
    const char *op, *what; /* for sentences: "nmf", "objective" */
    double tol;            /* stop when what is minimized falls by less, relatively, .. */
    int patience;          /* .. so many times in a row; 0: once */
    double floor;          /* nothing is gained below it: rounding */
    int64_t max_iter;
    int n; /* arrays that a later step needs, kept under a checkpoint where site is named */
    lode_array *state[LODE_I_ITER_STATE];
    double *tally; /* a sum that goes on with them; NULL: none */
    const char *site;
    uint64_t key;
    /* kept */
    int64_t i; /* steps made */
    double objective, change, first_change;
    int calm;
    bool enough;              /* set before a step is told: what it reached is all that is wanted */
    bool done, settled, rose; /* rose: the objective went up once, beyond rounding */
    lode_array trace;         /* objective after each step, f64; room for max_iter at first use */
} lode_i_iter;
/** Goes on from the checkpoint, if there is one. */
lode_status lode_i_iter_begin(lode_ctx *ctx, lode_i_iter *it);
/** A step is made and reached this: records, tells progress, keeps the state when that is due. */
lode_status lode_i_iter_step(lode_ctx *ctx, lode_i_iter *it, double objective);
/** LODE_OK, or LODE_NOCONV with its sentence. trace (or NULL) takes what was recorded. */
lode_status lode_i_iter_end(lode_ctx *ctx, lode_i_iter *it, lode_array *trace);
void lode_i_iter_free(lode_i_iter *it);

#endif
