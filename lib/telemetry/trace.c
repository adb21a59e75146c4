/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c: traceparent, read strictly. It happens once a request; writing happens for every attempt and is in line. */
#include "telemetry/trace.h"
#include <string.h>

/* What a lower-case digit stands for, and 16 more: 0 is none. */
static const uint8_t digits[256] = {
    ['0'] = 16, ['1'] = 17, ['2'] = 18, ['3'] = 19, ['4'] = 20, ['5'] = 21, ['6'] = 22, ['7'] = 23, ['8'] = 24, ['9'] = 25,
    ['a'] = 26, ['b'] = 27, ['c'] = 28, ['d'] = 29, ['e'] = 30, ['f'] = 31,
};

/* n bytes of 2n lower-case digits; false if one of them is not. */
static bool unhex(const char *from, uint8_t *to, size_t n)
{
    unsigned all = 16;
    for (size_t i = 0; i < n; i++) {
        unsigned high = digits[(unsigned char)from[2 * i]], low = digits[(unsigned char)from[2 * i + 1]];
        all &= high & low;
        to[i] = (uint8_t)(high << 4 | (low & 15));
    }
    return all != 0;
}

#ifdef __SSE2__
/* What 16 digits stand for, 0 to 15 each; *bad gets bits where one is none. */
static inline __m128i nibbles(const char *from, __m128i *bad)
{
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)from), nine = _mm_set1_epi8(9), five = _mm_set1_epi8(5);
    __m128i number = _mm_sub_epi8(x, _mm_set1_epi8('0')), letter = _mm_sub_epi8(x, _mm_set1_epi8('a'));
    __m128i is_number = _mm_cmpeq_epi8(_mm_min_epu8(number, nine), number), is_letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, five), letter);
    *bad = _mm_or_si128(*bad, _mm_cmpeq_epi8(_mm_or_si128(is_number, is_letter), _mm_setzero_si128()));
    return _mm_or_si128(_mm_and_si128(is_number, number), _mm_and_si128(is_letter, _mm_add_epi8(letter, _mm_set1_epi8(10))));
}

/* Pairs of nibbles, the first the high one, into the low bytes of words. */
static inline __m128i joined(__m128i n)
{
    return _mm_or_si128(_mm_slli_epi16(_mm_and_si128(n, _mm_set1_epi16(255)), 4), _mm_srli_epi16(n, 8));
}

/* 32 digits and 16 more into 16 and 8 bytes; every request brings them. */
static inline bool unhex_ids(const char *id, uint8_t to_id[16], const char *span, uint8_t to_span[8])
{
    __m128i bad = _mm_setzero_si128();
    __m128i a = joined(nibbles(id, &bad)), b = joined(nibbles(id + 16, &bad)), c = joined(nibbles(span, &bad));
    _mm_storeu_si128((__m128i *)(void *)to_id, _mm_packus_epi16(a, b));
    _mm_storel_epi64((__m128i *)(void *)to_span, _mm_packus_epi16(c, c));
    return _mm_movemask_epi8(bad) == 0;
}
#else
static inline bool unhex_ids(const char *id, uint8_t to_id[16], const char *span, uint8_t to_span[8])
{
    return unhex(id, to_id, 16) && unhex(span, to_span, 8);
}
#endif

static bool ids_zero(const struct memo__trace *t)
{
    uint64_t a, b, c;
    memcpy(&a, t->id, 8);
    memcpy(&b, t->id + 8, 8);
    memcpy(&c, t->span, 8);
    return (a | b) == 0 || c == 0;
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
    if (!unhex_ids(t.at + 3, out->id, t.at + 36, out->span) || !unhex(t.at + 53, &out->flags, 1))
        return false;
    out->flags &= MEMO__TRACE_SAMPLED | MEMO__TRACE_RANDOM;
    return !ids_zero(out);
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

void memo__trace_hex(const uint8_t id[16], char out[32])
{
    memo__hex16(id, out);
}
