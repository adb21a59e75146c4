/* SPDX-License-Identifier: Apache-2.0 */
/* service.c: services by name, and their views: from the watch into the governor, and out to callers. */
#define _GNU_SOURCE
#include <memo/service.h>
#include <string.h>
#include "base/status.h"
#include "call/call.h"
#include "client/client.h"
#include "client/engine.h"
#include "client/request.h"

struct memo_view {
    struct memo__alloc alloc;
    const struct memo__host *host;
    struct memo__view *view;       /* counted */
    memo__instant confirmed;       /* boot clock, as it stood when acquired: so the age is never told too small */
    bool unproven;
    int32_t state;
};

bool memo__service_name_valid(const char *name)
{
    size_t n = 0;
    for (; name[n]; n++) {
        char ch = name[n];
        if (n >= MEMO__NAME_MAX - 1 || !((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '-' || ch == '_' || ch == '.'))
            return false;
    }
    return n > 0 && name[0] != '.';
}

_Static_assert(offsetof(struct memo_service, governor) == 0, "the call room finds the governor at the beginning");

/* With the client's lock. */
static memo_service *find(memo_client *c, const char *name)
{
    memo_service *s = c->shared.services;
    while (s && strcmp(s->governor.name, name) != 0)
        s = s->next;
    return s;
}

static memo_status service_new(memo_client *c, const char *name, memo_service **out)
{
    memo_service *s = memo__get_lines(&c->alloc, sizeof *s);
    if (!s)
        return MEMO_E_NO_MEMORY;
    s->client = c;
    memo_status wrong = memo__governor_init(&s->governor, &c->world, name, c->owner.rules.now);
    if (wrong == MEMO_OK) {
        s->refs = 1;
        memo__lock_take(&c->shared.lock);
        s->next = c->shared.services;
        c->shared.services = s;
        memo__lock_drop(&c->shared.lock);
        *out = s;
        return MEMO_OK;
    }
    memo__drop_lines(&c->alloc, s);
    return wrong;
}

static void service_gone(struct memo__retired *r)
{
    memo_service *s = (memo_service *)(void *)((char *)r - offsetof(memo_service, governor) - offsetof(struct memo__governor, retired));
    struct memo__alloc a = s->client->alloc;
    memo__governor_fini(&s->governor);
    memo__drop_lines(&a, s);
}

/* With the turn: out of every list, then freed after a grace period. */
static void service_end(memo_service *s)
{
    memo_client *c = s->client;
    memo__unwatch_service(c->owner.watch, s->governor.name);
    memo__lock_take(&c->shared.lock);
    memo_service **at = &c->shared.services;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    memo__lock_drop(&c->shared.lock);
    memo__governor_leave(&s->governor);
    memo__engine_retire(&s->governor.retired, service_gone);
}

/* Also while it drains, for the requests that are still served. */
static bool calls_begin(memo_client *c)
{
    uint32_t phase = memo__load(&c->phase);
    return phase == MEMO__RUNNING || (phase == MEMO__DRAINING && memo__load(&c->world.admits));
}

memo_status memo_service_acquire(memo_client *c, const char *name, memo_service **out, memo_error *e)
{
    if (!out)
        return memo__fail(e, MEMO_E_ARGUMENT, "out is NULL");
    *out = NULL;
    if (!c || !name || !memo__service_name_valid(name))
        return memo__fail(e, MEMO_E_ARGUMENT, MEMO__SERVICE_NAME_RULE);
    memo__process_check();
    if (!calls_begin(c))
        return memo__fail(e, MEMO_E_STATE, "the client is not running");
    (void)memo__turn_take();
    memo__lock_take(&c->shared.lock);
    memo_service *s = find(c, name);
    if (s)
        s->refs++;
    memo__lock_drop(&c->shared.lock);
    memo_status wrong = MEMO_OK;
    if (!s && (wrong = service_new(c, name, &s)) == MEMO_OK && (wrong = memo__watch_service(c->owner.watch, name)) != MEMO_OK)
        service_end(s);
    memo__turn_drop();
    if (wrong != MEMO_OK)
        return memo__fail(e, wrong, "service %s: %s", name, memo_status_name(wrong));
    *out = s;
    return MEMO_OK;
}

void memo_service_release(memo_service *s)
{
    if (!s)
        return;
    memo__process_check();
    memo_client *c = s->client;
    (void)memo__turn_take();
    memo__lock_take(&c->shared.lock);
    bool last = --s->refs == 0;
    memo__lock_drop(&c->shared.lock);
    if (last)
        service_end(s);
    memo__turn_drop();
}

memo_status memo_service_watch(memo_service *s, int on)
{
    if (!s || (on != 0 && on != 1))
        return MEMO_E_ARGUMENT;
    memo__store(&s->watched, (uint32_t)on);
    return MEMO_OK;
}

memo_status memo_service_wants(memo_service *s, char *names, size_t n, size_t *need)
{
    if (!s || (n && !names))
        return MEMO_E_ARGUMENT;
    memo__process_check();
    struct memo__writer w;
    memo__writer_init(&w, names, n);
    struct memo__reader *r = memo__reader_enter();
    const struct memo__plan *p = memo__load_acquire(&s->governor.plan);
    for (uint32_t i = 0; i < p->service->wants_count; i++)
        memo__put(&w, p->service->wants[i], strlen(p->service->wants[i]) + 1);
    memo__reader_leave(r);
    if (need)
        *need = w.need;
    return w.need <= n ? MEMO_OK : MEMO_E_TRUNCATED;
}

/* What the watch tells, with the turn. */

static memo_service *find_locked(memo_client *c, const char *name)
{
    memo__lock_take(&c->shared.lock);
    memo_service *s = find(c, name);
    memo__lock_drop(&c->shared.lock);
    return s;
}

memo_status memo__service_view(void *client, const char *service, struct memo__view *v)
{
    memo_client *c = client;
    memo_service *s = find_locked(c, service);
    if (!s) {
        memo__view_free(v);
        return MEMO_OK;
    }
    uint64_t revision = v->revision;
    uint32_t count = v->count;
    memo_status wrong = memo__governor_take_view(&s->governor, v, c->owner.rules.now);
    if (wrong != MEMO_OK)
        return wrong;
    if (memo__load(&s->watched))
        memo__client_event(c, MEMO_EVENT_VIEW, service, "", MEMO_OK, revision, "%u endpoints", count);
    memo__lock_take(&c->shared.lock);
    memo__wake(&c->shared.lock);
    memo__lock_drop(&c->shared.lock);
    return MEMO_OK;
}

const struct memo__view *memo__service_borrow(void *client, const char *service)
{
    memo_service *s = find_locked(client, service);
    return s ? memo__governor_view(&s->governor) : NULL;
}

void memo__service_age(void *client, const char *service, memo__instant confirmed, bool unproven, int32_t state)
{
    memo_client *c = client;
    memo_service *s = find_locked(c, service);
    if (!s)
        return;
    int32_t before = memo__load(&s->governor.state);
    memo__governor_age(&s->governor, confirmed, unproven, state);
    if (before == state)
        return;
    if (memo__load(&s->watched))
        memo__client_event(c, MEMO_EVENT_VIEW, service, "", MEMO_OK, memo__governor_view(&s->governor)->revision, "state %s", memo__view_state_name(state));
    memo__lock_take(&c->shared.lock);
    memo__wake(&c->shared.lock);
    memo__lock_drop(&c->shared.lock);
}

memo_status memo__services_replan(memo_client *c, struct memo__rules *rules)
{
    memo_status wrong = MEMO_OK;
    for (memo_service *s = c->shared.services; s && wrong == MEMO_OK; s = s->next) /* only the turn adds or removes */
        wrong = memo__governor_prepare(&s->governor, rules);
    bool receives = c->inbound.plan != NULL;
    if (receives && wrong == MEMO_OK)
        wrong = memo__governor_prepare(&c->inbound, rules);
    for (memo_service *s = c->shared.services; s; s = s->next) {
        if (wrong == MEMO_OK)
            memo__governor_commit(&s->governor);
        else
            memo__governor_abandon(&s->governor);
    }
    if (receives && wrong == MEMO_OK)
        memo__governor_commit(&c->inbound);
    else if (receives)
        memo__governor_abandon(&c->inbound);
    return wrong;
}

void memo__services_after_fork(memo_client *c)
{
    for (memo_service *s = c->shared.services; s; s = s->next)
        memo__governor_after_fork(&s->governor);
    if (c->inbound.plan)
        memo__governor_after_fork(&c->inbound);
}

/* Views, out to callers. */

static memo_status view_new(memo_client *c, struct memo__view *v, memo__instant confirmed, bool unproven, int32_t state, memo_view **out)
{
    memo_view *n = memo__get(&c->alloc, sizeof *n);
    if (!n)
        return MEMO_E_NO_MEMORY;
    *n = (memo_view){ .alloc = c->alloc, .host = c->host, .view = v, .confirmed = confirmed, .unproven = unproven, .state = state };
    *out = n;
    return MEMO_OK;
}

memo_status memo_view_acquire(memo_service *s, memo_view **out)
{
    if (!s || !out)
        return MEMO_E_ARGUMENT;
    *out = NULL;
    memo__process_check();
    struct memo__governor *g = &s->governor;
    struct memo__reader *r = memo__reader_enter();
    int32_t state = memo__load(&g->state);
    struct memo__view *v = memo__view_hold(memo__load_acquire(&g->plan)->view);
    bool unproven = memo__load_acquire(&v->unproven);
    memo__instant confirmed = memo__load(&v->confirmed);
    memo__reader_leave(r);
    memo_status wrong = view_new(s->client, v, confirmed, unproven, state, out);
    if (wrong != MEMO_OK)
        memo__view_drop(v);
    return wrong;
}

memo_status memo_view_get_facts(const memo_view *v, memo_view_facts *out)
{
    if (!v || !out || out->size < sizeof *out)
        return MEMO_E_ARGUMENT;
    *out = (memo_view_facts){ .size = out->size, .revision = v->view->revision, .epoch = v->view->epoch, .state = v->state, .count = v->view->count };
    out->age_max_ms = memo__age_ms(v->confirmed, v->unproven, memo__boot(v->host));
    return MEMO_OK;
}

memo_status memo_view_get(const memo_view *v, uint32_t i, memo_endpoint *out)
{
    if (!v || !out || out->size < sizeof *out || i >= v->view->count)
        return MEMO_E_ARGUMENT;
    const struct memo__view_entry *n = &v->view->entries[i];
    *out = (memo_endpoint){ .size = out->size, .ref = { n->slot, n->generation }, .weight = n->weight, .health = n->healthy, .port = n->port };
    (void)memo__text_copy(out->address, sizeof out->address, memo__text_of(memo__view_text(v->view, n->address)));
    (void)memo__text_copy(out->id, sizeof out->id, memo__text_of(memo__view_text(v->view, n->id)));
    (void)memo__text_copy(out->host, sizeof out->host, memo__text_of(memo__view_text(v->view, n->host)));
    (void)memo__text_copy(out->zone, sizeof out->zone, memo__text_of(memo__view_text(v->view, n->zone)));
    return MEMO_OK;
}

const char *memo_view_get_label(const memo_view *v, uint32_t i, const char *key)
{
    return v && key && i < v->view->count ? memo__view_label(v->view, &v->view->entries[i], key) : NULL;
}

void memo_view_release(memo_view *v)
{
    if (!v)
        return;
    struct memo__alloc a = v->alloc;
    memo__view_drop(v->view);
    memo__drop(&a, v);
}

/* Requests that the source answers later: strict reads and the list of services. */

struct reading { struct memo__request base; struct memo__view *view; char text[160]; };

static void reading_end(struct memo__request *q)
{
    struct reading *n = (struct reading *)(void *)q;
    if (n->view)
        memo__view_free(n->view);
}

static void on_read(void *user, memo_status s, struct memo__view *v, const char *text)
{
    struct reading *n = user;
    n->view = v;
    (void)memo__text_copy(n->text, sizeof n->text, memo__text_of(text));
    memo__request_answer(&n->base, s);
}

memo_status memo_service_read(memo_service *s, int64_t timeout_ms, memo_view **out, memo_error *e)
{
    if (!s || !out || timeout_ms < 0)
        return memo__fail(e, MEMO_E_ARGUMENT, "a service, out and a timeout of 0 or more are needed");
    *out = NULL;
    memo__process_check();
    memo_client *c = s->client;
    if (memo__load(&c->phase) != MEMO__RUNNING)
        return memo__fail(e, MEMO_E_STATE, "the client is not running");
    struct reading *n = (struct reading *)(void *)memo__request_new(c, sizeof *n, reading_end);
    if (!n)
        return memo__fail(e, MEMO_E_NO_MEMORY, "no memory for a request");
    (void)memo__turn_take();
    memo__watch_read(c->owner.watch, s->governor.name, on_read, n);
    memo__turn_drop();
    memo_status wrong = memo__request_wait(&n->base, timeout_ms);
    if (wrong != MEMO_OK)
        (void)memo__fail(e, wrong, "strict read of %s: %s", s->governor.name, wrong != MEMO_E_TIMEOUT && n->text[0] ? n->text : memo_status_name(wrong));
    else if ((wrong = view_new(c, n->view, n->view->confirmed, n->view->unproven, MEMO_VIEW_LIVE, out)) == MEMO_OK) {
        n->view->refs = 1;
        n->view = NULL;
    }
    memo__request_drop(&n->base);
    return wrong;
}

struct listing { struct memo__request base; char *names; size_t bytes; };

static void listing_end(struct memo__request *q)
{
    memo__drop(&q->client->alloc, ((struct listing *)(void *)q)->names);
}

static void on_list(void *user, memo_status s, const struct memo__text *names, uint32_t count)
{
    struct listing *n = user;
    size_t bytes = 0;
    for (uint32_t i = 0; s == MEMO_OK && i < count; i++)
        bytes += names[i].n + 1;
    if (bytes && !(n->names = memo__get(&n->base.client->alloc, bytes)))
        s = MEMO_E_NO_MEMORY;
    for (uint32_t i = 0; s == MEMO_OK && i < count; i++) {
        memcpy(n->names + n->bytes, names[i].at, names[i].n);
        n->bytes += names[i].n + 1;
    }
    memo__request_answer(&n->base, s);
}

#define LIST_TIMEOUT_MS 5000

memo_status memo_client_list_services(memo_client *c, char *names, size_t n, size_t *need)
{
    if (!c || (n && !names))
        return MEMO_E_ARGUMENT;
    memo__process_check();
    if (memo__load(&c->phase) != MEMO__RUNNING)
        return MEMO_E_STATE;
    struct listing *l = (struct listing *)(void *)memo__request_new(c, sizeof *l, listing_end);
    if (!l)
        return MEMO_E_NO_MEMORY;
    (void)memo__turn_take();
    memo__watch_list(c->owner.watch, on_list, l);
    memo__turn_drop();
    memo_status s = memo__request_wait(&l->base, LIST_TIMEOUT_MS);
    if (s == MEMO_OK) {
        if (need)
            *need = l->bytes;
        if (l->bytes > n)
            s = MEMO_E_TRUNCATED;
        else if (l->bytes)
            memcpy(names, l->names, l->bytes);
    }
    memo__request_drop(&l->base);
    return s;
}
