/* SPDX-License-Identifier: Apache-2.0 */
/* balance.c: who is picked, who is skipped, and what an endpoint costs. */
#include "policy/balance.h"
#include "policy/outlier.h"
#include "story.h"

static struct memo__fleet f;
static void *chunk[7], *breakers;
static uint32_t slots[5000], weights[5000], cursor;
static struct memo__candidates from;
static struct memo__balance_rule rule;
static struct memo__breaker_rule breaker_rule;
static struct memo__pick_request q;
static struct memo__pick p;

static void *zeroed(size_t bytes)
{
    bytes = (bytes + 63) & ~(size_t)63;
    void *m = aligned_alloc(64, bytes);
    ck_assert_ptr_nonnull(m);
    memset(m, 0, bytes);
    return m;
}

static void begin(void)
{
    memo__fleet_init(&f, 4);
    for (uint32_t k = 0; k < 7; k++)
        memo__fleet_chunk_attach(&f, k, chunk[k] = zeroed(memo__fleet_chunk_size(k, 4)));
    breakers = zeroed(memo__fleet_breakers_size(0, 4));
    for (uint32_t i = 0; i < COUNT(slots); i++) {
        slots[i] = i;
        weights[i] = 100;
    }
    cursor = 0;
    from = (struct memo__candidates){ slots, weights, 5, 0 };
    rule = (struct memo__balance_rule){ MEMO__BALANCE_PEAK_EWMA, 500000, 10 * S };
    breaker_rule = (struct memo__breaker_rule){ .on = true, .window = 10 * S, .min_calls = 1, .failed = 500000, .open_for = 5 * S, .probes = 1 };
    q = (struct memo__pick_request){ .fleet = &f, .from = &from, .rule = &rule, .stripe = alone(0), .stripes_active = 1, .cursor = &cursor, .now = 1000 * S };
}

static void end(void)
{
    for (uint32_t k = 0; k < 7; k++)
        free(chunk[k]);
    free(breakers);
}

static int32_t pick(uint64_t draw)
{
    q.draw = draw;
    return memo__balance_pick(&q, &p);
}

/* A draw that makes P2C look at candidates i and j of n first. */
static uint64_t draw_of(uint32_t i, uint32_t j, uint32_t n)
{
    uint32_t second = j > i ? j - 1 : j;
    uint64_t high = ((uint64_t)i << 32) / n + 1, low = ((uint64_t)second << 32) / (n - 1) + 1;
    return high << 32 | low;
}

static void eject(uint32_t slot)
{
    memo__fleet_state(&f, slot)->ejected_until = q.now + 1;
    q.ejected++;
}

static void open_breaker(uint32_t slot)
{
    struct memo__striped parts = memo__fleet_breaker_parts(&f, slot);
    struct memo__permit permit;
    ck_assert(memo__breaker_admit(memo__fleet_breaker(&f, slot), &breaker_rule, q.now, S, &permit));
    ck_assert_int_eq(memo__breaker_report(memo__fleet_breaker(&f, slot), &parts, alone(0), &breaker_rule, permit, q.now, true, false), MEMO__BREAKER_OPENED);
}

static void with_breakers(void)
{
    memo__fleet_breakers_attach(&f, 0, breakers);
    q.instance_breaker = &breaker_rule;
}

static void done(uint32_t stripe, uint32_t slot, memo__instant now, int64_t latency)
{
    memo__balance_start(&f, alone(stripe), slot);
    memo__balance_done(&f, alone(stripe), slot, &rule, now, latency, false, MEMO__FAILURE_PENALTY);
}

START_TEST(table)
{
    ck_assert_str_eq(memo__balancer_of(MEMO__BALANCE_PEAK_EWMA)->name, "peak-ewma");
    ck_assert_str_eq(memo__balancer_of(MEMO__BALANCE_ROUND_ROBIN)->name, "round-robin");
}
END_TEST

