/* SPDX-License-Identifier: Apache-2.0 */
/* config.c: the configuration values of a client: its sources laid over each other, published as one snapshot, read without waiting.
 *
 *   document --text--> part --all sources known?--> candidate --the program's check--> published: the parts are in force, events for watched prefixes
 *                        \--mistakes--> event, log line                       \--refused--> event, log line, count; the snapshot before stays, whole
 *
 * A snapshot is one state of all sources: until each of them has been read (or is provably not there), nothing is published. Readers take it in a
 * reader's section and count it; the engine's own reference is given back after a grace period. */
#define _GNU_SOURCE
#include <memo/config.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/status.h"
#include "client/client.h"
#include "client/engine.h"
#include "sources/document.h"

#define SOURCES_MOST 32
#define WATCHES_MOST 64
#define SEPARATORS ", \t\r\n"

/* ---- publishing ---- */

static void released(struct memo__retired *r)
{
    memo__config_drop((memo_config *)(void *)r);
}

_Static_assert(offsetof(struct memo_config, retired) == 0, "what is retired is the snapshot");

/* What the newest snapshot is worth: as the worst of its sources. */
static void tell_worth(memo_client *c)
{
    static const int order[] = { [MEMO_VIEW_EMPTY] = 3, [MEMO_VIEW_LIVE] = 0, [MEMO_VIEW_STALE] = 1, [MEMO_VIEW_PROTECTED] = 1,
                                 [MEMO_VIEW_CACHED] = 2 };
    memo__instant confirmed = MEMO__NEVER;
    int32_t state = MEMO_VIEW_LIVE;
    bool unproven = false;
    memo_config *g = c->config;
    if (!g || !g->revision)
        return;
    for (uint32_t i = 0; i < c->owner.config.count; i++) {
        const struct memo__document *d = c->owner.config.sources[i].document;
        if (!d || (d->absent && d->state == MEMO_VIEW_EMPTY))
            continue;
        if (order[d->state] > order[state])
            state = d->state;
        confirmed = memo__earlier(confirmed, d->confirmed);
        unproven = unproven || d->unproven;
    }
    memo__store(&g->state, state);
    memo__store(&g->confirmed, confirmed);
    memo__store_release(&g->unproven, unproven);
}

struct changes { memo_client *c; const memo_config *after; const char *prefix; char key[64]; uint32_t count; };

static void on_change(void *user, const char *key, char change)
{
    struct changes *x = user;
    size_t n = strlen(x->prefix);
    (void)change;
    if (n && (strncmp(key, x->prefix, n) != 0 || (key[n] && key[n] != '.')))
        return;
    if (!x->count++)
        (void)memo__text_copy(x->key, sizeof x->key, memo__text_of(key));
}

static void tell_watchers(memo_client *c, const memo_config *before, const memo_config *after)
{
    for (const struct memo__config_watch *w = c->owner.config.watches; w; w = w->next) {
        struct changes x = { .c = c, .after = after, .prefix = w->prefix };
        memo__config_compare(before, after, on_change, &x);
        if (x.count == 1)
            memo__client_event(c, MEMO_EVENT_CONFIG, "", x.key, MEMO_OK, after->revision, "%s has changed", x.key);
        else if (x.count)
            memo__client_event(c, MEMO_EVENT_CONFIG, "", w->prefix, MEMO_OK, after->revision, "%u values have changed, the first is %s", x.count,
                               x.key);
    }
}

static void sources_settle(memo_client *c, bool good)
{
    for (uint32_t i = 0; i < c->owner.config.count; i++) {
        struct memo__config_source *s = &c->owner.config.sources[i];
        if (!s->next)
            continue;
        memo__config_part_free(good ? s->part : s->next);
        if (good) {
            s->part = s->next;
            memcpy(s->name, s->next_name, sizeof s->name);
        }
        s->next = NULL;
        if (s->document)
            memo__document_settle(s->document, good);
    }
}

static const char *missing(const memo_client *c)
{
    for (uint32_t i = 0; i < c->owner.config.count; i++) {
        const struct memo__config_source *s = &c->owner.config.sources[i];
        if (!s->next && !s->part && !s->document->absent)
            return s->document->url;
    }
    return NULL;
}

static void wake(memo_client *c)
{
    memo__lock_take(&c->shared.lock);
    c->shared.config_missing = c->config && c->config->revision ? NULL : missing(c) ? missing(c) : "a check of the program's";
    memo__wake(&c->shared.lock);
    memo__lock_drop(&c->shared.lock);
}

