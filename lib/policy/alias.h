/* SPDX-License-Identifier: Apache-2.0 */
/* alias.h: one of n at random, by weight, in two loads whatever n is (Walker 1974; the table as Vose 1991 builds it, in whole numbers).
 *
 * A column has one n-th of the luck: `keep` of 2^32 goes to its own, the rest to the other that it names.
 *
 *   weights 3 1 1 1   total 6, columns of 6/4    [0: all its own][1: 2/3, else 0][2: 2/3, else 0][3: 2/3, else 0]      3 = 1.5 + 3 * 0.5 */
#ifndef MEMO__POLICY_ALIAS_H
#define MEMO__POLICY_ALIAS_H
#include "policy/balance.h"

struct memo__alias { uint32_t keep, other; };

/* `size` and `build` of the balancers whose table it is: a column for each candidate. If all weights are 0, all columns are their own. */
size_t memo__alias_size(const struct memo__candidates *c, const struct memo__balance_rule *rule, size_t *scratch);
void memo__alias_build(const struct memo__candidates *c, const struct memo__balance_rule *rule, const struct memo__balance_names *names, void *table,
                       void *scratch);

/* n >= 1 */
static inline uint32_t memo__alias_draw(const struct memo__alias *table, uint32_t n, uint64_t draw)
{
    uint32_t i = memo__draw_below(draw, n);
    return (uint32_t)draw < table[i].keep ? i : table[i].other;
}
#endif
