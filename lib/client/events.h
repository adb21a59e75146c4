/* SPDX-License-Identifier: Apache-2.0 */
/* events.h: a bounded queue of events, many writers, many readers, nobody waits.
 *
 * Each place has a turn (Vyukov's bounded queue): a writer claims a place whose turn is its ticket, a reader one whose turn is its ticket + 1. When the queue is full the oldest is taken out and
 * dropped, so that what is left is the newest. An eventfd is readable while events wait. */
#ifndef MEMO__CLIENT_EVENTS_H
#define MEMO__CLIENT_EVENTS_H
#include <memo/event.h>
#include "base/alloc.h"
#include "base/stripe.h"

#define MEMO__EVENTS 1024 /* a power of two */

struct memo__event_place { uint64_t turn; memo_event event; };

struct memo__events {
    struct memo__event_place *places;
    int fd;
    char pad0[MEMO__LINE];
    uint64_t write, read, dropped;
};

memo_status memo__events_init(const struct memo__alloc *a, struct memo__events *q);
void memo__events_fini(const struct memo__alloc *a, struct memo__events *q);
void memo__events_put(struct memo__events *q, const memo_event *e);
bool memo__events_take(struct memo__events *q, memo_event *out);
void memo__events_tell(struct memo__events *q); /* the descriptor is readable: something waits elsewhere */
/* Nothing is left: the descriptor falls silent, unless something came meanwhile. */
void memo__events_quiet(struct memo__events *q);
/* In a child: an eventfd of its own under the same number; the parent's events are not the child's. */
void memo__events_after_fork(struct memo__events *q);
#endif
