/* SPDX-License-Identifier: Apache-2.0 */
/* rules.c: the rules document as a client reads it. */
#include "stage.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char path[] = "/tmp/memo-rules-XXXXXX";

static void write_rules(const char *text)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

/* A start that has failed may be tried again, and fails again for the same reason: a client must not come up ungoverned because its rules have been read before. */
START_TEST(test_a_bad_document_is_as_bad_the_second_time)
{
    memo_error e = MEMO_INIT(memo_error);
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    write_rules("{ \"memo\": 1, \"defaults\": { \"timeout\": true } }");
    memo_client *c = stage_client("rules", path);
    ck_assert_int_eq(memo_client_start(c, &e), MEMO_E_RULES);
    ck_assert_int_eq(memo_client_start(c, &e), MEMO_E_RULES);
    write_rules("{ \"memo\": 1 }");
    ck_assert_msg(memo_client_start(c, &e) == MEMO_OK, "%s", e.message);
    memo_client_free(c);
    unlink(path);
}
END_TEST

Suite *suite_client_rules(void)
{
    Suite *s = suite_create("client/rules");
    TCase *t = tcase_create("start");
    tcase_add_test(t, test_a_bad_document_is_as_bad_the_second_time);
    suite_add_tcase(s, t);
    return s;
}
