/* SPDX-License-Identifier: Apache-2.0 */
/* http.c: replies, where they come from and whose they are. */
#include "stage.h"
#include <stdlib.h>

START_TEST(test_a_body_is_there_after_every_answer)
{
    memo_http_reply reply = MEMO_INIT(memo_http_reply);
    memo_service *s = NULL;
    memo_client *c = stage_started(NULL, NULL);
    ck_assert_int_eq(memo_service_acquire(c, "todo", &s, NULL), MEMO_OK);
    ck_assert_int_eq(memo_http_get(s, "no slash", &reply, NULL), MEMO_E_ARGUMENT);
    ck_assert_str_eq(reply.body, "");
    memo_http_reply_fini(&reply);
    memo_service_release(s);
    memo_client_free(c);
}
END_TEST

/* A reply may be used for one call after the other, also of another client; it then has nothing of the first one's. */
START_TEST(test_a_reply_belongs_to_the_client_that_used_it_last)
{
    memo_http_reply reply = MEMO_INIT(memo_http_reply);
    memo_client *c[2];
    memo_service *s[2] = { NULL, NULL };
    for (int i = 0; i < 2; i++) {
        c[i] = stage_started(NULL, NULL);
        ck_assert_int_eq(memo_service_acquire(c[i], "todo", &s[i], NULL), MEMO_OK);
        ck_assert_int_eq(memo_client_wait(c[i], 10000, NULL), MEMO_OK);
        ck_assert_int_eq(memo_http_get(s[i], "/", &reply, NULL), MEMO_E_UNREACHABLE); /* port 9 */
    }
    memo_service_release(s[0]);
    memo_client_free(c[0]);
    memo_http_reply_fini(&reply);
    memo_service_release(s[1]);
    memo_client_free(c[1]);
}
END_TEST

Suite *suite_client_http(void)
{
    Suite *s = suite_create("client/http");
    TCase *t = tcase_create("replies");
    tcase_add_test(t, test_a_body_is_there_after_every_answer);
    tcase_add_test(t, test_a_reply_belongs_to_the_client_that_used_it_last);
    suite_add_tcase(s, t);
    return s;
}
