/* Writing of tables as text: shortest digits that read back as the same f64, names in a first line
 * where they are known. */
#include "io/table.h"
#include "io/text.h"

#include <string.h>

typedef struct printer {
    lode_i_gzout file;
    lode_dtype dtype;
    int64_t cols, at;
    char by;
    lode_text text;
} printer;

static lode_status print_values(lode_ctx *ctx, void *data, const void *bytes, size_t size)
{
    printer *p = data;
    for (int64_t i = 0; i < (int64_t)(size / 8); i++) {
        const char end = ++p->at % p->cols ? p->by : '\n';
        LODE_FORWARD(lode_i_print_value(ctx, &p->text, p->dtype, bytes, i, end));
        LODE_FORWARD(lode_i_print_out(ctx, &p->file, &p->text, 1 << 20));
    }
    return LODE_OK;
}

/* In quotes when it holds what would end it, or could be taken for a number or a comment. */
static lode_status print_name(lode_ctx *ctx, printer *p, const char *name, char end)
{
    double v;
    if (*name && !strpbrk(name, "\",;|\t\r\n #") && !lode_i_parse_f64(name, &v))
        return lode_i_text_add(ctx, &p->text, "%s%c", name, end);
    LODE_FORWARD(lode_i_text_add(ctx, &p->text, "\""));
    for (; *name; name++)
        LODE_FORWARD(lode_i_text_add(ctx, &p->text, *name == '"' ? "\"\"" : "%c", *name));
    return lode_i_text_add(ctx, &p->text, "\"%c", end);
}

/* The names of columns, as reading a table keeps them, where there are as many. */
static lode_status print_names(lode_ctx *ctx, printer *p, const lode_meta *meta)
{
    lode_status st = LODE_OK;
    lode_json *root = NULL;
    if (!meta || !meta->attributes)
        return LODE_OK;
    LODE_TRY(lode_i_json_parse(ctx, meta->attributes, strlen(meta->attributes), &root));
    const lode_json *names = lode_i_json_get(root, "columns");
    bool text = false; /* a line of nothing but numbers would be read as values */
    if (lode_i_json_count(names) != p->cols)
        goto done;
    for (int64_t j = 0; j < p->cols; j++) {
        const char *name = lode_i_json_as_text(lode_i_json_at(names, j));
        double v;
        text = text || (name && *name && !lode_i_parse_f64(name, &v));
    }
    for (int64_t j = 0; j < p->cols && text; j++) {
        const char *name = lode_i_json_as_text(lode_i_json_at(names, j));
        LODE_TRY(print_name(ctx, p, name ? name : "", j + 1 < p->cols ? p->by : '\n'));
    }
done:
    lode_i_json_free(root);
    return st;
}

/* The text that is a table already, where nothing else is a table or it is the one asked for. */
static const char *table_in_words(const lode_i_output *out)
{
    for (int64_t i = 0; i < out->count; i++) {
        const lode_i_item *item = &out->items[i];
        const bool dense = item->value.kind == LODE_ARRAY || item->value.kind == LODE_SOURCE;
        const bool table = item->value.kind == LODE_TEXT && lode_i_has_suffix(item->name, ".csv");
        if (out->only ? strcmp(item->name, out->only) == 0 : dense || table)
            return table ? item->value.as.text : NULL;
    }
    return NULL;
}

static lode_status write_table(lode_ctx *ctx, const char *path, const lode_i_output *out,
                               bool force, char by)
{
    lode_status st = LODE_OK;
    lode_i_tensor t = { 0 };
    printer p = { .by = by };
    const char *words = by == ',' ? table_in_words(out) : NULL;
    if (words) {
        LODE_TRY(lode_i_gzout_open(ctx, path, force, &p.file));
        LODE_TRY(lode_i_gzout_write(ctx, &p.file, words, strlen(words)));
        LODE_TRY(lode_i_gzout_commit(ctx, &p.file));
        goto done;
    }
    LODE_TRY(lode_i_choose(ctx, out, by == ',' ? "csv" : "tsv", &t));
    LODE_REQUIRE(t.ndim <= 2, LODE_ESHAPE, "%s has %d axes, and a table has two; write .npy",
                 t.name, (int)t.ndim);
    LODE_REQUIRE(!lode_i_is_complex(t.dtype), LODE_ETYPE,
                 "%s is complex, which tables do not hold; write .npy", t.name);
    const char class = lode_dtype_class(t.dtype);
    p.dtype = t.dtype == LODE_U64 ? LODE_U64 : class == 'f' ? LODE_F64 : LODE_I64;
    p.cols = t.ndim == 2 ? t.shape[1] : 1;
    t.dtype = p.dtype;
    LODE_TRY(lode_i_gzout_open(ctx, path, force, &p.file));
    LODE_TRY(print_names(ctx, &p, out->meta));
    LODE_TRY(lode_i_tensor_emit(ctx, &t, print_values, &p));
    LODE_TRY(lode_i_print_out(ctx, &p.file, &p.text, 0));
    LODE_TRY(lode_i_gzout_commit(ctx, &p.file));
done:
    lode_i_gzout_abandon(&p.file);
    lode_i_text_free(&p.text);
    return st;
}

lode_status lode_i_csv_write(lode_ctx *ctx, const char *path, const lode_i_output *out, bool force)
{
    return write_table(ctx, path, out, force, ',');
}

lode_status lode_i_tsv_write(lode_ctx *ctx, const char *path, const lode_i_output *out, bool force)
{
    return write_table(ctx, path, out, force, '\t');
}
