/* SPDX-License-Identifier: Apache-2.0 */
/* inbound.c: requests on a stage: who is let in, what goes back on which path, what is told about those who were not. */
#include "call/inbound.h"
#include <stdio.h>
#include "call/call.h"
#include "call/explain.h"
#include "policy/shed.h"
#include "stage.h"
#include "telemetry/context.h"

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00-" TRACE "-00f067aa0ba902b7-00"
#define H(name, value) { name, value, 0, 0 }

static struct stage st;
static struct memo__governor g __attribute__((aligned(64)));

static void begin(const char *inbound)
{
    char text[1024];
    (void)snprintf(text, sizeof text, "{\"memo\":1,\"inbound\":{%s}}", inbound);
    stage_begin(&st, text);
    st.world.receives = 1;
    memset(&g, 0, sizeof g);
    ck_assert_int_eq(memo__governor_init(&g, &st.world, NULL, st.rules), MEMO_OK);
}

static void end(void)
{
    ck_assert_uint_eq(memo__governor_open_calls(&g), 0);
    memo__governor_leave(&g);
    stage_release(&st);
    memo__governor_fini(&g);
    stage_end(&st);
}

static void reload(const char *inbound)
{
    char text[1024];
    (void)snprintf(text, sizeof text, "{\"memo\":1,\"inbound\":{%s}}", inbound);
    struct memo__rules *next = stage_compile(&st, text);
    ck_assert_int_eq(memo__governor_prepare(&g, next), MEMO_OK);
    memo__governor_commit(&g);
    memo__rules_drop(next);
}

static memo_status enter_with(memo_inbound *i, const char *caller, const memo_header *h, uint32_t count)
{
    *i = (memo_inbound)MEMO_INIT(memo_inbound);
    memo_inbound_facts f = MEMO_INIT(memo_inbound_facts);
    f.method = "GET";
    f.path = "/todos/7";
    f.caller = caller;
    f.headers = h;
    f.headers_count = count;
    return memo__inbound_enter(i, &g, &st.world, &f);
}

static memo_status enter(memo_inbound *i) { return enter_with(i, NULL, NULL, 0); }

static void leave(memo_inbound *i, int32_t kind, int32_t http)
{
    memo_outcome o = MEMO_INIT(memo_outcome);
    o.kind = kind;
    o.http_status = http;
    memo_inbound_leave(i, &o);
}

static struct memo__service_counters counted(void)
{
    struct memo__service_counters sum = { 0 };
    for (uint32_t n = 0; n < g.parts.count; n++)
        memo__counters_merge(&sum, &memo__governor_part(&g, n)->counters);
    return sum;
}

static uint64_t refused(memo_status s) { return counted().calls[MEMO__REFUSED + (s - MEMO_REFUSED_LIMITED)]; }
static uint64_t would(memo_status s) { return counted().would_refuse[s - MEMO_REFUSED_LIMITED]; }

static void reply_is(const memo_inbound *i, int32_t http, int32_t grpc, int32_t after)
{
    memo_inbound_reply r = MEMO_INIT(memo_inbound_reply);
    ck_assert_int_eq(memo_inbound_get_reply(i, &r), MEMO_OK);
    ck_assert_int_eq(r.http_status, http);
    ck_assert_int_eq(r.grpc_status, grpc);
    ck_assert_int_ge(r.retry_after_s, after);
    ck_assert_int_le(r.retry_after_s, after + 1); /* buckets by key count in 512ths of an interval, rounded up */
}

/* The newest refusal, as memoctl explain --last shows it. */
static const char *told(const char *format)
{
    static char text[2048];
    struct memo__record k;
    ck_assert(memo__ring_get(&st.world.ring, 0, &k));
    ck_assert_int_eq(memo__explain(&k, format, text, sizeof text, NULL), MEMO_OK);
    return text;
}