/* The short way picks what the long one does, for the same reasons. */
START_TEST(short_way)
{
    uint64_t state = 4;
    struct memo__lot lots[5];
    for (uint32_t i = 0; i < 5; i++) {
        weights[i] = 100 + 7 * i;
        lots[i] = memo__lot_of(&f, i, weights[i], i);
        done(0, i, q.now, (i + 1) * MS);
    }
    q.now += 500 * MS;
    for (int i = 0; i < 100; i++) {
        struct memo__drawn quick = { 0 };
        uint64_t draw = memo__draw_next(&state);
        struct memo__endpoint_part *part = memo__balance_draw(lots, 5, alone(0), memo__decay_scale(rule.decay), q.now, draw, &quick);
        ck_assert_int_eq(pick(draw), MEMO_OK);
        ck_assert_ptr_eq(part, memo__fleet_part(&f, 0, p.slot));
        ck_assert(quick.lot->slot == p.slot && quick.lot->entry == p.index && quick.other->slot == p.other_slot);
        ck_assert(quick.score == p.score && quick.other_score == p.other_score);
    }
}
END_TEST

START_TEST(nobody)
{
    from.count = 0;
    ck_assert_int_eq(pick(1), MEMO_REFUSED_NO_ENDPOINT);
    rule.policy = MEMO__BALANCE_ROUND_ROBIN;
    ck_assert_int_eq(pick(1), MEMO_REFUSED_NO_ENDPOINT);
    ck_assert_uint_eq(cursor, 0);
}
END_TEST

START_TEST(turns)
{
    rule.policy = MEMO__BALANCE_ROUND_ROBIN;
    weights[3] = 1;                                   /* weights are not looked at */
    for (uint32_t i = 0; i < 12; i++) {
        ck_assert_int_eq(pick(0), MEMO_OK);
        ck_assert(p.slot == i % 5 && p.index == i % 5 && p.other_slot == MEMO__NO_SLOT && p.flags == 0);
    }
    weights[3] = 0;                                   /* but for 0 */
    cursor = 0;
    static const uint32_t expected[] = { 0, 1, 2, 4, 0, 1, 2, 4 };
    for (uint32_t i = 0; i < COUNT(expected); i++) {
        ck_assert_int_eq(pick(0), MEMO_OK);
        ck_assert_uint_eq(p.slot, expected[i]);
    }
}
END_TEST

/* The neighbours of an ejected endpoint share its turns. */
START_TEST(turns_past_an_ejected_one)
{
    uint32_t got[5] = { 0 };
    rule.policy = MEMO__BALANCE_ROUND_ROBIN;
    eject(1);
    eject(4);
    for (uint32_t i = 0; i < 300; i++) {
        ck_assert_int_eq(pick(0), MEMO_OK);
        got[p.slot]++;
    }
    ck_assert(got[0] == 100 && got[2] == 100 && got[3] == 100);
}
END_TEST

START_TEST(stripes_start_apart)
{
    uint32_t other = 0;
    from.count = 1000;
    rule.policy = MEMO__BALANCE_ROUND_ROBIN;
    pick(0);
    uint32_t first = p.slot;
    q.stripe = alone(1);
    q.cursor = &other;
    pick(0);
    ck_assert_uint_ne(p.slot, first);
}
END_TEST

START_TEST(the_only_one)
{
    from.count = 1;
    ck_assert_int_eq(pick(7), MEMO_OK);
    ck_assert(p.slot == 0 && p.other_slot == MEMO__NO_SLOT && p.flags == 0);
    q.tried[0] = 0;
    q.tried_count = 1;
    ck_assert_int_eq(pick(7), MEMO_OK);               /* better again than not at all */
    ck_assert(p.slot == 0 && p.flags == MEMO__PICK_TRIED_AGAIN);
    weights[0] = 0;
    ck_assert_int_eq(pick(7), MEMO_REFUSED_NO_ENDPOINT);
}
END_TEST

