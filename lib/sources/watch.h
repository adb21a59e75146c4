/* SPDX-License-Identifier: Apache-2.0 */
/* watch.h: one client's eyes on one registry: a source, and what all sources need around them.
 *
 *   source --view, confirmed, trouble--> watch: order of revisions, protection, age, cache --view, age, trouble--> client
 *          <--------- retry (full jitter) ----'
 *
 *   EMPTY --cache--> CACHED --source--> LIVE --trouble, or two intervals without confirmation--> STALE --confirmed--> LIVE
 *   any   --an update that would lose more than the protected share, without proof--> PROTECTED (the last good view stays) --a better update, or proof--> LIVE
 *
 * All functions are for the loop's thread. Our own end publishes nothing. */
#ifndef MEMO__SOURCES_WATCH_H
#define MEMO__SOURCES_WATCH_H
#include "sources/source.h"

struct memo__watch;

struct memo__watch_options {
    const char *cache_dir;           /* NULL or "": beside the file registry: $XDG_RUNTIME_DIR/memo/cache, else /run/memo/cache */
    bool cache_on;
    int64_t cache_max_age;           /* ns: how old a cached view may be to start from */
    uint32_t protect_share;          /* ppm of a view that one unproven update may take away: 500000 is 50 %; 1000000: no protection but against emptiness */
    int64_t protect_for;             /* ns: a smaller view that the source has insisted on for so long is believed, even an empty one if the source is authoritative
                                      * (that is how a re-created registry is believed in the end); 0: 5 minutes */
    void (*log)(void *user, int32_t level, const char *line);  /* MEMO_LOG_...; may be NULL; asks nothing of the watch */
    void *log_user;
};

/* Where the watch reports. All but `borrow` come from the loop's thread, from a turn of the loop; only memo__watch_service itself also delivers a cached view, before it returns,
 * and memo__unwatch_service and memo__watch_close may still borrow one, to write it down. None of them may call back into the watch. */
struct memo__watch_sink {
    /* A new view, sorted and immutable, with revision, epoch, state, confirmed and unproven filled. MEMO_OK: it is the receiver's now (memo__view_free). Anything else: the
     * receiver could not take it (no memory); it stays the watch's, which offers it again within a second. */
    memo_status (*view)(void *user, const char *service, struct memo__view *v);
    /* The last view given for this service, borrowed for as long as the loop's thread stays inside the watch; NULL: none. So the watch needs no copy of its own. */
    const struct memo__view *(*borrow)(void *user, const char *service);
    /* The last view given is worth this now: MEMO_VIEW_..., and the boot-clock instant from which its age counts (memo__since(boot now, confirmed); MEMO__NEVER gives 0: true for ever).
     * Called at every confirmation (about twice a second with file:) and at every change of state, and never before a view was given. */
    void (*age)(void *user, const char *service, memo__instant confirmed, bool unproven, int32_t state);
    /* service NULL: the registry as a whole. MEMO_OK: it is over. Told at changes, not at every try. */
    void (*trouble)(void *user, const char *service, memo_status s, const char *text);
    void *user;
};

/* What a watch has seen, for metrics and memoctl check. */
struct memo__watch_counts {
    uint64_t views, confirmations, ignored_older, protections, epochs, retries, troubles, cache_loads, cache_writes, cache_failures;
};

/* url: "file:", "static:todo=127.0.0.1:8080". All texts are copied. MEMO_OK, MEMO_E_SETTING (the url; e says where), MEMO_E_UNSUPPORTED (scheme), MEMO_E_NO_MEMORY. */
memo_status memo__watch_open(const struct memo__ground *g, const char *url, const struct memo__watch_options *o, const struct memo__watch_sink *sink, struct memo__watch **out,
                             memo_error *e);
/* The same with a source that the caller brings: tests, and sources of an application's own. url: what its cache is kept under, with scheme. */
memo_status memo__watch_open_with(const struct memo__ground *g, const struct memo__source_ops *ops, const char *url, const struct memo__watch_options *o,
                                  const struct memo__watch_sink *sink, struct memo__watch **out, memo_error *e);
const struct memo__source_ops *memo__watch_source(const struct memo__watch *w);   /* scheme, summary, what it can */
struct memo__watch_counts memo__watch_counts(const struct memo__watch *w);

/* Watches from now on; again: MEMO_OK, nothing new. MEMO_E_ARGUMENT (not a service's name), MEMO_E_NO_MEMORY. */
memo_status memo__watch_service(struct memo__watch *w, const char *service);
void memo__unwatch_service(struct memo__watch *w, const char *service);
void memo__watch_list(struct memo__watch *w, memo__names_fn *fn, void *user);
void memo__watch_read(struct memo__watch *w, const char *service, memo__read_fn *fn, void *user);   /* strict; the view it gives has state LIVE and is not published */

/* Leases go through to the source: see struct memo__lease. */
memo_status memo__watch_lease(struct memo__watch *w, struct memo__lease *l);
void memo__watch_change(struct memo__watch *w, struct memo__lease *l);
void memo__watch_withdraw(struct memo__watch *w, struct memo__lease *l);
void memo__watch_forget(struct memo__watch *w, struct memo__lease *l);

void memo__watch_forked(struct memo__watch *w);     /* after memo__loop_after_fork and memo__dirwatch_forked; all leases are forgotten, watches go on */
void memo__watch_close(struct memo__watch *w);      /* NULL is welcome; writes the cache if it has news, publishes nothing, tells nothing */
#endif
