/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c: epoll, with an eventfd for other threads and a timerfd for the earliest timer, so that the epoll descriptor alone tells when a turn has work.
 *
 *   any thread --post--> inbox (a stack, pushed by compare-and-swap) --one exchange--> turned around --> run in order
 *   timers: a binary heap; each knows its place, so stopping one is O(log n). The timerfd is only moved earlier: a turn too many is cheaper than a system call per timer.
 *   descriptors: level-triggered; one batch of 64 a turn, so that no descriptor starves the timers.
 *
 * A callback may stop anything: events of a stopped io that wait in the current batch are struck out. */
#define _GNU_SOURCE
#include "net/loop.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <memo/status.h>
#include "base/atomic.h"

#define BATCH 64

struct memo__loop {
    struct memo__alloc alloc;
    const struct memo__host *host;
    int epoll, event, clock;            /* descriptors; clock is the timerfd */
    memo__instant now;
    memo__instant armed;                /* when the timerfd will fire at the latest; MEMO__NEVER: not armed */
    struct memo__timer **heap;          /* heap[1] is the earliest */
    uint32_t timers, room;              /* used and allocated, without heap[0] */
    struct memo__io *ios;
    struct epoll_event *batch;          /* while a batch is delivered: what is left of it */
    int batch_left;
    bool stepping;
    struct { struct memo__post *inbox; uint32_t woken; } shared __attribute__((aligned(MEMO__LINE)));   /* any thread */
};

/* ---- descriptors of its own ---- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static int32_t watch_own(struct memo__loop *l)
{
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = &l->event };
    struct epoll_event c = { .events = EPOLLIN, .data.ptr = &l->clock };
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->event, &e) != 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->clock, &c) != 0)
        return errno == ENOMEM ? MEMO_E_NO_MEMORY : MEMO_E_IO;
    return MEMO_OK;
}

int32_t memo__loop_new(const struct memo__alloc *a, const struct memo__host *h, struct memo__loop **out)
{
    int32_t s = MEMO_E_NO_MEMORY;
    struct memo__loop *l = memo__get_lines(a, sizeof *l);
    *out = NULL;
    if (!l)
        return s;
    l->alloc = *a;
    l->host = h;
    l->armed = MEMO__NEVER;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    l->clock = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    s = MEMO_E_IO;
    if (l->epoll < 0 || l->event < 0 || l->clock < 0 || (s = watch_own(l)) != MEMO_OK)
        goto fail;
    l->now = memo__now(h);
    *out = l;
    return MEMO_OK;
fail:
    memo__loop_free(l);
    return s;
}

void memo__loop_free(struct memo__loop *l)
{
    if (!l)
        return;
    close_fd(&l->epoll);
    close_fd(&l->event);
    close_fd(&l->clock);
    struct memo__alloc a = l->alloc;
    memo__drop(&a, l->heap);
    memo__drop_lines(&a, l);
}

int memo__loop_fd(const struct memo__loop *l) { return l->epoll; }
memo__instant memo__loop_now(const struct memo__loop *l) { return l->now; }
const struct memo__host *memo__loop_host(const struct memo__loop *l) { return l->host; }

/* ---- descriptors of others ---- */

static int32_t control(struct memo__loop *l, int what, struct memo__io *io)
{
    struct epoll_event e = { .events = io->wanted, .data.ptr = io };
    if (epoll_ctl(l->epoll, what, io->fd, &e) == 0)
        return MEMO_OK;
    return errno == ENOMEM || errno == ENOSPC ? MEMO_E_NO_MEMORY : MEMO_E_IO;
}

int32_t memo__io_start(struct memo__loop *l, struct memo__io *io, int fd, uint32_t wanted, memo__io_fn *fn, void *user)
{
    *io = (struct memo__io){ .fn = fn, .user = user, .fd = fd, .wanted = wanted };
    int32_t s = control(l, EPOLL_CTL_ADD, io);
    if (s != MEMO_OK)
        return s;
    io->on = true;
    io->next = l->ios;
    if (l->ios)
        l->ios->previous = io;
    l->ios = io;
    return MEMO_OK;
}

int32_t memo__io_change(struct memo__loop *l, struct memo__io *io, uint32_t wanted)
{
    if (!io->on)
        return MEMO_E_STATE;
    if (io->wanted == wanted)
        return MEMO_OK;
    io->wanted = wanted;
    return control(l, EPOLL_CTL_MOD, io);
}

