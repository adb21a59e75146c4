/* SPDX-License-Identifier: Apache-2.0 */
/* headers.c: numbers on the wire, and the headers of an attempt. */
#include "telemetry/headers.h"
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void check_decimal(uint64_t n)
{
    char out[MEMO__DECIMAL_MAX + 1], expected[32];
    char *end = memo__put_decimal(out, n);
    *end = 0;
    snprintf(expected, sizeof expected, "%" PRIu64, n);
    ck_assert_str_eq(out, expected);
}

START_TEST(decimals)
{
    for (uint64_t n = 0; n < 20000; n++)
        check_decimal(n);
    for (uint64_t power = 1;; power *= 10) {
        check_decimal(power - 1);
        check_decimal(power);
        check_decimal(power + 1);
        if (power > UINT64_MAX / 10)
            break;
    }
    for (int bit = 0; bit < 64; bit++) {
        check_decimal(UINT64_C(1) << bit);
        check_decimal((UINT64_C(1) << bit) - 1);
    }
    check_decimal(UINT64_MAX);
}
END_TEST

static const struct { const char *text; bool valid; int64_t ms; } times[] = {
    { "0", true, 0 }, { "1", true, 1 }, { "0250", true, 250 }, { "3599999", true, 3599999 }, { "3600000", true, 3600000 }, { "3600001", true, 3600000 },
    { "99999999999999999999999999999999999999999", true, 3600000 }, { "", false, 0 }, { "-1", false, 0 }, { "+1", false, 0 }, { "1.5", false, 0 },
    { "1e3", false, 0 }, { " 1", false, 0 }, { "1 ", false, 0 }, { "0x10", false, 0 }, { "250ms", false, 0 }, { "99999999999999999999999x", false, 0 },
};

START_TEST(timeouts)
{
    int64_t ns = -1;
    ck_assert_msg(memo__timeout_parse(memo__text_of(times[_i].text), &ns) == times[_i].valid, "%s", times[_i].text);
    if (times[_i].valid)
        ck_assert_int_eq(ns, times[_i].ms * MEMO__MS);
    else
        ck_assert_int_eq(ns, -1);
}
END_TEST

static void check_header(const memo_header *h, const char *name, const char *value)
{
    ck_assert_uint_eq(h->name_bytes, strlen(name));
    ck_assert_str_eq(h->name, name);
    ck_assert_uint_eq(h->value_bytes, strlen(value));
    ck_assert_str_eq(h->value, value);
}

START_TEST(an_attempt_has_three)
{
    struct memo__trace t = { .flags = 1, .present = true };
    uint8_t span[8] = { 0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7 };
    char buf[128];
    memo_header out[3];
    uint32_t count = 9;
    memset(t.id, 0xa5, sizeof t.id);
    ck_assert_int_eq(memo__headers_write(&t, span, 795, 2, buf, sizeof buf, out, 3, &count), MEMO_OK);
    ck_assert_uint_eq(count, 3);
    check_header(&out[0], "traceparent", "00-a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5-00f067aa0ba902b7-01");
    check_header(&out[1], "x-envoy-expected-rq-timeout-ms", "795");
    check_header(&out[2], "x-envoy-attempt-count", "2");
    ck_assert_int_eq(memo__headers_write(&t, span, INT64_MAX, 0, buf, sizeof buf, out, 3, &count), MEMO_OK);
    ck_assert_uint_eq(count, 2);
    check_header(&out[1], "x-envoy-expected-rq-timeout-ms", "3600000");
    ck_assert_int_eq(memo__headers_write(&t, span, -1, UINT32_MAX, buf, sizeof buf, out, 3, &count), MEMO_OK);
    ck_assert_uint_eq(count, 2);
    check_header(&out[1], "x-envoy-attempt-count", "4294967295");
}
END_TEST

/* Too little room of either kind writes nothing at all, and never past what was given. */
START_TEST(little_room)
{
    struct memo__trace t = { .present = true };
    uint8_t span[8] = { 1 };
    memo_header out[3];
    uint32_t count;
    for (size_t n = 0; n <= 98; n++) {
        char buf[128];
        memset(buf, '#', sizeof buf);
        memo_status s = memo__headers_write(&t, span, INT64_MAX, UINT32_MAX, buf, n, out, 3, &count);
        ck_assert_int_eq(s, n < 98 ? MEMO_E_TRUNCATED : MEMO_OK);
        ck_assert_uint_eq(count, n < 98 ? 0 : 3);
        for (size_t i = n; i < sizeof buf; i++)
            ck_assert_int_eq(buf[i], '#');
    }
    char buf[128];
    for (uint32_t max = 0; max < 3; max++)
        ck_assert_int_eq(memo__headers_write(&t, span, 1, 1, buf, sizeof buf, out, max, &count), MEMO_E_TRUNCATED);
}
END_TEST

Suite *suite_telemetry_headers(void);
Suite *suite_telemetry_headers(void)
{
    Suite *s = suite_create("telemetry/headers");
    TCase *c = tcase_create("headers");
    tcase_add_test(c, decimals);
    tcase_add_loop_test(c, timeouts, 0, (int)(sizeof times / sizeof times[0]));
    tcase_add_test(c, an_attempt_has_three);
    tcase_add_test(c, little_room);
    suite_add_tcase(s, c);
    return s;
}
