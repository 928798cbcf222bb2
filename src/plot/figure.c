/* The model: panels, their series and images, copied in as f64 so that a figure outlives its
 * data. */
#include "plot/figure.h"

#include <math.h>
#include <string.h>

lode_status lode_figure_new(lode_ctx *ctx, lode_figure **figure)
{
    return lode_i_calloc(ctx, sizeof **figure, (void **)figure);
}

static void series_free(lode_series *s)
{
    lode_i_free(s->label);
    lode_i_free(s->x);
    lode_i_free(s->y);
    lode_i_free(s->group);
    *s = (lode_series){ 0 };
}

static void image_free(lode_image *m)
{
    if (m)
        lode_i_free(m->v);
    lode_i_free(m);
}

static void panel_free(lode_panel *p)
{
    if (!p)
        return;
    for (int64_t i = 0; i < p->count; i++)
        series_free(&p->series[i]);
    lode_i_free(p->series);
    image_free(p->image);
    lode_i_free(p->title);
    lode_i_free(p->xlabel);
    lode_i_free(p->ylabel);
    lode_i_free(p);
}

void lode_i_figure_trim(lode_figure *f, int64_t count)
{
    while (f->count > count)
        panel_free(f->panels[--f->count]);
}

void lode_figure_free(lode_figure **figure)
{
    lode_figure *f = figure ? *figure : NULL;
    if (!f)
        return;
    lode_i_figure_trim(f, 0);
    lode_i_free(f->panels);
    lode_i_free(f->title);
    lode_i_free(f->caption);
    lode_i_free(f);
    *figure = NULL;
}

/* Room for one more of `size` bytes. */
static lode_status grow(lode_ctx *ctx, int64_t count, int64_t *capacity, size_t size, void **p)
{
    if (count < *capacity)
        return LODE_OK;
    const int64_t more = *capacity ? 2 * *capacity : 4;
    LODE_FORWARD(lode_i_realloc(ctx, (size_t)more * size, p));
    *capacity = more;
    return LODE_OK;
}

lode_status lode_figure_caption(lode_ctx *ctx, lode_figure *f, const char *title,
                                const char *caption)
{
    lode_status st = LODE_OK;
    char *t = NULL, *c = NULL;
    if (title && *title)
        LODE_TRY(lode_i_strdup(ctx, title, &t));
    if (caption && *caption)
        LODE_TRY(lode_i_strdup(ctx, caption, &c));
    lode_i_free(f->title);
    lode_i_free(f->caption);
    f->title = t, f->caption = c;
    return st;
done:
    lode_i_free(t);
    lode_i_free(c);
    return st;
}

lode_status lode_i_panel(lode_ctx *ctx, lode_figure *f, const char *title, const char *xlabel,
                         const char *ylabel, lode_panel **p)
{
    lode_status st = LODE_OK;
    lode_panel *made = NULL;
    LODE_TRY(lode_i_calloc(ctx, sizeof *made, (void **)&made));
    LODE_TRY(lode_i_strdup(ctx, title ? title : "", &made->title));
    LODE_TRY(lode_i_strdup(ctx, xlabel ? xlabel : "", &made->xlabel));
    LODE_TRY(lode_i_strdup(ctx, ylabel ? ylabel : "", &made->ylabel));
    LODE_TRY(grow(ctx, f->count, &f->capacity, sizeof *f->panels, (void **)&f->panels));
    f->panels[f->count++] = made;
    *p = made;
    return st;
done:
    panel_free(made);
    return st;
}

void lode_i_panel_log(lode_panel *p, bool x, bool y)
{
    p->logx = x, p->logy = y;
}

