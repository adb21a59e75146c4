/* SPDX-License-Identifier: Apache-2.0 */
/* governor.c: the control side of a service: views come in, plans come out. See governor.h. */
#include "call/governor.h"
#include <memo/service.h>
#include <stdio.h>
#include <string.h>
#include "base/hash.h"
#include "call/directory.h"
#include "policy/bulkhead.h"
#include "policy/lease.h"
#include "policy/shed.h"

const char *memo__view_state_name(int32_t state)
{
    static const char *const names[] = { "empty", "live", "stale", "protected", "cached" };
    return state >= 0 && state <= MEMO_VIEW_CACHED ? names[state] : "?";
}

/* Slots. */

static uint64_t key_of(const struct memo__view *v, const struct memo__view_entry *e)
{
    const char *id = memo__view_text(v, e->id), *address = memo__view_text(v, e->address);
    uint64_t h = memo__hash(e->registered, id, strlen(id));
    return memo__hash(h + e->port, address, strlen(address));
}

static int compare(const struct memo__view *a, const struct memo__view_entry *x, const struct memo__view *b, const struct memo__view_entry *y)
{
    int d = strcmp(memo__view_text(a, x->id), memo__view_text(b, y->id));
    if (!d)
        d = strcmp(memo__view_text(a, x->address), memo__view_text(b, y->address));
    return d ? d : (int)x->port - (int)y->port;
}

static bool room_for(const struct memo__alloc *a, void *array, uint32_t *room, uint32_t need, size_t bytes)
{
    void **at = array;
    if (need <= *room)
        return true;
    uint32_t wanted = need < 32 ? 32 : need * 2;
    void *grown = memo__resize(a, *at, wanted * bytes);
    if (!grown)
        return false;
    *at = grown;
    *room = wanted;
    return true;
}

/* Makes sure that the fleet has memory for a slot. */
static bool fleet_room(struct memo__governor *g, uint32_t slot)
{
    uint32_t k = memo__fleet_chunk_of(slot);
    if (g->fleet.chunks[k].states)
        return true;
    if (!(g->blocks[k] = memo__get_lines(g->world->alloc, memo__fleet_chunk_size(k, g->fleet.stripes))))
        return false;
    memo__fleet_chunk_attach(&g->fleet, k, g->blocks[k]);
    return true;
}

/* The breakers of the endpoints, for chunks that have none yet. */
static bool fleet_breakers(struct memo__governor *g)
{
    for (uint32_t k = 0; k < MEMO__FLEET_CHUNKS && g->fleet.chunks[k].states; k++) {
        if (g->fleet.chunks[k].breakers)
            continue;
        if (!(g->breaker_blocks[k] = memo__get_lines(g->world->alloc, memo__fleet_breakers_size(k, g->fleet.stripes))))
            return false;
        memo__fleet_breakers_attach(&g->fleet, k, g->breaker_blocks[k]);
    }
    return true;
}

/* Departed ones by key: a walk for each newcomer would be a second of the turn when ten thousand are replaced. */
static void departed_by_key(struct memo__governor *g)
{
    memset(g->departed_index, 0, ((size_t)g->departed_index_mask + 1) * sizeof *g->departed_index);
    for (uint32_t i = 0; i < g->departed_count; i++) {
        uint64_t at = g->departed[i].key;
        while (g->departed_index[at & g->departed_index_mask])
            at++;
        g->departed_index[at & g->departed_index_mask] = i + 1;
    }
}

static struct memo__departed *departed_find(struct memo__governor *g, uint64_t key)
{
    for (uint64_t at = key; g->departed_index[at & g->departed_index_mask]; at++) {
        struct memo__departed *d = &g->departed[g->departed_index[at & g->departed_index_mask] - 1];
        if (d->key == key && !d->back)
            return d;
    }
    return NULL;
}

/* A slot for an endpoint that nobody knows; false: no memory, or all are taken. */
static bool slot_new(struct memo__governor *g, struct memo__view_entry *e, memo__instant joined)
{
    if (!g->free_count && (g->slots_used >= MEMO__FLEET_SLOTS || !fleet_room(g, g->slots_used)))
        return false;
    e->slot = g->free_count ? g->free_slots[--g->free_count] : g->slots_used++;
    memo__outlier_forget(&g->outlier, memo__fleet_state(&g->fleet, e->slot));
    e->generation = memo__fleet_renew(&g->fleet, e->slot); /* late reports of the endpoint before are dropped */
    memo__store(&memo__fleet_state(&g->fleet, e->slot)->joined, joined);
    return true;
}

