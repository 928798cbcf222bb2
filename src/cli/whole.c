/* Whole files: the table of their members, the report of a job, the check of every certificate. */
#include <math.h>
#include <string.h>

#include "cli.h"

/* Columns of the table. */
enum { NAME_LEAST = 8, NAME_MOST = 40 };

/* The error reached, in the form in which one is asked for. */
static void print_error(const lode_entry *e, char text[48])
{
    const lode_certificate *c = &e->certificate;
    const char *kind = c->norm == LODE_NORM_MAX ? (c->relative ? "maxrel" : "max")
                                                : (c->relative ? "rel" : "fro");
    text[0] = '\0';
    if (e->result && c->kind != LODE_CERT_NONE && !(c->absolute > 0))
        snprintf(text, 48, "0");
    else if (e->result && c->kind != LODE_CERT_NONE)
        snprintf(text, 48, "%.3g:%s", c->value, kind);
}

static void print_line(FILE *f, const lode_entry *e, int width)
{
    char shape[128], in[32], out[32], error[48];
    const bool dense = e->result || e->kind == LODE_ARRAY || e->kind == LODE_SOURCE;
    cli_print_shape(e->ndim, e->shape, shape, sizeof shape);
    cli_print_bytes(e->bytes_in, in), cli_print_bytes(e->bytes_out, out);
    print_error(e, error);
    fprintf(f, "  %-*s %-18s %-5s %-12s", width, e->name, dense ? shape : lode_kind_name(e->kind),
            dense ? lode_dtype_name(e->dtype) : "", e->rule);
    if (e->result)
        fprintf(f, " %-12s %10s -> %-10s %6.4g\n", error, in, out,
                e->bytes_in / fmax(e->bytes_out, 1));
    else
        fprintf(f, " %-12s %10s\n", "", in);
}

static int name_width(const lode_bundle *file)
{
    size_t width = NAME_LEAST;
    for (int64_t i = 0; i < file->count; i++) {
        const size_t n = strlen(lode_bundle_name(file, i));
        width = n > width ? n : width;
    }
    return (int)(width > NAME_MOST ? NAME_MOST : width);
}

lode_status cli_print_table(cli *c, FILE *f, const lode_bundle *file)
{
    const int width = name_width(file);
    lode_entry e;
    fprintf(f, "  %-*s %-18s %-5s %-12s %-12s %10s -> %-10s %6s\n", width, "member", "shape",
            "type", "rule", "error", "bytes", "stored", "ratio");
    for (int64_t i = 0; i < file->count; i++) {
        const lode_status st = lode_entry_of(&c->ctx, file, i, &e);
        if (st < 0)
            return st;
        print_line(f, &e, width);
    }
    return LODE_OK;
}

static void print_number(double v)
{
    if (isfinite(v))
        printf("%.17g", v);
    else
        fputs("null", stdout);
}

lode_status cli_print_table_json(cli *c, const lode_bundle *file)
{
    lode_entry e;
    for (int64_t i = 0; i < file->count; i++) {
        char *text = NULL;
        const lode_status st = lode_entry_of(&c->ctx, file, i, &e);
        if (st < 0)
            return st;
        fputs(i ? ", {\"name\": " : "{\"name\": ", stdout);
        cli_json_text(stdout, e.name);
        printf(", \"kind\": \"%s\", ", e.result ? "result" : lode_kind_name(e.kind));
        cli_json_shape(stdout, e.dtype, e.ndim, e.shape);
        printf(", \"rule\": \"%s\", \"bytes_in\": %.0f, \"bytes_out\": %.0f, \"ratio\": ", e.rule,
               e.bytes_in, e.bytes_out);
        print_number(e.bytes_in / e.bytes_out);
        if (e.result && lode_certificate_json(&c->ctx, &e.certificate, &text) >= 0)
            printf(", \"certificate\": %s", text);
        putchar('}');
        lode_text_free(text);
    }
    return LODE_OK;
}

/* ---- the report of a job ---- */

static double bytes_stored(cli *c, const lode_bundle *file)
{
    double sum = 0;
    lode_entry e;
    for (int64_t i = 0; i < file->count; i++)
        if (lode_entry_of(&c->ctx, file, i, &e) >= 0)
            sum += e.bytes_out;
    return sum;
}

