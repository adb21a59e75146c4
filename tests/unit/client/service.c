/* SPDX-License-Identifier: Apache-2.0 */
/* service.c: services by name, what a view tells, strict reads and the list of services. */
#include "stage.h"
#include <stdlib.h>
#include <string.h>
#include "client/client.h"

#define URL "static:todo=127.0.0.1:80;version=v1;zone=z1|[::1]:81;id=second;weight=0,empty-handed=127.0.0.1:1,acc=127.0.0.1:2"

START_TEST(names)
{
    char longest[66];
    memo_service *s = (memo_service *)1;
    memo_error e = MEMO_INIT(memo_error);
    memo_client *c = stage_client("registry", URL);
    ck_assert_int_eq(memo_service_acquire(c, "todo", &s, &e), MEMO_E_STATE); /* not started */
    ck_assert_ptr_null(s);
    ck_assert_int_eq(memo_client_start(c, NULL), MEMO_OK);
    memset(longest, 'a', sizeof longest);
    longest[64] = '\0';
    static const char *const bad[] = { "", ".hidden", "a/b", "a b", "a\n", "\xc3\xa4" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(memo_service_acquire(c, bad[i], &s, &e), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_service_acquire(c, longest, &s, &e), MEMO_E_ARGUMENT);
    longest[63] = '\0';
    ck_assert_int_eq(memo_service_acquire(c, longest, &s, &e), MEMO_OK);
    memo_service_release(s);
    ck_assert_int_eq(memo_service_acquire(c, "A-b_c.9", &s, NULL), MEMO_OK);
    memo_service_release(s);
    ck_assert_int_eq(memo_service_acquire(NULL, "todo", &s, &e), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_service_acquire(c, NULL, &s, &e), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_service_acquire(c, "todo", NULL, &e), MEMO_E_ARGUMENT);
    memo_service_release(NULL);
    memo_client_free(c);
}
END_TEST

START_TEST(counted)
{
    memo_service *a = NULL, *b = NULL, *other = NULL;
    memo_call k = MEMO_INIT(memo_call);
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    memo_attempt at = MEMO_INIT(memo_attempt);
    memo_client *c = stage_started("registry", URL);
    ck_assert_int_eq(memo_service_acquire(c, "todo", &a, NULL), MEMO_OK);
    ck_assert_int_eq(memo_service_acquire(c, "todo", &b, NULL), MEMO_OK);
    ck_assert_int_eq(memo_service_acquire(c, "acc", &other, NULL), MEMO_OK);
    ck_assert_ptr_eq(a, b);
    ck_assert_ptr_ne(a, other);
    ck_assert_int_eq(memo_client_wait(c, 10000, NULL), MEMO_OK);
    memo_service_release(a);
    ck_assert_int_eq(memo_call_begin(&k, b, &f), MEMO_OK);
    memo_service_release(b);
    ck_assert_int_eq(memo_call_next(&k, &at), MEMO_E_STATE); /* after the last one */
    memo_call_end(&k);
    memo_service_release(other);
    memo_client_free(c);
    ck_assert_int_eq(memo_call_next(&k, &at), MEMO_E_STATE);
}
END_TEST

START_TEST(a_call_outlives_its_client)
{
    memo_call k = MEMO_INIT(memo_call);
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    memo_attempt at = MEMO_INIT(memo_attempt);
    memo_outcome o = MEMO_INIT(memo_outcome);
    int32_t again;
    memo_client *c = stage_started("registry", URL);
    memo_service *s = stage_service(c, "todo");
    ck_assert_int_eq(memo_call_begin(&k, s, &f), MEMO_OK);
    ck_assert_int_eq(memo_call_next(&k, &at), MEMO_OK);
    memo_service_release(s);
    memo_client_free(c);
    ck_assert_int_eq(memo_call_report(&k, &at, &o, &again), MEMO_E_STATE);
    memo_call_end(&k);
}
END_TEST

START_TEST(what_a_view_tells)
{
    memo_view *v = NULL;
    memo_view_facts f = MEMO_INIT(memo_view_facts), small = { .size = 8 };
    memo_endpoint e = MEMO_INIT(memo_endpoint), small_endpoint = { .size = 8 };
    memo_client *c = stage_started("registry", URL);
    memo_service *s = stage_service(c, "todo");
    ck_assert_int_eq(memo_view_acquire(NULL, &v), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_view_acquire(s, NULL), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_view_acquire(s, &v), MEMO_OK);
    ck_assert_int_eq(memo_view_get_facts(v, &small), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_view_get_facts(NULL, &f), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_view_get_facts(v, &f), MEMO_OK);
    ck_assert_uint_eq(f.count, 2);
    ck_assert_int_eq(f.state, MEMO_VIEW_LIVE);
    ck_assert_int_eq(f.age_max_ms, 0); /* literal: true for ever */
    ck_assert_int_eq(memo_view_get(v, 0, NULL), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_view_get(v, 0, &small_endpoint), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_view_get(v, 2, &e), MEMO_E_ARGUMENT);
    uint32_t second = 0;
    for (uint32_t i = 0; i < 2; i++) {
        ck_assert_int_eq(memo_view_get(v, i, &e), MEMO_OK);
        if (strcmp(e.id, "second") == 0)
            second = i;
    }
    ck_assert_int_eq(memo_view_get(v, second, &e), MEMO_OK);
    ck_assert_str_eq(e.address, "::1");
    ck_assert_uint_eq(e.port, 81);
    ck_assert_uint_eq(e.weight, 0);
    ck_assert_int_eq(e.health, 1);
    ck_assert_int_eq(memo_view_get(v, 1 - second, &e), MEMO_OK);
    ck_assert_str_eq(e.zone, "z1");
    ck_assert_str_eq(memo_view_get_label(v, 1 - second, "version"), "v1");
    ck_assert_ptr_null(memo_view_get_label(v, second, "version"));
    ck_assert_ptr_null(memo_view_get_label(v, 9, "version"));
    ck_assert_ptr_null(memo_view_get_label(v, 0, NULL));
    ck_assert_ptr_null(memo_view_get_label(NULL, 0, "version"));
    memo_view_release(NULL);
    memo_service_release(s); /* a view outlives its service */
    ck_assert_int_eq(memo_view_get_facts(v, &f), MEMO_OK);
    memo_view_release(v);
    memo_client_free(c);
}
END_TEST

START_TEST(watched)
{
    memo_client *c = stage_started("registry", stage_registry());
    memo_service *s = NULL;
    memo_view *v = NULL;
    memo_view_facts f = MEMO_INIT(memo_view_facts);
    ck_assert_int_eq(memo_service_acquire(c, "todo", &s, NULL), MEMO_OK);
    ck_assert_int_eq(memo_view_acquire(s, &v), MEMO_OK); /* never NULL, also before the first answer */
    ck_assert_int_eq(memo_view_get_facts(v, &f), MEMO_OK);
    ck_assert_uint_eq(f.count, 0);
    memo_view_release(v);
    ck_assert_int_eq(memo_service_watch(NULL, 1), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_service_watch(s, 2), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_service_watch(s, 1), MEMO_OK);
    ck_assert_int_eq(memo_client_wait(c, 10000, NULL), MEMO_OK);
    memo_registration *r = stage_register(c, "todo", "a", 80);
    memo_event e = stage_event(c, MEMO_EVENT_VIEW, "1 endpoints");
    ck_assert_str_eq(e.service, "todo");
    ck_assert_uint_gt(e.revision, 0);
    ck_assert_int_eq(memo_service_watch(s, 0), MEMO_OK);
    (void)stage_events(c, 0);
    ck_assert_int_eq(memo_registration_withdraw(r, 10000, NULL), MEMO_OK);
    memo_registration_free(r);
    ck_assert_int_eq(memo_service_read(s, 10000, &v, NULL), MEMO_OK); /* the change has been seen by the time of this answer's */
    memo_view_release(v);
    ck_assert_uint_eq(stage_events(c, MEMO_EVENT_VIEW), 0);
    memo_service_release(s);
    memo_client_free(c);
    stage_dir_remove();
}
END_TEST

START_TEST(strict_reads)
{
    memo_view *v = NULL;
    memo_view_facts f = MEMO_INIT(memo_view_facts);
    memo_error e = MEMO_INIT(memo_error);
    memo_client *c = stage_started("registry", stage_registry());
    memo_service *s = stage_service(c, "todo");
    ck_assert_int_eq(memo_service_read(NULL, 0, &v, &e), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_service_read(s, -1, &v, &e), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_service_read(s, 0, NULL, &e), MEMO_E_ARGUMENT);
    for (int i = 0; i < 5; i++) { /* linearizable: what was acknowledged is there */
        memo_registration *r = stage_register(c, "todo", "a", 80);
        ck_assert_int_eq(memo_service_read(s, 10000, &v, &e), MEMO_OK);
        ck_assert_int_eq(memo_view_get_facts(v, &f), MEMO_OK);
        ck_assert_uint_eq(f.count, 1);
        ck_assert_int_eq(f.state, MEMO_VIEW_LIVE);
        ck_assert_int_ge(f.age_max_ms, 0);
        memo_view_release(v);
        ck_assert_int_eq(memo_registration_withdraw(r, 10000, &e), MEMO_OK);
        ck_assert_int_eq(memo_service_read(s, 10000, &v, &e), MEMO_OK);
        ck_assert_int_eq(memo_view_get_facts(v, &f), MEMO_OK);
        ck_assert_uint_eq(f.count, 0);
        memo_view_release(v);
        memo_registration_free(r);
    }
    v = (memo_view *)1;
    memo_status s0 = memo_service_read(s, 0, &v, &e); /* asks without waiting: an answer at once, or none */
    ck_assert(s0 == MEMO_E_TIMEOUT || s0 == MEMO_OK);
    if (s0 == MEMO_OK)
        memo_view_release(v);
    else {
        ck_assert_ptr_null(v);
        ck_assert_ptr_nonnull(strstr(e.message, "todo"));
    }
    ck_assert_int_eq(memo_client_drain(c, 0), MEMO_OK);
    ck_assert_int_eq(memo_service_read(s, 1000, &v, &e), MEMO_E_STATE);
    memo_service_release(s);
    memo_client_free(c);
    stage_dir_remove();
}
END_TEST

START_TEST(listed)
{
    char list[64];
    size_t need = 0;
    memo_client *c = stage_client("registry", URL);
    ck_assert_int_eq(memo_client_list_services(c, list, sizeof list, &need), MEMO_E_STATE);
    ck_assert_int_eq(memo_client_start(c, NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_list_services(NULL, list, sizeof list, &need), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_client_list_services(c, NULL, 5, &need), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_client_list_services(c, NULL, 0, &need), MEMO_E_TRUNCATED);
    ck_assert_uint_eq(need, 22);
    ck_assert_int_eq(memo_client_list_services(c, list, need - 1, &need), MEMO_E_TRUNCATED);
    ck_assert_int_eq(memo_client_list_services(c, list, 22, NULL), MEMO_OK);
    ck_assert_mem_eq(list, "acc\0empty-handed\0todo", 22);
    memo_client_free(c);
    c = stage_started("registry", stage_registry());
    ck_assert_int_eq(memo_client_list_services(c, NULL, 0, &need), MEMO_OK); /* none */
    ck_assert_uint_eq(need, 0);
    memo_client_free(c);
    stage_dir_remove();
}
END_TEST

Suite *suite_client_service(void);
Suite *suite_client_service(void)
{
    Suite *s = suite_create("client/service");
    TCase *t = tcase_create("services");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, names);
    tcase_add_test(t, counted);
    tcase_add_test(t, a_call_outlives_its_client);
    tcase_add_test(t, what_a_view_tells);
    tcase_add_test(t, watched);
    tcase_add_test(t, strict_reads);
    tcase_add_test(t, listed);
    suite_add_tcase(s, t);
    return s;
}
