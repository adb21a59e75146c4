/* SPDX-License-Identifier: Apache-2.0 */
/* file.h: the parts of the file registry that drive the store from the loop; private to registry_file.c and file_*.c.
 *
 *   registry_file.c  opening, the regular look, watches, reads     file_scan.c    records to a view: who is alive, whose heart beats
 *   file_lease.c     registrations                                 file_owners.c  processes whose end we await
 */
#ifndef MEMO__SOURCES_FILE_H
#define MEMO__SOURCES_FILE_H
#include "sources/dirwatch.h"
#include "sources/source.h"
#include "sources/store.h"

#define MEMO__FILE_LOOK (500 * MEMO__MS)       /* between two looks, +-10 %: what a missed inotify costs at most */
#define MEMO__FILE_WITHIN MEMO__S              /* a confirmation is due so soon: two looks, that a busy machine may be late with one */
#define MEMO__FILE_BUCKETS 64

struct memo__file;

/* A process of our pid namespace that owns records. */
struct memo__file_owner {
    struct memo__file *file;
    struct memo__file_owner *next;
    struct memo__owner who;
    struct memo__io io;                        /* of its pidfd, if we have one */
    int pidfd;                                 /* -1: asked at every look */
    bool gone;
    uint32_t refs;                             /* heartbeats below that point here */
};

/* What is remembered of a record between two scans. */
struct memo__file_beat {
    uint64_t name;                             /* hash of the file's name */
    int64_t touched;                           /* modification time, ns; compared, never ordered */
    int64_t still;                             /* how long, on our clock and while we looked, it has not changed */
    int64_t ttl;
    struct memo__file_owner *owner;            /* NULL: foreign, only the heartbeat tells */
};

struct memo__file_beats { struct memo__file_beat *all; uint32_t count, room; };

struct memo__file_service {
    struct memo__file *file;
    struct memo__file_service *next;
    char name[64];
    int dir;                                   /* -1: not there (yet) */
    uint64_t device, inode;                    /* of dir */
    struct memo__dirwatch_item item;
    struct memo__timer scan;                   /* the next scan, when one is wanted */
    bool wanted;                               /* a scan is */
    bool known;                                /* at least one scan has succeeded: `at` and `revision` hold */
    struct memo__generation at;
    uint64_t revision;
    memo__instant earliest;                    /* loop clock: no scan before */
    memo__instant looked;                      /* boot clock: heartbeats were last looked at */
    struct memo__file_beats beats;
    memo_status trouble;
    uint32_t busy;                             /* scans in a row that found writers */
    uint32_t damaged;                          /* records, as last noted */
};

struct memo__file_lease;
struct memo__file_read;

struct memo__file {
    struct memo__source source;                /* first */
    struct memo__ground ground;
    struct memo__alloc alloc;
    struct memo__source_sink sink;
    struct memo__store store;
    struct memo__store_scratch *scratch;
    uint64_t draws;                            /* state of the jitter */
    struct memo__timer look;
    struct memo__dirwatch_item item;           /* of the registry's own directory */
    struct memo__file_service *services;
    struct memo__file_owner *owners[MEMO__FILE_BUCKETS];
    uint32_t pidfds;
    struct memo__file_lease *leases;
    struct memo__file_read *reads;
    bool was_open;                             /* once: then it is not made again at once when it vanishes */
    memo__instant away_since;                  /* boot clock; 0: open */
    memo_status trouble;                       /* as told */
};

/* A number of ns between least and most. */
int64_t memo__file_jitter(struct memo__file *f, int64_t least, int64_t most);
/* MEMO_OK: the store is open. Tells trouble and its end. create: a registrant may make what is missing. */
memo_status memo__file_ready(struct memo__file *f, bool create, memo_error *e);
memo_status memo__file_look_on(struct memo__file *f);  /* the regular look goes on from now */
void memo__file_want_scan(struct memo__file_service *v, int64_t after);
void memo__file_want_scans(struct memo__file *f);
memo__instant memo__file_boot(const struct memo__file *f);

/* file_owners.c */
/* NULL and *fate GONE or FOREIGN, or the owner (alive when last asked), held by one reference; *fate FOREIGN too when there was no memory to hold it. */
struct memo__file_owner *memo__file_owner_acquire(struct memo__file *f, const struct memo__owner *who, enum memo__owner_fate *fate);
void memo__file_owner_release(struct memo__file_owner *o);
void memo__file_owners_look(struct memo__file *f);     /* asks for those without a pidfd */

/* file_scan.c */
/* One consistent view of a service, with who is gone left out. v may be NULL's equivalent: a service that is only read (then its beats are used for this scan alone). */
memo_status memo__file_scan(struct memo__file *f, struct memo__file_service *v, int dir, struct memo__view **out, uint64_t *revision, struct memo__generation *at, memo_error *e);
/* Looks at the heartbeats; true: somebody's standing has changed. */
bool memo__file_beats_look(struct memo__file_service *v);
void memo__file_beats_free(struct memo__file *f, struct memo__file_beats *b);

/* file_lease.c */
memo_status memo__file_lease(struct memo__source *s, struct memo__lease *l);
void memo__file_change(struct memo__source *s, struct memo__lease *l);
void memo__file_withdraw(struct memo__source *s, struct memo__lease *l);
void memo__file_forget(struct memo__source *s, struct memo__lease *l);
void memo__file_leases_try(struct memo__file *f);      /* the registry is back: all at once, jittered */
void memo__file_leases_end(struct memo__file *f, bool withdraw);
bool memo__file_has_leases(const struct memo__file *f);
#endif
