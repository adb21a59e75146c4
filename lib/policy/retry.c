/* SPDX-License-Identifier: Apache-2.0 */
/* retry.c: the decision in its order, backoff, and the bucket of retries. */
#include "policy/retry.h"

#include <string.h>
#include "base/rng.h"

void memo__budget_init(struct memo__budget *b, const struct memo__striped *parts)
{
    memset(b, 0, sizeof *b);
    for (uint32_t i = 0; i < parts->count; i++)
        MEMO__PART(struct memo__budget_part, parts, i)->deposits = 0;
}

static uint64_t deposits(const struct memo__striped *parts)
{
    uint64_t sum = MEMO__BUDGET_CAP; /* to start with */
    for (uint32_t i = 0; i < parts->count; i++)
        sum += memo__load(&MEMO__PART(struct memo__budget_part, parts, i)->deposits);
    return sum;
}

/* What is there, at most the cap. A sum that another thread read earlier may be older than what was consumed meanwhile: nothing is there then. */
static uint64_t balance(uint64_t sum, uint64_t consumed)
{
    int64_t there = (int64_t)(sum - consumed);
    return there <= 0 ? 0 : (uint64_t)there < MEMO__BUDGET_CAP ? (uint64_t)there : MEMO__BUDGET_CAP;
}

bool memo__budget_withdraw(struct memo__budget *b, const struct memo__striped *parts)
{
    uint64_t consumed = memo__load(&b->consumed), sum = deposits(parts), there = balance(sum, consumed);
    while (there >= MEMO__TOKEN) {
        if (memo__cas(&b->consumed, &consumed, sum - there + MEMO__TOKEN))
            return true;
        there = balance(sum, consumed);
    }
    return false;
}

void memo__budget_give(struct memo__budget *b)
{
    (void)memo__fetch_sub(&b->consumed, MEMO__TOKEN);
}

uint64_t memo__budget_read(const struct memo__budget *b, const struct memo__striped *parts)
{
    uint64_t consumed = memo__load(&b->consumed);
    return balance(deposits(parts), consumed);
}

static bool status_listed(const struct memo__retry_rule *rule, int32_t http, int32_t grpc)
{
    if (grpc > 0)
        return grpc < 32 && (rule->on_grpc >> grpc & 1);
    uint32_t bit = (uint32_t)http - 100;
    return http >= 100 && bit < 512 && (rule->on_http[bit / 64] >> (bit % 64) & 1);
}

static bool listed(const struct memo__retry_rule *rule, const struct memo__retry_facts *f)
{
    switch (f->kind) {
    case MEMO_OUTCOME_REPLIED: return status_listed(rule, f->http, f->grpc);
    case MEMO_OUTCOME_CONNECT_FAILED: return rule->on & MEMO__ON_CONNECT_FAILURE;
    case MEMO_OUTCOME_RESET: return rule->on & MEMO__ON_RESET;
    case MEMO_OUTCOME_TIMED_OUT: return rule->on & MEMO__ON_TIMEOUT;
    default: return false; /* not its protocol, or beyond a cap: it would be again */
    }
}

static bool failure(const struct memo__retry_facts *f)
{
    return f->kind != MEMO_OUTCOME_REPLIED || f->grpc > 0 || f->http >= 400;
}

static int64_t backoff(const struct memo__retry_rule *rule, uint32_t attempt, uint64_t draw)
{
    int64_t wait = rule->backoff_initial;
    for (uint32_t i = 1; i < attempt && wait < rule->backoff_max; i++)
        wait = (int64_t)((unsigned __int128)(uint64_t)wait * rule->backoff_multiplier / 1000 & INT64_MAX);
    if (wait > rule->backoff_max)
        wait = rule->backoff_max;
    if (rule->jitter == MEMO__JITTER_NONE)
        return wait;
    return (int64_t)((unsigned __int128)draw * ((uint64_t)wait + 1) >> 64); /* uniform in [0, wait] */
}

static enum memo__retry_reason may_retry(const struct memo__retry_rule *rule, const struct memo__retry_facts *f)
{
    if (f->kind == MEMO_OUTCOME_CANCELLED)
        return MEMO__RETRY_CANCELLED;
    if (!listed(rule, f))
        return failure(f) ? MEMO__RETRY_NOT_LISTED : MEMO__RETRY_NOT_NEEDED;
    if (f->attempt >= rule->attempts || f->attempt >= MEMO__ATTEMPTS_MAX)
        return MEMO__RETRY_ATTEMPTS;
    if (f->sent && !(rule->methods & f->method))
        return MEMO__RETRY_METHOD;
    return MEMO__RETRY_YES;
}

void memo__retry_decide(const struct memo__retry_rule *rule, const struct memo__retry_facts *facts, struct memo__retry_plan *out)
{
    *out = (struct memo__retry_plan){ false, may_retry(rule, facts), 0 };
    if (out->reason != MEMO__RETRY_YES)
        return;
    out->wait = backoff(rule, facts->attempt, facts->draw);
    if (out->wait >= facts->left)
        out->reason = MEMO__RETRY_DEADLINE;
    if (facts->retry_after > out->wait) {
        out->wait = facts->retry_after;
        if (out->wait >= facts->left)
            out->reason = MEMO__RETRY_AFTER;
    }
    out->again = out->reason == MEMO__RETRY_YES;
}

void memo__retry_plan_next(const struct memo__retry_rule *rule, const struct memo__retry_facts *facts, struct memo__budget *b, const struct memo__striped *parts,
                           struct memo__retry_plan *out)
{
    memo__retry_decide(rule, facts, out);
    if (out->again && (rule->budget == 0 || !memo__budget_withdraw(b, parts)))
        *out = (struct memo__retry_plan){ false, MEMO__RETRY_BUDGET, out->wait };
}

const char *memo__retry_reason_text(enum memo__retry_reason r)
{
    static const char *const text[] = { "retry", "not needed", "cancelled", "attempts used", "not listed", "method", "retry-after", "no time left", "budget" };
    return (size_t)r < sizeof text / sizeof *text ? text[r] : "?";
}
