/* SPDX-License-Identifier: Apache-2.0 */
/* http.c: the pool, and exchanges that block, held so that one costs little more than libcurl itself.
 *
 *   struct wire = one libcurl handle + its one connection + the endpoint that it belongs to (http_wire.h)
 *   buckets[hash of the endpoint] -> wires, the last used first          lru: the same wires, the last used first, for the cap on all
 *   all: chunks of pointers to every wire, idle or busy: what a forked child walks, for lists may be torn there, single words not
 *
 * Each wire drives its own multi handle instead of curl_easy_perform: the same work less one poll, and the descriptors of libcurl's wake-up can be found and made close-on-exec. */
#define _GNU_SOURCE
#include "net/http.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/atomic.h"
#include "base/rng.h"
#include "base/status.h"
#include "base/text.h"
#include "net/http_wire.h"

#define LINE_BYTES 65536u       /* of one request header */
#define PATH_BYTES 65536u

/* ---- the pool ---- */

static uint32_t default_idle(void)
{
    struct rlimit r;
    uint64_t most = getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur != RLIM_INFINITY ? (uint64_t)r.rlim_cur / 8 : 256;
    return (uint32_t)(most < 16 ? 16 : most > 256 ? 256 : most);
}

static void defaults(struct memo__http_options *o)
{
    if (!o->idle_total)
        o->idle_total = default_idle();
    if (!o->idle_per_endpoint)
        o->idle_per_endpoint = 64;
    if (o->idle_ns <= 0)
        o->idle_ns = 30 * MEMO__S;
    if (o->lifetime_ns <= 0)
        o->lifetime_ns = 300 * MEMO__S;
    if (!o->head_bytes)
        o->head_bytes = 64 * 1024;
    if (!o->head_count)
        o->head_count = 100;
    if (!o->body_bytes)
        o->body_bytes = (size_t)16 << 20;
    o->ca_file = NULL;
}

memo_status memo__http_pool_new(const struct memo__alloc *a, const struct memo__host *h, const struct memo__http_options *o, struct memo__http_pool **out, memo_error *e)
{
    *out = NULL;
    memo_status s = memo__curl_ready(e);
    if (s != MEMO_OK)
        return s;
    const char *ca = o && o->ca_file && *o->ca_file ? o->ca_file : NULL;
    if (ca && access(ca, R_OK) != 0)
        return memo__fail(e, MEMO_E_SETTING, "cannot read the CA file %s: %s", ca, strerror(errno));
    struct memo__http_pool *p = memo__get(a, sizeof *p);
    if (!p)
        return memo__fail(e, MEMO_E_NO_MEMORY, "no memory for the HTTP pool");
    p->alloc = *a;
    p->host = h;
    if (o)
        p->o = *o;
    defaults(&p->o);
    memo__lock_init(&p->lock);
    p->now = memo__now(h);
    p->draw = (uint64_t)p->now;
    (void)h->random(h->user, &p->draw, sizeof p->draw);
    p->pattern = curl_easy_init();
    if (!p->pattern || (ca && !(p->ca_file = memo__copy_text(a, ca, strlen(ca))))) {
        memo__http_pool_free(p);
        return memo__fail(e, MEMO_E_NO_MEMORY, "no memory for the HTTP pool");
    }
    (void)curl_easy_setopt(p->pattern, CURLOPT_NOSIGNAL, 1L); /* else its end sets the process's SIGPIPE to "ignore" for a moment */
    *out = p;
    return MEMO_OK;
}

static struct wire **free_place(struct memo__http_pool *p)
{
    for (struct chunk *c = p->all; c; c = c->next)
        for (uint32_t i = 0; i < CHUNK; i++)
            if (!memo__load_acquire(&c->wires[i]))
                return &c->wires[i];
    struct chunk *c = memo__get(&p->alloc, sizeof *c);
    if (!c)
        return NULL;
    c->next = p->all;
    memo__store_release(&p->all, c);
    return &c->wires[0];
}

static void unlink_idle(struct memo__http_pool *p, struct wire *w)
{
    struct wire **at = &p->buckets[w->hash % BUCKETS];
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    if (w->newer)
        w->newer->older = w->older;
    else
        p->newest = w->older;
    if (w->older)
        w->older->newer = w->newer;
    else
        p->oldest = w->newer;
    w->next = w->newer = w->older = NULL;
    p->stats.idle--;
}

