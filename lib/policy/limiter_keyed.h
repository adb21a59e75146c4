/* SPDX-License-Identifier: Apache-2.0 */
/* limiter_keyed.h: a token bucket for every value of a header, in bounded memory.
 *
 * A set-associative table: the value's 64-bit hash (seeded by the owner, so that nobody outside can choose collisions) names a set of 8 ways, one
 * cache line. A way is one word, 24 bits of tag and 40 bits of the time at which that bucket was empty, in units of which an interval has 512 to
 * 1,023: every change is one compare-and-swap. A value that is not there takes the way of the fullest bucket; if that was not full yet, somebody's
 * count is forgotten: an eviction, counted. Two values of the same set and tag share a bucket (one pair in 2^32). Memory zeroed and init'ed; the
 * rule's shape is kept, as in limiter.h. */
#ifndef MEMO__POLICY_LIMITER_KEYED_H
#define MEMO__POLICY_LIMITER_KEYED_H
#include "base/instant.h"
#include "base/atomic.h"
#include "model/rules.h"

#define MEMO__KEYED_WAYS 8

struct memo__keyed {
    uint64_t burst;
    uint64_t interval, capacity; /* in units */
    uint32_t shift;              /* a unit is 2^shift / 16 ns */
    uint32_t sets;               /* power of two */
    uint64_t evictions;
    uint64_t unused[3];
    uint64_t ways[];             /* sets * 8 */
};

/* Bytes for about so many keys (rounded up to a power of two sets): 8 bytes a key. Align to 64. */
size_t memo__keyed_size(uint32_t keys);
void memo__keyed_init(struct memo__keyed *k, uint32_t keys, const struct memo__limit_rule *rule);
bool memo__keyed_same(const struct memo__keyed *k, const struct memo__limit_rule *rule);
bool memo__keyed_check(const struct memo__keyed *k, uint64_t hash, memo__instant now);
bool memo__keyed_take(struct memo__keyed *k, uint64_t hash, memo__instant now);
void memo__keyed_give(struct memo__keyed *k, uint64_t hash);
/* Tokens that are left for this value, and ns until there is one. */
void memo__keyed_read(const struct memo__keyed *k, uint64_t hash, memo__instant now, uint64_t *tokens, int64_t *retry_after);
#endif
