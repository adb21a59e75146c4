/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: the runner of this room's suites. */
#include <check.h>
#include <stdlib.h>

Suite *suite_call_directory(void);
Suite *suite_call_ring(void);
Suite *suite_call_plan(void);
Suite *suite_call_governor(void);
Suite *suite_call_call(void);
Suite *suite_call_explain(void);
Suite *suite_call_inbound(void);

int main(void)
{
    SRunner *runner = srunner_create(suite_call_directory());
    srunner_add_suite(runner, suite_call_ring());
    srunner_add_suite(runner, suite_call_plan());
    srunner_add_suite(runner, suite_call_governor());
    srunner_add_suite(runner, suite_call_call());
    srunner_add_suite(runner, suite_call_explain());
    srunner_add_suite(runner, suite_call_inbound());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
