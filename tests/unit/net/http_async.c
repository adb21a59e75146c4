/* SPDX-License-Identifier: Apache-2.0 */
/* http_async.c: many exchanges on one loop, beside the server that answers them on the same loop: no thread, so every run is the same. */
#define _GNU_SOURCE
#include "net/http_async.h"
#include <check.h>
#include <curl/curl.h>
#include <dlfcn.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "net/httpd.h"
#include "tests/unit/failing.h"
#include "tests/unit/net/child.h"
#include "tests/unit/process.h"

Suite *suite_net_http_async(void);

#define MANY 300

static struct memo__loop *loop;
static struct memo__httpd *server;
static struct memo__http_pool *pool;
static struct memo__http_async *async;
static uint16_t port;
static struct memo__httpd_request *held[MANY];
static uint32_t held_count;

struct one { struct memo__http_run run; struct memo__http_answer answer; memo_status status; int ended; const char *then; };
static struct one ones[MANY];

static void on_request(struct memo__httpd_request *r, void *user)
{
    const char *path = memo__httpd_path(r).at;
    (void)user;
    if (strcmp(path, "/hang") == 0)
        held[held_count++] = r;
    else if (strcmp(path, "/break") == 0)
        memo__httpd_abort(r);
    else if (strcmp(path, "/echo") == 0)
        memo__httpd_reply(r, 201, NULL, 0, memo__httpd_body(r).at, memo__httpd_body(r).n);
    else
        memo__httpd_reply_text(r, 200, "text/plain", "hello");
}

static void start_with(const struct memo__alloc *of_loop, const struct memo__http_options *o)
{
    memo_error e = MEMO_INIT(memo_error);
    memset(ones, 0, sizeof ones);
    held_count = 0;
    port = 0;
    ck_assert_int_eq(memo__loop_new(of_loop, &memo__host_linux, &loop), MEMO_OK);
    ck_assert_int_eq(memo__httpd_new(&memo__alloc_libc, loop, NULL, on_request, NULL, &server), MEMO_OK);
    ck_assert_int_eq(memo__httpd_listen(server, "127.0.0.1", &port, &e), MEMO_OK);
    ck_assert_int_eq(memo__http_pool_new(&memo__alloc_libc, &memo__host_linux, o, &pool, &e), MEMO_OK);
    ck_assert_int_eq(memo__http_async_new(pool, loop, &async), MEMO_OK);
}

static void start(const struct memo__http_options *o) { start_with(&memo__alloc_libc, o); }

static void finish(void)
{
    memo__http_async_free(async);
    for (int i = 0; i < MANY; i++)
        memo__http_answer_fini(pool, &ones[i].answer);
    memo__http_pool_free(pool);
    memo__httpd_free(server);
    memo__loop_free(loop);
}

static void begin(struct one *x, const char *path);

static void on_end(struct memo__http_run *run, memo_status status, void *user)
{
    struct one *x = user;
    ck_assert_ptr_eq(run, &x->run);
    x->status = status;
    x->ended++;
    if (x->then) {
        const char *path = x->then;
        x->then = NULL;
        begin(x, path);
    }
}

static struct memo__http_target to_server(void) { return (struct memo__http_target){ .address = "127.0.0.1", .port = port }; }

static memo_status send_one(struct one *x, const struct memo__http_send *s)
{
    struct memo__http_target t = to_server();
    return memo__http_start(async, &x->run, &t, s, &x->answer, on_end, x);
}

static void begin(struct one *x, const char *path)
{
    const struct memo__http_send s = { .path = path, .timeout_ns = 10 * MEMO__S };
    ck_assert_int_eq(send_one(x, &s), MEMO_OK);
}

/* Turns until so many have ended. */
static void turn_until(int ended)
{
    for (int n = 0; n < ended;) {
        n = 0;
        for (int i = 0; i < MANY; i++)
            n += ones[i].ended;
        if (n < ended)
            ck_assert_int_eq(memo__loop_step(loop, 5 * MEMO__S), MEMO_OK);
    }
}

