/* SPDX-License-Identifier: Apache-2.0 */
/* call.c: one logical call, from admission to its end: see call.h for the rhythm. */
#include "call/call.h"
#include <stdio.h>
#include <string.h>
#include "base/hash.h"
#include "base/process.h"
#include "base/status.h"
#include "call/directory.h"
#include "call/standing.h"
#include "policy/deadline.h"
#include "policy/gate.h"
#include "policy/outlier.h"
#include "policy/route.h"
#include "policy/verdict.h"
#include "telemetry/context.h"
#include "telemetry/headers.h"

#define APART static __attribute__((noinline)) /* seldom gone: kept out of the way of what every call does */
#define IN_LINE static inline __attribute__((always_inline))
#define SPAN_STEP UINT64_C(0x9e3779b97f4a7c15) /* spans are the call's id, which is drawn, moved on: distinct without being drawn again */
#define LIMIT_BITS (MEMO__GATE_LIMIT_BIT(0) | MEMO__GATE_LIMIT_BIT(1) | MEMO__GATE_LIMIT_BIT(2) | MEMO__GATE_LIMIT_BIT(3))
#define LEASE_LEAST (1 * MEMO__S) /* of a probe: it lives as long as its call may, and at least so long */

/* The stripe of a reader that has one of its own, as the compiler sees it: what adds to it is one instruction, without a look. */
static inline struct memo__stripe own_stripe(const struct memo__reader *r)
{
    return (struct memo__stripe){ r->stripe.index, true };
}

/* The rules were reloaded while this call is under way: its route is the one of the same name, or "default" if there is none any more. */
APART const struct memo__route_rule *route_again(const struct memo__plan *p, const struct memo__record *k)
{
    const struct memo__route_rule *route = p->routes, *last = route + (p->service->routes_count - 1);
    if (k->route < p->service->routes_count && !((route[k->route].tag ^ k->tag) >> 16))
        return route + k->route; /* where it was: a tag is half a hash, so another may have the same */
    while (route < last && (route->tag ^ k->tag) >> 16)
        route++;
    return route;
}

/* Likewise the subset with the same labels. If no route names it any more, one to which its route leads now: always the same, for the call's id is the
 * draw. All endpoints only if that route leads to all. */
APART const struct memo__pool *pool_again(const struct memo__plan *p, const struct memo__record *k)
{
    for (uint32_t i = 0; i < p->service->subsets_count; i++)
        if (p->service->subsets[i].tag == (uint16_t)k->tag)
            return &p->subsets[i];
    const struct memo__route_rule *route = route_again(p, k);
    uint32_t subset = route->split_count ? memo__route_split(route, k->id) : MEMO__NO_INDEX;
    return subset == MEMO__NO_INDEX ? &p->all : &p->subsets[subset];
}

/* The route's rules. */
static inline const struct memo__route_rule *route_of(const struct memo__plan *p, const struct memo__record *k)
{
    return __builtin_expect(p->revision == k->revision, 1) ? &p->routes[k->route] : route_again(p, k);
}

/* Which stripes' parts a pick has to look at, this one's from now on. */
static inline uint32_t stripes_active(struct memo__governor *g, struct memo__stripe s)
{
    uint32_t active = memo__load(&g->active), own = UINT32_C(1) << s.index;
    return __builtin_expect((active & own) != 0, 1) ? active : memo__fetch_or(&g->active, own) | own;
}

/* Facts. */

/* What the rules read of a call's headers: values[i] for bit i of `present`. The first of a name counts. */
struct wanted { uint32_t present; struct memo__text values[MEMO__WANTS_MAX]; };

static inline void take_value(const struct memo__plan *p, const memo_header *h, struct wanted *w)
{
    struct memo__text name = { h->name, h->name_bytes ? h->name_bytes : strlen(h->name) }; /* neither is NULL: see look */
    uint32_t at = memo__wants_index(&p->wants, p->service, name);
    if (at == MEMO__NO_INDEX || w->present >> at & 1)
        return;
    w->present |= UINT32_C(1) << at;
    w->values[at] = (struct memo__text){ h->value, h->value_bytes ? h->value_bytes : strlen(h->value) };
}

static inline void take_marked(const struct memo__plan *p, const memo_header *first, uint64_t marked, struct wanted *w)
{
    for (; marked; marked &= marked - 1)
        take_value(p, &first[__builtin_ctzll(marked)], w);
}

/* Is it whole? If its length, modulo 64, is that of a wanted name, or is not given (bit 0 of `lengths` is for that), it is marked to be looked at. */
IN_LINE bool look(const memo_header *h, const memo_header *first, uint64_t lengths, uint64_t *marked)
{
    if (__builtin_expect(lengths >> (h->name_bytes & 63) & 1, 0))
        *marked |= UINT64_C(1) << (h - first);
    return h->name && h->value;
}

/* Up to 64 headers, two at a time. */
IN_LINE bool take_values(const struct memo__plan *p, const memo_header *first, uint32_t count, struct wanted *w)
{
    uint64_t lengths = p->wants.lengths | 1, marked = 0;
    const memo_header *h = first, *end = first + count;
    if (count & 1 && __builtin_expect(!look(h++, first, lengths, &marked), 0))
        return false;
    for (; h < end; h += 2)
        if (__builtin_expect(!look(h, first, lengths, &marked), 0) || __builtin_expect(!look(h + 1, first, lengths, &marked), 0))
            return false;
    if (marked)
        take_marked(p, first, marked, w);
    return true;
}

APART bool take_many_values(const struct memo__plan *p, const memo_header *h, uint32_t count, struct wanted *w)
{
    for (; count > 64; count -= 64, h += 64)
        if (!take_values(p, h, 64, w))
            return false;
    return take_values(p, h, count, w);
}

/* One pass over the headers: are they whole, and which of them do the rules read? */
static inline bool wanted_values(const struct memo__plan *p, const memo_call_facts *f, struct wanted *w)
{
    w->present = 0;
    if (__builtin_expect(f->headers_count > 64, 0))
        return take_many_values(p, f->headers, f->headers_count, w);
    return take_values(p, f->headers, f->headers_count, w);
}

/* n bytes, n < 48, without a call: some of them twice. */
static inline void copy(char *to, const char *from, size_t n)
{
    if (n >= 16) {
        memcpy(to, from, 16);
        memcpy(to + (n - 16) / 2, from + (n - 16) / 2, 16);
        memcpy(to + n - 16, from + n - 16, 16);
    } else if (n >= 8) {
        memcpy(to, from, 8);
        memcpy(to + n - 8, from + n - 8, 8);
    } else if (n >= 4) {
        memcpy(to, from, 4);
        memcpy(to + n - 4, from + n - 4, 4);
    } else if (n) {
        to[0] = from[0];
        to[n / 2] = from[n / 2];
        to[n - 1] = from[n - 1];
    }
}

