/* Tables of numbers as text: one row a line, fields by comma or tab, an optional first line of
 * names, comment lines with #. Empty fields, NA and nan are NaN. */
#include "io/text.h"

#include <math.h>
#include <string.h>
#include <strings.h>

typedef struct table {
    int64_t rows, cols;
    bool named; /* the first line holds names */
} table;

static char separator(const lode_file *f)
{
    return f->format == &lode_i_format_tsv ? '\t' : ',';
}

/* Cuts the next field off, blanks and one pair of quotes around it removed. */
static char *next_field(char **at, char by)
{
    char *p = *at;
    if (!p)
        return NULL;
    while (*p == ' ')
        p++;
    if (*p == '"') {
        char *close = strchr(p + 1, '"');
        if (close) {
            *close = '\0';
            char *end = strchr(close + 1, by);
            *at = end ? end + 1 : NULL;
            return p + 1;
        }
    }
    char *end = strchr(p, by), *last = end ? end : p + strlen(p);
    *at = end ? end + 1 : NULL;
    while (last > p && (last[-1] == ' ' || last[-1] == '\t'))
        last--;
    *last = '\0';
    return p;
}

static bool number(const char *text, double *v)
{
    if (*text == '\0' || strcasecmp(text, "na") == 0 || strcasecmp(text, "nan") == 0) {
        *v = NAN;
        return true;
    }
    return lode_i_parse_f64(text, v);
}

static lode_status next_row(lode_ctx *ctx, lode_i_lines *l, char **line)
{
    do
        LODE_FORWARD(lode_i_lines_next(ctx, l, line));
    while (*line && (**line == '#' || (*line)[strspn(*line, " \t")] == '\0'));
    return LODE_OK;
}

static lode_status read_names(lode_ctx *ctx, lode_file *f, char *line)
{
    lode_status st = LODE_OK;
    lode_json *root = lode_i_json_object(), *names = lode_i_json_array();
    for (char *field; (field = next_field(&line, separator(f)));)
        LODE_TRY(lode_i_json_push(ctx, names, lode_i_json_text(field)));
    lode_json *const given = names;
    names = NULL;
    LODE_TRY(lode_i_json_set(ctx, root, "columns", given));
    LODE_TRY(lode_i_json_print(ctx, root, 0, &f->head.meta.attributes));
done:
    lode_i_json_free(root);
    lode_i_json_free(names);
    return st;
}

static lode_status open_csv(lode_ctx *ctx, lode_file *f, const lode_read_opts *o)
{
    lode_status st = LODE_OK;
    lode_i_lines l = { 0 };
    lode_i_member *m = NULL;
    table *t = NULL;
    char *line = NULL, *copy = NULL;
    double v = 0;
    (void)o;
    LODE_TRY(lode_i_calloc(ctx, sizeof *t, &f->state));
    t = f->state;
    LODE_TRY(lode_i_lines_open(ctx, f->in, &l));
    LODE_TRY(next_row(ctx, &l, &line));
    if (line) {
        LODE_TRY(lode_i_strdup(ctx, line, &copy));
        char *at = line;
        for (char *field; (field = next_field(&at, separator(f))); t->cols++)
            t->named = t->named || !number(field, &v);
        if (t->named)
            LODE_TRY(read_names(ctx, f, copy));
    }
    for (t->rows = line && !t->named; line; t->rows += line != NULL)
        LODE_TRY(next_row(ctx, &l, &line));
    LODE_TRY(lode_i_member_add(ctx, f, "array", 5, &m));
    m->dtype = LODE_F64;
    m->ndim = 2;
    m->shape[0] = t->rows, m->shape[1] = t->cols;
    m->in = lode_i_infile_ref(f->in);
done:
    lode_i_lines_close(&l);
    lode_i_free(copy);
    return st;
}

static void close_csv(lode_file *f)
{
    lode_i_free(f->state);
}

