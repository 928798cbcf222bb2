/* Finding libhdf5, keeping it silent, and its complaints in a sentence. */
#include "io/h5.h"

#include <string.h>

#ifdef LODE_HAVE_HDF5

#define MATCHES(type, name, args)                                                                  \
    _Static_assert(_Generic(&name, type(*) args : 1, default : 0),                                 \
                   #name " is declared otherwise in hdf5.h");
LODE_H5_FUNCTIONS(MATCHES)

/* ISO C has no cast from object to function pointers; their representation is copied, as POSIX
 * allows. */
static bool find(void *library, const char *symbol, void *pointer)
{
    void *const p = lode_i_library_symbol(library, symbol);
    memcpy(pointer, &p, sizeof p);
    return p != NULL;
}

#define TEXT(x) #x
static bool load(const char *name, lode_i_h5_library *t)
{
    t->shared = lode_i_library_symbol(NULL, "H5open") != NULL;
    void *library = lode_i_library_open(name);
    bool found = library != NULL;
    unsigned major = 0, minor = 0, release = 0;
#define FIND(type, name, args) found = found && find(library, TEXT(name), &t->name);
    LODE_H5_FUNCTIONS(FIND)
#undef FIND
#define FIND(name) found = found && find(library, #name, &t->name);
    LODE_H5_VALUES(FIND)
#undef FIND
    if (!found)
        return false;
    t->H5get_libversion(&major, &minor, &release);
    t->chunks_from_base = major == 1 && (minor < 14 || (minor == 14 && release < 4));
    /* Another minor version has other structures; the macros of hdf5.h would end the process. */
    return t->H5open() >= 0 && t->H5get_libversion(&major, &minor, &release) >= 0 &&
           major == H5_VERS_MAJOR && minor == H5_VERS_MINOR &&
           (t->driver = lode_i_h5_driver(t)) >= 0 &&
           (t->output_driver = lode_i_h5_output_driver(t)) >= 0;
}

/* Loaded once and kept: the table is the same for every thread that asks. */
static lode_i_h5_library table;

lode_i_h5_library *lode_i_h5_library_held(void)
{
    return &table;
}

lode_status lode_i_h5_library_get(lode_ctx *ctx, lode_i_h5_library **h)
{
    static bool loaded;
    static const char *const names[] = { "libhdf5_serial.so.103", "libhdf5.so.103",
                                         "libhdf5_serial.so.310", "libhdf5.so.310",
                                         "libhdf5_serial.so",     "libhdf5.so",
                                         "libhdf5.dylib" };
    lode_i_library_lock();
    for (size_t i = 0; i < sizeof names / sizeof *names && !loaded; i++)
        loaded = load(names[i], &table);
    const bool found = loaded;
    lode_i_library_unlock();
    *h = &table;
    if (!found)
        return lode_i_fail(ctx, LODE_EUNSUPPORTED,
                           "HDF5 files need libhdf5 %d.%d, which is not here: install the Debian "
                           "package libhdf5-103-1",
                           H5_VERS_MAJOR, H5_VERS_MINOR);
    return LODE_OK;
}

void lode_i_h5_enter(lode_i_h5_library *h)
{
    lode_i_library_lock();
    h->H5Eget_auto2(H5E_DEFAULT, &h->print, &h->print_data);
    h->H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void lode_i_h5_leave(lode_i_h5_library *h)
{
    h->H5Eclear2(H5E_DEFAULT);
    if (h->shared) /* else nobody else wants its words, which a damaged file brings at exit too */
        h->H5Eset_auto2(H5E_DEFAULT, h->print, h->print_data);
    lode_i_library_unlock();
}

enum { WORDS = 600 };

static herr_t innermost(unsigned n, const H5E_error2_t *error, void *data)
{
    if (n == 0)
        snprintf(data, WORDS, "%s", error->desc ? error->desc : "");
    return 0;
}

lode_status lode_i_h5_failed(lode_ctx *ctx, const lode_i_h5_library *h, const char *path,
                             const char *doing, bool writing)
{
    char words[WORDS] = "";
    if (h->reading && h->reading->st < 0)
        return h->reading->st;
    h->H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, words);
    /* Of a system call, what the system said; not the clock and the addresses before it. */
    const char *quoted = strstr(words, "error message = '"), *said = words;
    if (quoted) {
        said = quoted + 17;
        char *end = strchr(said, '\'');
        if (end)
            *end = '\0';
    }
    const bool system = writing || strncmp(words, "file read failed", 16) == 0;
    const bool memory = strstr(words, "memory allocation failed") != NULL;
    const bool filter = strstr(words, "is not registered") != NULL;
    return lode_i_fail(ctx,
                       memory   ? LODE_ENOMEM
                       : filter ? LODE_EUNSUPPORTED
                       : system ? LODE_EIO
                                : LODE_EFORMAT,
                       "%s: libhdf5 failed %s%s%s%s", path, doing, *said ? ": " : "", said,
                       filter ? "; its plugin is not installed" : "");
}

/* Floating-point numbers of two bytes, which this library has no type of its own for. */
static hid_t half(const lode_i_h5_library *h, size_t exponent)
{
    const size_t mantissa = 15 - exponent;
    const hid_t t = h->H5Tcopy(*h->H5T_NATIVE_FLOAT_g);
    if (t < 0 || h->H5Tset_fields(t, 15, mantissa, exponent, 0, mantissa) < 0 ||
        h->H5Tset_size(t, 2) < 0 || h->H5Tset_ebias(t, ((size_t)1 << (exponent - 1)) - 1) < 0) {
        if (t >= 0)
            h->H5Tclose(t);
        return -1;
    }
    return t;
}

static hid_t pair(const lode_i_h5_library *h, hid_t part, size_t size, const char *re,
                  const char *im)
{
    const hid_t t = h->H5Tcreate(H5T_COMPOUND, 2 * size);
    if (t >= 0 && (h->H5Tinsert(t, re ? re : "r", 0, part) < 0 ||
                   h->H5Tinsert(t, im ? im : "i", size, part) < 0)) {
        h->H5Tclose(t);
        return -1;
    }
    return t;
}

hid_t lode_i_h5_type(const lode_i_h5_library *h, lode_dtype dtype, const char *re, const char *im)
{
    switch (dtype) {
    case LODE_I8: return h->H5Tcopy(*h->H5T_NATIVE_INT8_g);
    case LODE_BOOL:
    case LODE_U8: return h->H5Tcopy(*h->H5T_NATIVE_UINT8_g);
    case LODE_I16: return h->H5Tcopy(*h->H5T_NATIVE_INT16_g);
    case LODE_U16: return h->H5Tcopy(*h->H5T_NATIVE_UINT16_g);
    case LODE_I32: return h->H5Tcopy(*h->H5T_NATIVE_INT32_g);
    case LODE_U32: return h->H5Tcopy(*h->H5T_NATIVE_UINT32_g);
    case LODE_I64: return h->H5Tcopy(*h->H5T_NATIVE_INT64_g);
    case LODE_U64: return h->H5Tcopy(*h->H5T_NATIVE_UINT64_g);
    case LODE_F16: return half(h, 5);
    case LODE_BF16: return half(h, 8);
    case LODE_F32: return h->H5Tcopy(*h->H5T_NATIVE_FLOAT_g);
    case LODE_F64: return h->H5Tcopy(*h->H5T_NATIVE_DOUBLE_g);
    case LODE_C64: return pair(h, *h->H5T_NATIVE_FLOAT_g, sizeof(float), re, im);
    case LODE_C128: return pair(h, *h->H5T_NATIVE_DOUBLE_g, sizeof(double), re, im);
    default: return -1;
    }
}

/* Two members FALSE = 0 and TRUE = 1 of one byte, as h5py writes truth. */
static bool is_truth(const lode_i_h5_library *h, hid_t type)
{
    if (h->H5Tget_size(type) != 1 || h->H5Tget_nmembers(type) != 2)
        return false;
    bool found = true;
    for (unsigned i = 0; i < 2; i++) {
        char *name = h->H5Tget_member_name(type, i);
        signed char value = -1;
        found = found && name && h->H5Tget_member_value(type, i, &value) >= 0 &&
                strcmp(name, value ? "TRUE" : "FALSE") == 0 && (value == 0 || value == 1);
        h->H5free_memory(name);
    }
    return found;
}

static bool whole(size_t size, bool sign, lode_dtype *dtype)
{
    static const lode_dtype with[] = { LODE_I8, LODE_I16, LODE_I32, LODE_I64 };
    static const lode_dtype without[] = { LODE_U8, LODE_U16, LODE_U32, LODE_U64 };
    int k = 0;
    while (k < 4 && ((size_t)1 << k) < size)
        k++;
    if (k < 4)
        *dtype = sign ? with[k] : without[k];
    return k < 4 && size > 0;
}

/* The smallest type that holds it; 80 and 128 bits are rounded to f64. */
static bool real(const lode_i_h5_library *h, hid_t type, lode_dtype *dtype)
{
    size_t sign = 0, exponent_at = 0, exponent = 0, mantissa_at = 0, mantissa = 0;
    if (h->H5Tget_fields(type, &sign, &exponent_at, &exponent, &mantissa_at, &mantissa) < 0)
        return false;
    *dtype = exponent <= 5 && mantissa <= 10   ? LODE_F16
             : exponent <= 8 && mantissa <= 7  ? LODE_BF16
             : exponent <= 8 && mantissa <= 23 ? LODE_F32
                                               : LODE_F64;
    return true;
}

/* A pair of equal real parts, by whatever names Python, MATLAB and Julia give them. */
static bool complex_of(const lode_i_h5_library *h, hid_t type, lode_i_h5_number *n)
{
    static const char *const names[][2] = { { "r", "i" }, { "real", "imag" }, { "re", "im" } };
    lode_dtype part[2] = { LODE_F64, LODE_F64 };
    if (h->H5Tget_nmembers(type) != 2)
        return false;
    int which = -1;
    for (unsigned k = 0; k < 2; k++) {
        char *name = h->H5Tget_member_name(type, k);
        const hid_t t = h->H5Tget_member_type(type, k);
        const bool fits = name && t >= 0 && h->H5Tget_class(t) == H5T_FLOAT && real(h, t, &part[k]);
        for (int i = 0; i < 3 && k == 0 && fits; i++)
            which = strcmp(name, names[i][0]) == 0 ? i : which;
        if (!fits || which < 0 || strcmp(name, names[which][k]) != 0)
            which = -1;
        h->H5free_memory(name);
        if (t >= 0)
            h->H5Tclose(t);
        if (which < 0)
            return false;
    }
    n->dtype = part[0] == LODE_F64 || part[1] == LODE_F64 ? LODE_C128 : LODE_C64;
    snprintf(n->re, sizeof n->re, "%s", names[which][0]);
    snprintf(n->im, sizeof n->im, "%s", names[which][1]);
    return true;
}

bool lode_i_h5_number_of(const lode_i_h5_library *h, hid_t type, lode_i_h5_number *n)
{
    const size_t size = h->H5Tget_size(type);
    bool fits = false;
    *n = (lode_i_h5_number){ .dtype = LODE_F64 };
    switch (h->H5Tget_class(type)) {
    case H5T_INTEGER: return whole(size, h->H5Tget_sign(type) == H5T_SGN_2, &n->dtype);
    case H5T_FLOAT: return real(h, type, &n->dtype);
    case H5T_COMPOUND: return complex_of(h, type, n);
    case H5T_BITFIELD: n->bits = true; return whole(size, false, &n->dtype);
    case H5T_ENUM: {
        if (is_truth(h, type)) {
            n->dtype = LODE_BOOL;
            return true;
        }
        const hid_t base = h->H5Tget_super(type);
        if (base >= 0) {
            fits = whole(size, h->H5Tget_sign(base) == H5T_SGN_2, &n->dtype);
            h->H5Tclose(base);
        }
        return fits;
    }
    default: return false;
    }
}
#endif
