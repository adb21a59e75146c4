/* SPDX-License-Identifier: Apache-2.0 */
/* disk.c: one disk for all processes of the world, behind host.h.
 *
 * A file has what is written and what is safe (as it was at its last sync); so has a directory, with a list of what happened to its names since. When
 * the machine stops, each file keeps any mixture of the two in sectors of 512 bytes, and each directory any subset of that list, in order: lost, torn
 * and reordered writes. Locks are flock's, an operation of a process that is cut off or dead fails, and in the middle of what others read the
 * outsider may write. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "sim.h"

#define NODES 256
#define ENTRIES 40
#define FILES 64
#define OPS 64
#define SECTOR 512
#define FD_FROM 100000
#define AT_ROOT 0

struct bytes { unsigned char *at; size_t n, room; };
struct entry { char name[80]; int node; };
struct names { struct entry all[ENTRIES]; int count; };
struct op { char from[80], to[80]; int node; };    /* from is gone (""), to is node (-1: is not made) */
struct node {
    bool used, dir, dirty;
    unsigned mode;
    struct bytes now, safe;
    struct names *names, *safe_names;
    struct op *ops;
    int ops_count;
    memo__instant touched, silent;                 /* boot clock; until when it was last silent for longer than a lease */
    int64_t wall;
};
enum what { NODE, BOOT_ID, STAT, SPACE };
struct file { bool open; enum what what; int node, lock; uint32_t owner; uint64_t who; };

static struct node nodes[NODES];
static struct file files[FILES];
static bool is_away, intruding;
static int service_dir;

/* ---- nodes ---- */

static void keep(struct bytes *to, const struct bytes *from)
{
    if (to->room < from->n && !(to->at = realloc(to->at, to->room = from->n + 64)))
        abort();
    if (from->n)
        memcpy(to->at, from->at, from->n);
    to->n = from->n;
}

static void resize(struct bytes *b, size_t n)
{
    if (n > b->room && !(b->at = realloc(b->at, b->room = n * 2)))
        abort();
    if (n > b->n)
        memset(b->at + b->n, 0, n - b->n);
    b->n = n;
}

static int node_new(bool dir, unsigned mode)
{
    for (int i = 0; i < NODES; i++) {
        struct node *n = &nodes[i];
        if (n->used)
            continue;
        struct bytes now = n->now, safe = n->safe;
        now.n = safe.n = 0;
        *n = (struct node){ .used = true, .dir = dir, .mode = mode, .now = now, .safe = safe, .names = n->names, .safe_names = n->safe_names,
                            .ops = n->ops,
                            .touched = sim.boot, .wall = sim.wall };
        if (dir && !n->names &&
            (!(n->names = malloc(sizeof *n->names)) || !(n->safe_names = malloc(sizeof *n->names)) || !(n->ops = malloc(OPS * sizeof *n->ops))))
            abort();
        if (dir)
            n->names->count = n->safe_names->count = 0;
        return i;
    }
    abort(); /* the world's own limit */
}

static struct entry *lookup(struct names *d, const char *name)
{
    for (int i = 0; i < d->count; i++)
        if (strcmp(d->all[i].name, name) == 0)
            return &d->all[i];
    return NULL;
}

static void change_names(struct names *d, const struct op *o)
{
    struct entry *gone = o->from[0] ? lookup(d, o->from) : NULL;
    if (gone)
        *gone = d->all[--d->count];
    if (o->node < 0)
        return;
    struct entry *e = lookup(d, o->to);
    if (!e && d->count == ENTRIES)
        abort();
    if (!e)
        e = &d->all[d->count++];
    memcpy(e->name, o->to, sizeof e->name);
    e->node = o->node;
}

static void rename_in(int dir, const char *from, const char *to, int node)
{
    struct op o = { .node = node };
    (void)snprintf(o.from, sizeof o.from, "%s", from);
    (void)snprintf(o.to, sizeof o.to, "%s", to);
    struct node *d = &nodes[dir];
    change_names(d->names, &o);
    if (d->ops_count == OPS) { /* a disk writes some of it down by itself, too */
        change_names(d->safe_names, &d->ops[0]);
        d->ops_count--;
        memmove(d->ops, d->ops + 1, (size_t)d->ops_count * sizeof o);
    }
    d->ops[d->ops_count++] = o;
}

