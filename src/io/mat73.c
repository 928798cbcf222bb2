/* MATLAB 7.3: HDF5 behind 512 bytes of MATLAB's own. Arrays lie by columns, so that HDF5 sees their
 * axes in reverse; the attribute MATLAB_class says what the numbers mean. Numeric and logical
 * arrays, also in fields of a struct, and sparse matrices are read and written; text is written. */
#include "io/frame.h"
#include "io/h5.h"

#include <string.h>

#ifdef LODE_HAVE_HDF5

enum { BLOCK = 512 };

static bool sniff(const unsigned char *head, size_t size)
{
    return (size >= 9 && memcmp(head, "MATLAB 7.", 9) == 0) ||
           (size >= 8 && memcmp(head, "\x89HDF\r\n\x1a\n", 8) == 0);
}

static void reverse(int64_t *v, int n)
{
    for (int a = 0, b = n - 1; a < b; a++, b--) {
        const int64_t t = v[a];
        v[a] = v[b], v[b] = t;
    }
}

/* ---- reading ---- */

static const char *class_of(const lode_json *object)
{
    return lode_i_json_as_text(
        lode_i_json_get(lode_i_json_get(object, "attributes"), "MATLAB_class"));
}

/* An array without values stores its shape in their place. */
static lode_status settle_empty(lode_ctx *ctx, lode_file *f, lode_i_member *m)
{
    uint64_t sizes[LODE_MAX_NDIM] = { 0 };
    const int64_t zero = 0;
    if (m->dtype != LODE_U64 || m->ndim != 1 || m->shape[0] < 1 || m->shape[0] > LODE_MAX_NDIM)
        return lode_i_member_refuse(ctx, m, LODE_F64, "%s is empty and has no shape", m->name);
    LODE_FORWARD(lode_i_h5_read(ctx, f, m, &zero, m->shape, sizes));
    m->ndim = (int32_t)m->shape[0];
    bool empty = false;
    for (int k = 0; k < m->ndim; k++) {
        m->shape[k] = sizes[k] > INT64_MAX ? -1 : (int64_t)sizes[k];
        empty = empty || sizes[k] == 0;
    }
    if (!empty)
        return lode_i_member_refuse(ctx, m, LODE_F64, "%s is said to be empty and is not", m->name);
    lode_i_free(m->chunk);
    m->chunk = NULL;
    return lode_i_shape_bytes(ctx, m->name, m->dtype, m->ndim, m->shape, &m->bytes);
}

static lode_status settle(lode_ctx *ctx, lode_file *f, lode_i_member *m, const lode_json *object)
{
    static const struct {
        const char *name;
        lode_dtype dtype;
    } classes[] = { { "double", LODE_F64 }, { "single", LODE_F32 },  { "int8", LODE_I8 },
                    { "int16", LODE_I16 },  { "int32", LODE_I32 },   { "int64", LODE_I64 },
                    { "uint8", LODE_U8 },   { "uint16", LODE_U16 },  { "uint32", LODE_U32 },
                    { "uint64", LODE_U64 }, { "logical", LODE_BOOL } };
    const char *word = class_of(object);
    const lode_json *attributes = lode_i_json_get(object, "attributes");
    double empty = 0;
    if (m->kind == LODE_NONE && word && strcmp(word, "cell") == 0)
        return lode_i_member_refuse(ctx, m, LODE_F64,
                                    "%s is a cell array, and only numbers are read", m->name);
    if (m->kind != LODE_ARRAY)
        return LODE_OK;
    size_t i = 0;
    while (word && i < sizeof classes / sizeof *classes && strcmp(classes[i].name, word) != 0)
        i++;
    if ((word && i == sizeof classes / sizeof *classes) ||
        lode_i_json_get(attributes, "MATLAB_object_decode"))
        return lode_i_member_refuse(ctx, m, LODE_F64,
                                    "%s is of MATLAB's class %s, and only numbers are read",
                                    m->name, word ? word : "object");
    if (lode_i_json_as_f64(lode_i_json_get(attributes, "MATLAB_empty"), &empty) && empty != 0) {
        LODE_FORWARD(settle_empty(ctx, f, m));
        if (m->kind == LODE_ARRAY && word)
            m->dtype = classes[i].dtype; /* no value is ever read */
        return LODE_OK;
    }
    if (word && classes[i].dtype == LODE_BOOL && m->dtype == LODE_U8)
        m->dtype = LODE_BOOL;
    reverse(m->shape, m->ndim);
    if (m->chunk)
        reverse(m->chunk, m->ndim);
    m->fortran = m->ndim > 1 && !m->chunk; /* read along the first axis */
    return LODE_OK;
}

