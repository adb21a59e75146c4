/* SPDX-License-Identifier: Apache-2.0 */
/* interleave.h: what if another thread came in just here?
 *
 * Included before any source of lib/policy, it puts a seam before every compare-and-swap: `meanwhile` is what the other thread does there, once. So
 * each race is a story on a timeline, and no test has to hope for one. The sources are the program's own: the library's are not linked then. */
#ifndef MEMO__TESTS_POLICY_INTERLEAVE_H
#define MEMO__TESTS_POLICY_INTERLEAVE_H
#include <stddef.h>
#include "base/atomic.h"

static void (*meanwhile)(void);
static int meanwhile_skips; /* let so many pass first */

/* Always inlined: a call would be counted among the branches of the line that has the swap. */
__attribute__((always_inline)) static inline void interleave(void)
{
    void (*other)(void) = meanwhile;
    if (!other || meanwhile_skips-- > 0)
        return;
    meanwhile = NULL;
    other();
}

#undef memo__cas
#define memo__cas(p, expected, desired) (interleave(), __atomic_compare_exchange_n((p), (expected), (desired), false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
#endif
