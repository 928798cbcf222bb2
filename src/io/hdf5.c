/* HDF5: every data set of numbers is a member named by its path, read by rectangles; scalar strings
 * are text. Dimension scales and labels, attributes and missing values come as from NetCDF files.
 * Complex numbers and truth are stored as h5py stores them. A result keeps its description as the
 * attribute "lode" of the root; plain arrays keep names and units as attributes only. */
#include "io/frame.h"
#include "io/h5.h"

#include <string.h>

#ifdef LODE_HAVE_HDF5

enum { COORDINATES_MAX = 64 };

static bool sniff(const unsigned char *head, size_t size)
{
    return size >= 8 && memcmp(head, "\211HDF\r\n\032\n", 8) == 0;
}

/* ---- reading ---- */

/* Values unpacked as the attributes of each say; scales are not meant when no member is named. */
static lode_status settle(lode_ctx *ctx, lode_file *f)
{
    lode_status st = LODE_OK;
    lode_i_h5 *h = f->state;
    lode_json *variables = lode_i_json_get(lode_i_h5_found(h), "variables");
    for (int64_t i = 0; i < f->count; i++) {
        lode_i_member *m = &f->members[i];
        lode_json *o = lode_i_json_get(variables, m->name);
        const lode_i_attributes a = { lode_i_json_get(o, "attributes"),
                                      lode_i_json_get(o, "types") };
        bool bare = false;
        if (lode_i_h5_is_scale(h, m, &bare))
            m->hidden = bare, m->secondary = true;
        if (m->kind != LODE_ARRAY) { /* neither is what cannot be read */
            m->secondary = true;
            continue;
        }
        const lode_dtype stored = m->dtype;
        lode_i_packing_of(&a, stored, lode_i_h5_packing(h, m), &m->dtype);
        if (m->dtype != stored || lode_i_h5_packing(h, m)->packed)
            LODE_TRY(lode_i_json_set(ctx, o, "stored", lode_i_json_text(lode_dtype_name(stored))));
        LODE_TRY(lode_i_shape_bytes(ctx, m->name, m->dtype, m->ndim, m->shape, &m->bytes));
    }
done:
    return st;
}

/* Coordinates that stand in the description lie beside it for others to read. */
static lode_status hide_coordinates(lode_ctx *ctx, lode_file *f)
{
    lode_status st = LODE_OK;
    lode_json *all = NULL;
    bool bare = false;
    if (!f->head.meta.attributes)
        return LODE_OK;
    LODE_TRY(
        lode_i_json_parse(ctx, f->head.meta.attributes, strlen(f->head.meta.attributes), &all));
    const lode_json *coordinates = lode_i_json_get(all, "coordinates");
    for (int64_t i = 0; i < f->count; i++)
        if (f->members[i].kind == LODE_ARRAY && lode_i_h5_is_scale(f->state, &f->members[i], &bare))
            f->members[i].secondary = true,
            f->members[i].hidden = lode_i_json_get(coordinates, f->members[i].name) != NULL;
done:
    lode_i_json_free(all);
    return st;
}

static lode_status open_hdf5(lode_ctx *ctx, lode_file *f, const lode_read_opts *o)
{
    lode_status st = LODE_OK;
    char *text = NULL;
    (void)o;
    LODE_TRY(lode_i_h5_open(ctx, f));
    lode_json *found = lode_i_h5_found(f->state);
    LODE_TRY(lode_i_h5_root_text(ctx, f->state, "lode", &text));
    if (text) {
        LODE_TRY(lode_i_undescribe(ctx, f, text, strlen(text), false, false));
        LODE_TRY(hide_coordinates(ctx, f));
        goto done;
    }
    LODE_TRY(settle(ctx, f));
    if (lode_i_json_count(lode_i_json_get(found, "variables")) > 0 ||
        lode_i_json_count(lode_i_json_get(found, "attributes")) > 0 ||
        lode_i_json_get(found, "groups"))
        LODE_TRY(lode_i_json_print(ctx, found, 0, &f->head.meta.attributes));
done:
    lode_i_free(text);
    return st;
}

static void close_hdf5(lode_file *f)
{
    lode_i_h5_close(f->state);
}

/* What Lode wrote itself is described, and needs no frame. */
static lode_status frame_hdf5(lode_ctx *ctx, lode_file *f, lode_i_frame *frame, bool *has)
{
    lode_status st = LODE_OK;
    char *text = NULL;
    LODE_TRY(lode_i_h5_root_text(ctx, f->state, "lode", &text));
    *has = text == NULL;
    for (int64_t i = 0; i < f->count && *has; i++) {
        const lode_i_member *m = &f->members[i];
        lode_i_framed *framed = NULL;
        LODE_TRY(lode_i_frame_member(ctx, frame, m->name, NULL, &framed));
        if (m->kind != LODE_ARRAY || m->hidden || m->again)
            continue;
        const lode_i_form form = lode_i_form_of(lode_i_h5_stored(f->state, m), m->dtype,
                                                lode_i_h5_packing(f->state, m));
        LODE_TRY(lode_i_h5_cut(ctx, f, m, &form, frame, framed));
    }
done:
    lode_i_free(text);
    return st;
}

