/* SPDX-License-Identifier: Apache-2.0 */
/* engine.c: see engine.h. */
#include "engine.h"

#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/hash.h"
#include "policy/deadline.h"
#include "policy/slow_start.h"

#define PROBE_LEASE_LEAST MEMO__S

static const struct memo__stripe here = { 0, true };

static struct memo__striped one(void *part, size_t bytes)
{
    return (struct memo__striped){ part, (uint32_t)bytes, 1 };
}

static void *lines(size_t bytes)
{
    bytes = (bytes + MEMO__LINE - 1) & ~(size_t)(MEMO__LINE - 1);
    void *p = aligned_alloc(MEMO__LINE, bytes);
    if (!p)
        abort(); /* a test's own memory */
    return memset(p, 0, bytes);
}

/* Candidates */

static const char *label_of(const void *endpoint, const char *name)
{
    const struct endpoint *p = endpoint;
    for (uint32_t i = 0; i < p->labels_count; i++)
        if (strcmp(p->labels[i].name, name) == 0)
            return p->labels[i].value;
    return NULL;
}

static size_t name_of(const void *of, uint32_t i, char buf[MEMO__BALANCE_NAME])
{
    const struct pool *p = of;
    const char *address = p->engine->endpoints[p->slots[i]].address;
    size_t n = strnlen(address, MEMO__BALANCE_NAME);
    memcpy(buf, address, n);
    return n;
}

static void pool_build(struct engine *e, struct pool *p, const struct memo__subset *subset)
{
    p->slots = lines((e->endpoints_count + 1) * sizeof *p->slots);
    p->weights = lines((e->endpoints_count + 1) * sizeof *p->weights);
    p->from = (struct memo__candidates){ .slots = p->slots, .weights = p->weights };
    for (uint32_t i = 0; i < e->endpoints_count; i++) {
        if (subset && !memo__subset_matches(subset, label_of, &e->endpoints[i]))
            continue;
        p->slots[p->from.count] = i;
        p->weights[p->from.count++] = e->endpoints[i].weight;
        p->from.weighted += e->endpoints[i].weight != 0;
    }
    memo__slow_start_see(&p->from, &e->fleet, &e->service->balance.slow_start);
    const struct memo__balancer *b = memo__balancer_of(e->service->balance.policy);
    size_t scratch_bytes = 0, bytes = b->size && p->from.count ? b->size(&p->from, &e->service->balance, &scratch_bytes) : 0;
    if (!bytes)
        return;
    void *scratch = lines(scratch_bytes);
    const struct memo__balance_names names = { name_of, p };
    p->engine = e;
    b->build(&p->from, &e->service->balance, &names, p->table = lines(bytes), scratch);
    p->from.table = p->table;
    free(scratch);
}

struct pool *call_pool(struct engine *e, const struct call *c)
{
    return &e->pools[c->subset == MEMO__NO_INDEX ? MEMO__SUBSETS_MAX : c->subset];
}

static void pools_build(struct engine *e)
{
    for (uint32_t i = 0; i < e->service->subsets_count; i++)
        pool_build(e, &e->pools[i], &e->service->subsets[i]);
    pool_build(e, &e->pools[MEMO__SUBSETS_MAX], NULL);
}

/* Organs */

static void fleet_build(struct engine *e)
{
    memo__fleet_init(&e->fleet, 1);
    for (uint32_t k = 0, slots = 0; slots < e->endpoints_count; slots += 64u << k, k++) {
        memo__fleet_chunk_attach(&e->fleet, k, e->blocks[2 * k] = lines(memo__fleet_chunk_size(k, 1)));
        memo__fleet_breakers_attach(&e->fleet, k, e->blocks[2 * k + 1] = lines(memo__fleet_breakers_size(k, 1)));
    }
    for (uint32_t i = 0; i < e->endpoints_count; i++)
        memo__fleet_state(&e->fleet, i)->joined = e->endpoints[i].joined;
}

