/* SPDX-License-Identifier: Apache-2.0 */
/* shed.c: what happens at the end of a window. Whole numbers only: a recorded timeline gives the same limits on every machine. */
#include "policy/shed.h"

#include <string.h>

#define ONE 1000u              /* limits are in thousandths */
#define GRADIENT_ONE 1024u     /* gradients in 1024ths */
#define GRADIENT_LEAST 512u    /* a window never halves it more than once */
#define SMOOTHING 5            /* a fifth of the way each window, as Netflix's 0.2 */
#define PROBE_WINDOWS 2        /* the first drains, the second is measured */

static uint64_t clamped(uint64_t limit, const struct memo__shed_rule *rule)
{
    uint64_t least = (uint64_t)rule->min * ONE, most = (uint64_t)rule->max * ONE;
    return limit < least ? least : limit > most ? most : limit;
}

/* The greatest whole number whose square is at most n. */
static uint64_t root(uint64_t n)
{
    uint64_t r = 0;
    for (uint64_t bit = UINT64_C(1) << 31; bit; bit >>= 1)
        if ((r + bit) * (r + bit) <= n)
            r += bit;
    return r;
}

/* Batches are counted from the least limit: leases must be small while it is. */
static struct memo__concurrency_rule leased(const struct memo__shed_rule *rule)
{
    return (struct memo__concurrency_rule){ .on = true, .max = rule->min };
}

void memo__shed_init(struct memo__shed *s, const struct memo__striped *parts, const struct memo__shed_rule *rule)
{
    const struct memo__striped leases = memo__shed_leases(parts);
    const struct memo__concurrency_rule all = { .on = true, .max = rule->max };
    memset(s, 0, sizeof *s);
    memset(memo__shed_stats_at(parts, 0), 0, parts->count * sizeof(struct memo__shed_stats));
    memo__bulkhead_init(&s->permits, &leases, &all);
    s->limit = (uint64_t)rule->max * ONE;
}

bool memo__shed_enter_slow(struct memo__shed *s, const struct memo__striped *parts, struct memo__stripe stripe, const struct memo__shed_rule *rule)
{
    const struct memo__striped leases = memo__shed_leases(parts);
    const struct memo__concurrency_rule as = leased(rule);
    if (memo__bulkhead_enter_slow(&s->permits, &leases, stripe, &as))
        return true;
    memo__stripe_add64(stripe, &memo__shed_stats_at(parts, stripe.index)->refused, 1);
    return false;
}

/* One window. */
struct window { uint64_t count, sum, refused; int64_t elapsed; };

static struct memo__shed_stats total(const struct memo__striped *parts)
{
    struct memo__shed_stats all = { 0 };
    for (uint32_t i = 0; i < parts->count; i++) {
        const struct memo__shed_stats *p = memo__shed_stats_at(parts, i);
        all.count += memo__load(&p->count);
        all.sum += memo__load(&p->sum);
        all.refused += memo__load(&p->refused);
    }
    return all;
}

/* Was it used so much that growing makes sense? Somebody was refused, or half of it was under way on the average. */
static bool used(const struct memo__shed *s, const struct window *w)
{
    return w->refused || (unsigned __int128)w->sum * 2 * ONE >= (unsigned __int128)(uint64_t)w->elapsed * s->limit;
}

static uint64_t gradient(const struct memo__shed *s, const struct memo__shed_rule *rule, int64_t mean)
{
    unsigned __int128 allowed = (unsigned __int128)(uint64_t)s->best * rule->slowdown * GRADIENT_ONE / ONE;
    uint64_t g = (uint64_t)(allowed / (uint64_t)mean);
    return g > GRADIENT_ONE ? GRADIENT_ONE : g < GRADIENT_LEAST ? GRADIENT_LEAST : g;
}

static uint64_t next_limit(const struct memo__shed *s, const struct memo__shed_rule *rule, const struct window *w, int64_t mean)
{
    uint64_t target = s->limit * gradient(s, rule, mean) / GRADIENT_ONE + root(s->limit * ONE);
    if (target > s->limit)
        return used(s, w) ? s->limit + (target - s->limit) / SMOOTHING : s->limit;
    return s->limit - (s->limit - target) / SMOOTHING;
}

/* What would run without a queue, and a bit less. */
static uint64_t probe_limit(const struct memo__shed *s, int64_t mean)
{
    return (uint64_t)((unsigned __int128)s->limit * (uint64_t)s->best / (uint64_t)mean * 3 / 4);
}

static void believe(struct memo__shed *s, const struct memo__shed_rule *rule, memo__instant now, int64_t best)
{
    memo__store(&s->best, best);
    s->believed = memo__after(now, rule->probe_every);
}

static void decide(struct memo__shed *s, const struct memo__shed_rule *rule, memo__instant now, const struct window *w)
{
    int64_t mean = (int64_t)(w->sum / w->count);
    if (mean < 1)
        mean = 1;
    if (s->probing) {
        memo__store(&s->probing, s->probing - 1);
        if (s->probing)
            return;
        believe(s, rule, now, mean);
        s->limit = s->before;
        return;
    }
    if (!s->best || (mean < s->best && !memo__reached(now, s->believed)))
        believe(s, rule, now, mean);
    if (!memo__reached(now, s->believed)) {
        s->limit = next_limit(s, rule, w, mean);
        return;
    }
    if (!used(s, w)) { /* there is rest: this is the best */
        believe(s, rule, now, mean);
        return;
    }
    if (mean < s->best)
        memo__store(&s->best, mean);
    s->before = s->limit;
    s->limit = probe_limit(s, mean);
    memo__store(&s->probing, (uint32_t)PROBE_WINDOWS);
}

/* More permits are made at once; fewer: those that stripes hold are called in first. */
static void set_permits(struct memo__shed *s, const struct memo__striped *parts)
{
    const struct memo__striped leases = memo__shed_leases(parts);
    uint64_t limit = s->limit / ONE, was = memo__load(&s->permits.max);
    const struct memo__concurrency_rule rule = { .on = true, .max = (uint32_t)limit };
    if (limit > was) {
        memo__store(&s->permits.max, limit);
        (void)memo__fetch_add(&s->permits.free, (int64_t)(limit - was));
    } else if (limit < was)
        memo__bulkhead_change(&s->permits, &leases, &rule);
}

bool memo__shed_look(struct memo__shed *s, const struct memo__striped *parts, const struct memo__shed_rule *rule, memo__instant now)
{
    memo__instant until = memo__load_acquire(&s->until);
    if (!memo__reached(now, until) || !memo__cas(&s->until, &until, MEMO__NEVER))
        return false;
    struct memo__shed_stats all = total(parts);
    struct window w = { all.count - s->count, all.sum - s->sum, all.refused - s->refused, memo__since(now, s->began) };
    bool whole = s->began && w.count >= MEMO__SHED_SAMPLES;
    if (whole) {
        decide(s, rule, now, &w);
        s->limit = clamped(s->limit, rule);
        set_permits(s, parts);
    }
    if (whole || !s->began) {
        s->began = now;
        s->count = all.count;
        s->sum = all.sum;
        s->refused = all.refused;
    }
    memo__store_release(&s->until, memo__after(now, rule->window));
    return whole;
}

void memo__shed_read(const struct memo__shed *s, const struct memo__striped *parts, struct memo__shed_facts *out)
{
    const struct memo__striped leases = memo__shed_leases(parts);
    *out = (struct memo__shed_facts){ memo__load(&s->permits.max), memo__bulkhead_read(&s->permits, &leases), memo__load(&s->best),
                                      memo__load(&s->probing) != 0 };
}