/* ---- writing ---- */

typedef struct writer {
    lode_i_h5_writer *h;
    const lode_i_output *out;
    lode_i_tensors t;
    int64_t *set;      /* of each tensor; -1: text */
    lode_i_form *form; /* of each */
    lode_dtype dtype;
    int ndim;
    int64_t current;
    const lode_i_form *packing; /* of the current one */
    lode_json *attributes;      /* of the bundle */
    const lode_json *variables;
    int64_t scales;
    struct scale {
        const char *name;
        int64_t size, set;
    } scale[COORDINATES_MAX];
} writer;

/* Whether nothing is lost when data sets and attributes are all that is written. */
static bool is_plain(const writer *w)
{
    const lode_i_output *out = w->out;
    const lode_meta *m = out->meta;
    if (lode_i_json_get(w->attributes, "dimensions"))
        return false;
    if (out->certificate ||
        (m && (m->op[0] || m->options || m->made || m->input_hash[0] || m->has_shape || m->seed)))
        return false;
    for (int64_t i = 0; i < out->count; i++) {
        const lode_value v = out->items[i].value;
        const lode_dtype d = v.kind == LODE_ARRAY    ? v.as.array->dtype
                             : v.kind == LODE_SOURCE ? v.as.source->dtype
                                                     : LODE_BOOL;
        const bool kept = v.kind == LODE_ARRAY || v.kind == LODE_SOURCE || v.kind == LODE_TEXT;
        if (!kept || d == LODE_BF16 || lode_dtype_class(d) == 'q')
            return false;
    }
    return true;
}

/* The forms of all arrays; false: some value would not come back, and the description tells of all. */
static lode_status find_forms(lode_ctx *ctx, writer *w, bool *plain)
{
    lode_json *one = NULL;
    *plain = is_plain(w);
    for (int64_t i = 0; i < w->t.count; i++) {
        const lode_i_tensor *t = &w->t.at[i];
        const lode_json *v = lode_i_described_variable(w->variables, t->name, t->ndim);
        lode_i_form *f = &w->form[i];
        *f = (lode_i_form){ .dtype = t->dtype, .values = t->dtype };
        if (*plain && lode_i_json_get(v, "stored") &&
            w->out->items[t->item].value.kind != LODE_TEXT)
            LODE_FORWARD(lode_i_form_again(ctx, v, t, t->dtype, f));
    }
    for (const char *name = NULL; (name = lode_i_json_next(w->variables, name, &one));) {
        bool held = lode_i_json_get(one, "stored") == NULL;
        for (int64_t i = 0; i < w->t.count && !held; i++)
            held = w->form[i].described &&
                   lode_i_described_variable(w->variables, w->t.at[i].name, w->t.at[i].ndim) == one;
        *plain = *plain && held; /* else of a file that had it otherwise */
    }
    for (int64_t i = 0; i < w->t.count && !*plain; i++)
        w->form[i] = (lode_i_form){ .dtype = w->t.at[i].dtype, .values = w->t.at[i].dtype };
    return LODE_OK;
}

/* Packed into few bits, as the file had it. */
static lode_status put_packed(lode_ctx *ctx, void *data, const int64_t *start, const int64_t *count,
                              const void *values)
{
    lode_status st = LODE_OK;
    const writer *w = data;
    lode_array stored = { 0 };
    int64_t n = 1;
    for (int k = 0; k < w->ndim; k++)
        n *= count[k];
    LODE_TRY(lode_i_pack(ctx, w->packing, values, n, &stored));
    LODE_TRY(lode_i_h5_put(ctx, w->h, w->current, start, count, stored.data));
done:
    lode_array_free(&stored);
    return st;
}

static lode_status put_box(lode_ctx *ctx, void *data, const int64_t *start, const int64_t *count,
                           const void *values)
{
    const writer *w = data;
    int64_t from[LODE_MAX_NDIM], many[LODE_MAX_NDIM];
    const int64_t block = lode_dtype_block(w->dtype), unit = (int64_t)lode_dtype_size(w->dtype);
    for (int k = 0; k < w->ndim; k++) {
        const bool packed = k == w->ndim - 1 && block > 1; /* stored as bytes */
        from[k] = packed ? start[k] / block * unit : start[k];
        many[k] = packed ? count[k] / block * unit : count[k];
    }
    return lode_i_h5_put(ctx, w->h, w->current, from, many, values);
}