APART void remember_other_method(struct memo__record *k, const char *method)
{
    size_t n = strlen(method);
    k->method = (uint8_t)memo__method_bit((struct memo__text){ method, n });
    copy(k->method_text, method, n < MEMO__RECORD_METHOD - 1 ? n : MEMO__RECORD_METHOD - 1);
}

/* The record is all zero where they go. */
static inline struct memo__text remember_text(struct memo__record *k, const char *method, const char *path)
{
    if (method && method[0] == 'G' && method[1] == 'E' && method[2] == 'T' && method[3] == '\0') {
        k->method = MEMO__GET;
        memcpy(k->method_text, "GET", 4);
    } else if (method)
        remember_other_method(k, method);
    path = path ? path : "/";
    size_t n = strlen(path);
    copy(k->path, path, n < MEMO__RECORD_PATH - 1 ? n : MEMO__RECORD_PATH - 1);
    return (struct memo__text){ path, n };
}

static inline void remember_context(struct memo__record *k, const memo_context *parent, struct memo__reader *r, memo__instant *inherited)
{
    const struct memo__context *x = memo__context_of(parent);
    if (x && x->trace.present)
        k->trace = x->trace;
    else
        memo__trace_new(&k->trace, memo__draw_next(&r->draw), memo__draw_next(&r->draw));
    *inherited = x ? x->deadline : MEMO__NEVER;
}

/* What stood where, for the explanation: written once a call, when something went wrong; a call that goes well is explained by what stands there when
 * it is asked. */
APART void note(struct memo__governor *g, const struct memo__plan *p, struct memo__record *k, memo__instant now)
{
    struct memo__standing s;
    if (k->noted)
        return;
    memo__standing_read(g, p, k, route_of(p, k), now, &s);
    memo__standing_keep(k, &s);
}

/* What the call sees of the view, now. */
static inline void see_view(const struct memo__governor *g, const struct memo__plan *p, struct memo__record *k, memo__instant boot)
{
    k->view_state = (uint8_t)memo__load(&g->state);
    k->view_revision = p->view->revision;
    k->age_ms = memo__view_age_ms(p->view, boot);
}

/* begin */

APART memo_status refuse(struct memo__governor *g, const struct memo__plan *p, struct memo__stripe s, struct memo__record *k, memo_status status)
{
    k->status = status;
    k->phase = MEMO__CALL_REFUSED;
    k->last = k->begun;
    see_view(g, p, k, memo__boot(g->world->host));
    note(g, p, k, k->begun);
    struct memo__governor_part *part = memo__governor_part(g, s.index);
    memo__count_refusal(s, &part->counters, status);
    memo__stripe_add64(s, &part->begun, 1);
    return status;
}

/* Is there anything to pick from? The view has been seen. */
static inline memo_status view_there(const struct memo__plan *p, const struct memo__record *k)
{
    if (__builtin_expect(p->all.from.count == 0, 0))
        return k->view_state == MEMO_VIEW_EMPTY ? MEMO_REFUSED_NOT_READY : MEMO_REFUSED_NO_ENDPOINT;
    return MEMO_OK;
}

/* Is it young enough? */
static inline bool too_old(const struct memo__plan *p, const struct memo__record *k)
{
    int64_t most = p->service->max_stale;
    return __builtin_expect(most != INT64_MAX, 0) && (k->age_ms < 0 || k->age_ms > most / MEMO__MS);
}

/* May an attempt be made on what was seen? */
static inline memo_status view_usable(const struct memo__plan *p, const struct memo__record *k)
{
    memo_status status = view_there(p, k);
    return status == MEMO_OK && too_old(p, k) && p->service->mode == MEMO__ENFORCE ? MEMO_REFUSED_STALE : status;
}

/* May a call start? Without endpoints, with maxStale, or with no time left. */
APART memo_status start_unusual(struct memo__governor *g, const struct memo__plan *p, struct memo__reader *r, struct memo__record *k)
{
    see_view(g, p, k, memo__boot(g->world->host));
    memo_status status = view_usable(p, k);
    if (status == MEMO_OK && k->deadline <= k->begun)
        status = MEMO_REFUSED_DEADLINE;
    if (status == MEMO_OK && too_old(p, k)) /* and only observed */
        memo__count_would_refuse(r->stripe, &memo__governor_part(g, r->stripe.index)->counters, MEMO_REFUSED_STALE);
    return status;
}

static inline void remember_gate(const struct memo__plan *p, const struct memo__gate *gate, const struct memo__gate_result *r, struct memo__record *k)
{
    k->breaker = gate->breakers_count ? gate->breakers[0].id : 0;
    k->bulkhead = r->taken & MEMO__GATE_BULKHEAD_BIT ? gate->bulkhead_id : 0;
    k->permit = gate->breakers_count ? r->permits[0] : (struct memo__permit){ MEMO__NO_EPOCH, MEMO__NO_PROBE, 0, 0 };
    k->probe = k->permit.epoch != MEMO__NO_EPOCH && k->permit.probe != MEMO__NO_PROBE;
    k->would = r->would;
    k->taken = r->taken;
    k->refused_kind = r->kind;
    if (r->kind == MEMO__GATE_LIMIT)
        k->refused_by = (uint8_t)(gate->limits[r->index].rule - p->service->limits);
}

APART void count_would(struct memo__stripe s, struct memo__service_counters *c, uint8_t would)
{
    if (would & (MEMO__GATE_BREAKER_BIT(0) | MEMO__GATE_BREAKER_BIT(1)))
        memo__count_would_refuse(s, c, MEMO_REFUSED_OPEN);
    if (would & ~(MEMO__GATE_BREAKER_BIT(0) | MEMO__GATE_BREAKER_BIT(1) | MEMO__GATE_BULKHEAD_BIT))
        memo__count_would_refuse(s, c, MEMO_REFUSED_LIMITED);
    if (would & MEMO__GATE_BULKHEAD_BIT)
        memo__count_would_refuse(s, c, MEMO_REFUSED_OVERLOADED);
}

APART memo_status enter(const struct memo__governor *g, const struct memo__plan *p, const struct memo__gate *gate, struct memo__reader *r,
                        struct memo__record *k)
{
    struct memo__gate_result result;
    int64_t left = memo__deadline_left(k->begun, k->deadline), lease = left > LEASE_LEAST ? left : LEASE_LEAST;
    memo_status status = memo__gate_enter(gate, r->stripe, k->begun, lease, &result);
    remember_gate(p, gate, &result, k);
    if (__builtin_expect(result.would, 0))
        count_would(r->stripe, &memo__governor_part(g, r->stripe.index)->counters, result.would);
    return status;
}

/* Nearly every call: the record has nothing of a refusal, and is zero where it would be. */
static inline bool enter_quick(const struct memo__gate *gate, struct memo__stripe stripe, struct memo__record *k)
{
    uint32_t epoch;
    if (__builtin_expect(!memo__gate_quick(gate, stripe, k->begun, &epoch), 0))
        return false;
    if (gate->breakers_count) {
        k->breaker = gate->breakers[0].id;
        k->permit = (struct memo__permit){ epoch, MEMO__NO_PROBE, 0, 0 };
    }
    k->bulkhead = gate->bulkhead_id;
    return true;
}

