/* FROSTT tensors: one entry a line, its indices and its value, comment lines with #. Indices count
 * from 1; a file in which a 0 occurs counts from 0. The sizes are the largest indices, unless a
 * comment "# shape: 3 4 5" says more, as Lode writes it. Format of Smith et al., FROSTT (2017). */
#include "io/text.h"

#include <string.h>

typedef struct form {
    int32_t ndim;
    int64_t entries;
    int64_t base; /* 0 or 1 */
    int64_t shape[LODE_MAX_NDIM];
} form;

typedef struct entry {
    int64_t index[LODE_MAX_NDIM];
    double value;
} entry;

/* "# shape: 3 4 5"; other comments say nothing. */
static void read_comment(char *line, form *told)
{
    int64_t size = 0;
    char *at = line + 1, *word = lode_i_word(&at);
    form t = { 0 };
    if (!word || strcmp(word, "shape:") != 0)
        return;
    while ((word = lode_i_word(&at))) {
        if (t.ndim == LODE_MAX_NDIM || !lode_i_parse_i64(word, &size) || size < 0)
            return;
        t.shape[t.ndim++] = size;
    }
    *told = t;
}

/* The next entry; ndim 0: no more. The first line says how many indices there are. */
static lode_status next_entry(lode_ctx *ctx, lode_i_lines *l, int32_t axes, form *told, entry *e,
                              int32_t *ndim)
{
    char *line = NULL, *word[LODE_MAX_NDIM + 1];
    *ndim = 0;
    for (;;) {
        LODE_FORWARD(lode_i_lines_next(ctx, l, &line));
        if (!line)
            return LODE_OK;
        line += strspn(line, " \t");
        if (*line == '#' && told)
            read_comment(line, told);
        if (*line && *line != '#')
            break;
    }
    int n = 0;
    char *at = line;
    while (n <= LODE_MAX_NDIM && (word[n] = lode_i_word(&at)))
        n++;
    if (n < 2 || lode_i_word(&at) || (axes && n != axes + 1))
        return lode_i_fail(ctx, LODE_EFORMAT, "%s, line %" PRId64 ": %d words, where %s stand",
                           lode_i_infile_path(l->in), l->number, n,
                           axes ? "as many as in the first line"
                                : "indices (at most 32) and a value");
    for (int k = 0; k < n - 1; k++)
        if (!lode_i_parse_i64(word[k], &e->index[k]) || e->index[k] < 0 || e->index[k] == INT64_MAX)
            return lode_i_fail(ctx, LODE_EFORMAT, "%s, line %" PRId64 ": '%.40s' is no index",
                               lode_i_infile_path(l->in), l->number, word[k]);
    if (!lode_i_parse_f64(word[n - 1], &e->value))
        return lode_i_fail(ctx, LODE_EFORMAT, "%s, line %" PRId64 ": '%.40s' is no number",
                           lode_i_infile_path(l->in), l->number, word[n - 1]);
    *ndim = n - 1;
    return LODE_OK;
}

static lode_status survey(lode_ctx *ctx, const lode_file *f, form *out)
{
    lode_status st = LODE_OK;
    lode_i_lines l = { 0 };
    form m = { .base = 1 }, told = { 0 };
    entry e;
    int32_t ndim = 0;
    LODE_TRY(lode_i_lines_open(ctx, f->in, &l));
    for (;; m.entries++) {
        LODE_TRY(next_entry(ctx, &l, m.ndim, &told, &e, &ndim));
        if (ndim == 0)
            break;
        m.ndim = ndim;
        for (int k = 0; k < ndim; k++) {
            m.shape[k] = lode_i_max(m.shape[k], e.index[k]);
            m.base = e.index[k] == 0 ? 0 : m.base;
        }
    }
    LODE_REQUIRE(m.ndim || told.ndim, LODE_EFORMAT, "%s holds no entries, so it has no shape",
                 f->path);
    for (int k = 0; k < m.ndim; k++)
        m.shape[k] += 1 - m.base;
    if (told.ndim) {
        LODE_REQUIRE(m.ndim == 0 || m.ndim == told.ndim, LODE_EFORMAT,
                     "%s: its comment gives %d sizes, its entries have %d indices", f->path,
                     (int)told.ndim, (int)m.ndim);
        for (int k = 0; k < told.ndim; k++) {
            LODE_REQUIRE(m.shape[k] <= told.shape[k], LODE_EFORMAT,
                         "%s: index %" PRId64 " on axis %d, which its comment gives size %" PRId64,
                         f->path, m.shape[k], k, told.shape[k]);
            m.shape[k] = told.shape[k];
        }
        m.ndim = told.ndim;
    }
    *out = m;
done:
    lode_i_lines_close(&l);
    return st;
}