static void ck_hello(const struct one *x)
{
    ck_assert_int_eq(x->status, MEMO_OK);
    ck_assert_msg(x->answer.kind == MEMO_OUTCOME_REPLIED, "%d: %s", x->answer.kind, x->answer.error);
    ck_assert_int_eq(x->answer.http_status, 200);
    ck_assert_str_eq(x->answer.body, "hello");
    ck_assert_str_eq(memo__http_answer_get(&x->answer, "Content-type"), "text/plain");
}

static struct memo__http_async_stats stats(void)
{
    struct memo__http_async_stats st;
    memo__http_async_stats(async, &st);
    return st;
}

START_TEST(one_after_the_other)
{
    start(NULL);
    for (int i = 0; i < 3; i++) {
        begin(&ones[0], "/todos");
        ck_assert_int_eq(ones[0].ended, i); /* never from within the beginning */
        turn_until(i + 1);
        ck_hello(&ones[0]);
        ck_assert_int_eq(ones[0].answer.reused, i > 0);
    }
    ck_assert(stats().exchanges == 3 && stats().connections == 1 && stats().running == 0 && stats().idle == 1);
    finish();
}
END_TEST

START_TEST(hundreds_at_once)
{
    start(NULL);
    for (int i = 0; i < MANY; i++)
        begin(&ones[i], "/todos");
    ck_assert_uint_eq(stats().running, MANY);
    turn_until(MANY);
    for (int i = 0; i < MANY; i++)
        ck_hello(&ones[i]);
    uint64_t opened = stats().connections;
    for (int i = 0; i < 100; i++) /* the connections are kept */
        begin(&ones[i], "/todos");
    turn_until(MANY + 100);
    ck_assert_uint_eq(stats().connections, opened);
    ck_assert_uint_eq(stats().running, 0);
    finish();
}
END_TEST

/* The end of one may begin the next, in the same run. */
START_TEST(again_from_the_end)
{
    start(NULL);
    ones[0].then = "/again";
    begin(&ones[0], "/todos");
    turn_until(2);
    ck_hello(&ones[0]);
    ck_assert_uint_eq(memo__httpd_requests(server), 2);
    finish();
}
END_TEST

START_TEST(a_body_and_a_method)
{
    const memo_header type = { "content-type", "text/x", 0, 0 };
    const struct memo__http_send s = { .method = "PUT", .path = "/echo", .headers = &type, .count = 1, .body = "what I say", .bytes = 10, .timeout_ns = 10 * MEMO__S };
    start(NULL);
    ck_assert_int_eq(send_one(&ones[0], &s), MEMO_OK);
    turn_until(1);
    ck_assert_int_eq(ones[0].answer.http_status, 201);
    ck_assert_str_eq(ones[0].answer.body, "what I say");
    finish();
}
END_TEST

START_TEST(broken_off)
{
    start(NULL);
    for (int i = 0; i < 10; i++)
        begin(&ones[i], i % 2 ? "/hang" : "/todos");
    turn_until(5);
    while (held_count < 5)
        ck_assert_int_eq(memo__loop_step(loop, 5 * MEMO__S), MEMO_OK);
    for (int i = 1; i < 10; i += 2) {
        memo__http_abort(&ones[i].run);
        memo__http_abort(&ones[i].run); /* once is enough */
        ck_assert(ones[i].answer.sent);
    }
    begin(&ones[0], "/todos"); /* the others go on */
    turn_until(6);
    for (int i = 1; i < 10; i += 2)
        ck_assert_int_eq(ones[i].ended, 0);
    ck_assert_uint_eq(stats().running, 0);
    held_count = 0; /* the server knows that they are gone */
    finish();
}
END_TEST