/* Bits of limits that a keyed gate left some out of, as the route's gate counts them; and those of the others that are asked for. */
static uint8_t as_in_route(uint8_t bits, const uint8_t *at, uint32_t count, uint8_t others)
{
    uint8_t in_route = bits & others;
    for (uint32_t i = 0; i < count; i++)
        if (bits & MEMO__GATE_LIMIT_BIT(i))
            in_route = (uint8_t)(in_route | MEMO__GATE_LIMIT_BIT(at[i]));
    return in_route;
}

/* The long way with the hashes of this call's header values; a limit whose header is absent does not hold. */
APART memo_status enter_keyed(const struct memo__governor *g, const struct memo__plan *p, const struct memo__gate *gate, struct memo__reader *r,
                              struct memo__record *k, const struct wanted *w)
{
    struct memo__gate keyed = *gate;
    uint8_t at[MEMO__LIMITS_MAX];
    keyed.limits_count = 0;
    for (uint32_t i = 0; i < gate->limits_count; i++) {
        struct memo__gate_limit l = gate->limits[i];
        if (l.keyed) {
            const struct memo__text *value = &w->values[l.rule->by_header];
            if (!(w->present >> l.rule->by_header & 1))
                continue;
            k->hashes[i] = l.hash = memo__hash(g->seed, value->at, value->n);
        }
        at[keyed.limits_count] = (uint8_t)i;
        keyed.limits[keyed.limits_count++] = l;
    }
    memo_status status = enter(g, p, &keyed, r, k);
    k->taken = as_in_route(k->taken, at, keyed.limits_count, 0);
    k->would = as_in_route(k->would, at, keyed.limits_count, (uint8_t)~LIMIT_BITS);
    return status;
}

/* What keeps calls together: the hash of the call's key, or a draw for one that has none. */
APART void take_hash(const struct memo__plan *p, struct memo__record *k, const memo_call_facts *f, struct memo__text path, const struct wanted *w)
{
    const struct memo__balance_rule *b = &p->service->balance;
    struct memo__text key = { f->key, f->key ? strlen(f->key) : 0 };
    if (b->hash_on == MEMO__HASH_ON_PATH) {
        const char *query = memchr(path.at, '?', path.n);
        key = (struct memo__text){ path.at, query ? (size_t)(query - path.at) : path.n };
    } else if (b->hash_on == MEMO__HASH_ON_HEADER)
        key = w->present >> b->hash_header & 1 ? w->values[b->hash_header] : (struct memo__text){ NULL, 0 };
    k->hashed = key.at ? MEMO__HASHED_KEY : MEMO__HASHED_DRAWN;
    k->hash = key.at ? memo__xxh64(0, key.at, key.n) : k->id;
}

/* Counted among the open calls until its end; each one pays into the budget of retries. */
static inline void count_begun(const struct memo__governor *g, const struct memo__reader *r, uint32_t deposit)
{
    struct memo__governor_part *part = memo__governor_part(g, r->stripe.index);
    if (__builtin_expect(!r->stripe.exclusive, 0)) {
        (void)memo__fetch_add(&part->begun, 1);
        (void)memo__fetch_add(&part->budget.deposits, deposit);
        return;
    }
    memo__own_add64(&part->begun, 1);
    memo__own_add64(&part->budget.deposits, deposit);
}

static inline void take_subset(const struct memo__plan *p, struct memo__record *k, const struct memo__route_rule *route, uint64_t draw)
{
    k->subset = (uint8_t)memo__route_split(route, draw);
    if (k->subset != MEMO__NO_INDEX)
        k->tag |= p->service->subsets[k->subset].tag;
}

IN_LINE memo_status admit(struct memo__governor *g, const struct memo__plan *p, struct memo__reader *r, struct memo__record *k,
                          const memo_call_facts *f, struct memo__text path, memo__instant inherited)
{
    struct wanted wanted;
    struct memo__route_why why;
    if (!wanted_values(p, f, &wanted))
        return MEMO_E_ARGUMENT;
    struct memo__route_facts facts = { k->method, path, wanted.present, wanted.values };
    uint32_t i = memo__route_match(p->service, &facts, &why);
    const struct memo__route_rule *route = &p->routes[i];
    k->route = (uint8_t)i;
    k->why = (uint8_t)why.no;
    k->why_route = (uint8_t)why.route;
    k->why_want = (uint8_t)why.want;
    k->subset = MEMO__NO_INDEX;
    k->tag = route->tag;
    if (route->split_count)
        take_subset(p, k, route, memo__draw_next(&r->draw));
    k->deadline = memo__deadline(k->begun, route->timeout, __builtin_expect(f->timeout_ms != 0, 0) ? memo__after_ms(0, f->timeout_ms) : 0, inherited);
    memo_status status;
    if (__builtin_expect(!p->usual || k->deadline <= k->begun, 0)) {
        if (p->hashed)
            take_hash(p, k, f, path, &wanted);
        if ((!p->plain || k->deadline <= k->begun) && (status = start_unusual(g, p, r, k)) != MEMO_OK)
            return refuse(g, p, r->stripe, k, status);
        if (g->world->disabled) {
            count_begun(g, r, 0);
            return MEMO_OK;
        }
    }
    const struct memo__gate *gate = &p->gates[i];
    if (__builtin_expect(!enter_quick(gate, r->stripe, k), 0)) {
        status = p->keyed >> i & 1 ? enter_keyed(g, p, gate, r, k, &wanted) : enter(g, p, gate, r, k);
        if (status != MEMO_OK)
            return refuse(g, p, r->stripe, k, status);
        if (k->would)
            note(g, p, k, k->begun);
    }
    count_begun(g, r, route->retry.budget);
    return MEMO_OK;
}

/* All zero but for its size and the attempts, which are written when they are made. In pieces that are a few stores each. */
static inline void clear(struct memo__record *k)
{
    char *at = (char *)&k->ticket;
    enum { BYTES = offsetof(struct memo__record, tries) - offsetof(struct memo__record, ticket), REST = BYTES - 3 * 64 };
    _Static_assert(REST > 0 && REST <= 64, "pieces of 64 bytes");
    memset(at, 0, 64);
    memset(at + 64, 0, 64);
    memset(at + 128, 0, 64);
    memset(at + 192, 0, REST);
}

