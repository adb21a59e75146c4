/* SPDX-License-Identifier: Apache-2.0 */
/* request.c: see request.h. */
#include "client/request.h"
#include "client/engine.h"

struct memo__request *memo__request_new(memo_client *c, size_t bytes, void (*end)(struct memo__request *q))
{
    struct memo__request *q = memo__get(&c->alloc, bytes);
    if (!q)
        return NULL;
    q->client = c;
    q->end = end;
    q->refs = 2;
    memo__lock_take(&c->shared.lock);
    q->next = c->shared.requests;
    c->shared.requests = q;
    memo__lock_drop(&c->shared.lock);
    return q;
}

void memo__request_drop(struct memo__request *q)
{
    memo_client *c = q->client;
    memo__lock_take(&c->shared.lock);
    bool last = --q->refs == 0;
    memo__lock_drop(&c->shared.lock);
    if (!last)
        return;
    q->end(q);
    memo__drop(&c->alloc, q);
}

/* With the client's lock. */
static void unlist(struct memo__request *q)
{
    struct memo__request **at = &q->client->shared.requests;
    while (*at && *at != q)
        at = &(*at)->next;
    if (*at)
        *at = q->next;
}

void memo__requests_abandon(memo_client *c)
{
    while (c->shared.requests)
        memo__request_answer(c->shared.requests, MEMO_E_CANCELLED);
}

void memo__request_answer(struct memo__request *q, memo_status s)
{
    memo_client *c = q->client;
    memo__lock_take(&c->shared.lock);
    q->status = s;
    q->answered = true;
    unlist(q);
    memo__wake(&c->shared.lock);
    memo__lock_drop(&c->shared.lock);
    memo__request_drop(q);
}

memo_status memo__request_wait(struct memo__request *q, int64_t timeout_ms)
{
    memo_client *c = q->client;
    memo__instant until = memo__after_ms(memo__now(c->host), timeout_ms);
    memo__lock_take(&c->shared.lock);
    while (!q->answered && memo__engine_wait(&c->shared.lock, until))
        ;
    memo_status s = q->answered ? q->status : MEMO_E_TIMEOUT;
    memo__lock_drop(&c->shared.lock);
    return s;
}
