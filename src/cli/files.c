/* Files looked at and turned into others: info, convert. */
#include <string.h>

#include "cli.h"

/* Characters of a file's attributes that a page of words shows. */
enum { SHOWN = 600 };

/* told: the operation says what was asked of it. */
static void print_meta(cli *c, const lode_bundle *b, bool told)
{
    char text[512], shape[256], in[32], out[32];
    const lode_meta *m = &b->meta;
    (void)c;
    if (m->op[0])
        printf("made by     %s (lode %s), seed %llu\n", m->op, m->version,
               (unsigned long long)m->seed);
    if (m->options && !told)
        printf("options     %s\n", m->options);
    if (m->has_shape) {
        cli_print_shape(m->ndim, m->shape, shape, sizeof shape);
        printf("stands for  %s %s\n", shape, lode_dtype_name(m->dtype));
    }
    const int64_t size = cli_file_size(c->word[0]);
    if (m->input_bytes > 0 && size > 0) {
        cli_print_bytes((double)m->input_bytes, in), cli_print_bytes((double)size, out);
        printf("bytes       %s -> %s, ratio %.4g\n", in, out,
               (double)m->input_bytes / (double)size);
    }
    if (m->input_hash[0])
        printf("input hash  %s\n", m->input_hash);
    if (b->certificate.kind != LODE_CERT_NONE) {
        lode_certificate_print(&b->certificate, text, sizeof text);
        printf("error       %s\n", text);
    } else if (b->certificate.note[0]) {
        printf("note        %s\n", b->certificate.note);
    }
    const size_t length = m->attributes ? strlen(m->attributes) : 0;
    if (length > 0)
        printf("attributes  %.*s%s\n", length > SHOWN ? SHOWN : (int)length, m->attributes,
               length > SHOWN ? " .. (all with --json)" : "");
}

/* Members of a file that holds results, each with its rule and error. */
static lode_status print_results(cli *c, bool *are)
{
    lode_bundle all = { 0 };
    lode_status st = lode_open_whole(&c->ctx, c->word[0], &c->read, &all);
    *are = st >= 0 && lode_holds_results(&all);
    if (*are)
        st = c->json ? cli_print_table_json(c, &all) : cli_print_table(c, stdout, &all);
    lode_bundle_free(&all);
    return *are ? st : LODE_OK;
}

/* The commands that made it and that make it again, a line each. */
static void print_made(const cli *c, const char *made)
{
    const int first = (int)strcspn(made, "\n");
    if (!c->json) {
        printf("command     %.*s\nrepeat      %s", first, made, made + first + 1);
        return;
    }
    char line[4096];
    fputs(", \"command\": ", stdout);
    snprintf(line, sizeof line, "%.*s", first, made);
    cli_json_text(stdout, line);
    fputs(", \"repeat\": ", stdout);
    snprintf(line, sizeof line, "%.*s", (int)strcspn(made + first + 1, "\n"), made + first + 1);
    cli_json_text(stdout, line);
}

/* What reading a member that cannot be read says, without the path. */
static const char *why_not(cli *c, lode_file *file, int64_t i)
{
    lode_source s = { 0 };
    const lode_status st = lode_file_source(&c->ctx, file, i, &s);
    lode_source_close(&s);
    const char *said = st < 0 ? lode_message(&c->ctx) : "", *path = c->word[0];
    const size_t n = strlen(path);
    return strncmp(said, path, n) == 0 && strncmp(said + n, ": ", 2) == 0 ? said + n + 2 : said;
}

static lode_status print_members(cli *c, lode_file *file)
{
    char text[256];
    bool results = false;
    for (int64_t i = 0; i < lode_file_count(file) && !results; i++) {
        lode_kind kind = LODE_NONE;
        results = lode_file_info(&c->ctx, file, i, &kind, NULL, NULL, NULL) >= 0 &&
                  kind == LODE_BUNDLE;
    }
    if (results) {
        const lode_status st = print_results(c, &results);
        if (st < 0 || results)
            return st;
    }
    for (int64_t i = 0; i < lode_file_count(file); i++) {
        lode_kind kind = LODE_NONE;
        lode_dtype dtype = LODE_F64;
        int ndim = 0;
        int64_t shape[LODE_MAX_NDIM];
        const lode_status st = lode_file_info(&c->ctx, file, i, &kind, &dtype, &ndim, shape);
        if (st < 0)
            return st;
        cli_print_shape(ndim, shape, text, sizeof text);
        const char *why = kind == LODE_NONE ? why_not(c, file, i) : NULL;
        if (c->json) {
            fputs(i ? ", " : "", stdout);
            fputs("{\"name\": ", stdout);
            cli_json_text(stdout, lode_file_name(file, i));
            printf(", \"kind\": \"%s\", ", lode_kind_name(kind));
            cli_json_shape(stdout, dtype, ndim, shape);
            if (why) {
                fputs(", \"why\": ", stdout);
                cli_json_text(stdout, why);
            }
            putchar('}');
        } else if (kind == LODE_TEXT) {
            printf("%-16s text\n", lode_file_name(file, i));
        } else if (why) {
            printf("%-16s not read: %s\n", lode_file_name(file, i), why);
        } else {
            const bool plain = kind == LODE_ARRAY || kind == LODE_SOURCE || kind == LODE_SCALAR;
            printf("%-16s %s %s%s%s\n", lode_file_name(file, i), text, lode_dtype_name(dtype),
                   plain ? "" : " ", plain ? "" : lode_kind_name(kind));
        }
    }
    return LODE_OK;
}

