/* MATLAB files of level 5 (versions 5 to 7): numeric, logical and sparse variables, column by column,
 * each possibly deflated as a whole. Numbers may be stored in a smaller type than their class has,
 * and imaginary parts follow the real ones. By MathWorks, "MAT-File Format" (2019). Files of version
 * 7.3 are HDF5, another format. */
#include "io/mat5.h"

#include <string.h>

enum { HEADER = 128, BEGINNING = 1 << 16, PAD = 8 };

/* Where the numbers of a variable lie: in the file, or in what its deflated element inflates to. */
typedef struct variable {
    uint64_t packed_at, packed; /* the deflated element; packed 0: plain */
    uint64_t end;               /* of the variable, where its parts must end */
    uint64_t part;              /* the tag of its first element behind the name */
    uint32_t flags;
} variable;

typedef struct mat {
    bool swapped;
    int64_t count, room;
    variable *at;
} mat;

static const struct {
    uint32_t mi, mx;
    lode_dtype dtype;
} types[] = { { 1, 8, LODE_I8 },    { 2, 9, LODE_U8 },   { 3, 10, LODE_I16 }, { 4, 11, LODE_U16 },
              { 5, 12, LODE_I32 },  { 6, 13, LODE_U32 }, { 7, 7, LODE_F32 },  { 9, 6, LODE_F64 },
              { 12, 14, LODE_I64 }, { 13, 15, LODE_U64 } };
enum { TYPES = (int)(sizeof types / sizeof *types) };

bool lode_i_mat5_type(uint32_t mi, lode_dtype *dtype)
{
    for (int i = 0; i < TYPES; i++)
        if (types[i].mi == mi) {
            *dtype = types[i].dtype;
            return true;
        }
    return false;
}

bool lode_i_mat5_class(uint32_t mx, lode_dtype *dtype)
{
    for (int i = 0; i < TYPES; i++)
        if (types[i].mx == mx) {
            *dtype = types[i].dtype;
            return true;
        }
    return false;
}

void lode_i_mat5_of(lode_dtype dtype, uint32_t *mi, uint32_t *mx)
{
    const lode_dtype real = lode_i_is_complex(dtype) ? lode_i_real_of(dtype)
                            : dtype == LODE_BOOL     ? LODE_U8
                                                     : dtype;
    *mi = MI_SINGLE, *mx = 7; /* half precision is written as single */
    for (int i = 0; i < TYPES; i++)
        if (types[i].dtype == real)
            *mi = types[i].mi, *mx = types[i].mx;
}

/* ---- elements ---- */

static uint32_t get32(const mat *t, const unsigned char *p)
{
    return (uint32_t)lode_i_number(p, 4, t->swapped);
}

typedef struct element {
    uint32_t type;
    uint64_t at, size; /* of its data */
    uint64_t next;     /* where the next one begins */
} element;

/* The element whose tag is at `at`; up to 4 bytes of data may stand in the tag itself. */
static lode_status read_tag(lode_ctx *ctx, const mat *t, lode_infile *in, uint64_t at, uint64_t end,
                            element *e)
{
    unsigned char tag[8];
    if (end < at || end - at < 8)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "%s is damaged: an element breaks off at byte %" PRIu64,
                           lode_i_infile_path(in), at);
    LODE_FORWARD(lode_i_infile_read(ctx, in, at, tag, sizeof tag));
    const uint32_t first = get32(t, tag);
    if (first >> 16) {
        *e = (element){ .type = first & 0xffff, .at = at + 4, .size = first >> 16, .next = at + 8 };
        if (e->size > 4)
            return lode_i_fail(ctx, LODE_EFORMAT,
                               "%s is damaged: a small element of %" PRIu64
                               " bytes at byte %" PRIu64,
                               lode_i_infile_path(in), e->size, at);
        return LODE_OK;
    }
    *e = (element){ .type = first, .at = at + 8, .size = get32(t, tag + 4) };
    if (e->size > end - e->at)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "%s: the element at byte %" PRIu64 " claims %" PRIu64
                           " bytes, and %" PRIu64 " are left",
                           lode_i_infile_path(in), at, e->size, end - e->at);
    e->next = e->at + e->size;
    if (e->type != MI_COMPRESSED)
        e->next += (PAD - e->size % PAD) % PAD;
    if (e->next > end) /* the last one may lack its padding */
        e->next = end;
    return LODE_OK;
}

