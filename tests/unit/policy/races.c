/* SPDX-License-Identifier: Apache-2.0 */
/* races.c: two threads, interleaved by hand at every compare-and-swap of lib/policy: each lost race, and what must hold after it. A program of its
 * own: see interleave.h. */
#include "interleave.h"
#include "policy/breaker.c"
#include "policy/lease.c"
#include "policy/limiter.c"
#undef MOST
#undef LONG_AGO
#include "policy/limiter_keyed.c"
#include "policy/bulkhead.c"
#define take gate_take
#include "policy/gate.c"
#undef take
#include "policy/fleet.h"
#include "policy/outlier.c"
#include "policy/retry.c"
#include "policy/shed.c"
#include "story.h"

static struct memo__breaker b LINE_ALIGNED;
static struct memo__breaker_part breaker_part[4] LINE_ALIGNED;
static struct memo__striped breaker_parts;
static struct memo__breaker_rule breaker_rule;
static struct memo__limiter l LINE_ALIGNED;
static struct memo__bulkhead h LINE_ALIGNED;
static struct memo__lease_part part[4] LINE_ALIGNED;
static struct memo__striped parts;
static struct memo__limit_rule limit_rule;
static struct memo__concurrency_rule concurrency;
static union { struct memo__keyed k; unsigned char room[256]; } keyed LINE_ALIGNED;
static struct memo__budget budget LINE_ALIGNED;
static struct memo__budget_part budget_part[1][8] LINE_ALIGNED;
static struct memo__striped budget_parts;
static struct memo__permit permit, other_permit;
static int other_turn, count;
static memo__instant now;

static void begin(void)
{
    meanwhile = NULL;
    meanwhile_skips = 0;
    now = 100 * S;
    count = 0;
    other_turn = -1;
    breaker_parts = PARTS(breaker_part);
    breaker_rule = (struct memo__breaker_rule){ .on = true, .window = 10 * S, .min_calls = 2, .failed = 500000, .open_for = 5 * S, .probes = 2 };
    memo__breaker_init(&b, &breaker_parts);
    parts = PARTS(part);
    limit_rule = (struct memo__limit_rule){ .name = "all", .count = 1000, .period = S, .burst = 640, .by_header = MEMO__NO_INDEX };
    memo__limiter_init(&l, &parts, &limit_rule);
    memo__keyed_init(&keyed.k, 8, &limit_rule);
    concurrency = (struct memo__concurrency_rule){ .on = true, .max = 128 };
    budget_parts = PARTS(budget_part);
    memo__budget_init(&budget, &budget_parts);
}

static void between(void (*other)(void), int skips)
{
    meanwhile = other;
    meanwhile_skips = skips;
}

/* The story was told: the other thread did come in. */
static void came(void) { ck_assert_ptr_null((void *)(uintptr_t)meanwhile); }

static int report(struct memo__stripe stripe, struct memo__permit p, bool failed)
{
    return (int)memo__breaker_report(&b, &breaker_parts, stripe, &breaker_rule, p, now, failed, false);
}

static struct memo__permit admitted(void)
{
    struct memo__permit p;
    ck_assert(memo__breaker_admit(&b, &breaker_rule, now, S, &p));
    return p;
}

static void open_it(void)
{
    permit = admitted();
    ck_assert_int_eq(report(alone(0), permit, true), MEMO__BREAKER_NOTHING);
    ck_assert_int_eq(report(alone(0), permit, true), MEMO__BREAKER_OPENED);
}

/* Breaker */

static void other_reports_failure(void) { other_turn = report(alone(1), other_permit, true); }
static void other_reports_success(void) { other_turn = report(alone(1), other_permit, false); }
static void other_is_admitted(void) { other_permit = admitted(); }
static void other_is_refused(void)
{
    struct memo__permit p;
    ck_assert(!memo__breaker_admit(&b, &breaker_rule, now, S, &p));
    count++;
}

START_TEST(two_open_it)
{
    permit = other_permit = admitted();
    report(alone(0), permit, true);
    report(alone(1), permit, true);                   /* both parts have turned: the next swap is the turn itself */
    begin();
    breaker_rule.min_calls = 4;
    permit = other_permit = admitted();
    report(alone(0), permit, true);
    report(alone(1), permit, true);
    report(alone(1), permit, true);
    between(other_reports_failure, 0);
    ck_assert_int_eq(report(alone(0), permit, true), MEMO__BREAKER_NOTHING);
    ck_assert_int_eq(other_turn, MEMO__BREAKER_OPENED);  /* exactly one saw it */
    came();
}
END_TEST

