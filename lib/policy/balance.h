/* SPDX-License-Identifier: Apache-2.0 */
/* balance.h: which of these endpoints shall it be?
 *
 * One file per policy, each a `struct memo__balancer`; balance.c has the table and what all of them share: who may be picked at all, panic, and the fall back to one that
 * was tried. Skipped: weight 0, ejected, those whose own breaker refuses, those already tried in this call. If only tried ones are left, one is tried again and said so.
 * Panic: when fewer than panic_below of the candidates are not ejected, ejection is ignored (it is probably us, not them), and said so.
 *
 * Reads only, but for the stripe's round robin word. Endpoint breakers are asked (memo__breaker_check), not entered: the caller admits the one that was picked, and on a lost race
 * picks again with that slot among `tried`. */
#ifndef MEMO__POLICY_BALANCE_H
#define MEMO__POLICY_BALANCE_H
#include <memo/status.h>
#include "base/rng.h"
#include "policy/decay.h"
#include "policy/fleet.h"

#define MEMO__COST_FLOOR 1.0f          /* us: what a faded average counts at least, so that calls under way always count */
#define MEMO__COST_UNKNOWN 100000.0f   /* us: what an endpoint counts whose first answers are still awaited: newcomers get one call at a time, not a stampede */
#define MEMO__FAILURE_PENALTY MEMO__S  /* the least latency that a failure is charged with, if the attempt has no timeout of its own */

struct memo__candidates { /* immutable */
    const uint32_t *slots;
    const uint32_t *weights;
    uint32_t count;
    uint32_t weighted;             /* how many have weight > 0; 0: not counted, all of them */
};

struct memo__pick_request {
    const struct memo__fleet *fleet;
    const struct memo__candidates *from;
    const struct memo__balance_rule *rule;
    const struct memo__breaker_rule *instance_breaker; /* or NULL */
    struct memo__stripe stripe;
    uint32_t stripes_active;       /* bit i: stripe i ever called this service; own bit always set */
    uint32_t *cursor;              /* this stripe's round robin word */
    memo__instant now;
    uint64_t draw;
    uint32_t tried[MEMO__ATTEMPTS_MAX], tried_count;
    uint32_t ejected;              /* endpoints of this service that are ejected right now; 0 is the fast path */
};

enum { /* memo__pick.flags */
    MEMO__PICK_PANIC = 1,          /* ejection was ignored */
    MEMO__PICK_TRIED_AGAIN = 2,    /* nothing else was left */
    MEMO__PICK_SKIPPED_EJECTED = 4, /* an ejected endpoint was met and skipped */
    MEMO__PICK_SKIPPED_OPEN = 8    /* one whose own breaker refuses was met and skipped */
};

struct memo__pick {
    uint32_t slot, index;          /* index: in the candidates */
    uint32_t other_slot;           /* the one that lost, or MEMO__NO_SLOT */
    float score, other_score;
    uint8_t flags;
};

struct memo__balancer {
    const char *name;
    int32_t (*pick)(const struct memo__pick_request *q, struct memo__pick *out);
};
extern const struct memo__balancer memo__balance_peak_ewma, memo__balance_round_robin;
const struct memo__balancer *memo__balancer_of(enum memo__balance_policy policy);

/* MEMO_OK, MEMO_REFUSED_NO_ENDPOINT, or MEMO_REFUSED_OPEN (there are some, but their own breakers refuse all). */
int32_t memo__balance_pick(const struct memo__pick_request *q, struct memo__pick *out);

/* For the policies. */
enum memo__pickable { MEMO__PICKABLE = 0, MEMO__NOT_WEIGHT, MEMO__NOT_EJECTED, MEMO__NOT_OPEN, MEMO__NOT_TRIED };
/* May candidate i be picked? With `again`, one that was tried may. */
enum memo__pickable memo__balance_may(const struct memo__pick_request *q, uint32_t i, bool panic, bool again);
/* What to say in memo__pick.flags about one that was skipped. */
uint8_t memo__balance_flag(enum memo__pickable why);
/* Is ejection to be ignored? One comparison unless very many are ejected; then a look at 256 candidates at most, evenly spread. */
bool memo__balance_panic(const struct memo__pick_request *q);
/* The first that may be picked, from `start` on, once around; then once more with those tried. Adds to out->flags. */
int32_t memo__balance_scan(const struct memo__pick_request *q, uint32_t start, bool panic, struct memo__pick *out);
/* What candidate i costs: (average latency) * (calls under way + 1) / weight. */
float memo__balance_score(const struct memo__pick_request *q, uint32_t i);

/* An attempt begins. */
static inline void memo__balance_start(const struct memo__fleet *f, struct memo__stripe stripe, uint32_t slot)
{
    memo__stripe_add32(stripe, (uint32_t *)(void *)&memo__fleet_part(f, stripe.index, slot)->inflight, 1);
}

/* It ended and teaches nothing. */
static inline void memo__balance_cancel(const struct memo__fleet *f, struct memo__stripe stripe, uint32_t slot)
{
    memo__stripe_add32(stripe, (uint32_t *)(void *)&memo__fleet_part(f, stripe.index, slot)->inflight, UINT32_MAX);
}

/* It ended. The average rises at once and falls with rule->decay (peak EWMA, Finagle); a failure is charged with at least `penalty` ns. */
static inline void memo__balance_learn(struct memo__endpoint_part *p, struct memo__stripe stripe, const struct memo__balance_rule *rule, memo__instant now, int64_t latency_ns,
                                       bool failed, int64_t penalty)
{
    memo__stripe_add32(stripe, (uint32_t *)(void *)&p->inflight, UINT32_MAX);
    float cost = memo__cost_load(p), seen = (float)(failed && latency_ns < penalty ? penalty : latency_ns) * 1e-3f;
    if (seen < MEMO__COST_FLOOR)
        seen = MEMO__COST_FLOOR;
    if (seen < cost)
        seen += (cost - seen) * memo__decay(memo__since(now, memo__load(&p->stamp)), memo__decay_scale(rule->decay));
    memo__cost_store(p, seen);
    memo__store(&p->stamp, now);
}

static inline void memo__balance_done(const struct memo__fleet *f, struct memo__stripe stripe, uint32_t slot, const struct memo__balance_rule *rule,
                                      memo__instant now, int64_t latency_ns, bool failed, int64_t penalty)
{
    memo__balance_learn(memo__fleet_part(f, stripe.index, slot), stripe, rule, now, latency_ns, failed, penalty);
}
#endif