/* What the operation tells of its result; NULL: nothing. */
static lode_status tell(cli *c, const lode_bundle *meta, char **text)
{
    lode_bundle model = { 0 };
    const lode_op *op = meta->meta.op[0] ? lode_op_find(&c->ctx, meta->meta.op) : NULL;
    if (!op || !op->tell)
        return LODE_OK;
    lode_status st = lode_read_model(&c->ctx, c->word[0], &c->read, false, &model);
    if (st >= 0)
        st = lode_tell(&c->ctx, &model, c->json ? LODE_DOC_JSON : LODE_DOC_HELP, text);
    lode_bundle_free(&model);
    return st;
}

/* A result in a file, as a file of its own would be told. */
static int info_member(cli *c)
{
    lode_bundle model = { 0 };
    char *told = NULL, *proof = NULL;
    lode_status st = lode_read_model(&c->ctx, c->word[0], &c->read, false, &model);
    if (st >= 0)
        st = tell(c, &model, &told);
    if (st >= 0 && c->json) {
        fputs("{\"op\": ", stdout);
        cli_json_text(stdout, model.meta.op);
        printf(", \"attributes\": %s", model.meta.attributes ? model.meta.attributes : "null");
        printf(", \"options\": %s", model.meta.options ? model.meta.options : "null");
        if (lode_certificate_json(&c->ctx, &model.certificate, &proof) >= 0)
            printf(", \"certificate\": %s", proof);
        printf(", \"contents\": %s}\n", told ? told : "null");
    } else if (st >= 0) {
        print_meta(c, &model, told != NULL);
        fputs(told ? told : "", stdout);
    }
    const int code = st < 0 ? cli_failed(c, st) : CLI_OK;
    lode_text_free(told);
    lode_text_free(proof);
    lode_bundle_free(&model);
    return code;
}

int cli_info(cli *c)
{
    lode_file *file = NULL;
    lode_bundle meta = { 0 };
    char *told = NULL, *proof = NULL, *made = NULL;
    const int bad = cli_no_options(c, "info");
    if (bad)
        return bad;
    if (c->words != 1)
        return cli_usage(c, "usage: lode info FILE");
    if (strchr(c->word[0], ':') && strcmp(c->word[0], "-") != 0 && !cli_opens(c->word[0]))
        return info_member(c);
    lode_status st = lode_file_open(&c->ctx, c->word[0], &c->read, &file);
    if (st >= 0)
        st = lode_file_meta(&c->ctx, file, &meta);
    if (st >= 0)
        st = tell(c, &meta, &told);
    if (st >= 0)
        st = lode_made_text(&c->ctx, &meta, c->word[0], &made);
    if (st >= 0) {
        if (c->json) {
            printf("{\"format\": \"%s\", \"op\": ", lode_file_format(file));
            cli_json_text(stdout, meta.meta.op);
            if (meta.meta.attributes)
                printf(", \"attributes\": %s", meta.meta.attributes);
            if (meta.meta.options)
                printf(", \"options\": %s", meta.meta.options);
            if (made)
                print_made(c, made);
            if (*meta.meta.op && lode_certificate_json(&c->ctx, &meta.certificate, &proof) >= 0)
                printf(", \"certificate\": %s", proof);
            if (told)
                printf(", \"contents\": %s", told);
            fputs(", \"members\": [", stdout);
        } else {
            printf("format      %s\n", lode_file_format(file));
            print_meta(c, &meta, told != NULL);
            if (made)
                print_made(c, made);
            if (told)
                fputs(told, stdout);
        }
        if (c->json || !told)
            st = print_members(c, file);
        if (st >= 0 && c->json)
            puts("]}");
    }
    const int code = st < 0 ? cli_failed(c, st) : CLI_OK;
    lode_text_free(told);
    lode_text_free(proof);
    lode_text_free(made);
    lode_bundle_free(&meta);
    lode_file_close(&file);
    return code;
}

