/* SPDX-License-Identifier: Apache-2.0 */
/* http_task.c: calls that nobody waits for: called back or taken once, cancelled at any time, driven by a thread or by the host. */
#define _GNU_SOURCE
#include "stage.h"
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include "base/atomic.h"
#include "client/client.h"
#include "tests/unit/net/child.h"
#include "tests/unit/net/peer.h"
#include "tests/unit/sanitizers.h"

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define BUSY "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"

static struct peer peer, second;
static memo_client *client;
static memo_service *service;
static sem_t over;

struct heard { memo_status status; int32_t http; char body[16]; pthread_t by; uint32_t times; memo_http_reply kept; bool keep; };

static void hear(memo_status s, memo_http_reply *r, void *user)
{
    struct heard *h = user;
    h->status = s;
    h->http = r->status;
    (void)snprintf(h->body, sizeof h->body, "%s", r->body);
    h->by = pthread_self();
    if (h->keep) {
        h->kept = *r;
        r->keep = NULL;
    }
    (void)memo__fetch_add(&h->times, 1u);
    sem_post(&over);
}

static void begin(peer_fn *serve, const char *text, const char *rules, const char *name, const char *value)
{
    char url[64];
    sem_init(&over, 0, 0);
    peer_start(&peer, "127.0.0.1", serve, text);
    (void)snprintf(url, sizeof url, "static:todo=127.0.0.1:%u", peer.port);
    client = stage_client("registry", url);
    ck_assert_int_eq(memo_client_set(client, "default_timeout", "1m", NULL), MEMO_OK); /* hundreds of threads answer, maybe under a sanitizer */
    ck_assert_int_eq(memo_client_set(client, "http_connect_timeout", "1m", NULL), MEMO_OK);
    if (rules)
        ck_assert_int_eq(memo_client_set(client, "rules", rules, NULL), MEMO_OK);
    if (name)
        ck_assert_int_eq(memo_client_set(client, name, value, NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_start(client, NULL), MEMO_OK);
    service = stage_service(client, "todo");
}

static void finish(void)
{
    memo_service_release(service);
    memo_client_free(client);
    peer_stop(&peer);
}

static memo_status submit(struct heard *h, memo_http_task **out)
{
    memo_http_request q = MEMO_INIT(memo_http_request);
    char path[] = "/todos/7", name[] = "x-user", value[] = "ann"; /* gone when this returns */
    const memo_header header = { name, value, 0, 0 };
    q.path = path;
    q.headers = &header;
    q.headers_count = 1;
    memo_status s = memo_http_submit(service, &q, h ? hear : NULL, h, out, NULL);
    memset(path, 'x', sizeof path - 1);
    memset(value, 'x', sizeof value - 1);
    return s;
}

/* Between two looks at what others do: who only yields takes the processor from them. */
static void look_again(void) { (void)poll(NULL, 0, 1); }

START_TEST(called_back)
{
    struct heard h = { .status = -1 };
    begin(serve_text, OK, NULL, NULL, NULL);
    ck_assert_int_eq(submit(&h, NULL), MEMO_OK);
    sem_wait(&over);
    ck_assert(h.status == MEMO_OK && h.http == 200 && h.times == 1);
    ck_assert_str_eq(h.body, "hello");
    ck_assert(!pthread_equal(h.by, pthread_self()));
    pthread_mutex_lock(&peer.lock);
    ck_assert_ptr_nonnull(strstr(peer.last, "GET /todos/7 HTTP/1.1\r\n"));
    ck_assert_ptr_nonnull(strcasestr(peer.last, "\r\nx-user: ann\r\n"));
    ck_assert_ptr_nonnull(strcasestr(peer.last, "\r\ntraceparent: 00-"));
    pthread_mutex_unlock(&peer.lock);
    finish();
}
END_TEST

/* The context is copied: the request that it came with may be over before the call is sent. */
START_TEST(made_for_a_request)
{
    const memo_header in[] = { { "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", 0, 0 },
                               { "tracestate", "congo=t61rcWkgMzE", 0, 0 }, { "baggage", "tenant=blue,secret=x", 0, 0 } };
    struct heard h = { .status = -1 };
    memo_inbound i = MEMO_INIT(memo_inbound);
    memo_inbound_facts f = MEMO_INIT(memo_inbound_facts);
    memo_http_request q = MEMO_INIT(memo_http_request);
    begin(serve_text, OK, NULL, "baggage_keys", "tenant");
    f.headers = in;
    f.headers_count = 3;
    ck_assert_int_eq(memo_inbound_enter(&i, client, &f), MEMO_OK);
    q.parent = &i.context;
    ck_assert_int_eq(memo_http_submit(service, &q, hear, &h, NULL, NULL), MEMO_OK);
    memo_inbound_leave(&i, NULL);
    memset(&i, 'x', sizeof i);
    sem_wait(&over);
    pthread_mutex_lock(&peer.lock);
    ck_assert_ptr_nonnull(strcasestr(peer.last, "\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-"));
    ck_assert_ptr_nonnull(strstr(peer.last, "-00\r\n")); /* not sampled stays not sampled */
    ck_assert_ptr_nonnull(strcasestr(peer.last, "\r\ntracestate: congo=t61rcWkgMzE\r\n"));
    ck_assert_ptr_nonnull(strcasestr(peer.last, "\r\nbaggage: tenant=blue\r\n"));
    pthread_mutex_unlock(&peer.lock);
    finish();
}
END_TEST

START_TEST(a_reply_that_is_kept)
{
    struct heard h = { .keep = true };
    char text[2048];
    begin(serve_text, OK, NULL, NULL, NULL);
    ck_assert_int_eq(submit(&h, NULL), MEMO_OK);
    sem_wait(&over);
    ck_assert_str_eq(h.kept.body, "hello");
    ck_assert_int_eq(memo_http_reply_explain(&h.kept, "text", text, sizeof text, NULL), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(text, "todo GET /todos/7   200 in "));
    memo_http_reply_fini(&h.kept);
    finish();
}
END_TEST

#define MANY 200

START_TEST(many_at_once)
{
    static struct heard h[MANY];
    memset(h, 0, sizeof h);
    begin(serve_text, OK, NULL, NULL, NULL);
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(submit(&h[i], NULL), MEMO_OK);
    for (int i = 0; i < MANY; i++)
        sem_wait(&over);
    for (int i = 0; i < MANY; i++)
        ck_assert(h[i].status == MEMO_OK && h[i].http == 200 && h[i].times == 1);
    ck_assert_int_eq(memo_client_drain(client, 5000), MEMO_OK);
    finish();
}
END_TEST

START_TEST(taken)
{
    memo_http_reply reply = MEMO_INIT(memo_http_reply);
    memo_http_task *task = NULL;
    begin(serve_text, OK, NULL, NULL, NULL);
    (void)stage_events(client, MEMO_EVENT_VIEW);
    ck_assert_int_eq(submit(NULL, NULL), MEMO_E_ARGUMENT);
    ck_assert_int_eq(submit(NULL, &task), MEMO_OK);
    memo_event e = stage_event(client, MEMO_EVENT_DONE, NULL);
    ck_assert_int_eq(e.status, MEMO_OK);
    ck_assert_str_eq(e.service, "todo");
    ck_assert_int_eq(memo_http_task_take(task, NULL), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_http_task_take(NULL, &reply), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_http_task_take(task, &reply), MEMO_OK);
    ck_assert(reply.status == 200 && strcmp(reply.body, "hello") == 0);
    memo_http_reply other = MEMO_INIT(memo_http_reply);
    ck_assert_int_eq(memo_http_task_take(task, &other), MEMO_E_STATE); /* once */
    memo_http_cancel(task);                                            /* too late, and no harm */
    memo_http_reply_fini(&reply);
    memo_http_task_release(task);
    memo_http_task_release(NULL);
    memo_http_cancel(NULL);
    finish();
}
END_TEST

/* No end is lost, however many of them wait. */
START_TEST(ends_are_not_dropped)
{
    static memo_http_task *tasks[1500];
    memo_event batch[64];
    uint32_t n, ended = 0;
    struct pollfd ready;
    batch[0].size = sizeof batch[0];
    begin(serve_text, OK, NULL, NULL, NULL);
    for (int i = 0; i < 1500; i++) {
        ck_assert_int_eq(submit(NULL, &tasks[i]), MEMO_OK);
        if (i % 100 == 99)
            while (memo__governor_open_calls(&service->governor)) /* so that the peer has lines enough; nobody takes the events */
                look_again();
    }
    ready = (struct pollfd){ .fd = memo_event_fd(client), .events = POLLIN };
    while (ended < 1500) {
        ck_assert_int_eq(poll(&ready, 1, 10000), 1);
        ck_assert_int_eq(memo_event_take(client, batch, 64, &n), MEMO_OK);
        for (uint32_t i = 0; i < n; i++)
            ended += batch[i].kind == MEMO_EVENT_DONE;
    }
    ck_assert_uint_eq(ended, 1500);
    for (int i = 0; i < 1500; i++)
        memo_http_task_release(tasks[i]);
    finish();
}
END_TEST

static void busy_then_good(struct line *l)
{
    for (int i = 0; line_read(l); i++)
        line_say(l, i ? OK : BUSY, strlen(i ? OK : BUSY));
}

START_TEST(tried_again)
{
    struct heard h = { .status = -1 };
    begin(busy_then_good, NULL, "{\"memo\":1,\"services\":{\"todo\":{\"retry\":{\"attempts\":3,\"backoff\":{\"initial\":\"1ms\",\"max\":\"1ms\",\"jitter\":\"none\"}}}}}", NULL, NULL);
    ck_assert_int_eq(submit(&h, NULL), MEMO_OK);
    sem_wait(&over);
    ck_assert(h.status == MEMO_OK && h.http == 200);
    ck_assert_int_eq(peer_requests(&peer), 2);
    finish();
}
END_TEST

static void silent(struct line *l)
{
    while (line_read(l))
        ;
}

/* Given up: at once, taught to nobody, and everything is back. */
START_TEST(cancelled)
{
    struct heard h = { .status = -1 };
    memo_http_task *task = NULL;
    begin(silent, NULL, "{\"memo\":1,\"services\":{\"todo\":{\"timeout\":\"1h\",\"concurrency\":{\"max\":1,\"exact\":true},\"outlier\":{\"consecutiveFailures\":1}}}}", NULL, NULL);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(submit(&h, &task), MEMO_OK);
        ck_assert_int_eq(submit(&h, NULL), MEMO_REFUSED_OVERLOADED); /* refused at once, and not called back */
        while (peer_requests(&peer) <= i) /* on its way */
            look_again();
        memo_http_cancel(task);
        memo_http_cancel(task);
        sem_wait(&over);
        ck_assert(h.status == MEMO_E_CANCELLED && h.http == 0 && h.times == (uint32_t)i + 1);
        memo_http_task_release(task);
    }
    ck_assert_uint_eq(stage_events(client, MEMO_EVENT_EJECTION), 0);
    ck_assert_uint_eq(memo__governor_open_calls(&service->governor), 0);
    peer_wait_ended(&peer, 5); /* its connections are closed */
    finish();
}
END_TEST