static lode_status load_csv(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                            lode_array *out, lode_sparse *s)
{
    lode_status st = LODE_OK;
    const table *t = f->state;
    lode_i_lines l = { 0 };
    lode_array a = { 0 };
    char *line = NULL;
    (void)s;
    LODE_TRY(lode_i_lines_open(ctx, f->in, &l));
    LODE_TRY(lode_array_new(ctx, LODE_F64, 2, m->shape, &a));
    double *to = a.data;
    if (t->named)
        LODE_TRY(next_row(ctx, &l, &line));
    for (int64_t i = 0; i < t->rows; i++) {
        int64_t j = 0;
        LODE_TRY(next_row(ctx, &l, &line));
        LODE_REQUIRE(line, LODE_EIO, "%s became shorter while it was read", f->path);
        for (char *field; (field = next_field(&line, separator(f))); j++) {
            LODE_REQUIRE(j < t->cols, LODE_EFORMAT,
                         "%s, line %" PRId64 ": more than %" PRId64 " fields", f->path, l.number,
                         t->cols);
            LODE_REQUIRE(number(field, &to[i * t->cols + j]), LODE_EFORMAT,
                         "%s, line %" PRId64 ": '%.40s' is no number", f->path, l.number, field);
        }
        LODE_REQUIRE(j == t->cols, LODE_EFORMAT,
                     "%s, line %" PRId64 ": %" PRId64 " fields, not %" PRId64, f->path, l.number, j,
                     t->cols);
    }
    lode_array_swap(out, &a);
done:
    lode_i_lines_close(&l);
    lode_array_free(&a);
    return st;
}

/* ---- writing ---- */

typedef struct printer {
    lode_outfile *file;
    lode_dtype dtype;
    int64_t cols, at;
    char by;
    lode_text text;
} printer;

static lode_status print_values(lode_ctx *ctx, void *data, const void *bytes, size_t size)
{
    printer *p = data;
    char word[32];
    for (size_t i = 0; i < size / 8; i++) {
        const char end = ++p->at % p->cols ? p->by : '\n';
        if (p->dtype == LODE_I64) {
            LODE_FORWARD(
                lode_i_text_add(ctx, &p->text, "%" PRId64 "%c", ((const int64_t *)bytes)[i], end));
        } else if (p->dtype == LODE_U64) {
            LODE_FORWARD(
                lode_i_text_add(ctx, &p->text, "%" PRIu64 "%c", ((const uint64_t *)bytes)[i], end));
        } else {
            lode_i_print_f64(((const double *)bytes)[i], word);
            LODE_FORWARD(lode_i_text_add(ctx, &p->text, "%s%c", word, end));
        }
        if (p->text.size > 1 << 20) {
            LODE_FORWARD(lode_i_outfile_write(ctx, p->file, p->text.text, p->text.size));
            p->text.size = 0;
        }
    }
    return LODE_OK;
}

static lode_status write_table(lode_ctx *ctx, const char *path, const lode_i_output *out,
                               bool force, char by)
{
    lode_status st = LODE_OK;
    lode_i_tensor t = { 0 };
    printer p = { .by = by };
    LODE_TRY(lode_i_choose(ctx, out, by == ',' ? "csv" : "tsv", &t));
    LODE_REQUIRE(t.ndim <= 2, LODE_ESHAPE, "%s has %d axes, and a table has two; write .npy",
                 t.name, (int)t.ndim);
    LODE_REQUIRE(!lode_i_is_complex(t.dtype), LODE_ETYPE,
                 "%s is complex, which tables do not hold; write .npy", t.name);
    const char class = lode_dtype_class(t.dtype);
    p.dtype = t.dtype == LODE_U64 ? LODE_U64 : class == 'f' ? LODE_F64 : LODE_I64;
    p.cols = t.ndim == 2 ? t.shape[1] : 1;
    t.dtype = p.dtype;
    LODE_TRY(lode_i_outfile_open(ctx, path, force, &p.file));
    LODE_TRY(lode_i_tensor_emit(ctx, &t, print_values, &p));
    if (p.text.size)
        LODE_TRY(lode_i_outfile_write(ctx, p.file, p.text.text, p.text.size));
    LODE_TRY(lode_i_outfile_commit(ctx, &p.file));
done:
    lode_i_outfile_abandon(&p.file);
    lode_i_text_free(&p.text);
    return st;
}

static lode_status write_csv(lode_ctx *ctx, const char *path, const lode_i_output *out, bool force)
{
    return write_table(ctx, path, out, force, ',');
}
static lode_status write_tsv(lode_ctx *ctx, const char *path, const lode_i_output *out, bool force)
{
    return write_table(ctx, path, out, force, '\t');
}

const lode_i_format lode_i_format_csv = {
    .name = "csv",
    .suffixes = ".csv",
    .open = open_csv,
    .load = load_csv,
    .close = close_csv,
    .write = write_csv,
};
const lode_i_format lode_i_format_tsv = {
    .name = "tsv",
    .suffixes = ".tsv",
    .open = open_csv,
    .load = load_csv,
    .close = close_csv,
    .write = write_tsv,
};
