/* SPDX-License-Identifier: Apache-2.0 */
/* watch.c: what stands between a source and a client: order, protection, age, retries, cache. watch.h has the picture.
 *
 * Protection asks two questions of an update that takes away much: who says so (an authoritative source within its own history is believed at once), and for how long (the same answer
 * for five minutes is believed; emptiness only if the source could prove it). A new epoch, that is another history, proves nothing about what the old one knew.
 * Retries wait a random part of a growing time (full jitter), so that ten thousand clients of a registry that restarts do not come at once; nothing re-synchronises them. */
#include "sources/watch.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <memo/log.h>
#include <memo/service.h>
#include "base/rng.h"
#include "base/status.h"
#include "sources/cache.h"

#define PROTECT_FOR (300 * MEMO__S)
#define OFFER_AGAIN (500 * MEMO__MS)       /* a view that the receiver could not take */
#define CACHE_SOON (1 * MEMO__S)           /* a first view is written within so long */
#define CACHE_GAP (5 * MEMO__S)            /* later ones at most so often */
#define CACHE_REFRESH (300 * MEMO__S)      /* an unchanged view's age on disk */

struct trouble {                           /* of a service, or of the source as a whole */
    struct memo__watch *watch;
    const char *service;                   /* NULL: as a whole */
    memo_status status;                    /* MEMO_OK: none */
    uint32_t tries;                        /* since it began */
    struct memo__timer timer;
};

struct service {
    struct service *next;
    struct memo__watch *watch;
    char name[64];
    bool known;                            /* the receiver has a view, with these: */
    uint64_t revision, epoch;
    uint32_t count;
    int32_t state;
    memo__instant confirmed;
    bool unproven;
    int64_t within;
    struct memo__view *pending;            /* accepted, and the receiver had no memory for it */
    struct memo__view *doubted;            /* not accepted: protected against */
    memo__instant doubted_since;           /* boot clock */
    bool behind;                           /* the source's last view was older than ours: what it confirms since is not ours */
    struct trouble trouble;
    struct memo__timer offer, stale, cache;
    bool cache_news;
};

struct memo__watch {
    struct memo__ground ground;
    struct memo__alloc alloc;
    struct memo__watch_options options;
    struct memo__watch_sink sink;
    struct memo__source *source;
    const struct memo__source_ops *ops;
    struct service *services;
    struct trouble trouble;
    struct memo__cache cache;
    memo_status cache_trouble;             /* as logged */
    struct memo__watch_counts counts;
    uint64_t draws;
};

static __attribute__((format(printf, 3, 4))) void say(struct memo__watch *w, int32_t level, const char *format, ...)
{
    char line[400];
    va_list list;
    if (!w->options.log)
        return;
    va_start(list, format);
    (void)vsnprintf(line, sizeof line, format, list);
    va_end(list);
    w->options.log(w->options.log_user, level, line);
}

static int64_t jitter(struct memo__watch *w, int64_t least, int64_t most)
{
    return least + (int64_t)(memo__draw_next(&w->draws) % (uint64_t)(most > least ? most - least : 1));
}

static memo__instant boot(const struct memo__watch *w)
{
    return memo__boot(w->ground.host);
}

/* Every timer is parked (at "never") from the beginning: it has its place then, and starting it later cannot fail for want of memory. */
static memo_status park(struct memo__watch *w, struct memo__timer *t, memo__timer_fn *fn, void *user)
{
    return memo__timer_start(w->ground.loop, t, MEMO__NEVER, fn, user);
}

static bool runs(const struct memo__timer *t)
{
    return t->place && t->at != MEMO__NEVER;
}

static void start(struct memo__watch *w, struct memo__timer *t, int64_t after, memo__timer_fn *fn, void *user)
{
    (void)memo__timer_start(w->ground.loop, t, memo__after(memo__loop_now(w->ground.loop), after), fn, user);
}

static struct service *find(struct memo__watch *w, const char *name)
{
    struct service *v = w->services;
    while (v && strcmp(v->name, name) != 0)
        v = v->next;
    return v;
}

/* ---- age ---- */

static void tell_age(struct service *v)
{
    if (v->known)
        v->watch->sink.age(v->watch->sink.user, v->name, v->confirmed, v->unproven, v->state);
}

