/* SPDX-License-Identifier: Apache-2.0 */
/* http.c: exchanges with peers that answer well, badly, late or not at all. */
#define _GNU_SOURCE
#include "net/http.h"
#include <arpa/inet.h>
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/atomic.h"
#include "tests/unit/failing.h"
#include "tests/unit/sanitizers.h"
#include "tests/unit/net/child.h"
#include "peer.h"

Suite *suite_net_http(void);

#define OK_TEXT "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Empty:\r\nContent-Length: 5\r\n\r\nhello"

static struct peer peer;
static struct memo__http_pool *pool;
static struct memo__http_answer answer;
static char ca_file[] = "/tmp/memo-http-XXXXXX";

static void pool_start(const struct memo__http_options *o)
{
    memo_error e = MEMO_INIT(memo_error);
    ck_assert_int_eq(memo__http_pool_new(&memo__alloc_libc, &memo__host_linux, o, &pool, &e), MEMO_OK);
    memset(&answer, 0, sizeof answer);
}

static void start(peer_fn *serve, const char *text)
{
    peer_start(&peer, "127.0.0.1", serve, text);
    pool_start(NULL);
}

static void start_tls(peer_fn *serve, const char *text)
{
    int fd = mkstemp(ca_file);
    ck_assert_int_ge(fd, 0);
    close(fd);
    peer_start_tls(&peer, serve, text, ca_file);
    const struct memo__http_options o = { .ca_file = ca_file };
    pool_start(&o);
}

static void finish(void)
{
    memo__http_answer_fini(pool, &answer);
    memo__http_pool_free(pool);
    pool = NULL;
    peer_stop(&peer);
    if (strcmp(ca_file + sizeof ca_file - 7, "XXXXXX") != 0) {
        unlink(ca_file);
        memcpy(ca_file + sizeof ca_file - 7, "XXXXXX", 6);
    }
}

static struct memo__http_target to_peer(void)
{
    return (struct memo__http_target){ .address = "127.0.0.1", .port = peer.port, .secure = peer.tls != NULL, .host = peer.tls ? "todo.internal" : NULL };
}

static memo_status exchange(const struct memo__http_send *s)
{
    struct memo__http_target t = to_peer();
    return memo__http_exchange(pool, &t, s, &answer);
}

static const struct memo__http_send plain_get = { .path = "/todos/7", .timeout_ns = 10 * MEMO__S };

static void get(void)
{
    ck_assert_int_eq(exchange(&plain_get), MEMO_OK);
}

static void ck_hello(void)
{
    ck_assert_msg(answer.kind == MEMO_OUTCOME_REPLIED, "%d: %s", answer.kind, answer.error);
    ck_assert_int_eq(answer.http_status, 200);
    ck_assert_uint_eq(answer.body_bytes, 5);
    ck_assert_str_eq(answer.body, "hello");
}

/* ---- what is sent and what comes ---- */

START_TEST(an_answer_and_the_connection_again)
{
    struct memo__http_stats st;
    start(serve_text, OK_TEXT);
    for (int i = 0; i < 3; i++) {
        get();
        ck_hello();
        ck_assert_int_eq(answer.reused, i > 0);
        ck_assert(answer.sent);
        ck_assert_str_eq(memo__http_answer_get(&answer, "content-TYPE"), "text/plain");
        ck_assert_str_eq(memo__http_answer_get(&answer, "x-empty"), "");
        ck_assert_ptr_null(memo__http_answer_get(&answer, "hello"));
    }
    memo__http_pool_stats(pool, &st);
    ck_assert_uint_eq(st.exchanges, 3);
    ck_assert_uint_eq(st.connections, 1);
    ck_assert_uint_eq(st.reused, 2);
    ck_assert_uint_eq(st.idle, 1);
    ck_assert_uint_eq(st.busy, 0);
    ck_assert_int_eq(peer_accepted(&peer), 1);
    finish();
}
END_TEST

START_TEST(the_bytes_on_the_wire)
{
    char want[512];
    const memo_header h[] = { { "traceparent", "00-x", 0, 0 }, { "x-a", "onetwo", 3, 3 }, { "x-empty", "", 0, 0 } };
    struct memo__http_send s = plain_get;
    s.headers = h;
    s.count = 3;
    start(serve_text, OK_TEXT);
    ck_assert_int_eq(exchange(&s), MEMO_OK);
    snprintf(want, sizeof want, "GET /todos/7 HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAccept: */*\r\ntraceparent: 00-x\r\nx-a: one\r\nx-empty:\r\n\r\n", peer.port);
    ck_assert_str_eq(peer.last, want);
    s.count = 0;
    s.path = NULL;
    ck_assert_int_eq(exchange(&s), MEMO_OK);
    snprintf(want, sizeof want, "GET / HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAccept: */*\r\n\r\n", peer.port);
    ck_assert_str_eq(peer.last, want);
    s = (struct memo__http_send){ .method = "POST", .path = "/todos", .body = "{}", .bytes = 2, .headers = h, .count = 1, .timeout_ns = MEMO__S };
    ck_assert_int_eq(exchange(&s), MEMO_OK);
    snprintf(want, sizeof want, "POST /todos HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAccept: */*\r\ntraceparent: 00-x\r\nContent-Length: 2\r\n\r\n{}", peer.port);
    ck_assert_str_eq(peer.last, want);
    finish();
}
END_TEST

