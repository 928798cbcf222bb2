/* What a variable takes along when it is read alone: its dimensions' names, its attributes,
 * and the values of its coordinates, cut as the variable is. The same JSON that ncwrite.c reads. */
#include "io/io.h"

#include <string.h>

enum { VALUES_MAX = 1 << 16 };

/* A copy of a part of another document. */
static lode_status set_copy(lode_ctx *ctx, lode_json *o, const char *key, const lode_json *part)
{
    lode_status st = LODE_OK;
    char *text = NULL;
    lode_json *copy = NULL;
    if (!part)
        return LODE_OK;
    LODE_TRY(lode_i_json_print(ctx, part, 0, &text));
    LODE_TRY(lode_i_json_parse(ctx, text, strlen(text), &copy));
    LODE_TRY(lode_i_json_set(ctx, o, key, copy));
done:
    lode_i_free(text);
    return st;
}

/* Values of an axis from the member that is its coordinate; *list stays NULL where there is none of
 * that size. */
static lode_status from_member(lode_ctx *ctx, lode_file *f, lode_i_member *m, int64_t size,
                               const lode_i_range *r, lode_json **list)
{
    lode_status st = LODE_OK;
    lode_source s = { 0 };
    lode_array a = { 0 }, values = { 0 };
    if (!m || m->hidden || m->kind != LODE_ARRAY || m->ndim != 1 || m->shape[0] != size ||
        size > VALUES_MAX || lode_i_is_complex(m->dtype))
        return LODE_OK;
    LODE_TRY(lode_i_file_source_of(ctx, f, m, &s));
    LODE_TRY(lode_i_source_load(ctx, &s, &a));
    LODE_TRY(lode_i_as(ctx, &a, LODE_F64, &values));
    const double *v = values.data;
    *list = lode_i_json_array();
    for (int64_t i = r->start; r->step > 0 ? i < r->stop : i > r->stop; i += r->step)
        LODE_TRY(lode_i_json_push(ctx, *list, lode_i_json_f64(v[i])));
done:
    lode_source_close(&s);
    LODE_FREE(&a, &values);
    return st;
}

/* The same from those that the file keeps in its description. */
static lode_status from_description(lode_ctx *ctx, const lode_json *values, int64_t size,
                                    const lode_i_range *r, lode_json **list)
{
    if (lode_i_json_count(values) != size)
        return LODE_OK;
    *list = lode_i_json_array();
    for (int64_t i = r->start; r->step > 0 ? i < r->stop : i > r->stop; i += r->step) {
        double v = 0;
        if (!lode_i_json_as_f64(lode_i_json_at(values, i), &v))
            return lode_i_fail(ctx, LODE_EFORMAT, "value %" PRId64 " of a coordinate is no number",
                               i);
        LODE_FORWARD(lode_i_json_push(ctx, *list, lode_i_json_f64(v)));
    }
    return LODE_OK;
}

static lode_status coordinate(lode_ctx *ctx, lode_file *f, const lode_json *root, const char *name,
                              int64_t size, const lode_i_range *r, lode_json *all)
{
    lode_status st = LODE_OK;
    lode_i_member *m = lode_i_member_find(f, name);
    const lode_json *kept = lode_i_json_get(lode_i_json_get(root, "coordinates"), name);
    const lode_json *v = lode_i_json_get(lode_i_json_get(root, "variables"), name);
    lode_json *o = NULL, *list = NULL;
    LODE_TRY(from_member(ctx, f, m, size, r, &list));
    const bool own = list != NULL;
    if (!own)
        LODE_TRY(from_description(ctx, lode_i_json_get(kept, "values"), size, r, &list));
    if (!list)
        goto done;
    o = lode_i_json_object();
    lode_json *const given = list;
    list = NULL;
    LODE_TRY(lode_i_json_set(ctx, o, "values", given));
    if (own && m->dtype != LODE_F64)
        LODE_TRY(lode_i_json_set(ctx, o, "dtype", lode_i_json_text(lode_dtype_name(m->dtype))));
    if (!own)
        LODE_TRY(set_copy(ctx, o, "dtype", lode_i_json_get(kept, "dtype")));
    LODE_TRY(set_copy(ctx, o, "attributes", lode_i_json_get(own ? v : kept, "attributes")));
    LODE_TRY(set_copy(ctx, o, "types", lode_i_json_get(own ? v : kept, "types")));
    lode_json *const done = o;
    o = NULL;
    LODE_TRY(lode_i_json_set(ctx, all, name, done));
done:
    lode_i_json_free(list);
    lode_i_json_free(o);
    return st;
}

