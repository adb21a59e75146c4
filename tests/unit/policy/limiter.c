/* SPDX-License-Identifier: Apache-2.0 */
/* limiter.c: the bucket on a timeline, leases, stealing, and the promise: never above burst + rate * t in any window, and nobody refused while a
 * token is anywhere. */
#include "policy/limiter.h"
#include "story.h"

static struct memo__limiter l LINE_ALIGNED;
static struct memo__lease_part part[8] LINE_ALIGNED;
static struct memo__striped parts;
static struct memo__limit_rule rule;

static void begin_with(uint64_t count, int64_t period, uint64_t burst)
{
    parts = PARTS(part);
    rule = (struct memo__limit_rule){ .name = "all", .count = count, .period = period, .burst = burst, .by_header = MEMO__NO_INDEX };
    memset(&l, 0xff, sizeof l);
    memset(part, 0xff, sizeof part);
    memo__limiter_init(&l, &parts, &rule);
}

static void begin(void) { begin_with(500, S, 50); }

static bool take(uint32_t stripe, memo__instant now)
{
    bool would = memo__limiter_check(&l, &parts, alone(stripe), now);
    bool did = memo__limiter_take(&l, &parts, alone(stripe), now);
    MUST(would == did);
    return did;
}

static uint32_t take_all(uint32_t stripe, memo__instant now)
{
    uint32_t n = 0;
    while (take(stripe, now))
        n++;
    return n;
}

START_TEST(exact_bucket)
{
    struct memo__limiter_facts f;
    ck_assert_uint_eq(l.batch, 1);
    ck_assert_uint_eq(take_all(0, 0), 50);
    memo__limiter_read(&l, &parts, 0, &f);
    ck_assert(f.tokens == 0 && f.burst == 50 && f.retry_after == 2 * MS);
    ck_assert(!take(1, 2 * MS - 1));
    ck_assert(take(1, 2 * MS));
    ck_assert(!take(0, 2 * MS));
    ck_assert_uint_eq(take_all(0, 1 * S), 50);     /* not 499: never more than burst */
    ck_assert_uint_eq(take_all(0, 1 * S + 20 * MS), 10);
    memo__limiter_read(&l, &parts, 3 * S, &f);
    ck_assert(f.tokens == 50 && f.retry_after == 0);
}
END_TEST

START_TEST(given_back)
{
    ck_assert_uint_eq(take_all(0, 0), 50);
    memo__limiter_give(&l, &parts, alone(0));
    ck_assert_uint_eq(take_all(0, 0), 1);
    begin_with(1000, S, 640);
    ck_assert_uint_eq(take_all(0, 0), 640);
    memo__limiter_give(&l, &parts, alone(2));
    ck_assert_uint_eq(part[2].held, 1);
    ck_assert_uint_eq(take_all(0, 0), 1);          /* whoever gave it back */
    for (int i = 0; i < 30; i++)
        memo__limiter_give(&l, &parts, alone(1));
    ck_assert_uint_eq(part[1].held, l.batch);      /* no stripe holds more than a batch; the rest goes to the centre */
    ck_assert_uint_eq(take_all(0, 0), 30);
}
END_TEST

START_TEST(leases)
{
    struct memo__limiter_facts f;
    begin_with(1000, S, 640);
    ck_assert_uint_eq(l.batch, 20);
    ck_assert(take(0, 0));
    ck_assert_uint_eq(part[0].held, 19);
    int64_t centre = l.empty;
    for (int i = 0; i < 19; i++)
        ck_assert(take(0, 0));
    ck_assert_int_eq(l.empty, centre);             /* nothing shared was written */
    ck_assert(take(1, 0));
    ck_assert(l.empty != centre);
    memo__limiter_read(&l, &parts, 0, &f);
    ck_assert_uint_eq(f.tokens, 640 - 21);
    ck_assert_uint_eq(take_all(2, 0), 640 - 21);   /* with what stripe 1 held */
    ck_assert_uint_eq(part[1].held, 0);
    memo__limiter_read(&l, &parts, 0, &f);
    ck_assert(f.tokens == 0 && f.retry_after == 1 * MS);
}
END_TEST

/* A dry centre gives what it has, not a batch. */
START_TEST(part_of_a_batch)
{
    begin_with(1000, S, 640);
    take_all(0, 0);
    ck_assert_uint_eq(take_all(0, 5 * MS), 5);
}
END_TEST

/* The trap: leases that lie idle while the centre fills up, and are all used at once. */
START_TEST(idle_leases_count)
{
    uint32_t n = 0;
    begin_with(1000, S, 640);
    for (uint32_t i = 0; i < 8; i++)
        n += take(i, 0);
    for (uint32_t i = 0; i < 8; i++)
        while (part[i].held)
            n += take(i, 10 * S);
    n += take_all(0, 10 * S);
    ck_assert_uint_le(n - 8, 640);
    ck_assert_uint_ge(n - 8, 640 - 160);           /* what the stripes might have used unseen is held back for a while */
    ck_assert_uint_eq(take_all(0, 20 * S), 640);   /* and is there again after a pause */
}
END_TEST