START_TEST(failures)
{
    struct heard h = { .status = -1 };
    begin(silent, NULL, "{\"memo\":1,\"services\":{\"todo\":{\"timeout\":\"30ms\",\"retry\":{\"attempts\":1}}}}", NULL, NULL);
    ck_assert_int_eq(submit(&h, NULL), MEMO_OK);
    sem_wait(&over);
    ck_assert_int_eq(h.status, MEMO_E_TIMEOUT);
    memo_http_request q = MEMO_INIT(memo_http_request);
    q.path = "no slash";
    ck_assert_int_eq(memo_http_submit(service, &q, hear, &h, NULL, NULL), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_http_submit(service, NULL, hear, &h, NULL, NULL), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_client_drain(client, 1000), MEMO_OK);
    ck_assert_int_eq(submit(&h, NULL), MEMO_REFUSED_NOT_READY);
    ck_assert_uint_eq(h.times, 1);
    finish();
}
END_TEST

/* What is under way when its client is freed ends there, called back by whoever frees. */
START_TEST(freed_under_way)
{
    struct heard h[20] = { { 0 } };
    begin(silent, NULL, NULL, NULL, NULL);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(submit(&h[i], NULL), MEMO_OK);
    while (peer_requests(&peer) < 10)
        look_again();
    finish();
    for (int i = 0; i < 20; i++)
        ck_assert(h[i].times == 1 && h[i].status == MEMO_E_CANCELLED);
}
END_TEST