void memo__io_stop(struct memo__loop *l, struct memo__io *io)
{
    if (!io->on)
        return;
    io->on = false;
    (void)control(l, EPOLL_CTL_DEL, io); /* fails if the owner closed it first: then it is gone already */
    for (int i = 0; i < l->batch_left; i++)
        if (l->batch[i].data.ptr == io)
            l->batch[i].data.ptr = NULL;
    if (io->previous)
        io->previous->next = io->next;
    else
        l->ios = io->next;
    if (io->next)
        io->next->previous = io->previous;
    io->previous = io->next = NULL;
}

/* ---- timers ---- */

static void put_at(struct memo__loop *l, uint32_t place, struct memo__timer *t)
{
    l->heap[place] = t;
    t->place = place;
}

static void sift(struct memo__loop *l, uint32_t place, struct memo__timer *t)
{
    while (place > 1 && l->heap[place / 2]->at > t->at) {
        put_at(l, place, l->heap[place / 2]);
        place /= 2;
    }
    for (uint32_t child; (child = place * 2) <= l->timers; place = child) {
        if (child < l->timers && l->heap[child + 1]->at < l->heap[child]->at)
            child++;
        if (l->heap[child]->at >= t->at)
            break;
        put_at(l, place, l->heap[child]);
    }
    put_at(l, place, t);
}

static int32_t more_room(struct memo__loop *l)
{
    if (l->timers < l->room)
        return MEMO_OK;
    uint32_t room = l->room ? l->room * 2 : 16;
    struct memo__timer **heap = memo__resize(&l->alloc, l->heap, ((size_t)room + 1) * sizeof *heap);
    if (!heap)
        return MEMO_E_NO_MEMORY;
    l->heap = heap;
    l->room = room;
    return MEMO_OK;
}

static memo__instant earliest(const struct memo__loop *l)
{
    return l->timers ? l->heap[1]->at : MEMO__NEVER;
}

memo__instant memo__loop_due(const struct memo__loop *l) { return earliest(l); }

/* The timerfd is set by a span, not by a point in time: a simulated clock is not the kernel's. */
static void arm(struct memo__loop *l)
{
    memo__instant at = earliest(l);
    if (at >= l->armed)
        return;
    int64_t left = at > l->now ? at - l->now : 1;
    struct itimerspec t = { .it_value = { .tv_sec = (time_t)(left / MEMO__S), .tv_nsec = (long)(left % MEMO__S) } };
    if (timerfd_settime(l->clock, 0, &t, NULL) == 0)
        l->armed = at;
}

int32_t memo__timer_start(struct memo__loop *l, struct memo__timer *t, memo__instant at, memo__timer_fn *fn, void *user)
{
    if (!t->place) {
        int32_t s = more_room(l);
        if (s != MEMO_OK)
            return s;
        t->place = ++l->timers;
    }
    t->fn = fn;
    t->user = user;
    t->at = at;
    sift(l, t->place, t);
    if (!l->stepping) {
        l->now = memo__now(l->host);
        arm(l);
    }
    return MEMO_OK;
}

void memo__timer_stop(struct memo__loop *l, struct memo__timer *t)
{
    uint32_t place = t->place;
    if (!place)
        return;
    t->place = 0;
    struct memo__timer *last = l->heap[l->timers--];
    if (last != t)
        sift(l, place, last);
}

/* At most as many as there were: a timer that restarts itself for now waits for the next turn. */
static void run_timers(struct memo__loop *l)
{
    for (uint32_t left = l->timers; left && memo__reached(l->now, earliest(l)); left--) {
        struct memo__timer *t = l->heap[1];
        memo__timer_stop(l, t);
        t->fn(t, t->user);
    }
}

/* ---- posts ---- */

void memo__loop_wake(struct memo__loop *l)
{
    uint64_t one = 1;
    if (memo__exchange(&l->shared.woken, 1) != 0)
        return;
    while (write(l->event, &one, sizeof one) < 0 && errno == EINTR) /* full: readable already, which is all that is wanted */
        ;
}

void memo__loop_post(struct memo__loop *l, struct memo__post *p, memo__post_fn *fn)
{
    if (memo__exchange(&p->queued, true))
        return;
    p->fn = fn;
    struct memo__post *first = memo__load(&l->shared.inbox);
    do
        p->next = first;
    while (!memo__cas(&l->shared.inbox, &first, p));
    memo__loop_wake(l);
}

