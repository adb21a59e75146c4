/* SPDX-License-Identifier: Apache-2.0
 * loop_epoll.c: libmemo on the program's own epoll loop, without a thread: `loop_epoll todo 100 /todos/7` makes 100 calls, 16 of them at once. */
#include <errno.h>
#include <memo/memo.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

struct work { memo_service *service; const char *path; int left, running, good; };

static void on_answer(memo_status s, memo_http_reply *r, void *user);

static void ask(struct work *w)
{
    memo_http_request q = MEMO_INIT(memo_http_request);
    q.path = w->path;
    while (w->left > 0 && w->running < 16) {
        w->left--;
        w->running += memo_http_submit(w->service, &q, on_answer, w, NULL, NULL) == MEMO_OK; /* a refusal is an answer, too */
    }
}

static void on_answer(memo_status s, memo_http_reply *r, void *user)
{
    struct work *w = user;
    w->good += s == MEMO_OK && r->status == 200;
    w->running--;
    ask(w);
}

/* One turn of the program's loop; other descriptors of the program would be handled beside. */
static int turn(int loop, memo_client *client)
{
    struct epoll_event ready;
    int n = epoll_wait(loop, &ready, 1, 10000);
    if (n < 0 && errno == EINTR)
        return 1; /* a signal: an idle turn, not the end */
    return n == 1 && ready.data.ptr == client && memo_client_step(client) == MEMO_OK;
}

int main(int argc, char **argv)
{
    struct work w = { .path = argc > 3 ? argv[3] : "/", .left = argc > 2 ? atoi(argv[2]) : 100 };
    int asked = w.left, loop = epoll_create1(EPOLL_CLOEXEC);
    memo_error e = MEMO_INIT(memo_error);
    memo_client *client = NULL;
    memo_status s = memo_client_new(&client, &e);
    if (!s) s = memo_client_set(client, "engine_thread", "false", &e);
    if (!s) s = memo_client_start(client, &e);
    if (!s) s = memo_service_acquire(client, argc > 1 ? argv[1] : "todo", &w.service, &e);
    if (!s) s = memo_client_wait(client, 5000, &e);
    if (!s) {
        struct epoll_event watch = { .events = EPOLLIN, .data.ptr = client };
        epoll_ctl(loop, EPOLL_CTL_ADD, memo_client_fd(client), &watch);
        ask(&w);
        while (w.running && turn(loop, client))
            ;
    }
    printf("%d of %d answered %s\n", w.good, asked, s ? e.message : "");
    memo_service_release(w.service);
    memo_client_free(client);
    close(loop);
    return w.good != asked;
}
