/* SPDX-License-Identifier: Apache-2.0 */
/* registry_file.c: a directory as registry, driven from the loop.
 *
 *   every 500 ms +-10 %    is the directory still there? each generation unchanged? -> confirmed; changed -> scan
 *   inotify                only hastens that look
 *   a pidfd                an owner ended -> scan, which leaves it out
 *
 * A directory that vanishes is trouble and nothing else: the view stays, its age grows. It is not made again by those who lost it, for it may be coming back (a rename, a mount);
 * whoever starts next with something to register makes a new one, and after ten minutes those who still want to be registered do. Who only reads never creates anything. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <memo/service.h>
#include "base/rng.h"
#include "base/status.h"
#include "sources/file.h"

#define AWAY_FOR_GOOD (600 * MEMO__S)
#define SCAN_GAP (10 * MEMO__MS)           /* between two scans, or four times what the last took: a busy registry must not eat the engine */
#define BUSY_MOST (50 * MEMO__MS)
#define READ_FOR (5 * MEMO__S)             /* a strict read or a list tries so long */
#define EVENTS (IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF | IN_MOVE_SELF)

/* A read or list that waits for its answer. */
struct memo__file_read {
    struct memo__file_read *next;
    struct memo__file *file;
    struct memo__timer timer;
    memo__instant until;                   /* loop clock */
    memo__read_fn *read;                   /* or */
    memo__names_fn *list;
    void *user;
    char service[64];
};

static struct memo__file *of(struct memo__source *s)
{
    return (struct memo__file *)(void *)s;
}

memo__instant memo__file_boot(const struct memo__file *f)
{
    return memo__boot(f->ground.host);
}

int64_t memo__file_jitter(struct memo__file *f, int64_t least, int64_t most)
{
    uint64_t width = most > least ? (uint64_t)(most - least) : 1;
    return least + (int64_t)(memo__draw_next(&f->draws) % width);
}

static void start(struct memo__file *f, struct memo__timer *t, int64_t after, memo__timer_fn *fn, void *user)
{
    /* A timer that cannot be had (no memory) is made up for by the look, which starts again whatever is wanted. */
    (void)memo__timer_start(f->ground.loop, t, memo__after(memo__loop_now(f->ground.loop), after), fn, user);
}

/* ---- services ---- */

static struct memo__file_service *find_service(struct memo__file *f, const char *name)
{
    struct memo__file_service *v = f->services;
    while (v && strcmp(v->name, name) != 0)
        v = v->next;
    return v;
}

static void close_dir(struct memo__file_service *v)
{
    if (v->dir < 0)
        return;
    memo__dirwatch_remove(v->file->ground.dirs, &v->item);
    (void)v->file->ground.host->close(v->file->ground.host->user, v->dir);
    v->dir = -1;
}

static void service_trouble(struct memo__file_service *v, memo_status st, const char *text)
{
    if (v->trouble == st)
        return;
    v->trouble = st;
    v->file->sink.trouble(v->file->sink.user, v->name, st, text);
}

static void changed(struct memo__dirwatch_item *i, const char *name, void *user)
{
    (void)i;
    if (!name || strcmp(name, "generation") == 0)
        memo__file_want_scan(user, 0);
}

/* Opens the service's directory, or notices that it is another one now. MEMO_E_UNREACHABLE: it has none. */
static memo_status open_dir(struct memo__file_service *v, memo_error *e)
{
    struct memo__file *f = v->file;
    struct stat found;
    int dir;
    memo_status st = memo__store_service(&f->store, v->name, false, &dir, e);
    if (st == MEMO_OK && f->ground.host->stat_fd(f->ground.host->user, dir, &found) < 0)
        st = memo__fail(e, MEMO_E_IO, "cannot examine the directory of %s", v->name);
    if (st == MEMO_OK && v->dir >= 0 && v->device == (uint64_t)found.st_dev && v->inode == (uint64_t)found.st_ino) {
        (void)f->ground.host->close(f->ground.host->user, dir);
        return MEMO_OK;
    }
    close_dir(v);
    if (st != MEMO_OK) {
        if (dir >= 0)
            (void)f->ground.host->close(f->ground.host->user, dir);
        return st;
    }
    v->dir = dir;
    v->device = (uint64_t)found.st_dev;
    v->inode = (uint64_t)found.st_ino;
    v->known = false;
    (void)memo__dirwatch_add(f->ground.dirs, &v->item, dir, EVENTS, changed, v);
    return MEMO_OK;
}

