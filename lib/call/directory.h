/* SPDX-License-Identifier: Apache-2.0 */
/* directory.h: services of this process by slot and generation, because a memo_call holds no pointer.
 *
 * Entries are type-stable: a table with room for all of them, of which the machine makes only those pages that are used; so looking up is two loads. A generation is odd
 * while the slot is taken. */
#ifndef MEMO__CALL_DIRECTORY_H
#define MEMO__CALL_DIRECTORY_H
#include <stddef.h>
#include <stdint.h>
#include "base/atomic.h"

struct memo__governor;

#define MEMO__SERVICES_MAX (64 * 1024) /* services held at once, of all clients of a process */

/* Control side, under the process's turn. memo_status: MEMO_E_NO_MEMORY also when the directory is full. */
int32_t memo__directory_add(struct memo__governor *g, uint32_t *slot, uint32_t *generation);
void memo__directory_remove(uint32_t slot);

struct memo__directory_entry { struct memo__governor *governor; uint32_t generation; };
extern struct memo__directory_entry memo__directory[MEMO__SERVICES_MAX];

/* Within a reader's section; NULL if it is gone. */
static inline struct memo__governor *memo__directory_get(uint32_t slot, uint32_t generation)
{
    const struct memo__directory_entry *e = &memo__directory[slot % MEMO__SERVICES_MAX];
    struct memo__governor *g = memo__load_acquire(&e->governor);
    return __builtin_expect(slot < MEMO__SERVICES_MAX && memo__load_acquire(&e->generation) == generation, 1) ? g : NULL;
}
#endif
