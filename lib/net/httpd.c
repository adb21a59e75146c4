/* SPDX-License-Identifier: Apache-2.0 */
/* httpd.c: a small HTTP/1.1 server on the loop.
 *
 *   READING --whole request--> HANDLING --memo__httpd_reply--> WRITING --all sent--> READING (keep-alive), or closed
 *      |  refused (4xx, 501)                                      |
 *      +--------------------> WRITING, then LINGERING: reads on for a moment, so that the refusal is not lost to a reset
 *
 * A reply from within the handler costs no change of interest and no timer: recv and send only. A connection's timer runs from accept to close and is moved lazily:
 * it fires at the earliest deadline that it was ever set for, looks at the one of now, and sleeps again. No Date header: it is for caches, and nobody caches here.
 *
 * Requests that were sent ahead wait in `in`; after a late reply they are taken up on the timer, so a handler is never called from within memo__httpd_reply. */
#define _GNU_SOURCE
#include "net/httpd.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/instant.h"
#include "base/status.h"
#include "net/http_head.h"

#define LISTENERS 8
#define FIRST_BYTES 4096u               /* of a connection's buffer: most requests are one read */
#define ACCEPTS 32                      /* a turn */
#define REPLY_HEADERS 32u
#define LINGER_NS MEMO__S               /* how long, and how many bytes, a refused client may still talk */
#define LINGER_BYTES (256u * 1024u)
#define OUT_KEPT (64u * 1024u)          /* a bigger reply buffer is given back */
#define RETRY_ACCEPT_NS (100 * MEMO__MS)

enum phase { READING, HANDLING, WRITING, LINGERING, ORPHAN /* its client is gone, its reply is still due */ };

struct memo__httpd_request {            /* a connection; a request is what it is busy with */
    struct memo__httpd *d;
    struct memo__httpd_request *next, *previous;
    struct memo__io io;
    struct memo__timer timer;
    memo__instant deadline;
    int fd;
    enum phase phase;
    bool in_handler, again, close_after, headless;     /* again: the handler has replied; headless: to HEAD */
    char *in, *body, *out;              /* received; decoded chunks; to send */
    size_t in_used, in_room, scanned, head_bytes;
    size_t body_used, body_room;
    size_t out_used, out_sent, out_room;
    size_t lingered;
    bool head_known;
    struct memo__http_chunks chunks;
    struct memo__text path, query, content;
    memo__httpd_gone_fn *gone;
    void *gone_user;
    struct memo__http_head head;
};

struct listener { struct memo__io io; struct memo__httpd *d; int fd; char *path; dev_t device; ino_t inode; };

struct memo__httpd {
    struct memo__alloc alloc;
    struct memo__loop *loop;
    struct memo__httpd_options o;
    memo__httpd_fn *fn;
    void *user;
    struct listener listeners[LISTENERS];
    uint32_t listening, connections;
    uint64_t requests;
    bool stopping, paused;
    struct memo__timer timer;           /* always running, so that moving it cannot fail: ends a pause of accepting, tells `stopped` */
    void (*stopped)(void *user);
    void *stopped_user;
    struct memo__httpd_request *all;
};

static void set_timer(struct memo__httpd *d, memo__instant at);

/* ---- time ---- */

static void wait_until(struct memo__httpd_request *r, memo__instant at)
{
    r->deadline = at;
    if (at < r->timer.at)
        (void)memo__timer_start(r->d->loop, &r->timer, at, r->timer.fn, r); /* runs already: moving it cannot fail */
}

static void wait_for(struct memo__httpd_request *r, int64_t ns)
{
    wait_until(r, memo__after(memo__loop_now(r->d->loop), ns));
}

/* ---- ends of connections ---- */

static void accepting(struct memo__httpd *d, bool on)
{
    d->paused = !on;
    for (uint32_t i = 0; i < d->listening; i++)
        (void)memo__io_change(d->loop, &d->listeners[i].io, on ? EPOLLIN : 0);
}