static struct memo__proof proof(memo__instant sent)
{
    return (struct memo__proof){ .sent = sent, .within = MEMO__FILE_WITHIN, .authoritative = true };
}

static void deliver(struct memo__file_service *v, struct memo__view *view, uint64_t revision, memo__instant sent)
{
    struct memo__file *f = v->file;
    const struct memo__view *held = f->sink.held(f->sink.user, v->name);
    const struct memo__proof p = proof(sent);
    view->revision = revision;
    view->epoch = f->store.epoch;
    v->revision = revision;
    service_trouble(v, MEMO_OK, NULL);
    if (held && held->revision == revision && held->epoch == view->epoch && memo__view_same(held, view)) {
        memo__view_free(view);
        f->sink.confirmed(f->sink.user, v->name, &p);
        return;
    }
    f->sink.view(f->sink.user, v->name, view, &p);
}

/* The registry is there and says that this service has never had an instance. Revision 1 is below any generation. */
static memo_status deliver_none(struct memo__file_service *v, memo__instant sent)
{
    struct memo__view *view = NULL;
    struct memo__view_builder *b = memo__view_builder_new(&v->file->alloc);
    memo_status st = b ? memo__view_end(b, &view) : MEMO_E_NO_MEMORY;
    if (st == MEMO_OK) {
        v->known = true;
        v->at = (struct memo__generation){ 0 };
        deliver(v, view, 1, sent);
    }
    return st;
}

static void scan_failed(struct memo__file_service *v, memo_status st, const char *text)
{
    if (st == MEMO_E_TIMEOUT) {
        /* Writers are at work: soon again. Only a very long row of such looks is worth a word. */
        int64_t most = (2 * MEMO__MS) << (v->busy < 5 ? v->busy : 5);
        memo__file_want_scan(v, memo__file_jitter(v->file, MEMO__MS, most < BUSY_MOST ? most : BUSY_MOST));
        if (++v->busy < 200)
            return;
    } else {
        v->wanted = true; /* at the next look */
    }
    service_trouble(v, st, text);
}

static void scan_now(struct memo__timer *t, void *user)
{
    struct memo__file_service *v = user;
    struct memo__file *f = v->file;
    struct memo__view *view = NULL;
    memo_error e = MEMO_INIT(memo_error);
    (void)t;
    memo__instant sent = memo__file_boot(f);
    if (memo__file_ready(f, false, &e) != MEMO_OK)
        return;
    v->wanted = false;
    memo_status st = open_dir(v, &e);
    if (st == MEMO_OK) {
        struct memo__generation at;
        uint64_t revision = 0;
        st = memo__file_scan(f, v, v->dir, &view, &revision, &at, &e);
        if (st == MEMO_OK) {
            v->known = v->damaged == 0; /* who may not read a record now may be let in later, and no generation tells: look again */
            v->at = at;
            v->busy = 0;
            int64_t took = memo__since(memo__file_boot(f), sent);
            v->earliest = memo__after(memo__loop_now(f->ground.loop), 4 * took > SCAN_GAP ? 4 * took : SCAN_GAP);
            deliver(v, view, at.present ? revision : 1, sent);
        }
    } else if (st == MEMO_E_UNREACHABLE) {
        st = deliver_none(v, sent);
    }
    if (st != MEMO_OK)
        scan_failed(v, st, e.message);
}

void memo__file_want_scan(struct memo__file_service *v, int64_t after)
{
    memo__instant now = memo__loop_now(v->file->ground.loop), at = memo__after(now, after);
    if (at < v->earliest)
        at = v->earliest;
    if (v->scan.place && v->scan.at <= at)
        return;
    v->wanted = true;
    (void)memo__timer_start(v->file->ground.loop, &v->scan, at, scan_now, v);
}

