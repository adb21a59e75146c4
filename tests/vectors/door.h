/* SPDX-License-Identifier: Apache-2.0 */
/* door.h: requests that a process receives, decided by lib/call/inbound.c itself, on a clock that only the case moves. */
#ifndef MEMO__TESTS_VECTORS_DOOR_H
#define MEMO__TESTS_VECTORS_DOOR_H
#include "call/inbound.h"

#define REQUESTS_MAX 1024

struct door {
    struct memo__governor governor __attribute__((aligned(64)));
    struct memo__world world;
    struct memo__host host;
    const memo__instant *now;
    bool open;
    struct { char name[32]; memo_inbound in; } named[64];
    uint32_t named_count;
    memo_inbound many[REQUESTS_MAX]; /* of "requests" */
};

/* The rules stay the caller's. */
bool door_open(struct door *d, struct memo__rules *rules, const memo__instant *now, const char *baggage_keys, bool trusts);
void door_close(struct door *d);
memo_inbound *door_named(struct door *d, const char *name); /* NULL: too many */
/* Who refused the last one: "limit NAME", "concurrency", "shed", or "". */
const char *door_refused_by(const struct door *d, memo_status status);
#endif
