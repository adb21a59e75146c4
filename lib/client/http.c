/* SPDX-License-Identifier: Apache-2.0 */
/* http.c: the door that carries the request: the decisions of call.c around the transport of net/http.c, on the caller's thread.
 *
 *   begin --> next --> [wait] --> inject --> exchange --> report --again--> next ...
 *                                                       \--done--> end, and the record stays with the reply
 */
#define _GNU_SOURCE
#include <memo/http.h>
#include <memo/inbound.h>
#include <errno.h>
#include <string.h>
#include <time.h>
#include "base/status.h"
#include "call/call.h"
#include "call/explain.h"
#include "client/http.h"
#include "client/engine.h"

static struct memo__kept *keep_of(memo_client *c, memo_http_reply *out)
{
    struct memo__kept *k = out->keep;
    if (k && k->client != c) { /* of another client, which may be freed before this one */
        memo_http_reply_fini(out);
        k = NULL;
    }
    if (!k && (k = memo__get(&c->alloc, sizeof *k))) {
        k->client = c;
        out->keep = k;
    }
    return k;
}

/* What the reply was used for before: no call is explained by another one, and has none of its headers. */
static void forget(struct memo__kept *k)
{
    if (!k)
        return;
    memset(k->call.opaque, 0, sizeof k->call.opaque);
    k->answer.kind = MEMO_OUTCOME_CANCELLED;
    k->answer.http_status = 0;
}

memo_status memo__http_check(const memo_service *s, const memo_http_request *q, memo_error *e)
{
    memo_status wrong = MEMO_OK;
    if (!s || !q || q->size < sizeof *q || (q->headers_count && !q->headers) || (q->body_bytes && !q->body))
        return memo__fail(e, MEMO_E_ARGUMENT, "a service and a request are needed, with its size set");
    if (q->headers_count > MEMO__HTTP_CALLERS_MAX)
        return memo__fail(e, MEMO_E_ARGUMENT, "%u headers, at most %d are sent", q->headers_count, MEMO__HTTP_CALLERS_MAX);
    if (q->timeout_ms < 0)
        return memo__fail(e, MEMO_E_ARGUMENT, "timeout_ms is %lld, it is 0 or more", (long long)q->timeout_ms);
    if ((q->method && (wrong = memo__http_check_method(q->method, e)) != MEMO_OK) || (q->path && (wrong = memo__http_check_path(q->path, e)) != MEMO_OK))
        return wrong;
    for (uint32_t i = 0; i < q->headers_count && wrong == MEMO_OK; i++)
        wrong = memo__http_check_header(&q->headers[i], e);
    return wrong;
}

/* Backoff: the thread sleeps; a signal does not shorten it. */
static void pause_ms(int64_t ms)
{
    struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
        ;
}

static bool same_name(const memo_header *h, const char *name)
{
    return memo__text_same_nocase(memo__text_sized(h->name, h->name_bytes), memo__text_of(name));
}

/* The caller's headers and ours; ours win over the caller's of the same name, for an attempt has one traceparent. */
static uint32_t gather(const memo_http_request *q, const memo_header *own, uint32_t own_count, memo_header *all)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < own_count; i++)
        all[n++] = own[i];
    for (uint32_t i = 0; i < q->headers_count; i++) {
        bool ours = false;
        for (uint32_t j = 0; j < own_count && !ours; j++)
            ours = same_name(&q->headers[i], own[j].name);
        if (!ours)
            all[n++] = q->headers[i];
    }
    return n;
}

memo_call_facts memo__http_facts(const memo_http_request *q)
{
    return (memo_call_facts){ .size = sizeof(memo_call_facts), .method = q->method ? q->method : "GET", .path = q->path ? q->path : "/", .key = q->key,
                              .headers = q->headers, .headers_count = q->headers_count, .parent = q->parent, .timeout_ms = q->timeout_ms };
}

memo_status memo__http_sending(memo_client *c, memo_call *k, const memo_http_request *q, const memo_attempt *a, struct memo__http_sending *out)
{
    memo_header own[MEMO__HTTP_OWN];
    uint32_t own_count = 0, carried = 0;
    memo_status s = memo_call_inject(k, a, out->buf, sizeof out->buf, own, MEMO__HTTP_OWN - MEMO__HTTP_CARRIED, &own_count);
    if (s != MEMO_OK)
        return s;
    if (q->parent) /* not in the call, which has no room for it: from where it is */
        (void)!memo_context_inject_carried(q->parent, out->carried, sizeof out->carried, own + own_count, MEMO__HTTP_CARRIED, &carried);
    own_count += carried;
    out->to = (struct memo__http_target){ .address = a->address, .host = a->host, .port = a->port, .secure = memo__call_secure(k, a) };
    out->send = (struct memo__http_send){
        .method = q->method, .path = q->path, .headers = out->all, .count = gather(q, own, own_count, out->all), .body = q->body, .bytes = q->body_bytes,
        .timeout_ns = a->timeout_ms * MEMO__MS, .connect_timeout_ms = c->world.connect_timeout_ms,
    };
    return MEMO_OK;
}

memo_outcome memo__http_outcome(const struct memo__http_answer *answer)
{
    return (memo_outcome){ .size = sizeof(memo_outcome), .kind = answer->kind, .http_status = answer->http_status, .grpc_status = -1,
                           .retry_after_ms = answer->retry_after_ms };
}