static lode_status open_tns(lode_ctx *ctx, lode_file *f, const lode_read_opts *o)
{
    lode_i_member *m = NULL;
    (void)o;
    LODE_FORWARD(lode_i_calloc(ctx, sizeof(form), &f->state));
    form *t = f->state;
    LODE_FORWARD(survey(ctx, f, t));
    LODE_FORWARD(lode_i_member_add(ctx, f, "tensor", 6, &m));
    m->kind = LODE_SPARSE;
    m->layout = LODE_COO;
    m->dtype = LODE_F64;
    m->ndim = t->ndim;
    memcpy(m->shape, t->shape, sizeof t->shape);
    m->in = lode_i_infile_ref(f->in);
    return LODE_OK;
}

static void close_tns(lode_file *f)
{
    lode_i_free(f->state);
}

static lode_status load_tns(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                            lode_array *a, lode_sparse *out)
{
    lode_status st = LODE_OK;
    const form *t = f->state;
    const int64_t both[] = { t->entries, t->ndim };
    lode_i_lines l = { 0 };
    lode_sparse s = { .layout = LODE_COO, .ndim = t->ndim };
    entry e;
    int32_t ndim = 0;
    (void)a;
    memcpy(s.shape, m->shape, sizeof s.shape);
    LODE_TRY(lode_i_lines_open(ctx, f->in, &l));
    LODE_TRY(lode_array_new(ctx, LODE_I64, 2, both, &s.indices));
    LODE_TRY(lode_array_new(ctx, LODE_F64, 1, both, &s.values));
    int64_t *index = s.indices.data;
    for (int64_t i = 0; i < t->entries; i++) {
        LODE_TRY(next_entry(ctx, &l, t->ndim, NULL, &e, &ndim));
        LODE_REQUIRE(ndim, LODE_EIO, "%s became shorter while it was read", f->path);
        for (int k = 0; k < ndim; k++)
            *index++ = e.index[k] - t->base;
        ((double *)s.values.data)[i] = e.value;
    }
    st = lode_sparse_check(ctx, &s);
    if (st < 0)
        lode_i_prefix(ctx, "%s: ", f->path);
    LODE_TRY(st);
    *out = s;
    s = (lode_sparse){ 0 };
done:
    lode_i_lines_close(&l);
    lode_sparse_free(&s);
    return st;
}

/* ---- writing ---- */

typedef struct printer {
    lode_i_gzout file;
    lode_text text;
    lode_dtype dtype; /* F64 or I64 */
    int32_t ndim;
} printer;

static lode_status print_shape(lode_ctx *ctx, printer *p, const int64_t *shape)
{
    LODE_FORWARD(lode_i_text_add(ctx, &p->text, "# shape:"));
    for (int k = 0; k < p->ndim; k++)
        LODE_FORWARD(lode_i_text_add(ctx, &p->text, " %" PRId64, shape[k]));
    return lode_i_text_add(ctx, &p->text, "\n");
}

static lode_status print_entry(lode_ctx *ctx, printer *p, const int64_t *index, const void *values,
                               int64_t at)
{
    for (int k = 0; k < p->ndim; k++)
        LODE_FORWARD(lode_i_text_add(ctx, &p->text, "%" PRId64 " ", index[k] + 1));
    LODE_FORWARD(lode_i_print_value(ctx, &p->text, p->dtype, values, at, '\n'));
    return lode_i_print_out(ctx, &p->file, &p->text, 1 << 20);
}

