/* SPDX-License-Identifier: Apache-2.0 */
/* balance.h: which of these endpoints shall it be?
 *
 * One file per policy, each a `struct memo__balancer`; balance.c has the table and what all of them share: who may be picked at all, panic, and the
 * fall back to one that was tried. Skipped: weight 0, ejected, those whose own breaker refuses, those already tried in this call. If only tried
 * ones are left, one is tried again and said so. Panic: when fewer than panic_below of the candidates are not ejected, ejection is ignored (it is
 * probably us, not them), and said so.
 *
 * What a policy needs beyond the weights of its candidates (an alias table, a schedule, a ring) it builds once for each list of them, off the hot
 * path, into memory that the owner of the list hands in: its table.
 *
 * Reads only, but for the stripe's round robin word. Endpoint breakers are asked (memo__breaker_check), not entered: the caller admits the one that
 * was picked, and on a lost race picks again with that slot among `tried`. */
#ifndef MEMO__POLICY_BALANCE_H
#define MEMO__POLICY_BALANCE_H
#include <memo/status.h>
#include "base/hash.h"
#include "base/rng.h"
#include "policy/decay.h"
#include "policy/fleet.h"

#define MEMO__COST_FLOOR 1.0f          /* us: what a faded average counts at least, so that calls under way always count */
#define MEMO__COST_UNKNOWN 100000.0f   /* us: what an endpoint counts whose first answers are still awaited: newcomers get one call at a time, not a stampede */
#define MEMO__FAILURE_PENALTY MEMO__S  /* the least latency that a failure is charged with, if the attempt has no timeout of its own */

struct memo__candidates { /* immutable */
    const uint32_t *slots;
    const uint32_t *weights;
    uint32_t count;
    uint32_t weighted;             /* how many have weight > 0; 0: not counted, all of them */
    const void *table;             /* what the policy has built of them; NULL: it has nothing to build */
    memo__instant warm_at, oldest; /* slow start (slow_start.h): when all of them have their whole weight; when the first of them joined */
};

struct memo__pick_request {
    const struct memo__fleet *fleet;
    const struct memo__candidates *from;
    const struct memo__balance_rule *rule;
    const struct memo__breaker_rule *instance_breaker; /* or NULL */
    struct memo__stripe stripe;
    uint32_t stripes_active;       /* bit i: stripe i ever called this service; own bit always set */
    uint32_t *cursor;              /* this stripe's round robin word */
    memo__instant now;
    uint64_t draw;
    uint64_t hash;                 /* of the call's key: XXH64, so that others agree; of a call without one, a draw */
    uint32_t tried[MEMO__ATTEMPTS_MAX], tried_count;
    uint32_t ejected;              /* endpoints of this service that are ejected right now; 0 is the fast path */
};

enum { /* memo__pick.flags */
    MEMO__PICK_PANIC = 1,          /* ejection was ignored */
    MEMO__PICK_TRIED_AGAIN = 2,    /* nothing else was left */
    MEMO__PICK_SKIPPED_EJECTED = 4, /* an ejected endpoint was met and skipped */
    MEMO__PICK_SKIPPED_OPEN = 8    /* one whose own breaker refuses was met and skipped */
};

struct memo__pick {
    uint32_t slot, index;          /* index: in the candidates */
    uint32_t other_slot;           /* the one that lost, or MEMO__NO_SLOT */
    float score, other_score;
    uint8_t flags;
};

/* What the scores of a policy are: for whoever tells them. */
enum memo__score { MEMO__SCORE_NONE = 0, MEMO__SCORE_COST, MEMO__SCORE_WEIGHT, MEMO__SCORE_CALLS, MEMO__SCORE_HASH };

#define MEMO__BALANCE_NAME 64 /* bytes of a candidate's name at most */

struct memo__balance_names {
    /* "10.0.0.1:80" or "[::1]:80" of candidate i, without a NUL; answers its length. */
    size_t (*name)(const void *of, uint32_t i, char buf[MEMO__BALANCE_NAME]);
    const void *of;
};