/* ---- opening ---- */

/* Why a class holds no array of numbers. */
static const char *other_class(uint32_t mx)
{
    static const char *const names[] = { "a cell array", "a structure", "an object", "text" };
    return mx >= 1 && mx <= 4 ? names[mx - 1] : "of a class of MATLAB's own";
}

static lode_status fill_numbers(lode_ctx *ctx, lode_file *f, const mat *t, lode_infile *in,
                                const variable *v, uint32_t mx, lode_i_member *m)
{
    lode_status st = LODE_OK;
    element e;
    lode_dtype stored;
    LODE_TRY(read_tag(ctx, t, in, v->part, v->end, &e));
    LODE_REQUIRE(lode_i_mat5_class(mx, &m->dtype) && lode_i_mat5_type(e.type, &stored) &&
                     lode_i_stored_fits(stored, m->dtype),
                 LODE_EFORMAT, "%s: variable %s of class %u is stored as element type %u", f->path,
                 m->name, (unsigned)mx, (unsigned)e.type);
    LODE_TRY(lode_i_shape_bytes(ctx, m->name, stored, m->ndim, m->shape, &m->bytes));
    LODE_REQUIRE(m->bytes == e.size, LODE_EFORMAT,
                 "%s: variable %s takes %" PRIu64 " bytes and has %" PRIu64, f->path, m->name,
                 m->bytes, e.size);
    m->offset = e.at;
    if (v->flags & MX_COMPLEX) {
        LODE_REQUIRE(m->dtype == LODE_F64 || m->dtype == LODE_F32, LODE_EUNSUPPORTED,
                     "%s: variable %s has complex integers; convert it to double in MATLAB",
                     f->path, m->name);
        m->dtype = m->dtype == LODE_F64 ? LODE_C128 : LODE_C64;
    } else if (v->flags & MX_LOGICAL) {
        LODE_REQUIRE(lode_dtype_size(m->dtype) == 1, LODE_EFORMAT,
                     "%s: logical variable %s is of class %u", f->path, m->name, (unsigned)mx);
        m->dtype = LODE_BOOL;
    }
done:
    return st;
}

