/* SPDX-License-Identifier: Apache-2.0 */
/* gate.c: peek at all, then take all, or nothing. */
#include "policy/gate.h"

/* May gate `bit` refuse? If not, what it would have done is noted. */
static bool refuses(enum memo__mode mode, uint32_t bit, struct memo__gate_result *out)
{
    if (mode == MEMO__ENFORCE)
        return true;
    out->would |= (uint8_t)bit;
    return false;
}

static int32_t refused(struct memo__gate_result *out, int32_t status, enum memo__gate_kind kind, uint32_t index)
{
    out->status = status;
    out->kind = (uint8_t)kind;
    out->index = (uint8_t)index;
    return status;
}

static bool limit_check(const struct memo__gate_limit *l, struct memo__stripe stripe, memo__instant now)
{
    return l->keyed ? memo__keyed_check(l->keyed, l->hash, now) : memo__limiter_check(l->limiter, &l->parts, stripe, now);
}

static bool limit_take(const struct memo__gate_limit *l, struct memo__stripe stripe, memo__instant now)
{
    return l->keyed ? memo__keyed_take(l->keyed, l->hash, now) : memo__limiter_take(l->limiter, &l->parts, stripe, now);
}

static void limit_give(const struct memo__gate_limit *l, struct memo__stripe stripe)
{
    if (l->keyed)
        memo__keyed_give(l->keyed, l->hash);
    else
        memo__limiter_give(l->limiter, &l->parts, stripe);
}

static int32_t peek(const struct memo__gate *g, struct memo__stripe stripe, memo__instant now, struct memo__gate_result *out)
{
    for (uint32_t i = 0; i < g->breakers_count; i++) {
        const struct memo__gate_breaker *k = &g->breakers[i];
        if (!memo__breaker_check(k->breaker, k->rule, now) && refuses(k->rule->mode, MEMO__GATE_BREAKER_BIT(i), out))
            return refused(out, MEMO_REFUSED_OPEN, MEMO__GATE_BREAKER, i);
    }
    for (uint32_t i = 0; i < g->limits_count; i++) {
        const struct memo__gate_limit *k = &g->limits[i];
        if (!limit_check(k, stripe, now) && refuses(k->rule->mode, MEMO__GATE_LIMIT_BIT(i), out))
            return refused(out, MEMO_REFUSED_LIMITED, MEMO__GATE_LIMIT, i);
    }
    if (g->bulkhead && !memo__bulkhead_check(g->bulkhead, &g->bulkhead_parts, stripe, g->concurrency) &&
        refuses(g->concurrency->mode, MEMO__GATE_BULKHEAD_BIT, out))
        return refused(out, MEMO_REFUSED_OVERLOADED, MEMO__GATE_BULKHEAD, 0);
    return MEMO_OK;
}

static int32_t take(const struct memo__gate *g, struct memo__stripe stripe, memo__instant now, int64_t lease_ns, struct memo__gate_result *out)
{
    for (uint32_t i = 0; i < g->breakers_count; i++) {
        const struct memo__gate_breaker *k = &g->breakers[i];
        if (memo__breaker_admit(k->breaker, k->rule, now, lease_ns, &out->permits[i]))
            out->taken |= (uint8_t)MEMO__GATE_BREAKER_BIT(i);
        else if (refuses(k->rule->mode, MEMO__GATE_BREAKER_BIT(i), out))
            return refused(out, MEMO_REFUSED_OPEN, MEMO__GATE_BREAKER, i);
    }
    for (uint32_t i = 0; i < g->limits_count; i++) {
        if (limit_take(&g->limits[i], stripe, now))
            out->taken |= (uint8_t)MEMO__GATE_LIMIT_BIT(i);
        else if (refuses(g->limits[i].rule->mode, MEMO__GATE_LIMIT_BIT(i), out))
            return refused(out, MEMO_REFUSED_LIMITED, MEMO__GATE_LIMIT, i);
    }
    if (!g->bulkhead)
        return MEMO_OK;
    if (memo__bulkhead_enter(g->bulkhead, &g->bulkhead_parts, stripe, g->concurrency))
        out->taken |= MEMO__GATE_BULKHEAD_BIT;
    else if (refuses(g->concurrency->mode, MEMO__GATE_BULKHEAD_BIT, out))
        return refused(out, MEMO_REFUSED_OVERLOADED, MEMO__GATE_BULKHEAD, 0);
    return MEMO_OK;
}

static const struct memo__gate_result nothing = { MEMO_OK, MEMO__GATE_NONE, 0, 0, 0, { { MEMO__NO_EPOCH, MEMO__NO_PROBE, 0, 0 }, { MEMO__NO_EPOCH, MEMO__NO_PROBE, 0, 0 } } };

bool memo__gate_lost(const struct memo__gate *g, struct memo__stripe stripe, uint32_t limits)
{
    for (uint32_t i = 0; i < limits; i++)
        limit_give(&g->limits[i], stripe);
    return false;
}

int32_t memo__gate_enter(const struct memo__gate *g, struct memo__stripe stripe, memo__instant now, int64_t lease_ns, struct memo__gate_result *out)
{
    *out = nothing;
    if (peek(g, stripe, now, out) != MEMO_OK)
        return out->status;
    if (take(g, stripe, now, lease_ns, out) != MEMO_OK) {
        memo__gate_undo(g, stripe, out);
        out->taken = 0;
    }
    return out->status;
}

void memo__gate_leave(const struct memo__gate *g, struct memo__stripe stripe, const struct memo__gate_result *r)
{
    if (r->taken & MEMO__GATE_BULKHEAD_BIT)
        memo__bulkhead_leave(g->bulkhead, &g->bulkhead_parts, stripe, g->concurrency);
}

void memo__gate_undo(const struct memo__gate *g, struct memo__stripe stripe, const struct memo__gate_result *r)
{
    for (uint32_t i = 0; i < g->breakers_count; i++)
        if (r->taken & MEMO__GATE_BREAKER_BIT(i))
            memo__breaker_cancel(g->breakers[i].breaker, r->permits[i]);
    for (uint32_t i = 0; i < g->limits_count; i++)
        if (r->taken & MEMO__GATE_LIMIT_BIT(i))
            limit_give(&g->limits[i], stripe);
    memo__gate_leave(g, stripe, r);
}
