/* SPDX-License-Identifier: Apache-2.0 */
/* json_oracle.c: our reader beside cJSON's, a parser that we did not write: the same documents must be taken or refused by both, and hold the same values.
 *
 * cJSON is the laxer one. What it refuses we must refuse; what it takes and we refuse must be one of the strictnesses that json.h promises (`stricter` below).
 * Its own limits are known to the test: a number of more than 63 bytes it cannot read, and any control character is a blank to it. Comments it has none: they are blanked first.
 * Documents: the fuzz corpora of JSON and of rules, and generated ones, sound and with one byte changed. */
#include "base/json.h"
#include <check.h>
#include <cjson/cJSON.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"

#define DOCUMENT_MOST 65536
#define SOUND_DOCUMENTS 400
#define CHANGES_EACH 8

TCase *json_oracle(void);

static const char *const stricter[] = {
    "a raw control character", "not closed on its line", "not UTF-8", "U+0000", "\\u needs four", "a number must not begin with 0", "digits behind its point", "nested deeper",
};

static bool one_of_ours(const char *message)
{
    for (size_t i = 0; i < sizeof stricter / sizeof *stricter; i++)
        if (strstr(message, stricter[i]))
            return true;
    return false;
}

/* Comments outside of strings become blanks; one that is not closed stays, and is no JSON to anyone. */
static void blank_comments(char *text)
{
    for (char *p = text; *p; p++) {
        char *end = NULL;
        if (*p == '"')
            for (p++; *p && *p != '"'; p++)
                p += *p == '\\' && p[1];
        else if (p[0] == '/' && p[1] == '/')
            end = p + strcspn(p, "\n");
        else if (p[0] == '/' && p[1] == '*' && (end = strstr(p + 2, "*/")))
            end += 2;
        if (end) {
            memset(p, ' ', (size_t)(end - p));
            p = end - 1;
        }
        if (!*p)
            return;
    }
}

/* Bytes that are a blank or an end to cJSON and to nobody else, or digits beyond its buffer: it cannot judge these documents. */
static bool beyond_cjson(const char *text, size_t n)
{
    size_t number = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 && c != '\t' && c != '\n' && c != '\r')
            return true;
        number = c && strchr("0123456789+-eE.", c) ? number + 1 : 0;
        if (number > 63)
            return true;
    }
    return false;
}

static bool same_number(const struct memo__json *j, const struct memo__json_node *n, const cJSON *c)
{
    double d;
    int64_t whole;
    if (!cJSON_IsNumber(c))
        return false;
    if (memo__json_int(j, n, &whole) && whole > INT32_MIN && whole < INT32_MAX && whole != c->valueint)
        return false;
    return memo__json_double(j, n, &d) ? d == c->valuedouble : c->valuedouble - c->valuedouble != 0; /* beyond a double: infinite there, none here */
}

/* The first value that differs, NULL if none does. (No assertion a value: check writes a line to a file for each.) */
static const struct memo__json_node *difference(const struct memo__json *j, const struct memo__json_node *n, const cJSON *c)
{
    const struct memo__json_node *differs = NULL;
    const cJSON *other = c->child;
    switch (n->type) {
    case MEMO__JSON_NULL: return cJSON_IsNull(c) ? NULL : n;
    case MEMO__JSON_BOOL: return (n->truth ? cJSON_IsTrue(c) : cJSON_IsFalse(c)) ? NULL : n;
    case MEMO__JSON_NUMBER: return same_number(j, n, c) ? NULL : n;
    case MEMO__JSON_TEXT: return cJSON_IsString(c) && memo__text_is(memo__json_text(j, n), c->valuestring) ? NULL : n;
    default: break;
    }
    if (!(n->type == MEMO__JSON_OBJECT ? cJSON_IsObject(c) : cJSON_IsArray(c)) || (int)n->count != cJSON_GetArraySize(c))
        return n;
    for (const struct memo__json_node *m = memo__json_first(j, n); m && !differs; m = memo__json_next(j, m), other = other->next) {
        if (!other || (n->type == MEMO__JSON_OBJECT && !memo__text_is(memo__json_key(j, m), other->string)))
            return m;
        differs = difference(j, m, other);
    }
    return differs ? differs : other ? n : NULL;
}

