/* SPDX-License-Identifier: Apache-2.0 */
/* inbound.c: one request, from its headers to its answer: see inbound.h. */
#include "call/inbound.h"
#include <string.h>
#include "base/hash.h"
#include "base/process.h"
#include "base/status.h"
#include "call/directory.h"
#include "policy/deadline.h"
#include "policy/gate.h"
#include "policy/shed.h"
#include "policy/verdict.h"
#include "telemetry/context.h"

#define APART static __attribute__((noinline)) /* seldom gone: kept out of the way of what every request does */
/* No formula says when there will be room: a second is longer than most queues, and shorter than patience. */
#define OVERLOADED_RETRY MEMO__S

/* What the rules read of the headers, as in call.c. */
struct wanted { uint32_t present; struct memo__text values[MEMO__WANTS_MAX]; };

APART void take(const struct memo__plan *p, const memo_header *h, struct memo__extraction *e, struct wanted *w)
{
    struct memo__text name = memo__text_sized(h->name, h->name_bytes), value = memo__text_sized(h->value, h->value_bytes);
    uint32_t at = p ? memo__wants_index(&p->wants, p->service, name) : MEMO__NO_INDEX;
    if (at != MEMO__NO_INDEX && !(w->present >> at & 1)) {
        w->present |= UINT32_C(1) << at;
        w->values[at] = value;
    }
    if (e)
        memo__extraction_take(e, name, value);
}

/* One pass over the headers: are they whole, and which of them does anybody read? Most end at a mask of lengths; bit 0 is for those that are given
 * without one. */
static bool read_headers(const struct memo__plan *p, const memo_inbound_facts *f, struct memo__extraction *e, struct wanted *w)
{
    uint64_t lengths = 1 | (p ? p->wants.lengths : 0) | (e ? MEMO__CONTEXT_LENGTHS : 0);
    w->present = 0;
    for (const memo_header *h = f->headers, *end = h + f->headers_count; h < end; h++) {
        if (__builtin_expect(!h->name || !h->value, 0))
            return false;
        if (h->name_bytes < 64 && lengths >> h->name_bytes & 1)
            take(p, h, e, w);
    }
    if (e)
        memo__extraction_end(e);
    return true;
}

/* The work at hand: its trace, or a new one, whose span stands for this request; and until when. */
static bool read_context(memo_inbound *i, const struct memo__plan *p, const struct memo__world *w, const memo_inbound_facts *f,
                         struct memo__reader *r, memo__instant now, struct wanted *wanted)
{
    struct memo__context *c = memo__context_init(&i->context);
    struct memo__extraction e;
    e.into = c;
    e.now = now;
    e.keys = w->baggage;
    e.traces = e.states = e.baggages = 0;
    if (!read_headers(p, f, w->distrusts ? NULL : &e, wanted))
        return false;
    if (!c->trace.present) {
        memo__trace_new(&c->trace, memo__draw_next(&r->draw), memo__draw_next(&r->draw));
        memo__span_of(memo__draw_next(&r->draw), c->trace.span);
    }
    if (f->timeout_ms)
        c->deadline = memo__earlier(c->deadline, memo__after_ms(now, f->timeout_ms));
    return true;
}

/* Refusals. */

/* When there will be a token: ns. */
static int64_t until_token(const struct memo__gate *gate, const struct memo__gate_result *r, memo__instant now)
{
    const struct memo__gate_limit *l = &gate->limits[r->index];
    struct memo__limiter_facts facts;
    uint64_t tokens;
    int64_t wait = 0;
    if (l->keyed)
        memo__keyed_read(l->keyed, l->hash, now, &tokens, &wait);
    else {
        memo__limiter_read(l->limiter, &l->parts, now, &facts);
        wait = facts.retry_after;
    }
    return wait;
}

static void copy_text(char *to, size_t size, const char *from)
{
    (void)memo__text_copy(to, size, memo__text_of(from));
}