/* Every method after every other one on the same connection: nothing of the one before is left. */
START_TEST(methods_follow_each_other)
{
    static const struct { const char *method, *body, *line, *length; } cases[] = {
        { NULL, "", "GET ", NULL }, { "POST", "a", "POST ", "1" }, { "HEAD", "", "HEAD ", NULL }, { "PUT", "abc", "PUT ", "3" }, { "DELETE", "", "DELETE ", NULL },
        { "DELETE", "ab", "DELETE ", "2" }, { "POST", "", "POST ", "0" }, { "OPTIONS", "", "OPTIONS ", NULL }, { "GET", "query", "GET ", "5" },
    };
    enum { N = sizeof cases / sizeof *cases };
    start(serve_text, OK_TEXT);
    for (int i = 0; i < N * N; i++) {
        int k = i % 2 ? i / N : i % N;
        struct memo__http_send s = { .method = cases[k].method, .path = "/", .body = cases[k].body, .bytes = strlen(cases[k].body), .timeout_ns = 10 * MEMO__S };
        if (k == 2)
            peer.text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        else
            peer.text = OK_TEXT;
        ck_assert_int_eq(exchange(&s), MEMO_OK);
        ck_assert_msg(answer.kind == MEMO_OUTCOME_REPLIED, "case %d: %s", k, answer.error);
        ck_assert_str_eq(answer.body, k == 2 ? "" : "hello");
        ck_assert(strncmp(peer.last, cases[k].line, strlen(cases[k].line)) == 0);
        ck_assert_ptr_null(strstr(peer.last, "Expect"));
        ck_assert_ptr_null(strstr(peer.last, "Content-Type"));
        const char *length = strstr(peer.last, "Content-Length: ");
        ck_assert_int_eq(length != NULL, cases[k].length != NULL);
        if (length)
            ck_assert_int_eq(atoi(length + 16), atoi(cases[k].length));
    }
    ck_assert_int_eq(peer_accepted(&peer), 1);
    finish();
}
END_TEST

START_TEST(the_host_is_kept_and_never_resolved)
{
    struct memo__http_target t = { .address = "127.0.0.1", .host = "todo.invalid" };
    char want[64];
    start(serve_text, OK_TEXT);
    t.port = peer.port;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("all_proxy", "http://127.0.0.1:1", 1);
    ck_assert_int_eq(memo__http_exchange(pool, &t, &plain_get, &answer), MEMO_OK);
    ck_hello();
    snprintf(want, sizeof want, "\r\nHost: todo.invalid:%u\r\n", peer.port);
    ck_assert_ptr_nonnull(strstr(peer.last, want));
    t.host = "other.invalid"; /* the same address by another name: another connection */
    ck_assert_int_eq(memo__http_exchange(pool, &t, &plain_get, &answer), MEMO_OK);
    ck_assert(!answer.reused);
    finish();
}
END_TEST

START_TEST(what_is_no_address_is_refused)
{
    struct memo__http_target t = { .address = "localhost", .port = 80 };
    start(serve_text, OK_TEXT);
    ck_assert_int_eq(memo__http_exchange(pool, &t, &plain_get, &answer), MEMO_E_ARGUMENT);
    ck_assert(!answer.sent);
    t = (struct memo__http_target){ .address = "127.0.0.1", .host = "a b", .port = 80 };
    ck_assert_int_eq(memo__http_exchange(pool, &t, &plain_get, &answer), MEMO_E_ARGUMENT);
    t = (struct memo__http_target){ .address = "127.0.0.1", .host = "evil/../x", .port = 80 };
    ck_assert_int_eq(memo__http_exchange(pool, &t, &plain_get, &answer), MEMO_E_ARGUMENT);
    t = (struct memo__http_target){ .address = "127.0.0.1", .port = 0 };
    ck_assert_int_eq(memo__http_exchange(pool, &t, &plain_get, &answer), MEMO_E_ARGUMENT);
    ck_assert_int_eq(answer.kind, MEMO_OUTCOME_CANCELLED);
    ck_assert_str_eq(answer.body, "");
    finish();
}
END_TEST

START_TEST(answers_of_all_kinds)
{
    static const struct { const char *text; int32_t kind; int status; const char *body; } cases[] = {
        { "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", MEMO_OUTCOME_REPLIED, 503, "" },
        { "HTTP/1.1 302 Away\r\nLocation: http://192.0.2.1/\r\nContent-Length: 1\r\n\r\nx", MEMO_OUTCOME_REPLIED, 302, "x" },
        { "HTTP/1.1 204 Nothing\r\n\r\n", MEMO_OUTCOME_REPLIED, 204, "" },
        { "HTTP/1.0 200 OK\r\n\r\nuntil the end", MEMO_OUTCOME_REPLIED, 200, "until the end" },
        { "HTTP/1.1 100 Go on\r\nX-Early: 1\r\n\r\nHTTP/1.1 201 Made\r\nContent-Length: 2\r\n\r\nok", MEMO_OUTCOME_REPLIED, 201, "ok" },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Last: 1\r\n\r\n", MEMO_OUTCOME_REPLIED, 200, "abcde" },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n", MEMO_OUTCOME_PROTOCOL, 0, "" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", MEMO_OUTCOME_RESET, 0, "" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nlonger", MEMO_OUTCOME_REPLIED, 200, "lon" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", MEMO_OUTCOME_PROTOCOL, 0, "" },
        { "HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabcd", MEMO_OUTCOME_PROTOCOL, 0, "" },
        { "SSH-2.0-OpenSSH_9.2\r\n", MEMO_OUTCOME_PROTOCOL, 0, "" },
        { "HTTP/1.1 999 Far\r\nContent-Length: 0\r\n\r\n", MEMO_OUTCOME_PROTOCOL, 0, "" },
        { "HTTP/1.1 200 OK\r\nX", MEMO_OUTCOME_RESET, 0, "" },
        { "", MEMO_OUTCOME_RESET, 0, "" },
    };
    extern peer_fn serve_once;
    start(serve_once, cases[_i].text);
    get();
    ck_assert_msg(answer.kind == cases[_i].kind, "kind %d: %s", answer.kind, answer.error);
    ck_assert_int_eq(answer.http_status, cases[_i].status);
    ck_assert_str_eq(answer.body, cases[_i].body);
    ck_assert_ptr_null(memo__http_answer_get(&answer, "x-early"));
    ck_assert_ptr_null(memo__http_answer_get(&answer, "x-last"));
    ck_assert_int_eq(answer.error[0] == '\0', answer.kind == MEMO_OUTCOME_REPLIED);
    ck_assert(answer.sent);
    finish();
}
END_TEST

