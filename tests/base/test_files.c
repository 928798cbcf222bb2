/* Input, output and scratch files, with what can go wrong around them. */
#include "fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/base.h"

typedef struct fix {
    lode_ctx ctx;
    heap h;
    char folder[256], path[300], other[300];
} fix;

static int setup(void **state)
{
    static fix f;
    memset(&f, 0, sizeof f);
    *state = &f;
    const lode_allocator a = heap_of(&f.h);
    folder_make(f.folder);
    snprintf(f.path, sizeof f.path, "%s/data.bin", f.folder);
    snprintf(f.other, sizeof f.other, "%s/other", f.folder);
    return lode_ctx_init(&f.ctx, &a);
}

static int teardown(void **state)
{
    fix *f = *state;
    lode_ctx_free(&f->ctx);
    folder_remove(f->folder);
    return f->h.live == 0 && access(f->folder, F_OK) != 0 ? 0 : -1;
}

static void put(const char *path, const char *text)
{
    FILE *o = fopen(path, "w");
    assert_non_null(o);
    fputs(text, o);
    assert_int_equal(fclose(o), 0);
}

static void holds(const char *path, const char *text)
{
    char got[4096] = "";
    FILE *i = fopen(path, "r");
    assert_non_null(i);
    const size_t n = fread(got, 1, sizeof got - 1, i);
    fclose(i);
    got[n] = '\0';
    assert_string_equal(got, text);
}

/* ---- input ---- */

static void an_input_is_read_at_any_place(void **state)
{
    fix *f = *state;
    lode_infile *in = NULL;
    char got[16] = "";
    put(f->path, "0123456789");
    assert_ok(&f->ctx, lode_i_infile_open(&f->ctx, f->path, &in));
    assert_int_equal(lode_i_infile_size(in), 10);
    assert_string_equal(lode_i_infile_path(in), f->path);
    assert_ok(&f->ctx, lode_i_infile_read(&f->ctx, in, 3, got, 4));
    assert_string_equal(got, "3456");
    assert_ok(&f->ctx, lode_i_infile_read(&f->ctx, in, 10, got, 0));
    assert_status(&f->ctx, lode_i_infile_read(&f->ctx, in, 8, got, 3), LODE_EFORMAT);
    assert_says(&f->ctx, f->path);
    assert_says(&f->ctx, "byte 8");
    assert_status(&f->ctx, lode_i_infile_read(&f->ctx, in, UINT64_MAX, got, 3), LODE_EFORMAT);
    lode_infile *again = lode_i_infile_ref(in);
    lode_i_infile_close(in);
    assert_ok(&f->ctx, lode_i_infile_read(&f->ctx, again, 0, got, 4));
    assert_int_equal(truncate(f->path, 5), 0);
    assert_status(&f->ctx, lode_i_infile_read(&f->ctx, again, 3, got, 4), LODE_EIO);
    assert_says(&f->ctx, "changing");
    lode_i_infile_close(again);
    lode_i_infile_close(NULL);
    assert_null(lode_i_infile_ref(NULL));
}

static void what_cannot_be_opened_says_why(void **state)
{
    fix *f = *state;
    lode_infile *in = NULL;
    assert_status(&f->ctx, lode_i_infile_open(&f->ctx, f->path, &in), LODE_ENOENT);
    assert_says(&f->ctx, f->path);
    assert_status(&f->ctx, lode_i_infile_open(&f->ctx, f->folder, &in), LODE_EUSAGE);
    assert_says(&f->ctx, "is a folder");
    assert_status(&f->ctx, lode_i_infile_open(&f->ctx, "/dev/null/x", &in), LODE_ENOENT);
    if (geteuid() != 0) {
        put(f->path, "secret");
        chmod(f->path, 0);
        assert_status(&f->ctx, lode_i_infile_open(&f->ctx, f->path, &in), LODE_EIO);
        assert_says(&f->ctx, "ermission");
    }
    assert_null(in);
    assert_false(lode_i_path_exists(f->other));
    assert_true(lode_i_path_exists(f->folder));
}

