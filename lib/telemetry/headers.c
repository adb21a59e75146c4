/* SPDX-License-Identifier: Apache-2.0 */
/* headers.c: numbers and headers on the wire. */
#include "telemetry/headers.h"
#include <string.h>

const char memo__digit_pairs[201] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657585960616263646566676869"
    "707172737475767778798081828384858687888990919293949596979899";

/* 1 to 20: the bits times log10(2), and one more if that power of ten is reached. */
static uint32_t decimal_digits(uint64_t n)
{
    static const uint64_t power[] = {
        1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000, 100000000000, 1000000000000, 10000000000000,
        100000000000000, 1000000000000000, 10000000000000000, 100000000000000000, 1000000000000000000, UINT64_C(10000000000000000000),
    };
    uint32_t guess = (uint32_t)(64 - __builtin_clzll(n | 1)) * 1233 >> 12;
    return guess + (n >= power[guess]) + (n == 0);
}

char *memo__put_decimal_long(char *to, uint64_t n)
{
    char *end = to + decimal_digits(n), *p = end;
    for (; n >= 100; n /= 100)
        memcpy(p -= 2, memo__digit_pairs + 2 * (n % 100), 2);
    if (n >= 10)
        memcpy(p - 2, memo__digit_pairs + 2 * n, 2);
    else
        p[-1] = (char)('0' + n);
    return end;
}

bool memo__timeout_parse(struct memo__text value, int64_t *ns)
{
    int64_t ms = 0;
    for (size_t i = 0; i < value.n; i++) {
        if (value.at[i] < '0' || value.at[i] > '9')
            return false;
        ms = ms * 10 + (value.at[i] - '0');
        if (ms > MEMO__TIMEOUT_MOST / MEMO__MS)
            ms = MEMO__TIMEOUT_MOST / MEMO__MS;
    }
    if (value.n)
        *ns = ms * MEMO__MS;
    return value.n > 0;
}

bool memo__list_next(struct memo__text *rest, struct memo__text *member)
{
    while (rest->n) {
        const char *comma = memchr(rest->at, ',', rest->n);
        size_t n = comma ? (size_t)(comma - rest->at) : rest->n;
        *member = memo__text_trim((struct memo__text){ rest->at, n });
        n += comma != NULL;
        *rest = (struct memo__text){ rest->at + n, rest->n - n };
        if (member->n)
            return true;
    }
    return false;
}

bool memo__list_add(char *out, size_t *n, size_t room, struct memo__text member)
{
    size_t comma = *n > 0;
    if (member.n + comma > room - *n)
        return false;
    if (comma)
        out[*n] = ',';
    memcpy(out + *n + comma, member.at, member.n);
    *n += comma + member.n;
    return true;
}

/* One header whose value ends at `end`; the next value begins behind its NUL. */
static char *header(memo_header *out, const char *name, size_t name_bytes, char *value, char *end)
{
    *out = (memo_header){ name, value, name_bytes, (size_t)(end - value) };
    *end = 0;
    return end + 1;
}

#define HEADER(out, name, value, end) header(out, name, sizeof(name) - 1, value, end)

memo_status memo__headers_write(const struct memo__trace *t, const uint8_t span[8], int64_t timeout_ms, uint32_t attempt,
                                char *buf, size_t n, memo_header *out, uint32_t max, uint32_t *count)
{
    uint32_t numbers = (timeout_ms >= 0 ? 1u : 0u) + (attempt > 0 ? 1u : 0u), i = 0;
    *count = 0;
    if (n < MEMO__TRACEPARENT_BYTES + 1 + (size_t)numbers * (MEMO__DECIMAL_MAX + 1) || max < 1 + numbers)
        return MEMO_E_TRUNCATED;
    memo__trace_format(t->id, span, t->flags, buf);
    char *at = HEADER(&out[i++], MEMO__HEADER_TRACEPARENT, buf, buf + MEMO__TRACEPARENT_BYTES);
    if (timeout_ms >= 0) {
        uint64_t ms = (uint64_t)(timeout_ms < MEMO__TIMEOUT_MOST / MEMO__MS ? timeout_ms : MEMO__TIMEOUT_MOST / MEMO__MS);
        at = HEADER(&out[i++], MEMO__HEADER_TIMEOUT, at, memo__put_decimal(at, ms));
    }
    if (attempt > 0)
        HEADER(&out[i++], MEMO__HEADER_ATTEMPT, at, memo__put_decimal(at, attempt));
    *count = i;
    return MEMO_OK;
}

memo_status memo__headers_of_other(const struct memo__trace *t, uint64_t draw, int64_t timeout_ms, uint32_t attempt,
                                   char *buf, size_t n, memo_header *out, uint32_t max, uint32_t *count)
{
    uint8_t span[8];
    memo__span_of(draw, span);
    return memo__headers_write(t, span, timeout_ms, attempt, buf, n, out, max, count);
}
