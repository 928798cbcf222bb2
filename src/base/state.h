/* What a context's private state holds, for the files of the base layer only. */
#ifndef LODE_BASE_STATE_H
#define LODE_BASE_STATE_H

#include <stdatomic.h>

#include "base/base.h"

enum { LODE_I_MESSAGE = 2048, LODE_I_FRAMES = 16, LODE_I_ERRNO = 128 };

/* Blocks from this size on are large: they lie in huge pages, and are kept for reuse. */
#define LODE_I_LARGE ((size_t)2 << 20)
enum { LODE_I_SPARES = 16 };
typedef struct lode_spares {
    atomic_flag busy; /* guards what follows open */
    _Atomic int open; /* outermost calls under way */
    int count;
    uint64_t total;
    void *block[LODE_I_SPARES];
    size_t size[LODE_I_SPARES];
} lode_spares;

/* Allocator and counted bytes: one for all handles made by lode_ctx_share, alive as long as a
 * handle or a block is, so that any thread may free a block after its context is gone. */
typedef struct lode_budget {
    lode_allocator allocator;
    _Atomic uint64_t limit, used, peak;
    _Atomic int64_t references;
    lode_spares spares; /* of the usual allocator only */
} lode_budget;

lode_status lode_i_budget_new(const lode_allocator *allocator, lode_budget **budget);
void lode_i_budget_ref(lode_budget *budget);
void lode_i_budget_unref(lode_budget *budget);
/** A kept block of at least so many bytes, and its size, or NULL. */
void *lode_i_spare_take(lode_budget *b, size_t bytes, size_t *size);
/** True: the block, no longer counted as used, is kept. */
bool lode_i_spare_keep(lode_budget *b, void *block, size_t size);
/** After a fresh block has been counted: what is used and kept does not pass the peak. */
void lode_i_spare_trim(lode_budget *b);
/** Around the outermost calls: blocks are kept between the first open and the last close. */
void lode_i_spare_open(lode_budget *b);
void lode_i_spare_close(lode_budget *b);
void lode_i_spare_drop(lode_budget *b); /* all of them */

/* Where a call stands, as fractions of the outermost call: its own window [low, high], the stage's
 * part of it, and the step that the last tick began, which a call nested in that step fills. */
typedef struct lode_frame {
    const char *stage;
    double low, high, from, to, step_from, step_to;
    double unit; /* what a unit of the stages' counted work takes of the whole; 0: not counted */
    bool inner;  /* within a step: its stages say nothing of the whole call's rate */
} lode_frame;

struct lode_pool;

struct lode_state {
    lode_budget *budget;
    int cores;          /* what the container allows */
    lode_status status; /* of the last message */
    char message[LODE_I_MESSAGE];

    _Atomic int cancel;     /* this handle's request ... */
    _Atomic int *cancel_at; /* ... and the one it obeys: for a worker, the caller's */

    struct lode_pool *pool; /* created at the first parallel call */
    bool in_task;           /* between a task's begin and end: further parallel calls are serial */
    int worker;

    int depth;      /* nested calls */
    const char *op; /* the outermost one */
    lode_frame frame[LODE_I_FRAMES];
    double began, reported, fraction;
    bool told, tick_always;
    /* the outermost stage: when it began and at which fraction; when the last step was done; when all
     * will be, 0: not known */
    double stage_began, stage_from, advanced, ends;
    lode_journal *journal; /* of the call under way, or NULL */
    bool journal_paused;

    uint64_t *lost; /* fingerprints of the parts named as lost */
    int64_t losses, lost_room;
    double lost_share;
    const char *about; /* what is read now, one of several; NULL */
    char lost_list[LODE_I_MESSAGE / 2];

    const struct lode_op *handed_op;
    struct lode_plan *handed_plan;
    const struct lode_op *const *registry;
    const lode_comm *comm;
};

/* A fresh state over a budget, whose reference it takes over also on failure. */
lode_status lode_i_state_new(lode_budget *budget, struct lode_state **state);
void lode_i_state_free(struct lode_state *state);
void lode_i_pool_free(lode_budget *budget, struct lode_pool *pool);
/* Nothing is lost yet. */
void lode_i_losses_clear(struct lode_state *state);
/* Tells the callback that part of the current step is done, from between two parallel tasks. */
lode_status lode_i_report_part(lode_ctx *ctx, int64_t done, int64_t total);
/* An input over an open descriptor, which it takes over also on failure; growing: its size may
 * change. */
lode_status lode_i_infile_over(lode_ctx *ctx, int descriptor, const char *path, bool growing,
                               lode_infile **f);
/* Removes files of a folder ("" or with a slash at its end) that start so, then have the number of a
 * process that is gone. */
void lode_i_strays_remove(const char *folder, const char *start);
/* What the control groups under a folder ("": the system's) leave of so many processors and
 * bytes. */
int lode_i_quota_cores(const char *root, int processors);
uint64_t lode_i_quota_memory(const char *root, double bytes);
/* Sentence of an errno value, in any locale and thread. */
const char *lode_i_errno_text(int error, char text[LODE_I_ERRNO]);

#endif