static bool reachable(int node)
{
    for (int i = 0; i < NODES; i++)
        for (int k = 0; nodes[i].used && nodes[i].dir && k < nodes[i].names->count + nodes[i].safe_names->count; k++) {
            const struct names *now = nodes[i].names;
            if ((k < now->count ? now->all[k].node : nodes[i].safe_names->all[k - now->count].node) == node)
                return true;
        }
    for (int i = 0; i < NODES; i++)
        for (int k = 0; nodes[i].used && nodes[i].dir && k < nodes[i].ops_count; k++)
            if (nodes[i].ops[k].node == node)
                return true;
    for (int i = 0; i < FILES; i++)
        if (files[i].open && files[i].what == NODE && files[i].node == node)
            return true;
    return node == AT_ROOT;
}

static void collect(void)
{
    for (int i = 0; i < NODES; i++)
        if (nodes[i].used && !nodes[i].dir && !reachable(i))
            nodes[i].used = false;
}

static bool is_record(const char *name)
{
    size_t n = strlen(name);
    return n > 4 && strcmp(name + n - 4, ".rec") == 0;
}

/* ---- operations ---- */

static struct proc *of(void *user) { return user; }

static struct file *file_of(int fd) { return &files[fd - FD_FROM]; }

/* What every operation costs and risks. */
static int risk(struct proc *p, const char *what, uint64_t about)
{
    happen(what, p->index, about);
    world_pass(chance(sim.faults.slow_disk) ? (1 + below(30)) * MEMO__MS : MEMO__US);
    if (p->index == OUTSIDER && sim.fuse && --sim.fuse == 0)
        p->cut = true;
    if (!p->alive || p->cut)
        return -EIO;
    if (!sim.calm && chance(sim.faults.eio))
        return below(2) ? -EIO : -ENOMEM;
    return 0;
}

/* Between two operations of a reader anybody may write. */
static void intrude(const struct proc *p)
{
    if (intruding || p->index == OUTSIDER || sim.calm || !chance(sim.faults.intrude))
        return;
    intruding = true;
    outsider_write();
    intruding = false;
}

static int give(struct proc *p, enum what what, int node, uint64_t who)
{
    for (int i = 0; i < FILES; i++) {
        if (files[i].open)
            continue;
        files[i] = (struct file){ .open = true, .what = what, .node = node, .owner = p->index, .who = who };
        return FD_FROM + i;
    }
    return -EMFILE;
}

static int open_proc(struct proc *p, const char *path)
{
    unsigned pid;
    if (strcmp(path, "/proc/sys/kernel/random/boot_id") == 0)
        return give(p, BOOT_ID, 0, 0);
    if (strcmp(path, "/proc/self/stat") == 0)
        return give(p, STAT, 0, p->pid);
    if (strncmp(path, "/proc/self/ns/", 14) == 0)
        return give(p, SPACE, 0, path[14] == 'p' ? p->ns : 1);
    if (sscanf(path, "/proc/%u/stat", &pid) == 1)
        return give(p, STAT, 0, pid);
    return -ENOENT;
}

static int make(int dir, const char *name, bool is_dir, unsigned mode)
{
    int node;
    collect();
    node = node_new(is_dir, mode);
    rename_in(dir, "", name, node);
    if (is_dir && strcmp(name, SERVICE ".d") == 0)
        service_dir = node;
    return node;
}

static int sim_open(void *user, int dir, const char *name, int flags, unsigned mode)
{
    struct proc *p = of(user);
    if (strncmp(name, "/proc/", 6) == 0)
        return open_proc(p, name);
    int at = dir == AT_FDCWD ? AT_ROOT : file_of(dir)->node, wrong = risk(p, "open", (uint64_t)at);
    intrude(p);
    if (wrong)
        return wrong;
    if (strcmp(name, ".") == 0 || strcmp(name, "/") == 0)
        return give(p, NODE, at, 0);
    if (dir == AT_FDCWD || !nodes[at].dir || (is_away && strcmp(name, "registry") == 0))
        return -ENOENT;
    struct entry *e = lookup(nodes[at].names, name);
    if (e && (flags & O_CREAT) && (flags & O_EXCL))
        return -EEXIST;
    if (!e && !(flags & O_CREAT))
        return -ENOENT;
    int node = e ? e->node : make(at, name, false, mode);
    if ((flags & O_DIRECTORY) && !nodes[node].dir)
        return -ENOTDIR;
    if (flags & O_TRUNC)
        resize(&nodes[node].now, 0);
    return give(p, NODE, node, 0);
}