START_TEST(the_cheaper_of_two)
{
    from.count = 2;
    done(0, 0, q.now, 5 * MS);
    done(0, 1, q.now, 9 * MS);
    for (uint64_t i = 0; i < 10; i++) {
        ck_assert_int_eq(pick(i << 61 | i), MEMO_OK);
        ck_assert(p.slot == 0 && p.other_slot == 1 && p.index == 0);
        ck_assert_double_eq_tol((double)p.score, 50.0, 0.5);       /* us / weight 100 */
        ck_assert_double_eq_tol((double)p.other_score, 90.0, 0.9);
    }
    for (int i = 0; i < 2; i++)
        memo__balance_start(&f, alone(0), 0);                      /* 5 ms * 3 > 9 ms * 1 */
    pick(1);
    ck_assert_uint_eq(p.slot, 1);
    memo__balance_cancel(&f, alone(0), 0);
    memo__balance_cancel(&f, alone(0), 0);
    weights[1] = 300;                                              /* 9 / 300 < 5 / 100 */
    pick(1);
    ck_assert_uint_eq(p.slot, 1);
    ck_assert_double_eq_tol((double)memo__balance_score(&q, 1), 30.0, 0.3);
}
END_TEST

/* Among equals each gets its share. */
START_TEST(evenly)
{
    uint32_t got[100] = { 0 };
    uint64_t state = 9;
    from.count = 100;
    for (uint32_t i = 0; i < 100; i++)
        done(0, i, q.now, 5 * MS);
    for (int i = 0; i < 100000; i++) {
        MUST(pick(memo__draw_next(&state)) == MEMO_OK && p.slot != p.other_slot);
        got[p.slot]++;
    }
    for (uint32_t i = 0; i < 100; i++)
        ck_assert(got[i] > 800 && got[i] < 1200);
}
END_TEST

/* One slow endpoint gets almost nothing, and is asked again when its average has faded. */
START_TEST(slow_one_and_its_return)
{
    from.count = 2;
    done(0, 0, q.now, 5 * MS);
    done(0, 1, q.now, 1100 * MS);
    pick(1);
    ck_assert_uint_eq(p.slot, 0);
    q.now += 20 * S;
    done(0, 0, q.now, 5 * MS);
    pick(1);
    ck_assert_uint_eq(p.slot, 0);
    q.now += 40 * S;                                  /* ln(220) * 10 s is 54 s */
    done(0, 0, q.now, 5 * MS);
    pick(1);
    ck_assert_uint_eq(p.slot, 1);
    ck_assert_double_eq_tol((double)p.score, 1100000 * 0.00248 / 100, 1.0);
    q.now += 1000 * S;
    pick(1);
    ck_assert_double_eq_tol((double)p.score, 0.01, 1e-6);     /* the floor: calls under way still count */
}
END_TEST

/* One that was idle, and so costs next to nothing, now takes calls and answers none: it gets a few, not dozens, in the second before the first of
 * them times out. */
START_TEST(one_that_hangs)
{
    uint32_t hanging = 0;
    from.count = 2;
    done(0, 1, q.now, 1 * MS);
    q.now += 100 * S;                                 /* faded to the floor */
    done(0, 0, q.now, 5 * MS);
    for (uint64_t i = 0; i < 200; i++, q.now += 5 * MS) {
        ck_assert_int_eq(pick(draw_of((uint32_t)(i & 1), 1 - (uint32_t)(i & 1), 2)), MEMO_OK);
        if (p.slot == 0) {
            done(0, 0, q.now, 5 * MS);
        } else {
            memo__balance_start(&f, alone(0), 1);
            hanging++;
        }
    }
    ck_assert_uint_eq(hanging, 1);                    /* silence counts as latency: 100 ms at most, twice */
    q.stripes_active = 0x3;                           /* likewise where several stripes are merged */
    for (uint64_t i = 0; i < 10; i++, q.now += 5 * MS) {
        done(1, 0, q.now, 5 * MS);
        ck_assert_int_eq(pick(draw_of((uint32_t)(i & 1), 1 - (uint32_t)(i & 1), 2)), MEMO_OK);
        ck_assert_uint_eq(p.slot, 0);
    }
}
END_TEST

