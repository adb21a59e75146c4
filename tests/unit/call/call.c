/* SPDX-License-Identifier: Apache-2.0 */
/* call.c: one logical call through begin, next, report and end, with a transport that is only pretended: what is decided, what is learned, and what misuse is answered with. */
#include "call/call.h"
#include <limits.h>
#include <memo/service.h>
#include <stdio.h>
#include "base/hash.h"
#include "policy/bulkhead.h"
#include "policy/limiter_keyed.h"
#include "stage.h"
#include "telemetry/context.h"

static struct stage s;

#define RULES(service) "{\"memo\":1,\"services\":{\"todo\":{" service "}}}"
#define NO_RETRY "\"retry\":{\"attempts\":1}"
#define NO_WAIT "\"backoff\":{\"initial\":\"1ms\",\"max\":\"1ms\",\"jitter\":\"none\"}"
#define TWO "a=10.0.0.1:80 b=10.0.0.2:80"
#define FIVE "a=10.0.0.1:80 b=10.0.0.2:80 c=10.0.0.3:80 d=10.0.0.4:80 e=10.0.0.5:80"

static void begin(const char *rules, const char *view)
{
    stage_begin(&s, rules);
    if (view)
        ck_assert_int_eq(stage_view(&s, view), MEMO_OK);
}

static const struct memo__service_counters *counters(void)
{
    static struct memo__service_counters sum;
    memset(&sum, 0, sizeof sum);
    for (uint32_t i = 0; i < s.g->parts.count; i++)
        memo__counters_merge(&sum, &memo__governor_part(s.g, i)->counters);
    return &sum;
}

static uint64_t tokens(uint32_t limit)
{
    struct memo__limiter_facts f;
    const struct memo__organ *o = s.g->plan->limits[limit];
    memo__limiter_read(o->shared, &o->parts, s.now, &f);
    return f.tokens;
}

static uint64_t budget(void)
{
    return memo__budget_read(&s.g->budget, &s.g->budget_parts);
}

/* ---- the ordinary ---- */

START_TEST(a_call)
{
    memo_call k;
    memo_attempt a;
    begin(NULL, "a=10.0.0.1:8080;host=todo.internal b=::1:81;secure=1");
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
        bool b = a.id[0] == 'b';
        ck_assert_str_eq(a.address, b ? "::1" : "10.0.0.1");
        ck_assert_uint_eq(a.port, b ? 81 : 8080);
        ck_assert_str_eq(a.host, b ? "" : "todo.internal");
        ck_assert_int_eq(memo__call_secure(&k, &a), b);
        ck_assert_uint_eq(a.revision, 1);
        ck_assert_uint_eq(a.epoch, 1);
        ck_assert_int_eq(a.view_state, MEMO_VIEW_LIVE);
        ck_assert_int_eq(a.age_max_ms, 0);
        ck_assert_int_eq(a.timeout_ms, 5000);
        ck_assert_int_eq(a.wait_ms, 0);
        ck_assert_int_eq(a.number, 1);
        ck_assert_int_eq(a.kind, MEMO_ATTEMPT_FIRST);
        ck_assert_uint_eq(memo__governor_open_calls(s.g), 1);
        ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_REPLIED, 200), 0);
        memo_call_end(&k);
        memo_call_end(&k); /* harmless */
        ck_assert_uint_eq(memo__governor_open_calls(s.g), 0);
    }
    ck_assert_uint_eq(counters()->calls[MEMO__CALL_OK], 20);
    ck_assert_uint_eq(counters()->attempts[0][MEMO__CLASS_2XX], 20);
    stage_end(&s);
}
END_TEST

START_TEST(headers_of_an_attempt)
{
    memo_call k;
    memo_attempt a, b;
    char buf[256], again_buf[256];
    memo_header out[8], same[8];
    uint32_t n = 99, m;
    begin(RULES("\"retry\":{\"attempts\":2,\"attemptTimeout\":\"250ms\"," NO_WAIT "}"), TWO);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    ck_assert_int_eq(memo_call_inject(&k, &a, buf, sizeof buf, out, 8, &n), MEMO_OK);
    ck_assert_uint_eq(n, 3);
    ck_assert_str_eq(out[0].name, "traceparent");
    ck_assert_uint_eq(out[0].value_bytes, 55);
    ck_assert_str_eq(out[1].name, "x-envoy-expected-rq-timeout-ms");
    ck_assert_str_eq(out[1].value, "250");
    ck_assert_str_eq(out[2].name, "x-envoy-attempt-count");
    ck_assert_str_eq(out[2].value, "1");
    ck_assert_int_eq(memo_call_inject(&k, &a, again_buf, sizeof again_buf, same, 8, &m), MEMO_OK);
    for (uint32_t i = 0; i < n; i++)
        ck_assert_str_eq(out[i].value, same[i].value);
    ck_assert_int_eq(memo_call_inject(&k, &a, buf, 10, out, 8, &n), MEMO_E_TRUNCATED);
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(memo_call_inject(&k, &a, buf, sizeof buf, out, 2, &n), MEMO_E_TRUNCATED);
    ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_RESET, 0), 1);
    b = (memo_attempt)MEMO_INIT(memo_attempt);
    ck_assert_int_eq(memo_call_next(&k, &b), MEMO_OK);
    ck_assert_int_eq(memo_call_inject(&k, &b, again_buf, sizeof again_buf, same, 8, &m), MEMO_OK);
    ck_assert_str_eq(same[2].value, "2");
    ck_assert_mem_eq(out[0].value, same[0].value, 36); /* the same trace */
    ck_assert_mem_ne(out[0].value + 36, same[0].value + 36, 16); /* another span */
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

START_TEST(the_parent_goes_on)
{
    static const char parent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const memo_header in[] = { { "traceparent", parent, 0, 0 } };
    memo_context x = MEMO_INIT(memo_context);
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    memo_call k = MEMO_INIT(memo_call);
    memo_attempt a = MEMO_INIT(memo_attempt);
    memo_header out[8];
    char buf[256];
    uint32_t n;
    begin(RULES("\"timeout\":\"10s\""), TWO);
    ck_assert_int_eq(memo__context_extract(&x, in, 1, s.now), MEMO_OK);
    ck_assert_int_eq(memo__context_set_deadline(&x, 70, s.now), MEMO_OK);
    stage_pass(&s, 20 * MS);
    f.parent = &x;
    ck_assert_int_eq(memo_call_begin(&k, s.service, &f), MEMO_OK);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
    ck_assert_int_eq(a.timeout_ms, 50); /* what the parent has left */
    ck_assert_int_eq(memo_call_inject(&k, &a, buf, sizeof buf, out, 8, &n), MEMO_OK);
    ck_assert_mem_eq(out[0].value, parent, 36);
    ck_assert_mem_ne(out[0].value + 36, parent + 36, 16);
    ck_assert_mem_eq(out[0].value + 52, parent + 52, 3);
    memo_call_end(&k);
    stage_pass(&s, 50 * MS);
    ck_assert_int_eq(memo_call_begin(&k, s.service, &f), MEMO_REFUSED_DEADLINE);
    memo_call_end(&k);
    memo__context_init(&x); /* an empty one: a trace of its own, no deadline */
    ck_assert_int_eq(memo_call_begin(&k, s.service, &f), MEMO_OK);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
    ck_assert_int_eq(a.timeout_ms, 10000);
    ck_assert_int_eq(memo_call_inject(&k, &a, buf, sizeof buf, out, 8, &n), MEMO_OK);
    ck_assert_mem_ne(out[0].value, parent, 36);
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

/* ---- time ---- */

START_TEST(deadlines)
{
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    memo_call k = MEMO_INIT(memo_call);
    memo_attempt a = MEMO_INIT(memo_attempt);
    begin(RULES("\"timeout\":\"800ms\",\"retry\":{\"attempts\":5,\"attemptTimeout\":\"250ms\",\"budget\":\"100%\"," NO_WAIT "}"), FIVE);
    f.method = "GET";
    f.timeout_ms = 10000; /* only shortens */
    ck_assert_int_eq(memo_call_begin(&k, s.service, &f), MEMO_OK);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
        ck_assert_int_eq(a.timeout_ms, 250);
        ck_assert_int_eq(a.wait_ms, i ? 1 : 0);
        ck_assert_int_eq(a.kind, i ? MEMO_ATTEMPT_RETRY : MEMO_ATTEMPT_FIRST);
        stage_pass(&s, (250 + a.wait_ms) * MS);
        ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_TIMED_OUT, 0), 1);
    }
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
    ck_assert_int_eq(a.timeout_ms, 800 - 3 * 250 - 3);
    stage_pass(&s, 48 * MS);
    ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_TIMED_OUT, 0), 0); /* no time left */
    memo_call_end(&k);
    f.timeout_ms = 5;
    ck_assert_int_eq(memo_call_begin(&k, s.service, &f), MEMO_OK);
    stage_pass(&s, 5 * MS); /* the caller took its time */
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_REFUSED_DEADLINE);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_E_STATE);
    memo_call_end(&k);
    ck_assert_uint_eq(counters()->calls[MEMO__REFUSED + (MEMO_REFUSED_DEADLINE - MEMO_REFUSED_LIMITED)], 1);
    f.timeout_ms = INT64_MAX;
    ck_assert_int_eq(memo_call_begin(&k, s.service, &f), MEMO_OK);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

