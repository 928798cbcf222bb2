/* Random calls from descriptors. */
#include <math.h>
#include <string.h>

#include "fixture.h"
#include "sample.h"

static uint64_t draw(uint64_t *state)
{
    lode_ctx key = { .seed = 20 };
    return lode_i_random_u64(lode_i_stream(&key, "sample", 0), (*state)++);
}

static int64_t between(uint64_t *state, int64_t lo, int64_t hi)
{
    return lo + (int64_t)(draw(state) % (uint64_t)(hi - lo + 1));
}

static const lode_port *dense_port(const lode_op *op)
{
    for (const lode_port *p = op->in; p->name; p++)
        if (!p->kinds || (p->kinds & LODE_DENSE))
            return p;
    return NULL;
}

static uint32_t types_of(const lode_port *p)
{
    return p->types ? p->types : LODE_NUMBERS;
}

bool sample_takes(const lode_op *op, lode_dtype dtype)
{
    const lode_port *p = dense_port(op);
    return !p || (types_of(p) & (UINT32_C(1) << dtype));
}

/* ---- sizes ---- */

static int64_t axis_size(const sample_spec *spec, uint64_t *state, int axis, bool last)
{
    const bool packed = lode_dtype_block(spec->dtype) > 1 && last;
    int64_t n = between(state, 21, 34);
    if (spec->shape == SAMPLE_EMPTY && axis == 0)
        n = 0;
    else if (spec->shape == SAMPLE_ONE)
        n = 1;
    else if (spec->shape == SAMPLE_TALL)
        n = axis == 0 ? 150 : 21;
    else if (spec->shape == SAMPLE_WIDE)
        n = axis == 0 ? 21 : 150;
    else if (spec->shape == SAMPLE_SMALL)
        n = between(state, 1, 7);
    return packed ? 32 * ((n + 31) / 32) : n;
}

typedef struct symbols {
    int count;
    char name[LODE_MAX_SYMBOLS][16];
    int64_t size[LODE_MAX_SYMBOLS];
} symbols;

static int port_shape(const lode_port *p, const sample_spec *spec, symbols *known, uint64_t *state,
                      int64_t *shape)
{
    static const char any[] = "...";
    int ndim = 0;
    for (const char *c = p->shape ? p->shape : any; *c && *c != '|';) { /* the first shape */
        char symbol[16] = { 0 };
        const size_t n = strcspn(c, ",|");
        memcpy(symbol, c, n < 15 ? n : 15);
        c += n + (c[n] == ',');
        const int axes = strcmp(symbol, any) == 0 ? (ndim < 2 ? 3 - ndim : 1) : 1;
        for (int k = 0; k < axes; k++) {
            int64_t size = -1;
            char name[24];
            snprintf(name, sizeof name, "%.8s%d", symbol, axes > 1 ? ndim : 0);
            if (axes == 1 && lode_i_parse_i64(symbol, &size)) {
                shape[ndim++] = size;
                continue;
            }
            for (int i = 0; i < known->count; i++)
                if (strcmp(known->name[i], name) == 0)
                    size = known->size[i];
            if (size < 0) {
                size = axis_size(spec, state, ndim, axes == 1 ? !*c || *c == '|' : k == axes - 1);
                snprintf(known->name[known->count], 16, "%.15s", name);
                known->size[known->count++] = size;
            }
            shape[ndim++] = size;
        }
    }
    return ndim;
}

/* ---- values ---- */

enum { VALUES_PLAIN, VALUES_ODD = 7 }; /* kinds; those between are odd */

/* Zeros, one value, huge and tiny ones, gaps, infinities, one spike. */
static double odd(int kind, double x, int64_t i, int64_t at, bool narrow)
{
    switch (kind) {
    case 1: return 0;
    case 2: return 3;
    case 3: return x * (narrow ? 1e36 : 1e300);
    case 4: return x * (narrow ? 1e-38 : 1e-308);
    case 5: return i == at ? NAN : x;
    case 6: return i == at ? -INFINITY : x;
    default: return i == at ? 1e6 : 0;
    }
}

