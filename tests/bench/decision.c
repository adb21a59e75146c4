/* SPDX-License-Identifier: Apache-2.0 */
/* decision.c: the whole decision (begin, next, inject, report, end) with route, breaker, limit, concurrency, peak EWMA among 100, trace headers and metrics; and picks from 10 to 10,000. */
#include <inttypes.h>
#include <stdio.h>
#include "bench.h"

static void told(const struct caller *c)
{
    char text[64];
    if (!c->failures)
        return;
    snprintf(text, sizeof text, "%" PRIu64 " calls did not go as they should", c->failures);
    worthless(text);
}

static void one_if(const char *name, double value, const char *unit)
{
    if (value >= 0)
        figure(name, value, unit);
}

/* Negative: cannot be counted. */
static double allocations(struct caller *c)
{
    allocs_begin();
    memo_client *seen = NULL;
    memo_status made = memo_client_new(&seen, NULL);
    uint64_t ours = allocs_end();
    memo_client_free(seen);
    if (made != MEMO_OK || ours == 0) {
        missing("count of allocations", "this program does not stand before malloc");
        return -1;
    }
    allocs_begin();
    decisions(c, 100000);
    return (double)allocs_end() / 100000;
}

void group_decision(void)
{
    static const char *const again[] = { "decisions", NULL }, *const fresh[] = { "fresh", NULL };
    struct subject s = subject_open(RULES_FULL, 100, 0);
    struct caller c[3] = { caller_of(s.service[0]), caller_of(s.service[1]), caller_of(s.service[0]) };
    work_fn *work[] = { decisions, decisions_fresh };
    void *args[] = { &c[0], &c[0] }, *both[] = { &c[0], &c[1] }, *same[] = { &c[0], &c[2] };
    struct cost costs[2];
    decisions(&c[0], 100000);
    measure(work, args, 2, 10000, 101, costs);
    figure("decision_ns", costs[0].least, "ns");
    figure("decision_ns_median", costs[0].median, "ns");
    figure("decision_fresh_ns", costs[1].least, "ns");
    one_if("decision_allocs", allocations(&c[0]), "allocations");
    one_if("decision_2t_scaling", scaling(decisions, both, 2000), "x");
    one_if("decision_2t_scaling_one_service", scaling(decisions, same, 2000), "x");
    for (int i = 0; i < 3; i++)
        told(&c[i]);
    subject_close(&s);
    one_if("decision_instr", instructions(again, 1000, 21000), "instructions");
    one_if("decision_fresh_instr", instructions(fresh, 1000, 21000), "instructions");
    one_if("decision_shared_rmw", shared_writes(), "writes");
    one_if("decision_locked", locked_operations(), "operations");
}

/* Picking and giving back alone: a call with next and report less one without. */
static double picks_of(enum rules rules, const char *name, uint32_t endpoints)
{
    struct subject s = subject_open(rules, endpoints, 0);
    struct caller c = caller_of(s.service[0]);
    work_fn *work[] = { picks, no_picks };
    void *args[] = { &c, &c };
    struct cost costs[2];
    char text[64];
    picks(&c, 4 * endpoints);
    measure(work, args, 2, 10000, 51, costs);
    snprintf(text, sizeof text, "pick_%s_ns_%u", name, endpoints);
    figure(text, cost_less(costs[0], costs[1]).least, "ns");
    told(&c);
    subject_close(&s);
    return cost_less(costs[0], costs[1]).least;
}

/* From 10 endpoints to 10,000; how much more the last costs than the first is what caches make of it, and not judged. */
static void picks_growing(enum rules rules, const char *name)
{
    double first = picks_of(rules, name, 10), last = first;
    char text[64];
    for (uint32_t endpoints = 100; endpoints <= 10000; endpoints *= 10)
        last = picks_of(rules, name, endpoints);
    snprintf(text, sizeof text, "pick_%s_10000_over_10", name);
    figure(text, last / first, "x");
}

void group_picks(void)
{
    static const struct { enum rules rules; const char *name; } policies[] = {
        { RULES_P2C, "p2c" }, { RULES_ROUND_ROBIN, "rr" }, { RULES_RANDOM, "random" }, { RULES_WEIGHTED, "wrr" }, { RULES_LEAST, "least" },
        { RULES_RING, "ring" },
    };
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++)
        picks_growing(policies[i].rules, policies[i].name);
}
