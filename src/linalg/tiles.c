/* Tiles: every transform along a mode that is not a product goes through them. */
#include "linalg/tiles.h"

#include <string.h>

/* SHARE: values of the tiles that one task does. */
enum { BLOCK = 16, SHARE = 1 << 17, ROOMS = 4 };
/* Values of a slab at most: with what it becomes, of a core's own cache. */
enum { SLAB = 1 << 17 };

typedef struct moved {
    const lode_i_tiles *t;
    void *from, *to;
    size_t size;
    int64_t given, taken;              /* entries of X and of Y */
    int64_t left, right, width, share; /* share: columns of a task */
    char *rooms;                       /* of each worker so many: */
    int64_t each;
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

/* Tiles of columns c0..last-1. */
static lode_status turn_columns(lode_ctx *ctx, const moved *m, int64_t c0, int64_t last)
{
    void *room[ROOMS];
    for (int i = 0; i < m->t->rooms; i++)
        room[i] = m->rooms + (size_t)(lode_i_worker(ctx) * m->each + i) * m->room;
    for (int64_t c = c0; c < last; c += m->width) {
        const int64_t count = lode_i_min(m->width, last - c),
                      width = lode_i_ceil_div(count, LODE_I_LANES) * LODE_I_LANES;
        move(m, c, count, width, room[0], true);
        LODE_FORWARD(m->t->turn(ctx, m->t->data, width, room));
        move(m, c, count, width, room[1], false);
    }
    return LODE_OK;
}

static lode_status task(lode_ctx *ctx, int64_t at, void *data)
{
    const moved *m = data;
    return turn_columns(ctx, m, at * m->share, lode_i_min(m->left * m->right, (at + 1) * m->share));
}

static void set_width(moved *m)
{
    m->width = lode_i_max(1, m->t->width / LODE_I_LANES) * LODE_I_LANES;
    m->width = lode_i_min(m->width,
                          lode_i_ceil_div(m->left * m->right, LODE_I_LANES) * LODE_I_LANES);
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
    set_width(&m);
    m.share = lode_i_max(1, SHARE / (t->n * m.width)) * m.width;
    m.room = (size_t)(t->n * m.width) * m.size;
    m.each = t->rooms;
    LODE_TRY(lode_i_new(ctx, lode_ctx_threads(ctx) * t->rooms, m.room, (void **)&m.rooms));
    LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(columns, m.share), task, &m));
done:
    lode_i_free(m.rooms);
    return st;
}

/* ---- several modes, slab after slab ---- */

typedef struct slabs {
    int count;
    moved step[LODE_MAX_NDIM]; /* left: of one slab */
    const char *from;
    char *to;
    size_t in, out;      /* bytes of a slab */
    int64_t lead, group; /* slabs; of a task */
    bool alike;          /* X and Y are of one shape: what lies between fits where Y goes */
    char *between;       /* else: two of each worker */
    size_t room;
} slabs;

static lode_status slab_task(lode_ctx *ctx, int64_t at, void *data)
{
    const slabs *w = data;
    const int64_t l0 = at * w->group, many = lode_i_min(w->group, w->lead - l0);
    char *const own = w->between + (size_t)(2 * lode_i_worker(ctx)) * w->room;
    char *from = (char *)(uintptr_t)w->from + (size_t)l0 * w->in, *to = from;
    for (int i = 0; i < w->count; i++, from = to) {
        moved m = w->step[i];
        to = w->alike || i == w->count - 1 ? w->to + (size_t)l0 * w->out
                                           : own + (size_t)(i % 2) * w->room;
        m.from = from, m.to = to;
        m.left *= many;
        set_width(&m);
        LODE_FORWARD(turn_columns(ctx, &m, 0, m.left * m.right));
    }
    return LODE_OK;
}

bool lode_i_slabs_fit(int ndim, const int64_t *x, const int64_t *y, int first)
{
    double most = 1; /* of what lies between, too */
    for (int k = first; k < ndim; k++)
        most *= (double)lode_i_max(x[k], y[k]);
    return first > 0 && ndim - first > 1 && most <= SLAB;
}

lode_status lode_i_slabs_into(lode_ctx *ctx, const char *what, const lode_array *X, int first,
                              const lode_i_tiles *t, lode_array *Y)
{
    lode_status st = LODE_OK;
    const int d = X->ndim;
    const size_t size = lode_dtype_size(X->dtype);
    slabs w = { .count = d - first, .from = X->data, .to = Y->data, .lead = 1, .alike = true };
    int64_t in = 1, out = 1, most = 1, rooms = 0;
    size_t room = 0;
    char *all = NULL;
    LODE_REQUIRE((X->dtype == LODE_F32 || X->dtype == LODE_F64) && X->dtype == Y->dtype &&
                     lode_array_is_contiguous(X) && lode_array_is_contiguous(Y) && d == Y->ndim &&
                     lode_i_slabs_fit(d, X->shape, Y->shape, first),
                 LODE_EINTERNAL, "%s: modes from %d of %d, or types", what, first, d);
    for (int k = 0; k < first; k++) {
        LODE_REQUIRE(X->shape[k] == Y->shape[k], LODE_EINTERNAL, "%s: %" PRId64 " or %" PRId64,
                     what, X->shape[k], Y->shape[k]);
        w.lead *= X->shape[k];
    }
    for (int k = first; k < d; k++) {
        moved *m = &w.step[k - first];
        *m = (moved){ .t = &t[k - first], .size = size, .left = 1, .right = 1 };
        m->given = X->shape[k], m->taken = Y->shape[k];
        LODE_REQUIRE(m->given <= m->t->n && m->taken <= m->t->n && m->t->n > 0, LODE_EINTERNAL,
                     "%s: %" PRId64 " entries to %" PRId64 " of %" PRId64, what, m->given, m->taken,
                     m->t->n);
        for (int j = first; j < d; j++)
            *(j < k ? &m->left : &m->right) *= j < k ? Y->shape[j] : j > k ? X->shape[j] : 1;
        in *= m->given, out *= m->taken, most *= lode_i_max(m->given, m->taken);
        w.alike = w.alike && m->given == m->taken;
    }
    if (w.lead == 0 || in == 0 || out == 0)
        goto done;
    w.in = (size_t)in * size, w.out = (size_t)out * size;
    w.group = lode_i_max(1, SLAB / 2 / most);
    for (int i = 0; i < w.count; i++) { /* rooms for the widest tile */
        moved m = w.step[i];
        m.left *= w.group;
        set_width(&m);
        const size_t bytes = (size_t)(m.t->n * m.width) * size;
        room = bytes > room ? bytes : room;
        rooms = lode_i_max(rooms, m.t->rooms);
    }
    w.room = w.alike ? 0 : (size_t)(most * w.group) * size;
    const int64_t workers = lode_ctx_threads(ctx);
    LODE_TRY(lode_i_new(ctx, workers, (size_t)(rooms + 2) * (room + w.room), (void **)&all));
    w.between = all + (size_t)(workers * rooms) * room;
    for (int i = 0; i < w.count; i++) {
        w.step[i].rooms = all;
        w.step[i].room = room;
        w.step[i].each = rooms;
    }
    LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(w.lead, w.group), slab_task, &w));
done:
    lode_i_free(all);
    return st;
}