static lode_status put_tensor(lode_ctx *ctx, writer *w, int64_t i)
{
    const lode_i_tensor *t = &w->t.at[i];
    int32_t ndim = 0;
    int64_t shape[LODE_MAX_NDIM];
    if (w->set[i] < 0)
        return LODE_OK;
    w->current = w->set[i], w->ndim = t->ndim, w->dtype = t->dtype, w->packing = &w->form[i];
    if (w->packing->packs) {
        const int64_t none = 0;
        return t->value.kind == LODE_NONE
                   ? put_packed(ctx, w, &none, &none, t->small)
                   : lode_i_emit_boxes(ctx, t->value, w->packing->values, put_packed, w);
    }
    if (t->value.kind == LODE_NONE) {
        const int64_t none = 0, one = 1;
        return lode_i_h5_put(ctx, w->h, w->current, &none, &one, t->small);
    }
    /* As they lie in memory, also where the type is one that HDF5 lacks. */
    LODE_FORWARD(lode_i_dense_form(ctx, t->name, t->value, &w->dtype, &ndim, shape));
    return lode_i_emit_boxes(ctx, t->value, w->dtype, put_box, w);
}

/* Every attribute of one object of the description; those of packing only where nothing was
 * packed. */
static lode_status put_attributes(lode_ctx *ctx, writer *w, const char *path, const lode_json *o,
                                  bool described)
{
    lode_status st = LODE_OK;
    lode_i_attribute a = { 0 };
    lode_json *v = NULL;
    const lode_json *list = lode_i_json_get(o, "attributes");
    const bool packed = !described &&
                        (lode_i_json_get(list, "scale_factor") ||
                         lode_i_json_get(list, "add_offset") || lode_i_json_get(list, "_Unsigned"));
    for (const char *name = NULL; (name = lode_i_json_next(list, name, &v));) {
        if (packed && lode_i_is_of_packing(name))
            continue;
        LODE_TRY(lode_i_attribute_get(ctx, o, name, &a));
        LODE_TRY(lode_i_h5_attribute(ctx, w->h, path, name, &a));
    }
done:
    lode_i_attribute_free(&a);
    return st;
}

/* The scale of a dimension of that name and size: an array of the bundle, or a coordinate that came
 * along with it. -1: none. */
static lode_status find_scale(lode_ctx *ctx, writer *w, const char *name, int64_t size,
                              int64_t *set)
{
    lode_status st = LODE_OK;
    lode_array values = { 0 };
    const lode_json *c = lode_i_json_get(lode_i_json_get(w->attributes, "coordinates"), name);
    const lode_json *list = lode_i_json_get(c, "values");
    const int64_t zero = 0;
    *set = -1;
    for (int64_t i = 0; i < w->scales; i++)
        if (strcmp(w->scale[i].name, name) == 0) {
            *set = w->scale[i].size == size ? w->scale[i].set : -1;
            return LODE_OK;
        }
    bool taken = false;
    for (int64_t i = 0; i < w->t.count; i++)
        if (strcmp(w->t.at[i].name, name) == 0) {
            taken = true;
            if (w->set[i] >= 0 && w->t.at[i].ndim == 1 && w->t.at[i].shape[0] == size)
                *set = w->set[i];
        }
    if (w->scales == COORDINATES_MAX || (taken && *set < 0) ||
        (!taken && lode_i_json_count(list) != size))
        return LODE_OK;
    if (!taken) {
        LODE_TRY(lode_i_vector_new(ctx, LODE_F64, size, &values));
        for (int64_t i = 0; i < size; i++)
            LODE_REQUIRE(lode_i_json_as_f64(lode_i_json_at(list, i), (double *)values.data + i),
                         LODE_EFORMAT, "coordinate %s: value %" PRId64 " is no number", name, i);
        LODE_TRY(lode_i_h5_dataset(ctx, w->h, name, LODE_F64, 1, &size, set));
        if (size > 0)
            LODE_TRY(lode_i_h5_put(ctx, w->h, *set, &zero, &size, values.data));
        LODE_TRY(put_attributes(ctx, w, name, c, false));
    }
    LODE_TRY(lode_i_h5_scale(ctx, w->h, *set, name));
    w->scale[w->scales++] = (struct scale){ name, size, *set };
done:
    lode_array_free(&values);
    return st;
}