static struct { unsigned both, neither, stricter, beyond; } seen;

/* Both judge `n` bytes; 8 bytes behind them must be there. */
static void judge(char *text, size_t n)
{
    static const struct memo__json_options options = { .comments = true, .doubles = true };
    struct memo__json *ours;
    memo_error e = MEMO_INIT(memo_error);
    static char plain[DOCUMENT_MOST + 8];
    cJSON *theirs;

    if (beyond_cjson(text, n)) {
        seen.beyond++;
        return;
    }
    memcpy(plain, text, n);
    memset(plain + n, 0, 8);
    blank_comments(plain);
    memo_status s = memo__json_parse(&memo__alloc_libc, (struct memo__text){ text, n }, &options, &ours, &e);
    theirs = cJSON_ParseWithLengthOpts(plain, n + 1, NULL, true);
    if (s == MEMO_OK) {
        ck_assert_msg(theirs != NULL, "we take it, cJSON does not: %.*s", (int)n, text);
        const struct memo__json_node *differs = difference(ours, memo__json_root(ours), theirs);
        ck_assert_msg(!differs, "not the same at byte %u of %.*s", differs->at, (int)n, text);
        seen.both++;
    } else if (theirs) {
        ck_assert_msg(one_of_ours(e.message), "cJSON takes it, we do not, %d:%d %s: %.*s", e.line, e.column, e.message, (int)n, text);
        seen.stricter++;
    } else {
        seen.neither++;
    }
    cJSON_Delete(theirs);
    memo__json_free(ours);
}

static unsigned judge_corpus(const char *name)
{
    char path[4096], text[DOCUMENT_MOST + 8];
    unsigned files = 0;
    DIR *d = opendir(MEMO_FUZZ_CORPUS);
    if (d)
        closedir(d);
    ck_assert_msg(d != NULL, "no corpus in %s", MEMO_FUZZ_CORPUS);
    snprintf(path, sizeof path, "%s/%s", MEMO_FUZZ_CORPUS, name);
    d = opendir(path);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *entry; (entry = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s/%s", MEMO_FUZZ_CORPUS, name, entry->d_name);
        FILE *f = entry->d_name[0] == '.' ? NULL : fopen(path, "rb");
        if (!f)
            continue;
        judge(text, fread(text, 1, DOCUMENT_MOST, f));
        ck_assert(feof(f));
        fclose(f);
        files++;
    }
    closedir(d);
    return files;
}

START_TEST(corpora)
{
    memset(&seen, 0, sizeof seen);
    ck_assert_uint_ge(judge_corpus("json"), 10);
    ck_assert_uint_ge(judge_corpus("rules"), 5);
    ck_assert_uint_ge(seen.both, 10);
    ck_assert_uint_ge(seen.neither + seen.stricter, 3);
}
END_TEST

/* -- generated documents: a number in, the same document out */

struct generator { char text[DOCUMENT_MOST + 8]; size_t n; uint64_t draw; };

static uint32_t below(struct generator *g, uint32_t n) { return memo__draw_below(memo__draw_next(&g->draw), n); }

static void add(struct generator *g, const char *text)
{
    size_t n = strlen(text);
    if (g->n + n > DOCUMENT_MOST)
        ck_abort_msg("a generated document of more than %d bytes", DOCUMENT_MOST);
    memcpy(g->text + g->n, text, n);
    g->n += n;
}

static void add_blank(struct generator *g)
{
    static const char *const blanks[] = { "", "", "", " ", "\n", "\t", " \r\n ", "// said \"so\"\n", "/* or { so */" };
    add(g, blanks[below(g, sizeof blanks / sizeof *blanks)]);
}

static void add_string(struct generator *g)
{
    static const char *const parts[] = {
        "a", "key", " ", "//", "/*", "\\\"", "\\\\", "\\/", "\\b\\f\\n\\r\\t", "\\u0041", "\\u00e9", "\\u20AC", "\\ud83d\\ude00", "\\uDBFF\\uDFFF", "\\uffff", "\xc3\xa9", "\xe4\xb8\xad",
        "\xf0\x9f\x98\x80", "\x7f", "{[,:]}", "\\u0001",
    };
    add(g, "\"");
    for (uint32_t i = below(g, 5); i-- > 0;)
        add(g, parts[below(g, sizeof parts / sizeof *parts)]);
    add(g, "\"");
}

