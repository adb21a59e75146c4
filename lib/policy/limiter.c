/* SPDX-License-Identifier: Apache-2.0 */
/* limiter.c: the centre of a token bucket.
 *
 * Why it is never above burst + rate * t. Let B be burst in time (capacity), L(s) what all stripes held at time s, C(s) the centre. A bucket that
 * counts leased tokens as still in it has C + L <= B at any time; what would flow in beyond is lost. When the centre is moved, now, everything
 * about it is known as of the last move (`touched`), and since then it only grew by time. So it is clamped to the least of B - L(s) + (now - s)
 * over s since then, but never below what it was. L is read now; of what it was in between only this is known: nothing was consumed after `last`
 * (the latest used_at), and no stripe ever holds more than a batch:
 *
 *   for s >= last:  B - L(now)                             nothing has changed since
 *   for s <  last:  B - stripes * batch + (now - last)
 *
 * and the lesser of the two is safe. So after a pause of stripes * batch tokens (at most 3/4 of the burst) the whole burst is there; within it a
 * bit less may be. A thread between the centre and its part announces its batch in `coming`. `used_at` is written before a token goes, `touched`
 * after the centre was moved: if it is too old, the clamp is only tighter. */
#include "policy/limiter.h"

#include <string.h>

#define MOST (INT64_MAX / 4)
#define LONG_AGO (-MOST / 16)

static int64_t sixteenths(memo__instant t) { return t * 16; }

static int64_t interval_of(const struct memo__limit_rule *rule)
{
    unsigned __int128 whole = (unsigned __int128)(uint64_t)rule->period * 16, count = rule->count;
    unsigned __int128 interval = (whole + count - 1) / count;
    return (int64_t)interval; /* a period is at most days: 16 of it fit; rounded up, so at least 1 */
}

static uint64_t burst_of(const struct memo__limit_rule *rule, int64_t interval)
{
    uint64_t most = (uint64_t)(MOST / interval); /* a burst of more than four years of tokens is cut there */
    return rule->burst < most ? rule->burst : most;
}

void memo__limiter_init(struct memo__limiter *l, const struct memo__striped *parts, const struct memo__limit_rule *rule)
{
    memset(l, 0, sizeof *l);
    l->interval = interval_of(rule);
    l->burst = burst_of(rule, l->interval);
    l->capacity = (int64_t)l->burst * l->interval;
    l->batch = memo__lease_batch(l->burst);
    l->empty = -MOST; /* full */
    l->touched = LONG_AGO;
    memo__lease_init(parts);
}

bool memo__limiter_same(const struct memo__limiter *l, const struct memo__limit_rule *rule)
{
    int64_t interval = interval_of(rule);
    return l->interval == interval && l->burst == burst_of(rule, interval);
}

/* What the centre may hold, in time: see above. For the caller's own stripe, what it knows: when it last consumed, and that its own announcement is
 * not yet taken. */
static int64_t room(const struct memo__limiter *l, const struct memo__striped *parts, memo__instant now, uint32_t own, memo__instant own_used, bool own_coming)
{
    if (l->batch == 1)
        return l->capacity;
    memo__instant last = 0;
    int64_t stripes = 0, leased = 0;
    for (uint32_t i = 0; i < parts->count; i++) {
        const struct memo__lease_part *p = memo__lease_at(parts, i);
        uint32_t coming = memo__load_acquire(&p->coming);
        leased += memo__load_acquire(&p->held);
        if (i != own || !own_coming)
            leased += coming;
        memo__instant used = i == own ? own_used : memo__load(&p->used_at);
        stripes += used != 0;
        last = used > last ? used : last;
    }
    int64_t reserved = stripes * l->batch * l->interval - sixteenths(memo__since(now, last));
    leased *= l->interval;
    return l->capacity - (leased > reserved ? leased : reserved);
}

/* Takes up to `want` tokens from the centre; how many it was. */
static uint32_t centre_take(struct memo__limiter *l, const struct memo__striped *parts, memo__instant now, uint32_t want, uint32_t own, memo__instant own_used,
                            bool own_coming)
{
    int64_t empty = memo__load_acquire(&l->empty), at = sixteenths(now);
    while (at - empty >= l->interval) {
        int64_t grown = at - sixteenths(memo__load(&l->touched));
        int64_t oldest = at - room(l, parts, now, own, own_used, own_coming), from = empty;
        if (oldest > from)
            from = grown < oldest - from ? from + (grown > 0 ? grown : 0) : oldest;
        int64_t there = want == 1 ? 1 : (at - from) / l->interval;
        uint32_t n = there < want ? (uint32_t)there : want;
        if (memo__cas(&l->empty, &empty, from + n * l->interval)) {
            memo__store(&l->touched, now);
            return n;
        }
    }
    return 0;
}

bool memo__limiter_check_slow(const struct memo__limiter *l, const struct memo__striped *parts, memo__instant now)
{
    return sixteenths(now) - memo__load(&l->empty) >= l->interval || (l->batch > 1 && memo__lease_any(parts));
}

/* Fills this stripe's lease, taking one token of it; only who holds the gate does, and only if it is still empty, so that no stripe holds more than
 * a batch. */
static bool refill(struct memo__limiter *l, const struct memo__striped *parts, struct memo__lease_part *own, struct memo__stripe stripe, memo__instant now)
{
    memo__instant used = memo__load(&own->used_at);
    uint32_t none = 0, n;
    memo__store(&own->used_at, now);
    if (!memo__cas(&own->coming, &none, l->batch))
        return centre_take(l, parts, now, 1, stripe.index, used, false) != 0;
    n = centre_take(l, parts, now, memo__load(&own->held) == 0 ? l->batch : 1, stripe.index, used, true);
    if (n > 1)
        (void)memo__fetch_add(&own->held, n - 1);
    memo__store_release(&own->coming, 0u);
    return n != 0;
}

bool memo__limiter_take_slow(struct memo__limiter *l, const struct memo__striped *parts, struct memo__stripe stripe, memo__instant now)
{
    if (l->batch == 1)
        return centre_take(l, parts, now, 1, stripe.index, 0, false) != 0;
    return refill(l, parts, memo__lease_at(parts, stripe.index), stripe, now) || memo__lease_steal(parts, stripe.index, now);
}

void memo__limiter_give(struct memo__limiter *l, const struct memo__striped *parts, struct memo__stripe stripe)
{
    struct memo__lease_part *own = memo__lease_at(parts, stripe.index);
    if (l->batch > 1 && memo__load(&own->held) < l->batch)
        (void)memo__fetch_add(&own->held, 1u);
    else
        (void)memo__fetch_sub(&l->empty, l->interval);
    memo__store(&l->touched, LONG_AGO); /* it may have flown in twice, once by time: the next move clamps it */
}

void memo__limiter_read(const struct memo__limiter *l, const struct memo__striped *parts, memo__instant now, struct memo__limiter_facts *out)
{
    int64_t since = sixteenths(now) - memo__load(&l->empty), most = room(l, parts, now, UINT32_MAX, 0, false);
    int64_t centre = since < most ? since : most;
    uint64_t held = memo__lease_sum(parts), tokens = (centre > 0 ? (uint64_t)(centre / l->interval) : 0) + held;
    *out = (struct memo__limiter_facts){ tokens < l->burst ? tokens : l->burst, l->burst, tokens > 0 ? 0 : (l->interval - since + 15) / 16 };
}