static void organs_build(struct engine *e)
{
    const struct memo__service_rules *s = e->service;
    e->breakers = lines((s->routes_count + 1) * sizeof *e->breakers);
    e->limits = lines((s->limits_count + 1) * sizeof *e->limits);
    for (uint32_t i = 0; i < s->limits_count; i++) {
        struct organ_limit *l = &e->limits[i];
        struct memo__striped parts = one(&l->part, sizeof l->part);
        memo__limiter_init(&l->shared, &parts, &s->limits[i]);
        if (s->limits[i].by_header == MEMO__NO_INDEX)
            continue;
        l->keyed = lines(memo__keyed_size(KEYS));
        memo__keyed_init(l->keyed, KEYS, &s->limits[i]);
    }
    struct memo__striped parts = one(&e->bulkhead_part, sizeof e->bulkhead_part), deposits = one(&e->budget_part, sizeof e->budget_part);
    memo__bulkhead_init(&e->bulkhead, &parts, &s->concurrency);
    memo__budget_init(&e->budget, &deposits);
}

static void tell(void *user, const struct memo__finding *f)
{
    char *said = user;
    if (f->error && !*said)
        (void)strncpy(said, f->message, 255);
}

const char *engine_begin(struct engine *e, const char *rules, size_t bytes, const char *service)
{
    static char said[256];
    memset(said, 0, sizeof said);
    if (memo__rules_compile(&memo__alloc_default, rules, bytes, tell, said, &e->rules) != MEMO_OK)
        return *said ? said : "the rules do not compile";
    e->service = memo__rules_for(e->rules, (struct memo__text){ service, strlen(service) });
    memo__wants_init(&e->wants, e->service);
    fleet_build(e);
    pools_build(e);
    organs_build(e);
    return NULL;
}

void engine_end(struct engine *e)
{
    for (uint32_t i = 0; e->service && i < e->service->limits_count; i++)
        free(e->limits[i].keyed);
    for (uint32_t i = 0; i <= MEMO__SUBSETS_MAX; i++) {
        free(e->pools[i].slots);
        free(e->pools[i].weights);
        free(e->pools[i].table);
    }
    for (uint32_t i = 0; i < 2 * MEMO__FLEET_CHUNKS; i++)
        free(e->blocks[i]);
    free(e->breakers);
    free(e->limits);
    memo__rules_free(e->rules);
}

struct organ_breaker *engine_breaker(struct engine *e, uint32_t route)
{
    const struct memo__breaker_rule *rule = &e->service->routes[route].breaker;
    if (!rule->on || rule->scope == MEMO__SCOPE_INSTANCE)
        return NULL;
    return &e->breakers[rule->scope == MEMO__SCOPE_ROUTE ? route : e->service->routes_count];
}

/* Calls */

/* A limit by a header that the call does not have does not hold. */
static void gate_build(struct engine *e, struct call *c, const struct asked *asked)
{
    const struct memo__route_rule *route = &e->service->routes[c->route];
    struct organ_breaker *b = engine_breaker(e, c->route);
    struct memo__gate *g = &c->gate;
    *g = (struct memo__gate){ 0 };
    if (b)
        g->breakers[g->breakers_count++] = (struct memo__gate_breaker){ .breaker = &b->shared, .rule = &route->breaker };
    for (uint32_t i = 0; i < route->limits_count; i++) {
        struct organ_limit *l = &e->limits[route->limits[i]];
        const struct memo__limit_rule *rule = &e->service->limits[route->limits[i]];
        const struct memo__text *value = l->keyed ? &asked->values[rule->by_header] : NULL;
        if (value && !value->at)
            continue;
        c->limit_of[g->limits_count] = route->limits[i];
        g->limits[g->limits_count++] = (struct memo__gate_limit){ .limiter = &l->shared, .parts = one(&l->part, sizeof l->part), .keyed = l->keyed,
                                                                  .hash = value ? memo__hash(0, value->at, value->n) : 0, .rule = rule };
    }
    if (e->service->concurrency.on) {
        g->bulkhead = &e->bulkhead;
        g->bulkhead_parts = one(&e->bulkhead_part, sizeof e->bulkhead_part);
        g->concurrency = &e->service->concurrency;
    }
}