START_TEST(two_half_open_it)
{
    open_it();
    now += 6 * S;
    between(other_is_admitted, 0);
    permit = admitted();
    came();
    ck_assert(permit.epoch == other_permit.epoch && permit.probe != other_permit.probe); /* one turn, two leases */
    other_is_refused();
}
END_TEST

static void other_half_opens_and_fails(void)
{
    other_permit = admitted();
    ck_assert_int_eq(report(alone(1), other_permit, true), MEMO__BREAKER_REOPENED);
}

static void other_half_opens_and_heals(void)
{
    breaker_rule.probes = 1;
    other_permit = admitted();
    ck_assert_int_eq(report(alone(1), other_permit, false), MEMO__BREAKER_TURNED_CLOSED);
}

START_TEST(reopened_or_healed_meanwhile)
{
    open_it();
    now += 6 * S;
    between(other_half_opens_and_fails, 0);
    ck_assert(!memo__breaker_admit(&b, &breaker_rule, now, S, &permit));
    came();
    now += 6 * S;
    between(other_half_opens_and_heals, 0);
    ck_assert(memo__breaker_admit(&b, &breaker_rule, now, S, &permit));
    ck_assert(permit.probe == MEMO__NO_PROBE && permit.epoch == memo__breaker_epoch_of(b.word));
    came();
}
END_TEST

START_TEST(two_take_a_lease)
{
    open_it();
    now += 6 * S;
    between(other_is_admitted, 1);                    /* skip the turn, come in at the lease */
    permit = admitted();
    came();
    ck_assert(permit.probe == 1 && other_permit.probe == 0);
    breaker_rule.probes = 1;
    now += 2 * S;                                     /* both expired */
    between(other_is_admitted, 0);
    ck_assert(!memo__breaker_admit(&b, &breaker_rule, now, S, &permit)); /* there was one */
    came();
}
END_TEST

/* A lease expires and is taken by another at the very moment it is returned. */
static void other_takes_the_expired(void)
{
    now += 3 * S;
    other_permit = admitted();
    ck_assert_uint_eq(other_permit.probe, permit.probe);
}

START_TEST(returned_too_late)
{
    open_it();
    now += 6 * S;
    permit = admitted();
    between(other_takes_the_expired, 0);
    ck_assert_int_eq(report(alone(0), permit, true), MEMO__BREAKER_NOTHING);
    came();
    ck_assert_int_eq(memo__breaker_phase_of(b.word), MEMO__BREAKER_HALF_OPEN);
    ck_assert_int_eq(report(alone(0), other_permit, true), MEMO__BREAKER_REOPENED);
}
END_TEST

START_TEST(two_probes_report)
{
    open_it();
    now += 6 * S;
    permit = admitted();
    other_permit = admitted();
    between(other_reports_success, 1);                /* skip the lease, come in at the count */
    ck_assert_int_eq(report(alone(0), permit, false), MEMO__BREAKER_TURNED_CLOSED);
    came();
    ck_assert_int_eq(other_turn, MEMO__BREAKER_NOTHING);
    open_it();
    now += 6 * S;
    permit = admitted();
    other_permit = admitted();
    between(other_reports_failure, 1);
    ck_assert_int_eq(report(alone(0), permit, true), MEMO__BREAKER_NOTHING);
    ck_assert_int_eq(other_turn, MEMO__BREAKER_REOPENED);
}
END_TEST

/* A part that two threads share. */
static void other_reports_on_the_same(void) { other_turn = report(shared(0), permit, false); }

START_TEST(two_turn_a_part)
{
    permit = admitted();
    between(other_reports_on_the_same, 0);
    report(shared(0), permit, false);
    came();
    ck_assert_uint_eq(breaker_part[0].calls, 2);
    ck_assert_uint_eq(breaker_part[0].number, 100);
}
END_TEST

START_TEST(two_restart_a_part)
{
    open_it();
    now += 6 * S;
    breaker_rule.probes = 1;
    ck_assert_int_eq(report(alone(0), admitted(), false), MEMO__BREAKER_TURNED_CLOSED);
    permit = admitted();
    between(other_reports_on_the_same, 0);
    report(shared(0), permit, false);
    came();
    ck_assert(breaker_part[0].calls == 2 && breaker_part[0].failed == 0 && breaker_part[0].epoch == permit.epoch);
}
END_TEST

