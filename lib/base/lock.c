/* SPDX-License-Identifier: Apache-2.0 */
/* lock.c: locks, as POSIX threads have them. Plain mutexes on Linux need no memory beyond themselves: initialising cannot fail. */
#include "base/lock.h"
#include <errno.h>
#include <time.h>

void memo__lock_init(struct memo__lock *l)
{
    pthread_condattr_t monotonic;
    (void)pthread_mutex_init(&l->mutex, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&l->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

void memo__lock_fini(struct memo__lock *l)
{
    (void)pthread_cond_destroy(&l->changed);
    (void)pthread_mutex_destroy(&l->mutex);
}

void memo__lock_take(struct memo__lock *l) { (void)pthread_mutex_lock(&l->mutex); }
void memo__lock_drop(struct memo__lock *l) { (void)pthread_mutex_unlock(&l->mutex); }
void memo__wake(struct memo__lock *l) { (void)pthread_cond_broadcast(&l->changed); }

bool memo__wait(struct memo__lock *l, memo__instant until)
{
    struct timespec t = { .tv_sec = (time_t)(until / MEMO__S), .tv_nsec = (long)(until % MEMO__S) };
    if (until == MEMO__NEVER)
        return pthread_cond_wait(&l->changed, &l->mutex) == 0;
    if (until < 0)
        return false;
    return pthread_cond_timedwait(&l->changed, &l->mutex, &t) != ETIMEDOUT;
}
