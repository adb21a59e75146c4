/* SPDX-License-Identifier: Apache-2.0 */
/* docs.c: files of docs/, compared with what their tables say. With MEMO_WRITE_DOCS=1 they are written first. */
#include "tests/unit/model/docs.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST (1u << 18)

static void path_of(char path[600], const char *name)
{
    const char *top = getenv("top_srcdir");
    snprintf(path, 600, "%s/docs/%s", top ? top : ".", name);
}

char *docs_read(const char *name, size_t *bytes)
{
    char path[600], *text = calloc(1, MOST);
    path_of(path, name);
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s is missing: MEMO_WRITE_DOCS=1 make check writes what is made from a table", path);
    *bytes = fread(text, 1, MOST - 1, f);
    fclose(f);
    return text;
}

void docs_compare(const char *name, void (*make)(struct memo__writer *w))
{
    char path[600], *want = calloc(1, MOST), *is;
    struct memo__writer w;
    size_t n;
    path_of(path, name);
    memo__writer_init(&w, want, MOST);
    make(&w);
    ck_assert(memo__writer_end(&w));
    if (getenv("MEMO_WRITE_DOCS")) {
        FILE *f = fopen(path, "w");
        ck_assert_msg(f != NULL && fputs(want, f) >= 0 && fclose(f) == 0, "%s cannot be written", path);
    }
    is = docs_read(name, &n);
    ck_assert_msg(n == w.need && memcmp(is, want, n) == 0, "%s is not what its table says: MEMO_WRITE_DOCS=1 make check writes it anew", path);
    free(want);
    free(is);
}

void docs_roff(struct memo__writer *w, const char *text)
{
    bool bold = false;
    for (const char *p = text; *p; p++)
        if (*p == '`')
            memo__put_text(w, (bold = !bold) ? "\\fB" : "\\fR");
        else if (*p == '\\')
            memo__put_text(w, "\\e");
        else if (*p == '-')
            memo__put_text(w, "\\-");
        else
            memo__put(w, p, 1);
}

struct schema schema_load(void)
{
    struct schema s;
    memo_error e = MEMO_INIT(memo_error);
    size_t n;
    s.text = docs_read("rules.schema.json", &n);
    memo_status status = memo__json_parse(&memo__alloc_libc, (struct memo__text){ s.text, n }, NULL, &s.json, &e);
    ck_assert_msg(status == MEMO_OK, "%d:%d %s", e.line, e.column, e.message);
    return s;
}

void schema_free(struct schema *s)
{
    memo__json_free(s->json);
    free(s->text);
}

const struct memo__json_node *schema_resolve(const struct memo__json *j, const struct memo__json_node *n)
{
    const struct memo__json_node *ref;
    while (n && (ref = memo__json_find(j, n, "$ref"))) {
        struct memo__text t = memo__json_text(j, ref);
        char name[64];
        ck_assert(t.n > 8 && memcmp(t.at, "#/$defs/", 8) == 0);
        ck_assert(memo__text_copy(name, sizeof name, (struct memo__text){ t.at + 8, t.n - 8 }));
        n = memo__json_find(j, memo__json_find(j, memo__json_root(j), "$defs"), name);
        ck_assert_msg(n != NULL, "%s", name);
    }
    return n;
}

const struct memo__json_node *schema_inside(const struct memo__json *j, const struct memo__json_node *n)
{
    for (n = schema_resolve(j, n); n && !memo__json_find(j, n, "properties");) {
        const struct memo__json_node *next = memo__json_find(j, n, "items");
        if (!next)
            next = memo__json_find(j, n, "additionalProperties");
        if (!next && memo__json_find(j, n, "anyOf"))
            next = memo__json_first(j, memo__json_find(j, n, "anyOf"));
        n = schema_resolve(j, next);
    }
    return n;
}
