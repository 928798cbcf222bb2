/* The frame of a file as a value: made from what was cut out, read back, and made a file again. */
#include "io/frame.h"

#include <stdlib.h>
#include <string.h>

enum { FIXED = 24, PIECE = 1 << 16, ZEROS = 256, EXTENTS_MAX = 1 << 24, HEAD_MAX = 1 << 28 };
static const char magic[8] = { 'l', 'o', 'd', 'e', 'f', 'r', 'a', 'm' };

void lode_i_frame_free(lode_i_frame *f)
{
    for (int64_t i = 0; i < f->count; i++) {
        lode_i_free(f->member[i].name);
        lode_i_free(f->member[i].path);
    }
    lode_i_free(f->member);
    lode_i_free(f->extent);
    *f = (lode_i_frame){ .size = 0 };
}

lode_status lode_i_frame_cut(lode_ctx *ctx, lode_i_frame *f, uint64_t at, uint64_t size)
{
    if (size == 0)
        return LODE_OK;
    if (f->extents > 0 && f->extent[f->extents - 1].at + f->extent[f->extents - 1].size == at) {
        f->extent[f->extents - 1].size += size;
        return LODE_OK;
    }
    if (f->extents == f->extents_capacity) {
        void *p = f->extent;
        const int64_t room = 2 * f->extents_capacity + 16;
        LODE_FORWARD(lode_i_realloc(ctx, (size_t)room * sizeof *f->extent, &p));
        f->extent = p, f->extents_capacity = room;
    }
    f->extent[f->extents++] = (lode_i_extent){ at, size };
    return LODE_OK;
}

lode_status lode_i_frame_member(lode_ctx *ctx, lode_i_frame *f, const char *name, const char *path,
                                lode_i_framed **m)
{
    if (f->count == f->capacity) {
        void *p = f->member;
        const int64_t room = 2 * f->capacity + 16;
        LODE_FORWARD(lode_i_realloc(ctx, (size_t)room * sizeof *f->member, &p));
        f->member = p, f->capacity = room;
    }
    *m = &f->member[f->count++];
    **m = (lode_i_framed){ .cut = false };
    LODE_FORWARD(lode_i_strdup(ctx, name, &(*m)->name));
    return lode_i_strdup(ctx, path && strcmp(path, name) != 0 ? path : "", &(*m)->path);
}

lode_value lode_i_output_find(const lode_i_output *out, const char *name)
{
    for (int64_t i = 0; i < out->count; i++)
        if (strcmp(out->items[i].name, name) == 0)
            return out->items[i].value;
    return lode_none();
}

/* ---- as a value ---- */

