/* SPDX-License-Identifier: Apache-2.0 */
/* limiter.h: a token bucket: at most burst at once, and rate in the long run.
 *
 * The centre is one word, the time at which the bucket was empty, in 1/16 ns (the generic cell rate algorithm, ITU-T I.371, seen from the other
 * side): tokens = (now - empty) / interval, at most burst. Taking n moves it n intervals on. Stripes lease batches of burst / 32 tokens; with a
 * batch of 1 (burst < 64) nothing is leased and the centre alone decides, exactly.
 *
 * Never above burst + rate * t, in any window: what may flow into the centre is limited to burst less what is leased, and less what may have been
 * leased and was consumed unseen meanwhile. See limiter.c.
 *
 * The rule is read at init only (its shape is kept here): a rule of another count, period or burst needs a limiter of its own. */
#ifndef MEMO__POLICY_LIMITER_H
#define MEMO__POLICY_LIMITER_H
#include "model/rules.h"
#include "policy/lease.h"

struct memo__limiter {
    int64_t empty;         /* 1/16 ns */
    memo__instant touched; /* when it was last moved, or earlier */
    uint64_t unused_line[6];
    int64_t interval; /* 1/16 ns a token, rounded up */
    int64_t capacity; /* burst * interval */
    uint64_t burst;
    uint32_t batch;
    uint32_t unused;
    uint64_t unused_rest[4];
};

struct memo__limiter_facts {
    uint64_t tokens;     /* left: centre and leases */
    uint64_t burst;
    int64_t retry_after; /* ns until a token is there; 0 if there is one */
};

void memo__limiter_init(struct memo__limiter *l, const struct memo__striped *parts, const struct memo__limit_rule *rule);
bool memo__limiter_same(const struct memo__limiter *l, const struct memo__limit_rule *rule); /* was it made for this shape? */
bool memo__limiter_check_slow(const struct memo__limiter *l, const struct memo__striped *parts, memo__instant now);
bool memo__limiter_take_slow(struct memo__limiter *l, const struct memo__striped *parts, struct memo__stripe stripe, memo__instant now);
/* Gives a token back that was taken and not used. */
void memo__limiter_give(struct memo__limiter *l, const struct memo__striped *parts, struct memo__stripe stripe);
void memo__limiter_read(const struct memo__limiter *l, const struct memo__striped *parts, memo__instant now, struct memo__limiter_facts *out);

/* A peek: is there a token anywhere? */
static inline bool memo__limiter_check(const struct memo__limiter *l, const struct memo__striped *parts, struct memo__stripe stripe, memo__instant now)
{
    return memo__load(&memo__lease_at(parts, stripe.index)->held) > 0 || memo__limiter_check_slow(l, parts, now);
}

static inline bool memo__limiter_take(struct memo__limiter *l, const struct memo__striped *parts, struct memo__stripe stripe, memo__instant now)
{
    struct memo__lease_part *own = memo__lease_at(parts, stripe.index);
    if (memo__load(&own->held) == 0)
        return memo__limiter_take_slow(l, parts, stripe, now);
    memo__store(&own->used_at, now); /* before the token goes: who sees it gone must see when */
    return memo__lease_take(&own->held) || memo__limiter_take_slow(l, parts, stripe, now);
}
#endif