void memo__file_want_scans(struct memo__file *f)
{
    for (struct memo__file_service *v = f->services; v; v = v->next)
        memo__file_want_scan(v, 0);
}

/* ---- the registry as a whole ---- */

static void look(struct memo__timer *t, void *user);

static void tell(struct memo__file *f, memo_status st, const char *text)
{
    if (f->trouble == st)
        return;
    f->trouble = st;
    f->sink.trouble(f->sink.user, NULL, st, text);
}

static void root_changed(struct memo__dirwatch_item *i, const char *name, void *user)
{
    struct memo__file *f = user;
    char service[64];
    (void)i;
    if (!name) {
        start(f, &f->look, 0, look, f);
        return;
    }
    struct memo__file_service *v = memo__store_service_name(name, service, sizeof service) ? find_service(f, service) : NULL;
    if (v)
        memo__file_want_scan(v, 0);
}

static void away(struct memo__file *f, memo_status st, const char *text)
{
    if (!f->away_since)
        f->away_since = memo__file_boot(f);
    for (struct memo__file_service *v = f->services; v; v = v->next) {
        close_dir(v);
        v->known = false;
    }
    memo__dirwatch_remove(f->ground.dirs, &f->item);
    memo__store_close(&f->store);
    tell(f, st, text);
}

memo_status memo__file_ready(struct memo__file *f, bool create, memo_error *e)
{
    memo_error own = MEMO_INIT(memo_error);
    memo_error *why = e ? e : &own;
    if (f->store.root >= 0)
        return MEMO_OK;
    bool lost = f->was_open && memo__since(memo__file_boot(f), f->away_since) < AWAY_FOR_GOOD;
    memo_status st = memo__store_open(&f->store, create && !lost, why);
    if (st != MEMO_OK) {
        away(f, st, why->message);
        return st;
    }
    f->was_open = true;
    f->away_since = 0;
    (void)memo__dirwatch_add(f->ground.dirs, &f->item, f->store.root, EVENTS, root_changed, f);
    tell(f, MEMO_OK, NULL);
    memo__file_want_scans(f);
    return MEMO_OK;
}

static void look_at(struct memo__file_service *v)
{
    struct memo__file *f = v->file;
    struct memo__generation now = { 0 };
    memo__instant sent = memo__file_boot(f);
    memo_error e = MEMO_INIT(memo_error);
    memo_status st = v->wanted ? MEMO_E_STATE : open_dir(v, &e);
    if (st == MEMO_OK)
        st = memo__store_generation(&f->store, v->dir, &now, &e);
    else if (st == MEMO_E_UNREACHABLE)
        st = MEMO_OK;
    if (st != MEMO_OK || !v->known || !memo__generation_same(&now, &v->at) || memo__file_beats_look(v)) {
        memo__file_want_scan(v, 0);
        return;
    }
    const struct memo__proof p = proof(sent);
    f->sink.confirmed(f->sink.user, v->name, &p);
}

static void look(struct memo__timer *t, void *user)
{
    struct memo__file *f = user;
    memo_error e = MEMO_INIT(memo_error);
    (void)t;
    if (!f->services && !f->leases)
        return; /* nobody wants to know: no wake-ups */
    start(f, &f->look, memo__file_jitter(f, MEMO__FILE_LOOK * 9 / 10, MEMO__FILE_LOOK * 11 / 10), look, f);
    if (f->store.root < 0)
        return; /* whoever watches us tries again */
    memo_status st = memo__store_still(&f->store, &e);
    if (st != MEMO_OK) {
        away(f, st, e.message);
        return;
    }
    memo__file_owners_look(f);
    for (struct memo__file_service *v = f->services; v; v = v->next)
        look_at(v);
}

/* ---- reads ---- */

static void drop_read(struct memo__file_read *r)
{
    struct memo__file_read **at = &r->file->reads;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    memo__timer_stop(r->file->ground.loop, &r->timer);
    memo__drop(&r->file->alloc, r);
}

