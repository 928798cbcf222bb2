/* `lode rerun FILE INPUT...`: makes a result again from its inputs and compares. */
#include <string.h>

#include "cli.h"

typedef struct rerun {
    lode_bundle made, again;
    cli_value value[CLI_MAX];
    lode_bundle arrays; /* of options */
    lode_input input[CLI_MAX];
    int inputs;
} rerun;

static void rerun_free(rerun *r)
{
    for (int i = 0; i < CLI_MAX; i++)
        cli_value_free(&r->value[i]);
    lode_bundle_free(&r->arrays);
    lode_bundle_free(&r->made);
    lode_bundle_free(&r->again);
}

/* The port that the n-th word without a name binds to. */
static const lode_port *plain_port(const lode_op *op, int n)
{
    for (const lode_port *p = op->in; p->name; p++)
        if (!p->optional && !p->repeated && n-- == 0)
            return p;
    for (const lode_port *p = op->in; p->name; p++)
        if (p->follows && (p->repeated || n-- == 0))
            return p;
    return NULL;
}

static lode_status read_run(cli *c, const lode_op *op, rerun *r)
{
    lode_status st = LODE_OK;
    int plain = 0;
    for (int i = 1; st >= 0 && i < c->words; i++) {
        const char *spec = c->word[i];
        const lode_port *named = cli_named_port(op, c->word[i], &spec);
        const lode_port *port = named ? named : plain_port(op, plain++);
        cli_value *v = &r->value[i];
        st = cli_read_input(c, port, false, spec, v);
        r->input[r->inputs++] = (lode_input){ named ? named->name : NULL, v->value };
    }
    for (int i = 0; st >= 0 && i < c->options && r->inputs < CLI_MAX; i++) {
        const lode_param *p = cli_find_param(op, c->option[i].name);
        st = lode_read_value(&c->ctx, c->option[i].value, &c->read, true, p->name, &r->arrays);
        if (st >= 0)
            r->input[r->inputs++] = (lode_input){ p->name, lode_bundle_get(&r->arrays, p->name) };
    }
    return st;
}

/* Of merge all are results, else the first. */
static lode_status read_models(cli *c, bool all, rerun *r)
{
    lode_status st = LODE_OK;
    const lode_op *op = lode_op_find(&c->ctx, r->made.meta.op);
    for (int i = 1; st >= 0 && i < c->words; i++) {
        cli_value *v = &r->value[i];
        const bool model = all || i == 1;
        const char *spec = c->word[i];
        const lode_port *named = model || !op ? NULL : cli_port_of(op->update_in, spec, &spec);
        st = model ? cli_model(c, spec, &v->held) : cli_read(c, spec, v);
        if (model)
            v->value = lode_from_bundle(&v->held);
        r->input[r->inputs++] = (lode_input){ named ? named->name : NULL, v->value };
    }
    return st;
}

/* Options that take arrays are inputs; all others stand in the file. */
static int check_options(const cli *c, const lode_op *op)
{
    for (int i = 0; i < c->options; i++) {
        const lode_param *p = op ? cli_find_param(op, c->option[i].name) : NULL;
        if (!p || p->kind != LODE_P_ARRAY || !c->option[i].value)
            return cli_usage(c, "rerun takes options and seed from the file; leave out --%s",
                             c->option[i].name);
    }
    return c->ctx.seed ? cli_usage(c, "rerun takes the seed from the file; leave out --seed")
                       : CLI_OK;
}

static int tell(cli *c, const rerun *r, lode_status st, double seconds)
{
    cli_progress_stop(c);
    if (!c->quiet && st == LODE_DIFFERS)
        fprintf(stderr, "rerun: %s\n", c->caveat);
    else if (!c->quiet)
        fprintf(stderr, "rerun: the same; %lld member%s, options and certificate, %.3g s\n",
                (long long)r->again.count, r->again.count == 1 ? "" : "s", seconds);
    if (c->json) {
        printf("{\"op\": \"rerun\", \"same\": %s, \"said\": ",
               st == LODE_DIFFERS ? "false" : "true");
        cli_json_text(stdout, st == LODE_DIFFERS ? c->caveat : "");
        printf(", \"seconds\": %.6f, ", seconds);
        cli_json_output(stdout, c);
        puts("}");
    }
    return lode_status_exit(st);
}

static void note(void *data, const char *sentence)
{
    (void)data;
    fprintf(stderr, "rerun: %s\n", sentence);
}

int cli_rerun(cli *c)
{
    static rerun r;
    if (c->words < 1 || c->outputs > 1)
        return cli_usage(c, "usage: lode rerun FILE INPUT... [-o OUTPUT]");
    int code = cli_check_outputs(c);
    if (code)
        return code;
    const double start = cli_seconds();
    lode_status st = lode_read_model(&c->ctx, c->word[0], &c->read, false, &r.made);
    const char *verb = st >= 0 ? lode_made_by(&r.made) : "run";
    const bool run = strcmp(verb, "run") == 0;
    const lode_op *op = run && st >= 0 ? lode_op_find(&c->ctx, r.made.meta.op) : NULL;
    if (st >= 0 && (code = check_options(c, op)) != CLI_OK) {
        rerun_free(&r);
        return code;
    }
    c->ctx.log = c->quiet ? NULL : note;
    cli_progress_start(c);
    if (st >= 0 && op)
        st = read_run(c, op, &r);
    else if (st >= 0 && !run)
        st = read_models(c, strcmp(verb, "merge") == 0, &r);
    if (st >= 0)
        st = lode_rerun(&c->ctx, &r.made, r.input, r.inputs, &r.again);
    cli_keep_caveat(c, st);
    if (st >= 0 && c->outputs) {
        const lode_status wrote = cli_write(c, &r.again);
        st = wrote < 0 ? wrote : st;
    }
    code = st < 0 ? cli_failed(c, st) : tell(c, &r, st, cli_seconds() - start);
    rerun_free(&r);
    return code;
}
