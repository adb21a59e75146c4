/* SPDX-License-Identifier: Apache-2.0 */
/* outlier.c: ejecting and returning. An ejection first reserves its place among the ejected, so that maxEjected holds whatever else happens; then one compare-and-swap on
 * ejected_until decides who did it. */
#include "policy/outlier.h"

static uint32_t most_ejected(const struct memo__outlier_rule *rule, uint32_t view_count)
{
    uint32_t most = (uint32_t)((uint64_t)view_count * rule->max_ejected / 1000000);
    return most == 0 && view_count >= 2 ? 1 : most;
}

static bool reserve(struct memo__outlier *o, uint32_t most)
{
    uint32_t n = memo__load(&o->ejected);
    while (n < most)
        if (memo__cas(&o->ejected, &n, n + 1))
            return true;
    return false;
}

static void soonest_at_most(struct memo__outlier *o, memo__instant until)
{
    memo__instant was = memo__load(&o->soonest);
    while (until < was)
        if (memo__cas(&o->soonest, &was, until))
            return;
}

static bool eject(struct memo__outlier *o, struct memo__endpoint_state *s, memo__instant was, const struct memo__outlier_rule *rule, uint32_t most, uint32_t failures,
                  memo__instant now)
{
    memo__instant until = memo__after(now, rule->eject_for);
    bool counted = was != 0; /* one whose time is over, and was not swept yet */
    if (!counted && !reserve(o, most))
        return false;
    if (!memo__cas(&s->ejected_until, &was, until)) {
        if (!counted)
            (void)memo__fetch_sub(&o->ejected, 1u);
        return false;
    }
    memo__store(&s->ejected_at, now);
    memo__store(&s->ejected_failures, failures);
    (void)memo__fetch_add(&s->ejections, 1u);
    memo__store(&s->failures, 0u);
    soonest_at_most(o, until);
    return true;
}

enum memo__outlier_turn memo__outlier_report_slow(struct memo__outlier *o, struct memo__endpoint_state *s, const struct memo__outlier_rule *rule,
                                                  uint32_t view_count, memo__instant now, bool failed)
{
    if (!failed) {
        memo__store(&s->failures, 0u);
        return MEMO__OUTLIER_NOTHING;
    }
    uint32_t failures = memo__fetch_add(&s->failures, 1u) + 1;
    memo__instant until = memo__load(&s->ejected_until);
    if (failures < rule->consecutive_failures || until > now)
        return MEMO__OUTLIER_NOTHING;
    if (rule->mode == MEMO__ENFORCE && eject(o, s, until, rule, most_ejected(rule, view_count), failures, now))
        return MEMO__OUTLIER_EJECTED;
    return failures == rule->consecutive_failures ? MEMO__OUTLIER_WOULD_EJECT : MEMO__OUTLIER_NOTHING; /* said once */
}

uint32_t memo__outlier_sweep(struct memo__outlier *o, const struct memo__fleet *f, const struct memo__candidates *view, memo__instant now, uint32_t *returned,
                             uint32_t max)
{
    uint32_t n = 0;
    (void)memo__exchange(&o->soonest, MEMO__NEVER); /* an ejection from now on lowers it again; those before are seen below */
    for (uint32_t i = 0; i < view->count; i++) {
        uint32_t slot = view->slots ? view->slots[i] : i;
        struct memo__endpoint_state *s = memo__fleet_state(f, slot);
        memo__instant until = memo__load_acquire(&s->ejected_until);
        if (until == 0)
            continue;
        if (until <= now && n < max) {
            if (memo__cas(&s->ejected_until, &until, (memo__instant)0)) {
                (void)memo__fetch_sub(&o->ejected, 1u);
                returned[n++] = slot;
            }
            continue;
        }
        soonest_at_most(o, until);
    }
    return n;
}

void memo__outlier_forget(struct memo__outlier *o, struct memo__endpoint_state *s)
{
    if (memo__exchange(&s->ejected_until, (memo__instant)0) != 0)
        (void)memo__fetch_sub(&o->ejected, 1u);
    memo__store(&s->failures, 0u);
}
