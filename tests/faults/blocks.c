/* SPDX-License-Identifier: Apache-2.0 */
/* blocks.c: see blocks.h. */
#define _GNU_SOURCE
#include "blocks.h"
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/atomic.h"
#include "scenario.h"

#define HANGS_AFTER 30   /* s without progress */
#define ENOUGH 50        /* mistakes */

/* In memory that parent and child share. */
struct slot { pid_t pid; uint32_t first, last, now, wrong, finished; uint32_t seen; double since; };

static struct slot *slots, *mine;
static sigset_t before; /* signals that were blocked */
static blocks_fn *carry_out;
static blocks_tell_fn *tell;

static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void blocks_at(uint32_t plan) { memo__store(&mine->now, plan); }

static void child_main(struct slot *s)
{
    mine = s;
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    scenario_wrong = 0;
    carry_out((uint32_t)(s - slots), s->first, s->last);
    memo__store(&s->wrong, (uint32_t)scenario_wrong);
    memo__store(&s->finished, 1u);
    (void)fflush(stdout);
    _exit(0);
}

static void start(struct slot *s, uint32_t first, uint32_t last)
{
    *s = (struct slot){ .first = first, .last = last, .now = first, .since = seconds() };
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        child_main(s);
    if (pid < 0)
        abort();
    s->pid = pid; /* the slot is the child's, too: not before it is known */
}

/* The plan that it was at is what it died of; those behind it are carried out by another. */
static void died(struct slot *s, const char *how)
{
    char text[160];
    tell(s->now, text, sizeof text);
    (void)printf("    %s: %s\n", text, how);
    scenario_wrong++;
    uint32_t last = s->last, next = s->now + 1;
    s->pid = 0;
    if (next < last && scenario_wrong < ENOUGH)
        start(s, next, last);
}

static void look(struct slot *s)
{
    int status = 0;
    char how[64];
    if (waitpid(s->pid, &status, WNOHANG) == s->pid) {
        scenario_wrong += s->wrong;
        if (s->finished) {
            s->pid = 0;
            return;
        }
        bool signalled = WIFSIGNALED(status);
        (void)snprintf(how, sizeof how, "%s %d", signalled ? "signal" : "status", signalled ? WTERMSIG(status) : WEXITSTATUS(status));
        died(s, how);
        return;
    }
    uint32_t now = memo__load(&s->now);
    if (now != s->seen) {
        s->seen = now;
        s->since = seconds();
    } else if (seconds() - s->since > HANGS_AFTER) {
        (void)kill(s->pid, SIGABRT);
        (void)waitpid(s->pid, &status, 0);
        died(s, "hangs");
    }
}

void blocks_run(uint32_t plans, uint32_t block, blocks_fn *carry, blocks_tell_fn *telling)
{
    uint32_t next = 0, running = 1;
    const struct timespec second = { 1, 0 }; /* then who does not get on is looked for */
    sigset_t ended;
    slots = mmap(NULL, BLOCKS_AT_ONCE * sizeof *slots, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (slots == MAP_FAILED)
        abort();
    carry_out = carry;
    tell = telling;
    (void)sigemptyset(&ended);
    (void)sigaddset(&ended, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &ended, &before);
    while (running) {
        running = 0;
        for (struct slot *s = slots; s < slots + BLOCKS_AT_ONCE; s++) {
            if (s->pid)
                look(s);
            if (!s->pid && next < plans && scenario_wrong < ENOUGH) {
                uint32_t last = next + block < plans ? next + block : plans;
                start(s, next, last);
                next = last;
            }
            running += s->pid != 0;
        }
        if (running)
            (void)sigtimedwait(&ended, NULL, &second);
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    (void)munmap(slots, BLOCKS_AT_ONCE * sizeof *slots);
}
