/* Arrays as BART keeps them: complex singles in NAME.cfl, first axis fastest, and the sizes as text
 * in NAME.hdr. Of its 16 axes, those of size 1 at the end are left out. */
#include "io/text.h"

#include <string.h>

enum { AXES = 16 };

static bool sniff(const unsigned char *head, size_t size)
{
    return size >= 12 && memcmp(head, "# Dimensions", 12) == 0;
}

static lode_status read_sizes(lode_ctx *ctx, lode_infile *in, lode_i_member *m)
{
    lode_status st = LODE_OK;
    lode_i_lines l = { 0 };
    char *line = NULL, *word = NULL;
    bool here = false;
    LODE_TRY(lode_i_lines_open(ctx, in, &l));
    do {
        LODE_TRY(lode_i_lines_next(ctx, &l, &line));
        LODE_REQUIRE(line, LODE_EFORMAT, "%s has no line of sizes behind '# Dimensions'",
                     lode_i_infile_path(in));
        if (*line == '#')
            here = strncmp(line, "# Dimensions", 12) == 0;
    } while (*line == '#' || !here);
    for (char *at = line; (word = lode_i_word(&at));) {
        LODE_REQUIRE(m->ndim < LODE_MAX_NDIM && lode_i_parse_i64(word, &m->shape[m->ndim]) &&
                         m->shape[m->ndim] >= 0,
                     LODE_EFORMAT, "%s, line %" PRId64 ": '%.40s' is no size, or one too many",
                     lode_i_infile_path(in), l.number, word);
        m->ndim++;
    }
    LODE_REQUIRE(m->ndim > 0, LODE_EFORMAT, "%s, line %" PRId64 ": no sizes",
                 lode_i_infile_path(in), l.number);
    while (m->ndim > 1 && m->shape[m->ndim - 1] == 1)
        m->ndim--;
done:
    lode_i_lines_close(&l);
    return st;
}

static lode_status open_cfl(lode_ctx *ctx, lode_file *f, const lode_read_opts *o)
{
    lode_status st = LODE_OK;
    lode_infile *other = NULL;
    lode_i_member *m = NULL;
    const bool header = lode_i_has_suffix(f->path, ".hdr");
    (void)o;
    LODE_TRY(lode_i_open_beside(ctx, f->path, header ? ".cfl" : ".hdr", &other));
    LODE_TRY(lode_i_member_add(ctx, f, "array", 5, &m));
    m->in = lode_i_infile_ref(header ? other : f->in);
    m->dtype = LODE_C64, m->fortran = true;
    LODE_TRY(read_sizes(ctx, header ? f->in : other, m));
    LODE_TRY(lode_i_shape_bytes(ctx, f->path, m->dtype, m->ndim, m->shape, &m->bytes));
    LODE_REQUIRE(m->bytes == lode_i_infile_size(m->in), LODE_EFORMAT,
                 "%s has %" PRIu64 " bytes; the sizes in its .hdr take %" PRIu64,
                 lode_i_infile_path(m->in), lode_i_infile_size(m->in), m->bytes);
done:
    lode_i_infile_close(other);
    return st;
}

static lode_status write_cfl(lode_ctx *ctx, const char *path, const lode_i_output *out, bool force)
{
    lode_status st = LODE_OK;
    lode_i_tensor t = { 0 };
    lode_i_item one = { 0 };
    lode_source s = { 0 };
    lode_outfile *values = NULL, *header = NULL;
    lode_array a = { 0 };
    lode_text text = { 0 };
    char *names[2] = { NULL, NULL };
    LODE_TRY(lode_i_choose(ctx, out, "cfl", &t));
    LODE_REQUIRE(t.ndim <= AXES, LODE_ESHAPE, "%s has %d axes, and a .cfl file has %d; write .npy",
                 t.name, (int)t.ndim, AXES);
    one.value = t.value;
    if (t.value.kind == LODE_NONE) { /* a scalar */
        a = lode_array_wrap(t.small, t.dtype, 0, NULL);
        one.value = lode_from_array(&a);
    }
    LODE_TRY(lode_i_beside(ctx, path, ".cfl", &names[0]));
    LODE_TRY(lode_i_beside(ctx, path, ".hdr", &names[1]));
    LODE_TRY(lode_i_outfile_open(ctx, names[0], force, &values));
    LODE_TRY(lode_i_outfile_open(ctx, names[1], force, &header));
    LODE_TRY(lode_i_text_add(ctx, &text, "# Dimensions\n"));
    for (int k = 0; k < AXES; k++)
        LODE_TRY(lode_i_text_add(ctx, &text, "%" PRId64 "%c", k < t.ndim ? t.shape[k] : 1,
                                 k < AXES - 1 ? ' ' : '\n'));
    LODE_TRY(lode_i_outfile_write(ctx, header, text.text, text.size));
    LODE_TRY(lode_i_reversed(ctx, one.value, &s));
    LODE_TRY(lode_i_emit(ctx, lode_from_source(&s), LODE_C64, lode_i_sink_outfile, values));
    LODE_TRY(lode_i_outfile_sync(ctx, values));
    LODE_TRY(lode_i_outfile_sync(ctx, header));
    LODE_TRY(lode_i_outfile_commit(ctx, &values));
    LODE_TRY(lode_i_outfile_commit(ctx, &header));
done:
    lode_source_close(&s);
    lode_i_outfile_abandon(&values);
    lode_i_outfile_abandon(&header);
    lode_i_text_free(&text);
    lode_i_free(names[0]);
    lode_i_free(names[1]);
    return st;
}

const lode_i_format lode_i_format_cfl = {
    .name = "cfl",
    .suffixes = ".cfl .hdr",
    .sniff = sniff,
    .open = open_cfl,
    .write = write_cfl,
};
