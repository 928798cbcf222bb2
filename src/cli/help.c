/* Words about the command itself: help, list, find, version, descriptions. */
#include <string.h>

#include "cli.h"

static const char *const commands_help =
    "Commands on results and files\n"
    "  lode apply MODEL INPUT -o OUT          new data through a fitted result: project, encode\n"
    "  lode invert MODEL [CODES] -o OUT       reconstruct, all or --part 0:10,:,5\n"
    "                                         (of a sum one term: --part low,0:10,:);\n"
    "                                         --recover leaves damaged parts out and names them\n"
    "  lode query FILE WHAT [-o OUT]          [3,4,5], [0:9,:,::4], mean, sum, norm, dot=FILE\n"
    "  lode update MODEL INPUT -o OUT         more data into a fitted result; of svd rows, --axis "
    "1\n"
    "                                         columns, or D=FILE E=FILE: A + D E'\n"
    "  lode merge MODEL MODEL... -o OUT       results fitted on parts, joined\n"
    "  lode rerun FILE INPUT... [-o OUT]      make a result again from its inputs and compare:\n"
    "                                         status 0 the same, 3 not, 2 another input\n"
    "  lode verify FILE [ORIGINAL]            check the certificate again\n"
    "  lode plot MODEL [ORIGINAL] -o FIG.svg  a picture, .svg or .png (--width, --dark), or a "
    "page, .html\n"
    "  lode info FILE                         what a file holds and what is proved about it\n"
    "  lode convert INPUT OUTPUT              another format, or --dtype; .lode files expand,\n"
    "                                         whole files too: compress model.nc -o m.lode,\n"
    "                                         convert m.lode back.nc; m.lode:T is one of it\n"
    "  lode plan OP INPUT... [options]        memory, size and time before anything runs\n"
    "  lode list [FAMILY], find WORDS         what there is\n"
#ifndef LODE_CORE
    "  lode claims [NAME...] [--full]         run the checks behind each method\n"
    "  lode bench compress FILE [-o FIG.svg]  bytes and seconds against other compressors\n"
    "                                         found on PATH (zfp), on your own array\n"
#endif
    "\n"
    "--checkpoint FILE: compress, svd, pca, tucker, tt and compare keep what is done in it, and "
    "go\n"
    "  on from it after a kill; so do apply, update, merge, verify, and convert and invert, which\n"
    "  keep what is decoded, as many bytes as they write\n"
    "--html PAGE.html: beside the output of an operation, its certificate, picture and members as "
    "a "
    "page\n"
    "Everywhere: --threads N --memory 4G --scratch DIR --seed N --json --quiet --force\n"
    "  --progress auto|always|never --from FORMAT --to FORMAT --dtype TYPE --shape N,M (raw "
    "files)\n"
    "Exit status: 0 done, 1 failed, 2 wrong request or data, 3 written but target missed or parts "
    "lost, or\n"
    "  made again and not the same, 5 over the memory budget, 130 interrupted\n";

static const char first_words[] =
    "shrinks arrays to an error you choose, rebuilds them, and proves the error each time";

static const struct {
    lode_job job;
    const char *title;
} jobs[] = {
    { LODE_SHRINK, "Shrink arrays, models and embeddings to an error you choose" },
    { LODE_EXPLAIN, "Explain: decompose, embed, cluster" },
    { LODE_COMPLETE, "Complete: recover from too few measurements" },
    { LODE_COMPARE, "Compare data sets" },
    { LODE_PREDICT, "Predict and solve" },
    { LODE_SAMPLE, "Sample: generate data" },
    { LODE_DIAGNOSE, "Diagnose" },
};
enum { JOBS = (int)(sizeof jobs / sizeof *jobs) };

static void print_job(cli *c, int job)
{
    bool any = false;
    for (int64_t i = 0; i < lode_op_count(&c->ctx); i++) {
        const lode_op *op = lode_op_at(&c->ctx, i);
        if (op->job != jobs[job].job)
            continue;
        if (!any)
            printf("%s\n", jobs[job].title);
        any = true;
        printf("  %-10s %s\n", op->name, op->brief);
    }
    if (any)
        putchar('\n');
}

static int overview(cli *c)
{
    printf("lode: %s\n\n"
           "  lode compress data/winds_u.npy --error 1e-2 -o winds.lode\n"
           "  lode help OP\n\n",
           first_words);
    for (int i = 0; i < JOBS; i++)
        print_job(c, i);
    fputs(commands_help, stdout);
    return CLI_OK;
}

/* Text as roff takes it: no escapes, no requests. */
static void print_roff(const char *text)
{
    for (const char *at = text; *at; at++) {
        if (at == text || at[-1] == '\n')
            fputs("\\&", stdout);
        if (*at == '\\' || *at == '-')
            fputs(*at == '-' ? "\\-" : "\\e", stdout);
        else
            putchar(*at);
    }
}

