/* Parts that damage took, as a call meets them: named once, with their share of the whole. */
#include "base/state.h"

#include <string.h>

void lode_i_losses_clear(struct lode_state *state)
{
    lode_i_free(state->lost);
    state->lost = NULL;
    state->losses = state->lost_room = 0;
    state->lost_share = 0;
    state->lost_list[0] = '\0';
}

static lode_status tell(lode_ctx *ctx, const char *instead)
{
    const struct lode_state *s = ctx->state;
    const char *one = s->losses == 1 ? "s" : "";
    if (!(s->lost_share > 0)) /* of several things: no share of one whole */
        return lode_i_fail(ctx, LODE_LOST, "%" PRId64 " damaged part%s come%s back as %s: %s",
                           s->losses, *one ? "" : "s", one, instead, s->lost_list);
    return lode_i_fail(ctx, LODE_LOST,
                       "%" PRId64 " damaged part%s, %.3g%% of the whole, come%s back as %s: %s",
                       s->losses, *one ? "" : "s", 100 * s->lost_share, one, instead, s->lost_list);
}

lode_status lode_i_lost(lode_ctx *ctx, double share, const char *instead, const char *format, ...)
{
    struct lode_state *s = ctx->state;
    char where[256];
    va_list arguments;
    const int named = s && s->about ? snprintf(where, sizeof where, "%.100s ", s->about) : 0;
    va_start(arguments, format);
    const int size = vsnprintf(where + named, sizeof where - (size_t)named, format, arguments);
    va_end(arguments);
    if (!s || size < 0)
        return LODE_LOST;
    const size_t used = strlen(s->lost_list), room = sizeof s->lost_list - used;
    const uint64_t print = lode_i_checksum(where, strlen(where), 0);
    for (int64_t i = 0; i < s->losses; i++)
        if (s->lost[i] == print)
            return tell(ctx, instead);
    if (s->losses == s->lost_room) {
        const int64_t more = 2 * s->lost_room + 16;
        void *grown = s->lost;
        LODE_FORWARD(lode_i_realloc(ctx, (size_t)more * sizeof *s->lost, &grown));
        s->lost = grown, s->lost_room = more;
    }
    s->lost[s->losses++] = print;
    s->lost_share += s->about ? 0 : share;
    if (strlen(where) + 8 < room)
        snprintf(s->lost_list + used, room, "%s%s", used ? "; " : "", where);
    else if (room > 6 && (used < 3 || strcmp(s->lost_list + used - 3, "...") != 0))
        snprintf(s->lost_list + used, room, "; ...");
    return tell(ctx, instead);
}

const char *lode_i_about(lode_ctx *ctx, const char *name)
{
    const char *const before = ctx->state ? ctx->state->about : NULL;
    if (ctx->state)
        ctx->state->about = name;
    return before;
}

lode_status lode_i_with_losses(lode_ctx *ctx, lode_status st)
{
    return ctx->state && ctx->state->losses ? lode_i_worse(st, LODE_LOST) : st;
}
