/* SPDX-License-Identifier: Apache-2.0 */
/* record.h: what one call remembers, inside the caller's 512 bytes: enough to go on, to give everything back, and to explain itself.
 *
 * No pointers: the service is a slot and a ticket of the directory, endpoints are a slot and a generation of the service's fleet, breakers and the bulkhead are ids of organs. Whatever has
 * been replaced meanwhile is simply not found any more, and late reports are dropped. */
#ifndef MEMO__CALL_RECORD_H
#define MEMO__CALL_RECORD_H
#include <memo/call.h>
#include "base/instant.h"
#include "model/rules.h"
#include "policy/breaker.h"
#include "telemetry/trace.h"

#define MEMO__RECORD_PATH 38    /* bytes of the path that are kept for the explanation */
#define MEMO__RECORD_METHOD 8

enum memo__call_phase { MEMO__CALL_NONE = 0, MEMO__CALL_READY, MEMO__CALL_FLYING, MEMO__CALL_DONE, MEMO__CALL_REFUSED, MEMO__CALL_ENDED };

enum { /* flags of an attempt */
    MEMO__TRY_REPORTED = 1, MEMO__TRY_FAILED = 2, MEMO__TRY_IGNORED = 4, MEMO__TRY_OTHER = 8 /* a second candidate was scored */,
    MEMO__TRY_PANIC = 16, MEMO__TRY_AGAIN = 32 /* the same endpoint again: nothing else was left */,
    MEMO__TRY_WOULD = 64 /* its endpoint's breaker would have refused, and is only observed */
};

enum { MEMO__HASHED_NOT = 0, MEMO__HASHED_KEY, MEMO__HASHED_DRAWN /* there was none */ };

#define MEMO__TICK 1024 /* ns: moments within a call are kept in ticks, up to 73 minutes after its beginning */

static inline uint32_t memo__ticks_of(int64_t ns)
{
    return ns < (int64_t)UINT32_MAX * MEMO__TICK ? (uint32_t)(ns / MEMO__TICK) : UINT32_MAX; /* ns >= 0 */
}

struct memo__try { /* one attempt: 48 bytes */
    uint32_t slot, generation;
    uint32_t other_slot, other_generation;
    float score, other_score;
    uint32_t start, end;            /* since the call began, in ticks */
    struct memo__permit permit;     /* of the endpoint's own breaker */
    int16_t http;
    int8_t grpc;
    uint8_t kind;                   /* MEMO_OUTCOME_... */
    uint8_t flags;
    uint8_t again;                  /* enum memo__retry_reason */
    uint16_t wait_ms;               /* backoff before the next, as far as it fits: for the explanation */
};

/* An endpoint whose own breaker refused when a call was stopped by that: half an attempt, where attempts would be that are not made any more. */
struct memo__refusing { uint32_t slot, generation, calls, failed, slow, phase; };
_Static_assert(2 * sizeof(struct memo__refusing) == sizeof(struct memo__try), "two in the place of one attempt");

#define MEMO__REFUSING_MAX 4 /* at most; one attempt is left at least, which is room for two */

struct memo__record {
    size_t size;                    /* of memo_call */
    uint64_t ticket;                /* says that this was begun, in which process, and with the slot for which service; see directory.h */
    uint32_t service;
    uint8_t phase, attempts, method, route;
    memo__instant begun, deadline, last;
    uint64_t id;                    /* for people: the first four digits name the call; spans are drawn from it */
    uint64_t revision, view_revision; /* of rules and view */
    uint64_t hashes[MEMO__LIMITS_MAX]; /* of the values that the route's keyed limits were asked with */
    struct memo__trace trace;       /* span: the parent's */
    uint8_t noted;                  /* what stood where was written, at the first failure or refusal */
    uint8_t breaker_phase;          /* noted */
    uint8_t budget;                 /* noted: tenths of tokens */
    uint8_t refusing;               /* endpoints whose own breakers refused when that stopped the call; the first few are told in refusers */
    uint8_t refused_kind, refused_by; /* MEMO__GATE_..., and which limit: index into the service's limits */
    int64_t age_ms;                 /* of the view at begin, -1 unproven */
    int32_t status;                 /* of a refusal, else of the call */
    uint32_t breaker, bulkhead;     /* ids of organs, 0: none */
    struct memo__permit permit;     /* of the breaker */
    uint32_t wait_ms;               /* before the attempt that comes next */
    uint8_t would, taken;           /* bits of memo__gate_result; limits count as in the route's gate */
    uint8_t why, why_route, why_want; /* the first route that was not taken */
    uint8_t view_state, subset, probe;
    uint8_t hashed;                 /* MEMO__HASHED_... */
    uint8_t inbound : 1;            /* not a call: a request that this process received, and refused */
    uint8_t stopped : 1;            /* admitted, and then there was no (further) attempt to make: status says why */
    char method_text[MEMO__RECORD_METHOD];
    char path[MEMO__RECORD_PATH];
    union {                         /* from here on nothing is cleared when a call begins: who has not written does not read */
        struct memo__try tries[MEMO__ATTEMPTS_MAX];
        struct memo__refusing refusers[2 * MEMO__ATTEMPTS_MAX];
    };
    uint32_t breaker_calls, breaker_failed, breaker_slow; /* noted: its window, of one that has turned: before the turn */
    uint32_t limit_left;            /* noted: tokens of the limit that memo__standing_limit names */
    uint32_t would_calls, would_failed, would_slow; /* of the breaker of the first attempt that is marked MEMO__TRY_WOULD */
    uint8_t would_phase, would_number; /* of which attempt that is, from 1 */
    uint8_t budgets[MEMO__ATTEMPTS_MAX]; /* after the decision on each attempt that asked for another: tenths of tokens */
    uint32_t tag;                   /* of the route, and in its lower half of the subset: how they are found again in rules that were reloaded meanwhile. Written by begin */
    uint64_t hash;                  /* of the call's key, for ring hash; written if hashed says so */
};
_Static_assert(sizeof(struct memo__record) <= sizeof(memo_call), "memo_call is frozen at 512 bytes");

/* The i-th endpoint that refused: from the end, since attempts are at the beginning. */
static inline uint32_t memo__record_refuser(uint32_t i)
{
    return 2 * MEMO__ATTEMPTS_MAX - 1 - i;
}

static inline uint32_t memo__record_refusers_most(const struct memo__record *k)
{
    uint32_t room = 2u * (MEMO__ATTEMPTS_MAX - k->attempts);
    return room < MEMO__REFUSING_MAX ? room : MEMO__REFUSING_MAX;
}

static inline struct memo__record *memo__record_of(memo_call *k)
{
    return (struct memo__record *)(void *)k;
}
#endif
