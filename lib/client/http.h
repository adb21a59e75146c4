/* SPDX-License-Identifier: Apache-2.0 */
/* http.h: what the two ways to carry a request have in common: http.c blocks the caller's thread, http_task.c is driven. */
#ifndef MEMO__CLIENT_HTTP_H
#define MEMO__CLIENT_HTTP_H
#include <memo/http.h>
#include "client/client.h"

#define MEMO__HTTP_OWN 8           /* headers that memo_call_inject and memo_context_inject_carried write at most */
#define MEMO__HTTP_CARRIED 2       /* of these the second */
#define MEMO__HTTP_CALLERS_MAX 100 /* headers of the caller */

struct memo__kept { /* behind memo_http_reply.keep */
    memo_client *client;
    struct memo__http_answer answer;
    memo_call call;            /* as it ended */
};

struct memo__http_sending { /* one attempt's request; borrows from the caller's */
    char buf[256], carried[256];
    memo_header all[MEMO__HTTP_OWN + MEMO__HTTP_CALLERS_MAX];
    struct memo__http_target to;
    struct memo__http_send send;
};

/* MEMO_OK, or MEMO_E_ARGUMENT with the sentence. */
memo_status memo__http_check(const memo_service *s, const memo_http_request *q, memo_error *e);
memo_call_facts memo__http_facts(const memo_http_request *q);
/* memo_call_inject's status. a is borrowed by what is filled. */
memo_status memo__http_sending(memo_client *c, memo_call *k, const memo_http_request *q, const memo_attempt *a, struct memo__http_sending *out);
memo_outcome memo__http_outcome(const struct memo__http_answer *answer);
/* How the last attempt went is how the call went. */
memo_status memo__http_status(const struct memo__http_answer *answer);
void memo__http_reply_fill(memo_http_reply *out, const struct memo__kept *k);

/* http_task.c. With the turn: what is under way ends as cancelled; in a forked child, it is the parent's. */
void memo__tasks_cancel(memo_client *c);
void memo__tasks_after_fork(memo_client *c);
/* Not with the turn: calls one that has ended back; false: none has. */
bool memo__task_deliver(memo_client *c);
bool memo__task_event(memo_client *c, memo_event *out); /* one whose end is to be taken as an event; any thread */
void memo__tasks_drop(memo_client *c);                  /* those events, unread */
#endif
