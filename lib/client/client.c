/* SPDX-License-Identifier: Apache-2.0 */
/* client.c: a client's life: built, running, draining, gone.
 *
 * new reads settings and does nothing else; start opens the sources under the turn; free accepts any state. Construction has one exit: memo_client_free tolerates half-built clients. */
#define _GNU_SOURCE
#include "client/client.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/status.h"
#include "client/admin.h"
#include "client/engine.h"
#include "client/http.h"
#include "client/request.h"

#define SWEEP_EVERY (5 * MEMO__S)    /* idle connections are looked at */

static const char *variable(void *user, const char *name)
{
    (void)user;
    return secure_getenv(name);
}

static void warn(void *user, const char *sentence)
{
    memo_client *c = user;
    memo__client_log(c, MEMO_LOG_WARN, "%s", sentence);
}

memo_status memo_client_new(memo_client **out, memo_error *e)
{
    if (!out)
        return memo__fail(e, MEMO_E_ARGUMENT, "out is NULL");
    *out = NULL;
    memo__process_check();
    struct memo__alloc a = memo__alloc_default;
    memo_client *c = memo__get_lines(&a, sizeof *c);
    if (!c)
        return memo__fail(e, MEMO_E_NO_MEMORY, "no memory for a client");
    c->alloc = a;
    c->host = memo__host_default;
    c->transport = memo__transport_default;
    c->events.fd = -1;
    c->shared.lines_end = &c->shared.lines;
    c->shared.ended_end = &c->shared.ended;
    memo__lock_init(&c->shared.lock);
    c->log_level = MEMO_LOG_WARN;
    struct memo__settings_world world = { .host = c->host, .variable = variable, .warn = warn, .user = c };
    memo_status s = memo__settings_init(&c->settings, &c->alloc, &world, e);
    if (s != MEMO_OK) {
        memo_client_free(c);
        return s;
    }
    memo__store(&c->log_level, memo__setting_level(&c->settings, MEMO__SETTING_LOG_LEVEL));
    *out = c;
    return MEMO_OK;
}

memo_status memo_client_set(memo_client *c, const char *name, const char *value, memo_error *e)
{
    if (!c || !name)
        return memo__fail(e, MEMO_E_ARGUMENT, "client and name are needed");
    if (memo__load(&c->phase) != MEMO__BUILT)
        return memo__fail(e, MEMO_E_STATE, "settings are fixed once a client is started");
    memo_status s = memo__settings_set(&c->settings, name, value, e);
    if (s == MEMO_OK)
        memo__store(&c->log_level, memo__setting_level(&c->settings, MEMO__SETTING_LOG_LEVEL));
    return s;
}

memo_status memo_client_get_setting(memo_client *c, const char *name, char *value, size_t n, char *origin, size_t origin_n)
{
    if (!c || !name || (n && !value) || (origin_n && !origin))
        return MEMO_E_ARGUMENT;
    int32_t i = memo__settings_find(&c->settings, name);
    if (i < 0)
        return MEMO_E_SETTING;
    bool whole = true;
    if (n)
        whole = memo__text_copy(value, n, memo__text_of(memo__setting_shown(&c->settings, (uint32_t)i)));
    if (origin_n)
        whole = memo__text_copy(origin, origin_n, memo__text_of(memo__setting_origin(&c->settings, (uint32_t)i))) && whole;
    return whole ? MEMO_OK : MEMO_E_TRUNCATED;
}

static void on_trouble(void *user, const char *service, memo_status s, const char *text)
{
    memo_client *c = user;
    const char *registry = memo__setting_text(&c->settings, MEMO__SETTING_REGISTRY);
    if (!service)
        memo__store(&c->owner.registry_up, s == MEMO_OK);
    memo__client_event(c, MEMO_EVENT_SOURCE, service, registry, s, 0, "%s", text ? text : "");
    size_t n = strlen(registry);
    n -= n && registry[n - 1] == ':' && !service; /* "file:" has its colon */
    memo__client_log(c, s == MEMO_OK ? MEMO_LOG_INFO : MEMO_LOG_WARN, "registry %.*s%s%s: %s", (int)n, registry, service ? ", service " : "", service ? service : "",
                     text && text[0] ? text : memo_status_name(s));
}

static void on_watch_log(void *user, int32_t level, const char *line)
{
    memo__client_log(user, level, "%s", line);
}

