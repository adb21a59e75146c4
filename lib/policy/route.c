/* SPDX-License-Identifier: Apache-2.0 */
/* route.c: matching, splitting, and the small hash of wanted headers: length, first and last letter in lower case, 64 slots with chains. */
#include "policy/route.h"

#include <string.h>
#include "base/rng.h"

static uint32_t lower(char c) { return (unsigned char)c | 0x20u; }

static uint32_t slot_of(const char *name, size_t n)
{
    return ((uint32_t)n * 7 + lower(name[0]) * 3 + lower(name[n - 1])) & 63;
}

void memo__wants_init(struct memo__wants *w, const struct memo__service_rules *rules)
{
    memset(w, 0, sizeof *w);
    for (uint32_t i = 0; i < rules->wants_count; i++) {
        size_t n = strlen(rules->wants[i]);
        if (n == 0)
            continue;
        uint32_t slot = slot_of(rules->wants[i], n);
        w->lengths |= UINT64_C(1) << n;
        w->length[i] = (uint8_t)n;
        w->next[i] = w->first[slot];
        w->first[slot] = (uint8_t)(i + 1);
    }
}

/* Is `name`, in any case, the same as `wanted`, which is in lower case? */
static bool same_name(const char *name, const char *wanted, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c | 0x20);
        if (c != wanted[i])
            return false;
    }
    return true;
}

uint32_t memo__wants_find(const struct memo__wants *w, const struct memo__service_rules *rules, struct memo__text name)
{
    for (uint32_t i = w->first[slot_of(name.at, name.n)]; i != 0; i = w->next[i - 1])
        if (w->length[i - 1] == name.n && same_name(name.at, rules->wants[i - 1], name.n))
            return i - 1;
    return MEMO__NO_INDEX;
}

/* Is the text exactly the first n bytes of z, and z not longer? No length of z is kept. */
static bool is(struct memo__text t, const char *z, size_t most)
{
    return t.n < most && memcmp(t.at, z, t.n) == 0 && z[t.n] == '\0';
}

static bool path_matches(const struct memo__when *w, struct memo__text path)
{
    if (w->path_match == MEMO__PATH_ANY)
        return true;
    if (!path.at)
        path = MEMO__TEXT("/");
    const char *query = memchr(path.at, '?', path.n);
    if (query)
        path.n = (size_t)(query - path.at);
    if (w->path_match == MEMO__PATH_EXACT)
        return is(path, w->path, sizeof w->path);
    size_t n = strlen(w->path);
    return path.n >= n && memcmp(path.at, w->path, n) == 0;
}

static enum memo__route_no match(const struct memo__when *w, const struct memo__route_facts *f, uint32_t *want)
{
    if (w->methods != MEMO__ANY_METHOD && !(w->methods & f->method))
        return MEMO__ROUTE_METHOD;
    if (!path_matches(w, f->path))
        return MEMO__ROUTE_PATH;
    for (uint32_t i = 0; i < w->headers_count; i++) {
        struct memo__text value = f->values[w->headers[i].want];
        *want = w->headers[i].want;
        if (!value.at)
            return MEMO__ROUTE_HEADER_ABSENT;
        if (!is(value, w->headers[i].value, sizeof w->headers[i].value))
            return MEMO__ROUTE_HEADER_DIFFERS;
    }
    return MEMO__ROUTE_NONE;
}

uint32_t memo__route_match(const struct memo__service_rules *rules, const struct memo__route_facts *facts, struct memo__route_why *why)
{
    struct memo__route_why first = { MEMO__ROUTE_NONE, 0, MEMO__NO_INDEX };
    uint32_t last = rules->routes_count - 1, r = 0;
    for (; r < last; r++) {
        uint32_t want = MEMO__NO_INDEX;
        enum memo__route_no no = match(&rules->routes[r].when, facts, &want);
        if (no == MEMO__ROUTE_NONE)
            break;
        if (r == 0)
            first = (struct memo__route_why){ no, 0, no >= MEMO__ROUTE_HEADER_ABSENT ? want : MEMO__NO_INDEX };
    }
    if (why)
        *why = first;
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