static int by_place(const void *a, const void *b)
{
    const lode_i_extent *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

/* One piece that was not cut, without its long runs of zeros. */
static lode_status keep_piece(lode_ctx *ctx, lode_infile *in, lode_i_frame *kept, uint64_t at,
                              uint64_t size, unsigned char *buffer)
{
    for (uint64_t end = at + size; at < end;) {
        const size_t n = end - at < PIECE ? (size_t)(end - at) : PIECE;
        LODE_FORWARD(lode_i_cancelled(ctx));
        LODE_FORWARD(lode_i_infile_read(ctx, in, at, buffer, n));
        size_t from = 0, zeros = 0;
        for (size_t i = 0; i <= n; i++) {
            if (i < n && buffer[i] == 0) {
                zeros++;
                continue;
            }
            if (zeros >= ZEROS || (i == n && zeros > 0 && zeros == n)) {
                LODE_FORWARD(lode_i_frame_cut(ctx, kept, at + from, i - zeros - from));
                from = i;
            }
            zeros = 0;
        }
        LODE_FORWARD(lode_i_frame_cut(ctx, kept, at + from, n - from));
        at += n;
    }
    return LODE_OK;
}

/* What was cut out becomes what is kept. */
static lode_status complement(lode_ctx *ctx, lode_infile *in, lode_i_frame *f)
{
    lode_status st = LODE_OK;
    lode_i_frame kept = { .size = 0 };
    unsigned char *buffer = NULL;
    uint64_t at = 0;
    LODE_TRY(lode_i_alloc(ctx, PIECE, (void **)&buffer));
    if (f->extents > 0)
        qsort(f->extent, (size_t)f->extents, sizeof *f->extent, by_place);
    for (int64_t i = 0; i <= f->extents; i++) {
        const uint64_t to = i < f->extents && f->extent[i].at < f->size ? f->extent[i].at : f->size;
        if (to > at)
            LODE_TRY(keep_piece(ctx, in, &kept, at, to - at, buffer));
        if (i < f->extents && f->extent[i].size <= UINT64_MAX - f->extent[i].at &&
            f->extent[i].at + f->extent[i].size > at)
            at = f->extent[i].at + f->extent[i].size;
    }
    lode_i_free(f->extent);
    f->extent = kept.extent, f->extents = kept.extents, f->extents_capacity = kept.extents_capacity;
    kept.extent = NULL;
done:
    lode_i_free(buffer);
    lode_i_free(kept.extent);
    return st;
}

static lode_status describe(lode_ctx *ctx, const lode_file *f, const lode_i_frame *frame,
                            char **text)
{
    lode_status st = LODE_OK;
    lode_json *root = lode_i_json_object(), *list = lode_i_json_object(), *o = NULL, *given = NULL;
    LODE_TRY(lode_i_json_set(ctx, root, "format", lode_i_json_text(f->format->name)));
    LODE_TRY(lode_i_json_set(ctx, root, "size", lode_i_json_i64((int64_t)frame->size)));
    for (int64_t i = 0; i < frame->count; i++) {
        const lode_i_framed *m = &frame->member[i];
        o = lode_i_json_object();
        LODE_TRY(lode_i_json_set(ctx, o, "cut", lode_i_json_bool(m->cut)));
        if (*m->path)
            LODE_TRY(lode_i_json_set(ctx, o, "path", lode_i_json_text(m->path)));
        if (m->has_code)
            LODE_TRY(lode_i_json_set(ctx, o, "missing", lode_i_json_f64(m->code)));
        given = o, o = NULL;
        LODE_TRY(lode_i_json_set(ctx, list, m->name, given));
    }
    given = list, list = NULL;
    LODE_TRY(lode_i_json_set(ctx, root, "members", given));
    LODE_TRY(lode_i_json_print(ctx, root, 0, text));
done:
    lode_i_json_free(root);
    lode_i_json_free(list);
    lode_i_json_free(o);
    return st;
}

/* The value of an open file. */
typedef struct held {
    lode_file *file;
    lode_i_frame frame;
    unsigned char *head;
    uint64_t *before; /* bytes of the value before each extent */
} held;

static void held_close(void *data)
{
    held *h = data;
    lode_file_close(&h->file);
    lode_i_frame_free(&h->frame);
    lode_i_free(h->head);
    lode_i_free(h->before);
    lode_i_free(h);
}

static lode_status held_read(lode_ctx *ctx, const lode_source *s, const int64_t *start,
                             const int64_t *count, void *dst)
{
    const held *h = s->data;
    const lode_i_frame *f = &h->frame;
    unsigned char *to = dst;
    uint64_t at = (uint64_t)start[0], left = (uint64_t)count[0];
    if (at < f->head && left > 0) {
        const uint64_t n = left < f->head - at ? left : f->head - at;
        memcpy(to, h->head + at, (size_t)n);
        at += n, to += n, left -= n;
    }
    int64_t low = 0, high = f->extents; /* the extent that `at` lies in */
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        if (h->before[middle] <= at)
            low = middle;
        else
            high = middle;
    }
    for (int64_t i = low; left > 0; i++) {
        const uint64_t skip = at - h->before[i], rest = f->extent[i].size - skip;
        const uint64_t n = left < rest ? left : rest;
        LODE_FORWARD(lode_i_infile_read(ctx, h->file->in, f->extent[i].at + skip, to, (size_t)n));
        at += n, to += n, left -= n;
    }
    return LODE_OK;
}

