/* SPDX-License-Identifier: Apache-2.0 */
/* rules_outlier.c: the block "outlier": which endpoints are left out for a while, and how many at most. */
#include "model/rules_read.h"

#define AT(field) offsetof(struct memo__outlier_rule, field)

static void begin(void *target)
{
    ((struct memo__outlier_rule *)target)->on = true;
}

static void off(void *target)
{
    ((struct memo__outlier_rule *)target)->on = false;
}

static const struct memo__rules_key keys[] = {
    { "mode", memo__read_mode, AT(mode), 0, 0, NULL, NULL },
    { "consecutiveFailures", memo__read_count, AT(consecutive_failures), 1, 1000, NULL, NULL },
    { "failed", NULL, 0, 0, 0, NULL, NULL },
    { "ejectFor", memo__read_duration, AT(eject_for), 100 * MEMO__MS, MEMO__DAY, NULL, NULL },
    { "maxEjected", memo__read_share, AT(max_ejected), 10000, 1000000, NULL, NULL },
};

const struct memo__rules_block memo__outlier_block = { MEMO__KEYS(keys), begin, off, NULL };