/* It rises at once and falls slowly. */
START_TEST(peaks)
{
    done(0, 0, q.now, 5 * MS);
    done(0, 0, q.now, 100 * MS);
    ck_assert_double_eq_tol((double)memo__balance_score(&q, 0), 1000.0, 4.0);
    q.now += 10 * S;                                  /* one decay: 1/e of the old, the rest of the new */
    done(0, 0, q.now, 5 * MS);
    ck_assert_double_eq_tol((double)memo__balance_score(&q, 0), 50.0 + 950.0 * 0.3679, 5.0);
    done(0, 0, q.now - 1 * S, 200 * MS);              /* a report that is late is no harm */
    ck_assert_double_eq_tol((double)memo__balance_score(&q, 0), 2000.0 * 0.905, 10.0);
    done(0, 1, q.now, -5);
    ck_assert_double_eq_tol((double)memo__balance_score(&q, 1), 0.01, 0.001);
}
END_TEST

START_TEST(failures_are_charged)
{
    memo__balance_start(&f, alone(0), 0);
    memo__balance_done(&f, alone(0), 0, &rule, q.now, 1 * MS, true, 250 * MS);
    ck_assert_double_eq_tol((double)memo__balance_score(&q, 0), 2500.0, 10.0);
    memo__balance_start(&f, alone(0), 0);
    memo__balance_done(&f, alone(0), 0, &rule, q.now, 400 * MS, true, 250 * MS); /* what it really took, if that is more */
    ck_assert_double_eq_tol((double)memo__balance_score(&q, 0), 4000.0, 16.0);
}
END_TEST

/* A newcomer is tried at once, by one call at a time. */
START_TEST(newcomer)
{
    from.count = 2;
    done(0, 0, q.now, 100 * MEMO__US);
    pick(1);
    ck_assert_uint_eq(p.slot, 1);
    memo__balance_start(&f, alone(0), 1);
    pick(1);
    ck_assert_uint_eq(p.slot, 0);
    ck_assert_double_eq_tol((double)p.other_score, 2000.0, 0.1); /* 100 ms, twice, by 100 */
    memo__balance_done(&f, alone(0), 1, &rule, q.now, 50 * MEMO__US, false, 0);
    pick(1);
    ck_assert_uint_eq(p.slot, 1);
}
END_TEST

START_TEST(stripes_are_merged)
{
    q.stripes_active = 0x7;
    ck_assert_double_eq_tol((double)memo__balance_score(&q, 0), 0.01, 0.0001);
    memo__balance_start(&f, alone(2), 0);
    ck_assert_double_eq_tol((double)memo__balance_score(&q, 0), 2000.0, 0.1);
    memo__balance_cancel(&f, alone(1), 0);            /* ended on another stripe: the sum counts */
    ck_assert_double_eq_tol((double)memo__balance_score(&q, 0), 0.01, 0.0001);
    memo__balance_cancel(&f, alone(1), 0);
    ck_assert_double_eq_tol((double)memo__balance_score(&q, 0), 0.01, 0.0001); /* never fewer than none */
    memo__balance_start(&f, alone(1), 0);
    done(0, 0, q.now, 10 * MS);
    ck_assert_double_eq_tol((double)memo__balance_score(&q, 0), 100.0, 0.5);
    done(1, 0, q.now, 30 * MS);
    ck_assert_double_eq_tol((double)memo__balance_score(&q, 0), 200.0, 1.0);   /* the mean */
    q.now += 10 * S;
    done(1, 0, q.now, 30 * MS);
    double old = 0.3679;
    ck_assert_double_eq_tol((double)memo__balance_score(&q, 0), (100.0 * old + 300.0) / (1 + old), 2.0); /* the fresher weighs more */
    q.now += 1000 * S;
    ck_assert_double_eq_tol((double)memo__balance_score(&q, 0), 0.01, 0.0001);
}
END_TEST

START_TEST(drained_ones_are_skipped)
{
    from.count = 3;
    weights[1] = 0;
    ck_assert_int_eq(pick(draw_of(0, 1, 3)), MEMO_OK);
    ck_assert_uint_ne(p.slot, 1);
    ck_assert_int_eq(pick(draw_of(1, 0, 3)), MEMO_OK);
    ck_assert(p.slot != 1 && p.flags == 0);
}
END_TEST

