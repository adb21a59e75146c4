/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.c: the reading side of histograms: sums, bounds, estimates. Counting is inline in the header. */
#include "base/histogram.h"
#include "base/instant.h"

void memo__histogram_merge(struct memo__histogram *to, const struct memo__histogram *from)
{
    to->sum_ns += memo__load(&from->sum_ns);
    for (uint32_t i = 0; i < MEMO__BUCKETS; i++)
        to->bucket[i] += memo__load(&from->bucket[i]);
}

uint64_t memo__histogram_count(const struct memo__histogram *h)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < MEMO__BUCKETS; i++)
        all += h->bucket[i];
    return all;
}

/* 10^9 * 2^(i/2 - 18), rounded down: the root as a 63-bit fraction above its one. */
int64_t memo__bucket_bound(uint32_t i)
{
    if (i >= MEMO__BUCKETS - 1)
        return INT64_MAX;
    unsigned __int128 root = i % 2 ? UINT64_C(0xb504f333f9de6484) : UINT64_C(1) << 63;
    return (int64_t)((root * (unsigned __int128)MEMO__S) >> (63 + 18 - i / 2));
}

/* The place of the ppm-th within its bucket, as if the bucket's durations lay evenly. The last bucket has no end: its beginning is the answer. */
static int64_t within(uint32_t bucket, uint64_t rank, uint64_t count)
{
    int64_t from = bucket ? memo__bucket_bound(bucket - 1) : 0;
    if (bucket >= MEMO__BUCKETS - 1)
        return from;
    int64_t wide = memo__bucket_bound(bucket) - from;
    return from + (int64_t)((unsigned __int128)(uint64_t)wide * rank / count);
}

int64_t memo__histogram_quantile(const struct memo__histogram *h, uint32_t ppm)
{
    uint64_t all = memo__histogram_count(h), below = 0;
    uint64_t rank = (uint64_t)(((unsigned __int128)all * (ppm < 1000000 ? ppm : 1000000) + 999999) / 1000000);
    rank += rank == 0;
    for (uint32_t i = 0; all && i < MEMO__BUCKETS; i++) {
        if (rank <= below + h->bucket[i])
            return within(i, rank - below, h->bucket[i]);
        below += h->bucket[i];
    }
    return 0;
}
