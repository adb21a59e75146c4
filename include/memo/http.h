/* SPDX-License-Identifier: Apache-2.0 */
/* memo/http.h: libmemo carries the request: HTTP on the caller's own thread. */
#ifndef MEMO_HTTP_H
#define MEMO_HTTP_H
#include <memo/call.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An answer, filled by memo_http_get and memo_http_perform and emptied by memo_http_reply_fini. It may be used for one call after the other. */
typedef struct memo_http_reply {
    size_t size;          /* MEMO_INIT(memo_http_reply) */
    int32_t status;       /* 100 to 599; 0: no answer */
    const char *body;     /* never NULL after a call; ended by a NUL that body_bytes does not count; may hold NULs itself */
    size_t body_bytes;
    void *keep;           /* the library's; NULL before the first use */
} memo_http_reply;

/** A request. All pointers are the caller's and need to live during the call only. */
typedef struct memo_http_request {
    size_t size;                  /* MEMO_INIT(memo_http_request) */
    const char *method;           /* NULL means GET */
    const char *path;             /* with the query; must begin with '/'; NULL means "/" */
    const char *key;              /* as memo_call_facts.key */
    const memo_header *headers;   /* sent as they are, and looked at by the rules; a name or value with CR, LF or NUL is MEMO_E_ARGUMENT */
    uint32_t headers_count;       /* 0 to 100 */
    const void *body;             /* or NULL */
    size_t body_bytes;
    const memo_context *parent;   /* or NULL */
    int64_t timeout_ms;           /* overall, with all attempts and waits; 0: as the rules say. It only shortens */
} memo_http_request;

/** One governed GET: memo_http_perform, in short.
 *
 * ```c
 * memo_http_reply reply = MEMO_INIT(memo_http_reply);
 * memo_status s = memo_http_get(service, "/todos/7", &reply, error);
 *
 * if (s == MEMO_OK)
 *     printf("%d %s\n", (int)reply.status, reply.body);
 * else if (memo_status_refused(s))
 *     printf("declined: %s\n", memo_status_name(s));
 * memo_http_reply_fini(&reply);
 * ```
 *
 * path: with the query; begins with '/'; NULL means "/".
 * Ownership: `out` is due for memo_http_reply_fini after every answer.
 * Threads: any; blocks this thread until the answer or the deadline.
 * Returns: as memo_http_perform.
 * Since: 0.1 */
MEMO_MUST memo_status memo_http_get(memo_service *s, const char *path, memo_http_reply *out, memo_error *e);

/** One governed call over HTTP/1.1 (HTTP/2 where TLS negotiates it) on this thread: route, limits, breaker, pick, attempts with backoff. Any
 * complete answer is MEMO_OK, a 503 too: look at out->status. Redirects are not followed; environment proxies, .netrc and cookies are not read.
 * Connections are pooled; TLS is spoken to endpoints with the label scheme=https. The headers of memo_call_inject are added. A body beyond the
 * setting `http_max_body` (16 MiB) or a head beyond `http_max_headers` (64 KiB) fails the attempt.
 *
 * q: its size set (MEMO_INIT); sent again, body too, with every attempt.
 * out: its size set (MEMO_INIT); what was in it is replaced.
 * Ownership: `out` is due for memo_http_reply_fini after every answer.
 * Threads: any; blocks this thread until the answer or the deadline.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_STATE, MEMO_E_NO_MEMORY, MEMO_E_UNREACHABLE (no connection), MEMO_E_IO (connection lost),
 * MEMO_E_PROTOCOL, MEMO_E_TIMEOUT, and every refusal of memo_call_begin and memo_call_next if nothing was sent: after an attempt, how the last one went
 * is how the call went.
 * Since: 0.1 */
MEMO_MUST memo_status memo_http_perform(memo_service *s, const memo_http_request *q, memo_http_reply *out, memo_error *e);

/** A header of the answer, by name in any case; the first if there are several; NULL if there is none.
 *
 * Ownership: borrowed until memo_http_reply_fini, or until the reply is used again.
 * Threads: any, one at a time for one reply.
 * Since: 0.1 */
MEMO_API const char *memo_http_reply_get(const memo_http_reply *r, const char *header);

/** The record of the call behind this reply, as memo_call_explain; filled on refusal too.
 *
 * format: "text" or "json".
 * n: bytes of `buf`; what fits is written and ended by NUL.
 * need: receives the bytes that it takes with the final NUL, also when they do not fit; NULL is welcome.
 * Threads: any, one at a time for one reply.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_TRUNCATED, MEMO_E_STATE (no call was made).
 * Since: 0.1 */
MEMO_MUST memo_status memo_http_reply_explain(const memo_http_reply *r, const char *format, char *buf, size_t n, size_t *need);

/** Empties a reply and frees what it holds; it may be used again. NULL and an empty one are welcome. Due before memo_client_free.
 *
 * Threads: any, one at a time for one reply.
 * Since: 0.1 */
MEMO_API void memo_http_reply_fini(memo_http_reply *r);

#ifdef __cplusplus
}
#endif
#endif
