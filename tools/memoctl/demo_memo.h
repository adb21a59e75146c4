/* SPDX-License-Identifier: Apache-2.0 */
/* demo_memo.h: the same calls through libmemo, and what their records say about the attempts. */
#ifndef MEMOCTL_DEMO_MEMO_H
#define MEMOCTL_DEMO_MEMO_H
#include <memo/memo.h>
#include <pthread.h>
#include "demo_pool.h"
#include "demo_tally.h"

/* Which call's record is worth showing. */
enum want { WANT_ANY, WANT_RETRIED, WANT_OPEN, WANT_LIMITED, WANT_CANARY, WANT_FAILED };

struct memo_side {
    memo_service *service;
    struct book *book;
    struct tally *tally;
    bool canary;                 /* atomic: every fourth call carries x-canary: 1 */
    int64_t canary_from;         /* atomic: calls begun since then (monotonic, ns) count as canary calls; INT64_MAX: none */
    uint64_t unread;             /* atomic: records that could not be read: the books would be wrong */
    struct {
        pthread_mutex_t lock;
        enum want want;
        int score;               /* of the record kept: 0 none, 1 any call, 2 the wanted one */
        char text[4096], json[8192];
    } shown;
};

void memo_side_init(struct memo_side *m);
void memo_side_fini(struct memo_side *m);
/* From now on, look for such a call. */
void memo_side_want(struct memo_side *m, enum want w);
/* Copies the record that was kept; "" if there was none. */
void memo_side_shown(struct memo_side *m, char *text, size_t text_n, char *json, size_t json_n);

/* For struct pool; user is a struct memo_side. */
void memo_side_call(struct pool_worker *w, uint64_t call, void *user);
void memo_side_leave(struct pool_worker *w);
#endif
