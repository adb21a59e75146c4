/* SPDX-License-Identifier: Apache-2.0 */
/* store.c: the file registry on disk; store.h has the picture and the order of writes.
 *
 * A scan is believed if the generation was even and the same before and after: every rename and unlink happens under an odd one. After a crash the odd one stays; whoever then gets
 * the lock (shared is enough to know that nobody is writing) finds out what was reached: the greatest generation that a record says, or the absence of what was to be removed.
 * Generations of another boot are continued from the wall clock: what an unsynced past may have handed out stays behind. */
#define _GNU_SOURCE
#include "sources/store.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include "base/hash.h"
#include "base/status.h"

#define SLOT 512                          /* a sector: written whole or not at all */
#define TTL_DEFAULT (15 * MEMO__S)        /* three lost renewals, five seconds apart */
#define TTL_LEAST MEMO__S
#define TTL_MOST (3600 * MEMO__S)
#define LOOKS 3                           /* at a moving directory before the shared lock is asked for */

/* ---- url ---- */

static memo_status parse_owners(struct memo__store *s, struct memo__text v, memo_error *e)
{
    while (v.n > 0) {
        const char *comma = memchr(v.at, ',', v.n);
        size_t n = comma ? (size_t)(comma - v.at) : v.n;
        uint64_t uid;
        if (s->rule.owners_count == MEMO__PLACE_OWNERS_MAX || !memo__parse_u64((struct memo__text){ v.at, n }, UINT32_MAX - 1, &uid))
            return memo__fail(e, MEMO_E_SETTING, "file: owners= wants up to %d user numbers with commas between them, not \"%.*s\"", MEMO__PLACE_OWNERS_MAX, (int)n, v.at);
        s->rule.owners[s->rule.owners_count++] = (uint32_t)uid;
        n += comma ? 1 : 0;
        v = (struct memo__text){ v.at + n, v.n - n };
    }
    return MEMO_OK;
}

static memo_status parse_option(struct memo__store *s, struct memo__text o, memo_error *e)
{
    const char *equals = memchr(o.at, '=', o.n);
    struct memo__text key = { o.at, equals ? (size_t)(equals - o.at) : o.n };
    struct memo__text value = { equals ? equals + 1 : o.at + o.n, equals ? o.n - key.n - 1 : 0 };
    if (memo__text_is(key, "owners"))
        return parse_owners(s, value, e);
    if (memo__text_is(key, "sync") && (memo__text_is(value, "off") || memo__text_is(value, "on"))) {
        s->sync = memo__text_is(value, "on");
        return MEMO_OK;
    }
    if (memo__text_is(key, "ttl") && memo__parse_duration(value, &s->ttl) && s->ttl >= TTL_LEAST && s->ttl <= TTL_MOST) {
        s->ttl -= s->ttl % MEMO__MS;
        s->ttl_given = true;
        return MEMO_OK;
    }
    return memo__fail(e, MEMO_E_SETTING, "file: \"%.*s\" is not an option; there are owners=UID,UID, ttl=1s to 1h, sync=on or off", (int)(o.n > 64 ? 64 : o.n), o.at);
}

memo_status memo__store_init(struct memo__store *s, const struct memo__host *h, struct memo__text url, memo_error *e)
{
    const char *question = url.n ? memchr(url.at, '?', url.n) : NULL;
    struct memo__text path = { url.at, question ? (size_t)(question - url.at) : url.n };
    struct memo__text rest = { question ? question + 1 : url.at, question ? url.n - path.n - 1 : 0 };
    *s = (struct memo__store){ .host = h, .root = -1, .ttl = TTL_DEFAULT, .sync = true };
    memo__place_rule_self(&s->rule);
    if (path.n >= 2 && memcmp(path.at, "//", 2) == 0)
        path = (struct memo__text){ path.at + 2, path.n - 2 };
    if (path.n > 0 && path.at[0] != '/')
        return memo__fail(e, MEMO_E_SETTING, "file: the path must be absolute: file:///run/memo/registry, not \"%.*s\"", (int)(path.n > 64 ? 64 : path.n), path.at);
    if (path.n == 0 ? !memo__place_default("registry", s->path, sizeof s->path) : (memchr(path.at, '\0', path.n) || !memo__text_copy(s->path, sizeof s->path, path)))
        return memo__fail(e, MEMO_E_SETTING, "file: the path is longer than %d bytes", MEMO__PLACE_PATH_MAX - 1);
    while (rest.n > 0) {
        const char *and = memchr(rest.at, '&', rest.n);
        size_t n = and ? (size_t)(and - rest.at) : rest.n;
        memo_status st = n ? parse_option(s, (struct memo__text){ rest.at, n }, e) : MEMO_OK;
        if (st != MEMO_OK)
            return st;
        n += and ? 1 : 0;
        rest = (struct memo__text){ rest.at + n, rest.n - n };
    }
    return MEMO_OK;
}