static struct memo__post *turn_around(struct memo__post *p)
{
    struct memo__post *turned = NULL;
    while (p) {
        struct memo__post *next = p->next;
        p->next = turned;
        turned = p;
        p = next;
    }
    return turned;
}

/* A post is free to be queued again from the moment that its function starts. */
static void run_posts(struct memo__loop *l)
{
    if (!memo__load(&l->shared.inbox))
        return;
    struct memo__post *p = turn_around(memo__exchange(&l->shared.inbox, NULL));
    while (p) {
        struct memo__post *next = p->next;
        memo__post_fn *fn = p->fn;
        memo__store_release(&p->queued, false);
        fn(p);
        p = next;
    }
}

/* ---- one turn ---- */

/* Read first, then clear: a post between the two finds `woken` set and does not write, but its message is taken right after. */
static void drain_own(struct memo__loop *l, void *which)
{
    uint64_t count;
    ssize_t got = read(which == &l->event ? l->event : l->clock, &count, sizeof count);
    (void)got;
    if (which == &l->event)
        (void)memo__exchange(&l->shared.woken, 0);
    else
        l->armed = MEMO__NEVER;
}

static int wait_ms(const struct memo__loop *l, int64_t max_wait)
{
    if (memo__reached(l->now, earliest(l)) || memo__load(&l->shared.inbox) || max_wait <= 0)
        return 0;
    if (max_wait >= INT64_C(86400) * MEMO__S)
        return -1;
    return (int)((max_wait + MEMO__MS - 1) / MEMO__MS);
}

static void deliver(struct memo__loop *l, struct epoll_event *batch, int count)
{
    for (int i = 0; i < count; i++) {
        l->batch = batch + i + 1;
        l->batch_left = count - i - 1;
        struct memo__io *io = batch[i].data.ptr;
        if (io && batch[i].data.ptr != &l->event && batch[i].data.ptr != &l->clock)
            io->fn(io, batch[i].events, io->user);
    }
    l->batch_left = 0;
}

int32_t memo__loop_step(struct memo__loop *l, int64_t max_wait)
{
    struct epoll_event batch[BATCH];
    if (l->stepping)
        return MEMO_E_STATE;
    l->now = memo__now(l->host);
    arm(l);
    int count = epoll_wait(l->epoll, batch, BATCH, wait_ms(l, max_wait));
    if (count < 0 && errno != EINTR)
        return MEMO_E_IO;
    count = count < 0 ? 0 : count;
    l->stepping = true;
    l->now = memo__now(l->host);
    for (int i = 0; i < count; i++)
        if (batch[i].data.ptr == &l->event || batch[i].data.ptr == &l->clock)
            drain_own(l, batch[i].data.ptr);
    l->batch = batch;
    l->batch_left = count; /* posts and timers may stop ios too */
    run_posts(l);
    run_timers(l);
    deliver(l, batch, count);
    l->stepping = false;
    arm(l);
    return MEMO_OK;
}

/* ---- fork ---- */

static int32_t replace(int fd, int fresh)
{
    if (fresh < 0)
        return MEMO_E_IO;
    int put = dup3(fresh, fd, O_CLOEXEC);
    close(fresh);
    return put < 0 ? MEMO_E_IO : MEMO_OK;
}

static void forget_posts(struct memo__loop *l)
{
    for (struct memo__post *p = l->shared.inbox, *next; p; p = next) {
        next = p->next;
        p->next = NULL;
        p->queued = false;
    }
    l->shared.inbox = NULL;
    l->shared.woken = 0;
}

/* An io whose descriptor cannot be added (its owner has closed it already) is left to its owner to stop. */
int32_t memo__loop_after_fork(struct memo__loop *l)
{
    int32_t s = replace(l->epoll, epoll_create1(EPOLL_CLOEXEC));
    if (s == MEMO_OK)
        s = replace(l->event, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (s == MEMO_OK)
        s = replace(l->clock, timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (s == MEMO_OK)
        s = watch_own(l);
    forget_posts(l);
    l->stepping = false;
    l->batch_left = 0;
    l->armed = MEMO__NEVER;
    for (struct memo__io *io = l->ios; io && s == MEMO_OK; io = io->next)
        (void)control(l, EPOLL_CTL_ADD, io);
    l->now = memo__now(l->host);
    if (s == MEMO_OK)
        arm(l);
    return s;
}
