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
#define LONGEST_WAY (50 * MEMO__US)   /* between the readings of an anchor: some calls of the vDSO and their cache misses, but no interruption */
#define HOLDS_S 4 /* seconds that an anchor is trusted */

struct memo__clock memo__clock_anchor;
const char *memo__clock_source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";

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
/* Does the kernel itself count with it? Then it runs evenly on all processors. Asked anew for each anchor: the kernel's watchdog may find it unstable at any time. */
static bool kernel_uses_tsc(void)
{
    char name[16] = "";
    int fd = open(memo__clock_source, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, name, sizeof name - 1);
    if (fd >= 0)
        (void)close(fd);
    return got > 0 && strcmp(name, "tsc\n") == 0;
}

struct reading { uint64_t tsc; memo__instant ns; int64_t ahead; };

/* All clocks at one moment: of some tries the one with the shortest way from the first reading to the last. `ahead` is too great by at most that way: an age errs on the safe side,
 * but must not do so today and otherwise tomorrow, so a try that was interrupted is none. */
static bool read_all(struct reading *out)
{
    int64_t best = LONGEST_WAY;
    for (int i = 0; i < 5; i++) {
        uint64_t before = __rdtsc();
        memo__instant now = memo__clock_kernel();
        uint64_t after = __rdtsc();
        memo__instant boot = memo__clock_kernel_boot(), end = memo__clock_kernel();
        if (end - now < best) {
            best = end - now;
            *out = (struct reading){ before + (after - before) / 2, now, boot - now };
        }
    }
    return best < LONGEST_WAY;
}

/* Without an anchor the kernel is asked. */
static int64_t let_go(struct memo__clock *c, int64_t again)
{
    memo__store(&c->fresh, 0);
    return again;
}

/* `fresh` goes first and comes last, with a new turn before and behind the rest: a reader who sees anything of the rest finds it 0, or another turn. */
static void write_anchor(struct memo__clock *c, const struct reading *r, uint64_t scale, uint64_t fresh)
{
    uint32_t turn = memo__load(&c->turn);
    (void)memo__exchange(&c->fresh, 0);
    memo__store_release(&c->turn, turn + 1);
    memo__store_release(&c->tsc, r->tsc);
    memo__store_release(&c->scale, scale);
    memo__store_release(&c->ns, r->ns);
    memo__store_release(&c->ahead, r->ahead);
    memo__store_release(&c->turn, turn + 2);
    memo__store_release(&c->fresh, fresh);
}

int64_t memo__clock_calibrate(void)
{
    static struct reading last; /* tsc 0: none */
    struct memo__clock *c = &memo__clock_anchor;
    struct reading now = { 0, 0, 0 };
    if (!kernel_uses_tsc()) {
        last.tsc = 0;
        return let_go(c, 0); /* once unstable, always unstable */
    }
    if (!read_all(&now))
        return FIRST_AFTER; /* the anchor there is holds for some seconds */
    uint64_t ticks = now.tsc - last.tsc;
    int64_t passed = now.ns - last.ns;
    bool usable = last.tsc && passed >= FIRST_AFTER / 2 && passed < 60 * MEMO__S && ticks > (uint64_t)passed / 100 && ticks < (uint64_t)passed * 100;
    last = now;
    if (!usable)
        return let_go(c, FIRST_AFTER);
    uint64_t fresh = (uint64_t)((unsigned __int128)ticks * (HOLDS_S * (uint64_t)MEMO__S) / (uint64_t)passed);
    write_anchor(c, &now, (uint64_t)(((unsigned __int128)(uint64_t)passed << 32) / ticks), ticks / (uint64_t)passed ? fresh : 0);
    return EVERY;
}
#else
int64_t memo__clock_calibrate(void)
{
    return 0;
}
#endif
