/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: seeds, one after the other.
 *
 *   run [COUNT [FIRST]]          so many seeds; every hundredth twice, and its trace must be the same; then what is planted must be found
 *   run --trace SEED             one seed, and all that happens in it
 *   run --planted                only what is planted
 *
 * A seed: some seconds in which things go wrong; in every fourth, all peers fail for a while; then calm, after which everything has to be
 * as it should. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "call/call.h"
#include "client/client.h"
#include "client/engine.h"
#include "sim.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SEEDS 1000                   /* these are ten times as slow, and look for something else */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define SEEDS 1000
#endif
#endif
#ifndef SEEDS
#define SEEDS 5000
#endif
#define FIRST 1
#define TWICE_EVERY 100
#define PLANTED_TRIES 60             /* seeds within which a planted fault has to be found */

struct told { uint64_t hash, events; char broken[64], why[512]; };

static const char *const plants[PLANTS][2] = { /* what is planted, and what must break */
    { "nothing", "" },
    { "a torn view", "C4" },
    { "a clock that makes ages young", "C5" },
    { "a name that is not told", "C9" },
    { "a permit that leaks", "permits" },
    { "memory that leaks", "memory" },
    { "a file that is not closed", "descriptors" },
    { "an answer after the timeout", "deadline" },
    { "a second verdict", "verdict" },
    { "three times the rate", "limits" },
    { "a clock that makes leases long", "C7" },
    { "a revision that goes back", "C3" },
    { "bad rules that are taken", "last good rules" },
    { "nine times the budget", "retry budget" },
    { "a draw from elsewhere", "trace" },
};

/* ---- the end of a seed ---- */

static void check_caught_up(struct proc *p)
{
    memo_view *v;
    memo_view_facts f = MEMO_INIT(memo_view_facts);
    if (!p->service || memo_view_acquire(p->service, &v) != MEMO_OK) {
        broke("catches up", "caller %u did not come back", p->index);
        return;
    }
    (void)!memo_view_get_facts(v, &f);
    if (f.state != MEMO_VIEW_LIVE || f.revision != truth_now())
        broke("catches up", "caller %u: state %d, revision %" PRIu64 ", the registry is at %" PRIu64, p->index, f.state, f.revision, truth_now());
    memo_view_release(v);
    truth_check_view(p);
}

static void check_registered(const struct proc *p)
{
    if (!p->registration || !p->token || memo_registration_holds(p->registration, p->token) != 1)
        broke("registers again", "process %u does not hold %s", p->index, p->id);
}

/* Nobody answers well any more, and a 429, which no breaker counts, is none of the answers: what must open is not left to chance (of PEER_FAILS' answers
 * two thirds fail, and the breaker opens at 60 %: seed 1020164 stayed below). */
static void doom(void)
{
    for (uint32_t peer = 0; peer < 8; peer++)
        net_mood(peer, PEER_DOOMED);
    uint64_t failed = calls_failed(), open = calls_refused_open();
    world_run(sim.now + 5 * MEMO__S);
    if (!sim.broken && calls_failed() - failed > 100 && calls_refused_open() == open)
        broke("breaker opens", "%" PRIu64 " calls failed, and none was refused", calls_failed() - failed);
    chaos_calm();
}

static void calm_down(void)
{
    chaos_calm();
    world_run(sim.now + 8 * MEMO__S);
    if (!sim.broken && sim.seed % 4 == 0)
        doom();
    world_run(sim.now + 4 * MEMO__S);
    uint64_t good[CALLERS] = { calls_good(0), calls_good(1) };
    world_run(sim.now + 2 * MEMO__S);
    for (uint32_t i = 0; i < CALLERS && !sim.broken; i++) {
        check_caught_up(&sim.procs[CALLERS_FROM + i]);
        if (!sim.broken && calls_good(i) <= good[i])
            broke("breaker heals", "caller %u: no call has succeeded for two seconds of calm", i);
    }
    check_registered(&sim.procs[0]);
    check_registered(&sim.procs[1]);
    for (uint32_t i = 0; i < CALLERS && !sim.broken; i++)
        calls_stop(i);
    world_run(sim.now + 2 * MEMO__S);
    for (uint32_t i = 0; i < CALLERS && !sim.broken; i++)
        calls_end(i);
}

static void check_given_back(void)
{
    void *kept = sim.plant == PLANT_LEAKED_MEMORY ? sim_alloc.get(NULL, 8) : NULL;
    if (memory_live())
        broke("memory", "%ld blocks were not given back", memory_live());
    sim_alloc.drop(NULL, kept);
    if (disk_open_files())
        broke("descriptors", "%d files were not closed", disk_open_files());
    if (net_live())
        broke("network", "%u flights were not given up", net_live());
}

