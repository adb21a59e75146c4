/* SPDX-License-Identifier: Apache-2.0 */
/* document.c: see document.h.
 *
 *   EMPTY --text that the owner takes--> LIVE --trouble, or a text that he does not take--> STALE --the same text again, or a good one--> LIVE */
#include "sources/document.h"
#include <stdio.h>
#include <string.h>
#include "base/hash.h"
#include "base/status.h"

static const struct memo__document_ops *const fetchers[] = { &memo__config_file };

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

memo_status memo__document_open(const struct memo__document_ground *g, const char *url, const struct memo__document_sink *sink, struct memo__document **out, memo_error *e)
{
    const struct memo__document_ops *ops = find(url);
    *out = NULL;
    if (!ops)
        return memo__fail(e, MEMO_E_UNSUPPORTED, "%s: no source of this scheme is known: file:, or a path", url);
    memo_status s = ops->open(g, url, out, e);
    if (s == MEMO_OK)
        (*out)->sink = *sink;
    return s;
}

memo_status memo__document_init(struct memo__document *d, const struct memo__document_ops *ops, const struct memo__document_ground *g, const char *url)
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
    return d->ops->begin(d, e);
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

void memo__document_settle(struct memo__document *d, bool good)
{
    if (!d->text)
        return;
    d->bad = !good;
    if (good)
        confirm(d, d->sent);
    else
        stale(d);
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
    if (s == d->unreadable || s == MEMO_E_NO_MEMORY)
        return;
    d->unreadable = s;
    d->sink.trouble(d->sink.user, s, why);
}
