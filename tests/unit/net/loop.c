/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c: timers on a clock of our own, descriptors and posts, in one turn at a time. */
#define _GNU_SOURCE
#include "net/loop.h"
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <memo/status.h>
#include "base/atomic.h"
#include "base/rng.h"
#include "tests/unit/failing.h"
#include "tests/unit/net/child.h"

Suite *suite_net_loop(void);

static struct memo__host host;
static memo__instant clock_ns;
static struct memo__loop *loop;

static memo__instant my_now(void *user)
{
    (void)user;
    return clock_ns;
}

static void setup(void)
{
    host = memo__host_linux;
    host.now = my_now;
    clock_ns = 1000 * MEMO__S;
    ck_assert_int_eq(memo__loop_new(&memo__alloc_libc, &host, &loop), MEMO_OK);
}

static void teardown(void) { memo__loop_free(loop); }

static void turn(int64_t ns)
{
    clock_ns += ns;
    ck_assert_int_eq(memo__loop_step(loop, 0), MEMO_OK);
}

/* Is there work, as a host's own loop would see it? */
static bool readable(int wait_ms)
{
    struct pollfd p = { .fd = memo__loop_fd(loop), .events = POLLIN };
    return poll(&p, 1, wait_ms) == 1;
}

/* ---- timers ---- */

struct tick { struct memo__timer timer; memo__instant came; int times; };

static void tick(struct memo__timer *t, void *user)
{
    struct tick *k = user;
    ck_assert_ptr_eq(t, &k->timer);
    ck_assert_int_eq(memo__loop_now(loop), clock_ns);
    k->came = clock_ns;
    k->times++;
}

START_TEST(a_timer_comes_when_it_is_due)
{
    struct tick k = { .times = 0 };
    ck_assert_int_eq(memo__loop_due(loop), MEMO__NEVER);
    ck_assert_int_eq(memo__timer_start(loop, &k.timer, clock_ns + 100, tick, &k), MEMO_OK);
    ck_assert_int_eq(memo__loop_due(loop), clock_ns + 100);
    turn(99);
    ck_assert_int_eq(k.times, 0);
    turn(1);
    ck_assert_int_eq(k.times, 1);
    ck_assert_int_eq(memo__loop_due(loop), MEMO__NEVER);
    turn(1000);
    ck_assert_int_eq(k.times, 1);
    ck_assert_ptr_eq(memo__loop_host(loop), &host);
}
END_TEST

START_TEST(a_started_timer_can_be_moved_and_stopped)
{
    struct tick k = { .times = 0 };
    ck_assert_int_eq(memo__timer_start(loop, &k.timer, clock_ns + 100, tick, &k), MEMO_OK);
    ck_assert_int_eq(memo__timer_start(loop, &k.timer, clock_ns + 200, tick, &k), MEMO_OK);
    turn(150);
    ck_assert_int_eq(k.times, 0);
    ck_assert_int_eq(memo__timer_start(loop, &k.timer, clock_ns + 10, tick, &k), MEMO_OK);
    turn(10);
    ck_assert_int_eq(k.times, 1);
    ck_assert_int_eq(memo__timer_start(loop, &k.timer, clock_ns + 10, tick, &k), MEMO_OK);
    memo__timer_stop(loop, &k.timer);
    memo__timer_stop(loop, &k.timer);
    turn(1000);
    ck_assert_int_eq(k.times, 1);
}
END_TEST

/* A thousand timers, moved and stopped at random, against the plain truth. */
START_TEST(many_timers_come_in_order)
{
    enum { N = 1000 };
    static struct tick k[N];
    static memo__instant want[N];
    uint64_t draw = 7;
    memo__instant start = clock_ns;
    memset(k, 0, sizeof k);
    for (int i = 0; i < 5 * N; i++) {
        uint32_t at = memo__draw_below(memo__draw_next(&draw), N);
        want[at] = start + 1 + memo__draw_below(memo__draw_next(&draw), 10000);
        if (memo__draw_below(memo__draw_next(&draw), 4) == 0) {
            memo__timer_stop(loop, &k[at].timer);
            want[at] = 0;
        } else {
            ck_assert_int_eq(memo__timer_start(loop, &k[at].timer, want[at], tick, &k[at]), MEMO_OK);
        }
    }
    for (int i = 0; i < 1000; i++) {
        int wrong = 0;
        turn(10);
        for (int j = 0; j < N; j++)
            wrong += k[j].times != (want[j] && want[j] <= clock_ns);
        ck_assert_int_eq(wrong, 0);
    }
}
END_TEST