static void on_difference(void *user, const char *key, char change)
{
    (void)key;
    (void)change;
    *(bool *)user = true;
}

/* With the turn: g is the newest from now on, its parts are in force. */
static void publish(memo_client *c, memo_config *g)
{
    struct memo__configuration *o = &c->owner.config;
    memo_config *before = c->config;
    bool differs = !before || !before->revision;
    if (!differs)
        memo__config_compare(before, g, on_difference, &differs);
    o->published += differs;
    g->revision = o->published;
    memo__store_release(&c->config, g);
    sources_settle(c, true);
    tell_worth(c);
    if (differs)
        tell_watchers(c, before && before->revision ? before : NULL, g);
    if (before)
        memo__engine_retire(&before->retired, released);
    if (differs && o->count)
        memo__client_log(c, MEMO_LOG_INFO, "configuration revision %llu: %u values", (unsigned long long)g->revision, g->count);
    wake(c);
}

static void refuse(memo_client *c, const char *why)
{
    struct memo__configuration *o = &c->owner.config;
    o->refused++;
    memo__client_event(c, MEMO_EVENT_CONFIG, "", "", MEMO_E_SETTING, o->published, "refused by the program's check: %s", why);
    memo__client_log(c, MEMO_LOG_ERROR, "configuration refused by the program's check: %s", why);
    sources_settle(c, false);
    wake(c);
}

/* Lays the sources over each other. MEMO_OK: published, waiting for a check, or for a source that has not been read yet. */
static memo_status propose(memo_client *c, memo_error *e)
{
    struct memo__configuration *o = &c->owner.config;
    static const struct memo__config_part nothing;
    struct memo__config_layer layers[SOURCES_MOST];
    memo_config *g = NULL;
    if (o->opening || missing(c))
        return MEMO_OK;
    for (uint32_t i = 0; i < o->count; i++) {
        const struct memo__config_source *s = &o->sources[i];
        layers[i].part = s->next ? s->next : s->part ? s->part : &nothing;
        layers[i].name = s->next ? s->next_name : s->name;
    }
    memo_status wrong = memo__config_new(&c->alloc, c->host, layers, o->count, memo__setting_text(&c->settings, MEMO__SETTING_CONFIG_SECRETS),
                                         o->seed, &g, e);
    if (wrong != MEMO_OK)
        return wrong;
    memo__lock_take(&c->shared.lock);
    bool checked = c->shared.check != NULL;
    memo__lock_drop(&c->shared.lock);
    memo__config_drop(o->candidate);
    o->proposed++;
    o->candidate = checked ? g : NULL;
    if (!checked)
        publish(c, g);
    return MEMO_OK;
}

/* ---- the program's check ---- */

/* Without the turn. */
static memo_status check(memo_client *c, memo_config *g, char *why, size_t n)
{
    memo__lock_take(&c->shared.lock);
    memo_config_check_fn *f = c->shared.check;
    void *user = c->shared.check_user;
    memo__lock_drop(&c->shared.lock);
    why[0] = '\0';
    memo__inside++;
    int verdict = f ? f(g, why, n, user) : 0;
    memo__inside--;
    why[n - 1] = '\0';
    memo__utf8_mend(why);
    return verdict ? MEMO_E_SETTING : MEMO_OK;
}

/* With the turn: the candidate, if there is one and nobody looks at another. */
static memo_config *check_begin(memo_client *c, uint64_t *which)
{
    memo_config *g = NULL;
    *which = c->owner.config.proposed;
    if (!c->owner.config.candidate)
        return NULL; /* most turns: without the client's lock, which its owner may have while he waits for the turn */
    memo__lock_take(&c->shared.lock);
    if (!c->shared.checking && !c->shared.check_closed) {
        g = c->owner.config.candidate;
        c->owner.config.candidate = NULL;
        c->shared.checking = g != NULL;
        c->shared.checker = pthread_self();
    }
    memo__lock_drop(&c->shared.lock);
    return g;
}

/* Without the turn: published, or refused. Another driver may have had a newer one meanwhile: then this one is nothing any more, and that one is
 * looked at next. */
