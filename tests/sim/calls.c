/* SPDX-License-Identifier: Apache-2.0 */
/* calls.c: callers. Every other call goes through the door that decides only, and is carried here; the others are submitted, and carried by the
 * second transport. What each caller keeps beside the library: its own count of calls under way, its own bucket of tokens, its own account of
 * retries. */
#include <inttypes.h>
#include <string.h>
#include "call/call.h"
#include "policy/bulkhead.h"
#include "client/http.h"
#include "sim.h"

#define RETRIES_AT_FIRST 10          /* a budget begins with so many */
#define RETRY_SHARE 10               /* percent */
#define ATTEMPTS 3

enum phase { FREE, WAITING, FLYING, SUBMITTED };

struct call {
    enum phase phase;
    uint64_t turn;                   /* of this place */
    memo_call k;
    memo_attempt a;
    memo__instant begun;
    int64_t stalled;
    uint32_t attempts;
    uint64_t flight;
    memo_http_task *task;
};

struct account { uint32_t open; uint64_t calls, retries, good, refused_open, failed; double tokens; memo__instant at; };

struct bounds bounds[CALLERS];
static struct call calls[CALLERS][CALLS];
static struct account accounts[CALLERS];
static bool stopped[CALLERS];

static struct proc *proc_of(uint64_t caller) { return &sim.procs[CALLERS_FROM + caller]; }
static struct call *call_of(uint64_t name) { return &calls[name / CALLS][name % CALLS]; }
static uint64_t name_of(uint32_t caller, const struct call *c) { return caller * CALLS + (uint64_t)(c - calls[caller]); }

/* ---- accounts ---- */

/* A bucket of our own, which must never be overdrawn by what the library lets in. */
static void spend(uint32_t caller)
{
    struct account *n = &accounts[caller];
    const struct bounds *b = &bounds[caller];
    n->tokens += (double)(sim.now - n->at) / (double)MEMO__S * b->rate;
    n->tokens = n->tokens > b->burst ? b->burst : n->tokens;
    n->at = sim.now;
    n->tokens -= 1;
    if (n->tokens < -0.01)
        broke("limits", "caller %u: more than %u and %u/s were let through", caller, b->burst, b->rate);
}

static void give_back(uint32_t caller)
{
    struct account *n = &accounts[caller];
    n->tokens = n->tokens + 1 > bounds[caller].burst ? bounds[caller].burst : n->tokens + 1;
}

static void let_in(uint32_t caller)
{
    struct account *n = &accounts[caller];
    n->calls++;
    if (++n->open > bounds[caller].concurrency)
        broke("concurrency", "caller %u: %u calls under way, at most %u may be", caller, n->open, bounds[caller].concurrency);
    spend(caller);
}

static void let_out(uint32_t caller, const struct call *c, uint32_t attempts, memo_status s)
{
    struct account *n = &accounts[caller];
    int64_t took = sim.now - c->begun, most = bounds[caller].timeout_ms * MEMO__MS + (sim.stalled - c->stalled) + 2 * MEMO__MS;
    n->open--;
    if (!attempts)
        give_back(caller);
    if (took > most)
        broke("deadline", "caller %u: a call took %" PRId64 " ms, at most %" PRId64 " ms were allowed", caller, took / MEMO__MS,
              bounds[caller].timeout_ms);
    if (attempts > ATTEMPTS)
        broke("attempts", "caller %u: %u attempts", caller, attempts);
    n->retries += attempts > 1 ? attempts - 1 : 0;
    if (n->retries > RETRIES_AT_FIRST + n->calls * RETRY_SHARE / 100 + 1)
        broke("retry budget", "caller %u: %" PRIu64 " retries of %" PRIu64 " calls", caller, n->retries, n->calls);
    n->good += s == MEMO_OK;
    n->failed += s != MEMO_OK;
}

/* What a refusal says must be so; and what it would have said must not. Both see the same moment. */
static void check_begin(uint32_t caller, memo_status s, int64_t age_ms)
{
    const struct bounds *b = &bounds[caller];
    bool too_old = b->stale_ms && (age_ms < 0 || age_ms > b->stale_ms);
    accounts[caller].refused_open += s == MEMO_REFUSED_OPEN;
    if (s == MEMO_REFUSED_STALE && !too_old)
        broke("C6 maxStale", "caller %u: refused at an age of %" PRId64 " ms, the bound is %" PRId64 " ms", caller, age_ms, b->stale_ms);
    if (s == MEMO_OK && too_old)
        broke("C6 maxStale", "caller %u: let in at an age of %" PRId64 " ms, the bound is %" PRId64 " ms", caller, age_ms, b->stale_ms);
    if (s == MEMO_REFUSED_OVERLOADED && accounts[caller].open < b->concurrency)
        broke("permits", "caller %u: refused with %u of %u under way", caller, accounts[caller].open, b->concurrency);
    if (s != MEMO_OK && !memo_status_refused(s) && s != MEMO_E_NO_MEMORY)
        broke("verdict", "caller %u: a call began with status %d", caller, (int)s);
}

