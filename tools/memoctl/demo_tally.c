/* SPDX-License-Identifier: Apache-2.0 */
/* demo_tally.c: exact percentiles: the times are kept and sorted, since an estimate would be argued about. */
#include "demo_tally.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

void tally_init(struct tally *t)
{
    pthread_mutex_init(&t->lock, NULL);
}

void tally_fini(struct tally *t)
{
    pthread_mutex_destroy(&t->lock);
}

static void add(struct sums *s, const struct call_result *r)
{
    bool refused = r->end >= CALL_LIMITED;
    s->calls++;
    s->end[r->end]++;
    s->attempts_all += r->attempts_all;
    s->retried += r->attempts_all > 1 ? r->attempts_all - 1 : 0;
    for (int i = 0; i < INSTANCES; i++)
        s->attempts[i] += r->attempts[i];
    if (r->canary) {
        s->canary++;
        s->canary_strayed += r->attempts[INSTANCE_V1A] + r->attempts[INSTANCE_V1B] > 0;
    }
    if (refused && r->us > s->refused_us_most)
        s->refused_us_most = r->us;
    if (!refused && s->times_count < TALLY_TIMES)
        s->times[s->times_count++] = r->us;
}

void tally_add(struct tally *t, const struct call_result *r)
{
    pthread_mutex_lock(&t->lock);
    add(&t->second, r);
    add(&t->scene, r);
    pthread_mutex_unlock(&t->lock);
}

/* The times beyond times_count are of no interest: neither copied nor cleared. */
static void take(struct tally *t, struct sums *from, struct sums *to)
{
    pthread_mutex_lock(&t->lock);
    memcpy(to, from, offsetof(struct sums, times) + from->times_count * sizeof(from->times[0]));
    memset(from, 0, offsetof(struct sums, times));
    pthread_mutex_unlock(&t->lock);
}

void tally_take_second(struct tally *t, struct sums *out)
{
    take(t, &t->second, out);
}

void tally_take_scene(struct tally *t, struct sums *out)
{
    take(t, &t->scene, out);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

uint32_t sums_percentile(struct sums *s, uint32_t percent)
{
    if (s->times_count == 0)
        return 0;
    qsort(s->times, s->times_count, sizeof(s->times[0]), by_size);
    uint32_t rank = (uint32_t)(((uint64_t)s->times_count * percent + 99) / 100); /* nearest rank, from 1 */
    return s->times[rank ? rank - 1 : 0];
}

uint32_t sums_refused(const struct sums *s)
{
    return s->end[CALL_LIMITED] + s->end[CALL_OPEN] + s->end[CALL_REFUSED];
}
