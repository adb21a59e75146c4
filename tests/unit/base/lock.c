/* SPDX-License-Identifier: Apache-2.0 */
/* lock.c: one at a time, woken, and not later than asked. */
#include "base/lock.h"
#include <check.h>
#include <pthread.h>
#include "base/host.h"

struct shared { struct memo__lock lock; int count; bool go, done; };

static void *adds(void *user)
{
    struct shared *x = user;
    for (int i = 0; i < 10000; i++) {
        memo__lock_take(&x->lock);
        x->count++;
        memo__lock_drop(&x->lock);
    }
    return NULL;
}

START_TEST(one_at_a_time)
{
    struct shared x = { .count = 0 };
    pthread_t t[3];
    memo__lock_init(&x.lock);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, adds, &x), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    ck_assert_int_eq(x.count, 30000);
    memo__lock_fini(&x.lock);
}
END_TEST

static void *answers(void *user)
{
    struct shared *x = user;
    memo__lock_take(&x->lock);
    while (!x->go)
        (void)memo__wait(&x->lock, MEMO__NEVER);
    x->done = true;
    memo__wake(&x->lock);
    memo__lock_drop(&x->lock);
    return NULL;
}

START_TEST(waiting_and_waking)
{
    struct shared x = { .count = 0 };
    pthread_t t;
    memo__instant late = memo__after(memo__now(&memo__host_linux), 30 * MEMO__S);
    memo__lock_init(&x.lock);
    ck_assert_int_eq(pthread_create(&t, NULL, answers, &x), 0);
    memo__lock_take(&x.lock);
    x.go = true;
    memo__wake(&x.lock);
    while (!x.done && memo__wait(&x.lock, late))
        ;
    ck_assert(x.done);
    memo__lock_drop(&x.lock);
    pthread_join(t, NULL);
    memo__lock_fini(&x.lock);
}
END_TEST

START_TEST(the_deadline_is_of_the_monotonic_clock)
{
    struct memo__lock lock;
    memo__instant before = memo__now(&memo__host_linux), until = memo__after(before, 5 * MEMO__MS);
    memo__lock_init(&lock);
    memo__lock_take(&lock);
    while (memo__wait(&lock, until))
        ;                                                       /* spurious ones are allowed */
    ck_assert(memo__now(&memo__host_linux) >= until);
    ck_assert(!memo__wait(&lock, 0) && !memo__wait(&lock, -1)); /* long past */
    memo__lock_drop(&lock);
    memo__lock_fini(&lock);
}
END_TEST

START_TEST(a_static_one)
{
    static struct memo__lock lock = MEMO__LOCK_STATIC;
    memo__lock_take(&lock);
    memo__wake(&lock);
    memo__lock_drop(&lock);
}
END_TEST

Suite *suite_base_lock(void);
Suite *suite_base_lock(void)
{
    Suite *s = suite_create("base/lock");
    TCase *c = tcase_create("lock");
    tcase_add_test(c, one_at_a_time);
    tcase_add_test(c, waiting_and_waking);
    tcase_add_test(c, the_deadline_is_of_the_monotonic_clock);
    tcase_add_test(c, a_static_one);
    suite_add_tcase(s, c);
    return s;
}
