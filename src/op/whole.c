/* An operation on a whole file: every array that it can make smaller becomes a result of its own, all
 * else is kept as it is. One member is in memory at a time. */
#include <math.h>
#include <string.h>

#include "code/code.h"
#include "op/whole.h"

enum {
    HEAD = 1024,      /* about what a result adds to the file besides its members */
    WAITS = 65536,    /* bytes of a member that may wait on disk */
    SAMPLE = 4 << 20, /* bytes on which is seen whether exact coding pays */
};

/* ---- running ---- */

static double bytes_of_members(const lode_bundle *b)
{
    double sum = 0;
    for (int64_t i = 0; i < b->count; i++)
        sum += lode_i_value_bytes(lode_bundle_value(b, i));
    return sum;
}

lode_status lode_i_set_aside(lode_ctx *ctx, lode_value v, lode_source *out)
{
    return lode_i_spill(ctx, v, out);
}

/* A member as it is, of its own. What is large waits on disk where there is a place. */
static lode_status keep(lode_ctx *ctx, const lode_i_whole *j, int64_t i, lode_bundle *result)
{
    lode_status st = LODE_OK;
    const lode_value v = lode_bundle_value(j->file, i);
    const char *name = lode_bundle_name(j->file, i);
    lode_array a = { 0 };
    lode_source s = { 0 };
    lode_bundle inner = { 0 };
    const bool dense = v.kind == LODE_ARRAY || v.kind == LODE_SOURCE;
    if (dense && ctx->scratch && lode_i_value_bytes(v) > WAITS &&
        lode_i_value_bytes(v) > (double)lode_i_memory_left(ctx) / 8) {
        LODE_TRY(lode_i_spill(ctx, v, &s));
        LODE_TRY(lode_bundle_add_source(ctx, result, name, &s));
    } else if (v.kind == LODE_SOURCE) {
        LODE_TRY(lode_i_source_load(ctx, v.as.source, &a));
        LODE_TRY(lode_bundle_add_array(ctx, result, name, &a));
    } else if (v.kind == LODE_ARRAY) {
        LODE_TRY(lode_i_source_from_array(ctx, v.as.array, &s));
        LODE_TRY(lode_i_source_load(ctx, &s, &a)); /* bit for bit, packed blocks too */
        LODE_TRY(lode_bundle_add_array(ctx, result, name, &a));
    } else if (v.kind == LODE_BUNDLE) { /* a result already */
        LODE_TRY(lode_i_load_members(ctx, v.as.bundle, &inner));
        LODE_TRY(lode_bundle_add_bundle(ctx, result, name, &inner));
    } else {
        LODE_TRY(lode_i_bundle_ref_member(ctx, j->file, i, result));
    }
done:
    LODE_FREE(&a, &s, &inner);
    return st;
}

/* Members of a result that is large for the memory left wait on disk. */
static lode_status let_wait(lode_ctx *ctx, lode_bundle *b)
{
    lode_status st = LODE_OK;
    lode_source s = { 0 };
    if (!ctx->scratch || bytes_of_members(b) <= (double)lode_i_memory_left(ctx) / 8)
        return LODE_OK;
    for (int64_t i = 0; i < b->count; i++) {
        const lode_value v = lode_bundle_value(b, i);
        if (v.kind != LODE_ARRAY || v.as.array->dtype == LODE_I64 || lode_i_value_bytes(v) < WAITS)
            continue;
        LODE_TRY(lode_i_spill(ctx, v, &s));
        lode_i_bundle_put_source(b, i, &s);
    }
done:
    LODE_FREE(&s);
    return st;
}

/* Whether exact values take less than they do plain, by a slab from the middle of a large array: the
 * answer must not depend on the memory that all of them would take. */
static lode_status pays(lode_ctx *ctx, const lode_call *whole, double bytes, bool *worth)
{
    lode_status st = LODE_OK;
    lode_source s = { 0 };
    lode_array x = { 0 };
    lode_call call = { .op = NULL };
    lode_bundle made = { 0 };
    int64_t start[LODE_MAX_NDIM] = { 0 }, count[LODE_MAX_NDIM];
    bool owned = false;
    LODE_TRY(lode_i_as_source(ctx, whole->in[0], &s, &owned));
    const double share = SAMPLE / bytes;
    *worth = true;
    if (share > 0.25 || s.ndim == 0 || !s.rewindable)
        goto done;
    double left = share; /* of the axes in order, the middle of each until it is that little */
    for (int k = 0; k < s.ndim; k++) {
        count[k] = lode_i_max(1, (int64_t)((double)s.shape[k] * fmin(left, 1)));
        start[k] = (s.shape[k] - count[k]) / 2;
        left *= (double)s.shape[k] / (double)count[k];
    }
    LODE_TRY(lode_i_source_read(ctx, &s, start, count, s.dtype, &x));
    LODE_TRY(lode_call_init(ctx, whole->op, &call));
    memcpy(call.opts, whole->opts, whole->op->opts_size);
    LODE_TRY(lode_call_input(ctx, &call, NULL, lode_from_array(&x)));
    LODE_TRY(lode_call_run(ctx, &call, &made));
    *worth = bytes_of_members(&made) < 0.95 * (double)lode_array_bytes(&x);
done:
    lode_call_free(&call);
    if (owned)
        LODE_FREE(&s);
    LODE_FREE(&x, &made);
    return st;
}

