/* SPDX-License-Identifier: Apache-2.0 */
/* config_read.c: what one source says, as a part: JSON (comments allowed), .properties as Java reads them, and the environment.
 *
 *   JSON: an iterative walk of the flat tree; the key so far is one buffer, in which a level only remembers its length.
 *   .properties: logical lines (a backslash at the end joins), then key, '=' or ':' or blanks, value; escapes \t \n \r \f \uXXXX.
 *   environment: PREFIX_DB_URL -> db.url; PREFIX_DB_MAX__AGE -> db.max_age */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/status.h"
#include "model/config.h"

/* ---- building a part ---- */

struct place { const char *file; memo_error *e; };

static memo_status no_memory(const struct place *at)
{
    return memo__fail_at(at->e, MEMO_E_NO_MEMORY, at->file, 0, 0, NULL, "no memory for the configuration");
}

static bool grow(const struct memo__alloc *a, void **block, uint32_t *room, uint64_t need, size_t one)
{
    if (need <= *room)
        return true;
    uint64_t more = *room ? (uint64_t)*room * 2 : 64;
    while (more < need)
        more *= 2;
    void *moved = memo__resize(a, *block, (size_t)more * one);
    if (!moved)
        return false;
    *block = moved;
    *room = (uint32_t)more;
    return true;
}

static bool put(struct memo__config_part *p, const char *bytes, size_t n, uint32_t *at)
{
    void *block = p->text;
    bool fits = grow(&p->alloc, &block, &p->text_room, (uint64_t)p->text_used + n + 1, 1);
    p->text = block;
    if (!fits)
        return false;
    *at = p->text_used;
    if (n)
        memcpy(p->text + p->text_used, bytes, n);
    p->text[p->text_used + n] = '\0';
    p->text_used += (uint32_t)n + 1;
    return true;
}

static struct memo__config_part *part_new(const struct memo__alloc *a)
{
    uint32_t nothing;
    struct memo__config_part *p = memo__get(a, sizeof *p);
    if (!p)
        return NULL;
    p->alloc = *a;
    if (put(p, "", 0, &nothing))
        return p;
    memo__config_part_free(p);
    return NULL;
}

void memo__config_part_free(struct memo__config_part *p)
{
    if (!p)
        return;
    struct memo__alloc a = p->alloc;
    memo__drop(&a, p->items);
    memo__drop(&a, p->text);
    memo__drop(&a, p);
}

/* Segments of at least one byte, no blanks or control characters: what can be written on a command line and looked up again. */
static const char *wrong_key(struct memo__text key)
{
    if (!key.n)
        return "a key is empty";
    if (key.n >= MEMO__CONFIG_KEY_MAX)
        return "a key is longer than 255 bytes";
    for (size_t i = 0; i < key.n; i++) {
        if ((unsigned char)key.at[i] <= ' ' || key.at[i] == 0x7f)
            return "a key has a blank or a control character";
        if (key.at[i] == '.' && (i == 0 || i + 1 == key.n || key.at[i + 1] == '.'))
            return "a key has an empty part between its dots";
    }
    return memo__utf8_valid(key) ? NULL : "a key is not UTF-8";
}

static memo_status add(struct memo__config_part *p, const struct place *at, struct memo__text key, struct memo__text value, int32_t line,
                       int32_t column, enum memo__config_kind kind)
{
    char shown[MEMO__CONFIG_KEY_MAX];
    const char *why = wrong_key(key);
    void *items = p->items;
    if (!why && kind == MEMO__CONFIG_VALUE && !memo__utf8_valid(value))
        why = "a value is not UTF-8";
    if (!why && p->count >= MEMO__CONFIG_KEYS_MAX)
        why = "more than 65536 values";
    if (why) {
        (void)memo__text_copy(shown, sizeof shown, key);
        memo__utf8_mend(shown);
        return memo__fail_at(at->e, MEMO_E_SETTING, at->file, line, column, shown, "%s", why);
    }
    bool fits = grow(&p->alloc, &items, &p->room, (uint64_t)p->count + 1, sizeof *p->items);
    p->items = items;
    if (!fits)
        return no_memory(at);
    struct memo__config_item *i = &p->items[p->count];
    *i = (struct memo__config_item){ .key_bytes = (uint32_t)key.n, .value_bytes = (uint32_t)value.n, .line = line, .kind = (uint8_t)kind };
    if (!put(p, key.at, key.n, &i->key) || !put(p, value.at, value.n, &i->value))
        return no_memory(at);
    p->count++;
    return MEMO_OK;
}

