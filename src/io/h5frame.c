/* HDF5 files taken apart and put together again (frame.h): where the values of a data set lie, and
 * values written into a file that lacks only them. */
#include "io/frame.h"
#include "io/h5.h"

#include <string.h>

#ifdef LODE_HAVE_HDF5

enum { CHUNKS_MAX = 1 << 22 };

/* ---- filters ---- */

/* Those that give back every bit; scale-offset, n-bit and unknown ones may not. */
static bool is_exact(H5Z_filter_t id)
{
    static const H5Z_filter_t exact[] = { 1 /* deflate */,
                                          2 /* shuffle */,
                                          3 /* checksum */,
                                          4,
                                          307,
                                          32000,
                                          32001,
                                          32004,
                                          32008,
                                          32015 };
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
        if (exact[i] == id)
            return true;
    return false;
}

static H5Z_filter_t filter_at(const lode_i_h5_library *l, hid_t list, int i, char *name,
                              size_t size)
{
    unsigned flags = 0, config = 0;
    size_t values = 0;
    const H5Z_filter_t id = l->H5Pget_filter2(list, (unsigned)i, &flags, &values, NULL, size, name,
                                              &config);
    l->H5Eclear2(H5E_DEFAULT);
    return id;
}

bool lode_i_h5_lacks_filter(const lode_i_h5_library *l, hid_t list, char *name, size_t size)
{
    const int count = l->H5Pget_nfilters(list);
    for (int i = 0; i < count; i++) {
        *name = '\0';
        const H5Z_filter_t id = filter_at(l, list, i, name, size);
        if (id < 0 || l->H5Zfilter_avail(id) > 0)
            continue;
        name[size - 1] = '\0';
        if (!*name)
            snprintf(name, size, "%d", (int)id);
        return true;
    }
    return false;
}

static bool can_filter(const lode_i_h5_library *l, hid_t list)
{
    const int count = l->H5Pget_nfilters(list);
    for (int i = 0; i < count; i++) {
        char name[8];
        unsigned config = 0;
        const H5Z_filter_t id = filter_at(l, list, i, name, sizeof name);
        if (!is_exact(id) || l->H5Zget_filter_info(id, &config) < 0 ||
            !(config & H5Z_FILTER_CONFIG_ENCODE_ENABLED))
            return false;
    }
    return count >= 0;
}

/* ---- what is cut out ---- */

/* Whether numbers of the stored type come back from those that they are read as. */
static bool is_faithful(const lode_i_h5_library *l, hid_t type, const lode_i_h5_number *n)
{
    size_t sign = 0, at = 0, exponent = 0, low = 0, mantissa = 0;
    bool same = false;
    if (n->bits)
        return false;
    switch (l->H5Tget_class(type)) {
    case H5T_FLOAT:
        return l->H5Tget_fields(type, &sign, &at, &exponent, &low, &mantissa) >= 0 &&
               exponent <= 11 && mantissa <= 52;
    case H5T_COMPOUND: return l->H5Tget_size(type) == lode_dtype_size(n->dtype);
    case H5T_ENUM: { /* converted by names, which not every value has, unless nothing is */
        const hid_t native = l->H5Tget_native_type(type, H5T_DIR_DEFAULT);
        same = native >= 0 && l->H5Tequal(native, type) > 0;
        if (native >= 0)
            l->H5Tclose(native);
        return same;
    }
    default: return true;
    }
}