/* Whether the entries that were missing as a value, and they alone, come back as that value: an observed
 * one may have come to it. */
static lode_status keeps_places(lode_ctx *ctx, const lode_call *call, const lode_bundle *model,
                                double value, bool *kept)
{
    lode_status st = LODE_OK;
    lode_source before = { 0 }, after = { 0 };
    lode_array x = { 0 }, a = { 0 }, b = { 0 };
    int64_t start[LODE_MAX_NDIM] = { 0 }, count[LODE_MAX_NDIM] = { 0 };
    char was[72] = "", is[72] = "";
    int64_t n = 0;
    bool owned = false;
    *kept = true;
    LODE_TRY(lode_i_as_source(ctx, call->in[0], &before, &owned));
    LODE_TRY(lode_invert_source(ctx, model, &after));
    const int64_t rows = before.ndim ? before.shape[0] : 1;
    const int64_t step = before.ndim ? lode_i_source_slab(&after, SAMPLE) : 1;
    memcpy(count, before.shape, (size_t)before.ndim * sizeof *count);
    for (int64_t r = 0; r < rows && *kept; r += step) {
        start[0] = r, count[0] = lode_i_min(step, rows - r);
        LODE_TRY(lode_i_source_read(ctx, &before, start, count, LODE_F64, &x));
        LODE_TRY(lode_i_missing_find(ctx, &x, false, value, &a, &n));
        LODE_TRY(lode_i_source_read(ctx, &after, start, count, LODE_F64, &x));
        LODE_TRY(lode_i_missing_find(ctx, &x, false, value, &b, &n));
        LODE_TRY(lode_hash(ctx, lode_from_array(&a), was));
        LODE_TRY(lode_hash(ctx, lode_from_array(&b), is));
        *kept = strcmp(was, is) == 0;
        LODE_FREE(&x, &a, &b);
    }
done:
    if (owned)
        LODE_FREE(&before);
    LODE_FREE(&after, &x, &a, &b);
    return st;
}

/* The value that stands for missing, if one does. */
static bool missing_value(const lode_call *call, double *value)
{
    for (const lode_param *p = call->op->params; p->name; p++) {
        const lode_missing *m = p->kind == LODE_P_MISSING ? lode_i_at_param(call, p) : NULL;
        if (m && m->kind == LODE_MISSING_VALUE) {
            *value = m->value;
            return true;
        }
    }
    return false;
}

/* Steps of the packing that are coarser than the error asked for: rounding to them brings every value
 * back. */
static void tell_step(lode_ctx *ctx, const lode_i_whole *j, const char *name,
                      const lode_i_choice *c)
{
    const double step = lode_i_whole_step(j, name);
    const lode_error_spec *e = c->ruled   ? &c->error
                               : j->error ? lode_i_at_param(j->call, j->error)
                                          : NULL;
    if (c->fate == LODE_I_LOSSY && e && e->kind == LODE_ERROR_MAX && e->value < step)
        lode_i_log(ctx,
                   "%s: the file keeps it in steps of %g, coarser than the error %g asked for: "
                   "written back in them it is exact",
                   name, step, e->value);
}

/* made stays empty where the member is better kept as it is. */
static lode_status run_member(lode_ctx *ctx, const lode_i_whole *j, int64_t i,
                              const lode_i_choice *c, lode_bundle *made)
{
    lode_status st = LODE_OK;
    const lode_value v = lode_bundle_value(j->file, i);
    lode_call call = { .op = NULL };
    lode_bundle local = { 0 };
    LODE_TRY(lode_call_init(ctx, j->call->op, &call));
    LODE_TRY(lode_i_whole_options(ctx, j, lode_bundle_name(j->file, i), c, &call));
    LODE_TRY(lode_call_input(ctx, &call, NULL, v));
    bool worth = true;
    if (c->fate == LODE_I_EXACT)
        LODE_TRY(pays(ctx, &call, c->bytes, &worth));
    if (!worth)
        goto done;
    LODE_TRY(lode_call_run(ctx, &call, &local));
    double value = 0;
    if (c->fate == LODE_I_LOSSY && missing_value(&call, &value)) {
        LODE_TRY(keeps_places(ctx, &call, &local, value, &worth));
        if (!worth) {
            lode_i_choice exact = *c;
            exact.fate = lode_i_keeps_every_bit(call.op) ? LODE_I_EXACT : LODE_I_KEPT;
            lode_i_log(ctx,
                       "%s: values near %g, which stands for missing, would come back as it: kept "
                       "exactly",
                       lode_bundle_name(j->file, i), value);
            st = exact.fate == LODE_I_EXACT ? run_member(ctx, j, i, &exact, made) : LODE_OK;
            goto done;
        }
    }
    if (bytes_of_members(&local) + HEAD >= c->bytes) {
        st = LODE_OK; /* no bytes are won; as it is, every error asked for is met */
        goto done;
    }
    LODE_TRY(lode_hash(ctx, v, local.meta.input_hash));
    LODE_TRY(let_wait(ctx, &local));
    lode_bundle_swap(made, &local);
done:
    lode_call_free(&call);
    LODE_FREE(&local);
    return st;
}