static void drop_fd(struct memo__httpd_request *r)
{
    if (r->fd < 0)
        return;
    memo__io_stop(r->d->loop, &r->io);
    close(r->fd);
    r->fd = -1;
}

static void destroy(struct memo__httpd_request *r)
{
    struct memo__httpd *d = r->d;
    drop_fd(r);
    memo__timer_stop(d->loop, &r->timer);
    if (r->previous)
        r->previous->next = r->next;
    else
        d->all = r->next;
    if (r->next)
        r->next->previous = r->previous;
    memo__drop(&d->alloc, r->in);
    memo__drop(&d->alloc, r->body);
    memo__drop(&d->alloc, r->out);
    memo__drop(&d->alloc, r);
    d->connections--;
    if (d->paused && !d->stopping)
        accepting(d, true);
    if (d->stopping && !d->connections)
        set_timer(d, memo__loop_now(d->loop));
}

/* The client is gone while its request is being handled: whoever is due to reply is told, or replies into the void. */
static void lost(struct memo__httpd_request *r)
{
    if (r->phase != HANDLING) {
        destroy(r);
    } else if (r->gone && !r->in_handler) {
        memo__httpd_gone_fn *gone = r->gone;
        r->phase = ORPHAN;
        r->in_handler = true; /* a reply from there is one too many */
        gone(r, r->gone_user);
        destroy(r);
    } else {
        r->phase = ORPHAN;
        drop_fd(r);
        r->deadline = MEMO__NEVER;
    }
}

/* ---- writing ---- */

static bool out_room(struct memo__httpd_request *r, size_t more)
{
    size_t room = r->out_room ? r->out_room : 1024;
    while (room < r->out_used + more)
        room *= 2;
    if (room == r->out_room)
        return true;
    char *out = memo__resize(&r->d->alloc, r->out, room);
    if (!out)
        return false;
    r->out = out;
    r->out_room = room;
    return true;
}

static void out_put(struct memo__httpd_request *r, const void *bytes, size_t n)
{
    if (n)
        memcpy(r->out + r->out_used, bytes, n);
    r->out_used += n;
}

static void rest_of_request(struct memo__httpd_request *r)
{
    size_t used = r->head_bytes;
    r->in_used -= used;
    memmove(r->in, r->in + used, r->in_used);
    r->scanned = r->head_bytes = 0;
    r->head_known = false;
    r->gone = NULL;
    if (r->out_room > OUT_KEPT) {
        memo__drop(&r->d->alloc, r->out);
        r->out = NULL;
        r->out_room = 0;
    }
    if (r->body_room) {
        memo__drop(&r->d->alloc, r->body);
        r->body = NULL;
        r->body_room = 0;
    }
    r->body_used = r->out_used = r->out_sent = 0;
}

/* All is sent. false: the connection is no more. */
static bool replied(struct memo__httpd_request *r)
{
    if (r->close_after || r->d->stopping) {
        if (r->in_used <= r->head_bytes && r->head_known) { /* nothing unread that would turn the close into a reset */
            destroy(r);
            return false;
        }
        r->phase = LINGERING;
        shutdown(r->fd, SHUT_WR);
        wait_for(r, LINGER_NS);
        (void)memo__io_change(r->d->loop, &r->io, EPOLLIN);
        return true;
    }
    rest_of_request(r);
    r->phase = READING;
    wait_for(r, r->in_used ? r->d->o.receive_ns : r->d->o.idle_ns);
    (void)memo__io_change(r->d->loop, &r->io, EPOLLIN);
    return true;
}

/* false: the connection is no more. */
static bool send_out(struct memo__httpd_request *r)
{
    while (r->out_sent < r->out_used) {
        ssize_t sent = send(r->fd, r->out + r->out_sent, r->out_used - r->out_sent, MSG_NOSIGNAL);
        if (sent > 0) {
            r->out_sent += (size_t)sent;
            continue;
        }
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            wait_for(r, r->d->o.receive_ns);
            (void)memo__io_change(r->d->loop, &r->io, EPOLLOUT);
            return true;
        }
        destroy(r);
        return false;
    }
    return replied(r);
}