START_TEST(without_rules_all_are_let_in)
{
    begin("");
    memo_inbound i;
    memo_inbound_reply r = MEMO_INIT(memo_inbound_reply);
    ck_assert_int_eq(enter(&i), MEMO_OK);
    ck_assert_uint_eq(memo__governor_open_calls(&g), 1);
    ck_assert_int_eq(memo_inbound_get_reply(&i, &r), MEMO_E_STATE);
    stage_pass(&st, 5 * MS);
    leave(&i, MEMO_OUTCOME_REPLIED, 200);
    leave(&i, MEMO_OUTCOME_REPLIED, 200); /* once is enough, twice is harmless */
    ck_assert_uint_eq(memo__governor_open_calls(&g), 0);
    ck_assert_uint_eq(counted().calls[MEMO__CALL_OK], 1);
    ck_assert_uint_eq(counted().duration.sum_ns, (uint64_t)(5 * MS));
    end();
}
END_TEST

static const struct { int32_t kind, http, verdict; enum memo__result result; } ends[] = {
    { MEMO_OUTCOME_REPLIED, 200, 0, MEMO__CALL_OK }, { MEMO_OUTCOME_REPLIED, 404, 0, MEMO__CALL_OK },
    { MEMO_OUTCOME_REPLIED, 500, 0, MEMO__CALL_FAILED },
    { MEMO_OUTCOME_RESET, 0, 0, MEMO__CALL_FAILED }, { MEMO_OUTCOME_TIMED_OUT, 0, 0, MEMO__CALL_FAILED },
    { MEMO_OUTCOME_CANCELLED, 0, 0, MEMO__CALL_CANCELLED },
    { MEMO_OUTCOME_REPLIED, 500, MEMO_VERDICT_SUCCEEDED, MEMO__CALL_OK }, { MEMO_OUTCOME_REPLIED, 200, MEMO_VERDICT_FAILED, MEMO__CALL_FAILED },
    { MEMO_OUTCOME_REPLIED, 200, MEMO_VERDICT_IGNORE, MEMO__CALL_CANCELLED }, { 77, 200, 0, MEMO__CALL_CANCELLED },
    { MEMO_OUTCOME_REPLIED, 200, 9, MEMO__CALL_CANCELLED },
};

START_TEST(how_it_ended)
{
    begin("\"concurrency\":{\"max\":1}");
    memo_inbound i;
    memo_outcome o = MEMO_INIT(memo_outcome);
    o.kind = ends[_i].kind;
    o.http_status = ends[_i].http;
    o.verdict = ends[_i].verdict;
    ck_assert_int_eq(enter(&i), MEMO_OK);
    memo_inbound_leave(&i, &o);
    ck_assert_uint_eq(counted().calls[ends[_i].result], 1);
    ck_assert_int_eq(enter(&i), MEMO_OK); /* the permit is back, however it ended */
    memo_inbound_leave(&i, NULL);
    ck_assert_int_eq(enter(&i), MEMO_OK);
    memo_inbound_leave(&i, NULL);
    ck_assert_uint_ge(counted().calls[MEMO__CALL_CANCELLED], 2);
    end();
}
END_TEST

START_TEST(limited)
{
    begin("\"limits\":[{\"name\":\"all\",\"rate\":\"10/m\",\"burst\":2}]");
    memo_inbound i;
    for (int n = 0; n < 2; n++) {
        ck_assert_int_eq(enter(&i), MEMO_OK);
        leave(&i, MEMO_OUTCOME_REPLIED, 200);
    }
    ck_assert_int_eq(enter(&i), MEMO_REFUSED_LIMITED);
    reply_is(&i, 429, 8, 6);
    leave(&i, MEMO_OUTCOME_REPLIED, 200); /* was never in: harmless */
    ck_assert_uint_eq(refused(MEMO_REFUSED_LIMITED), 1);
    ck_assert_uint_eq(counted().calls[MEMO__CALL_OK], 2);
    ck_assert_ptr_nonnull(strstr(told("text"), "inbound "));
    ck_assert_ptr_nonnull(strstr(told("text"), "GET /todos/7   MEMO_REFUSED_LIMITED"));
    ck_assert_ptr_nonnull(strstr(told("text"), "limit all 0/2   [inbound.limits[0]]\n"));
    ck_assert_ptr_nonnull(strstr(told("json"), "\"inbound\":true"));
    ck_assert_ptr_nonnull(strstr(told("json"), "\"result\":\"refused\",\"admitted\":false,\"observed\":false,\"rule\":\"inbound.limits[0]\","
                                               "\"limit\":\"all\",\"limit_tokens\":0,\"limit_burst\":2}"));
    stage_pass(&st, 6 * S);
    ck_assert_int_eq(enter(&i), MEMO_OK);
    leave(&i, MEMO_OUTCOME_REPLIED, 200);
    end();
}
END_TEST