/* A variable whose elements begin at `at` of `in`: flags, sizes, name, then its numbers. */
static lode_status add_variable(lode_ctx *ctx, lode_file *f, mat *t, lode_infile *in, uint64_t at,
                                variable v)
{
    lode_status st = LODE_OK;
    lode_i_member *m = NULL;
    element flags, sizes, name;
    unsigned char word[8], size[4];
    char *text = NULL;

    LODE_TRY(read_tag(ctx, t, in, at, v.end, &flags));
    LODE_REQUIRE(flags.type == MI_UINT32 && flags.size == 8, LODE_EFORMAT,
                 "%s is damaged: no array flags at byte %" PRIu64, f->path, at);
    LODE_TRY(lode_i_infile_read(ctx, in, flags.at, word, 8));
    v.flags = get32(t, word);
    const uint32_t mx = v.flags & 0xff;
    if (mx == 17) /* opaque objects have neither sizes nor a plain name: none is shown */
        goto done;
    LODE_TRY(read_tag(ctx, t, in, flags.next, v.end, &sizes));
    LODE_REQUIRE(sizes.type == MI_INT32 && sizes.size % 4 == 0 && sizes.size >= 4, LODE_EFORMAT,
                 "%s is damaged: no sizes at byte %" PRIu64, f->path, flags.next);
    LODE_TRY(read_tag(ctx, t, in, sizes.next, v.end, &name));
    LODE_REQUIRE((name.type == MI_INT8 || name.type == MI_UTF8) && name.size < BEGINNING / 2,
                 LODE_EFORMAT, "%s is damaged: no name at byte %" PRIu64, f->path, sizes.next);
    if (name.size == 0) /* what MATLAB keeps for itself */
        goto done;
    LODE_TRY(lode_i_alloc(ctx, (size_t)name.size + 1, (void **)&text));
    LODE_TRY(lode_i_infile_read(ctx, in, name.at, text, (size_t)name.size));
    text[name.size] = '\0';
    LODE_TRY(lode_i_member_add(ctx, f, text, strlen(text), &m));
    m->in = lode_i_infile_ref(f->in);
    m->id = t->count;
    LODE_REQUIRE(sizes.size / 4 <= LODE_MAX_NDIM, LODE_EUNSUPPORTED,
                 "%s: variable %s has %" PRIu64 " axes; at most %d are read", f->path, text,
                 sizes.size / 4, LODE_MAX_NDIM);
    for (m->ndim = 0; (uint64_t)m->ndim < sizes.size / 4; m->ndim++) {
        LODE_TRY(lode_i_infile_read(ctx, in, sizes.at + 4 * (uint64_t)m->ndim, size, 4));
        m->shape[m->ndim] = (int32_t)get32(t, size);
        LODE_REQUIRE(m->shape[m->ndim] >= 0, LODE_EFORMAT, "%s: variable %s has size %" PRId64,
                     f->path, text, m->shape[m->ndim]);
    }
    v.part = name.next;
    m->fortran = true, m->swapped = t->swapped;
    lode_dtype dtype;
    if (mx == MX_SPARSE) {
        LODE_REQUIRE(m->ndim == 2, LODE_EFORMAT, "%s: sparse variable %s has %d axes", f->path,
                     text, (int)m->ndim);
        m->kind = LODE_SPARSE, m->layout = LODE_CSR;
        m->dtype = v.flags & MX_COMPLEX ? LODE_C128 : v.flags & MX_LOGICAL ? LODE_BOOL : LODE_F64;
    } else if (lode_i_mat5_class(mx, &dtype)) {
        LODE_TRY(fill_numbers(ctx, f, t, in, &v, mx, m));
    } else {
        LODE_TRY(
            lode_i_member_refuse(ctx, m, LODE_U8,
                                 "variable %s is %s, and only arrays of numbers are read; save "
                                 "what it holds as variables of their own",
                                 text, other_class(mx)));
    }
    if (t->count == t->room) {
        void *p = t->at;
        LODE_TRY(lode_i_realloc(ctx, (size_t)(2 * t->room + 8) * sizeof *t->at, &p));
        t->at = p, t->room = 2 * t->room + 8;
    }
    t->at[t->count++] = v;
done:
    lode_i_free(text);
    return st;
}

static bool sniff(const unsigned char *head, size_t size)
{
    return size >= 10 && memcmp(head, "MATLAB 5.0", 10) == 0;
}

static lode_status read_header(lode_ctx *ctx, lode_file *f, mat *t)
{
    unsigned char head[HEADER];
    if (lode_i_infile_size(f->in) < HEADER)
        return lode_i_fail(ctx, LODE_EFORMAT, "%s has %" PRIu64 " bytes, fewer than a header of %d",
                           f->path, lode_i_infile_size(f->in), HEADER);
    LODE_FORWARD(lode_i_infile_read(ctx, f->in, 0, head, HEADER));
    if (memcmp(head + 126, "IM", 2) != 0 && memcmp(head + 126, "MI", 2) != 0)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "%s is no MATLAB file of level 5: IM or MI is missing at byte 126; save "
                           "it with -v7",
                           f->path);
    t->swapped = head[126] == 'M';
    const unsigned version = (unsigned)lode_i_number(head + 124, 2, t->swapped);
    if (version != 0x0100)
        return lode_i_fail(ctx, LODE_EUNSUPPORTED, "%s has version %#x%s; save it with -v7",
                           f->path, version,
                           version == 0x0200 ? ", that of MATLAB 7.3, and is no HDF5 file" : "");
    return LODE_OK;
}

