/* SPDX-License-Identifier: Apache-2.0 */
/* registry_static.c: the registry that is its own URL.
 *
 *   static:todo=127.0.0.1:8080|127.0.0.1:8081;weight=2;version=v2,account=https://host.example:9000
 *          service = endpoint | endpoint ... , service = ...      endpoint: [http:// or https://] host [:port] {; name=value}
 *
 * weight, zone and id are the endpoint's own, any other name is a label. A host is an address or a name. Addresses are true for ever: age 0, strict reads. Names are asked of the
 * resolver again when their time to live is over (1 s at least, 60 s at most); an answer replaces that name's addresses, but whatever else happens, also "no such name", only says that
 * nothing is known: the addresses of the last answer stay. Such a view cannot be read strictly. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <memo/service.h>
#include "base/hash.h"
#include "base/rng.h"
#include "base/status.h"
#include "net/dns.h"
#include "sources/record.h"
#include "sources/source.h"

#define URL_MOST (1u << 20)
#define TTL_LEAST 1
#define TTL_MOST 60
#define ANSWER_WITHIN (5 * MEMO__S)        /* how long a resolver may take before a view counts as late */

struct list;

struct resolution {                        /* of one name */
    struct list *list;
    char name[MEMO__VIEW_HOST_MOST + 1];
    struct memo__dns_query *query;
    struct memo__timer timer;              /* the next question */
    struct memo__dns_address *addresses;   /* of the last good answer */
    uint32_t count;
    memo__instant asked, confirmed;        /* boot clock: when the running question, and the last good one, were sent */
    int64_t refresh;
    memo_status status;                    /* of the last answer; MEMO_E_STATE: none yet */
};

struct target {                            /* one endpoint of the URL */
    struct memo__text host, options;       /* into the URL's copy */
    uint16_t port;
    bool secure;
    struct resolution *dns;                /* NULL: an address */
};

struct list {                              /* one service of the URL */
    struct memo__static *source;
    struct list *next;
    char name[64];
    struct target *targets;
    uint32_t count, room, names;
    bool watched;
    struct memo__timer first;
    memo_status trouble;
};

struct ask { struct ask *next; struct memo__static *source; struct memo__timer timer; memo__read_fn *read; memo__names_fn *list; void *user; char service[64]; };
struct stranger { struct stranger *next; struct memo__static *source; struct memo__timer timer; char name[64]; }; /* watched, and not in the URL */

struct memo__static {
    struct memo__source source;            /* first */
    struct memo__ground ground;
    struct memo__alloc alloc;
    struct memo__source_sink sink;
    char *url;
    struct list *lists;
    struct stranger *strangers;
    struct ask *asks;
    uint64_t epoch, draws;
};

static struct memo__static *of(struct memo__source *s)
{
    return (struct memo__static *)(void *)s;
}

/* ---- reading the URL ---- */

struct reader { struct memo__static *s; const char *begin, *at, *end; memo_error *e; };

static memo_status wrong(const struct reader *r, const char *at, const char *what)
{
    return memo__fail_at(r->e, MEMO_E_SETTING, "registry", 1, (int32_t)(at - r->begin) + 1 + (int32_t)sizeof "static:" - 1, NULL, "static: %s at \"%.*s\"", what,
                         (int)(r->end - at > 32 ? 32 : r->end - at), at);
}

static struct memo__text until(struct reader *r, const char *stops)
{
    struct memo__text t = { r->at, 0 };
    while (r->at < r->end && !strchr(stops, *r->at))
        r->at++;
    t.n = (size_t)(r->at - t.at);
    return t;
}