/* For the ring: what a call remembers, as far as a request has it. */
static void remember(const struct memo__plan *p, const memo_inbound *i, const struct memo__entry *e, const memo_inbound_facts *f,
                     const struct memo__gate_result *r, struct memo__record *k)
{
    const struct memo__context *c = memo__context_of(&i->context);
    *k = (struct memo__record){ .size = sizeof(memo_call), .ticket = e->ticket, .service = e->slot, .phase = MEMO__CALL_REFUSED, .begun = e->begun,
                                .last = e->begun,
                                .deadline = c->deadline, .revision = p->revision, .trace = c->trace, .status = e->status, .noted = 1, .inbound = 1,
                                .refused_kind = r->kind, .would = r->would };
    memcpy(&k->id, c->trace.id, sizeof k->id);
    if (r->kind == MEMO__GATE_LIMIT)
        k->refused_by = (uint8_t)(p->gates[0].limits[r->index].rule - p->service->limits);
    copy_text(k->method_text, sizeof k->method_text, f->method);
    copy_text(k->path, sizeof k->path, f->path ? f->path : "/");
}

static struct memo__governor_part *part_of(const struct memo__governor *g, const struct memo__reader *r)
{
    return memo__governor_part(g, r->stripe.index);
}

/* result.kind MEMO__GATE_NONE: neither a limit nor the bulkhead. */
APART memo_status refuse(struct memo__governor *g, const struct memo__plan *p, struct memo__reader *r, memo_inbound *i, const memo_inbound_facts *f,
                         memo_status status, const struct memo__gate_result *result)
{
    struct memo__entry *e = memo__entry_of(i);
    struct memo__record k;
    e->status = status;
    e->phase = MEMO__ENTRY_REFUSED;
    if (status == MEMO_REFUSED_OVERLOADED || status == MEMO_REFUSED_NOT_READY)
        e->retry_after = OVERLOADED_RETRY;
    if (!p)
        return status;
    remember(p, i, e, f, result, &k);
    memo__ring_push(&g->world->ring, &k);
    memo__count_refusal(r->stripe, &part_of(g, r)->counters, status);
    return status;
}

/* Rules in mode observe only count. */
APART void would_refuse(const struct memo__governor *g, struct memo__reader *r, memo_status status)
{
    memo__count_would_refuse(r->stripe, &part_of(g, r)->counters, status);
}

/* The gate. */

/* What the route's gate asks of this request: hashes set; a limit whose header is absent does not hold. at[i]: the place of limit i in the rules. */
static void keyed_gate(const struct memo__governor *g, const struct memo__gate *gate, const memo_inbound_facts *f, const struct wanted *w,
                       struct memo__gate *out, uint8_t at[MEMO__LIMITS_MAX])
{
    *out = *gate;
    out->limits_count = 0;
    for (uint32_t i = 0; i < gate->limits_count; i++) {
        struct memo__gate_limit l = gate->limits[i];
        if (l.keyed) {
            bool by_caller = l.rule->by_header == MEMO__BY_CALLER;
            struct memo__text value = by_caller ? memo__text_of(f->caller) : w->values[l.rule->by_header];
            if (!by_caller && !(w->present >> l.rule->by_header & 1))
                continue;
            l.hash = memo__hash(g->seed, value.at, value.n);
        }
        at[out->limits_count] = (uint8_t)i;
        out->limits[out->limits_count++] = l;
    }
}

/* All that is not at hand, or by key. */
APART memo_status enter_asked(struct memo__governor *g, const struct memo__plan *p, struct memo__reader *r, memo_inbound *i,
                              const memo_inbound_facts *f, const struct wanted *w)
{
    struct memo__entry *e = memo__entry_of(i);
    struct memo__gate gate;
    struct memo__gate_result result;
    uint8_t at[MEMO__LIMITS_MAX] = { 0 };
    keyed_gate(g, &p->gates[0], f, w, &gate, at);
    memo_status status = memo__gate_enter(&gate, r->stripe, e->begun, MEMO__S, &result);
    if (result.would & MEMO__GATE_BULKHEAD_BIT)
        would_refuse(g, r, MEMO_REFUSED_OVERLOADED);
    if (result.would & ~MEMO__GATE_BULKHEAD_BIT)
        would_refuse(g, r, MEMO_REFUSED_LIMITED);
    if (status == MEMO_OK) {
        e->bulkhead = result.taken & MEMO__GATE_BULKHEAD_BIT ? gate.bulkhead_id : 0;
        return status;
    }
    if (result.kind == MEMO__GATE_LIMIT) {
        e->retry_after = until_token(&gate, &result, e->begun);
        result.index = at[result.index];
    }
    return refuse(g, p, r, i, f, status, &result);
}

