/* What the command prints: progress, the summary for people, the object for machines. */
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

double cli_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Each once: a file that is opened twice has the same to say. */
static void print_note(void *data, const char *sentence)
{
    static uint64_t told[64];
    uint64_t print = 1;
    (void)data;
    for (const char *p = sentence; *p; p++)
        print = (print ^ (unsigned char)*p) * UINT64_C(0x100000001B3);
    if (told[print % 64] == print)
        return;
    told[print % 64] = print;
    fprintf(stderr, "lode: %s\n", sentence);
}

void cli_tell_notes(cli *c)
{
    c->ctx.log = c->quiet ? NULL : print_note;
}

bool cli_opens(const char *path)
{
    FILE *f = strcmp(path, "-") == 0 ? NULL : fopen(path, "rb");
    if (f)
        fclose(f);
    return f != NULL;
}

int64_t cli_file_size(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode) ? (int64_t)s.st_size : -1;
}

/* ---- progress ---- */

static bool line_drawn;

static int draw(void *data, const lode_progress *p)
{
    (void)data;
    if (p->seconds < 0.5)
        return 0; /* short work needs no line */
    fprintf(stderr, "\r\033[K%s %3.0f%% %s", p->op, 100 * p->fraction, p->stage);
    if (p->seconds_left >= 0)
        fprintf(stderr, "  %.0f s left", ceil(p->seconds_left));
    fflush(stderr);
    line_drawn = true;
    return 0;
}

void cli_progress_start(cli *c)
{
    const bool on = c->progress == CLI_ALWAYS ||
                    (c->progress == CLI_AUTO && !c->quiet && isatty(STDERR_FILENO));
    c->ctx.progress = on ? draw : NULL;
}

void cli_progress_stop(cli *c)
{
    if (line_drawn)
        fputs("\r\033[K", stderr);
    line_drawn = false;
    c->ctx.progress = NULL;
}

/* ---- text ---- */

void cli_print_bytes(double bytes, char text[32])
{
    static const char *const unit[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
    int k = 0;
    for (; bytes >= 10240 && k < 4; k++)
        bytes /= 1024;
    snprintf(text, 32, k ? "%.1f %s" : "%.0f %s", bytes, unit[k]);
}

void cli_print_shape(int ndim, const int64_t *shape, char *text, size_t size)
{
    size_t n = 0;
    snprintf(text, size, "scalar");
    for (int i = 0; i < ndim && n < size; i++)
        n += (size_t)snprintf(text + n, size - n, "%s%lld", i ? " x " : "", (long long)shape[i]);
}

void cli_json_text(FILE *f, const char *text)
{
    if (!text) {
        fputs("null", f);
        return;
    }
    fputc('"', f);
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\')
            fprintf(f, "\\%c", *p);
        else if ((unsigned char)*p < 0x20)
            fprintf(f, "\\u%04x", (unsigned)(unsigned char)*p);
        else
            fputc(*p, f);
    }
    fputc('"', f);
}

void cli_json_shape(FILE *f, lode_dtype dtype, int ndim, const int64_t *shape)
{
    fprintf(f, "\"dtype\": \"%s\", \"shape\": [", lode_dtype_name(dtype));
    for (int k = 0; k < ndim; k++)
        fprintf(f, "%s%lld", k ? ", " : "", (long long)shape[k]);
    fputc(']', f);
}

void cli_json_output(FILE *f, const cli *c)
{
    fputs("\"output\": ", f);
    cli_json_text(f, c->outputs ? c->output[0].path : NULL);
}

static void print_member(const lode_bundle *b, int64_t i)
{
    char shape[256];
    const lode_value v = lode_bundle_value(b, i);
    const char *name = lode_bundle_name(b, i);
    if (v.kind == LODE_ARRAY) {
        cli_print_shape(v.as.array->ndim, v.as.array->shape, shape, sizeof shape);
        fprintf(stderr, "  %-12s %s %s\n", name, shape, lode_dtype_name(v.as.array->dtype));
    } else if (v.kind == LODE_SCALAR && v.as.scalar->dtype == LODE_I64) {
        fprintf(stderr, "  %-12s %lld\n", name, (long long)v.as.scalar->i);
    } else if (v.kind == LODE_SCALAR) {
        fprintf(stderr, "  %-12s %.9g\n", name, v.as.scalar->re);
    } else if (v.kind == LODE_TEXT && strchr(v.as.text, '\n')) {
        fprintf(stderr, "  %-12s %zu bytes of text\n", name, strlen(v.as.text));
    } else if (v.kind == LODE_TEXT) {
        fprintf(stderr, "  %-12s %s\n", name, v.as.text);
    } else {
        fprintf(stderr, "  %-12s %s\n", name, lode_kind_name(v.kind));
    }
}

/* Bytes of the first output on disk, or of the result in memory when it went elsewhere. */
static double bytes_out(const cli *c, const lode_bundle *result)
{
    const int64_t size = c->outputs ? cli_file_size(c->output[0].path) : -1;
    double sum = 0;
    if (size >= 0)
        return (double)size;
    for (int64_t i = 0; i < result->count; i++) {
        const lode_value v = lode_bundle_value(result, i);
        if (v.kind == LODE_ARRAY)
            sum += (double)lode_array_bytes(v.as.array);
    }
    return sum;
}

