/* Matrix Market: coordinate (sparse) and array (dense, column by column) matrices as text, with the
 * symmetric kinds written out. Format of Boisvert, Pozo & Remington, NISTIR 5935 (1996). */
#include "io/text.h"

#include <string.h>
#include <strings.h>

typedef enum field { REAL, INTEGER, COMPLEX, PATTERN } field;
typedef enum symmetry { GENERAL, SYMMETRIC, SKEW, HERMITIAN } symmetry;

typedef struct banner {
    bool sparse;
    field field;
    symmetry symmetry;
    int64_t rows, cols, entries; /* entries: lines of values */
} banner;

static const char *const fields[] = { "real", "integer", "complex", "pattern" };
static const char *const symmetries[] = { "general", "symmetric", "skew-symmetric", "hermitian" };

static bool sniff(const unsigned char *head, size_t size)
{
    return size >= 14 && memcmp(head, "%%MatrixMarket", 14) == 0;
}

static bool one_of(const char *text, const char *const *names, int count, int *which)
{
    for (*which = 0; *which < count; ++*which)
        if (text && strcasecmp(text, names[*which]) == 0)
            return true;
    return false;
}

static lode_status bad_line(lode_ctx *ctx, const lode_i_lines *l, const char *why)
{
    return lode_i_fail(ctx, LODE_EFORMAT, "%s, line %" PRId64 ": %s", lode_i_infile_path(l->in),
                       l->number, why);
}

/* The next line that is neither a comment nor blank. */
static lode_status next(lode_ctx *ctx, lode_i_lines *l, char **line)
{
    do
        LODE_FORWARD(lode_i_lines_next(ctx, l, line));
    while (*line && (**line == '%' || (*line)[strspn(*line, " \t")] == '\0'));
    return LODE_OK;
}

static lode_status read_banner(lode_ctx *ctx, lode_i_lines *l, banner *b)
{
    char *line = NULL;
    int which = 0;
    LODE_FORWARD(lode_i_lines_next(ctx, l, &line));
    char *at = line, *first = line ? lode_i_word(&at) : NULL;
    if (!first || strcasecmp(first, "%%MatrixMarket") != 0)
        return bad_line(ctx, l, "a Matrix Market file begins with %%MatrixMarket");
    const char *object = lode_i_word(&at), *layout = lode_i_word(&at), *kind = lode_i_word(&at),
               *form = lode_i_word(&at);
    if (!object || strcasecmp(object, "matrix") != 0)
        return bad_line(ctx, l, "only 'matrix' objects are read");
    b->sparse = layout && strcasecmp(layout, "coordinate") == 0;
    if (!b->sparse && (!layout || strcasecmp(layout, "array") != 0))
        return bad_line(ctx, l, "the layout is neither 'coordinate' nor 'array'");
    if (!one_of(kind, fields, 4, &which) || (which == PATTERN && !b->sparse))
        return bad_line(ctx, l,
                        "the values are none of real, integer, complex, pattern (coordinate only)");
    b->field = (field)which;
    if (!one_of(form, symmetries, 4, &which) || (which == HERMITIAN && b->field != COMPLEX) ||
        (which == SKEW && b->field == PATTERN))
        return bad_line(
            ctx, l,
            "the symmetry is none of general, symmetric, skew-symmetric, hermitian (complex only)");
    b->symmetry = (symmetry)which;
    LODE_FORWARD(next(ctx, l, &line));
    at = line;
    const char *rows = line ? lode_i_word(&at) : NULL, *cols = line ? lode_i_word(&at) : NULL;
    const char *entries = b->sparse && line ? lode_i_word(&at) : NULL;
    if (!rows || !cols || !lode_i_parse_i64(rows, &b->rows) || !lode_i_parse_i64(cols, &b->cols) ||
        b->rows < 0 || b->cols < 0 ||
        (b->sparse && (!entries || !lode_i_parse_i64(entries, &b->entries) || b->entries < 0)) ||
        lode_i_word(&at))
        return bad_line(ctx, l,
                        b->sparse ? "the sizes are not 'rows columns entries'"
                                  : "the sizes are not 'rows columns'");
    if (b->symmetry != GENERAL && b->rows != b->cols)
        return bad_line(ctx, l, "a symmetric matrix is square");
    if (!b->sparse) {
        const int64_t n = b->rows;
        if (!lode_i_mul(b->rows, b->cols, &b->entries))
            return bad_line(ctx, l, "the matrix is larger than any file");
        if (b->symmetry != GENERAL) /* n^2 fits, so n (n + 1) / 2 does */
            b->entries = n % 2 ? n * ((n - 1) / 2 + (b->symmetry != SKEW))
                               : n / 2 * (b->symmetry == SKEW ? lode_i_max(n - 1, 0) : n + 1);
    }
    /* The shortest entries are "1 1" and "1", each with its newline. */
    if ((uint64_t)b->entries > l->size / (b->sparse ? 4 : 2) + 1)
        return bad_line(ctx, l, "more entries are announced than the file has room for");
    return LODE_OK;
}

