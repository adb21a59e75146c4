/* SPDX-License-Identifier: Apache-2.0 */
/* source.h: what every registry looks like from above: one vtable, one file per registry.
 *
 * A source lives on the loop and is driven by it; every function is called on the driver's thread, never blocks on a network, and answers through `sink`, later, never before it has
 * returned. What a source tells the sink is truth as the registry committed it: it never tells "nothing" when it means "I do not know". Retrying, jitter, protection, the order of revisions and
 * the last-good cache are watch.c's, not a source's, work. */
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
struct memo__dirwatch;    /* sources/dirwatch.h */

/* What a source stands on. All live longer than the source. */
struct memo__ground {
    const struct memo__alloc *alloc;
    const struct memo__host *host;
    struct memo__loop *loop;
    struct memo__dns *dns;           /* NULL: names cannot be resolved */
    struct memo__dirwatch *dirs;     /* NULL: directories are polled only */
    int64_t lease_ttl;               /* ns, of leases whose URL says no other; 0: the source's own default */
};

/* What an answer proves. */
struct memo__proof {
    memo__instant sent;     /* boot clock when the confirming exchange was SENT; MEMO__NEVER: true for ever (a literal), so its age is always 0 */
    int64_t within;         /* the next confirmation is due within so many ns, if all is well; after two of them without any the view counts as stale; 0: never due */
    bool authoritative;     /* what is missing is provably gone: an empty or much smaller view is not protected against */
};

/* Where a source reports. `service` is the name that was watched. */
struct memo__source_sink {
    /* One committed revision of a watched service; the view becomes the sink's. v->revision 0: the source has no revisions of its own, the sink numbers them.
     * v->state, v->confirmed and v->unproven are the sink's to fill. */
    void (*view)(void *user, const char *service, struct memo__view *v, const struct memo__proof *p);
    /* Nothing has changed. */
    void (*confirmed)(void *user, const char *service, const struct memo__proof *p);
    /* The source cannot say; the view stays. service NULL: the source as a whole. MEMO_OK: it is back. Until then `retry` is called, ever later, with full jitter. */
    void (*trouble)(void *user, const char *service, memo_status s, const char *text);
    /* Worth a line of log and a count, and changes nothing: one damaged record among a thousand. */
    void (*note)(void *user, const char *service, memo_status s, const char *text);
    /* The view that the sink holds for this service now, borrowed until the source returns, or NULL: so that what the source cannot read just now stays as it was. */
    const struct memo__view *(*held)(void *user, const char *service);
    void *user;
};

/* A registration on its way through a source. Embedded by the owner; the source keeps its lists in `priv`. */
struct memo__lease {
    struct memo__lease *next;
    const char *service, *id, *address, *zone;      /* live as long as the lease; zone may be NULL */
    uint16_t port;
    uint32_t weight;                                /* 0: draining */
    uint32_t labels_count;
    const char *(*labels)[2];
    /* Told on the driver's thread. status MEMO_OK with token > 0: acknowledged; held until `until` (boot clock) at least, before which a renewal is told again.
     * Anything else: the wanted state is not acknowledged; token is 0 if the lease is not held (any more), else only a change has failed so far. The source goes on trying while
     * the lease is wanted; a lost lease comes back with a greater token.
     * withdrawn: the registry acknowledged the withdrawal, and the source has let go of the lease. The lease may be freed from inside only then. */
    void (*told)(struct memo__lease *l, memo_status status, uint64_t token, memo__instant until, bool withdrawn, const char *text);
    void *user;
    void *priv;
};

typedef void memo__names_fn(void *user, memo_status s, const struct memo__text *names, uint32_t count); /* sorted */
typedef void memo__read_fn(void *user, memo_status s, struct memo__view *v /* taken by the callee, NULL unless MEMO_OK */, const char *text);

struct memo__source_ops {
    const char *scheme;                             /* "file" */
    const char *summary;                            /* one sentence for memoctl check */
    bool strict_reads, registers;                   /* what it can do at all */
    int64_t retry_initial, retry_max;               /* the scale of the waits between tries, ns */
    /* url: without the scheme and its colon. A mistake in it is told at once, with its place (MEMO_E_SETTING); a registry that is away is not a failure but trouble, told later.
     * g->loop NULL: memoctl check: says what is wrong with the url or with what it names now, without waiting; *out stays NULL. sink is copied. */
    memo_status (*open)(const struct memo__ground *g, struct memo__text url, const struct memo__source_sink *sink, struct memo__source **out, memo_error *e);
    memo_status (*watch)(struct memo__source *s, const char *service);
    void (*unwatch)(struct memo__source *s, const char *service);
    void (*retry)(struct memo__source *s, const char *service);     /* after trouble about it (NULL: about all): try again now */
    /* Both answer exactly once, unless the source is closed before. A view read so has revision, epoch, state LIVE and confirmed filled. */
    void (*list)(struct memo__source *s, memo__names_fn *fn, void *user);
    void (*read)(struct memo__source *s, const char *service, memo__read_fn *fn, void *user);   /* strict */
    memo_status (*lease)(struct memo__source *s, struct memo__lease *l);        /* wanted from now on; MEMO_E_UNSUPPORTED, MEMO_E_STATE (that id is leased here already), MEMO_E_NO_MEMORY */
    void (*change)(struct memo__source *s, struct memo__lease *l);              /* its fields have changed */
    void (*withdraw)(struct memo__source *s, struct memo__lease *l);            /* wanted no more; told with withdrawn = true */
    void (*forget)(struct memo__source *s, struct memo__lease *l);              /* drops it at once, writes nothing (forked child, end) */
    void (*forked)(struct memo__source *s);                                     /* in a child: leases are the parent's: forget them; descriptors are shared: reopen */
    void (*close)(struct memo__source *s);      /* never publishes anything; a withdrawal that was asked for and not yet tried is tried once; reads and lists that wait are dropped */
};

struct memo__source { const struct memo__source_ops *ops; };

extern const struct memo__source_ops memo__registry_static, memo__registry_file;
/* By the scheme of a URL ("file:///run/memo", "static:todo=..."), or NULL. */
const struct memo__source_ops *memo__source_find(struct memo__text url);
/* The i-th source that this build has, or NULL past the end: for memoctl check and for messages. */
const struct memo__source_ops *memo__source_at(uint32_t i);
/* Is anything wrong with this URL, or with what it names on this machine now? No loop, no waiting, nothing created. */
memo_status memo__source_check(const struct memo__alloc *a, const struct memo__host *h, const char *url, memo_error *e);
#endif
