/* SPDX-License-Identifier: Apache-2.0 */
/* threads.c: real threads on the same memory: what must hold in any order. Bounded, seeded, meant for thread sanitizer too. */
#include <pthread.h>
#include "policy/breaker.h"
#include "policy/balance.h"
#include "policy/bulkhead.h"
#include "policy/limiter.h"
#include "policy/limiter_keyed.h"
#include "policy/outlier.h"
#include "policy/retry.h"
#include "story.h"

#define THREADS 4
#define ROUNDS 10000

static struct memo__lease_part part[THREADS] LINE_ALIGNED;
static struct memo__striped parts;
static memo__instant clock_now;  /* everybody's, moved on by everybody */
static uint64_t spent;
static int64_t busy, most_busy, turns[4];

struct worker { pthread_t thread; uint32_t i; uint64_t state; };

static memo__instant tick(int64_t by) { return memo__fetch_add(&clock_now, by); }

/* The first two threads own a stripe each, the others share one. */
static struct memo__stripe stripe_of(const struct worker *w) { return w->i < 2 ? alone(w->i) : shared(2); }

static void run(void *(*work)(void *))
{
    struct worker w[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        w[i].i = i;
        w[i].state = i * 7919;
        ck_assert_int_eq(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(w[i].thread, NULL), 0);
}

static void begin(void)
{
    parts = PARTS(part);
    clock_now = 1000 * S;
    spent = 0;
    busy = most_busy = 0;
    memset(turns, 0, sizeof turns);
}

static struct memo__limiter l LINE_ALIGNED;

static void *spend_tokens(void *arg)
{
    struct worker *w = arg;
    uint64_t mine = 0;
    for (int i = 0; i < ROUNDS; i++)
        mine += memo__limiter_take(&l, &parts, stripe_of(w), tick(memo__draw_below(memo__draw_next(&w->state), 200) * MEMO__US));
    (void)memo__fetch_add(&spent, mine);
    return NULL;
}

START_TEST(limiter)
{
    struct memo__limit_rule rule = { .name = "all", .count = 1000, .period = S, .burst = 3200 };
    memo__limiter_init(&l, &parts, &rule);
    memo__instant from = clock_now;
    run(spend_tokens);
    uint64_t most = 3200 + (uint64_t)((clock_now - from) / MS);
    ck_assert_uint_le(spent, most);
    ck_assert_uint_ge(spent, most - most / 20);     /* four times the rate was asked for: nobody starved either */
}
END_TEST

static struct memo__bulkhead h LINE_ALIGNED;
static struct memo__concurrency_rule concurrency;

static void go(struct memo__stripe stripe)
{
    (void)memo__fetch_sub(&busy, (int64_t)1); /* before it is really free: so it is never counted too high */
    memo__bulkhead_leave(&h, &parts, stripe, &concurrency);
}

static void *come_and_go(void *arg)
{
    struct worker *w = arg;
    int held = 0;
    for (int i = 0; i < ROUNDS; i++) {
        if (held > 0 && memo__draw_below(memo__draw_next(&w->state), 100) < 48) {
            go(stripe_of(w));
            held--;
        } else if (memo__bulkhead_enter(&h, &parts, stripe_of(w), &concurrency)) {
            int64_t n = memo__fetch_add(&busy, (int64_t)1) + 1, seen = memo__load(&most_busy);
            while (n > seen && !memo__cas(&most_busy, &seen, n))
                ;
            held++;
        }
    }
    for (; held > 0; held--)
        go(stripe_of(w));
    return NULL;
}

START_TEST(bulkhead)
{
    concurrency = (struct memo__concurrency_rule){ .on = true, .max = 100, .exact = _i == 1 };
    memo__bulkhead_init(&h, &parts, &concurrency);
    run(come_and_go);
    ck_assert_int_le(most_busy, 100);
    ck_assert_int_gt(most_busy, 50);
    ck_assert_uint_eq(memo__bulkhead_read(&h, &parts), 0);
    for (int i = 0; i < 100; i++)                   /* every permit came back, and is found from anywhere */
        ck_assert(memo__bulkhead_enter(&h, &parts, alone(3), &concurrency));
    ck_assert(!memo__bulkhead_enter(&h, &parts, alone(3), &concurrency));
}
END_TEST

static struct memo__breaker b LINE_ALIGNED;
static struct memo__breaker_part breaker_part[THREADS] LINE_ALIGNED;
static struct memo__striped breaker_parts;
static struct memo__breaker_rule breaker_rule;
static int64_t probing;

static void *call_through(void *arg)
{
    struct worker *w = arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct memo__permit p;
        memo__instant now = tick(100 * MEMO__US);
        bool bad_times = now / S % 3 == 0;
        if (!memo__breaker_admit(&b, &breaker_rule, now, 3600 * S, &p))
            continue;
        if (p.probe != MEMO__NO_PROBE)
            MUST(memo__fetch_add(&probing, (int64_t)1) + 1 <= 3);
        bool failed = bad_times && memo__draw_below(memo__draw_next(&w->state), 10) < 8;
        if (p.probe != MEMO__NO_PROBE)
            (void)memo__fetch_sub(&probing, (int64_t)1);
        if (memo__draw_below(memo__draw_next(&w->state), 10) == 0) {
            memo__breaker_cancel(&b, p);
            continue;
        }
        enum memo__breaker_turn turn = memo__breaker_report(&b, &breaker_parts, stripe_of(w), &breaker_rule, p, now, failed, false);
        (void)memo__fetch_add(&turns[turn], (int64_t)1);
    }
    return NULL;
}

