/* SPDX-License-Identifier: Apache-2.0 */
/* gate.c: all or nothing; observe refuses nothing and says what it would have done. */
#include "policy/gate.h"
#include "story.h"

static struct memo__breaker breaker[2] LINE_ALIGNED;
static struct memo__breaker_part breaker_part[1] LINE_ALIGNED;
static struct memo__limiter limiter LINE_ALIGNED;
static struct memo__lease_part limiter_part[1] LINE_ALIGNED, bulkhead_part[1] LINE_ALIGNED;
static union { struct memo__keyed k; unsigned char room[4096]; } keyed LINE_ALIGNED;
static struct memo__bulkhead bulkhead LINE_ALIGNED;
static struct memo__breaker_rule breaker_rule;
static struct memo__limit_rule all, per_user;
static struct memo__concurrency_rule concurrency;
static struct memo__striped breaker_parts;
static struct memo__gate g;
static struct memo__gate_result r;

static void begin(void)
{
    breaker_parts = PARTS(breaker_part);
    breaker_rule = (struct memo__breaker_rule){ .on = true, .window = 10 * S, .min_calls = 1, .failed = 500000, .open_for = 5 * S, .probes = 1 };
    all = (struct memo__limit_rule){ .name = "all", .count = 10, .period = S, .burst = 3, .by_header = MEMO__NO_INDEX };
    per_user = (struct memo__limit_rule){ .name = "per-user", .count = 10, .period = S, .burst = 2, .by_header = 0 };
    concurrency = (struct memo__concurrency_rule){ .on = true, .max = 2 };
    g = (struct memo__gate){ .breakers_count = 2, .limits_count = 2, .breakers = { { &breaker[0], &breaker_rule, 0 }, { &breaker[1], &breaker_rule, 1 } },
                             .limits = { { .limiter = &limiter, .parts = PARTS(limiter_part), .rule = &all }, { .keyed = &keyed.k, .hash = 77, .rule = &per_user } },
                             .bulkhead = &bulkhead, .bulkhead_parts = PARTS(bulkhead_part), .concurrency = &concurrency };
    for (int i = 0; i < 2; i++)
        memo__breaker_init(&breaker[i], &breaker_parts);
    memo__limiter_init(&limiter, &g.limits[0].parts, &all);
    ck_assert_uint_le(memo__keyed_size(64), sizeof keyed);
    memo__keyed_init(&keyed.k, 64, &per_user);
    memo__bulkhead_init(&bulkhead, &g.bulkhead_parts, &concurrency);
}

/* As a call does: the short way if it is there. */
static int32_t enter(memo__instant now)
{
    uint32_t epoch = MEMO__NO_EPOCH;
    if (!memo__gate_quick(&g, alone(0), now, &epoch))
        return memo__gate_enter(&g, alone(0), now, S, &r);
    struct memo__permit none = { MEMO__NO_EPOCH, MEMO__NO_PROBE, 0, 0 };
    r = (struct memo__gate_result){ .taken = (uint8_t)(MEMO__GATE_LIMIT_BIT(g.limits_count) - MEMO__GATE_LIMIT_BIT(0)), .permits = { none, none } };
    if (g.breakers_count) {
        r.taken |= 1;
        r.permits[0].epoch = epoch;
    }
    if (g.bulkhead)
        r.taken |= MEMO__GATE_BULKHEAD_BIT;
    return MEMO_OK;
}

static uint64_t tokens(memo__instant now)
{
    struct memo__limiter_facts f;
    memo__limiter_read(&limiter, &g.limits[0].parts, now, &f);
    return f.tokens;
}

static uint64_t user_tokens(memo__instant now)
{
    uint64_t n;
    int64_t after;
    memo__keyed_read(&keyed.k, 77, now, &n, &after);
    return n;
}

static void open_breaker(int i, memo__instant now)
{
    struct memo__permit p;
    ck_assert(memo__breaker_admit(&breaker[i], &breaker_rule, now, S, &p));
    ck_assert_int_eq(memo__breaker_report(&breaker[i], &breaker_parts, alone(0), &breaker_rule, p, now, true, false), MEMO__BREAKER_OPENED);
}

