/* SPDX-License-Identifier: Apache-2.0 */
/* breaker.h: is this dependency failing so much that asking it again only makes it worse?
 *
 *   CLOSED --failed or slow share over the window--> OPEN --openFor, then the next call--> HALF_OPEN
 *   HALF_OPEN --`probes` successes--> CLOSED        HALF_OPEN --one probe failed or slow--> OPEN
 *
 * The state is one 64-bit word, so that every turn is one compare-and-swap and exactly one reporter sees it, whatever thread or fork interrupts:
 *
 *   63            24 23        7 6          2 1     0
 *   [ since: ticks ][ epoch    ][ successes ][ phase ]     a tick is 2^14 ns (16.4 us); 40 bits of them are 208 days
 *
 * Every turn raises the epoch; a permit names the epoch that it was given in, and its report is dropped in any other. A probe is a lease that
 * expires: a caller that vanished cannot wedge the breaker. The window is 10 buckets a stripe with running totals; a part of another epoch counts
 * as empty, so nobody ever clears another thread's part. All memory zeroed is a closed breaker. */
#ifndef MEMO__POLICY_BREAKER_H
#define MEMO__POLICY_BREAKER_H
#include "base/instant.h"
#include "base/stripe.h"
#include "model/rules.h"

#define MEMO__BREAKER_BUCKETS 10
#define MEMO__BREAKER_PROBES 16
#define MEMO__NO_PROBE UINT8_MAX
#define MEMO__NO_EPOCH UINT32_MAX /* a permit that was never given: its report teaches nothing */

enum memo__breaker_phase { MEMO__BREAKER_CLOSED = 0, MEMO__BREAKER_OPEN = 1, MEMO__BREAKER_HALF_OPEN = 2 };
enum memo__breaker_turn { MEMO__BREAKER_NOTHING = 0, MEMO__BREAKER_OPENED, MEMO__BREAKER_TURNED_CLOSED, MEMO__BREAKER_REOPENED };

struct memo__breaker { /* shared; read by every call, written at turns and by probes only */
    uint64_t word;
    uint64_t leases[MEMO__BREAKER_PROBES]; /* epoch, mark and expiry of each probe under way; of another epoch or expired: free */
    uint32_t turned_calls, turned_failed, turned_slow; /* its window at the last turn, which emptied it: for whoever asks why; relaxed */
    uint32_t unused[11];
};

struct memo__breaker_bucket { uint32_t calls, failed, slow; };

struct memo__breaker_part { /* one per stripe: 192 bytes with its padding */
    memo__instant until;    /* end of the current bucket */
    uint64_t number;        /* of the current bucket, counted from the beginning of time */
    uint32_t epoch;
    uint32_t calls, failed, slow; /* sums of the buckets */
    struct memo__breaker_bucket buckets[MEMO__BREAKER_BUCKETS];
    uint32_t current;       /* index of the current bucket */
    uint32_t unused[9];
};

struct memo__permit { /* 8 bytes: a caller holds it from admit to report or cancel */
    uint32_t epoch;
    uint8_t probe, mark;
    uint16_t unused;
};

struct memo__breaker_facts {
    enum memo__breaker_phase phase;
    uint32_t calls, failed, slow; /* in the window */
    memo__instant opens_until;    /* when the next call may probe; 0 unless open */
};

void memo__breaker_init(struct memo__breaker *b, const struct memo__striped *parts);
/* Off the fast path: open or half-open. */
bool memo__breaker_check_slow(const struct memo__breaker *b, const struct memo__breaker_rule *rule, memo__instant now);
bool memo__breaker_admit_slow(struct memo__breaker *b, const struct memo__breaker_rule *rule, memo__instant now, int64_t lease_ns, struct memo__permit *out);
/* Gives a probe back; teaches nothing. */
void memo__breaker_cancel(struct memo__breaker *b, struct memo__permit permit);
/* Records one attempt. `slow` is the caller's comparison of its latency with rule->slower_than. Exactly one reporter sees each turn. */
enum memo__breaker_turn memo__breaker_report(struct memo__breaker *b, const struct memo__striped *parts, struct memo__stripe stripe,
                                             const struct memo__breaker_rule *rule, struct memo__permit permit, memo__instant now, bool failed, bool slow);
void memo__breaker_read(const struct memo__breaker *b, const struct memo__striped *parts, const struct memo__breaker_rule *rule, memo__instant now,
                        struct memo__breaker_facts *out);

/* Why is it as it is? As read; but of one that is not closed, the counts that opened it, if memo__breaker_turned was told them. */
void memo__breaker_why(const struct memo__breaker *b, const struct memo__striped *parts, const struct memo__breaker_rule *rule, memo__instant now,
                       struct memo__breaker_facts *out);
/* What was in the window when it turned. */
void memo__breaker_turned(struct memo__breaker *b, const struct memo__breaker_facts *f);
/* Are so many of the calls bad that a share of the rule is reached? ppm 0: it says none. */
static inline bool memo__breaker_reached(uint64_t bad, uint64_t calls, uint32_t ppm) { return ppm && bad && bad * 1000000 >= calls * ppm; }

static inline enum memo__breaker_phase memo__breaker_phase_of(uint64_t word) { return (enum memo__breaker_phase)(word & 3); }
static inline uint32_t memo__breaker_epoch_of(uint64_t word) { return (uint32_t)(word >> 7) & 0x1ffff; }

/* A peek: would it admit a call? */
static inline bool memo__breaker_check(const struct memo__breaker *b, const struct memo__breaker_rule *rule, memo__instant now)
{
    return memo__breaker_phase_of(memo__load(&b->word)) == MEMO__BREAKER_CLOSED || memo__breaker_check_slow(b, rule, now);
}

/* Admits a call, or not; in half-open it takes one of rule->probes leases, which expires lease_ns from now. Closed: one load. */
static inline bool memo__breaker_admit(struct memo__breaker *b, const struct memo__breaker_rule *rule, memo__instant now, int64_t lease_ns,
                                       struct memo__permit *out)
{
    uint64_t word = memo__load(&b->word);
    if (memo__breaker_phase_of(word) != MEMO__BREAKER_CLOSED)
        return memo__breaker_admit_slow(b, rule, now, lease_ns, out);
    *out = (struct memo__permit){ memo__breaker_epoch_of(word), MEMO__NO_PROBE, 0, 0 };
    return true;
}

/* Records an attempt that was neither failed nor slow, where that is two additions: closed, and nothing else in this stripe's window. false:
 * nothing was done, memo__breaker_report is due. */
static inline bool memo__breaker_report_good(const struct memo__breaker *b, const struct memo__striped *parts, struct memo__stripe stripe,
                                             struct memo__permit permit, memo__instant now)
{
    struct memo__breaker_part *p = MEMO__PART(struct memo__breaker_part, parts, stripe.index);
    bool closed = (memo__load(&b->word) & 0xffffff) == (uint64_t)permit.epoch << 7; /* in this epoch */
    if (!closed || memo__load(&p->epoch) != permit.epoch || now >= memo__load(&p->until) || (memo__load(&p->failed) | memo__load(&p->slow)))
        return false;
    memo__stripe_add32(stripe, &p->buckets[memo__load(&p->current)].calls, 1);
    memo__stripe_add32(stripe, &p->calls, 1);
    return true;
}
#endif