static void goes_on(memo_status s, memo_http_reply *r, void *user)
{
    struct heard *h = user;
    h->status = s;
    h->http = r->status;
    if (memo__fetch_add(&h->times, 1u) + 1 < 10) {
        memo_http_request q = MEMO_INIT(memo_http_request);
        if (memo_http_submit(service, &q, goes_on, h, NULL, NULL) == MEMO_OK)
            return;
    }
    sem_post(&over);
}

START_TEST(one_begins_the_next)
{
    struct heard h = { 0 };
    memo_http_request q = MEMO_INIT(memo_http_request);
    begin(serve_text, OK, NULL, NULL, NULL);
    ck_assert_int_eq(memo_http_submit(service, &q, goes_on, &h, NULL, NULL), MEMO_OK);
    sem_wait(&over);
    ck_assert(h.times == 10 && h.status == MEMO_OK && h.http == 200);
    finish();
}
END_TEST

static void drive_until(const struct heard *h, uint32_t times)
{
    struct pollfd ready = { .fd = memo_client_fd(client), .events = POLLIN };
    while (memo__load(&h->times) < times) {
        ck_assert_int_eq(poll(&ready, 1, 10000), 1);
        ck_assert_int_eq(memo_client_step(client), MEMO_OK);
    }
}

/* The host drives: called back on its own thread, from within memo_client_step. */
START_TEST(hosted)
{
    struct heard h = { .status = -1 };
    begin(serve_text, OK, NULL, "engine_thread", "false");
    ck_assert_int_eq(submit(&h, NULL), MEMO_OK);
    ck_assert_uint_eq(h.times, 0);
    drive_until(&h, 1);
    ck_assert(h.status == MEMO_OK && h.http == 200 && pthread_equal(h.by, pthread_self()));
    finish();
}
END_TEST