START_TEST(less_than_a_millisecond_is_one)
{
    memo_call k;
    memo_attempt a;
    begin(RULES("\"timeout\":\"1ms\""), TWO);
    ck_assert_int_eq(stage_begin_with(&s, &k, "GET", "/", NULL, 0), MEMO_OK);
    s.now += MS / 2;
    a = (memo_attempt)MEMO_INIT(memo_attempt);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
    ck_assert_int_eq(a.timeout_ms, 1);
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

/* ---- retries ---- */

START_TEST(at_most_five_attempts)
{
    memo_call k;
    memo_attempt a;
    int32_t again = 1, n = 0;
    begin(RULES("\"retry\":{\"attempts\":5,\"budget\":\"100%\"," NO_WAIT "}"), FIVE);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    char tried[8] = "";
    for (;;) {
        ck_assert_ptr_null(strchr(tried, a.id[0])); /* another one each time */
        strcat(tried, a.id);
        ck_assert_int_eq(a.number, ++n);
        again = stage_report(&k, &a, MEMO_OUTCOME_CONNECT_FAILED, 0);
        if (!again)
            break;
        ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
    }
    ck_assert_int_eq(n, 5);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_E_STATE);
    memo_call_end(&k);
    ck_assert_uint_eq(counters()->attempts[1][MEMO__CLASS_CONNECT], 4);
    ck_assert_uint_eq(counters()->calls[MEMO__CALL_FAILED], 1);
    stage_end(&s);
}
END_TEST

START_TEST(only_one_to_retry_on)
{
    memo_call k;
    memo_attempt a;
    begin(RULES("\"retry\":{\"attempts\":3," NO_WAIT "}"), "a=10.0.0.1:80");
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_RESET, 0), 1);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK); /* tried again: nothing else is left */
    ck_assert_str_eq(a.id, "a");
    ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_REPLIED, 200), 0);
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

START_TEST(what_is_retried)
{
    static const struct { const char *method; int32_t kind, http, grpc, verdict, again; } t[] = {
        { "GET", MEMO_OUTCOME_REPLIED, 200, 0, 0, 0 },       { "GET", MEMO_OUTCOME_REPLIED, 503, 0, 0, 1 },
        { "GET", MEMO_OUTCOME_REPLIED, 500, 0, 0, 0 },       { "GET", MEMO_OUTCOME_REPLIED, 429, 0, 0, 1 },
        { "GET", MEMO_OUTCOME_REPLIED, 404, -1, 0, 0 },      { "POST", MEMO_OUTCOME_REPLIED, 503, 0, 0, 0 },
        { "POST", MEMO_OUTCOME_CONNECT_FAILED, 0, 0, 0, 1 }, { NULL, MEMO_OUTCOME_RESET, 0, 0, 0, 0 },
        { NULL, MEMO_OUTCOME_CONNECT_FAILED, 0, 0, 0, 1 },   { "GET", MEMO_OUTCOME_PROTOCOL, 0, 0, 0, 0 },
        { "GET", MEMO_OUTCOME_CANCELLED, 0, 0, 0, 0 },       { "GET", MEMO_OUTCOME_REPLIED, 200, 14, 0, 1 },
        { "GET", MEMO_OUTCOME_REPLIED, 200, 5, 0, 0 },       { "GET", MEMO_OUTCOME_REPLIED, 503, 0, MEMO_VERDICT_SUCCEEDED, 0 },
        { "GET", MEMO_OUTCOME_REPLIED, 503, 0, MEMO_VERDICT_IGNORE, 0 },
        { "GET", MEMO_OUTCOME_REPLIED, 200, 0, MEMO_VERDICT_FAILED, 0 }, { "GET", MEMO_OUTCOME_RESET, 0, 0, MEMO_VERDICT_IGNORE, 0 },
        { "BREW", MEMO_OUTCOME_RESET, 0, 0, 0, 0 },          { "GET", MEMO_OUTCOME_REPLIED, 999, 0, 0, 0 },
        { "GET", MEMO_OUTCOME_REPLIED, INT_MIN, INT_MIN, 0, 0 } };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        memo_call k;
        memo_attempt a;
        memo_outcome o = MEMO_INIT(memo_outcome);
        int32_t again = 7;
        begin(RULES("\"retry\":{\"attempts\":3,\"on\":[\"connect-failure\",\"reset\",\"503\",\"429\",\"UNAVAILABLE\"]," NO_WAIT "}"), FIVE);
        ck_assert_int_eq(stage_open(&s, &k, &a, t[i].method), MEMO_OK);
        o.kind = t[i].kind;
        o.http_status = t[i].http;
        o.grpc_status = t[i].grpc;
        o.verdict = t[i].verdict;
        ck_assert_int_eq(memo_call_report(&k, &a, &o, &again), MEMO_OK);
        ck_assert_msg(again == t[i].again, "row %zu: again is %d", i, again);
        memo_call_end(&k);
        stage_end(&s);
    }
}
END_TEST

START_TEST(retry_after_is_kept)
{
    memo_call k;
    memo_attempt a;
    memo_outcome o = MEMO_INIT(memo_outcome);
    int32_t again;
    begin(RULES("\"timeout\":\"1h\",\"retry\":{\"attempts\":3," NO_WAIT "}"), TWO);
    o.http_status = 503;
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    o.retry_after_ms = 120000; /* more than 16 bits hold */
    ck_assert_int_eq(memo_call_report(&k, &a, &o, &again), MEMO_OK);
    ck_assert_int_eq(again, 1);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
    ck_assert_int_eq(a.wait_ms, 120000);
    o.retry_after_ms = 2 * 3600 * 1000; /* longer than there is time */
    ck_assert_int_eq(memo_call_report(&k, &a, &o, &again), MEMO_OK);
    ck_assert_int_eq(again, 0);
    memo_call_end(&k);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    o.retry_after_ms = INT64_MAX;
    ck_assert_int_eq(memo_call_report(&k, &a, &o, &again), MEMO_OK);
    ck_assert_int_eq(again, 0);
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

START_TEST(the_budget_ends_retries)
{
    int retried = 0;
    begin(RULES("\"retry\":{\"attempts\":2,\"budget\":\"10%\"," NO_WAIT "}"), TWO);
    for (int i = 0; i < 110; i++) {
        memo_call k;
        memo_attempt a;
        ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
        if (stage_report(&k, &a, MEMO_OUTCOME_CONNECT_FAILED, 0)) {
            retried++;
            ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
            ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_CONNECT_FAILED, 0), 0);
        }
        memo_call_end(&k);
    }
    ck_assert_int_ge(retried, 20); /* 10 to start with, and a tenth of 110 */
    ck_assert_int_le(retried, 21);
    ck_assert_uint_eq(counters()->retries_denied, 110 - (uint64_t)retried);
    stage_end(&s);
}
END_TEST

/* ---- refusals, and that they consume nothing ---- */

START_TEST(limited)
{
    begin(RULES("\"limits\":[{\"name\":\"all\",\"rate\":\"10/s\",\"burst\":3},{\"name\":\"few\",\"rate\":\"1/s\",\"burst\":1}]," NO_RETRY), TWO);
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_OK);
    ck_assert_uint_eq(tokens(0), 2);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_REFUSED_LIMITED);
    ck_assert_uint_eq(tokens(0), 2); /* the other limit refused: this one gave nothing */
    ck_assert_uint_eq(budget(), MEMO__BUDGET_CAP);
    stage_pass(&s, S);
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_OK);
    ck_assert_uint_eq(counters()->calls[MEMO__REFUSED], 5);
    ck_assert_uint_eq(memo__histogram_count(&counters()->duration), 2); /* refusals have no duration */
    stage_end(&s);
}
END_TEST

static bool open_breaker(int calls)
{
    for (int i = 0; i < calls; i++)
        ck_assert_int_eq(stage_call(&s, MEMO_OUTCOME_RESET, 0), MEMO_OK);
    return stage_turned(&s, MEMO_EVENT_BREAKER) != NULL;
}

