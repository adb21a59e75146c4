/* SPDX-License-Identifier: Apache-2.0 */
/* cache_text.c: see cache_text.h. */
#include "sources/cache_text.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include "base/hash.h"
#include "base/status.h"
#include "sources/place.h"

#define MAGIC "memo-text1 "

/* "memo-text1 " 20 digits ' ' 20 digits ' ' 10 digits ' ' 8 hex '\n' */
#define CRC_AT (MEMO__TEXT_HEAD - 9)

static uint32_t crc_of(const char *head, struct memo__text text)
{
    return memo__crc32c(memo__crc32c(0, head, CRC_AT), text.at, text.n);
}

void memo__cache_text_encode(const struct memo__text_head *h, struct memo__text text, char *head)
{
    (void)snprintf(head, MEMO__TEXT_HEAD + 1, MAGIC "%020" PRIu64 " %020" PRIu64 " %010zu 00000000\n", h->generation, (uint64_t)h->wall, text.n);
    (void)snprintf(head + CRC_AT, 10, "%08" PRIx32 "\n", crc_of(head, text));
}

bool memo__cache_text_decode(const char *image, size_t bytes, struct memo__text_head *h, struct memo__text *text)
{
    const size_t at = sizeof MAGIC - 1;
    uint64_t wall, n;
    char crc[10];
    if (bytes < MEMO__TEXT_HEAD || memcmp(image, MAGIC, at) != 0 || image[at + 20] != ' ' || image[at + 41] != ' ' || image[at + 52] != ' ' ||
        !memo__parse_u64((struct memo__text){ image + at, 20 }, UINT64_MAX, &h->generation) ||
        !memo__parse_u64((struct memo__text){ image + at + 21, 20 }, INT64_MAX, &wall) ||
        !memo__parse_u64((struct memo__text){ image + at + 42, 10 }, MEMO__TEXT_MOST, &n) || n != bytes - MEMO__TEXT_HEAD)
        return false;
    h->wall = (int64_t)wall;
    *text = (struct memo__text){ image + MEMO__TEXT_HEAD, (size_t)n };
    (void)snprintf(crc, sizeof crc, "%08" PRIx32 "\n", crc_of(image, *text));
    return memcmp(crc, image + CRC_AT, 9) == 0;
}

static void name_of(const struct memo__text_place *p, char copy, char *name, size_t size)
{
    (void)snprintf(name, size, "%016" PRIx64 "-%s.%c", p->key, p->kind, copy);
}

static memo_status directory(const struct memo__text_place *p, bool create, int *fd, struct memo__place_rule *rule, memo_error *e)
{
    char path[MEMO__PLACE_PATH_MAX];
    struct stat st;
    memo__place_rule_self(rule);
    bool good = p->directory && p->directory[0] ? memo__text_copy(path, sizeof path, memo__text_of(p->directory)) : memo__place_default("cache", path, sizeof path);
    return good ? memo__place_open(p->host, path, rule, create, fd, &st, e) : memo__fail(e, MEMO_E_SETTING, "the cache directory's name is too long");
}

/* One copy, whole in memory; *image NULL unless it is there and of a possible size. MEMO_E_NO_MEMORY is the only failure. */
static memo_status read_copy(const struct memo__text_place *p, int dir, const struct memo__place_rule *rule, char copy, char **image, size_t *bytes)
{
    char name[64];
    struct stat st;
    int fd;
    memo_status s = MEMO_OK;
    *image = NULL;
    name_of(p, copy, name, sizeof name);
    if (memo__place_file(p->host, dir, name, O_RDONLY, rule, &fd, &st, NULL) != MEMO_OK)
        return MEMO_OK;
    size_t size = st.st_size < 0 || st.st_size > (off_t)(MEMO__TEXT_MOST + MEMO__TEXT_HEAD) ? 0 : (size_t)st.st_size;
    if (size && !(*image = memo__get(p->alloc, size + 1)))
        s = MEMO_E_NO_MEMORY;
    int64_t got = *image ? memo__read_all(p->host, fd, *image, size) : 0;
    *bytes = got > 0 ? (size_t)got : 0;
    (void)p->host->close(p->host->user, fd);
    return s;
}

struct copies { char *image[2]; struct memo__text_head head[2]; struct memo__text text[2]; bool good[2], there[2]; };

static memo_status read_copies(const struct memo__text_place *p, int dir, const struct memo__place_rule *rule, struct copies *c)
{
    memset(c, 0, sizeof *c);
    for (int i = 0; i < 2; i++) {
        size_t bytes = 0;
        memo_status s = read_copy(p, dir, rule, (char)('a' + i), &c->image[i], &bytes);
        if (s != MEMO_OK)
            return s;
        c->there[i] = c->image[i] != NULL;
        c->good[i] = c->there[i] && memo__cache_text_decode(c->image[i], bytes, &c->head[i], &c->text[i]);
    }
    return MEMO_OK;
}

