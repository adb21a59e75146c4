/* SPDX-License-Identifier: Apache-2.0 */
/* syscalls.c: every system call fails, where it is made, with every error that it can give: once, from then on, and many at random.
 *
 *   learn: which call sites are there, and how often is each reached?
 *   plan:  walk x call site x errno x (the first time, a drawn time, from a drawn time on); the same for a client that lives on;
 *          then walks with one call in 8, 30, 100 failing
 *   carry out: in children of so many plans each, some at once, whose progress is watched
 *
 * Whatever happens: no crash, no hang, no descriptor and no memory of ours left, last good views and rules untouched, every answer a
 * documented status; and everything works again.
 *
 * syscalls [every [seed]]: one plan in so many (default 8); prints `figure syscall_faults N injections` and others. */
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
#include "base/reader.h"
#include "blocks.h"
#include "scenario.h"
#include "tests/unit/process.h"
#include "shim.h"

enum walk { WALK_STATIC, WALK_FILE, WALK_STAGE, WALKS };
static const char *const walk_names[] = { "static", "file", "living client" };

#define BLOCK 40               /* plans of one child */
#define PLANS 200000
#define TRANSIENT 20           /* so often in a row EINTR and EAGAIN may come */

struct task { int32_t walk; struct shim_plan plan; };

static struct { uint32_t hits[WALKS][2][SHIM_SITES]; } *book;
static struct task *tasks;
static uint32_t planned;
static uint64_t seed = 1;
static struct task current;
static char directory[] = "/tmp/memo-syscalls-XXXXXX";