static void check_stale(struct memo__timer *t, void *user)
{
    struct service *v = user;
    (void)t;
    if (!v->known || v->state != MEMO_VIEW_LIVE || v->within <= 0)
        return;
    int64_t age = memo__since(boot(v->watch), v->confirmed);
    if (age <= 2 * v->within) {
        start(v->watch, &v->stale, 2 * v->within - age + 1, check_stale, v);
        return;
    }
    v->state = MEMO_VIEW_STALE;
    tell_age(v);
}

static void is_live(struct service *v, const struct memo__proof *p)
{
    v->state = MEMO_VIEW_LIVE;
    v->unproven = false;
    v->within = p->within;
    v->confirmed = p->sent;
    if (p->within > 0 && !runs(&v->stale))
        check_stale(&v->stale, v);
}

/* ---- cache ---- */

static bool cacheable(const struct service *v)
{
    return v->watch->options.cache_on && v->known && v->state != MEMO_VIEW_CACHED && v->confirmed != MEMO__NEVER;
}

static void cache_says(struct memo__watch *w, memo_status st, const char *text)
{
    if (st != MEMO_OK && st != MEMO_E_TIMEOUT)
        w->counts.cache_failures++;
    if (st == w->cache_trouble || st == MEMO_E_TIMEOUT)
        return;
    w->cache_trouble = st;
    if (st == MEMO_OK)
        say(w, MEMO_LOG_INFO, "cache %s: works again", w->cache.path);
    else
        say(w, MEMO_LOG_WARN, "cache %s: %s; a start without a registry will know no services", w->cache.path, text);
}

static void write_cache(struct service *v)
{
    struct memo__watch *w = v->watch;
    const struct memo__view *view = cacheable(v) ? w->sink.borrow(w->sink.user, v->name) : NULL;
    memo_error e = MEMO_INIT(memo_error);
    if (!view)
        return;
    memo_status st = memo__cache_store(&w->cache, v->name, view, v->confirmed, &e);
    if (st == MEMO_OK) {
        v->cache_news = false;
        w->counts.cache_writes++;
    }
    cache_says(w, st, e.message);
}

static void cache_due(struct memo__timer *t, void *user)
{
    struct service *v = user;
    (void)t;
    write_cache(v);
    int64_t wait = v->cache_news ? CACHE_GAP : CACHE_REFRESH;
    start(v->watch, &v->cache, jitter(v->watch, wait, wait + wait / 5), cache_due, v);
}

/* Something new to write: soon, but not more often than the gap (the timer that runs is either the gap's or the refresh's). */
static void cache_wanted(struct service *v)
{
    struct memo__watch *w = v->watch;
    memo__instant now = memo__loop_now(w->ground.loop);
    if (!cacheable(v) || v->cache_news)
        return;
    v->cache_news = true;
    if (!runs(&v->cache))
        start(w, &v->cache, jitter(w, CACHE_SOON / 5, CACHE_SOON), cache_due, v);
    else if (v->cache.at > memo__after(now, CACHE_GAP))
        start(w, &v->cache, jitter(w, CACHE_GAP, CACHE_GAP + CACHE_GAP / 5), cache_due, v);
}

static void load_cache(struct service *v)
{
    struct memo__watch *w = v->watch;
    struct memo__view *view = NULL;
    memo_error e = MEMO_INIT(memo_error);
    memo_status st = memo__cache_load(&w->cache, v->name, w->options.cache_max_age, &view, &e);
    if (st != MEMO_OK) {
        if (st != MEMO_E_UNREACHABLE)
            cache_says(w, st, e.message);
        return;
    }
    struct service as = { .revision = view->revision, .epoch = view->epoch, .count = view->count, .confirmed = view->confirmed, .unproven = view->unproven };
    if (w->sink.view(w->sink.user, v->name, view) != MEMO_OK) {
        memo__view_free(view);
        return;
    }
    w->counts.cache_loads++;
    v->known = true;
    v->state = MEMO_VIEW_CACHED;
    v->revision = as.revision;
    v->epoch = as.epoch;
    v->count = as.count;
    v->confirmed = as.confirmed;
    v->unproven = as.unproven;
}

/* ---- views ---- */

static void forget_doubt(struct service *v)
{
    memo__view_free(v->doubted);
    v->doubted = NULL;
}

static void offer_again(struct memo__timer *t, void *user);

