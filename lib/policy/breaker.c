/* SPDX-License-Identifier: Apache-2.0 */
/* breaker.c: the turns of a breaker and its window. See breaker.h for the picture.
 *
 * A window is 10 buckets, turned by whoever first reports in a new one. On a shared stripe a count that arrives while another thread turns the same
 * bucket may be lost: a handful of calls a window, which a share does not notice. Totals stay the sum of the buckets in every case, because what
 * leaves a bucket is exchanged, not read.
 *
 * The sum over all stripes is taken only if this report is bad, or if this stripe alone is over a threshold (then a good report may have been the
 * one that fills minCalls). On one stripe that is exact; on several, a breaker whose minCalls was filled by another stripe's good report opens with
 * the next bad one. */
#include "policy/breaker.h"

#include <string.h>

#define TICK_BITS 14
#define TICK_MASK ((UINT64_C(1) << 40) - 1)
#define EPOCH_MASK 0x1ffffu
#define MARK_MASK 0x7fu

static uint64_t tick_of(memo__instant now) { return ((uint64_t)now >> TICK_BITS) & TICK_MASK; }
static uint32_t successes_of(uint64_t word) { return (uint32_t)(word >> 2) & 0x1f; }
static uint32_t epoch_after(uint32_t epoch) { return (epoch + 1) & EPOCH_MASK; }

static uint64_t word_of(enum memo__breaker_phase phase, uint32_t successes, uint32_t epoch, memo__instant since)
{
    return tick_of(since) << 24 | (uint64_t)epoch << 7 | (uint64_t)successes << 2 | (uint64_t)phase;
}

/* Time since the state was entered; a `now` before it is its own. */
static int64_t elapsed(uint64_t word, memo__instant now)
{
    uint64_t ticks = (tick_of(now) - (word >> 24)) & TICK_MASK;
    return ticks > TICK_MASK / 2 ? 0 : (int64_t)(ticks << TICK_BITS);
}

void memo__breaker_init(struct memo__breaker *b, const struct memo__striped *parts)
{
    memset(b, 0, sizeof *b);
    for (uint32_t i = 0; i < parts->count; i++)
        memset(MEMO__PART(struct memo__breaker_part, parts, i), 0, sizeof(struct memo__breaker_part));
}

/* Probe leases: [ expiry: 40 bits of ticks ][ mark: 7 ][ epoch: 17 ]. The mark tells one holder of a lease from the next. */

static uint32_t lease_epoch(uint64_t lease) { return (uint32_t)lease & EPOCH_MASK; }
static uint8_t lease_mark(uint64_t lease) { return (uint8_t)(lease >> 17 & MARK_MASK); }

static bool lease_free(uint64_t lease, uint32_t epoch, memo__instant now)
{
    return lease_epoch(lease) != epoch || ((tick_of(now) - (lease >> 24)) & TICK_MASK) <= TICK_MASK / 2;
}

static uint32_t probes_of(const struct memo__breaker_rule *rule)
{
    return rule->probes < MEMO__BREAKER_PROBES ? rule->probes : MEMO__BREAKER_PROBES;
}

static bool lease_take(struct memo__breaker *b, uint32_t i, uint32_t epoch, memo__instant now, int64_t lease_ns, struct memo__permit *out)
{
    uint64_t was = memo__load(&b->leases[i]);
    if (!lease_free(was, epoch, now))
        return false;
    uint8_t mark = (uint8_t)((lease_mark(was) + 1u) & MARK_MASK);
    uint64_t until = (tick_of(memo__after(now, lease_ns)) + 1) & TICK_MASK; /* a tick more, so that it is never too short */
    if (!memo__cas(&b->leases[i], &was, until << 24 | (uint64_t)mark << 17 | epoch))
        return false;
    *out = (struct memo__permit){ epoch, (uint8_t)i, mark, 0 };
    return true;
}

/* Frees the lease of a permit by giving it another epoch; false if it had expired and is somebody else's. */
static bool lease_return(struct memo__breaker *b, struct memo__permit permit)
{
    uint64_t was = memo__load(&b->leases[permit.probe]);
    if (lease_epoch(was) != permit.epoch || lease_mark(was) != permit.mark)
        return false;
    return memo__cas(&b->leases[permit.probe], &was, (was & ~(uint64_t)EPOCH_MASK) | ((permit.epoch - 1) & EPOCH_MASK));
}

bool memo__breaker_check_slow(const struct memo__breaker *b, const struct memo__breaker_rule *rule, memo__instant now)
{
    uint64_t word = memo__load(&b->word);
    if (memo__breaker_phase_of(word) != MEMO__BREAKER_HALF_OPEN)
        return memo__breaker_phase_of(word) == MEMO__BREAKER_CLOSED || elapsed(word, now) >= rule->open_for;
    for (uint32_t i = 0; i < probes_of(rule); i++)
        if (lease_free(memo__load(&b->leases[i]), memo__breaker_epoch_of(word), now))
            return true;
    return false;
}