static lode_dtype type_of(field f)
{
    return f == INTEGER ? LODE_I64 : f == COMPLEX ? LODE_C128 : LODE_F64;
}

static lode_status open_mtx(lode_ctx *ctx, lode_file *f, const lode_read_opts *o)
{
    lode_status st = LODE_OK;
    lode_i_lines l = { 0 };
    lode_i_member *m = NULL;
    banner b = { 0 };
    (void)o;
    LODE_TRY(lode_i_lines_open(ctx, f->in, &l));
    LODE_TRY(read_banner(ctx, &l, &b));
    LODE_TRY(lode_i_member_add(ctx, f, "matrix", 6, &m));
    m->kind = b.sparse ? LODE_SPARSE : LODE_ARRAY;
    m->layout = LODE_CSR;
    m->dtype = type_of(b.field);
    m->ndim = 2;
    m->shape[0] = b.rows, m->shape[1] = b.cols;
    m->in = lode_i_infile_ref(f->in);
done:
    lode_i_lines_close(&l);
    return st;
}

/* ---- values ---- */

typedef struct number {
    double re, im;
    int64_t i;
} number;

static bool take(char **at, field f, number *v)
{
    const char *a = f == PATTERN ? NULL : lode_i_word(at),
               *b = f == COMPLEX ? lode_i_word(at) : NULL;
    *v = (number){ .re = 1 };
    if (f == PATTERN)
        return true;
    if (f == INTEGER)
        return a && lode_i_parse_i64(a, &v->i);
    return a && lode_i_parse_f64(a, &v->re) && (f != COMPLEX || (b && lode_i_parse_f64(b, &v->im)));
}

static void put(void *values, field f, int64_t at, number v)
{
    if (f == INTEGER) {
        ((int64_t *)values)[at] = v.i;
    } else if (f == COMPLEX) {
        ((double *)values)[2 * at] = v.re;
        ((double *)values)[2 * at + 1] = v.im;
    } else {
        ((double *)values)[at] = v.re;
    }
}

/* What stands at (j, i) when v stands at (i, j). */
static number mirrored(number v, symmetry s)
{
    if (s == SKEW)
        v.re = -v.re, v.im = -v.im, v.i = v.i == INT64_MIN ? INT64_MAX : -v.i;
    if (s == HERMITIAN)
        v.im = -v.im;
    return v;
}