static bool header_ok(const memo_header *h)
{
    struct memo__text value = memo__text_sized(h->value, h->value_bytes);
    return memo__is_token(memo__text_sized(h->name, h->name_bytes)) && !memchr(value.at, '\r', value.n) && !memchr(value.at, '\n', value.n) &&
        !memchr(value.at, 0, value.n);
}

static bool put_head(struct memo__httpd_request *r, int status, const memo_header *headers, uint32_t count, size_t bytes)
{
    char line[160];
    int n = snprintf(line, sizeof line, "HTTP/1.1 %d %s\r\n", status, memo__http_reason(status));
    if (status != 204 && status != 304 && status >= 200)
        n += snprintf(line + n, sizeof line - (size_t)n, "Content-Length: %zu\r\n", bytes);
    if (r->close_after)
        n += snprintf(line + n, sizeof line - (size_t)n, "Connection: close\r\n");
    else if (r->head.minor == 0)
        n += snprintf(line + n, sizeof line - (size_t)n, "Connection: keep-alive\r\n");
    if (!out_room(r, (size_t)n))
        return false;
    out_put(r, line, (size_t)n);
    for (uint32_t i = 0; i < count && i < REPLY_HEADERS; i++) {
        size_t name = memo__text_sized(headers[i].name, headers[i].name_bytes).n, value = memo__text_sized(headers[i].value, headers[i].value_bytes).n;
        if (!header_ok(&headers[i]))
            continue;
        if (!out_room(r, name + value + 4))
            return false;
        out_put(r, headers[i].name, name);
        out_put(r, ": ", 2);
        out_put(r, headers[i].value, value);
        out_put(r, "\r\n", 2);
    }
    if (!out_room(r, 2))
        return false;
    out_put(r, "\r\n", 2);
    return true;
}

static bool compose(struct memo__httpd_request *r, int status, const memo_header *headers, uint32_t count, const void *body, size_t bytes)
{
    if (r->d->stopping)
        r->close_after = true;
    r->out_used = r->out_sent = 0;
    if (!put_head(r, status, headers, count, bytes))
        return false;
    if (r->headless || status == 204 || status == 304)
        return true;
    if (!out_room(r, bytes))
        return false;
    out_put(r, body, bytes);
    return true;
}

void memo__httpd_reply(struct memo__httpd_request *r, int status, const memo_header *headers, uint32_t count, const void *body, size_t bytes)
{
    if (r->phase == ORPHAN && !r->in_handler) {
        destroy(r);
        return;
    }
    if (r->phase != HANDLING)
        return; /* a second reply to one request */
    bool whole = compose(r, status, headers, count, body, bytes);
    r->phase = WRITING;
    if (!whole) {
        r->close_after = true; /* no memory for the answer: the client sees the connection end */
        r->out_used = 0;
    }
    if (r->in_handler) {
        r->again = true;
        return;
    }
    if (send_out(r) && r->phase == READING && r->in_used)
        wait_until(r, memo__loop_now(r->d->loop)); /* what was sent ahead: on a turn of its own */
}

void memo__httpd_reply_text(struct memo__httpd_request *r, int status, const char *content_type, const char *body)
{
    const memo_header type = { "Content-Type", content_type, 0, 0 };
    memo__httpd_reply(r, status, &type, 1, body, strlen(body));
}

