/* SPDX-License-Identifier: Apache-2.0 */
/* breaker.c: how it opens, probes and heals; window and stripes; late and lost permits; against a naive model. */
#include "policy/breaker.h"
#include "story.h"

static struct memo__breaker b LINE_ALIGNED;
static struct memo__breaker_part part[4] LINE_ALIGNED;
static struct memo__striped parts;
static struct memo__breaker_rule rule;
#define LEASE (1 * S)

static void begin(void)
{
    parts = PARTS(part);
    rule = (struct memo__breaker_rule){ .on = true, .window = 10 * S, .min_calls = 4, .failed = 500000, .slow = 800000, .slower_than = 400 * MS, .open_for = 5 * S,
                                        .probes = 2 };
    memset(&b, 0xff, sizeof b);
    memset(part, 0xff, sizeof part);
    memo__breaker_init(&b, &parts);
}

static enum memo__breaker_phase phase(void) { return memo__breaker_phase_of(b.word); }

/* What is good goes the short way, as in a call. */
static enum memo__breaker_turn report(struct memo__stripe stripe, const struct memo__breaker_rule *of, struct memo__permit p, memo__instant now, bool failed, bool slow)
{
    if (!failed && !slow && memo__breaker_report_good(&b, &parts, stripe, p, now))
        return MEMO__BREAKER_NOTHING;
    return memo__breaker_report(&b, &parts, stripe, of, p, now, failed, slow);
}

static bool admit(memo__instant now, struct memo__permit *p)
{
    bool would = memo__breaker_check(&b, &rule, now);
    bool did = memo__breaker_admit(&b, &rule, now, LEASE, p);
    MUST(would == did); /* nobody else is here */
    return did;
}

static enum memo__breaker_turn call(memo__instant now, bool failed, bool slow)
{
    struct memo__permit p;
    ck_assert(admit(now, &p));
    return report(alone(0), &rule, p, now, failed, slow);
}

static void open_at(memo__instant now)
{
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(call(now, true, false), MEMO__BREAKER_NOTHING);
    ck_assert_int_eq(call(now, true, false), MEMO__BREAKER_OPENED);
}

struct step { int64_t ms; bool admitted, failed, slow; int turn, phase; };

static void tell(const struct step *steps, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct memo__permit p;
        ck_assert_msg(admit(steps[i].ms * MS, &p) == steps[i].admitted, "step %zu", i);
        if (steps[i].admitted)
            ck_assert_msg((int)report(alone(0), &rule, p, steps[i].ms * MS, steps[i].failed, steps[i].slow) == steps[i].turn, "step %zu", i);
        ck_assert_msg((int)phase() == steps[i].phase, "step %zu", i);
    }
}
#define TELL(...) do { static const struct step steps_[] = { __VA_ARGS__ }; tell(steps_, COUNT(steps_)); } while (0)
enum { CLOSED = MEMO__BREAKER_CLOSED, OPEN = MEMO__BREAKER_OPEN, HALF = MEMO__BREAKER_HALF_OPEN, NO = MEMO__BREAKER_NOTHING };

START_TEST(opens_and_heals)
{
    TELL({    0, true,  true,  false, NO, CLOSED },
         {   10, true,  true,  false, NO, CLOSED },
         {   20, true,  false, false, NO, CLOSED },                          /* 2 of 3 failed, but 4 calls are needed */
         {   30, true,  false, false, MEMO__BREAKER_OPENED, OPEN },          /* the fourth, a good one: 2 of 4 are 50 % */
         {   31, false, false, false, NO, OPEN },
         { 5029, false, false, false, NO, OPEN },                            /* a millisecond early */
         { 5031, true,  false, false, NO, HALF },
         { 5040, true,  false, false, MEMO__BREAKER_TURNED_CLOSED, CLOSED }, /* the second probe heals it */
         { 5050, true,  true,  false, NO, CLOSED },                          /* what was before is forgotten */
         { 5060, true,  true,  false, NO, CLOSED },
         { 5070, true,  true,  false, NO, CLOSED },
         { 5080, true,  true,  false, MEMO__BREAKER_OPENED, OPEN },
         { 10081, true, true,  false, MEMO__BREAKER_REOPENED, OPEN },        /* a probe that fails costs another openFor */
         { 15080, false, false, false, NO, OPEN },
         { 15082, true, false, true, MEMO__BREAKER_REOPENED, OPEN },         /* and so does a slow one */
         { 20083, true, false, false, NO, HALF },
         { 20084, true, false, false, MEMO__BREAKER_TURNED_CLOSED, CLOSED });
}
END_TEST

START_TEST(below_its_share)
{
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(call(i * 10 * MS, i % 3 == 2, false), MEMO__BREAKER_NOTHING); /* a third */
    ck_assert_int_eq(phase(), CLOSED);
}
END_TEST