/* A part of a sparse matrix by its name; one that is missing has no values. */
static lode_status part_of(lode_ctx *ctx, lode_file *f, const char *group, const char *name,
                           int64_t like, int64_t *part)
{
    lode_status st = LODE_OK;
    lode_text path = { 0 };
    lode_i_member *m = NULL;
    LODE_TRY(lode_i_text_add(ctx, &path, "%s/%s", group, name));
    m = lode_i_member_find(f, path.text);
    if (!m && like >= 0) {
        LODE_TRY(lode_i_member_add(ctx, f, path.text, path.size, &m));
        m->dtype = LODE_F64, m->ndim = 1, m->id = f->members[like].id;
        if (strcmp(name, "ir") == 0)
            m->dtype = LODE_U64;
    }
    if (m)
        m->hidden = m->owned = true;
    *part = m ? m - f->members : -1;
done:
    lode_i_text_free(&path);
    return st;
}

/* A group of data, rows (ir) and where columns begin (jc). */
static lode_status add_sparse(lode_ctx *ctx, lode_file *f, const char *group,
                              const lode_json *object)
{
    int64_t part[3] = { -1, -1, -1 }, rows = 0;
    lode_i_member *m = NULL;
    const lode_json *attributes = lode_i_json_get(object, "attributes");
    const char *word = class_of(object);
    if (!lode_i_json_as_i64(lode_i_json_get(attributes, "MATLAB_sparse"), &rows))
        return LODE_OK;
    LODE_FORWARD(part_of(ctx, f, group, "jc", -1, &part[0]));
    if (part[0] < 0)
        return LODE_OK;
    LODE_FORWARD(part_of(ctx, f, group, "ir", part[0], &part[1]));
    LODE_FORWARD(part_of(ctx, f, group, "data", part[0], &part[2]));
    for (int k = 0; k < 3; k++)
        if (f->members[part[k]].kind != LODE_ARRAY || f->members[part[k]].ndim != 1)
            return lode_i_fail(ctx, LODE_EFORMAT,
                               "%s: the parts of sparse %s are not three vectors", f->path, group);
    if (rows < 0 || f->members[part[0]].shape[0] < 1)
        return lode_i_fail(ctx, LODE_EFORMAT, "%s: sparse %s has no shape", f->path, group);
    if (word && strcmp(word, "logical") == 0 && f->members[part[2]].dtype == LODE_U8)
        f->members[part[2]].dtype = LODE_BOOL;
    LODE_FORWARD(lode_i_member_add(ctx, f, group, strlen(group), &m));
    m->kind = LODE_SPARSE, m->layout = LODE_CSR, m->csc = true, m->ndim = 2;
    m->shape[0] = rows, m->shape[1] = f->members[part[0]].shape[0] - 1;
    m->dtype = f->members[part[2]].dtype;
    memcpy(m->part, part, sizeof part);
    return LODE_OK;
}

static lode_status open_mat73(lode_ctx *ctx, lode_file *f, const lode_read_opts *o)
{
    lode_json *object = NULL;
    (void)o;
    LODE_FORWARD(lode_i_h5_open(ctx, f));
    const lode_json *found = lode_i_h5_found(f->state);
    const lode_json *variables = lode_i_json_get(found, "variables");
    const lode_json *groups = lode_i_json_get(found, "groups");
    for (int64_t i = 0; i < f->count; i++) {
        lode_i_member *m = &f->members[i];
        m->hidden = m->name[0] == '#'; /* what cells and objects refer to */
        LODE_FORWARD(settle(ctx, f, m, lode_i_json_get(variables, m->name)));
        m->secondary = m->kind != LODE_ARRAY;
    }
    for (const char *name = NULL; (name = lode_i_json_next(groups, name, &object));)
        LODE_FORWARD(add_sparse(ctx, f, name, object));
    return LODE_OK;
}

/* What the file's own axes say of a member, for reading in its order. */
typedef struct stored {
    const lode_file *file;
    lode_i_member member;
} stored;

