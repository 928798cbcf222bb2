/* The context: handles, messages, cancelling, progress, and what calls hand down through it. */
#include "base/state.h"

#include <string.h>

/* ---- handles ---- */

lode_status lode_i_state_new(lode_budget *budget, struct lode_state **state)
{
    const lode_allocator *a = &budget->allocator;
    struct lode_state *s = a->alloc(a->data, sizeof *s);
    if (!s) {
        lode_i_budget_unref(budget);
        return LODE_ENOMEM;
    }
    memset(s, 0, sizeof *s);
    s->budget = budget;
    atomic_init(&s->cancel, 0);
    s->cancel_at = &s->cancel;
    *state = s;
    return LODE_OK;
}

void lode_i_state_free(struct lode_state *state)
{
    lode_budget *budget = state->budget;
    lode_i_pool_free(budget, state->pool);
    lode_i_journal_close(&state->journal);
    lode_i_losses_clear(state);
    budget->allocator.free(budget->allocator.data, state);
    lode_i_budget_unref(budget);
}

lode_status lode_ctx_init(lode_ctx *ctx, const lode_allocator *allocator)
{
    lode_budget *budget = NULL;
    *ctx = (lode_ctx){ .size = sizeof *ctx };
    LODE_FORWARD(lode_i_budget_new(allocator, &budget));
    LODE_FORWARD(lode_i_state_new(budget, &ctx->state));
    ctx->state->cores = lode_i_container_cores();
    return LODE_OK;
}

lode_status lode_ctx_share(const lode_ctx *ctx, lode_ctx *other)
{
    struct lode_state *from = ctx->state;
    if (!from) {
        *other = (lode_ctx){ .size = sizeof *other };
        return LODE_EUSAGE;
    }
    *other = *ctx;
    other->state = NULL;
    lode_i_budget_ref(from->budget);
    LODE_FORWARD(lode_i_state_new(from->budget, &other->state));
    other->state->cores = from->cores;
    other->state->registry = from->registry;
    other->state->comm = from->comm;
    return LODE_OK;
}

void lode_ctx_free(lode_ctx *ctx)
{
    if (!ctx || !ctx->state)
        return;
    lode_i_state_free(ctx->state);
    ctx->state = NULL;
}

int lode_ctx_threads(const lode_ctx *ctx)
{
    if (!ctx || !ctx->state || ctx->state->in_task)
        return 1;
    return ctx->threads > 0 ? ctx->threads : ctx->state->cores;
}

/* ---- messages ---- */

const char *lode_message(const lode_ctx *ctx)
{
    return ctx && ctx->state ? ctx->state->message : "";
}

lode_status lode_last_status(const lode_ctx *ctx)
{
    return ctx && ctx->state ? ctx->state->status : LODE_OK;
}

/* A sentence cut short ends in "...", and not inside a character of several bytes. */
static void shorten(char *text, size_t room, int wanted)
{
    if (wanted < 0) {
        *text = '\0';
        return;
    }
    if ((size_t)wanted < room)
        return;
    size_t end = room - 4;
    while (end > 0 && ((unsigned char)text[end] & 0xC0) == 0x80)
        end--;
    memcpy(text + end, "...", 4);
}

lode_status lode_i_fail(lode_ctx *ctx, lode_status st, const char *format, ...)
{
    if (!ctx || !ctx->state)
        return st;
    struct lode_state *s = ctx->state;
    char text[LODE_I_MESSAGE]; /* the arguments may point into the old message */
    va_list arguments;
    va_start(arguments, format);
    shorten(text, sizeof text, vsnprintf(text, sizeof text, format, arguments));
    va_end(arguments);
    memcpy(s->message, text, sizeof text);
    s->status = st;
    return st;
}

void lode_i_prefix(lode_ctx *ctx, const char *format, ...)
{
    if (!ctx || !ctx->state)
        return;
    struct lode_state *s = ctx->state;
    char prefix[LODE_I_MESSAGE / 4], text[LODE_I_MESSAGE];
    va_list arguments;
    va_start(arguments, format);
    shorten(prefix, sizeof prefix, vsnprintf(prefix, sizeof prefix, format, arguments));
    va_end(arguments);
    if (strncmp(s->message, prefix, strlen(prefix)) == 0)
        return;
    shorten(text, sizeof text, snprintf(text, sizeof text, "%s%s", prefix, s->message));
    memcpy(s->message, text, sizeof text);
}

void lode_i_log(lode_ctx *ctx, const char *format, ...)
{
    if (!ctx || !ctx->log)
        return;
    char text[LODE_I_MESSAGE];
    va_list arguments;
    va_start(arguments, format);
    shorten(text, sizeof text, vsnprintf(text, sizeof text, format, arguments));
    va_end(arguments);
    ctx->log(ctx->log_data, text);
}

