/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: the runner of this room's suites. */
#include <check.h>
#include <stdlib.h>

Suite *suite_model_config(void);
Suite *suite_model_view(void);
Suite *suite_model_rules(void);
Suite *suite_model_rules_read(void);
Suite *suite_model_settings(void);

int main(void)
{
    SRunner *runner = srunner_create(suite_model_view());
    srunner_add_suite(runner, suite_model_config());
    srunner_add_suite(runner, suite_model_rules());
    srunner_add_suite(runner, suite_model_rules_read());
    srunner_add_suite(runner, suite_model_settings());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