START_TEST(limited_by_caller_and_by_header)
{
    begin("\"limits\":[{\"name\":\"callers\",\"rate\":\"1/m\",\"by\":\"caller\"},"
          "{\"name\":\"users\",\"rate\":\"1/s\",\"burst\":1,\"by\":\"header:x-user\"}]");
    memo_inbound i;
    const memo_header ann = H("X-User", "ann"), bob = H("x-user", "bob");
    ck_assert_int_eq(enter_with(&i, "billing", NULL, 0), MEMO_OK);
    leave(&i, MEMO_OUTCOME_REPLIED, 200);
    ck_assert_int_eq(enter_with(&i, "billing", NULL, 0), MEMO_REFUSED_LIMITED);
    reply_is(&i, 429, 8, 60);
    ck_assert_ptr_nonnull(strstr(told("text"), "limit callers"));
    ck_assert_int_eq(enter_with(&i, NULL, NULL, 0), MEMO_OK);       /* those without a name count as one */
    leave(&i, MEMO_OUTCOME_REPLIED, 200);
    ck_assert_int_eq(enter_with(&i, "", NULL, 0), MEMO_REFUSED_LIMITED);
    ck_assert_int_eq(enter_with(&i, "a", &ann, 1), MEMO_OK);
    leave(&i, MEMO_OUTCOME_REPLIED, 200);
    ck_assert_int_eq(enter_with(&i, "b", &ann, 1), MEMO_REFUSED_LIMITED);
    reply_is(&i, 429, 8, 1);
    ck_assert_ptr_nonnull(strstr(told("text"), "limit users 0/1   [inbound.limits[1]]\n"));
    ck_assert_int_eq(enter_with(&i, "b", &bob, 1), MEMO_OK);        /* that refusal took nothing from b */
    leave(&i, MEMO_OUTCOME_REPLIED, 200);
    end();
}
END_TEST

START_TEST(concurrency)
{
    begin("\"concurrency\":{\"max\":2,\"exact\":true}");
    memo_inbound i[3];
    ck_assert_int_eq(enter(&i[0]), MEMO_OK);
    ck_assert_int_eq(enter(&i[1]), MEMO_OK);
    ck_assert_int_eq(enter(&i[2]), MEMO_REFUSED_OVERLOADED);
    reply_is(&i[2], 503, 14, 1);
    ck_assert_ptr_nonnull(strstr(told("text"), "concurrency 2 reached   [inbound.concurrency]\n"));
    ck_assert_ptr_nonnull(strstr(told("json"), "\"rule\":\"inbound.concurrency\",\"concurrency\":2}"));
    leave(&i[0], MEMO_OUTCOME_REPLIED, 500);
    ck_assert_int_eq(enter(&i[2]), MEMO_OK);
    memo_inbound copy = i[1]; /* a value: whichever copy goes on */
    leave(&copy, MEMO_OUTCOME_REPLIED, 200);
    leave(&i[2], MEMO_OUTCOME_REPLIED, 200);
    end();
}
END_TEST

START_TEST(a_refusal_consumes_nothing)
{
    begin("\"shed\":{\"min\":1,\"max\":1},\"limits\":[{\"name\":\"all\",\"rate\":\"2/m\",\"burst\":2}],\"concurrency\":{\"max\":1}");
    memo_inbound i, other;
    ck_assert_int_eq(enter(&i), MEMO_OK);
    for (int n = 0; n < 5; n++)
        ck_assert_int_eq(enter(&other), MEMO_REFUSED_OVERLOADED);
    leave(&i, MEMO_OUTCOME_REPLIED, 200);
    ck_assert_int_eq(enter(&i), MEMO_OK); /* the second token is still there */
    leave(&i, MEMO_OUTCOME_REPLIED, 200);
    ck_assert_int_eq(enter(&i), MEMO_REFUSED_LIMITED);
    struct memo__shed_facts f;
    memo__shed_read(g.plan->shed->shared, &g.plan->shed->parts, &f);
    ck_assert_uint_eq(f.under_way, 0); /* and the permit that was asked for before is back */
    end();
}
END_TEST

