/* SPDX-License-Identifier: Apache-2.0 */
/* file_crash.c: the machine stops at any moment: what does the next reader of the file registry, or of the cache, see?
 *
 * The real code writes through the host seam into a disk in memory that logs every operation. Then, for every prefix of that log, the operations whose fsync had not come are
 *   lost       any subset of them never reached the disk (up to 64 subsets, drawn if there are more), which is also every reordering of them
 *   torn       one of the surviving writes is cut at every multiple of 512 bytes, or left as zeros of the right length
 *   repeated   one of the survivors is applied a second time, after all others
 * and the reader must see exactly the last acknowledged generation, or the one that was being written: contents and number together. What was acknowledged is never missing.
 * From every state a writer must be able to go on, with a token greater than any that was ever acknowledged; and if the machine stops again while it does, in every so many states, a
 * reader must see what was there before or what that writer wrote.
 *
 * file_crash [changes [every]]     default 180 and 100; prints `figure file_crash_states N states` and exits with 1 if a state is wrong. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/rng.h"
#include "sources/cache.h"
#include "sources/store.h"

#define NODES 512
#define ENTRIES 24
#define FILES 32
#define OPS 4096
#define SECTOR 512
#define SUBSETS 64

/* ---- a disk in memory ---- */

struct entry { char name[200]; int node; };
struct node { bool used, dir; unsigned mode; size_t size, room; unsigned char *data; struct entry entries[ENTRIES]; int count; };
struct disk { struct node nodes[NODES]; int used; };

enum kind { CREATE, MAKE_DIR, WRITE, TRUNCATE, SYNC, RENAME, REMOVE };
struct op { enum kind kind; int node, dir; char name[200], to[200]; size_t at, n; unsigned char *data; };

static struct disk now;                 /* what the code under test sees */
static struct op log_ops[OPS];
static int ops;
static bool logging;
static struct { bool open, boot; int node; } files[FILES];
static const char *boot_id = "11111111-1111-1111-1111-111111111111\n";
static int64_t clock_ns = INT64_C(1700000000) * MEMO__S;

static int new_node(struct disk *d, int want, bool dir, unsigned mode)
{
    int i = want >= 0 ? want : d->used;
    if (i >= NODES)
        return -ENOSPC;
    if (d->used <= i)
        d->used = i + 1;
    if (!d->nodes[i].used)
        d->nodes[i] = (struct node){ .used = true, .dir = dir, .mode = mode };
    return i;
}

static struct entry *lookup(struct disk *d, int dir, const char *name)
{
    for (int i = 0; i < d->nodes[dir].count; i++)
        if (strcmp(d->nodes[dir].entries[i].name, name) == 0)
            return &d->nodes[dir].entries[i];
    return NULL;
}

static void set_entry(struct disk *d, int dir, const char *name, int node)
{
    struct entry *e = lookup(d, dir, name);
    if (!e && d->nodes[dir].count < ENTRIES) {
        e = &d->nodes[dir].entries[d->nodes[dir].count++];
        snprintf(e->name, sizeof e->name, "%s", name);
    }
    if (!e)
        abort(); /* the test's own limit */
    e->node = node;
}

static void drop_entry(struct disk *d, int dir, const char *name)
{
    struct entry *e = lookup(d, dir, name);
    if (e)
        *e = d->nodes[dir].entries[--d->nodes[dir].count];
}

static void resize(struct node *n, size_t size)
{
    if (size > n->room) {
        n->data = realloc(n->data, size * 2);
        if (!n->data)
            abort();
        n->room = size * 2;
    }
    if (size > n->size)
        memset(n->data + n->size, 0, size - n->size);
    n->size = size;
}

