/* SPDX-License-Identifier: Apache-2.0 */
/* memo/inbound.h: the mirror image, for servers: may this request be served, and in whose name? Never blocks, never allocates. */
#ifndef MEMO_INBOUND_H
#define MEMO_INBOUND_H
#include <memo/call.h>
#include <memo/client.h>
#include <memo/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/*   enter --OK--> serve, with calls under i.context --> leave(outcome)
 *     |
 *     +-- refused --> reply as memo_inbound_get_reply says              */

/** One request that this process received: 384 bytes, 8-aligned, owned by the caller (Go and Java memory can hold it). It holds no pointer of the
 * library: it may be copied, as long as only one copy goes on, and it may wander between threads, one at a time. The size is frozen for soname 0. */
typedef struct memo_inbound {
    size_t size;           /* MEMO_INIT(memo_inbound) */
    memo_context context;  /* filled by memo_inbound_enter, also when it refuses: the parent of the calls made for this request */
    uint64_t opaque[15];
} memo_inbound;

/** What is known about a request. Text is UTF-8 ended by NUL. Everything is read during memo_inbound_enter only; no pointer is kept. */
typedef struct memo_inbound_facts {
    size_t size;                 /* MEMO_INIT(memo_inbound_facts) */
    const char *method;          /* "GET"; for the record of a refusal; NULL if unknown */
    const char *path;            /* "/todos/7?x=1"; likewise; NULL means "/" */
    const char *caller;          /* who asks, as the server knows it: the name in a certificate, the subject of a token, an address. Limits by
                                  * caller count by it; all of which it is NULL count as one. Never a header that nobody has checked */
    const memo_header *headers;  /* headers_count of them, names in any case: all that came, or those of the context and those that the rules read */
    uint32_t headers_count;
    int64_t timeout_ms;          /* the server's own, 0: none. It only shortens what the caller said */
} memo_inbound_facts;

/** How to tell the caller that its request was refused. */
typedef struct memo_inbound_reply {
    size_t size;                /* MEMO_INIT(memo_inbound_reply) */
    int32_t http_status;        /* 429 limited; 503 overloaded or not ready; 504 no time left */
    int32_t grpc_status;        /* 8 RESOURCE_EXHAUSTED, 14 UNAVAILABLE, 4 DEADLINE_EXCEEDED */
    int32_t retry_after_s;      /* for the header Retry-After, whole seconds; 0: do not send it */
} memo_inbound_reply;

/** May this request be served? First its context is read: `traceparent` (a new trace begins if there is none), `tracestate`, the time that the caller
 * gives (`x-envoy-expected-rq-timeout-ms`), and of its `baggage` the keys that the setting `baggage_keys` lists. Where the setting `trust_inbound` is
 * false all of these are passed over. Then the block `inbound` of the rules decides: shedding by latency, limits (all, by header, by caller) and
 * concurrency, so that a refusal consumes no token. Rules in mode observe refuse nothing and are only counted. A request that is refused is counted,
 * and kept for `memoctl explain --last`.
 *
 * ```c
 * memo_inbound in = MEMO_INIT(memo_inbound);
 * memo_inbound_facts facts = MEMO_INIT(memo_inbound_facts);
 * memo_inbound_reply no = MEMO_INIT(memo_inbound_reply);
 * memo_header headers[] = { { "traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", 0, 0 } };
 *
 * facts.method = "GET";
 * facts.path = "/todos/7";
 * facts.headers = headers;
 * facts.headers_count = 1;
 * if (memo_inbound_enter(&in, client, &facts) == MEMO_OK) {
 *     memo_call_facts call = MEMO_INIT(memo_call_facts);
 *     memo_outcome o = MEMO_INIT(memo_outcome);
 *
 *     call.parent = &in.context;       // calls made for it are of its trace, and have no more time than it
 *     o.http_status = 200;             // how it was answered
 *     memo_inbound_leave(&in, &o);
 * } else if (memo_inbound_get_reply(&in, &no) == MEMO_OK)
 *     printf("HTTP/1.1 %d\r\nRetry-After: %d\r\n\r\n", (int)no.http_status, (int)no.retry_after_s);
 * ```
 *
 * i: its size set (MEMO_INIT); what it was used for before does not matter, once it was left.
 * c: in any state but freed; before memo_client_start, and from the moment when memo_client_drain refuses, the answer is MEMO_REFUSED_NOT_READY.
 * f: never NULL; its members may all be empty.
 * Ownership: `i` is the caller's memory; texts and headers of `f` are read during this function only.
 * Threads: any; many requests at once. Never blocks and never allocates; only the first one in a forked process may start the engine.
 * Returns: MEMO_OK (memo_inbound_leave is due), MEMO_E_ARGUMENT, MEMO_REFUSED_LIMITED, MEMO_REFUSED_OVERLOADED (concurrency or shedding),
 * MEMO_REFUSED_DEADLINE (nobody waits for the answer any more), MEMO_REFUSED_NOT_READY.
 * Source: W3C Trace Context, sections 3.2 and 3.3; W3C Baggage; limits are the generic cell rate algorithm (ITU-T I.371); shedding is the gradient of
 * Netflix's concurrency limits, with probes as BBR's (Cardwell et al. 2016).
 * Since: 0.1 */
