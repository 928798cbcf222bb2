/* `lode bench compress FILE`: the rate-distortion curve of compress beside those of other compressors,
 * on the user's own array. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

enum { ERRORS = 16, CODERS = 8, NAME = 64 };

typedef struct coder {
    char name[NAME], why[300]; /* why: it is left out, or stops early */
    int count;
    bench_point point[ERRORS];
} coder;

typedef struct session {
    cli *c;
    const char *spec;
    int kind;         /* of the errors */
    lode_bundle held; /* the array */
    const lode_array *x;
    double asked[ERRORS];
    int errors, coders;
    coder coder[CODERS];
    char folder[400];
    bench_field field;
    double rms, relative; /* of an error of the size asked, about: where others begin */
} session;

/* ---- what is asked ---- */

static const struct {
    const char *name, *meaning;
} kinds[] = { { "rel", "relative Frobenius error" },
              { "fro", "Frobenius error" },
              { "max", "largest error" },
              { "maxrel", "largest error over the range" } };
enum { KINDS = (int)(sizeof kinds / sizeof *kinds) };

/* E,E,..: one kind for all, named behind any of them. */
static int read_errors(session *s, const char *text)
{
    static const char *const want =
        "--error is '%s'; give errors of one kind, as in 1e-1,1e-2,1e-3 (relative Frobenius) or "
        "1e-2,1e-3:maxrel (also :fro, :max)";
    int kind = -1;
    for (const char *p = text; *p;) {
        char *end = NULL;
        const double v = strtod(p, &end);
        if (end == p || !(v > 0) || !isfinite(v))
            return cli_usage(s->c, want, text);
        p = end;
        if (*p == ':') {
            const size_t n = strcspn(++p, ",");
            int k = 0;
            while (k < KINDS && (strlen(kinds[k].name) != n || strncmp(kinds[k].name, p, n) != 0))
                k++;
            if (k == KINDS || (kind >= 0 && kind != k))
                return cli_usage(s->c, want, text);
            kind = k, p += n;
        }
        if (s->errors == ERRORS)
            return cli_usage(s->c, "--error names more than %d errors", (int)ERRORS);
        s->asked[s->errors++] = v;
        if (*p && *p++ != ',')
            return cli_usage(s->c, want, text);
    }
    s->kind = kind < 0 ? 0 : kind;
    return s->errors ? CLI_OK : cli_usage(s->c, want, text);
}

static double error_of(const session *s, const lode_comparison *r)
{
    const double e[KINDS] = { r->relative, r->absolute, r->max, r->max_range };
    return r->mismatched > 0 ? INFINITY : e[s->kind];
}

/* ---- the array, and what comes back ---- */

/* In memory; what an operation inverts is decoded on the way. */
static lode_status load(session *s)
{
    lode_ctx *ctx = &s->c->ctx;
    cli_value v = { 0 };
    lode_array x = { 0 };
    lode_status st = cli_read(s->c, s->spec, &v);
    if (st >= 0 && v.value.kind == LODE_SOURCE) {
        st = cli_load(s->c, v.value.as.source, &x);
        if (st >= 0)
            st = lode_bundle_add_array(ctx, &s->held, "x", &x);
    } else if (st >= 0) {
        st = lode_read_value(ctx, s->spec, &s->c->read, true, "x", &s->held);
    }
    if (st >= 0)
        st = lode_bundle_array(ctx, &s->held, "x", &s->x);
    lode_array_free(&x);
    cli_value_free(&v);
    return st;
}

/* What came back, by Lode's own comparison. */
static lode_status compared(session *s, const char *path, const lode_read_opts *o,
                            lode_comparison *r)
{
    lode_ctx *ctx = &s->c->ctx;
    lode_bundle back = { 0 };
    lode_array y = { 0 };
    const lode_array *flat = NULL;
    const lode_compare_opts how = lode_compare_defaults();
    lode_status st = lode_read_value(ctx, path, o, true, "x", &back);
    if (st >= 0)
        st = lode_bundle_array(ctx, &back, "x", &flat);
    if (st >= 0)
        st = lode_array_reshape(ctx, flat, s->x->ndim, s->x->shape, &y);
    if (st >= 0)
        st = lode_compare(ctx, &how, lode_from_array(s->x), lode_from_array(&y), r);
    lode_array_free(&y);
    lode_bundle_free(&back);
    return st;
}