/* ---- files ---- */

static int synced(const struct memo__store *s, int fd)
{
    return s->sync ? s->host->sync(s->host->user, fd) : 0;
}

static void drop(const struct memo__store *s, int *fd)
{
    if (*fd >= 0)
        (void)s->host->close(s->host->user, *fd);
    *fd = -1;
}

/* Writes a new file under a passing name, synced; nothing else is changed. */
static memo_status write_new(const struct memo__store *s, int dir, const char *bytes, size_t n, memo_error *e)
{
    const struct memo__host *h = s->host;
    struct stat file;
    int fd;
    (void)h->remove(h->user, dir, "new");
    memo_status st = memo__place_file(h, dir, "new", O_WRONLY | O_CREAT | O_EXCL, &s->rule, &fd, &file, e);
    if (st != MEMO_OK)
        return st == MEMO_E_UNREACHABLE ? MEMO_E_IO : st;
    int wrong = memo__write_all(h, fd, bytes, n, 0);
    if (wrong == 0)
        wrong = synced(s, fd);
    drop(s, &fd);
    if (wrong == 0)
        return MEMO_OK;
    (void)h->remove(h->user, dir, "new");
    return memo__fail(e, memo__place_status(wrong), "cannot write to the registry: %s", memo__place_why(wrong));
}

memo_status memo__store_lock(const struct memo__store *s, int dir, int kind, int *lock, memo_error *e)
{
    struct stat file;
    memo_status st = memo__place_file(s->host, dir, "lock", O_RDONLY | O_CREAT, &s->rule, lock, &file, e);
    if (st != MEMO_OK)
        return st;
    int wrong = s->host->lock(s->host->user, *lock, kind | LOCK_NB);
    if (wrong == 0)
        return MEMO_OK;
    drop(s, lock);
    return memo__fail(e, memo__place_status(wrong), "the registry's lock: %s", wrong == -EWOULDBLOCK ? "another process is writing" : memo__place_why(wrong));
}

/* Unlocked by name, not only by closing: a child forked just now holds the same lock by a descriptor that it may never close. */
void memo__store_unlock(const struct memo__store *s, int lock)
{
    if (lock < 0)
        return;
    (void)s->host->lock(s->host->user, lock, LOCK_UN);
    drop(s, &lock);
}

/* ---- the registry's own directory ---- */

#define EPOCH_BYTES 48 /* "memo1 epoch=" 16 digits " crc32c=" 8 digits "\n" is 45 */

static size_t write_epoch(uint64_t epoch, char *line)
{
    int n = snprintf(line, EPOCH_BYTES, "memo1 epoch=%016" PRIx64 " crc32c=", epoch);
    return (size_t)n + (size_t)snprintf(line + n, (size_t)(EPOCH_BYTES - n), "%08" PRIx32 "\n", memo__crc32c(0, line, (size_t)n));
}

