/* Results in a .lode file, alone or as members of a whole file: what is read is expanded, checked,
 * asked and told, each by its own operation. */
#include "header.h"

#include "lode/op.h"

static void use(lode_ctx *ctx, const lode_bundle *b, int depth)
{
    lode_array x = { 0 };
    lode_certificate found = { 0 };
    lode_question q = { 0 };
    lode_answer a = { 0 };
    char *text = NULL;
    if (lode_invert(ctx, b, lode_none(), NULL, &x) < 0)
        FUZZ_CHECK(*lode_message(ctx) && !x.data);
    (void)lode_verify(ctx, b, lode_none(), &found);
    if (lode_question_parse(ctx, b, "mean", &q) >= 0)
        (void)lode_query(ctx, b, &q, &a);
    if (lode_tell(ctx, b, LODE_DOC_JSON, &text) >= 0)
        lode_text_free(text);
    lode_answer_free(&a);
    lode_array_free(&x);
    for (int64_t i = 0; depth < 3 && i < b->count && i < 8; i++)
        if (lode_bundle_value(b, i).kind == LODE_BUNDLE)
            use(ctx, lode_bundle_value(b, i).as.bundle, depth + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const lode_read_opts o = { .format = "lode" };
    lode_ctx ctx;
    lode_bundle all = { 0 };
    uint8_t *copy = fuzz_header(data, size);
    FUZZ_CHECK(lode_ctx_init(&ctx, NULL) == LODE_OK);
    lode_ctx_set_memory(&ctx, 32 << 20);
    ctx.threads = 1;
    if (lode_read(&ctx, fuzz_put(copy, size), &o, &all) >= 0)
        use(&ctx, &all, 0);
    lode_bundle_free(&all);
    FUZZ_CHECK(lode_ctx_memory_used(&ctx) == 0);
    lode_ctx_free(&ctx);
    free(copy);
    return 0;
}
