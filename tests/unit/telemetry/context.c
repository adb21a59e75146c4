/* SPDX-License-Identifier: Apache-2.0 */
/* context.c: inbound headers become a context, and the context outbound headers. */
#include "telemetry/context.h"
#include <check.h>
#include <string.h>

#define GOOD "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
#define OTHER "00-12345678901234567890123456789012-1234567890123456-00"
#define NOW (1000 * MEMO__S)
#define NONE INT64_MAX
#define H(name, value) { name, value, 0, 0 }

/* Headers in; trace and time left out. */
static const struct { memo_header h[4]; uint32_t count; bool trace; int64_t left_ms; } stories[] = {
    { { H("traceparent", GOOD) }, 1, true, NONE },
    { { H("TraceParent", GOOD) }, 1, true, NONE },
    { { H("TRACEPARENT", GOOD) }, 1, true, NONE },
    { { H("trace-parent", GOOD) }, 1, false, NONE },
    { { H("traceparents", GOOD) }, 1, false, NONE },
    { { H("traceparent", " \t" GOOD "\t ") }, 1, true, NONE },                    /* optional white space is not part of a value */
    { { H("traceparent", "00-bad") }, 1, false, NONE },
    { { H("traceparent", "") }, 1, false, NONE },
    { { H("traceparent", GOOD), H("traceparent", OTHER) }, 2, false, NONE },      /* two: whose child would it be? */
    { { H("traceparent", GOOD), H("Traceparent", GOOD) }, 2, false, NONE },
    { { H("traceparent", "00-bad"), H("traceparent", GOOD) }, 2, false, NONE },
    { { H("traceparent", GOOD), H("traceparent", OTHER), H("traceparent", GOOD) }, 3, false, NONE },
    { { H("x-envoy-expected-rq-timeout-ms", "250") }, 1, false, 250 },
    { { H("X-Envoy-Expected-Rq-Timeout-Ms", " 250 ") }, 1, false, 250 },
    { { H("x-envoy-expected-rq-timeout-ms", "0") }, 1, false, 0 },
    { { H("x-envoy-expected-rq-timeout-ms", "99999999999") }, 1, false, 3600000 },
    { { H("x-envoy-expected-rq-timeout-ms", "-250") }, 1, false, NONE },
    { { H("x-envoy-expected-rq-timeout-ms", "250ms") }, 1, false, NONE },
    { { H("x-envoy-expected-rq-timeout-ms", "250"), H("x-envoy-expected-rq-timeout-ms", "300") }, 2, false, 250 },
    { { H("x-envoy-expected-rq-timeout-ms", "300"), H("x-envoy-expected-rq-timeout-ms", "250") }, 2, false, 250 },
    { { H("x-envoy-expected-rq-timeout-ms", "300"), H("x-envoy-expected-rq-timeout-ms", "x") }, 2, false, 300 },
    { { H("accept", "*/*"), H("x-envoy-expected-rq-timeout-ms", "9"), H(NULL, "?"), H("traceparent", GOOD) }, 4, true, 9 },
    { { H("traceparent", NULL), H("x-envoy-expected-rq-timeout-ms", NULL) }, 2, false, NONE },
    { { { "traceparent-and-more", GOOD "-and-more", 11, 55 } }, 1, true, NONE },  /* by length, not by NUL */
    { { H(NULL, NULL) }, 0, false, NONE },
};

START_TEST(every_story)
{
    memo_context x = { .size = sizeof x };
    char id[33];
    ck_assert_int_eq(memo__context_extract(&x, stories[_i].h, stories[_i].count, NOW), MEMO_OK);
    ck_assert_int_eq(memo__context_get_trace(&x, id), stories[_i].trace ? MEMO_OK : MEMO_E_STATE);
    ck_assert_str_eq(id, stories[_i].trace ? "4bf92f3577b34da6a3ce929d0e0e4736" : "");
    ck_assert_int_eq(memo__context_left_ms(&x, NOW), stories[_i].left_ms);
}
END_TEST

