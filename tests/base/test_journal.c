/* Journals: what is read back, whatever a kill left of the file. */
#include "fixture.h"

#include <sys/stat.h>

#include "base/base.h"

typedef struct fix {
    lode_ctx ctx;
    heap h;
    char folder[256], path[300];
} fix;

static int setup(void **state)
{
    static fix f;
    memset(&f, 0, sizeof f);
    *state = &f;
    const lode_allocator a = heap_of(&f.h);
    folder_make(f.folder);
    snprintf(f.path, sizeof f.path, "%s/journal", f.folder);
    return lode_ctx_init(&f.ctx, &a);
}

static int teardown(void **state)
{
    fix *f = *state;
    lode_ctx_free(&f->ctx);
    folder_remove(f->folder);
    return f->h.live == 0 ? 0 : -1;
}

enum { RECORDS = 5 };
/* Sizes around the pieces that checksums run over. */
static const size_t size_of[RECORDS] = { 0, 5, (1 << 18) - 3, 1 << 18, (1 << 18) + 700 };

static unsigned char value(int record, size_t i)
{
    return (unsigned char)(i * 31 + (size_t)record * 17 + (i >> 8));
}

static lode_status add(lode_ctx *ctx, lode_journal *j, int record)
{
    const size_t size = size_of[record];
    unsigned char *bytes = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        bytes[i] = value(record, i);
    lode_status st = lode_i_journal_begin(ctx, j, size);
    for (size_t i = 0; i < size && st >= 0; i += size / 3 + 1)
        st = lode_i_journal_write(ctx, j, bytes + i,
                                  size - i < size / 3 + 1 ? size - i : size / 3 + 1);
    if (st >= 0)
        st = lode_i_journal_end(ctx, j);
    free(bytes);
    return st;
}

/* How many records are left; each must be what was written. */
static int count_left(fix *f, lode_journal *j)
{
    for (int n = 0;; n++) {
        int64_t size = 0;
        assert_ok(&f->ctx, lode_i_journal_next(&f->ctx, j, &size));
        if (size < 0)
            return n;
        assert_true(n < RECORDS);
        assert_int_equal(size, size_of[n]);
        unsigned char *bytes = malloc((size_t)size + 1);
        assert_ok(&f->ctx, lode_i_journal_read(&f->ctx, j, bytes, (size_t)size));
        for (size_t i = 0; i < (size_t)size; i++)
            if (bytes[i] != value(n, i))
                fail_msg("record %d, byte %zu", n, i);
        free(bytes);
        lode_i_journal_take(j);
    }
}

static void write_all(fix *f)
{
    lode_journal *j = NULL;
    remove(f->path);
    assert_ok(&f->ctx, lode_i_journal_open(&f->ctx, f->path, "a 1\nb 2\n", &j));
    assert_int_equal(count_left(f, j), 0);
    for (int r = 0; r < RECORDS; r++)
        assert_ok(&f->ctx, add(&f->ctx, j, r));
    lode_i_journal_close(&j);
}

static off_t file_size(const char *path)
{
    struct stat s;
    assert_int_equal(stat(path, &s), 0);
    return s.st_size;
}

/* Cut anywhere, records that are whole are found, and the rest can be written again. */
static void a_torn_tail_is_dropped(void **state)
{
    fix *f = *state;
    write_all(f);
    const off_t full = file_size(f->path);
    int last = -1;
    for (off_t cut = 0, next; cut <= full; cut = next) {
        next = cut + (cut < 80 || cut >= full - 20 ? 1 : 60013);
        next = cut < full - 20 && next > full - 20 ? full - 20 : next;
        lode_journal *j = NULL;
        write_all(f);
        assert_int_equal(truncate(f->path, cut), 0);
        assert_ok(&f->ctx, lode_i_journal_open(&f->ctx, f->path, "a 1\nb 2\n", &j));
        const int n = count_left(f, j);
        assert_true(n >= last);
        last = n;
        for (int r = n; r < RECORDS; r++)
            assert_ok(&f->ctx, add(&f->ctx, j, r));
        lode_i_journal_close(&j);
        assert_int_equal(file_size(f->path), full);
        assert_ok(&f->ctx, lode_i_journal_open(&f->ctx, f->path, "a 1\nb 2\n", &j));
        assert_int_equal(count_left(f, j), RECORDS);
        lode_i_journal_close(&j);
    }
    assert_int_equal(last, RECORDS);
}

