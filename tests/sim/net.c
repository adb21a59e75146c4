/* SPDX-License-Identifier: Apache-2.0 */
/* net.c: messages between callers and peers: late, lost, twice, out of order, reset; and the second transport, which carries what memo_http_submit
 * sends over them.
 *
 *   caller --request--> peer: refuses | never answers | answers later --reply--> caller        at most until the timeout of the attempt */
#include <stdlib.h>
#include <string.h>
#include "client/client.h"
#include "client/engine.h"
#include "sim.h"

#define FLIGHTS 256
#define PEERS 8

struct flight {
    bool on;
    uint32_t turn;                   /* of this place: what comes for an earlier flight is nobody's */
    uint32_t from, peer;
    net_fn *fn;
    uint64_t a, b;
    struct memo__http_run *run;      /* of the transport */
    struct memo__http_async *async;
};

static struct flight flights[FLIGHTS];
static enum peer_mood moods[PEERS];
static bool cut[PROCS][PEERS];
static uint32_t live;

uint32_t net_live(void) { return live; }
void net_mood(uint32_t peer, enum peer_mood mood) { moods[peer] = mood; }
void net_partition(uint32_t from, uint32_t peer, bool is_cut) { cut[from][peer] = is_cut; }

void net_begin(void)
{
    memset(moods, 0, sizeof moods);
    memset(cut, 0, sizeof cut);
}

static struct flight *of(uint64_t id)
{
    struct flight *f = &flights[id % FLIGHTS];
    return f->on && f->turn == id / FLIGHTS ? f : NULL;
}

static void over(uint64_t id, const struct net_end *end)
{
    struct flight *f = of(id);
    if (!f)
        return; /* it timed out, was given up, or was answered already */
    struct flight was = *f;
    f->on = false;
    f->turn++;
    live--;
    happen("arrived", was.from, (uint64_t)end->kind * 1000 + (uint64_t)end->http);
    was.fn(was.a, was.b, end);
}

static void on_end(uint64_t id, uint64_t how)
{
    const struct net_end end = { .kind = (int32_t)(how / 1000), .http = (int32_t)(how % 1000), .retry_after_ms = how % 1000 == 429 ? 50 : 0 };
    over(id, &end);
}

static bool listens(uint32_t peer)
{
    return peer >= REGISTRARS || sim.procs[peer].alive;
}

static int64_t way(void) { return (200 + below(3000)) * MEMO__US + (chance(50000) ? below(300) * MEMO__MS : 0); }

static bool lost(uint32_t from, uint32_t peer)
{
    if (!cut[from][peer] && (sim.calm || !chance(sim.faults.loss)))
        return false;
    happen("lost", from, peer);
    return true;
}

/* The peer's answer: kind and status in one. */
static uint64_t answer_of(uint32_t peer)
{
    if (!sim.calm && chance(sim.faults.reset))
        return MEMO_OUTCOME_RESET * 1000;
    if (!sim.calm && chance(sim.faults.garbage))
        return MEMO_OUTCOME_PROTOCOL * 1000;
    if (moods[peer] == PEER_DOOMED)
        return 503;
    if (moods[peer] == PEER_FAILS && chance(900000))
        return below(4) ? 503 : 429;
    return chance(10000) ? 500 : 200;
}

static void on_request(uint64_t id, uint64_t peer)
{
    struct flight *f = of(id);
    if (!f)
        return;
    happen("request", f->from, peer);
    if (!listens((uint32_t)peer)) {
        if (!lost((uint32_t)peer, (uint32_t)peer))
            later(way(), on_end, id, MEMO_OUTCOME_CONNECT_FAILED * 1000);
        return;
    }
    if (moods[peer] == PEER_HANGS || lost(f->from, (uint32_t)peer))
        return;
    int64_t work = (1 + below(moods[peer] == PEER_SLOW ? 800 : 8)) * MEMO__MS;
    uint64_t how = answer_of((uint32_t)peer);
    later(work + way(), on_end, id, how);
    if (!sim.calm && chance(sim.faults.duplicate))
        later(work + way(), on_end, id, how);
}

static void on_timeout(uint64_t id, uint64_t kind)
{
    const struct net_end end = { .kind = (int32_t)kind };
    over(id, &end);
}

