/* SPDX-License-Identifier: Apache-2.0 */
/* directory.c: a free slot is the lowest one, so that the used ones stay together. */
#include "call/directory.h"
#include <memo/status.h>

struct memo__directory_entry memo__directory[MEMO__SERVICES_MAX];
static uint32_t lowest; /* all below are taken: without it, filling the table would be two thousand million looks */

static uint64_t ticket_of(uint64_t generation, uint32_t process)
{
    return generation << 32 | (uint32_t)(MEMO__SEAL + process);
}

int32_t memo__directory_add(struct memo__governor *g, uint32_t process, uint32_t *slot, uint64_t *ticket)
{
    uint32_t i = lowest;
    while (i < MEMO__SERVICES_MAX && memo__directory[i].governor)
        i++;
    lowest = i;
    if (i == MEMO__SERVICES_MAX)
        return MEMO_E_NO_MEMORY;
    lowest++;
    *slot = i;
    *ticket = ticket_of((memo__directory[i].ticket >> 32) + 1, process);
    memo__store_release(&memo__directory[i].governor, g);
    memo__store_release(&memo__directory[i].ticket, *ticket);
    return MEMO_OK;
}

/* A generation that nobody was given. */
void memo__directory_remove(uint32_t slot)
{
    struct memo__directory_entry *e = &memo__directory[slot];
    memo__store_release(&e->ticket, ((e->ticket >> 32) + 1) << 32);
    memo__store_release(&e->governor, NULL);
    lowest = slot < lowest ? slot : lowest;
}

uint64_t memo__directory_reseal(uint32_t slot, uint32_t process)
{
    struct memo__directory_entry *e = &memo__directory[slot];
    memo__store_release(&e->ticket, ticket_of(e->ticket >> 32, process));
    return e->ticket;
}
