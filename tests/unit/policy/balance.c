/* SPDX-License-Identifier: Apache-2.0 */
/* balance.c: who is picked, who is skipped, and what an endpoint costs. */
#include "policy/balance.h"
#include "policy/outlier.h"
#include "policy/slow_start.h"
#include <math.h>
#include <stdio.h>
#include "story.h"

static struct memo__fleet f;
static void *chunk[7], *breakers;
static uint32_t slots[5000], weights[5000], cursor;
static struct memo__candidates from;
static struct memo__balance_rule rule;
static struct memo__breaker_rule breaker_rule;
static struct memo__pick_request q;
static struct memo__pick p;
static void *built;

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
    from = (struct memo__candidates){ .slots = slots, .weights = weights, .count = 5 };
    rule = (struct memo__balance_rule){ .policy = MEMO__BALANCE_PEAK_EWMA, .panic_below = 500000, .decay = 10 * S, .choices = 2,
                                        .min_ring = 1024, .max_ring = 65536 };
    breaker_rule = (struct memo__breaker_rule){ .on = true, .window = 10 * S, .min_calls = 1, .failed = 500000, .open_for = 5 * S, .probes = 1 };
    q = (struct memo__pick_request){ .fleet = &f, .from = &from, .rule = &rule, .stripe = alone(0), .stripes_active = 1, .cursor = &cursor, .now = 1000 * S };
}

static void end(void)
{
    for (uint32_t k = 0; k < 7; k++)
        free(chunk[k]);
    free(breakers);
    free(built);
    built = NULL;
}

/* "10.0.0.1:80" for the first, ... */
static size_t name_of(const void *of, uint32_t i, char buf[MEMO__BALANCE_NAME])
{
    (void)of;
    return (size_t)snprintf(buf, MEMO__BALANCE_NAME, "10.0.%u.%u:80", (slots[i] + 1) >> 8, (slots[i] + 1) & 255);
}

static const struct memo__balance_names names = { name_of, NULL };

/* Another policy for the candidates as they are now. */
static void balanced_by(enum memo__balance_policy policy)
{
    const struct memo__balancer *b = memo__balancer_of(policy);
    rule.policy = policy;
    memo__slow_start_see(&from, &f, &rule.slow_start);
    free(built);
    built = NULL;
    if (b->size) {
        size_t scratch_bytes, bytes = b->size(&from, &rule, &scratch_bytes);
        void *scratch = malloc(scratch_bytes);      /* exactly so much, for the sanitizers */
        built = malloc(bytes);
        b->build(&from, &rule, &names, built, scratch);
        free(scratch);
    }
    from.table = built;
}

/* Calls one after the other, each over before the next: who got how many. */
static void calls(uint32_t many, uint64_t seed, uint32_t *got)
{
    memset(got, 0, from.count * sizeof *got);
    for (uint32_t i = 0; i < many; i++) {
        q.draw = memo__draw_next(&seed);
        q.hash = memo__mix64(q.draw);
        MUST(memo__balance_pick(&q, &p) == MEMO_OK);
        got[p.index]++;
    }
}

/* Pearson's test of shares by weight: the sum that was seen, over the one that chance exceeds once in a thousand (Wilson and Hilferty 1931).
 * Below 1: chance. */
static double chi_square(const uint32_t *got, uint32_t many)
{
    double sum = 0, all = 0, k = -1;
    for (uint32_t i = 0; i < from.count; i++) {
        all += weights[i];
        k += weights[i] != 0;
    }
    for (uint32_t i = 0; i < from.count; i++) {
        double expected = (double)many * weights[i] / all;
        MUST(weights[i] || !got[i]);
        sum += weights[i] ? (got[i] - expected) * (got[i] - expected) / expected : 0;
    }
    double a = 2 / (9 * k), x = 1 - a + 3.0902 * sqrt(a);
    return sum / (k * x * x * x);
}