memo_status memo_call_begin(memo_call *call, memo_service *service, const memo_call_facts *f)
{
    struct memo__record *k = memo__record_of(call);
    if (!call || call->size < sizeof *call || !service || !f || f->size < sizeof *f || (f->headers_count && !f->headers) || f->timeout_ms < 0)
        return MEMO_E_ARGUMENT;
    memo__process_check();
    struct memo__governor *g = memo__service_governor(service);
    struct memo__reader *r = memo__reader_enter();
    memo__instant inherited;
    clear(k);
    k->ticket = g->ticket;
    k->service = g->slot;
    k->phase = MEMO__CALL_READY;
    k->begun = k->last = memo__governor_now(g);
    k->id = memo__draw_next(&r->draw);
    const struct memo__plan *p = memo__load_acquire(&g->plan);
    k->revision = p->revision;
    k->permit.epoch = MEMO__NO_EPOCH;
    struct memo__text path = remember_text(k, f->method, f->path);
    remember_context(k, f->parent, r, &inherited);
    memo_status status = memo__load(&g->world->admits) ? admit(g, p, r, k, f, path, inherited)
                                                       : refuse(g, p, r->stripe, k, MEMO_REFUSED_NOT_READY);
    if (__builtin_expect(status == MEMO_E_ARGUMENT, 0))
        k->phase = MEMO__CALL_NONE;
    memo__reader_leave(r);
    return status;
}

/* next */

/* Begun and not ended, whoever began it. */
static inline bool begun(const struct memo__record *k)
{
    return (uint32_t)k->ticket > MEMO__SEAL && k->phase - 1u < MEMO__CALL_ENDED - 1u;
}

static inline struct memo__governor *governor_of(const struct memo__record *k)
{
    return memo__directory_get(k->service, k->ticket);
}

static const struct memo__pool *pool_of(const struct memo__plan *p, const struct memo__record *k)
{
    if (k->subset == MEMO__NO_INDEX)
        return &p->all;
    return p->revision == k->revision ? &p->subsets[k->subset] : pool_again(p, k);
}

static uint32_t *cursor_of(const struct memo__governor *g, const struct memo__plan *p, struct memo__stripe s, const struct memo__pool *pool)
{
    return &memo__governor_part(g, s.index)->cursors[pool == &p->all ? MEMO__SUBSETS_MAX : pool - p->subsets];
}

APART void tell_returned(struct memo__governor *g, const struct memo__plan *p, memo__instant now)
{
    const struct memo__candidates every = { .count = p->fleet_slots };
    uint32_t returned[16], n = memo__outlier_sweep(&g->outlier, &g->fleet, &every, now, returned, 16);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t e = returned[i] < p->slots_count ? p->by_slot[returned[i]] : UINT32_MAX;
        if (e == UINT32_MAX)
            continue; /* it has left meanwhile */
        struct memo__turn t = { .kind = MEMO_EVENT_EJECTION, .service = g->name, .subject = memo__view_text(p->view, p->view->entries[e].id),
                                .text = "returned" };
        g->world->turned(g->world, &t);
    }
}

/* Picks, and enters the endpoint's own breaker if it has one; whoever loses that race picks again. */
APART memo_status pick_admitted(const struct memo__governor *g, struct memo__pick_request *q, const struct memo__record *k,
                                const struct memo__route_rule *route, bool observe, struct memo__pick *out, struct memo__permit *permit, bool *would)
{
    q->instance_breaker = observe ? NULL : &route->breaker;
    for (;;) {
        memo_status s = memo__balance_pick(q, out);
        if (s != MEMO_OK)
            return s;
        int64_t left = memo__deadline_left(q->now, k->deadline), lease = left > LEASE_LEAST ? left : LEASE_LEAST;
        if (memo__breaker_admit(memo__fleet_breaker(&g->fleet, out->slot), &route->breaker, q->now, lease, permit))
            return s;
        *would = observe;
        if (observe)
            return s;
        if (q->tried_count == MEMO__ATTEMPTS_MAX)
            return MEMO_REFUSED_OPEN;
        q->tried[q->tried_count++] = out->slot;
    }
}

/* The attempt is filled as far as the pick knows it. */
static memo_status pick(struct memo__governor *g, const struct memo__plan *p, struct memo__reader *r, struct memo__record *k, memo__instant now,
                        const struct memo__route_rule *route)
{
    const struct memo__pool *pool = pool_of(p, k);
    struct memo__pick_request q = { .fleet = &g->fleet, .from = &pool->from, .rule = &p->service->balance, .stripe = r->stripe,
                                    .stripes_active = stripes_active(g, r->stripe), .cursor = cursor_of(g, p, r->stripe, pool), .now = now,
                                    .draw = memo__draw_next(&r->draw), .hash = k->hashed ? k->hash : k->id, .tried_count = k->attempts,
                                    .ejected = memo__load(&g->outlier.ejected) };
    struct memo__try *t = &k->tries[k->attempts];
    struct memo__pick x;
    bool would = false, own = p->instance_breakers && route->breaker.on && route->breaker.scope == MEMO__SCOPE_INSTANCE && !g->world->disabled;
    for (uint32_t i = 0; i < k->attempts; i++)
        q.tried[i] = k->tries[i].slot;
    *t = (struct memo__try){ .permit = { MEMO__NO_EPOCH, MEMO__NO_PROBE, 0, 0 } };
    memo_status s = own ? pick_admitted(g, &q, k, route, route->breaker.mode == MEMO__OBSERVE, &x, &t->permit, &would) : memo__balance_pick(&q, &x);
    if (s != MEMO_OK)
        return s;
    if (would)
        memo__standing_would(g, k, x.slot, &route->breaker, now);
    t->slot = x.slot;
    t->score = x.score;
    if (x.other_slot != MEMO__NO_SLOT) {
        t->other_slot = x.other_slot;
        t->other_score = x.other_score;
        t->flags = MEMO__TRY_OTHER;
    }
    t->flags |= (uint8_t)((x.flags & MEMO__PICK_PANIC ? MEMO__TRY_PANIC : 0) | (x.flags & MEMO__PICK_TRIED_AGAIN ? MEMO__TRY_AGAIN : 0) |
                          (would ? MEMO__TRY_WOULD : 0));
    memo__balance_start(&g->fleet, r->stripe, x.slot);
    return MEMO_OK;
}

/* A text of the view into a field of an attempt, 16 bytes at a time: a view's text is readable for 15 bytes behind its end. Fields are filled in
 * their order, so that what runs over the end of one is overwritten by the next; the last one is a multiple of 16. */
static inline void field(memo_attempt *a, size_t at, const char *from, size_t n)
{
    char *to = (char *)a + at;
    size_t i = 0;
    do {
        memcpy(to + i, from + i, 16);
        i += 16;
    } while (i <= n);
}

IN_LINE void attempt_fill(const struct memo__plan *p, const struct memo__view_entry *e, const struct memo__record *k, int32_t number, int64_t timeout,
                          int64_t wait_ms, memo_attempt *a)
{
    const struct memo__view *v = p->view;
    const char *text = v->text;
    a->ref[0] = e->slot;
    a->ref[1] = e->generation;
    a->revision = v->revision;
    a->epoch = v->epoch;
    a->age_max_ms = k->age_ms;
    a->timeout_ms = timeout / MEMO__MS ? timeout / MEMO__MS : 1;
    a->wait_ms = wait_ms;
    a->number = number;
    a->kind = number > 1 ? MEMO_ATTEMPT_RETRY : MEMO_ATTEMPT_FIRST;
    a->view_state = k->view_state;
    a->port = e->port;
    field(a, offsetof(memo_attempt, address), text + e->address, e->address_bytes);
    field(a, offsetof(memo_attempt, id), text + e->id, e->id_bytes);
    field(a, offsetof(memo_attempt, host), text + e->host, e->host_bytes);
}