/* A record whose bytes changed is none, nor are those behind it. */
static void a_damaged_record_ends_the_journal(void **state)
{
    fix *f = *state;
    lode_journal *j = NULL;
    write_all(f);
    const off_t full = file_size(f->path);
    FILE *file = fopen(f->path, "r+b");
    assert_non_null(file);
    const off_t at = full - (off_t)size_of[4] - 24 - 100; /* in the fourth */
    assert_int_equal(fseeko(file, at, SEEK_SET), 0);
    const int c = fgetc(file);
    assert_int_equal(fseeko(file, at, SEEK_SET), 0);
    fputc(c ^ 1, file);
    fclose(file);
    assert_ok(&f->ctx, lode_i_journal_open(&f->ctx, f->path, "a 1\nb 2\n", &j));
    assert_int_equal(count_left(f, j), 3);
    lode_i_journal_close(&j);
}

static void another_call_is_refused_and_nothing_is_touched(void **state)
{
    fix *f = *state;
    lode_journal *j = NULL, *k = NULL;
    write_all(f);
    const off_t full = file_size(f->path);
    assert_status(&f->ctx, lode_i_journal_open(&f->ctx, f->path, "a 1\nb 3\n", &j), LODE_EUSAGE);
    assert_says(&f->ctx, "'b 2', this one 'b 3'");
    assert_status(&f->ctx, lode_i_journal_open(&f->ctx, f->path, "a 1\n", &j), LODE_EUSAGE);
    assert_status(&f->ctx, lode_i_journal_open(&f->ctx, f->path, "a 1\nb 2\nc 3\n", &j),
                  LODE_EUSAGE);
    assert_int_equal(file_size(f->path), full);
    assert_ok(&f->ctx, lode_i_journal_open(&f->ctx, f->path, "a 1\nb 2\n", &j));
    assert_status(&f->ctx, lode_i_journal_open(&f->ctx, f->path, "a 1\nb 2\n", &k), LODE_EUSAGE);
    assert_says(&f->ctx, "in use");
    lode_i_journal_close(&j);
    FILE *file = fopen(f->path, "w");
    fputs("my only copy", file);
    fclose(file);
    assert_status(&f->ctx, lode_i_journal_open(&f->ctx, f->path, "a 1\nb 2\n", &j), LODE_EUSAGE);
    assert_says(&f->ctx, "no checkpoint");
    assert_int_equal(file_size(f->path), 12);
    assert_status(&f->ctx, lode_i_journal_open(&f->ctx, f->folder, "a", &j), LODE_EIO);
}

static void failed_allocations_are_survived(void **state)
{
    fix *f = *state;
    lode_journal *j = NULL;
    write_all(f);
    for (int64_t n = 1;; n++) {
        heap_fail(&f->h, n);
        const lode_status st = lode_i_journal_open(&f->ctx, f->path, "a 1\nb 2\n", &j);
        const bool failed = heap_failed(&f->h);
        heap_fail(&f->h, 0);
        lode_i_journal_close(&j);
        if (!failed)
            break;
        assert_int_equal(st, LODE_ENOMEM);
    }
    assert_ok(&f->ctx, lode_i_journal_open(&f->ctx, f->path, "a 1\nb 2\n", &j));
    assert_int_equal(count_left(f, j), RECORDS);
    lode_i_journal_close(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_torn_tail_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_record_ends_the_journal, setup, teardown),
        cmocka_unit_test_setup_teardown(another_call_is_refused_and_nothing_is_touched, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(failed_allocations_are_survived, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
