/* SPDX-License-Identifier: Apache-2.0 */
/* rules.h: the compiled rules document: plain data, immutable after compiling, all durations in nanoseconds, all shares in parts per million.
 *
 * Precedence is resolved when compiling: every route carries the whole policy that holds for it (route over service over defaults), so that a decision
 * reads one struct. The last route of a service is always "default", which matches everything. */
#ifndef MEMO__MODEL_RULES_H
#define MEMO__MODEL_RULES_H
#include <stdbool.h>
#include <stdint.h>
#include "base/alloc.h"
#include "base/text.h"

/* Blocks of a service's policy, and the innermost layer that said something in one: who asks "which rule was that?" is answered with its place in
 * the document. */
enum memo__block { MEMO__BLOCK_TIMEOUT, MEMO__BLOCK_RETRY, MEMO__BLOCK_BREAKER, MEMO__BLOCK_OUTLIER, MEMO__BLOCK_LIMITS, MEMO__BLOCK_CONCURRENCY,
                   MEMO__BLOCK_BALANCE, MEMO__BLOCK_MAX_STALE, MEMO__BLOCKS };
enum memo__origin { MEMO__FROM_BUILT_IN = 0, MEMO__FROM_SETTING, MEMO__FROM_DEFAULTS, MEMO__FROM_SERVICE, MEMO__FROM_ROUTE, MEMO__FROM_INBOUND };

#define MEMO__RULES_BYTES_MAX (1u << 20) /* of a document */
#define MEMO__NAME_MAX 64          /* bytes with the NUL: names of services, limits, routes, subsets' values */
#define MEMO__ATTEMPTS_MAX 5       /* of one call; gRPC clamps to the same */
#define MEMO__LIMITS_MAX 4         /* limits that hold for one call, service and route together */
#define MEMO__ROUTES_MAX 64        /* of one service, with "default" */
#define MEMO__SPLIT_MAX 8          /* weighted subsets of one route */
#define MEMO__SUBSETS_MAX 31       /* different subsets that the routes of one service name */
#define MEMO__WANTS_MAX 16         /* different request headers that the rules of one service read */
#define MEMO__WHEN_HEADERS_MAX 4   /* header conditions of one route */
#define MEMO__SUBSET_LABELS_MAX 4  /* labels of one subset */
#define MEMO__NO_INDEX UINT8_MAX
#define MEMO__BY_CALLER (UINT8_MAX - 1) /* memo__limit_rule.by_header: not a header, the caller itself; inbound only */

enum memo__mode { MEMO__ENFORCE = 0, MEMO__OBSERVE = 1 };

/* Methods as bits. An unknown method has no bit: it matches no list. */
enum { MEMO__GET = 1, MEMO__HEAD = 2, MEMO__PUT = 4, MEMO__DELETE = 8, MEMO__POST = 16, MEMO__PATCH = 32, MEMO__OPTIONS = 64, MEMO__TRACE = 128,
       MEMO__ANY_METHOD = 255 };

/* What to retry on, beside statuses. Equivalents in Envoy's retry_on: connect-failure, reset, (per-try timeout is part of 5xx there). */
enum { MEMO__ON_CONNECT_FAILURE = 1, MEMO__ON_RESET = 2, MEMO__ON_TIMEOUT = 4 };

enum memo__jitter { MEMO__JITTER_NONE = 0, MEMO__JITTER_FULL = 1 };

struct memo__retry_rule {
    uint32_t attempts;             /* 1 to 5, the first counts; 1: no retry */
    uint32_t on;                   /* MEMO__ON_... */
    uint64_t on_http[8];           /* bit (status - 100) */
    uint32_t on_grpc;              /* bit (code) */
    uint32_t methods;              /* only calls with one of these are retried after the request may have been sent; a connect failure always may be */
    int64_t attempt_timeout;       /* 0: the overall timeout alone */
    int64_t backoff_initial, backoff_max;
    uint32_t backoff_multiplier;   /* in thousandths: 2000 doubles */
    enum memo__jitter jitter;
    uint32_t budget;               /* ppm of calls that may be retries; a bucket of 10 tokens to start with */
};

enum memo__breaker_scope { MEMO__SCOPE_SERVICE = 0, MEMO__SCOPE_ROUTE = 1, MEMO__SCOPE_INSTANCE = 2 };

