/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h: CLOCK_MONOTONIC, read in 10 ns instead of 23 where the processor's counter is what the kernel itself counts with.
 *
 *   now = anchor.ns + (tsc - anchor.tsc) * anchor.scale        a new anchor every second, by the engine: slewing is followed, the error stays far below a microsecond
 *
 * Used only if the kernel's clock source is tsc; without a fresh anchor (not yet calibrated, engine stalled, suspended) and while an anchor is being written, the kernel is asked. Two readings may step
 * back by the error of an anchor: a `now` older than a state counts as the state's own everywhere. */
#ifndef MEMO__BASE_CLOCK_H
#define MEMO__BASE_CLOCK_H
#include "base/atomic.h"
#include "base/instant.h"
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

struct memo__clock {
    uint32_t turn;        /* another one after each change */
    uint64_t tsc, scale;  /* scale: ns a tick, times 2^32 */
    memo__instant ns;
    int64_t ahead;        /* of MONOTONIC: CLOCK_BOOTTIME */
    uint64_t fresh;       /* ticks for which the anchor holds; 0: it does not, or is being written */
};
extern struct memo__clock memo__clock_anchor MEMO__OURS;
extern const char *memo__clock_source; /* the file that names what the kernel counts with; tests put theirs here */

memo__instant memo__clock_kernel(void);
memo__instant memo__clock_kernel_boot(void);
/* Sets a new anchor; the owner of a timer calls it (any one thread at a time). Returns after how many ns it wants to be called again, 0: never. */
int64_t memo__clock_calibrate(void);

#if defined(__x86_64__)
/* The fields of the anchor, between two looks at its turn: loads happen in their order on this machine, so keeping the compiler from moving them over
 * the looks is enough, and they may be operands. The sanitizer has to see each of them. */
#ifdef MEMO__SEEN_BY_SANITIZER
#define MEMO__ANCHOR(field) memo__load_acquire(&memo__clock_anchor.field)
#else
#define MEMO__ANCHOR(field) (memo__clock_anchor.field)
#endif

/* false: ask the kernel. */
static inline bool memo__clock_counted(memo__instant *now, int64_t *ahead)
{
    uint32_t turn = memo__load_acquire(&memo__clock_anchor.turn);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    uint64_t ticks = __rdtsc() - MEMO__ANCHOR(tsc);
    bool fresh = ticks < MEMO__ANCHOR(fresh);
    *now = MEMO__ANCHOR(ns) + (memo__instant)(((unsigned __int128)ticks * MEMO__ANCHOR(scale)) >> 32);
    *ahead = MEMO__ANCHOR(ahead);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return __builtin_expect(fresh, 1) && __builtin_expect(memo__load(&memo__clock_anchor.turn) == turn, 1);
}
#else
static inline bool memo__clock_counted(memo__instant *now, int64_t *ahead)
{
    (void)now;
    (void)ahead;
    return false;
}
#endif

static inline memo__instant memo__clock_now(void)
{
    memo__instant now;
    int64_t ahead;
    return memo__clock_counted(&now, &ahead) ? now : memo__clock_kernel();
}

/* And CLOCK_BOOTTIME. The counter goes on while the machine sleeps, or begins anew, which no anchor outlives: so what is derived from an anchor is
 * never too early. */
static inline memo__instant memo__clock_both(memo__instant *boot)
{
    memo__instant now;
    int64_t ahead;
    if (!memo__clock_counted(&now, &ahead)) {
        *boot = memo__clock_kernel_boot();
        return memo__clock_kernel();
    }
    *boot = now + ahead;
    return now;
}

static inline memo__instant memo__clock_boot(void)
{
    memo__instant boot;
    (void)memo__clock_both(&boot);
    return boot;
}
#endif