static void again_at_once(struct memo__timer *t, void *user)
{
    int *times = user;
    ++*times;
    ck_assert_int_eq(memo__timer_start(loop, t, memo__loop_now(loop), again_at_once, user), MEMO_OK);
}

START_TEST(a_timer_that_restarts_itself_does_not_hold_the_turn)
{
    struct memo__timer t = { .place = 0 };
    int times = 0;
    ck_assert_int_eq(memo__timer_start(loop, &t, clock_ns, again_at_once, &times), MEMO_OK);
    turn(0);
    turn(0);
    ck_assert_int_eq(times, 2);
    memo__timer_stop(loop, &t);
}
END_TEST

static struct tick *victim;

static void stop_victim(struct memo__timer *t, void *user)
{
    (void)t, (void)user;
    memo__timer_stop(loop, &victim->timer);
}

START_TEST(a_timer_may_stop_another_that_is_due)
{
    struct memo__timer first = { .place = 0 };
    struct tick second = { .times = 0 };
    victim = &second;
    ck_assert_int_eq(memo__timer_start(loop, &first, clock_ns + 1, stop_victim, NULL), MEMO_OK);
    ck_assert_int_eq(memo__timer_start(loop, &second.timer, clock_ns + 2, tick, &second), MEMO_OK);
    turn(10);
    ck_assert_int_eq(second.times, 0);
}
END_TEST

/* With the real clock: a host that polls the descriptor alone learns of timers. */
START_TEST(the_descriptor_tells_of_timers)
{
    struct tick k = { .times = 0 };
    memo__loop_free(loop);
    ck_assert_int_eq(memo__loop_new(&memo__alloc_libc, &memo__host_linux, &loop), MEMO_OK);
    ck_assert(!readable(0));
    ck_assert_int_eq(memo__timer_start(loop, &k.timer, memo__now(&memo__host_linux) + 20 * MEMO__MS, again_at_once, &k.times), MEMO_OK);
    ck_assert(readable(5000));
    ck_assert_int_eq(memo__loop_step(loop, 0), MEMO_OK);
    ck_assert_int_eq(k.times, 1);
    memo__timer_stop(loop, &k.timer);
}
END_TEST

/* ---- descriptors ---- */

struct watch { struct memo__io io; int fd, times; uint32_t ready; struct watch *other; };

static void seen(struct memo__io *io, uint32_t ready, void *user)
{
    struct watch *w = user;
    ck_assert_ptr_eq(io, &w->io);
    w->ready = ready;
    w->times++;
    if (w->other)
        memo__io_stop(loop, &w->other->io);
}

static void watch_start(struct watch *w, uint32_t wanted)
{
    *w = (struct watch){ .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) };
    ck_assert_int_eq(memo__io_start(loop, &w->io, w->fd, wanted, seen, w), MEMO_OK);
}

static void make_ready(struct watch *w)
{
    uint64_t one = 1;
    ck_assert_int_eq(write(w->fd, &one, sizeof one), sizeof one);
}

