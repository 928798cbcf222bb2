/* Figures made through the public header: curves that a caller has as plain numbers. */
#include "plot/figure.h"

lode_status lode_figure_curves(lode_ctx *ctx, lode_figure *figure, const lode_curves *c)
{
    lode_status st = LODE_OK;
    lode_panel *p = NULL;
    const int64_t before = figure->count;
    lode_i_begin(ctx, "plot");
    LODE_TRY(lode_i_panel(ctx, figure, c->title, c->xlabel, c->ylabel, &p));
    lode_i_panel_log(p, c->logx, c->logy);
    for (int64_t i = 0; i < c->count; i++) {
        const lode_curve *k = &c->curve[i];
        const int64_t shape[1] = { k->n };
        LODE_REQUIRE(k->n >= 0, LODE_ESHAPE, "plot: curve %" PRId64 " has %" PRId64 " points", i,
                     k->n);
        /* only read: the series are copies */
        const lode_array x = lode_array_wrap((double *)(uintptr_t)k->x, LODE_F64, 1, shape);
        const lode_array y = lode_array_wrap((double *)(uintptr_t)k->y, LODE_F64, 1, shape);
        LODE_TRY(lode_i_panel_line(ctx, p, k->label, &x, &y));
    }
done:
    if (st < 0)
        lode_i_figure_trim(figure, before);
    lode_i_end(ctx);
    return st;
}
