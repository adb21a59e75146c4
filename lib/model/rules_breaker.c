/* SPDX-License-Identifier: Apache-2.0 */
/* rules_breaker.c: the block "breaker": when calls stop being sent at all, and when they are tried again. */
#include "model/rules_read.h"

#define AT(field) offsetof(struct memo__breaker_rule, field)

static void begin(void *target)
{
    ((struct memo__breaker_rule *)target)->on = true;
}

static void off(void *target)
{
    ((struct memo__breaker_rule *)target)->on = false;
}

/* A share, or "off": that share never opens it. */
static void read_share_or_off(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, void *field)
{
    if (n->type == MEMO__JSON_TEXT && memo__text_is(memo__json_text(r->json, n), "off"))
        *(uint32_t *)field = 0;
    else
        memo__read_share(r, n, key, field);
}

static const struct memo__rules_key when_keys[] = {
    { "failed", read_share_or_off, AT(failed), 10000, 1000000, NULL, NULL },
    { "slow", read_share_or_off, AT(slow), 10000, 1000000, NULL, NULL },
    { "slowerThan", memo__read_duration, AT(slower_than), MEMO__MS, MEMO__DAY, NULL, NULL },
};

static void check_when(struct memo__rules_reader *r, const struct memo__json_node *n, void *target, uint32_t given)
{
    const struct memo__breaker_rule *rule = target;
    if (rule->slow && rule->slower_than == 0)
        memo__rules_error(r, n->at, "\"slow\" needs \"slowerThan\": how long a slow call takes");
    if (!rule->slow && (given & 6) == 4)
        memo__rules_warning(r, n->at, "\"slowerThan\" does nothing without \"slow\"");
    if (!rule->failed && !rule->slow)
        memo__rules_error(r, n->at, "neither \"failed\" nor \"slow\": this breaker would never open");
}

static const struct memo__rules_block when_block = { MEMO__KEYS(when_keys), NULL, NULL, check_when };

static const char *const scope_words[] = { "service", "route", "instance", NULL };

static const struct memo__rules_key keys[] = {
    { "mode", memo__read_mode, AT(mode), 0, 0, NULL, NULL },
    { "scope", memo__read_choice, AT(scope), 0, 0, NULL, scope_words },
    { "window", memo__read_duration, AT(window), MEMO__S, 600 * MEMO__S, NULL, NULL },
    { "minCalls", memo__read_count, AT(min_calls), 1, 1000000, NULL, NULL },
    { "openWhen", memo__read_block, 0, 0, 0, &when_block, NULL },
    { "openFor", memo__read_duration, AT(open_for), 10 * MEMO__MS, 3600 * MEMO__S, NULL, NULL },
    { "probes", memo__read_count, AT(probes), 1, 16, NULL, NULL },
};

const struct memo__rules_block memo__breaker_block = { MEMO__KEYS(keys), begin, off, NULL };
