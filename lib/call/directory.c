/* SPDX-License-Identifier: Apache-2.0 */
/* directory.c: chunks of 1,024 entries; a free slot is the lowest one, so that the used ones stay together. */
#include "call/directory.h"
#include <memo/status.h>
#include "base/atomic.h"

#define CHUNK 1024

struct entry { struct memo__governor *governor; uint32_t generation; };

static struct entry *chunks[MEMO__SERVICES_MAX / CHUNK];

static struct entry *free_entry(uint32_t *slot)
{
    for (uint32_t c = 0; c < MEMO__SERVICES_MAX / CHUNK; c++) {
        struct entry *entries = chunks[c];
        if (!entries) {
            entries = memo__get_array(&memo__alloc_libc, CHUNK, sizeof *entries); /* outlives every client */
            if (!entries)
                return NULL;
            memo__store_release(&chunks[c], entries);
        }
        for (uint32_t i = 0; i < CHUNK; i++) {
            if (!entries[i].governor) {
                *slot = c * CHUNK + i;
                return &entries[i];
            }
        }
    }
    return NULL;
}

int32_t memo__directory_add(struct memo__governor *g, uint32_t *slot, uint32_t *generation)
{
    struct entry *e = free_entry(slot);
    if (!e)
        return MEMO_E_NO_MEMORY;
    *generation = e->generation + 1;
    memo__store_release(&e->governor, g);
    memo__store_release(&e->generation, *generation);
    return MEMO_OK;
}

void memo__directory_remove(uint32_t slot)
{
    struct entry *e = &chunks[slot / CHUNK][slot % CHUNK];
    memo__store_release(&e->generation, e->generation + 1);
    memo__store_release(&e->governor, NULL);
}

struct memo__governor *memo__directory_get(uint32_t slot, uint32_t generation)
{
    struct entry *entries = slot < MEMO__SERVICES_MAX ? memo__load_acquire(&chunks[slot / CHUNK]) : NULL;
    if (!entries)
        return NULL;
    struct memo__governor *g = memo__load_acquire(&entries[slot % CHUNK].governor);
    return memo__load_acquire(&entries[slot % CHUNK].generation) == generation ? g : NULL;
}
