/* SPDX-License-Identifier: Apache-2.0 */
/* balance_peak_ewma.c: two at random, and of them the one that costs less (Mitzenmacher 2001; Finagle's PeakEwma).
 *
 *   cost = average latency * (calls under way + 1) / weight
 *
 * Averages are kept per stripe, so they are merged here: the mean over the active stripes, weighted by recency exp(-age/decay), times the recency
 * of the freshest. A mean, not the maximum: with many threads the maximum is everybody's worst hiccup and says little about the endpoint, while one
 * slow answer among 16 stripes still moves the mean by its size / 16. The last factor lets an average fade when nobody calls, so that an endpoint
 * that was slow is asked again. Calls under way are summed over the stripes.
 *
 * An average fades for the first call only: while calls are under way it counts as it was, or as long as nothing was heard of the endpoint (up to
 * 100 ms), whichever is more. Else one that was idle, and so costs next to nothing, and now hangs, would be given calls until their number makes up
 * for that: dozens, before the first of them times out.
 *
 * One that was never measured costs next to nothing until it has a call under way, and then as much as 100 ms: newcomers are tried at once, by one
 * call at a time. */
#include "policy/slow_start.h"

#define MORE_DRAWS 8 /* if one of the two may not be picked; beyond, a scan */

struct cost { float sum, plain, recency, freshest; memo__instant heard; uint32_t measured; int32_t inflight; };

static void add_part(struct cost *c, const struct memo__endpoint_part *p, memo__instant now, float scale)
{
    float cost = memo__cost_load(p);
    c->inflight += memo__load(&p->inflight);
    if (cost == 0.0f)
        return;
    memo__instant stamp = memo__load(&p->stamp);
    float recency = memo__decay(memo__since(now, stamp), scale);
    c->heard = stamp > c->heard ? stamp : c->heard;
    c->sum += cost * recency;
    c->plain += cost;
    c->recency += recency;
    c->freshest = recency > c->freshest ? recency : c->freshest;
    c->measured++;
}

static float score_of_many(const struct memo__pick_request *q, uint32_t i, float scale)
{
    struct cost c = { 0, 0, 0, 0, 0, 0, 0 };
    uint32_t slot = q->from->slots[i], k = memo__fleet_chunk_of(slot);
    size_t stride = q->fleet->chunks[k].part_stride;
    const unsigned char *part = q->fleet->chunks[k].parts + memo__fleet_offset_of(slot, k) * sizeof(struct memo__endpoint_part);
    for (uint32_t stripes = q->stripes_active; stripes; stripes &= stripes - 1)
        add_part(&c, (const struct memo__endpoint_part *)(const void *)(part + (uint32_t)__builtin_ctz(stripes) * stride), q->now, scale);
    float mean = c.recency > 0.0f ? c.sum / c.recency : c.measured ? c.plain / (float)c.measured : 0.0f;
    return memo__cost_times_busy(c.measured != 0, c.inflight > 0 ? memo__cost_while_busy(mean, memo__since(q->now, c.heard)) : mean * c.freshest, c.inflight,
                                 memo__per_weight(q->from->weights[i]));
}

static float score(const struct memo__pick_request *q, uint32_t i, float scale)
{
    if (q->stripes_active & (q->stripes_active - 1))
        return score_of_many(q, i, scale);
    return memo__balance_score_of_one(memo__fleet_part(q->fleet, q->stripe.index, q->from->slots[i]), q->now, memo__per_weight(q->from->weights[i]),
                                      scale);
}

float memo__balance_score(const struct memo__pick_request *q, uint32_t i)
{
    return score(q, i, memo__decay_scale(q->rule->decay));
}

/* Of two, the one that costs less; the first if they are equal. */
static int32_t better(const struct memo__pick_request *q, uint32_t i, uint32_t j, float scale, uint8_t flags, struct memo__pick *out)
{
    float first = score(q, i, scale), second = score(q, j, scale);
    bool swap = second < first;
    out->index = swap ? j : i;
    out->slot = q->from->slots[out->index];
    out->other_slot = q->from->slots[swap ? i : j];
    out->score = swap ? second : first;
    out->other_score = swap ? first : second;
    out->flags = flags;
    return MEMO_OK;
}

/* One that is the only one, or was found by a scan. */
static int32_t alone(const struct memo__pick_request *q, uint32_t i, float scale, struct memo__pick *out)
{
    out->index = i;
    out->slot = q->from->slots[i];
    out->score = score(q, i, scale);
    return MEMO_OK;
}

static bool add(const struct memo__pick_request *q, uint32_t i, bool panic, struct memo__pick *out)
{
    enum memo__pickable may = memo__balance_may(q, i, panic, false);
    out->flags |= memo__balance_flag(may);
    return may == MEMO__PICKABLE && (memo__slow_start_over(q) || !memo__slow_start_passes(q, i, memo__mix64(q->draw + i)));
}

/* Some may not be picked: draws on until it has two, then scans. i and j were drawn first; equal if there is but one. */
static int32_t pick_among_some(const struct memo__pick_request *q, uint32_t i, uint32_t j, float scale, struct memo__pick *out)
{
    uint32_t n = q->from->count, two[2], found = 0;
    bool panic = memo__balance_panic(q);
    uint64_t state = q->draw;
    *out = (struct memo__pick){ MEMO__NO_SLOT, 0, MEMO__NO_SLOT, 0, 0, panic ? MEMO__PICK_PANIC : 0 };
    if (add(q, i, panic, out))
        two[found++] = i;
    if (j != i && add(q, j, panic, out))
        two[found++] = j;
    for (uint32_t more = 0; found < 2 && n > 2 && more < MORE_DRAWS; more++) {
        uint32_t k = memo__draw_below(memo__draw_next(&state), n);
        if ((found == 0 || two[0] != k) && add(q, k, panic, out))
            two[found++] = k;
    }
    if (found == 2)
        return better(q, two[0], two[1], scale, out->flags, out);
    if (found == 1)
        return alone(q, two[0], scale, out);
    int32_t status = memo__balance_scan(q, i, panic, out);
    return status == MEMO_OK ? alone(q, out->index, scale, out) : status;
}

static int32_t pick(const struct memo__pick_request *q, struct memo__pick *out)
{
    const struct memo__candidates *from = q->from;
    bool nothing_to_skip = (q->tried_count | q->ejected) == 0 && !q->instance_breaker && memo__slow_start_over(q);
    if (from->count == 0) {
        *out = (struct memo__pick){ MEMO__NO_SLOT, 0, MEMO__NO_SLOT, 0, 0, 0 };
        return MEMO_REFUSED_NO_ENDPOINT;
    }
    float scale = memo__decay_scale(q->rule->decay);
    uint32_t i = memo__draw_below(q->draw, from->count), j = i;
    if (from->count > 1) {
        j = memo__draw_below(q->draw << 32, from->count - 1); /* the draw's other half, as in memo__balance_draw */
        j += j >= i;
        if (nothing_to_skip && from->weights[i] && from->weights[j])
            return better(q, i, j, scale, 0, out);
    }
    return pick_among_some(q, i, j, scale, out);
}

const struct memo__balancer memo__balance_peak_ewma = { "peak-ewma", MEMO__SCORE_COST, pick, NULL, NULL };
