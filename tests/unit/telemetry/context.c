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
    suite_add_tcase(s, c);
    return s;
}
