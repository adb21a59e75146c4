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
    uint32_t turn;        /* odd: being written; 0: not calibrated */
    uint64_t tsc, scale;  /* scale: ns a tick, times 2^32 */
    memo__instant ns, ahead; /* ahead: by how much CLOCK_BOOTTIME is ahead of it */
    uint64_t fresh;       /* ticks for which the anchor holds */
};
extern struct memo__clock memo__clock_anchor;

memo__instant memo__clock_kernel(void);
/* Sets a new anchor; the owner of a timer calls it (any one thread at a time). Returns after how many ns it wants to be called again, 0: never. */
int64_t memo__clock_calibrate(void);

static inline memo__instant memo__clock_now(void)
{
#if defined(__x86_64__)
    uint32_t turn = memo__load_acquire(&memo__clock_anchor.turn);
    uint64_t tsc = memo__load_acquire(&memo__clock_anchor.tsc), scale = memo__load_acquire(&memo__clock_anchor.scale);
    memo__instant ns = memo__load_acquire(&memo__clock_anchor.ns);
    uint64_t fresh = memo__load_acquire(&memo__clock_anchor.fresh), ticks = __rdtsc() - tsc;
    if (__builtin_expect(turn && !(turn & 1) && ticks < fresh && memo__load(&memo__clock_anchor.turn) == turn, 1))
        return ns + (memo__instant)(((unsigned __int128)ticks * scale) >> 32);
#endif
    return memo__clock_kernel();
}

memo__instant memo__clock_kernel_boot(void);

/* CLOCK_BOOTTIME. The counter goes on while the machine sleeps, or begins anew, which no anchor outlives: so what is derived from an anchor is never too early. */
static inline memo__instant memo__clock_boot(void)
{
#if defined(__x86_64__)
    uint32_t turn = memo__load_acquire(&memo__clock_anchor.turn);
    uint64_t tsc = memo__load_acquire(&memo__clock_anchor.tsc), scale = memo__load_acquire(&memo__clock_anchor.scale);
    memo__instant ns = memo__load_acquire(&memo__clock_anchor.ns) + memo__load_acquire(&memo__clock_anchor.ahead);
    uint64_t fresh = memo__load_acquire(&memo__clock_anchor.fresh), ticks = __rdtsc() - tsc;
    if (__builtin_expect(turn && !(turn & 1) && ticks < fresh && memo__load(&memo__clock_anchor.turn) == turn, 1))
        return ns + (memo__instant)(((unsigned __int128)ticks * scale) >> 32);
#endif
    return memo__clock_kernel_boot();
}
#endif