/* A deflated element: its beginning is enough to know the variable. */
static lode_status add_packed(lode_ctx *ctx, lode_file *f, mat *t, const element *e)
{
    lode_status st = LODE_OK;
    lode_infile *in = NULL;
    unsigned char tag[8];
    variable v = { .packed_at = e->at, .packed = e->size };
    LODE_TRY(lode_i_unwrap(ctx, f->in, LODE_I_ZLIB, e->at, e->size, BEGINNING, &in));
    LODE_REQUIRE(lode_i_infile_size(in) >= 8, LODE_EFORMAT,
                 "%s: the element at byte %" PRIu64 " inflates to %" PRIu64 " bytes", f->path,
                 e->at - 8, lode_i_infile_size(in));
    LODE_TRY(lode_i_infile_read(ctx, in, 0, tag, 8));
    v.end = 8 + (uint64_t)get32(t, tag + 4);
    LODE_REQUIRE(v.end / 1032 <= e->size, LODE_EFORMAT,
                 "%s: the element at byte %" PRIu64 " claims to inflate to %" PRIu64
                 " bytes, more than deflate can do",
                 f->path, e->at - 8, v.end);
    if (get32(t, tag) == MI_MATRIX)
        LODE_TRY(add_variable(ctx, f, t, in, 8, v));
done:
    lode_i_infile_close(in);
    return st;
}

static lode_status open_mat(lode_ctx *ctx, lode_file *f, const lode_read_opts *o)
{
    lode_status st = LODE_OK;
    (void)o;
    LODE_TRY(lode_i_calloc(ctx, sizeof(mat), &f->state));
    mat *t = f->state;
    LODE_TRY(read_header(ctx, f, t));
    const uint64_t end = lode_i_infile_size(f->in);
    for (uint64_t at = HEADER; at < end;) {
        element e;
        LODE_TRY(lode_i_cancelled(ctx));
        LODE_TRY(read_tag(ctx, t, f->in, at, end, &e));
        const variable v = { .end = e.at + e.size };
        if (e.type == MI_COMPRESSED)
            LODE_TRY(add_packed(ctx, f, t, &e));
        else if (e.type == MI_MATRIX && e.size > 0)
            LODE_TRY(add_variable(ctx, f, t, f->in, e.at, v));
        at = e.next;
    }
done:
    return st;
}

static void close_mat(lode_file *f)
{
    mat *t = f->state;
    if (t)
        lode_i_free(t->at);
    lode_i_free(t);
}

/* ---- values ---- */

static lode_status unpack(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                          lode_infile **in)
{
    lode_status st = LODE_OK;
    const variable *v = &((const mat *)f->state)->at[m->id];
    lode_infile *all = NULL;
    if (v->packed == 0)
        return LODE_OK;
    LODE_TRY(lode_i_unwrap(ctx, f->in, LODE_I_ZLIB, v->packed_at, v->packed, v->end, &all));
    LODE_REQUIRE(lode_i_infile_size(all) == v->end, LODE_EFORMAT,
                 "%s: variable %s inflates to %" PRIu64 " bytes, not %" PRIu64, f->path, m->name,
                 lode_i_infile_size(all), v->end);
    *in = all;
    all = NULL;
done:
    lode_i_infile_close(all);
    return st;
}

/* One element of numbers as `dtype`, in a member of its own that borrows all else. */
static lode_status part_of(lode_ctx *ctx, const lode_file *f, const lode_i_member *m, uint64_t at,
                           lode_dtype dtype, lode_i_member *part, lode_i_stored *s, uint64_t *next)
{
    const mat *t = f->state;
    element e;
    LODE_FORWARD(read_tag(ctx, t, m->in, at, t->at[m->id].end, &e));
    *s = (lode_i_stored){ .slope = 1 };
    if (!lode_i_mat5_type(e.type, &s->dtype) || !lode_i_stored_fits(s->dtype, dtype))
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "%s: a part of variable %s is of element type %u, which does not go "
                           "with %s",
                           f->path, m->name, (unsigned)e.type, lode_dtype_name(dtype));
    *part = *m;
    part->dtype = dtype, part->offset = e.at, part->bytes = e.size;
    *next = e.next;
    return LODE_OK;
}