static lode_status read_stored(lode_ctx *ctx, void *data, const int64_t *start,
                               const int64_t *count, void *dst)
{
    const stored *s = data;
    return lode_i_h5_read(ctx, s->file, &s->member, start, count, dst);
}

static lode_status read_mat73(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                              const int64_t *start, const int64_t *count, void *dst)
{
    stored s = { f, *m };
    const int64_t grain = m->chunk && m->ndim > 0 ? m->chunk[m->ndim - 1] : 1;
    reverse(s.member.shape, m->ndim);
    return lode_i_reversed_read(ctx, m, start, count, grain, read_stored, &s, dst);
}

static void close_mat73(lode_file *f)
{
    lode_i_h5_close(f->state);
}

/* ---- frames ---- */

/* Characters, cells, structures and objects are all in the frame: only values of arrays are cut. */
static lode_status frame_mat73(lode_ctx *ctx, lode_file *f, lode_i_frame *frame, bool *has)
{
    for (int64_t i = 0; i < f->count; i++) {
        const lode_i_member *m = &f->members[i];
        lode_i_framed *framed = NULL;
        LODE_FORWARD(lode_i_frame_member(ctx, frame, m->name, NULL, &framed));
        if (m->kind != LODE_ARRAY || m->hidden || m->again || m->bytes == 0)
            continue;
        lode_i_member own = *m; /* as the file has it */
        reverse(own.shape, m->ndim);
        const lode_dtype dtype = lode_i_h5_stored(f->state, m);
        own.dtype = dtype;
        const lode_i_form form = lode_i_form_of(dtype, dtype, lode_i_h5_packing(f->state, m));
        LODE_FORWARD(lode_i_h5_cut(ctx, f, &own, &form, frame, framed));
    }
    *has = true;
    return LODE_OK;
}

/* Values in the file's order of axes and type. */
static lode_status turn(lode_ctx *ctx, const lode_file *h5, const char *name, lode_value v,
                        lode_source *s)
{
    const lode_i_member *to = lode_i_member_find(h5, name);
    LODE_FORWARD(lode_i_reversed(ctx, v, s));
    if (to && to->kind == LODE_ARRAY && s->dtype == LODE_BOOL && to->dtype == LODE_U8)
        s->dtype = LODE_U8; /* truth */
    return LODE_OK;
}

static lode_status fill_mat73(lode_ctx *ctx, const char *path, lode_outfile *file,
                              const lode_i_frame *frame, const lode_i_output *out, bool *fits)
{
    lode_status st = LODE_OK;
    lode_i_output turned = *out;
    lode_source *sources = NULL;
    lode_file *h5 = NULL;
    turned.items = NULL;
    LODE_TRY(lode_i_new(ctx, out->count + 1, sizeof *turned.items, (void **)&turned.items));
    LODE_TRY(lode_i_calloc(ctx, (size_t)(out->count + 1) * sizeof *sources, (void **)&sources));
    st = lode_file_open(ctx, lode_i_outfile_temporary(file), &(lode_read_opts){ .format = "hdf5" },
                        &h5);
    *fits = st != LODE_EFORMAT;
    if (!*fits)
        st = LODE_OK; /* what was cut out is more than values */
    LODE_TRY(st);
    for (int64_t i = 0; i < out->count && *fits; i++) {
        turned.items[i] = out->items[i];
        const lode_value v = out->items[i].value;
        bool cut = false;
        for (int64_t k = 0; k < frame->count && !cut; k++)
            cut = frame->member[k].cut && strcmp(frame->member[k].name, out->items[i].name) == 0;
        if (!cut || (v.kind != LODE_ARRAY && v.kind != LODE_SOURCE))
            continue;
        LODE_TRY(turn(ctx, h5, out->items[i].name, v, &sources[i]));
        turned.items[i].value = lode_from_source(&sources[i]);
    }
    lode_file_close(&h5);
    if (*fits)
        LODE_TRY(lode_i_h5_fill(ctx, path, file, frame, &turned, fits));
done:
    lode_file_close(&h5);
    for (int64_t i = 0; sources && i < out->count; i++)
        lode_source_close(&sources[i]);
    lode_i_free(sources);
    lode_i_free(turned.items);
    return st;
}

/* ---- writing ---- */

typedef struct writer {
    lode_i_h5_writer *h;
    int64_t set;
    lode_dtype dtype;
    int ndim;
} writer;

