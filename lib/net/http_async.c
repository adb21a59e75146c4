/* SPDX-License-Identifier: Apache-2.0 */
/* http_async.c: see http_async.h.
 *
 *   loop                                          libcurl (one multi handle)
 *   io of a socket is ready --on_ready--------->  curl_multi_socket_action
 *   timer is due            --on_due----------->  curl_multi_socket_action(TIMEOUT)
 *   io started, changed, stopped  <--on_socket--  wants to read or write, or no longer
 *   timer started, stopped        <--on_timer---  wants to be called in so many ms
 *
 * Ends are read after each action (collect). on_socket must not fail: libcurl 7.88 then gives up the whole multi handle; who finds no memory for a
 * socket ends that exchange alone, at the next turn. Nor may on_timer: the timer has a place in the heap for as long as this lives (at MEMO__NEVER it
 * rests), so starting it again takes no memory. Sockets are kept in a table beside libcurl's, because a forked child has to cut them before anybody
 * says goodbye on them. */
#define _GNU_SOURCE
#include "net/http_async.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/rng.h"
#include "net/http_wire.h"

struct sock { /* one of libcurl's, watched by the loop */
    struct memo__io io;
    struct memo__http_async *async;
    struct sock *previous, *next;   /* used ones, or free ones */
};

struct memo__http_async {
    struct memo__http_pool *pool;
    struct memo__loop *loop;
    CURLM *multi;                   /* NULL: closed after silence; the next exchange opens one */
    memo__instant last;             /* when something ran */
    int wake[2];
    struct memo__timer timer;
    struct memo__http_run *running;
    struct wire *buckets[BUCKETS];  /* idle handles, by endpoint */
    struct wire *newest, *oldest;
    struct sock *used, *free;
    int *fds;                       /* every socket that is open */
    uint32_t fds_count, fds_room;
    bool secure;                    /* TLS was ever spoken */
    bool starved;                   /* some running exchange found no memory */
    struct memo__http_async_stats stats;
};

/* ---- sockets, as they are opened and closed ---- */

static curl_socket_t socket_open(void *user, curlsocktype purpose, struct curl_sockaddr *s)
{
    struct wire *w = user;
    struct memo__http_async *a = w->async;
    (void)purpose;
    if (a->fds_count == a->fds_room) {
        uint32_t room = a->fds_room ? a->fds_room * 2 : 64;
        int *fds = memo__resize(&a->pool->alloc, a->fds, room * sizeof *fds);
        if (!fds) {
            w->no_memory = true;
            return CURL_SOCKET_BAD;
        }
        a->fds = fds;
        a->fds_room = room;
    }
    int fd = memo__wire_socket(w, s);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    a->fds[a->fds_count++] = fd;
    a->stats.connections++;
    return fd;
}

static int socket_close(void *user, curl_socket_t fd)
{
    struct memo__http_async *a = user;
    for (uint32_t i = a->fds_count; i-- > 0;)
        if (a->fds[i] == fd) {
            a->fds[i] = a->fds[--a->fds_count];
            break;
        }
    return close(fd);
}

/* ---- ends ---- */

static void unlink_run(struct memo__http_run *x)
{
    *(x->previous ? &x->previous->next : &x->async->running) = x->next;
    if (x->next)
        x->next->previous = x->previous;
    x->previous = x->next = NULL;
    x->wire = NULL;
    x->async->stats.running--;
}

static void unlink_idle(struct memo__http_async *a, struct wire *w)
{
    struct wire **at = &a->buckets[w->hash % BUCKETS];
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    *(w->newer ? &w->newer->older : &a->newest) = w->older;
    *(w->older ? &w->older->newer : &a->oldest) = w->newer;
    w->next = w->newer = w->older = NULL;
    a->stats.idle--;
}

/* Handles are cheap to keep and dear to make, but not without bound. */
static void keep(struct memo__http_async *a, struct wire *w, bool good)
{
    w->out = NULL;
    a->last = memo__loop_now(a->loop);
    if (!good) {
        memo__wire_free(w);
        return;
    }
    if (a->stats.idle >= a->pool->o.idle_total) {
        struct wire *old = a->oldest;
        unlink_idle(a, old);
        memo__wire_free(old);
    }
    w->used = a->last;
    w->next = a->buckets[w->hash % BUCKETS];
    a->buckets[w->hash % BUCKETS] = w;
    w->newer = NULL;
    w->older = a->newest;
    *(a->newest ? &a->newest->newer : &a->oldest) = w;
    a->newest = w;
    a->stats.idle++;
}

