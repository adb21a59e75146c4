/* SPDX-License-Identifier: Apache-2.0 */
/* config_http.c: a document behind a URL: "https://config.internal/app.json", asked again and again.
 *
 *   WAITING --time--> RESOLVING --addresses--> ASKING --200: a text; 304: unchanged--> WAITING for the interval, a tenth more or less
 *      ^                  |                       |      not connected: the next address
 *      '------------------'-----------------------'--anything else: trouble--> WAITING for 1 s, 2 s, 4 s ... the interval, less up to a half of it,
 *                                                                            or as long as the server asks
 *
 * A question names the etag of the text seen last, so that an unchanged text costs no transfer. The name is resolved here, for libcurl never does;
 * redirects are not followed. A page (HTML) is a login, an error or a proxy that speaks for the server: it is trouble, not a text. */
#include <stdio.h>
#include <string.h>
#include "base/rng.h"
#include "base/status.h"
#include "net/dns.h"
#include "net/transport.h"
#include "sources/document.h"

#define ADDRESSES_MOST 8u
#define RETRY_FIRST MEMO__S
#define ASKED_TO_WAIT_MOST (MEMO__S * 3600)

enum doing { WAITING, RESOLVING, ASKING };

struct http_document {
    struct memo__document base;
    enum doing doing;
    struct memo__timer timer;            /* the next question, or the end of patience. Always runs: moving a timer needs no memory, starting one may */
    struct memo__dns_query *query;
    struct memo__http_run run;
    struct memo__http_answer answer;
    char host[256], asked_tag[MEMO__DOCUMENT_TAG];
    const char *path;                    /* within the url, or "/" */
    uint16_t port;
    bool secure, literal;                /* literal: the host is an IPv6 address, which the URL has in brackets */
    char addresses[ADDRESSES_MOST][46];
    uint32_t count, next, failures;
    memo_header header;
    memo__instant sent, until;           /* boot clock; monotonic clock */
};

static struct http_document *of(struct memo__document *d) { return (struct http_document *)(void *)d; }

static void on_time(struct memo__timer *t, void *user);
static void ask(struct http_document *h);

/* ---- when to ask again ---- */

static double draw(const struct http_document *h)
{
    uint64_t bits = 0;
    (void)h->base.ground.host->random(h->base.ground.host->user, &bits, sizeof bits);
    return (double)(bits >> 11) / 9007199254740992.0;
}

static void wait_for(struct http_document *h, enum doing doing, int64_t ns)
{
    struct memo__loop *l = h->base.ground.loop;
    h->doing = doing;
    (void)memo__timer_start(l, &h->timer, memo__after(memo__loop_now(l), ns), on_time, h); /* it runs, or has just left a place in the heap */
}

static void wait_after_success(struct http_document *h)
{
    h->failures = 0;
    wait_for(h, WAITING, (int64_t)((double)h->base.ground.interval * (0.9 + 0.2 * draw(h))));
}

static void failed(struct http_document *h, memo_status s, int64_t asked_ms, const char *why)
{
    int64_t most = h->base.ground.interval, scale = h->failures < 20 ? RETRY_FIRST << h->failures : most;
    int64_t asked = asked_ms > ASKED_TO_WAIT_MOST / MEMO__MS ? ASKED_TO_WAIT_MOST : asked_ms * MEMO__MS;
    h->failures++;
    scale = scale < most ? scale : most;
    int64_t ns = (int64_t)((double)scale * (0.5 + 0.5 * draw(h)));
    wait_for(h, WAITING, ns > asked ? ns : asked);
    memo__document_trouble(&h->base, s, why); /* last: its owner may do anything but close it */
}

/* ---- the answer ---- */

static bool is_page(const struct memo__http_answer *r)
{
    const char *type = memo__http_answer_get(r, "content-type");
    struct memo__text body = { r->body, r->body_bytes };
    while (body.n && (body.at[0] == ' ' || body.at[0] == '\n' || body.at[0] == '\r' || body.at[0] == '\t'))
        body.at++, body.n--;
    struct memo__text head = { type ? type : "", type ? strcspn(type, "; ") : 0 };
    return (body.n && body.at[0] == '<') || memo__text_same_nocase(head, MEMO__TEXT("text/html")) ||
        memo__text_same_nocase(head, MEMO__TEXT("application/xhtml+xml"));
}

static void take_text(struct http_document *h)
{
    struct memo__document *d = &h->base;
    const struct memo__http_answer *r = &h->answer;
    const char *tag = memo__http_answer_get(r, "etag");
    size_t n = r->body_bytes > d->ground.most ? d->ground.most + 1 : r->body_bytes;
    if (is_page(r)) {
        failed(h, MEMO_E_PROTOCOL, 0, "answered a page (HTML), not a document");
        return;
    }
    char *text = memo__copy_text(d->ground.alloc, r->body, n);
    if (!text) {
        failed(h, MEMO_E_NO_MEMORY, 0, "no memory for its answer");
        return;
    }
    wait_after_success(h);
    (void)memo__document_take(d, text, n, tag ? tag : "", h->sent, NULL);
}