static memo_status check_end(memo_client *c, memo_config *g, uint64_t which, memo_error *e)
{
    char why[160];
    memo_status s = check(c, g, why, sizeof why);
    (void)memo__turn_take();
    if (which != c->owner.config.proposed)
        memo__config_drop(g);
    else if (s == MEMO_OK)
        publish(c, g);
    else {
        refuse(c, why);
        memo__config_drop(g);
        (void)memo__fail_at(e, s, NULL, 0, 0, "config", "the configuration is refused by the program's check: %s", why);
    }
    memo__turn_drop();
    memo__lock_take(&c->shared.lock);
    c->shared.checking = false;
    memo__wake(&c->shared.lock);
    memo__lock_drop(&c->shared.lock);
    return s;
}

void memo__configs_check(void)
{
    for (;;) {
        struct memo__engine *engine = memo__turn_take();
        memo_client *c = engine ? engine->clients : NULL;
        memo_config *g = NULL;
        uint64_t which = 0;
        for (; c; c = c->next)
            if (memo__load(&c->phase) != MEMO__BUILT && (g = check_begin(c, &which)))
                break;
        memo__turn_drop();
        if (!c)
            return;
        (void)check_end(c, g, which, NULL);
    }
}

/* What the check has refused is replaced by the last good texts, and these are looked at once more. */
static memo_config *last_good(memo_client *c, uint64_t *which)
{
    struct memo__configuration *o = &c->owner.config;
    (void)memo__turn_take();
    o->opening = true;
    for (uint32_t i = 0; i < o->count; i++)
        if (o->sources[i].document)
            (void)memo__document_copy(o->sources[i].document, NULL);
    o->opening = false;
    (void)propose(c, NULL);
    memo_config *g = check_begin(c, which);
    memo__turn_drop();
    return g;
}

memo_status memo__config_admit(memo_client *c, memo_error *e)
{
    uint64_t which;
    (void)memo__turn_take();
    memo_config *g = check_begin(c, &which);
    memo__turn_drop();
    memo_status s = g ? check_end(c, g, which, e) : MEMO_OK;
    if (s != MEMO_OK && (g = last_good(c, &which)))
        s = check_end(c, g, which, e);
    return s;
}

memo_status memo_config_check_set(memo_client *c, memo_config_check_fn *f, void *user)
{
    if (!c)
        return MEMO_E_ARGUMENT;
    memo__process_check();
    memo__lock_take(&c->shared.lock);
    c->shared.check = f;
    c->shared.check_user = user;
    while (c->shared.checking && !pthread_equal(c->shared.checker, pthread_self()))
        (void)memo__wait(&c->shared.lock, MEMO__NEVER);
    memo__lock_drop(&c->shared.lock);
    return MEMO_OK;
}

/* ---- sources ---- */

static memo_status on_text(void *user, struct memo__text text, memo_error *e)
{
    struct memo__config_source *s = user;
    memo_client *c = s->client;
    struct memo__config_part *part = NULL;
    memo_error wrong = MEMO_INIT(memo_error);
    const char *where = s->document->url;
    bool copied = s->document->copied;
    memo_status status = memo__config_parse(&c->alloc, s->format, text, where, &part, &wrong);
    if (status == MEMO_OK) {
        memo__config_part_free(s->next);
        s->next = part;
        memo__document_name(s->document, s->next_name, sizeof s->next_name);
        status = propose(c, &wrong);
        if (status != MEMO_OK) {
            memo__config_part_free(s->next);
            s->next = NULL;
        }
    }
    if (e && status != MEMO_OK)
        *e = wrong;
    if (status == MEMO_OK && copied)
        memo__client_log(c, MEMO_LOG_WARN, "configuration %s cannot be used: what it said last holds until it can", where);
    if (status == MEMO_OK || status == MEMO_E_NO_MEMORY)
        return status;
    c->owner.config.refused++;
    memo__client_event(c, MEMO_EVENT_CONFIG, "", where, status, c->owner.config.published, "line %d, column %d: %s%s%s", (int)wrong.line,
                       (int)wrong.column, wrong.path, wrong.path[0] ? ": " : "", wrong.message);
    memo__client_log(c, MEMO_LOG_ERROR, "%s:%d:%d: %s%s%s: the configuration in force stays", where, (int)wrong.line, (int)wrong.column, wrong.path,
                     wrong.path[0] ? ": " : "", wrong.message);
    return status;
}

static void on_trouble(void *user, memo_status status, const char *why)
{
    struct memo__config_source *s = user;
    memo_client *c = s->client;
    const char *rest = status == MEMO_OK ? "" : ": what it said last holds";
    memo__client_event(c, MEMO_EVENT_CONFIG, "", s->document->url, status, c->owner.config.published, "%s%s", why, rest);
    memo__client_log(c, status == MEMO_OK ? MEMO_LOG_INFO : MEMO_LOG_WARN, "configuration %s %s%s", s->document->url, why, rest);
}

