/* SPDX-License-Identifier: Apache-2.0 */
/* memo/config.h: configuration values of the application: layered, typed, each with its origin; a snapshot never changes under you.
 *
 * Where they come from says the setting `config`. A reader takes a snapshot, reads from it what belongs together, and gives it back. */
#ifndef MEMO_CONFIG_H
#define MEMO_CONFIG_H
#include <memo/client.h>
#include <memo/service.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An immutable snapshot of all values: one state of all sources. Opaque, and counted: acquire and release. */
typedef struct memo_config memo_config;

/** What is known about a snapshot as a whole. */
typedef struct memo_config_facts {
    size_t size;         /* MEMO_INIT(memo_config_facts) */
    uint64_t revision;   /* another one for every change of any value, from 1; 0: not every source has been read yet */
    int64_t age_max_ms;  /* it may be older than the truth by at most so much; -1: unproven (a source's last good copy, of another boot) */
    int32_t state;       /* as a view's: MEMO_VIEW_EMPTY (not read yet), _LIVE, _STALE (a source cannot be read, or says something bad),
                          * _CACHED (of a source the last good copy) */
    uint32_t count;      /* values */
} memo_config_facts;

/** The values of now. Until every source has been read once (memo_client_wait waits for that), it is empty: half of a configuration is none. Without
 * the setting `config` it is empty, too, and live. Costs no allocation.
 *
 * ```c
 * memo_config *g;
 *
 * if (memo_config_acquire(client, &g) == MEMO_OK) {
 *     printf("%s, %lld at once\n", memo_config_get_text(g, "db.url", "none"), (long long)memo_config_get_int(g, "db.pool.max", 10));
 *     memo_config_release(g);
 * }
 * ```
 *
 * Ownership: *out is the caller's until memo_config_release; NULL on failure.
 * Threads: any; never waits.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_STATE (client not started).
 * Since: 0.1 */
MEMO_MUST memo_status memo_config_acquire(memo_client *c, memo_config **out);

/** Gives a snapshot back; NULL is welcome. Due before memo_client_free.
 *
 * Threads: any.
 * Since: 0.1 */
MEMO_API void memo_config_release(memo_config *g);

/** A value as text, as it was written; `otherwise` (which may be NULL) if there is none.
 *
 * Ownership: borrowed until memo_config_release.
 * Threads: any. Never waits, never allocates.
 * Since: 0.1 */
MEMO_API const char *memo_config_get_text(const memo_config *g, const char *key, const char *otherwise);

/** A value as a whole number; `otherwise` if there is none, or it is not one: memo_config_expect tells which.
 *
 * Threads: any. Never waits, never allocates.
 * Since: 0.1 */
MEMO_API int64_t memo_config_get_int(const memo_config *g, const char *key, int64_t otherwise);

/** A value as a truth, 1 or 0: true, yes, on, 1, or false, no, off, 0, in any case; `otherwise` if there is none, or it is not one.
 *
 * Threads: any. Never waits, never allocates.
 * Since: 0.1 */
MEMO_API int memo_config_get_bool(const memo_config *g, const char *key, int otherwise);

/** A value as a duration in milliseconds: "250ms", "5s", "1h"; a bare number is milliseconds; what is finer is cut. `otherwise` if there is none, or
 * it is not one.
 *
 * Threads: any. Never waits, never allocates.
 * Since: 0.1 */
MEMO_API int64_t memo_config_get_ms(const memo_config *g, const char *key, int64_t otherwise);

/** A value as a size in bytes: "64KiB", "16MiB", or bare bytes; `otherwise` if there is none, or it is not one.
 *
 * Threads: any. Never waits, never allocates.
 * Since: 0.1 */
MEMO_API int64_t memo_config_get_bytes(const memo_config *g, const char *key, int64_t otherwise);

/** A value as a number, with a fraction or not: "0.25", "1e3"; `otherwise` if there is none, or it is not one. The decimal point is a point in every
 * locale.
 *
 * Threads: any. Never waits, never allocates.
 * Since: 0.1 */
MEMO_API double memo_config_get_number(const memo_config *g, const char *key, double otherwise);

/** Is there such a value, and is it of that type? The error names the key, and the file and line where it stands: for checks (memo_config_check_set)
 * and for start-up.
 *
 * type: "text", "int", "bool", "duration", "bytes" or "number".
 * Threads: any.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_SETTING (no such value, or not of that type).
 * Since: 0.1 */
MEMO_MUST memo_status memo_config_expect(const memo_config *g, const char *key, const char *type, memo_error *e);

/** Where a value comes from: "file /etc/app.json:12", "environment APP_DB_URL", or https://config/app.json with its etag and line.
 *
 * n: bytes of `buf`; a text that does not fit is cut.
 * Threads: any.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT (also: no such value), MEMO_E_TRUNCATED.
 * Since: 0.1 */
MEMO_MUST memo_status memo_config_get_origin(const memo_config *g, const char *key, char *buf, size_t n);

/** Is the value a secret, which no log, event or terminal should show (1), or not (0)? By its name (password, passwd, secret, token, credential, api
 * key, private key), by its value (an URL with a password in it), or because the setting `config_secrets` says so.
 *
 * Threads: any.
 * Since: 0.1 */
MEMO_API int memo_config_is_secret(const memo_config *g, const char *key);

/** The key of value number `i` of those at and below `prefix`, in order: "db" has db and db.url, and not dbs. NULL: there are no more.
 *
 * prefix: "" or NULL: all.
 * i: from 0.
 * Ownership: borrowed until memo_config_release.
 * Threads: any.
 * Since: 0.1 */
MEMO_API const char *memo_config_get_key(const memo_config *g, const char *prefix, uint32_t i);

/** Revision, state, honest age and count of a snapshot. State and age go on while it is the newest; the age also afterwards.
 *
 * out: its size set (MEMO_INIT).
 * Threads: any.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT.
 * Since: 0.1 */
MEMO_MUST memo_status memo_config_get_facts(const memo_config *g, memo_config_facts *out);

/** Asks, or stops asking, for an event (MEMO_EVENT_CONFIG) at every change of a value at or below `prefix`: one event for one change of the snapshot,
 * whose subject is the key, if it is one, and else the prefix. Loss and return of a source, and what it says that is bad, are always events.
 *
 * prefix: "" or NULL: everything. At most 64 at once.
 * on: 1 or 0.
 * Ownership: the prefix is copied.
 * Threads: any.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_NO_MEMORY.
 * Since: 0.1 */
MEMO_MUST memo_status memo_config_watch(memo_client *c, const char *prefix, int on);

/** Looks at a snapshot that is about to be published: 0 lets it pass, anything else refuses it, and `why` (an empty text of `n` bytes at first) says
 * why. The one before then stays; the refusal is counted, logged, and told as an event. The candidate is borrowed. May call anything but
 * memo_client_free. */
typedef int memo_config_check_fn(const memo_config *candidate, char *why, size_t n, void *user);

/** Sets the check that every snapshot has to pass before anybody sees it, from now on; NULL: none. Set before memo_client_start, it sees the first
 * one, too: on the thread of that function, which fails with MEMO_E_SETTING if it is refused and no last good state passes. All later ones are seen
 * by the engine thread, never under a lock.
 *
 * user: handed to `f` as it is.
 * Threads: any; returns after the check before is no longer in use (from within a check: at once).
 * Returns: MEMO_OK, MEMO_E_ARGUMENT.
 * Since: 0.1 */
MEMO_MUST memo_status memo_config_check_set(memo_client *c, memo_config_check_fn *f, void *user);

#ifdef __cplusplus
}
#endif
#endif
