/* SPDX-License-Identifier: Apache-2.0 */
/* client.h: what is behind the handles, grouped by who may touch it. */
#ifndef MEMO__CLIENT_CLIENT_H
#define MEMO__CLIENT_CLIENT_H
#include <memo/memo.h>
#include <pthread.h>
#include "base/alloc.h"
#include "base/host.h"
#include "base/lock.h"
#include "call/governor.h"
#include "client/events.h"
#include "model/config.h"
#include "model/rules.h"
#include "model/settings.h"
#include "net/http.h"
#include "net/http_async.h"
#include "net/transport.h"
#include "sources/dirwatch.h"
#include "sources/document.h"
#include "sources/watch.h"

enum memo__client_phase { MEMO__BUILT, MEMO__RUNNING, MEMO__DRAINING };

struct memo_service {
    struct memo__governor governor;  /* first: the hot part; freed with it after a grace period */
    memo_client *client;
    memo_service *next;
    uint32_t refs;                   /* client->shared.lock */
    uint32_t watched;                /* relaxed: are view changes to be events? */
};

struct memo_registration {
    struct memo__lease lease;        /* with the turn; its texts are ours */
    memo_client *client;
    memo_registration *next;         /* client->shared.lock, and changed only with the turn */
    const char *pairs[MEMO__LABELS_MAX][2];
    uint32_t weight;                 /* wanted when the state is "up" */
    bool draining;
    bool wanted;                     /* relaxed */
    struct {                         /* client->shared.lock */
        uint64_t token;
        memo__instant until;         /* boot clock */
        memo_status status;          /* of the last word */
        bool acknowledged;           /* the state wanted now */
        bool withdrawn, freed;
        bool orphan;                 /* of a parent process: no lease of ours */
    } told;
};

/* The rules document in force, and where it comes from. With the turn. */
struct memo__rules_source {
    struct memo__rules *now;         /* held by plans too: counted in rules_refs */
    struct memo__document *document; /* NULL: inline or none */
    uint64_t revision;
};

/* One source of configuration values. With the turn. */
struct memo__config_source {
    memo_client *client;
    struct memo__document *document;         /* NULL: the environment, which is read once */
    enum memo__config_format format;
    struct memo__config_part *part, *next;   /* in force, and not decided about yet; NULL: none */
    char name[512], next_name[512];          /* where their values say that they come from */
};

struct memo__config_watch { struct memo__config_watch *next; char prefix[]; };

struct memo__configuration {
    struct memo__config_source *sources;
    uint32_t count, watches_count;
    uint64_t published, refused, seed;       /* counts */
    uint64_t proposed;                       /* counts candidates: is what was checked still what the sources say? */
    bool opening;                            /* not all sources are there yet */
    memo_config *candidate;                  /* waits for the program's check */
    struct memo__config_watch *watches;
};

struct memo__line { struct memo__line *next; int32_t level; uint32_t missing; /* lines before it that found no room */ char text[]; };

struct memo_client {
    struct memo__alloc alloc;                          /* fixed at birth */
    const struct memo__host *host;
    struct memo__settings settings;                    /* fixed at start */
    struct memo__world world;                          /* what the call room sees of us */
    struct memo__governor inbound;                     /* of what we receive; plan NULL: not started */
    struct memo__http_pool *http;                      /* any thread */
    const struct memo__transport *transport;           /* fixed at birth */
    struct memo__loop *loop;                           /* the engine's; fixed at start */
    struct memo__events events;                        /* any thread */
    int32_t log_level;                                 /* relaxed */
    memo_config *config;                               /* any thread, in a reader's section; with the turn another one takes its place */
    uint32_t phase;                                    /* relaxed */
    uint32_t closing;                                  /* relaxed: memo_client_free has begun */
    memo_client *next;                                 /* the engine's list; with the turn */
    uint32_t number;                                   /* from 1, the least that is free: tells the clients of a process apart; fixed while in the list */
    struct {                                           /* with the turn */
        struct memo__watch *watch;
        struct memo__rules_source rules;
        struct memo__configuration config;
        struct memo__timer sweep;
        struct memo__http_async *async;                /* NULL: nothing was ever submitted or asked */
        struct memo_http_task *tasks;                  /* under way */
        bool registry_up;
    } owner;
    struct {                                           /* any thread, under its lock; waiters are woken at every change */
        struct memo__lock lock;
        memo_service *services;
        memo_registration *registrations;
        struct memo__request *requests;
        struct memo__line *lines, **lines_end;
        uint32_t lines_count, lines_missing;           /* waiting; dropped since the last that found room */
        uint32_t stuck;              /* relaxed: stderr had no room for the oldest line */
        struct memo_http_task *ended, **ended_end;     /* to be called back, in their order */
        uint32_t ended_count;
        struct memo_http_task *finished, *finished_last; /* whose end is to be taken as an event */
        uint32_t finished_count;
        memo_log_fn *sink;
        void *sink_user;
        uint32_t sink_busy;
        uint32_t delivering;         /* drivers that take lines out */
        bool closed;
        bool rules_ready;
        const char *config_missing;                    /* the source that has not been read yet; NULL: all have been */
        memo_config_check_fn *check;
        void *check_user;
        bool checking, check_closed;                   /* a check runs, on that thread; none begins any more */
        pthread_t checker;
        memo__instant noticed_at;                      /* 0: nobody drains */
    } shared;
};