/* The next name=value of an endpoint's options; false: no more. */
static bool next_option(struct memo__text *rest, struct memo__text *name, struct memo__text *value)
{
    if (rest->n == 0)
        return false;
    const char *end = memchr(rest->at, ';', rest->n);
    size_t n = end ? (size_t)(end - rest->at) : rest->n;
    const char *equals = memchr(rest->at, '=', n);
    *name = (struct memo__text){ rest->at, equals ? (size_t)(equals - rest->at) : n };
    *value = (struct memo__text){ equals ? equals + 1 : rest->at + n, equals ? n - name->n - 1 : 0 };
    n += end ? 1 : 0;
    *rest = (struct memo__text){ rest->at + n, rest->n - n };
    return true;
}

static memo_status read_options(struct reader *r, struct target *t)
{
    struct memo__text rest, name, value;
    uint64_t weight;
    uint32_t labels = 1; /* scheme, perhaps */
    t->options = (struct memo__text){ r->at, 0 };
    if (r->at == r->end || *r->at != ';')
        return MEMO_OK;
    r->at++;
    rest = t->options = until(r, "|,");
    while (next_option(&rest, &name, &value)) {
        if (name.n == 0 || value.at == name.at + name.n)
            return wrong(r, name.at, "an option wants name=value");
        if (memo__text_is(name, "weight") && !memo__parse_u64(value, UINT16_MAX, &weight))
            return wrong(r, value.at, "a weight is 0 to 65535");
        if ((memo__text_is(name, "zone") || memo__text_is(name, "id")) && value.n > MEMO__VIEW_ID_MOST)
            return wrong(r, value.at, "an id or zone has at most 63 bytes");
        if (name.n > MEMO__VIEW_LABEL_MOST || value.n > MEMO__VIEW_LABEL_MOST || ++labels > MEMO__LABELS_MAX)
            return wrong(r, name.at, "a label is too long, or there are too many");
    }
    return MEMO_OK;
}

static bool is_name(struct memo__text host)
{
    for (size_t i = 0; i < host.n; i++) {
        char c = host.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
            return false;
    }
    return host.n > 0 && host.n <= MEMO__VIEW_HOST_MOST;
}

static bool starts(const struct reader *r, const char *text)
{
    size_t n = strlen(text);
    return (size_t)(r->end - r->at) >= n && memcmp(r->at, text, n) == 0;
}

static memo_status read_host(struct reader *r, struct target *t, bool *numeric)
{
    char address[MEMO__VIEW_ADDRESS_MOST + 1];
    const char *from = r->at;
    bool bracket = starts(r, "[");
    if (bracket) {
        r->at++;
        t->host = until(r, "]|,;");
        if (r->at == r->end || *r->at++ != ']')
            return wrong(r, from, "a bracket is not closed");
    } else {
        t->host = until(r, ":|,;/");
    }
    *numeric = memo__text_copy(address, sizeof address, t->host) && memo__address_numeric(address);
    if (bracket ? !*numeric : !*numeric && !is_name(t->host))
        return wrong(r, from, "neither an address nor a name of a host");
    return MEMO_OK;
}

static memo_status read_port(struct reader *r, struct target *t, uint64_t otherwise)
{
    uint64_t port = otherwise;
    const char *from = r->at;
    if (starts(r, ":")) {
        r->at++;
        from = r->at;
        if (!memo__parse_u64(until(r, "|,;/"), UINT16_MAX, &port))
            port = 0;
    }
    if (starts(r, "/"))
        r->at++;
    if (port == 0)
        return wrong(r, from, "a port of 1 to 65535 is missing");
    if (r->at < r->end && !strchr("|,;", *r->at))
        return wrong(r, r->at, "nothing may follow the port but an option, another endpoint or another service");
    t->port = (uint16_t)port;
    return MEMO_OK;
}