static void over(struct memo__http_run *x, CURLcode code)
{
    struct memo__http_async *a = x->async;
    struct wire *w = x->wire;
    long opened = 0;
    bool good;
    (void)curl_easy_getinfo(w->easy, CURLINFO_NUM_CONNECTS, &opened);
    w->opened = opened > 0;
    struct memo__pipe_guard g;
    memo__pipe_guard_enter(&g, a->secure);
    curl_multi_remove_handle(a->multi, w->easy);
    memo__pipe_guard_leave(&g);
    memo_status status = memo__wire_end(w, code, &good);
    unlink_run(x);
    keep(a, w, good);
    a->stats.exchanges++;
    x->fn(x, status, x->user);
}

static void multi_close(struct memo__http_async *a)
{
    struct memo__pipe_guard g;
    if (!a->multi)
        return;
    memo__pipe_guard_enter(&g, a->secure);
    curl_multi_cleanup(a->multi);
    memo__pipe_guard_leave(&g);
    a->multi = NULL;
}

/* Those for whose sockets there was no memory: as if libcurl had said so. */
static void end_starved(struct memo__http_async *a)
{
    struct memo__http_run *x;
    a->starved = false;
    do { /* from the beginning each time: fn may have begun or ended any of them */
        for (x = a->running; x && !x->wire->no_memory; x = x->next)
            ;
        if (x)
            over(x, CURLE_OUT_OF_MEMORY);
    } while (x);
}

static void collect(struct memo__http_async *a)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(a->multi, &left));) {
        struct memo__http_run *x = NULL;
        if (m->msg != CURLMSG_DONE)
            continue;
        CURLcode code = m->data.result;
        (void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&x);
        over(x, code);
    }
    if (a->starved)
        end_starved(a);
}

/* libcurl found no memory half-way through its own books, and 7.88 divides by zero when it is asked again about such a socket: all that runs ends, and
 * the next exchange makes another multi handle. */
static void give_up(struct memo__http_async *a)
{
    struct memo__pipe_guard g;
    memo__pipe_guard_enter(&g, a->secure);
    for (struct memo__http_run *x = a->running; x; x = x->next) {
        curl_multi_remove_handle(a->multi, x->wire->easy);
        x->wire->no_memory = true;
    }
    memo__pipe_guard_leave(&g);
    multi_close(a);
    end_starved(a);
}

/* ---- between the loop and libcurl ---- */

static void act(struct memo__http_async *a, curl_socket_t fd, int ready)
{
    struct memo__pipe_guard g;
    int running;
    memo__pipe_guard_enter(&g, a->secure);
    CURLMcode m = curl_multi_socket_action(a->multi, fd, ready, &running);
    memo__pipe_guard_leave(&g);
    collect(a);
    if (m != CURLM_OK && a->multi)
        give_up(a);
}

/* What went wrong is found by reading and writing: CURL_CSELECT_ERR would end the exchange without a reason. */
static void on_ready(struct memo__io *io, uint32_t ready, void *user)
{
    struct memo__http_async *a = user;
    bool broken = ready & (EPOLLERR | EPOLLHUP);
    int what = (ready & EPOLLIN || broken ? CURL_CSELECT_IN : 0) | (ready & EPOLLOUT || (broken && io->wanted & EPOLLOUT) ? CURL_CSELECT_OUT : 0);
    act(a, io->fd, what);
}

static void on_due(struct memo__timer *t, void *user);

/* Cannot fail: it has its place, or has just given it back (on_due). */
static void due_at(struct memo__http_async *a, memo__instant at)
{
    (void)memo__timer_start(a->loop, &a->timer, at, on_due, a);
}

