/* SPDX-License-Identifier: Apache-2.0
 * loop_libevent.c: libmemo on a libevent loop, without a thread: `loop_libevent todo 100 /todos/7` makes 100 calls, 16 of them at once. */
#include <event2/event.h>
#include <memo/memo.h>
#include <stdio.h>
#include <stdlib.h>

struct work { struct event_base *base; memo_client *client; memo_service *service; const char *path; int left, running, good; };

static void on_answer(memo_status s, memo_http_reply *r, void *user);

static void ask(struct work *w)
{
    memo_http_request q = MEMO_INIT(memo_http_request);
    q.path = w->path;
    while (w->left > 0 && w->running < 16) {
        w->left--;
        w->running += memo_http_submit(w->service, &q, on_answer, w, NULL, NULL) == MEMO_OK; /* a refusal is an answer, too */
    }
    if (!w->running)
        event_base_loopbreak(w->base);
}

static void on_answer(memo_status s, memo_http_reply *r, void *user)
{
    struct work *w = user;
    w->good += s == MEMO_OK && r->status == 200;
    w->running--;
    ask(w);
}

/* The adapter: this, and an event that stays. */
static void on_readable(evutil_socket_t fd, short what, void *user)
{
    struct work *w = user;
    (void)fd, (void)what;
    if (memo_client_step(w->client) != MEMO_OK)
        event_base_loopbreak(w->base);
}

int main(int argc, char **argv)
{
    struct work w = { .path = argc > 3 ? argv[3] : "/", .left = argc > 2 ? atoi(argv[2]) : 100 };
    int asked = w.left;
    memo_error e = MEMO_INIT(memo_error);
    memo_status s = memo_client_new(&w.client, &e);
    if (!s) s = memo_client_set(w.client, "engine_thread", "false", &e);
    if (!s) s = memo_client_start(w.client, &e);
    if (!s) s = memo_service_acquire(w.client, argc > 1 ? argv[1] : "todo", &w.service, &e);
    if (!s) s = memo_client_wait(w.client, 5000, &e);
    if (!s && (w.base = event_base_new())) {
        struct event *readable = event_new(w.base, memo_client_fd(w.client), EV_READ | EV_PERSIST, on_readable, &w);
        event_add(readable, NULL);
        ask(&w);
        if (w.running)
            event_base_dispatch(w.base);
        event_free(readable);
        event_base_free(w.base);
    }
    printf("%d of %d answered %s\n", w.good, asked, s ? e.message : "");
    memo_service_release(w.service);
    memo_client_free(w.client);
    return w.good != asked;
}