static void report_written(const cli *c, const lode_op *op, const lode_bundle *result)
{
    bool arrays = false;
    for (int64_t i = 0; i < result->count; i++)
        arrays = arrays || lode_bundle_value(result, i).kind == LODE_ARRAY;
    if (c->outputs)
        fprintf(stderr, "  %-12s %s\n", "written", c->output[0].path);
    else if (arrays)
        fprintf(stderr, "  %-12s nothing; -o FILE keeps the result\n", "written");
    if (c->outputs && op && op->invert && result->meta.has_shape && !c->output[0].port &&
        !lode_format_keeps_results(c->to, c->output[0].path))
        fprintf(stderr,
                "  %-12s %s holds one member alone, %s; to expand, query or verify the result "
                "write a .lode file\n",
                "note", c->output[0].path, lode_bundle_name(result, 0));
}

static void report_text(cli *c, const char *op, const lode_bundle *result, const lode_plan *plan,
                        lode_status st, double seconds)
{
    char text[512], in[32], out[32], *told = NULL;
    const double from = (double)result->meta.input_bytes, to = bytes_out(c, result);
    const lode_op *descriptor = lode_op_find(&c->ctx, op);
    fprintf(stderr, "%s: %s%s%.3g s\n", op, plan && plan->algorithm[0] ? plan->algorithm : "",
            plan && plan->algorithm[0] ? ", " : "", seconds);
    /* a diagnosis is what it says; the arrays it rests on are in the file */
    const bool says = descriptor && descriptor->job == LODE_DIAGNOSE && descriptor->tell &&
                      lode_tell(&c->ctx, result, LODE_DOC_HELP, &told) >= 0;
    if (says)
        fputs(told, stderr);
    for (int64_t i = 0; i < result->count && i < 12 && !says; i++)
        print_member(result, i);
    if (result->count > 12 && !says)
        fprintf(stderr, "  and %lld more\n", (long long)(result->count - 12));
    lode_text_free(told);
    if (from > 0 && descriptor && descriptor->job == LODE_SHRINK) {
        cli_print_bytes(from, in), cli_print_bytes(to, out);
        fprintf(stderr, "  %-12s %s -> %s\n  %-12s %.4g\n", "bytes", in, out, "ratio",
                from / (to > 0 ? to : 1));
    }
    if (result->certificate.kind != LODE_CERT_NONE) {
        lode_certificate_print(&result->certificate, text, sizeof text);
        fprintf(stderr, "  %-12s %s\n", "error", text);
    } else if (result->certificate.note[0]) {
        fprintf(stderr, "  %-12s %s\n", "note", result->certificate.note);
    }
    if (st > 0 || *c->caveat)
        fprintf(stderr, "  %-12s %s\n", "caveat", *c->caveat ? c->caveat : lode_status_text(st));
    report_written(c, descriptor, result);
}

static void print_number(double v)
{
    if (isfinite(v))
        printf("%.17g", v);
    else
        fputs("null", stdout);
}

static void report_json(cli *c, const char *op, const lode_bundle *result, const lode_plan *plan,
                        lode_status st, double seconds)
{
    char *text = NULL;
    printf("{\"op\": ");
    cli_json_text(stdout, op);
    printf(", \"status\": ");
    cli_json_text(stdout, lode_status_name(st));
    printf(", \"seconds\": %.6f, \"bytes_in\": %.0f, \"bytes_out\": %.0f", seconds,
           (double)result->meta.input_bytes, bytes_out(c, result));
    printf(", \"outputs\": {");
    for (int64_t i = 0; i < result->count; i++) {
        const lode_value v = lode_bundle_value(result, i);
        fputs(i ? ", " : "", stdout);
        cli_json_text(stdout, lode_bundle_name(result, i));
        fputs(": ", stdout);
        if (v.kind == LODE_ARRAY) {
            putchar('{');
            cli_json_shape(stdout, v.as.array->dtype, v.as.array->ndim, v.as.array->shape);
            putchar('}');
        } else if (v.kind == LODE_SCALAR && v.as.scalar->dtype == LODE_I64) {
            printf("%lld", (long long)v.as.scalar->i);
        } else if (v.kind == LODE_SCALAR) {
            print_number(v.as.scalar->re);
        } else if (v.kind == LODE_TEXT) {
            cli_json_text(stdout, v.as.text);
        } else {
            cli_json_text(stdout, lode_kind_name(v.kind));
        }
    }
    fputs("}", stdout);
    const lode_op *descriptor = lode_op_find(&c->ctx, op);
    if (descriptor && descriptor->tell && descriptor->job == LODE_DIAGNOSE &&
        lode_tell(&c->ctx, result, LODE_DOC_JSON, &text) >= 0) {
        printf(", \"contents\": %s", text);
        lode_text_free(text);
    }
    if (plan && lode_plan_json(&c->ctx, plan, &text) >= 0) {
        printf(", \"plan\": %s", text);
        lode_text_free(text);
    }
    if (lode_certificate_json(&c->ctx, &result->certificate, &text) >= 0) {
        printf(", \"certificate\": %s", text);
        lode_text_free(text);
    }
    fputs(", ", stdout);
    cli_json_output(stdout, c);
    puts("}");
}

void cli_report(cli *c, const char *op, const lode_bundle *result, const lode_plan *plan,
                lode_status st, double seconds)
{
    cli_progress_stop(c);
    if (!c->quiet)
        report_text(c, op, result, plan, st, seconds);
    if (c->json)
        report_json(c, op, result, plan, st, seconds);
}