#define BREAKER "\"breaker\":{\"minCalls\":4,\"openWhen\":{\"failed\":\"50%\"},\"openFor\":\"5s\",\"probes\":2}"

START_TEST(open_and_healed)
{
    memo_call k[2], third;
    memo_attempt a[2], b;
    begin(RULES(BREAKER ",\"limits\":[{\"name\":\"all\",\"rate\":\"1/h\",\"burst\":50}],\"concurrency\":{\"max\":9}," NO_RETRY), TWO);
    ck_assert(open_breaker(4));
    ck_assert_str_eq(stage_turned(&s, MEMO_EVENT_BREAKER)->text, "closed -> open, 4 of 4 failed, 0 slow");
    ck_assert_int_eq(stage_turned(&s, MEMO_EVENT_BREAKER)->status, MEMO_REFUSED_OPEN);
    uint64_t before = tokens(0);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_REFUSED_OPEN);
    ck_assert_uint_eq(tokens(0), before);
    stage_pass(&s, 5 * S);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(stage_open(&s, &k[i], &a[i], "GET"), MEMO_OK); /* two probes */
    ck_assert_int_eq(stage_open(&s, &third, &b, "GET"), MEMO_REFUSED_OPEN);
    memo_call_end(&third);
    memo_call_end(&k[0]); /* gave up: its probe is free again */
    ck_assert_int_eq(stage_open(&s, &k[0], &a[0], "GET"), MEMO_OK);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(stage_report(&k[i], &a[i], MEMO_OUTCOME_REPLIED, 200), 0);
        memo_call_end(&k[i]);
    }
    ck_assert_ptr_nonnull(strstr(stage_turned(&s, MEMO_EVENT_BREAKER)->text, "half-open -> closed"));
    ck_assert_int_eq(stage_turned(&s, MEMO_EVENT_BREAKER)->status, MEMO_OK);
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_OK);
    stage_end(&s);
}
END_TEST

START_TEST(a_probe_that_fails_reopens)
{
    begin(RULES(BREAKER "," NO_RETRY), TWO);
    ck_assert(open_breaker(4));
    stage_pass(&s, 5 * S);
    ck_assert_int_eq(stage_call(&s, MEMO_OUTCOME_TIMED_OUT, 0), MEMO_OK);
    ck_assert_int_eq(stage_turned(&s, MEMO_EVENT_BREAKER)->status, MEMO_REFUSED_OPEN);
    ck_assert_ptr_nonnull(strstr(stage_turned(&s, MEMO_EVENT_BREAKER)->text, "half-open -> open"));
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_REFUSED_OPEN);
    stage_end(&s);
}
END_TEST

/* A probe whose caller vanished does not wedge the breaker: it is a lease for as long as the call may take. */
START_TEST(a_probe_is_a_lease)
{
    memo_call lost[2];
    memo_attempt a;
    begin(RULES(BREAKER ",\"timeout\":\"2s\"," NO_RETRY), TWO);
    ck_assert(open_breaker(4));
    stage_pass(&s, 5 * S);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(stage_open(&s, &lost[i], &a, "GET"), MEMO_OK);
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_REFUSED_OPEN);
    stage_pass(&s, 2 * S + MS);
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_OK);
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_OK);
    ck_assert_int_eq(stage_turned(&s, MEMO_EVENT_BREAKER)->status, MEMO_OK); /* closed */
    for (int i = 0; i < 2; i++)
        memo_call_end(&lost[i]); /* late, and of another epoch */
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_OK);
    stage_end(&s);
}
END_TEST

START_TEST(slow_calls_open_too)
{
    begin(RULES("\"breaker\":{\"minCalls\":4,\"openWhen\":{\"failed\":\"90%\",\"slow\":\"75%\",\"slowerThan\":\"100ms\"}}," NO_RETRY), TWO);
    for (int i = 0; i < 4; i++) {
        memo_call k;
        memo_attempt a;
        ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
        stage_pass(&s, i ? 101 * MS : MS);
        ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_REPLIED, 200), 0);
        memo_call_end(&k);
    }
    ck_assert_str_eq(stage_turned(&s, MEMO_EVENT_BREAKER)->text, "closed -> open, 3 of 4 slow, 0 failed");
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_REFUSED_OPEN);
    stage_end(&s);
}
END_TEST

/* The share is reached, and the answer that fills minCalls is a good one. */
START_TEST(opened_by_a_good_answer)
{
    begin(RULES(BREAKER "," NO_RETRY), TWO);
    ck_assert(!open_breaker(3));
    ck_assert_int_eq(stage_call(&s, MEMO_OUTCOME_REPLIED, 200), MEMO_OK);
    ck_assert_ptr_nonnull(stage_turned(&s, MEMO_EVENT_BREAKER));
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_REFUSED_OPEN);
    stage_end(&s);
}
END_TEST

START_TEST(overloaded)
{
    memo_call k[3];
    memo_attempt a;
    begin(RULES("\"concurrency\":{\"max\":2},\"limits\":[{\"name\":\"all\",\"rate\":\"1/h\",\"burst\":50}]," NO_RETRY), TWO);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(stage_open(&s, &k[i], &a, "GET"), MEMO_OK);
    uint64_t before = tokens(0);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_REFUSED_OVERLOADED);
    ck_assert_uint_eq(tokens(0), before);
    memo_call_end(&k[0]);
    ck_assert_int_eq(stage_open(&s, &k[2], &a, "GET"), MEMO_OK);
    memo_call_end(&k[1]);
    memo_call_end(&k[2]);
    ck_assert_uint_eq(memo__bulkhead_read(s.g->plan->bulkhead->shared, &s.g->plan->bulkhead->parts), 0);
    ck_assert_uint_eq(counters()->calls[MEMO__REFUSED + 2], 5);
    stage_end(&s);
}
END_TEST

/* The same for those that are let in the short way, by tokens that lie in the stripe. */
START_TEST(nothing_sent_costs_nothing_however_often)
{
    begin(RULES("\"limits\":[{\"name\":\"all\",\"rate\":\"1/h\",\"burst\":100}]"), TWO);
    for (int i = 0; i < 500; i++) {
        memo_call k;
        ck_assert_int_eq(stage_begin_with(&s, &k, "GET", "/", NULL, 0), MEMO_OK);
        memo_call_end(&k);
    }
    ck_assert_uint_eq(tokens(0), 100);
    stage_end(&s);
}
END_TEST

/* A call that never made an attempt gives everything back, also its tokens. */
START_TEST(nothing_was_sent)
{
    memo_call k;
    begin(RULES(BREAKER ",\"concurrency\":{\"max\":2},\"limits\":[{\"name\":\"all\",\"rate\":\"1/h\",\"burst\":5}]," NO_RETRY), TWO);
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(stage_begin_with(&s, &k, "GET", "/", NULL, 0), MEMO_OK);
        memo_call_end(&k);
    }
    ck_assert_uint_eq(tokens(0), 5);
    ck_assert_uint_eq(counters()->calls[MEMO__CALL_CANCELLED], 20);
    ck_assert(open_breaker(4));
    stage_pass(&s, 5 * S);
    for (int i = 0; i < 20; i++) { /* probes, too */
        ck_assert_int_eq(stage_begin_with(&s, &k, "GET", "/", NULL, 0), MEMO_OK);
        memo_call_end(&k);
    }
    /* new rules in between: what has gone is not given to what has come */
    ck_assert_int_eq(stage_begin_with(&s, &k, "GET", "/", NULL, 0), MEMO_OK);
    ck_assert_int_eq(stage_rules(&s, RULES("\"limits\":[{\"name\":\"other\",\"rate\":\"1/h\",\"burst\":5}]," NO_RETRY)), MEMO_OK);
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_OK);
    memo_call_end(&k);
    ck_assert_uint_eq(tokens(0), 4);
    stage_end(&s);
}
END_TEST

static uint64_t keyed_tokens(uint32_t limit, const char *value)
{
    uint64_t n;
    int64_t after;
    memo__keyed_read(s.g->plan->limits[limit]->shared, memo__hash(s.g->seed, value, strlen(value)), s.now, &n, &after);
    return n;
}

