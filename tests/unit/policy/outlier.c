/* SPDX-License-Identifier: Apache-2.0 */
/* outlier.c: failures in a row, how many may be ejected, and the return. */
#include "policy/outlier.h"
#include "story.h"

static struct memo__fleet f;
static struct memo__outlier o LINE_ALIGNED;
static void *chunk;
static uint32_t slots[64], weights[64];
static struct memo__candidates view;
static struct memo__outlier_rule rule;

static void begin(void)
{
    memo__fleet_init(&f, 1);
    size_t bytes = (memo__fleet_chunk_size(0, 1) + 63) & ~(size_t)63;
    chunk = aligned_alloc(64, bytes);
    ck_assert_ptr_nonnull(chunk);
    memset(chunk, 0, bytes);
    memset(&o, 0, sizeof o);
    memo__fleet_chunk_attach(&f, 0, chunk);
    for (uint32_t i = 0; i < 64; i++) {
        slots[i] = i;
        weights[i] = 1;
    }
    view = (struct memo__candidates){ .slots = slots, .weights = weights, .count = 10 };
    rule = (struct memo__outlier_rule){ .on = true, .consecutive_failures = 3, .eject_for = 30 * S, .max_ejected = 340000 };
}

static void end(void) { free(chunk); }

static enum memo__outlier_turn report(uint32_t slot, memo__instant now, bool failed)
{
    return memo__outlier_report(&o, memo__fleet_state(&f, slot), &rule, 0, view.count, now, failed);
}

static enum memo__outlier_turn fail3(uint32_t slot, memo__instant now)
{
    ck_assert_int_eq(report(slot, now, true), MEMO__OUTLIER_NOTHING);
    ck_assert_int_eq(report(slot, now, true), MEMO__OUTLIER_NOTHING);
    return report(slot, now, true);
}

static uint32_t sweep(memo__instant now, uint32_t *returned, uint32_t max) { return memo__outlier_sweep(&o, &f, &view, now, returned, max); }

START_TEST(in_a_row)
{
    struct memo__endpoint_state *s = memo__fleet_state(&f, 4);
    report(4, 0, true);
    report(4, 0, true);
    ck_assert_int_eq(report(4, 0, false), MEMO__OUTLIER_NOTHING); /* one success, and it begins again */
    ck_assert_uint_eq(s->failures, 0);
    ck_assert_int_eq(fail3(4, 7 * S), MEMO__OUTLIER_EJECTED);
    ck_assert(s->ejected_at == 7 * S && s->ejected_until == 37 * S && s->ejected_failures == 3 && s->ejections == 1 && s->failures == 0);
    ck_assert(o.ejected == 1 && memo__outlier_ejected(s, 37 * S - 1) && !memo__outlier_ejected(s, 37 * S));
    ck_assert_int_eq(fail3(4, 8 * S), MEMO__OUTLIER_NOTHING);     /* calls that were under way, or panic */
    ck_assert_int_eq(s->ejected_until, 37 * S);
}
END_TEST

START_TEST(returns)
{
    uint32_t back[4];
    fail3(4, 0);
    fail3(5, 10 * S);
    ck_assert(memo__outlier_due(&o, 0));                          /* look once, to learn when */
    ck_assert_uint_eq(sweep(10 * S, back, 4), 0);
    ck_assert(!memo__outlier_due(&o, 30 * S - 1));
    ck_assert(memo__outlier_due(&o, 30 * S));
    ck_assert_uint_eq(sweep(30 * S, back, 4), 1);
    ck_assert(back[0] == 4 && o.ejected == 1 && memo__fleet_state(&f, 4)->ejected_until == 0);
    ck_assert(!memo__outlier_due(&o, 39 * S));
    ck_assert_uint_eq(sweep(40 * S, back, 4), 1);
    ck_assert(back[0] == 5 && o.ejected == 0 && !memo__outlier_due(&o, MEMO__NEVER));
    ck_assert_int_eq(fail3(4, 50 * S), MEMO__OUTLIER_EJECTED);
    ck_assert_uint_eq(memo__fleet_state(&f, 4)->ejections, 2);
    ck_assert(!memo__outlier_due(&o, 80 * S - 1));                /* the sweep before left nothing behind: known at once */
    ck_assert(memo__outlier_due(&o, 80 * S));
}
END_TEST