START_TEST(ways_to_fail)
{
    const struct memo__http_send late = { .path = "/hang", .timeout_ns = 30 * MEMO__MS }, none = { .path = "/", .timeout_ns = 0 };
    struct memo__http_target nobody = { .address = "127.0.0.1", .port = 1 }, named = { .address = "localhost", .port = 1 };
    const struct memo__http_send plain = { .path = "/", .timeout_ns = 10 * MEMO__S };
    start(NULL);
    ck_assert_int_eq(send_one(&ones[0], &late), MEMO_OK);
    begin(&ones[1], "/break");
    ck_assert_int_eq(memo__http_start(async, &ones[2].run, &nobody, &plain, &ones[2].answer, on_end, &ones[2]), MEMO_OK);
    turn_until(3);
    ck_assert_int_eq(ones[0].answer.kind, MEMO_OUTCOME_TIMED_OUT);
    ck_assert_int_eq(ones[1].answer.kind, MEMO_OUTCOME_RESET);
    ck_assert_int_eq(ones[2].answer.kind, MEMO_OUTCOME_CONNECT_FAILED);
    ck_assert(!ones[2].answer.sent && ones[2].answer.error[0]);
    ck_assert_int_eq(memo__http_start(async, &ones[3].run, &named, &plain, &ones[3].answer, on_end, &ones[3]), MEMO_E_ARGUMENT);
    ck_assert_int_eq(ones[3].ended, 0);
    ck_assert_int_eq(send_one(&ones[4], &none), MEMO_OK);
    ck_assert(ones[4].ended == 1 && ones[4].answer.kind == MEMO_OUTCOME_TIMED_OUT);
    finish();
}
END_TEST

/* A connection that died in the pool is not used for the same request twice. */
START_TEST(sent_once)
{
    start(NULL);
    begin(&ones[0], "/todos");
    turn_until(1);
    uint64_t before = memo__httpd_requests(server);
    begin(&ones[1], "/break"); /* over the kept connection: libcurl would send it again over a new one */
    turn_until(2);
    ck_assert_int_eq(ones[1].answer.kind, MEMO_OUTCOME_RESET);
    ck_assert_uint_eq(memo__httpd_requests(server), before + 1);
    finish();
}
END_TEST

START_TEST(capped)
{
    static char big[4000];
    const struct memo__http_options o = { .body_bytes = 1000 };
    const struct memo__http_send s = { .method = "POST", .path = "/echo", .body = big, .bytes = sizeof big, .timeout_ns = 10 * MEMO__S };
    start(&o);
    ck_assert_int_eq(send_one(&ones[0], &s), MEMO_OK);
    turn_until(1);
    ck_assert_int_eq(ones[0].answer.kind, MEMO_OUTCOME_PROTOCOL);
    ck_assert_ptr_nonnull(strstr(ones[0].answer.error, "cap"));
    finish();
}
END_TEST

START_TEST(swept)
{
    const struct memo__http_options o = { .idle_ns = 10 * MEMO__S };
    start(&o);
    begin(&ones[0], "/todos");
    turn_until(1);
    memo__http_async_sweep(async, memo__after(memo__loop_now(loop), 9 * MEMO__S));
    ck_assert_uint_eq(stats().idle, 1);
    memo__http_async_sweep(async, memo__after(memo__loop_now(loop), 11 * MEMO__S));
    ck_assert_uint_eq(stats().idle, 0);
    finish();
}
END_TEST

/* Silence closes connections, too, and the next exchange makes its own. */
START_TEST(silence_closes_connections)
{
    const struct memo__http_options o = { .idle_ns = 10 * MEMO__S };
    start(&o);
    int before = process_descriptors();
    for (int i = 0; i < 5; i++)
        begin(&ones[i], "/todos");
    turn_until(5);
    ck_assert_int_eq(process_descriptors(), before + 10); /* both ends are here */
    memo__http_async_sweep(async, memo__after(memo__loop_now(loop), 9 * MEMO__S));
    ck_assert_int_eq(process_descriptors(), before + 10);
    begin(&ones[5], "/hang");
    while (held_count < 1)
        ck_assert_int_eq(memo__loop_step(loop, 5 * MEMO__S), MEMO_OK);
    memo__http_async_sweep(async, memo__after(memo__loop_now(loop), 11 * MEMO__S)); /* not while something runs */
    memo__httpd_reply_text(held[0], 200, "text/plain", "hello");
    turn_until(6);
    ck_hello(&ones[5]);
    memo__http_async_sweep(async, memo__after(memo__loop_now(loop), 11 * MEMO__S));
    for (int i = 0; i < 100 && process_descriptors() > before; i++) /* the server sees it */
        ck_assert_int_eq(memo__loop_step(loop, 50 * MEMO__MS), MEMO_OK);
    ck_assert_int_le(process_descriptors(), before);
    memo__http_async_sweep(async, memo__after(memo__loop_now(loop), 22 * MEMO__S));
    begin(&ones[6], "/todos");
    turn_until(7);
    ck_hello(&ones[6]);
    finish();
}
END_TEST