static lode_status put_names(lode_ctx *ctx, writer *w, int64_t i)
{
    const lode_i_tensor *t = &w->t.at[i];
    const lode_json *v = lode_i_described_variable(w->variables, t->name, t->ndim);
    const lode_json *dims = lode_i_json_get(v, "dims");
    int64_t scales[LODE_MAX_NDIM];
    const char *names[LODE_MAX_NDIM] = { NULL };
    LODE_FORWARD(put_attributes(ctx, w, t->name, v, w->form[i].described));
    if (w->set[i] < 0)
        return LODE_OK;
    for (int k = 0; k < t->ndim; k++) {
        const char *name = lode_i_json_as_text(lode_i_json_at(dims, k));
        names[k] = name && *name ? name : NULL;
        scales[k] = -1;
        if (names[k])
            LODE_FORWARD(find_scale(ctx, w, name, t->shape[k], &scales[k]));
    }
    return lode_i_h5_dimensions(ctx, w->h, w->set[i], scales, names);
}

static lode_status put_groups(lode_ctx *ctx, writer *w)
{
    lode_json *v = NULL;
    const lode_json *groups = lode_i_json_get(w->attributes, "groups");
    for (const char *path = NULL; (path = lode_i_json_next(groups, path, &v));) {
        LODE_FORWARD(lode_i_h5_group(ctx, w->h, path));
        LODE_FORWARD(put_attributes(ctx, w, path, v, false));
    }
    return put_attributes(ctx, w, "", w->attributes, false);
}

/* The description as one attribute, which variable length lets grow beyond 64 KiB. */
static lode_status put_description(lode_ctx *ctx, writer *w)
{
    lode_status st = LODE_OK;
    char *text = NULL;
    LODE_TRY(lode_i_describe(ctx, w->out, &w->t, &text));
    const char *one = text;
    const lode_i_attribute a = { .count = 1, .text = &one };
    LODE_TRY(lode_i_h5_attribute(ctx, w->h, "", "lode", &a));
done:
    lode_i_free(text);
    return st;
}

static lode_status write_all(lode_ctx *ctx, writer *w)
{
    bool plain = false;
    LODE_FORWARD(find_forms(ctx, w, &plain));
    const bool named = !w->out->meta || !w->out->meta->op[0];
    for (int64_t i = 0; i < w->t.count; i++) {
        const lode_i_tensor *t = &w->t.at[i];
        w->set[i] = -1;
        if (w->out->items[t->item].value.kind == LODE_TEXT)
            LODE_FORWARD(lode_i_h5_text(ctx, w->h, t->name, t->plain, (size_t)t->bytes));
        else
            LODE_FORWARD(lode_i_h5_dataset(ctx, w->h, t->name, w->form[i].dtype, t->ndim, t->shape,
                                           &w->set[i]));
    }
    /* For others to read; a result's members are not what its attributes speak of. */
    for (int64_t i = 0; i < w->t.count && named; i++)
        LODE_FORWARD(put_names(ctx, w, i));
    if (named)
        LODE_FORWARD(put_groups(ctx, w));
    if (!plain)
        LODE_FORWARD(put_description(ctx, w));
    for (int64_t i = 0; i < w->t.count; i++)
        LODE_FORWARD(put_tensor(ctx, w, i));
    return lode_i_h5_finish(ctx, w->h);
}

static lode_status write_hdf5(lode_ctx *ctx, const char *path, const lode_i_output *out, bool force)
{
    lode_status st = LODE_OK;
    writer w = { .out = out };
    lode_outfile *file = NULL;
    LODE_TRY(lode_i_flatten(ctx, out, false, &w.t));
    LODE_TRY(LODE_NEW(ctx, w.t.count + 1, &w.set));
    LODE_TRY(LODE_NEW(ctx, w.t.count + 1, &w.form));
    if (out->meta && out->meta->attributes)
        LODE_TRY(lode_i_json_parse(ctx, out->meta->attributes, strlen(out->meta->attributes),
                                   &w.attributes));
    w.variables = lode_i_json_get(w.attributes, "variables");
    LODE_TRY(lode_i_outfile_open(ctx, path, force, &file));
    LODE_TRY(lode_i_h5_create(ctx, path, file, LODE_I_H5_PYTHON, 0, &w.h));
    LODE_TRY(write_all(ctx, &w));
    LODE_TRY(lode_i_outfile_commit(ctx, &file));
done:
    lode_i_h5_writer_free(w.h);
    lode_i_outfile_abandon(&file);
    lode_i_tensors_free(&w.t);
    lode_i_json_free(w.attributes);
    lode_i_free(w.set);
    lode_i_free(w.form);
    return st;
}

#endif

const lode_i_format lode_i_format_hdf5 = {
    .name = "hdf5",
    .suffixes = ".h5 .hdf5 .he5",
    .many = true,
    .results = true,
    .by_path = true,
#ifdef LODE_HAVE_HDF5
    .mixed = true,
    .sniff = sniff,
    .open = open_hdf5,
    .read = lode_i_h5_read,
    .close = close_hdf5,
    .frame = frame_hdf5,
    .fill = lode_i_h5_fill,
    .write = write_hdf5,
#else
    .absent = "HDF5: it was made without libhdf5-dev",
#endif
};
