/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c: sums over stripes and services, and the gauges beside them, for telemetry/metrics.c to write.
 *
 * Collected with the turn, names copied; written without it: a visitor may be slow (a scraper's socket) and may call anything, and the engine has leases to renew meanwhile. */
#include <memo/metrics.h>
#include <math.h>
#include <string.h>
#include "client/client.h"
#include "client/engine.h"
#include "policy/shed.h"

#define GAUGES_OF_SERVICE 8   /* besides breakers */
#define GAUGES_OF_CLIENT 8

struct collecting {
    struct memo__metrics_row *rows;
    struct memo__gauge *gauges;
    char (*names)[MEMO__NAME_MAX];
    struct memo__metrics_row *received; /* of those clients that receive */
    uint32_t rows_count, received_count, gauges_count, gauges_room, names_count, client;
};

static const char *kept(struct collecting *c, const char *name)
{
    char *copy = c->names[c->names_count++];
    (void)memo__text_copy(copy, MEMO__NAME_MAX, memo__text_of(name));
    return copy;
}

static void gauge(struct collecting *c, enum memo__gauge_kind kind, const char *service, const char *detail, double value)
{
    if (c->gauges_count < c->gauges_room)
        c->gauges[c->gauges_count++] = (struct memo__gauge){ kind, service, detail, value, c->client };
}

static void breaker(struct collecting *c, const char *service, const struct memo__organ *o)
{
    static const double values[] = { 0, 2, 1 }; /* closed, open, half-open */
    if (o)
        gauge(c, MEMO__GAUGE_BREAKER, service, kept(c, o->name), values[memo__breaker_phase_of(memo__load(&((struct memo__breaker *)o->shared)->word)) % 3]);
}

static uint32_t breakers(const struct memo__plan *p)
{
    uint32_t n = p->breaker != NULL;
    for (uint32_t i = 0; i < p->service->routes_count; i++)
        n += p->route_breakers[i] != NULL;
    return n;
}

/* With the turn: plans and organs stay. */
static void collect(struct collecting *c, memo_service *s)
{
    struct memo__governor *g = &s->governor;
    const struct memo__plan *p = g->plan;
    struct memo__metrics_row *row = &c->rows[c->rows_count++];
    const char *name = row->service = kept(c, g->name);
    row->client = c->client;
    for (uint32_t i = 0; i < g->parts.count; i++)
        memo__counters_merge(&row->sum, &memo__governor_part(g, i)->counters);
    int64_t age = memo__view_age_ms(p->view, memo__boot(g->world->host));
    uint32_t healthy = p->all.from.count, draining = 0;
    for (uint32_t i = 0; i < p->view->count; i++)
        draining += p->view->entries[i].healthy && !p->view->entries[i].weight;
    gauge(c, MEMO__GAUGE_VIEW_AGE, name, NULL, age < 0 ? (double)NAN : (double)age / 1000.0);
    gauge(c, MEMO__GAUGE_VIEW_STATE, name, NULL, memo__load(&g->state));
    gauge(c, MEMO__GAUGE_ENDPOINTS, name, "pickable", healthy);
    gauge(c, MEMO__GAUGE_ENDPOINTS, name, "draining", draining);
    gauge(c, MEMO__GAUGE_ENDPOINTS, name, "unhealthy", p->view->count - healthy - draining);
    gauge(c, MEMO__GAUGE_EJECTED, name, NULL, memo__load(&g->outlier.ejected));
    gauge(c, MEMO__GAUGE_IN_FLIGHT, name, NULL, (double)memo__governor_open_calls(g));
    gauge(c, MEMO__GAUGE_RETRY_BUDGET, name, NULL, (double)memo__budget_read(&g->budget, &g->budget_parts) / (double)MEMO__TOKEN);
    breaker(c, name, p->breaker);
    for (uint32_t i = 0; i < p->service->routes_count; i++)
        breaker(c, name, p->route_breakers[i]);
}

/* What a client receives, if it ever did. */
static void collect_inbound(struct collecting *c, const struct memo__governor *g)
{
    struct memo__metrics_row *row = &c->received[c->received_count];
    uint64_t any = 0;
    for (uint32_t i = 0; i < g->parts.count; i++) {
        memo__counters_merge(&row->sum, &memo__governor_part(g, i)->counters);
        any |= memo__load(&memo__governor_part(g, i)->begun);
    }
    for (uint32_t i = 0; i < MEMO__RESULTS; i++)
        any |= row->sum.calls[i]; /* refused */
    if (!any)
        return;
    row->client = c->client;
    c->received_count++;
    gauge(c, MEMO__GAUGE_SERVER_ACTIVE, NULL, NULL, (double)memo__governor_open_calls(g));
    if (g->plan->shed) {
        struct memo__shed_facts f;
        memo__shed_read(g->plan->shed->shared, &g->plan->shed->parts, &f);
        gauge(c, MEMO__GAUGE_SERVER_LIMIT, NULL, NULL, (double)f.limit);
    }
}

/* With the turn. */
static void collect_client(struct collecting *all, memo_client *c)
{
    const char *name = memo__setting_text(&c->settings, MEMO__SETTING_SERVICE_NAME);
    for (memo_service *s = c->shared.services; s; s = s->next)
        collect(all, s);
    if (c->inbound.plan)
        collect_inbound(all, &c->inbound);
    if (!c->owner.watch)
        return;
    gauge(all, MEMO__GAUGE_REGISTRY_UP, NULL, memo__watch_source(c->owner.watch)->scheme, memo__load(&c->owner.registry_up));
    gauge(all, MEMO__GAUGE_RULES_REVISION, NULL, NULL, (double)c->owner.rules.now->revision);
    if (c->owner.config.count) {
        gauge(all, MEMO__GAUGE_CONFIG_REVISION, NULL, NULL, (double)c->owner.config.published);
        gauge(all, MEMO__GAUGE_CONFIG_STATE, NULL, NULL, memo__load(&c->config->state));
        gauge(all, MEMO__GAUGE_CONFIG_REFUSED, NULL, NULL, (double)c->owner.config.refused);
    }
    if (name[0]) /* fixed since the start: not copied */
        gauge(all, MEMO__GAUGE_TARGET, NULL, name, 1);
}

/* With the turn: the first of these clients, or it and those behind it, told apart by their numbers. false: no memory. */
static bool collect_all(struct collecting *all, const struct memo__alloc *a, memo_client *first, bool list)
{
    uint32_t services = 0, names = 0, clients = 0;
    for (memo_client *c = first; c; c = list ? c->next : NULL) {
        clients++;
        for (memo_service *s = c->shared.services; s; s = s->next) {
            services++;
            names += 1 + breakers(s->governor.plan);
        }
    }
    all->gauges_room = services * (GAUGES_OF_SERVICE - 1) + names + clients * GAUGES_OF_CLIENT;
    all->rows = memo__get_array(a, services + 1, sizeof *all->rows);
    all->gauges = memo__get_array(a, all->gauges_room + 1, sizeof *all->gauges);
    all->names = memo__get_array(a, names + 1, sizeof *all->names);
    all->received = memo__get_array(a, clients + 1, sizeof *all->received);
    if (!all->rows || !all->gauges || !all->names || !all->received)
        return false;
    for (memo_client *c = first; c; c = list ? c->next : NULL) {
        all->client = list ? c->number : 0;
        collect_client(all, c);
    }
    return true;
}

static memo_status finish(struct collecting *all, const struct memo__alloc *a, bool good, memo_write_fn *w, void *user)
{
    if (good) {
        memo__metrics_write(all->rows, all->rows_count, all->gauges, all->gauges_count, w, user);
        memo__metrics_write_server(all->received, all->received_count, w, user);
    }
    memo__drop(a, all->rows);
    memo__drop(a, all->gauges);
    memo__drop(a, all->names);
    memo__drop(a, all->received);
    return good ? MEMO_OK : MEMO_E_NO_MEMORY;
}

memo_status memo_metrics_write(memo_client *c, memo_write_fn *w, void *user)
{
    struct collecting all = { 0 };
    if (!c || !w)
        return MEMO_E_ARGUMENT;
    memo__process_check();
    (void)memo__turn_take();
    bool good = collect_all(&all, &c->alloc, c, false);
    memo__turn_drop();
    return finish(&all, &c->alloc, good, w, user);
}

memo_status memo__metrics_write_all(struct memo__engine *g, memo_write_fn *w, void *user)
{
    struct collecting all = { 0 };
    bool good = collect_all(&all, &g->alloc, g->clients, true);
    return finish(&all, &g->alloc, good, w, user);
}
