/* SPDX-License-Identifier: Apache-2.0 */
/* directory.h: services of this process by slot and ticket, because a memo_call holds no pointer.
 *
 *   ticket   63      32 31       0
 *            [ generation ][ seal ]    the seal says that a call was begun, and in which process: who was forked has new tickets, so a call of
 *                                      its parent finds nobody
 *
 * Entries are type-stable: a table with room for all of them, of which the machine makes only those pages that are used; so looking up is two loads and
 * one comparison. A generation is odd while the slot is taken. */
#ifndef MEMO__CALL_DIRECTORY_H
#define MEMO__CALL_DIRECTORY_H
#include <stddef.h>
#include <stdint.h>
#include "base/atomic.h"

struct memo__governor;

#define MEMO__SERVICES_MAX (64 * 1024) /* services held at once, of all clients of a process */

#define MEMO__SEAL UINT32_C(0x6d656d6f) /* "memo", and the number of the process */

/* Control side, under the process's turn. memo_status: MEMO_E_NO_MEMORY also when the directory is full. process: its number, see process.h. */
int32_t memo__directory_add(struct memo__governor *g, uint32_t process, uint32_t *slot, uint64_t *ticket);
void memo__directory_remove(uint32_t slot);
/* In a forked child: another ticket, of the same generation. */
uint64_t memo__directory_reseal(uint32_t slot, uint32_t process);

struct memo__directory_entry { struct memo__governor *governor; uint64_t ticket; };
extern struct memo__directory_entry memo__directory[MEMO__SERVICES_MAX] MEMO__OURS;

/* Within a reader's section; NULL if it is gone. */
static inline struct memo__governor *memo__directory_get(uint32_t slot, uint64_t ticket)
{
    const struct memo__directory_entry *e = &memo__directory[slot % MEMO__SERVICES_MAX];
    struct memo__governor *g = memo__load_acquire(&e->governor);
    return __builtin_expect(memo__load_acquire(&e->ticket) == ticket, 1) ? g : NULL;
}

/* The same for a call of whatever process: to be looked at, not to go on. */
static inline struct memo__governor *memo__directory_find(uint32_t slot, uint64_t ticket)
{
    const struct memo__directory_entry *e = &memo__directory[slot % MEMO__SERVICES_MAX];
    struct memo__governor *g = memo__load_acquire(&e->governor);
    return memo__load_acquire(&e->ticket) >> 32 == ticket >> 32 ? g : NULL;
}
#endif