/* n bytes of the operation's data; zeros instead if blank. */
static void apply(struct disk *d, const struct op *o, size_t n, bool blank)
{
    switch (o->kind) {
    case CREATE:
        new_node(d, o->node, false, 0600);
        set_entry(d, o->dir, o->name, o->node);
        break;
    case MAKE_DIR:
        new_node(d, o->node, true, 0700);
        set_entry(d, o->dir, o->name, o->node);
        break;
    case WRITE:
        new_node(d, o->node, false, 0600);
        if (blank)
            n = o->n;
        if (d->nodes[o->node].size < o->at + n)
            resize(&d->nodes[o->node], o->at + n);
        if (blank && n)
            memset(d->nodes[o->node].data + o->at, 0, n);
        else if (n)
            memcpy(d->nodes[o->node].data + o->at, o->data, n);
        break;
    case TRUNCATE:
        resize(&d->nodes[o->node], o->at);
        break;
    case RENAME: /* by what it means: the new name stands for that file, the old one is gone */
        drop_entry(d, o->dir, o->name);
        set_entry(d, o->dir, o->to, o->node);
        break;
    case REMOVE:
        drop_entry(d, o->dir, o->name);
        break;
    case SYNC:
        break;
    }
}

static void empty(struct disk *d)
{
    for (int i = 0; i < d->used; i++)
        free(d->nodes[i].data);
    memset(d, 0, sizeof *d);
}

static void copy(struct disk *to, const struct disk *from)
{
    empty(to);
    *to = *from;
    for (int i = 0; i < to->used; i++)
        if (to->nodes[i].data) {
            to->nodes[i].data = malloc(to->nodes[i].room);
            if (!to->nodes[i].data)
                abort();
            memcpy(to->nodes[i].data, from->nodes[i].data, from->nodes[i].size);
        }
}

static struct disk base;                /* what was there before the log began */

static void wipe(struct disk *d)
{
    if (base.used) {
        copy(d, &base);
        return;
    }
    empty(d);
    new_node(d, 0, true, 0755);
}

static void note(struct op o, const void *data)
{
    if (!logging)
        return;
    if (ops == OPS)
        abort();
    if (data) {
        o.data = malloc(o.n ? o.n : 1);
        if (!o.data)
            abort();
        memcpy(o.data, data, o.n);
    }
    log_ops[ops++] = o;
}

/* ---- the host over it ---- */

static memo__instant disk_now(void *u) { (void)u; return clock_ns += 1000; }

static int disk_random(void *u, void *bytes, size_t n)
{
    static uint64_t state = 42;
    unsigned char *p = bytes;
    (void)u;
    for (size_t i = 0; i < n; i++)
        p[i] = (unsigned char)memo__draw_next(&state);
    return 0;
}

static int give(int node, bool boot)
{
    for (int i = 0; i < FILES; i++)
        if (!files[i].open) {
            files[i].open = true;
            files[i].boot = boot;
            files[i].node = node;
            return i + 100;
        }
    return -EMFILE;
}

static int disk_open(void *u, int dir, const char *name, int flags, unsigned mode)
{
    (void)u;
    if (strcmp(name, "/proc/sys/kernel/random/boot_id") == 0)
        return give(0, true);
    if (dir == AT_FDCWD)
        return strcmp(name, "/") == 0 ? give(0, false) : -ENOENT;
    int parent = files[dir - 100].node;
    struct entry *e = lookup(&now, parent, name);
    if (strcmp(name, ".") == 0)
        return give(parent, false);
    if (e && (flags & O_CREAT) && (flags & O_EXCL))
        return -EEXIST;
    if (e && (flags & O_DIRECTORY) && !now.nodes[e->node].dir)
        return -ENOTDIR;
    if (e)
        return give(e->node, false);
    if (!(flags & O_CREAT))
        return -ENOENT;
    int node = new_node(&now, -1, false, mode);
    if (node < 0)
        return node;
    set_entry(&now, parent, name, node);
    struct op o = { .kind = CREATE, .node = node, .dir = parent };
    snprintf(o.name, sizeof o.name, "%s", name);
    note(o, NULL);
    return give(node, false);
}