static const char *class_for(lode_dtype dtype)
{
    switch (dtype) {
    case LODE_BOOL: return "logical";
    case LODE_I8: return "int8";
    case LODE_I16: return "int16";
    case LODE_I32: return "int32";
    case LODE_I64: return "int64";
    case LODE_U8: return "uint8";
    case LODE_U16: return "uint16";
    case LODE_U32: return "uint32";
    case LODE_U64: return "uint64";
    case LODE_F16:
    case LODE_BF16:
    case LODE_F32:
    case LODE_C64: return "single";
    case LODE_F64:
    case LODE_C128: return "double";
    default: return NULL;
    }
}

static lode_status put_class(lode_ctx *ctx, writer *w, const char *path, const char *word)
{
    const lode_i_attribute a = { .count = 1, .text = &word };
    return lode_i_h5_attribute(ctx, w->h, path, "MATLAB_class", &a);
}

static lode_status put_number(lode_ctx *ctx, writer *w, const char *path, const char *name,
                              lode_dtype dtype, const void *value)
{
    const int64_t one = 1;
    const lode_i_attribute a = {
        .count = 1, .values = lode_array_wrap((void *)(uintptr_t)value, dtype, 1, &one)
    };
    return lode_i_h5_attribute(ctx, w->h, path, name, &a);
}

/* Letters, digits and underscores after a letter: what MATLAB takes for a name. */
static lode_status name_for(lode_ctx *ctx, const char *name, lode_text *t)
{
    t->size = 0;
    const bool letter = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z');
    LODE_FORWARD(lode_i_text_add(ctx, t, "%s%.60s", letter ? "" : "x", name));
    for (char *p = t->text; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9')))
            *p = '_';
    return LODE_OK;
}

/* A box in the file's order; an array has at least two axes there. */
static lode_status put_box(lode_ctx *ctx, void *data, const int64_t *start, const int64_t *count,
                           const void *values)
{
    const writer *w = data;
    int64_t from[LODE_MAX_NDIM] = { 0 }, many[LODE_MAX_NDIM] = { 1, 1 };
    for (int k = 0; k < w->ndim; k++) /* n values are 1 x n: n x 1 in the file */
        from[k] = start[k], many[k] = count[k];
    return lode_i_h5_put(ctx, w->h, w->set, from, many, values);
}

/* The data set of an array of that type and shape; one without values holds the shape instead. */
static lode_status put_head(lode_ctx *ctx, writer *w, const char *name, lode_dtype dtype,
                            const char *word, int ndim, const int64_t *shape)
{
    int64_t sizes[LODE_MAX_NDIM] = { 1, 1 }, axes = ndim < 2 ? 2 : ndim;
    const int64_t zero = 0;
    const uint8_t yes = 1;
    const int32_t decode = 1;
    bool empty = false;
    for (int k = 0; k < ndim; k++) {
        sizes[ndim == 1 ? 1 : k] = shape[k];
        empty = empty || shape[k] == 0;
    }
    w->dtype = dtype, w->ndim = ndim;
    if (empty) {
        LODE_FORWARD(lode_i_h5_dataset(ctx, w->h, name, LODE_U64, 1, &axes, &w->set));
        LODE_FORWARD(lode_i_h5_put(ctx, w->h, w->set, &zero, &axes, sizes));
        LODE_FORWARD(put_class(ctx, w, name, word));
        return put_number(ctx, w, name, "MATLAB_empty", LODE_U8, &yes);
    }
    reverse(sizes, (int)axes);
    LODE_FORWARD(lode_i_h5_dataset(ctx, w->h, name, dtype, (int)axes, sizes, &w->set));
    LODE_FORWARD(put_class(ctx, w, name, word));
    return dtype == LODE_BOOL ? put_number(ctx, w, name, "MATLAB_int_decode", LODE_I32, &decode)
                              : LODE_OK;
}

static lode_status put_dense(lode_ctx *ctx, writer *w, const char *name, const lode_i_tensor *t)
{
    lode_status st = LODE_OK;
    lode_source s = { 0 };
    const lode_dtype dtype = t->dtype == LODE_F16 || t->dtype == LODE_BF16 ? LODE_F32 : t->dtype;
    LODE_TRY(put_head(ctx, w, name, dtype, class_for(dtype), t->ndim, t->shape));
    if (t->value.kind == LODE_NONE) {
        LODE_TRY(put_box(ctx, w, NULL, NULL, t->small));
        goto done;
    }
    LODE_TRY(lode_i_reversed(ctx, t->value, &s));
    LODE_TRY(lode_i_emit_boxes(ctx, lode_from_source(&s), dtype, put_box, w));
done:
    lode_source_close(&s);
    return st;
}

/* UTF-8 as the 16-bit characters of MATLAB. */
static lode_status put_text(lode_ctx *ctx, writer *w, const char *name, const char *text)
{
    lode_status st = LODE_OK;
    const int64_t size = (int64_t)strlen(text);
    const int32_t decode = 2;
    uint16_t *wide = NULL;
    int64_t count = 0;
    LODE_TRY(LODE_NEW(ctx, size + 1, &wide));
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        const int more = *p < 0x80 ? 0 : *p < 0xE0 ? 1 : *p < 0xF0 ? 2 : 3;
        uint32_t c = more == 0 ? *p : *p & (0x3FU >> more);
        p++;
        for (int k = 0; k < more && (*p & 0xC0) == 0x80; k++)
            c = c << 6 | (*p++ & 0x3F);
        if (c >= 0x10000) {
            wide[count++] = (uint16_t)(0xD800 + ((c - 0x10000) >> 10 & 0x3FF));
            c = 0xDC00 + (c & 0x3FF);
        }
        wide[count++] = (uint16_t)c;
    }
    LODE_TRY(put_head(ctx, w, name, LODE_U16, "char", 1, &count));
    const int64_t zero = 0;
    if (count > 0) {
        LODE_TRY(put_number(ctx, w, name, "MATLAB_int_decode", LODE_I32, &decode));
        LODE_TRY(put_box(ctx, w, &zero, &count, wide));
    }
done:
    lode_i_free(wide);
    return st;
}