lode_status lode_i_whole_run(lode_ctx *ctx, const lode_call *call, lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_i_whole j;
    lode_bundle all = { 0 }, made = { 0 };
    double bytes = 0;
    int64_t count = 0;
    lode_i_begin(ctx, call->op->name);
    LODE_TRY(lode_i_whole_open(ctx, call, &j));
    LODE_TRY(lode_i_whole_checkpoint(ctx, call, j.file));
    for (int64_t i = 0; i < j.file->count; i++) { /* before any work: rules that cannot be kept */
        lode_i_choice c;
        LODE_TRY(lode_i_whole_choose(ctx, &j, i, &c));
        count += c.fate != LODE_I_KEPT;
    }
    for (int64_t i = 0, done = 0; i < j.file->count; i++) {
        const char *name = lode_bundle_name(j.file, i);
        lode_i_choice c;
        LODE_TRY(lode_i_whole_choose(ctx, &j, i, &c));
        bytes += c.bytes;
        if (c.fate != LODE_I_KEPT) {
            LODE_TRY(lode_i_tick(ctx, done++, count));
            tell_step(ctx, &j, name, &c);
            const lode_status ran = run_member(ctx, &j, i, &c, &made);
            if (ran != LODE_OK)
                lode_i_prefix(ctx, "%s: ", name);
            LODE_TRY(ran);
        }
        if (made.count > 0)
            LODE_TRY(lode_bundle_add_bundle(ctx, &all, name, &made));
        else
            LODE_TRY(keep(ctx, &j, i, &all));
    }
    if (j.file->meta.attributes)
        LODE_TRY(lode_i_strdup(ctx, j.file->meta.attributes, &all.meta.attributes));
    snprintf(all.meta.version, sizeof all.meta.version, "%s", lode_version());
    all.meta.seed = ctx->seed;
    all.meta.input_bytes = (uint64_t)bytes;
    lode_bundle_swap(result, &all);
done:
    lode_i_end(ctx);
    lode_i_whole_close(&j);
    LODE_FREE(&all, &made);
    return st;
}

/* ---- the plan ---- */

static void join_plans(const lode_plan *one, lode_plan *all)
{
    const uint64_t need = one->workspace + one->resident;
    all->workspace = need > all->workspace ? need : all->workspace;
    all->output += one->output;
    all->passes = fmax(all->passes, one->passes);
    all->flops += one->flops, all->seconds += one->seconds;
    all->bytes_low += one->bytes_low, all->bytes_high += one->bytes_high;
    all->seconds_low += one->seconds_low, all->seconds_high += one->seconds_high;
    if (one->basis[0])
        memcpy(all->basis, one->basis, sizeof all->basis);
}

lode_status lode_i_whole_plan(lode_ctx *ctx, const lode_call *call, bool forecast, lode_plan *plan)
{
    lode_status st = LODE_OK;
    lode_i_whole j;
    lode_plan all = { .passes = 0 };
    lode_call one = { .op = NULL };
    int64_t lossy = 0, exact = 0;
    lode_i_begin(ctx, call->op->name);
    LODE_TRY(lode_i_whole_open(ctx, call, &j));
    for (int64_t i = 0; i < j.file->count; i++) {
        lode_i_choice c;
        LODE_TRY(lode_i_whole_choose(ctx, &j, i, &c));
        lossy += c.fate == LODE_I_LOSSY, exact += c.fate == LODE_I_EXACT;
        all.bytes_low += c.fate == LODE_I_KEPT ? c.bytes : 0;
        all.bytes_high += c.fate == LODE_I_KEPT ? c.bytes : 0;
        if (c.fate == LODE_I_KEPT)
            continue;
        LODE_TRY(lode_i_tick(ctx, i, j.file->count));
        LODE_TRY(lode_call_init(ctx, call->op, &one));
        LODE_TRY(lode_i_whole_options(ctx, &j, lode_bundle_name(j.file, i), &c, &one));
        LODE_TRY(lode_call_input(ctx, &one, NULL, lode_bundle_value(j.file, i)));
        const lode_status planned = forecast ? lode_call_forecast(ctx, &one)
                                             : lode_call_plan(ctx, &one);
        if (planned < 0)
            lode_i_prefix(ctx, "%s: ", lode_bundle_name(j.file, i));
        LODE_TRY(planned);
        join_plans(&one.plan, &all);
        lode_call_free(&one);
    }
    char words[128];
    snprintf(words, sizeof words,
             "%" PRId64 " of %" PRId64 " members to an error, %" PRId64 " exactly", lossy,
             j.file->count, exact);
    memcpy(all.algorithm, words, sizeof all.algorithm - 1);
    *plan = all;
done:
    lode_i_end(ctx);
    lode_call_free(&one);
    lode_i_whole_close(&j);
    return st;
}
