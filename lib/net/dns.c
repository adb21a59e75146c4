/* SPDX-License-Identifier: Apache-2.0 */
/* dns.c: c-ares on the loop.
 *
 *   resolve -> numeric? hosts file? localhost? --yes--> done list
 *           -> channel: A and AAAA, each for itself --both back--> done list --timer, next turn--> callback
 *
 * Two questions instead of one AF_UNSPEC: c-ares 1.18 reports the status of the answer that came last, so "no AAAA" after a lost A would read as "no such name".
 * Rules for c-ares 1.18 (many of its later fixes are of this shape): one channel on one thread; never cancel or destroy from within its callbacks, so callbacks only note and the
 * timer acts; a channel is retired when /etc/resolv.conf changes and destroyed when its last question is back. Its sockets are made here: close-on-exec, and no SIGPIPE.
 *
 * 1 s, 2 s, 4 s a server: a lost datagram costs a second, a dead server is known after seven. */
#define _GNU_SOURCE
#include "net/dns.h"
#include <ares.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define TIMEOUT_MS 1000
#define TRIES 3
#define NAME_BYTES 254

struct channel;

struct watch { struct watch *next; struct channel *channel; struct memo__io io; };

struct channel {
    struct channel *next;
    struct memo__dns *dns;
    ares_channel ares;
    struct watch *watches;
    struct memo__timer timer;           /* always running: moving it cannot fail */
    uint32_t running;                   /* questions */
    bool retired;
};

struct part { struct memo__dns_query *q; struct channel *channel; memo_status status; };

struct memo__dns_query {
    struct memo__dns *dns;
    struct memo__dns_query *next, *previous;    /* all of them */
    struct memo__dns_query *done_next;
    memo__dns_fn *fn;                   /* NULL: cancelled */
    void *user;
    uint32_t pending;
    struct part part[2];                /* A, AAAA */
    struct memo__dns_address *addresses;
    uint32_t count, room;
    int32_t ttl_s;
    char name[NAME_BYTES + 1];
};

struct memo__dns {
    struct memo__alloc alloc;
    const struct memo__host *host;
    struct memo__loop *loop;
    char *servers;
    ares_channel hosts;                 /* looks into the file only: never has a socket */
    struct channel *channels;           /* the first is the one to ask, unless it is retired */
    struct memo__dns_query *all, *done, **done_last;
    struct memo__timer timer;           /* always running */
    struct stat resolv;                 /* /etc/resolv.conf as it was when the channel was made */
    bool moving;                        /* questions that come back are to be asked again */
};

/* ---- c-ares as a whole, and its sockets ---- */

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static int global_result;
static void global_init(void) { global_result = ares_library_init(ARES_LIB_INIT_ALL); }

static ares_socket_t socket_open(int family, int type, int protocol, void *user)
{
    (void)user;
    return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
}

static int socket_close(ares_socket_t fd, void *user)
{
    (void)user;
    return close(fd);
}

static int socket_connect(ares_socket_t fd, const struct sockaddr *to, ares_socklen_t n, void *user)
{
    (void)user;
    return connect(fd, to, n);
}

static ares_ssize_t socket_receive(ares_socket_t fd, void *bytes, size_t n, int flags, struct sockaddr *from, ares_socklen_t *from_n, void *user)
{
    (void)user;
    return recvfrom(fd, bytes, n, flags, from, from_n);
}

static ares_ssize_t socket_send(ares_socket_t fd, const struct iovec *parts, int count, void *user)
{
    struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = (size_t)count };
    (void)user;
    return sendmsg(fd, &m, MSG_NOSIGNAL);
}

static const struct ares_socket_functions sockets = { socket_open, socket_close, socket_connect, socket_receive, socket_send };

/* ---- time and readiness ---- */

static void timer_came(struct memo__timer *t, void *user);

static void set_timer(struct channel *c)
{
    struct timeval left, *given = ares_timeout(c->ares, NULL, &left);
    memo__instant at = MEMO__NEVER;
    if (given)
        at = memo__after(memo__loop_now(c->dns->loop), (int64_t)given->tv_sec * MEMO__S + (int64_t)given->tv_usec * MEMO__US);
    (void)memo__timer_start(c->dns->loop, &c->timer, at, timer_came, c);
}

