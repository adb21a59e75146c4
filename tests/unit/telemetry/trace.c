/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c: the cases of the W3C trace-context conformance suite that are about one traceparent, as facts, and what we write. */
#include "telemetry/trace.h"
#include <check.h>
#include <stdio.h>
#include <string.h>

#define ID "12345678901234567890123456789012"
#define SPAN "1234567890123456"

static const struct { const char *text; bool valid; int flags; } facts[] = {
    { "00-" ID "-" SPAN "-00", true, 0 },
    { "00-" ID "-" SPAN "-01", true, 1 },
    { "00-" ID "-" SPAN "-02", true, 2 },
    { "00-" ID "-" SPAN "-03", true, 3 },
    { "00-" ID "-" SPAN "-ff", true, 3 },                              /* unknown flags are not passed on */
    { "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true, 1 },
    { "cc-" ID "-" SPAN "-01", true, 1 },                              /* a later version, read as far as we know it */
    { "cc-" ID "-" SPAN "-01-what-the-future-will-be-like", true, 1 },
    { "cc-" ID "-" SPAN "-01-", true, 1 },
    { "cc-" ID "-" SPAN "-01.what-the-future-will-be-like", false, 0 },
    { "01-" ID "-" SPAN "-011", false, 0 },
    { "ff-" ID "-" SPAN "-01", false, 0 },
    { ".0-" ID "-" SPAN "-01", false, 0 },
    { "0.-" ID "-" SPAN "-01", false, 0 },
    { "000-" ID "-" SPAN "-01", false, 0 },
    { "0000-" ID "-" SPAN "-01", false, 0 },
    { "0-" ID "-" SPAN "-01", false, 0 },
    { "CC-" ID "-" SPAN "-01", false, 0 },
    { "00-00000000000000000000000000000000-" SPAN "-01", false, 0 },
    { "00-.2345678901234567890123456789012-" SPAN "-01", false, 0 },
    { "00-1234567890123456789012345678901.-" SPAN "-01", false, 0 },
    { "00-123456789012345678901234567890123-" SPAN "-01", false, 0 },
    { "00-1234567890123456789012345678901-" SPAN "-01", false, 0 },
    { "00-ABCDEF78901234567890123456789012-" SPAN "-01", false, 0 },
    { "00-1234567890123456789012345678901g-" SPAN "-01", false, 0 },
    { "00-" ID "-0000000000000000-01", false, 0 },
    { "00-" ID "-.234567890123456-01", false, 0 },
    { "00-" ID "-123456789012345.-01", false, 0 },
    { "00-" ID "-12345678901234567-01", false, 0 },
    { "00-" ID "-123456789012345-01", false, 0 },
    { "00-" ID "-ABCDEF7890123456-01", false, 0 },
    { "00-" ID "-" SPAN "-.0", false, 0 },
    { "00-" ID "-" SPAN "-0.", false, 0 },
    { "00-" ID "-" SPAN "-001", false, 0 },
    { "00-" ID "-" SPAN "-1", false, 0 },
    { "00-" ID "-" SPAN "-01-", false, 0 },                            /* version 00 ends here */
    { "00-" ID "-" SPAN "-01-what-the-future-will-be-like", false, 0 },
    { "00-" ID "-" SPAN "", false, 0 },
    { "00_" ID "_" SPAN "_01", false, 0 },
    { "00-" ID "_" SPAN "-01", false, 0 },
    { "00-" ID "-" SPAN "_01", false, 0 },
    { "", false, 0 },
};

START_TEST(every_fact)
{
    struct memo__trace t;
    memset(&t, 0x5a, sizeof t);
    bool valid = memo__trace_parse(memo__text_of(facts[_i].text), &t);
    ck_assert_msg(valid == facts[_i].valid, "%s", facts[_i].text);
    ck_assert(t.present == valid);
    ck_assert_int_eq(t.flags, facts[_i].flags);
    struct memo__trace none;
    memset(&none, 0, sizeof none);
    if (!valid)
        ck_assert_mem_eq(&t, &none, sizeof t);
}
END_TEST

/* 0 to 54 bytes of a good one are none; so is one with any byte changed into one that is not allowed there. */
START_TEST(every_cut_and_every_flip)
{
    static const char good[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    struct memo__trace t;
    for (size_t n = 0; n < MEMO__TRACEPARENT_BYTES; n++)
        ck_assert(!memo__trace_parse((struct memo__text){ good, n }, &t));
    for (size_t at = 0; at < MEMO__TRACEPARENT_BYTES; at++) {
        for (int c = 0; c < 256; c++) {
            char text[sizeof good];
            memcpy(text, good, sizeof good);
            text[at] = (char)c;
            bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'), dash = at == 2 || at == 35 || at == 52;
            bool valid = dash ? c == '-' : hex;
            ck_assert_msg(memo__trace_parse((struct memo__text){ text, MEMO__TRACEPARENT_BYTES }, &t) == valid, "byte %zu is %d", at, c);
        }
    }
}
END_TEST

/* Any version but ff, whatever its 254 other values are. */
START_TEST(every_version)
{
    for (unsigned v = 0; v < 256; v++) {
        char text[64];
        struct memo__trace t;
        snprintf(text, sizeof text, "%02x-" ID "-" SPAN "-01", v);
        ck_assert(memo__trace_parse(memo__text_of(text), &t) == (v != 255));
    }
}
END_TEST

START_TEST(what_is_written_is_read_again)
{
    uint64_t state = 7;
    for (int i = 0; i < 1000; i++) {
        struct memo__trace t, again;
        char out[MEMO__TRACEPARENT_BYTES + 2] = { 0 }, expected[64];
        uint8_t span[8];
        memo__trace_new(&t, state * UINT64_C(0x9e3779b97f4a7c15), ~state * UINT64_C(0xbf58476d1ce4e5b9));
        memo__span_of(++state * UINT64_C(0x94d049bb133111eb), span);
        out[MEMO__TRACEPARENT_BYTES] = '!';
        memo__trace_format(t.id, span, t.flags, out);
        int n = snprintf(expected, sizeof expected, "00-");
        for (int k = 0; k < 16; k++)
            n += snprintf(expected + n, sizeof expected - (size_t)n, "%02x", t.id[k]);
        n += snprintf(expected + n, sizeof expected - (size_t)n, "-");
        for (int k = 0; k < 8; k++)
            n += snprintf(expected + n, sizeof expected - (size_t)n, "%02x", span[k]);
        snprintf(expected + n, sizeof expected - (size_t)n, "-%02x!", t.flags);
        ck_assert_str_eq(out, expected);
        ck_assert(memo__trace_parse((struct memo__text){ out, MEMO__TRACEPARENT_BYTES }, &again));
        ck_assert_mem_eq(again.id, t.id, 16);
        ck_assert_mem_eq(again.span, span, 8);
        ck_assert_int_eq(again.flags, MEMO__TRACE_SAMPLED | MEMO__TRACE_RANDOM);
    }
}
END_TEST

START_TEST(nothing_is_all_zero)
{
    struct memo__trace t;
    uint8_t zero[16] = { 0 }, span[8];
    memo__trace_new(&t, 0, 0);
    ck_assert(t.present);
    ck_assert_mem_ne(t.id, zero, 16);
    memo__span_of(0, span);
    ck_assert_mem_ne(span, zero, 8);
}
END_TEST

Suite *suite_telemetry_trace(void);
Suite *suite_telemetry_trace(void)
{
    Suite *s = suite_create("telemetry/trace");
    TCase *c = tcase_create("trace");
    tcase_add_loop_test(c, every_fact, 0, (int)(sizeof facts / sizeof facts[0]));
    tcase_add_test(c, every_cut_and_every_flip);
    tcase_add_test(c, every_version);
    tcase_add_test(c, what_is_written_is_read_again);
    tcase_add_test(c, nothing_is_all_zero);
    suite_add_tcase(s, c);
    return s;
}
