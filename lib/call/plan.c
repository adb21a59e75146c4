/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c: joining a view to the rules. Control side; nothing here is hot. */
#include "call/plan.h"
#include <memo/status.h>
#include <stdio.h>
#include <string.h>
#include "base/hash.h"
#include "call/governor.h"
#include "policy/bulkhead.h"
#include "policy/limiter.h"
#include "policy/limiter_keyed.h"
#include "policy/route.h"
#include "policy/shed.h"
#include "policy/slow_start.h"

#define KEYS 2048 /* header values that a limit by header tells apart at once; beyond, the fullest bucket is forgotten, which costs its key nothing */

void memo__view_drop(struct memo__view *v)
{
    if (v && __atomic_sub_fetch(&v->refs, 1, __ATOMIC_ACQ_REL) == 0)
        memo__view_free(v);
}

void memo__rules_drop(struct memo__rules *r)
{
    if (r && __atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL) == 0)
        memo__rules_free(r);
}

/* Organs. */

struct want { enum memo__organ_kind kind; const char *name; uint64_t shape; size_t shared_bytes, part_bytes; };

static void organ_drop(const struct memo__alloc *a, struct memo__organ *o)
{
    if (!o || --o->refs)
        return;
    memo__drop_lines(a, o->shared);
    memo__drop_lines(a, o->parts.base);
    memo__drop(a, o);
}

static struct memo__organ *organ_new(struct memo__governor *g, const struct want *w)
{
    const struct memo__alloc *a = g->world->alloc;
    struct memo__organ *o = memo__get(a, sizeof *o);
    if (!o)
        return NULL;
    *o = (struct memo__organ){ .id = ++g->next_organ, .refs = 1, .kind = w->kind, .shape = w->shape };
    (void)memo__text_copy(o->name, sizeof o->name, memo__text_of(w->name));
    uint32_t stripes = memo__stripes_count(), stride = (uint32_t)((w->part_bytes + MEMO__LINE - 1) / MEMO__LINE * MEMO__LINE);
    o->shared = memo__get_lines(a, w->shared_bytes);
    if (stride)
        o->parts = (struct memo__striped){ memo__get_lines(a, (size_t)stride * stripes), stride, stripes };
    if (o->shared && (!stride || o->parts.base))
        return o;
    organ_drop(a, o);
    return NULL;
}

static struct memo__organ *find(const struct memo__plan *p, enum memo__organ_kind kind, const char *name)
{
    struct memo__organ *found = NULL;
    if (!p)
        return NULL;
    if (kind == MEMO__ORGAN_BREAKER)
        return p->breaker;
    if (kind == MEMO__ORGAN_BULKHEAD)
        return p->bulkhead;
    if (kind == MEMO__ORGAN_SHED)
        return p->shed;
    for (uint32_t i = 0; i < p->service->routes_count && !found; i++)
        if (p->route_breakers[i] && p->route_breakers[i]->kind == kind && strcmp(p->route_breakers[i]->name, name) == 0)
            found = p->route_breakers[i];
    for (uint32_t i = 0; i < p->service->limits_count && !found; i++)
        if (p->limits[i] && p->limits[i]->kind == kind && strcmp(p->limits[i]->name, name) == 0)
            found = p->limits[i];
    return found;
}

struct joining { struct memo__governor *governor; const struct memo__plan *before; };

static struct memo__organ *organ(const struct joining *j, const struct want *w)
{
    struct memo__organ *o = find(j->before, w->kind, w->name);
    if (o && o->shape == w->shape) {
        o->refs++;
        return o;
    }
    return organ_new(j->governor, w);
}

static struct memo__organ *breaker_organ(const struct joining *j, enum memo__organ_kind kind, const char *name, const struct memo__breaker_rule *rule)
{
    uint64_t shape = memo__mix64((uint64_t)rule->window);
    struct want w = { kind, name, shape, sizeof(struct memo__breaker), sizeof(struct memo__breaker_part) };
    struct memo__organ *o = organ(j, &w);
    if (o && o->refs == 1)
        memo__breaker_init(o->shared, &o->parts);
    return o;
}

