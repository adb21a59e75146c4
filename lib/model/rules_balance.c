/* SPDX-License-Identifier: Apache-2.0 */
/* rules_balance.c: the block "balance": which endpoint the next attempt goes to. */
#include <string.h>
#include "model/rules_read.h"

#define AT(field) offsetof(struct memo__balance_read, rule.field)
#define RING_MOST 1048576 /* places: 16 MiB for one list of endpoints */

static const char *const policy_words[] = { "peak-ewma", "round-robin", "random", "weighted-round-robin", "least-request", "ring-hash", NULL };

/* "key", "path" or "header:x-user" */
static void read_hash_on(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, void *target)
{
    struct memo__balance_read *b = target;
    struct memo__text t = memo__json_text(r->json, n);
    char buf[64];
    (void)key;
    b->header[0] = '\0';
    b->header_at = n->at;
    if (n->type == MEMO__JSON_TEXT && memo__text_is(t, "key"))
        b->rule.hash_on = MEMO__HASH_ON_KEY;
    else if (n->type == MEMO__JSON_TEXT && memo__text_is(t, "path"))
        b->rule.hash_on = MEMO__HASH_ON_PATH;
    else if (n->type != MEMO__JSON_TEXT || t.n <= 7 || memcmp(t.at, "header:", 7) != 0)
        memo__rules_error(r, n->at, "%s where \"key\", \"path\" or \"header:NAME\" is expected", memo__rules_shown(r, n, buf));
    else if (memo__rules_header_name(r, n->at, (struct memo__text){ t.at + 7, t.n - 7 }, b->header))
        b->rule.hash_on = MEMO__HASH_ON_HEADER;
}

static const struct memo__rules_key slow_start_keys[] = {
    { "window", memo__read_duration, AT(slow_start.window), MEMO__S, 3600 * MEMO__S, NULL, NULL },
    { "aggression", memo__read_thousandths, AT(slow_start.aggression), 100, 10000, NULL, NULL },
    { "minWeight", memo__read_share, AT(slow_start.min_weight), 10000, 1000000, NULL, NULL },
};

static void slow_start_off(void *target)
{
    ((struct memo__balance_read *)target)->rule.slow_start.window = 0;
}

static void check_slow_start(struct memo__rules_reader *r, const struct memo__json_node *n, void *target, uint32_t given)
{
    const struct memo__balance_rule *rule = &((struct memo__balance_read *)target)->rule;
    if (!rule->slow_start.window && !(given & 1))
        memo__rules_error(r, n->at, "\"window\" is missing: how long a newcomer is spared, such as \"30s\"");
}

static const struct memo__rules_block slow_start_block = { MEMO__KEYS(slow_start_keys), NULL, slow_start_off, check_slow_start };

static const struct memo__rules_key keys[] = {
    { "policy", memo__read_choice, AT(policy), 0, 0, NULL, policy_words },
    { "panicBelow", memo__read_share, AT(panic_below), 0, 1000000, NULL, NULL },
    { "choices", memo__read_count, AT(choices), 2, MEMO__CHOICES_MAX, NULL, NULL },
    { "decay", memo__read_duration, AT(decay), 100 * MEMO__MS, 600 * MEMO__S, NULL, NULL },
    { "slowStart", memo__read_block, 0, 0, 0, &slow_start_block, NULL },
    { "hashOn", read_hash_on, 0, 0, 0, NULL, NULL },
    { "minRing", memo__read_count, AT(min_ring), 1, RING_MOST, NULL, NULL },
    { "maxRing", memo__read_count, AT(max_ring), 1, RING_MOST, NULL, NULL },
};

/* What a policy does not look at, if the document names both in one breath. */
static void check(struct memo__rules_reader *r, const struct memo__json_node *n, void *target, uint32_t given)
{
    const struct memo__balance_rule *rule = &((struct memo__balance_read *)target)->rule;
    const char *policy = policy_words[rule->policy];
    if (rule->min_ring > rule->max_ring && given & (64 | 128))
        memo__rules_error(r, n->at, "maxRing %u is less than minRing %u", rule->max_ring, rule->min_ring);
    if (!(given & 1))
        return;
    if (given & 4 && rule->policy != MEMO__BALANCE_LEAST_REQUEST)
        memo__rules_warning(r, n->at, "%s does not look at \"choices\": least-request does", policy);
    if (given & 16 && rule->slow_start.window && (rule->policy == MEMO__BALANCE_ROUND_ROBIN || rule->policy == MEMO__BALANCE_RING_HASH))
        memo__rules_warning(r, n->at, "%s has no slow start: weighted-round-robin has", policy);
    if (given & (32 | 64 | 128) && rule->policy != MEMO__BALANCE_RING_HASH)
        memo__rules_warning(r, n->at, "%s does not look at \"hashOn\", \"minRing\" and \"maxRing\": ring-hash does", policy);
}

const struct memo__rules_block memo__balance_block = { MEMO__KEYS(keys), NULL, NULL, check };

void memo__rules_take_balance(struct memo__rules_reader *r, struct memo__service_rules *s, const struct memo__balance_read *from)
{
    s->balance = from->rule;
    if (from->rule.policy != MEMO__BALANCE_RING_HASH || from->rule.hash_on != MEMO__HASH_ON_HEADER)
        return;
    uint32_t mark = memo__rules_push(r, MEMO__TEXT("balance")), mine = memo__rules_push(r, MEMO__TEXT("hashOn"));
    s->balance.hash_header = memo__rules_want(r, s, from->header_at, from->header);
    memo__rules_pop(r, mine);
    memo__rules_pop(r, mark);
}