/* Values of a vector, of any real type and strides, in a buffer of our own. */
static lode_status copy_vector(lode_ctx *ctx, const lode_panel *p, const char *what,
                               const lode_array *a, double **v, int64_t *n)
{
    lode_status st = LODE_OK;
    double *copy = NULL;
    lode_array to = { 0 };
    int long_axes = 0;
    for (int i = 0; i < a->ndim; i++)
        long_axes += a->shape[i] != 1;
    char shape[128];
    lode_i_print_shape(a->ndim, a->shape, shape, sizeof shape);
    LODE_REQUIRE(long_axes <= 1, LODE_ESHAPE, "plot \"%s\": %s is %s; a series takes a vector",
                 p->title, what, shape);
    LODE_REQUIRE(
        !lode_i_is_complex(a->dtype), LODE_ETYPE,
        "plot \"%s\": %s is %s; a series takes real values, so plot the magnitude or the real part",
        p->title, what, lode_dtype_name(a->dtype));
    *n = a->data ? lode_array_size(a) : 0;
    LODE_TRY(LODE_NEW(ctx, lode_i_max(*n, 1), &copy));
    if (*n > 0) {
        to = lode_array_wrap(copy, LODE_F64, a->ndim, a->shape);
        LODE_TRY(lode_array_copy_into(ctx, a, &to));
    }
    *v = copy, copy = NULL;
done:
    lode_i_free(copy);
    return st;
}

static lode_status add_series(lode_ctx *ctx, lode_panel *p, lode_series_kind kind,
                              const char *label, const lode_array *x, const lode_array *y,
                              const lode_array *group)
{
    lode_status st = LODE_OK;
    lode_series s = { .kind = kind };
    int64_t n = 0;
    if (label)
        LODE_TRY(lode_i_strdup(ctx, label, &s.label));
    LODE_TRY(copy_vector(ctx, p, "y", y, &s.y, &s.n));
    if (x) {
        LODE_TRY(copy_vector(ctx, p, "x", x, &s.x, &n));
        LODE_REQUIRE(n == s.n, LODE_ESHAPE,
                     "plot \"%s\": x has %" PRId64 " values and y has %" PRId64, p->title, n, s.n);
    }
    if (group) {
        LODE_TRY(copy_vector(ctx, p, "group", group, &s.group, &n));
        LODE_REQUIRE(n == s.n, LODE_ESHAPE,
                     "plot \"%s\": group has %" PRId64 " values and y has %" PRId64, p->title, n,
                     s.n);
    }
    LODE_TRY(grow(ctx, p->count, &p->capacity, sizeof *p->series, (void **)&p->series));
    p->series[p->count++] = s;
    s = (lode_series){ 0 };
done:
    series_free(&s);
    return st;
}

lode_status lode_i_panel_line(lode_ctx *ctx, lode_panel *p, const char *label, const lode_array *x,
                              const lode_array *y)
{
    return add_series(ctx, p, LODE_SERIES_LINE, label, x, y, NULL);
}

lode_status lode_i_panel_points(lode_ctx *ctx, lode_panel *p, const char *label,
                                const lode_array *x, const lode_array *y, const lode_array *group)
{
    return add_series(ctx, p, LODE_SERIES_POINTS, label, x, y, group);
}

lode_status lode_i_panel_bars(lode_ctx *ctx, lode_panel *p, const char *label, const lode_array *y)
{
    return add_series(ctx, p, LODE_SERIES_BARS, label, NULL, y, NULL);
}

lode_status lode_i_panel_names(lode_ctx *ctx, lode_panel *p, int count, const char *const *names)
{
    if (count > LODE_BAR_NAMES)
        return lode_i_fail(ctx, LODE_EPARAM, "plot \"%s\": %d names of bars; at most %d", p->title,
                           count, LODE_BAR_NAMES);
    for (int i = 0; i < count; i++) {
        lode_lines cut; /* at a whole character */
        lode_i_wrap(names[i], 1, false, 20, 1, &cut);
        snprintf(p->name[i], sizeof p->name[i], "%.23s", cut.count ? cut.line[0] : "");
    }
    p->names = count;
    return LODE_OK;
}

/* Reads the matrix in slabs of rows and keeps at most LODE_IMAGE_CELLS a side: first the rows of
 * each slab that belong to one kept row, so that memory holds a slab and the picture, never a copy
 * of the matrix. */
