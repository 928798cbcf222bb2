/* Completion for bash, zsh and fish: commands and operations, then each one's options, then the values of an option that
 * has few; anything else is a file. */
#include <string.h>

#include "op/call.h"
#include "op/describe.h"

#define ADD(...) LODE_TRY(lode_i_text_add(ctx, t, __VA_ARGS__))

/* Commands that are no operations, and what they do. */
static const struct {
    const char *name, *what;
} commands[] = {
    { "apply", "new data through a fitted result" },
    { "invert", "reconstruct" },
    { "query", "an entry, a slice, a mean of a result" },
    { "update", "more data into a fitted result" },
    { "merge", "join results fitted on parts" },
    { "rerun", "make a result again and compare" },
    { "verify", "check a certificate again" },
    { "plot", "a picture of a result" },
    { "info", "what a file holds" },
    { "convert", "another format" },
    { "plan", "memory, size and time before anything runs" },
    { "list", "the operations" },
    { "find", "search the operations" },
    { "help", "help on an operation" },
#ifndef LODE_CORE
    { "claims", "run the checks behind each method" },
    { "bench", "compare with other compressors" },
#endif
};
enum { COMMANDS = (int)(sizeof commands / sizeof *commands) };

/* Options of every command; values: by blanks, "" a number or word, NULL none is taken, "FILE" a
 * path. */
static const struct {
    const char *name, *values, *what;
} everywhere[] = {
    { "output", "FILE", "where the result goes" },
    { "threads", "", "workers" },
    { "memory", "", "memory budget, as in 4G" },
    { "scratch", "FILE", "folder for what does not fit" },
    { "seed", "", "of all random numbers" },
    { "dtype", "", "type of the values" },
    { "shape", "", "of raw files" },
    { "from", "", "format of the input" },
    { "to", "", "format of the output" },
    { "progress", "auto always never", "show how far it is" },
    { "checkpoint", "FILE", "keep what is done" },
    { "json", NULL, "a machine-readable summary" },
    { "quiet", NULL, "no summary" },
    { "force", NULL, "replace an existing file" },
    { "recover", NULL, "leave damaged parts out" },
    { "help", NULL, "help" },
};
enum { EVERYWHERE = (int)(sizeof everywhere / sizeof *everywhere) };

static bool is_everywhere(const char *flag)
{
    for (int i = 0; i < EVERYWHERE; i++)
        if (strcmp(everywhere[i].name, flag) == 0)
            return true;
    return false;
}

/* What can stand after an option, by blanks; NULL: no list. */
static const char *values_of(const lode_param *p, char *out, size_t size)
{
    if (p->kind == LODE_P_BOOL)
        return "true false";
    if (p->kind != LODE_P_ENUM || strlen(p->choices) >= size)
        return NULL;
    for (size_t i = 0; i <= strlen(p->choices); i++)
        out[i] = p->choices[i] == '|' ? ' ' : p->choices[i];
    return out;
}

static bool takes_file(const lode_param *p)
{
    return p->kind == LODE_P_ARRAY || (p->kind == LODE_P_TEXT && p->path);
}

static lode_status add_operations(lode_ctx *ctx, lode_text *t)
{
    lode_status st = LODE_OK;
    for (int64_t i = 0; i < lode_op_count(ctx); i++)
        ADD("%s%s", i ? " " : "", lode_op_at(ctx, i)->name);
done:
    return st;
}

static lode_status add_commands(lode_ctx *ctx, lode_text *t)
{
    lode_status st = LODE_OK;
    for (int i = 0; i < COMMANDS; i++)
        ADD("%s ", commands[i].name);
    LODE_TRY(add_operations(ctx, t));
done:
    return st;
}

/* Each family once, as they come. */
static lode_status add_families(lode_ctx *ctx, lode_text *t)
{
    lode_status st = LODE_OK;
    for (int64_t i = 0; i < lode_op_count(ctx); i++) {
        bool seen = false;
        for (int64_t k = 0; k < i; k++)
            seen = seen || strcmp(lode_op_at(ctx, k)->family, lode_op_at(ctx, i)->family) == 0;
        if (!seen)
            ADD("%s%s", i ? " " : "", lode_op_at(ctx, i)->family);
    }
done:
    return st;
}