START_TEST(time_passes)
{
    memo_context x = { .size = sizeof x };
    memo__context_init(&x);
    ck_assert_int_eq(memo__context_left_ms(&x, NOW), INT64_MAX);
    ck_assert_int_eq(memo__context_set_deadline(&x, 100, NOW), MEMO_OK);
    ck_assert_int_eq(memo__context_left_ms(&x, NOW), 100);
    ck_assert_int_eq(memo__context_left_ms(&x, NOW + 30 * MEMO__MS), 70);
    ck_assert_int_eq(memo__context_left_ms(&x, NOW + 100 * MEMO__MS - 1), 0);   /* less than a millisecond is none */
    ck_assert_int_eq(memo__context_left_ms(&x, NOW + 3 * MEMO__S), 0);
    ck_assert_int_eq(memo__context_set_deadline(&x, 500, NOW), MEMO_OK);        /* only ever shortens */
    ck_assert_int_eq(memo__context_left_ms(&x, NOW), 100);
    ck_assert_int_eq(memo__context_set_deadline(&x, 0, NOW), MEMO_OK);
    ck_assert_int_eq(memo__context_left_ms(&x, NOW), 0);
    ck_assert_int_eq(memo__context_set_deadline(&x, -1, NOW), MEMO_E_ARGUMENT);
    memo__context_init(&x);
    ck_assert_int_eq(memo__context_set_deadline(&x, INT64_MAX, NOW), MEMO_OK);
    ck_assert_int_eq(memo__context_left_ms(&x, NOW), INT64_MAX);
}
END_TEST

START_TEST(out_as_it_came_in)
{
    memo_context x = { .size = sizeof x };
    memo_header in[2] = { H("traceparent", GOOD), H("x-envoy-expected-rq-timeout-ms", "250") }, out[2];
    char buf[128];
    uint32_t count = 7;
    ck_assert_int_eq(memo__context_extract(&x, in, 2, NOW), MEMO_OK);
    ck_assert_int_eq(memo__context_inject(&x, NOW + 50 * MEMO__MS, buf, sizeof buf, out, 2, &count), MEMO_OK);
    ck_assert_uint_eq(count, 2);
    ck_assert_str_eq(out[0].name, "traceparent");
    ck_assert_str_eq(out[0].value, GOOD);
    ck_assert_uint_eq(out[0].value_bytes, 55);
    ck_assert_str_eq(out[1].name, "x-envoy-expected-rq-timeout-ms");
    ck_assert_str_eq(out[1].value, "200");
    ck_assert_int_eq(memo__context_inject(&x, NOW, buf, sizeof buf, out, 1, &count), MEMO_E_TRUNCATED);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(memo__context_inject(&x, NOW, buf, 55, out, 2, &count), MEMO_E_TRUNCATED);
}
END_TEST

START_TEST(time_alone_and_nothing_at_all)
{
    memo_context x = { .size = sizeof x };
    memo_header out[2];
    char buf[8];
    uint32_t count = 7;
    memo__context_init(&x);
    ck_assert_int_eq(memo__context_inject(&x, NOW, NULL, 0, out, 2, &count), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__context_inject(&x, NOW, buf, sizeof buf, out, 2, &count), MEMO_OK);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(memo__context_set_deadline(&x, 12345678, NOW), MEMO_OK);
    ck_assert_int_eq(memo__context_inject(&x, NOW, buf, sizeof buf, out, 2, &count), MEMO_OK);
    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(out[0].value, "3600000");                                   /* an hour is the most that is said */
    ck_assert_int_eq(memo__context_inject(&x, NOW, buf, 7, out, 2, &count), MEMO_E_TRUNCATED);
    ck_assert_int_eq(memo__context_inject(&x, NOW, buf, sizeof buf, out, 0, &count), MEMO_E_TRUNCATED);
}
END_TEST

/* MEMO_INIT alone is an empty context; a wrong size or no pointer is told. */
START_TEST(never_initialised)
{
    memo_context x = { .size = sizeof x }, wrong = { .size = 8 };
    memo_header out[2], in = H("traceparent", GOOD);
    char buf[128], id[33] = "?";
    uint32_t count = 7;
    ck_assert_int_eq(memo__context_left_ms(&x, NOW), INT64_MAX);
    ck_assert_int_eq(memo__context_left_ms(NULL, NOW), INT64_MAX);
    ck_assert_int_eq(memo__context_get_trace(&x, id), MEMO_E_STATE);
    ck_assert_str_eq(id, "");
    ck_assert_int_eq(memo__context_inject(&x, NOW, buf, sizeof buf, out, 2, &count), MEMO_OK);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(memo__context_set_deadline(&x, 5, NOW), MEMO_OK);
    ck_assert_int_eq(memo__context_left_ms(&x, NOW), 5);
    ck_assert_int_eq(memo__context_extract(&wrong, &in, 1, NOW), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__context_extract(NULL, &in, 1, NOW), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__context_extract(&x, NULL, 1, NOW), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__context_set_deadline(&wrong, 5, NOW), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__context_inject(&wrong, NOW, buf, sizeof buf, out, 2, &count), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__context_get_trace(NULL, id), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__context_get_trace(&x, NULL), MEMO_E_ARGUMENT);
    memo__context_init(NULL);
}
END_TEST

#define S(n) "k" #n "=" "0123456789012345678901234567890123456789012345678901234567890123456789" /* 73 bytes */

