/* SPDX-License-Identifier: Apache-2.0 */
/* document.c: see document.h.
 *
 *   EMPTY --text that the owner takes--> LIVE --trouble, or a text that he does not take--> STALE --the same text again, or a good one--> LIVE
 *   EMPTY --last good copy--> CACHED --the same text, or a good one, from the source--> LIVE
 *
 * On disk (cache_text.c) a line of ours stands before the text: when it was confirmed, by the clock of which boot, and its etag, so that the first
 * question to a server may be answered "unchanged". */
#include "sources/document.h"
#include <stdio.h>
#include <string.h>
#include "base/hash.h"
#include "base/status.h"
#include "sources/cache_text.h"
#include "sources/owner.h"

static const struct memo__document_ops *const fetchers[] = { &memo__config_file, &memo__config_http, &memo__config_https };

static const struct memo__document_ops *find(const char *url)
{
    size_t n = strcspn(url, ":/");
    if (url[n] != ':')
        return &memo__config_file; /* a path */
    for (size_t i = 0; i < sizeof fetchers / sizeof *fetchers; i++)
        if (strlen(fetchers[i]->scheme) == n && memcmp(fetchers[i]->scheme, url, n) == 0)
            return fetchers[i];
    return NULL;
}

memo_status memo__document_open(const struct memo__document_ground *g, const char *url, const struct memo__document_sink *sink,
                                struct memo__document **out, memo_error *e)
{
    const struct memo__document_ops *ops = find(url);
    *out = NULL;
    if (!ops)
        return memo__fail(e, MEMO_E_UNSUPPORTED, "%s: no source of this scheme is known; there are file: (or a path), http: and https:", url);
    memo_status s = ops->open(g, url, out, e);
    if (s == MEMO_OK)
        (*out)->sink = *sink;
    return s;
}

memo_status memo__document_init(struct memo__document *d, const struct memo__document_ops *ops, const struct memo__document_ground *g,
                                const char *url)
{
    d->ops = ops;
    d->ground = *g;
    d->state = MEMO_VIEW_EMPTY;
    d->url = memo__copy_text(g->alloc, url, strlen(url));
    return d->url ? MEMO_OK : MEMO_E_NO_MEMORY;
}

void memo__document_fini(struct memo__document *d)
{
    memo__drop(d->ground.alloc, d->url);
    memo__drop(d->ground.alloc, d->text);
    d->url = d->text = NULL;
}

memo_status memo__document_start(struct memo__document *d, memo_error *e)
{
    memo_status s = d->ops->begin(d, e);
    return s == MEMO_OK || s == MEMO_E_NO_MEMORY || memo__document_copy(d, NULL) != MEMO_OK ? s : MEMO_OK;
}

void memo__document_forked(struct memo__document *d)
{
    if (d->ops->forked)
        d->ops->forked(d);
}

void memo__document_close(struct memo__document *d)
{
    if (d)
        d->ops->close(d);
}

void memo__document_name(const struct memo__document *d, char *name, size_t size)
{
    (void)snprintf(name, size, "%s%s%s", d->tag[0] ? d->url : "file ", d->tag[0] ? " etag " : d->url, d->tag);
    memo__utf8_mend(name);
}

static void changed(struct memo__document *d)
{
    if (d->sink.changed)
        d->sink.changed(d->sink.user);
}

static void confirm(struct memo__document *d, memo__instant sent)
{
    d->state = MEMO_VIEW_LIVE;
    d->confirmed = sent;
    d->unproven = false;
}

static void stale(struct memo__document *d)
{
    if (d->state == MEMO_VIEW_LIVE)
        d->state = MEMO_VIEW_STALE;
}

/* ---- the last good copy ---- */

static struct memo__text_place kept_at(const struct memo__document *d)
{
    return (struct memo__text_place){ .alloc = d->ground.alloc, .host = d->ground.host, .directory = d->ground.cache_dir, .kind = d->ground.kind,
                                      .key = memo__hash(0, d->url, strlen(d->url)) };
}

/* "memo-document1 BOOT TIME-NS CONFIRMED\nETAG\n" */
static size_t write_head(const struct memo__document *d, char *head, size_t size)
{
    struct memo__owner me;
    memo__owner_self(d->ground.host, &me);
    int n = snprintf(head, size, "memo-document1 %s %llu %lld\n%s\n", me.boot[0] ? me.boot : "-", (unsigned long long)me.time_ns, (long long)d->sent,
                     d->tag);
    return (size_t)n;
}

static void keep(struct memo__document *d)
{
    struct memo__text_place place = kept_at(d);
    char head[MEMO__DOCUMENT_TAG + 128];
    memo_error wrong = MEMO_INIT(memo_error);
    if (!d->ground.cache_on)
        return;
    size_t n = write_head(d, head, sizeof head);
    char *whole = memo__get(d->ground.alloc, n + d->bytes + 1);
    if (!whole)
        return;
    memcpy(whole, head, n);
    memcpy(whole + n, d->text, d->bytes);
    if (memo__cache_text_store(&place, (struct memo__text){ whole, n + d->bytes }, &wrong) != MEMO_OK && d->sink.unkept)
        d->sink.unkept(d->sink.user, wrong.message);
    memo__drop(d->ground.alloc, whole);
}