static void timer_came(struct memo__timer *t, void *user)
{
    struct channel *c = user;
    (void)memo__timer_start(c->dns->loop, t, MEMO__NEVER, timer_came, c);
    ares_process_fd(c->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    set_timer(c);
}

static void ready(struct memo__io *io, uint32_t events, void *user)
{
    struct channel *c = ((struct watch *)user)->channel;
    int fd = io->fd; /* the watch may go while c-ares works */
    ares_process_fd(c->ares, events & (EPOLLIN | EPOLLERR | EPOLLHUP) ? fd : ARES_SOCKET_BAD, events & EPOLLOUT ? fd : ARES_SOCKET_BAD);
    set_timer(c);
}

/* A socket that cannot be watched is as a server that does not answer: the timer deals with it. */
static void socket_wanted(void *user, ares_socket_t fd, int readable, int writable)
{
    struct channel *c = user;
    struct watch **at = &c->watches, *w;
    uint32_t wanted = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u);
    while (*at && (*at)->io.fd != fd)
        at = &(*at)->next;
    w = *at;
    if (!wanted && w) {
        memo__io_stop(c->dns->loop, &w->io);
        *at = w->next;
        memo__drop(&c->dns->alloc, w);
    } else if (w) {
        (void)memo__io_change(c->dns->loop, &w->io, wanted);
    } else if (wanted && (w = memo__get(&c->dns->alloc, sizeof *w)) != NULL) {
        w->channel = c;
        if (memo__io_start(c->dns->loop, &w->io, fd, wanted, ready, w) != MEMO_OK) {
            memo__drop(&c->dns->alloc, w);
            return;
        }
        w->next = c->watches;
        c->watches = w;
    }
}

/* ---- channels ---- */

static memo_status status_of(int ares)
{
    switch (ares) {
    case ARES_SUCCESS: return MEMO_OK;
    case ARES_ENODATA:
    case ARES_ENOTFOUND: return MEMO_REFUSED_NO_ENDPOINT;
    case ARES_ETIMEOUT: return MEMO_E_TIMEOUT;
    case ARES_ENOMEM: return MEMO_E_NO_MEMORY;
    case ARES_EBADNAME: return MEMO_E_ARGUMENT;
    case ARES_EDESTRUCTION:
    case ARES_ECANCELLED: return MEMO_E_CANCELLED;
    case ARES_EBADRESP:
    case ARES_EFORMERR: return MEMO_E_PROTOCOL;
    default: return MEMO_E_UNREACHABLE; /* refused, SERVFAIL, NOTIMP, no server */
    }
}

static void channel_free(struct channel *c)
{
    struct memo__dns *d = c->dns;
    if (c->ares)
        ares_destroy(c->ares);
    while (c->watches) {
        struct watch *w = c->watches;
        c->watches = w->next;
        memo__io_stop(d->loop, &w->io);
        memo__drop(&d->alloc, w);
    }
    memo__timer_stop(d->loop, &c->timer);
    memo__drop(&d->alloc, c);
}

static memo_status channel_open(struct memo__dns *d, struct channel *c)
{
    static char lookups[] = "b";
    struct ares_options o = { .timeout = TIMEOUT_MS, .tries = TRIES, .lookups = lookups, .sock_state_cb = socket_wanted, .sock_state_cb_data = c };
    int wrong = ares_init_options(&c->ares, &o, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB);
    if (wrong) {
        c->ares = NULL;
        return wrong == ARES_ENOMEM ? MEMO_E_NO_MEMORY : MEMO_E_IO;
    }
    ares_set_socket_functions(c->ares, &sockets, NULL);
    if (d->servers && (wrong = ares_set_servers_ports_csv(c->ares, d->servers)) != ARES_SUCCESS)
        return wrong == ARES_ENOMEM ? MEMO_E_NO_MEMORY : MEMO_E_ARGUMENT;
    return MEMO_OK;
}

static memo_status channel_new(struct memo__dns *d)
{
    struct channel *c = memo__get(&d->alloc, sizeof *c);
    if (!c)
        return MEMO_E_NO_MEMORY;
    c->dns = d;
    memo_status s = memo__timer_start(d->loop, &c->timer, MEMO__NEVER, timer_came, c);
    if (s == MEMO_OK)
        s = channel_open(d, c);
    if (s != MEMO_OK) {
        channel_free(c);
        return s;
    }
    c->next = d->channels;
    d->channels = c;
    return MEMO_OK;
}