struct memo__breaker_rule {
    bool on;
    enum memo__mode mode;
    enum memo__breaker_scope scope;
    int64_t window;                /* 1 s to 10 min */
    uint32_t min_calls;            /* 1 to 1,000,000: below it never opens */
    uint32_t failed;               /* ppm at which it opens; 0: never by failures */
    uint32_t slow;                 /* ppm at which it opens; 0: never by slowness */
    int64_t slower_than;
    int64_t open_for;
    uint32_t probes;               /* 1 to 16: permitted at once in half-open, and successes needed to close */
};

struct memo__outlier_rule {
    bool on;
    enum memo__mode mode;
    uint32_t consecutive_failures; /* 1 to 1000 */
    int64_t eject_for;
    uint32_t max_ejected;          /* ppm of the view; at least one endpoint may always be ejected if there are two or more */
};

struct memo__limit_rule {
    char name[MEMO__NAME_MAX];
    enum memo__mode mode;
    uint64_t count;                /* per period */
    int64_t period;
    uint64_t burst;                /* 1 to 2^32-1; default: what a second lets through, at least 1 */
    uint8_t by_header;             /* index into wants, MEMO__BY_CALLER, or MEMO__NO_INDEX: one bucket for all */
    uint8_t from, from_route, from_index; /* enum memo__origin, of which route, and the place in the list there */
};

struct memo__concurrency_rule {
    bool on;
    enum memo__mode mode;
    bool exact;                    /* one shared counter instead of permits leased to stripes */
    uint32_t max;                  /* 1 to 1,000,000 */
};

enum memo__balance_policy { MEMO__BALANCE_PEAK_EWMA = 0, MEMO__BALANCE_ROUND_ROBIN = 1, MEMO__BALANCE_RANDOM = 2,
                           MEMO__BALANCE_WEIGHTED_ROUND_ROBIN = 3, MEMO__BALANCE_LEAST_REQUEST = 4,
                           MEMO__BALANCE_RING_HASH = 5 };

enum memo__hash_on { MEMO__HASH_ON_KEY = 0, MEMO__HASH_ON_PATH = 1, MEMO__HASH_ON_HEADER = 2 };

#define MEMO__CHOICES_MAX 10       /* that least request looks at */

struct memo__slow_start_rule {
    int64_t window;                /* 0: off */
    uint32_t aggression;           /* in thousandths: 1000 is a straight line */
    uint32_t min_weight;           /* ppm of the weight */
};

struct memo__shed_rule {           /* inbound only */
    bool on;
    enum memo__mode mode;
    uint32_t min, max;             /* 1 to 1,000,000: the limit of requests under way stays between them, and begins at max */
    uint32_t slowdown;             /* in thousandths: at so many times the best latency it falls */
    int64_t window;                /* between two looks */
    int64_t probe_every;           /* how long the best latency is believed under load */
};

struct memo__balance_rule {
    enum memo__balance_policy policy;
    uint32_t panic_below;          /* ppm of the view that must be pickable; below it ejection is ignored; 0: never */
    int64_t decay;                 /* time constant of the moving average */
    struct memo__slow_start_rule slow_start;
    uint32_t choices;              /* 2 to 10: how many least request looks at */
    uint32_t min_ring, max_ring;   /* places of the ring of ring hash */
    enum memo__hash_on hash_on;
    uint8_t hash_header;           /* index into wants, or MEMO__NO_INDEX */
};

struct memo__when_header {
    uint8_t want;                  /* index into wants */
    uint8_t value_bytes;
    char value[128];               /* exact */
};

enum memo__path_match { MEMO__PATH_ANY = 0, MEMO__PATH_EXACT = 1, MEMO__PATH_PREFIX = 2 };

struct memo__when {
    uint32_t methods;              /* MEMO__ANY_METHOD if not given */
    enum memo__path_match path_match;
    uint32_t path_bytes;
    char path[128];                /* without the star; the query is not part of it */
    uint32_t headers_count;
    struct memo__when_header headers[MEMO__WHEN_HEADERS_MAX];
};

struct memo__label { char name[MEMO__NAME_MAX], value[MEMO__NAME_MAX]; };

struct memo__subset {
    uint16_t tag;                  /* of its labels, never 0: how it is found again in another document */
    uint32_t labels_count;
    struct memo__label labels[MEMO__SUBSET_LABELS_MAX];
};