static lode_status load_sparse(lode_ctx *ctx, lode_i_lines *l, const banner *b, lode_sparse *out)
{
    lode_status st = LODE_OK;
    lode_sparse s = { .layout = LODE_COO, .ndim = 2, .shape = { b->rows, b->cols } }, csr = { 0 };
    lode_array indices = { 0 }, values = { 0 };
    const int64_t most = b->symmetry == GENERAL ? b->entries : 2 * b->entries;
    const int64_t both[2] = { most, 2 };
    int64_t n = 0, i = 0, j = 0;
    char *line = NULL;
    number v;

    LODE_TRY(lode_array_new(ctx, LODE_I64, 2, both, &indices));
    LODE_TRY(lode_array_new(ctx, type_of(b->field), 1, both, &values));
    int64_t *at = indices.data;
    for (int64_t k = 0; k < b->entries; k++) {
        LODE_TRY(next(ctx, l, &line));
        if (!line) {
            st = lode_i_fail(ctx, LODE_EFORMAT,
                             "%s ends after %" PRId64 " of its %" PRId64 " entries",
                             lode_i_infile_path(l->in), k, b->entries);
            goto done;
        }
        char *p = line;
        const char *row = lode_i_word(&p), *col = lode_i_word(&p);
        if (!row || !col || !lode_i_parse_i64(row, &i) || !lode_i_parse_i64(col, &j) ||
            !take(&p, b->field, &v) || lode_i_word(&p)) {
            st = bad_line(ctx, l, "it is no entry 'row column value'");
            goto done;
        }
        if (i < 1 || i > b->rows || j < 1 || j > b->cols) {
            st = lode_i_fail(ctx, LODE_EFORMAT,
                             "%s, line %" PRId64 ": entry (%" PRId64 ", %" PRId64
                             ") lies outside %" PRId64 " x %" PRId64,
                             lode_i_infile_path(l->in), l->number, i, j, b->rows, b->cols);
            goto done;
        }
        if (b->symmetry != GENERAL && (j > i || (j == i && b->symmetry == SKEW))) {
            st = bad_line(ctx, l, "a symmetric matrix is given by its lower triangle");
            goto done;
        }
        at[2 * n] = i - 1, at[2 * n + 1] = j - 1;
        put(values.data, b->field, n++, v);
        if (b->symmetry != GENERAL && i != j) {
            at[2 * n] = j - 1, at[2 * n + 1] = i - 1;
            put(values.data, b->field, n++, mirrored(v, b->symmetry));
        }
    }
    LODE_TRY(next(ctx, l, &line));
    if (line) {
        st = bad_line(ctx, l, "there are more entries than the header says");
        goto done;
    }
    LODE_TRY(lode_array_slice(ctx, &indices, 0, 0, n, 1, &s.indices));
    LODE_TRY(lode_array_slice(ctx, &values, 0, 0, n, 1, &s.values));
    LODE_TRY(lode_sparse_to_csr(ctx, &s, &csr));
    *out = csr;
    csr = (lode_sparse){ 0 };
done:
    LODE_FREE(&s, &csr, &indices, &values);
    return st;
}

static lode_status load_dense(lode_ctx *ctx, lode_i_lines *l, const banner *b, lode_array *out)
{
    lode_status st = LODE_OK;
    const int64_t shape[2] = { b->rows, b->cols };
    lode_array a = { 0 };
    char *line = NULL;
    number v;
    LODE_TRY(lode_array_zeros(ctx, type_of(b->field), 2, shape, &a));
    for (int64_t j = 0; j < b->cols && b->rows > 0; j++) {
        const int64_t first = b->symmetry == GENERAL ? 0 : b->symmetry == SKEW ? j + 1 : j;
        for (int64_t i = first; i < b->rows; i++) {
            LODE_TRY(next(ctx, l, &line));
            char *p = line;
            if (!line || !take(&p, b->field, &v) || lode_i_word(&p)) {
                st = line ? bad_line(ctx, l, "it is no single value")
                          : lode_i_fail(ctx, LODE_EFORMAT,
                                        "%s ends before value (%" PRId64 ", %" PRId64 ")",
                                        lode_i_infile_path(l->in), i + 1, j + 1);
                goto done;
            }
            put(a.data, b->field, i * b->cols + j, v);
            if (b->symmetry != GENERAL && i != j)
                put(a.data, b->field, j * b->cols + i, mirrored(v, b->symmetry));
        }
    }
    LODE_TRY(next(ctx, l, &line));
    if (line) {
        st = bad_line(ctx, l, "there are more values than the header says");
        goto done;
    }
    lode_array_swap(out, &a);
done:
    lode_array_free(&a);
    return st;
}

static lode_status load_mtx(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                            lode_array *a, lode_sparse *s)
{
    lode_status st = LODE_OK;
    lode_i_lines l = { 0 };
    banner b = { 0 };
    (void)m;
    LODE_TRY(lode_i_lines_open(ctx, f->in, &l));
    LODE_TRY(read_banner(ctx, &l, &b));
    LODE_TRY(b.sparse ? load_sparse(ctx, &l, &b, s) : load_dense(ctx, &l, &b, a));
done:
    lode_i_lines_close(&l);
    return st;
}

/* ---- writing ---- */

static field field_of(lode_dtype dtype)
{
    return lode_i_is_complex(dtype)                 ? COMPLEX
           : strchr("biu", lode_dtype_class(dtype)) ? INTEGER
                                                    : REAL;
}

