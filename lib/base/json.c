/* SPDX-License-Identifier: Apache-2.0 */
/* json.c: one pass by recursive descent, at most 64 deep, over our copy of the text.
 *
 *   copy    { " k e y " : " a \ n b " }          a string is decoded where it stands (it never grows) and ended by NUL where its quote was
 *   nodes   [object count 1][text "a\nb"]         in document order; next leads over the children
 *
 * Offsets into the copy and into the caller's text are the same, so that places can be told from the caller's text, lines and all. */
#define _GNU_SOURCE
#include "base/json.h"
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include "base/status.h"

struct parser {
    struct memo__json *j;
    char *text;            /* our copy, ended by NUL: looking one byte ahead is always allowed */
    uint32_t at, end, depth;
    bool comments, doubles;
    memo_status status;
    memo_error *error;
};

static bool value(struct parser *p, uint32_t *index);

void memo__json_where(const struct memo__json *j, uint32_t at, int32_t *line, int32_t *column)
{
    *line = 1;
    *column = 1;
    for (uint32_t i = 0; i < at && i < j->raw.n; i++) {
        (*column)++;
        if (j->raw.at[i] == '\n') {
            (*line)++;
            *column = 1;
        }
    }
}

static bool wrong(struct parser *p, uint32_t at, const char *what)
{
    int32_t line, column;
    memo__json_where(p->j, at, &line, &column);
    p->status = memo__fail_at(p->error, MEMO_E_PROTOCOL, NULL, line, column, NULL, "%s", what);
    return false;
}

static bool no_memory(struct parser *p)
{
    p->status = memo__fail(p->error, MEMO_E_NO_MEMORY, "no memory for a JSON document of %zu bytes", p->j->raw.n);
    return false;
}

static bool skip_comment(struct parser *p)
{
    uint32_t from = p->at;
    if (!p->comments)
        return wrong(p, from, "a comment is not allowed here");
    if (p->text[p->at + 1] == '/') {
        while (p->at < p->end && p->text[p->at] != '\n')
            p->at++;
        return true;
    }
    for (p->at += 2; p->at < p->end; p->at++)
        if (p->text[p->at] == '*' && p->text[p->at + 1] == '/') {
            p->at += 2;
            return true;
        }
    return wrong(p, from, "this comment is not closed");
}

static bool blanks(struct parser *p)
{
    for (;;) {
        char c = p->text[p->at];
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
            p->at++;
        else if (c == '/' && (p->text[p->at + 1] == '/' || p->text[p->at + 1] == '*')) {
            if (!skip_comment(p))
                return false;
        } else
            return true;
    }
}

static bool new_node(struct parser *p, uint32_t *index)
{
    struct memo__json *j = p->j;
    if (j->count == MEMO__JSON_NODES_MAX)
        return wrong(p, p->at, "too many values in one document");
    if (j->count == j->room) {
        uint32_t room = j->room * 2;
        struct memo__json_node *nodes = memo__resize(&j->alloc, j->nodes, room * sizeof *nodes);
        if (!nodes)
            return no_memory(p);
        j->nodes = nodes;
        j->room = room;
    }
    *index = j->count++;
    j->nodes[*index] = (struct memo__json_node){ .at = p->at };
    return true;
}

static int hex4(const char *s)
{
    int code = 0;
    for (int i = 0; i < 4; i++) {
        int digit = memo__hex_digit(s[i]);
        if (digit < 0) /* the NUL at the end of the text too: nothing behind it is read */
            return -1;
        code = code * 16 + digit;
    }
    return code;
}

static uint32_t put_utf8(char *to, uint32_t code)
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (char)(0xc0 | code >> 6);
        to[1] = (char)(0x80 | (code & 63));
        return 2;
    }
    if (code < 0x10000) {
        to[0] = (char)(0xe0 | code >> 12);
        to[1] = (char)(0x80 | (code >> 6 & 63));
        to[2] = (char)(0x80 | (code & 63));
        return 3;
    }
    to[0] = (char)(0xf0 | code >> 18);
    to[1] = (char)(0x80 | (code >> 12 & 63));
    to[2] = (char)(0x80 | (code >> 6 & 63));
    to[3] = (char)(0x80 | (code & 63));
    return 4;
}