static const struct memo__gate_result by_nobody;

/* Under the limit that latency has found? *permit: of whom. */
static inline bool shed_enter(const struct memo__governor *g, const struct memo__plan *p, struct memo__reader *r, struct memo__entry *e)
{
    struct memo__organ *o = p->shed;
    if (!o)
        return true;
    if (memo__shed_enter(o->shared, &o->parts, r->stripe, &p->service->shed)) {
        e->shed = o->id;
        return true;
    }
    if (p->service->shed.mode == MEMO__ENFORCE)
        return false;
    would_refuse(g, r, MEMO_REFUSED_OVERLOADED);
    return true;
}

static void shed_back(const struct memo__plan *p, struct memo__reader *r, struct memo__entry *e)
{
    if (e->shed && p->shed && p->shed->id == e->shed)
        memo__shed_leave(p->shed->shared, &p->shed->parts, r->stripe);
    e->shed = 0;
}

/* A permit is asked for first, since it can be given back without a trace; then the gate, which takes all or nothing. */
static memo_status admit(struct memo__governor *g, const struct memo__plan *p, struct memo__reader *r, memo_inbound *i, const memo_inbound_facts *f,
                         const struct wanted *w)
{
    struct memo__entry *e = memo__entry_of(i);
    const struct memo__context *c = memo__context_of(&i->context);
    uint32_t epoch;
    if (__builtin_expect(c->deadline <= e->begun, 0)) {
        if (p->service->mode == MEMO__ENFORCE)
            return refuse(g, p, r, i, f, MEMO_REFUSED_DEADLINE, &by_nobody);
        would_refuse(g, r, MEMO_REFUSED_DEADLINE);
    }
    if (__builtin_expect(!shed_enter(g, p, r, e), 0))
        return refuse(g, p, r, i, f, MEMO_REFUSED_OVERLOADED, &by_nobody);
    if (__builtin_expect(!(p->keyed & 1) && memo__gate_quick(&p->gates[0], r->stripe, e->begun, &epoch), 1)) {
        e->bulkhead = p->gates[0].bulkhead_id;
        return MEMO_OK;
    }
    memo_status status = enter_asked(g, p, r, i, f, w);
    if (status != MEMO_OK)
        shed_back(p, r, e);
    return status;
}

memo_status memo__inbound_enter(memo_inbound *i, struct memo__governor *g, const struct memo__world *w, const memo_inbound_facts *f)
{
    struct memo__entry *e = memo__entry_of(i);
    struct wanted wanted;
    memset(e, 0, sizeof *e); /* first: what it was used for before is not answered for */
    if (!f || f->size < sizeof *f || (f->headers_count && !f->headers) || f->timeout_ms < 0)
        return MEMO_E_ARGUMENT;
    memo__process_check();
    i->context.size = sizeof i->context;
    struct memo__reader *r = memo__reader_enter();
    const struct memo__plan *p = memo__load_acquire(&g->plan);
    memo_status status;
    e->begun = p ? memo__governor_now(g) : memo__now(w->host ? w->host : memo__host_default);
    e->ticket = g->ticket;
    e->slot = g->slot;
    if (!read_context(i, p, w, f, r, e->begun, &wanted))
        status = MEMO_E_ARGUMENT;
    else if (!p || !memo__load(&w->receives))
        status = refuse(g, p, r, i, f, MEMO_REFUSED_NOT_READY, &by_nobody);
    else if (w->disabled)
        status = MEMO_OK;
    else
        status = admit(g, p, r, i, f, &wanted);
    if (status == MEMO_OK) {
        memo__stripe_add64(r->stripe, &part_of(g, r)->begun, 1);
        e->phase = MEMO__ENTRY_IN;
    }
    memo__reader_leave(r);
    return status;
}

