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

/* In the places of enum memo__block: a bit of `given` is a block. */
#define POLICY \
    [MEMO__BLOCK_TIMEOUT] = { "timeout", memo__read_duration, AT(timeout), MEMO__MS, MEMO__DAY, NULL, NULL }, \
    [MEMO__BLOCK_RETRY] = { "retry", memo__read_block, AT(retry), 0, 0, &memo__retry_block, NULL }, \
    [MEMO__BLOCK_BREAKER] = { "breaker", memo__read_block, AT(breaker), 0, 0, &memo__breaker_block, NULL }, \
    [MEMO__BLOCK_OUTLIER] = { "outlier", memo__read_block, AT(outlier), 0, 0, &memo__outlier_block, NULL }, \
    [MEMO__BLOCK_LIMITS] = { "limits", memo__read_limits, AT(limits), 0, 0, &memo__limit_block, NULL }, \
    [MEMO__BLOCK_CONCURRENCY] = { "concurrency", memo__read_block, AT(concurrency), 0, 0, &memo__concurrency_block, NULL }, \
    [MEMO__BLOCK_BALANCE] = { "balance", memo__read_block, AT(balance), 0, 0, &memo__balance_block, NULL }, \
    [MEMO__BLOCK_MAX_STALE] = { "maxStale", read_max_stale, AT(max_stale), MEMO__MS, 365 * MEMO__DAY, NULL, NULL }

static void said_by(struct memo__layer *layer, uint32_t given, enum memo__origin who)
{
    for (uint32_t i = 0; i < MEMO__BLOCKS; i++)
        if (given >> i & 1)
            layer->from[i] = (uint8_t)who;
}

static void check_defaults(struct memo__rules_reader *r, const struct memo__json_node *n, void *target, uint32_t given)
{
    (void)r;
    (void)n;
    said_by(target, given, MEMO__FROM_DEFAULTS);
}

static void check_service(struct memo__rules_reader *r, const struct memo__json_node *n, void *target, uint32_t given)
{
    (void)r;
    (void)n;
    said_by(target, given, MEMO__FROM_SERVICE);
}

/* Nothing is taken over from anywhere: what there is comes from here. */
static void check_inbound(struct memo__rules_reader *r, const struct memo__json_node *n, void *target, uint32_t given)
{
    (void)r;
    (void)n;
    (void)given;
    said_by(target, 1u << MEMO__BLOCK_LIMITS | 1u << MEMO__BLOCK_CONCURRENCY, MEMO__FROM_INBOUND);
}

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
    { "inbound", elsewhere, 0, 0, 0, &memo__inbound_block, NULL },
};
static const struct memo__rules_key inbound_keys[] = {
    { "mode", memo__read_mode, AT(mode), 0, 0, NULL, NULL },
    { "limits", memo__read_limits, AT(limits), 0, 0, &memo__limit_block, NULL },
    { "concurrency", memo__read_block, AT(concurrency), 0, 0, &memo__concurrency_block, NULL },
    { "shed", memo__read_block, AT(shed), 0, 0, &memo__shed_block, NULL },
};

const struct memo__rules_block memo__defaults_block = { MEMO__KEYS(defaults_keys), NULL, NULL, check_defaults };
const struct memo__rules_block memo__service_block = { MEMO__KEYS(service_keys), NULL, NULL, check_service };
const struct memo__rules_block memo__inbound_block = { MEMO__KEYS(inbound_keys), NULL, NULL, check_inbound };
const struct memo__rules_block memo__document_block = { MEMO__KEYS(document_keys), NULL, NULL, NULL };