static void add_number(struct generator *g)
{
    static const char *const edges[] = { "0", "-0", "2147483647", "-2147483648", "9007199254740993", "18446744073709551616", "1E400", "-1e-400", "4.9e-324", "1.7976931348623157e308", "0.1" };
    char text[64];
    uint64_t bits = memo__draw_next(&g->draw);
    switch (below(g, 4)) {
    case 0: add(g, edges[below(g, sizeof edges / sizeof *edges)]); return;
    case 1: snprintf(text, sizeof text, "%d", (int)(int32_t)bits); break;
    case 2: snprintf(text, sizeof text, "%.17g", (double)(int64_t)bits / (double)(1 + below(g, 1000000))); break;
    default: snprintf(text, sizeof text, "%u.%uE%+d", below(g, 100), below(g, 10000), (int)below(g, 600) - 300); break;
    }
    add(g, text);
}

static void add_value(struct generator *g, uint32_t depth)
{
    static const char *const words[] = { "true", "false", "null" };
    uint32_t kind = depth == 0 ? 4 + below(g, 2) : below(g, depth < 6 ? 6 : 4);
    add_blank(g);
    if (kind < 1)
        add(g, words[below(g, 3)]);
    else if (kind < 2)
        add_number(g);
    else if (kind < 4)
        add_string(g);
    else {
        add(g, kind == 4 ? "[" : "{");
        add_blank(g);
        for (uint32_t i = 0, count = below(g, depth < 2 ? 12 : 5); i < count; i++) {
            add(g, i ? "," : "");
            add_blank(g);
            if (kind == 5) {
                add_string(g);
                add_blank(g);
                add(g, ":");
            }
            add_value(g, depth + 1);
        }
        add(g, kind == 4 ? "]" : "}");
    }
    add_blank(g);
}

/* One byte taken out, put in, or replaced by one that means something. */
static void change(struct generator *g)
{
    static const char bytes[] = "{}[]:,\"\\/*-+.eE01 \n\tutfn\xc3\xff";
    size_t at = g->n ? below(g, (uint32_t)g->n) : 0;
    char with = bytes[below(g, sizeof bytes - 1)];
    uint32_t how = below(g, 3);
    if (how < 2 && g->n > 0) {
        memmove(g->text + at, g->text + at + how, g->n - at - how);
        g->n -= how;
    }
    if (how == 0 && g->n > 0)
        g->text[at] = with;
    if (how == 2 && g->n < DOCUMENT_MOST) {
        memmove(g->text + at + 1, g->text + at, g->n - at);
        g->text[at] = with;
        g->n++;
    }
}

START_TEST(generated)
{
    static struct generator g, changed;
    memset(&seen, 0, sizeof seen);
    for (uint32_t i = 0; i < SOUND_DOCUMENTS; i++) {
        g.n = 0;
        g.draw = i;
        add_value(&g, 0);
        judge(g.text, g.n);
    }
    ck_assert_uint_eq(seen.both + seen.beyond, SOUND_DOCUMENTS);
    ck_assert_uint_ge(seen.both, SOUND_DOCUMENTS * 9 / 10);
    for (uint32_t i = 0; i < SOUND_DOCUMENTS * CHANGES_EACH; i++) {
        changed.n = 0;
        changed.draw = i / CHANGES_EACH;
        add_value(&changed, 0);
        changed.draw = SOUND_DOCUMENTS + i;
        change(&changed);
        judge(changed.text, changed.n);
    }
    ck_assert_uint_ge(seen.neither, SOUND_DOCUMENTS); /* the changes do break documents, */
    ck_assert_uint_ge(seen.stricter, 10);              /* and some of them for us only */
}
END_TEST

TCase *json_oracle(void)
{
    TCase *c = tcase_create("json beside cJSON");
    tcase_add_test(c, corpora);
    tcase_add_test(c, generated);
    return c;
}