START_TEST(limits_by_header)
{
    static const char rules[] = RULES("\"limits\":[{\"name\":\"user\",\"rate\":\"1/h\",\"burst\":3,\"by\":\"header:x-user\"},{\"name\":\"team\",\"rate\":\"1/h\",\"burst\":3,\"by\":\"header:X-Team\"}]," NO_RETRY);
    const memo_header both[] = { { "X-User", "ann", 0, 0 }, { "x-team", "blue", 0, 0 }, { "x-user", "second", 0, 0 } }, team[] = { { "x-team", "blueish", 6, 4 } };
    char names[64];
    size_t need;
    memo_call k;
    begin(rules, TWO);
    ck_assert_uint_eq(s.g->plan->service->wants_count, 2);
    ck_assert_int_eq(memo_service_wants(s.service, names, sizeof names, &need), MEMO_OK);
    ck_assert_uint_eq(need, 14);
    ck_assert_mem_eq(names, "x-user\0x-team", 14);
    ck_assert_int_eq(memo_service_wants(s.service, names, 13, &need), MEMO_E_TRUNCATED);
    memset(names, 1, sizeof names);
    ck_assert_int_eq(memo_service_wants(s.service, names, 14, NULL), MEMO_OK);
    ck_assert_mem_eq(names, "x-user\0x-team", 14);
    /* nothing was sent: each value gets its own back */
    ck_assert_int_eq(stage_begin_with(&s, &k, "GET", "/", both, 3), MEMO_OK);
    ck_assert_uint_eq(keyed_tokens(0, "ann"), 2);
    ck_assert_uint_eq(keyed_tokens(1, "blue"), 2);
    memo_call_end(&k);
    ck_assert_uint_eq(keyed_tokens(0, "ann"), 3);
    ck_assert_uint_eq(keyed_tokens(1, "blue"), 3);
    /* a header that is absent: that limit does not hold, and gets nothing back */
    for (int i = 0; i < 3; i++) {
        memo_attempt a = MEMO_INIT(memo_attempt);
        ck_assert_int_eq(stage_begin_with(&s, &k, "GET", "/", team, 1), MEMO_OK);
        ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
        memo_call_end(&k);
    }
    ck_assert_uint_eq(keyed_tokens(1, "blue"), 0);
    ck_assert_int_eq(stage_begin_with(&s, &k, "GET", "/", team, 1), MEMO_REFUSED_LIMITED);
    memo_call_end(&k);
    ck_assert_int_eq(stage_begin_with(&s, &k, "GET", "/", both, 3), MEMO_REFUSED_LIMITED);
    memo_call_end(&k);
    ck_assert_uint_eq(keyed_tokens(0, "ann"), 3); /* refused by the other: nothing was taken */
    ck_assert_int_eq(stage_begin_with(&s, &k, "GET", "/", both, 1), MEMO_OK);
    memo_call_end(&k);
    ck_assert_int_eq(stage_begin_with(&s, &k, "GET", "/", NULL, 0), MEMO_OK);
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

START_TEST(no_endpoint)
{
    memo_call k;
    memo_attempt a;
    begin(NULL, "a=10.0.0.1:80;weight=0 b=10.0.0.2:80;healthy=0");
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_REFUSED_NO_ENDPOINT);
    ck_assert_int_eq(stage_view(&s, TWO), MEMO_OK);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_RESET, 0), 1);
    ck_assert_int_eq(stage_view(&s, ""), MEMO_OK); /* all left before the retry */
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_REFUSED_NO_ENDPOINT);
    memo_call_end(&k);
    ck_assert_uint_eq(counters()->calls[MEMO__CALL_FAILED], 1); /* an attempt was made */
    stage_end(&s);
}
END_TEST

START_TEST(stale)
{
    memo_call k;
    memo_attempt a = MEMO_INIT(memo_attempt);
    begin(RULES("\"maxStale\":\"10s\""), TWO);
    stage_pass(&s, 10 * S);
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_OK);
    ck_assert_int_eq(stage_begin_with(&s, &k, "GET", "/", NULL, 0), MEMO_OK);
    stage_pass(&s, 1);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_REFUSED_STALE);
    memo_call_end(&k);
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_REFUSED_STALE);
    memo__governor_age(s.g, s.boot, false, MEMO_VIEW_LIVE); /* confirmed again */
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_OK);
    memo__governor_age(s.g, s.boot, true, MEMO_VIEW_CACHED); /* of another boot */
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_REFUSED_STALE);
    ck_assert_int_eq(stage_rules(&s, NULL), MEMO_OK); /* unlimited: goes on, and says so */
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    ck_assert_int_eq(a.age_max_ms, -1);
    ck_assert_int_eq(a.view_state, MEMO_VIEW_CACHED);
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

/* Longer than 32 bits of milliseconds. */
START_TEST(stale_after_a_month)
{
    memo_call k;
    memo_attempt a;
    begin(RULES("\"maxStale\":\"720h\""), TWO);
    stage_pass(&s, 719 * 3600 * S);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    ck_assert_int_eq(a.age_max_ms, INT64_C(719) * 3600 * 1000);
    memo_call_end(&k);
    stage_pass(&s, 2 * 3600 * S);
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_REFUSED_STALE);
    stage_end(&s);
}
END_TEST

START_TEST(stale_but_only_observed)
{
    begin(RULES("\"mode\":\"observe\",\"maxStale\":\"10s\""), TWO);
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_OK);
    ck_assert_uint_eq(counters()->would_refuse[MEMO_REFUSED_STALE - MEMO_REFUSED_LIMITED], 0);
    stage_pass(&s, 11 * S);
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_OK);
    ck_assert_uint_eq(counters()->would_refuse[MEMO_REFUSED_STALE - MEMO_REFUSED_LIMITED], 1);
    stage_end(&s);
}
END_TEST

START_TEST(not_ready)
{
    memo_call k;
    begin(NULL, TWO);
    s.world.admits = 0;
    ck_assert_int_eq(stage_begin_with(&s, &k, "GET", "/", NULL, 0), MEMO_REFUSED_NOT_READY);
    ck_assert_uint_eq(memo__governor_open_calls(s.g), 1); /* until its end */
    memo_call_end(&k);
    ck_assert_uint_eq(memo__governor_open_calls(s.g), 0);
    stage_end(&s);
}
END_TEST

/* ---- breakers of instances, ejection, balance ---- */

START_TEST(the_endpoints_own_breaker)
{
    memo_call k;
    memo_attempt a;
    begin(RULES("\"breaker\":{\"scope\":\"instance\",\"minCalls\":2,\"openWhen\":{\"failed\":\"50%\"},\"openFor\":\"5s\",\"probes\":1},"
                "\"limits\":[{\"name\":\"all\",\"rate\":\"1/h\",\"burst\":50}],\"outlier\":{\"consecutiveFailures\":1000}," NO_RETRY), TWO);
    int failed = 0;
    while (failed < 2) { /* b fails, a does not */
        ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
        bool b = a.id[0] == 'b';
        failed += b;
        ck_assert_int_eq(stage_report(&k, &a, b ? MEMO_OUTCOME_RESET : MEMO_OUTCOME_REPLIED, 200), 0);
        memo_call_end(&k);
        stage_pass(&s, 100 * MS);
        ck_assert_int_eq(stage_rules(&s, RULES("\"breaker\":{\"scope\":\"instance\",\"minCalls\":2,\"openWhen\":{\"failed\":\"50%\"},\"openFor\":\"5s\",\"probes\":1},"
            "\"limits\":[{\"name\":\"all\",\"rate\":\"1/h\",\"burst\":50}],\"balance\":{\"policy\":\"round-robin\"},\"outlier\":{\"consecutiveFailures\":1000}," NO_RETRY)), MEMO_OK);
    }
    ck_assert_str_eq(stage_turned(&s, MEMO_EVENT_BREAKER)->subject, "b");
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
        ck_assert_str_eq(a.id, "a");
        ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_REPLIED, 200), 0);
        memo_call_end(&k);
    }
    ck_assert_int_eq(stage_view(&s, "b=10.0.0.2:80"), MEMO_OK); /* only the broken one is left */
    uint64_t before = tokens(0);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_REFUSED_OPEN);
    memo_call_end(&k);
    ck_assert_uint_eq(tokens(0), before); /* nothing was sent */
    ck_assert_uint_eq(counters()->calls[MEMO__REFUSED + 1], 1);
    stage_pass(&s, 5 * S);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK); /* the only probe */
    memo_call other;
    memo_attempt b;
    ck_assert_int_eq(stage_open(&s, &other, &b, "GET"), MEMO_REFUSED_OPEN);
    memo_call_end(&other);
    memo_call_end(&k); /* given up: free again */
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_OK);
    ck_assert_int_eq(stage_turned(&s, MEMO_EVENT_BREAKER)->status, MEMO_OK);
    stage_end(&s);
}
END_TEST

