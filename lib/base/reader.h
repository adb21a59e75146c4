/* SPDX-License-Identifier: Apache-2.0 */
/* reader.h: threads that borrow immutable objects, and when such an object may be freed.
 *
 * A reader's section lasts at most one library function and costs two plain stores to a line of the thread's own:
 *
 *   reader                                  writer (one: the engine)
 *     turn is odd: inside                     unlink the object
 *     load the pointer, use it                membarrier: every reader's stores and loads are now ordered
 *     turn is even: outside                   who is inside now? once each of them has turned, free
 *
 * A thread has a slot of a fixed table, found through an initial-exec TLS word. The first slots own a stripe of all hot memory (stripe.h), later ones
 * share. Threads beyond the table use striped counts in two phases (as SRCU does). Where membarrier is refused, readers use a fence instead.
 * Source: McKenney, "Userspace RCU"; membarrier(2) private expedited. */
#ifndef MEMO__BASE_READER_H
#define MEMO__BASE_READER_H
#include "base/stripe.h"

#define MEMO__READERS 256 /* slots: a process with more threads than that inside at once is served, only slower */

struct memo__reader {
    uint64_t turn;              /* odd: inside; a guest's stays even */
    uint64_t draw;              /* state of this thread's draws */
    struct memo__stripe stripe;
    uint32_t depth;             /* sections within a section; for a guest all of them */
    uint32_t used;              /* 0: the slot is free */
    int32_t counted;            /* beyond the table: which phase it was counted in, or -1 */
    char pad[MEMO__LINE - 40];
};

/* How many stripes hot memory has in this process; fixed at the first use. 0 cpus: ask the machine. */
uint32_t memo__stripes_count(void);

struct memo__reader *memo__reader_slow_enter(void);
void memo__reader_slow_leave(struct memo__reader *r);

/* NULL: the slow way, also for guests and without membarrier */
extern __thread struct memo__reader *memo__reader_mine __attribute__((tls_model("initial-exec")));
extern uint32_t memo__reader_fence; /* 1: no membarrier here; heeded by threads that come from now on */

/* Enters a section; may be nested. Never fails, never blocks, never allocates. */
static inline struct memo__reader *memo__reader_enter(void)
{
    struct memo__reader *r = memo__reader_mine;
    if (__builtin_expect(!r, 0) || __builtin_expect(r->turn & 1, 0))
        return memo__reader_slow_enter();
    memo__own_add64(&r->turn, 1);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return r;
}

static inline void memo__reader_leave(struct memo__reader *r)
{
    if (__builtin_expect(r->depth, 0))
        memo__reader_slow_leave(r);
    else
        memo__own_add64_release(&r->turn, 1);
}

/* An object on its way out; embedded first. */
struct memo__retired {
    struct memo__retired *next;
    void (*release)(struct memo__retired *r);
};

/* The writer's side: one per process, used by the engine thread alone. */
struct memo__reclaimer {
    struct memo__retired *fresh, *newest, *waiting; /* released in the order in which they were retired */
    uint32_t waiting_for;             /* readers that were inside when the grace period began */
    uint32_t phase_wait;              /* counted readers: 2, 1 or 0 flips still to wait for */
    uint64_t seen[MEMO__READERS];     /* their turns, 0: not waited for */
};

void memo__retire(struct memo__reclaimer *c, struct memo__retired *r, void (*release)(struct memo__retired *r));
/* Goes on as far as it can without waiting; true while something is left. */
bool memo__reclaim(struct memo__reclaimer *c);
/* In a forked child: only the calling thread is left. */
void memo__readers_after_fork(void);
#endif
