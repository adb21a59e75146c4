/* SPDX-License-Identifier: Apache-2.0 */
/* rules_limits.c: the list "limits": how many calls may begin in a time, all together or for each value of a header.
 *
 * A list is one field: a service's replaces that of the defaults. A route's limits hold beside the service's, at most 4 together. */
#include <string.h>
#include "model/rules_read.h"

#define AT(field) offsetof(struct memo__limit_read, rule.field)

static void read_rate(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, void *target)
{
    struct memo__limit_read *limit = target;
    uint64_t count;
    int64_t period;
    char buf[64];
    (void)key;
    if (n->type != MEMO__JSON_TEXT || !memo__parse_rate(memo__json_text(r->json, n), &count, &period))
        memo__rules_error(r, n->at, "%s is no rate: it reads \"500/s\", \"30/m\", \"10/100ms\"", memo__rules_shown(r, n, buf));
    else if (count < 1 || count > 1000000000 || period < MEMO__MS || period > MEMO__DAY)
        memo__rules_error(r, n->at, "%s is out of range: 1 to 1000000000 in 1ms to 1d", memo__rules_shown(r, n, buf));
    else {
        limit->rule.count = count;
        limit->rule.period = period;
    }
}

/* "header:x-user"; "caller" for what this process receives. For its own calls that is reserved: a limit by something that we cannot tell apart is
 * left out, rather than held against all together. */
static void read_by(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, void *target)
{
    struct memo__limit_read *limit = target;
    struct memo__text t = memo__json_text(r->json, n);
    char buf[64];
    (void)key;
    if (n->type == MEMO__JSON_TEXT && memo__text_is(t, "caller") && r->inbound)
        limit->rule.by_header = MEMO__BY_CALLER;
    else if (n->type == MEMO__JSON_TEXT && memo__text_is(t, "caller")) {
        memo__rules_warning(r, n->at, "reserved, not in force in this version: this limit is left out");
        limit->reserved = true;
    } else if (n->type == MEMO__JSON_TEXT && t.n > 7 && memcmp(t.at, "header:", 7) == 0)
        (void)memo__rules_header_name(r, n->at, (struct memo__text){ t.at + 7, t.n - 7 }, limit->header);
    else
        memo__rules_error(r, n->at, "%s where \"header:NAME\"%s is expected", memo__rules_shown(r, n, buf), r->inbound ? " or \"caller\"" : "");
}

static const struct memo__rules_key keys[] = {
    { "name", memo__read_name, AT(name), 0, 0, NULL, NULL },
    { "mode", memo__read_mode, AT(mode), 0, 0, NULL, NULL },
    { "rate", read_rate, 0, 0, 0, NULL, NULL },
    { "burst", memo__read_count64, AT(burst), 1, UINT32_MAX, NULL, NULL },
    { "by", read_by, 0, 0, 0, NULL, NULL },
    { "maxWait", NULL, 0, 0, 0, NULL, NULL },
};

/* What a second lets through, at least one, at most what a burst can be. */
static uint64_t default_burst(const struct memo__limit_rule *rule)
{
    unsigned __int128 second = (unsigned __int128)rule->count * (unsigned __int128)MEMO__S / (unsigned __int128)rule->period;
    return second < 1 ? 1 : second > UINT32_MAX ? UINT32_MAX : (uint64_t)second;
}

static void check(struct memo__rules_reader *r, const struct memo__json_node *n, void *target, uint32_t given)
{
    struct memo__limit_read *limit = target;
    if (!(given & 1))
        memo__rules_error(r, n->at, "\"name\" is missing: records and metrics call a limit by it");
    if (!(given & 4))
        memo__rules_error(r, n->at, "\"rate\" is missing, such as \"500/s\"");
    if (!(given & 8) && limit->rule.period)
        limit->rule.burst = default_burst(&limit->rule);
}

const struct memo__rules_block memo__limit_block = { MEMO__KEYS(keys), NULL, NULL, check };

void memo__read_limits(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, void *field)
{
    struct memo__limits_read *limits = field;
    uint32_t index = 0;
    (void)key;
    limits->count = 0;
    if (!memo__rules_array(r, n, MEMO__LIMITS_MAX, "limits"))
        return;
    for (const struct memo__json_node *m = memo__json_first(r->json, n); m; m = memo__json_next(r->json, m)) {
        struct memo__limit_read *limit = &limits->limit[limits->count];
        uint32_t mark = memo__rules_push_index(r, index);
        *limit = (struct memo__limit_read){ .rule = { .mode = MEMO__MODE_UNSAID, .by_header = MEMO__NO_INDEX }, .at = m->at, .index = index++ };
        memo__rules_object(r, m, &memo__limit_block, limit);
        if (!limit->reserved)
            limits->count++;
        memo__rules_pop(r, mark);
    }
}

/* One limit into the service's, at its end. */
static void take(struct memo__rules_reader *r, struct memo__service_rules *s, const struct memo__limit_read *from, struct memo__limits_place of)
{
    struct memo__limit_rule *mine = &s->limits[s->limits_count];
    *mine = from->rule;
    mine->from = of.origin;
    mine->from_route = of.route;
    mine->from_index = (uint8_t)from->index;
    if (mine->mode == MEMO__MODE_UNSAID)
        mine->mode = s->mode;
    if (from->header[0])
        mine->by_header = memo__rules_want(r, s, from->at, from->header);
    for (uint32_t k = 0; k < s->limits_count; k++)
        if (mine->name[0] && strcmp(s->limits[k].name, mine->name) == 0)
            memo__rules_error(r, from->at, "two limits of this service are called \"%s\"", mine->name);
}

bool memo__rules_take_limits(struct memo__rules_reader *r, struct memo__service_rules *s, const struct memo__limits_read *from,
                             struct memo__limits_place of, uint8_t *places, uint32_t *count)
{
    struct memo__limit_rule *all;
    uint32_t mark = memo__rules_push(r, MEMO__TEXT("limits"));
    if (from->count) {
        all = memo__resize(&r->alloc, s->limits, (s->limits_count + from->count) * sizeof *all);
        if (!all)
            return false;
        s->limits = all;
    }
    for (uint32_t i = 0; i < from->count; i++) {
        uint32_t mine = memo__rules_push_index(r, from->limit[i].index);
        if (*count == MEMO__LIMITS_MAX || s->limits_count == MEMO__NO_INDEX)
            memo__rules_error(r, from->limit[i].at, "one limit too many: at most %d hold for one call, the service's and the route's together, and %d for one service",
                              MEMO__LIMITS_MAX, MEMO__NO_INDEX);
        else {
            take(r, s, &from->limit[i], of);
            places[(*count)++] = (uint8_t)s->limits_count++;
        }
        memo__rules_pop(r, mine);
    }
    memo__rules_pop(r, mark);
    return true;
}