static void hash(const struct engine *e, struct call *c, const struct asked *asked)
{
    const struct memo__balance_rule *b = &e->service->balance;
    struct memo__text key = asked->key;
    if (b->hash_on == MEMO__HASH_ON_PATH)
        key = (struct memo__text){ asked->path.at, strcspn(asked->path.at, "?") };
    else if (b->hash_on == MEMO__HASH_ON_HEADER)
        key = b->hash_header == MEMO__NO_INDEX ? (struct memo__text){ NULL, 0 } : asked->values[b->hash_header];
    c->hashed = key.at != NULL;
    c->hash = key.at ? memo__xxh64(0, key.at, key.n) : 0;
}

int32_t call_begin(struct engine *e, struct call *c, const struct asked *asked, memo__instant now, uint64_t draw)
{
    struct memo__route_facts facts = { asked->method, asked->path, 0, asked->values };
    for (uint32_t i = 0; i < e->service->wants_count; i++)
        facts.present |= (asked->values[i].at ? UINT32_C(1) : 0) << i;
    *c = (struct call){ .open = true, .method = asked->method };
    c->route = memo__route_match(e->service, &facts, &c->why);
    const struct memo__route_rule *route = &e->service->routes[c->route];
    c->subset = memo__route_split(route, draw);
    hash(e, c, asked);
    c->deadline = memo__deadline(now, route->timeout, asked->timeout, asked->inherited);
    int64_t left = memo__deadline_left(now, c->deadline);
    if (left == 0)
        return c->status = MEMO_REFUSED_DEADLINE;
    gate_build(e, c, asked);
    c->status = memo__gate_enter(&c->gate, here, now, left > PROBE_LEASE_LEAST ? left : PROBE_LEASE_LEAST, &c->result);
    struct memo__striped deposits = one(&e->budget_part, sizeof e->budget_part);
    if (c->status == MEMO_OK)
        memo__budget_deposit(&deposits, here, &route->retry);
    return c->status;
}

static int32_t pick(struct engine *e, struct call *c, memo__instant now, uint64_t draw, struct memo__pick *picked, struct memo__permit *permit)
{
    const struct memo__breaker_rule *own = &e->service->routes[c->route].breaker;
    bool enters = own->on && own->scope == MEMO__SCOPE_INSTANCE, observes = enters && own->mode == MEMO__OBSERVE;
    struct memo__pick_request q = { .fleet = &e->fleet, .from = &call_pool(e, c)->from, .rule = &e->service->balance, .instance_breaker = enters && !observes ? own : NULL,
                                    .stripe = here, .stripes_active = 1, .cursor = &call_pool(e, c)->cursor, .now = now, .draw = draw,
                                    .hash = c->hashed ? c->hash : draw, .ejected = e->outlier.ejected };
    for (; q.tried_count < c->attempts; q.tried_count++)
        q.tried[q.tried_count] = c->tries[q.tried_count].slot;
    *permit = (struct memo__permit){ MEMO__NO_EPOCH, MEMO__NO_PROBE, 0, 0 };
    int32_t status = memo__balance_pick(&q, picked);
    int64_t left = memo__deadline_left(now, c->deadline);
    if (status == MEMO_OK && enters && !memo__breaker_admit(memo__fleet_breaker(&e->fleet, picked->slot), own, now, left > PROBE_LEASE_LEAST ? left : PROBE_LEASE_LEAST, permit))
        return observes ? MEMO_OK : MEMO_REFUSED_OPEN;
    return status;
}

int32_t call_next(struct engine *e, struct call *c, memo__instant now, uint64_t draw, struct memo__pick *picked, int64_t *timeout)
{
    uint32_t returned[16];
    struct memo__permit permit;
    *timeout = memo__deadline_attempt(now, c->deadline, e->service->routes[c->route].retry.attempt_timeout);
    if (*timeout == 0)
        return MEMO_REFUSED_DEADLINE;
    if (memo__outlier_due(&e->outlier, now))
        (void)memo__outlier_sweep(&e->outlier, &e->fleet, &e->pools[MEMO__SUBSETS_MAX].from, now, returned, 16);
    int32_t status = pick(e, c, now, draw, picked, &permit);
    if (status != MEMO_OK)
        return status;
    memo__balance_start(&e->fleet, here, picked->slot);
    c->tries[c->attempts++] = (struct attempt){ picked->slot, memo__fleet_state(&e->fleet, picked->slot)->generation, permit, now };
    c->flying = true;
    return MEMO_OK;
}

