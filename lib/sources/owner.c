/* SPDX-License-Identifier: Apache-2.0 */
/* owner.c: asking the kernel about processes, through the host's files.
 *
 * "No such process" is believed from pidfd_open and kill only: they see past hidepid, /proc does not. A pid that was given to another process has another start time. */
#define _GNU_SOURCE
#include "sources/owner.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/text.h"

static size_t slurp(const struct memo__host *h, const char *path, char *to, size_t size)
{
    int fd = h->open(h->user, AT_FDCWD, path, O_RDONLY, 0);
    int64_t n;
    if (fd < 0)
        return 0;
    n = h->pread(h->user, fd, to, size - 1, 0);
    (void)h->close(h->user, fd);
    to[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

static uint64_t namespace_of_self(const struct memo__host *h, const char *path)
{
    struct stat s;
    int fd = h->open(h->user, AT_FDCWD, path, O_RDONLY, 0);
    int wrong = fd < 0 ? fd : h->stat_fd(h->user, fd, &s);
    if (fd >= 0)
        (void)h->close(h->user, fd);
    return wrong < 0 ? 0 : (uint64_t)s.st_ino;
}

/* "4711 (any ) text) S 1 ...": the first number, the state, and field 22. False: cannot be read. See proc(5). */
static bool read_stat(const struct memo__host *h, const char *path, uint64_t *pid, char *state, uint64_t *start)
{
    char line[1024];
    size_t n = slurp(h, path, line, sizeof line);
    const char *space = memchr(line, ' ', n), *at = n ? memrchr(line, ')', n) : NULL;
    if (!space || !at || !memo__parse_u64((struct memo__text){ line, (size_t)(space - line) }, INT32_MAX, pid) || at[1] != ' ' || !at[2])
        return false;
    *state = at[2];
    for (int field = 2; field < 22; field++) {
        at = strchr(at + 1, ' ');
        if (!at)
            return false;
    }
    return memo__parse_u64((struct memo__text){ at + 1, strcspn(at + 1, " \n") }, UINT64_MAX, start);
}

void memo__owner_self(const struct memo__host *h, struct memo__owner *me)
{
    uint64_t pid = 0;
    char state;
    *me = (struct memo__owner){ 0 };
    size_t n = slurp(h, "/proc/sys/kernel/random/boot_id", me->boot, sizeof me->boot);
    me->boot[n ? strspn(me->boot, "0123456789abcdef-") : 0] = '\0';
    if (read_stat(h, "/proc/self/stat", &pid, &state, &me->start)) {
        me->pid = (uint32_t)pid;
        me->pid_ns = namespace_of_self(h, "/proc/self/ns/pid");
        me->time_ns = namespace_of_self(h, "/proc/self/ns/time");
    }
    if (h->pid_open == memo__host_linux.pid_open && me->pid != (uint32_t)getpid()) {
        me->pid = (uint32_t)getpid(); /* a /proc of another namespace, or none */
        me->pid_ns = me->start = 0;
    }
    if (h->random(h->user, &me->holder, sizeof me->holder) < 0)
        me->holder = (uint64_t)memo__boot(h) ^ ((uint64_t)me->pid << 40);
}

bool memo__owner_same_process(const struct memo__owner *a, const struct memo__owner *b)
{
    return a->pid == b->pid && a->start == b->start && a->pid_ns == b->pid_ns && strcmp(a->boot, b->boot) == 0;
}

/* The pid is in use: by the one we mean? */
static bool is_another(const struct memo__host *h, const struct memo__owner *me, const struct memo__owner *them)
{
    char path[32], state = '?';
    uint64_t pid, start;
    snprintf(path, sizeof path, "/proc/%u/stat", them->pid);
    if (!read_stat(h, path, &pid, &state, &start))
        return false; /* hidden, or just ending: the next question will tell */
    if (state == 'Z' || state == 'X')
        return true;
    return them->start && them->time_ns == me->time_ns && start != them->start; /* start times of two time namespaces cannot be compared */
}

enum memo__owner_fate memo__owner_judge(const struct memo__host *h, const struct memo__owner *me, const struct memo__owner *them, int *pidfd)
{
    int fd, there = 1;
    if (pidfd)
        *pidfd = -1;
    if (me->boot[0] && them->boot[0] && strcmp(me->boot, them->boot) != 0)
        return MEMO__OWNER_GONE;
    if (!me->boot[0] || !them->boot[0] || me->pid_ns == 0 || me->pid_ns != them->pid_ns || them->pid == 0)
        return MEMO__OWNER_FOREIGN;
    fd = pidfd && h->pid_open ? h->pid_open(h->user, (int)them->pid) : -ENOSYS;
    if (fd < 0 && fd != -ESRCH)
        there = h->pid_exists ? h->pid_exists(h->user, (int)them->pid) : 1;
    if (fd == -ESRCH || there == 0)
        return MEMO__OWNER_GONE;
    if (is_another(h, me, them)) {
        if (fd >= 0)
            (void)h->close(h->user, fd);
        return MEMO__OWNER_GONE;
    }
    if (fd >= 0)
        *pidfd = fd;
    return MEMO__OWNER_ALIVE;
}