static int64_t age_of(const struct proc *p)
{
    const struct memo__view *v = memo__governor_view(memo__service_governor(p->service));
    return v ? memo__view_age_ms(v, p->host.boot(p->host.user)) : -1;
}

/* ---- the door that only decides ---- */

static void fly(uint64_t name, uint64_t turn);

static void end(uint32_t caller, struct call *c, memo_status s)
{
    happen("end", caller, (uint64_t)s);
    if (sim.plant != PLANT_LEAKED_PERMIT || sim.events % 50)
        memo_call_end(&c->k);
    c->phase = FREE;
    c->turn++;
    let_out(caller, c, c->attempts, s);
}

static void next(uint32_t caller, struct call *c)
{
    struct proc *p = proc_of(caller);
    c->a = (memo_attempt)MEMO_INIT(memo_attempt);
    memo_status s = memo_call_next(&c->k, &c->a);
    happen("next", caller, s == MEMO_OK ? c->a.port : (uint64_t)s);
    if (s != MEMO_OK) {
        end(caller, c, s);
        return;
    }
    c->attempts++;
    truth_check_age(p, c->a.revision, c->a.age_max_ms);
    int64_t over = sim.now + (c->a.wait_ms + c->a.timeout_ms) * MEMO__MS - c->begun;
    if (over > bounds[caller].timeout_ms * MEMO__MS + (sim.stalled - c->stalled) + 2 * MEMO__MS)
        broke("deadline", "caller %u: attempt %d may end %" PRId64 " ms after the call began", caller, c->a.number, over / MEMO__MS);
    c->phase = WAITING;
    if (c->a.wait_ms > 0)
        later(c->a.wait_ms * MEMO__MS, fly, name_of(caller, c), c->turn);
    else
        fly(name_of(caller, c), c->turn);
}

static void on_answer(uint64_t name, uint64_t turn, const struct net_end *how)
{
    struct call *c = call_of(name);
    uint32_t caller = (uint32_t)(name / CALLS);
    memo_outcome o = MEMO_INIT(memo_outcome);
    int32_t again = 0;
    if (c->turn != turn || c->phase != FLYING)
        return;
    o.kind = how->kind;
    o.http_status = how->http;
    o.retry_after_ms = how->retry_after_ms;
    memo_status s = memo_call_report(&c->k, &c->a, &o, &again);
    if (sim.plant == PLANT_SECOND_VERDICT && chance(100000))
        s = memo_call_report(&c->k, &c->a, &o, &again);
    happen("report", caller, (uint64_t)again);
    if (s != MEMO_OK)
        broke("verdict", "caller %u: an attempt was reported with status %d", caller, (int)s);
    if (again)
        next(caller, c);
    else
        end(caller, c, how->kind == MEMO_OUTCOME_REPLIED && how->http < 500 ? MEMO_OK : MEMO_E_IO);
}

static void fly(uint64_t name, uint64_t turn)
{
    struct call *c = call_of(name);
    if (c->turn != turn || c->phase != WAITING)
        return;
    c->phase = FLYING;
    c->flight = net_send((uint32_t)(CALLERS_FROM + name / CALLS), c->a.port, c->a.timeout_ms * MEMO__MS, 0, on_answer, name, turn);
}

static void decide(uint32_t caller, struct call *c)
{
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    f.method = below(8) ? "GET" : "POST";
    f.path = "/a";
    int64_t age = age_of(proc_of(caller));
    c->k.size = sizeof c->k;
    memo_status s = memo_call_begin(&c->k, proc_of(caller)->service, &f);
    happen("begin", caller, (uint64_t)s);
    check_begin(caller, s, age);
    if (s != MEMO_OK) {
        memo_call_end(&c->k);
        return;
    }
    let_in(caller);
    next(caller, c);
}

/* ---- the door that carries ---- */