/* Own adjoint, from the upper half; definite: a diagonal that outweighs its neighbours, which alone are
 * left beside it. */
static void mirror(lode_dtype dtype, bool definite, int64_t n, double *x)
{
    const bool complex_type = lode_dtype_class(dtype) == 'c';
    const int64_t parts = complex_type ? 2 : 1;
    const double most = dtype == LODE_BOOL ? 1 : 20; /* a bool leaves the diagonal */
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i; j < n; j++) {
            double *a = x + (i * n + j) * parts, *b = x + (j * n + i) * parts;
            if (complex_type && i == j)
                a[1] = 0;
            if (definite && i == j && isfinite(a[0]))
                a[0] = 64;
            for (int64_t k = 0; definite && i != j && k < parts; k++)
                a[k] = j == i + 1 ? fmod(a[k], most) : 0;
            b[0] = a[0];
            if (complex_type && i != j)
                b[1] = -a[1];
        }
}

/* Values of a low-rank-like field with noise, of moderate size so that small integers hold them. */
static lode_status fill(lode_ctx *ctx, uint64_t seed, int kind, lode_dtype dtype,
                        const lode_port *p, int ndim, const int64_t *shape, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array wide = { 0 };
    lode_ctx key = { .seed = seed };
    const lode_stream s = lode_i_stream(&key, "values", 0);
    const bool complex_type = lode_dtype_class(dtype) == 'c';
    LODE_TRY(lode_array_new(ctx, complex_type ? LODE_C128 : LODE_F64, ndim, shape, &wide));
    const int64_t n = lode_array_size(&wide);
    double *x = wide.data;
    for (int64_t i = 0; i < n * (complex_type ? 2 : 1); i++) {
        const int64_t at = complex_type ? i / 2 : i;
        const int64_t last = ndim > 0 && shape[ndim - 1] > 0 ? shape[ndim - 1] : 1;
        const double smooth = (double)(at / last % 7) * (double)(at % last % 5) - 4;
        x[i] = dtype == LODE_BOOL ? (double)(lode_i_random_u64(s, (uint64_t)i) & 1)
                                  : smooth + lode_i_random_normal(s, (uint64_t)i);
        if (lode_dtype_class(dtype) == 'u' || p->nonneg)
            x[i] = x[i] < 0 ? -x[i] : x[i];
        if (kind != VALUES_PLAIN && dtype >= LODE_F32 && dtype <= LODE_C128)
            x[i] = odd(kind, x[i], i, (int64_t)(seed % (uint64_t)n),
                       dtype == LODE_F32 || dtype == LODE_C64);
    }
    if (p->hermitian && ndim == 2 && shape[0] == shape[1])
        mirror(dtype, p->definite, shape[0], x);
    LODE_TRY(lode_array_cast(ctx, &wide, dtype, out));
done:
    lode_array_free(&wide);
    return st;
}

/* The same values as a view with gaps on every axis and the first axis reversed. */
static lode_status scatter(lode_ctx *ctx, const lode_array *from, lode_array *base,
                           lode_array *view)
{
    int64_t shape[LODE_MAX_NDIM];
    for (int i = 0; i < from->ndim; i++)
        shape[i] = 2 * from->shape[i] + 1;
    const lode_status st = lode_array_zeros(ctx, from->dtype, from->ndim, shape, base);
    if (st < 0)
        return st;
    *view = *base;
    view->owner = NULL;
    int64_t offset = 0;
    for (int i = 0; i < from->ndim; i++) {
        view->shape[i] = from->shape[i];
        view->strides[i] = 2 * base->strides[i];
        offset += base->strides[i];
    }
    if (from->ndim > 0 && from->shape[0] > 0) {
        offset += (from->shape[0] - 1) * view->strides[0];
        view->strides[0] = -view->strides[0];
    }
    view->data = (char *)base->data + (size_t)offset * lode_dtype_size(from->dtype);
    return lode_array_copy_into(ctx, from, view);
}

