/* SPDX-License-Identifier: Apache-2.0 */
/* retry.c: each reason for and against another attempt, backoff, and the budget. Also verdict.h and deadline.h, which are a few lines each. */
#include "policy/retry.h"
#include "policy/deadline.h"
#include "policy/verdict.h"
#include "story.h"

static struct memo__retry_rule rule;
static struct memo__retry_facts facts;
static struct memo__retry_plan plan;
static struct memo__budget b LINE_ALIGNED;
static struct memo__budget_part part[3][8] LINE_ALIGNED; /* a line each */
static struct memo__striped parts;

static void begin(void)
{
    rule = (struct memo__retry_rule){ .attempts = 3, .on = MEMO__ON_CONNECT_FAILURE | MEMO__ON_RESET, .methods = MEMO__GET | MEMO__HEAD, .backoff_initial = 25 * MS,
                                      .backoff_max = 250 * MS, .backoff_multiplier = 2000, .jitter = MEMO__JITTER_FULL, .budget = 100000 };
    rule.on_http[(503 - 100) / 64] |= UINT64_C(1) << (503 - 100) % 64;
    rule.on_grpc = 1u << 14;
    facts = (struct memo__retry_facts){ .attempt = 1, .kind = MEMO_OUTCOME_RESET, .method = MEMO__GET, .sent = true, .left = S, .draw = UINT64_MAX };
    parts = PARTS(part);
    memset(&b, 0xff, sizeof b);
    memset(part, 0xff, sizeof part);
    memo__budget_init(&b, &parts);
}

static enum memo__retry_reason decide(void)
{
    memo__retry_decide(&rule, &facts, &plan);
    MUST(plan.again == (plan.reason == MEMO__RETRY_YES));
    return plan.reason;
}

static enum memo__retry_reason replied(int32_t http, int32_t grpc)
{
    facts.kind = MEMO_OUTCOME_REPLIED;
    facts.http = http;
    facts.grpc = grpc;
    return decide();
}

START_TEST(outcomes)
{
    ck_assert_int_eq(decide(), MEMO__RETRY_YES);
    facts.kind = MEMO_OUTCOME_TIMED_OUT;
    ck_assert_int_eq(decide(), MEMO__RETRY_NOT_LISTED);
    rule.on |= MEMO__ON_TIMEOUT;
    ck_assert_int_eq(decide(), MEMO__RETRY_YES);
    facts.kind = MEMO_OUTCOME_CONNECT_FAILED;
    ck_assert_int_eq(decide(), MEMO__RETRY_YES);
    rule.on = 0;
    ck_assert_int_eq(decide(), MEMO__RETRY_NOT_LISTED);
    facts.kind = MEMO_OUTCOME_PROTOCOL;
    ck_assert_int_eq(decide(), MEMO__RETRY_NOT_LISTED);
    facts.kind = MEMO_OUTCOME_CANCELLED;
    ck_assert_int_eq(decide(), MEMO__RETRY_CANCELLED);
}
END_TEST

START_TEST(statuses)
{
    ck_assert_int_eq(replied(503, 0), MEMO__RETRY_YES);
    ck_assert_int_eq(replied(500, 0), MEMO__RETRY_NOT_LISTED);
    ck_assert_int_eq(replied(404, 0), MEMO__RETRY_NOT_LISTED);
    ck_assert_int_eq(replied(200, 0), MEMO__RETRY_NOT_NEEDED);
    ck_assert_int_eq(replied(0, 0), MEMO__RETRY_NOT_NEEDED);
    ck_assert_int_eq(replied(-1, -1), MEMO__RETRY_NOT_NEEDED);
    ck_assert_int_eq(replied(99, 0), MEMO__RETRY_NOT_NEEDED);
    ck_assert_int_eq(replied(700, 0), MEMO__RETRY_NOT_LISTED);
    ck_assert_int_eq(replied(200, 14), MEMO__RETRY_YES);
    ck_assert_int_eq(replied(200, 13), MEMO__RETRY_NOT_LISTED);
    ck_assert_int_eq(replied(503, 40), MEMO__RETRY_NOT_LISTED);  /* no such code */
    rule.on_http[(429 - 100) / 64] |= UINT64_C(1) << (429 - 100) % 64;
    ck_assert_int_eq(replied(429, 0), MEMO__RETRY_YES);          /* if the rules list it */
}
END_TEST

