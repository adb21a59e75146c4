/* SPDX-License-Identifier: Apache-2.0 */
/* balance_least_request.c: of some at random, the one with the fewest calls under way, per weight (Envoy LEAST_REQUEST, gRPC A48; Mitzenmacher 2001).
 *
 *   load = calls under way / weight        choices: 2 to 10 of them, drawn by weight; of equal loads the one that was drawn first
 *
 * Envoy compares plain calls while weights are equal, and else turns to a schedule by weight / (calls + 1). Here one rule does both: as long as
 * nobody has a call under way, the first draw decides, so shares are as the weights; under load the calls under way are. With calls + 1 in the place
 * of calls, a heavy endpoint would win every comparison of idle ones. Uniform draws would ask a light one as often as a heavy one, and leave the
 * heavy ones idle.
 *
 * Calls under way are those of this process, summed over its stripes; latency and failures are not looked at (peak EWMA does that), so one that fails
 * fast has few: have "outlier" on. */
#include "policy/alias.h"
#include "policy/slow_start.h"

#define DRAWS_PER_CHOICE 4 /* before fewer choices are looked at than there should be */

struct looked {
    uint32_t at[MEMO__CHOICES_MAX], count, best;
    float load, second_load;
    uint32_t second;               /* MEMO__NO_SLOT: none yet */
};

/* As if its weight were 100, which is what endpoints have that say nothing: so that it reads as a number of calls. */
static float load_of(const struct memo__pick_request *q, uint32_t i)
{
    int32_t calls = 0;
    for (uint32_t stripes = q->stripes_active; stripes; stripes &= stripes - 1)
        calls += memo__load(&memo__fleet_part(q->fleet, (uint32_t)__builtin_ctz(stripes), q->from->slots[i])->inflight);
    return (float)(calls > 0 ? calls : 0) * 100.0f / memo__slow_start_weight(q, i);
}

static bool known(const struct looked *l, uint32_t i)
{
    for (uint32_t k = 0; k < l->count; k++)
        if (l->at[k] == i)
            return true;
    return false;
}

/* pass: with what luck a young one is passed over. */
static void look(const struct memo__pick_request *q, uint32_t i, bool panic, uint64_t pass, struct looked *l, struct memo__pick *out)
{
    enum memo__pickable may = memo__balance_may(q, i, panic, false);
    out->flags |= memo__balance_flag(may);
    if (may != MEMO__PICKABLE || known(l, i) || (!memo__slow_start_over(q) && memo__slow_start_passes(q, i, pass)))
        return;
    float load = load_of(q, i);
    l->at[l->count++] = i;
    if (l->count == 1 || load < l->load) {
        l->second = l->count == 1 ? MEMO__NO_SLOT : q->from->slots[l->best];
        l->second_load = l->load;
        l->best = i;
        l->load = load;
    } else if (l->second == MEMO__NO_SLOT || load < l->second_load) {
        l->second = q->from->slots[i];
        l->second_load = load;
    }
}

static int32_t pick(const struct memo__pick_request *q, struct memo__pick *out)
{
    uint32_t n = q->from->count, choices = q->rule->choices, i = 0;
    if (!memo__balance_begin(q, out))
        return MEMO_REFUSED_NO_ENDPOINT;
    bool panic = memo__balance_panic(q), all = n <= choices;
    uint64_t draw = q->draw, state = q->draw;
    struct looked l = { .count = 0, .second = MEMO__NO_SLOT };
    out->flags = panic ? MEMO__PICK_PANIC : 0;
    for (uint32_t more = choices * DRAWS_PER_CHOICE; more && l.count < (all ? n : choices); more--, draw = memo__draw_next(&state)) {
        i = memo__alias_draw(q->from->table, n, draw);
        look(q, i, panic, memo__mix64(~draw), &l, out);
    }
    for (uint32_t k = 0; all && l.count < n && k < n; k++) /* so few are all looked at: those that luck has passed over come last */
        look(q, k, panic, memo__draw_next(&state), &l, out);
    int32_t status = l.count ? memo__balance_take(q, l.best, out) : memo__balance_scan(q, i, panic, out);
    if (status != MEMO_OK)
        return status;
    out->score = l.count ? l.load : load_of(q, out->index);
    out->other_slot = l.second;
    out->other_score = l.second_load;
    return MEMO_OK;
}

const struct memo__balancer memo__balance_least_request = { "least-request", MEMO__SCORE_CALLS, pick, memo__alias_size, memo__alias_build };