peer_fn serve_once;
void serve_once(struct line *l)
{
    if (line_read(l))
        line_say(l, l->peer->text, strlen(l->peer->text));
}

START_TEST(a_folded_header_is_one_line)
{
    start(serve_text, "HTTP/1.1 200 OK\r\nX-Long: one\r\n\t two\r\nContent-Length: 0\r\n\r\n");
    get();
    ck_assert_int_eq(answer.kind, MEMO_OUTCOME_REPLIED);
    const char *value = memo__http_answer_get(&answer, "x-long");
    ck_assert_ptr_nonnull(value);
    ck_assert(strncmp(value, "one", 3) == 0 && strstr(value, "two") != NULL);
    finish();
}
END_TEST

START_TEST(when_to_come_again)
{
    char date[64], text[160];
    time_t at = time(NULL) + 30;
    struct tm tm;
    start(serve_text, "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n");
    get();
    ck_assert_int_eq(answer.retry_after_ms, 7000);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&at, &tm));
    snprintf(text, sizeof text, "HTTP/1.1 503 Busy\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n", date);
    peer.text = text;
    get();
    ck_assert_int_gt(answer.retry_after_ms, 20000);
    ck_assert_int_le(answer.retry_after_ms, 30000);
    peer.text = "HTTP/1.1 503 Busy\r\nRetry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\nContent-Length: 0\r\n\r\n";
    get();
    ck_assert_int_eq(answer.retry_after_ms, 0);
    peer.text = "HTTP/1.1 503 Busy\r\nRetry-After: 99999999999999999999\r\nContent-Length: 0\r\n\r\n";
    get();
    ck_assert_int_ge(answer.retry_after_ms, 0);
    finish();
}
END_TEST

/* ---- caps ---- */

static void serve_endless_headers(struct line *l)
{
    static const char field[] = "X-Endless: abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz\r\n";
    line_read(l);
    line_say(l, "HTTP/1.1 200 OK\r\n", 17);
    for (int i = 0; i < 100000; i++)
        line_say(l, field, sizeof field - 1);
}

static void serve_endless_line(struct line *l)
{
    static char text[4096];
    memset(text, 'a', sizeof text);
    line_read(l);
    line_say(l, "HTTP/1.1 200 OK\r\nX-Endless: ", 28);
    for (int i = 0; i < 1000; i++)
        line_say(l, text, sizeof text);
}

static void serve_endless_early(struct line *l)
{
    line_read(l);
    for (int i = 0; i < 100000; i++)
        line_say(l, "HTTP/1.1 100 Continue\r\n\r\n", 25);
}

static void serve_endless_body(struct line *l)
{
    static char text[65536];
    memset(text, 'b', sizeof text);
    line_read(l);
    line_say(l, "HTTP/1.1 200 OK\r\n\r\n", 19);
    for (int i = 0; i < 1000; i++)
        line_say(l, text, sizeof text);
}