static lode_status of_variable(lode_ctx *ctx, lode_file *f, const lode_i_member *m,
                               const lode_json *all, const lode_i_range *ranges, lode_json *root)
{
    lode_status st = LODE_OK;
    const lode_json *variables = lode_i_json_get(all, "variables");
    const lode_json *dimensions = lode_i_json_get(all, "dimensions");
    const lode_json *v = f->shown == 1 ? lode_i_described_variable(variables, m->name, m->ndim)
                                       : lode_i_json_get(variables, m->name);
    const lode_json *dims = lode_i_json_get(v, "dims");
    lode_json *o = lode_i_json_object(), *kept = lode_i_json_array(),
              *coordinates = lode_i_json_object();
    lode_json *list = lode_i_json_object(), *given = NULL, *grows = lode_i_json_object();
    for (int k = 0; k < m->ndim; k++) {
        const char *name = lode_i_json_as_text(lode_i_json_at(dims, k));
        if (!name || ranges[k].dropped)
            continue;
        LODE_TRY(lode_i_json_push(ctx, kept, lode_i_json_text(name)));
        LODE_TRY(coordinate(ctx, f, all, name, m->shape[k], &ranges[k], coordinates));
        bool unlimited = false;
        if (lode_i_json_as_bool(lode_i_json_get(lode_i_json_get(dimensions, name), "unlimited"),
                                &unlimited) &&
            unlimited) {
            given = lode_i_json_object();
            LODE_TRY(lode_i_json_set(ctx, grows, name, given));
            LODE_TRY(lode_i_json_set(ctx, lode_i_json_get(grows, name), "unlimited",
                                     lode_i_json_bool(true)));
        }
    }
    if (lode_i_json_count(grows) > 0) {
        given = grows, grows = NULL;
        LODE_TRY(lode_i_json_set(ctx, root, "dimensions", given));
    }
    if (lode_i_json_count(dims) == m->ndim) {
        given = kept, kept = NULL;
        LODE_TRY(lode_i_json_set(ctx, o, "dims", given));
    }
    LODE_TRY(set_copy(ctx, o, "attributes", lode_i_json_get(v, "attributes")));
    LODE_TRY(set_copy(ctx, o, "types", lode_i_json_get(v, "types")));
    LODE_TRY(set_copy(ctx, o, "stored", lode_i_json_get(v, "stored")));
    LODE_TRY(set_copy(ctx, o, "nearest", lode_i_json_get(v, "nearest")));
    given = o, o = NULL;
    LODE_TRY(lode_i_json_set(ctx, list, m->name, given));
    given = list, list = NULL;
    LODE_TRY(lode_i_json_set(ctx, root, "variables", given));
    given = coordinates, coordinates = NULL;
    LODE_TRY(lode_i_json_set(ctx, root, "coordinates", given));
done:
    lode_i_json_free(o);
    lode_i_json_free(kept);
    lode_i_json_free(coordinates);
    lode_i_json_free(list);
    lode_i_json_free(grows);
    return st;
}

/* Attributes of the groups that a variable lies in. */
static lode_status of_groups(lode_ctx *ctx, const lode_json *all, const char *name, lode_json *root)
{
    lode_status st = LODE_OK;
    lode_json *o = lode_i_json_object(), *v = NULL;
    const lode_json *groups = lode_i_json_get(all, "groups");
    for (const char *path = NULL; (path = lode_i_json_next(groups, path, &v));)
        if (strncmp(name, path, strlen(path)) == 0 && name[strlen(path)] == '/')
            LODE_TRY(set_copy(ctx, o, path, v));
    if (lode_i_json_count(o) > 0) {
        lode_json *const given = o;
        o = NULL;
        LODE_TRY(lode_i_json_set(ctx, root, "groups", given));
    }
done:
    lode_i_json_free(o);
    return st;
}

lode_status lode_i_attributes_of(lode_ctx *ctx, lode_file *f, const lode_i_member *m,
                                 const lode_i_range *ranges, char **text)
{
    lode_status st = LODE_OK;
    const char *whole = f->head.meta.attributes;
    lode_json *all = NULL, *root = lode_i_json_object();
    LODE_TRY(lode_i_json_parse(ctx, whole, strlen(whole), &all));
    LODE_TRY(of_variable(ctx, f, m, all, ranges, root));
    LODE_TRY(of_groups(ctx, all, m->name, root));
    LODE_TRY(set_copy(ctx, root, "attributes", lode_i_json_get(all, "attributes")));
    LODE_TRY(set_copy(ctx, root, "types", lode_i_json_get(all, "types")));
    LODE_TRY(lode_i_json_print(ctx, root, 0, text));
done:
    lode_i_json_free(all);
    lode_i_json_free(root);
    return st;
}
