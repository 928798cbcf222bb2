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
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    const char *candidates[] = { named ? named : "claims", "claims", "../share/lode/claims",
                                 "../claims" };
    if (n > 0) {
        self[n] = 0;
        char *slash = strrchr(self, '/');
        *(slash ? slash : self) = 0;
    }
    for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
        if (i < 2)
            snprintf(path, size, "%s", candidates[i]);
        else
            snprintf(path, size, "%.2000s/%s", n > 0 ? self : ".", candidates[i]);
        snprintf(runner, sizeof runner, "%s/run.py", path);
        if (access(runner, R_OK) == 0)
            return true;
    }
    return false;
}

int cli_claims(cli *c)
{
    char folder[3000], runner[3100], self[4096], seed[32];
    char *args[CLI_MAX + 16];
    int n = 0;
    if (!find_claims(folder, sizeof folder))
        return cli_usage(c, "no claims found: run it in the project's folder, or set LODE_CLAIMS");
    const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length > 0) {
        self[length] = 0;
        setenv("LODE", self, 1);
    }
    snprintf(runner, sizeof runner, "%s/run.py", folder);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)c->ctx.seed);
    const char *python = getenv("LODE_PYTHON");
    if (!python)
        python = access("/usr/bin/python3", X_OK) == 0 ? "/usr/bin/python3" : "python3";
    const char *fixed[] = { python, runner, "--seed", seed };
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        args[n++] = (char *)(uintptr_t)fixed[i];
    for (int i = 0; i < c->options; i++) {
        if (strcmp(c->option[i].name, "full") != 0)
            return cli_usage(c, "claims has no option --%s; it takes names, --seed and --full",
                             c->option[i].name);
        args[n++] = (char *)(uintptr_t) "--full";
        if (c->option[i].value)
            args[n++] = (char *)(uintptr_t)c->option[i].value;
    }
    if (c->json)
        args[n++] = (char *)(uintptr_t) "--json";
    for (int i = 0; i < c->words; i++)
        args[n++] = c->word[i];
    args[n] = NULL;
    execvp(python, args);
    return cli_usage(c, "claims need Python: %s could not be started", python);
}