static int64_t read_text(const char *text, void *bytes, size_t n)
{
    size_t have = strlen(text);
    memcpy(bytes, text, have < n ? have : n);
    return (int64_t)(have < n ? have : n);
}

static int64_t read_stat(uint64_t pid, void *bytes, size_t n)
{
    char line[160];
    for (uint32_t i = 0; i < PROCS; i++) {
        const struct proc *q = &sim.procs[i];
        if (q->pid != pid || !q->alive)
            continue;
        (void)snprintf(line, sizeof line, "%u (sim) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %llu 0\n", q->pid, (unsigned long long)q->start);
        return read_text(line, bytes, n);
    }
    return -ESRCH;
}

static int64_t sim_pread(void *user, int fd, void *bytes, size_t n, int64_t at)
{
    struct proc *p = of(user);
    const struct file *f = file_of(fd);
    char line[40];
    (void)snprintf(line, sizeof line, "%08x-1111-1111-1111-111111111111\n", sim.boots);
    if (f->what != NODE)
        return at ? 0 : f->what == BOOT_ID ? read_text(line, bytes, n) : read_stat(f->who, bytes, n);
    int wrong = risk(p, "read", (uint64_t)f->node);
    intrude(p);
    if (wrong)
        return wrong;
    const struct bytes *b = &nodes[f->node].now;
    if ((size_t)at >= b->n)
        return 0;
    n = n < b->n - (size_t)at ? n : b->n - (size_t)at;
    if (n > 1 && !sim.calm && chance(sim.faults.eio))
        n = 1 + below((uint32_t)n); /* a short read */
    memcpy(bytes, b->at + at, n);
    return (int64_t)n;
}

static uint64_t number_after(const unsigned char *at, size_t n, const char *key)
{
    const char *found = memmem(at, n, key, strlen(key));
    return found ? strtoull(found + strlen(key), NULL, 10) : 0;
}

static bool is_generation(int node)
{
    const struct entry *e = service_dir ? lookup(nodes[service_dir].names, "generation") : NULL;
    return e && e->node == node;
}

static int64_t sim_pwrite(void *user, int fd, const void *bytes, size_t n, int64_t at)
{
    struct proc *p = of(user);
    const struct file *f = file_of(fd);
    struct node *node = &nodes[f->node];
    int wrong = risk(p, "write", (uint64_t)f->node);
    if (wrong)
        return wrong;
    if (!sim.calm && chance(sim.faults.eio))
        return -ENOSPC;
    if (node->now.n < (size_t)at + n)
        resize(&node->now, (size_t)at + n);
    memcpy(node->now.at + at, bytes, n);
    node->dirty = true;
    node->touched = sim.boot;
    node->wall = sim.wall + sim.now;
    if (is_generation(f->node))
        truth_generation(number_after(bytes, n, "generation="));
    return (int64_t)n;
}

static int sim_sync(void *user, int fd)
{
    const struct file *f = file_of(fd);
    struct node *n = &nodes[f->node];
    int wrong = risk(of(user), "sync", (uint64_t)f->node);
    if (wrong)
        return wrong;
    if (n->dir) {
        *n->safe_names = *n->names;
        n->ops_count = 0;
    } else {
        keep(&n->safe, &n->now);
        n->dirty = false;
    }
    return 0;
}

static int sim_truncate(void *user, int fd, int64_t n)
{
    const struct file *f = file_of(fd);
    int wrong = risk(of(user), "truncate", (uint64_t)f->node);
    if (wrong)
        return wrong;
    resize(&nodes[f->node].now, (size_t)n);
    nodes[f->node].dirty = true;
    return 0;
}

static int sim_rename(void *user, int dir, const char *from, const char *to)
{
    int at = file_of(dir)->node, wrong = risk(of(user), "rename", (uint64_t)at);
    struct entry *e = wrong ? NULL : lookup(nodes[at].names, from);
    if (!e)
        return wrong ? wrong : -ENOENT;
    int node = e->node;
    rename_in(at, from, to, node);
    if (at == service_dir && is_record(to))
        truth_changed();
    return 0;
}

static int sim_remove(void *user, int dir, const char *name)
{
    int at = file_of(dir)->node, wrong = risk(of(user), "remove", (uint64_t)at);
    if (wrong || !lookup(nodes[at].names, name))
        return wrong ? wrong : -ENOENT;
    rename_in(at, name, "", -1);
    if (at == service_dir && is_record(name))
        truth_changed();
    return 0;
}

