/* `lode claims`: hands over to the runner beside the claim files, which use only this command. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

/* Folder of the claim files: named by LODE_CLAIMS, here, or beside the installed command. */
static bool find_claims(char *path, size_t size)
{
    char self[4096], runner[4200];
    const char *named = getenv("LODE_CLAIMS");
    const char *candidates[] = { named ? named : "claims", "claims", "../share/lode/claims",
                                 "../claims" };
    const bool known = cli_own_path(self, sizeof self);
    if (known)
        *strrchr(self, '/') = 0;
    for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
        if (i < 2)
            snprintf(path, size, "%s", candidates[i]);
        else
            snprintf(path, size, "%.2000s/%s", known ? self : ".", candidates[i]);
        snprintf(runner, sizeof runner, "%s/run.py", path);
        if (access(runner, R_OK) == 0)
            return true;
    }
    return false;
}

int cli_claims(cli *c)
{
    char folder[3000], runner[3100], self[4096], seed[32];
    const char *args[CLI_OWN];
    int n = 0;
    if (!find_claims(folder, sizeof folder))
        return cli_usage(c, "no claims found: run it in the project's folder, or set LODE_CLAIMS");
    if (cli_own_path(self, sizeof self))
        setenv("LODE", self, 1);
    snprintf(runner, sizeof runner, "%s/run.py", folder);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)c->ctx.seed);
    const char *python = getenv("LODE_PYTHON");
    if (!python)
        python = access("/usr/bin/python3", X_OK) == 0 ? "/usr/bin/python3" : "python3";
    args[n++] = python, args[n++] = runner, args[n++] = "--seed", args[n++] = seed;
    for (int i = 0; i < c->options; i++) {
        if (strcmp(c->option[i].name, "full") != 0)
            return cli_usage(c, "claims has no option --%s; it takes names, --seed and --full",
                             c->option[i].name);
        args[n++] = "--full";
        if (c->option[i].value)
            args[n++] = c->option[i].value;
    }
    if (c->json)
        args[n++] = "--json";
    cli_become(c, args, n);
    return cli_usage(c, "claims need Python: %s could not be started", python);
}
