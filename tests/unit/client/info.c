/* SPDX-License-Identifier: Apache-2.0 */
/* info.c: what the library says of itself. */
#include "stage.h"
#include <stdlib.h>
#include <string.h>

START_TEST(statuses)
{
    static const struct { memo_status s; const char *name; } all[] = {
        { MEMO_OK, "MEMO_OK" }, { MEMO_E_ARGUMENT, "MEMO_E_ARGUMENT" }, { MEMO_E_STATE, "MEMO_E_STATE" }, { MEMO_E_SETTING, "MEMO_E_SETTING" },
        { MEMO_E_RULES, "MEMO_E_RULES" }, { MEMO_E_UNSUPPORTED, "MEMO_E_UNSUPPORTED" }, { MEMO_E_TRUNCATED, "MEMO_E_TRUNCATED" },
        { MEMO_E_NO_MEMORY, "MEMO_E_NO_MEMORY" }, { MEMO_E_IO, "MEMO_E_IO" }, { MEMO_E_UNREACHABLE, "MEMO_E_UNREACHABLE" },
        { MEMO_E_PROTOCOL, "MEMO_E_PROTOCOL" }, { MEMO_E_TIMEOUT, "MEMO_E_TIMEOUT" }, { MEMO_E_CANCELLED, "MEMO_E_CANCELLED" },
        { MEMO_E_UNKNOWN_OUTCOME, "MEMO_E_UNKNOWN_OUTCOME" }, { MEMO_REFUSED_LIMITED, "MEMO_REFUSED_LIMITED" }, { MEMO_REFUSED_OPEN, "MEMO_REFUSED_OPEN" },
        { MEMO_REFUSED_OVERLOADED, "MEMO_REFUSED_OVERLOADED" }, { MEMO_REFUSED_NO_ENDPOINT, "MEMO_REFUSED_NO_ENDPOINT" }, { MEMO_REFUSED_STALE, "MEMO_REFUSED_STALE" },
        { MEMO_REFUSED_DEADLINE, "MEMO_REFUSED_DEADLINE" }, { MEMO_REFUSED_NOT_READY, "MEMO_REFUSED_NOT_READY" } };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        ck_assert_str_eq(memo_status_name(all[i].s), all[i].name);
        ck_assert_int_eq(memo_status_refused(all[i].s), strstr(all[i].name, "REFUSED") != NULL);
    }
    ck_assert_str_eq(memo_status_name(-1), "MEMO_STATUS_?");
    ck_assert_str_eq(memo_status_name(399), "MEMO_STATUS_?");
    ck_assert_int_eq(memo_status_refused(400), 0);
}
END_TEST

START_TEST(versions)
{
    static const char *const have[] = { "http", "tls", "dns", "file", "static", "explain", "inbound" };
    ck_assert_uint_eq(memo_version_number(), MEMO_VERSION_NUMBER);
    for (size_t i = 0; i < sizeof have / sizeof *have; i++)
        ck_assert_int_eq(memo_version_has(have[i]), 1);
    ck_assert_int_eq(memo_version_has("grpc"), 0);
    ck_assert_int_eq(memo_version_has(""), 0);
    ck_assert_int_eq(memo_version_has(NULL), 0);
}
END_TEST

START_TEST(settings)
{
    memo_setting row = MEMO_INIT(memo_setting), small = { .size = 8 };
    uint32_t n = 0;
    memo_client *c = stage_client(NULL, NULL);
    ck_assert_int_eq(memo_setting_get(0, NULL), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_setting_get(0, &small), MEMO_E_ARGUMENT);
    for (; memo_setting_get(n, &row) == MEMO_OK; n++) {
        char value[512];
        ck_assert_uint_eq(row.size, sizeof row);
        ck_assert_mem_eq(row.environment, "MEMO_", 5);
        ck_assert_uint_gt(strlen(row.sentence), 10);
        ck_assert_int_eq(memo_client_get_setting(c, row.name, value, sizeof value, NULL, 0), MEMO_OK);
        /* a default is a value that may be set */
        ck_assert_msg(!row.otherwise[0] || strcmp(row.name, "settings") == 0 || memo_client_set(c, row.name, row.otherwise, NULL) == MEMO_OK, "%s", row.name);
    }
    ck_assert_uint_ge(n, 20);
    ck_assert_int_eq(memo_setting_get(UINT32_MAX, &row), MEMO_E_ARGUMENT);
    memo_client_free(c);
}
END_TEST

Suite *suite_client_info(void);
Suite *suite_client_info(void)
{
    Suite *s = suite_create("client/info");
    TCase *t = tcase_create("info");
    tcase_add_test(t, statuses);
    tcase_add_test(t, versions);
    tcase_add_test(t, settings);
    suite_add_tcase(s, t);
    return s;
}
