/* SPDX-License-Identifier: Apache-2.0 */
/* limiter_keyed.c: the table of buckets. A way's word is [ tag: 24, never 0 ][ empty: 40 ]; 0 is a way that was never used.
 *
 * Times wrap after 2^40 units (a thousand million intervals). A bucket whose `empty` seems to lie in the near future (another thread's clock
 * reading was a bit later) counts as empty. */
#include "policy/limiter_keyed.h"

#include <string.h>

#define TIME_MASK ((UINT64_C(1) << 40) - 1)
#define FUTURE (UINT64_C(1) << 20)       /* a thousand intervals: more than two threads' readings ever differ */
#define BURST_MOST (UINT64_C(1) << 28)   /* 2^28 * 1,023 units stay well below 2^40 */
#define SETS_MOST (UINT32_C(1) << 20)

static uint32_t sets_of(uint32_t keys)
{
    uint32_t sets = 1;
    while (sets < SETS_MOST && (uint64_t)sets * MEMO__KEYED_WAYS < keys)
        sets *= 2;
    return sets;
}

size_t memo__keyed_size(uint32_t keys)
{
    return sizeof(struct memo__keyed) + (size_t)sets_of(keys) * MEMO__KEYED_WAYS * sizeof(uint64_t);
}

static void shape(struct memo__keyed *k, const struct memo__limit_rule *rule)
{
    unsigned __int128 whole = (unsigned __int128)(uint64_t)rule->period * 16;
    uint64_t interval = (uint64_t)((whole + rule->count - 1) / rule->count);
    k->shift = 0;
    while (interval >> k->shift > 1023)
        k->shift++;
    k->interval = (interval + (UINT64_C(1) << k->shift) - 1) >> k->shift;
    k->burst = rule->burst < BURST_MOST ? rule->burst : BURST_MOST;
    k->capacity = k->burst * k->interval;
}

void memo__keyed_init(struct memo__keyed *k, uint32_t keys, const struct memo__limit_rule *rule)
{
    memset(k, 0, memo__keyed_size(keys));
    k->sets = sets_of(keys);
    shape(k, rule);
}

bool memo__keyed_same(const struct memo__keyed *k, const struct memo__limit_rule *rule)
{
    struct memo__keyed other;
    shape(&other, rule);
    return k->interval == other.interval && k->shift == other.shift && k->burst == other.burst;
}

static uint64_t units(const struct memo__keyed *k, memo__instant now) { return ((uint64_t)now * 16 >> k->shift) & TIME_MASK; }
static uint64_t tag_of(uint64_t hash) { return hash >> 40 ? hash >> 40 : 1; }
static uint64_t way_of(uint64_t tag, uint64_t empty) { return tag << 40 | (empty & TIME_MASK); }

/* How full a bucket is, in units; at most its capacity. */
static uint64_t filled(const struct memo__keyed *k, uint64_t way, uint64_t now)
{
    uint64_t idle = (now - way) & TIME_MASK;
    return idle > TIME_MASK - FUTURE ? 0 : idle < k->capacity ? idle : k->capacity;
}

static const uint64_t *set_of(const struct memo__keyed *k, uint64_t hash)
{
    return &k->ways[(size_t)(hash & (k->sets - 1)) * MEMO__KEYED_WAYS];
}

/* The way of a tag in a set, and what it was; MEMO__KEYED_WAYS if there is none. */
static uint32_t find(const uint64_t *set, uint64_t tag, uint64_t *way)
{
    for (uint32_t i = 0; i < MEMO__KEYED_WAYS; i++) {
        *way = __atomic_load_n(&set[i], __ATOMIC_SEQ_CST); /* of two that insert at once, one must see the other */
        if (*way >> 40 == tag)
            return i;
    }
    return MEMO__KEYED_WAYS;
}

/* The way that is lost least: never used, else the fullest. */
static uint32_t victim(const struct memo__keyed *k, const uint64_t *set, uint64_t now, uint64_t *way)
{
    uint32_t best = 0;
    uint64_t most = 0;
    *way = memo__load(&set[0]);
    for (uint32_t i = 0; i < MEMO__KEYED_WAYS; i++) {
        uint64_t w = memo__load(&set[i]), full = w ? filled(k, w, now) + 1 : UINT64_MAX;
        if (full > most) {
            best = i;
            most = full;
            *way = w;
        }
    }
    return best;
}

/* A new bucket, less one token. If another thread made one for the same tag at the same time, the one in the lower way stays; then, or if the way
 * was lost, false: look again. */
static bool insert(struct memo__keyed *k, uint64_t *set, uint64_t tag, uint64_t now)
{
    uint64_t was, other, fresh = way_of(tag, now - k->capacity + k->interval);
    uint32_t i = victim(k, set, now, &was);
    if (!memo__cas(&set[i], &was, fresh))
        return false;
    if (was != 0 && filled(k, was, now) < k->capacity)
        (void)memo__fetch_add(&k->evictions, UINT64_C(1));
    return find(set, tag, &other) >= i || !memo__cas(&set[i], &fresh, UINT64_C(0));
}

bool memo__keyed_check(const struct memo__keyed *k, uint64_t hash, memo__instant now)
{
    uint64_t way;
    return find(set_of(k, hash), tag_of(hash), &way) == MEMO__KEYED_WAYS || filled(k, way, units(k, now)) >= k->interval;
}

bool memo__keyed_take(struct memo__keyed *k, uint64_t hash, memo__instant now)
{
    uint64_t *set = &k->ways[set_of(k, hash) - k->ways], tag = tag_of(hash), at = units(k, now), way;
    for (;;) {
        uint32_t i = find(set, tag, &way);
        if (i == MEMO__KEYED_WAYS) {
            if (insert(k, set, tag, at))
                return true;
            continue;
        }
        uint64_t full = filled(k, way, at);
        if (full < k->interval)
            return false;
        if (memo__cas(&set[i], &way, way_of(tag, at - full + k->interval)))
            return true;
    }
}

void memo__keyed_give(struct memo__keyed *k, uint64_t hash)
{
    uint64_t *set = &k->ways[set_of(k, hash) - k->ways], tag = tag_of(hash), way;
    uint32_t i = find(set, tag, &way);
    while (i < MEMO__KEYED_WAYS && way >> 40 == tag && !memo__cas(&set[i], &way, way_of(tag, way - k->interval)))
        ;
}

void memo__keyed_read(const struct memo__keyed *k, uint64_t hash, memo__instant now, uint64_t *tokens, int64_t *retry_after)
{
    uint64_t way, full = k->capacity;
    if (find(set_of(k, hash), tag_of(hash), &way) < MEMO__KEYED_WAYS)
        full = filled(k, way, units(k, now));
    *tokens = full / k->interval;
    *retry_after = *tokens ? 0 : (int64_t)(((k->interval - full) << k->shift) + 15) / 16;
}