/* Those that have been gone for long enough give their slots back. */
static void departed_expire(struct memo__governor *g, memo__instant now)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < g->departed_count; i++) {
        if (memo__since(now, g->departed[i].since) < MEMO__LINGER)
            g->departed[kept++] = g->departed[i];
        else
            g->free_slots[g->free_count++] = g->departed[i].slot;
    }
    g->departed_count = kept;
}

static void departed_add(struct memo__governor *g, const struct memo__view *v, const struct memo__view_entry *e, memo__instant now)
{
    struct memo__departed *d = &g->departed[g->departed_count++];
    *d = (struct memo__departed){ .key = key_of(v, e), .slot = e->slot, .since = now };
    (void)memo__text_copy(d->id, sizeof d->id, memo__text_of(memo__view_text(v, e->id)));
}

/* Gives every entry of `next` its slot: that of the same entry of `before`, of a departed one, or a new one. Both are sorted, so one walk is enough. False: no slot for one of them. */
static bool places(struct memo__governor *g, const struct memo__view *before, struct memo__view *next, memo__instant now)
{
    uint32_t i = 0, j = 0;
    memo__instant joined = before->count ? memo__now(g->world->host) : 0; /* slow start spares those that join others */
    while (i < before->count || j < next->count) {
        struct memo__view_entry *n = j < next->count ? &next->entries[j] : NULL;
        const struct memo__view_entry *b = i < before->count ? &before->entries[i] : NULL;
        int d = !b ? 1 : !n ? -1 : compare(before, b, next, n);
        if (d == 0 && b->registered == n->registered) {
            n->slot = b->slot;
            n->generation = b->generation;
            i++;
            j++;
        } else if (d <= 0) {
            departed_add(g, before, b, now);
            i++;
        } else {
            struct memo__departed *old = departed_find(g, key_of(next, n));
            if (!old && !slot_new(g, n, joined))
                return false;
            if (old) {
                n->slot = old->slot;
                n->generation = memo__load(&memo__fleet_state(&g->fleet, n->slot)->generation);
                old->back = true;
            }
            j++;
        }
    }
    return true;
}

static bool places_room(struct memo__governor *g, const struct memo__view *before, const struct memo__view *next)
{
    uint32_t index = 1;
    while (index < 2 * g->departed_count + 1)
        index *= 2;
    g->departed_index_mask = index - 1;
    return room_for(g->world->alloc, &g->departed, &g->departed_room, g->departed_count + before->count, sizeof *g->departed) &&
           room_for(g->world->alloc, &g->departed_index, &g->departed_index_room, index, sizeof *g->departed_index) &&
           room_for(g->world->alloc, &g->free_slots, &g->free_room, g->slots_used + next->count, sizeof *g->free_slots);
}

/* What places() changes, as it was. New slots are taken from the end of the free ones, departed ones are added at the end: two counts and some marks are all. */
struct places_before { uint32_t departed_count, free_count, slots_used; };

static struct places_before places_begin(const struct memo__governor *g)
{
    return (struct places_before){ g->departed_count, g->free_count, g->slots_used };
}

static void places_undo(struct memo__governor *g, const struct places_before *was)
{
    g->departed_count = was->departed_count;
    g->free_count = was->free_count;
    g->slots_used = was->slots_used;
    for (uint32_t i = 0; i < g->departed_count; i++)
        g->departed[i].back = false;
}

/* Who has left is ejected no more: it must not take the place, among the few that may be, of who fails next. */
static void places_keep(struct memo__governor *g, const struct places_before *was)
{
    uint32_t kept = 0;
    for (uint32_t i = was->departed_count; i < g->departed_count; i++)
        memo__outlier_forget(&g->outlier, memo__fleet_state(&g->fleet, g->departed[i].slot));
    for (uint32_t i = 0; i < g->departed_count; i++)
        if (!g->departed[i].back)
            g->departed[kept++] = g->departed[i];
    g->departed_count = kept;
}

/* Plans. */

static const struct memo__plan *newest(const struct memo__governor *g)
{
    return g->pending ? g->pending : g->plan;
}

