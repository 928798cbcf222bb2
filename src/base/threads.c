/* A pool of threads for each handle, made at its first parallel call. Tasks are claimed in order
 * from one counter; so when task i fails, every smaller one was claimed before it and runs to its
 * end, and the failure reported is that of the smallest index whatever the number of threads. A job
 * is open while its caller works: a worker that wakes too late finds it closed and is not waited
 * for, which keeps short calls short. */
#include "base/state.h"

#include <pthread.h>
#include <string.h>

#include "base/system.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__) && defined(__GNUC__)
#define PAUSE() __asm__ volatile("yield")
#else
#define PAUSE() ((void)0)
#endif

enum { SPINS = 300 }; /* some ten microseconds before sleeping */

/* What a participant of a job has to say: the failure of the smallest index, else the largest
 * caveat. */
typedef struct outcome {
    lode_status status;
    int64_t index;
    char message[LODE_I_MESSAGE];
} outcome;

typedef struct job {
    lode_ctx settings; /* the caller's as the call began */
    lode_task task;
    void *data;
    int64_t count;
    _Atomic int64_t next;
    _Atomic bool failed;
    outcome worst; /* guarded by the pool's lock */
} job;

typedef struct worker {
    pthread_t thread;
    lode_ctx ctx;
    struct lode_pool *pool;
} worker;

struct lode_pool {
    pthread_mutex_t lock;
    pthread_cond_t work, idle;
    pid_t process;
    int wanted, count; /* workers asked for and running */
    job *open;         /* NULL: closed; guarded by lock */
    _Atomic uint64_t generation;
    _Atomic int inside; /* workers in the open job */
    bool stop;
    worker workers[];
};

static bool worse(const outcome *a, const outcome *b)
{
    if ((a->status < 0) != (b->status < 0))
        return a->status < 0;
    if (a->status >= 0 && a->status != b->status)
        return a->status > b->status;
    return a->status != LODE_OK && a->index < b->index;
}

static void note(lode_ctx *ctx, lode_status st, int64_t index, outcome *worst)
{
    const outcome now = { .status = st, .index = index };
    if (!worse(&now, worst))
        return;
    worst->status = st;
    worst->index = index;
    memcpy(worst->message, lode_message(ctx), LODE_I_MESSAGE);
}

/* Claims and runs tasks until none is left or one has failed. */
static void take_part(lode_ctx *ctx, job *j, bool caller, outcome *worst)
{
    while (!atomic_load_explicit(&j->failed, memory_order_relaxed)) {
        const int64_t i = atomic_fetch_add_explicit(&j->next, 1, memory_order_relaxed);
        if (i >= j->count)
            return;
        lode_status st = lode_i_cancelled(ctx);
        if (st == LODE_OK && caller)
            st = lode_i_report_part(ctx, i, j->count);
        if (st == LODE_OK)
            st = j->task(ctx, i, j->data);
        if (st != LODE_OK)
            note(ctx, st, i, worst);
        if (st < 0)
            atomic_store_explicit(&j->failed, true, memory_order_relaxed);
    }
}

static void adopt(lode_ctx *ctx, const job *j)
{
    struct lode_state *s = ctx->state, *from = j->settings.state;
    *ctx = j->settings;
    ctx->state = s;
    ctx->progress = NULL; /* callbacks belong to the caller's thread */
    ctx->log = NULL;
    s->cores = from->cores;
    s->cancel_at = from->cancel_at;
    s->registry = from->registry;
    s->comm = from->comm;
    s->in_task = true;
    s->depth = 1; /* a call made by a task is never the outermost */
    s->frame[0].stage = "";
    s->message[0] = '\0';
    s->status = LODE_OK;
}

static void *serve(void *argument)
{
    worker *w = argument;
    struct lode_pool *p = w->pool;
    uint64_t seen = 0;
    for (;;) {
        for (int i = 0;
             i < SPINS && atomic_load_explicit(&p->generation, memory_order_relaxed) == seen; i++)
            PAUSE();
        pthread_mutex_lock(&p->lock);
        while (!p->stop && atomic_load_explicit(&p->generation, memory_order_relaxed) == seen)
            pthread_cond_wait(&p->work, &p->lock);
        seen = atomic_load_explicit(&p->generation, memory_order_relaxed);
        const bool stop = p->stop;
        job *j = p->open;
        if (j)
            atomic_fetch_add_explicit(&p->inside, 1, memory_order_relaxed);
        pthread_mutex_unlock(&p->lock);
        if (stop)
            return NULL;
        if (!j)
            continue;

        outcome mine = { .status = LODE_OK };
        adopt(&w->ctx, j);
        take_part(&w->ctx, j, false, &mine);

        pthread_mutex_lock(&p->lock);
        if (worse(&mine, &j->worst))
            j->worst = mine;
        if (atomic_fetch_sub_explicit(&p->inside, 1, memory_order_release) == 1)
            pthread_cond_signal(&p->idle);
        pthread_mutex_unlock(&p->lock);
    }
}