static uint64_t draw(void)
{
    uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static bool has_failed(void) { return shim_injected() > 0; }

/* As a programmer looks it up: addr2line -fe PROGRAM ADDRESS. */
static void tell(const struct task *t, char *text, size_t n)
{
    const struct shim_plan *p = &t->plan;
    extern const char __executable_start;
    if (p->site < 0) {
        (void)snprintf(text, n, "%s: one in %u, seed %llu", walk_names[t->walk], p->rate, (unsigned long long)p->seed);
        return;
    }
    struct shim_site s = shim_site(p->site);
    unsigned long at = (unsigned long)((char *)s.from - &__executable_start); /* in a library: beyond the program, but the same in all children */
    (void)snprintf(text, n, "%s: %s at %#lx, %s, %u to %u", walk_names[t->walk], shim_name(s.call), at,
                   p->error == SHIM_SHORT ? "short" : strerrorname_np(p->error), p->first, p->last);
}

static void tell_current(char *text, size_t n) { tell(&current, text, n); }

/* ---- in a child ---- */

static char list[128], registry[128];

static void child_begin(uint32_t slot)
{
    char path[96];
    (void)snprintf(path, sizeof path, "%s/%u", directory, slot);
    (void)mkdir(path, 0700);
    (void)setenv("XDG_RUNTIME_DIR", path, 1);
    (void)snprintf(registry, sizeof registry, "file://%s/registry?sync=%s", path, slot % 8 ? "off" : "on"); /* a disk has only so many syncs */
    (void)snprintf(list, sizeof list, "static:todo=127.0.0.1:%u|127.0.0.1:%u", scenario_port, scenario_port);
    memo__alloc_default = scenario_alloc;
}

static void walk(int32_t which, const struct shim_plan *p)
{
    shim_arm(p);
    scenario(which == WALK_STATIC ? list : registry, which == WALK_FILE);
    shim_disarm();
}

static const struct shim_plan *armed_with;
static void arm(void) { shim_arm(armed_with); }

static void given_back(int open_before)
{
    if (memo__load(&scenario_live))
        scenario_mistaken("%ld blocks not given back", memo__load(&scenario_live));
    memo__store(&scenario_live, 0l);
    int left = process_descriptors() - open_before;
    if (left)
        scenario_mistaken("%d descriptors more than before", left);
}

/* What is made once in a process is made under the first plan; so what is left open by that is not known until a walk in which nothing fails. */
static void carry_out(uint32_t first, uint32_t last)
{
    bool stage = false;
    int open_before = -1;
    for (uint32_t i = first; i < last; i++) {
        blocks_at(i);
        current = tasks[i];
        if (current.walk == WALK_STAGE) {
            armed_with = &current.plan;
            if (!stage && !scenario_stage_open(registry)) {
                scenario_stage_close();
                return;
            }
            stage = true;
            scenario_stage_round(arm, shim_disarm, current.plan.last - current.plan.first > 0);
            continue;
        }
        if (stage)
            scenario_stage_close();
        stage = false;
        walk(current.walk, &current.plan);
        if (open_before >= 0)
            given_back(open_before);
        open_before = process_descriptors();
    }
    if (stage)
        scenario_stage_close();
    current = (struct task){ WALK_STATIC, { .site = -1 } };
    walk(WALK_STATIC, NULL); /* and all is well again: nothing was injected, so every answer must be MEMO_OK */
    walk(WALK_FILE, NULL);
    if (open_before >= 0)
        given_back(open_before);
}

static int by_walk(const void *a, const void *b)
{
    const struct task *one = a, *two = b;
    return one->walk - two->walk;
}

static void child_main(uint32_t number, uint32_t first, uint32_t last)
{
    child_begin(number);
    qsort(tasks + first, last - first, sizeof *tasks, by_walk); /* so that a living client lives for some rounds */
    carry_out(first, last);
}

static void tell_planned(uint32_t i, char *text, size_t n) { tell(&tasks[i], text, n); }

/* ---- learning and planning ---- */

/* The first walk in a process, and the second: what differs is made once. */
static void learn(void)
{
    child_begin(BLOCKS_AT_ONCE);
    for (int which = 0; which < WALK_STAGE; which++)
        for (int turn = 0; turn < 2; turn++) {
            walk(which, NULL);
            for (int32_t i = 0; i < shim_sites(); i++)
                book->hits[which][turn][i] = shim_hits(i);
        }
    armed_with = NULL;
    if (scenario_stage_open(registry))
        for (int turn = 0; turn < 2; turn++) {
            scenario_stage_round(arm, shim_disarm, false);
            for (int32_t i = 0; i < shim_sites(); i++)
                book->hits[WALK_STAGE][turn][i] = shim_hits(i);
        }
    scenario_stage_close();
    _exit(scenario_wrong != 0);
}

static bool transient(int error) { return error == EINTR || error == EAGAIN || error == EWOULDBLOCK; }

static void plan_one(int32_t walk_number, struct shim_plan p)
{
    if (planned < PLANS)
        tasks[planned++] = (struct task){ walk_number, p };
}

static void plan_site(int32_t w, int32_t site, uint32_t hits)
{
    const int *errors = shim_errors(shim_site(site).call);
    for (int e = 0; e < SHIM_ERRORS && errors[e]; e++) {
        uint32_t at = 1 + (uint32_t)(draw() % hits), from = 1 + (uint32_t)(draw() % hits);
        uint32_t most = transient(errors[e]) ? TRANSIENT : 1000;
        plan_one(w, (struct shim_plan){ site, errors[e], 1, 1, 0, 0 });
        for (int i = 0; i < 4 && hits > 1; i++, at = 1 + (uint32_t)(draw() % hits))
            plan_one(w, (struct shim_plan){ site, errors[e], at, at, 0, 0 });
        plan_one(w, (struct shim_plan){ site, errors[e], 1, most, 0, 0 });
        plan_one(w, (struct shim_plan){ site, errors[e], from, from + most, 0, 0 });
    }
}

static void plan(void)
{
    static const uint32_t rates[] = { 8, 30, 100 };
    for (int32_t w = 0; w < WALKS; w++)
        for (int32_t i = 0; i < shim_sites(); i++) {
            uint32_t first = book->hits[w][0][i], again = book->hits[w][1][i];
            if (first || again)
                plan_site(w, i, again ? again : first);
        }
    uint32_t singles = planned;
    for (uint32_t i = 0; i < singles / 4; i++)
        plan_one((int32_t)(i % WALKS), (struct shim_plan){ .site = -1, .rate = rates[i / WALKS % 3], .seed = draw() });
    for (uint32_t i = planned; i > 1; i--) { /* so that a part of them is of all kinds, and each kind is once the first in a process */
        uint32_t with = (uint32_t)(draw() % i);
        struct task t = tasks[i - 1];
        tasks[i - 1] = tasks[with];
        tasks[with] = t;
    }
}

/* ---- the barrier that reclaiming stands on ---- */

static uint32_t released;
static void release(struct memo__retired *r) { (void)r; released++; }

/* While the kernel cannot make it, nothing that a reader might still see is freed. */
static void reclaim_waits(void)
{
    static struct memo__reclaimer reclaimer;
    static struct memo__retired one, two;
    memo__reader_leave(memo__reader_enter());
    shim_arm(NULL);
    memo__retire(&reclaimer, &one, release);
    (void)memo__reclaim(&reclaimer);
    for (int32_t i = 0; i < shim_sites(); i++)
        if (shim_hits(i) && strcmp(shim_name(shim_site(i).call), "syscall") == 0) {
            struct shim_plan p = { i, ENOMEM, 1, 1000, 0, 0 };
            uint32_t before = released;
            shim_arm(&p);
            memo__retire(&reclaimer, &two, release);
            if (!memo__reclaim(&reclaimer) || released != before)
                scenario_mistaken("something was freed without a barrier");
        }
    shim_disarm();
}

static void figures(uint32_t count)
{
    uint32_t names = 0, sites = 0, untouched = 0;
    for (int32_t c = 0; c < shim_calls(); c++) {
        bool seen = false;
        for (int32_t i = 0; i < shim_sites(); i++)
            seen |= shim_site(i).call == c;
        names += seen;
    }
    for (int32_t i = 0; i < shim_sites(); i++) {
        sites++;
        untouched += shim_site(i).injected == 0;
    }
    (void)printf("figure syscall_faults %llu injections\nfigure syscall_fault_plans %u plans\n", (unsigned long long)shim_total(), count);
    (void)printf("figure syscall_names_wrapped %d calls\nfigure syscall_names_reached %u calls\n", shim_calls(), names);
    (void)printf("figure syscall_sites %u sites\nfigure syscall_sites_untouched %u sites\n", sites, untouched);
}

int main(int argc, char **argv)
{
    uint32_t every = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 8;
    int status = 0;
    if (argc > 2)
        seed = strtoull(argv[2], NULL, 10);
    shim_open();
    book = mmap(NULL, sizeof *book, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    /* Shared, too: children put their own in order. */
    tasks = mmap(NULL, PLANS * sizeof *tasks, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    scenario_failed = has_failed;
    scenario_where = tell_current;
    if (book == MAP_FAILED || tasks == MAP_FAILED || !every || !mkdtemp(directory) || !scenario_server_start())
        return 1;
    reclaim_waits();
    pid_t pid = fork();
    if (pid == 0)
        learn();
    if (waitpid(pid, &status, 0) != pid || status != 0)
        scenario_mistaken("the walks do not succeed when nothing fails");
    plan();
    uint32_t count = planned / every;
    blocks_run(count, BLOCK, child_main, tell_planned);
    if (!scenario_server_stop())
        scenario_mistaken("the server did not end well");
    char command[64];
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    (void)!system(command);
    figures(count);
    (void)printf("%d passed, %ld failed\n", scenario_wrong == 0, scenario_wrong);
    return scenario_wrong != 0;
}