/* libcurl gives the whole multi handle up when its timer cannot be started: the timer keeps its place, whoever wants the others, so that starting it
 * again takes no memory. */
START_TEST(a_timer_without_memory)
{
    static struct memo__timer fill[4096];
    struct failing f;
    struct memo__http_target nobody = { .address = "127.0.0.1", .port = 1 };
    const struct memo__http_send plain = { .path = "/", .timeout_ns = 10 * MEMO__S };
    uint32_t used = 0;
    failing_init(&f, 0, false);
    start_with(&f.alloc, NULL);
    begin(&ones[0], "/todos");
    turn_until(1);
    f.forever = true;
    f.fail_at = f.requests + 1;
    while (memo__timer_start(loop, &fill[used], memo__after(memo__loop_now(loop), 3600 * MEMO__S), NULL, NULL) == MEMO_OK)
        used++; /* all places */
    f.failed = false;
    ck_assert_int_eq(memo__http_start(async, &ones[1].run, &nobody, &plain, &ones[1].answer, on_end, &ones[1]), MEMO_OK);
    turn_until(2);
    ck_assert_int_eq(ones[1].answer.kind, MEMO_OUTCOME_CONNECT_FAILED);
    ck_assert(!f.failed);
    f.fail_at = 0;
    begin(&ones[0], "/todos");
    turn_until(3);
    ck_hello(&ones[0]);
    while (used)
        memo__timer_stop(loop, &fill[--used]);
    finish();
    failing_done(&f);
}
END_TEST

/* That this process may have no more of them says nothing about the peer. */
/* In the place of libcurl's: says once that it found no memory half-way, which in libcurl itself takes more luck than a test can have. */
static bool no_memory_half_way;

CURLMcode curl_multi_socket_action(CURLM *multi, curl_socket_t fd, int ready, int *running)
{
    CURLMcode (*real)(CURLM *, curl_socket_t, int, int *) = NULL;
    void *symbol = dlsym(RTLD_NEXT, "curl_multi_socket_action");
    memcpy(&real, &symbol, sizeof real);
    CURLMcode code = real(multi, fd, ready, running);
    if (!no_memory_half_way)
        return code;
    no_memory_half_way = false;
    return CURLM_OUT_OF_MEMORY;
}

START_TEST(libcurl_without_memory_half_way)
{
    start(NULL);
    begin(&ones[0], "/todos");
    turn_until(1);
    for (int i = 1; i < 9; i++)
        begin(&ones[i], "/hang");
    ones[1].then = "/todos"; /* begun while the others are being ended */
    while (held_count < 8)
        ck_assert_int_eq(memo__loop_step(loop, MEMO__S), MEMO_OK);
    no_memory_half_way = true;
    begin(&ones[9], "/todos");
    turn_until(11);
    for (int i = 2; i < 10; i++) {
        ck_assert_int_eq(ones[i].ended, 1);
        ck_assert_int_eq(ones[i].status, MEMO_E_NO_MEMORY);
        ck_assert_int_eq(ones[i].answer.kind, MEMO_OUTCOME_CANCELLED);
    }
    ck_assert_int_eq(ones[1].ended, 2);
    ck_hello(&ones[1]);
    finish();
}
END_TEST