START_TEST(nothing_to_pass)
{
    g = (struct memo__gate){ 0 };
    ck_assert_int_eq(enter(0), MEMO_OK);
    ck_assert(r.taken == 0 && r.would == 0 && r.permits[0].epoch == MEMO__NO_EPOCH);
    memo__gate_leave(&g, alone(0), &r);
    memo__gate_undo(&g, alone(0), &r);
}
END_TEST

START_TEST(all_are_taken)
{
    ck_assert_int_eq(enter(0), MEMO_OK);
    ck_assert(r.kind == MEMO__GATE_NONE && r.would == 0 && r.taken == (1 | 2 | 4 | 8 | 64));
    ck_assert(r.permits[0].epoch == 0 && r.permits[1].epoch == 0);
    ck_assert(tokens(0) == 2 && user_tokens(0) == 1);
    ck_assert_uint_eq(memo__bulkhead_read(&bulkhead, &g.bulkhead_parts), 1);
    memo__gate_leave(&g, alone(0), &r);
    ck_assert_uint_eq(memo__bulkhead_read(&bulkhead, &g.bulkhead_parts), 0);
    ck_assert(tokens(0) == 2 && user_tokens(0) == 1);              /* tokens are spent */
    ck_assert_int_eq(enter(0), MEMO_OK);
    memo__gate_undo(&g, alone(0), &r);                             /* a call that was never made */
    ck_assert(tokens(0) == 2 && user_tokens(0) == 1);
    ck_assert_uint_eq(memo__bulkhead_read(&bulkhead, &g.bulkhead_parts), 0);
}
END_TEST

/* A permit that came back is at hand for the next call of this stripe. */
START_TEST(at_hand)
{
    g.limits_count = 0;
    ck_assert_int_eq(enter(0), MEMO_OK);
    memo__gate_leave(&g, alone(0), &r);
    ck_assert_uint_eq(bulkhead_part[0].held, 1);
    ck_assert_int_eq(enter(0), MEMO_OK);
    ck_assert(r.taken == (1 | 2 | 64) && r.would == 0 && r.permits[0].epoch == 0 && r.permits[1].epoch == 0);
    ck_assert_uint_eq(bulkhead_part[0].held, 0);
}
END_TEST

static void refused_and_nothing_taken(memo__instant now, int32_t status, int kind, int index)
{
    uint64_t t = tokens(now), u = user_tokens(now), busy = memo__bulkhead_read(&bulkhead, &g.bulkhead_parts);
    ck_assert_int_eq(enter(now), status);
    ck_assert(r.kind == kind && r.index == index && r.taken == 0);
    ck_assert(tokens(now) == t && user_tokens(now) == u && memo__bulkhead_read(&bulkhead, &g.bulkhead_parts) == busy);
}

START_TEST(refusals_take_nothing)
{
    open_breaker(1, 0);
    refused_and_nothing_taken(0, MEMO_REFUSED_OPEN, MEMO__GATE_BREAKER, 1);
    begin();
    enter(0);
    enter(0);
    refused_and_nothing_taken(0, MEMO_REFUSED_LIMITED, MEMO__GATE_LIMIT, 1);
    g.limits_count = 1;
    refused_and_nothing_taken(0, MEMO_REFUSED_OVERLOADED, MEMO__GATE_BULKHEAD, 0);
    memo__gate_leave(&g, alone(0), &r);                            /* of a refusal: nothing to return */
    g.bulkhead = NULL;
    ck_assert_int_eq(enter(0), MEMO_OK);
    refused_and_nothing_taken(0, MEMO_REFUSED_LIMITED, MEMO__GATE_LIMIT, 0);
}
END_TEST