/* qsort has no argument for a context: keys are found from their part's text, so the sort is over pointers to it. */
struct sorted { struct memo__text key; struct memo__config_item item; };

static int by_key(const void *left, const void *right)
{
    const struct sorted *a = left, *b = right;
    int order = memo__config_order(a->key, b->key);
    return order ? order : (a->item.line > b->item.line) - (a->item.line < b->item.line);
}

/* Sorted, and each key once. */
static memo_status part_end(struct memo__config_part *p, const struct place *at)
{
    struct sorted *all = p->count ? memo__get_array(&p->alloc, p->count, sizeof *all) : NULL;
    memo_status s = MEMO_OK;
    if (p->count && !all)
        return no_memory(at);
    for (uint32_t i = 0; i < p->count; i++)
        all[i] = (struct sorted){ { p->text + p->items[i].key, p->items[i].key_bytes }, p->items[i] };
    if (p->count)
        qsort(all, p->count, sizeof *all, by_key);
    for (uint32_t i = 0; i < p->count && s == MEMO_OK; i++) {
        p->items[i] = all[i].item;
        if (i && memo__text_same(all[i].key, all[i - 1].key))
            s = memo__fail_at(at->e, MEMO_E_SETTING, at->file, all[i].item.line, 0, all[i].key.at,
                              all[i].item.line ? "this key is given twice: in line %d, too" : "this key is given twice",
                              (int)all[i - 1].item.line);
    }
    memo__drop(&p->alloc, all);
    return s;
}

/* ---- JSON ---- */

struct walk {
    const struct memo__json *j;
    struct memo__config_part *part;
    const struct place *at;
    char key[MEMO__CONFIG_KEY_MAX + 1];
    size_t bytes;
    uint32_t seen, line_from; /* the walk goes through the document in order, and so does the count of its lines */
    int32_t line;
};

static int32_t column_at(struct walk *w, uint32_t offset)
{
    for (; w->seen < offset; w->seen++)
        if (w->j->raw.at[w->seen] == '\n') {
            w->line++;
            w->line_from = w->seen + 1;
        }
    return (int32_t)(offset - w->line_from) + 1;
}

static memo_status key_too_long(struct walk *w, uint32_t offset)
{
    int32_t column = column_at(w, offset), line = w->line;
    return memo__fail_at(w->at->e, MEMO_E_SETTING, w->at->file, line, column, w->key, "a key is longer than %u bytes", MEMO__CONFIG_KEY_MAX - 1);
}

static bool key_push(struct walk *w, struct memo__text part)
{
    size_t dot = w->bytes > 0;
    if (w->bytes + dot + part.n >= MEMO__CONFIG_KEY_MAX)
        return false;
    if (dot)
        w->key[w->bytes] = '.';
    memcpy(w->key + w->bytes + dot, part.at, part.n);
    w->bytes += dot + part.n;
    w->key[w->bytes] = '\0';
    return true;
}

static memo_status put_node(struct walk *w, const struct memo__json_node *n)
{
    int32_t column = column_at(w, n->at);
    enum memo__config_kind kind = n->type == MEMO__JSON_NULL ? MEMO__CONFIG_NULL : n->type == MEMO__JSON_ARRAY ? MEMO__CONFIG_LIST
        : MEMO__CONFIG_VALUE;
    struct memo__text value = { "", 0 };
    if (n->type == MEMO__JSON_BOOL)
        value = n->truth ? MEMO__TEXT("true") : MEMO__TEXT("false");
    else if (kind == MEMO__CONFIG_VALUE)
        value = memo__json_text(w->j, n);
    return add(w->part, w->at, (struct memo__text){ w->key, w->bytes }, value, w->line, column, kind);
}