/* A call that cannot go on: after an answer that is no refusal, if there was one. */
APART memo_status stop(struct memo__governor *g, const struct memo__plan *p, struct memo__record *k, memo_status status, memo__instant now)
{
    note(g, p, k, now);
    if (status == MEMO_REFUSED_OPEN)
        memo__standing_refusers(g, p, k, pool_of(p, k), &route_of(p, k)->breaker, now);
    k->phase = MEMO__CALL_DONE;
    k->stopped = 1;
    k->status = status;
    k->last = now;
    return status;
}

/* Any attempt. Generations are those of the plan: what has moved into a slot since then was not picked. */
APART memo_status next_any(struct memo__governor *g, const struct memo__plan *p, struct memo__reader *r, struct memo__record *k, memo_attempt *a,
                           memo__instant now)
{
    memo__instant start = memo__after(now, k->wait_ms * MEMO__MS);
    const struct memo__route_rule *route = route_of(p, k);
    int64_t timeout = memo__deadline_attempt(start, k->deadline, route->retry.attempt_timeout);
    memo_status s = timeout == 0 ? MEMO_REFUSED_DEADLINE : view_usable(p, k);
    if (s != MEMO_OK)
        return stop(g, p, k, s, now);
    if (memo__outlier_due(&g->outlier, now))
        tell_returned(g, p, now);
    if ((s = pick(g, p, r, k, now, route)) != MEMO_OK)
        return stop(g, p, k, s, now);
    struct memo__try *t = &k->tries[k->attempts++];
    const struct memo__view_entry *e = &p->view->entries[p->by_slot[t->slot]];
    t->generation = e->generation;
    t->start = memo__ticks_of(memo__since(start, k->begun));
    if (t->flags & MEMO__TRY_OTHER)
        t->other_generation = p->view->entries[p->by_slot[t->other_slot]].generation;
    k->phase = MEMO__CALL_FLYING;
    attempt_fill(p, e, k, k->attempts, timeout, k->wait_ms, a);
    return MEMO_OK;
}

/* The first attempt of nearly every call: nothing is ejected, endpoints have no breakers, two can be drawn, and none is young (slow start). */
IN_LINE memo_status next_first(struct memo__governor *g, const struct memo__plan *p, struct memo__reader *r, struct memo__record *k, memo_attempt *a)
{
    memo__instant boot, now = memo__governor_now_and_boot(g, &boot);
    int64_t timeout = memo__deadline_attempt(now, k->deadline, route_of(p, k)->retry.attempt_timeout);
    see_view(g, p, k, boot);
    if (__builtin_expect(timeout == 0 || (memo__load(&g->outlier.ejected) | k->attempts | (uint32_t)!p->usual) != 0, 0))
        return next_any(g, p, r, k, a, now);
    const struct memo__pool *pool = pool_of(p, k);
    uint32_t active = stripes_active(g, r->stripe);
    if (__builtin_expect(!pool->lots || (active & (active - 1)) || now < pool->from.warm_at, 0))
        return next_any(g, p, r, k, a, now);
    struct memo__drawn x;
    struct memo__endpoint_part *part = memo__balance_draw(pool->lots, pool->from.count, r->stripe, p->decay_scale, now, k->id /* a draw, too */, &x);
    memo__balance_start_at(part, r->stripe);
    const struct memo__view_entry *entries = p->view->entries, *e = &entries[x.lot->entry];
    k->tries[0] = (struct memo__try){ .slot = x.lot->slot, .generation = e->generation, .other_slot = x.other->slot,
                                      .other_generation = entries[x.other->entry].generation, .score = x.score, .other_score = x.other_score,
                                      .start = memo__ticks_of(memo__since(now, k->begun)), .permit = { MEMO__NO_EPOCH, MEMO__NO_PROBE, 0, 0 }, .flags = MEMO__TRY_OTHER };
    k->attempts = 1;
    k->phase = MEMO__CALL_FLYING;
    attempt_fill(p, e, k, 1, timeout, 0, a);
    return MEMO_OK;
}

memo_status memo_call_next(memo_call *call, memo_attempt *a)
{
    struct memo__record *k = memo__record_of(call);
    if (!call || !a || a->size < sizeof *a)
        return MEMO_E_ARGUMENT;
    memo__process_check();
    if (k->phase != MEMO__CALL_READY || k->attempts >= MEMO__ATTEMPTS_MAX) /* the ticket is looked at with the governor */
        return MEMO_E_STATE;
    struct memo__reader *r = memo__reader_enter();
    struct memo__governor *g = governor_of(k);
    memo_status s = g ? next_first(g, memo__load_acquire(&g->plan), r, k, a) : MEMO_E_STATE;
    memo__reader_leave(r);
    return s;
}

bool memo__call_secure(const memo_call *call, const memo_attempt *a)
{
    const struct memo__record *k = (const struct memo__record *)(const void *)call;
    struct memo__reader *r = memo__reader_enter();
    struct memo__governor *g = governor_of(k);
    const struct memo__plan *p = g ? memo__load_acquire(&g->plan) : NULL;
    uint32_t e = p && a->ref[0] < p->slots_count ? p->by_slot[a->ref[0]] : UINT32_MAX;
    bool secure = e != UINT32_MAX && p->view->entries[e].secure;
    memo__reader_leave(r);
    return secure;
}

memo_status memo_call_inject(const memo_call *call, const memo_attempt *a, char *buf, size_t n, memo_header *out, uint32_t max, uint32_t *count)
{
    const struct memo__record *k = (const struct memo__record *)(const void *)call;
    if (!call || !a || a->size < sizeof *a || (!buf && n) || (!out && max) || !count)
        return MEMO_E_ARGUMENT;
    *count = 0;
    if (!begun(k) || a->number < 1 || a->number > k->attempts)
        return MEMO_E_STATE;
    return memo__headers_of_attempt(&k->trace, k->id + (uint64_t)a->number * SPAN_STEP, a->timeout_ms, (uint32_t)a->number, buf, n, out, max, count);
}

/* report */

static void tell_breaker(struct memo__governor *g, enum memo__breaker_turn turn, const struct memo__breaker_rule *rule, const char *subject,
                         const struct memo__breaker_facts *f)
{
    static const char *const turns[] = { "", "closed -> open", "half-open -> closed", "half-open -> open" };
    char text[128];
    bool by_slow = memo__breaker_reached(f->slow, f->calls, rule->slow) && !memo__breaker_reached(f->failed, f->calls, rule->failed);
    if (by_slow) /* what opened it comes first */
        (void)snprintf(text, sizeof text, "%s, %u of %u slow, %u failed", turns[turn], f->slow, f->calls, f->failed);
    else
        (void)snprintf(text, sizeof text, "%s, %u of %u failed, %u slow", turns[turn], f->failed, f->calls, f->slow);
    struct memo__turn t = { .kind = MEMO_EVENT_BREAKER, .status = turn == MEMO__BREAKER_TURNED_CLOSED ? MEMO_OK : MEMO_REFUSED_OPEN,
                            .service = g->name, .subject = subject, .text = text };
    g->world->turned(g->world, &t);
}

