/* SPDX-License-Identifier: Apache-2.0 */
/* balance_random.c: any of them, by weight (Envoy RANDOM, gRPC weighted_target's draw, brpc "wr").
 *
 * Nothing is remembered and nothing shared, so that processes cannot fall into step; the price is its spread: of m calls an endpoint with the share p
 * gets m * p, give or take the square root of m * p * (1 - p). One that may not be picked is drawn past, so that what it would have had goes to the
 * others by their weights; after some draws in vain, a scan. */
#include "policy/alias.h"
#include "policy/slow_start.h"

#define MORE_DRAWS 16

static int32_t take(const struct memo__pick_request *q, uint32_t i, struct memo__pick *out)
{
    out->score = memo__slow_start_weight(q, i);
    return memo__balance_take(q, i, out);
}

static int32_t pick(const struct memo__pick_request *q, struct memo__pick *out)
{
    if (!memo__balance_begin(q, out))
        return MEMO_REFUSED_NO_ENDPOINT;
    bool panic = memo__balance_panic(q), over = memo__slow_start_over(q);
    uint64_t draw = q->draw, state = q->draw;
    uint32_t i = 0;
    out->flags = panic ? MEMO__PICK_PANIC : 0;
    for (uint32_t more = 0; more < MORE_DRAWS; more++, draw = memo__draw_next(&state)) {
        i = memo__alias_draw(q->from->table, q->from->count, draw);
        enum memo__pickable may = memo__balance_may(q, i, panic, false);
        if (may == MEMO__PICKABLE && (over || !memo__slow_start_passes(q, i, memo__draw_next(&state))))
            return take(q, i, out);
        out->flags |= memo__balance_flag(may);
    }
    int32_t status = memo__balance_scan(q, i, panic, out);
    return status == MEMO_OK ? take(q, out->index, out) : status;
}

const struct memo__balancer memo__balance_random = { "random", MEMO__SCORE_WEIGHT, pick, memo__alias_size, memo__alias_build };
