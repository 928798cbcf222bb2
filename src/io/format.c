/* The list of file formats, and how a path finds its own. */
#include "io/frame.h"

#include <string.h>
#include <strings.h>

/* In the order that help shows; sniffing asks in the same order. */
static const lode_i_format *const formats[] = {
#ifdef LODE_CORE
    &lode_i_format_lode, &lode_i_format_npy, &lode_i_format_safetensors,
    &lode_i_format_raw,  &lode_i_format_dir,
#else
    &lode_i_format_lode, &lode_i_format_npy,    &lode_i_format_npz,   &lode_i_format_safetensors,
    &lode_i_format_hdf5, &lode_i_format_netcdf, &lode_i_format_mtx,   &lode_i_format_csv,
    &lode_i_format_tsv,  &lode_i_format_tns,    &lode_i_format_png,   &lode_i_format_pnm,
    &lode_i_format_mat5, &lode_i_format_mat6,   &lode_i_format_mat73, &lode_i_format_cfl,
    &lode_i_format_fits, &lode_i_format_nifti,  &lode_i_format_gguf,  &lode_i_format_raw,
    &lode_i_format_dir,
#endif
};
enum { FORMATS = (int)(sizeof formats / sizeof *formats) };

const char *lode_format_name(int i, const char **suffixes, bool *reads, bool *writes)
{
    if (i < 0 || i >= FORMATS)
        return NULL;
    if (suffixes)
        *suffixes = formats[i]->suffixes;
    if (reads)
        *reads = formats[i]->open != NULL;
    if (writes)
        *writes = formats[i]->write != NULL;
    return formats[i]->name;
}

bool lode_i_has_suffix(const char *path, const char *suffix)
{
    const size_t n = strlen(path), k = strlen(suffix);
    return n >= k && strcasecmp(path + n - k, suffix) == 0;
}

bool lode_i_format_claims(const lode_i_format *f, const char *path)
{
    const size_t whole = strlen(path), end = lode_i_has_suffix(path, ".gz") ? whole - 3 : whole;
    for (const char *s = f->suffixes; *s;) {
        const size_t n = strcspn(s, " ");
        if (end >= n && strncasecmp(path + end - n, s, n) == 0)
            return true;
        s += n + strspn(s + n, " ");
    }
    return false;
}

/* By its name, or by the path where that is NULL; NULL: none. */
static const lode_i_format *format_of(const char *name, const char *path)
{
    for (int i = 0; i < FORMATS; i++)
        if (name ? strcasecmp(name, formats[i]->name) == 0 : lode_i_format_claims(formats[i], path))
            return formats[i];
    return NULL;
}

lode_status lode_i_format_find(lode_ctx *ctx, const char *name, const char *path,
                               const lode_i_format **format)
{
    const lode_i_format *nearest = formats[0];
    *format = format_of(name, path);
    if (*format || !name)
        return LODE_OK;
    for (int i = 1; i < FORMATS; i++)
        if (lode_i_distance(name, formats[i]->name) < lode_i_distance(name, nearest->name))
            nearest = formats[i];
    return lode_i_fail(ctx, LODE_EUSAGE, "unknown file format %s; did you mean %s?", name,
                       nearest->name);
}

bool lode_format_holds_many(const char *name, const char *path)
{
    const lode_i_format *f = format_of(name, path);
    return f && f->many;
}

bool lode_format_keeps_results(const char *name, const char *path)
{
    const lode_i_format *f = format_of(name, path);
    return f && f->results;
}

bool lode_i_format_may_hold(const char *name, const char *path, bool results)
{
    const lode_i_format *f = format_of(name, path);
    return !f || (results ? f->results || f == &lode_i_format_safetensors : f->many);
}

bool lode_format_keeps_members(const char *name, const char *path)
{
    const lode_i_format *f = format_of(name, path);
    return f && f->bundles;
}

bool lode_format_keeps_rest(const char *from, const char *name, const char *path)
{
    const lode_i_format *f = format_of(name, path);
    const bool lode = strcmp(from, lode_i_format_lode.name) == 0;
    return f && (lode || f->bundles || lode_i_frame_format(f, name != NULL, from, path));
}

const lode_i_format *lode_i_format_sniff(const unsigned char *head, size_t size, const char *path)
{
    const lode_i_format *first = NULL;
    for (int i = 0; i < FORMATS; i++)
        if (formats[i]->sniff && formats[i]->sniff(head, size)) {
            if (lode_i_format_claims(formats[i], path))
                return formats[i];
            first = first ? first : formats[i];
        }
    return first;
}

lode_status lode_i_format_present(lode_ctx *ctx, const lode_i_format *f)
{
    return f->absent
               ? lode_i_fail(ctx, LODE_EUNSUPPORTED, "this build reads and writes no %s", f->absent)
               : LODE_OK;
}
