/* BLAS kernels that read past the end of what they are given (those of OpenBLAS 0.3.21 for complex
 * vectors do, a stride past the last entry): harmless until a page ends there. Here every block ends
 * where a page does, and the next one cannot be read. */
#include "reference.h"

#include "linalg/blas.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, ALIGN = 64, BLOCKS = 4096 };

/* The blocks there are, found by where they begin. */
static struct {
    char *block, *at;
    size_t bytes;
} table[BLOCKS];

static void *guarded_alloc(void *data, size_t bytes)
{
    (void)data;
    const size_t size = (bytes + ALIGN - 1) / ALIGN * ALIGN,
                 whole = (size + PAGE - 1) / PAGE * PAGE + PAGE;
    int i = 0;
    while (i < BLOCKS && table[i].block)
        i++;
    assert_true(i < BLOCKS);
    char *at = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(at != MAP_FAILED);
    assert_int_equal(mprotect(at + whole - PAGE, PAGE, PROT_NONE), 0);
    table[i].block = at + whole - PAGE - size, table[i].at = at, table[i].bytes = whole;
    return table[i].block;
}

static void guarded_free(void *data, void *block)
{
    (void)data;
    for (int i = 0; block && i < BLOCKS; i++)
        if (table[i].block == block) {
            munmap(table[i].at, table[i].bytes);
            table[i].block = NULL;
            return;
        }
}

typedef enum route {
    SVD,
    GESVD,
    EIGH,
    LEADING,
    QR,
    TREE,
    LEAST_SQUARES,
    CHOLESKY,
    PRODUCT,
    GRAM,
    ROUTES
} route;
static const char *const names[] = { "svd",  "gesvd",         "eigh",     "eigh, some", "qr",
                                     "tree", "least squares", "cholesky", "product",    "gram" };

static lode_status go(lode_ctx *ctx, route r, lode_dtype t, int64_t m, int64_t n)
{
    lode_status st = LODE_OK;
    lode_array A = matrix(ctx, t, m, n, BY_ROWS, 3), S = { 0 }, U = { 0 }, s = { 0 }, V = { 0 };
    int64_t rank = 0;
    LODE_TRY(lode_i_gram(ctx, LODE_T, &A, &S));
    switch (r) {
    case SVD: LODE_TRY(lode_i_svd(ctx, &A, lode_i_min(m, n), &U, &s, &V)); break;
    case GESVD:
        if (m >= n)
            LODE_TRY(lode_i_svd_reduced(ctx, LODE_I_GESVD, &A, &U, &s, &V));
        break;
    case EIGH: LODE_TRY(lode_i_eigh(ctx, &S, n, &s, &V)); break;
    case LEADING: LODE_TRY(lode_i_eigh(ctx, &S, lode_i_max(1, n / 4), &s, &V)); break;
    case QR:
        if (m >= n)
            LODE_TRY(lode_i_qr(ctx, &A, &U, &V));
        break;
    case TREE:
        if (m >= n)
            LODE_TRY(lode_i_tsqr(ctx, &A, &U, &V));
        break;
    case LEAST_SQUARES: LODE_TRY(lode_i_lstsq(ctx, &A, &A, &U, &rank)); break;
    case CHOLESKY: LODE_TRY(lode_i_cholesky(ctx, &S, &U, NULL)); break;
    case PRODUCT:
        LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, &A, &A, &U));
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_H, &A, &A, &V));
        break;
    default: LODE_TRY(lode_i_gram(ctx, LODE_N, &A, &U)); break;
    }
done:
    LODE_FREE(&A, &S, &U, &s, &V);
    return st;
}

/* In a process of its own, so that the routine that reads too far is named. */
static void nothing_reads_past_the_end(void **state)
{
    (void)state;
    const lode_allocator a = { guarded_alloc, guarded_free, NULL };
    for (int r = 0; r < ROUTES; r++)
        for (int k = 0; k < KINDS; k++) {
            const pid_t child = fork();
            assert_true(child >= 0);
            if (child == 0) {
                signal(SIGSEGV, SIG_DFL);
                lode_ctx ctx;
                lode_status st = lode_ctx_init(&ctx, &a);
                ctx.threads = 1;
                for (int64_t n = 1; n < 30 && st >= 0; n += n < 9 ? 1 : 3)
                    for (int64_t m = 1; m < 60 && st >= 0; m += m < 4 ? 1 : 7)
                        st = go(&ctx, (route)r, kinds[k], m, n);
                _exit(st < 0);
            }
            int status = 0;
            assert_int_equal(waitpid(child, &status, 0), child);
            if (status)
                fail_msg("%s of type %s: %s", names[r], lode_dtype_name(kinds[k]),
                         WIFSIGNALED(status) ? "read past the end" : "failed");
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(nothing_reads_past_the_end) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