/* Head and table of places. */
static lode_status settle(lode_ctx *ctx, held *h)
{
    lode_status st = LODE_OK;
    lode_i_frame *f = &h->frame;
    char *text = NULL;
    LODE_TRY(describe(ctx, h->file, f, &text));
    const uint64_t words = strlen(text);
    f->head = FIXED + words + 16 * (uint64_t)f->extents;
    LODE_TRY(lode_i_alloc(ctx, (size_t)f->head, (void **)&h->head));
    LODE_TRY(LODE_NEW(ctx, f->extents + 1, &h->before));
    memcpy(h->head, magic, sizeof magic);
    lode_i_store(h->head + 8, words, 8);
    lode_i_store(h->head + 16, (uint64_t)f->extents, 8);
    memcpy(h->head + FIXED, text, (size_t)words);
    uint64_t at = f->head;
    for (int64_t i = 0; i < f->extents; i++) {
        unsigned char *const p = h->head + FIXED + words + 16 * (uint64_t)i;
        lode_i_store(p, f->extent[i].at, 8), lode_i_store(p + 8, f->extent[i].size, 8);
        h->before[i] = at;
        at += f->extent[i].size;
    }
    h->before[f->extents] = at;
done:
    lode_i_free(text);
    return st;
}

lode_status lode_i_frame_add(lode_ctx *ctx, lode_file *f, lode_bundle *into)
{
    lode_status st = LODE_OK;
    lode_source s = { 0 };
    held *h = NULL;
    bool has = true;
    lode_i_member *const stored = lode_i_member_find(f, LODE_I_FRAME);
    if (stored) /* of a .lode file */
        return f->format->bundles ? lode_i_file_add(ctx, f, stored, false, LODE_I_FRAME, into)
                                  : LODE_OK;
    if (!f->format->frame || f->head.meta.op[0] || !f->in)
        return LODE_OK;
    LODE_TRY(lode_i_calloc(ctx, sizeof *h, (void **)&h));
    h->frame.size = lode_i_infile_size(f->in);
    LODE_TRY(f->format->frame(ctx, f, &h->frame, &has));
    if (!has)
        goto done;
    h->file = lode_i_file_ref(f);
    LODE_TRY(complement(ctx, f->in, &h->frame));
    LODE_TRY(settle(ctx, h));
    s = (lode_source){ .dtype = LODE_U8,
                       .ndim = 1,
                       .shape = { (int64_t)h->before[h->frame.extents] },
                       .rewindable = true,
                       .concurrent = true,
                       .read = held_read,
                       .close = held_close,
                       .data = h };
    h = NULL;
    LODE_TRY(lode_bundle_add_source(ctx, into, LODE_I_FRAME, &s));
done:
    if (h)
        held_close(h);
    lode_source_close(&s);
    return st;
}

/* ---- and a file again ---- */

static lode_status damaged(lode_ctx *ctx, const char *why)
{
    return lode_i_fail(ctx, LODE_EFORMAT,
                       "the frame of the file it came from (" LODE_I_FRAME ") is damaged: %s", why);
}

