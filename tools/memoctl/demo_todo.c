/* SPDX-License-Identifier: Apache-2.0 */
/* demo_todo.c: one instance of the demo's todo service: a small HTTP server that registers itself with libmemo, and can be told to be slow or to
 * fail.
 *
 *   GET /todos/7              the todo, after 3 to 9 ms of work (and the delay), or 503
 *   GET /chaos?delay_ms=1100&fail_percent=30     from now on
 *   SIGTERM                   draining -> (1.2 s) -> withdrawn -> no more connections -> ended: how a service should leave
 *
 * It dies with its parent, whatever that died of. */
#include <memo/memo.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "base/rng.h"
#include "commands.h"
#include "demo_book.h"
#include "leave.h"
#include "net/httpd.h"
#include "net/loop.h"
#include "open.h"
#include "print.h"

#define DRAIN_MS 1200                  /* how long callers have to learn it; they are told within milliseconds */
/* What an answer takes: without it every call would be over before the next begins, and there would be nothing to balance. */
#define WORK_LEAST (3 * MEMO__MS)
#define WORK_SPREAD (6 * MEMO__MS)

const struct option_row cmd_demo_todo_options[] = {
    { "id", 0, "ID", NULL },
    { "version", 0, "VERSION", NULL },
    { "port", 0, "PORT", NULL },
    { "book", 0, "PATH", NULL },
    { "log", 0, "PATH", NULL },
    { "parent", 0, "PID", NULL },
    { "cache-dir", 0, "PATH", NULL },
    { NULL, 0, NULL, NULL },
};

struct todo {
    const struct args *args;
    struct memo__loop *loop;
    struct memo__httpd *httpd;
    struct memo__io signals;
    struct memo__timer leaving;
    memo_client *client;
    memo_registration *registration;
    struct book *book;
    FILE *log;
    const char *id;
    int instance;
    uint16_t port;
    uint64_t delay_ms, fail_percent, draws;
    bool done;
};

struct delayed { struct memo__timer timer; struct memo__httpd_request *request; struct todo *todo; memo_inbound in; };

/* Its status. */
static int32_t answer(struct todo *t, struct memo__httpd_request *r)
{
    char body[256];
    if (memo__draw_below(memo__draw_next(&t->draws), 100) < t->fail_percent) {
        memo__httpd_reply_text(r, 503, "application/json", "{\"error\":\"out of order\"}\n");
        return 503;
    }
    struct memo__text path = memo__httpd_path(r);
    snprintf(body, sizeof(body), "{\"id\":%.*s,\"title\":\"water the plants\",\"done\":false,\"by\":\"%s\"}\n", (int)(path.n > 7 ? path.n - 7 : 0),
        path.n > 7 ? path.at + 7 : "", t->id);
    memo__httpd_reply_text(r, 200, "application/json", body);
    return 200;
}

static void on_delay_over(struct memo__timer *timer, void *user)
{
    struct delayed *d = user;
    memo_outcome o = MEMO_INIT(memo_outcome);
    (void)timer;
    o.http_status = answer(d->todo, d->request);
    memo_inbound_leave(&d->in, &o);
    free(d);
}

static void on_gone(struct memo__httpd_request *r, void *user)
{
    struct delayed *d = user;
    (void)r;
    memo__timer_stop(d->todo->loop, &d->timer);
    memo_inbound_leave(&d->in, NULL);
    free(d);
}

/* May it be served? What is not, is answered. */
static bool enter(struct todo *t, struct memo__httpd_request *r, memo_inbound *in)
{
    static const char *const names[] = { "traceparent", "tracestate", "x-envoy-expected-rq-timeout-ms" };
    memo_header headers[3];
    memo_inbound_facts f = { .size = sizeof(f), .method = "GET", .path = "/todos", .headers = headers };
    memo_inbound_reply no = MEMO_INIT(memo_inbound_reply);
    for (size_t i = 0; i < 3; i++) {
        struct memo__text value = memo__httpd_header(r, names[i]);
        if (value.n)
            headers[f.headers_count++] = (memo_header){ names[i], value.at, 0, value.n };
    }
    *in = (memo_inbound)MEMO_INIT(memo_inbound);
    if (memo_inbound_enter(in, t->client, &f) == MEMO_OK)
        return true;
    if (memo_inbound_get_reply(in, &no) != MEMO_OK)
        no.http_status = 400;
    memo__httpd_reply_text(r, no.http_status, "application/json", "{\"error\":\"refused\"}\n");
    return false;
}