START_TEST(breaker)
{
    struct memo__breaker_facts f;
    breaker_parts = PARTS(breaker_part);
    breaker_rule = (struct memo__breaker_rule){ .on = true, .window = S, .min_calls = 20, .failed = 500000, .open_for = 100 * MS, .probes = 3 };
    memo__breaker_init(&b, &breaker_parts);
    probing = 0;
    run(call_through);
    memo__breaker_read(&b, &breaker_parts, &breaker_rule, clock_now, &f);
    ck_assert_int_gt(turns[MEMO__BREAKER_OPENED], 0);
    ck_assert_int_gt(turns[MEMO__BREAKER_TURNED_CLOSED], 0);
    ck_assert_int_eq(turns[MEMO__BREAKER_OPENED] - turns[MEMO__BREAKER_TURNED_CLOSED], f.phase != MEMO__BREAKER_CLOSED); /* each turn was seen once */
    uint32_t calls = 0, failed = 0;
    for (uint32_t i = 0; i < THREADS; i++)          /* totals are the sums of their buckets, whoever turned them */
        for (uint32_t k = 0; k < MEMO__BREAKER_BUCKETS; k++) {
            calls += breaker_part[i].buckets[k].calls;
            failed += breaker_part[i].buckets[k].failed;
        }
    for (uint32_t i = 0; i < THREADS; i++) {
        calls -= breaker_part[i].calls;
        failed -= breaker_part[i].failed;
    }
    ck_assert(calls == 0 && failed == 0);
}
END_TEST

static union { struct memo__keyed k; unsigned char room[4096]; } keyed LINE_ALIGNED;

static void *spend_by_key(void *arg)
{
    struct worker *w = arg;
    uint64_t mine = 0;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t draw = memo__draw_next(&w->state);
        mine += memo__keyed_take(&keyed.k, memo__mix64(draw % 10), tick(10 * MEMO__US));
    }
    (void)memo__fetch_add(&spent, mine);
    return NULL;
}

START_TEST(keys)
{
    struct memo__limit_rule rule = { .name = "per-user", .count = 100, .period = S, .burst = 100 };
    ck_assert_uint_le(memo__keyed_size(200), sizeof keyed);
    memo__keyed_init(&keyed.k, 200, &rule);
    memo__instant from = clock_now;
    run(spend_by_key);
    ck_assert_uint_le(spent, 10 * (100 + (uint64_t)((clock_now - from) / (10 * MS))));
    ck_assert_uint_ge(spent, 1000);
    ck_assert_uint_eq(keyed.k.evictions, 0);
}
END_TEST

static struct memo__budget budget LINE_ALIGNED;
static struct memo__budget_part budget_part[THREADS][8] LINE_ALIGNED;
static struct memo__striped budget_parts;

static void *call_and_retry(void *arg)
{
    struct worker *w = arg;
    struct memo__retry_rule rule = { .budget = 100000 };
    uint64_t mine = 0;
    for (int i = 0; i < ROUNDS; i++) {
        memo__budget_deposit(&budget_parts, stripe_of(w), &rule);
        mine += memo__budget_withdraw(&budget, &budget_parts);
    }
    (void)memo__fetch_add(&spent, mine);
    return NULL;
}