uint64_t net_send(uint32_t from, uint16_t port, int64_t timeout, int64_t connect_timeout, net_fn *fn, uint64_t a, uint64_t b)
{
    uint32_t peer = (uint32_t)(port - 2000) % PEERS, i = 0;
    while (i < FLIGHTS && flights[i].on)
        i++;
    if (i == FLIGHTS)
        abort(); /* more than callers have calls */
    struct flight *f = &flights[i];
    *f = (struct flight){ .on = true, .turn = f->turn, .from = from, .peer = peer, .fn = fn, .a = a, .b = b };
    live++;
    uint64_t id = (uint64_t)f->turn * FLIGHTS + i;
    bool connects = !lost(from, peer), short_connect = connect_timeout && connect_timeout < timeout;
    happen("sent", from, peer);
    if (connects)
        later(way(), on_request, id, peer);
    if (sim.plant == PLANT_LATE_END)
        timeout += 3 * MEMO__S;
    if (!connects && short_connect)
        later(connect_timeout, on_timeout, id, MEMO_OUTCOME_CONNECT_FAILED);
    later(timeout, on_timeout, id, MEMO_OUTCOME_TIMED_OUT);
    return id;
}

void net_abort(uint64_t id)
{
    struct flight *f = of(id);
    if (!f)
        return;
    f->on = false;
    f->turn++;
    live--;
}

/* ---- the transport ---- */

struct memo__http_async { struct memo__http_pool *pool; uint32_t from; };

static void on_answer(uint64_t run, uint64_t async, const struct net_end *end)
{
    struct memo__http_run *x = (struct memo__http_run *)(uintptr_t)run;
    struct memo__http_async *a = (struct memo__http_async *)(uintptr_t)async;
    memo_status s = MEMO_OK;
    x->wire = NULL;
    if (end->kind == MEMO_OUTCOME_REPLIED)
        s = memo__http_answer_set(a->pool, x->answer, end->http, MEMO__TEXT("x-peer\0sim\0"), MEMO__TEXT("hello"));
    else
        x->answer->kind = end->kind;
    if (s != MEMO_OK)
        x->answer->kind = MEMO_OUTCOME_CANCELLED;
    x->answer->retry_after_ms = end->retry_after_ms;
    (void)memo__turn_take();
    x->fn(x, s, x->user);
    memo__turn_drop();
}

static uint64_t flight_of(const struct memo__http_run *x) { return (uint64_t)(uintptr_t)x->wire - 1; }

static memo_status net_start(struct memo__http_async *a, struct memo__http_run *x, const struct memo__http_target *t, const struct memo__http_send *s,
                             struct memo__http_answer *answer, memo__http_run_fn *fn, void *user)
{
    *x = (struct memo__http_run){ .async = a, .answer = answer, .fn = fn, .user = user };
    answer->kind = MEMO_OUTCOME_CANCELLED;
    answer->http_status = 0;
    uint64_t id = net_send(a->from, t->port, s->timeout_ns, s->connect_timeout_ms * MEMO__MS, on_answer, (uint64_t)(uintptr_t)x,
                           (uint64_t)(uintptr_t)a);
    flights[id % FLIGHTS].run = x;
    flights[id % FLIGHTS].async = a;
    x->wire = (struct wire *)(uintptr_t)(id + 1); /* a name for it, never looked behind */
    return MEMO_OK;
}

static void net_stop(struct memo__http_run *x)
{
    if (x->wire)
        net_abort(flight_of(x));
    x->wire = NULL;
}

static memo_status net_open(struct memo__http_pool *p, struct memo__loop *l, struct memo__http_async **out)
{
    (void)l;
    *out = calloc(1, sizeof **out);
    if (!*out)
        return MEMO_E_NO_MEMORY;
    (*out)->pool = p;
    for (uint32_t i = 0; i < PROCS; i++)
        if (sim.procs[i].client && sim.procs[i].client->http == p)
            (*out)->from = i;
    return MEMO_OK;
}

static void net_close(struct memo__http_async *a)
{
    for (uint32_t i = 0; a && i < FLIGHTS; i++)
        if (flights[i].on && flights[i].async == a)
            net_stop(flights[i].run);
    free(a);
}

static void net_sweep(struct memo__http_async *a, memo__instant now) { (void)a; (void)now; }
static memo_status net_forked(struct memo__http_async *a) { (void)a; return MEMO_E_UNSUPPORTED; }

/* Nothing here blocks, so nobody may ask for that. */
static memo_status net_exchange(struct memo__http_pool *p, const struct memo__http_target *t, const struct memo__http_send *s,
                                struct memo__http_answer *out)
{
    (void)p; (void)t; (void)s; (void)out;
    return MEMO_E_UNSUPPORTED;
}

const struct memo__transport net_transport = { net_exchange, net_open, net_close, net_sweep, net_forked, net_start, net_stop };

void net_end_all(void)
{
    for (uint32_t i = 0; i < FLIGHTS; i++)
        if (flights[i].on) {
            flights[i].on = false;
            flights[i].turn++;
        }
    live = 0;
}