/* What is carried goes out as it came; who has no trace has no tracestate; each may have half of the room. */
static const struct { memo_header h[4]; uint32_t count; const char *keys, *state, *baggage; } carrying[] = {
    { { H("traceparent", GOOD), H("tracestate", "a=1,b=2") }, 2, "", "a=1,b=2", "" },
    { { H("traceparent", GOOD), H("TraceState", " a=1 "), H("tracestate", "b=2") }, 3, "", "a=1,b=2", "" },
    { { H("tracestate", "a=1") }, 1, "", "", "" },
    { { H("traceparent", "00-bad"), H("tracestate", "a=1") }, 2, "", "", "" },
    { { H("traceparent", GOOD), H("tracestate", "a=1"), H("traceparent", GOOD) }, 3, "", "", "" },
    { { H("traceparent", GOOD), H("tracestate", "A=1"), H("baggage", "t=1") }, 3, "t", "", "t=1" },
    { { H("baggage", "t=1,u=2"), H("Baggage", "v=3") }, 2, "t v", "", "" },
    { { H("baggage", "t=1,u=2"), H("Baggage", "v=3") }, 2, "t,v", "", "t=1,v=3" },
    { { H("baggage", "t=1") }, 1, "", "", "" },
    { { H("traceparent", GOOD), H("tracestate", S(0) "," S(1)), H("baggage", S(2)) }, 3, "*", S(0), S(2) },
    { { H("traceparent", GOOD), H("tracestate", S(0)), H("baggage", S(1) "," S(2)) }, 3, "*", S(0), S(1) },
    { { H("traceparent", GOOD), H("tracestate", S(0) "," S(1)), H("baggage", S(2) "," S(3)) }, 3, "*", S(0), S(2) },
    { { H("traceparent", GOOD), H("tracestate", "a=1"), H("baggage", S(0) "," S(1)) }, 3, "*", "a=1", S(0) "," S(1) },
    { { H("traceparent", GOOD), H("tracestate", S(0) "," S(1)), H("baggage", "a=1") }, 3, "*", S(0) "," S(1), "a=1" },
};

START_TEST(carried)
{
    memo_context x = { .size = sizeof x };
    memo_header out[2];
    char buf[256], all[384];
    uint32_t count = 7;
    struct memo__extraction e = { .into = memo__context_init(&x), .now = NOW, .keys = memo__text_of(carrying[_i].keys) };
    for (uint32_t i = 0; i < carrying[_i].count; i++)
        memo__extraction_take(&e, memo__text_of(carrying[_i].h[i].name), memo__text_of(carrying[_i].h[i].value));
    memo__extraction_end(&e);
    ck_assert_int_eq(memo__context_inject_carried(&x, buf, sizeof buf, out, 2, &count), MEMO_OK);
    uint32_t i = 0;
    if (carrying[_i].state[0]) {
        ck_assert_str_eq(out[i].name, "tracestate");
        ck_assert_uint_eq(out[i].value_bytes, strlen(carrying[_i].state));
        ck_assert_str_eq(out[i++].value, carrying[_i].state);
    }
    if (carrying[_i].baggage[0]) {
        ck_assert_str_eq(out[i].name, "baggage");
        ck_assert_str_eq(out[i++].value, carrying[_i].baggage);
    }
    ck_assert_uint_eq(count, i);
    memo_header four[4];
    ck_assert_int_eq(memo__context_inject(&x, NOW, all, sizeof all, four, 4, &count), MEMO_OK);
    ck_assert_uint_eq(count, i + (memo__context_of(&x)->trace.present ? 1 : 0));
    if (!i)
        return;
    ck_assert_str_eq(four[count - 1].value, out[i - 1].value);
    ck_assert_int_eq(memo__context_inject_carried(&x, buf, sizeof buf, out, i - 1, &count), MEMO_E_TRUNCATED);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(memo__context_inject_carried(&x, buf, 3, out, 2, &count), MEMO_E_TRUNCATED);
    ck_assert_int_eq(memo__context_inject(&x, NOW, all, 58, four, 4, &count), carrying[_i].h[0].name[0] == 'b' ? MEMO_OK : MEMO_E_TRUNCATED);
}
END_TEST

