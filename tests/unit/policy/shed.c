/* SPDX-License-Identifier: Apache-2.0 */
/* shed.c: the limit on a timeline of windows: it falls with latency, grows while it is used, and finds out anew what latency is without a queue. */
#include "policy/shed.h"
#include "story.h"

#define STRIPES 3
#define ORIGIN (1000 * S)

static struct memo__shed s LINE_ALIGNED;
static unsigned char block[STRIPES * MEMO__SHED_PART] LINE_ALIGNED;
static struct memo__striped parts = { block, MEMO__SHED_PART, STRIPES };
static struct memo__shed_rule rule;
static memo__instant now;

static void begin_with(uint32_t min, uint32_t max)
{
    rule = (struct memo__shed_rule){ .on = true, .min = min, .max = max, .slowdown = 2000, .window = 200 * MS, .probe_every = 30 * S };
    now = ORIGIN;
    memset(&s, 0xff, sizeof s);
    memset(block, 0xff, sizeof block);
    memo__shed_init(&s, &parts, &rule);
    ck_assert(!memo__shed_look(&s, &parts, &rule, now)); /* the first one begins the first window */
}

/* n requests end within one window, evenly over the stripes, and took so long. */
static void window(uint32_t n, int64_t latency)
{
    for (uint32_t i = 0; i + 1 < n; i++)
        memo__shed_learn(&s, &parts, alone(i % STRIPES), &rule, now, latency);
    now += rule.window;
    memo__shed_learn(&s, &parts, alone(0), &rule, now, latency);
}

static uint64_t limit(void)
{
    struct memo__shed_facts f;
    memo__shed_read(&s, &parts, &f);
    return f.limit;
}

static bool probing(void)
{
    struct memo__shed_facts f;
    memo__shed_read(&s, &parts, &f);
    return f.probing;
}

/* So many requests a window that the average under way is `share` percent of the limit at this latency. */
static void loaded(int64_t latency, uint64_t share)
{
    window((uint32_t)(limit() * share / 100 * (uint64_t)rule.window / (uint64_t)latency + 1), latency);
}

START_TEST(begins_at_max_and_stays_while_fast)
{
    begin_with(8, 1000);
    ck_assert_uint_eq(limit(), 1000);
    for (int i = 0; i < 100; i++)
        window(50, 10 * MS);
    ck_assert_uint_eq(limit(), 1000);
    ck_assert_int_eq(s.best, 10 * MS);
}
END_TEST

START_TEST(falls_when_slow)
{
    begin_with(8, 1000);
    window(50, 10 * MS);
    window(50, 20 * MS);                       /* twice the best is normal */
    ck_assert_uint_eq(limit(), 1000);
    window(50, 40 * MS);                       /* gradient 0.5: a fifth of the way to 1000 * 0.5 + 31.6 */
    ck_assert_uint_eq(limit(), 906);
    window(50, 1000 * MS);                     /* never more than halved: again a fifth of the way */
    ck_assert_uint_eq(limit(), 821);
    for (int i = 0; i < 100; i++)
        window(50, 100 * MS);
    ck_assert_uint_eq(limit(), 8);             /* the least */
}
END_TEST

START_TEST(grows_only_while_used)
{
    begin_with(8, 1000);
    window(50, 10 * MS);
    for (int i = 0; i < 30; i++)
        window(50, 100 * MS);
    uint64_t low = limit();
    ck_assert_uint_lt(low, 100);
    window(20, 10 * MS);                       /* one is under way on the average */
    ck_assert_uint_eq(limit(), low);
    loaded(10 * MS, 60);
    ck_assert_uint_gt(limit(), low);
    low = limit();
    loaded(10 * MS, 40);
    ck_assert_uint_eq(limit(), low);
    memo__stripe_add64(alone(1), &memo__shed_stats_at(&parts, 1)->refused, 1);
    loaded(10 * MS, 40);                       /* somebody was refused: that is use, too */
    ck_assert_uint_gt(limit(), low);
    for (int i = 0; i < 400; i++) {
        loaded(10 * MS, 100);
        if (probing())
            i += 2;
    }
    ck_assert_uint_eq(limit(), 1000);          /* and never above the most */
}
END_TEST

