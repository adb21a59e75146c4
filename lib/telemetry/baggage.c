/* SPDX-License-Identifier: Apache-2.0 */
/* baggage.c: read as strictly as it is written: what passes here goes out to others. */
#include "telemetry/baggage.h"
#include <string.h>
#include "telemetry/headers.h"

/* baggage-octet: printable ASCII but blank, quote, comma, semicolon and backslash. */
static bool octet(char c)
{
    return c > 0x20 && c < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\';
}

static bool octets(struct memo__text t)
{
    for (size_t i = 0; i < t.n; i++)
        if (!octet(t.at[i]))
            return false;
    return true;
}

/* What is before the first `c`, and what is behind it; both trimmed. false: it is not there, *before is all. */
static bool split(struct memo__text t, char c, struct memo__text *before, struct memo__text *behind)
{
    const char *at = t.n ? memchr(t.at, c, t.n) : NULL;
    size_t n = at ? (size_t)(at - t.at) : t.n;
    *before = memo__text_trim((struct memo__text){ t.at, n });
    *behind = at ? memo__text_trim((struct memo__text){ at + 1, t.n - n - 1 }) : (struct memo__text){ "", 0 };
    return at != NULL;
}

/* key [ = value ] */
static bool property_good(struct memo__text p)
{
    struct memo__text key, value;
    (void)split(p, '=', &key, &value);
    return memo__is_token(key) && octets(value);
}

/* A member into its key and value; false: it is malformed. */
static bool member(struct memo__text m, struct memo__text *key, struct memo__text *value)
{
    struct memo__text pair, rest, one;
    bool more = split(m, ';', &pair, &rest);
    if (!split(pair, '=', key, value) || !memo__is_token(*key) || !octets(*value))
        return false;
    while (more) {
        struct memo__text left = rest;
        more = split(left, ';', &one, &rest);
        if (!property_good(one))
            return false;
    }
    return true;
}

bool memo__baggage_allowed(struct memo__text list, struct memo__text key)
{
    struct memo__text one;
    while (memo__list_next(&list, &one))
        if (memo__text_same(one, key) || memo__text_is(one, "*"))
            return true;
    return false;
}

size_t memo__baggage_fit(struct memo__text list, const struct memo__text *values, uint32_t count, char *out, size_t room)
{
    size_t n = 0;
    uint32_t members = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct memo__text rest = values[i], m, key, value;
        while (memo__list_next(&rest, &m)) {
            if (!member(m, &key, &value) || !memo__baggage_allowed(list, key))
                continue;
            if (++members > MEMO__BAGGAGE_MEMBERS || !memo__list_add(out, &n, room, m))
                return n;
        }
    }
    return n;
}

bool memo__baggage_find(struct memo__text baggage, struct memo__text key, struct memo__text *value)
{
    struct memo__text m, its;
    while (memo__list_next(&baggage, &m))
        if (member(m, &its, value) && memo__text_same(its, key))
            return true;
    return false;
}

static bool plain(char c)
{
    return octet(c) && c != '%';
}

static size_t encoded_bytes(struct memo__text value)
{
    size_t n = 0;
    for (size_t i = 0; i < value.n; i++)
        n += plain(value.at[i]) ? 1 : 3;
    return n;
}

static char *encode(char *to, struct memo__text value)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.at[i];
        if (plain(value.at[i]))
            *to++ = value.at[i];
        else {
            *to++ = '%';
            *to++ = digits[c >> 4];
            *to++ = digits[c & 15];
        }
    }
    return to;
}

/* All members but those of that key, towards the beginning; how many bytes. */
static size_t without(char *at, size_t n, struct memo__text key, bool move)
{
    struct memo__text rest = { at, n }, m, its, value;
    size_t kept = 0;
    while (memo__list_next(&rest, &m)) {
        if (member(m, &its, &value) && memo__text_same(its, key))
            continue;
        if (kept)
            kept++;
        if (move) {
            if (kept)
                at[kept - 1] = ',';
            memmove(at + kept, m.at, m.n);
        }
        kept += m.n;
    }
    return kept;
}

bool memo__baggage_put(char *at, size_t *n, size_t room, struct memo__text key, struct memo__text value)
{
    size_t kept = without(at, *n, key, false), more = value.at ? key.n + 1 + encoded_bytes(value) + (kept > 0) : 0;
    if (kept + more > room)
        return false;
    (void)without(at, *n, key, true);
    if (value.at) {
        char *to = at + kept;
        if (kept)
            *to++ = ',';
        memcpy(to, key.at, key.n);
        to[key.n] = '=';
        (void)encode(to + key.n + 1, value);
    }
    *n = kept + more;
    return true;
}

void memo__baggage_decode(struct memo__writer *w, struct memo__text value)
{
    for (size_t i = 0; i < value.n; i++) {
        char c = value.at[i];
        if (c == '%' && i + 2 < value.n && memo__hex_digit(value.at[i + 1]) >= 0 && memo__hex_digit(value.at[i + 2]) >= 0) {
            c = (char)(memo__hex_digit(value.at[i + 1]) << 4 | memo__hex_digit(value.at[i + 2]));
            i += 2;
        }
        memo__put(w, &c, 1);
    }
}
