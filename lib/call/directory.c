/* SPDX-License-Identifier: Apache-2.0 */
/* directory.c: a free slot is the lowest one, so that the used ones stay together. */
#include "call/directory.h"
#include <memo/status.h>

struct memo__directory_entry memo__directory[MEMO__SERVICES_MAX];

int32_t memo__directory_add(struct memo__governor *g, uint32_t *slot, uint32_t *generation)
{
    uint32_t i = 0;
    while (i < MEMO__SERVICES_MAX && memo__directory[i].governor)
        i++;
    if (i == MEMO__SERVICES_MAX)
        return MEMO_E_NO_MEMORY;
    *slot = i;
    *generation = memo__directory[i].generation + 1;
    memo__store_release(&memo__directory[i].governor, g);
    memo__store_release(&memo__directory[i].generation, *generation);
    return MEMO_OK;
}

void memo__directory_remove(uint32_t slot)
{
    struct memo__directory_entry *e = &memo__directory[slot];
    memo__store_release(&e->generation, e->generation + 1);
    memo__store_release(&e->governor, NULL);
}
