/* SPDX-License-Identifier: Apache-2.0 */
/* place.h: may I trust this directory, and this file in it?
 *
 * A directory of ours is a real directory (no symbolic link in its own name; links on the way only if root made them), on a local file system, owned by us or by a listed user,
 * closed to everybody else. A file in it is a regular file with one name and the same owners. What is not so is refused with a sentence, never repaired. */
#ifndef MEMO__SOURCES_PLACE_H
#define MEMO__SOURCES_PLACE_H
#include <memo/status.h>
#include <stdbool.h>
#include "base/host.h"
#include "base/text.h"

#define MEMO__PLACE_OWNERS_MAX 16
#define MEMO__PLACE_PATH_MAX 1024        /* bytes with the NUL */

struct memo__place_rule {
    uint32_t self;                       /* our own user, as the kernel sees us */
    uint32_t owners_count;               /* other users who may own and write; then the group's bits are allowed, else none but the owner's */
    uint32_t owners[MEMO__PLACE_OWNERS_MAX];
};

void memo__place_rule_self(struct memo__place_rule *r);
/* The modes that we create with under this rule (the umask may take more away). */
static inline unsigned memo__place_dir_mode(const struct memo__place_rule *r) { return r->owners_count ? 0770 : 0700; }
static inline unsigned memo__place_file_mode(const struct memo__place_rule *r) { return r->owners_count ? 0660 : 0600; }

/* $XDG_RUNTIME_DIR/memo/<leaf>, else /run/memo/<leaf>. False: too long. */
bool memo__place_default(const char *leaf, char *path, size_t size);

/* Opens (creating what is missing, if asked) an absolute path. *fd is good for names in it and for list.
 * MEMO_E_UNREACHABLE: it is not there (and create is false); MEMO_E_IO: it is refused or broken; e says why. */
memo_status memo__place_open(const struct memo__host *h, const char *path, const struct memo__place_rule *r, bool create, int *fd, struct stat *found, memo_error *e);
/* The same for one name in an open place; path: the whole of it, for messages. */
memo_status memo__place_open_in(const struct memo__host *h, int dir, const char *name, const char *path, const struct memo__place_rule *r, bool create, int *fd,
                                struct stat *found, memo_error *e);
/* Opens a file in a place. flags: O_RDONLY, O_RDWR, O_CREAT, O_EXCL; never follows, never waits. MEMO_E_UNREACHABLE: there is none (or, with O_EXCL,
 * there is one).
 * Where it was the system that failed, *fd is its -errno; -1: the file is refused. */
memo_status memo__place_file(const struct memo__host *h, int dir, const char *name, int flags, const struct memo__place_rule *r, int *fd, struct stat *found, memo_error *e);

/* A negative answer of the host as status and as text. */
memo_status memo__place_status(int64_t wrong);
const char *memo__place_why(int64_t wrong);
#endif
