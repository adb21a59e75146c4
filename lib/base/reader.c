/* SPDX-License-Identifier: Apache-2.0 */
/* reader.c: the table of readers, and grace periods. See reader.h for the picture. */
#define _GNU_SOURCE
#include "base/reader.h"
#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "base/hash.h"

__thread struct memo__reader *memo__reader_mine __attribute__((tls_model("initial-exec")));
static __thread struct memo__reader *own __attribute__((tls_model("initial-exec")));  /* the same, also where memo__reader_mine is NULL */
static __thread struct memo__reader guest __attribute__((tls_model("initial-exec"))); /* for a thread beyond the table */
uint32_t memo__reader_fence;

static struct memo__reader table[MEMO__READERS] __attribute__((aligned(MEMO__LINE)));
static uint32_t table_used;  /* slots 0 to table_used - 1 have ever been used */
static struct { uint64_t count[2]; char pad[MEMO__LINE - 16]; } counted[8] __attribute__((aligned(MEMO__LINE)));
static uint32_t phase;       /* which count new guests join */

static struct { uint32_t exclusive, shared; } layout;
static pthread_key_t leave_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Something that differs between two threads' first uses; draws need no more than that. */
static uint64_t clock_word(void)
{
    struct timespec t = { 0, 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_nsec << 20 ^ (uint64_t)t.tv_sec;
}

static void slot_free(void *slot)
{
    struct memo__reader *r = slot;
    memo__reader_mine = own = NULL;
    if (r != &guest)
        memo__store_release(&r->used, 0);
}

static void init(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    layout.exclusive = cpus < 2 ? 4 : cpus > 8 ? 16 : (uint32_t)cpus * 2;
    layout.shared = layout.exclusive / 2 > 8 ? 8 : layout.exclusive / 2;
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) != 0)
        memo__store(&memo__reader_fence, 1);
    (void)pthread_key_create(&leave_key, slot_free);
}

uint32_t memo__stripes_count(void)
{
    (void)pthread_once(&once, init);
    return layout.exclusive + layout.shared;
}

static struct memo__stripe stripe_of(uint32_t slot)
{
    if (slot < layout.exclusive)
        return (struct memo__stripe){ slot, true };
    return (struct memo__stripe){ layout.exclusive + slot % layout.shared, false };
}

/* Finds this thread a slot; a guest's own memory if there is none. */
static struct memo__reader *join(void)
{
    (void)pthread_once(&once, init);
    struct memo__reader *r = &guest;
    uint32_t slot = (uint32_t)((uintptr_t)&guest >> 12);
    for (uint32_t i = 0; i < MEMO__READERS; i++) {
        uint32_t free_slot = 0;
        if (memo__load(&table[i].used) == 0 && memo__cas(&table[i].used, &free_slot, 1)) {
            r = &table[i];
            slot = i;
            break;
        }
    }
    for (uint32_t used = memo__load(&table_used); r != &guest && used < slot + 1 && !memo__cas(&table_used, &used, slot + 1);)
        ;
    r->stripe = r == &guest ? stripe_of(layout.exclusive + slot % MEMO__READERS) : stripe_of(slot);
    r->draw = memo__mix64((uintptr_t)&guest ^ ((uint64_t)getpid() << 32) ^ (uint64_t)(uintptr_t)__builtin_frame_address(0) ^ clock_word());
    r->counted = -1;
    r->depth = 0;
    (void)pthread_setspecific(leave_key, r);
    own = r;
    if (r != &guest && !memo__load(&memo__reader_fence))
        memo__reader_mine = r;
    return r;
}

struct memo__reader *memo__reader_slow_enter(void)
{
    struct memo__reader *r = own ? own : join();
    if (r != &guest && !(r->turn & 1)) {
        (void)__atomic_exchange_n(&r->turn, r->turn + 1, __ATOMIC_SEQ_CST); /* a full barrier */
        return r;
    }
    if (r->depth++ == 0 && r == &guest) {
        r->counted = (int32_t)(__atomic_load_n(&phase, __ATOMIC_SEQ_CST) & 1);
        (void)__atomic_fetch_add(&counted[r->stripe.index % 8].count[r->counted], 1, __ATOMIC_SEQ_CST);
    }
    return r;
}

void memo__reader_slow_leave(struct memo__reader *r)
{
    if (--r->depth == 0 && r->counted >= 0) {
        (void)__atomic_fetch_sub(&counted[r->stripe.index % 8].count[r->counted], 1, __ATOMIC_SEQ_CST);
        r->counted = -1;
    }
}

void memo__retire(struct memo__reclaimer *c, struct memo__retired *r, void (*release)(struct memo__retired *r))
{
    r->release = release;
    r->next = NULL;
    if (c->fresh)
        c->newest->next = r;
    else
        c->fresh = r;
    c->newest = r;
}

static uint64_t guests_in(uint32_t which)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < 8; i++)
        sum += __atomic_load_n(&counted[i].count[which], __ATOMIC_SEQ_CST);
    return sum;
}

/* A grace period begins: whoever is inside now may have seen what is waiting. Not while the kernel has no memory for its barrier: one who is inside might not be seen. (Where it has no
 * such barrier, readers have fences of their own; and before the first reader none is needed.) */
static bool grace_begin(struct memo__reclaimer *c)
{
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0 && errno == ENOMEM)
        return false;
    c->waiting = c->fresh;
    c->fresh = NULL;
    c->waiting_for = 0;
    c->phase_wait = 2;
    (void)__atomic_fetch_add(&phase, 1, __ATOMIC_SEQ_CST);
    uint32_t used = memo__load(&table_used);
    for (uint32_t i = 0; i < MEMO__READERS; i++) {
        uint64_t turn = i < used ? __atomic_load_n(&table[i].turn, __ATOMIC_SEQ_CST) : 0;
        c->seen[i] = turn & 1 ? turn : 0;
        c->waiting_for += c->seen[i] != 0;
    }
    return true;
}

static bool grace_over(struct memo__reclaimer *c)
{
    for (uint32_t i = 0; c->waiting_for && i < MEMO__READERS; i++) {
        if (c->seen[i] && memo__load_acquire(&table[i].turn) != c->seen[i]) {
            c->seen[i] = 0;
            c->waiting_for--;
        }
    }
    while (c->phase_wait && guests_in((memo__load(&phase) + 1) & 1) == 0) {
        if (--c->phase_wait)
            (void)__atomic_fetch_add(&phase, 1, __ATOMIC_SEQ_CST);
    }
    return c->waiting_for == 0 && c->phase_wait == 0;
}

bool memo__reclaim(struct memo__reclaimer *c)
{
    for (;;) {
        if (!c->waiting) {
            if (!c->fresh)
                return false;
            if (!grace_begin(c))
                return true;
        }
        if (!grace_over(c))
            return true;
        struct memo__retired *r = c->waiting;
        c->waiting = NULL;
        while (r) {
            struct memo__retired *next = r->next;
            r->release(r);
            r = next;
        }
    }
}

void memo__readers_after_fork(void)
{
    for (uint32_t i = 0; i < MEMO__READERS; i++) {
        if (&table[i] == own)
            continue;
        table[i].turn += table[i].turn & 1;
        table[i].depth = 0;
        memo__store(&table[i].used, 0);
    }
    for (uint32_t i = 0; i < 8; i++)
        counted[i].count[0] = counted[i].count[1] = 0;
    if (guest.counted >= 0)
        guest.counted = -1;
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) != 0) {
        memo__store(&memo__reader_fence, 1);
        memo__reader_mine = NULL; /* the only thread there is */
    }
}
