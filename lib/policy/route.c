/* SPDX-License-Identifier: Apache-2.0 */
/* route.c: matching and splitting. */
#include "policy/route.h"
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

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Are 8 bytes the same, if case does not count? b is in lower case and ASCII: where it has a letter, the bit of case
 * is not looked at. */
static bool same_word(uint64_t a, uint64_t b)
{
    uint64_t letters = ((b + EACH(0x80 - 'a')) ^ (b + EACH(0x80 - 'z' - 1))) & EACH(0x80);
    return ((a ^ b) & ~(letters >> 2)) == 0;
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

bool memo__same_name_folded(const char *name, const char *wanted, size_t n)
{
    if (n < 8)
        return same_word(up_to_seven(name, n), up_to_seven(wanted, n));
    for (size_t i = 0; i < n - 8; i += 8)
        if (!same_word(memo__eight_bytes(name + i), memo__eight_bytes(wanted + i)))
            return false;
    return same_word(memo__eight_bytes(name + n - 8), memo__eight_bytes(wanted + n - 8));
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
