/* SPDX-License-Identifier: Apache-2.0 */
/* standing.c: see standing.h. Nothing here is on the way of a call that goes well. */
#include "call/standing.h"

uint8_t memo__standing_budget(const struct memo__governor *g)
{
    return (uint8_t)(memo__budget_read(&g->budget, &g->budget_parts) / (MEMO__TOKEN / 10)); /* at most 100 */
}

static bool told(const struct memo__gate_limit *l, uint32_t i, const struct memo__plan *p, const struct memo__record *k)
{
    if (k->refused_kind == MEMO__GATE_LIMIT)
        return l->rule == &p->service->limits[k->refused_by];
    return k->would & MEMO__GATE_LIMIT_BIT(i);
}

uint8_t memo__standing_limit(const struct memo__plan *p, const struct memo__record *k)
{
    if (p->revision != k->revision || k->route >= p->service->routes_count)
        return MEMO__NO_INDEX;
    const struct memo__gate *gate = &p->gates[k->route];
    uint8_t plain = MEMO__NO_INDEX, keyed = MEMO__NO_INDEX;
    for (uint8_t i = 0; i < gate->limits_count; i++) {
        const struct memo__gate_limit *l = &gate->limits[i];
        if (told(l, i, p, k))
            return i;
        if (l->limiter && plain == MEMO__NO_INDEX)
            plain = i;
        if (l->keyed && keyed == MEMO__NO_INDEX && k->taken & MEMO__GATE_LIMIT_BIT(i))
            keyed = i;
    }
    return plain != MEMO__NO_INDEX ? plain : keyed;
}

static uint64_t tokens_of(const struct memo__gate_limit *l, uint64_t hash, memo__instant now)
{
    uint64_t tokens;
    int64_t after;
    struct memo__limiter_facts f;
    if (l->keyed) {
        memo__keyed_read(l->keyed, hash, now, &tokens, &after);
        return tokens;
    }
    memo__limiter_read(l->limiter, &l->parts, now, &f);
    return f.tokens;
}

static void limit_stands(const struct memo__plan *p, const struct memo__record *k, memo__instant now, struct memo__standing *out)
{
    uint8_t i = memo__standing_limit(p, k);
    if (i == MEMO__NO_INDEX)
        return;
    const struct memo__gate_limit *l = &p->gates[k->route].limits[i];
    uint64_t tokens = tokens_of(l, k->hashes[i], now);
    out->limited = true;
    out->limit = (uint32_t)(l->rule - p->service->limits);
    out->tokens = tokens > UINT32_MAX ? UINT32_MAX : (uint32_t)tokens;
}

void memo__standing_read(const struct memo__governor *g, const struct memo__plan *p, const struct memo__record *k,
                         const struct memo__route_rule *route, memo__instant now, struct memo__standing *out)
{
    struct memo__organ *o = k->breaker ? memo__plan_organ(p, k->breaker) : NULL;
    *out = (struct memo__standing){ .budget = memo__standing_budget(g) };
    if (o) {
        struct memo__breaker_facts f;
        memo__breaker_why(o->shared, &o->parts, &route->breaker, now, &f);
        out->breaker = true;
        out->phase = f.phase;
        out->calls = f.calls;
        out->failed = f.failed;
        out->slow = f.slow;
    }
    limit_stands(p, k, now, out);
}

void memo__standing_keep(struct memo__record *k, const struct memo__standing *s)
{
    k->noted = 1;
    k->breaker_phase = (uint8_t)s->phase;
    k->breaker_calls = s->calls;
    k->breaker_failed = s->failed;
    k->breaker_slow = s->slow;
    k->limit_left = s->tokens;
    k->budget = s->budget;
}

void memo__standing_kept(const struct memo__record *k, const struct memo__plan *p, struct memo__standing *out)
{
    uint8_t i = p ? memo__standing_limit(p, k) : MEMO__NO_INDEX;
    *out = (struct memo__standing){ .breaker = k->breaker != 0, .limited = i != MEMO__NO_INDEX, .phase = (enum memo__breaker_phase)k->breaker_phase,
                                    .calls = k->breaker_calls, .failed = k->breaker_failed, .slow = k->breaker_slow, .tokens = k->limit_left,
                                    .budget = k->budget };
    if (out->limited)
        out->limit = (uint32_t)(p->gates[k->route].limits[i].rule - p->service->limits);
}

void memo__standing_refusers(const struct memo__governor *g, const struct memo__plan *p, struct memo__record *k, const struct memo__pool *pool,
                             const struct memo__breaker_rule *rule, memo__instant now)
{
    for (uint32_t i = 0; i < pool->from.count && k->refusing < UINT8_MAX; i++) {
        uint32_t slot = pool->from.slots[i];
        const struct memo__breaker *b = memo__fleet_breaker(&g->fleet, slot);
        if (!b || memo__breaker_check(b, rule, now) || k->refusing++ >= memo__record_refusers_most(k))
            continue;
        struct memo__striped parts = memo__fleet_breaker_parts(&g->fleet, slot);
        struct memo__breaker_facts f;
        memo__breaker_why(b, &parts, rule, now, &f);
        k->refusers[memo__record_refuser(k->refusing - 1u)] =
            (struct memo__refusing){ slot, p->view->entries[p->by_slot[slot]].generation, f.calls, f.failed, f.slow, (uint32_t)f.phase };
    }
}

void memo__standing_would(const struct memo__governor *g, struct memo__record *k, uint32_t slot, const struct memo__breaker_rule *rule,
                          memo__instant now)
{
    struct memo__striped parts = memo__fleet_breaker_parts(&g->fleet, slot);
    struct memo__breaker_facts f;
    for (uint32_t i = 0; i < k->attempts; i++)
        if (k->tries[i].flags & MEMO__TRY_WOULD)
            return;
    memo__breaker_why(memo__fleet_breaker(&g->fleet, slot), &parts, rule, now, &f);
    k->would_number = (uint8_t)(k->attempts + 1);
    k->would_phase = (uint8_t)f.phase;
    k->would_calls = f.calls;
    k->would_failed = f.failed;
    k->would_slow = f.slow;
}
