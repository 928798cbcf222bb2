/* lode query: questions to a result. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* Values that are printed; more go to a file. */
enum { PRINTED = 1000 };

static const char *const usage =
    "usage: lode query FILE WHAT [-o OUTPUT], where WHAT is [3,4,5], [0:10,:,::4], mean, sum, norm "
    "(of a part too: mean[0:10]) or dot=FILE";

/* An error bar to two digits, never rounded down. */
static void print_bar(double v, char text[32])
{
    for (double up = v; snprintf(text, 32, "%.2g", up), isfinite(v) && strtod(text, NULL) < v;)
        up += fmax(0.01 * v, 5e-324);
}

/* As many digits as the bar leaves meaning to, and two more. */
static void print_value(double v, double bar, char text[40])
{
    int digits = 9;
    if (bar > 0 && isfinite(bar) && isfinite(v) && fabs(v) > 0)
        digits = (int)ceil(log10(fabs(v) / bar)) + 2;
    snprintf(text, 40, "%.*g", digits < 3 ? 3 : digits > 17 ? 17 : digits, v);
}

static void print_number(FILE *f, double re, double im, bool complex, double bar)
{
    char a[40], b[40];
    print_value(re, bar, a);
    if (!complex) {
        fputs(a, f);
        return;
    }
    print_value(fabs(im), bar, b);
    fprintf(f, "%s%c%si", a, im < 0 ? '-' : '+', b);
}

static void json_number(double v)
{
    if (isfinite(v))
        printf("%.17g", v);
    else
        printf("\"%s\"", isnan(v) ? "nan" : v < 0 ? "-inf" : "inf");
}

/* Values as doubles, pairs where complex; row-major. */
static lode_status as_doubles(cli *c, const lode_array *values, lode_array *wide)
{
    const bool complex = lode_dtype_class(values->dtype) == 'c';
    return lode_array_cast(&c->ctx, values, complex ? LODE_C128 : LODE_F64, wide);
}

/* Rows of the last axis; an empty line between planes. */
static void print_values(FILE *f, const lode_array *wide, double bar)
{
    const bool complex = wide->dtype == LODE_C128;
    const double *v = wide->data;
    const int64_t n = lode_array_size(wide);
    const int64_t row = wide->ndim ? wide->shape[wide->ndim - 1] : 1;
    const int64_t plane = wide->ndim > 1 ? row * wide->shape[wide->ndim - 2] : n;
    for (int64_t i = 0; i < n; i++) {
        print_number(f, v[complex ? 2 * i : i], complex ? v[2 * i + 1] : 0, complex, bar);
        fputc((i + 1) % row ? ' ' : '\n', f);
        if ((i + 1) % plane == 0 && i + 1 < n)
            fputc('\n', f);
    }
}

static void print_cost(FILE *f, const lode_answer *a)
{
    char some[32], all[32];
    cli_print_bytes((double)a->bytes, some), cli_print_bytes((double)a->all_bytes, all);
    fprintf(f, "decoded %s of %s (%.3g %%)", some, all,
            a->all_bytes ? 100 * (double)a->bytes / (double)a->all_bytes : 0);
    if (a->all_blocks)
        fprintf(f, ", %lld of %lld block%s", (long long)a->blocks, (long long)a->all_blocks,
                a->all_blocks == 1 ? "" : "s");
    fprintf(f, "; computed %lld of %lld entries\n", (long long)a->entries,
            (long long)a->all_entries);
}

static void print_text(FILE *f, const lode_question *q, const lode_answer *a, bool complex,
                       const lode_array *wide)
{
    char bar[32];
    print_bar(a->error, bar);
    if (q->kind == LODE_QUERY_VALUES) {
        if (wide->data && lode_array_size(wide) > 1)
            print_values(f, wide, a->error);
        else if (wide->data && lode_array_size(wide) == 1)
            print_number(f, *(double *)wide->data, complex ? ((double *)wide->data)[1] : 0, complex,
                         a->error);
        if (wide->data && lode_array_size(wide) == 1)
            fputc(' ', f);
        if (wide->data && lode_array_size(wide) == 0) {
            fputs("no entries\n", f);
            return;
        }
    } else {
        print_number(f, a->re, a->im, complex && q->kind != LODE_QUERY_NORM, a->error);
        fputc(' ', f);
    }
    if (isnan(a->error))
        fprintf(f, "(%s)\n", a->meaning);
    else
        fprintf(f, "+- %s (%s)\n", bar, a->meaning);
    if (q->kind != LODE_QUERY_VALUES || a->missing)
        fprintf(f, "%lld entr%s", (long long)a->count, a->count == 1 ? "y" : "ies");
    if (a->missing)
        fprintf(f, ", %lld missing %s", (long long)a->missing,
                q->kind == LODE_QUERY_VALUES ? "besides" : "left out");
    if (q->kind != LODE_QUERY_VALUES || a->missing)
        fputc('\n', f);
}

