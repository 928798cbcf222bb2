/* Several files as one array with a new first axis: those whose names match a pattern, in the order
 * of their names, or those that a text file lists, one address a line. All have one type and shape.
 * They are opened when they are read, one at a time. */
#include "io/text.h"

#include <string.h>

typedef struct stack {
    int64_t count, room;
    char **spec; /* an address each */
    lode_read_opts o;
    char *format, *dtype;
    const char *list; /* the file that names them, while they are looked at; or NULL */
    int64_t open;     /* the one that is, or -1 */
    lode_source now;
} stack;

static void close_stack(void *data)
{
    stack *t = data;
    if (!t)
        return;
    lode_source_close(&t->now);
    for (int64_t i = 0; i < t->count; i++)
        lode_i_free(t->spec[i]);
    lode_i_free(t->spec);
    lode_i_free(t->format);
    lode_i_free(t->dtype);
    lode_i_free(t);
}

static lode_status add(lode_ctx *ctx, stack *t, const char *path, const char *rest)
{
    lode_status st = LODE_OK;
    lode_text text = { 0 };
    LODE_TRY(lode_i_text_add(ctx, &text, "%s%s", path, rest));
    if (t->count == t->room) {
        void *p = t->spec;
        LODE_TRY(lode_i_realloc(ctx, (size_t)(2 * t->room + 16) * sizeof *t->spec, &p));
        t->spec = p, t->room = 2 * t->room + 16;
    }
    LODE_TRY(lode_i_strdup(ctx, text.text, &t->spec[t->count]));
    t->count++;
done:
    lode_i_text_free(&text);
    return st;
}

static lode_status add_list(lode_ctx *ctx, stack *t, const char *path)
{
    lode_status st = LODE_OK;
    lode_infile *in = NULL;
    lode_i_lines l = { 0 };
    char *line = NULL;
    LODE_TRY(lode_i_infile_open(ctx, path, &in));
    LODE_TRY(lode_i_lines_open(ctx, in, &l));
    for (;;) {
        LODE_TRY(lode_i_lines_next(ctx, &l, &line));
        if (!line)
            break;
        line += strspn(line, " \t");
        size_t n = strlen(line);
        while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
            line[--n] = '\0';
        if (*line && *line != '#')
            LODE_TRY(add(ctx, t, line, ""));
    }
    LODE_REQUIRE(t->count > 0, LODE_EFORMAT, "%s lists no files", path);
done:
    lode_i_lines_close(&l);
    lode_i_infile_close(in);
    return st;
}

/* The longest beginning of the address that is a pattern with matches; what is behind it, a member and
 * a slice, goes with each of them. */
static lode_status add_matches(lode_ctx *ctx, stack *t, const char *spec)
{
    lode_status st = LODE_OK;
    char *text = NULL, **paths = NULL;
    int64_t count = 0;
    const size_t size = strlen(spec);
    const char *slice = size && spec[size - 1] == ']' ? strrchr(spec, '[') : NULL;
    LODE_TRY(lode_i_strdup(ctx, spec, &text));
    for (size_t end = size; count == 0 && end > 0; end--) {
        if (end < size && spec[end] != ':' && spec + end != slice)
            continue;
        text[end] = '\0';
        if (!strpbrk(text, "*?"))
            break;
        LODE_TRY(lode_i_path_match(ctx, text, &paths, &count));
        for (int64_t i = 0; i < count; i++)
            LODE_TRY(add(ctx, t, paths[i], spec + end));
        lode_i_free(paths);
        paths = NULL;
    }
    LODE_REQUIRE(t->count > 0, LODE_ENOENT, "no file matches %s", spec);
done:
    lode_i_free(paths);
    lode_i_free(text);
    return st;
}

static lode_status read_stack(lode_ctx *ctx, const lode_source *s, const int64_t *start,
                              const int64_t *count, void *dst)
{
    stack *t = s->data;
    size_t bytes = lode_dtype_size(s->dtype);
    for (int k = 1; k < s->ndim; k++)
        bytes *= (size_t)(k == s->ndim - 1 ? count[k] / lode_dtype_block(s->dtype) : count[k]);
    for (int64_t i = 0; i < count[0] && bytes > 0; i++) {
        const int64_t which = start[0] + i;
        if (t->open != which) {
            lode_source_close(&t->now);
            t->open = -1;
            LODE_FORWARD(lode_i_address_source(ctx, t->spec[which], &t->o, &t->now));
            t->open = which;
        }
        bool same = t->now.dtype == s->dtype && t->now.ndim == s->ndim - 1;
        for (int k = 1; k < s->ndim && same; k++)
            same = t->now.shape[k - 1] == s->shape[k];
        if (!same)
            return lode_i_fail(ctx, LODE_EIO, "%s has changed since it was looked at",
                               t->spec[which]);
        LODE_FORWARD(lode_i_cancelled(ctx));
        LODE_FORWARD(
            t->now.read(ctx, &t->now, start + 1, count + 1, (char *)dst + (size_t)i * bytes));
    }
    return LODE_OK;
}

