/* Verbs on a written result: apply, invert, update, merge, verify, plot. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static int need(cli *c, const char *command, int least, int most, bool output, const char *usage)
{
    const int bad = cli_no_options(c, command);
    if (bad)
        return bad;
    if (c->words < least || c->words > most || (output && c->outputs != 1))
        return cli_usage(c, "usage: %s", usage);
    return cli_check_outputs(c);
}

/* Ranges "0:10,:,5" as a part; a component before them, "low" or "low,0:10,:". */
static int parse_part(cli *c, const char *text, lode_part *part)
{
    static const char *const want = "--part is '%s'; give a range an axis, as in 0:10,:,5";
    const char *p = text;
    if (isalpha((unsigned char)*p)) {
        const size_t n = strcspn(p, ",");
        if (n >= sizeof part->component)
            return cli_usage(c, want, text);
        memcpy(part->component, p, n);
        p += n + (p[n] == ',');
    }
    while (*p) {
        char *end = NULL;
        if (part->ndim == LODE_MAX_NDIM)
            return cli_usage(c, want, text);
        int64_t *start = &part->start[part->ndim], *count = &part->count[part->ndim];
        *start = 0, *count = -1;
        const bool from = *p != ':';
        if (from) {
            *start = strtoll(p, &end, 10);
            if (end == p)
                return cli_usage(c, want, text);
            p = end;
        }
        if (*p == ':') {
            p++;
            if (*p && *p != ',') {
                *count = strtoll(p, &end, 10) - *start;
                if (end == p || *count < 0)
                    return cli_usage(c, want, text);
                p = end;
            }
        } else {
            *count = 1;
        }
        part->ndim++;
        if (*p && *p++ != ',')
            return cli_usage(c, want, text);
    }
    return CLI_OK;
}

static int finish(cli *c, const char *name, lode_status st, const lode_bundle *result, double start)
{
    if (st >= 0) {
        if (!*c->caveat)
            cli_keep_caveat(c, st);
        const lode_status wrote = cli_write(c, result);
        const lode_status removed = wrote < 0 ? wrote : lode_checkpoint_remove(&c->ctx);
        st = removed < 0 ? removed : st;
    }
    if (st < 0)
        return cli_failed(c, st);
    cli_report(c, name, result, NULL, st, cli_seconds() - start);
    return cli_exit(c, st);
}

/* What it was made from, for `rerun`; keeps the sentence of a caveat. */
static lode_status record(cli *c, lode_status st, const char *verb, const lode_value *from,
                          int64_t count, lode_bundle *result)
{
    cli_keep_caveat(c, st);
    const lode_status recorded = lode_verb_record(&c->ctx, verb, from, count, result);
    return recorded < 0 ? recorded : st;
}

static int model_and_input(cli *c, const char *name,
                           lode_status (*verb)(lode_ctx *, const lode_bundle *, lode_value,
                                               lode_bundle *))
{
    lode_bundle model = { 0 }, result = { 0 };
    cli_value x = { 0 };
    const double start = cli_seconds();
    cli_progress_start(c);
    lode_status st = cli_model(c, c->word[0], &model);
    if (st >= 0)
        st = cli_read(c, c->word[1], &x);
    if (st >= 0)
        st = verb(&c->ctx, &model, x.value, &result);
    if (st >= 0) {
        const lode_value from[] = { lode_from_bundle(&model), x.value };
        st = record(c, st, name, from, 2, &result);
    }
    const int code = finish(c, name, st, &result, start);
    cli_value_free(&x);
    lode_bundle_free(&model);
    lode_bundle_free(&result);
    return code;
}

int cli_apply(cli *c)
{
    const int bad = need(c, "apply", 2, 2, true, "lode apply MODEL INPUT -o OUTPUT");
    return bad ? bad : model_and_input(c, "apply", lode_apply);
}

/* --axis 0 and 1 of an update: rows and columns. */
static int take_axis(cli *c, const char **name)
{
    *name = NULL;
    if (c->options == 0 || strcmp(c->option[0].name, "axis") != 0)
        return CLI_OK;
    const char *axis = c->option[0].value ? c->option[0].value : "";
    if (strcmp(axis, "0") != 0 && strcmp(axis, "1") != 0)
        return cli_usage(c, "--axis is '%s'; give 0, rows, or 1, columns", axis);
    *name = *axis == '0' ? "rows" : "cols";
    for (int i = 1; i < c->options; i++)
        c->option[i - 1] = c->option[i];
    c->options--;
    return CLI_OK;
}