static void opening_survives_each_failed_allocation(void **state)
{
    fix *f = *state;
    put(f->path, "x");
    for (int64_t n = 1;; n++) {
        lode_infile *in = NULL;
        const int64_t live = f->h.live;
        heap_fail(&f->h, n);
        const lode_status st = lode_i_infile_open(&f->ctx, f->path, &in);
        assert_int_equal(st, heap_failed(&f->h) ? LODE_ENOMEM : LODE_OK);
        lode_i_infile_close(in);
        assert_int_equal(f->h.live, live);
        if (st == LODE_OK)
            break;
    }
}

typedef struct pipe_end {
    const char *path;
    size_t size;
} pipe_end;

static void *feed(void *data)
{
    const pipe_end *p = data;
    const int to = open(p->path, O_WRONLY);
    char block[4096];
    memset(block, 'p', sizeof block);
    for (size_t left = p->size; left > 0;) {
        const ssize_t n = write(to, block, left < sizeof block ? left : sizeof block);
        if (n <= 0)
            break;
        left -= (size_t)n;
    }
    close(to);
    return NULL;
}

static void a_pipe_is_spooled_within_the_budget(void **state)
{
    fix *f = *state;
    pipe_end p = { f->path, 3000000 };
    assert_int_equal(mkfifo(f->path, 0600), 0);
    signal(SIGPIPE, SIG_IGN); /* the writer meets a closed pipe when the reader gives up */
    for (int fits = 1; fits >= 0; fits--) {
        pthread_t t;
        lode_infile *in = NULL;
        char last = 0;
        assert_int_equal(pthread_create(&t, NULL, feed, &p), 0);
        lode_ctx_set_memory(&f->ctx, fits ? 100000000 : 1000000);
        const lode_status st = lode_i_infile_open(&f->ctx, f->path, &in);
        assert_int_equal(st, fits ? LODE_OK : LODE_EBUDGET);
        if (fits) {
            assert_int_equal(lode_i_infile_size(in), 3000000);
            assert_ok(&f->ctx, lode_i_infile_read(&f->ctx, in, 2999999, &last, 1));
            assert_int_equal(last, 'p');
            assert_status(&f->ctx, lode_i_infile_read(&f->ctx, in, 2999999, &last, 2),
                          LODE_EFORMAT);
        } else {
            assert_says(&f->ctx, f->path);
        }
        lode_i_infile_close(in);
        pthread_join(t, NULL);
    }
}

static void standard_input_is_spooled(void **state)
{
    fix *f = *state;
    put(f->path, "from a pipe");
    const int kept = dup(STDIN_FILENO), in_place = open(f->path, O_RDONLY);
    assert_true(dup2(in_place, STDIN_FILENO) == STDIN_FILENO);
    lode_infile *in = NULL;
    char got[12] = "";
    const lode_status st = lode_i_infile_open(&f->ctx, "-", &in);
    dup2(kept, STDIN_FILENO);
    close(kept);
    close(in_place);
    assert_ok(&f->ctx, st);
    assert_int_equal(lode_i_infile_size(in), 11);
    assert_string_equal(lode_i_infile_path(in), "standard input");
    assert_ok(&f->ctx, lode_i_infile_read(&f->ctx, in, 0, got, 11));
    assert_string_equal(got, "from a pipe");
    lode_i_infile_close(in);
}

/* ---- output ---- */