START_TEST(methods)
{
    facts.method = MEMO__POST;
    ck_assert_int_eq(decide(), MEMO__RETRY_METHOD);
    facts.method = 0;
    ck_assert_int_eq(decide(), MEMO__RETRY_METHOD);
    facts.sent = false;                                          /* never sent: any method */
    ck_assert_int_eq(decide(), MEMO__RETRY_YES);
    facts.kind = MEMO_OUTCOME_CONNECT_FAILED;
    facts.method = MEMO__POST;
    ck_assert_int_eq(decide(), MEMO__RETRY_YES);
}
END_TEST

START_TEST(attempts)
{
    facts.attempt = 2;
    ck_assert_int_eq(decide(), MEMO__RETRY_YES);
    facts.attempt = 3;
    ck_assert_int_eq(decide(), MEMO__RETRY_ATTEMPTS);
    rule.attempts = 100;
    facts.attempt = 5;
    ck_assert_int_eq(decide(), MEMO__RETRY_ATTEMPTS);            /* whatever a rule says */
}
END_TEST

START_TEST(backoff)
{
    int64_t expected[] = { 25 * MS, 50 * MS, 100 * MS, 200 * MS };
    rule.attempts = 5;
    rule.jitter = MEMO__JITTER_NONE;
    for (uint32_t i = 0; i < 4; i++) {
        facts.attempt = i + 1;
        facts.draw = 0;
        ck_assert_int_eq(decide(), MEMO__RETRY_YES);
        ck_assert_int_eq(plan.wait, expected[i]);
    }
    rule.backoff_max = 120 * MS;
    decide();
    ck_assert_int_eq(plan.wait, 120 * MS);
    rule.backoff_max = 40 * MS;
    decide();
    ck_assert_int_eq(plan.wait, 40 * MS);
    rule.backoff_multiplier = 1000;
    decide();
    ck_assert_int_eq(plan.wait, 25 * MS);
    rule.backoff_max = MEMO__NEVER;
    rule.backoff_initial = MEMO__NEVER / 2;
    rule.backoff_multiplier = 100000;
    ck_assert_int_eq(decide(), MEMO__RETRY_DEADLINE);            /* nothing overflows */
    ck_assert_int_gt(plan.wait, 0);
}
END_TEST

/* Uniform in [0, wait]: both ends, and the mean. */
START_TEST(full_jitter)
{
    facts.draw = 0;
    decide();
    ck_assert_int_eq(plan.wait, 0);
    facts.draw = UINT64_MAX;
    decide();
    ck_assert_int_eq(plan.wait, 25 * MS);
    uint64_t state = 1;
    double sum = 0;
    for (int i = 0; i < 100000; i++) {
        facts.draw = memo__draw_next(&state);
        decide();
        sum += (double)plan.wait;
    }
    ck_assert_double_eq_tol(sum / 100000, 12.5 * MS, 0.1 * MS);
}
END_TEST

START_TEST(time_left)
{
    facts.left = 25 * MS;
    ck_assert_int_eq(decide(), MEMO__RETRY_DEADLINE);            /* the wait is all there is */
    facts.left++;
    ck_assert_int_eq(decide(), MEMO__RETRY_YES);
    facts.left = 0;
    facts.draw = 0;
    ck_assert_int_eq(decide(), MEMO__RETRY_DEADLINE);
    facts.left = S;
    facts.retry_after = 400 * MS;
    ck_assert_int_eq(decide(), MEMO__RETRY_YES);
    ck_assert_int_eq(plan.wait, 400 * MS);
    facts.retry_after = 2 * S;
    ck_assert_int_eq(decide(), MEMO__RETRY_AFTER);
    facts.retry_after = 1;
    facts.draw = UINT64_MAX;
    decide();
    ck_assert_int_eq(plan.wait, 25 * MS);                        /* our own backoff is longer */
}
END_TEST

static bool withdraw(void) { return memo__budget_withdraw(&b, &parts); }

