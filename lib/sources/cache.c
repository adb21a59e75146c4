/* SPDX-License-Identifier: Apache-2.0 */
/* cache.c: images of views; cache.h has the picture.
 *
 * CRC-32C finds every flipped byte and every burst of up to 32 bits; the size stands in the image, so every cut is found too. Nothing is believed that passes only by chance: all
 * offsets are checked and the view is built anew, entry by entry. Age: in the same boot (and time namespace) the boot clock proves it; otherwise the wall clock can only bound it. */
#define _GNU_SOURCE
#include "sources/cache.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <memo/service.h>
#include "base/hash.h"
#include "base/status.h"
#include "sources/record.h"

#define MAGIC UINT64_C(0x0a3177656976206d) /* "m view1\n" */
#define HEAD 192
#define ENTRY 48
#define SUM 4

/* ---- numbers ---- */

static unsigned char *put64(unsigned char *p, uint64_t n)
{
    for (int i = 0; i < 8; i++)
        p[i] = (unsigned char)(n >> (8 * i));
    return p + 8;
}

static unsigned char *put32(unsigned char *p, uint32_t n)
{
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(n >> (8 * i));
    return p + 4;
}

static uint64_t get64(const unsigned char **p)
{
    uint64_t n = 0;
    for (int i = 0; i < 8; i++)
        n |= (uint64_t)(*p)[i] << (8 * i);
    *p += 8;
    return n;
}

static uint32_t get32(const unsigned char **p)
{
    uint32_t n = 0;
    for (int i = 0; i < 4; i++)
        n |= (uint32_t)(*p)[i] << (8 * i);
    *p += 4;
    return n;
}

/* ---- the image ---- */

static void put_head(unsigned char *p, const struct memo__cache_head *h, uint64_t bytes, uint32_t count, uint32_t text_bytes)
{
    p = put64(p, MAGIC);
    p = put64(p, bytes);
    p = put64(p, h->generation);
    p = put64(p, h->url_hash);
    p = put64(p, h->revision);
    p = put64(p, h->epoch);
    p = put64(p, h->time_ns);
    p = put64(p, (uint64_t)h->confirmed_wall);
    p = put64(p, (uint64_t)h->confirmed_boot);
    memcpy(p, h->boot, sizeof h->boot);
    p += sizeof h->boot;
    memcpy(p, h->service, sizeof h->service);
    p += sizeof h->service;
    p = put32(p, count);
    p = put32(p, text_bytes); /* 72 + 40 + 64 + 8 = 184; the rest is zero */
}

unsigned char *memo__cache_encode(const struct memo__alloc *a, const struct memo__cache_head *head, const struct memo__view *v, size_t *bytes)
{
    size_t all = HEAD + (size_t)v->count * ENTRY + v->text_bytes + SUM;
    unsigned char *image = v->text_bytes <= MEMO__CACHE_IMAGE_MOST && all <= MEMO__CACHE_IMAGE_MOST ? memo__get(a, all) : NULL;
    if (!image)
        return NULL;
    put_head(image, head, all, v->count, (uint32_t)v->text_bytes);
    unsigned char *p = image + HEAD;
    for (uint32_t i = 0; i < v->count; i++) {
        const struct memo__view_entry *e = &v->entries[i];
        unsigned char *next = p + ENTRY;
        p = put32(p, e->id);
        p = put32(p, e->address);
        p = put32(p, e->host);
        p = put32(p, e->zone);
        p = put32(p, e->labels);
        p = put32(p, e->weight);
        p = put64(p, e->registered);
        p = put32(p, (uint32_t)e->port | (uint32_t)e->labels_count << 16);
        (void)put32(p, (e->healthy ? 1u : 0) | (e->secure ? 2u : 0));
        p = next;
    }
    memcpy(p, v->text, v->text_bytes);
    (void)put32(image + all - SUM, memo__crc32c(0, image, all - SUM));
    *bytes = all;
    return image;
}

struct image { const unsigned char *entries; const char *text; uint32_t count, text_bytes; };