void memo__httpd_abort(struct memo__httpd_request *r)
{
    const struct linger now = { 1, 0 };
    if (r->fd >= 0)
        (void)setsockopt(r->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    if (r->in_handler) {
        drop_fd(r);
        r->phase = WRITING;
        r->again = true;
    } else {
        destroy(r);
    }
}

/* ---- reading ---- */

static void refuse(struct memo__httpd_request *r, int status)
{
    char text[64];
    const memo_header type = { "Content-Type", "text/plain", 0, 0 };
    int n = snprintf(text, sizeof text, "%d %s\n", status, memo__http_reason(status));
    r->close_after = true;
    r->headless = false;
    r->head.minor = 1;
    r->phase = WRITING;
    r->head_known = false;
    if (compose(r, status, &type, 1, text, (size_t)n))
        (void)send_out(r);
    else
        destroy(r);
}

static bool in_room(struct memo__httpd_request *r, size_t room)
{
    if (room <= r->in_room)
        return true;
    char *in = memo__resize(&r->d->alloc, r->in, room);
    if (!in)
        return false;
    r->in = in;
    r->in_room = room;
    return true;
}

/* "/a?b" or "http://host/a?b" (RFC 9112 section 3.2.2) into path and query, each ended by a NUL: the blank behind the target makes room for it. */
static bool split_target(struct memo__httpd_request *r)
{
    struct memo__text t = r->head.target;
    if (t.at[0] != '/' && !memo__text_is(t, "*")) {
        struct memo__text scheme = { t.at, t.n < 7 ? t.n : 7 };
        if (!memo__text_same_nocase(scheme, MEMO__TEXT("http://")))
            return false;
        const char *slash = memchr(t.at + 7, '/', t.n - 7);
        if (!slash)
            return false;
        t.n -= (size_t)(slash - t.at);
        t.at = slash;
    }
    char *at = r->in + (t.at - r->in), *mark = memchr(at, '?', t.n);
    at[t.n] = '\0';
    r->path = (struct memo__text){ at, mark ? (size_t)(mark - at) : t.n };
    r->query = (struct memo__text){ mark ? mark + 1 : at + t.n, mark ? t.n - r->path.n - 1 : 0 };
    if (mark)
        *mark = '\0';
    return true;
}

static int whole(struct memo__httpd_request *r)
{
    if (!split_target(r))
        return 400;
    r->d->requests++;
    r->close_after = !r->head.keep_alive;
    r->headless = memo__text_is(r->head.method, "HEAD");
    r->phase = HANDLING;
    r->deadline = MEMO__NEVER;
    r->in_handler = true;
    r->again = false;
    r->d->fn(r, r->d->user);
    r->in_handler = false;
    return 0;
}

static int chunked_body(struct memo__httpd_request *r, bool *done)
{
    size_t raw = r->in_used - r->head_bytes, used, made;
    if (r->body_used + raw > r->body_room) {
        size_t room = (r->body_used + raw) * 2;
        char *body = memo__resize(&r->d->alloc, r->body, room);
        if (!body)
            return 503;
        r->body = body;
        r->body_room = room;
    }
    enum memo__http_progress p = memo__http_chunks_feed(&r->chunks, r->in + r->head_bytes, raw, &used, r->body + r->body_used, &made);
    r->body_used += made;
    if (p == MEMO__CHUNKS_BAD)
        return 400;
    if (r->body_used > r->d->o.body_bytes)
        return 413;
    memmove(r->in + r->head_bytes, r->in + r->head_bytes + used, raw - used);
    r->in_used -= used;
    *done = p == MEMO__CHUNKS_DONE;
    r->content = (struct memo__text){ r->body, r->body_used };
    return 0;
}

static int sized_body(struct memo__httpd_request *r, bool *done)
{
    size_t length = (size_t)r->head.length;
    *done = r->in_used - r->head_bytes >= length;
    r->content = (struct memo__text){ r->in + r->head_bytes, length };
    if (*done)
        r->head_bytes += length; /* from here on: the bytes of the whole request */
    return 0;
}

static void say_continue(struct memo__httpd_request *r)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (r->head.expects_continue && r->head.minor == 1 && r->in_used == r->head_bytes)
        (void)!send(r->fd, text, sizeof text - 1, MSG_NOSIGNAL);
}