void lode_i_pool_free(lode_budget *budget, struct lode_pool *p)
{
    if (!p)
        return;
    if (p->process == getpid()) {
        pthread_mutex_lock(&p->lock);
        p->stop = true;
        atomic_fetch_add_explicit(&p->generation, 1, memory_order_relaxed);
        pthread_cond_broadcast(&p->work);
        pthread_mutex_unlock(&p->lock);
        for (int i = 0; i < p->count; i++)
            pthread_join(p->workers[i].thread, NULL);
        pthread_cond_destroy(&p->work);
        pthread_cond_destroy(&p->idle);
        pthread_mutex_destroy(&p->lock);
    } /* in a forked child the threads are not there: only their memory is */
    for (int i = 0; i < p->count; i++)
        lode_ctx_free(&p->workers[i].ctx);
    budget->allocator.free(budget->allocator.data, p);
}

/* Starts what the system allows of `wanted` workers; fewer only make the work slower. */
static lode_status start(lode_ctx *ctx, int wanted, struct lode_pool **pool)
{
    const lode_budget *b = ctx->state->budget;
    const size_t size = sizeof(struct lode_pool) + (size_t)wanted * sizeof(worker);
    struct lode_pool *p = b->allocator.alloc(b->allocator.data, size);
    if (!p)
        return lode_i_fail(ctx, LODE_ENOMEM, "no memory for %d threads", wanted);
    memset(p, 0, size);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->idle, NULL);
    p->process = getpid();
    p->wanted = wanted;
    atomic_init(&p->generation, 0);
    atomic_init(&p->inside, 0);

    sigset_t all, before; /* signals are for the program's own threads */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    lode_status st = LODE_OK;
    while (p->count < wanted) {
        worker *w = &p->workers[p->count];
        w->pool = p;
        st = lode_ctx_share(ctx, &w->ctx);
        if (st < 0)
            break;
        w->ctx.state->worker = p->count + 1; /* the caller is worker 0 */
        if (pthread_create(&w->thread, NULL, serve, w) != 0) {
            lode_ctx_free(&w->ctx);
            break;
        }
        p->count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (st < 0) {
        lode_i_pool_free(ctx->state->budget, p);
        return lode_i_fail(ctx, st, "no memory for %d threads", wanted);
    }
    *pool = p;
    return LODE_OK;
}

static lode_status ensure_pool(lode_ctx *ctx, int wanted)
{
    struct lode_state *s = ctx->state;
    if (s->pool && (s->pool->wanted != wanted || s->pool->process != getpid())) {
        lode_i_pool_free(s->budget, s->pool);
        s->pool = NULL;
    }
    return s->pool ? LODE_OK : start(ctx, wanted, &s->pool);
}

static void open_job(struct lode_pool *p, job *j)
{
    pthread_mutex_lock(&p->lock);
    p->open = j;
    atomic_fetch_add_explicit(&p->generation, 1, memory_order_relaxed);
    if (j->count - 1 >= p->count)
        pthread_cond_broadcast(&p->work);
    else
        for (int64_t i = 1; i < j->count; i++)
            pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
}

static void close_job(struct lode_pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->open = NULL;
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < SPINS && atomic_load_explicit(&p->inside, memory_order_acquire) > 0; i++)
        PAUSE();
    /* also once the count is seen to be zero: the last worker may still hold it */
    pthread_mutex_lock(&p->lock);
    while (atomic_load_explicit(&p->inside, memory_order_acquire) > 0)
        pthread_cond_wait(&p->idle, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

lode_status lode_i_parallel(lode_ctx *ctx, int64_t count, lode_task task, void *data)
{
    struct lode_state *s = ctx->state;
    if (!s)
        return LODE_EUSAGE;
    if (count <= 0)
        return LODE_OK;
    if (count == 1) { /* the task may itself be parallel, unless this call is a task's */
        LODE_FORWARD(lode_i_cancelled(ctx));
        const int outer = s->worker;
        s->worker = 0;
        const lode_status st = task(ctx, 0, data);
        s->worker = outer;
        return st;
    }
    const int workers = lode_ctx_threads(ctx) - 1;
    if (workers > 0)
        LODE_FORWARD(ensure_pool(ctx, workers));

    job j = { .settings = *ctx, .task = task, .data = data, .count = count };
    outcome mine = { .status = LODE_OK };
    const bool nested = s->in_task;
    const int outer = s->worker;
    struct lode_pool *pool = workers > 0 ? s->pool : NULL;
    if (pool)
        open_job(pool, &j);
    s->in_task = true;
    s->worker = 0;
    take_part(ctx, &j, !nested, &mine);
    s->in_task = nested;
    s->worker = outer;
    if (pool) {
        close_job(pool);
        if (worse(&j.worst, &mine))
            mine = j.worst;
    }
    if (mine.status != LODE_OK) {
        memcpy(s->message, mine.message, sizeof mine.message);
        s->status = mine.status;
    }
    return mine.status;
}

int lode_i_worker(const lode_ctx *ctx)
{
    return ctx->state ? ctx->state->worker : 0;
}
