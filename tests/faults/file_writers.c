/* SPDX-License-Identifier: Apache-2.0 */
/* file_writers.c: eight processes write into one service at once. Is a single update lost, does a reader ever see half of one?
 *
 * Every update is made under the lock as the registry makes it. In turn a writer rewrites its own record and adds one to a number in a record that all share: a lost update would
 * show in the sum. Meanwhile one more process scans: revisions must never fall, what it sees must be one generation (no record newer than it), and the shared number must be exactly
 * what the writers had made of it by that generation: it grows with every generation in which it was written, and its record says in which that was.
 *
 * file_writers [updates of each [directory [sync]]]   default 250, a temporary directory, not synced. Exits with 1 if anything is wrong. */
#define _GNU_SOURCE
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "sources/store.h"

#define WRITERS 8

static struct memo__host host;
static char url[512];
static uint32_t updates = 250;

/* Waits for the lock, as the test must not be about who comes back first. */
static int waiting_lock(void *user, int fd, int kind)
{
    return memo__host_linux.lock(user, fd, kind & ~LOCK_NB);
}

static void fatal(const char *what, const memo_error *e)
{
    fprintf(stderr, "file_writers: %s: %s\n", what, e->message);
    _exit(1);
}

static void open_store(struct memo__store *s)
{
    memo_error e = MEMO_INIT(memo_error);
    if (memo__store_init(s, &host, memo__text_of(url), &e) != MEMO_OK)
        fatal("init", &e);
    memo__owner_self(&host, &s->me);
    memo_status st = memo__store_open(s, true, &e);
    if (st != MEMO_OK)
        fatal("open", &e);
}

static void fill(struct memo__record *r, const char *id, const struct memo__owner *me)
{
    memset(r, 0, sizeof *r);
    snprintf(r->id, sizeof r->id, "%s", id);
    strcpy(r->address, "127.0.0.1");
    r->port = 80;
    r->ttl = MEMO__S;
    r->owner = *me;
}

static uint64_t shared_number(struct memo__record *r)
{
    return r->labels_count ? strtoull(r->labels[0][1].at, NULL, 10) : 0;
}

/* Reads the shared number and adds one, under the lock that c holds. */
static void add_one(struct memo__store *s, struct memo__change *c, struct memo__record *r)
{
    char number[24];
    const char *labels[1][2] = { { "n", number } };
    struct stat file;
    int fd = -1;
    memo_error e = MEMO_INIT(memo_error);
    memo_status st = memo__store_read_record(s, c->dir, "shared.rec", c->scratch, &fd, &file, &e);
    if (st != MEMO_OK && st != MEMO_E_UNREACHABLE)
        fatal("read", &e);
    uint64_t n = st == MEMO_OK ? shared_number(&c->scratch->record) : 0;
    if (fd >= 0)
        close(fd);
    snprintf(number, sizeof number, "%" PRIu64, n + 1);
    fill(r, "shared", &s->me);
    (void)memo__record_set_labels(r, labels, 1);
    if (memo__change_put(c, "shared.rec", r, &e) != MEMO_OK)
        fatal("put", &e);
}

static void write_all(int me)
{
    struct memo__store s;
    struct memo__store_scratch *scratch = malloc(sizeof *scratch);
    struct memo__record *r = malloc(sizeof *r);
    char id[16], name[24];
    memo_error e = MEMO_INIT(memo_error);
    if (!scratch || !r)
        _exit(1);
    open_store(&s);
    snprintf(id, sizeof id, "w%d", me);
    snprintf(name, sizeof name, "%s.rec", id);
    for (uint32_t i = 0; i < updates; i++) {
        struct memo__change c;
        if (memo__change_begin(&c, &s, scratch, "todo", true, &e) != MEMO_OK)
            fatal("begin", &e);
        if (i % 2) {
            add_one(&s, &c, r);
        } else {
            fill(r, id, &s.me);
            r->weight = i % 65536;
            if (memo__change_put(&c, name, r, &e) != MEMO_OK)
                fatal("put", &e);
        }
        memo__change_end(&c);
    }
    memo__store_close(&s);
    free(scratch);
    free(r);
    _exit(0);
}

struct seen { uint64_t newest, shared, shared_generation; uint32_t records, broken; uint32_t weights[WRITERS]; };

static void start_over(void *user)
{
    memset(user, 0, sizeof(struct seen));
}

static int visit(void *user, const char *name, const struct memo__record *r, const struct stat *file, const char *why)
{
    struct seen *s = user;
    (void)file;
    if (why) {
        s->broken++;
        return 0;
    }
    s->records++;
    if (r->generation > s->newest)
        s->newest = r->generation;
    if (strcmp(name, "shared.rec") == 0) {
        s->shared = shared_number((struct memo__record *)(uintptr_t)r);
        s->shared_generation = r->generation;
    } else if (name[0] == 'w') {
        s->weights[name[1] - '0'] = r->weight;
    }
    return 0;
}