lode_status cli_report_file(cli *c, const char *op, const char *from, const lode_bundle *result,
                            lode_status st, double seconds)
{
    char in[32], out[32], before[32];
    int64_t results = 0;
    lode_status told = LODE_OK;
    cli_progress_stop(c);
    for (int64_t i = 0; i < result->count; i++)
        results += lode_bundle_value(result, i).kind == LODE_BUNDLE;
    const int64_t size = c->outputs ? cli_file_size(c->output[0].path) : -1;
    const int64_t original = cli_file_size(from);
    const double to = size >= 0 ? (double)size : bytes_stored(c, result);
    const double bytes = (double)result->meta.input_bytes;
    cli_print_bytes(bytes, in), cli_print_bytes(to, out), cli_print_bytes((double)original, before);
    if (!c->quiet) {
        fprintf(stderr, "%s: %lld of %lld members, %.3g s\n", op, (long long)results,
                (long long)result->count, seconds);
        told = cli_print_table(c, stderr, result);
        fprintf(stderr, "  %-12s %s -> %s, ratio %.4g", "bytes", in, out, bytes / fmax(to, 1));
        if (original > 0)
            fprintf(stderr, " (of the file's %s: %.4g)", before, (double)original / fmax(to, 1));
        fprintf(stderr, "\n  %-12s %s\n", "written",
                c->outputs ? c->output[0].path : "nothing; -o FILE.lode keeps the result");
        if (st > 0 || *c->caveat)
            fprintf(stderr, "  %-12s %s\n", "caveat",
                    *c->caveat ? c->caveat : lode_status_text(st));
    }
    if (c->json && told >= 0) {
        printf("{\"op\": \"%s\", \"status\": \"%s\", \"seconds\": %.6f, \"bytes_in\": %.0f, "
               "\"bytes_out\": %.0f, \"members\": [",
               op, lode_status_name(st), seconds, bytes, to);
        told = cli_print_table_json(c, result);
        fputs("], ", stdout);
        cli_json_output(stdout, c);
        puts("}");
    }
    return told;
}

/* ---- verify ---- */

int cli_verify_file(cli *c, const lode_bundle *file, const char *original)
{
    lode_bundle from = { 0 };
    int64_t results = 0, kept = 0, failed = 0;
    lode_status worst = LODE_OK;
    char text[512], *json = NULL;
    if (original)
        worst = lode_open_whole(&c->ctx, original, &c->read, &from);
    if (worst < 0)
        return cli_failed(c, worst);
    if (c->json)
        fputs("{\"op\": \"verify\", \"members\": [", stdout);
    for (int64_t i = 0; i < file->count; i++) {
        lode_certificate found = { 0 };
        const char *name = lode_bundle_name(file, i);
        const bool result = lode_bundle_value(file, i).kind == LODE_BUNDLE;
        const lode_status st = lode_verify_entry(
            &c->ctx, file, i, original ? lode_from_bundle(&from) : lode_none(), &found);
        cli_progress_stop(c);
        results += result && st >= 0, kept += !result && st >= 0, failed += st < 0;
        if (st < 0) {
            cli_failed(c, st);
            worst = worst < 0 ? worst : st;
        } else if (result && !c->quiet) {
            lode_certificate_print(&found, text, sizeof text);
            fprintf(stderr, "verify: %s holds; %s\n", name, text);
        }
        if (c->json) {
            fputs(i ? ", {\"name\": " : "{\"name\": ", stdout);
            cli_json_text(stdout, name);
            printf(", \"holds\": %s", st < 0 ? "false" : "true");
            if (st >= 0 && result && lode_certificate_json(&c->ctx, &found, &json) >= 0)
                printf(", \"certificate\": %s", json);
            lode_text_free(json);
            json = NULL;
            putchar('}');
        }
        if (st == LODE_ECANCEL)
            break;
    }
    if (c->json)
        printf("], \"failed\": %lld}\n", (long long)failed);
    if (!c->quiet && failed)
        fprintf(stderr, "verify: %lld of %lld members failed\n", (long long)failed,
                (long long)file->count);
    else if (!c->quiet)
        fprintf(stderr, "verify: all %lld results hold; members kept as they %s: %lld\n",
                (long long)results, original ? "were" : "are", (long long)kept);
    lode_bundle_free(&from);
    return lode_status_exit(worst);
}
