/* SPDX-License-Identifier: Apache-2.0 */
/* memo/client.h: who I am: identity, registry, rules. One engine thread serves all clients of a process. */
#ifndef MEMO_CLIENT_H
#define MEMO_CLIENT_H
#include <memo/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A client is built, running, draining, gone. Opaque; made by memo_client_new. */
typedef struct memo_client memo_client;

/** Builds a client from the environment (MEMO_* and the standard names) and the settings file. No I/O beside reading the
 * settings file and secrets' files, no thread.
 *
 * Ownership: *out is the caller's until memo_client_free; NULL on failure.
 * Threads: any.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_SETTING, MEMO_E_NO_MEMORY, MEMO_E_IO.
 * Since: 0.1 */
MEMO_MUST memo_status memo_client_new(memo_client **out, memo_error *e);

/** Sets one setting by name ("registry", "service_name"), before memo_client_start. Wins over the environment.
 *
 * Ownership: both strings are copied. A NULL value returns the setting to its default.
 * Threads: one at a time for one client.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_SETTING (unknown name, bad value), MEMO_E_STATE (started), MEMO_E_NO_MEMORY.
 * Since: 0.1 */
MEMO_MUST memo_status memo_client_set(memo_client *c, const char *name, const char *value, memo_error *e);

/** The value in force of one setting, and where it came from ("default", "environment MEMO_REGISTRY", "file /etc/memo.conf:3",
 * "program"). A secret's value reads "(set)" or "". Texts that do not fit are cut and answer MEMO_E_TRUNCATED.
 *
 * Threads: any.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_SETTING (unknown name), MEMO_E_TRUNCATED.
 * Since: 0.1 */
MEMO_MUST memo_status memo_client_get_setting(memo_client *c, const char *name, char *value, size_t n, char *origin, size_t origin_n);

/** Starts the sources: the last-good views and rules are loaded, the engine thread (one for the process) takes over.
 * Does not wait for a registry: memo_client_wait does.
 *
 * Threads: one at a time for one client.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_SETTING, MEMO_E_RULES (MEMO_RULES is not valid and no last good one exists),
 * MEMO_E_UNSUPPORTED (registry scheme), MEMO_E_STATE (started already), MEMO_E_NO_MEMORY, MEMO_E_IO.
 * Since: 0.1 */
MEMO_MUST memo_status memo_client_start(memo_client *c, memo_error *e);

/** Waits until the rules are loaded, every acquired service has a usable view and every registration is acknowledged.
 *
 * timeout_ms: at most so long; 0 asks without waiting, -1 waits without end.
 * Threads: any; other threads are not held up.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_TIMEOUT (the error names what is missing), MEMO_E_STATE (not running).
 * Since: 0.1 */
MEMO_MUST memo_status memo_client_wait(memo_client *c, int64_t timeout_ms, memo_error *e);

/** The names of all services that the registry knows, each ended by NUL, one after the other, sorted.
 *
 * need: receives the bytes that it takes, also when they do not fit; NULL is welcome.
 * Threads: any; asks the engine and waits for it, at most 5 s.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_TRUNCATED, MEMO_E_STATE, MEMO_E_UNREACHABLE, MEMO_E_TIMEOUT, MEMO_E_NO_MEMORY.
 * Since: 0.1 */
MEMO_MUST memo_status memo_client_list_services(memo_client *c, char *names, size_t n, size_t *need);

/** Drains: registrations are withdrawn, new calls are refused with MEMO_REFUSED_NOT_READY, running calls may finish.
 *
 * timeout_ms: how long running calls may take; 0 and more.
 * Threads: any.
 * Returns: MEMO_OK (nothing runs any more), MEMO_E_ARGUMENT, MEMO_E_TIMEOUT (calls still run), MEMO_E_STATE (not running).
 * Since: 0.1 */
MEMO_MUST memo_status memo_client_drain(memo_client *c, int64_t timeout_ms);

/** Ends a client in any state; NULL is welcome. Its services, views and registrations must have been given back; running calls
 * of the second door answer MEMO_E_STATE afterwards.
 *
 * Threads: any, but never from a callback.
 * Since: 0.1 */
MEMO_API void memo_client_free(memo_client *c);

#ifdef __cplusplus
}
#endif
#endif
