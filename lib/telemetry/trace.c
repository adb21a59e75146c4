/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c: traceparent, in and out. Reading is strict and happens once a request; writing happens for every attempt and takes 16 bytes at a time where the machine can (SSE2 is part of
 * every x86-64). */
#include "telemetry/trace.h"
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* n bytes of 2n lower-case digits; false if one of them is not. */
static bool unhex(const char *from, uint8_t *to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int high = digit(from[2 * i]), low = digit(from[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        to[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool all_zero(const uint8_t *bytes, size_t n)
{
    uint8_t any = 0;
    for (size_t i = 0; i < n; i++)
        any |= bytes[i];
    return any == 0;
}

static bool parse(struct memo__text t, struct memo__trace *out)
{
    uint8_t version;
    if (t.n < MEMO__TRACEPARENT_BYTES || t.at[2] != '-' || t.at[35] != '-' || t.at[52] != '-')
        return false;
    if (!unhex(t.at, &version, 1) || version == 0xff)
        return false;
    if (t.n > MEMO__TRACEPARENT_BYTES && (version == 0 || t.at[MEMO__TRACEPARENT_BYTES] != '-'))
        return false;
    if (!unhex(t.at + 3, out->id, 16) || !unhex(t.at + 36, out->span, 8) || !unhex(t.at + 53, &out->flags, 1))
        return false;
    out->flags &= MEMO__TRACE_SAMPLED | MEMO__TRACE_RANDOM;
    return !all_zero(out->id, 16) && !all_zero(out->span, 8);
}

bool memo__trace_parse(struct memo__text traceparent, struct memo__trace *out)
{
    memset(out, 0, sizeof *out);
    out->present = parse(traceparent, out);
    if (!out->present)
        memset(out, 0, sizeof *out);
    return out->present;
}

void memo__trace_new(struct memo__trace *t, uint64_t draw1, uint64_t draw2)
{
    draw2 += (draw1 | draw2) == 0;
    memcpy(t->id, &draw1, 8);
    memcpy(t->id + 8, &draw2, 8);
    memset(t->span, 0, sizeof t->span);
    t->flags = MEMO__TRACE_SAMPLED | MEMO__TRACE_RANDOM;
    t->present = true;
}

#ifdef __SSE2__
/* A digit of each nibble: '0' + n, and 39 more past 9. */
static __m128i digits(__m128i nibbles)
{
    __m128i past = _mm_and_si128(_mm_cmpgt_epi8(nibbles, _mm_set1_epi8(9)), _mm_set1_epi8('a' - '0' - 10));
    return _mm_add_epi8(_mm_add_epi8(nibbles, _mm_set1_epi8('0')), past);
}

static void hex16(const uint8_t *from, char *to)
{
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)from), mask = _mm_set1_epi8(15);
    __m128i high = digits(_mm_and_si128(_mm_srli_epi16(x, 4), mask)), low = digits(_mm_and_si128(x, mask));
    _mm_storeu_si128((__m128i *)(void *)to, _mm_unpacklo_epi8(high, low));
    _mm_storeu_si128((__m128i *)(void *)(to + 16), _mm_unpackhi_epi8(high, low));
}

static void hex8(const uint8_t *from, char *to)
{
    __m128i x = _mm_loadl_epi64((const __m128i *)(const void *)from), mask = _mm_set1_epi8(15);
    __m128i high = _mm_and_si128(_mm_srli_epi16(x, 4), mask), low = _mm_and_si128(x, mask);
    _mm_storeu_si128((__m128i *)(void *)to, digits(_mm_unpacklo_epi8(high, low)));
}
#else
static void hex(const uint8_t *from, char *to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[2 * i] = "0123456789abcdef"[from[i] >> 4];
        to[2 * i + 1] = "0123456789abcdef"[from[i] & 15];
    }
}

static void hex16(const uint8_t *from, char *to) { hex(from, to, 16); }
static void hex8(const uint8_t *from, char *to) { hex(from, to, 8); }
#endif

void memo__trace_hex(const uint8_t id[16], char out[32])
{
    hex16(id, out);
}

void memo__trace_format(const uint8_t id[16], const uint8_t span[8], uint8_t flags, char out[MEMO__TRACEPARENT_BYTES])
{
    memcpy(out, "00-", 3);
    hex16(id, out + 3);
    out[35] = '-';
    hex8(span, out + 36);
    out[52] = '-';
    out[53] = '0';
    out[54] = (char)('0' + (flags & (MEMO__TRACE_SAMPLED | MEMO__TRACE_RANDOM)));
}
