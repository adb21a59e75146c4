/* SPDX-License-Identifier: Apache-2.0 */
/* httpd.c: clients of all manners against the small server, all on one thread and on a clock of our own. */
#define _GNU_SOURCE
#include "net/httpd.h"
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/unit/failing.h"
#include "tests/unit/net/child.h"

Suite *suite_net_httpd(void);

struct client { int fd; char got[1 << 20]; size_t n; bool closed; int error; };

static struct memo__host host;
static memo__instant clock_ns;
static struct memo__loop *loop;
static struct memo__httpd *server;
static uint16_t port;
static struct memo__httpd_request *kept;    /* the request that the handler did not answer */
static int gone, stopped;
static char *big;                           /* what "/big" answers */
enum { BIG = 4 << 20 };

static memo__instant my_now(void *user)
{
    (void)user;
    return clock_ns;
}

static void forget(struct memo__httpd_request *r, void *user)
{
    (void)user;
    ck_assert_ptr_eq(r, kept);
    kept = NULL;
    gone++;
}

static void handle(struct memo__httpd_request *r, void *user)
{
    char text[512];
    struct memo__text body = memo__httpd_body(r), method = memo__httpd_method(r), x = memo__httpd_header(r, "x-a");
    const char *path = memo__httpd_path(r).at;
    ck_assert_ptr_eq(user, &port);
    ck_assert_ptr_eq(memo__httpd_loop(r), loop);
    ck_assert_uint_eq(strlen(path), memo__httpd_path(r).n);
    ck_assert_uint_eq(strlen(memo__httpd_query(r).at), memo__httpd_query(r).n);
    if (strcmp(path, "/later") == 0 || strcmp(path, "/orphan") == 0) {
        kept = r;
        if (strcmp(path, "/later") == 0)
            memo__httpd_on_gone(r, forget, NULL);
        return;
    }
    if (strcmp(path, "/abort") == 0) {
        memo__httpd_abort(r);
        return;
    }
    if (strcmp(path, "/big") == 0) {
        memo__httpd_reply(r, 200, NULL, 0, big, BIG);
        return;
    }
    if (strcmp(path, "/none") == 0) {
        memo__httpd_reply(r, 204, NULL, 0, NULL, 0);
        return;
    }
    snprintf(text, sizeof text, "%.*s %s ?%s [%.*s] %.*s", (int)method.n, method.at, path, memo__httpd_query(r).at, (int)(body.n < 99 ? body.n : 99), body.at, (int)x.n, x.at ? x.at : "");
    const memo_header h[] = { { "X-B", "yes", 0, 0 }, { "X-Evil", "a\r\nb", 0, 0 } };
    memo__httpd_reply(r, 200, h, 2, text, strlen(text));
    if (strcmp(path, "/twice") == 0)
        memo__httpd_reply_text(r, 500, "text/plain", "one too many");
}

static void start(const struct memo__httpd_options *o)
{
    ck_assert_int_eq(memo__httpd_new(&memo__alloc_libc, loop, o, handle, &port, &server), MEMO_OK);
    port = 0;
    ck_assert_int_eq(memo__httpd_listen(server, "127.0.0.1", &port, NULL), MEMO_OK);
    ck_assert_uint_ne(port, 0);
}

static void setup(void)
{
    host = memo__host_linux;
    host.now = my_now;
    clock_ns = 1000 * MEMO__S;
    kept = NULL;
    gone = stopped = 0;
    ck_assert_int_eq(memo__loop_new(&memo__alloc_libc, &host, &loop), MEMO_OK);
    start(NULL);
}

static void teardown(void)
{
    memo__httpd_free(server);
    memo__httpd_free(NULL);
    memo__loop_free(loop);
}

static void turn(int64_t ns)
{
    clock_ns += ns;
    ck_assert_int_eq(memo__loop_step(loop, 0), MEMO_OK);
}

/* ---- clients ---- */

static struct client *client_of(const struct sockaddr *a, socklen_t n)
{
    struct client *c = calloc(1, sizeof *c);
    c->fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(c->fd, a, n), 0);
    return c;
}

static struct client *client_new(void)
{
    const struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    return client_of((const struct sockaddr *)&a, sizeof a);
}

static void client_free(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    free(c);
}

