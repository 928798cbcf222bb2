/* Programs beside this one: found by name, run without a shell, waited for or handed over to. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"

extern char **environ;

bool cli_own_path(char *path, size_t size)
{
    const ssize_t n = readlink("/proc/self/exe", path, size - 1);
    path[n > 0 ? n : 0] = 0;
    return path[0] == '/';
}

void cli_become(cli *c, const char *const *own, int count)
{
    char *argv[CLI_OWN + CLI_MAX + 1];
    int n = 0;
    while (n < count)
        argv[n] = (char *)(uintptr_t)own[n], n++;
    for (int i = 0; i < c->words; i++)
        argv[n++] = c->word[i];
    argv[n] = NULL;
    fflush(stdout);
    execvp(argv[0], argv);
}

static bool find_in(const char *folders, const char *name, char *path, size_t size)
{
    for (const char *p = folders; p && *p;) {
        const size_t n = strcspn(p, ":");
        const int got = n ? snprintf(path, size, "%.*s/%s", (int)n, p, name)
                          : snprintf(path, size, "./%s", name);
        if (got > 0 && (size_t)got < size && access(path, X_OK) == 0)
            return true;
        p += n + (p[n] == ':');
    }
    return false;
}

bool cli_find_program(const char *name, char *path, size_t size)
{
    return find_in(getenv("LODE_PEERS"), name, path, size) ||
           find_in(getenv("PATH"), name, path, size);
}

/* The last words of a log, on one line. */
static void read_end(const char *log, char *said, size_t size)
{
    char text[256];
    FILE *f = fopen(log, "rb");
    size_t n = 0;
    said[0] = 0;
    if (!f)
        return;
    if (fseek(f, -(int)sizeof text, SEEK_END) != 0)
        rewind(f);
    n = fread(text, 1, sizeof text, f);
    fclose(f);
    while (n > 0 && strchr("\n\r ", text[n - 1]))
        n--;
    size_t from = n;
    while (from > 0 && text[from - 1] != '\n')
        from--;
    snprintf(said, size, "%.*s", (int)(n - from), text + from);
}

int cli_run_program(char *const argv[], const char *log, char *said, size_t size)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t signals;
    pid_t child = 0;
    int state = 0;
    bool stopped = false;
    said[0] = 0;
    if (posix_spawn_file_actions_init(&files) != 0) {
        snprintf(said, size, "out of memory");
        return CLI_FAILED;
    }
    if (posix_spawnattr_init(&how) != 0) {
        posix_spawn_file_actions_destroy(&files);
        snprintf(said, size, "out of memory");
        return CLI_FAILED;
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE);
    int bad = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    bad = bad ? bad
              : posix_spawn_file_actions_addopen(&files, 1, log, O_WRONLY | O_CREAT | O_TRUNC,
                                                 0600);
    bad = bad ? bad : posix_spawn_file_actions_adddup2(&files, 1, 2);
    bad = bad ? bad : posix_spawnattr_setsigdefault(&how, &signals);
    bad = bad ? bad : posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGDEF);
    bad = bad ? bad : posix_spawn(&child, argv[0], &files, &how, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&how);
    if (bad) {
        snprintf(said, size, "%s", strerror(bad));
        return CLI_FAILED;
    }
    while (waitpid(child, &state, 0) < 0) {
        if (errno != EINTR)
            return CLI_FAILED;
        kill(child, SIGTERM); /* we were asked to stop */
        stopped = true;
    }
    if (stopped ||
        (WIFSIGNALED(state) && (WTERMSIG(state) == SIGINT || WTERMSIG(state) == SIGTERM)))
        return CLI_STOPPED;
    if (WIFEXITED(state) && WEXITSTATUS(state) == 0)
        return CLI_OK;
    read_end(log, said, size);
    if (!said[0] && WIFSIGNALED(state))
        snprintf(said, size, "ended by signal %d", WTERMSIG(state));
    if (!said[0])
        snprintf(said, size, "ended with status %d", WEXITSTATUS(state));
    return CLI_FAILED;
}
