/* SPDX-License-Identifier: Apache-2.0 */
/* demo_bare.h: the calls as people make them today: libcurl, one handle a thread with its connections kept, plain round robin over the configured
 * addresses, an 800 ms timeout, no retry. */
#ifndef MEMOCTL_DEMO_BARE_H
#define MEMOCTL_DEMO_BARE_H
#include "demo_pool.h"
#include "demo_tally.h"

#define BARE_TIMEOUT_MS 800 /* the same as in the demo's rules */

struct bare_side {
    uint16_t port[INSTANCES];
    uint64_t turn;
    struct book *book;
    struct tally *tally;
};

/* For struct pool; user is a struct bare_side. */
void bare_call(struct pool_worker *w, uint64_t call, void *user);
void bare_leave(struct pool_worker *w);
#endif
