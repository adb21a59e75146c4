/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c: memory that runs out by chance, and is counted. */
#include <stdlib.h>
#include "sim.h"

static long live;

long memory_live(void) { return live; }
void memory_begin(void) { live = 0; }

static bool none_left(void)
{
    if (sim.calm || !chance(sim.faults.oom))
        return false;
    happen("no-memory", 0, 0);
    return true;
}

static void *get(void *user, size_t bytes)
{
    (void)user;
    void *p = none_left() ? NULL : calloc(1, bytes ? bytes : 1);
    live += p != NULL;
    return p;
}

static void *resize(void *user, void *p, size_t bytes)
{
    (void)user;
    void *moved = none_left() ? NULL : realloc(p, bytes ? bytes : 1);
    live += moved && !p;
    return moved;
}

static void drop(void *user, void *p)
{
    (void)user;
    live -= p != NULL;
    free(p);
}

const struct memo__alloc sim_alloc = { get, resize, drop, NULL };
