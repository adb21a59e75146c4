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

/** Builds a client from the environment (MEMO_* and the standard names) and the settings file. No I/O beside reading that
 * file and those of secrets, no thread. A program has one client, or one for each registry that it uses.
 *
 * Ownership: *out is the caller's until memo_client_free; NULL on failure.
 * Threads: any; it reads the environment, so not while another thread changes it.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_SETTING (a bad value under a name of ours; under a standard name it is told in the log and ignored),
 * MEMO_E_NO_MEMORY, MEMO_E_IO (settings file or a secret's file).
 * Since: 0.1 */
MEMO_MUST memo_status memo_client_new(memo_client **out, memo_error *e);

/** Sets one setting by name ("registry", "service_name"), before memo_client_start. Wins over the environment. The names, with range and unit, are
 * those that memo_setting_get tells: durations as "250ms" or "5s", bytes as "64KiB", shares as "50%".
 *
 * value: as text; NULL or "" returns the setting to its default.
 * Ownership: both strings are copied.
 * Threads: one at a time for one client.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_SETTING (unknown name, bad value), MEMO_E_STATE (started), MEMO_E_NO_MEMORY.
 * Since: 0.1 */
MEMO_MUST memo_status memo_client_set(memo_client *c, const char *name, const char *value, memo_error *e);

/** The value in force of one setting, and where it came from ("default", "environment MEMO_REGISTRY", "file /etc/memo.conf:3",
 * "program"). A secret's value reads "(set)" or "".
 *
 * n: bytes of `value`, with the NUL; 0: not wanted. A text that does not fit is cut.
 * origin_n: the same of `origin`.
 * Threads: any; before memo_client_start not while another one sets.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_SETTING (unknown name), MEMO_E_TRUNCATED.
 * Since: 0.1 */
MEMO_MUST memo_status memo_client_get_setting(memo_client *c, const char *name, char *value, size_t n, char *origin, size_t origin_n);

/** Starts the sources: the rules are read, the registry is opened, the engine thread (one for the process) takes over.
 * Does not wait for a registry: memo_client_wait does. After a failure the client is as it was built, and may be set and started again.
 *
 * Threads: one at a time for one client.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_SETTING (the registry's address; the setting `config`, a document that it names, or what the
 * program's check says of it), MEMO_E_RULES (the document that the setting `rules` names is not
 * valid, and there is no last good one in the cache to hold until it is; the error says where),
 * MEMO_E_UNSUPPORTED (scheme of the registry, of `rules` or of `config`), MEMO_E_STATE (started already), MEMO_E_NO_MEMORY, MEMO_E_IO.
 * Since: 0.1 */
MEMO_MUST memo_status memo_client_start(memo_client *c, memo_error *e);

/** Waits until the rules are loaded (from a URL: have come), every source of `config` has been read, every acquired service has a view (a cached one
 * will do) and every registration is acknowledged. A view that says "there are none" is a view: calls are then refused with MEMO_REFUSED_NO_ENDPOINT.
 *
 * timeout_ms: at most so many milliseconds; 0 asks without waiting, -1 waits without end.
 * Threads: any; other threads are not held up.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_TIMEOUT (the error names what is missing), MEMO_E_STATE (not running).
 * Since: 0.1 */
MEMO_MUST memo_status memo_client_wait(memo_client *c, int64_t timeout_ms, memo_error *e);

/** The names of all services that the registry knows, each ended by NUL, one after the other, sorted.
 *
 * n: bytes of `names`; 0 only asks how many it takes.
 * need: receives the bytes that all of them take, also when they do not fit; NULL is welcome.
 * Threads: any; asks the engine and waits for it, at most 5 s.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_TRUNCATED, MEMO_E_STATE, MEMO_E_UNREACHABLE, MEMO_E_TIMEOUT, MEMO_E_NO_MEMORY.
 * Since: 0.1 */
MEMO_MUST memo_status memo_client_list_services(memo_client *c, char *names, size_t n, size_t *need);

/** Drains, in this order: registrations are withdrawn (without waiting for the registry); if there were any, everything goes on for the setting
 * `drain_delay`, so that callers notice, though for at most half of the time given; then requests of others are refused (memo_inbound_enter answers
 * MEMO_REFUSED_NOT_READY) and those that were let in may finish, and make calls meanwhile; then new calls are refused with MEMO_REFUSED_NOT_READY,
 * and running calls may finish. A server calls it on SIGTERM, from a thread that may wait. Nothing leads back from here but memo_client_free. Asked
 * again, it goes on waiting.
 *
 * timeout_ms: how many milliseconds all of this may take; 0 or more.
 * Threads: any; blocks this thread.
 * Returns: MEMO_OK (nothing runs any more), MEMO_E_ARGUMENT, MEMO_E_TIMEOUT (requests or calls still run), MEMO_E_STATE (not started).
 * Since: 0.1 */
MEMO_MUST memo_status memo_client_drain(memo_client *c, int64_t timeout_ms);

/** The descriptor that a host's own loop watches, where no thread of libmemo's own is wanted: set `engine_thread` to `false` before memo_client_start,
 * poll this for reading, and call memo_client_step whenever it is readable. Timers make it readable, too: no timeout has to be asked for. One
 * descriptor and one engine for all clients of a process; any of them may be named.
 *
 * ```c
 * if (memo_client_set(client, "engine_thread", "false", error) != MEMO_OK || memo_client_start(client, error) != MEMO_OK)
 *     return;
 * struct pollfd ready = { .fd = memo_client_fd(client), .events = POLLIN };
 * while (poll(&ready, 1, -1) > 0)
 *     if (memo_client_step(client) != MEMO_OK)
 *         break;
 * ```
 *
 * The same number in a forked child, where it is the child's own. Edge-triggered watching needs a step after adding it.
 *
 * Ownership: the library's; never read from it, never close it.
 * Threads: any.
 * Returns: the descriptor; -1 if the client is NULL or not started.
 * Since: 0.1 */
MEMO_API int memo_client_fd(memo_client *c);

/** Runs the engine one turn, without waiting: what registries, rules files, timers and asynchronous requests have to do now, then the callbacks that
 * became due. The same function that the engine's own thread runs; with such a thread it is allowed, and has nothing to do. From within a callback it
 * does nothing. Functions that wait (memo_client_wait, memo_client_drain, memo_service_read, memo_registration_wait, ...) drive the engine
 * themselves where no thread does. Leases are kept only if the host steps in time: within a third of the setting `lease_ttl`.
 *
 * Threads: any; one drives at a time, others wait for it.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_STATE (not started).
 * Since: 0.1 */
MEMO_MUST memo_status memo_client_step(memo_client *c);

/** Ends a client in any state; NULL is welcome. Its services, views, replies, task handles and registrations must have been given back; calls
 * of the second door that are still open answer MEMO_E_STATE afterwards. What was submitted and is under way ends here: its function is called back
 * with MEMO_E_CANCELLED on the calling thread. The last client takes the engine thread with it.
 *
 * Threads: any, but never from a callback, and nobody may be inside a function of this client. It waits for callbacks that run on other threads: hold
 * no lock that one of them takes.
 * Since: 0.1 */
MEMO_API void memo_client_free(memo_client *c);

#ifdef __cplusplus
}
#endif
#endif
