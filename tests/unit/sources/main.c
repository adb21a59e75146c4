/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: the runner of this room's suites. */
#include <check.h>
#include <stdlib.h>

Suite *suite_sources_config_http(void);
Suite *suite_sources_record(void);
Suite *suite_sources_owner(void);
Suite *suite_sources_place(void);
Suite *suite_sources_source(void);
Suite *suite_sources_dirwatch(void);
Suite *suite_sources_store(void);
Suite *suite_sources_cache(void);
Suite *suite_sources_cache_text(void);
Suite *suite_sources_watch(void);
Suite *suite_sources_registry_static(void);
Suite *suite_sources_registry_file(void);

int main(void)
{
    SRunner *runner = srunner_create(suite_sources_record());
    srunner_add_suite(runner, suite_sources_config_http());
    srunner_add_suite(runner, suite_sources_owner());
    srunner_add_suite(runner, suite_sources_place());
    srunner_add_suite(runner, suite_sources_source());
    srunner_add_suite(runner, suite_sources_dirwatch());
    srunner_add_suite(runner, suite_sources_store());
    srunner_add_suite(runner, suite_sources_cache());
    srunner_add_suite(runner, suite_sources_cache_text());
    srunner_add_suite(runner, suite_sources_watch());
    srunner_add_suite(runner, suite_sources_registry_static());
    srunner_add_suite(runner, suite_sources_registry_file());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