/* Gives an accepted view to the receiver. */
static void publish(struct service *v, struct memo__view *view, const struct memo__proof *p)
{
    struct memo__watch *w = v->watch;
    uint64_t revision = view->revision, epoch = view->epoch;
    uint32_t count = view->count;
    memo__view_free(v->pending);
    v->pending = NULL;
    view->state = MEMO_VIEW_LIVE;
    view->confirmed = p->sent;
    view->unproven = false;
    if (w->sink.view(w->sink.user, v->name, view) != MEMO_OK) {
        v->pending = view;
        v->within = p->within;
        start(w, &v->offer, jitter(w, OFFER_AGAIN / 2, OFFER_AGAIN), offer_again, v);
        return;
    }
    w->counts.views++;
    v->known = true;
    v->revision = revision;
    v->epoch = epoch;
    v->count = count;
    is_live(v, p);
    cache_wanted(v);
}

static void offer_again(struct memo__timer *t, void *user)
{
    struct service *v = user;
    struct memo__view *view = v->pending;
    (void)t;
    v->pending = NULL;
    if (view) {
        const struct memo__proof p = { .sent = view->confirmed, .within = v->within };
        publish(v, view, &p);
    }
}

static bool loses_much(const struct service *v, const struct memo__view *view)
{
    uint64_t rest = (uint64_t)view->count * 1000000, least = (uint64_t)v->count * (1000000 - v->watch->options.protect_share);
    return view->count < v->count && (view->count == 0 || rest < least);
}

/* Is what it takes away proven? The own history of an authoritative source is; so is anything that it says against what another boot left in the cache. */
static bool proven(const struct service *v, const struct memo__view *view, const struct memo__proof *p)
{
    return p->authoritative && (view->epoch == v->epoch || (v->state == MEMO_VIEW_CACHED && v->unproven));
}

static void doubt(struct service *v, struct memo__view *view, const struct memo__proof *p)
{
    struct memo__watch *w = v->watch;
    bool first = v->doubted == NULL;
    if (first) {
        v->doubted_since = boot(w);
        w->counts.protections++;
        say(w, MEMO_LOG_WARN, "service %s: an unproven update from %" PRIu32 " to %" PRIu32 " endpoints is not followed; the last good view stays", v->name, v->count, view->count);
    }
    forget_doubt(v);
    v->doubted = view;
    v->within = p->within;
    v->state = MEMO_VIEW_PROTECTED;
    tell_age(v);
}

/* Has the source insisted for long enough? */
static bool insisted(const struct service *v, const struct memo__view *view, const struct memo__proof *p)
{
    return v->doubted && memo__since(boot(v->watch), v->doubted_since) >= v->watch->options.protect_for && (view->count > 0 || p->authoritative);
}

/* A source without revisions of its own: ours count on from the last. */
static void number(const struct service *v, struct memo__view *view)
{
    const struct memo__view *held = v->known ? v->watch->sink.borrow(v->watch->sink.user, v->name) : NULL;
    if (view->revision)
        return;
    view->revision = 1;
    if (held && v->epoch == view->epoch)
        view->revision = memo__view_same(held, view) ? v->revision : v->revision + 1;
}

static void got_view(void *user, const char *service, struct memo__view *view, const struct memo__proof *p)
{
    struct memo__watch *w = user;
    struct service *v = find(w, service);
    if (!v) {
        memo__view_free(view);
        return;
    }
    number(v, view);
    if (v->known && view->epoch == v->epoch && view->revision < v->revision) {
        w->counts.ignored_older++;
        if (!v->behind)
            say(w, MEMO_LOG_WARN, "service %s: revision %" PRIu64 " is older than %" PRIu64 " of the same history: ignored", v->name, view->revision, v->revision);
        v->behind = true;
        memo__view_free(view);
        return;
    }
    v->behind = false;
    if (v->known && loses_much(v, view) && !proven(v, view, p) && !insisted(v, view, p)) {
        doubt(v, view, p);
        return;
    }
    if (v->known && view->epoch != v->epoch) {
        w->counts.epochs++;
        say(w, MEMO_LOG_WARN, "service %s: the registry has begun another history (epoch %016" PRIx64 ", was %016" PRIx64 ")", v->name, view->epoch, v->epoch);
    }
    forget_doubt(v);
    publish(v, view, p);
}

