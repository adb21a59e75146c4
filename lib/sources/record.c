/* SPDX-License-Identifier: Apache-2.0 */
/* record.c: writing and reading the line. The reader is strict: what it did not expect is not a record, and the writer never writes that. */
#include "sources/record.h"
#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>
#include "base/hash.h"

static bool plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '~' || c == ':';
}

static void put_escaped(struct memo__writer *w, struct memo__text t)
{
    for (size_t i = 0; i < t.n; i++)
        if (plain(t.at[i]))
            memo__put(w, t.at + i, 1);
        else
            memo__put_format(w, "%%%02x", (unsigned)(unsigned char)t.at[i]);
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One spelling for one text: what need not be escaped must not be. Answers bytes, or -1. */
static int unescape(struct memo__text t, char *to, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < t.n; i++, n++) {
        char c = t.at[i];
        if (c == '%') {
            int high = i + 2 < t.n ? digit(t.at[i + 1]) : -1, low = i + 2 < t.n ? digit(t.at[i + 2]) : -1;
            if (high < 0 || low < 0)
                return -1;
            c = (char)(high * 16 + low);
            i += 2;
            if (plain(c) || c == '\0')
                return -1;
        } else if (!plain(c)) {
            return -1;
        }
        if (n + 1 >= size)
            return -1;
        to[n] = c;
    }
    to[n] = '\0';
    return (int)n;
}

bool memo__address_numeric(const char *address)
{
    struct in6_addr six;
    return inet_pton(AF_INET, address, &six) == 1 || inet_pton(AF_INET6, address, &six) == 1;
}

/* ---- reading ---- */

/* Takes " key=value" off the line; the value goes to the next blank. */
static bool take(struct memo__text *rest, const char *key, struct memo__text *value)
{
    size_t n = strlen(key);
    if (rest->n < n + 2 || rest->at[0] != ' ' || memcmp(rest->at + 1, key, n) != 0 || rest->at[n + 1] != '=')
        return false;
    const char *from = rest->at + n + 2, *end = rest->at + rest->n;
    const char *to = memchr(from, ' ', (size_t)(end - from));
    if (!to)
        to = end;
    *value = (struct memo__text){ from, (size_t)(to - from) };
    *rest = (struct memo__text){ to, (size_t)(end - to) };
    return true;
}

static bool take_text(struct memo__text *rest, const char *key, char *to, size_t size)
{
    struct memo__text t;
    return take(rest, key, &t) && unescape(t, to, size) >= 0;
}

static bool take_number(struct memo__text *rest, const char *key, uint64_t most, uint64_t *out)
{
    struct memo__text t;
    return take(rest, key, &t) && t.n > 0 && (t.n == 1 || t.at[0] != '0') && memo__parse_u64(t, most, out);
}

static bool parse_hex(struct memo__text t, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < t.n; i++) {
        int d = digit(t.at[i]);
        if (d < 0)
            return false;
        *out = *out << 4 | (uint64_t)d;
    }
    return true;
}

static bool take_labels(struct memo__text *rest, struct memo__record *r)
{
    struct memo__text all;
    char *to = r->text;
    if (!take(rest, "labels", &all))
        return false;
    r->labels_count = 0;
    while (all.n > 0) {
        const char *comma = memchr(all.at, ',', all.n);
        size_t n = comma ? (size_t)(comma - all.at) : all.n;
        const char *equals = memchr(all.at, '=', n);
        if (!equals || equals == all.at || r->labels_count == MEMO__LABELS_MAX || (comma && n + 1 == all.n))
            return false;
        struct memo__text half[2] = { { all.at, (size_t)(equals - all.at) }, { equals + 1, n - (size_t)(equals - all.at) - 1 } };
        for (int i = 0; i < 2; i++) {
            int bytes = unescape(half[i], to, MEMO__VIEW_LABEL_MOST + 1);
            if (bytes < 0)
                return false;
            r->labels[r->labels_count][i] = (struct memo__text){ to, (size_t)bytes };
            to += bytes + 1;
        }
        r->labels_count++;
        n += comma ? 1 : 0;
        all = (struct memo__text){ all.at + n, all.n - n };
    }
    return true;
}

static bool take_instance(struct memo__text *rest, struct memo__record *r)
{
    uint64_t port = 0, weight = 0, ttl = 0;
    if (!take_text(rest, "id", r->id, sizeof r->id) || !r->id[0] || !take_text(rest, "address", r->address, sizeof r->address) || !memo__address_numeric(r->address) ||
        !take_number(rest, "port", UINT16_MAX, &port) || port == 0 || !take_number(rest, "weight", UINT16_MAX, &weight) ||
        !take_text(rest, "zone", r->zone, sizeof r->zone) || !take_labels(rest, r) || !take_number(rest, "ttl", 86400000, &ttl) || ttl == 0)
        return false;
    r->port = (uint16_t)port;
    r->weight = (uint32_t)weight;
    r->ttl = (int64_t)ttl * MEMO__MS;
    return true;
}

static bool take_owner(struct memo__text *rest, struct memo__owner *o)
{
    struct memo__text t;
    uint64_t pid = 0;
    if (!take_text(rest, "boot", o->boot, sizeof o->boot) || !take_number(rest, "pidns", UINT64_MAX, &o->pid_ns) ||
        !take_number(rest, "timens", UINT64_MAX, &o->time_ns) || !take_number(rest, "pid", INT32_MAX, &pid) ||
        !take_number(rest, "start", UINT64_MAX, &o->start) || !take(rest, "holder", &t) || t.n != 16 || !parse_hex(t, &o->holder))
        return false;
    o->pid = (uint32_t)pid;
    return true;
}

