/* Tables of numbers as text: one row a line, an optional first line of names, comment lines with #.
 * Rows are read where they lie: every so many of them the place is kept, so that a slab of any file
 * is found again without what stands before it. Empty fields and the usual words for nothing are NaN. */
#include "io/table.h"

#include <math.h>
#include <string.h>
#include <strings.h>

enum { MARKS = 8192, STRIDE = 64 };

typedef struct mark {
    uint64_t at;
    int64_t line;
} mark;

typedef struct table {
    char by;
    bool named; /* the first line holds names */
    int64_t rows, cols;
    int64_t stride, marks; /* where each stride-th row begins */
    mark *mark;
} table;

static bool number(const char *text, double *v)
{
    static const char *const missing[] = { "",     "na",   "nan",  "n/a",  "#n/a", "#na",
                                           "<na>", "-nan", "null", "none", "nil" };
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++)
        if (strcasecmp(text, missing[i]) == 0) {
            *v = NAN;
            return true;
        }
    return lode_i_parse_f64(text, v);
}

/* ---- what stands between fields, and whether there are names ---- */

static int64_t count_fields(char *row, char by)
{
    int64_t n = 0;
    while (lode_i_next_field(&row, by))
        n++;
    return n;
}

/* The first two rows, as copies: reading fields cuts them up. */
typedef struct opening {
    char *row[2];
} opening;

static lode_status count_both(lode_ctx *ctx, const opening *o, char by, int64_t count[2])
{
    for (int k = 0; k < 2; k++) {
        char *copy = NULL;
        count[k] = 0;
        if (!o->row[k])
            continue;
        LODE_FORWARD(lode_i_strdup(ctx, o->row[k], &copy));
        count[k] = count_fields(copy, by);
        lode_i_free(copy);
    }
    return LODE_OK;
}

/* The separator that cuts both rows into as many fields, more than one; the format's own first. */
static lode_status find_separator(lode_ctx *ctx, const opening *o, char own, char *by)
{
    const char all[] = { own, ',', '\t', ';', '|', ' ' };
    bool found = false;
    *by = own;
    for (size_t i = 0; i < sizeof all && !found; i++) {
        int64_t count[2];
        LODE_FORWARD(count_both(ctx, o, all[i], count));
        if (count[0] > 1 && (!o->row[1] || count[0] == count[1]))
            *by = all[i], found = true;
    }
    return LODE_OK;
}