/* By their places in the array: the library walks all of them to find one by its number. */
static lode_status cut_chunks(lode_ctx *ctx, const lode_i_h5 *h, hid_t set, hid_t list,
                              const lode_i_member *m, lode_i_frame *places, bool *found)
{
    const lode_i_h5_library *l = h->library;
    const uint64_t base = l->chunks_from_base ? h->input.base : 0;
    hsize_t offset[LODE_MAX_NDIM] = { 0 }, chunk[LODE_MAX_NDIM];
    double count = 1;
    int axis = 0;
    *found = l->H5Pget_chunk(list, LODE_MAX_NDIM, chunk) == m->ndim;
    for (int k = 0; k < m->ndim && *found; k++)
        count *= (double)m->shape[k] / (double)chunk[k] + 1;
    *found = *found && count <= CHUNKS_MAX;
    while (*found && axis >= 0) {
        hsize_t size = 0;
        unsigned mask = 0;
        haddr_t at = HADDR_UNDEF;
        LODE_FORWARD(lode_i_cancelled(ctx));
        *found = l->H5Dget_chunk_info_by_coord(set, offset, &mask, &at, &size) >= 0;
        if (*found && at != HADDR_UNDEF && at <= INT64_MAX && size <= INT64_MAX)
            LODE_FORWARD(lode_i_frame_cut(ctx, places, base + at, size));
        for (axis = m->ndim - 1; axis >= 0; axis--) {
            offset[axis] += chunk[axis];
            if (offset[axis] < (hsize_t)m->shape[axis])
                break;
            offset[axis] = 0;
        }
    }
    return LODE_OK;
}

static lode_status find_places(lode_ctx *ctx, lode_i_h5 *h, const lode_i_member *m,
                               lode_i_frame *places, bool *found)
{
    lode_status st = LODE_OK;
    const lode_i_h5_library *l = h->library;
    const lode_i_h5_set *s = &h->sets[m->id];
    const hid_t list = l->H5Dget_create_plist(s->id), type = l->H5Dget_type(s->id);
    const H5D_layout_t layout = list < 0 ? H5D_LAYOUT_ERROR : l->H5Pget_layout(list);
    const hsize_t bytes = l->H5Dget_storage_size(s->id);
    *found = false;
    if (list >= 0 && type >= 0 && bytes > 0 && is_faithful(l, type, &s->number)) {
        const haddr_t at = layout == H5D_CONTIGUOUS ? l->H5Dget_offset(s->id) : HADDR_UNDEF;
        if (at != HADDR_UNDEF && at <= INT64_MAX && bytes <= INT64_MAX) {
            st = lode_i_frame_cut(ctx, places, at, bytes);
            *found = true;
        } else if (layout == H5D_CHUNKED && can_filter(l, list)) {
            st = cut_chunks(ctx, h, s->id, list, m, places, found);
        }
    }
    if (list >= 0)
        l->H5Pclose(list);
    if (type >= 0)
        l->H5Tclose(type);
    return st;
}

lode_status lode_i_h5_cut(lode_ctx *ctx, lode_file *f, const lode_i_member *m,
                          const lode_i_form *form, lode_i_frame *frame, lode_i_framed *framed)
{
    lode_status st = LODE_OK;
    lode_i_h5 *h = f->state;
    lode_i_frame places = { .size = 0 };
    lode_i_trial t = { .form = *form };
    bool found = false;
    lode_i_h5_begin(ctx, h);
    st = lode_i_h5_open_set(ctx, h, f, m);
    if (st >= 0)
        st = find_places(ctx, h, m, &places, &found);
    lode_i_h5_end(h);
    LODE_TRY(st);
    if (found)
        LODE_TRY(lode_i_frame_try(ctx, f, m, lode_i_h5_read_stored, &t));
    if (!found || t.lost)
        goto done;
    for (int64_t i = 0; i < places.extents; i++)
        LODE_TRY(lode_i_frame_cut(ctx, frame, places.extent[i].at, places.extent[i].size));
    framed->cut = true, framed->has_code = t.has_code, framed->code = t.code;
done:
    lode_i_frame_free(&places);
    return st;
}

/* ---- and put back ---- */

typedef struct target {
    const char *path; /* in the file; borrowed */
    lode_i_form form;
    lode_i_h5_number number;
    int ndim;
    hsize_t dims[LODE_MAX_NDIM];
    lode_value value;
} target;