/* Leases */

static void other_takes_a_token(void) { count += memo__limiter_take(&l, &parts, alone(1), now); }
static void other_takes_all(void)
{
    while (memo__limiter_take(&l, &parts, alone(1), now))
        count++;
}

static int take(uint32_t stripe) { return memo__limiter_take(&l, &parts, alone(stripe), now); }

START_TEST(the_last_of_a_lease_is_stolen)
{
    int mine = 0;
    mine += take(0);
    other_takes_all();
    ck_assert_int_eq(count + mine, 640);
    memo__limiter_give(&l, &parts, alone(0));
    ck_assert_uint_eq(part[0].held, 1);
    between(other_takes_a_token, 0);                  /* between looking and taking */
    ck_assert(!take(0));
    came();
    ck_assert_int_eq(count, 640);
    memo__limiter_give(&l, &parts, alone(1));
    between(other_takes_a_token, 1);                  /* skip the gate; between finding a victim and robbing it */
    ck_assert(!take(0));
    came();
    ck_assert_int_eq(count, 641);                     /* one was given back twice */
}
END_TEST

/* One fewer than seen, but still one. */
START_TEST(one_of_a_lease_is_stolen)
{
    take(0);
    other_takes_all();
    int all = count;
    memo__limiter_give(&l, &parts, alone(0));
    memo__limiter_give(&l, &parts, alone(0));
    between(other_takes_a_token, 0);
    ck_assert(take(0));
    came();
    ck_assert_int_eq(count, all + 1);
    ck_assert(!take(0));
}
END_TEST

START_TEST(two_move_the_centre)
{
    between(other_takes_a_token, 1);                  /* skip the gate */
    ck_assert(take(0));
    came();
    ck_assert(part[0].held == 19 && part[1].held == 19 && count == 1);
    other_takes_all();
    ck_assert(count + 1 >= 620 && count + 1 <= 640);  /* what the one announced, the other held back: a batch may be lost, never won */
    now += MS;                                        /* one token */
    count = 0;
    between(other_takes_a_token, 1);
    ck_assert(!take(0));
    came();
    ck_assert_int_eq(count, 1);
}
END_TEST

/* Another thread of the same stripe filled the lease, after this one saw it empty. */
static void other_fills_the_same(void) { ck_assert(memo__limiter_take(&l, &parts, shared(0), now)); }

START_TEST(two_fill_a_lease)
{
    between(other_fills_the_same, 0);
    ck_assert(memo__limiter_take(&l, &parts, shared(0), now));
    came();
    ck_assert_uint_eq(part[0].held, 19);              /* not 38: never more than a batch */
}
END_TEST

/* Random stories: within every swap, other stripes do something, within whose swaps nobody else comes. The bucket of limiter.c's test counts. */
static uint64_t state;
static int64_t model_empty;

static void spend(uint32_t stripe)
{
    if (!memo__limiter_take(&l, &parts, shared(stripe), now))
        return;
    int64_t at = now * 16, oldest = at - l.capacity;
    model_empty = (model_empty > oldest ? model_empty : oldest) + l.interval;
    MUST(model_empty <= at); /* not above burst + rate * t */
    count++;
}

static void others_spend(void)
{
    for (uint32_t n = memo__draw_below(memo__draw_next(&state), 30); n > 0; n--)
        spend(memo__draw_below(memo__draw_next(&state), 4));
}

START_TEST(any_interleaving_of_a_limiter)
{
    state = (uint64_t)_i;
    model_empty = INT64_MIN / 4;
    for (int i = 0; i < 5000; i++) {
        uint32_t what = memo__draw_below(memo__draw_next(&state), 100);
        now += what == 0 ? 3 * S : what < 50 ? 0 : 400 * MEMO__US;
        between(others_spend, (int)memo__draw_below(memo__draw_next(&state), 4));
        spend(memo__draw_below(memo__draw_next(&state), 4));
    }
    meanwhile = NULL;
    ck_assert_int_gt(count, 640);
}
END_TEST

static void other_enters(void) { count += memo__bulkhead_enter(&h, &parts, alone(1), &concurrency); }

