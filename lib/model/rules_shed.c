/* SPDX-License-Identifier: Apache-2.0 */
/* rules_shed.c: the block "shed" of "inbound": how many requests may be under way, found by their latency. */
#include "model/rules_read.h"

#define AT(field) offsetof(struct memo__shed_rule, field)

static void begin(void *target)
{
    ((struct memo__shed_rule *)target)->on = true;
}

static void off(void *target)
{
    ((struct memo__shed_rule *)target)->on = false;
}

static const struct memo__rules_key keys[] = {
    { "mode", memo__read_mode, AT(mode), 0, 0, NULL, NULL },
    { "min", memo__read_count, AT(min), 1, 1000000, NULL, NULL },
    { "max", memo__read_count, AT(max), 1, 1000000, NULL, NULL },
    { "slowdown", memo__read_thousandths, AT(slowdown), 1100, 10000, NULL, NULL },
    { "window", memo__read_duration, AT(window), 10 * MEMO__MS, 60 * MEMO__S, NULL, NULL },
    { "probeEvery", memo__read_duration, AT(probe_every), MEMO__S, 3600 * MEMO__S, NULL, NULL },
};

static void check(struct memo__rules_reader *r, const struct memo__json_node *n, void *target, uint32_t given)
{
    const struct memo__shed_rule *rule = target;
    (void)given;
    if (rule->min > rule->max)
        memo__rules_error(r, n->at, "min %u is more than max %u", rule->min, rule->max);
}

const struct memo__rules_block memo__shed_block = { MEMO__KEYS(keys), begin, off, check };
