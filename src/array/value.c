/* Borrowed values, and what is proved about a result. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "array/array.h"

lode_value lode_none(void)
{
    return (lode_value){ .kind = LODE_NONE };
}

lode_value lode_from_array(const lode_array *a)
{
    return (lode_value){ .kind = LODE_ARRAY, .as.array = a };
}

lode_value lode_from_sparse(const lode_sparse *s)
{
    return (lode_value){ .kind = LODE_SPARSE, .as.sparse = s };
}

lode_value lode_from_source(const lode_source *s)
{
    return (lode_value){ .kind = LODE_SOURCE, .as.source = s };
}

lode_value lode_from_linop(const struct lode_linop *l)
{
    return (lode_value){ .kind = LODE_LINOP, .as.linop = l };
}

lode_value lode_from_callback(const lode_callback *c)
{
    return (lode_value){ .kind = LODE_CALLBACK, .as.callback = c };
}

lode_value lode_from_bundle(const struct lode_bundle *b)
{
    return (lode_value){ .kind = LODE_BUNDLE, .as.bundle = b };
}

lode_value lode_from_text(const char *text)
{
    return (lode_value){ .kind = LODE_TEXT, .as.text = text };
}

lode_value lode_from_scalar(const lode_scalar *s)
{
    return (lode_value){ .kind = LODE_SCALAR, .as.scalar = s };
}

static const char *pick(const char *const *names, size_t count, unsigned i)
{
    return i < count ? names[i] : "unknown";
}
#define PICK(names, i) pick(names, sizeof(names) / sizeof *(names), (unsigned)(i))

const char *lode_kind_name(lode_kind kind)
{
    static const char *const names[] = {
        [LODE_NONE] = "nothing",          [LODE_ARRAY] = "array",
        [LODE_SPARSE] = "sparse array",   [LODE_SOURCE] = "source",
        [LODE_LINOP] = "linear operator", [LODE_CALLBACK] = "callback",
        [LODE_BUNDLE] = "bundle",         [LODE_TEXT] = "text",
        [LODE_SCALAR] = "scalar"
    };
    return PICK(names, kind);
}

const char *lode_cert_kind_name(lode_cert_kind kind)
{
    static const char *const names[] = { [LODE_CERT_NONE] = "none",
                                         [LODE_CERT_MEASURED] = "measured",
                                         [LODE_CERT_BOUND] = "bound",
                                         [LODE_CERT_PROBABILISTIC] = "probabilistic",
                                         [LODE_CERT_GAP] = "gap",
                                         [LODE_CERT_HELDOUT] = "held-out",
                                         [LODE_CERT_INVARIANCE] = "invariance" };
    return PICK(names, kind);
}

const char *lode_norm_name(lode_norm norm)
{
    static const char *const names[] = { [LODE_NORM_FRO] = "Frobenius",
                                         [LODE_NORM_SPECTRAL] = "spectral",
                                         [LODE_NORM_MAX] = "maximum" };
    return PICK(names, norm);
}

void lode_certificate_print(const lode_certificate *c, char *text, size_t size)
{
    char measure[64], how[128], asked[48] = "", note[sizeof c->note + 3] = "";
    if (c->kind == LODE_CERT_NONE) {
        (void)snprintf(text, size, "no certificate%s%s", *c->note ? ": " : "", c->note);
        return;
    }
    (void)snprintf(measure, sizeof measure, "%s%s error", c->relative ? "relative " : "",
                   lode_norm_name(c->norm));
    switch (c->kind) {
    case LODE_CERT_PROBABILISTIC:
        (void)snprintf(how, sizeof how, "holds but with probability %.1e", c->failure);
        break;
    case LODE_CERT_HELDOUT:
        (void)snprintf(how, sizeof how, "held-out, interval %.1e to %.1e", c->low, c->high);
        break;
    case LODE_CERT_GAP: (void)snprintf(how, sizeof how, "duality gap or residual"); break;
    case LODE_CERT_INVARIANCE: (void)snprintf(how, sizeof how, "must hold exactly"); break;
    default: (void)snprintf(how, sizeof how, "%s", lode_cert_kind_name(c->kind));
    }
    if (!isnan(c->asked)) {
        char number[32];
        double back = 0;
        for (int digits = 0; digits < 17; digits++) { /* as many as it was given with, but for a
                                                       * bit that a square and its root may turn */
            (void)snprintf(number, sizeof number, "%.*e", digits, c->asked);
            if (lode_i_parse_f64(number, &back) &&
                fabs(back - c->asked) <= 2 * DBL_EPSILON * fabs(c->asked))
                break;
        }
        (void)snprintf(asked, sizeof asked, "; asked %s", number);
    }
    if (*c->note)
        (void)snprintf(note, sizeof note, "; %s", c->note);
    (void)snprintf(text, size, "%s %s%.1e (%s%s%s)", measure,
                   c->kind == LODE_CERT_MEASURED ? "" : "<= ", c->value, how, asked, note);
}

/* What every linear operator begins with (src/linop), so that its size can be told without knowing
 * more. */
static lode_linop_head head_of(const struct lode_linop *op)
{
    lode_linop_head head;
    memcpy(&head, op, sizeof head);
    return head;
}

bool lode_i_value_shape(lode_value v, lode_dtype *dtype, int *ndim, int64_t *shape)
{
    lode_linop_head head;
    const int64_t *from = NULL;
    switch (v.kind) {
    case LODE_ARRAY:
        *dtype = v.as.array->dtype, *ndim = v.as.array->ndim, from = v.as.array->shape;
        break;
    case LODE_SPARSE:
        *dtype = v.as.sparse->values.dtype, *ndim = v.as.sparse->ndim, from = v.as.sparse->shape;
        break;
    case LODE_SOURCE:
        *dtype = v.as.source->dtype, *ndim = v.as.source->ndim, from = v.as.source->shape;
        break;
    case LODE_LINOP:
        head = head_of(v.as.linop);
        *dtype = head.dtype, *ndim = 2, shape[0] = head.rows, shape[1] = head.cols;
        return true;
    case LODE_CALLBACK:
        *dtype = v.as.callback->dtype, *ndim = 2;
        shape[0] = v.as.callback->rows, shape[1] = v.as.callback->cols;
        return true;
    default: return false;
    }
    memcpy(shape, from, (size_t)*ndim * sizeof *shape);
    return true;
}

lode_status lode_i_callback_multiply(lode_ctx *ctx, const lode_callback *c, bool adjoint,
                                     const lode_array *X, lode_array *Y)
{
    const int64_t k = X->shape[1];
    const int code = c->fn(c->data, adjoint, k, lode_i_at(X, 0), k, lode_i_at(Y, 0), k);
    const char *product = adjoint ? "A^H x" : "A x";
    if (code > 0)
        return lode_i_fail(ctx, LODE_ECANCEL,
                           "the callback asked to stop (it returned %d) in a product %s", code,
                           product);
    if (code < 0)
        return lode_i_fail(ctx, (lode_status)code,
                           "the callback failed with status %d in a product %s", code, product);
    return LODE_OK;
}