static memo_status read_epoch(struct memo__store *s, memo_error *e)
{
    char line[EPOCH_BYTES + 1], again[EPOCH_BYTES], why[128];
    struct stat file;
    int fd;
    memo_status st = memo__place_file(s->host, s->root, "epoch", O_RDONLY, &s->rule, &fd, &file, e);
    if (st != MEMO_OK && e && (size_t)snprintf(why, sizeof why, "%s", e->message) < sizeof why)
        (void)memo__fail(e, st, "the registry %.100s: %s", s->path, why); /* a file's own name does not say whose it is */
    if (st != MEMO_OK)
        return st;
    int64_t n = memo__read_all(s->host, fd, line, sizeof line - 1);
    drop(s, &fd);
    line[n > 0 ? n : 0] = '\0';
    if (n < 0)
        return memo__fail(e, MEMO_E_IO, "cannot read %s/epoch: %s", s->path, memo__place_why(n));
    if (sscanf(line, "memo1 epoch=%16" SCNx64, &s->epoch) != 1 || write_epoch(s->epoch, again) != (size_t)n || memcmp(line, again, (size_t)n) != 0)
        return memo__fail(e, MEMO_E_PROTOCOL, "%s/epoch is damaged, or of another version; it is one line and can only be made anew by removing the whole directory", s->path);
    return MEMO_OK;
}

static memo_status make_epoch(struct memo__store *s, memo_error *e)
{
    const struct memo__host *h = s->host;
    char line[EPOCH_BYTES];
    uint64_t epoch = 0;
    int lock, wrong = 0;
    memo_status st = memo__store_lock(s, s->root, LOCK_EX, &lock, e);
    if (st != MEMO_OK)
        return st;
    st = read_epoch(s, NULL);
    if (st == MEMO_E_UNREACHABLE) {
        wrong = h->random(h->user, &epoch, sizeof epoch);
        st = wrong < 0 ? memo__place_status(wrong) : write_new(s, s->root, line, write_epoch(epoch | 1, line), e);
        if (st == MEMO_OK && ((wrong = h->rename(h->user, s->root, "new", "epoch")) < 0 || (wrong = synced(s, s->root)) < 0))
            st = memo__fail(e, memo__place_status(wrong), "cannot begin the registry %s: %s", s->path, memo__place_why(wrong));
    }
    memo__store_unlock(s, lock);
    return st == MEMO_OK ? read_epoch(s, e) : st;
}

memo_status memo__store_open(struct memo__store *s, bool create, memo_error *e)
{
    struct stat found;
    memo__store_close(s);
    memo_status st = memo__place_open(s->host, s->path, &s->rule, create, &s->root, &found, e);
    if (st != MEMO_OK)
        return st;
    s->device = (uint64_t)found.st_dev;
    s->inode = (uint64_t)found.st_ino;
    st = read_epoch(s, e);
    if (st == MEMO_E_UNREACHABLE && create)
        st = make_epoch(s, e);
    if (st != MEMO_OK)
        memo__store_close(s);
    return st;
}

void memo__store_close(struct memo__store *s)
{
    drop(s, &s->root);
}

memo_status memo__store_still(const struct memo__store *s, memo_error *e)
{
    struct stat now;
    int fd;
    if (s->root < 0)
        return memo__fail(e, MEMO_E_UNREACHABLE, "the registry %s is not open", s->path);
    memo_status st = memo__place_open(s->host, s->path, &s->rule, false, &fd, &now, e);
    if (st != MEMO_OK)
        return st;
    drop(s, &fd);
    if ((uint64_t)now.st_dev == s->device && (uint64_t)now.st_ino == s->inode)
        return MEMO_OK;
    return memo__fail(e, MEMO_E_UNREACHABLE, "the registry %s was replaced by another directory", s->path);
}

/* ---- services ---- */

static bool in_service_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

bool memo__store_dir_name(const char *service, char *name, size_t size)
{
    size_t n = service ? strlen(service) : 0;
    if (n == 0 || n > 63 || n + 3 > size)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!in_service_name(service[i]))
            return false;
    memcpy(name, service, n);
    memcpy(name + n, ".d", 3);
    return true;
}

