/* SPDX-License-Identifier: Apache-2.0 */
/* log.h: one line of log, to whoever wants it.
 *
 * A line is at most 512 bytes of UTF-8, without control characters and without its end. The sink is called by whoever logs, never under a lock; it may log and may change the sink
 * itself. The default sink writes to stderr with one write(2), so that lines of several processes do not mix, and never waits for it: lines that a full pipe does not take are
 * dropped, and counted in the next one that it does. */
#ifndef MEMO__BASE_LOG_H
#define MEMO__BASE_LOG_H
#include <stdint.h>
#include "base/lock.h"

#define MEMO__LOG_LINE_MAX 512

/* As OpenTelemetry numbers severities, and as <memo/log.h> promises them. */
enum { MEMO__LOG_DEBUG = 5, MEMO__LOG_INFO = 9, MEMO__LOG_WARN = 13, MEMO__LOG_ERROR = 17, MEMO__LOG_OFF = 100 };

typedef void memo__log_fn(int32_t level, const char *line, void *user);

struct memo__log {
    int32_t level;                /* lines below it are not even formatted; read and written relaxed, by anybody */
    struct memo__lock lock;       /* guards what follows */
    memo__log_fn *fn;             /* NULL: stderr */
    void *user;
    uint32_t running;             /* sinks that are being called right now */
};

void memo__log_init(struct memo__log *l, int32_t level);
void memo__log_fini(struct memo__log *l);
void memo__log_set_level(struct memo__log *l, int32_t level);
/* From now on; NULL: stderr. Returns when the old sink is no longer in use (called from inside a sink it does not wait). */
void memo__log_set_sink(struct memo__log *l, memo__log_fn *fn, void *user);
void memo__log_after_fork(struct memo__log *l); /* in a child, before its first line: nobody else's call runs there */
void memo__log(struct memo__log *l, int32_t level, const char *format, ...) __attribute__((format(printf, 3, 4))); /* l NULL is welcome */
const char *memo__log_level_name(int32_t level); /* "warn" */
#endif
