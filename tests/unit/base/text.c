/* SPDX-License-Identifier: Apache-2.0 */
/* text.c: texts, numbers with units, and the bounded writer. */
#include "base/text.h"
#include <check.h>
#include <string.h>
#include "base/instant.h"

#define T(literal) MEMO__TEXT(literal)

START_TEST(comparing)
{
    ck_assert(memo__text_same(T("ab"), T("ab")) && !memo__text_same(T("ab"), T("aB")) && !memo__text_same(T("ab"), T("abc")));
    ck_assert(memo__text_same_nocase(T("x-USER"), T("X-user")) && !memo__text_same_nocase(T("x"), T("y")) && !memo__text_same_nocase(T("x"), T("xx")));
    ck_assert(!memo__text_same_nocase(T("["), T("{")));                    /* 32 apart, and no letters */
    ck_assert(memo__text_is(T("a"), "a") && !memo__text_is(T("a"), ""));
    ck_assert(memo__text_same(memo__text_of(NULL), T("")));
    ck_assert(memo__text_is(memo__text_trim(T(" \ta b\t ")), "a b") && memo__text_is(memo__text_trim(T(" \t ")), ""));
}
END_TEST

START_TEST(tokens_and_digits)
{
    static const char not[] = "\"(),/:;<=>?@[\\]{} \t\x7f\x80\xff", digits[] = "0123456789abcdef";
    ck_assert(memo__is_token(MEMO__TEXT("!#$%&'*+-.^_`|~09azAZ")));
    ck_assert(!memo__is_token(MEMO__TEXT("")));
    for (size_t i = 0; i < sizeof not; i++) /* and NUL */
        ck_assert(!memo__is_token((struct memo__text){ not + i, 1 }));
    for (int c = -128; c < 128; c++) {
        const char *at = c > 0 ? strchr(digits, c >= 'A' && c <= 'F' ? c | 32 : c) : NULL;
        ck_assert_int_eq(memo__hex_digit((char)c), at ? (int)(at - digits) : -1);
    }
}
END_TEST

START_TEST(sized)
{
    struct memo__text t = memo__text_sized("a\0b", 3);
    ck_assert_uint_eq(t.n, 3);
    ck_assert(memo__text_is(memo__text_sized("ab", 0), "ab"));
    ck_assert(memo__text_is(memo__text_sized("ab", 1), "a"));
    t = memo__text_sized(NULL, 7);
    ck_assert(t.at && t.n == 0);
}
END_TEST

START_TEST(copying)
{
    char to[5];
    ck_assert(memo__text_copy(to, sizeof to, T("abcd")));
    ck_assert_str_eq(to, "abcd");
    ck_assert(!memo__text_copy(to, sizeof to, T("abcde")));
    ck_assert_str_eq(to, "abcd");
    ck_assert(!memo__text_copy(to, sizeof to, T("abc\xc3\xa9")));       /* never half of a character */
    ck_assert_str_eq(to, "abc");
    ck_assert(!memo__text_copy(to, 1, T("a")));
    ck_assert_str_eq(to, "");
}
END_TEST

static const struct { struct memo__text text; size_t good; } utf8[] = {
    { { "", 0 }, 0 }, { { "a\x7f", 2 }, 2 }, { { "\xc3\xa9", 2 }, 2 }, { { "\xe2\x82\xac", 3 }, 3 }, { { "\xf0\x9f\x98\x80", 4 }, 4 },
    { { "a\x80", 2 }, 1 },                     /* a tail without a head */
    { { "\xc0\xaf", 2 }, 0 }, { { "\xc1\xbf", 2 }, 0 }, { { "\xe0\x80\xaf", 3 }, 0 }, { { "\xe0\x9f\xbf", 3 }, 0 }, { { "\xf0\x8f\xbf\xbf", 4 }, 0 },
    { { "\xed\x9f\xbf", 3 }, 3 }, { { "\xed\xa0\x80", 3 }, 0 }, { { "\xed\xbf\xbf", 3 }, 0 }, { { "\xee\x80\x80", 3 }, 3 },
    { { "\xf4\x8f\xbf\xbf", 4 }, 4 }, { { "\xf4\x90\x80\x80", 4 }, 0 }, { { "\xf5\x80\x80\x80", 4 }, 0 }, { { "\xff", 1 }, 0 },
    { { "ab\xe2\x82", 4 }, 2 }, { { "\xe2\x28\xa1", 3 }, 0 }, { { "\xe2\x82\x28", 3 }, 0 }, { { "\0x", 2 }, 2 },
};

START_TEST(valid_utf8)
{
    ck_assert_uint_eq(memo__utf8_good(utf8[_i].text), utf8[_i].good);
    ck_assert(memo__utf8_valid(utf8[_i].text) == (utf8[_i].good == utf8[_i].text.n));
}
END_TEST

