/* SPDX-License-Identifier: Apache-2.0 */
/* gate.h: may this call start? Breakers, limits and the bulkhead, asked together.
 *
 *   peek at all in order: breakers, limits, bulkhead  --one would refuse-->  refused by it; nothing was taken
 *   take all in the same order                        --one was lost to a race-->  all taken before are given back; refused by it
 *
 * So a refusal consumes no token and no probe. A gate whose rule has the mode observe (compiled rules carry the mode that holds for them) never
 * refuses: what it would have done is a bit in `would`. */
#ifndef MEMO__POLICY_GATE_H
#define MEMO__POLICY_GATE_H
#include <memo/status.h>
#include "policy/breaker.h"
#include "policy/bulkhead.h"
#include "policy/limiter.h"
#include "policy/limiter_keyed.h"

#define MEMO__GATE_BREAKERS 2 /* of the service and of the route */

struct memo__gate_breaker {
    struct memo__breaker *breaker;
    const struct memo__breaker_rule *rule;
    uint32_t id;                /* as the owner calls it; not looked at here */
};

struct memo__gate_limit { /* either limiter and parts, or keyed and hash */
    struct memo__limiter *limiter;
    struct memo__striped parts;
    struct memo__keyed *keyed;  /* NULL: one bucket for all */
    uint64_t hash;              /* of the header's value */
    const struct memo__limit_rule *rule;
};

struct memo__gate { /* what holds for one call; the owner may build it once per route and set only the hashes */
    uint32_t breakers_count, limits_count;
    struct memo__gate_breaker breakers[MEMO__GATE_BREAKERS];
    struct memo__gate_limit limits[MEMO__LIMITS_MAX]; /* leave a keyed limit out if the call has no such header */
    struct memo__bulkhead *bulkhead;                  /* NULL: none */
    struct memo__striped bulkhead_parts;
    const struct memo__concurrency_rule *concurrency;
    uint32_t bulkhead_id;                             /* as the owner calls it */
};

enum memo__gate_kind { MEMO__GATE_NONE = 0, MEMO__GATE_BREAKER, MEMO__GATE_LIMIT, MEMO__GATE_BULKHEAD };

/* Bits of memo__gate_result.would and .taken. */
#define MEMO__GATE_BREAKER_BIT(i) (1u << (i))
#define MEMO__GATE_LIMIT_BIT(i)   (4u << (i))
#define MEMO__GATE_BULKHEAD_BIT   64u

struct memo__gate_result {
    int32_t status;                /* MEMO_OK, MEMO_REFUSED_OPEN, MEMO_REFUSED_LIMITED, MEMO_REFUSED_OVERLOADED */
    uint8_t kind;                  /* which refused: MEMO__GATE_... */
    uint8_t index;                 /* of the breaker or limit that refused */
    uint8_t would;                 /* those in observe mode that would have refused */
    uint8_t taken;                 /* what was taken; nothing unless MEMO_OK */
    struct memo__permit permits[MEMO__GATE_BREAKERS]; /* for report or cancel; MEMO__NO_EPOCH where not taken */
};

/* lease_ns: for how long a probe may stay unreported. */
int32_t memo__gate_enter(const struct memo__gate *g, struct memo__stripe stripe, memo__instant now, int64_t lease_ns, struct memo__gate_result *out);
/* The call is over: the bulkhead's permit goes back. Permits of breakers are reported or cancelled by the caller, tokens are spent. */
void memo__gate_leave(const struct memo__gate *g, struct memo__stripe stripe, const struct memo__gate_result *r);
/* The call never made an attempt: everything goes back, tokens too. */
void memo__gate_undo(const struct memo__gate *g, struct memo__stripe stripe, const struct memo__gate_result *r);

bool memo__gate_lost(const struct memo__gate *g, struct memo__stripe stripe, uint32_t limits); /* gives the first so many limits' tokens back; false */

/* As almost every call enters: the breaker closed, tokens and permits lent to this stripe; so all would say yes, and are taken without being asked
 * twice. *epoch: of the breaker's permit. false: something is not at hand, or was lost to a race; nothing was taken, and memo__gate_enter decides.
 * */
static inline bool memo__gate_quick(const struct memo__gate *g, struct memo__stripe stripe, memo__instant now, uint32_t *epoch)
{
    uint64_t word = g->breakers_count ? memo__load(&g->breakers[0].breaker->word) : 0;
    if (__builtin_expect(g->breakers_count > 1 || memo__breaker_phase_of(word) != MEMO__BREAKER_CLOSED, 0))
        return false;
    *epoch = memo__breaker_epoch_of(word);
    const struct memo__gate_limit *l = g->limits, *end = l + g->limits_count;
    for (; l < end; l++)
        if (__builtin_expect(l->keyed || memo__load(&memo__lease_at(&l->parts, stripe.index)->held) == 0, 0))
            return false;
    uint32_t *permits = g->bulkhead ? &memo__lease_at(&g->bulkhead_parts, stripe.index)->held : NULL;
    if (permits && __builtin_expect(memo__load(permits) == 0, 0))
        return false;
    for (l = g->limits; l < end; l++) {
        struct memo__lease_part *own = memo__lease_at(&l->parts, stripe.index);
        memo__store(&own->used_at, now); /* before the token goes, as in limiter.h */
        if (__builtin_expect(!memo__lease_take(&own->held), 0))
            return memo__gate_lost(g, stripe, (uint32_t)(l - g->limits));
    }
    if (permits && __builtin_expect(!memo__lease_take(permits), 0))
        return memo__gate_lost(g, stripe, g->limits_count);
    return true;
}
#endif
