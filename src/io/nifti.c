/* NIfTI-1 and NIfTI-2 images: one file (.nii), or header and values apart (.hdr, .img); either byte
 * order, first axis fastest. scl_slope and scl_inter are applied where they change anything. */
#include "io/io.h"

#include <math.h>
#include <string.h>

enum { SIZE1 = 348, SIZE2 = 540, AXES = 7 };

static double real(const unsigned char *p, int bytes, bool swapped)
{
    const uint64_t bits = lode_i_number(p, bytes, swapped);
    double v = 0;
    if (bytes == 8) {
        memcpy(&v, &bits, sizeof v);
    } else {
        const uint32_t half = (uint32_t)bits;
        float w = 0;
        memcpy(&w, &half, sizeof w);
        v = (double)w;
    }
    return v;
}

static bool sniff(const unsigned char *head, size_t size)
{
    return size >= 12 && (memcmp(head + 4, "n+2\0\r\n\032\n", 8) == 0 ||
                          memcmp(head + 4, "ni2\0\r\n\032\n", 8) == 0 ||
                          memcmp(head, "\x5c\1\0\0", 4) == 0 || memcmp(head, "\0\0\1\x5c", 4) == 0);
}

static bool type_of(uint64_t code, lode_dtype *dtype)
{
    static const struct {
        uint64_t code;
        lode_dtype dtype;
    } types[] = { { 2, LODE_U8 },    { 4, LODE_I16 },    { 8, LODE_I32 },    { 16, LODE_F32 },
                  { 32, LODE_C64 },  { 64, LODE_F64 },   { 256, LODE_I8 },   { 512, LODE_U16 },
                  { 768, LODE_U32 }, { 1024, LODE_I64 }, { 1280, LODE_U64 }, { 1792, LODE_C128 } };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].code == code) {
            *dtype = types[i].dtype;
            return true;
        }
    return false;
}

typedef struct header {
    bool second, swapped, pair;
    uint64_t type;
    double offset, slope, inter, voxel[AXES];
    int64_t dim[AXES + 1];
} header;

static lode_status read_header(lode_ctx *ctx, const lode_file *f, lode_infile *in, header *h)
{
    unsigned char b[SIZE2];
    const uint64_t size = lode_i_infile_size(in);
    const char *path = lode_i_infile_path(in);
    (void)f;
    if (size < SIZE1)
        return lode_i_fail(ctx, LODE_EFORMAT, "%s has %" PRIu64 " bytes, fewer than a header of %d",
                           path, size, SIZE1);
    LODE_FORWARD(lode_i_infile_read(ctx, in, 0, b, 4));
    for (int k = 0; k < 4; k++)
        if (lode_i_number(b, 4, k / 2) == (k % 2 ? SIZE2 : SIZE1)) {
            h->second = k % 2, h->swapped = k / 2;
            h->dim[0] = 1;
        }
    if (!h->dim[0])
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "%s begins with neither 348 (NIfTI-1) nor 540 (NIfTI-2)", path);
    LODE_FORWARD(lode_i_infile_read(ctx, in, 0, b, h->second ? SIZE2 : SIZE1));
    const char *magic = (const char *)b + (h->second ? 4 : 344);
    if (magic[0] != 'n' || (magic[1] != '+' && magic[1] != 'i') ||
        magic[2] != (h->second ? '2' : '1') || magic[3])
        return lode_i_fail(
            ctx, LODE_EFORMAT,
            "%s lacks the mark of NIfTI (an older ANALYZE image?); convert it to .nii", path);
    h->pair = magic[1] == 'i';
    const int wide = h->second ? 8 : 2, deep = h->second ? 8 : 4;
    for (int k = 0; k <= AXES; k++) {
        const uint64_t v = lode_i_number(b + (h->second ? 16 : 40) + k * wide, wide, h->swapped);
        h->dim[k] = h->second ? (int64_t)v : (int16_t)v;
        if (k > 0)
            h->voxel[k - 1] = real(b + (h->second ? 104 : 76) + k * deep, deep, h->swapped);
    }
    h->type = lode_i_number(b + (h->second ? 12 : 70), 2, h->swapped);
    h->offset = h->second ? (double)(int64_t)lode_i_number(b + 168, 8, h->swapped)
                          : real(b + 108, 4, h->swapped);
    h->slope = real(b + (h->second ? 176 : 112), deep, h->swapped);
    h->inter = real(b + (h->second ? 184 : 116), deep, h->swapped);
    return LODE_OK;
}

