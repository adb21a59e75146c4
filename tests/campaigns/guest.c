/* SPDX-License-Identifier: Apache-2.0 */
/* guest.c: a good guest leaves the house as it was: signals, masks, descriptors, threads.
 *
 * guest [cycles]: so many clients are started, used through both doors and freed; prints figures. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "campaign.h"
#include "tests/unit/process.h"

static void actions(struct sigaction *all)
{
    memset(all, 0, 65 * sizeof *all);
    for (int i = 1; i <= 64; i++)
        (void)sigaction(i, NULL, &all[i]);
}

static bool same(const struct sigaction *a, const struct sigaction *b)
{
    return a->sa_handler == b->sa_handler && a->sa_flags == b->sa_flags && memcmp(&a->sa_mask, &b->sa_mask, 8) == 0; /* the kernel's 64 bits: libc fills no more */
}

static void cycle(long i)
{
    memo_client *c = campaign_client(i % 3 ? NULL : campaign_path("rules.json"));
    memo_registration *r = i % 5 ? NULL : campaign_register(c, "todo", "mine");
    memo_service *s = campaign_service(c, "todo", r ? 2 : 1);
    MUST(campaign_call(s, 200, NULL) == MEMO_OK);
    MUST(campaign_get(s) == MEMO_OK);
    MUST(process_threads(NULL) == 1);
    memo_service_release(s);
    if (r && i % 2)
        MUST(memo_registration_withdraw(r, 20000, NULL) == MEMO_OK);
    memo_registration_free(r);
    memo_client_free(c);
}

int main(int argc, char **argv)
{
    long cycles = argc > 1 ? atol(argv[1]) : 20, changed = 0;
    struct sigaction before[65], after[65];
    sigset_t mask, later;
    (void)campaign_dir();
    (void)campaign_server();
    actions(before);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    memo_client *keeper = campaign_client(NULL); /* one that stays, so that there is somebody to call */
    memo_registration *r = campaign_register(keeper, "todo", "stays");
    for (int i = 0; i < 3; i++)
        cycle(i); /* what is made once in a process, is now */
    int open_before;
    do { /* what was on its way out when they were counted is not to hide a leak */
        open_before = process_descriptors();
        cycle(0);
    } while (campaign_leaked(open_before) < 0);
    for (long i = 0; i < cycles; i++)
        cycle(i);
    int leaked = campaign_leaked(open_before);
    MUST(leaked == 0);
    memo_registration_free(r);
    memo_client_free(keeper);
    double until = campaign_now() + 5;
    while (process_threads(NULL) && campaign_now() < until) /* pthread_join returns a moment before the kernel strikes the thread off the list */
        campaign_pause(0.001);
    MUST(process_threads(NULL) == 0);
    actions(after);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &later);
    for (int i = 1; i <= 64; i++)
        changed += !same(&before[i], &after[i]);
    changed += memcmp(&mask, &later, 8) != 0;
    MUST(changed == 0);
    (void)printf("figure guest_cycles %ld clients\nfigure guest_leaked_descriptors %d descriptors\nfigure guest_changed_signals %ld signals\n", cycles, leaked, changed);
    return campaign_end();
}
