/* SPDX-License-Identifier: Apache-2.0 */
/* dirwatch.c: one inotify, many askers.
 *
 * The kernel gives one watch number for a directory however often it is added, so a number belongs to all items that have it, and is removed with the last. Events are read
 * in blocks of 4 KiB; an item may be removed by any callback, so delivery walks by a cursor that removal moves on. */
#include "sources/dirwatch.h"
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <memo/status.h>

struct memo__dirwatch {
    struct memo__alloc alloc;
    const struct memo__host *host;
    struct memo__loop *loop;
    struct memo__io io;
    int fd;                              /* -1: none to be had */
    struct memo__dirwatch_item *items;
    struct memo__dirwatch_item *cursor;  /* the next to be told */
    bool *gone;                          /* on the stack of a running delivery */
};

static void told(struct memo__io *io, uint32_t ready, void *user);

static void begin(struct memo__dirwatch *d)
{
    d->fd = d->host->notify_open ? d->host->notify_open(d->host->user) : -ENOSYS;
    if (d->fd >= 0 && memo__io_start(d->loop, &d->io, d->fd, EPOLLIN, told, d) != MEMO_OK) {
        (void)d->host->close(d->host->user, d->fd);
        d->fd = -1;
    }
    if (d->fd < 0)
        d->fd = -1;
}

static void end(struct memo__dirwatch *d)
{
    if (d->fd < 0)
        return;
    memo__io_stop(d->loop, &d->io);
    (void)d->host->close(d->host->user, d->fd);
    d->fd = -1;
}

int32_t memo__dirwatch_new(const struct memo__alloc *a, const struct memo__host *h, struct memo__loop *l, struct memo__dirwatch **out)
{
    struct memo__dirwatch *d = memo__get(a, sizeof *d);
    *out = d;
    if (!d)
        return MEMO_E_NO_MEMORY;
    d->alloc = *a;
    d->host = h;
    d->loop = l;
    begin(d);
    return MEMO_OK;
}

void memo__dirwatch_free(struct memo__dirwatch *d)
{
    if (!d)
        return;
    if (d->gone)
        *d->gone = true;
    while (d->items)
        memo__dirwatch_remove(d, d->items);
    end(d);
    struct memo__alloc a = d->alloc;
    memo__drop(&a, d);
}

bool memo__dirwatch_works(const struct memo__dirwatch *d)
{
    return d && d->fd >= 0;
}

static bool shared(const struct memo__dirwatch *d, const struct memo__dirwatch_item *i)
{
    for (const struct memo__dirwatch_item *x = d->items; x; x = x->next)
        if (x != i && x->wd == i->wd)
            return true;
    return false;
}

bool memo__dirwatch_add(struct memo__dirwatch *d, struct memo__dirwatch_item *i, int dir, uint32_t mask, memo__dirwatch_fn *fn, void *user)
{
    if (!d)
        return false;
    memo__dirwatch_remove(d, i);
    *i = (struct memo__dirwatch_item){ .fn = fn, .user = user, .wd = -1, .dir = dir, .mask = mask };
    if (d->fd < 0)
        return false;
    i->wd = d->host->notify_add(d->host->user, d->fd, dir, mask | IN_ONLYDIR | IN_MASK_ADD);
    if (i->wd < 0)
        return false;
    i->on = true;
    i->next = d->items;
    if (d->items)
        d->items->previous = i;
    d->items = i;
    return true;
}

void memo__dirwatch_remove(struct memo__dirwatch *d, struct memo__dirwatch_item *i)
{
    if (!d || !i->on)
        return;
    i->on = false;
    if (d->cursor == i)
        d->cursor = i->next;
    if (i->wd >= 0 && d->fd >= 0 && !shared(d, i))
        (void)d->host->notify_remove(d->host->user, d->fd, i->wd);
    if (i->previous)
        i->previous->next = i->next;
    else
        d->items = i->next;
    if (i->next)
        i->next->previous = i->previous;
    i->previous = i->next = NULL;
}

/* False: d is gone. */
static bool deliver(struct memo__dirwatch *d, const struct inotify_event *e)
{
    bool gone = false, all = (e->mask & IN_Q_OVERFLOW) != 0, self = (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) != 0;
    d->gone = &gone;
    for (struct memo__dirwatch_item *i = d->items; i; i = d->cursor) {
        d->cursor = i->next;
        if (!all && i->wd != e->wd)
            continue;
        if (e->mask & IN_IGNORED)
            i->wd = -1; /* the number is dead and may be given to another directory */
        i->fn(i, all || self || e->len == 0 ? NULL : e->name, i->user);
        if (gone)
            return false;
    }
    d->gone = NULL;
    return true;
}

static void told(struct memo__io *io, uint32_t ready, void *user)
{
    struct memo__dirwatch *d = user;
    char block[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t got = read(io->fd, block, sizeof block);
    (void)ready;
    for (ssize_t at = 0; got > 0 && at + (ssize_t)sizeof(struct inotify_event) <= got;) {
        const struct inotify_event *e = (const struct inotify_event *)(const void *)(block + at);
        at += (ssize_t)sizeof *e + (ssize_t)e->len;
        if (!deliver(d, e))
            return;
    }
}

void memo__dirwatch_forked(struct memo__dirwatch *d)
{
    if (!d)
        return;
    end(d);
    begin(d);
    for (struct memo__dirwatch_item *i = d->items; i; i = i->next)
        i->wd = d->fd < 0 ? -1 : d->host->notify_add(d->host->user, d->fd, i->dir, i->mask | IN_ONLYDIR | IN_MASK_ADD);
}
