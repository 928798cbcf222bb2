/* Errors for the members of a file by name: "UWND=1e-3,t_*=1e-4:max,*=exact". A name stands for one
 * member, a pattern with * for all that fit it; names come before patterns, and patterns in the order
 * given. */
#include <string.h>

#include "op/call.h"

/* Where the name of a rule ends: at the first '=' that is not the one of "60:psnr=40". */
static const char *equals_of(const char *text, size_t size)
{
    const char *at = memchr(text, '=', size);
    while (at && at - text >= 5 && memcmp(at - 5, ":psnr", 5) == 0)
        at = memchr(at + 1, '=', size - (size_t)(at + 1 - text));
    return at;
}

bool lode_i_rules_are(const char *text)
{
    return equals_of(text, strlen(text)) != NULL;
}

const lode_param *lode_i_error_param(const lode_op *op)
{
    for (const lode_param *p = op->params; p->name; p++)
        if (p->kind == LODE_P_ERROR)
            return p;
    return NULL;
}

void lode_i_rules_free(lode_i_rules *rules)
{
    lode_i_free(rules->at);
    lode_i_free(rules->text);
    *rules = (lode_i_rules){ 0 };
}

static lode_status parse_one(lode_ctx *ctx, const lode_op *op, const lode_param *p, char *item,
                             void *opts, lode_i_rules *rules)
{
    char *const equals = (char *)(uintptr_t)equals_of(item, strlen(item));
    char *const spec = equals ? equals + 1 : item;
    static const char all[] = "*";
    lode_i_rule r = { .name = all };
    if (equals) {
        *equals = '\0';
        r.name = item;
    }
    r.pattern = strchr(r.name, '*') != NULL;
    r.exact = strcmp(spec, "exact") == 0;
    if (!*r.name)
        return lode_i_fail(ctx, LODE_EUSAGE, "%s: option %s: a rule has no name before '=%s'",
                           op->name, p->name, spec);
    for (int64_t i = 0; i < rules->count; i++)
        if (strcmp(rules->at[i].name, r.name) == 0)
            return lode_i_fail(ctx, LODE_EUSAGE, "%s: option %s names %s twice", op->name, p->name,
                               r.name);
    if (!r.exact) {
        const lode_status st = lode_i_param_parse(ctx, op, p, spec, opts);
        if (st < 0) {
            lode_i_prefix(ctx, "rule for %s: ", r.name);
            return st;
        }
        memcpy(&r.error, (const char *)opts + p->offset, sizeof r.error);
    }
    rules->at[rules->count++] = r;
    return LODE_OK;
}

lode_status lode_i_rules_parse(lode_ctx *ctx, const lode_op *op, const lode_param *p,
                               const char *text, lode_i_rules *rules)
{
    lode_status st = LODE_OK;
    lode_i_rules made = { 0 };
    void *opts = NULL;
    int64_t items = 1;
    for (const char *c = text; *c; c++)
        items += *c == ',';
    LODE_TRY(lode_i_calloc(ctx, op->opts_size, &opts));
    LODE_TRY(lode_i_strdup(ctx, text, &made.text));
    LODE_TRY(LODE_NEW(ctx, items, &made.at));
    char *at = made.text;
    for (int64_t i = 0; i < items; i++) {
        char *const comma = strchr(at, ',');
        if (comma)
            *comma = '\0';
        LODE_TRY(parse_one(ctx, op, p, at, opts, &made));
        at = comma ? comma + 1 : at;
    }
    lode_i_rules_free(rules);
    *rules = made;
    made = (lode_i_rules){ 0 };
done:
    lode_i_free(opts);
    lode_i_rules_free(&made);
    return st;
}

lode_i_rule *lode_i_rules_find(const lode_i_rules *rules, const char *name)
{
    for (int64_t i = 0; i < rules->count; i++)
        if (!rules->at[i].pattern && strcmp(rules->at[i].name, name) == 0)
            return &rules->at[i];
    for (int64_t i = 0; i < rules->count; i++)
        if (rules->at[i].pattern && lode_i_fits(rules->at[i].name, name))
            return &rules->at[i];
    return NULL;
}

lode_status lode_i_rules_check(lode_ctx *ctx, const lode_op *op, const lode_i_rules *rules,
                               const lode_bundle *file)
{
    for (int64_t i = 0; i < rules->count; i++) {
        const lode_i_rule *r = &rules->at[i];
        const char *near = NULL;
        int least = 0;
        bool found = strcmp(r->name, "*") == 0;
        for (int64_t k = 0; k < file->count && !found; k++) {
            const char *name = lode_bundle_name(file, k);
            found = r->pattern ? lode_i_fits(r->name, name) : strcmp(r->name, name) == 0;
            const int d = lode_i_distance(r->name, name);
            if (!near || d < least)
                near = name, least = d;
        }
        if (found)
            continue;
        const bool close = near && (least <= 2 || (size_t)least * 2 < strlen(r->name));
        return lode_i_fail(ctx, LODE_EUSAGE, "%s: rule %s=.. names no member of the file%s%s%s",
                           op->name, r->name,
                           close  ? "; did you mean "
                           : near ? "; its first is "
                                  : "",
                           close  ? near
                           : near ? lode_bundle_name(file, 0)
                                  : "",
                           close ? "?" : "");
    }
    return LODE_OK;
}