static lode_status read_image(lode_ctx *ctx, const lode_array *a, lode_image *m)
{
    lode_status st = LODE_OK;
    double *slab = NULL;
    lode_array rows = { 0 };
    m->full_rows = a->shape[0], m->full_cols = a->shape[1];
    m->rows = lode_i_min(m->full_rows, LODE_IMAGE_CELLS);
    m->cols = lode_i_min(m->full_cols, LODE_IMAGE_CELLS);
    int64_t cells = 0;
    if (!lode_i_mul(m->rows, m->cols, &cells))
        cells = INT64_MAX;
    LODE_TRY(LODE_NEW(ctx, lode_i_max(cells, 1), &m->v));
    /* kept row i covers the rows from i * full / kept, rounded down, to those of the next */
    int64_t most = 1;
    for (int64_t i = 0; i < m->rows; i++)
        most = lode_i_max(most, (i + 1) * m->full_rows / m->rows - i * m->full_rows / m->rows);
    const int64_t batch = m->rows == m->full_rows
                              ? lode_i_max(1, (INT64_C(1) << 16) / lode_i_max(1, m->full_cols))
                              : 1;
    LODE_TRY(LODE_NEW(ctx, lode_i_max(1, batch * most * m->full_cols), &slab));
    double min = INFINITY, max = -INFINITY;
    for (int64_t i = 0; i < m->rows && m->cols > 0; i += batch) {
        const int64_t kept = lode_i_min(batch, m->rows - i);
        const int64_t from = i * m->full_rows / m->rows, to = (i + kept) * m->full_rows / m->rows;
        lode_array part = lode_array_wrap(slab, LODE_F64, 2,
                                          (const int64_t[2]){ to - from, m->full_cols });
        LODE_TRY(lode_array_slice(ctx, a, 0, from, to, 1, &rows));
        LODE_TRY(lode_array_copy_into(ctx, &rows, &part));
        for (int64_t k = 0; k < (to - from) * m->full_cols; k++) {
            if (!isfinite(slab[k])) {
                m->gaps++;
                continue;
            }
            m->finite++;
            min = slab[k] < min ? slab[k] : min, max = slab[k] > max ? slab[k] : max;
        }
        LODE_TRY(lode_i_box_filter(ctx, slab, to - from, m->full_cols, m->v + i * m->cols, kept,
                                   m->cols));
    }
    if (m->finite == 0)
        min = max = 0;
    if (m->lo == m->hi)
        m->lo = min, m->hi = max;
    m->lo = fmin(fmax(m->lo, -1e300), 1e300), m->hi = fmin(fmax(m->hi, -1e300), 1e300);
    if (m->diverging) {
        const double far = fmax(fabs(m->lo), fabs(m->hi));
        m->lo = -far, m->hi = far;
    }
    m->below = min<m->lo, m->above = max> m->hi;
    if (!(m->hi - m->lo > 1e-12 * fmax(fabs(m->lo), fabs(m->hi))) || !(m->hi - m->lo > 1e-300)) {
        const double half = fabs(m->lo) > 1e-299 ? 0.1 * fabs(m->lo) : 1;
        const double mid = m->lo;
        m->lo = mid - half, m->hi = mid + half;
    }
done:
    lode_array_free(&rows);
    lode_i_free(slab);
    return st;
}

lode_status lode_i_panel_image(lode_ctx *ctx, lode_panel *p, const lode_array *image, double lo,
                               double hi, bool diverging)
{
    lode_status st = LODE_OK;
    lode_image *m = NULL;
    char shape[128];
    lode_i_print_shape(image->ndim, image->shape, shape, sizeof shape);
    LODE_REQUIRE(image->ndim == 2, LODE_ESHAPE,
                 "plot \"%s\": the image is %s; an image takes a matrix", p->title, shape);
    LODE_REQUIRE(!lode_i_is_complex(image->dtype), LODE_ETYPE,
                 "plot \"%s\": the image is %s; an image takes real values, so plot the magnitude "
                 "or the real part",
                 p->title, lode_dtype_name(image->dtype));
    char low[32], high[32];
    lode_i_print_f64(lo, low);
    lode_i_print_f64(hi, high);
    LODE_REQUIRE(isfinite(lo) && isfinite(hi) && lo <= hi, LODE_EPARAM,
                 "plot \"%s\": the colour range %s to %s must be finite and ascending (equal: from "
                 "the data)",
                 p->title, low, high);
    LODE_TRY(lode_i_calloc(ctx, sizeof *m, (void **)&m));
    m->lo = lo, m->hi = hi, m->diverging = diverging;
    LODE_TRY(read_image(ctx, image, m));
    image_free(p->image);
    p->image = m, m = NULL;
done:
    image_free(m);
    return st;
}