static void on_sweep(struct memo__timer *t, void *user)
{
    memo_client *c = user;
    struct memo__engine *g = memo__turn_take();
    memo__http_pool_sweep(c->http, memo__loop_now(g->loop));
    if (c->owner.async)
        c->transport->sweep(c->owner.async, memo__loop_now(g->loop));
    (void)memo__timer_start(g->loop, t, memo__after(memo__loop_now(g->loop), SWEEP_EVERY), on_sweep, c);
    memo__turn_drop();
}

static memo_status pool_open(memo_client *c, memo_error *e)
{
    const struct memo__settings *s = &c->settings;
    const char *ca = memo__setting_text(s, MEMO__SETTING_CA_FILE);
    uint32_t idle = memo__setting_count(s, MEMO__SETTING_HTTP_MAX_IDLE);
    int64_t age = memo__setting_ns(s, MEMO__SETTING_HTTP_MAX_AGE);
    struct memo__http_options o = { /* there a 0 is the default; here none is kept, or none is young enough */
        .used_once = idle == 0 || age == 0,
        .ca_file = ca[0] ? ca : NULL,
        .idle_per_endpoint = idle,
        .lifetime_ns = age,
        .head_bytes = (uint32_t)memo__setting_bytes(s, MEMO__SETTING_HTTP_MAX_HEADERS),
        .body_bytes = (size_t)memo__setting_bytes(s, MEMO__SETTING_HTTP_MAX_BODY),
    };
    return memo__http_pool_new(&c->alloc, c->host, &o, &c->http, e);
}

static memo_status watch_open(memo_client *c, struct memo__engine *g, memo_error *e)
{
    const struct memo__settings *s = &c->settings;
    struct memo__ground ground = { .alloc = &c->alloc, .host = c->host, .loop = g->loop, .dns = g->dns, .dirs = g->dirs,
                                   .lease_ttl = memo__setting_ns(s, MEMO__SETTING_LEASE_TTL) };
    struct memo__watch_options o = {
        .cache_dir = memo__setting_text(s, MEMO__SETTING_CACHE_DIR),
        .cache_on = memo__setting_bool(s, MEMO__SETTING_CACHE),
        .cache_max_age = memo__setting_ns(s, MEMO__SETTING_CACHE_MAX_AGE),
        .protect_share = memo__setting_ppm(s, MEMO__SETTING_PROTECTION),
        .log = on_watch_log, .log_user = c,
    };
    struct memo__watch_sink sink = { memo__service_view, memo__service_borrow, memo__service_age, on_trouble, c };
    c->owner.registry_up = true;
    return memo__watch_open(&ground, memo__setting_text(s, MEMO__SETTING_REGISTRY), &o, &sink, &c->owner.watch, e);
}

static void on_turn(struct memo__world *w, const struct memo__turn *t)
{
    memo_client *c = w->user;
    memo__client_event(c, t->kind, t->service, t->subject, t->status, 0, "%s", t->text);
}

static memo_status world_open(memo_client *c)
{
    const struct memo__settings *s = &c->settings;
    c->world.alloc = &c->alloc;
    c->world.host = c->host;
    c->world.process = memo__process_number;
    c->world.slow_call = memo__setting_ns(s, MEMO__SETTING_SLOW_CALL);
    c->world.distrusts = !memo__setting_bool(s, MEMO__SETTING_TRUST_INBOUND);
    c->world.baggage = memo__text_of(memo__setting_text(s, MEMO__SETTING_BAGGAGE_KEYS));
    c->world.disabled = memo__setting_bool(s, MEMO__SETTING_DISABLED);
    c->world.connect_timeout_ms = memo__setting_ns(s, MEMO__SETTING_HTTP_CONNECT_TIMEOUT) / MEMO__MS;
    c->world.turned = on_turn;
    c->world.retire = memo__engine_retire;
    c->world.user = c;
    return memo__ring_init(&c->alloc, &c->world.ring, memo__setting_count(s, MEMO__SETTING_EXPLAIN_RING));
}