static memo_status read_view(struct memo__file_read *r, struct memo__view **view, memo_error *e)
{
    struct memo__file *f = r->file;
    struct memo__generation at;
    uint64_t revision = 1;
    int dir;
    memo_status st = memo__file_ready(f, false, e);
    if (st == MEMO_OK)
        st = memo__store_still(&f->store, e);
    if (st != MEMO_OK)
        return st;
    memo__instant sent = memo__file_boot(f);
    st = memo__store_service(&f->store, r->service, false, &dir, e);
    if (st == MEMO_OK) {
        st = memo__file_scan(f, find_service(f, r->service), dir, view, &revision, &at, e);
        (void)f->ground.host->close(f->ground.host->user, dir);
    } else if (st == MEMO_E_UNREACHABLE) {
        struct memo__view_builder *b = memo__view_builder_new(&f->alloc);
        st = b ? memo__view_end(b, view) : MEMO_E_NO_MEMORY;
    }
    if (st == MEMO_OK) {
        (*view)->revision = revision;
        (*view)->epoch = f->store.epoch;
        (*view)->confirmed = sent;
        (*view)->state = MEMO_VIEW_LIVE;
    }
    return st;
}

struct names { struct memo__file *file; char **all; uint32_t count, room; bool no_memory; };
struct alive { struct memo__file *file; bool found; };

static int any_alive(void *user, const char *name, const struct memo__record *r, const struct stat *file, const char *why)
{
    struct alive *a = user;
    (void)name;
    (void)file;
    a->found = why || memo__owner_judge(a->file->ground.host, &a->file->store.me, &r->owner, NULL) != MEMO__OWNER_GONE;
    return a->found;
}

/* A service whose instances are all gone keeps its directory, but is none. */
static bool is_alive(struct memo__file *f, const char *service)
{
    struct alive a = { f, false };
    uint64_t highest;
    int dir;
    if (memo__store_service(&f->store, service, false, &dir, NULL) != MEMO_OK)
        return false;
    (void)memo__store_visit_all(&f->store, dir, f->scratch, any_alive, &a, &highest, NULL);
    (void)f->ground.host->close(f->ground.host->user, dir);
    return a.found;
}