/* More headers of one name than anybody sends are as none. */
START_TEST(too_many_of_a_name)
{
    memo_context x = { .size = sizeof x };
    memo_header h[6] = { H("traceparent", GOOD), H("tracestate", "a=1"), H("tracestate", "b=1"), H("tracestate", "c=1"), H("tracestate", "d=1"),
                         H("tracestate", "e=1") }, out[2];
    char buf[256];
    uint32_t count;
    ck_assert_int_eq(memo__context_extract(&x, h, 5, NOW), MEMO_OK);
    ck_assert_int_eq(memo__context_inject_carried(&x, buf, sizeof buf, out, 2, &count), MEMO_OK);
    ck_assert_str_eq(out[0].value, "a=1,b=1,c=1,d=1");
    ck_assert_int_eq(memo__context_extract(&x, h, 6, NOW), MEMO_OK);
    ck_assert_int_eq(memo__context_inject_carried(&x, buf, sizeof buf, out, 2, &count), MEMO_OK);
    ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(baggage_by_hand)
{
    memo_context x = { .size = sizeof x }, wrong = { .size = 8 };
    memo_header out[2];
    char buf[256], value[8] = "?", large[256];
    uint32_t count;
    size_t need = 0;
    ck_assert_int_eq(memo__context_get_baggage(&x, "a", value, sizeof value, &need), MEMO_E_STATE);
    ck_assert_str_eq(value, "");
    ck_assert_int_eq(memo__context_set_baggage(&x, "a", "x y"), MEMO_OK);
    ck_assert_int_eq(memo__context_get_baggage(&x, "a", value, sizeof value, &need), MEMO_OK);
    ck_assert_str_eq(value, "x y");
    ck_assert_uint_eq(need, 4);
    ck_assert_int_eq(memo__context_get_baggage(&x, "a", value, 2, NULL), MEMO_E_TRUNCATED);
    ck_assert_str_eq(value, "x");
    ck_assert_int_eq(memo__context_inject_carried(&x, buf, sizeof buf, out, 2, &count), MEMO_OK);
    ck_assert_str_eq(out[0].value, "a=x%20y");
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    ck_assert_int_eq(memo__context_set_baggage(&x, "b", large), MEMO_E_TRUNCATED);
    ck_assert_int_eq(memo__context_set_baggage(&x, "a b", "1"), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__context_set_baggage(&x, "a", NULL), MEMO_OK);
    ck_assert_int_eq(memo__context_get_baggage(&x, "a", NULL, 0, NULL), MEMO_E_STATE);
    ck_assert_int_eq(memo__context_set_baggage(NULL, "a", "1"), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__context_set_baggage(&wrong, "a", "1"), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__context_set_baggage(&x, NULL, "1"), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__context_get_baggage(NULL, "a", value, 8, NULL), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__context_get_baggage(&x, NULL, value, 8, NULL), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__context_get_baggage(&x, "a", NULL, 8, NULL), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__context_inject_carried(NULL, buf, sizeof buf, out, 2, &count), MEMO_E_ARGUMENT);
    memo_context never = { .size = sizeof never };
    ck_assert_int_eq(memo__context_inject_carried(&never, buf, sizeof buf, out, 2, &count), MEMO_OK);
    ck_assert_uint_eq(count, 0);
}
END_TEST

/* What was not sampled stays so. */
START_TEST(sampled_as_it_came)
{
    memo_context x = { .size = sizeof x };
    memo_header in = H("traceparent", OTHER), out[2];
    char buf[128];
    uint32_t count;
    ck_assert_int_eq(memo__context_extract(&x, &in, 1, NOW), MEMO_OK);
    ck_assert_int_eq(memo__context_inject(&x, NOW, buf, sizeof buf, out, 2, &count), MEMO_OK);
    ck_assert_str_eq(out[0].value, OTHER);
}
END_TEST

/* Extracting again forgets what was there. */
START_TEST(used_twice)
{
    memo_context x = { .size = sizeof x };
    memo_header in[2] = { H("traceparent", GOOD), H("x-envoy-expected-rq-timeout-ms", "250") };
    char id[33];
    ck_assert_int_eq(memo__context_extract(&x, in, 2, NOW), MEMO_OK);
    ck_assert_int_eq(memo__context_extract(&x, NULL, 0, NOW), MEMO_OK);
    ck_assert_int_eq(memo__context_get_trace(&x, id), MEMO_E_STATE);
    ck_assert_int_eq(memo__context_left_ms(&x, NOW), INT64_MAX);
}
END_TEST

Suite *suite_telemetry_context(void);
Suite *suite_telemetry_context(void)
{
    Suite *s = suite_create("telemetry/context");
    TCase *c = tcase_create("context");
    tcase_add_loop_test(c, every_story, 0, (int)(sizeof stories / sizeof stories[0]));
    tcase_add_test(c, time_passes);
    tcase_add_test(c, out_as_it_came_in);
    tcase_add_test(c, time_alone_and_nothing_at_all);
    tcase_add_test(c, never_initialised);
    tcase_add_test(c, used_twice);
    tcase_add_loop_test(c, carried, 0, (int)(sizeof carrying / sizeof carrying[0]));
    tcase_add_test(c, too_many_of_a_name);
    tcase_add_test(c, baggage_by_hand);
    tcase_add_test(c, sampled_as_it_came);
    suite_add_tcase(s, c);
    return s;
}
