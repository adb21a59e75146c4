/* SPDX-License-Identifier: Apache-2.0 */
/* slow_start.c: the curve, and who is how old. The power is written out, so that it is the same everywhere: off by less than a thousandth. */
#include "policy/slow_start.h"

/* log2 of x, 0 < x: the exponent, and a series of the mantissa, m = (1 + z) / (1 - z). */
static float log_2(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    int32_t exponent = (int32_t)(bits >> 23) - 127;
    bits = (bits & 0x7fffff) | 0x3f800000;
    memcpy(&x, &bits, sizeof x);
    float z = (x - 1.0f) / (x + 1.0f), zz = z * z;
    return (float)exponent + 2.8853901f * z * (1.0f + zz * (1.0f / 3 + zz * (1.0f / 5 + zz * (1.0f / 7))));
}

/* 2 to the y, -126 < y <= 0: the whole part is an exponent, the rest a series. */
static float exp_2(float y)
{
    int32_t whole = (int32_t)y - 1;
    float x = (y - (float)whole) * 0.69314718f, one;
    uint32_t bits = (uint32_t)(whole + 127) << 23;
    memcpy(&one, &bits, sizeof one);
    return one * (1.0f + x * (1.0f + x * (1.0f / 2 + x * (1.0f / 6 + x * (1.0f / 24 + x * (1.0f / 120 + x * (1.0f / 720 + x * (1.0f / 5040))))))));
}

float memo__slow_start_share(const struct memo__slow_start_rule *rule, int64_t age)
{
    if (age >= rule->window)
        return 1.0f;
    float least = (float)rule->min_weight * 1e-6f, share = (float)(age < MEMO__S ? MEMO__S : age) / (float)rule->window;
    if (rule->aggression != 1000)
        share = exp_2(log_2(share) * 1000.0f / (float)rule->aggression);
    return share > least ? share : least;
}

void memo__slow_start_see(struct memo__candidates *c, const struct memo__fleet *f, const struct memo__slow_start_rule *rule)
{
    memo__instant latest = 0, first = MEMO__NEVER;
    for (uint32_t i = 0; rule->window && i < c->count; i++) {
        memo__instant joined = memo__load(&memo__fleet_state(f, c->slots[i])->joined);
        latest = joined > latest ? joined : latest;
        first = joined < first ? joined : first;
    }
    c->oldest = latest ? first : 0;
    c->warm_at = latest ? memo__after(latest, rule->window) : 0;
}

float memo__slow_start_of(const struct memo__pick_request *q, uint32_t i)
{
    memo__instant joined = memo__load(&memo__fleet_state(q->fleet, q->from->slots[i])->joined);
    const struct memo__slow_start_rule *rule = &q->rule->slow_start;
    if (!joined)
        return 1.0f; /* old, whatever the clock says: it may have begun with the machine, a moment ago */
    float share = memo__slow_start_share(rule, memo__since(q->now, joined));
    return q->from->oldest ? share / memo__slow_start_share(rule, memo__since(q->now, q->from->oldest)) : share;
}
