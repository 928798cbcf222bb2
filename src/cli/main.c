/* lode: the command. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#endif

#include "cli.h"

static const struct {
    const char *name;
    int (*run)(cli *c);
    bool checkpoint; /* it may keep one */
} commands[] = {
    { "help", cli_help, false },      { "list", cli_list, false },
    { "find", cli_find, false },      { "info", cli_info, false },
    { "convert", cli_convert, true }, { "plan", cli_plan, false },
    { "apply", cli_apply, true },     { "invert", cli_invert, true },
    { "update", cli_update, true },   { "merge", cli_merge, true },
    { "verify", cli_verify, true },   { "plot", cli_plot, false },
    { "query", cli_query, false },    { "describe", cli_describe, false },
    { "rerun", cli_rerun, false },
#ifndef LODE_CORE /* they run other programs */
    { "claims", cli_claims, false },  { "bench", cli_bench, false },
#endif
};

static lode_ctx *interrupted;

/* First time: stop within an iteration, nothing is lost. Second time: leave at once. */
static void on_interrupt(int sig)
{
    static volatile sig_atomic_t times;
    (void)sig;
    if (++times > 1)
        _exit(130);
    lode_ctx_cancel(interrupted);
}

static int dispatch(cli *c, const char *name)
{
    static const char *const recovers[] = { "invert", "convert", "plot", "info" };
    bool may = !c->ctx.recover;
    for (size_t i = 0; i < sizeof recovers / sizeof *recovers; i++)
        may = may || strcmp(name, recovers[i]) == 0;
    if (c->ctx.recover)
        cli_tell_notes(c);
    if (!may)
        return cli_usage(c, "--recover goes with invert, convert, plot and info");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(name, commands[i].name) == 0) {
            if (c->ctx.checkpoint && !c->help && !commands[i].checkpoint)
                return cli_usage(c,
                                 "%s keeps no checkpoint; operations that do say so in 'lode "
                                 "help OP'",
                                 name);
            if (c->help) {
                c->word[0] = (char *)(uintptr_t)commands[i].name, c->words = 1;
                return cli_help(c);
            }
            if (c->html)
                return cli_usage(c, "--html goes with an operation; lode plot FILE -o PAGE.html "
                                    "draws a result that is there");
            return commands[i].run(c);
        }
    const lode_op *op = lode_op_find(&c->ctx, name);
    if (op && c->help) {
        c->word[0] = (char *)(uintptr_t)op->name, c->words = 1;
        return cli_help(c);
    }
    if (op)
        return cli_run_op(c, op);
    const char *near = lode_op_suggest(&c->ctx, name);
    for (size_t i = 0; i < sizeof commands / sizeof *commands && !near; i++)
        if (strncmp(name, commands[i].name, 3) == 0)
            near = commands[i].name;
    return cli_usage(c, "no command '%s'%s%s%s; 'lode list' shows all", name,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

int main(int argc, char **argv)
{
    static cli c; /* large, and zero */
#ifdef _WIN32
    _setmode(STDIN_FILENO, _O_BINARY);
    _setmode(STDOUT_FILENO, _O_BINARY);
#endif
    if (lode_ctx_init(&c.ctx, NULL) < 0) {
        fputs("lode: out of memory at start\n", stderr);
        return CLI_FAILED;
    }
    int code = CLI_USAGE;
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        code = cli_help(&c);
    } else if (strcmp(argv[1], "--version") == 0) {
        code = cli_version(&c);
    } else if ((code = cli_parse(&c, argc - 2, argv + 2)) == CLI_OK) {
        interrupted = &c.ctx;
#ifdef _WIN32
        signal(SIGINT, on_interrupt);
        signal(SIGTERM, on_interrupt);
#else
        struct sigaction act = { .sa_handler = on_interrupt };
        sigaction(SIGINT, &act, NULL);
        sigaction(SIGTERM, &act, NULL);
        signal(SIGPIPE, SIG_IGN);
#endif
        c.ctx.broken = getenv("LODE_BREAK");
        code = dispatch(&c, argv[1]);
    }
    if (fflush(stdout) != 0 && code == CLI_OK) {
        fputs("lode: writing to standard output failed\n", stderr);
        code = CLI_FAILED;
    }
    lode_ctx_free(&c.ctx);
    if (code == CLI_FAILED) { /* a full disk: libhdf5 would write again at exit, and crash */
        fflush(stderr);
        _exit(code);
    }
    return code;
}
