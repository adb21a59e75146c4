/* SPDX-License-Identifier: Apache-2.0 */
/* oom_all.c: every allocation in the process fails, whoever makes it: libmemo, libcurl, c-ares, OpenSSL.
 *
 *   learn: how many does the walk make in a fresh process, and how many in one where everything is initialised?
 *   plan:  static and file registry x (fresh | used) x (the nth fails | all from the nth on)
 *
 * No crash, no hang, every answer a documented status, every byte of ours and every descriptor given back.
 *
 * oom_all [every]: one allocation in so many (default 40); prints `figure oom_all_points N points`. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/atomic.h"
#include "blocks.h"
#include "scenario.h"
#include "tests/unit/process.h"

#define BLOCK 40
#define PLANS 400000

struct task { bool file, fresh, forever; long n; };

static struct { long requests, fail_at; bool forever; uint32_t failed, armed; } oom;
static struct { uint64_t points; long fresh[2], used[2]; } *book;
static struct task *tasks, current;
static uint32_t planned;
static char directory[] = "/tmp/memo-oom-all-XXXXXX", list[128], registry[128];

/* ---- malloc and its kin: those of this program stand before libc's, which are reached by their other names ---- */

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t count, size_t n);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t at, size_t n);

static bool fails(void)
{
    if (!memo__load(&oom.armed))
        return false;
    long n = __atomic_add_fetch(&oom.requests, 1, __ATOMIC_RELAXED);
    bool fail = oom.fail_at && (oom.forever ? n >= oom.fail_at : n == oom.fail_at);
    if (fail) {
        memo__store(&oom.failed, 1u);
        errno = ENOMEM;
    }
    return fail;
}

void *malloc(size_t n) { return fails() ? NULL : __libc_malloc(n); }
void *calloc(size_t count, size_t n) { return fails() ? NULL : __libc_calloc(count, n); }
void *realloc(void *p, size_t n) { return fails() ? NULL : __libc_realloc(p, n); }
void *memalign(size_t at, size_t n) { return fails() ? NULL : __libc_memalign(at, n); }
void *aligned_alloc(size_t at, size_t n) { return fails() ? NULL : __libc_memalign(at, n); }

int posix_memalign(void **out, size_t at, size_t n)
{
    void *p = fails() ? NULL : __libc_memalign(at, n);
    if (!p)
        return ENOMEM;
    *out = p;
    return 0;
}

static bool has_failed(void) { return memo__load(&oom.failed); }

static void tell(const struct task *t, char *text, size_t n)
{
    (void)snprintf(text, n, "%s registry, %s process, allocation %ld%s", t->file ? "file" : "static", t->fresh ? "fresh" : "used", t->n,
                   t->forever ? " and on" : "");
}

static void tell_current(char *text, size_t n) { tell(&current, text, n); }
static void tell_planned(uint32_t i, char *text, size_t n) { tell(&tasks[i], text, n); }

/* ---- in a child ---- */

static void begin(uint32_t number)
{
    char path[96];
    (void)snprintf(path, sizeof path, "%s/%u", directory, number);
    (void)mkdir(path, 0700);
    (void)setenv("XDG_RUNTIME_DIR", path, 1);
    (void)snprintf(registry, sizeof registry, "file://%s/registry?sync=off", path);
    (void)snprintf(list, sizeof list, "static:todo=127.0.0.1:%u|127.0.0.1:%u", scenario_port, scenario_port);
    memo__alloc_default = scenario_alloc;
}

static long walk(const struct task *t)
{
    current = *t;
    oom.requests = 0;
    oom.failed = 0;
    oom.fail_at = t->n;
    oom.forever = t->forever;
    memo__store(&oom.armed, 1u);
    scenario(t->file ? registry : list, t->file);
    memo__store(&oom.armed, 0u);
    return oom.requests;
}

static void carry_out(uint32_t number, uint32_t first, uint32_t last)
{
    const struct task well = { 0 };
    begin(number);
    if (!tasks[first].fresh)
        (void)walk(&well);
    for (uint32_t i = first; i < last; i++) {
        int open_before = process_descriptors();
        blocks_at(i);
        (void)walk(&tasks[i]);
        (void)__atomic_add_fetch(&book->points, memo__load(&oom.failed), __ATOMIC_RELAXED);
        if (memo__load(&scenario_live))
            scenario_mistaken("%ld blocks of ours not given back", memo__load(&scenario_live));
        memo__store(&scenario_live, 0l);
        int left = process_descriptors() - open_before;
        if (left && !tasks[i].fresh)
            scenario_mistaken("%d descriptors more than before", left);
    }
    (void)walk(&well); /* nothing fails any more: every answer must be MEMO_OK */
}

/* ---- learning and planning ---- */

static void learn(void)
{
    for (int file = 0; file < 2; file++) {
        pid_t pid = fork();
        if (pid == 0) {
            begin(BLOCKS_AT_ONCE);
            const struct task t = { .file = file };
            book->fresh[file] = walk(&t);
            book->used[file] = walk(&t);
            _exit(scenario_wrong != 0);
        }
        int status = -1;
        if (waitpid(pid, &status, 0) != pid || status != 0)
            scenario_mistaken("the walk does not succeed when nothing fails");
    }
}

static void plan(bool fresh, long every)
{
    for (int kind = 0; kind < 4; kind++) {
        long most = (fresh ? book->fresh : book->used)[kind / 2];
        for (long n = 1 + kind % every; n <= most && planned < PLANS; n += every)
            tasks[planned++] = (struct task){ .file = kind / 2, .fresh = fresh, .forever = kind % 2, .n = n };
    }
}

int main(int argc, char **argv)
{
    long every = argc > 1 ? atol(argv[1]) : 40;
    book = mmap(NULL, sizeof *book, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    tasks = calloc(PLANS, sizeof *tasks);
    scenario_failed = has_failed;
    scenario_where = tell_current;
    if (book == MAP_FAILED || !tasks || every < 1 || !mkdtemp(directory) || !scenario_server_start())
        return 1;
    learn();
    plan(false, every);
    blocks_run(planned, BLOCK, carry_out, tell_planned);
    planned = 0;
    plan(true, every);
    blocks_run(planned, 1, carry_out, tell_planned);
    if (!scenario_server_stop())
        scenario_mistaken("the server did not end well");
    char command[64];
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    (void)!system(command);
    (void)printf("figure oom_all_points %llu points\n", (unsigned long long)book->points);
    (void)printf("figure oom_all_fresh %ld allocations\n", book->fresh[0] + book->fresh[1]);
    (void)printf("figure oom_all_used %ld allocations\n", book->used[0] + book->used[1]);
    (void)printf("%d passed, %ld failed\n", scenario_wrong == 0, scenario_wrong);
    return scenario_wrong != 0;
}