int cli_update(cli *c)
{
    static cli_value x[LODE_MAX_PORTS];
    lode_input in[LODE_MAX_PORTS + 1];
    lode_bundle model = { 0 }, result = { 0 };
    const char *axis = NULL;
    int bad = take_axis(c, &axis), count = 0;
    if (!bad)
        bad = need(c, "update", 2, LODE_MAX_PORTS, true,
                   "lode update MODEL [NAME=]INPUT... [--axis 0|1] -o OUTPUT");
    if (!bad && axis && c->words > 2)
        bad = cli_usage(c, "--axis goes with one input, without a name");
    if (bad)
        return bad;
    const double start = cli_seconds();
    cli_progress_start(c);
    lode_status st = cli_model(c, c->word[0], &model);
    const lode_op *op = st >= 0 ? lode_op_find(&c->ctx, model.meta.op) : NULL;
    in[0] = (lode_input){ NULL, lode_from_bundle(&model) };
    while (st >= 0 && ++count < c->words) {
        const char *spec = c->word[count];
        const lode_port *named = cli_port_of(op ? op->update_in : NULL, spec, &spec);
        st = cli_read(c, spec, &x[count - 1]);
        in[count] = (lode_input){ named ? named->name : axis, x[count - 1].value };
    }
    if (st >= 0)
        st = lode_update_with(&c->ctx, &model, in + 1, count - 1, &result);
    if (st >= 0) {
        cli_keep_caveat(c, st);
        const lode_status recorded = lode_verb_record_named(&c->ctx, "update", in, count, &result);
        st = recorded < 0 ? recorded : st;
    }
    const int code = finish(c, "update", st, &result, start);
    for (int i = 0; i < LODE_MAX_PORTS; i++)
        cli_value_free(&x[i]);
    lode_bundle_free(&model);
    lode_bundle_free(&result);
    return code;
}

/* invert under a checkpoint: decoded as it is written, part for part. */
static int decode(cli *c, lode_status st, lode_bundle *model, double start)
{
    lode_bundle result = { 0 };
    lode_source s = { 0 };
    cli_keep_caveat(c, st);
    c->decodes = true;
    st = lode_invert_source(&c->ctx, model, &s);
    if (st >= 0)
        st = lode_bundle_add_source(&c->ctx, &result, "x", &s);
    lode_source_close(&s);
    const int code = finish(c, "invert", st, &result, start);
    lode_bundle_free(&result);
    lode_bundle_free(model);
    return code;
}

int cli_invert(cli *c)
{
    lode_bundle model = { 0 }, result = { 0 };
    lode_array y = { 0 };
    lode_part part = { 0 };
    cli_value codes = { 0 };
    int bad = need(c, "invert", 1, 2, true,
                   "lode invert MODEL [CODES] [--part [low|..,]0:10,:,5] -o OUTPUT");
    if (!bad && c->part)
        bad = parse_part(c, c->part, &part);
    if (bad)
        return bad;
    if (c->ctx.checkpoint && (c->words == 2 || c->part))
        return cli_usage(c, "invert keeps a checkpoint of the whole array only: leave out "
                            "--checkpoint, or the codes and the part");
    const double start = cli_seconds();
    cli_progress_start(c);
    lode_status st = cli_model(c, c->word[0], &model);
    if (st >= 0 && c->words == 2)
        st = cli_read(c, c->word[1], &codes);
    if (st >= 0 && c->ctx.checkpoint)
        return decode(c, st, &model, start);
    if (st >= 0)
        st = lode_invert(&c->ctx, &model, codes.value, &part, &y);
    if (st >= 0) {
        const lode_status added = lode_bundle_add_array(&c->ctx, &result, "x", &y);
        st = added < 0 ? added : st;
    }
    const int code = finish(c, "invert", st, &result, start);
    lode_array_free(&y);
    cli_value_free(&codes);
    lode_bundle_free(&model);
    lode_bundle_free(&result);
    return code;
}

int cli_merge(cli *c)
{
    const int bad = need(c, "merge", 2, CLI_MAX, true, "lode merge MODEL MODEL... -o OUTPUT");
    if (bad)
        return bad;
    static lode_bundle model[CLI_MAX];
    const lode_bundle *models[CLI_MAX];
    lode_bundle result = { 0 };
    lode_status st = LODE_OK;
    const double start = cli_seconds();
    cli_progress_start(c);
    for (int i = 0; st >= 0 && i < c->words; i++) {
        st = cli_model(c, c->word[i], &model[i]);
        models[i] = &model[i];
    }
    if (st >= 0)
        st = lode_merge(&c->ctx, models, c->words, &result);
    if (st >= 0) {
        lode_value from[CLI_MAX];
        for (int i = 0; i < c->words; i++)
            from[i] = lode_from_bundle(models[i]);
        st = record(c, st, "merge", from, c->words, &result);
    }
    const int code = finish(c, "merge", st, &result, start);
    for (int i = 0; i < c->words; i++)
        lode_bundle_free(&model[i]);
    lode_bundle_free(&result);
    return code;
}

/* The originals of a result whose operation takes files of many members: one, or as many as it was made
 * from, as a bundle of bundles. */
