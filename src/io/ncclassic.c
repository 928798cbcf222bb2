/* The header of a classic NetCDF file, walked before libnetcdf is trusted with it: libnetcdf
 * believes counts that no file could hold, and reads zeros where a file was cut off. */
#include "io/frame.h"

enum { WINDOW = 1 << 16 };

typedef struct walk {
    lode_ctx *ctx;
    lode_infile *in;
    uint64_t at, size;
    bool wide; /* version 5: counts take 8 bytes */
    bool far;  /* versions 2 and 5: offsets take 8 bytes */
    unsigned char *buffer;
    uint64_t from, to;
    uint64_t records;
    uint64_t *dims; /* lengths; 0: the record dimension */
    uint64_t dim_count;
    lode_i_frame *frame; /* that values are cut out of; NULL: none */
    const bool *cut;     /* of which variables */
    uint64_t variables;  /* how many that says */
} walk;

static lode_status broken(walk *w, const char *why)
{
    return lode_i_fail(w->ctx, LODE_EFORMAT,
                       "%s: its NetCDF header is damaged near byte %" PRIu64 ": %s",
                       lode_i_infile_path(w->in), w->at, why);
}

static lode_status number(walk *w, int bytes, uint64_t *v)
{
    *v = 0;
    if (w->size - w->at < (uint64_t)bytes)
        return broken(w, "the file ends");
    if (w->at < w->from || w->at + (uint64_t)bytes > w->to) {
        const size_t n = w->size - w->at < WINDOW ? (size_t)(w->size - w->at) : WINDOW;
        w->from = w->to = 0;
        LODE_FORWARD(lode_i_infile_read(w->ctx, w->in, w->at, w->buffer, n));
        w->from = w->at, w->to = w->at + n;
    }
    *v = lode_i_number(w->buffer + (w->at - w->from), bytes, true);
    w->at += (uint64_t)bytes;
    return LODE_OK;
}

/* A count of things that take at least `least` bytes each. */
static lode_status counted(walk *w, uint64_t least, uint64_t *count)
{
    LODE_FORWARD(number(w, w->wide ? 8 : 4, count));
    return *count > (w->size - w->at) / least ? broken(w, "it counts more than the file holds")
                                              : LODE_OK;
}

static lode_status skip(walk *w, uint64_t bytes)
{
    bytes = (bytes + 3) / 4 * 4;
    if (bytes > w->size - w->at)
        return broken(w, "the file ends");
    w->at += bytes;
    return LODE_OK;
}

static lode_status name(walk *w)
{
    uint64_t n = 0;
    LODE_FORWARD(counted(w, 1, &n));
    return skip(w, n);
}

static uint64_t type_size(uint64_t type)
{
    static const unsigned char sizes[] = { 0, 1, 1, 2, 4, 4, 8, 1, 2, 4, 8, 8 };
    return type < sizeof sizes ? sizes[type] : 0;
}

static lode_status list(walk *w, uint64_t tag, uint64_t least, uint64_t *count)
{
    uint64_t found = 0;
    LODE_FORWARD(number(w, 4, &found));
    LODE_FORWARD(counted(w, least, count));
    return found != tag && (found != 0 || *count != 0) ? broken(w, "a list has an unknown tag")
                                                       : LODE_OK;
}

static lode_status attributes(walk *w)
{
    uint64_t count = 0, type = 0, n = 0;
    LODE_FORWARD(list(w, 0x0C, 12, &count));
    for (uint64_t i = 0; i < count; i++) {
        LODE_FORWARD(name(w));
        LODE_FORWARD(number(w, 4, &type));
        const uint64_t size = type_size(type);
        if (size == 0)
            return broken(w, "an attribute has an unknown type");
        LODE_FORWARD(counted(w, size, &n));
        LODE_FORWARD(skip(w, n * size));
    }
    return LODE_OK;
}

static lode_status dimensions(walk *w)
{
    bool seen = false;
    LODE_FORWARD(list(w, 0x0A, w->wide ? 16 : 8, &w->dim_count));
    LODE_FORWARD(LODE_NEW(w->ctx, (int64_t)w->dim_count, &w->dims));
    for (uint64_t i = 0; i < w->dim_count; i++) {
        LODE_FORWARD(name(w));
        LODE_FORWARD(number(w, w->wide ? 8 : 4, &w->dims[i]));
        if (w->dims[i] == 0 && seen)
            return broken(w, "two dimensions are unlimited");
        seen = seen || w->dims[i] == 0;
    }
    return LODE_OK;
}

