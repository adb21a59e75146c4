/* SPDX-License-Identifier: Apache-2.0 */
/* alias.c: building the table. Each column that has less than its share is filled up by one that has more. */
#include "policy/alias.h"

size_t memo__alias_size(const struct memo__candidates *c, const struct memo__balance_rule *rule, size_t *scratch)
{
    (void)rule;
    *scratch = c->count * (sizeof(uint64_t) + sizeof(uint32_t));
    return c->count * sizeof(struct memo__alias);
}

/* Those with less than a share wait at the front of `order`, the others behind. */
struct columns { uint64_t *left, share; uint32_t *order, poor, n; };

static void sort_out(struct columns *c, const uint32_t *weights)
{
    uint32_t rich = c->n;
    for (uint32_t i = 0; i < c->n; i++) {
        c->left[i] = (uint64_t)weights[i] * c->n;
        c->order[c->left[i] < c->share ? c->poor++ : --rich] = i;
    }
}

void memo__alias_build(const struct memo__candidates *from, const struct memo__balance_rule *rule, const struct memo__balance_names *names,
                       void *table, void *scratch)
{
    struct memo__alias *columns = table;
    uint32_t n = from->count;
    struct columns c = { .left = scratch, .order = (uint32_t *)(void *)((uint64_t *)scratch + n), .n = n };
    (void)rule;
    (void)names;
    for (uint32_t i = 0; i < n; i++) {
        c.share += from->weights[i];
        columns[i] = (struct memo__alias){ UINT32_MAX, i };
    }
    sort_out(&c, from->weights);
    for (uint32_t done = 0, rich = c.poor; done < rich; done++) { /* whole numbers: the last one has exactly its share, and is rich */
        uint32_t i = c.order[done], j = c.order[rich];
        columns[i] = (struct memo__alias){ (uint32_t)(((unsigned __int128)c.left[i] << 32) / c.share), j };
        c.left[j] -= c.share - c.left[i];
        rich += c.left[j] < c.share; /* it is the next of the poor then: where it stands */
    }
}