/* bench_field.measure */
static int measure(void *data, double *error, char *said, size_t size)
{
    session *s = data;
    lode_comparison r = { 0 };
    const lode_read_opts o = { .format = "raw", .dtype = s->field.twice ? "f64" : "f32" };
    const lode_status st = compared(s, s->field.back, &o, &r);
    if (st < 0) {
        snprintf(said, size, "%s", lode_message(&s->c->ctx));
        return st == LODE_ECANCEL ? CLI_STOPPED : CLI_FAILED;
    }
    *error = error_of(s, &r);
    return CLI_OK;
}

/* ---- the table ---- */

static void print_head(session *s)
{
    FILE *const out = s->c->json ? stderr : stdout;
    char shape[256], bytes[32];
    cli_print_shape(s->x->ndim, s->x->shape, shape, sizeof shape);
    cli_print_bytes((double)lode_array_bytes(s->x), bytes);
    fprintf(out, "%s: %s %s, %s; %s; Lode with %d threads\n", s->spec, shape,
            lode_dtype_name(s->x->dtype), bytes, kinds[s->kind].meaning,
            lode_ctx_threads(&s->c->ctx));
    fprintf(out, "%-16s %8s %9s %12s %8s %11s %11s %10s\n", "", "asked", "reached", "bytes",
            "ratio", "bits/value", "compress s", "expand s");
    fflush(out);
}

static double bits(const session *s, const bench_point *p)
{
    return 8 * p->bytes / (double)lode_array_size(s->x);
}

static void print_point(session *s, const coder *who, const bench_point *p)
{
    FILE *const out = s->c->json ? stderr : stdout;
    if (s->c->json && s->c->quiet)
        return;
    fprintf(out, "%-16s %8.3g %9.3g %12.0f %8.4g %11.4g %11.3g %10.3g\n", who->name, p->asked,
            p->error, p->bytes, (double)lode_array_bytes(s->x) / p->bytes, bits(s, p), p->compress,
            p->expand);
    fflush(out);
}

/* Lode's bytes over another's, the geometric mean over the errors that both have. */
static double against(const coder *lode, const coder *other)
{
    double sum = 0;
    int n = 0;
    for (int i = 0; i < lode->count; i++)
        for (int k = 0; k < other->count; k++)
            if (lode->point[i].asked == other->point[k].asked)
                sum += log(lode->point[i].bytes / other->point[k].even), n++;
    return n ? exp(sum / n) : NAN;
}

static void print_end(session *s)
{
    FILE *const out = s->c->json ? stderr : stdout;
    for (int i = 0; i < s->coders; i++) {
        const coder *who = &s->coder[i];
        if (i > 0 && who->count > 0)
            fprintf(out, "%s takes %.3g times the bytes of %s (geometric mean at equal errors)\n",
                    s->coder[0].name, against(&s->coder[0], who), who->name);
        if (who->why[0])
            fprintf(out, "%s is left out%s: %s\n", who->name, who->count ? " from there on" : "",
                    who->why);
    }
}

static void print_json(session *s)
{
    fputs("{\"bench\": \"compress\", \"input\": ", stdout);
    cli_json_text(stdout, s->spec);
    fputs(", ", stdout);
    cli_json_shape(stdout, s->x->dtype, s->x->ndim, s->x->shape);
    printf(", \"bytes\": %llu, \"error\": \"%s\", \"threads\": %d, \"coders\": [",
           (unsigned long long)lode_array_bytes(s->x), kinds[s->kind].name,
           lode_ctx_threads(&s->c->ctx));
    for (int i = 0; i < s->coders; i++) {
        const coder *who = &s->coder[i];
        fputs(i ? ", {\"name\": " : "{\"name\": ", stdout);
        cli_json_text(stdout, who->name);
        fputs(", \"left_out\": ", stdout);
        cli_json_text(stdout, who->why[0] ? who->why : NULL);
        fputs(", \"points\": [", stdout);
        for (int k = 0; k < who->count; k++) {
            const bench_point *p = &who->point[k];
            printf("%s{\"asked\": %.17g, \"reached\": %.17g, \"bytes\": %.0f, \"ratio\": %.6g, "
                   "\"compress_seconds\": %.6f, \"expand_seconds\": %.6f}",
                   k ? ", " : "", p->asked, p->error, p->bytes,
                   (double)lode_array_bytes(s->x) / p->bytes, p->compress, p->expand);
        }
        fputs("]", stdout);
        const double share = i && who->count ? against(&s->coder[0], who) : NAN;
        if (isfinite(share))
            printf(", \"bytes_of_lode_over_its\": %.6g", share);
        fputs("}", stdout);
    }
    fputs("], ", stdout);
    cli_json_output(stdout, s->c);
    puts("}");
}

