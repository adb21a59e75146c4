/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: the runner of this room's suites. */
#include <check.h>
#include <stdlib.h>

Suite *suite_base_text(void);
Suite *suite_base_values(void);
Suite *suite_base_status(void);
Suite *suite_base_lock(void);
Suite *suite_base_log(void);
Suite *suite_base_pipe_guard(void);
Suite *suite_base_json(void);
Suite *suite_base_host(void);
Suite *suite_base_histogram(void);
Suite *suite_base_reader(void);
Suite *suite_base_clock(void);
Suite *suite_base_process(void);

int main(void)
{
    SRunner *runner = srunner_create(suite_base_text());
    srunner_add_suite(runner, suite_base_values());
    srunner_add_suite(runner, suite_base_status());
    srunner_add_suite(runner, suite_base_lock());
    srunner_add_suite(runner, suite_base_log());
    srunner_add_suite(runner, suite_base_pipe_guard());
    srunner_add_suite(runner, suite_base_json());
    srunner_add_suite(runner, suite_base_host());
    srunner_add_suite(runner, suite_base_histogram());
    srunner_add_suite(runner, suite_base_reader());
    srunner_add_suite(runner, suite_base_clock());
    srunner_add_suite(runner, suite_base_process());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
