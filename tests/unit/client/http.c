/* SPDX-License-Identifier: Apache-2.0 */
/* http.c: replies, where they come from and whose they are. */
#define _GNU_SOURCE
#include "stage.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/unit/net/peer.h"

START_TEST(test_a_body_is_there_after_every_answer)
{
    memo_http_reply reply = MEMO_INIT(memo_http_reply);
    memo_service *s = NULL;
    memo_client *c = stage_started(NULL, NULL);
    ck_assert_int_eq(memo_service_acquire(c, "todo", &s, NULL), MEMO_OK);
    ck_assert_int_eq(memo_http_get(s, "no slash", &reply, NULL), MEMO_E_ARGUMENT);
    ck_assert_str_eq(reply.body, "");
    memo_http_reply_fini(&reply);
    memo_service_release(s);
    memo_client_free(c);
}
END_TEST

/* A reply may be used for one call after the other, also of another client; it then has nothing of the first one's. */
START_TEST(test_a_reply_belongs_to_the_client_that_used_it_last)
{
    memo_http_reply reply = MEMO_INIT(memo_http_reply);
    memo_client *c[2];
    memo_service *s[2] = { NULL, NULL };
    for (int i = 0; i < 2; i++) {
        c[i] = stage_started(NULL, NULL);
        ck_assert_int_eq(memo_service_acquire(c[i], "todo", &s[i], NULL), MEMO_OK);
        ck_assert_int_eq(memo_client_wait(c[i], 10000, NULL), MEMO_OK);
        ck_assert_int_eq(memo_http_get(s[i], "/", &reply, NULL), MEMO_E_UNREACHABLE); /* port 9 */
    }
    memo_service_release(s[0]);
    memo_client_free(c[0]);
    memo_http_reply_fini(&reply);
    memo_service_release(s[1]);
    memo_client_free(c[1]);
}
END_TEST


/* ---- with somebody at the other end ---- */

static struct peer peer, second;
static memo_client *client;
static memo_service *service;

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Who: me\r\n\r\nhello"
#define NO_WAIT "\"backoff\":{\"initial\":\"1ms\",\"max\":\"1ms\",\"jitter\":\"none\"}"

