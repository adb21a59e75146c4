/* SPDX-License-Identifier: Apache-2.0 */
/* memo/log.h: where log lines go. */
#ifndef MEMO_LOG_H
#define MEMO_LOG_H
#include <memo/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Levels of log lines, as OpenTelemetry numbers severities. */
enum { MEMO_LOG_DEBUG = 5, MEMO_LOG_INFO = 9, MEMO_LOG_WARN = 13, MEMO_LOG_ERROR = 17 };

/** A log sink: one line, UTF-8, ended by NUL and without a newline; valid during the call only. level is one of MEMO_LOG_... Where several threads
 * drive, it may be called by two of them at once. It may call anything but memo_client_free and functions that wait for the engine (memo_client_wait,
 * memo_client_drain, memo_service_read, ...), which it would hold up: where nobody else drives they sleep until their time is up. */
typedef void memo_log_fn(int32_t level, const char *line, void *user);

/** Sends this client's log lines to `f`, from now on; NULL returns to the default, stderr. What is said at all is up to the setting `log_level`
 * (warnings and worse); refusals of calls are never logged. Lines are delivered by the engine thread (or whoever steps), never under a lock, and a
 * stderr that nobody reads holds nobody up. At most 256 lines wait; those that find no room are counted, and a line in their place says how many they
 * were. (Of a client that has not been started, lines go to stderr at once.)
 *
 * user: handed to `f` as it is.
 * Threads: any; returns after the old sink is no longer in use (from within a sink: at once).
 * Since: 0.1 */
MEMO_API void memo_log_set(memo_client *c, memo_log_fn *f, void *user);

#ifdef __cplusplus
}
#endif
#endif