static void plan_gone(struct memo__retired *r);

static void publish(struct memo__governor *g, struct memo__plan *p)
{
    struct memo__plan *before = g->plan;
    p->governor = g;
    memo__store_release(&g->plan, p);
    if (before) {
        g->retired_plans++;
        g->world->retire(&before->retired, plan_gone);
    }
}

static void plan_gone(struct memo__retired *r)
{
    struct memo__plan *p = (struct memo__plan *)(void *)r;
    struct memo__governor *g = p->governor;
    memo__plan_free(p);
    g->retired_plans--;
    if (g->pending && !g->left) {
        struct memo__plan *next = g->pending;
        g->pending = NULL;
        publish(g, next);
    }
}

static void on_reset(void *user, const char *kind, const char *name)
{
    struct memo__governor *g = user;
    char text[128];
    (void)snprintf(text, sizeof text, "%s %s was reset: its shape has changed", kind, name);
    struct memo__turn t = { .kind = MEMO_EVENT_RULES, .service = g->name, .subject = name, .text = text };
    g->world->turned(g->world, &t);
}

/* At most four retired plans wait for readers; beyond that the newest waits, and replaces what waited. */
static void publish_or_wait(struct memo__governor *g, struct memo__plan *p)
{
    memo__plan_follow(p, newest(g), on_reset, g);
    if (g->retired_plans < MEMO__RETIRED_PLANS_MAX) {
        publish(g, p);
        return;
    }
    if (g->pending)
        memo__plan_free(g->pending);
    g->pending = p;
}

static memo_status plan_next(struct memo__governor *g, struct memo__view *v, struct memo__rules *rules, struct memo__plan **out)
{
    memo_status s = memo__plan_new(g, newest(g), v, rules, out);
    if (s == MEMO_OK && (*out)->instance_breakers && !fleet_breakers(g)) {
        memo__plan_free(*out);
        *out = NULL;
        s = MEMO_E_NO_MEMORY;
    }
    return s;
}

memo_status memo__governor_take_view(struct memo__governor *g, struct memo__view *v, struct memo__rules *rules)
{
    const struct memo__view *before = newest(g)->view;
    memo__instant now = memo__boot(g->world->host);
    struct memo__plan *p = NULL;
    if (!places_room(g, before, v))
        return MEMO_E_NO_MEMORY;
    departed_expire(g, now);
    departed_by_key(g);
    struct places_before was = places_begin(g);
    v->refs = 1;
    memo_status s = places(g, before, v, now) ? plan_next(g, v, rules, &p) : MEMO_E_NO_MEMORY;
    if (s != MEMO_OK) {
        places_undo(g, &was);
        return s;
    }
    places_keep(g, &was);
    publish_or_wait(g, p);
    memo__store_release(&g->state, v->state); /* after the plan: who waits for the state finds the endpoints */
    memo__view_drop(v); /* the plan's now */
    return MEMO_OK;
}

memo_status memo__governor_prepare(struct memo__governor *g, struct memo__rules *rules)
{
    return plan_next(g, newest(g)->view, rules, &g->prepared);
}

void memo__governor_commit(struct memo__governor *g)
{
    publish_or_wait(g, g->prepared);
    g->prepared = NULL;
}

void memo__governor_abandon(struct memo__governor *g)
{
    if (g->prepared)
        memo__plan_free(g->prepared);
    g->prepared = NULL;
}

/* Kept with the view, not beside it: whoever decides from an older one meanwhile is told that one's age. */
void memo__governor_age(struct memo__governor *g, memo__instant confirmed, bool unproven, int32_t state)
{
    struct memo__view *v = newest(g)->view;
    memo__store(&v->confirmed, confirmed);
    memo__store_release(&v->unproven, unproven);
    memo__store(&g->state, state);
}

const struct memo__view *memo__governor_view(const struct memo__governor *g)
{
    const struct memo__plan *p = newest(g);
    return p->view->epoch || p->view->count || p->view->revision ? p->view : NULL;
}

