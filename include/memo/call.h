/* SPDX-License-Identifier: Apache-2.0 */
/* memo/call.h: you carry the request; libmemo decides and learns. Never blocks, never allocates. */
#ifndef MEMO_CALL_H
#define MEMO_CALL_H
#include <memo/context.h>
#include <memo/service.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One logical call with all its attempts: 512 bytes, 8-aligned, caller-owned (Go and Java memory can hold it), and free of library pointers,
 * so it may be moved between functions and threads, one at a time. The size is frozen for soname 0. */
typedef struct memo_call {
    size_t size;          /* MEMO_INIT(memo_call) */
    uint64_t opaque[63];
} memo_call;

/** What the rules may look at. Everything is read during memo_call_begin only; nothing is kept. */
typedef struct memo_call_facts {
    size_t size;                  /* MEMO_INIT(memo_call_facts) */
    const char *method;           /* "GET"; NULL means unknown: never retried by method */
    const char *path;             /* "/todos/7?x=1"; NULL means "/" */
    const char *key;              /* for balancers that hash, and limits by key; NULL for none */
    const memo_header *headers;   /* those that memo_service_wants names are enough */
    uint32_t headers_count;
    const memo_context *parent;   /* the work that this call is made for, or NULL */
    int64_t timeout_ms;           /* overall; 0: as the rules say. It only shortens what the rules and the parent allow */
} memo_call_facts;

/** What an attempt is: see memo_attempt.kind. */
enum { MEMO_ATTEMPT_FIRST = 0, MEMO_ATTEMPT_RETRY = 1, MEMO_ATTEMPT_HEDGE = 2, MEMO_ATTEMPT_MIRROR = 3 };

/** One attempt: where to send it and for how long. Frozen for soname 0. */
typedef struct memo_attempt {
    size_t size;           /* MEMO_INIT(memo_attempt) */
    uint64_t ref[2];       /* slot and generation of the endpoint */
    uint64_t revision;     /* of the view it was picked from */
    uint64_t epoch;        /* of that view */
    int64_t age_max_ms;    /* bound of that view's age; -1 unproven */
    int64_t timeout_ms;    /* give up after so long, counted from its start */
    int64_t wait_ms;       /* start after so long (backoff); 0 at once */
    int32_t number;        /* 1 is the first */
    int32_t kind;          /* MEMO_ATTEMPT_... */
    int32_t view_state;    /* MEMO_VIEW_... */
    uint16_t port;
    char address[46];      /* numeric: connect here */
    char id[64];           /* of the instance */
    char host[256];        /* for Host and SNI, or "" */
} memo_attempt;

/** How an attempt ended: see memo_outcome.kind. */
enum {
    MEMO_OUTCOME_REPLIED = 0,         /* an answer came: http_status or grpc_status says which */
    MEMO_OUTCOME_CONNECT_FAILED = 1,  /* no connection: the request was never sent */
    MEMO_OUTCOME_RESET = 2,           /* the connection broke before the answer was complete */
    MEMO_OUTCOME_TIMED_OUT = 3,       /* attempt timeout */
    MEMO_OUTCOME_PROTOCOL = 4,        /* an answer that is not HTTP, or beyond a cap */
    MEMO_OUTCOME_CANCELLED = 5        /* the caller gave up: teaches nothing */
};

/** The caller's own word about an outcome: see memo_outcome.verdict. */
enum { MEMO_VERDICT_BY_RULES = 0, MEMO_VERDICT_SUCCEEDED = 1, MEMO_VERDICT_FAILED = 2, MEMO_VERDICT_IGNORE = 3 };

/** How one attempt ended. */
typedef struct memo_outcome {
    size_t size;             /* MEMO_INIT(memo_outcome) */
    int32_t kind;            /* MEMO_OUTCOME_... */
    int32_t http_status;     /* 100 to 599; 0 or -1: none */
    int32_t grpc_status;     /* 1 to 16 failed; 0 or -1: none or OK (http_status decides) */
    int32_t verdict;         /* MEMO_VERDICT_..., 0: by the rules */
    int64_t retry_after_ms;  /* what the peer asked for; 0 or less: nothing */
} memo_outcome;

/** May this call start? Route, limits, concurrency and breakers are asked together: a refusal consumes nothing.
 * After any answer but MEMO_E_ARGUMENT memo_call_end is due.
 *
 * Threads: any. Never blocks and never allocates; only the first call in a new or forked process may start the engine.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_STATE, MEMO_REFUSED_LIMITED, MEMO_REFUSED_OPEN, MEMO_REFUSED_OVERLOADED, MEMO_REFUSED_NO_ENDPOINT,
 * MEMO_REFUSED_STALE, MEMO_REFUSED_DEADLINE, MEMO_REFUSED_NOT_READY.
 * Since: 0.1 */
MEMO_MUST memo_status memo_call_begin(memo_call *k, memo_service *s, const memo_call_facts *f);

/** Picks the endpoint of the next attempt: at the beginning, and whenever memo_call_report said "again". At most 5 attempts a call.
 *
 * Threads: any, one at a time for one call.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_STATE (nothing to attempt), MEMO_REFUSED_NO_ENDPOINT, MEMO_REFUSED_OPEN, MEMO_REFUSED_STALE, MEMO_REFUSED_DEADLINE.
 * Since: 0.1 */
MEMO_MUST memo_status memo_call_next(memo_call *k, memo_attempt *a);

/** Headers to send with this attempt: `traceparent` (a span of its own), `x-envoy-expected-rq-timeout-ms` (time left, without its wait) and
 * `x-envoy-attempt-count`.
 *
 * Ownership: `out` points into `buf` and into static text.
 * Threads: any, one at a time for one call.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_STATE, MEMO_E_TRUNCATED (256 bytes and 8 headers are always enough).
 * Since: 0.1 */
MEMO_MUST memo_status memo_call_inject(const memo_call *k, const memo_attempt *a, char *buf, size_t n, memo_header *out, uint32_t max, uint32_t *count);

/** Reports how an attempt ended; breaker, ejection, latency and budget learn from it. Each attempt is reported once; a second report is
 * MEMO_E_STATE and teaches nothing.
 *
 * again: receives 1 if memo_call_next is to be asked for another attempt, else 0.
 * Threads: any, one at a time for one call.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_STATE.
 * Since: 0.1 */
MEMO_MUST memo_status memo_call_report(memo_call *k, const memo_attempt *a, const memo_outcome *o, int32_t *again);

/** Ends a call: every permit goes back, an attempt not reported counts as cancelled. Always due after begin, also after a refusal; more than once is harmless.
 *
 * Threads: any, one at a time for one call.
 * Since: 0.1 */
MEMO_API void memo_call_end(memo_call *k);

/** Why it went as it did: the record of this call as "text" or as "json". Between begin and end.
 *
 * need: receives the bytes that it takes with the final NUL, also when they do not fit; NULL is welcome.
 * Threads: any, one at a time for one call.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_TRUNCATED, MEMO_E_STATE.
 * Since: 0.1 */
MEMO_MUST memo_status memo_call_explain(const memo_call *k, const char *format, char *buf, size_t n, size_t *need);

#ifdef __cplusplus
}
#endif
#endif
