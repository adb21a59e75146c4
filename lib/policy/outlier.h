/* SPDX-License-Identifier: Apache-2.0 */
/* outlier.h: which endpoint has failed so often in a row that it rests for a while?
 *
 * `consecutiveFailures` failures in a row eject it for `ejectFor`, unless `maxEjected` of the view are ejected already (one always may be, if there are two or more).
 * A success writes nothing unless there were failures before it. It returns when its time is over: picks see that by themselves; the count of ejected ones and the event
 * follow when somebody sweeps (memo__outlier_due, memo__outlier_sweep: before a pick, and by the engine now and then). */
#ifndef MEMO__POLICY_OUTLIER_H
#define MEMO__POLICY_OUTLIER_H
#include "policy/balance.h"

struct memo__outlier { /* one per service, shared; zeroed is fresh; written at turns only */
    uint32_t ejected;       /* endpoints that are ejected, as far as swept: memo__pick_request.ejected */
    uint32_t unused;
    memo__instant soonest;  /* no ejection ends before this; 0: look */
    uint64_t unused_line[6];
};

enum memo__outlier_turn { MEMO__OUTLIER_NOTHING = 0, MEMO__OUTLIER_EJECTED, MEMO__OUTLIER_WOULD_EJECT /* observe, or too many are ejected */ };

/* Teaches how an attempt ended. `generation` is what the pick saw: a late report about an earlier endpoint of the slot is dropped. view_count: endpoints of the whole view. */
enum memo__outlier_turn memo__outlier_report_slow(struct memo__outlier *o, struct memo__endpoint_state *s, const struct memo__outlier_rule *rule,
                                                  uint32_t view_count, memo__instant now, bool failed);

static inline enum memo__outlier_turn memo__outlier_report(struct memo__outlier *o, struct memo__endpoint_state *s, const struct memo__outlier_rule *rule,
                                                           uint32_t generation, uint32_t view_count, memo__instant now, bool failed)
{
    if ((!failed && memo__load(&s->failures) == 0) || !rule->on || memo__load(&s->generation) != generation)
        return MEMO__OUTLIER_NOTHING;
    return memo__outlier_report_slow(o, s, rule, view_count, now, failed);
}

/* May some ejection be over? One or two loads of a line that picks read anyway. */
static inline bool memo__outlier_due(const struct memo__outlier *o, memo__instant now)
{
    return memo__load(&o->ejected) != 0 && memo__reached(now, memo__load(&o->soonest));
}

/* Returns those whose time is over, at most `max` of them; their slots go to `returned`. All that may be ejected must be looked at, also who is not pickable any more: `view` without
 * slots is the first `count` slots of the fleet. Each is returned by exactly one caller. */
uint32_t memo__outlier_sweep(struct memo__outlier *o, const struct memo__fleet *f, const struct memo__candidates *view, memo__instant now, uint32_t *returned,
                             uint32_t max);
/* The endpoint leaves its slot: it is not counted any longer. */
void memo__outlier_forget(struct memo__outlier *o, struct memo__endpoint_state *s);

static inline bool memo__outlier_ejected(const struct memo__endpoint_state *s, memo__instant now)
{
    return memo__load(&s->ejected_until) > now;
}
#endif
