/* examples/unlode.c on whole files: it may end with a sentence, but never crash, hang, or take more
 * memory than it was given. The program is included here with its exits, its memory and its files
 * led elsewhere, and compiled so that it takes any checksum for right. */
#include <limits.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 256 << 20 };

static jmp_buf ended;
static const uint8_t *input;
static size_t input_size;

/* Blocks of memory in a ring, so that what is left at an exit can be freed. */
typedef union shelf {
    struct {
        union shelf *before, *after;
        size_t size;
    } is;
    long double align;
} shelf;
static shelf ring;
static size_t used;

static void *fuzz_calloc(size_t count, size_t size)
{
    if (count > MOST / size || used + count * size > MOST)
        return NULL;
    shelf *b = calloc(1, sizeof *b + count * size);
    if (!b)
        return NULL;
    b->is.size = count * size, used += b->is.size;
    b->is.before = &ring, b->is.after = ring.is.after;
    b->is.before->is.after = b->is.after->is.before = b;
    return b + 1;
}

static void fuzz_free(void *memory)
{
    if (!memory)
        return;
    shelf *const b = (shelf *)memory - 1;
    b->is.before->is.after = b->is.after, b->is.after->is.before = b->is.before;
    used -= b->is.size;
    free(b);
}

static void fuzz_exit(int status)
{
    longjmp(ended, status + 1);
}

static FILE *fuzz_open(const char *path, const char *mode)
{
    (void)path;
    return *mode == 'r' && input_size ? fmemopen((void *)(uintptr_t)input, input_size, mode)
                                      : fopen("/dev/null", mode);
}

static int fuzz_remove(const char *path)
{
    (void)path;
    return 0;
}

#define FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION 1
#define calloc fuzz_calloc
#define free fuzz_free
#define exit fuzz_exit
#define fopen fuzz_open
#define remove fuzz_remove
#undef stderr
#define stderr quiet
#define main unlode_main
static FILE *quiet;
#include "../examples/unlode.c"
#undef calloc
#undef free
#undef exit
#undef fopen
#undef remove
#undef stderr
#undef main

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[] = "unlode", in[] = "in", out[] = "out", *words[] = { name, in, out, NULL };
    if (!quiet)
        quiet = fopen("/dev/null", "w");
    input = data, input_size = size;
    ring.is.before = ring.is.after = &ring;
    used = 0;
    block_now = -1, part_now = "the file";
    if (!setjmp(ended))
        unlode_main(3, words);
    while (ring.is.after != &ring)
        fuzz_free(ring.is.after + 1);
    return 0;
}
