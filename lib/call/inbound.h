/* SPDX-License-Identifier: Apache-2.0 */
/* inbound.h: what the call room adds to <memo/inbound.h>: the requests that this process receives, decided by a governor that has no endpoints.
 *
 *   enter:  context out of the headers -> deadline -> shed -> limits, concurrency       (clock read once)
 *   leave:  permits back, latency taught, counters                                      (clock read once)
 *
 * The governor is found again by slot and ticket, as for calls; permits by the ids of their organs: what a reload has replaced takes nothing back. */
#ifndef MEMO__CALL_INBOUND_H
#define MEMO__CALL_INBOUND_H
#include <memo/inbound.h>
#include "call/governor.h"

enum memo__entry_phase { MEMO__ENTRY_NONE = 0, MEMO__ENTRY_IN, MEMO__ENTRY_REFUSED, MEMO__ENTRY_LEFT };

struct memo__entry { /* inside memo_inbound */
    uint64_t ticket;
    memo__instant begun;
    uint32_t slot;
    uint32_t bulkhead, shed;        /* organs that a permit is of, 0: none */
    int32_t status;
    int64_t retry_after;            /* ns */
    uint32_t phase;
    uint32_t later[19];             /* zero until it has a meaning */
};
_Static_assert(sizeof(struct memo__entry) == sizeof((memo_inbound *)0)->opaque, "memo_inbound is frozen at 384 bytes");

static inline struct memo__entry *memo__entry_of(memo_inbound *i)
{
    return (struct memo__entry *)(void *)i->opaque;
}

/* g: its plan is NULL before the client's start; then w alone is looked at. */
memo_status memo__inbound_enter(memo_inbound *i, struct memo__governor *g, const struct memo__world *w, const memo_inbound_facts *f);
#endif