static memo_status read_target(struct reader *r, struct list *l)
{
    struct target t = { 0 };
    uint64_t port = 0;
    bool numeric;
    if (starts(r, "https://") || starts(r, "http://")) {
        t.secure = starts(r, "https://");
        r->at += t.secure ? 8 : 7;
        port = t.secure ? 443 : 80;
    }
    memo_status st = read_host(r, &t, &numeric);
    if (st == MEMO_OK)
        st = read_port(r, &t, port);
    if (st == MEMO_OK)
        st = read_options(r, &t);
    if (st != MEMO_OK)
        return st;
    if (l->count == l->room) {
        uint32_t room = l->room ? l->room * 2 : 4;
        void *more = l->targets ? memo__resize(&r->s->alloc, l->targets, room * sizeof t) : memo__get_array(&r->s->alloc, room, sizeof t);
        if (!more)
            return memo__fail(r->e, MEMO_E_NO_MEMORY, "static: no memory for an endpoint");
        l->targets = more;
        l->room = room;
    }
    if (!numeric && !(t.dns = memo__get(&r->s->alloc, sizeof *t.dns)))
        return memo__fail(r->e, MEMO_E_NO_MEMORY, "static: no memory for a name");
    if (t.dns) {
        t.dns->list = l;
        t.dns->status = MEMO_E_STATE;
        (void)memo__text_copy(t.dns->name, sizeof t.dns->name, t.host);
        l->names++;
    }
    l->targets[l->count++] = t;
    return MEMO_OK;
}

static struct list *find(struct memo__static *s, const char *name)
{
    struct list *l = s->lists;
    while (l && strcmp(l->name, name) != 0)
        l = l->next;
    return l;
}

static memo_status read_list(struct reader *r)
{
    const char *from = r->at;
    struct memo__text name = until(r, "=,|");
    char copy[64];
    if (name.n == 0 || name.n > 63 || !is_name(name) || r->at == r->end || *r->at != '=')
        return wrong(r, from, "a service wants name=host:port");
    r->at++;
    (void)memo__text_copy(copy, sizeof copy, name);
    if (find(r->s, copy))
        return wrong(r, from, "a service is named twice");
    struct list *l = memo__get(&r->s->alloc, sizeof *l);
    if (!l)
        return memo__fail(r->e, MEMO_E_NO_MEMORY, "static: no memory for a service");
    l->source = r->s;
    memcpy(l->name, copy, sizeof copy);
    l->next = r->s->lists;
    r->s->lists = l;
    for (;;) {
        memo_status st = read_target(r, l);
        if (st != MEMO_OK || r->at == r->end || *r->at != '|')
            return st;
        r->at++;
    }
}

static memo_status read_url(struct memo__static *s, struct memo__text url, memo_error *e)
{
    if (url.n == 0 || url.n > URL_MOST)
        return memo__fail(e, MEMO_E_SETTING, "static: wants service=host:port|host:port,service=..., at most 1 MiB of it");
    s->url = memo__copy_text(&s->alloc, url.at, url.n);
    if (!s->url)
        return memo__fail(e, MEMO_E_NO_MEMORY, "static: no memory for its text");
    struct reader r = { s, s->url, s->url, s->url + url.n, e };
    if (memchr(s->url, '\0', url.n))
        return wrong(&r, s->url, "a NUL");
    for (;;) {
        memo_status st = read_list(&r);
        if (st != MEMO_OK || r.at == r.end)
            return st;
        r.at++; /* the comma */
    }
}

/* ---- building a view ---- */

static void add(struct memo__view_builder *b, const struct target *t, const char *address)
{
    struct memo__text labels[MEMO__LABELS_MAX][2], rest = t->options, name, value;
    char id[MEMO__VIEW_ID_MOST + 1];
    uint64_t weight = 100;
    struct memo__found f = { .address = memo__text_of(address), .port = t->port, .healthy = true, .secure = t->secure, .registered = 1,
                             .labels = (const struct memo__text(*)[2])labels };
    snprintf(id, sizeof id, strchr(address, ':') ? "[%s]:%u" : "%s:%u", address, (unsigned)t->port);
    f.id = memo__text_of(id);
    if (t->dns)
        f.host = memo__text_of(t->dns->name);
    while (next_option(&rest, &name, &value)) {
        if (memo__text_is(name, "weight"))
            (void)memo__parse_u64(value, UINT16_MAX, &weight);
        else if (memo__text_is(name, "zone"))
            f.zone = value;
        else if (memo__text_is(name, "id") && value.n)
            f.id = value;
        else if (f.labels_count < MEMO__LABELS_MAX - 1) {
            labels[f.labels_count][0] = name;
            labels[f.labels_count++][1] = value;
        }
    }
    if (t->secure) {
        labels[f.labels_count][0] = MEMO__TEXT("scheme");
        labels[f.labels_count++][1] = MEMO__TEXT("https");
    }
    f.weight = (uint32_t)weight;
    memo__view_add(b, &f);
}