bool memo__store_service_name(const char *name, char *service, size_t size)
{
    char back[MEMO__STORE_NAME_MOST];
    size_t n = strlen(name);
    if (n < 3 || n - 2 >= size || strcmp(name + n - 2, ".d") != 0)
        return false;
    memcpy(service, name, n - 2);
    service[n - 2] = '\0';
    return memo__store_dir_name(service, back, sizeof back);
}

memo_status memo__store_service(const struct memo__store *s, const char *service, bool create, int *dir, memo_error *e)
{
    char name[MEMO__STORE_NAME_MOST], path[MEMO__PLACE_PATH_MAX + MEMO__STORE_NAME_MOST];
    struct stat found;
    *dir = -1;
    if (!memo__store_dir_name(service, name, sizeof name))
        return memo__fail(e, MEMO_E_ARGUMENT, "\"%.64s\" is not the name of a service", service ? service : "");
    if (s->root < 0)
        return memo__fail(e, MEMO_E_UNREACHABLE, "the registry %s is not open", s->path);
    (void)snprintf(path, sizeof path, "%s/%s", s->path, name);
    return memo__place_open_in(s->host, s->root, name, path, &s->rule, create, dir, &found, e);
}

/* ---- generation ---- */

static void write_slot(char *slot, uint64_t generation, const char *boot, const char *removing)
{
    char line[SLOT];
    int n = snprintf(line, sizeof line, "memo1 generation=%020" PRIu64 " boot=%s removing=%s crc32c=", generation, boot, removing);
    memset(slot, '\n', SLOT);
    memcpy(slot, line, (size_t)n);
    snprintf(line, sizeof line, "%08" PRIx32, memo__crc32c(0, slot, (size_t)n));
    memcpy(slot + n, line, 8);
}

/* 1: whole; 0: never written; -1: damaged, or just being written. */
static int read_slot(const char *slot, uint64_t *generation, char *boot, char *removing)
{
    static const char nothing[SLOT];
    char line[SLOT + 1], again[SLOT];
    int n = 0, m = 0;
    if (memcmp(slot, nothing, SLOT) == 0)
        return 0;
    memcpy(line, slot, SLOT);
    line[SLOT] = '\0';
    boot[0] = removing[0] = '\0';
    if (sscanf(line, "memo1 generation=%20" SCNu64 " boot=%n", generation, &n) != 1 || n == 0)
        return -1;
    size_t b = strcspn(line + n, " "), r;
    if (b > 36 || sscanf(line + n + b, " removing=%n", &m) != 0 || m == 0)
        return -1;
    r = strcspn(line + n + b + m, " ");
    if (r >= MEMO__RECORD_NAME_MOST)
        return -1;
    snprintf(boot, 37, "%.*s", (int)b, line + n);
    snprintf(removing, MEMO__RECORD_NAME_MOST, "%.*s", (int)r, line + n + b + m);
    write_slot(again, *generation, boot, removing);
    return memcmp(slot, again, SLOT) == 0 ? 1 : -1;
}

static memo_status read_generation(const struct memo__store *s, int fd, struct memo__generation *out, memo_error *e)
{
    char slots[2 * SLOT] = { 0 };
    int64_t n = memo__read_all(s->host, fd, slots, sizeof slots);
    if (n < 0)
        return memo__fail(e, MEMO_E_IO, "cannot read a generation: %s", memo__place_why(n));
    uint64_t odd = 0;
    int whole = 0, odd_slot = 0;
    char odd_boot[37] = "";
    *out = (struct memo__generation){ .present = true };
    for (int i = 0; i < 2; i++) {
        uint64_t g = 0;
        char boot[37], removing[MEMO__RECORD_NAME_MOST];
        int state = read_slot(slots + i * SLOT, &g, boot, removing);
        whole += state == 1;
        if (state < 0)
            out->busy = true;
        if (state == 1 && g % 2 == 0 && g > out->even) {
            out->even = g;
            out->slot = i;
            memcpy(out->boot, boot, sizeof boot);
        } else if (state == 1 && g % 2 == 1) {
            odd = g;
            odd_slot = i;
            memcpy(odd_boot, boot, sizeof boot);
            memcpy(out->removing, removing, sizeof removing);
        }
    }
    if (odd > out->even) {
        out->busy = true;
        out->slot = 1 - odd_slot;
        if (out->even < odd - 1) { /* the commit itself was torn: the change under way says upon what it was built */
            out->even = odd - 1;
            memcpy(out->boot, odd_boot, sizeof odd_boot);
        }
    } else {
        out->removing[0] = '\0';
    }
    if (whole == 0)
        return memo__fail(e, MEMO_E_PROTOCOL, "a generation file is damaged in both places");
    return MEMO_OK;
}

