/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c: calibration. The scale is measured between two anchors at least 10 ms apart, so a pair that is off by 50 ns is off by 5 ppm at first and by 0.05 ppm from the second minute on. */
#define _GNU_SOURCE
#include "base/clock.h"
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FIRST_AFTER (10 * MEMO__MS)
#define EVERY (1 * MEMO__S)
#define HOLDS_S 4 /* seconds that an anchor is trusted */

struct memo__clock memo__clock_anchor;

memo__instant memo__clock_kernel(void)
{
    struct timespec t = { 0, 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * MEMO__S + t.tv_nsec;
}

memo__instant memo__clock_kernel_boot(void)
{
    struct timespec t = { 0, 0 };
    (void)clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * MEMO__S + t.tv_nsec;
}

#if defined(__x86_64__)
/* Does the kernel itself count with it? Then it runs evenly on all processors. */
static bool kernel_uses_tsc(void)
{
    static int8_t known; /* 0: not asked yet */
    char name[16] = "";
    if (!known) {
        int fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource", O_RDONLY | O_CLOEXEC);
        ssize_t got = fd < 0 ? -1 : read(fd, name, sizeof name - 1);
        if (fd >= 0)
            (void)close(fd);
        known = got > 0 && strcmp(name, "tsc\n") == 0 ? 1 : -1;
    }
    return known > 0;
}

/* Both clocks at one moment: the try with the shortest way between two readings of the counter. */
static void read_both(uint64_t *tsc, memo__instant *ns)
{
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 5; i++) {
        uint64_t before = __rdtsc();
        memo__instant now = memo__clock_kernel();
        uint64_t after = __rdtsc();
        if (after - before < best) {
            best = after - before;
            *tsc = before + best / 2;
            *ns = now;
        }
    }
}

int64_t memo__clock_calibrate(void)
{
    static uint64_t last_tsc;
    static memo__instant last_ns;
    struct memo__clock *c = &memo__clock_anchor;
    uint64_t tsc = 0;
    memo__instant ns = 0;
    if (!kernel_uses_tsc())
        return 0;
    memo__instant monotonic = memo__clock_kernel(), ahead = memo__clock_kernel_boot() - monotonic; /* too great by the time between the two: an age errs on the safe side */
    read_both(&tsc, &ns);
    uint64_t ticks = tsc - last_tsc;
    int64_t passed = ns - last_ns;
    bool usable = last_tsc && passed >= FIRST_AFTER / 2 && passed < 60 * MEMO__S && ticks > (uint64_t)passed / 100 && ticks < (uint64_t)passed * 100;
    last_tsc = tsc;
    last_ns = ns;
    if (!usable) {
        memo__store(&c->turn, memo__load(&c->turn) & ~UINT32_C(1));
        return FIRST_AFTER;
    }
    uint32_t turn = memo__load(&c->turn) & ~UINT32_C(1);
    (void)memo__exchange(&c->turn, turn);
    memo__store_release(&c->tsc, tsc);
    memo__store_release(&c->scale, (uint64_t)(((unsigned __int128)(uint64_t)passed << 32) / ticks));
    memo__store_release(&c->ns, ns);
    memo__store_release(&c->ahead, ahead);
    memo__store_release(&c->fresh, ticks / (uint64_t)passed ? (uint64_t)((unsigned __int128)ticks * (HOLDS_S * (uint64_t)MEMO__S) / (uint64_t)passed) : 0);
    memo__store_release(&c->turn, turn + 3);
    return EVERY;
}
#else
int64_t memo__clock_calibrate(void)
{
    return 0;
}
#endif
