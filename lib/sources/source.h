/* SPDX-License-Identifier: Apache-2.0 */
/* source.h: what every registry looks like from above: one vtable, one file per registry.
 *
 * A source lives on the loop and is driven by it; every function but `check` is called on the driver's thread, never blocks on a network, and answers through `sink`. What a source tells the
 * sink is truth as the registry committed it: it never tells "nothing" when it means "I do not know". Retrying, jitter, protection and the last-good cache are watch.c's, not a source's, work. */
#ifndef MEMO__SOURCES_SOURCE_H
#define MEMO__SOURCES_SOURCE_H
#include <memo/status.h>
#include "base/alloc.h"
#include "base/host.h"
#include "base/instant.h"
#include "base/text.h"
#include "model/view.h"
#include "net/loop.h"

struct memo__source;      /* each source embeds this first */
struct memo__dns;         /* net/dns.h */

/* Where a source reports. `service` is the name that was watched. */
struct memo__source_sink {
    /* One committed revision of a watched service; the view becomes the sink's. sent: boot clock when the confirming exchange was sent.
     * authoritative: an empty view is proven (the source can say "there are none") and must not be protected against. */
    void (*view)(void *user, const char *service, struct memo__view *v, bool authoritative);
    /* Nothing has changed, confirmed by an exchange sent at `sent` (boot clock). */
    void (*confirmed)(void *user, const char *service, memo__instant sent);
    /* The source cannot say; the view stays. service NULL: the source as a whole. MEMO_OK: it is back. */
    void (*trouble)(void *user, const char *service, memo_status s, const char *text);
    void *user;
};

/* A registration on its way through a source. Embedded by the owner; the source keeps its lists in `priv`. */
struct memo__lease {
    struct memo__lease *next;
    const char *service, *id, *address, *zone;      /* live as long as the lease */
    uint16_t port;
    uint32_t weight;                                /* 0: draining */
    uint32_t labels_count;
    const char *(*labels)[2];
    /* Told on the driver's thread. status MEMO_OK with token > 0: acknowledged; held until `until` (boot clock) at least, before which a renewal is told again.
     * Anything else: not acknowledged, or lost; the source goes on trying while the lease is wanted. withdrawn: the registry acknowledged the withdrawal. */
    void (*told)(struct memo__lease *l, memo_status status, uint64_t token, memo__instant until, bool withdrawn, const char *text);
    void *user;
    void *priv;
};

typedef void memo__names_fn(void *user, memo_status s, const struct memo__text *names, uint32_t count);
typedef void memo__read_fn(void *user, memo_status s, struct memo__view *v /* taken by the callee */, const char *text);

struct memo__source_ops {
    const char *scheme;                             /* "file" */
    const char *summary;                            /* one sentence for memoctl check */
    bool strict_reads, registers;                   /* what it can do at all */
    /* url without the scheme and its colon; also used by memoctl check without a loop, then NULL source is returned. */
    memo_status (*open)(const struct memo__alloc *a, const struct memo__host *h, struct memo__loop *l, struct memo__dns *dns, struct memo__text url,
                        const struct memo__source_sink *sink, struct memo__source **out, memo_error *e);
    memo_status (*watch)(struct memo__source *s, const char *service);
    void (*unwatch)(struct memo__source *s, const char *service);
    void (*list)(struct memo__source *s, memo__names_fn *fn, void *user);
    void (*read)(struct memo__source *s, const char *service, memo__read_fn *fn, void *user);   /* strict */
    memo_status (*lease)(struct memo__source *s, struct memo__lease *l);        /* wanted from now on */
    void (*change)(struct memo__source *s, struct memo__lease *l);              /* its fields have changed */
    void (*withdraw)(struct memo__source *s, struct memo__lease *l);            /* wanted no more; told with withdrawn = true */
    void (*forget)(struct memo__source *s, struct memo__lease *l);              /* drops it at once, writes nothing (forked child, end) */
    void (*forked)(struct memo__source *s);                                     /* in a child: leases are the parent's: forget them; descriptors are shared: reopen */
    void (*close)(struct memo__source *s);                                      /* never publishes anything */
};

struct memo__source { const struct memo__source_ops *ops; };

extern const struct memo__source_ops memo__registry_static, memo__registry_file;
/* By the scheme of a URL, or NULL. */
const struct memo__source_ops *memo__source_find(struct memo__text url);
#endif