/* At the u of \uXXXX: at most 6 bytes become at most 3, and 12 become 4. */
static bool unicode_escape(struct parser *p, uint32_t *to)
{
    int high = hex4(p->text + p->at + 1), low;
    uint32_t code = (uint32_t)high;
    if (high < 0)
        return wrong(p, p->at, "\\u needs four hexadecimal digits");
    if (high == 0)
        return wrong(p, p->at, "the character U+0000 is not accepted");
    p->at += 5;
    if (high >= 0xd800 && high <= 0xdfff) {
        low = high < 0xdc00 && p->text[p->at] == '\\' && p->text[p->at + 1] == 'u' ? hex4(p->text + p->at + 2) : -1;
        if (low < 0xdc00 || low > 0xdfff)
            return wrong(p, p->at - 5, "half of a surrogate pair");
        code = 0x10000 + ((uint32_t)high - 0xd800) * 1024 + ((uint32_t)low - 0xdc00);
        p->at += 6;
    }
    *to += put_utf8(p->text + *to, code);
    return true;
}

static bool escape(struct parser *p, uint32_t *to)
{
    static const char names[] = "\"\\/bfnrt", chars[] = "\"\\/\b\f\n\r\t";
    const char *name;
    p->at++;
    if (p->text[p->at] == 'u')
        return unicode_escape(p, to);
    name = p->text[p->at] ? strchr(names, p->text[p->at]) : NULL;
    if (!name)
        return wrong(p, p->at, "no such escape: \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\uXXXX exist");
    p->text[(*to)++] = chars[name - names];
    p->at++;
    return true;
}

/* At the opening quote; leaves behind the closing one. */
static bool string(struct parser *p, uint32_t *from, uint32_t *bytes)
{
    uint32_t open = p->at++, to = p->at;
    *from = to;
    for (;;) {
        unsigned char c = (unsigned char)p->text[p->at];
        if (c == '"')
            break;
        if (c == '\\') {
            if (!escape(p, &to))
                return false;
        } else if (c == '\n' || p->at >= p->end) {
            return wrong(p, open, "this string is not closed on its line");
        } else if (c < 0x20) {
            return wrong(p, p->at, "a raw control character in a string: write it as an escape");
        } else {
            p->text[to++] = p->text[p->at++];
        }
    }
    p->text[to] = '\0';
    *bytes = to - *from;
    p->at++;
    return true;
}

static bool digits(struct parser *p)
{
    uint32_t from = p->at;
    while (p->text[p->at] >= '0' && p->text[p->at] <= '9')
        p->at++;
    return p->at > from;
}

static bool number(struct parser *p, struct memo__json_node *n)
{
    uint32_t from = p->at;
    n->type = MEMO__JSON_NUMBER;
    if (p->text[p->at] == '-')
        p->at++;
    if (p->text[p->at] == '0') {
        p->at++;
        if (p->text[p->at] >= '0' && p->text[p->at] <= '9')
            return wrong(p, from, "a number must not begin with 0");
    } else if (!digits(p))
        return wrong(p, from, "a number needs digits");
    if (p->text[p->at] == '.') {
        p->at++;
        if (!digits(p))
            return wrong(p, from, "a number needs digits behind its point");
    }
    if (p->text[p->at] == 'e' || p->text[p->at] == 'E') {
        p->at++;
        if (p->text[p->at] == '+' || p->text[p->at] == '-')
            p->at++;
        if (!digits(p))
            return wrong(p, from, "a number needs digits behind its e");
    }
    n->text = from;
    n->bytes = p->at - from;
    return true;
}