/* bash and zsh: a case of operations that sets flags, and values by the word before. */
static lode_status add_cases(lode_ctx *ctx, lode_text *t)
{
    lode_status st = LODE_OK;
    char flag[64], list[256];
    ADD("    flags='");
    for (int i = 0; i < EVERYWHERE; i++)
        ADD("%s--%s", i ? " " : "", everywhere[i].name);
    ADD("'\n    case $op in\n");
    for (int64_t i = 0; i < lode_op_count(ctx); i++) {
        const lode_op *op = lode_op_at(ctx, i);
        ADD("    %s)\n        flags=\"$flags", op->name);
        for (const lode_param *p = op->params; p->name; p++)
            if (!is_everywhere(lode_i_dashed(p->name, flag, sizeof flag)))
                ADD(" --%s", flag);
        ADD("\"\n        case $before in\n");
        for (const lode_param *p = op->params; p->name; p++) {
            const char *values = values_of(p, list, sizeof list);
            if (values)
                ADD("        --%s) values='%s' ;;\n", lode_i_dashed(p->name, flag, sizeof flag),
                    values);
        }
        ADD("        esac\n        ;;\n");
    }
    ADD("    plot) flags=\"$flags --width --dark\" ;;\n    invert) flags=\"$flags --part\" ;;\n"
        "    esac\n    case $before in\n");
    for (int i = 0; i < EVERYWHERE; i++)
        if (everywhere[i].values && strchr(everywhere[i].values, ' '))
            ADD("    --%s) values='%s' ;;\n", everywhere[i].name, everywhere[i].values);
    ADD("    esac\n");
done:
    return st;
}

/* bash and zsh: the second word, where the first is no operation. */
static lode_status add_second(lode_ctx *ctx, lode_text *t)
{
    lode_status st = LODE_OK;
    ADD("        case $op in\n        plan|help) values=$operations ;;\n"
        "        bench) values=compress ;;\n        list) values='");
    LODE_TRY(add_families(ctx, t));
    ADD("' ;;\n        esac\n");
done:
    return st;
}

static lode_status add_bash(lode_ctx *ctx, lode_text *t)
{
    lode_status st = LODE_OK;
    ADD("_lode()\n{\n    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
        "    local op=${COMP_WORDS[1]} flags='' values='' operations='");
    LODE_TRY(add_operations(ctx, t));
    ADD("'\n    COMPREPLY=()\n    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
        "        COMPREPLY=($(compgen -W '");
    LODE_TRY(add_commands(ctx, t));
    ADD(" --help --version' -- \"$word\"))\n        return\n    fi\n"
        "    if [ \"$COMP_CWORD\" -eq 2 ]; then\n");
    LODE_TRY(add_second(ctx, t));
    ADD("    elif [ \"$op\" = plan ]; then\n        op=${COMP_WORDS[2]}\n"
        "    fi\n");
    LODE_TRY(add_cases(ctx, t));
    ADD("    if [[ $word == -* ]]; then\n"
        "        COMPREPLY=($(compgen -W \"$flags\" -- \"$word\"))\n"
        "    elif [ -n \"$values\" ]; then\n"
        "        COMPREPLY=($(compgen -W \"$values\" -- \"$word\"))\n"
        "    fi # else a file: nothing from here, and readline quotes it\n"
        "}\ncomplete -o default -F _lode lode\n");
done:
    return st;
}

static lode_status add_zsh(lode_ctx *ctx, lode_text *t)
{
    lode_status st = LODE_OK;
    ADD("#compdef lode\n_lode() {\n    local op=$words[2] before=$words[CURRENT-1] flags= values= "
        "operations='");
    LODE_TRY(add_operations(ctx, t));
    ADD("'\n    if (( CURRENT == 2 )); then\n        compadd -- ${=:-");
    LODE_TRY(add_commands(ctx, t));
    ADD("} --help --version\n        return\n    fi\n    if (( CURRENT == 3 )); then\n");
    LODE_TRY(add_second(ctx, t));
    ADD("    elif [[ $op == plan ]]; then\n        op=$words[3]\n    fi\n");
    LODE_TRY(add_cases(ctx, t));
    ADD("    if [[ $words[CURRENT] == -* ]]; then\n        compadd -- ${=flags}\n"
        "    elif [[ -n $values ]]; then\n        compadd -- ${=values}\n"
        "    else\n        _files\n    fi\n}\n_lode \"$@\"\n");
done:
    return st;
}