static void an_output_appears_whole_at_commit(void **state)
{
    fix *f = *state;
    lode_outfile *out = NULL;
    assert_ok(&f->ctx, lode_i_outfile_open(&f->ctx, f->path, false, &out));
    assert_ok(&f->ctx, lode_i_outfile_write(&f->ctx, out, "??hello", 7));
    assert_ok(&f->ctx, lode_i_outfile_pwrite(&f->ctx, out, 0, "> ", 2));
    assert_int_equal(lode_i_outfile_tell(out), 7);
    assert_ok(&f->ctx, lode_i_outfile_pwrite(&f->ctx, out, 7, " wor", 4));
    assert_ok(&f->ctx, lode_i_outfile_write(&f->ctx, out, "ld", 2));
    assert_int_equal(lode_i_outfile_tell(out), 13);
    assert_false(lode_i_path_exists(f->path));
    assert_true(lode_i_path_exists(lode_i_outfile_temporary(out)));
    assert_non_null(strstr(lode_i_outfile_temporary(out), "/.data.bin.lode-tmp-"));
    assert_ok(&f->ctx, lode_i_outfile_commit(&f->ctx, &out));
    assert_null(out);
    holds(f->path, "> hello world");
    assert_int_equal(folder_count(f->folder), 1);
}

static void large_and_small_writes_mix(void **state)
{
    fix *f = *state;
    lode_outfile *out = NULL;
    lode_infile *in = NULL;
    enum { SIZE = 1000000 };
    static unsigned char all[SIZE], got[SIZE];
    const size_t steps[] = { 1, 100, 70000, 60000, 131071, 131072, 131073, 300000, 3 };
    for (size_t i = 0; i < SIZE; i++)
        all[i] = (unsigned char)(i * 2654435761u >> 13);
    assert_ok(&f->ctx, lode_i_outfile_open(&f->ctx, f->path, false, &out));
    for (size_t at = 0, k = 0; at < SIZE; k++) {
        const size_t n = steps[k % 9] < SIZE - at ? steps[k % 9] : SIZE - at;
        assert_ok(&f->ctx, lode_i_outfile_write(&f->ctx, out, all + at, n));
        at += n;
    }
    assert_ok(&f->ctx, lode_i_outfile_commit(&f->ctx, &out));
    assert_ok(&f->ctx, lode_i_infile_open(&f->ctx, f->path, &in));
    assert_int_equal(lode_i_infile_size(in), SIZE);
    assert_ok(&f->ctx, lode_i_infile_read(&f->ctx, in, 0, got, SIZE));
    assert_memory_equal(got, all, SIZE);
    lode_i_infile_close(in);
}