/* Type and shape of all, which the first one gives. */
static lode_status check_forms(lode_ctx *ctx, const stack *t, lode_source *s)
{
    for (int64_t i = 0; i < t->count; i++) {
        lode_dtype dtype = LODE_F32;
        int ndim = 0;
        int64_t shape[LODE_MAX_NDIM];
        char have[200], want[200];
        LODE_FORWARD(lode_i_tick(ctx, i, t->count));
        const lode_status st = lode_i_address_form(ctx, t->spec[i], &t->o, &dtype, &ndim, shape);
        if (st < 0 && t->list)
            lode_i_prefix(ctx, "%s, file %" PRId64 " of it: ", t->list, i + 1);
        LODE_FORWARD(st);
        if (i == 0) {
            if (ndim == LODE_MAX_NDIM)
                return lode_i_fail(ctx, LODE_ESHAPE, "%s has %d axes, and no room for another",
                                   t->spec[0], ndim);
            s->dtype = dtype, s->ndim = ndim + 1, s->shape[0] = t->count;
            memcpy(s->shape + 1, shape, (size_t)ndim * sizeof *shape);
        }
        if (dtype != s->dtype || ndim != s->ndim - 1 ||
            memcmp(s->shape + 1, shape, (size_t)ndim * sizeof *shape) != 0) {
            lode_i_print_shape(ndim, shape, have, sizeof have);
            lode_i_print_shape(s->ndim - 1, s->shape + 1, want, sizeof want);
            return lode_i_fail(
                ctx, LODE_ESHAPE,
                "%s is %s %s, and %s is %s %s: only arrays of one type and shape are "
                "stacked",
                t->spec[i], have, lode_dtype_name(dtype), t->spec[0], want,
                lode_dtype_name(s->dtype));
        }
    }
    if (s->ndim == 1 && lode_dtype_block(s->dtype) > 1)
        return lode_i_fail(ctx, LODE_ESHAPE, "packed values are not stacked one by one");
    return LODE_OK;
}

/* Options are borrowed for the call, and the source lives on. */
static lode_status keep_options(lode_ctx *ctx, stack *t, const lode_read_opts *o)
{
    if (o)
        t->o = *o;
    if (t->o.format)
        LODE_FORWARD(lode_i_strdup(ctx, t->o.format, &t->format));
    if (t->o.dtype)
        LODE_FORWARD(lode_i_strdup(ctx, t->o.dtype, &t->dtype));
    t->o.format = t->format, t->o.dtype = t->dtype;
    return LODE_OK;
}

lode_status lode_i_stack_open(lode_ctx *ctx, const char *spec, const lode_read_opts *o, bool *is,
                              lode_source *out)
{
    lode_status st = LODE_OK;
    stack *t = NULL;
    lode_source s = { .rewindable = true, .read = read_stack, .close = close_stack };
    char *path = NULL, *slice = NULL;
    const bool list = spec[0] == '@' && spec[1];
    *is = (list || strpbrk(spec, "*?")) && !lode_i_path_exists(spec);
    if (!*is)
        return LODE_OK;
    LODE_TRY(lode_i_calloc(ctx, sizeof *t, (void **)&t));
    t->open = -1;
    LODE_TRY(keep_options(ctx, t, o));
    if (list) {
        LODE_TRY(lode_i_strdup(ctx, spec + 1, &path));
        const size_t n = strlen(path);
        slice = !lode_i_path_exists(path) && path[n - 1] == ']' ? strrchr(path, '[') : NULL;
        if (slice)
            *slice++ = '\0';
        LODE_TRY(add_list(ctx, t, path));
    } else {
        LODE_TRY(add_matches(ctx, t, spec));
    }
    t->list = path;
    LODE_TRY(check_forms(ctx, t, &s));
    t->list = NULL;
    s.data = t;
    t = NULL;
    *out = s;
    if (slice) {
        st = lode_i_slice_source(ctx, slice, strlen(slice) - 1, out);
        if (st < 0)
            lode_source_close(out);
    }
done:
    close_stack(t);
    lode_i_free(path);
    return st;
}
