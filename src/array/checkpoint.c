/* Steps of a call in its checkpoint: a few numbers and arrays each, told apart by a key over the place
 * in the code that keeps them and what they are made of. */
#include <string.h>

#include "array/array.h"

/* What is kept of an array before its values. */
typedef struct form {
    int64_t dtype, ndim, shape[LODE_MAX_NDIM];
} form;

uint64_t lode_i_step_key(uint64_t key, const char *what, const int64_t *numbers, int count)
{
    key = lode_i_checksum(what, strlen(what), key);
    return count > 0 ? lode_i_checksum(numbers, (size_t)count * sizeof *numbers, key) : key;
}

lode_status lode_i_step_key_array(lode_ctx *ctx, const lode_array *a, uint64_t *key)
{
    lode_array whole = { 0 };
    LODE_FORWARD(lode_i_as(ctx, a, a->dtype, &whole));
    *key = lode_i_checksum(whole.shape, (size_t)whole.ndim * sizeof *whole.shape, *key);
    *key = lode_i_checksum(whole.data, lode_array_bytes(&whole), *key + (uint64_t)whole.dtype);
    lode_array_free(&whole);
    return LODE_OK;
}

/* The first bit: in the middle. */
#define MIDDLE (UINT64_C(1) << 63)

static uint64_t tag_of(const lode_i_step *s)
{
    const uint64_t key = lode_i_step_key(s->key, s->site, (const int64_t[]){ s->count, s->n }, 2);
    return s->middle ? key | MIDDLE : key & ~MIDDLE;
}

/* Begins to read the next record; what stands for the middle of this step is passed over where the
 * step itself follows. left: bytes behind the tag, negative: it is another record, or none. */
static lode_status find(lode_ctx *ctx, lode_journal *j, const lode_i_step *s, int64_t *left)
{
    const lode_i_place place = lode_i_journal_place(j);
    const uint64_t wanted = tag_of(s);
    for (;;) {
        uint64_t tag = 0;
        LODE_FORWARD(lode_i_journal_next(ctx, j, left));
        *left -= (int64_t)sizeof tag;
        if (*left >= 0)
            LODE_FORWARD(lode_i_journal_read(ctx, j, &tag, sizeof tag));
        if (*left >= 0 && tag == wanted)
            return LODE_OK;
        if (*left < 0 || s->middle || !(tag & MIDDLE))
            break;
        lode_i_journal_take(j);
    }
    lode_i_journal_return(j, place);
    *left = -1;
    return LODE_OK;
}

static lode_status read_array(lode_ctx *ctx, lode_journal *j, int64_t *left, lode_array *a)
{
    form f;
    *left -= (int64_t)sizeof f;
    if (*left < 0)
        return lode_i_fail(ctx, LODE_EFORMAT, "a checkpoint's record ends inside an array");
    LODE_FORWARD(lode_i_journal_read(ctx, j, &f, sizeof f));
    if (f.dtype < 0 || f.dtype >= LODE_DTYPE_COUNT || f.ndim < 0 || f.ndim > LODE_MAX_NDIM)
        return lode_i_fail(ctx, LODE_EFORMAT, "a checkpoint's record holds no array");
    LODE_FORWARD(lode_array_new(ctx, (lode_dtype)f.dtype, (int)f.ndim, f.shape, a));
    const size_t bytes = lode_array_bytes(a);
    *left -= (int64_t)bytes;
    return lode_i_journal_read(ctx, j, a->data, bytes);
}

lode_status lode_i_restore(lode_ctx *ctx, const lode_i_step *s, bool *found)
{
    lode_status st = LODE_OK;
    lode_journal *j = lode_i_checkpoint(ctx);
    lode_array local[LODE_I_STEP_ARRAYS] = { { 0 } };
    int64_t left = 0;
    *found = false;
    if (!j)
        return LODE_OK;
    LODE_TRY(find(ctx, j, s, &left));
    left -= s->count * (int64_t)sizeof *s->number;
    if (left < 0) /* this call goes another way from here */
        goto done;
    if (s->count > 0)
        LODE_TRY(lode_i_journal_read(ctx, j, s->number, (size_t)s->count * sizeof *s->number));
    for (int i = 0; i < s->n; i++)
        LODE_TRY(read_array(ctx, j, &left, &local[i]));
    for (int i = 0; i < s->n; i++)
        lode_array_swap(s->array[i], &local[i]);
    lode_i_journal_take(j);
    lode_i_checkpoint_taken(ctx);
    *found = true;
done:
    for (int i = 0; i < s->n; i++)
        lode_array_free(&local[i]);
    return st;
}

static lode_status keep(lode_ctx *ctx, const lode_i_step *s)
{
    lode_status st = LODE_OK;
    lode_journal *j = lode_i_checkpoint(ctx);
    lode_array whole = { 0 };
    const uint64_t tag = tag_of(s);
    uint64_t size = sizeof tag + (uint64_t)s->count * sizeof *s->number;
    if (!j)
        return LODE_OK;
    for (int i = 0; i < s->n; i++)
        size += sizeof(form) + lode_array_bytes(s->array[i]);
    LODE_TRY(lode_i_journal_begin(ctx, j, size));
    LODE_TRY(lode_i_journal_write(ctx, j, &tag, sizeof tag));
    LODE_TRY(lode_i_journal_write(ctx, j, s->number, (size_t)s->count * sizeof *s->number));
    for (int i = 0; i < s->n; i++) {
        const lode_array *a = s->array[i];
        form f = { .dtype = a->dtype, .ndim = a->ndim };
        memcpy(f.shape, a->shape, (size_t)a->ndim * sizeof *f.shape);
        LODE_TRY(lode_i_as(ctx, a, a->dtype, &whole));
        LODE_TRY(lode_i_journal_write(ctx, j, &f, sizeof f));
        LODE_TRY(lode_i_journal_write(ctx, j, whole.data, lode_array_bytes(&whole)));
        lode_array_free(&whole);
    }
    LODE_TRY(lode_i_journal_end(ctx, j));
done:
    lode_array_free(&whole);
    return st;
}

/* A full disk takes the net away, not the work. */
lode_status lode_i_keep(lode_ctx *ctx, const lode_i_step *s)
{
    const lode_status st = keep(ctx, s);
    if (st != LODE_EIO)
        return st;
    lode_i_checkpoint_give_up(ctx);
    return LODE_OK;
}

/* ---- passes ---- */

static lode_i_step step_of_pass(const char *site, void *state, size_t size, bool middle)
{
    return (lode_i_step){ .site = site,
                          .number = state, /* bytes: never read as what they are not */
                          .count = (int)(size / sizeof(double)),
                          .middle = middle };
}

lode_status lode_i_restore_pass(lode_ctx *ctx, const char *site, void *state, size_t size,
                                bool *done)
{
    const lode_i_step whole = step_of_pass(site, state, size, false),
                      part = step_of_pass(site, state, size, true);
    bool found = true;
    LODE_FORWARD(lode_i_restore(ctx, &whole, done));
    while (found && !*done)
        LODE_FORWARD(lode_i_restore(ctx, &part, &found));
    return LODE_OK;
}

lode_status lode_i_keep_pass(lode_ctx *ctx, const char *site, void *state, size_t size, bool done)
{
    const lode_i_step step = step_of_pass(site, state, size, !done);
    return done || lode_i_checkpoint_due(ctx, (double)size) ? lode_i_keep(ctx, &step) : LODE_OK;
}