bool memo__breaker_admit_slow(struct memo__breaker *b, const struct memo__breaker_rule *rule, memo__instant now, int64_t lease_ns, struct memo__permit *out)
{
    uint64_t word = memo__load(&b->word);
    if (memo__breaker_phase_of(word) == MEMO__BREAKER_OPEN) {
        if (elapsed(word, now) < rule->open_for)
            return false;
        uint64_t half = word_of(MEMO__BREAKER_HALF_OPEN, 0, epoch_after(memo__breaker_epoch_of(word)), now);
        if (memo__cas(&b->word, &word, half))
            word = half;
    }
    if (memo__breaker_phase_of(word) == MEMO__BREAKER_OPEN) /* somebody else turned it meanwhile: no permit, also for who only observes */
        return false;
    if (memo__breaker_phase_of(word) == MEMO__BREAKER_CLOSED) {
        *out = (struct memo__permit){ memo__breaker_epoch_of(word), MEMO__NO_PROBE, 0, 0 };
        return true;
    }
    for (uint32_t i = 0; i < probes_of(rule); i++)
        if (lease_take(b, i, memo__breaker_epoch_of(word), now, lease_ns, out))
            return true;
    return false;
}

void memo__breaker_cancel(struct memo__breaker *b, struct memo__permit permit)
{
    if (permit.probe != MEMO__NO_PROBE)
        (void)lease_return(b, permit);
}

/* The window */

static uint64_t bucket_of(const struct memo__breaker_rule *rule, memo__instant now, uint64_t *length)
{
    *length = (uint64_t)rule->window / MEMO__BREAKER_BUCKETS;
    return (uint64_t)now / *length;
}

static void bucket_drop(struct memo__breaker_part *p, uint64_t number)
{
    struct memo__breaker_bucket *k = &p->buckets[number % MEMO__BREAKER_BUCKETS];
    (void)memo__fetch_sub(&p->calls, memo__exchange(&k->calls, 0u));
    (void)memo__fetch_sub(&p->failed, memo__exchange(&k->failed, 0u));
    (void)memo__fetch_sub(&p->slow, memo__exchange(&k->slow, 0u));
}

/* A new bucket begins: those whose time is over lose their counts. */
static void part_turn(struct memo__breaker_part *p, const struct memo__breaker_rule *rule, memo__instant now)
{
    uint64_t length, number = bucket_of(rule, now, &length), was = memo__load(&p->number);
    if (number <= was || !memo__cas(&p->number, &was, number))
        return;
    uint64_t first = number - was < MEMO__BREAKER_BUCKETS ? was + 1 : number - MEMO__BREAKER_BUCKETS + 1;
    for (uint64_t i = first; i <= number; i++)
        bucket_drop(p, i);
    memo__store(&p->current, (uint32_t)(number % MEMO__BREAKER_BUCKETS));
    memo__store(&p->until, (memo__instant)((number + 1) * length));
}

/* The first report in a new epoch: what was learned before is over. */
static void part_restart(struct memo__breaker_part *p, uint32_t was, uint32_t epoch)
{
    if (!memo__cas(&p->epoch, &was, epoch))
        return;
    for (uint64_t i = 0; i < MEMO__BREAKER_BUCKETS; i++)
        bucket_drop(p, i);
}

static void part_add(struct memo__breaker_part *p, struct memo__stripe stripe, bool failed, bool slow)
{
    struct memo__breaker_bucket *k = &p->buckets[memo__load(&p->current)];
    memo__stripe_add32(stripe, &k->calls, 1);
    memo__stripe_add32(stripe, &p->calls, 1);
    if (failed) {
        memo__stripe_add32(stripe, &k->failed, 1);
        memo__stripe_add32(stripe, &p->failed, 1);
    }
    if (slow) {
        memo__stripe_add32(stripe, &k->slow, 1);
        memo__stripe_add32(stripe, &p->slow, 1);
    }
}

struct sums { uint64_t calls, failed, slow; };

static bool over(const struct memo__breaker_rule *rule, const struct sums *s)
{
    return memo__breaker_reached(s->failed, s->calls, rule->failed) || memo__breaker_reached(s->slow, s->calls, rule->slow);
}

/* Adds what of a part lies in the window that ends with bucket `number`. */
static void part_sum(const struct memo__breaker_part *p, uint64_t number, struct sums *s)
{
    uint64_t last = memo__load(&p->number);
    if (last >= number) {
        s->calls += memo__load(&p->calls);
        s->failed += memo__load(&p->failed);
        s->slow += memo__load(&p->slow);
        return;
    }
    for (uint64_t i = last; i + MEMO__BREAKER_BUCKETS > number; i--) { /* at most 9; before the beginning of time they are empty */
        const struct memo__breaker_bucket *k = &p->buckets[i % MEMO__BREAKER_BUCKETS];
        s->calls += memo__load(&k->calls);
        s->failed += memo__load(&k->failed);
        s->slow += memo__load(&k->slow);
    }
}

