/* Help, man page and reference page, all from the table. */
#include <string.h>

#include "op/call.h"
#include "op/describe.h"

#define ADD(...) LODE_TRY(lode_i_text_add(ctx, t, __VA_ARGS__))

const char *lode_i_dashed(const char *name, char *out, size_t size)
{
    size_t i = 0;
    for (; name[i] && i + 1 < size; i++)
        out[i] = name[i] == '_' ? '-' : name[i];
    out[i] = 0;
    return out;
}

/* What stands for the value in a synopsis. */
static const char *placeholder(const lode_param *p)
{
    switch (p->kind) {
    case LODE_P_BOOL: return "true|false";
    case LODE_P_ENUM: return p->choices;
    case LODE_P_TEXT: return p->path ? "FILE" : "TEXT";
    case LODE_P_RANK: return "R|R1,R2,..|auto";
    case LODE_P_ERROR: return "E[:KIND]";
    case LODE_P_BUDGET: return "SIZE";
    case LODE_P_AXES: return "AXES";
    case LODE_P_LIST: return "X1,X2,..";
    case LODE_P_MISSING: return "nan|inf|none|VALUE";
    case LODE_P_ARRAY: return "FILE";
    case LODE_P_AUTO_I64: return "N|auto";
    case LODE_P_AUTO_F64: return "X|auto";
    case LODE_P_F64: return "X";
    case LODE_P_I64:
    case LODE_P_U64: break;
    }
    return "N";
}

static lode_status add_synopsis(lode_ctx *ctx, const lode_op *op, lode_text *t)
{
    lode_status st = LODE_OK;
    ADD("lode %s", op->name);
    for (const lode_port *p = op->in; p->name; p++) {
        if (p->follows)
            ADD(" [%s%s]", p->name, p->repeated ? "..." : "");
        else if (p->repeated)
            ADD(" %s=%s...", p->name, "FILE");
        else if (p->optional)
            ADD(" [%s=FILE]", p->name);
        else
            ADD(" %s", p->name);
    }
    ADD(" -o OUTPUT");
    if (op->params->name)
        ADD(" [--option value]...");
done:
    return st;
}

static lode_status add_kinds(lode_ctx *ctx, const lode_port *p, bool input, lode_text *t)
{
    lode_status st = LODE_OK;
    const uint32_t kinds = lode_i_port_kinds(p, input), types = lode_i_port_types(p);
    const char *comma = "";
    for (int k = LODE_ARRAY; k <= LODE_SCALAR; k++)
        if (kinds & LODE_KIND_BIT(k)) {
            ADD("%s%s", comma, lode_kind_name((lode_kind)k));
            comma = ", ";
        }
    if (!(kinds & LODE_ANY_MATRIX))
        goto done;
    if (types == LODE_NUMBERS) {
        ADD("; any number type");
        goto done;
    }
    comma = "; ";
    for (int d = 0; d < LODE_DTYPE_COUNT; d++)
        if (types & (UINT32_C(1) << d)) {
            ADD("%s%s", comma, lode_dtype_name((lode_dtype)d));
            comma = " ";
        }
done:
    return st;
}

/* Bounds and default of one option, in brackets. */
static lode_status add_limits(lode_ctx *ctx, const lode_op *op, const lode_param *p, lode_text *t)
{
    lode_status st = LODE_OK;
    lode_text text = { 0 };
    char lo[32], hi[32];
    if (p->required) {
        ADD(" [required");
    } else {
        LODE_TRY(lode_i_param_default(ctx, op, p, &text));
        ADD(" [default %s", text.size ? text.text : "none");
    }
    if (p->min != 0 || p->max != 0) {
        lode_i_print_f64(p->min, lo), lode_i_print_f64(p->max, hi);
        ADD("; %s to %s", lo, hi);
    }
    ADD("]");
done:
    lode_i_text_free(&text);
    return st;
}

