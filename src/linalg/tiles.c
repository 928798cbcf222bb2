/* Tiles: every transform along a mode that is not a product goes through them. */
#include "linalg/tiles.h"

#include <string.h>

/* SHARE: values of the tiles that one task does. */
enum { BLOCK = 16, SHARE = 1 << 17, ROOMS = 4 };

typedef struct moved {
    const lode_i_tiles *t;
    void *from, *to;
    size_t size;
    int64_t given, taken;              /* entries of X and of Y */
    int64_t left, right, width, share; /* share: columns of a task */
    char *rooms;                       /* of each worker */
    size_t room;
} moved;

#define T float
#define NAME(x) x##_f32
#include "linalg/tiles_kernel.inc"
#undef T
#undef NAME
#define T double
#define NAME(x) x##_f64
#include "linalg/tiles_kernel.inc"
#undef T
#undef NAME

static void move(const moved *m, int64_t c0, int64_t count, int64_t width, void *tile, bool in)
{
    (m->size == sizeof(float) ? move_f32 : move_f64)(m, c0, count, width, tile, in);
}

static lode_status task(lode_ctx *ctx, int64_t at, void *data)
{
    const moved *m = data;
    const int64_t last = lode_i_min(m->left * m->right, (at + 1) * m->share);
    void *room[ROOMS];
    for (int i = 0; i < m->t->rooms; i++)
        room[i] = m->rooms + (size_t)(lode_i_worker(ctx) * m->t->rooms + i) * m->room;
    for (int64_t c = at * m->share; c < last; c += m->width) {
        const int64_t count = lode_i_min(m->width, last - c),
                      width = lode_i_ceil_div(count, LODE_I_LANES) * LODE_I_LANES;
        move(m, c, count, width, room[0], true);
        LODE_FORWARD(m->t->turn(ctx, m->t->data, width, room));
        move(m, c, count, width, room[1], false);
    }
    return LODE_OK;
}

lode_status lode_i_tiles_into(lode_ctx *ctx, const char *what, const lode_array *X, int mode,
                              const lode_i_tiles *t, lode_array *Y)
{
    lode_status st = LODE_OK;
    moved m = { .t = t, .from = X->data, .to = Y->data, .size = lode_dtype_size(X->dtype) };
    LODE_REQUIRE((X->dtype == LODE_F32 || X->dtype == LODE_F64) && X->dtype == Y->dtype &&
                     lode_array_is_contiguous(X) && lode_array_is_contiguous(Y) && mode >= 0 &&
                     mode < X->ndim && X->ndim == Y->ndim,
                 LODE_EINTERNAL, "%s: mode %d of %d axes, or types", what, mode, X->ndim);
    lode_i_split_mode(X, mode, &m.left, &m.given, &m.right);
    m.taken = Y->shape[mode];
    LODE_REQUIRE(m.given <= t->n && m.taken <= t->n &&
                     lode_array_size(Y) == m.left * m.taken * m.right,
                 LODE_EINTERNAL, "%s: %" PRId64 " entries to %" PRId64 " of %" PRId64, what,
                 m.given, m.taken, t->n);
    const int64_t columns = m.left * m.right;
    if (columns == 0 || t->n == 0)
        goto done;
    m.width = lode_i_max(1, t->width / LODE_I_LANES) * LODE_I_LANES;
    m.width = lode_i_min(m.width, lode_i_ceil_div(columns, LODE_I_LANES) * LODE_I_LANES);
    m.share = lode_i_max(1, SHARE / (t->n * m.width)) * m.width;
    m.room = (size_t)(t->n * m.width) * m.size;
    LODE_TRY(lode_i_new(ctx, lode_ctx_threads(ctx) * t->rooms, m.room, (void **)&m.rooms));
    LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(columns, m.share), task, &m));
done:
    lode_i_free(m.rooms);
    return st;
}
