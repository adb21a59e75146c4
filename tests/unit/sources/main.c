/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: the runner of this room's suites. */
#include <check.h>
#include <stdlib.h>

Suite *suite_sources_registry_file(void);

int main(void)
{
    SRunner *runner = srunner_create(suite_sources_registry_file());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
