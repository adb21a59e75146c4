/* SPDX-License-Identifier: Apache-2.0 */
/* events.c: see events.h. */
#define _GNU_SOURCE
#include "client/events.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/text.h"

#define TRIES 1000 /* the queue is full, and whoever writes its oldest place does not come to an end: this event is dropped, nobody waits */

static void places_reset(struct memo__events *q)
{
    for (uint64_t i = 0; i < MEMO__EVENTS; i++)
        memo__store(&q->places[i].turn, i);
    q->write = q->read = q->dropped = 0;
}

memo_status memo__events_init(const struct memo__alloc *a, struct memo__events *q)
{
    q->fd = -1;
    q->places = memo__get_array(a, MEMO__EVENTS, sizeof *q->places);
    if (!q->places)
        return MEMO_E_NO_MEMORY;
    places_reset(q);
    q->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return q->fd < 0 ? MEMO_E_IO : MEMO_OK;
}

void memo__events_fini(const struct memo__alloc *a, struct memo__events *q)
{
    memo__drop(a, q->places);
    q->places = NULL;
    if (q->fd >= 0)
        (void)close(q->fd);
    q->fd = -1;
}

/* One step of Vyukov's queue: claims the ticket at `counter` whose place has turn ticket + ahead; NULL: none now. */
static struct memo__event_place *claim(struct memo__events *q, uint64_t *counter, uint64_t ahead, uint64_t *ticket)
{
    *ticket = memo__load(counter);
    for (;;) {
        struct memo__event_place *p = &q->places[*ticket & (MEMO__EVENTS - 1)];
        int64_t difference = (int64_t)(memo__load_acquire(&p->turn) - (*ticket + ahead));
        if (difference < 0)
            return NULL;
        if (difference > 0)
            *ticket = memo__load(counter);
        else if (memo__cas(counter, ticket, *ticket + 1))
            return p;
    }
}

static bool take(struct memo__events *q, memo_event *out)
{
    uint64_t ticket;
    struct memo__event_place *p = claim(q, &q->read, 1, &ticket);
    if (!p)
        return false;
    *out = p->event;
    memo__store_release(&p->turn, ticket + MEMO__EVENTS);
    return true;
}

void memo__events_tell(struct memo__events *q)
{
    uint64_t one = 1;
    int before = errno;
    while (write(q->fd, &one, sizeof one) < 0 && errno == EINTR) /* full is readable, too */
        ;
    errno = before;
}

void memo__events_put(struct memo__events *q, const memo_event *e)
{
    uint64_t ticket;
    struct memo__event_place *p;
    memo_event oldest;
    if (!q->places)
        return;
    for (uint32_t tries = 0; !(p = claim(q, &q->write, 0, &ticket)); tries++) {
        bool taken = take(q, &oldest), enough = !taken && tries >= TRIES;
        if (taken || enough)
            (void)memo__fetch_add(&q->dropped, 1);
        if (enough)
            return;
    }
    p->event = *e;
    memo__store_release(&p->turn, ticket + 1);
    memo__events_tell(q);
}

/* "(3 dropped)" goes before the text of the first event that is left. */
static void tell_dropped(memo_event *e, uint64_t dropped)
{
    char text[sizeof e->text];
    memcpy(text, e->text, sizeof text);
    (void)snprintf(e->text, sizeof e->text, "(%llu dropped) %.120s", (unsigned long long)dropped, text);
    memo__utf8_mend(e->text);
}

bool memo__events_take(struct memo__events *q, memo_event *out)
{
    if (!take(q, out))
        return false;
    uint64_t dropped = memo__load(&q->dropped) ? memo__exchange(&q->dropped, 0) : 0;
    if (dropped)
        tell_dropped(out, dropped);
    return true;
}

void memo__events_quiet(struct memo__events *q)
{
    uint64_t count;
    int before = errno;
    (void)!read(q->fd, &count, sizeof count);
    errno = before;
    if (memo__load(&q->read) != memo__load(&q->write))
        memo__events_tell(q);
}

void memo__events_after_fork(struct memo__events *q)
{
    if (!q->places)
        return;
    places_reset(q);
    int fresh = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fresh < 0)
        return;
    (void)dup3(fresh, q->fd, O_CLOEXEC);
    (void)close(fresh);
}
