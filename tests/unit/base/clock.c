/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c: whatever the processor can do, it is the kernel's monotonic clock that is told. */
#include "base/clock.h"
#include <check.h>
#include <stdlib.h>
#include <unistd.h>

/* Between two readings of the kernel, up to what an anchor may be off. */
static void check_now(void)
{
    for (int i = 0; i < 1000; i++) {
        memo__instant before = memo__clock_kernel(), now = memo__clock_now(), after = memo__clock_kernel();
        ck_assert_msg(now >= before - MEMO__MS && now <= after + MEMO__MS, "%lld is not between %lld and %lld", (long long)now, (long long)before, (long long)after);
        memo__instant earlier = memo__clock_kernel_boot(), told, same = memo__clock_both(&told), later = memo__clock_kernel_boot();
        ck_assert(same >= after - MEMO__MS && same <= memo__clock_kernel() + MEMO__MS);
        ck_assert_msg(told >= earlier - MEMO__MS && told <= later + MEMO__MS, "%lld is not between %lld and %lld", (long long)told, (long long)earlier, (long long)later);
    }
}

static void pass(int64_t ns)
{
    memo__instant until = memo__after(memo__clock_kernel(), ns);
    while (!memo__reached(memo__clock_kernel(), until))
        ;
}

START_TEST(without_an_anchor_the_kernel_is_asked)
{
    memo__clock_anchor.fresh = 0;
    memo__instant a = memo__clock_kernel(), b = memo__clock_now(), c = memo__clock_kernel();
    ck_assert(a <= b && b <= c);
}
END_TEST

START_TEST(calibrated)
{
    int64_t again = memo__clock_calibrate();
    check_now();
    for (int i = 0; again && i < 3; i++) {
        pass(10 * MEMO__MS);
        again = memo__clock_calibrate();
        check_now();
    }
    ck_assert(again == 0 || memo__clock_anchor.fresh); /* 0: this machine's kernel counts with something else */
}
END_TEST

START_TEST(an_old_anchor_is_not_trusted)
{
    if (memo__clock_calibrate() == 0)
        return;
    pass(10 * MEMO__MS);
    ck_assert_int_gt(memo__clock_calibrate(), 0);
    memo__clock_anchor.ns += 3600 * MEMO__S;               /* wrong by an hour: seen only if it is used */
    ck_assert(memo__clock_now() > memo__clock_kernel() + MEMO__S);
    memo__clock_anchor.fresh = 0;
    ck_assert(memo__clock_now() < memo__clock_kernel() + MEMO__S);
}
END_TEST

/* The kernel's watchdog may find the counter unstable after years: from the next anchor on it is not ours either. */
START_TEST(a_counter_that_the_kernel_gives_up_is_given_up)
{
    char other[] = "/tmp/memo-clock-XXXXXX";
    const char *real = memo__clock_source;
    if (memo__clock_calibrate() == 0)
        return;
    pass(10 * MEMO__MS);
    ck_assert_int_gt(memo__clock_calibrate(), 0);
    int fd = mkstemp(other);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "hpet\n", 5), 5);
    close(fd);
    memo__clock_source = other;
    ck_assert_int_eq(memo__clock_calibrate(), 0);
    memo__clock_source = real;
    unlink(other);
    ck_assert_uint_eq(memo__clock_anchor.fresh, 0);
    check_now();
}
END_TEST

/* What turns MONOTONIC into BOOTTIME must be the same for every anchor, or an age is told too small by the difference. */
START_TEST(anchors_agree_about_the_time_asleep)
{
    int64_t least = INT64_MAX, most = INT64_MIN;
    for (int i = 0; i < 20; i++) {
        if (memo__clock_calibrate() == 0)
            return;
        pass(6 * MEMO__MS);
        if (memo__clock_anchor.fresh) {
            least = memo__clock_anchor.ahead < least ? memo__clock_anchor.ahead : least;
            most = memo__clock_anchor.ahead > most ? memo__clock_anchor.ahead : most;
        }
    }
    ck_assert_int_le(most - least, 50 * MEMO__US);
}
END_TEST

Suite *suite_base_clock(void);
Suite *suite_base_clock(void)
{
    Suite *s = suite_create("base/clock");
    TCase *c = tcase_create("clock");
    tcase_add_test(c, without_an_anchor_the_kernel_is_asked);
    tcase_add_test(c, calibrated);
    tcase_add_test(c, an_old_anchor_is_not_trusted);
    tcase_add_test(c, a_counter_that_the_kernel_gives_up_is_given_up);
    tcase_add_test(c, anchors_agree_about_the_time_asleep);
    suite_add_tcase(s, c);
    return s;
}
