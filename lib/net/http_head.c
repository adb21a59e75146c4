/* SPDX-License-Identifier: Apache-2.0 */
/* http_head.c: reading HTTP/1.1 heads and chunks, strictly.
 *
 *   head = start line CRLF *( name ":" OWS value OWS CRLF ) CRLF           chunks = *( size [;ext] CRLF data CRLF ) 0 CRLF *( trailer CRLF ) CRLF
 *
 * A head is parsed once, when it is whole: memo__http_head_end looks for its end and remembers how far it looked, so a peer that drips bytes costs no more than one that does not. */
#include "net/http_head.h"
#include <string.h>

struct lines { const char *at, *end; };

/* ---- characters ---- */

/* Visible bytes, blanks and tabs; above 127 as they are (obs-text). */
static bool value_text(struct memo__text t)
{
    for (size_t i = 0; i < t.n; i++) {
        unsigned char c = (unsigned char)t.at[i];
        if ((c < 32 && c != '\t') || c == 127)
            return false;
    }
    return true;
}

static bool target_text(struct memo__text t)
{
    for (size_t i = 0; i < t.n; i++) {
        unsigned char c = (unsigned char)t.at[i];
        if (c <= 32 || c == 127)
            return false;
    }
    return t.n > 0;
}

static bool digits(struct memo__text t, uint64_t *out)
{
    uint64_t v = 0;
    if (!t.n || t.n > 18)
        return false;
    for (size_t i = 0; i < t.n; i++) {
        if (t.at[i] < '0' || t.at[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(t.at[i] - '0');
    }
    *out = v;
    return true;
}

/* ---- lines ---- */

size_t memo__http_head_end(const char *bytes, size_t n, size_t *scanned)
{
    size_t at = *scanned > 3 ? *scanned - 3 : 0;
    const char *nl;
    while (at < n && (nl = memchr(bytes + at, '\n', n - at)) != NULL) {
        size_t next = (size_t)(nl - bytes) + 1;
        if (next < n && bytes[next] == '\n')
            return next + 1;
        if (next + 1 < n && bytes[next] == '\r' && bytes[next + 1] == '\n')
            return next + 2;
        at = next;
    }
    *scanned = n;
    return 0;
}

/* The next line without its CRLF; false if it does not end so, or has a CR within. */
static bool next_line(struct lines *l, struct memo__text *line)
{
    const char *nl = memchr(l->at, '\n', (size_t)(l->end - l->at));
    if (!nl || nl == l->at || nl[-1] != '\r')
        return false;
    line->at = l->at;
    line->n = (size_t)(nl - 1 - l->at);
    l->at = nl + 1;
    return !memchr(line->at, '\r', line->n);
}

/* Cuts off what is before the next blank. */
static bool cut(struct memo__text *rest, struct memo__text *word)
{
    const char *blank = memchr(rest->at, ' ', rest->n);
    if (!blank)
        return false;
    word->at = rest->at;
    word->n = (size_t)(blank - rest->at);
    rest->n -= word->n + 1;
    rest->at = blank + 1;
    return true;
}

static int version(struct memo__text v, int *minor)
{
    if (v.n != 8 || memcmp(v.at, "HTTP/", 5) != 0 || v.at[6] != '.' || v.at[5] < '0' || v.at[5] > '9' || v.at[7] < '0' || v.at[7] > '9')
        return 400;
    if (v.at[5] != '1')
        return 505;
    *minor = v.at[7] == '0' ? 0 : 1;
    return 0;
}

static int request_line(struct memo__text line, struct memo__http_head *h)
{
    if (!cut(&line, &h->method) || !cut(&line, &h->target))
        return 400;
    if (!memo__is_token(h->method) || !target_text(h->target))
        return 400;
    return version(line, &h->minor);
}

static int status_line(struct memo__text line, struct memo__http_head *h)
{
    struct memo__text v, code = line;
    uint64_t status;
    if (!cut(&line, &v))
        return 400;
    int wrong = version(v, &h->minor);
    if (wrong)
        return wrong;
    code = line;
    if (cut(&line, &code))
        h->reason = line;
    if (code.n != 3 || !digits(code, &status) || status < 100 || status > 599 || !value_text(h->reason))
        return 400;
    h->status = (int)status;
    return 0;
}

static int field_line(struct memo__text line, struct memo__http_head *h)
{
    const char *colon = memchr(line.at, ':', line.n);
    if (!colon)
        return 400;
    struct memo__text name = { line.at, (size_t)(colon - line.at) };
    struct memo__text value = memo__text_trim((struct memo__text){ colon + 1, line.n - name.n - 1 });
    if (!memo__is_token(name) || !value_text(value)) /* a folded line begins with a blank: no token */
        return 400;
    if (h->count == MEMO__HEAD_FIELDS)
        return 431;
    h->fields[h->count++] = (struct memo__http_field){ name, value };
    return 0;
}

/* ---- what the fields mean for the connection ---- */

struct meaning { uint32_t lengths, codings, hosts; uint64_t length; bool chunked, close, keep, bad; };

static bool same(struct memo__text t, const char *lower)
{
    return memo__text_same_nocase(t, memo__text_of(lower));
}

static void connection_words(struct memo__text value, struct meaning *m)
{
    while (value.n) {
        const char *comma = memchr(value.at, ',', value.n);
        size_t n = comma ? (size_t)(comma - value.at) : value.n;
        struct memo__text word = memo__text_trim((struct memo__text){ value.at, n });
        m->close |= same(word, "close");
        m->keep |= same(word, "keep-alive");
        n += comma != NULL;
        value.at += n;
        value.n -= n;
    }
}

static void length_field(struct memo__text value, struct meaning *m)
{
    uint64_t length;
    if (!digits(value, &length) || (m->lengths && length != m->length))
        m->bad = true;
    else
        m->length = length;
    m->lengths++;
}

static void field_means(const struct memo__http_field *f, struct meaning *m, struct memo__http_head *h)
{
    switch (f->name.n) { /* most fields are told apart by their length alone */
    case 4:
        m->hosts += same(f->name, "host");
        break;
    case 6:
        if (same(f->name, "expect"))
            h->expects_continue = same(f->value, "100-continue");
        break;
    case 10:
        if (same(f->name, "connection"))
            connection_words(f->value, m);
        break;
    case 14:
        if (same(f->name, "content-length"))
            length_field(f->value, m);
        break;
    case 17:
        if (same(f->name, "transfer-encoding")) {
            m->codings++;
            m->chunked = same(f->value, "chunked");
        }
        break;
    default:
        break;
    }
}

static void keep_alive(struct memo__http_head *h, const struct meaning *m)
{
    h->keep_alive = !m->close && (h->minor == 1 || m->keep);
}

/* RFC 9112 section 6: a length beside a coding is how requests are smuggled. */
static int framing(struct memo__http_head *h, const struct meaning *m)
{
    if (m->bad || (m->lengths && m->codings) || (m->codings && h->minor == 0) || m->codings > 1)
        return 400;
    if (m->codings && !m->chunked)
        return 501;
    h->framing = m->codings ? MEMO__BODY_CHUNKED : m->lengths ? MEMO__BODY_LENGTH : MEMO__BODY_NONE;
    h->length = m->lengths ? m->length : 0;
    return 0;
}

static int parse(const char *bytes, size_t n, struct memo__http_head *h, struct meaning *m, int (*start)(struct memo__text, struct memo__http_head *))
{
    struct lines l = { bytes, bytes + n };
    struct memo__text line;
    h->method = h->target = h->reason = (struct memo__text){ bytes, 0 };
    h->status = h->minor = 0;
    h->expects_continue = h->keep_alive = false;
    h->count = 0;
    if (n > MEMO__HEAD_BYTES)
        return 431;
    if (!next_line(&l, &line))
        return 400;
    int wrong = start(line, h);
    while (!wrong) {
        if (!next_line(&l, &line))
            return 400;
        if (!line.n)
            return l.at == l.end ? 0 : 400;
        wrong = field_line(line, h);
        if (!wrong)
            field_means(&h->fields[h->count - 1], m, h);
    }
    return wrong;
}

int memo__http_head_request(const char *bytes, size_t n, struct memo__http_head *out)
{
    struct meaning m = { 0 };
    int wrong = parse(bytes, n, out, &m, request_line);
    if (!wrong)
        wrong = framing(out, &m);
    if (!wrong && (m.hosts > 1 || (out->minor == 1 && !m.hosts)))
        wrong = 400;
    keep_alive(out, &m);
    return wrong;
}

int memo__http_head_response(const char *bytes, size_t n, struct memo__http_head *out)
{
    struct meaning m = { 0 };
    int wrong = parse(bytes, n, out, &m, status_line);
    if (!wrong)
        wrong = framing(out, &m);
    if (wrong)
        return wrong;
    keep_alive(out, &m);
    if (out->status < 200 || out->status == 204 || out->status == 304)
        out->framing = MEMO__BODY_NONE;
    else if (out->framing == MEMO__BODY_NONE)
        out->framing = MEMO__BODY_UNTIL_CLOSE;
    if (out->framing == MEMO__BODY_UNTIL_CLOSE)
        out->keep_alive = false;
    return 0;
}

struct memo__text memo__http_head_get(const struct memo__http_head *h, const char *name)
{
    struct memo__text wanted = memo__text_of(name);
    for (uint32_t i = 0; i < h->count; i++)
        if (memo__text_same_nocase(h->fields[i].name, wanted))
            return h->fields[i].value;
    return (struct memo__text){ NULL, 0 };
}

/* ---- chunks ---- */

enum { SIZE, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF, TRAILER, TRAILER_TEXT, TRAILER_LF, LAST_LF, OVER, BROKEN };

static int in_size(struct memo__http_chunks *c, char byte)
{
    int value = memo__hex_digit(byte);
    if (value >= 0 && c->digits < 14) { /* 2^56 is more than anybody has */
        c->left = c->left * 16 + (uint64_t)value;
        c->digits++;
        return SIZE;
    }
    if (value >= 0 || !c->digits)
        return BROKEN;
    return byte == '\r' ? SIZE_LF : byte == ';' || byte == ' ' || byte == '\t' ? EXTENSION : BROKEN;
}

/* Text that is skipped, up to its CR. */
static int in_other(struct memo__http_chunks *c, char byte, int stay, int end)
{
    if (byte == '\r')
        return end;
    if (byte == '\n' || byte == '\0' || ++c->other > MEMO__CHUNKS_OTHER)
        return BROKEN;
    return stay;
}

static int step(struct memo__http_chunks *c, char byte)
{
    switch (c->state) {
    case SIZE: return in_size(c, byte);
    case EXTENSION: return in_other(c, byte, EXTENSION, SIZE_LF);
    case SIZE_LF: return byte != '\n' ? BROKEN : c->left ? DATA : TRAILER;
    case DATA_CR: return byte == '\r' ? DATA_LF : BROKEN;
    case DATA_LF:
        c->digits = 0;
        return byte == '\n' ? SIZE : BROKEN;
    case TRAILER: return in_other(c, byte, TRAILER_TEXT, LAST_LF);
    case TRAILER_TEXT: return in_other(c, byte, TRAILER_TEXT, TRAILER_LF);
    case TRAILER_LF: return byte == '\n' ? TRAILER : BROKEN;
    case LAST_LF: return byte == '\n' ? OVER : BROKEN;
    default: return BROKEN;
    }
}

enum memo__http_progress memo__http_chunks_feed(struct memo__http_chunks *c, const char *in, size_t n, size_t *used, char *out, size_t *made)
{
    size_t at = 0;
    *made = 0;
    while (at < n && c->state != OVER && c->state != BROKEN) {
        if (c->state != DATA) {
            c->state = step(c, in[at++]);
            continue;
        }
        size_t part = n - at < c->left ? n - at : (size_t)c->left;
        memmove(out + *made, in + at, part);
        *made += part;
        at += part;
        c->left -= part;
        if (!c->left)
            c->state = DATA_CR;
    }
    *used = at;
    return c->state == OVER ? MEMO__CHUNKS_DONE : c->state == BROKEN ? MEMO__CHUNKS_BAD : MEMO__CHUNKS_MORE;
}

/* ---- names of statuses ---- */

const char *memo__http_reason(int status)
{
    static const struct { int status; const char *reason; } names[] = {
        { 100, "Continue" }, { 200, "OK" }, { 201, "Created" }, { 202, "Accepted" }, { 204, "No Content" }, { 301, "Moved Permanently" }, { 302, "Found" },
        { 304, "Not Modified" }, { 400, "Bad Request" }, { 401, "Unauthorized" }, { 403, "Forbidden" }, { 404, "Not Found" }, { 405, "Method Not Allowed" },
        { 408, "Request Timeout" }, { 409, "Conflict" }, { 413, "Content Too Large" }, { 415, "Unsupported Media Type" }, { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" }, { 500, "Internal Server Error" }, { 501, "Not Implemented" }, { 502, "Bad Gateway" },
        { 503, "Service Unavailable" }, { 504, "Gateway Timeout" }, { 505, "HTTP Version Not Supported" },
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].status == status)
            return names[i].reason;
    return "";
}
