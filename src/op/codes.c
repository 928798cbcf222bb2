/* What verbs of matrix factorizations do alike with codes, the coordinates of rows in the columns of a basis. */
#include "linalg/linalg.h"
#include "op/op.h"

lode_status lode_i_give_codes(lode_ctx *ctx, bool one, lode_array *codes, lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_array flat = { 0 };
    if (one) {
        LODE_TRY(lode_array_reshape(ctx, codes, 1, &codes->shape[1], &flat));
        lode_array_swap(codes, &flat);
    }
    LODE_TRY(lode_bundle_add_array(ctx, result, "codes", codes));
done:
    LODE_FREE(&flat);
    return st;
}

lode_status lode_i_expand_codes(lode_ctx *ctx, const char *op, const lode_i_coded *c,
                                lode_value codes, const lode_part *part, lode_array *out)
{
    lode_status st = LODE_OK;
    const int64_t k = c->right->shape[1], n = c->right->shape[0];
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM];
    lode_array given = { 0 }, left = { 0 }, right = { 0 }, scaled = { 0 }, y = { 0 };
    if (codes.kind == LODE_NONE)
        given = lode_array_ref(c->left);
    else
        LODE_TRY(lode_i_as_array(ctx, codes, c->right->dtype, &given));
    LODE_REQUIRE(given.ndim == 2 && given.shape[1] == k, LODE_ESHAPE,
                 "%s: codes have one column for each of the %" PRId64 " %s", op, k, c->each);
    LODE_TRY(
        lode_i_part_resolve(ctx, part, 2, (const int64_t[]){ given.shape[0], n }, start, count));
    left = lode_i_rows(&given, start[0], start[0] + count[0]);
    right = lode_i_rows(c->right, start[1], start[1] + count[1]);
    if (codes.kind == LODE_NONE) {
        LODE_TRY(lode_array_cast(ctx, &left, left.dtype, &scaled));
        LODE_TRY(lode_i_scale_cols(ctx, &scaled, c->scale));
        lode_array_swap(&left, &scaled);
    }
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_H, &left, &right, &y));
    lode_array_swap(out, &y);
done:
    LODE_FREE(&given, &left, &right, &scaled, &y);
    return st;
}