START_TEST(a_ready_descriptor_is_told)
{
    struct watch w;
    watch_start(&w, EPOLLIN);
    turn(0);
    ck_assert_int_eq(w.times, 0);
    make_ready(&w);
    ck_assert(readable(0));
    turn(0);
    turn(0); /* it stays ready: told again */
    ck_assert_int_eq(w.times, 2);
    ck_assert_uint_eq(w.ready, EPOLLIN);
    ck_assert_int_eq(memo__io_change(loop, &w.io, EPOLLOUT), MEMO_OK);
    turn(0);
    ck_assert_uint_eq(w.ready, EPOLLOUT);
    ck_assert_int_eq(memo__io_change(loop, &w.io, 0), MEMO_OK);
    turn(0);
    ck_assert_int_eq(w.times, 3);
    memo__io_stop(loop, &w.io);
    memo__io_stop(loop, &w.io);
    ck_assert_int_eq(memo__io_change(loop, &w.io, EPOLLIN), MEMO_E_STATE);
    turn(0);
    ck_assert_int_eq(w.times, 3);
    close(w.fd);
}
END_TEST

/* Both are in one batch; whichever comes first stops the other, which is then not called. */
START_TEST(a_stopped_one_is_not_called_in_the_same_turn)
{
    struct watch a, b;
    watch_start(&a, EPOLLIN);
    watch_start(&b, EPOLLIN);
    a.other = &b;
    b.other = &a;
    make_ready(&a);
    make_ready(&b);
    turn(0);
    ck_assert_int_eq(a.times + b.times, 1);
    close(a.fd);
    close(b.fd);
    memo__io_stop(loop, &a.io); /* closed first: allowed */
    memo__io_stop(loop, &b.io);
}
END_TEST

START_TEST(a_bad_descriptor_is_an_answer)
{
    struct memo__io io = { .fd = -1 };
    ck_assert_int_eq(memo__io_start(loop, &io, -1, EPOLLIN, seen, NULL), MEMO_E_IO);
    ck_assert(!io.on);
    memo__io_stop(loop, &io);
}
END_TEST

/* ---- posts ---- */

struct letter { struct memo__post post; int *order, times; };

static void opened(struct memo__post *p)
{
    struct letter *l = (struct letter *)p;
    l->times = ++*l->order;
}

START_TEST(posts_come_in_order_and_once)
{
    int order = 0;
    struct letter a = { .order = &order }, b = { .order = &order };
    memo__loop_post(loop, &a.post, opened);
    memo__loop_post(loop, &b.post, opened);
    memo__loop_post(loop, &a.post, opened);
    ck_assert(readable(0));
    turn(0);
    ck_assert_int_eq(a.times, 1);
    ck_assert_int_eq(b.times, 2);
    ck_assert(!readable(0));
    memo__loop_post(loop, &a.post, opened);
    turn(0);
    ck_assert_int_eq(a.times, 3);
}
END_TEST

START_TEST(a_wake_is_a_turn)
{
    memo__loop_wake(loop);
    memo__loop_wake(loop);
    ck_assert_int_eq(memo__loop_step(loop, MEMO__NEVER), MEMO_OK);
    ck_assert(!readable(0));
}
END_TEST

enum { THREADS = 4, EACH = 2000 };
struct stamp { struct memo__post post; uint32_t came, posted; };

static void stamped(struct memo__post *p)
{
    memo__store_release(&((struct stamp *)p)->came, ((struct stamp *)p)->came + 1);
}

static void *poster(void *user)
{
    struct stamp *s = user;
    for (int i = 0; i < EACH; i++) {
        uint32_t before = memo__load_acquire(&s->came);
        memo__loop_post(loop, &s->post, stamped);
        while (memo__load_acquire(&s->came) == before)
            sched_yield();
    }
    memo__store_release(&s->posted, 1u);
    memo__loop_wake(loop);
    return NULL;
}

/* None is lost: each thread waits for its post to come before it sends it again, and the driver sleeps without a limit. */
START_TEST(no_post_of_any_thread_is_lost)
{
    pthread_t t[THREADS];
    static struct stamp s[THREADS];
    uint32_t done = 0;
    memset(s, 0, sizeof s);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, poster, &s[i]), 0);
    while (done < THREADS) {
        ck_assert_int_eq(memo__loop_step(loop, MEMO__NEVER), MEMO_OK);
        done = 0;
        for (int i = 0; i < THREADS; i++)
            done += memo__load_acquire(&s[i].posted);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(t[i], NULL);
        ck_assert_uint_eq(s[i].came, EACH);
    }
}
END_TEST