START_TEST(tried_ones_are_skipped)
{
    uint64_t state = 3;
    q.tried[0] = 0;
    q.tried[1] = 3;
    q.tried_count = 2;
    for (int i = 0; i < 1000; i++) {
        MUST(pick(memo__draw_next(&state)) == MEMO_OK);
        MUST(p.slot != 0 && p.slot != 3 && p.flags == 0);
    }
    weights[1] = weights[2] = weights[4] = 0;
    ck_assert_int_eq(pick(memo__draw_next(&state)), MEMO_OK);
    ck_assert((p.slot == 0 || p.slot == 3) && p.flags == MEMO__PICK_TRIED_AGAIN);
    rule.policy = MEMO__BALANCE_ROUND_ROBIN;
    ck_assert_int_eq(pick(0), MEMO_OK);
    ck_assert_int_eq(p.flags, MEMO__PICK_TRIED_AGAIN);
}
END_TEST

START_TEST(ejected_ones_are_skipped)
{
    uint64_t state = 3;
    bool said = false;
    eject(2);
    eject(4);
    for (int i = 0; i < 1000; i++) {
        MUST(pick(memo__draw_next(&state)) == MEMO_OK);
        MUST(p.slot != 2 && p.slot != 4);
        said |= p.flags == MEMO__PICK_SKIPPED_EJECTED;
    }
    ck_assert(said);
    q.now += 2;                                       /* their time is over, whether or not somebody swept */
    ck_assert_int_eq(pick(draw_of(2, 4, 5)), MEMO_OK);
    ck_assert((p.slot == 2 || p.slot == 4) && p.flags == 0);
}
END_TEST

/* Only one of very many is left: luck does not find it, the scan does. */
START_TEST(needle)
{
    rule.panic_below = 0;
    from.count = 5000;
    for (uint32_t i = 0; i < 5000; i++)
        if (i != 4321)
            eject(i);
    ck_assert_int_eq(pick(1), MEMO_OK);
    ck_assert(p.slot == 4321 && p.index == 4321 && p.flags == MEMO__PICK_SKIPPED_EJECTED);
    ck_assert_double_eq_tol((double)p.score, 0.01, 0.0001);
    eject(4321);
    ck_assert_int_eq(pick(1), MEMO_REFUSED_NO_ENDPOINT);
}
END_TEST

START_TEST(panic)
{
    eject(0);
    eject(1);
    ck_assert(!memo__balance_panic(&q));              /* 3 of 5 are left */
    eject(2);
    ck_assert(memo__balance_panic(&q));               /* 2 of 5 are less than half */
    ck_assert_int_eq(pick(draw_of(0, 1, 5)), MEMO_OK);
    ck_assert((p.slot == 0 || p.slot == 1) && p.flags == MEMO__PICK_PANIC);
    rule.policy = MEMO__BALANCE_ROUND_ROBIN;
    ck_assert_int_eq(pick(0), MEMO_OK);
    ck_assert(p.slot == 0 && p.flags == MEMO__PICK_PANIC);
    rule.panic_below = 0;
    ck_assert(!memo__balance_panic(&q));
    rule.panic_below = 500000;
    weights[0] = weights[1] = 0;                      /* who takes no calls anyway does not count: 2 of 3 */
    ck_assert(!memo__balance_panic(&q));
    from.weighted = 3;                                /* nor in the quick comparison */
    ck_assert(!memo__balance_panic(&q));
    eject(3);
    ck_assert(memo__balance_panic(&q));
    from.weighted = 0;
    weights[2] = weights[3] = weights[4] = 0;
    ck_assert(!memo__balance_panic(&q));              /* of nobody, nobody is missing */
}
END_TEST

/* The ejected ones are elsewhere, in another subset. */
START_TEST(no_panic_in_a_healthy_subset)
{
    for (uint32_t i = 10; i < 15; i++)
        eject(i);
    from.count = 2;
    ck_assert(!memo__balance_panic(&q));
    ck_assert_int_eq(pick(5), MEMO_OK);
    ck_assert_uint_eq(p.flags, 0);
}
END_TEST