#define VERSION "memo1"
#define SUM " crc32c="
#define SUM_BYTES (sizeof SUM - 1 + 8 + 1) /* with eight digits and the end of the line */

/* Cuts version and checksum off, and believes neither before it has looked. */
static const char *unwrap(struct memo__text *line)
{
    uint64_t sum = 0;
    size_t body;
    if (line->n > MEMO__RECORD_MOST)
        return "longer than a record can be";
    if (line->n < sizeof VERSION - 1 + SUM_BYTES || memcmp(line->at, VERSION " ", sizeof VERSION) != 0)
        return "does not begin as a record of this version";
    body = line->n - SUM_BYTES;
    if (line->at[line->n - 1] != '\n' || memcmp(line->at + body, SUM, sizeof SUM - 1) != 0 ||
        !parse_hex((struct memo__text){ line->at + line->n - 9, 8 }, &sum))
        return "does not end with a checksum";
    if (memo__crc32c(0, line->at, body + 1) != (uint32_t)sum)
        return "its checksum is wrong";
    *line = (struct memo__text){ line->at + sizeof VERSION - 1, body - (sizeof VERSION - 1) };
    return NULL;
}

memo_status memo__record_parse(struct memo__record *r, struct memo__text line, const char **why)
{
    *why = unwrap(&line);
    if (*why)
        return MEMO_E_PROTOCOL;
    if (take_instance(&line, r) && take_number(&line, "token", UINT64_MAX, &r->token) && r->token &&
        take_number(&line, "generation", UINT64_MAX, &r->generation) && take_owner(&line, &r->owner) && (line.n == 0 || line.at[0] == ' '))
        return MEMO_OK;
    *why = "a field is missing or malformed";
    return MEMO_E_PROTOCOL;
}

/* ---- writing ---- */

bool memo__record_set_labels(struct memo__record *r, const char *(*labels)[2], uint32_t count)
{
    char *to = r->text;
    if (count > MEMO__LABELS_MAX)
        return false;
    for (uint32_t i = 0; i < count; i++)
        for (int k = 0; k < 2; k++) {
            size_t n = labels[i][k] ? strlen(labels[i][k]) : 0;
            if (n > MEMO__VIEW_LABEL_MOST || (k == 0 && n == 0))
                return false;
            if (n)
                memcpy(to, labels[i][k], n);
            to[n] = '\0';
            r->labels[i][k] = (struct memo__text){ to, n };
            to += n + 1;
        }
    r->labels_count = count;
    return true;
}

static void put_owner(struct memo__writer *w, const struct memo__owner *o)
{
    memo__put_text(w, " boot=");
    put_escaped(w, memo__text_of(o->boot));
    memo__put_format(w, " pidns=%" PRIu64 " timens=%" PRIu64 " pid=%" PRIu32 " start=%" PRIu64 " holder=%016" PRIx64, o->pid_ns, o->time_ns, o->pid, o->start, o->holder);
}

size_t memo__record_write(const struct memo__record *r, char *line, size_t size)
{
    struct memo__writer w;
    if (!r->id[0] || !memo__address_numeric(r->address) || r->port == 0 || r->weight > UINT16_MAX || r->ttl < MEMO__MS || r->token == 0)
        return 0;
    memo__writer_init(&w, line, size);
    memo__put_text(&w, VERSION " id=");
    put_escaped(&w, memo__text_of(r->id));
    memo__put_format(&w, " address=%s port=%u weight=%" PRIu32 " zone=", r->address, (unsigned)r->port, r->weight);
    put_escaped(&w, memo__text_of(r->zone));
    memo__put_text(&w, " labels=");
    for (uint32_t i = 0; i < r->labels_count; i++) {
        memo__put_text(&w, i ? "," : "");
        put_escaped(&w, r->labels[i][0]);
        memo__put_text(&w, "=");
        put_escaped(&w, r->labels[i][1]);
    }
    memo__put_format(&w, " ttl=%" PRId64 " token=%" PRIu64 " generation=%" PRIu64, r->ttl / MEMO__MS, r->token, r->generation);
    put_owner(&w, &r->owner);
    memo__put_text(&w, SUM);
    size_t body = w.need;
    if (body + 9 > MEMO__RECORD_MOST || body >= size)
        return 0;
    uint32_t sum = memo__crc32c(0, line, body - (sizeof SUM - 2));
    memo__put_format(&w, "%08" PRIx32 "\n", sum);
    return memo__writer_end(&w) ? w.need : 0;
}

bool memo__record_name(const char *id, char *name, size_t size)
{
    struct memo__writer w;
    size_t n = id ? strlen(id) : 0;
    if (n == 0 || n > MEMO__VIEW_ID_MOST)
        return false;
    memo__writer_init(&w, name, size);
    put_escaped(&w, (struct memo__text){ id, n });
    memo__put_text(&w, ".rec");
    return memo__writer_end(&w);
}

bool memo__record_is_name(const char *name)
{
    size_t n = strlen(name);
    return n > 4 && strcmp(name + n - 4, ".rec") == 0;
}
