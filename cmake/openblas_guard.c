/* OpenBLAS built for one thread takes the work buffer of each call from a table without a lock: two
 * calls that begin within some nanoseconds of one another get the same buffer and return wrong
 * numbers. The linker's --wrap sends its calls of the two functions here. */
#include <pthread.h>
#include <stdatomic.h>

void *__real_blas_memory_alloc(int position);
void *__wrap_blas_memory_alloc(int position);
void __real_blas_memory_free(void *buffer);
void __wrap_blas_memory_free(void *buffer);

static atomic_flag taken = ATOMIC_FLAG_INIT;

static void take(void)
{
    while (atomic_flag_test_and_set_explicit(&taken, memory_order_acquire))
        ; /* held for some 30 ns, so that spinning costs less than sleeping */
}

static void drop(void)
{
    atomic_flag_clear_explicit(&taken, memory_order_release);
}

/* A forked child would wait for good for a thread that held it and is not there. */
__attribute__((constructor)) static void mind_forks(void)
{
    pthread_atfork(take, drop, drop);
}

void *__wrap_blas_memory_alloc(int position)
{
    take();
    void *buffer = __real_blas_memory_alloc(position);
    drop();
    return buffer;
}

void __wrap_blas_memory_free(void *buffer)
{
    take();
    __real_blas_memory_free(buffer);
    drop();
}