/* A slow server: the limit falls, and who comes too many is told why. */
START_TEST(shed)
{
    begin("\"shed\":{\"min\":2,\"max\":40,\"window\":\"100ms\"}");
    memo_inbound i[64];
    for (int round = 0; round < 60; round++) {
        int n = 0;
        while (n < 64 && enter(&i[n]) == MEMO_OK)
            n++;
        stage_pass(&st, round < 12 ? 10 * MS : 100 * MS);
        while (n)
            leave(&i[--n], MEMO_OUTCOME_REPLIED, 200);
    }
    struct memo__shed_facts f;
    memo__shed_read(g.plan->shed->shared, &g.plan->shed->parts, &f);
    ck_assert_uint_lt(f.limit, 12);
    ck_assert_int_eq(f.best, 10 * MS);
    ck_assert_uint_gt(refused(MEMO_REFUSED_OVERLOADED), 0);
    ck_assert_ptr_nonnull(strstr(told("text"), "shed: limit "));
    ck_assert_ptr_nonnull(strstr(told("text"), "best latency 10.00 ms   [inbound.shed]\n"));
    ck_assert_ptr_nonnull(strstr(told("json"), "\"rule\":\"inbound.shed\",\"shed_limit\":"));
    ck_assert_ptr_nonnull(strstr(told("json"), ",\"shed_best_ms\":10.000}"));
    end();
}
END_TEST

START_TEST(failures_do_not_teach)
{
    begin("\"shed\":{\"min\":2,\"max\":40,\"window\":\"100ms\"}");
    memo_inbound i;
    struct memo__shed_facts f;
    for (int n = 0; n < 100; n++) {
        ck_assert_int_eq(enter(&i), MEMO_OK);
        stage_pass(&st, 10 * MS);
        leave(&i, n % 2 ? MEMO_OUTCOME_CANCELLED : MEMO_OUTCOME_REPLIED, 503);
    }
    memo__shed_read(g.plan->shed->shared, &g.plan->shed->parts, &f);
    ck_assert_int_eq(f.best, 0);
    for (int n = 0; n < 40; n++) {
        ck_assert_int_eq(enter(&i), MEMO_OK);
        stage_pass(&st, 10 * MS);
        leave(&i, MEMO_OUTCOME_TIMED_OUT, 0); /* took at least so long */
    }
    memo__shed_read(g.plan->shed->shared, &g.plan->shed->parts, &f);
    ck_assert_int_eq(f.best, 10 * MS);
    end();
}
END_TEST

START_TEST(observed)
{
    begin("\"mode\":\"observe\",\"shed\":{\"min\":1,\"max\":1},\"limits\":[{\"name\":\"all\",\"rate\":\"1/m\"}],\"concurrency\":{\"max\":1}");
    memo_inbound i[3];
    const memo_header late = H("x-envoy-expected-rq-timeout-ms", "0");
    for (int n = 0; n < 3; n++)
        ck_assert_int_eq(enter_with(&i[n], NULL, &late, n == 2), MEMO_OK);
    ck_assert_uint_eq(would(MEMO_REFUSED_LIMITED), 2);
    ck_assert_uint_eq(would(MEMO_REFUSED_OVERLOADED), 4); /* concurrency, and shedding */
    ck_assert_uint_eq(would(MEMO_REFUSED_DEADLINE), 1);
    for (int n = 0; n < 3; n++)
        leave(&i[n], MEMO_OUTCOME_REPLIED, 200);
    ck_assert_int_eq(enter(&i[0]), MEMO_OK);
    ck_assert_uint_eq(would(MEMO_REFUSED_OVERLOADED), 4); /* what was not taken did not go back */
    leave(&i[0], MEMO_OUTCOME_REPLIED, 200);
    end();
}
END_TEST