memo_status memo__store_generation(const struct memo__store *s, int dir, struct memo__generation *out, memo_error *e)
{
    struct stat file;
    int fd;
    *out = (struct memo__generation){ 0 };
    memo_status st = memo__place_file(s->host, dir, "generation", O_RDONLY, &s->rule, &fd, &file, e);
    if (st == MEMO_E_UNREACHABLE)
        return MEMO_OK;
    if (st != MEMO_OK)
        return st;
    st = read_generation(s, fd, out, e);
    drop(s, &fd);
    return st;
}

/* ---- scanning ---- */

static const char *fault_of(const char *name, int64_t n, struct memo__store_scratch *scratch)
{
    char expected[MEMO__RECORD_NAME_MOST];
    const char *why = NULL;
    if (memo__record_parse(&scratch->record, (struct memo__text){ scratch->line, (size_t)n }, &why) != MEMO_OK)
        return why;
    if (!memo__record_name(scratch->record.id, expected, sizeof expected) || strcmp(expected, name) != 0)
        return "it stands under the name of another id";
    return NULL;
}

/* 0, and *why tells what is wrong with the record (NULL: nothing); or -errno: it could not be read, which says nothing about it. */
static int read_line(const struct memo__store *s, int fd, const char *name, const struct stat *file, struct memo__store_scratch *scratch,
                     const char **why)
{
    *why = "longer than a record can be";
    if (file->st_size > MEMO__RECORD_MOST)
        return 0;
    int64_t n = memo__read_all(s->host, fd, scratch->line, (size_t)file->st_size); /* records are never changed in place */
    if (n < 0)
        return (int)n;
    *why = fault_of(name, n, scratch);
    return 0;
}

/* Is it the file's own fault that it cannot be opened? Else the disk failed, or there are no descriptors; and what could not be looked at is neither
 * there nor not there. */
static bool is_unfit(int wrong)
{
    return wrong == -1 || wrong == -ELOOP || wrong == -EACCES || wrong == -EPERM || wrong == -ENXIO;
}

struct walk {
    const struct memo__store *store;
    struct memo__store_scratch *scratch;
    memo__store_visit *visit;
    void *user;
    int dir;
    uint32_t count;
    uint64_t highest;
    memo_error e;
};

static int walk_one(void *user, const char *name)
{
    struct walk *w = user;
    struct stat file = { 0 };
    const char *why = NULL;
    int fd;
    if (!memo__record_is_name(name))
        return 0;
    if (w->count++ == MEMO__VIEW_ENDPOINTS_MAX)
        return -E2BIG;
    memo_status st = memo__place_file(w->store->host, w->dir, name, O_RDONLY, &w->store->rule, &fd, &file, &w->e);
    if (st == MEMO_E_UNREACHABLE)
        return 0; /* removed since it was listed */
    if (st == MEMO_E_NO_MEMORY)
        return -ENOMEM;
    if (st != MEMO_OK && !is_unfit(fd))
        return fd;
    if (st == MEMO_OK) {
        int wrong = read_line(w->store, fd, name, &file, w->scratch, &why);
        drop(w->store, &fd);
        if (wrong < 0)
            return wrong;
    } else {
        why = w->e.message;
    }
    if (!why && w->scratch->record.generation > w->highest)
        w->highest = w->scratch->record.generation;
    return w->visit ? w->visit(w->user, name, why ? NULL : &w->scratch->record, &file, why) : 0;
}

