/* Values named on the command line, and results written. */
#include <string.h>

#include "cli.h"

void cli_value_free(cli_value *v)
{
    lode_source_close(&v->source);
    lode_bundle_free(&v->held);
    *v = (cli_value){ 0 };
}

static bool has_inverse(cli *c, const lode_bundle *model)
{
    const lode_op *op = model->meta.op[0] ? lode_op_find(&c->ctx, model->meta.op) : NULL;
    return op && op->invert && model->meta.has_shape;
}

/* Whether the spec is a plain path of a result that stands for an array. */
static lode_status read_inverse(cli *c, const char *spec, cli_value *v, bool *is)
{
    lode_bundle meta = { 0 }, model = { 0 };
    lode_file *file = NULL;
    *is = false;
    FILE *f = strcmp(spec, "-") == 0 ? NULL : fopen(spec, "rb");
    if (!f)
        return LODE_OK; /* a member or slice; the reader says what is wrong otherwise */
    fclose(f);
    lode_status st = lode_file_open(&c->ctx, spec, &c->read, &file);
    if (st >= 0)
        st = lode_file_meta(&c->ctx, file, &meta);
    lode_file_close(&file);
    if (st >= 0 && has_inverse(c, &meta)) {
        st = lode_read(&c->ctx, spec, &c->read, &model);
        if (st >= 0)
            st = lode_invert_source(&c->ctx, &model, &v->source);
        *is = st >= 0;
    }
    lode_bundle_free(&meta);
    lode_bundle_free(&model);
    return st;
}

lode_status cli_read(cli *c, const char *spec, cli_value *v)
{
    bool inverse = false;
    *v = (cli_value){ 0 };
    lode_status st = read_inverse(c, spec, v, &inverse);
    if (st < 0)
        return st;
    if (inverse) {
        v->value = lode_from_source(&v->source);
        return LODE_OK;
    }
    st = lode_read_value(&c->ctx, spec, &c->read, false, NULL, &v->held);
    if (st >= 0)
        v->value = lode_bundle_value(&v->held, 0);
    return st;
}

lode_status cli_model(cli *c, const char *path, lode_bundle *model)
{
    return lode_read(&c->ctx, path, &c->read, model);
}

int cli_check_outputs(cli *c)
{
    for (int i = 0; i < c->outputs && !c->force; i++) {
        FILE *f = strcmp(c->output[i].path, "-") == 0 ? NULL : fopen(c->output[i].path, "rb");
        if (!f)
            continue;
        fclose(f);
        return cli_usage(c, "%s exists; give --force to replace it", c->output[i].path);
    }
    return CLI_OK;
}

lode_status cli_write(cli *c, const lode_bundle *result)
{
    for (int i = 0; i < c->outputs; i++) {
        const lode_write_opts o = { .format = c->to, .force = c->force, .only = c->output[i].port };
        const lode_status st = lode_write(&c->ctx, c->output[i].path, result, &o);
        if (st < 0)
            return st;
    }
    return LODE_OK;
}