/* A breaker that would let a probe through keeps it, if another gate refuses. */
START_TEST(no_probe_is_consumed)
{
    open_breaker(0, 0);
    g.limits_count = 1;
    memo__instant now = 5001 * MS;
    while (memo__limiter_take(&limiter, &g.limits[0].parts, alone(0), now))
        ;
    refused_and_nothing_taken(now, MEMO_REFUSED_LIMITED, MEMO__GATE_LIMIT, 0);
    ck_assert_int_eq(memo__breaker_phase_of(breaker[0].word), MEMO__BREAKER_OPEN);
    now += S;
    ck_assert_int_eq(enter(now), MEMO_OK);
    ck_assert_uint_eq(r.permits[0].probe, 0);
    refused_and_nothing_taken(now, MEMO_REFUSED_OPEN, MEMO__GATE_BREAKER, 0);
}
END_TEST

/* Two gates that are the same thing: both peeks say yes, the second taking finds nothing. As when another call came in between. */
START_TEST(lost_race_gives_back)
{
    open_breaker(0, 0);
    g.breakers[1].breaker = &breaker[0];
    memo__instant now = 6 * S;
    ck_assert_int_eq(enter(now), MEMO_REFUSED_OPEN);
    ck_assert(r.kind == MEMO__GATE_BREAKER && r.index == 1 && r.taken == 0);
    ck_assert_int_eq(memo__breaker_phase_of(breaker[0].word), MEMO__BREAKER_HALF_OPEN);
    g.breakers_count = 1;
    ck_assert_int_eq(enter(now), MEMO_OK);                         /* its probe is free */
    begin();
    all.burst = per_user.burst = 1;
    memo__limiter_init(&limiter, &g.limits[0].parts, &all);
    g.limits[1] = g.limits[0];
    ck_assert_int_eq(enter(0), MEMO_REFUSED_LIMITED);
    ck_assert(r.index == 1 && r.taken == 0 && tokens(0) == 1);
    begin();
    memo__keyed_init(&keyed.k, 64, &all);
    all.burst = 1;
    memo__keyed_init(&keyed.k, 64, &all);
    g.limits[0] = g.limits[1];
    ck_assert_int_eq(enter(0), MEMO_REFUSED_LIMITED);
    ck_assert(r.index == 1 && r.taken == 0 && user_tokens(0) == 1);
}
END_TEST

/* Everything has to be at hand, or nothing is taken and the long way is gone. */
START_TEST(the_short_way)
{
    uint32_t epoch = 7;
    all.burst = 64;                                                /* lent by twos */
    concurrency.max = 64;
    g.breakers_count = g.limits_count = 1;
    memo__limiter_init(&limiter, &g.limits[0].parts, &all);
    memo__bulkhead_init(&bulkhead, &g.bulkhead_parts, &concurrency);
    ck_assert(!memo__gate_quick(&g, alone(0), 1, &epoch));         /* no token is lent yet */
    ck_assert_int_eq(enter(1), MEMO_OK);
    ck_assert(limiter_part[0].held == 1 && bulkhead_part[0].held == 1);
    ck_assert(memo__gate_quick(&g, alone(0), 2, &epoch));
    ck_assert(epoch == 0 && limiter_part[0].held == 0 && limiter_part[0].used_at == 2 && bulkhead_part[0].held == 0);
    limiter_part[0].held = 1;
    ck_assert(!memo__gate_quick(&g, alone(0), 3, &epoch));         /* no permit */
    g.bulkhead = NULL;
    breaker[0].word = 5 << 7;                                      /* closed, its fifth epoch */
    ck_assert(memo__gate_quick(&g, alone(0), 3, &epoch));
    ck_assert(epoch == 5 && limiter_part[0].held == 0);
    limiter_part[0].held = 1;
    g.breakers_count = 2;
    ck_assert(!memo__gate_quick(&g, alone(0), 3, &epoch));
    g.breakers_count = 1;
    g.limits[0] = g.limits[1];                                     /* by header */
    ck_assert(!memo__gate_quick(&g, alone(0), 3, &epoch));
    g.limits_count = 0;
    ck_assert(memo__gate_quick(&g, alone(0), 3, &epoch));
    open_breaker(0, 3);
    ck_assert(!memo__gate_quick(&g, alone(0), 3, &epoch));
    g.breakers_count = 0;
    ck_assert(memo__gate_quick(&g, alone(0), 3, &epoch));
}
END_TEST