static bool word(struct parser *p, struct memo__json_node *n)
{
    static const struct { const char *word; uint32_t bytes; uint8_t type; bool truth; } words[] = {
        { "true", 4, MEMO__JSON_BOOL, true }, { "false", 5, MEMO__JSON_BOOL, false }, { "null", 4, MEMO__JSON_NULL, false },
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strncmp(p->text + p->at, words[i].word, words[i].bytes) == 0) {
            n->type = words[i].type;
            n->truth = words[i].truth;
            p->at += words[i].bytes;
            return true;
        }
    return wrong(p, p->at, p->at >= p->end ? "the document ends here, a value is missing" : "not a value: strings need double quotes, and true, false and null exist");
}

static int by_key(const struct memo__json *j, uint32_t x, uint32_t y)
{
    struct memo__text a = memo__json_key(j, &j->nodes[x]), b = memo__json_key(j, &j->nodes[y]);
    int c = memcmp(a.at, b.at, a.n < b.n ? a.n : b.n);
    if (c == 0)
        c = (a.n > b.n) - (a.n < b.n);
    return c ? c : (x > y) - (x < y);
}

static void sift(const struct memo__json *j, uint32_t *order, uint32_t root, uint32_t count)
{
    uint32_t moving = order[root];
    for (uint32_t child; (child = root * 2 + 1) < count; root = child) {
        if (child + 1 < count && by_key(j, order[child + 1], order[child]) > 0)
            child++;
        if (by_key(j, order[child], moving) <= 0)
            break;
        order[root] = order[child];
    }
    order[root] = moving;
}

static void heap_sort(const struct memo__json *j, uint32_t *order, uint32_t count)
{
    for (uint32_t i = count / 2; i-- > 0;)
        sift(j, order, i, count);
    for (uint32_t i = count; i-- > 1;) {
        uint32_t last = order[i];
        order[i] = order[0];
        order[0] = last;
        sift(j, order, 0, i);
    }
}

/* Sorting, not hashing: n log n for whatever an attacker writes, and no secret needed. */
static bool find_doubles(struct parser *p, uint32_t object)
{
    struct memo__json *j = p->j;
    uint32_t count = j->nodes[object].count, small[32], filled = 0, first = 0, *order = small;
    if (count < 2)
        return true;
    if (count > sizeof small / sizeof *small && !(order = memo__get_array(&j->alloc, count, sizeof *order)))
        return no_memory(p);
    for (uint32_t i = object + 1; i; i = j->nodes[i].next)
        order[filled++] = i;
    heap_sort(j, order, filled);
    for (uint32_t i = 1; i < filled; i++) {
        struct memo__json_node *n = &j->nodes[order[i]];
        n->again = memo__text_same(memo__json_key(j, n), memo__json_key(j, &j->nodes[order[i - 1]]));
        if (n->again && (!first || order[i] < first))
            first = order[i];
    }
    if (order != small)
        memo__drop(&j->alloc, order);
    return p->doubles || !first || wrong(p, j->nodes[first].key_at, "this key is given twice");
}

/* After a child: a comma and more, or the closing bracket. */
static bool more(struct parser *p, char close, bool *again)
{
    if (!blanks(p))
        return false;
    *again = p->text[p->at] == ',';
    if (!*again && p->text[p->at] != close)
        return wrong(p, p->at, p->at >= p->end ? "the document ends here, a bracket is not closed" : close == '}' ? "',' or '}' expected" : "',' or ']' expected");
    p->at++;
    if (!blanks(p))
        return false;
    return !*again || p->text[p->at] != close || wrong(p, p->at, "a comma before a closing bracket is not allowed");
}

static bool member(struct parser *p, uint32_t *child)
{
    uint32_t key_at = p->at, key, bytes;
    if (p->text[p->at] != '"')
        return wrong(p, p->at, "a key in double quotes expected");
    if (!string(p, &key, &bytes) || !blanks(p))
        return false;
    if (p->text[p->at] != ':')
        return wrong(p, p->at, "':' expected behind the key");
    p->at++;
    if (!value(p, child))
        return false;
    p->j->nodes[*child].key_at = key_at;
    p->j->nodes[*child].key = key;
    p->j->nodes[*child].key_bytes = bytes;
    return true;
}