START_TEST(a_child_has_its_own)
{
    struct heard h = { .status = -1 };
    memo_http_task *task = NULL, *parents = NULL;
    memo_http_reply reply = MEMO_INIT(memo_http_reply);
    begin(serve_text, OK, NULL, "engine_thread", "false");
    ck_assert_int_eq(submit(NULL, &parents), MEMO_OK);
    pid_t pid = fork();
    if (pid == 0) {
        memo_http_cancel(parents);
        bool good = memo_http_task_take(parents, &reply) == MEMO_E_STATE;
        memo_http_task_release(parents);
        good = good && submit(&h, &task) == MEMO_OK;
        drive_until(&h, 1);
        child_ends(good && h.status == MEMO_OK && h.http == 200);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ck_assert_int_eq(submit(&h, NULL), MEMO_OK);
    drive_until(&h, 1);
    while (memo_http_task_take(parents, &reply) == MEMO_E_STATE)
        ck_assert_int_eq(memo_client_step(client), MEMO_OK);
    ck_assert_int_eq(reply.status, 200);
    memo_http_reply_fini(&reply);
    memo_http_task_release(parents);
    finish();
}
END_TEST

static uint32_t starve;

static void *starving_get(void *user, size_t bytes)
{
    return memo__load(&starve) ? NULL : memo__alloc_libc.get(user, bytes);
}

static void busy_and_starving(struct line *l)
{
    while (line_read(l)) {
        memo__store(&starve, 1u);
        line_say(l, BUSY, strlen(BUSY));
    }
}

/* What an earlier attempt was answered is not the answer of a call that could not go on. */
START_TEST(no_memory_for_the_second_attempt)
{
    struct heard h = { .status = -1 };
    char url[64];
    struct memo__alloc was = memo__alloc_default;
    memo__alloc_default.get = starving_get;
    starve = 0;
    sem_init(&over, 0, 0);
    peer_start(&peer, "127.0.0.1", busy_and_starving, NULL);
    peer_start(&second, "127.0.0.1", busy_and_starving, NULL);
    (void)snprintf(url, sizeof url, "static:todo=127.0.0.1:%u|127.0.0.1:%u", peer.port, second.port); /* a connection to the other one takes memory */
    client = stage_client("registry", url);
    ck_assert_int_eq(memo_client_set(client, "default_timeout", "1m", NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_set(client, "rules", "{\"memo\":1,\"defaults\":{\"retry\":{\"attempts\":2,\"budget\":\"100%\","
                                     "\"backoff\":{\"initial\":\"1ms\",\"max\":\"1ms\",\"jitter\":\"none\"}}}}", NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_start(client, NULL), MEMO_OK);
    service = stage_service(client, "todo");
    ck_assert_int_eq(submit(&h, NULL), MEMO_OK);
    sem_wait(&over);
    memo__store(&starve, 0u);
    ck_assert_int_eq(h.status, MEMO_E_NO_MEMORY);
    ck_assert_int_eq(h.http, 0);
    ck_assert_str_eq(h.body, "");
    finish();
    peer_stop(&second);
    memo__alloc_default = was;
}
END_TEST

static uint32_t holds(void)
{
    memo__lock_take(&client->shared.lock);
    uint32_t n = service->refs;
    memo__lock_drop(&client->shared.lock);
    return n;
}

/* Whoever takes and releases has had the end: no event of it waits, and nothing is held until somebody takes events. */
START_TEST(taken_and_released)
{
    begin(serve_text, OK, NULL, NULL, NULL);
    memo_http_reply reply = MEMO_INIT(memo_http_reply);
    uint32_t before = holds();
    for (int i = 0; i < 100; i++) {
        memo_http_task *task = NULL;
        ck_assert_int_eq(submit(NULL, &task), MEMO_OK);
        memo_status s;
        while ((s = memo_http_task_take(task, &reply)) == MEMO_E_STATE)
            look_again();
        ck_assert_int_eq(s, MEMO_OK);
        if (i % 2)
            look_again(); /* its event is there, or is about to be */
        memo_http_task_release(task);
    }
    memo_http_reply_fini(&reply);
    for (int i = 0; i < 5000 && holds() != before; i++)
        look_again();
    ck_assert_uint_eq(holds(), before);
    ck_assert_uint_eq(memo__load(&client->shared.finished_count), 0);
    ck_assert_uint_eq(stage_events(client, MEMO_EVENT_DONE), 0);
    finish();
}
END_TEST

Suite *suite_client_http_task(void);
Suite *suite_client_http_task(void)
{
    Suite *s = suite_create("client/http_task");
    TCase *t = tcase_create("tasks");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, called_back);
    tcase_add_test(t, made_for_a_request);
    tcase_add_test(t, a_reply_that_is_kept);
    tcase_add_test(t, many_at_once);
    tcase_add_test(t, taken);
    tcase_add_test(t, ends_are_not_dropped);
    tcase_add_test(t, tried_again);
    tcase_add_test(t, cancelled);
    tcase_add_test(t, failures);
    tcase_add_test(t, freed_under_way);
    tcase_add_test(t, one_begins_the_next);
    tcase_add_test(t, no_memory_for_the_second_attempt);
    tcase_add_test(t, taken_and_released);
    tcase_add_test(t, hosted);
    if (FORKS_BESIDE_THREADS && THREADS_IN_CHILDREN)
        tcase_add_test(t, a_child_has_its_own);
    suite_add_tcase(s, t);
    return s;
}
