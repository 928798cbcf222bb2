/* Handles that libhdf5 has open in this process. libnetcdf leaves some behind where it fails to open a
 * damaged file, and whoever opened that file next would share what they know of it. */
#include "io/h5.h"

#include <string.h>

#ifdef LODE_HAVE_HDF5

enum { OPEN_MAX = 1 << 16, NAME_ROOM = 4096 };

struct lode_i_h5_handles {
    const lode_i_h5_library *library;
    ssize_t count;
    hid_t before[OPEN_MAX], after[OPEN_MAX];
};

lode_status lode_i_h5_handles_new(lode_ctx *ctx, lode_i_h5_handles **h)
{
    lode_i_h5_library *l = NULL;
    LODE_FORWARD(lode_i_h5_library_get(ctx, &l));
    LODE_FORWARD(LODE_NEW(ctx, 1, h));
    (*h)->library = l;
    return LODE_OK;
}

static ssize_t list(const lode_i_h5_library *l, hid_t *ids)
{
    return l->H5Fget_obj_ids(H5F_OBJ_ALL, H5F_OBJ_ALL, OPEN_MAX, ids);
}

void lode_i_h5_handles_note(lode_i_h5_handles *h)
{
    h->count = list(h->library, h->before);
}

void lode_i_h5_handles_close(lode_i_h5_handles *h, const char *path)
{
    const lode_i_h5_library *l = h->library;
    const ssize_t n = list(l, h->after);
    char name[NAME_ROOM];
    if (h->count < 0 || h->count == OPEN_MAX) /* which are new is not known */
        return;
    for (ssize_t i = n - 1; i >= 0; i--) { /* files come first, and close after what is in them */
        bool known = false;
        for (ssize_t k = 0; k < h->count && !known; k++)
            known = h->before[k] == h->after[i];
        if (!known && l->H5Fget_name(h->after[i], name, sizeof name) >= 0 &&
            strcmp(name, path) == 0)
            l->H5Idec_ref(h->after[i]);
    }
}

hid_t lode_i_h5_handles_find(lode_i_h5_handles *h, const char *name)
{
    const lode_i_h5_library *l = h->library;
    const ssize_t n = l->H5Fget_obj_ids(H5F_OBJ_ALL, H5F_OBJ_FILE, OPEN_MAX, h->after);
    char own[NAME_ROOM];
    for (ssize_t i = 0; i < n; i++)
        if (l->H5Fget_name(h->after[i], own, sizeof own) >= 0 && strcmp(own, name) == 0)
            return h->after[i];
    return -1;
}
#endif
