/* SPDX-License-Identifier: Apache-2.0 */
/* headers.h: the wire names, all of them, and the two ways to write them: with an attempt, and with a context.
 *
 *   traceparent                       W3C Trace Context
 *   x-envoy-expected-rq-timeout-ms    what is left of the caller's time: relative, so that no two clocks must agree
 *   x-envoy-attempt-count             1 is the first attempt
 *   tracestate, baggage               carried on as they came, see there
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
#define MEMO__HEADER_TRACESTATE  "tracestate"
#define MEMO__HEADER_BAGGAGE     "baggage"
#define MEMO__TIMEOUT_MOST       (3600 * MEMO__S)
#define MEMO__DECIMAL_MAX        20 /* digits of a uint64_t */

extern const char memo__digit_pairs[201]; /* "000102...99" */
char *memo__put_decimal_long(char *to, uint64_t n);

/* Decimal digits of n, no NUL; the byte after the last. `to` has room for MEMO__DECIMAL_MAX. Below 10,000: four digits in one word, the leading zeros
 * shifted out, all of it stored. */
static inline char *memo__put_decimal(char *to, uint64_t n)
{
    uint16_t high, low;
    if (n >= 10000 || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
        return memo__put_decimal_long(to, n);
    uint32_t small = (uint32_t)n, zeros = 3u - (small >= 1000) - (small >= 100) - (small >= 10);
    __builtin_memcpy(&high, memo__digit_pairs + 2 * (small / 100), 2);
    __builtin_memcpy(&low, memo__digit_pairs + 2 * (small % 100), 2);
    uint32_t four = ((uint32_t)high | (uint32_t)low << 16) >> 8 * zeros;
    __builtin_memcpy(to, &four, 4);
    return to + 4 - zeros;
}

/* The value of the timeout header in ns: digits only, clamped to MEMO__TIMEOUT_MOST; false for anything else (the header is then ignored). */
bool memo__timeout_parse(struct memo__text value, int64_t *ns);

/* The next member of a list (RFC 9110 5.6.1), blanks around it trimmed, empty ones passed over; false: there are no more. */
bool memo__list_next(struct memo__text *rest, struct memo__text *member);
/* Adds a member to the list in out[0, *n); false: it does not fit. */
bool memo__list_add(char *out, size_t *n, size_t room, struct memo__text member);

/* The headers of a context, and those of an attempt in general. t: id and flags of the trace; span: the attempt's own. timeout_ms < 0 and attempt 0
 * leave their header out. Values end with NUL, too. MEMO_OK, or MEMO_E_TRUNCATED (128 bytes and 3 headers are always enough). */
memo_status memo__headers_write(const struct memo__trace *t, const uint8_t span[8], int64_t timeout_ms, uint32_t attempt,
                                char *buf, size_t n, memo_header *out, uint32_t max, uint32_t *count);

memo_status memo__headers_of_other(const struct memo__trace *t, uint64_t draw, int64_t timeout_ms, uint32_t attempt,
                                   char *buf, size_t n, memo_header *out, uint32_t max, uint32_t *count);

/* The same where all three are written and the attempt's number is one digit: in places that are known beforehand. draw: of the span. */
static inline memo_status memo__headers_of_attempt(const struct memo__trace *t, uint64_t draw, int64_t timeout_ms, uint32_t attempt,
                                                   char *buf, size_t n, memo_header *out, uint32_t max, uint32_t *count)
{
    enum { TIMEOUT = MEMO__TRACEPARENT_BYTES + 1, ATTEMPT = TIMEOUT + MEMO__DECIMAL_MAX + 1, BYTES = ATTEMPT + MEMO__DECIMAL_MAX + 1 };
    const uint64_t most = MEMO__TIMEOUT_MOST / MEMO__MS;
    if (__builtin_expect((uint64_t)timeout_ms > most || attempt - 1 > 8 || n < BYTES || max < 3, 0))
        return memo__headers_of_other(t, draw, timeout_ms, attempt, buf, n, out, max, count);
    draw += draw == 0; /* as memo__span_of */
    memo__trace_format(t->id, (const uint8_t *)(const void *)&draw, t->flags, buf);
    buf[MEMO__TRACEPARENT_BYTES] = 0;
    out[0] = (memo_header){ MEMO__HEADER_TRACEPARENT, buf, sizeof MEMO__HEADER_TRACEPARENT - 1, MEMO__TRACEPARENT_BYTES };
    char *end = memo__put_decimal(buf + TIMEOUT, (uint64_t)timeout_ms);
    *end = 0;
    out[1] = (memo_header){ MEMO__HEADER_TIMEOUT, buf + TIMEOUT, sizeof MEMO__HEADER_TIMEOUT - 1, (size_t)(end - buf) - TIMEOUT };
    buf[ATTEMPT] = (char)('0' + attempt);
    buf[ATTEMPT + 1] = 0;
    out[2] = (memo_header){ MEMO__HEADER_ATTEMPT, buf + ATTEMPT, sizeof MEMO__HEADER_ATTEMPT - 1, 1 };
    *count = 3;
    return MEMO_OK;
}
#endif