START_TEST(shapes)
{
    struct memo__limit_rule other = rule;
    ck_assert(memo__limiter_same(&l, &rule));
    other.burst = 51;
    ck_assert(!memo__limiter_same(&l, &other));
    other = rule;
    other.count = 501;
    ck_assert(!memo__limiter_same(&l, &other));
    begin_with(UINT64_MAX, 1, UINT64_C(0xffffffff));   /* more than 16 in a nanosecond cannot be told */
    ck_assert_int_eq(l.interval, 1);
    begin_with(1, 24 * 3600 * S, UINT64_C(0xffffffff)); /* a burst of 12 million years */
    ck_assert_uint_lt(l.burst, 1000000);
    ck_assert_int_gt(l.capacity, 0);
    ck_assert(take(0, 0));
    begin_with(3, S, 1);                            /* rounded so that it is never more */
    ck_assert(take(0, 0));
    ck_assert(!take(0, S / 3));
    ck_assert(take(0, S / 3 + 1));
}
END_TEST

/* Any order of takes and gives over stripes and time. `log` has the time of each token spent; a token bucket of our own, exact, admits them all. */
static int64_t model_empty; /* 1/16 ns */

static void model_begin(void) { model_empty = INT64_MIN / 4; }

static void model_spend(memo__instant now)
{
    int64_t at = now * 16, oldest = at - (int64_t)rule.burst * l.interval;
    model_empty = (model_empty > oldest ? model_empty : oldest) + l.interval;
    MUST(model_empty <= at); /* not above burst + rate * t */
}

START_TEST(never_above_in_any_window)
{
    uint64_t state = (uint64_t)_i * 7919, spent = 0;
    memo__instant now = 1;
    begin_with(1 + memo__draw_below(memo__draw_next(&state), 5000), S, 1 + memo__draw_below(memo__draw_next(&state), 2000));
    model_begin();
    for (int i = 0; i < 20000; i++) {
        uint32_t what = memo__draw_below(memo__draw_next(&state), 1000);
        now += what < 2 ? memo__draw_below(memo__draw_next(&state), 2000) * MS : what < 500 ? 0 : memo__draw_below(memo__draw_next(&state), 3000) * MEMO__US;
        uint32_t stripe = memo__draw_below(memo__draw_next(&state), 8);
        uint32_t n = what % 10 == 0 ? 60 : 1;
        for (; n > 0; n--) {
            if (!take(stripe, now))
                continue;
            if (what % 7 == 0) {                    /* a call that was refused elsewhere */
                memo__limiter_give(&l, &parts, alone(stripe));
                continue;
            }
            model_spend(now);
            spent++;
        }
    }
    ck_assert_uint_gt(spent, 0);
}
END_TEST

/* With all traffic it could want, it admits the rate, whichever stripes ask. */
START_TEST(not_below)
{
    uint64_t state = 5, n = 0;
    begin_with(1000, S, 640);
    for (memo__instant now = 0; now <= 10 * S; now += MS / 4)
        n += take(memo__draw_below(memo__draw_next(&state), 8), now);
    ck_assert_uint_ge(n, 640 + 10000 - 40);        /* while the bucket is nearly full, what flows in beside the leases is partly lost */
    ck_assert_uint_le(n, 640 + 10000);
}
END_TEST

/* A stripe of several threads: one fills the lease, the others take single tokens past it. */
START_TEST(shared_stripe)
{
    begin_with(1000, S, 640);
    part[3].coming = 20;                            /* another thread is filling it */
    ck_assert(memo__limiter_take(&l, &parts, shared(3), 0));
    ck_assert_uint_eq(part[3].held, 0);
    part[3].coming = 0;
    ck_assert(memo__limiter_take(&l, &parts, shared(3), 0));
    ck_assert_uint_eq(part[3].held, 19);
}
END_TEST

Suite *suite_policy_limiter(void)
{
    Suite *s = suite_create("policy/limiter");
    TCase *t = tcase_create("limiter");
    tcase_add_checked_fixture(t, begin, NULL);
    tcase_add_test(t, exact_bucket);
    tcase_add_test(t, given_back);
    tcase_add_test(t, leases);
    tcase_add_test(t, part_of_a_batch);
    tcase_add_test(t, idle_leases_count);
    tcase_add_test(t, shapes);
    tcase_add_loop_test(t, never_above_in_any_window, 0, 30);
    tcase_add_test(t, not_below);
    tcase_add_test(t, shared_stripe);
    suite_add_tcase(s, t);
    return s;
}
