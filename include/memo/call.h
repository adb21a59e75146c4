/* SPDX-License-Identifier: Apache-2.0 */
/* memo/call.h: you carry the request; libmemo decides and learns. Never blocks, never allocates. */
#ifndef MEMO_CALL_H
#define MEMO_CALL_H
#include <memo/context.h>
#include <memo/service.h>

#ifdef __cplusplus
extern "C" {
#endif

/*   begin --OK--> next --OK--> (inject, send) --> report --again--> next ...
 *     |             |                               |
 *     +-- refused --+------------- again = 0 -------+--> (explain) --> end         */

/** One logical call with all its attempts: 512 bytes, 8-aligned, owned by the caller (Go and Java memory can hold it). It holds no pointer of the
 * library, so between two functions it may be copied elsewhere, as long as only one copy goes on, and it may wander between threads, one at a time.
 * The size is frozen for soname 0. */
typedef struct memo_call {
    size_t size;          /* MEMO_INIT(memo_call) */
    uint64_t opaque[63];
} memo_call;

/** What the rules may look at. Text is UTF-8 ended by NUL. Everything is read during memo_call_begin only; no pointer is kept. */
typedef struct memo_call_facts {
    size_t size;                  /* MEMO_INIT(memo_call_facts) */
    const char *method;           /* "GET", upper case; NULL means unknown: matches no list of methods, so is retried only if it was never sent */
    const char *path;             /* "/todos/7?x=1"; NULL means "/" */
    const char *key;              /* for "ring-hash" on "key": calls with the same one go to the same endpoint; NULL for none */
    const memo_header *headers;   /* headers_count of them, names in any case; those that memo_service_wants names are enough; the first of a name counts */
    uint32_t headers_count;
    const memo_context *parent;   /* the work that this call is made for, or NULL */
    int64_t timeout_ms;           /* overall, with all attempts and waits; 0: as the rules say. It only shortens what the rules and the parent allow */
} memo_call_facts;

/** What an attempt is: see memo_attempt.kind. */
enum { MEMO_ATTEMPT_FIRST = 0, MEMO_ATTEMPT_RETRY = 1, MEMO_ATTEMPT_HEDGE = 2, MEMO_ATTEMPT_MIRROR = 3 };

/** One attempt: where to send it and for how long. Frozen for soname 0. */
typedef struct memo_attempt {
    size_t size;           /* MEMO_INIT(memo_attempt) */
    uint64_t ref[2];       /* slot and generation of the endpoint: names it for as long as it lives, and in events */
    uint64_t revision;     /* of the view it was picked from */
    uint64_t epoch;        /* of that view */
    int64_t age_max_ms;    /* that view may be older than the truth by at most so much; -1: unproven */
    int64_t timeout_ms;    /* give up after so long, counted from its start, which is after wait_ms; more than 0 */
    int64_t wait_ms;       /* start after so long (backoff); 0: at once */
    int32_t number;        /* 1 to 5; 1 is the first */
    int32_t kind;          /* MEMO_ATTEMPT_... */
    int32_t view_state;    /* MEMO_VIEW_... */
    uint16_t port;         /* 1 to 65535, in the machine's byte order */
    char address[46];      /* numeric, IPv4 or IPv6 without brackets: connect here */
    char id[64];           /* of the instance in the registry */
    char host[256];        /* for Host and SNI: the name it was found under, or "" */
} memo_attempt;

/** How an attempt ended: see memo_outcome.kind. */
enum {
    MEMO_OUTCOME_REPLIED = 0,         /* an answer came: http_status or grpc_status says which */
    MEMO_OUTCOME_CONNECT_FAILED = 1,  /* no connection: the request was never sent */
    MEMO_OUTCOME_RESET = 2,           /* the connection broke before the answer was complete */
    MEMO_OUTCOME_TIMED_OUT = 3,       /* attempt timeout */
    MEMO_OUTCOME_PROTOCOL = 4,        /* an answer that is not its protocol, or beyond a cap; also a hidden resend of the transport */
    MEMO_OUTCOME_CANCELLED = 5        /* the caller gave up: teaches nothing, and is never retried */
};

/** The caller's own word about an outcome: see memo_outcome.verdict. */
enum { MEMO_VERDICT_BY_RULES = 0, MEMO_VERDICT_SUCCEEDED = 1, MEMO_VERDICT_FAILED = 2, MEMO_VERDICT_IGNORE = 3 };

/** How one attempt ended. By the rules, failed are: every kind but MEMO_OUTCOME_REPLIED and MEMO_OUTCOME_CANCELLED, http_status 500 to 599, and
 * grpc_status 1 to 16. */
typedef struct memo_outcome {
    size_t size;             /* MEMO_INIT(memo_outcome) */
    int32_t kind;            /* MEMO_OUTCOME_... */
    int32_t http_status;     /* 100 to 599; 0 or -1: none */
    int32_t grpc_status;     /* 1 to 16 failed; 0 or -1: none or OK (http_status decides) */
    int32_t verdict;         /* MEMO_VERDICT_..., 0: by the rules */
    int64_t retry_after_ms;  /* what the peer asked for (Retry-After); 0 or less: nothing. A retry waits at least so long, or is not made */
} memo_outcome;

/** May this call start? The route is chosen; then limits, concurrency and the breaker of service or route are asked together, so that a refusal
 * consumes no token, permit or probe. A rule in mode observe refuses nothing and is only counted. After any answer but MEMO_E_ARGUMENT
 * memo_call_end is due.
 *
 * ```c
 * memo_call k = MEMO_INIT(memo_call);
 * memo_call_facts facts = MEMO_INIT(memo_call_facts);
 * int32_t again = 1;
 *
 * facts.method = "GET";
 * facts.path = "/todos/7";
 * memo_status s = memo_call_begin(&k, service, &facts);
 * while (s == MEMO_OK && again) {
 *     memo_attempt a = MEMO_INIT(memo_attempt);
 *     memo_outcome o = MEMO_INIT(memo_outcome);
 *
 *     s = memo_call_next(&k, &a);
 *     if (s != MEMO_OK)
 *         break;
 *     o.kind = MEMO_OUTCOME_REPLIED;   // wait a.wait_ms, send to a.address and a.port within a.timeout_ms, and tell how it went
 *     o.http_status = 200;
 *     s = memo_call_report(&k, &a, &o, &again);
 * }
 * memo_call_end(&k);
 * ```
 *
 * k: its size set (MEMO_INIT); what an ended call has left in it does not matter.
 * s: held by the caller until memo_call_end, its client not freed.
 * f: never NULL; its members may all be empty.
 * Ownership: `k` is the caller's memory; texts and headers of `f` are read during this function only.
 * Threads: any; many calls at once. Never blocks and never allocates; only the first call in a new or forked process may start the engine.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_REFUSED_LIMITED, MEMO_REFUSED_OPEN, MEMO_REFUSED_OVERLOADED,
 * MEMO_REFUSED_NO_ENDPOINT, MEMO_REFUSED_STALE (the view is older than maxStale, or of unproven age), MEMO_REFUSED_DEADLINE, MEMO_REFUSED_NOT_READY
 * (not started, draining, or no view yet).
 * Source: limits are the generic cell rate algorithm (ITU-T I.371); the breaker opens by shares of a sliding window, as Hystrix's and Resilience4j's.
 * Since: 0.1 */
MEMO_MUST memo_status memo_call_begin(memo_call *k, memo_service *s, const memo_call_facts *f);

/** Picks the endpoint of the next attempt: at the beginning, and whenever memo_call_report said "again". At most 5 attempts a call. Skipped are
 * endpoints that are draining, ejected, tried in this call already, or whose own breaker refuses; if only tried ones are left, one of them is tried
 * again. The attempt counts as under way from now on: report it, or end the call.
 *
 * a: its size set (MEMO_INIT); all of it is filled by copy, on MEMO_OK only.
 * Threads: any, one at a time for one call. Never blocks and never allocates.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_STATE (nothing to attempt: not begun, refused, ended, or not told "again"), MEMO_REFUSED_NO_ENDPOINT,
 * MEMO_REFUSED_OPEN (every endpoint's own breaker refuses), MEMO_REFUSED_STALE, MEMO_REFUSED_DEADLINE.
 * Source: the better of two random choices (Mitzenmacher 2001) by peak EWMA latency times calls under way (Finagle).
 * Since: 0.1 */
MEMO_MUST memo_status memo_call_next(memo_call *k, memo_attempt *a);

/** Headers to send with this attempt: `traceparent` (the trace of the parent or a new one, and a span of this attempt's own),
 * `x-envoy-expected-rq-timeout-ms` (how long the peer may take: this attempt's timeout) and `x-envoy-attempt-count` (its number). Asked again for
 * the same attempt, they are the same. What the parent only carries, `tracestate` and `baggage`, a call has no room for: memo_context_inject_carried
 * writes it, once for all attempts.
 *
 * n: bytes of `buf`; 256 are always enough.
 * max: elements of `out`; 8 are always enough.
 * count: receives how many were filled; 0 unless MEMO_OK.
 * Ownership: values point into `buf`, names at static text; both are ended by NUL, and their lengths are filled.
 * Threads: any, one at a time for one call. Never blocks and never allocates.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_STATE (not an attempt of this call), MEMO_E_TRUNCATED.
 * Source: W3C Trace Context, section 3.2; the other names are Envoy's.
 * Since: 0.1 */
MEMO_MUST memo_status memo_call_inject(const memo_call *k, const memo_attempt *a, char *buf, size_t n, memo_header *out, uint32_t max, uint32_t *count);

/** Reports how an attempt ended; breaker, ejection and latency learn from it. Each attempt is reported once; a second report is
 * MEMO_E_STATE and teaches nothing, as does one for an endpoint that has been removed and registered anew meanwhile.
 *
 * o: its size set (MEMO_INIT), kind from MEMO_OUTCOME_REPLIED to MEMO_OUTCOME_CANCELLED.
 * again: receives 1 if memo_call_next is to be asked for another attempt (the rules retry this outcome and method, attempts and time are left, and
 * the budget has a token), else 0.
 * Threads: any, one at a time for one call. Never blocks and never allocates.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_STATE (not an attempt of this call, or reported already).
 * Source: backoff with full jitter (Brooker 2015); the retry budget of Finagle and of gRPC's proposal A6; ejection by consecutive failures as Envoy's.
 * Since: 0.1 */
MEMO_MUST memo_status memo_call_report(memo_call *k, const memo_attempt *a, const memo_outcome *o, int32_t *again);

/** Ends a call: every permit goes back, an attempt not reported counts as cancelled, and a call that made no attempt gives its tokens back, too.
 * Always due after begin, also after a refusal; more than once is harmless, and so is NULL.
 *
 * Threads: any, one at a time for one call. Never blocks and never allocates.
 * Since: 0.1 */
MEMO_API void memo_call_end(memo_call *k);

/** Why it went as it did: the record of this call. Between begin and end, also after a refusal; before the last report it tells the story so far.
 *
 * format: "text" for people, "json" for programs: one object, whose members are added to and never change their meaning.
 * n: bytes of `buf`; what fits is written and ended by NUL, also when MEMO_E_TRUNCATED is answered. 4096 are usually enough.
 * need: receives the bytes that it takes with the final NUL, also when they do not fit; NULL is welcome.
 * Threads: any, one at a time for one call.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT (also an unknown format), MEMO_E_TRUNCATED, MEMO_E_STATE (not begun, or ended).
 * Since: 0.1 */
MEMO_MUST memo_status memo_call_explain(const memo_call *k, const char *format, char *buf, size_t n, size_t *need);

#ifdef __cplusplus
}
#endif
#endif