/* leave */

static bool possible(const memo_outcome *o)
{
    return o && o->size >= sizeof *o && o->kind >= 0 && o->kind <= MEMO_OUTCOME_CANCELLED && o->verdict >= 0 && o->verdict <= MEMO_VERDICT_IGNORE;
}

static enum memo__result result_of(const memo_outcome *o)
{
    if (!possible(o))
        return MEMO__CALL_CANCELLED;
    enum memo__verdict v = memo__verdict(o->kind, o->http_status, o->grpc_status, o->verdict);
    return v == MEMO__SUCCEEDED ? MEMO__CALL_OK : v == MEMO__FAILED ? MEMO__CALL_FAILED : MEMO__CALL_CANCELLED;
}

/* What came too late took at least so long: that teaches as what succeeded does. */
static bool teaches(const memo_outcome *o, enum memo__result result)
{
    return result == MEMO__CALL_OK || (result == MEMO__CALL_FAILED && o->kind == MEMO_OUTCOME_TIMED_OUT);
}

static void leave(struct memo__governor *g, struct memo__reader *r, struct memo__entry *e, const memo_outcome *o)
{
    const struct memo__plan *p = memo__load_acquire(&g->plan);
    struct memo__governor_part *part = part_of(g, r);
    memo__instant now = memo__governor_now(g);
    int64_t took = memo__since(now, e->begun);
    enum memo__result result = result_of(o);
    if (e->bulkhead && p->bulkhead && p->bulkhead->id == e->bulkhead)
        memo__bulkhead_leave(p->bulkhead->shared, &p->bulkhead->parts, r->stripe, &p->service->concurrency);
    shed_back(p, r, e);
    if (p->shed && teaches(o, result))
        memo__shed_learn(p->shed->shared, &p->shed->parts, r->stripe, &p->service->shed, now, took);
    memo__count_call(r->stripe, &part->counters, result);
    memo__histogram_add(r->stripe, &part->counters.duration, took);
    memo__stripe_add64(r->stripe, &part->ended, 1);
}

void memo_inbound_leave(memo_inbound *i, const memo_outcome *o)
{
    if (!i || i->size < sizeof *i || memo__entry_of(i)->phase != MEMO__ENTRY_IN)
        return;
    struct memo__entry *e = memo__entry_of(i);
    memo__process_check();
    struct memo__reader *r = memo__reader_enter();
    struct memo__governor *g = memo__directory_get(e->slot, e->ticket);
    if (g)
        leave(g, r, e, o);
    memo__reader_leave(r);
    e->phase = MEMO__ENTRY_LEFT;
}

memo_status memo_inbound_get_reply(const memo_inbound *i, memo_inbound_reply *out)
{
    static const struct { int32_t status, http, grpc; } replies[] = {
        { MEMO_REFUSED_LIMITED, 429, 8 }, { MEMO_REFUSED_DEADLINE, 504, 4 }, { MEMO_REFUSED_OVERLOADED, 503, 14 },
        { MEMO_REFUSED_NOT_READY, 503, 14 },
    };
    if (!i || i->size < sizeof *i || !out || out->size < sizeof *out)
        return MEMO_E_ARGUMENT;
    const struct memo__entry *e = (const struct memo__entry *)(const void *)i->opaque;
    if (e->phase != MEMO__ENTRY_REFUSED)
        return MEMO_E_STATE;
    size_t n = 0;
    while (n + 1 < sizeof replies / sizeof replies[0] && replies[n].status != e->status)
        n++;
    int64_t seconds = e->retry_after / MEMO__S + (e->retry_after % MEMO__S != 0);
    out->http_status = replies[n].http;
    out->grpc_status = replies[n].grpc;
    out->retry_after_s = (int32_t)(seconds > INT32_MAX ? INT32_MAX : seconds);
    return MEMO_OK;
}
