/* `lode OP ...` and `lode plan OP ...`: a call by name from the words given. */
#include <math.h>
#include <string.h>

#include "cli.h"

/* Everything a call borrows from the command line. */
typedef struct request {
    lode_call call;
    cli_value input[CLI_MAX];
    lode_bundle arrays; /* array options */
    int inputs;
} request;

static void request_free(request *r)
{
    lode_call_free(&r->call);
    for (int i = 0; i < r->inputs; i++)
        cli_value_free(&r->input[i]);
    lode_bundle_free(&r->arrays);
}

const lode_param *cli_find_param(const lode_op *op, const char *name)
{
    for (const lode_param *p = op->params; p->name; p++) {
        size_t i = 0;
        while (name[i] && (name[i] == p->name[i] || (name[i] == '-' && p->name[i] == '_')))
            i++;
        if (!name[i] && !p->name[i])
            return p;
    }
    return NULL;
}

static lode_status set_option(cli *c, request *r, const cli_option *o)
{
    const lode_param *p = cli_find_param(r->call.op, o->name);
    const lode_array *a = NULL;
    if (p && p->kind == LODE_P_ARRAY && o->value) {
        lode_status st = lode_read_value(&c->ctx, o->value, &c->read, true, p->name, &r->arrays);
        if (st >= 0)
            st = lode_bundle_array(&c->ctx, &r->arrays, p->name, &a);
        return st < 0 ? st : lode_call_set_array(&c->ctx, &r->call, p->name, a);
    }
    return lode_call_set(&c->ctx, &r->call, o->name, o->value ? o->value : "true");
}

const lode_port *cli_port_of(const lode_port *ports, const char *word, const char **rest)
{
    const char *equals = strchr(word, '=');
    for (const lode_port *p = ports; equals && p && p->name; p++)
        if (strlen(p->name) == (size_t)(equals - word) &&
            strncmp(p->name, word, strlen(p->name)) == 0) {
            *rest = equals + 1;
            return p;
        }
    return NULL;
}

const lode_port *cli_named_port(const lode_op *op, const char *word, const char **rest)
{
    return cli_port_of(op->in, word, rest);
}

/* The port that the next plain word binds to. */
static const lode_port *next_port(const request *r)
{
    const lode_op *op = r->call.op;
    for (int n = 0; op->in[n].name; n++)
        if (!op->in[n].optional && !op->in[n].repeated && r->call.in[n].kind == LODE_NONE)
            return &op->in[n];
    for (int n = 0; op->in[n].name; n++)
        if (op->in[n].follows && (op->in[n].repeated || r->call.in[n].kind == LODE_NONE))
            return &op->in[n];
    return NULL;
}

lode_status cli_read_input(cli *c, const lode_port *port, bool file, const char *spec, cli_value *v)
{
    if (port && port->kinds == LODE_KIND_BIT(LODE_TEXT)) {
        v->value = lode_from_text(spec);
        return LODE_OK;
    }
    /* a file of many members, read as they are needed; what an address names in it is one array */
    if (port && (port->kinds & LODE_KIND_BIT(LODE_BUNDLE)) &&
        (port->kinds == LODE_KIND_BIT(LODE_BUNDLE) || cli_opens(spec))) {
        const lode_status st = lode_read_model(&c->ctx, spec, &c->read, false, &v->held);
        cli_keep_caveat(c, st);
        v->value = lode_from_bundle(&v->held);
        return st;
    }
    return (file ? cli_read_file : cli_read)(c, spec, v);
}

static lode_status add_input(cli *c, request *r, const char *word)
{
    const char *spec = word;
    const lode_port *port = cli_named_port(r->call.op, word, &spec);
    const char *name = port ? port->name : NULL;
    if (!port)
        port = next_port(r);
    cli_value *v = &r->input[r->inputs++];
    const bool first = port == r->call.op->in && r->inputs == 1;
    lode_status st = cli_read_input(c, port, first && lode_op_takes_files(r->call.op), spec, v);
    if (st >= 0 && first)
        st = lode_call_attributes(&c->ctx, &r->call, v->held.meta.attributes);
    return st < 0 ? st : lode_call_input(&c->ctx, &r->call, name, v->value);
}