static void on_done(memo_status s, memo_http_reply *reply, void *user)
{
    uint64_t name = (uint64_t)(uintptr_t)user;
    struct call *c = call_of(name);
    uint32_t caller = (uint32_t)(name / CALLS);
    const struct memo__kept *keep = reply->keep;
    const struct memo__record *k = memo__record_read(&keep->call);
    happen("done", caller, (uint64_t)s);
    if (c->phase != SUBMITTED) {
        broke("verdict", "caller %u: a call ended twice", caller);
        return;
    }
    if (s == MEMO_OK && (reply->body_bytes != 5 || strcmp(reply->body, "hello") != 0 || !memo_http_reply_get(reply, "X-Peer")))
        broke("verdict", "caller %u: another answer than was sent", caller);
    c->phase = FREE;
    c->turn++;
    memo_http_task_release(c->task);
    let_out(caller, c, k ? k->attempts : 0, s == MEMO_OK && reply->status >= 500 ? MEMO_E_IO : s);
}

static void give_up(uint64_t name, uint64_t turn)
{
    struct call *c = call_of(name);
    if (c->turn == turn && c->phase == SUBMITTED) {
        happen("cancel", name / CALLS, 0);
        memo_http_cancel(c->task);
    }
}

static void submit(uint32_t caller, struct call *c)
{
    memo_http_request q = MEMO_INIT(memo_http_request);
    uint64_t name = name_of(caller, c);
    q.path = "/b";
    int64_t age = age_of(proc_of(caller));
    memo_status s = memo_http_submit(proc_of(caller)->service, &q, on_done, (void *)(uintptr_t)name, &c->task, NULL);
    happen("submit", caller, (uint64_t)s);
    check_begin(caller, s, age);
    if (s != MEMO_OK)
        return;
    c->phase = SUBMITTED;
    let_in(caller);
    if (chance(30000))
        later(below(100) * MEMO__MS, give_up, name, c->turn);
}

/* ---- callers ---- */

static struct call *free_call(uint32_t caller)
{
    for (uint32_t i = 0; i < CALLS; i++)
        if (calls[caller][i].phase == FREE)
            return &calls[caller][i];
    return NULL;
}

void calls_start(uint64_t caller, uint64_t again)
{
    struct proc *p = proc_of(caller);
    struct call *c = free_call((uint32_t)caller);
    (void)again;
    later((1 + below(40)) * MEMO__MS, calls_start, caller, 1);
    if (!p->service || !c || stopped[caller])
        return;
    c->begun = sim.now;
    c->stalled = sim.stalled;
    c->attempts = 0;
    if (below(2))
        decide((uint32_t)caller, c);
    else
        submit((uint32_t)caller, c);
}

void calls_reset(uint32_t caller)
{
    struct account *n = &accounts[caller];
    *n = (struct account){ .tokens = bounds[caller].burst, .at = sim.now, .good = n->good, .refused_open = n->refused_open, .failed = n->failed };
    stopped[caller] = false;
}

/* A client that goes cancels what it carries itself; what we carry, we end. */
void calls_stop(uint32_t caller)
{
    stopped[caller] = true;
    for (uint32_t i = 0; i < CALLS; i++) {
        struct call *c = &calls[caller][i];
        if (c->phase == FLYING)
            net_abort(c->flight);
        if (c->phase == FLYING || c->phase == WAITING)
            end(caller, c, MEMO_E_CANCELLED);
        if (c->phase == SUBMITTED)
            memo_http_cancel(c->task);
    }
}

void calls_end(uint32_t caller)
{
    const struct proc *p = proc_of(caller);
    struct memo__governor *g = memo__service_governor(p->service);
    const struct memo__plan *plan = memo__load_acquire(&g->plan);
    uint64_t held = plan->bulkhead ? memo__bulkhead_read(plan->bulkhead->shared, &plan->bulkhead->parts) : 0;
    if (accounts[caller].open)
        broke("verdict", "caller %u: %u calls have not ended", caller, accounts[caller].open);
    else if (memo__governor_open_calls(g) || held)
        broke("permits", "caller %u: nothing is under way, and %" PRIu64 " calls and %" PRIu64 " permits are out", caller,
              memo__governor_open_calls(g), held);
}

uint64_t calls_refused_open(void) { return accounts[0].refused_open + accounts[1].refused_open; }
uint64_t calls_failed(void) { return accounts[0].failed + accounts[1].failed; }
uint64_t calls_good(uint32_t caller) { return accounts[caller].good; }

void calls_begin(void)
{
    memset(calls, 0, sizeof calls);
    memset(accounts, 0, sizeof accounts);
    for (uint32_t i = 0; i < CALLERS; i++) {
        bounds[i] = (struct bounds){ .concurrency = 3 + below(20), .rate = 20 + below(60), .burst = 1 + below(20), .timeout_ms = 300 + below(900),
                                     .stale_ms = below(2) ? 1000 + below(3000) : 0 };
        stopped[i] = false;
        later(below(1000) * MEMO__MS, calls_start, i, 0);
    }
}
