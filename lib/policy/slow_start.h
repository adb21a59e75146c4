/* SPDX-License-Identifier: Apache-2.0 */
/* slow_start.h: how much of its weight does an endpoint get that has joined just now?
 *
 *   share = max(minWeight, (age / window) ^ (1 / aggression))       Envoy's slow start; an age counts at least a second
 *
 *   aggression 1: a straight line     2: faster at first (a root)     0.5: slower at first (a square)
 *
 * The age is that of its being known here. What is there when a service is first seen is old: there is nobody to spare it. Where all that are left
 * are young, they are measured by the oldest of them: together they have to bear everything anyway.
 *
 * A policy passes over a young one with the chance that its share lacks, and looks further, so that tables of weights stay as they are. */
#ifndef MEMO__POLICY_SLOW_START_H
#define MEMO__POLICY_SLOW_START_H
#include "model/rules.h"
#include "policy/balance.h"

/* Of its weight, above 0, at most 1. */
float memo__slow_start_share(const struct memo__slow_start_rule *rule, int64_t age);
/* Looks how old these candidates are, for the policies. The owner does so once for each list. */
void memo__slow_start_see(struct memo__candidates *c, const struct memo__fleet *f, const struct memo__slow_start_rule *rule);
/* The share of candidate i, measured by the oldest. */
float memo__slow_start_of(const struct memo__pick_request *q, uint32_t i);

/* Is none of them young (any more)? */
static inline bool memo__slow_start_over(const struct memo__pick_request *q)
{
    return q->now >= q->from->warm_at;
}

/* Is candidate i passed over, by this draw? */
static inline bool memo__slow_start_passes(const struct memo__pick_request *q, uint32_t i, uint64_t draw)
{
    return (float)(draw >> 40) >= memo__slow_start_of(q, i) * 16777216.0f;
}

/* Its weight, as it counts now. */
static inline float memo__slow_start_weight(const struct memo__pick_request *q, uint32_t i)
{
    float weight = (float)q->from->weights[i];
    return memo__slow_start_over(q) ? weight : weight * memo__slow_start_of(q, i);
}
#endif
