/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c: a visitor may be slow and may call anything: the engine and everybody else go on meanwhile. */
#define _GNU_SOURCE
#include "stage.h"
#include <pthread.h>
#include <string.h>
#include <time.h>

static memo_client *client;

static void *acquires(void *user)
{
    memo_service *s = NULL;
    *(memo_status *)user = memo_service_acquire(client, "todo", &s, NULL);
    memo_service_release(s);
    return NULL;
}

static void visit(const char *bytes, size_t n, void *user)
{
    pthread_t other;
    struct timespec until;
    memo_status s = -1;
    (void)bytes;
    (void)n;
    if (*(int *)user)
        return;
    *(int *)user = 1;
    ck_assert_int_eq(pthread_create(&other, NULL, acquires, &s), 0);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    ck_assert_msg(pthread_timedjoin_np(other, NULL, &until) == 0, "another thread waits for the visitor");
    ck_assert_int_eq(s, MEMO_OK);
    ck_assert_int_eq(memo_client_wait(client, 5000, NULL), MEMO_OK); /* and the engine answers */
}

START_TEST(test_a_visitor_holds_nobody_up)
{
    memo_service *s = NULL;
    int visited = 0;
    client = stage_started(NULL, NULL);
    ck_assert_int_eq(memo_service_acquire(client, "other", &s, NULL), MEMO_OK);
    memo_service_release(s);
    ck_assert_int_eq(memo_service_acquire(client, "todo", &s, NULL), MEMO_OK);
    ck_assert_int_eq(memo_metrics_write(client, visit, &visited), MEMO_OK);
    ck_assert_int_eq(visited, 1);
    memo_service_release(s);
    memo_client_free(client);
}
END_TEST

static void gives_back(const char *bytes, size_t n, void *user)
{
    memo_service **s = user;
    ck_assert_ptr_nonnull(memmem(bytes, n, "todo", 4));
    if (*s) { /* what is written was copied */
        memo_service_release(*s);
        *s = NULL;
        ck_assert_int_eq(memo_rules_apply(client, NULL, 0, NULL, 0, NULL, NULL), MEMO_OK);
    }
}

START_TEST(test_a_visitor_may_give_back_what_is_written)
{
    static const char rules[] = "{\"memo\":1,\"services\":{\"todo\":{\"breaker\":{},\"routes\":[{\"name\":\"slow-one\",\"when\":{\"path\":\"/a\"},\"breaker\":{}}]}}}";
    memo_service *s = NULL;
    client = stage_started(NULL, NULL);
    ck_assert_int_eq(memo_rules_apply(client, rules, strlen(rules), NULL, 0, NULL, NULL), MEMO_OK);
    ck_assert_int_eq(memo_service_acquire(client, "todo", &s, NULL), MEMO_OK);
    ck_assert_int_eq(memo_metrics_write(client, gives_back, &s), MEMO_OK);
    ck_assert_ptr_null(s);
    memo_client_free(client);
}
END_TEST

Suite *suite_client_metrics(void)
{
    Suite *s = suite_create("client/metrics");
    TCase *t = tcase_create("visitors");
    tcase_add_test(t, test_a_visitor_holds_nobody_up);
    tcase_add_test(t, test_a_visitor_may_give_back_what_is_written);
    suite_add_tcase(s, t);
    return s;
}
