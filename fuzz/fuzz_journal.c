/* Checkpoints: any bytes as the file, or (when the first is odd) behind a head that is right, with
 * the first record's checksums set right (when its next bit is set too). What is left is read, a
 * record is added, and then there is one more. */
#include "fuzz.h"

static const char identity[] = "op compress\nseed 0\n";
enum { BYTES = 1 << 20 };

static int64_t count_left(lode_ctx *ctx, lode_journal *j)
{
    static uint8_t bytes[BYTES];
    for (int64_t n = 0;; n++) {
        int64_t size = 0;
        FUZZ_CHECK(lode_i_journal_next(ctx, j, &size) == LODE_OK);
        if (size < 0)
            return n;
        FUZZ_CHECK(size <= BYTES);
        FUZZ_CHECK(lode_i_journal_read(ctx, j, bytes, (size_t)size / 3) == LODE_OK);
        FUZZ_CHECK(lode_i_journal_read(ctx, j, bytes, (size_t)(size - size / 3)) == LODE_OK);
        FUZZ_CHECK(lode_i_journal_read(ctx, j, bytes, 1) < 0);
        lode_i_journal_take(j);
    }
}

/* The bytes behind a head that the journal itself writes. */
static void put_behind_head(lode_ctx *ctx, const uint8_t *data, size_t size, bool mend)
{
    lode_journal *j = NULL;
    uint8_t *copy = malloc(size + 1);
    uint64_t head[2], sum;
    FUZZ_CHECK(copy);
    memcpy(copy, data, size);
    if (mend && size >= 24) {
        memcpy(head, copy, 8);
        head[0] %= size - 23;
        head[1] = lode_i_checksum(head, 8, 0);
        memcpy(copy, head, 16);
        sum = head[0] ? lode_i_checksum(copy + 16, (size_t)head[0], 0) : 0;
        memcpy(copy + 16 + head[0], &sum, 8);
    }
    FUZZ_CHECK(lode_i_journal_open(ctx, fuzz_put(data, 0), identity, &j) == LODE_OK);
    lode_i_journal_close(&j);
    FUZZ_CHECK(lseek(fuzz_file, 0, SEEK_END) > 0);
    FUZZ_CHECK(write(fuzz_file, copy, (unsigned)size) == (ssize_t)size);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lode_ctx ctx;
    lode_journal *j = NULL;
    if (size < 1 || size > BYTES)
        return 0;
    FUZZ_CHECK(lode_ctx_init(&ctx, NULL) == LODE_OK);
    if (data[0] & 1)
        put_behind_head(&ctx, data + 1, size - 1, data[0] & 2);
    else
        fuzz_put(data + 1, size - 1);
    if (lode_i_journal_open(&ctx, fuzz_path, identity, &j) == LODE_OK) {
        const int64_t left = count_left(&ctx, j);
        FUZZ_CHECK(lode_i_journal_begin(&ctx, j, 3) == LODE_OK);
        FUZZ_CHECK(lode_i_journal_write(&ctx, j, "abc", 3) == LODE_OK);
        FUZZ_CHECK(lode_i_journal_end(&ctx, j) == LODE_OK);
        lode_i_journal_close(&j);
        FUZZ_CHECK(lode_i_journal_open(&ctx, fuzz_path, identity, &j) == LODE_OK);
        FUZZ_CHECK(count_left(&ctx, j) == left + 1);
        lode_i_journal_close(&j);
    } else {
        FUZZ_CHECK(!(data[0] & 1) && *lode_message(&ctx));
    }
    FUZZ_CHECK(lode_ctx_memory_used(&ctx) == 0);
    lode_ctx_free(&ctx);
    return 0;
}
