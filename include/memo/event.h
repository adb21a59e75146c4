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
    MEMO_EVENT_VIEW = 0,          /* a service for which memo_service_watch is on has a new view, or its view another state */
    MEMO_EVENT_RULES = 1,         /* rules were applied (MEMO_OK, with their revision), reset something (MEMO_OK, revision 0, subject: what), or were refused
                                   * (MEMO_E_RULES, subject: the file, text: where) */
    MEMO_EVENT_CONFIG = 2,        /* a watched configuration value has changed (MEMO_OK, revision; subject: its key, or the prefix), or a source
                                   * (subject) was lost, is back, or says something bad (another status, text: where); see memo_config_watch */
    MEMO_EVENT_REGISTRATION = 3,  /* subject: the instance's id; acknowledged (MEMO_OK, revision: its fencing token), lost (another status), or withdrawn */
    MEMO_EVENT_BREAKER = 4,       /* subject: the breaker; text: "closed -> open, 12 of 20 failed" */
    MEMO_EVENT_EJECTION = 5,      /* subject: the endpoint's id; text: why, or "returned" */
    MEMO_EVENT_SOURCE = 6,        /* subject: the registry, which was lost (status says how) or is back (MEMO_OK) */
    MEMO_EVENT_DONE = 7           /* a task without a function to call back has ended: status is the call's, ref[0] what memo_http_submit was given as `user` */
};

/** One event, copied out: 328 bytes. All text is UTF-8 ended by NUL. Frozen for soname 0. */
typedef struct memo_event {
    size_t size;          /* MEMO_INIT(memo_event) */
    uint64_t revision;    /* of the view or of the rules, or as the kind says; 0: none */
    uint64_t ref[2];      /* as the kind says; else 0 */
    memo_status status;   /* as the kind says */
    int32_t kind;         /* MEMO_EVENT_...; skip kinds that you do not know */
    char service[64];     /* or "" */
    char subject[64];     /* what it is about, as the kind says, or "" */
    char text[160];       /* one sentence for a person, which is not promised */
} memo_event;

/** A descriptor that is readable while events wait. For poll and epoll only, level- or edge-triggered: do not read or close it. It is non-blocking
 * and close-on-exec, and in a forked child the same number is a descriptor of the child's own.
 *
 * Ownership: the client's, valid until memo_client_free.
 * Threads: any.
 * Returns: the descriptor, or -1 (client not started).
 * Since: 0.1 */
MEMO_API int memo_event_fd(memo_client *c);

/** Takes waiting events, oldest first. Never waits. The descriptor stays readable until fewer than `max` were taken. The queue holds 1024; beyond,
 * the oldest are dropped, and the text of the next taken event begins with "(N dropped)".
 *
 * ```c
 * memo_event batch[16];
 * uint32_t n = 0;
 *
 * batch[0].size = sizeof batch[0];   // once memo_event_fd is readable:
 * if (memo_event_take(client, batch, 16, &n) == MEMO_OK)
 *     for (uint32_t i = 0; i < n; i++)
 *         printf("%s %s: %s\n", batch[i].service, batch[i].subject, batch[i].text);
 * ```
 *
 * max: elements of `out`; the caller sets out[0].size, which stands for all of them.
 * n: receives how many were taken, 0 to max.
 * Threads: any; each event goes to one taker.
 * Returns: MEMO_OK (*n may be 0), MEMO_E_ARGUMENT, MEMO_E_STATE (client not started).
 * Since: 0.1 */
MEMO_MUST memo_status memo_event_take(memo_client *c, memo_event *out, uint32_t max, uint32_t *n);

#ifdef __cplusplus
}
#endif
#endif
