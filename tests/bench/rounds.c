/* SPDX-License-Identifier: Apache-2.0 */
/* rounds.c: how time is taken.
 *
 * Alone: rounds of CPU time, least and median. Two threads at once: a round counts only if both really ran beside each other all the time (wall time is CPU time, and they began together), else
 * two threads that the machine ran one after the other would look like perfect scaling. A round of one thread goes before every round of two, so that both see the same machine; the least of
 * each kind are compared, because what disturbs from outside (another guest on the same core) only ever adds. Rounds are well below a time slice, so that some stay undisturbed on a busy machine. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "bench.h"

#define ROUNDS_MOST 101
#define PAIRS_WANTED 25
#define PAIRS_TIME INT64_C(20000000000) /* ns; a busy machine may not give more */

static int64_t clock_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

int64_t clock_wall(void) { return clock_of(CLOCK_MONOTONIC); }
int64_t clock_cpu(void) { return clock_of(CLOCK_THREAD_CPUTIME_ID); }

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, uint32_t n)
{
    qsort(values, n, sizeof *values, by_size);
    return n ? values[n / 2] : 0;
}

static double least(const double *values, uint32_t n)
{
    double found = values[0];
    for (uint32_t i = 1; i < n; i++)
        found = values[i] < found ? values[i] : found;
    return found;
}

void measure(work_fn *const *work, void *const *args, uint32_t count, uint64_t n, uint32_t rounds, struct cost *costs)
{
    static double taken[8][ROUNDS_MOST];
    for (uint32_t i = 0; i < count; i++)
        work[i](args[i], n);
    for (uint32_t r = 0; r < rounds && r < ROUNDS_MOST; r++) {
        for (uint32_t i = 0; i < count; i++) {
            int64_t from = clock_cpu();
            work[i](args[i], n);
            taken[i][r] = (double)(clock_cpu() - from) / (double)n;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        costs[i].median = median(taken[i], rounds);
        costs[i].least = taken[i][0];
    }
}

struct cost cost_less(struct cost a, struct cost b)
{
    return (struct cost){ a.least - b.least, a.median - b.median };
}

struct lane { work_fn *work; void *arg; uint64_t n; uint32_t *go, *ready; uint32_t rounds; int64_t began, ended, cpu; bool stop; };

static void run_lane(struct lane *l)
{
    int64_t cpu = clock_cpu();
    l->began = clock_wall();
    l->work(l->arg, l->n);
    l->ended = clock_wall();
    l->cpu = clock_cpu() - cpu;
}

/* The second thread: waits for each round, spinning, so that both begin within a microsecond. */
static void *second(void *user)
{
    struct lane *l = user;
    for (uint32_t round = 1;; round++) {
        __atomic_add_fetch(l->ready, 1, __ATOMIC_ACQ_REL);
        while (__atomic_load_n(l->go, __ATOMIC_ACQUIRE) < round)
            ;
        if (__atomic_load_n(&l->stop, __ATOMIC_ACQUIRE))
            return NULL;
        run_lane(l);
    }
}

static bool undisturbed(const struct lane *l) { return (double)(l->ended - l->began) < 1.02 * (double)l->cpu + 2000; }

static bool together(const struct lane *a, const struct lane *b)
{
    int64_t apart = llabs(a->began - b->began) + llabs(a->ended - b->ended);
    return undisturbed(a) && undisturbed(b) && apart < (a->ended - a->began) / 10;
}

double scaling(work_fn *work, void *const args[2], uint64_t n)
{
    static double one[PAIRS_WANTED], two[PAIRS_WANTED];
    uint32_t go = 0, ready = 0, alone = 0, pairs = 0;
    struct lane first = { .work = work, .arg = args[0], .n = n }, other = { .work = work, .arg = args[1], .n = n, .go = &go, .ready = &ready };
    int64_t until = clock_wall() + PAIRS_TIME;
    pthread_t thread;
    if (pthread_create(&thread, NULL, second, &other) != 0)
        return -1;
    work(args[0], n);
    for (uint32_t round = 1; (pairs < PAIRS_WANTED || alone < PAIRS_WANTED) && clock_wall() < until; round++) {
        while (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) < round)
            ;
        run_lane(&first);
        if (undisturbed(&first) && alone < PAIRS_WANTED)
            one[alone++] = (double)first.cpu;
        __atomic_store_n(&go, round, __ATOMIC_RELEASE);
        run_lane(&first);
        while (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) < round + 1)
            ;
        if (together(&first, &other) && pairs < PAIRS_WANTED)
            two[pairs++] = (double)(first.cpu + other.cpu) / 2;
    }
    __atomic_store_n(&other.stop, true, __ATOMIC_RELEASE);
    __atomic_store_n(&go, UINT32_MAX, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    fprintf(stderr, "bench: scaling from %u rounds of one thread and %u of two\n", alone, pairs);
    return alone && pairs ? 2 * least(one, alone) / least(two, pairs) : -1;
}
