/* The command: parses words, calls the library through its public headers, prints. */
#ifndef LODE_CLI_H
#define LODE_CLI_H

#include <stdio.h>

#include "lode/lode.h"

/** Exit statuses of our own making; the rest come from lode_status_exit. */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_STOPPED = 130 };

typedef enum cli_progress { CLI_AUTO, CLI_ALWAYS, CLI_NEVER } cli_progress;

/** One output: `-o FILE`, or `-o port=FILE`. */
typedef struct cli_output {
    const char *port; /* NULL: the whole result */
    const char *path;
} cli_output;

typedef struct cli_option {
    const char *name, *value; /* value NULL: given alone */
} cli_option;

enum { CLI_MAX = 256, CLI_OWN = 2 * CLI_MAX + 8 };
typedef struct cli {
    lode_ctx ctx;
    /* flags that every command takes */
    bool json, quiet, force, help;
    cli_progress progress;
    const char *from, *to, *dtype, *shape, *part, *width, *html;
    bool dark;
    bool decodes; /* outputs are decoded as they are written */
    /* words and options in the order given */
    int words;
    char *word[CLI_MAX];
    int options;
    cli_option option[CLI_MAX];
    int outputs;
    cli_output output[16];
    lode_read_opts read;
    char caveat[2048]; /* sentence of a result with a caveat, kept while the result is written */
} cli;

/* args.c */
/** Splits the words after the command's name. Prints one sentence and returns CLI_USAGE when they
 *  are wrong. */
int cli_parse(cli *c, int argc, char **argv);
/** Prints "lode: " and the context's sentence; returns the status's exit code. */
int cli_failed(cli *c, lode_status st);
/** Keeps the sentence of a caveat (positive status). */
void cli_keep_caveat(cli *c, lode_status st);
/** Exit status of a call that ended so, reading with a caveat counted. */
int cli_exit(const cli *c, lode_status st);
/** Prints one sentence of usage and returns CLI_USAGE. */
int cli_usage(const cli *c, const char *format, ...) LODE_PRINTF(2, 3);
/** Options left that no command knows: an error naming the first. Commands call it with what they
 *  took. */
int cli_no_options(const cli *c, const char *command);

/* values.c */
/** A value named on the command line; free with cli_value_free. */
typedef struct cli_value {
    lode_bundle held; /* what `value` points into */
    lode_value value;
} cli_value;
/** Reads FILE[:member][slice]; a result with an inverse reads as its reconstruction. */
lode_status cli_read(cli *c, const char *spec, cli_value *v);
/** The same, but a file of several values is a bundle of them. */
lode_status cli_read_file(cli *c, const char *spec, cli_value *v);
/** All of a source as an array. */
lode_status cli_load(cli *c, const lode_source *s, lode_array *x);
/** Reads a result whole: the model of a verb. Where damage keeps it from being read, the sentence
 *  says what part of the array that takes, if the operation can tell. */
lode_status cli_model(cli *c, const char *path, lode_bundle *model);
void cli_value_free(cli_value *v);
/** Fails early when an output exists and --force is not given. */
int cli_check_outputs(cli *c);
/** Writes a result to the outputs asked for. */
lode_status cli_write(cli *c, const lode_bundle *result);

/* report.c */
void cli_progress_start(cli *c);
void cli_progress_stop(cli *c);
double cli_seconds(void);
/** Whether it is a file that opens, as it is written: no member or slice, not standard input. */
bool cli_opens(const char *path);
/** Notes of the library, unless --quiet: what a file holds that is left out. */
void cli_tell_notes(cli *c);
/** Size of a file, -1 when there is none. */
int64_t cli_file_size(const char *path);
void cli_print_bytes(double bytes, char text[32]);
/** The human summary on stderr and, with --json, the object on stdout. */
void cli_report(cli *c, const char *op, const lode_bundle *result, const lode_plan *plan,
                lode_status st, double seconds);
void cli_print_shape(int ndim, const int64_t *shape, char *text, size_t size);
/** JSON string with its quotes; NULL: null. */
void cli_json_text(FILE *f, const char *text);
/** "dtype": .., "shape": [..] */
void cli_json_shape(FILE *f, lode_dtype dtype, int ndim, const int64_t *shape);
/** "output": the first output's path, or null */
void cli_json_output(FILE *f, const cli *c);

/* whole.c */
/** The members of a file and what became of them, as a table or as the JSON list of them. */
lode_status cli_print_table(cli *c, FILE *f, const lode_bundle *file);
lode_status cli_print_table_json(cli *c, const lode_bundle *file);
/** The report of a whole file's job; from: the file it was made from. */
lode_status cli_report_file(cli *c, const char *op, const char *from, const lode_bundle *result,
                            lode_status st, double seconds);
/** Checks every member; original: NULL, or the file it came from. */
int cli_verify_file(cli *c, const lode_bundle *file, const char *original);

/* process.c */
/** Where this command lies, from the root; false: unknown. */
bool cli_own_path(char *path, size_t size);
/** Becomes another program: `count` words of its own, at most CLI_OWN, then ours. Returns only
 *  where it could not be started. */
void cli_become(cli *c, const char *const *own, int count);
/** A program by its name, in the folders of LODE_PEERS, then of PATH. */
bool cli_find_program(const char *name, char *path, size_t size);
/** Runs argv[0], a path, to its end; what it prints goes to the file `log`. CLI_FAILED: `said` holds
 *  its last line. CLI_STOPPED: it or we were interrupted. */
int cli_run_program(char *const argv[], const char *log, char *said, size_t size);

/* ops.c */
const lode_param *cli_find_param(const lode_op *op, const char *name);
/** The port that `name=...` names, or NULL; of an op's inputs, or among ports (NULL: none). */
const lode_port *cli_named_port(const lode_op *op, const char *word, const char **rest);
const lode_port *cli_port_of(const lode_port *ports, const char *word, const char **rest);
/** What a word gives a port (NULL: an array). */
lode_status cli_read_input(cli *c, const lode_port *port, bool file, const char *spec,
                           cli_value *v);

/* commands: each returns the exit status */
int cli_run_op(cli *c, const lode_op *op);
int cli_plan(cli *c);
int cli_apply(cli *c);
int cli_invert(cli *c);
int cli_query(cli *c);
int cli_update(cli *c);
int cli_merge(cli *c);
int cli_rerun(cli *c);
int cli_verify(cli *c);
/** Whether a figure of this name is a page (lode_report). */
bool cli_is_page(const char *path);
int cli_plot(cli *c);
int cli_info(cli *c);
int cli_convert(cli *c);
int cli_list(cli *c);
int cli_find(cli *c);
int cli_help(cli *c);
int cli_claims(cli *c);
int cli_bench(cli *c);
int cli_describe(cli *c);
int cli_version(cli *c);

#endif
