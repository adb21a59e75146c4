/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.c: bounds to the nanosecond, sums, estimates. */
#include "base/histogram.h"
#include <check.h>
#include <math.h>
#include <string.h>
#include "base/instant.h"

static const struct memo__stripe alone = { .index = 0, .exclusive = true }, shared = { .index = 0, .exclusive = false };

/* Each bound is what the formula says, belongs to the bucket below it, and a nanosecond more does not. */
START_TEST(bounds)
{
    for (uint32_t i = 0; i < MEMO__BUCKETS - 1; i++) {
        long double exact = 1e9L * powl(2.0L, (long double)i / 2 - 18);
        int64_t bound = memo__bucket_bound(i);
        ck_assert_int_eq(bound, (int64_t)floorl(exact));
        ck_assert_uint_eq(memo__bucket_of(bound), i);
        ck_assert_uint_eq(memo__bucket_of(bound + 1), i + 1);
    }
    ck_assert_int_eq(memo__bucket_bound(MEMO__BUCKETS - 1), INT64_MAX);
    ck_assert_int_eq(memo__bucket_bound(0), 3814);
    ck_assert_int_eq(memo__bucket_bound(36), MEMO__S);                 /* bounds that are whole nanoseconds are bounds exactly */
    ck_assert_int_eq(memo__bucket_bound(18), 1953125);
    ck_assert(memo__bucket_bound(MEMO__BUCKETS - 2) > 60 * MEMO__S);
}
END_TEST

START_TEST(extremes)
{
    ck_assert_uint_eq(memo__bucket_of(INT64_MIN), 0);
    ck_assert_uint_eq(memo__bucket_of(-1), 0);
    ck_assert_uint_eq(memo__bucket_of(0), 0);
    ck_assert_uint_eq(memo__bucket_of(1), 0);
    ck_assert_uint_eq(memo__bucket_of(3600 * MEMO__S), MEMO__BUCKETS - 1);
    ck_assert_uint_eq(memo__bucket_of(INT64_MAX), MEMO__BUCKETS - 1);
}
END_TEST

/* The index never falls as durations grow, and leaves no bucket out. */
START_TEST(monotone)
{
    uint32_t last = 0;
    for (int64_t ns = 0; ns < 400 * MEMO__S; ns += ns / 1000 + 1) {
        uint32_t i = memo__bucket_of(ns);
        ck_assert(i == last || i == last + 1);
        last = i;
    }
    ck_assert_uint_eq(last, MEMO__BUCKETS - 1);
}
END_TEST

START_TEST(adds_and_merges)
{
    struct memo__histogram a, b;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    ck_assert_uint_eq(sizeof a, 448);
    memo__histogram_add(alone, &a, 5 * MEMO__MS);
    memo__histogram_add(alone, &a, -7);
    memo__histogram_add(shared, &b, 5 * MEMO__MS);
    memo__histogram_add(shared, &b, 400 * MEMO__S);
    memo__histogram_merge(&a, &b);
    ck_assert_uint_eq(memo__histogram_count(&a), 4);
    ck_assert_uint_eq(a.bucket[memo__bucket_of(5 * MEMO__MS)], 2);
    ck_assert_uint_eq(a.bucket[0], 1);
    ck_assert_uint_eq(a.bucket[MEMO__BUCKETS - 1], 1);
    ck_assert_uint_eq(a.sum_ns, (uint64_t)(400 * MEMO__S + 10 * MEMO__MS));
}
END_TEST

/* 1,000 durations of 1 to 1,000 ms: every estimate is within a factor of sqrt(2) of the truth, and they never fall. */
START_TEST(quantiles)
{
    struct memo__histogram h;
    memset(&h, 0, sizeof h);
    ck_assert_int_eq(memo__histogram_quantile(&h, 500000), 0);
    for (int64_t ms = 1; ms <= 1000; ms++)
        memo__histogram_add(alone, &h, ms * MEMO__MS);
    int64_t last = 0;
    for (uint32_t ppm = 1000; ppm <= 1000000; ppm += 1000) {
        int64_t estimate = memo__histogram_quantile(&h, ppm);
        double ratio = (double)estimate / (double)(ppm / 1000 * MEMO__MS);
        ck_assert_msg(ratio < 1.4143 && ratio > 1 / 1.4143, "%u: %f", ppm, ratio);
        ck_assert(estimate >= last);
        last = estimate;
    }
    ck_assert(memo__histogram_quantile(&h, UINT32_MAX) == last);
    ck_assert(memo__histogram_quantile(&h, 0) > 0);
    memset(&h, 0, sizeof h);
    memo__histogram_add(alone, &h, 4000 * MEMO__S);
    ck_assert_int_eq(memo__histogram_quantile(&h, 500000), memo__bucket_bound(MEMO__BUCKETS - 2));
}
END_TEST

Suite *suite_base_histogram(void);
Suite *suite_base_histogram(void)
{
    Suite *s = suite_create("base/histogram");
    TCase *c = tcase_create("histogram");
    tcase_add_test(c, bounds);
    tcase_add_test(c, extremes);
    tcase_add_test(c, monotone);
    tcase_add_test(c, adds_and_merges);
    tcase_add_test(c, quantiles);
    suite_add_tcase(s, c);
    return s;
}
