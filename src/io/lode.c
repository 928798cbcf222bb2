/* .lode: a safetensors file whose metadata says what the tensors mean. docs/format.md gives it byte
 * by byte. A checksum over the header and one over every 2^20 bytes of each member catch damage. */
#include "io/io.h"

#include <string.h>

/* The header begins with these bytes and 16 hex digits, so that the digits' place is known. */
static const char opening[] = "{\"__metadata__\":{\"lode_checksum\":\"";
static const char zeros[] = "0000000000000000";
enum { OPENING = sizeof opening - 1, ALIGN = 64 };

/* Over length and header, the digits themselves counted as zeros. */
static uint64_t header_checksum(char *header, uint64_t size)
{
    char digits[16];
    memcpy(digits, header + OPENING, sizeof digits);
    memcpy(header + OPENING, zeros, sizeof digits);
    const uint64_t sum = lode_i_checksum(header, (size_t)size, size);
    memcpy(header + OPENING, digits, sizeof digits);
    return sum;
}

/* ---- mending: one wrong bit of a header is found by its checksum ---- */

/* Longest header whose every bit is tried: time goes by the square. */
enum { MEND = 1 << 16 };

static bool fits(char *text, uint64_t size)
{
    char digits[17];
    if (size < OPENING + 16 || memcmp(text, opening, OPENING) != 0)
        return false;
    snprintf(digits, sizeof digits, "%016" PRIx64, header_checksum(text, size));
    return memcmp(digits, text + OPENING, 16) == 0;
}

/* The digits themselves: all but one are right, and what they are of is too. */
static bool mend_digits(char *text, uint64_t size)
{
    char digits[17];
    int wrong = 0;
    if (size < OPENING + 16 || memcmp(text, opening, OPENING) != 0)
        return false;
    snprintf(digits, sizeof digits, "%016" PRIx64, header_checksum(text, size));
    for (int i = 0; i < 16; i++)
        wrong += digits[i] != text[OPENING + i];
    if (wrong == 1)
        memcpy(text + OPENING, digits, 16);
    return wrong == 1;
}

static bool like_ours(const char *text, uint64_t size)
{
    int same = 0;
    for (int i = 0; i < OPENING && size >= OPENING + 16; i++)
        same += text[i] == opening[i];
    return same >= OPENING - 1;
}

lode_status lode_i_lode_mend(lode_ctx *ctx, lode_file *f, uint64_t *size, char **text)
{
    lode_status st = LODE_OK;
    const uint64_t total = lode_i_infile_size(f->in);
    char *t = NULL;
    for (int bit = -1; bit < 64; bit++) { /* of the length; -1: it is right */
        const uint64_t n = bit < 0 ? *size : *size ^ UINT64_C(1) << bit;
        if (n > total - 8 || n > 100000000 || (n + 8) % ALIGN || n < OPENING + 16)
            continue;
        LODE_TRY(lode_i_alloc(ctx, (size_t)n + 1, (void **)&t));
        LODE_TRY(lode_i_infile_read(ctx, f->in, 8, t, (size_t)n));
        t[n] = '\0';
        const bool right = fits(t, n);
        bool good = right;
        if (bit < 0 && !good && like_ours(t, n) && !(good = mend_digits(t, n)))
            for (uint64_t i = 0; i < n && n <= MEND && !good; i++) {
                LODE_TRY(lode_i_tick(ctx, (int64_t)i, (int64_t)n));
                for (int b = 0; b < 8 && !good; b++) {
                    t[i] = (char)(t[i] ^ 1 << b);
                    good = fits(t, n);
                    if (!good)
                        t[i] = (char)(t[i] ^ 1 << b);
                }
            }
        if (good && (bit >= 0 || !right))
            lode_i_log(ctx, "%s: one wrong bit of its header was put right", f->path);
        if (good) {
            lode_i_free(*text);
            *text = t, *size = n;
            t = NULL;
            break;
        }
        lode_i_free(t);
        t = NULL;
    }
done:
    lode_i_free(t);
    return st;
}