typedef struct filler {
    lode_i_h5_library *library;
    const char *path; /* as messages name it */
    lode_i_h5_output output;
    hid_t file, set, type, space;
    const target *at;
} filler;

static lode_status failed(lode_ctx *ctx, const filler *w, const char *doing)
{
    return w->output.st < 0 ? w->output.st
                            : lode_i_h5_failed(ctx, w->library, w->path, doing, true);
}

/* A box of values; a data set may end before the array does, as of a dimension that grew. */
static lode_status put_box(lode_ctx *ctx, void *data, const int64_t *start, const int64_t *count,
                           const void *values)
{
    lode_status st = LODE_OK;
    const filler *w = data;
    const target *t = w->at;
    const lode_i_h5_library *l = w->library;
    hsize_t from[LODE_MAX_NDIM], many[LODE_MAX_NDIM], given[LODE_MAX_NDIM],
        zero[LODE_MAX_NDIM] = { 0 };
    lode_array packed = { 0 };
    int64_t n = 1;
    for (int k = 0; k < t->ndim; k++) {
        from[k] = (hsize_t)start[k], given[k] = many[k] = (hsize_t)count[k], n *= count[k];
        if (from[k] >= t->dims[k])
            return LODE_OK;
        if (many[k] > t->dims[k] - from[k])
            many[k] = t->dims[k] - from[k];
    }
    if (t->form.packs)
        LODE_TRY(lode_i_pack(ctx, &t->form, values, n, &packed));
    lode_i_h5_enter(w->library);
    const hid_t memory = t->ndim ? l->H5Screate_simple(t->ndim, given, NULL)
                                 : l->H5Screate(H5S_SCALAR);
    const bool done = memory >= 0 &&
                      (t->ndim == 0 || (l->H5Sselect_hyperslab(memory, H5S_SELECT_SET, zero, NULL,
                                                               many, NULL) >= 0 &&
                                        l->H5Sselect_hyperslab(w->space, H5S_SELECT_SET, from, NULL,
                                                               many, NULL) >= 0)) &&
                      l->H5Dwrite(w->set, w->type, memory, w->space, H5P_DEFAULT,
                                  t->form.packs ? packed.data : values) >= 0;
    st = done ? w->output.st : failed(ctx, w, "writing values");
    if (memory >= 0)
        l->H5Sclose(memory);
    lode_i_h5_leave(w->library);
done:
    lode_array_free(&packed);
    return st;
}

/* Chunks whose places are empty are given up before others are written, so that none is read. */
static bool renew(const lode_i_h5_library *l, hid_t set, const target *t)
{
    const hsize_t none[LODE_MAX_NDIM] = { 0 };
    const hid_t list = l->H5Dget_create_plist(set);
    const bool chunked = list >= 0 && l->H5Pget_layout(list) == H5D_CHUNKED;
    if (list >= 0)
        l->H5Pclose(list);
    return list >= 0 &&
           (!chunked || (l->H5Dset_extent(set, none) >= 0 && l->H5Dset_extent(set, t->dims) >= 0));
}

static hid_t type_of(const lode_i_h5_library *l, hid_t set, const lode_i_h5_number *n)
{
    const hid_t own = l->H5Dget_type(set);
    if (own >= 0 && l->H5Tget_class(own) == H5T_ENUM)
        return own; /* bit for bit */
    if (own >= 0)
        l->H5Tclose(own);
    return lode_i_h5_type(l, n->dtype, n->re, n->im);
}