START_TEST(two_enter)
{
    memo__bulkhead_init(&h, &parts, &concurrency);
    between(other_enters, 0);
    ck_assert(memo__bulkhead_enter(&h, &parts, alone(0), &concurrency));
    came();
    ck_assert(part[0].held == 3 && part[1].held == 3 && h.free == 120);
    concurrency.max = 1;
    memo__bulkhead_init(&h, &parts, &concurrency);
    between(other_enters, 0);
    ck_assert(!memo__bulkhead_enter(&h, &parts, alone(0), &concurrency));
    came();
}
END_TEST

/* Gate: both peeks found the last permit. */
START_TEST(two_pass_a_gate)
{
    struct memo__gate_result r;
    concurrency.max = 1;
    memo__bulkhead_init(&h, &parts, &concurrency);
    struct memo__gate g = { .breakers_count = 1, .breakers = { { &b, &breaker_rule, 0 } }, .bulkhead = &h, .bulkhead_parts = parts, .concurrency = &concurrency };
    between(other_enters, 0);
    ck_assert_int_eq(memo__gate_enter(&g, alone(0), now, S, &r), MEMO_REFUSED_OVERLOADED);
    came();
    ck_assert(r.kind == MEMO__GATE_BULKHEAD && r.taken == 0);
    memo__bulkhead_leave(&h, &parts, alone(0), &concurrency); /* the other's; the permit is at hand now, and stolen all the same */
    count = 0;
    between(other_enters, 0);
    ck_assert_int_eq(memo__gate_enter(&g, alone(0), now, S, &r), MEMO_REFUSED_OVERLOADED);
    came();
    ck_assert(r.kind == MEMO__GATE_BULKHEAD && r.taken == 0 && count == 1);
    memo__bulkhead_init(&h, &parts, &concurrency);
    concurrency.mode = MEMO__OBSERVE;
    between(other_enters, 0);
    ck_assert_int_eq(memo__gate_enter(&g, alone(0), now, S, &r), MEMO_OK);
    ck_assert(r.would == MEMO__GATE_BULKHEAD_BIT && r.taken == 1);
}
END_TEST

/* Keyed */

static uint64_t key_of(uint64_t tag) { return tag << 40; } /* all in set 0 */
static void other_takes_key(void) { count += memo__keyed_take(&keyed.k, key_of(7), now); }
static void other_takes_another_key(void) { count += memo__keyed_take(&keyed.k, key_of(9), now); }
static void other_takes_the_key_dry(void)
{
    while (memo__keyed_take(&keyed.k, key_of(7), now))
        count++;
}
static void other_gives_key(void) { memo__keyed_give(&keyed.k, key_of(7)); }

static uint64_t key_tokens(uint64_t tag)
{
    uint64_t n;
    int64_t after;
    memo__keyed_read(&keyed.k, key_of(tag), now, &n, &after);
    return n;
}

START_TEST(two_take_of_a_key)
{
    memo__keyed_take(&keyed.k, key_of(7), now);
    between(other_takes_key, 0);
    ck_assert(memo__keyed_take(&keyed.k, key_of(7), now));
    came();
    ck_assert_uint_eq(key_tokens(7), 637);
    between(other_takes_the_key_dry, 0);
    ck_assert(!memo__keyed_take(&keyed.k, key_of(7), now));
    came();
    between(other_gives_key, 0);
    memo__keyed_give(&keyed.k, key_of(7));
    ck_assert_uint_eq(key_tokens(7), 2);
}
END_TEST

START_TEST(two_insert_a_key)
{
    between(other_takes_key, 0);                      /* in the way that this one had chosen */
    ck_assert(memo__keyed_take(&keyed.k, key_of(7), now));
    came();
    ck_assert_uint_eq(key_tokens(7), 638);
    between(other_takes_another_key, 0);
    ck_assert(memo__keyed_take(&keyed.k, key_of(8), now));
    ck_assert(key_tokens(8) == 639 && key_tokens(9) == 639);
}
END_TEST

/* Both insert the same key, in different ways: the lower one stays, and has both tokens spent. */
static void other_makes_room_below(void)
{
    keyed.k.ways[2] = way_of(7, units(&keyed.k, now) - keyed.k.capacity + keyed.k.interval);
}

static void other_uses_what_was_inserted(void)
{
    ck_assert_uint_eq(keyed.k.ways[3] >> 40, 7);
    keyed.k.ways[3] += keyed.k.interval;
}