START_TEST(too_few_say_nothing)
{
    begin_with(8, 1000);
    window(50, 10 * MS);
    for (int i = 0; i < 4; i++)
        window(2, 100 * MS);                   /* 2, 4, 6, 8: the window goes on */
    ck_assert_uint_eq(limit(), 1000);
    window(2, 100 * MS);                       /* the tenth */
    ck_assert_uint_eq(limit(), 906);
}
END_TEST

/* Ten at once, 10 ms each; those beyond wait: latency is what is under way over ten, times 10 ms. The limit settles where a small queue stands. */
START_TEST(settles_near_what_the_server_can)
{
    begin_with(4, 500);
    window(20, 10 * MS);
    uint64_t most = 0, least = UINT64_MAX;
    for (int i = 0; i < 600; i++) {
        uint64_t under_way = limit();          /* there is always somebody more */
        int64_t latency = under_way > 10 ? (int64_t)under_way * MS : 10 * MS;
        memo__stripe_add64(alone(1), &memo__shed_stats_at(&parts, 1)->refused, 5);
        window(200, latency);                  /* 200 ms of ten at once, 10 ms each */
        if (i > 100 && !probing()) {
            most = limit() > most ? limit() : most;
            least = limit() < least ? limit() : least;
        }
    }
    ck_assert_uint_ge(least, 20);              /* what is twice as slow as the best, and the root of it */
    ck_assert_uint_le(most, 30);
    ck_assert_int_le(s.best, 10 * MS);         /* the probes have kept it honest */
}
END_TEST

START_TEST(probes_under_load)
{
    begin_with(8, 100);
    window(50, 10 * MS);
    memo__instant from = now;
    while (!probing()) {
        loaded(15 * MS, 100);
        MUST(now - from <= 31 * S);
    }
    ck_assert_int_ge(now - from, 30 * S);
    ck_assert_uint_eq(limit(), 49);            /* 3/4 of 100 * 10 / 15 */
    loaded(15 * MS, 100);                      /* what was queued comes out: not measured */
    ck_assert(probing());
    ck_assert_int_eq(s.best, 10 * MS);
    loaded(12 * MS, 100);                      /* without a queue it is 12 now */
    ck_assert(!probing());
    ck_assert_int_eq(s.best, 12 * MS);
    ck_assert_uint_eq(limit(), 100);           /* as it was before */
}
END_TEST

START_TEST(probes_find_a_faster_one)
{
    begin_with(8, 100);
    window(50, 10 * MS);
    while (now + rule.window < s.believed)
        loaded(10 * MS, 100);
    ck_assert(!probing());
    loaded(8 * MS, 100);                       /* better than ever, and loaded: both count */
    ck_assert(probing());
    ck_assert_int_eq(s.best, 8 * MS);
    ck_assert_uint_eq(limit(), 75);
}
END_TEST

START_TEST(rest_needs_no_probe)
{
    begin_with(8, 100);
    window(50, 10 * MS);
    now += 40 * S;
    window(10, 18 * MS);                       /* another kind of work, and nobody waits */
    ck_assert(!probing());
    ck_assert_int_eq(s.best, 18 * MS);
    window(50, 9 * MS);
    ck_assert_int_eq(s.best, 9 * MS);
}
END_TEST

START_TEST(no_time_at_all)
{
    begin_with(8, 100);
    window(50, 0);
    ck_assert_int_eq(s.best, 1);
    window(50, 0);
    ck_assert_uint_eq(limit(), 100);
}
END_TEST

