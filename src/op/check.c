/* Checking a call against its table: options in range, inputs of the right kind, type and shape. */
#include <stdlib.h>
#include <string.h>

#include "op/call.h"

/* ---- symbols of shapes ---- */

int64_t lode_call_size(const lode_call *c, const char *symbol)
{
    for (int32_t i = 0; i < c->symbols; i++)
        if (strcmp(c->symbol[i], symbol) == 0)
            return c->size[i];
    return -1;
}

static void bind(lode_call *c, const char *symbol, int64_t size)
{
    if (c->symbols == LODE_MAX_SYMBOLS)
        return; /* the registry's test keeps tables below this */
    snprintf(c->symbol[c->symbols], sizeof c->symbol[0], "%s", symbol);
    c->size[c->symbols++] = size;
}

/* Matches one axis: a number must equal it, a new symbol binds to it. */
static bool match_axis(lode_call *c, const char *symbol, int64_t size, int64_t *wanted)
{
    if (lode_i_parse_i64(symbol, wanted))
        return *wanted == size;
    *wanted = lode_call_size(c, symbol);
    if (*wanted < 0) {
        bind(c, symbol, size);
        return true;
    }
    return *wanted == size;
}

/* One of the shapes that a port takes. */
static lode_status match_one(lode_ctx *ctx, lode_call *c, const char *wants, const char *name,
                             int ndim, const int64_t *shape)
{
    char text[256];
    lode_i_print_shape(ndim, shape, text, sizeof text);
    int axis = 0;
    for (const char *p = wants; *p;) {
        char symbol[16] = { 0 };
        const size_t n = strcspn(p, ",");
        memcpy(symbol, p, n < sizeof symbol ? n : sizeof symbol - 1);
        p += n + (p[n] == ',');
        if (strcmp(symbol, "...") == 0)
            return LODE_OK;
        int64_t wanted = 0;
        if (axis == ndim)
            return lode_i_fail(ctx, LODE_ESHAPE, "%s: %s is %s (%d axes); its shape must be (%s)",
                               c->op->name, name, text, ndim, wants);
        if (!match_axis(c, symbol, shape[axis], &wanted))
            return lode_i_fail(ctx, LODE_ESHAPE,
                               "%s: %s is %s; axis %d must have %s = %" PRId64 " values",
                               c->op->name, name, text, axis, symbol, wanted);
        axis++;
    }
    if (axis != ndim)
        return lode_i_fail(ctx, LODE_ESHAPE, "%s: %s is %s (%d axes); its shape must be (%s)",
                           c->op->name, name, text, ndim, wants);
    return LODE_OK;
}

lode_status lode_i_match_shape(lode_ctx *ctx, lode_call *c, const lode_port *port, const char *name,
                               int ndim, const int64_t *shape)
{
    if (!port->shape)
        return LODE_OK;
    if (!strchr(port->shape, '|'))
        return match_one(ctx, c, port->shape, name, ndim, shape);
    for (const char *p = port->shape; *p;) { /* the first that fits binds its symbols */
        char wants[64] = { 0 };
        const int32_t bound = c->symbols;
        const size_t n = strcspn(p, "|");
        memcpy(wants, p, n < sizeof wants ? n : sizeof wants - 1);
        p += n + (p[n] == '|');
        if (match_one(ctx, c, wants, name, ndim, shape) >= 0)
            return LODE_OK;
        c->symbols = bound;
    }
    char text[256];
    lode_i_print_shape(ndim, shape, text, sizeof text);
    return lode_i_fail(ctx, LODE_ESHAPE, "%s: %s is %s; its shape must be one of %s", c->op->name,
                       name, text, port->shape);
}

/* ---- kinds and types ---- */

uint32_t lode_i_port_kinds(const lode_port *port, bool input)
{
    if (port->kinds)
        return port->kinds;
    return input ? LODE_DENSE : LODE_KIND_BIT(LODE_ARRAY);
}

uint32_t lode_i_port_types(const lode_port *port)
{
    return port->types ? port->types : LODE_NUMBERS;
}