/* As deep as the parser lets a document be. */
static memo_status walk(struct walk *w, const struct memo__json_node *parent)
{
    size_t before = w->bytes;
    uint32_t index = 0;
    memo_status s = MEMO_OK;
    for (const struct memo__json_node *n = memo__json_first(w->j, parent); n && s == MEMO_OK; n = memo__json_next(w->j, n), index++) {
        char digits[16];
        bool member = parent->type == MEMO__JSON_OBJECT;
        (void)snprintf(digits, sizeof digits, "%u", index);
        struct memo__text name = member ? memo__json_key(w->j, n) : memo__text_of(digits);
        if (member && !name.n) {
            int32_t column = column_at(w, n->key_at);
            s = add(w->part, w->at, name, name, w->line, column, MEMO__CONFIG_VALUE); /* says what is wrong with it */
        } else if (!key_push(w, name))
            s = key_too_long(w, member ? n->key_at : n->at);
        else {
            if (n->type != MEMO__JSON_OBJECT)
                s = put_node(w, n);
            if (s == MEMO_OK && (n->type == MEMO__JSON_OBJECT || n->type == MEMO__JSON_ARRAY))
                s = walk(w, n);
        }
        w->bytes = before;
        w->key[before] = '\0';
    }
    return s;
}

static memo_status read_json(struct memo__config_part *p, struct memo__text text, const struct place *at)
{
    static const struct memo__json_options options = { .comments = true, .bytes_max = MEMO__CONFIG_BYTES_MAX };
    struct memo__json *j;
    memo_error wrong = MEMO_INIT(memo_error);
    memo_status s = memo__json_parse(&p->alloc, text, &options, &j, &wrong);
    if (s == MEMO_E_NO_MEMORY)
        return no_memory(at);
    if (s != MEMO_OK)
        return memo__fail_at(at->e, MEMO_E_SETTING, at->file, wrong.line, wrong.column, NULL, "not JSON: %s", wrong.message);
    struct walk w = { .j = j, .part = p, .at = at, .line = 1 };
    const struct memo__json_node *root = memo__json_root(j);
    if (root->type == MEMO__JSON_OBJECT)
        s = walk(&w, root);
    else
        s = memo__fail_at(at->e, MEMO_E_SETTING, at->file, 1, 1, NULL, "an object is needed: { \"key\": \"value\" }");
    memo__json_free(j);
    return s;
}

/* ---- .properties ---- */

struct lines { struct memo__text left; int32_t line; char *buffer; size_t used; };

static bool blank(char c) { return c == ' ' || c == '\t' || c == '\f'; }

/* Appends the next natural line to the logical one; true: it ends with a backslash that stands for itself alone, so the next belongs to it. */
static bool take_line(struct lines *l)
{
    size_t n = 0, slashes = 0;
    while (l->left.n && blank(l->left.at[0]))
        l->left.at++, l->left.n--;
    while (n < l->left.n && l->left.at[n] != '\n' && l->left.at[n] != '\r')
        n++;
    memcpy(l->buffer + l->used, l->left.at, n);
    l->used += n;
    size_t end = n + (n < l->left.n);
    if (n + 1 < l->left.n && l->left.at[n] == '\r' && l->left.at[n + 1] == '\n')
        end++;
    l->left.at += end;
    l->left.n -= end;
    l->line++;
    while (slashes < n && l->buffer[l->used - 1 - slashes] == '\\')
        slashes++;
    if (slashes % 2 == 0)
        return false;
    l->used--;
    return true;
}