static void link_idle(struct memo__http_pool *p, struct wire *w)
{
    struct wire **at = &p->buckets[w->hash % BUCKETS];
    w->next = *at;
    *at = w;
    w->newer = NULL;
    w->older = p->newest;
    if (p->newest)
        p->newest->newer = w;
    else
        p->oldest = w;
    p->newest = w;
    p->stats.idle++;
}

static struct wire *take_idle(struct memo__http_pool *p, uint64_t hash, const struct memo__http_target *t, uint32_t *draw)
{
    memo__lock_take(&p->lock);
    struct wire *w = p->buckets[hash % BUCKETS];
    while (w && !memo__wire_is_for(w, hash, t))
        w = w->next;
    if (w) {
        memo__store_release(&w->busy, 1u);
        unlink_idle(p, w);
        p->stats.busy++;
    } else {
        *draw = (uint32_t)memo__draw_next(&p->draw);
    }
    memo__lock_drop(&p->lock);
    return w;
}

static memo_status take(struct memo__http_pool *p, const struct memo__http_target *t, struct wire **out)
{
    uint64_t hash = memo__wire_hash(t);
    uint32_t draw = 0;
    *out = take_idle(p, hash, t, &draw);
    if (*out)
        return MEMO_OK;
    struct wire *w;
    memo_status s = memo__wire_new(p, t, hash, draw, true, &w);
    if (s != MEMO_OK)
        return s;
    memo__lock_take(&p->lock);
    w->place = free_place(p);
    if (w->place) {
        memo__store_release(w->place, w);
        p->stats.busy++;
    }
    memo__lock_drop(&p->lock);
    if (!w->place) {
        memo__wire_free(w);
        return MEMO_E_NO_MEMORY;
    }
    *out = w;
    return MEMO_OK;
}

static uint32_t idle_of(const struct memo__http_pool *p, const struct wire *w)
{
    uint32_t n = 0;
    for (const struct wire *i = p->buckets[w->hash % BUCKETS]; i; i = i->next)
        n += i->hash == w->hash;
    return n;
}

static void count(struct memo__http_pool *p, const struct wire *w, const struct memo__http_answer *r)
{
    p->stats.busy--;
    p->stats.exchanges++;
    p->stats.connections += w->opened;
    p->stats.reused += r->reused;
    p->stats.resends_stopped += r->resend_stopped;
}

/* Back to the pool, or out of it: whichever wire must go is freed after the lock. */
static void give(struct memo__http_pool *p, struct wire *w, bool good)
{
    struct wire *doomed = NULL;
    memo__lock_take(&p->lock);
    count(p, w, w->out);
    w->out = NULL;
    if (!good || p->o.used_once || idle_of(p, w) >= p->o.idle_per_endpoint) {
        doomed = w;
    } else {
        if (p->stats.idle >= p->o.idle_total) {
            doomed = p->oldest;
            unlink_idle(p, doomed);
            memo__store_release(&doomed->busy, 1u);
        }
        w->used = p->now;
        link_idle(p, w);
        memo__store_release(&w->busy, 0u);
    }
    memo__lock_drop(&p->lock);
    if (doomed)
        memo__wire_free(doomed);
}

void memo__http_pool_sweep(struct memo__http_pool *p, memo__instant now)
{
    struct wire *doomed = NULL;
    memo__lock_take(&p->lock);
    p->now = now;
    while (p->oldest && memo__since(now, p->oldest->used) >= p->o.idle_ns) {
        struct wire *w = p->oldest;
        unlink_idle(p, w);
        memo__store_release(&w->busy, 1u);
        w->next = doomed;
        doomed = w;
    }
    memo__lock_drop(&p->lock);
    while (doomed) {
        struct wire *next = doomed->next;
        memo__wire_free(doomed);
        doomed = next;
    }
}

void memo__http_pool_free(struct memo__http_pool *p)
{
    if (!p)
        return;
    for (struct chunk *c = p->all, *next; c; c = next) {
        next = c->next;
        for (uint32_t i = 0; i < CHUNK; i++)
            if (c->wires[i])
                memo__wire_free(c->wires[i]);
        memo__drop(&p->alloc, c);
    }
    if (p->pattern)
        curl_easy_cleanup(p->pattern);
    memo__lock_fini(&p->lock);
    struct memo__alloc a = p->alloc;
    memo__drop(&a, p->ca_file);
    memo__drop(&a, p);
}

