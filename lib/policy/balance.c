/* SPDX-License-Identifier: Apache-2.0 */
/* balance.c: the table of balancers, and what they share: who may be picked, panic, and the scan when luck does not help. */
#include "policy/balance.h"

#define PANIC_LOOKS 256u

static const struct memo__balancer *const balancers[] = {
    [MEMO__BALANCE_PEAK_EWMA] = &memo__balance_peak_ewma,
    [MEMO__BALANCE_ROUND_ROBIN] = &memo__balance_round_robin,
    [MEMO__BALANCE_RANDOM] = &memo__balance_random,
    [MEMO__BALANCE_LEAST_REQUEST] = &memo__balance_least_request,
    [MEMO__BALANCE_RING_HASH] = &memo__balance_ring_hash,
    [MEMO__BALANCE_WEIGHTED_ROUND_ROBIN] = &memo__balance_weighted_round_robin,
};

const struct memo__balancer *memo__balancer_of(enum memo__balance_policy policy)
{
    return balancers[policy];
}

int32_t memo__balance_pick(const struct memo__pick_request *q, struct memo__pick *out)
{
    return balancers[q->rule->policy]->pick(q, out);
}

static bool tried(const struct memo__pick_request *q, uint32_t slot)
{
    for (uint32_t i = 0; i < q->tried_count; i++)
        if (q->tried[i] == slot)
            return true;
    return false;
}

static bool ejected(const struct memo__pick_request *q, uint32_t slot)
{
    return memo__load(&memo__fleet_state(q->fleet, slot)->ejected_until) > q->now;
}

static bool refused_by_its_breaker(const struct memo__pick_request *q, uint32_t slot)
{
    const struct memo__breaker *b = memo__fleet_breaker(q->fleet, slot);
    return b && !memo__breaker_check(b, q->instance_breaker, q->now);
}

enum memo__pickable memo__balance_may(const struct memo__pick_request *q, uint32_t i, bool panic, bool again)
{
    uint32_t slot = q->from->slots[i];
    if (q->from->weights[i] == 0)
        return MEMO__NOT_WEIGHT;
    if (q->tried_count && !again && tried(q, slot))
        return MEMO__NOT_TRIED;
    if (q->ejected && !panic && ejected(q, slot))
        return MEMO__NOT_EJECTED;
    if (q->instance_breaker && refused_by_its_breaker(q, slot))
        return MEMO__NOT_OPEN;
    return MEMO__PICKABLE;
}

bool memo__balance_panic(const struct memo__pick_request *q)
{
    uint32_t n = q->from->count, all = q->from->weighted ? q->from->weighted : n;
    uint64_t below = q->rule->panic_below, good = 0, seen = 0;
    if (q->ejected == 0 || (all > q->ejected && (uint64_t)(all - q->ejected) * 1000000 >= below * all))
        return false;
    uint32_t step = (n + PANIC_LOOKS - 1) / PANIC_LOOKS;
    for (uint32_t i = 0; i < n; i += step) {
        if (q->from->weights[i] == 0)
            continue;
        seen++;
        good += !ejected(q, q->from->slots[i]);
    }
    return good * 1000000 < below * seen;
}

static const uint8_t flag_of[] = { [MEMO__NOT_EJECTED] = MEMO__PICK_SKIPPED_EJECTED, [MEMO__NOT_OPEN] = MEMO__PICK_SKIPPED_OPEN, [MEMO__NOT_TRIED] = 0 };

uint8_t memo__balance_flag(enum memo__pickable why) { return flag_of[why]; }

static bool scan(const struct memo__pick_request *q, uint32_t start, bool panic, bool again, struct memo__pick *out)
{
    uint32_t n = q->from->count;
    for (uint32_t k = 0, i = start; k < n; k++, i = i + 1 < n ? i + 1 : 0) {
        enum memo__pickable may = memo__balance_may(q, i, panic, again);
        out->flags |= flag_of[may];
        if (may == MEMO__PICKABLE) {
            (void)memo__balance_take(q, i, out);
            return true;
        }
    }
    return false;
}

int32_t memo__balance_scan(const struct memo__pick_request *q, uint32_t start, bool panic, struct memo__pick *out)
{
    if (scan(q, start, panic, false, out))
        return MEMO_OK;
    if (q->tried_count && scan(q, start, panic, true, out)) {
        out->flags |= MEMO__PICK_TRIED_AGAIN;
        return MEMO_OK;
    }
    return out->flags & MEMO__PICK_SKIPPED_OPEN ? MEMO_REFUSED_OPEN : MEMO_REFUSED_NO_ENDPOINT;
}