static bool read_head(const unsigned char *bytes, size_t n, struct memo__cache_head *h, struct image *in)
{
    const unsigned char *p = bytes, *sum = bytes + n - SUM;
    if (n < HEAD + SUM || n > MEMO__CACHE_IMAGE_MOST || get64(&p) != MAGIC || get64(&p) != n || memo__crc32c(0, bytes, n - SUM) != get32(&sum))
        return false;
    h->generation = get64(&p);
    h->url_hash = get64(&p);
    h->revision = get64(&p);
    h->epoch = get64(&p);
    h->time_ns = get64(&p);
    h->confirmed_wall = (int64_t)get64(&p);
    h->confirmed_boot = (int64_t)get64(&p);
    memcpy(h->boot, p, sizeof h->boot);
    p += sizeof h->boot;
    memcpy(h->service, p, sizeof h->service);
    p += sizeof h->service;
    in->count = get32(&p);
    in->text_bytes = get32(&p);
    in->entries = bytes + HEAD;
    if (in->count > MEMO__VIEW_ENDPOINTS_MAX || n != HEAD + (size_t)in->count * ENTRY + in->text_bytes + SUM)
        return false;
    in->text = (const char *)in->entries + (size_t)in->count * ENTRY;
    return in->text_bytes > 0 && in->text[0] == '\0' && in->text[in->text_bytes - 1] == '\0' && memchr(h->boot, '\0', sizeof h->boot) &&
           memchr(h->service, '\0', sizeof h->service);
}

static bool text_at(const struct image *in, uint32_t offset, struct memo__text *out)
{
    if (offset >= in->text_bytes)
        return false;
    *out = memo__text_of(in->text + offset);
    return true;
}

static bool add_entry(struct memo__view_builder *b, const struct image *in, uint32_t i)
{
    const unsigned char *p = in->entries + (size_t)i * ENTRY;
    struct memo__text labels[MEMO__LABELS_MAX][2];
    struct memo__found f = { 0 };
    uint32_t id = get32(&p), address = get32(&p), host = get32(&p), zone = get32(&p), at = get32(&p);
    f.weight = get32(&p);
    f.registered = get64(&p);
    uint32_t port = get32(&p), flags = get32(&p);
    f.port = (uint16_t)port;
    f.labels_count = port >> 16;
    f.healthy = flags & 1;
    f.secure = (flags & 2) != 0;
    if (!text_at(in, id, &f.id) || !text_at(in, address, &f.address) || !text_at(in, host, &f.host) || !text_at(in, zone, &f.zone) || f.labels_count > MEMO__LABELS_MAX ||
        flags > 3 || f.port == 0 || !memo__address_numeric(f.address.at))
        return false;
    for (uint32_t k = 0; k < 2 * f.labels_count; k++) {
        if (!text_at(in, at, &labels[k / 2][k % 2]))
            return false;
        at += (uint32_t)labels[k / 2][k % 2].n + 1;
    }
    f.labels = (const struct memo__text(*)[2])labels;
    memo__view_add(b, &f);
    return true;
}

memo_status memo__cache_decode(const struct memo__alloc *a, const unsigned char *image, size_t bytes, struct memo__cache_head *head, struct memo__view **out)
{
    struct image in;
    if (out)
        *out = NULL;
    if (bytes < HEAD + SUM || !read_head(image, bytes, head, &in))
        return MEMO_E_PROTOCOL;
    struct memo__view_builder *b = memo__view_builder_new(a);
    struct memo__view *v = NULL;
    if (!b)
        return MEMO_E_NO_MEMORY;
    for (uint32_t i = 0; i < in.count; i++)
        if (!add_entry(b, &in, i)) {
            memo__view_builder_free(b);
            return MEMO_E_PROTOCOL;
        }
    memo_status st = memo__view_end(b, &v);
    if (st == MEMO_OK && v->count != in.count)
        st = MEMO_E_PROTOCOL; /* two of the same: we never write that */
    if (st == MEMO_OK) {
        v->revision = head->revision;
        v->epoch = head->epoch;
        v->state = MEMO_VIEW_CACHED;
    }
    if (st == MEMO_OK && out)
        *out = v;
    else
        memo__view_free(v);
    return st;
}

/* ---- the directory ---- */

