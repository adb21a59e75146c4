/* SPDX-License-Identifier: Apache-2.0 */
/* lock.h: a lock and the signal that what it guards has changed. For the control side; the hot path has none.
 *
 *   memo__lock_take(&x->lock);
 *   while (!x->done && memo__wait(&x->lock, until))
 *       ;
 *   memo__lock_drop(&x->lock);
 *
 * A forked child must not touch locks of its parent, which another thread may have held: it calls memo__lock_init again. */
#ifndef MEMO__BASE_LOCK_H
#define MEMO__BASE_LOCK_H
#include <pthread.h>
#include <stdbool.h>
#include "base/instant.h"

struct memo__lock {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
};

/* A static one: its waits must have no deadline (the clock of a static condition cannot be chosen). */
#define MEMO__LOCK_STATIC { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER }

void memo__lock_init(struct memo__lock *l);
void memo__lock_fini(struct memo__lock *l);
void memo__lock_take(struct memo__lock *l);
void memo__lock_drop(struct memo__lock *l);
/* With the lock taken: waits for a memo__wake, or a spurious one, at the longest until `until` (CLOCK_MONOTONIC; MEMO__NEVER: without end). false: the time is over. */
bool memo__wait(struct memo__lock *l, memo__instant until);
void memo__wake(struct memo__lock *l); /* all who wait; with or without the lock */
#endif
