/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead.h: how many calls of a service may be under way at once?
 *
 * Permits are a fixed number, never made and never destroyed: centre + held by stripes + under way = max. So it is never above max. A permit that
 * comes back stays with the stripe: in the steady state nothing shared is written. With `exact` the centre alone counts, so that "free" is one
 * word. A smaller max after a reload may leave the centre negative: returned permits then go there until the debt is paid. */
#ifndef MEMO__POLICY_BULKHEAD_H
#define MEMO__POLICY_BULKHEAD_H
#include "model/rules.h"
#include "policy/lease.h"

struct memo__bulkhead {
    int64_t free; /* permits in the centre */
    uint64_t max;
    uint64_t unused[6];
};

void memo__bulkhead_init(struct memo__bulkhead *b, const struct memo__striped *parts, const struct memo__concurrency_rule *rule);
/* New rules: another max or another exactness, while calls are under way. By one thread at a time. */
void memo__bulkhead_change(struct memo__bulkhead *b, const struct memo__striped *parts, const struct memo__concurrency_rule *rule);
bool memo__bulkhead_check_slow(const struct memo__bulkhead *b, const struct memo__striped *parts, const struct memo__concurrency_rule *rule);
bool memo__bulkhead_enter_slow(struct memo__bulkhead *b, const struct memo__striped *parts, struct memo__stripe stripe,
                               const struct memo__concurrency_rule *rule);
/* Calls under way, as far as it can be seen without stopping anybody. */
uint64_t memo__bulkhead_read(const struct memo__bulkhead *b, const struct memo__striped *parts);

/* A peek: is a permit free anywhere? */
static inline bool memo__bulkhead_check(const struct memo__bulkhead *b, const struct memo__striped *parts, struct memo__stripe stripe,
                                        const struct memo__concurrency_rule *rule)
{
    return memo__load(&memo__lease_at(parts, stripe.index)->held) > 0 || memo__bulkhead_check_slow(b, parts, rule);
}

static inline bool memo__bulkhead_enter(struct memo__bulkhead *b, const struct memo__striped *parts, struct memo__stripe stripe,
                                        const struct memo__concurrency_rule *rule)
{
    return memo__lease_take(&memo__lease_at(parts, stripe.index)->held) || memo__bulkhead_enter_slow(b, parts, stripe, rule);
}

/* Returns a permit; any stripe may, not only the one that entered. */
static inline void memo__bulkhead_leave(struct memo__bulkhead *b, const struct memo__striped *parts, struct memo__stripe stripe,
                                        const struct memo__concurrency_rule *rule)
{
    if (rule->exact || memo__load(&b->free) < 0)
        (void)memo__fetch_add(&b->free, 1);
    else
        (void)memo__fetch_add(&memo__lease_at(parts, stripe.index)->held, 1u);
}
#endif