MEMO_MUST memo_status memo_inbound_enter(memo_inbound *i, memo_client *c, const memo_inbound_facts *f);

/** A request was answered: permits go back, its latency teaches shedding, metrics count it. Once after each MEMO_OK of memo_inbound_enter, on every
 * path; more often, after a refusal, and on NULL it is harmless. Its context stays readable.
 *
 * o: how it was answered: MEMO_OUTCOME_REPLIED with http_status or grpc_status; MEMO_OUTCOME_TIMED_OUT if it took too long;
 * another kind, or NULL, if there was no answer. What failed or was cancelled says nothing about latency.
 * Threads: any, one at a time for one request. Never blocks and never allocates.
 * Since: 0.1 */
MEMO_API void memo_inbound_leave(memo_inbound *i, const memo_outcome *o);

/** What to answer to a request that memo_inbound_enter refused.
 *
 * out: its size set (MEMO_INIT); filled on MEMO_OK only.
 * Threads: any, one at a time for one request.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_STATE (it was not refused).
 * Source: RFC 6585 section 4, RFC 9110 sections 10.2.3, 15.6.4 and 15.6.5.
 * Since: 0.1 */
MEMO_MUST memo_status memo_inbound_get_reply(const memo_inbound *i, memo_inbound_reply *out);

/** The request headers that memo_inbound_enter reads, lower case, each ended by NUL, one after the other: a server passes only those. At most 20,
 * in at most 1280 bytes. They change with the rules, of which MEMO_EVENT_RULES tells.
 *
 * n: bytes of `names`.
 * need: receives the bytes that all of them take; NULL is welcome.
 * Threads: any. Never blocks and never allocates.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_TRUNCATED.
 * Since: 0.1 */
MEMO_MUST memo_status memo_inbound_wants(memo_client *c, char *names, size_t n, size_t *need);

/* What a request brought and the calls made for it carry on, beside trace and deadline (memo/context.h). */

/** Writes what is only carried, `tracestate` and `baggage`, and nothing else. A caller with its own transport sends them beside what
 * memo_call_inject writes, for a memo_call has no room to keep them, and they are the same for every attempt. memo_http_perform does it by itself.
 *
 * n: bytes of `buf`; 256 are always enough.
 * max: elements of `out`; 2 are always enough.
 * count: receives how many were filled, 0 to 2; 0 unless MEMO_OK.
 * Ownership: values point into `buf`, names at static text.
 * Threads: any. Never blocks and never allocates.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_TRUNCATED.
 * Source: W3C Trace Context, section 3.3; W3C Baggage, section 3.
 * Since: 0.1 */
MEMO_MUST memo_status memo_context_inject_carried(const memo_context *x, char *buf, size_t n, memo_header *out, uint32_t max, uint32_t *count);

/** The value of one key of the baggage, percent-decoded; its properties are not part of it. It came from outside: trust it as little as any header.
 *
 * key: case-sensitive.
 * n: bytes of `value`; what fits is written and ended by NUL, also when MEMO_E_TRUNCATED is answered.
 * need: receives the bytes that it takes with the final NUL; NULL is welcome.
 * Threads: any.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_TRUNCATED, MEMO_E_STATE (there is no such key; value is "").
 * Source: W3C Baggage, section 3.
 * Since: 0.1 */
MEMO_MUST memo_status memo_context_get_baggage(const memo_context *x, const char *key, char *value, size_t n, size_t *need);

/** Puts one key into the baggage that goes out with every call made under this context, instead of what was there under that key. What is put here
 * leaves this process without being asked for: nothing secret belongs here.
 *
 * key: a token of RFC 9110: letters, digits, and most signs but blanks, quotes, brackets and separators.
 * value: any text; percent-encoded on the wire. NULL takes the key away.
 * Threads: any, one at a time for one context.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_TRUNCATED (it does not fit beside what is there; nothing has changed).
 * Source: W3C Baggage, section 3.
 * Since: 0.1 */
MEMO_MUST memo_status memo_context_set_baggage(memo_context *x, const char *key, const char *value);

#ifdef __cplusplus
}
#endif
#endif