static struct memo__organ *limit_organ(const struct joining *j, const struct memo__limit_rule *rule)
{
    bool keyed = rule->by_header != MEMO__NO_INDEX;
    uint64_t parameters[3] = { rule->count, (uint64_t)rule->period, rule->burst };
    struct want w = { keyed ? MEMO__ORGAN_KEYED_LIMIT : MEMO__ORGAN_LIMIT, rule->name, memo__hash(keyed, parameters, sizeof parameters),
                      keyed ? memo__keyed_size(KEYS) : sizeof(struct memo__limiter), keyed ? 0 : sizeof(struct memo__lease_part) };
    struct memo__organ *o = organ(j, &w);
    if (o && o->refs == 1) {
        if (keyed)
            memo__keyed_init(o->shared, KEYS, rule);
        else
            memo__limiter_init(o->shared, &o->parts, rule);
    }
    return o;
}

/* Permits that are out must come back to where they are from: another max or exactness changes the organ instead of replacing it; see memo__plan_follow. */
static struct memo__organ *bulkhead_organ(const struct joining *j, const struct memo__concurrency_rule *rule)
{
    struct want w = { MEMO__ORGAN_BULKHEAD, "concurrency", 0, sizeof(struct memo__bulkhead), sizeof(struct memo__lease_part) };
    struct memo__organ *o = organ(j, &w);
    if (o && o->refs == 1)
        memo__bulkhead_init(o->shared, &o->parts, rule);
    return o;
}

/* Other bounds hold from the end of the window on: the organ stays, and with it what it has found out. */
static struct memo__organ *shed_organ(const struct joining *j, const struct memo__shed_rule *rule)
{
    struct want w = { MEMO__ORGAN_SHED, "shed", 0, sizeof(struct memo__shed), MEMO__SHED_PART };
    struct memo__organ *o = organ(j, &w);
    if (o && o->refs == 1)
        memo__shed_init(o->shared, &o->parts, rule);
    return o;
}

/* All organs of the service; false: no memory. */
static bool organs(struct memo__plan *p, const struct joining *j)
{
    const struct memo__service_rules *s = p->service;
    const struct memo__breaker_rule *whole = &s->routes[s->routes_count - 1].breaker;
    bool good = true;
    if (whole->on && whole->scope == MEMO__SCOPE_SERVICE)
        good = (p->breaker = breaker_organ(j, MEMO__ORGAN_BREAKER, "service", whole)) != NULL;
    for (uint32_t i = 0; i < s->routes_count && good; i++) {
        const struct memo__breaker_rule *b = &s->routes[i].breaker;
        p->instance_breakers = p->instance_breakers || (b->on && b->scope == MEMO__SCOPE_INSTANCE);
        if (b->on && b->scope == MEMO__SCOPE_ROUTE)
            good = (p->route_breakers[i] = breaker_organ(j, MEMO__ORGAN_ROUTE_BREAKER, s->routes[i].name, b)) != NULL;
    }
    for (uint32_t i = 0; i < s->limits_count && good; i++)
        good = (p->limits[i] = limit_organ(j, &s->limits[i])) != NULL;
    if (s->concurrency.on && good)
        good = (p->bulkhead = bulkhead_organ(j, &s->concurrency)) != NULL;
    if (s->shed.on && good)
        good = (p->shed = shed_organ(j, &s->shed)) != NULL;
    return good;
}

/* One gate for each route, complete but for the hashes of keyed limits. */
static bool gates(struct memo__plan *p)
{
    const struct memo__service_rules *s = p->service;
    if (!(p->gates = memo__get_array(&p->alloc, s->routes_count, sizeof *p->gates)))
        return false;
    for (uint32_t i = 0; i < s->routes_count; i++) {
        struct memo__gate *g = &p->gates[i];
        const struct memo__route_rule *r = &s->routes[i];
        struct memo__organ *b = p->route_breakers[i] ? p->route_breakers[i] : r->breaker.on && r->breaker.scope == MEMO__SCOPE_SERVICE ? p->breaker : NULL;
        p->admitting[i] = b;
        if (b)
            g->breakers[g->breakers_count++] = (struct memo__gate_breaker){ b->shared, &r->breaker, b->id };
        for (uint32_t n = 0; n < r->limits_count; n++) {
            struct memo__organ *o = p->limits[r->limits[n]];
            p->keyed |= (uint64_t)(o->kind == MEMO__ORGAN_KEYED_LIMIT) << i;
            g->limits[g->limits_count++] = (struct memo__gate_limit){ .limiter = o->kind == MEMO__ORGAN_LIMIT ? o->shared : NULL, .parts = o->parts,
                                                                      .keyed = o->kind == MEMO__ORGAN_KEYED_LIMIT ? o->shared : NULL, .rule = &s->limits[r->limits[n]] };
        }
        if (p->bulkhead) {
            g->bulkhead = p->bulkhead->shared;
            g->bulkhead_id = p->bulkhead->id;
            g->bulkhead_parts = p->bulkhead->parts;
            g->concurrency = &s->concurrency;
        }
    }
    return true;
}