static struct sums sum_all(const struct memo__striped *parts, const struct memo__breaker_rule *rule, uint32_t epoch, memo__instant now)
{
    uint64_t length, number = bucket_of(rule, now, &length);
    struct sums s = { 0, 0, 0 };
    for (uint32_t i = 0; i < parts->count; i++) {
        const struct memo__breaker_part *p = MEMO__PART(struct memo__breaker_part, parts, i);
        if (memo__load(&p->epoch) == epoch && memo__load(&p->calls) != 0)
            part_sum(p, number, &s);
    }
    return s;
}

/* Reports */

static enum memo__breaker_turn report_probe(struct memo__breaker *b, const struct memo__breaker_rule *rule, struct memo__permit permit, uint64_t word,
                                            memo__instant now, bool bad)
{
    if (!lease_return(b, permit))
        return MEMO__BREAKER_NOTHING;
    uint32_t next = epoch_after(permit.epoch);
    while (memo__breaker_epoch_of(word) == permit.epoch) {
        uint32_t successes = successes_of(word) + 1;
        uint64_t to = bad ? word_of(MEMO__BREAKER_OPEN, 0, next, now)
                    : successes >= probes_of(rule) ? word_of(MEMO__BREAKER_CLOSED, 0, next, now)
                    : word + (1 << 2);
        if (memo__cas(&b->word, &word, to))
            return bad ? MEMO__BREAKER_REOPENED : successes >= probes_of(rule) ? MEMO__BREAKER_TURNED_CLOSED : MEMO__BREAKER_NOTHING;
    }
    return MEMO__BREAKER_NOTHING;
}

enum memo__breaker_turn memo__breaker_report(struct memo__breaker *b, const struct memo__striped *parts, struct memo__stripe stripe,
                                             const struct memo__breaker_rule *rule, struct memo__permit permit, memo__instant now, bool failed, bool slow)
{
    uint64_t word = memo__load(&b->word);
    bool bad = (failed && rule->failed) || (slow && rule->slow);
    if (memo__breaker_epoch_of(word) != permit.epoch)
        return MEMO__BREAKER_NOTHING;
    if (permit.probe != MEMO__NO_PROBE)
        return report_probe(b, rule, permit, word, now, bad);
    struct memo__breaker_part *p = MEMO__PART(struct memo__breaker_part, parts, stripe.index);
    uint32_t epoch = memo__load(&p->epoch);
    if (epoch != permit.epoch)
        part_restart(p, epoch, permit.epoch);
    if (now >= memo__load(&p->until))
        part_turn(p, rule, now);
    part_add(p, stripe, failed, slow);
    struct sums own = { memo__load(&p->calls), memo__load(&p->failed), memo__load(&p->slow) };
    if (!bad && ((own.failed | own.slow) == 0 || !over(rule, &own)))
        return MEMO__BREAKER_NOTHING;
    struct sums all = sum_all(parts, rule, permit.epoch, now);
    if (all.calls < rule->min_calls || !over(rule, &all))
        return MEMO__BREAKER_NOTHING;
    return memo__cas(&b->word, &word, word_of(MEMO__BREAKER_OPEN, 0, epoch_after(permit.epoch), now)) ? MEMO__BREAKER_OPENED : MEMO__BREAKER_NOTHING;
}

static uint32_t clip(uint64_t n) { return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n; }

void memo__breaker_read(const struct memo__breaker *b, const struct memo__striped *parts, const struct memo__breaker_rule *rule, memo__instant now,
                        struct memo__breaker_facts *out)
{
    uint64_t word = memo__load(&b->word);
    struct sums s = sum_all(parts, rule, memo__breaker_epoch_of(word), now);
    *out = (struct memo__breaker_facts){ memo__breaker_phase_of(word), clip(s.calls), clip(s.failed), clip(s.slow), 0 };
    if (out->phase == MEMO__BREAKER_OPEN)
        out->opens_until = memo__after(now - elapsed(word, now), rule->open_for);
}

void memo__breaker_turned(struct memo__breaker *b, const struct memo__breaker_facts *f)
{
    memo__store(&b->turned_calls, f->calls);
    memo__store(&b->turned_failed, f->failed);
    memo__store(&b->turned_slow, f->slow);
}

void memo__breaker_why(const struct memo__breaker *b, const struct memo__striped *parts, const struct memo__breaker_rule *rule, memo__instant now,
                       struct memo__breaker_facts *out)
{
    memo__breaker_read(b, parts, rule, now, out);
    if (out->phase == MEMO__BREAKER_CLOSED)
        return;
    out->calls = memo__load(&b->turned_calls);
    out->failed = memo__load(&b->turned_failed);
    out->slow = memo__load(&b->turned_slow);
}
