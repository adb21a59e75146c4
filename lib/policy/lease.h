/* SPDX-License-Identifier: Apache-2.0 */
/* lease.h: a number of equal things (tokens, permits), some of them lent to stripes so that taking one touches no shared line.
 *
 *   centre  --a batch, when a stripe has none-->  stripe 0 [held]   stripe 1 [held] ...
 *                                                     ^---- one at a time, when the centre is dry: stolen by compare-and-swap
 *
 * A thief consumes what it steals at once: things never travel between two words unseen, except from the centre to a stripe, where `coming`
 * announces them. So the sum of all `held` and `coming`, read in that order, never misses one. Limiter and bulkhead differ only in what their
 * centre is. */
#ifndef MEMO__POLICY_LEASE_H
#define MEMO__POLICY_LEASE_H
#include "base/instant.h"
#include "base/stripe.h"

#define MEMO__LEASE_SHARE 32     /* a batch is 1/32 of the whole: all 24 stripes together hold at most 3/4 */
#define MEMO__LEASE_BATCH 1024   /* and at most so many */

struct memo__lease_part { /* one line of its own per stripe: thieves write here too */
    uint32_t held;
    uint32_t coming;       /* on the way from the centre; also the gate: only who raised it from 0 may fill `held` */
    memo__instant used_at; /* when something held here was last consumed */
    uint64_t unused[6];
};

_Static_assert(sizeof(struct memo__lease_part) == MEMO__LINE, "a line");

static inline uint32_t memo__lease_batch(uint64_t whole)
{
    uint64_t batch = whole / MEMO__LEASE_SHARE;
    return batch < 1 ? 1 : batch > MEMO__LEASE_BATCH ? MEMO__LEASE_BATCH : (uint32_t)batch;
}

static inline struct memo__lease_part *memo__lease_at(const struct memo__striped *parts, uint32_t stripe)
{
    return (struct memo__lease_part *)(void *)parts->base + stripe; /* the stride is its size */
}

/* Takes one of a word's, if there is one. */
static inline bool memo__lease_take(uint32_t *held)
{
    uint32_t n = memo__load(held);
    while (n > 0)
        if (memo__cas(held, &n, n - 1))
            return true;
    return false;
}

/* Is anything held by any stripe? */
bool memo__lease_any(const struct memo__striped *parts);
/* Takes one from another stripe than `own`, marking its used_at; false if none holds any. */
bool memo__lease_steal(const struct memo__striped *parts, uint32_t own, memo__instant now);
/* All that is held or coming. */
uint64_t memo__lease_sum(const struct memo__striped *parts);
void memo__lease_init(const struct memo__striped *parts);
#endif