memo_status memo__store_visit_all(const struct memo__store *s, int dir, struct memo__store_scratch *scratch, memo__store_visit *visit, void *user, uint64_t *highest,
                                  memo_error *e)
{
    struct walk w = { .store = s, .scratch = scratch, .visit = visit, .user = user, .dir = dir, .e = MEMO_INIT(memo_error) };
    int wrong = s->host->list(s->host->user, dir, walk_one, &w);
    *highest = w.highest;
    if (wrong == -E2BIG)
        return memo__fail(e, MEMO_E_PROTOCOL, "a service has more than %d records", MEMO__VIEW_ENDPOINTS_MAX);
    return wrong < 0 ? memo__fail(e, memo__place_status(wrong), "cannot list a service: %s", memo__place_why(wrong)) : MEMO_OK;
}

/* Which generation do the records show, given that nobody is writing? */
static memo_status reached(const struct memo__store *s, int dir, const struct memo__generation *g, uint64_t highest, uint64_t *out, memo_error *e)
{
    uint64_t at = highest > g->even ? highest : g->even;
    if (g->busy && g->removing[0]) {
        int fd = s->host->open(s->host->user, dir, g->removing, O_PATH | O_NOFOLLOW, 0);
        if (fd < 0 && fd != -ENOENT)
            return memo__fail(e, memo__place_status(fd), "cannot tell whether %s was removed: %s", g->removing, memo__place_why(fd));
        if (fd == -ENOENT && at < g->even + 2)
            at = g->even + 2;
        drop(s, &fd);
    }
    *out = at + at % 2;
    return MEMO_OK;
}

/* Without a lock: MEMO_E_TIMEOUT if something moved. */
static memo_status scan_quietly(const struct memo__store *s, int dir, struct memo__store_scratch *scratch, memo__store_visit *visit, void *user, uint64_t *revision,
                                struct memo__generation *before, memo_error *e)
{
    struct memo__generation after;
    uint64_t highest = 0;
    memo_status st = memo__store_generation(s, dir, before, e);
    if (st != MEMO_OK || before->busy)
        return st != MEMO_OK ? st : MEMO_E_TIMEOUT;
    st = memo__store_visit_all(s, dir, scratch, visit, user, &highest, e);
    if (st == MEMO_OK)
        st = memo__store_generation(s, dir, &after, e);
    if (st != MEMO_OK)
        return st;
    if (!memo__generation_same(before, &after))
        return MEMO_E_TIMEOUT;
    *revision = highest > before->even ? highest + highest % 2 : before->even;
    return MEMO_OK;
}

static memo_status scan_locked(const struct memo__store *s, int dir, struct memo__store_scratch *scratch, memo__store_visit *visit, void *user, uint64_t *revision,
                               struct memo__generation *g, memo_error *e)
{
    uint64_t highest = 0;
    int lock;
    memo_status st = memo__store_lock(s, dir, LOCK_SH, &lock, e);
    if (st != MEMO_OK)
        return st;
    st = memo__store_generation(s, dir, g, e);
    if (st == MEMO_OK)
        st = memo__store_visit_all(s, dir, scratch, visit, user, &highest, e);
    if (st == MEMO_OK)
        st = reached(s, dir, g, highest, revision, e);
    memo__store_unlock(s, lock);
    return st;
}

memo_status memo__store_scan(const struct memo__store *s, int dir, struct memo__store_scratch *scratch, void (*again)(void *user), memo__store_visit *visit, void *user,
                             uint64_t *revision, struct memo__generation *at, memo_error *e)
{
    memo_status st = MEMO_E_TIMEOUT;
    for (int look = 0; look < LOOKS && st == MEMO_E_TIMEOUT; look++) {
        again(user);
        st = scan_quietly(s, dir, scratch, visit, user, revision, at, e);
    }
    if (st != MEMO_E_TIMEOUT)
        return st;
    again(user);
    return scan_locked(s, dir, scratch, visit, user, revision, at, e);
}