START_TEST(out_of_time)
{
    begin("");
    memo_inbound i;
    const memo_header none = H("x-envoy-expected-rq-timeout-ms", "0"), some = H("X-Envoy-Expected-Rq-Timeout-Ms", "250");
    ck_assert_int_eq(enter_with(&i, NULL, &none, 1), MEMO_REFUSED_DEADLINE);
    reply_is(&i, 504, 4, 0);
    ck_assert_ptr_nonnull(strstr(told("text"), "MEMO_REFUSED_DEADLINE: the caller's time is over   [deadline of the caller]\n"));
    ck_assert_int_eq(enter_with(&i, NULL, &some, 1), MEMO_OK);
    ck_assert_int_eq(memo__context_left_ms(&i.context, st.now), 250);
    leave(&i, MEMO_OUTCOME_REPLIED, 200);
    memo_inbound_facts f = MEMO_INIT(memo_inbound_facts);
    f.headers = &some;
    f.headers_count = 1;
    f.timeout_ms = 100;
    ck_assert_int_eq(memo__inbound_enter(&i, &g, &st.world, &f), MEMO_OK);
    ck_assert_int_eq(memo__context_left_ms(&i.context, st.now), 100);
    leave(&i, MEMO_OUTCOME_REPLIED, 200);
    f.timeout_ms = 1000; /* only shortens */
    ck_assert_int_eq(memo__inbound_enter(&i, &g, &st.world, &f), MEMO_OK);
    ck_assert_int_eq(memo__context_left_ms(&i.context, st.now), 250);
    leave(&i, MEMO_OUTCOME_REPLIED, 200);
    end();
}
END_TEST

START_TEST(the_context_goes_on)
{
    begin("");
    memo_inbound i;
    memo_call k = MEMO_INIT(memo_call);
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    memo_attempt a = MEMO_INIT(memo_attempt);
    memo_header out[8];
    char buf[512], id[33], value[16];
    uint32_t count;
    const memo_header in[] = { H("traceparent", PARENT), H("tracestate", "a=1"), H("baggage", "tenant=blue,secret=1"),
                               H("x-envoy-expected-rq-timeout-ms", "250") };
    st.world.baggage = MEMO__TEXT("tenant");
    ck_assert_int_eq(stage_view(&st, "a=10.0.0.1:80"), MEMO_OK);
    ck_assert_int_eq(enter_with(&i, NULL, in, 4), MEMO_OK);
    ck_assert_int_eq(memo__context_get_trace(&i.context, id), MEMO_OK);
    ck_assert_str_eq(id, TRACE);
    ck_assert_int_eq(memo__context_get_baggage(&i.context, "tenant", value, sizeof value, NULL), MEMO_OK);
    ck_assert_str_eq(value, "blue");
    ck_assert_int_eq(memo__context_get_baggage(&i.context, "secret", value, sizeof value, NULL), MEMO_E_STATE);
    f.parent = &i.context;
    ck_assert_int_eq(memo_call_begin(&k, st.service, &f), MEMO_OK);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
    ck_assert_int_le(a.timeout_ms, 250);
    ck_assert_int_eq(memo_call_inject(&k, &a, buf, sizeof buf, out, 8, &count), MEMO_OK);
    ck_assert_int_eq(memcmp(out[0].value, "00-" TRACE "-", 36), 0);
    ck_assert_str_eq(out[0].value + 52, "-00"); /* not sampled stays not sampled */
    memo_call_end(&k);
    leave(&i, MEMO_OUTCOME_REPLIED, 200);
    ck_assert_int_eq(memo__context_inject_carried(&i.context, buf, sizeof buf, out, 8, &count), MEMO_OK);
    ck_assert_uint_eq(count, 2);
    ck_assert_str_eq(out[0].value, "a=1");
    ck_assert_str_eq(out[1].value, "tenant=blue");
    end();
}
END_TEST

