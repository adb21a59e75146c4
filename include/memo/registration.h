/* SPDX-License-Identifier: Apache-2.0 */
/* memo/registration.h: I am such a service: a desired state, kept true. */
#ifndef MEMO_REGISTRATION_H
#define MEMO_REGISTRATION_H
#include <memo/context.h>
#include <memo/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A registration: wanted until withdrawn; a lost lease is registered again, with jitter, for as long as it is wanted. */
typedef struct memo_registration memo_registration;

/** The instance to register; everything is copied. Texts are UTF-8 without control characters. */
typedef struct memo_instance {
    size_t size;                  /* MEMO_INIT(memo_instance) */
    const char *id;               /* 1 to 63 bytes, unique in its service; NULL: made from host, process and a random number */
    const char *address;          /* numeric, at most 45 bytes; NULL: the setting `advertise` */
    const char *zone;             /* at most 63 bytes; NULL: the setting `zone` */
    const memo_header *labels;    /* name (1 to 63 bytes) and value (at most 63), ended by NUL: "version", "v2" */
    uint32_t labels_count;        /* 0 to 32 */
    uint32_t weight;              /* 1 to 65535; 0 means 100 */
    uint16_t port;                /* 1 to 65535; 0: that of the setting `advertise` */
} memo_instance;

/** Wants an instance of `service` registered, from now on. The engine does it, renews the lease (setting `lease_ttl`), and registers again when it
 * was lost; memo_registration_wait tells when.
 *
 * service: as in memo_service_acquire.
 * me: its size set (MEMO_INIT).
 * Ownership: *out is the caller's until memo_registration_free; NULL on failure.
 * Threads: any; does not wait for the registry.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_SETTING (`advertise` is needed and not set, or not numeric), MEMO_E_STATE, MEMO_E_UNSUPPORTED (a registry that cannot),
 * MEMO_E_NO_MEMORY.
 * Since: 0.1 */
MEMO_MUST memo_status memo_registration_new(memo_client *c, const char *service, const memo_instance *me, memo_registration **out, memo_error *e);

/** Waits until the registry has acknowledged the desired state.
 *
 * timeout_ms: at most so many milliseconds; 0 asks without waiting.
 * Threads: any; blocks this thread.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_TIMEOUT, MEMO_E_STATE (withdrawn), MEMO_E_UNKNOWN_OUTCOME (the last write's outcome is not known yet).
 * Since: 0.1 */
MEMO_MUST memo_status memo_registration_wait(memo_registration *r, int64_t timeout_ms);

/** Changes the desired state; does not wait for the registry, memo_registration_wait does.
 *
 * key: "weight" (value "0" to "65535"; 0 takes no new calls), "state" ("up", or "draining": no new calls), or "label.NAME" (at most 63 bytes, 32
 * labels in all).
 * Ownership: both strings are copied.
 * Threads: any.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_STATE (withdrawn), MEMO_E_NO_MEMORY.
 * Since: 0.1 */
MEMO_MUST memo_status memo_registration_set(memo_registration *r, const char *key, const char *value);

/** The fencing token of the present lease: strictly greater for every new lease of the same service and id; 0 before the first.
 * A resource that remembers the greatest token it has seen can refuse an owner that lost its lease.
 *
 * Threads: any.
 * Since: 0.1 */
MEMO_API uint64_t memo_registration_get_token(const memo_registration *r);

/** Is that token still ours, provably (1), or may the lease have been lost (0)? Turns 0 before the registry can have expired it, also while this
 * process is suspended: ask before every write that needs it, and let the resource check the token.
 *
 * Threads: any.
 * Since: 0.1 */
MEMO_API int memo_registration_holds(const memo_registration *r, uint64_t token);

/** Withdraws, and waits for the acknowledgement. Asked again, it goes on waiting. After MEMO_E_TIMEOUT the engine goes on trying.
 *
 * timeout_ms: at most so many milliseconds; 0 or more.
 * Threads: any; blocks this thread.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_TIMEOUT, MEMO_E_UNREACHABLE, MEMO_E_UNKNOWN_OUTCOME, MEMO_E_IO,
 * MEMO_E_STATE (in a forked child: it is the parent's).
 * Since: 0.1 */
MEMO_MUST memo_status memo_registration_withdraw(memo_registration *r, int64_t timeout_ms, memo_error *e);

/** Frees; one not yet withdrawn is withdrawn without waiting. NULL is welcome.
 *
 * Threads: any, but never from a callback.
 * Since: 0.1 */
MEMO_API void memo_registration_free(memo_registration *r);

#ifdef __cplusplus
}
#endif
#endif