bool memo__generation_same(const struct memo__generation *a, const struct memo__generation *b)
{
    return a->even == b->even && a->busy == b->busy && a->present == b->present && strcmp(a->removing, b->removing) == 0 && strcmp(a->boot, b->boot) == 0;
}

memo_status memo__store_read_record(const struct memo__store *s, int dir, const char *name, struct memo__store_scratch *scratch, int *fd, struct stat *file, memo_error *e)
{
    memo_status st = memo__place_file(s->host, dir, name, O_RDONLY, &s->rule, fd, file, e);
    if (st != MEMO_OK)
        return st;
    const char *why;
    int wrong = read_line(s, *fd, name, file, scratch, &why);
    if (wrong == 0 && !why)
        return MEMO_OK;
    drop(s, fd);
    if (wrong < 0)
        return memo__fail(e, memo__place_status(wrong), "cannot read record %s: %s", name, memo__place_why(wrong));
    return memo__fail(e, MEMO_E_PROTOCOL, "record %s is damaged: %s", name, why);
}

/* ---- changing ---- */

static uint64_t from_wall_clock(const struct memo__host *h)
{
    int64_t us = memo__wall(h) / MEMO__US;
    return us > 0 ? (uint64_t)us & ~(uint64_t)1 : 2;
}

static int write_generation(struct memo__change *c, uint64_t g, const char *removing, bool sync)
{
    char slot[SLOT];
    write_slot(slot, g, c->store->me.boot, removing);
    int wrong = memo__write_all(c->store->host, c->file, slot, SLOT, (int64_t)c->slot * SLOT);
    return wrong == 0 && sync ? synced(c->store, c->file) : wrong;
}

static memo_status make_generation(struct memo__change *c, memo_error *e)
{
    char slots[2 * SLOT] = { 0 };
    uint64_t highest = 0;
    const struct memo__store *s = c->store;
    memo_status st = memo__store_visit_all(s, c->dir, c->scratch, NULL, NULL, &highest, e);
    if (st != MEMO_OK)
        return st;
    uint64_t first = from_wall_clock(s->host);
    write_slot(slots, first > highest ? first : highest + highest % 2, s->me.boot, "");
    st = write_new(s, c->dir, slots, sizeof slots, e);
    if (st != MEMO_OK)
        return st;
    int wrong = s->host->rename(s->host->user, c->dir, "new", "generation");
    if (wrong == 0)
        wrong = synced(s, c->dir);
    if (wrong == 0)
        wrong = synced(s, s->root); /* whoever made the directory may have died before its name was durable */
    return wrong < 0 ? memo__fail(e, memo__place_status(wrong), "cannot begin a service: %s", memo__place_why(wrong)) : MEMO_OK;
}

/* A writer died, or the machine did: what was reached is made the committed state, and only then built upon. */
static memo_status recover(struct memo__change *c, const struct memo__generation *g, memo_error *e)
{
    uint64_t highest = 0;
    memo_status st = memo__store_visit_all(c->store, c->dir, c->scratch, NULL, NULL, &highest, e);
    if (st != MEMO_OK)
        return st;
    st = reached(c->store, c->dir, g, highest, &c->even, e);
    if (st != MEMO_OK)
        return st;
    if (strcmp(g->boot, c->store->me.boot) != 0) {
        uint64_t wall = from_wall_clock(c->store->host);
        c->even = c->even + 2 > wall ? c->even + 2 : wall;
    }
    int wrong = synced(c->store, c->dir);
    if (wrong == 0)
        wrong = write_generation(c, c->even, "", true);
    if (wrong < 0)
        return memo__fail(e, memo__place_status(wrong), "cannot recover a service: %s", memo__place_why(wrong));
    c->slot = 1 - c->slot;
    return MEMO_OK;
}