START_TEST(no_descriptor_left)
{
    struct rlimit was, none;
    start(NULL);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
    int next = dup(0);
    (void)close(next);
    none = was;
    none.rlim_cur = (rlim_t)next;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    begin(&ones[0], "/todos");
    turn_until(1);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
    ck_assert_int_eq(ones[0].status, MEMO_E_NO_MEMORY);
    ck_assert(ones[0].answer.kind == MEMO_OUTCOME_CANCELLED && !ones[0].answer.sent);
    begin(&ones[0], "/todos");
    turn_until(2);
    ck_hello(&ones[0]);
    finish();
}
END_TEST

/* What runs is abandoned; nothing stays open. */
START_TEST(freed_while_running)
{
    int before = process_descriptors();
    start(NULL);
    for (int i = 0; i < 50; i++)
        begin(&ones[i], "/hang");
    while (held_count < 50)
        ck_assert_int_eq(memo__loop_step(loop, 5 * MEMO__S), MEMO_OK);
    finish();
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(ones[i].ended, 0);
    ck_assert_int_eq(process_descriptors(), before);
}
END_TEST

/* A child begins its own; the parent's go on, undisturbed by the child's end. */
START_TEST(forked)
{
    int status = -1;
    start(NULL);
    begin(&ones[0], "/todos");
    turn_until(1);
    begin(&ones[1], "/hang");
    while (held_count < 1)
        ck_assert_int_eq(memo__loop_step(loop, 5 * MEMO__S), MEMO_OK);
    int go[2];
    ck_assert_int_eq(pipe(go), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(go[1]);
        bool good = memo__loop_after_fork(loop) == MEMO_OK;
        memo__httpd_after_fork(server);
        memo__http_pool_after_fork(pool);
        good = good && memo__http_async_after_fork(async) == MEMO_OK && stats().running == 0 && ones[1].ended == 0;
        struct memo__http_target nobody = { .address = "127.0.0.1", .port = 1 };
        const struct memo__http_send plain = { .path = "/", .timeout_ns = 10 * MEMO__S };
        good = good && memo__http_start(async, &ones[2].run, &nobody, &plain, &ones[2].answer, on_end, &ones[2]) == MEMO_OK;
        while (good && !ones[2].ended)
            good = memo__loop_step(loop, 5 * MEMO__S) == MEMO_OK;
        struct pollfd loop_fd = { .fd = memo__loop_fd(loop), .events = POLLIN }; /* the parent's answer, which is there by now, is none of the child's business */
        good = good && read(go[0], &status, 1) == 0;
        for (int i = 0; i < 3 && poll(&loop_fd, 1, 0) == 1; i++)
            good = memo__loop_step(loop, 0) == MEMO_OK && good;
        good = good && poll(&loop_fd, 1, 0) == 0;
        child_ends(good && ones[2].answer.kind == MEMO_OUTCOME_CONNECT_FAILED);
    }
    memo__httpd_reply_text(held[0], 200, "text/plain", "hello");
    (void)close(go[1]); /* the answer is in the socket that both have */
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    (void)close(go[0]);
    turn_until(2);
    ck_hello(&ones[1]);
    begin(&ones[0], "/todos");
    turn_until(3);
    ck_hello(&ones[0]);
    finish();
}
END_TEST

Suite *suite_net_http_async(void)
{
    Suite *s = suite_create("net/http_async");
    TCase *t = tcase_create("async");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, one_after_the_other);
    tcase_add_test(t, hundreds_at_once);
    tcase_add_test(t, again_from_the_end);
    tcase_add_test(t, a_body_and_a_method);
    tcase_add_test(t, broken_off);
    tcase_add_test(t, ways_to_fail);
    tcase_add_test(t, sent_once);
    tcase_add_test(t, capped);
    tcase_add_test(t, swept);
    tcase_add_test(t, silence_closes_connections);
    tcase_add_test(t, a_timer_without_memory);
    tcase_add_test(t, libcurl_without_memory_half_way);
    tcase_add_test(t, no_descriptor_left);
    tcase_add_test(t, freed_while_running);
    tcase_add_test(t, forked);
    suite_add_tcase(s, t);
    return s;
}
