/* SPDX-License-Identifier: Apache-2.0 */
/* voice.c: log lines: to a sink or stderr from the engine's thread, outside of every lock; a sink may call anything but free, be slow, and be changed
 * at any time; stderr may be a pipe that nobody reads. */
#define _GNU_SOURCE
#include "stage.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
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
    (void)snprintf(last, sizeof last, "%s", line);
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
    while (memo__load(&lines) < 258)
        (void)sched_yield();
    memo_log_set(client, NULL, NULL);
    ck_assert_uint_eq(lines, 258);
    ck_assert_str_eq(last, "744 lines of log are missing here: they came faster than they were taken");
    memo_client_free(client);
}
END_TEST

static void slow_each_time(int32_t level, const char *line, void *user)
{
    counts(level, line, user);
    sem_wait(&go_on);
}

START_TEST(lost_lines_are_told_in_their_place)
{
    begin("error");
    memo_log_set(client, slow_each_time, &lines);
    say(MEMO_LOG_ERROR, "first");
    sem_wait(&inside);
    for (int i = 0; i < 300; i++)
        say(MEMO_LOG_ERROR, "more");
    sem_post(&go_on);
    sem_wait(&inside); /* one more is on its way: there is room for one */
    say(MEMO_LOG_ERROR, "after");
    for (int i = 0; i < 256; i++) {
        sem_post(&go_on);
        sem_wait(&inside);
    }
    ck_assert_str_eq(last, "44 lines of log are missing here: they came faster than they were taken");
    sem_post(&go_on);
    sem_wait(&inside);
    ck_assert_str_eq(last, "after");
    sem_post(&go_on);
    memo_log_set(client, NULL, NULL);
    ck_assert_uint_eq(lines, 259);
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

/* ---- stderr ---- */

static int ends[2], before;

static void stderr_is_a_pipe(void)
{
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    before = dup(2);
    (void)dup2(ends[1], 2);
    (void)close(ends[1]);
}

static void stderr_again(void)
{
    (void)dup2(before, 2);
    (void)close(before);
    (void)close(ends[0]);
}

/* What has come so far, or all until that text. */
static const char *heard(const char *until)
{
    static char text[1 << 20];
    size_t n = 0;
    struct pollfd ready = { .fd = ends[0], .events = POLLIN };
    text[0] = '\0';
    while (n < sizeof text - 1 && (until ? !strstr(text, until) : poll(&ready, 1, 0) == 1 && ready.revents & POLLIN)) {
        ssize_t got = read(ends[0], text + n, sizeof text - 1 - n);
        n += got > 0 ? (size_t)got : 0;
        text[n] = '\0';
        if (got <= 0)
            break;
    }
    return text;
}

START_TEST(to_stderr)
{
    stderr_is_a_pipe();
    client = stage_client("log_level", "info");
    say(MEMO_LOG_INFO, "to whom it may concern"); /* nobody else is there to deliver it */
    say(MEMO_LOG_DEBUG, "not this");
    ck_assert_str_eq(heard(NULL), "libmemo info: to whom it may concern\n");
    ck_assert_int_eq(memo_client_set(client, "rules", "{\"memo\":2}", NULL), MEMO_OK);
    ck_assert_int_ne(memo_client_start(client, NULL), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(heard(NULL), "MEMO_RULES:1:"));
    ck_assert_int_eq(memo_client_set(client, "rules", NULL, NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_start(client, NULL), MEMO_OK);
    say(MEMO_LOG_INFO, "one\ntwo");
    ck_assert_ptr_nonnull(strstr(heard("two\n"), "libmemo info: one two\n"));
    say(MEMO_LOG_INFO, "the last word");
    memo_client_free(client);
    ck_assert_ptr_nonnull(strstr(heard(NULL), "the last word\n")); /* whoever frees it says what is left */
    stderr_again();
}
END_TEST

START_TEST(to_stderr_by_whoever_steps)
{
    client = stage_client("log_level", "info");
    ck_assert_int_eq(memo_client_set(client, "engine_thread", "false", NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_start(client, NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_step(client), MEMO_OK);
    stderr_is_a_pipe();
    say(MEMO_LOG_INFO, "later");
    ck_assert_str_eq(heard(NULL), "");
    ck_assert_int_eq(memo_client_step(client), MEMO_OK);
    ck_assert_str_eq(heard(NULL), "libmemo info: later\n");
    memo_client_free(client);
    stderr_again();
}
END_TEST

static void fill(void)
{
    static char bytes[4096];
    int flags = fcntl(2, F_GETFL);
    memset(bytes, 'x', sizeof bytes); /* text, so that what comes behind it can be found */
    ck_assert_int_eq(fcntl(2, F_SETFL, flags | O_NONBLOCK), 0);
    while (write(2, bytes, sizeof bytes) > 0)
        ;
    ck_assert_int_eq(fcntl(2, F_SETFL, flags), 0);
}

static void one_call(memo_service *s)
{
    memo_call k = MEMO_INIT(memo_call);
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    memo_attempt a = MEMO_INIT(memo_attempt);
    memo_outcome o = MEMO_INIT(memo_outcome);
    int32_t again;
    o.kind = MEMO_OUTCOME_REPLIED;
    o.http_status = 200;
    ck_assert_int_eq(memo_call_begin(&k, s, &f), MEMO_OK);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
    ck_assert_int_eq(memo_call_report(&k, &a, &o, &again), MEMO_OK);
    memo_call_end(&k);
}

/* Its reader hangs: calls go on, rules are applied and read from their file, and nothing of it waits. */
START_TEST(stderr_that_nobody_reads)
{
    lines = 0;
    stage_write("rules.json", "{\"memo\":1}");
    client = stage_client("log_level", "info");
    ck_assert_int_eq(memo_client_set(client, "rules", stage_path("rules.json"), NULL), MEMO_OK);
    stderr_is_a_pipe();
    fill();
    ck_assert_int_eq(memo_client_start(client, NULL), MEMO_OK);
    memo_service *s = stage_service(client, "todo");
    for (int i = 0; i < 300; i++) {
        ck_assert_int_eq(memo_rules_apply(client, NULL, 0, NULL, 0, NULL, NULL), MEMO_OK); /* a line each */
        one_call(s);
    }
    (void)stage_events(client, 0);
    stage_write("rules.json", "{\"memo\":2}");
    ck_assert_int_eq(stage_event(client, MEMO_EVENT_RULES, "refused").status, MEMO_E_RULES); /* by the engine, which has lines of its own to say */
    stage_write("rules.json", "{\"memo\":1,\"services\":{}}");
    ck_assert_int_eq(stage_event(client, MEMO_EVENT_RULES, "in force").status, MEMO_OK);
    one_call(s);
    while (memo__load(&client->shared.lines_count) < 256) /* the engine may have the oldest in its hand, to see whether there is room */
        (void)sched_yield();
    char *early = strdup(heard(NULL)); /* it is read again; the engine may look for room at any moment, and say something already */
    say(MEMO_LOG_INFO, "one more"); /* which makes the engine look; it is missing, too, unless the engine has looked already */
    const char *rest = strstr(early, "missing here") ? "" : heard("missing here");
    ck_assert(strstr(early, "libmemo info: rules revision 2 in force\n") || strstr(rest, "libmemo info: rules revision 2 in force\n"));
    free(early);
    say(MEMO_LOG_INFO, "there is room");
    ck_assert_ptr_nonnull(strstr(heard("there is room\n"), "there is room\n"));
    memo_service_release(s);
    memo_client_free(client);
    stderr_again();
    stage_dir_remove();
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
    tcase_add_test(t, lost_lines_are_told_in_their_place);
    tcase_add_test(t, changed_while_busy);
    tcase_add_test(t, freed_while_busy);
    suite_add_tcase(s, t);
    t = tcase_create("stderr");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, to_stderr);
    tcase_add_test(t, to_stderr_by_whoever_steps);
    tcase_add_test(t, stderr_that_nobody_reads);
    suite_add_tcase(s, t);
    return s;
}