static const struct { const char *in, *out; } torn[] = {
    { "abc", "abc" }, { "", "" }, { "ab\xc3\xa9", "ab\xc3\xa9" }, { "ab\xc3", "ab" }, { "ab\xe2\x82", "ab" }, { "ab\xe2", "ab" }, { "ab\xf0\x9f\x98", "ab" }, { "ab\xf0", "ab" },
    { "ab\xe0", "ab" }, { "ab\xed", "ab" }, { "ab\xf4\x8f", "ab" }, { "x\xff", "x?" }, { "x\xff\xfe", "x??" }, { "\xffy", "?y" }, { "a\x80", "a?" }, { "\xc0\xaf", "??" },
    { "\xe2z", "?z" }, { "\xff\xc3\xa9\xc3", "?\xc3\xa9" }, { "\xed\xa0", "??" }, { "\xf4\x90", "??" },
};

START_TEST(mending)
{
    char z[16];
    strcpy(z, torn[_i].in);
    memo__utf8_mend(z);
    ck_assert_str_eq(z, torn[_i].out);
    ck_assert(memo__utf8_valid(memo__text_of(z)));
}
END_TEST

START_TEST(numbers)
{
    uint64_t n = 77;
    ck_assert(memo__parse_u64(T("0"), 9, &n) && n == 0);
    ck_assert(memo__parse_u64(T("18446744073709551615"), UINT64_MAX, &n) && n == UINT64_MAX);
    ck_assert(memo__parse_u64(T("007"), 9, &n) && n == 7);
    ck_assert(!memo__parse_u64(T("18446744073709551616"), UINT64_MAX, &n) && !memo__parse_u64(T("99999999999999999999"), UINT64_MAX, &n));
    ck_assert(!memo__parse_u64(T("10"), 9, &n) && !memo__parse_u64(T(""), 9, &n) && !memo__parse_u64(T("-1"), 9, &n) && !memo__parse_u64(T("1 "), 9, &n));
    ck_assert_uint_eq(n, 7);
}
END_TEST

static const struct { const char *text; int64_t ns; } durations[] = { /* -1: refused */
    { "250ms", 250 * MEMO__MS }, { "1.5s", 1500 * MEMO__MS }, { "0.1s", 100 * MEMO__MS }, { "2m", 120 * MEMO__S }, { "1h", 3600 * MEMO__S },
    { "30d", 30 * 86400 * MEMO__S }, { "10us", 10000 }, { "5ns", 5 }, { "800", 800 * MEMO__MS }, { "0", 0 }, { "0s", 0 }, { "0.000000001s", 1 },
    { "106751d", INT64_C(106751) * 86400 * MEMO__S }, { "9223372036854775807ns", -1 /* more than 18 digits */ }, { "999999999999999999ns", 999999999999999999 },
    { "106752d", -1 }, { "0.0000000001s", -1 }, { "1.5ns", -1 }, { "", -1 }, { "s", -1 }, { "-1s", -1 }, { "1 s", -1 }, { "1.s", -1 }, { ".5s", -1 },
    { "1.5.5s", -1 }, { "1S", -1 }, { "1sec", -1 }, { "1e3s", -1 }, { "1s ", -1 }, { "1,5s", -1 }, { "+1s", -1 },
};

START_TEST(duration)
{
    int64_t ns = -1;
    bool good = memo__parse_duration(memo__text_of(durations[_i].text), &ns);
    ck_assert_msg(good == (durations[_i].ns >= 0) && ns == durations[_i].ns, "%s: %lld", durations[_i].text, (long long)ns);
}
END_TEST

START_TEST(duration_there_and_back)
{
    static const int64_t each[] = { 1, 999, 1000, 1500, MEMO__MS, 1500 * MEMO__MS, 90 * MEMO__S, 120 * MEMO__S, 3600 * MEMO__S, 86400 * MEMO__S, INT64_C(999999999999999999) };
    static const char *const texts[] = { "1ns", "999ns", "1us", "1500ns", "1ms", "1500ms", "90s", "2m", "1h", "1d", "999999999999999999ns" };
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        struct memo__writer w;
        char buf[32];
        int64_t ns;
        memo__writer_init(&w, buf, sizeof buf);
        memo__put_duration(&w, each[i]);
        ck_assert(memo__writer_end(&w));
        ck_assert_str_eq(buf, texts[i]);
        ck_assert(memo__parse_duration(memo__text_of(buf), &ns));
        ck_assert_int_eq(ns, each[i]);
    }
}
END_TEST