static memo_status build(struct memo__static *s, const struct list *l, struct memo__view **out)
{
    struct memo__view_builder *b = memo__view_builder_new(&s->alloc);
    char address[MEMO__VIEW_ADDRESS_MOST + 1];
    *out = NULL;
    if (!b)
        return MEMO_E_NO_MEMORY;
    for (uint32_t i = 0; l && i < l->count; i++) {
        const struct target *t = &l->targets[i];
        if (!t->dns && memo__text_copy(address, sizeof address, t->host))
            add(b, t, address);
        for (uint32_t k = 0; t->dns && k < t->dns->count; k++)
            add(b, t, t->dns->addresses[k].text);
    }
    memo_status st = memo__view_end(b, out);
    if (st == MEMO_OK)
        (*out)->epoch = s->epoch;
    return st;
}

/* ---- telling ---- */

static void tell_trouble(struct list *l, memo_status st, const char *text)
{
    if (l->trouble == st)
        return;
    l->trouble = st;
    l->source->sink.trouble(l->source->sink.user, l->name, st, text);
}

/* What the names together prove; false: some name has not answered at all yet, or none ever did. */
static bool prove(const struct list *l, struct memo__proof *p)
{
    bool any = l->names < l->count;
    *p = (struct memo__proof){ .sent = MEMO__NEVER, .within = 0, .authoritative = l->names == 0 };
    for (uint32_t i = 0; i < l->count; i++) {
        const struct resolution *d = l->targets[i].dns;
        if (!d)
            continue;
        if (d->status == MEMO_E_STATE)
            return false;
        if (d->count == 0)
            continue; /* never answered well: unknown, and told as trouble */
        any = true;
        p->sent = memo__earlier(p->sent, d->confirmed);
        if (p->within < d->refresh + ANSWER_WITHIN)
            p->within = d->refresh + ANSWER_WITHIN;
    }
    return any;
}

static void tell(struct list *l)
{
    struct memo__static *s = l->source;
    struct memo__proof p;
    struct memo__view *view;
    if (!l->watched || !prove(l, &p))
        return;
    memo_status st = build(s, l, &view);
    if (st != MEMO_OK) {
        tell_trouble(l, st, "static: no memory for a view");
        return;
    }
    const struct memo__view *held = s->sink.held(s->sink.user, l->name);
    if (held && held->epoch == view->epoch && memo__view_same(held, view)) {
        memo__view_free(view);
        s->sink.confirmed(s->sink.user, l->name, &p);
    } else {
        s->sink.view(s->sink.user, l->name, view, &p);
    }
}

/* ---- names ---- */

static void resolve(struct resolution *d);

static void due(struct memo__timer *t, void *user)
{
    (void)t;
    resolve(user);
}

static void plan(struct resolution *d, int64_t after)
{
    struct memo__loop *loop = d->list->source->ground.loop;
    (void)memo__timer_start(loop, &d->timer, memo__after(memo__loop_now(loop), after), due, d);
}