static void print_json(const cli *c, const char *what, const lode_question *q, const lode_answer *a,
                       bool complex, const lode_array *wide, double seconds)
{
    const double *v = wide->data;
    printf("{\"op\": \"query\", \"what\": ");
    cli_json_text(stdout, what);
    printf(", \"status\": \"LODE_OK\", \"seconds\": %.6f", seconds);
    if (q->kind == LODE_QUERY_VALUES) {
        fputs(", ", stdout);
        cli_json_shape(stdout, a->values.dtype, a->values.ndim, a->values.shape);
    }
    if (q->kind == LODE_QUERY_VALUES && wide->data) {
        const int64_t n = lode_array_size(wide) * (complex ? 2 : 1);
        fputs(complex ? ", \"pairs\": [" : ", \"values\": [", stdout);
        for (int64_t i = 0; i < n; i++) {
            fputs(i ? ", " : "", stdout);
            json_number(v[i]);
        }
        putchar(']');
    } else if (q->kind != LODE_QUERY_VALUES) {
        fputs(", \"value\": ", stdout);
        json_number(a->re);
        if (complex && q->kind != LODE_QUERY_NORM) {
            fputs(", \"imaginary\": ", stdout);
            json_number(a->im);
        }
    }
    fputs(", \"error\": ", stdout);
    json_number(a->error);
    fputs(", \"meaning\": ", stdout);
    cli_json_text(stdout, a->meaning);
    printf(
        ", \"count\": %lld, \"missing\": %lld, \"decoded\": {\"bytes\": %llu, \"of_bytes\": %llu, "
        "\"blocks\": %lld, \"of_blocks\": %lld, \"entries\": %lld, \"of_entries\": %lld}, ",
        (long long)a->count, (long long)a->missing, (unsigned long long)a->bytes,
        (unsigned long long)a->all_bytes, (long long)a->blocks, (long long)a->all_blocks,
        (long long)a->entries, (long long)a->all_entries);
    cli_json_output(stdout, c);
    puts("}");
}

/* What is written: the values, or the number and its error bar. */
static lode_status write_answer(cli *c, const lode_question *q, lode_answer *a, bool complex)
{
    lode_bundle result = { 0 };
    lode_array x = { 0 };
    lode_status st = LODE_OK;
    if (q->kind == LODE_QUERY_VALUES) {
        x = lode_array_ref(&a->values);
        st = lode_bundle_add_array(&c->ctx, &result, "x", &x);
    } else if (complex) {
        st = lode_array_new(&c->ctx, LODE_C128, 0, NULL, &x);
        if (st >= 0) {
            memcpy(x.data, (const double[]){ a->re, a->im }, 2 * sizeof(double));
            st = lode_bundle_add_array(&c->ctx, &result, "value", &x);
        }
    } else {
        st = lode_bundle_add_f64(&c->ctx, &result, "value", a->re);
    }
    if (st >= 0)
        st = lode_bundle_add_f64(&c->ctx, &result, "error", a->error);
    if (st >= 0)
        st = cli_write(c, &result);
    lode_array_free(&x);
    lode_bundle_free(&result);
    return st;
}

/* "dot=FILE": the file; the text is cut there. */
static const char *other_of(char *what)
{
    char *equals = strncmp(what, "dot", 3) == 0 ? strchr(what, '=') : NULL;
    if (!equals)
        return NULL;
    *equals = 0;
    return equals + 1;
}

/* Values that a question asks for; 0 for other kinds. */
static int64_t asked(const lode_question *q, const lode_bundle *model)
{
    int64_t n = q->kind == LODE_QUERY_VALUES;
    for (int k = 0; k < model->meta.ndim; k++)
        n *= q->ndim ? q->count[k] : model->meta.shape[k];
    return n;
}

int cli_query(cli *c)
{
    lode_bundle model = { 0 };
    cli_value other = { 0 };
    lode_question q = { .kind = LODE_QUERY_VALUES };
    lode_answer a = { 0 };
    lode_array wide = { 0 };
    int bad = cli_no_options(c, "query");
    if (!bad && (c->words != 2 || c->outputs > 1))
        bad = cli_usage(c, "%s", usage);
    if (!bad)
        bad = cli_check_outputs(c);
    if (bad)
        return bad;
    char *const what = c->word[1];
    const char *const file = other_of(what);
    if (!file && strncmp(what, "dot", 3) == 0 && (what[3] == 0 || what[3] == '['))
        return cli_usage(c, "dot needs another array, as in dot=OTHER.npy");
    const double start = cli_seconds();
    cli_progress_start(c);
    lode_status st = lode_read_model(&c->ctx, c->word[0], &c->read, false, &model);
    if (st >= 0)
        st = lode_question_parse(&c->ctx, &model, what, &q);
    if (st >= 0 && file) {
        st = cli_read(c, file, &other);
        q.other = other.value;
    }
    if (st >= 0 && !c->outputs && asked(&q, &model) > PRINTED)
        bad = cli_usage(c, "%s is %lld values; give -o FILE to write them", what,
                        (long long)asked(&q, &model));
    if (st >= 0 && !bad)
        st = lode_query(&c->ctx, &model, &q, &a);
    const bool complex = lode_dtype_class(q.kind == LODE_QUERY_VALUES ? a.values.dtype
                                                                      : model.meta.dtype) == 'c' ||
                         (a.im < 0 || a.im > 0);
    if (st >= 0 && !bad && q.kind == LODE_QUERY_VALUES && !c->outputs)
        st = as_doubles(c, &a.values, &wide);
    if (st >= 0 && !bad && c->outputs)
        st = write_answer(c, &q, &a, complex && q.kind != LODE_QUERY_NORM);
    cli_progress_stop(c);
    int code = st < 0 ? cli_failed(c, st) : bad;
    if (!code) {
        FILE *const out = c->json ? stderr : stdout;
        if (!c->json || !c->quiet)
            print_text(out, &q, &a, complex, &wide);
        if (!c->quiet)
            print_cost(out, &a);
        if (c->outputs && !c->quiet)
            fprintf(stderr, "query: written %s\n", c->output[0].path);
        if (c->json)
            print_json(c, what, &q, &a, complex, &wide, cli_seconds() - start);
    }
    lode_array_free(&wide);
    lode_answer_free(&a);
    cli_value_free(&other);
    lode_bundle_free(&model);
    return code;
}