START_TEST(budget)
{
    for (int i = 0; i < 10; i++)
        ck_assert(withdraw());
    ck_assert(!withdraw());
    ck_assert_uint_eq(memo__budget_read(&b, &parts), 0);
    for (uint32_t i = 0; i < 10; i++) {
        ck_assert(!withdraw());
        memo__budget_deposit(&parts, i % 2 ? alone(0) : shared(2), &rule); /* a tenth each */
    }
    ck_assert_uint_eq(memo__budget_read(&b, &parts), MEMO__TOKEN);
    ck_assert(withdraw());
    ck_assert(!withdraw());
    memo__budget_give(&b);
    ck_assert(withdraw());
    for (int i = 0; i < 10000; i++)
        memo__budget_deposit(&parts, alone(1), &rule);
    ck_assert_uint_eq(memo__budget_read(&b, &parts), MEMO__BUDGET_CAP);
    for (int i = 0; i < 10; i++)
        ck_assert(withdraw());
    ck_assert(!withdraw());                                      /* what was beyond is forfeited */
    b.consumed += 5 * MEMO__TOKEN;                               /* a sum that is older than what was consumed */
    ck_assert_uint_eq(memo__budget_read(&b, &parts), 0);
}
END_TEST

/* Everything fails, every call is retried twice if it may be: attempts stay at 1.10 a call after the first tokens. */
START_TEST(amplification)
{
    uint32_t retries = 0;
    for (int i = 0; i < 100000; i++) {
        memo__budget_deposit(&parts, alone(0), &rule);
        for (facts.attempt = 1; facts.attempt < 3; facts.attempt++) {
            memo__retry_plan_next(&rule, &facts, &b, &parts, &plan);
            retries += plan.again;
            MUST(plan.again || plan.reason == MEMO__RETRY_BUDGET);
        }
    }
    ck_assert_uint_eq(retries, 10009);                           /* 10, and a tenth of 100,000, but for the first call's: the bucket was full */
}
END_TEST

START_TEST(plan_with_budget)
{
    facts.kind = MEMO_OUTCOME_PROTOCOL;
    memo__retry_plan_next(&rule, &facts, &b, &parts, &plan);
    ck_assert(!plan.again && plan.reason == MEMO__RETRY_NOT_LISTED && b.consumed == 0);
    facts.kind = MEMO_OUTCOME_RESET;
    memo__retry_plan_next(&rule, &facts, &b, &parts, &plan);
    ck_assert(plan.again && plan.wait == 25 * MS && b.consumed == MEMO__TOKEN);
    rule.budget = 0;                                             /* 0 %: never */
    memo__retry_plan_next(&rule, &facts, &b, &parts, &plan);
    ck_assert(!plan.again && plan.reason == MEMO__RETRY_BUDGET && b.consumed == MEMO__TOKEN);
}
END_TEST

START_TEST(texts)
{
    ck_assert_str_eq(memo__retry_reason_text(MEMO__RETRY_BUDGET), "budget");
    ck_assert_str_eq(memo__retry_reason_text(MEMO__RETRY_YES), "retry");
    ck_assert_str_eq(memo__retry_reason_text((enum memo__retry_reason)77), "?");
}
END_TEST