/* ---- cancelling and progress ---- */

void lode_ctx_cancel(lode_ctx *ctx)
{
    if (ctx && ctx->state)
        atomic_store_explicit(ctx->state->cancel_at, 1, memory_order_relaxed);
}

lode_status lode_i_cancelled(lode_ctx *ctx)
{
    if (!ctx->state || !atomic_load_explicit(ctx->state->cancel_at, memory_order_relaxed))
        return LODE_OK;
    return lode_i_fail(ctx, LODE_ECANCEL, "interrupted; outputs are as they were before the call");
}

static lode_frame *top(struct lode_state *s)
{
    const int depth = s->depth > LODE_I_FRAMES ? LODE_I_FRAMES : s->depth;
    return &s->frame[depth > 0 ? depth - 1 : 0];
}

static lode_frame window(double low, double high)
{
    return (lode_frame){ "", low, high, low, high, low, high, 0, false };
}

void lode_i_begin(lode_ctx *ctx, const char *op)
{
    struct lode_state *s = ctx->state;
    if (!s)
        return;
    if (s->depth == 0) {
        atomic_store_explicit(s->cancel_at, 0, memory_order_relaxed);
        s->message[0] = '\0';
        s->status = LODE_OK;
        lode_i_losses_clear(s);
        s->op = op;
        s->began = lode_i_seconds();
        s->fraction = 0;
        s->stage_began = s->advanced = s->began;
        s->stage_from = s->ends = 0;
        s->told = false;
        s->frame[0] = window(0, 1);
        lode_i_spare_open(s->budget);
    } else if (s->depth < LODE_I_FRAMES) {
        const lode_frame *outer = top(s);
        s->frame[s->depth] = window(outer->step_from, outer->step_to);
        s->frame[s->depth].inner = outer->inner;
    }
    s->depth++;
}

void lode_i_end(lode_ctx *ctx)
{
    struct lode_state *s = ctx->state;
    if (s && s->depth > 0 && --s->depth == 0) {
        lode_i_journal_close(&s->journal);
        s->journal_paused = false;
        lode_i_spare_close(s->budget);
    }
}

void lode_i_nest(lode_ctx *ctx)
{
    if (!ctx->state || ctx->state->depth == 0)
        return;
    lode_i_begin(ctx, "");
    top(ctx->state)->inner = true;
}

void lode_i_unnest(lode_ctx *ctx)
{
    if (ctx->state && ctx->state->depth > 1)
        lode_i_end(ctx);
}

static double within(double low, double high, double part)
{
    part = part > 0 ? (part < 1 ? part : 1) : 0; /* NaN becomes 0 */
    return low + (high - low) * part;
}

void lode_i_stage(lode_ctx *ctx, const char *stage, double from, double to)
{
    struct lode_state *s = ctx->state;
    if (!s || s->in_task || s->depth > LODE_I_FRAMES)
        return;
    lode_frame *f = top(s);
    f->stage = stage ? stage : "";
    f->step_from = f->from = within(f->low, f->high, from);
    f->step_to = f->to = within(f->low, f->high, to);
    f->unit = 0;
    if (!f->inner && ctx->progress) { /* rates of the stage before say little of this one's */
        s->stage_began = lode_i_seconds();
        s->stage_from = f->from > s->fraction ? f->from : s->fraction;
    }
}

static void advance(lode_ctx *ctx, double to)
{
    struct lode_state *s = ctx->state;
    if (!(to > s->fraction))
        return;
    s->fraction = to;
    if (ctx->progress)
        s->advanced = lode_i_seconds();
}

void lode_i_work(lode_ctx *ctx, const char *stage, double work, double rest)
{
    struct lode_state *s = ctx->state;
    if (!s || s->in_task || s->depth > LODE_I_FRAMES)
        return;
    lode_frame *f = top(s);
    const bool first = !(f->unit > 0);
    const double from = first ? f->low : f->to, all = work + rest,
                 unit = all > 0 ? (f->high - from) / all : 0;
    if (!first)
        advance(ctx, from);
    if (unit > 0 && first && !f->inner && ctx->progress) {
        s->stage_began = s->advanced = lode_i_seconds();
        s->stage_from = from > s->fraction ? from : s->fraction;
    } else if (unit > 0 && !first) { /* what is done takes as much more or less of the whole */
        s->stage_from = s->fraction - (s->fraction - s->stage_from) * unit / f->unit;
    }
    f->unit = unit > 0 ? unit : f->unit;
    f->stage = stage ? stage : "";
    f->step_from = f->from = from;
    f->step_to = f->to = within(from, f->high, all > 0 ? work / all : 0);
}