static void on_due(struct memo__timer *t, void *user)
{
    struct memo__http_async *a = user;
    (void)t;
    due_at(a, MEMO__NEVER); /* before anybody else takes its place */
    act(a, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer(CURLM *multi, long ms, void *user)
{
    struct memo__http_async *a = user;
    (void)multi;
    due_at(a, ms < 0 ? MEMO__NEVER : memo__after_ms(memo__loop_now(a->loop), ms));
    return 0;
}

static struct sock *sock_new(struct memo__http_async *a, curl_socket_t fd, uint32_t wanted)
{
    struct sock *k = a->free;
    if (k)
        a->free = k->next;
    else if (!(k = memo__get(&a->pool->alloc, sizeof *k)))
        return NULL;
    memset(&k->io, 0, sizeof k->io);
    k->async = a;
    if (memo__io_start(a->loop, &k->io, fd, wanted, on_ready, a) == MEMO_OK) {
        k->previous = NULL;
        k->next = a->used;
        if (k->next)
            k->next->previous = k;
        a->used = k;
        a->stats.sockets++;
        return k;
    }
    k->next = a->free;
    a->free = k;
    return NULL;
}

static void sock_end(struct memo__http_async *a, struct sock *k)
{
    memo__io_stop(a->loop, &k->io);
    *(k->previous ? &k->previous->next : &a->used) = k->next;
    if (k->next)
        k->next->previous = k->previous;
    k->next = a->free;
    a->free = k;
    a->stats.sockets--;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *known)
{
    struct memo__http_async *a = user;
    struct sock *k = known;
    uint32_t wanted = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
    bool good = true;
    if (what == CURL_POLL_REMOVE) {
        if (k)
            sock_end(a, k);
        (void)curl_multi_assign(a->multi, fd, NULL);
    } else if (k) {
        good = memo__io_change(a->loop, &k->io, wanted) == MEMO_OK;
    } else {
        k = sock_new(a, fd, wanted);
        good = k && curl_multi_assign(a->multi, fd, k) == CURLM_OK;
    }
    struct memo__http_run *x = NULL;
    if (!good && curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&x) == CURLE_OK && x && x->wire) {
        x->wire->no_memory = a->starved = true;
        due_at(a, memo__loop_now(a->loop));
    }
    return 0;
}

/* ---- the multi handle ---- */

/* Those in use count, too: what is over it is closed after its exchange. So half of what the process may have open; libcurl's own rule, four times
 * the handles that are in use just now, would close what the next burst needs. */
static long connections_most(void)
{
    struct rlimit r;
    uint64_t half = getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur != RLIM_INFINITY ? (uint64_t)r.rlim_cur / 2 : 16384;
    return half < 64 ? 64 : half > 16384 ? 16384 : (long)half;
}

static bool multi_open(struct memo__http_async *a)
{
    a->wake[0] = a->wake[1] = -1;
    a->multi = memo__multi_new(a->wake, connections_most());
    /* no two on one connection: a lost connection is one lost exchange, as in http.c */
    bool good = a->multi && curl_multi_setopt(a->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING) == CURLM_OK;
    good = good && curl_multi_setopt(a->multi, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK;
    good = good && curl_multi_setopt(a->multi, CURLMOPT_SOCKETDATA, a) == CURLM_OK;
    good = good && curl_multi_setopt(a->multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK;
    good = good && curl_multi_setopt(a->multi, CURLMOPT_TIMERDATA, a) == CURLM_OK;
    if (!good)
        multi_close(a);
    return good;
}

/* ---- beginning and breaking off ---- */

static memo_status take(struct memo__http_async *a, const struct memo__http_target *t, struct wire **out)
{
    uint64_t hash = memo__wire_hash(t);
    struct wire *w = a->buckets[hash % BUCKETS];
    while (w && !memo__wire_is_for(w, hash, t))
        w = w->next;
    *out = w;
    if (w) {
        unlink_idle(a, w);
        return MEMO_OK;
    }
    memo__lock_take(&a->pool->lock);
    uint32_t draw = (uint32_t)memo__draw_next(&a->pool->draw);
    memo__lock_drop(&a->pool->lock);
    memo_status s = memo__wire_new(a->pool, t, hash, draw, false, &w);
    if (s != MEMO_OK)
        return s;
    bool wrong = false;
    w->async = a;
    wrong |= curl_easy_setopt(w->easy, CURLOPT_OPENSOCKETFUNCTION, socket_open) != CURLE_OK;
    wrong |= curl_easy_setopt(w->easy, CURLOPT_OPENSOCKETDATA, w) != CURLE_OK;
    wrong |= curl_easy_setopt(w->easy, CURLOPT_CLOSESOCKETFUNCTION, socket_close) != CURLE_OK;
    wrong |= curl_easy_setopt(w->easy, CURLOPT_CLOSESOCKETDATA, a) != CURLE_OK;
    if (wrong) {
        memo__wire_free(w);
        return MEMO_E_NO_MEMORY;
    }
    a->secure = a->secure || t->secure;
    *out = w;
    return MEMO_OK;
}

static void link_run(struct memo__http_async *a, struct memo__http_run *x, struct wire *w)
{
    x->wire = w;
    x->previous = NULL;
    x->next = a->running;
    if (a->running)
        a->running->previous = x;
    a->running = x;
    a->stats.running++;
}

memo_status memo__http_start(struct memo__http_async *a, struct memo__http_run *x, const struct memo__http_target *t, const struct memo__http_send *s,
                             struct memo__http_answer *answer, memo__http_run_fn *fn, void *user)
{
    struct wire *w;
    *x = (struct memo__http_run){ .async = a, .answer = answer, .fn = fn, .user = user };
    memo__http_answer_clear(answer);
    if (s->timeout_ns <= 0) {
        answer->kind = MEMO_OUTCOME_TIMED_OUT;
        snprintf(answer->error, sizeof answer->error, "no time was left to send it");
        fn(x, MEMO_OK, user);
        return MEMO_OK;
    }
    if (!a->multi && !multi_open(a))
        return MEMO_E_NO_MEMORY;
    memo_status status = take(a, t, &w);
    if (status == MEMO_E_ARGUMENT)
        snprintf(answer->error, sizeof answer->error, "the endpoint has no numeric address, no port or a host that is not a name");
    if (status != MEMO_OK)
        return status;
    status = memo__wire_begin(w, s, answer);
    if (status == MEMO_OK && curl_easy_setopt(w->easy, CURLOPT_PRIVATE, x) == CURLE_OK) {
        link_run(a, x, w);
        if (curl_multi_add_handle(a->multi, w->easy) == CURLM_OK)
            return MEMO_OK;
        unlink_run(x);
        status = MEMO_E_NO_MEMORY;
    }
    keep(a, w, status == MEMO_E_ARGUMENT);
    return status == MEMO_OK ? MEMO_E_NO_MEMORY : status;
}

void memo__http_abort(struct memo__http_run *x)
{
    struct memo__http_async *a = x->async;
    struct wire *w = x->wire;
    struct memo__pipe_guard g;
    if (!w)
        return;
    x->answer->sent = w->sent;
    memo__pipe_guard_enter(&g, a->secure);
    curl_multi_remove_handle(a->multi, w->easy);
    memo__pipe_guard_leave(&g);
    unlink_run(x);
    w->out = NULL;
    memo__wire_free(w);
}

/* ---- as a whole ---- */

memo_status memo__http_async_new(struct memo__http_pool *p, struct memo__loop *l, struct memo__http_async **out)
{
    struct memo__http_async *a = memo__get(&p->alloc, sizeof *a);
    *out = NULL;
    if (!a)
        return MEMO_E_NO_MEMORY;
    a->pool = p;
    a->loop = l;
    a->last = memo__loop_now(l);
    if (!multi_open(a) || memo__timer_start(l, &a->timer, MEMO__NEVER, on_due, a) != MEMO_OK) {
        memo__http_async_free(a);
        return MEMO_E_NO_MEMORY;
    }
    *out = a;
    return MEMO_OK;
}

static void wires_free(struct memo__http_async *a)
{
    while (a->running)
        memo__http_abort(a->running);
    while (a->oldest) {
        struct wire *w = a->oldest;
        unlink_idle(a, w);
        memo__wire_free(w);
    }
}

void memo__http_async_free(struct memo__http_async *a)
{
    if (!a)
        return;
    struct memo__alloc alloc = a->pool->alloc;
    wires_free(a);
    multi_close(a);
    memo__timer_stop(a->loop, &a->timer);
    for (struct sock *k = a->free, *next; k; k = next) {
        next = k->next;
        memo__drop(&alloc, k);
    }
    memo__drop(&alloc, a->fds);
    memo__drop(&alloc, a);
}

void memo__http_async_sweep(struct memo__http_async *a, memo__instant now)
{
    while (a->oldest && memo__since(now, a->oldest->used) >= a->pool->o.idle_ns) {
        struct wire *w = a->oldest;
        unlink_idle(a, w);
        memo__wire_free(w);
    }
    if (a->multi && !a->running && !a->oldest && memo__since(now, a->last) >= a->pool->o.idle_ns) {
        multi_close(a); /* its connections: libcurl looks after them only when it makes another one */
        due_at(a, MEMO__NEVER);
    }
}

memo_status memo__http_async_after_fork(struct memo__http_async *a)
{
    for (struct sock *k = a->used; k; k = k->next) /* while their descriptors are still what the epoll was told: it knows descriptor and file */
        memo__io_stop(a->loop, &k->io);
    int nowhere = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    for (uint32_t i = 0; i < a->fds_count; i++)
        if (nowhere < 0 || dup3(nowhere, a->fds[i], O_CLOEXEC) < 0)
            (void)close(a->fds[i]); /* then nobody can say anything on it, either */
    if (nowhere >= 0)
        (void)close(nowhere);
    wires_free(a);
    multi_close(a);
    a->fds_count = 0;
    due_at(a, MEMO__NEVER);
    return multi_open(a) ? MEMO_OK : MEMO_E_NO_MEMORY;
}

void memo__http_async_stats(const struct memo__http_async *a, struct memo__http_async_stats *out)
{
    *out = a->stats;
}