void memo__http_pool_stats(struct memo__http_pool *p, struct memo__http_stats *out)
{
    memo__lock_take(&p->lock);
    *out = p->stats;
    memo__lock_drop(&p->lock);
}

/* ---- fork ---- */

/* The descriptors go on as sockets that lead nowhere, so that a goodbye (TLS close_notify, GOAWAY) does not reach the parent's peer. */
static bool lead_nowhere(const struct wire *w)
{
    int nowhere = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool done = nowhere >= 0;
    for (int i = 0; i < 2; i++)
        if (w->fd[i] >= 0 && done)
            done = dup3(nowhere, w->fd[i], O_CLOEXEC) >= 0;
    if (nowhere >= 0)
        close(nowhere);
    return done;
}

/* A busy wire was in the hands of a thread that does not exist here: libcurl may be half-way, so only its sockets are closed and its memory is left. */
static void let_go(struct wire *w)
{
    if (!w->busy && lead_nowhere(w)) {
        memo__wire_free(w);
        return;
    }
    for (int i = 0; i < 2; i++) {
        if (w->fd[i] >= 0)
            close(w->fd[i]);
        if (w->wake[i] >= 0)
            close(w->wake[i]);
    }
}

void memo__http_pool_after_fork(struct memo__http_pool *p)
{
    memo__lock_init(&p->lock); /* its owner may have been another thread of the parent */
    for (struct chunk *c = p->all; c; c = c->next)
        for (uint32_t i = 0; i < CHUNK; i++) {
            struct wire *w = c->wires[i];
            if (w)
                let_go(w);
            c->wires[i] = NULL;
        }
    memset(p->buckets, 0, sizeof p->buckets);
    p->newest = p->oldest = NULL;
    p->stats.idle = p->stats.busy = 0;
    (void)p->host->random(p->host->user, &p->draw, sizeof p->draw);
}

/* ---- the exchange ---- */

static CURLcode perform(struct wire *w)
{
    int running = 1, left;
    CURLcode code = CURLE_OUT_OF_MEMORY;
    w->error[0] = '\0';
    CURLMcode wrong = curl_multi_add_handle(w->multi, w->easy);
    while (wrong == CURLM_OK && running) {
        wrong = curl_multi_perform(w->multi, &running);
        if (wrong == CURLM_OK && running)
            wrong = curl_multi_poll(w->multi, NULL, 0, 1000, NULL);
    }
    for (CURLMsg *m; (m = curl_multi_info_read(w->multi, &left));)
        if (m->msg == CURLMSG_DONE)
            code = m->data.result;
    curl_multi_remove_handle(w->multi, w->easy);
    return wrong == CURLM_OK ? code : CURLE_OUT_OF_MEMORY;
}

memo_status memo__http_exchange(struct memo__http_pool *p, const struct memo__http_target *t, const struct memo__http_send *s, struct memo__http_answer *out)
{
    struct wire *w;
    memo__http_answer_clear(out);
    if (s->timeout_ns <= 0) {
        out->kind = MEMO_OUTCOME_TIMED_OUT;
        snprintf(out->error, sizeof out->error, "no time was left to send it");
        return MEMO_OK;
    }
    memo_status status = take(p, t, &w);
    if (status == MEMO_E_ARGUMENT)
        snprintf(out->error, sizeof out->error, "the endpoint has no numeric address, no port or a host that is not a name");
    if (status != MEMO_OK)
        return status;
    status = memo__wire_begin(w, s, out);
    bool good = status == MEMO_E_ARGUMENT; /* nothing was done with it */
    if (status == MEMO_OK) {
        struct memo__pipe_guard g;
        memo__pipe_guard_enter(&g, w->secure);
        CURLcode code = perform(w);
        memo__pipe_guard_leave(&g);
        status = memo__wire_end(w, code, &good);
    }
    if (status != MEMO_OK)
        out->keep.used = out->keep.head = 0;
    give(p, w, good);
    return status;
}