static void say_bytes(struct client *c, const char *text, size_t n)
{
    while (n) {
        ssize_t sent = send(c->fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN)
            return;
        if (sent < 0)
            turn(0);
        text += sent > 0 ? sent : 0;
        n -= sent > 0 ? (size_t)sent : 0;
    }
}

static void say(struct client *c, const char *text) { say_bytes(c, text, strlen(text)); }

static void hear(struct client *c)
{
    ssize_t got = recv(c->fd, c->got + c->n, sizeof c->got - 1 - c->n, MSG_DONTWAIT);
    if (got > 0)
        c->n += (size_t)got;
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        c->closed = true;
        c->error = got < 0 ? errno : 0;
    }
    c->got[c->n] = '\0';
}

/* Turns until the client has heard that text, or the end if it is NULL. The kernel needs no time on loopback, so a bound is a failure. */
static void until(struct client *c, const char *text)
{
    for (int i = 0; i < 20000 && !(text ? strstr(c->got, text) != NULL : c->closed); i++) {
        ck_assert_int_eq(memo__loop_step(loop, i < 1000 ? 0 : MEMO__MS), MEMO_OK);
        if (!c->closed)
            hear(c);
    }
    ck_assert_msg(text ? strstr(c->got, text) != NULL : c->closed, "waited for %s, heard \"%s\"", text ? text : "the end", c->got);
}

static void forget_heard(struct client *c)
{
    c->n = 0;
    c->got[0] = '\0';
}