/* Real and imaginary parts of a rectangle, one after the other into their places, in pieces along
 * the last axis, which is the file's slowest. */
static lode_status read_complex(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                                const int64_t *start, const int64_t *count, void *dst)
{
    lode_status st = LODE_OK;
    const lode_dtype real = lode_i_real_of(m->dtype);
    const size_t width = lode_dtype_size(real);
    const int last = m->ndim - 1;
    uint64_t next = ((const mat *)f->state)->at[m->id].part;
    int64_t from[LODE_MAX_NDIM], many[LODE_MAX_NDIM], outer = 1;
    char *piece = NULL;
    for (int k = 0; k < m->ndim; k++) {
        from[k] = start[k], many[k] = count[k];
        outer *= k < last ? count[k] : 1;
    }
    if (outer == 0 || count[last] == 0)
        return LODE_OK;
    const int64_t step = lode_i_min(count[last], lode_i_max(1, (1 << 19) / outer));
    LODE_TRY(lode_i_new(ctx, step * outer, width, (void **)&piece));
    for (size_t k = 0; k < 2; k++) {
        lode_i_member part;
        lode_i_stored s;
        LODE_TRY(part_of(ctx, f, m, next, real, &part, &s, &next));
        uint64_t bytes = 0;
        LODE_TRY(lode_i_shape_bytes(ctx, m->name, s.dtype, m->ndim, m->shape, &bytes));
        LODE_REQUIRE(bytes == part.bytes, LODE_EFORMAT,
                     "%s: the imaginary part of variable %s has %" PRIu64 " bytes, not %" PRIu64,
                     f->path, m->name, part.bytes, bytes);
        for (int64_t j = 0; j < count[last]; j += step) {
            from[last] = start[last] + j, many[last] = lode_i_min(step, count[last] - j);
            LODE_TRY(lode_i_stored_read(ctx, &part, &s, from, many, piece));
            for (int64_t i = 0; i < outer; i++) {
                char *to = (char *)dst + ((size_t)(i * count[last] + j) * 2 + k) * width;
                const char *at = piece + (size_t)(i * many[last]) * width;
                for (int64_t l = 0; l < many[last]; l++, to += 2 * width, at += width)
                    memcpy(to, at, width);
            }
        }
    }
done:
    lode_i_free(piece);
    return st;
}

static lode_status read_mat(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                            const int64_t *start, const int64_t *count, void *dst)
{
    lode_i_member part;
    lode_i_stored s;
    uint64_t next = 0;
    if (lode_i_is_complex(m->dtype))
        return read_complex(ctx, f, m, start, count, dst);
    if (m->dtype == LODE_BOOL)
        return lode_i_dense_read(ctx, m, NULL, start, count, dst);
    LODE_FORWARD(
        part_of(ctx, f, m, ((const mat *)f->state)->at[m->id].part, m->dtype, &part, &s, &next));
    return lode_i_stored_read(ctx, &part, &s, start, count, dst);
}

/* An element as a vector, as long as it is. */
static lode_status vector(lode_ctx *ctx, const lode_file *f, const lode_i_member *m, uint64_t at,
                          lode_dtype dtype, int64_t stride, lode_array *into, int64_t offset,
                          uint64_t *next)
{
    lode_status st = LODE_OK;
    lode_i_member part;
    lode_i_stored s;
    lode_array a = { 0 };
    const int64_t zero = 0;
    LODE_TRY(part_of(ctx, f, m, at, dtype, &part, &s, next));
    part.ndim = 1, part.fortran = false;
    part.shape[0] = (int64_t)(part.bytes / lode_dtype_size(s.dtype));
    LODE_TRY(lode_array_new(ctx, dtype, 1, part.shape, &a));
    LODE_TRY(lode_i_stored_read(ctx, &part, &s, &zero, part.shape, a.data));
    if (stride == 1) {
        lode_array_swap(into, &a);
        goto done;
    }
    const int64_t n = lode_i_min(a.shape[0], into->shape[0]);
    LODE_REQUIRE(a.shape[0] >= into->shape[0], LODE_EFORMAT,
                 "%s: a part of sparse variable %s has %" PRId64 " values, not %" PRId64, f->path,
                 m->name, a.shape[0], into->shape[0]);
    for (int64_t i = 0; i < n; i++)
        ((double *)into->data)[i * stride + offset] = ((const double *)a.data)[i];
done:
    lode_array_free(&a);
    return st;
}

