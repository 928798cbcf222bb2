/* Values named on the command line, and results written. */
#include <string.h>

#include "cli.h"

void cli_value_free(cli_value *v)
{
    lode_bundle_free(&v->held);
    *v = (cli_value){ 0 };
}

/* A header in doubt is a caveat of all that follows. */
static void doubt_header(cli *c, const char *path)
{
    lode_file *file = NULL;
    cli_keep_caveat(c, lode_file_open(&c->ctx, path, &c->read, &file));
    lode_file_close(&file);
}

/* The model whole. Of an array coded in blocks, only they know what damage takes: when it cannot be
 * read they are, as far as they go, and checked; when it is read in spite of damage, they will say. */
static lode_status read_model(cli *c, const char *path, lode_bundle *model)
{
    lode_bundle damaged = { 0 };
    lode_certificate found;
    const lode_op *op = NULL;
    /* beside data that the flags describe, a result is what its name says */
    const bool own = c->words > 1 && lode_format_keeps_results(NULL, path);
    const lode_read_opts *const read = own ? NULL : &c->read;
    if (c->ctx.recover)
        doubt_header(c, path);
    lode_status st = lode_read_model(&c->ctx, path, read, true, model);
    if (st > 0 && (op = lode_op_find(&c->ctx, model->meta.op)) && op->chunk)
        return LODE_OK;
    cli_keep_caveat(c, st);
    if (st != LODE_EFORMAT || c->ctx.recover)
        return st;
    c->ctx.recover = true;
    const lode_status got = lode_read_model(&c->ctx, path, read, true, &damaged);
    c->ctx.recover = false;
    lode_status said = LODE_OK;
    if (got >= 0 && (op = lode_op_find(&c->ctx, damaged.meta.op)) && op->chunk)
        said = lode_verify(&c->ctx, &damaged, lode_none(), &found);
    if (said >= 0) /* the reader's own sentence */
        st = lode_read_model(&c->ctx, path, read, true, model);
    lode_bundle_free(&damaged);
    return st;
}

static lode_status read_value(cli *c, const char *spec, bool whole, cli_value *v)
{
    *v = (cli_value){ 0 };
    const lode_status st = lode_open_value(&c->ctx, spec, &c->read, whole, NULL, &v->held);
    cli_keep_caveat(c, st);
    if (st >= 0)
        v->value = lode_bundle_value(&v->held, 0);
    return st;
}

lode_status cli_read(cli *c, const char *spec, cli_value *v)
{
    return read_value(c, spec, false, v);
}

lode_status cli_read_file(cli *c, const char *spec, cli_value *v)
{
    return read_value(c, spec, true, v);
}

lode_status cli_load(cli *c, const lode_source *s, lode_array *x)
{
    const int64_t start[LODE_MAX_NDIM] = { 0 };
    const lode_status st = lode_array_new(&c->ctx, s->dtype, s->ndim, s->shape, x);
    return st < 0 ? st : s->read(&c->ctx, s, start, s->shape, x->data);
}

lode_status cli_model(cli *c, const char *path, lode_bundle *model)
{
    return read_model(c, path, model);
}

int cli_check_outputs(cli *c)
{
    for (int i = 0; i < c->outputs && !c->force; i++)
        if (cli_opens(c->output[i].path))
            return cli_usage(c, "%s exists; give --force to replace it", c->output[i].path);
    if (c->html && !c->force && cli_opens(c->html))
        return cli_usage(c, "%s exists; give --force to replace it", c->html);
    return CLI_OK;
}

lode_status cli_write(cli *c, const lode_bundle *result)
{
    lode_status worst = LODE_OK;
    for (int i = 0; i < c->outputs; i++) {
        const lode_write_opts o = { .format = c->to, .force = c->force, .only = c->output[i].port };
        const lode_status st = c->decodes
                                   ? lode_write_decoded(&c->ctx, c->output[i].path, result, &o)
                                   : lode_write(&c->ctx, c->output[i].path, result, &o);
        if (st < 0)
            return st;
        worst = st > worst ? st : worst;
    }
    return worst;
}