static lode_status add_array(lode_ctx *ctx, const sample_spec *spec, const lode_port *p,
                             symbols *known, uint64_t *state, sample *s, lode_value *v)
{
    int64_t shape[LODE_MAX_NDIM];
    lode_dtype dtype = spec->dtype;
    for (int d = 0; !(types_of(p) & (UINT32_C(1) << dtype)) && d < LODE_DTYPE_COUNT; d++)
        dtype = (types_of(p) >> d) & 1 ? (lode_dtype)d : dtype;
    const int ndim = port_shape(p, spec, known, state, shape);
    const int at = s->arrays;
    lode_array *a = &s->array[at], *base = &s->base[at];
    const bool strange = spec->fuzz && draw(state) % 2;
    const int kind = strange ? 1 + (int)(draw(state) % VALUES_ODD) : VALUES_PLAIN;
    lode_status st = fill(ctx, spec->seed + (uint64_t)at, kind, dtype, p, ndim, shape, a);
    if (st < 0)
        return st;
    s->arrays++;
    if (spec->strided && lode_dtype_block(dtype) == 1) {
        lode_array view = { 0 };
        st = scatter(ctx, a, base, &view);
        if (st < 0)
            return st;
        lode_array_free(a);
        *a = view;
    }
    *v = lode_from_array(a);
    if (spec->source && (!p->kinds || (p->kinds & LODE_KIND_BIT(LODE_SOURCE)))) {
        st = lode_i_source_from_array(ctx, a, &s->source[at]);
        *v = lode_from_source(&s->source[at]);
    }
    return st;
}

/* ---- options and words from the example ---- */

typedef struct words {
    char text[512];
    int count;
    char *word[64];
} words;

static void split(const char *example, words *w)
{
    snprintf(w->text, sizeof w->text, "%s", example);
    w->count = 0;
    for (char *t = strtok(w->text, " "); t && w->count < 64; t = strtok(NULL, " "))
        w->word[w->count++] = t;
}

/* The word of the example that binds to the n-th plain port. */
static const char *example_word(const words *w, int n)
{
    for (int i = 2; i < w->count; i++) {
        if (w->word[i][0] == '-') {
            i++;
            continue;
        }
        if (n-- == 0)
            return w->word[i];
    }
    return "text";
}

static lode_status example_options(lode_ctx *ctx, const words *w, lode_call *call)
{
    for (int i = 2; i + 1 < w->count; i++)
        if (strncmp(w->word[i], "--", 2) == 0 && lode_i_param_find(call->op, w->word[i] + 2)) {
            const lode_status st = lode_call_set(ctx, call, w->word[i] + 2, w->word[i + 1]);
            if (st < 0)
                return st;
        }
    return LODE_OK;
}

static lode_status random_options(lode_ctx *ctx, uint64_t *state, lode_call *call)
{
    static const char *const texts[] = { "0",        "1",       "2",         "3",     "7",
                                         "-1",       "1e-3",    "0.5",       "1e-12", "auto",
                                         "none",     "nan",     "1e300",     "true",  "3,4,5",
                                         "1e-2:max", "20:psnr", "params=99", "4K",    "all",
                                         "1e-1:fro", "100",     "0,1",       "bits=2" };
    for (const lode_param *p = call->op->params; p->name; p++) {
        char choice[64];
        const char *text = texts[draw(state) % (sizeof texts / sizeof *texts)];
        if (draw(state) % 3 == 0 || p->kind == LODE_P_ARRAY)
            continue;
        if (p->kind == LODE_P_ENUM && draw(state) % 8) {
            const char *c = p->choices;
            for (uint64_t k = draw(state) % 6; k > 0 && strchr(c, '|'); k--)
                c = strchr(c, '|') + 1;
            snprintf(choice, sizeof choice, "%.*s", (int)strcspn(c, "|"), c);
            text = choice;
        }
        const lode_status st = lode_call_set(ctx, call, p->name, text);
        if (st < 0 && lode_status_exit(st) != 2)
            return st; /* refused values leave the option as it was */
    }
    return LODE_OK;
}

