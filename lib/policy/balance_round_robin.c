/* SPDX-License-Identifier: Apache-2.0 */
/* balance_round_robin.c: each in turn, whatever its weight (but 0).
 *
 * A word per stripe, so that threads share nothing; stripes start at different places (golden ratio), or they would walk in step. The word moves
 * past those that were skipped, so that the neighbour of an ejected endpoint does not get twice its share. */
#include "policy/balance.h"

static int32_t pick(const struct memo__pick_request *q, struct memo__pick *out)
{
    uint32_t n = q->from->count, turn = memo__load(q->cursor);
    if (!memo__balance_begin(q, out))
        return MEMO_REFUSED_NO_ENDPOINT;
    bool panic = memo__balance_panic(q);
    uint32_t start = (turn + q->stripe.index * 0x9e3779b9u) % n;
    int32_t status = memo__balance_scan(q, start, panic, out);
    if (panic)
        out->flags |= MEMO__PICK_PANIC;
    if (status == MEMO_OK)
        memo__stripe_add32(q->stripe, q->cursor, 1 + (out->index >= start ? out->index - start : out->index + n - start));
    return status;
}

const struct memo__balancer memo__balance_round_robin = { "round-robin", MEMO__SCORE_NONE, pick, NULL, NULL };
