/* Words of the command line. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

int cli_usage(const cli *c, const char *format, ...)
{
    (void)c;
    va_list args;
    va_start(args, format);
    fputs("lode: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return CLI_USAGE;
}

int cli_failed(cli *c, lode_status st)
{
    cli_progress_stop(c);
    const char *message = lode_message(&c->ctx);
    fprintf(stderr, "lode: %s\n", *message ? message : lode_status_text(st));
    return lode_status_exit(st);
}

void cli_keep_caveat(cli *c, lode_status st)
{
    if (st > 0 && *lode_message(&c->ctx))
        snprintf(c->caveat, sizeof c->caveat, "%s", lode_message(&c->ctx));
}

int cli_exit(const cli *c, lode_status st)
{
    const int code = lode_status_exit(st);
    return code == CLI_OK && *c->caveat ? lode_status_exit(LODE_LOST) : code;
}

int cli_no_options(const cli *c, const char *command)
{
    return c->options == 0 ? CLI_OK
                           : cli_usage(c, "%s has no option --%s; see 'lode help %s'", command,
                                       c->option[0].name, command);
}

/* Whole text as a number of bytes: 4096, 64K, 2M, 1.5G. */
static bool parse_memory(const char *text, uint64_t *bytes)
{
    char *end = NULL;
    const double v = strtod(text, &end);
    const char *unit = "KMGT", *at = *end ? strchr(unit, *end) : NULL;
    if (end == text || !(v > 0) || (*end && !at) ||
        (at && end[1] && strcmp(end + 1, "iB") && strcmp(end + 1, "B")))
        return false;
    double scale = 1;
    for (int64_t i = at ? at - unit + 1 : 0; i > 0; i--)
        scale *= 1024;
    if (v * scale > 9e18)
        return false;
    *bytes = (uint64_t)(v * scale);
    return true;
}

static bool parse_u64(const char *text, uint64_t *v)
{
    char *end = NULL;
    if (*text < '0' || *text > '9')
        return false;
    *v = strtoull(text, &end, 10);
    return *end == 0;
}

static int parse_shape(cli *c, const char *text)
{
    c->read.ndim = 0;
    for (const char *p = text; *p;) {
        char *end = NULL;
        const long long n = strtoll(p, &end, 10);
        if (end == p || n < -1 || (*end && *end != ',') || c->read.ndim == LODE_MAX_NDIM)
            return cli_usage(
                c, "--shape is '%s'; give whole numbers separated by commas (one may be -1)", text);
        c->read.shape[c->read.ndim++] = n;
        p = end + (*end == ',');
    }
    return CLI_OK;
}

/* Flags that every command takes. Returns 1 when taken with its value, 0 when taken alone, -1 when
 * not one of them, -2 when its value is wrong (said). */
