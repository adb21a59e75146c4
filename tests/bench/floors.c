/* SPDX-License-Identifier: Apache-2.0 */
/* floors.c: what the machine cannot do faster, and what one limiter of the kind in use today costs: a mutex, the clock and a token bucket in doubles, as golang.org/x/time/rate has it. */
#include <pthread.h>
#include <time.h>
#include "bench.h"

static __attribute__((noinline)) void nothing(void) { __asm__ volatile(""); }

static void empty(void *arg, uint64_t n)
{
    (void)arg;
    while (n--)
        nothing();
}

static void clocks(void *arg, uint64_t n)
{
    struct timespec t;
    (void)arg;
    while (n--)
        clock_gettime(CLOCK_MONOTONIC, &t);
}

static void locked_adds(void *arg, uint64_t n)
{
    while (n--)
        __atomic_fetch_add((uint64_t *)arg, 1, __ATOMIC_SEQ_CST);
}

static void own_adds(void *arg, uint64_t n)
{
    while (n--)
        __atomic_store_n((uint64_t *)arg, __atomic_load_n((uint64_t *)arg, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}

static struct { pthread_mutex_t lock; double tokens; int64_t last; uint64_t refused; } bucket = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void token_bucket(void *arg, uint64_t n)
{
    const double rate = 1e9, burst = 1e9;
    (void)arg;
    while (n--) {
        int64_t now = clock_wall();
        pthread_mutex_lock(&bucket.lock);
        double tokens = bucket.tokens + (double)(now - bucket.last) * rate / 1e9;
        bucket.last = now;
        bucket.tokens = tokens < burst ? tokens : burst;
        if (bucket.tokens >= 1)
            bucket.tokens -= 1;
        else
            bucket.refused++;
        pthread_mutex_unlock(&bucket.lock);
    }
}

void group_floors(void)
{
    static uint64_t words[64] __attribute__((aligned(64)));
    work_fn *work[] = { empty, clocks, locked_adds, own_adds, token_bucket };
    void *args[] = { NULL, NULL, &words[0], &words[8], NULL };
    static const char *const names[] = { "floor_empty_ns", "floor_clock_ns", "floor_locked_add_ns", "floor_own_add_ns", "peer_token_bucket_ns" };
    struct cost costs[5];
    measure(work, args, 5, 20000, 51, costs);
    for (int i = 0; i < 5; i++)
        figure(names[i], costs[i].least, "ns");
    void *same[] = { NULL, NULL };
    double both = scaling(token_bucket, same, 5000);
    if (both > 0)
        figure("peer_token_bucket_2t_scaling", both, "x");
}
