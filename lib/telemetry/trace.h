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
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define MEMO__TRACEPARENT_BYTES 55
enum { MEMO__TRACE_SAMPLED = 1, MEMO__TRACE_RANDOM = 2 }; /* flags of version 00, level 2; unknown ones are not passed on */

struct memo__trace {
    uint8_t id[16];
    uint8_t span[8];    /* the parent of what is done next; all zero in a new trace */
    uint8_t flags;
    bool present;
};
_Static_assert(sizeof(struct memo__trace) <= 32, "fits into memo_call");

/* Version 00: exactly 55 bytes; a later version may be longer, after a '-'; ff, upper case and all-zero ids are invalid. On false *out is zero. */
bool memo__trace_parse(struct memo__text traceparent, struct memo__trace *out);
/* A new trace of two draws; never the all-zero id. */
void memo__trace_new(struct memo__trace *t, uint64_t draw1, uint64_t draw2);
/* A span id of a draw; never all zero. */
static inline void memo__span_of(uint64_t draw, uint8_t span[8])
{
    draw += draw == 0;
    __builtin_memcpy(span, &draw, 8);
}

/* 16 bytes as 32 lower-case digits, and 8 as 16; 16 digits at a time where the machine can (SSE2 is part of every x86-64). */
#ifdef __SSE2__
/* A digit of each nibble: '0' + n, and 39 more past 9. */
static inline __m128i memo__digits(__m128i nibbles)
{
    __m128i past = _mm_and_si128(_mm_cmpgt_epi8(nibbles, _mm_set1_epi8(9)), _mm_set1_epi8('a' - '0' - 10));
    return _mm_add_epi8(_mm_add_epi8(nibbles, _mm_set1_epi8('0')), past);
}

static inline void memo__hex16(const uint8_t *from, char *to)
{
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)from), mask = _mm_set1_epi8(15);
    __m128i high = memo__digits(_mm_and_si128(_mm_srli_epi16(x, 4), mask)), low = memo__digits(_mm_and_si128(x, mask));
    _mm_storeu_si128((__m128i *)(void *)to, _mm_unpacklo_epi8(high, low));
    _mm_storeu_si128((__m128i *)(void *)(to + 16), _mm_unpackhi_epi8(high, low));
}

static inline void memo__hex8(const uint8_t *from, char *to)
{
    __m128i x = _mm_loadl_epi64((const __m128i *)(const void *)from), mask = _mm_set1_epi8(15);
    __m128i high = _mm_and_si128(_mm_srli_epi16(x, 4), mask), low = _mm_and_si128(x, mask);
    _mm_storeu_si128((__m128i *)(void *)to, memo__digits(_mm_unpacklo_epi8(high, low)));
}
#else
static inline void memo__hex(const uint8_t *from, char *to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[2 * i] = "0123456789abcdef"[from[i] >> 4];
        to[2 * i + 1] = "0123456789abcdef"[from[i] & 15];
    }
}

static inline void memo__hex16(const uint8_t *from, char *to) { memo__hex(from, to, 16); }
static inline void memo__hex8(const uint8_t *from, char *to) { memo__hex(from, to, 8); }
#endif

/* 55 bytes, no NUL. */
static inline void memo__trace_format(const uint8_t id[16], const uint8_t span[8], uint8_t flags, char out[MEMO__TRACEPARENT_BYTES])
{
    out[0] = out[1] = '0';
    out[2] = '-';
    memo__hex16(id, out + 3);
    out[35] = '-';
    memo__hex8(span, out + 36);
    out[52] = '-';
    out[53] = '0';
    out[54] = (char)('0' + (flags & (MEMO__TRACE_SAMPLED | MEMO__TRACE_RANDOM)));
}

/* 32 lower-case digits, no NUL. */
void memo__trace_hex(const uint8_t id[16], char out[32]);
#endif