/* Size of one variable (of one record of it), where it begins, whether it has records. */
static lode_status variable(walk *w, uint64_t *begin, int64_t *bytes, bool *record)
{
    uint64_t rank = 0, id = 0, type = 0, ignored = 0;
    *bytes = 1, *record = false;
    LODE_FORWARD(name(w));
    LODE_FORWARD(counted(w, w->wide ? 8 : 4, &rank));
    for (uint64_t k = 0; k < rank; k++) {
        LODE_FORWARD(number(w, w->wide ? 8 : 4, &id));
        if (id >= w->dim_count)
            return broken(w, "a variable has a dimension that does not exist");
        if (w->dims[id] == 0 && k > 0)
            return broken(w, "a record dimension comes second");
        *record = *record || w->dims[id] == 0;
        if (w->dims[id] &&
            (w->dims[id] > INT64_MAX || !lode_i_mul(*bytes, (int64_t)w->dims[id], bytes)))
            return broken(w, "a variable is larger than any file");
    }
    LODE_FORWARD(attributes(w));
    LODE_FORWARD(number(w, 4, &type));
    if (type_size(type) == 0 || !lode_i_mul(*bytes, (int64_t)type_size(type), bytes))
        return broken(w, "a variable has an unknown type or is larger than any file");
    LODE_FORWARD(
        number(w, w->wide ? 8 : 4, &ignored)); /* the size again, wrong where it does not fit */
    return number(w, w->far ? 8 : 4, begin);
}

/* The values of one variable, a piece in each record. */
static lode_status cut_out(walk *w, uint64_t begin, uint64_t size, uint64_t each, uint64_t pieces)
{
    for (uint64_t i = 0; i < pieces; i++)
        LODE_FORWARD(lode_i_frame_cut(w->ctx, w->frame, begin + i * each, size));
    return LODE_OK;
}

/* Every variable's last byte lies in the file. */
static lode_status variables(walk *w)
{
    uint64_t count = 0, stride = 0, alone = 0, records = 0, begin = 0;
    int64_t bytes = 0;
    bool record = false;
    LODE_FORWARD(list(w, 0x0B, 24, &count));
    const uint64_t first = w->at;
    for (int pass = 0; pass < 2; pass++) { /* the stride of records must be known first */
        w->at = first;
        for (uint64_t i = 0; i < count; i++) {
            LODE_FORWARD(variable(w, &begin, &bytes, &record));
            const uint64_t size = (uint64_t)bytes;
            if (pass == 0) {
                if (record) {
                    stride += (size + 3) / 4 * 4;
                    alone = size;
                    records++;
                }
                if (stride > INT64_MAX)
                    return broken(w, "its records are larger than any file");
                continue;
            }
            const uint64_t each = records == 1 ? alone
                                               : stride; /* a lone record variable is not padded */
            int64_t before = 0;
            const bool counts = record &&
                                w->records != UINT64_MAX; /* else the file's length says how many */
            if (counts && w->records > 0 &&
                (w->records > INT64_MAX ||
                 !lode_i_mul((int64_t)(w->records - 1), (int64_t)each, &before)))
                return broken(w, "its records are larger than any file");
            if (record && (!counts || w->records == 0))
                continue;
            if (begin > w->size || (uint64_t)before > w->size - begin ||
                size > w->size - begin - (uint64_t)before)
                return broken(
                    w,
                    "the values of a variable do not lie in the file, which may have been cut off");
            const uint64_t pieces = record ? w->records : 1;
            if (w->frame && i < w->variables && w->cut[i])
                LODE_FORWARD(cut_out(w, begin, size, each, pieces));
        }
    }
    return LODE_OK;
}

static lode_status walk_header(lode_ctx *ctx, lode_infile *in, int version, lode_i_frame *frame,
                               int64_t variable_count, const bool *cut)
{
    lode_status st = LODE_OK;
    walk w = { .ctx = ctx,
               .in = in,
               .at = 4,
               .size = lode_i_infile_size(in),
               .wide = version == 5,
               .far = version > 1,
               .frame = frame,
               .cut = cut,
               .variables = (uint64_t)variable_count };
    LODE_TRY(lode_i_alloc(ctx, WINDOW, (void **)&w.buffer));
    LODE_TRY(number(&w, w.wide ? 8 : 4, &w.records));
    if (!w.wide && w.records == UINT32_MAX)
        w.records = UINT64_MAX; /* still being written */
    LODE_TRY(dimensions(&w));
    LODE_TRY(attributes(&w));
    LODE_TRY(variables(&w));
done:
    lode_i_free(w.buffer);
    lode_i_free(w.dims);
    return st;
}

lode_status lode_i_nc_check_classic(lode_ctx *ctx, lode_infile *in, int version)
{
    return walk_header(ctx, in, version, NULL, 0, NULL);
}

lode_status lode_i_nc_cut_classic(lode_ctx *ctx, lode_infile *in, int version, int64_t count,
                                  const bool *cut, lode_i_frame *frame)
{
    return walk_header(ctx, in, version, frame, count, cut);
}
