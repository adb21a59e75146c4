/* SPDX-License-Identifier: Apache-2.0 */
/* status.h: the names of statuses, and filling a caller's memo_error in one line. */
#ifndef MEMO__BASE_STATUS_H
#define MEMO__BASE_STATUS_H
#include <memo/status.h>
#include <stdbool.h>

const char *memo__status_name(memo_status s); /* "MEMO_REFUSED_OPEN"; static */
bool memo__status_refused(memo_status s);     /* the 3xx family */

/* Fills e (NULL is welcome) and returns s: `return memo__fail(e, MEMO_E_IO, "cannot open %s", path);` */
memo_status memo__fail(memo_error *e, memo_status s, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Adds where in a text it is; file and path may be NULL. */
memo_status memo__fail_at(memo_error *e, memo_status s, const char *file, int32_t line, int32_t column, const char *path, const char *format, ...)
    __attribute__((format(printf, 7, 8)));
/* The 3xx family. */
static inline int memo__refused(memo_status s) { return s >= 300 && s < 400; }
#endif