memo_status memo__cache_init(struct memo__cache *c, const struct memo__alloc *a, const struct memo__host *h, const char *path, const char *url, memo_error *e)
{
    *c = (struct memo__cache){ .alloc = *a, .host = h, .dir = -1, .url_hash = memo__hash(0, url, strlen(url)) };
    memo__place_rule_self(&c->rule);
    memo__owner_self(h, &c->me);
    bool fits = path && path[0] ? memo__text_copy(c->path, sizeof c->path, memo__text_of(path)) : memo__place_default("cache", c->path, sizeof c->path);
    if (fits && c->path[0] == '/')
        return MEMO_OK;
    return memo__fail(e, MEMO_E_SETTING, "cache_dir must be an absolute path of less than %d bytes", MEMO__PLACE_PATH_MAX);
}

void memo__cache_fini(struct memo__cache *c)
{
    if (c->host && c->dir >= 0)
        (void)c->host->close(c->host->user, c->dir);
    c->dir = -1;
}

static memo_status ready(struct memo__cache *c, memo_error *e)
{
    struct stat found;
    return c->dir >= 0 ? MEMO_OK : memo__place_open(c->host, c->path, &c->rule, true, &c->dir, &found, e);
}

static void file_name(const struct memo__cache *c, const char *service, int copy, char *name, size_t size)
{
    snprintf(name, size, "%016" PRIx64 "-%s.%c", c->url_hash, service, copy ? 'b' : 'a');
}

/* One copy. *out may be NULL. MEMO_E_UNREACHABLE: there is none. */
static memo_status read_copy(struct memo__cache *c, const char *service, int copy, struct memo__cache_head *head, struct memo__view **out, memo_error *e)
{
    const struct memo__host *h = c->host;
    char name[96];
    struct stat file;
    int fd;
    file_name(c, service, copy, name, sizeof name);
    memo_status st = memo__place_file(h, c->dir, name, O_RDONLY, &c->rule, &fd, &file, e);
    if (st != MEMO_OK)
        return st;
    size_t n = file.st_size > 0 && file.st_size <= MEMO__CACHE_IMAGE_MOST ? (size_t)file.st_size : 0;
    unsigned char *image = n ? memo__get(&c->alloc, n) : NULL;
    st = n && !image ? MEMO_E_NO_MEMORY : MEMO_OK;
    int64_t got = image ? memo__read_all(h, fd, image, n) : 0;
    (void)h->close(h->user, fd);
    if (st == MEMO_OK)
        st = n && got == (int64_t)n ? memo__cache_decode(&c->alloc, image, n, head, out) : MEMO_E_PROTOCOL;
    memo__drop(&c->alloc, image);
    if (st == MEMO_OK && (head->url_hash != c->url_hash || strcmp(head->service, service) != 0)) {
        st = MEMO_E_PROTOCOL;
        if (out) {
            memo__view_free(*out);
            *out = NULL;
        }
    }
    return st == MEMO_E_PROTOCOL ? memo__fail(e, st, "cached view %s is damaged", name) : st;
}

/* The better copy; *which tells the other one, to be overwritten. */
static memo_status read_best(struct memo__cache *c, const char *service, struct memo__cache_head *head, struct memo__view **out, int *which, memo_error *e)
{
    struct memo__cache_head heads[2];
    struct memo__view *views[2] = { NULL, NULL };
    memo_status st[2];
    for (int i = 0; i < 2; i++)
        st[i] = read_copy(c, service, i, &heads[i], out ? &views[i] : NULL, e);
    int best = st[0] == MEMO_OK && (st[1] != MEMO_OK || heads[0].generation >= heads[1].generation) ? 0 : 1;
    *which = 1 - best;
    memo__view_free(views[1 - best]);
    if (st[best] != MEMO_OK) {
        if (st[0] == MEMO_E_NO_MEMORY || st[1] == MEMO_E_NO_MEMORY)
            return MEMO_E_NO_MEMORY;
        return st[0] == MEMO_E_UNREACHABLE ? st[1] : st[0];
    }
    *head = heads[best];
    if (out)
        *out = views[best];
    return MEMO_OK;
}

static bool same_clock(const struct memo__cache *c, const struct memo__cache_head *h)
{
    return c->me.boot[0] && strcmp(c->me.boot, h->boot) == 0 && c->me.time_ns == h->time_ns;
}