/* Which endpoint a key goes to. Subjects are those of the vectors: three endpoints, rings of 1026 places. */
static const char *keyed(const char *path, const char *key, const char *header)
{
    static memo_attempt a;
    memo_call k = MEMO_INIT(memo_call);
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    memo_header h = { "X-User", header, 6, 0 };
    a = (memo_attempt)MEMO_INIT(memo_attempt);
    f.path = path;
    f.key = key;
    f.headers = &h;
    f.headers_count = header ? 1 : 0;
    ck_assert_int_eq(memo_call_begin(&k, s.service, &f), MEMO_OK);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
    (void)stage_report(&k, &a, MEMO_OUTCOME_REPLIED, 200);
    memo_call_end(&k);
    return a.id;
}

#define RING(more) RULES("\"balance\":{\"policy\":\"ring-hash\"" more "}")

START_TEST(by_ring_hash)
{
    static const struct { const char *key, *id; } homes[] = { { "u-1", "a" }, { "u-2", "b" }, { "alice", "b" }, { "bob", "a" }, { "", "b" } };
    begin(RING(""), "a=10.0.0.1:80 b=10.0.0.2:80 c=10.0.0.3:80");
    for (size_t i = 0; i < 5; i++)
        ck_assert_str_eq(keyed("/", homes[i].key, "not this"), homes[i].id);
    ck_assert_int_eq(stage_rules(&s, RING(",\"hashOn\":\"header:x-user\"")), MEMO_OK);
    for (size_t i = 0; i < 4; i++)
        ck_assert_str_eq(keyed("/", "not this", homes[i].key), homes[i].id);
    ck_assert_int_eq(stage_rules(&s, RING(",\"hashOn\":\"path\"")), MEMO_OK);
    ck_assert_str_eq(keyed("/items/7?lang=en", NULL, NULL), "a");
    ck_assert_str_eq(keyed("/items/8", NULL, NULL), "b");
    ck_assert_int_eq(stage_rules(&s, RING(",\"hashOn\":\"header:x-user\"")), MEMO_OK);
    bool other = false;
    char first[64];
    (void)snprintf(first, sizeof first, "%s", keyed("/", "alice", NULL));
    for (int i = 0; i < 60 && !other; i++)
        other = strcmp(keyed("/", "alice", NULL), first) != 0; /* without the header anywhere */
    ck_assert(other);
    stage_end(&s);
}
END_TEST

/* Rules that came between begin and next: a call that was not hashed is drawn, one that was keeps it. */
START_TEST(hashed_or_not_meanwhile)
{
    memo_call k[2] = { MEMO_INIT(memo_call), MEMO_INIT(memo_call) };
    memo_attempt a = MEMO_INIT(memo_attempt);
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    f.key = "alice";
    begin(RULES("\"timeout\":\"1s\""), "a=10.0.0.1:80 b=10.0.0.2:80 c=10.0.0.3:80");
    ck_assert_int_eq(memo_call_begin(&k[0], s.service, &f), MEMO_OK);
    ck_assert_int_eq(stage_rules(&s, RING("")), MEMO_OK);
    ck_assert_int_eq(memo_call_begin(&k[1], s.service, &f), MEMO_OK);
    ck_assert_int_eq(memo_call_next(&k[0], &a), MEMO_OK);
    ck_assert_int_eq(stage_rules(&s, RING(",\"hashOn\":\"path\"")), MEMO_OK);
    ck_assert_int_eq(memo_call_next(&k[1], &a), MEMO_OK);
    ck_assert_str_eq(a.id, "b");
    memo_call_end(&k[0]);
    memo_call_end(&k[1]);
    stage_end(&s);
}
END_TEST

/* A subset of three, one of them ejected: whatever the policy, a retry is for the one that was not tried. */
START_TEST(a_retry_goes_elsewhere)
{
    static const char *const policies[] = { "peak-ewma", "round-robin", "random", "weighted-round-robin", "least-request", "ring-hash" };
    char document[500], first[64];
    memo_call k;
    memo_attempt a;
    (void)snprintf(document, sizeof document,
                   RULES("\"outlier\":{\"consecutiveFailures\":1,\"maxEjected\":\"25%%\"},\"balance\":{\"policy\":\"%s\"},\"retry\":{\"attempts\":2,"
                         "\"on\":[\"503\"],\"budget\":\"100%%\"," NO_WAIT "},"
                         "\"routes\":[{\"name\":\"v\",\"to\":[{\"subset\":{\"v\":\"1\"}}]}]"), policies[_i]);
    begin(document, "a=10.0.0.1:80;v=1 b=10.0.0.2:80;v=1 c=10.0.0.3:80;v=1 d=10.0.0.4:80;v=2");
    for (bool gone = false; !gone;) {
        ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
        gone = strcmp(a.id, "a") == 0;
        (void)stage_report(&k, &a, MEMO_OUTCOME_REPLIED, gone ? 500 : 200);
        memo_call_end(&k);
    }
    for (int i = 0; i < 200; i++) {
        ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
        ck_assert(strcmp(a.id, "b") == 0 || strcmp(a.id, "c") == 0);
        memcpy(first, a.id, sizeof first);
        ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_REPLIED, 503), 1);
        ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
        ck_assert((strcmp(a.id, "b") == 0 || strcmp(a.id, "c") == 0) && strcmp(a.id, first) != 0);
        (void)stage_report(&k, &a, MEMO_OUTCOME_REPLIED, 200);
        memo_call_end(&k);
    }
    stage_end(&s);
}
END_TEST

/* Two subsets, called in turn: each has its own turns. */
START_TEST(turns_of_subsets)
{
    uint32_t got[256] = { 0 };
    begin(RULES("\"balance\":{\"policy\":\"round-robin\"},"
                "\"routes\":[{\"name\":\"x\",\"when\":{\"path\":\"/x\"},\"to\":[{\"subset\":{\"v\":\"1\"}}]},"
                "{\"name\":\"y\",\"when\":{\"path\":\"/y\"},\"to\":[{\"subset\":{\"v\":\"2\"}}]}]"),
          "a=10.0.0.1:80;v=1 b=10.0.0.2:80;v=1 c=10.0.0.3:80;v=2 d=10.0.0.4:80;v=2");
    for (int i = 0; i < 10; i++) {
        got[(unsigned char)keyed("/x", NULL, NULL)[0]]++;
        got[(unsigned char)keyed("/y", NULL, NULL)[0]]++;
    }
    ck_assert(got['a'] == 5 && got['b'] == 5 && got['c'] == 5 && got['d'] == 5);
    stage_end(&s);
}
END_TEST

START_TEST(ejected_and_returned)
{
    memo_call k;
    memo_attempt a;
    begin(RULES("\"outlier\":{\"consecutiveFailures\":3,\"ejectFor\":\"30s\"},\"balance\":{\"policy\":\"round-robin\"}," NO_RETRY), FIVE);
    for (int i = 0; i < 15; i++) {
        ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
        (void)stage_report(&k, &a, a.id[0] == 'c' ? MEMO_OUTCOME_RESET : MEMO_OUTCOME_REPLIED, 200);
        memo_call_end(&k);
    }
    const struct stage_turn *t = stage_turned(&s, MEMO_EVENT_EJECTION);
    ck_assert_ptr_nonnull(t);
    ck_assert_str_eq(t->subject, "c");
    ck_assert_str_eq(t->text, "ejected for 30000 ms: 3 failures in a row");
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
        ck_assert_str_ne(a.id, "c");
        (void)stage_report(&k, &a, MEMO_OUTCOME_REPLIED, 200);
        memo_call_end(&k);
    }
    stage_pass(&s, 30 * S);
    bool again = false;
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
        again = again || a.id[0] == 'c';
        (void)stage_report(&k, &a, MEMO_OUTCOME_REPLIED, 200);
        memo_call_end(&k);
    }
    ck_assert(again);
    ck_assert_str_eq(stage_turned(&s, MEMO_EVENT_EJECTION)->text, "returned");
    ck_assert_str_eq(stage_turned(&s, MEMO_EVENT_EJECTION)->subject, "c");
    ck_assert_uint_eq(s.g->outlier.ejected, 0);
    stage_end(&s);
}
END_TEST