/* ---- who is measured ---- */

/* One error by Lode: file to file, as the other programs go. */
static lode_status lode_point(session *s, const char *effort, double asked, bench_point *p)
{
    lode_ctx *ctx = &s->c->ctx;
    lode_call call = { 0 };
    lode_bundle result = { 0 }, model = { 0 };
    lode_source back = { 0 };
    lode_comparison r = { 0 };
    char error[64];
    const lode_write_opts coded = { .format = "lode", .force = true },
                          plain = { .format = "npy", .force = true };
    const lode_read_opts from = { .format = "lode" }, npy = { .format = "npy" };
    const char *const x_lode = s->field.coded, *const x_npy = s->field.back;
    snprintf(error, sizeof error, "%.17g:%s", asked, kinds[s->kind].name);
    lode_status st = lode_call_init(ctx, &lode_op_compress, &call);
    for (int i = 0; st >= 0 && i < s->c->options; i++) {
        const cli_option *o = &s->c->option[i];
        if (strcmp(o->name, "error") != 0 && (!effort || strcmp(o->name, "effort") != 0))
            st = lode_call_set(ctx, &call, o->name, o->value ? o->value : "true");
    }
    if (st >= 0)
        st = lode_call_set(ctx, &call, "error", error);
    if (st >= 0 && effort)
        st = lode_call_set(ctx, &call, "effort", effort);
    if (st >= 0)
        st = lode_call_input(ctx, &call, NULL, lode_from_array(s->x));
    double start = cli_seconds();
    if (st >= 0)
        st = lode_call_run(ctx, &call, &result);
    if (st >= 0)
        st = lode_write(ctx, x_lode, &result, &coded);
    p->compress = cli_seconds() - start;
    start = cli_seconds();
    if (st >= 0)
        st = lode_read(ctx, x_lode, &from, &model);
    if (st >= 0)
        st = lode_invert_source(ctx, &model, &back);
    if (st >= 0)
        st = lode_write_source(ctx, x_npy, "x", &back, &plain);
    p->expand = cli_seconds() - start;
    if (st >= 0)
        st = compared(s, x_npy, &npy, &r);
    if (st >= 0) {
        p->asked = asked;
        p->error = error_of(s, &r);
        p->bytes = p->even = (double)cli_file_size(x_lode);
        if (r.compared > 0 && r.absolute > 0) {
            s->rms = r.absolute / sqrt((double)r.compared) / p->error;
            s->relative = r.relative / p->error;
        }
    }
    lode_source_close(&back);
    lode_bundle_free(&model);
    lode_bundle_free(&result);
    lode_call_free(&call);
    return st;
}

static lode_status lode_curve_at(session *s, const char *name, const char *effort)
{
    coder *who = &s->coder[s->coders++];
    snprintf(who->name, sizeof who->name, "%s", name);
    for (int i = 0; i < s->errors; i++) {
        bench_point *p = &who->point[who->count];
        const lode_status st = lode_point(s, effort, s->asked[i], p);
        if (st < 0)
            return st;
        who->count++;
        print_point(s, who, p);
    }
    return LODE_OK;
}

