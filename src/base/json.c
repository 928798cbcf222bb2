/* JSON behind one file: jansson parses and holds values; the text is written here, because it must
 * be the same under any locale, with the shortest numbers that read back, and counted against the
 * budget. */
#include "base/base.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

enum { DEPTH = 64 };

/* Deepest nesting of brackets, and at most what jansson's values take: it counts nothing against
 * our budget, and "[{},{}," grows eightyfold. */
static int nesting(const char *text, size_t size, uint64_t *bytes)
{
    int depth = 0, deepest = 0;
    bool quoted = false;
    uint64_t sum = 3 * (uint64_t)size; /* a text, its copy while it is read */
    for (size_t i = 0; i < size; i++) {
        const char c = text[i];
        if (quoted) {
            i += c == '\\';
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '[' || c == '{') {
            deepest = ++depth > deepest ? depth : deepest;
            sum += c == '{' ? 300 : 150;
        } else if (c == ']' || c == '}') {
            depth--;
        } else if (c == ',' || c == ':') {
            sum += c == ':' ? 220 : 100;
        }
    }
    *bytes = sum;
    return deepest;
}

lode_status lode_i_json_parse(lode_ctx *ctx, const char *text, size_t size, lode_json **out)
{
    json_error_t error;
    uint64_t bytes = 0;
    const uint64_t left = lode_i_memory_left(ctx);
    const int depth = nesting(text, size, &bytes);
    if (depth > DEPTH)
        return lode_i_fail(ctx, LODE_EFORMAT, "JSON: %d levels of brackets, at most %d are read",
                           depth, DEPTH);
    if (bytes > left)
        return lode_i_fail(ctx, LODE_EBUDGET,
                           "%zu bytes of JSON may take %" PRIu64 " in memory, %" PRIu64
                           " of the budget are left; --memory %" PRIu64 " would do",
                           size, bytes, left, lode_ctx_memory_used(ctx) + bytes);
    json_t *j = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!j && json_error_code(&error) == json_error_out_of_memory)
        return lode_i_fail(ctx, LODE_ENOMEM, "no memory for %zu bytes of JSON", size);
    if (!j)
        return lode_i_fail(ctx, LODE_EFORMAT, "JSON, line %d, column %d: %s", error.line,
                           error.column, error.text);
    *out = j;
    return LODE_OK;
}

void lode_i_json_free(lode_json *j)
{
    json_decref(j);
}

/* ---- building ---- */

lode_json *lode_i_json_object(void)
{
    return json_object();
}

lode_json *lode_i_json_array(void)
{
    return json_array();
}