lode_status sample_make(lode_ctx *ctx, const lode_op *op, const sample_spec *spec, sample *s)
{
    words w;
    symbols known = { 0 };
    uint64_t state = 1000003 * spec->seed;
    memset(s, 0, sizeof *s);
    split(op->example, &w);
    lode_status st = lode_call_init(ctx, op, &s->call);
    if (st >= 0)
        st = spec->fuzz ? random_options(ctx, &state, &s->call)
                        : example_options(ctx, &w, &s->call);
    int plain = 0;
    for (int n = 0; st >= 0 && op->in[n].name; n++) {
        const lode_port *p = &op->in[n];
        const bool dense = !p->kinds || (p->kinds & LODE_DENSE);
        if (p->optional &&
            !(spec->fuzz && draw(&state) % 2)) /* what it must be, only the op knows */
            continue;
        for (int k = p->repeated ? 2 : 1; st >= 0 && k > 0; k--) {
            lode_value v = lode_none();
            if (dense) {
                st = add_array(ctx, spec, p, &known, &state, s, &v);
            } else if (p->kinds & LODE_KIND_BIT(LODE_TEXT)) {
                snprintf(s->text[n], sizeof s->text[n], "%s", example_word(&w, plain));
                v = lode_from_text(s->text[n]);
            }
            if (st >= 0 && v.kind != LODE_NONE)
                st = lode_call_input(ctx, &s->call, p->name, v);
        }
        plain += !p->optional && !p->repeated;
    }
    if (st < 0)
        sample_free(s);
    return st;
}

void sample_free(sample *s)
{
    lode_call_free(&s->call);
    for (int i = 0; i < s->arrays; i++) {
        lode_source_close(&s->source[i]);
        lode_array_free(&s->array[i]);
        lode_array_free(&s->base[i]);
    }
    s->arrays = 0;
}

const lode_array *sample_input(const sample *s)
{
    return s->arrays > 0 ? &s->array[0] : NULL;
}

/* ---- comparing results ---- */

static bool same_array(const lode_array *a, const lode_array *b)
{
    if (a->dtype != b->dtype || a->ndim != b->ndim)
        return false;
    for (int i = 0; i < a->ndim; i++)
        if (a->shape[i] != b->shape[i])
            return false;
    if (!lode_array_is_contiguous(a) || !lode_array_is_contiguous(b))
        return false; /* outputs are */
    return memcmp(a->data, b->data, lode_array_bytes(a)) == 0;
}

static bool same_value(lode_value a, lode_value b)
{
    if (a.kind != b.kind)
        return false;
    switch (a.kind) {
    case LODE_ARRAY: return same_array(a.as.array, b.as.array);
    case LODE_SPARSE:
        return same_array(&a.as.sparse->indices, &b.as.sparse->indices) &&
               same_array(&a.as.sparse->values, &b.as.sparse->values);
    case LODE_TEXT: return strcmp(a.as.text, b.as.text) == 0;
    case LODE_SCALAR:
        return a.as.scalar->i == b.as.scalar->i &&
               memcmp(&a.as.scalar->re, &b.as.scalar->re, 8) == 0;
    default: return true;
    }
}

bool sample_same(const lode_bundle *a, const lode_bundle *b)
{
    if (a->count != b->count) {
        print_error("%" PRId64 " members and %" PRId64 "\n", a->count, b->count);
        return false;
    }
    for (int64_t i = 0; i < a->count; i++)
        if (strcmp(lode_bundle_name(a, i), lode_bundle_name(b, i)) != 0 ||
            !same_value(lode_bundle_value(a, i), lode_bundle_value(b, i))) {
            print_error("member %s differs\n", lode_bundle_name(a, i));
            return false;
        }
    return true;
}