/* Candidates. */

static bool pickable(const struct memo__view_entry *e)
{
    return e->healthy && e->weight > 0;
}

static bool in_subset(const struct memo__view *v, const struct memo__view_entry *e, const struct memo__subset *s)
{
    for (uint32_t i = 0; i < s->labels_count; i++) {
        const char *value = memo__view_label(v, e, s->labels[i].name);
        if (!value || strcmp(value, s->labels[i].value) != 0)
            return false;
    }
    return true;
}

/* Where the pools go. */
struct room { struct memo__lot *lots; uint32_t *words; };

static void pool_fill(struct memo__pool *pool, const struct memo__plan *p, const struct memo__fleet *f, const struct memo__subset *s, struct room *at)
{
    const struct memo__view *v = p->view;
    uint32_t n = 0, k = 0;
    for (uint32_t i = 0; i < v->count; i++)
        n += pickable(&v->entries[i]) && (!s || in_subset(v, &v->entries[i], s));
    uint32_t *slots = at->words, *weights = slots + n;
    bool drawn = n >= 2 && p->service->balance.policy == MEMO__BALANCE_PEAK_EWMA;
    for (uint32_t i = 0; i < v->count && k < n; i++) {
        const struct memo__view_entry *e = &v->entries[i];
        if (!pickable(e) || (s && !in_subset(v, e, s)))
            continue;
        slots[k] = e->slot;
        weights[k] = e->weight;
        if (drawn)
            at->lots[k] = memo__lot_of(f, e->slot, e->weight, i);
        k++;
    }
    pool->from = (struct memo__candidates){ .slots = slots, .weights = weights, .count = n };
    memo__slow_start_see(&pool->from, f, &p->service->balance.slow_start);
    pool->lots = drawn ? at->lots : NULL;
    at->words += 2 * (size_t)n;
    at->lots += drawn ? n : 0;
}

static uint32_t slots_count(const struct memo__view *v)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < v->count; i++)
        most = v->entries[i].slot >= most ? v->entries[i].slot + 1 : most;
    return most;
}

/* Places in pools: every endpoint has one in `all`, and one in each subset that it is in. */
static size_t places(const struct memo__plan *p)
{
    const struct memo__view *v = p->view;
    size_t n = v->count;
    for (uint32_t s = 0; s < p->service->subsets_count; s++)
        for (uint32_t i = 0; i < v->count; i++)
            n += in_subset(v, &v->entries[i], &p->service->subsets[s]);
    return n;
}

static bool pools(struct memo__plan *p, const struct memo__fleet *f)
{
    size_t n = places(p), lots = p->service->balance.policy == MEMO__BALANCE_PEAK_EWMA ? n * sizeof(struct memo__lot) : 0;
    p->slots_count = slots_count(p->view);
    p->memory = memo__get(&p->alloc, lots + (2 * n + p->slots_count + 1) * sizeof(uint32_t));
    if (!p->memory)
        return false;
    struct room at = { p->memory, (uint32_t *)(void *)((char *)p->memory + lots) };
    p->by_slot = at.words;
    memset(p->by_slot, 0xff, p->slots_count * sizeof *p->by_slot);
    for (uint32_t i = 0; i < p->view->count; i++)
        p->by_slot[p->view->entries[i].slot] = i;
    at.words += p->slots_count;
    pool_fill(&p->all, p, f, NULL, &at);
    for (uint32_t s = 0; s < p->service->subsets_count; s++)
        pool_fill(&p->subsets[s], p, f, &p->service->subsets[s], &at);
    return true;
}

/* Tables. What the balancer builds of a pool's candidates is kept for as long as they are the same, whatever else is in the view or the rules. */