const char *memo__http_answer_get(const struct memo__http_answer *r, const char *name)
{
    const char *at = r->keep.block, *end = at ? at + r->keep.head : at;
    while (at < end) {
        const char *value = at + strlen(at) + 1;
        if (strcasecmp(at, name) == 0)
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}

memo_status memo__http_answer_set(struct memo__http_pool *p, struct memo__http_answer *r, int32_t http_status, struct memo__text head,
                                  struct memo__text body)
{
    size_t room = head.n + body.n + 1;
    if (room > r->keep.room) {
        char *block = memo__resize(&p->alloc, r->keep.block, room);
        if (!block)
            return MEMO_E_NO_MEMORY;
        r->keep.block = block;
        r->keep.room = room;
    }
    memo__http_answer_clear(r);
    if (head.n)
        memcpy(r->keep.block, head.at, head.n);
    if (body.n)
        memcpy(r->keep.block + head.n, body.at, body.n);
    r->keep.block[room - 1] = '\0';
    r->keep.head = head.n;
    r->keep.used = room - 1;
    r->body = r->keep.block + head.n;
    r->body_bytes = body.n;
    r->kind = MEMO_OUTCOME_REPLIED;
    r->http_status = http_status;
    r->sent = true;
    return MEMO_OK;
}

void memo__http_answer_fini(struct memo__http_pool *p, struct memo__http_answer *r)
{
    memo__drop(&p->alloc, r->keep.block);
    memset(r, 0, sizeof *r);
    r->body = "";
}

/* ---- what a caller may send ---- */

static bool framing(const char *name, size_t n)
{
    static const char *const ours[] = { "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection", "upgrade", "expect", "trailer", "http2-settings" };
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strlen(ours[i]) == n && strncasecmp(ours[i], name, n) == 0)
            return true;
    return false;
}

memo_status memo__http_check_header(const memo_header *h, memo_error *e)
{
    struct memo__text called = memo__text_sized(h->name, h->name_bytes);
    size_t name = called.n, value = memo__text_sized(h->value, h->value_bytes).n;
    if (!memo__is_token(called))
        return memo__fail(e, MEMO_E_ARGUMENT, "a header has no valid name");
    if (!h->value && h->value_bytes)
        return memo__fail(e, MEMO_E_ARGUMENT, "header %.*s has %zu bytes at NULL", name > 64 ? 64 : (int)name, h->name, h->value_bytes);
    if (name > LINE_BYTES || value > LINE_BYTES)
        return memo__fail(e, MEMO_E_ARGUMENT, "header %.*s is longer than %u bytes", name > 64 ? 64 : (int)name, h->name, LINE_BYTES);
    if (framing(h->name, name))
        return memo__fail(e, MEMO_E_ARGUMENT, "header %.*s is written by libmemo itself", (int)name, h->name);
    for (size_t i = 0; i < value; i++) {
        unsigned char c = (unsigned char)h->value[i];
        if ((c < 32 && c != '\t') || c == 127)
            return memo__fail(e, MEMO_E_ARGUMENT, "header %.*s has a control byte in its value", name > 64 ? 64 : (int)name, h->name);
    }
    return MEMO_OK;
}

memo_status memo__http_check_method(const char *method, memo_error *e)
{
    if (!method)
        return MEMO_OK;
    size_t n = strlen(method);
    if (n >= METHOD_BYTES || !memo__is_token((struct memo__text){ method, n }))
        return memo__fail(e, MEMO_E_ARGUMENT, "the method is not a token of at most %u letters", METHOD_BYTES - 1);
    if (strcmp(method, "CONNECT") == 0)
        return memo__fail(e, MEMO_E_ARGUMENT, "CONNECT is not a call");
    return MEMO_OK;
}

memo_status memo__http_check_path(const char *path, memo_error *e)
{
    if (!path)
        return MEMO_OK;
    if (*path != '/')
        return memo__fail(e, MEMO_E_ARGUMENT, "the path does not begin with '/'");
    size_t n = 0;
    for (const unsigned char *c = (const unsigned char *)path; *c; c++, n++)
        if (*c <= 32 || *c == 127 || *c == '#')
            return memo__fail(e, MEMO_E_ARGUMENT, "the path has a blank, a control byte or a '#'");
    return n < PATH_BYTES ? MEMO_OK : memo__fail(e, MEMO_E_ARGUMENT, "the path is longer than %u bytes", PATH_BYTES);
}
