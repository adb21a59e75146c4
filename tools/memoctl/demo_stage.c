/* SPDX-License-Identifier: Apache-2.0 */
/* demo_stage.c: builds the stage in a fresh directory and takes it down again, in whatever state it is.
 *
 *   DIRECTORY/registry   the embedded registry      rules.json   the rules      cache-*   last-good caches
 *            /book       what the servers saw       *.log        log lines of the processes
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include "demo.h"
#include "leave.h"
#include "open.h"
#include "print.h"

extern char **environ;

/* The demo has settings of its own: what the user's environment says to other programs would only disturb it. Still one thread here. */
static void forget_environment(void)
{
    char name[128];
    for (char **e = environ; e && *e;) {
        size_t n = strcspn(*e, "=");
        if (strncmp(*e, "MEMO_", 5) == 0 && n < sizeof(name)) {
            memcpy(name, *e, n);
            name[n] = 0;
            unsetenv(name);
            e = environ;
        } else {
            e++;
        }
    }
    unsetenv("OTEL_SERVICE_NAME");
    unsetenv("OTEL_LOG_LEVEL");
}

/* 256 workers a side with connections to three servers, which hold them all. */
static void more_descriptors(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur >= 8192)
        return;
    r.rlim_cur = r.rlim_max < 8192 ? r.rlim_max : 8192;
    (void)setrlimit(RLIMIT_NOFILE, &r);
}

static bool make_directory(struct demo *d)
{
    const char *from[] = { getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"), "/tmp" };
    char path[600];
    for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
        if (!from[i] || from[i][0] != '/' || strlen(from[i]) > 400)
            continue;
        snprintf(d->directory, sizeof(d->directory), "%s/memo-demo-XXXXXX", from[i]);
        if (mkdtemp(d->directory)) {
            snprintf(path, sizeof(path), "%s/registry", d->directory);
            return mkdir(path, 0700) == 0;
        }
    }
    fprintf(stderr, "memoctl demo: no directory can be made: %s\n", strerror(errno));
    d->directory[0] = 0;
    return false;
}

static void on_log(int32_t level, const char *text, void *user)
{
    (void)level;
    fprintf(user, "%s\n", text);
    fflush(user);
}

static memo_status set_all(struct demo *d, memo_error *e)
{
    char registry[600], rules[600], cache[600];
    const char *pairs[][2] = { { "registry", registry }, { "rules", rules }, { "cache_dir", cache }, { "service_name", "demo" }, { "rules_poll",
        "1s" }, { "slow_call", "300ms" } };
    snprintf(registry, sizeof(registry), "file://%s/registry", d->directory);
    snprintf(rules, sizeof(rules), "%s/rules.json", d->directory);
    snprintf(cache, sizeof(cache), "%s/cache-demo", d->directory);
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        memo_status s = memo_client_set(d->client, pairs[i][0], pairs[i][1], e);
        if (s)
            return s;
    }
    return MEMO_OK;
}

static bool open_caller(struct demo *d)
{
    char log[600];
    memo_error e = MEMO_INIT(memo_error);
    snprintf(log, sizeof(log), "%s/demo.log", d->directory);
    d->log = fopen(log, "ae");
    memo_status s = memo_client_new(&d->client, &e);
    if (!s && d->log)
        memo_log_set(d->client, on_log, d->log);
    if (!s)
        s = set_all(d, &e);
    if (!s)
        s = open_start(d->client, &e);
    if (!s)
        s = memo_service_acquire(d->client, "todo", &d->service, &e);
    if (!s)
        s = memo_client_wait(d->client, 10000, &e);
    return s == MEMO_OK || print_error("demo", s, &e) == LEAVE_OK;
}

bool demo_wait_instances(struct demo *d, uint32_t count, int64_t timeout_ms)
{
    memo_view_facts f;
    int64_t until = demo_now() + timeout_ms * 1000000;
    while (!d->interrupted && demo_now() < until) {
        if (demo_facts(d, &f) && f.count == count)
            return true;
        if (d->next_line)
            (void)demo_run(d, 50);
        else
            usleep(20000);
    }
    return false;
}

static bool start_children(struct demo *d)
{
    for (int i = 0; i < INSTANCES; i++)
        if (!children_start(&d->children, i)) {
            fprintf(stderr, "memoctl demo: cannot start a process: %s\n", strerror(errno));
            return false;
        }
    return true;
}

static bool all_registered(struct demo *d)
{
    if (demo_wait_instances(d, INSTANCES, 15000))
        return true;
    fprintf(stderr, "memoctl demo: the three instances did not all register within 15 s; their logs:\n");
    for (int i = 0; i < INSTANCES; i++)
        children_print_log(&d->children, i, stderr);
    return false;
}

static bool start_pools(struct demo *d)
{
    for (int i = 0; i < SIDES; i++)
        tally_init(&d->tally[i]);
    memo_side_init(&d->memo);
    d->memo.service = d->service;
    d->bare.book = d->memo.book = d->book;
    d->bare.tally = &d->tally[SIDE_BARE];
    d->memo.tally = &d->tally[SIDE_MEMO];
    for (int i = 0; i < INSTANCES; i++)
        d->bare.port[i] = d->children.child[i].port;
    d->pool[SIDE_BARE].call = bare_call;
    d->pool[SIDE_BARE].leave = bare_leave;
    d->pool[SIDE_BARE].user = &d->bare;
    d->pool[SIDE_MEMO].call = memo_side_call;
    d->pool[SIDE_MEMO].leave = memo_side_leave;
    d->pool[SIDE_MEMO].user = &d->memo;
    d->pools = true;
    return pool_start(&d->pool[SIDE_BARE]) && pool_start(&d->pool[SIDE_MEMO]);
}

static bool catch_signals(struct demo *d)
{
    sigset_t ours;
    sigemptyset(&ours);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGHUP);
    sigaddset(&ours, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ours, NULL);
    d->signals = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
    return d->signals >= 0;
}

bool demo_build(struct demo *d)
{
    char book[600];
    forget_environment();
    more_descriptors();
    d->children.directory = d->directory;
    if (!catch_signals(d) || !make_directory(d) || !children_ports(&d->children) || !rules_write(d->directory, RULES_PLAIN, NULL))
        return false;
    snprintf(book, sizeof(book), "%s/book", d->directory);
    d->book = book_open(book, true);
    if (!d->book)
        fprintf(stderr, "memoctl demo: %s: %s\n", book, strerror(errno));
    /* The children first: with the first registration the registry comes into being. */
    return d->book && start_children(d) && open_caller(d) && all_registered(d) && start_pools(d);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st;
    (void)type;
    (void)f;
    (void)remove(path);
    return 0;
}

/* Calls end first, then the client, then the servers: nobody is pulled from under somebody else. */
void demo_strike(struct demo *d)
{
    for (int i = 0; i < SIDES && d->pools; i++)
        pool_stop(&d->pool[i]);
    memo_service_release(d->service);
    memo_client_free(d->client);
    children_end(&d->children);
    book_close(d->book);
    if (d->pools) {
        memo_side_fini(&d->memo);
        for (int i = 0; i < SIDES; i++)
            tally_fini(&d->tally[i]);
    }
    if (d->log)
        fclose(d->log);
    if (d->directory[0] && !args_get(d->args, "keep"))
        (void)nftw(d->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    if (d->signals >= 0)
        close(d->signals);
}