static lode_status print(lode_ctx *ctx, lode_text *t, field f, const void *values, int64_t at)
{
    if (f != COMPLEX)
        return lode_i_print_value(ctx, t, type_of(f), values, at, '\n');
    LODE_FORWARD(lode_i_print_value(ctx, t, LODE_F64, values, 2 * at, ' '));
    return lode_i_print_value(ctx, t, LODE_F64, values, 2 * at + 1, '\n');
}

static lode_status write_sparse(lode_ctx *ctx, const lode_sparse *s, lode_i_gzout *file,
                                lode_text *t)
{
    lode_status st = LODE_OK;
    lode_sparse csr = { 0 };
    lode_array values = { 0 };
    const field f = field_of(s->values.dtype);
    LODE_REQUIRE(s->ndim == 2, LODE_ESHAPE,
                 "Matrix Market holds matrices, and this sparse array has %d axes", (int)s->ndim);
    LODE_TRY(lode_sparse_to_csr(ctx, s, &csr));
    LODE_TRY(lode_i_as(ctx, &csr.values, type_of(f), &values));
    const int64_t *p = csr.indptr.data, *c = csr.indices.data;
    LODE_TRY(lode_i_text_add(ctx, t,
                             "%%%%MatrixMarket matrix coordinate %s general\n%" PRId64 " %" PRId64
                             " %" PRId64 "\n",
                             fields[f], s->shape[0], s->shape[1], lode_sparse_nnz(&csr)));
    for (int64_t i = 0; i < s->shape[0]; i++)
        for (int64_t k = p[i]; k < p[i + 1]; k++) {
            LODE_TRY(lode_i_text_add(ctx, t, "%" PRId64 " %" PRId64 " ", i + 1, c[k] + 1));
            LODE_TRY(print(ctx, t, f, values.data, k));
            LODE_TRY(lode_i_print_out(ctx, file, t, 1 << 20));
        }
done:
    LODE_FREE(&csr, &values);
    return st;
}

static lode_status write_dense(lode_ctx *ctx, const char *name, lode_value v, lode_i_gzout *file,
                               lode_text *t)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 };
    lode_dtype dtype = LODE_F32;
    int32_t ndim = 0;
    int64_t shape[LODE_MAX_NDIM];
    LODE_TRY(lode_i_dense_form(ctx, name, v, &dtype, &ndim, shape));
    LODE_REQUIRE(ndim == 1 || ndim == 2, LODE_ESHAPE,
                 "Matrix Market holds matrices, and %s has %d axes", name, (int)ndim);
    const field f = field_of(dtype);
    const int64_t rows = shape[0], cols = ndim == 2 ? shape[1] : 1;
    LODE_TRY(lode_i_as_array(ctx, v, type_of(f), &a));
    LODE_TRY(lode_i_text_add(ctx, t,
                             "%%%%MatrixMarket matrix array %s general\n%" PRId64 " %" PRId64 "\n",
                             fields[f], rows, cols));
    for (int64_t j = 0; j < cols; j++)
        for (int64_t i = 0; i < rows; i++) {
            LODE_TRY(print(ctx, t, f, a.data, i * cols + j));
            LODE_TRY(lode_i_print_out(ctx, file, t, 1 << 20));
        }
done:
    lode_array_free(&a);
    return st;
}

static lode_status write_mtx(lode_ctx *ctx, const char *path, const lode_i_output *out, bool force)
{
    lode_status st = LODE_OK;
    const lode_i_item *item = NULL;
    lode_i_gzout file = { 0 };
    lode_text t = { 0 };
    LODE_TRY(lode_i_choose_item(ctx, out, LODE_DENSE | LODE_KIND_BIT(LODE_SPARSE), &item));
    LODE_TRY(lode_i_gzout_open(ctx, path, force, &file));
    if (item->value.kind == LODE_SPARSE)
        LODE_TRY(write_sparse(ctx, item->value.as.sparse, &file, &t));
    else
        LODE_TRY(write_dense(ctx, item->name, item->value, &file, &t));
    LODE_TRY(lode_i_print_out(ctx, &file, &t, 0));
    LODE_TRY(lode_i_gzout_commit(ctx, &file));
done:
    lode_i_gzout_abandon(&file);
    lode_i_text_free(&t);
    return st;
}

const lode_i_format lode_i_format_mtx = {
    .name = "mtx",
    .suffixes = ".mtx",
    .gzip = true,
    .sniff = sniff,
    .open = open_mtx,
    .load = load_mtx,
    .write = write_mtx,
};