/* The head is whole: what it says, and room for the body beside it. The head's texts point into `in`, so it grows before they are made. */
static int take_head(struct memo__httpd_request *r, size_t bytes)
{
    int wrong = memo__http_head_request(r->in, bytes, &r->head);
    if (wrong)
        return wrong;
    if (r->head.framing == MEMO__BODY_LENGTH && r->head.length > r->d->o.body_bytes)
        return 413;
    size_t need = bytes + (r->head.framing == MEMO__BODY_LENGTH ? (size_t)r->head.length : r->head.framing == MEMO__BODY_CHUNKED ? FIRST_BYTES : 0);
    if (need > r->in_room) {
        if (!in_room(r, need))
            return 503;
        (void)memo__http_head_request(r->in, bytes, &r->head);
    }
    r->head_bytes = bytes;
    r->head_known = true;
    r->chunks = (struct memo__http_chunks){ 0 };
    r->body_used = 0;
    if (r->head.framing != MEMO__BODY_NONE)
        say_continue(r);
    return 0;
}

/* Empty lines before a request are skipped (RFC 9112 section 2.2). */
static void skip_empty_lines(struct memo__httpd_request *r)
{
    size_t n = 0;
    while (n + 1 < r->in_used && r->in[n] == '\r' && r->in[n + 1] == '\n')
        n += 2;
    if (n) {
        r->in_used -= n;
        memmove(r->in, r->in + n, r->in_used);
        r->scanned = 0;
    }
}

/* One step with what is in the buffer. 0 with *more: wait for the peer. Else a status to refuse with. */
static int consume(struct memo__httpd_request *r, bool *more)
{
    bool done = true;
    int wrong = 0;
    *more = false;
    if (!r->head_known) {
        skip_empty_lines(r);
        size_t bytes = memo__http_head_end(r->in, r->in_used, &r->scanned);
        if (!bytes) {
            *more = true;
            return r->in_used >= MEMO__HEAD_BYTES ? 431 : 0;
        }
        wrong = take_head(r, bytes);
        if (wrong)
            return wrong;
    }
    r->content = (struct memo__text){ "", 0 };
    if (r->head.framing == MEMO__BODY_CHUNKED)
        wrong = chunked_body(r, &done);
    else if (r->head.framing == MEMO__BODY_LENGTH)
        wrong = sized_body(r, &done);
    *more = !wrong && !done;
    return wrong || !done ? wrong : whole(r);
}

/* As many requests as the buffer holds, as long as they are answered at once. */
static void progress(struct memo__httpd_request *r)
{
    bool more = false;
    while (r->phase == READING && r->in_used && !more) {
        int wrong = consume(r, &more);
        if (wrong) {
            refuse(r, wrong);
            return;
        }
        if (more)
            return;
        if (r->fd < 0) { /* broken from within the handler */
            destroy(r);
            return;
        }
        if (!r->again) {
            (void)memo__io_change(r->d->loop, &r->io, 0); /* a hang-up is told even so */
            return;
        }
        if (!send_out(r))
            return;
    }
}

