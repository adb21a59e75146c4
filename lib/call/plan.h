/* SPDX-License-Identifier: Apache-2.0 */
/* plan.h: one view joined to one revision of the rules: all that a decision reads, in one immutable object.
 *
 *   view (endpoints) --+
 *                      +--> plan: a slot for every endpoint, candidate lists for every subset, the organs of every route
 *   rules (service)  --+
 *
 * Organs (breakers, limits, the bulkhead) are policy memory that outlives plans: the next plan takes over those whose kind, name and shape are the same, so that a reload keeps windows and states. */
#ifndef MEMO__CALL_PLAN_H
#define MEMO__CALL_PLAN_H
#include "base/reader.h"
#include "model/rules.h"
#include "model/view.h"
#include "policy/balance.h"
#include "policy/gate.h"
#include "policy/route.h"

#define MEMO__GONE_MAX 64
#define MEMO__PLAN_LIMITS_MAX 256 /* limits of one service, its routes' included */

struct memo__governor;

enum memo__organ_kind { MEMO__ORGAN_BREAKER, MEMO__ORGAN_ROUTE_BREAKER, MEMO__ORGAN_LIMIT, MEMO__ORGAN_KEYED_LIMIT, MEMO__ORGAN_BULKHEAD,
                        MEMO__ORGAN_SHED };

struct memo__organ {
    uint32_t id;                    /* unique in its service; never 0 */
    uint32_t refs;                  /* plans that have it; with the turn */
    enum memo__organ_kind kind;
    uint64_t shape;                 /* what its memory depends on */
    char name[MEMO__NAME_MAX];      /* "service", a route's or a limit's name */
    void *shared;                   /* struct memo__breaker, memo__limiter, memo__keyed, memo__bulkhead or memo__shed */
    struct memo__striped parts;     /* none for a keyed limit */
};

struct memo__table {                /* what the balancer has built of a list of candidates, behind it; plans whose lists are the same share it */
    uint32_t refs;                  /* with the turn */
    uint64_t shape;                 /* of policy and candidates; never 0 */
};

struct memo__pool { /* candidates of one subset */
    struct memo__candidates from;
    struct memo__table *table;      /* where from.table is; NULL: none */
    const struct memo__lot *lots;   /* the same, for the short way; NULL: it is not for this pool */
};

struct memo__gone { uint32_t slot, generation; char id[MEMO__NAME_MAX]; }; /* an endpoint that left: records still name it */

struct memo__plan {
    struct memo__retired retired;
    struct memo__alloc alloc;
    struct memo__view *view;        /* counted */
    struct memo__rules *rules;      /* counted */
    const struct memo__service_rules *service;
    const struct memo__route_rule *routes;           /* of the service */
    uint64_t revision;                               /* of the rules */
    struct memo__wants wants;
    struct memo__gate *gates;                        /* one for each route; hashes of keyed limits are the caller's to set in a copy */
    struct memo__pool all;                           /* pickable by the registry's word: healthy, weight > 0 */
    struct memo__pool subsets[MEMO__SUBSETS_MAX];
    uint32_t *by_slot;                               /* slot -> entry of the view, or UINT32_MAX */
    uint32_t slots_count;                            /* of by_slot */
    uint32_t fleet_slots;                            /* of the fleet that were ever used, departed endpoints' too */
    float decay_scale;                               /* of the service's averages */
    uint64_t keyed;                                  /* bit i: a limit of route i is by header */
    bool instance_breakers;                          /* some route has scope instance */
    bool hashed;                                     /* the balancer asks for the hash of the call's key */
    bool plain;                                      /* there are endpoints, of any age and without breakers of their own, and rules are followed */
    bool usual;                                      /* plain, and not hashed */
    struct memo__organ *breaker;                     /* of the service, or NULL */
    struct memo__organ *bulkhead;                    /* or NULL */
    struct memo__organ *shed;                        /* inbound only; or NULL */
    struct memo__organ *limits[MEMO__PLAN_LIMITS_MAX];
    struct memo__organ *route_breakers[MEMO__ROUTES_MAX]; /* NULL: the service's */
    struct memo__organ *admitting[MEMO__ROUTES_MAX];      /* the one of these two that the route's gate asks; NULL: none */
    uint32_t gone_count;
    struct memo__gone *gone;                         /* the last ones to leave */
    struct memo__governor *governor;                 /* that published it */
    void *memory;                                    /* of the arrays, one block */
};

/* With the turn. Joins, and changes nothing that anybody else sees; the view's entries must have their places. Organs are taken over from `before` (may be NULL) or made. The plan counts v and r for itself. */
memo_status memo__plan_new(struct memo__governor *g, const struct memo__plan *before, struct memo__view *v, struct memo__rules *r, struct memo__plan **out);
/* With the turn, when it is certain that p follows `before`: the bulkhead that both have follows its new rule, and `reset` is told the names of those organs that start afresh although `before` had one of
 * that name. */
void memo__plan_follow(const struct memo__plan *p, const struct memo__plan *before, void (*reset)(void *user, const char *kind, const char *name), void *user);
void memo__plan_free(struct memo__plan *p); /* with the turn, when no reader can hold it */
struct memo__organ *memo__plan_organ(const struct memo__plan *p, uint32_t id); /* NULL: not of this plan */

/* Counted; any thread. */
static inline struct memo__view *memo__view_hold(struct memo__view *v) { (void)memo__fetch_add(&v->refs, 1); return v; }
static inline struct memo__rules *memo__rules_hold(struct memo__rules *r) { (void)memo__fetch_add(&r->refs, 1); return r; }
void memo__view_drop(struct memo__view *v);   /* NULL is welcome */
void memo__rules_drop(struct memo__rules *r);
#endif
