/* SPDX-License-Identifier: Apache-2.0 */
/* standing.h: how did breaker, limit and budget stand for this call? For its explanation: read at the first trouble and kept in the record, or when
 * it is asked. */
#ifndef MEMO__CALL_STANDING_H
#define MEMO__CALL_STANDING_H
#include "call/governor.h"
#include "call/record.h"

struct memo__standing {
    bool breaker, limited;             /* is there one to tell of? */
    enum memo__breaker_phase phase;
    uint32_t calls, failed, slow;      /* in its window; of one that is not closed: what opened it */
    uint32_t limit, tokens;            /* which (index into the service's limits), and what is left in it */
    uint8_t budget;                    /* tenths of tokens */
};

/* The limit to tell of, as an index into the route's gate: the one that refused, else that would have, else the first for all together, else the
 * first by header that was asked. MEMO__NO_INDEX: none. */
uint8_t memo__standing_limit(const struct memo__plan *p, const struct memo__record *k);
/* Inside of a reader. route: whose breaker it is. */
void memo__standing_read(const struct memo__governor *g, const struct memo__plan *p, const struct memo__record *k,
                         const struct memo__route_rule *route, memo__instant now, struct memo__standing *out);
/* Into the record, once, and out of it again; p: NULL if the rules have changed, which leaves the limit without a name. */
void memo__standing_keep(struct memo__record *k, const struct memo__standing *s);
void memo__standing_kept(const struct memo__record *k, const struct memo__plan *p, struct memo__standing *out);
/* The endpoints whose own breakers refuse, when a call is stopped by them: the first few, into the record. */
void memo__standing_refusers(const struct memo__governor *g, const struct memo__plan *p, struct memo__record *k, const struct memo__pool *pool,
                             const struct memo__breaker_rule *rule, memo__instant now);
/* The breaker of an endpoint that is picked next all the same, since it is only observed. */
void memo__standing_would(const struct memo__governor *g, struct memo__record *k, uint32_t slot, const struct memo__breaker_rule *rule,
                          memo__instant now);
/* Tenths of tokens that the budget has. */
uint8_t memo__standing_budget(const struct memo__governor *g);
#endif