static void serve_big_promise(struct line *l)
{
    line_read(l);
    line_say(l, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nx", 49);
}

static void serve_nul(struct line *l)
{
    line_read(l);
    line_say(l, "HTTP/1.1 200 OK\r\nX-Nul: a\0b\r\nContent-Length: 0\r\n\r\n", 50);
}

START_TEST(nothing_is_endless)
{
    peer_fn *const cases[] = { serve_endless_headers, serve_endless_line, serve_endless_early, serve_endless_body, serve_big_promise, serve_nul };
    start(cases[_i], NULL);
    get();
    ck_assert_msg(answer.kind == MEMO_OUTCOME_PROTOCOL, "kind %d: %s", answer.kind, answer.error);
    ck_assert_str_ne(answer.error, "");
    ck_assert_uint_le(answer.keep.room, (size_t)64 << 20);
    finish();
}
END_TEST

START_TEST(the_caps_can_be_set)
{
    const struct memo__http_options o = { .body_bytes = 4, .head_count = 2, .head_bytes = 1000 };
    start(serve_text, OK_TEXT);
    memo__http_pool_free(pool);
    pool_start(&o);
    get();
    ck_assert_int_eq(answer.kind, MEMO_OUTCOME_PROTOCOL);
    peer.text = "HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 5\r\n\r\nhello";
    get();
    ck_assert_int_eq(answer.kind, MEMO_OUTCOME_PROTOCOL);
    peer.text = "HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 4\r\n\r\nfour";
    get();
    ck_assert_int_eq(answer.kind, MEMO_OUTCOME_REPLIED);
    finish();
}
END_TEST

START_TEST(head_may_promise_any_length)
{
    struct memo__http_send s = plain_get;
    s.method = "HEAD";
    start(serve_text, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n");
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(exchange(&s), MEMO_OK);
        ck_assert_int_eq(answer.kind, MEMO_OUTCOME_REPLIED);
        ck_assert_str_eq(memo__http_answer_get(&answer, "content-length"), "99999999999");
    }
    ck_assert_int_eq(peer_accepted(&peer), 1);
    finish();
}
END_TEST

START_TEST(a_big_body_comes_whole)
{
    enum { BODY = 3000000 };
    char *text = malloc(BODY + 100);
    int head = sprintf(text, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BODY);
    for (int i = 0; i < BODY; i++)
        text[head + i] = (char)('a' + i % 23);
    text[head + BODY] = '\0';
    start(serve_text, text);
    get();
    ck_assert_int_eq(answer.kind, MEMO_OUTCOME_REPLIED);
    ck_assert_uint_eq(answer.body_bytes, BODY);
    ck_assert(memcmp(answer.body, text + head, BODY) == 0);
    ck_assert_int_eq(answer.body[BODY], '\0');
    finish();
    free(text);
}
END_TEST

/* ---- failures ---- */

static void serve_first_then_hang_up(struct line *l)
{
    if (l->nth || !line_read(l))
        return;
    line_say(l, l->peer->text, strlen(l->peer->text));
    line_read(l); /* the second request is taken, and then nothing */
}

/* libcurl would send the second one again, on a new connection. */
START_TEST(it_is_sent_once)
{
    struct memo__http_stats st;
    struct memo__http_send s = plain_get;
    if (_i) {
        s.method = "POST";
        s.body = "once";
        s.bytes = 4;
    }
    start(serve_first_then_hang_up, OK_TEXT);
    get();
    ck_hello();
    ck_assert_int_eq(exchange(&s), MEMO_OK);
    ck_assert_msg(answer.kind == MEMO_OUTCOME_RESET, "kind %d: %s", answer.kind, answer.error);
    ck_assert(answer.sent);
    ck_assert_int_eq(peer_requests(&peer), 2);
    memo__http_pool_stats(pool, &st);
    ck_assert_uint_eq(st.resends_stopped, answer.resend_stopped);
    ck_assert(answer.resend_stopped);
    ck_assert_uint_eq(st.idle, 0);
    finish();
}
END_TEST

static const char ok_text[] = OK_TEXT;

static void serve_first_then_die(struct line *l)
{
    if (l->nth || !line_read(l))
        return;
    line_say(l, l->peer->text, strlen(l->peer->text));
    line_read(l);
    shutdown(l->peer->fd, SHUT_RDWR); /* nobody listens from now on, as when a process was killed */
    if (l->peer->text != ok_text)
        line_reset(l);
}

/* Sent, and the new connection on which libcurl would send it again is refused: a reset as well, which the rules may retry elsewhere. */
START_TEST(a_peer_that_dies_with_the_request)
{
    static const char other_text[] = OK_TEXT;
    start(serve_first_then_die, _i ? other_text : ok_text);
    get();
    ck_hello();
    get();
    ck_assert_msg(answer.kind == MEMO_OUTCOME_RESET, "kind %d: %s", answer.kind, answer.error);
    ck_assert(answer.sent && answer.resend_stopped);
    ck_assert_int_eq(peer_requests(&peer), 2);
    finish();
}
END_TEST

static void serve_first_then_close(struct line *l)
{
    if (line_read(l))
        line_say(l, l->peer->text, strlen(l->peer->text));
}

/* A connection that the peer closed between two exchanges is seen before anything is sent: no failure. */
START_TEST(a_closed_connection_is_replaced)
{
    start(serve_first_then_close, OK_TEXT);
    for (int i = 0; i < 3; i++) {
        get();
        ck_hello();
        ck_assert(!answer.resend_stopped);
        peer_wait_closed(&peer, i);
    }
    ck_assert_int_eq(peer_accepted(&peer), 3);
    finish();
}
END_TEST

static void serve_reset(struct line *l)
{
    line_read(l);
    line_reset(l);
}

START_TEST(a_reset_is_a_reset)
{
    start(serve_reset, NULL);
    get();
    ck_assert_int_eq(answer.kind, MEMO_OUTCOME_RESET);
    ck_assert(answer.sent && !answer.resend_stopped);
    finish();
}
END_TEST

START_TEST(nobody_listens)
{
    start(serve_text, OK_TEXT);
    struct memo__http_target t = to_peer();
    int fd = socket(AF_INET, SOCK_STREAM, 0); /* bound and not listening: refused for certain */
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof a;
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, size), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    t.port = ntohs(a.sin_port);
    ck_assert_int_eq(memo__http_exchange(pool, &t, &plain_get, &answer), MEMO_OK);
    ck_assert_int_eq(answer.kind, MEMO_OUTCOME_CONNECT_FAILED);
    ck_assert(!answer.sent);
    ck_assert_str_ne(answer.error, "");
    close(fd);
    finish();
}
END_TEST