/* Rows, columns' ends, values (and imaginary ones), column by column. */
static lode_status load_mat(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                            lode_array *out, lode_sparse *s)
{
    lode_status st = LODE_OK;
    lode_i_member own = *m;
    lode_infile *in = NULL;
    lode_array rows = { 0 }, ends = { 0 }, values = { 0 }, part = { 0 };
    uint64_t next = ((const mat *)f->state)->at[m->id].part;
    (void)out;
    LODE_TRY(unpack(ctx, f, m, &in));
    if (in)
        own.in = in;
    LODE_TRY(vector(ctx, f, &own, next, LODE_I64, 1, &rows, 0, &next));
    LODE_TRY(vector(ctx, f, &own, next, LODE_I64, 1, &ends, 0, &next));
    LODE_REQUIRE(ends.shape[0] == m->shape[1] + 1, LODE_EFORMAT,
                 "%s: sparse variable %s has %" PRId64 " column pointers for %" PRId64 " columns",
                 f->path, m->name, ends.shape[0], m->shape[1]);
    const int64_t nnz = ((const int64_t *)ends.data)[m->shape[1]];
    LODE_REQUIRE(nnz >= 0 && nnz <= rows.shape[0], LODE_EFORMAT,
                 "%s: sparse variable %s has %" PRId64 " entries and %" PRId64 " row numbers",
                 f->path, m->name, nnz, rows.shape[0]);
    LODE_TRY(lode_array_slice(ctx, &rows, 0, 0, nnz, 1, &part)); /* there may be room for more */
    lode_array_swap(&rows, &part);
    if (m->dtype == LODE_C128) {
        LODE_TRY(lode_array_zeros(ctx, LODE_C128, 1, &nnz, &values));
        LODE_TRY(vector(ctx, f, &own, next, LODE_F64, 2, &values, 0, &next));
        LODE_TRY(vector(ctx, f, &own, next, LODE_F64, 2, &values, 1, &next));
    } else {
        LODE_TRY(vector(ctx, f, &own, next, LODE_F64, 1, &values, 0, &next));
        LODE_REQUIRE(values.shape[0] >= nnz, LODE_EFORMAT,
                     "%s: sparse variable %s has %" PRId64 " values for %" PRId64 " entries",
                     f->path, m->name, values.shape[0], nnz);
        LODE_TRY(lode_array_slice(ctx, &values, 0, 0, nnz, 1, &part));
        LODE_TRY(lode_array_cast(ctx, &part, m->dtype, &values));
    }
    LODE_TRY(lode_i_sparse_from_parts(ctx, LODE_CSR, true, m->shape, 2, &ends, &rows, &values,
                                      m->name, s));
done:
    lode_i_infile_close(in);
    LODE_FREE(&rows, &ends, &values, &part);
    return st;
}

const lode_i_format lode_i_format_mat5 = {
    .name = "mat",
    .many = true,
    .suffixes = ".mat",
    .mixed = true,
    .concurrent = true,
    .sniff = sniff,
    .open = open_mat,
    .read = read_mat,
    .unpack = unpack,
    .load = load_mat,
    .close = close_mat,
    .write = lode_i_mat5_write,
};
/* The same as older versions of MATLAB write it: nothing is deflated. */
const lode_i_format lode_i_format_mat6 = {
    .name = "mat6",
    .many = true,
    .suffixes = ".mat",
    .mixed = true,
    .concurrent = true,
    .open = open_mat,
    .read = read_mat,
    .unpack = unpack,
    .load = load_mat,
    .close = close_mat,
    .write = lode_i_mat6_write,
};
