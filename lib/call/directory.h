/* SPDX-License-Identifier: Apache-2.0 */
/* directory.h: services of this process by slot and generation, because a memo_call holds no pointer.
 *
 * Entries are type-stable: chunks are never freed, so looking up is two loads. A generation is odd while the slot is taken. */
#ifndef MEMO__CALL_DIRECTORY_H
#define MEMO__CALL_DIRECTORY_H
#include <stdint.h>
#include "base/alloc.h"
#include "base/atomic.h"

struct memo__governor;

#define MEMO__SERVICES_MAX (64 * 1024) /* services held at once, of all clients of a process */

/* Control side, under the process's turn. memo_status: MEMO_E_NO_MEMORY also when the directory is full. */
int32_t memo__directory_add(struct memo__governor *g, uint32_t *slot, uint32_t *generation);
void memo__directory_remove(uint32_t slot);

#define MEMO__DIRECTORY_CHUNK 1024
struct memo__directory_entry { struct memo__governor *governor; uint32_t generation; };
extern struct memo__directory_entry *memo__directory_chunks[MEMO__SERVICES_MAX / MEMO__DIRECTORY_CHUNK];

/* Within a reader's section; NULL if it is gone. */
static inline struct memo__governor *memo__directory_get(uint32_t slot, uint32_t generation)
{
    struct memo__directory_entry *entries = slot < MEMO__SERVICES_MAX ? memo__load_acquire(&memo__directory_chunks[slot / MEMO__DIRECTORY_CHUNK]) : NULL;
    if (!entries)
        return NULL;
    struct memo__governor *g = memo__load_acquire(&entries[slot % MEMO__DIRECTORY_CHUNK].governor);
    return memo__load_acquire(&entries[slot % MEMO__DIRECTORY_CHUNK].generation) == generation ? g : NULL;
}
#endif