lode_status lode_i_lode_describe(lode_ctx *ctx, lode_file *f, const lode_json *header, char *text,
                                 uint64_t size)
{
    char digits[17];
    const lode_json *meta = lode_i_json_get(header, "__metadata__");
    const char *description = lode_i_json_as_text(lode_i_json_get(meta, "lode"));
    if (!description)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "%s is safetensors, but its metadata holds no \"lode\"", f->path);
    if (size < OPENING + 16 || memcmp(text, opening, OPENING) != 0)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "%s: its header is damaged: it does not begin with its checksum",
                           f->path);
    snprintf(digits, sizeof digits, "%016" PRIx64, header_checksum(text, size));
    if (memcmp(digits, text + OPENING, 16) != 0 && !ctx->recover)
        return lode_i_fail(
            ctx, LODE_EFORMAT,
            "%s: its header is damaged: checksum %s, not %.16s; restore the file, or "
            "give --recover (recover in C and Python), which puts one wrong bit right",
            f->path, digits, text + OPENING);
    const bool doubtful = memcmp(digits, text + OPENING, 16) != 0;
    LODE_FORWARD(lode_i_undescribe(ctx, f, description, strlen(description), true, true));
    return doubtful
               ? lode_i_lost(ctx, 0, "it is",
                             "the header of %s (shapes, types and names may be wrong)", f->path)
               : LODE_OK;
}

static lode_status open_lode(lode_ctx *ctx, lode_file *f, const lode_read_opts *o)
{
    lode_status st = LODE_OK;
    lode_json *header = NULL;
    char *text = NULL;
    uint64_t size = 0;
    (void)o;
    LODE_TRY(lode_i_safetensors_list(ctx, f, &header, &text, &size));
    LODE_TRY(lode_i_lode_describe(ctx, f, header, text, size));
    lode_i_member *const frame = lode_i_member_find(f, LODE_I_FRAME);
    if (frame)
        frame->hidden = true;
done:
    lode_i_json_free(header);
    lode_i_free(text);
    return st;
}

/* ---- writing ---- */

/* Header as it is written, length field not included, padded so that the data begins at a multiple
 * of 64. */
static lode_status header_text(lode_ctx *ctx, const lode_i_output *out, const lode_i_tensors *t,
                               lode_text *text)
{
    lode_status st = LODE_OK;
    char *description = NULL, *all = NULL;
    lode_json *root = lode_i_json_object(), *meta = lode_i_json_object(), *entry = NULL,
              *given = NULL;
    char name[40];
    uint64_t at = 0;
    int64_t pads = 0;

    LODE_TRY(lode_i_describe(ctx, out, t, &description));
    LODE_TRY(lode_i_json_set(ctx, meta, "lode_checksum", lode_i_json_text(zeros)));
    LODE_TRY(lode_i_json_set(ctx, meta, "lode", lode_i_json_text(description)));
    given = meta, meta = NULL;
    LODE_TRY(lode_i_json_set(ctx, root, "__metadata__", given));
    for (int64_t i = 0; i < t->count; i++) {
        if (t->at[i].offset > at) {
            const lode_i_tensor pad = { .dtype = LODE_U8,
                                        .ndim = 1,
                                        .shape = { (int64_t)(t->at[i].offset - at) },
                                        .offset = at,
                                        .bytes = t->at[i].offset - at };
            snprintf(name, sizeof name, "__pad.%" PRId64, pads++);
            LODE_TRY(lode_i_safetensors_entry(ctx, &pad, &entry));
            given = entry, entry = NULL;
            LODE_TRY(lode_i_json_set(ctx, root, name, given));
        }
        LODE_TRY(lode_i_safetensors_entry(ctx, &t->at[i], &entry));
        given = entry, entry = NULL;
        LODE_TRY(lode_i_json_set(ctx, root, t->at[i].name, given));
        at = t->at[i].offset + t->at[i].bytes;
    }
    LODE_TRY(lode_i_json_print(ctx, root, 0, &all));
    LODE_REQUIRE(memcmp(all, opening, OPENING) == 0, LODE_EINTERNAL,
                 "the header does not begin with its checksum");
    text->size = 0;
    LODE_TRY(lode_i_text_bytes(ctx, text, all, strlen(all)));
    while ((text->size + 8) % ALIGN)
        LODE_TRY(lode_i_text_bytes(ctx, text, " ", 1));
    LODE_REQUIRE(text->size <= 100000000, LODE_EUNSUPPORTED,
                 "the header would take %zu bytes; safetensors readers end at 100000000",
                 text->size);
done:
    lode_i_json_free(root);
    lode_i_json_free(meta);
    lode_i_json_free(entry);
    lode_i_free(description);
    lode_i_free(all);
    return st;
}

/* Sends bytes to the file and notes the checksum of each chunk. */
typedef struct summer {
    lode_outfile *file;
    lode_i_tensor *t;
    unsigned char *chunk; /* one that came in parts */
    size_t filled;
    uint64_t done; /* chunks */
} summer;

