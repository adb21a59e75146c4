/* SPDX-License-Identifier: Apache-2.0 */
/* rules_concurrency.c: the block "concurrency": how many calls may run at once. */
#include "model/rules_read.h"

#define AT(field) offsetof(struct memo__concurrency_rule, field)

static void begin(void *target)
{
    ((struct memo__concurrency_rule *)target)->on = true;
}

static void off(void *target)
{
    ((struct memo__concurrency_rule *)target)->on = false;
}

static const struct memo__rules_key keys[] = {
    { "mode", memo__read_mode, AT(mode), 0, 0, NULL, NULL },
    { "max", memo__read_count, AT(max), 1, 1000000, NULL, NULL },
    { "exact", memo__read_bool, AT(exact), 0, 0, NULL, NULL },
    { "queue", NULL, 0, 0, 0, NULL, NULL },
    { "maxWait", NULL, 0, 0, 0, NULL, NULL },
};

/* There is no number that would be right for everybody: who wants a limit says it. */
static void check(struct memo__rules_reader *r, const struct memo__json_node *n, void *target, uint32_t given)
{
    struct memo__concurrency_rule *rule = target;
    if (rule->max)
        return;
    if (!(given & 2))
        memo__rules_error(r, n->at, "\"max\" is missing: how many calls may run at once");
    rule->on = false;
}

const struct memo__rules_block memo__concurrency_block = { MEMO__KEYS(keys), begin, off, check };
