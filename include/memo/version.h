/* SPDX-License-Identifier: Apache-2.0 */
/* memo/version.h: which library is loaded, and what it can do. */
#ifndef MEMO_VERSION_H
#define MEMO_VERSION_H
#include <memo/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Version of these headers: major * 10000 + minor * 100 + patch. */
#define MEMO_VERSION_NUMBER 100
#define MEMO_VERSION_TEXT "0.1.0"

/** The version of the library loaded at run time, as MEMO_VERSION_NUMBER counts it.
 *
 * Threads: any.
 * Since: 0.1 */
MEMO_API uint32_t memo_version_number(void);

/** Is a feature built in (1 or 0)? Names: "http", "tls", "dns", "file", "static", "explain", "inbound".
 * An unknown name answers 0, so a caller may ask an older library for a newer feature.
 *
 * Threads: any.
 * Since: 0.1 */
MEMO_API int memo_version_has(const char *feature);

#ifdef __cplusplus
}
#endif
#endif
