/* SPDX-License-Identifier: Apache-2.0 */
/* context.h: what a memo_context holds: the trace and the deadline of the work at hand.
 *
 * The public value is 256 opaque bytes. One that was never initialised (no magic) counts as empty, so that MEMO_INIT(memo_context) alone is harmless. `later` is room for tracestate
 * and baggage: it must stay zero until they have code. */
#ifndef MEMO__TELEMETRY_CONTEXT_H
#define MEMO__TELEMETRY_CONTEXT_H
#include <memo/context.h>
#include "base/instant.h"
#include "telemetry/trace.h"

#define MEMO__CONTEXT_MAGIC UINT64_C(0x6d656d6f63747831) /* "memoctx1" */

struct memo__context {
    size_t size;
    uint64_t magic;
    memo__instant deadline;  /* monotonic; MEMO__NEVER: none */
    struct memo__trace trace;
    uint8_t later[206];
};
_Static_assert(sizeof(struct memo__context) == sizeof(memo_context), "memo_context is frozen at 256 bytes");
_Static_assert(_Alignof(struct memo__context) == _Alignof(memo_context), "memo_context is 8-aligned");

/* What is in a public context; NULL if there is none, or nothing in it. */
static inline const struct memo__context *memo__context_of(const memo_context *x)
{
    const struct memo__context *c = (const struct memo__context *)(const void *)x;
    return c && c->magic == MEMO__CONTEXT_MAGIC ? c : NULL;
}

void memo__context_init(memo_context *x);
/* Reads inbound headers into x, replacing what it held. Two traceparents are none; of two timeouts the shorter holds. MEMO_OK, MEMO_E_ARGUMENT. */
memo_status memo__context_extract(memo_context *x, const memo_header *h, uint32_t count, memo__instant now);
/* memo_context_inject at `now`. */
memo_status memo__context_inject(const memo_context *x, memo__instant now, char *buf, size_t n, memo_header *out, uint32_t max, uint32_t *count);
int64_t memo__context_left_ms(const memo_context *x, memo__instant now);
memo_status memo__context_set_deadline(memo_context *x, int64_t left_ms, memo__instant now);
memo_status memo__context_get_trace(const memo_context *x, char id[33]);
#endif