static lode_status put_one(lode_ctx *ctx, filler *w, const target *t)
{
    lode_status st = LODE_OK;
    const lode_i_h5_library *l = w->library;
    w->at = t, w->set = w->type = w->space = -1;
    lode_i_h5_enter(w->library);
    w->set = l->H5Dopen2(w->file, t->path, H5P_DEFAULT);
    if (w->set < 0 || !renew(l, w->set, t) || (w->space = l->H5Dget_space(w->set)) < 0 ||
        (w->type = type_of(l, w->set, &t->number)) < 0)
        st = failed(ctx, w, "opening a data set to be written");
    lode_i_h5_leave(w->library);
    if (st >= 0)
        st = lode_i_frame_put(ctx, t->value, t->form.values, put_box, w);
    lode_i_h5_enter(w->library);
    if (w->type >= 0)
        l->H5Tclose(w->type);
    if (w->space >= 0)
        l->H5Sclose(w->space);
    if (w->set >= 0 && l->H5Dclose(w->set) < 0 && st >= 0)
        st = failed(ctx, w, "writing values");
    lode_i_h5_leave(w->library);
    return st;
}

/* What goes where, by the file as any reader sees it; false: it has no place for something. */
static bool aim(lode_ctx *ctx, lode_file *f, const lode_i_frame *frame, const lode_i_output *out,
                target *targets, int64_t *count)
{
    lode_i_h5 *h = f->state;
    for (int64_t i = 0; i < frame->count; i++) {
        const lode_i_framed *m = &frame->member[i];
        const char *path = *m->path ? m->path : m->name;
        if (!m->cut)
            continue;
        const lode_i_member *to = lode_i_member_find(f, path);
        const lode_value v = lode_i_output_find(out, m->name);
        if (!to || !lode_i_frame_fits(ctx, v, to, true))
            return false;
        target *t = &targets[(*count)++];
        *t = (target){ .path = path,
                       .number = h->sets[to->id].number,
                       .ndim = to->ndim,
                       .value = v,
                       .form = lode_i_form_of(h->sets[to->id].number.dtype, to->dtype,
                                              lode_i_h5_packing(h, to)) };
        lode_i_form_framed(&t->form, m);
        for (int k = 0; k < to->ndim; k++)
            t->dims[k] = (hsize_t)to->shape[k];
    }
    return true;
}

static lode_status open_filled(lode_ctx *ctx, filler *w)
{
    const lode_i_h5_library *l = w->library;
    lode_status st = LODE_OK;
    lode_i_h5_enter(w->library);
    const hid_t access = lode_i_h5_output_access(l, &w->output);
    if (access < 0 || (w->file = l->H5Fopen(w->path, 1 /* to be written */, access)) < 0)
        st = failed(ctx, w, "opening it to be written");
    if (access >= 0)
        l->H5Pclose(access);
    lode_i_h5_leave(w->library);
    return st;
}

lode_status lode_i_h5_fill(lode_ctx *ctx, const char *path, lode_outfile *file,
                           const lode_i_frame *frame, const lode_i_output *out, bool *fits)
{
    lode_status st = LODE_OK;
    lode_file *f = NULL;
    target *targets = NULL;
    int64_t count = 0;
    filler w = { .path = path, .output = { .file = file, .ctx = ctx }, .file = -1 };
    LODE_TRY(lode_i_h5_library_get(ctx, &w.library));
    LODE_TRY(lode_i_new(ctx, frame->count + 1, sizeof *targets, (void **)&targets));
    LODE_TRY(lode_i_frame_reopen(ctx, lode_i_outfile_temporary(file), "hdf5", &f));
    *fits = f && aim(ctx, f, frame, out, targets, &count);
    lode_file_close(&f);
    if (!*fits)
        goto done;
    LODE_TRY(open_filled(ctx, &w));
    for (int64_t i = 0; i < count; i++)
        LODE_TRY(put_one(ctx, &w, &targets[i]));
done:
    lode_file_close(&f);
    if (w.file >= 0) {
        lode_i_h5_enter(w.library);
        if (w.library->H5Fclose(w.file) < 0 && st >= 0)
            st = failed(ctx, &w, "closing it");
        if (st >= 0)
            st = w.output.st;
        lode_i_h5_leave(w.library);
    }
    lode_i_free(targets);
    return st;
}
#endif
