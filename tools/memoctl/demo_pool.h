/* SPDX-License-Identifier: Apache-2.0 */
/* demo_pool.h: calls at a steady rate, whatever they take: an open loop, as independent users are.
 *
 *   pacer --every 1/rate--> the worker that became idle last (its connections are warm), or a new one, up to POOL_WORKERS
 *
 * A closed loop would slow down with its servers and so hide what slowness does. 200 calls/s that all take the whole 800 ms need 160 workers. */
#ifndef MEMOCTL_DEMO_POOL_H
#define MEMOCTL_DEMO_POOL_H
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define POOL_WORKERS 256

struct pool;

struct pool_worker {
    struct pool *pool;
    struct pool_worker *idle_next;
    pthread_t thread;
    pthread_cond_t go;
    uint64_t call;
    bool has_call;
    void *own;               /* what the caller keeps for a thread; freed by its `leave` */
};

struct pool {
    void (*call)(struct pool_worker *w, uint64_t call, void *user);
    void (*leave)(struct pool_worker *w);   /* at a worker's end; may be NULL */
    void *user;
    pthread_mutex_t lock;
    pthread_cond_t change;   /* rate, stop, a worker got idle */
    pthread_t pacer;
    uint32_t rate;           /* calls per second, 0: none */
    uint32_t workers, busy;
    uint64_t calls, unsent;  /* made; not made since every worker was busy */
    struct pool_worker *idle;
    bool stop, pacing;
    struct pool_worker worker[POOL_WORKERS];
};

/* call, leave and user are set before. false: no thread. */
bool pool_start(struct pool *p);
void pool_rate(struct pool *p, uint32_t rate);
/* Rate 0, and waits until no call runs; false if some still run after timeout_ms. */
bool pool_quiet(struct pool *p, int64_t timeout_ms);
void pool_stop(struct pool *p); /* waits for running calls; harmless if it was not started */
#endif