START_TEST(permits)
{
    struct memo__shed_facts f;
    begin_with(2, 4);
    for (uint32_t i = 0; i < 4; i++)
        ck_assert(memo__shed_enter(&s, &parts, alone(i % STRIPES), &rule));
    ck_assert(!memo__shed_enter(&s, &parts, alone(0), &rule));
    memo__shed_read(&s, &parts, &f);
    ck_assert_uint_eq(f.under_way, 4);
    ck_assert_uint_eq(memo__shed_stats_at(&parts, 0)->refused, 1);
    memo__shed_leave(&s, &parts, alone(2));
    ck_assert(memo__shed_enter(&s, &parts, alone(2), &rule)); /* the own one, private */
    memo__shed_leave(&s, &parts, alone(2));
    ck_assert(memo__shed_enter(&s, &parts, shared(1), &rule));
    for (uint32_t i = 0; i < 4; i++)
        memo__shed_leave(&s, &parts, alone(i % STRIPES));
    memo__shed_read(&s, &parts, &f);
    ck_assert_uint_eq(f.under_way, 0);
}
END_TEST

/* The limit falls below what is under way: nobody enters until so many have left; then it grows again, and no permit was lost. */
START_TEST(falls_below_what_is_under_way)
{
    struct memo__shed_facts f;
    begin_with(2, 64);
    for (uint32_t i = 0; i < 64; i++)
        ck_assert(memo__shed_enter(&s, &parts, alone(0), &rule));
    memo__shed_leave(&s, &parts, alone(1));    /* held by a stripe when the limit falls */
    window(50, 10 * MS);
    while (limit() > 32)
        window(50, 100 * MS);
    ck_assert(!memo__shed_enter(&s, &parts, alone(1), &rule));
    for (uint32_t i = 0; i < 63; i++) {
        memo__shed_read(&s, &parts, &f);
        ck_assert_uint_eq(f.under_way, 63 - i);
        memo__shed_leave(&s, &parts, alone(i % STRIPES));
    }
    uint32_t n = 0;
    while (memo__shed_enter(&s, &parts, alone(n % STRIPES), &rule))
        n++;
    ck_assert_uint_eq(n, limit());
}
END_TEST

/* A window's end is one caller's; a clock that goes back ends none; who looks keeps others out. */
START_TEST(one_looks)
{
    begin_with(8, 100);
    for (int i = 0; i < 20; i++)
        memo__shed_learn(&s, &parts, alone(0), &rule, now - 5 * S, MS);
    ck_assert(!memo__shed_look(&s, &parts, &rule, now - 5 * S));
    s.until = MEMO__NEVER;
    ck_assert(!memo__shed_look(&s, &parts, &rule, now + 5 * S));
    s.until = now + rule.window;
    ck_assert(memo__shed_look(&s, &parts, &rule, now + rule.window));
    ck_assert(!memo__shed_look(&s, &parts, &rule, now + rule.window));
}
END_TEST

/* Other rules hold from the next window on. */
START_TEST(other_bounds)
{
    begin_with(8, 100);
    window(50, 10 * MS);
    rule.max = 20;
    window(50, 10 * MS);
    ck_assert_uint_eq(limit(), 20);
    rule.max = 200;
    rule.min = 50;
    window(50, 10 * MS);
    ck_assert_uint_eq(limit(), 50);
}
END_TEST

Suite *suite_policy_shed(void);
Suite *suite_policy_shed(void)
{
    Suite *suite = suite_create("policy/shed");
    TCase *c = tcase_create("shed");
    tcase_add_test(c, begins_at_max_and_stays_while_fast);
    tcase_add_test(c, falls_when_slow);
    tcase_add_test(c, grows_only_while_used);
    tcase_add_test(c, too_few_say_nothing);
    tcase_add_test(c, settles_near_what_the_server_can);
    tcase_add_test(c, probes_under_load);
    tcase_add_test(c, probes_find_a_faster_one);
    tcase_add_test(c, rest_needs_no_probe);
    tcase_add_test(c, no_time_at_all);
    tcase_add_test(c, permits);
    tcase_add_test(c, falls_below_what_is_under_way);
    tcase_add_test(c, one_looks);
    tcase_add_test(c, other_bounds);
    suite_add_tcase(suite, c);
    return suite;
}