static lode_status undescribe(lode_ctx *ctx, const char *text, uint64_t size, lode_i_frame *f,
                              char format[16])
{
    lode_status st = LODE_OK;
    lode_json *root = NULL, *v = NULL;
    int64_t bytes = -1;
    LODE_TRY(lode_i_json_parse(ctx, text, (size_t)size, &root));
    const char *word = lode_i_json_as_text(lode_i_json_get(root, "format"));
    const lode_json *list = lode_i_json_get(root, "members");
    if (!word || !lode_i_json_as_i64(lode_i_json_get(root, "size"), &bytes) || bytes < 0) {
        st = damaged(ctx, "it names no format and size");
        goto done;
    }
    snprintf(format, 16, "%s", word);
    f->size = (uint64_t)bytes;
    for (const char *name = NULL; (name = lode_i_json_next(list, name, &v));) {
        lode_i_framed *m = NULL;
        LODE_TRY(
            lode_i_frame_member(ctx, f, name, lode_i_json_as_text(lode_i_json_get(v, "path")), &m));
        lode_i_json_as_bool(lode_i_json_get(v, "cut"), &m->cut);
        m->has_code = lode_i_json_as_f64(lode_i_json_get(v, "missing"), &m->code);
    }
done:
    lode_i_json_free(root);
    return st;
}

static lode_status read_head(lode_ctx *ctx, const lode_source *s, lode_i_frame *f, char format[16])
{
    lode_status st = LODE_OK;
    const int64_t zero = 0, fixed = FIXED;
    unsigned char first[FIXED], *all = NULL;
    uint64_t end = 0;
    if (s->dtype != LODE_U8 || s->ndim != 1 || s->shape[0] < FIXED)
        return damaged(ctx, "it is no vector of bytes");
    LODE_FORWARD(s->read(ctx, s, &zero, &fixed, first));
    const uint64_t size = (uint64_t)s->shape[0], words = lode_i_load(first + 8, 8),
                   extents = lode_i_load(first + 16, 8);
    if (memcmp(first, magic, sizeof magic) != 0 || words > size - FIXED || words > HEAD_MAX ||
        extents > EXTENTS_MAX || extents > (size - FIXED - words) / 16)
        return damaged(ctx, "its head does not lie in it");
    f->head = FIXED + words + 16 * extents;
    const int64_t many = (int64_t)f->head;
    LODE_TRY(lode_i_alloc(ctx, (size_t)f->head, (void **)&all));
    LODE_TRY(s->read(ctx, s, &zero, &many, all));
    LODE_TRY(undescribe(ctx, (const char *)all + FIXED, words, f, format));
    uint64_t left = size - f->head;
    for (uint64_t i = 0; i < extents; i++) {
        const unsigned char *p = all + FIXED + words + 16 * i;
        const uint64_t at = lode_i_load(p, 8), n = lode_i_load(p + 8, 8);
        if (at < end || at > f->size || n > f->size - at || n > left) {
            st = damaged(ctx, "its parts do not lie in the file");
            goto done;
        }
        LODE_TRY(lode_i_frame_cut(ctx, f, at, n));
        end = at + n, left -= n;
    }
    if (left > 0)
        st = damaged(ctx, "it is longer than its parts");
done:
    lode_i_free(all);
    return st;
}

/* Bytes of the value on their way to where they lay. */
typedef struct layer {
    const lode_i_frame *frame;
    lode_outfile *file;
    uint64_t skip; /* of the head, still to come */
    int64_t extent;
    uint64_t done; /* bytes of it */
} layer;

static lode_status lay(lode_ctx *ctx, void *data, const void *bytes, size_t size)
{
    layer *l = data;
    const unsigned char *p = bytes;
    while (size > 0) {
        size_t n = size;
        if (l->skip > 0) {
            n = l->skip < n ? (size_t)l->skip : n;
            l->skip -= n;
        } else if (l->extent < l->frame->extents) {
            const lode_i_extent *e = &l->frame->extent[l->extent];
            n = e->size - l->done < n ? (size_t)(e->size - l->done) : n;
            LODE_FORWARD(lode_i_outfile_pwrite(ctx, l->file, e->at + l->done, p, n));
            l->done += n;
            if (l->done == e->size)
                l->extent++, l->done = 0;
        }
        p += n, size -= n;
    }
    return LODE_OK;
}