static lode_status sum_sink(lode_ctx *ctx, void *data, const void *bytes, size_t size)
{
    summer *s = data;
    const unsigned char *p = bytes;
    LODE_FORWARD(lode_i_outfile_write(ctx, s->file, bytes, size));
    while (size > 0) {
        size_t n = (size_t)LODE_I_SUM_CHUNK - s->filled;
        n = size < n ? size : n;
        if (s->filled == 0 && n == LODE_I_SUM_CHUNK) {
            s->t->sums[s->done] = lode_i_checksum(p, n, s->done);
            s->done++;
        } else {
            memcpy(s->chunk + s->filled, p, n);
            s->filled += n;
            if (s->filled == LODE_I_SUM_CHUNK) {
                s->t->sums[s->done] = lode_i_checksum(s->chunk, s->filled, s->done);
                s->done++, s->filled = 0;
            }
        }
        p += n, size -= n;
    }
    return LODE_OK;
}

static lode_status place(lode_ctx *ctx, lode_i_tensors *t)
{
    uint64_t at = 0;
    for (int64_t i = 0; i < t->count; i++) {
        lode_i_tensor *a = &t->at[i];
        const uint64_t chunks = (a->bytes + LODE_I_SUM_CHUNK - 1) / LODE_I_SUM_CHUNK;
        if (strcmp(a->name, "__metadata__") == 0 || strncmp(a->name, "__pad.", 6) == 0)
            return lode_i_fail(ctx, LODE_EUSAGE,
                               "a member cannot be named %s in a .lode file; rename it", a->name);
        a->offset = a->bytes ? (at + ALIGN - 1) / ALIGN * ALIGN
                             : at; /* an empty one lies anywhere */
        at = a->offset + a->bytes;
        LODE_FORWARD(lode_i_calloc(ctx, (size_t)(chunks + 1) * sizeof *a->sums, (void **)&a->sums));
    }
    return LODE_OK;
}

static lode_status write_lode(lode_ctx *ctx, const char *path, const lode_i_output *out, bool force)
{
    lode_status st = LODE_OK;
    lode_i_tensors t = { 0 };
    lode_text head = { 0 };
    lode_outfile *file = NULL;
    summer s = { 0 };
    unsigned char first[8];
    static const char none[ALIGN] = { 0 };
    char digits[17];
    uint64_t at = 0;

    LODE_TRY(lode_i_flatten(ctx, out, true, &t));
    LODE_TRY(place(ctx, &t));
    LODE_TRY(header_text(ctx, out, &t, &head));
    const size_t size = head.size;
    lode_i_store(first, size, 8);
    LODE_TRY(lode_i_outfile_open(ctx, path, force, &file));
    LODE_TRY(lode_i_outfile_write(ctx, file, first, sizeof first));
    LODE_TRY(lode_i_outfile_write(ctx, file, head.text, size));
    LODE_TRY(lode_i_alloc(ctx, (size_t)LODE_I_SUM_CHUNK, (void **)&s.chunk));
    s.file = file;
    for (int64_t i = 0; i < t.count; i++) {
        LODE_TRY(lode_i_outfile_write(ctx, file, none, (size_t)(t.at[i].offset - at)));
        s.t = &t.at[i], s.filled = 0, s.done = 0;
        LODE_TRY(lode_i_tensor_emit(ctx, &t.at[i], sum_sink, &s));
        if (s.filled > 0)
            t.at[i].sums[s.done] = lode_i_checksum(s.chunk, s.filled, s.done);
        at = t.at[i].offset + t.at[i].bytes;
    }
    /* The sums are known now and have the length that was left for them. */
    LODE_TRY(header_text(ctx, out, &t, &head));
    LODE_REQUIRE(head.size == size, LODE_EINTERNAL, "the header changed its length");
    snprintf(digits, sizeof digits, "%016" PRIx64, header_checksum(head.text, head.size));
    memcpy(head.text + OPENING, digits, 16);
    LODE_TRY(lode_i_outfile_pwrite(ctx, file, 8, head.text, head.size));
    LODE_TRY(lode_i_outfile_commit(ctx, &file));
done:
    lode_i_outfile_abandon(&file);
    lode_i_text_free(&head);
    lode_i_tensors_free(&t);
    lode_i_free(s.chunk);
    return st;
}

const lode_i_format lode_i_format_lode = {
    .name = "lode",
    .suffixes = ".lode",
    .many = true,
    .results = true,
    .bundles = true,
    .open = open_lode,
    .write = write_lode,
};