/* Of three, one may be ejected. When that one leaves, drains, or is unhealthy, the next one may. */
START_TEST(whoever_is_gone_takes_no_place_among_the_ejected)
{
    static const char *const then[] = { "b=10.0.0.2:80 c=10.0.0.3:80", "a=10.0.0.1:80;weight=0 b=10.0.0.2:80 c=10.0.0.3:80",
                                        "a=10.0.0.1:80;healthy=0 b=10.0.0.2:80 c=10.0.0.3:80", "a=10.0.0.9:80 b=10.0.0.2:80 c=10.0.0.3:80" };
    const char *id[] = { "a", "b" };
    begin(RULES("\"outlier\":{\"consecutiveFailures\":5},\"balance\":{\"policy\":\"round-robin\"}," NO_RETRY), "a=10.0.0.1:80 b=10.0.0.2:80 c=10.0.0.3:80");
    for (int which = 0; which < 2; which++) {
        for (int bad = 0; bad < 5;) {
            memo_call k;
            memo_attempt a;
            ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
            bool fails = strcmp(a.id, id[which]) == 0;
            (void)stage_report(&k, &a, fails ? MEMO_OUTCOME_RESET : MEMO_OUTCOME_REPLIED, fails ? 0 : 200);
            memo_call_end(&k);
            bad += fails;
        }
        const struct stage_turn *t = stage_turned(&s, MEMO_EVENT_EJECTION);
        ck_assert_ptr_nonnull(t);
        ck_assert_str_eq(t->subject, id[which]);
        ck_assert_ptr_nonnull(strstr(t->text, "ejected for 30000 ms"));
        ck_assert_ptr_null(strstr(t->text, "would"));
        ck_assert_int_eq(stage_view(&s, then[_i]), MEMO_OK);
        stage_pass(&s, 40 * S);
    }
    stage_end(&s);
}
END_TEST

START_TEST(too_many_fail)
{
    begin(RULES("\"outlier\":{\"consecutiveFailures\":2,\"ejectFor\":\"30s\",\"maxEjected\":\"34%\"},\"balance\":{\"policy\":\"round-robin\"}," NO_RETRY), FIVE);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(stage_call(&s, MEMO_OUTCOME_RESET, 0), MEMO_OK);
    ck_assert_uint_eq(s.g->outlier.ejected, 1);
    ck_assert_ptr_nonnull(strstr(stage_turned(&s, MEMO_EVENT_EJECTION)->text, "would be ejected"));
    stage_end(&s);
}
END_TEST

/* ---- routes ---- */

START_TEST(routes_and_subsets)
{
    const memo_header canary[] = { { "X-Canary", "1", 0, 0 } };
    memo_call k;
    memo_attempt a = MEMO_INIT(memo_attempt);
    int v2 = 0;
    begin(RULES("\"timeout\":\"1s\",\"routes\":[{\"name\":\"canary\",\"when\":{\"header\":{\"x-canary\":\"1\"}},\"to\":[{\"subset\":{\"version\":\"v2\"},\"weight\":100}]},"
                "{\"name\":\"nowhere\",\"when\":{\"path\":\"/nowhere\"},\"to\":[{\"subset\":{\"version\":\"v9\"}}]},"
                "{\"name\":\"split\",\"when\":{\"path\":\"/split/*\"},\"to\":[{\"subset\":{\"version\":\"v2\"},\"weight\":1},{\"subset\":{\"version\":\"v1\"},\"weight\":3}]},"
                "{\"name\":\"report\",\"when\":{\"method\":\"GET\",\"path\":\"/reports/*\"},\"timeout\":\"3s\"}]"),
          "a=10.0.0.1:80;version=v1 b=10.0.0.2:80;version=v2");
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(stage_begin_with(&s, &k, "GET", "/reports/1", canary, 1), MEMO_OK);
        ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
        ck_assert_str_eq(a.id, "b");
        ck_assert_int_eq(a.timeout_ms, 1000);
        memo_call_end(&k);
    }
    ck_assert_int_eq(stage_begin_with(&s, &k, "GET", "/reports/1?x=1", NULL, 0), MEMO_OK);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
    ck_assert_int_eq(a.timeout_ms, 3000);
    memo_call_end(&k);
    ck_assert_int_eq(stage_begin_with(&s, &k, "GET", "/nowhere", NULL, 0), MEMO_OK);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_REFUSED_NO_ENDPOINT); /* a subset that nobody is in */
    memo_call_end(&k);
    for (int i = 0; i < 2000; i++) {
        ck_assert_int_eq(stage_begin_with(&s, &k, "GET", "/split/7", NULL, 0), MEMO_OK);
        ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
        v2 += a.id[0] == 'b';
        memo_call_end(&k);
    }
    ck_assert_int_gt(v2, 400); /* a quarter, give or take five deviations */
    ck_assert_int_lt(v2, 600);
    /* new rules between begin and next: another revision knows no such subset, all endpoints are as good */
    ck_assert_int_eq(stage_begin_with(&s, &k, "GET", "/nowhere", NULL, 0), MEMO_OK);
    ck_assert_int_eq(stage_rules(&s, NULL), MEMO_OK);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
    ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_REPLIED, 200), 0);
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

/* ---- observe, disabled ---- */

START_TEST(observed_only)
{
    memo_call k;
    memo_attempt a;
    begin("{\"memo\":1,\"mode\":\"observe\",\"services\":{\"todo\":{" BREAKER ",\"concurrency\":{\"max\":1},\"limits\":[{\"name\":\"all\",\"rate\":\"1/h\",\"burst\":6}],"
          "\"outlier\":{\"consecutiveFailures\":2}," NO_RETRY "}}}", TWO);
    ck_assert(open_breaker(5));
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_OK);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_OK);
    memo_call_end(&k);
    ck_assert_uint_ge(counters()->would_refuse[MEMO_REFUSED_OPEN - MEMO_REFUSED_LIMITED], 5);
    ck_assert_uint_ge(counters()->would_refuse[0], 4);
    ck_assert_uint_eq(counters()->would_refuse[MEMO_REFUSED_OVERLOADED - MEMO_REFUSED_LIMITED], 1);
    ck_assert_uint_eq(s.g->outlier.ejected, 0);
    ck_assert_ptr_nonnull(strstr(stage_turned(&s, MEMO_EVENT_EJECTION)->text, "would be ejected"));
    ck_assert_int_eq(stage_rules(&s, RULES("\"breaker\":{\"scope\":\"instance\",\"mode\":\"observe\",\"minCalls\":1,\"openWhen\":{\"failed\":\"1%\"}}," NO_RETRY)), MEMO_OK);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(stage_call(&s, MEMO_OUTCOME_RESET, 0), MEMO_OK); /* every own breaker is open: picked all the same */
    stage_end(&s);
}
END_TEST

START_TEST(disabled)
{
    memo_call k;
    memo_attempt a;
    static const char rules[] = RULES(BREAKER ",\"limits\":[{\"name\":\"all\",\"rate\":\"1/h\",\"burst\":1}],\"concurrency\":{\"max\":1},\"outlier\":{\"consecutiveFailures\":1}");
    begin(rules, TWO);
    s.world.disabled = true; /* before the first plan, usually */
    ck_assert_int_eq(stage_rules(&s, rules), MEMO_OK);
    for (int i = 0; i < 30; i++) {
        ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
        ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_RESET, 0), 0); /* no retry */
        memo_call_end(&k);
    }
    ck_assert_int_eq(stage_begin_with(&s, &k, "GET", "/", NULL, 0), MEMO_OK);
    memo_call_end(&k);
    ck_assert_uint_eq(s.turns_count, 0);
    ck_assert_uint_eq(tokens(0), 1);
    stage_end(&s);
}
END_TEST

/* ---- misuse ---- */

