/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "sources/owner.h"

static const struct memo__host *const host = &memo__host_linux;

static pid_t sleeper(struct memo__owner *o)
{
    int ready[2];
    ck_assert_int_eq(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct memo__owner me;
        memo__owner_self(host, &me);
        (void)!write(ready[1], &me, sizeof me);
        for (;;)
            pause();
    }
    ck_assert_int_eq(read(ready[0], o, sizeof *o), sizeof *o);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

/* valgrind 3.19 does not know pidfd_open; everything but the descriptor is looked at there, too. */
static bool without_pidfd(void)
{
    int fd = host->pid_open(host->user, getpid());
    if (fd >= 0)
        close(fd);
    return fd == -ENOSYS;
}

START_TEST(test_who_am_i)
{
    struct memo__owner a, b;
    memo__owner_self(host, &a);
    memo__owner_self(host, &b);
    ck_assert_uint_eq(a.pid, (uint32_t)getpid());
    ck_assert_uint_eq(strlen(a.boot), 36);
    ck_assert_uint_ne(a.pid_ns, 0);
    ck_assert_uint_ne(a.start, 0);
    ck_assert(memo__owner_same_process(&a, &b));
    ck_assert(!memo__owner_same(&a, &b)); /* two holders of one process */
    ck_assert_int_eq(memo__owner_judge(host, &a, &b, NULL), MEMO__OWNER_ALIVE);
}
END_TEST

START_TEST(test_life_and_death)
{
    struct memo__owner me, them;
    int fd = -1;
    memo__owner_self(host, &me);
    pid_t pid = sleeper(&them);
    ck_assert_int_eq(memo__owner_judge(host, &me, &them, &fd), MEMO__OWNER_ALIVE);
    ck_assert(fd >= 0 || without_pidfd());
    struct pollfd p = { .fd = fd, .events = POLLIN };
    ck_assert_int_eq(poll(&p, 1, 0), 0);
    kill(pid, SIGKILL);
    if (fd >= 0)
        ck_assert_int_eq(poll(&p, 1, 5000), 1);
    else
        ck_assert_int_eq(waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
    close(fd);
    ck_assert_int_eq(memo__owner_judge(host, &me, &them, NULL), MEMO__OWNER_GONE); /* a zombie */
    waitpid(pid, NULL, 0);
    ck_assert_int_eq(memo__owner_judge(host, &me, &them, NULL), MEMO__OWNER_GONE);
    ck_assert_int_eq(memo__owner_judge(host, &me, &them, &fd), MEMO__OWNER_GONE);
    ck_assert_int_eq(fd, -1);
}
END_TEST

START_TEST(test_a_pid_used_again_is_another_process)
{
    struct memo__owner me, them;
    int fd = -1;
    memo__owner_self(host, &me);
    pid_t pid = sleeper(&them);
    them.start--;
    ck_assert_int_eq(memo__owner_judge(host, &me, &them, &fd), MEMO__OWNER_GONE);
    ck_assert_int_eq(fd, -1);
    them.time_ns++; /* start times of another time namespace cannot be compared */
    ck_assert_int_eq(memo__owner_judge(host, &me, &them, NULL), MEMO__OWNER_ALIVE);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}
END_TEST

START_TEST(test_boots_and_namespaces)
{
    struct memo__owner me, them;
    memo__owner_self(host, &me);
    them = me;
    them.pid_ns++;
    ck_assert_int_eq(memo__owner_judge(host, &me, &them, NULL), MEMO__OWNER_FOREIGN);
    them = me;
    them.pid_ns = 0;
    ck_assert_int_eq(memo__owner_judge(host, &me, &them, NULL), MEMO__OWNER_FOREIGN);
    them = me;
    them.boot[0] = '\0';
    ck_assert_int_eq(memo__owner_judge(host, &me, &them, NULL), MEMO__OWNER_FOREIGN);
    them = me;
    them.boot[0] = me.boot[0] == '0' ? '1' : '0';
    ck_assert_int_eq(memo__owner_judge(host, &me, &them, NULL), MEMO__OWNER_GONE);
}
END_TEST

static int no_open(void *user, int dir, const char *name, int flags, unsigned mode)
{
    (void)user, (void)dir, (void)name, (void)flags, (void)mode;
    return -ENOENT;
}

static int no_such(void *user, int pid)
{
    (void)user, (void)pid;
    return -ESRCH;
}

START_TEST(test_without_proc_nobody_is_declared_dead)
{
    struct memo__host blind = memo__host_linux;
    struct memo__owner me, them;
    memo__owner_self(host, &me);
    pid_t pid = sleeper(&them);
    blind.open = no_open;
    ck_assert_int_eq(memo__owner_judge(&blind, &me, &them, NULL), MEMO__OWNER_ALIVE);
    blind.pid_exists = NULL;
    blind.pid_open = NULL;
    ck_assert_int_eq(memo__owner_judge(&blind, &me, &them, NULL), MEMO__OWNER_ALIVE);
    int fd;
    blind.pid_open = no_such;
    ck_assert_int_eq(memo__owner_judge(&blind, &me, &them, &fd), MEMO__OWNER_GONE);
    struct memo__owner lost;
    blind.pid_open = memo__host_linux.pid_open;
    memo__owner_self(&blind, &lost);
    ck_assert_uint_eq(lost.pid, (uint32_t)getpid());
    ck_assert_uint_eq(lost.pid_ns, 0);
    ck_assert_int_eq(memo__owner_judge(host, &lost, &them, NULL), MEMO__OWNER_FOREIGN);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}
END_TEST

Suite *suite_sources_owner(void);
Suite *suite_sources_owner(void)
{
    Suite *suite = suite_create("sources/owner");
    TCase *t = tcase_create("owner");
    tcase_add_test(t, test_who_am_i);
    tcase_add_test(t, test_life_and_death);
    tcase_add_test(t, test_a_pid_used_again_is_another_process);
    tcase_add_test(t, test_boots_and_namespaces);
    tcase_add_test(t, test_without_proc_nobody_is_declared_dead);
    suite_add_tcase(suite, t);
    return suite;
}