static lode_status build(cli *c, const lode_op *op, int first, request *r)
{
    /* --shape and --dtype describe raw files, unless the operation has options of these names. */
    const cli_option shared[] = { { "shape", c->shape }, { "dtype", c->dtype } };
    lode_status st = lode_call_init(&c->ctx, op, &r->call);
    for (int i = 0; st >= 0 && i < 2; i++)
        if (shared[i].value && cli_find_param(op, shared[i].name))
            st = set_option(c, r, &shared[i]);
    for (int i = 0; st >= 0 && i < c->options; i++)
        st = set_option(c, r, &c->option[i]);
    for (int i = first; st >= 0 && i < c->words; i++)
        st = add_input(c, r, c->word[i]);
    return st;
}

/* Options given alone that are no switches: said, and CLI_USAGE. */
static int check_values(const cli *c, const lode_op *op)
{
    for (int i = 0; i < c->options; i++) {
        const lode_param *p = c->option[i].value ? NULL : cli_find_param(op, c->option[i].name);
        if (p && p->kind != LODE_P_BOOL)
            return cli_usage(c, "--%s needs a value; see 'lode help %s'", c->option[i].name,
                             op->name);
    }
    return CLI_OK;
}

/* Of a whole file: what is left out is told, and what does not fit waits beside the output. */
static int prepare_file(cli *c, const request *r, char *folder, size_t size)
{
    const char *path = c->outputs ? c->output[0].path : "";
    if (r->call.in[0].kind != LODE_BUNDLE)
        return CLI_OK;
    for (int i = 0; i < c->outputs && lode_op_takes_files(r->call.op); i++)
        if (c->output[i].port || !lode_format_keeps_members(c->to, c->output[i].path))
            return cli_usage(c,
                             "%s is a whole file, whose results go into one .lode file; give -o "
                             "NAME.lode, or name one value as %s:NAME",
                             c->word[0], c->word[0]);
    const char *slash = strrchr(path, '/');
    const size_t n = slash ? (size_t)(slash - path) + 1 : 2;
    if (!c->ctx.scratch && c->outputs && strcmp(path, "-") != 0 && n < size) {
        memcpy(folder, slash ? path : "./", n);
        folder[n] = '\0';
        c->ctx.scratch = folder;
    }
    return CLI_OK;
}

/* Whether the report says all of a result. */
static bool printed_whole(const lode_op *op)
{
    for (const lode_port *port = op->out; port->name; port++)
        if (port->kinds != LODE_KIND_BIT(LODE_SCALAR))
            return false;
    return true;
}

int cli_run_op(cli *c, const lode_op *op)
{
    static request r;
    static char folder[4096];
    lode_bundle result = { 0 };
    int code = check_values(c, op);
    if (!code)
        code = cli_check_outputs(c);
    if (code)
        return code;
    const double start = cli_seconds();
    cli_progress_start(c);
    cli_tell_notes(c);
    lode_status st = build(c, op, 0, &r);
    code = st >= 0 ? prepare_file(c, &r, folder, sizeof folder) : CLI_OK;
    if (code) {
        request_free(&r);
        return code;
    }
    if (st >= 0 && c->html && (!c->outputs || r.call.in[0].kind == LODE_BUNDLE)) {
        request_free(&r);
        return cli_usage(c, "--html is a page of one result, which -o writes%s",
                         c->outputs ? "; of a file of several, give lode plot one of them" : "");
    }
    if (st >= 0)
        st = (c->outputs ? lode_call_make : lode_call_run)(&c->ctx, &r.call, &result);
    const double seconds = cli_seconds() - start;
    cli_keep_caveat(c, st);
    if (st >= 0 && c->outputs) {
        const lode_status wrote = cli_write(c, &result);
        const lode_status removed = wrote < 0 ? wrote : lode_checkpoint_remove(&c->ctx);
        st = removed < 0 ? removed : st;
        if (st >= 0 && c->html) {
            const lode_status page = lode_report(&c->ctx, &result, r.call.in[0], c->html, c->force);
            st = page < 0 ? page : st;
        }
    } else if (st >= 0 && printed_whole(op)) {
        st = lode_checkpoint_remove(&c->ctx);
    }
    if (st >= 0 && r.call.in[0].kind == LODE_BUNDLE && lode_op_takes_files(op)) {
        const lode_status told = cli_report_file(c, op->name, c->word[0], &result, st, seconds);
        st = told < 0 ? told : st;
    } else if (st >= 0) {
        cli_report(c, op->name, &result, &r.call.plan, st, seconds);
    }
    if (st < 0)
        code = cli_failed(c, st);
    lode_bundle_free(&result);
    request_free(&r);
    return st < 0 ? code : lode_status_exit(st);
}