/* Why no other program can take this array; empty: they can. */
static lode_status unfit(session *s, char *why, size_t size)
{
    const char class = lode_dtype_class(s->x->dtype);
    const lode_compare_opts how = lode_compare_defaults();
    lode_comparison r = { 0 };
    why[0] = 0;
    if (class == 'c' || class == 'q') {
        snprintf(why, size, "it takes real values only");
        return LODE_OK;
    }
    const lode_status st = lode_compare(&s->c->ctx, &how, lode_from_array(s->x),
                                        lode_from_array(s->x), &r);
    if (st >= 0 && r.compared < lode_array_size(s->x))
        snprintf(why, size, "it keeps no missing or infinite values, and the array has %lld",
                 (long long)(lode_array_size(s->x) - r.compared));
    return st;
}

/* The values as raw f32, or f64 where f32 would round them. */
static lode_status write_raw(session *s)
{
    lode_ctx *ctx = &s->c->ctx;
    lode_bundle b = { 0 };
    lode_array y = { 0 };
    const lode_dtype t = s->x->dtype;
    const lode_write_opts raw = { .format = "raw", .force = true };
    s->field.twice = lode_dtype_size(t) > 4 || t == LODE_I32 || t == LODE_U32;
    lode_status st = lode_array_cast(ctx, s->x, s->field.twice ? LODE_F64 : LODE_F32, &y);
    if (st >= 0)
        st = lode_bundle_add_array(ctx, &b, "x", &y);
    if (st >= 0)
        st = lode_write(ctx, s->field.raw, &b, &raw);
    lode_array_free(&y);
    lode_bundle_free(&b);
    return st;
}

static int peer_curve(session *s, const bench_peer *p, const char *why)
{
    char program[1024];
    coder *who = &s->coder[s->coders];
    snprintf(who->name, sizeof who->name, "%s", p->name);
    if (!cli_find_program(p->program, program, sizeof program)) {
        if (p != bench_peer_at(0)) /* those that hardly anybody has are not missed */
            return CLI_OK;
        snprintf(who->why, sizeof who->why, "no %s on PATH or in LODE_PEERS (%s)", p->program,
                 p->package);
    } else if (why[0]) {
        snprintf(who->why, sizeof who->why, "%s", why);
    } else if (!bench_peer_takes(p, s->x->ndim, s->x->shape, &s->field)) {
        snprintf(who->why, sizeof who->why, "it takes %d axes or more", p->least);
    }
    s->coders++;
    for (int i = 0; i < s->errors && !who->why[0]; i++) {
        const double scale = p->relative ? s->relative : 4 * s->rms;
        const int code = bench_peer_run(p, &s->field, program, s->asked[i], scale * s->asked[i],
                                        &who->point[who->count], who->why, sizeof who->why);
        if (code == CLI_STOPPED)
            return code;
        if (code == CLI_OK)
            print_point(s, who, &who->point[who->count++]);
    }
    return CLI_OK;
}

/* ---- the picture ---- */

static lode_status draw(session *s)
{
    lode_ctx *ctx = &s->c->ctx;
    lode_figure *figure = NULL;
    lode_curve curve[CODERS];
    double x[CODERS][ERRORS], y[CODERS][ERRORS];
    char title[400], caption[600], shape[256], ylabel[64];
    lode_curves all = { .title = "Lower and to the left is better",
                        .xlabel = "bits a value",
                        .ylabel = ylabel,
                        .logx = true,
                        .logy = true,
                        .curve = curve };
    size_t n = 0;
    for (int i = 0; i < s->coders; i++) {
        const coder *who = &s->coder[i];
        for (int k = 0; k < who->count; k++)
            x[i][k] = bits(s, &who->point[k]), y[i][k] = who->point[k].error;
        if (who->count)
            curve[all.count++] = (lode_curve){
                .label = who->name, .n = who->count, .x = x[i], .y = y[i]
            };
    }
    snprintf(ylabel, sizeof ylabel, "%s", kinds[s->kind].meaning);
    cli_print_shape(s->x->ndim, s->x->shape, shape, sizeof shape);
    snprintf(title, sizeof title, "Error against size: %.100s, %s %s", s->spec, shape,
             lode_dtype_name(s->x->dtype));
    caption[0] = 0;
    for (int i = 1; i < s->coders && n < sizeof caption; i++)
        if (s->coder[i].count)
            n += (size_t)snprintf(caption + n, sizeof caption - n, "%s%.3g times the bytes of %s",
                                  n ? ", " : "Lode takes ", against(&s->coder[0], &s->coder[i]),
                                  s->coder[i].name);
    lode_status st = lode_figure_new(ctx, &figure);
    if (st >= 0)
        st = lode_figure_caption(ctx, figure, title, caption);
    if (st >= 0)
        st = lode_figure_curves(ctx, figure, &all);
    if (st >= 0)
        st = lode_figure_write(ctx, figure, s->c->output[0].path,
                               s->c->width ? atoi(s->c->width) : 0, s->c->dark, s->c->force);
    lode_figure_free(&figure);
    return st;
}

