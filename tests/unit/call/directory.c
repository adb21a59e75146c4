/* SPDX-License-Identifier: Apache-2.0 */
/* directory.c: a slot and a generation find their governor, and nobody else's. */
#include "call/directory.h"
#include <check.h>
#include <memo/status.h>
#include <stdlib.h>

/* Never followed: only compared. */
static struct memo__governor *governor(uintptr_t n)
{
    return (struct memo__governor *)(n * 64 + 64);
}

START_TEST(found_and_gone)
{
    uint32_t slot, generation, again, later;
    ck_assert_int_eq(memo__directory_add(governor(1), &slot, &generation), MEMO_OK);
    ck_assert_uint_eq(generation & 1, 1);
    ck_assert_ptr_eq(memo__directory_get(slot, generation), governor(1));
    ck_assert_ptr_null(memo__directory_get(slot, generation + 1));
    ck_assert_ptr_null(memo__directory_get(slot, generation + 2));
    memo__directory_remove(slot);
    ck_assert_ptr_null(memo__directory_get(slot, generation));
    ck_assert_int_eq(memo__directory_add(governor(2), &again, &later), MEMO_OK);
    ck_assert_uint_eq(again, slot); /* the lowest free one */
    ck_assert_uint_gt(later, generation);
    ck_assert_ptr_null(memo__directory_get(slot, generation)); /* of the one before */
    ck_assert_ptr_eq(memo__directory_get(slot, later), governor(2));
    memo__directory_remove(again);
}
END_TEST

START_TEST(nonsense)
{
    ck_assert_ptr_null(memo__directory_get(MEMO__SERVICES_MAX - 1, 1)); /* a chunk that was never made */
    ck_assert_ptr_null(memo__directory_get(MEMO__SERVICES_MAX, 1));
    ck_assert_ptr_null(memo__directory_get(UINT32_MAX, UINT32_MAX));
}
END_TEST

START_TEST(full)
{
    uint32_t *slots = calloc(MEMO__SERVICES_MAX, sizeof *slots), generation, count = 0, more;
    while (count < MEMO__SERVICES_MAX && memo__directory_add(governor(count), &slots[count], &generation) == MEMO_OK) {
        ck_assert_ptr_eq(memo__directory_get(slots[count], generation), governor(count));
        count++;
    }
    ck_assert_uint_eq(count, MEMO__SERVICES_MAX);
    ck_assert_int_eq(memo__directory_add(governor(0), &more, &generation), MEMO_E_NO_MEMORY);
    memo__directory_remove(slots[777]);
    ck_assert_int_eq(memo__directory_add(governor(9), &more, &generation), MEMO_OK);
    ck_assert_uint_eq(more, slots[777]);
    for (uint32_t i = 0; i < count; i++)
        memo__directory_remove(slots[i]);
    free(slots);
}
END_TEST

Suite *suite_call_directory(void);
Suite *suite_call_directory(void)
{
    Suite *s = suite_create("call/directory");
    TCase *t = tcase_create("directory");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, found_and_gone);
    tcase_add_test(t, nonsense);
    tcase_add_test(t, full);
    suite_add_tcase(s, t);
    return s;
}