static lode_status print_sparse(lode_ctx *ctx, printer *p, const lode_sparse *s)
{
    lode_status st = LODE_OK;
    lode_array values = { 0 }, indices = { 0 }, indptr = { 0 };
    int64_t row = 0;
    LODE_TRY(lode_i_as(ctx, &s->values, p->dtype, &values));
    LODE_TRY(lode_i_as(ctx, &s->indices, LODE_I64, &indices));
    if (s->layout == LODE_CSR)
        LODE_TRY(lode_i_as(ctx, &s->indptr, LODE_I64, &indptr));
    const int64_t *index = indices.data, *start = indptr.data, nnz = lode_sparse_nnz(s);
    for (int64_t i = 0; i < nnz; i++) {
        int64_t pair[2];
        if (s->layout == LODE_CSR) {
            while (start[row + 1] <= i)
                row++;
            pair[0] = row, pair[1] = index[i];
        }
        LODE_TRY(print_entry(ctx, p, s->layout == LODE_CSR ? pair : index + i * s->ndim,
                             values.data, i));
    }
done:
    LODE_FREE(&values, &indices, &indptr);
    return st;
}

/* Of a dense array, what is not zero. */
static lode_status print_box(lode_ctx *ctx, void *data, const int64_t *start, const int64_t *count,
                             const void *values)
{
    printer *p = data;
    int64_t index[LODE_MAX_NDIM], many = 1;
    for (int k = 0; k < p->ndim; k++)
        index[k] = start[k], many *= count[k];
    for (int64_t i = 0; i < many; i++) {
        if (p->dtype == LODE_I64 ? ((const int64_t *)values)[i] != 0
                                 : ((const double *)values)[i] != 0)
            LODE_FORWARD(print_entry(ctx, p, index, values, i));
        for (int k = p->ndim; k-- > 0;) {
            if (++index[k] < start[k] + count[k])
                break;
            index[k] = start[k];
        }
    }
    return LODE_OK;
}

static lode_status write_tns(lode_ctx *ctx, const char *path, const lode_i_output *out, bool force)
{
    lode_status st = LODE_OK;
    const lode_i_item *item = NULL;
    printer p = { 0 };
    lode_dtype dtype = LODE_F64;
    int64_t shape[LODE_MAX_NDIM];
    LODE_TRY(lode_i_choose_item(ctx, out, LODE_DENSE | LODE_KIND_BIT(LODE_SPARSE), &item));
    const lode_sparse *s = item->value.kind == LODE_SPARSE ? item->value.as.sparse : NULL;
    if (s) {
        dtype = s->values.dtype, p.ndim = s->ndim;
        memcpy(shape, s->shape, sizeof shape);
    } else {
        LODE_TRY(lode_i_dense_form(ctx, item->name, item->value, &dtype, &p.ndim, shape));
    }
    LODE_REQUIRE(!lode_i_is_complex(dtype), LODE_ETYPE,
                 "%s is complex, which .tns files do not hold; write .lode or .npz", item->name);
    LODE_REQUIRE(p.ndim > 0, LODE_ESHAPE, "%s has no axes, and a .tns file needs one", item->name);
    p.dtype = strchr("biu", lode_dtype_class(dtype)) && dtype != LODE_U64 ? LODE_I64 : LODE_F64;
    LODE_TRY(lode_i_gzout_open(ctx, path, force, &p.file));
    LODE_TRY(print_shape(ctx, &p, shape));
    if (s)
        LODE_TRY(print_sparse(ctx, &p, s));
    else
        LODE_TRY(lode_i_emit_boxes(ctx, item->value, p.dtype, print_box, &p));
    LODE_TRY(lode_i_print_out(ctx, &p.file, &p.text, 0));
    LODE_TRY(lode_i_gzout_commit(ctx, &p.file));
done:
    lode_i_gzout_abandon(&p.file);
    lode_i_text_free(&p.text);
    return st;
}

const lode_i_format lode_i_format_tns = {
    .name = "tns",
    .suffixes = ".tns",
    .gzip = true,
    .open = open_tns,
    .load = load_tns,
    .close = close_tns,
    .write = write_tns,
};
