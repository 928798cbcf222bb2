/* Passes over a tensor as steps of the checkpoint: what one gives is taken from there when the call was
 * stopped behind it. */
#include "linop/tucker.h"

#include <string.h>

enum { KEPT = 7 };

/* Shape, cut, what is pending: all that a pass over these slabs depends on beside the values. */
static lode_status key_of(lode_ctx *ctx, const lode_i_slabs *s, const lode_i_pass_name *name,
                          uint64_t *key)
{
    char scale[40];
    snprintf(scale, sizeof scale, "%a", s->scale);
    *key = lode_i_step_key((uint64_t)s->work, scale, s->shape, s->ndim);
    *key = lode_i_step_key(*key, "", (const int64_t[]){ s->axis, s->rows, s->pending }, 3);
    *key = lode_i_step_key(*key, "", name->number, LODE_I_PASS_NUMBERS);
    for (int i = 0; i < s->pending; i++) {
        *key = lode_i_step_key(*key, "pending", (const int64_t[]){ s->mode[i] }, 1);
        LODE_FORWARD(lode_i_step_key_array(ctx, s->U[i], key));
    }
    for (int k = 0; name->U && k < s->ndim; k++)
        if (name->U[k]) {
            *key = lode_i_step_key(*key, "basis", (const int64_t[]){ k }, 1);
            LODE_FORWARD(lode_i_step_key_array(ctx, name->U[k], key));
        }
    return LODE_OK;
}

static lode_status step_of(lode_ctx *ctx, const lode_i_slabs *s, const lode_i_pass_name *name,
                           double *kept, lode_array *const *out, int n, lode_i_step *step)
{
    *step = (lode_i_step){
        .site = name->what, .number = kept, .count = KEPT, .n = n, .middle = name->at != NULL
    };
    for (int i = 0; i < n; i++)
        step->array[i] = out[i];
    return key_of(ctx, s, name, &step->key);
}

lode_status lode_i_pass_restore(lode_ctx *ctx, lode_i_slabs *s, const lode_i_pass_name *name,
                                lode_i_seen *seen, lode_array *const *out, int n, bool *found)
{
    double kept[KEPT];
    lode_i_step step;
    *found = false;
    if (!s->kept || !lode_i_checkpoint(ctx))
        return LODE_OK;
    LODE_FORWARD(step_of(ctx, s, name, kept, out, n, &step));
    LODE_FORWARD(lode_i_restore(ctx, &step, found));
    if (!*found)
        return LODE_OK;
    s->passes = kept[0];
    if (name->at)
        *name->at = kept[6];
    if (seen)
        *seen = (lode_i_seen){
            seen->extremes, kept[1], kept[2], kept[3], kept[4], (int64_t)kept[5]
        };
    return LODE_OK;
}

lode_status lode_i_pass_keep(lode_ctx *ctx, const lode_i_slabs *s, const lode_i_pass_name *name,
                             const lode_i_seen *seen, lode_array *const *out, int n)
{
    double kept[KEPT] = { s->passes };
    lode_i_step step;
    if (!s->kept || !lode_i_checkpoint(ctx))
        return LODE_OK;
    if (seen) {
        kept[1] = seen->min, kept[2] = seen->max, kept[3] = seen->sumsq;
        kept[4] = seen->largest, kept[5] = (double)seen->slabs;
    }
    kept[6] = name->at ? *name->at : 0;
    LODE_FORWARD(step_of(ctx, s, name, kept, out, n, &step));
    return lode_i_keep(ctx, &step);
}

lode_status lode_i_pass_resume(lode_ctx *ctx, lode_i_slabs *s, const lode_i_pass_name *part,
                               lode_i_seen *seen, lode_array *const *sum)
{
    bool found = true;
    while (found)
        LODE_FORWARD(lode_i_pass_restore(ctx, s, part, seen, sum, 1, &found));
    return LODE_OK;
}
