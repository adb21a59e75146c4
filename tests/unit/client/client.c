/* SPDX-License-Identifier: Apache-2.0 */
/* client.c: the life of a client, at its edges. */
#define _GNU_SOURCE
#include "stage.h"
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/reader.h"

/* A call that has read that calls are admitted, and is not counted yet. */
static sem_t inside, go_on;

static void *begins(void *user)
{
    struct memo__reader *r = memo__reader_enter();
    (void)user;
    sem_post(&inside);
    sem_wait(&go_on);
    memo__reader_leave(r);
    return NULL;
}

static void *drains(void *c)
{
    ck_assert_int_eq(memo_client_drain(c, 0), MEMO_OK);
    return NULL;
}

START_TEST(test_drained_means_that_no_call_is_just_beginning)
{
    pthread_t call, drain;
    struct timespec until;
    memo_client *c = stage_started(NULL, NULL);
    sem_init(&inside, 0, 0);
    sem_init(&go_on, 0, 0);
    ck_assert_int_eq(pthread_create(&call, NULL, begins, NULL), 0);
    sem_wait(&inside);
    ck_assert_int_eq(pthread_create(&drain, NULL, drains, c), 0);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 100000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    ck_assert_int_ne(pthread_timedjoin_np(drain, NULL, &until), 0);
    sem_post(&go_on);
    ck_assert_int_eq(pthread_join(drain, NULL), 0);
    ck_assert_int_eq(pthread_join(call, NULL), 0);
    memo_client_free(c);
}
END_TEST

/* Forked while a line of log is on its way to a sink: in the child nobody delivers it, and nobody may wait for that. */
static void slow_sink(int32_t level, const char *line, void *user)
{
    (void)level;
    (void)line;
    (void)user;
    sem_post(&inside);
    sem_wait(&go_on);
}

START_TEST(test_forked_while_a_line_is_delivered)
{
    int status = -1;
    memo_client *c = stage_started("log_level", "info");
    sem_init(&inside, 0, 0);
    sem_init(&go_on, 0, 0);
    memo_log_set(c, slow_sink, NULL);
    ck_assert_int_eq(memo_rules_apply(c, NULL, 0, NULL, 0, NULL, NULL), MEMO_OK);
    sem_wait(&inside);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        alarm(10);
        memo_log_set(c, NULL, NULL);
        memo_client_free(c);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    for (int i = 0; i < 100; i++)
        sem_post(&go_on);
    ck_assert_int_eq(status, 0);
    memo_client_free(c);
}
END_TEST

Suite *suite_client_client(void)
{
    Suite *s = suite_create("client/client");
    TCase *t = tcase_create("edges");
    tcase_add_test(t, test_drained_means_that_no_call_is_just_beginning);
    tcase_add_test(t, test_forked_while_a_line_is_delivered);
    suite_add_tcase(s, t);
    return s;
}