static void judge(struct http_document *h)
{
    const struct memo__http_answer *r = &h->answer;
    char why[96];
    if (r->http_status == 200) {
        take_text(h);
    } else if (r->http_status == 304 && h->asked_tag[0]) {
        wait_after_success(h);
        memo__document_unchanged(&h->base, h->sent);
    } else {
        bool moved = r->http_status / 100 == 3 && r->http_status != 304;
        (void)snprintf(why, sizeof why, "answered %d%s", r->http_status, moved ? ": redirects are not followed" : "");
        failed(h, r->http_status / 100 == 5 || r->http_status / 100 == 4 ? MEMO_E_UNREACHABLE : MEMO_E_PROTOCOL, r->retry_after_ms, why);
    }
}

static void on_answer(struct memo__http_run *x, memo_status s, void *user)
{
    static const memo_status statuses[] = { [MEMO_OUTCOME_CONNECT_FAILED] = MEMO_E_UNREACHABLE, [MEMO_OUTCOME_RESET] = MEMO_E_UNREACHABLE,
                                            [MEMO_OUTCOME_TIMED_OUT] = MEMO_E_TIMEOUT,
                                            [MEMO_OUTCOME_PROTOCOL] = MEMO_E_PROTOCOL, [MEMO_OUTCOME_CANCELLED] = MEMO_E_CANCELLED };
    struct http_document *h = user;
    const struct memo__http_answer *r = &h->answer;
    (void)x;
    if (s != MEMO_OK)
        failed(h, s, 0, r->error[0] ? r->error : memo__status_name(s));
    else if (r->kind == MEMO_OUTCOME_REPLIED)
        judge(h);
    else if (r->kind == MEMO_OUTCOME_CONNECT_FAILED && h->next < h->count)
        ask(h);
    else
        failed(h, statuses[r->kind], 0, r->error[0] ? r->error : "did not answer");
}

/* ---- the question ---- */

static void ask(struct http_document *h)
{
    const struct memo__document_ground *g = &h->base.ground;
    struct memo__http_target t = { .address = h->addresses[h->next++], .host = h->host, .port = h->port, .secure = h->secure };
    struct memo__http_send send = { .path = h->path, .timeout_ns = memo__since(h->until, memo__now(g->host)),
                                    .connect_timeout_ms = g->connect_timeout_ms };
    wait_for(h, ASKING, send.timeout_ns + MEMO__S); /* libcurl is out of patience earlier, and knows why */
    h->sent = memo__boot(g->host);
    (void)memo__text_copy(h->asked_tag, sizeof h->asked_tag, memo__text_of(h->base.seen ? h->base.tag : ""));
    h->header = (memo_header){ .name = "If-None-Match", .value = h->asked_tag };
    if (h->asked_tag[0] && memo__http_check_header(&h->header, NULL) == MEMO_OK) {
        send.headers = &h->header;
        send.count = 1;
    } else {
        h->asked_tag[0] = '\0';
    }
    memo_status s = *g->async ? MEMO_OK : g->transport->begin(g->http, g->loop, g->async);
    if (s == MEMO_OK)
        s = g->transport->start(*g->async, &h->run, &t, &send, &h->answer, on_answer, h);
    if (s != MEMO_OK)
        failed(h, s, 0, memo__status_name(s));
}

static void on_addresses(void *user, memo_status s, const struct memo__dns_address *addresses, uint32_t count, int32_t ttl_s)
{
    struct http_document *h = user;
    char why[320];
    (void)ttl_s;
    h->query = NULL;
    h->count = count < ADDRESSES_MOST ? count : ADDRESSES_MOST;
    h->next = 0;
    for (uint32_t i = 0; i < h->count; i++)
        (void)memo__text_copy(h->addresses[i], sizeof h->addresses[i], memo__text_of(addresses[i].text));
    if (h->count) {
        ask(h);
        return;
    }
    (void)snprintf(why, sizeof why, s == MEMO_REFUSED_NO_ENDPOINT ? "the name %s is not known" : "the name %s cannot be resolved", h->host);
    failed(h, s == MEMO_REFUSED_NO_ENDPOINT ? MEMO_E_UNREACHABLE : s, 0, why);
}