static void work(struct todo *t, struct memo__httpd_request *r)
{
    struct delayed *d = calloc(1, sizeof(*d));
    if (d && !enter(t, r, &d->in)) {
        free(d);
        return;
    }
    int64_t takes = WORK_LEAST + memo__draw_below(memo__draw_next(&t->draws), WORK_SPREAD) + (int64_t)t->delay_ms * MEMO__MS;
    if (!d || memo__timer_start(t->loop, &d->timer, memo__after(memo__loop_now(t->loop), takes), on_delay_over, d) != MEMO_OK) {
        if (d)
            memo_inbound_leave(&d->in, NULL);
        free(d);
        memo__httpd_reply_text(r, 500, "text/plain", "no memory\n");
        return;
    }
    d->request = r;
    d->todo = t;
    memo__httpd_on_gone(r, on_gone, d);
}

/* "delay_ms=1100&fail_percent=30": what is not named stays. */
static void chaos(struct todo *t, struct memo__text query)
{
    while (query.n > 0) {
        const char *end = memchr(query.at, '&', query.n);
        size_t n = end ? (size_t)(end - query.at) : query.n;
        if (n > 9 && strncmp(query.at, "delay_ms=", 9) == 0)
            (void)memo__parse_u64((struct memo__text){ query.at + 9, n - 9 }, 60000, &t->delay_ms);
        else if (n > 13 && strncmp(query.at, "fail_percent=", 13) == 0)
            (void)memo__parse_u64((struct memo__text){ query.at + 13, n - 13 }, 100, &t->fail_percent);
        n += end != NULL;
        query = (struct memo__text){ query.at + n, query.n - n };
    }
}

static void on_request(struct memo__httpd_request *r, void *user)
{
    struct todo *t = user;
    struct memo__text path = memo__httpd_path(r);
    if (path.n >= 7 && strncmp(path.at, "/todos/", 7) == 0) {
        book_see(t->book, t->instance, memo__httpd_header(r, BOOK_HEADER));
        work(t, r);
    } else if (memo__text_is(path, "/chaos")) {
        chaos(t, memo__httpd_query(r));
        memo__httpd_reply_text(r, 200, "text/plain", "as you wish\n");
    } else {
        memo__httpd_reply_text(r, 404, "text/plain", "there are /todos/ID and /chaos\n");
    }
}

static void on_stopped(void *user)
{
    ((struct todo *)user)->done = true;
}

static void on_drained(struct memo__timer *timer, void *user)
{
    struct todo *t = user;
    memo_error e = MEMO_INIT(memo_error);
    (void)timer;
    if (memo_registration_withdraw(t->registration, 2000, &e) != MEMO_OK)
        fprintf(t->log, "withdraw: %s\n", e.message);
    memo__httpd_stop(t->httpd, on_stopped, t);
}

static void on_signal(struct memo__io *io, uint32_t ready, void *user)
{
    struct todo *t = user;
    struct signalfd_siginfo info;
    (void)ready;
    if (read(io->fd, &info, sizeof(info)) != (ssize_t)sizeof(info) || info.ssi_signo != SIGTERM)
        return; /* SIGINT goes to the whole foreground group: the parent decides what it means */
    if (memo_registration_set(t->registration, "state", "draining") != MEMO_OK ||
        memo__timer_start(t->loop, &t->leaving, memo__after_ms(memo__loop_now(t->loop), DRAIN_MS), on_drained, t) != MEMO_OK)
        t->done = true;
}

