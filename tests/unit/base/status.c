/* SPDX-License-Identifier: Apache-2.0 */
/* status.c: names, and errors in words. */
#include "base/status.h"
#include <check.h>
#include <string.h>
#include "base/text.h"

START_TEST(names)
{
    ck_assert_str_eq(memo__status_name(MEMO_OK), "MEMO_OK");
    ck_assert_str_eq(memo__status_name(105), "MEMO_E_TRUNCATED");
    ck_assert_str_eq(memo__status_name(206), "MEMO_E_UNKNOWN_OUTCOME");
    ck_assert_str_eq(memo__status_name(306), "MEMO_REFUSED_NOT_READY");
    ck_assert_str_eq(memo__status_name(307), "MEMO_STATUS_?");
    ck_assert_str_eq(memo__status_name(-1), "MEMO_STATUS_?");
    int known = 0;
    for (int s = 0; s < 1000; s++)
        known += strcmp(memo__status_name(s), "MEMO_STATUS_?") != 0;
    ck_assert_int_eq(known, 21);
    ck_assert(memo__status_refused(300) && memo__status_refused(306) && !memo__status_refused(299) && !memo__status_refused(400) && !memo__status_refused(0));
}
END_TEST

START_TEST(details)
{
    memo_error e = MEMO_INIT(memo_error);
    ck_assert_int_eq(memo__fail_at(&e, MEMO_E_RULES, "r.json", 3, 17, "a.b", "bad %s", "value"), MEMO_E_RULES);
    ck_assert_int_eq(e.status, MEMO_E_RULES);
    ck_assert_int_eq(e.line, 3);
    ck_assert_int_eq(e.column, 17);
    ck_assert_str_eq(e.file, "r.json");
    ck_assert_str_eq(e.path, "a.b");
    ck_assert_str_eq(e.message, "bad value");
    ck_assert_int_eq(memo__fail(&e, MEMO_E_IO, "%d", 5), MEMO_E_IO);       /* nothing of the last one stays */
    ck_assert(e.line == 0 && e.column == 0 && e.file[0] == '\0' && e.path[0] == '\0');
    ck_assert_int_eq(memo__fail(NULL, MEMO_E_IO, "nobody asked"), MEMO_E_IO);
}
END_TEST

START_TEST(cut_at_a_character)
{
    memo_error e = MEMO_INIT(memo_error);
    char many[400];
    memset(many, 'a', sizeof many);
    many[sizeof many - 1] = '\0';
    memcpy(many + 254, "\xc3\xa9", 2);
    (void)memo__fail(&e, MEMO_E_IO, "%s", many);
    ck_assert_uint_eq(strlen(e.message), 254);
    (void)memo__fail(&e, MEMO_E_IO, "x\xff%s", "y");                         /* what is no UTF-8 does not get out */
    ck_assert_str_eq(e.message, "x?y");
    (void)memo__fail_at(&e, MEMO_E_IO, many, 1, 1, many, "m");
    ck_assert_uint_eq(strlen(e.file), sizeof e.file - 1);
    ck_assert_uint_eq(strlen(e.path), sizeof e.path - 1);
}
END_TEST

START_TEST(a_smaller_struct_is_left_alone)
{
    memo_error e = MEMO_INIT(memo_error), before;
    e.size = sizeof e - 1;
    before = e;
    ck_assert_int_eq(memo__fail(&e, MEMO_E_IO, "x"), MEMO_E_IO);
    ck_assert(memcmp(&e, &before, sizeof e) == 0);
}
END_TEST

Suite *suite_base_status(void);
Suite *suite_base_status(void)
{
    Suite *s = suite_create("base/status");
    TCase *c = tcase_create("status");
    tcase_add_test(c, names);
    tcase_add_test(c, details);
    tcase_add_test(c, cut_at_a_character);
    tcase_add_test(c, a_smaller_struct_is_left_alone);
    suite_add_tcase(s, c);
    return s;
}