struct memo__document_ground memo__client_ground(memo_client *c, struct memo__engine *g, const char *kind, memo_status bad, size_t most)
{
    const struct memo__settings *s = &c->settings;
    return (struct memo__document_ground){
        .alloc = &c->alloc, .host = c->host, .loop = g->loop, .dirs = g->dirs, .dns = g->dns, .http = c->http, .transport = c->transport,
        .async = &c->owner.async, .kind = kind, .bad = bad, .most = most,
        .cache_on = memo__setting_bool(s, MEMO__SETTING_CACHE),
        .cache_dir = memo__setting_text(s, MEMO__SETTING_CACHE_DIR),
        .cache_max_age = memo__setting_ns(s, MEMO__SETTING_CACHE_MAX_AGE),
        .poll = memo__setting_ns(s, MEMO__SETTING_RULES_POLL),
        .interval = memo__setting_ns(s, MEMO__SETTING_CONFIG_INTERVAL),
        .timeout = memo__setting_ns(s, MEMO__SETTING_CONFIG_TIMEOUT),
        .connect_timeout_ms = memo__setting_ns(s, MEMO__SETTING_HTTP_CONNECT_TIMEOUT) / MEMO__MS,
    };
}

/* What start opens, in order; whatever fails leaves the rest to memo_client_free. */
static memo_status open_all(memo_client *c, struct memo__engine *g, memo_error *e)
{
    c->loop = g->loop;
    memo_status s = watch_open(c, g, e);
    if (s == MEMO_OK)
        s = memo__rules_open(c, e);
    if (s == MEMO_OK)
        s = memo__config_open(c, e);
    if (s == MEMO_OK && (s = memo__inbound_open(c)) != MEMO_OK)
        (void)memo__fail(e, s, "no memory for what is received");
    if (s == MEMO_OK && !g->admin)
        s = memo__admin_open(g, c, &g->admin, e);
    if (s == MEMO_OK)
        s = memo__timer_start(g->loop, &c->owner.sweep, memo__after(memo__loop_now(g->loop), SWEEP_EVERY), on_sweep, c);
    return s;
}

/* Tasks end as cancelled, and are called back here: whoever frees drives for the last time. One that is only posted yet begins, and ends, in that turn. */
static void tasks_close(memo_client *c)
{
    memo__store(&c->closing, 1u);
    memo__engine_step();
    (void)memo__turn_take();
    memo__tasks_cancel(c);
    memo__turn_drop();
    memo__clients_deliver();
    memo__lines_drop(c); /* another driver may be in the last callback: this waits for it */
    memo__tasks_drop(c);
}

/* Takes back what open_all did. */
static void close_all(memo_client *c)
{
    tasks_close(c);
    struct memo__engine *g = memo__turn_take();
    memo__timer_stop(g->loop, &c->owner.sweep);
    memo__admin_client_gone(g->admin, c);
    memo__inbound_close(c);
    memo__rules_close(c);
    memo__config_close(c);
    c->transport->end(c->owner.async); /* tasks and sources have let go of it */
    c->owner.async = NULL;
    memo__watch_close(c->owner.watch);
    c->owner.watch = NULL;
    memo__requests_abandon(c);
    memo__orphans_free(c);
    memo__turn_drop();
    memo__engine_settle();
    memo__engine_leave(c);
}

/* A check of the program's that waits since before the start has ended: the engine looks at clients that run. */
static void check_what_waits(memo_client *c)
{
    struct memo__engine *g = memo__turn_take();
    if (c->owner.config.candidate)
        memo__loop_wake(g->loop);
    memo__turn_drop();
}

memo_status memo_client_start(memo_client *c, memo_error *e)
{
    if (!c)
        return memo__fail(e, MEMO_E_ARGUMENT, "client is NULL");
    memo__process_check();
    if (memo__load(&c->phase) != MEMO__BUILT)
        return memo__fail(e, MEMO_E_STATE, "this client has been started already");
    memo_status s;
    if ((s = world_open(c)) != MEMO_OK || (s = memo__events_init(&c->alloc, &c->events)) != MEMO_OK)
        (void)memo__fail(e, s, "no memory or descriptors for a client");
    else
        s = pool_open(c, e);
    if (s == MEMO_OK && (s = memo__engine_join(c, e)) == MEMO_OK) {
        struct memo__engine *g = memo__turn_take();
        s = open_all(c, g, e);
        memo__turn_drop();
        if (s == MEMO_OK)
            s = memo__config_admit(c, e);
        if (s != MEMO_OK)
            close_all(c);
    }
    if (s == MEMO_OK) {
        memo__store(&c->phase, MEMO__RUNNING);
        memo__store(&c->world.admits, 1);
        memo__store(&c->world.receives, 1);
        check_what_waits(c);
        return s;
    }
    memo__http_pool_free(c->http);
    c->http = NULL;
    memo__events_fini(&c->alloc, &c->events);
    memo__ring_fini(&c->alloc, &c->world.ring);
    memo__lines_flush(c); /* why */
    return s;
}