static int hex4(const char *at)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = memo__hex_digit(at[i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static size_t utf8(uint32_t c, char *to)
{
    if (c < 0x80)
        return to[0] = (char)c, 1;
    if (c < 0x800)
        return to[0] = (char)(0xc0 | c >> 6), to[1] = (char)(0x80 | (c & 0x3f)), 2;
    if (c < 0x10000)
        return to[0] = (char)(0xe0 | c >> 12), to[1] = (char)(0x80 | (c >> 6 & 0x3f)), to[2] = (char)(0x80 | (c & 0x3f)), 3;
    to[0] = (char)(0xf0 | c >> 18), to[1] = (char)(0x80 | (c >> 12 & 0x3f)), to[2] = (char)(0x80 | (c >> 6 & 0x3f));
    return to[3] = (char)(0x80 | (c & 0x3f)), 4;
}

/* \uXXXX, and a pair of surrogates as one character. at: behind the u. How many bytes were read; 0: not one. */
static size_t unicode(const char *at, size_t n, uint32_t *c)
{
    int high = n >= 4 ? hex4(at) : -1;
    if (high <= 0 || (high >= 0xdc00 && high < 0xe000))
        return 0;
    *c = (uint32_t)high;
    if (high < 0xd800 || high >= 0xe000)
        return 4;
    int low = n >= 10 && at[4] == '\\' && at[5] == 'u' ? hex4(at + 6) : -1;
    if (low < 0xdc00 || low >= 0xe000)
        return 0;
    *c = 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
    return 10;
}

/* In place; never longer. False: a \u that is none. */
static bool unescape(char *text, size_t *n)
{
    size_t to = 0;
    for (size_t i = 0; i < *n; i++) {
        uint32_t c;
        size_t used;
        if (text[i] != '\\' || i + 1 == *n) {
            text[to++] = text[i];
            continue;
        }
        switch (text[++i]) {
        case 't': text[to++] = '\t'; break;
        case 'n': text[to++] = '\n'; break;
        case 'r': text[to++] = '\r'; break;
        case 'f': text[to++] = '\f'; break;
        case 'u':
            if (!(used = unicode(text + i + 1, *n - i - 1, &c)))
                return false;
            to += utf8(c, text + to);
            i += used;
            break;
        default: text[to++] = text[i]; break;
        }
    }
    *n = to;
    return true;
}

/* Splits the logical line: key, one '=' or ':' with blanks around it, or blanks alone, value. */
static memo_status put_line(struct memo__config_part *p, char *line, size_t n, int32_t number, const struct place *at)
{
    size_t key = 0, value;
    while (key < n && line[key] != '=' && line[key] != ':' && !blank(line[key]))
        key += line[key] == '\\' && key + 1 < n ? 2 : 1;
    value = key;
    while (value < n && blank(line[value]))
        value++;
    if (value < n && (line[value] == '=' || line[value] == ':'))
        value++;
    while (value < n && blank(line[value]))
        value++;
    size_t bytes = n - value;
    if (!unescape(line, &key) || !unescape(line + value, &bytes))
        return memo__fail_at(at->e, MEMO_E_SETTING, at->file, number, 0, NULL, "\\u needs four hexadecimal digits of a character");
    if (memchr(line, '\0', key) || memchr(line + value, '\0', bytes))
        return memo__fail_at(at->e, MEMO_E_SETTING, at->file, number, 0, NULL, "a NUL in the text");
    return add(p, at, (struct memo__text){ line, key }, (struct memo__text){ line + value, bytes }, number, 0, MEMO__CONFIG_VALUE);
}

static memo_status read_properties(struct memo__config_part *p, struct memo__text text, const struct place *at)
{
    struct lines l = { .left = text, .line = 1, .buffer = memo__get(&p->alloc, text.n + 1) };
    memo_status s = l.buffer ? MEMO_OK : no_memory(at);
    while (s == MEMO_OK && l.left.n) {
        int32_t number = l.line;
        l.used = 0;
        bool more = take_line(&l);
        if (l.used && (l.buffer[0] == '#' || l.buffer[0] == '!'))
            continue; /* a comment has no second line, whatever it ends with */
        while (more && l.left.n)
            more = take_line(&l);
        if (l.used)
            s = put_line(p, l.buffer, l.used, number, at);
    }
    memo__drop(&p->alloc, l.buffer);
    return s;
}

/* ---- documents ---- */

enum memo__config_format memo__config_format_of(const char *path)
{
    size_t n = strcspn(path, "?#");
    const struct memo__text end = MEMO__TEXT(".properties");
    return n >= end.n && memcmp(path + n - end.n, end.at, end.n) == 0 ? MEMO__CONFIG_PROPERTIES : MEMO__CONFIG_JSON;
}

static bool says_nothing(struct memo__text t)
{
    while (t.n && (blank(t.at[0]) || t.at[0] == '\n' || t.at[0] == '\r'))
        t.at++, t.n--;
    return !t.n;
}

memo_status memo__config_parse(const struct memo__alloc *a, enum memo__config_format format, struct memo__text text, const char *file,
                               struct memo__config_part **out, memo_error *e)
{
    const struct place at = { file, e };
    *out = NULL;
    if (text.n > MEMO__CONFIG_BYTES_MAX)
        return memo__fail_at(e, MEMO_E_SETTING, file, 0, 0, NULL, "%zu bytes, at most %u are read", text.n, MEMO__CONFIG_BYTES_MAX);
    if (says_nothing(text))
        return memo__fail_at(e, MEMO_E_SETTING, file, 1, 1, NULL, "the document is empty: one that says nothing reads %s",
                             format == MEMO__CONFIG_JSON ? "{}" : "#");
    struct memo__config_part *p = part_new(a);
    memo_status s = p ? MEMO_OK : no_memory(&at);
    if (s == MEMO_OK)
        s = format == MEMO__CONFIG_JSON ? read_json(p, text, &at) : read_properties(p, text, &at);
    if (s == MEMO_OK)
        s = part_end(p, &at);
    if (s == MEMO_OK)
        *out = p;
    else
        memo__config_part_free(p);
    return s;
}

/* ---- the environment ---- */

/* DB_MAX__AGE -> db.max_age. 0: no key. */
static size_t key_of_variable(struct memo__text name, char key[MEMO__CONFIG_KEY_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.at[i];
        if (n + 1 >= MEMO__CONFIG_KEY_MAX)
            return 0;
        if (c == '_' && i + 1 < name.n && name.at[i + 1] == '_')
            i++;
        else if (c == '_')
            c = '.';
        key[n++] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    return wrong_key((struct memo__text){ key, n }) ? 0 : n;
}

static memo_status put_variable(struct memo__config_part *p, struct memo__text name, size_t prefix, const char *value)
{
    char key[MEMO__CONFIG_KEY_MAX], origin[MEMO__CONFIG_KEY_MAX + 16];
    const struct place nowhere = { NULL, NULL };
    size_t n = key_of_variable((struct memo__text){ name.at + prefix, name.n - prefix }, key);
    if (!n || name.n >= MEMO__CONFIG_KEY_MAX || !memo__utf8_valid(memo__text_of(value)))
        return MEMO_E_SETTING;
    memo_status s = add(p, &nowhere, (struct memo__text){ key, n }, memo__text_of(value), 0, 0, MEMO__CONFIG_VALUE);
    int bytes = snprintf(origin, sizeof origin, "environment %.*s", (int)name.n, name.at);
    if (s == MEMO_OK && !put(p, origin, (size_t)bytes, &p->items[p->count - 1].origin))
        s = MEMO_E_NO_MEMORY;
    return s;
}

memo_status memo__config_environment(const struct memo__alloc *a, struct memo__text prefix, const char *const *variables,
                                     struct memo__config_part **out, memo_error *e)
{
    const struct place at = { NULL, e };
    struct memo__config_part *p = part_new(a);
    memo_status s = p ? MEMO_OK : no_memory(&at);
    *out = NULL;
    for (; s == MEMO_OK && variables && *variables; variables++) {
        const char *equals = strchr(*variables, '=');
        struct memo__text name = { *variables, equals ? (size_t)(equals - *variables) : 0 };
        if (name.n <= prefix.n || memcmp(name.at, prefix.at, prefix.n) != 0)
            continue;
        s = put_variable(p, name, prefix.n, equals + 1);
        if (s == MEMO_E_SETTING)
            (void)memo__fail(e, s, "the variable %.*s makes no key, or its value is not UTF-8", name.n < 128 ? (int)name.n : 128, name.at);
        else if (s != MEMO_OK)
            (void)no_memory(&at);
    }
    if (s == MEMO_OK)
        s = part_end(p, &at);
    if (s == MEMO_OK) {
        p->any_case = true;
        *out = p;
    } else {
        memo__config_part_free(p);
    }
    return s;
}
