/* SPDX-License-Identifier: Apache-2.0 */
/* process.h: is this still the process that it was? Asked at every public entry: one load.
 *
 * A page that the kernel wipes in a forked child (MADV_WIPEONFORK) holds a 1. The first entry in a child finds a 0 and rebuilds what the parent's threads and descriptors were needed for;
 * entries beside it wait for that. Children made around libc find the page wiped, too. */
#ifndef MEMO__BASE_PROCESS_H
#define MEMO__BASE_PROCESS_H
#include <stdint.h>
#include "base/atomic.h"

extern uint32_t *memo__process_page MEMO__OURS;          /* [0]: 1 in the process that knows itself; [1]: somebody rebuilds */
extern uint32_t memo__process_number;         /* of generations of processes, from 1: a call begun in a parent is no call of its child */
extern void (*memo__process_rebuild)(void);   /* the client room's; set before the page is made */

void memo__process_page_make(void);           /* once; where the kernel cannot wipe, memo__process_wipe is all */
void memo__process_wipe(void);                /* by hand: a fork handler's way */
void memo__process_new(void);
/* True: this process does not know itself yet, and does not get to before memo__process_drop. False: it does. A forked child that forks again before it has used anything has nothing to
 * protect from that, and locks that its parent held. */
bool memo__process_hold(void);
void memo__process_drop(void);

static inline void memo__process_check(void)
{
    if (__builtin_expect(memo__is_zero(memo__process_page), 0))
        memo__process_new();
}
#endif