static int32_t pick(uint64_t draw)
{
    q.draw = draw;
    q.hash = memo__mix64(draw);
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
    ck_assert_str_eq(memo__balancer_of(MEMO__BALANCE_RANDOM)->name, "random");
    ck_assert_str_eq(memo__balancer_of(MEMO__BALANCE_LEAST_REQUEST)->name, "least-request");
    ck_assert_str_eq(memo__balancer_of(MEMO__BALANCE_RING_HASH)->name, "ring-hash");
    ck_assert_str_eq(memo__balancer_of(MEMO__BALANCE_WEIGHTED_ROUND_ROBIN)->name, "weighted-round-robin");
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

/* What holds for every policy that is not about latency. */

static const enum memo__balance_policy others[] = { MEMO__BALANCE_RANDOM, MEMO__BALANCE_WEIGHTED_ROUND_ROBIN, MEMO__BALANCE_LEAST_REQUEST,
                                                    MEMO__BALANCE_RING_HASH };
#define BY_WEIGHT (COUNT(others) - 1) /* a ring is another kind of luck */

START_TEST(other_nobody)
{
    balanced_by(others[_i]);
    from.count = 0;
    ck_assert_int_eq(pick(1), MEMO_REFUSED_NO_ENDPOINT);
    ck_assert(p.slot == MEMO__NO_SLOT && p.other_slot == MEMO__NO_SLOT);
    from.count = 3;
    weights[0] = weights[1] = weights[2] = 0;
    balanced_by(others[_i]);
    ck_assert_int_eq(pick(1), MEMO_REFUSED_NO_ENDPOINT);
}
END_TEST

START_TEST(other_skips)
{
    uint64_t state = 5;
    bool said = false;
    with_breakers();
    weights[4] = 0;
    from.count = 7;
    balanced_by(others[_i]);
    eject(0);
    open_breaker(1);
    q.tried[0] = 3;
    q.tried_count = 1;
    for (int i = 0; i < 300; i++) {
        MUST(pick(memo__draw_next(&state)) == MEMO_OK);
        MUST((p.slot == 2 || p.slot == 5 || p.slot == 6) && p.index == p.slot);
        MUST(!(p.flags & ~(MEMO__PICK_SKIPPED_EJECTED | MEMO__PICK_SKIPPED_OPEN)));
        said |= p.flags != 0;
    }
    ck_assert(said);
    eject(2);
    eject(5);
    open_breaker(6);
    rule.panic_below = 0;
    ck_assert_int_eq(pick(1), MEMO_OK);               /* nothing but the one that was tried */
    ck_assert(p.slot == 3 && p.flags & MEMO__PICK_TRIED_AGAIN);
    open_breaker(3);
    ck_assert_int_eq(pick(1), MEMO_REFUSED_OPEN);
    rule.panic_below = 600000;
    ck_assert_int_eq(pick(1), MEMO_OK);
    ck_assert((p.slot == 0 || p.slot == 2 || p.slot == 5) && p.flags & MEMO__PICK_PANIC);
}
END_TEST

/* Weights of all kinds; the first is as heavy as all others. */
START_TEST(other_by_weight)
{
    static uint32_t got[500];
    uint64_t state = 11;
    from.count = 500;
    uint32_t sum = 0;
    for (uint32_t i = 1; i < from.count; i++)
        sum += weights[i] = i % 50 ? 1 + memo__draw_below(memo__draw_next(&state), 100) : 0;
    weights[0] = sum;
    balanced_by(others[_i]);
    calls(400000, 3, got);
    double x = chi_square(got, 400000);
    ck_assert_msg(x < 1, "%g", x);
    from.count = 10;
    for (uint32_t i = 0; i < from.count; i++)
        weights[i] = 65535;
    balanced_by(others[_i]);
    calls(100000, 4, got);
    ck_assert(chi_square(got, 100000) < 1);
    ck_assert_int_eq(p.flags, 0);
}
END_TEST

START_TEST(other_needle)
{
    rule.panic_below = 0;
    from.count = 5000;
    balanced_by(others[_i]);
    for (uint32_t i = 0; i < 5000; i++)
        if (i != 4321)
            eject(i);
    ck_assert_int_eq(pick(1), MEMO_OK);
    ck_assert(p.slot == 4321 && p.index == 4321 && p.flags == MEMO__PICK_SKIPPED_EJECTED);
}
END_TEST

START_TEST(random_tells_the_weight)
{
    weights[1] = 300;
    weights[0] = weights[2] = weights[3] = weights[4] = 0;
    balanced_by(MEMO__BALANCE_RANDOM);
    ck_assert_int_eq(pick(1), MEMO_OK);
    ck_assert(p.slot == 1 && p.score == 300.0f && p.other_slot == MEMO__NO_SLOT);
}
END_TEST

/* Smooth, as nginx's: the heavy one's turns are spread among those of the others. */
START_TEST(weighted_turns)
{
    static const uint32_t expected[] = { 0, 0, 1, 0, 0, 2, 0, 0, 0, 1, 0, 0, 2, 0 };
    from.count = 3;
    weights[0] = 500;
    balanced_by(MEMO__BALANCE_WEIGHTED_ROUND_ROBIN);
    for (uint32_t i = 0; i < COUNT(expected); i++) {
        ck_assert_int_eq(pick(0), MEMO_OK);
        ck_assert(p.slot == expected[i] && p.score == (float)weights[p.slot] && p.flags == 0);
    }
    weights[0] = 100;                                 /* equal ones in their order */
    balanced_by(MEMO__BALANCE_WEIGHTED_ROUND_ROBIN);
    cursor = 0;
    for (uint32_t i = 0; i < 9; i++) {
        ck_assert_int_eq(pick(0), MEMO_OK);
        ck_assert_uint_eq(p.slot, i % 3);
    }
    from.count = 1;
    balanced_by(MEMO__BALANCE_WEIGHTED_ROUND_ROBIN);
    ck_assert(pick(0) == MEMO_OK && pick(0) == MEMO_OK && p.slot == 0);
}
END_TEST

/* How far anybody ever is from its exact share while the schedule is walked once, and at its end. */
static double furthest(uint32_t length, double *at_the_end)
{
    static uint32_t got[2000];
    double most = 0, sum = 0;
    memset(got, 0, sizeof got);
    for (uint32_t i = 0; i < from.count; i++)
        sum += weights[i];
    cursor = 0;
    for (uint32_t t = 1; t <= length; t++) {
        MUST(pick(0) == MEMO_OK);
        got[p.index]++;
        for (uint32_t i = 0; i < from.count; i++) {
            double off = fabs(got[i] - t * (weights[i] / sum));
            most = off > most ? off : most;
            *at_the_end = i == 0 ? off : off > *at_the_end ? off : *at_the_end;
        }
    }
    return most;
}

/* Less than one call, whatever the weights: Tijdeman's bound. */
START_TEST(weighted_turns_are_even)
{
    uint64_t state = (uint64_t)_i;
    double end;
    for (int story = 0; story < 60; story++) {
        uint32_t sum = 0, kind = memo__draw_below(memo__draw_next(&state), 3), most = kind == 0 ? 3 : kind == 1 ? 100 : 1000;
        from.count = 2 + memo__draw_below(memo__draw_next(&state), 12);
        for (uint32_t i = 0; i < from.count; i++)
            sum += weights[i] = 1 + memo__draw_below(memo__draw_next(&state), i || kind != 1 ? most : 5000);
        balanced_by(MEMO__BALANCE_WEIGHTED_ROUND_ROBIN);
        double off = furthest(sum, &end);
        ck_assert_msg(off <= 1 - 1 / (2.0 * from.count - 2) + 1e-9 && end < 1e-9, "%g %g", off, end);
    }
    from.count = 1500;                                /* one as heavy as all others, which must not come in a row */
    for (uint32_t i = 0; i < from.count; i++)
        weights[i] = i ? 1 : 1499;
    balanced_by(MEMO__BALANCE_WEIGHTED_ROUND_ROBIN);
    ck_assert(furthest(2998, &end) < 1 && end < 1e-9);
}
END_TEST

/* Weights that have nothing in common are rounded, and nobody's to nothing. */
START_TEST(weighted_turns_have_a_bound)
{
    static uint32_t got[5000];
    const struct memo__balancer *b = memo__balancer_of(MEMO__BALANCE_WEIGHTED_ROUND_ROBIN);
    uint64_t state = 8;
    size_t scratch;
    from.count = 5000;
    for (uint32_t i = 0; i < from.count; i++)
        weights[i] = i % 2 ? 1 : 60000 + memo__draw_below(memo__draw_next(&state), 5000);
    ck_assert_uint_le(b->size(&from, &rule, &scratch), 4 + 4 * (65536 + 5000));
    balanced_by(MEMO__BALANCE_WEIGHTED_ROUND_ROBIN);
    calls(71000, 1, got);
    for (uint32_t i = 0; i < from.count; i++)
        ck_assert(i % 2 ? got[i] >= 1 && got[i] <= 2 : got[i] >= 23 && got[i] <= 30);
}
END_TEST

/* A stripe is spread as well as another, and they do not walk in step. */
START_TEST(weighted_stripes)
{
    uint32_t words[4] = { 0 }, got[3] = { 0 }, differ = 0, first = 0;
    from.count = 3;
    weights[0] = 700;
    weights[1] = 200;
    balanced_by(MEMO__BALANCE_WEIGHTED_ROUND_ROBIN);
    for (uint32_t i = 0; i < 400; i++) {
        q.stripe = alone(i % 4);
        q.cursor = &words[i % 4];
        ck_assert_int_eq(pick(0), MEMO_OK);
        got[p.slot]++;
        first = i % 4 ? first : p.slot;
        differ += p.slot != first;
    }
    ck_assert(got[0] == 280 && got[1] == 80 && got[2] == 40 && differ > 50);
}
END_TEST

/* Its turns are shared by the others, about as their weights are. */
START_TEST(weighted_turns_past_an_ejected_one)
{
    uint32_t got[4] = { 0 };
    from.count = 4;
    weights[0] = 400;
    weights[1] = 200;
    balanced_by(MEMO__BALANCE_WEIGHTED_ROUND_ROBIN);
    eject(0);
    calls(4000, 1, got);
    ck_assert(got[0] == 0 && got[1] >= 1900 && got[1] <= 2100 && got[2] >= 900 && got[3] >= 900);
}
END_TEST

/* The one with fewer calls under way, whichever was drawn first. */
START_TEST(fewest_calls)
{
    from.count = 2;
    balanced_by(MEMO__BALANCE_LEAST_REQUEST);
    for (int i = 0; i < 3; i++)
        memo__balance_start(&f, alone(0), 0);
    memo__balance_start(&f, alone(0), 1);
    for (uint64_t i = 0; i < 20; i++) {
        ck_assert_int_eq(pick(i << 60), MEMO_OK);
        ck_assert(p.slot == 1 && p.other_slot == 0 && p.score == 1.0f && p.other_score == 3.0f && p.flags == 0);
    }
    weights[0] = 400;                                 /* 3 of 400 are fewer than 1 of 100 */
    balanced_by(MEMO__BALANCE_LEAST_REQUEST);
    ck_assert_int_eq(pick(1), MEMO_OK);
    ck_assert(p.slot == 0 && p.other_slot == 1 && p.score == 0.75f && p.other_score == 1.0f);
    q.stripes_active = 0x7;                           /* other stripes' calls count */
    memo__balance_start(&f, alone(2), 0);
    memo__balance_start(&f, alone(2), 0);
    ck_assert_int_eq(pick(1), MEMO_OK);
    ck_assert_uint_eq(p.slot, 1);
    for (int i = 0; i < 9; i++)
        memo__balance_cancel(&f, alone(1), 1);        /* ended elsewhere than begun: never less than none */
    ck_assert_int_eq(pick(1), MEMO_OK);
    ck_assert(p.slot == 1 && p.score == 0.0f);
}
END_TEST

/* Calls that stay: loads come out as the weights are, and more choices make it tighter. */
START_TEST(calls_under_way_follow_the_weights)
{
    uint32_t spread[2] = { 0 };
    for (int round = 0; round < 2; round++) {
        uint32_t got[40] = { 0 }, least = UINT32_MAX, most = 0;
        uint64_t state = 2;
        from.count = 40;
        for (uint32_t i = 0; i < 40; i++)
            weights[i] = i < 20 ? 100 : 300;
        rule.choices = round ? 10 : 2;
        balanced_by(MEMO__BALANCE_LEAST_REQUEST);
        for (int i = 0; i < 8000; i++) {
            MUST(pick(memo__draw_next(&state)) == MEMO_OK);
            memo__balance_start(&f, alone(0), p.slot);
            got[p.slot]++;
        }
        for (uint32_t i = 0; i < 40; i++) {
            uint32_t per_weight = got[i] * 300 / weights[i];
            least = per_weight < least ? per_weight : least;
            most = per_weight > most ? per_weight : most;
            for (uint32_t k = 0; k < got[i]; k++)
                memo__balance_cancel(&f, alone(0), i);
        }
        spread[round] = most - least;
        ck_assert_msg(least > 270 && most < 330, "%u %u", least, most); /* 300 */
    }
    ck_assert_uint_le(spread[1], spread[0]);
}
END_TEST

/* Where one has taken all draws, the other is still found: there are but two. */
START_TEST(few_are_all_looked_at)
{
    from.count = 3;
    weights[0] = 65535;
    weights[1] = weights[2] = 1;
    rule.choices = 3;
    balanced_by(MEMO__BALANCE_LEAST_REQUEST);
    for (int i = 0; i < 3; i++)
        memo__balance_start(&f, alone(0), 1);
    ck_assert_int_eq(pick(1), MEMO_OK);
    ck_assert(p.slot == 0 && p.other_slot == 2);      /* the best two of three */
    for (uint32_t i = 0; i < 2; i++)
        memo__balance_start(&f, alone(0), 0);
    ck_assert_int_eq(pick(1), MEMO_OK);
    ck_assert(p.slot == 2 && p.score == 0.0f && p.other_slot == 0);
    for (uint32_t i = 0; i < 9; i++)
        memo__balance_start(&f, alone(0), 2);
    ck_assert_int_eq(pick(1), MEMO_OK);
    ck_assert(p.slot == 0 && p.other_slot == 1);
    eject(1);                                         /* all but one of those few */
    eject(2);
    rule.panic_below = 0;
    ck_assert_int_eq(pick(1), MEMO_OK);
    ck_assert(p.slot == 0 && p.other_slot == MEMO__NO_SLOT && p.flags == MEMO__PICK_SKIPPED_EJECTED);
    q.ejected = 0;
    rule.choices = 2;                                 /* luck meets the heavy one alone, and is not asked for ever */
    ck_assert_int_eq(pick(1), MEMO_OK);
    ck_assert(p.slot == 0 && p.other_slot == MEMO__NO_SLOT);
}
END_TEST

/* Slow start. */

START_TEST(slow_start_curve)
{
    static const struct { uint32_t aggression; int64_t age; double share; } curve[] = {
        { 1000, 0, 0.1 }, { 1000, 3 * S, 0.1 }, { 1000, 6 * S, 0.2 }, { 1000, 15 * S, 0.5 }, { 1000, 30 * S - 1, 1 },
        { 1000, 30 * S, 1 }, { 1000, 31 * S, 1 },
        { 2000, 0, 0.18257 }, { 2000, 15 * S, 0.70711 }, { 500, 15 * S, 0.25 }, { 500, 24 * S, 0.64 }, { 500, 1 * S, 0.1 }, { 100, 15 * S, 0.1 },
        { 10000, 1 * S, 0.71169 }, { 1500, 10 * S, 0.48075 }, { 3000, 29 * S, 0.98876 },
    };
    for (size_t i = 0; i < COUNT(curve); i++) {
        struct memo__slow_start_rule r = { 30 * S, curve[i].aggression, 100000 };
        ck_assert_double_eq_tol((double)memo__slow_start_share(&r, curve[i].age), curve[i].share, 0.0005);
    }
    struct memo__slow_start_rule r = { 30 * S, 700, 10000 };
    float before = 0;
    for (int64_t age = 0; age < 31 * S; age += 10 * MS) {      /* never back */
        float share = memo__slow_start_share(&r, age);
        MUST(share >= before - 1e-5f && share >= 0.01f && share <= 1.0f);
        before = share;
    }
}
END_TEST

static const enum memo__balance_policy warming[] = { MEMO__BALANCE_PEAK_EWMA, MEMO__BALANCE_RANDOM, MEMO__BALANCE_WEIGHTED_ROUND_ROBIN,
                                                     MEMO__BALANCE_LEAST_REQUEST };

/* One of five is new: its part grows as the curve does. */
START_TEST(newcomers_are_spared)
{
    uint32_t got[5];
    rule.slow_start = (struct memo__slow_start_rule){ 100 * S, 1000, 100000 };
    memo__fleet_state(&f, 2)->joined = q.now;
    balanced_by(warming[_i]);
    ck_assert(from.warm_at == q.now + 100 * S && from.oldest == 0);
    memo__instant joined = q.now;
    for (int64_t age = 0; age <= 100; age += 25) {
        double share = age < 10 ? 0.1 : (double)age / 100, all = 4 + share;
        q.now = joined + age * S;
        calls(20000, (uint64_t)age + 1, got);
        ck_assert_msg(fabs(got[2] / 20000.0 - share / all) < 0.03, "%lld s: %u", (long long)age, got[2]);
    }
}
END_TEST

/* Whoever was there from the beginning is old, even if the clock itself is young: it may have begun with the machine. */
START_TEST(a_young_clock)
{
    uint32_t got[5];
    rule.slow_start = (struct memo__slow_start_rule){ 100 * S, 1000, 100000 };
    q.now = 5 * S;
    memo__fleet_state(&f, 2)->joined = 4 * S;
    balanced_by(warming[_i]);
    calls(20000, 1, got);
    ck_assert_msg(got[2] < 800 && got[0] > 4000, "%u %u", got[2], got[0]); /* 0.1 of 4.1 shares */
    q.now = 3 * S;                                    /* behind its joining: the least share, too */
    calls(20000, 1, got);
    ck_assert_msg(got[2] < 800 && got[0] > 4000, "%u %u", got[2], got[0]);
}
END_TEST

/* The weight that is told is the one that counts. */
START_TEST(young_weights_are_told)
{
    rule.slow_start = (struct memo__slow_start_rule){ 100 * S, 1000, 100000 };
    from.count = 1;
    memo__fleet_state(&f, 0)->joined = q.now;
    weights[0] = 200;
    balanced_by(MEMO__BALANCE_RANDOM);
    ck_assert_int_eq(pick(1), MEMO_OK);
    ck_assert(p.score == 200.0f && from.oldest == q.now); /* alone it is the oldest */
    from.oldest = 0;
    ck_assert_int_eq(pick(1), MEMO_OK);               /* passed over by every draw, and taken since there is nobody else */
    ck_assert_double_eq_tol((double)p.score, 20.0, 0.01);
    balanced_by(MEMO__BALANCE_WEIGHTED_ROUND_ROBIN);
    from.oldest = 0;
    q.now += 50 * S;
    ck_assert_int_eq(pick(1), MEMO_OK);
    ck_assert_double_eq_tol((double)p.score, 100.0, 0.01);
    balanced_by(MEMO__BALANCE_LEAST_REQUEST);
    from.oldest = 0;
    memo__balance_start(&f, alone(0), 0);
    ck_assert_int_eq(pick(1), MEMO_OK);
    ck_assert_double_eq_tol((double)p.score, 1.0, 0.001); /* one call, of a weight of 100 as yet */
    memo__balance_cancel(&f, alone(0), 0);
}
END_TEST

/* All were replaced within the window: by the oldest of them the others are measured. */
START_TEST(all_are_young)
{
    uint32_t got[5];
    from.count = 3;
    rule.slow_start = (struct memo__slow_start_rule){ 100 * S, 1000, 100000 };
    for (uint32_t i = 0; i < 3; i++)
        memo__fleet_state(&f, i)->joined = q.now - 20 * S;
    balanced_by(warming[_i]);
    calls(9000, 1, got);
    ck_assert(got[0] > 2700 && got[1] > 2700 && got[2] > 2700);
    memo__fleet_state(&f, 1)->joined = q.now - 10 * S;    /* half as warm as they */
    balanced_by(warming[_i]);
    ck_assert_int_eq(from.oldest, q.now - 20 * S);
    calls(10000, 1, got);
    ck_assert_msg(got[1] > 1600 && got[1] < 2350, "%u", got[1]);
    rule.slow_start.window = 0;
    balanced_by(warming[_i]);
    ck_assert(from.warm_at == 0 && from.oldest == 0);
}
END_TEST

/* Ring hash. */

static uint32_t at_hash(uint64_t hash)
{
    q.hash = hash;
    MUST(memo__balance_pick(&q, &p) == MEMO_OK);
    return p.slot;
}

static size_t local_name(const void *of, uint32_t i, char buf[MEMO__BALANCE_NAME])
{
    (void)of;
    return (size_t)snprintf(buf, MEMO__BALANCE_NAME, "127.0.0.1:%u", 90 + i);
}

/* Six endpoints on twelve places: the ring of Envoy's own test of its ring (ring_hash_lb_test.cc, Basic). */
START_TEST(ring_is_envoys)
{
    static const struct { uint64_t hash; uint32_t port; } places[] = {
        { UINT64_C(833437586790550860), 94 }, { UINT64_C(928266305478181108), 92 }, { UINT64_C(1033482794131418490), 90 },
        { UINT64_C(3551244743356806947), 95 },
        { UINT64_C(3851675632748031481), 93 }, { UINT64_C(5583722120771150861), 91 }, { UINT64_C(6311230543546372928), 91 },
        { UINT64_C(7700377290971790572), 93 },
        { UINT64_C(13144177310400110813), 95 }, { UINT64_C(13444792449719432967), 92 }, { UINT64_C(15516499411664133160), 94 },
        { UINT64_C(16117243373044804889), 90 },
    };
    const struct memo__balancer *b = memo__balancer_of(MEMO__BALANCE_RING_HASH);
    const struct memo__balance_names local = { local_name, NULL };
    rule.policy = MEMO__BALANCE_RING_HASH;
    rule.min_ring = 12;
    from.count = 6;
    size_t scratch_bytes, bytes = b->size(&from, &rule, &scratch_bytes);
    ck_assert_uint_eq(bytes, 8 + 12 * 12 + 8 * 4);
    void *scratch = malloc(scratch_bytes);
    from.table = built = malloc(bytes);
    b->build(&from, &rule, &local, built, scratch);
    free(scratch);
    for (size_t i = 0; i < COUNT(places); i++) {
        ck_assert_uint_eq(at_hash(places[i].hash) + 90, places[i].port);
        ck_assert_uint_eq(at_hash(places[i].hash + 1) + 90, places[(i + 1) % COUNT(places)].port);
        ck_assert(p.other_slot == MEMO__NO_SLOT && p.flags == 0);
    }
    ck_assert(at_hash(0) + 90 == 94 && at_hash(UINT64_MAX) + 90 == 94);
    q.tried[0] = 4;                                   /* port 94 was tried: on to the next place */
    q.tried_count = 1;
    ck_assert(at_hash(0) + 90 == 92 && p.other_slot == 4 && p.index == 2);
    q.tried[0] = 0;                                   /* behind the last place is the first */
    ck_assert(at_hash(places[11].hash) + 90 == 94 && p.other_slot == 0);
    q.tried[0] = 4;
    eject(2);
    ck_assert(at_hash(0) + 90 == 90 && p.other_slot == 4 && p.flags == MEMO__PICK_SKIPPED_EJECTED);
}
END_TEST

/* How many places a ring has, and whose they are: as Envoy counts, fractions and all. */
START_TEST(ring_sizes)
{
    static const struct { uint32_t least, most, weights[3], size; } rings[] = {
        { 10, 20, { 3, 7, 11 }, 14 }, { 100, 200, { 3, 7, 11 }, 105 }, { 1, 1000, { 3, 7, 11 }, 7 }, { 1024, 1024, { 3, 7, 11 }, 1024 },
        { 1024, 65536, { 100, 100, 100 }, 1026 }, { 1, 65536, { 1, 65535, 1 }, 65536 }, { 1, 1, { 1, 1, 1 }, 1 },
        { 3, 3, { 0, 5, 0 }, 3 }, { 1, 9, { 0, 0, 0 }, 0 },
    };
    const struct memo__balancer *b = memo__balancer_of(MEMO__BALANCE_RING_HASH);
    from.count = 3;
    for (size_t i = 0; i < COUNT(rings); i++) {
        size_t scratch;
        rule.min_ring = rings[i].least;
        rule.max_ring = rings[i].most;
        memcpy(weights, rings[i].weights, sizeof rings[i].weights);
        uint32_t stretches = rings[i].size < 4 ? 2 : 1u << (31 - __builtin_clz(rings[i].size));
        ck_assert_uint_eq(b->size(&from, &rule, &scratch), 8 + rings[i].size * 12 + stretches * 4);
        balanced_by(MEMO__BALANCE_RING_HASH);
        if (rings[i].size)
            ck_assert_uint_gt(weights[at_hash(i)], 0);
        else
            ck_assert_int_eq(pick(1), MEMO_REFUSED_NO_ENDPOINT);
    }
}
END_TEST

/* Of very many keys: shares by weight, off by what the arcs are off (one in the square root of the places). */
START_TEST(ring_spread)
{
    static uint32_t got[100];
    from.count = 100;
    rule.min_ring = 60000;
    weights[0] = 300;
    balanced_by(MEMO__BALANCE_RING_HASH);
    calls(300000, 1, got);
    double sum = 0;
    for (uint32_t i = 1; i < 100; i++) {
        double off = got[i] / (300000 / 102.0) - 1;
        sum += off * off;
        ck_assert_msg(fabs(off) < 0.2, "%u: %g", i, off); /* 600 places each: 4 %, and the calls' own luck, 2 % */
    }
    ck_assert_msg(sqrt(sum / 99) < 0.06, "%g", sqrt(sum / 99));
    ck_assert(got[0] > 8000 && got[0] < 9700);
}
END_TEST

/* One of ten leaves: its keys move, a tenth, and no other. It comes back: all is as it was. */
START_TEST(ring_disruption)
{
    static uint32_t before[20000];
    uint64_t state = 5;
    uint32_t moved = 0, to[10] = { 0 };
    from.count = 10;
    rule.min_ring = 10000;                            /* a thousand each: exactly as many when one is gone */
    balanced_by(MEMO__BALANCE_RING_HASH);
    for (uint32_t i = 0; i < 20000; i++)
        before[i] = at_hash(memo__draw_next(&state));
    for (uint32_t i = 3; i < 9; i++)
        slots[i] = i + 1;
    from.count = 9;
    rule.min_ring = 9000;
    balanced_by(MEMO__BALANCE_RING_HASH);
    state = 5;
    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t now = at_hash(memo__draw_next(&state));
        MUST(now != 3 && (before[i] == 3 || now == before[i]));
        moved += before[i] == 3;
        to[now] += before[i] == 3;
    }
    ck_assert_msg(moved > 1700 && moved < 2300, "%u", moved);
    for (uint32_t i = 0; i < 10; i++)
        ck_assert(i == 3 || to[i] > 120);             /* and are spread over all that stay */
    for (uint32_t i = 3; i < 10; i++)
        slots[i] = i;
    from.count = 10;
    rule.min_ring = 10000;
    balanced_by(MEMO__BALANCE_RING_HASH);
    eject(3);                                         /* passed for a while: the same keys go to the same places */
    state = 5;
    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t now = at_hash(memo__draw_next(&state));
        MUST(now != 3 && (before[i] == 3 ? p.other_slot == 3 && to[now]-- : now == before[i]));
    }
}
END_TEST