/* Those whose last question is back. Only from the timer and from the outside, never from within c-ares. */
static void sweep_channels(struct memo__dns *d)
{
    for (struct channel **at = &d->channels; *at;) {
        struct channel *c = *at;
        if (!c->retired || c->running) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        channel_free(c);
    }
}

/* ---- /etc/resolv.conf ---- */

static void look(struct memo__dns *d, struct stat *st)
{
    const struct memo__host *h = d->host;
    memset(st, 0, sizeof *st);
    int fd = h->open(h->user, AT_FDCWD, "/etc/resolv.conf", O_RDONLY, 0);
    if (fd < 0)
        return;
    if (h->stat_fd(h->user, fd, st) < 0)
        memset(st, 0, sizeof *st);
    (void)h->close(h->user, fd);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* The channel to ask, NULL if there is no memory for one. If a new one cannot be made the old one is better than none. */
static struct channel *channel_now(struct memo__dns *d)
{
    struct stat st;
    struct channel *old = d->channels;
    if (!old)
        return channel_new(d) == MEMO_OK ? d->channels : NULL;
    if (d->servers)
        return old;
    look(d, &st);
    if (!same_file(&st, &d->resolv) && channel_new(d) == MEMO_OK) {
        d->resolv = st;
        old->retired = true;
        sweep_channels(d);
    }
    return d->channels;
}

/* ---- answers ---- */

static void deliver(struct memo__timer *t, void *user);

static void is_done(struct memo__dns_query *q)
{
    struct memo__dns *d = q->dns;
    q->done_next = NULL;
    *d->done_last = q;
    d->done_last = &q->done_next;
    (void)memo__timer_start(d->loop, &d->timer, memo__loop_now(d->loop), deliver, d);
}

static bool keep_address(struct memo__dns_query *q, bool six, const void *numeric)
{
    if (q->count == MEMO__DNS_ADDRESSES_MAX)
        return true;
    if (q->count == q->room) {
        uint32_t room = q->room ? q->room * 2 : 4;
        struct memo__dns_address *more = memo__resize(&q->dns->alloc, q->addresses, room * sizeof *more);
        if (!more)
            return false;
        q->addresses = more;
        q->room = room;
    }
    struct memo__dns_address *a = &q->addresses[q->count];
    a->six = six;
    if (!inet_ntop(six ? AF_INET6 : AF_INET, numeric, a->text, sizeof a->text))
        return false;
    q->count++;
    return true;
}

static memo_status keep_nodes(struct memo__dns_query *q, const struct ares_addrinfo *found)
{
    uint32_t before = q->count;
    for (const struct ares_addrinfo_cname *c = found->cnames; c; c = c->next)
        q->ttl_s = c->ttl < q->ttl_s ? c->ttl : q->ttl_s;
    for (const struct ares_addrinfo_node *n = found->nodes; n; n = n->ai_next) {
        bool six = n->ai_family == AF_INET6;
        const struct sockaddr_in *four = (const void *)n->ai_addr;
        const struct sockaddr_in6 *other = (const void *)n->ai_addr;
        if (!keep_address(q, six, six ? (const void *)&other->sin6_addr : (const void *)&four->sin_addr))
            return MEMO_E_NO_MEMORY;
        q->ttl_s = n->ai_ttl < q->ttl_s ? n->ai_ttl : q->ttl_s;
    }
    return q->count > before || q->count == MEMO__DNS_ADDRESSES_MAX ? MEMO_OK : MEMO_E_PROTOCOL; /* "success" without an address: it could not be read */
}

static void part_came(void *user, int ares, int timeouts, struct ares_addrinfo *found)
{
    struct part *p = user;
    struct memo__dns_query *q = p->q;
    (void)timeouts;
    p->status = status_of(ares);
    if (p->status == MEMO_OK)
        p->status = keep_nodes(q, found);
    if (found)
        ares_freeaddrinfo(found);
    p->channel->running--;
    if (--q->pending == 0 && !q->dns->moving)
        is_done(q);
}

/* Which of the two statuses is the whole's: what is unknown outweighs what is known. */
static memo_status together(const struct memo__dns_query *q)
{
    memo_status a = q->part[0].status, b = q->part[1].status;
    bool a_known = a == MEMO_OK || a == MEMO_REFUSED_NO_ENDPOINT, b_known = b == MEMO_OK || b == MEMO_REFUSED_NO_ENDPOINT;
    if (!a_known || !b_known)
        return a == MEMO_E_NO_MEMORY || a_known ? (a_known ? b : a) : b == MEMO_E_NO_MEMORY ? b : a;
    return a == MEMO_OK || b == MEMO_OK ? MEMO_OK : MEMO_REFUSED_NO_ENDPOINT;
}

/* IPv4 first, whichever answer came first. */
static void four_first(struct memo__dns_query *q)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < q->count; i++) {
        struct memo__dns_address a = q->addresses[i];
        if (a.six)
            continue;
        memmove(&q->addresses[at + 1], &q->addresses[at], (i - at) * sizeof a);
        q->addresses[at++] = a;
    }
}

