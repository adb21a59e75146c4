/* SPDX-License-Identifier: Apache-2.0 */
/* memo/http.h: libmemo carries the request: HTTP on the caller's own thread, or submitted and driven by the engine. */
#ifndef MEMO_HTTP_H
#define MEMO_HTTP_H
#include <memo/call.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An answer, filled by memo_http_get, memo_http_perform and memo_http_task_take, or handed to a memo_http_done_fn, and emptied by
 * memo_http_reply_fini. It may be used for one call after the other. */
typedef struct memo_http_reply {
    size_t size;          /* MEMO_INIT(memo_http_reply) */
    int32_t status;       /* 100 to 599; 0: no answer */
    const char *body;     /* never NULL after a call; ended by a NUL that body_bytes does not count; may hold NULs itself */
    size_t body_bytes;
    void *keep;           /* the library's; NULL before the first use */
} memo_http_reply;

/** A request. All pointers are the caller's and need to live only until memo_http_perform or memo_http_submit returns; the body of a submitted one
 * until its call is over. */
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
 * Connections are pooled; TLS is spoken to endpoints with the label scheme=https. The headers of memo_call_inject are added, and the
 * `tracestate` and `baggage` of the parent. A body beyond the setting `http_max_body` (16 MiB) or a head beyond `http_max_headers` (64 KiB) fails the
 * attempt.
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

/** A call that is under way, or has ended and waits to be taken. Opaque; made by memo_http_submit. */
typedef struct memo_http_task memo_http_task;

/** Called once when a submitted call is over: by the engine's thread, or by whoever drives it, never under a lock and never from within
 * memo_http_submit. It may call anything but memo_client_free and functions that wait for the engine (memo_client_wait, memo_client_drain,
 * memo_service_read, ...), which it would hold up. Callbacks may run on several threads at once where several drive. status: as memo_http_perform;
 * MEMO_E_CANCELLED after memo_http_cancel, and for what is under way when its client is freed, by the thread that frees it. reply: valid until this
 * returns, and emptied then; to keep it, move it: `*mine = *reply; reply->keep = NULL;` and memo_http_reply_fini is due for `mine`. */
typedef void memo_http_done_fn(memo_status status, memo_http_reply *reply, void *user);

/** Begins a governed call over HTTP, as memo_http_perform, and returns at once: attempts, backoff and the answer are the driver's. Thousands may be
 * under way; nothing here waits, and no thread is made for any of them.
 *
 * ```c
 * memo_http_request q = MEMO_INIT(memo_http_request);
 * q.path = "/todos/7";
 * memo_http_task *task = NULL;
 * memo_status s = memo_http_submit(service, &q, NULL, NULL, &task, error);   // no callback: MEMO_EVENT_DONE tells that it is over
 *
 * if (s == MEMO_OK) {
 *     memo_http_reply reply = MEMO_INIT(memo_http_reply);
 *     s = memo_http_task_take(task, &reply);                                 // MEMO_E_STATE until then
 *     memo_http_reply_fini(&reply);
 *     memo_http_task_release(task);
 * }
 * ```
 *
 * q: copied, but for the body, which has to live until the call is over.
 * done: called back once if this answers MEMO_OK, and not otherwise; NULL: an event MEMO_EVENT_DONE comes instead, which is never dropped.
 * user: handed to `done`; in the event it is ref[0].
 * out: receives a handle to cancel, or to take the reply with; NULL if nobody wants it; needed without `done`.
 * Ownership: *out is due for memo_http_task_release, at any time: a call goes on without its handle.
 * Threads: any.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_NO_MEMORY, MEMO_E_STATE, and every refusal of memo_call_begin, which is made at once.
 * Since: 0.1 */
MEMO_MUST memo_status memo_http_submit(memo_service *s, const memo_http_request *q, memo_http_done_fn *done, void *user, memo_http_task **out, memo_error *e);

/** Gives a call up: its connection is not used again, everything that it holds goes back, and nobody learns from it. It is over as any other, once, as
 * MEMO_E_CANCELLED, unless it has just ended. NULL is welcome.
 *
 * Threads: any, also from within a callback.
 * Since: 0.1 */
MEMO_API void memo_http_cancel(memo_http_task *t);

/** The reply of a call that was submitted without a function to call back, once.
 *
 * out: its size set (MEMO_INIT); what was in it is replaced.
 * Ownership: `out` is due for memo_http_reply_fini after every answer but MEMO_E_ARGUMENT and MEMO_E_STATE.
 * Threads: any.
 * Returns: the call's status, as memo_http_perform, or MEMO_E_CANCELLED; MEMO_E_ARGUMENT; MEMO_E_STATE (it is not over, was taken already, has a
 * function to call back, or is of a parent process).
 * Since: 0.1 */
MEMO_MUST memo_status memo_http_task_take(memo_http_task *t, memo_http_reply *out);

/** Gives the handle back; the call goes on. Of one that was taken before, no event comes any more. NULL is welcome. Due before memo_client_free.
 *
 * Threads: any.
 * Since: 0.1 */
MEMO_API void memo_http_task_release(memo_http_task *t);

/** Empties a reply and frees what it holds; it may be used again. NULL and an empty one are welcome. Due before memo_client_free.
 *
 * Threads: any, one at a time for one reply.
 * Since: 0.1 */
MEMO_API void memo_http_reply_fini(memo_http_reply *r);

#ifdef __cplusplus
}
#endif
#endif
