/* SPDX-License-Identifier: Apache-2.0 */
/* trace.h: who caused this? W3C Trace Context, read strictly and written fast.
 *
 *   00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
 *   version    trace id                  span      flags
 *
 * A malformed header is as none (section 3.2.2.1 and 4.3: restart the trace): nothing is repaired. A trace that begins here is marked sampled, as the default sampler of OpenTelemetry
 * (parentbased_always_on) does: an unset flag would switch off the recording of everything downstream. */
#ifndef MEMO__TELEMETRY_TRACE_H
#define MEMO__TELEMETRY_TRACE_H
#include <stdbool.h>
#include <stdint.h>
#include "base/text.h"

#define MEMO__TRACEPARENT_BYTES 55
enum { MEMO__TRACE_SAMPLED = 1, MEMO__TRACE_RANDOM = 2 }; /* flags of version 00, level 2; unknown ones are not passed on */

struct memo__trace {
    uint8_t id[16];
    uint8_t span[8];    /* the parent of what is done next; all zero in a new trace */
    uint8_t flags;
    bool present;
};
_Static_assert(sizeof(struct memo__trace) <= 32, "fits into memo_call");

/* Version 00: exactly 55 bytes; a later version may be longer, after a '-'; ff, upper case and all-zero ids are invalid. On false *out is all zero. */
bool memo__trace_parse(struct memo__text traceparent, struct memo__trace *out);
/* A new trace of two draws; never the all-zero id. */
void memo__trace_new(struct memo__trace *t, uint64_t draw1, uint64_t draw2);
/* A span id of a draw; never all zero. */
static inline void memo__span_of(uint64_t draw, uint8_t span[8])
{
    draw += draw == 0;
    __builtin_memcpy(span, &draw, 8);
}
/* 55 bytes, no NUL. */
void memo__trace_format(const uint8_t id[16], const uint8_t span[8], uint8_t flags, char out[MEMO__TRACEPARENT_BYTES]);
/* 32 lower-case digits, no NUL. */
void memo__trace_hex(const uint8_t id[16], char out[32]);
#endif