/* What is not only counted: a turn may come of it. */
APART void teach_breaker_slow(struct memo__governor *g, struct memo__breaker *b, const struct memo__striped *parts, struct memo__stripe s,
                              const struct memo__breaker_rule *rule, const struct memo__permit *permit, memo__instant now, bool failed, bool slow,
                              const char *subject)
{
    struct memo__breaker_facts f = { 0 };
    bool first = failed || slow || memo__breaker_phase_of(memo__load(&b->word)) != MEMO__BREAKER_CLOSED;
    if (first)
        memo__breaker_read(b, parts, rule, now, &f); /* the turn empties the window: what was in it has to be read before */
    enum memo__breaker_turn turn = memo__breaker_report(b, parts, s, rule, *permit, now, failed, slow);
    if (__builtin_expect(turn == MEMO__BREAKER_NOTHING, 1))
        return;
    if (!first)
        memo__breaker_read(b, parts, rule, now, &f); /* a good report that filled minCalls */
    f.calls += first;
    f.failed += failed;
    f.slow += slow;
    memo__breaker_turned(b, &f); /* for whoever is refused by it and asks why */
    tell_breaker(g, turn, rule, subject, &f);
}

IN_LINE void teach_breaker(struct memo__governor *g, struct memo__breaker *b, const struct memo__striped *parts, struct memo__stripe s,
                           const struct memo__breaker_rule *rule, const struct memo__permit *permit, memo__instant now, bool failed, int64_t latency,
                           const char *subject)
{
    bool slow = rule->slow && latency > rule->slower_than;
    if (__builtin_expect(failed || slow || !memo__breaker_report_good(b, parts, s, *permit, now), 0))
        teach_breaker_slow(g, b, parts, s, rule, permit, now, failed, slow, subject);
}

static const char *id_of(const struct memo__plan *p, uint32_t slot)
{
    uint32_t e = slot < p->slots_count ? p->by_slot[slot] : UINT32_MAX;
    return e == UINT32_MAX ? "" : memo__view_text(p->view, p->view->entries[e].id);
}

APART void teach_outlier(struct memo__governor *g, const struct memo__plan *p, const struct memo__try *t, memo__instant now, bool failed)
{
    struct memo__endpoint_state *e = memo__fleet_state(&g->fleet, t->slot);
    const struct memo__service_rules *s = p->service;
    enum memo__outlier_turn turn = memo__outlier_report(&g->outlier, e, &s->outlier, t->generation, p->view->count, now, failed);
    if (__builtin_expect(turn == MEMO__OUTLIER_NOTHING, 1))
        return;
    char text[128];
    (void)snprintf(text, sizeof text, "%sejected for %lld ms: %u failures in a row", turn == MEMO__OUTLIER_EJECTED ? "" : "would be ",
                   (long long)(s->outlier.eject_for / MEMO__MS), s->outlier.consecutive_failures);
    struct memo__turn told = { .kind = MEMO_EVENT_EJECTION, .service = g->name, .subject = id_of(p, t->slot), .text = text };
    g->world->turned(g->world, &told);
}

/* The breaker that let this call in: most likely where it was. */
static inline struct memo__organ *breaker_of(const struct memo__plan *p, const struct memo__record *k)
{
    if (!k->breaker)
        return NULL;
    struct memo__organ *o = k->route < MEMO__ROUTES_MAX ? p->admitting[k->route] : NULL;
    return o && o->id == k->breaker ? o : memo__plan_organ(p, k->breaker);
}

/* Likewise, if its rule is this route's. A reload may have given the route another breaker: then the one that let the call in has windows of another length than this rule's, and is
 * told nothing but that a probe is over. */
static struct memo__organ *breaker_of_route(const struct memo__plan *p, const struct memo__record *k, const struct memo__route_rule *route)
{
    struct memo__organ *o = breaker_of(p, k);
    if (!o || o == p->admitting[route - p->routes])
        return o;
    if (k->permit.epoch != MEMO__NO_EPOCH)
        memo__breaker_cancel(o->shared, k->permit);
    return NULL;
}

/* The breaker of scope instance of the endpoint. */
APART void teach_its_breaker(struct memo__governor *g, const struct memo__plan *p, struct memo__stripe s, const struct memo__try *t,
                             memo__instant now, int64_t latency, bool failed, const struct memo__route_rule *route)
{
    struct memo__striped parts = memo__fleet_breaker_parts(&g->fleet, t->slot);
    teach_breaker(g, memo__fleet_breaker(&g->fleet, t->slot), &parts, s, &route->breaker, &t->permit, now, failed, latency, id_of(p, t->slot));
}

/* Everybody who learns, learns. o: breaker_of */
IN_LINE void teach(struct memo__governor *g, const struct memo__plan *p, struct memo__stripe s, struct memo__record *k, struct memo__try *t,
                   memo__instant now, int64_t latency, bool failed, const struct memo__route_rule *route, struct memo__organ *o)
{
    const struct memo__fleet_chunk *chunk = memo__fleet_chunk_at(&g->fleet, t->slot);
    struct memo__endpoint_state *state = memo__fleet_state_in(chunk, t->slot);
    bool same = memo__load(&state->generation) == t->generation;
    if (__builtin_expect(same, 1)) {
        int64_t most = route->retry.attempt_timeout, penalty = most > MEMO__FAILURE_PENALTY || !most ? MEMO__FAILURE_PENALTY : most;
        memo__balance_learn(memo__fleet_part_in(chunk, s.index, t->slot), s, p->decay_scale, now, latency, failed, penalty);
        if (__builtin_expect(failed || memo__load(&state->failures), 0) && !g->world->disabled)
            teach_outlier(g, p, t, now, failed);
    }
    if (o)
        teach_breaker(g, o->shared, &o->parts, s, &route->breaker, &k->permit, now, failed, latency, o->name);
    if (__builtin_expect(t->permit.epoch != MEMO__NO_EPOCH, 0) && same)
        teach_its_breaker(g, p, s, t, now, latency, failed, route);
}

/* Nobody learns, everything goes back. */
APART void unlearn(struct memo__governor *g, const struct memo__plan *p, struct memo__reader *r, struct memo__record *k, struct memo__try *t)
{
    struct memo__organ *o = k->breaker ? memo__plan_organ(p, k->breaker) : NULL;
    if (memo__load(&memo__fleet_state(&g->fleet, t->slot)->generation) == t->generation) {
        memo__balance_cancel(&g->fleet, r->stripe, t->slot);
        if (t->permit.epoch != MEMO__NO_EPOCH)
            memo__breaker_cancel(memo__fleet_breaker(&g->fleet, t->slot), t->permit);
    }
    if (o && k->permit.epoch != MEMO__NO_EPOCH)
        memo__breaker_cancel(o->shared, k->permit);
}

