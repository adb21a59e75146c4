/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: the runner of tests/unit/client. Clients here live in the directory of the test and have no socket. */
#include "stage.h"

Suite *suite_client_admin(void);
Suite *suite_client_client(void);
Suite *suite_client_config(void);
Suite *suite_client_context(void);
Suite *suite_client_engine(void);
Suite *suite_client_events(void);
Suite *suite_client_host(void);
Suite *suite_client_http(void);
Suite *suite_client_http_task(void);
Suite *suite_client_inbound(void);
Suite *suite_client_info(void);
Suite *suite_client_metrics(void);
Suite *suite_client_registration(void);
Suite *suite_client_rules(void);
Suite *suite_client_service(void);
Suite *suite_client_voice(void);

static const char *const fixed[][2] = { { "admin_socket", "none" }, { "cache", "false" }, { "log_level", "none" } };

memo_client *stage_client(const char *name, const char *value)
{
    memo_client *c = NULL;
    memo_error e = MEMO_INIT(memo_error);
    ck_assert_msg(memo_client_new(&c, &e) == MEMO_OK, "%s", e.message);
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        ck_assert_msg(memo_client_set(c, fixed[i][0], fixed[i][1], &e) == MEMO_OK, "%s", e.message);
    ck_assert_msg(memo_client_set(c, "registry", "static:todo=127.0.0.1:9", &e) == MEMO_OK, "%s", e.message);
    if (name)
        ck_assert_msg(memo_client_set(c, name, value, &e) == MEMO_OK, "%s", e.message);
    return c;
}

memo_client *stage_started(const char *name, const char *value)
{
    memo_client *c = stage_client(name, value);
    memo_error e = MEMO_INIT(memo_error);
    ck_assert_msg(memo_client_start(c, &e) == MEMO_OK, "%s", e.message);
    return c;
}

int main(void)
{
    SRunner *r = srunner_create(suite_client_admin());
    srunner_add_suite(r, suite_client_client());
    srunner_add_suite(r, suite_client_config());
    srunner_add_suite(r, suite_client_context());
    srunner_add_suite(r, suite_client_engine());
    srunner_add_suite(r, suite_client_events());
    srunner_add_suite(r, suite_client_host());
    srunner_add_suite(r, suite_client_http());
    srunner_add_suite(r, suite_client_http_task());
    srunner_add_suite(r, suite_client_inbound());
    srunner_add_suite(r, suite_client_info());
    srunner_add_suite(r, suite_client_metrics());
    srunner_add_suite(r, suite_client_registration());
    srunner_add_suite(r, suite_client_rules());
    srunner_add_suite(r, suite_client_service());
    srunner_add_suite(r, suite_client_voice());
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