static memo_status begin_locked(struct memo__change *c, memo_error *e)
{
    struct memo__generation g;
    struct stat file;
    const struct memo__store *s = c->store;
    memo_status st = memo__place_file(s->host, c->dir, "generation", O_RDWR, &s->rule, &c->file, &file, e);
    if (st == MEMO_E_UNREACHABLE) {
        st = make_generation(c, e);
        if (st == MEMO_OK)
            st = memo__place_file(s->host, c->dir, "generation", O_RDWR, &s->rule, &c->file, &file, e);
    }
    if (st != MEMO_OK)
        return st;
    st = read_generation(s, c->file, &g, e);
    if (st == MEMO_E_PROTOCOL)
        st = MEMO_OK; /* both slots damaged: g.even is 0, and records and wall clock tell where to go on */
    if (st != MEMO_OK)
        return st;
    c->even = g.even;
    c->slot = g.busy && g.removing[0] ? g.slot : 1 - g.slot; /* recovery, as a commit, must not write over what says that something was removed */
    return g.busy || g.even == 0 || strcmp(g.boot, s->me.boot) != 0 ? recover(c, &g, e) : MEMO_OK;
}

memo_status memo__change_begin(struct memo__change *c, const struct memo__store *s, struct memo__store_scratch *scratch, const char *service, bool create, memo_error *e)
{
    *c = (struct memo__change){ .store = s, .scratch = scratch, .dir = -1, .lock = -1, .file = -1 };
    memo_status st = memo__store_service(s, service, create, &c->dir, e);
    if (st == MEMO_OK)
        st = memo__store_lock(s, c->dir, LOCK_EX, &c->lock, e);
    if (st == MEMO_OK)
        st = begin_locked(c, e);
    if (st != MEMO_OK)
        memo__change_end(c);
    return st;
}

void memo__change_end(struct memo__change *c)
{
    drop(c->store, &c->file);
    memo__store_unlock(c->store, c->lock);
    c->lock = -1;
    drop(c->store, &c->dir);
}

/* The step that cannot be taken back is done: make it last and say so. */
static memo_status commit(struct memo__change *c, memo_error *e)
{
    int wrong = synced(c->store, c->dir);
    if (wrong == 0)
        wrong = write_generation(c, c->even + 2, "", true);
    if (wrong < 0)
        return memo__fail(e, MEMO_E_UNKNOWN_OUTCOME, "the registry did not confirm the write: %s", memo__place_why(wrong));
    c->even += 2;
    c->slot = 1 - c->slot;
    return MEMO_OK;
}

/* Nothing was changed: close the odd generation by an even one with the same contents. If even that fails, the next writer recovers. */
static memo_status give_up(struct memo__change *c, int wrong, memo_error *e)
{
    if (write_generation(c, c->even + 2, "", true) == 0) {
        c->even += 2;
        c->slot = 1 - c->slot;
    }
    return memo__fail(e, memo__place_status(wrong), "cannot write to the registry: %s", memo__place_why(wrong));
}

memo_status memo__change_put(struct memo__change *c, const char *name, struct memo__record *r, memo_error *e)
{
    const struct memo__host *h = c->store->host;
    r->generation = c->even + 2;
    if (r->token == 0)
        r->token = r->generation;
    size_t n = memo__record_write(r, c->scratch->line, sizeof c->scratch->line);
    if (n == 0)
        return memo__fail(e, MEMO_E_ARGUMENT, "the instance cannot be written down: its address must be numeric, its labels short");
    memo_status st = write_new(c->store, c->dir, c->scratch->line, n, e);
    if (st != MEMO_OK)
        return st;
    int wrong = write_generation(c, c->even + 1, "", false);
    if (wrong == 0)
        wrong = h->rename(h->user, c->dir, "new", name);
    return wrong < 0 ? give_up(c, wrong, e) : commit(c, e);
}

memo_status memo__change_remove(struct memo__change *c, const char *name, memo_error *e)
{
    const struct memo__host *h = c->store->host;
    int wrong = write_generation(c, c->even + 1, name, true);
    if (wrong == 0)
        wrong = h->remove(h->user, c->dir, name);
    if (wrong < 0)
        return give_up(c, wrong, e);
    c->slot = 1 - c->slot; /* the commit goes to the other place: until it is whole, this one must go on saying what was removed */
    return commit(c, e);
}