START_TEST(slow_calls)
{
    TELL({ 0, true, false, true, NO, CLOSED },
         { 1, true, false, false, NO, CLOSED },
         { 2, true, false, true, NO, CLOSED },
         { 3, true, false, true, NO, CLOSED },
         { 4, true, false, true, MEMO__BREAKER_OPENED, OPEN }); /* 4 of 5 */
}
END_TEST

START_TEST(never_by_what_is_off)
{
    rule.failed = 0;
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(call(i, true, i % 2 == 0), MEMO__BREAKER_NOTHING);
    begin();
    rule.slow = 0;
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(call(i, i % 4 == 0, true), MEMO__BREAKER_NOTHING);
    struct memo__breaker_facts f;
    memo__breaker_read(&b, &parts, &rule, 0, &f);
    ck_assert_uint_eq(f.slow, 100); /* still told */
}
END_TEST

/* A probe that is not bad by the rule heals, whatever else it was. */
START_TEST(probe_by_what_is_on)
{
    rule.slow = 0;
    open_at(0);
    ck_assert_int_eq(call(5001 * MS, false, true), MEMO__BREAKER_NOTHING);
    ck_assert_int_eq(call(5002 * MS, false, true), MEMO__BREAKER_TURNED_CLOSED);
}
END_TEST

START_TEST(window_slides)
{
    TELL({     0, true, true,  false, NO, CLOSED },
         {   500, true, true,  false, NO, CLOSED },
         {  9999, true, true,  false, NO, CLOSED },
         { 10000, true, true,  false, NO, CLOSED }, /* the first second is gone: 2 of 2 */
         { 10001, true, false, false, NO, CLOSED },
         { 18999, true, false, false, MEMO__BREAKER_OPENED, OPEN });
}
END_TEST

/* After a pause longer than the window everything is gone, also if it is many windows long. */
START_TEST(window_after_a_pause)
{
    struct memo__breaker_facts f;
    for (int i = 0; i < 3; i++)
        call(0, true, true);
    memo__breaker_read(&b, &parts, &rule, 0, &f);
    ck_assert(f.calls == 3 && f.failed == 3 && f.slow == 3 && f.phase == MEMO__BREAKER_CLOSED && f.opens_until == 0);
    memo__breaker_read(&b, &parts, &rule, 9 * S, &f);
    ck_assert_uint_eq(f.calls, 3);
    memo__breaker_read(&b, &parts, &rule, 10 * S, &f); /* nobody turned the part */
    ck_assert_uint_eq(f.calls, 0);
    ck_assert_int_eq(call(1000 * S, true, false), MEMO__BREAKER_NOTHING);
    memo__breaker_read(&b, &parts, &rule, 1000 * S, &f);
    ck_assert(f.calls == 1 && f.failed == 1);
}
END_TEST

START_TEST(a_now_in_the_past)
{
    struct memo__breaker_facts f;
    call(100 * S, true, false);
    ck_assert_int_eq(call(90 * S, true, false), MEMO__BREAKER_NOTHING); /* counts as the part's own time */
    memo__breaker_read(&b, &parts, &rule, 90 * S, &f);
    ck_assert_uint_eq(f.calls, 2);
    begin();
    open_at(100 * S - 1);
    ck_assert(!memo__breaker_check(&b, &rule, 50 * S)); /* just opened, not 208 days ago */
    memo__breaker_read(&b, &parts, &rule, 50 * S, &f);
    ck_assert_int_eq(f.opens_until, 55 * S);
}
END_TEST

/* A caller vanishes with its probe: when the lease is over, the next one gets it. */
START_TEST(probe_that_vanishes)
{
    struct memo__permit lost, second, third, more;
    open_at(0);
    ck_assert(admit(5001 * MS, &lost));
    ck_assert(admit(5002 * MS, &second));
    ck_assert(!admit(5003 * MS, &more));      /* two at once */
    ck_assert(!admit(6000 * MS, &more));
    ck_assert(admit(6002 * MS, &third));      /* the first one's lease is over */
    ck_assert(third.probe == lost.probe && third.mark != lost.mark);
    ck_assert_int_eq(report(alone(0), &rule, lost, 6003 * MS, true, false), MEMO__BREAKER_NOTHING); /* too late to say anything */
    ck_assert_int_eq(phase(), HALF);
    ck_assert_int_eq(report(alone(0), &rule, second, 6004 * MS, false, false), MEMO__BREAKER_NOTHING); /* late, but nobody else has it */
    ck_assert_int_eq(report(alone(0), &rule, third, 6005 * MS, false, false), MEMO__BREAKER_TURNED_CLOSED);
    ck_assert_int_eq(report(alone(0), &rule, third, 6005 * MS, false, false), MEMO__BREAKER_NOTHING); /* twice */
}
END_TEST