struct memo__balancer {
    const char *name;
    enum memo__score score;
    int32_t (*pick)(const struct memo__pick_request *q, struct memo__pick *out);
    /* NULL: no table. Bytes of it, and of the memory that building it takes; both to be handed to `build`, aligned to 8. */
    size_t (*size)(const struct memo__candidates *c, const struct memo__balance_rule *rule, size_t *scratch);
    void (*build)(const struct memo__candidates *c, const struct memo__balance_rule *rule, const struct memo__balance_names *names, void *table,
                  void *scratch);
};
extern const struct memo__balancer memo__balance_peak_ewma, memo__balance_round_robin, memo__balance_random, memo__balance_least_request,
    memo__balance_ring_hash, memo__balance_weighted_round_robin;
const struct memo__balancer *memo__balancer_of(enum memo__balance_policy policy);

/* MEMO_OK, MEMO_REFUSED_NO_ENDPOINT, or MEMO_REFUSED_OPEN (there are some, but their own breakers refuse all). */
int32_t memo__balance_pick(const struct memo__pick_request *q, struct memo__pick *out);

/* For the policies. */
enum memo__pickable { MEMO__PICKABLE = 0, MEMO__NOT_WEIGHT, MEMO__NOT_EJECTED, MEMO__NOT_OPEN, MEMO__NOT_TRIED };
/* May candidate i be picked? With `again`, one that was tried may. */
enum memo__pickable memo__balance_may(const struct memo__pick_request *q, uint32_t i, bool panic, bool again);
/* What to say in memo__pick.flags about one that was skipped. */
uint8_t memo__balance_flag(enum memo__pickable why);
/* Is ejection to be ignored? One comparison unless very many are ejected; then a look at 256 candidates at most, evenly spread. */
bool memo__balance_panic(const struct memo__pick_request *q);
/* The first that may be picked, from `start` on, once around; then once more with those tried. Adds to out->flags. */
int32_t memo__balance_scan(const struct memo__pick_request *q, uint32_t start, bool panic, struct memo__pick *out);
/* Nobody to pick from: out is filled to say so. Else it is made ready. */
static inline bool memo__balance_begin(const struct memo__pick_request *q, struct memo__pick *out)
{
    *out = (struct memo__pick){ MEMO__NO_SLOT, 0, MEMO__NO_SLOT, 0, 0, 0 };
    return q->from->count != 0;
}
/* Candidate i it is. */
static inline int32_t memo__balance_take(const struct memo__pick_request *q, uint32_t i, struct memo__pick *out)
{
    out->slot = q->from->slots[i];
    out->index = i;
    return MEMO_OK;
}
/* What candidate i costs: (average latency) * (calls under way + 1) / weight. */
float memo__balance_score(const struct memo__pick_request *q, uint32_t i);

/* An attempt begins. */
static inline void memo__balance_start(const struct memo__fleet *f, struct memo__stripe stripe, uint32_t slot)
{
    memo__stripe_add32(stripe, (uint32_t *)(void *)&memo__fleet_part(f, stripe.index, slot)->inflight, 1);
}

/* Peak EWMA (balance_peak_ewma.c) as it nearly always is: one stripe ever called, two endpoints that both may be picked, nothing to be skipped. */

/* What an average counts while calls are under way and nothing is heard. */
static inline float memo__cost_while_busy(float cost, int64_t silent_ns)
{
    float silent = (float)silent_ns * 1e-3f;
    if (silent > MEMO__COST_UNKNOWN)
        silent = MEMO__COST_UNKNOWN;
    return silent > cost ? silent : cost;
}

/* A weight is used as its inverse. */
static inline float memo__per_weight(uint32_t weight) { return 1.0f / (float)(int32_t)weight; }

static inline float memo__cost_times_busy(bool measured, float cost, int32_t inflight, float per_weight)
{
    int32_t busy = inflight > 0 ? inflight : 0;
    if (!measured && busy)
        cost = MEMO__COST_UNKNOWN;
    else if (cost < MEMO__COST_FLOOR)
        cost = MEMO__COST_FLOOR;
    return cost * (float)(busy + 1) * per_weight;
}

/* The score of an endpoint that one stripe alone ever called. With nothing under way, whether it was ever measured does not matter. */
static inline float memo__balance_score_of_one(const struct memo__endpoint_part *p, memo__instant now, float per_weight, float scale)
{
    float cost = memo__cost_load(p);
    int32_t inflight = memo__load(&p->inflight);
    int64_t silent = memo__since(now, memo__load(&p->stamp));
    if (__builtin_expect(inflight > 0, 0))
        return memo__cost_times_busy(cost != 0.0f, memo__cost_while_busy(cost, silent), inflight, per_weight);
    cost *= memo__decay(silent, scale);
    return (cost < MEMO__COST_FLOOR ? MEMO__COST_FLOOR : cost) * per_weight;
}