static int64_t disk_pread(void *u, int fd, void *bytes, size_t n, int64_t at)
{
    const struct node *f = &now.nodes[files[fd - 100].node];
    (void)u;
    if (files[fd - 100].boot) {
        memcpy(bytes, boot_id, n < 37 ? n : 37);
        return n < 37 ? (int64_t)n : 37;
    }
    if ((size_t)at >= f->size)
        return 0;
    if (n > f->size - (size_t)at)
        n = f->size - (size_t)at;
    memcpy(bytes, f->data + at, n);
    return (int64_t)n;
}

static int64_t disk_pwrite(void *u, int fd, const void *bytes, size_t n, int64_t at)
{
    struct op o = { .kind = WRITE, .node = files[fd - 100].node, .at = (size_t)at, .n = n };
    (void)u;
    note(o, bytes);
    o.data = (unsigned char *)(uintptr_t)bytes;
    apply(&now, &o, n, false);
    return (int64_t)n;
}

static int disk_sync(void *u, int fd)
{
    (void)u;
    note((struct op){ .kind = SYNC, .node = files[fd - 100].node }, NULL);
    return 0;
}

static int disk_truncate(void *u, int fd, int64_t n)
{
    struct op o = { .kind = TRUNCATE, .node = files[fd - 100].node, .at = (size_t)n };
    (void)u;
    note(o, NULL);
    apply(&now, &o, 0, false);
    return 0;
}

static int disk_rename(void *u, int dir, const char *from, const char *to)
{
    int parent = files[dir - 100].node;
    struct entry *e = lookup(&now, parent, from);
    (void)u;
    if (!e)
        return -ENOENT;
    struct op o = { .kind = RENAME, .node = e->node, .dir = parent };
    snprintf(o.name, sizeof o.name, "%s", from);
    snprintf(o.to, sizeof o.to, "%s", to);
    note(o, NULL);
    apply(&now, &o, 0, false);
    return 0;
}

static int disk_remove(void *u, int dir, const char *name)
{
    struct op o = { .kind = REMOVE, .dir = files[dir - 100].node };
    (void)u;
    if (!lookup(&now, o.dir, name))
        return -ENOENT;
    snprintf(o.name, sizeof o.name, "%s", name);
    note(o, NULL);
    apply(&now, &o, 0, false);
    return 0;
}

static int disk_make_dir(void *u, int dir, const char *name, unsigned mode)
{
    int parent = files[dir - 100].node, node = lookup(&now, parent, name) ? -EEXIST : new_node(&now, -1, true, mode);
    (void)u;
    if (node < 0)
        return node;
    struct op o = { .kind = MAKE_DIR, .node = node, .dir = parent };
    snprintf(o.name, sizeof o.name, "%s", name);
    note(o, NULL);
    set_entry(&now, parent, name, node);
    return 0;
}

static int disk_stat(void *u, int fd, struct stat *out)
{
    int i = files[fd - 100].node;
    const struct node *f = &now.nodes[i];
    (void)u;
    *out = (struct stat){ .st_ino = (ino_t)i, .st_nlink = 1, .st_uid = geteuid(), .st_size = (off_t)f->size, .st_mode = (f->dir ? S_IFDIR : S_IFREG) | (f->mode & 0700) };
    return 0;
}

static int disk_lock(void *u, int fd, int kind) { (void)u; (void)fd; (void)kind; return 0; }
static int disk_touch(void *u, int fd) { (void)u; (void)fd; return 0; }
static int disk_close(void *u, int fd) { (void)u; files[fd - 100].open = false; return 0; }

static int disk_list(void *u, int dir, int (*visit)(void *visitor, const char *name), void *visitor)
{
    const struct node *d = &now.nodes[files[dir - 100].node];
    int stop = 0;
    (void)u;
    for (int i = 0; i < d->count && !stop; i++)
        stop = visit(visitor, d->entries[i].name);
    return stop;
}

