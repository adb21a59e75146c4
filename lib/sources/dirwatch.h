/* SPDX-License-Identifier: Apache-2.0 */
/* dirwatch.h: who tells me when something changes in a directory? One inotify for a loop, and so one for the process (a machine allows 128 a user).
 *
 * The owner of the loop makes one beside it and lends it to all sources and to the watch of the rules file. It is a hint, never the truth: whoever uses it polls too, only less
 * impatiently, so that an inotify that cannot be had (EMFILE), an overflow or a file system that tells nothing costs time and no correctness. */
#ifndef MEMO__SOURCES_DIRWATCH_H
#define MEMO__SOURCES_DIRWATCH_H
#include <stdbool.h>
#include <sys/inotify.h>
#include "base/alloc.h"
#include "base/host.h"
#include "net/loop.h"

struct memo__dirwatch;
struct memo__dirwatch_item;

/* name: what changed in the directory; NULL: look at everything (overflow, or the directory itself was moved or deleted). */
typedef void memo__dirwatch_fn(struct memo__dirwatch_item *i, const char *name, void *user);

struct memo__dirwatch_item { memo__dirwatch_fn *fn; void *user; int wd; int dir; uint32_t mask; bool on; struct memo__dirwatch_item *previous, *next; };

/* Never fails for want of an inotify: then nothing is told, and memo__dirwatch_works says so. MEMO_OK or MEMO_E_NO_MEMORY. */
int32_t memo__dirwatch_new(const struct memo__alloc *a, const struct memo__host *h, struct memo__loop *l, struct memo__dirwatch **out);
void memo__dirwatch_free(struct memo__dirwatch *d);     /* before its loop; NULL is welcome */
bool memo__dirwatch_works(const struct memo__dirwatch *d);

/* Watches the directory behind `dir` (it must stay open while the item is on, for a fork needs it again) for the IN_ events in mask. False: it cannot be watched, poll.
 * Adding an item that is on moves it. d may be NULL: false. */
bool memo__dirwatch_add(struct memo__dirwatch *d, struct memo__dirwatch_item *i, int dir, uint32_t mask, memo__dirwatch_fn *fn, void *user);
void memo__dirwatch_remove(struct memo__dirwatch *d, struct memo__dirwatch_item *i);

/* In a forked child, after memo__loop_after_fork: the old descriptor is the parent's (reading it would eat the parent's events); a new one watches the same directories. */
void memo__dirwatch_forked(struct memo__dirwatch *d);
#endif