/* Between single quotes of fish. */
static lode_status add_quoted(lode_ctx *ctx, lode_text *t, const char *text)
{
    lode_status st = LODE_OK;
    ADD("'");
    for (const char *c = text; *c; c++)
        ADD(*c == '\'' || *c == '\\' ? "\\%c" : "%c", *c);
    ADD("'");
done:
    return st;
}

static lode_status add_fish_options(lode_ctx *ctx, const lode_op *op, lode_text *t)
{
    lode_status st = LODE_OK;
    char flag[64], list[256];
    for (const lode_param *p = op->params; p->name; p++) {
        const char *values = values_of(p, list, sizeof list);
        ADD("complete -c lode -n '__fish_seen_subcommand_from %s' -l %s -r%s", op->name,
            lode_i_dashed(p->name, flag, sizeof flag), takes_file(p) ? "F" : "f");
        if (values)
            ADD(" -a '%s'", values);
        ADD(" -d ");
        LODE_TRY(add_quoted(ctx, t, p->help));
        ADD("\n");
    }
done:
    return st;
}

static lode_status add_fish(lode_ctx *ctx, lode_text *t)
{
    lode_status st = LODE_OK;
    for (int i = 0; i < COMMANDS; i++)
        ADD("complete -c lode -n __fish_use_subcommand -f -a %s -d '%s'\n", commands[i].name,
            commands[i].what);
    for (int64_t i = 0; i < lode_op_count(ctx); i++) {
        ADD("complete -c lode -n __fish_use_subcommand -f -a %s -d ", lode_op_at(ctx, i)->name);
        LODE_TRY(add_quoted(ctx, t, lode_op_at(ctx, i)->brief));
        ADD("\n");
    }
    ADD("complete -c lode -n '__fish_seen_subcommand_from plan help; and not "
        "__fish_seen_subcommand_from ");
    LODE_TRY(add_operations(ctx, t));
    ADD("' -f -a '");
    LODE_TRY(add_operations(ctx, t));
    ADD("'\ncomplete -c lode -n '__fish_seen_subcommand_from list' -f -a '");
    LODE_TRY(add_families(ctx, t));
    ADD("'\ncomplete -c lode -n '__fish_seen_subcommand_from bench' -a compress\n"
        "complete -c lode -n '__fish_seen_subcommand_from plot' -l width -rf\n"
        "complete -c lode -n '__fish_seen_subcommand_from plot' -l dark\n"
        "complete -c lode -n '__fish_seen_subcommand_from invert' -l part -rf\n");
    for (int64_t i = 0; i < lode_op_count(ctx); i++)
        LODE_TRY(add_fish_options(ctx, lode_op_at(ctx, i), t));
    for (int i = 0; i < EVERYWHERE; i++) {
        const char *values = everywhere[i].values;
        ADD("complete -c lode%s -l %s", i ? "" : " -s o", everywhere[i].name);
        if (values)
            ADD(" -r%s", strcmp(values, "FILE") == 0 ? "F" : "f");
        if (values && strchr(values, ' '))
            ADD(" -a '%s'", values);
        ADD(" -d '%s'\n", everywhere[i].what);
    }
done:
    return st;
}

lode_status lode_completion(lode_ctx *ctx, const char *shell, char **text)
{
    lode_status st = LODE_OK;
    lode_text t = { 0 };
    if (strcmp(shell, "bash") == 0)
        LODE_TRY(add_bash(ctx, &t));
    else if (strcmp(shell, "zsh") == 0)
        LODE_TRY(add_zsh(ctx, &t));
    else if (strcmp(shell, "fish") == 0)
        LODE_TRY(add_fish(ctx, &t));
    else
        LODE_REQUIRE(false, LODE_EUSAGE, "no completion for '%s'; there is bash, zsh and fish",
                     shell);
    *text = t.text;
    t = (lode_text){ 0 };
done:
    lode_i_text_free(&t);
    return st;
}