static const struct memo__host host = {
    .now = disk_now, .boot = disk_now, .wall = disk_now, .random = disk_random, .open = disk_open, .pread = disk_pread, .pwrite = disk_pwrite, .sync = disk_sync,
    .truncate = disk_truncate, .rename = disk_rename, .remove = disk_remove, .make_dir = disk_make_dir, .stat_fd = disk_stat, .lock = disk_lock, .touch = disk_touch,
    .close = disk_close, .list = disk_list,
};

/* ---- what is written, and what a reader sees ---- */

struct sight { uint64_t revision; char contents[1024]; };   /* contents: "a1 100, b1 7, " in order */

static struct sight sights[512];        /* sights[i]: after i acknowledged changes */
static int acknowledged[512];           /* at which length of the log change i was acknowledged */
static int changes;
static uint64_t tokens[512];            /* the greatest that was given by then */
static struct memo__store store;
static struct memo__store_scratch scratch;
static struct memo__cache cache;
static int wrong_states;

static void fatal(const char *what, memo_error *e)
{
    printf("file_crash: %s: %s\n", what, e ? e->message : "");
    exit(1);
}

static void open_store(bool create)
{
    memo_error e = MEMO_INIT(memo_error);
    if (memo__store_init(&store, &host, MEMO__TEXT("///registry"), &e) != MEMO_OK)
        fatal("init", &e);
    memo__owner_self(&host, &store.me);
    memo_status st = memo__store_open(&store, create, &e);
    if (st != MEMO_OK && (create || st != MEMO_E_UNREACHABLE))
        fatal("open", &e);
}

static int collect(void *user, const char *name, const struct memo__record *r, const struct stat *file, const char *why)
{
    char (*lines)[64] = user;
    (void)file;
    for (int i = 0; i < ENTRIES; i++)
        if (!lines[i][0]) {
            snprintf(lines[i], sizeof lines[i], "%.20s %u %" PRIu64 ", ", name, r ? (unsigned)r->weight : 99999u, r ? r->token : 0);
            break;
        }
    return why != NULL; /* a damaged record under a good name: there is no excuse */
}

static char lines[ENTRIES][64];
static void start_over(void *user) { (void)user; memset(lines, 0, sizeof lines); }
static int by_text(const void *a, const void *b) { return strcmp(a, b); }

static struct sight look(const char *service)
{
    struct sight s = { 0 };
    struct memo__generation at = { 0 };
    memo_error e = MEMO_INIT(memo_error);
    int dir;
    start_over(NULL);
    if (store.root < 0 || memo__store_service(&store, service, false, &dir, &e) != MEMO_OK)
        return s;
    memo_status st = memo__store_scan(&store, dir, &scratch, start_over, collect, lines, &s.revision, &at, &e);
    (void)host.close(NULL, dir);
    if (st != MEMO_OK)
        snprintf(s.contents, sizeof s.contents, "unreadable: %s", e.message);
    qsort(lines, ENTRIES, sizeof *lines, by_text);
    for (int i = 0; i < ENTRIES && st == MEMO_OK; i++)
        strcat(s.contents, lines[i]);
    return s;
}

/* Change number i: instances a, b, c in turn, some with labels beyond a sector, every fifth change a removal. */
static void change(int i)
{
    static char value[200];
    static const char *labels[4][2] = { { "k1", value }, { "k2", value }, { "k3", value }, { "k4", value } };
    struct memo__change c;
    struct memo__record *r = calloc(1, sizeof *r);
    char id[2] = { (char)('a' + i % 3), '\0' }, name[16];
    memo_error e = MEMO_INIT(memo_error);
    memset(value, 'v', sizeof value - 1);
    snprintf(name, sizeof name, "%s.rec", id);
    if (!r || memo__change_begin(&c, &store, &scratch, "todo", true, &e) != MEMO_OK)
        fatal("begin", &e);
    strcpy(r->id, id);
    strcpy(r->address, "127.0.0.1");
    r->port = 80;
    r->ttl = MEMO__S;
    r->weight = (uint32_t)i;
    r->owner = store.me;
    (void)memo__record_set_labels(r, labels, i % 4 == 3 ? 4 : 0);
    struct stat file;
    int fd = -1;
    bool there = memo__store_read_record(&store, c.dir, name, &scratch, &fd, &file, NULL) == MEMO_OK;
    if (fd >= 0)
        (void)host.close(NULL, fd);
    if ((i % 5 == 4 && there ? memo__change_remove(&c, name, &e) : memo__change_put(&c, name, r, &e)) != MEMO_OK)
        fatal("change", &e);
    tokens[i] = r->token > tokens[i - 1] ? r->token : tokens[i - 1];
    memo__change_end(&c);
    free(r);
}

