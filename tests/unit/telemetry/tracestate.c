/* SPDX-License-Identifier: Apache-2.0 */
/* tracestate.c: which entries pass, and which are cut. Cases by W3C Trace Context 3.3 and its test suite. */
#include "telemetry/tracestate.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define A32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A128 A32 A32 A32 A32

static const struct { const char *first, *second; size_t room; const char *out; } stories[] = {
    { "foo=1", NULL, 200, "foo=1" },
    { "foo=1,bar=2", NULL, 200, "foo=1,bar=2" },
    { "foo=1", "bar=2", 200, "foo=1,bar=2" },                           /* two headers are one list */
    { "foo=1 \t , \t bar=2, \t baz=3", NULL, 200, "foo=1,bar=2,baz=3" },
    { ",,foo=1,,,bar=2,", NULL, 200, "foo=1,bar=2" },                    /* empty members are allowed */
    { "", NULL, 200, "" },
    { "foo=1,bar", NULL, 200, "" },                                     /* one that is malformed spoils all */
    { "foo=1,=2", NULL, 200, "" },
    { "foo=", NULL, 200, "" },
    { "Foo=1", NULL, 200, "" },
    { "foo =1", NULL, 200, "" },
    { "foo=1=2", NULL, 200, "" },
    { "foo=a b", NULL, 200, "foo=a b" },                                /* a blank within is part of the value */
    { "foo=\x7f", NULL, 200, "" },
    { "foo=\xc3\xa4", NULL, 200, "" },
    { "foo.bar=1", NULL, 200, "" },
    { "fw529a3039@dt=FfAfAf", NULL, 200, "fw529a3039@dt=FfAfAf" },
    { "0abc=1,a-_*/z=2", NULL, 200, "0abc=1,a-_*/z=2" },
    { "@a=1", NULL, 200, "" },
    { "_a=1", NULL, 200, "" },
    { A128 A128 "=1", NULL, 300, A128 A128 "=1" },                      /* a key of 256 */
    { A128 A128 "a=1", NULL, 300, "" },
    { "a=" A128 A128, NULL, 300, "a=" A128 A128 },
    { "a=" A128 A128 "b", NULL, 300, "" },
    { "foo=1,bar=2,baz=3", NULL, 16, "foo=1,bar=2" },                   /* cut from the end, by whole entries */
    { "foo=1,bar=2,baz=3", NULL, 17, "foo=1,bar=2,baz=3" },
    { "foo=1,bar=2", NULL, 4, "" },
    { "a=" A128 ",foo=1", NULL, 100, "foo=1" },                         /* the large one goes first */
    { "a=" A128 ",foo=1", NULL, 200, "a=" A128 ",foo=1" },
    { "foo=1", "b=" A128, 100, "foo=1" },
};

START_TEST(every_story)
{
    struct memo__text values[2] = { memo__text_of(stories[_i].first), memo__text_of(stories[_i].second) };
    char out[512];
    size_t n = memo__tracestate_fit(values, 2, out, stories[_i].room);
    out[n] = '\0';
    ck_assert_str_eq(out, stories[_i].out);
}
END_TEST

/* 32 at most; those beyond are dropped, and must be well formed all the same. */
START_TEST(entries_at_most)
{
    char in[512] = "", out[512];
    for (int i = 0; i < 33; i++)
        (void)snprintf(in + strlen(in), 16, "%sk%02d=v", i ? "," : "", i);
    struct memo__text value = memo__text_of(in);
    size_t n = memo__tracestate_fit(&value, 1, out, sizeof out);
    ck_assert_uint_eq(n, 32 * 6 - 1);
    ck_assert_int_eq(memcmp(in, out, n), 0);
    strcpy(in + 32 * 6, "bad");
    value = memo__text_of(in);
    ck_assert_uint_eq(memo__tracestate_fit(&value, 1, out, sizeof out), 0);
}
END_TEST

Suite *suite_telemetry_tracestate(void);
Suite *suite_telemetry_tracestate(void)
{
    Suite *s = suite_create("telemetry/tracestate");
    TCase *c = tcase_create("tracestate");
    tcase_add_loop_test(c, every_story, 0, (int)(sizeof stories / sizeof stories[0]));
    tcase_add_test(c, entries_at_most);
    suite_add_tcase(s, c);
    return s;
}