static void linger(struct memo__httpd_request *r)
{
    char waste[4096];
    ssize_t got = recv(r->fd, waste, sizeof waste, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    r->lingered += got > 0 ? (size_t)got : 0;
    if (got <= 0 || r->lingered > LINGER_BYTES)
        destroy(r);
}

static size_t room_wanted(const struct memo__httpd_request *r)
{
    if (r->head_known || r->in_used < r->in_room)
        return r->in_room; /* take_head has made room for the body */
    return r->in_room ? r->in_room * 2 : FIRST_BYTES;
}

static void receive(struct memo__httpd_request *r)
{
    if (!in_room(r, room_wanted(r))) {
        destroy(r);
        return;
    }
    ssize_t got = recv(r->fd, r->in + r->in_used, r->in_room - r->in_used, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        destroy(r);
        return;
    }
    if (!r->in_used)
        wait_for(r, r->d->o.receive_ns);
    r->in_used += (size_t)got;
    progress(r);
}

static void ready(struct memo__io *io, uint32_t events, void *user)
{
    struct memo__httpd_request *r = user;
    (void)io;
    if (r->phase == HANDLING) {
        if (events & (EPOLLHUP | EPOLLERR))
            lost(r);
    } else if (r->phase == WRITING) {
        if (send_out(r) && r->phase == READING && r->in_used)
            progress(r);
    } else if (r->phase == LINGERING) {
        linger(r);
    } else {
        receive(r);
    }
}

static void late(struct memo__timer *t, void *user)
{
    struct memo__httpd_request *r = user;
    memo__instant now = memo__loop_now(r->d->loop);
    (void)memo__timer_start(r->d->loop, t, memo__reached(now, r->deadline) ? MEMO__NEVER : r->deadline, late, r); /* its place was free a moment ago */
    if (!memo__reached(now, r->deadline))
        return;
    r->deadline = MEMO__NEVER;
    if (r->phase == READING && r->in_used && !r->head_known && !r->scanned) { /* sent ahead of a late reply */
        wait_for(r, r->d->o.receive_ns);
        progress(r);
    } else if (r->phase == READING && r->in_used) {
        refuse(r, 408);
    } else if (r->phase != HANDLING && r->phase != ORPHAN) {
        destroy(r);
    }
}

/* ---- accepting ---- */

static bool connection_new(struct memo__httpd *d, int fd)
{
    struct memo__httpd_request *r = memo__get(&d->alloc, sizeof *r);
    if (!r)
        return false;
    r->d = d;
    r->fd = -1;
    r->deadline = memo__after(memo__loop_now(d->loop), d->o.idle_ns);
    if (memo__timer_start(d->loop, &r->timer, r->deadline, late, r) != MEMO_OK || memo__io_start(d->loop, &r->io, fd, EPOLLIN, ready, r) != MEMO_OK) {
        memo__timer_stop(d->loop, &r->timer);
        memo__drop(&d->alloc, r);
        return false;
    }
    r->fd = fd;
    r->next = d->all;
    if (d->all)
        d->all->previous = r;
    d->all = r;
    d->connections++;
    return true;
}

static void accept_ready(struct memo__io *io, uint32_t events, void *user)
{
    struct listener *l = user;
    struct memo__httpd *d = l->d;
    const int one = 1;
    (void)io, (void)events;
    for (int i = 0; i < ACCEPTS && l->fd >= 0; i++) {
        if (d->connections >= d->o.connections) {
            accepting(d, false);
            return;
        }
        int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
            accepting(d, false); /* the queue would stay readable: look again in a moment */
            set_timer(d, memo__after(memo__loop_now(d->loop), RETRY_ACCEPT_NS));
            return;
        }
        if (fd < 0 && errno == EAGAIN)
            return;
        if (fd < 0)
            continue; /* a client that has left already */
        if (!l->path)
            (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (!connection_new(d, fd))
            close(fd);
    }
}

static void housekeeping(struct memo__timer *t, void *user)
{
    struct memo__httpd *d = user;
    (void)memo__timer_start(d->loop, t, MEMO__NEVER, housekeeping, d);
    if (d->stopping && !d->connections) {
        void (*stopped)(void *) = d->stopped;
        d->stopped = NULL;
        if (stopped)
            stopped(d->stopped_user); /* may free d */
    } else if (d->paused && !d->stopping) {
        accepting(d, true);
    }
}

static void set_timer(struct memo__httpd *d, memo__instant at)
{
    (void)memo__timer_start(d->loop, &d->timer, at, housekeeping, d);
}

/* ---- listening ---- */

static memo_status listen_on(struct memo__httpd *d, int fd, const char *path, memo_error *e)
{
    struct listener *l = &d->listeners[d->listening];
    memo_status s = MEMO_E_IO;
    *l = (struct listener){ .d = d, .fd = fd };
    if (path && !(l->path = memo__copy_text(&d->alloc, path, strlen(path)))) {
        s = memo__fail(e, MEMO_E_NO_MEMORY, "no memory for a listener");
        goto fail;
    }
    if (listen(fd, 1024) != 0 || memo__io_start(d->loop, &l->io, fd, d->paused ? 0 : EPOLLIN, accept_ready, l) != MEMO_OK) {
        s = memo__fail(e, MEMO_E_IO, "cannot listen: %s", strerror(errno));
        goto fail;
    }
    d->listening++;
    return MEMO_OK;
fail:
    memo__drop(&d->alloc, l->path);
    close(fd);
    return s;
}

memo_status memo__httpd_listen(struct memo__httpd *d, const char *address, uint16_t *port, memo_error *e)
{
    union { struct sockaddr any; struct sockaddr_in four; struct sockaddr_in6 six; } a = { .any = { 0 } };
    socklen_t size = sizeof a.four;
    const int one = 1;
    if (d->listening == LISTENERS || d->stopping)
        return memo__fail(e, MEMO_E_STATE, "no more listeners");
    memset(&a, 0, sizeof a);
    if (inet_pton(AF_INET, address, &a.four.sin_addr) == 1) {
        a.four.sin_family = AF_INET;
        a.four.sin_port = htons(*port);
    } else if (inet_pton(AF_INET6, address, &a.six.sin6_addr) == 1) {
        a.six.sin6_family = AF_INET6;
        a.six.sin6_port = htons(*port);
        size = sizeof a.six;
    } else {
        return memo__fail(e, MEMO_E_ARGUMENT, "%s is not a numeric address", address);
    }
    int fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return memo__fail(e, MEMO_E_IO, "no socket: %s", strerror(errno));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, &a.any, size) != 0 || getsockname(fd, &a.any, &size) != 0) {
        memo_status s = memo__fail(e, MEMO_E_IO, "cannot bind to %s port %u: %s", address, *port, strerror(errno));
        close(fd);
        return s;
    }
    *port = ntohs(a.any.sa_family == AF_INET ? a.four.sin_port : a.six.sin6_port);
    return listen_on(d, fd, NULL, e);
}

