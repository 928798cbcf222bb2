/* `lode bench`: what there is to measure; the project's own are scripts in its folder bench/. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

static bool shipped(const char *folder, const char *name, char *path, size_t size)
{
    const int n = snprintf(path, size, "%s/%s.py", folder, name);
    return n > 0 && (size_t)n < size && strcmp(name, "peers") != 0 && access(path, R_OK) == 0;
}

/* The first sentence of a file's first text. */
static void print_purpose(const char *path, const char *name)
{
    char text[512];
    FILE *f = fopen(path, "rb");
    const size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = 0;
    const char *from = strstr(text, "\"\"\"");
    from = from ? from + 3 : "";
    const char *const full = strstr(from, ". "), *const end = strstr(from, "\"\"\"");
    size_t length = end ? (size_t)(end - from) : strlen(from);
    if (full && (size_t)(full - from) < length)
        length = (size_t)(full - from);
    while (length > 0 && from[length - 1] == '.')
        length--;
    printf("  %-10s", name);
    for (size_t i = 0; i < length; i++)
        putchar(from[i] == '\n' ? ' ' : from[i]);
    putchar('\n');
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int list(const char *folder)
{
    char name[64][64], path[512];
    int count = 0;
    puts("lode bench compress FILE [--error 1e-1,1e-2,..] [-o CURVE.svg]: error against size of "
         "compress on your\n  own array, beside zfp and others where they are on PATH or in "
         "LODE_PEERS");
    DIR *d = opendir(folder);
    for (const struct dirent *e; d && (e = readdir(d)) && count < 64;) {
        const size_t n = strlen(e->d_name);
        if (n < 4 || n >= sizeof *name || strcmp(e->d_name + n - 3, ".py") != 0)
            continue;
        snprintf(name[count], sizeof *name, "%.*s", (int)n - 3, e->d_name);
        count += shipped(folder, name[count], path, sizeof path);
    }
    if (d)
        closedir(d);
    if (count == 0) {
        puts("The project's own measurements lie in its folder bench/, which is not here.");
        return CLI_OK;
    }
    puts("\nThe project's own, run by 'lode bench NAME...' (minutes each; peers that are not "
         "installed are left out):");
    qsort(name, (size_t)count, sizeof *name, by_name);
    for (int i = 0; i < count; i++)
        if (shipped(folder, name[i], path, sizeof path))
            print_purpose(path, name[i]);
    return CLI_OK;
}

int cli_bench(cli *c)
{
    char path[512], folder[3000];
    if (c->words > 1 && strcmp(c->word[0], "compress") == 0)
        return bench_compress(c);
    if (c->words == 0) {
        const int bad = cli_no_options(c, "bench");
        return bad ? bad : list("bench");
    }
    for (int i = 0; i < c->words; i++)
        if (!shipped("bench", c->word[i], path, sizeof path))
            return access("bench/run", R_OK) != 0
                       ? cli_usage(c,
                                   "'%s' is measured in the project's folder, by its bench/; "
                                   "here there is 'lode bench compress FILE'",
                                   c->word[i])
                       : cli_usage(c, "no bench '%s'; 'lode bench' lists them", c->word[i]);
    if (c->options || c->outputs)
        return cli_usage(c, "usage: lode bench NAME..., or lode bench compress FILE [options]");
    const bool known = cli_own_path(folder, sizeof folder);
    if (known)
        *strrchr(folder, '/') = 0;
    const char *const runner[] = { "/bin/sh", "bench/run", known ? folder : "build" };
    cli_become(c, runner, (int)(sizeof runner / sizeof *runner));
    return cli_usage(c, "%s could not be started", runner[0]);
}