/* A listener whose queue is full does not answer: a connection that never comes. */
START_TEST(a_connection_that_never_comes)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof a;
    int full = socket(AF_INET, SOCK_STREAM, 0), queued = socket(AF_INET, SOCK_STREAM, 0);
    struct pollfd taken = { .fd = full, .events = POLLIN };
    start(serve_text, OK_TEXT);
    ck_assert_int_eq(bind(full, (struct sockaddr *)&a, size), 0);
    ck_assert_int_eq(listen(full, 0), 0);
    ck_assert_int_eq(getsockname(full, (struct sockaddr *)&a, &size), 0);
    ck_assert_int_eq(connect(queued, (struct sockaddr *)&a, size), 0);
    ck_assert_int_eq(poll(&taken, 1, -1), 1); /* it holds one */
    struct memo__http_target t = { .address = "127.0.0.1", .port = ntohs(a.sin_port) };
    struct memo__http_send s = { .timeout_ns = 10 * MEMO__S, .connect_timeout_ms = 50 };
    ck_assert_int_eq(memo__http_exchange(pool, &t, &s, &answer), MEMO_OK);
    ck_assert_msg(answer.kind == MEMO_OUTCOME_CONNECT_FAILED, "%d %s", answer.kind, answer.error);
    ck_assert(!answer.sent);
    s = (struct memo__http_send){ .timeout_ns = 50 * MEMO__MS };
    ck_assert_int_eq(memo__http_exchange(pool, &t, &s, &answer), MEMO_OK);
    ck_assert_int_eq(answer.kind, MEMO_OUTCOME_TIMED_OUT);
    ck_assert(!answer.sent);
    close(queued);
    close(full);
    finish();
}
END_TEST

/* The clock of this program, libcurl included: the machine's, and so much later. A busy machine may take any time to connect and to send; what a test
 * means by "too late" begins when the peer has seen the request. */
static int64_t later_s;

__attribute__((visibility("default"))) int clock_gettime(clockid_t id, struct timespec *t)
{
    int wrong = (int)syscall(SYS_clock_gettime, id, t);
    t->tv_sec += id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_RAW ? memo__load(&later_s) : 0;
    return wrong;
}

static void serve_silence(struct line *l)
{
    if (line_read(l))
        memo__store(&later_s, 10);
    line_read(l); /* until the client has had enough */
}

START_TEST(silence_is_a_timeout)
{
    struct memo__http_send s = plain_get;
    start(serve_silence, NULL);
    s.timeout_ns = 10 * MEMO__S;
    memo__instant before = memo__now(&memo__host_linux);
    ck_assert_int_eq(exchange(&s), MEMO_OK);
    int64_t took = memo__now(&memo__host_linux) - before;
    ck_assert_int_eq(answer.kind, MEMO_OUTCOME_TIMED_OUT);
    ck_assert(answer.sent);
    ck_assert_int_ge(took, 10 * MEMO__S); /* not before its time: the clock stood where it was until the request was there */
    ck_assert_int_lt(took, 15 * MEMO__S);
    s.timeout_ns = 0;
    ck_assert_int_eq(exchange(&s), MEMO_OK);
    ck_assert_int_eq(answer.kind, MEMO_OUTCOME_TIMED_OUT);
    ck_assert(!answer.sent);
    ck_assert_int_eq(peer_requests(&peer), 1);
    finish();
}
END_TEST

/* ---- the pool ---- */

START_TEST(idle_ones_are_bounded_and_swept)
{
    const struct memo__http_options o = { .idle_total = 2, .idle_per_endpoint = 1, .idle_ns = 10 * MEMO__S };
    struct memo__http_stats st;
    peer_start(&peer, "0.0.0.0", serve_text, OK_TEXT);
    pool_start(&o);
    for (int i = 1; i <= 5; i++) {
        char address[32];
        snprintf(address, sizeof address, "127.0.0.%d", i);
        struct memo__http_target t = { .address = address, .port = peer.port };
        ck_assert_int_eq(memo__http_exchange(pool, &t, &plain_get, &answer), MEMO_OK);
        ck_hello();
        memo__http_pool_stats(pool, &st);
        ck_assert_uint_eq(st.idle, i < 2 ? 1 : 2);
    }
    peer_wait_ended(&peer, 3);
    struct memo__http_target t = { .address = "127.0.0.4", .port = peer.port }; /* one of the two that were used last */
    ck_assert_int_eq(memo__http_exchange(pool, &t, &plain_get, &answer), MEMO_OK);
    ck_assert(answer.reused);
    memo__instant now = memo__now(&memo__host_linux);
    memo__http_pool_sweep(pool, now);
    memo__http_pool_stats(pool, &st);
    ck_assert_uint_eq(st.idle, 2);
    memo__http_pool_sweep(pool, now + 20 * MEMO__S);
    memo__http_pool_stats(pool, &st);
    ck_assert_uint_eq(st.idle, 0);
    peer_wait_ended(&peer, 5);
    finish();
}
END_TEST

static void *many_gets(void *user)
{
    int *good = user;
    struct memo__http_answer a = { 0 };
    struct memo__http_target t = to_peer();
    for (int i = 0; i < 200; i++) {
        ck_assert_int_eq(memo__http_exchange(pool, &t, &plain_get, &a), MEMO_OK);
        *good += a.kind == MEMO_OUTCOME_REPLIED && a.http_status == 200 && strcmp(a.body, "hello") == 0;
    }
    memo__http_answer_fini(pool, &a);
    return NULL;
}

