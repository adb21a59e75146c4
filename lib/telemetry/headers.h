/* SPDX-License-Identifier: Apache-2.0 */
/* headers.h: the wire names, all of them, and the two ways to write them: with an attempt, and with a context.
 *
 *   traceparent                       W3C Trace Context
 *   x-envoy-expected-rq-timeout-ms    what is left of the caller's time: relative, so that no two clocks must agree
 *   x-envoy-attempt-count             1 is the first attempt
 *
 * Envoy's names, because meshes and gateways know them already. Times are untrusted: digits only, at most an hour, and they only ever shorten. */
#ifndef MEMO__TELEMETRY_HEADERS_H
#define MEMO__TELEMETRY_HEADERS_H
#include <memo/context.h>
#include "base/instant.h"
#include "base/text.h"
#include "telemetry/trace.h"

#define MEMO__HEADER_TRACEPARENT "traceparent"
#define MEMO__HEADER_TIMEOUT     "x-envoy-expected-rq-timeout-ms"
#define MEMO__HEADER_ATTEMPT     "x-envoy-attempt-count"
#define MEMO__TIMEOUT_MOST       (3600 * MEMO__S)
#define MEMO__DECIMAL_MAX        20 /* digits of a uint64_t */

/* Decimal digits of n, no NUL; the byte after the last. `to` has room for MEMO__DECIMAL_MAX. */
char *memo__put_decimal(char *to, uint64_t n);

/* The value of the timeout header in ns: digits only, clamped to MEMO__TIMEOUT_MOST; false for anything else (the header is then ignored). */
bool memo__timeout_parse(struct memo__text value, int64_t *ns);

/* The headers of one attempt. t: id and flags of the trace; span: the attempt's own. timeout_ms < 0 and attempt 0 leave their header out.
 * Values end with NUL, too. MEMO_OK, or MEMO_E_TRUNCATED (128 bytes and 3 headers are always enough). */
memo_status memo__headers_write(const struct memo__trace *t, const uint8_t span[8], int64_t timeout_ms, uint32_t attempt,
                                char *buf, size_t n, memo_header *out, uint32_t max, uint32_t *count);
#endif