/* A failure, or an answer that the rules may list. */
APART bool decide_again(struct memo__governor *g, struct memo__reader *r, struct memo__record *k, struct memo__try *t, const memo_outcome *o,
                        enum memo__verdict verdict, memo__instant now, const struct memo__route_rule *route)
{
    struct memo__retry_plan plan = { .reason = verdict == MEMO__IGNORED ? MEMO__RETRY_CANCELLED : MEMO__RETRY_ATTEMPTS };
    if (verdict != MEMO__IGNORED && !g->world->disabled && k->attempts < MEMO__ATTEMPTS_MAX) {
        struct memo__retry_facts f = { .attempt = k->attempts, .kind = o->kind, .http = o->http_status, .grpc = o->grpc_status, .method = k->method,
                                       .sent = o->kind != MEMO_OUTCOME_CONNECT_FAILED, .left = memo__deadline_left(now, k->deadline),
                                       .retry_after = o->retry_after_ms > 0 ? memo__after_ms(0, o->retry_after_ms) : 0,
                                       .draw = memo__draw_next(&r->draw) };
        memo__retry_plan_next(&route->retry, &f, &g->budget, &g->budget_parts, &plan);
    }
    if (plan.reason == MEMO__RETRY_BUDGET)
        memo__stripe_add64(r->stripe, &memo__governor_part(g, r->stripe.index)->counters.retries_denied, 1);
    t->again = (uint8_t)plan.reason;
    k->budgets[k->attempts - 1u] = memo__standing_budget(g); /* what this retry left, if it was one */
    int64_t wait_ms = plan.wait / MEMO__MS + (plan.wait % MEMO__MS != 0);
    t->wait_ms = (uint16_t)(wait_ms > UINT16_MAX ? UINT16_MAX : wait_ms);
    k->wait_ms = (uint32_t)(wait_ms > UINT32_MAX ? UINT32_MAX : wait_ms);
    return plan.again;
}

/* A reply below 400, and nothing else is said about it: it succeeded, whatever the rules are. */
static inline bool plainly_good(const memo_outcome *o)
{
    return (o->kind | o->verdict) == 0 && o->http_status < 400 && o->grpc_status <= 0;
}

/* The attempt is over, now: what it took. */
IN_LINE int64_t attempt_over(const struct memo__governor *g, struct memo__record *k, struct memo__try *t, memo__instant *now)
{
    *now = k->last = memo__governor_now(g);
    int64_t took = memo__since(*now, k->begun);
    t->end = memo__ticks_of(took);
    t->again = MEMO__RETRY_NOT_NEEDED;
    return memo__since(took, (int64_t)t->start * MEMO__TICK);
}

/* What this outcome says, whatever it is. */
APART void report_any(struct memo__governor *g, const struct memo__plan *p, struct memo__reader *r, struct memo__record *k, const memo_outcome *o,
                      int32_t *again)
{
    struct memo__try *t = &k->tries[k->attempts - 1u];
    const struct memo__route_rule *route = route_of(p, k);
    enum memo__verdict verdict = memo__verdict(o->kind, o->http_status, o->grpc_status, o->verdict);
    bool failed = verdict == MEMO__FAILED;
    memo__instant now;
    int64_t latency = attempt_over(g, k, t, &now);
    memo__count_attempt(r->stripe, &memo__governor_part(g, r->stripe.index)->counters, k->attempts > 1, o);
    t->flags |= (uint8_t)(MEMO__TRY_REPORTED | (failed ? MEMO__TRY_FAILED : verdict == MEMO__IGNORED ? MEMO__TRY_IGNORED : 0));
    t->kind = (uint8_t)o->kind;
    t->http = (int16_t)(o->http_status > 0 ? o->http_status : 0);
    t->grpc = (int8_t)(o->grpc_status > 0 ? o->grpc_status : 0);
    if (failed)
        note(g, p, k, now);
    if (verdict == MEMO__IGNORED)
        unlearn(g, p, r, k, t);
    else
        teach(g, p, r->stripe, k, t, now, latency, failed, route, breaker_of_route(p, k, route));
    if (verdict != MEMO__SUCCEEDED || (o->verdict == MEMO_VERDICT_BY_RULES && (o->http_status >= 400 || o->grpc_status > 0)))
        *again = decide_again(g, r, k, t, o, verdict, now, route);
    k->phase = *again ? MEMO__CALL_READY : MEMO__CALL_DONE;
}

/* A first attempt that went plainly well, under the rules that it began with: nobody has to be asked whether another one is due. */
IN_LINE void report_first(struct memo__governor *g, const struct memo__plan *p, struct memo__stripe s, struct memo__record *k, const memo_outcome *o,
                          struct memo__organ *breaker)
{
    struct memo__try *t = &k->tries[0];
    memo__instant now;
    int64_t latency = attempt_over(g, k, t, &now);
    memo__stripe_add64(s, &memo__governor_part(g, s.index)->counters.attempts[0][o->http_status >= 300 ? MEMO__CLASS_3XX : MEMO__CLASS_2XX], 1);
    t->flags |= MEMO__TRY_REPORTED;
    t->http = (int16_t)(o->http_status > 0 ? o->http_status : 0);
    teach(g, p, s, k, t, now, latency, false, &p->routes[k->route], breaker);
    k->phase = MEMO__CALL_DONE;
}

/* An outcome that is plainly good, of an attempt whose turn it is. */
IN_LINE void report_good(struct memo__governor *g, struct memo__reader *r, struct memo__record *k, const memo_outcome *o, int32_t *again)
{
    const struct memo__plan *p = memo__load_acquire(&g->plan);
    if (__builtin_expect(k->attempts == 1 && r->stripe.exclusive && p->revision == k->revision, 1)) {
        struct memo__organ *breaker = p->admitting[k->route];
        if (__builtin_expect((breaker ? breaker->id : 0) == k->breaker, 1)) {
            report_first(g, p, own_stripe(r), k, o, breaker);
            return;
        }
    }
    report_any(g, p, r, k, o, again);
}

/* Is it this attempt's turn to be reported? */
static inline bool awaited(const struct memo__record *k, const memo_attempt *a)
{
    return k->phase == MEMO__CALL_FLYING && a->number == k->attempts;
}

static bool possible(const memo_outcome *o)
{
    return o->kind >= 0 && o->kind <= MEMO_OUTCOME_CANCELLED && o->verdict >= 0 && o->verdict <= MEMO_VERDICT_IGNORE && o->http_status <= 999 &&
        o->grpc_status <= 16;
}

