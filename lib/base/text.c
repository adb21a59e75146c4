/* SPDX-License-Identifier: Apache-2.0 */
/* text.c: reading and writing short texts without allocating.
 *
 * Numbers with units are read as exact decimals (digits, at most 18 of them, then a scale): a duration of "0.1s" is 100,000,000 ns, never 99,999,999.
 * What is finer than the target's unit is refused, not rounded: a limit that was written is the limit that holds. */
#include "base/text.h"
#include <stdio.h>
#include <string.h>
#include "base/instant.h"

#define DIGITS_MAX 18 /* 10^18 fits 63 bits */

struct memo__text memo__text_of(const char *z)
{
    return (struct memo__text){ z ? z : "", z ? strlen(z) : 0 };
}

bool memo__text_same(struct memo__text a, struct memo__text b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.at, b.at, a.n) == 0);
}

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool memo__text_same_nocase(struct memo__text a, struct memo__text b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.at[i]) != lower(b.at[i]))
            return false;
    return true;
}

bool memo__text_is(struct memo__text a, const char *z)
{
    return memo__text_same(a, memo__text_of(z));
}

static bool token_char(unsigned char c)
{
    static const uint64_t map[2] = { UINT64_C(0x03ff6cfa00000000), UINT64_C(0x57ffffffc7fffffe) }; /* !#$%&'*+-.0-9 and A-Z^_`a-z|~ */
    return c < 128 && ((map[c >> 6] >> (c & 63)) & 1);
}

bool memo__is_token(struct memo__text t)
{
    for (size_t i = 0; i < t.n; i++)
        if (!token_char((unsigned char)t.at[i]))
            return false;
    return t.n > 0;
}

int memo__hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct memo__text memo__text_trim(struct memo__text t)
{
    while (t.n && (t.at[0] == ' ' || t.at[0] == '\t'))
        t.at++, t.n--;
    while (t.n && (t.at[t.n - 1] == ' ' || t.at[t.n - 1] == '\t'))
        t.n--;
    return t;
}

bool memo__text_copy(char *to, size_t size, struct memo__text t)
{
    bool whole = t.n < size;
    size_t n = whole ? t.n : size - 1;
    if (!whole)
        while (n && ((unsigned char)t.at[n] & 0xc0) == 0x80) /* never inside a character */
            n--;
    if (n)
        memcpy(to, t.at, n);
    to[n] = '\0';
    return whole;
}

