/* SPDX-License-Identifier: Apache-2.0 */
/* context.c: the public face of a context, on the machine's clock. What it decides is tests/unit/telemetry's. */
#include "stage.h"
#include <string.h>

static const char trace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

START_TEST(in_and_out)
{
    const memo_header in[] = { { "TraceParent", trace, 0, 0 }, { "x-envoy-expected-rq-timeout-ms", "60000", 0, 0 } };
    memo_context x = MEMO_INIT(memo_context);
    memo_header out[2];
    char buf[128], id[33];
    uint32_t n;
    memo_context_init(NULL);
    memo_context_init(&x);
    ck_assert_int_eq(memo_context_get_left_ms(&x), INT64_MAX);
    ck_assert_int_eq(memo_context_get_trace(&x, id), MEMO_E_STATE);
    ck_assert_str_eq(id, "");
    ck_assert_int_eq(memo_context_extract(&x, in, 2), MEMO_OK);
    ck_assert_int_eq(memo_context_get_trace(&x, id), MEMO_OK);
    ck_assert_str_eq(id, "0af7651916cd43dd8448eb211c80319c");
    int64_t left = memo_context_get_left_ms(&x);
    ck_assert_int_le(left, 60000);
    ck_assert_int_gt(left, 50000);
    ck_assert_int_eq(memo_context_set_deadline(&x, 90000), MEMO_OK); /* only shortens */
    ck_assert_int_le(memo_context_get_left_ms(&x), 60000);
    ck_assert_int_eq(memo_context_inject(&x, buf, sizeof buf, out, 2, &n), MEMO_OK);
    ck_assert_uint_eq(n, 2);
    ck_assert_str_eq(out[0].value, trace);
    ck_assert_int_eq(memo_context_set_deadline(&x, 0), MEMO_OK);
    ck_assert_int_eq(memo_context_get_left_ms(&x), 0);
    ck_assert_int_eq(memo_context_set_deadline(&x, -1), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_context_extract(NULL, in, 2), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_context_extract(&x, NULL, 1), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_context_inject(&x, buf, 3, out, 2, &n), MEMO_E_TRUNCATED);
    ck_assert_int_eq(memo_context_get_trace(NULL, id), MEMO_E_ARGUMENT);
}
END_TEST

Suite *suite_client_context(void);
Suite *suite_client_context(void)
{
    Suite *s = suite_create("client/context");
    TCase *t = tcase_create("context");
    tcase_add_test(t, in_and_out);
    suite_add_tcase(s, t);
    return s;
}