START_TEST(probe_given_back)
{
    struct memo__permit p, q, r;
    open_at(0);
    ck_assert(admit(5001 * MS, &p));
    ck_assert(admit(5001 * MS, &q));
    ck_assert(!admit(5001 * MS, &r));
    memo__breaker_cancel(&b, p);
    memo__breaker_cancel(&b, p);
    ck_assert(admit(5001 * MS, &r));
    memo__breaker_cancel(&b, p);              /* again: it is not ours any more */
    ck_assert(!admit(5001 * MS, &p));
    ck_assert_int_eq(phase(), HALF);          /* and nothing was learned */
    ck_assert_int_eq(report(alone(0), &rule, p, 5002 * MS, true, false), MEMO__BREAKER_NOTHING);
}
END_TEST

START_TEST(reports_of_another_epoch)
{
    struct memo__permit early, none = { MEMO__NO_EPOCH, MEMO__NO_PROBE, 0, 0 };
    struct memo__breaker_facts f;
    ck_assert(admit(0, &early));
    open_at(0);
    memo__breaker_cancel(&b, early);
    ck_assert_int_eq(report(alone(0), &rule, early, 1, true, false), MEMO__BREAKER_NOTHING);
    ck_assert_int_eq(report(alone(0), &rule, none, 1, true, false), MEMO__BREAKER_NOTHING);
    memo__breaker_read(&b, &parts, &rule, 1 * S, &f);
    ck_assert(f.calls == 0 && f.phase == MEMO__BREAKER_OPEN && f.opens_until >= 5 * S && f.opens_until < 5 * S + 20 * MEMO__US);
}
END_TEST

/* The turn empties the window; why it was is told as long as it is not closed. */
START_TEST(why_it_is_open)
{
    struct memo__breaker_facts was = { .calls = 5, .failed = 1, .slow = 4 }, f;
    memo__breaker_why(&b, &parts, &rule, 0, &f);
    ck_assert(f.phase == MEMO__BREAKER_CLOSED && f.calls == 0);
    open_at(0);
    memo__breaker_turned(&b, &was);
    memo__breaker_why(&b, &parts, &rule, 1 * S, &f);
    ck_assert(f.phase == MEMO__BREAKER_OPEN && f.calls == 5 && f.failed == 1 && f.slow == 4 && f.opens_until >= 5 * S);
    ck_assert(memo__breaker_reached(4, 5, 800000) && !memo__breaker_reached(3, 5, 800000));
    ck_assert(!memo__breaker_reached(0, 0, 10000) && !memo__breaker_reached(5, 5, 0));
}
END_TEST

/* Sixteen leases are all there are. */
START_TEST(probes_are_capped)
{
    struct memo__permit p;
    rule.probes = 40;
    open_at(0);
    for (int i = 0; i < 16; i++)
        ck_assert(admit(6 * S, &p));
    ck_assert(!admit(6 * S, &p));
}
END_TEST

static enum memo__breaker_turn on(struct memo__stripe stripe, memo__instant now, bool failed)
{
    struct memo__permit p;
    ck_assert(admit(now, &p));
    return report(stripe, &rule, p, now, failed, false);
}

START_TEST(stripes_are_summed)
{
    struct memo__breaker_facts f;
    ck_assert_int_eq(on(alone(0), 0, true), MEMO__BREAKER_NOTHING);
    ck_assert_int_eq(on(alone(1), 1 * S, true), MEMO__BREAKER_NOTHING);
    ck_assert_int_eq(on(shared(2), 2 * S, false), MEMO__BREAKER_NOTHING);
    memo__breaker_read(&b, &parts, &rule, 9 * S, &f);
    ck_assert(f.calls == 3 && f.failed == 2);
    memo__breaker_read(&b, &parts, &rule, 10 * S, &f);  /* parts turn when their own stripe reports; a reader leaves out what is over */
    ck_assert(f.calls == 2 && f.failed == 1);
    memo__breaker_read(&b, &parts, &rule, 12 * S, &f);
    ck_assert_uint_eq(f.calls, 0);
    ck_assert_int_eq(on(shared(3), 9 * S, true), MEMO__BREAKER_OPENED); /* the fourth of four stripes */
    ck_assert_int_eq(on(alone(1), 14 * S + 1 * MS, false), MEMO__BREAKER_NOTHING);
    ck_assert_int_eq(on(alone(2), 14 * S + 1 * MS, false), MEMO__BREAKER_TURNED_CLOSED);
    ck_assert_int_eq(on(alone(0), 15 * S, false), MEMO__BREAKER_NOTHING);
    memo__breaker_read(&b, &parts, &rule, 15 * S, &f); /* the other parts still hold the old epoch: not counted */
    ck_assert(f.calls == 1 && f.failed == 0);
}
END_TEST

