/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "stage.h"

static struct stage s;

static void setup(void) { stage_begin(&s); }
static void teardown(void) { stage_end(&s); }

START_TEST(test_found_by_scheme)
{
    ck_assert_ptr_eq(memo__source_find(MEMO__TEXT("file:")), &memo__registry_file);
    ck_assert_ptr_eq(memo__source_find(MEMO__TEXT("FILE:///x")), &memo__registry_file);
    ck_assert_ptr_eq(memo__source_find(MEMO__TEXT("static:a=b")), &memo__registry_static);
    ck_assert_ptr_null(memo__source_find(MEMO__TEXT("file")));
    ck_assert_ptr_null(memo__source_find(MEMO__TEXT("files:")));
    ck_assert_ptr_null(memo__source_find(MEMO__TEXT("")));
    uint32_t n = 0;
    for (const struct memo__source_ops *o; (o = memo__source_at(n)) != NULL; n++)
        ck_assert(o->scheme[0] && o->summary[0] && o->retry_initial > 0 && o->retry_max >= o->retry_initial);
    ck_assert_uint_eq(n, 2);
}
END_TEST

START_TEST(test_checked_without_a_loop)
{
    memo_error e = MEMO_INIT(memo_error);
    ck_assert_int_eq(memo__source_check(&memo__alloc_libc, &s.host, "smoke:signals", &e), MEMO_E_UNSUPPORTED);
    ck_assert_int_eq(memo__source_check(&memo__alloc_libc, &s.host, NULL, &e), MEMO_E_UNSUPPORTED);
    ck_assert_int_eq(memo__source_check(&memo__alloc_libc, &s.host, "static:todo=127.0.0.1:80,x=host.example:1", &e), MEMO_OK);
    ck_assert_int_eq(memo__source_check(&memo__alloc_libc, &s.host, s.url, &e), MEMO_E_UNREACHABLE); /* and nothing was created */
    ck_assert_ptr_nonnull(strstr(e.message, "no registry at"));
    mkdir(stage_path(&s, "registry"), 0755);
    chmod(stage_path(&s, "registry"), 0755);
    ck_assert_int_eq(memo__source_check(&memo__alloc_libc, &s.host, s.url, &e), MEMO_E_IO);
    ck_assert_ptr_nonnull(strstr(e.message, "lets other users in"));
    ck_assert_int_eq(memo__source_check(&memo__alloc_libc, &s.host, "file:relative", &e), MEMO_E_SETTING);
}
END_TEST

Suite *suite_sources_source(void);
Suite *suite_sources_source(void)
{
    Suite *suite = suite_create("sources/source");
    TCase *t = tcase_create("source");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_found_by_scheme);
    tcase_add_test(t, test_checked_without_a_loop);
    suite_add_tcase(suite, t);
    return suite;
}
