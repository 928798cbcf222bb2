/* Attributes of variables and files between a format's own types and the JSON of a description. JSON
 * has one kind of number, so that types which matter to a writer stand beside the values. */
#include "io/io.h"

#include <math.h>
#include <string.h>

void lode_i_attributes_free(lode_i_attributes *a)
{
    lode_i_json_free(a->values);
    lode_i_json_free(a->types);
    *a = (lode_i_attributes){ 0 };
}

static lode_status set(lode_ctx *ctx, lode_json **o, const char *name, lode_json *v)
{
    if (!*o)
        *o = lode_i_json_object();
    return lode_i_json_set(ctx, *o, name, v);
}

static lode_json *number(lode_dtype dtype, const void *values, int64_t i)
{
    const lode_array all = lode_array_wrap((void *)(uintptr_t)values, dtype, 1,
                                           &(int64_t){ i + 1 });
    switch (lode_dtype_class(dtype)) {
    case 'b': return lode_i_json_bool(((const bool *)values)[i]);
    case 'f': return lode_i_json_f64(lode_array_get(&all, &i));
    default:
        if (dtype == LODE_I64)
            return lode_i_json_i64(((const int64_t *)values)[i]);
        if (dtype == LODE_U64 && ((const uint64_t *)values)[i] <= INT64_MAX)
            return lode_i_json_i64((int64_t)((const uint64_t *)values)[i]);
        return dtype == LODE_U64 ? lode_i_json_f64(lode_array_get(&all, &i))
                                 : lode_i_json_i64((int64_t)lode_array_get(&all, &i));
    }
}

lode_status lode_i_attributes_numbers(lode_ctx *ctx, lode_i_attributes *a, const char *name,
                                      lode_dtype dtype, int64_t count, const void *values)
{
    lode_status st = LODE_OK;
    lode_json *list = NULL;
    bool plain = dtype == LODE_F64 || dtype == LODE_BOOL;
    for (int64_t i = 0; i < count && dtype == LODE_F64; i++)
        plain = plain && isfinite(((const double *)values)[i]); /* else text in JSON */
    if (!plain)
        LODE_TRY(set(ctx, &a->types, name, lode_i_json_text(lode_dtype_name(dtype))));
    if (count == 1) {
        LODE_TRY(set(ctx, &a->values, name, number(dtype, values, 0)));
        goto done;
    }
    list = lode_i_json_array();
    for (int64_t i = 0; i < count; i++)
        LODE_TRY(lode_i_json_push(ctx, list, number(dtype, values, i)));
    lode_json *const given = list;
    list = NULL;
    LODE_TRY(set(ctx, &a->values, name, given));
done:
    lode_i_json_free(list);
    return st;
}

lode_status lode_i_attributes_texts(lode_ctx *ctx, lode_i_attributes *a, const char *name,
                                    int64_t count, char *const *texts, bool strings)
{
    lode_status st = LODE_OK;
    lode_json *list = NULL;
    if (strings)
        LODE_TRY(set(ctx, &a->types, name, lode_i_json_text("string")));
    if (count == 1) {
        LODE_TRY(set(ctx, &a->values, name, lode_i_json_text(texts[0] ? texts[0] : "")));
        goto done;
    }
    list = lode_i_json_array();
    for (int64_t i = 0; i < count; i++)
        LODE_TRY(lode_i_json_push(ctx, list, lode_i_json_text(texts[i] ? texts[i] : "")));
    lode_json *const given = list;
    list = NULL;
    LODE_TRY(set(ctx, &a->values, name, given));
done:
    lode_i_json_free(list);
    return st;
}

lode_status lode_i_attributes_shape(lode_ctx *ctx, lode_i_attributes *a, const char *name,
                                    lode_dtype dtype, int ndim, const int64_t *shape)
{
    lode_status st = LODE_OK;
    lode_text t = { 0 };
    LODE_TRY(lode_i_text_add(ctx, &t, "%s", lode_dtype_name(dtype)));
    for (int k = 0; k < ndim; k++)
        LODE_TRY(lode_i_text_add(ctx, &t, "%c%" PRId64, k ? ',' : '[', shape[k]));
    LODE_TRY(lode_i_text_add(ctx, &t, "]"));
    LODE_TRY(set(ctx, &a->types, name, lode_i_json_text(t.text)));
done:
    lode_i_text_free(&t);
    return st;
}

lode_status lode_i_attributes_into(lode_ctx *ctx, lode_i_attributes *a, lode_json *o)
{
    lode_json *values = a->values ? a->values : lode_i_json_object(), *types = a->types;
    a->values = NULL;
    LODE_FORWARD(lode_i_json_set(ctx, o, "attributes", values));
    a->types = NULL;
    return types ? lode_i_json_set(ctx, o, "types", types) : LODE_OK;
}

/* ---- on the way out ---- */

