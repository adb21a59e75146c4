/* SPDX-License-Identifier: Apache-2.0 */
/* directory.c: a slot and a ticket find their governor, and nobody else's. */
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
    uint32_t slot, again;
    uint64_t ticket, later;
    ck_assert_int_eq(memo__directory_add(governor(1), 1, &slot, &ticket), MEMO_OK);
    ck_assert_uint_eq(ticket >> 32 & 1, 1);
    ck_assert_uint_eq((uint32_t)ticket, MEMO__SEAL + 1);
    ck_assert_ptr_eq(memo__directory_get(slot, ticket), governor(1));
    ck_assert_ptr_null(memo__directory_get(slot, ticket + (UINT64_C(1) << 32)));
    ck_assert_ptr_null(memo__directory_get(slot, ticket + (UINT64_C(2) << 32)));
    memo__directory_remove(slot);
    ck_assert_ptr_null(memo__directory_get(slot, ticket));
    ck_assert_int_eq(memo__directory_add(governor(2), 1, &again, &later), MEMO_OK);
    ck_assert_uint_eq(again, slot); /* the lowest free one */
    ck_assert_uint_gt(later, ticket);
    ck_assert_ptr_null(memo__directory_get(slot, ticket)); /* of the one before */
    ck_assert_ptr_eq(memo__directory_get(slot, later), governor(2));
    memo__directory_remove(again);
}
END_TEST

/* Who was forked begins its own calls; those of its parent may be looked at, but do not go on. */
START_TEST(resealed)
{
    uint32_t slot;
    uint64_t parents, own;
    ck_assert_int_eq(memo__directory_add(governor(1), 1, &slot, &parents), MEMO_OK);
    own = memo__directory_reseal(slot, 2);
    ck_assert_uint_eq(own >> 32, parents >> 32);
    ck_assert_ptr_eq(memo__directory_get(slot, own), governor(1));
    ck_assert_ptr_null(memo__directory_get(slot, parents));
    ck_assert_ptr_eq(memo__directory_find(slot, parents), governor(1));
    memo__directory_remove(slot);
    ck_assert_ptr_null(memo__directory_get(slot, own));
    ck_assert_ptr_null(memo__directory_find(slot, parents));
}
END_TEST

START_TEST(nonsense)
{
    ck_assert_ptr_null(memo__directory_get(MEMO__SERVICES_MAX - 1, 1)); /* a chunk that was never made */
    ck_assert_ptr_null(memo__directory_get(MEMO__SERVICES_MAX, 1));
    ck_assert_ptr_null(memo__directory_get(UINT32_MAX, UINT64_MAX));
    ck_assert_ptr_null(memo__directory_get(0, 0)); /* a call that was never begun */
}
END_TEST

START_TEST(full)
{
    uint32_t *slots = calloc(MEMO__SERVICES_MAX, sizeof *slots), count = 0, more;
    uint64_t ticket;
    while (count < MEMO__SERVICES_MAX && memo__directory_add(governor(count), 1, &slots[count], &ticket) == MEMO_OK) {
        ck_assert_ptr_eq(memo__directory_get(slots[count], ticket), governor(count));
        count++;
    }
    ck_assert_uint_eq(count, MEMO__SERVICES_MAX);
    ck_assert_int_eq(memo__directory_add(governor(0), 1, &more, &ticket), MEMO_E_NO_MEMORY);
    memo__directory_remove(slots[777]);
    ck_assert_int_eq(memo__directory_add(governor(9), 1, &more, &ticket), MEMO_OK);
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
    tcase_add_test(t, resealed);
    tcase_add_test(t, nonsense);
    tcase_add_test(t, full);
    suite_add_tcase(s, t);
    return s;
}
