/* NetCDF files taken apart and put together again (frame.h). Those of version 4 are HDF5 files, and are
 * treated as such; in classic ones the header tells where values lie, and libnetcdf puts them back. */
#include "io/frame.h"
#include "io/h5.h"
#include "io/nc.h"

#include <string.h>

#ifdef LODE_HAVE_NETCDF

enum { RECORDS_MAX = 1 << 22 };

/* ---- classic: what is cut out ---- */

static lode_status read_stored(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                               const int64_t *start, const int64_t *count, void *dst)
{
    const lode_i_nc_state *s = f->state;
    const lode_i_nc_variable *v = &s->variables[m->id];
    size_t from[LODE_MAX_NDIM] = { 0 }, many[LODE_MAX_NDIM] = { 1 };
    for (int k = 0; k < m->ndim; k++)
        from[k] = (size_t)start[k], many[k] = (size_t)count[k];
    lode_i_library_lock();
    const int code = s->nc->nc_get_vara(v->group, v->var, from, many, dst);
    lode_i_library_unlock();
    return lode_i_nc_check(ctx, s->nc, code, f->path, "reading a variable");
}

static lode_status frame_classic(lode_ctx *ctx, lode_file *f, int version, lode_i_frame *frame)
{
    lode_status st = LODE_OK;
    const lode_i_nc_state *s = f->state;
    bool *cut = NULL;
    LODE_TRY(lode_i_calloc(ctx, (size_t)f->count + 1, (void **)&cut));
    for (int64_t i = 0; i < f->count; i++) {
        const lode_i_member *m = &f->members[i];
        const lode_i_nc_variable *v = &s->variables[m->id];
        lode_i_framed *framed = NULL;
        LODE_TRY(lode_i_frame_member(ctx, frame, m->name, NULL, &framed));
        lode_i_trial t = { .form = lode_i_form_of(v->stored, m->dtype, &v->packing) };
        if (m->kind != LODE_ARRAY || m->hidden || (m->ndim > 0 && m->shape[0] > RECORDS_MAX))
            continue;
        LODE_TRY(lode_i_frame_try(ctx, f, m, read_stored, &t));
        framed->cut = cut[v->var] = !t.lost;
        framed->has_code = t.has_code, framed->code = t.code;
    }
    LODE_TRY(lode_i_nc_cut_classic(ctx, f->in, version, f->count, cut, frame));
done:
    lode_i_free(cut);
    return st;
}

/* ---- and put back ---- */

typedef struct filler {
    const lode_i_nc *nc;
    const char *path;
    int file, var, ndim;
    lode_i_form form;
} filler;

static lode_status check(lode_ctx *ctx, const filler *w, int code, const char *doing)
{
    return lode_i_nc_check(ctx, w->nc, code, w->path, doing);
}

static lode_status put_box(lode_ctx *ctx, void *data, const int64_t *start, const int64_t *count,
                           const void *values)
{
    lode_status st = LODE_OK;
    const filler *w = data;
    size_t from[LODE_MAX_NDIM] = { 0 }, many[LODE_MAX_NDIM] = { 1 };
    lode_array packed = { 0 };
    int64_t n = 1;
    for (int k = 0; k < w->ndim; k++)
        from[k] = (size_t)start[k], many[k] = (size_t)count[k], n *= count[k];
    if (w->form.packs)
        LODE_TRY(lode_i_pack(ctx, &w->form, values, n, &packed));
    lode_i_library_lock();
    st = check(
        ctx, w,
        w->nc->nc_put_vara(w->file, w->var, from, many, w->form.packs ? packed.data : values),
        "values");
    lode_i_library_unlock();
done:
    lode_array_free(&packed);
    return st;
}