static lode_status lay_out(lode_ctx *ctx, lode_value v, const lode_i_frame *f, lode_outfile *file)
{
    layer l = { .frame = f, .file = file, .skip = f->head };
    const lode_i_extent *last = f->extents ? &f->extent[f->extents - 1] : NULL;
    LODE_FORWARD(lode_i_emit(ctx, v, LODE_U8, lay, &l));
    if (f->size > 0 && (!last || last->at + last->size < f->size))
        LODE_FORWARD(lode_i_outfile_pwrite(ctx, file, f->size - 1, "", 1));
    return lode_i_outfile_pwrite(ctx, file, 0, NULL, 0); /* nothing is held back */
}

/* Whether the members are those that the file had. */
static bool are_members(const lode_i_frame *f, const lode_i_output *out)
{
    for (int64_t i = 0; i < out->count; i++) {
        bool found = strcmp(out->items[i].name, LODE_I_FRAME) == 0;
        for (int64_t k = 0; k < f->count && !found; k++)
            found = strcmp(f->member[k].name, out->items[i].name) == 0;
        if (!found)
            return false;
    }
    for (int64_t k = 0; k < f->count; k++) {
        const lode_kind kind = lode_i_output_find(out, f->member[k].name).kind;
        if (f->member[k].cut && kind != LODE_ARRAY && kind != LODE_SOURCE && kind != LODE_SCALAR)
            return false;
    }
    return true;
}

const lode_i_format *lode_i_frame_format(const lode_i_format *format, bool named, const char *from,
                                         const char *path)
{
    static const lode_i_format *const others[] = { &lode_i_format_mat73 }; /* share a suffix */
    if (format && format->fill && strcmp(from, format->name) == 0)
        return format;
    for (size_t i = 0; i < sizeof others / sizeof *others && !named; i++)
        if (others[i]->fill && strcmp(from, others[i]->name) == 0 &&
            lode_i_format_claims(others[i], path))
            return others[i];
    return NULL;
}

/* The file laid out and filled; *fits false: it was not, and nothing is left of it. */
static lode_status try_write(lode_ctx *ctx, const lode_i_format *format, bool named,
                             const char *path, const lode_i_output *out, bool force, char name[16],
                             bool *fits)
{
    lode_status st = LODE_OK;
    lode_i_frame f = { .size = 0 };
    lode_source s = { 0 };
    lode_outfile *file = NULL;
    const lode_value v = lode_i_output_find(out, LODE_I_FRAME);
    *fits = false;
    if (v.kind != LODE_ARRAY && v.kind != LODE_SOURCE)
        return LODE_OK;
    if (v.kind == LODE_ARRAY)
        LODE_TRY(lode_i_source_from_array(ctx, v.as.array, &s));
    LODE_TRY(read_head(ctx, v.kind == LODE_ARRAY ? &s : v.as.source, &f, name));
    format = lode_i_frame_format(format, named, name, path);
    if (!format || !are_members(&f, out))
        goto done;
    LODE_TRY(lode_i_outfile_open(ctx, path, force, &file));
    LODE_TRY(lay_out(ctx, v, &f, file));
    *fits = true;
    LODE_TRY(format->fill(ctx, path, file, &f, out, fits));
    if (*fits)
        LODE_TRY(lode_i_outfile_commit(ctx, &file));
done:
    lode_i_outfile_abandon(&file);
    lode_i_frame_free(&f);
    lode_source_close(&s);
    return st;
}

lode_status lode_i_frame_write(lode_ctx *ctx, const lode_i_format *format, bool named,
                               const char *path, const lode_i_output *out, bool force, bool *done)
{
    char name[16] = "";
    const lode_status st = try_write(ctx, format, named, path, out, force, name, done);
    if (st < 0) {
        *done = false;
        if (st != LODE_EFORMAT || !ctx->recover)
            return st;
        lode_i_log(ctx, "%s", lode_message(ctx));
    }
    if (!*done)
        lode_i_log(ctx,
                   "%s: written anew; links, references and whatever else only the %s%sfile held "
                   "stay behind",
                   path, name, *name ? " " : "");
    return LODE_OK;
}