START_TEST(threads_share_a_pool)
{
    pthread_t threads[4];
    int good[4] = { 0 };
    struct memo__http_stats st;
    start(serve_text, OK_TEXT);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, many_gets, &good[i]), 0);
    for (int i = 0; i < 20; i++)
        memo__http_pool_sweep(pool, memo__now(&memo__host_linux));
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(good[i], 200);
    }
    memo__http_pool_stats(pool, &st);
    ck_assert_uint_eq(st.exchanges, 800);
    ck_assert_uint_le(st.connections, 4);
    ck_assert_uint_eq(st.busy, 0);
    finish();
}
END_TEST

START_TEST(no_descriptor_survives_exec)
{
    start(serve_text, OK_TEXT);
    bool before[1024];
    for (int fd = 0; fd < 1024; fd++)
        before[fd] = fcntl(fd, F_GETFD) >= 0;
    get();
    ck_hello();
    int fresh = 0;
    for (int fd = 0; fd < 1024; fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (flags < 0 || before[fd])
            continue;
        fresh++;
        ck_assert_msg(flags & FD_CLOEXEC, "descriptor %d would survive", fd);
    }
    ck_assert_int_ge(fresh, 2);
    finish();
}
END_TEST

/* The child starts empty and the parent's connection stays as it was: not closed, nothing said on it. */
START_TEST(a_forked_child_starts_empty)
{
    int status;
    _i ? start_tls(serve_text, OK_TEXT) : start(serve_text, OK_TEXT);
    get();
    ck_hello();
    pid_t child = fork();
    if (child == 0) {
        struct memo__http_stats st;
        struct memo__http_target t = to_peer();
        memo__http_pool_after_fork(pool);
        memo__http_pool_stats(pool, &st);
        if (st.idle || memo__http_exchange(pool, &t, &plain_get, &answer) != MEMO_OK || answer.kind != MEMO_OUTCOME_REPLIED || answer.reused)
            child_ends(false);
        memo__http_answer_fini(pool, &answer);
        memo__http_pool_free(pool);
        child_ends(true);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    peer_wait_ended(&peer, 1); /* the child's */
    get();
    ck_hello();
    ck_assert(answer.reused);
    ck_assert_int_eq(peer_accepted(&peer), 2);
    finish();
}
END_TEST

/* Whatever the other threads were doing to the pool at that moment: the child closes all of the parent's sockets and has a pool that works. */
START_TEST(forks_under_load)
{
    pthread_t threads[4];
    int good[4] = { 0 }, status;
    start(serve_text, OK_TEXT);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, many_gets, &good[i]), 0);
    for (int i = 0; i < 30; i++) {
        pid_t child = fork();
        if (child == 0) {
            struct memo__http_target t = to_peer();
            alarm(20);
            memo__http_pool_after_fork(pool);
            for (int k = 0; k < 3; k++)
                if (memo__http_exchange(pool, &t, &plain_get, &answer) != MEMO_OK || answer.kind != MEMO_OUTCOME_REPLIED || answer.reused != (k > 0))
                    child_ends(false);
            child_ends(true);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(good[i], 200);
    }
    ck_assert_int_le(peer_accepted(&peer), 4 + 30);
    finish();
}
END_TEST

/* ---- SIGPIPE ---- */

static void serve_reset_in_upload(struct line *l)
{
    char some[4096];
    if (l->tls)
        (void)!read(l->fd, some, sizeof some);
    else
        (void)!recv(l->fd, some, sizeof some, 0);
    line_reset(l);
}

static void serve_first_then_reset_in_upload(struct line *l)
{
    if (l->nth == 0 && line_read(l))
        line_say(l, l->peer->text, strlen(l->peer->text));
    serve_reset_in_upload(l);
}

/* With SIGPIPE at its default a process dies of one: that it lives is the test. */
START_TEST(a_reset_in_an_upload_does_not_kill)
{
    enum { BODY = 8 << 20 };
    char *body = calloc(1, BODY);
    struct memo__http_send s = { .method = "POST", .path = "/", .body = body, .bytes = BODY, .timeout_ns = 10 * MEMO__S };
    sigset_t before, after;
    signal(SIGPIPE, SIG_DFL);
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    _i ? start_tls(serve_first_then_reset_in_upload, OK_TEXT) : start(serve_first_then_reset_in_upload, OK_TEXT);
    get();
    ck_hello();
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(exchange(&s), MEMO_OK);
        ck_assert_int_eq(answer.kind, MEMO_OUTCOME_RESET);
        ck_assert(answer.sent);
    }
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    ck_assert_int_eq(sigismember(&before, SIGPIPE), sigismember(&after, SIGPIPE));
    finish();
    free(body);
}
END_TEST

/* ---- TLS ---- */

START_TEST(tls_checks_the_name)
{
    start_tls(serve_text, OK_TEXT);
    get();
    ck_hello();
    get();
    ck_assert(answer.reused);
    struct memo__http_target t = to_peer();
    t.host = "other.internal";
    ck_assert_int_eq(memo__http_exchange(pool, &t, &plain_get, &answer), MEMO_OK);
    ck_assert_int_eq(answer.kind, MEMO_OUTCOME_CONNECT_FAILED);
    ck_assert(!answer.sent);
    t.host = NULL; /* by its address, which the certificate names too */
    ck_assert_int_eq(memo__http_exchange(pool, &t, &plain_get, &answer), MEMO_OK);
    ck_hello();
    memo__http_answer_fini(pool, &answer);
    memo__http_pool_free(pool);
    pool_start(NULL); /* the system's CAs do not know it */
    get();
    ck_assert_int_eq(answer.kind, MEMO_OUTCOME_CONNECT_FAILED);
    finish();
}
END_TEST

