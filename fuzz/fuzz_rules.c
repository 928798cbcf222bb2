/* Errors for the members of a file: "UWND=1e-3,*=0.05:max". */
#include "fuzz.h"

#include "lode/compress.h"
#include "op/call.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = { "", "T", "UWND", "t_max", "g/t_min" };
    enum { NAMES = sizeof names / sizeof *names };
    const lode_op *const op = &lode_op_compress;
    lode_ctx ctx;
    lode_i_rules rules = { 0 };
    lode_bundle file = { 0 };
    char *text = malloc(size + 1);
    FUZZ_CHECK(text && lode_ctx_init(&ctx, NULL) == LODE_OK);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    (void)lode_i_rules_are(text);
    for (int i = 1; i < NAMES; i++)
        FUZZ_CHECK(lode_bundle_add_text(&ctx, &file, names[i], "x") == LODE_OK);
    if (lode_i_rules_parse(&ctx, op, lode_i_error_param(op), text, &rules) >= 0) {
        FUZZ_CHECK(rules.count >= 1);
        for (int i = 0; i < NAMES; i++) {
            const lode_i_rule *r = lode_i_rules_find(&rules, names[i]);
            FUZZ_CHECK(!r || (r >= rules.at && r < rules.at + rules.count &&
                              (r->pattern || strcmp(r->name, names[i]) == 0)));
        }
        (void)lode_i_rules_check(&ctx, op, &rules, &file);
    } else {
        FUZZ_CHECK(rules.count == 0 && *lode_message(&ctx));
    }
    lode_i_rules_free(&rules);
    lode_bundle_free(&file);
    FUZZ_CHECK(lode_ctx_memory_used(&ctx) == 0);
    lode_ctx_free(&ctx);
    free(text);
    return 0;
}