/* The addresses of a good answer; false: no memory. */
static bool take(struct resolution *d, const struct memo__dns_address *addresses, uint32_t count)
{
    struct memo__alloc *a = &d->list->source->alloc;
    struct memo__dns_address *copy = memo__get_array(a, count, sizeof *copy);
    if (!copy)
        return false;
    memcpy(copy, addresses, count * sizeof *copy);
    memo__drop(a, d->addresses);
    d->addresses = copy;
    d->count = count;
    d->confirmed = d->asked;
    return true;
}

static void sum_up(struct list *l)
{
    char text[400];
    tell(l);
    for (uint32_t i = 0; i < l->count; i++) {
        const struct resolution *d = l->targets[i].dns;
        if (d && d->status != MEMO_OK && d->status != MEMO_E_STATE) {
            snprintf(text, sizeof text, "static: %s cannot be resolved; %s", d->name, d->count ? "its last addresses stay" : "it has never been");
            tell_trouble(l, d->status, text);
            return;
        }
    }
    tell_trouble(l, MEMO_OK, NULL);
}

static void answered(void *user, memo_status st, const struct memo__dns_address *addresses, uint32_t count, int32_t ttl_s)
{
    struct resolution *d = user;
    struct memo__static *s = d->list->source;
    d->query = NULL;
    if (st == MEMO_OK && (count == 0 || !take(d, addresses, count)))
        st = count == 0 ? MEMO_E_PROTOCOL : MEMO_E_NO_MEMORY;
    else if (st != MEMO_OK && count > 0 && d->count == 0)
        (void)take(d, addresses, count); /* one of A and AAAA: good to begin with */
    if (st == MEMO_REFUSED_NO_ENDPOINT)
        st = MEMO_E_UNREACHABLE; /* "no such name" is what a broken zone says, too */
    d->status = st;
    if (st == MEMO_OK) {
        int64_t ttl = ttl_s < TTL_LEAST ? TTL_LEAST : ttl_s > TTL_MOST ? TTL_MOST : ttl_s;
        d->refresh = ttl * MEMO__S;
        plan(d, d->refresh - (int64_t)(memo__draw_next(&s->draws) % (uint64_t)(d->refresh / 10)));
    } else {
        plan(d, TTL_MOST * MEMO__S); /* at the latest; the watch asks sooner */
    }
    sum_up(d->list);
}

static void resolve(struct resolution *d)
{
    struct memo__static *s = d->list->source;
    if (d->query)
        return;
    memo__timer_stop(s->ground.loop, &d->timer);
    d->asked = memo__boot(s->ground.host);
    memo_status st = s->ground.dns ? memo__dns_resolve(s->ground.dns, d->name, answered, d, &d->query) : MEMO_E_UNSUPPORTED;
    if (st == MEMO_OK)
        return;
    d->query = NULL;
    d->status = st;
    plan(d, TTL_MOST * MEMO__S);
    sum_up(d->list);
}

static void stop(struct resolution *d)
{
    memo__timer_stop(d->list->source->ground.loop, &d->timer);
    memo__dns_cancel(d->query);
    d->query = NULL;
}

/* ---- the vtable ---- */

static void first(struct memo__timer *t, void *user)
{
    struct list *l = user;
    (void)t;
    if (l->names == 0) {
        tell(l);
        return;
    }
    for (uint32_t i = 0; i < l->count; i++)
        if (l->targets[i].dns)
            resolve(l->targets[i].dns);
}

static void none(struct memo__timer *t, void *user)
{
    struct stranger *x = user;
    struct memo__static *s = x->source;
    struct memo__view *view;
    const struct memo__proof p = { .sent = MEMO__NEVER, .authoritative = true };
    (void)t;
    if (build(s, NULL, &view) != MEMO_OK) {
        (void)memo__timer_start(s->ground.loop, &x->timer, memo__after(memo__loop_now(s->ground.loop), MEMO__S), none, x);
        return;
    }
    s->sink.note(s->sink.user, x->name, MEMO_E_ARGUMENT, "static: its URL does not name this service");
    s->sink.view(s->sink.user, x->name, view, &p);
}

