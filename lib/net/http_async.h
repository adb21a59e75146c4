/* SPDX-License-Identifier: Apache-2.0 */
/* http_async.h: many exchanges at once on one loop, without a thread: the same exchange as in http.h, begun and told later.
 *
 *   memo__http_start -> [ libcurl's multi handle, its sockets and its timer on the loop ] -> fn(run, status, user), from a later turn
 *
 * One multi handle a client: its connections are shared by all exchanges to the same endpoint, one exchange each at a time. All functions
 * are the driver's, with the turn. An exchange is sent at most once, as there. */
#ifndef MEMO__NET_HTTP_ASYNC_H
#define MEMO__NET_HTTP_ASYNC_H
#include "net/http.h"
#include "net/loop.h"

struct memo__http_async;
struct memo__http_run;

/* status: as memo__http_exchange; the answer is filled. May start others, also the same run again. */
typedef void memo__http_run_fn(struct memo__http_run *x, memo_status status, void *user);

struct memo__http_run { /* the caller's, embedded; alive until fn is called or memo__http_abort returns */
    struct memo__http_async *async;
    struct wire *wire;              /* NULL: not running */
    struct memo__http_answer *answer;
    memo__http_run_fn *fn;
    void *user;
    struct memo__http_run *previous, *next;
};

struct memo__http_async_stats { uint64_t exchanges, connections; uint32_t running, idle, sockets; };

/* Caps and the rest as the pool has them; it outlives this. MEMO_OK, MEMO_E_NO_MEMORY. */
memo_status memo__http_async_new(struct memo__http_pool *p, struct memo__loop *l, struct memo__http_async **out);
/* What still runs is abandoned: its fn is not called. NULL is welcome. */
void memo__http_async_free(struct memo__http_async *a);
void memo__http_async_sweep(struct memo__http_async *a, memo__instant now); /* closes what was idle for too long */
/* In a forked child: the parent's exchanges are gone, without a word on their sockets; their fn is not called. */
memo_status memo__http_async_after_fork(struct memo__http_async *a);
void memo__http_async_stats(const struct memo__http_async *a, struct memo__http_async_stats *out);

/* Texts, headers and body of s are borrowed until the end. MEMO_OK: fn will be called, once. Else nothing was begun (see memo__http_exchange; also where no time is left: then
 * the answer says so, and fn is called as well). */
memo_status memo__http_start(struct memo__http_async *a, struct memo__http_run *x, const struct memo__http_target *t, const struct memo__http_send *s,
                             struct memo__http_answer *answer, memo__http_run_fn *fn, void *user);
/* Breaks it off: its connection is closed, its fn is not called. One that does not run is left alone. */
void memo__http_abort(struct memo__http_run *x);
#endif