START_TEST(arguments)
{
    memo_call k = MEMO_INIT(memo_call), small = { .size = 8 };
    memo_call_facts f = MEMO_INIT(memo_call_facts), bad;
    memo_attempt a = MEMO_INIT(memo_attempt), bad_attempt = { .size = 8 };
    memo_outcome o = MEMO_INIT(memo_outcome), wrong;
    const memo_header nameless[] = { { NULL, "x", 0, 0 } }, valueless[] = { { "x", NULL, 0, 0 } };
    memo_header out[8];
    char buf[256];
    uint32_t n;
    int32_t again;
    begin(NULL, TWO);
    ck_assert_int_eq(memo_call_begin(NULL, s.service, &f), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_call_begin(&small, s.service, &f), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_call_begin(&k, NULL, &f), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_call_begin(&k, s.service, NULL), MEMO_E_ARGUMENT);
    bad = f, bad.size = 8;
    ck_assert_int_eq(memo_call_begin(&k, s.service, &bad), MEMO_E_ARGUMENT);
    bad = f, bad.headers_count = 1;
    ck_assert_int_eq(memo_call_begin(&k, s.service, &bad), MEMO_E_ARGUMENT);
    bad.headers = nameless;
    ck_assert_int_eq(memo_call_begin(&k, s.service, &bad), MEMO_E_ARGUMENT);
    bad.headers = valueless;
    ck_assert_int_eq(memo_call_begin(&k, s.service, &bad), MEMO_E_ARGUMENT);
    bad = f, bad.timeout_ms = -1;
    ck_assert_int_eq(memo_call_begin(&k, s.service, &bad), MEMO_E_ARGUMENT);
    ck_assert_uint_eq(memo__governor_open_calls(s.g), 0); /* an argument error owes no end */
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_E_STATE);
    memo_call_end(&k);
    ck_assert_int_eq(memo_call_begin(&k, s.service, &f), MEMO_OK);
    ck_assert_int_eq(memo_call_next(NULL, &a), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_call_next(&k, NULL), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_call_next(&k, &bad_attempt), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
    ck_assert_int_eq(memo_call_inject(NULL, &a, buf, sizeof buf, out, 8, &n), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_call_inject(&k, NULL, buf, sizeof buf, out, 8, &n), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_call_inject(&k, &a, NULL, sizeof buf, out, 8, &n), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_call_inject(&k, &a, buf, sizeof buf, NULL, 8, &n), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_call_inject(&k, &a, buf, sizeof buf, out, 8, NULL), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_call_inject(&k, &bad_attempt, buf, sizeof buf, out, 8, &n), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_call_report(NULL, &a, &o, &again), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_call_report(&k, NULL, &o, &again), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_call_report(&k, &bad_attempt, &o, &again), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_call_report(&k, &a, NULL, &again), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_call_report(&k, &a, &o, NULL), MEMO_E_ARGUMENT);
    for (int i = 0; i < 7; i++) {
        wrong = o;
        if (i == 0)
            wrong.size = 8;
        else if (i < 3)
            wrong.kind = i == 1 ? -1 : 6;
        else if (i < 5)
            wrong.verdict = i == 3 ? -1 : 4;
        else if (i == 5)
            wrong.http_status = 1000;
        else
            wrong.grpc_status = 17;
        ck_assert_int_eq(memo_call_report(&k, &a, &wrong, &again), MEMO_E_ARGUMENT);
    }
    ck_assert_int_eq(memo_call_report(&k, &a, &o, &again), MEMO_OK); /* none of them counted as the report */
    memo_call_end(&k);
    memo_call_end(NULL);
    stage_end(&s);
}
END_TEST

START_TEST(misuse)
{
    memo_call k = MEMO_INIT(memo_call), other;
    memo_attempt a = MEMO_INIT(memo_attempt), later;
    memo_outcome o = MEMO_INIT(memo_outcome);
    memo_header out[8];
    char buf[256];
    uint32_t n;
    int32_t again = 9;
    begin(RULES("\"retry\":{\"attempts\":3," NO_WAIT "}"), TWO);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_E_STATE);                                  /* without begin */
    ck_assert_int_eq(memo_call_report(&k, &a, &o, &again), MEMO_E_STATE);
    ck_assert_int_eq(again, 0);
    ck_assert_int_eq(memo_call_inject(&k, &a, buf, sizeof buf, out, 8, &n), MEMO_E_STATE);
    memo_call_end(&k);
    ck_assert_int_eq(stage_begin_with(&s, &k, "GET", "/", NULL, 0), MEMO_OK);
    a.number = 1;
    ck_assert_int_eq(memo_call_report(&k, &a, &o, &again), MEMO_E_STATE);                    /* no attempt yet */
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_E_STATE);                                  /* the first is still open */
    later = a, later.number = 2;
    ck_assert_int_eq(memo_call_report(&k, &later, &o, &again), MEMO_E_STATE);                /* not an attempt of this call */
    later.number = 0;
    ck_assert_int_eq(memo_call_inject(&k, &later, buf, sizeof buf, out, 8, &n), MEMO_E_STATE);
    ck_assert_int_eq(memo_call_report(&k, &a, &o, &again), MEMO_OK);
    uint64_t ok = counters()->attempts[0][MEMO__CLASS_2XX];
    ck_assert_int_eq(memo_call_report(&k, &a, &o, &again), MEMO_E_STATE);                    /* twice */
    ck_assert_uint_eq(counters()->attempts[0][MEMO__CLASS_2XX], ok);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_E_STATE);                                  /* it was not told to go on */
    memo_call_end(&k);
    ck_assert_int_eq(memo_call_report(&k, &a, &o, &again), MEMO_E_STATE);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_E_STATE);
    ck_assert_int_eq(stage_open(&s, &other, &a, "GET"), MEMO_OK);
    ck_assert_int_eq(stage_report(&other, &a, MEMO_OUTCOME_RESET, 0), 1);
    ck_assert_int_eq(memo_call_report(&other, &a, &o, &again), MEMO_E_STATE);                /* the first, after its retry was granted */
    ck_assert_int_eq(memo_call_next(&other, &later), MEMO_OK);
    ck_assert_int_eq(memo_call_report(&other, &a, &o, &again), MEMO_E_STATE);
    memo_call copy = other; /* a call may be moved */
    memset(&other, 0, sizeof other);
    ck_assert_int_eq(memo_call_report(&copy, &later, &o, &again), MEMO_OK);
    memo_call_end(&copy);
    ck_assert_uint_eq(memo__governor_open_calls(s.g), 0);
    stage_end(&s);
}
END_TEST

/* Ended with an attempt open: it counts as cancelled and teaches nothing. */
START_TEST(given_up)
{
    memo_call k;
    memo_attempt a;
    begin(RULES(BREAKER ",\"concurrency\":{\"max\":1},\"outlier\":{\"consecutiveFailures\":1}," NO_RETRY), TWO);
    for (int i = 0; i < 30; i++) {
        ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
        memo_call_end(&k);
    }
    ck_assert_uint_eq(s.turns_count, 0);
    ck_assert_uint_eq(counters()->calls[MEMO__CALL_CANCELLED], 30);
    for (uint32_t i = 0; i < s.g->fleet.stripes; i++)
        for (uint32_t slot = 0; slot < 2; slot++)
            ck_assert_int_eq(memo__fleet_part(&s.g->fleet, i, slot)->inflight, 0);
    stage_end(&s);
}
END_TEST

/* The service was given back, or the client freed, while a call was open. */
START_TEST(the_service_is_gone)
{
    memo_call k, ended;
    memo_attempt a;
    memo_outcome o = MEMO_INIT(memo_outcome);
    memo_header out[8];
    char buf[4096];
    uint32_t n;
    int32_t again = 5;
    begin(NULL, TWO);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    ck_assert_int_eq(stage_begin_with(&s, &ended, "GET", "/", NULL, 0), MEMO_OK);
    stage_end(&s);
    ck_assert_int_eq(memo_call_report(&k, &a, &o, &again), MEMO_E_STATE);
    ck_assert_int_eq(again, 0);
    memo_attempt b = MEMO_INIT(memo_attempt);
    ck_assert_int_eq(memo_call_next(&ended, &b), MEMO_E_STATE);
    ck_assert_int_eq(memo_call_inject(&k, &a, buf, sizeof buf, out, 8, &n), MEMO_OK); /* needs nobody */
    ck_assert(!memo__call_secure(&k, &a));
    ck_assert_int_eq(memo_call_explain(&k, "text", buf, sizeof buf, NULL), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(buf, "(service gone)"));
    memo_call_end(&k);
    memo_call_end(&ended);
    ck_assert_int_eq(memo_call_explain(&k, "text", buf, sizeof buf, NULL), MEMO_E_STATE);
}
END_TEST

/* A call that was begun in a parent is no call of its child. */
START_TEST(another_process)
{
    memo_call k;
    memo_attempt a, b = MEMO_INIT(memo_attempt);
    memo_outcome o = MEMO_INIT(memo_outcome);
    int32_t again;
    begin(NULL, TWO);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    s.world.process++;
    memo__governor_after_fork(s.g);
    ck_assert_int_eq(memo_call_report(&k, &a, &o, &again), MEMO_E_STATE);
    ck_assert_int_eq(memo_call_next(&k, &b), MEMO_E_STATE);
    uint64_t open = memo__governor_open_calls(s.g);
    memo_call_end(&k);
    ck_assert_uint_eq(memo__governor_open_calls(s.g), open); /* not ours to give back */
    stage_end(&s);
}
END_TEST

/* A reload while a call is under way: it stays on the route of that name and in the subset of those labels, wherever they stand now, and under their new rules; where they are gone, on
 * "default". */
#define CANARY "{\"name\":\"canary\",\"when\":{\"header\":{\"x-canary\":\"1\"}},\"to\":[{\"subset\":{\"version\":\"v2\"},\"weight\":1}]," \
    "\"retry\":{\"attempts\":4,\"backoff\":{\"initial\":\"1ms\",\"max\":\"1ms\",\"jitter\":\"none\"}}}"
