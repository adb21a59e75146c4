/* SPDX-License-Identifier: Apache-2.0 */
/* reader.c: nothing is freed while anybody who may have seen it is inside; everything is freed afterwards. */
#define _GNU_SOURCE
#include "base/reader.h"
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/lock.h"

struct object { struct memo__retired retired; uint64_t content; };

static uint32_t released;
static struct memo__reclaimer reclaimer;

static void release(struct memo__retired *r)
{
    ((struct object *)r)->content = 0; /* so that a reader that is too late sees it, also without a sanitizer */
    released++;
    free(r);
}

static struct object *object(uint64_t content)
{
    struct object *o = calloc(1, sizeof *o);
    ck_assert_ptr_nonnull(o);
    o->content = content;
    return o;
}

START_TEST(freed_when_nobody_is_inside)
{
    ck_assert(!memo__reclaim(&reclaimer));
    for (uint64_t i = 1; i <= 3; i++)
        memo__retire(&reclaimer, &object(i)->retired, release);
    ck_assert(!memo__reclaim(&reclaimer));
    ck_assert_uint_eq(released, 3);
}
END_TEST

START_TEST(sections_nest)
{
    struct memo__reader *r = memo__reader_enter();
    ck_assert_ptr_eq(memo__reader_enter(), r);
    memo__retire(&reclaimer, &object(1)->retired, release);
    ck_assert(memo__reclaim(&reclaimer));           /* we are inside ourselves */
    memo__reader_leave(r);
    ck_assert(memo__reclaim(&reclaimer));
    ck_assert_uint_eq(released, 0);
    memo__reader_leave(r);
    ck_assert(!memo__reclaim(&reclaimer));
    ck_assert_uint_eq(released, 1);
}
END_TEST

/* Threads that enter when told and leave when told. */
struct visitors { struct memo__lock lock; uint32_t inside, leave, left, most; uint32_t exclusive[MEMO__STRIPES_MAX]; bool wrong; };

static void *visit(void *user)
{
    struct visitors *v = user;
    struct memo__reader *r = memo__reader_enter();
    memo__lock_take(&v->lock);
    v->wrong |= r->stripe.index >= memo__stripes_count() || (r->stripe.exclusive && v->exclusive[r->stripe.index]++);
    v->inside++;
    memo__wake(&v->lock);
    while (!v->leave)
        (void)memo__wait(&v->lock, MEMO__NEVER);
    v->leave--;
    memo__lock_drop(&v->lock);
    memo__reader_leave(r);
    memo__lock_take(&v->lock);
    v->left++;
    memo__wake(&v->lock);
    memo__lock_drop(&v->lock);
    return NULL;
}

static void enter_many(struct visitors *v, pthread_t *t, uint32_t n)
{
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 << 10);
    memo__lock_init(&v->lock);
    for (uint32_t i = 0; i < n; i++)
        ck_assert_int_eq(pthread_create(&t[i], &small, visit, v), 0);
    memo__lock_take(&v->lock);
    while (v->inside < n)
        (void)memo__wait(&v->lock, MEMO__NEVER);
    memo__lock_drop(&v->lock);
}

static void let_out(struct visitors *v, uint32_t n)
{
    memo__lock_take(&v->lock);
    uint32_t want = v->left + n;
    v->leave += n;
    memo__wake(&v->lock);
    while (v->left < want)
        (void)memo__wait(&v->lock, MEMO__NEVER);
    memo__lock_drop(&v->lock);
}

/* n readers inside: what is retired stays until the last of them has left; one that came later does not matter, unless it is a guest, which cannot be told from an earlier one. */
static void readers_hold(uint32_t n)
{
    static pthread_t t[MEMO__READERS + 100];
    struct visitors v = { .inside = 0 };
    struct memo__reader *late = NULL;
    enter_many(&v, t, n);
    ck_assert(!v.wrong);                            /* an exclusive stripe has one owner */
    memo__retire(&reclaimer, &object(1)->retired, release);
    ck_assert(memo__reclaim(&reclaimer));
    if (n < MEMO__READERS)
        late = memo__reader_enter();
    let_out(&v, n - 1);
    ck_assert(memo__reclaim(&reclaimer));
    ck_assert_uint_eq(released, 0);
    let_out(&v, 1);
    ck_assert(!memo__reclaim(&reclaimer));
    ck_assert_uint_eq(released, 1);
    if (late)
        memo__reader_leave(late);
    for (uint32_t i = 0; i < n; i++)
        pthread_join(t[i], NULL);
    memo__lock_fini(&v.lock);
}

