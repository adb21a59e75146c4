/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: the runner of this room's suites. */
#include <check.h>
#include <stdlib.h>

Suite *suite_policy_breaker(void);
Suite *suite_policy_limiter(void);
Suite *suite_policy_limiter_keyed(void);
Suite *suite_policy_bulkhead(void);
Suite *suite_policy_fleet(void);
Suite *suite_policy_balance(void);
Suite *suite_policy_outlier(void);
Suite *suite_policy_retry(void);
Suite *suite_policy_route(void);
Suite *suite_policy_gate(void);
Suite *suite_policy_shed(void);
Suite *suite_policy_threads(void);

int main(void)
{
    SRunner *runner = srunner_create(suite_policy_breaker());
    srunner_add_suite(runner, suite_policy_limiter());
    srunner_add_suite(runner, suite_policy_limiter_keyed());
    srunner_add_suite(runner, suite_policy_bulkhead());
    srunner_add_suite(runner, suite_policy_fleet());
    srunner_add_suite(runner, suite_policy_balance());
    srunner_add_suite(runner, suite_policy_outlier());
    srunner_add_suite(runner, suite_policy_retry());
    srunner_add_suite(runner, suite_policy_route());
    srunner_add_suite(runner, suite_policy_gate());
    srunner_add_suite(runner, suite_policy_shed());
    srunner_add_suite(runner, suite_policy_threads());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
