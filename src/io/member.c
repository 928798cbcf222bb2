/* The table of an open file's members: by number, by name through a hash table, checked sizes. */
#include "io/io.h"

#include <string.h>

void lode_i_member_clear(lode_i_member *m)
{
    lode_i_free(m->name);
    lode_i_free(m->note);
    lode_i_free(m->sums);
    lode_i_free(m->passed);
    lode_i_free(m->chunk);
    lode_i_infile_close(m->in);
    if (m->inner) {
        for (int64_t i = 0; i < m->inner->count; i++)
            lode_i_free(m->inner->name[i]);
        lode_i_free(m->inner->name);
        lode_bundle_free(&m->inner->head);
        lode_i_free(m->inner);
    }
}

/* Where a name is in the table, or where it would go. */
static int64_t place(const lode_file *f, const char *name, size_t length)
{
    uint64_t at = lode_i_checksum(name, length, 0);
    for (;; at++) {
        const int64_t i = f->slot[at & (uint64_t)(f->slots - 1)];
        if (i < 0 ||
            (strncmp(f->members[i].name, name, length) == 0 && f->members[i].name[length] == '\0'))
            return (int64_t)(at & (uint64_t)(f->slots - 1));
    }
}

lode_i_member *lode_i_member_find(const lode_file *f, const char *name)
{
    const int64_t i = f->slots ? f->slot[place(f, name, strlen(name))] : -1;
    return i < 0 ? NULL : &f->members[i];
}

lode_status lode_i_file_index(lode_ctx *ctx, lode_file *f)
{
    int64_t slots = 16, *slot = NULL;
    while (slots < 2 * f->capacity)
        slots *= 2;
    LODE_FORWARD(LODE_NEW(ctx, slots, &slot));
    for (int64_t i = 0; i < slots; i++)
        slot[i] = -1;
    lode_i_free(f->slot);
    f->slot = slot, f->slots = slots;
    for (int64_t i = 0; i < f->count; i++)
        slot[place(f, f->members[i].name, strlen(f->members[i].name))] = i;
    return LODE_OK;
}

lode_status lode_i_member_add(lode_ctx *ctx, lode_file *f, const char *name, size_t length,
                              lode_i_member **m)
{
    char *copy = NULL;
    if (memchr(name, '\0', length))
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "%s: the name of member %" PRId64 " holds a zero byte", f->path,
                           f->count);
    if (f->count == f->capacity) {
        const int64_t capacity = f->capacity ? f->capacity * 2 : 8;
        void *p = f->members;
        LODE_FORWARD(lode_i_realloc(ctx, (size_t)capacity * sizeof *f->members, &p));
        f->members = p;
        f->capacity = capacity;
    }
    if (f->slots < 2 * f->capacity)
        LODE_FORWARD(lode_i_file_index(ctx, f));
    const int64_t at = place(f, name, length);
    if (f->slot[at] >= 0)
        return lode_i_fail(ctx, LODE_EFORMAT, "%s: two members are named %s", f->path,
                           f->members[f->slot[at]].name);
    LODE_FORWARD(lode_i_alloc(ctx, length + 1, (void **)&copy));
    memcpy(copy, name, length);
    copy[length] = '\0';
    f->slot[at] = f->count;
    *m = &f->members[f->count++];
    memset(*m, 0, sizeof **m);
    (*m)->name = copy;
    (*m)->kind = LODE_ARRAY;
    (*m)->part[0] = (*m)->part[1] = (*m)->part[2] = -1;
    return LODE_OK;
}

lode_status lode_i_member_refuse(lode_ctx *ctx, lode_i_member *m, lode_dtype stands_for,
                                 const char *format, ...)
{
    char text[320];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    m->kind = LODE_NONE;
    m->dtype = stands_for;
    return lode_i_strdup(ctx, text, &m->note);
}

lode_status lode_i_shape_bytes(lode_ctx *ctx, const char *what, lode_dtype dtype, int ndim,
                               const int64_t *shape, uint64_t *bytes)
{
    const int64_t block = lode_dtype_block(dtype);
    int64_t n = (int64_t)lode_dtype_size(dtype);
    bool empty = false;
    for (int k = 0; k < ndim; k++) {
        if (shape[k] < 0)
            return lode_i_fail(ctx, LODE_EFORMAT, "%s: axis %d has %" PRId64 " values", what, k,
                               shape[k]);
        empty = empty || shape[k] == 0;
    }
    if (block > 1 && (ndim == 0 || shape[ndim - 1] % block))
        return lode_i_fail(ctx, LODE_EFORMAT, "%s: %s needs a last axis in blocks of %" PRId64,
                           what, lode_dtype_name(dtype), block);
    for (int k = 0; k < ndim && !empty; k++)
        if (!lode_i_mul(n, k == ndim - 1 ? shape[k] / block : shape[k], &n))
            return lode_i_fail(ctx, LODE_EFORMAT,
                               "%s: its shape, with %" PRId64
                               " in axis %d, is larger than any file",
                               what, shape[k], k);
    *bytes = empty ? 0 : (uint64_t)n;
    return LODE_OK;
}

lode_status lode_i_member_check(lode_ctx *ctx, const lode_i_member *m, const int64_t *start,
                                const int64_t *count)
{
    for (int k = 0; k < m->ndim; k++)
        if (start[k] < 0 || count[k] < 0 || start[k] > m->shape[k] - count[k])
            return lode_i_fail(ctx, LODE_ESHAPE,
                               "%s: values %" PRId64 " to %" PRId64
                               " of axis %d do not lie in its %" PRId64,
                               m->name, start[k], start[k] + count[k] - 1, k, m->shape[k]);
    return LODE_OK;
}

lode_status lode_i_file_show(lode_ctx *ctx, lode_file *f)
{
    LODE_FORWARD(LODE_NEW(ctx, f->count, &f->show));
    f->shown = 0;
    for (int64_t i = 0; i < f->count; i++)
        if (!f->members[i].hidden)
            f->show[f->shown++] = i;
    return LODE_OK;
}

bool lode_i_file_is_several(const lode_file *f)
{
    return f->shown + f->aside > 1;
}
