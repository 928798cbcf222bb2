/* The box filter: every pixel is the mean of what it covers, so a picture smaller than its matrix
 * neither drops cells nor invents moire. */
#include "plot/figure.h"

#include <math.h>

static inline void add(double v, double w, double *sum, double *area)
{
    if (w > 0 && isfinite(v))
        *sum += w * v, *area += w;
}

/* One axis at a time would weigh missing cells wrongly, so sums of values and of areas are kept
 * together. Weights are shares of the whole box: a sum never exceeds the largest value. */
lode_status lode_i_box_filter(lode_ctx *ctx, const double *src, int64_t src_rows, int64_t src_cols,
                              double *dst, int64_t rows, int64_t cols)
{
    lode_status st = LODE_OK;
    double *sum = NULL, *area = NULL;
    LODE_TRY(LODE_NEW(ctx, cols, &sum));
    LODE_TRY(LODE_NEW(ctx, cols, &area));
    const double across = (double)src_cols / (double)cols, down = (double)src_rows / (double)rows;
    const double share = 1 / (across * down);
    for (int64_t i = 0; i < rows; i++) {
        LODE_TRY(lode_i_cancelled(ctx));
        for (int64_t j = 0; j < cols; j++)
            sum[j] = area[j] = 0;
        const double top = (double)i * down, bottom = (double)(i + 1) * down;
        for (int64_t r = (int64_t)top; r < src_rows && (double)r < bottom; r++) {
            const double height = fmin(bottom, (double)(r + 1)) - fmax(top, (double)r);
            const double *row = src + r * src_cols;
            const double w = share * height;
            for (int64_t j = 0; j < cols; j++) {
                const double left = (double)j * across, right = (double)(j + 1) * across;
                const int64_t first = (int64_t)left,
                              last = lode_i_min((int64_t)right, src_cols - 1);
                const int64_t whole = first + ((double)first < left);
                if (whole > first)
                    add(row[first], w * (fmin(right, (double)whole) - left), &sum[j], &area[j]);
                for (int64_t k = whole; k < last; k++)
                    add(row[k], w, &sum[j], &area[j]);
                if (last >= whole)
                    add(row[last], w * fmin(right - (double)last, 1), &sum[j], &area[j]);
            }
        }
        for (int64_t j = 0; j < cols; j++)
            dst[i * cols + j] = area[j] >= 0.5 - 1e-9 ? sum[j] / area[j] : NAN;
    }
done:
    lode_i_free(sum);
    lode_i_free(area);
    return st;
}