/* The array converted to the type asked for, read whole. */
static lode_status cast_value(cli *c, lode_value v, lode_dtype dtype, lode_bundle *out)
{
    lode_ctx *ctx = &c->ctx;
    lode_array x = { 0 }, y = { 0 };
    lode_status st = LODE_OK;
    if (v.kind == LODE_SOURCE)
        st = cli_load(c, v.as.source, &x);
    else if (v.kind != LODE_ARRAY) /* says what it is instead */
        return lode_read_value(ctx, c->word[0], &c->read, true, "x", out);
    if (st >= 0)
        st = lode_array_cast(ctx, v.kind == LODE_ARRAY ? v.as.array : &x, dtype, &y);
    if (st >= 0)
        st = lode_bundle_add_array(ctx, out, "x", &y);
    lode_array_free(&x);
    lode_array_free(&y);
    return st;
}

/* Whether the input is a file of several values, or one whose rest the output keeps, which is no result
 * itself. */
static bool is_whole(cli *c, bool *rest)
{
    lode_file *file = NULL;
    lode_bundle head = { 0 };
    bool whole = lode_file_open(&c->ctx, c->word[0], &c->read, &file) >= 0;
    *rest = whole && lode_format_keeps_rest(lode_file_format(file), c->to, c->output[0].path);
    whole = whole && lode_file_meta(&c->ctx, file, &head) >= 0 && !head.meta.op[0] &&
            (*rest || lode_file_count(file) > 1);
    lode_bundle_free(&head);
    lode_file_close(&file);
    return whole;
}

int cli_convert(cli *c)
{
    lode_bundle all = { 0 };
    cli_value v = { 0 };
    lode_dtype dtype = LODE_F64;
    int bad = cli_no_options(c, "convert");
    if (!bad && c->words == 2 && c->outputs == 0)
        c->output[c->outputs++] = (cli_output){ NULL, c->word[1] }, c->words = 1;
    if (!bad && (c->words != 1 || c->outputs != 1))
        bad = cli_usage(c, "usage: lode convert INPUT OUTPUT [--dtype TYPE]");
    if (!bad && c->dtype && !c->shape && !lode_dtype_parse(c->dtype, &dtype))
        bad = cli_usage(c,
                        "--dtype is '%s'; give f32, f64, i16 and so on, or --shape too where it is "
                        "of a raw file",
                        c->dtype);
    if (!bad)
        bad = cli_check_outputs(c);
    if (bad)
        return bad;
    if (c->ctx.checkpoint && c->dtype && !c->shape)
        return cli_usage(c, "with --dtype all is read at once, and no checkpoint kept: leave out "
                            "--checkpoint");
    const double start = cli_seconds();
    c->decodes = true;
    cli_progress_start(c);
    cli_tell_notes(c);
    lode_status st = cli_read(c, c->word[0], &v);
    const bool many = lode_format_holds_many(c->to, c->output[0].path);
    /* The whole file where it holds several values and the output holds them all, or takes the one it
     * names: coordinates then stay what they are, where a value read alone takes only their numbers
     * along. */
    const bool several = st == LODE_EUSAGE && (many || c->output[0].port);
    const bool alone = st >= 0 && many && v.held.count == 1 && cli_opens(c->word[0]);
    bool rest = false;
    if (!c->dtype && (several || alone) && (is_whole(c, &rest) || several)) {
        st = rest ? lode_open_whole(&c->ctx, c->word[0], &c->read, &all)
                  : lode_open(&c->ctx, c->word[0], &c->read, &all);
        if (st >= 0)
            st = lode_expand(&c->ctx, &all); /* decoded as it is written */
        if (st >= 0)
            st = cli_write(c, &all);
    } else if (st >= 0 && c->dtype && !c->shape) {
        st = cast_value(c, v.value, dtype, &all);
        if (st >= 0)
            st = cli_write(c, &all);
    } else if (st >= 0) {
        st = cli_write(c, &v.held);
    }
    if (st >= 0) {
        const lode_status removed = lode_checkpoint_remove(&c->ctx);
        st = removed < 0 ? removed : st;
    }
    cli_progress_stop(c);
    cli_keep_caveat(c, st);
    const int code = st < 0 ? cli_failed(c, st) : cli_exit(c, st);
    if (st >= 0 && *c->caveat)
        fprintf(stderr, "convert: %s\n", c->caveat);
    if (st >= 0 && !c->quiet)
        fprintf(stderr, "convert: written %s, %.3g s\n", c->output[0].path, cli_seconds() - start);
    cli_value_free(&v);
    lode_bundle_free(&all);
    return code;
}
