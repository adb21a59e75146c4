/* SPDX-License-Identifier: Apache-2.0 */
/* rules_document.c: the tables of the outer blocks: what a document, the defaults and a service consist of. */
#include "model/rules_read.h"

#define AT(field) offsetof(struct memo__layer, field)

static void read_max_stale(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, void *field)
{
    if (n->type == MEMO__JSON_TEXT && memo__text_is(memo__json_text(r->json, n), "unlimited"))
        *(int64_t *)field = INT64_MAX;
    else
        memo__read_duration(r, n, key, field);
}

/* Routes need to know the rest of their service: the place is noted, they are read last. */
static void note(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, void *field)
{
    (void)r;
    (void)key;
    *(const struct memo__json_node **)field = n;
}

/* Read by rules.c itself, in an order of its own. */
static void elsewhere(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, void *field)
{
    (void)r;
    (void)n;
    (void)key;
    (void)field;
}

#define POLICY \
    { "timeout", memo__read_duration, AT(timeout), MEMO__MS, MEMO__DAY, NULL, NULL }, \
    { "retry", memo__read_block, AT(retry), 0, 0, &memo__retry_block, NULL }, \
    { "breaker", memo__read_block, AT(breaker), 0, 0, &memo__breaker_block, NULL }, \
    { "outlier", memo__read_block, AT(outlier), 0, 0, &memo__outlier_block, NULL }, \
    { "limits", memo__read_limits, AT(limits), 0, 0, &memo__limit_block, NULL }, \
    { "concurrency", memo__read_block, AT(concurrency), 0, 0, &memo__concurrency_block, NULL }, \
    { "balance", memo__read_block, AT(balance), 0, 0, &memo__balance_block, NULL }, \
    { "maxStale", read_max_stale, AT(max_stale), MEMO__MS, 365 * MEMO__DAY, NULL, NULL }

static const struct memo__rules_key defaults_keys[] = { POLICY };
static const struct memo__rules_key service_keys[] = {
    POLICY,
    { "mode", memo__read_mode, AT(mode), 0, 0, NULL, NULL },
    { "routes", note, AT(routes), 0, 0, &memo__route_block, NULL },
};
static const struct memo__rules_key document_keys[] = {
    { "memo", elsewhere, 0, 0, 0, NULL, NULL },
    { "$schema", elsewhere, 0, 0, 0, NULL, NULL },
    { "mode", elsewhere, 0, 0, 0, NULL, NULL },
    { "require", elsewhere, 0, 0, 0, NULL, NULL },
    { "defaults", elsewhere, 0, 0, 0, &memo__defaults_block, NULL },
    { "services", elsewhere, 0, 0, 0, &memo__service_block, NULL },
    { "inbound", NULL, 0, 0, 0, NULL, NULL },
};

const struct memo__rules_block memo__defaults_block = { MEMO__KEYS(defaults_keys), NULL, NULL, NULL };
const struct memo__rules_block memo__service_block = { MEMO__KEYS(service_keys), NULL, NULL, NULL };
const struct memo__rules_block memo__document_block = { MEMO__KEYS(document_keys), NULL, NULL, NULL };