static memo_status watch_stranger(struct memo__static *s, const char *service)
{
    struct stranger *x = memo__get(&s->alloc, sizeof *x);
    if (!x)
        return MEMO_E_NO_MEMORY;
    x->source = s;
    (void)memo__text_copy(x->name, sizeof x->name, memo__text_of(service));
    memo_status st = memo__timer_start(s->ground.loop, &x->timer, memo__loop_now(s->ground.loop), none, x);
    if (st != MEMO_OK) {
        memo__drop(&s->alloc, x);
        return st;
    }
    x->next = s->strangers;
    s->strangers = x;
    return MEMO_OK;
}

static memo_status static_watch(struct memo__source *source, const char *service)
{
    struct memo__static *s = of(source);
    struct list *l = find(s, service);
    if (!l)
        return watch_stranger(s, service);
    memo_status st = memo__timer_start(s->ground.loop, &l->first, memo__loop_now(s->ground.loop), first, l);
    l->watched = st == MEMO_OK;
    return st;
}

static void static_unwatch(struct memo__source *source, const char *service)
{
    struct memo__static *s = of(source);
    struct list *l = find(s, service);
    for (struct stranger **at = &s->strangers; !l && *at; at = &(*at)->next)
        if (strcmp((*at)->name, service) == 0) {
            struct stranger *x = *at;
            *at = x->next;
            memo__timer_stop(s->ground.loop, &x->timer);
            memo__drop(&s->alloc, x);
            return;
        }
    if (!l || !l->watched)
        return;
    l->watched = false;
    l->trouble = MEMO_OK;
    memo__timer_stop(s->ground.loop, &l->first);
    for (uint32_t i = 0; i < l->count; i++)
        if (l->targets[i].dns)
            stop(l->targets[i].dns);
}

static void static_retry(struct memo__source *source, const char *service)
{
    struct list *l = service ? find(of(source), service) : NULL;
    for (uint32_t i = 0; l && l->watched && i < l->count; i++)
        if (l->targets[i].dns && l->targets[i].dns->status != MEMO_OK)
            resolve(l->targets[i].dns);
    if (l && l->watched && l->names == 0)
        sum_up(l);
}

static void drop_ask(struct ask *k)
{
    struct ask **at = &k->source->asks;
    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
    memo__timer_stop(k->source->ground.loop, &k->timer);
    memo__drop(&k->source->alloc, k);
}

static int by_text(const void *a, const void *b)
{
    const struct memo__text *x = a, *y = b;
    return strcmp(x->at, y->at);
}

static void answer_names(struct memo__static *s, memo__names_fn *fn, void *user)
{
    struct memo__alloc a = s->alloc; /* the callee may close us */
    uint32_t n = 0;
    for (struct list *l = s->lists; l; l = l->next)
        n++;
    struct memo__text *names = memo__get_array(&a, n, sizeof *names);
    if (!names) {
        fn(user, MEMO_E_NO_MEMORY, NULL, 0);
        return;
    }
    n = 0;
    for (struct list *l = s->lists; l; l = l->next)
        names[n++] = memo__text_of(l->name);
    qsort(names, n, sizeof *names, by_text);
    fn(user, MEMO_OK, names, n);
    memo__drop(&a, names);
}

static void answer(struct memo__timer *t, void *user)
{
    struct ask k = *(struct ask *)user;
    struct memo__static *s = k.source;
    const struct list *l = find(s, k.service);
    struct memo__view *view = NULL;
    (void)t;
    drop_ask(user);
    if (k.list) {
        answer_names(s, k.list, k.user);
        return;
    }
    memo_status st = l && l->names ? MEMO_E_UNSUPPORTED : build(s, l, &view);
    if (st == MEMO_OK) {
        view->revision = 1;
        view->state = MEMO_VIEW_LIVE;
        view->confirmed = MEMO__NEVER;
    }
    k.read(k.user, st, view, st == MEMO_OK ? NULL : st == MEMO_E_UNSUPPORTED ? "static: names are resolved, and DNS has no strict reads" : "static: no memory for a view");
}

