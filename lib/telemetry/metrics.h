/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h: what did it do? Counters of a service, one set a stripe, and their Prometheus text.
 *
 * Hot paths add to their own stripe (plain stores on an exclusive one); the writer gets sums. Names and labels live here alone, in two tables in metrics.c.
 * At most 1,000 services have series of their own; the rest is added up in one with otel_metric_overflow="true", as OpenTelemetry's cardinality limit does. */
#ifndef MEMO__TELEMETRY_METRICS_H
#define MEMO__TELEMETRY_METRICS_H
#include <memo/call.h>
#include <memo/metrics.h>
#include "base/histogram.h"
#include "base/stripe.h"

#define MEMO__SERIES_MAX 1000

enum memo__result { /* how a call ended; refusals stand as the statuses do: MEMO__REFUSED + (status - MEMO_REFUSED_LIMITED) */
    MEMO__CALL_OK, MEMO__CALL_FAILED, MEMO__CALL_CANCELLED, MEMO__REFUSED, MEMO__RESULTS = MEMO__REFUSED + 7
};

enum memo__class { /* how an attempt ended */
    MEMO__CLASS_2XX, MEMO__CLASS_3XX, MEMO__CLASS_4XX, MEMO__CLASS_5XX, MEMO__CLASS_GRPC /* failed by its grpc-status */,
    MEMO__CLASS_CONNECT, MEMO__CLASS_RESET, MEMO__CLASS_TIMEOUT, MEMO__CLASS_PROTOCOL, MEMO__CLASS_CANCELLED, MEMO__CLASSES
};

struct memo__service_counters { /* 752 bytes: with what else a service has in a stripe, 12 cache lines */
    uint64_t calls[MEMO__RESULTS];
    uint64_t attempts[2][MEMO__CLASSES];                 /* first, retry */
    uint64_t would_refuse[MEMO__RESULTS - MEMO__REFUSED]; /* in observe mode */
    uint64_t retries_denied;                             /* by the budget */
    struct memo__histogram duration;                     /* of calls that were not refused, all attempts and waits in it */
};
_Static_assert(sizeof(struct memo__service_counters) <= 768, "12 cache lines a service and stripe");

static inline enum memo__class memo__class_of(const memo_outcome *o)
{
    int hundreds = o->http_status / 100;
    if (o->kind != MEMO_OUTCOME_REPLIED)
        return o->kind > 0 && o->kind <= MEMO_OUTCOME_CANCELLED ? (enum memo__class)(MEMO__CLASS_GRPC + o->kind) : MEMO__CLASS_PROTOCOL;
    if (o->grpc_status > 0)
        return MEMO__CLASS_GRPC;
    return hundreds >= 3 && hundreds <= 5 ? (enum memo__class)(hundreds - 2) : MEMO__CLASS_2XX;
}

/* One line each, for the call room. */
static inline void memo__count_call(struct memo__stripe s, struct memo__service_counters *c, enum memo__result r)
{
    memo__stripe_add64(s, &c->calls[r], 1);
}

static inline void memo__count_refusal(struct memo__stripe s, struct memo__service_counters *c, memo_status refused)
{
    memo__stripe_add64(s, &c->calls[MEMO__REFUSED + (refused - MEMO_REFUSED_LIMITED)], 1);
}

static inline void memo__count_would_refuse(struct memo__stripe s, struct memo__service_counters *c, memo_status refused)
{
    memo__stripe_add64(s, &c->would_refuse[refused - MEMO_REFUSED_LIMITED], 1);
}

static inline void memo__count_attempt(struct memo__stripe s, struct memo__service_counters *c, bool retry, const memo_outcome *o)
{
    memo__stripe_add64(s, &c->attempts[retry][memo__class_of(o)], 1);
}

/* to += from; from may be written by its owner meanwhile. */
void memo__counters_merge(struct memo__service_counters *to, const struct memo__service_counters *from);

/* One service of the text, or what one client receives: all its stripes merged. */
struct memo__metrics_row {
    const char *service; /* of calls */
    uint32_t client;     /* its number, where one text has several; 0 and 1: not told */
    struct memo__service_counters sum;
};

enum memo__gauge_kind { /* what else is told; name, help and labels are in metrics.c */
    MEMO__GAUGE_VIEW_AGE,       /* seconds; NaN: unproven */
    MEMO__GAUGE_VIEW_STATE,     /* MEMO_VIEW_... as a number */
    MEMO__GAUGE_ENDPOINTS,      /* detail: "pickable", "draining", "unhealthy" */
    MEMO__GAUGE_EJECTED,
    MEMO__GAUGE_BREAKER,        /* detail: the breaker's name; 0 closed, 1 half-open, 2 open */
    MEMO__GAUGE_IN_FLIGHT,
    MEMO__GAUGE_RETRY_BUDGET,   /* tokens left */
    MEMO__GAUGE_REGISTRY_UP,    /* detail: the scheme; 1 or 0; no service */
    MEMO__GAUGE_RULES_REVISION, /* no service */
    MEMO__GAUGE_CONFIG_REVISION, MEMO__GAUGE_CONFIG_STATE, MEMO__GAUGE_CONFIG_REFUSED, /* no service */
    MEMO__GAUGE_TARGET,         /* detail: service_name; 1; no service */
    MEMO__GAUGE_SERVER_ACTIVE,  /* requests let in and not answered; no service */
    MEMO__GAUGE_SERVER_LIMIT,   /* what latency has found; no service */
    MEMO__GAUGES
};

struct memo__gauge {
    enum memo__gauge_kind kind;
    const char *service; /* NULL: of the client */
    const char *detail;  /* NULL: none */
    double value;
    uint32_t client;     /* as in a row */
};

/* Prometheus text, exposition format 0.0.4, in pieces of at most 4 KiB. Rows and gauges in any order. Neither allocates nor locks; does not depend on the host's locale. */
void memo__metrics_write(const struct memo__metrics_row *rows, uint32_t rows_count, const struct memo__gauge *gauges, uint32_t gauges_count,
                         memo_write_fn *write, void *user);
/* Likewise what is received, a row for each client that ever received anything. */
void memo__metrics_write_server(const struct memo__metrics_row *rows, uint32_t rows_count, memo_write_fn *write, void *user);
#endif