static bool children(struct parser *p, uint32_t parent, bool object)
{
    uint32_t previous = 0, child;
    bool again = true;
    char close = object ? '}' : ']';
    if (++p->depth > MEMO__JSON_DEPTH_MAX)
        return wrong(p, p->at, "nested deeper than 64 levels");
    p->at++;
    if (!blanks(p))
        return false;
    if (p->text[p->at] == close) {
        p->at++;
        again = false;
    }
    while (again) {
        if (!(object ? member(p, &child) : value(p, &child)))
            return false;
        if (previous)
            p->j->nodes[previous].next = child;
        previous = child;
        p->j->nodes[parent].count++;
        if (!more(p, close, &again))
            return false;
    }
    p->depth--;
    return !object || find_doubles(p, parent);
}

static bool value(struct parser *p, uint32_t *index)
{
    struct memo__json_node *n;
    if (!blanks(p) || !new_node(p, index))
        return false;
    n = &p->j->nodes[*index];
    switch (p->text[p->at]) {
    case '{':
        n->type = MEMO__JSON_OBJECT;
        return children(p, *index, true);
    case '[':
        n->type = MEMO__JSON_ARRAY;
        return children(p, *index, false);
    case '"':
        n->type = MEMO__JSON_TEXT;
        return string(p, &n->text, &n->bytes);
    case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
        return number(p, n);
    default:
        return word(p, n);
    }
}

static bool document(struct parser *p)
{
    struct memo__text raw = p->j->raw;
    uint32_t root;
    const char *nul = raw.n ? memchr(raw.at, '\0', raw.n) : NULL;
    size_t good = memo__utf8_good(raw);
    if (nul && (size_t)(nul - raw.at) < good)
        return wrong(p, (uint32_t)(nul - raw.at), "a NUL byte");
    if (good < raw.n)
        return wrong(p, (uint32_t)good, "not UTF-8");
    if (raw.n >= 3 && memcmp(raw.at, "\xef\xbb\xbf", 3) == 0)
        p->at = 3; /* a byte order mark, which some editors write */
    if (!value(p, &root) || !blanks(p))
        return false;
    return p->at == p->end || wrong(p, p->at, "something follows the end of the document");
}

memo_status memo__json_parse(const struct memo__alloc *a, struct memo__text text, const struct memo__json_options *o, struct memo__json **out, memo_error *e)
{
    struct parser p = { .error = e, .comments = o && o->comments, .doubles = o && o->doubles };
    size_t most = o && o->bytes_max && o->bytes_max < MEMO__JSON_BYTES_MAX ? o->bytes_max : MEMO__JSON_BYTES_MAX;

    *out = NULL;
    if (text.n > most)
        return memo__fail_at(e, MEMO_E_PROTOCOL, NULL, 0, 0, NULL, "%zu bytes of JSON, at most %zu are read", text.n, most);
    p.j = memo__get(a, sizeof *p.j);
    if (!p.j)
        return memo__fail(e, MEMO_E_NO_MEMORY, "no memory for a JSON document");
    p.j->alloc = *a;
    p.j->raw = text;
    p.j->room = 32;
    p.j->nodes = memo__get_array(a, p.j->room, sizeof *p.j->nodes);
    p.j->text = p.text = memo__copy_text(a, text.at, text.n);
    p.end = (uint32_t)text.n;
    if (!p.j->nodes || !p.text)
        no_memory(&p);
    else if (document(&p)) {
        *out = p.j;
        return MEMO_OK;
    }
    memo__json_free(p.j);
    return p.status;
}

void memo__json_free(struct memo__json *j)
{
    if (!j)
        return;
    struct memo__alloc a = j->alloc;
    memo__drop(&a, j->nodes);
    memo__drop(&a, j->text);
    memo__drop(&a, j);
}