/* The same with what is lent to the stripe: seen there by both, taken by the first; the second goes the long way and finds more. */
START_TEST(lost_race_for_what_is_at_hand)
{
    all.burst = 64;                                                /* lent by twos */
    g.breakers_count = 0;
    g.limits_count = 1;
    memo__limiter_init(&limiter, &g.limits[0].parts, &all);
    ck_assert_int_eq(enter(0), MEMO_OK);
    ck_assert_uint_eq(limiter_part[0].held, 1);
    g.limits_count = 2;
    g.limits[1] = g.limits[0];
    g.bulkhead = NULL;
    ck_assert_int_eq(enter(0), MEMO_OK);
    ck_assert(r.taken == (4 | 8) && tokens(0) == 61);
    g.limits_count = 1;
    g.bulkhead = &bulkhead;
    g.bulkhead_parts = g.limits[0].parts;
    memo__limiter_init(&limiter, &g.limits[0].parts, &all);
    limiter_part[0].held = 1;
    ck_assert_int_eq(enter(0), MEMO_OK);
    ck_assert(r.taken == (4 | 64) && limiter_part[0].held == 0);
    ck_assert_int_eq(bulkhead.free, 0);                            /* two; one went to the first caller */
}
END_TEST

START_TEST(observe)
{
    open_breaker(0, 0);
    breaker_rule.mode = all.mode = per_user.mode = concurrency.mode = MEMO__OBSERVE;
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(enter(0), MEMO_OK);
        ck_assert(r.would == 1 && r.taken == (2 | 4 | 8 | 64) && r.permits[0].epoch == MEMO__NO_EPOCH && r.permits[1].epoch == 0);
    }
    ck_assert_int_eq(enter(0), MEMO_OK);
    ck_assert(r.would == (1 | 8 | 64) && r.taken == (2 | 4));
    memo__gate_leave(&g, alone(0), &r);                            /* it holds none */
    ck_assert_uint_eq(memo__bulkhead_read(&bulkhead, &g.bulkhead_parts), 2);
    ck_assert_int_eq(enter(0), MEMO_OK);
    ck_assert_int_eq(r.would, 1 | 4 | 8 | 64);
    memo__gate_undo(&g, alone(0), &r);
    ck_assert_uint_eq(tokens(0), 0);
}
END_TEST

/* One gate observes, the others are in force. */
START_TEST(observe_one)
{
    all.mode = MEMO__OBSERVE;
    per_user.burst = 100;
    memo__keyed_init(&keyed.k, 64, &per_user);
    concurrency.max = 100;
    memo__bulkhead_init(&bulkhead, &g.bulkhead_parts, &concurrency);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(enter(0), MEMO_OK);
        ck_assert_int_eq(r.would, i < 3 ? 0 : 4);
    }
    breaker_rule.mode = MEMO__OBSERVE;
    open_breaker(0, 0);
    ck_assert_int_eq(enter(0), MEMO_OK);
    ck_assert_int_eq(r.would, 1 | 4);
    concurrency.max = 11;
    concurrency.mode = MEMO__OBSERVE;
    memo__bulkhead_change(&bulkhead, &g.bulkhead_parts, &concurrency);
    ck_assert_int_eq(enter(0), MEMO_OK);
    ck_assert_int_eq(r.would, 1 | 4 | 64);
}
END_TEST

Suite *suite_policy_gate(void)
{
    Suite *s = suite_create("policy/gate");
    TCase *t = tcase_create("gate");
    tcase_add_checked_fixture(t, begin, NULL);
    tcase_add_test(t, nothing_to_pass);
    tcase_add_test(t, all_are_taken);
    tcase_add_test(t, at_hand);
    tcase_add_test(t, refusals_take_nothing);
    tcase_add_test(t, no_probe_is_consumed);
    tcase_add_test(t, lost_race_gives_back);
    tcase_add_test(t, the_short_way);
    tcase_add_test(t, lost_race_for_what_is_at_hand);
    tcase_add_test(t, observe);
    tcase_add_test(t, observe_one);
    suite_add_tcase(s, t);
    return s;
}
