/* SPDX-License-Identifier: Apache-2.0 */
/* ring.c: the last records, newest first; a record is whole or not there. */
#include "call/ring.h"
#include <check.h>
#include <memo/status.h>
#include <pthread.h>
#include <string.h>
#include "base/atomic.h"
#include "tests/unit/failing.h"

/* A record that a reader can tell to be whole. */
static struct memo__record record(uint64_t n)
{
    struct memo__record k;
    memset(&k, 0, sizeof k);
    k.id = n;
    k.revision = k.view_revision = n * 3;
    k.begun = (memo__instant)n;
    k.tries[4].start = (uint32_t)n;
    return k;
}

static bool whole(const struct memo__record *k)
{
    return k->revision == k->id * 3 && k->view_revision == k->id * 3 && k->begun == (memo__instant)k->id && k->tries[4].start == (uint32_t)k->id;
}

START_TEST(newest_first)
{
    struct memo__ring r;
    struct memo__record k, got;
    ck_assert_int_eq(memo__ring_init(&memo__alloc_libc, &r, 3), MEMO_OK);
    ck_assert_uint_eq(r.count, 4); /* rounded up */
    ck_assert(!memo__ring_get(&r, 0, &got));
    for (uint64_t i = 1; i <= 6; i++) {
        k = record(i);
        memo__ring_push(&r, &k);
    }
    for (uint32_t i = 0; i < 4; i++) {
        ck_assert(memo__ring_get(&r, i, &got));
        ck_assert_uint_eq(got.id, 6 - i);
        ck_assert(whole(&got));
    }
    ck_assert(!memo__ring_get(&r, 4, &got));
    ck_assert_uint_eq(r.lost, 0);
    memo__ring_fini(&memo__alloc_libc, &r);
}
END_TEST

START_TEST(off)
{
    struct memo__ring r;
    struct memo__record k = record(1);
    ck_assert_int_eq(memo__ring_init(&memo__alloc_libc, &r, 0), MEMO_OK);
    memo__ring_push(&r, &k);
    ck_assert(!memo__ring_get(&r, 0, &k));
    memo__ring_fini(&memo__alloc_libc, &r);
}
END_TEST

START_TEST(bounds)
{
    struct memo__ring r;
    struct failing f;
    failing_init(&f, 1, false);
    ck_assert_int_eq(memo__ring_init(&f.alloc, &r, 64), MEMO_E_NO_MEMORY);
    ck_assert_int_eq(memo__ring_init(&f.alloc, &r, UINT32_MAX), MEMO_OK);
    ck_assert_uint_eq(r.count, 65536);
    memo__ring_fini(&f.alloc, &r);
    failing_done(&f);
}
END_TEST

/* A writer that is still writing: the next one leaves its place alone, a reader does not see it. */
START_TEST(a_place_in_use)
{
    struct memo__ring r;
    struct memo__record k = record(9);
    ck_assert_int_eq(memo__ring_init(&memo__alloc_libc, &r, 1), MEMO_OK);
    memo__ring_push(&r, &k);
    r.places[0].turn++;
    memo__ring_push(&r, &k);
    ck_assert_uint_eq(r.lost, 1);
    ck_assert(!memo__ring_get(&r, 0, &k));
    memo__ring_fini(&memo__alloc_libc, &r);
}
END_TEST

static struct memo__ring shared;
static uint32_t stop, seen, torn;

static void *writer(void *user)
{
    uint64_t base = (uint64_t)(uintptr_t)user << 40;
    for (uint64_t i = 1; i <= 20000; i++) {
        struct memo__record k = record(base + i);
        memo__ring_push(&shared, &k);
    }
    return NULL;
}

static void *reader(void *user)
{
    (void)user;
    struct memo__record k;
    do {
        for (uint32_t i = 0; i < shared.count; i++) {
            if (!memo__ring_get(&shared, i, &k))
                continue;
            (void)memo__fetch_add(&seen, 1);
            if (!whole(&k))
                (void)memo__fetch_add(&torn, 1);
        }
    } while (!memo__load(&stop));
    return NULL;
}

START_TEST(never_torn)
{
    pthread_t t[4];
    ck_assert_int_eq(memo__ring_init(&memo__alloc_libc, &shared, 4), MEMO_OK);
    stop = seen = torn = 0;
    for (uintptr_t i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, i < 3 ? writer : reader, (void *)(i + 1)), 0);
    for (uint32_t i = 0; i < 3; i++)
        (void)pthread_join(t[i], NULL);
    memo__store(&stop, 1);
    (void)pthread_join(t[3], NULL);
    ck_assert_uint_eq(torn, 0);
    ck_assert_uint_gt(seen, 0);
    ck_assert_uint_eq(shared.next, 60000); /* every record claimed a place, lost or not */
    ck_assert_uint_lt(shared.lost, 60000);
    memo__ring_fini(&memo__alloc_libc, &shared);
}
END_TEST

Suite *suite_call_ring(void);
Suite *suite_call_ring(void)
{
    Suite *s = suite_create("call/ring");
    TCase *t = tcase_create("ring");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, newest_first);
    tcase_add_test(t, off);
    tcase_add_test(t, bounds);
    tcase_add_test(t, a_place_in_use);
    tcase_add_test(t, never_torn);
    suite_add_tcase(s, t);
    return s;
}
