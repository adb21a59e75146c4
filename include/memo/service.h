/* SPDX-License-Identifier: Apache-2.0 */
/* memo/service.h: a service that I call, and the view of its endpoints. */
#ifndef MEMO_SERVICE_H
#define MEMO_SERVICE_H
#include <memo/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A service by name, watched while anybody holds it. Opaque, and counted: acquire and release. */
typedef struct memo_service memo_service;
/** An immutable list of endpoints. Opaque, and counted: acquire and release. */
typedef struct memo_view memo_view;

/** What a view is worth: see memo_view_facts.state. */
enum {
    MEMO_VIEW_EMPTY = 0,      /* nothing is known yet */
    MEMO_VIEW_LIVE = 1,       /* confirmed by the source */
    MEMO_VIEW_STALE = 2,      /* the source is away: the last confirmed view, ageing */
    MEMO_VIEW_PROTECTED = 3,  /* the source answered something that would wipe the view without proof: the last good one is kept */
    MEMO_VIEW_CACHED = 4      /* from disk, of an earlier process; the source has not answered yet */
};

/** A pickable endpoint, copied out. */
typedef struct memo_endpoint {
    size_t size;        /* MEMO_INIT(memo_endpoint) */
    uint64_t ref[2];    /* slot and generation, as events name it */
    uint32_t weight;    /* 1 to 65535; 0: takes no new calls (draining) */
    int32_t health;     /* 1 healthy, 0 unhealthy as the registry says: not picked */
    uint16_t port;      /* 1 to 65535 */
    char address[46];   /* numeric, IPv4 or IPv6 */
    char id[64];        /* of the instance in the registry */
    char host[256];     /* for Host and SNI: the name it was found under, or "" */
    char zone[64];      /* "" if unknown */
} memo_endpoint;

/** What is known about a view as a whole. */
typedef struct memo_view_facts {
    size_t size;         /* MEMO_INIT(memo_view_facts) */
    uint64_t revision;   /* of the source, monotone within an epoch */
    uint64_t epoch;      /* of the source: another one means its history was rewound */
    int64_t age_max_ms;  /* it may be older than the truth by at most so much; -1: unproven (cached in another boot) */
    int32_t state;       /* MEMO_VIEW_... */
    uint32_t count;      /* endpoints */
} memo_view_facts;

/** Acquires a service by name and starts watching it. The same name gives the same handle, counted. Acquire once and keep it: calls are cheap,
 * acquiring is not.
 *
 * name: 1 to 63 bytes of letters, digits, '-', '_' and '.', not beginning with '.'.
 * Ownership: *out is the caller's until memo_service_release; NULL on failure.
 * Threads: any; does not wait for the registry: memo_client_wait does.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_STATE (client not running; while it drains it runs until calls are refused), MEMO_E_NO_MEMORY.
 * Since: 0.1 */
MEMO_MUST memo_status memo_service_acquire(memo_client *c, const char *name, memo_service **out, memo_error *e);

/** Gives a service back; NULL is welcome. Calls that are still open on it answer MEMO_E_STATE after the last release. Due before memo_client_free.
 *
 * Threads: any.
 * Since: 0.1 */
MEMO_API void memo_service_release(memo_service *s);

/** Asks, or stops asking, for an event (MEMO_EVENT_VIEW) at every change of this service's view. One switch for all holders of the handle.
 *
 * on: 1 or 0.
 * Threads: any.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT.
 * Since: 0.1 */
MEMO_MUST memo_status memo_service_watch(memo_service *s, int on);

/** The request headers that the rules of this service read, lower case, each ended by NUL, one after the other: a binding passes only those.
 * At most 16, in at most 1024 bytes. Changes with the rules: MEMO_EVENT_RULES tells.
 *
 * n: bytes of `names`.
 * need: receives the bytes that all of them take, 0 if there are none; NULL is welcome.
 * Threads: any. Never blocks and never allocates.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_TRUNCATED.
 * Since: 0.1 */
MEMO_MUST memo_status memo_service_wants(memo_service *s, char *names, size_t n, size_t *need);

/** Strict read: the view as the registry has it now, linearizable, or no answer. For decisions about truth; calls use the watched view.
 *
 * timeout_ms: at most so many milliseconds; 0 or more.
 * Ownership: *out is the caller's until memo_view_release; NULL on failure.
 * Threads: any; blocks this thread.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_UNSUPPORTED (the source cannot), MEMO_E_UNREACHABLE, MEMO_E_TIMEOUT, MEMO_E_IO,
 * MEMO_E_STATE, MEMO_E_NO_MEMORY.
 * Since: 0.1 */
MEMO_MUST memo_status memo_service_read(memo_service *s, int64_t timeout_ms, memo_view **out, memo_error *e);

/** The view of now, as calls see it. Never NULL on success: before the first answer it is empty, in state MEMO_VIEW_EMPTY.
 *
 * Ownership: *out is the caller's until memo_view_release; NULL on failure.
 * Threads: any; never waits for a source.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_NO_MEMORY.
 * Since: 0.1 */
MEMO_MUST memo_status memo_view_acquire(memo_service *s, memo_view **out);

/** Revision, epoch, state and honest age of a view; the age goes on while the view is held, by the clock that counts suspend, too.
 *
 * out: its size set (MEMO_INIT).
 * Threads: any.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT.
 * Since: 0.1 */
MEMO_MUST memo_status memo_view_get_facts(const memo_view *v, memo_view_facts *out);

/** Endpoint `i` of a view, copied out. Sorted by id, address and port.
 *
 * i: 0 to memo_view_facts.count - 1.
 * out: its size set (MEMO_INIT).
 * Threads: any.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT (also past the end).
 * Since: 0.1 */
MEMO_MUST memo_status memo_view_get(const memo_view *v, uint32_t i, memo_endpoint *out);

/** A label of endpoint `i`: "version" gives "v2", or NULL if there is none (or no such endpoint).
 *
 * Ownership: borrowed until memo_view_release.
 * Threads: any.
 * Since: 0.1 */
MEMO_API const char *memo_view_get_label(const memo_view *v, uint32_t i, const char *key);

/** Gives a view back; NULL is welcome.
 *
 * Threads: any.
 * Since: 0.1 */
MEMO_API void memo_view_release(memo_view *v);

#ifdef __cplusplus
}
#endif
#endif
