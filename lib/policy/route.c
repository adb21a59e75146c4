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

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Are 8 bytes the same, if case does not count? b is in lower case and ASCII: where it has a letter, the bit of case is not looked at. */
static inline bool same_word(uint64_t a, uint64_t b)
{
    uint64_t letters = ((b + EACH(0x80 - 'a')) ^ (b + EACH(0x80 - 'z' - 1))) & EACH(0x80);
    return ((a ^ b) & ~(letters >> 2)) == 0;
}

static inline uint64_t eight(const char *z)
{
    uint64_t word;
    memcpy(&word, z, sizeof word);
    return word;
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

/* Is `name`, in any case, the same as `wanted`, which is in lower case? n >= 1 */
static bool same_name(const char *name, const char *wanted, size_t n)
{
    if (n < 8)
        return same_word(up_to_seven(name, n), up_to_seven(wanted, n));
    for (size_t i = 0; i < n - 8; i += 8)
        if (!same_word(eight(name + i), eight(wanted + i)))
            return false;
    return same_word(eight(name + n - 8), eight(wanted + n - 8));
}

uint32_t memo__wants_find(const struct memo__wants *w, const struct memo__service_rules *rules, struct memo__text name)
{
    for (uint32_t i = w->first[slot_of(name.at, name.n)]; i != 0; i = w->next[i - 1])
        if (w->length[i - 1] == name.n && same_name(name.at, rules->wants[i - 1], name.n))
            return i - 1;
    return MEMO__NO_INDEX;
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
static bool path_matches(const struct memo__when *w, struct memo__text path)
{
    if (w->path_match == MEMO__PATH_ANY)
        return true;
    if (!path.at)
        path = MEMO__TEXT("/");
    size_t n = alike(path, w->path);
    if (w->path[n])
        return false;
    return w->path_match == MEMO__PATH_PREFIX || n == path.n || path.at[n] == '?';
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
        if (!is(value, w->headers[i].value))
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
