/* SPDX-License-Identifier: Apache-2.0 */
/* engine.h: the one engine of a process: loop, resolver, directory watch, reclamation, one thread.
 *
 *   engine thread:   wait in poll --> take the turn --> loop step, reclaim --> drop the turn --> deliver log lines --> ...
 *   control calls:   take the turn --> act as the driver --> drop the turn --> wait for an answer on the client's lock
 *
 * Whoever has the turn is the driver: the loop, the watches and the reclaimer are touched under it and nowhere else. It is never held while waiting. The order of locks: process, turn, client.
 * Application threads that only decide never see it.
 *
 * Fork: prepare takes process and turn, so a child inherits a world between two turns; a page that the kernel wipes in the child (MADV_WIPEONFORK) tells every entry that it is in a new
 * process, and the first one rebuilds: slots, locks, descriptors, sockets, thread. Children made around libc find the same page wiped. */
#ifndef MEMO__CLIENT_ENGINE_H
#define MEMO__CLIENT_ENGINE_H
#include <memo/client.h>
#include <stdbool.h>
#include "base/host.h"
#include "base/lock.h"
#include "base/process.h"
#include "base/reader.h"
#include "net/loop.h"
#include "sources/source.h"

struct memo__admin;

struct memo__engine {
    struct memo__alloc alloc;
    const struct memo__host *host;
    struct memo__loop *loop;
    struct memo__dns *dns;
    struct memo__dirwatch *dirs;
    struct memo__reclaimer reclaimer;
    struct memo__timer reclaim_timer, clock_timer;
    struct memo__admin *admin;       /* the explain socket; NULL: none */
    memo_client *clients;            /* linked by client->next */
};

/* Joins a client to the engine: made and started with the first one, stopped and freed with the last. */
memo_status memo__engine_join(memo_client *c, memo_error *e);
void memo__engine_leave(memo_client *c);

/* The turn; may be taken again by its owner. NULL: there is no engine (no client runs). */
struct memo__engine *memo__turn_take(void);
void memo__turn_drop(void);
bool memo__turn_is_mine(void);
/* Callbacks that this thread is in: there nobody waits for a callback, and a turn of the engine does nothing. */
extern __thread uint32_t memo__inside __attribute__((tls_model("initial-exec")));
/* One turn without waiting, and what it left to deliver; not with the turn. */
void memo__engine_step(void);
/* memo__wait for what the engine does: where no thread drives it, whoever waits does, save within a callback. */
bool memo__engine_wait(struct memo__lock *l, memo__instant until);
int memo__engine_fd(void);     /* readable when a turn has work; -1: there is no engine */
/* Frees an immutable object when no reader can hold it any more. With the turn. */
void memo__engine_retire(struct memo__retired *r, void (*release)(struct memo__retired *r));
/* Waits until everything retired so far has been released; not with the turn. Bounded by readers' sections. */
void memo__engine_settle(void);
#endif