static lode_status put_part(lode_ctx *ctx, writer *w, const char *group, const char *name,
                            lode_dtype dtype, const lode_array *a)
{
    lode_status st = LODE_OK;
    lode_text path = { 0 };
    const int64_t zero = 0;
    LODE_TRY(lode_i_text_add(ctx, &path, "%s/%s", group, name));
    LODE_TRY(lode_i_h5_dataset(ctx, w->h, path.text, dtype, 1, a->shape, &w->set));
    LODE_TRY(lode_i_h5_put(ctx, w->h, w->set, &zero, a->shape, a->data));
done:
    lode_i_text_free(&path);
    return st;
}

/* By columns: the rows of the transpose. */
static lode_status put_sparse(lode_ctx *ctx, writer *w, const char *name, const lode_sparse *s)
{
    lode_status st = LODE_OK;
    lode_sparse swapped = { .layout = LODE_COO, .ndim = 2, .shape = { s->shape[1], s->shape[0] } };
    lode_sparse columns = { 0 };
    lode_array values = { 0 };
    const int64_t nnz = lode_sparse_nnz(s), both[2] = { nnz, 2 };
    const uint64_t rows = (uint64_t)s->shape[0];
    LODE_REQUIRE(s->ndim == 2, LODE_ETYPE, "%s: MATLAB has no sparse array of %d axes", name,
                 (int)s->ndim);
    const bool truth = s->values.dtype == LODE_BOOL;
    const lode_dtype dtype = truth                                ? LODE_BOOL
                             : lode_i_is_complex(s->values.dtype) ? LODE_C128
                                                                  : LODE_F64; /* all it knows */
    LODE_TRY(lode_array_new(ctx, LODE_I64, 2, both, &swapped.indices));
    int64_t *to = swapped.indices.data;
    const int64_t *from = s->indices.data, *p = s->indptr.data;
    if (s->layout == LODE_CSR) {
        for (int64_t i = 0; i < s->shape[0]; i++)
            for (int64_t j = p[i]; j < p[i + 1]; j++)
                to[2 * j] = from[j], to[2 * j + 1] = i;
    } else {
        for (int64_t j = 0; j < nnz; j++)
            to[2 * j] = from[2 * j + 1], to[2 * j + 1] = from[2 * j];
    }
    swapped.values = lode_array_ref(&s->values);
    LODE_TRY(lode_sparse_to_csr(ctx, &swapped, &columns));
    LODE_TRY(lode_i_as(ctx, &columns.values, dtype, &values));
    LODE_TRY(lode_i_h5_group(ctx, w->h, name));
    LODE_TRY(put_class(ctx, w, name, class_for(dtype)));
    LODE_TRY(put_number(ctx, w, name, "MATLAB_sparse", LODE_U64, &rows));
    if (nnz > 0) {
        LODE_TRY(put_part(ctx, w, name, "data", dtype, &values));
        LODE_TRY(put_part(ctx, w, name, "ir", LODE_U64, &columns.indices));
    }
    LODE_TRY(put_part(ctx, w, name, "jc", LODE_U64, &columns.indptr));
done:
    LODE_FREE(&swapped, &columns, &values);
    return st;
}