APART memo_status report_other(struct memo__record *k, const memo_attempt *a, const memo_outcome *o, int32_t *again)
{
    if (!possible(o))
        return MEMO_E_ARGUMENT;
    if (!awaited(k, a))
        return MEMO_E_STATE;
    struct memo__reader *r = memo__reader_enter();
    struct memo__governor *g = governor_of(k);
    if (g)
        report_any(g, memo__load_acquire(&g->plan), r, k, o, again);
    memo__reader_leave(r);
    return g ? MEMO_OK : MEMO_E_STATE;
}

memo_status memo_call_report(memo_call *call, const memo_attempt *a, const memo_outcome *o, int32_t *again)
{
    struct memo__record *k = memo__record_of(call);
    if (!call || !a || a->size < sizeof *a || !o || o->size < sizeof *o || !again)
        return MEMO_E_ARGUMENT;
    *again = 0;
    memo__process_check();
    if (__builtin_expect(!plainly_good(o), 0))
        return report_other(k, a, o, again);
    if (!awaited(k, a))
        return MEMO_E_STATE;
    struct memo__reader *r = memo__reader_enter();
    struct memo__governor *g = governor_of(k);
    if (g)
        report_good(g, r, k, o, again);
    memo__reader_leave(r);
    return g ? MEMO_OK : MEMO_E_STATE;
}

/* end */

/* A call that made no attempt gives back what its gate took; a limit that has changed meanwhile has nothing to take back. */
APART void undo(const struct memo__plan *p, struct memo__reader *r, const struct memo__record *k)
{
    struct memo__organ *o = k->breaker ? memo__plan_organ(p, k->breaker) : NULL;
    if (o && k->permit.epoch != MEMO__NO_EPOCH)
        memo__breaker_cancel(o->shared, k->permit);
    if (p->revision != k->revision)
        return;
    const struct memo__gate *gate = &p->gates[k->route];
    uint32_t taken = p->keyed >> k->route & 1 ? k->taken : ~(uint32_t)k->would; /* who was let in the short way took all */
    for (uint32_t i = 0; i < gate->limits_count; i++) {
        const struct memo__gate_limit *l = &gate->limits[i];
        if (!(taken & MEMO__GATE_LIMIT_BIT(i)))
            continue;
        if (l->limiter)
            memo__limiter_give(l->limiter, &l->parts, r->stripe);
        else
            memo__keyed_give(l->keyed, k->hashes[i]);
    }
}

static enum memo__result result_of(const struct memo__record *k)
{
    const struct memo__try *t = k->attempts ? &k->tries[k->attempts - 1] : NULL;
    if (!t || !(t->flags & MEMO__TRY_REPORTED) || t->flags & MEMO__TRY_IGNORED)
        return MEMO__CALL_CANCELLED;
    return t->flags & MEMO__TRY_FAILED ? MEMO__CALL_FAILED : MEMO__CALL_OK;
}

static inline bool slow(const struct memo__governor *g, int64_t took)
{
    int64_t most = g->world->slow_call;
    return took > most && most;
}

static inline bool holds_permit(const struct memo__plan *p, const struct memo__record *k)
{
    return k->bulkhead && p->bulkhead && p->bulkhead->id == k->bulkhead;
}

/* For somebody who asks later: over, and as things stood now. */
APART void keep(struct memo__governor *g, const struct memo__plan *p, struct memo__record *k)
{
    note(g, p, k, k->last);
    k->phase = MEMO__CALL_ENDED;
    memo__ring_push(&g->world->ring, k);
}

APART void end_any(struct memo__governor *g, const struct memo__plan *p, struct memo__reader *r, struct memo__record *k)
{
    struct memo__governor_part *part = memo__governor_part(g, r->stripe.index);
    enum memo__result result = result_of(k);
    if (holds_permit(p, k))
        memo__bulkhead_leave(p->bulkhead->shared, &p->bulkhead->parts, r->stripe, &p->service->concurrency);
    if (k->phase == MEMO__CALL_FLYING)
        unlearn(g, p, r, k, &k->tries[k->attempts - 1]);
    if (k->phase != MEMO__CALL_REFUSED && !k->attempts && !g->world->disabled)
        undo(p, r, k);
    if (k->phase != MEMO__CALL_REFUSED) {
        if (!k->attempts && memo__refused(k->status))
            memo__count_refusal(r->stripe, &part->counters, k->status);
        else
            memo__count_call(r->stripe, &part->counters, result);
        memo__histogram_add(r->stripe, &part->counters.duration, memo__since(k->last, k->begun));
    }
    if (k->phase == MEMO__CALL_REFUSED || result == MEMO__CALL_FAILED || k->attempts > 1 || slow(g, memo__since(k->last, k->begun)) || k->status)
        keep(g, p, k);
    memo__stripe_add64(r->stripe, &part->ended, 1);
}

/* A call whose first attempt went well needs nothing but to be counted; it is kept if it was slow. */
IN_LINE void end_well(struct memo__governor *g, const struct memo__plan *p, struct memo__stripe s, struct memo__record *k)
{
    struct memo__governor_part *part = memo__governor_part(g, s.index);
    if (holds_permit(p, k))
        memo__bulkhead_leave(p->bulkhead->shared, &p->bulkhead->parts, s, &p->service->concurrency);
    memo__count_call(s, &part->counters, MEMO__CALL_OK);
    int64_t took = memo__since(k->last, k->begun);
    memo__histogram_add(s, &part->counters.duration, took);
    if (__builtin_expect(slow(g, took), 0))
        keep(g, p, k);
    memo__stripe_add64(s, &part->ended, 1);
}

static inline void end(struct memo__governor *g, const struct memo__plan *p, struct memo__reader *r, struct memo__record *k)
{
    uint8_t flags = k->tries[0].flags & (MEMO__TRY_REPORTED | MEMO__TRY_FAILED | MEMO__TRY_IGNORED);
    if (__builtin_expect(k->phase == MEMO__CALL_DONE && k->attempts == 1 && !k->status && flags == MEMO__TRY_REPORTED && r->stripe.exclusive, 1))
        end_well(g, p, own_stripe(r), k);
    else
        end_any(g, p, r, k);
}

void memo_call_end(memo_call *call)
{
    struct memo__record *k = memo__record_of(call);
    if (!call || !begun(k))
        return;
    memo__process_check();
    struct memo__reader *r = memo__reader_enter();
    struct memo__governor *g = governor_of(k);
    if (g)
        end(g, memo__load_acquire(&g->plan), r, k);
    memo__reader_leave(r);
    k->phase = MEMO__CALL_ENDED;
}

const struct memo__record *memo__record_read(const memo_call *call)
{
    const struct memo__record *k = (const struct memo__record *)(const void *)call;
    uint32_t seal = (uint32_t)k->ticket;
    bool ours = k->size >= sizeof *call && seal > MEMO__SEAL && seal - MEMO__SEAL <= memo__load(&memo__process_number);
    return ours && k->phase != MEMO__CALL_NONE && k->phase <= MEMO__CALL_ENDED && k->attempts <= MEMO__ATTEMPTS_MAX ? k : NULL;
}