START_TEST(shares_rates_bytes)
{
    uint32_t ppm = 7;
    uint64_t n = 7;
    int64_t period = 7;
    ck_assert(memo__parse_share(T("10%"), &ppm) && ppm == 100000);
    ck_assert(memo__parse_share(T("0.5%"), &ppm) && ppm == 5000);
    ck_assert(memo__parse_share(T("0.0001%"), &ppm) && ppm == 1);
    ck_assert(memo__parse_share(T("100%"), &ppm) && ppm == 1000000);
    ck_assert(!memo__parse_share(T("100.1%"), &ppm) && !memo__parse_share(T("0.00001%"), &ppm) && !memo__parse_share(T("10"), &ppm) && !memo__parse_share(T("%"), &ppm) &&
              !memo__parse_share(T("10%%"), &ppm) && !memo__parse_share(T("-1%"), &ppm));
    ck_assert(memo__parse_rate(T("500/s"), &n, &period) && n == 500 && period == MEMO__S);
    ck_assert(memo__parse_rate(T("30/m"), &n, &period) && n == 30 && period == 60 * MEMO__S);
    ck_assert(memo__parse_rate(T("2000/h"), &n, &period) && n == 2000 && period == 3600 * MEMO__S);
    ck_assert(memo__parse_rate(T("10/100ms"), &n, &period) && n == 10 && period == 100 * MEMO__MS);
    ck_assert(memo__parse_rate(T("0/s"), &n, &period) && n == 0);
    ck_assert(!memo__parse_rate(T("500"), &n, &period) && !memo__parse_rate(T("500/"), &n, &period) && !memo__parse_rate(T("/s"), &n, &period) &&
              !memo__parse_rate(T("5/0s"), &n, &period) && !memo__parse_rate(T("5/10"), &n, &period) && !memo__parse_rate(T("5/s/s"), &n, &period) &&
              !memo__parse_rate(T("1.5/s"), &n, &period) && !memo__parse_rate(T(""), &n, &period));
    ck_assert(memo__parse_bytes(T("64KiB"), &n) && n == 65536);
    ck_assert(memo__parse_bytes(T("1.5MiB"), &n) && n == 1572864);
    ck_assert(memo__parse_bytes(T("1GiB"), &n) && n == 1073741824);
    ck_assert(memo__parse_bytes(T("512B"), &n) && n == 512 && memo__parse_bytes(T("42"), &n) && n == 42);
    ck_assert(!memo__parse_bytes(T("1KB"), &n) && !memo__parse_bytes(T("KiB"), &n) && !memo__parse_bytes(T("0.5B"), &n) && !memo__parse_bytes(T("999999999999999999GiB"), &n));
}
END_TEST

START_TEST(writing)
{
    struct memo__writer w;
    char buf[8];
    memo__writer_init(&w, buf, sizeof buf);
    memo__put_text(&w, "abc");
    memo__put_format(&w, "%d", 42);
    ck_assert(memo__writer_end(&w) && w.need == 5);
    ck_assert_str_eq(buf, "abc42");
    memo__put_text(&w, "xy\xc3\xa9");                       /* goes on counting, and cuts at a character */
    memo__put_format(&w, "%s", "more");
    memo__put_text(&w, NULL);
    ck_assert(!memo__writer_end(&w) && w.need == 13);
    ck_assert_str_eq(buf, "abc42xy");
    memo__writer_init(&w, buf, 8);
    memo__put_text(&w, "abcdef\xc3\xa9");
    ck_assert(!memo__writer_end(&w));
    ck_assert_str_eq(buf, "abcdef");
}
END_TEST

START_TEST(writing_nowhere)
{
    struct memo__writer w;
    memo__writer_init(&w, NULL, 0);
    memo__put_text(&w, "abc");
    memo__put_format(&w, "%s", "de");
    memo__put_json(&w, T("f"));
    ck_assert(!memo__writer_end(&w) && w.need == 8);
}
END_TEST

static const struct { struct memo__text in; const char *out; } quoted[] = {
    { { "a", 1 }, "\"a\"" }, { { "\"\\/", 3 }, "\"\\\"\\\\/\"" }, { { "\b\f\n\r\t", 5 }, "\"\\b\\f\\n\\r\\t\"" }, { { "\0\x1f\x7f", 3 }, "\"\\u0000\\u001f\\u007f\"" },
    { { "\xc3\xa9\xf0\x9f\x98\x80", 6 }, "\"\xc3\xa9\xf0\x9f\x98\x80\"" }, { { "a\xff\xc3", 3 }, "\"a\xef\xbf\xbd\xef\xbf\xbd\"" }, { { "", 0 }, "\"\"" },
};

START_TEST(json_quotes)
{
    struct memo__writer w;
    char buf[64];
    memo__writer_init(&w, buf, sizeof buf);
    memo__put_json(&w, quoted[_i].in);
    ck_assert(memo__writer_end(&w));
    ck_assert_str_eq(buf, quoted[_i].out);
}
END_TEST

Suite *suite_base_text(void);
Suite *suite_base_text(void)
{
    Suite *s = suite_create("base/text");
    TCase *c = tcase_create("text");
    tcase_add_test(c, comparing);
    tcase_add_test(c, tokens_and_digits);
    tcase_add_test(c, sized);
    tcase_add_test(c, copying);
    tcase_add_loop_test(c, valid_utf8, 0, (int)(sizeof utf8 / sizeof *utf8));
    tcase_add_loop_test(c, mending, 0, (int)(sizeof torn / sizeof *torn));
    tcase_add_test(c, numbers);
    tcase_add_loop_test(c, duration, 0, (int)(sizeof durations / sizeof *durations));
    tcase_add_test(c, duration_there_and_back);
    tcase_add_test(c, shares_rates_bytes);
    tcase_add_test(c, writing);
    tcase_add_test(c, writing_nowhere);
    tcase_add_loop_test(c, json_quotes, 0, (int)(sizeof quoted / sizeof *quoted));
    suite_add_tcase(s, c);
    return s;
}
