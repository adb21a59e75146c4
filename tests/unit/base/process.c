/* SPDX-License-Identifier: Apache-2.0 */
/* process.c: a child notices that it is one, once, whoever asks first. */
#include "base/process.h"
#include <check.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static uint32_t rebuilds;

static void rebuild(void)
{
    (void)memo__fetch_add(&rebuilds, 1);
}

START_TEST(the_same_process_rebuilds_nothing)
{
    memo__process_rebuild = rebuild;
    memo__process_check();
    memo__process_page_make();
    for (int i = 0; i < 10; i++)
        memo__process_check();
    ck_assert_uint_eq(rebuilds, 0);
    ck_assert_uint_eq(memo__process_number, 1);
}
END_TEST

START_TEST(wiped_by_hand)
{
    memo__process_rebuild = rebuild;
    for (int i = 0; i < 3; i++) {
        memo__process_wipe();
        memo__process_check();
        memo__process_check();
    }
    ck_assert_uint_eq(rebuilds, 3);
    ck_assert_uint_eq(memo__process_number, 4);
}
END_TEST

START_TEST(a_child_knows)
{
    int status;
    memo__process_rebuild = rebuild;
    memo__process_page_make();
    pid_t child = fork();
    if (child == 0) {
        memo__process_check();
        memo__process_check();
        uint32_t seen = rebuilds;
        pid_t grandchild = fork();
        if (grandchild == 0) {
            memo__process_check();
            _exit(rebuilds == seen + 1 && memo__process_number == 3 ? 0 : 1);
        }
        _exit(waitpid(grandchild, &status, 0) == grandchild && WIFEXITED(status) && WEXITSTATUS(status) == 0 && seen == 1 && memo__process_number == 2 ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    memo__process_check();
    ck_assert_uint_eq(rebuilds, 0);                        /* the parent is what it was */
}
END_TEST

static void *checks(void *user)
{
    pthread_barrier_wait(user);
    memo__process_check();
    return memo__load_acquire(memo__process_page) ? NULL : user;
}

START_TEST(one_of_many_threads_rebuilds)
{
    pthread_t t[4];
    pthread_barrier_t start;
    void *wrong;
    memo__process_rebuild = rebuild;
    pthread_barrier_init(&start, NULL, 4);
    for (uint32_t round = 1; round <= 50; round++) {
        memo__process_wipe();
        for (int i = 0; i < 4; i++)
            ck_assert_int_eq(pthread_create(&t[i], NULL, checks, &start), 0);
        for (int i = 0; i < 4; i++) {
            pthread_join(t[i], &wrong);
            ck_assert_ptr_null(wrong);
        }
        ck_assert_uint_eq(rebuilds, round);
    }
    pthread_barrier_destroy(&start);
}
END_TEST

static void anew(void) /* also where all tests share one process */
{
    rebuilds = 0;
    memo__process_number = 1;
}

Suite *suite_base_process(void);
Suite *suite_base_process(void)
{
    Suite *s = suite_create("base/process");
    TCase *c = tcase_create("process");
    tcase_add_checked_fixture(c, anew, NULL);
    tcase_add_test(c, the_same_process_rebuilds_nothing);
    tcase_add_test(c, wiped_by_hand);
    tcase_add_test(c, a_child_knows);
    tcase_add_test(c, one_of_many_threads_rebuilds);
    suite_add_tcase(s, c);
    return s;
}