static int add_name(void *user, const char *name)
{
    struct names *n = user;
    struct memo__file *f = n->file;
    char service[64];
    if (!memo__store_service_name(name, service, sizeof service) || !is_alive(f, service))
        return 0;
    if (n->count == n->room) {
        uint32_t room = n->room ? n->room * 2 : 16;
        void *more = n->all ? memo__resize(&f->alloc, n->all, room * sizeof *n->all) : memo__get_array(&f->alloc, room, sizeof *n->all);
        if (!more)
            return (n->no_memory = true);
        n->all = more;
        n->room = room;
    }
    n->all[n->count] = memo__copy_text(&f->alloc, service, strlen(service));
    if (!n->all[n->count])
        return (n->no_memory = true);
    n->count++;
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void answer_names(struct memo__file_read *r)
{
    struct memo__file *f = r->file;
    struct names n = { .file = f };
    struct memo__text *texts = NULL;
    memo_status st = memo__file_ready(f, false, NULL);
    if (st == MEMO_OK)
        st = memo__store_still(&f->store, NULL);
    if (st == MEMO_OK)
        st = memo__place_status(f->ground.host->list(f->ground.host->user, f->store.root, add_name, &n) < 0 ? -1 : 0);
    if (n.no_memory || (st == MEMO_OK && n.count && !(texts = memo__get_array(&f->alloc, n.count, sizeof *texts))))
        st = MEMO_E_NO_MEMORY;
    if (texts) {
        qsort(n.all, n.count, sizeof *n.all, by_text);
        for (uint32_t i = 0; i < n.count; i++)
            texts[i] = memo__text_of(n.all[i]);
    }
    memo__names_fn *fn = r->list;
    void *user = r->user;
    struct memo__alloc alloc = f->alloc; /* the callee may close us */
    drop_read(r);
    fn(user, st, st == MEMO_OK ? texts : NULL, st == MEMO_OK ? n.count : 0);
    for (uint32_t i = 0; i < n.count; i++)
        memo__drop(&alloc, n.all[i]);
    memo__drop(&alloc, n.all);
    memo__drop(&alloc, texts);
}

static void answer(struct memo__timer *t, void *user)
{
    struct memo__file_read *r = user;
    struct memo__file *f = r->file;
    struct memo__view *view = NULL;
    memo_error e = MEMO_INIT(memo_error);
    (void)t;
    if (r->list) {
        answer_names(r);
        return;
    }
    memo_status st = read_view(r, &view, &e);
    if (st == MEMO_E_TIMEOUT && memo__loop_now(f->ground.loop) < r->until &&
        memo__timer_start(f->ground.loop, &r->timer, memo__after(memo__loop_now(f->ground.loop), memo__file_jitter(f, MEMO__MS, 8 * MEMO__MS)), answer, r) == MEMO_OK)
        return;
    memo__read_fn *fn = r->read;
    void *of_caller = r->user;
    drop_read(r);
    fn(of_caller, st, view, st == MEMO_OK ? NULL : e.message);
}

static struct memo__file_read *ask(struct memo__file *f, const char *service, void *user)
{
    struct memo__file_read *r = memo__get(&f->alloc, sizeof *r);
    if (!r)
        return NULL;
    r->file = f;
    r->user = user;
    r->until = memo__after(memo__loop_now(f->ground.loop), READ_FOR);
    (void)memo__text_copy(r->service, sizeof r->service, memo__text_of(service));
    r->next = f->reads;
    f->reads = r;
    if (memo__timer_start(f->ground.loop, &r->timer, memo__loop_now(f->ground.loop), answer, r) == MEMO_OK)
        return r;
    drop_read(r);
    return NULL;
}

static void file_list(struct memo__source *s, memo__names_fn *fn, void *user)
{
    struct memo__file_read *r = ask(of(s), "", user);
    if (r)
        r->list = fn;
    else
        fn(user, MEMO_E_NO_MEMORY, NULL, 0);
}

static void file_read(struct memo__source *s, const char *service, memo__read_fn *fn, void *user)
{
    struct memo__file_read *r = ask(of(s), service, user);
    if (r)
        r->read = fn;
    else
        fn(user, MEMO_E_NO_MEMORY, NULL, "no memory for a read");
}

/* ---- the vtable ---- */

memo_status memo__file_look_on(struct memo__file *f)
{
    if (f->look.place)
        return MEMO_OK;
    if (f->store.root >= 0 && memo__store_still(&f->store, NULL) != MEMO_OK) { /* nobody has looked for a while, and it is another one by now */
        memo__dirwatch_remove(f->ground.dirs, &f->item);
        memo__store_close(&f->store);
    }
    return memo__timer_start(f->ground.loop, &f->look, memo__after(memo__loop_now(f->ground.loop), memo__file_jitter(f, 0, MEMO__FILE_LOOK)), look, f);
}

static memo_status file_watch(struct memo__source *s, const char *service)
{
    struct memo__file *f = of(s);
    char name[MEMO__STORE_NAME_MOST];
    if (!memo__store_dir_name(service, name, sizeof name))
        return MEMO_E_ARGUMENT;
    if (find_service(f, service))
        return MEMO_OK;
    struct memo__file_service *v = memo__get(&f->alloc, sizeof *v);
    if (!v)
        return MEMO_E_NO_MEMORY;
    v->file = f;
    v->dir = -1;
    (void)memo__text_copy(v->name, sizeof v->name, memo__text_of(service));
    if (memo__file_look_on(f) != MEMO_OK || memo__timer_start(f->ground.loop, &v->scan, memo__loop_now(f->ground.loop), scan_now, v) != MEMO_OK) {
        memo__drop(&f->alloc, v);
        return MEMO_E_NO_MEMORY;
    }
    v->wanted = true;
    v->next = f->services;
    f->services = v;
    return MEMO_OK;
}

static void file_unwatch(struct memo__source *s, const char *service)
{
    struct memo__file *f = of(s);
    struct memo__file_service *v = find_service(f, service), **at = &f->services;
    if (!v)
        return;
    while (*at != v)
        at = &(*at)->next;
    *at = v->next;
    memo__timer_stop(f->ground.loop, &v->scan);
    close_dir(v);
    memo__file_beats_free(f, &v->beats);
    memo__drop(&f->alloc, v);
}

static void file_retry(struct memo__source *s, const char *service)
{
    struct memo__file *f = of(s);
    struct memo__file_service *v = service ? find_service(f, service) : NULL;
    bool closed = f->store.root < 0;
    if (memo__file_ready(f, memo__file_has_leases(f), NULL) != MEMO_OK)
        return;
    if (closed)
        memo__file_leases_try(f);
    if (v)
        memo__file_want_scan(v, 0);
}

static void file_forked(struct memo__source *s)
{
    struct memo__file *f = of(s);
    memo__file_leases_end(f, false);
    memo__owner_self(f->ground.host, &f->store.me);
    memo__file_want_scans(f);
}

static void file_close(struct memo__source *s)
{
    struct memo__file *f = of(s);
    if (!f)
        return;
    struct memo__alloc a = f->alloc;
    if (f->ground.loop) {
        memo__file_leases_end(f, true);
        while (f->reads)
            drop_read(f->reads);
        while (f->services)
            file_unwatch(s, f->services->name);
        memo__timer_stop(f->ground.loop, &f->look);
        memo__dirwatch_remove(f->ground.dirs, &f->item);
    }
    memo__store_close(&f->store);
    memo__drop(&a, f->scratch);
    memo__drop(&a, f);
}

static memo_status check(struct memo__file *f, memo_error *e)
{
    memo_status st = memo__store_open(&f->store, false, e);
    return st == MEMO_E_UNREACHABLE ? memo__fail(e, st, "there is no registry at %s yet; the first service that registers makes it", f->store.path) : st;
}

static memo_status file_open(const struct memo__ground *g, struct memo__text url, const struct memo__source_sink *sink, struct memo__source **out, memo_error *e)
{
    struct memo__file *f = memo__get(g->alloc, sizeof *f);
    memo_status st;
    *out = NULL;
    if (!f)
        return memo__fail(e, MEMO_E_NO_MEMORY, "no memory for a registry");
    f->source.ops = &memo__registry_file;
    f->ground = *g;
    f->alloc = *g->alloc;
    f->sink = *sink;
    st = memo__store_init(&f->store, g->host, url, e);
    if (g->lease_ttl && !f->store.ttl_given)
        f->store.ttl = g->lease_ttl - g->lease_ttl % MEMO__MS;
    f->scratch = memo__get(g->alloc, sizeof *f->scratch);
    if (st == MEMO_OK && !f->scratch)
        st = memo__fail(e, MEMO_E_NO_MEMORY, "no memory for a registry");
    if (st == MEMO_OK && !g->loop)
        st = check(f, e);
    if (st != MEMO_OK || !g->loop)
        goto done;
    memo__owner_self(g->host, &f->store.me);
    f->draws = f->store.me.holder;
    *out = &f->source;
    return MEMO_OK;
done:
    file_close(&f->source);
    return st;
}

const struct memo__source_ops memo__registry_file = {
    .scheme = "file",
    .summary = "a directory on this machine: no server, complete (strict reads, watches, leases, fencing tokens)",
    .strict_reads = true,
    .registers = true,
    .retry_initial = 100 * MEMO__MS,
    .retry_max = MEMO__S,
    .open = file_open, .watch = file_watch, .unwatch = file_unwatch, .retry = file_retry, .list = file_list, .read = file_read,
    .lease = memo__file_lease, .change = memo__file_change, .withdraw = memo__file_withdraw, .forget = memo__file_forget,
    .forked = file_forked, .close = file_close,
};
