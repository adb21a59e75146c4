/* SPDX-License-Identifier: Apache-2.0 */
/* route.c: matching and splitting. */
#include "policy/route.h"

#include <string.h>
#include "base/rng.h"

void memo__wants_init(struct memo__wants *w, const struct memo__service_rules *rules)
{
    memset(w, 0, sizeof *w);
    for (uint32_t i = 0; i < rules->wants_count; i++) {
        size_t n = strlen(rules->wants[i]);
        if (n == 0)
            continue;
        w->lengths |= UINT64_C(1) << n;
        w->next[i] = w->first[n];
        w->first[n] = (uint8_t)(i + 1);
    }
}

/* All of 1 to 7 bytes in one word; some of them twice. */
static inline uint64_t up_to_seven(const char *z, size_t n)
{
    uint32_t first, last;
    if (n < 4)
        return (uint64_t)(unsigned char)z[0] | (uint64_t)(unsigned char)z[n / 2] << 8 | (uint64_t)(unsigned char)z[n - 1] << 16;
    memcpy(&first, z, sizeof first);
    memcpy(&last, z + n - sizeof last, sizeof last);
    return first | (uint64_t)last << 32;
}

bool memo__same_short_name(const char *name, const char *wanted, size_t n)
{
    return memo__same_word(up_to_seven(name, n), up_to_seven(wanted, n));
}

/* How many bytes of the text are those that z begins with: most texts differ in the first few, which no call of memcmp is worth. */
static inline size_t alike(struct memo__text t, const char *z)
{
    size_t i = 0;
    while (i < t.n && z[i] && t.at[i] == z[i])
        i++;
    return i;
}

static inline bool is(struct memo__text t, const char *z)
{
    size_t n = alike(t, z);
    return n == t.n && !z[n];
}

/* A pattern has no query in it, so the query of what is asked for begins where the pattern ends, or behind. */
static inline bool path_matches(const struct memo__when *w, struct memo__text path)
{
    if (!path.at)
        path = MEMO__TEXT("/");
    size_t n = alike(path, w->path);
    if (w->path[n])
        return false;
    return w->path_match == MEMO__PATH_PREFIX || n == path.n || path.at[n] == '?';
}

static inline enum memo__route_no match(const struct memo__when *w, const struct memo__route_facts *f, uint32_t *want)
{
    if (w->methods != MEMO__ANY_METHOD && !(w->methods & f->method))
        return MEMO__ROUTE_METHOD;
    if (w->path_match != MEMO__PATH_ANY && !path_matches(w, f->path))
        return MEMO__ROUTE_PATH;
    for (const struct memo__when_header *h = w->headers, *end = h + w->headers_count; h < end; h++) {
        const struct memo__text *value = &f->values[h->want];
        *want = h->want;
        if (!value->at)
            return MEMO__ROUTE_HEADER_ABSENT;
        if (!is(*value, h->value))
            return MEMO__ROUTE_HEADER_DIFFERS;
    }
    return MEMO__ROUTE_NONE;
}

uint32_t memo__route_match(const struct memo__service_rules *rules, const struct memo__route_facts *facts, struct memo__route_why *why)
{
    const struct memo__route_rule *route = rules->routes;
    uint32_t last = rules->routes_count - 1, r = 0, want = MEMO__NO_INDEX;
    enum memo__route_no no = last ? match(&route->when, facts, &want) : MEMO__ROUTE_NONE;
    if (why)
        *why = (struct memo__route_why){ no, 0, no >= MEMO__ROUTE_HEADER_ABSENT ? want : MEMO__NO_INDEX };
    while (no != MEMO__ROUTE_NONE && ++r < last)
        no = match(&(++route)->when, facts, &want);
    return r;
}

uint32_t memo__route_split_slow(const struct memo__route_rule *route, uint64_t draw)
{
    if (route->split_weight == 0)
        return route->split[0].subset;
    uint32_t at = memo__draw_below(memo__mix64(draw), route->split_weight), i = 0; /* mixed: the pick reads the draw itself */
    while (at >= route->split[i].weight)
        at -= route->split[i++].weight;
    return route->split[i].subset;
}

bool memo__subset_matches(const struct memo__subset *s, memo__label_fn *label, const void *endpoint)
{
    for (uint32_t i = 0; i < s->labels_count; i++) {
        const char *value = label(endpoint, s->labels[i].name);
        if (!value || strcmp(value, s->labels[i].value) != 0)
            return false;
    }
    return true;
}