/* Bytes of the valid UTF-8 character at p (1 to 4), 0 when there is none. */
static size_t character(const unsigned char *p, size_t left)
{
    const unsigned c = p[0];
    const size_t n = c < 0x80                ? 1
                     : c >= 0xC2 && c < 0xE0 ? 2
                     : c >= 0xE0 && c < 0xF0 ? 3
                     : c >= 0xF0 && c < 0xF5 ? 4
                                             : 0;
    if (n == 0 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    const bool too_long = (c == 0xE0 && p[1] < 0xA0) || (c == 0xF0 && p[1] < 0x90);
    const bool surrogate = c == 0xED && p[1] >= 0xA0, too_large = c == 0xF4 && p[1] >= 0x90;
    return too_long || surrogate || too_large ? 0 : n;
}

lode_json *lode_i_json_text(const char *text)
{
    json_t *j = json_string(text); /* NULL also for what is not UTF-8 */
    if (j || !text)
        return j;
    const unsigned char *p = (const unsigned char *)text;
    const size_t size = strlen(text);
    char *clean = malloc(3 * size + 1);
    if (!clean)
        return NULL;
    size_t at = 0;
    for (size_t i = 0; i < size;) {
        const size_t n = character(p + i, size - i);
        memcpy(clean + at, n ? text + i : "\xEF\xBF\xBD", n ? n : 3);
        at += n ? n : 3;
        i += n ? n : 1;
    }
    j = json_stringn(clean, at);
    free(clean);
    return j;
}

lode_json *lode_i_json_i64(int64_t v)
{
    return json_integer(v);
}

lode_json *lode_i_json_f64(double v)
{
    if (isnan(v))
        return json_string("nan");
    return isinf(v) ? json_string(v > 0 ? "inf" : "-inf") : json_real(v);
}

lode_json *lode_i_json_bool(bool v)
{
    return json_boolean(v);
}

lode_status lode_i_json_set(lode_ctx *ctx, lode_json *object, const char *key, lode_json *value)
{
    json_t *name = lode_i_json_text(key); /* valid UTF-8 from here on */
    const bool done = name && object && value &&
                      json_object_set(object, json_string_value(name), value) == 0;
    json_decref(name);
    json_decref(value);
    return done ? LODE_OK
                : lode_i_fail(ctx, LODE_ENOMEM, "no memory for the JSON member \"%s\"", key);
}

lode_status lode_i_json_push(lode_ctx *ctx, lode_json *array, lode_json *value)
{
    const bool done = array && value && json_array_append(array, value) == 0;
    json_decref(value);
    return done ? LODE_OK : lode_i_fail(ctx, LODE_ENOMEM, "no memory for an item of a JSON list");
}

/* ---- reading ---- */

lode_json *lode_i_json_get(const lode_json *object, const char *key)
{
    return json_object_get(object, key);
}

lode_json *lode_i_json_at(const lode_json *array, int64_t i)
{
    return i >= 0 ? json_array_get(array, (size_t)i) : NULL;
}

int64_t lode_i_json_count(const lode_json *j)
{
    if (json_is_object(j))
        return (int64_t)json_object_size(j);
    return json_is_array(j) ? (int64_t)json_array_size(j) : -1;
}

const char *lode_i_json_next(const lode_json *object, const char *key, lode_json **value)
{
    json_t *o = (json_t *)object;
    if (!json_is_object(o))
        return NULL;
    void *at = key ? json_object_iter_next(o, json_object_key_to_iter(key)) : json_object_iter(o);
    if (!at)
        return NULL;
    if (value)
        *value = json_object_iter_value(at);
    return json_object_iter_key(at);
}

const char *lode_i_json_key(const lode_json *object, int64_t i, lode_json **value)
{
    if (i < 0)
        return NULL;
    const char *key = lode_i_json_next(object, NULL, value);
    for (int64_t k = 0; k < i && key; k++)
        key = lode_i_json_next(object, key, value);
    return key;
}

const char *lode_i_json_as_text(const lode_json *j)
{
    return json_string_value(j);
}

bool lode_i_json_as_i64(const lode_json *j, int64_t *v)
{
    if (!json_is_integer(j))
        return false;
    *v = json_integer_value(j);
    return true;
}

bool lode_i_json_as_f64(const lode_json *j, double *v)
{
    const char *text = json_string_value(j);
    if (json_is_number(j))
        *v = json_number_value(j);
    else if (text && strcmp(text, "nan") == 0)
        *v = NAN;
    else if (text && (strcmp(text, "inf") == 0 || strcmp(text, "-inf") == 0))
        *v = *text == '-' ? -INFINITY : INFINITY;
    else
        return false;
    return true;
}

bool lode_i_json_as_bool(const lode_json *j, bool *v)
{
    if (!json_is_boolean(j))
        return false;
    *v = json_is_true(j);
    return true;
}

/* ---- writing ---- */

static lode_status write_text(lode_ctx *ctx, lode_text *t, const char *text)
{
    LODE_FORWARD(lode_i_text_bytes(ctx, t, "\"", 1));
    for (const char *p = text; *p; p++) {
        const char *run = p;
        while ((unsigned char)*p >= 0x20 && *p != '"' && *p != '\\')
            p++;
        LODE_FORWARD(lode_i_text_bytes(ctx, t, run, (size_t)(p - run)));
        if (!*p)
            break;
        const char *from = "\"\\\n\t\r\b\f", *to = "\"\\ntrbf", *at = strchr(from, *p);
        LODE_FORWARD(at ? lode_i_text_add(ctx, t, "\\%c", to[at - from])
                        : lode_i_text_add(ctx, t, "\\u%04x", (unsigned)(unsigned char)*p));
    }
    return lode_i_text_bytes(ctx, t, "\"", 1);
}

/* A real keeps its kind: "1.0", not "1". */
static lode_status write_real(lode_ctx *ctx, lode_text *t, double value)
{
    char number[32];
    lode_i_print_f64(value, number);
    return lode_i_text_add(ctx, t, "%s%s", number, strpbrk(number, ".e") ? "" : ".0");
}

static lode_status new_line(lode_ctx *ctx, lode_text *t, int indent, int depth)
{
    return indent > 0 ? lode_i_text_add(ctx, t, "\n%*s", indent * depth, "") : LODE_OK;
}

static lode_status write_value(lode_ctx *ctx, lode_text *t, const json_t *j, int indent, int depth);

static lode_status write_members(lode_ctx *ctx, lode_text *t, const json_t *j, int indent,
                                 int depth)
{
    const bool object = json_is_object(j);
    const int64_t count = lode_i_json_count(j);
    const char *key = NULL;
    LODE_FORWARD(lode_i_text_bytes(ctx, t, object ? "{" : "[", 1));
    for (int64_t i = 0; i < count; i++) {
        json_t *value = lode_i_json_at(j, i);
        if (i > 0)
            LODE_FORWARD(lode_i_text_bytes(ctx, t, ",", 1));
        LODE_FORWARD(new_line(ctx, t, indent, depth + 1));
        if (object) {
            key = lode_i_json_next(j, key, &value);
            LODE_FORWARD(write_text(ctx, t, key));
            LODE_FORWARD(lode_i_text_add(ctx, t, indent > 0 ? ": " : ":"));
        }
        LODE_FORWARD(write_value(ctx, t, value, indent, depth + 1));
    }
    if (count > 0)
        LODE_FORWARD(new_line(ctx, t, indent, depth));
    return lode_i_text_bytes(ctx, t, object ? "}" : "]", 1);
}

static lode_status write_value(lode_ctx *ctx, lode_text *t, const json_t *j, int indent, int depth)
{
    if (depth > DEPTH)
        return lode_i_fail(ctx, LODE_EINTERNAL,
                           "JSON of more than %d levels would not be read back", DEPTH);
    if (json_is_object(j) || json_is_array(j))
        return write_members(ctx, t, j, indent, depth);
    if (json_is_string(j))
        return write_text(ctx, t, json_string_value(j));
    if (json_is_integer(j))
        return lode_i_text_add(ctx, t, "%" PRId64, (int64_t)json_integer_value(j));
    if (json_is_real(j))
        return write_real(ctx, t, json_real_value(j));
    return lode_i_text_add(ctx, t, "%s",
                           json_is_true(j)    ? "true"
                           : json_is_false(j) ? "false"
                                              : "null");
}

lode_status lode_i_json_print(lode_ctx *ctx, const lode_json *j, int indent, char **text)
{
    lode_text t = { 0 };
    const lode_status st = write_value(ctx, &t, j, indent, 0);
    if (st < 0) {
        lode_i_text_free(&t);
        return st;
    }
    *text = t.text;
    return LODE_OK;
}