/* Scans until the writers are done; answers how often something was wrong. */
static void read_on(volatile int *stop, uint64_t *scans)
{
    struct memo__store s;
    struct memo__store_scratch *scratch = malloc(sizeof *scratch);
    struct seen seen, last = { 0 };
    uint64_t revision = 0, before = 0, wrong = 0;
    int dir = -1;
    memo_error e = MEMO_INIT(memo_error);
    if (!scratch)
        _exit(1);
    open_store(&s);
    while (!*stop) {
        struct memo__generation at;
        if (dir < 0 && memo__store_service(&s, "todo", false, &dir, &e) != MEMO_OK)
            continue;
        if (memo__store_scan(&s, dir, scratch, start_over, visit, &seen, &revision, &at, &e) != MEMO_OK || !at.present)
            continue;
        ++*scans;
        if (revision < before || seen.broken || seen.newest > revision || seen.shared < last.shared || (seen.shared > last.shared) != (seen.shared_generation > last.shared_generation) ||
            (revision == before && (seen.shared != last.shared || memcmp(seen.weights, last.weights, sizeof seen.weights) != 0)))
            wrong++;
        before = revision;
        last = seen;
    }
    memo__store_close(&s);
    free(scratch);
    _exit(wrong ? 1 : 0);
}

static int drop(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

struct shared { volatile int stop; uint64_t scans; };

static int run(struct shared *shared)
{
    pid_t pids[WRITERS], reader = fork();
    int status, failed = 0;
    if (reader == 0)
        read_on(&shared->stop, &shared->scans);
    for (int i = 0; i < WRITERS; i++)
        if ((pids[i] = fork()) == 0)
            write_all(i);
    for (int i = 0; i < WRITERS; i++)
        failed |= waitpid(pids[i], &status, 0) < 0 || status != 0;
    shared->stop = 1;
    if (waitpid(reader, &status, 0) < 0 || status != 0) {
        printf("file_writers: a reader saw something that was never committed\n");
        failed = 1;
    }
    return failed;
}

int main(int argc, char **argv)
{
    char own[] = "/tmp/memo-writers-XXXXXX", *dir = argc > 2 ? argv[2] : mkdtemp(own);
    struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (argc > 1)
        updates = (uint32_t)atoi(argv[1]);
    if (!dir || shared == MAP_FAILED)
        return 1;
    host = memo__host_linux;
    host.lock = waiting_lock;
    snprintf(url, sizeof url, "//%s/registry?sync=%s", dir, argc > 3 ? "on" : "off");
    struct memo__store s;
    struct memo__store_scratch *scratch = malloc(sizeof *scratch);
    struct memo__change c;
    struct memo__generation at;
    struct seen seen;
    uint64_t revision = 0;
    int inner = -1;
    memo_error e = MEMO_INIT(memo_error);
    open_store(&s);
    if (!scratch || memo__change_begin(&c, &s, scratch, "todo", true, &e) != MEMO_OK)
        fatal("begin", &e);
    uint64_t first = c.even;
    memo__change_end(&c);
    memo__instant began = memo__now(&host);
    int failed = run(shared);
    double seconds = (double)memo__since(memo__now(&host), began) / 1e9;
    if (memo__store_service(&s, "todo", false, &inner, &e) != MEMO_OK ||
        memo__store_scan(&s, inner, scratch, start_over, visit, &seen, &revision, &at, &e) != MEMO_OK)
        fatal("scan", &e);
    uint64_t all = (uint64_t)WRITERS * updates, shared_all = (uint64_t)WRITERS * (updates / 2), made = (revision - first) / 2;
    uint64_t lost = (all > made ? all - made : made - all) + (shared_all > seen.shared ? shared_all - seen.shared : seen.shared - shared_all);
    for (int i = 0; i < WRITERS; i++)
        lost += seen.weights[i] != (updates - 1 - (updates - 1) % 2) % 65536;
    close(inner);
    memo__store_close(&s);
    free(scratch);
    const char *of = argc > 3 ? "disk_" : ""; /* synced */
    printf("figure file_writers_%supdates %" PRIu64 " updates\nfigure file_writers_%slost %" PRIu64 " updates\n", of, made, of, lost);
    printf("figure file_writers_%sscans %" PRIu64 " scans\nfigure file_writers_%srate %.0f 1/s\n", of, shared->scans, of, (double)made / seconds);
    if (argc <= 2)
        (void)nftw(dir, drop, 16, FTW_DEPTH | FTW_PHYS);
    return failed || lost;
}
