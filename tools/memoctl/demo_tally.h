/* SPDX-License-Identifier: Apache-2.0 */
/* demo_tally.h: what the calls of one client did, in the running second and in the running scene. */
#ifndef MEMOCTL_DEMO_TALLY_H
#define MEMOCTL_DEMO_TALLY_H
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "demo_book.h"

#define TALLY_TIMES 65536 /* latencies kept: more than the longest scene has calls; later ones are not */

enum call_end { CALL_OK, CALL_FAILED, CALL_LIMITED, CALL_OPEN, CALL_REFUSED /* for another reason */, CALL_ENDS };

struct call_result {
    enum call_end end;
    bool canary;                     /* it carried x-canary: 1 */
    uint32_t us;
    uint32_t attempts[INSTANCES];    /* to whom */
    uint32_t attempts_all;           /* and in all */
};

struct sums {
    uint32_t calls, end[CALL_ENDS], retried, attempts_all, attempts[INSTANCES];
    uint32_t canary, canary_strayed; /* calls with the header; those of them with an attempt not at v2 */
    uint32_t times_count, refused_us_most;
    uint32_t times[TALLY_TIMES];     /* microseconds of calls that were not refused */
};

struct tally {
    pthread_mutex_t lock;
    struct sums second, scene;
};

void tally_init(struct tally *t);
void tally_fini(struct tally *t);
void tally_add(struct tally *t, const struct call_result *r);
/* Copies and begins anew. */
void tally_take_second(struct tally *t, struct sums *out);
void tally_take_scene(struct tally *t, struct sums *out);
/* The time in microseconds that `percent` of the calls did not exceed; 0 if there were none. Sorts the times. */
uint32_t sums_percentile(struct sums *s, uint32_t percent);
uint32_t sums_refused(const struct sums *s);
#endif