START_TEST(a_new_trace_begins)
{
    begin("");
    memo_inbound i, j;
    char a[33], b[33], buf[256];
    memo_header out[4];
    uint32_t count;
    struct memo__trace t;
    ck_assert_int_eq(enter(&i), MEMO_OK);
    ck_assert_int_eq(enter(&j), MEMO_OK);
    ck_assert_int_eq(memo__context_get_trace(&i.context, a), MEMO_OK);
    ck_assert_int_eq(memo__context_get_trace(&j.context, b), MEMO_OK);
    ck_assert_str_ne(a, b);
    ck_assert_int_eq(memo__context_inject(&i.context, st.now, buf, sizeof buf, out, 4, &count), MEMO_OK);
    ck_assert(memo__trace_parse(memo__text_of(out[0].value), &t)); /* a whole one, with a span */
    leave(&i, MEMO_OUTCOME_REPLIED, 200);
    leave(&j, MEMO_OUTCOME_REPLIED, 200);
    st.world.distrusts = true;
    const memo_header in[] = { H("traceparent", PARENT), H("x-envoy-expected-rq-timeout-ms", "0"), H("baggage", "tenant=blue") };
    st.world.baggage = MEMO__TEXT("*");
    ck_assert_int_eq(enter_with(&i, NULL, in, 3), MEMO_OK);
    ck_assert_int_eq(memo__context_get_trace(&i.context, a), MEMO_OK);
    ck_assert_str_ne(a, TRACE);
    ck_assert_int_eq(memo__context_left_ms(&i.context, st.now), INT64_MAX);
    ck_assert_int_eq(memo__context_get_baggage(&i.context, "tenant", buf, sizeof buf, NULL), MEMO_E_STATE);
    leave(&i, MEMO_OUTCOME_REPLIED, 200);
    end();
}
END_TEST

START_TEST(not_ready)
{
    begin("");
    memo_inbound i, before;
    ck_assert_int_eq(enter(&before), MEMO_OK);
    st.world.receives = 0;
    ck_assert_int_eq(enter(&i), MEMO_REFUSED_NOT_READY);
    reply_is(&i, 503, 14, 1);
    ck_assert_ptr_nonnull(strstr(told("text"), "MEMO_REFUSED_NOT_READY: draining\n"));
    ck_assert_ptr_nonnull(strstr(told("json"), "\"rule\":null}"));
    ck_assert_uint_eq(memo__governor_open_calls(&g), 1);
    leave(&before, MEMO_OUTCOME_REPLIED, 200); /* who is in may finish */
    ck_assert_uint_eq(memo__governor_open_calls(&g), 0);
    struct memo__governor none = { 0 }; /* before the start there is nothing */
    struct memo__world nothing = { 0 };
    memo_inbound_facts f = MEMO_INIT(memo_inbound_facts);
    ck_assert_int_eq(memo__inbound_enter(&i, &none, &nothing, &f), MEMO_REFUSED_NOT_READY);
    reply_is(&i, 503, 14, 1);
    end();
}
END_TEST

START_TEST(disabled)
{
    begin("\"limits\":[{\"name\":\"all\",\"rate\":\"1/m\"}],\"concurrency\":{\"max\":1}");
    st.world.disabled = true;
    memo_inbound i[3];
    for (int n = 0; n < 3; n++)
        ck_assert_int_eq(enter(&i[n]), MEMO_OK);
    for (int n = 0; n < 3; n++)
        leave(&i[n], MEMO_OUTCOME_REPLIED, 200);
    end();
}
END_TEST

/* Rules that change while a request is in: what it holds goes back where it is from, or nowhere. */
START_TEST(reloaded)
{
    begin("\"concurrency\":{\"max\":1},\"shed\":{\"min\":1,\"max\":3}");
    memo_inbound i, j;
    ck_assert_int_eq(enter(&i), MEMO_OK);
    reload("\"concurrency\":{\"max\":2},\"shed\":{\"min\":1,\"max\":3}");
    ck_assert_int_eq(enter(&j), MEMO_OK);
    leave(&j, MEMO_OUTCOME_REPLIED, 200);
    leave(&i, MEMO_OUTCOME_REPLIED, 200);
    ck_assert_uint_eq(memo__bulkhead_read(g.plan->bulkhead->shared, &g.plan->bulkhead->parts), 0);
    ck_assert_int_eq(enter(&i), MEMO_OK);
    reload("");
    reload("\"concurrency\":{\"max\":1},\"shed\":{\"min\":1,\"max\":1}");
    leave(&i, MEMO_OUTCOME_REPLIED, 200); /* of those that are gone */
    ck_assert_uint_eq(memo__bulkhead_read(g.plan->bulkhead->shared, &g.plan->bulkhead->parts), 0);
    ck_assert_int_eq(enter(&i), MEMO_OK);
    ck_assert_int_eq(enter(&j), MEMO_REFUSED_OVERLOADED);
    leave(&i, MEMO_OUTCOME_REPLIED, 200);
    end();
}
END_TEST