/* A view that calls can go on: not one of an earlier process that knows of nobody, while the registry may be about to answer. */
static bool usable(memo_service *s)
{
    int32_t state = memo__load_acquire(&s->governor.state);
    struct memo__reader *r = memo__reader_enter();
    uint32_t count = memo__load_acquire(&s->governor.plan)->view->count;
    memo__reader_leave(r);
    return state != MEMO_VIEW_EMPTY && (state != MEMO_VIEW_CACHED || count);
}

/* What is not there yet; NULL: all is. With the client's lock. */
static const char *missing(memo_client *c, char *what, size_t n)
{
    if (!c->shared.rules_ready)
        return "the rules";
    if (c->shared.config_missing) {
        (void)snprintf(what, n, "the configuration: %.100s", c->shared.config_missing);
        return what;
    }
    for (memo_service *s = c->shared.services; s; s = s->next) {
        if (!usable(s)) {
            (void)snprintf(what, n, "a view of %s", s->governor.name);
            return what;
        }
    }
    for (memo_registration *r = c->shared.registrations; r; r = r->next) {
        if (memo__load(&r->wanted) && !r->told.acknowledged && !r->told.orphan) {
            (void)snprintf(what, n, "the registration of %s/%s", r->lease.service, r->lease.id);
            return what;
        }
    }
    return NULL;
}

memo_status memo_client_wait(memo_client *c, int64_t timeout_ms, memo_error *e)
{
    if (!c || timeout_ms < -1)
        return memo__fail(e, MEMO_E_ARGUMENT, "a client is needed, and a timeout of -1 or more");
    memo__process_check();
    if (memo__load(&c->phase) != MEMO__RUNNING)
        return memo__fail(e, MEMO_E_STATE, "the client is not running");
    memo__instant until = timeout_ms < 0 ? MEMO__NEVER : memo__after_ms(memo__now(c->host), timeout_ms);
    char name[2 * MEMO__NAME_MAX + 32];
    memo__lock_take(&c->shared.lock);
    while (missing(c, name, sizeof name) && memo__load(&c->phase) == MEMO__RUNNING && memo__engine_wait(&c->shared.lock, until))
        ;
    const char *what = missing(c, name, sizeof name);
    memo__lock_drop(&c->shared.lock);
    if (memo__load(&c->phase) != MEMO__RUNNING)
        return memo__fail(e, MEMO_E_STATE, "the client is being drained");
    return what ? memo__fail(e, MEMO_E_TIMEOUT, "after %lld ms still missing: %s", (long long)timeout_ms, what) : MEMO_OK;
}

/* Calls that have begun and not ended, of all services. */
static uint64_t calls_open(memo_client *c)
{
    uint64_t open = 0;
    memo__lock_take(&c->shared.lock);
    for (memo_service *s = c->shared.services; s; s = s->next)
        open += memo__governor_open_calls(&s->governor);
    memo__lock_drop(&c->shared.lock);
    return open;
}

static void passed(struct memo__retired *r)
{
    (void)r;
}

/* Whoever was inside memo_call_begin or memo_inbound_enter when `admits` or `receives` fell may have been let in, and is not counted yet: a grace
 * period later it is. */
static void beginners_counted(void)
{
    struct memo__retired nothing;
    (void)memo__turn_take();
    memo__engine_retire(&nothing, passed);
    memo__turn_drop();
    memo__engine_settle();
}

