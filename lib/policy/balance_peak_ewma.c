/* SPDX-License-Identifier: Apache-2.0 */
/* balance_peak_ewma.c: two at random, and of them the one that costs less (Mitzenmacher 2001; Finagle's PeakEwma).
 *
 *   cost = average latency * (calls under way + 1) / weight
 *
 * Averages are kept per stripe, so they are merged here: the mean over the active stripes, weighted by recency exp(-age/decay), times the recency of the freshest. A mean, not the maximum:
 * with many threads the maximum is everybody's worst hiccup and says little about the endpoint, while one slow answer among 16 stripes still moves the mean by its size / 16. The last factor
 * lets an average fade when nobody calls, so that an endpoint that was slow is asked again. Calls under way are summed over the stripes.
 *
 * One that was never measured costs next to nothing until it has a call under way, and then as much as 100 ms: newcomers are tried at once, by one call at a time. */
#include "policy/balance.h"

#define MORE_DRAWS 8 /* if one of the two may not be picked; beyond, a scan */

struct cost { float sum, recency, freshest; uint32_t measured; int32_t inflight; };

static void add_part(struct cost *c, const struct memo__endpoint_part *p, memo__instant now, float scale)
{
    float cost = memo__cost_load(p);
    c->inflight += memo__load(&p->inflight);
    if (cost == 0.0f)
        return;
    float recency = memo__decay(memo__since(now, memo__load(&p->stamp)), scale);
    c->sum += cost * recency;
    c->recency += recency;
    c->freshest = recency > c->freshest ? recency : c->freshest;
    c->measured++;
}

static float merged(const struct cost *c, uint32_t busy)
{
    if (c->measured == 0)
        return busy ? MEMO__COST_UNKNOWN : MEMO__COST_FLOOR;
    float cost = c->measured == 1 || c->recency == 0.0f ? c->sum : c->sum / c->recency * c->freshest;
    return cost > MEMO__COST_FLOOR ? cost : MEMO__COST_FLOOR;
}

static float score(const struct memo__pick_request *q, uint32_t i, float scale)
{
    uint32_t slot = q->from->slots[i], k = memo__fleet_chunk_of(slot);
    const struct memo__fleet_chunk *chunk = &q->fleet->chunks[k];
    const unsigned char *first = chunk->parts + memo__fleet_offset_of(slot, k) * sizeof(struct memo__endpoint_part);
    struct cost c = { 0, 0, 0, 0, 0 };
    for (uint32_t stripes = q->stripes_active; stripes; stripes &= stripes - 1)
        add_part(&c, (const struct memo__endpoint_part *)(const void *)(first + (uint32_t)__builtin_ctz(stripes) * chunk->part_stride), q->now, scale);
    uint32_t busy = c.inflight > 0 ? (uint32_t)c.inflight : 0;
    return merged(&c, busy) * (float)(busy + 1) / (float)q->from->weights[i];
}

float memo__balance_score(const struct memo__pick_request *q, uint32_t i)
{
    return score(q, i, memo__decay_scale(q->rule->decay));
}

/* Draws until two may be picked; how many it found. */
static uint32_t draw_two(const struct memo__pick_request *q, bool panic, uint32_t two[2], struct memo__pick *out)
{
    uint32_t n = q->from->count, found = 0, i = memo__draw_below(q->draw, n), j = i;
    if (n > 1) {
        j = memo__draw_below(q->draw << 32, n - 1); /* the draw's other half */
        j += j >= i;
    }
    enum memo__pickable may = memo__balance_may(q, i, panic, false);
    out->flags |= memo__balance_flag(may);
    if (may == MEMO__PICKABLE)
        two[found++] = i;
    if (j != i) {
        may = memo__balance_may(q, j, panic, false);
        out->flags |= memo__balance_flag(may);
        if (may == MEMO__PICKABLE)
            two[found++] = j;
    }
    uint64_t state = q->draw;
    for (uint32_t more = 0; found < 2 && n > 2 && more < MORE_DRAWS; more++) {
        i = memo__draw_below(memo__draw_next(&state), n);
        if ((found == 0 || two[0] != i) && memo__balance_may(q, i, panic, false) == MEMO__PICKABLE)
            two[found++] = i;
    }
    return found;
}

static int32_t pick(const struct memo__pick_request *q, struct memo__pick *out)
{
    uint32_t two[2];
    *out = (struct memo__pick){ MEMO__NO_SLOT, 0, MEMO__NO_SLOT, 0, 0, 0 };
    if (q->from->count == 0)
        return MEMO_REFUSED_NO_ENDPOINT;
    bool panic = memo__balance_panic(q);
    out->flags = panic ? MEMO__PICK_PANIC : 0;
    float scale = memo__decay_scale(q->rule->decay);
    uint32_t found = draw_two(q, panic, two, out);
    if (found == 0) {
        int32_t status = memo__balance_scan(q, memo__draw_below(q->draw, q->from->count), panic, out);
        if (status == MEMO_OK)
            out->score = score(q, out->index, scale);
        return status;
    }
    out->score = score(q, two[0], scale);
    out->index = two[0];
    if (found == 2) {
        float other = score(q, two[1], scale);
        bool second = other < out->score;
        out->index = two[second];
        out->other_slot = q->from->slots[two[!second]];
        out->other_score = second ? out->score : other;
        out->score = second ? other : out->score;
    }
    out->slot = q->from->slots[out->index];
    return MEMO_OK;
}

const struct memo__balancer memo__balance_peak_ewma = { "peak-ewma", pick };