static void on_time(struct memo__timer *t, void *user)
{
    struct http_document *h = user;
    const struct memo__document_ground *g = &h->base.ground;
    (void)t;
    if (h->doing == RESOLVING) {
        memo__dns_cancel(h->query);
        h->query = NULL;
        failed(h, MEMO_E_TIMEOUT, 0, "its name was not resolved in time");
        return;
    }
    if (h->doing == ASKING) {
        g->transport->abort(&h->run);
        failed(h, MEMO_E_TIMEOUT, 0, "did not answer in time");
        return;
    }
    h->until = memo__after(memo__now(g->host), g->timeout);
    wait_for(h, RESOLVING, g->timeout);
    memo_status s = memo__dns_resolve(g->dns, h->host, on_addresses, h, &h->query);
    if (s != MEMO_OK)
        failed(h, s, 0, memo__status_name(s));
}

/* ---- opening and closing ---- */

static memo_status http_begin(struct memo__document *d, memo_error *e)
{
    struct http_document *h = of(d);
    if (memo__timer_start(d->ground.loop, &h->timer, memo__loop_now(d->ground.loop), on_time, h) != MEMO_OK)
        return memo__fail(e, MEMO_E_NO_MEMORY, "no memory to ask %s", d->url);
    return memo__fail(e, MEMO_E_UNREACHABLE, "%s has not been asked yet", d->url);
}

/* The parent's exchange is not ours; a name that was being resolved is asked for again by the resolver. */
static void http_forked(struct memo__document *d)
{
    struct http_document *h = of(d);
    if (h->doing == ASKING)
        wait_for(h, WAITING, 0);
}

static void http_close(struct memo__document *d)
{
    struct http_document *h = of(d);
    const struct memo__document_ground g = d->ground;
    memo__timer_stop(g.loop, &h->timer);
    memo__dns_cancel(h->query);
    if (h->doing == ASKING)
        g.transport->abort(&h->run);
    memo__http_answer_fini(g.http, &h->answer);
    memo__document_fini(d);
    memo__drop(g.alloc, h);
}

static bool parse_port(struct http_document *h, struct memo__text t)
{
    uint64_t port = h->secure ? 443 : 80;
    if (t.n && (t.at[0] != ':' || !memo__parse_u64((struct memo__text){ t.at + 1, t.n - 1 }, 65535, &port) || !port))
        return false;
    h->port = (uint16_t)port;
    return true;
}

/* "http[s]://host[:port][/path][?query]"; what is wrong with it, or NULL. */
static const char *parse_url(struct http_document *h)
{
    const char *at = strstr(h->base.url, "://");
    memo_error e = MEMO_INIT(memo_error);
    h->secure = h->base.url[4] == 's';
    if (!at)
        return "it has no host";
    at += 3;
    struct memo__text authority = { at, strcspn(at, "/?#") };
    h->path = at[authority.n] ? at + authority.n : "/";
    if (memchr(authority.at, '@', authority.n))
        return "a user or password in it would be seen by everybody who sees the setting";
    h->literal = authority.n && authority.at[0] == '[';
    const char *end = h->literal ? memchr(authority.at, ']', authority.n) : memchr(authority.at, ':', authority.n);
    if (h->literal && !end)
        return "the bracket is not closed";
    size_t n = end ? (size_t)(end - authority.at) : authority.n;
    struct memo__text host = { authority.at + h->literal, n - h->literal }, port = { authority.at + n + h->literal, authority.n - n - h->literal };
    if (!host.n || !memo__text_copy(h->host, sizeof h->host, host))
        return "it has no host, or a longer one than 255 bytes";
    if (!parse_port(h, port))
        return "the port is a number from 1 to 65535";
    if (h->path[0] == '?')
        return "a '/' is needed before the '?'";
    return memo__http_check_path(h->path, &e) == MEMO_OK ? NULL : "the path has a blank, a control byte or a '#', or is too long";
}

static memo_status http_open(const struct memo__document_ground *g, const struct memo__document_ops *ops, const char *url,
                             struct memo__document **out, memo_error *e)
{
    struct http_document *h = memo__get(g->alloc, sizeof *h);
    if (!h || memo__document_init(&h->base, ops, g, url) != MEMO_OK) {
        memo__drop(g->alloc, h);
        return memo__fail(e, MEMO_E_NO_MEMORY, "no memory for %s", url);
    }
    const char *wrong = parse_url(h);
    if (wrong) {
        memo__document_fini(&h->base);
        memo__drop(g->alloc, h);
        return memo__fail(e, MEMO_E_SETTING, "%.100s: %s", url, wrong);
    }
    *out = &h->base;
    return MEMO_OK;
}

static memo_status plain_open(const struct memo__document_ground *g, const char *url, struct memo__document **out, memo_error *e)
{
    return http_open(g, &memo__config_http, url, out, e);
}

static memo_status secure_open(const struct memo__document_ground *g, const char *url, struct memo__document **out, memo_error *e)
{
    return http_open(g, &memo__config_https, url, out, e);
}

const struct memo__document_ops memo__config_http = { "http", plain_open, http_begin, http_forked, http_close };
const struct memo__document_ops memo__config_https = { "https", secure_open, http_begin, http_forked, http_close };
