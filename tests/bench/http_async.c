/* SPDX-License-Identifier: Apache-2.0 */
/* http_async.c: 64 governed GETs in flight on one thread, against bare libcurl (multi_socket_action on epoll, its handles and connections kept) that sends the same bytes. Both
 * programs are one thread that waits in epoll_wait; the server's is another process. */
#define _GNU_SOURCE
#include <curl/curl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "bench.h"

#define IN_FLIGHT 64

/* ---- libcurl, bare ---- */

struct bare { CURLM *multi; int epoll; long timeout_ms; uint64_t left, running, failures; size_t bytes; };

static size_t ignore(char *bytes, size_t size, size_t n, void *user)
{
    (void)bytes;
    *(size_t *)user += size * n;
    return size * n;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *known)
{
    struct bare *b = user;
    struct epoll_event e = { .events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u), .data.fd = fd };
    (void)easy;
    if (what == CURL_POLL_REMOVE)
        return epoll_ctl(b->epoll, EPOLL_CTL_DEL, fd, NULL);
    if (!known)
        curl_multi_assign(b->multi, fd, b);
    return epoll_ctl(b->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e) && epoll_ctl(b->epoll, EPOLL_CTL_MOD, fd, &e);
}

static int on_timer(CURLM *multi, long ms, void *user)
{
    (void)multi;
    ((struct bare *)user)->timeout_ms = ms;
    return 0;
}

static void more(struct bare *b, CURL *easy)
{
    if (!b->left)
        return;
    b->left--;
    b->running++;
    curl_multi_add_handle(b->multi, easy);
}

static void collect(struct bare *b)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(b->multi, &left));) {
        CURL *easy = m->easy_handle;
        b->failures += m->data.result != CURLE_OK;
        b->running--;
        curl_multi_remove_handle(b->multi, easy);
        more(b, easy);
    }
}

static void turn(struct bare *b)
{
    struct epoll_event ready[IN_FLIGHT];
    int running, n = epoll_wait(b->epoll, ready, IN_FLIGHT, b->timeout_ms < 0 ? 1000 : (int)b->timeout_ms);
    if (b->timeout_ms == 0 || n == 0) {
        b->timeout_ms = -1;
        curl_multi_socket_action(b->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    for (int i = 0; i < n; i++)
        curl_multi_socket_action(b->multi, ready[i].data.fd, (ready[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) | (ready[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0), &running);
    collect(b);
}

/* bare PORT HEAD N */
int child_bare_multi(uint16_t port, const char *head, uint64_t n)
{
    static CURL *easy[IN_FLIGHT];
    struct bare b = { .multi = curl_multi_init(), .epoll = epoll_create1(EPOLL_CLOEXEC), .timeout_ms = -1, .left = n };
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", port);
    curl_multi_setopt(b.multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(b.multi, CURLMOPT_SOCKETDATA, &b);
    curl_multi_setopt(b.multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(b.multi, CURLMOPT_TIMERDATA, &b);
    struct curl_slist *headers = headers_of(head);
    for (int i = 0; i < IN_FLIGHT; i++) {
        easy[i] = curl_easy_init();
        curl_easy_setopt(easy[i], CURLOPT_URL, url);
        curl_easy_setopt(easy[i], CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy[i], CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(easy[i], CURLOPT_WRITEFUNCTION, ignore);
        curl_easy_setopt(easy[i], CURLOPT_WRITEDATA, &b.bytes);
        more(&b, easy[i]);
    }
    while (b.running)
        turn(&b);
    for (int i = 0; i < IN_FLIGHT; i++)
        curl_easy_cleanup(easy[i]);
    curl_multi_cleanup(b.multi);
    curl_slist_free_all(headers);
    return b.failures || b.bytes != 100 * n;
}

/* ---- governed ---- */

struct flight { memo_service *service; uint64_t left, running, failures; };

static void on_done(memo_status s, memo_http_reply *r, void *user);

static void submit(struct flight *f)
{
    memo_http_request q = MEMO_INIT(memo_http_request);
    if (!f->left)
        return;
    f->left--;
    bool begun = memo_http_submit(f->service, &q, on_done, f, NULL, NULL) == MEMO_OK;
    f->running += begun;
    f->failures += !begun;
}

static void on_done(memo_status s, memo_http_reply *r, void *user)
{
    struct flight *f = user;
    f->failures += s != MEMO_OK || r->status != 200 || r->body_bytes != 100;
    f->running--;
    submit(f);
}

int child_submitted(uint16_t port, uint64_t n)
{
    subject_hosted = true;
    struct subject s = subject_open(RULES_HTTP, 1, port);
    struct flight f = { .service = s.service[0], .left = n };
    struct pollfd ready = { .fd = memo_client_fd(s.client), .events = POLLIN };
    for (int i = 0; i < IN_FLIGHT; i++)
        submit(&f);
    while (f.running && poll(&ready, 1, 10000) == 1 && memo_client_step(s.client) == MEMO_OK)
        ;
    bool whole = !f.running && !f.failures;
    subject_close(&s);
    return !whole;
}

void group_http_async(void)
{
    uint16_t port = server_start();
    char head[1024], number[8];
    snprintf(number, sizeof number, "%u", port);
    if (!port) {
        missing("asynchronous http figures", "no server on loopback");
        return;
    }
    struct subject s = subject_open(RULES_HTTP, 1, port);
    bool known = governed_head(s.service[0], head, sizeof head);
    subject_close(&s);
    const char *const governed[] = { "submitted", number, NULL }, *const bare[] = { "multi", number, head, NULL };
    double ours = known ? instructions(governed, 1000, 3000) : -1, theirs = known ? instructions(bare, 1000, 3000) : -1;
    if (ours > 0 && theirs > 0) {
        figure("http_async_instr", ours, "instructions");
        figure("http_async_curl_instr", theirs, "instructions");
        figure("http_async_instr_over_curl", ours / theirs, "x");
    }
    server_stop();
}
