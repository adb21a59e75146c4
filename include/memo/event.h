/* SPDX-License-Identifier: Apache-2.0 */
/* memo/event.h: what changed, in the pull form: one descriptor and a batch read. */
#ifndef MEMO_EVENT_H
#define MEMO_EVENT_H
#include <memo/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Kinds of events. */
enum {
    MEMO_EVENT_VIEW = 0,          /* a watched service has a new view */
    MEMO_EVENT_RULES = 1,         /* rules were applied (status MEMO_OK) or refused (MEMO_E_RULES, text says where) */
    MEMO_EVENT_CONFIG = 2,        /* reserved */
    MEMO_EVENT_REGISTRATION = 3,  /* acknowledged (MEMO_OK), lost, or withdrawn */
    MEMO_EVENT_BREAKER = 4,       /* subject: the breaker; text: "closed -> open, 12 of 20 failed" */
    MEMO_EVENT_EJECTION = 5,      /* subject: the endpoint's id; text: why, or "returned" */
    MEMO_EVENT_SOURCE = 6,        /* a registry was lost (status says how) or is back (MEMO_OK) */
    MEMO_EVENT_DONE = 7           /* reserved */
};

/** One event, copied out. Frozen for soname 0. */
typedef struct memo_event {
    size_t size;          /* MEMO_INIT(memo_event) */
    uint64_t revision;    /* of the view or of the rules */
    uint64_t ref[2];      /* slot and generation, if it is about an endpoint */
    memo_status status;
    int32_t kind;         /* MEMO_EVENT_... */
    char service[64];
    char subject[64];
    char text[160];
} memo_event;

/** A descriptor that is readable while events wait; the client's, valid until memo_client_free, the same number after fork. For poll and epoll only: do not read it.
 *
 * Threads: any.
 * Returns: the descriptor, or -1 (client not started).
 * Since: 0.1 */
MEMO_API int memo_event_fd(memo_client *c);

/** Takes waiting events, oldest first, at most `max`. The queue holds 1024; the oldest are dropped beyond, and the next taken event then has "(N dropped)" in its text.
 *
 * max: elements of `out`; the caller sets out[0].size, which stands for all of them.
 * Threads: any.
 * Returns: MEMO_OK (*n may be 0), MEMO_E_ARGUMENT, MEMO_E_STATE.
 * Since: 0.1 */
MEMO_MUST memo_status memo_event_take(memo_client *c, memo_event *out, uint32_t max, uint32_t *n);

#ifdef __cplusplus
}
#endif
#endif