static void record_registry(int n)
{
    wipe(&now);
    logging = true;
    open_store(true);
    acknowledged[0] = 0;
    for (int i = 1; i <= n; i++) {
        change(i);
        acknowledged[i] = ops;
        logging = false;
        sights[i] = look("todo");
        logging = true;
        if (sights[i].revision <= sights[i - 1].revision)
            fatal("the revision did not grow", NULL);
    }
    logging = false;
    changes = n;
    memo__store_close(&store);
}

/* ---- states ---- */

static bool durable(int i, int length)
{
    for (int k = i + 1; k < length; k++)
        if (log_ops[k].kind == SYNC && log_ops[k].node == (log_ops[i].kind == WRITE || log_ops[i].kind == TRUNCATE ? log_ops[i].node : log_ops[i].dir))
            return true;
    return false;
}

struct state { int length; const int *loose; int loose_count; uint64_t kept; int torn; size_t cut; bool blank; int again; };

static void rebuild(const struct state *s)
{
    wipe(&now);
    for (int i = 0, l = 0; i < s->length; i++) {
        const struct op *o = &log_ops[i];
        bool loose = l < s->loose_count && s->loose[l] == i;
        if (loose && !(s->kept >> l++ & 1))
            continue;
        apply(&now, o, s->torn == i ? s->cut : o->n, s->torn == i && s->blank);
    }
    if (s->again >= 0)
        apply(&now, &log_ops[s->again], log_ops[s->again].n, false);
}

typedef bool check_fn(const struct state *s, char *why, size_t size);

static uint64_t states;
static check_fn *check_state;

static void crash_after(int length, uint64_t *draws);

static void try(const struct state *s)
{
    char why[600];
    rebuild(s);
    states++;
    if (check_state(s, why, sizeof why))
        return;
    if (wrong_states++ < 5)
        printf("file_crash: after %d operations, kept %" PRIx64 " of %d, torn %d at %zu%s, again %d: %s\n", s->length, s->kept, s->loose_count, s->torn, s->cut,
               s->blank ? " blank" : "", s->again, why);
}

static void tear(struct state *s, int i)
{
    s->torn = i;
    for (s->cut = 0; s->cut < log_ops[i].n; s->cut += SECTOR)
        try(s);
    s->blank = true;
    s->cut = log_ops[i].n;
    try(s);
    s->blank = false;
    s->torn = -1;
}

static void crash_after(int length, uint64_t *draws)
{
    int loose[64], n = 0;
    for (int i = 0; i < length && n < 63; i++)
        if (log_ops[i].kind != SYNC && !durable(i, length))
            loose[n++] = i;
    uint64_t all = UINT64_C(1) << n, count = all < SUBSETS ? all : SUBSETS;
    for (uint64_t k = 0; k < count; k++) {
        struct state s = { length, loose, n, all <= SUBSETS ? k : k == 0 ? 0 : k == 1 ? all - 1 : memo__draw_next(draws) & (all - 1), -1, 0, false, -1 };
        try(&s);
        for (int l = 0; l < n; l++) {
            if (!(s.kept >> l & 1))
                continue;
            if (log_ops[loose[l]].kind == WRITE)
                tear(&s, loose[l]);
            s.again = loose[l];
            try(&s);
            s.again = -1;
        }
    }
}