static void settle(void)
{
    for (int i = 0; i < 20; i++)
        turn(0);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: t\r\n\r\n"

/* ---- requests ---- */

START_TEST(what_was_asked_is_answered)
{
    struct client *c = client_new();
    say(c, "GET /a/b?c=d&e HTTP/1.1\r\nHost: t\r\nX-A: 1\r\n\r\n");
    until(c, "GET /a/b ?c=d&e [] 1");
    ck_assert(strncmp(c->got, "HTTP/1.1 200 OK\r\nContent-Length: 20\r\nX-B: yes\r\n\r\n", 49) == 0);
    ck_assert_ptr_null(strstr(c->got, "Evil"));
    forget_heard(c);
    say(c, "POST /p HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello");
    until(c, "POST /p ? [hello] ");
    forget_heard(c);
    say(c, "POST /p HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    until(c, "POST /p ? [abcde] ");
    forget_heard(c);
    say(c, "HEAD /h HTTP/1.1\r\nHost: t\r\n\r\n");
    until(c, "\r\n\r\n");
    settle();
    hear(c);
    ck_assert_ptr_null(strstr(c->got, "HEAD /h"));
    forget_heard(c);
    say(c, "\r\nGET http://other:80/abs HTTP/1.1\r\nHost: t\r\n\r\n");
    until(c, "GET /abs ? []");
    forget_heard(c);
    say(c, GET("/none"));
    until(c, "HTTP/1.1 204 No Content\r\n\r\n");
    forget_heard(c);
    say(c, GET("/twice"));
    until(c, "GET /twice");
    say(c, "GET /last HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    until(c, NULL);
    ck_assert_int_eq(c->error, 0);
    ck_assert_ptr_nonnull(strstr(c->got, "Connection: close\r\n"));
    ck_assert_uint_eq(memo__httpd_requests(server), 8);
    ck_assert_uint_eq(memo__httpd_connections(server), 0);
    client_free(c);
}
END_TEST

START_TEST(http_1_0_is_closed_unless_it_asks)
{
    struct client *c = client_new();
    say(c, "GET /one HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    until(c, "GET /one");
    ck_assert_ptr_nonnull(strstr(c->got, "Connection: keep-alive\r\n"));
    say(c, "GET /two HTTP/1.0\r\n\r\n");
    until(c, NULL);
    ck_assert_ptr_nonnull(strstr(c->got, "GET /two"));
    client_free(c);
}
END_TEST

START_TEST(bytes_may_drip)
{
    static const char text[] = "POST /drip?q HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nPOST /drop HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nxyz";
    struct client *c = client_new();
    for (size_t i = 0; i < sizeof text - 1; i++) {
        say_bytes(c, text + i, 1);
        turn(0);
        turn(0);
    }
    until(c, "POST /drip ?q [abcde]");
    until(c, "POST /drop ? [xyz]");
    client_free(c);
}
END_TEST

START_TEST(what_is_sent_ahead_waits_its_turn)
{
    struct client *c = client_new();
    say(c, GET("/1") GET("/later") GET("/3") "POST /4 HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nok" GET("/5"));
    until(c, "GET /1");
    settle();
    hear(c);
    ck_assert_ptr_null(strstr(c->got, "/3"));
    ck_assert_ptr_nonnull(kept);
    memo__httpd_reply_text(kept, 200, "text/plain", "late");
    ck_assert_uint_eq(memo__httpd_requests(server), 2); /* the next handler is not called from within the reply */
    until(c, "GET /5");
    ck_assert_ptr_nonnull(strstr(c->got, "late"));
    ck_assert(strstr(c->got, "late") < strstr(c->got, "/3"));
    ck_assert_ptr_nonnull(strstr(c->got, "POST /4 ? [ok]"));
    client_free(c);
}
END_TEST

START_TEST(a_body_that_is_waited_for)
{
    struct client *c = client_new();
    say(c, "PUT /c HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    until(c, "HTTP/1.1 100 Continue\r\n\r\n");
    say(c, "abc");
    until(c, "PUT /c ? [abc]");
    client_free(c);
}
END_TEST

START_TEST(a_body_of_a_megabyte)
{
    struct client *c = client_new();
    char *text = malloc((1 << 20) + 200), head[128];
    memset(text, 'x', (1 << 20) + 200);
    snprintf(head, sizeof head, "POST /b HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n", 1 << 20);
    say(c, head);
    say_bytes(c, text, 1 << 20);
    until(c, "POST /b ? [xxxx");
    forget_heard(c);
    say(c, "POST /c HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n");
    say_bytes(c, text, 0xfffff);
    say(c, "\r\n0\r\n\r\n");
    until(c, "POST /c ? [xxxx");
    free(text);
    client_free(c);
}
END_TEST

START_TEST(what_is_wrong_is_refused_and_closed)
{
    static const struct { const char *text, *answer; } cases[] = {
        { "GET / HTTP/1.1\n\n", "HTTP/1.1 400 Bad Request\r\n" },
        { "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 " },
        { "GET noslash HTTP/1.1\r\nHost: t\r\n\r\n", "HTTP/1.1 400 " },
        { "GET http://x HTTP/1.1\r\nHost: t\r\n\r\n", "HTTP/1.1 400 " },
        { "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1048577\r\n\r\n", "HTTP/1.1 413 " },
        { "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 400 " },
        { "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 501 " },
        { "GET / HTTP/2.0\r\nHost: t\r\n\r\n", "HTTP/1.1 505 " },
        { "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 400 " },
    };
    struct client *c = client_new();
    say(c, cases[_i].text);
    until(c, cases[_i].answer);
    ck_assert_ptr_nonnull(strstr(c->got, "Connection: close\r\n"));
    say(c, "more that nobody reads");
    settle();
    turn(2 * MEMO__S); /* it lingers for a second */
    until(c, NULL);
    ck_assert_uint_eq(memo__httpd_requests(server), 0);
    ck_assert_uint_eq(memo__httpd_connections(server), 0);
    client_free(c);
}
END_TEST

START_TEST(too_much_is_refused)
{
    struct client *c = client_new(), *d = client_new();
    static char text[70000];
    memset(text, 'a', sizeof text);
    say(c, "GET / HTTP/1.1\r\nX: ");
    say_bytes(c, text, sizeof text);
    until(c, "HTTP/1.1 431 ");
    say(d, "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 20; i++) {
        say(d, "fffff\r\n");
        for (int k = 0; k < 0xfffff / 60000 + 1; k++)
            say_bytes(d, text, k == 0xfffff / 60000 ? 0xfffff % 60000 : 60000);
        say(d, "\r\n");
        hear(d);
        if (d->n)
            break;
    }
    until(d, "HTTP/1.1 413 ");
    client_free(c);
    client_free(d);
}
END_TEST

/* ---- replies ---- */

START_TEST(a_reply_may_come_later)
{
    struct client *c = client_new();
    say(c, GET("/later"));
    while (!kept)
        turn(0);
    turn(100 * MEMO__S); /* no deadline for a handler */
    memo__httpd_reply_text(kept, 503, "text/plain", "at last");
    until(c, "at last");
    ck_assert(strncmp(c->got, "HTTP/1.1 503 Service Unavailable\r\n", 34) == 0);
    say(c, GET("/again"));
    until(c, "GET /again");
    ck_assert_int_eq(gone, 0);
    client_free(c);
}
END_TEST

static void leave(struct client *c)
{
    const struct linger now = { 1, 0 };
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    client_free(c);
}

START_TEST(a_client_that_leaves_is_told_of)
{
    struct client *c = client_new();
    say(c, GET("/later"));
    while (!kept)
        turn(0);
    leave(c);
    settle();
    ck_assert_int_eq(gone, 1);
    ck_assert_uint_eq(memo__httpd_connections(server), 0);
}
END_TEST

START_TEST(a_reply_to_nobody_goes_nowhere)
{
    struct client *c = client_new();
    say(c, GET("/orphan"));
    while (!kept)
        turn(0);
    leave(c);
    settle();
    ck_assert_uint_eq(memo__httpd_connections(server), 1); /* until the reply */
    memo__httpd_reply_text(kept, 200, "text/plain", "hello?");
    ck_assert_uint_eq(memo__httpd_connections(server), 0);
    ck_assert_int_eq(gone, 0);
}
END_TEST

START_TEST(a_big_reply_takes_its_time)
{
    struct client *c = client_new();
    size_t all = 0;
    const char *body = NULL;
    big = malloc(BIG);
    memset(big, 'z', BIG);
    say(c, GET("/big"));
    for (int i = 0; i < 100000 && all < BIG; i++) {
        turn(0);
        hear(c);
        if (!body && (body = strstr(c->got, "\r\n\r\n")))
            all = c->n - (size_t)(body + 4 - c->got);
        else if (body)
            all += c->n;
        if (body)
            forget_heard(c);
    }
    ck_assert_uint_eq(all, BIG);
    say(c, GET("/after"));
    until(c, "GET /after");
    free(big);
    client_free(c);
}
END_TEST

/* Over a unix socket: it is full when it is full, while TCP on a busy machine takes some more a moment later, and that is progress. */
START_TEST(who_does_not_read_is_dropped)
{
    char dir[] = "/tmp/memo-httpd-XXXXXX";
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(a.sun_path, sizeof a.sun_path, "%s/s", dir);
    ck_assert_int_eq(memo__httpd_listen_unix(server, a.sun_path, 0600, NULL), MEMO_OK);
    struct client *c = client_of((struct sockaddr *)&a, sizeof a);
    big = malloc(BIG);
    memset(big, 'z', BIG);
    say(c, GET("/big"));
    settle();
    ck_assert_uint_eq(memo__httpd_connections(server), 1);
    turn(9 * MEMO__S);
    ck_assert_uint_eq(memo__httpd_connections(server), 1);
    turn(2 * MEMO__S);
    ck_assert_uint_eq(memo__httpd_connections(server), 0);
    free(big);
    client_free(c);
    memo__httpd_free(server);
    server = NULL;
    ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

START_TEST(an_abort_is_a_reset)
{
    struct client *c = client_new(), *d = client_new();
    say(c, GET("/abort"));
    until(c, NULL);
    ck_assert_int_eq(c->error, ECONNRESET);
    say(d, GET("/later"));
    while (!kept)
        turn(0);
    memo__httpd_abort(kept);
    until(d, NULL);
    ck_assert_int_eq(d->error, ECONNRESET);
    ck_assert_uint_eq(memo__httpd_connections(server), 0);
    client_free(c);
    client_free(d);
}
END_TEST

/* ---- limits ---- */

START_TEST(more_clients_wait)
{
    const struct memo__httpd_options o = { .connections = 2 };
    memo__httpd_free(server);
    start(&o);
    struct client *a = client_new(), *b = client_new(), *c = client_new();
    say(a, GET("/a"));
    say(b, GET("/b"));
    say(c, GET("/c"));
    until(a, "GET /a");
    until(b, "GET /b");
    settle();
    hear(c);
    ck_assert_uint_eq(c->n, 0);
    ck_assert_uint_eq(memo__httpd_connections(server), 2);
    client_free(a);
    until(c, "GET /c");
    client_free(b);
    client_free(c);
}
END_TEST

START_TEST(idle_ones_are_closed)
{
    struct client *c = client_new(), *d = client_new();
    say(c, GET("/c"));
    until(c, "GET /c");
    settle();
    turn(59 * MEMO__S);
    say(c, GET("/again"));
    until(c, "GET /again"); /* which begins a new minute; d has never said anything */
    turn(2 * MEMO__S);
    until(d, NULL);
    ck_assert_uint_eq(memo__httpd_connections(server), 1);
    turn(60 * MEMO__S);
    turn(0);
    until(c, NULL);
    ck_assert_uint_eq(memo__httpd_connections(server), 0);
    client_free(c);
    client_free(d);
}
END_TEST

START_TEST(half_a_request_is_not_waited_for)
{
    struct client *c = client_new();
    say(c, "GET /slow HT");
    settle();
    turn(9 * MEMO__S);
    say(c, "TP/1.1\r\n"); /* dripping does not help */
    settle();
    turn(2 * MEMO__S);
    until(c, "HTTP/1.1 408 Request Timeout\r\n");
    client_free(c);
}
END_TEST

/* ---- the end ---- */

static void count_stopped(void *user)
{
    ++*(int *)user;
}

START_TEST(a_stop_lets_running_ones_finish)
{
    struct client *idle = client_new(), *busy = client_new();
    say(idle, GET("/x"));
    until(idle, "GET /x");
    say(busy, GET("/later"));
    while (!kept)
        turn(0);
    memo__httpd_stop(server, count_stopped, &stopped);
    until(idle, NULL);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof a), -1);
    close(fd);
    settle();
    ck_assert_int_eq(stopped, 0);
    memo__httpd_reply_text(kept, 200, "text/plain", "the last");
    ck_assert_int_eq(stopped, 0); /* on a later turn */
    until(busy, NULL);
    ck_assert_ptr_nonnull(strstr(busy->got, "Connection: close\r\n"));
    ck_assert_ptr_nonnull(strstr(busy->got, "the last"));
    settle();
    ck_assert_int_eq(stopped, 1);
    ck_assert_int_eq(memo__httpd_listen(server, "127.0.0.1", &port, NULL), MEMO_E_STATE);
    client_free(idle);
    client_free(busy);
}
END_TEST

START_TEST(an_idle_server_stops_at_once)
{
    memo__httpd_stop(server, count_stopped, &stopped);
    ck_assert_int_eq(stopped, 0);
    turn(0);
    turn(0);
    ck_assert_int_eq(stopped, 1);
}
END_TEST

START_TEST(the_end_tells_those_who_are_due)
{
    struct client *c = client_new(), *d = client_new();
    say(c, GET("/later"));
    while (!kept)
        turn(0);
    say(d, GET("/d"));
    until(d, "GET /d");
    memo__httpd_free(server);
    server = NULL;
    ck_assert_int_eq(gone, 1);
    until(c, NULL);
    client_free(c);
    client_free(d);
}
END_TEST

START_TEST(a_forked_child_lets_go_quietly)
{
    struct client *c = client_new();
    int status;
    say(c, GET("/x"));
    until(c, "GET /x");
    pid_t child = fork();
    if (child == 0) {
        bool good = memo__loop_after_fork(loop) == MEMO_OK;
        memo__httpd_after_fork(server);
        good = good && memo__httpd_connections(server) == 0;
        turn(0);
        child_ends(good);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    forget_heard(c);
    say(c, GET("/y"));
    until(c, "GET /y");
    client_free(c);
}
END_TEST

/* ---- listening ---- */

START_TEST(a_unix_socket)
{
    char dir[] = "/tmp/memo-httpd-XXXXXX";
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    struct stat st;
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(a.sun_path, sizeof a.sun_path, "%s/s", dir);
    int stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(stale, (struct sockaddr *)&a, sizeof a), 0);
    close(stale); /* its name stays */
    ck_assert_int_eq(memo__httpd_listen_unix(server, a.sun_path, 0600, NULL), MEMO_OK);
    ck_assert_int_eq(stat(a.sun_path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    memo_error e = MEMO_INIT(memo_error);
    ck_assert_int_eq(memo__httpd_listen_unix(server, a.sun_path, 0600, &e), MEMO_E_IO); /* somebody answers there: us */
    struct client *c = client_of((struct sockaddr *)&a, sizeof a);
    say(c, GET("/u"));
    until(c, "GET /u");
    client_free(c);
    memo__httpd_free(server);
    server = NULL;
    ck_assert_int_eq(stat(a.sun_path, &st), -1);
    ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

START_TEST(where_it_cannot_listen)
{
    char path[200];
    uint16_t again = port;
    memo_error e = MEMO_INIT(memo_error);
    ck_assert_int_eq(memo__httpd_listen(server, "127.0.0.1", &again, &e), MEMO_E_IO);
    ck_assert_int_eq(memo__httpd_listen(server, "localhost", &again, &e), MEMO_E_ARGUMENT);
    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    ck_assert_int_eq(memo__httpd_listen_unix(server, path, 0600, &e), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__httpd_listen_unix(server, "/dev/null/s", 0600, &e), MEMO_E_IO);
    for (int i = 1; i < 8; i++) {
        uint16_t any = 0;
        ck_assert_int_eq(memo__httpd_listen(server, "127.0.0.1", &any, &e), MEMO_OK);
    }
    again = 0;
    ck_assert_int_eq(memo__httpd_listen(server, "127.0.0.1", &again, &e), MEMO_E_STATE);
}
END_TEST

/* ---- memory ---- */

START_TEST(without_memory_the_client_sees_an_end)
{
    struct failing f;
    long n = 0;
    memo__httpd_free(server);
    server = NULL;
    do {
        failing_init(&f, ++n, _i);
        memo_status s = memo__httpd_new(&f.alloc, loop, NULL, handle, &port, &server);
        ck_assert_int_eq(s, f.failed ? MEMO_E_NO_MEMORY : MEMO_OK);
        if (s != MEMO_OK)
            continue;
        port = 0;
        ck_assert_int_eq(memo__httpd_listen(server, "127.0.0.1", &port, NULL), MEMO_OK);
        struct client *c = client_new();
        say(c, "POST /x HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        for (int i = 0; i < 50; i++) {
            turn(0);
            if (!c->closed)
                hear(c);
        }
        turn(2 * MEMO__S);
        until(c, NULL);
        ck_assert(f.failed || strstr(c->got, "POST /x ? [abc]") != NULL);
        client_free(c);
        memo__httpd_free(server);
        server = NULL;
        failing_done(&f);
    } while (f.failed);
    ck_assert_int_gt(n, 4);
}
END_TEST

Suite *suite_net_httpd(void)
{
    Suite *s = suite_create("net/httpd");
    TCase *t = tcase_create("httpd");
    tcase_set_timeout(t, 30);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, what_was_asked_is_answered);
    tcase_add_test(t, http_1_0_is_closed_unless_it_asks);
    tcase_add_test(t, bytes_may_drip);
    tcase_add_test(t, what_is_sent_ahead_waits_its_turn);
    tcase_add_test(t, a_body_that_is_waited_for);
    tcase_add_test(t, a_body_of_a_megabyte);
    tcase_add_loop_test(t, what_is_wrong_is_refused_and_closed, 0, 9);
    tcase_add_test(t, too_much_is_refused);
    tcase_add_test(t, a_reply_may_come_later);
    tcase_add_test(t, a_client_that_leaves_is_told_of);
    tcase_add_test(t, a_reply_to_nobody_goes_nowhere);
    tcase_add_test(t, a_big_reply_takes_its_time);
    tcase_add_test(t, who_does_not_read_is_dropped);
    tcase_add_test(t, an_abort_is_a_reset);
    tcase_add_test(t, more_clients_wait);
    tcase_add_test(t, idle_ones_are_closed);
    tcase_add_test(t, half_a_request_is_not_waited_for);
    tcase_add_test(t, a_stop_lets_running_ones_finish);
    tcase_add_test(t, an_idle_server_stops_at_once);
    tcase_add_test(t, the_end_tells_those_who_are_due);
    tcase_add_test(t, a_forked_child_lets_go_quietly);
    tcase_add_test(t, a_unix_socket);
    tcase_add_test(t, where_it_cannot_listen);
    tcase_add_loop_test(t, without_memory_the_client_sees_an_end, 0, 2);
    suite_add_tcase(s, t);
    return s;
}