static void got_confirmed(void *user, const char *service, const struct memo__proof *p)
{
    struct memo__watch *w = user;
    struct service *v = find(w, service);
    if (!v)
        return;
    if (v->doubted) { /* it confirms what we do not follow */
        struct memo__view *view = v->doubted;
        if (!insisted(v, view, p))
            return;
        v->doubted = NULL;
        say(w, MEMO_LOG_WARN, "service %s: the source insists: %" PRIu32 " endpoints instead of %" PRIu32, v->name, view->count, v->count);
        publish(v, view, p);
        return;
    }
    if (v->pending) {
        v->pending->confirmed = p->sent;
        return;
    }
    if (!v->known || v->behind)
        return;
    w->counts.confirmations++;
    bool was_cached = v->state == MEMO_VIEW_CACHED;
    is_live(v, p);
    if (was_cached)
        cache_wanted(v);
    tell_age(v);
}

/* ---- trouble ---- */

static void is_stale(struct service *v)
{
    if (v->state != MEMO_VIEW_LIVE || v->within <= 0)
        return;
    v->state = MEMO_VIEW_STALE;
    tell_age(v);
}

static void plan_retry(struct trouble *t);

static void retry(struct memo__timer *timer, void *user)
{
    struct trouble *t = user;
    (void)timer;
    t->watch->counts.retries++;
    plan_retry(t);
    t->watch->ops->retry(t->watch->source, t->service);
}

static void plan_retry(struct trouble *t)
{
    struct memo__watch *w = t->watch;
    int64_t scale = w->ops->retry_initial;
    for (uint32_t i = 0; i < t->tries && scale < w->ops->retry_max; i++)
        scale *= 2;
    if (scale > w->ops->retry_max)
        scale = w->ops->retry_max;
    if (t->tries < 64)
        t->tries++;
    start(w, &t->timer, jitter(w, 0, scale), retry, t);
}

static void got_trouble(void *user, const char *service, memo_status st, const char *text)
{
    struct memo__watch *w = user;
    struct service *v = service ? find(w, service) : NULL;
    struct trouble *t = v ? &v->trouble : &w->trouble;
    if ((service && !v) || st == t->status)
        return;
    bool began = t->status == MEMO_OK;
    t->status = st;
    if (st == MEMO_OK) {
        t->tries = 0;
        (void)park(w, &t->timer, retry, t);
    } else if (began) {
        w->counts.troubles++;
        plan_retry(t);
    }
    if (st != MEMO_OK && v)
        is_stale(v);
    for (struct service *each = st != MEMO_OK && !v ? w->services : NULL; each; each = each->next)
        is_stale(each);
    w->sink.trouble(w->sink.user, v ? v->name : NULL, st, text);
}

static void got_note(void *user, const char *service, memo_status st, const char *text)
{
    (void)st;
    say(user, MEMO_LOG_WARN, "service %s: %s", service ? service : "-", text);
}

static const struct memo__view *held(void *user, const char *service)
{
    struct memo__watch *w = user;
    struct service *v = find(w, service);
    if (v && v->pending)
        return v->pending;
    return v && v->known ? w->sink.borrow(w->sink.user, v->name) : NULL;
}

/* ---- opening and closing ---- */

static void settle(struct memo__watch *w, const struct memo__watch_options *o)
{
    w->options = *o;
    w->options.cache_dir = NULL; /* copied by the cache */
    if (w->options.protect_for <= 0)
        w->options.protect_for = PROTECT_FOR;
    if (w->options.protect_share > 1000000)
        w->options.protect_share = 1000000;
    if (w->ground.host->random(w->ground.host->user, &w->draws, sizeof w->draws) < 0)
        w->draws = (uint64_t)boot(w);
}

memo_status memo__watch_open_with(const struct memo__ground *g, const struct memo__source_ops *ops, const char *url, const struct memo__watch_options *o,
                                  const struct memo__watch_sink *sink, struct memo__watch **out, memo_error *e)
{
    struct memo__watch *w = memo__get(g->alloc, sizeof *w);
    memo_status st = MEMO_OK;
    *out = NULL;
    if (!w)
        return memo__fail(e, MEMO_E_NO_MEMORY, "no memory for a registry");
    const struct memo__source_sink mine = { .view = got_view, .confirmed = got_confirmed, .trouble = got_trouble, .note = got_note, .held = held, .user = w };
    w->ground = *g;
    w->alloc = *g->alloc;
    w->sink = *sink;
    w->ops = ops;
    w->cache.dir = -1;
    w->trouble = (struct trouble){ .watch = w };
    settle(w, o);
    st = park(w, &w->trouble.timer, retry, &w->trouble);
    if (st == MEMO_OK && o->cache_on)
        st = memo__cache_init(&w->cache, g->alloc, g->host, o->cache_dir, url, e);
    struct memo__text text = memo__text_of(url);
    size_t skip = strlen(ops->scheme) + 1;
    if (st == MEMO_OK)
        st = ops->open(g, (struct memo__text){ text.at + skip, text.n - skip }, &mine, &w->source, e);
    if (st == MEMO_OK)
        *out = w;
    else
        memo__watch_close(w);
    return st;
}