static void crash_everywhere(check_fn *check)
{
    uint64_t draws = 7;
    check_state = check;
    for (int length = 0; length <= ops; length++)
        crash_after(length, &draws);
}

/* ---- what must hold ---- */

static int done_by(int length)
{
    int i = 0;
    while (i < changes && acknowledged[i + 1] <= length)
        i++;
    return i;
}

static bool same(const struct sight *a, const struct sight *b)
{
    return a->revision == b->revision && strcmp(a->contents, b->contents) == 0;
}

static bool goes_on(uint64_t highest_token, char *why, size_t size)
{
    struct memo__change c;
    struct memo__record *r = calloc(1, sizeof *r);
    memo_error e = MEMO_INIT(memo_error);
    if (!r)
        abort();
    boot_id = "22222222-2222-2222-2222-222222222222\n";
    open_store(true);
    strcpy(r->id, "z");
    strcpy(r->address, "127.0.0.1");
    r->port = 80;
    r->ttl = MEMO__S;
    r->owner = store.me;
    bool good = memo__change_begin(&c, &store, &scratch, "todo", true, &e) == MEMO_OK && memo__change_put(&c, "z.rec", r, &e) == MEMO_OK;
    if (c.store)
        memo__change_end(&c);
    struct sight s = look("todo");
    if (good && (r->token <= highest_token || s.revision != r->generation || !strstr(s.contents, "z.rec")))
        good = false;
    snprintf(why, size, "nobody could go on: %s, token %" PRIu64 " after %" PRIu64 ", revision %" PRIu64 " \"%.200s\"", e.message, r->token, highest_token, s.revision, s.contents);
    memo__store_close(&store);
    boot_id = "11111111-1111-1111-1111-111111111111\n";
    free(r);
    return good;
}

static bool registry_is_right(const struct state *s, char *why, size_t size)
{
    int done = done_by(s->length);
    open_store(false);
    struct sight seen = look("todo");
    memo__store_close(&store);
    bool nothing = done == 0 && seen.contents[0] == '\0'; /* before the first acknowledgement: nobody is there, whatever number that has */
    snprintf(why, size, "saw %" PRIu64 " \"%.200s\", expected %" PRIu64 " \"%.200s\" or the next", seen.revision, seen.contents, sights[done].revision, sights[done].contents);
    if (!nothing && !same(&seen, &sights[done]) && !(done < changes && same(&seen, &sights[done + 1])))
        return false;
    return goes_on(tokens[done], why, size);
}

/* ---- stopped again while recovering ---- */

static struct op first_log[OPS];
static int first_ops;
static uint64_t second_states, every = 100;

static bool recovery_is_right(const struct state *s, char *why, size_t size)
{
    (void)s;
    boot_id = "22222222-2222-2222-2222-222222222222\n";
    open_store(false);
    struct sight seen = look("todo");
    memo__store_close(&store);
    snprintf(why, size, "stopped again: saw %" PRIu64 " \"%.200s\", expected \"%.200s\" or \"%.200s\"", seen.revision, seen.contents, sights[0].contents, sights[1].contents);
    return (strcmp(seen.contents, sights[0].contents) == 0 || strcmp(seen.contents, sights[1].contents) == 0) && seen.revision >= sights[0].revision;
}

/* The state is on the disk now, whole. Lets a writer go on and crashes that at every point. */
static void crash_again(const struct state *s)
{
    char why[600];
    struct sight kept[2] = { sights[0], sights[1] };
    uint64_t draws = states, before = states;
    int done = done_by(s->length);
    copy(&base, &now);
    memcpy(first_log, log_ops, sizeof log_ops);
    first_ops = ops;
    ops = 0;
    open_store(false);
    sights[0] = look("todo");
    memo__store_close(&store);
    logging = true;
    (void)goes_on(tokens[done], why, sizeof why);
    logging = false;
    open_store(false);
    sights[1] = look("todo");
    memo__store_close(&store);
    check_state = recovery_is_right;
    for (int length = 0; length <= ops; length++)
        crash_after(length, &draws);
    check_state = NULL;
    second_states += states - before;
    states = before;
    for (int i = 0; i < ops; i++)
        free(log_ops[i].data);
    memcpy(log_ops, first_log, sizeof log_ops);
    ops = first_ops;
    sights[0] = kept[0];
    sights[1] = kept[1];
    boot_id = "11111111-1111-1111-1111-111111111111\n";
    empty(&base);
}