const struct memo__json_node *memo__json_find(const struct memo__json *j, const struct memo__json_node *object, const char *key)
{
    if (!object || object->type != MEMO__JSON_OBJECT)
        return NULL;
    for (const struct memo__json_node *n = memo__json_first(j, object); n; n = memo__json_next(j, n))
        if (memo__text_is(memo__json_key(j, n), key))
            return n;
    return NULL;
}

bool memo__json_uint(const struct memo__json *j, const struct memo__json_node *n, uint64_t *out)
{
    return n && n->type == MEMO__JSON_NUMBER && memo__parse_u64(memo__json_text(j, n), UINT64_MAX, out);
}

bool memo__json_int(const struct memo__json *j, const struct memo__json_node *n, int64_t *out)
{
    struct memo__text t;
    uint64_t size;
    bool negative;
    if (!n || n->type != MEMO__JSON_NUMBER)
        return false;
    t = memo__json_text(j, n);
    negative = t.at[0] == '-';
    if (negative)
        t.at++, t.n--;
    if (!memo__parse_u64(t, (uint64_t)INT64_MAX + negative, &size))
        return false;
    *out = negative ? (int64_t)(0 - size) : (int64_t)size;
    return true;
}

bool memo__json_double(const struct memo__json *j, const struct memo__json_node *n, double *out)
{
    char digits_z[400]; /* longer numbers are not honest */
    locale_t c;
    if (!n || n->type != MEMO__JSON_NUMBER || !memo__text_copy(digits_z, sizeof digits_z, memo__json_text(j, n)))
        return false;
    c = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* a constant inside glibc: nothing is allocated */
    if (c == (locale_t)0)
        return false;
    *out = strtod_l(digits_z, NULL, c);
    freelocale(c);
    return *out <= 1.7976931348623157e308 && *out >= -1.7976931348623157e308;
}

void memo__json_begin(struct memo__json_out *o, struct memo__writer *w)
{
    *o = (struct memo__json_out){ .w = w };
}

static void before(struct memo__json_out *o, const char *key)
{
    uint64_t bit = UINT64_C(1) << (o->depth & 63);
    if (o->filled & bit)
        memo__put(o->w, ",", 1);
    o->filled |= bit;
    if (key) {
        memo__put_json(o->w, memo__text_of(key));
        memo__put(o->w, ":", 1);
    }
}

void memo__json_open(struct memo__json_out *o, const char *key, char bracket)
{
    before(o, key);
    memo__put(o->w, &bracket, 1);
    o->depth++;
    uint64_t bit = UINT64_C(1) << (o->depth & 63);
    o->filled &= ~bit;
    o->array = bracket == '[' ? o->array | bit : o->array & ~bit;
}

void memo__json_close(struct memo__json_out *o)
{
    memo__put(o->w, o->array & UINT64_C(1) << (o->depth & 63) ? "]" : "}", 1);
    o->depth--;
}

void memo__json_put_text(struct memo__json_out *o, const char *key, struct memo__text value)
{
    before(o, key);
    memo__put_json(o->w, value);
}

void memo__json_put_raw(struct memo__json_out *o, const char *key, const char *json)
{
    before(o, key);
    memo__put_text(o->w, json);
}

void memo__json_put_z(struct memo__json_out *o, const char *key, const char *value)
{
    if (value)
        memo__json_put_text(o, key, memo__text_of(value));
    else
        memo__json_put_null(o, key);
}

void memo__json_put_int(struct memo__json_out *o, const char *key, int64_t value)
{
    before(o, key);
    memo__put_format(o->w, "%lld", (long long)value);
}

void memo__json_put_uint(struct memo__json_out *o, const char *key, uint64_t value)
{
    before(o, key);
    memo__put_format(o->w, "%llu", (unsigned long long)value);
}

void memo__json_put_bool(struct memo__json_out *o, const char *key, bool value) { memo__json_put_raw(o, key, value ? "true" : "false"); }
void memo__json_put_null(struct memo__json_out *o, const char *key) { memo__json_put_raw(o, key, "null"); }