memo_status memo__watch_open(const struct memo__ground *g, const char *url, const struct memo__watch_options *o, const struct memo__watch_sink *sink, struct memo__watch **out,
                             memo_error *e)
{
    const struct memo__source_ops *ops = memo__source_find(memo__text_of(url));
    *out = NULL;
    return ops ? memo__watch_open_with(g, ops, url, o, sink, out, e) : memo__source_check(g->alloc, g->host, url, e);
}

static void free_service(struct memo__watch *w, struct service *v)
{
    memo__timer_stop(w->ground.loop, &v->offer);
    memo__timer_stop(w->ground.loop, &v->stale);
    memo__timer_stop(w->ground.loop, &v->cache);
    memo__timer_stop(w->ground.loop, &v->trouble.timer);
    memo__view_free(v->pending);
    memo__view_free(v->doubted);
    memo__drop(&w->alloc, v);
}

static void drop_service(struct memo__watch *w, struct service *v)
{
    struct service **at = &w->services;
    if (v->cache_news)
        write_cache(v);
    while (*at != v)
        at = &(*at)->next;
    *at = v->next;
    free_service(w, v);
}

void memo__watch_close(struct memo__watch *w)
{
    if (!w)
        return;
    struct memo__alloc a = w->alloc;
    if (w->source)
        w->ops->close(w->source);
    while (w->services)
        drop_service(w, w->services);
    memo__timer_stop(w->ground.loop, &w->trouble.timer);
    memo__cache_fini(&w->cache);
    memo__drop(&a, w);
}

const struct memo__source_ops *memo__watch_source(const struct memo__watch *w)
{
    return w->ops;
}

struct memo__watch_counts memo__watch_counts(const struct memo__watch *w)
{
    return w->counts;
}

/* ---- services ---- */

memo_status memo__watch_service(struct memo__watch *w, const char *service)
{
    if (!service || !service[0] || strlen(service) >= sizeof w->services->name)
        return MEMO_E_ARGUMENT;
    if (find(w, service))
        return MEMO_OK;
    struct service *v = memo__get(&w->alloc, sizeof *v);
    if (!v)
        return MEMO_E_NO_MEMORY;
    v->watch = w;
    (void)memo__text_copy(v->name, sizeof v->name, memo__text_of(service));
    v->trouble = (struct trouble){ .watch = w, .service = v->name };
    memo_status st = park(w, &v->trouble.timer, retry, &v->trouble);
    if (st == MEMO_OK)
        st = park(w, &v->stale, check_stale, v);
    if (st == MEMO_OK)
        st = park(w, &v->offer, offer_again, v);
    if (st == MEMO_OK)
        st = park(w, &v->cache, cache_due, v);
    if (st == MEMO_OK)
        st = w->ops->watch(w->source, v->name);
    if (st != MEMO_OK) {
        free_service(w, v);
        return st;
    }
    v->next = w->services;
    w->services = v;
    if (w->options.cache_on)
        load_cache(v);
    return MEMO_OK;
}

void memo__unwatch_service(struct memo__watch *w, const char *service)
{
    struct service *v = find(w, service);
    if (!v)
        return;
    w->ops->unwatch(w->source, v->name);
    drop_service(w, v);
}

void memo__watch_list(struct memo__watch *w, memo__names_fn *fn, void *user)
{
    w->ops->list(w->source, fn, user);
}

void memo__watch_read(struct memo__watch *w, const char *service, memo__read_fn *fn, void *user)
{
    w->ops->read(w->source, service, fn, user);
}

/* ---- leases ---- */

memo_status memo__watch_lease(struct memo__watch *w, struct memo__lease *l)
{
    return w->ops->lease(w->source, l);
}

void memo__watch_change(struct memo__watch *w, struct memo__lease *l)
{
    w->ops->change(w->source, l);
}

void memo__watch_withdraw(struct memo__watch *w, struct memo__lease *l)
{
    w->ops->withdraw(w->source, l);
}

void memo__watch_forget(struct memo__watch *w, struct memo__lease *l)
{
    w->ops->forget(w->source, l);
}

void memo__watch_forked(struct memo__watch *w)
{
    w->ops->forked(w->source);
}