/* With the same minRing before and after, those that stay have more places each, as in Envoy: about as many keys again move among them. */
START_TEST(ring_disruption_of_rounding)
{
    static uint32_t before[20000];
    uint64_t state = 5;
    uint32_t its = 0, others_too = 0;
    from.count = 10;
    balanced_by(MEMO__BALANCE_RING_HASH);
    for (uint32_t i = 0; i < 20000; i++)
        before[i] = at_hash(memo__draw_next(&state));
    from.count = 9;
    balanced_by(MEMO__BALANCE_RING_HASH);
    state = 5;
    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t now = at_hash(memo__draw_next(&state));
        its += before[i] == 9;
        others_too += before[i] != 9 && now != before[i];
    }
    ck_assert_msg(its > 1500 && its < 2500 && others_too > 1000 && others_too < 2500, "%u %u", its, others_too);
}
END_TEST

/* Places in any order of their hashes: found is what a walk from the first one on would find. */
START_TEST(ring_directory)
{
    uint64_t state = 77;
    for (uint32_t n = 1; n < 40; n++) {
        from.count = n;
        rule.min_ring = 1 + n * (n % 7);
        balanced_by(MEMO__BALANCE_RING_HASH);
        const uint32_t size = *(const uint32_t *)from.table;
        const uint64_t *hashes = (const uint64_t *)from.table + 1;
        const uint32_t *owners = (const uint32_t *)(hashes + size);
        for (uint32_t i = 1; i < size; i++)
            MUST(hashes[i - 1] <= hashes[i]);
        for (uint32_t i = 0; i < 300; i++) {
            uint64_t h = i < size ? hashes[i] + i % 3 - 1 : memo__draw_next(&state);
            uint32_t at = 0;
            while (at < size && hashes[at] < h)
                at++;
            MUST(at_hash(h) == owners[at % size]);
        }
    }
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
    tcase_add_loop_test(t, other_nobody, 0, COUNT(others));
    tcase_add_loop_test(t, other_skips, 0, COUNT(others));
    tcase_add_loop_test(t, other_by_weight, 0, BY_WEIGHT);
    tcase_add_loop_test(t, other_needle, 0, COUNT(others));
    tcase_add_test(t, random_tells_the_weight);
    tcase_add_test(t, slow_start_curve);
    tcase_add_loop_test(t, newcomers_are_spared, 0, COUNT(warming));
    tcase_add_loop_test(t, a_young_clock, 0, COUNT(warming));
    tcase_add_test(t, young_weights_are_told);
    tcase_add_loop_test(t, all_are_young, 0, COUNT(warming));
    tcase_add_test(t, ring_is_envoys);
    tcase_add_test(t, ring_sizes);
    tcase_add_test(t, ring_spread);
    tcase_add_test(t, ring_disruption);
    tcase_add_test(t, ring_disruption_of_rounding);
    tcase_add_test(t, ring_directory);
    tcase_add_test(t, fewest_calls);
    tcase_add_test(t, calls_under_way_follow_the_weights);
    tcase_add_test(t, few_are_all_looked_at);
    tcase_add_test(t, weighted_turns);
    tcase_add_loop_test(t, weighted_turns_are_even, 0, 5);
    tcase_add_test(t, weighted_turns_have_a_bound);
    tcase_add_test(t, weighted_stripes);
    tcase_add_test(t, weighted_turns_past_an_ejected_one);
    suite_add_tcase(s, t);
    return s;
}