static int sim_make_dir(void *user, int dir, const char *name, unsigned mode)
{
    int at = file_of(dir)->node, wrong = risk(of(user), "mkdir", (uint64_t)at);
    if (wrong)
        return wrong;
    if (lookup(nodes[at].names, name))
        return -EEXIST;
    (void)make(at, name, true, mode);
    return 0;
}

static int sim_stat(void *user, int fd, struct stat *out)
{
    struct proc *p = of(user);
    const struct file *f = file_of(fd);
    if (f->what == SPACE) {
        *out = (struct stat){ .st_ino = (ino_t)f->who };
        return 0;
    }
    const struct node *n = &nodes[f->node];
    int wrong = risk(p, "stat", (uint64_t)f->node);
    if (wrong)
        return wrong;
    *out = (struct stat){ .st_ino = (ino_t)f->node + 1, .st_dev = sim.boots + 1, .st_nlink = 1, .st_uid = geteuid(), .st_size = (off_t)n->now.n,
                          .st_mode = (n->dir ? S_IFDIR : S_IFREG) | (n->mode & 0700), .st_mtim = { n->wall / MEMO__S, n->wall % MEMO__S } };
    return 0;
}

static int sim_lock(void *user, int fd, int kind)
{
    struct file *mine = file_of(fd);
    int want = kind & ~LOCK_NB, wrong = risk(of(user), "lock", (uint64_t)mine->node);
    if (want == LOCK_UN) {
        mine->lock = 0;
        return 0;
    }
    if (wrong)
        return wrong;
    for (int i = 0; i < FILES; i++)
        if (files[i].open && &files[i] != mine && files[i].what == NODE && files[i].node == mine->node && files[i].lock &&
            (want == LOCK_EX || files[i].lock == LOCK_EX))
            return -EWOULDBLOCK;
    mine->lock = want;
    return 0;
}

static int sim_touch(void *user, int fd)
{
    struct node *n = &nodes[file_of(fd)->node];
    int wrong = risk(of(user), "touch", (uint64_t)file_of(fd)->node);
    if (wrong)
        return wrong;
    if (sim.boot - n->touched >= LEASE_TTL)
        n->silent = sim.boot;
    n->touched = sim.boot;
    n->wall = sim.wall + sim.now;
    return 0;
}

static int sim_close(void *user, int fd)
{
    happen("close", of(user)->index, (uint64_t)file_of(fd)->node);
    if (!file_of(fd)->open)
        broke("descriptors", "process %u closes a file that is not open", of(user)->index);
    if (sim.plant != PLANT_LEAKED_FILE || sim.events % 1000)
        file_of(fd)->open = false;
    return 0;
}

/* Planted: a name that is there is not told. */
static bool hidden(const struct proc *p, const char *name)
{
    return sim.plant == PLANT_LOST_ENDPOINT && p->index >= CALLERS_FROM && is_record(name) && chance(100000);
}

static int sim_list(void *user, int dir, int (*visit)(void *visitor, const char *name), void *visitor)
{
    struct proc *p = of(user);
    int at = file_of(dir)->node, stop = risk(p, "list", (uint64_t)at);
    if (stop)
        return stop;
    const struct names all = *nodes[at].names; /* as it was when it was read: others may write meanwhile */
    for (int i = 0; i < all.count && !stop; i++)
        if (!hidden(p, all.all[i].name))
            stop = visit(visitor, all.all[i].name);
    return stop;
}

static int sim_pid_exists(void *user, int pid)
{
    (void)user;
    for (uint32_t i = 0; i < PROCS; i++)
        if (sim.procs[i].alive && sim.procs[i].pid == (uint32_t)pid)
            return 1;
    return 0;
}

static memo__instant sim_now(void *user) { (void)user; return sim.now; }
static memo__instant sim_boot(void *user) { return sim.boot - of(user)->lag; }
static int64_t sim_wall(void *user) { (void)user; return sim.wall + sim.now; }

static int sim_random(void *user, void *bytes, size_t n)
{
    unsigned char *at = bytes;
    (void)user;
    for (size_t i = 0; i < n; i++)
        at[i] = (unsigned char)draw();
    return 0;
}

void disk_host(struct proc *p)
{
    p->host = (struct memo__host){
        .now = sim_now, .boot = sim_boot, .wall = sim_wall, .random = sim_random, .open = sim_open, .pread = sim_pread, .pwrite = sim_pwrite,
            .sync = sim_sync,
        .truncate = sim_truncate, .rename = sim_rename, .remove = sim_remove, .make_dir = sim_make_dir, .stat_fd = sim_stat, .lock = sim_lock,
            .touch = sim_touch,
        .close = sim_close, .list = sim_list, .pid_exists = sim_pid_exists, .user = p,
    };
}

