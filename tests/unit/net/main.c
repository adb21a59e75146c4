/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: the runner of this room's suites. */
#include <check.h>
#include <stdlib.h>

Suite *suite_net_loop(void);
Suite *suite_net_http_head(void);
Suite *suite_net_httpd(void);
Suite *suite_net_http(void);
Suite *suite_net_http_async(void);
Suite *suite_net_dns(void);

int main(void)
{
    SRunner *runner = srunner_create(suite_net_loop());
    srunner_add_suite(runner, suite_net_http_head());
    srunner_add_suite(runner, suite_net_httpd());
    srunner_add_suite(runner, suite_net_http());
    srunner_add_suite(runner, suite_net_http_async());
    srunner_add_suite(runner, suite_net_dns());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
