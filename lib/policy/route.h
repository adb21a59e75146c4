/* SPDX-License-Identifier: Apache-2.0 */
/* route.h: which route does a call take, and to which subset of the endpoints?
 *
 * Routes are tried in the document's order, the first that matches wins, the last ("default") always does. All conditions of a route must hold: method, path, headers, in that order; the first that does not of the
 * first route tried is kept, for the sentence "canary not taken: header x-canary absent".
 *
 * Headers arrive as the caller has them: memo__wants finds in a few nanoseconds whether the rules read one at all, by a mask of lengths first (most headers end there), then by a
 * small hash table; the caller fills `values` by the index that it gets. */
#ifndef MEMO__POLICY_ROUTE_H
#define MEMO__POLICY_ROUTE_H
#include "base/text.h"
#include "model/rules.h"

struct memo__wants { /* built once for compiled rules; names stay there */
    uint64_t lengths;                    /* bit n: a name of n bytes is wanted */
    uint8_t first[64];                   /* by hash: index + 1, 0 none */
    uint8_t next[MEMO__WANTS_MAX];       /* index + 1 of the next with the same hash */
    uint8_t length[MEMO__WANTS_MAX];
};

void memo__wants_init(struct memo__wants *w, const struct memo__service_rules *rules);
uint32_t memo__wants_find(const struct memo__wants *w, const struct memo__service_rules *rules, struct memo__text name);

/* The index of a header among rules->wants, or MEMO__NO_INDEX; names in any case. */
static inline uint32_t memo__wants_index(const struct memo__wants *w, const struct memo__service_rules *rules, struct memo__text name)
{
    return name.n < MEMO__NAME_MAX && (w->lengths >> name.n & 1) ? memo__wants_find(w, rules, name) : MEMO__NO_INDEX;
}

struct memo__route_facts {
    uint32_t method;                     /* its bit, 0 unknown: matches only routes that name no method */
    struct memo__text path;              /* a query is cut off here */
    const struct memo__text *values;     /* rules->wants_count of them; at == NULL: absent */
};

enum memo__route_no { MEMO__ROUTE_NONE = 0, MEMO__ROUTE_METHOD, MEMO__ROUTE_PATH, MEMO__ROUTE_HEADER_ABSENT, MEMO__ROUTE_HEADER_DIFFERS };

struct memo__route_why { /* about the first route that was tried and not taken */
    enum memo__route_no no;              /* MEMO__ROUTE_NONE: the first route was taken */
    uint32_t route;
    uint32_t want;                       /* the header, an index into rules->wants; else MEMO__NO_INDEX */
};

/* Index of the route. why may be NULL. */
uint32_t memo__route_match(const struct memo__service_rules *rules, const struct memo__route_facts *facts, struct memo__route_why *why);

uint32_t memo__route_split_slow(const struct memo__route_rule *route, uint64_t draw);
/* The subset that this call goes to: an index into rules->subsets, or MEMO__NO_INDEX for all endpoints. */
static inline uint32_t memo__route_split(const struct memo__route_rule *route, uint64_t draw)
{
    return route->split_count == 0 ? MEMO__NO_INDEX : memo__route_split_slow(route, draw);
}

/* Value of an endpoint's label, or NULL. */
typedef const char *memo__label_fn(const void *endpoint, const char *name);
bool memo__subset_matches(const struct memo__subset *s, memo__label_fn *label, const void *endpoint);
#endif