/* ---- the machine ---- */

static void crash_file(struct node *n)
{
    uint32_t fate = below(3);
    if (!n->dirty || fate == 0)
        return;
    size_t size = below(2) ? n->now.n : n->safe.n;
    for (size_t at = 0; at < n->now.n; at += SECTOR) {
        size_t bytes = n->now.n - at < SECTOR ? n->now.n - at : SECTOR;
        if (fate == 1 || below(2))
            for (size_t i = at; i < at + bytes; i++)
                n->now.at[i] = i < n->safe.n ? n->safe.at[i] : 0;
    }
    resize(&n->now, fate == 1 ? n->safe.n : size);
}

static void crash_dir(struct node *n)
{
    *n->names = *n->safe_names;
    for (int i = 0; i < n->ops_count; i++)
        if (below(2))
            change_names(n->names, &n->ops[i]);
}

void disk_crash(void)
{
    for (int i = 0; i < NODES; i++) {
        struct node *n = &nodes[i];
        if (!n->used)
            continue;
        if (n->dir) {
            crash_dir(n);
            *n->safe_names = *n->names;
            n->ops_count = 0;
        } else {
            crash_file(n);
            keep(&n->safe, &n->now);
        }
        n->dirty = false;
    }
    for (int i = 0; i < NODES; i++)
        if (i != AT_ROOT && nodes[i].used && nodes[i].dir && !reachable(i))
            nodes[i].used = false; /* its name never reached the disk */
    if (service_dir && !nodes[service_dir].used)
        service_dir = 0;
}

void disk_away(bool away) { is_away = away; }

void disk_forget(const struct proc *p)
{
    for (int i = 0; i < FILES; i++)
        if (files[i].open && files[i].owner == p->index)
            files[i].open = false;
}

int disk_open_files(void)
{
    int n = 0;
    for (int i = 0; i < FILES; i++)
        n += files[i].open;
    return n;
}

static bool read_record(const struct node *n, struct seen_record *r)
{
    char line[1024];
    unsigned port, weight;
    size_t size = n->now.n < sizeof line - 1 ? n->now.n : sizeof line - 1;
    memcpy(line, n->now.at, size);
    line[size] = '\0';
    const char *at = strstr(line, " id="), *owner = strstr(line, " pidns="), *token = strstr(line, " token=");
    unsigned long long ns, pid, start, number, generation;
    *r = (struct seen_record){ .touched = n->touched, .silent = n->silent };
    if (!at || !owner || !token || sscanf(at, " id=%15[^ ] address=%*s port=%u weight=%u", r->id, &port, &weight) != 3 ||
        sscanf(owner, " pidns=%llu timens=%*u pid=%llu start=%llu", &ns, &pid, &start) != 3 || sscanf(token, " token=%llu generation=%llu", &number,
                                                                                                      &generation) != 2)
        return false;
    r->port = (uint16_t)port;
    r->weight = weight;
    r->pid = (uint32_t)pid;
    r->ns = ns;
    r->start = start;
    r->token = number;
    r->generation = generation;
    return true;
}

uint32_t disk_records(struct seen_record *out, uint32_t most)
{
    uint32_t n = 0;
    const struct names *d = service_dir ? nodes[service_dir].names : NULL;
    for (int i = 0; d && i < d->count && n < most; i++)
        if (is_record(d->all[i].name) && read_record(&nodes[d->all[i].node], &out[n]))
            n++;
    return n;
}

void disk_begin(void)
{
    for (int i = 0; i < NODES; i++)
        nodes[i].used = false;
    memset(files, 0, sizeof files);
    is_away = intruding = false;
    service_dir = 0;
    (void)node_new(true, 0700);
    int r = make(AT_ROOT, "r", true, 0700);
    *nodes[AT_ROOT].safe_names = *nodes[AT_ROOT].names;
    nodes[AT_ROOT].ops_count = nodes[r].ops_count = 0;
}

void disk_end(void)
{
    for (int i = 0; i < NODES; i++) {
        free(nodes[i].now.at);
        free(nodes[i].safe.at);
        free(nodes[i].names);
        free(nodes[i].safe_names);
        free(nodes[i].ops);
    }
    memset(nodes, 0, sizeof nodes);
}
