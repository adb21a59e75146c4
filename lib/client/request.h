/* SPDX-License-Identifier: Apache-2.0 */
/* request.h: a question to a source, asked on one thread and answered on the driver's. Counted twice: the asker may give up first. */
#ifndef MEMO__CLIENT_REQUEST_H
#define MEMO__CLIENT_REQUEST_H
#include "client/client.h"

struct memo__request { /* embedded first */
    memo_client *client;
    void (*end)(struct memo__request *q);   /* frees what the request holds, not the request */
    memo_status status;                     /* client->shared.lock */
    bool answered;
    uint32_t refs;
    struct memo__request *next;             /* of those not answered */
};

struct memo__request *memo__request_new(memo_client *c, size_t bytes, void (*end)(struct memo__request *q)); /* NULL: no memory */
void memo__request_answer(struct memo__request *q, memo_status s);   /* the driver's side; drops its count */
memo_status memo__request_wait(struct memo__request *q, int64_t timeout_ms);
void memo__request_drop(struct memo__request *q);
void memo__requests_abandon(memo_client *c); /* after the watch is closed: nobody will answer */
#endif