#define OTHER "{\"name\":\"other\",\"when\":{\"path\":\"/other\"},\"to\":[{\"subset\":{\"version\":\"v1\"},\"weight\":1}]},"

START_TEST(a_reload_on_the_way)
{
    const memo_header canary = { "x-canary", "1", 0, 0 };
    memo_call k;
    memo_attempt a = MEMO_INIT(memo_attempt);
    begin(RULES(NO_RETRY ",\"routes\":[" CANARY "]"), "a=1.1.1.1:1;version=v1 b=1.1.1.2:1;version=v1 c=1.1.1.3:1;version=v2 d=1.1.1.4:1;version=v2");
    ck_assert_int_eq(stage_begin_with(&s, &k, "GET", "/", &canary, 1), MEMO_OK);
    ck_assert_int_eq(stage_rules(&s, RULES(NO_RETRY ",\"routes\":[" OTHER CANARY "]")), MEMO_OK);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
        ck_assert_msg(a.id[0] == 'c' || a.id[0] == 'd', "attempt %d went to %s", i + 1, a.id);
        ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_CONNECT_FAILED, 0), 1);
    }
    ck_assert_int_eq(stage_rules(&s, RULES(NO_RETRY)), MEMO_OK); /* no such route any more: one attempt, which was made long ago */
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
    ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_CONNECT_FAILED, 0), 0);
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

/* The route leads elsewhere by now: what is left of the call goes there, and not to just anybody. */
START_TEST(a_reload_that_leads_elsewhere)
{
    const memo_header canary = { "x-canary", "1", 0, 0 };
    memo_call k;
    memo_attempt a = MEMO_INIT(memo_attempt);
    begin(RULES(NO_RETRY ",\"routes\":[" CANARY "]"), "a=1.1.1.1:1;version=v1 b=1.1.1.2:1;version=v2 c=1.1.1.3:1;version=v3 d=1.1.1.4:1;version=v3");
    ck_assert_int_eq(stage_begin_with(&s, &k, "GET", "/", &canary, 1), MEMO_OK);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
    ck_assert_str_eq(a.id, "b");
    ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_CONNECT_FAILED, 0), 1);
    ck_assert_int_eq(stage_rules(&s, RULES(NO_RETRY ",\"routes\":[{\"name\":\"canary\",\"when\":{\"header\":{\"x-canary\":\"2\"}},"
                                           "\"to\":[{\"subset\":{\"version\":\"v3\"},\"weight\":1}],\"retry\":{\"attempts\":4}}]")), MEMO_OK);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
        ck_assert_msg(a.id[0] == 'c' || a.id[0] == 'd', "attempt %d went to %s", i + 2, a.id);
        ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_CONNECT_FAILED, 0), i < 2);
    }
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

/* A call that a breaker of the service let in, and whose route has one of its own by now: the service's is not told with the other one's window, which would end its time. */
START_TEST(a_reload_gives_the_route_a_breaker)
{
#define WINDOW "\"breaker\":{\"window\":\"2s\",\"minCalls\":10,\"openWhen\":{\"failed\":\"50%\"}}," NO_RETRY
    const memo_header other = { "x-a", "1", 0, 0 };
    memo_call k;
    memo_attempt a = MEMO_INIT(memo_attempt);
    begin(RULES(WINDOW ",\"routes\":[{\"name\":\"a\",\"when\":{\"header\":{\"x-a\":\"1\"}}}]"), TWO);
    ck_assert_int_eq(stage_begin_with(&s, &k, "GET", "/", &other, 1), MEMO_OK);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
    ck_assert_int_eq(stage_rules(&s, RULES(WINDOW ",\"routes\":[{\"name\":\"a\",\"when\":{\"header\":{\"x-a\":\"1\"}},\"breaker\":{\"scope\":\"route\",\"window\":\"1s\"}}]")), MEMO_OK);
    ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_REPLIED, 200), 0);
    memo_call_end(&k);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(stage_call(&s, MEMO_OUTCOME_RESET, 0), MEMO_OK);
    stage_pass(&s, 5 * S); /* all of it is out of the window */
    ck_assert_int_eq(stage_call(&s, MEMO_OUTCOME_RESET, 0), MEMO_OK);
    ck_assert_int_eq(stage_call(&s, MEMO_OUTCOME_RESET, 0), MEMO_OK); /* closed: 1 of 1 */
    stage_end(&s);
}
END_TEST

/* ---- what is kept ---- */

START_TEST(kept_for_later)
{
    struct memo__record r;
    begin(RULES("\"limits\":[{\"name\":\"all\",\"rate\":\"1/h\",\"burst\":4}],\"retry\":{\"attempts\":2," NO_WAIT "}"), TWO);
    s.world.slow_call = S;
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_OK);
    ck_assert(!memo__ring_get(&s.world.ring, 0, &r)); /* a good and fast one is not */
    ck_assert_int_eq(stage_call(&s, MEMO_OUTCOME_REPLIED, 500), MEMO_OK);
    ck_assert(memo__ring_get(&s.world.ring, 0, &r));
    ck_assert_int_eq(r.tries[0].http, 500);
    memo_call k;
    memo_attempt a;
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    stage_pass(&s, 2 * S);
    (void)stage_report(&k, &a, MEMO_OUTCOME_REPLIED, 200);
    memo_call_end(&k);
    ck_assert(memo__ring_get(&s.world.ring, 0, &r)); /* slow */
    ck_assert_int_eq(r.tries[0].http, 200);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_RESET, 0), 1);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
    (void)stage_report(&k, &a, MEMO_OUTCOME_REPLIED, 200);
    memo_call_end(&k);
    ck_assert(memo__ring_get(&s.world.ring, 0, &r)); /* tried twice */
    ck_assert_uint_eq(r.attempts, 2);
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_REFUSED_LIMITED);
    ck_assert(memo__ring_get(&s.world.ring, 0, &r));
    ck_assert_int_eq(r.status, MEMO_REFUSED_LIMITED);
    stage_end(&s);
}
END_TEST

Suite *suite_call_call(void);
Suite *suite_call_call(void)
{
    Suite *suite = suite_create("call/call");
    TCase *t = tcase_create("ordinary");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_call);
    tcase_add_test(t, headers_of_an_attempt);
    tcase_add_test(t, the_parent_goes_on);
    tcase_add_test(t, deadlines);
    tcase_add_test(t, less_than_a_millisecond_is_one);
    tcase_add_test(t, at_most_five_attempts);
    tcase_add_test(t, only_one_to_retry_on);
    tcase_add_test(t, what_is_retried);
    tcase_add_test(t, retry_after_is_kept);
    tcase_add_test(t, the_budget_ends_retries);
    tcase_add_test(t, routes_and_subsets);
    tcase_add_test(t, kept_for_later);
    suite_add_tcase(suite, t);
    t = tcase_create("refusals");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, limited);
    tcase_add_test(t, open_and_healed);
    tcase_add_test(t, a_probe_that_fails_reopens);
    tcase_add_test(t, a_probe_is_a_lease);
    tcase_add_test(t, slow_calls_open_too);
    tcase_add_test(t, opened_by_a_good_answer);
    tcase_add_test(t, overloaded);
    tcase_add_test(t, nothing_was_sent);
    tcase_add_test(t, nothing_sent_costs_nothing_however_often);
    tcase_add_test(t, limits_by_header);
    tcase_add_test(t, no_endpoint);
    tcase_add_test(t, stale);
    tcase_add_test(t, stale_after_a_month);
    tcase_add_test(t, stale_but_only_observed);
    tcase_add_test(t, not_ready);
    tcase_add_test(t, the_endpoints_own_breaker);
    tcase_add_test(t, by_ring_hash);
    tcase_add_test(t, hashed_or_not_meanwhile);
    tcase_add_loop_test(t, a_retry_goes_elsewhere, 0, 6);
    tcase_add_test(t, turns_of_subsets);
    tcase_add_test(t, ejected_and_returned);
    tcase_add_loop_test(t, whoever_is_gone_takes_no_place_among_the_ejected, 0, 4);
    tcase_add_test(t, too_many_fail);
    tcase_add_test(t, observed_only);
    tcase_add_test(t, disabled);
    suite_add_tcase(suite, t);
    t = tcase_create("misuse");
    tcase_add_test(t, arguments);
    tcase_add_test(t, misuse);
    tcase_add_test(t, given_up);
    tcase_add_test(t, the_service_is_gone);
    tcase_add_test(t, another_process);
    tcase_add_test(t, a_reload_on_the_way);
    tcase_add_test(t, a_reload_gives_the_route_a_breaker);
    tcase_add_test(t, a_reload_that_leads_elsewhere);
    suite_add_tcase(suite, t);
    return suite;
}