static bool registry_is_right_twice(const struct state *s, char *why, size_t size)
{
    if (states % every == 0) {
        check_fn *mine = check_state;
        crash_again(s);
        check_state = mine;
        rebuild(s);
    }
    return registry_is_right(s, why, size);
}

/* ---- the cache ---- */

static struct memo__view *make_view(int i)
{
    struct memo__view_builder *b = memo__view_builder_new(&memo__alloc_libc);
    struct memo__view *v = NULL;
    for (int k = 0; k < 3 + i % 12; k++) {
        char id[32];
        snprintf(id, sizeof id, "instance-%d-%d", i, k);
        const struct memo__found f = { .id = memo__text_of(id), .address = MEMO__TEXT("127.0.0.1"), .port = (uint16_t)(1000 + k), .weight = (uint32_t)i, .healthy = true };
        memo__view_add(b, &f);
    }
    if (!b || memo__view_end(b, &v) != MEMO_OK)
        abort();
    v->revision = (uint64_t)i;
    v->epoch = 5;
    return v;
}

static void record_cache(int n)
{
    memo_error e = MEMO_INIT(memo_error);
    wipe(&now);
    ops = 0;
    logging = true;
    if (memo__cache_init(&cache, &memo__alloc_libc, &host, "/cache", "file:", &e) != MEMO_OK)
        fatal("cache", &e);
    for (int i = 1; i <= n; i++) {
        struct memo__view *v = make_view(i);
        if (memo__cache_store(&cache, "todo", v, memo__boot(&host), &e) != MEMO_OK)
            fatal("cache", &e);
        memo__view_free(v);
        acknowledged[i] = ops;
    }
    logging = false;
    memo__cache_fini(&cache);
    changes = n;
}

static bool cache_is_right(const struct state *s, char *why, size_t size)
{
    struct memo__view *v = NULL;
    int done = done_by(s->length);
    memo_error e = MEMO_INIT(memo_error);
    if (memo__cache_init(&cache, &memo__alloc_libc, &host, "/cache", "file:", &e) != MEMO_OK)
        fatal("cache", &e);
    memo_status st = memo__cache_load(&cache, "todo", 3600 * MEMO__S, &v, &e);
    memo__cache_fini(&cache);
    int seen = v ? (int)v->revision : 0;
    struct memo__view *expected = seen ? make_view(seen) : NULL;
    bool good = (st == MEMO_OK || done == 0) && (seen == done || seen == done + 1) && (!v || memo__view_same(v, expected));
    snprintf(why, size, "cache: saw %d (%s), expected %d or the next", seen, st == MEMO_OK ? "" : e.message, done);
    memo__view_free(v);
    memo__view_free(expected);
    return good;
}

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 180;
    every = argc > 2 && atoi(argv[2]) > 0 ? (uint64_t)atoi(argv[2]) : every;
    record_registry(n < 1 ? 1 : n > 500 ? 500 : n);
    crash_everywhere(registry_is_right_twice);
    uint64_t of_registry = states;
    for (int i = 0; i < ops; i++)
        free(log_ops[i].data);
    record_cache(100);
    crash_everywhere(cache_is_right);
    for (int i = 0; i < ops; i++)
        free(log_ops[i].data);
    wipe(&now);
    printf("figure file_crash_states %" PRIu64 " states\nfigure file_crash_twice_states %" PRIu64 " states\nfigure cache_crash_states %" PRIu64 " states\n"
           "figure file_crash_wrong %d states\n", of_registry, second_states, states - of_registry, wrong_states);
    return wrong_states ? 1 : 0;
}