START_TEST(a_key_in_two_ways)
{
    for (uint64_t tag = 1; tag <= 3; tag++)
        memo__keyed_take(&keyed.k, key_of(tag), now);
    between(other_makes_room_below, 0);               /* way 2 gets it after way 3 was chosen */
    ck_assert(memo__keyed_take(&keyed.k, key_of(7), now));
    came();
    ck_assert(keyed.k.ways[3] == 0 && key_tokens(7) == 638);
    begin();
    for (uint64_t tag = 1; tag <= 3; tag++)
        memo__keyed_take(&keyed.k, key_of(tag), now);
    other_makes_room_below();
    uint64_t *set = keyed.k.ways;
    between(other_uses_what_was_inserted, 1);
    ck_assert(insert(&keyed.k, set, 7, units(&keyed.k, now))); /* a third one took a token of it already: it cannot be undone */
    came();
}
END_TEST

static void other_evicts_the_key(void) { keyed.k.ways[0] = way_of(99, units(&keyed.k, now)); }

START_TEST(evicted_while_it_is_given_back)
{
    memo__keyed_take(&keyed.k, key_of(7), now);
    between(other_evicts_the_key, 0);
    memo__keyed_give(&keyed.k, key_of(7));
    came();
    ck_assert_uint_eq(key_tokens(99), 0);             /* not given to somebody else */
}
END_TEST

/* Budget */

static void other_withdraws(void) { count += memo__budget_withdraw(&budget, &budget_parts); }

START_TEST(two_withdraw)
{
    between(other_withdraws, 0);
    ck_assert(memo__budget_withdraw(&budget, &budget_parts));
    came();
    ck_assert_uint_eq(budget.consumed, 2 * MEMO__TOKEN);
    budget.consumed = 9 * MEMO__TOKEN;
    between(other_withdraws, 0);
    ck_assert(!memo__budget_withdraw(&budget, &budget_parts));
    came();
    ck_assert_int_eq(count, 2);
}
END_TEST

/* Outlier */

static struct memo__fleet fleet;
static struct memo__outlier o LINE_ALIGNED;
static struct { struct memo__endpoint_state states[64]; struct memo__endpoint_part parts[64 + 4]; } chunk LINE_ALIGNED;
static struct memo__outlier_rule outlier_rule;
static uint32_t slots[10], view_count, returned[2];

static void begin_outlier(void)
{
    ck_assert_uint_eq(sizeof chunk, memo__fleet_chunk_size(0, 1));
    memset(&chunk, 0, sizeof chunk);
    memset(&o, 0, sizeof o);
    o.soonest = MEMO__NEVER;
    memo__fleet_init(&fleet, 1);
    memo__fleet_chunk_attach(&fleet, 0, &chunk);
    for (uint32_t i = 0; i < 10; i++)
        slots[i] = i;
    view_count = 10;
    outlier_rule = (struct memo__outlier_rule){ .on = true, .consecutive_failures = 1, .eject_for = 30 * S, .max_ejected = 200000 };
}

static int outlier_fails(uint32_t slot)
{
    return (int)memo__outlier_report(&o, &chunk.states[slot], &outlier_rule, 0, view_count, now, true);
}

static void other_fails_the_same(void) { other_turn = outlier_fails(0); }
static void other_fails_another(void) { other_turn = outlier_fails(1); }
static void other_sweeps(void)
{
    struct memo__candidates view = { .slots = slots, .count = 10 };
    count += (int)memo__outlier_sweep(&o, &fleet, &view, now, returned, 2);
}

START_TEST(two_eject)
{
    begin_outlier();
    between(other_fails_the_same, 1);                 /* after the place was reserved */
    outlier_fails(0);
    came();
    ck_assert_uint_eq(o.ejected, 1);
    ck_assert_int_eq(other_turn, MEMO__OUTLIER_EJECTED);
    ck_assert_uint_eq(chunk.states[0].ejections, 1);
    begin_outlier();
    between(other_fails_another, 0);                  /* both reserve a place */
    ck_assert_int_eq(outlier_fails(0), MEMO__OUTLIER_EJECTED);
    came();
    ck_assert(o.ejected == 2 && other_turn == MEMO__OUTLIER_EJECTED);
    begin_outlier();
    outlier_rule.max_ejected = 100000;
    between(other_fails_another, 0);                  /* and there is but one */
    ck_assert_int_eq(outlier_fails(0), MEMO__OUTLIER_WOULD_EJECT);
    came();
    ck_assert_uint_eq(o.ejected, 1);
}
END_TEST

