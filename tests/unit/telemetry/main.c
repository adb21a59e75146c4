/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: the runner of this room's suites. */
#include <check.h>
#include <stdlib.h>

Suite *suite_telemetry_trace(void);
Suite *suite_telemetry_headers(void);
Suite *suite_telemetry_context(void);
Suite *suite_telemetry_metrics(void);
Suite *suite_telemetry_tracestate(void);
Suite *suite_telemetry_baggage(void);

int main(void)
{
    SRunner *runner = srunner_create(suite_telemetry_trace());
    srunner_add_suite(runner, suite_telemetry_headers());
    srunner_add_suite(runner, suite_telemetry_context());
    srunner_add_suite(runner, suite_telemetry_metrics());
    srunner_add_suite(runner, suite_telemetry_tracestate());
    srunner_add_suite(runner, suite_telemetry_baggage());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
