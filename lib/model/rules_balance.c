/* SPDX-License-Identifier: Apache-2.0 */
/* rules_balance.c: the block "balance": which endpoint the next attempt goes to. */
#include "model/rules_read.h"

#define AT(field) offsetof(struct memo__balance_rule, field)

static const char *const policy_words[] = { "peak-ewma", "round-robin", NULL };

static const struct memo__rules_key keys[] = {
    { "policy", memo__read_choice, AT(policy), 0, 0, NULL, policy_words },
    { "panicBelow", memo__read_share, AT(panic_below), 0, 1000000, NULL, NULL },
    { "decay", memo__read_duration, AT(decay), 100 * MEMO__MS, 600 * MEMO__S, NULL, NULL },
};

const struct memo__rules_block memo__balance_block = { MEMO__KEYS(keys), NULL, NULL, NULL };
