/* SPDX-License-Identifier: Apache-2.0 */
/* retry.h: is it worth another attempt, and when?
 *
 * Asked in this order, and the first no is the reason: was it cancelled, is the outcome listed, are attempts left, may this method be sent twice (a
 * request that was never sent: any), do backoff and Retry-After fit into the time left, budget. Backoff: initial * multiplier^(n-1), at most max,
 * times a uniform draw ("full jitter", Brooker 2015).
 *
 * The budget is a bucket of 10 tokens, full at first: every call adds `budget` of a token, every retry takes a whole one (as gRPC A6 and Finagle's
 * RetryBudget). It is taken when the retry is decided, before its wait: retries in backoff count. Calls only add to a word of their stripe; a retry
 * sums them up and compares with what was ever consumed; what would be beyond 10 is forfeited then, which is the same as if it had never been
 * added. A budget of 0 forbids retries. */
#ifndef MEMO__POLICY_RETRY_H
#define MEMO__POLICY_RETRY_H
#include <memo/call.h>
#include "base/instant.h"
#include "base/stripe.h"
#include "model/rules.h"

#define MEMO__TOKEN UINT64_C(1000000)             /* one retry, in millionths: a budget in ppm is added as it is */
#define MEMO__BUDGET_CAP (10 * MEMO__TOKEN)

struct memo__budget { /* shared; zeroed is full */
    uint64_t consumed;   /* ever, with what was forfeited; starts "minus 10 tokens" */
    uint64_t unused[7];
};

struct memo__budget_part { uint64_t deposits; }; /* ever; may lie in a bigger part of the owner */

/* Every logical call, once, when it begins. */
static inline void memo__budget_deposit(const struct memo__striped *parts, struct memo__stripe stripe, const struct memo__retry_rule *rule)
{
    memo__stripe_add64(stripe, &MEMO__PART(struct memo__budget_part, parts, stripe.index)->deposits, rule->budget);
}

void memo__budget_init(struct memo__budget *b, const struct memo__striped *parts);
bool memo__budget_withdraw(struct memo__budget *b, const struct memo__striped *parts);
void memo__budget_give(struct memo__budget *b);                                           /* a retry that was decided and not sent */
uint64_t memo__budget_read(const struct memo__budget *b, const struct memo__striped *parts); /* in millionths of a token */

struct memo__retry_facts {
    uint32_t attempt;       /* number of the attempt that ended: 1 is the first */
    int32_t kind;           /* MEMO_OUTCOME_... */
    int32_t http, grpc;     /* 0 or less: none */
    uint32_t method;        /* its bit, 0 unknown */
    bool sent;              /* was the request possibly sent? false for every connect failure */
    int64_t left;           /* ns until the deadline of the call */
    int64_t retry_after;    /* ns; 0 or less: not asked for */
    uint64_t draw;
};

enum memo__retry_reason {
    MEMO__RETRY_YES = 0,
    MEMO__RETRY_NOT_NEEDED,   /* it was no failure and is not listed */
    MEMO__RETRY_CANCELLED,    /* the caller gave up */
    MEMO__RETRY_ATTEMPTS,     /* all attempts used, or retries are off */
    MEMO__RETRY_NOT_LISTED,   /* a failure that the rules do not retry */
    MEMO__RETRY_METHOD,       /* may have been sent, and this method is not to be sent twice */
    MEMO__RETRY_AFTER,        /* the peer wants to be left alone for longer than there is time */
    MEMO__RETRY_DEADLINE,     /* the wait would use up the time left */
    MEMO__RETRY_BUDGET        /* too many retries lately */
};

struct memo__retry_plan {
    bool again;
    enum memo__retry_reason reason;
    int64_t wait;             /* ns before the next attempt */
};

/* Without the budget: pure. */
void memo__retry_decide(const struct memo__retry_rule *rule, const struct memo__retry_facts *facts, struct memo__retry_plan *out);
/* With it: a plan that says "again" has taken its token. */
void memo__retry_plan_next(const struct memo__retry_rule *rule, const struct memo__retry_facts *facts, struct memo__budget *b, const struct memo__striped *parts,
                           struct memo__retry_plan *out);
const char *memo__retry_reason_text(enum memo__retry_reason r); /* for explain: "budget", "method", ... */
#endif
