/* SPDX-License-Identifier: Apache-2.0 */
/* log.h: one line of log, and the default place for it: stderr.
 *
 * A line is at most 512 bytes of UTF-8, without control characters and without its end. Who hears it, and when, is up to whoever has it made: it may
 * be made while locks are held, and must not be written then. */
#ifndef MEMO__BASE_LOG_H
#define MEMO__BASE_LOG_H
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#define MEMO__LOG_LINE_MAX 512

/* As OpenTelemetry numbers severities, and as <memo/log.h> promises them. */
enum { MEMO__LOG_DEBUG = 5, MEMO__LOG_INFO = 9, MEMO__LOG_WARN = 13, MEMO__LOG_ERROR = 17, MEMO__LOG_OFF = 100 };

/* line: room for MEMO__LOG_LINE_MAX + 1 bytes. */
void memo__log_line(char *line, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
/* With one write(2), so that lines of several processes do not mix. Never waits for whoever reads there; false: there is no room now. */
bool memo__log_stderr(int32_t level, const char *line);
const char *memo__log_level_name(int32_t level); /* "warn" */
#endif