static lode_status help_text(lode_ctx *ctx, const lode_op *op, lode_text *t)
{
    lode_status st = LODE_OK;
    char flag[64];
    const char *verbs[8];
    LODE_TRY(add_synopsis(ctx, op, t));
    ADD("\n\n%s: %s\n\nExample\n  %s\n\n", op->name, op->brief, op->example);
    if (op->in->name)
        ADD("Inputs\n");
    for (const lode_port *p = op->in; p->name; p++) {
        ADD("  %-12s %s%s%s%s%s (", p->name, p->shape ? "(" : "", p->shape ? p->shape : "",
            p->shape ? ") " : "", p->help, p->optional ? ", optional" : "");
        LODE_TRY(add_kinds(ctx, p, true, t));
        ADD(")\n");
    }
    if (op->params->name)
        ADD("\nOptions\n");
    for (const lode_param *p = op->params; p->name; p++) {
        ADD("  --%s %s\n      %s", lode_i_dashed(p->name, flag, sizeof flag), placeholder(p),
            p->help);
        LODE_TRY(add_limits(ctx, op, p, t));
        ADD("\n");
    }
    ADD("\nOutputs\n");
    for (const lode_port *p = op->out; p->name; p++)
        ADD("  %-12s %s%s%s%s\n", p->name, p->shape ? "(" : "", p->shape ? p->shape : "",
            p->shape ? ") " : "", p->help);
    ADD("  certificate  %s\n", lode_cert_kind_name(op->certificate));
    const int n = lode_i_verbs(op, verbs);
    if (n > 0)
        ADD("\nThe result also works with:");
    for (int i = 0; i < n; i++)
        ADD(" %s", verbs[i]);
    if (n > 0)
        ADD("\n");
    if (op->checkpoint)
        ADD("With --checkpoint FILE what is done is kept in FILE, and the same command goes on "
            "from it "
            "after a kill.\n");
    if (op->doi)
        ADD("\nSource: doi:%s\n", op->doi);
done:
    return st;
}

/* Text with what roff would read as a request or an escape made plain. */
static lode_status add_roff(lode_ctx *ctx, lode_text *t, const char *text)
{
    lode_status st = LODE_OK;
    for (const char *c = text; *c; c++) {
        if (*c == '\\')
            ADD("\\e");
        else if (*c == '-')
            ADD("\\-");
        else if ((*c == '.' || *c == '\'') && (c == text || c[-1] == '\n'))
            ADD("\\&%c", *c);
        else
            ADD("%c", *c);
    }
done:
    return st;
}

static lode_status man_page(lode_ctx *ctx, const lode_op *op, lode_text *t)
{
    lode_status st = LODE_OK;
    char flag[64];
    lode_text line = { 0 };
    ADD(".TH LODE\\-%s 1 \"\" \"lode %s\" \"Lode\"\n.SH NAME\nlode\\-%s \\- ", op->name,
        lode_version(), op->name);
    LODE_TRY(add_roff(ctx, t, op->brief));
    ADD("\n.SH SYNOPSIS\n");
    LODE_TRY(add_synopsis(ctx, op, &line));
    LODE_TRY(add_roff(ctx, t, line.text));
    ADD("\n.SH EXAMPLE\n.nf\n");
    LODE_TRY(add_roff(ctx, t, op->example));
    ADD("\n.fi\n.SH INPUTS\n");
    for (const lode_port *p = op->in; p->name; p++) {
        ADD(".TP\n.B %s %s\n", p->name, p->shape ? p->shape : "");
        LODE_TRY(add_roff(ctx, t, p->help));
        ADD("\n");
    }
    ADD(".SH OPTIONS\n");
    for (const lode_param *p = op->params; p->name; p++) {
        ADD(".TP\n.B \\-\\-");
        LODE_TRY(add_roff(ctx, t, lode_i_dashed(p->name, flag, sizeof flag)));
        ADD(" ");
        LODE_TRY(add_roff(ctx, t, placeholder(p)));
        ADD("\n");
        line.size = 0;
        LODE_TRY(lode_i_text_add(ctx, &line, "%s", p->help));
        LODE_TRY(add_limits(ctx, op, p, &line));
        LODE_TRY(add_roff(ctx, t, line.text));
        ADD("\n");
    }
    ADD(".SH OUTPUTS\n");
    for (const lode_port *p = op->out; p->name; p++) {
        ADD(".TP\n.B %s %s\n", p->name, p->shape ? p->shape : "");
        LODE_TRY(add_roff(ctx, t, p->help));
        ADD("\n");
    }
    if (op->doi) {
        ADD(".SH SOURCE\ndoi:");
        LODE_TRY(add_roff(ctx, t, op->doi));
        ADD("\n");
    }
    ADD(".SH SEE ALSO\nlode(1)\n");
done:
    lode_i_text_free(&line);
    return st;
}

