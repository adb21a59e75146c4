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

/** A log sink: one line, without its end, UTF-8. */
typedef void memo_log_fn(int32_t level, const char *line, void *user);

/** Sends this client's log lines to `f`, from now on; NULL returns to the default: stderr, warnings and worse (setting `log_level`).
 * `f` is called by the engine thread or by the caller of a library function, never under a lock.
 *
 * Threads: any; returns after the old sink is no longer in use.
 * Since: 0.1 */
MEMO_API void memo_log_set(memo_client *c, memo_log_fn *f, void *user);

#ifdef __cplusplus
}
#endif
#endif