/* A name that nobody answers to is a leftover. */
static void remove_stale(const struct sockaddr_un *a)
{
    struct stat st;
    if (lstat(a->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)a, sizeof *a) != 0 && errno == ECONNREFUSED)
        unlink(a->sun_path);
    close(fd);
}

memo_status memo__httpd_listen_unix(struct memo__httpd *d, const char *path, unsigned mode, memo_error *e)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    struct stat st;
    if (strlen(path) >= sizeof a.sun_path)
        return memo__fail(e, MEMO_E_ARGUMENT, "the socket's path is longer than %zu bytes", sizeof a.sun_path - 1);
    if (d->listening == LISTENERS || d->stopping)
        return memo__fail(e, MEMO_E_STATE, "no more listeners");
    memcpy(a.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return memo__fail(e, MEMO_E_IO, "no socket: %s", strerror(errno));
    remove_stale(&a);
    (void)fchmod(fd, (mode_t)mode); /* on Linux the name is made with this mode: at no moment is it open to more */
    if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || chmod(path, (mode_t)mode) != 0 || lstat(path, &st) != 0) {
        memo_status s = memo__fail(e, MEMO_E_IO, "cannot bind to %s: %s", path, strerror(errno));
        close(fd);
        return s;
    }
    memo_status s = listen_on(d, fd, path, e);
    if (s != MEMO_OK) {
        unlink(path);
        return s;
    }
    d->listeners[d->listening - 1].device = st.st_dev;
    d->listeners[d->listening - 1].inode = st.st_ino;
    return MEMO_OK;
}