/* Bytes of the first input, or 0. */
static double bytes_in(const lode_value v)
{
    if (v.kind == LODE_ARRAY)
        return (double)lode_array_bytes(v.as.array);
    double all = 0;
    for (int64_t i = 0; v.kind == LODE_BUNDLE && i < v.as.bundle->count; i++)
        all += bytes_in(lode_bundle_value(v.as.bundle, i));
    if (v.kind == LODE_BUNDLE)
        return all;
    if (v.kind != LODE_SOURCE)
        return 0;
    double bytes = (double)lode_dtype_size(v.as.source->dtype);
    for (int k = 0; k < v.as.source->ndim; k++)
        bytes *= (double)v.as.source->shape[k];
    return bytes;
}

static void print_forecast(const lode_call *call, const lode_plan *p)
{
    char low[32], high[32];
    const double from = bytes_in(call->in[0]);
    cli_print_bytes(p->bytes_low, low), cli_print_bytes(p->bytes_high, high);
    if (p->bytes_high > p->bytes_low)
        printf("  %-10s %s to %s (ratio %.3g to %.3g)\n", "size", low, high, from / p->bytes_high,
               from / fmax(p->bytes_low, 1));
    else if (p->bytes_high > 0)
        printf("  %-10s about %s (ratio %.3g)\n", "size", high, from / p->bytes_high);
    if (p->seconds_high > p->seconds_low)
        printf("  %-10s %.2g to %.2g s\n", "time", p->seconds_low, p->seconds_high);
    else if (p->seconds_high > 0)
        printf("  %-10s about %.2g s\n", "time", p->seconds_high);
    if (p->basis[0])
        printf("  %-10s %s\n", "forecast", p->basis);
}

int cli_plan(cli *c)
{
    static request r;
    char need[32], size[32], scratch[32];
    if (c->words == 0)
        return cli_usage(
            c, "plan needs an operation and its inputs, as in 'lode plan svd A.npy --rank 10'");
    const lode_op *op = lode_op_find(&c->ctx, c->word[0]);
    if (!op)
        return cli_usage(c, "no operation '%s'; 'lode list' shows all", c->word[0]);
    const int bad = check_values(c, op);
    if (bad)
        return bad;
    lode_status st = build(c, op, 1, &r);
    if (st >= 0)
        st = lode_call_forecast(&c->ctx, &r.call);
    const lode_plan *p = &r.call.plan;
    int code = CLI_OK;
    char *json = NULL;
    if (st >= 0 && c->json)
        st = lode_plan_json(&c->ctx, p, &json);
    if (st < 0) {
        code = cli_failed(c, st);
    } else if (c->json) {
        puts(json);
    } else {
        cli_print_bytes((double)(p->workspace + p->output + p->resident), need);
        cli_print_bytes((double)p->output, size);
        cli_print_bytes((double)p->scratch, scratch);
        printf("%s: %s\n  %-10s %s (inputs held %.1f MiB, workspace %.1f MiB, outputs up to %s)\n",
               op->name, p->algorithm, "memory", need, (double)p->resident / 1048576,
               (double)p->workspace / 1048576, size);
        printf("  %-10s %s\n  %-10s %.3g over the input\n", "disk", scratch, "passes", p->passes);
        if (p->slab > 0)
            printf("  %-10s %lld rows of the first axis at a time\n", "slabs", (long long)p->slab);
        print_forecast(&r.call, p);
    }
    lode_text_free(json);
    request_free(&r);
    return code;
}
