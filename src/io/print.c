/* Writing of text formats: numbers one after the other, given on in pieces. */
#include "io/text.h"

lode_status lode_i_print_value(lode_ctx *ctx, lode_text *t, lode_dtype dtype, const void *values,
                               int64_t at, char end)
{
    char word[32];
    if (dtype == LODE_I64)
        return lode_i_text_add(ctx, t, "%" PRId64 "%c", ((const int64_t *)values)[at], end);
    if (dtype == LODE_U64)
        return lode_i_text_add(ctx, t, "%" PRIu64 "%c", ((const uint64_t *)values)[at], end);
    lode_i_print_f64(((const double *)values)[at], word);
    return lode_i_text_add(ctx, t, "%s%c", word, end);
}

lode_status lode_i_print_out(lode_ctx *ctx, lode_i_gzout *file, lode_text *t, size_t at_least)
{
    if (t->size < at_least || t->size == 0)
        return LODE_OK;
    LODE_FORWARD(lode_i_gzout_write(ctx, file, t->text, t->size));
    t->size = 0;
    return lode_i_cancelled(ctx);
}
