/* SPDX-License-Identifier: Apache-2.0 */
/* baggage.c: who passes, how a value is read, and how one is written. Cases by W3C Baggage. */
#include "telemetry/baggage.h"
#include <check.h>
#include <stdio.h>
#include <string.h>

static const struct { const char *list, *first, *second; size_t room; const char *out; } stories[] = {
    { "tenant", "tenant=blue", NULL, 200, "tenant=blue" },
    { "tenant", "user=1,tenant=blue,x=2", NULL, 200, "tenant=blue" },            /* only what is on the list */
    { "tenant, user", "user=1,tenant=blue", NULL, 200, "user=1,tenant=blue" },   /* in the sender's order */
    { "tenant,user", "user=1", "tenant=blue", 200, "user=1,tenant=blue" },
    { "*", "user=1,tenant=blue", NULL, 200, "user=1,tenant=blue" },
    { "", "tenant=blue", NULL, 200, "" },
    { "tenant", "Tenant=blue", NULL, 200, "" },                                  /* case counts */
    { "a", "a = 1 ; p ; q = 2", NULL, 200, "a = 1 ; p ; q = 2" },               /* as it came, properties and all */
    { "a", "a=", NULL, 200, "a=" },
    { "a", "a", NULL, 200, "" },
    { "*", "=1,a=1", NULL, 200, "a=1" },                                         /* malformed ones are passed over */
    { "*", "a=1;,b=2", NULL, 200, "b=2" },
    { "*", "a=1;p q,b=2", NULL, 200, "b=2" },
    { "*", "a=1;p=x y,b=2", NULL, 200, "b=2" },
    { "*", "a=1;p=x;q,b=2", NULL, 200, "a=1;p=x;q,b=2" },
    { "*", "a=x y,b=2", NULL, 200, "b=2" },
    { "*", "a=\"x\",b=2", NULL, 200, "b=2" },
    { "*", "a=x\\,b=2", NULL, 200, "b=2" },
    { "*", "a=\r\nx: y,b=2", NULL, 200, "b=2" },
    { "*", "a=\xc3\xa4,b=%C3%A4", NULL, 200, "b=%C3%A4" },
    { "*", "a b=1,b=1=2", NULL, 200, "b=1=2" },                                  /* '=' is an octet of a value */
    { "*", ",, ,a=1,", NULL, 200, "a=1" },
    { "*", "a=1,b=2,c=3", NULL, 10, "a=1,b=2" },                                 /* cut from the end */
    { "*", "a=1,b=2,c=3", NULL, 11, "a=1,b=2,c=3" },
    { "*", "a=1", NULL, 2, "" },
    { "*", "", "", 200, "" },
};

START_TEST(every_story)
{
    struct memo__text values[2] = { memo__text_of(stories[_i].first), memo__text_of(stories[_i].second) };
    char out[256];
    size_t n = memo__baggage_fit(memo__text_of(stories[_i].list), values, 2, out, stories[_i].room);
    out[n] = '\0';
    ck_assert_str_eq(out, stories[_i].out);
}
END_TEST

START_TEST(members_at_most)
{
    char in[1024] = "", out[1024];
    for (int i = 0; i < 65; i++)
        (void)snprintf(in + strlen(in), 16, "%sk%02d=v", i ? "," : "", i);
    struct memo__text value = memo__text_of(in);
    ck_assert_uint_eq(memo__baggage_fit(MEMO__TEXT("*"), &value, 1, out, sizeof out), 64 * 6 - 1);
}
END_TEST

static const struct { const char *baggage, *key, *value; } finds[] = {
    { "a=1,b=2", "b", "2" }, { "a=1,b=2", "c", NULL }, { "a=1,a=2", "a", "1" }, { "a = 1 ; p=3", "a", "1" }, { "a=", "a", "" }, { "", "a", NULL },
    { "a=x%20y", "a", "x y" }, { "a=%C3%A4%2C", "a", "\xc3\xa4," }, { "a=%zz%4", "a", "%zz%4" }, { "a=%4", "a", "%4" }, { "a=%41", "a", "A" },
    { "a=%6a%6A", "a", "jj" },
};

START_TEST(found_and_decoded)
{
    struct memo__text value;
    struct memo__writer w;
    char out[64];
    bool there = memo__baggage_find(memo__text_of(finds[_i].baggage), memo__text_of(finds[_i].key), &value);
    ck_assert_int_eq(there, finds[_i].value != NULL);
    if (!there)
        return;
    memo__writer_init(&w, out, sizeof out);
    memo__baggage_decode(&w, value);
    ck_assert(memo__writer_end(&w));
    ck_assert_str_eq(out, finds[_i].value);
}
END_TEST

static const struct { const char *before, *key, *value; size_t room; const char *after; } puts_[] = {
    { "", "a", "1", 20, "a=1" },
    { "a=1", "b", "2", 20, "a=1,b=2" },
    { "a=1,b=2,c=3", "b", "x", 20, "a=1,c=3,b=x" },
    { "a=1,b=2,a=3", "a", NULL, 20, "b=2" },
    { "a=1", "a", NULL, 20, "" },
    { "", "a", NULL, 20, "" },
    { "a=1", "b", "x y,z%", 40, "a=1,b=x%20y%2Cz%25" },
    { "", "a", "", 20, "a=" },
    { "a=1", "b", "12345", 10, NULL },
    { "a=1", "b", "123", 10, "a=1,b=123" },
    { "a=1", "a", "12345678", 10, "a=12345678" },                       /* what it replaces makes room */
    { "a = 1 , b=2", "c", "3", 20, "a = 1,b=2,c=3" },
};

START_TEST(put)
{
    char at[64];
    size_t n = strlen(puts_[_i].before);
    memcpy(at, puts_[_i].before, n);
    struct memo__text value = { puts_[_i].value, puts_[_i].value ? strlen(puts_[_i].value) : 0 };
    ck_assert_int_eq(memo__baggage_put(at, &n, puts_[_i].room, memo__text_of(puts_[_i].key), value), puts_[_i].after != NULL);
    at[n] = '\0';
    ck_assert_str_eq(at, puts_[_i].after ? puts_[_i].after : puts_[_i].before);
}
END_TEST

START_TEST(keys)
{
    ck_assert(memo__is_token(MEMO__TEXT("tenant.id-9~")));
    ck_assert(!memo__is_token(MEMO__TEXT("")));
    ck_assert(!memo__is_token(MEMO__TEXT("a b")));
    ck_assert(!memo__is_token(MEMO__TEXT("a=b")));
    ck_assert(!memo__is_token((struct memo__text){ "a\0b", 3 }));
}
END_TEST

Suite *suite_telemetry_baggage(void);
Suite *suite_telemetry_baggage(void)
{
    Suite *s = suite_create("telemetry/baggage");
    TCase *c = tcase_create("baggage");
    tcase_add_loop_test(c, every_story, 0, (int)(sizeof stories / sizeof stories[0]));
    tcase_add_test(c, members_at_most);
    tcase_add_loop_test(c, found_and_decoded, 0, (int)(sizeof finds / sizeof finds[0]));
    tcase_add_loop_test(c, put, 0, (int)(sizeof puts_ / sizeof puts_[0]));
    tcase_add_test(c, keys);
    suite_add_tcase(s, c);
    return s;
}
