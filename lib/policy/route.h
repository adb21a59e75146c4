/* SPDX-License-Identifier: Apache-2.0 */
/* route.h: which route does a call take, and to which subset of the endpoints?
 *
 * Routes are tried in the document's order, the first that matches wins, the last ("default") always does. All conditions of a route must hold:
 * method, path, headers, in that order; the first that does not of the first route tried is kept, for the sentence "canary not taken: header
 * x-canary absent".
 *
 * Headers arrive as the caller has them: memo__wants finds in a few nanoseconds whether the rules read one at all, by a mask of lengths first (most
 * headers end there), then by comparing with those of the same length; the caller fills `values` by the index that it gets, and marks it in `present`.
 */
#ifndef MEMO__POLICY_ROUTE_H
#define MEMO__POLICY_ROUTE_H
#include <string.h>
#include "base/text.h"
#include "model/rules.h"

struct memo__wants { /* built once for compiled rules; names stay there */
    uint64_t lengths;                    /* bit n: a name of n bytes is wanted */
    uint8_t first[MEMO__NAME_MAX];       /* by length: index + 1, 0 none */
    uint8_t next[MEMO__WANTS_MAX];       /* index + 1 of the next of the same length */
};

void memo__wants_init(struct memo__wants *w, const struct memo__service_rules *rules);

bool memo__same_name_folded(const char *name, const char *wanted, size_t n);

static inline uint64_t memo__eight_bytes(const char *z)
{
    uint64_t word;
    __builtin_memcpy(&word, z, sizeof word);
    return word;
}

/* Is `name`, in any case, the same as `wanted`, which is in lower case? n >= 1. Most of either kind are told by their
 * first letter, or by their first and last 8 bytes being the same already. */
static inline bool memo__same_name(const char *name, const char *wanted, size_t n)
{
    if ((name[0] ^ wanted[0]) & ~0x20)
        return false;
    if (n - 8 <= 8 && memo__eight_bytes(name) == memo__eight_bytes(wanted) &&
        memo__eight_bytes(name + n - 8) == memo__eight_bytes(wanted + n - 8))
        return true;
    return memo__same_name_folded(name, wanted, n);
}

/* name.n < MEMO__NAME_MAX */
static inline uint32_t memo__wants_find(const struct memo__wants *w, const struct memo__service_rules *rules, struct memo__text name)
{
    for (uint32_t i = w->first[name.n]; i != 0; i = w->next[i - 1])
        if (memo__same_name(name.at, rules->wants[i - 1], name.n))
            return i - 1;
    return MEMO__NO_INDEX;
}

/* The index of a header among rules->wants, or MEMO__NO_INDEX; names in any case. */
static inline uint32_t memo__wants_index(const struct memo__wants *w, const struct memo__service_rules *rules, struct memo__text name)
{
    return name.n < MEMO__NAME_MAX && (w->lengths >> name.n & 1) ? memo__wants_find(w, rules, name) : MEMO__NO_INDEX;
}

struct memo__route_facts {
    uint32_t method;                     /* its bit, 0 unknown: matches only routes that name no method */
    struct memo__text path;              /* a query is cut off here */
    uint32_t present;                    /* bit i: the call has a header rules->wants[i] */
    const struct memo__text *values;     /* of those that are present */
};

enum memo__route_no { MEMO__ROUTE_NONE = 0, MEMO__ROUTE_METHOD, MEMO__ROUTE_PATH, MEMO__ROUTE_HEADER_ABSENT, MEMO__ROUTE_HEADER_DIFFERS };

struct memo__route_why { /* about the first route that was tried and not taken */
    enum memo__route_no no;              /* MEMO__ROUTE_NONE: the first route was taken */
    uint32_t route;
    uint32_t want;                       /* the header, an index into rules->wants; else MEMO__NO_INDEX */
};

/* Does the text begin with these n bytes? Most that do not differ in the first one, or in the first 8, which no call of memcmp is worth. */
static inline bool memo__route_begins(struct memo__text t, const char *z, size_t n)
{
    if (t.n < n)
        return false;
    if (n >= 8 ? memo__eight_bytes(t.at) != memo__eight_bytes(z) : n && t.at[0] != z[0])
        return false;
    return n < 2 || n == 8 || memcmp(t.at, z, n) == 0;
}

static inline bool memo__route_is(struct memo__text t, const char *z, size_t n)
{
    return t.n == n && memo__route_begins(t, z, n);
}

/* A pattern has no query in it, so the query of what is asked for begins where the pattern ends, or behind. */
static inline bool memo__route_path(const struct memo__when *w, struct memo__text path)
{
    if (!path.at)
        path = MEMO__TEXT("/");
    if (!memo__route_begins(path, w->path, w->path_bytes))
        return false;
    return w->path_match == MEMO__PATH_PREFIX || w->path_bytes == path.n || path.at[w->path_bytes] == '?';
}

static inline enum memo__route_no memo__route_asks(const struct memo__when *w, const struct memo__route_facts *f, uint32_t *want)
{
    if (w->methods != MEMO__ANY_METHOD && !(w->methods & f->method))
        return MEMO__ROUTE_METHOD;
    if (w->path_match != MEMO__PATH_ANY && !memo__route_path(w, f->path))
        return MEMO__ROUTE_PATH;
    for (const struct memo__when_header *h = w->headers, *end = h + w->headers_count; h < end; h++) {
        *want = h->want;
        if (!(f->present >> h->want & 1))
            return MEMO__ROUTE_HEADER_ABSENT;
        if (!memo__route_is(f->values[h->want], h->value, h->value_bytes))
            return MEMO__ROUTE_HEADER_DIFFERS;
    }
    return MEMO__ROUTE_NONE;
}

/* Index of the route. why may be NULL. */
static inline uint32_t memo__route_match(const struct memo__service_rules *rules, const struct memo__route_facts *facts,
                                         struct memo__route_why *why)
{
    const struct memo__route_rule *route = rules->routes, *last = route + (rules->routes_count - 1);
    uint32_t want = MEMO__NO_INDEX;
    enum memo__route_no no = route < last ? memo__route_asks(&route->when, facts, &want) : MEMO__ROUTE_NONE;
    if (why)
        *why = (struct memo__route_why){ no, 0, no >= MEMO__ROUTE_HEADER_ABSENT ? want : MEMO__NO_INDEX };
    while (no != MEMO__ROUTE_NONE && ++route < last)
        no = memo__route_asks(&route->when, facts, &want);
    return (uint32_t)(route - rules->routes);
}

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