/* It returned, and is ejected again by two at once. */
START_TEST(two_eject_one_that_was_due)
{
    begin_outlier();
    outlier_fails(0);
    now += 31 * S;
    between(other_fails_the_same, 0);
    outlier_fails(0);
    came();
    ck_assert(o.ejected == 1 && other_turn == MEMO__OUTLIER_EJECTED && chunk.states[0].ejections == 2);
}
END_TEST

START_TEST(two_sweep)
{
    begin_outlier();
    outlier_fails(0);
    now += 31 * S;
    between(other_sweeps, 0);
    other_sweeps();
    came();
    ck_assert(count == 1 && o.ejected == 0);          /* returned once */
}
END_TEST

/* Two ejections that both are the soonest; the sooner one stays. */
static void other_is_sooner(void) { o.soonest = 1; }
static void other_is_later(void) { o.soonest = MEMO__NEVER - 1; }

START_TEST(two_are_the_soonest)
{
    begin_outlier();
    between(other_is_sooner, 2);
    outlier_fails(0);
    came();
    ck_assert_int_eq(o.soonest, 1);
    o.soonest = MEMO__NEVER;
    between(other_is_later, 2);
    outlier_fails(1);
    came();
    ck_assert_int_eq(o.soonest, now + 30 * S);
}
END_TEST

/* Two whose requests end with the window: one of them looks. */
static struct memo__shed sh LINE_ALIGNED;
static unsigned char shed_block[4 * MEMO__SHED_PART] LINE_ALIGNED;
static const struct memo__striped shed_parts = { shed_block, MEMO__SHED_PART, 4 };
static const struct memo__shed_rule shed_rule = { .on = true, .min = 1, .max = 10, .slowdown = 2000, .window = S, .probe_every = 30 * S };

static void other_looks(void) { count += memo__shed_look(&sh, &shed_parts, &shed_rule, now); }

START_TEST(two_look)
{
    memo__shed_init(&sh, &shed_parts, &shed_rule);
    ck_assert(!memo__shed_look(&sh, &shed_parts, &shed_rule, now));
    for (int i = 0; i < 20; i++)
        memo__shed_learn(&sh, &shed_parts, alone(0), &shed_rule, now, MS);
    now += S;
    between(other_looks, 0);
    ck_assert(!memo__shed_look(&sh, &shed_parts, &shed_rule, now));
    came();
    ck_assert_int_eq(count, 1);
    ck_assert_int_eq(sh.best, MS);
}
END_TEST

static Suite *suite_policy_races(void)
{
    Suite *s = suite_create("policy/races");
    TCase *t = tcase_create("races");
    tcase_add_checked_fixture(t, begin, NULL);
    tcase_add_test(t, two_open_it);
    tcase_add_test(t, two_half_open_it);
    tcase_add_test(t, reopened_or_healed_meanwhile);
    tcase_add_test(t, two_take_a_lease);
    tcase_add_test(t, returned_too_late);
    tcase_add_test(t, two_probes_report);
    tcase_add_test(t, two_turn_a_part);
    tcase_add_test(t, two_restart_a_part);
    tcase_add_test(t, the_last_of_a_lease_is_stolen);
    tcase_add_test(t, one_of_a_lease_is_stolen);
    tcase_add_test(t, two_move_the_centre);
    tcase_add_test(t, two_fill_a_lease);
    tcase_add_loop_test(t, any_interleaving_of_a_limiter, 0, 20);
    tcase_add_test(t, two_enter);
    tcase_add_test(t, two_pass_a_gate);
    tcase_add_test(t, two_take_of_a_key);
    tcase_add_test(t, two_insert_a_key);
    tcase_add_test(t, a_key_in_two_ways);
    tcase_add_test(t, evicted_while_it_is_given_back);
    tcase_add_test(t, two_withdraw);
    tcase_add_test(t, two_eject);
    tcase_add_test(t, two_eject_one_that_was_due);
    tcase_add_test(t, two_sweep);
    tcase_add_test(t, two_are_the_soonest);
    tcase_add_test(t, two_look);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite_policy_races());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
