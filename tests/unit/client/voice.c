/* SPDX-License-Identifier: Apache-2.0 */
/* voice.c: log lines: to a sink from the engine's thread, outside of every lock; a sink may call anything but free, be slow, and be changed at any time. */
#define _GNU_SOURCE
#include "stage.h"
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/atomic.h"
#include "client/client.h"

static memo_client *client;
static uint32_t lines, wrong;
static char last[1024];
static sem_t inside, go_on;
static pthread_t caller;

static void say(int32_t level, const char *text)
{
    memo__client_log(client, level, "%s", text);
}

static void counts(int32_t level, const char *line, void *user)
{
    (void)level;
    (void)snprintf(last, sizeof last, "%s", line);
    caller = pthread_self();
    (void)memo__fetch_add((uint32_t *)user, 1);
    sem_post(&inside);
}

static void begin(const char *level)
{
    lines = wrong = 0;
    sem_init(&inside, 0, 0);
    sem_init(&go_on, 0, 0);
    client = stage_started("log_level", level);
}

START_TEST(a_sink)
{
    begin("warn");
    memo_log_set(NULL, counts, &lines);
    memo_log_set(client, counts, &lines);
    say(MEMO_LOG_INFO, "not said");
    say(MEMO_LOG_WARN, "said");
    sem_wait(&inside);
    ck_assert_str_eq(last, "said");
    ck_assert(!pthread_equal(caller, pthread_self())); /* asynchronous */
    memo_log_set(client, NULL, NULL); /* no longer in use from here on */
    ck_assert_uint_eq(lines, 1);
    memo_client_free(client);
    ck_assert_uint_eq(lines, 1);
}
END_TEST

START_TEST(before_the_start)
{
    client = stage_client("log_level", "info");
    lines = 0;
    sem_init(&inside, 0, 0);
    memo_log_set(client, counts, &lines);
    say(MEMO_LOG_ERROR, "early"); /* waits for an engine */
    ck_assert_uint_eq(lines, 0);
    ck_assert_int_eq(memo_client_start(client, NULL), MEMO_OK);
    say(MEMO_LOG_ERROR, "late");
    sem_wait(&inside);
    sem_wait(&inside);
    ck_assert_str_eq(last, "late");
    memo_client_free(client);
    client = stage_client("log_level", "info"); /* never started: what waits is dropped */
    memo_log_set(client, counts, &lines);
    say(MEMO_LOG_ERROR, "never");
    memo_client_free(client);
    ck_assert_uint_eq(lines, 2);
}
END_TEST

static void check(memo_status s)
{
    if (s != MEMO_OK)
        (void)memo__fetch_add(&wrong, 1);
}

static void discard(const char *bytes, size_t n, void *user)
{
    (void)bytes;
    (void)n;
    (void)user;
}

/* Everything, from within. */
static void calls_anything(int32_t level, const char *line, void *user)
{
    memo_service *s = NULL;
    memo_view *v = NULL;
    memo_client *other = NULL;
    memo_event e = MEMO_INIT(memo_event);
    memo_call k = MEMO_INIT(memo_call);
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    memo_http_reply reply = MEMO_INIT(memo_http_reply);
    uint32_t n;
    (void)level;
    (void)line;
    if (memo__fetch_add(&lines, 1))
        return;
    check(memo_service_acquire(client, "todo", &s, NULL));
    check(memo_view_acquire(s, &v));
    memo_view_release(v);
    check(memo_rules_apply(client, NULL, 0, NULL, 0, NULL, NULL));
    check(memo_metrics_write(client, discard, NULL));
    check(memo_event_take(client, &e, 1, &n));
    (void)!memo_call_begin(&k, s, &f);
    memo_call_end(&k);
    (void)!memo_http_get(s, "/", &reply, NULL);
    memo_http_reply_fini(&reply);
    check(memo_client_new(&other, NULL));
    check(memo_client_set(other, "registry", "static:a=127.0.0.1:1", NULL));
    check(memo_client_set(other, "admin_socket", "none", NULL));
    check(memo_client_start(other, NULL));
    memo_client_free(other); /* another one may be freed: not from its own sink */
    memo_service_release(s);
    memo_log_set(client, counts, user); /* from within a sink: at once */
    memo__client_log(client, MEMO_LOG_ERROR, "after");
}

START_TEST(a_sink_may_call_anything)
{
    begin("error");
    memo_log_set(client, calls_anything, &lines);
    say(MEMO_LOG_ERROR, "before");
    sem_wait(&inside);
    ck_assert_str_eq(last, "after");
    ck_assert_uint_eq(wrong, 0);
    memo_client_free(client);
}
END_TEST