static void copies_drop(const struct memo__text_place *p, struct copies *c)
{
    memo__drop(p->alloc, c->image[0]);
    memo__drop(p->alloc, c->image[1]);
}

/* The newest good copy, or -1. */
static int newest(const struct copies *c)
{
    if (c->good[0] && c->good[1])
        return c->head[1].generation > c->head[0].generation;
    return c->good[0] ? 0 : c->good[1] ? 1 : -1;
}

memo_status memo__cache_text_load(const struct memo__text_place *p, int64_t max_age, char **out, size_t *bytes, memo_error *e)
{
    struct memo__place_rule rule;
    struct copies c;
    int dir;
    memo_status s = directory(p, false, &dir, &rule, e);
    if (s != MEMO_OK)
        return s;
    s = read_copies(p, dir, &rule, &c);
    int i = s == MEMO_OK ? newest(&c) : -1;
    if (s == MEMO_OK && i < 0)
        s = memo__fail(e, c.there[0] || c.there[1] ? MEMO_E_PROTOCOL : MEMO_E_UNREACHABLE, "no good copy of the last %s", p->kind);
    else if (s == MEMO_OK && memo__wall(p->host) - c.head[i].wall > max_age)
        s = memo__fail(e, MEMO_E_UNREACHABLE, "the last good %s are older than cache_max_age", p->kind);
    else if (s == MEMO_OK && !(*out = memo__copy_text(p->alloc, c.text[i].at, c.text[i].n)))
        s = MEMO_E_NO_MEMORY;
    else if (s == MEMO_OK)
        *bytes = c.text[i].n;
    copies_drop(p, &c);
    (void)p->host->close(p->host->user, dir);
    return s;
}

static memo_status write_copy(const struct memo__text_place *p, int dir, const struct memo__place_rule *rule, char copy, const struct memo__text_head *h,
                              struct memo__text text, memo_error *e)
{
    char name[64], head[MEMO__TEXT_HEAD + 1];
    struct stat st;
    int fd;
    name_of(p, copy, name, sizeof name);
    memo_status s = memo__place_file(p->host, dir, name, O_RDWR | O_CREAT, rule, &fd, &st, e);
    if (s != MEMO_OK)
        return s;
    memo__cache_text_encode(h, text, head);
    int wrong = memo__write_all(p->host, fd, head, MEMO__TEXT_HEAD, 0);
    if (!wrong)
        wrong = memo__write_all(p->host, fd, text.at, text.n, MEMO__TEXT_HEAD);
    if (!wrong)
        wrong = p->host->truncate(p->host->user, fd, (int64_t)(MEMO__TEXT_HEAD + text.n));
    if (!wrong)
        wrong = p->host->sync(p->host->user, fd);
    (void)p->host->close(p->host->user, fd);
    if (!wrong && st.st_size == 0)
        wrong = p->host->sync(p->host->user, dir); /* its name, too */
    return wrong ? memo__fail(e, memo__place_status(wrong), "%s: %s", name, memo__place_why(wrong)) : MEMO_OK;
}

static memo_status store_locked(const struct memo__text_place *p, int dir, const struct memo__place_rule *rule, struct memo__text text, memo_error *e)
{
    struct copies c;
    memo_status s = read_copies(p, dir, rule, &c);
    int i = s == MEMO_OK ? newest(&c) : -1;
    struct memo__text_head h = { .generation = i >= 0 ? c.head[i].generation + 1 : 1, .wall = memo__wall(p->host) };
    copies_drop(p, &c);
    return s == MEMO_OK ? write_copy(p, dir, rule, i == 0 ? 'b' : 'a', &h, text, e) : s;
}

memo_status memo__cache_text_store(const struct memo__text_place *p, struct memo__text text, memo_error *e)
{
    struct memo__place_rule rule;
    struct stat st;
    int dir, lock;
    if (text.n > MEMO__TEXT_MOST)
        return memo__fail(e, MEMO_E_PROTOCOL, "%zu bytes are too long for the cache", text.n);
    memo_status s = directory(p, true, &dir, &rule, e);
    if (s != MEMO_OK)
        return s;
    s = memo__place_file(p->host, dir, "lock", O_RDWR | O_CREAT, &rule, &lock, &st, e);
    if (s == MEMO_OK) {
        int busy = p->host->lock(p->host->user, lock, LOCK_EX | LOCK_NB);
        s = busy < 0 ? memo__fail(e, MEMO_E_TIMEOUT, "another process writes the cache") : store_locked(p, dir, &rule, text, e);
        (void)p->host->close(p->host->user, lock);
    }
    (void)p->host->close(p->host->user, dir);
    return s;
}