START_TEST(verdicts)
{
    static const struct { int32_t kind, http, grpc, word; int expected; } cases[] = {
        { MEMO_OUTCOME_REPLIED, 200, 0, 0, MEMO__SUCCEEDED }, { MEMO_OUTCOME_REPLIED, 404, -1, 0, MEMO__SUCCEEDED }, { MEMO_OUTCOME_REPLIED, 429, 0, 0, MEMO__SUCCEEDED },
        { MEMO_OUTCOME_REPLIED, 499, 0, 0, MEMO__SUCCEEDED }, { MEMO_OUTCOME_REPLIED, 500, 0, 0, MEMO__FAILED }, { MEMO_OUTCOME_REPLIED, 503, -1, 0, MEMO__FAILED },
        { MEMO_OUTCOME_REPLIED, 200, 1, 0, MEMO__IGNORED }, { MEMO_OUTCOME_REPLIED, 200, 2, 0, MEMO__FAILED }, { MEMO_OUTCOME_REPLIED, 200, 3, 0, MEMO__SUCCEEDED },
        { MEMO_OUTCOME_REPLIED, 200, 4, 0, MEMO__FAILED }, { MEMO_OUTCOME_REPLIED, 200, 8, 0, MEMO__SUCCEEDED }, { MEMO_OUTCOME_REPLIED, 200, 12, 0, MEMO__SUCCEEDED },
        { MEMO_OUTCOME_REPLIED, 200, 13, 0, MEMO__FAILED }, { MEMO_OUTCOME_REPLIED, 200, 14, 0, MEMO__FAILED }, { MEMO_OUTCOME_REPLIED, 200, 15, 0, MEMO__FAILED },
        { MEMO_OUTCOME_REPLIED, 200, 16, 0, MEMO__SUCCEEDED }, { MEMO_OUTCOME_REPLIED, 503, 40, 0, MEMO__SUCCEEDED }, { MEMO_OUTCOME_REPLIED, 0, 0, 0, MEMO__SUCCEEDED },
        { MEMO_OUTCOME_CONNECT_FAILED, 0, 0, 0, MEMO__FAILED }, { MEMO_OUTCOME_RESET, 200, 0, 0, MEMO__FAILED }, { MEMO_OUTCOME_TIMED_OUT, 0, 0, 0, MEMO__FAILED },
        { MEMO_OUTCOME_PROTOCOL, 0, 0, 0, MEMO__FAILED }, { MEMO_OUTCOME_CANCELLED, 500, 0, 0, MEMO__IGNORED }, { 99, 200, 0, 0, MEMO__FAILED },
        { MEMO_OUTCOME_RESET, 0, 0, MEMO_VERDICT_SUCCEEDED, MEMO__SUCCEEDED }, { MEMO_OUTCOME_REPLIED, 200, 0, MEMO_VERDICT_FAILED, MEMO__FAILED },
        { MEMO_OUTCOME_CANCELLED, 0, 0, MEMO_VERDICT_FAILED, MEMO__FAILED }, { MEMO_OUTCOME_REPLIED, 500, 0, MEMO_VERDICT_IGNORE, MEMO__IGNORED },
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        ck_assert_msg((int)memo__verdict(cases[i].kind, cases[i].http, cases[i].grpc, cases[i].word) == cases[i].expected, "case %zu", i);
}
END_TEST

START_TEST(deadlines)
{
    ck_assert_int_eq(memo__deadline(100, 50, 0, MEMO__NEVER), 150);
    ck_assert_int_eq(memo__deadline(100, 50, 20, MEMO__NEVER), 120);
    ck_assert_int_eq(memo__deadline(100, 50, 90, MEMO__NEVER), 150);   /* it only shortens */
    ck_assert_int_eq(memo__deadline(100, 50, -3, 110), 110);
    ck_assert_int_eq(memo__deadline(100, MEMO__NEVER, 0, MEMO__NEVER), MEMO__NEVER);
    ck_assert_int_eq(memo__deadline_left(100, 150), 50);
    ck_assert_int_eq(memo__deadline_left(200, 150), 0);
    ck_assert_int_eq(memo__deadline_attempt(100, 150, 20), 20);
    ck_assert_int_eq(memo__deadline_attempt(100, 150, 0), 50);
    ck_assert_int_eq(memo__deadline_attempt(100, 150, 70), 50);
}
END_TEST

Suite *suite_policy_retry(void)
{
    Suite *s = suite_create("policy/retry");
    TCase *t = tcase_create("retry");
    tcase_add_checked_fixture(t, begin, NULL);
    tcase_add_test(t, outcomes);
    tcase_add_test(t, statuses);
    tcase_add_test(t, methods);
    tcase_add_test(t, attempts);
    tcase_add_test(t, backoff);
    tcase_add_test(t, full_jitter);
    tcase_add_test(t, time_left);
    tcase_add_test(t, budget);
    tcase_add_test(t, amplification);
    tcase_add_test(t, plan_with_budget);
    tcase_add_test(t, texts);
    tcase_add_test(t, verdicts);
    tcase_add_test(t, deadlines);
    suite_add_tcase(s, t);
    return s;
}