/* lode(1): what the overview says; every operation has a page of its own. */
static int overview_page(cli *c)
{
    printf(".TH LODE 1 \"\" \"lode %s\" \"Lode\"\n.SH NAME\nlode \\- %s\n"
           ".SH SYNOPSIS\n.B lode\n.I OP INPUT\n\\&... \\-o\n.I OUTPUT\n[\\-\\-option value]...\n"
           ".br\n.B lode help\n[\n.I OP\n]\n.SH OPERATIONS\n",
           lode_version(), first_words);
    for (int i = 0; i < JOBS; i++) {
        bool any = false;
        for (int64_t k = 0; k < lode_op_count(&c->ctx); k++) {
            const lode_op *op = lode_op_at(&c->ctx, k);
            if (op->job != jobs[i].job)
                continue;
            if (!any)
                printf(".SS %s\n", jobs[i].title);
            any = true;
            printf(".TP\n.BR lode\\-%s (1)\n", op->name);
            print_roff(op->brief);
            putchar('\n');
        }
    }
    fputs(".SH COMMANDS\n.nf\n", stdout);
    print_roff(commands_help);
    fputs(".fi\n", stdout);
    return CLI_OK;
}

static int describe(cli *c, const char *name, lode_doc form)
{
    const lode_op *op = lode_op_find(&c->ctx, name);
    char *text = NULL;
    if (!op) {
        const char *near = lode_op_suggest(&c->ctx, name);
        return cli_usage(c, "no operation '%s'%s%s%s; 'lode list' shows all", name,
                         near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    const lode_status st = lode_op_describe(&c->ctx, op, form, &text);
    if (st < 0)
        return cli_failed(c, st);
    fputs(text, stdout);
    lode_text_free(text);
    return CLI_OK;
}

/* The line of the overview that begins with the command's name. */
static bool command_line(const char *name)
{
    char start[64];
    snprintf(start, sizeof start, "  lode %s ", name);
    const char *at = strstr(commands_help, start);
    if (at)
        printf("%.*s\n", (int)strcspn(at + 2, "\n"), at + 2);
    return at != NULL;
}

int cli_help(cli *c)
{
    if (c->words == 0)
        return overview(c);
    if (!lode_op_find(&c->ctx, c->word[0]) && command_line(c->word[0]))
        return CLI_OK;
    if (strcmp(c->word[0], "find") == 0 || strcmp(c->word[0], "help") == 0) {
        puts("lode find WORDS: operations whose words match\nlode help [OP]: this help, or one "
             "operation's");
        return CLI_OK;
    }
    return describe(c, c->word[0], c->json ? LODE_DOC_JSON : LODE_DOC_HELP);
}

int cli_list(cli *c)
{
    const int bad = cli_no_options(c, "list");
    bool any = false;
    if (bad)
        return bad;
    if (c->json && c->words == 0) {
        char *text = NULL;
        const lode_status st = lode_registry_json(&c->ctx, &text);
        if (st < 0)
            return cli_failed(c, st);
        puts(text);
        lode_text_free(text);
        return CLI_OK;
    }
    for (int64_t i = 0; i < lode_op_count(&c->ctx); i++) {
        const lode_op *op = lode_op_at(&c->ctx, i);
        if (c->words > 0 && strcmp(c->word[0], op->family) != 0)
            continue;
        any = true;
        printf("%-12s %-10s %-10s %s\n", op->name, op->family, lode_job_name(op->job), op->brief);
    }
    return any ? CLI_OK : cli_usage(c, "no family '%s'; 'lode list' shows all", c->word[0]);
}

int cli_find(cli *c)
{
    const lode_op *found[8];
    char words[1024] = "";
    size_t n = 0;
    const int bad = cli_no_options(c, "find");
    if (bad)
        return bad;
    for (int i = 0; i < c->words && n < sizeof words; i++)
        n += (size_t)snprintf(words + n, sizeof words - n, "%s ", c->word[i]);
    if (c->words == 0)
        return cli_usage(c, "usage: lode find WORDS, as in 'lode find shrink an array'");
    const int64_t count = lode_op_search(&c->ctx, words, found, 8);
    for (int64_t i = 0; i < count; i++)
        printf("%-12s %s\n             %s\n", found[i]->name, found[i]->brief, found[i]->example);
    return count > 0 ? CLI_OK
                     : cli_usage(c, "nothing about '%s'; 'lode list' shows all", c->word[0]);
}

int cli_describe(cli *c)
{
    char *text = NULL;
    const int bad = cli_no_options(c, "describe");
    if (bad)
        return bad;
    if (c->words == 2 && strcmp(c->word[0], "completion") == 0) {
        const lode_status st = lode_completion(&c->ctx, c->word[1], &text);
        if (st < 0)
            return cli_failed(c, st);
        fputs(text, stdout);
        lode_text_free(text);
        return CLI_OK;
    }
    if (c->words == 1 && strcmp(c->word[0], "man") == 0)
        return overview_page(c);
    if (c->words == 2 && strcmp(c->word[0], "man") == 0)
        return describe(c, c->word[1], LODE_DOC_MAN);
    if (c->words == 2 && strcmp(c->word[0], "markdown") == 0)
        return describe(c, c->word[1], LODE_DOC_MARKDOWN);
    if (c->words == 2 && strcmp(c->word[0], "json") == 0)
        return describe(c, c->word[1], LODE_DOC_JSON);
    return cli_usage(
        c,
        "usage: lode describe man|markdown|json OP, lode describe man, or lode describe completion "
        "bash|zsh|fish");
}

int cli_version(cli *c)
{
    (void)c;
    char text[512];
    lode_build_info(text, sizeof text);
    printf("lode %s\n%s", lode_version(), text);
    return CLI_OK;
}