/* The status of a call that ended with this answer. */
memo_status memo__http_status(const struct memo__http_answer *answer)
{
    switch (answer->kind) {
    case MEMO_OUTCOME_REPLIED: return MEMO_OK;
    case MEMO_OUTCOME_CONNECT_FAILED: return MEMO_E_UNREACHABLE;
    case MEMO_OUTCOME_TIMED_OUT: return MEMO_E_TIMEOUT;
    case MEMO_OUTCOME_PROTOCOL: return MEMO_E_PROTOCOL;
    default: return MEMO_E_IO;
    }
}

void memo__http_reply_fill(memo_http_reply *out, const struct memo__kept *k)
{
    bool replied = k->answer.kind == MEMO_OUTCOME_REPLIED;
    out->status = replied ? k->answer.http_status : 0;
    out->body = replied ? k->answer.body : "";
    out->body_bytes = replied ? k->answer.body_bytes : 0;
}

/* How the last attempt went is how the call went: also where another one was wanted and could not begin (no time, nobody left). A refusal means that nothing was sent. */
static memo_status attempts(memo_client *c, memo_call *k, const memo_http_request *q, struct memo__http_answer *answer, memo_error *e)
{
    bool tried = false;
    for (int32_t again = 1; again; tried = true) {
        memo_attempt a = MEMO_INIT(memo_attempt);
        memo_status s = memo_call_next(k, &a);
        if (s != MEMO_OK && tried)
            break;
        if (s != MEMO_OK)
            return memo__fail(e, s, "%s", memo_status_name(s));
        if (a.wait_ms > 0)
            pause_ms(a.wait_ms);
        answer->kind = MEMO_OUTCOME_CANCELLED; /* without memory nothing is sent, and nothing is learned */
        answer->http_status = 0;
        struct memo__http_sending sending;
        if ((s = memo__http_sending(c, k, q, &a, &sending)) == MEMO_OK)
            s = c->transport->exchange(c->http, &sending.to, &sending.send, answer);
        if (s == MEMO_E_ARGUMENT)
            return memo__fail(e, s, "%s", answer->error);
        memo_outcome o = memo__http_outcome(answer);
        memo_status told = memo_call_report(k, &a, &o, &again);
        if (s != MEMO_OK || told != MEMO_OK)
            return memo__fail(e, s != MEMO_OK ? s : told, "%s", memo_status_name(s != MEMO_OK ? s : told));
    }
    memo_status s = memo__http_status(answer);
    return s == MEMO_OK ? s : memo__fail(e, s, "%s", answer->error[0] ? answer->error : memo_status_name(s));
}

memo_status memo_http_perform(memo_service *s, const memo_http_request *q, memo_http_reply *out, memo_error *e)
{
    if (out && out->size >= sizeof *out) { /* also for those who look at it after MEMO_E_ARGUMENT */
        out->status = 0;
        out->body = "";
        out->body_bytes = 0;
        forget(out->keep);
    }
    if (!out || out->size < sizeof *out)
        return memo__fail(e, MEMO_E_ARGUMENT, "a reply is needed, with its size set");
    memo_status wrong = memo__http_check(s, q, e);
    if (wrong != MEMO_OK)
        return wrong;
    memo__process_check();
    struct memo__kept *keep = keep_of(s->client, out);
    if (!keep)
        return memo__fail(e, MEMO_E_NO_MEMORY, "no memory for the reply");
    keep->call.size = sizeof keep->call;
    forget(keep);
    memo_call_facts f = memo__http_facts(q);
    memo_status status = memo_call_begin(&keep->call, s, &f);
    if (status != MEMO_OK)
        (void)memo__fail(e, status, "%s", memo_status_name(status));
    else
        status = attempts(s->client, &keep->call, q, &keep->answer, e);
    memo_call_end(&keep->call);
    memo__http_reply_fill(out, keep);
    return status;
}

memo_status memo_http_get(memo_service *s, const char *path, memo_http_reply *out, memo_error *e)
{
    memo_http_request q = MEMO_INIT(memo_http_request);
    q.path = path;
    return memo_http_perform(s, &q, out, e);
}

const char *memo_http_reply_get(const memo_http_reply *r, const char *header)
{
    const struct memo__kept *k = r ? r->keep : NULL;
    return k && header && k->answer.kind == MEMO_OUTCOME_REPLIED ? memo__http_answer_get(&k->answer, header) : NULL;
}

memo_status memo_http_reply_explain(const memo_http_reply *r, const char *format, char *buf, size_t n, size_t *need)
{
    const struct memo__kept *k = r ? r->keep : NULL;
    if (!r || !format || (n && !buf))
        return MEMO_E_ARGUMENT;
    return k ? memo__explain(memo__record_read(&k->call), format, buf, n, need) : MEMO_E_STATE;
}

void memo_http_reply_fini(memo_http_reply *r)
{
    struct memo__kept *k = r ? r->keep : NULL;
    if (!r)
        return;
    if (k) {
        memo_client *c = k->client;
        memo__http_answer_fini(c->http, &k->answer);
        memo__drop(&c->alloc, k);
    }
    *r = (memo_http_reply){ .size = r->size };
    r->body = "";
}