/* A client of the endpoints on these ports. */
static void open_at(const char *rules, const char *name, const char *value, uint16_t a, uint16_t b)
{
    char url[128];
    snprintf(url, sizeof url, b ? "static:todo=127.0.0.1:%u|127.0.0.1:%u" : "static:todo=127.0.0.1:%u", a, b);
    client = stage_client("registry", url);
    if (rules)
        ck_assert_int_eq(memo_client_set(client, "rules", rules, NULL), MEMO_OK);
    if (name)
        ck_assert_int_eq(memo_client_set(client, name, value, NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_start(client, NULL), MEMO_OK);
    service = stage_service(client, "todo");
}

static void close_all(void)
{
    memo_service_release(service);
    memo_client_free(client);
    peer_stop(&peer);
}

static bool told(const char *text)
{
    pthread_mutex_lock(&peer.lock);
    bool found = strcasestr(peer.last, text) != NULL;
    pthread_mutex_unlock(&peer.lock);
    return found;
}

START_TEST(test_an_answer)
{
    memo_http_reply reply = MEMO_INIT(memo_http_reply);
    memo_error e = MEMO_INIT(memo_error);
    char text[4096];
    size_t need;
    peer_start(&peer, "127.0.0.1", serve_text, OK);
    open_at(NULL, NULL, NULL, peer.port, 0);
    ck_assert_int_eq(memo_http_reply_explain(&reply, "text", text, sizeof text, NULL), MEMO_E_STATE);
    ck_assert_ptr_null(memo_http_reply_get(&reply, "x-who"));
    ck_assert_msg(memo_http_get(service, "/todos/7?x=1", &reply, &e) == MEMO_OK, "%s", e.message);
    ck_assert_int_eq(reply.status, 200);
    ck_assert_str_eq(reply.body, "hello");
    ck_assert_uint_eq(reply.body_bytes, 5);
    ck_assert_str_eq(memo_http_reply_get(&reply, "X-WHO"), "me");
    ck_assert_ptr_null(memo_http_reply_get(&reply, "nobody"));
    ck_assert_ptr_null(memo_http_reply_get(&reply, NULL));
    ck_assert_ptr_null(memo_http_reply_get(NULL, "x"));
    ck_assert(told("GET /todos/7?x=1 HTTP/1.1\r\n"));
    ck_assert(told("\r\ntraceparent: 00-"));
    const char *left = strcasestr(peer.last, "\r\nx-envoy-expected-rq-timeout-ms: ");
    ck_assert(left && atoi(left + 34) > 0 && atoi(left + 34) <= 5000);
    ck_assert(told("\r\nx-envoy-attempt-count: 1\r\n"));
    ck_assert_int_eq(memo_http_reply_explain(&reply, "text", text, sizeof text, &need), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(text, "todo GET /todos/7?x=1   200 in "));
    ck_assert_int_eq(memo_http_reply_explain(&reply, "text", text, 10, &need), MEMO_E_TRUNCATED);
    ck_assert_int_eq(memo_http_reply_explain(&reply, NULL, text, sizeof text, &need), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_http_reply_explain(NULL, "text", text, sizeof text, &need), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_http_get(service, NULL, &reply, &e), MEMO_OK); /* "/", and the reply again */
    ck_assert(told("GET / HTTP/1.1\r\n"));
    ck_assert_int_eq(peer_accepted(&peer), 1); /* pooled */
    ck_assert_int_eq(memo_http_get(service, "no slash", &reply, &e), MEMO_E_ARGUMENT);
    ck_assert_ptr_null(memo_http_reply_get(&reply, "x-who")); /* nothing of the call before */
    ck_assert_int_eq(memo_http_reply_explain(&reply, "text", text, sizeof text, &need), MEMO_E_STATE);
    memo_http_reply_fini(&reply);
    ck_assert_str_eq(reply.body, "");
    memo_http_reply_fini(&reply);
    memo_http_reply_fini(NULL);
    close_all();
}
END_TEST

START_TEST(test_methods_bodies_headers)
{
    const memo_header h[] = { { "X-Mine", "1", 0, 0 }, { "traceparent", "00-11111111111111111111111111111111-2222222222222222-01", 0, 0 },
                              { "X-Cutoff", "only-this-much", 8, 4 } };
    memo_http_request q = MEMO_INIT(memo_http_request);
    memo_http_reply reply = MEMO_INIT(memo_http_reply);
    peer_start(&peer, "127.0.0.1", serve_text, OK);
    open_at(NULL, NULL, NULL, peer.port, 0);
    q.method = "POST";
    q.path = "/todos";
    q.body = "a\0b";
    q.body_bytes = 3;
    q.headers = h;
    q.headers_count = 3;
    ck_assert_int_eq(memo_http_perform(service, &q, &reply, NULL), MEMO_OK);
    ck_assert(told("POST /todos HTTP/1.1\r\n"));
    ck_assert(told("\r\nContent-Length: 3\r\n"));
    ck_assert(told("\r\nX-Mine: 1\r\n"));
    ck_assert(told("\r\nX-Cutoff: only\r\n"));
    ck_assert(!told("1111111111111111")); /* an attempt has one traceparent: ours */
    ck_assert_mem_eq(peer.last + peer.last_bytes - 3, "a\0b", 3);
    q = (memo_http_request)MEMO_INIT(memo_http_request);
    q.method = "HEAD";
    peer.text = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    ck_assert_int_eq(memo_http_perform(service, &q, &reply, NULL), MEMO_OK);
    ck_assert_uint_eq(reply.body_bytes, 0);
    ck_assert(told("HEAD / HTTP/1.1\r\n"));
    memo_http_reply_fini(&reply);
    close_all();
}
END_TEST

START_TEST(test_the_parents_trace_and_time)
{
    const memo_header in[] = { { "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", 0, 0 },
                               { "x-envoy-expected-rq-timeout-ms", "700", 0, 0 },
                               { "tracestate", "congo=t61rcWkgMzE", 0, 0 } };
    memo_context x = MEMO_INIT(memo_context);
    memo_http_request q = MEMO_INIT(memo_http_request);
    memo_http_reply reply = MEMO_INIT(memo_http_reply);
    peer_start(&peer, "127.0.0.1", serve_text, OK);
    open_at(NULL, NULL, NULL, peer.port, 0);
    ck_assert_int_eq(memo_context_extract(&x, in, 3), MEMO_OK);
    ck_assert_int_eq(memo_context_set_baggage(&x, "tenant", "blue"), MEMO_OK);
    q.parent = &x;
    ck_assert_int_eq(memo_http_perform(service, &q, &reply, NULL), MEMO_OK);
    ck_assert(told("\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-"));
    ck_assert(!told("b7ad6b7169203331"));
    ck_assert(told("-00\r\n")); /* not sampled stays not sampled */
    ck_assert(told("\r\ntracestate: congo=t61rcWkgMzE\r\n"));
    ck_assert(told("\r\nbaggage: tenant=blue\r\n"));
    const char *left = strcasestr(peer.last, "x-envoy-expected-rq-timeout-ms: ");
    ck_assert_ptr_nonnull(left);
    ck_assert_int_le(atoi(left + 32), 700);
    ck_assert_int_gt(atoi(left + 32), 0);
    memo_http_reply_fini(&reply);
    close_all();
}
END_TEST

/* Says 503 once, then is well. */
static void serve_503_first(struct line *l)
{
    while (line_read(l)) {
        const char *text = peer_requests(l->peer) == 1 ? "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy" : OK;
        line_say(l, text, strlen(text));
    }
}

START_TEST(test_a_503_is_tried_again)
{
    memo_http_reply reply = MEMO_INIT(memo_http_reply);
    memo_http_request q = MEMO_INIT(memo_http_request);
    peer_start(&peer, "127.0.0.1", serve_503_first, NULL);
    open_at("{\"memo\":1,\"defaults\":{\"retry\":{\"attempts\":2," NO_WAIT "}}}", NULL, NULL, peer.port, 0);
    ck_assert_int_eq(memo_http_get(service, "/", &reply, NULL), MEMO_OK);
    ck_assert_int_eq(reply.status, 200);
    ck_assert_int_eq(peer_requests(&peer), 2);
    ck_assert(told("x-envoy-attempt-count: 2\r\n"));
    peer.requests = 0;
    q.method = "POST"; /* not to be sent twice: any answer is an answer */
    ck_assert_int_eq(memo_http_perform(service, &q, &reply, NULL), MEMO_OK);
    ck_assert_int_eq(reply.status, 503);
    ck_assert_str_eq(reply.body, "busy");
    memo_http_reply_fini(&reply);
    close_all();
}
END_TEST

START_TEST(test_nobody_listens_at_one)
{
    memo_http_reply reply = MEMO_INIT(memo_http_reply);
    memo_error e = MEMO_INIT(memo_error);
    peer_start(&second, "127.0.0.1", serve_text, OK);
    uint16_t closed = second.port;
    peer_stop(&second);
    peer_start(&peer, "127.0.0.1", serve_text, OK);
    open_at("{\"memo\":1,\"defaults\":{\"retry\":{\"attempts\":2,\"budget\":\"100%\"," NO_WAIT "},\"balance\":{\"policy\":\"round-robin\"}}}", NULL, NULL, closed, peer.port);
    for (int i = 0; i < 10; i++) {
        ck_assert_msg(memo_http_get(service, "/", &reply, &e) == MEMO_OK, "%s", e.message);
        ck_assert_int_eq(reply.status, 200);
    }
    memo_http_reply_fini(&reply);
    close_all();
    open_at("{\"memo\":1,\"defaults\":{\"retry\":{\"attempts\":1}}}", NULL, NULL, closed, 0);
    ck_assert_int_eq(memo_http_get(service, "/", &reply, &e), MEMO_E_UNREACHABLE);
    ck_assert_int_eq(reply.status, 0);
    ck_assert_str_ne(e.message, "");
    memo_http_reply_fini(&reply);
    memo_service_release(service);
    memo_client_free(client);
}
END_TEST

static void serve_reset(struct line *l)
{
    if (line_read(l))
        line_reset(l);
}

static void serve_silence(struct line *l)
{
    while (line_read(l))
        ;
}

static void serve_nonsense(struct line *l)
{
    if (line_read(l))
        line_say(l, "NONSENSE\r\n\r\n", 12);
}

START_TEST(test_how_it_can_fail)
{
    static const struct { peer_fn *serve; const char *text, *name, *value; memo_status s; } t[] = {
        { serve_reset, NULL, NULL, NULL, MEMO_E_IO }, { serve_silence, NULL, NULL, NULL, MEMO_E_TIMEOUT }, { serve_nonsense, NULL, NULL, NULL, MEMO_E_PROTOCOL },
        { serve_text, "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world", "http_max_body", "10", MEMO_E_PROTOCOL },
        { serve_text, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhello\r\n0\r\n\r\n", "http_max_body", "7", MEMO_E_PROTOCOL },
        { serve_text, NULL, "http_max_headers", "1KiB", MEMO_E_PROTOCOL } };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        memo_http_reply reply = MEMO_INIT(memo_http_reply);
        memo_http_request q = MEMO_INIT(memo_http_request);
        memo_error e = MEMO_INIT(memo_error);
        char head[4096], text[4096];
        snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Long: %02000d\r\n\r\n", 1);
        peer_start(&peer, "127.0.0.1", t[i].serve, t[i].text ? t[i].text : head);
        open_at("{\"memo\":1,\"defaults\":{\"retry\":{\"attempts\":1}}}", t[i].name, t[i].value, peer.port, 0);
        q.timeout_ms = t[i].s == MEMO_E_TIMEOUT ? 50 : 5000;
        memo_status s = memo_http_perform(service, &q, &reply, &e);
        ck_assert_msg(s == t[i].s, "row %zu: %s: %s", i, memo_status_name(s), e.message);
        ck_assert_int_eq(e.status, s);
        ck_assert_int_eq(reply.status, 0);
        ck_assert_str_eq(reply.body, "");
        ck_assert_int_eq(memo_http_reply_explain(&reply, "text", text, sizeof text, NULL), MEMO_OK);
        ck_assert_ptr_nonnull(strstr(text, " -> end "));
        memo_http_reply_fini(&reply);
        close_all();
    }
}
END_TEST

START_TEST(test_refused)
{
    memo_http_reply reply = MEMO_INIT(memo_http_reply);
    memo_error e = MEMO_INIT(memo_error);
    char text[4096];
    peer_start(&peer, "127.0.0.1", serve_text, OK);
    open_at("{\"memo\":1,\"defaults\":{\"limits\":[{\"name\":\"few\",\"rate\":\"1/h\",\"burst\":1}]}}", NULL, NULL, peer.port, 0);
    ck_assert_int_eq(memo_http_get(service, "/", &reply, &e), MEMO_OK);
    ck_assert_int_eq(memo_http_get(service, "/", &reply, &e), MEMO_REFUSED_LIMITED);
    ck_assert_int_eq(e.status, MEMO_REFUSED_LIMITED);
    ck_assert_int_eq(reply.status, 0);
    ck_assert_str_eq(reply.body, "");
    ck_assert_ptr_null(memo_http_reply_get(&reply, "x-who"));
    ck_assert_int_eq(memo_http_reply_explain(&reply, "text", text, sizeof text, NULL), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(text, "admit   no          MEMO_REFUSED_LIMITED: limit few 0/1"));
    ck_assert_int_eq(peer_requests(&peer), 1);
    memo_http_reply_fini(&reply);
    close_all();
}
END_TEST

START_TEST(test_arguments)
{
    const memo_header split[] = { { "X-A", "1\r\nX-B: 2", 0, 0 } }, nameless[] = { { "", "1", 0, 0 } };
    memo_http_request q = MEMO_INIT(memo_http_request), bad;
    memo_http_reply reply = MEMO_INIT(memo_http_reply), small = { .size = 8 };
    memo_error e = MEMO_INIT(memo_error);
    memo_header many[101] = { { "x", "1", 0, 0 } };
    for (int i = 0; i < 101; i++)
        many[i] = many[0];
    peer_start(&peer, "127.0.0.1", serve_text, OK);
    open_at(NULL, NULL, NULL, peer.port, 0);
    ck_assert_int_eq(memo_http_perform(NULL, &q, &reply, &e), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_http_perform(service, NULL, &reply, &e), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_http_perform(service, &q, NULL, &e), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_http_perform(service, &q, &small, &e), MEMO_E_ARGUMENT);
    for (int i = 0; i < 8; i++) {
        bad = q;
        if (i == 0)
            bad.size = 8;
        else if (i == 1)
            bad.headers_count = 1;
        else if (i == 2)
            bad.body_bytes = 1;
        else if (i == 3)
            bad.timeout_ms = -1;
        else if (i == 4)
            bad.method = "GET /";
        else if (i == 5)
            bad.path = "/a b\r\n";
        else {
            bad.headers = i == 6 ? split : nameless;
            bad.headers_count = 1;
        }
        ck_assert_msg(memo_http_perform(service, &bad, &reply, &e) == MEMO_E_ARGUMENT, "row %d", i);
        ck_assert_str_ne(e.message, "");
    }
    bad = q;
    bad.headers = many;
    bad.headers_count = 101;
    ck_assert_int_eq(memo_http_perform(service, &bad, &reply, &e), MEMO_E_ARGUMENT);
    bad.headers_count = 100;
    ck_assert_int_eq(memo_http_perform(service, &bad, &reply, &e), MEMO_OK);
    ck_assert_int_eq(peer_requests(&peer), 1);
    memo_http_reply_fini(&reply);
    close_all();
}
END_TEST

/* Age 0s, and none kept: every request has a connection of its own, on this thread and submitted. */
START_TEST(test_no_connection_is_kept)
{
    static const char *const settings[][2] = { { "http_max_age", "0s" }, { "http_max_idle", "0" } };
    for (int i = 0; i < 2; i++) {
        memo_http_request q = MEMO_INIT(memo_http_request);
        memo_http_reply reply = MEMO_INIT(memo_http_reply);
        peer_start(&peer, "127.0.0.1", serve_text, OK);
        open_at(NULL, settings[i][0], settings[i][1], peer.port, 0);
        for (int j = 1; j <= 3; j++) {
            ck_assert_int_eq(memo_http_get(service, "/", &reply, NULL), MEMO_OK);
            peer_wait_ended(&peer, j);
        }
        for (int j = 4; j <= 6; j++) {
            memo_http_task *task = NULL;
            ck_assert_int_eq(memo_http_submit(service, &q, NULL, NULL, &task, NULL), MEMO_OK);
            (void)stage_event(client, MEMO_EVENT_DONE, NULL);
            ck_assert_int_eq(memo_http_task_take(task, &reply), MEMO_OK);
            memo_http_task_release(task);
            peer_wait_ended(&peer, j);
        }
        ck_assert_int_eq(peer_accepted(&peer), 6);
        memo_http_reply_fini(&reply);
        close_all();
    }
}
END_TEST

Suite *suite_client_http(void)
{
    Suite *s = suite_create("client/http");
    TCase *t = tcase_create("replies");
    tcase_add_test(t, test_a_body_is_there_after_every_answer);
    tcase_add_test(t, test_a_reply_belongs_to_the_client_that_used_it_last);
    suite_add_tcase(s, t);
    t = tcase_create("door");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_an_answer);
    tcase_add_test(t, test_methods_bodies_headers);
    tcase_add_test(t, test_the_parents_trace_and_time);
    tcase_add_test(t, test_a_503_is_tried_again);
    tcase_add_test(t, test_nobody_listens_at_one);
    tcase_add_test(t, test_how_it_can_fail);
    tcase_add_test(t, test_refused);
    tcase_add_test(t, test_arguments);
    tcase_add_test(t, test_no_connection_is_kept);
    suite_add_tcase(s, t);
    return s;
}
