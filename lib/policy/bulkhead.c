/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead.c: where permits come from when the own stripe has none: a batch from the centre (one, if exact), else one from another stripe. */
#include "policy/bulkhead.h"

#include <string.h>

void memo__bulkhead_init(struct memo__bulkhead *b, const struct memo__striped *parts, const struct memo__concurrency_rule *rule)
{
    memset(b, 0, sizeof *b);
    b->free = rule->max;
    b->max = rule->max;
    memo__lease_init(parts);
}

void memo__bulkhead_change(struct memo__bulkhead *b, const struct memo__striped *parts, const struct memo__concurrency_rule *rule)
{
    int64_t back = (int64_t)rule->max - (int64_t)memo__load(&b->max);
    memo__store(&b->max, (uint64_t)rule->max);
    for (uint32_t i = 0; i < parts->count; i++)
        back += memo__exchange(&memo__lease_at(parts, i)->held, 0u);
    (void)memo__fetch_add(&b->free, back);
}

bool memo__bulkhead_check_slow(const struct memo__bulkhead *b, const struct memo__striped *parts, const struct memo__concurrency_rule *rule)
{
    (void)rule; /* a permit that came back while `exact` was switched on may still lie in a stripe */
    return memo__load(&b->free) > 0 || memo__lease_any(parts);
}

bool memo__bulkhead_enter_slow(struct memo__bulkhead *b, const struct memo__striped *parts, struct memo__stripe stripe,
                               const struct memo__concurrency_rule *rule)
{
    int64_t want = rule->exact ? 1 : memo__lease_batch(rule->max), free = memo__load(&b->free);
    while (free > 0) {
        int64_t n = free < want ? free : want;
        if (!memo__cas(&b->free, &free, free - n))
            continue;
        if (n > 1)
            (void)memo__fetch_add(&memo__lease_at(parts, stripe.index)->held, (uint32_t)(n - 1));
        return true;
    }
    return memo__lease_steal(parts, stripe.index, 0);
}

uint64_t memo__bulkhead_read(const struct memo__bulkhead *b, const struct memo__striped *parts)
{
    int64_t busy = (int64_t)memo__load(&b->max) - memo__load(&b->free) - (int64_t)memo__lease_sum(parts);
    return busy > 0 ? (uint64_t)busy : 0;
}
