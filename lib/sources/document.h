/* SPDX-License-Identifier: Apache-2.0 */
/* document.h: a text from somewhere, kept fresh: the rules, and each source of an application's configuration.
 *
 *   file:///etc/app.json, or a path    told by the kernel, and polled                                      config_file.c
 *   http(s)://config.internal/app.json polled: If-None-Match, jitter                                       config_http.c
 *
 *   fetcher --text, unchanged, trouble--> document: is it new? has it been told? --text--> owner: good or bad
 *                                         document: the last good copy on disk, state and age  <--settle--'
 *
 * A source that cannot be read, or says something bad, at the start, is replaced by its last good copy (state CACHED): its age is told honestly, and
 * is unproven if it is of another boot.
 *
 * Whatever happens to the source, what the owner has stays his: a text that is bad, empty or gone is told and changes nothing. A fetcher embeds the
 * document and only says what it found. All functions are for the loop's thread. */
#ifndef MEMO__SOURCES_DOCUMENT_H
#define MEMO__SOURCES_DOCUMENT_H
#include <memo/service.h>
#include <memo/status.h>
#include "base/alloc.h"
#include "base/host.h"
#include "base/text.h"
#include "net/loop.h"
#include "sources/dirwatch.h"

struct memo__document;
struct memo__dns;         /* net/dns.h */
struct memo__http_pool;   /* net/http.h */
struct memo__http_async;  /* net/http_async.h */
struct memo__transport;   /* net/transport.h */

#define MEMO__DOCUMENT_MOST (4u << 20)  /* bytes of a text, at most */
#define MEMO__DOCUMENT_TAG 256          /* bytes of an etag, with the NUL; a longer one is not used */

/* What a document stands on. All live longer than it. */
struct memo__document_ground {
    const struct memo__alloc *alloc;
    const struct memo__host *host;
    struct memo__loop *loop;
    struct memo__dirwatch *dirs;         /* NULL: directories are polled only */
    const char *kind;                    /* "rules": what it is called on disk */
    memo_status bad;                     /* the status of a text that is bad: MEMO_E_RULES, MEMO_E_SETTING */
    size_t most;                         /* bytes of a text; of a longer one a byte more is offered, so that the owner refuses it in his own words */
    bool cache_on;                       /* is the last good text kept on disk? */
    const char *cache_dir;
    int64_t cache_max_age;               /* ns */
    int64_t poll;                        /* ns between two looks at a file */
    /* Of http(s): */
    struct memo__dns *dns;
    struct memo__http_pool *http;
    const struct memo__transport *transport;
    struct memo__http_async **async;     /* *async NULL: made here when it is first needed, freed by its owner */
    int64_t interval, timeout;           /* ns between two questions; and for an answer, its name's addresses included */
    int64_t connect_timeout_ms;
};

struct memo__document_sink {
    /* A new text, borrowed. MEMO_OK: memo__document_settle has been called, or will be. Anything else: it is bad, and the owner has told so; but
     * MEMO_E_NO_MEMORY: it is offered again. e may be NULL. */
    memo_status (*text)(void *user, struct memo__text text, memo_error *e);
    /* It cannot be read: told at changes, not at every try. MEMO_OK: it can again. */
    void (*trouble)(void *user, memo_status s, const char *why);
    /* State or age are others. May be NULL. */
    void (*changed)(void *user);
    /* The last good text is not kept on disk. May be NULL. */
    void (*unkept)(void *user, const char *why);
    void *user;
};

struct memo__document_ops {
    const char *scheme;                  /* "file" */
    memo_status (*open)(const struct memo__document_ground *g, const char *url, struct memo__document **out, memo_error *e);
    /* The first look, if it needs no waiting (MEMO_E_UNREACHABLE: it does), and all later ones by itself. */
    memo_status (*begin)(struct memo__document *d, memo_error *e);
    void (*forked)(struct memo__document *d);
    void (*close)(struct memo__document *d);
};

/* What fetchers embed first. */
struct memo__document {
    const struct memo__document_ops *ops;
    struct memo__document_ground ground;
    struct memo__document_sink sink;
    char *url;                           /* as it was given; for people */
    char *text;                          /* offered to the owner, not settled yet */
    size_t bytes;
    memo__instant sent;                  /* of that text */
    uint64_t hash;                       /* of the text seen last, good or bad */
    char tag[MEMO__DOCUMENT_TAG];        /* and its etag, or "" */
    bool seen, bad;                      /* a text was; that text is */
    bool copied;                         /* the text that is offered is the last good copy */
    bool absent;                         /* there has never been a text, provably */
    memo_status unreadable;              /* as it was told last */
    int32_t state;                       /* MEMO_VIEW_...: of what the owner has */
    memo__instant confirmed;             /* boot clock */
    bool unproven;
};

/* MEMO_OK, MEMO_E_SETTING (the url), MEMO_E_UNSUPPORTED (its scheme), MEMO_E_NO_MEMORY. Everything is copied. */
memo_status memo__document_open(const struct memo__document_ground *g, const char *url, const struct memo__document_sink *sink,
                                struct memo__document **out, memo_error *e);
/* MEMO_OK: a text was offered. MEMO_E_IO, MEMO_E_UNREACHABLE: none yet, it is looked for from now on. Anything else: bad. */
memo_status memo__document_start(struct memo__document *d, memo_error *e);
/* Offers the last good copy. MEMO_OK, or what keeps it from being used (MEMO_E_UNREACHABLE: there is none). */
memo_status memo__document_copy(struct memo__document *d, memo_error *e);
void memo__document_settle(struct memo__document *d, bool good);
void memo__document_forked(struct memo__document *d);   /* after the loop, the directory watch and what else it stands on */
void memo__document_close(struct memo__document *d);    /* NULL is welcome */
/* "file /etc/app.json" */
void memo__document_name(const struct memo__document *d, char *name, size_t size);

/* For fetchers. text: in a block of its own that becomes the document's, ended by NUL. sent: boot clock, when it was asked for. */
memo_status memo__document_take(struct memo__document *d, char *text, size_t bytes, const char *tag, memo__instant sent, memo_error *e);
void memo__document_unchanged(struct memo__document *d, memo__instant sent);
void memo__document_trouble(struct memo__document *d, memo_status s, const char *why);
memo_status memo__document_init(struct memo__document *d, const struct memo__document_ops *ops, const struct memo__document_ground *g,
                                const char *url);
void memo__document_fini(struct memo__document *d);
extern const struct memo__document_ops memo__config_file, memo__config_http, memo__config_https;
bool memo__config_file_watched(const struct memo__document *d); /* for tests: does the kernel tell of changes? */
#endif
