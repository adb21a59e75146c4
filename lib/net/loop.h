/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h: one turn of epoll, timers and wake-ups. The engine thread or a host's loop drives it; nothing here starts a thread.
 *
 * All functions but memo__loop_wake and memo__loop_post are for the driver's thread only. Structs are the caller's, embedded where they belong; starting does not allocate
 * (except that the timer heap may grow: memo__timer_start can fail). A callback may stop or start anything, also itself. */
#ifndef MEMO__NET_LOOP_H
#define MEMO__NET_LOOP_H
#include <stdbool.h>
#include <stdint.h>
#include "base/alloc.h"
#include "base/host.h"
#include "base/instant.h"

struct memo__loop;
struct memo__io;
struct memo__timer;
struct memo__post;

typedef void memo__io_fn(struct memo__io *io, uint32_t ready, void *user);       /* EPOLLIN, EPOLLOUT, ... */
typedef void memo__timer_fn(struct memo__timer *t, void *user);
typedef void memo__post_fn(struct memo__post *p);

struct memo__io { memo__io_fn *fn; void *user; int fd; uint32_t wanted; bool on; struct memo__io *previous, *next; };
struct memo__timer { memo__timer_fn *fn; void *user; memo__instant at; uint32_t place; /* 1-based in the heap; 0: not running */ };
struct memo__post { memo__post_fn *fn; struct memo__post *next; bool queued; };  /* a message to the driver, intrusive */

int32_t memo__loop_new(const struct memo__alloc *a, const struct memo__host *h, struct memo__loop **out); /* memo_status */
void memo__loop_free(struct memo__loop *l);             /* closes its descriptors; whatever still runs is simply forgotten */
int memo__loop_fd(const struct memo__loop *l);          /* the epoll descriptor: readable when a turn has work (a timerfd inside makes timers count) */
memo__instant memo__loop_now(const struct memo__loop *l);  /* monotonic, refreshed once a turn */
const struct memo__host *memo__loop_host(const struct memo__loop *l);

/* when its earliest timer is due; MEMO__NEVER: there is none. For who keeps the clock himself */
memo__instant memo__loop_due(const struct memo__loop *l);

/* One turn: waits at most max_wait ns (0: not at all; MEMO__NEVER: until something happens), then runs posts, due timers and ready descriptors. */
int32_t memo__loop_step(struct memo__loop *l, int64_t max_wait);

int32_t memo__io_start(struct memo__loop *l, struct memo__io *io, int fd, uint32_t wanted, memo__io_fn *fn, void *user);
int32_t memo__io_change(struct memo__loop *l, struct memo__io *io, uint32_t wanted);
void memo__io_stop(struct memo__loop *l, struct memo__io *io);

int32_t memo__timer_start(struct memo__loop *l, struct memo__timer *t, memo__instant at, memo__timer_fn *fn, void *user); /* restarts a running one */
void memo__timer_stop(struct memo__loop *l, struct memo__timer *t);

/* From any thread, also while the driver waits. A post already queued is not queued twice. Async-signal-unsafe, lock-free, never blocks. */
void memo__loop_post(struct memo__loop *l, struct memo__post *p, memo__post_fn *fn);
void memo__loop_wake(struct memo__loop *l);

/* In a forked child, before anything else (until then the epoll is the parent's: stopping an io would stop it there): new epoll, eventfd and timerfd under the same descriptor numbers (dup3); every
 * io that was started is added again; timers stay; queued posts are forgotten. The driver must not have been inside a turn when the process forked, except waiting: hold forks off (pthread_atfork). */
int32_t memo__loop_after_fork(struct memo__loop *l);
#endif
