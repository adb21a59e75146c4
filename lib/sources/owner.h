/* SPDX-License-Identifier: Apache-2.0 */
/* owner.h: who wrote this, and is it still there?
 *
 * A process is boot id, pid namespace, pid and start time: no two that ever ran have all of them in common. Never a lock: a forked child would keep it.
 *
 *   another boot            -> GONE
 *   this boot and namespace -> asked of the kernel: GONE, ALIVE
 *   another namespace       -> FOREIGN: only its heartbeat tells
 */
#ifndef MEMO__SOURCES_OWNER_H
#define MEMO__SOURCES_OWNER_H
#include <stdbool.h>
#include <stdint.h>
#include "base/host.h"

struct memo__owner {
    char boot[37];             /* as the kernel writes it, or "" */
    uint64_t pid_ns, time_ns;  /* inode numbers; 0: unknown */
    uint32_t pid;
    uint64_t start;            /* ticks since boot; 0: unknown */
    uint64_t holder;           /* random, one for each opened registry: two clients of one process are two holders */
};

enum memo__owner_fate { MEMO__OWNER_ALIVE, MEMO__OWNER_GONE, MEMO__OWNER_FOREIGN };

/* Who am I? holder is drawn anew. Where /proc cannot be trusted to be ours, pid_ns is 0 and everybody is foreign to us, as we are to them. */
void memo__owner_self(const struct memo__host *h, struct memo__owner *me);
/* pidfd: NULL, or where to put a descriptor that becomes readable when the owner ends (-1: none to be had; only for ALIVE). */
enum memo__owner_fate memo__owner_judge(const struct memo__host *h, const struct memo__owner *me, const struct memo__owner *them, int *pidfd);
bool memo__owner_same_process(const struct memo__owner *a, const struct memo__owner *b);
static inline bool memo__owner_same(const struct memo__owner *a, const struct memo__owner *b) { return a->holder == b->holder && memo__owner_same_process(a, b); }
#endif