/* A story that broke leaves things under way, on purpose: what it proves is told, the rest is cleared. */
static struct told story(uint64_t seed, bool trace, enum plant plant)
{
    struct told t = { 0 };
    world_begin(seed, trace, plant);
    memory_begin();
    disk_begin();
    truth_begin();
    net_begin();
    procs_begin();
    calls_begin();
    outsider_begin();
    chaos_begin();
    world_run(sim.now + (4 + below(8)) * MEMO__S);
    if (!sim.broken)
        calm_down();
    sim.calm = true;
    for (uint32_t i = 0; i < CALLERS; i++)
        calls_stop(i);
    procs_end();
    outsider_end();
    if (!sim.broken)
        check_given_back();
    net_end_all();
    t.hash = sim.hash;
    t.events = sim.events;
    if (sim.broken) {
        (void)snprintf(t.broken, sizeof t.broken, "%s", sim.broken);
        (void)snprintf(t.why, sizeof t.why, "%s", sim.why);
    }
    return t;
}

static void tell(uint64_t seed, const struct told *t)
{
    printf("not ok - seed %" PRIu64 ": %s: %s\n", seed, t->broken, t->why);
    printf("       replay it: tests/sim/run --trace %" PRIu64 "\n", seed);
    (void)fflush(stdout);
}

/* ---- campaigns ---- */

static int run(uint64_t count, uint64_t first)
{
    uint64_t events = 0, broken = 0, views = 0, leases = 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct told t = story(seed, false, PLANT_NOTHING);
        events += t.events;
        views += sim.views_checked;
        leases += sim.leases_checked;
        if (!t.broken[0] && seed % TWICE_EVERY == 0) {
            struct told again = story(seed, false, PLANT_NOTHING);
            events += again.events;
            if (again.hash != t.hash || again.events != t.events) {
                (void)snprintf(t.broken, sizeof t.broken, "trace");
                (void)snprintf(t.why, sizeof t.why, "the same seed told two stories (%" PRIu64 " and %" PRIu64 " events)", t.events, again.events);
            }
        }
        if (!t.broken[0])
            continue;
        tell(seed, &t);
        if (++broken == 10)
            return 1;
    }
    printf("%s - %" PRIu64 " seeds from %" PRIu64 ", %" PRIu64 " views and %" PRIu64 " leases looked at\n", broken ? "not ok" : "ok", count, first,
           views, leases);
    printf("figure sim_seeds %" PRIu64 " seeds\nfigure sim_events %" PRIu64 " events\n", count, events);
    return broken != 0;
}

static bool found(enum plant plant)
{
    for (uint64_t seed = 1; seed <= PLANTED_TRIES; seed++) {
        struct told t = story(seed, false, plant);
        if (plant == PLANT_TWO_TRACES) {
            if (story(seed, false, plant).hash != t.hash)
                return true;
            continue;
        }
        if (t.broken[0] && !strstr(t.broken, plants[plant][1])) {
            printf("not ok - planted: %s: %s broke: %s\n", plants[plant][0], t.broken, t.why);
            return false;
        }
        if (t.broken[0])
            return true;
    }
    printf("not ok - planted: %s: %s did not break in %d seeds\n", plants[plant][0], plants[plant][1], PLANTED_TRIES);
    return false;
}

static int planted(void)
{
    int wrong = 0;
    for (int plant = 1; plant < PLANTS; plant++) {
        bool is = found((enum plant)plant);
        wrong += !is;
        if (is)
            printf("ok - planted: %s: %s breaks\n", plants[plant][0], plants[plant][1]);
    }
    return wrong != 0;
}

int main(int argc, char **argv)
{
    extern char **environ;
    int wrong;
    environ = NULL;
    memo__clock_source = "/nowhere"; /* the engine would look at its real clock now and then */
    if (argc > 2 && strcmp(argv[1], "--trace") == 0) {
        uint64_t seed = strtoull(argv[2], NULL, 10);
        struct told t = story(seed, true, PLANT_NOTHING);
        printf("%" PRIu64 " events, trace %016" PRIx64 "\n", t.events, t.hash);
        if ((wrong = t.broken[0] != 0))
            tell(seed, &t);
    } else if (argc > 1 && strcmp(argv[1], "--planted") == 0) {
        wrong = planted();
    } else {
        wrong = run(argc > 1 ? strtoull(argv[1], NULL, 10) : SEEDS, argc > 2 ? strtoull(argv[2], NULL, 10) : FIRST);
        wrong |= planted();
    }
    world_end();
    disk_end();
    return wrong;
}