static void query_free(struct memo__dns_query *q)
{
    struct memo__dns *d = q->dns;
    if (q->previous)
        q->previous->next = q->next;
    else
        d->all = q->next;
    if (q->next)
        q->next->previous = q->previous;
    memo__drop(&d->alloc, q->addresses);
    memo__drop(&d->alloc, q);
}

/* Takes one off at a time: a callback may resolve, or cancel one that is next. */
static void deliver(struct memo__timer *t, void *user)
{
    struct memo__dns *d = user;
    (void)memo__timer_start(d->loop, t, MEMO__NEVER, deliver, d);
    struct memo__dns_query *last = NULL, *q;
    for (q = d->done; q; q = q->done_next)
        last = q;
    while ((q = d->done) != NULL) {
        d->done = q->done_next;
        if (!d->done)
            d->done_last = &d->done;
        bool end = q == last; /* what the callbacks add waits for the next turn */
        four_first(q);
        if (q->fn)
            q->fn(q->user, together(q), q->addresses, q->count, q->count ? q->ttl_s : 0);
        query_free(q);
        if (end)
            break;
    }
    sweep_channels(d);
}

/* ---- questions ---- */

static void answered(struct memo__dns_query *q, memo_status s, int32_t ttl_s)
{
    q->part[0].status = q->part[1].status = s;
    q->ttl_s = ttl_s;
    is_done(q);
}

static bool is_name(const char *name)
{
    size_t n = strlen(name);
    return n && n < NAME_BYTES && *name != '.' && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") == n;
}

static bool is_localhost(const char *name)
{
    size_t n = strlen(name);
    n -= n && name[n - 1] == '.';
    return (n == 9 && strncasecmp(name, "localhost", 9) == 0) || (n > 10 && strncasecmp(name + n - 10, ".localhost", 10) == 0);
}

static void hosts_came(void *user, int ares, int timeouts, struct ares_addrinfo *found)
{
    struct memo__dns_query *q = user;
    (void)timeouts;
    q->part[0].status = status_of(ares);
    if (q->part[0].status == MEMO_OK)
        q->part[0].status = keep_nodes(q, found);
    if (found)
        ares_freeaddrinfo(found);
}

/* Numeric, from the hosts file (c-ares reads it before it returns), or localhost (RFC 6761 section 6.3). */
static bool answered_here(struct memo__dns_query *q)
{
    struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC, .ai_flags = ARES_AI_NOSORT };
    unsigned char numeric[16];
    bool four = inet_pton(AF_INET, q->name, numeric) == 1, six = !four && inet_pton(AF_INET6, q->name, numeric) == 1;
    if (four || six) {
        answered(q, keep_address(q, six, numeric) ? MEMO_OK : MEMO_E_NO_MEMORY, INT32_MAX);
        return true;
    }
    if (!is_name(q->name)) {
        answered(q, MEMO_E_ARGUMENT, 0);
        return true;
    }
    ares_getaddrinfo(q->dns->hosts, q->name, NULL, &hints, hosts_came, q);
    if (q->count) {
        answered(q, MEMO_OK, 0);
        return true;
    }
    if (!is_localhost(q->name))
        return false;
    bool fits = keep_address(q, false, &(struct in_addr){ htonl(INADDR_LOOPBACK) }) && keep_address(q, true, &in6addr_loopback);
    answered(q, fits ? MEMO_OK : MEMO_E_NO_MEMORY, 0);
    return true;
}