/* An endpoint as the short way draws it: what a score needs, in one place. Made by the owner from those that may be picked. */
struct memo__lot {
    unsigned char *parts;  /* stripe 0's part of it */
    uint32_t part_stride;
    float per_weight;
    uint32_t slot, entry;  /* entry: as the owner counts them; not looked at here */
};

static inline struct memo__lot memo__lot_of(const struct memo__fleet *f, uint32_t slot, uint32_t weight, uint32_t entry)
{
    return (struct memo__lot){ (unsigned char *)memo__fleet_part(f, 0, slot), (uint32_t)f->chunks[memo__fleet_chunk_of(slot)].part_stride,
                               memo__per_weight(weight), slot, entry };
}

static inline struct memo__endpoint_part *memo__lot_part(const struct memo__lot *l, uint32_t stripe)
{
    return (struct memo__endpoint_part *)(void *)(l->parts + (size_t)stripe * l->part_stride);
}

struct memo__drawn { const struct memo__lot *lot, *other; float score, other_score; };

/* Draws two of n >= 2 and picks the one that costs less, the first if they are equal: what memo__balance_pick does where none is ejected or tried,
 * endpoints have no breakers, none is young, and no other stripe ever called. The answer is this stripe's part of it. */
static inline struct memo__endpoint_part *memo__balance_draw(const struct memo__lot *lots, uint32_t n, struct memo__stripe stripe, float scale,
                                                             memo__instant now, uint64_t draw, struct memo__drawn *out)
{
    uint32_t i = memo__draw_below(draw, n), j = memo__draw_below(draw << 32, n - 1); /* the draw's other half */
    j += j >= i;
    const struct memo__lot *a = &lots[i], *b = &lots[j];
    struct memo__endpoint_part *p = memo__lot_part(a, stripe.index), *q = memo__lot_part(b, stripe.index);
    float first = memo__balance_score_of_one(p, now, a->per_weight, scale), second = memo__balance_score_of_one(q, now, b->per_weight, scale);
    if (second < first) {
        *out = (struct memo__drawn){ b, a, second, first };
        return q;
    }
    *out = (struct memo__drawn){ a, b, first, second };
    return p;
}

static inline void memo__balance_start_at(struct memo__endpoint_part *p, struct memo__stripe stripe)
{
    memo__stripe_add32(stripe, (uint32_t *)(void *)&p->inflight, 1);
}

/* It ended and teaches nothing. */
static inline void memo__balance_cancel(const struct memo__fleet *f, struct memo__stripe stripe, uint32_t slot)
{
    memo__stripe_add32(stripe, (uint32_t *)(void *)&memo__fleet_part(f, stripe.index, slot)->inflight, UINT32_MAX);
}

/* It ended. The average rises at once and falls with the rule's decay, whose scale this is (peak EWMA, Finagle); a failure is charged with at least
 * `penalty` ns. */
static inline void memo__balance_learn(struct memo__endpoint_part *p, struct memo__stripe stripe, float scale, memo__instant now, int64_t latency_ns,
                                       bool failed, int64_t penalty)
{
    memo__stripe_add32(stripe, (uint32_t *)(void *)&p->inflight, UINT32_MAX);
    float cost = memo__cost_load(p), seen = (float)(failed && latency_ns < penalty ? penalty : latency_ns) * 1e-3f;
    if (seen < MEMO__COST_FLOOR)
        seen = MEMO__COST_FLOOR;
    if (seen < cost)
        seen += (cost - seen) * memo__decay(memo__since(now, memo__load(&p->stamp)), scale);
    memo__cost_store(p, seen);
    memo__store(&p->stamp, now);
}

static inline void memo__balance_done(const struct memo__fleet *f, struct memo__stripe stripe, uint32_t slot, const struct memo__balance_rule *rule,
                                      memo__instant now, int64_t latency_ns, bool failed, int64_t penalty)
{
    memo__balance_learn(memo__fleet_part(f, stripe.index, slot), stripe, memo__decay_scale(rule->decay), now, latency_ns, failed, penalty);
}
#endif