static void on_log(int32_t level, const char *line, void *user)
{
    FILE *f = user;
    (void)level;
    fprintf(f, "%s\n", line);
    fflush(f);
}

static memo_status join(struct todo *t, memo_error *e)
{
    const char *version = args_get(t->args, "version");
    memo_header label = { .name = "version", .value = version ? version : "v1" };
    memo_instance me = { .size = sizeof(me), .id = t->id, .address = "127.0.0.1", .port = t->port, .labels = &label, .labels_count = 1 };
    memo_status s = memo_client_new(&t->client, e);
    if (s)
        return s;
    memo_log_set(t->client, on_log, t->log);
    if ((s = memo_client_set(t->client, "registry", args_get(t->args, "registry"), e)) != MEMO_OK || (s = memo_client_set(t->client, "service_name",
        "todo", e)) != MEMO_OK ||
        (s = memo_client_set(t->client, "admin_socket", "none", e)) != MEMO_OK ||
            /* it makes no calls, and is killed before it could remove its socket */
        (s = memo_client_set(t->client, "cache_dir", args_get(t->args, "cache-dir"), e)) != MEMO_OK || (s = open_start(t->client,
            e)) != MEMO_OK)
        return s;
    s = memo_registration_new(t->client, "todo", &me, &t->registration, e);
    return s ? s : memo_registration_wait(t->registration, 5000);
}

static memo_status serve(struct todo *t, int signals, memo_error *e)
{
    struct memo__httpd_options o = { .connections = 4000 };
    memo_status s = memo__loop_new(&memo__alloc_libc, &memo__host_linux, &t->loop);
    if (!s)
        s = memo__httpd_new(&memo__alloc_libc, t->loop, &o, on_request, t, &t->httpd);
    if (!s)
        s = memo__httpd_listen(t->httpd, "127.0.0.1", &t->port, e);
    if (!s)
        s = memo__io_start(t->loop, &t->signals, signals, EPOLLIN, on_signal, t);
    if (!s)
        s = join(t, e); /* only now: whoever finds us finds us listening */
    while (!s && !t->done)
        s = memo__loop_step(t->loop, MEMO__NEVER);
    return s;
}

static int prepare(struct todo *t, const struct args *a)
{
    uint64_t parent = 0, port = 0;
    const char *log = args_get(a, "log");
    t->args = a;
    t->id = args_get(a, "id");
    t->instance = t->id ? book_instance_find(memo__text_of(t->id)) : -1;
    if (t->instance < 0 || !args_get(a, "book") || !log || !args_get(a, "registry") || !args_number(a, "parent", 1, INT32_MAX, &parent) ||
        !args_number(a, "port", 0, 65535, &port))
        return args_wrong(a, "is started by memoctl demo");
    t->port = (uint16_t)port;
    t->draws = (uint64_t)getpid() ^ (uint64_t)memo__now(&memo__host_linux);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if ((uint64_t)getppid() != parent)
        return LEAVE_INTERRUPTED;
    t->book = book_open(args_get(a, "book"), false);
    t->log = fopen(log, "ae");
    return t->book && t->log ? LEAVE_OK : LEAVE_FAILED;
}

int cmd_demo_todo(const struct args *a)
{
    struct todo t = { .done = false };
    memo_error e = MEMO_INIT(memo_error);
    sigset_t ours;
    int code = prepare(&t, a);
    if (code)
        return code;
    sigemptyset(&ours);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGINT);
    sigprocmask(SIG_BLOCK, &ours, NULL);
    int signals = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
    memo_status s = signals < 0 ? MEMO_E_IO : serve(&t, signals, &e);
    if (s)
        fprintf(t.log, "%s: %s (%s)\n", t.id, e.message, memo_status_name(s));
    memo_registration_free(t.registration);
    memo_client_free(t.client);
    memo__httpd_free(t.httpd);
    memo__loop_free(t.loop);
    book_close(t.book);
    fclose(t.log);
    return s ? LEAVE_FAILED : LEAVE_OK;
}