static bool ask(struct memo__static *s, const struct ask *what, const char *service)
{
    struct ask *k = memo__get(&s->alloc, sizeof *k);
    if (!k)
        return false;
    *k = *what;
    k->source = s;
    (void)memo__text_copy(k->service, sizeof k->service, memo__text_of(service));
    k->next = s->asks;
    s->asks = k;
    if (memo__timer_start(s->ground.loop, &k->timer, memo__loop_now(s->ground.loop), answer, k) == MEMO_OK)
        return true;
    drop_ask(k);
    return false;
}

static void static_list(struct memo__source *s, memo__names_fn *fn, void *user)
{
    if (!ask(of(s), &(struct ask){ .list = fn, .user = user }, ""))
        fn(user, MEMO_E_NO_MEMORY, NULL, 0);
}

static void static_read(struct memo__source *s, const char *service, memo__read_fn *fn, void *user)
{
    if (!ask(of(s), &(struct ask){ .read = fn, .user = user }, service))
        fn(user, MEMO_E_NO_MEMORY, NULL, "static: no memory for a read");
}

static memo_status static_lease(struct memo__source *s, struct memo__lease *l)
{
    (void)s;
    (void)l;
    return MEMO_E_UNSUPPORTED;
}

static void static_nothing(struct memo__source *s, struct memo__lease *l)
{
    (void)s;
    (void)l;
}

static void static_forked(struct memo__source *s)
{
    (void)s; /* running questions are asked again by the resolver; nothing else is shared with the parent */
}

static void static_close(struct memo__source *source)
{
    struct memo__static *s = of(source);
    struct memo__alloc a = s->alloc;
    while (s->asks)
        drop_ask(s->asks);
    while (s->strangers)
        static_unwatch(source, s->strangers->name);
    while (s->lists) {
        struct list *l = s->lists;
        if (l->watched)
            static_unwatch(source, l->name);
        s->lists = l->next;
        for (uint32_t i = 0; i < l->count; i++)
            if (l->targets[i].dns) {
                memo__drop(&a, l->targets[i].dns->addresses);
                memo__drop(&a, l->targets[i].dns);
            }
        memo__drop(&a, l->targets);
        memo__drop(&a, l);
    }
    memo__drop(&a, s->url);
    memo__drop(&a, s);
}

static memo_status static_open(const struct memo__ground *g, struct memo__text url, const struct memo__source_sink *sink, struct memo__source **out, memo_error *e)
{
    struct memo__static *s = memo__get(g->alloc, sizeof *s);
    *out = NULL;
    if (!s)
        return memo__fail(e, MEMO_E_NO_MEMORY, "static: no memory");
    s->source.ops = &memo__registry_static;
    s->ground = *g;
    s->alloc = *g->alloc;
    s->sink = *sink;
    s->epoch = memo__hash(0, url.at, url.n) | 1;
    if (g->host->random(g->host->user, &s->draws, sizeof s->draws) < 0)
        s->draws = s->epoch;
    memo_status st = read_url(s, url, e);
    if (st == MEMO_OK && g->loop)
        *out = &s->source;
    else
        static_close(&s->source);
    return st;
}

const struct memo__source_ops memo__registry_static = {
    .scheme = "static",
    .summary = "a list in the URL: addresses are true for ever, names are resolved (strict reads for addresses only, no registrations)",
    .strict_reads = true,
    .registers = false,
    .retry_initial = 500 * MEMO__MS,
    .retry_max = 30 * MEMO__S,
    .open = static_open, .watch = static_watch, .unwatch = static_unwatch, .retry = static_retry, .list = static_list, .read = static_read,
    .lease = static_lease, .change = static_nothing, .withdraw = static_nothing, .forget = static_nothing,
    .forked = static_forked, .close = static_close,
};
