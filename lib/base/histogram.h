/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.h: how long did things take? A fixed-scale base-2 exponential histogram, the scale 1 of OpenTelemetry: each bound is the one before times sqrt(2).
 *
 *   bucket 0: up to 2^-18 s (3.8 us)    bucket i: up to 2^(-18 + i/2) s    bucket 54: beyond 2^8.5 s (362 s)
 *
 * An in-process answer falls into the first, a call that ran into an hour's deadline into the last; in between an estimate is off by at most a factor of sqrt(2).
 * The bounds are those of OpenTelemetry in seconds and belong to the bucket below, as Prometheus' `le` wants it. Because the scale is fixed, histograms of stripes, processes and machines
 * add up. With the sum 56 words: 7 cache lines. */
#ifndef MEMO__BASE_HISTOGRAM_H
#define MEMO__BASE_HISTOGRAM_H
#include <stdint.h>
#include "base/stripe.h"

#define MEMO__BUCKETS 55

struct memo__histogram {
    uint64_t sum_ns;
    uint64_t bucket[MEMO__BUCKETS];
};

/* The bucket of a duration: the product is the duration in 2^-47 s (the factor is 2^93 / 10^9), its highest bit the octave, the rest against sqrt(2) the half.
 * The factor is rounded down, so a duration that is exactly a bound falls just below it. */
static inline uint32_t memo__bucket_of(int64_t ns)
{
    const uint64_t most = UINT64_C(1) << 45; /* 9.8 hours: beyond the last bound, and the product still fits */
    if (ns <= 3814) /* 2^-18 s; what is greater has an index greater than 0 */
        return 0;
    uint64_t u = (uint64_t)ns > most ? most : (uint64_t)ns;
    uint64_t v = (uint64_t)(((unsigned __int128)u * UINT64_C(0x89705f4136b4a597)) >> 46);
    int zeros = __builtin_clzll(v);
    int i = 2 * (34 - zeros) + (v << zeros > UINT64_C(0xb504f333f9de6484)) + 1;
    return i >= MEMO__BUCKETS ? MEMO__BUCKETS - 1 : (uint32_t)i;
}

/* Adds one duration to the histogram of a stripe. */
static inline void memo__histogram_add(struct memo__stripe s, struct memo__histogram *h, int64_t ns)
{
    memo__stripe_add64(s, &h->bucket[memo__bucket_of(ns)], 1);
    memo__stripe_add64(s, &h->sum_ns, ns < 0 ? 0 : (uint64_t)ns);
}

/* to += from; from may be written by its owner meanwhile. */
void memo__histogram_merge(struct memo__histogram *to, const struct memo__histogram *from);
uint64_t memo__histogram_count(const struct memo__histogram *h);
/* The greatest whole ns that bucket i takes: i < MEMO__BUCKETS - 1, INT64_MAX for the last. */
int64_t memo__bucket_bound(uint32_t i);
/* Estimate of the duration that `ppm` millionths of all stayed within (990000: the p99), interpolated within its bucket; 0 if there are none. */
int64_t memo__histogram_quantile(const struct memo__histogram *h, uint32_t ppm);
#endif
