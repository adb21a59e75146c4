/* SPDX-License-Identifier: Apache-2.0 */
/* engine.h: whole calls on lib/policy alone, in serial order, on stripe 0: what a harness for these cases has to do, in any language.
 *
 *   begin: route, split, deadline, gate      next: return of ejected ones, pick      report: verdict, teach, again?      end: permits back
 *
 * Time and draws come with every step; nothing here has a clock. */
#ifndef MEMO__TESTS_VECTORS_ENGINE_H
#define MEMO__TESTS_VECTORS_ENGINE_H
#include "policy/gate.h"
#include "policy/outlier.h"
#include "policy/retry.h"
#include "policy/route.h"
#include "policy/verdict.h"

#define ENDPOINTS_MAX 20000
#define KEYS 2048 /* of a limit by header */

struct label { const char *name, *value; };
struct endpoint { const char *id, *address; memo__instant joined; uint32_t weight, labels_count; struct label labels[8]; };

struct engine;
struct pool { const struct engine *engine; struct memo__candidates from; uint32_t *slots, *weights; void *table; uint32_t cursor; };

struct organ_breaker { struct memo__breaker shared; struct memo__breaker_part part; };
struct organ_limit { struct memo__limiter shared; struct memo__lease_part part; struct memo__keyed *keyed; };

struct engine {
    struct memo__rules *rules;
    const struct memo__service_rules *service;
    struct memo__wants wants;
    uint32_t endpoints_count;
    struct endpoint *endpoints;
    struct pool pools[MEMO__SUBSETS_MAX + 1]; /* the last: all */
    struct memo__fleet fleet;
    struct memo__outlier outlier;
    struct organ_breaker *breakers;           /* one for each route, and the last for the service */
    struct organ_limit *limits;
    struct memo__bulkhead bulkhead;
    struct memo__lease_part bulkhead_part;
    struct memo__budget budget;
    struct memo__budget_part budget_part;
    void *blocks[2 * MEMO__FLEET_CHUNKS];
};

struct asked { /* the facts of a call */
    uint32_t method;
    struct memo__text path, key, values[MEMO__WANTS_MAX];
    int64_t timeout;               /* the caller's own, 0: none */
    memo__instant inherited;
};

struct outcome { int32_t kind, http, grpc, word; int64_t retry_after; };

struct attempt { uint32_t slot, generation; struct memo__permit permit; memo__instant start; };

struct call {
    bool open;                     /* begun, and not ended */
    int32_t status;                /* of begin */
    uint32_t route, subset;
    bool hashed;
    uint64_t hash;                 /* of its key, if it has one */
    struct memo__route_why why;
    struct memo__gate gate;
    struct memo__gate_result result;
    uint32_t limit_of[MEMO__LIMITS_MAX]; /* the gate's limits, as indexes into the service's */
    memo__instant deadline;
    uint32_t method, attempts;
    bool flying;
    struct attempt tries[MEMO__ATTEMPTS_MAX];
};

struct told { /* what a report led to */
    enum memo__verdict verdict;
    enum memo__breaker_turn turn;
    enum memo__outlier_turn ejection;
    struct memo__retry_plan plan;
};

/* NULL: it worked; else what did not. */
const char *engine_begin(struct engine *e, const char *rules, size_t bytes, const char *service);  /* endpoints are set by the caller before */
void engine_end(struct engine *e);

int32_t call_begin(struct engine *e, struct call *c, const struct asked *asked, memo__instant now, uint64_t draw);
int32_t call_next(struct engine *e, struct call *c, memo__instant now, uint64_t draw, struct memo__pick *picked, int64_t *timeout);
void call_report(struct engine *e, struct call *c, const struct outcome *o, memo__instant now, uint64_t draw, struct told *told);
void call_end(struct engine *e, struct call *c);

struct pool *call_pool(struct engine *e, const struct call *c);
/* The breaker that a call of this route passes: NULL if there is none but the endpoints' own. */
struct organ_breaker *engine_breaker(struct engine *e, uint32_t route);
#endif