/* In a child, what the parent let in is not there, and its permits are free. */
START_TEST(forked)
{
    begin("\"concurrency\":{\"max\":1},\"shed\":{\"min\":1,\"max\":1}");
    memo_inbound i, j;
    ck_assert_int_eq(enter(&i), MEMO_OK);
    st.world.process++;
    memo__governor_after_fork(&g);
    ck_assert_uint_eq(memo__governor_open_calls(&g), 0);
    ck_assert_int_eq(enter(&j), MEMO_OK);
    leave(&i, MEMO_OUTCOME_REPLIED, 200); /* finds nobody */
    ck_assert_uint_eq(memo__governor_open_calls(&g), 1);
    leave(&j, MEMO_OUTCOME_REPLIED, 200);
    end();
}
END_TEST

START_TEST(arguments)
{
    begin("");
    memo_inbound i = MEMO_INIT(memo_inbound), small = { .size = 8 };
    memo_inbound_facts f = MEMO_INIT(memo_inbound_facts), tiny = { .size = 8 };
    memo_inbound_reply r = MEMO_INIT(memo_inbound_reply), no = { .size = 4 };
    memo_header bad[] = { H("a", NULL), H(NULL, "b"), H("x-user", "c") };
    ck_assert_int_eq(memo__inbound_enter(&i, &g, &st.world, NULL), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__inbound_enter(&i, &g, &st.world, &tiny), MEMO_E_ARGUMENT);
    f.headers_count = 1;
    ck_assert_int_eq(memo__inbound_enter(&i, &g, &st.world, &f), MEMO_E_ARGUMENT);
    for (int n = 0; n < 2; n++) {
        f.headers = &bad[n];
        ck_assert_int_eq(memo__inbound_enter(&i, &g, &st.world, &f), MEMO_E_ARGUMENT);
    }
    f.headers = &bad[2];
    f.timeout_ms = -1;
    ck_assert_int_eq(memo__inbound_enter(&i, &g, &st.world, &f), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_inbound_get_reply(&i, &r), MEMO_E_STATE);
    ck_assert_int_eq(memo_inbound_get_reply(NULL, &r), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_inbound_get_reply(&small, &r), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_inbound_get_reply(&i, NULL), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_inbound_get_reply(&i, &no), MEMO_E_ARGUMENT);
    memo_inbound_leave(NULL, NULL);
    memo_inbound_leave(&small, NULL);
    memo_inbound_leave(&i, NULL);
    end();
}
END_TEST

Suite *suite_call_inbound(void);
Suite *suite_call_inbound(void)
{
    Suite *s = suite_create("call/inbound");
    TCase *c = tcase_create("inbound");
    tcase_add_test(c, without_rules_all_are_let_in);
    tcase_add_loop_test(c, how_it_ended, 0, (int)(sizeof ends / sizeof ends[0]));
    tcase_add_test(c, limited);
    tcase_add_test(c, limited_by_caller_and_by_header);
    tcase_add_test(c, concurrency);
    tcase_add_test(c, a_refusal_consumes_nothing);
    tcase_add_test(c, shed);
    tcase_add_test(c, failures_do_not_teach);
    tcase_add_test(c, observed);
    tcase_add_test(c, out_of_time);
    tcase_add_test(c, the_context_goes_on);
    tcase_add_test(c, a_new_trace_begins);
    tcase_add_test(c, not_ready);
    tcase_add_test(c, disabled);
    tcase_add_test(c, reloaded);
    tcase_add_test(c, forked);
    tcase_add_test(c, arguments);
    suite_add_tcase(s, c);
    return s;
}
