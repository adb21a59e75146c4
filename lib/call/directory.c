/* SPDX-License-Identifier: Apache-2.0 */
/* directory.c: chunks of 1,024 entries; a free slot is the lowest one, so that the used ones stay together. */
#include "call/directory.h"
#include <memo/status.h>
#include "base/atomic.h"

#define CHUNK MEMO__DIRECTORY_CHUNK

struct memo__directory_entry *memo__directory_chunks[MEMO__SERVICES_MAX / CHUNK];

static struct memo__directory_entry *free_entry(uint32_t *slot)
{
    for (uint32_t c = 0; c < MEMO__SERVICES_MAX / CHUNK; c++) {
        struct memo__directory_entry *entries = memo__directory_chunks[c];
        if (!entries) {
            entries = memo__get_array(&memo__alloc_libc, CHUNK, sizeof *entries); /* outlives every client */
            if (!entries)
                return NULL;
            memo__store_release(&memo__directory_chunks[c], entries);
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
    struct memo__directory_entry *e = free_entry(slot);
    if (!e)
        return MEMO_E_NO_MEMORY;
    *generation = e->generation + 1;
    memo__store_release(&e->governor, g);
    memo__store_release(&e->generation, *generation);
    return MEMO_OK;
}

void memo__directory_remove(uint32_t slot)
{
    struct memo__directory_entry *e = &memo__directory_chunks[slot / CHUNK][slot % CHUNK];
    memo__store_release(&e->generation, e->generation + 1);
    memo__store_release(&e->governor, NULL);
}