static enum memo__breaker_turn teach_breaker(struct memo__breaker *b, struct memo__striped parts, const struct memo__breaker_rule *rule, struct memo__permit permit,
                                             memo__instant now, bool failed, int64_t latency)
{
    return memo__breaker_report(b, &parts, here, rule, permit, now, failed, rule->slow && latency > rule->slower_than);
}

static void teach(struct engine *e, struct call *c, struct attempt *a, memo__instant now, bool failed, struct told *told)
{
    const struct memo__route_rule *route = &e->service->routes[c->route];
    struct organ_breaker *b = engine_breaker(e, c->route);
    int64_t latency = memo__since(now, a->start), penalty = route->retry.attempt_timeout;
    if (penalty == 0 || penalty > MEMO__FAILURE_PENALTY)
        penalty = MEMO__FAILURE_PENALTY;
    memo__balance_done(&e->fleet, here, a->slot, &e->service->balance, now, latency, failed, penalty);
    told->ejection = memo__outlier_report(&e->outlier, memo__fleet_state(&e->fleet, a->slot), &e->service->outlier, a->generation, e->endpoints_count, now, failed);
    if (b)
        told->turn = teach_breaker(&b->shared, one(&b->part, sizeof b->part), &route->breaker, c->result.permits[0], now, failed, latency);
    else if (a->permit.epoch != MEMO__NO_EPOCH)
        told->turn = teach_breaker(memo__fleet_breaker(&e->fleet, a->slot), memo__fleet_breaker_parts(&e->fleet, a->slot), &route->breaker, a->permit, now, failed, latency);
}

static void unlearn(struct engine *e, struct call *c, struct attempt *a)
{
    memo__balance_cancel(&e->fleet, here, a->slot);
    if (a->permit.epoch != MEMO__NO_EPOCH)
        memo__breaker_cancel(memo__fleet_breaker(&e->fleet, a->slot), a->permit);
    if (c->result.taken & MEMO__GATE_BREAKER_BIT(0))
        memo__breaker_cancel(c->gate.breakers[0].breaker, c->result.permits[0]);
}

void call_report(struct engine *e, struct call *c, const struct outcome *o, memo__instant now, uint64_t draw, struct told *told)
{
    struct attempt *a = &c->tries[c->attempts - 1];
    const struct memo__route_rule *route = &e->service->routes[c->route];
    struct memo__striped deposits = one(&e->budget_part, sizeof e->budget_part);
    *told = (struct told){ .verdict = memo__verdict(o->kind, o->http, o->grpc, o->word) };
    c->flying = false;
    if (told->verdict == MEMO__IGNORED)
        unlearn(e, c, a);
    else
        teach(e, c, a, now, told->verdict == MEMO__FAILED, told);
    struct memo__retry_facts f = { .attempt = c->attempts, .kind = told->verdict == MEMO__IGNORED ? MEMO_OUTCOME_CANCELLED : o->kind, .http = o->http, .grpc = o->grpc,
                                   .method = c->method, .sent = o->kind != MEMO_OUTCOME_CONNECT_FAILED, .left = memo__deadline_left(now, c->deadline),
                                   .retry_after = o->retry_after, .draw = draw };
    memo__retry_plan_next(&route->retry, &f, &e->budget, &deposits, &told->plan);
}

void call_end(struct engine *e, struct call *c)
{
    if (!c->open)
        return;
    c->open = false;
    if (c->flying)
        unlearn(e, c, &c->tries[c->attempts - 1]);
    if (c->status != MEMO_OK)
        return;
    if (c->attempts)
        memo__gate_leave(&c->gate, here, &c->result);
    else
        memo__gate_undo(&c->gate, here, &c->result);
}
