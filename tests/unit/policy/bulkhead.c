/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead.c: never above max, nobody refused while a permit is free anywhere, nothing lost when the rules change. */
#include "policy/bulkhead.h"
#include "story.h"

static struct memo__bulkhead b LINE_ALIGNED;
static struct memo__lease_part part[6] LINE_ALIGNED;
static struct memo__striped parts;
static struct memo__concurrency_rule rule;

static void begin_with(uint32_t max, bool exact)
{
    parts = PARTS(part);
    rule = (struct memo__concurrency_rule){ .on = true, .exact = exact, .max = max };
    memset(&b, 0xff, sizeof b);
    memset(part, 0xff, sizeof part);
    memo__bulkhead_init(&b, &parts, &rule);
}

static void begin(void) { begin_with(64, false); }

static bool enter(uint32_t stripe)
{
    bool would = memo__bulkhead_check(&b, &parts, alone(stripe), &rule);
    bool did = memo__bulkhead_enter(&b, &parts, alone(stripe), &rule);
    MUST(would == did);
    return did;
}

static void leave(uint32_t stripe) { memo__bulkhead_leave(&b, &parts, alone(stripe), &rule); }

static uint32_t enter_all(uint32_t stripe)
{
    uint32_t n = 0;
    while (enter(stripe))
        n++;
    return n;
}

START_TEST(up_to_max)
{
    ck_assert_uint_eq(enter_all(0), 64);
    ck_assert_uint_eq(memo__bulkhead_read(&b, &parts), 64);
    leave(3);                                       /* on another stripe than it entered */
    ck_assert_uint_eq(memo__bulkhead_read(&b, &parts), 63);
    ck_assert(enter(1));                            /* stolen from there */
    ck_assert(!enter(3));
}
END_TEST

START_TEST(steady_state_is_private)
{
    ck_assert(enter(0));
    int64_t centre = b.free;
    for (int i = 0; i < 100; i++) {
        leave(0);
        ck_assert(enter(0));
    }
    ck_assert_int_eq(b.free, centre);
    ck_assert_uint_eq(memo__bulkhead_read(&b, &parts), 1);
}
END_TEST

START_TEST(exact)
{
    begin_with(10, true);
    ck_assert(enter(0));
    ck_assert_int_eq(b.free, 9);
    ck_assert_uint_eq(enter_all(1), 9);
    leave(0);
    ck_assert_int_eq(b.free, 1);
    ck_assert_uint_eq(memo__bulkhead_read(&b, &parts), 9);
}
END_TEST

START_TEST(a_batch_that_is_not_whole)
{
    begin_with(65, false);                          /* batches of 2 */
    ck_assert_uint_eq(enter_all(2), 65);
}
END_TEST

START_TEST(smaller_and_larger)
{
    ck_assert_uint_eq(enter_all(0), 64);
    rule.max = 10;
    memo__bulkhead_change(&b, &parts, &rule);
    ck_assert_int_eq(b.free, -54);
    ck_assert_uint_eq(memo__bulkhead_read(&b, &parts), 64);
    for (uint32_t i = 0; i < 54; i++) {
        leave(i % 6);
        ck_assert(!enter(0));
    }
    leave(0);
    ck_assert_uint_eq(memo__bulkhead_read(&b, &parts), 9);
    ck_assert_uint_eq(enter_all(1), 1);
    rule.max = 20;
    memo__bulkhead_change(&b, &parts, &rule);
    ck_assert_uint_eq(enter_all(1), 10);
    ck_assert_uint_eq(memo__bulkhead_read(&b, &parts), 20);
}
END_TEST

/* A permit that came back under the old rules, while `exact` was being switched on. */
START_TEST(left_behind_by_a_switch)
{
    begin_with(2, false);
    ck_assert_uint_eq(enter_all(0), 2);
    rule.exact = true;
    memo__bulkhead_change(&b, &parts, &rule);
    rule.exact = false;
    leave(4);
    rule.exact = true;
    ck_assert(enter(0));
    ck_assert(!enter(0));
}
END_TEST

/* What is read while permits move may be a bit off, but never absurd. */
START_TEST(never_negative)
{
    part[0].coming = 5;
    ck_assert_uint_eq(memo__bulkhead_read(&b, &parts), 0);
}
END_TEST

START_TEST(any_order)
{
    uint64_t state = (uint64_t)_i;
    uint32_t busy = 0, max = 1 + memo__draw_below(memo__draw_next(&state), 200);
    begin_with(max, memo__draw_below(memo__draw_next(&state), 4) == 0);
    for (int i = 0; i < 20000; i++) {
        uint32_t stripe = memo__draw_below(memo__draw_next(&state), 6);
        if (memo__draw_below(memo__draw_next(&state), 100) < 45 && busy > 0) {
            leave(stripe);
            busy--;
        } else {
            bool in = enter(stripe);
            MUST(in == (busy < max));
            busy += in;
        }
        MUST(memo__bulkhead_read(&b, &parts) == busy);
    }
}
END_TEST

Suite *suite_policy_bulkhead(void)
{
    Suite *s = suite_create("policy/bulkhead");
    TCase *t = tcase_create("bulkhead");
    tcase_add_checked_fixture(t, begin, NULL);
    tcase_add_test(t, up_to_max);
    tcase_add_test(t, steady_state_is_private);
    tcase_add_test(t, exact);
    tcase_add_test(t, a_batch_that_is_not_whole);
    tcase_add_test(t, smaller_and_larger);
    tcase_add_test(t, left_behind_by_a_switch);
    tcase_add_test(t, never_negative);
    tcase_add_loop_test(t, any_order, 0, 20);
    suite_add_tcase(s, t);
    return s;
}
