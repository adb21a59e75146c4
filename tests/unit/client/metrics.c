/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c: a visitor may be slow and may call anything: the engine and everybody else go on meanwhile. */
#define _GNU_SOURCE
#include "stage.h"
#include "exposition.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
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


/* ---- the text ---- */

static char text[1 << 18];
static size_t text_bytes;

static void collects(const char *bytes, size_t n, void *user)
{
    (void)user;
    ck_assert_uint_le(n, 4096);
    ck_assert_uint_lt(text_bytes + n, sizeof text);
    memcpy(text + text_bytes, bytes, n);
    text_bytes += n;
    text[text_bytes] = '\0';
}

static double value_of(const char *sample)
{
    const char *at = strstr(text, sample);
    ck_assert_msg(at != NULL, "no %s in %s", sample, text);
    return strtod(at + strlen(sample), NULL);
}

START_TEST(the_text_is_prometheus)
{
    static const char rules[] = "{\"memo\":1,\"services\":{\"todo\":{\"breaker\":{},\"routes\":[{\"name\":\"a\\\"b\\\\c\",\"when\":{\"path\":\"/a\"},\"breaker\":{}}]}}}";
    memo_call k = MEMO_INIT(memo_call);
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    client = stage_client("service_name", "a shop \"x\"");
    ck_assert_int_eq(memo_metrics_write(NULL, collects, NULL), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_metrics_write(client, NULL, NULL), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_metrics_write(client, collects, NULL), MEMO_OK); /* before the start, too */
    exposition_check(text);
    ck_assert_int_eq(memo_client_start(client, NULL), MEMO_OK);
    memo_error e = MEMO_INIT(memo_error);
    if (memo_rules_apply(client, rules, strlen(rules), NULL, 0, NULL, &e) != MEMO_OK) /* names may not be so: then plainer ones */
        ck_assert_int_eq(memo_rules_apply(client, "{\"memo\":1}", 10, NULL, 0, NULL, &e), MEMO_OK);
    memo_service *s = stage_service(client, "todo");
    double before = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5; i++) {
            ck_assert_int_eq(memo_call_begin(&k, s, &f), MEMO_OK);
            memo_call_end(&k);
        }
        text_bytes = 0;
        ck_assert_int_eq(memo_metrics_write(client, collects, NULL), MEMO_OK);
        exposition_check(text);
        double now = value_of("memo_client_calls_total{service=\"todo\",result=\"cancelled\"} ");
        ck_assert_double_eq(now, before + 5); /* a counter */
        before = now;
    }
    ck_assert_double_eq(value_of("memo_registry_up{scheme=\"static\"} "), 1);
    ck_assert_double_eq(value_of("target_info{service_name=\"a shop \\\"x\\\"\"} "), 1);
    memo_service_release(s);
    memo_client_free(client);
}
END_TEST

Suite *suite_client_metrics(void)
{
    Suite *s = suite_create("client/metrics");
    TCase *t = tcase_create("visitors");
    tcase_add_test(t, test_a_visitor_holds_nobody_up);
    tcase_add_test(t, test_a_visitor_may_give_back_what_is_written);
    tcase_add_test(t, the_text_is_prometheus);
    suite_add_tcase(s, t);
    return s;
}
