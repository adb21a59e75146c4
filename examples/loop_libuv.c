/* SPDX-License-Identifier: Apache-2.0
 * loop_libuv.c: libmemo on a libuv loop, without a thread: `loop_libuv todo 100 /todos/7` makes 100 calls, 16 of them at once. */
#include <memo/memo.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

struct work { uv_poll_t readable; memo_client *client; memo_service *service; const char *path; int left, running, good; };

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
        uv_poll_stop(&w->readable); /* nothing else runs: the loop ends */
}

static void on_answer(memo_status s, memo_http_reply *r, void *user)
{
    struct work *w = user;
    w->good += s == MEMO_OK && r->status == 200;
    w->running--;
    ask(w);
}

/* The adapter: this, and a poll handle. */
static void on_readable(uv_poll_t *p, int status, int events)
{
    struct work *w = p->data;
    (void)status, (void)events;
    if (memo_client_step(w->client) != MEMO_OK)
        uv_poll_stop(p);
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
    if (!s && uv_poll_init(uv_default_loop(), &w.readable, memo_client_fd(w.client)) == 0) {
        w.readable.data = &w;
        uv_poll_start(&w.readable, UV_READABLE, on_readable);
        ask(&w);
        uv_run(uv_default_loop(), UV_RUN_DEFAULT);
        uv_close((uv_handle_t *)&w.readable, NULL);
        uv_run(uv_default_loop(), UV_RUN_DEFAULT);
        uv_loop_close(uv_default_loop());
    }
    printf("%d of %d answered %s\n", w.good, asked, s ? e.message : "");
    memo_service_release(w.service);
    memo_client_free(w.client);
    return w.good != asked;
}