/* Time left, by what the outermost stage has done; between two steps it runs down. */
static double left(struct lode_state *s, double now)
{
    const double took = s->advanced - s->stage_began, done = s->fraction - s->stage_from;
    if (s->depth > 0 && done >= 0.01 && took >= 0.2)
        s->ends = s->advanced + took * (1 - s->fraction) / done;
    return s->ends > 0 ? (s->ends > now ? s->ends - now : 0) : -1;
}

static const char *innermost_stage(const struct lode_state *s)
{
    const int depth = s->depth > LODE_I_FRAMES ? LODE_I_FRAMES : s->depth;
    for (int i = depth - 1; i >= 0; i--)
        if (*s->frame[i].stage)
            return s->frame[i].stage;
    return "";
}

static lode_status report(lode_ctx *ctx, bool always)
{
    struct lode_state *s = ctx->state;
    if (!ctx->progress)
        return LODE_OK;
    const double now = lode_i_seconds();
    if (!always && s->told && now - s->reported < 0.05)
        return LODE_OK;
    s->told = true;
    s->reported = now;
    const double spent = s->depth > 0 ? now - s->began : 0;
    const lode_progress p = { s->op ? s->op : "", innermost_stage(s), s->fraction, spent,
                              left(s, now) };
    if (ctx->progress(ctx->progress_data, &p))
        lode_ctx_cancel(ctx);
    return lode_i_cancelled(ctx);
}

lode_status lode_i_tick(lode_ctx *ctx, int64_t done, int64_t total)
{
    struct lode_state *s = ctx->state;
    if (!s)
        return LODE_OK;
    LODE_FORWARD(lode_i_cancelled(ctx));
    if (s->in_task)
        return s->tick_always ? LODE_OK : report(ctx, false);
    if (s->depth <= LODE_I_FRAMES) {
        lode_frame *f = top(s);
        const double n = total > 0 ? (double)total : 1;
        f->step_from = within(f->from, f->to, (double)done / n);
        f->step_to = within(f->from, f->to, ((double)done + 1) / n);
        advance(ctx, f->step_from);
    }
    return report(ctx, s->tick_always);
}

lode_status lode_i_report_part(lode_ctx *ctx, int64_t done, int64_t total)
{
    struct lode_state *s = ctx->state;
    if (!ctx->progress || s->tick_always)
        return LODE_OK;
    const lode_frame *f = top(s);
    advance(ctx, within(f->step_from, f->step_to, (double)done / (double)total));
    return report(ctx, false);
}

void lode_i_set_tick_always(lode_ctx *ctx, bool always)
{
    ctx->state->tick_always = always;
}

/* ---- communicator of one process ---- */

static lode_status sum_alone(lode_ctx *ctx, const lode_comm *comm, void *values, int64_t count,
                             bool single)
{
    (void)ctx, (void)comm, (void)values, (void)count, (void)single;
    return LODE_OK;
}

static lode_status broadcast_alone(lode_ctx *ctx, const lode_comm *comm, void *bytes, size_t size,
                                   int root)
{
    (void)ctx, (void)comm, (void)bytes, (void)size, (void)root;
    return LODE_OK;
}

const lode_comm *lode_i_comm(const lode_ctx *ctx)
{
    static const lode_comm alone = { 0, 1, sum_alone, broadcast_alone, NULL };
    return ctx && ctx->state && ctx->state->comm ? ctx->state->comm : &alone;
}

/* ---- handed down ---- */

void lode_i_hand_plan(lode_ctx *ctx, const struct lode_op *op, struct lode_plan *plan)
{
    if (!ctx->state)
        return;
    ctx->state->handed_op = op;
    ctx->state->handed_plan = plan;
}

struct lode_plan *lode_i_handed_plan(lode_ctx *ctx, const struct lode_op *op)
{
    return ctx->state && op && ctx->state->handed_op == op ? ctx->state->handed_plan : NULL;
}

const struct lode_op *const *lode_i_registry(const lode_ctx *ctx)
{
    return ctx && ctx->state ? ctx->state->registry : NULL;
}

void lode_i_set_registry(lode_ctx *ctx, const struct lode_op *const *ops)
{
    if (ctx->state)
        ctx->state->registry = ops;
}

#ifdef LODE_BREAKABLE
bool lode_i_broken(const lode_ctx *ctx, const char *slug)
{
    return ctx->broken && strcmp(ctx->broken, slug) == 0;
}
#endif