struct memo__split { uint8_t subset; uint32_t weight; }; /* subset: index into subsets, or MEMO__NO_INDEX for all endpoints */

struct memo__route_rule {
    char name[MEMO__NAME_MAX];
    struct memo__when when;
    uint32_t split_count;          /* 0: all endpoints */
    uint32_t split_weight;         /* sum */
    struct memo__split split[MEMO__SPLIT_MAX];
    int64_t timeout;               /* overall, > 0 */
    struct memo__retry_rule retry;
    struct memo__breaker_rule breaker;   /* scope route: this route has its own (if on); else the service's, the same in every route */
    uint32_t limits_count;
    uint8_t limits[MEMO__LIMITS_MAX];    /* indexes into the service's limits */
    uint8_t from[MEMO__BLOCKS];          /* enum memo__origin */
    uint32_t tag;                        /* of its name, in the upper half; the lower is 0 */
    uint32_t unused[3];                  /* 1,024 bytes: an index is a shift */
};

_Static_assert(sizeof(struct memo__route_rule) == 1024, "an index is a shift");

struct memo__service_rules {
    char name[MEMO__NAME_MAX];     /* "" for the defaults entry */
    enum memo__mode mode;
    int64_t max_stale;             /* INT64_MAX: unlimited */
    struct memo__outlier_rule outlier;
    struct memo__balance_rule balance;
    struct memo__concurrency_rule concurrency;
    struct memo__shed_rule shed;
    uint32_t wants_count;
    char wants[MEMO__WANTS_MAX][MEMO__NAME_MAX]; /* lower case */
    uint32_t subsets_count;
    struct memo__subset *subsets;
    uint32_t limits_count;         /* all limits of the service and of its routes, service's first */
    struct memo__limit_rule *limits;
    uint32_t routes_count;         /* >= 1; the last is "default" */
    struct memo__route_rule *routes;
};

struct memo__rules {
    struct memo__alloc alloc;
    uint32_t refs;                 /* the holder's count */
    uint64_t revision;             /* given by the client: 1 for the first document of this process */
    uint64_t hash;                 /* of the text */
    enum memo__mode mode;
    struct memo__service_rules defaults;       /* for services that the document does not name */
    struct memo__service_rules inbound;        /* for what this process receives: of it, limits, concurrency, shed and wants count */
    uint32_t services_count;
    struct memo__service_rules *services;      /* sorted by name */
};

/* One finding of a check. */
struct memo__finding { bool error; int32_t line, column; const char *path, *message; };
typedef void memo__finding_fn(void *user, const struct memo__finding *f);

/* Compiles a document as a whole. NULL text or 0 bytes compile to the built-in defaults. Every mistake is told to `tell` (may be NULL), in document order; any error means
 * MEMO_E_RULES and *out = NULL; MEMO_E_NO_MEMORY likewise. */
int32_t memo__rules_compile(const struct memo__alloc *a, const char *text, size_t bytes, memo__finding_fn *tell, void *user, struct memo__rules **out);
/* The same with what settings say. */
struct memo__rules_options { int64_t default_timeout; /* ns, where the document says none; 0: 5 s */ };
int32_t memo__rules_compile_with(const struct memo__alloc *a, const struct memo__rules_options *o, const char *text, size_t bytes, memo__finding_fn *tell, void *user,
                                 struct memo__rules **out);
void memo__rules_free(struct memo__rules *r);
/* The entry for a service, or the defaults; never NULL. */
const struct memo__service_rules *memo__rules_for(const struct memo__rules *r, struct memo__text service);
/* Where a rule is in its document: "services.todo.routes[0].retry", "defaults.retry", "setting default_timeout", "built-in retry". */
void memo__put_rule_path(struct memo__writer *w, const struct memo__service_rules *s, uint32_t route, enum memo__block block);
void memo__put_limit_path(struct memo__writer *w, const struct memo__service_rules *s, uint32_t limit); /* "services.todo.limits[0]" */
void memo__put_route_path(struct memo__writer *w, const struct memo__service_rules *s, uint32_t route); /* "services.todo.routes[0]" */
/* The bit of a method, 0 if unknown. */
uint32_t memo__method_bit(struct memo__text method);
#endif