static uint64_t shape_of(const struct memo__candidates *c, const struct memo__view *v, const uint32_t *by_slot, const struct memo__balance_rule *rule)
{
    uint64_t seed = (uint64_t)rule->policy << 48 ^ (uint64_t)rule->min_ring << 24 ^ rule->max_ring;
    uint64_t h = memo__hash(memo__mix64(seed), c->weights, c->count * sizeof *c->weights);
    for (uint32_t i = 0; i < c->count; i++)
        h = memo__mix64(h ^ ((uint64_t)c->slots[i] << 32 | v->entries[by_slot[c->slots[i]]].generation));
    return h | 1;
}

static struct memo__table *table_like(const struct memo__plan *p, uint64_t shape)
{
    if (p && p->all.table && p->all.table->shape == shape)
        return p->all.table;
    for (uint32_t i = 0; p && i < p->service->subsets_count; i++)
        if (p->subsets[i].table && p->subsets[i].table->shape == shape)
            return p->subsets[i].table;
    return NULL;
}

/* Candidates of a pool, by the names that rings know them by: those of Envoy. */
struct naming { const struct memo__plan *plan; const struct memo__candidates *from; };

static size_t name(const void *of, uint32_t i, char buf[MEMO__BALANCE_NAME])
{
    const struct naming *n = of;
    const struct memo__view *v = n->plan->view;
    const struct memo__view_entry *e = &v->entries[n->plan->by_slot[n->from->slots[i]]];
    const char *address = memo__view_text(v, e->address);
    return (size_t)snprintf(buf, MEMO__BALANCE_NAME, strchr(address, ':') ? "[%s]:%u" : "%s:%u", address, e->port);
}

static struct memo__table *table_new(const struct memo__plan *p, const struct memo__pool *pool, uint64_t shape)
{
    const struct memo__balance_rule *rule = &p->service->balance;
    const struct memo__balancer *b = memo__balancer_of(rule->policy);
    size_t scratch_bytes, bytes = b->size(&pool->from, rule, &scratch_bytes);
    struct memo__table *t = memo__get(&p->alloc, sizeof *t + bytes);
    void *scratch = t ? memo__get(&p->alloc, scratch_bytes) : NULL;
    if (!scratch) {
        memo__drop(&p->alloc, t);
        return NULL;
    }
    *t = (struct memo__table){ .shape = shape };
    struct naming naming = { p, &pool->from };
    struct memo__balance_names names = { name, &naming };
    b->build(&pool->from, rule, &names, t + 1, scratch);
    memo__drop(&p->alloc, scratch);
    return t;
}

static bool table(struct memo__plan *p, const struct memo__plan *before, struct memo__pool *pool)
{
    if (!pool->from.count)
        return true;
    uint64_t shape = shape_of(&pool->from, p->view, p->by_slot, &p->service->balance);
    struct memo__table *t = table_like(before, shape);
    if (!t && !(t = table_new(p, pool, shape)))
        return false;
    t->refs++;
    pool->table = t;
    pool->from.table = t + 1;
    return true;
}

static bool tables(struct memo__plan *p, const struct memo__plan *before)
{
    if (!memo__balancer_of(p->service->balance.policy)->size)
        return true;
    bool good = table(p, before, &p->all);
    for (uint32_t i = 0; i < p->service->subsets_count && good; i++)
        good = table(p, before, &p->subsets[i]);
    return good;
}

static void table_drop(const struct memo__alloc *a, struct memo__table *t)
{
    if (t && --t->refs == 0)
        memo__drop(a, t);
}

/* The newest of those that have left, copied: readers must not look at the governor's own list. */
static bool gone(struct memo__plan *p, const struct memo__governor *g)
{
    uint32_t most = g->departed_count < MEMO__GONE_MAX ? g->departed_count : MEMO__GONE_MAX;
    if (most && !(p->gone = memo__get_array(&p->alloc, most, sizeof *p->gone)))
        return false;
    for (uint32_t i = g->departed_count; i-- > 0 && p->gone_count < most;) {
        const struct memo__departed *d = &g->departed[i];
        if (d->back)
            continue;
        struct memo__gone *n = &p->gone[p->gone_count++];
        *n = (struct memo__gone){ d->slot, memo__load(&memo__fleet_state(&g->fleet, d->slot)->generation), "" };
        memcpy(n->id, d->id, sizeof d->id);
    }
    return true;
}