/* The name is removed only if it is still ours. */
static void stop_listening(struct memo__httpd *d, bool remove)
{
    struct stat st;
    for (uint32_t i = 0; i < d->listening; i++) {
        struct listener *l = &d->listeners[i];
        memo__io_stop(d->loop, &l->io);
        if (l->path && remove && lstat(l->path, &st) == 0 && st.st_dev == l->device && st.st_ino == l->inode)
            unlink(l->path);
        close(l->fd);
        l->fd = -1;
        memo__drop(&d->alloc, l->path);
        l->path = NULL;
    }
    d->listening = 0;
}

/* ---- life ---- */

memo_status memo__httpd_new(const struct memo__alloc *a, struct memo__loop *l, const struct memo__httpd_options *o, memo__httpd_fn *fn, void *user, struct memo__httpd **out)
{
    struct memo__httpd *d = memo__get(a, sizeof *d);
    *out = NULL;
    if (!d)
        return MEMO_E_NO_MEMORY;
    d->alloc = *a;
    d->loop = l;
    if (o)
        d->o = *o;
    if (!d->o.connections)
        d->o.connections = 1024;
    if (!d->o.body_bytes)
        d->o.body_bytes = 1u << 20;
    if (d->o.idle_ns <= 0)
        d->o.idle_ns = 60 * MEMO__S;
    if (d->o.receive_ns <= 0)
        d->o.receive_ns = 10 * MEMO__S;
    d->fn = fn;
    d->user = user;
    if (memo__timer_start(l, &d->timer, MEMO__NEVER, housekeeping, d) != MEMO_OK) {
        memo__drop(a, d);
        return MEMO_E_NO_MEMORY;
    }
    *out = d;
    return MEMO_OK;
}

void memo__httpd_stop(struct memo__httpd *d, void (*stopped)(void *user), void *user)
{
    d->stopping = true;
    d->stopped = stopped;
    d->stopped_user = user;
    stop_listening(d, true);
    for (struct memo__httpd_request *r = d->all, *next; r; r = next) {
        next = r->next;
        if (r->phase == READING && !r->in_used)
            destroy(r);
    }
    if (!d->connections)
        set_timer(d, memo__loop_now(d->loop));
}

static void end_all(struct memo__httpd *d)
{
    d->stopping = true;
    d->stopped = NULL;
    while (d->all) {
        if (d->all->phase == HANDLING)
            lost(d->all);
        if (d->all && (d->all->phase == ORPHAN || d->all->phase != HANDLING))
            destroy(d->all);
    }
}

void memo__httpd_free(struct memo__httpd *d)
{
    if (!d)
        return;
    stop_listening(d, true);
    end_all(d);
    memo__timer_stop(d->loop, &d->timer);
    struct memo__alloc a = d->alloc;
    memo__drop(&a, d);
}

/* The io entries are new to this process's epoll, and closing is no goodbye on TCP as long as the parent holds its copy. */
void memo__httpd_after_fork(struct memo__httpd *d)
{
    stop_listening(d, false);
    end_all(d);
}

uint32_t memo__httpd_connections(const struct memo__httpd *d) { return d->connections; }
uint64_t memo__httpd_requests(const struct memo__httpd *d) { return d->requests; }

/* ---- what was asked ---- */

struct memo__text memo__httpd_method(const struct memo__httpd_request *r) { return r->head.method; }
struct memo__text memo__httpd_path(const struct memo__httpd_request *r) { return r->path; }
struct memo__text memo__httpd_query(const struct memo__httpd_request *r) { return r->query; }
struct memo__text memo__httpd_header(const struct memo__httpd_request *r, const char *name) { return memo__http_head_get(&r->head, name); }
struct memo__text memo__httpd_body(const struct memo__httpd_request *r) { return r->content; }
struct memo__loop *memo__httpd_loop(const struct memo__httpd_request *r) { return r->d->loop; }

void memo__httpd_on_gone(struct memo__httpd_request *r, memo__httpd_gone_fn *fn, void *user)
{
    r->gone = fn;
    r->gone_user = user;
}
