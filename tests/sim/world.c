/* SPDX-License-Identifier: Apache-2.0 */
/* world.c: time, chance, and the order of what happens. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"
#include "client/client.h"
#include "client/engine.h"
#include "sim.h"

struct sim sim;

struct story { memo__instant at; uint64_t order; story_fn *fn; uint64_t a, b; };
static struct story *queue;              /* a binary heap, queue[1] is next */
static uint32_t queued, room;
static uint64_t order;

uint64_t draw(void) { return memo__draw_next(&sim.draws); }
uint32_t below(uint32_t n) { return memo__draw_below(draw(), n); }
bool chance(uint32_t ppm) { return ppm && below(1000000) < ppm; }

/* The trace: its hash always, its text when asked for. Only numbers that the seed determines go in. */
void happen(const char *what, uint64_t a, uint64_t b)
{
    uint64_t word = 0;
    sim.events++;
    for (const char *c = what; *c; c++)
        word = word * 131 + (unsigned char)*c;
    sim.hash = memo__mix64(sim.hash ^ word) + a * UINT64_C(0x9e3779b97f4a7c15);
    sim.hash = memo__mix64(sim.hash ^ b ^ (uint64_t)sim.now);
    if (sim.trace)
        printf("%" PRId64 ".%09" PRId64 " %s %" PRIu64 " %" PRIu64 "\n", sim.now / MEMO__S, sim.now % MEMO__S, what, a, b);
}

void broke(const char *invariant, const char *format, ...)
{
    va_list list;
    if (sim.broken)
        return;
    sim.broken = invariant;
    va_start(list, format);
    (void)vsnprintf(sim.why, sizeof sim.why, format, list);
    va_end(list);
}

static bool before(const struct story *x, const struct story *y)
{
    return x->at != y->at ? x->at < y->at : x->order < y->order;
}

static void more_room(void)
{
    if (queued + 2 <= room)
        return;
    room = room ? room * 2 : 256;
    if (!(queue = realloc(queue, room * sizeof *queue)))
        abort();
}

void later(int64_t ns, story_fn *fn, uint64_t a, uint64_t b)
{
    struct story s = { sim.now + ns, order++, fn, a, b };
    more_room();
    uint32_t at = ++queued;
    for (; at > 1 && before(&s, &queue[at / 2]); at /= 2)
        queue[at] = queue[at / 2];
    queue[at] = s;
}

static struct story take(void)
{
    struct story first = queue[1], last = queue[queued--];
    uint32_t at = 1, child;
    for (; (child = at * 2) <= queued; at = child) {
        child += child < queued && before(&queue[child + 1], &queue[child]);
        if (!before(&queue[child], &last))
            break;
        queue[at] = queue[child];
    }
    if (queued)
        queue[at] = last;
    return first;
}

static memo__instant timer_due(void)
{
    struct memo__engine *g = memo__turn_take();
    memo__instant at = g ? memo__loop_due(g->loop) : MEMO__NEVER;
    memo__turn_drop();
    return at;
}

static void jump(memo__instant at)
{
    if (at <= sim.now)
        return;
    sim.boot += at - sim.now;
    sim.now = at;
}

void world_pass(int64_t ns)
{
    jump(sim.now + ns);
    sim.stalled += ns;
}

/* One turn of the engine, by whichever client is there: there is one engine. */
static void turn(void)
{
    for (uint32_t i = 0; i < PROCS; i++) {
        memo_client *c = sim.procs[i].client;
        if (c && memo_client_step(c) == MEMO_OK)
            break;
    }
    procs_look();
}

void world_run(memo__instant until)
{
    while (!sim.broken) {
        memo__instant timer = timer_due(), story = queued ? queue[1].at : MEMO__NEVER, next = timer < story ? timer : story;
        if (next > until)
            break;
        jump(next);
        if (story <= timer) {
            struct story s = take();
            s.fn(s.a, s.b);
        } else {
            happen("timer", 0, 0);
        }
        turn();
    }
    if (!sim.broken)
        jump(until);
}

void world_begin(uint64_t seed, bool trace, enum plant plant)
{
    memset(&sim, 0, sizeof sim);
    sim.seed = seed;
    sim.draws = memo__mix64(seed + 1);
    static uint64_t runs;
    if (plant == PLANT_TWO_TRACES)
        sim.draws += ++runs;
    sim.trace = trace;
    sim.plant = plant;
    sim.now = (1 + below(100000)) * MEMO__S;
    sim.boot = sim.now + below(1000) * MEMO__S;
    sim.wall = INT64_C(1700000000) * MEMO__S;
    queued = 0;
    order = 0;
    struct memo__reader *r = memo__reader_enter();
    r->draw = draw(); /* decisions of this thread are drawn from the seed, too */
    memo__reader_leave(r);
}

void world_end(void)
{
    free(queue);
    queue = NULL;
    queued = room = 0;
}
