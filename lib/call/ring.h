/* SPDX-License-Identifier: Apache-2.0 */
/* ring.h: the last calls that were refused, failed or slow, for somebody who asks afterwards.
 *
 * A bounded ring of records. Any thread pushes without waiting: it claims a place, and leaves it alone if somebody else is still writing there (one record less, counted). A reader copies a place and keeps the
 * copy only if nothing was written meanwhile. */
#ifndef MEMO__CALL_RING_H
#define MEMO__CALL_RING_H
#include "base/alloc.h"
#include "call/record.h"

struct memo__ring_place { uint64_t turn; struct memo__record record; }; /* odd: being written */

struct memo__ring {
    uint64_t next;      /* places claimed so far */
    uint64_t lost;      /* records that met a writer */
    uint32_t count;     /* places, a power of two; 0: the ring is off */
    struct memo__ring_place *places;
};

int32_t memo__ring_init(const struct memo__alloc *a, struct memo__ring *r, uint32_t count); /* rounded up to a power of two; memo_status */
void memo__ring_fini(const struct memo__alloc *a, struct memo__ring *r);
void memo__ring_push(struct memo__ring *r, const struct memo__record *k);
/* The i-th last, from 0; false if there is none, or it is being overwritten. */
bool memo__ring_get(const struct memo__ring *r, uint32_t i, struct memo__record *out);
#endif
