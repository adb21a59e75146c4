/* SPDX-License-Identifier: Apache-2.0 */
/* decision.c: the whole decision (begin, next, inject, report, end) with route, breaker, limit, concurrency, peak EWMA among 100, trace headers and metrics; and picks from 10 to 10,000. */
#include <inttypes.h>
#include <stdio.h>
#include "bench.h"

static void told(const struct caller *c)
{
    if (c->failures)
        fprintf(stderr, "bench: %" PRIu64 " calls did not go as they should: the figures are worthless\n", c->failures);
}

static void one_if(const char *name, double value, const char *unit)
{
    if (value >= 0)
        figure(name, value, unit);
}

static uint64_t allocations(struct caller *c)
{
    allocs_begin();
    memo_client *seen = NULL;
    memo_status made = memo_client_new(&seen, NULL);
    uint64_t ours = allocs_end();
    memo_client_free(seen);
    if (made != MEMO_OK || ours == 0)
        missing("count of allocations", "this program does not stand before malloc");
    allocs_begin();
    decisions(c, 100000);
    return allocs_end();
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
    figure("decision_allocs", (double)allocations(&c[0]) / 100000, "allocations");
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
static void picks_of(enum rules rules, const char *name, uint32_t endpoints)
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
}

void group_picks(void)
{
    for (uint32_t endpoints = 10; endpoints <= 10000; endpoints *= 10)
        picks_of(RULES_P2C, "p2c", endpoints);
    for (uint32_t endpoints = 10; endpoints <= 10000; endpoints *= 10)
        picks_of(RULES_ROUND_ROBIN, "rr", endpoints);
}