static void slow(int32_t level, const char *line, void *user)
{
    (void)level;
    (void)line;
    if (memo__fetch_add((uint32_t *)user, 1) == 0) {
        sem_post(&inside);
        sem_wait(&go_on);
    }
}

START_TEST(a_slow_sink_loses_lines)
{
    begin("error");
    memo_log_set(client, slow, &lines);
    say(MEMO_LOG_ERROR, "first");
    sem_wait(&inside);
    for (int i = 0; i < 1000; i++)
        say(MEMO_LOG_ERROR, "more");
    ck_assert_uint_eq(memo__load(&client->shared.lines_count), 256);
    ck_assert_int_eq(memo_rules_apply(client, NULL, 0, NULL, 0, NULL, NULL), MEMO_OK); /* nobody else waits */
    sem_post(&go_on);
    while (memo__load(&client->shared.lines_count))
        (void)sched_yield();
    memo_log_set(client, NULL, NULL);
    ck_assert_uint_eq(lines, 257);
    memo_client_free(client);
}
END_TEST

static void *sets_another(void *user)
{
    (void)user;
    memo_log_set(client, NULL, NULL);
    return (void *)(uintptr_t)memo__load(&wrong);
}

static void ends_late(int32_t level, const char *line, void *user)
{
    (void)level;
    (void)line;
    (void)user;
    sem_post(&inside);
    sem_wait(&go_on);
    memo__store(&wrong, 1u);
}

/* memo_log_set returns after the old sink is no longer in use: its `user` may be freed then. */
START_TEST(changed_while_busy)
{
    pthread_t t;
    void *was;
    begin("error");
    memo_log_set(client, ends_late, NULL);
    say(MEMO_LOG_ERROR, "x");
    sem_wait(&inside);
    ck_assert_int_eq(pthread_create(&t, NULL, sets_another, NULL), 0);
    sem_post(&go_on);
    ck_assert_int_eq(pthread_join(t, &was), 0);
    ck_assert_ptr_eq(was, (void *)1);
    memo_client_free(client);
}
END_TEST

/* The client is freed while its sink is at work in it: the sink finds it whole. */
static void acquires(int32_t level, const char *line, void *user)
{
    memo_service *s = NULL;
    (void)level;
    (void)line;
    (void)user;
    sem_post(&inside);
    for (int i = 0; i < 200; i++) {
        check(memo_service_acquire(client, "todo", &s, NULL));
        memo_service_release(s);
        check(memo_rules_apply(client, NULL, 0, NULL, 0, NULL, NULL));
    }
    memo__store(&lines, 1u);
}

START_TEST(freed_while_busy)
{
    begin("error");
    memo_client *other = stage_started(NULL, NULL); /* the engine goes on */
    memo_log_set(client, acquires, NULL);
    say(MEMO_LOG_ERROR, "x");
    sem_wait(&inside);
    memo_client_free(client);
    ck_assert_uint_eq(lines, 1); /* it had come to its end before anything was taken away */
    ck_assert_uint_eq(wrong, 0);
    memo_client_free(other);
}
END_TEST

START_TEST(to_stderr)
{
    char text[256] = "";
    int pipes[2], before = dup(2);
    ck_assert_int_eq(pipe(pipes), 0);
    client = stage_client("log_level", "info");
    (void)dup2(pipes[1], 2);
    say(MEMO_LOG_INFO, "to whom it may concern");
    say(MEMO_LOG_DEBUG, "not this");
    (void)dup2(before, 2);
    (void)close(pipes[1]);
    ck_assert_int_gt(read(pipes[0], text, sizeof text - 1), 0);
    ck_assert_ptr_nonnull(strstr(text, "to whom it may concern"));
    ck_assert_ptr_null(strstr(text, "not this"));
    (void)close(pipes[0]);
    (void)close(before);
    memo_client_free(client);
}
END_TEST

Suite *suite_client_voice(void);
Suite *suite_client_voice(void)
{
    Suite *s = suite_create("client/voice");
    TCase *t = tcase_create("sinks");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_sink);
    tcase_add_test(t, before_the_start);
    tcase_add_test(t, a_sink_may_call_anything);
    tcase_add_test(t, a_slow_sink_loses_lines);
    tcase_add_test(t, changed_while_busy);
    tcase_add_test(t, freed_while_busy);
    tcase_add_test(t, to_stderr);
    suite_add_tcase(s, t);
    return s;
}