void lode_i_attribute_free(lode_i_attribute *a)
{
    lode_i_free(a->text);
    lode_array_free(&a->values);
    *a = (lode_i_attribute){ 0 };
}

/* A type "i16", or "i16[2,3]" with the sizes of several axes. */
static bool read_type(const char *text, lode_dtype *dtype, lode_i_attribute *a)
{
    char word[16];
    int64_t count = 1;
    int ndim = 0;
    const size_t n = strcspn(text, "[");
    snprintf(word, sizeof word, "%.*s", n < sizeof word ? (int)n : 0, text);
    if (!lode_dtype_parse(word, dtype))
        return false;
    for (const char *p = text + n; (*p == '[' || *p == ',') && ndim < LODE_I_ATTRIBUTE_AXES;) {
        const size_t digits = strcspn(++p, ",]");
        snprintf(word, sizeof word, "%.*s", digits < sizeof word ? (int)digits : 0, p);
        if (!lode_i_parse_i64(word, &a->shape[ndim]) || a->shape[ndim] < 0 ||
            !lode_i_mul(count, a->shape[ndim], &count))
            return true;
        ndim++, p += digits;
    }
    a->ndim = ndim > 1 && count == a->count ? ndim : 0;
    return true;
}

static const lode_json *item(const lode_json *v, bool list, int64_t i)
{
    return list ? lode_i_json_at(v, i) : v;
}

lode_status lode_i_attribute_get(lode_ctx *ctx, const lode_json *o, const char *name,
                                 lode_i_attribute *a)
{
    lode_status st = LODE_OK;
    lode_i_attribute made = { 0 };
    lode_array numbers = { 0 };
    lode_dtype dtype = LODE_F64;
    const lode_json *v = lode_i_json_get(lode_i_json_get(o, "attributes"), name);
    const char *type = lode_i_json_as_text(lode_i_json_get(lode_i_json_get(o, "types"), name));
    int64_t texts = 0, wholes = 0, bools = 0;

    lode_i_attribute_free(a);
    made.list = lode_i_json_count(v) >= 0;
    made.count = made.list ? lode_i_json_count(v) : v ? 1 : 0;
    made.strings = type && strcmp(type, "string") == 0;
    const bool typed = type && read_type(type, &dtype, &made);
    for (int64_t i = 0; i < made.count; i++) {
        int64_t whole = 0;
        bool truth = false;
        texts += lode_i_json_as_text(item(v, made.list, i)) != NULL;
        wholes += lode_i_json_as_i64(item(v, made.list, i), &whole);
        bools += lode_i_json_as_bool(item(v, made.list, i), &truth);
    }
    if (!typed && (texts > 0 || made.strings)) {
        if (texts < made.count)
            goto done; /* a mixed list */
        LODE_TRY(LODE_NEW(ctx, made.count + 1, &made.text));
        for (int64_t i = 0; i < made.count; i++)
            made.text[i] = lode_i_json_as_text(item(v, made.list, i));
        goto commit;
    }
    const bool whole = wholes == made.count && lode_dtype_class(dtype) != 'f';
    if (bools == made.count && made.count > 0)
        dtype = LODE_BOOL;
    else if (!typed)
        dtype = LODE_F64;
    LODE_TRY(lode_i_vector_new(ctx, whole ? LODE_I64 : LODE_F64, made.count, &numbers));
    for (int64_t i = 0; i < made.count; i++) {
        const lode_json *one = item(v, made.list, i);
        bool truth = false;
        if (lode_i_json_as_bool(one, &truth))
            ((double *)numbers.data)[i] = truth;
        else if (!(whole ? lode_i_json_as_i64(one, (int64_t *)numbers.data + i)
                         : lode_i_json_as_f64(one, (double *)numbers.data + i)))
            goto done; /* an object, or a list in a list */
    }
    LODE_TRY(lode_array_cast(ctx, &numbers, dtype, &made.values));
commit:
    *a = made;
    made = (lode_i_attribute){ 0 };
done:
    lode_array_free(&numbers);
    lode_i_attribute_free(&made);
    return st;
}

/* ---- what a description says ---- */

const lode_json *lode_i_described_variable(const lode_json *variables, const char *name, int ndim)
{
    lode_json *only = NULL;
    const lode_json *v = lode_i_json_get(variables, name);
    if (!v && lode_i_json_count(variables) == 1) {
        lode_i_json_key(variables, 0, &only);
        v = only;
    }
    const int64_t count = lode_i_json_count(lode_i_json_get(v, "dims"));
    return count < 0 || count == ndim ? v : NULL;
}

bool lode_i_is_of_packing(const char *name)
{
    static const char *const names[] = { "_FillValue",  "missing_value", "scale_factor",
                                         "add_offset",  "valid_range",   "valid_min",
                                         "valid_max",   "_Unsigned",     "_NCProperties",
                                         "actual_range" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}