static int common_flag(cli *c, const char *name, const char *value)
{
    uint64_t n = 0;
    struct {
        const char *name;
        const char **at;
    } texts[] = { { "from", &c->from },
                  { "to", &c->to },
                  { "dtype", &c->dtype },
                  { "part", &c->part },
                  { "width", &c->width },
                  { "shape", &c->shape },
                  { "html", &c->html },
                  { "scratch", &c->ctx.scratch },
                  { "checkpoint", &c->ctx.checkpoint } };
    struct {
        const char *name;
        bool *at;
    } alone[] = { { "json", &c->json }, { "quiet", &c->quiet },         { "force", &c->force },
                  { "help", &c->help }, { "recover", &c->ctx.recover }, { "dark", &c->dark } };
    for (size_t i = 0; i < sizeof alone / sizeof *alone; i++)
        if (strcmp(name, alone[i].name) == 0) {
            *alone[i].at = true;
            return 0;
        }
    bool known = strcmp(name, "threads") == 0 || strcmp(name, "memory") == 0 ||
                 strcmp(name, "seed") == 0 || strcmp(name, "progress") == 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        known = known || strcmp(name, texts[i].name) == 0;
    if (!known)
        return -1;
    if (!value) {
        cli_usage(c, "--%s needs a value", name);
        return -2;
    }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(name, texts[i].name) == 0)
            *texts[i].at = value;
    if (strcmp(name, "threads") == 0) {
        if (!parse_u64(value, &n) || n < 1 || n > 4096) {
            cli_usage(c, "--threads is '%s'; give a whole number from 1 to 4096", value);
            return -2;
        }
        c->ctx.threads = (int)n;
    } else if (strcmp(name, "memory") == 0) {
        if (!parse_memory(value, &n)) {
            cli_usage(c, "--memory is '%s'; give bytes, as in 500M or 4G", value);
            return -2;
        }
        lode_ctx_set_memory(&c->ctx, n);
    } else if (strcmp(name, "seed") == 0) {
        if (!parse_u64(value, &c->ctx.seed)) {
            cli_usage(c, "--seed is '%s'; give a whole number, 0 or more", value);
            return -2;
        }
    } else if (strcmp(name, "progress") == 0) {
        if (strcmp(value, "auto") != 0 && strcmp(value, "always") != 0 &&
            strcmp(value, "never") != 0) {
            cli_usage(c, "--progress is '%s'; give auto, always or never", value);
            return -2;
        }
        c->progress = *value == 'n' ? CLI_NEVER : value[1] == 'l' ? CLI_ALWAYS : CLI_AUTO;
    }
    return 1;
}

/* A name before '=' that is made of letters: `mask=m.npy`, `-o s=s.npy`. */
static const char *after_name(const char *word, char *name, size_t size)
{
    const size_t n = strspn(word,
                            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789.");
    if (n == 0 || n >= size || word[n] != '=')
        return NULL;
    memcpy(name, word, n);
    name[n] = 0;
    return word + n + 1;
}

static int add_output(cli *c, char *text)
{
    char name[64];
    if (c->outputs == (int)(sizeof c->output / sizeof *c->output))
        return cli_usage(c, "too many outputs");
    const char *path = after_name(text, name, sizeof name);
    if (path)
        text[path - text - 1] = 0;
    c->output[c->outputs++] = (cli_output){ path ? text : NULL, path ? path : text };
    return CLI_OK;
}

int cli_parse(cli *c, int argc, char **argv)
{
    bool only_words = false;
    for (int i = 0; i < argc; i++) {
        char *word = argv[i];
        if (c->words == CLI_MAX || c->options == CLI_MAX)
            return cli_usage(c, "too many words; at most %d", CLI_MAX);
        if (only_words || word[0] != '-' || word[1] == 0) {
            c->word[c->words++] = word;
            continue;
        }
        if (strcmp(word, "--") == 0) {
            only_words = true;
            continue;
        }
        if (strcmp(word, "-o") == 0 || strcmp(word, "--output") == 0) {
            if (i + 1 == argc)
                return cli_usage(c, "%s needs a file", word);
            const int bad = add_output(c, argv[++i]);
            if (bad)
                return bad;
            continue;
        }
        if (strcmp(word, "-h") == 0) {
            c->help = true;
            continue;
        }
        if (word[1] != '-')
            return cli_usage(c, "no option %s; options have two dashes, except -o and -h", word);
        char *name = word + 2, *equals = strchr(name, '=');
        const char *value = equals ? equals + 1 : i + 1 < argc ? argv[i + 1] : NULL;
        if (equals)
            *equals = 0;
        const int took = common_flag(c, name, value);
        if (took == -2)
            return CLI_USAGE;
        if (took == -1) { /* the op's own: a value follows unless the next word is another option */
            const bool alone = !equals && value && value[0] == '-' && value[1] == '-' &&
                               value[2] != 0;
            c->option[c->options++] = (cli_option){ name, alone ? NULL : value };
            i += !equals && !alone && value;
            continue;
        }
        if (took == 0 && equals)
            return cli_usage(c, "--%s takes no value", name);
        i += took == 1 && !equals;
    }
    c->read.format = c->from;
    c->read.dtype = c->dtype;
    return c->shape ? parse_shape(c, c->shape) : CLI_OK;
}