/* The bytes of the character at the beginning of t, 0 if there is none that RFC 3629 allows. */
static size_t utf8_character(struct memo__text t)
{
    const unsigned char *p = (const unsigned char *)t.at;
    unsigned char least = 0x80, most = 0xbf; /* of the second byte: it decides on overlong forms, surrogates and the end at U+10FFFF */
    size_t n;

    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (p[0] == 0xe0)
        least = 0xa0;
    else if (p[0] == 0xed)
        most = 0x9f;
    else if (p[0] == 0xf0)
        least = 0x90;
    else if (p[0] == 0xf4)
        most = 0x8f;
    if (t.n < n || p[1] < least || p[1] > most)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

size_t memo__utf8_good(struct memo__text t)
{
    size_t all = t.n;
    while (t.n) {
        size_t n = utf8_character(t);
        if (!n)
            break;
        t.at += n;
        t.n -= n;
    }
    return all - t.n;
}

bool memo__utf8_valid(struct memo__text t)
{
    return memo__utf8_good(t) == t.n;
}

/* Is this the beginning of a character, whose end is missing? */
static bool unfinished(const unsigned char *p, size_t n)
{
    static const unsigned char rest[3] = { 0x80, 0x80, 0x80 };
    unsigned char whole[8] = { 0 };
    if (n > 3)
        return false;
    for (size_t more = 1; more <= 3; more++) {
        memcpy(whole, p, n);
        memcpy(whole + n, rest, more);
        if (n == 1 && (p[0] == 0xe0 || p[0] == 0xf0))
            whole[1] = 0xa0; /* here a second byte of 0x80 would be an overlong form */
        if (utf8_character((struct memo__text){ (const char *)whole, n + more }) == n + more)
            return true;
    }
    return false;
}

void memo__utf8_mend(char *z)
{
    struct memo__text t = memo__text_of(z);
    for (size_t good; (good = memo__utf8_good(t)) < t.n; t.at += good, t.n -= good) {
        char *bad = z + (t.at - z) + good;
        if (unfinished((const unsigned char *)bad, t.n - good)) {
            *bad = '\0';
            return;
        }
        *bad = '?';
    }
}

bool memo__parse_u64(struct memo__text t, uint64_t most, uint64_t *out)
{
    uint64_t value = 0;
    if (t.n == 0)
        return false;
    for (size_t i = 0; i < t.n; i++) {
        if (t.at[i] < '0' || t.at[i] > '9')
            return false;
        if (__builtin_mul_overflow(value, 10u, &value) || __builtin_add_overflow(value, (uint64_t)(t.at[i] - '0'), &value))
            return false;
    }
    if (value > most)
        return false;
    *out = value;
    return true;
}

/* Reads "12.5" from the beginning of *t as digits 125 and scale 1, and leaves the rest. */
static bool take_decimal(struct memo__text *t, uint64_t *digits, unsigned *scale)
{
    size_t i = 0, count = 0, point = 0;
    *digits = 0;
    for (; i < t->n; i++) {
        char c = t->at[i];
        if (c == '.' && count && !point) {
            point = count;
            continue;
        }
        if (c < '0' || c > '9')
            break;
        if (++count > DIGITS_MAX)
            return false;
        *digits = *digits * 10 + (uint64_t)(c - '0');
    }
    if (count == 0 || t->at[i - 1] == '.')
        return false;
    *scale = point ? (unsigned)(count - point) : 0;
    t->at += i;
    t->n -= i;
    return true;
}

/* digits / 10^scale * unit, exactly or not at all. */
static bool scaled(uint64_t digits, unsigned scale, uint64_t unit, uint64_t most, uint64_t *out)
{
    unsigned __int128 product = (unsigned __int128)digits * unit;
    for (; scale; scale--) {
        if (product % 10)
            return false;
        product /= 10;
    }
    if (product > most)
        return false;
    *out = (uint64_t)product;
    return true;
}

static uint64_t duration_unit(struct memo__text t)
{
    static const struct { const char *name; uint64_t ns; } units[] = {
        { "ms", 1000000 }, { "s", 1000000000 }, { "us", 1000 }, { "ns", 1 }, { "m", UINT64_C(60000000000) },
        { "h", UINT64_C(3600000000000) }, { "d", UINT64_C(86400000000000) }, { "", 1000000 },
    };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (memo__text_is(t, units[i].name))
            return units[i].ns;
    return 0;
}

bool memo__parse_duration(struct memo__text t, int64_t *ns)
{
    uint64_t digits, unit, value;
    unsigned scale;
    if (!take_decimal(&t, &digits, &scale))
        return false;
    unit = duration_unit(t);
    if (!unit || !scaled(digits, scale, unit, INT64_MAX, &value))
        return false;
    *ns = (int64_t)value;
    return true;
}

bool memo__parse_share(struct memo__text t, uint32_t *ppm)
{
    uint64_t digits, value;
    unsigned scale;
    if (!take_decimal(&t, &digits, &scale) || !memo__text_is(t, "%") || !scaled(digits, scale, 10000, 1000000, &value))
        return false;
    *ppm = (uint32_t)value;
    return true;
}

bool memo__parse_rate(struct memo__text t, uint64_t *count, int64_t *period_ns)
{
    const char *slash = t.n ? memchr(t.at, '/', t.n) : NULL;
    struct memo__text period;
    int64_t ns;

    if (!slash)
        return false;
    period = (struct memo__text){ slash + 1, t.n - (size_t)(slash - t.at) - 1 };
    t.n = (size_t)(slash - t.at);
    if (period.n == 0)
        return false;
    if (period.at[0] >= '0' && period.at[0] <= '9') {
        char end = period.at[period.n - 1]; /* "10/100" would be a guess */
        if ((end >= '0' && end <= '9') || !memo__parse_duration(period, &ns) || ns == 0)
            return false;
    } else {
        ns = (int64_t)duration_unit(period);
        if (ns == 0)
            return false;
    }
    if (!memo__parse_u64(t, UINT64_MAX, count))
        return false;
    *period_ns = ns;
    return true;
}

bool memo__parse_bytes(struct memo__text t, uint64_t *bytes)
{
    static const struct { const char *name; uint64_t bytes; } units[] = {
        { "", 1 }, { "B", 1 }, { "KiB", 1024 }, { "MiB", 1048576 }, { "GiB", 1073741824 },
    };
    uint64_t digits;
    unsigned scale;
    if (!take_decimal(&t, &digits, &scale))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (memo__text_is(t, units[i].name))
            return scaled(digits, scale, units[i].bytes, UINT64_MAX, bytes);
    return false;
}

void memo__writer_init(struct memo__writer *w, char *buf, size_t size)
{
    w->at = size ? buf : NULL;
    w->size = buf ? size : 0;
    w->need = 0;
}

void memo__put(struct memo__writer *w, const char *bytes, size_t n)
{
    if (w->at && w->need < w->size) {
        size_t room = w->size - w->need;
        if (n)
            memcpy(w->at + w->need, bytes, n < room ? n : room);
    }
    w->need += n;
}

void memo__put_text(struct memo__writer *w, const char *z)
{
    if (z)
        memo__put(w, z, strlen(z));
}

void memo__put_format(struct memo__writer *w, const char *format, ...)
{
    bool room = w->at && w->need < w->size;
    va_list args;
    int n;
    va_start(args, format);
    n = vsnprintf(room ? w->at + w->need : NULL, room ? w->size - w->need : 0, format, args);
    va_end(args);
    if (n > 0)
        w->need += (size_t)n;
}

void memo__put_duration(struct memo__writer *w, int64_t ns)
{
    static const struct { const char *name; int64_t ns; } units[] = {
        { "d", INT64_C(86400000000000) }, { "h", INT64_C(3600000000000) }, { "m", INT64_C(60000000000) },
        { "s", MEMO__S }, { "ms", MEMO__MS }, { "us", MEMO__US }, { "ns", 1 },
    };
    if (ns <= 0) {
        memo__put_text(w, "0s");
        return;
    }
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (ns % units[i].ns == 0) {
            memo__put_format(w, "%lld%s", (long long)(ns / units[i].ns), units[i].name);
            return;
        }
}

/* The escape of an ASCII character, or NULL if it stands for itself. */
static const char *json_escape(unsigned char c, char buf[8])
{
    static const char hex[] = "0123456789abcdef";
    switch (c) {
    case '"': return "\\\"";
    case '\\': return "\\\\";
    case '\b': return "\\b";
    case '\f': return "\\f";
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\t': return "\\t";
    default: break;
    }
    if (c >= 0x20 && c != 0x7f)
        return NULL;
    memcpy(buf, "\\u00", 4);
    buf[4] = hex[c >> 4];
    buf[5] = hex[c & 15];
    buf[6] = '\0';
    return buf;
}

void memo__put_json(struct memo__writer *w, struct memo__text t)
{
    memo__put(w, "\"", 1);
    while (t.n) {
        size_t n = utf8_character(t);
        char buf[8];
        const char *escape = n == 1 ? json_escape((unsigned char)t.at[0], buf) : NULL;
        if (n == 0)
            memo__put(w, "\xef\xbf\xbd", 3);
        else if (escape)
            memo__put_text(w, escape);
        else
            memo__put(w, t.at, n);
        t.at += n ? n : 1;
        t.n -= n ? n : 1;
    }
    memo__put(w, "\"", 1);
}

bool memo__writer_end(struct memo__writer *w)
{
    if (!w->at)
        return false;
    if (w->need < w->size) {
        w->at[w->need] = '\0';
        return true;
    }
    size_t n = w->size - 1; /* cut before the character that would be torn */
    while (n && ((unsigned char)w->at[n] & 0xc0) == 0x80)
        n--;
    w->at[n] = '\0';
    return false;
}
