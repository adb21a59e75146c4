/* SPDX-License-Identifier: Apache-2.0 */
/* config.c: any bytes as a configuration document, JSON or .properties (by the first byte), and as variables. What is taken is found again under its
 * key, with a line within the document; what is not has told why. */
#include <stdlib.h>
#include <string.h>
#include "model/config.h"
#include "target.h"

static void check_snapshot(const struct memo__config_part *p, int32_t lines)
{
    static const struct memo__config_part nothing;
    const struct memo__config_layer layers[] = { { &nothing, "nothing" }, { p, "file x" } };
    memo_config *g;
    require(memo__config_new(&memo__alloc_libc, &memo__host_linux, layers, 2, "a,b", 5, &g, NULL) == MEMO_OK);
    require(g->count <= p->count);
    for (uint32_t i = 0; i < g->count; i++) {
        const struct memo__config_value *v = &g->values[i];
        const char *key = g->text + v->key;
        require(strlen(key) == v->key_bytes && v->key_bytes > 0 && strlen(g->text + v->text) == v->text_bytes);
        require(memo__config_find(g, key) == v && v->line >= 0 && v->line <= lines);
        require(memo__config_below(g, memo__config_first(g, memo__text_of(key)), memo__text_of(key)) &&
                memo__config_first(g, memo__text_of(key)) == i);
        require(memo__utf8_valid(memo__text_of(key)) && memo__utf8_valid(memo__text_of(g->text + v->text)));
    }
    memo__config_drop(g);
}

static void as_document(enum memo__config_format format, const char *text, size_t n)
{
    struct memo__config_part *p;
    memo_error e = MEMO_INIT(memo_error);
    int32_t lines = 1;
    for (size_t i = 0; i < n; i++)
        lines += text[i] == '\n' || (text[i] == '\r' && format == MEMO__CONFIG_PROPERTIES);
    memo_status s = memo__config_parse(&memo__alloc_libc, format, (struct memo__text){ text, n }, "x", &p, &e);
    require(s == MEMO_OK ? p != NULL : s == MEMO_E_SETTING && !p && e.message[0] && e.line >= 0 && e.line <= lines &&
            memo__utf8_valid(memo__text_of(e.message)) && strcmp(e.file, "x") == 0);
    if (p)
        check_snapshot(p, lines);
    memo__config_part_free(p);
}

static void as_variables(char *text)
{
    const char *variables[16];
    uint32_t count = 0;
    struct memo__config_part *p;
    memo_error e = MEMO_INIT(memo_error);
    for (char *at = strtok(text, "\n"); at && count < 15; at = strtok(NULL, "\n"))
        variables[count++] = at;
    variables[count] = NULL;
    memo_status s = memo__config_environment(&memo__alloc_libc, MEMO__TEXT("A"), variables, &p, &e);
    require(s == MEMO_OK ? p != NULL : s == MEMO_E_SETTING && !p && e.message[0]);
    if (p)
        check_snapshot(p, 0);
    memo__config_part_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *exact = malloc(n + 1); /* so that a sanitizer sees one byte too far */
    if (!exact || !n)
        return free(exact), 0;
    char *document = malloc(n);
    if (document) {
        memcpy(document, data + 1, n - 1);
        as_document(data[0] == 'p' ? MEMO__CONFIG_PROPERTIES : MEMO__CONFIG_JSON, document, n - 1);
    }
    free(document);
    memcpy(exact, data, n);
    exact[n] = '\0';
    as_variables(exact);
    free(exact);
    return 0;
}
