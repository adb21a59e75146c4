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
