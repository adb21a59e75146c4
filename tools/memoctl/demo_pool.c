/* SPDX-License-Identifier: Apache-2.0 */
/* demo_pool.c: the pacer and its workers. Workers get small stacks; ticks that are late by more than 100 ms are left out, so that a stall of the
 * machine does not become a flood. */
#define _GNU_SOURCE
#include "demo_pool.h"
#include <errno.h>
#include <signal.h>
#include <time.h>
#include "base/instant.h"

#define STACK_BYTES (256u << 10)
#define LATE_MOST (100 * MEMO__MS)

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * MEMO__S + t.tv_nsec;
}

static struct timespec timespec_of(int64_t ns)
{
    return (struct timespec){ .tv_sec = ns / MEMO__S, .tv_nsec = ns % MEMO__S };
}

static void *work(void *arg)
{
    struct pool_worker *w = arg;
    struct pool *p = w->pool;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!w->has_call && !p->stop)
            pthread_cond_wait(&w->go, &p->lock);
        if (!w->has_call)
            break;
        pthread_mutex_unlock(&p->lock);
        p->call(w, w->call, p->user);
        pthread_mutex_lock(&p->lock);
        w->has_call = false;
        w->idle_next = p->idle;
        p->idle = w;
        p->busy--;
        pthread_cond_broadcast(&p->change);
    }
    pthread_mutex_unlock(&p->lock);
    if (p->leave)
        p->leave(w);
    return NULL;
}

static bool thread_start(pthread_t *t, void *(*fn)(void *), void *arg)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    if (pthread_attr_init(&attributes) != 0)
        return false;
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int wrong = pthread_create(t, &attributes, fn, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return wrong == 0;
}

/* With the lock. */
static struct pool_worker *worker_for_locked(struct pool *p)
{
    struct pool_worker *w = p->idle;
    if (w) {
        p->idle = w->idle_next;
        return w;
    }
    if (p->workers == POOL_WORKERS)
        return NULL;
    w = &p->worker[p->workers];
    w->pool = p;
    pthread_cond_init(&w->go, NULL);
    if (!thread_start(&w->thread, work, w)) {
        pthread_cond_destroy(&w->go);
        return NULL;
    }
    p->workers++;
    return w;
}

static void hand_out_locked(struct pool *p)
{
    struct pool_worker *w = worker_for_locked(p);
    if (!w) {
        p->unsent++;
        return;
    }
    w->call = p->calls++;
    w->has_call = true;
    p->busy++;
    pthread_cond_signal(&w->go);
}

static void *pace(void *arg)
{
    struct pool *p = arg;
    int64_t next = now_ns();
    pthread_mutex_lock(&p->lock);
    while (!p->stop) {
        if (p->rate == 0) {
            pthread_cond_wait(&p->change, &p->lock);
            next = now_ns();
            continue;
        }
        next += MEMO__S / p->rate;
        if (now_ns() - next > LATE_MOST)
            next = now_ns();
        pthread_mutex_unlock(&p->lock);
        struct timespec at = timespec_of(next);
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        pthread_mutex_lock(&p->lock);
        if (p->rate > 0 && !p->stop)
            hand_out_locked(p);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

bool pool_start(struct pool *p)
{
    pthread_condattr_t monotonic;
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&p->change, &monotonic);
    pthread_condattr_destroy(&monotonic);
    p->pacing = thread_start(&p->pacer, pace, p);
    return p->pacing;
}

void pool_rate(struct pool *p, uint32_t rate)
{
    pthread_mutex_lock(&p->lock);
    p->rate = rate;
    pthread_cond_broadcast(&p->change);
    pthread_mutex_unlock(&p->lock);
}

bool pool_quiet(struct pool *p, int64_t timeout_ms)
{
    struct timespec until = timespec_of(now_ns() + timeout_ms * MEMO__MS);
    pool_rate(p, 0);
    pthread_mutex_lock(&p->lock);
    while (p->busy > 0 && pthread_cond_timedwait(&p->change, &p->lock, &until) != ETIMEDOUT)
        ;
    bool quiet = p->busy == 0;
    pthread_mutex_unlock(&p->lock);
    return quiet;
}

void pool_stop(struct pool *p)
{
    if (!p->pacing)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->change);
    for (uint32_t i = 0; i < p->workers; i++)
        pthread_cond_signal(&p->worker[i].go);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->pacer, NULL);
    for (uint32_t i = 0; i < p->workers; i++) {
        pthread_join(p->worker[i].thread, NULL);
        pthread_cond_destroy(&p->worker[i].go);
    }
    pthread_cond_destroy(&p->change);
    pthread_mutex_destroy(&p->lock);
    p->pacing = false;
}