/* ---- the bench ---- */

static int make_folder(session *s)
{
    const char *where = s->c->ctx.scratch ? s->c->ctx.scratch : getenv("TMPDIR");
    snprintf(s->folder, sizeof s->folder, "%.300s/lode-bench-XXXXXX",
             where && *where ? where : "/tmp");
    if (!mkdtemp(s->folder)) {
        s->folder[0] = 0;
        return cli_usage(s->c, "no temporary folder in %.300s; give another with --scratch",
                         where && *where ? where : "/tmp");
    }
    char *const names[] = { s->field.raw, s->field.coded, s->field.back, s->field.log };
    static const char *const as[] = { "raw", "coded", "back", "log" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        snprintf(names[i], sizeof s->field.raw, "%s/%s", s->folder, as[i]);
    return CLI_OK;
}

static void remove_folder(session *s)
{
    if (!s->folder[0])
        return;
    unlink(s->field.raw), unlink(s->field.coded), unlink(s->field.back), unlink(s->field.log);
    rmdir(s->folder);
}

int bench_compress(cli *c)
{
    static session s;
    char why[128];
    const char *errors = "1e-1,1e-2,1e-3,1e-4", *effort = NULL;
    s.c = c, s.spec = c->word[1];
    for (int i = 0; i < c->options; i++) {
        if (strcmp(c->option[i].name, "error") == 0)
            errors = c->option[i].value ? c->option[i].value : "";
        if (strcmp(c->option[i].name, "effort") == 0)
            effort = c->option[i].value;
    }
    if (c->words != 2 || c->outputs > 1)
        return cli_usage(
            c, "usage: lode bench compress FILE [--error 1e-1,1e-2,..] [-o CURVE.svg|CURVE.png]");
    int code = read_errors(&s, errors);
    if (code == CLI_OK)
        code = cli_check_outputs(c);
    if (code == CLI_OK)
        code = make_folder(&s);
    if (code)
        return code;
    s.field.measure = measure, s.field.data = &s;
    lode_status st = load(&s);
    if (st >= 0 && lode_array_size(s.x) == 0)
        code = cli_usage(c, "%s is empty; there is nothing to compress", s.spec);
    if (st >= 0 && !code) {
        char name[NAME];
        if (!c->json || !c->quiet)
            print_head(&s);
        snprintf(name, sizeof name, effort ? "lode --effort %s" : "lode", effort);
        st = lode_curve_at(&s, name, NULL);
    }
    if (st >= 0 && !code && !(effort && strcmp(effort, "1") == 0))
        st = lode_curve_at(&s, "lode --effort 1", "1");
    if (st >= 0 && !code)
        st = unfit(&s, why, sizeof why);
    if (st >= 0 && !code && !why[0])
        st = write_raw(&s);
    for (int i = 0; st >= 0 && !code && bench_peer_at(i); i++)
        code = peer_curve(&s, bench_peer_at(i), why);
    if (st >= 0 && !code && c->outputs)
        st = draw(&s);
    if (st >= 0 && !code) {
        if (!c->json || !c->quiet)
            print_end(&s);
        if (c->outputs && !c->quiet)
            fprintf(stderr, "bench: written %s\n", c->output[0].path);
        if (c->json)
            print_json(&s);
    }
    if (st >= 0 && code == CLI_STOPPED)
        fputs("lode: interrupted\n", stderr);
    remove_folder(&s);
    lode_bundle_free(&s.held);
    return st < 0 ? cli_failed(c, st) : code;
}