static void step_within(struct memo__timer *t, void *user)
{
    (void)t;
    *(int32_t *)user = memo__loop_step(loop, 0);
}

START_TEST(a_turn_within_a_turn_is_refused)
{
    struct memo__timer t = { .place = 0 };
    int32_t s = MEMO_OK;
    ck_assert_int_eq(memo__timer_start(loop, &t, clock_ns, step_within, &s), MEMO_OK);
    turn(0);
    ck_assert_int_eq(s, MEMO_E_STATE);
}
END_TEST

/* ---- fork ---- */

/* The child has the numbers, and its changes do not reach the parent's epoll. */
START_TEST(a_forked_child_has_a_loop_of_its_own)
{
    struct watch w;
    struct tick k = { .times = 0 };
    int order = 0, status, fd = memo__loop_fd(loop);
    struct letter l = { .order = &order };
    watch_start(&w, EPOLLIN);
    ck_assert_int_eq(memo__timer_start(loop, &k.timer, clock_ns + 5, tick, &k), MEMO_OK);
    memo__loop_post(loop, &l.post, opened);
    pid_t child = fork();
    if (child == 0) {
        bool good = memo__loop_after_fork(loop) == MEMO_OK && memo__loop_fd(loop) == fd;
        turn(0);
        good = good && order == 0; /* the post was the parent's */
        memo__loop_post(loop, &l.post, opened);
        make_ready(&w); /* the eventfd itself is shared */
        turn(5);
        good = good && order == 1 && w.times == 1 && k.times == 1;
        memo__io_stop(loop, &w.io);
        child_ends(good);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    turn(5);
    ck_assert_int_eq(order, 1);
    ck_assert_int_eq(w.times, 1);
    ck_assert_int_eq(k.times, 1);
    close(w.fd);
}
END_TEST

START_TEST(without_memory_it_says_so)
{
    struct failing f;
    long n = 0;
    do {
        struct tick k[40] = { { .times = 0 } };
        struct memo__loop *l = NULL;
        failing_init(&f, ++n, _i);
        int32_t s = memo__loop_new(&f.alloc, &host, &l);
        for (int i = 0; i < 40 && s == MEMO_OK; i++)
            s = memo__timer_start(l, &k[i].timer, clock_ns, tick, &k[i]);
        ck_assert_int_eq(s, f.failed ? MEMO_E_NO_MEMORY : MEMO_OK);
        memo__loop_free(l);
        failing_done(&f);
    } while (f.failed);
    ck_assert_int_ge(n, 4);
}
END_TEST

Suite *suite_net_loop(void)
{
    Suite *s = suite_create("net/loop");
    TCase *t = tcase_create("loop");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_timer_comes_when_it_is_due);
    tcase_add_test(t, a_started_timer_can_be_moved_and_stopped);
    tcase_add_test(t, many_timers_come_in_order);
    tcase_add_test(t, a_timer_that_restarts_itself_does_not_hold_the_turn);
    tcase_add_test(t, a_timer_may_stop_another_that_is_due);
    tcase_add_test(t, the_descriptor_tells_of_timers);
    tcase_add_test(t, a_ready_descriptor_is_told);
    tcase_add_test(t, a_stopped_one_is_not_called_in_the_same_turn);
    tcase_add_test(t, a_bad_descriptor_is_an_answer);
    tcase_add_test(t, posts_come_in_order_and_once);
    tcase_add_test(t, a_wake_is_a_turn);
    tcase_add_test(t, no_post_of_any_thread_is_lost);
    tcase_add_test(t, a_turn_within_a_turn_is_refused);
    tcase_add_test(t, a_forked_child_has_a_loop_of_its_own);
    tcase_add_loop_test(t, without_memory_it_says_so, 0, 2);
    suite_add_tcase(s, t);
    return s;
}