START_TEST(retries)
{
    budget_parts = PARTS(budget_part);
    memo__budget_init(&budget, &budget_parts);
    run(call_and_retry);
    ck_assert_uint_le(spent, 10 + THREADS * ROUNDS / 10);
    ck_assert_uint_ge(spent, THREADS * ROUNDS / 10);
}
END_TEST

static struct memo__fleet fleet;
static struct memo__outlier o LINE_ALIGNED;
static struct memo__outlier_rule outlier_rule;
static uint32_t slots[20], weights[20];
static struct memo__candidates view;

/* Picks, failures, ejections and returns, all at once. */
static void *pick_and_report(void *arg)
{
    struct worker *w = arg;
    struct memo__balance_rule rule = { .policy = MEMO__BALANCE_PEAK_EWMA, .panic_below = 500000, .decay = 10 * S };
    uint32_t cursor = 0, back[4];
    for (int i = 0; i < ROUNDS / 4; i++) {
        struct memo__pick p;
        memo__instant now = tick(MS);
        if (memo__outlier_due(&o, now))
            (void)memo__fetch_sub(&busy, (int64_t)memo__outlier_sweep(&o, &fleet, &view, now, back, 4));
        struct memo__pick_request q = { .fleet = &fleet, .from = &view, .rule = &rule, .stripe = stripe_of(w), .stripes_active = 7, .cursor = &cursor, .now = now,
                                        .draw = memo__draw_next(&w->state), .ejected = memo__load(&o.ejected) };
        if (memo__balance_pick(&q, &p) != MEMO_OK)
            continue;
        bool failed = p.slot < 10 && memo__draw_below(memo__draw_next(&w->state), 10) < 8;
        memo__balance_start(&fleet, stripe_of(w), p.slot);
        memo__balance_done(&fleet, stripe_of(w), p.slot, &rule, now, MS, failed, 5 * MS);
        if (memo__outlier_report(&o, memo__fleet_state(&fleet, p.slot), &outlier_rule, 0, 20, now, failed) == MEMO__OUTLIER_EJECTED) {
            (void)memo__fetch_add(&busy, (int64_t)1);
            (void)memo__fetch_add(&spent, UINT64_C(1));
        }
        MUST(memo__load(&o.ejected) <= 6);
    }
    return NULL;
}

START_TEST(fleet_and_outliers)
{
    size_t bytes = (memo__fleet_chunk_size(0, THREADS) + 63) & ~(size_t)63;
    void *chunk = aligned_alloc(64, bytes);
    ck_assert_ptr_nonnull(chunk);
    memset(chunk, 0, bytes);
    memset(&o, 0, sizeof o);
    memo__fleet_init(&fleet, THREADS);
    memo__fleet_chunk_attach(&fleet, 0, chunk);
    for (uint32_t i = 0; i < 20; i++) {
        slots[i] = i;
        weights[i] = 1;
    }
    view = (struct memo__candidates){ .slots = slots, .weights = weights, .count = 20, .weighted = 20 };
    outlier_rule = (struct memo__outlier_rule){ .on = true, .consecutive_failures = 3, .eject_for = 100 * MS, .max_ejected = 300000 };
    run(pick_and_report);
    ck_assert_uint_gt(spent, 6);
    uint32_t ejected = 0;
    for (uint32_t i = 0; i < 20; i++) {
        int32_t inflight = 0;
        for (uint32_t k = 0; k < THREADS; k++)
            inflight += memo__fleet_part(&fleet, k, i)->inflight;
        ck_assert_int_eq(inflight, 0);
        ejected += memo__fleet_state(&fleet, i)->ejected_until != 0;
    }
    ck_assert_uint_eq(ejected, o.ejected);
    free(chunk);
}
END_TEST

Suite *suite_policy_threads(void)
{
    Suite *s = suite_create("policy/threads");
    TCase *t = tcase_create("threads");
    tcase_add_checked_fixture(t, begin, NULL);
    tcase_add_test(t, limiter);
    tcase_add_loop_test(t, bulkhead, 0, 2);
    tcase_add_test(t, breaker);
    tcase_add_test(t, keys);
    tcase_add_test(t, retries);
    tcase_add_test(t, fleet_and_outliers);
    suite_add_tcase(s, t);
    return s;
}
