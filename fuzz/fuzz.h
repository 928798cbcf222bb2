/* What the fuzz targets of file formats share: the input as a file, and everything that can be read
 * of it. A target may fail to read, but never crash, leak, hang, or take more memory than it was
 * given. */
#ifndef LODE_FUZZ_H
#define LODE_FUZZ_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);          \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* One file for the process, written anew for each input; its name is gone at exit. */
static char fuzz_path[256];
static int fuzz_file = -1;
static void fuzz_remove(void)
{
    unlink(fuzz_path);
}
static inline const char *fuzz_put(const uint8_t *data, size_t size)
{
    if (fuzz_file < 0) {
        const char *place = getenv("TMPDIR");
        snprintf(fuzz_path, sizeof fuzz_path, "%s/lode-fuzz-XXXXXX",
                 place && *place ? place : "/tmp");
        fuzz_file = mkstemp(fuzz_path);
        FUZZ_CHECK(fuzz_file >= 0);
        atexit(fuzz_remove);
    }
    FUZZ_CHECK(ftruncate(fuzz_file, 0) == 0);
    FUZZ_CHECK(lseek(fuzz_file, 0, SEEK_SET) == 0);
    FUZZ_CHECK(write(fuzz_file, data, (unsigned)size) == (ssize_t)size); /* below 2^20 */
    return fuzz_path;
}

/* Reads all of it lazily and whole: both ways must give the same values. */
static inline void fuzz_read(const uint8_t *data, size_t size, const lode_read_opts *o)
{
    lode_ctx ctx;
    lode_file *file = NULL;
    FUZZ_CHECK(lode_ctx_init(&ctx, NULL) == LODE_OK);
    lode_ctx_set_memory(&ctx, 32 << 20);
    ctx.threads = 1;
    if (lode_file_open(&ctx, fuzz_put(data, size), o, &file) == LODE_OK) {
        lode_bundle meta = { 0 };
        FUZZ_CHECK(lode_file_meta(&ctx, file, &meta) == LODE_OK);
        lode_bundle_free(&meta);
        for (int64_t i = 0; i < lode_file_count(file) && i < 20; i++) {
            lode_kind kind = LODE_NONE;
            lode_dtype dtype = LODE_BOOL;
            int ndim = 0;
            int64_t shape[LODE_MAX_NDIM];
            lode_source s = { 0 };
            lode_array a = { 0 };
            char lazy[72], whole[72];
            FUZZ_CHECK(lode_file_info(&ctx, file, i, &kind, &dtype, &ndim, shape) == LODE_OK);
            FUZZ_CHECK(ndim >= 0 && ndim <= LODE_MAX_NDIM && dtype < LODE_DTYPE_COUNT);
            if (lode_file_source(&ctx, file, i, &s) != LODE_OK)
                continue;
            if (lode_i_source_load(&ctx, &s, &a) == LODE_OK &&
                lode_hash(&ctx, lode_from_array(&a), whole) == LODE_OK &&
                lode_hash(&ctx, lode_from_source(&s), lazy) == LODE_OK)
                FUZZ_CHECK(strcmp(lazy, whole) == 0);
            lode_source_close(&s);
            lode_array_free(&a);
        }
        lode_file_close(&file);
        lode_bundle all = { 0 };
        lode_read(&ctx, fuzz_path, o, &all);
        for (int64_t i = 0; i < all.count; i++)
            if (lode_bundle_value(&all, i).kind == LODE_SPARSE)
                FUZZ_CHECK(lode_sparse_check(&ctx, lode_bundle_value(&all, i).as.sparse) ==
                           LODE_OK);
        lode_bundle_free(&all);
    } else {
        FUZZ_CHECK(*lode_message(&ctx));
    }
    FUZZ_CHECK(lode_ctx_memory_used(&ctx) == 0);
    lode_ctx_free(&ctx);
}

#endif
