/* SPDX-License-Identifier: Apache-2.0 */
/* memo/setting.h: the table of settings: who am I, which registry, where are the rules. */
#ifndef MEMO_SETTING_H
#define MEMO_SETTING_H
#include <memo/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One row of the settings table; all text is static. */
typedef struct memo_setting {
    size_t size;                 /* MEMO_INIT(memo_setting) */
    const char *name;            /* "cache_max_age" */
    const char *environment;     /* "MEMO_CACHE_MAX_AGE" */
    const char *standard;        /* a name of the ecosystem that is honoured too ("OTEL_SERVICE_NAME"), or NULL */
    const char *type;            /* "text", "path", "url", "duration" ("250ms"), "bytes" ("64KiB"), "count", "share" ("50%"), "bool", "level" ("warn") */
    const char *otherwise;       /* the default, as text */
    const char *least, *most;    /* the range, as text, or NULL */
    const char *sentence;        /* what it is for */
    int32_t secret;              /* 1: its value is never shown, and a ..._FILE variable is read too */
} memo_setting;

/** Row `i` of the settings table. For tools and for binding constants.
 *
 * i: from 0; MEMO_E_ARGUMENT says that there are no more.
 * out: its size set (MEMO_INIT).
 * Ownership: the text is static.
 * Threads: any.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT.
 * Since: 0.1 */
MEMO_MUST memo_status memo_setting_get(uint32_t i, memo_setting *out);

#ifdef __cplusplus
}
#endif
#endif
