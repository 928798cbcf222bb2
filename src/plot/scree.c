/* Scree plot: how fast singular values fall, and how much of the energy the first k hold. */
#include "plot/figure.h"

#include <math.h>

enum { COMPONENTS = 3 };

lode_status lode_i_plot_scree(lode_ctx *ctx, lode_figure *f, const char *title, const lode_array *s)
{
    lode_status st = LODE_OK;
    lode_array energy = { 0 };
    lode_array values = { 0 };
    lode_panel *p = NULL;
    const int64_t before = f->count;
    LODE_REQUIRE(s->ndim == 1, LODE_ESHAPE,
                 "a scree plot takes a vector of singular values, not %d dimensions", (int)s->ndim);
    const int64_t n = s->shape[0];
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, n, &energy));
    if (n > 0)
        LODE_TRY(lode_i_as(ctx, s, LODE_F64, &values));
    double largest = 0, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const double v = fabs(lode_i_get1(&values, i));
        largest = isfinite(v) ? fmax(largest, v) : largest;
    }
    for (int64_t i = 0; i < n;
         i++) { /* squares relative to the largest neither overflow nor vanish together */
        const double v = largest > 0 ? lode_i_get1(&values, i) / largest : 0;
        sum += v * v;
        lode_i_set1(&energy, i, sum);
    }
    for (int64_t i = 0; i < n; i++)
        lode_i_set1(&energy, i, sum > 0 ? 100 * (lode_i_get1(&energy, i) / sum) : NAN);
    LODE_TRY(
        lode_i_panel(ctx, f, title ? title : "singular values", "index", "singular value", &p));
    lode_i_panel_log(p, false, largest > 0);
    LODE_TRY(lode_i_panel_line(ctx, p, NULL, NULL, s));
    LODE_TRY(lode_i_panel(ctx, f, "cumulative energy of these values", "values kept",
                          "share of sum of squares (%)", &p));
    LODE_TRY(lode_i_panel_line(ctx, p, NULL, NULL, &energy));
done:
    if (st < 0)
        lode_i_figure_trim(f, before);
    LODE_FREE(&energy, &values);
    return st;
}

lode_status lode_i_plot_components(lode_ctx *ctx, lode_panel *p, const lode_array *A)
{
    char label[32];
    for (int64_t c = 0; c < lode_i_min(A->shape[1], COMPONENTS); c++) {
        const lode_array column = lode_i_column(A, c);
        snprintf(label, sizeof label, "component %" PRId64, c + 1);
        LODE_FORWARD(lode_i_panel_line(ctx, p, label, NULL, &column));
    }
    return LODE_OK;
}