static lode_status put_item(lode_ctx *ctx, writer *w, const lode_i_output *out, int64_t i,
                            const char *name)
{
    const lode_value v = out->items[i].value;
    if (v.kind == LODE_SPARSE)
        return put_sparse(ctx, w, name, v.as.sparse);
    if (v.kind == LODE_TEXT)
        return put_text(ctx, w, name, v.as.text);
    lode_i_output one = *out;
    lode_i_tensor t;
    one.count = 1, one.items = &out->items[i], one.only = NULL;
    LODE_FORWARD(lode_i_choose(ctx, &one, "MATLAB", &t));
    if (!class_for(t.dtype))
        return lode_i_fail(ctx, LODE_ETYPE, "%s: MATLAB has no %s; write .npy or .lode",
                           out->items[i].name, lode_dtype_name(t.dtype));
    return put_dense(ctx, w, name, &t);
}

static lode_status write_all(lode_ctx *ctx, writer *w, const lode_i_output *out)
{
    lode_status st = LODE_OK;
    lode_text name = { 0 }, *names = NULL;
    LODE_TRY(lode_i_calloc(ctx, (size_t)(out->count + 1) * sizeof *names, (void **)&names));
    for (int64_t i = 0; i < out->count; i++) {
        LODE_TRY(name_for(ctx, out->items[i].name, &names[i]));
        for (int64_t j = 0; j < i; j++)
            LODE_REQUIRE(strcmp(names[i].text, names[j].text) != 0, LODE_EUSAGE,
                         "%s and %s would both be %s for MATLAB; rename one", out->items[j].name,
                         out->items[i].name, names[i].text);
        LODE_TRY(put_item(ctx, w, out, i, names[i].text));
    }
    LODE_TRY(lode_i_h5_finish(ctx, w->h));
done:
    for (int64_t i = 0; names && i < out->count; i++)
        lode_i_text_free(&names[i]);
    lode_i_free(names);
    lode_i_text_free(&name);
    return st;
}

static lode_status write_mat73(lode_ctx *ctx, const char *path, const lode_i_output *out,
                               bool force)
{
    lode_status st = LODE_OK;
    writer w = { 0 };
    lode_outfile *file = NULL;
    char block[BLOCK] = { 0 };
    /* Text to byte 116, then the version and which end comes first. */
    static const char words[] = "MATLAB 7.3 MAT-file, Platform: Lode, Created on: Thu Jan 01 "
                                "00:00:00 1970 HDF5 schema 1.00 .";
    memset(block, ' ', 116);
    memcpy(block, words, sizeof words - 1);
    memcpy(block + 124, "\0\2IM", 4);
    LODE_TRY(lode_i_outfile_open(ctx, path, force, &file));
    LODE_TRY(lode_i_h5_create(ctx, path, file, LODE_I_H5_MATLAB, BLOCK, &w.h));
    LODE_TRY(write_all(ctx, &w, out));
    LODE_TRY(lode_i_outfile_pwrite(ctx, file, 0, block, sizeof block));
    LODE_TRY(lode_i_outfile_commit(ctx, &file));
done:
    lode_i_h5_writer_free(w.h);
    lode_i_outfile_abandon(&file);
    return st;
}

#endif

const lode_i_format lode_i_format_mat73 = {
    .name = "mat73",
    .suffixes = ".mat",
    .many = true,
    .by_path = true,
#ifdef LODE_HAVE_HDF5
    .mixed = true,
    .sniff = sniff,
    .open = open_mat73,
    .read = read_mat73,
    .close = close_mat73,
    .frame = frame_mat73,
    .fill = fill_mat73,
    .write = write_mat73,
#else
    .absent = "MATLAB 7.3 files: it was made without libhdf5-dev",
#endif
};