/* In a forked child, with the turn. */
void memo__client_after_fork(memo_client *c);
/* Delivers what log lines wait, of all clients; never with the turn. */
void memo__clients_deliver(void);

/* A line of log; whatever is held meanwhile: it is queued, and written when nothing is. */
void memo__client_log(memo_client *c, int32_t level, const char *format, ...) __attribute__((format(printf, 3, 4)));
void memo__client_event(memo_client *c, int32_t kind, const char *service, const char *subject, memo_status s, uint64_t revision, const char *format, ...)
    __attribute__((format(printf, 7, 8)));

/* service.c: what the watch tells, with the turn */
#define MEMO__SERVICE_NAME_RULE "a service's name has 1 to 63 letters, digits, '-', '_' and '.', and does not begin with '.'"
bool memo__service_name_valid(const char *name);
memo_status memo__service_view(void *client, const char *service, struct memo__view *v);
const struct memo__view *memo__service_borrow(void *client, const char *service);
void memo__service_age(void *client, const char *service, memo__instant confirmed, bool unproven, int32_t state);
/* With the turn: joins every service to these rules, or, if there is no memory for one of them, none. */
memo_status memo__services_replan(memo_client *c, struct memo__rules *rules);
/* In a forked child, with the turn. */
void memo__services_after_fork(memo_client *c);

/* What a document of this client stands on. With the turn. */
struct memo__engine;
struct memo__document_ground memo__client_ground(memo_client *c, struct memo__engine *g, const char *kind, memo_status bad, size_t most);

/* rules.c, with the turn */
memo_status memo__rules_open(memo_client *c, memo_error *e);
void memo__rules_close(memo_client *c);

/* metrics.c, with the turn: all clients in one text. w is called with the turn, too: it only collects. */
memo_status memo__metrics_write_all(struct memo__engine *g, memo_write_fn *w, void *user);

/* config.c, with the turn */
memo_status memo__config_open(memo_client *c, memo_error *e);
void memo__config_close(memo_client *c);
void memo__config_after_fork(memo_client *c);
/* Without the turn: the first snapshot, if the program checks it. */
memo_status memo__config_admit(memo_client *c, memo_error *e);
/* The driver, never with the turn: what waits for the program's check, of all clients. */
void memo__configs_check(void);
/* At the end: no check runs any more when this returns, and what was watched is forgotten. */
void memo__config_free(memo_client *c);
/* inbound.c, with the turn */
memo_status memo__inbound_open(memo_client *c);
void memo__inbound_close(memo_client *c); /* what it leaves goes after a grace period */

/* registration.c, with the turn */
void memo__registrations_after_fork(memo_client *c);
void memo__registration_unwant(memo_registration *r);
void memo__orphans_free(memo_client *c); /* those freed by the caller whose withdrawal nobody acknowledged */

/* No further line for a caller's sink; it is not in use when this returns. */
void memo__lines_close(memo_client *c);
/* What waits for stderr goes there now, as far as there is room; for a client that the engine does not know. Not with the turn. */
void memo__lines_flush(memo_client *c);
void memo__lines_drop(memo_client *c);
#endif