/* Numbers that are written in some other way, 1,5 or 12:30, are no names. */
static bool is_name(const char *text)
{
    double v;
    if (number(text, &v))
        return false;
    for (; *text; text++)
        if ((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') || *text == '_' ||
            (unsigned char)*text >= 0x80)
            return true;
    return false;
}

/* Names stand where the second row has a number and the first a name, or where the first has nothing
 * else. */
static void find_names(opening *o, char by, bool *named)
{
    char *first = o->row[0], *second = o->row[1];
    bool all = true, some = false, above = false;
    double v;
    for (char *a; (a = lode_i_next_field(&first, by));) {
        const char *b = lode_i_next_field(&second, by);
        const bool name = is_name(a);
        all = all && (name || *a == '\0'), some = some || name;
        above = above || (name && b && *b && number(b, &v));
    }
    *named = (all && some) || above;
}

static lode_status read_names(lode_ctx *ctx, lode_file *f, char *row, char by)
{
    lode_status st = LODE_OK;
    lode_json *root = lode_i_json_object(), *names = lode_i_json_array();
    for (char *field; (field = lode_i_next_field(&row, by));)
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

/* Separator, names and number of columns. */
static lode_status read_opening(lode_ctx *ctx, lode_file *f, table *t)
{
    lode_status st = LODE_OK;
    const char own = f->format == &lode_i_format_tsv ? '\t' : ',';
    lode_i_records r = { 0 };
    opening o = { { NULL, NULL } };
    char *names = NULL, *row = NULL;
    int64_t count[2];
    t->by = own;
    LODE_TRY(lode_i_records_open(ctx, f->in, own, 0, 1, &r));
    for (int k = 0; k < 2; k++) {
        LODE_TRY(lode_i_records_next(ctx, &r, &row));
        if (!row)
            break;
        LODE_TRY(lode_i_strdup(ctx, row, &o.row[k]));
    }
    if (!o.row[0])
        goto done;
    LODE_TRY(find_separator(ctx, &o, own, &t->by));
    LODE_TRY(count_both(ctx, &o, t->by, count));
    t->cols = count[0];
    LODE_TRY(lode_i_strdup(ctx, o.row[0], &names));
    find_names(&o, t->by, &t->named);
    if (t->named)
        LODE_TRY(read_names(ctx, f, names, t->by));
done:
    lode_i_records_close(&r);
    lode_i_free(o.row[0]);
    lode_i_free(o.row[1]);
    lode_i_free(names);
    return st;
}

/* ---- opening ---- */

static void add_mark(table *t, const lode_i_records *r)
{
    if (t->rows % t->stride)
        return;
    if (t->marks == MARKS) { /* every second one stays */
        for (int64_t i = 0; i < MARKS / 2; i++)
            t->mark[i] = t->mark[2 * i];
        t->marks = MARKS / 2, t->stride *= 2;
        if (t->rows % t->stride)
            return;
    }
    t->mark[t->marks++] = (mark){ .at = r->at, .line = r->line };
}

static lode_status open_csv(lode_ctx *ctx, lode_file *f, const lode_read_opts *o)
{
    lode_status st = LODE_OK;
    lode_i_records r = { 0 };
    lode_i_member *m = NULL;
    char *row = NULL;
    (void)o;
    LODE_TRY(lode_i_calloc(ctx, sizeof(table), &f->state));
    table *t = f->state;
    t->stride = STRIDE;
    LODE_TRY(LODE_NEW(ctx, MARKS, &t->mark));
    LODE_TRY(read_opening(ctx, f, t));
    LODE_TRY(lode_i_records_open(ctx, f->in, t->by, 0, 1, &r));
    if (t->named)
        LODE_TRY(lode_i_records_next(ctx, &r, &row));
    for (;; t->rows++) {
        LODE_TRY(lode_i_records_next(ctx, &r, &row));
        if (!row)
            break;
        add_mark(t, &r);
    }
    LODE_TRY(lode_i_member_add(ctx, f, "array", 5, &m));
    m->dtype = LODE_F64;
    m->ndim = 2;
    m->shape[0] = t->rows, m->shape[1] = t->cols;
    m->in = lode_i_infile_ref(f->in);
    LODE_TRY(LODE_NEW(ctx, 2, &m->chunk));
    m->chunk[0] = lode_i_max(1, lode_i_min(t->rows, t->stride)), m->chunk[1] = t->cols;
done:
    lode_i_records_close(&r);
    return st;
}

static void close_csv(lode_file *f)
{
    table *t = f->state;
    if (t)
        lode_i_free(t->mark);
    lode_i_free(t);
}

/* ---- values ---- */

static lode_status read_row(lode_ctx *ctx, const lode_file *f, const lode_i_records *r, char *row,
                            int64_t from, int64_t count, double *to)
{
    const table *t = f->state;
    int64_t j = 0;
    for (char *field; (field = lode_i_next_field(&row, t->by)); j++) {
        if (j < from || j >= from + count)
            continue;
        if (!number(field, &to[j - from]))
            return lode_i_fail(ctx, LODE_EFORMAT,
                               "%s, line %" PRId64 ": '%.40s' in column %" PRId64
                               " is no number; leave text columns out by a slice, [:,0:%" PRId64
                               "] or such",
                               f->path, r->line, field, j, j ? j : t->cols);
    }
    if (j != t->cols)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "%s, line %" PRId64 ": %" PRId64 " fields, not the %" PRId64
                           " of the first line",
                           f->path, r->line, j, t->cols);
    return LODE_OK;
}

static lode_status read_csv(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                            const int64_t *start, const int64_t *count, void *dst)
{
    lode_status st = LODE_OK;
    const table *t = f->state;
    lode_i_records r = { 0 };
    char *row = NULL;
    double *to = dst;
    (void)m;
    if (count[0] == 0 || count[1] == 0)
        return LODE_OK;
    const int64_t k = start[0] / t->stride;
    LODE_TRY(lode_i_records_open(ctx, f->in, t->by, t->mark[k].at, t->mark[k].line, &r));
    for (int64_t i = k * t->stride; i < start[0] + count[0]; i++) {
        LODE_TRY(lode_i_records_next(ctx, &r, &row));
        LODE_REQUIRE(row, LODE_EIO, "%s became shorter while it was read", f->path);
        if (i < start[0])
            continue;
        LODE_TRY(read_row(ctx, f, &r, row, start[1], count[1], to));
        to += count[1];
    }
done:
    lode_i_records_close(&r);
    return st;
}

/* Names of the columns that a slice takes. */
static lode_status names_of(lode_ctx *ctx, lode_file *f, const lode_i_member *m,
                            const lode_i_range *ranges, char **text)
{
    lode_status st = LODE_OK;
    lode_json *all = NULL, *root = NULL, *names = NULL, *given = NULL;
    const char *have = f->head.meta.attributes;
    const lode_i_range *r = &ranges[1];
    (void)m;
    *text = NULL;
    if (!have)
        return LODE_OK;
    LODE_TRY(lode_i_json_parse(ctx, have, strlen(have), &all));
    root = lode_i_json_object(), names = lode_i_json_array();
    const lode_json *columns = lode_i_json_get(all, "columns");
    for (int64_t j = r->start; r->step > 0 ? j < r->stop : j > r->stop; j += r->step) {
        const char *name = lode_i_json_as_text(lode_i_json_at(columns, j));
        LODE_TRY(lode_i_json_push(ctx, names, lode_i_json_text(name ? name : "")));
    }
    given = names, names = NULL;
    LODE_TRY(lode_i_json_set(ctx, root, "columns", given));
    LODE_TRY(lode_i_json_print(ctx, root, 0, text));
done:
    lode_i_json_free(all);
    lode_i_json_free(root);
    lode_i_json_free(names);
    return st;
}

const lode_i_format lode_i_format_csv = {
    .name = "csv",
    .suffixes = ".csv .txt",
    .gzip = true,
    .concurrent = true,
    .open = open_csv,
    .read = read_csv,
    .attributes = names_of,
    .close = close_csv,
    .write = lode_i_csv_write,
};
const lode_i_format lode_i_format_tsv = {
    .name = "tsv",
    .suffixes = ".tsv .tab",
    .gzip = true,
    .concurrent = true,
    .open = open_csv,
    .read = read_csv,
    .attributes = names_of,
    .close = close_csv,
    .write = lode_i_tsv_write,
};
