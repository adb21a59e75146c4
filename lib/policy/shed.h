/* SPDX-License-Identifier: Apache-2.0 */
/* shed.h: how many requests may be under way before they only wait for each other?
 *
 *   every window:   limit = limit * gradient + sqrt(limit), a fifth of the way      gradient = slowdown * best / mean, 0.5 to 1
 *   under load, every probeEvery:   limit for two windows what would run without a queue (3/4 of limit * best / mean): drain, measure --> best
 *
 * The gradient limit of Netflix's concurrency-limits and of Envoy's adaptive concurrency; the additive term lets a queue of sqrt(limit) stand, so
 * that there is something to measure. It is delay-based congestion control, TCP Vegas (Brakmo, Peterson 1995) seen as a proportion. What is under way
 * on the average is the sum of latencies over the time (Little 1961), so nobody counts it. The best latency is the least mean of a window; it would
 * be believed for ever, or drift with the load, if it were not measured anew with the queue drained, as BBR does (Cardwell et al. 2016, ProbeRTT). A
 * limit that is not used does not grow (RFC 7661), for nothing shows that it could.
 *
 * The limit is the `max` of a bulkhead, so that entering and leaving touch the own stripe only. Latencies are summed there, too; whoever leaves first
 * after a window's end looks at all of them. */
#ifndef MEMO__POLICY_SHED_H
#define MEMO__POLICY_SHED_H
#include "policy/bulkhead.h"

#define MEMO__SHED_SAMPLES 10 /* a window with fewer goes on: their mean says nothing */

struct memo__shed { /* shared; zeroed and init'ed */
    struct memo__bulkhead permits;
    memo__instant until;          /* end of the window; MEMO__NEVER: somebody looks. Every leave reads it */
    uint64_t unused_line[7];
    /* written by who looks */
    memo__instant began;          /* of the window; 0: none yet */
    memo__instant believed;       /* best, until then */
    int64_t best;                 /* ns; 0: not known */
    uint64_t limit;               /* in thousandths */
    uint64_t before;              /* the same, before the probe */
    uint32_t probing;             /* windows of the probe that are still to come; 0: none */
    uint32_t unused;
    uint64_t count, sum, refused; /* of all stripes, as of the window's beginning */
    uint64_t unused_rest[7];
};
_Static_assert(sizeof(struct memo__shed) == 4 * MEMO__LINE, "four lines");

struct memo__shed_stats { /* a stripe's: a line beside its lease */
    uint64_t count, sum, refused; /* requests that ended and teach, their latencies in ns; and those refused */
    uint64_t unused[5];
};

#define MEMO__SHED_PART (sizeof(struct memo__lease_part) + sizeof(struct memo__shed_stats)) /* bytes a stripe */

struct memo__shed_facts { uint64_t limit, under_way; int64_t best; bool probing; };

/* parts: of MEMO__SHED_PART bytes a stripe, all in one block. */
void memo__shed_init(struct memo__shed *s, const struct memo__striped *parts, const struct memo__shed_rule *rule);
bool memo__shed_enter_slow(struct memo__shed *s, const struct memo__striped *parts, struct memo__stripe stripe, const struct memo__shed_rule *rule);
/* The window is over, or was: true if the limit was set anew by this caller. */
bool memo__shed_look(struct memo__shed *s, const struct memo__striped *parts, const struct memo__shed_rule *rule, memo__instant now);
void memo__shed_read(const struct memo__shed *s, const struct memo__striped *parts, struct memo__shed_facts *out);

/* All leases lie together, then all statistics. */
static inline struct memo__striped memo__shed_leases(const struct memo__striped *parts)
{
    return (struct memo__striped){ parts->base, sizeof(struct memo__lease_part), parts->count };
}

static inline struct memo__shed_stats *memo__shed_stats_at(const struct memo__striped *parts, uint32_t stripe)
{
    return (struct memo__shed_stats *)(void *)(parts->base + parts->count * sizeof(struct memo__lease_part)) + stripe;
}

/* A permit, or none: then counted as refused. */
static inline bool memo__shed_enter(struct memo__shed *s, const struct memo__striped *parts, struct memo__stripe stripe,
                                    const struct memo__shed_rule *rule)
{
    const struct memo__striped leases = memo__shed_leases(parts);
    return memo__lease_take(&memo__lease_at(&leases, stripe.index)->held) || memo__shed_enter_slow(s, parts, stripe, rule);
}

/* The permit goes back. */
static inline void memo__shed_leave(struct memo__shed *s, const struct memo__striped *parts, struct memo__stripe stripe)
{
    static const struct memo__concurrency_rule leased = { .on = true, .max = 1 };
    const struct memo__striped leases = memo__shed_leases(parts);
    memo__bulkhead_leave(&s->permits, &leases, stripe, &leased);
}

/* How long it took: said of requests that were answered, well or badly slow; one that failed fast says nothing about the work. */
static inline void memo__shed_learn(struct memo__shed *s, const struct memo__striped *parts, struct memo__stripe stripe,
                                    const struct memo__shed_rule *rule, memo__instant now, int64_t latency)
{
    struct memo__shed_stats *own = memo__shed_stats_at(parts, stripe.index);
    memo__stripe_add64(stripe, &own->count, 1);
    memo__stripe_add64(stripe, &own->sum, (uint64_t)latency);
    if (__builtin_expect(memo__reached(now, memo__load(&s->until)), 0))
        (void)memo__shed_look(s, parts, rule, now);
}
#endif
