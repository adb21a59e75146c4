/* SPDX-License-Identifier: Apache-2.0 */
/* host.c: the host drives the engine: no thread of ours, one descriptor, one function. */
#define _GNU_SOURCE
#include "stage.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/atomic.h"
#include "base/clock.h"
#include "client/client.h"
#include "tests/unit/net/child.h"
#include "tests/unit/process.h"
#include "tests/unit/net/peer.h"

static memo_client *hosted_that_logs(const char *registry, const char *level)
{
    memo_client *c = stage_client("engine_thread", "false");
    ck_assert_int_eq(memo_client_set(c, "log_level", level, NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_set(c, "registry", registry, NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_set(c, "lease_ttl", "1s", NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_fd(c), -1);
    ck_assert_int_eq(memo_client_step(c), MEMO_E_STATE);
    ck_assert_int_eq(memo_client_start(c, NULL), MEMO_OK);
    ck_assert_int_ge(memo_client_fd(c), 0);
    return c;
}

static memo_client *hosted(const char *registry)
{
    return hosted_that_logs(registry, "none");
}

/* As a host's loop does: waits for the descriptor, steps; for so long. */
static uint32_t drive(memo_client *c, int64_t for_ns)
{
    struct pollfd ready = { .fd = memo_client_fd(c), .events = POLLIN };
    memo__instant until = memo__after(memo__clock_kernel(), for_ns);
    uint32_t steps = 0;
    for (int64_t left; (left = memo__since(until, memo__clock_kernel())) > 0;) {
        if (poll(&ready, 1, (int)(left / MEMO__MS) + 1) <= 0)
            continue;
        ck_assert_int_eq(memo_client_step(c), MEMO_OK);
        steps++;
    }
    return steps;
}

/* Everything that waits drives the engine itself. */
START_TEST(no_thread_at_all)
{
    memo_client *c = hosted(stage_registry());
    memo_registration *r = stage_register(c, "todo", "a", 80);
    memo_service *s = stage_service(c, "todo");
    memo_view *v = NULL;
    memo_view_facts f = MEMO_INIT(memo_view_facts);
    char names[64];
    size_t need;
    ck_assert_int_eq(memo_service_read(s, 5000, &v, NULL), MEMO_OK);
    ck_assert_int_eq(memo_view_get_facts(v, &f), MEMO_OK);
    ck_assert_uint_eq(f.count, 1);
    memo_view_release(v);
    ck_assert_int_eq(memo_client_list_services(c, names, sizeof names, &need), MEMO_OK);
    ck_assert_str_eq(names, "todo");
    ck_assert_int_eq(memo_registration_withdraw(r, 5000, NULL), MEMO_OK);
    memo_registration_free(r);
    ck_assert_int_eq(process_threads(NULL), 0);
    memo_service_release(s);
    ck_assert_int_eq(memo_client_drain(c, 1000), MEMO_OK);
    memo_client_free(c);
    ck_assert_int_eq(process_threads(NULL), 0);
    stage_dir_remove();
}
END_TEST

/* The descriptor becomes readable for timers, too: a lease outlives its time to live several times, and the host does not spin. */
START_TEST(leases_are_kept)
{
    memo_client *c = hosted(stage_registry());
    memo_registration *r = stage_register(c, "todo", "a", 80);
    uint64_t token = memo_registration_get_token(r);
    uint32_t steps = drive(c, 3 * MEMO__S);
    ck_assert(memo_registration_holds(r, token));
    ck_assert_uint_eq(memo_registration_get_token(r), token);
    ck_assert_uint_gt(steps, 3);
    ck_assert_uint_lt(steps, 3000);
    memo_registration_free(r);
    memo_client_free(c);
    stage_dir_remove();
}
END_TEST

/* Who forks drives on its own: the same number is the child's own descriptor. */
START_TEST(a_child_drives_its_own)
{
    memo_client *c = hosted(stage_registry());
    memo_registration *r = stage_register(c, "todo", "a", 80);
    memo_service *s = stage_service(c, "todo");
    int fd = memo_client_fd(c);
    pid_t pid = fork();
    if (pid == 0) {
        bool good = memo_client_fd(c) == fd && process_threads(NULL) == 0 && memo_client_wait(c, 5000, NULL) == MEMO_OK;
        memo_registration *mine = good ? stage_register(c, "todo", "b", 81) : NULL;
        (void)drive(c, 1500 * MEMO__MS);
        good = good && memo_registration_holds(mine, memo_registration_get_token(mine)) && process_threads(NULL) == 0;
        child_ends(good);
    }
    (void)drive(c, 2 * MEMO__S);
    ck_assert(memo_registration_holds(r, memo_registration_get_token(r)));
    int status = -1;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    memo_service_release(s);
    memo_registration_free(r);
    memo_client_free(c);
    stage_dir_remove();
}
END_TEST

struct called { memo_client *client; uint32_t lines, answers, depth, deepest; };

/* Lets come whatever would come, and steps: nobody is called back within a callback. */
static void steps_within(struct called *on)
{
    struct pollfd ready = { .fd = memo_client_fd(on->client), .events = POLLIN };
    ck_assert_int_ge(ready.fd, 0);
    if (++on->depth > on->deepest)
        on->deepest = on->depth;
    for (int i = 0; i < 20 && on->depth == 1; i++) {
        (void)poll(&ready, 1, 10);
        ck_assert_int_eq(memo_client_step(on->client), MEMO_OK);
    }
    on->depth--;
}

static void on_line(int32_t level, const char *line, void *user)
{
    struct called *on = user;
    (void)level, (void)line;
    on->lines++;
    steps_within(on);
}

static void on_answer(memo_status status, memo_http_reply *reply, void *user)
{
    struct called *on = user;
    ck_assert_int_eq(status, MEMO_OK);
    ck_assert_str_eq(reply->body, "hello");
    on->answers++;
    steps_within(on);
}

/* A callback may call it, of a line as of an answer; a client that wants a thread has one, and stepping beside it does no harm. */
START_TEST(stepped_from_everywhere)
{
    struct peer peer = { 0 };
    peer_start(&peer, "127.0.0.1", serve_text, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    memo_client *c = hosted_that_logs(stage_registry(), "info"), *other = stage_client("log_level", "debug");
    struct called on = { .client = c };
    memo_log_set(c, on_line, &on);
    memo_registration *r = stage_register(c, "todo", "a", peer.port);
    memo_service *s = stage_service(c, "todo");
    for (int i = 0; i < 8; i++) {
        memo_http_request q = MEMO_INIT(memo_http_request);
        q.path = "/todos/7";
        ck_assert_int_eq(memo_http_submit(s, &q, on_answer, &on, NULL, NULL), MEMO_OK);
    }
    ck_assert_int_eq(memo_rules_apply(c, "{\"memo\":1,\"nobody\":{}}", 22, NULL, 0, NULL, NULL), MEMO_OK);
    for (int i = 0; i < 100 && (on.answers < 8 || !on.lines); i++)
        (void)drive(c, 50 * MEMO__MS);
    ck_assert_uint_eq(on.answers, 8);
    ck_assert_uint_gt(on.lines, 0);
    ck_assert_uint_eq(on.deepest, 1);
    memo_service_release(s);
    memo_registration_free(r);
    ck_assert_int_eq(process_threads(NULL), 0);
    char names[64];
    size_t need;
    ck_assert_int_eq(memo_client_start(other, NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_list_services(other, names, sizeof names, &need), MEMO_OK); /* the thread has answered */
    ck_assert_int_eq(process_threads(NULL), 1);
    (void)drive(c, 50 * MEMO__MS);
    ck_assert_int_eq(memo_client_step(other), MEMO_OK);
    ck_assert_int_eq(memo_client_fd(other), memo_client_fd(c));
    ck_assert_int_eq(memo_client_fd(NULL), -1);
    ck_assert_int_eq(memo_client_step(NULL), MEMO_E_ARGUMENT);
    memo_client_free(other);
    memo_client_free(c);
    peer_stop(&peer);
    stage_dir_remove();
}
END_TEST

struct forked { memo_client *client; pid_t pid; bool wrong; };

static void forks(int32_t level, const char *line, void *user)
{
    struct forked *f = user;
    (void)level, (void)line;
    if (f->pid < 0 && (f->pid = fork()) == 0)
        f->wrong = memo_client_fd(f->client) < 0; /* here the child becomes one */
}

/* Who forks within a callback returns from it in both processes; the child's client is freed as any other. */
START_TEST(forked_within_a_callback)
{
    int status = -1;
    memo_client *c = hosted("static:todo=127.0.0.1:9");
    struct forked f = { c, -1, false };
    memo__store(&c->log_level, MEMO_LOG_ERROR);
    memo_log_set(c, forks, &f);
    memo__client_log(c, MEMO_LOG_ERROR, "fork");
    while (f.pid < 0)
        ck_assert_int_eq(memo_client_step(c), MEMO_OK);
    if (f.pid == 0) {
        (void)alarm(10); /* free would wait for itself */
        bool good = memo_client_step(c) == MEMO_OK && !f.wrong;
        memo_log_set(c, NULL, NULL);
        memo_client_free(c);
        child_ends(good);
    }
    ck_assert_int_eq(waitpid(f.pid, &status, 0), f.pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    memo_client_free(c);
}
END_TEST

struct waited { memo_client *client; memo_status status; int64_t busy; };

static int64_t busy_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * MEMO__S + t.tv_nsec;
}

static void waits(int32_t level, const char *line, void *user)
{
    struct waited *w = user;
    (void)level, (void)line;
    if (w->status != -1)
        return;
    memo__loop_wake(w->client->loop); /* a turn has work, which nobody does meanwhile */
    w->busy = busy_ns();
    w->status = memo_client_wait(w->client, 300, NULL);
    w->busy = busy_ns() - w->busy;
}

/* Whoever waits from within a callback cannot drive: it sleeps. */
START_TEST(waiting_within_a_callback_does_not_spin)
{
    memo_client *c = hosted(stage_away());
    memo_service *s = NULL;
    struct waited w = { c, -1, 0 };
    ck_assert_int_eq(memo_service_acquire(c, "todo", &s, NULL), MEMO_OK);
    memo__store(&c->log_level, MEMO_LOG_ERROR);
    memo_log_set(c, waits, &w);
    memo__client_log(c, MEMO_LOG_ERROR, "wait");
    while (w.status == -1)
        ck_assert_int_eq(memo_client_step(c), MEMO_OK);
    ck_assert_int_eq(w.status, MEMO_E_TIMEOUT);
    ck_assert_int_lt(w.busy, 50 * MEMO__MS);
    memo_service_release(s);
    memo_client_free(c);
    stage_dir_remove();
}
END_TEST

Suite *suite_client_host(void);
Suite *suite_client_host(void)
{
    Suite *s = suite_create("client/host");
    TCase *t = tcase_create("host");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, no_thread_at_all);
    tcase_add_test(t, leases_are_kept);
    tcase_add_test(t, a_child_drives_its_own);
    tcase_add_test(t, stepped_from_everywhere);
    tcase_add_test(t, forked_within_a_callback);
    tcase_add_test(t, waiting_within_a_callback_does_not_spin);
    suite_add_tcase(s, t);
    return s;
}