memo_status memo__cache_load(struct memo__cache *c, const char *service, int64_t max_age, struct memo__view **out, memo_error *e)
{
    struct memo__cache_head head;
    int which;
    *out = NULL;
    memo_status st = ready(c, e);
    if (st == MEMO_OK)
        st = read_best(c, service, &head, out, &which, e);
    if (st != MEMO_OK)
        return st;
    memo__instant now = memo__boot(c->host);
    int64_t age = memo__since(memo__wall(c->host), head.confirmed_wall);
    bool proven = same_clock(c, &head) && head.confirmed_boot <= now;
    if (proven)
        age = now - head.confirmed_boot;
    if (age > max_age) {
        memo__view_free(*out);
        *out = NULL;
        return memo__fail(e, MEMO_E_UNREACHABLE, "the cached view of %s is too old: %" PRId64 " s", service, age / MEMO__S);
    }
    (*out)->confirmed = now - age;
    (*out)->unproven = !proven;
    return MEMO_OK;
}

static memo_status write_copy(struct memo__cache *c, const char *service, int copy, const unsigned char *image, size_t bytes, memo_error *e)
{
    const struct memo__host *h = c->host;
    char name[96];
    struct stat file;
    int fd, wrong;
    file_name(c, service, copy, name, sizeof name);
    memo_status st = memo__place_file(h, c->dir, name, O_RDWR | O_CREAT, &c->rule, &fd, &file, e);
    if (st != MEMO_OK)
        return st;
    wrong = memo__write_all(h, fd, image, bytes, 0);
    if (wrong == 0 && (uint64_t)file.st_size > bytes)
        wrong = h->truncate(h->user, fd, (int64_t)bytes);
    if (wrong == 0)
        wrong = h->sync(h->user, fd);
    (void)h->close(h->user, fd);
    if (wrong == 0 && file.st_size == 0)
        wrong = h->sync(h->user, c->dir); /* its name, too */
    return wrong < 0 ? memo__fail(e, memo__place_status(wrong), "cannot write cached view %s: %s", name, memo__place_why(wrong)) : MEMO_OK;
}

static memo_status store_locked(struct memo__cache *c, const char *service, const struct memo__view *v, memo__instant confirmed, memo_error *e)
{
    struct memo__cache_head there = { 0 }, head = { .url_hash = c->url_hash, .revision = v->revision, .epoch = v->epoch, .time_ns = c->me.time_ns };
    size_t bytes = 0;
    int which = 0;
    memo_status st = read_best(c, service, &there, NULL, &which, NULL);
    if (st == MEMO_E_NO_MEMORY)
        return st;
    head.confirmed_boot = confirmed;
    head.confirmed_wall = memo__wall(c->host) - memo__since(memo__boot(c->host), confirmed);
    if (st == MEMO_OK && there.epoch == head.epoch &&
        (there.revision > head.revision || (there.revision == head.revision && same_clock(c, &there) && there.confirmed_boot >= confirmed)))
        return MEMO_OK; /* another process knows better */
    head.generation = there.generation + 1;
    (void)memo__text_copy(head.boot, sizeof head.boot, memo__text_of(c->me.boot));
    (void)memo__text_copy(head.service, sizeof head.service, memo__text_of(service));
    unsigned char *image = memo__cache_encode(&c->alloc, &head, v, &bytes);
    if (!image)
        return memo__fail(e, MEMO_E_NO_MEMORY, "no memory to cache a view");
    st = write_copy(c, service, which, image, bytes, e);
    memo__drop(&c->alloc, image);
    return st;
}

memo_status memo__cache_store(struct memo__cache *c, const char *service, const struct memo__view *v, memo__instant confirmed, memo_error *e)
{
    struct stat file;
    int lock = -1;
    memo_status st = ready(c, e);
    if (st != MEMO_OK)
        return st;
    st = memo__place_file(c->host, c->dir, "lock", O_RDONLY | O_CREAT, &c->rule, &lock, &file, e);
    if (st == MEMO_OK) {
        int wrong = c->host->lock(c->host->user, lock, LOCK_EX | LOCK_NB);
        st = wrong == 0 ? store_locked(c, service, v, confirmed, e) : memo__fail(e, memo__place_status(wrong), "the cache's lock: %s", memo__place_why(wrong));
        (void)c->host->lock(c->host->user, lock, LOCK_UN);
        (void)c->host->close(c->host->user, lock);
    }
    if (st != MEMO_OK && st != MEMO_E_TIMEOUT && st != MEMO_E_NO_MEMORY)
        memo__cache_fini(c); /* perhaps the directory is another one by now: open it anew next time */
    return st;
}