static void ask(struct memo__dns_query *q)
{
    struct channel *c = channel_now(q->dns);
    struct ares_addrinfo_hints hints = { .ai_flags = ARES_AI_NOSORT };
    if (!c) {
        answered(q, MEMO_E_NO_MEMORY, 0);
        return;
    }
    q->pending = 2;
    q->count = 0;
    q->ttl_s = INT32_MAX;
    c->running += 2;
    for (int i = 0; i < 2; i++)
        q->part[i] = (struct part){ q, c, MEMO_E_CANCELLED };
    for (int i = 0; i < 2; i++) {
        hints.ai_family = i ? AF_INET6 : AF_INET;
        ares_getaddrinfo(c->ares, q->name, NULL, &hints, part_came, &q->part[i]); /* may come back at once */
    }
    set_timer(c);
}

memo_status memo__dns_resolve(struct memo__dns *d, const char *name, memo__dns_fn *fn, void *user, struct memo__dns_query **out)
{
    struct memo__dns_query *q = memo__get(&d->alloc, sizeof *q);
    if (out)
        *out = q;
    if (!q)
        return MEMO_E_NO_MEMORY;
    q->dns = d;
    q->fn = fn;
    q->user = user;
    size_t n = strlen(name);
    memcpy(q->name, name, n < NAME_BYTES ? n : NAME_BYTES); /* too long stays too long, and is refused */
    q->next = d->all;
    if (d->all)
        d->all->previous = q;
    d->all = q;
    if (!answered_here(q))
        ask(q);
    return MEMO_OK;
}

void memo__dns_cancel(struct memo__dns_query *q)
{
    if (q)
        q->fn = NULL;
}

/* ---- life ---- */

static memo_status hosts_open(struct memo__dns *d)
{
    static char lookups[] = "f";
    struct ares_options o = { .lookups = lookups };
    int wrong = ares_init_options(&d->hosts, &o, ARES_OPT_LOOKUPS);
    if (wrong)
        d->hosts = NULL;
    return wrong == ARES_ENOMEM ? MEMO_E_NO_MEMORY : wrong ? MEMO_E_IO : MEMO_OK;
}

memo_status memo__dns_new(const struct memo__alloc *a, const struct memo__host *h, struct memo__loop *l, const char *servers, struct memo__dns **out)
{
    memo_status s = MEMO_E_NO_MEMORY;
    *out = NULL;
    pthread_once(&global_once, global_init);
    struct memo__dns *d = global_result ? NULL : memo__get(a, sizeof *d);
    if (!d)
        return s;
    d->alloc = *a;
    d->host = h;
    d->loop = l;
    d->done_last = &d->done;
    if (servers && !(d->servers = memo__copy_text(a, servers, strlen(servers))))
        goto fail;
    look(d, &d->resolv);
    if ((s = memo__timer_start(l, &d->timer, MEMO__NEVER, deliver, d)) != MEMO_OK || (s = hosts_open(d)) != MEMO_OK || (s = channel_new(d)) != MEMO_OK)
        goto fail;
    *out = d;
    return MEMO_OK;
fail:
    memo__dns_free(d);
    return s;
}

/* All channels go; their questions come back and are only noted. */
static void close_channels(struct memo__dns *d)
{
    d->moving = true;
    while (d->channels) {
        struct channel *c = d->channels;
        d->channels = c->next;
        channel_free(c);
    }
    d->moving = false;
}

void memo__dns_free(struct memo__dns *d)
{
    if (!d)
        return;
    close_channels(d);
    if (d->hosts)
        ares_destroy(d->hosts);
    while (d->all)
        query_free(d->all);
    memo__timer_stop(d->loop, &d->timer);
    struct memo__alloc a = d->alloc;
    memo__drop(&a, d->servers);
    memo__drop(&a, d);
}

/* Questions without a channel (no memory) are answered so. */
memo_status memo__dns_after_fork(struct memo__dns *d)
{
    close_channels(d);
    look(d, &d->resolv);
    memo_status s = channel_new(d);
    for (struct memo__dns_query *q = d->all; q; q = q->next) {
        bool done = false;
        for (struct memo__dns_query *i = d->done; i && !done; i = i->done_next)
            done = i == q;
        if (!done)
            ask(q);
    }
    return s;
}