static void nothing_is_replaced_without_force(void **state)
{
    fix *f = *state;
    lode_outfile *out = NULL;
    put(f->path, "old");
    chmod(f->path, 0640);
    assert_status(&f->ctx, lode_i_outfile_open(&f->ctx, f->path, false, &out), LODE_EEXIST);
    assert_null(out);
    assert_says(&f->ctx, "--force");
    assert_ok(&f->ctx, lode_i_outfile_open(&f->ctx, f->path, true, &out));
    assert_ok(&f->ctx, lode_i_outfile_write(&f->ctx, out, "half", 4));
    lode_i_outfile_abandon(&out);
    lode_i_outfile_abandon(&out);
    holds(f->path, "old");
    assert_ok(&f->ctx, lode_i_outfile_open(&f->ctx, f->path, true, &out));
    assert_ok(&f->ctx, lode_i_outfile_write(&f->ctx, out, "new", 3));
    assert_ok(&f->ctx, lode_i_outfile_commit(&f->ctx, &out));
    holds(f->path, "new");
    struct stat about;
    assert_int_equal(stat(f->path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0640); /* the old file's rights */

    assert_ok(&f->ctx, lode_i_outfile_open(&f->ctx, f->other, false, &out));
    put(f->other, "a rival's");
    assert_status(&f->ctx, lode_i_outfile_commit(&f->ctx, &out), LODE_EEXIST);
    assert_null(out);
    holds(f->other, "a rival's");
    assert_int_equal(folder_count(f->folder), 2);
}

static void a_link_stays_a_link(void **state)
{
    fix *f = *state;
    lode_outfile *out = NULL;
    struct stat about;
    put(f->path, "old");
    assert_int_equal(symlink("data.bin", f->other), 0);
    assert_ok(&f->ctx, lode_i_outfile_open(&f->ctx, f->other, true, &out));
    assert_ok(&f->ctx, lode_i_outfile_write(&f->ctx, out, "new", 3));
    assert_ok(&f->ctx, lode_i_outfile_commit(&f->ctx, &out));
    assert_int_equal(lstat(f->other, &about), 0);
    assert_true(S_ISLNK(about.st_mode));
    holds(f->path, "new");
}

static void several_outputs_of_one_name_do_not_meet(void **state)
{
    fix *f = *state;
    lode_outfile *out[5] = { 0 };
    for (int i = 0; i < 5; i++) {
        assert_ok(&f->ctx, lode_i_outfile_open(&f->ctx, f->path, true, &out[i]));
        assert_ok(&f->ctx, lode_i_outfile_write(&f->ctx, out[i], &"abcde"[i], 1));
    }
    assert_int_equal(folder_count(f->folder), 5);
    for (int i = 0; i < 5; i++)
        assert_ok(&f->ctx, lode_i_outfile_commit(&f->ctx, &out[i]));
    holds(f->path, "e");
    assert_int_equal(folder_count(f->folder), 1);
}

static void a_library_may_write_the_temporary_by_path(void **state)
{
    fix *f = *state;
    lode_outfile *out = NULL;
    for (int removed = 0; removed < 2; removed++) {
        assert_ok(&f->ctx, lode_i_outfile_open(&f->ctx, f->path, true, &out));
        if (removed)
            unlink(lode_i_outfile_temporary(out)); /* as a library does that clobbers */
        put(lode_i_outfile_temporary(out), removed ? "by path, another file" : "by path");
        assert_ok(&f->ctx, lode_i_outfile_commit(&f->ctx, &out));
        holds(f->path, removed ? "by path, another file" : "by path");
    }
    assert_ok(&f->ctx, lode_i_outfile_open(&f->ctx, f->path, true, &out));
    unlink(lode_i_outfile_temporary(out));
    assert_status(&f->ctx, lode_i_outfile_commit(&f->ctx, &out), LODE_EIO);
    holds(f->path, "by path, another file");
}

/* A file of the name that a temporary of that process would have, locked or not. */
static int stray(const fix *f, const char *start, int64_t process, bool locked)
{
    char path[400];
    snprintf(path, sizeof path, "%s/%s%" PRId64 "-0", f->folder, start, process);
    const int file = open(path, O_RDWR | O_CREAT, 0666);
    assert_true(file >= 0);
    assert_int_equal(locked ? flock(file, LOCK_EX) : 0, 0);
    return file;
}

/* Else each kill would leave one more file for good. */
static void what_a_killed_call_left_is_removed_by_the_next(void **state)
{
    fix *f = *state;
    lode_outfile *out = NULL;
    static const char own[] = ".data.bin.lode-tmp-";
    for (int i = 0; i < 3; i++) {
        const pid_t child = fork();
        if (child == 0) {
            if (lode_i_outfile_open(&f->ctx, f->path, true, &out) == LODE_OK)
                raise(SIGKILL);
            _exit(1);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(folder_count(f->folder), 1); /* its own: the last one's is gone */
        if (i == 2) {
            const int held = stray(f, own, child, true), kept[] = {
                stray(f, ".data.bin2.lode-tmp-", child, false),
                stray(f, own, getpid(), false),
                stray(f, own, 0, false),
                stray(f, own, -3, false),
            };
            assert_ok(&f->ctx, lode_i_outfile_open(&f->ctx, f->path, true, &out));
            assert_int_equal(folder_count(f->folder), 6);
            assert_ok(&f->ctx, lode_i_outfile_commit(&f->ctx, &out));
            close(held);
            assert_ok(&f->ctx, lode_i_outfile_open(&f->ctx, f->path, true, &out));
            assert_ok(&f->ctx, lode_i_outfile_commit(&f->ctx, &out));
            assert_int_equal(folder_count(f->folder), 5);
            for (int k = 0; k < 4; k++)
                close(kept[k]);
        }
    }
}

static void what_cannot_be_written_says_why(void **state)
{
    fix *f = *state;
    lode_outfile *out = NULL;
    char inside[400];
    snprintf(inside, sizeof inside, "%s/none/x", f->folder);
    assert_status(&f->ctx, lode_i_outfile_open(&f->ctx, inside, false, &out), LODE_ENOENT);
    assert_says(&f->ctx, "none/");
    assert_status(&f->ctx, lode_i_outfile_open(&f->ctx, f->folder, true, &out), LODE_EUSAGE);
    assert_status(&f->ctx, lode_i_outfile_open(&f->ctx, "", true, &out), LODE_EUSAGE);
    snprintf(inside, sizeof inside, "%s/none/", f->folder);
    assert_status(&f->ctx, lode_i_outfile_open(&f->ctx, inside, true, &out), LODE_EUSAGE);
    assert_null(out);
    assert_int_equal(folder_count(f->folder), 0);
}

static void devices_are_written_through_and_not_replaced(void **state)
{
    fix *f = *state;
    lode_outfile *out = NULL;
    struct stat about;
    f->ctx.scratch = f->folder;
    assert_ok(&f->ctx, lode_i_outfile_open(&f->ctx, "/dev/null", false, &out));
    assert_ok(&f->ctx, lode_i_outfile_write(&f->ctx, out, "gone", 4));
    assert_ok(&f->ctx, lode_i_outfile_commit(&f->ctx, &out));
    assert_int_equal(stat("/dev/null", &about), 0);
    assert_true(S_ISCHR(about.st_mode));
    if (lode_i_path_exists("/dev/full")) {
        assert_ok(&f->ctx, lode_i_outfile_open(&f->ctx, "/dev/full", false, &out));
        assert_ok(&f->ctx, lode_i_outfile_write(&f->ctx, out, "full", 4));
        assert_status(&f->ctx, lode_i_outfile_commit(&f->ctx, &out), LODE_EIO);
        assert_says(&f->ctx, "no space left writing");
        assert_says(&f->ctx, "/dev/full");
    }
    assert_int_equal(folder_count(f->folder), 0);
}

static void standard_output_is_written_at_commit(void **state)
{
    fix *f = *state;
    lode_outfile *out = NULL;
    f->ctx.scratch = f->folder;
    fflush(stdout);
    const int kept = dup(STDOUT_FILENO), place = open(f->path, O_WRONLY | O_CREAT, 0600);
    dup2(place, STDOUT_FILENO);
    lode_status st = lode_i_outfile_open(&f->ctx, "-", false, &out);
    if (st == LODE_OK)
        st = lode_i_outfile_write(&f->ctx, out, "to a pipe", 9);
    if (st == LODE_OK)
        st = lode_i_outfile_commit(&f->ctx, &out);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    close(place);
    assert_ok(&f->ctx, st);
    holds(f->path, "to a pipe");
    assert_int_equal(folder_count(f->folder), 1);
}

static void a_long_name_gets_a_shorter_temporary(void **state)
{
    fix *f = *state;
    lode_outfile *out = NULL;
    char path[600];
    snprintf(path, sizeof path, "%s/%0250d", f->folder, 7);
    assert_ok(&f->ctx, lode_i_outfile_open(&f->ctx, path, false, &out));
    assert_ok(&f->ctx, lode_i_outfile_commit(&f->ctx, &out));
    assert_true(lode_i_path_exists(path));
}

static void creating_survives_each_failed_allocation(void **state)
{
    fix *f = *state;
    for (int64_t n = 1;; n++) {
        lode_outfile *out = NULL;
        const int64_t live = f->h.live;
        heap_fail(&f->h, n);
        const lode_status st = lode_i_outfile_open(&f->ctx, f->path, false, &out);
        assert_int_equal(st, heap_failed(&f->h) ? LODE_ENOMEM : LODE_OK);
        lode_i_outfile_abandon(&out);
        assert_int_equal(f->h.live, live);
        assert_int_equal(folder_count(f->folder), 0);
        if (st == LODE_OK)
            break;
    }
}

/* ---- scratch ---- */

static void scratch_is_unlinked_and_readable(void **state)
{
    fix *f = *state;
    lode_outfile *out = NULL;
    lode_infile *in = NULL;
    char got[6] = "";
    assert_status(&f->ctx, lode_i_scratch_open(&f->ctx, &out, &in), LODE_EBUDGET);
    assert_says(&f->ctx, "--scratch");
    f->ctx.scratch = "/dev/null";
    assert_status(&f->ctx, lode_i_scratch_open(&f->ctx, &out, &in), LODE_ENOENT);
    f->ctx.scratch = f->folder;
    assert_ok(&f->ctx, lode_i_scratch_open(&f->ctx, &out, &in));
    assert_int_equal(folder_count(f->folder), 0);
    assert_int_equal(lode_i_infile_size(in), 0);
    assert_ok(&f->ctx, lode_i_outfile_write(&f->ctx, out, "01234", 5));
    assert_ok(&f->ctx, lode_i_outfile_pwrite(&f->ctx, out, 100, "x", 1));
    assert_int_equal(lode_i_infile_size(in), 101);
    assert_ok(&f->ctx, lode_i_infile_read(&f->ctx, in, 0, got, 5));
    assert_string_equal(got, "01234");
    assert_ok(&f->ctx, lode_i_outfile_commit(&f->ctx, &out));
    assert_ok(&f->ctx, lode_i_infile_read(&f->ctx, in, 100, got, 1)); /* outlives its writer */
    assert_int_equal(got[0], 'x');
    lode_i_infile_close(in);
    for (int64_t n = 1;; n++) {
        in = NULL;
        heap_fail(&f->h, n);
        const lode_status st = lode_i_scratch_open(&f->ctx, &out, &in);
        assert_int_equal(st, heap_failed(&f->h) ? LODE_ENOMEM : LODE_OK);
        lode_i_outfile_abandon(&out);
        lode_i_infile_close(in);
        if (st == LODE_OK)
            break;
    }
}

static void a_directory_is_made_once(void **state)
{
    fix *f = *state;
    char inside[400];
    snprintf(inside, sizeof inside, "%s/none/x", f->folder);
    assert_ok(&f->ctx, lode_i_directory_make(&f->ctx, f->other));
    assert_ok(&f->ctx, lode_i_directory_make(&f->ctx, f->other));
    assert_status(&f->ctx, lode_i_directory_make(&f->ctx, inside), LODE_EIO);
    assert_says(&f->ctx, inside);
    put(f->path, "a file");
    assert_status(&f->ctx, lode_i_directory_make(&f->ctx, f->path), LODE_EEXIST);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_input_is_read_at_any_place),
        CASE(what_cannot_be_opened_says_why),
        CASE(opening_survives_each_failed_allocation),
        CASE(a_pipe_is_spooled_within_the_budget),
        CASE(standard_input_is_spooled),
        CASE(an_output_appears_whole_at_commit),
        CASE(large_and_small_writes_mix),
        CASE(nothing_is_replaced_without_force),
        CASE(a_link_stays_a_link),
        CASE(several_outputs_of_one_name_do_not_meet),
        CASE(a_library_may_write_the_temporary_by_path),
        CASE(what_a_killed_call_left_is_removed_by_the_next),
        CASE(what_cannot_be_written_says_why),
        CASE(devices_are_written_through_and_not_replaced),
        CASE(standard_output_is_written_at_commit),
        CASE(a_long_name_gets_a_shorter_temporary),
        CASE(creating_survives_each_failed_allocation),
        CASE(a_directory_is_made_once),
        CASE(scratch_is_unlinked_and_readable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