/* The head's fields, and where the text begins; 0: not one of ours. */
static size_t read_head(const struct memo__document *d, const char *image, char tag[MEMO__DOCUMENT_TAG], memo__instant *confirmed, bool *proven)
{
    struct memo__owner me;
    char boot[40];
    unsigned long long time_ns;
    long long at;
    int n = 0;
    if (sscanf(image, "memo-document1 %39s %llu %lld%n", boot, &time_ns, &at, &n) != 3 || image[n] != '\n')
        return 0;
    const char *from = image + n + 1, *end = strchr(from, '\n');
    if (!end || end - from >= MEMO__DOCUMENT_TAG)
        return 0;
    (void)memo__text_copy(tag, MEMO__DOCUMENT_TAG, (struct memo__text){ from, (size_t)(end - from) });
    memo__owner_self(d->ground.host, &me);
    *proven = me.boot[0] && strcmp(me.boot, boot) == 0 && me.time_ns == time_ns && at <= memo__boot(d->ground.host);
    *confirmed = at;
    return (size_t)(end + 1 - image);
}

/* The copy becomes what is offered; what was seen of the source stays seen. */
static memo_status offer(struct memo__document *d, char *image, size_t bytes, memo_error *e)
{
    char tag[MEMO__DOCUMENT_TAG];
    memo__instant confirmed;
    bool proven, seen = d->seen, bad = d->bad;
    size_t from = read_head(d, image, tag, &confirmed, &proven);
    if (!from) {
        memo__drop(d->ground.alloc, image);
        return memo__fail(e, MEMO_E_PROTOCOL, "the last good copy has no head");
    }
    memmove(image, image + from, bytes - from + 1);
    memo__drop(d->ground.alloc, d->text);
    d->text = image;
    d->bytes = bytes - from;
    d->sent = confirmed;
    d->unproven = !proven;
    d->copied = true;
    if (!seen) {
        d->hash = memo__hash(d->bytes, d->text, d->bytes);
        (void)memo__text_copy(d->tag, sizeof d->tag, memo__text_of(tag));
    }
    memo_status s = d->sink.text(d->sink.user, (struct memo__text){ d->text, d->bytes }, e);
    if (s != MEMO_OK)
        memo__document_settle(d, false);
    d->seen = seen || s == MEMO_OK;
    d->bad = seen ? bad : d->bad;
    return s;
}

memo_status memo__document_copy(struct memo__document *d, memo_error *e)
{
    struct memo__text_place place = kept_at(d);
    char *image = NULL;
    size_t bytes = 0;
    if (!d->ground.cache_on)
        return memo__fail(e, MEMO_E_UNREACHABLE, "nothing is kept on disk");
    memo_status s = memo__cache_text_load(&place, d->ground.cache_max_age, &image, &bytes, e);
    return s == MEMO_OK ? offer(d, image, bytes, e) : s;
}

void memo__document_settle(struct memo__document *d, bool good)
{
    if (!d->text)
        return;
    d->bad = !good;
    if (good && d->copied) {
        d->state = MEMO_VIEW_CACHED;
        d->confirmed = d->sent;
    } else if (good) {
        keep(d);
        confirm(d, d->sent);
    } else {
        stale(d);
    }
    d->copied = false;
    memo__drop(d->ground.alloc, d->text);
    d->text = NULL;
    changed(d);
}

static void readable(struct memo__document *d)
{
    d->absent = false;
    if (d->unreadable == MEMO_OK)
        return;
    d->unreadable = MEMO_OK;
    d->sink.trouble(d->sink.user, MEMO_OK, "can be read again");
}

void memo__document_unchanged(struct memo__document *d, memo__instant sent)
{
    readable(d);
    if (d->bad || d->text || d->state == MEMO_VIEW_EMPTY)
        return; /* what is unchanged is not what the owner has */
    confirm(d, sent);
    changed(d);
}

memo_status memo__document_take(struct memo__document *d, char *text, size_t bytes, const char *tag, memo__instant sent, memo_error *e)
{
    uint64_t hash = memo__hash(bytes, text, bytes);
    (void)memo__text_copy(d->tag, sizeof d->tag, memo__text_of(strlen(tag) < sizeof d->tag ? tag : ""));
    if (d->seen && hash == d->hash) {
        memo__drop(d->ground.alloc, text);
        memo__document_unchanged(d, sent);
        return d->bad ? d->ground.bad : MEMO_OK;
    }
    readable(d);
    memo__drop(d->ground.alloc, d->text); /* nobody has decided about that one, and now nobody needs to */
    d->text = text;
    d->bytes = bytes;
    d->sent = sent;
    d->copied = false;
    memo_status s = d->sink.text(d->sink.user, (struct memo__text){ text, bytes }, e);
    d->seen = s != MEMO_E_NO_MEMORY; /* else it is looked at again with the next poll */
    d->hash = hash;
    if (s != MEMO_OK)
        memo__document_settle(d, false);
    return s;
}

void memo__document_trouble(struct memo__document *d, memo_status s, const char *why)
{
    if (d->state == MEMO_VIEW_LIVE) {
        d->state = MEMO_VIEW_STALE;
        changed(d);
    }
    if (d->unreadable != MEMO_OK || s == MEMO_E_NO_MEMORY)
        return;
    d->unreadable = s;
    d->sink.trouble(d->sink.user, s, why);
}