memo_status memo__plan_new(struct memo__governor *g, const struct memo__plan *before, struct memo__view *v, struct memo__rules *r, struct memo__plan **out)
{
    struct memo__plan *p = memo__get(g->world->alloc, sizeof *p);
    if (!p)
        return MEMO_E_NO_MEMORY;
    struct joining j = { g, before };
    p->alloc = *g->world->alloc;
    p->service = g->inbound ? &r->inbound : memo__rules_for(r, memo__text_of(g->name));
    p->routes = p->service->routes;
    p->revision = r->revision;
    p->view = v;
    memo__wants_init(&p->wants, p->service);
    p->decay_scale = memo__decay_scale(p->service->balance.decay);
    bool good = pools(p, &g->fleet) && tables(p, before) && organs(p, &j) && gates(p) && gone(p, g);
    p->hashed = p->service->balance.policy == MEMO__BALANCE_RING_HASH;
    p->plain = p->all.from.count > 0 && p->service->max_stale == INT64_MAX && !p->instance_breakers && !g->world->disabled;
    p->usual = p->plain && !p->hashed;
    p->view = NULL;
    if (!good) {
        memo__plan_free(p);
        return MEMO_E_NO_MEMORY;
    }
    p->fleet_slots = g->slots_used;
    p->view = memo__view_hold(v);
    p->rules = memo__rules_hold(r);
    *out = p;
    return MEMO_OK;
}

static void tell_reset(const struct memo__organ *o, const struct memo__plan *before, void (*reset)(void *user, const char *kind, const char *name), void *user)
{
    static const char *const kinds[] = { "breaker", "breaker", "limit", "limit", "concurrency", "shed" };
    const struct memo__organ *was = o ? find(before, o->kind, o->name) : NULL;
    if (was && was != o)
        reset(user, kinds[o->kind], o->name);
}

static bool same_concurrency(const struct memo__concurrency_rule *a, const struct memo__concurrency_rule *b)
{
    return a->max == b->max && a->exact == b->exact;
}

void memo__plan_follow(const struct memo__plan *p, const struct memo__plan *before, void (*reset)(void *user, const char *kind, const char *name), void *user)
{
    const struct memo__service_rules *s = p->service;
    if (p->bulkhead && p->bulkhead == before->bulkhead && !same_concurrency(&s->concurrency, &before->service->concurrency))
        memo__bulkhead_change(p->bulkhead->shared, &p->bulkhead->parts, &s->concurrency);
    tell_reset(p->breaker, before, reset, user);
    for (uint32_t i = 0; i < s->routes_count; i++)
        tell_reset(p->route_breakers[i], before, reset, user);
    for (uint32_t i = 0; i < s->limits_count; i++)
        tell_reset(p->limits[i], before, reset, user);
}

void memo__plan_free(struct memo__plan *p)
{
    struct memo__alloc a = p->alloc;
    organ_drop(&a, p->breaker);
    organ_drop(&a, p->bulkhead);
    organ_drop(&a, p->shed);
    for (uint32_t i = 0; i < MEMO__ROUTES_MAX; i++)
        organ_drop(&a, p->route_breakers[i]);
    for (uint32_t i = 0; i < MEMO__PLAN_LIMITS_MAX; i++)
        organ_drop(&a, p->limits[i]);
    table_drop(&a, p->all.table);
    for (uint32_t i = 0; i < MEMO__SUBSETS_MAX; i++)
        table_drop(&a, p->subsets[i].table);
    memo__view_drop(p->view);
    memo__rules_drop(p->rules);
    memo__drop(&a, p->memory);
    memo__drop(&a, p->gates);
    memo__drop(&a, p->gone);
    memo__drop(&a, p);
}

struct memo__organ *memo__plan_organ(const struct memo__plan *p, uint32_t id)
{
    if (p->breaker && p->breaker->id == id)
        return p->breaker;
    if (p->bulkhead && p->bulkhead->id == id)
        return p->bulkhead;
    if (p->shed && p->shed->id == id)
        return p->shed;
    for (uint32_t i = 0; i < p->service->routes_count; i++)
        if (p->route_breakers[i] && p->route_breakers[i]->id == id)
            return p->route_breakers[i];
    return NULL;
}