/* A table cell: the bar is the one character that would end it. */
static lode_status add_cell(lode_ctx *ctx, lode_text *t, const char *text)
{
    lode_status st = LODE_OK;
    for (const char *c = text; *c; c++)
        ADD(*c == '|' ? "\\|" : "%c", *c);
done:
    return st;
}

static lode_status markdown(lode_ctx *ctx, const lode_op *op, lode_text *t)
{
    lode_status st = LODE_OK;
    char flag[64];
    const char *verbs[8];
    ADD("# %s\n\n%s\n\n```\n%s\n```\n\n", op->name, op->brief, op->example);
    ADD("| input | shape | what |\n|---|---|---|\n");
    for (const lode_port *p = op->in; p->name; p++) {
        ADD("| `%s`%s | %s | ", p->name,
            p->optional   ? " (optional)"
            : p->repeated ? " (repeated)"
                          : "",
            p->shape ? p->shape : "any");
        LODE_TRY(add_cell(ctx, t, p->help));
        ADD(" (");
        LODE_TRY(add_kinds(ctx, p, true, t));
        ADD(") |\n");
    }
    ADD("\n| option | value | what |\n|---|---|---|\n");
    for (const lode_param *p = op->params; p->name; p++) {
        ADD("| `--%s` | `", lode_i_dashed(p->name, flag, sizeof flag));
        LODE_TRY(add_cell(ctx, t, placeholder(p)));
        ADD("` | ");
        LODE_TRY(add_cell(ctx, t, p->help));
        LODE_TRY(add_limits(ctx, op, p, t));
        ADD(" |\n");
    }
    ADD("\n| output | shape | what |\n|---|---|---|\n");
    for (const lode_port *p = op->out; p->name; p++) {
        ADD("| `%s` | %s | ", p->name, p->shape ? p->shape : "any");
        LODE_TRY(add_cell(ctx, t, p->help));
        ADD(" |\n");
    }
    ADD("\nCertificate: %s.", lode_cert_kind_name(op->certificate));
    const int n = lode_i_verbs(op, verbs);
    if (n > 0)
        ADD(" Verbs:");
    for (int i = 0; i < n; i++)
        ADD(" %s", verbs[i]);
    ADD(n > 0 ? ".\n" : "\n");
    if (op->doi)
        ADD("\nSource: doi:%s\n", op->doi);
done:
    return st;
}

lode_status lode_op_describe(lode_ctx *ctx, const lode_op *op, lode_doc form, char **text)
{
    lode_status st = LODE_OK;
    lode_text t = { 0 };
    switch (form) {
    case LODE_DOC_HELP: LODE_TRY(help_text(ctx, op, &t)); break;
    case LODE_DOC_MAN: LODE_TRY(man_page(ctx, op, &t)); break;
    case LODE_DOC_MARKDOWN: LODE_TRY(markdown(ctx, op, &t)); break;
    case LODE_DOC_JSON: return lode_i_op_json(ctx, op, text);
    }
    *text = t.text;
    t = (lode_text){ 0 };
done:
    lode_i_text_free(&t);
    return st;
}