static lode_status print_kinds(lode_ctx *ctx, uint32_t kinds, lode_text *t)
{
    const char *comma = "";
    for (int k = LODE_ARRAY; k <= LODE_SCALAR; k++)
        if (kinds & LODE_KIND_BIT(k)) {
            LODE_FORWARD(lode_i_text_add(ctx, t, "%s%s", comma, lode_kind_name((lode_kind)k)));
            comma = " or ";
        }
    return LODE_OK;
}

static lode_status fail_kind(lode_ctx *ctx, const lode_call *c, const char *name, lode_kind kind,
                             uint32_t kinds)
{
    lode_text t = { 0 };
    lode_status st = print_kinds(ctx, kinds, &t);
    if (st >= 0)
        st = lode_i_fail(ctx, LODE_ETYPE, "%s: %s is a %s; it must be %s", c->op->name, name,
                         lode_kind_name(kind), t.text);
    lode_i_text_free(&t);
    return st;
}

/* Sizes of every part, before anything is read through the strides. */
static lode_status check_array(lode_ctx *ctx, const lode_call *c, const char *name,
                               const lode_array *a)
{
    if (!a->data)
        return lode_i_fail(ctx, LODE_EUSAGE, "%s: %s is an empty handle; give it an array",
                           c->op->name, name);
    if (a->ndim < 0 || a->ndim > LODE_MAX_NDIM || (unsigned)a->dtype >= LODE_DTYPE_COUNT)
        return lode_i_fail(ctx, LODE_ETYPE, "%s: %s is not a valid array (type %d, %d axes)",
                           c->op->name, name, (int)a->dtype, a->ndim);
    int64_t size = 1;
    for (int i = 0; i < a->ndim; i++)
        if (a->shape[i] < 0 || !lode_i_mul(size, lode_i_max(a->shape[i], 1), &size))
            return lode_i_fail(ctx, LODE_ESHAPE, "%s: axis %d of %s has %" PRId64 " values",
                               c->op->name, i, name, a->shape[i]);
    return LODE_OK;
}

static lode_status check_value(lode_ctx *ctx, lode_call *c, const lode_port *port, const char *name,
                               lode_value v)
{
    uint32_t kinds = lode_i_port_kinds(port, true);
    if (kinds & LODE_KIND_BIT(LODE_ARRAY))
        kinds |= LODE_KIND_BIT(LODE_SOURCE); /* read in where the op wants arrays */
    if (!(kinds & LODE_KIND_BIT(v.kind)))
        return fail_kind(ctx, c, name, v.kind, lode_i_port_kinds(port, true));
    if (v.kind == LODE_ARRAY)
        LODE_FORWARD(check_array(ctx, c, name, v.as.array));
    lode_dtype dtype = LODE_F64;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM];
    if (!lode_i_value_shape(v, &dtype, &ndim, shape))
        return LODE_OK;
    if (!(lode_i_port_types(port) & (UINT32_C(1) << dtype)))
        return lode_i_fail(ctx, LODE_ETYPE,
                           "%s: %s has type %s, which is not accepted here; convert it first",
                           c->op->name, name, lode_dtype_name(dtype));
    return lode_i_match_shape(ctx, c, port, name, ndim, shape);
}

static lode_status check_port(lode_ctx *ctx, lode_call *c, const lode_port *port, lode_value v)
{
    if (v.kind == LODE_NONE)
        return port->optional ? LODE_OK
                              : lode_i_fail(ctx, LODE_EUSAGE, "%s: input %s is missing: %s",
                                            c->op->name, port->name, port->help);
    if (!port->repeated)
        return check_value(ctx, c, port, port->name, v);
    if (v.kind != LODE_BUNDLE)
        return lode_i_fail(ctx, LODE_ETYPE,
                           "%s: input %s takes several values; give them as a bundle", c->op->name,
                           port->name);
    for (int64_t i = 0; i < v.as.bundle->count; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s.%" PRId64, port->name, i);
        LODE_FORWARD(check_value(ctx, c, port, name, lode_bundle_value(v.as.bundle, i)));
    }
    return LODE_OK;
}

