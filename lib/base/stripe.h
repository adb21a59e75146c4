/* SPDX-License-Identifier: Apache-2.0 */
/* stripe.h: hot memory that every thread writes to its own copy of.
 *
 * A striped object is one shared part and `count` equal parts, one for each stripe. The first threads of a process own a stripe each
 * (exclusive: plain loads and stores are enough); the rest share a few (atomic additions). A reader adds all parts up. Replay runs on
 * stripe 0, exclusive.
 *
 *   base ->  [ stripe 0 ][ stripe 1 ] ... [ stripe count-1 ]      stride bytes each
 */
#ifndef MEMO__BASE_STRIPE_H
#define MEMO__BASE_STRIPE_H
#include <stddef.h>
#include "base/atomic.h"

#define MEMO__STRIPES_MAX 24 /* 16 exclusive + up to 8 shared: what the sums in hot paths may have to read */

struct memo__stripe { /* which part is mine */
    uint32_t index;
    bool exclusive;
};

struct memo__striped { /* an array of parts */
    unsigned char *base;
    uint32_t stride; /* bytes, a multiple of MEMO__LINE */
    uint32_t count;  /* 1 to MEMO__STRIPES_MAX */
};

#define MEMO__PART(type, striped, i) ((type *)(void *)((striped)->base + (size_t)(i) * (striped)->stride))

/* Adds to a word of a stripe: an exclusive one needs no locked operation. */
static inline void memo__stripe_add32(struct memo__stripe s, uint32_t *word, uint32_t n)
{
    if (s.exclusive)
        memo__own_add32(word, n);
    else
        (void)memo__fetch_add(word, n);
}

static inline void memo__stripe_add64(struct memo__stripe s, uint64_t *word, uint64_t n)
{
    if (s.exclusive)
        memo__own_add64(word, n);
    else
        (void)memo__fetch_add(word, n);
}
#endif
