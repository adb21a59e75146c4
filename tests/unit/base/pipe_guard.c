/* SPDX-License-Identifier: Apache-2.0 */
/* pipe_guard.c: a broken pipe within is nobody's end; masks, pending signals and errno are as they were. */
#define _GNU_SOURCE
#include "base/pipe_guard.h"
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

static int broken(void)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    return ends[1];
}

static bool pending(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigpending(&set);
    return sigismember(&set, SIGPIPE) == 1;
}

static bool blocked(void)
{
    sigset_t set;
    sigemptyset(&set);
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    return sigismember(&set, SIGPIPE) == 1;
}

START_TEST(nobody_dies)
{
    struct memo__pipe_guard g;
    int fd = broken();
    ck_assert(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    memo__pipe_guard_enter(&g, true);
    ck_assert(blocked());
    ck_assert_int_eq(write(fd, "x", 1), -1);
    ck_assert_int_eq(errno, EPIPE);
    ck_assert(pending());
    memo__pipe_guard_leave(&g);
    ck_assert_int_eq(errno, EPIPE);
    ck_assert(!pending() && !blocked());
    memo__pipe_guard_enter(&g, false);
    ck_assert(!blocked());
    memo__pipe_guard_leave(&g);
    close(fd);
}
END_TEST

/* A host that keeps the signal blocked, and has one waiting, finds it still there. */
START_TEST(the_hosts_own_stays)
{
    struct memo__pipe_guard g;
    sigset_t set, before;
    int fd = broken();
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    ck_assert_int_eq(write(fd, "x", 1), -1);
    memo__pipe_guard_enter(&g, true);
    ck_assert_int_eq(write(fd, "x", 1), -1);
    memo__pipe_guard_leave(&g);
    ck_assert(pending() && blocked());
    const struct timespec none = { 0, 0 };
    ck_assert_int_eq(sigtimedwait(&set, NULL, &none), SIGPIPE);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(fd);
}
END_TEST

Suite *suite_base_pipe_guard(void);
Suite *suite_base_pipe_guard(void)
{
    Suite *s = suite_create("base/pipe_guard");
    TCase *c = tcase_create("pipe_guard");
    tcase_add_test(c, nobody_dies);
    tcase_add_test(c, the_hosts_own_stays);
    suite_add_tcase(s, c);
    return s;
}