memo_status memo__governor_init(struct memo__governor *g, struct memo__world *w, const char *name, struct memo__rules *rules)
{
    uint32_t stripes = memo__stripes_count(), stride = (uint32_t)((sizeof(struct memo__governor_part) + MEMO__LINE - 1) / MEMO__LINE * MEMO__LINE);
    struct memo__view *empty = NULL;
    struct memo__plan *p = NULL;
    memo_status s = MEMO_E_NO_MEMORY;
    g->world = w;
    g->machine_clock = w->host == &memo__host_linux;
    g->inbound = !name;
    (void)memo__text_copy(g->name, sizeof g->name, memo__text_of(name ? name : "inbound"));
    g->parts = (struct memo__striped){ memo__get_lines(w->alloc, (size_t)stride * stripes), stride, stripes };
    struct memo__view_builder *b = g->parts.base ? memo__view_builder_new(w->alloc) : NULL;
    if (!b || memo__view_end(b, &empty) != MEMO_OK)
        goto fail;
    empty->refs = 1;
    g->budget_parts = (struct memo__striped){ g->parts.base + offsetof(struct memo__governor_part, budget), stride, stripes };
    memo__budget_init(&g->budget, &g->budget_parts);
    memo__fleet_init(&g->fleet, stripes);
    if (w->host->random(w->host->user, &g->seed, sizeof g->seed) < 0)
        g->seed = (uint64_t)memo__now(w->host);
    if ((s = plan_next(g, empty, rules, &p)) != MEMO_OK || (s = memo__directory_add(g, w->process, &g->slot, &g->ticket)) != MEMO_OK)
        goto fail;
    memo__view_drop(empty);
    publish(g, p);
    return MEMO_OK;
fail:
    if (p)
        memo__plan_free(p);
    memo__view_drop(empty);
    memo__drop_lines(w->alloc, g->parts.base);
    g->parts.base = NULL;
    return s;
}

void memo__governor_leave(struct memo__governor *g)
{
    memo__directory_remove(g->slot);
    g->left = true;
}

void memo__governor_fini(struct memo__governor *g)
{
    const struct memo__alloc *a = g->world->alloc;
    if (g->pending)
        memo__plan_free(g->pending);
    if (g->plan)
        memo__plan_free(g->plan);
    for (uint32_t k = 0; k < MEMO__FLEET_CHUNKS; k++) {
        memo__drop_lines(a, g->blocks[k]);
        memo__drop_lines(a, g->breaker_blocks[k]);
    }
    memo__drop_lines(a, g->parts.base);
    memo__drop(a, g->departed);
    memo__drop(a, g->departed_index);
    memo__drop(a, g->free_slots);
}

uint64_t memo__governor_open_calls(const struct memo__governor *g)
{
    uint64_t begun = 0, ended = 0; /* the ends first: a call that begins and ends on two threads while this is counted must not be counted as minus one */
    for (uint32_t i = 0; i < g->parts.count; i++)
        ended += memo__load_acquire(&memo__governor_part(g, i)->ended);
    for (uint32_t i = 0; i < g->parts.count; i++)
        begun += memo__load_acquire(&memo__governor_part(g, i)->begun);
    return begun > ended ? begun - ended : 0;
}

static void plan_after_fork(const struct memo__plan *p)
{
    if (p->bulkhead)
        memo__bulkhead_init(p->bulkhead->shared, &p->bulkhead->parts, &p->service->concurrency);
    if (p->shed)
        memo__shed_init(p->shed->shared, &p->shed->parts, &p->service->shed);
    for (uint32_t i = 0; i < p->service->limits_count; i++)
        for (uint32_t n = 0; p->limits[i]->kind == MEMO__ORGAN_LIMIT && n < p->limits[i]->parts.count; n++)
            memo__store(&memo__lease_at(&p->limits[i]->parts, n)->coming, 0u); /* who had announced them does not exist here */
}

void memo__governor_after_fork(struct memo__governor *g)
{
    if (!g->left)
        g->ticket = memo__directory_reseal(g->slot, g->world->process);
    for (uint32_t i = 0; i < g->parts.count; i++) {
        struct memo__governor_part *p = memo__governor_part(g, i);
        memo__store(&p->ended, memo__load(&p->begun));
        for (uint32_t slot = 0; slot < g->slots_used; slot++) {
            struct memo__endpoint_part *e = memo__fleet_part(&g->fleet, i, slot);
            if (memo__load(&e->inflight)) /* a page that is not written stays shared with the parent */
                memo__store(&e->inflight, 0);
        }
    }
    plan_after_fork(g->plan);
    if (g->pending)
        plan_after_fork(g->pending);
}