/* {"pixdim": [sizes of a voxel]} */
static lode_status keep_voxel(lode_ctx *ctx, lode_file *f, const header *h, int ndim)
{
    lode_status st = LODE_OK;
    lode_json *root = lode_i_json_object(), *list = lode_i_json_array(), *given = NULL;
    for (int k = 0; k < ndim; k++)
        LODE_TRY(lode_i_json_push(ctx, list, lode_i_json_f64(h->voxel[k])));
    given = list, list = NULL;
    LODE_TRY(lode_i_json_set(ctx, root, "pixdim", given));
    LODE_TRY(lode_i_json_print(ctx, root, 0, &f->head.meta.attributes));
done:
    lode_i_json_free(root);
    lode_i_json_free(list);
    return st;
}

static lode_status fill(lode_ctx *ctx, lode_file *f, const header *h, lode_i_member *m)
{
    lode_status st = LODE_OK;
    lode_i_stored *s = f->state;
    LODE_REQUIRE(h->dim[0] >= 1 && h->dim[0] <= AXES, LODE_EFORMAT,
                 "%s gives %" PRId64 " axes; 1 to 7 are known", f->path, h->dim[0]);
    m->ndim = (int32_t)h->dim[0];
    for (int k = 0; k < m->ndim; k++) {
        m->shape[k] = h->dim[k + 1];
        LODE_REQUIRE(m->shape[k] >= 0, LODE_EFORMAT, "%s gives axis %d size %" PRId64, f->path, k,
                     m->shape[k]);
    }
    if (!type_of(h->type, &m->dtype)) {
        LODE_TRY(lode_i_member_refuse(ctx, m, LODE_U8,
                                      "its values have type %" PRIu64
                                      " of NIfTI (colours, bits or 128-bit numbers), which is not "
                                      "read",
                                      h->type));
        goto done;
    }
    LODE_TRY(lode_i_shape_bytes(ctx, f->path, m->dtype, m->ndim, m->shape, &m->bytes));
    const uint64_t size = lode_i_infile_size(m->in);
    LODE_REQUIRE(
        h->offset >= 0 && h->offset <= (double)size && m->bytes <= size - (uint64_t)h->offset,
        LODE_EFORMAT,
        "%s: values of %" PRIu64 " bytes from byte %g on do not lie in the %" PRIu64 " of %s",
        f->path, m->bytes, h->offset, size, lode_i_infile_path(m->in));
    m->offset = (uint64_t)h->offset;
    m->fortran = true, m->swapped = h->swapped;
    *s = (lode_i_stored){ .dtype = m->dtype, .slope = 1 };
    const bool scaled = isfinite(h->slope) && isfinite(h->inter) && h->slope != 0 &&
                        (h->slope != 1 || h->inter != 0);
    if (scaled && !lode_i_is_complex(m->dtype)) {
        s->slope = h->slope, s->inter = h->inter;
        m->dtype = lode_dtype_size(s->dtype) <= 2 || s->dtype == LODE_F32 ? LODE_F32 : LODE_F64;
    }
done:
    return st;
}

static lode_status open_nifti(lode_ctx *ctx, lode_file *f, const lode_read_opts *o)
{
    lode_status st = LODE_OK;
    header h = { 0 };
    lode_infile *other = NULL;
    lode_i_member *m = NULL;
    const bool image = lode_i_format_claims(&(lode_i_format){ .suffixes = ".img" }, f->path);
    (void)o;
    LODE_TRY(lode_i_calloc(ctx, sizeof(lode_i_stored), &f->state));
    if (image)
        LODE_TRY(lode_i_open_beside(ctx, f->path, ".hdr", &other));
    LODE_TRY(read_header(ctx, f, image ? other : f->in, &h));
    if (h.pair && !image)
        LODE_TRY(lode_i_open_beside(ctx, f->path, ".img", &other));
    LODE_TRY(lode_i_member_add(ctx, f, "image", 5, &m));
    m->in = lode_i_infile_ref(h.pair && !image ? other : f->in);
    if (!h.pair && h.offset < (h.second ? SIZE2 : SIZE1))
        h.offset = h.second ? SIZE2 + 4 : SIZE1 + 4;
    LODE_TRY(fill(ctx, f, &h, m));
    LODE_TRY(keep_voxel(ctx, f, &h, m->ndim));
done:
    lode_i_infile_close(other);
    return st;
}

static lode_status read_nifti(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                              const int64_t *start, const int64_t *count, void *dst)
{
    return lode_i_stored_read(ctx, m, f->state, start, count, dst);
}

static void close_nifti(lode_file *f)
{
    lode_i_free(f->state);
}

const lode_i_format lode_i_format_nifti = {
    .name = "nifti",
    .suffixes = ".nii .img .hdr",
    .concurrent = true,
    .sniff = sniff,
    .open = open_nifti,
    .read = read_nifti,
    .close = close_nifti,
};
