/* SPDX-License-Identifier: Apache-2.0 */
/* store.h: the file registry on disk: what is where, in which order it is written, and what a reader may believe.
 *
 *   registry/            0700
 *     lock               flock'ed while the epoch is made
 *     epoch              "memo1 epoch=5bd1... crc32c=...\n", random, made once: another one means another history
 *     todo.d/            one for each service that ever had an instance; never removed
 *       lock             flock'ed: exclusive to write, shared to renew, or to scan when waiting for a quiet moment was in vain
 *       generation       two slots of 512 bytes (below)
 *       a1.rec           one instance, see record.h; its modification time is the heartbeat
 *       new              what is being written
 *
 * The generation counts up by two for each committed change; an odd one says that a change is under way. It begins at the wall clock in microseconds, so that
 * it never falls back even when the directory was deleted, and serves as fencing token too. The last even number stands in one slot; a change goes on in the other:
 *
 *   put     new written and synced | other slot = odd                | new renamed to a1.rec | directory synced | other slot = even, synced
 *   remove                           other slot = odd + name, synced | a1.rec unlinked       | directory synced | slot = even, synced
 *
 * A record says its own generation, and the odd slot says what is to be removed, until the even one is whole. So whatever prefix of this reached the disk, a reader can tell which generation it sees: exactly the
 * old one or the new one. */
#ifndef MEMO__SOURCES_STORE_H
#define MEMO__SOURCES_STORE_H
#include "base/alloc.h"
#include "sources/place.h"
#include "sources/record.h"

#define MEMO__STORE_NAME_MOST 66           /* a service of 63 bytes, ".d" and a NUL */

struct memo__store {
    const struct memo__host *host;
    char path[MEMO__PLACE_PATH_MAX];
    struct memo__place_rule rule;
    int64_t ttl;                           /* ns, of our own records */
    bool ttl_given;                        /* by the URL */
    bool sync;                             /* false: nothing is synced; for tests and for file systems in memory */
    int root;                              /* -1: not open */
    uint64_t device, inode;                /* of root */
    uint64_t epoch;
    struct memo__owner me;
};

/* url: what follows "file:". Fills path, rule, ttl and sync; opens nothing. MEMO_E_SETTING. */
memo_status memo__store_init(struct memo__store *s, const struct memo__host *h, struct memo__text url, memo_error *e);
/* Opens the directory and reads its epoch; create: makes both if they are missing. MEMO_E_UNREACHABLE: not there. MEMO_E_TIMEOUT: somebody else is just making it. */
memo_status memo__store_open(struct memo__store *s, bool create, memo_error *e);
void memo__store_close(struct memo__store *s);
/* Is the open directory still the one behind the path? MEMO_OK, or MEMO_E_UNREACHABLE: it was renamed, replaced or deleted. */
memo_status memo__store_still(const struct memo__store *s, memo_error *e);

/* "todo" to "todo.d" and back; false: not the name of a service, or not of its directory. */
bool memo__store_dir_name(const char *service, char *name, size_t size);
bool memo__store_service_name(const char *name, char *service, size_t size);
/* MEMO_E_UNREACHABLE: it has none yet. */
memo_status memo__store_service(const struct memo__store *s, const char *service, bool create, int *dir, memo_error *e);

struct memo__generation {
    uint64_t even;              /* the last committed one that is written down; 0: none yet */
    bool busy;                  /* a change is under way, or was when its writer died */
    bool present;               /* there is such a file */
    int slot;                   /* where `even` stands */
    char removing[MEMO__RECORD_NAME_MOST];   /* what the change removes; "" */
    char boot[37];              /* in which boot it was written */
};
memo_status memo__store_generation(const struct memo__store *s, int dir, struct memo__generation *out, memo_error *e);

/* Lets a reader see every record. name: the file. why: NULL and r, or what is wrong with it (then r is NULL). Answers non-zero to stop. */
typedef int memo__store_visit(void *user, const char *name, const struct memo__record *r, const struct stat *file, const char *why);
/* One look at all records without any promise about what happens meanwhile. *highest: the greatest generation that a record said. scratch: room for one record and its line. */
struct memo__store_scratch { struct memo__record record; char line[MEMO__RECORD_MOST + 1]; };
memo_status memo__store_visit_all(const struct memo__store *s, int dir, struct memo__store_scratch *scratch, memo__store_visit *visit, void *user, uint64_t *highest,
                                  memo_error *e);
/* A consistent scan. MEMO_OK: what was visited is exactly the records of generation *revision. MEMO_E_TIMEOUT: writers did not leave a quiet moment, ask again soon; what was
 * visited is void. again() is called before each look. *at: the generation file as it was then: as long as it reads the same, nothing has changed. */
memo_status memo__store_scan(const struct memo__store *s, int dir, struct memo__store_scratch *scratch, void (*again)(void *user), memo__store_visit *visit, void *user,
                             uint64_t *revision, struct memo__generation *at, memo_error *e);
bool memo__generation_same(const struct memo__generation *a, const struct memo__generation *b);
/* One record by its file's name: as in a scan, but trusting nothing about other records. MEMO_E_UNREACHABLE: there is none. MEMO_E_PROTOCOL: damaged. */
memo_status memo__store_read_record(const struct memo__store *s, int dir, const char *name, struct memo__store_scratch *scratch, int *fd, struct stat *file, memo_error *e);

/* A change, under the exclusive lock of a service. begin answers MEMO_E_TIMEOUT if somebody else has the lock: nothing here waits. */
struct memo__change {
    const struct memo__store *store;
    struct memo__store_scratch *scratch;
    int dir, lock, file;                   /* file: generation */
    int slot;                              /* the one to write */
    uint64_t even;                         /* committed; token and generation of the next put are even + 2 */
};
memo_status memo__change_begin(struct memo__change *c, const struct memo__store *s, struct memo__store_scratch *scratch, const char *service, bool create, memo_error *e);
/* Fills r->generation (and r->token, if it is 0) and writes it. MEMO_OK: durable. MEMO_E_UNKNOWN_OUTCOME: it may or may not have happened; anything else: it has not. */
memo_status memo__change_put(struct memo__change *c, const char *name, struct memo__record *r, memo_error *e);
memo_status memo__change_remove(struct memo__change *c, const char *name, memo_error *e);
void memo__change_end(struct memo__change *c);

/* The lock of a service without a change: kind LOCK_SH. *lock to be given to memo__store_unlock. MEMO_E_TIMEOUT: a writer has it. */
memo_status memo__store_lock(const struct memo__store *s, int dir, int kind, int *lock, memo_error *e);
void memo__store_unlock(const struct memo__store *s, int lock);
#endif