START_TEST(more_at_once_than_asked_for)
{
    uint32_t back[2];
    for (uint32_t i = 0; i < 3; i++)
        fail3(i, 0);
    ck_assert_uint_eq(sweep(30 * S, back, 2), 2);
    ck_assert(memo__outlier_due(&o, 30 * S));
    ck_assert_uint_eq(sweep(30 * S, back, 2), 1);
    ck_assert_uint_eq(back[0], 2);
}
END_TEST

/* Who is not pickable any more is found, too. */
START_TEST(every_slot_of_the_fleet)
{
    const struct memo__candidates every = { .count = 10 };
    uint32_t back[2];
    fail3(7, 0);
    view.count = 5;
    ck_assert_uint_eq(sweep(30 * S, back, 2), 0);
    ck_assert_uint_eq(memo__outlier_sweep(&o, &f, &every, 30 * S, back, 2), 1);
    ck_assert_uint_eq(back[0], 7);
    ck_assert_uint_eq(o.ejected, 0);
}
END_TEST

START_TEST(at_most_its_share)
{
    for (uint32_t i = 0; i < 3; i++)
        ck_assert_int_eq(fail3(i, 0), MEMO__OUTLIER_EJECTED);     /* 34 % of 10 */
    ck_assert_int_eq(fail3(3, 0), MEMO__OUTLIER_WOULD_EJECT);
    ck_assert_int_eq(report(3, 0, true), MEMO__OUTLIER_NOTHING);  /* said once */
    ck_assert_uint_eq(o.ejected, 3);
    uint32_t back[4];
    ck_assert_uint_eq(sweep(30 * S, back, 4), 3);
    ck_assert_int_eq(report(3, 30 * S, true), MEMO__OUTLIER_EJECTED); /* there is room now, and it still fails */
}
END_TEST

START_TEST(small_views)
{
    view.count = 1;
    ck_assert_int_eq(fail3(0, 0), MEMO__OUTLIER_WOULD_EJECT);     /* never the last one */
    view.count = 2;
    ck_assert_int_eq(report(0, 0, true), MEMO__OUTLIER_EJECTED);  /* one of two always */
    ck_assert_int_eq(fail3(1, 0), MEMO__OUTLIER_WOULD_EJECT);
}
END_TEST

/* Its time is over, nobody swept yet, and it goes on failing: ejected again, counted once. */
START_TEST(ejected_again_before_a_sweep)
{
    fail3(4, 0);
    ck_assert_int_eq(fail3(4, 31 * S), MEMO__OUTLIER_EJECTED);
    ck_assert_uint_eq(o.ejected, 1);
    ck_assert_int_eq(memo__fleet_state(&f, 4)->ejected_until, 61 * S);
}
END_TEST

START_TEST(observe_and_off)
{
    rule.mode = MEMO__OBSERVE;
    ck_assert_int_eq(fail3(4, 0), MEMO__OUTLIER_WOULD_EJECT);
    ck_assert_uint_eq(o.ejected, 0);
    rule.mode = MEMO__ENFORCE;
    rule.on = false;
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(report(6, 0, true), MEMO__OUTLIER_NOTHING);
    ck_assert_uint_eq(memo__fleet_state(&f, 6)->failures, 0);
}
END_TEST

START_TEST(late_reports_and_leaving)
{
    struct memo__endpoint_state *s = memo__fleet_state(&f, 4);
    fail3(4, 0);
    memo__outlier_forget(&o, s);
    ck_assert(o.ejected == 0 && s->ejected_until == 0);
    memo__outlier_forget(&o, s);
    ck_assert_uint_eq(o.ejected, 0);
    ck_assert_uint_eq(memo__fleet_renew(&f, 4), 1);
    ck_assert_int_eq(report(4, 0, true), MEMO__OUTLIER_NOTHING);  /* about the one before */
    ck_assert_uint_eq(s->failures, 0);
}
END_TEST

Suite *suite_policy_outlier(void)
{
    Suite *s = suite_create("policy/outlier");
    TCase *t = tcase_create("outlier");
    tcase_add_checked_fixture(t, begin, end);
    tcase_add_test(t, in_a_row);
    tcase_add_test(t, returns);
    tcase_add_test(t, more_at_once_than_asked_for);
    tcase_add_test(t, every_slot_of_the_fleet);
    tcase_add_test(t, at_most_its_share);
    tcase_add_test(t, small_views);
    tcase_add_test(t, ejected_again_before_a_sweep);
    tcase_add_test(t, observe_and_off);
    tcase_add_test(t, late_reports_and_leaving);
    suite_add_tcase(s, t);
    return s;
}