START_TEST(a_ca_file_that_is_not_there)
{
    const struct memo__http_options o = { .ca_file = "/nonexistent/ca.pem" };
    memo_error e = MEMO_INIT(memo_error);
    ck_assert_int_eq(memo__http_pool_new(&memo__alloc_libc, &memo__host_linux, &o, &pool, &e), MEMO_E_SETTING);
    ck_assert_ptr_null(pool);
    ck_assert_ptr_nonnull(strstr(e.message, "/nonexistent/ca.pem"));
}
END_TEST

/* ---- memory ---- */

START_TEST(without_memory_it_says_so)
{
    static const memo_header h[] = { { "x-a", "1", 0, 0 } };
    const struct memo__http_send s = { .method = "POST", .path = "/some/path", .headers = h, .count = 1, .body = "x", .bytes = 1, .timeout_ns = 10 * MEMO__S };
    struct failing f;
    long n = 0;
    char text[6000];
    int head = sprintf(text, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n");
    memset(text + head, 'x', 5000);
    text[head + 5000] = '\0';
    peer_start(&peer, "127.0.0.1", serve_text, text);
    do {
        memset(&answer, 0, sizeof answer);
        failing_init(&f, ++n, _i);
        memo_status st = memo__http_pool_new(&f.alloc, &memo__host_linux, NULL, &pool, NULL);
        if (st == MEMO_OK) {
            st = exchange(&s);
            ck_assert(st == MEMO_OK ? answer.kind == MEMO_OUTCOME_REPLIED && answer.body_bytes == 5000 : st == MEMO_E_NO_MEMORY && answer.kind == MEMO_OUTCOME_CANCELLED);
            memo__http_answer_fini(pool, &answer);
        }
        ck_assert(st == MEMO_OK || f.failed);
        memo__http_pool_free(pool);
        failing_done(&f);
    } while (f.failed);
    ck_assert_int_gt(n, 6);
    peer_stop(&peer);
}
END_TEST

/* That this process may have no more descriptors says nothing about the peer. */
START_TEST(no_descriptor_left)
{
    struct rlimit was, none;
    start(serve_text, OK_TEXT);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
    int next = dup(0);
    (void)close(next);
    none = was;
    none.rlim_cur = (rlim_t)next;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    memo_status s = exchange(&plain_get);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
    ck_assert_int_eq(s, MEMO_E_NO_MEMORY);
    ck_assert(answer.kind == MEMO_OUTCOME_CANCELLED && !answer.sent);
    ck_assert_int_eq(exchange(&plain_get), MEMO_OK);
    ck_hello();
    finish();
}
END_TEST

/* ---- what a caller may send ---- */

START_TEST(an_answer_of_another_transport)
{
    struct failing f;
    struct memo__http_pool *p = NULL;
    struct memo__http_answer a = { 0 };
    failing_init(&f, 0, false);
    ck_assert_int_eq(memo__http_pool_new(&f.alloc, &memo__host_linux, NULL, &p, NULL), MEMO_OK);
    ck_assert_int_eq(memo__http_answer_set(p, &a, 503, MEMO__TEXT("Retry-After\0" "1\0"), MEMO__TEXT("busy")), MEMO_OK);
    ck_assert_int_eq(a.kind, MEMO_OUTCOME_REPLIED);
    ck_assert_int_eq(a.http_status, 503);
    ck_assert_str_eq(a.body, "busy");
    ck_assert_uint_eq(a.body_bytes, 4);
    ck_assert_str_eq(memo__http_answer_get(&a, "retry-after"), "1");
    f.fail_at = f.requests + 1;
    ck_assert_int_eq(memo__http_answer_set(p, &a, 200, MEMO__TEXT(""), MEMO__TEXT("a body that is longer than what was there before")),
                     MEMO_E_NO_MEMORY);
    ck_assert_str_eq(a.body, "busy");
    ck_assert_int_eq(memo__http_answer_set(p, &a, 204, MEMO__TEXT(""), MEMO__TEXT("")), MEMO_OK);
    ck_assert_str_eq(a.body, "");
    ck_assert_ptr_null(memo__http_answer_get(&a, "retry-after"));
    memo__http_answer_fini(p, &a);
    memo__http_pool_free(p);
    failing_done(&f);
}
END_TEST

START_TEST(headers_are_checked)
{
    static const struct { memo_header h; memo_status s; } cases[] = {
        { { "x-a", "1", 0, 0 }, MEMO_OK },
        { { "X_a.b!", "", 0, 0 }, MEMO_OK },
        { { "x-a", "with\ttab and \xc3\xa4", 0, 0 }, MEMO_OK },
        { { "x-a", NULL, 0, 0 }, MEMO_OK },
        { { "Host", "other", 0, 0 }, MEMO_OK },
        { { "x-a", "1\r\nevil: 2", 0, 0 }, MEMO_E_ARGUMENT },
        { { "x-a", "1\n", 0, 0 }, MEMO_E_ARGUMENT },
        { { "x-a", "1\r", 0, 0 }, MEMO_E_ARGUMENT },
        { { "x-a", "a\0b", 0, 3 }, MEMO_E_ARGUMENT },
        { { "x-a", "\x7f", 0, 0 }, MEMO_E_ARGUMENT },
        { { "", "1", 0, 0 }, MEMO_E_ARGUMENT },
        { { NULL, "1", 0, 0 }, MEMO_E_ARGUMENT },
        { { NULL, "1", 3, 0 }, MEMO_E_ARGUMENT },
        { { "x-a", NULL, 0, 3 }, MEMO_E_ARGUMENT },
        { { "x a", "1", 0, 0 }, MEMO_E_ARGUMENT },
        { { "x:a", "1", 0, 0 }, MEMO_E_ARGUMENT },
        { { "x;", "1", 0, 0 }, MEMO_E_ARGUMENT },
        { { "x\0a", "1", 3, 0 }, MEMO_E_ARGUMENT },
        { { "x\xc3\xa4", "1", 0, 0 }, MEMO_E_ARGUMENT },
        { { "content-LENGTH", "1", 0, 0 }, MEMO_E_ARGUMENT },
        { { "Transfer-Encoding", "chunked", 0, 0 }, MEMO_E_ARGUMENT },
        { { "connection", "close", 0, 0 }, MEMO_E_ARGUMENT },
    };
    memo_error e = MEMO_INIT(memo_error);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_msg(memo__http_check_header(&cases[i].h, &e) == cases[i].s, "case %zu", i);
    ck_assert_str_ne(e.message, "");
}
END_TEST

START_TEST(methods_and_paths_are_checked)
{
    ck_assert_int_eq(memo__http_check_method(NULL, NULL), MEMO_OK);
    ck_assert_int_eq(memo__http_check_method("PATCH", NULL), MEMO_OK);
    ck_assert_int_eq(memo__http_check_method("", NULL), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__http_check_method("GET /", NULL), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__http_check_method("CONNECT", NULL), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__http_check_method("ABCDEFGHIJKLMNOPQRSTUVWXYZ", NULL), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__http_check_path(NULL, NULL), MEMO_OK);
    ck_assert_int_eq(memo__http_check_path("/a/../b?c=%20&d=\xc3\xa4", NULL), MEMO_OK);
    ck_assert_int_eq(memo__http_check_path("", NULL), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__http_check_path("a", NULL), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__http_check_path("@evil/", NULL), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__http_check_path("/a b", NULL), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__http_check_path("/a\r\nb", NULL), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__http_check_path("/a#b", NULL), MEMO_E_ARGUMENT);
}
END_TEST

START_TEST(a_path_goes_as_it_is)
{
    struct memo__http_send s = plain_get;
    s.path = "/a/../b//c?x=%2e&y=\xc3\xa4";
    start(serve_text, OK_TEXT);
    ck_assert_int_eq(exchange(&s), MEMO_OK);
    ck_hello();
    peer.last[strcspn(peer.last, "\r")] = '\0';
    ck_assert_str_eq(peer.last, "GET /a/../b//c?x=%2e&y=\xc3\xa4 HTTP/1.1");
    finish();
}
END_TEST

Suite *suite_net_http(void)
{
    Suite *s = suite_create("net/http");
    TCase *t = tcase_create("http");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, an_answer_and_the_connection_again);
    tcase_add_test(t, the_bytes_on_the_wire);
    tcase_add_test(t, methods_follow_each_other);
    tcase_add_test(t, the_host_is_kept_and_never_resolved);
    tcase_add_test(t, what_is_no_address_is_refused);
    tcase_add_loop_test(t, answers_of_all_kinds, 0, 15);
    tcase_add_test(t, a_folded_header_is_one_line);
    tcase_add_test(t, when_to_come_again);
    tcase_add_loop_test(t, nothing_is_endless, 0, 6);
    tcase_add_test(t, the_caps_can_be_set);
    tcase_add_test(t, head_may_promise_any_length);
    tcase_add_test(t, a_big_body_comes_whole);
    tcase_add_loop_test(t, it_is_sent_once, 0, 2);
    tcase_add_loop_test(t, a_peer_that_dies_with_the_request, 0, 2);
    tcase_add_test(t, a_closed_connection_is_replaced);
    tcase_add_test(t, a_reset_is_a_reset);
    tcase_add_test(t, nobody_listens);
    tcase_add_test(t, a_connection_that_never_comes);
    tcase_add_test(t, silence_is_a_timeout);
    tcase_add_test(t, idle_ones_are_bounded_and_swept);
    tcase_add_test(t, threads_share_a_pool);
    tcase_add_test(t, no_descriptor_survives_exec);
    tcase_add_loop_test(t, a_forked_child_starts_empty, 0, 2);
    if (FORKS_BESIDE_THREADS)
        tcase_add_test(t, forks_under_load);
    tcase_add_loop_test(t, a_reset_in_an_upload_does_not_kill, 0, 2);
    tcase_add_test(t, tls_checks_the_name);
    tcase_add_test(t, a_ca_file_that_is_not_there);
    tcase_add_loop_test(t, without_memory_it_says_so, 0, 2);
    tcase_add_test(t, an_answer_of_another_transport);
    tcase_add_test(t, no_descriptor_left);
    tcase_add_test(t, headers_are_checked);
    tcase_add_test(t, methods_and_paths_are_checked);
    tcase_add_test(t, a_path_goes_as_it_is);
    suite_add_tcase(s, t);
    return s;
}