/* A good report on a stripe that is over the share on its own: the others decide. */
START_TEST(others_outweigh)
{
    for (int i = 0; i < 20; i++)
        on(alone(1), 0, false);
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(on(alone(0), 0, i < 5), MEMO__BREAKER_NOTHING);
}
END_TEST

/* A part whose clock went on, and a reader that was slower. */
START_TEST(reader_is_late)
{
    struct memo__breaker_facts f;
    on(alone(0), 20 * S, true);
    memo__breaker_read(&b, &parts, &rule, 15 * S, &f);
    ck_assert_uint_eq(f.calls, 1);
}
END_TEST

/* Somebody turned the bucket, and did not get to write its end. */
START_TEST(half_turned_part)
{
    on(alone(0), 5 * S, false);
    part[0].until = 0;
    ck_assert_int_eq(on(alone(0), 5 * S, false), MEMO__BREAKER_NOTHING);
    ck_assert_uint_eq(part[0].calls, 2);
}
END_TEST

START_TEST(very_many_calls)
{
    struct memo__breaker_facts f;
    on(alone(0), 0, false);
    on(alone(1), 0, false);
    part[0].calls = part[1].calls = UINT32_MAX;
    memo__breaker_read(&b, &parts, &rule, 0, &f);
    ck_assert_uint_eq(f.calls, UINT32_MAX);
}
END_TEST

/* Somebody closed or reopened it after it was seen otherwise. */
START_TEST(turned_meanwhile)
{
    struct memo__permit p;
    ck_assert(memo__breaker_check_slow(&b, &rule, 0));
    ck_assert(memo__breaker_admit_slow(&b, &rule, 0, LEASE, &p));
    ck_assert_uint_eq(p.probe, MEMO__NO_PROBE);
}
END_TEST

/* Against a model that keeps every report, on one stripe: the same turns at the same reports. */
struct kept { uint64_t bucket; bool failed; };

static bool model_opens(const struct kept *kept, size_t n, uint64_t bucket)
{
    uint32_t calls = 0, failed = 0;
    for (size_t i = 0; i < n; i++)
        if (kept[i].bucket + 10 > bucket) {
            calls++;
            failed += kept[i].failed;
        }
    return calls >= rule.min_calls && failed && (double)failed >= (double)calls * rule.failed / 1e6;
}

START_TEST(as_the_model)
{
    uint64_t state = (uint64_t)_i;
    static struct kept kept[2000];
    size_t n = 0;
    memo__instant now = 0;
    rule.min_calls = 1 + memo__draw_below(memo__draw_next(&state), 20);
    rule.failed = 100000 * (1 + memo__draw_below(memo__draw_next(&state), 10));
    uint32_t bad = memo__draw_below(memo__draw_next(&state), 100);
    for (int i = 0; i < 2000; i++) {
        now += memo__draw_below(memo__draw_next(&state), 100) == 0 ? 7 * S : memo__draw_below(memo__draw_next(&state), 500) * MS;
        kept[n++] = (struct kept){ (uint64_t)(now / S), memo__draw_below(memo__draw_next(&state), 100) < bad };
        enum memo__breaker_turn turn = call(now, kept[n - 1].failed, false);
        MUST((turn == MEMO__BREAKER_OPENED) == model_opens(kept, n, (uint64_t)(now / S)));
        if (turn != MEMO__BREAKER_OPENED)
            continue;
        now += rule.open_for + MS;
        call(now, false, false);
        ck_assert_int_eq(call(now, false, false), MEMO__BREAKER_TURNED_CLOSED);
        n = 0;
    }
}
END_TEST

Suite *suite_policy_breaker(void)
{
    Suite *s = suite_create("policy/breaker");
    TCase *t = tcase_create("breaker");
    tcase_add_checked_fixture(t, begin, NULL);
    tcase_add_test(t, opens_and_heals);
    tcase_add_test(t, below_its_share);
    tcase_add_test(t, slow_calls);
    tcase_add_test(t, never_by_what_is_off);
    tcase_add_test(t, probe_by_what_is_on);
    tcase_add_test(t, window_slides);
    tcase_add_test(t, window_after_a_pause);
    tcase_add_test(t, a_now_in_the_past);
    tcase_add_test(t, probe_that_vanishes);
    tcase_add_test(t, probe_given_back);
    tcase_add_test(t, reports_of_another_epoch);
    tcase_add_test(t, why_it_is_open);
    tcase_add_test(t, probes_are_capped);
    tcase_add_test(t, stripes_are_summed);
    tcase_add_test(t, others_outweigh);
    tcase_add_test(t, reader_is_late);
    tcase_add_test(t, half_turned_part);
    tcase_add_test(t, very_many_calls);
    tcase_add_test(t, turned_meanwhile);
    tcase_add_loop_test(t, as_the_model, 0, 40);
    suite_add_tcase(s, t);
    return s;
}
