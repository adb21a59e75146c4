/* SPDX-License-Identifier: Apache-2.0 */
/* memo/context.h: what crosses services: trace, deadline and baggage; a plain value. */
#ifndef MEMO_CONTEXT_H
#define MEMO_CONTEXT_H
#include <memo/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A header, by pointer and length in bytes; a length of 0 with a non-NULL pointer means text ended by NUL. What the library fills in has its
 * lengths, and is ended by NUL, too. */
typedef struct memo_header {
    const char *name, *value;
    size_t name_bytes, value_bytes;
} memo_header;

/** Trace, deadline and baggage of the work at hand: from the inbound request to the calls made for it. A plain value of 256 bytes that may be copied;
 * it needs no end. The size is frozen for soname 0. Of it, 204 bytes are for `tracestate` and `baggage` together: each may have 102, and what the
 * other does not need. What is longer is cut by whole entries, never within one; no service should rely on more. */
typedef struct memo_context {
    size_t size;           /* MEMO_INIT(memo_context) */
    uint64_t opaque[31];
} memo_context;

/** Makes an empty context: a call under it starts a new trace and has no inherited deadline. NULL is welcome.
 *
 * Threads: any, one at a time for one context.
 * Since: 0.1 */
MEMO_API void memo_context_init(memo_context *x);

/** Reads `traceparent`, `tracestate` and `x-envoy-expected-rq-timeout-ms` from inbound headers (any order, names in any case, others ignored). A
 * malformed or repeated traceparent is as none: the specification asks to start a new trace; the tracestate goes with it. What was not
 * sampled stays so. The time is decimal milliseconds, counted from now and held to at most an hour; anything else is as none.
 * Headers are untrusted: at an untrusted edge strip the deadline header before. `baggage` is not read here, for there is no list of keys that may
 * pass; memo_inbound_enter has one.
 *
 * x: its size set (MEMO_INIT); what was in it is replaced.
 * h: may be NULL if count is 0.
 * Ownership: the headers are read during this function only.
 * Threads: any, one at a time for one context.
 * Returns: MEMO_OK (also when there was nothing of use), MEMO_E_ARGUMENT.
 * Source: W3C Trace Context, sections 3.2 and 3.3; the other name is Envoy's.
 * Since: 0.1 */
MEMO_MUST memo_status memo_context_extract(memo_context *x, const memo_header *h, uint32_t count);

/** Writes the context's headers as they would go out now: `traceparent` if there is a trace, the time left if there is a deadline, `tracestate` and
 * `baggage` if there are any. For work that is handed on without a call of libmemo, a message in a queue for example; calls write their own
 * (memo_call_inject).
 *
 * n: bytes of `buf`; 384 are always enough.
 * max: elements of `out`; 4 are always enough.
 * count: receives how many were filled, 0 to 4; 0 unless MEMO_OK.
 * Ownership: values point into `buf`, names at static text.
 * Threads: any.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_TRUNCATED.
 * Source: W3C Trace Context, sections 3.2 and 3.3; W3C Baggage, section 3.
 * Since: 0.1 */
MEMO_MUST memo_status memo_context_inject(const memo_context *x, char *buf, size_t n, memo_header *out, uint32_t max, uint32_t *count);

/** Milliseconds left until the deadline, rounded down, 0 if it has passed, INT64_MAX if there is none.
 *
 * Threads: any.
 * Since: 0.1 */
MEMO_API int64_t memo_context_get_left_ms(const memo_context *x);

/** Sets a deadline; it only ever shortens.
 *
 * left_ms: milliseconds from now, 0 or more.
 * Threads: any, one at a time for one context.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT (negative).
 * Since: 0.1 */
MEMO_MUST memo_status memo_context_set_deadline(memo_context *x, int64_t left_ms);

/** The trace id as 32 lower-case hexadecimal digits and a NUL, for log lines.
 *
 * Threads: any.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_STATE (no trace yet; id is "").
 * Since: 0.1 */
MEMO_MUST memo_status memo_context_get_trace(const memo_context *x, char id[33]);

#ifdef __cplusplus
}
#endif
#endif