START_TEST(panic_among_very_many)
{
    from.count = 5000;
    for (uint32_t i = 0; i < 5000; i++)
        if (i % 3)
            eject(i);
    ck_assert(memo__balance_panic(&q));
}
END_TEST

START_TEST(open_ones_are_skipped)
{
    uint64_t state = 1;
    with_breakers();
    open_breaker(0);
    for (int i = 0; i < 200; i++) {
        ck_assert_int_eq(pick(memo__draw_next(&state)), MEMO_OK);
        ck_assert_uint_ne(p.slot, 0);
    }
    for (uint32_t i = 1; i < 5; i++)
        open_breaker(i);
    ck_assert_int_eq(pick(1), MEMO_REFUSED_OPEN);
    ck_assert_int_eq(p.flags, MEMO__PICK_SKIPPED_OPEN);
    rule.policy = MEMO__BALANCE_ROUND_ROBIN;
    ck_assert_int_eq(pick(1), MEMO_REFUSED_OPEN);
    ck_assert_uint_eq(cursor, 0);
    q.now += 5001 * MS;                               /* ready for probes */
    ck_assert_int_eq(pick(1), MEMO_OK);
    from.count = 1;
    slots[0] = 100;                                   /* in a chunk without breakers */
    ck_assert_int_eq(pick(1), MEMO_OK);
}
END_TEST

/* A second candidate is looked for, so that two are compared, though the first draw met one that may not be picked. */
START_TEST(draws_on)
{
    eject(0);
    done(0, 1, q.now, 50 * MS);
    ck_assert_int_eq(pick(draw_of(0, 1, 5)), MEMO_OK);
    ck_assert(p.other_slot == 1 && p.slot != 0 && p.slot != 1 && p.flags == MEMO__PICK_SKIPPED_EJECTED);
    ck_assert_int_eq(pick(draw_of(1, 0, 5)), MEMO_OK);
    ck_assert_uint_eq(p.other_slot, 1);
    rule.panic_below = 0;
    eject(2);
    eject(3);
    eject(4);
    ck_assert_int_eq(pick(draw_of(0, 1, 5)), MEMO_OK);
    ck_assert(p.slot == 1 && p.other_slot == MEMO__NO_SLOT);
    from.count = 2;
    ck_assert_int_eq(pick(draw_of(0, 1, 2)), MEMO_OK);
    ck_assert(p.slot == 1 && p.other_slot == MEMO__NO_SLOT);
    weights[1] = 0;
    ck_assert_int_eq(pick(draw_of(0, 1, 2)), MEMO_REFUSED_NO_ENDPOINT);
    ck_assert_int_eq(pick(draw_of(1, 0, 2)), MEMO_REFUSED_NO_ENDPOINT);
}
END_TEST

Suite *suite_policy_balance(void)
{
    Suite *s = suite_create("policy/balance");
    TCase *t = tcase_create("balance");
    tcase_add_checked_fixture(t, begin, end);
    tcase_add_test(t, table);
    tcase_add_test(t, short_way);
    tcase_add_test(t, nobody);
    tcase_add_test(t, turns);
    tcase_add_test(t, turns_past_an_ejected_one);
    tcase_add_test(t, stripes_start_apart);
    tcase_add_test(t, the_only_one);
    tcase_add_test(t, the_cheaper_of_two);
    tcase_add_test(t, evenly);
    tcase_add_test(t, slow_one_and_its_return);
    tcase_add_test(t, one_that_hangs);
    tcase_add_test(t, peaks);
    tcase_add_test(t, failures_are_charged);
    tcase_add_test(t, newcomer);
    tcase_add_test(t, stripes_are_merged);
    tcase_add_test(t, drained_ones_are_skipped);
    tcase_add_test(t, tried_ones_are_skipped);
    tcase_add_test(t, ejected_ones_are_skipped);
    tcase_add_test(t, needle);
    tcase_add_test(t, panic);
    tcase_add_test(t, no_panic_in_a_healthy_subset);
    tcase_add_test(t, panic_among_very_many);
    tcase_add_test(t, open_ones_are_skipped);
    tcase_add_test(t, draws_on);
    suite_add_tcase(s, t);
    return s;
}