static void on_worth(void *user)
{
    struct memo__config_source *s = user;
    tell_worth(s->client);
}

static void on_unkept(void *user, const char *why)
{
    const struct memo__config_source *s = user;
    memo__client_log(s->client, MEMO_LOG_INFO, "the last good text of %s is not kept on disk: %s", s->document->url, why);
}

static memo_status open_environment(struct memo__config_source *s, const char *prefix, memo_error *e)
{
    size_t n = strlen(prefix);
    if (!n || strspn(prefix, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") != n)
        return memo__fail_at(e, MEMO_E_SETTING, NULL, 0, 0, "config", "env:%s: a prefix of variables is needed, as in env:APP_", prefix);
    (void)snprintf(s->name, sizeof s->name, "environment");
    return memo__config_environment(&s->client->alloc, (struct memo__text){ prefix, n }, (const char *const *)environ, &s->part, e);
}

/* A mistake in the source's address or in what it says; a source that is not there is none. */
static memo_status source_open(struct memo__config_source *s, const char *url, const struct memo__document_ground *g, memo_error *e)
{
    const struct memo__document_sink sink = { on_text, on_trouble, on_worth, on_unkept, s };
    memo_error wrong = MEMO_INIT(memo_error);
    if (strncmp(url, "env:", 4) == 0)
        return open_environment(s, url + 4, e);
    memo_status status = memo__document_open(g, url, &sink, &s->document, e);
    if (status != MEMO_OK)
        return status;
    s->format = memo__config_format_of(url);
    status = memo__document_start(s->document, &wrong);
    if (status == MEMO_E_IO || status == MEMO_E_UNREACHABLE) {
        if (status == MEMO_E_IO)
            memo__client_log(s->client, MEMO_LOG_WARN, "configuration %s %s: nothing comes from it until it can be read", s->document->url,
                             wrong.message);
        return MEMO_OK;
    }
    if (status != MEMO_OK && e)
        *e = wrong;
    return status;
}

static uint32_t count_urls(const char *list)
{
    uint32_t n = 0;
    for (; *(list += strspn(list, SEPARATORS)); n++)
        list += strcspn(list, SEPARATORS);
    return n;
}

static memo_status sources_open(memo_client *c, const struct memo__document_ground *g, memo_error *e)
{
    struct memo__configuration *o = &c->owner.config;
    const char *at = memo__setting_text(&c->settings, MEMO__SETTING_CONFIG);
    uint32_t count = count_urls(at);
    char url[2048];
    if (count > SOURCES_MOST)
        return memo__fail_at(e, MEMO_E_SETTING, NULL, 0, 0, "config", "%u sources, at most %d are read", count, SOURCES_MOST);
    if (count && !(o->sources = memo__get_array(&c->alloc, count, sizeof *o->sources)))
        return memo__fail(e, MEMO_E_NO_MEMORY, "no memory for the configuration");
    for (uint32_t i = 0; i < count; i++)
        o->sources[i].client = c;
    while (*(at += strspn(at, SEPARATORS))) {
        struct memo__text one = { at, strcspn(at, SEPARATORS) };
        at += one.n;
        if (!memo__text_copy(url, sizeof url, one))
            return memo__fail_at(e, MEMO_E_SETTING, NULL, 0, 0, "config", "the address of a source is longer than %zu bytes", sizeof url - 1);
        memo_status s = source_open(&o->sources[o->count], url, g, e);
        if (o->sources[o->count].document || o->sources[o->count].part)
            o->count++; /* whatever becomes of it, it is closed with the others */
        if (s != MEMO_OK)
            return s;
    }
    return MEMO_OK;
}

static memo_status first_snapshot(memo_client *c, memo_error *e)
{
    return memo__config_new(&c->alloc, c->host, NULL, 0, "", 0, &c->config, e);
}

memo_status memo__config_open(memo_client *c, memo_error *e)
{
    struct memo__engine *g = memo__turn_take();
    struct memo__document_ground ground = memo__client_ground(c, g, "config", MEMO_E_SETTING, MEMO__CONFIG_BYTES_MAX);
    (void)c->host->random(c->host->user, &c->owner.config.seed, sizeof c->owner.config.seed);
    memo_status s = first_snapshot(c, e);
    if (s == MEMO_OK) {
        c->config->state = MEMO_VIEW_EMPTY;
        c->owner.config.opening = true;
        s = sources_open(c, &ground, e);
        c->owner.config.opening = false;
    }
    if (s == MEMO_OK)
        s = propose(c, e);
    wake(c);
    memo__turn_drop();
    return s;
}

void memo__config_close(memo_client *c)
{
    struct memo__configuration *o = &c->owner.config;
    (void)memo__turn_take();
    for (uint32_t i = 0; i < o->count; i++) {
        memo__document_close(o->sources[i].document);
        memo__config_part_free(o->sources[i].part);
        memo__config_part_free(o->sources[i].next);
    }
    memo__drop(&c->alloc, o->sources);
    memo__config_drop(o->candidate);
    memo_config *last = c->config;
    memo__store_release(&c->config, (memo_config *)NULL);
    if (last)
        memo__engine_retire(&last->retired, released);
    o->sources = NULL;
    o->candidate = NULL;
    o->count = 0;
    o->published = o->refused = 0;
    memo__turn_drop();
}

void memo__config_free(memo_client *c)
{
    memo__lock_take(&c->shared.lock);
    c->shared.check_closed = true;
    while (c->shared.checking)
        (void)memo__wait(&c->shared.lock, MEMO__NEVER);
    memo__lock_drop(&c->shared.lock);
    (void)memo__turn_take();
    while (c->owner.config.watches) {
        struct memo__config_watch *next = c->owner.config.watches->next;
        memo__drop(&c->alloc, c->owner.config.watches);
        c->owner.config.watches = next;
    }
    memo__turn_drop();
}

void memo__config_after_fork(memo_client *c)
{
    bool lost = c->shared.checking; /* the thread that did is the parent's, and with it the candidate */
    c->shared.checking = false;
    for (uint32_t i = 0; i < c->owner.config.count; i++)
        if (c->owner.config.sources[i].document)
            memo__document_forked(c->owner.config.sources[i].document);
    if (lost)
        (void)propose(c, NULL);
}

/* ---- watching ---- */

memo_status memo_config_watch(memo_client *c, const char *prefix, int on)
{
    struct memo__text bare = memo__text_of(prefix);
    if (!c || (on != 0 && on != 1))
        return MEMO_E_ARGUMENT;
    while (bare.n && bare.at[bare.n - 1] == '.')
        bare.n--;
    if (bare.n >= MEMO__CONFIG_KEY_MAX)
        return MEMO_E_ARGUMENT;
    memo__process_check();
    (void)memo__turn_take();
    struct memo__configuration *o = &c->owner.config;
    struct memo__config_watch **at = &o->watches, *w;
    memo_status s = MEMO_OK;
    while (*at && !memo__text_is(bare, (*at)->prefix))
        at = &(*at)->next;
    if (!on && *at) {
        w = *at;
        *at = w->next;
        o->watches_count--;
        memo__drop(&c->alloc, w);
    } else if (on && !*at) {
        w = o->watches_count < WATCHES_MOST ? memo__get(&c->alloc, sizeof *w + bare.n + 1) : NULL;
        s = w ? MEMO_OK : o->watches_count < WATCHES_MOST ? MEMO_E_NO_MEMORY : MEMO_E_ARGUMENT;
        if (w) {
            memcpy(w->prefix, bare.at, bare.n);
            o->watches_count++;
            *at = w;
        }
    }
    memo__turn_drop();
    return s;
}

/* ---- reading ---- */

memo_status memo_config_acquire(memo_client *c, memo_config **out)
{
    if (!c || !out)
        return MEMO_E_ARGUMENT;
    memo__process_check();
    struct memo__reader *r = memo__reader_enter();
    memo_config *g = memo__load_acquire(&c->config);
    *out = g ? memo__config_hold(g) : NULL;
    memo__reader_leave(r);
    return g ? MEMO_OK : MEMO_E_STATE;
}

void memo_config_release(memo_config *g)
{
    memo__config_drop(g);
}

/* The value, if it is of that type. */
static inline const struct memo__config_value *find(const memo_config *g, const char *key, uint8_t type)
{
    const struct memo__config_value *v = g && key ? memo__config_find(g, key) : NULL;
    return v && (v->types & type) == type ? v : NULL;
}

const char *memo_config_get_text(const memo_config *g, const char *key, const char *otherwise)
{
    const struct memo__config_value *v = find(g, key, 0);
    return v ? g->text + v->text : otherwise;
}

int64_t memo_config_get_int(const memo_config *g, const char *key, int64_t otherwise)
{
    const struct memo__config_value *v = find(g, key, MEMO__CONFIG_IS_INT);
    return v ? v->whole : otherwise;
}

int memo_config_get_bool(const memo_config *g, const char *key, int otherwise)
{
    const struct memo__config_value *v = find(g, key, MEMO__CONFIG_IS_BOOL);
    return v ? v->truth : otherwise;
}

int64_t memo_config_get_ms(const memo_config *g, const char *key, int64_t otherwise)
{
    const struct memo__config_value *v = find(g, key, MEMO__CONFIG_IS_DURATION);
    return v ? v->ms : otherwise;
}

int64_t memo_config_get_bytes(const memo_config *g, const char *key, int64_t otherwise)
{
    const struct memo__config_value *v = find(g, key, MEMO__CONFIG_IS_BYTES);
    return v ? v->bytes : otherwise;
}

double memo_config_get_number(const memo_config *g, const char *key, double otherwise)
{
    const struct memo__config_value *v = find(g, key, MEMO__CONFIG_IS_NUMBER);
    return v ? v->number : otherwise;
}

memo_status memo_config_expect(const memo_config *g, const char *key, const char *type, memo_error *e)
{
    static const struct { const char *name; uint8_t bit; const char *as; } types[] = {
        { "text", 0, "a text" }, { "int", MEMO__CONFIG_IS_INT, "a whole number" }, { "bool", MEMO__CONFIG_IS_BOOL, "true or false" },
        { "duration", MEMO__CONFIG_IS_DURATION, "a duration such as \"250ms\", \"5s\", \"1h\"" },
        { "bytes", MEMO__CONFIG_IS_BYTES, "a size such as \"64KiB\", \"16MiB\"" }, { "number", MEMO__CONFIG_IS_NUMBER, "a number" },
    };
    size_t i = 0;
    while (i < sizeof types / sizeof *types && (!type || strcmp(types[i].name, type) != 0))
        i++;
    if (!g || !key || i == sizeof types / sizeof *types)
        return memo__fail(e, MEMO_E_ARGUMENT, "a snapshot, a key and a type (text, int, bool, duration, bytes, number) are needed");
    const struct memo__config_value *v = memo__config_find(g, key);
    if (!v)
        return memo__fail_at(e, MEMO_E_SETTING, NULL, 0, 0, key, "there is no value %s", key);
    if ((v->types & types[i].bit) == types[i].bit)
        return MEMO_OK;
    const char *file = g->text + v->origin;
    return memo__fail_at(e, MEMO_E_SETTING, strncmp(file, "file ", 5) == 0 ? file + 5 : file, v->line, 0, key, "%s = \"%.64s\" is not %s", key,
                         v->secret ? "(secret)" : g->text + v->text, types[i].as);
}

memo_status memo_config_get_origin(const memo_config *g, const char *key, char *buf, size_t n)
{
    const struct memo__config_value *v = find(g, key, 0);
    struct memo__writer w;
    if (!v || (n && !buf))
        return MEMO_E_ARGUMENT;
    const char *origin = g->text + v->origin;
    memo__writer_init(&w, buf, n);
    memo__put_text(&w, origin);
    if (v->line)
        memo__put_format(&w, strncmp(origin, "file ", 5) == 0 ? ":%d" : ", line %d", (int)v->line);
    return memo__writer_end(&w) ? MEMO_OK : MEMO_E_TRUNCATED;
}

int memo_config_is_secret(const memo_config *g, const char *key)
{
    const struct memo__config_value *v = find(g, key, 0);
    return v && v->secret;
}

const char *memo_config_get_key(const memo_config *g, const char *prefix, uint32_t i)
{
    struct memo__text t = memo__text_of(prefix);
    if (!g || i >= g->count)
        return NULL;
    uint32_t first = memo__config_first(g, t);
    return i < g->count - first && memo__config_below(g, first + i, t) ? g->text + g->values[first + i].key : NULL;
}

memo_status memo_config_get_facts(const memo_config *g, memo_config_facts *out)
{
    if (!g || !out || out->size < sizeof *out)
        return MEMO_E_ARGUMENT;
    bool unproven = memo__load_acquire(&g->unproven);
    *out = (memo_config_facts){ .size = out->size, .revision = g->revision, .state = memo__load(&g->state), .count = g->count,
                                .age_max_ms = memo__age_ms(memo__load(&g->confirmed), unproven, memo__boot(g->host)) };
    return MEMO_OK;
}
