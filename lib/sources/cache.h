/* SPDX-License-Identifier: Apache-2.0 */
/* cache.h: the last good view of a service, on disk, so that a process can start while its registry is away.
 *
 *   cache/  0700                             one for a user; all processes share it
 *     lock                                   flock'ed by who writes
 *     <hash of the registry's url>-todo.a    two copies, 0600, written in turn and in place: the older one is overwritten and synced, so whatever happens
 *     <hash of the registry's url>-todo.b    in between, one is whole; the greater generation that passes its checksum counts
 *
 *   image  head 192 bytes | entries 48 bytes each | text | CRC-32C of all before; little-endian
 *
 * No secrets: endpoints, and nothing that a registry would not tell anybody. The registry's url is there as a hash only. */
#ifndef MEMO__SOURCES_CACHE_H
#define MEMO__SOURCES_CACHE_H
#include "model/view.h"
#include "sources/owner.h"
#include "sources/place.h"

#define MEMO__CACHE_IMAGE_MOST (64u << 20)

struct memo__cache {
    struct memo__alloc alloc;
    const struct memo__host *host;
    char path[MEMO__PLACE_PATH_MAX];
    struct memo__place_rule rule;
    uint64_t url_hash;
    struct memo__owner me;               /* of which boot, in which time namespace */
    int dir;                             /* -1: not open */
};

struct memo__cache_head {
    uint64_t generation, url_hash, revision, epoch, time_ns;
    int64_t confirmed_wall, confirmed_boot;   /* ns */
    char boot[40], service[64];
};

/* path NULL or "": the default place. Opens nothing yet. MEMO_E_SETTING: too long, or not absolute. */
memo_status memo__cache_init(struct memo__cache *c, const struct memo__alloc *a, const struct memo__host *h, const char *path, const char *url, memo_error *e);
void memo__cache_fini(struct memo__cache *c);
/* MEMO_OK: *out is ready to be published, state MEMO_VIEW_CACHED, confirmed and unproven filled. MEMO_E_UNREACHABLE: nothing there, or too old. MEMO_E_PROTOCOL: both copies damaged. */
memo_status memo__cache_load(struct memo__cache *c, const char *service, int64_t max_age, struct memo__view **out, memo_error *e);
/* confirmed: boot clock. MEMO_E_TIMEOUT: another process is writing. MEMO_OK also if what is there is newer, then nothing is written. */
memo_status memo__cache_store(struct memo__cache *c, const char *service, const struct memo__view *v, memo__instant confirmed, memo_error *e);

/* The image alone. encode: NULL if there is no memory or it would be beyond the cap. decode: MEMO_E_PROTOCOL for anything that is not exactly one image; out may be NULL (head only, but
 * all is checked). */
unsigned char *memo__cache_encode(const struct memo__alloc *a, const struct memo__cache_head *head, const struct memo__view *v, size_t *bytes);
memo_status memo__cache_decode(const struct memo__alloc *a, const unsigned char *image, size_t bytes, struct memo__cache_head *head, struct memo__view **out);
#endif
