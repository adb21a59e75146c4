/* SPDX-License-Identifier: Apache-2.0 */
/* context.h: what a memo_context holds: the trace, the deadline and what is carried for the work at hand.
 *
 * The public value is 256 opaque bytes. One that was never initialised (no magic) counts as empty, so that MEMO_INIT(memo_context) alone is harmless.
 * Tracestate, then baggage, lie in the 204 bytes that the trace leaves, without a NUL: each may have half of them, and what the other does not need. */
#ifndef MEMO__TELEMETRY_CONTEXT_H
#define MEMO__TELEMETRY_CONTEXT_H
#include <memo/context.h>
#include "base/instant.h"
#include "telemetry/trace.h"

#define MEMO__CARRIED_MAX 204 /* bytes of tracestate and baggage together */
#define MEMO__CONTEXT_MAGIC UINT64_C(0x6d656d6f63747831) /* "memoctx1" */

struct memo__context {
    size_t size;
    uint64_t magic;
    memo__instant deadline;  /* monotonic; MEMO__NEVER: none */
    struct memo__trace trace;
    uint8_t state_bytes, baggage_bytes;
    char carried[MEMO__CARRIED_MAX];
};
_Static_assert(sizeof(struct memo__context) == sizeof(memo_context), "memo_context is frozen at 256 bytes");
_Static_assert(_Alignof(struct memo__context) == _Alignof(memo_context), "memo_context is 8-aligned");

/* What is in a public context; NULL if there is none, or nothing in it. */
static inline const struct memo__context *memo__context_of(const memo_context *x)
{
    const struct memo__context *c = (const struct memo__context *)(const void *)x;
    return c && c->magic == MEMO__CONTEXT_MAGIC ? c : NULL;
}

static inline struct memo__text memo__context_state(const struct memo__context *c) { return (struct memo__text){ c->carried, c->state_bytes }; }
static inline struct memo__text memo__context_baggage(const struct memo__context *c)
{
    return (struct memo__text){ c->carried + c->state_bytes, c->baggage_bytes };
}

struct memo__context *memo__context_init(memo_context *x); /* NULL welcome */

/* Reading inbound headers, one at a time: begin, take each, end. */
#define MEMO__VALUES_MAX 4 /* headers of one name that are joined; more are as none */
struct memo__extraction {
    struct memo__context *into;   /* initialised */
    memo__instant now;
    struct memo__text keys;       /* of baggage that may pass: a list; empty: none */
    uint32_t traces, states, baggages;
    struct memo__text state[MEMO__VALUES_MAX], baggage[MEMO__VALUES_MAX];
};
#define MEMO__CONTEXT_LENGTHS (UINT64_C(1) << 11 | UINT64_C(1) << 10 | UINT64_C(1) << 7 | UINT64_C(1) << 30) /* of the names that are read, as bits */
void memo__extraction_take(struct memo__extraction *e, struct memo__text name, struct memo__text value);
void memo__extraction_end(struct memo__extraction *e);

/* Reads inbound headers into x, replacing what it held. Two traceparents are none; of two timeouts the shorter holds; tracestate counts with its
 * traceparent only. MEMO_OK, MEMO_E_ARGUMENT. */
memo_status memo__context_extract(memo_context *x, const memo_header *h, uint32_t count, memo__instant now);
/* memo_context_inject at `now`. */
memo_status memo__context_inject(const memo_context *x, memo__instant now, char *buf, size_t n, memo_header *out, uint32_t max, uint32_t *count);
/* Tracestate and baggage alone: for callers whose transport has the rest from memo_call_inject. */
memo_status memo__context_inject_carried(const memo_context *x, char *buf, size_t n, memo_header *out, uint32_t max, uint32_t *count);
memo_status memo__context_get_baggage(const memo_context *x, const char *key, char *value, size_t n, size_t *need);
memo_status memo__context_set_baggage(memo_context *x, const char *key, const char *value);
int64_t memo__context_left_ms(const memo_context *x, memo__instant now);
memo_status memo__context_set_deadline(memo_context *x, int64_t left_ms, memo__instant now);
memo_status memo__context_get_trace(const memo_context *x, char id[33]);
#endif