lode_status lode_i_check_call(lode_ctx *ctx, lode_call *c)
{
    const lode_op *op = c->op;
    c->symbols = 0;
    for (const lode_param *p = op->params; p->name; p++)
        LODE_FORWARD(lode_i_param_check(ctx, op, p, c->opts));
    int n = 0;
    for (const lode_port *port = op->in; port->name; port++, n++)
        LODE_FORWARD(check_port(ctx, c, port, c->in[n]));
    /* A whole number, or one rank, binds the symbol of its name in the outputs. */
    for (const lode_param *p = op->params; p->name; p++) {
        const void *at = (const char *)c->opts + p->offset;
        if (lode_call_size(c, p->name) >= 0)
            continue;
        if (p->kind == LODE_P_I64)
            bind(c, p->name, *(const int64_t *)at);
        else if (p->kind == LODE_P_RANK && ((const lode_rank_spec *)at)->count == 1)
            bind(c, p->name, ((const lode_rank_spec *)at)->value[0]);
    }
    return LODE_OK;
}

/* What the op gave must be what its table says: a bug of ours otherwise. */
lode_status lode_i_check_result(lode_ctx *ctx, lode_call *c, const lode_bundle *b)
{
    for (const lode_port *port = c->op->out; port->name; port++) {
        const size_t n = strlen(port->name);
        const bool several = n > 1 && strcmp(port->name + n - 2, ".*") == 0;
        bool found = false;
        for (int64_t i = 0; i < b->count; i++) {
            const char *name = lode_bundle_name(b, i);
            if (several ? strncmp(name, port->name, n - 1) != 0 : strcmp(name, port->name) != 0)
                continue;
            found = true;
            const lode_value v = lode_bundle_value(b, i);
            if (!(lode_i_port_kinds(port, false) & LODE_KIND_BIT(v.kind)))
                return lode_i_fail(ctx, LODE_EINTERNAL, "%s: output %s is a %s, against its table",
                                   c->op->name, name, lode_kind_name(v.kind));
            lode_dtype dtype;
            int ndim;
            int64_t shape[LODE_MAX_NDIM];
            if (!lode_i_value_shape(v, &dtype, &ndim, shape))
                continue;
            if (port->types && !(port->types & (UINT32_C(1) << dtype)))
                return lode_i_fail(ctx, LODE_EINTERNAL,
                                   "%s: output %s has type %s, against its table", c->op->name,
                                   name, lode_dtype_name(dtype));
            const int32_t bound = c->symbols;
            const lode_status fits = lode_i_match_shape(ctx, c, port, name, ndim, shape);
            if (several)
                c->symbols = bound; /* each item has its own sizes */
            if (fits < 0)
                return lode_i_fail(ctx, LODE_EINTERNAL,
                                   "%s: output %s has another shape than its table says (%s)",
                                   c->op->name, name, port->shape);
        }
        if (!found && !port->optional && !several)
            return lode_i_fail(ctx, LODE_EINTERNAL, "%s: output %s is missing", c->op->name,
                               port->name);
    }
    return LODE_OK;
}

/* ---- what several ops ask for ---- */

lode_status lode_i_refuse_infinities(lode_ctx *ctx, const char *op, const lode_missing *missing,
                                     const char *noun)
{
    return missing->kind == LODE_MISSING_INF
               ? lode_i_fail(ctx, LODE_EPARAM,
                             "%s: option missing is inf, but no %s explains an infinity; give nan, "
                             "none or a value",
                             op, noun)
               : LODE_OK;
}

lode_status lode_i_check_tensor(lode_ctx *ctx, const char *op, int ndim, const int64_t *shape,
                                int most)
{
    if (ndim < 2 || ndim > most)
        return lode_i_fail(ctx, LODE_ESHAPE, "%s: X has %d modes; it takes 2 to %d", op, ndim,
                           most);
    for (int m = 0; m < ndim; m++)
        if (shape[m] == 0)
            return lode_i_fail(ctx, LODE_ESHAPE, "%s: mode %d of X is empty", op, m);
    return LODE_OK;
}