static lode_status read_files(cli *c, cli_value *v)
{
    lode_status st = LODE_OK;
    lode_bundle one = { 0 };
    for (int i = 1; st >= 0 && i < c->words; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i - 1);
        st = lode_read_model(&c->ctx, c->word[i], &c->read, false, &one);
        if (st >= 0)
            st = lode_bundle_add_bundle(&c->ctx, &v->held, name, &one);
    }
    lode_bundle_free(&one);
    v->value = c->words == 2 ? lode_bundle_value(&v->held, 0) : lode_from_bundle(&v->held);
    return st;
}

static bool takes_files(cli *c, const lode_bundle *model)
{
    const lode_op *op = lode_op_find(&c->ctx, model->meta.op);
    return op && op->in[0].name && (op->in[0].kinds & LODE_KIND_BIT(LODE_BUNDLE));
}

int cli_verify(cli *c)
{
    lode_bundle model = { 0 };
    cli_value original = { 0 };
    lode_certificate found = { 0 };
    const int bad = need(c, "verify", 1, CLI_MAX, false, "lode verify FILE [ORIGINAL]");
    if (bad)
        return bad;
    cli_progress_start(c);
    cli_tell_notes(c);
    lode_bundle file = { 0 };
    if (cli_opens(c->word[0]) && lode_open_whole(&c->ctx, c->word[0], &c->read, &file) >= 0 &&
        lode_holds_results(&file)) {
        if (c->ctx.checkpoint) {
            lode_bundle_free(&file);
            return cli_usage(c, "verify keeps a checkpoint of one result: leave out --checkpoint, "
                                "or name one, as in FILE:NAME");
        }
        const int whole = cli_verify_file(c, &file, c->words == 2 ? c->word[1] : NULL);
        lode_bundle_free(&file);
        return whole;
    }
    lode_bundle_free(&file);
    lode_status st = cli_model(c, c->word[0], &model);
    const bool files = st >= 0 && takes_files(c, &model) && c->words >= 2 && cli_opens(c->word[1]);
    if (st >= 0 && c->words > 2 && !files) {
        lode_bundle_free(&model);
        return cli_usage(c, "usage: lode verify FILE [ORIGINAL]");
    }
    if (st >= 0 && c->words >= 2)
        st = files ? read_files(c, &original) : cli_read(c, c->word[1], &original);
    if (st >= 0)
        st = lode_verify(&c->ctx, &model, original.value, &found);
    int code = CLI_OK;
    if (st < 0) {
        code = cli_failed(c, st);
    } else {
        char text[512], *json = NULL;
        const lode_status removed = lode_checkpoint_remove(&c->ctx);
        st = removed < 0 ? removed : st;
        cli_progress_stop(c);
        lode_certificate_print(&found, text, sizeof text);
        if (!c->quiet)
            fprintf(stderr, "verify: holds; %s\n", text);
        if (c->json && lode_certificate_json(&c->ctx, &found, &json) >= 0)
            puts(json);
        lode_text_free(json);
        code = lode_status_exit(st);
    }
    cli_value_free(&original);
    lode_bundle_free(&model);
    return code;
}

bool cli_is_page(const char *path)
{
    const size_t n = strlen(path);
    return n > 5 && strcmp(path + n - 5, ".html") == 0;
}

int cli_plot(cli *c)
{
    lode_bundle model = { 0 };
    cli_value original = { 0 };
    lode_figure *figure = NULL;
    const int bad = need(
        c, "plot", 1, 2, true,
        "lode plot MODEL [ORIGINAL] -o FIGURE.svg|FIGURE.png|PAGE.html [--width PIXELS] [--dark]");
    if (bad)
        return bad;
    const bool page = cli_is_page(c->output[0].path);
    if (page && (c->width || c->dark))
        return cli_usage(c, "a page follows its reader in width and colours: leave --width and "
                            "--dark out, or write .svg or .png");
    const int width = c->width ? atoi(c->width) : 0;
    if (c->width && (width < 200 || width > 10000))
        return cli_usage(c, "--width is '%s'; give pixels from 200 to 10000", c->width);
    lode_status st = cli_model(c, c->word[0], &model);
    if (st >= 0 && c->words == 2)
        st = cli_read(c, c->word[1], &original);
    if (st >= 0 && page) {
        st = lode_report(&c->ctx, &model, original.value, c->output[0].path, c->force);
        cli_keep_caveat(c, st);
    } else {
        if (st >= 0)
            st = lode_figure_new(&c->ctx, &figure);
        if (st >= 0)
            st = lode_plot(&c->ctx, &model, original.value, figure);
        cli_keep_caveat(c, st);
        if (st >= 0)
            st = lode_figure_write(&c->ctx, figure, c->output[0].path, width, c->dark, c->force);
    }
    const int code = st < 0 ? cli_failed(c, st) : cli_exit(c, st);
    if (st >= 0 && *c->caveat)
        fprintf(stderr, "plot: %s\n", c->caveat);
    if (st >= 0 && !c->quiet)
        fprintf(stderr, "plot: written %s\n", c->output[0].path);
    lode_figure_free(&figure);
    cli_value_free(&original);
    lode_bundle_free(&model);
    return code;
}