START_TEST(one_holds) { readers_hold(1); }
END_TEST
START_TEST(ten_hold) { readers_hold(10); }
END_TEST
START_TEST(more_than_the_table_hold) { readers_hold(MEMO__READERS + 50); }
END_TEST

START_TEST(ended_threads_give_their_slots_back)
{
    pthread_t t[40];
    for (int round = 0; round < 20; round++) {      /* 800 threads in a table of 256 */
        struct visitors v = { .inside = 0 };
        enter_many(&v, t, 40);
        ck_assert(!v.wrong);
        let_out(&v, 40);
        for (int i = 0; i < 40; i++)
            pthread_join(t[i], NULL);
        memo__lock_fini(&v.lock);
    }
}
END_TEST

/* Readers borrow while a writer swaps: nobody sees what was freed. */
static struct object *current;
static uint32_t stop, mistakes, borrows;

static void *borrow(void *user)
{
    uint32_t mine = 0;
    (void)user;
    while (!memo__load(&stop)) {
        struct memo__reader *r = memo__reader_enter();
        struct object *o = memo__load_acquire(&current);
        for (int i = 0; i < 5; i++)
            if (memo__load(&o->content) != 42)
                (void)memo__fetch_add(&mistakes, 1);
        memo__reader_leave(r);
        mine++;
    }
    (void)memo__fetch_add(&borrows, mine);
    return NULL;
}

static void swap_under_readers(void)
{
    pthread_t t[3];
    current = object(42);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, borrow, NULL), 0);
    for (int i = 0; i < 20000; i++) {
        struct object *old = current;
        memo__store_release(&current, object(42));
        memo__retire(&reclaimer, &old->retired, release);
        (void)memo__reclaim(&reclaimer);
    }
    memo__store(&stop, 1);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    while (memo__reclaim(&reclaimer))
        ;
    ck_assert_uint_eq(mistakes, 0);
    ck_assert_uint_eq(released, 20000);
    free(current);
}

START_TEST(swapping_under_readers) { swap_under_readers(); }
END_TEST

START_TEST(the_same_without_membarrier)
{
    struct memo__reader *r = memo__reader_enter();
    memo__reader_leave(r);
    memo__store(&memo__reader_fence, 1);
    swap_under_readers();
}
END_TEST

START_TEST(a_child_does_not_wait_for_threads_that_it_has_not)
{
    pthread_t t[5];
    struct visitors v = { .inside = 0 };
    int status;
    struct memo__reader *mine = memo__reader_enter();
    memo__reader_leave(mine);
    enter_many(&v, t, 5);
    memo__retire(&reclaimer, &object(1)->retired, release);
    ck_assert(memo__reclaim(&reclaimer));
    pid_t child = fork();
    if (child == 0) {
        memo__readers_after_fork();
        bool more = memo__reclaim(&reclaimer);
        struct memo__reader *r = memo__reader_enter();
        bool same = r == mine;                      /* the thread that forked keeps its slot, the others' are free */
        memo__reader_leave(r);
        _exit(!more && released == 1 && same ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    let_out(&v, 5);
    for (int i = 0; i < 5; i++)
        pthread_join(t[i], NULL);
    ck_assert(!memo__reclaim(&reclaimer));
    memo__lock_fini(&v.lock);
}
END_TEST

START_TEST(stripes_are_as_many_as_may_be)
{
    ck_assert_uint_ge(memo__stripes_count(), 4);
    ck_assert_uint_le(memo__stripes_count(), MEMO__STRIPES_MAX);
}
END_TEST

static void anew(void) /* also where all tests share one process */
{
    released = stop = mistakes = borrows = 0;
    memo__store(&memo__reader_fence, 0);
}

Suite *suite_base_reader(void);
Suite *suite_base_reader(void)
{
    Suite *s = suite_create("base/reader");
    TCase *c = tcase_create("reader");
    tcase_add_checked_fixture(c, anew, NULL);
    tcase_add_test(c, freed_when_nobody_is_inside);
    tcase_add_test(c, sections_nest);
    tcase_add_test(c, one_holds);
    tcase_add_test(c, ten_hold);
    tcase_add_test(c, more_than_the_table_hold);
    tcase_add_test(c, ended_threads_give_their_slots_back);
    tcase_add_test(c, swapping_under_readers);
    tcase_add_test(c, the_same_without_membarrier);
    tcase_add_test(c, a_child_does_not_wait_for_threads_that_it_has_not);
    tcase_add_test(c, stripes_are_as_many_as_may_be);
    suite_add_tcase(s, c);
    return s;
}