/* Withdraws all registrations. Returns until when requests are served although nobody should send any: who drains first says so. */
static memo__instant withdraw_all(memo_client *c, int64_t timeout_ms)
{
    int64_t delay = memo__setting_ns(&c->settings, MEMO__SETTING_DRAIN_DELAY), half = memo__after_ms(0, timeout_ms) / 2;
    bool any = false;
    (void)memo__turn_take();
    memo__lock_take(&c->shared.lock);
    memo_registration *r = c->shared.registrations;
    memo__lock_drop(&c->shared.lock);
    for (; r; r = r->next) {
        any = any || (memo__load(&r->wanted) && !r->told.orphan);
        memo__registration_unwant(r);
    }
    memo__lock_take(&c->shared.lock);
    if (!c->shared.noticed_at)
        c->shared.noticed_at = memo__after(memo__now(c->host), !any ? 0 : delay < half ? delay : half);
    memo__instant at = c->shared.noticed_at;
    memo__wake(&c->shared.lock); /* whoever waits for what will not come */
    memo__lock_drop(&c->shared.lock);
    memo__turn_drop();
    return at;
}

/* Waits until nothing of a kind is open; false: time is up. */
static bool finished(memo_client *c, uint64_t (*open)(memo_client *c), memo__instant until)
{
    while (open(c)) {
        memo__instant now = memo__now(c->host);
        if (memo__reached(now, until))
            return false;
        memo__lock_take(&c->shared.lock); /* nobody wakes for the end of a call: that would cost every call; so look every 5 ms */
        (void)memo__engine_wait(&c->shared.lock, memo__earlier(until, memo__after_ms(now, 5)));
        memo__lock_drop(&c->shared.lock);
    }
    return true;
}

static uint64_t requests_open(memo_client *c)
{
    return memo__governor_open_calls(&c->inbound);
}

static void wait_until(memo_client *c, memo__instant at)
{
    while (!memo__reached(memo__now(c->host), at)) {
        memo__lock_take(&c->shared.lock);
        (void)memo__engine_wait(&c->shared.lock, at);
        memo__lock_drop(&c->shared.lock);
    }
}

/* Withdraw, let callers notice, refuse requests, let those finish that are there; they may make calls until then. */
memo_status memo_client_drain(memo_client *c, int64_t timeout_ms)
{
    if (!c || timeout_ms < 0)
        return MEMO_E_ARGUMENT;
    memo__process_check();
    if (memo__load(&c->phase) == MEMO__BUILT)
        return MEMO_E_STATE;
    memo__instant until = memo__after_ms(memo__now(c->host), timeout_ms);
    memo__store(&c->phase, MEMO__DRAINING);
    wait_until(c, memo__earlier(until, withdraw_all(c, timeout_ms)));
    memo__store(&c->world.receives, 0);
    beginners_counted();
    if (!finished(c, requests_open, until))
        return MEMO_E_TIMEOUT;
    memo__store(&c->world.admits, 0);
    beginners_counted();
    return finished(c, calls_open, until) ? MEMO_OK : MEMO_E_TIMEOUT;
}

void memo_client_free(memo_client *c)
{
    if (!c)
        return;
    memo__process_check();
    memo__store(&c->world.admits, 0);
    memo__store(&c->world.receives, 0);
    memo__lines_close(c); /* a sink may call anything: it must not find half a client */
    memo__config_free(c);
    if (memo__load(&c->phase) != MEMO__BUILT) {
        close_all(c);
        memo__http_pool_free(c->http);
        memo__events_fini(&c->alloc, &c->events);
        memo__ring_fini(&c->alloc, &c->world.ring);
    }
    memo__lines_flush(c);
    memo__lines_drop(c);
    memo__settings_fini(&c->settings);
    memo__lock_fini(&c->shared.lock);
    struct memo__alloc a = c->alloc;
    memo__drop_lines(&a, c);
}

void memo__client_after_fork(memo_client *c)
{
    memo__lock_init(&c->shared.lock);
    c->shared.sink_busy = 0;
    c->shared.delivering = 0; /* the thread that did is the parent's; so are the lines, which it may have been taking */
    c->shared.lines = NULL;
    c->shared.lines_end = &c->shared.lines;
    c->shared.lines_count = c->shared.lines_missing = 0;
    c->world.process = memo__process_number;
    memo__services_after_fork(c);
    memo__events_after_fork(&c->events);
    memo__tasks_after_fork(c);
    if (c->http)
        memo__http_pool_after_fork(c->http);
    memo__registrations_after_fork(c);
    if (c->owner.watch)
        memo__watch_forked(c->owner.watch);
    if (c->owner.rules.document)
        memo__document_forked(c->owner.rules.document);
    memo__config_after_fork(c);
}