static lode_status fill_classic(lode_ctx *ctx, const char *path, lode_outfile *file,
                                const lode_i_frame *frame, const lode_i_output *out, bool *fits)
{
    lode_status st = LODE_OK;
    filler w = { .path = path, .file = -1 };
    lode_file *f = NULL;
    const char *temporary = lode_i_outfile_temporary(file);
    LODE_TRY(lode_i_frame_reopen(ctx, temporary, "netcdf", &f));
    *fits = f != NULL;
    for (int64_t i = 0; i < frame->count && *fits; i++) {
        const lode_i_member *m = lode_i_member_find(f, frame->member[i].name);
        if (frame->member[i].cut)
            *fits = m && lode_i_frame_fits(ctx, lode_i_output_find(out, frame->member[i].name), m,
                                           false);
    }
    if (!*fits)
        goto done;
    const lode_i_nc_state *s = f->state;
    w.nc = s->nc;
    lode_i_library_lock();
    st = check(ctx, &w, s->nc->nc_open(temporary, NC_WRITE, &w.file), "opening it to be written");
    lode_i_library_unlock();
    LODE_TRY(st);
    for (int64_t i = 0; i < frame->count; i++) {
        const lode_i_framed *framed = &frame->member[i];
        const lode_i_member *m = lode_i_member_find(f, framed->name);
        if (!framed->cut)
            continue;
        const lode_i_nc_variable *v = &s->variables[m->id];
        w.var = v->var, w.ndim = m->ndim;
        w.form = lode_i_form_of(v->stored, m->dtype, &v->packing);
        lode_i_form_framed(&w.form, framed);
        LODE_TRY(lode_i_frame_put(ctx, lode_i_output_find(out, framed->name), w.form.values,
                                  put_box, &w));
    }
done:
    if (w.file >= 0) {
        lode_i_library_lock();
        const int code = w.nc->nc_close(w.file);
        lode_i_library_unlock();
        if (st >= 0)
            st = check(ctx, &w, code, "closing");
    }
    lode_file_close(&f);
    return st;
}

/* ---- version 4 ---- */

#ifdef LODE_HAVE_HDF5
static lode_status frame_4(lode_ctx *ctx, lode_file *f, lode_i_frame *frame, bool *has)
{
    lode_status st = LODE_OK;
    const lode_i_nc_state *s = f->state;
    lode_file *h5 = NULL;
    LODE_TRY(lode_file_open(ctx, f->path, &(lode_read_opts){ .format = "hdf5" }, &h5));
    for (int64_t i = 0; i < f->count; i++) {
        const lode_i_member *m = &f->members[i], *to = NULL;
        const lode_i_nc_variable *v = &s->variables[m->id];
        lode_i_framed *framed = NULL;
        LODE_TRY(lode_i_nc_member_of(ctx, h5, m->name, &to));
        LODE_TRY(lode_i_frame_member(ctx, frame, m->name, to ? to->name : NULL, &framed));
        if (m->kind != LODE_ARRAY || m->hidden || !to || to->kind != LODE_ARRAY ||
            to->ndim != m->ndim || to->dtype != m->dtype ||
            lode_i_h5_stored(h5->state, to) != v->stored)
            continue;
        const lode_i_form form = lode_i_form_of(v->stored, m->dtype, &v->packing);
        LODE_TRY(lode_i_h5_cut(ctx, h5, to, &form, frame, framed));
    }
    *has = true;
done:
    lode_file_close(&h5);
    return st;
}
#endif

lode_status lode_i_nc_frame(lode_ctx *ctx, lode_file *f, lode_i_frame *frame, bool *has)
{
    unsigned char head[8] = { 0 };
    if (frame->size >= sizeof head)
        LODE_FORWARD(lode_i_infile_read(ctx, f->in, 0, head, sizeof head));
    *has = head[0] == 'C';
    if (*has)
        return frame_classic(ctx, f, head[3], frame);
#ifdef LODE_HAVE_HDF5
    return frame_4(ctx, f, frame, has);
#else
    return LODE_OK;
#endif
}

lode_status lode_i_nc_fill(lode_ctx *ctx, const char *path, lode_outfile *file,
                           const lode_i_frame *frame, const lode_i_output *out, bool *fits)
{
    lode_status st = LODE_OK;
    lode_infile *in = NULL;
    char first = 0;
    LODE_TRY(lode_i_infile_open(ctx, lode_i_outfile_temporary(file), &in));
    if (frame->size > 0)
        LODE_TRY(lode_i_infile_read(ctx, in, 0, &first, 1));
    if (first == 'C') {
        LODE_TRY(fill_classic(ctx, path, file, frame, out, fits));
        goto done;
    }
#ifdef LODE_HAVE_HDF5
    *fits = !lode_i_has_suffix(path, ".cdf"); /* which asks for a classic file */
    if (*fits)
        LODE_TRY(lode_i_h5_fill(ctx, path, file, frame, out, fits));
#else
    *fits = false;
#endif
done:
    lode_i_infile_close(in);
    return st;
}
#endif
