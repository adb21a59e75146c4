/* SPDX-License-Identifier: Apache-2.0 */
/* lease.c: the paths that look at other stripes' parts. */
#include "policy/lease.h"

#include <string.h>

void memo__lease_init(const struct memo__striped *parts)
{
    for (uint32_t i = 0; i < parts->count; i++)
        memset(memo__lease_at(parts, i), 0, sizeof(struct memo__lease_part));
}

bool memo__lease_any(const struct memo__striped *parts)
{
    for (uint32_t i = 0; i < parts->count; i++)
        if (memo__load(&memo__lease_at(parts, i)->held) > 0)
            return true;
    return false;
}

bool memo__lease_steal(const struct memo__striped *parts, uint32_t own, memo__instant now)
{
    for (uint32_t i = 1; i <= parts->count; i++) {
        uint32_t victim = own + i < parts->count ? own + i : own + i - parts->count;
        struct memo__lease_part *p = memo__lease_at(parts, victim);
        if (memo__load(&p->held) == 0)
            continue;
        if (memo__load(&p->used_at) < now)
            memo__store(&p->used_at, now);
        if (memo__lease_take(&p->held))
            return true;
    }
    return false;
}

uint64_t memo__lease_sum(const struct memo__striped *parts)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < parts->count; i++) {
        const struct memo__lease_part *p = memo__lease_at(parts, i);
        sum += memo__load_acquire(&p->coming); /* first: what left here has arrived in held */
        sum += memo__load_acquire(&p->held);
    }
    return sum;
}
